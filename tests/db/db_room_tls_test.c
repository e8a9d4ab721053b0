/* db_room_tls_test.c - a session by TLS. */
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"

static struct db *open_tls(void)
{
	const char *more = getenv("MMR_TEST_TLS");
	struct db_options options = {.conninfo = conninfo(more ?: ""),
				     .statement_timeout_ms = 60000,
				     .lock_timeout_ms = 60000};
	struct db *db = NULL;
	struct err err;

	if (more)
		OK(db_open(NULL, &options, &db, &err));
	return db;
}

/* A record of 16 KiB goes into libpq's buffer in parts when that has less room; the rest waits where poll() does not
 * look. */
START_TEST(test_large_records)
{
	struct db *db = open_tls();
	char text[128];
	struct err err;

	for (int rows = 1; db && rows < 60; rows++) {
		int64_t start_ms = time_mono_ms();

		snprintf(text, sizeof text, "SELECT repeat('x', %d) FROM generate_series(1, %d)", _i, rows);
		OK(try_run(db, text, &err));
		ck_assert_msg(time_mono_ms() - start_ms < 200, "%lld ms for %d rows of %d bytes",
			      (long long)(time_mono_ms() - start_ms), rows, _i);
	}
	talloc_free(db);
}
END_TEST

/* The same of a page that was asked for ahead: it is all here and the server silent, which would end the session for
 * that some day. */
START_TEST(test_large_records_ahead)
{
	static const struct sql sql = {"q_ahead", "SELECT repeat('x', 7000) FROM generate_series(1, 100)"};
	struct db *db = open_tls(), *other = open_db();
	char text[128], before[64], after[64];
	struct db_cursor *c;
	struct db_row row;
	struct err err;

	if (db)
		snprintf(text, sizeof text, "SELECT state_change::text FROM pg_stat_activity WHERE pid = %lld",
			 (long long)value(db, "SELECT pg_backend_pid()"));
	for (int rows = 1; db && rows < 20; rows++) {
		db_cursor_beside(db, _i);
		OK(db_begin(db, DB_READ_SNAPSHOT, &err));
		OK(db_cursor_open(db, db, "mmr_ahead", &sql, 0, NULL, rows, &c, &err));
		ck_assert_int_eq(db_cursor_next(c, &row, &err), 1);
		time_pause_ms(20);
		text_value(other, text, before, sizeof before);
		snprintf(after, sizeof after, "%s", before);
		for (int n = 0; n < 100 && !strcmp(before, after); n++) { /* each time as much as the socket holds */
			OK(db_awake(db, &err));
			time_pause_ms(2);
			text_value(other, text, after, sizeof after);
		}
		ck_assert_msg(strcmp(before, after), "pages of %d rows", rows);
		OK(db_cursor_close(c, &err));
		db_rollback(db);
	}
	talloc_free(other);
	talloc_free(db);
}
END_TEST

TCase *db_tls_case(void)
{
	TCase *tc = tcase_create("tls");
	static const int widths[] = {1000, 3000, 5000, 7000, 9000};

	tcase_set_timeout(tc, 60);
	for (size_t i = 0; i < ARRAY_LEN(widths); i++)
		tcase_add_loop_test(tc, test_large_records, widths[i], widths[i] + 1);
	tcase_add_loop_test(tc, test_large_records_ahead, 0, 2);
	return tc;
}
