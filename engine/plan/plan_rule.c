/*
 * plan_rule.c - one rule over its channels: due threads into the spool, kept ones counted by reason.
 */
#include <string.h>

#include "plan_internal.h"

static int book(struct plan_pass *pass, const struct mm_thread *t, struct plan_thread *due, struct err *err)
{
	struct plan_scope *s = &pass->plan->scope[due->scope];

	s->due_threads++;
	s->due_posts += t->posts;
	s->due_bytes += t->bytes;
	memcpy(due->root, t->root, strlen(t->root));
	memcpy(due->channel_id, t->channel_id, strlen(t->channel_id));
	return spool_add(pass->plan->due, due, err);
}

int plan_book_part(struct plan_pass *pass, const struct mm_thread *t, uint32_t scope, bool part, struct err *err)
{
	struct plan_thread due = {.root_create_ms = t->root_create_ms,
				  .last_reply_ms = t->last_reply_ms,
				  .posts = t->posts,
				  .bytes = t->bytes,
				  .scope = scope,
				  .reason = DUE_DELETED,
				  .part = part};

	plan_scope_count(pass->plan, &pass->plan->scope[scope])[DUE_DELETED]++;
	pass->rule->reason[DUE_DELETED]++;
	pass->rule->due_parts += part;
	return book(pass, t, &due, err);
}

static void watch(struct plan_watch *w, const struct mm_thread *t, enum plan_verdict verdict, enum plan_reason reason)
{
	if (strcmp(t->root, w->root) != 0)
		return;
	w->seen = true;
	w->verdict = verdict;
	w->reason = reason;
}

int plan_book_kept(struct plan_pass *pass, const struct mm_thread *t, uint32_t scope, enum plan_reason reason,
		   struct err *err)
{
	struct plan_kept k = {.root_create_ms = t->root_create_ms,
			      .scope = scope,
			      .reason = (uint8_t)reason,
			      .hold = reason == KEPT_HOLD ? t->hold : -1};

	if (pass->watch)
		watch(pass->watch, t, PLAN_KEEP, reason);
	plan_scope_count(pass->plan, &pass->plan->scope[scope])[reason]++;
	pass->rule->reason[reason]++;
	if (reason == KEPT_HOLD && t->hold >= 0)
		pass->rule->held[t->hold]++;
	if (!pass->plan->kept || reason == KEPT_YOUNG)
		return 0;
	memcpy(k.root, t->root, strlen(t->root));
	return spool_add(pass->plan->kept, &k, err);
}

static int note_seen(struct plan_pass *pass, const struct mm_thread *t, struct err *err)
{
	mm_id root = "";

	memcpy(root, t->root, strlen(t->root));
	return spool_add(pass->seen, root, err);
}

int plan_book(struct plan_pass *pass, const struct mm_thread *t, uint32_t scope, enum plan_verdict verdict,
	      enum plan_reason reason, struct err *err)
{
	struct plan_thread due = {.root_create_ms = t->root_create_ms,
				  .last_reply_ms = t->last_reply_ms,
				  .posts = t->posts,
				  .bytes = t->bytes,
				  .scope = scope,
				  .reason = (uint8_t)reason};
	int rc;

	if (pass->seen && reason != KEPT_YOUNG && (rc = note_seen(pass, t, err)) < 0)
		return rc;
	if (verdict == PLAN_KEEP)
		return plan_book_kept(pass, t, scope, reason, err);
	if (pass->watch)
		watch(pass->watch, t, verdict, reason);
	plan_scope_count(pass->plan, &pass->plan->scope[scope])[reason]++;
	pass->rule->reason[reason]++;
	return book(pass, t, &due, err);
}

static int take_thread(void *payload, const struct mm_thread *t, struct err *err)
{
	struct plan_pass *pass = payload;
	enum plan_reason reason;
	enum plan_verdict verdict = plan_decide(pass->rule->rule, t, plan_protections(t, pass->held, pass->n_held),
						pass->rule->cut_ms, pass->rule->floor_ms, NULL, &reason);

	return plan_book(pass, t, pass->scope[t->channel], verdict, reason, err);
}

static int run_age(struct plan_pass *pass, struct err *err)
{
	const struct mm_thread_query q = {
		.channel_ids = pass->channel, .n_channels = pass->n, .all_channels = pass->all_channels,
		.order = plan_order(pass->rule->rule->from), .before_ms = pass->rule->cut_ms,
		.with_bytes = pass->with_bytes,
		.protect = pass->protect,
	};

	return mm_threads(pass->mm, &q, take_thread, pass, err);
}

static void collect_channels(void *ctx, struct plan_pass *pass)
{
	const struct plan *plan = pass->plan;

	pass->scope = mem_array(ctx, uint32_t, plan->n_scopes + 1);
	pass->channel = mem_array(ctx, const char *, plan->n_scopes + 1);
	for (size_t i = 0; i < plan->n_scopes; i++)
		if (plan->scope[i].rule == pass->rule->rule) {
			pass->channel[pass->n] = plan->scope[i].mm->channel_id;
			pass->scope[pass->n++] = (uint32_t)i;
		}
}

static void add_up(struct plan_pass *pass)
{
	struct plan *plan = pass->plan;
	struct plan_rule *rule = pass->rule;

	for (size_t i = 0; i < pass->n; i++) {
		const struct plan_scope *s = &plan->scope[pass->scope[i]];

		rule->due_threads += s->due_threads;
		rule->due_posts += s->due_posts;
		rule->due_bytes += s->due_bytes;
	}
	plan->due_threads += rule->due_threads;
	plan->due_posts += rule->due_posts;
	plan->due_bytes += rule->due_bytes;
	plan->due_parts += rule->due_parts;
}

int plan_rule_count(void *parent, struct plan *plan, struct mm *mm, size_t rule, void (*meanwhile)(void *payload),
		    void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(parent, "count of a rule");
	struct plan_rule *r = &plan->rule[rule];
	struct plan_pass pass = {.plan = plan, .mm = mm, .rule = r};

	if (r->total_posts || !r->due_posts || !r->rule->guard_percent || r->rule->guard_percent >= GUARD_ALL)
		return 0;
	collect_channels(ctx, &pass);
	return mm_count_up_to(mm, pass.channel, pass.n, r->due_posts * 100 / r->rule->guard_percent + 1, meanwhile,
			      payload, &r->total_posts, err);
}

int plan_rule_run(void *parent, struct plan *plan, const struct policy *policy, struct mm *mm, size_t rule, bool all,
		  const struct plan_options *options, struct err *err)
{
	auto_mem void *ctx = mem_context(parent, "rule"); /* many rules would have a list of the channels each */
	const struct policy_rule *r = &policy->rule[rule];
	struct plan_pass pass = {.plan = plan, .mm = mm, .rule = &plan->rule[rule]};
	struct spool *wanted = NULL;
	bool deleted = plan->deleted_cut_ms != INT64_MIN, takes = pass.rule->cut_ms != INT64_MIN || r->has_limit;
	int rc;

	if (pass.rule->scopes == 0 || (!takes && !deleted))
		return 0;
	collect_channels(ctx, &pass);
	pass.all_channels = all && pass.n == plan->n_scopes;
	pass.held = options ? options->held : NULL;
	pass.n_held = options ? options->n_held : 0;
	pass.watch = options ? options->watch : NULL;
	pass.with_bytes = (options && options->sizes) || (r->has_limit && r->limit_bytes);
	rc = plan_protect(ctx, policy, r, mm, plan->scope, plan->n_scopes, plan, &pass.protect, err);
	if (rc == 0 && deleted && r->has_limit)
		rc = spool_new(ctx, sizeof(mm_id), &pass.seen, err);
	if (rc == 0 && deleted)
		rc = plan_deleted_find(ctx, &pass, &wanted, err);
	if (rc == 0 && takes)
		rc = r->has_limit ? plan_limit_run(ctx, &pass, wanted, err) : run_age(&pass, err);
	if (rc == 0 && deleted && !pass.watch) /* explain asks for it by itself */
		rc = plan_deleted_book(&pass, wanted, err);
	if (rc < 0)
		return rc;
	add_up(&pass);
	return 0;
}
