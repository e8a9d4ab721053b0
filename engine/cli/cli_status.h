/* cli_status.h - what status has gathered, for its text, its JSON and its metrics. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>

#include "cli_expire.h"
#include "cli_health.h"
#include "cli_mirror.h"
#include "cli_protocol.h"

struct status {
	struct cli *cli;
	struct protocol *protocol;
	struct ledger_state *state;
	struct ledger_archive *published;
	struct cli_overdue overdue;
	struct cli_health health;
	struct cli_health_text words;
	struct cli_mirror_state mirror;
	struct run_attempt *attempt; /* NULL: the newest run is in the ledger */
	uint64_t bundles, bytes, free_bytes, replaced; /* replaced: older generations that are still there */
	size_t missing;             /* bundles that the ledger says are there */
};

/* Erasures that were interrupted. */
uint64_t status_erasures_open(const struct status *st);
/* A sum of a run: part `archived` or `deleted`, key `threads`, `posts` ... */
uint64_t status_total(const json_t *run, const char *part, const char *key);

/* The same as numbers for a monitoring system, in the text format of Prometheus (exposition format 0.0.4), into the
 * file at path, which is replaced as a whole, or `-`: to stdout.  Errors as output_failed. */
int status_metrics(const struct status *st, const char *path, struct err *err) MMR_CHECKED;

#endif
