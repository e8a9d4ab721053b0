/*
 * plan_protect.c - the policy's holds and a rule's spares, resolved to ids.
 */
#include <string.h>

#include "plan_internal.h"

static void warn_missing(struct plan *plan, const char *what, const char *name, char **missing, size_t n)
{
	for (size_t i = 0; plan && i < n; i++)
		plan_warn(plan, "%s %s: user \"%s\" does not exist", what, name, missing[i]);
}

static const char **pointers(void *ctx, mm_id *id, size_t n)
{
	const char **p = mem_array(ctx, const char *, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = id[i];
	return p;
}

static int users(void *ctx, struct mm *mm, const struct policy_list *names, const char *what, const char *name, struct plan *plan,
		 const char *const **ret, size_t *ret_n, struct err *err)
{
	mm_id *id;
	char **missing;
	size_t n, n_missing;
	int r;

	if (names->n == 0)
		return 0;
	r = mm_user_ids(ctx, mm, (const char *const *)names->item, names->n, &id, &n, &missing, &n_missing, err);
	if (r < 0)
		return r;
	warn_missing(plan, what, name, missing, n_missing);
	*ret = pointers(ctx, id, n);
	*ret_n = n;
	return 0;
}

static void hold_channels(void *ctx, const struct policy_hold *h, const struct plan_scope *scopes, size_t n, struct mm_hold_query *to)
{
	const char **p = NULL;
	size_t room = 0;

	for (size_t i = 0; i < n; i++) {
		struct policy_scope s = plan_policy_scope(scopes[i].mm);

		if (!policy_hold_covers(h, &s))
			continue;
		if (to->n_channels == room)
			p = mem_grow(ctx, p, const char *, room = plan_scope_room(room));
		p[to->n_channels++] = scopes[i].mm->channel_id;
	}
	to->channel_ids = p;
}

static int add_hold(void *ctx, const struct policy_hold *h, struct mm *mm, const struct plan_scope *scopes, size_t n,
		    struct plan *plan, struct mm_hold_query *to, struct err *err)
{
	to->name = h->name;
	to->since_ms = h->has_since ? h->since_ms : INT64_MIN;
	to->until_ms = h->has_until ? h->until_ms : INT64_MAX;
	hold_channels(ctx, h, scopes, n, to);
	return users(ctx, mm, &h->users, "hold", h->name, plan, &to->user_ids, &to->n_users, err);
}

int plan_protect(void *ctx, const struct policy *policy, const struct policy_rule *rule, struct mm *mm, const struct plan_scope *scopes,
		 size_t n_scopes, struct plan *plan, struct mm_protect_query **ret, struct err *err)
{
	struct mm_protect_query *q = mem_new(ctx, struct mm_protect_query);
	struct mm_hold_query *hold = mem_array(q, struct mm_hold_query, policy->n_holds + 1);
	int r = 0;

	q->hold = hold;
	q->n_holds = policy->n_holds;
	for (size_t i = 0; r == 0 && i < policy->n_holds; i++)
		r = add_hold(q, &policy->hold[i], mm, scopes, n_scopes, plan, &hold[i], err);
	if (r == 0 && rule) {
		q->pinned = rule->spare_pinned;
		q->flagged = rule->spare_flagged;
		q->hashtags = (const char *const *)rule->spare_hashtags.item;
		q->n_hashtags = rule->spare_hashtags.n;
		r = users(q, mm, &rule->spare_authors, "rule", rule->name, plan, &q->author_ids, &q->n_authors, err);
	}
	if (r < 0) {
		talloc_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

int plan_protect_query(void *ctx, const struct policy *policy, const struct policy_rule *rule, struct mm *mm,
		       const struct plan_scope *scopes, size_t n_scopes, struct mm_protect_query **ret, struct err *err)
{
	return plan_protect(ctx, policy, rule, mm, scopes, n_scopes, NULL, ret, err);
}
