/* What expands from the key table: the page in docs/ is the current one, the schema is JSON and knows every key. */
#include "policy_tests.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE TEST_SOURCE_DIR "/../docs/policy-reference.md"

/* MMR_RECORD=1 writes the page. */
START_TEST(test_reference)
{
	void *ctx = mem_context(NULL, "reference");
	struct err err = {0};
	struct buf want;
	char *got;
	size_t len;

	buf_init(&want, ctx, 1 << 20);
	ck_assert_int_eq(policy_reference_md(&want, &err), 0);
	buf_byte(&want, '\0');
	if (getenv("MMR_RECORD")) {
		FILE *f = fopen(REFERENCE, "we");

		ck_assert_ptr_nonnull(f);
		ck_assert_int_ge(fputs(want.data, f), 0);
		ck_assert_int_eq(fclose(f), 0);
	}
	ck_assert_int_eq(file_read(ctx, AT_FDCWD, REFERENCE, 1 << 20, &got, &len, &err), 0);
	ck_assert_msg(strcmp(got, want.data) == 0, "docs/policy-reference.md is old, run this test with MMR_RECORD=1");
	talloc_free(ctx);
}
END_TEST

START_TEST(test_schema)
{
	static const char *const words[] = {"\"mattermost_config\"",
					    "\"bundle_size\"",
					    "\"hashtags\"",
					    "\"forever\"",
					    "\"percent\"",
					    "\"additionalProperties\": false",
					    "\"export_pause_factor\"",
					    "\"since\"",
					    "\"only_listed\"",
					    "\"purge_after\"",
					    "\"endpoint\""};
	void *ctx = mem_context(NULL, "schema");
	struct err err = {0};
	struct buf out;

	buf_init(&out, ctx, 1 << 20);
	ck_assert_int_eq(policy_schema_json(&out, &err), 0);
	buf_byte(&out, '\0');
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		ck_assert_msg(strstr(out.data, words[i]) != NULL, "no %s", words[i]);
	if (getenv("MMR_SCHEMA_OUT")) { /* for a validator beside this suite */
		FILE *f = fopen(getenv("MMR_SCHEMA_OUT"), "we");

		ck_assert_ptr_nonnull(f);
		ck_assert_int_ge(fputs(out.data, f), 0);
		ck_assert_int_eq(fclose(f), 0);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(test_ceiling)
{
	void *ctx = mem_context(NULL, "ceiling");
	struct err err = {0};
	struct buf out;

	buf_init(&out, ctx, 100);
	ck_assert_int_eq(policy_reference_md(&out, &err), -ERR_INTERNAL);
	buf_init(&out, ctx, 100);
	ck_assert_int_eq(policy_schema_json(&out, &err), -ERR_INTERNAL);
	talloc_free(ctx);
}
END_TEST

TCase *policy_docs_cases(void)
{
	TCase *tc = tcase_create("docs");

	tcase_add_test(tc, test_reference);
	tcase_add_test(tc, test_schema);
	tcase_add_test(tc, test_ceiling);
	return tc;
}
