/*
 * Every broken policy of tests/cli/bad-policies gives exactly the recorded lines.
 * MMR_RECORD=1 writes the .expected files; look at the difference before committing it.
 */
#include "policy_tests.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define DIR_PATH TEST_SOURCE_DIR "/cli/bad-policies"

static void render(struct buf *b, const struct policy_problems *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct policy_problem *p = &all->item[i];

		buf_printf(b, "%u:%u: %s: %s\n", p->line, p->column, p->warning ? "warning" : "error", p->text);
		if (*p->hint)
			buf_printf(b, "  hint: %s\n", p->hint);
	}
	buf_byte(b, '\0');
}

static void record(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void check_one(void *ctx, const char *name)
{
	char *path = mem_printf(ctx, "%s/%s.yaml", DIR_PATH, name);
	char *expected_path = mem_printf(ctx, "%s/%s.expected", DIR_PATH, name), *text, *expected;
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};
	struct buf got;
	size_t len;

	ck_assert_int_eq(file_read(ctx, AT_FDCWD, path, 4 << 20, &text, &len, &err), 0);
	ck_assert_msg(policy_parse(ctx, name, text, len, &p, &problems, &err) == -ERR_POLICY, "%s is accepted", name);
	ck_assert_ptr_null(p);
	ck_assert_uint_gt(problems->n_errors, 0);
	buf_init(&got, ctx, 1 << 20);
	render(&got, problems);
	if (getenv("MMR_RECORD")) {
		record(expected_path, got.data);
		return;
	}
	ck_assert_int_eq(file_read(ctx, AT_FDCWD, expected_path, 1 << 20, &expected, &len, &err), 0);
	ck_assert_msg(strcmp(got.data, expected) == 0, "%s:\n%s\nexpected:\n%s", name, got.data, expected);
}

START_TEST(test_corpus)
{
	void *ctx = mem_context(NULL, "corpus");
	struct dirent **entry = NULL;
	int n = scandir(DIR_PATH, &entry, NULL, alphasort), files = 0;

	for (int i = 0; i < n; i++) {
		char *dot = strrchr(entry[i]->d_name, '.');

		if (dot && strcmp(dot, ".yaml") == 0) {
			check_one(ctx, mem_strndup(ctx, entry[i]->d_name, (size_t)(dot - entry[i]->d_name)));
			files++;
		}
		free(entry[i]);
	}
	free(entry);
	ck_assert_int_ge(files, 70);
	talloc_free(ctx);
}
END_TEST

/* Every problem says what to do, on one line each, lower case, without a full stop. */
START_TEST(test_style)
{
	static const char text[] = "version: 2\nrules:\n  - nam: x\n    keep: 90\nfoo: {}\n";
	void *ctx = mem_context(NULL, "style");
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_int_eq(policy_parse(ctx, "x", text, strlen(text), &p, &problems, &err), -ERR_POLICY);
	ck_assert_uint_ge(problems->n, 5);
	for (size_t i = 0; i < problems->n; i++) {
		ck_assert_ptr_null(strchr(problems->item[i].text, '\n'));
		ck_assert_int_ne(problems->item[i].text[strlen(problems->item[i].text) - 1], '.');
		ck_assert(problems->item[i].hint[0] != '\0');
	}
	talloc_free(ctx);
}
END_TEST

TCase *policy_corpus_cases(void)
{
	TCase *tc = tcase_create("corpus");

	tcase_add_test(tc, test_corpus);
	tcase_add_test(tc, test_style);
	return tc;
}
