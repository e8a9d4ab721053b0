/*
 * plan_explain.c - why a channel or a post is treated as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

/* The channels of the server, and what of a plan's options explain has. */
struct world { const struct mm_scope *scope; size_t n; const struct plan_options *options; };

static bool is_named(const struct mm_scope *s, const char *word)
{
	size_t team = strlen(s->team_name);

	if (strcmp(s->channel_id, word) == 0 || strcmp(s->channel_name, word) == 0)
		return true;
	return team && strncmp(word, s->team_name, team) == 0 && word[team] == '/' &&
	       strcmp(word + team + 1, s->channel_name) == 0;
}

static int several(const struct mm_scope *scope, size_t n, const char *word, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "several");
	char *list = mem_strdup(ctx, "");
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (is_named(&scope[i], word) && found++ < PLAN_NAMES_SHOWN)
			list = mem_printf(ctx, "%s%s%s/%s (%s)", list, found > 1 ? ", " : "", scope[i].team_name,
					  scope[i].channel_name, scope[i].channel_id);
	if (found > PLAN_NAMES_SHOWN)
		list = mem_printf(ctx, "%s and %zu more", list, found - PLAN_NAMES_SHOWN);
	(void)err_set(err, ERR_USAGE, "%zu channels are called \"%s\"", found, word);
	return err_hint(err, "Use team/name or the id: %s.", list);
}

static int find_scope(const struct mm_scope *scope, size_t n, const char *word, const struct mm_scope **ret,
		      struct err *err)
{
	const struct mm_scope *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!is_named(&scope[i], word))
			continue;
		if (found)
			return several(scope, n, word, err);
		found = &scope[i];
	}
	if (!found) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no channel \"%s\"", word);
		return err_hint(err, "Use the channel's URL name, team/name, or its id.");
	}
	*ret = found;
	return 0;
}

/* No plan asks about a channel that has no row. */
static void explain_stray(struct plan_explain *x, const mm_id channel)
{
	memcpy(x->scope.channel_id, channel, sizeof(mm_id));
	x->channel_gone = true;
	x->cut_ms = x->deleted_cut_ms = INT64_MIN;
	x->due_ms = x->floor_ms = INT64_MAX;
	x->reason = KEPT_DAMAGED;
}

static int explain_scope(struct plan_explain *x, const struct policy *policy, struct mm *mm,
			 const struct mm_scope *scope, struct err *err)
{
	struct policy_candidate *candidate = NULL;
	int r;

	x->scope = *scope;
	x->policy_scope = plan_policy_scope(&x->scope);
	r = policy_winner(x, policy, &x->policy_scope, &x->rule, &candidate, err);
	if (r == -ERR_POLICY && candidate) { /* a tie is an answer here, not a failure */
		x->tie = true;
		x->rule = NULL;
		err_clear(err);
		r = 0;
	}
	x->candidate = candidate;
	x->n_candidates = candidate ? policy->n_rules : 0;
	x->deleted_cut_ms = policy->deleted.present && x->rule
				    ? duration_before(mm->now_ms, &policy->deleted.purge_after)
				    : INT64_MIN;
	x->cut_ms = INT64_MIN;
	x->floor_ms = INT64_MAX;
	if (x->rule)
		plan_times(x->rule, mm->now_ms, &x->cut_ms, &x->floor_ms);
	x->hold = mem_array(x, const struct policy_hold *, policy->n_holds + 1);
	for (size_t i = 0; i < policy->n_holds; i++)
		if (policy_hold_covers(&policy->hold[i], &x->policy_scope))
			x->hold[x->n_holds++] = &policy->hold[i];
	return r;
}

/* The later of: age passed, floor passed. */
static int64_t due_ms(const struct plan_explain *x, int64_t now_ms)
{
	const struct policy_rule *rule = x->rule;
	int64_t at, floor;

	if (!rule || x->cut_ms == INT64_MIN)
		return INT64_MAX;
	at = duration_passed(x->age_key_ms, &rule->age, now_ms);
	floor = rule->has_floor ? duration_passed(x->thread.last_reply_ms, &rule->floor, now_ms) : INT64_MIN;
	return at > floor ? at : floor;
}

static int on_deleted(void *payload, const struct mm_deleted *d, struct err *err)
{
	struct plan_explain *x = payload;

	(void)err;
	x->deleted_wanted = plan_deleted_wants(d, x->rule->from, x->cut_ms);
	x->deleted_whole = d->whole;
	x->deleted_posts = d->whole ? d->thread.posts : d->posts;
	x->deleted_verdict = plan_deleted_decide(d, d->thread.protections | (x->held ? MM_HOLD : 0u), x->floor_ms,
						 &x->deleted_reason);
	return 0;
}

static int explain_deleted(struct plan_explain *x, const struct mm_protect_query *protect, struct mm *mm,
			   struct err *err)
{
	const char *channel = x->scope.channel_id;
	const struct mm_deleted_query q = {.channel_ids = &channel,
					   .n_channels = 1,
					   .before_ms = x->deleted_cut_ms,
					   .protect = protect};

	return x->deleted_cut_ms == INT64_MIN ? 0 : mm_deleted_one(mm, &q, x->root, on_deleted, x, err);
}

/* As a plan decides; a limit beside, whose plan it takes. */
static int decide(struct plan_explain *x, const struct policy *policy, struct mm *mm, const struct world *w,
		  struct err *err)
{
	x->reason = KEPT_YOUNG;
	if (!x->rule)
		return 0;
	x->verdict = plan_decide(x->rule, &x->thread, x->thread.protections, x->cut_ms, x->floor_ms, NULL, &x->reason);
	return x->rule->has_limit ? plan_explain_limit(x, policy, mm, w->scope, w->n, w->options, err) : 0;
}

static int explain_thread(struct plan_explain *x, const struct policy *policy, struct mm *mm, const struct world *w,
			  struct err *err)
{
	const struct plan_options *o = w->options;
	const struct plan_scope scope = {.mm = &x->scope, .rule = x->rule};
	struct mm_protect_query *q;
	int r = plan_protect(x, policy, x->rule, mm, &scope, 1, NULL, &q, err);

	x->due_ms = INT64_MAX;
	x->reason = KEPT_DAMAGED;
	if (r == 0 && x->root[0])
		r = mm_thread_one(mm, q, x->root, &x->thread, &x->has_thread, err);
	if (r < 0 || !x->has_thread)
		return r;
	x->thread.protections = plan_protections(&x->thread, o->held, o->n_held);
	x->held = o->n_held && bsearch(x->root, o->held, o->n_held, sizeof(mm_id), mm_id_cmp);
	x->age_key_ms = plan_age_key(x->rule ? x->rule->from : FROM_LAST_REPLY, &x->thread);
	x->due_ms = due_ms(x, mm->now_ms);
	if (x->thread.hold >= 0)
		x->thread_hold = &policy->hold[x->thread.hold];
	r = decide(x, policy, mm, w, err);
	if (r < 0 || x->verdict == PLAN_DUE) /* all of it goes */
		return r;
	return explain_deleted(x, q, mm, err);
}

static int explain(struct plan_explain *x, const struct policy *policy, struct mm *mm, const char *channel,
		   const char *post, const struct plan_options *options, struct err *err)
{
	const struct mm_scope *scope = NULL;
	struct mm_scope *all;
	struct world w = {.options = options};
	mm_id channel_id;
	int r = 0;

	if (post) {
		x->has_post = true;
		if (strlen(post) <= MM_ID)
			memcpy(x->post, post, strlen(post) + 1);
		r = mm_post_root(mm, post, x->root, channel_id, err);
	}
	if (r == 0)
		r = mm_scopes(x, mm, &all, &w.n, err);
	if (r < 0)
		return r;
	w.scope = all;
	if (!post)
		r = find_scope(all, w.n, channel, &scope, err);
	else if (!(scope = bsearch(channel_id, all, w.n, sizeof *all, mm_id_cmp))) {
		explain_stray(x, channel_id);
		return 0;
	}
	if (r == 0)
		r = explain_scope(x, policy, mm, scope, err);
	return r == 0 && post ? explain_thread(x, policy, mm, &w, err) : r;
}

static int run(void *ctx, const struct policy *policy, struct mm *mm, const char *channel, const char *post,
	       const struct plan_options *options, struct plan_explain **ret, struct err *err)
{
	struct plan_explain *x = mem_new(ctx, struct plan_explain);
	int r = mm_snapshot_begin(mm, policy->throttle.export_pause_factor <= 0, err);

	if (r == 0) {
		r = explain(x, policy, mm, channel, post, options, err);
		mm_snapshot_end(mm);
	}
	if (r < 0) {
		talloc_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

int plan_explain_channel(void *ctx, const struct policy *policy, struct mm *mm, const char *channel,
			 struct plan_explain **ret, struct err *err)
{
	return run(ctx, policy, mm, channel, NULL, NULL, ret, err);
}

int plan_explain_post(void *ctx, const struct policy *policy, struct mm *mm, const char *post_id, const mm_id *held,
		      size_t n_held, struct plan_explain **ret, struct err *err)
{
	const struct plan_options options = {.held = held, .n_held = n_held};

	return run(ctx, policy, mm, NULL, post_id, &options, ret, err);
}
