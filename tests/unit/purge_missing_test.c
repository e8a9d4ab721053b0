/* purge_missing_test.c - a bundle of which nobody knows when its attachments were read: which of them may be unlinked.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "purge_internal.h"
#include "purge_tests.h"

static void *ctx;
static struct err err;
static char path[] = "/tmp/mmr-missing-XXXXXX";
static int root, data;

#define must(call) ck_assert_msg((call) == 0, "%s: %s", #call, err.msg)

static void setup(void)
{
	ctx = mem_context(NULL, "test");
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(path));
	root = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert(mkdirat(root, "partial", 0700) == 0 && mkdirat(root, "bundles", 0700) == 0 &&
		  mkdirat(root, "data", 0700) == 0);
	data = openat(root, "data", O_RDONLY | O_DIRECTORY);
}

static void teardown(void)
{
	const char *command = mem_printf(ctx, "rm -r %s", path);

	close(data);
	close(root);
	ck_assert_int_eq(system(command), 0);
	talloc_free(ctx);
}

static void write_file(const char *name, const char *text)
{
	int fd = openat(data, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(file_write_all(fd, text, strlen(text), name, &err));
	close(fd);
}

/* One thread with one attachment: file1, which says "content". */
static struct purge_missing *bundle(void)
{
	static const struct bundle_column column[] = {{"id", "text", BT_TEXT, ""}};
	static const struct bundle_kind kind = {"post", "posts", column, 1, -1};
	const struct bundle_source source = {.rule = "r",
					     .policy_digest_hex = "00",
					     .team_id = "",
					     .team_label = "direct",
					     .cluster_id = "7",
					     .database = "d",
					     .pg_version = "15",
					     .schema_digest_hex = "11",
					     .tool_version = "t"};
	const struct bundle_options options = {.seq = 1, .previous_digest_hex = "", .kind = &kind, .n_kinds = 1};
	const struct bundle_field id = {.data = "root", .len = 4};
	int partial = openat(root, "partial", O_RDONLY | O_DIRECTORY), fd;
	struct bundle_reader *reader;
	struct bundle_writer *w;
	struct purge_missing *m;
	struct digest digest;
	struct receipt *r;

	must(bundle_create(ctx, partial, &source, &options, &w, &err));
	must(bundle_thread_begin(w, "channel", "root", 1, &err));
	must(bundle_row(w, 0, &id, &err));
	hash_bytes(hash_new(ctx), "content", 7, &digest);
	write_file("source", "content");
	fd = openat(data, "source", O_RDONLY);
	must(bundle_blob(w, fd, &digest, 7, &err));
	close(fd);
	must(bundle_file(w, "file1", "stored", &digest, 7, &err));
	must(bundle_finish(w, &err));
	must(bundle_publish(w, ctx, root, 1700000000000, &r, &err));
	bundle_abort(w);
	close(partial);
	must(bundle_open_receipt(ctx, r, &reader, &err));
	must(purge_missing_read(ctx, reader, &m, &err));
	return m;
}

/* What the journal says of file1, compared when the folder of attachments was dirfd and journalled when it is `later`;
 * *ret_why: why its thread stays. */
static const char *journalled(int dirfd, int later, char *name, unsigned *ret_why)
{
	char empty[] = "", id[] = "file1", system[] = "7", database[] = "d";
	struct mm_schema schema = {.system_identifier = system, .database = database};
	struct mm mm = {.data_dirfd = dirfd, .schema = &schema};
	struct purge_file file = {.id = id, .path = {name, empty, empty}};
	struct purge_thread thread = {.root = "root"};
	struct purge_batch b = {.ctx = ctx,
				.thread = &thread,
				.n_threads = 1,
				.file = &file,
				.n_files = 1,
				.parts_before_ms = INT64_MIN};
	bool told = false;
	const struct purge_options o = {.unlink_files = true, .journal_dirfd = root, .journal_name = "journal"};
	char *text;
	size_t len;

	must(purge_missing_compare(bundle(), &mm, &b, &told, &err));
	*ret_why = thread.why;
	thread.why = 0;
	mm.data_dirfd = later;
	must(purge_journal_add(&mm, &o, &b, &err));
	must(file_read(ctx, root, "journal", 4096, &text, &len, &err));
	ck_assert_ptr_nonnull(strstr(text, "\"id\":\"file1\""));
	return text;
}

START_TEST(test_as_in_the_bundle)
{
	char name[] = "photo.jpg";
	unsigned why;

	write_file(name, "content");
	ck_assert_ptr_nonnull(strstr(journalled(data, data, name, &why), "\"ino\":"));
	ck_assert_uint_eq(why, 0);
}
END_TEST

START_TEST(test_other_content)
{
	char name[] = "photo.jpg";
	unsigned why;

	write_file(name, "something else");
	journalled(data, data, name, &why);
	ck_assert_uint_eq(why, MM_FILE_MISSING);
}
END_TEST

/* Its folder is away while it is to be compared, and there again when it is journalled. */
START_TEST(test_away_for_a_moment)
{
	char name[] = "photo.jpg";
	unsigned why;

	write_file(name, "something else");
	ck_assert_ptr_null(strstr(journalled(-1, data, name, &why), "\"ino\":"));
	ck_assert_uint_eq(why, 0);
}
END_TEST

/* It can be opened and not be read: address 0 of a process's memory always is such a file. */
START_TEST(test_read_error)
{
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY), fd = openat(self, "mem", O_RDONLY);
	char name[] = "mem", byte;
	unsigned why;

	ck_assert(fd >= 0 && pread(fd, &byte, 1, 0) < 0);
	ck_assert_ptr_null(strstr(journalled(self, self, name, &why), "\"ino\":"));
	ck_assert_uint_eq(why, 0);
	close(fd);
	close(self);
}
END_TEST

TCase *missing_tests(void)
{
	TCase *tc = tcase_create("missing");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_as_in_the_bundle);
	tcase_add_test(tc, test_other_content);
	tcase_add_test(tc, test_away_for_a_moment);
	tcase_add_test(tc, test_read_error);
	return tc;
}
