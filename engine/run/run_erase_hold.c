/*
 * run_erase_hold.c - does a hold of the policy stand against erasing?
 *
 * A hold may name people as they are called now, a bundle as they were called then: the database is asked for ids, and names in
 * the bundle are compared too.  Either is enough.  The legal-hold plugin's records are asked like those of the policy.
 */
#include "run_internal.h"
#include "run_erase.h"

#include <mmretain/catalog.h>

#include <string.h>
#include <strings.h>

struct erase_holds {
	const struct policy *policy;       /* NULL: there are none to ask */
	mm_id **user; size_t *n_users;     /* of each hold, by the database */
	struct mm_legal *legal;            /* NULL: the database was not asked */
	struct policy_hold *span;          /* of the plugin's records, first those of channels, as holds */
};

/* An id of the bundle that a hold names. */
struct named { const struct policy_hold *hold; mm_id id; };
struct erase_covered {
	const struct erase_holds *holds;
	struct named *user, *channel;
	size_t n_users, n_channels;
	struct named *team; size_t n_teams; /* all teams of the bundle: hold NULL, names beside */
	char **team_name;
};

static char plugin[] = "of the legal-hold plugin";

static struct policy_hold span_of(const struct mm_legal_span *s)
{
	return (struct policy_hold){.name = plugin, .has_since = true, .since_ms = s->since_ms, .has_until = true, .until_ms = s->until_ms};
}

static void take_legal(struct erase_holds *h)
{
	const struct mm_legal *l = h->legal;

	h->span = mem_array(h, struct policy_hold, l->n_channels + l->n_people + 1);
	for (size_t i = 0; i < l->n_channels; i++)
		h->span[i] = span_of(&l->channel[i]);
	for (size_t i = 0; i < l->n_people; i++)
		h->span[l->n_channels + i] = span_of(&l->person[i]);
}

static int ask_database(struct erase_holds *h, struct err *err)
{
	const struct policy *p = h->policy;
	struct mm_source source = {p->database.mattermost_config, p->database.service, p->database.url};
	struct mm *mm;
	int rc = mm_open(h, &source, &mm, err);

	if (rc == 0)
		rc = mm_probe(mm, err);
	if (rc == 0)
		rc = mm_legal(h, mm, &h->legal, err);
	if (rc < 0) {
		err_prefix(err, "whom holds name by now, and what the legal-hold plugin holds, only the database knows");
		return err_hint(err, "Nothing was done. `--without database` goes on with the names in the bundles, when no other hold concerns this person.");
	}
	take_legal(h);
	for (size_t i = 0; i < p->n_holds && rc == 0; i++)
		if (p->hold[i].users.n)
			rc = mm_user_ids(h, mm, (const char *const *)p->hold[i].users.item, p->hold[i].users.n, &h->user[i], &h->n_users[i], NULL, NULL, err);
	return rc;
}

int erase_holds_new(void *ctx, const struct policy *policy, bool ask, struct erase_holds **ret, struct err *err)
{
	struct erase_holds *h = mem_new(ctx, struct erase_holds);
	size_t n = policy ? policy->n_holds : 0;

	h->policy = policy;
	h->user = mem_array(h, mm_id *, n + 1);
	h->n_users = mem_array(h, size_t, n + 1);
	*ret = h;
	return policy && ask ? ask_database(h, err) : 0;
}

/* Account names are lower case, and the policy may write them with an @. */
static bool is_named(const struct policy_list *users, const char *id, const char *name)
{
	for (size_t i = 0; i < users->n; i++) {
		const char *want = users->item[i];

		if (strcmp(want, id) == 0 || (name[0] && strcasecmp(want + strspn(want, "@"), name) == 0))
			return true;
	}
	return false;
}

static bool is_asked(const struct erase_holds *h, size_t at, const char *id)
{
	for (size_t i = 0; i < h->n_users[at]; i++)
		if (strcmp(h->user[at][i], id) == 0)
			return true;
	return false;
}

const char *erase_holds_person(const struct erase_holds *h, const char *id, const char *const *name, size_t n)
{
	for (size_t i = 0; h->policy && i < h->policy->n_holds; i++) {
		const struct policy_hold *hold = &h->policy->hold[i];
		bool found = is_asked(h, i, id) || is_named(&hold->users, id, "");

		for (size_t k = 0; k < n && !found; k++)
			found = is_named(&hold->users, id, name[k]);
		if (found)
			return hold->name;
	}
	for (size_t i = 0; h->legal && i < h->legal->n_people; i++)
		if (strcmp(h->legal->person[i].id, id) == 0)
			return plugin;
	return NULL;
}

/* ---- one bundle ---- */

static void put(void *ctx, struct named **list, size_t *n, const struct policy_hold *hold, const char *id)
{
	if (strlen(id) > MM_ID)
		return;
	*list = mem_grow(ctx, *list, struct named, *n + 1);
	(*list)[*n].hold = hold;
	snprintf((*list)[(*n)++].id, sizeof(mm_id), "%s", id);
}

static int on_user(void *payload, const struct catalog_name *n, struct err *err)
{
	struct erase_covered *c = payload;
	const struct policy *p = c->holds->policy;

	(void)err;
	for (size_t i = 0; i < p->n_holds; i++)
		if (is_asked(c->holds, i, n->id) || is_named(&p->hold[i].users, n->id, n->name))
			put(c, &c->user, &c->n_users, &p->hold[i], n->id);
	return 0;
}

static int on_team(void *payload, const struct catalog_name *n, struct err *err)
{
	struct erase_covered *c = payload;

	(void)err;
	if (strlen(n->id) > MM_ID)
		return 0;
	c->team_name = mem_grow(c, c->team_name, char *, c->n_teams + 1);
	c->team_name[c->n_teams] = mem_strdup(c, n->name);
	put(c, &c->team, &c->n_teams, NULL, n->id);
	return 0;
}

static int on_channel(void *payload, const struct catalog_name *n, struct err *err)
{
	struct erase_covered *c = payload;
	const struct policy *p = c->holds->policy;
	struct policy_scope s = {.channel_id = n->id, .channel_name = n->name, .team_id = n->extra, .team_name = ""};

	(void)err;
	for (size_t i = 0; i < c->n_teams; i++)
		if (strcmp(c->team[i].id, n->extra) == 0)
			s.team_name = c->team_name[i];
	for (size_t i = 0; i < p->n_holds; i++)
		if (policy_hold_covers(&p->hold[i], &s))
			put(c, &c->channel, &c->n_channels, &p->hold[i], n->id);
	return 0;
}

int erase_holds_bundle(void *ctx, const struct erase_holds *h, struct bundle_reader *r, struct erase_covered **ret, struct err *err)
{
	struct erase_covered *c = mem_new(ctx, struct erase_covered);
	int rc = 0;

	c->holds = h;
	*ret = c;
	for (size_t i = 0; h->legal && i < h->legal->n_channels; i++)
		put(c, &c->channel, &c->n_channels, &h->span[i], h->legal->channel[i].id);
	for (size_t i = 0; h->legal && i < h->legal->n_people; i++)
		put(c, &c->user, &c->n_users, &h->span[h->legal->n_channels + i], h->legal->person[i].id);
	if (!h->policy || h->policy->n_holds == 0)
		return 0;
	/* People whose account was gone when the bundle was written have an id and no name. */
	for (size_t i = 0; i < h->policy->n_holds; i++) {
		for (size_t k = 0; k < h->n_users[i]; k++)
			put(c, &c->user, &c->n_users, &h->policy->hold[i], h->user[i][k]);
		for (size_t k = 0; k < h->policy->hold[i].users.n; k++)
			put(c, &c->user, &c->n_users, &h->policy->hold[i], h->policy->hold[i].users.item[k]);
		for (size_t k = 0; k < h->policy->hold[i].channels.n; k++)
			put(c, &c->channel, &c->n_channels, &h->policy->hold[i], h->policy->hold[i].channels.item[k]);
	}
	if ((rc = catalog_bundle_names(r, "users", on_user, c, err)) < 0 || (rc = catalog_bundle_names(r, "teams", on_team, c, err)) < 0)
		return rc;
	return catalog_bundle_names(r, "channels", on_channel, c, err);
}

static const char *any(const struct named *list, size_t n, const char *id, size_t len, int64_t at_ms)
{
	for (size_t i = 0; i < n; i++) {
		const struct policy_hold *h = list[i].hold;
		bool in_time = at_ms == 0 || ((!h->has_since || at_ms >= h->since_ms) && (!h->has_until || at_ms < h->until_ms));

		if (in_time && strlen(list[i].id) == len && memcmp(list[i].id, id, len) == 0)
			return h->name;
	}
	return NULL;
}

const char *erase_covers(const struct erase_covered *c, const char *user, size_t user_len, const char *channel, size_t channel_len, int64_t at_ms)
{
	const char *name = user ? any(c->user, c->n_users, user, user_len, at_ms) : NULL;

	return name || !channel ? name : any(c->channel, c->n_channels, channel, channel_len, at_ms);
}
