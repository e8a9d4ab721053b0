/* run_clock_test.c - what time it is for what cannot be undone, the silence of the ledger, and how a night's time is
 * shared out. */
#include "run_tests.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1764000000000)

/* ---- clocks ---- */

/* The earlier one decides, whichever is wrong. */
static const struct { int64_t here, there, want; } clocks[] = {
	{NOW, NOW, NOW},
	{NOW, NOW + 400 * DAY, NOW},
	{NOW + 400 * DAY, NOW, NOW},
	{NOW - 1, NOW, NOW - 1},
	{1, NOW, 1},
};

START_TEST(test_now)
{
	struct mm mm = {.now_ms = clocks[_i].there};

	time_override_ms(clocks[_i].here);
	ck_assert_int_eq(run_now_ms(&mm), clocks[_i].want);
}
END_TEST

#define NONE INT64_MIN
#define GAP LEDGER_GAP_MS

static const struct { int64_t newest, gap_from, gap_to, now; bool want; int64_t from, to;
} silences[] = {
	/* nothing ran ever: nothing was published either */
	{NONE, NONE, NONE, NOW, false, NONE, NONE},
	{NOW - DAY, NONE, NONE, NOW, false, NONE, NONE},
	{NOW - GAP, NONE, NONE, NOW, false, NONE, NONE},
	{NOW - GAP - 1, NONE, NONE, NOW, true, NOW - GAP - 1, NOW}, /* since the newest line */
	{NOW - 9999 * DAY, NONE, NONE, NOW, true, NOW - 9999 * DAY, NOW},
	/* between two lines, not long ago */
	{NOW - DAY, NOW - 90 * DAY, NOW - 2 * DAY, NOW, true, NOW - 90 * DAY, NOW - 2 * DAY},
	{NOW - DAY, NOW - 90 * DAY, NOW - GAP + 1, NOW, true, NOW - 90 * DAY, NOW - GAP + 1},
	/* lines of 32 days since */
	{NOW - DAY, NOW - 90 * DAY, NOW - GAP, NOW, false, NOW - 90 * DAY, NOW - GAP},
	/* the one until now counts first */
	{NOW - GAP - 1, NOW - 900 * DAY, NOW - 800 * DAY, NOW, true, NOW - GAP - 1, NOW},
	/* A clock that was ahead wrote lines, and went back: they are of the future, and the jump there is a silence.
	 */
	{NOW + 100 * DAY, NONE, NONE, NOW, false, NONE, NONE},
	{NOW + 100 * DAY, NOW - DAY, NOW + 99 * DAY, NOW, true, NOW - DAY, NOW + 99 * DAY},
	{NOW - DAY, NOW - 2 * DAY, NOW + 99 * DAY, NOW, true, NOW - 2 * DAY, NOW + 99 * DAY},
	/* A clock that says 1970 makes nothing due, whatever it makes of the ledger. */
	{NOW, NONE, NONE, 0, false, NONE, NONE},
};

START_TEST(test_silence)
{
	const struct ledger_archive a = {.newest_ms = silences[_i].newest,
					 .gap_from_ms = silences[_i].gap_from,
					 .gap_to_ms = silences[_i].gap_to};
	int64_t from, to;

	ck_assert_int_eq(run_silence(&a, silences[_i].now, &from, &to), silences[_i].want);
	ck_assert_int_eq(from, silences[_i].from);
	ck_assert_int_eq(to, silences[_i].to);
}
END_TEST

/* The same by a ledger whose lines a clock has written that jumped ahead and was set back. */
START_TEST(test_silence_of_lines)
{
	static const struct { int64_t at; bool silent; } steps[] = {
		{NOW, false}, {NOW + DAY, false}, {NOW + 60 * DAY, true}, {NOW + 2 * DAY, true}, {NOW + 20 * DAY, true},
		{NOW + 70 * DAY, true}, {NOW + 100 * DAY, false},
	};
	struct ledger *l = must_open();
	int64_t from, to;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct ledger_archive *a;
		struct ledger_entry e;
		struct err err = {0};

		time_override_ms(steps[i].at);
		ledger_begin(&e, ctx, "run-begin");
		ledger_str(&e, "run", "r1");
		ck_assert_int_eq(ledger_append(l, &e, &err), 0);
		ck_assert_int_eq(ledger_archive(ctx, ledger_dir, &a, &err), 0);
		ck_assert_msg(run_silence(a, steps[i].at, &from, &to) == steps[i].silent, "line %zu", i + 1);
	}
}
END_TEST

/* ---- the time of a night ---- */

/* of: from now to the deadline; people, work: how much earlier their time ends. */
static const struct { int32_t grace_ms; int64_t of, people, work; } nights[] = {
	{30000, 3600000, 4750, 34750},
	{30000, 60000, 0, 0},      /* too short to share out */
	{30000, 80000, 4750, 34750},
	{1, 3600000, 1000, 1001},
	{30000, -5000, 0, 0},      /* over before it began */
};

START_TEST(test_time)
{
	const struct policy policy = {.throttle.blob_grace_ms = nights[_i].grace_ms};
	const struct run_options options = {.deadline_boot_ms = time_boot_ms() + nights[_i].of};
	struct run *run = new_run(&policy, &options);

	run_time_begin(run);
	ck_assert_int_eq(options.deadline_boot_ms - run->people_until_boot_ms, nights[_i].people);
	ck_assert_int_eq(options.deadline_boot_ms - run->work_until_boot_ms, nights[_i].work);
}
END_TEST

START_TEST(test_time_without_end)
{
	const struct policy policy = {.throttle.blob_grace_ms = 30000};
	const struct run_options options = {.deadline_boot_ms = 0};
	struct run *run = new_run(&policy, &options);
	struct err err = {0};

	run_time_begin(run);
	ck_assert_int_eq(run->people_until_boot_ms, 0);
	ck_assert_int_eq(run->work_until_boot_ms, 0);
	ck_assert_int_eq(run_time_check(run, INT64_C(1) << 40, &err), 0);
}
END_TEST

/* Nothing begins that would end after the time. */
static const struct { int64_t left, need; int want; } checks[] = {
	{3600000, 0, 0}, {3600000, 3000000, 0}, {3600000, 3600000, -ERR_WORK_LEFT}, {0, 0, -ERR_WORK_LEFT},
	{-1, 0, -ERR_WORK_LEFT},
};

START_TEST(test_time_check)
{
	const struct policy policy = {.n_rules = 0};
	const struct run_options options = {.deadline_boot_ms = 1};
	struct run *run = new_run(&policy, &options);
	struct err err = {0};

	run->work_until_boot_ms = time_boot_ms() + checks[_i].left;
	ck_assert_int_eq(run_time_check(run, checks[_i].need, &err), checks[_i].want);
}
END_TEST

TCase *run_clock_case(void)
{
	TCase *tc = tcase_create("clock");

	tcase_add_loop_test(tc, test_now, 0, ARRAY_LEN(clocks));
	tcase_add_loop_test(tc, test_silence, 0, ARRAY_LEN(silences));
	tcase_add_test(tc, test_silence_of_lines);
	tcase_add_loop_test(tc, test_time, 0, ARRAY_LEN(nights));
	tcase_add_test(tc, test_time_without_end);
	tcase_add_loop_test(tc, test_time_check, 0, ARRAY_LEN(checks));
	return tc;
}
