/*
 * run_expire_hold.c - does any hold cover a thread of this bundle?
 *
 * Names are resolved twice: through the database, as `plan` does it, and by the names inside the bundle, because an account or a channel may have
 * been renamed or removed since.  Either is enough.  A bundle is read row by row only when its names leave the question open.
 */
#include "run_internal.h"
#include "run_expire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mmretain/catalog.h>

#include <uthash.h>

#define OWNERS_MAX ((size_t)256 << 20)

struct channel {
	UT_hash_handle hh;
	mm_id id;
	char *name, *team;
	bool *covered;             /* by each hold of the policy, as a whole */
	bool legal;                /* some record of the plugin names it */
};
struct person { UT_hash_handle hh; mm_id id; bool *covered, legal; };

struct looking {
	void *ctx;
	const struct policy *policy;
	struct mm *mm;
	const struct ledger_state *st;
	struct bundle_reader *reader;
	struct mm_scope *scope; size_t n_scopes;
	struct mm_legal *legal;
	mm_id **user; size_t *n_users; /* of each hold, by the database; sorted */
	struct channel *channels;
	struct person *people;
	struct channel *teams;     /* id and name */
	bool parts;
	mm_id original, original_root; /* the last that the database was asked about */
	struct run_expire_hold *ret;
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

static int ask_database(struct looking *l, struct err *err)
{
	const struct policy *p = l->policy;
	int rc = mm_legal(l->ctx, l->mm, &l->legal, err);

	if (rc == 0)
		rc = mm_scopes(l->ctx, l->mm, &l->scope, &l->n_scopes, err);
	l->user = mem_array(l->ctx, mm_id *, p->n_holds + 1);
	l->n_users = mem_array(l->ctx, size_t, p->n_holds + 1);
	for (size_t i = 0; i < p->n_holds && rc == 0; i++)
		if (p->hold[i].users.n)
			rc = mm_user_ids(l->ctx, l->mm, (const char *const *)p->hold[i].users.item, p->hold[i].users.n, &l->user[i], &l->n_users[i], NULL,
					 NULL, err);
	return rc;
}

/* ---- what the bundle says ---- */

static const struct mm_scope *scope_of(const struct looking *l, const char *channel)
{
	for (size_t lo = 0, hi = l->n_scopes; lo < hi;) {
		size_t at = lo + (hi - lo) / 2;
		int c = strcmp(channel, l->scope[at].channel_id);

		if (c == 0)
			return &l->scope[at];
		if (c < 0)
			hi = at;
		else
			lo = at + 1;
	}
	return NULL;
}

static bool covers(const struct policy_hold *h, const char *channel, const char *name, const char *team, const char *team_name)
{
	const struct policy_scope s = {.channel_id = channel, .channel_name = name, .team_id = team, .team_name = team_name};

	return policy_hold_covers(h, &s);
}

static void judge_channel(struct looking *l, struct channel *c)
{
	const struct mm_scope *now = scope_of(l, c->id);
	struct channel *team = NULL;

	c->covered = mem_array(l->ctx, bool, l->policy->n_holds + 1);
	HASH_FIND_STR(l->teams, c->team, team);
	for (size_t i = 0; i < l->policy->n_holds; i++) {
		const struct policy_hold *h = &l->policy->hold[i];

		c->covered[i] = covers(h, c->id, c->name, c->team, team ? team->name : "") ||
				(now && covers(h, c->id, now->channel_name, now->team_id, now->team_name));
	}
	for (size_t i = 0; i < l->legal->n_channels && !c->legal; i++)
		c->legal = strcmp(l->legal->channel[i].id, c->id) == 0;
}

static struct channel *channel_of(struct looking *l, const char *id)
{
	struct channel *c;

	HASH_FIND_STR(l->channels, id, c);
	if (c)
		return c;
	c = mem_new(l->ctx, struct channel); /* named nowhere in the bundle: the database may know it */
	snprintf(c->id, sizeof c->id, "%s", id);
	c->name = c->team = mem_strdup(l->ctx, "");
	judge_channel(l, c);
	HASH_ADD_STR(l->channels, id, c);
	return c;
}

static int on_team(void *payload, const struct catalog_name *n, struct err *err)
{
	struct looking *l = payload;
	struct channel *t = mem_new(l->ctx, struct channel), *old;

	(void)err;
	HASH_FIND_STR(l->teams, n->id, old);
	if (old || !take_id(t->id, n->id, strlen(n->id)))
		return 0;
	t->name = mem_strdup(l->ctx, n->name);
	HASH_ADD_STR(l->teams, id, t);
	return 0;
}

static int on_channel(void *payload, const struct catalog_name *n, struct err *err)
{
	struct looking *l = payload;
	struct channel *c = mem_new(l->ctx, struct channel), *old;

	(void)err;
	HASH_FIND_STR(l->channels, n->id, old);
	if (old || !take_id(c->id, n->id, strlen(n->id)))
		return 0;
	c->name = mem_strdup(l->ctx, n->name);
	c->team = mem_strdup(l->ctx, n->extra);
	judge_channel(l, c);
	HASH_ADD_STR(l->channels, id, c);
	return 0;
}

/* Account names are lower case, and the policy may write them with an @. */
static bool is_named(const struct policy_list *names, const char *id, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *want = names->item[i];

		if (strcmp(want, id) == 0 || strcasecmp(want + strspn(want, "@"), name) == 0)
			return true;
	}
	return false;
}

static struct person *person_of(struct looking *l, const char *id, const char *name)
{
	struct person *p;

	HASH_FIND_STR(l->people, id, p);
	if (p)
		return p;
	p = mem_new(l->ctx, struct person);
	snprintf(p->id, sizeof p->id, "%s", id);
	p->covered = mem_array(l->ctx, bool, l->policy->n_holds + 1);
	for (size_t i = 0; i < l->policy->n_holds; i++)
		p->covered[i] = is_named(&l->policy->hold[i].users, p->id, name) ||
				(l->n_users[i] && bsearch(p->id, l->user[i], l->n_users[i], sizeof(mm_id), mm_id_cmp));
	for (size_t i = 0; i < l->legal->n_people && !p->legal; i++)
		p->legal = strcmp(l->legal->person[i].id, p->id) == 0;
	HASH_ADD_STR(l->people, id, p);
	return p;
}

static int on_user(void *payload, const struct catalog_name *n, struct err *err)
{
	mm_id id;

	(void)err;
	if (take_id(id, n->id, strlen(n->id)))
		(void)person_of(payload, id, n->name);
	return 0;
}

/* An account that was removed from the server has no name in the bundle, but its rows have a salt. */
static int read_owners(struct looking *l, struct err *err)
{
	char *text, *line, *save = NULL;
	size_t len;
	int rc = bundle_read_member(l->reader, l->ctx, "salts.jsonl", OWNERS_MAX, &text, &len, err);

	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return rc;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct json_scan s;
		mm_id id;

		json_scan_init(&s, line, strlen(line));
		while (json_scan_next(&s))
			if (s.key_len == 5 && memcmp(s.key, "owner", 5) == 0 && take_id(id, s.val, s.val_len))
				(void)person_of(l, id, "");
	}
	return 0;
}

/* Likewise a channel: the frames have its id. */
static void read_frames(struct looking *l)
{
	for (size_t i = 0; i < bundle_frames(l->reader); i++) {
		const struct bundle_frame *f = bundle_frame_at(l->reader, i);

		if (f->first_channel[0])
			(void)channel_of(l, f->first_channel);
		if (f->last_channel[0])
			(void)channel_of(l, f->last_channel);
	}
}

static int read_names(struct looking *l, struct err *err)
{
	int rc = catalog_bundle_names(l->reader, "teams", on_team, l, err);

	if (rc == 0)
		rc = catalog_bundle_names(l->reader, "channels", on_channel, l, err);
	if (rc == 0)
		rc = catalog_bundle_names(l->reader, "users", on_user, l, err);
	if (rc == 0)
		rc = read_owners(l, err);
	if (rc == 0)
		read_frames(l);
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
static bool is_open(const struct looking *l)
{
	size_t n = l->policy->n_holds;

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

static int hit(struct looking *l, const char *thread, char *name)
{
	l->ret->name = talloc_steal(l->ctx, name);
	snprintf(l->ret->thread, sizeof l->ret->thread, "%s", thread);
	return 1;
}

static int held_by_ledger(struct looking *l, const char *id)
{
	const ledger_id *at = l->st->n_held ? bsearch(id, l->st->held, l->st->n_held, sizeof(ledger_id), mm_id_cmp) : NULL;

	return at ? hit(l, id, mem_printf(l->ctx, "case %s", l->st->hold[at - l->st->held].case_id)) : 0;
}

/* The thread of an earlier text of a reply that carries no root of its own: the post stayed on the server. */
static int held_by_original(struct looking *l, const mm_id original, struct err *err)
{
	mm_id channel;
	int rc;

	if (!l->parts || l->st->n_held == 0)
		return 0;
	if (strcmp(l->original, original) != 0) {
		memcpy(l->original, original, sizeof l->original);
		l->original_root[0] = '\0';
		rc = mm_post_root(l->mm, original, l->original_root, channel, err);
		if (rc < 0 && rc != -ERR_NOT_FOUND)
			return rc;
		err_clear(err);
	}
	return l->original_root[0] ? held_by_ledger(l, l->original_root) : 0;
}

/* A post without a time is covered by every window. */
static bool in_window(int64_t at_ms, int64_t since_ms, int64_t until_ms)
{
	return at_ms == 0 || (at_ms >= since_ms && at_ms < until_ms);
}

static int held_by_policy(struct looking *l, const char *thread, const struct channel *c, const struct person *p, int64_t at_ms)
{
	for (size_t i = 0; i < l->policy->n_holds; i++) {
		const struct policy_hold *h = &l->policy->hold[i];

		if (!(c && c->covered[i]) && !(p && p->covered[i]))
			continue;
		if (in_window(at_ms, h->has_since ? h->since_ms : INT64_MIN, h->has_until ? h->until_ms : INT64_MAX))
			return hit(l, thread, mem_printf(l->ctx, "hold %s", h->name));
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

static int held_by_plugin(struct looking *l, const char *thread, const struct channel *c, const struct person *p, int64_t at_ms)
{
	bool held = (c && c->legal && any_span(l->legal->channel, l->legal->n_channels, c->id, at_ms)) ||
		    (p && p->legal && any_span(l->legal->person, l->legal->n_people, p->id, at_ms));

	return held ? hit(l, thread, mem_strdup(l->ctx, "the legal-hold plugin")) : 0;
}

static int on_post(struct looking *l, const struct catalog_row *row, struct err *err)
{
	mm_id id = "", root = "", original = "", user = "", channel = "";
	const struct channel *c = take_id(channel, row->channel.s, row->channel.len) ? channel_of(l, channel) : NULL;
	const struct person *p = take_id(user, row->user.s, row->user.len) ? person_of(l, user, "") : NULL;
	const char *thread = id;
	int rc;

	(void)take_id(id, row->id.s, row->id.len);
	if (take_id(root, row->root.s, row->root.len))
		thread = root;
	else if (take_id(original, row->original.s, row->original.len))
		thread = original;
	if ((rc = held_by_ledger(l, thread)) == 0 && thread == original)
		rc = held_by_original(l, original, err);
	if (rc == 0 && (rc = held_by_policy(l, thread, c, p, row->create_ms)) == 0)
		rc = held_by_plugin(l, thread, c, p, row->create_ms);
	return rc;
}

/* A post whose author had it erased is still one of a channel and of a thread; of a reply no time is left. */
static int on_erased(struct looking *l, const struct bundle_erased *e, struct err *err)
{
	const struct catalog_row row = {.kind = CATALOG_POST, .id = {e->id, e->id_len}, .root = {e->root, e->root_len}, .original = {e->original, e->original_len},
					.channel = {e->channel, e->channel_len}, .create_ms = e->create_ms};

	return e->id_len ? on_post(l, &row, err) : 0;
}

static int read_rows(struct looking *l, struct err *err)
{
	struct catalog_rows *rows;
	struct bundle_erased erased;
	struct catalog_row row;
	const char *line;
	size_t len;
	int rc = catalog_rows_new(l->ctx, l->reader, &rows, err), held = 0;

	bundle_rewind(l->reader);
	while (rc == 0 && held == 0 && (rc = bundle_read_row(l->reader, &line, &len, err)) == 1) {
		rc = catalog_row_decode(rows, line, len, &row, err);
		if (rc == 0 && row.kind == CATALOG_POST)
			held = on_post(l, &row, err);
		else if (rc == 0 && row.kind == CATALOG_OTHER && bundle_erased_line(line, len, &erased))
			held = on_erased(l, &erased, err);
		if (rc == 0 && held == 0)
			rc = stop_check(err);
	}
	return rc < 0 ? rc : held;
}

int run_expire_held(void *ctx, const struct policy *policy, struct mm *mm, const struct ledger_state *st, struct bundle_reader *r,
		    struct run_expire_hold *ret, struct err *err)
{
	auto_mem void *own = mem_context(NULL, "expiry holds");
	struct looking l = {.ctx = own, .policy = policy, .mm = mm, .st = st, .reader = r, .ret = ret};
	int64_t before_ms;
	int rc = ask_database(&l, err);

	if (rc == 0 && (rc = bundle_read_parts(r, &before_ms, err)) >= 0) {
		l.parts = rc > 0;
		rc = read_names(&l, err);
	}
	if (rc == 0 && is_open(&l))
		rc = read_rows(&l, err);
	HASH_CLEAR(hh, l.channels);
	HASH_CLEAR(hh, l.people);
	HASH_CLEAR(hh, l.teams);
	if (rc > 0)
		talloc_steal(ctx, ret->name);
	return rc;
}
