/*
 * plan_explain_limit.c - what the limit of its rule does with one thread: a plan of the channels that the limit
 * measures together.
 */
#include <string.h>

#include "plan_internal.h"

static int add_scope(struct plan *plan, const struct policy *policy, const struct mm_scope *s,
		     const struct policy_rule *rule, size_t *room, struct err *err)
{
	const struct policy_scope ps = plan_policy_scope(s);
	const struct policy_rule *winner = NULL;
	int r = policy_winner(plan, policy, &ps, &winner, NULL, err);

	if (r == -ERR_POLICY) { /* a tie, which no limit measures */
		err_clear(err);
		return 0;
	}
	if (r < 0 || winner != rule)
		return r;
	if (plan->n_scopes == *room) {
		*room = plan_scope_room(*room);
		plan->scope = mem_grow(plan, plan->scope, struct plan_scope, *room);
	}
	plan->scope[plan->n_scopes++] = (struct plan_scope){.mm = s, .rule = rule};
	plan->rule[rule - policy->rule].scopes++;
	return 0;
}

static int add_unit(struct plan *plan, const struct policy *policy, const struct plan_explain *x,
		    const struct mm_scope *all, size_t n, struct err *err)
{
	size_t room = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (plan_limit_joins(x->rule, &all[i], &x->scope))
			r = add_scope(plan, policy, &all[i], x->rule, &room, err);
	return r;
}

static void take(struct plan_explain *x, const struct plan *plan, const struct plan_watch *watch)
{
	x->unit_channels = plan->n_scopes;
	for (size_t i = 0; i < plan->n_scopes; i++) {
		x->unit_posts += plan->scope[i].size_posts;
		x->unit_bytes += plan->scope[i].size_bytes;
	}
	if (watch->seen) { /* not: the limit is met before it comes to the thread */
		x->verdict = watch->verdict;
		x->reason = watch->reason;
	}
}

int plan_explain_limit(struct plan_explain *x, const struct policy *policy, struct mm *mm, const struct mm_scope *all,
		       size_t n, const struct plan_options *options, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "explain limit");
	struct plan_watch watch = {.root = x->root};
	struct plan_options watching = *options;
	struct plan *plan;
	int r = plan_new(ctx, policy, mm, &plan, err);

	if (r < 0)
		return r;
	watching.watch = &watch;
	r = add_unit(plan, policy, x, all, n, err);
	if (r == 0)
		r = plan_rule_run(ctx, plan, policy, mm, (size_t)(x->rule - policy->rule), false, &watching, err);
	if (r == 0)
		take(x, plan, &watch);
	return r;
}
