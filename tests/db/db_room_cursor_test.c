/* db_room_cursor_test.c - server-side cursors; _i: pages are taken in by a thread. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"

/* A page asked for ahead fails while the rows of another cursor are wanted: what is told is the cause, not that the
 * transaction is over. */
START_TEST(test_cursor_cause)
{
	static const struct sql good = {"q_good", "SELECT g FROM generate_series(1, 100) g"};
	static const struct sql bad = {"q_bad", "SELECT 1 / (15 - g) FROM generate_series(1, 100) g"};
	struct db *db = open_db();
	struct db_cursor *a = NULL, *b = NULL;
	struct db_row row;
	struct err err = {0};
	int rc = 1;

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_a", &good, 0, NULL, 10, &a, &err));
	OK(db_cursor_open(db, db, "mmr_b", &bad, 0, NULL, 10, &b, &err));
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(db_cursor_next(b, &row, &err), 1);
	for (int i = 0; i < 100 && rc == 1; i++)
		rc = db_cursor_next(a, &row, &err);
	ck_assert_int_eq(rc, -ERR_DATABASE);
	ck_assert_str_eq(err.sqlstate, "22012");
	ck_assert_ptr_nonnull(strstr(err.msg, "q_bad"));
	db_rollback(db);
	talloc_free(db);
}
END_TEST

START_TEST(test_cursors)
{
	static const struct sql sql =
		{"q_cursor", "-- a comment first\nSELECT g, NULLIF(g % 2, 0) FROM generate_series(1, $1::int) g;\n"};
	struct db *db = open_db();
	struct db_cursor *a = NULL, *b = NULL;
	const char *n = "2500", *m = "3";
	struct db_row row;
	struct err err;
	int64_t sum = 0;

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_a", &sql, 1, &n, 1000, &a, &err));
	OK(db_cursor_open(db, db, "mmr_b", &sql, 1, &m, 2, &b, &err));
	for (int i = 0; i < 2500; i++) {
		ck_assert_int_eq(db_cursor_next(a, &row, &err), 1);
		sum += strtoll(row.value[0], NULL, 10);
		ck_assert((row.value[1] == NULL) == ((i + 1) % 2 == 0));
		if (i % 1000 == 500) {
			ck_assert_int_eq(db_cursor_next(b, &row, &err), 1);
			ck_assert_int_eq(atoi(row.value[0]), i / 1000 + 1);
		}
	}
	ck_assert_int_eq(db_cursor_next(a, &row, &err), 0);
	ck_assert_int_eq(db_cursor_next(a, &row, &err), 0);
	ck_assert_int_eq(sum, 2500 * 2501 / 2);
	OK(db_cursor_close(a, &err));
	OK(db_cursor_close(b, &err));
	ck_assert_int_eq(value(db, "SELECT count(*) FROM pg_cursors WHERE name LIKE 'mmr_%'"), 0);
	db_rollback(db);
	FAILS(db_cursor_open(db, db, "mmr_c", &sql, 1, &n, 10, &a, &err), ERR_DATABASE); /* needs a transaction */
	talloc_free(db);
}
END_TEST

/* Pages that are wider than memory is meant for, between others: every row as it was, whatever comes between. */
START_TEST(test_cursor_wide)
{
	static const struct sql sql = {"wide_rows", "SELECT i, CASE WHEN i % 100 < 60 THEN repeat(chr(97 + i % 26), i "
						    "% 100 * 10000) END, i * 2 FROM generate_series(1, 300) i"};
	static const struct sql other = {"narrow_rows", "SELECT i FROM generate_series(1, 300) i"};
	struct db *db = open_db();
	struct db_cursor *wide, *narrow;
	struct db_row row, with;
	struct err err;

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_wide", &sql, 0, NULL, 50, &wide, &err));
	OK(db_cursor_open(db, db, "mmr_narrow", &other, 0, NULL, 7, &narrow, &err));
	for (int i = 1; i <= 300; i++) {
		ck_assert_int_eq(db_cursor_next(wide, &row, &err), 1);
		ck_assert_int_eq(db_cursor_next(narrow, &with, &err), 1);
		if (i % 90 == 0)
			ck_assert_int_eq(value(db, "SELECT 1"), 1);
		ck_assert_int_eq(row.columns, 3);
		ck_assert_int_eq(atoi(row.value[0]), i);
		ck_assert_int_eq(atoi(row.value[2]), 2 * i);
		ck_assert((row.value[1] == NULL) == (i % 100 >= 60));
		ck_assert_uint_eq(row.len[1], row.value[1] ? i % 100 * 10000 : 0);
		if (row.value[1])
			/* also ends there */
			ck_assert_uint_eq(strspn(row.value[1], (char[]){(char)('a' + i % 26), '\0'}), row.len[1]);
		ck_assert_int_eq(atoi(with.value[0]), i);
	}
	ck_assert_int_eq(db_cursor_next(wide, &row, &err), 0);
	ck_assert_int_eq(db_cursor_next(narrow, &row, &err), 0);
	talloc_free(db);
}
END_TEST

/* A page that nobody wants any more does not hold up who rolls back. */
START_TEST(test_cursor_unwanted)
{
	static const struct sql sql = {"slow_rows", "SELECT CASE WHEN i > 15 THEN pg_sleep(60)::text END "
						    "FROM generate_series(1, 30) i"};
	struct db *db = open_db();
	struct db_cursor *c;
	struct db_row row;
	struct err err;
	int64_t from_ms = time_mono_ms();

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_slow", &sql, 0, NULL, 10, &c, &err));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(db_cursor_next(c, &row, &err), 1);
	time_sleep_ms(200);
	db_rollback(db);
	ck_assert_int_lt(time_mono_ms() - from_ms, 30000);
	ck_assert_int_eq(value(db, "SELECT count(*) FROM pg_cursors WHERE name LIKE 'mmr_%'"), 0);
	talloc_free(db);
}
END_TEST

/* Between two pages, and while one is under way: what is told is that the session is gone, and nothing waits. */
START_TEST(test_cursor_session_killed)
{
	static const struct sql sql = {"some_rows", "SELECT i, pg_sleep(0.01) FROM generate_series(1, 100000) i"};
	struct db *db = open_db(), *killer = open_db();
	struct db_cursor *c;
	struct db_row row;
	struct err err = {0};
	int64_t pid = value(db, "SELECT pg_backend_pid()");
	char text[96];
	int rc = 1;

	db_cursor_beside(db, _i);
	snprintf(text, sizeof text, "SELECT pg_terminate_backend(%lld)::int", (long long)pid);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_killed", &sql, 0, NULL, 10, &c, &err));
	for (int i = 0; i < 1000 && rc == 1; i++) {
		rc = db_cursor_next(c, &row, &err);
		if (i == 25)
			ck_assert_int_eq(value(killer, text), 1);
	}
	ck_assert_int_eq(rc, -ERR_DB_GONE);
	db_rollback(db);
	talloc_free(c);
	talloc_free(db);
	talloc_free(killer);
}
END_TEST

/* Some that are read, one that was only asked for, one that goes while its page is under way, and the next transaction
 * of the session. */
START_TEST(test_cursor_ends)
{
	static const struct sql sql = {"rows", "SELECT i, pg_sleep(0.001) FROM generate_series(1, 200) i"};
	struct db *db = open_db();
	struct err err;

	db_cursor_beside(db, _i);
	for (int round = 0; round < 3; round++) {
		struct db_cursor *a, *b, *c;
		struct db_row row;

		OK(db_begin(db, DB_READ_SNAPSHOT, &err));
		OK(db_cursor_open(db, db, "mmr_a", &sql, 0, NULL, 10, &a, &err));
		OK(db_cursor_open(db, db, "mmr_b", &sql, 0, NULL, 20, &b, &err));
		OK(db_cursor_open(db, db, "mmr_c", &sql, 0, NULL, 30, &c, &err));
		db_cursor_ask(a);
		db_cursor_ask(c);
		for (int i = 1; i <= 200; i++) {
			ck_assert_int_eq(db_cursor_next(a, &row, &err), 1);
			ck_assert_int_eq(atoi(row.value[0]), i);
			if (i > 30)
				continue;
			ck_assert_int_eq(db_cursor_next(b, &row, &err), 1);
			ck_assert_int_eq(atoi(row.value[0]), i);
		}
		ck_assert_int_eq(db_cursor_next(a, &row, &err), 0);
		OK(db_awake(db, &err));
		talloc_free(c);
		ck_assert_int_eq(db_cursor_next(b, &row, &err), 1);
		ck_assert_int_eq(atoi(row.value[0]), 31);
		OK(db_cursor_close(a, &err));
		if (round == 1)
			OK(db_cursor_close(b, &err));
		db_rollback(db);
		if (round != 1)
			talloc_free(b);
	}
	talloc_free(db);
}
END_TEST

/* A cursor that outlives its transaction, whole or failed, has no rows any more, and is in nobody's way. */
START_TEST(test_cursor_outlives_transaction)
{
	static const struct sql sql = {"old_rows", "SELECT 100 / (40 - i) FROM generate_series(1, 100) i"};
	struct db *db = open_db();
	struct db_cursor *old, *c;
	struct db_row row;
	struct err err;
	int rc = 1, rows = _i < 2 ? 5 : 60; /* 60: beyond the one that fails */

	db_cursor_beside(db, _i % 2);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_old", &sql, 0, NULL, 10, &old, &err));
	for (int i = 0; i < rows && rc == 1; i++)
		rc = db_cursor_next(old, &row, &err);
	ck_assert_int_eq(rc, rows == 5 ? 1 : -ERR_DATABASE);
	db_rollback(db);
	for (int i = 0; i < 10; i++) /* what had come is still there */
		rc = db_cursor_next(old, &row, &err);
	ck_assert_int_eq(rc, -ERR_INTERNAL);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_new", &sql, 0, NULL, 10, &c, &err));
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(db_cursor_next(c, &row, &err), 1);
	db_rollback(db);
	talloc_free(old);
	talloc_free(c);
	ck_assert_int_eq(value(db, "SELECT 7"), 7);
	talloc_free(db);
}
END_TEST

static int read_inside(void *payload, const struct db_row *row, struct err *err)
{
	struct db_cursor *c = payload;
	struct db_row other;
	int rc = 1;

	(void)row;
	for (int i = 0; i < 20 && rc == 1; i++)
		rc = db_cursor_next(c, &other, err);
	return rc;
}

START_TEST(test_cursor_inside_stream)
{
	static const struct sql sql = {"cursor_rows", "SELECT i FROM generate_series(1, 100) i"};
	static const struct sql stream = {"stream_rows", "SELECT i FROM generate_series(1, 100) i"};
	struct db *db = open_db();
	struct db_cursor *c;
	struct db_row row;
	struct err err;

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_inside", &sql, 0, NULL, 10, &c, &err));
	ck_assert_int_eq(db_cursor_next(c, &row, &err), 1);
	FAILS(db_stream(db, &stream, 0, NULL, read_inside, c, &err), ERR_INTERNAL);
	db_rollback(db);
	talloc_free(db);
}
END_TEST

/* What is asked for ahead after a stop request would not be cancelled. */
START_TEST(test_cursor_stop)
{
	static const struct sql slow = {"slow", "SELECT i, pg_sleep(60) FROM generate_series(1, 10) i"};
	static const struct sql quick = {"quick", "SELECT i FROM generate_series(1, 100) i"};
	struct db *db = open_db();
	struct db_cursor *a, *b;
	struct db_row row;
	struct err err;
	int64_t from_ms = time_mono_ms();

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_quick", &quick, 0, NULL, 10, &a, &err));
	OK(db_cursor_open(db, db, "mmr_slow", &slow, 0, NULL, 10, &b, &err));
	ck_assert_int_eq(db_cursor_next(a, &row, &err), 1);
	stop_request(SIGTERM);
	db_cursor_ask(b);
	for (int i = 2; i <= 100; i++) {
		ck_assert_int_eq(db_cursor_next(a, &row, &err), 1);
		ck_assert_int_eq(atoi(row.value[0]), i);
	}
	talloc_free(b);
	talloc_free(a);
	db_rollback(db);
	talloc_free(db);
	stop_request(0);
	ck_assert_int_lt(time_mono_ms() - from_ms, 30000);
}
END_TEST

/* The same where others are asked for behind it, which are refused. */
START_TEST(test_cursor_cause_between)
{
	static const struct sql good = {"q_good", "SELECT g FROM generate_series(1, 1000) g"};
	static const struct sql bad = {"q_bad", "SELECT 1 / (15 - g) FROM generate_series(1, 100) g"};
	static const struct sql behind = {"q_behind", "SELECT g FROM generate_series(1, 1000) g"};
	struct db *db = open_db();
	struct db_cursor *a, *b, *c;
	struct db_row row;
	struct err err = {0};
	int rc = 1;

	db_cursor_beside(db, _i);
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	OK(db_cursor_open(db, db, "mmr_a", &good, 0, NULL, 200, &a, &err));
	OK(db_cursor_open(db, db, "mmr_b", &bad, 0, NULL, 10, &b, &err));
	OK(db_cursor_open(db, db, "mmr_c", &behind, 0, NULL, 200, &c, &err));
	ck_assert_int_eq(db_cursor_next(a, &row, &err), 1);
	ck_assert_int_eq(db_cursor_next(b, &row, &err), 1);
	db_cursor_ask(c);
	for (int i = 0; i < 1000 && rc == 1; i++) {
		rc = db_cursor_next(a, &row, &err);
		if (i % 32 == 0)
			time_sleep_ms(2);
	}
	ck_assert_int_eq(rc, -ERR_DATABASE);
	ck_assert_str_eq(err.sqlstate, "22012");
	SAYS("q_bad");
	db_rollback(db);
	talloc_free(db);
}
END_TEST

TCase *db_cursor_case(void)
{
	TCase *tc = tcase_create("cursor");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_cursors, 0, 2);
	tcase_add_loop_test(tc, test_cursor_cause, 0, 2);
	tcase_add_loop_test(tc, test_cursor_cause_between, 0, 2);
	tcase_add_loop_test(tc, test_cursor_wide, 0, 2);
	tcase_add_loop_test(tc, test_cursor_unwanted, 0, 2);
	tcase_add_loop_test(tc, test_cursor_session_killed, 0, 2);
	tcase_add_loop_test(tc, test_cursor_ends, 0, 2);
	tcase_add_loop_test(tc, test_cursor_outlives_transaction, 0, 4); /* 2, 3: it fails */
	tcase_add_loop_test(tc, test_cursor_inside_stream, 0, 2);
	tcase_add_loop_test(tc, test_cursor_stop, 0, 2);
	return tc;
}
