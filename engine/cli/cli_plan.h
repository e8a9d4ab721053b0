/*
 * cli_plan.h - a plan on the terminal and as JSON, for plan, run and explain.
 */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <mmretain/plan.h>

#include "cli.h"

/* --team and --channel as the plan takes them: `team/name` taken apart. */
void cli_place(const struct cli *cli, const char **ret_team, const char **ret_channel);
/* Connects, plans with the restrictions of the command line, prints the plan, its warnings and the guard that would
 * stop a run. */
int cli_plan_show(struct cli *cli, struct plan **ret, struct err *err) MMR_CHECKED;
/* With --kept: the threads that are kept although something wants them, as lines; or, of a payload struct
 * cli_plan_kept, as items of a list.  They are read from the plan's spool, one at a time. */
struct cli_plan_kept { const struct cli *cli; const struct plan *plan; };
int cli_plan_print_kept(const struct cli *cli, const struct plan *plan, struct err *err) MMR_CHECKED;
int cli_plan_list_kept(struct cli_list *l, const void *payload, struct err *err) MMR_CHECKED;
/* {"threads": ..., "posts": ..., "bytes": ...} */
json_t *cli_amounts_json(uint64_t threads, uint64_t posts, uint64_t bytes);
/* {"age": 12, ...} of the reasons that occur. */
json_t *cli_reasons_json(const uint64_t reason[PLAN_REASONS]);
/* "pinned 3, flagged 1": the reasons of due threads, or those of kept ones; "" when none occurs. */
char *cli_reasons_text(void *ctx, const uint64_t reason[PLAN_REASONS], enum plan_verdict of);

/* What a limit measures: into e as plan_explain_post does it, of the plan of these channels. */
void cli_limit_measured(struct plan_explain *e, const struct plan *plan);
/* How full they are against the limit, "limit per channel: 37 of 50 posts"; only where e->unit_channels says that there
 * is one. */
char *cli_limit_text(void *ctx, const struct plan_explain *e);
/* The same, or null. */
json_t *cli_limit_json(const struct plan_explain *e);

#endif
