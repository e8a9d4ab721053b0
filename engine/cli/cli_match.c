/*
 * cli_match.c - the policy's names against the database.
 */
#include <string.h>

#include <mmretain/people.h>

#include "cli_match.h"

struct place { uint32_t line, column; };

struct match {
	struct cli *cli;
	const struct policy *policy;
	struct policy_problems *problems;
	struct mm_scope *scope;
	size_t n_scopes;
	struct tie { char *text, *hint; struct place at; size_t rules_len, more; } *tie; /* one for each set of rules */
	size_t n_ties;
};

/* In file order, as the others; the same only once.  NULL: it is there. */
static struct policy_problem *MMR_PRINTF(4, 5) add(struct match *m, struct place at, bool warning, const char *fmt, ...)
{
	struct policy_problems *list = m->problems;
	struct policy_problem *p;
	size_t i, place = 0;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_check(talloc_vasprintf(m->cli->ctx, fmt, ap));
	va_end(ap);
	for (i = 0; i < list->n; i++) {
		p = &list->item[i];
		if (p->line == at.line && p->column == at.column && strcmp(p->text, text) == 0)
			return NULL;
		if (p->line < at.line || (p->line == at.line && p->column <= at.column))
			place = i + 1;
	}
	list->item = mem_grow(m->cli->ctx, list->item, struct policy_problem, list->n + 1);
	p = &list->item[place];
	memmove(p + 1, p, (list->n++ - place) * sizeof *p);
	*p = (struct policy_problem){.line = at.line, .column = at.column, .warning = warning, .text = text};
	list->n_errors += !warning;
	return p;
}

static struct place place_of(const struct policy_list *list, size_t i)
{
	return list->line && list->column ? (struct place){list->line[i], list->column[i]} : (struct place){1, 1};
}

struct policy_scope cli_policy_scope(const struct mm_scope *s)
{
	static const struct { char letter; enum scope_type type; } types[] = {
		{'O', SCOPE_PUBLIC}, {'P', SCOPE_PRIVATE}, {'D', SCOPE_DIRECT}, {'G', SCOPE_GROUP},
	};
	struct policy_scope scope = {.channel_id = s->channel_id,
				     .channel_name = s->channel_name ? s->channel_name : "",
				     .team_id = s->team_id,
				     .team_name = s->team_name ? s->team_name : "",
				     .type = SCOPE_OTHER,
				     .archived = s->channel_archived || s->team_archived};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].letter == s->type)
			scope.type = types[i].type;
	return scope;
}

/* The first rule that takes part in the tie. */
static struct place tie_place(const struct match *m, const struct policy_candidate *candidate)
{
	for (size_t i = 0; candidate && i < m->policy->n_rules; i++)
		if (candidate[i].loss == LOST_TIE)
			return (struct place){candidate[i].rule->line, candidate[i].rule->column};
	return (struct place){1, 1};
}

/* Very many channels may meet the same rules: the first stands for all. */
static void add_tie(struct match *m, struct place at, const struct err *err)
{
	const char *channel = strstr(err->msg, " for channel ");
	size_t len = channel ? (size_t)(channel - err->msg) : strlen(err->msg);

	for (size_t i = 0; i < m->n_ties; i++)
		if (m->tie[i].rules_len == len && strncmp(m->tie[i].text, err->msg, len) == 0) {
			m->tie[i].more++;
			return;
		}
	m->tie = mem_grow(m->cli->ctx, m->tie, struct tie, m->n_ties + 1);
	m->tie[m->n_ties++] = (struct tie){.text = mem_strdup(m->cli->ctx, err->msg),
					   .hint = mem_strdup(m->cli->ctx, err->hint),
					   .at = at,
					   .rules_len = len};
}

static void tell_ties(struct match *m)
{
	for (size_t i = 0; i < m->n_ties; i++) {
		const struct tie *t = &m->tie[i];
		struct policy_problem *p = t->more ? add(m, t->at, /* warning= */ false, "%s and %zu more channel%s",
							 t->text, t->more, cli_s(t->more))
						   : add(m, t->at, /* warning= */ false, "%s", t->text);

		if (p)
			p->hint = t->hint;
	}
}

static int check_winners(struct match *m, struct cli_match_result *ret)
{
	for (size_t i = 0; i < m->n_scopes; i++) {
		struct policy_scope scope = cli_policy_scope(&m->scope[i]);
		struct policy_candidate *candidate = NULL;
		const struct policy_rule *rule = NULL;
		struct err tie = {0};
		int r = policy_winner(m->cli->ctx, m->policy, &scope, &rule, &candidate, &tie);

		if (r < 0)
			add_tie(m, tie_place(m, candidate), &tie);
		else if (!rule)
			ret->ungoverned++;
		talloc_free(candidate);
	}
	tell_ties(m);
	ret->channels = m->n_scopes;
	return 0;
}

/* rule: the match whose channels the list is, or NULL. */
static bool list_item_matches(const struct match *m, const struct policy_list *list, size_t item, bool team,
			      const struct policy_match *rule)
{
	const char *pattern = list->item[item];

	for (size_t i = 0; i < m->n_scopes; i++) {
		const struct mm_scope *s = &m->scope[i];
		const char *name = team ? s->team_name : s->channel_name;

		struct policy_scope scope = cli_policy_scope(s);

		if (rule ? policy_match_item(rule, item, &scope)
			 : policy_glob(pattern, team ? s->team_id : s->channel_id, name ? name : ""))
			return true;
	}
	return false;
}

static void check_list(struct match *m, const struct policy_list *list, bool team, const struct policy_match *rule,
		       const char *where)
{
	for (size_t i = 0; i < list->n; i++)
		if (!list_item_matches(m, list, i, team, rule))
			(void)add(m, place_of(list, i), /* warning= */ true, "%s: no %s matches \"%s\"", where,
			    team ? "team" : "channel", list->item[i]);
}

static int check_accounts(struct match *m, const struct policy_list *list, const char *where, struct err *err)
{
	char **missing = NULL;
	size_t n = 0, n_missing = 0;
	mm_id *ids = NULL;
	int r;

	if (!list->n)
		return 0;
	r = mm_user_ids(m->cli->ctx, m->cli->mm, (const char *const *)list->item, list->n, &ids, &n, &missing,
			&n_missing, err);
	for (size_t i = 0; r == 0 && i < n_missing; i++)
		for (size_t j = 0; j < list->n; j++)
			if (strcmp(list->item[j], missing[i]) == 0)
				(void)add(m, place_of(list, j), /* warning= */ true,
				    "%s: there is no account \"%s\"", where, missing[i]);
	return r;
}

static int check_rules(struct match *m, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->policy->n_rules; i++) {
		const struct policy_rule *rule = &m->policy->rule[i];
		auto_mem char *where = mem_printf(NULL, "rule \"%s\"", rule->name);

		check_list(m, &rule->match.team, /* team= */ true, NULL, where);
		check_list(m, &rule->match.channel, /* team= */ false, &rule->match, where);
		r = check_accounts(m, &rule->spare_authors, where, err);
	}
	return r;
}

static int check_holds(struct match *m, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->policy->n_holds; i++) {
		const struct policy_hold *hold = &m->policy->hold[i];
		auto_mem char *where = mem_printf(NULL, "hold \"%s\"", hold->name);

		check_list(m, &hold->teams, /* team= */ true, NULL, where);
		check_list(m, &hold->channels, /* team= */ false, NULL, where);
		r = check_accounts(m, &hold->users, where, err);
	}
	return r;
}

/* Of accounts, not of the policy: --strict does not count it. */
static void tell_due(struct cli *cli, const struct people_plan *plan)
{
	const char *const text[] = {people_services_text(cli->ctx, plan),
				    people_unlisted_text(cli->ctx, &cli->policy->people, plan)};

	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		if (text[i])
			log_warn("%s", cli_safe(cli->ctx, text[i]));
}

static int check_people(struct match *m, struct cli_match_result *ret, struct err *err)
{
	const struct policy_people *p = &m->policy->people;
	struct people_plan *plan = NULL;
	int r;

	if (!p->present)
		return 0;
	/* reads the list */
	if ((r = people_plan(m->cli->ctx, m->policy, m->cli->mm, /* holds= */ NULL, &plan, err)) < 0)
		return r;
	if (p->only_listed && plan->listed_unknown == plan->listed)
		(void)add(m, (struct place){p->listed_line, p->listed_column}, /* warning= */ true,
			  "departed_users: the list names no deactivated account");
	tell_due(m->cli, plan);
	if (p->only_listed)
		ret->listed = plan;
	return 0;
}

int cli_match_names(struct cli *cli, struct policy_problems *problems, struct cli_match_result *ret, struct err *err)
{
	struct match m = {.cli = cli, .policy = cli->policy, .problems = problems};
	int r = mm_scopes(cli->ctx, cli->mm, &m.scope, &m.n_scopes, err);

	if (r == 0)
		r = check_winners(&m, ret);
	if (r == 0)
		r = check_rules(&m, err);
	if (r == 0)
		r = check_holds(&m, err);
	return r < 0 ? r : check_accounts(&m, &cli->policy->people.except, "departed_users", err);
}

int cli_match_check(struct cli *cli, struct policy_problems *problems, struct cli_match_result *ret, struct err *err)
{
	struct match m = {.cli = cli, .policy = cli->policy, .problems = problems};
	int r = cli_match_names(cli, problems, ret, err);

	return r < 0 ? r : check_people(&m, ret, err);
}
