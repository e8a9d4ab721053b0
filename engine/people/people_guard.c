/*
 * people_guard.c - what keeps an account that would be taken: a hold on channels that it has a part in, and the
 * server's compliance export.
 *
 * A hold keeps threads as they are, so this asks what people_held.c asks about single threads.  The export writes a
 * post with its author's address as that is then, so the address stays until the last post is exported.  All of it
 * takes index probes for each account, and is therefore asked of those alone whom nothing else keeps; and again in the
 * transaction of each, because the account of an integration goes on posting, and an export may begin.
 */
#include "people_internal.h"

#include <string.h>

static const struct { const char *table; const struct sql *sql; bool timeless; } places[] = {
	{NULL, &sql_people_channel_posts, false}, {"drafts", &sql_people_channel_drafts, true},
	{"scheduledposts", &sql_people_channel_scheduled, true},
	{"postreminders", &sql_people_channel_reminders, false},
	{"preferences", &sql_people_channel_saved, false},
};

/* ---- the holds ---- */

static bool is_present(const struct mm_people *p, const char *table)
{
	bool present = !table;

	for (size_t i = 0; table && i < mm_n_traces; i++)
		present |= strcmp(mm_trace[i].table, table) == 0 && p->present[i];
	return present;
}

static bool covers(const struct policy_hold *h, const struct mm_scope *s)
{
	const struct policy_scope scope = {.channel_id = s->channel_id,
					   .channel_name = s->channel_name,
					   .team_id = s->team_id,
					   .team_name = s->team_name};

	return policy_hold_covers(h, &scope);
}

static void add_hold(struct people_guards *g, const struct policy_hold *h, const struct mm_scope *scope, size_t n)
{
	struct people_guard *to = &g->hold[g->n_holds];
	struct db_array channels;

	db_array_init(&channels, g);
	for (size_t i = 0; i < n; i++)
		if (covers(h, &scope[i]))
			db_array_add(&channels, scope[i].channel_id, strlen(scope[i].channel_id));
	if (channels.n == 0)
		return;
	*to = (struct people_guard){.name = h->name, .channels = db_array_text(&channels)};
	snprintf(to->since, sizeof to->since, "%lld", h->has_since ? (long long)h->since_ms : (long long)INT64_MIN);
	snprintf(to->until, sizeof to->until, "%lld", h->has_until ? (long long)h->until_ms : (long long)INT64_MAX);
	g->n_holds++;
}

static int read_holds(struct people_guards *g, const struct policy *policy, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "people guards");
	struct mm_scope *scope = NULL;
	size_t n = 0, wanted = 0;
	int r;

	for (size_t i = 0; i < policy->n_holds; i++)
		wanted += policy->hold[i].channels.n + policy->hold[i].teams.n;
	if (!wanted || (r = mm_scopes(tmp, g->p->mm, &scope, &n, err)) < 0)
		return wanted ? r : 0;
	g->hold = mem_array(g, struct people_guard, policy->n_holds);
	for (size_t i = 0; i < policy->n_holds; i++)
		add_hold(g, &policy->hold[i], scope, n);
	return 0;
}

int people_guards_read(void *ctx, const struct policy *policy, struct mm_people *p, struct people_guards **ret,
		       struct err *err)
{
	struct people_guards *g = mem_new(ctx, struct people_guards);
	int r;

	g->p = p;
	r = read_holds(g, policy, err);
	if (r < 0) {
		talloc_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

/* ---- accounts ---- */

struct asked { struct people_names *found; };

static int on_found(void *payload, const struct db_row *r, struct err *err)
{
	struct asked *a = payload;

	(void)err;
	if (r->value[0])
		people_names_add(a->found, r->value[0], strlen(r->value[0]), NULL);
	return 0;
}

/* The ids of those who are still due, or NULL: nobody is. */
static const char *due_ids(void *ctx, struct people_user *const *user, size_t n)
{
	struct db_array ids;

	db_array_init(&ids, ctx);
	for (size_t i = 0; i < n; i++)
		if (user[i]->verdict == PEOPLE_DUE)
			db_array_add(&ids, user[i]->id, strlen(user[i]->id));
	return ids.n ? db_array_text(&ids) : NULL;
}

static void keep(const struct asked *a, struct people_user *const *user, size_t n, enum people_verdict verdict,
		 const char *hold)
{
	for (size_t i = 0; i < n; i++)
		if (user[i]->verdict == PEOPLE_DUE && people_names_find(a->found, user[i]->id)) {
			user[i]->verdict = verdict;
			user[i]->hold = hold; /* the policy's own text: a plan does not outlive it */
		}
}

static int ask_hold(const struct people_guards *g, const struct people_guard *h, struct people_user *const *user,
		    size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(places); i++) {
		void *tmp auto_mem = mem_context(NULL, "people hold");
		struct asked a = {people_names_new(tmp)};
		const char *param[] = {due_ids(tmp, user, n), h->channels, h->since, h->until};

		if (!param[0] || !is_present(g->p, places[i].table))
			continue;
		r = db_stream(g->p->mm->db, places[i].sql, places[i].timeless ? 2 : 4, param, on_found, &a, err);
		keep(&a, user, n, PEOPLE_HELD, h->name);
	}
	return r;
}

static int ask_export(const struct people_guards *g, struct people_user *const *user, size_t n, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "people export");
	struct asked a = {people_names_new(tmp)};
	struct mm_exported done;
	char cursor[24];
	const char *param[] = {due_ids(tmp, user, n), cursor, done.id};
	int r;

	if (!param[0] || (r = mm_exported(g->p->mm, &done, err)) < 0)
		return param[0] ? r : 0;
	/* the first one is still to end: it writes who is in the channels, too */
	for (size_t i = 0; i < n && done.begun && !done.ms; i++)
		if (user[i]->verdict == PEOPLE_DUE)
			user[i]->verdict = PEOPLE_COMPLIANCE;
	if (!done.ms)
		return 0;
	snprintf(cursor, sizeof cursor, "%lld", (long long)done.ms);
	r = db_stream(g->p->mm->db, &sql_people_unexported, 3, param, on_found, &a, err);
	keep(&a, user, n, PEOPLE_COMPLIANCE, NULL);
	return r;
}

int people_guards_ask(const struct people_guards *g, struct people_user *const *user, size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->n_holds; i++)
		r = ask_hold(g, &g->hold[i], user, n, err);
	return r < 0 ? r : ask_export(g, user, n, err);
}
