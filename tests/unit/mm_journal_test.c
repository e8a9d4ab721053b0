/* mm_journal_test.c - journals of files whose rows are deleted: what is written is read back, what is damaged is no
 * order. */
#include <mmretain/mm_unlink.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm_tests.h"

#define HEAD "{\"journal\":1,\"system\":\"7\",\"database\":\"chat \\\"a\\\"\"}\n"
#define NAME "unlink-1.jsonl"

static char folder[32];
static int dir_fd;
static void *ctx;
static struct mm_schema schema = {.system_identifier = (char[]){"7"}, .database = (char[]){"chat \"a\""}};
static struct mm mm = {.schema = &schema, .data_dirfd = -1};

static void setup(void)
{
	struct err err;

	ctx = mem_context(NULL, "test");
	strcpy(folder, "/tmp/mmr-journal-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(file_open_dir(folder, &dir_fd, &err), 0);
	mm.data_dirfd = dir_fd;
}

static void teardown(void)
{
	unlinkat(dir_fd, NAME, 0);
	unlinkat(dir_fd, "blob", 0);
	close(dir_fd);
	rmdir(folder);
	talloc_free(ctx);
}

static void write_file(const char *name, const void *data, size_t len)
{
	struct err err;
	auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(file_write_all(fd, data, len, name, &err), 0);
}

static int open_text(const char *head, const void *lines, size_t len, struct mm_journal **ret, struct err *err)
{
	struct buf b;

	buf_init(&b, ctx, 64 << 20);
	buf_puts(&b, head);
	buf_put(&b, lines, len);
	write_file(NAME, b.data ? b.data : "", b.len);
	buf_reset(&b);
	*ret = NULL;
	return mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_attachments, ret, err);
}

static void read_text(char *ret, size_t size)
{
	auto_fd int fd = openat(dir_fd, NAME, O_RDONLY);
	ssize_t n = read(fd, ret, size - 1);

	ck_assert_int_ge(n, 0);
	ret[n] = '\0';
}

static void append(const struct mm_journal_entry *e)
{
	struct buf b;
	struct err err;

	buf_init(&b, ctx, 1 << 16);
	mm_journal_put(&b, "file", e);
	ck_assert(!b.overflow);
	ck_assert_int_eq(mm_journal_append(&mm, dir_fd, NAME, "unlink journal", &b, &err), 0);
}

START_TEST(test_round_trip)
{
	struct mm_journal_entry e = {.id = "f1",
				     .user = "u",
				     .thread = "t",
				     .path = {"a/b\n\"\\/ü\x01", "a/b\n\"\\/c", ""},
				     .identified = true,
				     .ino = UINT64_MAX,
				     .bytes = INT64_MAX,
				     .mtime_ns = -5},
				r;
	struct mm_journal *j;
	struct err err;

	append(&e);
	append(&(struct mm_journal_entry){.id = "f2", .path = {"", "", ""}});
	append(&(struct mm_journal_entry){.id = "f3",
					  .path = {"a", "", ""},
					  .identified = true,
					  .etag = "\"5d41-2\"",
					  .bytes = 7,
					  .mtime_ns = 1000000000});
	ck_assert_int_eq(mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_attachments, &j, &err), 0);
	ck_assert_uint_eq(mm_journal_entries(j), 3);
	ck_assert(mm_journal_any_path(j) && mm_journal_any_thread(j));
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(mm_journal_next(j, &r, &err), 1);
		ck_assert_str_eq(r.id, e.id);
		ck_assert_str_eq(r.user, e.user);
		ck_assert_str_eq(r.thread, e.thread);
		for (int i = 0; i < MM_JOURNAL_PATHS; i++)
			ck_assert_str_eq(r.path[i], e.path[i]);
		ck_assert(r.identified && r.ino == UINT64_MAX && r.bytes == INT64_MAX && r.mtime_ns == -5);
		ck_assert_int_eq(mm_journal_next(j, &r, &err), 1);
		ck_assert_uint_eq(mm_journal_at(j), 2);
		ck_assert_str_eq(r.id, "f2");
		ck_assert(!r.identified && !r.user[0] && !r.thread[0] && !r.path[0][0] && !r.path[1][0] &&
			  !r.path[2][0]);
		ck_assert_int_eq(mm_journal_next(j, &r, &err), 1);
		ck_assert(r.identified && r.ino == 0 && r.bytes == 7 && r.mtime_ns == 1000000000);
		ck_assert_str_eq(r.etag, "\"5d41-2\"");
		ck_assert_int_eq(mm_journal_next(j, &r, &err), 0);
		mm_journal_rewind(j);
	}
}
END_TEST

/* A thumbnail or preview that is not where the server writes it is something else. */
START_TEST(test_pictures)
{
	static const struct { const char *path, *picture; bool beside; } place[] = {
		{"a/b/f", "a/b/f_thumb", true}, {"a/b/f", "a/b/f", true}, {"a/b/f", "a/b/c/f", false},
		{"a/b/f", "a/f", false}, {"a/b/f", "brand/image.png", false},
		{"a/b/f", "a/c/f", false}, {"a/b/f", "f", false}, {"f", "g", false}, {"", "a/b/f", false},
		{"", "g", false}, {"a/b/f", "a/b/../../f", false},
	};

	log_level_set(LOG_ERROR);
	for (size_t i = 0; i < ARRAY_LEN(place); i++) {
		for (int n = 1; n < MM_JOURNAL_PATHS; n++) {
			struct mm_journal_entry e = {.id = "f", .path = {place[i].path, "", ""}};
			struct buf b;

			e.path[n] = place[i].picture;
			buf_init(&b, ctx, 1 << 16);
			mm_journal_put(&b, "file", &e);
			buf_byte(&b, '\0');
			ck_assert_msg(mm_journal_is_beside(&e, n) == place[i].beside, "%zu", i);
			ck_assert_msg(!strstr(b.data, n == 1 ? "thumbnail" : "preview") == !place[i].beside, "%s",
				      b.data);
		}
	}
}
END_TEST

START_TEST(test_identify)
{
	struct mm_journal_entry e = {.id = "f", .path = {"blob", "", ""}};
	struct err err;
	struct stat st;

	ck_assert_int_eq(mm_journal_identify(NULL, &mm, &e, &err), 0);
	ck_assert(!e.identified);
	write_file("blob", "12345", 5);
	ck_assert_int_eq(mm_journal_identify(NULL, &mm, &e, &err), 0);
	ck_assert_int_eq(fstatat(dir_fd, "blob", &st, 0), 0);
	ck_assert(e.identified && e.ino == st.st_ino && e.bytes == 5 &&
		  e.mtime_ns == st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
	e.path[0] = "../blob";
	ck_assert_int_eq(mm_journal_identify(NULL, &mm, &e, &err), 0);
	ck_assert(!e.identified);
}
END_TEST

/* Half a line at the end: never committed, so it is none; whoever adds to the journal cuts it off, so that it is not
 * half a line in the middle. */
static const char *const torn[] = {"", "{", "{\"id\":\"f\"}", "{\"id\":\"f\",\"path\":\"a/", "\0\0\0"};
START_TEST(test_torn)
{
	static const char whole[] = "{\"id\":\"f1\",\"path\":\"p\"}\n";
	struct mm_journal *j;
	struct err err;
	struct buf b;
	char text[512];

	buf_init(&b, ctx, 1024);
	buf_puts(&b, whole);
	buf_put(&b, torn[_i], _i == 4 ? 3 : strlen(torn[_i]));
	ck_assert_int_eq(open_text(HEAD, b.data, b.len, &j, &err), 0);
	ck_assert_uint_eq(mm_journal_entries(j), 1);
	append(&(struct mm_journal_entry){.id = "f2", .path = {"q", "", ""}});
	read_text(text, sizeof text);
	ck_assert_str_eq(text, HEAD "{\"id\":\"f1\",\"path\":\"p\"}\n{\"id\":\"f2\",\"path\":\"q\"}\n");
}
END_TEST

START_TEST(test_torn_head)
{
	struct mm_journal *j;
	struct err err;
	char text[512];

	ck_assert_int_eq(open_text("", "{\"journal\":1,\"sys", 17, &j, &err), 0);
	ck_assert_uint_eq(mm_journal_entries(j), 0);
	append(&(struct mm_journal_entry){.id = "f", .path = {"", "", ""}});
	read_text(text, sizeof text);
	ck_assert_str_eq(text, HEAD "{\"id\":\"f\"}\n");
	ck_assert_int_eq(unlinkat(dir_fd, NAME, 0), 0);
	ck_assert_int_eq(mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_attachments, &j, &err), 0);
	ck_assert_ptr_null(j);
}
END_TEST

static const char *const damaged[] = {
	"", "x", "[]", "\"f\"", "{}", "{\"path\":\"p\"}", "{\"id\":1}", "{\"id\":null}", "{\"id\":\"f\",\"id\":\"f\"}",
	"{\"id\":\"f\"}x", "{\"id\":\"f\",}", "{\"id\":\"f\" \"path\":\"p\"}",
	"{\"id\":\"f\",\"path\":\"p\"", "{\"id\":\"f\",\"path\":[\"p\"]}", "{\"id\":\"f\",\"path\":\"p\\u0000\"}",
	"{\"id\":\"f\",\"path\":\"a\tb\"}", "{\"id\":\"f\",\"path\":\"\\x\"}",
	"{\"id\":\"f\",\"path\":\"\xff\"}", "{\"id\":\"f\",\"path\":\"\\ud800\"}", "{\"id\":\"f\",\"unless\":\"p\"}",
	"{\"id\":\"f\",\"ino\":1}",
	"{\"id\":\"f\",\"ino\":1,\"bytes\":1}", "{\"id\":\"f\",\"ino\":-1,\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"ino\":1,\"bytes\":-1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"ino\":01,\"bytes\":1,\"mtime_ns\":1}", "{\"id\":\"f\",\"ino\":1.0,\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"ino\":\"1\",\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"ino\":18446744073709551616,\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"ino\":1,\"bytes\":9223372036854775808,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"etag\":\"\\\"a\\\"\"}", "{\"id\":\"f\",\"etag\":\"a\",\"ino\":1,\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"etag\":\"\",\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"etag\":1,\"bytes\":1,\"mtime_ns\":1}", "{\"id\":\"f\",\"bytes\":1,\"mtime_ns\":1}",
	"{\"id\":\"f\",\"etag\":\"a\",\"mtime_ns\":1}",
	"{\"id\":\"f\",\"ino\":1,\"bytes\":1,\"mtime_ns\":-}", "{\"id\":\"f\",\"ino\":1,\"bytes\":1,\"mtime_ns\":1e3}",
};

/* Wherever it stands, nothing of the journal is an order. */
START_TEST(test_damaged)
{
	static const char good[] = "{\"id\":\"f1\",\"path\":\"p\"}\n";
	struct mm_journal *j;
	struct err err;
	struct buf b;

	for (int after = 0; after < 2; after++) {
		buf_init(&b, ctx, 1 << 16);
		buf_puts(&b, good);
		buf_puts(&b, damaged[_i]);
		buf_byte(&b, '\n');
		if (after)
			buf_puts(&b, good);
		ck_assert_int_eq(open_text(HEAD, b.data, b.len, &j, &err), -ERR_VERIFY);
		ck_assert_ptr_null(j);
		ck_assert_ptr_nonnull(strstr(err.msg, "(line 3 of ledger/" NAME ")"));
	}
}
END_TEST

/* Of a version that began what it added with an end of line: wherever a crash cut its line off, with a line of this
 * version that is never left so. */
START_TEST(test_earlier_half)
{
	static const char whole[] = "{\"user\":\"u\",\"id\":\"f1\",\"path\":\"a/"
				    "}\\\"b\\\\\",\"thumbnail\":\"\",\"ino\":12,\"bytes\":3,\"mtime_ns\":-4}";
	struct mm_journal_entry r;
	struct mm_journal *j;
	struct err err;
	struct buf b;

	log_level_set(LOG_ERROR);
	for (size_t n = 0; n < sizeof whole; n++) {
		bool passed = n == 0 || (n >= 9 && n < sizeof whole - 1), is_whole = n == sizeof whole - 1;

		buf_init(&b, ctx, 1 << 16);
		buf_puts(&b, HEAD);
		buf_put(&b, whole, n);
		buf_puts(&b, "\n{\"id\":\"f2\"}\n");
		write_file(NAME, b.data, b.len);
		ck_assert_int_eq(mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_attachments, &j, &err),
				 is_whole ? 0 : -ERR_VERIFY);
		ck_assert_int_eq(mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_unposted, &j, &err),
				 passed || is_whole ? 0 : -ERR_VERIFY);
		if (!passed)
			continue;
		ck_assert_uint_eq(mm_journal_entries(j), 1);
		ck_assert_int_eq(mm_journal_next(j, &r, &err), 1);
		ck_assert_str_eq(r.id, "f2");
	}
}
END_TEST

static const char *const heads[] = {
	"{\"journal\":1,\"system\":\"8\",\"database\":\"chat \\\"a\\\"\"}\n",
	"{\"journal\":1,\"system\":\"7\",\"database\":\"other\"}\n", "{\"journal\":1,\"system\":\"7\"}\n",
	"{\"journal\":1,\"database\":\"chat \\\"a\\\"\"}\n", "{\"system\":\"7\",\"database\":\"chat \\\"a\\\"\"}\n",
	"{\"journal\":2,\"system\":\"7\",\"database\":\"chat \\\"a\\\"\"}\n", "\n", "x\n",
	"{\"journal\":1,\"system\":\"7\",\"database\":\"chat \\\"a\\\"\"}x\n",
	"{\"journal\":1,\"system\":\"7\",\"system\":\"7\",\"database\":\"chat \\\"a\\\"\"}\n",
};
START_TEST(test_heads)
{
	struct mm_journal *j;
	struct err err;

	ck_assert_int_eq(open_text(heads[_i], "{\"id\":\"f\"}\n", 11, &j, &err), -ERR_GUARD);
	ck_assert_ptr_null(j);
}
END_TEST

/* Nor is anything added to it. */
START_TEST(test_foreign)
{
	char text[512];
	struct buf b;
	struct err err;

	write_file(NAME, heads[_i], strlen(heads[_i]));
	buf_init(&b, ctx, 1 << 16);
	buf_puts(&b, "{\"id\":\"f\"}\n");
	ck_assert_int_eq(mm_journal_append(&mm, dir_fd, NAME, "unlink journal", &b, &err), -ERR_GUARD);
	read_text(text, sizeof text);
	ck_assert_str_eq(text, heads[_i]);
}
END_TEST

/* Lines of every length across the pieces that are read, up to the longest. */
START_TEST(test_long)
{
	enum { LINES = 3000, LONGEST = (1 << 20) - 100 };
	char *path = mem_array(ctx, char, LONGEST + 1), id[16];
	struct mm_journal_entry e = {.id = id, .path = {path, "", ""}}, r;
	struct mm_journal *j;
	struct err err;
	struct buf b;

	memset(path, 'p', LONGEST);
	buf_init(&b, ctx, 64 << 20);
	for (int i = 0; i < LINES; i++) {
		size_t n = i == 1000 || i == 1001 ? LONGEST : (size_t)(i * 7919 % 5000);

		snprintf(id, sizeof id, "f%d", i);
		path[n] = '\0';
		mm_journal_put(&b, "file", &e);
		path[n] = 'p';
	}
	ck_assert(!b.overflow);
	ck_assert_int_eq(open_text(HEAD, b.data, b.len, &j, &err), 0);
	ck_assert_uint_eq(mm_journal_entries(j), LINES);
	for (int i = 0; i < LINES; i++) {
		ck_assert_int_eq(mm_journal_next(j, &r, &err), 1);
		snprintf(id, sizeof id, "f%d", i);
		ck_assert_str_eq(r.id, id);
		ck_assert_uint_eq(strlen(r.path[0]), i == 1000 || i == 1001 ? LONGEST : (size_t)(i * 7919 % 5000));
	}
	ck_assert_int_eq(mm_journal_next(j, &r, &err), 0);
}
END_TEST

/* A line that could not be read back is not written. */
START_TEST(test_too_long)
{
	char *path = mem_array(ctx, char, (1 << 20) + 1);
	struct mm_journal *j;
	struct err err;
	struct buf b;

	memset(path, 'p', 1 << 20);
	buf_init(&b, ctx, 8 << 20);
	mm_journal_put(&b, "file", &(struct mm_journal_entry){.id = "f", .path = {path, "", ""}});
	ck_assert(b.overflow);
	buf_init(&b, ctx, 8 << 20);
	for (int i = 0; i < 3; i++)
		buf_printf(&b, "{\"id\":\"f\",\"path\":\"%s", path);
	buf_puts(&b, "\"}\n");
	ck_assert_int_eq(open_text(HEAD, b.data, b.len, &j, &err), -ERR_VERIFY);
}
END_TEST

START_TEST(test_no_file)
{
	struct mm_journal *j = NULL;
	struct err err;

	ck_assert_int_eq(mkdirat(dir_fd, NAME, 0700), 0);
	ck_assert_int_eq(mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_attachments, &j, &err), -ERR_STORE);
	ck_assert_int_eq(unlinkat(dir_fd, NAME, AT_REMOVEDIR), 0);
	write_file("blob", HEAD, strlen(HEAD));
	ck_assert_int_eq(symlinkat("blob", dir_fd, NAME), 0);
	ck_assert_int_eq(mm_journal_open(ctx, &mm, dir_fd, NAME, &mm_unlink_attachments, &j, &err), -ERR_STORE);
	ck_assert_ptr_null(j);
}
END_TEST

TCase *mm_journal_case(void)
{
	TCase *tc = tcase_create("journal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_pictures);
	tcase_add_test(tc, test_identify);
	tcase_add_loop_test(tc, test_torn, 0, (int)ARRAY_LEN(torn));
	tcase_add_test(tc, test_torn_head);
	tcase_add_loop_test(tc, test_damaged, 0, (int)ARRAY_LEN(damaged));
	tcase_add_test(tc, test_earlier_half);
	tcase_add_loop_test(tc, test_heads, 0, (int)ARRAY_LEN(heads));
	tcase_add_loop_test(tc, test_foreign, 0, (int)ARRAY_LEN(heads));
	tcase_add_test(tc, test_long);
	tcase_add_test(tc, test_too_long);
	tcase_add_test(tc, test_no_file);
	return tc;
}
