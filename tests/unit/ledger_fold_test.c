/* ledger_fold_test.c - the state of runs and bundles, folded from the lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger_test.h"

START_TEST(fold_follows_a_bundle)
{
	static const char rows[] = "1111111111111111111111111111111111111111111111111111111111111111";
	struct ledger *l = must_open();
	struct ledger_state *st = fold();

	ck_assert_uint_eq(st->entries, 0);
	ck_assert_ptr_null(st->open_run);
	PUT(l, "run-begin", "run", "r1");
	ck_assert_str_eq(fold()->open_run, "r1");
	PUT(l, "published", "run", "r1", "rule", "alarms \"x\"", "bundle", "b1", "rel_path", "bundles/b1",
	    "rows_digest", rows);
	st = fold();
	ck_assert_uint_eq(st->n_bundles, 1);
	ck_assert_uint_eq(st->n_last_run, 0);
	ck_assert_str_eq(st->bundle[0].rule, "alarms \"x\"");
	ck_assert_str_eq(st->bundle[0].rows_digest, rows);
	ck_assert_uint_eq(st->bundle[0].posts, 7);
	ck_assert(!st->bundle[0].purge_started);
	PUT(l, "purging", "run", "r1", "bundle", "b1");
	ck_assert(fold()->bundle[0].purge_started);
	PUT(l, "purged", "run", "r1", "bundle", "b1");
	ck_assert(fold()->bundle[0].purged);
	PUT(l, "bundle-done", "run", "r1", "bundle", "b1");
	st = fold();
	ck_assert_uint_eq(st->n_bundles, 0);
	ck_assert_uint_eq(st->n_last_run, 1);
	ck_assert(st->last_run[0].done);
	PUT(l, "run-end", "run", "r1");
	st = fold();
	ck_assert_ptr_null(st->open_run);
	ck_assert_str_eq(st->last_rows_digest, rows);
}
END_TEST

START_TEST(fold_after_a_crash)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	PUT(l, "run-begin", "run", "r1");
	PUT(l, "published", "run", "r1", "bundle", "b1");
	PUT(l, "waived", "run", "r1", "bundle", "waived-1", "rows_digest", "not a digest");
	PUT(l, "run-begin", "run", "r2");
	PUT(l, "purging", "run", "r2", "bundle", "b1");
	st = fold();
	ck_assert_str_eq(st->open_run, "r2");
	ck_assert_uint_eq(st->n_bundles, 2);
	ck_assert(st->bundle[0].purge_started && !st->bundle[1].purge_started);
	ck_assert(!st->bundle[0].waived && st->bundle[1].waived);
	ck_assert_str_eq(st->last_rows_digest, "");
	PUT(l, "bundle-done", "run", "r2", "bundle", "b1");
	PUT(l, "published", "run", "r2", "bundle", "b2");
	PUT(l, "purging", "run", "r2", "bundle", "b2");
	PUT(l, "run-begin", "run", "r3"); /* only archives: what r2 deleted is still to be swept once more */
	PUT(l, "published", "run", "r3", "bundle", "b3");
	PUT(l, "bundle-done", "run", "r3", "bundle", "b3");
	st = fold();
	ck_assert_uint_eq(st->n_bundles, 2);
	ck_assert_str_eq(st->bundle[0].bundle, "waived-1");
	ck_assert_uint_eq(st->n_last_run, 2); /* r2 has finished what r1 began */
	ck_assert_str_eq(st->last_run[0].bundle, "b1");
	ck_assert(st->last_run[0].done);
	ck_assert_str_eq(st->last_run[1].bundle, "b2");
}
END_TEST

/* Ids as an array: PUT writes strings only. */
static void put_stayed(struct ledger *l, const char *run, const char *bundle, const char *roots)
{
	struct ledger_entry e;
	struct err err;

	ledger_begin(&e, ctx, "stayed");
	ledger_str(&e, "run", run);
	ledger_str(&e, "bundle", bundle);
	ledger_raw(&e, "roots", roots);
	ck_assert_int_eq(ledger_append(l, &e, &err), 0);
}

START_TEST(fold_stayed)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	PUT(l, "published", "run", "r1", "bundle", "b1");
	PUT(l, "published", "run", "r1", "bundle", "b2");
	PUT(l, "purging", "run", "r1", "bundle", "b1");
	put_stayed(l, "r1", "b1", "[\"aa\",\"bb\"]");
	put_stayed(l, "r1", "b1", "[\"cc\"]");
	st = fold();
	ck_assert_str_eq(st->bundle[0].stayed, " aa bb cc");
	ck_assert_ptr_null(st->bundle[1].stayed);
	ck_assert_str_eq(st->last_run[0].stayed, " aa bb cc");
	put_stayed(l, "r2", "b1", "[\"dd\"]"); /* took the bundle up again: it knows all */
	PUT(l, "purged", "run", "r2", "bundle", "b1");
	PUT(l, "bundle-done", "run", "r2", "bundle", "b1");
	put_stayed(l, "r1", "b2", "[\"ee\"]"); /* killed before it said `purged` */
	PUT(l, "purged", "run", "r2", "bundle", "b2");
	st = fold();
	ck_assert_ptr_null(st->bundle[0].stayed);
	ck_assert_uint_eq(st->n_last_run, 1);
	ck_assert_str_eq(st->last_run[0].stayed, " dd");
}
END_TEST

/* A sanitizer has a realloc of its own; clang tells of it in another way. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define REALLOC_FAILS
extern void *__libc_realloc(void *p, size_t size);
static unsigned long realloc_fails; /* so many more succeed, then one does not; 0: all do */

void *realloc(void *p, size_t size)
{
	return realloc_fails && --realloc_fails == 0 ? NULL : __libc_realloc(p, size);
}

/* Short of memory for a moment the process ends, or it has them all: of one that is forgotten the thread would come
 * back. */
START_TEST(fold_stayed_short_of_memory)
{
	struct ledger *l = must_open();
	unsigned long n = 0;
	int status = 1 << 8;

	PUT(l, "published", "run", "r1", "bundle", "b1");
	put_stayed(l, "r1", "b1", "[\"aa\",\"bb\",\"cc\",\"dd\",\"ee\",\"ff\",\"gg\",\"hh\"]");
	put_stayed(l, "r1", "b1", "[\"ii\",\"kk\"]");
	while (status && ++n < 1000) {
		pid_t child = fork();

		if (child == 0) {
			close(STDERR_FILENO);
			realloc_fails = n;
			_exit(strcmp(fold()->bundle[0].stayed, " aa bb cc dd ee ff gg hh ii kk") != 0 ? 2
				      : realloc_fails ? 0 : 3 /* none failed; one did, and it was well */);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) != 2, "the %luth", n);
	}
	ck_assert_int_eq(status, 0);
	ck_assert_uint_gt(n, 10);
}
END_TEST
#endif

static void put_swept(struct ledger *l, const char *run, const char *bundle, int64_t open_xid)
{
	PUT(l, "published", "run", run, "bundle", bundle);
	PUT(l, "purging", "run", run, "bundle", bundle);
	put_sweep(l, run, bundle, "open_xid", open_xid);
	PUT(l, "bundle-done", "run", run, "bundle", bundle);
}

START_TEST(fold_open_sweep)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	put_swept(l, "r1", "b1", 77);
	put_swept(l, "r1", "b2", 0);
	put_swept(l, "r2", "b3", 0);
	st = fold();
	ck_assert_uint_eq(st->n_last_run, 2);
	ck_assert_str_eq(st->last_run[0].bundle, "b1");
	ck_assert_uint_eq(st->last_run[0].open_xid, 77);
	put_sweep(l, "r3", "b1", "open_xid", 0);
	PUT(l, "bundle-done", "run", "r3", "bundle", "b1");
	put_swept(l, "r3", "b4", 0);
	st = fold();
	ck_assert_uint_eq(st->n_last_run, 1);
	ck_assert_str_eq(st->last_run[0].bundle, "b4");
}
END_TEST

START_TEST(fold_many)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "b%d", i);
		PUT(l, "published", "run", i < 150 ? "r1" : "r2", "bundle", name);
		PUT(l, "purging", "run", i < 150 ? "r1" : "r2", "bundle", name);
		if (i % 3)
			PUT(l, "bundle-done", "run", i < 150 ? "r1" : "r2", "bundle", name);
	}
	st = fold();
	ck_assert_uint_eq(st->n_bundles, 100);
	ck_assert_uint_eq(st->n_last_run, 150);
	ck_assert_str_eq(st->last_run[0].bundle, "b150");
}
END_TEST

static const struct ledger_published *published(const char *bundle, struct ledger_archive **ret)
{
	struct err err = {0};

	ck_assert_msg(ledger_archive(ctx, dirfd_test, ret, &err) == 0, "%s", err.msg);
	for (size_t i = 0; i < (*ret)->n; i++)
		if (strcmp((*ret)->bundle[i].bundle, bundle) == 0)
			return &(*ret)->bundle[i];
	return NULL;
}

START_TEST(archive_follows_a_bundle)
{
	static const char rows[] = "1111111111111111111111111111111111111111111111111111111111111111";
	struct ledger *l = must_open();
	const struct ledger_published *p;
	struct ledger_archive *a;

	ck_assert_ptr_null(published("b1", &a));
	ck_assert_int_eq(a->newest_ms, INT64_MIN);
	PUT(l, "published", "run", "r1", "rule", "alarms \"x\"", "bundle", "b1", "rel_path", "bundles/b1",
	    "rows_digest", rows);
	PUT(l, "waived", "run", "r1", "bundle", "waived-1");
	p = published("b1", &a);
	ck_assert_uint_eq(a->n, 1);
	ck_assert_str_eq(p->rule, "alarms \"x\"");
	ck_assert_str_eq(p->rows_digest, rows);
	ck_assert_uint_eq(p->posts, 7);
	ck_assert(!p->done && !p->has_expiry && p->expiry == LEDGER_THERE);
	ck_assert_str_eq(p->run[p->n_runs - 1], "r1");
	PUT(l, "purging", "run", "r2", "bundle", "b1");
	PUT(l, "bundle-done", "run", "r2", "bundle", "b1");
	p = published("b1", &a);
	ck_assert(p->done && p->newest_ms > 0 && p->newest_ms <= a->newest_ms);
	ck_assert_str_eq(p->run[p->n_runs - 1], "r2");
	PUT(l, "expiring", "bundle", "b1", "rel_path", "bundles/b1");
	PUT(l, "expiring", "bundle", "nobody knows it");
	p = published("b1", &a);
	ck_assert(p->expiry == LEDGER_EXPIRING);
	ck_assert_uint_eq(a->n, 1);
	PUT(l, "expiry-withdrawn", "bundle", "b1");
	ck_assert(published("b1", &a)->expiry == LEDGER_THERE);
	PUT(l, "expiring", "run", "r3", "bundle", "b1");
	PUT(l, "expired", "run", "r3", "bundle", "b1");
	p = published("b1", &a);
	ck_assert(p->expiry == LEDGER_EXPIRED);
	ck_assert_str_eq(p->run[p->n_runs - 1], "r2"); /* its expiry is no step of a run with it */
}
END_TEST

START_TEST(archive_finds_silence)
{
	const int64_t day_ms = 86400000, begin_ms = 1700000000000;
	struct ledger *l = must_open();
	struct ledger_archive *a;

	time_override_ms(begin_ms);
	PUT(l, "run-begin", "run", "r1");
	time_override_ms(begin_ms + 32 * day_ms);
	PUT(l, "run-begin", "run", "r2");
	ck_assert_ptr_null(published("", &a));
	ck_assert_int_eq(a->gap_to_ms, INT64_MIN);
	ck_assert_int_eq(a->newest_ms, begin_ms + 32 * day_ms);
	time_override_ms(begin_ms + 65 * day_ms);
	PUT(l, "run-begin", "run", "r3");
	time_override_ms(begin_ms + 60 * day_ms); /* back: the newest stays */
	PUT(l, "run-begin", "run", "r4");
	time_override_ms(begin_ms + 90 * day_ms);
	PUT(l, "run-begin", "run", "r5");
	time_override_ms(0);
	ck_assert_ptr_null(published("", &a));
	ck_assert_int_eq(a->gap_from_ms, begin_ms + 32 * day_ms);
	ck_assert_int_eq(a->gap_to_ms, begin_ms + 65 * day_ms);
	ck_assert_int_eq(a->newest_ms, begin_ms + 90 * day_ms);
}
END_TEST

/* What is gone cannot be swept any more, whether a run or `expire` has removed it. */
START_TEST(fold_forgets_what_expires)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	for (int i = 0; i < 2; i++) {
		const char *bundle = i ? "b2" : "b1";

		PUT(l, "published", "run", "r1", "bundle", bundle);
		PUT(l, "purging", "run", "r1", "bundle", bundle);
		PUT(l, "bundle-done", "run", "r1", "bundle", bundle);
	}
	ck_assert_uint_eq(fold()->n_last_run, 2);
	PUT(l, "expiring", "bundle", "b1");
	st = fold();
	ck_assert_uint_eq(st->n_last_run, 1);
	ck_assert_str_eq(st->last_run[0].bundle, "b2");
	PUT(l, "expiring", "run", "r2", "bundle", "b2");
	PUT(l, "expired", "run", "r2", "bundle", "b2");
	ck_assert_uint_eq(fold()->n_last_run, 0);
}
END_TEST

/* Two people in one bundle: the second erasure does not hide that the first one was given up; its expiry ends all of
 * them. */
START_TEST(fold_tells_people_apart)
{
	static const char *const common[] = {"bundle", "b1", "old_rel_path", "x/b1"};
	struct ledger *l = must_open();
	struct ledger_state *st;

	PUT(l, "published", "run", "r1", "bundle", "b1", "rel_path", "x/b1");
	PUT(l, "erasing", common[0], common[1], common[2], common[3], "rel_path", "x/b1-e2", "person_digest", "anna");
	PUT(l, "erasing", common[0], common[1], common[2], common[3], "rel_path", "x/b1-e2", "person_digest", "bert");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 2);
	ck_assert(st->erasing[0].given_up && !st->erasing[1].given_up);
	PUT(l, "erased", common[0], common[1], common[2], common[3], "rel_path", "x/b1-e2", "person_digest", "bert");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 1);
	ck_assert_str_eq(st->erasing[0].person_digest, "anna");
	PUT(l, "erasing", common[0], common[1], "old_rel_path", "x/b1-e2", "rel_path", "x/b1-e3", "person_digest",
	    "anna");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 1);
	ck_assert(!st->erasing[0].given_up);
	PUT(l, "expiring", "bundle", "b1", "rel_path", "x/b1-e2");
	ck_assert_uint_eq(fold()->n_erasing, 1);
	PUT(l, "expired", "bundle", "b1", "rel_path", "x/b1-e2");
	ck_assert_uint_eq(fold()->n_erasing, 0);
}
END_TEST

/* A hold came before `erased`: nothing vouches for the new file, the old one is the bundle, and the erasure is still
 * owed to who asked for it. */
START_TEST(fold_follows_a_withdrawal)
{
	static const char one[] = "1111111111111111111111111111111111111111111111111111111111111111";
	static const char two[] = "2222222222222222222222222222222222222222222222222222222222222222";
	static const char *const both[] = {"bundle",   "b1",	  "old_rel_path", "x/b1",
					   "rel_path", "x/b1-e2", "rows_digest",  one};
	struct ledger *l = must_open();
	struct ledger_voucher v;
	struct ledger_archive *a;
	struct ledger_state *st;
	int64_t newest_ms;
	struct err err;

	PUT(l, "published", "run", "r1", "bundle", "b1", "rel_path", "x/b1", "file_digest", one, "rows_digest", one);
	newest_ms = published("b1", &a)->newest_ms;
	PUT(l, "erasing", both[0], both[1], both[2], both[3], both[4], both[5], both[6], both[7], "file_digest", two,
	    "person_digest", "anna");
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1-e2", &v, &err), 0);
	ck_assert(v.found && !fold()->erasing[0].withdrawn);
	PUT(l, "erasure-withdrawn", both[0], both[1], both[2], both[3], both[4], both[5], both[6], both[7],
	    "file_digest", two, "person_digest", "anna", "because", "held");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 1);
	ck_assert(st->erasing[0].withdrawn && !st->erasing[0].given_up);
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1-e2", &v, &err), 0);
	ck_assert(!v.found);
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1", &v, &err), 0);
	ck_assert(v.found && !v.replaced);
	ck_assert_str_eq(published("b1", &a)->rel_path, "x/b1");
	ck_assert_uint_eq(published("b1", &a)->n_former, 0);
	ck_assert_int_eq(published("b1", &a)->newest_ms, newest_ms);
	/* somebody else's takes the name of the file: it is not one that goes any more */
	PUT(l, "erasing", both[0], both[1], both[2], both[3], both[4], both[5], both[6], both[7], "file_digest", two,
	    "person_digest", "bert");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 2);
	ck_assert(st->erasing[0].withdrawn && st->erasing[0].given_up && !st->erasing[1].withdrawn);
	PUT(l, "erased", both[0], both[1], both[2], both[3], both[4], both[5], both[6], both[7], "file_digest", two,
	    "person_digest", "bert");
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1", &v, &err), 0);
	ck_assert(v.replaced);
	PUT(l, "erasing", both[0], both[1], "old_rel_path", "x/b1-e2", "rel_path", "x/b1-e3", both[6], both[7],
	    "file_digest", one, "person_digest", "anna");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 1);
	ck_assert(!st->erasing[0].withdrawn);
}
END_TEST

/* A bundle that is written again: both files are vouched for, one after the other, and no sweep goes by it any more. */
START_TEST(fold_follows_an_erasure)
{
	static const char one[] = "1111111111111111111111111111111111111111111111111111111111111111";
	static const char two[] = "2222222222222222222222222222222222222222222222222222222222222222";
	static const char rows[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct ledger *l = must_open();
	struct ledger_voucher v;
	struct ledger_archive *a;
	struct ledger_state *st;
	struct err err;
	char hex[DIGEST_HEX + 1];

	PUT(l, "published", "run", "r1", "bundle", "b1", "rel_path", "x/b1", "file_digest", one, "rows_digest", rows,
	    "posts", "9");
	PUT(l, "purging", "run", "r1", "bundle", "b1");
	PUT(l, "bundle-done", "run", "r1", "bundle", "b1");
	ck_assert_uint_eq(fold()->n_last_run, 1);
	for (int i = 0; i < 2; i++) /* given up once */
		PUT(l, "erasing", "bundle", "b1", "rel_path", "x/b1-e2", "file_digest", two, "old_rel_path", "x/b1",
		    "old_file_digest", one, "rows_digest", rows, "case", "c");
	st = fold();
	ck_assert_uint_eq(st->n_erasing, 1);
	ck_assert_uint_eq(st->n_last_run, 0);
	ck_assert_str_eq(st->erasing[0].rel_path, "x/b1-e2");
	ck_assert_str_eq(st->erasing[0].old_rel_path, "x/b1");
	ck_assert_str_eq(st->erasing[0].case_id, "c");
	ck_assert_str_eq(st->last_rows_digest, rows);
	ck_assert_str_eq(published("b1", &a)->rel_path, "x/b1");
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1", &v, &err), 0);
	ck_assert(v.found && !v.replaced);
	PUT(l, "erased", "bundle", "b1", "rel_path", "x/b1-e2", "file_digest", two, "old_rel_path", "x/b1",
	    "old_file_digest", one, "rows_digest", rows);
	ck_assert_uint_eq(fold()->n_erasing, 0);
	ck_assert_str_eq(published("b1", &a)->rel_path, "x/b1-e2");
	ck_assert_str_eq(published("b1", &a)->file_digest, two);
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1", &v, &err), 0);
	ck_assert(v.found && v.replaced);
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b1-e2", &v, &err), 0);
	ck_assert(v.found && !v.replaced);
	ck_assert_str_eq(v.bundle, "b1");
	digest_hex(&v.file, hex);
	ck_assert_str_eq(hex, two);
	ck_assert_int_eq(ledger_vouch(dirfd_test, "x/b", &v, &err), 0);
	ck_assert(!v.found);
}
END_TEST

TCase *fold_tests(void)
{
	TCase *folded = tcase_create("fold");

	tcase_add_test(folded, archive_follows_a_bundle);
	tcase_add_test(folded, archive_finds_silence);
	tcase_add_test(folded, fold_forgets_what_expires);
	tcase_add_test(folded, fold_follows_an_erasure);
	tcase_add_test(folded, fold_tells_people_apart);
	tcase_add_test(folded, fold_follows_a_withdrawal);
	tcase_add_test(folded, fold_follows_a_bundle);
	tcase_add_test(folded, fold_after_a_crash);
	tcase_add_test(folded, fold_stayed);
#ifdef REALLOC_FAILS
	tcase_add_test(folded, fold_stayed_short_of_memory);
#endif
	tcase_add_test(folded, fold_open_sweep);
	tcase_add_test(folded, fold_many);
	return folded;
}
