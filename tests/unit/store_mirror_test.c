/* store_mirror_test.c - what the mirror reads and writes as text: sums, keys of objects, answers, credentials. */
#include "store_s3.h"
#include "store_tests.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the empty text and of "abc": FIPS 180-4, in base64 by openssl. */
static const struct { const char *text, *sum; } sums[] = {
	{"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
	{"abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="},
};

START_TEST(sums_are_written_and_read)
{
	void *ctx = talloc_new(NULL);
	struct digest d, back;
	char text[S3_SUM_TEXT];

	hash_bytes(hash_new(ctx), sums[_i].text, strlen(sums[_i].text), &d);
	s3_sum_text(&d, text);
	ck_assert_str_eq(text, sums[_i].sum);
	ck_assert(s3_sum_parse(text, &back));
	ck_assert_mem_eq(&d, &back, sizeof d);
	talloc_free(ctx);
}
END_TEST

static const char *const no_sums[] = {
	"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3",
	"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
	"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu=U=", "47DEQpj8HBSa_/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
};

/* One over the parts of an object is no sum of it. */
START_TEST(other_sums_are_none)
{
	struct digest d = {{7}};

	ck_assert_msg(!s3_sum_parse(no_sums[_i], &d), "%s", no_sums[_i]);
	ck_assert_int_eq(d.b[0], 7);
}
END_TEST

START_TEST(keys_are_encoded)
{
	void *ctx = talloc_new(NULL);
	struct buf b;

	buf_init(&b, ctx, 1000);
	s3_put_encoded(&b, "a/0=b c+\xc3\xa9~._-", true);
	ck_assert_str_eq(b.data, "a/0%3Db%20c%2B%C3%A9~._-");
	buf_clear(&b);
	s3_put_encoded(&b, "a/b", false);
	ck_assert_str_eq(b.data, "a%2Fb");
	talloc_free(ctx);
}
END_TEST

START_TEST(elements_are_found)
{
	static const char answer[] = "<L><Contents><Key>a&amp;b&#x41;&lt;&unknown;&#99999;</Key><Size>12</Size></"
				     "Contents><Contents><Key></Key></Contents><Key>open";
	void *ctx = talloc_new(NULL);
	const char *at = answer, *inner;
	struct buf b, key;

	buf_init(&b, ctx, 1000);
	buf_init(&key, ctx, 1000);
	ck_assert(s3_element(&at, "Contents", &b));
	inner = b.data;
	ck_assert(s3_element(&inner, "Size", &key));
	ck_assert_str_eq(key.data, "12");
	inner = answer;
	ck_assert(s3_element(&inner, "Key", &key));
	ck_assert_str_eq(key.data, "a&bA<&unknown;&#99999;");
	ck_assert(s3_element(&at, "Contents", &b));
	ck_assert_str_eq(b.data, "<Key></Key>");
	ck_assert(!s3_element(&at, "Contents", &b));
	ck_assert(!s3_element(&at, "Key", &key)); /* not closed */
	talloc_free(ctx);
}
END_TEST

START_TEST(credentials_are_read)
{
	struct err err = {0};
	struct s3_keys k;

	ck_assert_int_eq(s3_keys_parse("; a comment\n[other]\naws_access_key_id = no\n[default]\r\n  "
				       "AWS_access_key_id=ID1 \r\naws_secret_access_key =  se/cr+et=\nregion = "
				       "x\n[last]\n"
				       "aws_secret_access_key = no\n",
				       &k, &err),
			 0);
	ck_assert_str_eq(k.id, "ID1");
	ck_assert_str_eq(k.secret, "se/cr+et=");
}
END_TEST

static const char *const no_keys[] = {
	"", "[default]\naws_access_key_id = a\n", "aws_access_key_id = a\naws_secret_access_key = hidden\n",
	"[default]\naws_access_key_id =\naws_secret_access_key = hidden\n",
	"[default]\naws_access_key_id = a\naws_secret_access_key = hid den\n",
	"[default]\n#aws_access_key_id = a\naws_secret_access_key = hidden\n",
};

START_TEST(other_credentials_are_refused)
{
	struct err err = {0};
	struct s3_keys k;

	ck_assert_int_eq(s3_keys_parse(no_keys[_i], &k, &err), -ERR_POLICY);
	ck_assert_ptr_null(strstr(err.msg, "hid"));
	ck_assert_ptr_null(strstr(err.hint, "hid"));
	ck_assert_str_eq(k.secret, "");
}
END_TEST

static const struct {
	mode_t mode;
	int want;
} modes[] =
	{{0600, 0}, {0400, 0}, {0640, 0}, {0644, -ERR_PERMISSION}, {0604, -ERR_PERMISSION}, {0620, -ERR_PERMISSION}};

START_TEST(others_may_not_read_credentials)
{
	static const char text[] = "[default]\naws_access_key_id = a\naws_secret_access_key = b\n";
	char path[] = "/tmp/mmr-keys-XXXXXX";
	struct err err = {0};
	struct s3_keys k;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, sizeof text - 1), sizeof text - 1);
	ck_assert_int_eq(fchmod(fd, modes[_i].mode), 0);
	ck_assert_int_eq(s3_keys_read(path, &k, &err), modes[_i].want);
	close(fd);
	unlink(path);
	ck_assert_int_lt(s3_keys_read(path, &k, &err), 0);
}
END_TEST

TCase *store_mirror_case(void)
{
	TCase *t = tcase_create("mirror");

	tcase_add_loop_test(t, sums_are_written_and_read, 0, ARRAY_LEN(sums));
	tcase_add_loop_test(t, other_sums_are_none, 0, ARRAY_LEN(no_sums));
	tcase_add_test(t, keys_are_encoded);
	tcase_add_test(t, elements_are_found);
	tcase_add_test(t, credentials_are_read);
	tcase_add_loop_test(t, other_credentials_are_refused, 0, ARRAY_LEN(no_keys));
	tcase_add_loop_test(t, others_may_not_read_credentials, 0, ARRAY_LEN(modes));
	return t;
}
