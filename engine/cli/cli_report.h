/* cli_report.h - the short forms of report. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli_protocol.h"

/* Every run, oldest first, with what it archived and deleted; of q only rule and team count.  The archive is open. */
int cli_report_list(struct cli *cli, const struct protocol_query *q, struct err *err) MMR_CHECKED;
/* What became of the bundle of --bundle; opens the archive.  ERR_USAGE, ERR_NOT_FOUND. */
int cli_report_bundle(struct cli *cli, struct err *err) MMR_CHECKED;

#endif
