/*
 * plan_guard.c - stops a plan that wants more than its rules allow.
 */
#include "plan_internal.h"

static int hint(const struct policy_rule *rule, const char *key, struct err *err)
{
	return err_hint(err,
			"Look at the plan; when it is right, raise `guard: {%s: ...}` of rule %s (line %u of the "
			"policy).",
			key, rule->name, rule->line);
}

static int guard_rule(const struct plan_rule *r, struct err *err)
{
	const struct policy_rule *rule = r->rule;

	if (rule->guard_threads && r->due_threads > rule->guard_threads) {
		(void)err_set(err, ERR_GUARD, "rule %s: %llu threads are due, more than its guard of %llu", rule->name,
			      (unsigned long long)r->due_threads, (unsigned long long)rule->guard_threads);
		return hint(rule, "threads", err);
	}
	if (rule->guard_percent && rule->guard_percent < GUARD_ALL &&
	    r->due_posts * 100 > r->total_posts * rule->guard_percent) {
		(void)err_set(err, ERR_GUARD, "rule %s: %llu of %llu posts are due, more than its guard of %u percent",
			      rule->name, (unsigned long long)r->due_posts, (unsigned long long)r->total_posts,
			      rule->guard_percent);
		return hint(rule, "percent", err);
	}
	return 0;
}

int plan_guard(const struct plan *plan, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_rules; i++)
		r = guard_rule(&plan->rule[i], err);
	return r;
}
