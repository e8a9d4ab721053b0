/* ledger_late_test.c - which bundles late replies are looked for in, folded from the lines. */
#include "ledger_test.h"

#include <string.h>

static struct ledger_state *fold(void)
{
	struct ledger_state *st = NULL;
	struct err err = {0};

	ck_assert_msg(ledger_fold(ctx, dirfd_test, &st, &err) == 0, "%s", err.msg);
	return st;
}

static void put_deleted(struct ledger *l, const char *run, const char *bundle)
{
	PUT(l, "published", "run", run, "bundle", bundle);
	PUT(l, "purging", "run", run, "bundle", bundle);
	PUT(l, "bundle-done", "run", run, "bundle", bundle);
}

/* A run that only archives closes the waiver, and may waive the same rows again: it has swept nothing. */
START_TEST(a_waiver_that_is_closed_begins_no_list)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	put_deleted(l, "r1", "b1");
	PUT(l, "waived", "run", "r1", "bundle", "waived-1");
	PUT(l, "purging", "run", "r1", "bundle", "waived-1");
	PUT(l, "run-begin", "run", "r2");
	PUT(l, "bundle-done", "run", "r2", "bundle", "waived-1");
	PUT(l, "waived", "run", "r2", "bundle", "waived-1");
	PUT(l, "bundle-done", "run", "r2", "bundle", "waived-1");
	st = fold();
	ck_assert_uint_eq(st->n_bundles, 0);
	ck_assert_uint_eq(st->n_last_run, 2);
	ck_assert_str_eq(st->last_run[0].bundle, "b1");
	put_deleted(l, "r3", "b2"); /* it has swept the others before */
	st = fold();
	ck_assert_uint_eq(st->n_last_run, 1);
	ck_assert_str_eq(st->last_run[0].bundle, "b2");
}
END_TEST

/* The same with one of a bundle: whoever finishes its delete may delete, and has swept. */
START_TEST(a_bundle_that_is_finished_begins_a_list)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	put_deleted(l, "r1", "b1");
	PUT(l, "published", "run", "r1", "bundle", "b2");
	PUT(l, "purging", "run", "r1", "bundle", "b2");
	PUT(l, "run-begin", "run", "r2");
	PUT(l, "bundle-done", "run", "r2", "bundle", "b2");
	st = fold();
	ck_assert_uint_eq(st->n_last_run, 1);
	ck_assert_str_eq(st->last_run[0].bundle, "b2");
}
END_TEST

TCase *late_tests(void)
{
	TCase *tc = tcase_create("late");

	tcase_add_test(tc, a_waiver_that_is_closed_begins_no_list);
	tcase_add_test(tc, a_bundle_that_is_finished_begins_a_list);
	return tc;
}
