/* run_recover_test.c - what a run makes of each prefix of a ledger: where it may end, a crash has ended it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_tests.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct policy_rule rules[] = {{.name = (char[]){"alarms"}}};
static struct policy_rule other_rules[] = {{.name = (char[]){"other"}}};
static const struct policy policy = {.rule = rules, .n_rules = 1}, other = {.rule = other_rules, .n_rules = 1};
static const struct run_options deleting = {.no_purge = false}, archiving = {.no_purge = true};

/* ---- the ledger, line by line ---- */

enum { LINES = 14 };

/* `same`, `changed`, `archive`: what a next run makes of the ledger that ends with this line, when the policy is still
 * the same, when it has changed, and when the run only archives.  A word for each unfinished bundle; `again`: those
 * that are swept once more when something came late.  sweep-open: a sweep that could not close. */
struct line { const char *type, *run, *bundle, *same, *changed, *archive, *again; };

static const struct line plain_night[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"plan", "r1", NULL, "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"purging", "r1", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"stayed", "r1", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"purged", "r1", "b1", "b1 settle", "b1 settle", "b1 leave", ""},
	{"sweep", "r1", "b1", "b1 settle", "b1 settle", "b1 leave", ""},
	{"unlinked", "r1", "b1", "b1 settle", "b1 settle", "b1 leave", ""},
	{"bundle-done", "r1", "b1", "", "", "", "b1"},
	{"kept", "r1", NULL, "", "", "", "b1"},
	{"run-end", "r1", NULL, "", "", "", "b1"},
};
/* The next night finishes what a crash left: late replies are looked for after that one, which is the last that
 * deleted. */
static const struct line taken_up[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"purging", "r1", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"run-begin", "r2", NULL, "b1 purge", "b1 settle", "b1 leave", ""},
	{"stayed", "r2", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"purged", "r2", "b1", "b1 settle", "b1 settle", "b1 leave", ""},
	{"bundle-done", "r2", "b1", "", "", "", "b1"},
	{"run-end", "r2", NULL, "", "", "", "b1"},
	{"run-begin", "r3", NULL, "", "", "", "b1"},
	{"run-end", "r3", NULL, "", "", "", "b1"},
};
/* What was closed without a delete is never swept: nothing of it is gone. */
static const struct line closed[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"run-begin", "r2", NULL, "b1 purge", "b1 close", "b1 close", ""},
	{"bundle-done", "r2", "b1", "", "", "", ""},
	{"run-end", "r2", NULL, "", "", "", ""},
};
static const struct line several[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"published", "r1", "b2", "b1 purge b2 purge", "b1 close b2 close", "b1 close b2 close", ""},
	{"published", "r1", "b3", "b1 purge b2 purge b3 purge", "b1 close b2 close b3 close",
	 "b1 close b2 close b3 close", ""},
	{"purging", "r1", "b1", "b1 purge b2 purge b3 purge", "b1 settle b2 close b3 close",
	 "b1 leave b2 close b3 close", ""},
	{"purged", "r1", "b1", "b1 settle b2 purge b3 purge", "b1 settle b2 close b3 close",
	 "b1 leave b2 close b3 close", ""},
	{"purging", "r1", "b2", "b1 settle b2 purge b3 purge", "b1 settle b2 settle b3 close",
	 "b1 leave b2 leave b3 close", ""},
	{"purge-stopped", "r1", "b2", "b1 settle b2 purge b3 purge", "b1 settle b2 settle b3 close",
	 "b1 leave b2 leave b3 close", ""},
	{"sweep", "r1", "b1", "b1 settle b2 purge b3 purge", "b1 settle b2 settle b3 close",
	 "b1 leave b2 leave b3 close", ""},
	{"bundle-done", "r1", "b1", "b2 purge b3 purge", "b2 settle b3 close", "b2 leave b3 close", "b1"},
	{"run-end", "r1", NULL, "b2 purge b3 purge", "b2 settle b3 close", "b2 leave b3 close", "b1"},
};
/* A list of rows without an archive is nothing to look by, whatever was deleted by it. */
static const struct line waived[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"waived", "r1", "w1", "w1 close", "w1 close", "w1 close", ""},
	{"purging", "r1", "w1", "w1 close", "w1 close", "w1 close", ""},
	{"purged", "r1", "w1", "w1 close", "w1 close", "w1 close", ""},
	{"sweep-open", "r1", "w1", "w1 close", "w1 close", "w1 close", ""},
	{"bundle-done", "r1", "w1", "", "", "", ""},
};
/* A sweep that is open outlives the nights after it; one that is closed makes room for the bundles of the next night
 * that deletes. */
static const struct line open_sweep[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"published", "r1", "b2", "b1 purge b2 purge", "b1 close b2 close", "b1 close b2 close", ""},
	{"purging", "r1", "b1", "b1 purge b2 purge", "b1 settle b2 close", "b1 leave b2 close", ""},
	{"purging", "r1", "b2", "b1 purge b2 purge", "b1 settle b2 settle", "b1 leave b2 leave", ""},
	{"sweep-open", "r1", "b1", "b1 purge b2 purge", "b1 settle b2 settle", "b1 leave b2 leave", ""},
	{"bundle-done", "r1", "b1", "b2 purge", "b2 settle", "b2 leave", "b1"},
	{"bundle-done", "r1", "b2", "", "", "", "b1 b2"},
	{"run-begin", "r2", NULL, "", "", "", "b1 b2"},
	{"published", "r2", "b3", "b3 purge", "b3 close", "b3 close", "b1 b2"},
	{"purging", "r2", "b3", "b3 purge", "b3 settle", "b3 leave", "b1"},
	{"bundle-done", "r2", "b3", "", "", "", "b1 b3"},
	{"sweep", "r2", "b1", "", "", "", "b1 b3"},
	{"run-end", "r2", NULL, "", "", "", "b1 b3"},
};
/* A person was erased from it: a sweep would bring the rows back. */
static const struct line erased[LINES] = {
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"purging", "r1", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"bundle-done", "r1", "b1", "", "", "", "b1"},
	{"erasing", NULL, "b1", "", "", "", ""},
	{"erased", NULL, "b1", "", "", "", ""},
	{"run-begin", "r2", NULL, "", "", "", ""},
};
static const struct line withdrawn[LINES] = {
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"purging", "r1", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"bundle-done", "r1", "b1", "", "", "", "b1"},
	{"erasing", NULL, "b1", "", "", "", ""},
	{"erasure-withdrawn", NULL, "b1", "", "", "", ""},
};
/* Declared lost in the midst of its delete: no run asks for the file again. */
static const struct line abandoned[LINES] = {
	{"run-begin", "r1", NULL, "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"published", "r1", "b2", "b1 purge b2 purge", "b1 close b2 close", "b1 close b2 close", ""},
	{"purging", "r1", "b1", "b1 purge b2 purge", "b1 settle b2 close", "b1 leave b2 close", ""},
	{"abandoned", NULL, "b1", "b2 purge", "b2 close", "b2 close", ""},
	{"purging", "r2", "b2", "b2 purge", "b2 settle", "b2 leave", ""},
	{"bundle-done", "r2", "b2", "", "", "", "b2"},
	{"abandoned", NULL, "b2", "", "", "", ""},
};
static const struct line expired[LINES] = {
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"purging", "r1", "b1", "b1 purge", "b1 settle", "b1 leave", ""},
	{"bundle-done", "r1", "b1", "", "", "", "b1"},
	{"expiring", NULL, "b1", "", "", "", ""},
	{"expired", NULL, "b1", "", "", "", ""},
};
/* Of an unknown type, of a bundle that was never published, twice: nothing more is deleted for it. */
static const struct line odd[LINES] = {
	{"purging", "r1", "b9", "", "", "", ""},
	{"purged", "r1", "b9", "", "", "", ""},
	{"of-a-later-version", "r1", "b9", "", "", "", ""},
	{"published", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"of-a-later-version", "r1", "b1", "b1 purge", "b1 close", "b1 close", ""},
	{"purged", "r1", "b1", "b1 settle", "b1 close", "b1 close", ""},
	{"bundle-done", "r1", "b1", "", "", "", ""},
	{"purging", "r1", "b1", "", "", "", ""},
};
static const struct line *const ledgers[] = {plain_night, taken_up,  closed,	several, waived, open_sweep,
					     erased,	  withdrawn, abandoned, expired, odd};

static void put_line(struct ledger *l, const struct line *line)
{
	bool open = strcmp(line->type, "sweep-open") == 0;
	struct ledger_entry e;
	struct err err = {0};

	ledger_begin(&e, ctx, open ? "sweep" : line->type);
	if (line->run)
		ledger_str(&e, "run", line->run);
	ledger_str(&e, "rule", "alarms");
	if (line->bundle)
		ledger_str(&e, "bundle", line->bundle);
	ledger_str(&e, "rel_path", "bundles/b");
	ledger_str(&e, "old_rel_path", "bundles/a");
	ledger_str(&e, "file_digest", HEX_A);
	ledger_str(&e, "old_file_digest", HEX_B);
	ledger_str(&e, "rows_digest", HEX_A);
	ledger_str(&e, "policy_digest", HEX_A);
	if (open)
		ledger_int(&e, "open_xid", 7);
	if (strcmp(line->type, "stayed") == 0)
		ledger_raw(&e, "roots", "[\"t1\"]");
	ck_assert_msg(ledger_append(l, &e, &err) == 0, "%s", err.msg);
}

static const char *unfinished(const struct ledger_state *st, const char *policy_hex, const struct policy *p,
			      const struct run_options *options)
{
	static const char *const words[] = {
		[RUN_RECOVER_LEAVE] = "leave", [RUN_RECOVER_CLOSE] = "close", [RUN_RECOVER_SETTLE] = "settle",
		[RUN_RECOVER_PURGE] = "purge",
	};
	struct run *run = new_run(p, options);
	char *text = mem_strdup(ctx, "");

	snprintf(run->policy_hex, sizeof run->policy_hex, "%s", policy_hex);
	for (size_t i = 0; i < st->n_bundles; i++)
		text = mem_printf(ctx, "%s%s%s %s", text, i ? " " : "", st->bundle[i].bundle,
				  words[run_recovery_of(run, &st->bundle[i])]);
	return text;
}

static const char *again(const struct ledger_state *st, const struct run_options *options, bool late)
{
	struct run *run = new_run(&policy, options);
	char *text = mem_strdup(ctx, "");

	for (size_t i = 0; i < st->n_last_run; i++)
		if (run_sweeps_again(run, &st->last_run[i], late, /* closes= */ false, /* look= */ false))
			text = mem_printf(ctx, "%s%s%s", text, *text ? " " : "", st->last_run[i].bundle);
	return text;
}

START_TEST(test_prefixes)
{
	const struct line *lines = ledgers[_i];
	struct ledger *l = must_open();

	for (size_t i = 0; i < LINES && lines[i].type; i++) {
		struct ledger_state *st;

		put_line(l, &lines[i]);
		st = must_fold();
		ck_assert_msg(strcmp(unfinished(st, HEX_A, &policy, &deleting), lines[i].same) == 0,
			      "line %zu, %s: %s, wanted %s", i + 1, lines[i].type,
			      unfinished(st, HEX_A, &policy, &deleting), lines[i].same);
		ck_assert_str_eq(unfinished(st, HEX_B, &policy, &deleting), lines[i].changed);
		/* a rule that is not there says nothing either */
		ck_assert_str_eq(unfinished(st, HEX_A, &other, &deleting), lines[i].changed);
		ck_assert_str_eq(unfinished(st, HEX_A, &policy, &archiving), lines[i].archive);
		ck_assert_msg(strcmp(again(st, &deleting, true), lines[i].again) == 0,
			      "line %zu, %s: again %s, wanted %s", i + 1, lines[i].type, again(st, &deleting, true),
			      lines[i].again);
		ck_assert_str_eq(again(st, &deleting, false), "");
		ck_assert_str_eq(again(st, &archiving, true), "");
	}
}
END_TEST

/* A torn last line is no line: what it would have said is not concluded, and it is cut off before the next one is
 * written. */
START_TEST(test_torn)
{
	struct ledger *l = must_open();
	struct ledger_state *st;
	struct stat at;

	for (size_t i = 0; i < 4; i++)
		put_line(l, &plain_night[i]);
	ck_assert_int_eq(fstatat(ledger_dir, LEDGER_FILE, &at, 0), 0);
	put_line(l, &plain_night[5]);
	talloc_free(l);
	for (off_t more = 1; more < 40; more += 13) {
		int fd = openat(ledger_dir, LEDGER_FILE, O_WRONLY | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(ftruncate(fd, at.st_size + 40 - more), 0);
		close(fd);
		st = must_fold();
		ck_assert_str_eq(unfinished(st, HEX_A, &policy, &deleting), "b1 purge");
		ck_assert_str_eq(unfinished(st, HEX_B, &policy, &deleting), "b1 settle");
	}
	talloc_free(must_open());
	st = must_fold();
	ck_assert_str_eq(unfinished(st, HEX_A, &policy, &deleting), "b1 purge");
	ck_assert_uint_eq(st->entries, 5); /* `recovered` */
}
END_TEST

/* ---- swept once more ---- */

static const struct { bool waived, started, done, late, closes, crashed, archives, want; } sweeps[] = {
	{.started = true, .done = true, .late = true, .want = true},
	{.started = true, .done = true, .closes = true, .want = true},
	{.started = true, .done = true, .crashed = true, .want = true},
	{.started = true, .done = true, .want = false},
	/* it is taken up as a whole */
	{.started = true, .done = false, .late = true, .closes = true, .crashed = true, .want = false},
	{.started = false, .done = true, .late = true, .closes = true, .crashed = true, .want = false},
	{.waived = true, .started = true, .done = true, .late = true, .closes = true, .crashed = true, .want = false},
	{.started = true, .done = true, .late = true, .closes = true, .crashed = true, .archives = true, .want = false},
};

START_TEST(test_again)
{
	struct run *run = new_run(&policy, sweeps[_i].archives ? &archiving : &deleting);
	const struct ledger_bundle b = {.waived = sweeps[_i].waived,
					.purge_started = sweeps[_i].started,
					.done = sweeps[_i].done};

	ck_assert_int_eq(run_sweeps_again(run, &b, sweeps[_i].late, sweeps[_i].closes, sweeps[_i].crashed),
			 sweeps[_i].want);
}
END_TEST

TCase *run_recover_case(void)
{
	TCase *tc = tcase_create("recover");

	tcase_add_loop_test(tc, test_prefixes, 0, ARRAY_LEN(ledgers));
	tcase_add_test(tc, test_torn);
	tcase_add_loop_test(tc, test_again, 0, ARRAY_LEN(sweeps));
	return tc;
}
