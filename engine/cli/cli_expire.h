/*
 * cli_expire.h - bundles past their time, for plan, run, status and expire.
 */
#ifndef CLI_EXPIRE_H
#define CLI_EXPIRE_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>

#include "cli.h"

/* By the ledger alone: nobody looks into a bundle, so a hold or a longer keep_for is not known. */
struct cli_overdue { uint64_t bundles, bytes, expiring, expired, lost; int64_t oldest_ms; };
void cli_overdue(const struct ledger_archive *a, struct cli_overdue *ret);
/* The same of the policy's archive: false when there is none, or none that we may read (then cli_held has said so).
 * ERR_VERIFY. */
int cli_overdue_of(struct cli *cli, bool *ret_known, struct cli_overdue *ret, struct err *err) MMR_CHECKED;

/* Of a run: null when the step was not reached. */
json_t *cli_expire_run_json(const struct run_expire_report *rep);
void cli_expire_print_run(const struct cli *cli, const struct run_expire_report *rep);

#endif
