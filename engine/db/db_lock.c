/*
 * db_lock.c - the advisory lock of a run.
 *
 * It lives and dies with its session, so a killed run leaves nothing behind that somebody must clean up by age.
 */
#include <string.h>

#include "db_internal.h"

static const struct sql sql_try = {"db_lock_try", "SELECT pg_catalog.pg_try_advisory_lock($1::bigint)"};

static const struct sql sql_holder = {
	"db_lock_holder",
	"SELECT l.pid, COALESCE(a.client_hostname, host(a.client_addr), 'local'), COALESCE(a.usename::text, ''),"
	" COALESCE(to_char(a.backend_start, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '')"
	" FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
	" WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
	" AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
	" AND l.classid = (($1::bigint >> 32) & 4294967295)::oid AND l.objid = ($1::bigint & 4294967295)::oid"};

static const struct sql sql_mine = {
	"db_lock_check",
	"SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l"
	" WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
	" AND l.classid = (($1::bigint >> 32) & 4294967295)::oid AND l.objid = ($1::bigint & 4294967295)::oid)"};

static void key_text(int64_t key, char ret[32])
{
	snprintf(ret, 32, "%lld", (long long)key);
}

static int try_once(struct db *db, const char *key, bool *ret_got, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, db, &sql_try, DB_ONE, 1, &key, &res, err);

	if (r == 0)
		*ret_got = db_bool(res, 0, 0);
	return r;
}

static int report_holder(struct db *db, const char *key, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	struct err ignored = {.code = 0};
	int r = db_query(NULL, db, &sql_holder, DB_ANY, 1, &key, &res, &ignored);

	if (r < 0 || db_rows(res) == 0)
		err_set(err, ERR_LOCKED, "another run holds the lock of database %s", db->safe);
	else
		err_set(err, ERR_LOCKED,
			"another run holds the lock of database %s: server process %s, client %s%s%s%s%s", db->safe,
			db_text(res, 0, 0), db_text(res, 0, 1), db_len(res, 0, 2) ? ", role " : "", db_text(res, 0, 2),
			db_len(res, 0, 3) ? ", since " : "", db_text(res, 0, 3));
	return err_hint(err, "Wait for it to end; the lock goes with its process or connection, nothing has to be "
			     "removed.");
}

int db_lock(struct db *db, int64_t key, struct err *err)
{
	int64_t until_ms = time_mono_ms() + DB_LOCK_PATIENCE_MS;
	char text[32];
	bool got = false;
	int r;

	key_text(key, text);
	for (;;) {
		r = try_once(db, text, &got, err);
		if (r < 0 || got)
			return r;
		if (time_mono_ms() >= until_ms || stop_requested())
			return report_holder(db, text, err);
		time_sleep_ms(50);
	}
}

int db_lock_check(struct db *db, int64_t key, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	char text[32];
	const char *param = text;
	int r;

	key_text(key, text);
	r = db_query_prepared(NULL, db, &sql_mine, DB_ONE, 1, &param, &res, err);
	if (r < 0)
		return r;
	if (db_bool(res, 0, 0))
		return 0;
	err_set(err, ERR_LOCKED, "this run has lost its lock on database %s", db->safe);
	return err_hint(err, "Nothing more is deleted; look for a pooler in between or an administrator's unlock, then "
			     "run again.");
}
