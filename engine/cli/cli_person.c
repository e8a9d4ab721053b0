/*
 * cli_person.c - one person: what exists, where, and whether and when the account is depersonalised.
 */
#include <string.h>

#include "cli_people.h"

static const char *act_name(enum mm_trace_act act)
{
	switch (act) {
	case MM_TRACE_DELETE:
		return "removed";
	case MM_TRACE_BLANK:
		return "emptied";
	case MM_TRACE_KEEP:
		return "stays";
	}
	return "?";
}

/* ---- verdict ---- */

static void put_verdict(json_t *doc, const struct cli *cli, const struct people_user *u)
{
	bool asked = cli->policy->people.present;

	cli_json_text(doc, "account", u->username);
	cli_json_text(doc, "id", u->id);
	cli_json_time(doc, "deactivated", u->deactivated_ms ? u->deactivated_ms : INT64_MAX);
	cli_json_time(doc, "due_from", asked && u->due_ms ? u->due_ms : INT64_MAX);
	cli_json_text(doc, "result", asked ? people_verdict_name(u->verdict) : NULL);
	cli_json_text(doc, "reason", asked ? people_verdict_text(u->verdict) : "the policy has no departed_users");
	cli_json_text(doc, "hold", u->hold);
	cli_json_text(doc, "because", cli_hold_because(cli, u->hold));
}

/* By a hold of the policy, or by one on a thread that the person has a part in. */
static const char *held_by(const struct cli *cli, const struct people_user *u)
{
	static const char thread[] = "thread ";
	bool of_thread = strncmp(u->hold, thread, strlen(thread)) == 0;

	return mem_printf(cli->ctx, "%s%s%s", of_thread ? "`mmretain hold`, " : "", cli_safe(cli->ctx, u->hold),
			  cli_because(cli, cli_hold_because(cli, u->hold)));
}

static void print_verdict(const struct cli *cli, const struct people_user *u)
{
	char since[TIME_TEXT], due[TIME_TEXT];

	time_format(u->deactivated_ms, since);
	time_format(u->due_ms, due);
	printf("account %s (%s), %s%s\n", cli_safe(cli->ctx, u->username), u->id,
	       u->deactivated_ms ? "deactivated " : "active", u->deactivated_ms ? since : "");
	if (!cli->policy->people.present) {
		printf("the policy has no departed_users: nobody is depersonalised\n");
		if (u->hold)
			printf("held by %s\n", held_by(cli, u));
		return;
	}
	printf("%s: %s", u->verdict == PEOPLE_DUE ? "to depersonalise" : "not taken", people_verdict_text(u->verdict));
	if (u->hold && u->verdict == PEOPLE_HELD)
		printf(" (%s%s)", cli_safe(cli->ctx, u->hold), cli_because(cli, cli_hold_because(cli, u->hold)));
	else if (u->hold)
		printf("; also held by %s", held_by(cli, u));
	if (u->due_ms && (u->verdict == PEOPLE_DUE || u->verdict == PEOPLE_YOUNG))
		printf("; due from %s", due);
	printf("\n");
}

int cli_person_explain(struct cli *cli, const struct ledger_state *ledger, const char *name, struct err *err)
{
	const struct people_holds holds = cli_people_holds(ledger);
	struct people_user *u = NULL;
	json_t *doc;
	int r = people_explain(cli->ctx, cli->policy, cli->mm, &holds, name, &u, err);

	if (r < 0)
		return r;
	if (!cli->json) {
		print_verdict(cli, u);
		return 0;
	}
	doc = cli_json_check(json_object());
	put_verdict(doc, cli, u);
	return cli_json_print(doc, err);
}

/* ---- inventory ---- */

static int print_json(const struct cli *cli, const struct people_inventory *inv, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *places = cli_json_check(json_array()), *picture;

	put_verdict(doc, cli, inv->user);
	for (size_t i = 0; i < inv->n_places; i++) {
		const struct people_place *p = &inv->place[i];
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "table", p->table);
		cli_json_text(obj, "what", p->what);
		cli_json_put(obj, "rows", p->unreadable ? json_null() : json_integer((json_int_t)p->rows));
		cli_json_text(obj, "action", act_name(p->act));
		cli_json_text(obj, "why", p->why);
		if (json_array_append_new(places, obj) < 0)
			mem_check(NULL);
	}
	cli_json_put(doc, "places", places);
	picture = cli_json_check(json_object());
	cli_json_bool(picture, "exists", inv->picture);
	cli_json_int(picture, "bytes", inv->picture_bytes);
	cli_json_text(picture, "problem", inv->picture_problem);
	cli_json_put(doc, "picture", picture);
	cli_json_put(doc, "integrations", cli_integrations_json(inv->integration, inv->n_integrations));
	cli_json_put(doc, "unknown_columns", cli_texts_json(inv->unknown, inv->n_unknown));
	return cli_json_print(doc, err);
}

static int print_places(const struct cli *cli, const struct people_inventory *inv, struct err *err)
{
	static const struct cli_column columns[] = {
		{"TABLE", CLI_LEFT}, {"WHAT", CLI_LEFT}, {"ROWS", CLI_RIGHT}, {"ACTION", CLI_LEFT}, {"WHY", CLI_LEFT}};
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < inv->n_places; i++) {
		const struct people_place *p = &inv->place[i];

		cli_table_row(t);
		cli_table_text(t, p->table);
		cli_table_text(t, p->what);
		if (p->unreadable)
			cli_table_text(t, "may not be read");
		else
			cli_table_int(t, p->rows);
		cli_table_text(t, act_name(p->act));
		cli_table_text(t, p->why ? p->why : "");
	}
	return cli_table_print(t, err);
}

static int print_text(const struct cli *cli, const struct people_inventory *inv, struct err *err)
{
	char bytes[TIME_TEXT];
	int r;

	print_verdict(cli, inv->user);
	printf("\n");
	r = print_places(cli, inv, err);
	if (r < 0)
		return r;
	bytes_format(inv->picture_bytes, bytes);
	if (inv->picture_problem)
		printf("\nprofile picture: not looked at, %s\n", cli_safe(cli->ctx, inv->picture_problem));
	else
		printf("\nprofile picture: %s%s\n", inv->picture ? bytes : "none", inv->picture ? ", removed" : "");
	for (size_t i = 0; i < inv->n_integrations; i++)
		printf("owns the %s %s (%s); it stays\n", inv->integration[i].kind,
		       cli_safe(cli->ctx, inv->integration[i].id), cli_safe(cli->ctx, inv->integration[i].name));
	for (size_t i = 0; i < inv->n_unknown; i++)
		printf("%s%s%s", i ? ", " : "not known, so not counted: ", cli_safe(cli->ctx, inv->unknown[i]),
		       i + 1 == inv->n_unknown ? "\n" : "");
	return 0;
}

int cli_person_inventory(struct cli *cli, const char *name, struct err *err)
{
	struct people_inventory *inv = NULL;
	struct ledger_state *ledger = NULL;
	struct people_holds holds;
	int r = cli_open_db(cli, err);

	if (r == 0)
		r = cli_held(cli, &ledger, err);
	holds = cli_people_holds(ledger);
	if (r == 0)
		r = people_inventory(cli->ctx, cli->policy, cli->mm, &holds, name, &inv, err);
	if (r < 0)
		return r;
	return cli->json ? print_json(cli, inv, err) : print_text(cli, inv, err);
}
