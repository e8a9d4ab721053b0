/*
 * cli_plan.h - a plan on the terminal and as JSON, for plan, run and explain.
 */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <mmretain/plan.h>

#include "cli.h"

/* Plans now, with the restrictions of the command line; prints the plan's warnings on stderr. */
int cli_plan_build(struct cli *cli, struct plan **ret, struct err *err) MMR_CHECKED;
/* Tables of rules, reasons and channels. */
int cli_plan_print_text(const struct cli *cli, const struct plan *plan, struct err *err) MMR_CHECKED;
json_t *cli_plan_json(const struct cli *cli, const struct plan *plan);
/* {"age": 12, ...} of the reasons that occur. */
json_t *cli_reasons_json(const uint64_t reason[PLAN_REASONS]);
/* "pinned 3, flagged 1": the reasons of due threads, or those of kept ones; "" when none occurs. */
char *cli_reasons_text(void *ctx, const uint64_t reason[PLAN_REASONS], enum plan_verdict of);

#endif
