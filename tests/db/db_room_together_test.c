/* db_room_together_test.c - statements that share a round trip. */
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"

static const struct sql some = {"t_some", "SELECT n::text FROM generate_series(1, 3) n"},
			gone = {"t_gone", "DELETE FROM t WHERE a <= 2"},
			ids = {"t_ids", "SELECT u FROM unnest($1::text[]) u"},
			bad = {"t_bad", "SELECT a / 0 FROM t"};

static struct db *with_table(void)
{
	struct db *db = open_db();

	run(db, "CREATE TEMP TABLE t AS SELECT n AS a FROM generate_series(1, 5) n");
	return db;
}

static void plan_mode_is(struct db *db, const char *wanted)
{
	static const struct sql show = {"t_show", "SELECT pg_catalog.current_setting('plan_cache_mode')"};
	struct db_result *res = NULL;
	struct err err;

	/* as it is: without parameters no plan is chosen */
	OK(db_query_prepared(db, db, &show, DB_ONE, 0, NULL, &res, &err));
	ck_assert_str_eq(db_text(res, 0, 0), wanted);
}

START_TEST(test_begin_together)
{
	struct db *db = with_table();
	char isolation[64];
	struct err err;

	for (int i = 0; i < 2; i++) { /* the second time prepared, and in the mode that the first left */
		const char *array = "{x,\"y z\"}";
		struct db_result *rows = NULL, *named = NULL;
		struct db_call call[] = {{.sql = &some, .ret = &rows, .ctx = db}, {.sql = &gone},
					 {.sql = &ids, .n_params = 1, .params = &array, .ret = &named, .ctx = db}};

		OK(db_begin_together(db, DB_READ_COMMITTED, call, ARRAY_LEN(call), &err));
		ck_assert_int_eq(db_rows(rows), 3);
		ck_assert_str_eq(db_text(rows, 2, 0), "3");
		ck_assert_int_eq(call[1].affected, 2);
		ck_assert_int_eq(db_rows(named), 2);
		ck_assert_str_eq(db_text(named, 1, 0), "y z");
		plan_mode_is(db, "force_generic_plan");
		text_value(db, "SHOW transaction_isolation", isolation, sizeof isolation);
		ck_assert_str_eq(isolation, "read committed");
		db_rollback(db); /* it was a transaction */
		ck_assert_int_eq(value(db, "SELECT count(*) FROM t"), 5);
		plan_mode_is(db, "auto");
	}
	OK(db_begin_together(db, DB_READ_COMMITTED, NULL, 0, &err));
	run(db, "DELETE FROM t WHERE a = 5");
	OK(db_commit(db, &err));
	ck_assert_int_eq(value(db, "SELECT count(*) FROM t"), 4);
	talloc_free(db);
}
END_TEST

/* What comes after a failed one is not done, and nothing stays. */
START_TEST(test_together_fails)
{
	struct db *db = with_table();
	struct db_result *rows = NULL, *never = NULL;
	struct db_call call[] = {{.sql = &some, .ret = &rows, .ctx = db}, {.sql = &gone}, {.sql = &bad},
				 {.sql = &some, .ret = &never, .ctx = db}};
	struct err err;

	FAILS(db_begin_together(db, DB_READ_COMMITTED, call, ARRAY_LEN(call), &err), ERR_DATABASE);
	SAYS("t_bad");
	ck_assert(rows && !never);
	db_rollback(db);
	ck_assert_int_eq(value(db, "SELECT count(*) FROM t"), 5);
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	FAILS(db_query_together(db, call + 1, 3, NULL, NULL, &err), ERR_DATABASE);
	db_rollback(db);
	ck_assert_int_eq(value(db, "SELECT count(*) FROM t"), 5);
	talloc_free(db);
}
END_TEST

/* Much both ways: neither side waits for the other to read. */
START_TEST(test_together_much)
{
	enum { IDS = 200000 };
	struct db *db = with_table();
	struct db_result *rows[4] = {NULL};
	struct db_call call[4];
	struct db_array a;
	const char *array;
	struct err err;

	db_array_init(&a, db);
	for (int i = 0; i < IDS; i++)
		db_array_add(&a, "abcdefghijklmnopqrstuvwxyz", 26);
	array = db_array_text(&a);
	for (size_t i = 0; i < ARRAY_LEN(call); i++)
		call[i] = (struct db_call){.sql = &ids, .n_params = 1, .params = &array, .ret = &rows[i], .ctx = db};
	OK(db_begin_together(db, DB_READ_COMMITTED, call, ARRAY_LEN(call), &err));
	for (size_t i = 0; i < ARRAY_LEN(call); i++)
		ck_assert_int_eq(db_rows(rows[i]), IDS);
	db_rollback(db);
	talloc_free(db);
}
END_TEST

START_TEST(test_together_gone)
{
	struct db *db = with_table(), *killer = open_db();
	struct db_call call = {.sql = &gone};
	struct err err;

	OK(db_begin_together(db, DB_READ_COMMITTED, &call, 1, &err));
	db_rollback(db);
	kill_backend(killer, db);
	FAILS(db_begin_together(db, DB_READ_COMMITTED, &call, 1, &err), ERR_DB_GONE);
	db_rollback(db);
	talloc_free(db);
	talloc_free(killer);
}
END_TEST

TCase *db_together_case(void)
{
	TCase *tc = tcase_create("together");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_begin_together);
	tcase_add_test(tc, test_together_fails);
	tcase_add_test(tc, test_together_much);
	tcase_add_test(tc, test_together_gone);
	return tc;
}
