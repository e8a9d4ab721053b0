/*
 * db_together.c - several statements, one round trip (libpq's pipeline mode).
 *
 * A batch of the delete is a dozen short statements; sent one by one, waiting for answers would take longer than the
 * work, more so over a network.  While the server does not read because it answers, libpq takes in what comes.
 */
#include <stdlib.h>

#include "db_internal.h"

static int prepare_all(struct db *db, const struct db_call *call, size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = db_prepare(db, call[i].sql, err);
	return r;
}

/* What goes before the statements, and takes an answer each: the beginning of a transaction, the plans' mode. */
struct lead { const char *name[2], *text[2]; size_t n; };

static void lead_add(struct lead *l, const char *name, const char *text)
{
	l->name[l->n] = name;
	l->text[l->n++] = text;
}

static bool send_call(struct db *db, const struct db_call *c)
{
	static const int binary[DB_CALL_PARAMS] = {1, 1, 1, 1, 1, 1};

	return PQsendQueryPrepared(db->pg, c->sql->name, c->n_params, c->params, c->lengths,
				   c->lengths ? binary : NULL, 0);
}

static bool send_all(struct db *db, const struct lead *lead, const struct db_call *call, size_t n)
{
	for (size_t i = 0; i < lead->n; i++)
		if (!PQsendQueryParams(db->pg, lead->text[i], 0, NULL, NULL, NULL, NULL, 0))
			return false;
	for (size_t i = 0; i < n; i++)
		if (!send_call(db, &call[i]))
			return false;
	return PQpipelineSync(db->pg) == 1;
}

/* What the caller wants of an answer; without one, it is not read. */
static void give(PGresult *res, struct db_call *c)
{
	c->affected = strtoll(PQcmdTuples(res), NULL, 10);
	if (c->ret)
		*c->ret = db_result_new(c->ctx, res);
	else
		PQclear(res);
}

/* The answer of one statement (c NULL: of the lead); what follows a failed one is aborted by the server. */
static int take(struct db *db, const char *name, struct db_wait *w, struct db_call *c, int so_far, struct err *err)
{
	PGresult *res = db_next_result(db, w), *more;
	bool any = res;
	int r = so_far;

	if (r == 0 && (!res || (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)))
		r = db_fail(db, res, name, w, err);
	if (r == 0 && c)
		give(res, c);
	else
		PQclear(res);
	while (any && PQstatus(db->pg) == CONNECTION_OK && (more = db_next_result(db, w)) != NULL)
		PQclear(more);
	return r;
}

/* Until the mark of the end; then the session is as before. */
static void finish(struct db *db, struct db_wait *w)
{
	PGresult *res;
	bool end = false;

	while (!end && PQstatus(db->pg) == CONNECTION_OK && (res = db_next_result(db, w)) != NULL) {
		end = PQresultStatus(res) == PGRES_PIPELINE_SYNC;
		PQclear(res);
	}
	/* fails only on a connection that is broken, which the next statement tells */
	(void)PQexitPipelineMode(db->pg);
	db->busy = NULL;
}

static int together(struct db *db, struct lead *lead, struct db_call *call, size_t n, void (*meanwhile)(void *payload),
		    void *payload, struct err *err)
{
	const char *first = n ? call[0].sql->name : "begin";
	struct db_wait w;
	int r;

	if (db->plan_mode != DB_PLAN_GENERIC)
		lead_add(lead, "db_plan_mode", DB_SET_GENERIC);
	if ((r = db_begin_statement(db, first, &w, err)) < 0)
		return r;
	if (!PQenterPipelineMode(db->pg)) {
		db->busy = NULL;
		return db_fail(db, NULL, first, &w, err);
	}
	if (!send_all(db, lead, call, n)) {
		r = db_fail(db, NULL, first, &w, err);
		finish(db, &w);
		return r;
	}
	if (meanwhile)
		meanwhile(payload);
	for (size_t i = 0; i < lead->n; i++)
		r = take(db, lead->name[i], &w, NULL, r, err);
	for (size_t i = 0; i < n; i++)
		r = take(db, call[i].sql->name, &w, &call[i], r, err);
	finish(db, &w);
	if (r == 0)
		db->plan_mode = DB_PLAN_GENERIC;
	return r;
}

int db_query_together(struct db *db, struct db_call *call, size_t n, void (*meanwhile)(void *payload), void *payload,
		      struct err *err)
{
	struct lead lead = {.n = 0};
	int r = prepare_all(db, call, n, err);

	return r < 0 || n == 0 ? r : together(db, &lead, call, n, meanwhile, payload, err);
}

int db_begin_together(struct db *db, enum db_mode mode, struct db_call *call, size_t n, struct err *err)
{
	struct lead lead = {.n = 0};
	int r = prepare_all(db, call, n, err);

	if (r < 0)
		return r;
	db->savepoint = false;
	lead_add(&lead, "begin", db_begin_text(mode));
	return together(db, &lead, call, n, NULL, NULL, err);
}
