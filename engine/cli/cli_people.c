/*
 * cli_people.c - departed users in a plan and in the result of a run.
 */
#include <mmretain/ledger.h>

#include "cli_people.h"

#define USERS_SHOWN 20

static void append(json_t *list, json_t *value)
{
	if (json_array_append_new(list, cli_json_check(value)) < 0)
		mem_check(NULL);
}

struct people_holds cli_people_holds(const struct ledger_state *ledger)
{
	return (struct people_holds){ledger ? ledger->held : NULL, ledger ? ledger->n_held : 0};
}

int cli_people_plan(struct cli *cli, const struct ledger_state *ledger, struct people_plan **ret, struct err *err)
{
	const struct people_holds holds = cli_people_holds(ledger);
	struct people_plan *plan = NULL;
	int r;

	*ret = NULL;
	if (!cli->policy->people.present || cli_given(cli, OPT_RULE) || cli_given(cli, OPT_TEAM) ||
	    cli_given(cli, OPT_CHANNEL))
		return 0;
	r = people_plan(cli->ctx, cli->policy, cli->mm, &holds, &plan, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->n_warnings; i++)
		log_warn("%s", cli_safe(cli->ctx, plan->warning[i]));
	*ret = plan;
	return 0;
}

/* ---- the plan as text ---- */

static int print_users(const struct cli *cli, const struct people_plan *plan, struct err *err)
{
	static const struct cli_column columns[] = {
		{"ACCOUNT", CLI_LEFT}, {"ID", CLI_LEFT}, {"DEACTIVATED", CLI_LEFT}, {"DUE FROM", CLI_LEFT},
		{"RESULT", CLI_LEFT}};
	auto_mem void *ctx = mem_context(NULL, "users");
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));
	size_t shown = 0, more = 0;
	int r;

	for (size_t i = 0; i < plan->n_users; i++) {
		const struct people_user *u = &plan->user[i];

		if (!cli->verbose && u->verdict != PEOPLE_DUE)
			continue;
		if (!cli->verbose && shown == USERS_SHOWN) {
			more++;
			continue;
		}
		shown++;
		cli_table_row(t);
		cli_table_text(t, u->username);
		cli_table_text(t, u->id);
		cli_table_time(t, u->deactivated_ms);
		cli_table_time(t, u->due_ms);
		cli_table_text(t, u->hold ? mem_printf(ctx, "%s: %s", people_verdict_name(u->verdict), u->hold)
					  : people_verdict_name(u->verdict));
	}
	if (!shown) {
		talloc_free(t);
		return 0;
	}
	printf("\n");
	r = cli_table_print(t, err);
	if (more)
		printf("and %zu more account%s; -v shows them all\n", more, cli_s(more));
	return r;
}

/* "held 1, young 2" */
static char *others(void *ctx, const struct people_plan *plan)
{
	char *text = mem_strdup(ctx, "");

	for (int v = PEOPLE_DUE + 1; v < PEOPLE_VERDICTS; v++)
		if (plan->count[v])
			text = mem_printf(ctx, "%s%s%s %llu", text, *text ? ", " : "",
					  people_verdict_name((enum people_verdict)v),
					  (unsigned long long)plan->count[v]);
	return text;
}

static void print_unknown(const struct cli *cli, const struct people_plan *plan)
{
	if (!plan->n_unknown)
		return;
	printf("%zu column%s look%s like a person's id or name and %s not known; nothing is changed there:",
	       plan->n_unknown, cli_s(plan->n_unknown), plan->n_unknown == 1 ? "s" : "",
	       plan->n_unknown == 1 ? "is" : "are");
	for (size_t i = 0; i < plan->n_unknown; i++)
		printf("%s %s", i ? "," : "", cli_safe(cli->ctx, plan->unknown[i]));
	printf("\n");
}

void cli_people_print_list(const struct cli *cli, const struct people_plan *plan)
{
	if (!plan || !plan->listed)
		return;
	printf("the list names %llu, of whom %llu %s no deactivated account%s\n", (unsigned long long)plan->listed,
	       (unsigned long long)plan->listed_unknown, plan->listed_unknown == 1 ? "is" : "are",
	       !plan->listed_unknown ? "" : cli->verbose ? ":" : " (-v names them)");
	for (size_t i = 0; cli->verbose && i < plan->listed_unknown; i++) {
		auto_mem char *safe = cli_safe(NULL, plan->listed_name[i]);

		printf("  %s\n", safe);
	}
}

int cli_people_print_plan(const struct cli *cli, const struct people_plan *plan, struct err *err)
{
	unsigned long long due;
	char *rest;
	int r;

	if (!plan)
		return 0;
	due = plan->count[PEOPLE_DUE];
	rest = others(cli->ctx, plan);
	r = print_users(cli, plan, err);
	if (r < 0)
		return r;
	printf("\ndeparted users: %llu account%s to depersonalise%s%s\n", due, cli_s(due), *rest ? "; not taken: " : "",
	       rest);
	cli_people_print_list(cli, plan);
	print_unknown(cli, plan);
	return 0;
}

/* ---- the plan as JSON ---- */

static json_t *user_json(const struct people_user *u)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "account", u->username);
	cli_json_text(obj, "id", u->id);
	cli_json_time(obj, "deactivated", u->deactivated_ms ? u->deactivated_ms : INT64_MAX);
	cli_json_time(obj, "due_from", u->due_ms ? u->due_ms : INT64_MAX);
	cli_json_text(obj, "result", people_verdict_name(u->verdict));
	cli_json_text(obj, "hold", u->hold);
	return obj;
}

json_t *cli_texts_json(char *const *text, size_t n)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < n; i++) {
		auto_mem char *safe = cli_safe(NULL, text[i]);

		append(list, json_string(safe));
	}
	return list;
}

void cli_people_list_json(json_t *obj, const struct people_plan *plan)
{
	cli_json_int(obj, "listed", plan->listed);
	cli_json_int(obj, "listed_unknown", plan->listed_unknown);
	cli_json_put(obj, "listed_unknown_names", cli_texts_json(plan->listed_name, plan->listed_unknown));
}

static json_t *services_json(const struct people_plan *plan)
{
	json_t *obj = cli_json_check(json_object());

	for (size_t i = 0; i < plan->n_services; i++) {
		auto_mem char *name = cli_safe(NULL, plan->service[i].name);

		cli_json_int(obj, name, plan->service[i].due);
	}
	return obj;
}

json_t *cli_people_plan_json(const struct people_plan *plan)
{
	json_t *obj, *users = cli_json_check(json_array()), *counts = cli_json_check(json_object());

	if (!plan) {
		json_decref(users);
		json_decref(counts);
		return json_null();
	}
	obj = cli_json_check(json_object());
	for (int v = 0; v < PEOPLE_VERDICTS; v++)
		if (plan->count[v])
			cli_json_int(counts, people_verdict_name((enum people_verdict)v), plan->count[v]);
	for (size_t i = 0; i < plan->n_users; i++)
		append(users, user_json(&plan->user[i]));
	cli_json_put(obj, "accounts", users);
	cli_json_put(obj, "counts", counts);
	cli_json_put(obj, "sign_in", services_json(plan));
	cli_people_list_json(obj, plan);
	cli_json_put(obj, "unknown_columns", cli_texts_json(plan->unknown, plan->n_unknown));
	cli_json_put(obj, "warnings", cli_texts_json(plan->warning, plan->n_warnings));
	return obj;
}

/* ---- what a run did ---- */

static uint64_t rows_of(const struct people_report *r)
{
	uint64_t rows = 0;

	for (size_t i = 0; r->total.rows && i < mm_n_traces; i++)
		rows += r->total.rows[i];
	return rows;
}

void cli_people_print_run(const struct cli *cli, const struct people_report *r)
{
	if (!r)
		return;
	printf("departed  %s depersonalised, %s; %s, %s removed\n", cli_count(cli->ctx, r->done, "account"),
	       cli_count(cli->ctx, rows_of(r), "row"), cli_count(cli->ctx, r->total.pictures_gone, "picture"),
	       cli_count(cli->ctx, r->total.files_gone, "file"));
	for (size_t i = 0; i < r->n_users; i++)
		if (r->user[i].verdict != PEOPLE_DONE && r->user[i].verdict != PEOPLE_DUE)
			printf("          %s: %s\n", r->user[i].id, people_verdict_text(r->user[i].verdict));
	for (size_t i = 0; i < r->n_integrations; i++)
		printf("          %s owns the %s %s (%s); it stays\n", r->integration[i].owner, r->integration[i].kind,
		       cli_safe(cli->ctx, r->integration[i].id), cli_safe(cli->ctx, r->integration[i].name));
	for (size_t i = 0; i < r->n_mentions; i++)
		if (r->mention[i].n_posts)
			printf("          the former name of %s stays in the text of %zu%s post%s (--json lists "
			       "them)\n",
			       r->mention[i].user, r->mention[i].n_posts, r->mention[i].more ? " and more" : "",
			       cli_s(r->mention[i].n_posts));
	for (size_t i = 0; i < r->n_notes; i++)
		printf("          %s\n", cli_safe(cli->ctx, r->note[i]));
}

json_t *cli_integrations_json(const struct people_integration *list, size_t n)
{
	json_t *out = cli_json_check(json_array());

	for (size_t i = 0; i < n; i++) {
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "owner", list[i].owner);
		cli_json_text(obj, "kind", list[i].kind);
		cli_json_text(obj, "id", list[i].id);
		cli_json_text(obj, "name", list[i].name);
		append(out, obj);
	}
	return out;
}

static json_t *mentions_json(const struct people_report *r)
{
	json_t *out = cli_json_check(json_array());

	for (size_t i = 0; i < r->n_mentions; i++) {
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "id", r->mention[i].user);
		cli_json_text(obj, "now", r->mention[i].now);
		cli_json_put(obj, "posts", cli_texts_json(r->mention[i].post, r->mention[i].n_posts));
		cli_json_bool(obj, "more", r->mention[i].more);
		append(out, obj);
	}
	return out;
}

json_t *cli_people_run_json(const struct people_report *r)
{
	json_t *obj, *accounts;

	if (!r)
		return json_null();
	obj = cli_json_check(json_object());
	accounts = cli_json_check(json_array());
	for (size_t i = 0; i < r->n_users; i++) {
		json_t *u = cli_json_check(json_object());

		cli_json_text(u, "id", r->user[i].id);
		cli_json_text(u, "result",
			      r->user[i].verdict == PEOPLE_DUE ? "not reached"
							       : people_verdict_name(r->user[i].verdict));
		append(accounts, u);
	}
	cli_json_int(obj, "depersonalised", r->done);
	cli_json_put(obj, "accounts", accounts);
	cli_json_int(obj, "rows", rows_of(r));
	cli_json_int(obj, "pictures_removed", r->total.pictures_gone);
	cli_json_int(obj, "pictures_left", r->total.pictures_left);
	cli_json_int(obj, "files_removed", r->total.files_gone);
	cli_json_int(obj, "files_left", r->total.files_left);
	cli_json_put(obj, "integrations", cli_integrations_json(r->integration, r->n_integrations));
	cli_json_put(obj, "mentions", mentions_json(r));
	cli_json_put(obj, "notes", cli_texts_json(r->note, r->n_notes));
	return obj;
}
