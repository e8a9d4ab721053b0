/*
 * audit_resolve.c - the people, channels and teams of a question: names as they were in any bundle, to ids.
 */
#include "audit_internal.h"

#include <string.h>

struct resolve { struct audit *a; const struct audit_question *q; void *ctx; };
/* own: what this word means, also where another word meant it already. */
struct named { struct resolve *r; const char *asked, *team; struct ids *to; struct ids own; };

static void ids_put(void *ctx, struct ids *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->id[i], id))
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

static int unknown(const struct audit *a, const char *what, const char *asked, struct err *err)
{
	if (a->n_missing) {
		err_set(err, ERR_VERIFY, "no bundle that is there knows a %s \"%s\", and %zu %s missing", what, asked,
			a->n_missing, a->n_missing == 1 ? "is" : "are");
		return err_hint(err, AUDIT_MISSING_HINT);
	}
	err_set(err, ERR_NOT_FOUND, "no bundle knows a %s \"%s\"", what, asked);
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
	return rc ? rc : n->own.n > 0 ? 0 : unknown(n->r->a, word, n->asked, err);
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

/* Channels of the team; of those that were asked for only these. */
static int resolve_team_channels(struct resolve *r, struct ids *channels, struct err *err)
{
	struct ids teams = {0}, all = {0}, both = {0};
	int rc = resolve_team(r, r->q->team, &teams, err);

	for (size_t i = 0; i < teams.n && !rc; i++) {
		struct named n = {.r = r, .asked = teams.id[i], .to = &all};
		rc = catalog_names(r->a->catalog, "channels", match_team, &n, err);
	}
	if (rc || channels->n == 0) {
		*channels = channels->n ? *channels : all;
		return rc;
	}
	for (size_t i = 0; i < channels->n; i++)
		for (size_t k = 0; k < all.n; k++)
			if (!strcmp(channels->id[i], all.id[k]))
				ids_put(r->ctx, &both, all.id[k]);
	*channels = both;
	return 0;
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
	return !rc && q->team ? resolve_team_channels(&r, ret_channels, err) : rc;
}
