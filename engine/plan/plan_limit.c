/*
 * plan_limit.c - rules with a limit: oldest threads first until every limit of the unit is met.
 *
 * A unit is a channel, or with `per: team` the rule's channels of one team.  Threads are listed only as far back in
 * time as the excess seems to need (mm_reach), decided in order of their age, and where that was not enough, the next
 * round lists further. Age and limit use the same key, so that one walk serves both: what is due by age comes first by
 * itself.  What deleted_posts takes counts as gone before the walk begins.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_limit.h"

enum { LIMIT_SLACK = 50, LIMIT_ROUNDS = 8, LIMIT_TOLD = 20 /* units of a rule, each in a warning of its own */ };

struct item {                          /* one listed thread */
	uint32_t unit, channel;        /* channel: index into pass->channel */
	int64_t key_ms;
	struct mm_thread t;
	uint64_t part_posts, part_bytes; /* what goes of it by deleted_posts, and is counted as gone */
};

static bool is_over(const struct limit *l, const struct unit *u)
{
	return (l->rule->limit_posts && u->left.posts_left > l->rule->limit_posts) ||
	       (l->rule->limit_bytes && u->left.bytes_left > l->rule->limit_bytes);
}

/* ---- units and their sizes ---- */

static const struct plan_scope *scope_of(const struct limit *l, size_t channel)
{
	return &l->pass->plan->scope[l->pass->scope[channel]];
}

bool plan_limit_joins(const struct policy_rule *rule, const struct mm_scope *a, const struct mm_scope *b)
{
	return strcmp(a->channel_id, b->channel_id) == 0 ||
	       (rule->per == PER_TEAM && a->team_id[0] && strcmp(a->team_id, b->team_id) == 0);
}

/* Channels of a pass come by team (plan_resolve sorts them so). */
static void make_units(void *ctx, struct limit *l)
{
	const struct plan_pass *pass = l->pass;

	l->unit = mem_array(ctx, struct unit, pass->n + 1);
	l->unit_of = mem_array(ctx, uint32_t, pass->n + 1);
	l->size_posts = mem_array(ctx, uint64_t, pass->n + 1);
	l->file_bytes = mem_array(ctx, uint64_t, pass->n + 1);
	l->listed = mem_array(ctx, uint32_t, pass->n + 1);
	for (size_t i = 0; i < pass->n; i++) {
		if (i == 0 || !plan_limit_joins(l->rule, scope_of(l, i)->mm, scope_of(l, i - 1)->mm))
			l->unit[l->n_units++] = (struct unit){.first = (uint32_t)i, .done_ms = INT64_MIN};
		l->unit[l->n_units - 1].n++;
		l->unit_of[i] = (uint32_t)l->n_units - 1;
	}
}

/* ---- how far back to list ---- */

static uint64_t excess_posts(const struct limit *l, const struct unit *u)
{
	uint64_t by_posts = 0, by_bytes = 0;

	if (l->rule->limit_posts && u->left.posts_left > l->rule->limit_posts)
		by_posts = u->left.posts_left - l->rule->limit_posts;
	if (l->rule->limit_bytes && u->left.bytes_left > l->rule->limit_bytes)
		by_bytes = (uint64_t)((double)(u->left.bytes_left - l->rule->limit_bytes) / (double)u->bytes *
				      (double)u->posts) +
			   1;
	return by_posts > by_bytes ? by_posts : by_bytes;
}

struct reach { int64_t ms; uint64_t posts; };

static int compare_reach(const void *a, const void *b)
{
	const struct reach *x = a, *y = b;

	return x->ms < y->ms ? -1 : x->ms > y->ms;
}

/* Of the channels' reaches the one that has three quarters of the unit's posts at or below it. */
static int64_t common_reach(struct reach *reach, size_t n)
{
	uint64_t total = 0, sum = 0;

	qsort(reach, n, sizeof *reach, compare_reach);
	for (size_t i = 0; i < n; i++)
		total += reach[i].posts;
	for (size_t i = 0; i < n; i++) {
		sum += reach[i].posts;
		if (sum * 4 >= total * 3)
			return reach[i].ms;
	}
	return INT64_MAX;
}

static size_t channels_of(const struct limit *l, const bool *over)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_units; i++)
		n += over[i] ? l->unit[i].n : 0;
	return n;
}

/* Sets before_ms of the units that are over: posts asked for are shared among a unit's channels by their size. */
static int reach_back(void *ctx, struct limit *l, const bool *over, struct err *err)
{
	const struct plan_pass *pass = l->pass;
	size_t n = channels_of(l, over), at = 0;
	const char **id = mem_array(ctx, const char *, n + 1);
	uint64_t *posts = mem_array(ctx, uint64_t, n + 1);
	int64_t *ms = mem_array(ctx, int64_t, n + 1);
	struct reach *reach = mem_array(ctx, struct reach, n + 1);
	int r;

	n = 0;
	for (size_t i = 0; i < pass->n; i++) {
		const struct unit *u = &l->unit[l->unit_of[i]];

		if (!over[l->unit_of[i]])
			continue;
		id[n] = pass->channel[i];
		posts[n++] =
			u->posts ? (uint64_t)((double)u->want_posts * (double)l->size_posts[i] / (double)u->posts) + 1
				 : 1;
	}
	r = n ? mm_reach(pass->mm, id, posts, n, ms, err) : 0;
	for (size_t i = 0; r == 0 && i < l->n_units; i++) {
		struct unit *u = &l->unit[i];

		for (uint32_t k = 0; over[i] && k < u->n; k++)
			reach[k] = (struct reach){.ms = ms[at++], .posts = l->size_posts[u->first + k]};
		if (over[i])
			u->before_ms = common_reach(reach, u->n);
	}
	return r;
}

/* Units of this round get their before_ms; false in ret_list: nothing to list. */
static int aim(void *ctx, struct limit *l, unsigned round, bool *ret_list, struct err *err)
{
	bool *over = mem_array(ctx, bool, l->n_units + 1);
	int r;

	for (size_t i = 0; i < l->n_units; i++) {
		struct unit *u = &l->unit[i];

		over[i] = is_over(l, u) && u->done_ms != INT64_MAX;
		u->want_posts = over[i] ? (u->want_posts + excess_posts(l, u) + LIMIT_SLACK) * 5 / 4 : 0;
	}
	r = reach_back(ctx, l, over, err);
	for (size_t i = 0; r == 0 && i < l->n_units; i++) {
		struct unit *u = &l->unit[i];

		if (!over[i])
			u->before_ms = INT64_MIN;
		else if (round + 1 == LIMIT_ROUNDS || u->before_ms <= u->done_ms)
			u->before_ms = INT64_MAX;
		if (round == 0 && u->before_ms < l->pass->rule->cut_ms)
			u->before_ms = l->pass->rule->cut_ms;
		*ret_list = *ret_list || u->before_ms > u->done_ms;
	}
	return r;
}

/* ---- listing and deciding ---- */

static int take_thread(void *payload, const struct mm_thread *t, struct err *err)
{
	struct limit *l = payload;
	uint32_t channel = l->listed[t->channel];
	struct item item = {.unit = l->unit_of[channel],
			    .channel = channel,
			    .key_ms = plan_age_key(l->rule->from, t),
			    .t = *t};

	if (item.key_ms < l->unit[item.unit].done_ms)
		return 0; /* an earlier round decided it */
	return spool_add(l->spool, &item, err);
}

static size_t to_list(const struct limit *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_units; i++)
		n += l->unit[i].before_ms > l->unit[i].done_ms ? l->unit[i].n : 0;
	return n;
}

static int list(void *ctx, struct limit *l, struct err *err)
{
	const struct plan_pass *pass = l->pass;
	size_t n = 0, all = to_list(l);
	const char **id = mem_array(ctx, const char *, all + 1);
	int64_t *before = mem_array(ctx, int64_t, all + 1);
	struct mm_thread_query q = {.channel_ids = id,
				    .before = before,
				    .order = plan_order(l->rule->from),
				    .protect = pass->protect,
				    .with_bytes = pass->with_bytes};

	for (size_t i = 0; i < pass->n; i++) {
		const struct unit *u = &l->unit[l->unit_of[i]];

		if (u->before_ms <= u->done_ms)
			continue;
		id[n] = pass->channel[i];
		before[n] = u->before_ms;
		l->listed[n++] = (uint32_t)i;
	}
	q.n_channels = n;
	q.all_channels = pass->all_channels && n == pass->n;
	return mm_threads(pass->mm, &q, take_thread, l, err);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	if (x->key_ms != y->key_ms)
		return x->key_ms < y->key_ms ? -1 : 1;
	return strcmp(x->t.root, y->t.root);
}

static int compare_roots(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->t.root, ((const struct item *)b)->t.root);
}

/* Both by root: the round's threads, with what deleted_posts takes of them. */
static int join_deleted(void *ctx, struct limit *l, struct err *err)
{
	struct spool *listed = l->spool;
	const void *p, *have = NULL;
	int r = spool_sort(listed, compare_roots, err), more = 1;

	if (r == 0)
		r = spool_new(ctx, sizeof(struct item), &l->spool, err);
	if (r == 0)
		r = spool_rewind(l->wanted, err);
	while (r == 0 && (r = spool_next(listed, &p, err)) == 1) {
		struct item item = *(const struct item *)p;
		const struct plan_wanted *w;

		while (more == 1 && (!have || strcmp(((const struct plan_wanted *)have)->t.root, item.t.root) < 0))
			more = spool_next(l->wanted, &have, err);
		if (more < 0)
			return more;
		w = have;
		if (more == 1 && !w->keep && strcmp(w->t.root, item.t.root) == 0) {
			item.part_posts = w->t.posts;
			item.part_bytes = w->t.bytes;
		}
		r = spool_add(l->spool, &item, err);
	}
	talloc_free(listed);
	return r;
}

static int decide(struct limit *l, const struct item *item, struct err *err)
{
	struct plan_rule *rule = l->pass->rule;
	struct unit *u = &l->unit[item->unit];
	enum plan_reason reason;
	enum plan_verdict v = plan_decide(l->rule, &item->t, plan_protections(&item->t, l->pass->held, l->pass->n_held),
					  rule->cut_ms, rule->floor_ms, &u->left, &reason);

	if (reason == KEPT_YOUNG)
		return 0; /* nothing wants it */
	if (v == PLAN_DUE) {
		u->left.posts_left = minus(u->left.posts_left, minus(item->t.posts, item->part_posts));
		u->left.bytes_left = minus(u->left.bytes_left, minus(item->t.bytes, item->part_bytes));
	} else {
		if (!u->kept)
			u->kept = mem_crumb(&l->crumbs, PLAN_REASONS * sizeof *u->kept);
		u->kept[reason]++;
	}
	return plan_book(l->pass, &item->t, l->pass->scope[item->channel], v, reason, err);
}

static int round_run(void *ctx, struct limit *l, struct err *err)
{
	const void *p;
	int r = spool_new(ctx, sizeof(struct item), &l->spool, err);

	if (r == 0)
		r = list(ctx, l, err);
	if (r == 0 && l->wanted)
		r = join_deleted(ctx, l, err);
	if (r == 0)
		r = spool_sort(l->spool, compare_items, err);
	while (r == 0 && (r = spool_next(l->spool, &p, err)) > 0)
		r = decide(l, p, err);
	for (size_t i = 0; i < l->n_units; i++)
		if (l->unit[i].before_ms > l->unit[i].done_ms)
			l->unit[i].done_ms = l->unit[i].before_ms;
	return r;
}

/* ---- limits that cannot be reached ---- */

static const char *unit_name(void *ctx, const struct limit *l, const struct unit *u)
{
	const struct mm_scope *s = scope_of(l, u->first)->mm;

	if (u->n > 1 || (l->rule->per == PER_TEAM && s->team_id[0]))
		return mem_printf(ctx, "team %s", s->team_name);
	return mem_printf(ctx, "channel %s%s%s", s->team_name, s->team_name[0] ? "/" : "",
			  s->channel_name[0] ? s->channel_name : s->channel_id);
}

static void mark_unreached(struct limit *l, const struct unit *u)
{
	for (uint32_t k = 0; k < u->n; k++)
		l->pass->plan->scope[l->pass->scope[u->first + k]].limit_unreached = true;
}

static void warn_unreached(struct limit *l, const struct unit *u)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "limit");
	bool by_posts = l->rule->limit_posts && u->left.posts_left > l->rule->limit_posts;
	uint64_t left = by_posts ? u->left.posts_left : u->left.bytes_left,
		 limit = by_posts ? l->rule->limit_posts : l->rule->limit_bytes;
	char *why = mem_strdup(ctx, "");

	for (unsigned i = 0; i < PLAN_REASONS && u->kept; i++)
		if (u->kept[i])
			why = mem_printf(ctx, "%s%s%llu thread%s kept (%s)", why, *why ? ", " : "",
					 (unsigned long long)u->kept[i], u->kept[i] == 1 ? "" : "s",
					 plan_reason_name((enum plan_reason)i));
	plan_warn(l->pass->plan, "rule %s: %s stays at %llu %s, over its limit of %llu: %s", l->rule->name,
		  unit_name(ctx, l, u), (unsigned long long)left, by_posts ? "posts" : "bytes",
		  (unsigned long long)limit, *why ? why : "the rest are rows that belong to no sound thread");
}

/* A server has very many channels, and nobody reads a line for each: the plan has them by their marks. */
static void tell_unreached(struct limit *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_units; i++) {
		if (!is_over(l, &l->unit[i]))
			continue;
		mark_unreached(l, &l->unit[i]);
		if (n++ < LIMIT_TOLD)
			warn_unreached(l, &l->unit[i]);
	}
	if (n > LIMIT_TOLD)
		plan_warn(l->pass->plan, "rule %s: %zu more stay%s over its limit", l->rule->name, n - LIMIT_TOLD,
			  n - LIMIT_TOLD == 1 ? "s" : "");
}

int plan_limit_run(void *ctx, struct plan_pass *pass, struct spool *wanted, struct err *err)
{
	struct limit l = {.pass = pass, .rule = pass->rule->rule, .wanted = wanted, .crumbs = {ctx}};
	int r;

	make_units(ctx, &l);
	r = plan_limit_measure(ctx, &l, err);
	for (unsigned round = 0; r == 0 && round < LIMIT_ROUNDS; round++) {
		auto_mem TALLOC_CTX *tmp = mem_context(NULL, "limit round");
		bool more = false;

		r = aim(tmp, &l, round, &more, err);
		if (r < 0 || !more)
			break;
		r = round_run(tmp, &l, err);
	}
	if (r == 0)
		tell_unreached(&l);
	return r;
}
