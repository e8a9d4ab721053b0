/* ledger_purged_test.c - which bundles are of a run, which of their threads it did not delete, and which came back. */
#include <string.h>

#include "ledger_test.h"

#define B1 "mmr1-ops-never-000001-0123456789ab.tar.zst"
#define B2 "mmr1-ops-never-000002-0123456789ab.tar.zst"
#define B3 "mmr1-ops-never-000003-0123456789ab.tar.zst"
#define W1 "waived-0123456789ab"

static struct ledger_purges *of(const char *run, const char *bundle)
{
	struct ledger_purges *p = NULL;
	struct err err = {0};

	ck_assert_msg(ledger_purged(ctx, dirfd_test, run, bundle, &p, &err) == 0, "%s", err.msg);
	return p;
}

static void put_roots(struct ledger *l, const char *type, const char *run, const char *key, const char *of_bundle,
		      const char *roots)
{
	struct ledger_entry e;
	struct err err;

	ledger_begin(&e, ctx, type);
	if (run)
		ledger_str(&e, "run", run);
	ledger_str(&e, key, of_bundle);
	ledger_raw(&e, "roots", roots);
	ck_assert_int_eq(ledger_append(l, &e, &err), 0);
}

static void put_threads(struct ledger *l, const char *type, const char *run, const char *bundle, int64_t threads)
{
	struct ledger_entry e;
	struct err err;

	ledger_begin(&e, ctx, type);
	ledger_str(&e, "run", run);
	ledger_str(&e, "bundle", bundle);
	ledger_int(&e, "threads", threads);
	ck_assert_int_eq(ledger_append(l, &e, &err), 0);
}

/* r1 deletes by b1 and begins b2, r2 finishes that, deletes a list without an archive and archives b3 alone. */
static struct ledger *two_nights(void)
{
	struct ledger *l = must_open();

	PUT(l, "run-begin", "run", "r1");
	PUT(l, "published", "run", "r1", "bundle", B1);
	PUT(l, "purging", "run", "r1", "bundle", B1);
	put_roots(l, "stayed", "r1", "bundle", B1, "[\"cc\",\"aa\"]");
	put_threads(l, "purged", "r1", B1, 7);
	PUT(l, "published", "run", "r1", "bundle", B2);
	PUT(l, "purging", "run", "r1", "bundle", B2);
	put_roots(l, "stayed", "r1", "bundle", B2, "[\"dd\"]"); /* killed before it said `purged` */
	PUT(l, "run-begin", "run", "r2");
	put_roots(l, "stayed", "r2", "bundle", B2, "[\"ee\"]");
	put_threads(l, "purged", "r2", B2, 3);
	PUT(l, "waived", "run", "r2", "bundle", W1);
	PUT(l, "purging", "run", "r2", "bundle", W1);
	put_threads(l, "purge-stopped", "r2", W1, 5);
	PUT(l, "published", "run", "r2", "bundle", B3);
	PUT(l, "bundle-done", "run", "r2", "bundle", B3);
	return l;
}

START_TEST(purged_by_run)
{
	struct ledger_purges *p;

	two_nights();
	p = of("r1", NULL);
	ck_assert_str_eq(p->run, "r1");
	ck_assert_uint_eq(p->n, 2);
	ck_assert_str_eq(p->bundle[0].bundle, B1);
	ck_assert(ledger_purged_stayed(&p->bundle[0], "aa"));
	ck_assert(ledger_purged_stayed(&p->bundle[0], "cc"));
	ck_assert(!ledger_purged_stayed(&p->bundle[0], "bb"));
	ck_assert_str_eq(p->bundle[1].bundle, B2);
	ck_assert(!ledger_purged_stayed(&p->bundle[1], "dd")); /* the later run knows */
	ck_assert(ledger_purged_stayed(&p->bundle[1], "ee"));
	p = of("last", NULL);
	ck_assert_str_eq(p->run, "r2");
	ck_assert_uint_eq(p->n, 2); /* b2, which it finished; b3 was only archived */
	ck_assert_str_eq(p->bundle[0].bundle, B2);
	ck_assert(p->bundle[1].waived);
	ck_assert_uint_eq(p->bundle[1].threads, 5);
}
END_TEST

START_TEST(purged_ends_what_another_run_said)
{
	struct ledger *l = must_open();

	PUT(l, "run-begin", "run", "r1");
	PUT(l, "purging", "run", "r1", "bundle", B1);
	put_roots(l, "stayed", "r1", "bundle", B1, "[\"aa\"]");
	put_threads(l, "purged", "r2", B1, 1); /* nothing stayed that time */
	ck_assert_uint_eq(of("r1", NULL)->bundle[0].n_stayed, 0);
}
END_TEST

START_TEST(purged_bundle)
{
	struct ledger *l = two_nights();
	struct ledger_purges *p;

	put_roots(l, "restored", NULL, "rel_path", "bundles/2026/11/mmr1-ops-never-000001-0123456789ab-e2.tar.zst",
		  "[\"zz\",\"bb\"]");
	PUT(l, "restored", "root", "yy", "rel_path", "bundles/2026/11/" B1);
	PUT(l, "restored", "root", "xx", "rel_path", "bundles/2026/11/" B2);
	p = of(NULL, B1);
	ck_assert_ptr_null(p->run);
	ck_assert_uint_eq(p->n, 1);
	ck_assert(p->bundle[0].begun);
	ck_assert_uint_eq(p->bundle[0].threads, 7);
	ck_assert_uint_eq(of(NULL, W1)->bundle[0].threads, 5);
	ck_assert(ledger_purged_restored(&p->bundle[0], "zz"));
	ck_assert(ledger_purged_restored(&p->bundle[0], "bb"));
	ck_assert(ledger_purged_restored(&p->bundle[0], "yy"));
	ck_assert(!ledger_purged_restored(&p->bundle[0], "xx"));
	ck_assert(!ledger_purged_restored(&p->bundle[0], "aa"));
	ck_assert(!of(NULL, B3)->bundle[0].begun);
}
END_TEST

START_TEST(purged_unknown)
{
	struct ledger_purges *p;
	struct err err;

	ck_assert_int_eq(ledger_purged(ctx, dirfd_test, "last", NULL, &p, &err), -ERR_NOT_FOUND);
	two_nights();
	ck_assert_int_eq(ledger_purged(ctx, dirfd_test, "r3", NULL, &p, &err), -ERR_NOT_FOUND);
	ck_assert_int_eq(ledger_purged(ctx, dirfd_test, NULL, "mmr1-x.tar.zst", &p, &err), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(purged_name)
{
	static const struct { const char *path, *name; } names[] = {
		{B1, B1}, {"bundles/2026/11/" B1, B1}, {"mmr1-ops-never-000001-0123456789ab-e12.tar.zst", B1},
		{"mmr1-ops-never-000001-0123456789ab", B1},
		{W1, W1}, {"a-e.tar.zst", "a-e.tar.zst"}, {"a-ex.tar.zst", "a-ex.tar.zst"},
		/* a digest that looks like a generation */
		{"mmr1-ops-never-000002-e51049933425.tar.zst", "mmr1-ops-never-000002-e51049933425.tar.zst"},
		{"mmr1-ops-never-000002-e51049933425-e2.tar.zst", "mmr1-ops-never-000002-e51049933425.tar.zst"},
	};

	ck_assert_str_eq(ledger_bundle_name(ctx, names[_i].path), names[_i].name);
}
END_TEST

TCase *purged_tests(void)
{
	TCase *tc = tcase_create("purged");

	tcase_add_test(tc, purged_by_run);
	tcase_add_test(tc, purged_ends_what_another_run_said);
	tcase_add_test(tc, purged_bundle);
	tcase_add_test(tc, purged_unknown);
	tcase_add_loop_test(tc, purged_name, 0, 9);
	return tc;
}
