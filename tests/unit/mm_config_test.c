/* mm_config_test.c - config.json, MM_* variables, service and URL. */
#include <mmretain/mm.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm_internal.h"
#include "mm_tests.h"

static char folder[64], path[128];

static void write_config(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

static void setup(void)
{
	static const char *const names[] = {"MM_CONFIG", "MM_SQLSETTINGS_DATASOURCE", "MM_SQLSETTINGS_DRIVERNAME",
					    "MM_FILESETTINGS_DIRECTORY", "MM_FILESETTINGS_DRIVERNAME",
					    "MM_FILESETTINGS_AMAZONS3SECRETACCESSKEY", "MM_FILESETTINGS_AMAZONS3SSL",
					    "MM_FILESETTINGS_AMAZONS3REGION"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
	strcpy(folder, "/tmp/mm-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/config", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/config/config.json", folder);
}

static void teardown(void)
{
	char sub[128];

	unlink(path);
	snprintf(sub, sizeof(sub), "%s/config", folder);
	rmdir(sub);
	rmdir(folder);
}

static int read_it(void *ctx, struct mm_config **ret, struct err *err)
{
	struct mm_source source = {.mattermost_config = path};

	*err = (struct err){0};
	return mm_config_read(ctx, &source, ret, err);
}

#define LOCAL_DSN "\"DataSource\": \"postgres://mm:s3cret@localhost/mm?sslmode=disable&binary_parameters=yes\""

START_TEST(test_whole)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;
	char data[128];

	write_config("{\"SqlSettings\": {\"DriverName\": \"postgres\", " LOCAL_DSN "},"
		     " \"FileSettings\": {\"DriverName\": \"local\", \"Directory\": \"./data/\"}}");
	ck_assert_msg(read_it(ctx, &c, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(c->conninfo, "user='mm' password='s3cret' host='localhost' dbname='mm' sslmode='disable'");
	ck_assert_str_eq(c->file_driver, "local");
	snprintf(data, sizeof(data), "%s/data/", folder);
	ck_assert_str_eq(c->data_path, data);
}
END_TEST

static void check_data_path(const char *place, const char *want)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	const struct mm_source source = {.mattermost_config = place};
	struct mm_config *c = NULL;
	struct err err = {0};

	ck_assert_msg(mm_config_read(ctx, &source, &c, &err) == 0, "%s: %s", place, err.msg);
	ck_assert_msg(strcmp(c->data_path, want) == 0, "%s: %s instead of %s", place, c->data_path, want);
}

/* A configuration that lies elsewhere, behind a link in the server's folder: the folder is the server's. */
START_TEST(test_link)
{
	char data[128], real[128], config[128], *cwd = getcwd(NULL, 0);

	snprintf(real, sizeof(real), "%s/elsewhere", folder);
	snprintf(config, sizeof(config), "%s/config", folder);
	snprintf(data, sizeof(data), "%s/data/", folder);
	write_config("{\"SqlSettings\": {\"DriverName\": \"postgres\", " LOCAL_DSN "}}");
	ck_assert_int_eq(chdir(config), 0);
	check_data_path("config.json", data);
	check_data_path("../config//config.json", data);
	check_data_path("./config.json", data);
	ck_assert_int_eq(chdir(cwd), 0);
	ck_assert_int_eq(rename(path, real), 0);
	ck_assert_int_eq(symlink(real, path), 0);
	check_data_path(path, data);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rename(real, path), 0);
	ck_assert_int_eq(mkdir(real, 0700), 0);
	snprintf(real, sizeof(real), "%s/elsewhere/deeper", folder);
	ck_assert_int_eq(rename(config, real), 0);
	ck_assert_int_eq(symlink(real, config), 0);
	check_data_path(path, data);
	ck_assert_int_eq(unlink(config), 0);
	ck_assert_int_eq(rename(real, config), 0);
	snprintf(real, sizeof(real), "%s/elsewhere", folder);
	ck_assert_int_eq(rmdir(real), 0);
	free(cwd);
}
END_TEST

START_TEST(test_defaults)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;
	char data[128];

	write_config("{\"SqlSettings\": {" LOCAL_DSN "}, \"FileSettings\": {\"Directory\": null}}");
	ck_assert_msg(read_it(ctx, &c, &err) == 0, "%s", err.msg);
	snprintf(data, sizeof(data), "%s/data/", folder);
	ck_assert_str_eq(c->data_path, data);
	ck_assert_str_eq(c->file_driver, "local");
}
END_TEST

START_TEST(test_environment_wins)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	write_config("{\"SqlSettings\": {\"DriverName\": \"mysql\", \"DataSource\": \"old\"}, \"FileSettings\": "
		     "{\"Directory\": \"x\"}}");
	setenv("MM_SQLSETTINGS_DRIVERNAME", "postgres", 1);
	setenv("MM_SQLSETTINGS_DATASOURCE", "host=/run user=env", 1);
	setenv("MM_FILESETTINGS_DIRECTORY", "/srv/data", 1);
	ck_assert_msg(read_it(ctx, &c, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(c->conninfo, "host='/run' user='env'");
	ck_assert_str_eq(c->data_path, "/srv/data");
	setenv("MM_FILESETTINGS_DRIVERNAME", "amazons3", 1);
	ck_assert_int_eq(read_it(ctx, &c, &err), 0);
	ck_assert_str_eq(c->file_driver, "amazons3");
	ck_assert_ptr_null(c->data_path);
}
END_TEST

/* Out of the file, and out of the environment, which beats it. */
START_TEST(test_bucket)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	write_config("{\"SqlSettings\": {" LOCAL_DSN "}, \"FileSettings\": {\"DriverName\": \"amazons3\", "
						     "\"AmazonS3Bucket\": \"files\", \"AmazonS3PathPrefix\": \"/mm/\","
		     " \"AmazonS3Endpoint\": \"s3.example.org\", \"AmazonS3SSL\": false, \"AmazonS3AccessKeyId\": "
		     "\"id\", \"AmazonS3SecretAccessKey\": \"s3cret\","
		     " \"AmazonS3RequestTimeoutMilliseconds\": 5000}}");
	ck_assert_msg(read_it(ctx, &c, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(c->bucket->bucket, "files");
	ck_assert_str_eq(c->bucket->prefix, "/mm/");
	ck_assert_str_eq(c->bucket->endpoint, "s3.example.org");
	ck_assert_str_eq(c->bucket->keys.secret, "s3cret");
	ck_assert(!c->bucket->tls && !c->bucket->sign_v2 && !c->bucket->region && c->bucket->timeout_ms == 5000);
	setenv("MM_FILESETTINGS_AMAZONS3SECRETACCESSKEY", "other", 1);
	setenv("MM_FILESETTINGS_AMAZONS3SSL", "true", 1);
	setenv("MM_FILESETTINGS_AMAZONS3REGION", "eu-central-1", 1);
	ck_assert_int_eq(read_it(ctx, &c, &err), 0);
	ck_assert_str_eq(c->bucket->keys.secret, "other");
	ck_assert_str_eq(c->bucket->region, "eu-central-1");
	ck_assert(c->bucket->tls);
	setenv("MM_FILESETTINGS_AMAZONS3SSL", "tru", 1);
	ck_assert_int_eq(read_it(ctx, &c, &err), -ERR_POLICY);
	ck_assert_msg(strstr(err.msg, "AMAZONS3SSL"), "%s", err.msg);
}
END_TEST

/* No message has a key in it. */
START_TEST(test_bucket_of_other_types)
{
	static const char *const field[] = {"AmazonS3Bucket\": 7", "AmazonS3SSL\": \"s3cret\"",
					    "AmazonS3SecretAccessKey\": [\"s3cret\"]",
					    "AmazonS3RequestTimeoutMilliseconds\": \"s3cret\""};
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		auto_mem char *text = mem_printf(NULL,
						 "{\"SqlSettings\": {" LOCAL_DSN
						 "}, \"FileSettings\": {\"DriverName\": \"amazons3\", \"%s}}",
						 field[i]);

		write_config(text);
		ck_assert_msg(read_it(ctx, &c, &err) == -ERR_POLICY, "%zu", i);
		ck_assert_msg(strstr(err.msg, "AmazonS3") && !strstr(err.msg, "s3cret"), "%s", err.msg);
	}
}
END_TEST

static const struct { const char *text, *says; int code;
} bad[] = {
	{"", "not a JSON object", -ERR_POLICY},
	{"[]", "not a JSON object", -ERR_POLICY},
	{"{\"SqlSettings\": {\"DataSource\": \"s3cret\",}}", "line 1: not a JSON object", -ERR_POLICY},
	{"{\"SqlSettings\": {}, \"SqlSettings\": {}}", "not a JSON object", -ERR_POLICY},
	{"{}", "SqlSettings.DataSource is empty", -ERR_POLICY},
	{"{\"SqlSettings\": []}", "SqlSettings.DataSource is empty", -ERR_POLICY},
	{"{\"SqlSettings\": {\"DataSource\": 7}}", "SqlSettings.DataSource is not a text", -ERR_POLICY},
	{"{\"SqlSettings\": {\"DriverName\": \"mysql\", \"DataSource\": \"u:s3cret@tcp(h)/d\"}}",
	 "only postgres is supported", -ERR_POLICY},
	{"{\"SqlSettings\": {\"DataSource\": \"u:s3cret@tcp(h)/d\"}}", "neither a postgres:// URL", -ERR_DATABASE},
	{"{\"SqlSettings\": {\"DataSource\": \"postgres://u:s3cret@far/d\"}}",
	 "database host \"far\" is another machine and sslmode=require does not prove who answers", -ERR_DATABASE},
	{"{\"SqlSettings\": {\"DataSource\": \"postgres://u:s3cret@localhost,far/d?sslmode=disable\"}}",
	 "\"far\" is another machine", -ERR_DATABASE},
	{"{\"SqlSettings\": {\"DataSource\": \"postgres://u:s3cret@localhost/d?sslmode=verify-ca&hostaddr=10.1.1.1\"}}",
	 "\"10.1.1.1\" is another machine and sslmode=verify-ca", -ERR_DATABASE},
	{"{\"SqlSettings\": {\"DataSource\": \"postgres://u:s3cret@127.evil.example/d?sslmode=disable\"}}",
	 "\"127.evil.example\" is another machine", -ERR_DATABASE},
};

START_TEST(test_bad)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	write_config(bad[_i].text);
	ck_assert_int_eq(read_it(ctx, &c, &err), bad[_i].code);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s", err.msg);
	ck_assert_ptr_null(strstr(err.msg, "s3cret"));
	ck_assert_ptr_null(strstr(err.hint, "s3cret"));
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(test_verified_far_host)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	write_config("{\"SqlSettings\": {\"DataSource\": "
		     "\"postgres://u@far/d?sslmode=verify-full&sslrootcert=/etc/ca.pem\"}}");
	ck_assert_msg(read_it(ctx, &c, &err) == 0, "%s", err.msg);
}
END_TEST

START_TEST(test_file_kinds)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	ck_assert_int_eq(read_it(ctx, &c, &err), -ERR_POLICY); /* missing */
	write_config("{\"SqlSettings\": {" LOCAL_DSN "}}");
	ck_assert_int_eq(chmod(path, 0602), 0);
	ck_assert_int_eq(read_it(ctx, &c, &err), -ERR_PERMISSION);
	ck_assert_ptr_nonnull(strstr(err.hint, "chmod o-w"));
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(read_it(ctx, &c, &err), -ERR_POLICY); /* and does not hang */
}
END_TEST

START_TEST(test_service_and_url)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_source service = {.service = "it's mine"}, url = {.url = "postgres:///mm"},
			 both = {.service = "a", .url = "b"};
	struct mm_config *c = NULL;
	struct err err = {0};

	ck_assert_int_eq(mm_config_read(ctx, &service, &c, &err), 0);
	ck_assert_str_eq(c->conninfo, "service='it\\'s mine'");
	ck_assert_str_eq(c->file_driver, "");
	ck_assert_ptr_null(c->data_path);
	ck_assert_int_eq(mm_config_read(ctx, &url, &c, &err), 0);
	ck_assert_str_eq(c->conninfo, "dbname='mm'");
	setenv("MM_FILESETTINGS_DIRECTORY", "/srv/data", 1);
	ck_assert_int_eq(mm_config_read(ctx, &url, &c, &err), 0);
	ck_assert_str_eq(c->data_path, "/srv/data");
	ck_assert_str_eq(c->file_driver, "local");
	ck_assert_int_eq(mm_config_read(ctx, &both, &c, &err), -ERR_POLICY);
}
END_TEST

/* What the policy names is it, whatever the environment and the server's configuration say. */
START_TEST(test_files_of_policy)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_source source[] = {{.service = "mm", .files = "/srv/files"},
				     {.url = "postgres:///mm", .files = "/srv/files"},
				     {.mattermost_config = path, .files = "/srv/files"}};
	struct mm_config *c = NULL;
	struct err err = {0};

	write_config("{\"SqlSettings\": {" LOCAL_DSN
		     "}, \"FileSettings\": {\"DriverName\": \"amazons3\", \"Directory\": \"./data/\"}}");
	for (int with_environment = 0; with_environment < 2; with_environment++) {
		for (size_t i = 0; i < ARRAY_LEN(source); i++) {
			ck_assert_msg(mm_config_read(ctx, &source[i], &c, &err) == 0, "%s", err.msg);
			ck_assert_str_eq(c->data_path, "/srv/files");
			ck_assert_str_eq(c->file_driver, "local");
		}
		setenv("MM_FILESETTINGS_DIRECTORY", "/srv/data", 1);
		setenv("MM_FILESETTINGS_DRIVERNAME", "amazons3", 1);
	}
}
END_TEST

START_TEST(test_other_store)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	struct mm_config *c = NULL;
	struct err err;

	write_config("{\"SqlSettings\": {" LOCAL_DSN "}}");
	setenv("MM_CONFIG", "postgres://u:s3cret@localhost/cfg", 1);
	ck_assert_int_eq(read_it(ctx, &c, &err), -ERR_POLICY);
	ck_assert_ptr_null(strstr(err.msg, "s3cret"));
	setenv("MM_CONFIG", path, 1);
	ck_assert_int_eq(read_it(ctx, &c, &err), 0);
}
END_TEST

TCase *mm_config_case(void)
{
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_whole);
	tcase_add_test(tc, test_link);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_environment_wins);
	tcase_add_test(tc, test_bucket);
	tcase_add_test(tc, test_bucket_of_other_types);
	tcase_add_loop_test(tc, test_bad, 0, (int)ARRAY_LEN(bad));
	tcase_add_test(tc, test_verified_far_host);
	tcase_add_test(tc, test_file_kinds);
	tcase_add_test(tc, test_service_and_url);
	tcase_add_test(tc, test_files_of_policy);
	tcase_add_test(tc, test_other_store);
	return tc;
}
