/* run_expire_test.c - is a bundle past its time, by the ledger and by the policy of today; names of states. */

#include "run_tests.h"
#include "run_expire.h"

#include <fcntl.h>
#include <unistd.h>

#define DAY INT64_C(86400000)
#define NOW INT64_C(1764000000000)

/* ---- by the ledger ---- */

static const struct { struct ledger_published p; bool want; } bundles[] = {
	{{.has_expiry = true, .expires_ms = NOW}, true},
	{{.has_expiry = true, .expires_ms = NOW + 1}, false},
	{{.has_expiry = true, .expires_ms = 0}, false},                                    /* never */
	/* only the bundle itself says: it is looked at */
	{{.has_expiry = false}, true},
	{{.has_expiry = true, .expires_ms = 1, .newest_ms = NOW - DAY}, true},
	{{.has_expiry = true, .expires_ms = 1, .newest_ms = NOW - DAY + 1}, false},        /* a run had to do with it */
	/* a clock went back since: in doubt it stays */
	{{.has_expiry = true, .expires_ms = 1, .newest_ms = NOW + 99 * DAY}, false},
	{{.has_expiry = false, .newest_ms = NOW}, false},
	{{.has_expiry = true, .expires_ms = 1, .expiry = LEDGER_EXPIRED}, false},
	/* a call before announced it, and ended */
	{{.has_expiry = true, .expires_ms = NOW + DAY, .expiry = LEDGER_EXPIRING}, true},
};

START_TEST(test_may_be_due)
{
	ck_assert_int_eq(run_expire_may_be_due(&bundles[_i].p, NOW), bundles[_i].want);
}
END_TEST

/* ---- by the policy of today ---- */

static const struct { const char *rule, *keep_for, *expires, *want; enum run_expiry state; } rules[] = {
	/* The bundle's newest row is of 2016-05-10. */
	{"alarms", "10y", "2026-06-01", "2026-06-01", RUN_EXPIRES},
	{"alarms", "1y", "2026-06-01", "2026-06-01", RUN_EXPIRES},        /* a shorter time does not reach back */
	{"alarms", "11y", "2026-06-01", "2027-06-01", RUN_STAYS_POLICY},  /* a longer one does */
	{"alarms", "121mo", "2026-06-01", "2026-07-01", RUN_EXPIRES},     /* and is over as well */
	{"alarms", NULL, "2026-06-01", NULL, RUN_STAYS_POLICY},           /* without end now */
	{"gone", "1d", "2026-06-01", "2026-06-01", RUN_EXPIRES},          /* nobody says anything else of it */
};

START_TEST(test_by_policy)
{
	struct policy_rule rule = {.name = mem_strdup(ctx, "alarms")};
	const struct policy policy = {.rule = &rule, .n_rules = 1};
	struct run_expire_report *report = mem_new(ctx, struct run_expire_report);
	const struct run_expire x = {.ctx = ctx, .policy = &policy, .report = report};
	struct run_expired e = {.rule = rules[_i].rule};
	int64_t want = 0;

	if (rules[_i].keep_for)
		ck_assert(rule.has_keep_for = duration_parse(rules[_i].keep_for, &rule.keep_for));
	ck_assert(time_parse("2026-11-24", &report->now_ms) && time_parse("2016-05-10", &e.from_ms) &&
		  time_parse(rules[_i].expires, &e.expires_ms));
	ck_assert(!rules[_i].want || time_parse(rules[_i].want, &want));
	run_expire_by_policy(&x, &e);
	ck_assert_int_eq(e.state, rules[_i].state);
	ck_assert_int_eq(e.expires_ms, want);
	ck_assert_int_eq(e.why != NULL, rules[_i].state == RUN_STAYS_POLICY);
}
END_TEST

/* ---- of a bundle whose frames have the times of all rows ---- */

#define GOLDEN TEST_SOURCE_DIR "/unit/golden"
/* Newest of its posts 2024-11-19T10:00; of two threads the newest row is a reaction, the later one of 2025-06-07.  With
 * the newest posts erased: the roots are left. */
static const struct { const char *file; int64_t ms, perhaps_ms; } old_bundles[] = {
	{"mmr1-accelerator-202701-000043-e9cba1cedf74.tar.zst", 1732010400000, 0},
	{"mmr1-accelerator-202701-000043-e9cba1cedf74-e2.tar.zst", 1732006800000, 1749254400000},
};

START_TEST(test_newest)
{
	int dirfd = open(GOLDEN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct run_expire_newest newest;
	struct bundle_reader *r;
	struct err err = {0};
	int64_t by_frames = 0;

	ck_assert_msg(bundle_open(ctx, dirfd, old_bundles[_i].file, &r, &err) == 0, "%s", err.msg);
	for (size_t i = 0; i < bundle_frames(r); i++)
		if (bundle_frame_at(r, i)->max_ms > by_frames)
			by_frames = bundle_frame_at(r, i)->max_ms;
	ck_assert_int_eq(by_frames, 1749254400000);
	ck_assert_msg(run_expire_newest(r, &newest, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(newest.ms, old_bundles[_i].ms);
	ck_assert_int_eq(newest.perhaps_ms, old_bundles[_i].perhaps_ms);
	close(dirfd);
}
END_TEST

/* ---- names ---- */

static void all_differ(const char *const *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ck_assert_ptr_nonnull(name[i]);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(name[i], name[k]);
	}
}

START_TEST(test_names)
{
	const char *expiry[RUN_EXPIRIES], *erase[RUN_ERASE_STATES];

	for (int i = 0; i < RUN_EXPIRIES; i++)
		expiry[i] = run_expiry_name((enum run_expiry)i);
	for (int i = 0; i < RUN_ERASE_STATES; i++)
		erase[i] = run_erase_state_name((enum run_erase_state)i);
	all_differ(expiry, RUN_EXPIRIES);
	all_differ(erase, RUN_ERASE_STATES);
	ck_assert_str_eq(run_expiry_name(RUN_STAYS_HELD), "held");
	ck_assert_str_eq(run_expiry_name(RUN_EXPIRED), "expired");
	ck_assert_str_eq(run_erase_state_name(RUN_ERASE_DONE), "erased");
	ck_assert_str_eq(run_erase_state_name(RUN_ERASE_LEFT), "left");
}
END_TEST

TCase *run_expire_case(void)
{
	TCase *tc = tcase_create("expire");

	tcase_add_loop_test(tc, test_may_be_due, 0, ARRAY_LEN(bundles));
	tcase_add_loop_test(tc, test_by_policy, 0, ARRAY_LEN(rules));
	tcase_add_loop_test(tc, test_newest, 0, ARRAY_LEN(old_bundles));
	tcase_add_test(tc, test_names);
	return tc;
}
