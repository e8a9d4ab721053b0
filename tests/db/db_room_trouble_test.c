/* db_room_trouble_test.c - what goes wrong between a client and a server, made real. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../engine/db/db_libpq.h"
#include "db_room_tests.h"

START_TEST(test_killed)
{
	struct db *db = open_db(), *killer = open_db();
	struct err err;

	kill_backend(killer, db);
	FAILS(try_run(db, "SELECT 1", &err), ERR_DB_GONE);
	ck_assert(err_retryable(err.code));
	ck_assert(!db_alive(db));
	FAILS(try_run(db, "SELECT 1", &err), ERR_DB_GONE);
	FAILS(db_begin(db, DB_READ_COMMITTED, &err), ERR_DB_GONE);
	db_rollback(db);
	talloc_free(db);
	/* an idle session that was ended is noticed without a statement */
	db = open_db();
	kill_backend(killer, db);
	ck_assert(!db_alive(db));
	talloc_free(db);
	talloc_free(killer);
}
END_TEST

START_TEST(test_killed_before_commit)
{
	struct db *db = open_db(), *killer = open_db();
	struct err err;

	OK(db_begin(db, DB_READ_COMMITTED, &err));
	run(db, "CREATE TABLE never (a int)");
	kill_backend(killer, db);
	FAILS(db_commit(db, &err), ERR_COMMIT_UNKNOWN);
	ck_assert(!err_retryable(err.code));
	FAILS(db_commit(db, &err), ERR_DB_GONE); /* known to be broken before COMMIT was sent */
	talloc_free(db);
	talloc_free(killer);
}
END_TEST

static int cancels;
static int (*real_cancel)(PGcancel *cancel, char *text, int size);

/* The first request is lost on its way. */
static int lose_first(PGcancel *cancel, char *text, int size)
{
	return cancels++ == 0 ? 0 : real_cancel(cancel, text, size);
}

/* A COMMIT that waits for a standby, and a request to cancel it that does not arrive: it is sent again. */
START_TEST(test_commit_cancelled_again)
{
	struct db *db = open_db(), *admin = open_db();
	struct err err;
	int64_t from_ms;

	run(admin, "CREATE TABLE waits (a int)");
	run(admin, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
	run(admin, "SELECT pg_reload_conf()");
	time_sleep_ms(1500);
	real_cancel = libpq.PQcancel_;
	libpq.PQcancel_ = lose_first;
	stop_request(SIGTERM); /* two seconds and not thirty */
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	run(db, "INSERT INTO waits VALUES (1)");
	from_ms = time_mono_ms();
	FAILS(db_commit(db, &err), ERR_COMMIT_UNKNOWN);
	ck_assert_int_lt(time_mono_ms() - from_ms, 20000);
	ck_assert_int_ge(cancels, 2);
	libpq.PQcancel_ = real_cancel;
	stop_request(0);
	talloc_free(db);
	talloc_free(admin);
}
END_TEST

/* Also when that test failed: nobody else could commit. */
static void want_no_standby(void)
{
	struct db *db = open_db();

	run(db, "ALTER SYSTEM RESET synchronous_standby_names");
	run(db, "SELECT pg_reload_conf()");
	time_sleep_ms(1500);
	talloc_free(db);
}

/* A cursor whose session went first has nothing left to touch. */
START_TEST(test_cursor_outlives_session)
{
	static const struct sql sql = {"q_outlives", "SELECT g FROM generate_series(1, 100) g"};
	void *ctx = mem_context(NULL, "cursors");
	struct db *db = open_db();
	struct db_cursor *c[2];
	struct db_row row;
	struct err err;

	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	db_cursor_beside(db, _i);
	OK(db_cursor_open(ctx, db, "mmr_a", &sql, 0, NULL, 10, &c[0], &err));
	OK(db_cursor_open(ctx, db, "mmr_b", &sql, 0, NULL, 10, &c[1], &err));
	ck_assert_int_eq(db_cursor_next(c[0], &row, &err), 1);
	talloc_free(db);
	talloc_free(ctx);
}
END_TEST

struct victim { struct db *killer, *db; uint64_t rows; char statement[96]; };

static int kill_in_stream(void *payload, const struct db_row *row, struct err *err)
{
	struct victim *v = payload;

	(void)row;
	if (v->rows++ == 0 && try_run(v->killer, v->statement, err) < 0)
		return err->code;
	return 0;
}

START_TEST(test_killed_in_stream)
{
	static const struct sql sql = {"q_long", "SELECT repeat('x', 10000) FROM generate_series(1, 100000)"};
	struct victim v = {.killer = open_db(), .db = open_db()};
	struct err err;

	snprintf(v.statement, sizeof(v.statement), "SELECT pg_terminate_backend(%lld)",
		 (long long)value(v.db, "SELECT pg_backend_pid()"));
	FAILS(db_stream(v.db, &sql, 0, NULL, kill_in_stream, &v, &err), ERR_DB_GONE);
	SAYS("q_long");
	talloc_free(v.db);
	talloc_free(v.killer);
}
END_TEST

START_TEST(test_timeouts)
{
	struct db *db = open_db(), *other = open_db();
	struct err err;
	char there[100];

	run(db, "SET statement_timeout = '50ms'");
	FAILS(try_run(db, "SELECT pg_sleep(5)", &err), ERR_DB_BUSY);
	ck_assert_str_eq(err.sqlstate, "57014");
	run(db, "SET statement_timeout = 0");
	run(other, "CREATE TABLE timeouts (a int)");
	OK(db_begin(other, DB_READ_COMMITTED, &err));
	run(other, "LOCK TABLE timeouts");
	run(db, "SET lock_timeout = '50ms'");
	FAILS(try_run(db, "SELECT * FROM timeouts", &err), ERR_DB_BUSY);
	ck_assert_str_eq(err.sqlstate, "55P03");
	ck_assert(err_retryable(err.code));
	db_rollback(other);
	snprintf(there, sizeof there, "SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
		 (long long)value(db, "SELECT pg_backend_pid()"));
	run(db, "SET idle_in_transaction_session_timeout = '20ms'");
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	while (value(other, there))
		time_sleep_ms(20);
	FAILS(try_run(db, "SELECT 1", &err), ERR_DB_GONE);
	run(other, "DROP TABLE timeouts");
	talloc_free(db);
	talloc_free(other);
}
END_TEST

static void *second_half(void *arg)
{
	struct db *db = arg;
	struct err *err = mem_new(NULL, struct err);

	if (try_run(db, "UPDATE locked SET v = v + 1 WHERE id = 1", err) == 0)
		db_rollback(db);
	return err;
}

START_TEST(test_deadlock)
{
	struct db *a = open_db(), *b = open_db();
	struct err err = {0}, *other = NULL;
	pthread_t thread;
	void *ret;

	run(a, "DROP TABLE IF EXISTS locked");
	run(a, "CREATE TABLE locked (id int, v int)");
	run(a, "INSERT INTO locked VALUES (1, 0), (2, 0)");
	run(a, "SET deadlock_timeout = '100ms'");
	run(b, "SET deadlock_timeout = '20s'"); /* so that a finds it */
	OK(db_begin(a, DB_READ_COMMITTED, &err));
	OK(db_begin(b, DB_READ_COMMITTED, &err));
	run(a, "UPDATE locked SET v = 1 WHERE id = 1");
	run(b, "UPDATE locked SET v = 1 WHERE id = 2");
	ck_assert_int_eq(pthread_create(&thread, NULL, second_half, b), 0);
	FAILS(try_run(a, "UPDATE locked SET v = v + 1 WHERE id = 2", &err), ERR_DB_BUSY);
	ck_assert_str_eq(err.sqlstate, "40P01");
	db_rollback(a);
	pthread_join(thread, &ret);
	other = ret;
	ck_assert_int_eq(other->code, 0);
	/* serialization failure */
	OK(db_begin(a, DB_EXPORT_SNAPSHOT, &err));
	run(a, "SELECT * FROM locked");
	run(b, "UPDATE locked SET v = 5");
	FAILS(try_run(a, "UPDATE locked SET v = 6", &err), ERR_DB_BUSY);
	ck_assert_str_eq(err.sqlstate, "40001");
	db_rollback(a);
	run(b, "DROP TABLE locked");
	talloc_free(other);
	talloc_free(a);
	talloc_free(b);
}
END_TEST

/* Values of rows and parameters stay out of messages. */
START_TEST(test_messages)
{
	static const struct sql cast = {"q_cast", "SELECT $1::bigint"}, raise = {"q_in", "SELECT * FROM no_such_table"};
	const char *secret = "s3cret";
	struct db *db = open_db();
	struct err err;

	FAILS(db_query(db, db, &cast, DB_ONE, 1, &secret, NULL, &err), ERR_DATABASE);
	SAYS("q_cast");
	SAYS("22P02");
	SAYS_NOT("s3cret");
	FAILS(db_query(db, db, &raise, DB_ANY, 0, NULL, NULL, &err), ERR_SCHEMA);
	SAYS("no_such_table");
	run(db, "CREATE TEMP TABLE u (a text PRIMARY KEY, b int CHECK (b > 0))");
	run(db, "INSERT INTO u VALUES ('s3cret', 1)");
	FAILS(try_run(db, "INSERT INTO u VALUES ('s3cret', 1)", &err), ERR_DATABASE);
	SAYS("u_pkey");
	SAYS_NOT("s3cret");
	FAILS(try_run(db, "INSERT INTO u VALUES ('s3cret2', -1)", &err), ERR_DATABASE);
	SAYS_NOT("s3cret");
	run(db, "CREATE TEMP TABLE child (a text REFERENCES u)");
	run(db, "INSERT INTO child VALUES ('s3cret')");
	FAILS(try_run(db, "DELETE FROM u", &err), ERR_SCHEMA);
	ck_assert_str_eq(err.sqlstate, "23503");
	SAYS_NOT("s3cret");
	talloc_free(db);
}
END_TEST

TCase *db_trouble_case(void)
{
	TCase *tc = tcase_create("trouble");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_killed);
	tcase_add_test(tc, test_killed_before_commit);
	tcase_add_loop_test(tc, test_cursor_outlives_session, 0, 2);
	tcase_add_test(tc, test_killed_in_stream);
	tcase_add_test(tc, test_timeouts);
	tcase_add_test(tc, test_deadlock);
	tcase_add_test(tc, test_messages);
	return tc;
}

TCase *db_standby_case(void)
{
	TCase *tc = tcase_create("standby");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, NULL, want_no_standby);
	tcase_add_test(tc, test_commit_cancelled_again);
	return tc;
}
