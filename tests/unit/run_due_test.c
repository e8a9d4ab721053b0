/* run_due_test.c - when bundles expire, and in which order due threads go into them; held ones do not. */
#include <stdlib.h>

#include "run_tests.h"

static int64_t at(const char *text)
{
	int64_t ms;

	ck_assert(time_parse(text, &ms));
	return ms;
}

static struct duration span(const char *text)
{
	struct duration d;

	ck_assert(duration_parse(text, &d));
	return d;
}

/* ---- expiry: to the end of the month ---- */

static const struct { const char *last, *keep_for, *want; } expiries[] = {
	{"2026-01-01T00:00:00Z", "1mo", "2026-03-01"},
	{"2026-01-31T23:59:59Z", "1mo", "2026-03-01"},   /* not into March */
	{"2026-12-31T23:59:59Z", "10y", "2037-01-01"},
	{"2024-02-29T12:00:00Z", "1y", "2025-03-01"},
	{"2026-11-30T00:00:00Z", "1d", "2027-01-01"},
	{"2026-11-30T00:00:00Z", "12h", "2026-12-01"},
};

START_TEST(test_expiry)
{
	const struct duration keep_for = span(expiries[_i].keep_for);

	ck_assert_int_eq(run_expiry_after(at(expiries[_i].last), &keep_for), at(expiries[_i].want));
	ck_assert_int_gt(run_expiry_after(at(expiries[_i].last), &keep_for),
			 duration_after(at(expiries[_i].last), &keep_for) - 1);
}
END_TEST

START_TEST(test_never)
{
	ck_assert_int_eq(run_expires_ms(EXPIRY_NEVER), 0);
	ck_assert_int_eq(run_expires_ms(2026 * 12 + 11), at("2027-01-01"));
	ck_assert_int_eq(run_expires_ms(2026 * 12), at("2026-02-01"));
}
END_TEST

/* ---- what shares a bundle ---- */

START_TEST(test_same)
{
	const struct due a = {.rule = 1, .expiry_month = 5, .team = "t", .t = {.part = false, .scope = 1}};
	struct due b = a;

	b.t.scope = 2;
	ck_assert(run_due_same(&a, &b));
	b = a; b.rule = 2;
	ck_assert(!run_due_same(&a, &b));
	b = a; b.expiry_month = EXPIRY_NEVER;
	ck_assert(!run_due_same(&a, &b));
	b = a; b.team[0] = 'u';
	ck_assert(!run_due_same(&a, &b));
	b = a; b.t.part = true; /* the whole thread must never go by a bundle of its parts */
	ck_assert(!run_due_same(&a, &b));
}
END_TEST

/* ---- the order ---- */

struct thread { unsigned id, scope; const char *root, *last; bool deleted, part; };
static const struct thread threads[] = {
	{1, 2, "2020-05-01", "2020-05-02", .deleted = false},
	{2, 0, "2020-01-01", "2020-02-01", .deleted = true, .part = true},
	{3, 0, "2020-01-02", "2020-02-01", .deleted = false},
	{4, 1, "2020-01-01", "2020-01-09", .deleted = false},
	{5, 0, "2020-01-01", "2020-02-20", .deleted = false},
	{6, 0, "2020-01-01", "2020-03-01", .deleted = false},
	{7, 0, "2020-01-03", "2020-02-02", .deleted = true},
	{8, 0, "2020-01-04", "2020-02-02", .deleted = false},
};

static struct plan *new_plan(struct policy *policy)
{
	static const struct mm_scope first = {.channel_id = "c", .team_id = "a"},
				     second = {.channel_id = "c", .team_id = "b"};
	struct plan *plan = mem_new(ctx, struct plan);
	struct err err = {0};

	policy->n_rules = 2;
	policy->rule = mem_array(ctx, struct policy_rule, 2);
	policy->rule[0] =
		(struct policy_rule){.name = mem_strdup(ctx, "first"), .has_keep_for = true, .keep_for = span("1y")};
	policy->rule[1] = (struct policy_rule){.name = mem_strdup(ctx, "second")};
	plan->deleted_cut_ms = at("2024-06-15");
	plan->n_scopes = 3;
	plan->scope = mem_array(plan, struct plan_scope, 3);
	for (size_t i = 0; i < 3; i++)
		plan->scope[i] = (struct plan_scope){.rule = &policy->rule[i == 2], .mm = i == 1 ? &second : &first};
	ck_assert_int_eq(spool_new(plan, sizeof(struct plan_thread), &plan->due, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		struct plan_thread t = {.scope = threads[i].scope,
					.channel_id = "c",
					.root_create_ms = at(threads[i].root),
					.last_reply_ms = at(threads[i].last),
					.reason = threads[i].deleted ? DUE_DELETED : DUE_AGE,
					.part = threads[i].part};

		id_of(t.root, threads[i].id);
		ck_assert_int_eq(spool_add(plan->due, &t, &err), 0);
	}
	return plan;
}

/* "5 3 8": numbers of threads, a bar where another bundle begins. */
static const char *order(struct run *run)
{
	char *text = mem_strdup(ctx, "");
	struct due before = {.rule = -1};
	struct err err = {0};
	struct spool *s;
	const void *p;

	ck_assert_int_eq(run_due_group(run, &s, &err), 0);
	while (spool_next(s, &p, &err) == 1) {
		const struct due *d = p;

		text = mem_printf(ctx, "%s%s%lu", text,
				  before.rule < 0	     ? ""
				  : run_due_same(d, &before) ? " "
							     : " | ",
				  strtoul(d->t.root + 2, NULL, 10));
		before = *d;
	}
	return text;
}

START_TEST(test_order)
{
	struct policy policy = {.n_rules = 0};
	const struct run_options options = {.no_purge = false};
	struct run *run = new_run(&policy, &options);
	mm_id held[2];
	struct ledger_state st = {.held = (const ledger_id *)held, .n_held = 2};

	run->plan = new_plan(&policy);
	/* Whole threads first; 7 was deleted whole and counts from the cut-off before which that was, as the part 2
	 * does. */
	ck_assert_str_eq(order(run), "5 3 8 | 6 | 7 | 4 | 1 | 2");
	ck_assert_uint_eq(run->report->kept[KEPT_HOLD], 0);
	id_of(held[0], 2);
	id_of(held[1], 3);
	run_take_held(run, &st);
	ck_assert_str_eq(order(run), "5 8 | 6 | 7 | 4 | 1");
	ck_assert_uint_eq(run->report->kept[KEPT_HOLD], 2);
}
END_TEST

START_TEST(test_expiry_of_deleted)
{
	struct policy policy = {.n_rules = 0};
	const struct run_options options = {.no_purge = false};
	struct run *run = new_run(&policy, &options);
	struct err err = {0};
	struct spool *s;
	const void *p;
	size_t n = 0;

	run->plan = new_plan(&policy);
	ck_assert_int_eq(run_due_group(run, &s, &err), 0);
	while (spool_next(s, &p, &err) == 1) {
		const struct due *d = p;

		if (d->t.reason == DUE_DELETED && ++n)
			ck_assert_int_eq(run_expires_ms(d->expiry_month), at("2025-07-01"));
		else if (d->rule == 1 && ++n)
			ck_assert_int_eq(run_expires_ms(d->expiry_month), 0);
		else if (d->rule == 0 && ++n)
			ck_assert_int_lt(run_expires_ms(d->expiry_month), at("2021-05-01"));
	}
	ck_assert_uint_eq(n, ARRAY_LEN(threads));
}
END_TEST

/* ---- threads of a sitting that went into no bundle ---- */

START_TEST(test_rest)
{
	const struct policy policy = {.n_rules = 0};
	const struct run_options options = {.no_purge = false};
	uint64_t dropped[] = {0, 5, 7, 90}, unreadable[] = {7, 90}, changed[] = {1, 50}, odd[] = {2};
	struct sitting s = {.run = new_run(&policy, &options),
			    .used = 10,
			    .written = 3,
			    .dropped = dropped,
			    .n_dropped = 4,
			    .changed = changed,
			    .n_changed = 2,
			    .odd = odd,
			    .n_odd = 1,
			    .unreadable = unreadable,
			    .n_unreadable = 2};

	run_due_rest(&s); /* those past the used ones are for the next sitting */
	ck_assert_uint_eq(s.run->report->kept[KEPT_FILE_MISSING], 2);
	ck_assert_uint_eq(s.run->report->kept[KEPT_FILE_UNREADABLE], 1);
	ck_assert_uint_eq(s.run->report->kept[KEPT_CHANGED], 1);
	ck_assert_uint_eq(s.run->report->kept[KEPT_DAMAGED], 1);
	ck_assert_uint_eq(s.run->report->gone_before, 2);
	s.written = 9; /* more was told than used: nobody is gone */
	run_due_rest(&s);
	ck_assert_uint_eq(s.run->report->gone_before, 2);
}
END_TEST

TCase *run_due_case(void)
{
	TCase *tc = tcase_create("due");

	tcase_add_loop_test(tc, test_expiry, 0, ARRAY_LEN(expiries));
	tcase_add_test(tc, test_never);
	tcase_add_test(tc, test_same);
	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_expiry_of_deleted);
	tcase_add_test(tc, test_rest);
	return tc;
}
