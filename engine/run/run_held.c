/*
 * run_held.c - does any hold cover a thread of a bundle?  Asked before a bundle expires, and before somebody is erased
 * from it.
 *
 * Names are resolved twice: through the database, as `plan` does it, and by the names inside the bundle, because an
 * account or a channel may have been renamed or removed since.  Either is enough.
 */
#include "run_internal.h"
#include "run_held.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mmretain/catalog.h>

#include <uthash.h>

#define OWNERS_MAX ((size_t)256 << 20)

struct held_asked {
	const struct policy *policy;   /* NULL: there are none to ask */
	struct mm *mm;                 /* NULL: the database was not asked */
	struct mm_scope *scope; size_t n_scopes;
	struct mm_legal *legal;        /* empty when it was not asked */
	mm_id **user; size_t *n_users; /* of each hold, by the database; sorted */
	size_t n_holds;
};

struct channel {
	UT_hash_handle hh;
	mm_id id;
	char *name, *team;
	bool *covered;             /* by each hold of the policy, as a whole */
	bool legal;                /* some record of the plugin names it */
};
struct person { UT_hash_handle hh; mm_id id; bool *covered, legal; };

struct held_bundle {
	const struct held_asked *asked;
	const struct ledger_state *st;
	struct bundle_reader *reader;  /* while it is opened */
	struct channel *channels;
	struct person *people;
	struct channel *teams;         /* id and name */
	bool parts;
	mm_id original, original_root; /* the last that the database was asked about */
};

static bool take_id(mm_id to, const char *s, size_t len)
{
	if (len == 0 || len > MM_ID)
		return false;
	memcpy(to, s, len);
	to[len] = '\0';
	return true;
}

/* ---- what the database says ---- */

static int ask_database(struct held_asked *a, struct err *err)
{
	const struct policy *p = a->policy;
	int rc = mm_legal(a, a->mm, &a->legal, err);

	if (rc == 0)
		rc = mm_scopes(a, a->mm, &a->scope, &a->n_scopes, err);
	for (size_t i = 0; i < a->n_holds && rc == 0; i++)
		if (p->hold[i].users.n)
			rc = mm_user_ids(a, a->mm, (const char *const *)p->hold[i].users.item, p->hold[i].users.n,
					 &a->user[i], &a->n_users[i], NULL, NULL, err);
	return rc;
}

int held_ask(void *ctx, const struct policy *policy, struct mm *mm, struct held_asked **ret, struct err *err)
{
	struct held_asked *a = mem_new(ctx, struct held_asked);

	a->policy = policy;
	a->mm = mm;
	a->n_holds = policy ? policy->n_holds : 0;
	a->user = mem_array(a, mm_id *, a->n_holds + 1);
	a->n_users = mem_array(a, size_t, a->n_holds + 1);
	a->legal = mem_new(a, struct mm_legal);
	*ret = a;
	return mm ? ask_database(a, err) : 0;
}

bool held_any(const struct held_asked *a, const struct ledger_state *st)
{
	return a->n_holds || st->n_held || a->legal->n_people || a->legal->n_channels;
}

int held_check_home(const struct store *store, const struct mm *mm, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "home");
	const struct mm_schema *s = mm->schema;
	struct ledger_state *st;
	enum mm_home home;
	int rc;

	if (db_in_recovery(mm->db)) {
		err_set(err, ERR_DATABASE, "the database is a standby");
		return err_hint(err, "Point the policy at the primary; nothing was removed.");
	}
	if ((rc = ledger_fold(ctx, store->ledger_dirfd, &st, err)) < 0 || !st->system ||
	    (home = mm_home(s, st->system, st->database)) == MM_HOME_SAME)
		return rc;
	if (home == MM_HOME_OTHER)
		err_set(err, ERR_GUARD,
			"the last run into this archive was with database %s of system %s, not with %s of system %s",
			st->database, st->system, s->database, s->system_identifier);
	else
		err_set(err, ERR_GUARD,
			"nothing shows that database %s is on the server of the last run into this archive: %s",
			s->database, mm_home_problem(home));
	return err_hint(err, "Holds are asked of the database that the bundles came from; nothing was removed.");
}

/* ---- people ---- */

/* Account names are lower case, and the policy may write them with an @. */
static bool is_named(const struct policy_list *names, const char *id, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *want = names->item[i];

		if (strcmp(want, id) == 0 || (name[0] && strcasecmp(want + strspn(want, "@"), name) == 0))
			return true;
	}
	return false;
}

static bool is_covered(const struct held_asked *a, size_t i, const mm_id id, const char *name)
{
	return is_named(&a->policy->hold[i].users, id, name) ||
	       (a->n_users[i] && bsearch(id, a->user[i], a->n_users[i], sizeof(mm_id), mm_id_cmp));
}

static bool is_legal(const struct held_asked *a, const char *id)
{
	for (size_t i = 0; i < a->legal->n_people; i++)
		if (strcmp(a->legal->person[i].id, id) == 0)
			return true;
	return false;
}

char *held_person(void *ctx, const struct held_asked *a, const char *user, const char *const *name, size_t n)
{
	mm_id id = "";

	if (!take_id(id, user, strlen(user)))
		return NULL;
	for (size_t i = 0; i < a->n_holds; i++) {
		bool found = is_covered(a, i, id, "");

		for (size_t k = 0; k < n && !found; k++)
			found = is_covered(a, i, id, name[k]);
		if (found)
			return mem_printf(ctx, "hold %s", a->policy->hold[i].name);
	}
	return is_legal(a, id) ? mem_strdup(ctx, "the legal-hold plugin") : NULL;
}

/* ---- what the bundle says ---- */

static const struct mm_scope *scope_of(const struct held_bundle *l, const char *channel)
{
	for (size_t lo = 0, hi = l->asked->n_scopes; lo < hi;) {
		size_t at = lo + (hi - lo) / 2;
		int c = strcmp(channel, l->asked->scope[at].channel_id);

		if (c == 0)
			return &l->asked->scope[at];
		if (c < 0)
			hi = at;
		else
			lo = at + 1;
	}
	return NULL;
}

static bool covers(const struct policy_hold *h, const char *channel, const char *name, const char *team,
		   const char *team_name)
{
	const struct policy_scope s = {.channel_id = channel,
				       .channel_name = name,
				       .team_id = team,
				       .team_name = team_name};

	return policy_hold_covers(h, &s);
}

static void judge_channel(struct held_bundle *l, struct channel *c)
{
	const struct mm_scope *now = scope_of(l, c->id);
	struct channel *team = NULL;

	c->covered = mem_array(l, bool, l->asked->n_holds + 1);
	HASH_FIND_STR(l->teams, c->team, team);
	for (size_t i = 0; i < l->asked->n_holds; i++) {
		const struct policy_hold *h = &l->asked->policy->hold[i];

		c->covered[i] = covers(h, c->id, c->name, c->team, team ? team->name : "") ||
				(now && covers(h, c->id, now->channel_name, now->team_id, now->team_name));
	}
	for (size_t i = 0; i < l->asked->legal->n_channels && !c->legal; i++)
		c->legal = strcmp(l->asked->legal->channel[i].id, c->id) == 0;
}

static struct channel *channel_of(struct held_bundle *l, const char *id)
{
	struct channel *c;

	HASH_FIND_STR(l->channels, id, c);
	if (c)
		return c;
	c = mem_new(l, struct channel); /* named nowhere in the bundle: the database may know it */
	snprintf(c->id, sizeof c->id, "%s", id);
	c->name = c->team = mem_strdup(l, "");
	judge_channel(l, c);
	HASH_ADD_STR(l->channels, id, c);
	return c;
}

static int on_team(void *payload, const struct catalog_name *n, struct err *err)
{
	struct held_bundle *l = payload;
	struct channel *t = mem_new(l, struct channel), *old;

	(void)err;
	HASH_FIND_STR(l->teams, n->id, old);
	if (old || !take_id(t->id, n->id, strlen(n->id)))
		return 0;
	t->name = mem_strdup(l, n->name);
	HASH_ADD_STR(l->teams, id, t);
	return 0;
}

static int on_channel(void *payload, const struct catalog_name *n, struct err *err)
{
	struct held_bundle *l = payload;
	struct channel *c = mem_new(l, struct channel), *old;

	(void)err;
	HASH_FIND_STR(l->channels, n->id, old);
	if (old || !take_id(c->id, n->id, strlen(n->id)))
		return 0;
	c->name = mem_strdup(l, n->name);
	c->team = mem_strdup(l, n->extra);
	judge_channel(l, c);
	HASH_ADD_STR(l->channels, id, c);
	return 0;
}

static struct person *person_of(struct held_bundle *l, const char *id, const char *name)
{
	struct person *p;

	HASH_FIND_STR(l->people, id, p);
	if (p)
		return p;
	p = mem_new(l, struct person);
	snprintf(p->id, sizeof p->id, "%s", id);
	p->covered = mem_array(l, bool, l->asked->n_holds + 1);
	for (size_t i = 0; i < l->asked->n_holds; i++)
		p->covered[i] = is_covered(l->asked, i, p->id, name);
	p->legal = is_legal(l->asked, p->id);
	HASH_ADD_STR(l->people, id, p);
	return p;
}

static void on_person(void *payload, const char *id, const char *name)
{
	(void)person_of(payload, id, name);
}

struct each_person { held_id_fn fn; void *payload; };

static int on_user(void *payload, const struct catalog_name *n, struct err *err)
{
	const struct each_person *e = payload;
	mm_id id;

	(void)err;
	if (take_id(id, n->id, strlen(n->id)))
		e->fn(e->payload, id, n->name);
	return 0;
}

/* An account that was removed from the server has no name in the bundle, but its rows have a salt. */
static int read_owners(void *ctx, struct bundle_reader *r, const struct each_person *e, struct err *err)
{
	char *text, *line, *save = NULL;
	size_t len;
	int rc = bundle_read_member(r, ctx, "salts.jsonl", OWNERS_MAX, &text, &len, err);

	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct json_scan s;
		mm_id id;

		json_scan_init(&s, line, strlen(line));
		while (json_scan_next(&s))
			if (s.key_len == 5 && memcmp(s.key, "owner", 5) == 0 && take_id(id, s.val, s.val_len))
				e->fn(e->payload, id, "");
	}
	return 0;
}

int held_each_person(void *ctx, struct bundle_reader *r, held_id_fn fn, void *payload, struct err *err)
{
	struct each_person e = {fn, payload};
	int rc = catalog_bundle_names(r, "users", on_user, &e, err);

	return rc < 0 ? rc : read_owners(ctx, r, &e, err);
}

/* Likewise a channel: the frames have its id. */
static void read_frames(struct held_bundle *l)
{
	for (size_t i = 0; i < bundle_frames(l->reader); i++) {
		const struct bundle_frame *f = bundle_frame_at(l->reader, i);

		if (f->first_channel[0])
			(void)channel_of(l, f->first_channel);
		if (f->last_channel[0])
			(void)channel_of(l, f->last_channel);
	}
}

static int read_names(struct held_bundle *l, struct err *err)
{
	int rc = catalog_bundle_names(l->reader, "teams", on_team, l, err);

	if (rc == 0)
		rc = catalog_bundle_names(l->reader, "channels", on_channel, l, err);
	if (rc == 0)
		rc = held_each_person(l, l->reader, on_person, l, err);
	if (rc == 0)
		read_frames(l);
	return rc;
}

static int bundle_free(struct held_bundle *l)
{
	HASH_CLEAR(hh, l->channels);
	HASH_CLEAR(hh, l->people);
	HASH_CLEAR(hh, l->teams);
	return 0;
}

int held_bundle(void *ctx, const struct held_asked *a, const struct ledger_state *st, struct bundle_reader *r,
		struct held_bundle **ret, struct err *err)
{
	struct held_bundle *l = mem_new(ctx, struct held_bundle);
	int64_t before_ms;
	int rc;

	*l = (struct held_bundle){.asked = a, .st = st, .reader = r};
	talloc_set_destructor(l, bundle_free);
	*ret = l;
	if ((rc = bundle_read_parts(r, &before_ms, err)) < 0)
		return rc;
	l->parts = rc > 0;
	rc = read_names(l, err);
	l->reader = NULL;
	return rc;
}

/* ---- does any row have to be asked? ---- */

static bool any_covered(const bool *covered, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (covered[i])
			return true;
	return false;
}

/* Every person and channel of the bundle is known by now. */
bool held_possible(const struct held_bundle *l)
{
	size_t n = l->asked->n_holds;

	if (l->st->n_held)
		return true;
	for (const struct channel *c = l->channels; c; c = c->hh.next)
		if (c->legal || any_covered(c->covered, n))
			return true;
	for (const struct person *p = l->people; p; p = p->hh.next)
		if (p->legal || any_covered(p->covered, n))
			return true;
	return false;
}

/* ---- rows ---- */

static int hit(struct held_by *by, const char *thread, bool by_ledger, char *name)
{
	by->name = name;
	by->by_ledger = by_ledger;
	snprintf(by->thread, sizeof by->thread, "%s", thread);
	return 1;
}

static int held_by_ledger(struct held_bundle *l, struct held_by *by, const char *id)
{
	const struct ledger_held_by *first = ledger_held_first(l->st, id);

	return first ? hit(by, id, true, mem_printf(l, "case %s", first->hold.case_id)) : 0;
}

/* The thread of an earlier text of a reply that carries no root of its own: the post stayed on the server. */
static int held_by_original(struct held_bundle *l, struct held_by *by, const mm_id original, struct err *err)
{
	mm_id channel;
	int rc;

	if (!l->parts || l->st->n_held == 0 || !l->asked->mm)
		return 0;
	if (strcmp(l->original, original) != 0) {
		memcpy(l->original, original, sizeof l->original);
		l->original_root[0] = '\0';
		rc = mm_post_root(l->asked->mm, original, l->original_root, channel, err);
		if (rc < 0 && rc != -ERR_NOT_FOUND)
			return rc;
		err_clear(err);
	}
	return l->original_root[0] ? held_by_ledger(l, by, l->original_root) : 0;
}

/* A post without a time is covered by every window. */
static bool in_window(int64_t at_ms, int64_t since_ms, int64_t until_ms)
{
	return at_ms == 0 || (at_ms >= since_ms && at_ms < until_ms);
}

static int held_by_policy(struct held_bundle *l, struct held_by *by, const char *thread, const struct channel *c,
			  const struct person *p, int64_t at_ms)
{
	for (size_t i = 0; i < l->asked->n_holds; i++) {
		const struct policy_hold *h = &l->asked->policy->hold[i];

		if (!(c && c->covered[i]) && !(p && p->covered[i]))
			continue;
		if (in_window(at_ms, h->has_since ? h->since_ms : INT64_MIN, h->has_until ? h->until_ms : INT64_MAX))
			return hit(by, thread, false, mem_printf(l, "hold %s", h->name));
	}
	return 0;
}

static bool any_span(const struct mm_legal_span *span, size_t n, const char *id, int64_t at_ms)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(span[i].id, id) == 0 && in_window(at_ms, span[i].since_ms, span[i].until_ms))
			return true;
	return false;
}

static int held_by_plugin(struct held_bundle *l, struct held_by *by, const char *thread, const struct channel *c,
			  const struct person *p, int64_t at_ms)
{
	bool held = (c && c->legal && any_span(l->asked->legal->channel, l->asked->legal->n_channels, c->id, at_ms)) ||
		    (p && p->legal && any_span(l->asked->legal->person, l->asked->legal->n_people, p->id, at_ms));

	return held ? hit(by, thread, false, mem_strdup(l, "the legal-hold plugin")) : 0;
}

int held_post(struct held_bundle *l, const struct held_post *post, struct held_by *ret, struct err *err)
{
	mm_id id = "", root = "", original = "", user = "", channel = "";
	const struct channel *c = take_id(channel, post->channel, post->channel_len) ? channel_of(l, channel) : NULL;
	const struct person *p = take_id(user, post->user, post->user_len) ? person_of(l, user, "") : NULL;
	const char *thread = id;
	int rc;

	(void)take_id(id, post->id, post->id_len);
	if (take_id(root, post->root, post->root_len))
		thread = root;
	else if (take_id(original, post->original, post->original_len))
		thread = original;
	if ((rc = held_by_ledger(l, ret, thread)) == 0 && thread == original)
		rc = held_by_original(l, ret, original, err);
	if (rc == 0 && (rc = held_by_policy(l, ret, thread, c, p, post->at_ms)) == 0)
		rc = held_by_plugin(l, ret, thread, c, p, post->at_ms);
	return rc;
}
