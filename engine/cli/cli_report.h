/* cli_report.h - the protocol of one run, and the short forms of report. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli_protocol.h"

struct report {
	struct cli *cli;
	json_t *doc;
	const json_t *begin, *plan, *end, *totals;
	const struct protocol_bundles *bundles;
	const struct protocol_sums *sums;
	const char *rule, *team;   /* of a part of the run; "": all */
};

/* A numbered point of the protocol; number 0: one more line of it. */
void MMR_PRINTF(4, 5) report_point(const struct report *rp, int number, const char *label, const char *fmt, ...);
/* Points 9 to 12: the bundles with their digests, one after the other, and by what method.  ERR_INTERRUPTED at a
 * signal. */
int report_evidence(struct report *rp, struct err *err) MMR_CHECKED;

/* Every run, oldest first, with what it archived and deleted; of q only rule and team count.  The archive is open. */
int cli_report_list(struct cli *cli, const struct protocol_query *q, struct err *err) MMR_CHECKED;
/* What became of the bundle of --bundle; opens the archive.  ERR_USAGE, ERR_NOT_FOUND. */
int cli_report_bundle(struct cli *cli, struct err *err) MMR_CHECKED;

#endif
