/* plan_test.c - the parts of the plan room that need no server: the decision as a table, guards, and how threads are
 * put together. */
#include <mmretain/plan.h>

#include <string.h>

#include "plan_internal.h"
#include "plan_tests.h"
#include "../support/suite.h"

enum { NOW = 1000000, CUT = 500, FLOOR = 700 };

/* One thread against one rule. Ages in ms of a small world: cut-off 500, floor 700 (where there is one). */
static const struct decide {
	const char *name;
	enum policy_from from;
	bool has_age, has_floor;
	uint64_t limit_posts, limit_bytes;
	int64_t root, reply, edit;
	unsigned bits;
	int64_t posts_left, bytes_left; /* -1: no limits asked */
	enum plan_verdict verdict;
	enum plan_reason reason;
} decide[] = {
	/* age, by each key; the cut-off is exclusive */
	{"old", FROM_LAST_REPLY, true, false, 0, 0, 100, 499, 499, 0, -1, -1, PLAN_DUE, DUE_AGE},
	{"at cut-off", FROM_LAST_REPLY, true, false, 0, 0, 100, 500, 500, 0, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	{"young reply", FROM_LAST_REPLY, true, false, 0, 0, 100, 900, 900, 0, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	{"root counts", FROM_ROOT, true, false, 0, 0, 499, 900, 900, 0, -1, -1, PLAN_DUE, DUE_AGE},
	{"root at cut-off", FROM_ROOT, true, false, 0, 0, 500, 900, 900, 0, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	{"old edit", FROM_LAST_EDIT, true, false, 0, 0, 100, 200, 499, 0, -1, -1, PLAN_DUE, DUE_AGE},
	{"young edit", FROM_LAST_EDIT, true, false, 0, 0, 100, 200, 500, 0, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	{"edit does not count", FROM_LAST_REPLY, true, false, 0, 0, 100, 200, 900, 0, -1, -1, PLAN_DUE, DUE_AGE},
	{"no age", FROM_LAST_REPLY, false, false, 0, 0, 1, 1, 1, 0, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	/* limits */
	{"posts over", FROM_LAST_REPLY, false, false, 10, 0, 600, 600, 600, 0, 11, 0, PLAN_DUE, DUE_POSTS},
	{"posts at limit", FROM_LAST_REPLY, false, false, 10, 0, 600, 600, 600, 0, 10, 0, PLAN_KEEP, KEPT_YOUNG},
	{"bytes over", FROM_LAST_REPLY, false, false, 0, 10, 600, 600, 600, 0, 99, 11, PLAN_DUE, DUE_BYTES},
	{"bytes at limit", FROM_LAST_REPLY, false, false, 0, 10, 600, 600, 600, 0, 99, 10, PLAN_KEEP, KEPT_YOUNG},
	{"both over: posts first", FROM_LAST_REPLY, false, false, 10, 10, 600, 600, 600, 0, 11, 11, PLAN_DUE,
	 DUE_POSTS},
	{"posts met, bytes over", FROM_LAST_REPLY, false, false, 10, 10, 600, 600, 600, 0, 10, 11, PLAN_DUE, DUE_BYTES},
	{"both met", FROM_LAST_REPLY, false, false, 10, 10, 600, 600, 600, 0, 10, 10, PLAN_KEEP, KEPT_YOUNG},
	{"age before limit", FROM_LAST_REPLY, true, false, 10, 0, 100, 100, 100, 0, 11, 0, PLAN_DUE, DUE_AGE},
	{"age though limit met", FROM_LAST_REPLY, true, false, 10, 0, 100, 100, 100, 0, 5, 0, PLAN_DUE, DUE_AGE},
	{"young, over limit", FROM_LAST_REPLY, true, false, 10, 0, 600, 600, 600, 0, 11, 0, PLAN_DUE, DUE_POSTS},
	{"limit, but nobody counted", FROM_LAST_REPLY, false, false, 10, 0, 600, 600, 600, 0, -1, -1, PLAN_KEEP,
	 KEPT_YOUNG},
	/* floor */
	{"floor", FROM_ROOT, true, true, 0, 0, 100, 700, 700, 0, -1, -1, PLAN_KEEP, KEPT_FLOOR},
	{"just older than floor", FROM_ROOT, true, true, 0, 0, 100, 699, 699, 0, -1, -1, PLAN_DUE, DUE_AGE},
	{"floor against limit", FROM_LAST_REPLY, false, true, 10, 0, 700, 700, 700, 0, 11, 0, PLAN_KEEP, KEPT_FLOOR},
	{"floor is of replies, not edits", FROM_LAST_REPLY, false, true, 10, 0, 600, 600, 900, 0, 11, 0, PLAN_DUE,
	 DUE_POSTS},
	{"floor does not want", FROM_LAST_REPLY, true, true, 0, 0, 800, 800, 800, 0, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	/* each protection alone, against age and against a limit */
	{"hold", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_HOLD, -1, -1, PLAN_KEEP, KEPT_HOLD},
	{"legal hold", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_LEGAL_HOLD, -1, -1, PLAN_KEEP, KEPT_LEGAL_HOLD},
	{"content flag", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_CONTENT_FLAG, -1, -1, PLAN_KEEP,
	 KEPT_CONTENT_FLAG},
	{"compliance", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_COMPLIANCE, -1, -1, PLAN_KEEP, KEPT_COMPLIANCE},
	{"burn on read", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_BURN_ON_READ, -1, -1, PLAN_KEEP,
	 KEPT_BURN_ON_READ},
	{"damaged", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_DAMAGED, -1, -1, PLAN_KEEP, KEPT_DAMAGED},
	{"pinned", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_PINNED, -1, -1, PLAN_KEEP, KEPT_PINNED},
	{"flagged", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_FLAGGED, -1, -1, PLAN_KEEP, KEPT_FLAGGED},
	{"author", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_AUTHOR, -1, -1, PLAN_KEEP, KEPT_AUTHOR},
	{"hashtag", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_HASHTAG, -1, -1, PLAN_KEEP, KEPT_HASHTAG},
	{"changed", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_CHANGED, -1, -1, PLAN_KEEP, KEPT_CHANGED},
	{"file missing", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_FILE_MISSING, -1, -1, PLAN_KEEP,
	 KEPT_FILE_MISSING},
	{"too young", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_TOO_YOUNG, -1, -1, PLAN_KEEP, KEPT_FLOOR},
	{"hold against limit", FROM_LAST_REPLY, false, false, 10, 0, 1, 1, 1, MM_HOLD, 11, 0, PLAN_KEEP, KEPT_HOLD},
	{"pinned against limit", FROM_LAST_REPLY, false, false, 0, 10, 1, 1, 1, MM_PINNED, 0, 11, PLAN_KEEP,
	 KEPT_PINNED},
	/* several: the strongest is named */
	{"hold beats all", FROM_LAST_REPLY, true, true, 0, 0, 1, 900, 1, ~0u, -1, -1, PLAN_KEEP, KEPT_YOUNG},
	{"hold beats spares", FROM_ROOT, true, true, 0, 0, 1, 900, 1, ~0u, -1, -1, PLAN_KEEP, KEPT_HOLD},
	{"legal hold beats flags", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1,
	 MM_LEGAL_HOLD | MM_FLAGGED | MM_CONTENT_FLAG, -1, -1, PLAN_KEEP, KEPT_LEGAL_HOLD},
	{"damage beats pin", FROM_LAST_REPLY, true, false, 0, 0, 1, 1, 1, MM_DAMAGED | MM_PINNED, -1, -1, PLAN_KEEP,
	 KEPT_DAMAGED},
	{"pin before floor", FROM_ROOT, true, true, 0, 0, 1, 900, 1, MM_PINNED, -1, -1, PLAN_KEEP, KEPT_PINNED},
	{"protected but not wanted", FROM_LAST_REPLY, true, false, 0, 0, 900, 900, 900, MM_HOLD, -1, -1, PLAN_KEEP,
	 KEPT_YOUNG},
	/* nothing overflows at the ends of time */
	{"beginning of time", FROM_LAST_REPLY, true, true, 0, 0, INT64_MIN, INT64_MIN, INT64_MIN, 0, -1, -1, PLAN_DUE,
	 DUE_AGE},
	{"end of time", FROM_LAST_REPLY, true, true, 0, 0, INT64_MAX, INT64_MAX, INT64_MAX, 0, -1, -1, PLAN_KEEP,
	 KEPT_YOUNG},
	{"largest sizes", FROM_LAST_REPLY, false, false, UINT64_MAX, UINT64_MAX, 1, 1, 1, 0, INT64_MAX, INT64_MAX,
	 PLAN_KEEP, KEPT_YOUNG},
};

START_TEST(decides)
{
	const struct decide *d = &decide[_i];
	const struct policy_rule rule = {.from = d->from,
					 .limit_posts = d->limit_posts,
					 .limit_bytes = d->limit_bytes,
					 .has_age = d->has_age};
	const struct mm_thread t = {.root_create_ms = d->root, .last_reply_ms = d->reply, .last_edit_ms = d->edit};
	const struct plan_limits left = {.posts_left = (uint64_t)d->posts_left, .bytes_left = (uint64_t)d->bytes_left};
	enum plan_reason reason = PLAN_REASONS;
	enum plan_verdict v = plan_decide(&rule, &t, d->bits, d->has_age ? CUT : INT64_MIN,
					  d->has_floor ? FLOOR : INT64_MAX, d->posts_left < 0 ? NULL : &left, &reason);

	ck_assert_msg(v == d->verdict && reason == d->reason, "%s: %s %s", d->name, v == PLAN_DUE ? "due" : "kept",
		      plan_reason_name(reason));
}
END_TEST

START_TEST(names_go_round)
{
	for (unsigned i = 0; i < PLAN_REASONS; i++) {
		const char *name = plan_reason_name(i);
		enum plan_reason back;

		ck_assert(plan_reason_parse(name, strlen(name), &back));
		ck_assert_uint_eq(back, i);
	}
	ck_assert(!plan_reason_parse("ag", 2, &(enum plan_reason){0}));
	ck_assert(!plan_reason_parse("", 0, &(enum plan_reason){0}));
	ck_assert_str_eq(plan_reason_name(PLAN_REASONS), "unknown");
}
END_TEST

START_TEST(times)
{
	struct policy_rule rule = {.has_age = true, .age = {.ms = 1000}, .has_floor = true, .floor = {.ms = 10}};
	int64_t cut, floor;

	plan_times(&rule, NOW, &cut, &floor);
	ck_assert_int_eq(cut, NOW - 1000);
	ck_assert_int_eq(floor, NOW - 10);
	rule.keep_forever = true;
	rule.has_floor = false;
	plan_times(&rule, NOW, &cut, &floor);
	ck_assert_int_eq(cut, INT64_MIN);
	ck_assert_int_eq(floor, INT64_MAX);
	rule = (struct policy_rule){0};
	plan_times(&rule, NOW, &cut, &floor);
	ck_assert_int_eq(cut, INT64_MIN);
}
END_TEST

TCase *plan_decide_case(void)
{
	TCase *c = tcase_create("decide");

	tcase_add_loop_test(c, decides, 0, ARRAY_LEN(decide));
	tcase_add_test(c, names_go_round);
	tcase_add_test(c, times);
	return c;
}

static const struct {
	uint64_t guard_threads;
	uint32_t percent;
	uint64_t threads, posts, total;
	bool stops;
} guard[] = {
	{0, 100, 5, 50, 0, false}, /* nobody counted them */
	{0, 0, 100, 100, 0, false}, {10, 0, 10, 99, 0, false},	{10, 0, 11, 99, 0, true},
	{0, 40, 1, 40, 100, false}, {0, 40, 1, 41, 100, true},	{0, 100, 1, 100, 100, false},
	{0, 40, 0, 0, 0, false},    {0, 1, 1, 1, 100, false},	{0, 1, 1, 2, 101, true},
	{10, 40, 11, 1, 100, true}, {10, 40, 1, 50, 100, true}, {10, 40, 10, 40, 100, false},
};

START_TEST(guards)
{
	const struct policy_rule rule = {.name = (char *)(uintptr_t) "alarms",
					 .line = 12,
					 .guard_threads = guard[_i].guard_threads,
					 .guard_percent = guard[_i].percent};
	struct plan_rule rules[2] = {{.rule = &(struct policy_rule){.name = (char *)(uintptr_t) "quiet"}},
				     {.rule = &rule,
				      .due_threads = guard[_i].threads,
				      .due_posts = guard[_i].posts,
				      .total_posts = guard[_i].total}};
	const struct plan plan = {.rule = rules, .n_rules = 2};
	struct err err = {0};
	int r = plan_guard(&plan, &err);

	ck_assert_int_eq(r, guard[_i].stops ? -ERR_GUARD : 0);
	if (guard[_i].stops) {
		ck_assert_ptr_nonnull(strstr(err.msg, "alarms"));
		ck_assert_ptr_nonnull(strstr(err.hint, "line 12"));
	}
}
END_TEST

TCase *plan_guard_case(void)
{
	TCase *c = tcase_create("guard");

	tcase_add_loop_test(c, guards, 0, ARRAY_LEN(guard));
	return c;
}

int main(void)
{
	Suite *suite = suite_create("plan");

	mem_setup();
	suite_add_tcase(suite, plan_decide_case());
	suite_add_tcase(suite, plan_guard_case());
	suite_add_tcase(suite, plan_thread_case());
	return suite_run(suite);
}
