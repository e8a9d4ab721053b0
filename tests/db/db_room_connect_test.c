/* db_room_connect_test.c - servers that refuse, say nothing, or are something else; a stop while one waits. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db_room_tests.h"

static void *stop_soon(void *arg)
{
	(void)arg;
	time_sleep_ms(100);
	stop_request(SIGTERM);
	return NULL;
}

START_TEST(test_stop)
{
	struct db *db = open_db();
	int64_t start_ms = time_mono_ms();
	pthread_t thread;
	struct err err;

	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	FAILS(try_run(db, "SELECT pg_sleep(60)", &err), ERR_INTERRUPTED);
	ck_assert_int_lt(time_mono_ms() - start_ms, 55000);
	pthread_join(thread, NULL);
	/* what cleans up after a stop still runs */
	OK(db_begin(db, DB_READ_COMMITTED, &err));
	run(db, "SELECT pg_sleep(0.05)");
	OK(db_commit(db, &err));
	talloc_free(db);
}
END_TEST

static int open_with(const char *more, struct err *err)
{
	struct db_options options = {.conninfo = conninfo(more)};
	struct db *db = NULL;
	int r;

	*err = (struct err){0};
	r = db_open(NULL, &options, &db, err);
	talloc_free(db);
	return r;
}

START_TEST(test_refused)
{
	struct db *db = open_db();
	struct err err;

	FAILS(open_with("dbname=no_such_database", &err), ERR_DATABASE);
	SAYS("no_such_database");
	FAILS(open_with("user=no_such_role password=s3cret", &err), ERR_DATABASE);
	SAYS_NOT("s3cret");
	FAILS(open_with("options='-c search_path=nowhere'", &err), ERR_SCHEMA);
	SAYS("no schema of the search path exists");
	FAILS(open_with("host=203.0.113.1", &err), ERR_DATABASE);
	SAYS("sslmode=prefer does not prove who answers");
	FAILS(open_with("nonsense", &err), ERR_DATABASE);
	FAILS(open_with("connect_timeout=soon", &err), ERR_DATABASE);
	SAYS("connect_timeout is not a number of seconds");
	FAILS(open_with("connect_timeout=5min", &err), ERR_DATABASE);
	OK(open_with("connect_timeout=' 5 '", &err));
	run(db, "CREATE DATABASE ascii_room ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	FAILS(open_with("dbname=ascii_room", &err), ERR_DATABASE);
	SAYS("SQL_ASCII");
	run(db, "DROP DATABASE ascii_room");
	talloc_free(db);
}
END_TEST

/* A port that takes connections and never says a word; *ret is its number. */
static int silent_port(int *ret)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret = ntohs(a.sin_port);
	return fd;
}

/* The time is for each address: a server that is silent does not use up that of the next one. */
START_TEST(test_silent)
{
	struct db *db = open_db();
	char more[600], where[400];
	int64_t start_ms = time_mono_ms();
	struct err err;
	int port, fd = silent_port(&port);
	const char *colon;

	snprintf(more, sizeof more, "host=localhost port=%d connect_timeout=2", port);
	FAILS(open_with(more, &err), ERR_DATABASE);
	SAYS("no answer from localhost (127.0.0.1), port");
	SAYS("within 2 s");
	ck_assert_int_ge(time_mono_ms() - start_ms, 1900);
	snprintf(where, sizeof where, "%s", db_text_safe(db));
	ck_assert_ptr_nonnull(colon = strrchr(where, ':'));
	snprintf(more, sizeof more, "host=127.0.0.1,%.*s port=%d,%.*s connect_timeout=5", (int)(colon - where), where,
		 port, (int)strcspn(colon + 1, "/"), colon + 1);
	OK(open_with(more, &err));
	snprintf(more, sizeof more, "host=127.0.0.1,%.*s port=%d,1,2", (int)(colon - where), where, port);
	FAILS(open_with(more, &err), ERR_DATABASE);
	SAYS("could not match 3 port numbers to 2 hosts");
	close(fd);
	talloc_free(db);
}
END_TEST

/* How often somebody has called. */
static int calls(int fd)
{
	int n = 0, one;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (; (one = accept(fd, NULL, NULL)) >= 0; n++)
		close(one);
	return n;
}

/* What the first said is told although another was silent after it; an address in another spelling is the same address,
 * and waited for once. */
START_TEST(test_refused_and_silent)
{
	char more[200];
	struct err err;
	int port, fd = silent_port(&port);

	snprintf(more, sizeof more, "host=127.0.0.1,127.0.0.1,127.0.0.1 port=1,%d,2 connect_timeout=2", port);
	FAILS(open_with(more, &err), ERR_DATABASE);
	SAYS("port 1 failed: Connection refused");
	SAYS("no answer from 127.0.0.1 (127.0.0.1), port");
	SAYS("port 2 failed: Connection refused");
	SAYS_NOT("failed: ;");
	ck_assert_int_eq(calls(fd), 1);
	snprintf(more, sizeof more, "host='' hostaddr=127.1,127.0.1 port=1,%d connect_timeout=2", port);
	FAILS(open_with(more, &err), ERR_DATABASE);
	SAYS("no answer from the server (127.0.0.1), port");
	SAYS("port 1 failed");
	SAYS_NOT("failed: ;");
	ck_assert_int_eq(calls(fd), 1);
	close(fd);
}
END_TEST

/* To its first client a server that is no standby; to the next it says nothing. */
static void *answer_once(void *arg)
{
	static const char hello[] = "R\0\0\0\10\0\0\0\0S\0\0\0\30server_version\00015.0\0S\0\0\0\27in_hot_"
				    "standby\0off\0S\0\0\0\46default_transaction_read_only\0off\0Z\0\0\0\5I";
	int fd = accept(*(int *)arg, NULL, NULL);
	char startup[1024];

	if (fd >= 0 && read(fd, startup, sizeof startup) > 0)
		(void)!write(fd, hello, sizeof hello - 1);
	return fd >= 0 && read(fd, startup, sizeof startup) >= 0 && close(fd) == 0 ? arg : NULL;
}

/* Servers that were passed over for a standby are asked again, each with its own time, also when a standby is silent.
 */
START_TEST(test_prefer_standby)
{
	struct db *db = open_db();
	char more[600], where[400];
	pthread_t thread;
	struct err err;
	int port, fd = silent_port(&port), once_port, once = silent_port(&once_port);
	const char *colon;

	snprintf(where, sizeof where, "%s", db_text_safe(db));
	ck_assert_ptr_nonnull(colon = strrchr(where, ':'));
	snprintf(more, sizeof more,
		 "host=%.*s,127.0.0.1 port=%.*s,%d connect_timeout=2 target_session_attrs=prefer-standby",
		 (int)(colon - where), where, (int)strcspn(colon + 1, "/"), colon + 1, port);
	OK(open_with(more, &err));
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_once, &once), 0);
	snprintf(more, sizeof more, "host=127.0.0.1,%.*s port=%d,%.*s connect_timeout=2 "
				    "target_session_attrs=prefer-standby sslmode=disable gssencmode=disable",
		 (int)(colon - where), where, once_port, (int)strcspn(colon + 1, "/"), colon + 1);
	OK(open_with(more, &err));
	pthread_join(thread, NULL);
	close(once);
	close(fd);
	talloc_free(db);
}
END_TEST

/* The same database behind another socket; without it (a single server by hand) nothing is tested. */
static const char *other_socket(const char *variable)
{
	static char more[512];
	const char *folder = getenv(variable);

	snprintf(more, sizeof(more), "host='%s' port=5432", folder ? folder : "");
	return folder ? more : NULL;
}

START_TEST(test_pooler)
{
	const char *more = other_socket("MMR_TEST_POOLER");
	struct err err;

	if (!more)
		return;
	FAILS(open_with(more, &err), ERR_DATABASE);
	SAYS("a connection pooler answers");
}
END_TEST

START_TEST(test_standby)
{
	const char *more = other_socket("MMR_TEST_STANDBY");
	struct db_options options = {0};
	struct db *db = NULL;
	struct err err;

	if (!more)
		return;
	options.conninfo = conninfo(more);
	OK(db_open(NULL, &options, &db, &err));
	ck_assert(db_in_recovery(db));
	OK(db_begin(db, DB_READ_SNAPSHOT, &err));
	ck_assert_int_eq(value(db, "SELECT count(*) FROM posts WHERE false"), 0);
	db_rollback(db);
	FAILS(try_run(db, "CREATE TABLE never (a int)", &err), ERR_PERMISSION);
	talloc_free(db);
}
END_TEST

/* Look-alikes in a schema of the role's own, odd names of schemas, and temporary tables that would shadow. */
START_TEST(test_search_path)
{
	struct db_options options = {0};
	struct db *db = open_db(), *other = NULL;
	struct err err;

	run(db, "CREATE SCHEMA \"odd \"\"name\"\", public\"");
	run(db, "CREATE TABLE \"odd \"\"name\"\", public\".t AS SELECT 7 AS a");
	options.conninfo = mem_strdup(db, conninfo("options='-c search_path=\"odd\\\\ \"\"name\"\",\\\\ public\"'"));
	OK(db_open(NULL, &options, &other, &err));
	ck_assert_str_eq(db_schema(other), "odd \"name\", public");
	run(other, "CREATE TEMP TABLE t AS SELECT 8 AS a");
	ck_assert_int_eq(value(other, "SELECT a FROM t"), 7);
	ck_assert_int_eq(value(other, "SELECT a FROM pg_temp.t"), 8);
	ck_assert_int_eq(value(other, "SELECT (to_regclass('posts') IS NULL)::int"), 1);
	talloc_free(other);
	run(db, "DROP SCHEMA \"odd \"\"name\"\", public\" CASCADE");
	talloc_free(db);
}
END_TEST

/* A stop does not wait for a server that does not answer. */
START_TEST(test_stop_connect)
{
	int64_t start_ms = time_mono_ms();
	pthread_t thread;
	struct err err;
	char more[64];
	int port, fd = silent_port(&port);

	stop_request(0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	snprintf(more, sizeof more, "host=127.0.0.1 port=%d connect_timeout=50", port);
	FAILS(open_with(more, &err), ERR_INTERRUPTED);
	ck_assert_int_lt(time_mono_ms() - start_ms, 45000);
	pthread_join(thread, NULL);
	close(fd);
}
END_TEST

TCase *db_connect_case(void)
{
	TCase *tc = tcase_create("connect");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_silent);
	tcase_add_test(tc, test_refused_and_silent);
	tcase_add_test(tc, test_prefer_standby);
	tcase_add_test(tc, test_pooler);
	tcase_add_test(tc, test_standby);
	tcase_add_test(tc, test_search_path);
	return tc;
}

/* Last of all: without fork the stop stays requested. */
TCase *db_stop_case(void)
{
	TCase *tc = tcase_create("stop");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_stop);
	tcase_add_test(tc, test_stop_connect);
	return tc;
}
