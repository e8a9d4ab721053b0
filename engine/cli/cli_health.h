/* cli_health.h - what is wrong with the nights, and what waits for the next one. */
#ifndef CLI_HEALTH_H
#define CLI_HEALTH_H

#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_protocol.h"

struct cli_health {
	unsigned failed;            /* runs in a row, the newest last, that failed, were refused or did not end */
	const char *failed_since;   /* when the first of them began; of runs */
	const char *last_error;     /* name of the code of the newest of them, or NULL: it did not end */
	const struct run_attempt *attempt;
	unsigned unended;           /* runs in a row of which none did all */
	size_t all_shown;           /* runs that were looked at */
	uint64_t silent_days;       /* 0: it is not long ago */
	bool tried;                 /* one that ended before it began is not long ago: the timer is at work */
	uint64_t journals, files;   /* of attachments that are still to be unlinked */
	int64_t waiting_since_ms;   /* of the oldest journal; INT64_MAX: none */
	uint64_t unmatched;         /* words of holds that matched nothing in the newest plan; which and when: */
	const json_t *unmatched_run;
	uint64_t aside;             /* journals that nobody carries out */
};
/* runs: of the protocol, oldest first; open_run: as in ledger_state; attempt: of a run that did not begin, or NULL.
 * Texts stay those of runs and attempt. */
int cli_health(const struct store *store, const json_t *runs, const char *open_run, const struct run_attempt *attempt,
	       struct cli_health *ret, struct err *err) MMR_CHECKED;

struct cli_health_text { void *ctx; char **warning; size_t n; };
void cli_health_warnings(void *ctx, const struct cli_health *h, struct cli_health_text *ret);

#endif
