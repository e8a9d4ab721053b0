/*
 * run_scope.c - does the rule that chose a channel's threads still win there?
 *
 * Asked inside each deleting transaction, about the batch's channels: two index probes each, at most once in the time
 * that a commit may take anyway.  The policy is asked again only about a channel that has not been seen for this
 * bundle, or has changed since.
 */
#include "run_internal.h"

#include <string.h>
#include <uthash.h>

enum { ASK_EVERY_MS = 50 };

struct seen { struct mm_scope mm; bool left, found; int64_t asked_boot_ms; UT_hash_handle hh; };
struct run_scopes {
	struct run *run;
	const struct policy_rule *rule;
	const struct mm_protect_query *protect;
	struct seen *by_channel;
};

static int scopes_destroy(struct run_scopes *s)
{
	HASH_CLEAR(hh, s->by_channel);
	return 0;
}

struct run_scopes *run_scopes_new(void *ctx, struct run *run, const struct policy_rule *rule,
				  const struct mm_protect_query *protect)
{
	struct run_scopes *s = mem_new(ctx, struct run_scopes);

	*s = (struct run_scopes){.run = run, .rule = rule, .protect = protect};
	talloc_set_destructor(s, scopes_destroy);
	return s;
}

/* Is the channel among those that the hold was resolved to? */
static bool known_to_hold(const struct mm_hold_query *h, const char *channel_id)
{
	for (size_t i = 0; i < h->n_channels; i++)
		if (strcmp(h->channel_ids[i], channel_id) == 0)
			return true;
	return false;
}

/* A tie has no winner: nothing is deleted there. */
static bool judge(const struct run_scopes *s, const struct mm_scope *mm)
{
	const struct policy *policy = s->run->policy;
	struct policy_scope scope = plan_policy_scope(mm);
	const struct policy_rule *rule = NULL;
	struct err tie;

	if (policy_winner(s->by_channel, policy, &scope, &rule, NULL, &tie) < 0 || rule != s->rule)
		return true;
	for (size_t i = 0; i < policy->n_holds; i++)
		if (policy_hold_covers(&policy->hold[i], &scope) &&
		    !known_to_hold(&s->protect->hold[i], mm->channel_id))
			return true;
	return false;
}

static bool same(const struct mm_scope *a, const struct mm_scope *b)
{
	return strcmp(a->team_id, b->team_id) == 0 && strcmp(a->channel_name, b->channel_name) == 0 &&
	       strcmp(a->team_name, b->team_name) == 0 && a->type == b->type &&
	       a->channel_archived == b->channel_archived && a->team_archived == b->team_archived;
}

static struct seen *look(struct run_scopes *s, const mm_id channel)
{
	struct seen *c;

	HASH_FIND(hh, s->by_channel, channel, (unsigned)strlen(channel), c);
	if (!c) {
		c = mem_new(s, struct seen);
		memcpy(c->mm.channel_id, channel, sizeof(mm_id));
		HASH_ADD_KEYPTR(hh, s->by_channel, c->mm.channel_id, (unsigned)strlen(channel), c);
	}
	return c;
}

static void take(struct run_scopes *s, const struct mm_scope *now)
{
	struct seen *c = look(s, now->channel_id);

	c->found = true;
	if (c->mm.channel_name && same(&c->mm, now))
		return;
	talloc_free(c->mm.channel_name);
	talloc_free(c->mm.team_name);
	memcpy(c->mm.team_id, now->team_id, sizeof(mm_id));
	c->mm.channel_name = mem_strdup(c, now->channel_name);
	c->mm.team_name = mem_strdup(c, now->team_name);
	c->mm.type = now->type;
	c->mm.channel_archived = now->channel_archived;
	c->mm.team_archived = now->team_archived;
	c->left = judge(s, &c->mm);
}

/* Those of the channels whose answer is too old. */
static size_t to_ask(struct run_scopes *s, const mm_id *channel, size_t n, mm_id *ret)
{
	int64_t now = time_boot_ms();
	size_t n_ask = 0;

	for (size_t i = 0; i < n; i++) {
		struct seen *c = look(s, channel[i]);

		if (c->asked_boot_ms && now - c->asked_boot_ms < ASK_EVERY_MS)
			continue;
		c->asked_boot_ms = now;
		c->found = false; /* a channel without a row is no rule's */
		memcpy(ret[n_ask++], channel[i], sizeof(mm_id));
	}
	return n_ask;
}

int run_scopes_left(void *payload, const mm_id *channel, size_t n, bool *ret_left, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "scopes");
	struct run_scopes *s = payload;
	mm_id *ask = mem_array(ctx, mm_id, n + 1);
	size_t n_ask = to_ask(s, channel, n, ask), n_now = 0;
	struct mm_scope *now = NULL;
	int rc;

	if (n_ask && (rc = mm_scopes_some(ctx, s->run->mm, (const mm_id *)ask, n_ask, &now, &n_now, err)) < 0)
		return rc;
	for (size_t i = 0; i < n_now; i++)
		take(s, &now[i]);
	for (size_t i = 0; i < n; i++) {
		const struct seen *c = look(s, channel[i]);

		ret_left[i] = !c->found || c->left;
	}
	return 0;
}
