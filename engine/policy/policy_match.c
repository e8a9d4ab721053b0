/* Which rule wins for a scope: channel > team > type > {}; on one rung the priority; a tie deletes nothing. */
#include "policy_internal.h"

#include <fnmatch.h>
#include <locale.h>
#include <string.h>

bool policy_glob(const char *pattern, const char *id, const char *name)
{
	locale_t old;
	bool hit;

	if (strcmp(pattern, name) == 0 || (*id && strcmp(pattern, id) == 0))
		return true;
	if (!strpbrk(pattern, "*?["))
		return false;
	/* Ranges such as [a-f] must not depend on the operator's locale (glibc hands out a static "C"). */
	old = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
	hit = fnmatch(pattern, name, FNM_NOESCAPE) == 0;
	uselocale(old);
	return hit;
}

static bool list_matches(const struct policy_list *list, const char *id, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (policy_glob(list->item[i], id, name))
			return true;
	return false;
}

static bool team_matches(const struct policy_list *list, const struct policy_scope *s)
{
	return s->team_id[0] != '\0' && list_matches(list, s->team_id, s->team_name);
}

bool policy_glob_any(const char *pattern)
{
	return strchr(pattern, '*') && pattern[strspn(pattern, "*?")] == '\0';
}

/* A glob that takes whatever there is, or that has a whole id in it, or the `__` between two. */
static bool means_ids(const char *pattern)
{
	enum { ID = 26 };
	size_t n = 0;

	if (pattern[strspn(pattern, "*?")] == '\0' || strstr(pattern, "__"))
		return true;
	for (const char *p = pattern; *p && n < ID; p++) {
		n = strchr("*?[]", *p) ? 0 : n + 1;
		if (*p == '[') /* a range is one sign, however many it has to choose from */
			p += strcspn(p, "]") - 1;
	}
	return n >= ID;
}

/*
 * Nobody named a direct or group channel: its name is made of ids, and "*bot*" would hit one in some hundreds by
 * chance.  So a glob takes it only where its own words, or `type`, show that such channels are meant.
 */
static bool channel_matches(const struct policy_match *m, const struct policy_scope *s)
{
	bool unnamed = (s->type & (SCOPE_DIRECT | SCOPE_GROUP)) != 0 && !(m->types & s->type);

	for (size_t i = 0; i < m->channel.n; i++) {
		const char *pattern = m->channel.item[i];

		if (unnamed && strpbrk(pattern, "*?[") && !means_ids(pattern))
			continue;
		if (policy_glob(pattern, s->channel_id, s->channel_name))
			return true;
	}
	return false;
}

static bool names_channel(const struct policy_match *m, const struct policy_scope *s)
{
	for (size_t i = 0; i < m->channel.n; i++)
		if (strcmp(m->channel.item[i], s->channel_id) == 0 || strcmp(m->channel.item[i], s->channel_name) == 0)
			return true;
	return false;
}

/* A newer server keeps things in channels of types that nobody had in mind who wrote the rule: only one that names such
 * a channel takes it. */
bool policy_match_scope(const struct policy_match *m, const struct policy_scope *s)
{
	if (s->type == SCOPE_OTHER && !names_channel(m, s))
		return false;
	if (m->team.n && !team_matches(&m->team, s))
		return false;
	if (m->channel.n && !channel_matches(m, s))
		return false;
	if (m->types && !(m->types & s->type))
		return false;
	return m->archived == FLAG_UNSET || (m->archived == FLAG_YES) == s->archived;
}

bool policy_match_item(const struct policy_match *m, size_t item, const struct policy_scope *s)
{
	struct policy_match one = *m;

	one.channel = (struct policy_list){.n = 1, .item = &m->channel.item[item]};
	one.archived = FLAG_UNSET;
	return policy_match_scope(&one, s);
}

enum policy_rung policy_rung_of(const struct policy_match *m)
{
	if (m->channel.n)
		return RUNG_CHANNEL;
	if (m->team.n)
		return RUNG_TEAM;
	return m->types || m->archived != FLAG_UNSET ? RUNG_TYPE : RUNG_ALL;
}

/* Against the best rule so far; earlier entries are corrected when a better one comes. */
static void contend(struct policy_candidate *all, size_t i, size_t *best)
{
	struct policy_candidate *new = &all[i], *old = &all[*best];
	bool rung = new->rung != old->rung;
	int32_t a = rung ? (int32_t) new->rung : new->rule->priority,
		b = rung ? (int32_t)old->rung : old->rule->priority;

	if (a == b) {
		new->loss = LOST_TIE;
		return;
	}
	if (a < b) {
		new->loss = rung ? LOST_RUNG : LOST_PRIORITY;
		return;
	}
	for (size_t j = 0; j < i; j++)
		if (all[j].loss == WON || all[j].loss == LOST_TIE)
			all[j].loss = rung ? LOST_RUNG : LOST_PRIORITY;
	new->loss = WON;
	*best = i;
}

static int tie(struct policy_candidate *winner, const struct policy_candidate *other, const struct policy_scope *s,
	       struct err *err)
{
	winner->loss = LOST_TIE;
	err_set(err, ERR_POLICY, "rules `%s` (line %u) and `%s` (line %u) tie for channel \"%s\" (%s)",
		winner->rule->name, winner->rule->line, other->rule->name, other->rule->line, s->channel_name,
		s->channel_id);
	return err_hint(err, "Give one of them a higher `priority`; until then nothing is planned, and no run deletes "
			     "anything.");
}

int policy_winner(void *ctx, const struct policy *p, const struct policy_scope *s, const struct policy_rule **ret,
		  struct policy_candidate **ret_candidates, struct err *err)
{
	struct policy_candidate *all = mem_array(ctx, struct policy_candidate, p->n_rules + 1), *other = NULL;
	size_t best = p->n_rules;
	int rc = 0;

	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rule[i];

		all[i] = (struct policy_candidate){r, policy_rung_of(&r->match), LOST_NO_MATCH};
		if (!policy_match_scope(&r->match, s))
			continue;
		if (best < p->n_rules) {
			contend(all, i, &best);
			continue;
		}
		all[i].loss = WON;
		best = i;
	}
	for (size_t i = 0; i < p->n_rules && !other; i++)
		other = all[i].loss == LOST_TIE ? &all[i] : NULL;
	if (other)
		rc = tie(&all[best], other, s, err);
	else
		*ret = best < p->n_rules ? &p->rule[best] : NULL;
	if (ret_candidates)
		*ret_candidates = all;
	else
		TALLOC_FREE(all);
	return rc;
}

bool policy_hold_covers(const struct policy_hold *h, const struct policy_scope *s)
{
	return team_matches(&h->teams, s) || list_matches(&h->channels, s->channel_id, s->channel_name);
}
