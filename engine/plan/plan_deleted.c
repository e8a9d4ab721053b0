/*
 * plan_deleted.c - soft-deleted posts and edit copies that go out of threads which stay.
 *
 * The rule that won the channel protects as it protects whole threads: in doubt a thread keeps all it has.  A thread
 * that age or limit takes goes whole; what they want and a protection keeps was counted by them.
 */
#include <string.h>

#include "plan_internal.h"

struct deleted { struct plan_pass *pass; struct spool *wanted; };

bool plan_deleted_wants(const struct mm_deleted *d, enum policy_from from, int64_t cut_ms)
{
	return (d->whole || d->posts) && plan_age_key(from, &d->thread) >= cut_ms;
}

enum plan_verdict plan_deleted_decide(const struct mm_deleted *d, unsigned protections, int64_t floor_ms,
				      enum plan_reason *ret_reason)
{
	*ret_reason = KEPT_DAMAGED;
	if (d->torn || plan_is_protected(protections, d->thread.last_reply_ms, floor_ms, ret_reason))
		return PLAN_KEEP;
	*ret_reason = DUE_DELETED;
	return PLAN_DUE;
}

static int on_thread(void *payload, const struct mm_deleted *d, struct err *err)
{
	struct deleted *w = payload;
	struct plan_pass *pass = w->pass;
	const struct plan_rule *rule = pass->rule;
	struct plan_wanted out = {.t = d->thread, .scope = pass->scope[d->thread.channel], .part = !d->whole};
	enum plan_reason reason;

	if (!plan_deleted_wants(d, rule->rule->from, rule->cut_ms))
		return 0;
	if (plan_deleted_decide(d, plan_protections(&d->thread, pass->held, pass->n_held), rule->floor_ms, &reason) ==
	    PLAN_KEEP)
		out.keep = true;
	out.reason = (uint8_t)reason;
	if (out.part && !out.keep) {
		out.t.posts = d->posts;
		out.t.bytes = d->bytes;
	}
	return spool_add(w->wanted, &out, err);
}

int plan_deleted_find(void *ctx, struct plan_pass *pass, struct spool **ret, struct err *err)
{
	const struct mm_deleted_query q = {
		.channel_ids = pass->channel, .n_channels = pass->n, .before_ms = pass->plan->deleted_cut_ms,
		.with_bytes = pass->with_bytes,
		.protect = pass->protect,
	};
	struct deleted w = {.pass = pass};
	int r = spool_new(ctx, sizeof(struct plan_wanted), &w.wanted, err);

	if (r == 0)
		r = mm_deleted(pass->mm, &q, on_thread, &w, err);
	if (r == 0)
		r = spool_sort(w.wanted, mm_id_cmp, err);
	*ret = w.wanted;
	return r;
}

/* What a limit has taken goes whole already; what it wanted and a protection keeps is counted. */
int plan_deleted_book(struct plan_pass *pass, struct spool *wanted, struct err *err)
{
	const void *p, *have = NULL;
	int r = spool_rewind(wanted, err), more = 1;

	if (r == 0 && pass->seen)
		r = spool_sort(pass->seen, mm_id_cmp, err);
	while (r == 0 && (r = spool_next(wanted, &p, err)) == 1) {
		const struct plan_wanted *w = p;

		r = 0;
		while (pass->seen && more == 1 && (!have || strcmp(have, w->t.root) < 0))
			more = spool_next(pass->seen, &have, err);
		if (more < 0)
			return more;
		if (!pass->seen || more == 0 || strcmp(have, w->t.root) != 0)
			r = w->keep ? plan_book_kept(pass, &w->t, w->scope, (enum plan_reason)w->reason, err)
				    : plan_book_part(pass, &w->t, w->scope, w->part, err);
	}
	return r;
}
