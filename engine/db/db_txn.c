/*
 * db_txn.c - transactions.
 */
#include <string.h>

#include "db_internal.h"

const char *db_begin_text(enum db_mode mode)
{
	static const char *const text[] = {
		[DB_READ_SNAPSHOT] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
		[DB_EXPORT_SNAPSHOT] = "BEGIN ISOLATION LEVEL REPEATABLE READ",
		[DB_READ_COMMITTED] = "BEGIN ISOLATION LEVEL READ COMMITTED",
	};

	return text[mode];
}

int db_begin(struct db *db, enum db_mode mode, struct err *err)
{
	bool set = db->plan_mode != DB_PLAN_AUTO; /* in the same round trip; a rollback undoes it and says so */
	char both[128];
	int r;

	snprintf(both, sizeof both, "%s%s", db_begin_text(mode), set ? "; SET plan_cache_mode = auto" : "");
	db->savepoint = false;
	r = db_exec(db, "begin", both, err);
	if (r == 0)
		db->plan_mode = DB_PLAN_AUTO;
	return r;
}

int db_snapshot_export(void *ctx, struct db *db, char **ret_name, struct err *err)
{
	static const struct sql export = {"snapshot_export", "SELECT pg_catalog.pg_export_snapshot()"};
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, db, &export, DB_ONE, 0, NULL, &res, err);

	if (r == 0)
		*ret_name = mem_strdup(ctx, db_text(res, 0, 0));
	return r;
}

/* SET TRANSACTION takes no parameters: a name that is not what the server makes of two numbers is refused. */
int db_snapshot_begin(struct db *db, const char *name, enum db_mode mode, struct err *err)
{
	char text[96];
	int r;

	if (!*name || strspn(name, "0123456789ABCDEF-") != strlen(name) || strlen(name) > 40)
		return err_set(err, ERR_INTERNAL, "the name of a snapshot is not understood");
	r = db_begin(db, mode, err);
	if (r < 0)
		return r;
	snprintf(text, sizeof text, "SET TRANSACTION SNAPSHOT '%s'", name);
	return db_exec(db, "snapshot_begin", text, err);
}

/* Committed, but a failover to the standby would undo it: nothing may follow that cannot be undone. */
static int unconfirmed(const struct db *db, struct err *err)
{
	err_set(err, ERR_COMMIT_UNKNOWN, "%s committed, but no synchronous standby confirmed it", db->safe);
	return err_hint(err, "Look at pg_stat_replication and synchronous_standby_names, and run again when the "
			     "standby answers: the next start looks which rows are there before it does anything "
			     "else.");
}

/* Crash just before: the server rolls back.  Crash just after sending: it may have committed or not, which only the
 * rows can tell; recovery looks at them. */
int db_commit(struct db *db, struct err *err)
{
	PGresult *res auto_pgresult = NULL;
	struct db_wait w;
	int r = db_begin_statement(db, "commit", &w, err);

	if (r < 0)
		return r; /* broken before COMMIT was sent: rolled back */
	w.commit_from_ms = time_mono_ms();
	db->warned = false;
	if (PQsendQuery(db->pg, "COMMIT"))
		res = db_collect(db, &w);
	db->busy = NULL;
	if (PQstatus(db->pg) != CONNECTION_OK) {
		err_set(err, ERR_COMMIT_UNKNOWN, "the connection to %s broke before the answer to COMMIT", db->safe);
		return err_hint(err, "Run again: the next start looks which rows are there before it does anything "
				     "else.");
	}
	if (!res || PQresultStatus(res) != PGRES_COMMAND_OK)
		return db_fail(db, res, "commit", &w, err);
	if (strcmp(PQcmdStatus(res), "COMMIT"))
		return err_set(err, ERR_DATABASE, "the server rolled back instead of committing");
	return db->warned ? unconfirmed(db, err) : 0;
}

void db_rollback(struct db *db)
{
	struct err ignored = {.code = 0};
	struct db_wait w = {.never_cancel = true};

	db->plan_mode = DB_PLAN_UNKNOWN; /* a setting made inside is undone with the rest */
	db_cursor_drop(db);
	if (PQstatus(db->pg) != CONNECTION_OK)
		return;
	if (db->busy) { /* a stream or a COPY that was left half way */
		if (PQputCopyEnd(db->pg, "abandoned") < 0)
			db_cancel(db);
		db_drain(db, &w);
	}
	if (PQtransactionStatus(db->pg) == PQTRANS_IDLE)
		return;
	if (db_exec(db, "rollback", "ROLLBACK", &ignored) < 0)
		log_debug("rollback: %s, ignoring: a connection that breaks here has rolled back as well", ignored.msg);
}

/* One round trip: of what was kept before, the server needs no point any more. */
int db_savepoint(struct db *db, struct err *err)
{
	int r = db_exec(db, "savepoint", db->savepoint ? "RELEASE SAVEPOINT one; SAVEPOINT one" : "SAVEPOINT one", err);

	db->savepoint = true;
	return r;
}

int db_savepoint_undo(struct db *db, struct err *err)
{
	db->plan_mode = DB_PLAN_UNKNOWN; /* a setting made since is undone with the rest */
	return db_exec(db, "savepoint_undo", "ROLLBACK TO SAVEPOINT one", err);
}
