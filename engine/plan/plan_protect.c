/*
 * plan_protect.c - the policy's holds and a rule's spares, resolved to ids.
 */
#include <string.h>

#include "plan_internal.h"

/* Who is asked for: a hold's people, or the authors that a rule spares. */
struct asked { const struct policy_list *names; const struct policy_hold *hold; const struct policy_rule *rule; };

static size_t place_of(const struct policy_list *names, const char *name)
{
	size_t i = 0;

	while (i + 1 < names->n && strcmp(names->item[i], name) != 0)
		i++;
	return i;
}

static void warn_missing(struct plan *plan, const struct asked *a, char **missing, size_t n)
{
	const char *what = a->hold ? "hold" : "rule", *name = a->hold ? a->hold->name : a->rule->name;

	for (size_t i = 0; plan && i < n; i++)
		plan_note_word(plan, plan_warn(plan, "%s %s: user \"%s\" does not exist", what, name, missing[i]),
			       a->hold, "users", place_of(a->names, missing[i]));
}

static const char **pointers(void *ctx, mm_id *id, size_t n)
{
	const char **p = mem_array(ctx, const char *, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = id[i];
	return p;
}

static int users(void *ctx, struct mm *mm, const struct asked *a, struct plan *plan, const char *const **ret,
		 size_t *ret_n, struct err *err)
{
	const struct policy_list *names = a->names;
	mm_id *id;
	char **missing;
	size_t n, n_missing;
	int r;

	if (names->n == 0)
		return 0;
	r = mm_user_ids(ctx, mm, (const char *const *)names->item, names->n, &id, &n, &missing, &n_missing, err);
	if (r < 0)
		return r;
	warn_missing(plan, a, missing, n_missing);
	*ret = pointers(ctx, id, n);
	*ret_n = n;
	return 0;
}

static void hold_channels(void *ctx, const struct policy_hold *h, const struct plan_scope *scopes, size_t n,
			  struct mm_hold_query *to)
{
	const char **p = NULL;
	size_t room = 0;

	for (size_t i = 0; i < n; i++) {
		struct policy_scope s = plan_policy_scope(scopes[i].mm);

		if (!policy_hold_covers(h, &s))
			continue;
		if (to->n_channels == room) {
			room = plan_scope_room(room);
			p = mem_grow(ctx, p, const char *, room);
		}
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
	return users(ctx, mm, &(struct asked){.names = &h->users, .hold = h}, plan, &to->user_ids, &to->n_users, err);
}

int plan_protect(void *ctx, const struct policy *policy, const struct policy_rule *rule, struct mm *mm,
		 const struct plan_scope *scopes, size_t n_scopes, struct plan *plan, struct mm_protect_query **ret,
		 struct err *err)
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
		q->unlisted_files = rule->files != FILES_KEEP; /* nobody could archive or remove them */
		q->hashtags = (const char *const *)rule->spare_hashtags.item;
		q->n_hashtags = rule->spare_hashtags.n;
		r = users(q, mm, &(struct asked){.names = &rule->spare_authors, .rule = rule}, plan, &q->author_ids,
			  &q->n_authors, err);
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
