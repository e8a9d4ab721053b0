/*
 * db_room_test.c - the db room and the probe against a real server.
 *
 * The database (MMR_TEST_CONNINFO, or PGHOST, PGPORT, PGUSER, PGDATABASE) holds Mattermost's schema; every test leaves
 * it as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"
#include "../support/suite.h"

static char base[1024];

const char *conninfo(const char *more)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%s %s", base, more);
	return text;
}

struct db *open_db(void)
{
	struct db_options options = {.conninfo = conninfo(""), .statement_timeout_ms = 60000, .lock_timeout_ms = 60000};
	struct db *db = NULL;
	struct err err;

	OK(db_open(NULL, &options, &db, &err));
	return db;
}

int try_run(struct db *db, const char *text, struct err *err)
{
	struct sql sql = {"test", text};
	bool rows = !strncmp(text, "SELECT", 6) || !strncmp(text, "SHOW", 4) || strstr(text, "RETURNING");

	return db_query(NULL, db, &sql, rows ? DB_ANY : DB_NONE, 0, NULL, NULL, err);
}

void run(struct db *db, const char *text)
{
	struct err err = {0};

	ck_assert_msg(try_run(db, text, &err) == 0, "%s: %s", text, err.msg);
}

int64_t value(struct db *db, const char *text)
{
	struct sql sql = {"test_value", text};
	struct db_result *res auto_mem = NULL;
	struct err err;

	OK(db_query(NULL, db, &sql, DB_ONE, 0, NULL, &res, &err));
	return db_i64(res, 0, 0);
}

void text_value(struct db *db, const char *text, char *ret, size_t size)
{
	struct sql sql = {"test_text", text};
	struct db_result *res auto_mem = NULL;
	struct err err;

	OK(db_query(NULL, db, &sql, DB_ONE, 0, NULL, &res, &err));
	snprintf(ret, size, "%s", db_text(res, 0, 0));
}

void kill_backend(struct db *killer, struct db *victim)
{
	char text[128];

	snprintf(text, sizeof(text), "SELECT pg_terminate_backend(%lld, 5000)::int",
		 (long long)value(victim, "SELECT pg_backend_pid()"));
	ck_assert_int_eq(value(killer, text), 1);
}

static void find_base(void)
{
	const char *given = getenv("MMR_TEST_CONNINFO");

	if (given)
		snprintf(base, sizeof(base), "%s", given);
	else
		snprintf(base, sizeof(base), "host='%s' port='%s' user='%s' dbname='%s'", getenv("PGHOST") ?: "",
			 getenv("PGPORT") ?: "5432", getenv("PGUSER") ?: "postgres", getenv("PGDATABASE") ?: "mm");
}

int main(void)
{
	Suite *suite = suite_create("db_room");

	mem_setup();
	find_base();
	suite_add_tcase(suite, db_cursor_case());
	suite_add_tcase(suite, db_live_case());
	suite_add_tcase(suite, db_together_case());
	suite_add_tcase(suite, db_trouble_case());
	suite_add_tcase(suite, db_standby_case());
	suite_add_tcase(suite, db_connect_case());
	suite_add_tcase(suite, db_lock_case());
	suite_add_tcase(suite, db_tls_case());
	suite_add_tcase(suite, mm_probe_case());
	suite_add_tcase(suite, mm_read_case());
	suite_add_tcase(suite, db_stop_case());
	return suite_run(suite);
}
