/* run_line_test.c - the lines that a run writes: what stands in them, and what does not. */
#include <string.h>

#include "run_tests.h"

static const char *text_of(const json_t *line, const char *key)
{
	const char *s = json_string_value(json_object_get(line, key));

	return s ? s : "";
}

static long long int_of(const json_t *line, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(line, key)), "%s", key);
	return json_integer_value(json_object_get(line, key));
}

static struct run *writing(const struct policy *policy)
{
	static const struct run_options options = {.no_purge = false};
	struct run *run = new_run(policy, &options);

	run->ledger = must_open();
	return run;
}

/* ---- many ids: a thousand a line, none lost, none twice ---- */

static const struct { unsigned n, lines; } amounts[] = {{0, 0}, {1, 1}, {999, 1}, {1000, 1}, {1001, 2}, {2500, 3}};

static void check_roots(json_t *lines, unsigned n, unsigned want)
{
	unsigned seen = 0;
	json_t *line, *root;
	size_t i, k;

	ck_assert_uint_eq(json_array_size(lines), want);
	json_array_foreach(lines, i, line) {
		ck_assert_uint_le(json_array_size(json_object_get(line, "roots")), 1000);
		json_array_foreach(json_object_get(line, "roots"), k, root) {
			mm_id id;

			id_of(id, seen++);
			ck_assert_str_eq(json_string_value(root), id);
		}
	}
	ck_assert_uint_eq(seen, n);
	json_decref(lines);
}

START_TEST(test_many)
{
	const struct policy policy = {.n_rules = 0};
	struct run *run = writing(&policy);
	mm_id *ids = mem_array(ctx, mm_id, amounts[_i].n + 1);
	struct err err = {0};

	for (unsigned i = 0; i < amounts[_i].n; i++)
		id_of(ids[i], i);
	ck_assert_int_eq(run_line_stayed(run, "b1", (const mm_id *)ids, amounts[_i].n, &err), 0);
	ck_assert_int_eq(run_line_hold(run->ledger, ctx, (const mm_id *)ids, amounts[_i].n, "17/26", "admin", &err), 0);
	ck_assert_int_eq(run_line_release(run->ledger, ctx, (const mm_id *)ids, amounts[_i].n, "17/26", &err), 0);
	check_roots(lines_of("stayed"), amounts[_i].n, amounts[_i].lines);
	check_roots(lines_of("hold"), amounts[_i].n, amounts[_i].lines);
	check_roots(lines_of("release"), amounts[_i].n, amounts[_i].lines);
}
END_TEST

/* An id of signs that JSON writes longer, as damaged rows have them, a thousand times. */
START_TEST(test_odd_ids)
{
	const struct policy policy = {.n_rules = 0};
	struct run *run = writing(&policy);
	mm_id *ids = mem_array(ctx, mm_id, 1000);
	struct err err = {0};
	json_t *lines;

	for (unsigned i = 0; i < 1000; i++)
		memset(ids[i], 1, MM_ID);
	ck_assert_int_eq(run_line_hold(run->ledger, ctx, (const mm_id *)ids, 1000, "\"17\"\n", "admin", &err), 0);
	lines = lines_of("hold");
	ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(lines, 0), "roots")), 1000);
	ck_assert_str_eq(text_of(json_array_get(lines, 0), "case"), "\"17\"\n");
	ck_assert_ptr_null(json_object_get(json_array_get(lines, 0), "run")); /* between runs */
	json_decref(lines);
}
END_TEST

/* ---- kept ---- */

/* "rule reason hold threads" of each line. */
static const char *kept(void)
{
	json_t *lines = lines_of("kept"), *line;
	char *text = mem_strdup(ctx, "");
	size_t i;

	json_array_foreach(lines, i, line)
		text = mem_printf(ctx, "%s%s%s %s %s %lld", text, i ? ", " : "", text_of(line, "rule"),
				  text_of(line, "reason"), text_of(line, "hold"), int_of(line, "threads"));
	json_decref(lines);
	return text;
}

START_TEST(test_kept)
{
	struct policy_hold hold[] = {{.name = mem_strdup(ctx, "court"), .because = mem_strdup(ctx, "file 17, J. Doe")},
				     {.name = mem_strdup(ctx, "idle")},
				     {.name = mem_strdup(ctx, "tax")}};
	struct policy_rule rule[] = {{.name = mem_strdup(ctx, "alarms")}, {.name = mem_strdup(ctx, "all")}};
	const struct policy policy = {.hold = hold, .n_holds = 3, .rule = rule, .n_rules = 2};
	struct run *run = writing(&policy);
	struct plan_rule plan_rule[2] = {{.rule = &rule[0]}, {.rule = &rule[1]}};
	struct plan plan = {.rule = plan_rule, .n_rules = 2};
	uint64_t held[] = {4, 0, 1};
	struct err err = {0};

	ck_assert_int_eq(run_line_kept(run, &err), 0); /* the run came to no plan */
	ck_assert_str_eq(kept(), "");
	run->plan = &plan;
	plan_rule[0].held = held;
	plan_rule[0].reason[KEPT_HOLD] = 7; /* two of them the ledger holds */
	plan_rule[0].reason[KEPT_PINNED] = 3;
	plan_rule[0].reason[KEPT_YOUNG] = 1000;
	plan_rule[0].reason[DUE_AGE] = 50;
	plan_rule[1].reason[KEPT_HOLD] = 5; /* of a plan file: nobody knows by which */
	run->report->kept[KEPT_CHANGED] = 2;
	ck_assert_int_eq(run_line_kept(run, &err), 0);
	ck_assert_str_eq(kept(), "alarms pinned  3, alarms hold court 4, alarms hold tax 1, alarms hold  2, all hold  "
				 "5,  changed  2");
}
END_TEST

/* ---- steps ---- */

static const struct { const char *type, *has, *has_not; } steps[] = {
	{"purging", "bundle", "threads"},
	{"purged", "kept_held", "late_restored"},
	{"purge-stopped", "kept_gone", "late_restored"},
	{"unlinked", "blobs_failed", "threads"},
	{"bundle-done", "bundle", "threads"},
};

START_TEST(test_step)
{
	const struct policy policy = {.n_rules = 0};
	const struct purge_counts none = {.threads = 0}, some = {.threads = 1, .open_xid = 9};
	struct run *run = writing(&policy);
	struct err err = {0};
	json_t *lines, *line;

	run->kind = mem_array(ctx, struct bundle_kind, MM_KINDS);
	for (int k = 0; k < MM_KINDS; k++)
		run->kind[k].kind = mem_printf(ctx, "kind%d", k);
	ck_assert_int_eq(run_line_step(run, steps[_i].type, "b1", &none, &err), 0);
	ck_assert_int_eq(run_line_step(run, steps[_i].type, "b1", &some, &err), 0);
	lines = lines_of(steps[_i].type);
	line = json_array_get(lines, 0);
	ck_assert_str_eq(text_of(line, "bundle"), "b1");
	ck_assert_str_eq(text_of(line, "run"), "r-of-test");
	ck_assert_ptr_nonnull(json_object_get(line, steps[_i].has));
	ck_assert_ptr_null(json_object_get(line, steps[_i].has_not));
	ck_assert_ptr_null(json_object_get(json_array_get(lines, 1), "open_xid"));
	json_decref(lines);
}
END_TEST

/* What a later look for late replies goes by: the time of a sweep that is closed, the transaction of one that is open.
 */
static const struct {
	struct purge_counts counts;
	int64_t looked_ms;
	const char *has, *has_not;
	int64_t value;
} sweeps[] = {
	{{.late_restored = 4}, 0, "late_restored", "looked_ms", 4},
	{{.late_removed = 5}, 77, "looked_ms", "open_xid", 77},
	{{.open_xid = 9}, 77, "open_xid", "looked_ms", 9},
	{{.found_threads = 2, .found_posts = 3}, 0, "found_posts", "open_xid", 3},
	{{.found_threads = 0}, 77, "looked_ms", "found_threads", 77},
};

START_TEST(test_sweep)
{
	const struct policy policy = {.n_rules = 0};
	struct purge_counts counts = sweeps[_i].counts;
	const struct run_purge p = {.name = "b1", .counts = &counts, .looked_ms = sweeps[_i].looked_ms};
	struct run *run = writing(&policy);
	struct err err = {0};
	json_t *lines, *line;

	ck_assert_int_eq(run_line_sweep(run, &p, &err), 0);
	lines = lines_of("sweep");
	line = json_array_get(lines, 0);
	ck_assert_str_eq(text_of(line, "bundle"), "b1");
	ck_assert_int_eq(int_of(line, sweeps[_i].has), sweeps[_i].value);
	ck_assert_ptr_null(json_object_get(line, sweeps[_i].has_not));
	json_decref(lines);
}
END_TEST

/* ---- the end ---- */

static const struct { int code, exit; const char *error; } ends[] = {
	{0, 0, ""}, {-ERR_KEPT, 3, "KEPT"}, {-ERR_WORK_LEFT, 4, "WORK_LEFT"}, {-ERR_STORE, 14, "STORE"},
	{-ERR_GUARD, 16, "GUARD"}, {-ERR_HOLD, 17, "HOLD"},
};

START_TEST(test_end)
{
	const struct policy policy = {.n_rules = 0};
	struct run *run = writing(&policy);
	struct err err = {0};
	json_t *lines, *line;

	run->report->outcome = "partial";
	run->report->began_ms = 1000;
	run->report->ended_ms = 3500;
	ck_assert_int_eq(run_line_end(run, ends[_i].code, &err), 0);
	lines = lines_of("run-end");
	line = json_array_get(lines, 0);
	ck_assert_int_eq(int_of(line, "exit"), ends[_i].exit);
	ck_assert_int_eq(int_of(line, "duration_ms"), 2500);
	ck_assert_str_eq(text_of(line, "error"), ends[_i].error);
	ck_assert_ptr_null(json_object_get(line, "gone_threads"));
	ck_assert_ptr_null(must_fold()->open_run);
	json_decref(lines);
}
END_TEST

TCase *run_line_case(void)
{
	TCase *tc = tcase_create("line");

	tcase_add_loop_test(tc, test_many, 0, ARRAY_LEN(amounts));
	tcase_add_test(tc, test_odd_ids);
	tcase_add_test(tc, test_kept);
	tcase_add_loop_test(tc, test_step, 0, ARRAY_LEN(steps));
	tcase_add_loop_test(tc, test_sweep, 0, ARRAY_LEN(sweeps));
	tcase_add_loop_test(tc, test_end, 0, ARRAY_LEN(ends));
	return tc;
}
