/* cli_doctor.h - what the parts of `doctor` share: a line for each check. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli.h"

#define DOCTOR_CLOCK_FAIL_MS 60000

struct doctor {
	struct cli *cli;
	json_t *list;
	struct err first;        /* of the first failure: it decides the exit status */
	unsigned warnings, failures;
};

void MMR_PRINTF(3, 4) doctor_good(struct doctor *d, const char *check, const char *fmt, ...);
void MMR_PRINTF(4, 5) doctor_warn(struct doctor *d, const char *check, const char *hint, const char *fmt, ...);
/* Takes err over. */
void doctor_fail(struct doctor *d, const char *check, struct err *err);

/* Archive, ledger, expiry and bundles; after policy and database. */
void doctor_archive(struct doctor *d);
void doctor_mirror(struct doctor *d);

#endif
