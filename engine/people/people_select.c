/*
 * people_select.c - who is due, and why everybody else is not.
 */
#include "people_internal.h"

#include <string.h>

static const struct { const char *name, *text; } verdicts[PEOPLE_VERDICTS] = {
	[PEOPLE_DUE] = {"due", "deactivated for longer than the policy asks"},
	[PEOPLE_ACTIVE] = {"active", "the account is active"},
	[PEOPLE_BOT] = {"bot", "a bot"},
	[PEOPLE_REMOTE] = {"remote", "an account of another server; its data belongs there"},
	[PEOPLE_DONE] = {"done", "depersonalised"},
	[PEOPLE_HELD] = {"held", "a hold keeps the account, or a thread that it has a part in"},
	[PEOPLE_LEGAL_HOLD] = {"legal-hold", "a legal hold in Mattermost names the account"},
	[PEOPLE_EXCEPTED] = {"excepted", "the policy excepts the account"},
	[PEOPLE_ODD_TIME] = {"odd-time", "the time of its deactivation cannot be right: it is before 2000"},
	[PEOPLE_YOUNG] = {"young", "deactivated too recently"},
	[PEOPLE_UNLISTED] = {"unlisted", "not on the list of departed persons: blocked, perhaps, but not departed"},
	[PEOPLE_COMPLIANCE] = {"compliance", "the server's compliance export has not passed the account's last post"},
	[PEOPLE_CHANGED] = {"changed", "reactivated or changed since the plan; next time"},
	[PEOPLE_LOCKED] = {"locked", "the server was working on the account; next time"},
	[PEOPLE_FAILED] = {"failed", "the change was refused; the account is as it was"},
};

const char *people_verdict_name(enum people_verdict v)
{
	return verdicts[v].name;
}

const char *people_verdict_text(enum people_verdict v)
{
	return verdicts[v].text;
}

/* ---- one account ---- */

#define SANE_MS INT64_C(946684800000) /* 2000, as of posts: thread_rows.sql */

static void lower(char *ret, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	for (size_t i = 0; i < n; i++)
		ret[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	ret[n] = '\0';
}

static bool is_listed(struct people_names *listed, const struct people_row *row)
{
	const char *text[] = {row->username, row->email};
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		char key[512];
		struct people_name *e;

		lower(key, sizeof(key), text[i]);
		e = people_names_find(listed, key);
		if (e)
			e->seen = found = true;
	}
	return found;
}

enum people_verdict people_judge(const struct people_rules *rules, const struct people_row *row, const char **ret_hold)
{
	bool listed = !rules->listed || is_listed(rules->listed, row);
	struct people_name *hold = people_names_find(rules->held, row->id);

	*ret_hold = hold ? hold->note : NULL;
	if (row->deleteat_ms <= 0)
		return PEOPLE_ACTIVE;
	if (row->bot)
		return PEOPLE_BOT;
	if (row->remote)
		return PEOPLE_REMOTE;
	if (row->done)
		return PEOPLE_DONE;
	if (hold)
		return PEOPLE_HELD;
	if (people_names_find(rules->legal, row->id))
		return PEOPLE_LEGAL_HOLD;
	if (people_names_find(rules->except, row->id))
		return PEOPLE_EXCEPTED;
	if (row->deleteat_ms < SANE_MS)
		return PEOPLE_ODD_TIME;
	if (duration_after(row->deleteat_ms, &rules->after) >= rules->now_ms)
		return PEOPLE_YOUNG;
	return listed ? PEOPLE_DUE : PEOPLE_UNLISTED;
}

static struct people_row row_of(const struct db_row *r)
{
	return (struct people_row){
		.id = r->value[ROW_ID], .username = r->value[ROW_USERNAME], .email = r->value[ROW_EMAIL],
		.deleteat_ms = strtoll(r->value[ROW_DELETEAT], NULL, 10),
		.updateat_ms = strtoll(r->value[ROW_UPDATEAT], NULL, 10),
		.remote = r->value[ROW_REMOTE][0] == 't', .bot = r->value[ROW_BOT][0] == 't',
		.done = r->value[ROW_DONE][0] == 't',
	};
}

static void set_user(void *ctx, struct people_user *u, const struct people_rules *rules, const struct people_row *row)
{
	const char *hold;

	*u = (struct people_user){.username = mem_strdup(ctx, row->username), .deactivated_ms = row->deleteat_ms,
				  .updated_ms = row->updateat_ms};
	snprintf(u->id, sizeof(u->id), "%s", row->id);
	u->verdict = people_judge(rules, row, &hold);
	u->hold = hold ? mem_strdup(ctx, hold) : NULL;
	u->due_ms = row->deleteat_ms > 0 && u->verdict != PEOPLE_ODD_TIME
			    ? duration_after(row->deleteat_ms, &rules->after)
			    : 0;
}

/* ---- what verdicts depend on ---- */

static void warn(struct people_plan *plan, const char *fmt, ...) MMR_PRINTF(2, 3);
static void warn(struct people_plan *plan, const char *fmt, ...)
{
	va_list ap;

	if (!plan)
		return;
	plan->warning = mem_grow(plan, plan->warning, char *, (unsigned)plan->n_warnings + 1);
	va_start(ap, fmt);
	plan->warning[plan->n_warnings++] = mem_check(talloc_vasprintf(plan, fmt, ap));
	va_end(ap);
}

/* Names that exist go into the set; the others are warned about, as elsewhere in the policy. */
static int resolve(void *ctx, struct mm *mm, const struct policy_list *l, const char *where, struct people_names *into,
		   struct people_plan *plan, struct err *err)
{
	mm_id *id = NULL;
	char **missing = NULL;
	size_t n = 0, n_missing = 0;
	int r;

	if (l->n == 0)
		return 0;
	r = mm_user_ids(ctx, mm, (const char *const *)l->item, l->n, &id, &n, &missing, &n_missing, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		people_names_add(into, id[i], strlen(id[i]), where);
	for (size_t i = 0; r == 0 && i < n_missing; i++)
		warn(plan, "%s names an account that does not exist: \"%s\"", where, missing[i]);
	return r;
}

static int resolve_legal(void *ctx, struct mm *mm, struct people_names *into, struct err *err)
{
	mm_id *id = NULL;
	size_t n = 0;
	int r = mm_legal_users(ctx, mm, &id, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		people_names_add(into, id[i], strlen(id[i]), NULL);
	return r;
}

static int make_rules(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		      struct people_plan *plan, struct people_rules *ret, struct err *err)
{
	const struct policy_people *p = &policy->people;
	int r = 0;

	*ret = (struct people_rules){.now_ms = mm->now_ms, .after = p->after, .held = people_names_new(ctx),
				     .legal = people_names_new(ctx), .except = people_names_new(ctx)};
	for (size_t i = 0; r == 0 && i < policy->n_holds; i++) /* of its missing names the plan of threads tells */
		r = resolve(ctx, mm, &policy->hold[i].users, policy->hold[i].name, ret->held, NULL, err);
	if (r == 0)
		r = people_held(ctx, mm, holds, ret->held, err);
	if (r == 0)
		r = resolve(ctx, mm, &p->except, "departed_users.except", ret->except, plan, err);
	if (r == 0)
		r = resolve_legal(ctx, mm, ret->legal, err);
	if (r == 0 && p->only_listed)
		r = people_list_read(ctx, p->only_listed, &ret->listed, err);
	return r;
}

/* ---- plan ---- */

static void add_service(struct people_plan *plan, const char *name)
{
	struct people_service *to;
	size_t i = 0;

	while (i < plan->n_services && strcmp(plan->service[i].name, name) != 0)
		i++;
	if (i == plan->n_services) {
		plan->service = mem_grow(plan, plan->service, struct people_service, (unsigned)++plan->n_services);
		plan->service[i] = (struct people_service){.name = mem_strdup(plan, name)};
	}
	to = &plan->service[i];
	to->due++;
}

char *people_services_text(void *ctx, const struct people_plan *plan)
{
	auto_mem char *list = mem_strdup(NULL, "");
	uint64_t n = 0;

	for (size_t i = 0; i < plan->n_services; i++) {
		char *more = mem_printf(NULL, "%s%s%s %llu", list, i ? ", " : "", plan->service[i].name,
					(unsigned long long)plan->service[i].due);

		talloc_free(list);
		list = more;
		n += plan->service[i].due;
	}
	if (!n)
		return NULL;
	return mem_printf(ctx,
			  "%llu of the accounts that are due sign in through an identity system (%s). Their sign-in "
			  "ids go too, but while it still has these persons, a synchronisation may reactivate an "
			  "account before that, and a sign-in may make another one with the address afterwards: take "
			  "them out of it, or out of the filter by which Mattermost sees it, first",
			  (unsigned long long)n, list);
}

char *people_unlisted_text(void *ctx, const struct policy_people *p, const struct people_plan *plan)
{
	uint64_t n = plan->count[PEOPLE_DUE];

	if (p->only_listed || !n)
		return NULL;
	return mem_printf(ctx, "%llu account%s due for being deactivated alone: no list (`only_listed`) says who has "
			       "left, and a blocked account is taken like any other",
			  (unsigned long long)n, n == 1 ? " is" : "s are");
}

struct collect {
	struct people_plan *plan;
	const struct people_rules *rules;
	char **service /* of each account, or NULL */;
	size_t room;
};

static int add_user(void *payload, const struct db_row *r, struct err *err)
{
	struct collect *c = payload;
	struct people_plan *plan = c->plan;
	struct people_row row = row_of(r);

	(void)err;
	if (plan->n_users == c->room) {
		c->room = c->room ? 2 * c->room : 64;
		plan->user = mem_grow(plan, plan->user, struct people_user, (unsigned)c->room);
		c->service = mem_grow(plan, c->service, char *, (unsigned)c->room);
	}
	set_user(plan, &plan->user[plan->n_users], c->rules, &row);
	c->service[plan->n_users++] = r->value[ROW_SERVICE][0] ? mem_strdup(c->service, r->value[ROW_SERVICE]) : NULL;
	return 0;
}

/* Of those whom nothing else keeps: what the database alone can tell. */
static int ask_guards(void *tmp, const struct policy *policy, struct mm_people *p, struct people_plan *plan,
		      struct err *err)
{
	struct people_user **due = mem_array(tmp, struct people_user *, (unsigned)plan->n_users + 1);
	struct people_guards *g = NULL;
	size_t n = 0;
	int r = people_guards_read(tmp, policy, p, &g, err);

	for (size_t i = 0; i < plan->n_users; i++)
		if (plan->user[i].verdict == PEOPLE_DUE)
			due[n++] = &plan->user[i];
	return r < 0 ? r : people_guards_ask(g, due, n, err);
}

static void count(struct people_plan *plan, char *const *service)
{
	for (size_t i = 0; i < plan->n_users; i++) {
		plan->count[plan->user[i].verdict]++;
		if (plan->user[i].verdict == PEOPLE_DUE && service[i])
			add_service(plan, service[i]);
	}
}

static void tell_due(struct people_plan *plan, const struct policy_people *p)
{
	auto_mem char *services = people_services_text(NULL, plan), *unlisted = people_unlisted_text(NULL, p, plan);

	if (services)
		warn(plan, "%s", services);
	if (unlisted)
		warn(plan, "%s", unlisted);
}

static void count_listed(struct people_plan *plan, const struct people_names *listed)
{
	plan->listed = people_names_count(listed);
	plan->listed_name = mem_array(plan, char *, plan->listed);
	for (const struct people_name *e = listed->by; e; e = e->hh.next)
		if (!e->seen)
			plan->listed_name[plan->listed_unknown++] = mem_strdup(plan, e->key);
	if (plan->listed_unknown == plan->listed)
		warn(plan, "the list of departed persons matches no deactivated account");
}

int people_plan(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		struct people_plan **ret, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "people plan");
	struct people_plan *plan = mem_new(ctx, struct people_plan);
	struct people_rules rules;
	struct mm_people *p = NULL;
	struct collect c = {.plan = plan, .rules = &rules};
	const char *domain = PEOPLE_DOMAIN;
	int r = 0;

	plan->taken_ms = mm->now_ms;
	if (policy->people.present) {
		r = make_rules(tmp, policy, mm, holds, plan, &rules, err);
		if (r == 0)
			r = db_stream(mm->db, &sql_people_users, 1, &domain, add_user, &c, err);
		if (r == 0)
			r = mm_people_probe(plan, mm, &p, err);
		if (r == 0)
			r = ask_guards(tmp, policy, p, plan, err);
	}
	if (r < 0) {
		talloc_free(plan);
		return r;
	}
	if (p) {
		count(plan, c.service);
		talloc_free(c.service);
		plan->unknown = p->unknown;
		plan->n_unknown = p->n_unknown;
		if (rules.listed)
			count_listed(plan, rules.listed);
		plan->n_words = plan->n_warnings;
		tell_due(plan, &policy->people);
	}
	*ret = plan;
	return 0;
}

/* ---- explain ---- */

static int find(void *ctx, struct mm *mm, const char *name, struct db_result **ret, struct err *err)
{
	const char *param[] = {PEOPLE_DOMAIN, name};
	int r = db_query(ctx, mm->db, &sql_people_find, DB_ANY, 2, param, ret, err);

	if (r < 0 || db_rows(*ret) == 1)
		return r;
	err_set(err, ERR_NOT_FOUND, "there is no account \"%s\"", name);
	return err_hint(err, "Give an account name, an id or an e-mail address as Mattermost has it.");
}

static int ask_guards_of_one(void *tmp, const struct policy *policy, struct mm *mm, struct people_user *user,
			     struct err *err)
{
	struct people_guards *g = NULL;
	struct mm_people *p = NULL;
	int r;

	if (!policy->people.present || user->verdict != PEOPLE_DUE)
		return 0;
	if ((r = mm_people_probe(tmp, mm, &p, err)) < 0 || (r = people_guards_read(tmp, policy, p, &g, err)) < 0)
		return r;
	return people_guards_ask(g, &user, 1, err);
}

int people_explain(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		   const char *name, struct people_user **ret, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "people explain");
	struct people_rules rules;
	struct people_row row;
	struct db_result *res = NULL;
	int r = find(tmp, mm, name, &res, err);

	if (r == 0)
		r = make_rules(tmp, policy, mm, holds, NULL, &rules, err);
	if (r < 0)
		return r;
	row = (struct people_row){
		.id = db_text(res, 0, ROW_ID), .username = db_text(res, 0, ROW_USERNAME),
		.email = db_text(res, 0, ROW_EMAIL),
		.deleteat_ms = db_i64(res, 0, ROW_DELETEAT), .updateat_ms = db_i64(res, 0, ROW_UPDATEAT),
		.remote = db_bool(res, 0, ROW_REMOTE), .bot = db_bool(res, 0, ROW_BOT),
		.done = db_bool(res, 0, ROW_DONE),
	};
	*ret = mem_new(ctx, struct people_user);
	set_user(*ret, *ret, &rules, &row);
	return ask_guards_of_one(tmp, policy, mm, *ret, err);
}
