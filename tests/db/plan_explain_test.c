/*
 * plan_explain_test.c - explain of every thread of a small world against the plan of the same policy: the same verdict,
 * the same reason.
 *
 * MMR_TEST_CONNINFO names a database that tests/support/seed.py filled (--legacy).
 */
#include "plan_db_test.h"

/* ---- what the plan says ---- */

struct said { mm_id root; enum plan_reason reason; };

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct said *)a)->root, ((const struct said *)b)->root);
}

static struct said *due_of(void *ctx, struct plan *plan)
{
	struct said *due = mem_array(ctx, struct said, plan->due_threads + 1);
	struct err err = {0};
	const void *at;
	size_t n = 0;

	while (spool_next(plan->due, &at, &err) > 0) {
		const struct plan_thread *t = at;

		memcpy(due[n].root, t->root, sizeof(mm_id));
		due[n++].reason = (enum plan_reason)t->reason;
	}
	qsort(due, n, sizeof *due, compare);
	return due;
}

static size_t scope_of(const struct plan *plan, const char *channel)
{
	for (size_t i = 0; i < plan->n_scopes; i++)
		if (strcmp(plan->scope[i].mm->channel_id, channel) == 0)
			return i;
	return plan->n_scopes;
}

/* ---- one policy ---- */

struct tally { uint64_t reason[PLAN_REASONS]; };

/* KEPT_YOUNG: nothing wants it. */
static enum plan_reason said_of(const struct plan_explain *x)
{
	if (x->verdict == PLAN_KEEP && x->deleted_wanted && x->deleted_verdict == PLAN_DUE)
		return DUE_DELETED;
	return x->verdict == PLAN_DUE ? x->reason : KEPT_YOUNG;
}

static uint64_t unit_posts(const struct plan *plan, const struct plan_explain *x)
{
	bool team = x->rule->per == PER_TEAM && x->scope.team_id[0];
	uint64_t sum = 0;

	for (size_t i = 0; i < plan->n_scopes; i++) {
		const struct plan_scope *s = &plan->scope[i];

		if (s->rule == x->rule && (team ? strcmp(s->mm->team_id, x->scope.team_id) == 0
						: strcmp(s->mm->channel_id, x->scope.channel_id) == 0))
			sum += s->size_posts;
	}
	return sum;
}

/* What explain says of one thread, wrong or not; counted by channel and reason. */
static size_t look(const struct plan *plan, const struct said *due, const struct plan_explain *x, struct tally *tally)
{
	struct said key = {0};
	const struct said *want;
	size_t scope = scope_of(plan, x->scope.channel_id);

	memcpy(key.root, x->root, sizeof(mm_id));
	want = bsearch(&key, due, plan->due_threads, sizeof *due, compare);
	if (x->has_thread)
		tally[scope].reason[x->reason]++;
	if (said_of(x) == (want ? want->reason : KEPT_YOUNG) &&
	    (!x->rule || !x->rule->has_limit || x->unit_posts == unit_posts(plan, x)))
		return 0;
	if (failures++ < 20)
		printf("     %s: explain says %s, the plan %s; %llu posts of %llu\n", x->root,
		       plan_reason_name(said_of(x)), want ? plan_reason_name(want->reason) : "kept",
		       (unsigned long long)x->unit_posts, (unsigned long long)(x->rule ? unit_posts(plan, x) : 0));
	return 1;
}

/* Kept threads by reason, too: what is young, the plan does not count. */
static size_t compare_tallies(const struct plan *plan, const struct tally *tally)
{
	size_t wrong = 0;

	for (size_t i = 0; i < plan->n_scopes; i++)
		for (unsigned r = 0; r < PLAN_REASONS; r++)
			wrong += r != KEPT_YOUNG && plan_scope_reasons(&plan->scope[i])[r] != tally[i].reason[r];
	return wrong;
}

static void check(const char *name, const char *rest, const mm_id *held, size_t n_held, const enum plan_reason *expect,
		  size_t n_expect)
{
	void *ctx auto_mem = mem_context(NULL, name);
	struct policy *policy = parse(ctx, mem_printf(ctx, HEAD "%s", rest));
	const struct plan_options options = {.held = held, .n_held = n_held};
	struct db_result *res = sql(ctx, "SELECT id FROM posts p WHERE coalesce(rootid, '') = '' AND "
					 "coalesce(originalid, '') = '' AND createat > 0 "
					 "AND EXISTS (SELECT FROM channels c WHERE c.id = p.channelid) ORDER BY id");
	struct tally *tally;
	struct err err = {0};
	struct said *due;
	struct plan *plan;
	size_t wrong = 0;

	if (plan_build(ctx, policy, mm, &options, &plan, &err) < 0)
		die(name, &err);
	due = due_of(ctx, plan);
	tally = mem_array(ctx, struct tally, plan->n_scopes + 1);
	for (int64_t i = 0; i < db_rows(res); i++) {
		struct plan_explain *x;

		if (plan_explain_post(ctx, policy, mm, db_text(res, i, 0), held, n_held, &x, &err) < 0)
			die(name, &err);
		wrong += look(plan, due, x, tally);
		talloc_free(x);
	}
	if (!policy->deleted.present) /* there a plan counts what a limit and `deleted_posts` want twice */
		wrong += compare_tallies(plan, tally);
	for (size_t i = 0; i < n_expect; i++)
		if (!plan->rule[0].reason[expect[i]] && ++wrong)
			printf("     no thread is %s: the case shows nothing\n", plan_reason_name(expect[i]));
	failures += wrong > 0;
	printf("%s explain, %-24s %zu wrong of %lld, %llu due\n", wrong ? "FAIL" : "ok  ", name, wrong,
	       (long long)db_rows(res), (unsigned long long)plan->due_threads);
}
#define CHECK(name, rest, ...)                                                                                         \
	check(name, rest, NULL, 0, (const enum plan_reason[]){__VA_ARGS__},                                            \
	      ARRAY_LEN(((const enum plan_reason[]){__VA_ARGS__})))

/* Threads that the ledger holds: every fifth. */
static void check_held(void *ctx)
{
	struct db_result *res =
		sql(ctx, "SELECT id FROM posts WHERE coalesce(rootid, '') = '' AND coalesce(originalid, '') = '' AND "
			 "ascii(md5(id)) % 5 = 1 ORDER BY id COLLATE \"C\"");
	size_t n = (size_t)db_rows(res);
	mm_id *held = mem_array(ctx, mm_id, n + 1);
	const enum plan_reason expect[] = {DUE_POSTS, KEPT_HOLD};

	for (size_t i = 0; i < n; i++)
		memcpy(held[i], db_text(res, (int64_t)i, 0), db_len(res, (int64_t)i, 0));
	check("held by the ledger",
	      "  - {name: r, match: {}, keep: forever, limit: {per: channel, posts: 20}, guard: {percent: 100}}\n",
	      held, n, expect, ARRAY_LEN(expect));
}

int main(void)
{
	void *ctx = begin("plan_explain_test");

	CHECK("age", "  - {name: r, match: {}, keep: {for: 400d}, spare: {pinned: thread}, guard: {percent: 100}}\n",
	      DUE_AGE, KEPT_PINNED);
	CHECK("posts per channel",
	      "  - {name: r, match: {}, keep: {for: 1500d}, limit: {per: channel, posts: 20}, guard: {percent: 100}}\n",
	      DUE_AGE, DUE_POSTS);
	CHECK("posts per team",
	      "  - {name: r, match: {}, keep: {for: 10y}, limit: {per: team, posts: 100}, spare: {pinned: thread, "
	      "flagged: yes}, floor: 200d, guard: {percent: 100}}\n",
	      DUE_POSTS, KEPT_FLOOR, KEPT_PINNED);
	CHECK("bytes per channel",
	      "  - {name: r, match: {}, keep: forever, limit: {per: channel, bytes: 5kB}, guard: {percent: 100}}\n",
	      DUE_BYTES);
	CHECK("bytes per team",
	      "  - {name: r, match: {}, keep: {for: 1500d, from: root}, limit: {per: team, posts: 150, bytes: 40kB}, "
	      "guard: {percent: 100}}\n",
	      DUE_AGE, DUE_POSTS, DUE_BYTES);
	CHECK("two rules",
	      "  - {name: r, match: {type: [public]}, keep: forever, limit: {per: team, posts: 60}, guard: {percent: "
	      "100}}\n"
	      "  - {name: q, match: {}, keep: {for: 900d}, limit: {per: team, posts: 30}, guard: {percent: 100}}\n",
	      DUE_POSTS);
	CHECK("a hold",
	      "  - {name: r, match: {}, keep: forever, limit: {per: team, posts: 10}, guard: {percent: 100}}\nholds:\n "
	      " - {name: h, match: {channels: [town-square]}}\n",
	      DUE_POSTS, KEPT_HOLD);
	CHECK("deleted posts",
	      "  - {name: r, match: {}, keep: {for: 10y}, limit: {per: channel, posts: 30}, spare: {pinned: thread}, "
	      "guard: {percent: 100}}\ndeleted_posts: {purge_after: 30d}\n",
	      DUE_POSTS, DUE_DELETED);
	check_held(ctx);
	return end(ctx);
}
