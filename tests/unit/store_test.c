/* store_test.c - the archive root: made, opened, refused, listed. */
#include <mmretain/store.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/suite.h"
#include "store_tests.h"

struct box { char path[64], root[96]; void *ctx; struct err err; };

static void box_open(struct box *b)
{
	memset(b, 0, sizeof(*b));
	strcpy(b->path, "/tmp/mmr-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(b->path));
	(void)snprintf(b->root, sizeof(b->root), "%s/archive", b->path);
	b->ctx = talloc_new(NULL);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void box_close(struct box *b)
{
	talloc_free(b->ctx);
	nftw(b->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define must(call)                                                                                                     \
	do {                                                                                                           \
		int must_rc = (call);                                                                                  \
		ck_assert_msg(must_rc == 0, "%s: %d %s", #call, must_rc, b->err.msg);                                  \
	} while (0)
#define refused(call, code, in_msg, in_hint)                                                                           \
	do {                                                                                                           \
		ck_assert_int_eq(call, -(code));                                                                       \
		ck_assert_msg(strstr(b->err.msg, in_msg) != NULL, "%s", b->err.msg);                                   \
		ck_assert_msg(strstr(b->err.hint, in_hint) != NULL, "%s", b->err.hint);                                \
	} while (0)

static void put(const char *folder, const char *rel)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, rel);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	ck_assert_msg(fd >= 0, "%s", path);
	close(fd);
}

static void make(const char *folder, const char *rel)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, rel);
	ck_assert_int_eq(mkdir(path, 0750), 0);
}

static mode_t mode_of(const char *folder, const char *rel)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, rel);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	return st.st_mode & 07777;
}

START_TEST(init_makes_the_layout)
{
	static const struct { const char *name; mode_t mode; } want[] = {
		{"", 0750},        {"bundles", 0750}, {"ledger", 0750},    {"partial", 0750},
		{"keys", 0750},    {"keys/salt-secret", 0600}, {"README.txt", 0640}, {"FORMAT.md", 0640},
		{"0=mmretain_archive_1", 0640},
	};
	struct box box, *b = &box;
	struct store *s, *again;
	uint64_t bytes = 0;
	uint8_t zero[32] = {0};

	box_open(b);
	umask(022);
	must(store_init(b->root, &b->err));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_msg(mode_of(b->root, want[i].name) == want[i].mode, "%s", want[i].name);
	must(store_open(b->ctx, b->root, true, &s, &b->err));
	ck_assert_mem_ne(s->salt_secret, zero, sizeof(zero));
	must(store_free_bytes(s, &bytes, &b->err));
	ck_assert_uint_gt(bytes, 0);
	must(store_open(b->ctx, b->root, false, &again, &b->err));
	ck_assert_int_ge(again->partial_dirfd, 0);
	refused(store_init(b->root, &b->err), ERR_STORE, "already", "ready");
	box_close(b);
}
END_TEST

START_TEST(two_archives_have_two_secrets)
{
	struct box box, *b = &box;
	struct store *s, *t;
	char other[PATH_MAX];

	box_open(b);
	(void)snprintf(other, sizeof(other), "%s/other", b->path);
	must(store_init(b->root, &b->err));
	must(store_init(other, &b->err));
	must(store_open(b->ctx, b->root, true, &s, &b->err));
	must(store_open(b->ctx, other, true, &t, &b->err));
	ck_assert_mem_ne(s->salt_secret, t->salt_secret, sizeof(s->salt_secret));
	box_close(b);
}
END_TEST

START_TEST(foreign_folders_are_left_alone)
{
	struct box box, *b = &box;
	struct store *s;

	box_open(b);
	make(b->path, "archive");
	put(b->root, "holiday.jpg");
	refused(store_init(b->root, &b->err), ERR_STORE, "not empty", "Nothing was changed");
	refused(store_open(b->ctx, b->root, true, &s, &b->err), ERR_STORE, "not an archive root", "mounted?");
	refused(store_open(b->ctx, "/nowhere/at/all", true, &s, &b->err), ERR_STORE, "/nowhere", "mounted?");
	refused(store_init("/nowhere/at/all", &b->err), ERR_STORE, "/nowhere", "parent folder");
	refused(store_init("s3://bucket/prefix", &b->err), ERR_STORE, "S3", "local folder");
	refused(store_open(b->ctx, "s3://bucket/prefix", false, &s, &b->err), ERR_STORE, "S3", "local folder");
	ck_assert_int_eq(mode_of(b->root, ""), 0750);
	box_close(b);
}
END_TEST

START_TEST(an_empty_mount_is_fine)
{
	struct box box, *b = &box;
	struct store *s;

	box_open(b);
	make(b->path, "archive");
	make(b->root, "lost+found");
	must(store_init(b->root, &b->err));
	must(store_open(b->ctx, b->root, true, &s, &b->err));
	box_close(b);
}
END_TEST

static const struct { const char *name; mode_t mode; bool ok; } open_mode[] = {
	{"", 0700, true},  {"", 0750, true},   {"", 0710, true},  {"", 0755, false}, {"", 0770, false},
	{"", 0751, false},
	{"", 0752, false}, {"keys/salt-secret", 0400, true}, {"keys/salt-secret", 0640, false},
	{"keys/salt-secret", 0604, false},
};

START_TEST(others_must_be_shut_out)
{
	struct box box, *b = &box;
	struct store *s;
	char path[PATH_MAX];

	box_open(b);
	must(store_init(b->root, &b->err));
	(void)snprintf(path, sizeof(path), "%s/%s", b->root, open_mode[_i].name);
	ck_assert_int_eq(chmod(path, open_mode[_i].mode), 0);
	if (open_mode[_i].ok)
		must(store_open(b->ctx, b->root, true, &s, &b->err));
	else
		refused(store_open(b->ctx, b->root, true, &s, &b->err), ERR_PERMISSION, "has mode", "Run: chmod 0");
	box_close(b);
}
END_TEST

START_TEST(a_lost_secret_is_said)
{
	struct box box, *b = &box;
	struct store *s;
	char path[PATH_MAX];

	box_open(b);
	must(store_init(b->root, &b->err));
	(void)snprintf(path, sizeof(path), "%s/keys/salt-secret", b->root);
	ck_assert_int_eq(truncate(path, 31), 0);
	refused(store_open(b->ctx, b->root, true, &s, &b->err), ERR_KEY, "32 bytes", "salt-secret");
	ck_assert_int_eq(truncate(path, 33), 0);
	refused(store_open(b->ctx, b->root, true, &s, &b->err), ERR_KEY, "32 bytes", "salt-secret");
	ck_assert_int_eq(unlink(path), 0);
	refused(store_open(b->ctx, b->root, true, &s, &b->err), ERR_KEY, "secret of the archive", "salt-secret");
	must(store_open(b->ctx, b->root, false, &s, &b->err)); /* reading needs none */
	box_close(b);
}
END_TEST

struct seen { char *text; };

static int see(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct seen *s = payload;

	(void)err;
	s->text = talloc_asprintf_append(s->text, "%s %llu\n", rel_path, (unsigned long long)size_bytes);
	return 0;
}

static int stop_at_once(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	(void)payload;
	(void)size_bytes;
	return err_set(err, ERR_INTERRUPTED, "stop at %s", rel_path);
}

START_TEST(bundles_are_listed_and_numbered)
{
	struct box box, *b = &box;
	struct seen seen;
	struct store *s;
	uint32_t seq = 0;

	box_open(b);
	must(store_init(b->root, &b->err));
	must(store_open(b->ctx, b->root, true, &s, &b->err));
	must(store_next_seq(s, &seq, &b->err));
	ck_assert_uint_eq(seq, 1);
	make(b->root, "bundles/2026");
	make(b->root, "bundles/2026/11");
	make(b->root, "bundles/2026/02");
	make(b->root, "bundles/2026/x1");
	make(b->root, "bundles/tmp");
	put(b->root, "bundles/2026/11/mmr1-team-9-never-000012-abcdefabcdef.tar.zst");
	put(b->root, "bundles/2026/02/mmr1-a-203001-000123-0123456789ab.tar.zst");
	put(b->root, "bundles/2026/02/mmr1-a-203001-000124-0123456789ab.tar.zst.tmp");
	put(b->root, "bundles/2026/02/notes.txt");
	put(b->root, "bundles/2026/x1/mmr1-a-203001-000999-0123456789ab.tar.zst");
	put(b->root, "bundles/tmp/mmr1-a-203001-000999-0123456789ab.tar.zst");
	seen.text = talloc_strdup(b->ctx, "");
	must(store_each_bundle(s, see, &seen, &b->err));
	ck_assert_str_eq(seen.text, "bundles/2026/02/mmr1-a-203001-000123-0123456789ab.tar.zst 0\n"
				    "bundles/2026/11/mmr1-team-9-never-000012-abcdefabcdef.tar.zst 0\n");
	must(store_next_seq(s, &seq, &b->err));
	ck_assert_uint_eq(seq, 124);
	/* Generations: the newest is the bundle; a digest that begins with an e is no generation. */
	put(b->root, "bundles/2026/02/mmr1-a-203001-000200-0123456789ab-e2.tar.zst");
	put(b->root, "bundles/2026/02/mmr1-a-203001-000200-0123456789ab-e10.tar.zst");
	put(b->root, "bundles/2026/02/mmr1-a-203001-000200-0123456789ab.tar.zst");
	put(b->root, "bundles/2026/02/mmr1-a-203001-000201-e12345678901.tar.zst");
	seen.text = talloc_strdup(b->ctx, "");
	must(store_each_bundle(s, see, &seen, &b->err));
	ck_assert_str_eq(seen.text, "bundles/2026/02/mmr1-a-203001-000123-0123456789ab.tar.zst 0\n"
				    "bundles/2026/02/mmr1-a-203001-000200-0123456789ab-e10.tar.zst 0\n"
				    "bundles/2026/02/mmr1-a-203001-000201-e12345678901.tar.zst 0\n"
				    "bundles/2026/11/mmr1-team-9-never-000012-abcdefabcdef.tar.zst 0\n");
	seen.text = talloc_strdup(b->ctx, "");
	must(store_each_replaced(s, see, &seen, &b->err));
	ck_assert_str_eq(seen.text, "bundles/2026/02/mmr1-a-203001-000200-0123456789ab-e2.tar.zst 0\n"
				    "bundles/2026/02/mmr1-a-203001-000200-0123456789ab.tar.zst 0\n");
	must(store_next_seq(s, &seq, &b->err));
	ck_assert_uint_eq(seq, 202);
	ck_assert_int_eq(store_each_bundle(s, stop_at_once, NULL, &b->err), -ERR_INTERRUPTED);
	box_close(b);
}
END_TEST

/* A folder of a year may be listed, and nothing else be asked of it: its bundles are not taken for ones that never
 * were. */
START_TEST(what_cannot_be_looked_at_is_told)
{
	const uid_t nobody = 65534;
	struct box box, *b = &box;
	struct seen seen;
	struct store *s;
	int rc;

	box_open(b);
	must(store_init(b->root, &b->err));
	make(b->root, "bundles/2026");
	make(b->root, "bundles/2026/11");
	put(b->root, "bundles/2026/11/mmr1-team-9-never-000012-abcdefabcdef.tar.zst");
	must(store_open(b->ctx, b->root, true, &s, &b->err));
	ck_assert(fchmod(s->root_dirfd, 0755) == 0 && fchmodat(s->root_dirfd, "bundles", 0755, 0) == 0);
	ck_assert_int_eq(fchmodat(s->root_dirfd, "bundles/2026", 0444, 0), 0);
	seen.text = talloc_strdup(b->ctx, "");
	ck_assert(getuid() != 0 || seteuid(nobody) == 0); /* nothing is forbidden to root */
	rc = store_each_bundle(s, see, &seen, &b->err);
	ck_assert(getuid() != 0 || seteuid(0) == 0);
	ck_assert_int_eq(fchmodat(s->root_dirfd, "bundles/2026", 0755, 0), 0);
	ck_assert_str_eq(seen.text, "");
	ck_assert_int_eq(rc, -ERR_PERMISSION);
	ck_assert_msg(strstr(b->err.msg, "bundles/2026/11") != NULL, "%s", b->err.msg);
	box_close(b);
}
END_TEST

START_TEST(partial_is_cleared)
{
	struct box box, *b = &box;
	struct store *s;
	uint32_t n = 7;

	box_open(b);
	must(store_init(b->root, &b->err));
	must(store_open(b->ctx, b->root, true, &s, &b->err));
	must(store_clear_partial(s, &n, &b->err));
	ck_assert_uint_eq(n, 0);
	put(b->root, "partial/mmr1-a-never-000001.tar.zst.part");
	put(b->root, "partial/mmr1-a-never-000001.tar.zst.bad");
	make(b->root, "partial/folder");
	ck_assert_int_eq(symlinkat("/etc/passwd", s->partial_dirfd, "link"), 0);
	must(store_clear_partial(s, &n, &b->err));
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(access("/etc/passwd", F_OK), 0);
	ck_assert_int_eq(mode_of(b->root, "partial/folder"), 0750);
	box_close(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *t = tcase_create("store");

	mem_setup();
	tcase_add_test(t, init_makes_the_layout);
	tcase_add_test(t, two_archives_have_two_secrets);
	tcase_add_test(t, foreign_folders_are_left_alone);
	tcase_add_test(t, an_empty_mount_is_fine);
	tcase_add_loop_test(t, others_must_be_shut_out, 0, ARRAY_LEN(open_mode));
	tcase_add_test(t, a_lost_secret_is_said);
	tcase_add_test(t, bundles_are_listed_and_numbered);
	tcase_add_test(t, what_cannot_be_looked_at_is_told);
	tcase_add_test(t, partial_is_cleared);
	suite_add_tcase(suite, t);
	suite_add_tcase(suite, store_mirror_case());
	return suite_run(suite);
}
