/*
 * cli_people.h - departed users on the terminal and as JSON, for plan, run and explain.
 */
#ifndef CLI_PEOPLE_H
#define CLI_PEOPLE_H

#include <mmretain/people.h>

#include "cli.h"

/* Of cli_held(); NULL gives none. */
struct people_holds cli_people_holds(const struct ledger_state *ledger);

/* Who is due, for a plan that is not restricted to some threads; *ret NULL when the policy has no departed_users. */
int cli_people_plan(struct cli *cli, const struct ledger_state *ledger, struct people_plan **ret,
		    struct err *err) MMR_CHECKED;
int cli_people_print_plan(const struct cli *cli, const struct people_plan *plan, struct err *err) MMR_CHECKED;
json_t *cli_people_plan_json(const struct people_plan *plan);   /* null for NULL */
/* The list of departed persons, where the policy names one: how many entries are no deactivated account, and with -v
 * which. */
void cli_people_print_list(const struct cli *cli, const struct people_plan *plan);
void cli_people_list_json(json_t *obj, const struct people_plan *plan); /* the same into obj */
/* What a run did; report may be NULL. */
void cli_people_print_run(const struct cli *cli, const struct people_report *report);
json_t *cli_people_run_json(const struct people_report *report);

/* ---- one person (cli_person.c) ---- */
int cli_person_inventory(struct cli *cli, const char *name, struct err *err) MMR_CHECKED; /* connects */
/* database open; ERR_NOT_FOUND */
int cli_person_explain(struct cli *cli, const struct ledger_state *ledger, const char *name,
		       struct err *err) MMR_CHECKED;
json_t *cli_integrations_json(const struct people_integration *list, size_t n);
json_t *cli_texts_json(char *const *list, size_t n);

#endif
