/*
 * audit_resolve.c - the people, channels and teams of a question: names as they were in any bundle, to ids.
 */
#include "audit_internal.h"

#include <string.h>

struct resolve { struct audit *a; const struct audit_question *q; void *ctx; };
/* own: what this word means, also where another word meant it already. */
struct named { struct resolve *r; const char *asked, *team; struct ids *to; struct ids own; };

bool in_ids(const struct ids *l, struct catalog_text t)
{
	for (size_t i = 0; i < l->n; i++)
		if (text_is(t, l->id[i], strlen(l->id[i])))
			return true;
	return false;
}

static bool has(const struct ids *l, const char *text)
{
	return in_ids(l, (struct catalog_text){text, strlen(text)});
}

static void ids_put(void *ctx, struct ids *l, const char *id)
{
	if (has(l, id))
		return;
	l->id = mem_grow(ctx, l->id, const char *, l->n + 1);
	l->id[l->n++] = mem_strdup(ctx, id);
}

static void put(struct named *n, const char *id)
{
	ids_put(n->r->ctx, &n->own, id);
	ids_put(n->r->ctx, n->to, id);
}

static int match_name(void *payload, const struct catalog_name *name, struct err *err)
{
	struct named *n = payload;

	(void)err;
	if (n->team && strcmp(name->extra, n->team) != 0)
		return 0;
	if (!strcmp(name->id, n->asked) || !strcmp(name->name, n->asked))
		put(n, name->id);
	return 0;
}

static int match_team(void *payload, const struct catalog_name *name, struct err *err)
{
	struct named *n = payload;

	(void)err;
	if (!strcmp(name->extra, n->asked))
		put(n, name->id);
	return 0;
}

static bool looks_like_id(const char *s)
{
	return strlen(s) == 26 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789") == 26;
}

/* what: with what was asked for, in quotes. */
static int unknown(const struct audit *a, const char *what, struct err *err)
{
	if (a->n_missing) {
		err_set(err, ERR_VERIFY, "no bundle that is there knows a %s, and %zu %s missing", what, a->n_missing,
			a->n_missing == 1 ? "is" : "are");
		return err_hint(err, AUDIT_MISSING_HINT);
	}
	err_set(err, ERR_NOT_FOUND, "no bundle knows a %s", what);
	return err_hint(err, "Give the name as it was when it was archived, or the id.");
}

/* A name may look like an id: it is looked up all the same.  An id need not be known: rows may name somebody whose
 * account was gone already. */
static int resolve_one(struct named *n, const char *what, const char *word, struct err *err)
{
	int rc;

	if (looks_like_id(n->asked))
		put(n, n->asked);
	rc = catalog_names(n->r->a->catalog, what, match_name, n, err);
	if (rc || n->own.n > 0)
		return rc;
	return unknown(n->r->a, mem_printf(n->r->ctx, "%s \"%s\"", word, n->asked), err);
}

/* Whose posts are given out with those of the one who was meant. */
static void tell_namesakes(const struct resolve *r, const char *asked, const struct ids *own)
{
	char *list = mem_strdup(r->ctx, "");
	size_t n = 0;

	for (size_t i = 0; i < own->n; i++)
		if (strcmp(own->id[i], asked) != 0 || !looks_like_id(asked)) {
			list = mem_printf(r->ctx, "%s%s%s", list, n ? ", " : "", own->id[i]);
			n++;
		}
	if (n > 1)
		log_warn("the name \"%s\" means %zu people in the bundles, one after another: %s; --user with one of "
			 "these ids asks for one of them",
			 asked, n, list);
}

static int resolve_user(struct resolve *r, const char *name, struct ids *users, struct err *err)
{
	struct named n = {.r = r, .asked = name + (name[0] == '@'), .to = users};
	int rc = resolve_one(&n, "users", "user", err);

	if (!rc)
		tell_namesakes(r, n.asked, &n.own);
	return rc;
}

/* The teams of that name. */
static int resolve_team(struct resolve *r, const char *asked, struct ids *teams, struct err *err)
{
	struct named n = {.r = r, .asked = asked, .to = teams};

	return resolve_one(&n, "teams", "team", err);
}

static int resolve_channel(struct resolve *r, const char *asked, struct ids *channels, struct err *err)
{
	const char *slash = strchr(asked, '/');
	struct ids teams = {0};
	bool any = false;

	if (!slash)
		return resolve_one(&(struct named){.r = r, .asked = asked, .to = channels}, "channels", "channel", err);
	int rc = resolve_team(r, mem_strndup(r->ctx, asked, (size_t)(slash - asked)), &teams, err);
	for (size_t i = 0; i < teams.n && !rc; i++) {
		struct named n = {.r = r, .asked = slash + 1, .team = teams.id[i], .to = channels};
		rc = resolve_one(&n, "channels", "channel", err);
		any |= !rc;
		if (rc == -ERR_NOT_FOUND && (i + 1 < teams.n || any))
			rc = 0;
	}
	return rc;
}

static void keep_common(void *ctx, struct ids *l, const struct ids *other)
{
	struct ids both = {0};

	for (size_t i = 0; i < l->n; i++)
		if (has(other, l->id[i]))
			ids_put(ctx, &both, l->id[i]);
	*l = both;
}

/* Channels of the team; of those that were asked for only these. */
static int resolve_team_channels(struct resolve *r, struct ids *channels, struct err *err)
{
	struct ids teams = {0}, all = {0};
	int rc = resolve_team(r, r->q->team, &teams, err);

	for (size_t i = 0; i < teams.n && !rc; i++) {
		struct named n = {.r = r, .asked = teams.id[i], .to = &all};
		rc = catalog_names(r->a->catalog, "channels", match_team, &n, err);
	}
	if (channels->n == 0)
		*channels = all;
	else if (!rc)
		keep_common(r->ctx, channels, &all);
	return rc;
}

/* ---- direct and group messages of somebody ---- */

#define NO_MESSAGE "direct or group message with"

struct with { struct resolve *r; struct ids who, named, to; };

/* Every account name that one of these people ever had. */
static int match_account(void *payload, const struct catalog_name *name, struct err *err)
{
	struct with *w = payload;

	(void)err;
	if (name->name[0] && has(&w->who, name->id))
		ids_put(w->r->ctx, &w->named, name->name);
	return 0;
}

/* A direct message's name has both ids, with "__" between. */
static bool is_between(const struct ids *who, const char *name)
{
	const char *cut = strstr(name, "__");

	return cut && (in_ids(who, (struct catalog_text){name, (size_t)(cut - name)}) || has(who, cut + 2));
}

/* A group message's title is the list of account names, from when it was begun: who left is in it. */
static bool is_listed(const struct ids *named, const char *title)
{
	for (const char *p = title, *end; *p; p = *end ? end + 2 : end) {
		end = strstr(p, ", ");
		end = end ? end : p + strlen(p);
		if (in_ids(named, (struct catalog_text){p, (size_t)(end - p)}))
			return true;
	}
	return false;
}

static int match_with(void *payload, const struct catalog_name *name, struct err *err)
{
	struct with *w = payload;

	(void)err;
	if (!name->extra[0] && (is_between(&w->who, name->name) || is_listed(&w->named, name->display)))
		ids_put(w->r->ctx, &w->to, name->id);
	return 0;
}

/* Somebody who left a group without a word is no more than a name in its title. */
static int find_accounts(struct with *w, const char *asked, struct err *err)
{
	int rc = resolve_user(w->r, asked, &w->who, err);

	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		ids_put(w->r->ctx, &w->named, asked + (asked[0] == '@'));
		return 0;
	}
	return rc ? rc : catalog_names(w->r->a->catalog, "users", match_account, w, err);
}

/* Direct and group messages in which all of these people were; of channels that were asked for only these. */
static int resolve_with(struct resolve *r, struct ids *channels, struct err *err)
{
	bool narrowed = channels->n > 0;

	for (size_t i = 0; i < r->q->n_with; i++) {
		struct with w = {.r = r};
		int rc = find_accounts(&w, r->q->with[i], err);

		if (rc || (rc = catalog_names(r->a->catalog, "channels", match_with, &w, err)))
			return rc;
		if (w.to.n == 0)
			return unknown(r->a, mem_printf(r->ctx, NO_MESSAGE " \"%s\"", r->q->with[i]), err);
		if (narrowed)
			keep_common(r->ctx, channels, &w.to);
		else
			*channels = w.to;
		narrowed = true;
	}
	return r->q->n_with == 0 || channels->n ? 0 : unknown(r->a, NO_MESSAGE " all of these, as asked for", err);
}

int names_resolve(struct audit *a, const struct audit_question *q, void *ctx, struct ids *ret_users,
		  struct ids *ret_channels, struct err *err)
{
	struct resolve r = {a, q, ctx};
	int rc = 0;

	for (size_t i = 0; i < q->n_users && !rc; i++)
		rc = resolve_user(&r, q->user[i], ret_users, err);
	for (size_t i = 0; i < q->n_channels && !rc; i++)
		rc = resolve_channel(&r, q->channel[i], ret_channels, err);
	if (!rc && q->team)
		rc = resolve_team_channels(&r, ret_channels, err);
	return rc ? rc : resolve_with(&r, ret_channels, err);
}
