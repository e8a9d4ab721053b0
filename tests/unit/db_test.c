/* db_test.c - the parts of the db room that need no server: arrays, connection parameters, the password file. */
#include <mmretain/db.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "db_internal.h"
#include "../support/suite.h"

static const struct { const char *item[4]; const char *text; } arrays[] = {
	{{NULL}, "{}"},
	{{"a", NULL}, "{\"a\"}"},
	{{"a", "b", NULL}, "{\"a\",\"b\"}"},
	{{"", "NULL", NULL}, "{\"\",\"NULL\"}"},
	{{"say \"hi\"", "back\\slash", NULL}, "{\"say \\\"hi\\\"\",\"back\\\\slash\"}"},
	{{"{1,2}", "a,b", " x ", NULL}, "{\"{1,2}\",\"a,b\",\" x \"}"},
	{{"'; DROP TABLE posts; --", NULL}, "{\"'; DROP TABLE posts; --\"}"},
	{{"line\nbreak\ttab", "\xf0\x9f\x98\x80", NULL}, "{\"line\nbreak\ttab\",\"\xf0\x9f\x98\x80\"}"},
};

START_TEST(test_array)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct db_array a;

	db_array_init(&a, ctx);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; arrays[_i].item[i]; i++)
			db_array_add(&a, arrays[_i].item[i], strlen(arrays[_i].item[i]));
		ck_assert_str_eq(db_array_text(&a), arrays[_i].text);
		db_array_clear(&a);
	}
}
END_TEST

START_TEST(test_array_other)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct db_array a;

	db_array_init(&a, ctx);
	db_array_add(&a, NULL, 0);
	db_array_add_i64(&a, INT64_MIN);
	db_array_add_i64(&a, 7);
	ck_assert_str_eq(db_array_text(&a), "{NULL,-9223372036854775808,7}");
	ck_assert_uint_eq(a.n, 3);
	/* a NUL would cut the text: the server must refuse it rather than see less */
	db_array_clear(&a);
	db_array_add(&a, "a\0b", 3);
	ck_assert_str_eq(db_array_text(&a), "{");
}
END_TEST

static const struct { const char *text; int64_t n; } bigints[] = {
	{"0", 0}, {"7", 7}, {"-1", -1}, {"1700000000000", 1700000000000}, {"-62135596800000", -62135596800000},
	{"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}, {"", 0}, {"12x", 12}, {"-", 0},
};

START_TEST(test_bigint)
{
	ck_assert_int_eq(db_bigint(bigints[_i].text), bigints[_i].n);
}
END_TEST

/* Bytes as array_send writes them: SELECT encode(array_send(ARRAY[1, NULL]::bigint[]), 'hex') and so on. */
START_TEST(test_binary)
{
	static const unsigned char int8s[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 8,
					      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff};
	static const unsigned char tids[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 27, 0, 0, 0,
					     1, 0, 0, 0, 1, 0, 0, 0, 6, 0, 1, 0,  2, 0, 7};
	void *ctx auto_mem = mem_context(NULL, "test");
	struct db_binary a;
	int len;

	db_binary_init(&a, ctx, DB_INT8);
	db_binary_add_i64(&a, -2);
	db_binary_add_null(&a);
	ck_assert_mem_eq(db_binary_data(&a, &len), int8s, sizeof int8s);
	ck_assert_int_eq(len, sizeof int8s);
	db_binary_init(&a, ctx, DB_TID);
	db_binary_add_tid(&a, 65538, 7);
	ck_assert_mem_eq(db_binary_data(&a, &len), tids, sizeof tids);
	ck_assert_int_eq(len, sizeof tids);
}
END_TEST

static const struct { const char *conninfo; int code; } hosts[] = {
	{"dbname=d", 0},
	{"host=/run/postgresql", 0},
	{"host=@abstract", 0},
	{"host=localhost", 0},
	{"host=LOCALHOST", 0},
	{"host=127.0.0.1", 0},
	{"host=127.8.9.1", 0},
	{"host=::1", 0},
	{"host=localhost,/run,127.0.0.1", 0},
	{"host=db.example.org sslmode=verify-full", 0},
	{"host=db.example.org", -ERR_DATABASE},
	{"host=db.example.org sslmode=require", -ERR_DATABASE},
	{"host=db.example.org sslmode=verify-ca", -ERR_DATABASE},
	{"host=localhost,db.example.org", -ERR_DATABASE},
	{"host=localhost hostaddr=10.0.0.1", -ERR_DATABASE},
	{"host=127.0.0.1.example.org", -ERR_DATABASE},
	{"host=localhost.example.org", -ERR_DATABASE},
	{"host=::10", -ERR_DATABASE},
	{"host=", 0},
	{"not a conninfo s3cret", -ERR_DATABASE},
	{"nonsense=s3cret", -ERR_DATABASE},
	{"host='s3cret", -ERR_DATABASE},
};

START_TEST(test_hosts)
{
	struct err err = {0};

	ck_assert_int_eq(db_conninfo_check(hosts[_i].conninfo, &err), hosts[_i].code);
	ck_assert_ptr_null(strstr(err.msg, "s3cret"));
}
END_TEST

START_TEST(test_environment)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	static const char *const names[] = {"PGHOST",	     "PGHOSTADDR",	"PGPORT",	 "PGDATABASE",
					    "PGUSER",	     "PGPASSWORD",	"PGPASSFILE",	 "PGSERVICE",
					    "PGSERVICEFILE", "PGSYSCONFDIR",	"PGOPTIONS",	 "PGAPPNAME",
					    "PGSSLMODE",     "PGSSLROOTCERT",	"PGREQUIREPEER", "PGTZ",
					    "PGDATESTYLE",   "PGCLIENTENCODING"};
	struct db_params p;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		setenv(names[i], "evil", 1);
	ck_assert_int_eq(db_params_resolve(ctx, "dbname=d", &p, &err), 0);
	for (int i = 0; i < p.n; i++)
		ck_assert_str_ne(p.value[i], "evil");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_ptr_null(getenv(names[i]));
	ck_assert_str_eq(db_params_get(&p, "dbname"), "d");
	ck_assert_str_eq(db_params_get(&p, "application_name"), "mmretain");
	ck_assert_str_eq(db_params_get(&p, "host"), "");
}
END_TEST

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(test_service)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	char path[] = "/tmp/db-service-XXXXXX";
	struct db_params p;
	struct err err = {0};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	write_file(path, "[chat]\nhost=far.example.org\ndbname=mm\nsslmode=prefer\n", 0600);
	setenv("PGSERVICEFILE", path, 1);
	setenv("PGHOST", "evil", 1);
	ck_assert_int_eq(db_params_resolve(ctx, "service=chat", &p, &err), 0);
	ck_assert_str_eq(db_params_get(&p, "host"), "far.example.org");
	ck_assert_str_eq(db_params_get(&p, "dbname"), "mm");
	ck_assert_int_eq(db_params_check(&p, &err), -ERR_DATABASE); /* before a byte is sent */
	ck_assert_ptr_null(getenv("PGHOST"));
	ck_assert_ptr_nonnull(getenv("PGSERVICEFILE"));
	unlink(path);
}
END_TEST

static const struct { mode_t mode; int code; } modes[] = {
	{0600, 0}, {0400, 0}, {0640, -ERR_PERMISSION}, {0604, -ERR_PERMISSION}, {0660, -ERR_PERMISSION},
	{0644, -ERR_PERMISSION},
	{0610, -ERR_PERMISSION}, {0666, -ERR_PERMISSION},
};

START_TEST(test_passfile)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	char path[] = "/tmp/db-pass-XXXXXX";
	struct db_params p = {.n = 0};
	struct err err = {0};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	write_file(path, "*:*:*:*:s3cret\n", modes[_i].mode);
	db_params_set(&p, "passfile", path);
	ck_assert_int_eq(db_params_passfile(ctx, &p, &err), modes[_i].code);
	if (modes[_i].code) {
		ck_assert_ptr_nonnull(strstr(err.msg, path));
		ck_assert_ptr_nonnull(strstr(err.hint, "chmod 0600"));
	}
	unlink(path);
}
END_TEST

START_TEST(test_default_passfile)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	char folder[] = "/tmp/db-home-XXXXXX", path[64];
	struct db_params p = {.n = 0};
	struct err err = {0};

	ck_assert_ptr_nonnull(mkdtemp(folder));
	setenv("HOME", folder, 1);
	ck_assert_int_eq(db_params_passfile(ctx, &p, &err), 0); /* none there */
	snprintf(path, sizeof(path), "%s/.pgpass", folder);
	write_file(path, "x", 0644);
	ck_assert_int_eq(db_params_passfile(ctx, &p, &err), -ERR_PERMISSION);
	db_params_set(&p, "password", "given");
	ck_assert_int_eq(db_params_passfile(ctx, &p, &err), 0); /* not looked at */
	unlink(path);
	rmdir(folder);
}
END_TEST

START_TEST(test_no_server)
{
	struct db_options options = {.conninfo = "host=/nonexistent user=u password=s3cret dbname=d"};
	struct err err = {0};
	struct db *db = NULL;

	ck_assert_int_eq(db_open(NULL, &options, &db, &err), -ERR_DATABASE);
	ck_assert_ptr_null(db);
	ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent"));
	ck_assert_ptr_null(strstr(err.msg, "s3cret"));
	ck_assert_ptr_null(strchr(err.msg, '\n'));
	ck_assert_int_ne(err.hint[0], 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("db");
	TCase *tc = tcase_create("db");

	tcase_add_loop_test(tc, test_array, 0, (int)ARRAY_LEN(arrays));
	tcase_add_test(tc, test_array_other);
	tcase_add_loop_test(tc, test_bigint, 0, (int)ARRAY_LEN(bigints));
	tcase_add_test(tc, test_binary);
	tcase_add_loop_test(tc, test_hosts, 0, (int)ARRAY_LEN(hosts));
	tcase_add_test(tc, test_environment);
	tcase_add_test(tc, test_service);
	tcase_add_loop_test(tc, test_passfile, 0, (int)ARRAY_LEN(modes));
	tcase_add_test(tc, test_default_passfile);
	tcase_add_test(tc, test_no_server);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
