/* ledger_archive_test.c - how much of every bundle that was ever published is in memory. */
#include <stdio.h>
#include <string.h>

#include "ledger_test.h"

static const struct ledger_published *last(struct ledger_archive **ret)
{
	struct err err = {0};

	ck_assert_msg(ledger_archive(ctx, dirfd_test, ret, &err) == 0, "%s", err.msg);
	return &(*ret)->bundle[(*ret)->n - 1];
}

/* An archive of many years has expired bundles without number: of each its name, what it counted and how late ones are
 * told are left. */
START_TEST(archive_keeps_little_of_what_expired)
{
	enum { N = 1000 };
	struct ledger *l = must_open();
	const struct ledger_published *p;
	struct ledger_archive *a;
	char bundle[64], path[96], rows[DIGEST_HEX + 1];

	for (int i = 0; i < N; i++) {
		snprintf(rows, sizeof rows, "%064x", i + 1);
		memcpy(rows, "1234567890", 10);
		snprintf(bundle, sizeof bundle, "mmr1-team-202611-%06d-%.12s.tar.zst", i, rows);
		snprintf(path, sizeof path, "bundles/2026/11/%s", bundle);
		PUT(l, "published", "run", "r1", "rule", "all", "bundle", bundle, "rel_path", path, "rows_digest", rows,
		    "file_digest", rows);
		PUT(l, "bundle-done", "run", "r1", "bundle", bundle);
		if (i > 0)
			PUT(l, "expired", "run", "r2", "bundle", bundle);
	}
	p = last(&a);
	ck_assert_uint_eq(a->n, N);
	ck_assert_str_eq(p->bundle, bundle);
	ck_assert(p->expiry == LEDGER_EXPIRED && p->done);
	ck_assert_str_eq(p->rel_path, path);
	ck_assert_str_eq(p->rule, "all");
	ck_assert_int_eq(strncmp(p->rows_digest, rows, 12), 0);
	ck_assert_uint_eq(p->posts, 7);
	ck_assert_uint_eq(a->bundle[0].n_runs, 1);
	ck_assert_uint_eq(strlen(a->bundle[0].rows_digest), DIGEST_HEX);
	ck_assert_uint_eq(strlen(a->bundle[0].file_digest), DIGEST_HEX);
	ck_assert_msg(talloc_total_size(a) < N * 300, "%zu bytes", talloc_total_size(a));
	/* A file that came back may be written again without somebody. */
	PUT(l, "erased", "bundle", bundle, "rel_path", "bundles/again", "old_rel_path", path, "file_digest", rows);
	p = last(&a);
	ck_assert(p->expiry == LEDGER_EXPIRED && p->n_former == 1);
	ck_assert_str_eq(p->rel_path, "bundles/again");
	ck_assert_str_eq(p->former[0], path);
}
END_TEST

TCase *archive_tests(void)
{
	TCase *archive = tcase_create("archive");

	tcase_set_timeout(archive, 60);
	tcase_add_test(archive, archive_keeps_little_of_what_expired);
	return archive;
}
