/* run_held_test.c - threads that the ledger holds, whom the holds of the policy name, and which reason counts of
 * several. */

#include "run_tests.h"
#include "run_held.h"

/* ---- the ledger's ---- */

START_TEST(test_skip)
{
	const struct policy policy = {.n_rules = 0};
	const struct run_options options = {.no_purge = false};
	struct run *run = new_run(&policy, &options);
	const struct purge_skip *all;
	struct purge_skip skip[2] = {{.why = MM_PINNED}, {.why = MM_PINNED}};
	mm_id held[2];
	struct ledger_state st = {.held = (const ledger_id *)held, .n_held = 2};
	size_t n;

	id_of(skip[0].root, 5);
	id_of(skip[1].root, 7);
	all = run_skip_held(run, ctx, skip, 2, &n);
	ck_assert_ptr_eq(all, skip); /* nothing is held */
	ck_assert_uint_eq(n, 2);
	id_of(held[0], 3);
	id_of(held[1], 7);
	run_take_held(run, &st);
	ck_assert(run_is_held(run, held[0]) && run_is_held(run, skip[1].root) && !run_is_held(run, skip[0].root) &&
		  !run_is_held(run, ""));
	all = run_skip_held(run, ctx, skip, 2, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(all[0].root, held[0]);
	ck_assert_str_eq(all[1].root, skip[0].root);
	ck_assert_str_eq(all[2].root, held[1]);
	ck_assert_uint_eq(all[0].why, MM_HOLD);
	ck_assert_uint_eq(all[1].why, MM_PINNED);
	ck_assert_uint_eq(all[2].why, MM_HOLD); /* skipped for another reason as well: once, by the hold */
	all = run_skip_held(run, ctx, NULL, 0, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(all[0].root, held[0]);
}
END_TEST

/* Each case holds for itself, by the lines as they are written. */
START_TEST(test_lines)
{
	static const struct { bool add; unsigned n; const char *case_id; unsigned held; } steps[] = {
		{true, 1, "A", 1}, {true, 1, "B", 1}, {false, 1, "A", 1}, {false, 1, "A", 1}, {true, 2, "A", 2},
		{false, 1, "B", 1}, {false, 2, "B", 1}, {false, 2, "A", 0},
	};
	const struct policy policy = {.n_rules = 0};
	const struct run_options options = {.no_purge = false};
	struct ledger *l = must_open();
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct run *run = new_run(&policy, &options);
		mm_id id;

		id_of(id, steps[i].n);
		ck_assert_int_eq(steps[i].add
					 ? run_line_hold(l, ctx, (const mm_id *)&id, 1, steps[i].case_id, "admin", &err)
					 : run_line_release(l, ctx, (const mm_id *)&id, 1, steps[i].case_id, &err),
				 0);
		run_take_held(run, must_fold());
		ck_assert_msg(run->n_held == steps[i].held, "step %zu: %zu held", i + 1, run->n_held);
	}
}
END_TEST

/* ---- the policy's ---- */

static const char user[] = "aaaaaaaaaaaaaaaaaaaaaaaaaa", other[] = "bbbbbbbbbbbbbbbbbbbbbbbbbb";
static const struct { const char *id, *name, *want; } people[] = {
	{user, "j.doe", "hold court"},
	{user, "J.Doe", "hold court"},
	{user, "@j.doe", NULL},          /* no account has such a name */
	{user, "k.roe", "hold handle"},  /* written with an @ in the policy */
	{user, "", NULL},
	{user, "j.doe2", NULL},
	{other, "anything", "hold by-id"},
	{other, NULL, "hold by-id"},     /* whatever the name is by now */
	{"b", "anything", NULL},
	{"", "j.doe", NULL},             /* nobody */
	{"ccccccccccccccccccccccccccccccc", "j.doe", NULL}, /* no id */
};

START_TEST(test_person)
{
	char *court[] = {mem_strdup(ctx, "j.doe")}, *handle[] = {mem_strdup(ctx, "x.y"), mem_strdup(ctx, "@k.roe")},
	     *by_id[] = {mem_strdup(ctx, other)};
	struct policy_hold hold[] = {
		{.name = mem_strdup(ctx, "court"), .users = {1, court, NULL, NULL}},
		{.name = mem_strdup(ctx, "handle"), .users = {2, handle, NULL, NULL}},
		{.name = mem_strdup(ctx, "by-id"), .users = {1, by_id, NULL, NULL}},
	};
	const struct policy policy = {.hold = hold, .n_holds = ARRAY_LEN(hold)};
	const char *name = people[_i].name, *got;
	struct held_asked *asked;
	struct err err = {0};

	ck_assert_int_eq(held_ask(ctx, &policy, NULL, &asked, &err), 0);
	got = held_person(ctx, asked, people[_i].id, &name, name ? 1 : 0);
	if (people[_i].want)
		ck_assert_str_eq(got, people[_i].want);
	else
		ck_assert_ptr_null(got);
}
END_TEST

START_TEST(test_any)
{
	struct policy_hold hold[] = {{.name = mem_strdup(ctx, "court")}};
	const struct policy none = {.n_holds = 0}, one = {.hold = hold, .n_holds = 1};
	const struct ledger_state empty = {.n_held = 0}, held = {.n_held = 1};
	const struct { const struct policy *policy; const struct ledger_state *st; bool want; } cases[] = {
		{NULL, &empty, false}, {&none, &empty, false}, {&one, &empty, true}, {NULL, &held, true},
		{&one, &held, true},
	};
	struct held_asked *asked;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_int_eq(held_ask(ctx, cases[i].policy, NULL, &asked, &err), 0);
		ck_assert_int_eq(held_any(asked, cases[i].st), cases[i].want);
	}
}
END_TEST

/* ---- of several reasons the one that would hold longest ---- */

static const struct { unsigned why; enum plan_reason want; } reasons[] = {
	{0, KEPT_LOCKED},
	{MM_HOLD, KEPT_HOLD},
	{MM_HOLD | MM_LEGAL_HOLD | MM_PINNED | MM_DAMAGED, KEPT_HOLD},
	{MM_LEGAL_HOLD | MM_CHANGED, KEPT_LEGAL_HOLD},
	{MM_CONTENT_FLAG | MM_COMPLIANCE, KEPT_CONTENT_FLAG},
	{MM_PINNED | MM_CHANGED, KEPT_PINNED},
	{MM_TOO_YOUNG, KEPT_FLOOR},
	{MM_CHANGED | MM_FILE_MISSING, KEPT_CHANGED},
	{MM_DAMAGED, KEPT_DAMAGED},
};

START_TEST(test_reason)
{
	ck_assert_int_eq(run_reason(reasons[_i].why), reasons[_i].want);
}
END_TEST

TCase *run_held_case(void)
{
	TCase *tc = tcase_create("held");

	tcase_add_test(tc, test_skip);
	tcase_add_test(tc, test_lines);
	tcase_add_loop_test(tc, test_person, 0, ARRAY_LEN(people));
	tcase_add_test(tc, test_any);
	tcase_add_loop_test(tc, test_reason, 0, ARRAY_LEN(reasons));
	return tc;
}
