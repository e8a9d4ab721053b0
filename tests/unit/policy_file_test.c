/* Files: the ready policies, modes and kinds of file. */
#include "policy_tests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLICIES TEST_SOURCE_DIR "/../policies"

START_TEST(test_ready_policies)
{
	void *ctx = mem_context(NULL, "ready");
	DIR *d = opendir(POLICIES);
	int loaded = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		struct policy_problems *problems = NULL;
		struct policy *p = NULL;
		struct err err = {0};
		char *text;
		size_t len;

		if (!strstr(e->d_name, ".yaml"))
			continue;
		/* Not policy_load: a checkout may be writable for a group. */
		ck_assert_int_eq(file_read(ctx, AT_FDCWD, mem_printf(ctx, POLICIES "/%s", e->d_name), 1 << 20, &text,
					   &len, &err),
				 0);
		ck_assert_msg(policy_parse(ctx, e->d_name, text, len, &p, &problems, &err) == 0, "%s: %s", e->d_name,
			      err.msg);
		ck_assert_msg(problems->n == 0, "%s: %s", e->d_name, problems->n ? problems->item[0].text : "");
		loaded++;
	}
	closedir(d);
	ck_assert_int_ge(loaded, 8);
	talloc_free(ctx);
}
END_TEST

enum { WRITABLE_GROUP, WRITABLE_OTHERS, LINK, FIFO, FOLDER, MISSING, HUGE_FILE, GOOD };

static const struct {
	int kind, rc;
	const char *msg, *hint;
} kinds[] = {
	{WRITABLE_GROUP, -ERR_PERMISSION, "mode 0660", "chmod go-w '"},
	{WRITABLE_OTHERS, -ERR_PERMISSION, "mode 0602", "chmod go-w '"},
	{LINK, -ERR_POLICY, "symbolic link", "points to"},
	{FIFO, -ERR_POLICY, "not a regular file", "YAML file"},
	{FOLDER, -ERR_POLICY, "not a regular file", "YAML file"},
	{MISSING, -ERR_POLICY, "cannot open", "-c FILE"},
	{HUGE_FILE, -ERR_POLICY, "larger than 1 MiB", "globs"},
	{GOOD, 0, "", ""},
};

static void make(const char *path, int kind)
{
	static const char text[] = HEAD "rules: [{name: a, match: {}, keep: forever}]\n";
	int fd;

	if (kind == LINK)
		ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	else if (kind == FIFO)
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	else if (kind == FOLDER)
		ck_assert_int_eq(mkdir(path, 0700), 0);
	if (kind == LINK || kind == FIFO || kind == FOLDER || kind == MISSING)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, kind == WRITABLE_GROUP ? 0660 : kind == WRITABLE_OTHERS ? 0602 : 0640), 0);
	if (kind == HUGE_FILE)
		ck_assert_int_eq(ftruncate(fd, (1 << 20) + 1), 0);
	close(fd);
}

START_TEST(test_kinds)
{
	void *ctx = mem_context(NULL, "kinds");
	char dir[] = "/tmp/mmretain-policy-XXXXXX", *path;
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = mem_printf(ctx, "%s/policy.yaml", dir);
	make(path, kinds[_i].kind);
	ck_assert_int_eq(policy_load(ctx, path, &p, &problems, &err), kinds[_i].rc);
	ck_assert_ptr_nonnull(problems); /* empty, but there */
	if (kinds[_i].rc) {
		ck_assert_ptr_null(p);
		ck_assert_msg(strstr(err.msg, kinds[_i].msg) != NULL, "%s", err.msg);
		ck_assert_msg(strstr(err.hint, kinds[_i].hint) != NULL, "%s", err.hint);
	} else {
		ck_assert_str_eq(p->path, path);
	}
	(void)remove(path); /* the missing one is not there */
	ck_assert_int_eq(rmdir(dir), 0);
	talloc_free(ctx);
}
END_TEST

static char *repeat(void *ctx, const char *head, const char *text, size_t times)
{
	struct buf b;

	buf_init(&b, ctx, 8 << 20);
	buf_puts(&b, head);
	for (size_t i = 0; i < times; i++)
		buf_puts(&b, text);
	buf_byte(&b, '\0');
	return b.data;
}

/* What would make a large corpus file. */
static const struct {
	const char *head, *text, *want;
	size_t times;
} large[] = {
	{HEAD, "# a line of comment\n", "larger than 1 MiB", 60000},
	{HEAD "rules: [", "1,", "more than 65536 values", 70000},
	{"", "[", "nested more than 16 levels deep", 500000},
	{"", "{a: ", "nested more than 16 levels deep", 200000},
	{"", "- ", "nested more than 16 levels deep", 200000},
	{"", "? ", "nested more than 16 levels deep", 200000},
	{HEAD "rules:\n", "  - x\n", "1000 problems", 5000},
	{"a: \"", "x", "quote is never closed", 1000000},
};

START_TEST(test_large)
{
	void *ctx = mem_context(NULL, "large");
	char *text = repeat(ctx, large[_i].head, large[_i].text, large[_i].times);
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_int_eq(policy_parse(ctx, "large", text, strlen(text), &p, &problems, &err), -ERR_POLICY);
	ck_assert_uint_le(problems->n, 1000);
	ck_assert_msg(strstr(problems->item[problems->n - 1].text, large[_i].want) != NULL, "%s",
		      problems->item[problems->n - 1].text);
	talloc_free(ctx);
}
END_TEST

TCase *policy_file_cases(void)
{
	TCase *tc = tcase_create("file");

	tcase_add_test(tc, test_ready_policies);
	tcase_add_loop_test(tc, test_kinds, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, test_large, 0, ARRAY_LEN(large));
	return tc;
}
