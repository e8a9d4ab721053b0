/* db_room_lock_test.c - one run per database. */
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"

static const int64_t keys[] = {1, 0x4d4d52, INT64_MAX, INT64_MIN, -1, 0x123456789abcdef0};

START_TEST(test_contention)
{
	struct db *a = open_db(), *b = NULL;
	int64_t start_ms;
	char pid[64];
	struct err err;

	OK(db_open_again(NULL, a, &b, &err));
	OK(db_lock(a, keys[_i], &err));
	OK(db_lock_check(a, keys[_i], &err));
	start_ms = time_mono_ms();
	FAILS(db_lock(b, keys[_i], &err), ERR_LOCKED);
	ck_assert_int_lt(time_mono_ms() - start_ms, 1000);
	snprintf(pid, sizeof(pid), "server process %lld, client local, role ", (long long)value(a, "SELECT pg_backend_pid()"));
	SAYS(pid);
	SAYS(", since 20");
	FAILS(db_lock_check(b, keys[_i], &err), ERR_LOCKED);
	talloc_free(a); /* the holder ends: nothing to clean up */
	OK(db_lock(b, keys[_i], &err));
	OK(db_lock_check(b, keys[_i], &err));
	talloc_free(b);
}
END_TEST

START_TEST(test_lost)
{
	struct db *db = open_db(), *killer = open_db();
	struct err err;

	OK(db_lock(db, 42, &err));
	run(db, "SELECT pg_advisory_unlock_all()"); /* what a pooler does between clients */
	FAILS(db_lock_check(db, 42, &err), ERR_LOCKED);
	SAYS("has lost its lock");
	OK(db_lock(db, 42, &err));
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	db_rollback(db); /* a session lock outlives a transaction */
	OK(db_lock_check(db, 42, &err));
	kill_backend(killer, db);
	FAILS(db_lock_check(db, 42, &err), ERR_DB_GONE);
	OK(db_lock(killer, 42, &err));
	talloc_free(db);
	talloc_free(killer);
}
END_TEST

START_TEST(test_open_again_when_gone)
{
	struct db *a = open_db(), *killer = open_db(), *b = NULL;
	struct err err;

	kill_backend(killer, a);
	OK(db_open_again(NULL, a, &b, &err));
	ck_assert_str_eq(db_text_safe(a), db_text_safe(b));
	talloc_free(a);
	talloc_free(b);
	talloc_free(killer);
}
END_TEST

TCase *db_lock_case(void)
{
	TCase *tc = tcase_create("lock");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_contention, 0, (int)ARRAY_LEN(keys));
	tcase_add_test(tc, test_lost);
	tcase_add_test(tc, test_open_again_when_gone);
	return tc;
}
