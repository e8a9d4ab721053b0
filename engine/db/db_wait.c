/*
 * db_wait.c - one statement from sending to the last result.
 */
#include <poll.h>
#include <string.h>

#include "db_internal.h"

void db_result_clear_p(PGresult **r)
{
	PQclear(*r);
}

int db_begin_statement(struct db *db, const char *name, struct db_wait *ret, struct err *err)
{
	db_cursor_settle(db);
	if (db->busy)
		return err_set(err, ERR_INTERNAL, "statement %s inside statement %s", name, db->busy);
	if (PQstatus(db->pg) != CONNECTION_OK)
		return db_fail(db, NULL, name, NULL, err);
	db->busy = name;
	*ret = (struct db_wait){.stop_before = stop_requested()};
	return 0;
}

void db_cancel(struct db *db)
{
	char ignored[256];
	PGcancel *cancel = PQgetCancel(db->pg);

	if (!cancel)
		return;
	/* When the request does not arrive the statement runs on and is waited for. */
	(void)PQcancel(cancel, ignored, sizeof(ignored));
	PQfreeCancel(cancel);
}

/* And again until there is an answer: the request may not arrive, and a server's process that has not begun with the
 * statement forgets about it. */
static void cancel_wait(struct db *db, struct db_wait *w)
{
	if (w->cancelled && time_mono_ms() - w->cancelled_ms < DB_CANCEL_AGAIN_MS)
		return;
	w->cancelled = true;
	db_cancel(db);
	w->cancelled_ms = time_mono_ms();
}

/* A COMMIT waits without end where the settings name a synchronous standby that is not there.  A cancel ends that wait,
 * and what the server answers then tells which of both it was: rolled back, or committed on this server alone. */
static void watch_commit(struct db *db, struct db_wait *w)
{
	int64_t waited_ms = time_mono_ms() - w->commit_from_ms;

	if (waited_ms >= (stop_requested() ? DB_STOP_GRACE_MS : DB_COMMIT_PATIENCE_MS))
		cancel_wait(db, w);
}

void db_give_up(struct db *db)
{
	db->given_up = true;
}

/* A short statement may finish; a long one is cancelled. */
static void watch_stop(struct db *db, struct db_wait *w)
{
	if (w->commit_from_ms) {
		watch_commit(db, w);
		return;
	}
	if (w->never_cancel || (!db->given_up && (!stop_requested() || w->stop_before)))
		return;
	if (!w->stop_seen_ms)
		w->stop_seen_ms = time_mono_ms();
	if (!db->given_up && time_mono_ms() - w->stop_seen_ms < DB_STOP_GRACE_MS)
		return;
	cancel_wait(db, w);
}

bool db_has_input(const struct db *db, int timeout_ms)
{
	struct pollfd p = {.fd = PQsocket(db->pg), .events = POLLIN};

	return libpq_tls_pending(db->pg) > 0 || poll(&p, 1, timeout_ms) > 0;
}

/* libpq is asked also when nothing is seen: what else may sit between it and the socket must not be waited for without
 * end. */
bool db_wait_input(struct db *db, struct db_wait *w)
{
	if (PQsocket(db->pg) < 0)
		return false;
	watch_stop(db, w);
	(void)db_has_input(db, DB_POLL_MS);
	return PQconsumeInput(db->pg);
}

PGresult *db_next_result(struct db *db, struct db_wait *w)
{
	while (PQisBusy(db->pg) && db_wait_input(db, w))
		; /* of a broken connection PQgetResult makes the error result */
	return PQgetResult(db->pg);
}

/* A COPY that nobody asked for is ended, or PQgetResult would return it for ever. */
static void end_copy(struct db *db, const PGresult *r)
{
	char *line = NULL;

	if (PQresultStatus(r) == PGRES_COPY_IN)
		(void)PQputCopyEnd(db->pg, "abandoned"); /* the next result tells */
	if (PQresultStatus(r) == PGRES_COPY_OUT)
		while (PQgetCopyData(db->pg, &line, 0) > 0)
			PQfreemem(line);
}

void db_drain(struct db *db, struct db_wait *w)
{
	PGresult *r;

	while ((r = db_next_result(db, w)) != NULL) {
		end_copy(db, r);
		PQclear(r);
		if (PQstatus(db->pg) != CONNECTION_OK)
			break;
	}
	db->busy = NULL;
}

PGresult *db_collect(struct db *db, struct db_wait *w)
{
	PGresult *first = db_next_result(db, w);

	if (first)
		end_copy(db, first);
	db_drain(db, w);
	return first;
}

int db_exec(struct db *db, const char *name, const char *text, struct err *err)
{
	PGresult *res auto_pgresult = NULL;
	struct db_wait w;
	int r = db_begin_statement(db, name, &w, err);

	if (r < 0)
		return r;
	if (!PQsendQuery(db->pg, text)) {
		db->busy = NULL;
		return db_fail(db, NULL, name, &w, err);
	}
	res = db_collect(db, &w);
	if (!res || PQresultStatus(res) != PGRES_COMMAND_OK)
		return db_fail(db, res, name, &w, err);
	return 0;
}
