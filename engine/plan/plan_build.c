/*
 * plan_build.c - a plan from a policy and a database, in one read-only snapshot.
 */
#include <string.h>

#include "plan_internal.h"

const uint64_t *plan_scope_reasons(const struct plan_scope *s)
{
	static const uint64_t none[PLAN_REASONS];

	return s->reason ? s->reason : none;
}

uint64_t *plan_scope_count(struct plan *plan, struct plan_scope *s)
{
	if (!s->reason)
		s->reason = mem_crumb(&plan->crumbs, PLAN_REASONS * sizeof *s->reason);
	return s->reason;
}

struct plan *plan_empty(void *ctx)
{
	struct plan *plan = mem_new(ctx, struct plan);

	plan->crumbs.ctx = plan;
	return plan;
}

int plan_new(void *ctx, const struct policy *policy, const struct mm *mm, struct plan **ret, struct err *err)
{
	struct plan *plan = plan_empty(ctx);

	plan->policy_digest = policy->digest;
	plan->taken_ms = mm->now_ms;
	plan->deleted_cut_ms =
		policy->deleted.present ? duration_before(mm->now_ms, &policy->deleted.purge_after) : INT64_MIN;
	plan->system_identifier =
		mem_strdup(plan, mm->schema && mm->schema->system_identifier ? mm->schema->system_identifier : "");
	plan->database = mem_strdup(plan, mm->schema && mm->schema->database ? mm->schema->database : "");
	plan->n_rules = policy->n_rules;
	plan->rule = mem_array(plan, struct plan_rule, policy->n_rules + 1);
	for (size_t i = 0; i < policy->n_rules; i++) {
		plan->rule[i].rule = &policy->rule[i];
		plan->rule[i].held = mem_array(plan, uint64_t, policy->n_holds + 1);
		plan_times(&policy->rule[i], plan->taken_ms, &plan->rule[i].cut_ms, &plan->rule[i].floor_ms);
	}
	*ret = plan;
	return spool_new(plan, sizeof(struct plan_thread), &plan->due, err);
}

/* plan->scope is in order of rule, team, channel, so the index stands for all three. */
struct place { uint32_t scope; int64_t root_create_ms; const char *root; };

static int compare_places(const struct place x, const struct place y)
{
	if (x.scope != y.scope)
		return x.scope < y.scope ? -1 : 1;
	if (x.root_create_ms != y.root_create_ms)
		return x.root_create_ms < y.root_create_ms ? -1 : 1;
	return strcmp(x.root, y.root);
}

static int compare(const void *a, const void *b)
{
	const struct plan_thread *x = a, *y = b;

	return compare_places((struct place){x->scope, x->root_create_ms, x->root},
			      (struct place){y->scope, y->root_create_ms, y->root});
}

static int compare_kept(const void *a, const void *b)
{
	const struct plan_kept *x = a, *y = b;

	return compare_places((struct place){x->scope, x->root_create_ms, x->root},
			      (struct place){y->scope, y->root_create_ms, y->root});
}

/* Nothing is deleted where no rule says so. */
static void warn_ruleless(struct plan *plan)
{
	size_t n = 0, unknown = 0;

	for (size_t i = 0; i < plan->n_scopes; i++) {
		n += plan->scope[i].rule == NULL;
		unknown += plan->scope[i].rule == NULL && plan_policy_scope(plan->scope[i].mm).type == SCOPE_OTHER;
	}
	if (unknown)
		plan_warn(plan, "%zu channel%s of a type that this version does not know: nothing goes there unless a "
				"rule's `channel` has the very name or id",
			  unknown, unknown == 1 ? " is" : "s are");
	if (n && plan->deleted_cut_ms != INT64_MIN)
		plan_warn(plan, "deleted_posts: nothing goes in %zu channel%s that no rule matches", n,
			  n == 1 ? "" : "s");
}

struct sorting { struct plan *plan; bool done; int r; struct err err; };

static void sort_due(void *payload)
{
	struct sorting *s = payload;

	if (!s->done)
		s->r = spool_sort(s->plan->due, compare, &s->err);
	s->done = true;
}

/* The server counts while due threads are sorted here. */
static int count_and_sort(void *ctx, struct plan *plan, struct mm *mm, struct err *err)
{
	struct sorting s = {.plan = plan};
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_rules; i++) {
		r = plan_rule_count(ctx, plan, mm, i, sort_due, &s, err);
		if (r < 0)
			(void)err_prefix(err, "rule %s", plan->rule[i].rule->name);
	}
	sort_due(&s);
	if (r == 0 && s.r < 0) {
		*err = s.err;
		r = s.r;
	}
	return r;
}

static int fill(void *ctx, struct plan *plan, const struct policy *policy, struct mm *mm,
		const struct plan_options *options, struct err *err)
{
	const struct progress *progress = options ? options->progress : NULL;
	bool all = false;
	int r = plan_resolve(plan, policy, mm, options, &all, err);

	for (size_t i = 0; r == 0 && i < policy->n_rules; i++) {
		progress_update(progress, "plan", i, policy->n_rules, "rules");
		r = stop_check(err);
		if (r == 0)
			r = plan_rule_run(ctx, plan, policy, mm, i, all, options, err);
		if (r < 0)
			(void)err_prefix(err, "rule %s", policy->rule[i].name);
	}
	if (r == 0)
		r = count_and_sort(ctx, plan, mm, err);
	if (r == 0 && plan->kept)
		r = spool_sort(plan->kept, compare_kept, err);
	if (r == 0)
		warn_ruleless(plan);
	if (r == 0 && options && options->strays)
		r = mm_strays(mm, &plan->strays, err);
	if (r == 0 && options && options->measure)
		r = plan_measure(plan, mm, all, err);
	progress_update(progress, "plan", policy->n_rules, policy->n_rules, "rules");
	return r;
}

int plan_build(void *ctx, const struct policy *policy, struct mm *mm, const struct plan_options *options,
	       struct plan **ret, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "plan_build");
	struct plan *plan;
	bool alone = policy->throttle.export_pause_factor <= 0;
	int r = plan_new(ctx, policy, mm, &plan, err);

	if (r == 0 && options && options->kept)
		r = spool_new(plan, sizeof(struct plan_kept), &plan->kept, err);
	if (r == 0 && alone)
		spool_sort_early(plan->due, compare);
	if (r == 0)
		r = mm_snapshot_begin(mm, alone, err);
	if (r == 0) {
		r = fill(tmp, plan, policy, mm, options, err);
		mm_snapshot_end(mm);
	}
	if (r == 0)
		r = plan_digest(plan, &plan->digest, err);
	if (r < 0) {
		talloc_free(plan);
		return r;
	}
	*ret = plan;
	return 0;
}
