/* ledger_late_test.c - which bundles late replies are looked for in, folded from the lines. */
#include "ledger_test.h"

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

/* The newest sweep of a bundle tells since when its late replies are looked for. */
START_TEST(a_sweep_tells_since_when)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	PUT(l, "published", "run", "r1", "bundle", "b1");
	PUT(l, "purging", "run", "r1", "bundle", "b1");
	put_sweep(l, "r1", "b1", "looked_ms", 1700000000000);
	put_deleted(l, "r1", "b2");
	st = fold();
	ck_assert_int_eq(st->bundle[0].looked_ms, 1700000000000);
	ck_assert(st->last_run[0].looked_ms == 1700000000000 && st->last_run[1].looked_ms == 0);
	PUT(l, "bundle-done", "run", "r1", "bundle", "b1");
	put_sweep(l, "r2", "b1", "looked_ms", 1700000000999);
	put_sweep(l, "r2", "b2", "looked_ms", 1700000000998);
	st = fold();
	ck_assert(st->last_run[0].looked_ms == 1700000000999 && st->last_run[1].looked_ms == 1700000000998);
	put_sweep(l, "r3", "b1", "looked_ms", 0);
	ck_assert_int_eq(fold()->last_run[0].looked_ms, 0);
}
END_TEST

static void put_end(struct ledger *l, const char *run, bool unswept)
{
	struct ledger_entry e;
	struct err err;

	ledger_begin(&e, ctx, "run-end");
	ledger_str(&e, "run", run);
	if (unswept)
		ledger_bool(&e, "unswept", true);
	ck_assert_int_eq(ledger_append(l, &e, &err), 0);
}

/* What a run owes is owed until the end of one that does not say so. */
START_TEST(an_end_tells_what_is_owed)
{
	struct ledger *l = must_open();

	ck_assert(!fold()->unswept);
	PUT(l, "run-begin", "run", "r1");
	put_end(l, "r1", true);
	ck_assert(fold()->unswept);
	PUT(l, "run-begin", "run", "r2");
	ck_assert(fold()->unswept && fold()->open_run);
	put_end(l, "r1", false); /* not of the run that is open */
	ck_assert(fold()->unswept);
	put_end(l, "r2", false);
	ck_assert(!fold()->unswept && !fold()->open_run);
}
END_TEST

TCase *late_tests(void)
{
	TCase *tc = tcase_create("late");

	tcase_add_test(tc, a_waiver_that_is_closed_begins_no_list);
	tcase_add_test(tc, a_bundle_that_is_finished_begins_a_list);
	tcase_add_test(tc, a_sweep_tells_since_when);
	tcase_add_test(tc, an_end_tells_what_is_owed);
	return tc;
}
