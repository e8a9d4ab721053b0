/* db_room_live_test.c - statements, streams, COPY and transactions that work. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"

START_TEST(test_session)
{
	static const struct { const char *show, *value; } want[] = {
		{"SHOW application_name", "mmretain"}, {"SHOW client_encoding", "UTF8"}, {"SHOW timezone", "UTC"},
		{"SHOW datestyle", "ISO, YMD"}, {"SHOW statement_timeout", "1min"}, {"SHOW lock_timeout", "1min"},
		{"SHOW idle_in_transaction_session_timeout", "15min"}, {"SHOW extra_float_digits", "3"},
		{"SHOW bytea_output", "hex"}, {"SHOW jit", "off"}, {"SHOW row_security", "off"},
		{"SHOW search_path", "public, pg_temp"},
		{"SHOW synchronous_commit", "on"}, {"SHOW array_nulls", "on"},
	};
	char text[256];
	struct db *db;

	setenv("PGOPTIONS", "-c statement_timeout=7", 1);
	setenv("PGDATABASE", "nowhere", 1);
	setenv("PGHOST", "/nowhere", 1);
	db = open_db();
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		text_value(db, want[i].show, text, sizeof(text));
		ck_assert_str_eq(text, want[i].value);
	}
	ck_assert_str_eq(db_schema(db), "public");
	ck_assert_int_ge(db_server_version(db), 130000);
	ck_assert(!db_in_recovery(db));
	ck_assert(db_alive(db));
	talloc_free(db);
}
END_TEST

START_TEST(test_shapes)
{
	static const struct sql one = {"q_one", "SELECT 1"}, two = {"q_two", "SELECT 1 UNION ALL SELECT 2"},
				none = {"q_none", "SELECT 1 WHERE false"}, set = {"q_set", "SET work_mem = '8MB'"},
				types = {"q_types", "SELECT $1::text AS t, $2::bigint, $3::text, true, ''"};
	const char *params[] = {"it's \"x\" \\ \xf0\x9f\x98\x80", "-9223372036854775808", NULL};
	struct db_result *res = NULL;
	struct db *db = open_db();
	struct err err;

	OK(db_query(db, db, &one, DB_ONE, 0, NULL, &res, &err));
	FAILS(db_query(db, db, &two, DB_ONE, 0, NULL, &res, &err), ERR_DATABASE);
	SAYS("q_two gave 2 rows");
	FAILS(db_query(db, db, &none, DB_ONE, 0, NULL, &res, &err), ERR_DATABASE);
	FAILS(db_query(db, db, &one, DB_NONE, 0, NULL, NULL, &err), ERR_DATABASE);
	FAILS(db_query(db, db, &set, DB_ANY, 0, NULL, &res, &err), ERR_DATABASE);
	OK(db_query(db, db, &set, DB_NONE, 0, NULL, NULL, &err));
	OK(db_query(db, db, &none, DB_ANY, 0, NULL, &res, &err));
	ck_assert_int_eq(db_rows(res), 0);
	OK(db_query(db, db, &types, DB_ONE, 3, params, &res, &err));
	ck_assert_str_eq(db_text(res, 0, 0), params[0]);
	ck_assert_uint_eq(db_len(res, 0, 0), strlen(params[0]));
	ck_assert_int_eq(db_i64(res, 0, 1), INT64_MIN);
	ck_assert(db_null(res, 0, 2) && !db_null(res, 0, 4));
	ck_assert_str_eq(db_text(res, 0, 2), "");
	ck_assert(db_bool(res, 0, 3));
	talloc_free(db);
}
END_TEST

START_TEST(test_affected)
{
	struct db *db = open_db();

	run(db, "CREATE TEMP TABLE t (a int)");
	run(db, "INSERT INTO t SELECT generate_series(1, 42)");
	ck_assert_int_eq(db_affected(db), 42);
	run(db, "DELETE FROM t WHERE a <= 10");
	ck_assert_int_eq(db_affected(db), 10);
	run(db, "DELETE FROM t WHERE a <= 12 RETURNING a");
	ck_assert_int_eq(db_affected(db), 2);
	talloc_free(db);
}
END_TEST

START_TEST(test_array_round_trip)
{
	static const struct sql sql = {"q_array",
				       "SELECT u FROM unnest($1::text[]) WITH ORDINALITY AS w (u, n) ORDER BY n"};
	static const char *const items[] = {"",
					    "NULL",
					    "null",
					    "a,b",
					    "{x}",
					    "\"",
					    "\\",
					    "\\\"",
					    " x ",
					    "a\nb\t",
					    "'; DROP TABLE posts; --",
					    "\xf0\x9f\x98\x80"};
	struct db *db = open_db();
	struct db_array a;
	struct db_result *res = NULL;
	const char *param;
	struct err err;

	db_array_init(&a, db);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		db_array_add(&a, items[i], strlen(items[i]));
	db_array_add(&a, NULL, 0);
	param = db_array_text(&a);
	OK(db_query(db, db, &sql, DB_ANY, 1, &param, &res, &err));
	ck_assert_int_eq(db_rows(res), (int64_t)ARRAY_LEN(items) + 1);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		ck_assert_str_eq(db_text(res, (int64_t)i, 0), items[i]);
	ck_assert(db_null(res, (int64_t)ARRAY_LEN(items), 0));
	/* a cut array is refused by the server */
	db_array_clear(&a);
	db_array_add(&a, "a\0b", 3);
	param = db_array_text(&a);
	FAILS(db_query(db, db, &sql, DB_ANY, 1, &param, &res, &err), ERR_DATABASE);
	talloc_free(db);
}
END_TEST

struct counting { uint64_t rows; uint64_t stop_at; int answer; struct db *nested; };

static int count_row(void *payload, const struct db_row *row, struct err *err)
{
	struct counting *c = payload;

	ck_assert_int_eq(row->columns, 3);
	ck_assert_ptr_null(row->value[1]);
	ck_assert_uint_eq(row->len[2], 0);
	ck_assert_uint_eq(row->len[0], strlen(row->value[0]));
	if (c->nested)
		return try_run(c->nested, "SELECT 1", err);
	if (++c->rows != c->stop_at)
		return 0;
	return c->answer < 0 ? err_set(err, ERR_STORE, "enough") : c->answer;
}

static const struct sql many = {"q_many", "SELECT g, NULL, '' FROM generate_series(1, $1::int) g"};

START_TEST(test_stream)
{
	const char *n = "100000";
	struct counting c = {0};
	struct db *db = open_db();
	struct err err;

	OK(db_stream(db, &many, 1, &n, count_row, &c, &err));
	ck_assert_uint_eq(c.rows, 100000);
	/* early stop, outside and inside a transaction: the session goes on */
	c = (struct counting){.stop_at = 10, .answer = 1};
	OK(db_stream(db, &many, 1, &n, count_row, &c, &err));
	ck_assert_uint_eq(c.rows, 10);
	ck_assert_int_eq(value(db, "SELECT 7"), 7);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	c = (struct counting){.stop_at = 10, .answer = 1};
	OK(db_stream(db, &many, 1, &n, count_row, &c, &err));
	ck_assert_int_eq(value(db, "SELECT 8"), 8);
	OK(db_commit(db, &err));
	/* an error comes back unchanged */
	c = (struct counting){.stop_at = 3, .answer = -1};
	FAILS(db_stream(db, &many, 1, &n, count_row, &c, &err), ERR_STORE);
	ck_assert_str_eq(err.msg, "enough");
	ck_assert_int_eq(value(db, "SELECT 9"), 9);
	c = (struct counting){.nested = db};
	FAILS(db_stream(db, &many, 1, &n, count_row, &c, &err), ERR_INTERNAL);
	ck_assert_int_eq(value(db, "SELECT 10"), 10);
	talloc_free(db);
}
END_TEST

START_TEST(test_stream_error_half_way)
{
	static const struct sql sql = {"q_half", "SELECT 1000 / (500 - g), NULL, '' FROM generate_series(1, 1000) g"};
	static const struct sql command = {"q_command", "SET work_mem = '8MB'"};
	struct counting c = {0};
	struct db *db = open_db();
	struct err err;

	FAILS(db_stream(db, &sql, 0, NULL, count_row, &c, &err), ERR_DATABASE);
	ck_assert_str_eq(err.sqlstate, "22012");
	ck_assert_uint_eq(c.rows, 499);
	FAILS(db_stream(db, &command, 0, NULL, count_row, &c, &err), ERR_DATABASE);
	ck_assert_int_eq(value(db, "SELECT 1"), 1);
	talloc_free(db);
}
END_TEST

START_TEST(test_copy)
{
	static const struct sql sql = {"q_copy", "COPY t (a, b) FROM STDIN"},
				no = {"q_no_copy", "COPY nothing FROM STDIN"}, select = {"q_select", "SELECT 1"};
	struct db *db = open_db();
	char *big = mem_array(db, char, 3 << 20);
	struct err err;

	run(db, "CREATE TEMP TABLE t (a bigint, b text)");
	OK(db_copy_in_begin(db, &sql, &err));
	FAILS(try_run(db, "SELECT 1", &err), ERR_INTERNAL); /* in between */
	OK(db_copy_in_data(db, "1\tone\n2\t\\N\n", 11, &err));
	memset(big, 'x', (3 << 20) - 1);
	OK(db_copy_in_data(db, "3\t", 2, &err));
	OK(db_copy_in_data(db, big, (3 << 20) - 1, &err));
	OK(db_copy_in_data(db, "\n", 1, &err));
	OK(db_copy_in_end(db, &err));
	ck_assert_int_eq(value(db, "SELECT sum(a) * 10 + count(b) FROM t"), 62);
	OK(db_copy_in_begin(db, &sql, &err));
	OK(db_copy_in_data(db, "s3cret\tx\n", 9, &err));
	FAILS(db_copy_in_end(db, &err), ERR_DATABASE);
	SAYS("q_copy");
	SAYS_NOT("s3cret");
	FAILS(db_copy_in_begin(db, &no, &err), ERR_SCHEMA);
	FAILS(db_copy_in_begin(db, &select, &err), ERR_DATABASE);
	/* left half way: rollback ends it */
	OK(db_begin(db, DB_EXPORT_SNAPSHOT, &err));
	OK(db_copy_in_begin(db, &sql, &err));
	OK(db_copy_in_data(db, "9\tx\n", 4, &err));
	db_rollback(db);
	ck_assert_int_eq(value(db, "SELECT count(*) FROM t"), 3);
	talloc_free(db);
}
END_TEST

START_TEST(test_transactions)
{
	struct db *db = open_db();
	struct err err;

	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	FAILS(try_run(db, "CREATE TABLE never (a int)", &err), ERR_PERMISSION);
	ck_assert_str_eq(err.sqlstate, "25006");
	FAILS(db_commit(db, &err), ERR_DATABASE); /* the server rolled back */
	OK(db_begin(db, DB_EXPORT_SNAPSHOT, &err));
	run(db, "CREATE TEMP TABLE t (a int) ON COMMIT DROP");
	char level[64];
	text_value(db, "SHOW transaction_isolation", level, sizeof(level));
	ck_assert_str_eq(level, "repeatable read");
	OK(db_commit(db, &err));
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	run(db, "CREATE TEMP TABLE t (a int)");
	db_rollback(db);
	db_rollback(db); /* nothing to do */
	FAILS(try_run(db, "SELECT * FROM t", &err), ERR_SCHEMA);
	talloc_free(db);
}
END_TEST

/* Undone alone, also when the server has refused a statement, and with the settings that were made since. */
START_TEST(test_savepoint)
{
	static const struct sql twice = {"savepoint_twice", "SELECT 2 * $1::int"};
	const char *seven = "7";
	struct db *db = open_db();
	struct err err;

	OK(db_begin(db, DB_READ_COMMITTED, &err));
	run(db, "CREATE TEMP TABLE t (a int) ON COMMIT DROP");
	OK(db_savepoint(db, &err));
	run(db, "INSERT INTO t VALUES (1)");
	OK(db_savepoint(db, &err));
	run(db, "INSERT INTO t VALUES (2)");
	OK(db_query_prepared(NULL, db, &twice, DB_ONE, 1, &seven, NULL, &err));
	FAILS(try_run(db, "INSERT INTO t VALUES (1 / 0)", &err), ERR_DATABASE);
	OK(db_savepoint_undo(db, &err));
	OK(db_query_prepared(NULL, db, &twice, DB_ONE, 1, &seven, NULL, &err));
	OK(db_savepoint(db, &err));
	run(db, "INSERT INTO t VALUES (3)");
	OK(db_savepoint_undo(db, &err));
	run(db, "INSERT INTO t VALUES (4)");
	OK(db_savepoint_undo(db, &err)); /* the same place again */
	ck_assert_int_eq(value(db, "SELECT sum(a) FROM t"), 1);
	OK(db_commit(db, &err));
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	OK(db_savepoint(db, &err)); /* the one of the transaction before went with it */
	OK(db_commit(db, &err));
	talloc_free(db);
}
END_TEST

START_TEST(test_shared_snapshot)
{
	struct db *first = open_db(), *second = open_db(), *writer = open_db();
	struct err err;
	char *name;

	run(writer, "CREATE TABLE snapshot_rows (a int)");
	OK(db_begin(first, DB_READ_SNAPSHOT, &err));
	OK(db_snapshot_export(first, first, &name, &err));
	run(writer, "INSERT INTO snapshot_rows VALUES (1)");
	OK(db_snapshot_begin(second, name, DB_READ_SNAPSHOT, &err));
	ck_assert_int_eq(value(second, "SELECT count(*) FROM snapshot_rows"), 0);
	FAILS(try_run(second, "INSERT INTO snapshot_rows VALUES (2)", &err), ERR_PERMISSION);
	db_rollback(second);
	ck_assert_int_eq(value(second, "SELECT count(*) FROM snapshot_rows"), 1);
	db_rollback(first);
	/* it ended with its transaction */
	FAILS(db_snapshot_begin(second, name, DB_READ_SNAPSHOT, &err), ERR_DATABASE);
	db_rollback(second);
	FAILS(db_snapshot_begin(second, "1'; DROP TABLE snapshot_rows; --", DB_READ_SNAPSHOT, &err), ERR_INTERNAL);
	run(writer, "DROP TABLE snapshot_rows");
	talloc_free(first);
	talloc_free(second);
	talloc_free(writer);
}
END_TEST

START_TEST(test_copy_across)
{
	static const struct sql out = {"across_out",
				       "COPY (SELECT i, repeat('x', i % 100000) FROM generate_series(1, 100100) i "
				       "WHERE i < 5000 OR i > 99990) TO STDOUT (FORMAT binary)"},
				fails_late = {"across_late", "COPY (SELECT i, repeat('x', 9000 / (3000 - i)) FROM "
							     "generate_series(1, 5000) i) TO STDOUT (FORMAT binary)"},
				no_copy = {"across_none", "SELECT 1"},
				in = {"across_in", "COPY across FROM STDIN (FORMAT binary)"},
				other = {"across_other", "COPY across_other FROM STDIN (FORMAT binary)"};
	struct db *from = open_db(), *to = open_db();
	struct err err;

	run(to, "CREATE TEMPORARY TABLE across (i int, t text)");
	run(to, "CREATE TEMPORARY TABLE across_other (i int)");
	OK(db_begin(from, DB_EXPORT_SNAPSHOT, &err));
	OK(db_begin(to, DB_EXPORT_SNAPSHOT, &err));
	OK(db_copy_across(from, &out, to, &in, &err));
	ck_assert_int_eq(value(to, "SELECT count(*) FROM across"), 4999 + 110);
	ck_assert_int_eq(value(to, "SELECT count(*) FROM across WHERE length(t) <> i % 100000"), 0);
	FAILS(db_copy_across(from, &out, to, &other, &err), ERR_DATABASE);   /* a column too many */
	db_rollback(to);
	OK(db_begin(to, DB_EXPORT_SNAPSHOT, &err));
	FAILS(db_copy_across(from, &fails_late, to, &in, &err), ERR_DATABASE); /* rows had passed */
	db_rollback(to);
	db_rollback(from);
	ck_assert_int_eq(value(to, "SELECT count(*) FROM across"), 0);
	OK(db_begin(to, DB_EXPORT_SNAPSHOT, &err));
	FAILS(db_copy_across(from, &no_copy, to, &in, &err), ERR_DATABASE);
	db_rollback(to);
	ck_assert_int_eq(value(from, "SELECT 1"), 1); /* both go on */
	ck_assert_int_eq(value(to, "SELECT 1"), 1);
	talloc_free(from);
	talloc_free(to);
}
END_TEST

START_TEST(test_awake)
{
	static const struct sql sql = {"awake_rows", "SELECT i, repeat('x', 1000) FROM generate_series(1, 2000) i"};
	struct db *db = open_db();
	struct db_cursor *c;
	struct db_row row;
	struct err err;

	run(db, "SET idle_in_transaction_session_timeout = '3s'");
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	db_cursor_beside(db, _i);
	OK(db_cursor_open(db, db, "mmr_awake", &sql, 0, NULL, 500, &c, &err));
	for (int i = 1; i <= 2000; i++) {
		/* beside a page that is under way, or has come, or no more will */
		if (i == 2 || i == 1502 || i == 2000)
			for (int n = 0; n < 9; n++) {
				OK(db_awake(db, &err));
				time_sleep_ms(400);
			}
		ck_assert_int_eq(db_cursor_next(c, &row, &err), 1);
		ck_assert_int_eq(atoi(row.value[0]), i);
	}
	ck_assert_int_eq(db_cursor_next(c, &row, &err), 0);
	talloc_free(db);
}
END_TEST

static void *sleep_long(void *arg)
{
	struct err *err = mem_new(NULL, struct err);

	(void)!try_run(arg, "SELECT pg_sleep(60)", err);
	return err;
}

START_TEST(test_given_up)
{
	struct db *db = open_db();
	int64_t from_ms = time_mono_ms();
	struct err *first, err;
	pthread_t thread;
	void *ret;

	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_long, db), 0);
	time_sleep_ms(100);
	db_give_up(db);
	pthread_join(thread, &ret);
	first = ret;
	ck_assert_int_eq(first->code, -ERR_INTERRUPTED);
	FAILS(try_run(db, "SELECT pg_sleep(60)", &err), ERR_INTERRUPTED);
	ck_assert_int_lt(time_mono_ms() - from_ms, 55000);
	talloc_free(first);
	talloc_free(db);
}
END_TEST

/* The cancel comes while the server's process has not begun with the statement: it forgets about it. */
START_TEST(test_given_up_too_early)
{
	struct db *db = open_db();
	pid_t backend = (pid_t)value(db, "SELECT pg_backend_pid()");
	int64_t from_ms = time_mono_ms();
	struct err *first;
	pthread_t thread;
	void *ret;

	ck_assert_int_eq(kill(backend, SIGSTOP), 0);
	db_give_up(db);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_long, db), 0);
	time_sleep_ms(500);
	ck_assert_int_eq(kill(backend, SIGCONT), 0);
	pthread_join(thread, &ret);
	first = ret;
	ck_assert_int_eq(first->code, -ERR_INTERRUPTED);
	ck_assert_int_lt(time_mono_ms() - from_ms, 55000);
	talloc_free(first);
	talloc_free(db);
}
END_TEST

START_TEST(test_prepared)
{
	static const struct sql sql = {"q_prepared", "SELECT count(*) FROM pg_class WHERE oid = ANY ($1::oid[])"};
	const char *param = "{1,2,3}";
	struct db *db = open_db();
	struct err err;

	OK(db_begin(db, DB_READ_COMMITTED, &err));
	for (int i = 0; i < 3; i++)
		OK(db_query_prepared(db, db, &sql, DB_ONE, 1, &param, NULL, &err));
	ck_assert_int_eq(value(db, "SELECT generic_plans - 1000 * custom_plans FROM pg_prepared_statements WHERE name "
				   "= 'q_prepared'"),
			 3);
	db_rollback(db);
	/* the rollback undid the setting: it is made again */
	for (int i = 0; i < 7; i++)
		OK(db_query_prepared(db, db, &sql, DB_ONE, 1, &param, NULL, &err));
	ck_assert_int_eq(value(db, "SELECT generic_plans - 1000 * custom_plans FROM pg_prepared_statements WHERE name "
				   "= 'q_prepared'"),
			 10);
	char mode[32];
	text_value(db, "SHOW plan_cache_mode", mode, sizeof(mode));
	ck_assert_str_eq(mode, "auto");
	talloc_free(db);
}
END_TEST

TCase *db_live_case(void)
{
	TCase *tc = tcase_create("db");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_session);
	tcase_add_test(tc, test_shapes);
	tcase_add_test(tc, test_affected);
	tcase_add_test(tc, test_array_round_trip);
	tcase_add_test(tc, test_stream);
	tcase_add_test(tc, test_stream_error_half_way);
	tcase_add_test(tc, test_copy);
	tcase_add_test(tc, test_transactions);
	tcase_add_test(tc, test_savepoint);
	tcase_add_test(tc, test_shared_snapshot);
	tcase_add_test(tc, test_copy_across);
	tcase_add_loop_test(tc, test_awake, 0, 2); /* with a thread that takes in pages, and without */
	tcase_add_test(tc, test_given_up);
	tcase_add_test(tc, test_given_up_too_early);
	tcase_add_test(tc, test_prepared);
	return tc;
}
