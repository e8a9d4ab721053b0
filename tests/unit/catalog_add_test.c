/* catalog_add_test.c - several bundles into the catalog at once: what is damaged is told, the others are entered. */
#include "catalog_internal.h"
#include "catalog_tests.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GOLDEN TEST_SOURCE_DIR "/unit/golden/mmr1-accelerator-202701-000042-b679effb00ff.tar.zst"

static void *ctx;
static char path[] = "/tmp/mmretain-catalog-XXXXXX";
static struct store *store;
static struct err err;

static void set_up(void)
{
	ctx = talloc_new(NULL);
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(store_init(path, &err), 0);
	ck_assert_int_eq(store_open(ctx, path, true, &store, &err), 0);
}

static void tear_down(void)
{
	char command[64];

	talloc_free(ctx);
	snprintf(command, sizeof command, "rm -rf %s", path);
	ck_assert_int_eq(system(command), 0);
}

/* A copy of the golden bundle, or of its first bytes. */
static const char *bundle(const char *name, size_t most)
{
	char *data = talloc_size(ctx, 1 << 20), *folder = talloc_asprintf(ctx, "%s/bundles/2027", path);
	FILE *from = fopen(GOLDEN, "rb"), *to;
	size_t n;

	ck_assert_ptr_nonnull(from);
	n = fread(data, 1, 1 << 20, from);
	(void)fclose(from);
	(void)mkdir(folder, 0755);
	(void)mkdir(talloc_asprintf(ctx, "%s/01", folder), 0755);
	ck_assert_ptr_nonnull(to = fopen(talloc_asprintf(ctx, "%s/01/%s", folder, name), "wb"));
	ck_assert_uint_eq(fwrite(data, 1, n < most ? n : most, to), n < most ? n : most);
	ck_assert_int_eq(fclose(to), 0);
	return talloc_asprintf(ctx, "bundles/2027/01/%s", name);
}

static void note(void *payload, const char *rel_path, const struct err *why)
{
	char **told = payload;

	*told = talloc_asprintf_append(*told, "%s %d;", rel_path, why->code);
}

static int listed(void)
{
	static const struct catalog_options options = {0};
	struct catalog *c;
	int n = 0;

	ck_assert_int_eq(catalog_open(ctx, store, &options, &c, &err), 0);
	for (size_t i = 0; i < c->n_bundles; i++)
		n += c->bundle[i].listed;
	return n;
}

START_TEST(one_of_three_is_damaged)
{
	const char *three[] = {bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX),
			       bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", 9000),
			       bundle("mmr1-c-202701-000003-b679effb00ff.tar.zst", SIZE_MAX)};
	char *told = talloc_strdup(ctx, "");

	ck_assert_int_eq(catalog_add_bundles(store, three, 3, note, &told, &err), 0);
	ck_assert_str_eq(told, talloc_asprintf(ctx, "%s %d;", three[1], -ERR_VERIFY));
	ck_assert_int_eq(listed(), 2);
	ck_assert_int_eq(catalog_add_bundles(store, three, 1, note, &told, &err), 0); /* once more is no harm */
	ck_assert_int_eq(listed(), 2);
}
END_TEST

START_TEST(one_alone_is_damaged)
{
	ck_assert_int_eq(catalog_add_bundle(store, bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", 9000), &err),
			 -ERR_VERIFY);
	ck_assert_int_eq(listed(), 0);
}
END_TEST

START_TEST(catalog_that_is_none)
{
	const char *one = bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX);
	char *told = talloc_strdup(ctx, "");
	FILE *f = fopen(talloc_asprintf(ctx, "%s/catalog.sqlite", path), "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs("this is no database, and long enough to look like a page of something else", f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(catalog_add_bundles(store, &one, 1, note, &told, &err), -ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(err.hint, "reindex"));
	ck_assert_str_eq(told, "");
}
END_TEST

/* One that was cut would say of the ids behind the cut that nobody had them. */
START_TEST(list_of_a_lost_bundle_is_whole)
{
	static const char digest[] = "b679effb00ff";
	const char *name = talloc_asprintf(ctx, "%s/ledger/lost-%s.jsonl", path, digest);
	struct catalog_lost_ids l = {.kind = CATALOG_LOST_KEYS, .n = 2500}, got;
	struct stat st;

	l.key = talloc_array(ctx, uint64_t, l.n);
	for (size_t i = 0; i < l.n; i++)
		l.key[i] = i;
	ck_assert_int_eq(catalog_lost_save(store, "x.tar.zst", digest, &l, &err), 0);
	ck_assert_int_eq(catalog_lost_read(ctx, store, digest, &got, &err), 0);
	ck_assert_uint_eq(got.n, l.n);
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_int_eq(truncate(name, st.st_size - (_i ? 1 : 4000)), 0);
	ck_assert_int_eq(catalog_lost_read(ctx, store, digest, &got, &err), -ERR_VERIFY);
}
END_TEST

static ino_t inode(void)
{
	struct stat st;

	return stat(talloc_asprintf(ctx, "%s/catalog.sqlite", path), &st) == 0 ? st.st_ino : 0;
}

/* A process in the middle of a transaction: the journal is on the disk, and pages of the file have changed. */
static void write_much(struct sq **s, int *lock)
{
	if (store_lock_indexes(store, lock, &err) ||
	    sq_open(ctx, sq_path(ctx, store, CATALOG_NAME), SQ_WRITE, s, &err) ||
	    sq_exec(*s,
		    "PRAGMA cache_size=1; BEGIN IMMEDIATE; CREATE TABLE big(b BLOB); UPDATE bundle SET bytes = 1; "
		    "INSERT INTO big WITH RECURSIVE n(i) AS "
		    "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT zeroblob(8000) FROM n",
		    &err))
		_exit(3);
}

/* 0: the file in its place was ours until the end. */
static void writer(int told)
{
	ino_t mine = inode();
	struct sq *s;
	int lock;

	write_much(&s, &lock);
	if (write(told, "x", 1) != 1)
		_exit(3);
	(void)nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
	bool ours = inode() == mine;
	_exit(sq_exec(s, "DROP TABLE big; COMMIT", &err) ? 4 : ours ? 0 : 2);
}

/* What a reindex puts in its place must not come while somebody writes the old one, whose journal goes by name. */
START_TEST(reindex_beside_a_writer)
{
	const char *one = bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX);
	struct catalog_totals sum;
	int tell[2], status;
	char x;

	ck_assert_int_eq(catalog_add_bundle(store, one, &err), 0);
	ino_t before = inode();
	(void)bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", SIZE_MAX);
	ck_assert_int_eq(pipe(tell), 0);
	pid_t child = fork();
	if (child == 0)
		writer(tell[1]);
	ck_assert_int_eq(read(tell[0], &x, 1), 1);
	ck_assert_int_eq(catalog_reindex(store, false, &sum, NULL, &err), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
	ck_assert_uint_ne(inode(), before);
	ck_assert_int_eq(listed(), 2);
}
END_TEST

/* One that was killed there leaves a torn file and its journal: both go. */
START_TEST(reindex_after_a_killed_writer)
{
	const char *one = bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX);
	struct catalog_totals sum;
	struct sq *s;
	int status, lock;

	ck_assert_int_eq(catalog_add_bundle(store, one, &err), 0);
	(void)bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", SIZE_MAX);
	pid_t child = fork();
	if (child == 0) {
		write_much(&s, &lock);
		(void)kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(access(talloc_asprintf(ctx, "%s/catalog.sqlite-journal", path), F_OK), 0);
	ck_assert_int_eq(catalog_reindex(store, false, &sum, NULL, &err), 0);
	ck_assert_int_ne(access(talloc_asprintf(ctx, "%s/catalog.sqlite-journal", path), F_OK), 0);
	ck_assert_int_eq(listed(), 2);
}
END_TEST

/* What a reindex would build, and neither catalog nor index is there afterwards that was not before. */
START_TEST(reindex_looked_at)
{
	const char *large = bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", SIZE_MAX);
	struct catalog_totals sum;

	ck_assert_int_eq(catalog_add_bundle(store, bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX), &err),
			 0);
	ino_t before = inode();
	/* no bundle is read */
	ck_assert_int_eq(truncate(talloc_asprintf(ctx, "%s/%s", path, large), WITHOUT_SIDE_BYTES), 0);
	for (int all = 0; all < 2; all++) {
		ck_assert_int_eq(catalog_reindex_look(store, all, &sum, NULL, &err), 0);
		ck_assert_uint_eq(sum.bundles, 2);
		ck_assert_uint_eq(sum.built, 1);
		ck_assert_uint_eq(sum.small, 1);
		ck_assert_uint_eq(sum.failed, 0);
		ck_assert_uint_gt(sum.bundle_bytes, WITHOUT_SIDE_BYTES);
		ck_assert_uint_gt(sum.index_bytes, 0);
		ck_assert_int_eq(err.code, 0);
	}
	ck_assert_uint_eq(inode(), before);
	ck_assert_int_eq(listed(), 1);
	ck_assert_int_ne(access(talloc_asprintf(ctx, "%s/%s", path, side_rel_path(ctx, large)), F_OK), 0);
}
END_TEST

/* Of a file that goes no index is made any more, and what there is of it is forgotten although it is still there. */
START_TEST(forget_one_that_is_there)
{
	char *two[] = {(char *)(uintptr_t)bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX),
		       (char *)(uintptr_t)bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", SIZE_MAX)};

	ck_assert_int_eq(catalog_add_bundle(store, two[0], &err), 0);
	ck_assert_int_eq(catalog_add_bundle(store, two[1], &err), 0);
	ck_assert_int_eq(listed(), 2);
	ck_assert_int_eq(catalog_forget(store, two, 1, &err), 0);
	ck_assert_int_eq(listed(), 1);
	ck_assert_int_eq(catalog_forget(store, two, 1, &err), 0);
	ck_assert_int_eq(listed(), 1);
	ck_assert_int_eq(unlinkat(store->root_dirfd, two[0], 0), 0);
	ck_assert_int_eq(side_build(store, two[0], &err), -ERR_NOT_FOUND);
}
END_TEST

/* Bundles are asked about the newest first, and teams come in turn, so that the next one is elsewhere in the list. */
START_TEST(each_bundle_is_asked_once_about_an_id)
{
	enum { N = 130, STEP = 37 };
	static const struct catalog_options options = {0};
	struct catalog_hits hits;
	struct catalog *c;

	for (int i = 0; i < N; i++)
		(void)bundle(talloc_asprintf(ctx, "mmr1-a-202701-%06d-b679effb00ff.tar.zst", i), SIZE_MAX);
	ck_assert_int_eq(catalog_reindex(store, false, &(struct catalog_totals){0}, NULL, &err), 0);
	ck_assert_int_eq(catalog_open(ctx, store, &options, &c, &err), 0);
	ck_assert_uint_eq(c->n_bundles, N);
	for (int id = 1; id <= 2; id++) {
		for (size_t i = 0; i < N; i++) {
			const char *wanted = id == 1 ? "nobody" : "somebody";
			ck_assert_int_eq(catalog_frames_of_id(c, i * STEP % N, wanted, ctx, &hits, &err), 0);
		}
		ck_assert_int_eq(sqlite3_stmt_status(c->db->filter, SQLITE_STMTSTATUS_RUN, 0), id * N);
	}
}
END_TEST

/* Nothing keeps root from reading a file. */
static void as_nobody(void)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(system(talloc_asprintf(ctx, "chown -R 65534:65534 %s", path)), 0);
	ck_assert_int_eq(setegid(65534) || seteuid(65534), 0);
}

START_TEST(reindex_without_one_that_may_not_be_read)
{
	const char *closed = bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", SIZE_MAX);
	struct catalog_totals sum = {0};

	(void)bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX);
	(void)bundle("mmr1-c-202701-000003-b679effb00ff.tar.zst", SIZE_MAX);
	ck_assert_int_eq(chmod(talloc_asprintf(ctx, "%s/%s", path, closed), 0), 0);
	as_nobody();
	int rc = catalog_reindex(store, true, &sum, NULL, &err);
	ck_assert_msg(rc == 0, "%d %s", rc, err.msg);
	ck_assert_uint_eq(sum.bundles, 3);
	ck_assert_uint_eq(sum.failed, 1);
	ck_assert_int_eq(listed(), 2);
	ck_assert_int_eq(seteuid(getuid()) || setegid(getgid()), 0); /* to clear away */
}
END_TEST

static int count_name(void *payload, const struct catalog_name *n, struct err *e)
{
	(void)n;
	(void)e;
	++*(int *)payload;
	return 0;
}

/* With or without the list in the catalog. */
static int names(bool want_there)
{
	static const struct catalog_options options = {0};
	struct catalog *c;
	struct sq *s;
	bool there;
	int n = 0;

	ck_assert_int_eq(sq_open(ctx, sq_path(ctx, store, CATALOG_NAME), SQ_READ, &s, &err), 0);
	ck_assert_int_eq(all_has_names(s, &there, &err), 0);
	ck_assert_int_eq(there, want_there);
	ck_assert_int_eq(catalog_open(ctx, store, &options, &c, &err), 0);
	ck_assert_int_eq(catalog_names(c, "users", count_name, &n, &err), 0);
	ck_assert(c->db != NULL);
	talloc_free(c);
	talloc_free(s);
	return n;
}

/* One after the other: the names are gone with the first, searches have them all the same, and they come back when
 * somebody asks for it. */
START_TEST(forget_one_after_the_other)
{
	const char *one[] = {bundle("mmr1-a-202701-000001-b679effb00ff.tar.zst", SIZE_MAX),
			     bundle("mmr1-b-202701-000002-b679effb00ff.tar.zst", SIZE_MAX),
			     bundle("mmr1-c-202701-000003-b679effb00ff.tar.zst", SIZE_MAX),
			     bundle("mmr1-d-202701-000004-b679effb00ff.tar.zst", SIZE_MAX)};

	ck_assert_int_eq(catalog_names_again(store, &err), 0); /* no catalog yet */
	ck_assert_int_ne(access(talloc_asprintf(ctx, "%s/catalog.sqlite", path), F_OK), 0);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(catalog_add_bundle(store, one[i], &err), 0);
	ck_assert_int_eq(catalog_names_again(store, &err), 0);
	ck_assert_int_eq(catalog_forget_next(store, one[3], &err), 0); /* it lists none of that name */
	/* the list has each once, and the fourth bundle is asked */
	ck_assert_int_eq(names(true), 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(catalog_forget_next(store, one[i], &err), 0);
		ck_assert_int_eq(unlinkat(store->root_dirfd, one[i], 0), 0);
		ck_assert_int_eq(names(false), 3 - (int)i);
	}
	ck_assert_int_eq(catalog_add_bundle(store, one[3], &err), 0);
	ck_assert_int_eq(names(false), 2);
	ck_assert_int_eq(listed(), 2);
	ck_assert_int_eq(catalog_names_again(store, &err), 0);
	ck_assert_int_eq(names(true), 1);
	ck_assert_int_eq(catalog_forget_next(store, one[2], &err), 0);
	/* whoever removes many at once needs no list to be there */
	ck_assert_int_eq(catalog_forget(store, (char *[]){(char *)(uintptr_t)one[3]}, 1, &err), 0);
	ck_assert_int_eq(names(true), 2);
}
END_TEST

TCase *catalog_add_case(void)
{
	TCase *t = tcase_create("add");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, one_of_three_is_damaged);
	tcase_add_test(t, one_alone_is_damaged);
	tcase_add_test(t, catalog_that_is_none);
	tcase_add_test(t, reindex_beside_a_writer);
	tcase_add_test(t, reindex_after_a_killed_writer);
	tcase_add_test(t, reindex_looked_at);
	tcase_add_loop_test(t, list_of_a_lost_bundle_is_whole, 0, 2);
	tcase_add_test(t, each_bundle_is_asked_once_about_an_id);
	tcase_add_test(t, reindex_without_one_that_may_not_be_read);
	tcase_add_test(t, forget_one_that_is_there);
	tcase_add_test(t, forget_one_after_the_other);
	return t;
}
