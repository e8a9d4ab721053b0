/*
 * db_query.c - statements that return a whole result, and reading it.
 */
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

struct db_result {
	PGresult *pg;
};

static int result_destroy(struct db_result *r)
{
	PQclear(r->pg);
	return 0;
}

struct db_result *db_result_new(void *ctx, PGresult *pg)
{
	struct db_result *r = mem_new(ctx, struct db_result);

	r->pg = pg;
	talloc_set_destructor(r, result_destroy);
	return r;
}

/* Unnamed statements take the custom plan in `auto`; location statements must not leave the generic one. */
int db_plan_mode(struct db *db, enum db_plan_mode mode, struct err *err)
{
	int r;

	if (db->plan_mode == mode)
		return 0;
	r = db_exec(db, "db_plan_mode", mode == DB_PLAN_GENERIC ? DB_SET_GENERIC
								: "SET plan_cache_mode = auto", err);
	if (r == 0)
		db->plan_mode = mode;
	return r;
}

int db_send(struct db *db, const struct sql *sql, int n_params, const char *const *params, struct db_wait *ret,
	    struct err *err)
{
	int r = db->busy ? 0 : db_plan_mode(db, DB_PLAN_AUTO, err);

	if (r == 0)
		r = db_begin_statement(db, sql->name, ret, err);
	if (r < 0)
		return r;
	if (PQsendQueryParams(db->pg, sql->text, n_params, NULL, params, NULL, NULL, 0))
		return 0;
	db->busy = NULL;
	return db_fail(db, NULL, sql->name, ret, err);
}

static int bad_shape(const struct sql *sql, const char *wanted, const PGresult *r, struct err *err)
{
	return err_set(err, ERR_DATABASE, "query %s gave %d rows (%s) where %s was expected", sql->name, PQntuples(r),
		       PQresStatus(PQresultStatus(r)), wanted);
}

static int check_shape(const struct sql *sql, enum db_shape shape, const PGresult *r, struct err *err)
{
	bool rows = PQresultStatus(r) == PGRES_TUPLES_OK;

	switch (shape) {
	case DB_NONE:
		return rows ? bad_shape(sql, "no row set", r, err) : 0;
	case DB_ONE:
		return rows && PQntuples(r) == 1 ? 0 : bad_shape(sql, "one row", r, err);
	case DB_ANY:
		return rows ? 0 : bad_shape(sql, "a row set", r, err);
	}
	return 0;
}

/* Takes over res. */
static int finish(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, PGresult *res,
		  const struct db_wait *w, struct db_result **ret, struct err *err)
{
	ExecStatusType status = res ? PQresultStatus(res) : PGRES_FATAL_ERROR;
	int r = 0;

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		r = db_fail(db, res, sql->name, w, err);
	else
		r = check_shape(sql, shape, res, err);
	if (r == 0)
		db->affected = strtoll(PQcmdTuples(res), NULL, 10);
	if (r < 0 || !ret) {
		PQclear(res);
		return r;
	}
	*ret = db_result_new(ctx, res);
	return 0;
}

int db_query(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, int n_params,
	     const char *const *params, struct db_result **ret, struct err *err)
{
	return db_query_meanwhile(ctx, db, sql, shape, n_params, params, NULL, NULL, ret, err);
}

int db_query_meanwhile(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, int n_params,
		       const char *const *params, void (*meanwhile)(void *payload), void *payload,
		       struct db_result **ret, struct err *err)
{
	struct db_wait w;
	int r = db_send(db, sql, n_params, params, &w, err);

	if (r < 0)
		return r;
	if (meanwhile)
		meanwhile(payload);
	return finish(ctx, db, sql, shape, db_collect(db, &w), &w, ret, err);
}

static bool is_prepared(const struct db *db, const struct sql *sql)
{
	for (size_t i = 0; i < db->n_prepared; i++)
		if (db->prepared[i] == sql)
			return true;
	return false;
}

int db_prepare(struct db *db, const struct sql *sql, struct err *err)
{
	PGresult *res auto_pgresult = NULL;
	struct db_wait w;
	int r = is_prepared(db, sql) ? 1 : db_begin_statement(db, sql->name, &w, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (!PQsendPrepare(db->pg, sql->name, sql->text, 0, NULL)) {
		db->busy = NULL;
		return db_fail(db, NULL, sql->name, &w, err);
	}
	res = db_collect(db, &w);
	if (!res || PQresultStatus(res) != PGRES_COMMAND_OK)
		return db_fail(db, res, sql->name, &w, err);
	db->prepared = mem_grow(db, db->prepared, const struct sql *, db->n_prepared + 1);
	db->prepared[db->n_prepared++] = sql;
	return 0;
}

int db_query_prepared(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, int n_params,
		      const char *const *params, struct db_result **ret, struct err *err)
{
	struct db_wait w;
	/* Without parameters there is but one plan. */
	int r = db->busy || n_params == 0 ? 0 : db_plan_mode(db, DB_PLAN_GENERIC, err);

	if (r == 0)
		r = db_prepare(db, sql, err);
	if (r == 0)
		r = db_begin_statement(db, sql->name, &w, err);
	if (r < 0)
		return r;
	if (!PQsendQueryPrepared(db->pg, sql->name, n_params, params, NULL, NULL, 0)) {
		db->busy = NULL;
		return db_fail(db, NULL, sql->name, &w, err);
	}
	return finish(ctx, db, sql, shape, db_collect(db, &w), &w, ret, err);
}

int64_t db_affected(const struct db *db)
{
	return db->affected;
}

int64_t db_rows(const struct db_result *r)
{
	return PQntuples(r->pg);
}

const char *db_text(const struct db_result *r, int64_t row, int col)
{
	return PQgetvalue(r->pg, (int)row, col);
}

size_t db_len(const struct db_result *r, int64_t row, int col)
{
	return (size_t)PQgetlength(r->pg, (int)row, col);
}

bool db_null(const struct db_result *r, int64_t row, int col)
{
	return PQgetisnull(r->pg, (int)row, col) != 0;
}

int64_t db_i64(const struct db_result *r, int64_t row, int col)
{
	return strtoll(PQgetvalue(r->pg, (int)row, col), NULL, 10);
}

bool db_bool(const struct db_result *r, int64_t row, int col)
{
	return PQgetvalue(r->pg, (int)row, col)[0] == 't';
}
