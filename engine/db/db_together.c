/*
 * db_together.c - several statements, one round trip (libpq's pipeline mode).
 *
 * A batch of the delete is a dozen short statements; sent one by one, waiting for answers would take longer than the
 * work, more so over a network.  Answers are counts only, so that neither side can wait for the other to read.
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

static bool send_all(struct db *db, const struct db_call *call, size_t n, bool set_mode)
{
	static const int binary[DB_CALL_PARAMS] = {1, 1, 1, 1, 1, 1};

	if (set_mode && !PQsendQueryParams(db->pg, DB_SET_GENERIC, 0, NULL, NULL, NULL, NULL, 0))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!PQsendQueryPrepared(db->pg, call[i].sql->name, call[i].n_params, call[i].params, call[i].lengths,
					 binary, 0))
			return false;
	return PQpipelineSync(db->pg) == 1;
}

/* The answer of one statement; what follows a failed one is aborted by the server. */
static int take(struct db *db, const char *name, struct db_wait *w, int64_t *affected, int so_far, struct err *err)
{
	PGresult *res = db_next_result(db, w), *more;
	int r = so_far;

	if (r == 0 && (!res || (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)))
		r = db_fail(db, res, name, w, err);
	if (r == 0 && affected)
		*affected = strtoll(PQcmdTuples(res), NULL, 10);
	PQclear(res);
	while (res && PQstatus(db->pg) == CONNECTION_OK && (more = db_next_result(db, w)) != NULL)
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

int db_query_together(struct db *db, struct db_call *call, size_t n, void (*meanwhile)(void *payload), void *payload,
		      struct err *err)
{
	bool set_mode = db->plan_mode != DB_PLAN_GENERIC;
	struct db_wait w;
	int r = prepare_all(db, call, n, err);

	if (r < 0 || n == 0 || (r = db_begin_statement(db, call[0].sql->name, &w, err)) < 0)
		return r;
	if (!PQenterPipelineMode(db->pg)) {
		db->busy = NULL;
		return db_fail(db, NULL, call[0].sql->name, &w, err);
	}
	if (!send_all(db, call, n, set_mode)) {
		r = db_fail(db, NULL, call[0].sql->name, &w, err);
		finish(db, &w);
		return r;
	}
	if (meanwhile)
		meanwhile(payload);
	if (set_mode)
		r = take(db, "db_plan_mode", &w, NULL, r, err);
	for (size_t i = 0; i < n; i++)
		r = take(db, call[i].sql->name, &w, &call[i].affected, r, err);
	finish(db, &w);
	if (r == 0)
		db->plan_mode = DB_PLAN_GENERIC;
	return r;
}
