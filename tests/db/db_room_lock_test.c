/* db_room_lock_test.c - one run per database. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "db_room_tests.h"

static const int64_t keys[] = {1, 0x4d4d52, INT64_MAX, INT64_MIN, -1, 0x123456789abcdef0};

START_TEST(test_contention)
{
	struct db *a = open_db(), *b = NULL;
	char pid[64];
	struct err err;

	OK(db_open_again(NULL, a, &b, &err));
	OK(db_lock(a, keys[_i], &err));
	OK(db_lock_check(a, keys[_i], &err));
	if (_i)
		stop_request(SIGTERM); /* no patience then */
	FAILS(db_lock(b, keys[_i], &err), ERR_LOCKED);
	stop_request(0);
	snprintf(pid, sizeof(pid), "server process %lld, client local, role ",
		 (long long)value(a, "SELECT pg_backend_pid()"));
	SAYS(pid);
	SAYS(", since 20");
	FAILS(db_lock_check(b, keys[_i], &err), ERR_LOCKED);
	talloc_free(a); /* the holder ends: nothing to clean up */
	OK(db_lock(b, keys[_i], &err));
	OK(db_lock_check(b, keys[_i], &err));
	talloc_free(b);
}
END_TEST

static void *go_on(void *arg)
{
	time_sleep_ms(1500);
	ck_assert_int_eq(kill(*(pid_t *)arg, SIGCONT), 0);
	return NULL;
}

/* A busy server takes its time until it sees that the holder has ended. */
START_TEST(test_slow_end)
{
	struct db *a = open_db(), *b = open_db();
	pthread_t thread;
	struct err err;
	pid_t pid;

	OK(db_lock(a, 42, &err));
	pid = (pid_t)value(a, "SELECT pg_backend_pid()");
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	talloc_free(a);
	ck_assert_int_eq(pthread_create(&thread, NULL, go_on, &pid), 0);
	OK(db_lock(b, 42, &err));
	pthread_join(thread, NULL);
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
	tcase_add_test(tc, test_slow_end);
	tcase_add_test(tc, test_lost);
	tcase_add_test(tc, test_open_again_when_gone);
	return tc;
}
