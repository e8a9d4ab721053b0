/* mm_dsn_test.c - connection texts of Mattermost's driver, and what libpq gets for them. */
#include <mmretain/mm.h>

#include <string.h>

#include "mm_internal.h"
#include "mm_tests.h"

static const struct { const char *dsn, *conninfo;
} good[] = {
	/* the server's default */
	{"postgres://mmuser:mostest@localhost/mattermost_test?sslmode=disable&connect_timeout=10&binary_parameters=yes",
	 "user='mmuser' password='mostest' host='localhost' dbname='mattermost_test' sslmode='disable' "
	 "connect_timeout='10'"},
	{"postgresql://u:p@h:6543/d?sslmode=verify-full",
	 "user='u' password='p' host='h' port='6543' dbname='d' sslmode='verify-full'"},
	{"postgres://u@localhost/d", "user='u' host='localhost' dbname='d'"},
	{"postgres://u@db.example.org/d", "user='u' host='db.example.org' dbname='d' sslmode='require'"},
	{"postgres://127.0.0.1/d", "host='127.0.0.1' dbname='d'"},
	{"postgres://localhost", "host='localhost'"},
	{"postgres:///d", "dbname='d' host='localhost'"},
	{"postgres://", "host='localhost'"},
	{"postgres://u@/d?host=/var/run/postgresql", "user='u' dbname='d' host='/var/run/postgresql'"},
	{"postgres://u@%2Fvar%2Frun%2Fpostgresql/d", "user='u' host='/var/run/postgresql' dbname='d'"},
	{"postgres://u@%2Ftmp%2Fs:5433/d", "user='u' host='/tmp/s' port='5433' dbname='d'"},
	/* percent signs, quotes, backslashes, blanks */
	{"postgres://u:p%40ss%3Aw%2Frd@localhost/d", "user='u' password='p@ss:w/rd' host='localhost' dbname='d'"},
	{"postgres://u:it%27s@localhost/d", "user='u' password='it\\'s' host='localhost' dbname='d'"},
	{"postgres://u:back%5Cslash@localhost/d", "user='u' password='back\\\\slash' host='localhost' dbname='d'"},
	{"postgres://u:%27%20host%3Devil%20%27@localhost/d",
	 "user='u' password='\\' host=evil \\'' host='localhost' dbname='d'"},
	{"postgres://u:%5C%27@localhost/d", "user='u' password='\\\\\\'' host='localhost' dbname='d'"},
	{"postgres://u:a'b@localhost/d", "user='u' password='a\\'b' host='localhost' dbname='d'"},
	{"postgres://u:p@w@localhost/d", "user='u' password='p@w' host='localhost' dbname='d'"},
	{"postgres://u:a:b@localhost/d", "user='u' password='a:b' host='localhost' dbname='d'"},
	{"postgres://u:%E2%82%AC@localhost/d", "user='u' password='\xe2\x82\xac' host='localhost' dbname='d'"},
	{"postgres://u:a+b@localhost/d", "user='u' password='a+b' host='localhost' dbname='d'"},
	{"postgres://u:@localhost/d", "user='u' host='localhost' dbname='d'"},
	{"postgres://:p@localhost/d", "password='p' host='localhost' dbname='d'"},
	{"postgres://u@localhost/my%20db", "user='u' host='localhost' dbname='my db'"},
	{"postgres://u@localhost/d%3Fx%3Dhost", "user='u' host='localhost' dbname='d?x=host'"},
	/* IPv6, ports, several hosts */
	{"postgres://u@[::1]:5433/d", "user='u' host='::1' port='5433' dbname='d'"},
	{"postgres://u@[2001:db8::7]/d?sslmode=verify-full",
	 "user='u' host='2001:db8::7' dbname='d' sslmode='verify-full'"},
	{"postgres://u@a:1,b:2/d?sslmode=verify-full&target_session_attrs=read-write",
	 "user='u' host='a,b' port='1,2' dbname='d' sslmode='verify-full' target_session_attrs='read-write'"},
	{"postgres://u@a,b:2/d?sslmode=verify-full", "user='u' host='a,b' port=',2' dbname='d' sslmode='verify-full'"},
	{"postgres://u@[::1]:1,[::1]:2/d", "user='u' host='::1,::1' port='1,2' dbname='d'"},
	{"postgres://u@localhost,far/d", "user='u' host='localhost,far' dbname='d' sslmode='require'"},
	{"postgres://u@localhost:/d", "user='u' host='localhost' dbname='d'"},
	/* settings */
	{"postgres://u@localhost/d?search_path=mm", "user='u' host='localhost' dbname='d' options='-c search_path=mm'"},
	{"postgres://u@localhost/d?search_path=%22Mm%22,public&statement_timeout=5000",
	 "user='u' host='localhost' dbname='d' options='-c search_path=\"Mm\",public -c statement_timeout=5000'"},
	{"postgres://u@localhost/d?timezone=Europe/Berlin&options=-c%20work_mem%3D8MB",
	 "user='u' host='localhost' dbname='d' options='-c work_mem=8MB -c timezone=Europe/Berlin'"},
	{"postgres://u@localhost/d?datestyle=ISO,+YMD",
	 "user='u' host='localhost' dbname='d' options='-c datestyle=ISO,\\\\ YMD'"},
	{"postgres://u@localhost/d?x.y=a%5Cb", "user='u' host='localhost' dbname='d' options='-c x.y=a\\\\\\\\b'"},
	{"postgres://u@localhost/d?search_path=a%20-c%20role%3Dpostgres",
	 "user='u' host='localhost' dbname='d' options='-c search_path=a\\\\ -c\\\\ role=postgres'"},
	{"postgres://u@localhost/d?pool_max_conns=4&statement_cache_mode=describe&disable_prepared_binary_result=yes",
	 "user='u' host='localhost' dbname='d'"},
	{"postgres://u@localhost/d?sslmode=&sslrootcert=", "user='u' host='localhost' dbname='d'"},
	{"postgres://u@h/d?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem&sslcert=c&sslkey=k",
	 "user='u' host='h' dbname='d' sslmode='verify-full' sslrootcert='/etc/my ca.pem' sslcert='c' sslkey='k'"},
	{"postgres://u@a/d?host=b&port=7&user=v&password=w&dbname=e&sslmode=disable",
	 "user='v' host='b' dbname='e' port='7' password='w' sslmode='disable'"},
	{"postgres://u@localhost/d?&&application_name=x&", "user='u' host='localhost' dbname='d' application_name='x'"},
	{"postgres://u@localhost?connect_timeout=3", "user='u' host='localhost' connect_timeout='3'"},
	/* key=value */
	{"host=localhost user=u dbname=d", "host='localhost' user='u' dbname='d'"},
	{"host = localhost\tuser= u  dbname =d\n", "host='localhost' user='u' dbname='d'"},
	{"user=u password='it\\'s a \\\\ secret' host=/tmp", "user='u' password='it\\'s a \\\\ secret' host='/tmp'"},
	{"password=a\\ b host=/tmp", "password='a b' host='/tmp'"},
	{"password='' user=u host=localhost", "user='u' host='localhost'"},
	{"user=u password=a=b host=localhost", "user='u' password='a=b' host='localhost'"},
	{"user=u host=far", "user='u' host='far' sslmode='require'"},
	{"user=u binary_parameters=yes statement_timeout=1 hostaddr=10.0.0.1",
	 "user='u' hostaddr='10.0.0.1' sslmode='require' options='-c statement_timeout=1'"},
	{"user=a user=b host=localhost", "user='b' host='localhost'"},
	{"password=#x host=localhost", "password='#x' host='localhost'"},
};

START_TEST(test_good)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct err err = {0};
	char *conninfo = NULL;

	ck_assert_msg(mm_dsn_parse(ctx, good[_i].dsn, MM_DSN_LIB_PQ_GO, &conninfo, &err) == 0, "%s: %s", good[_i].dsn,
		      err.msg);
	ck_assert_str_eq(conninfo, good[_i].conninfo);
}
END_TEST

/* Each holds the word s3cret, which must not come back. */
static const struct { const char *dsn, *says; } bad[] = {
	{"postgres://u:s3cret@h:port/d", "the port is not a number up to 65535"},
	{"postgres://u:s3cret@h:0/d", "the port is not a number up to 65535"},
	{"postgres://u:s3cret@h:70000/d", "the port is not a number up to 65535"},
	{"postgres://u:s3cret@[::1/d", "an IPv6 address needs [ and ]"},
	{"postgres://u:s3cret@[::1]5/d", "an IPv6 address needs [ and ]"},
	{"postgres://u:s3cret%@h/d", "% is not followed by two hexadecimal digits"},
	{"postgres://u:s3cret%4@h/d", "% is not followed by two hexadecimal digits"},
	{"postgres://u:s3cret%zz@h/d", "% is not followed by two hexadecimal digits"},
	{"postgres://u:s3cret%00@h/d", "it contains %00"},
	{"postgres://u:s3cret#@h/d", "# must be written as %23"},
	{"postgres://u:s3cret @h/d", "blanks and control characters must be written as %XX"},
	{"postgres://u:s3cret\n@h/d", "blanks and control characters must be written as %XX"},
	{"postgres://u:s3/cret@h/d", NULL},
	{"postgres://u:s3cret@h/d?sslmode", "a setting after ? has no name or no value"},
	{"postgres://u:s3cret@h/d?=x", "a setting after ? has no name or no value"},
	{"postgres://u:s3cret@h/d?a%20b=c", "a setting has a name with unusual characters"},
	{"postgres://u:s3cret@h/d?1a=c", "a setting has a name with unusual characters"},
	{"postgres://u:s3cret@h/d?sslinline=true", NULL},
	{"postgres://u:s3cret@h/d?service=x", NULL},
	{"postgres://u:s3cret@h/d?replication=database", NULL},
	{"mysql://u:s3cret@h/d", "only postgres:// is supported"},
	{"mmuser:s3cret@tcp(localhost:3306)/mattermost?charset=utf8mb4", NULL},
	{"s3cret", "it is neither a postgres:// URL nor key=value pairs"},
	{"password='s3cret", "a quote or a backslash is not closed"},
	{"password=s3cret\\", "a quote or a backslash is not closed"},
	{"=s3cret", "it is neither a postgres:// URL nor key=value pairs"},
	{"user s3cret", "it is neither a postgres:// URL nor key=value pairs"},
};

START_TEST(test_bad)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct err err = {0};
	char *conninfo = NULL;

	ck_assert_int_eq(mm_dsn_parse(ctx, bad[_i].dsn, MM_DSN_LIB_PQ_GO, &conninfo, &err), -ERR_DATABASE);
	ck_assert_ptr_null(conninfo);
	ck_assert_ptr_null(strstr(err.msg, "s3"));
	ck_assert_ptr_null(strstr(err.hint, "s3"));
	if (bad[_i].says)
		ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s", err.msg);
}
END_TEST

START_TEST(test_libpq_dialect)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct err err = {0};
	char *conninfo = NULL;

	ck_assert_int_eq(mm_dsn_parse(ctx, "postgres:///d", MM_DSN_LIBPQ, &conninfo, &err), 0);
	ck_assert_str_eq(conninfo, "dbname='d'");
	ck_assert_int_eq(mm_dsn_parse(ctx, "postgres://far/d?application_name=a+b", MM_DSN_LIBPQ, &conninfo, &err), 0);
	ck_assert_str_eq(conninfo, "host='far' dbname='d' application_name='a+b'");
}
END_TEST

START_TEST(test_too_long)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct err err = {0};
	char *dsn = mem_array(ctx, char, 100001), *conninfo = NULL;

	memset(dsn, 'x', 100000);
	memcpy(dsn, "postgres://", 11);
	ck_assert_int_eq(mm_dsn_parse(ctx, dsn, MM_DSN_LIB_PQ_GO, &conninfo, &err), -ERR_DATABASE);
}
END_TEST

TCase *mm_dsn_case(void)
{
	TCase *tc = tcase_create("dsn");

	tcase_add_loop_test(tc, test_good, 0, (int)ARRAY_LEN(good));
	tcase_add_loop_test(tc, test_bad, 0, (int)ARRAY_LEN(bad));
	tcase_add_test(tc, test_libpq_dialect);
	tcase_add_test(tc, test_too_long);
	return tc;
}
