/* cli_audit.h - what find, show and export share. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include <mmretain/audit.h>
#include <mmretain/ledger.h>

#include "cli.h"

/* The archive root of --archive, or of the policy. */
int cli_open_archive(struct cli *cli, bool writable, struct err *err) MMR_CHECKED;
/* Archive and indexes; --case and --reason are asked for first. */
int cli_open_audit(struct cli *cli, struct audit **ret, struct err *err) MMR_CHECKED;
/* The options that narrow a search, and the operands as words unless `words` is false. */
int cli_question(struct cli *cli, bool words, struct audit_question *ret, struct err *err) MMR_CHECKED;
/* The question asks for something: words, or an option that narrows. */
bool cli_asks(const struct audit_question *q);
/* What was asked, for people: operands and the options that narrow. */
char *cli_asked(struct cli *cli);
/* The record of the case log; durable when it returns 0. */
int cli_log_access(struct cli *cli, struct audit *a, const char *thread, uint64_t threads, uint64_t posts,
		   struct err *err) MMR_CHECKED;
/* The same of so many bundles, where they are read afterwards. */
int cli_log_access_of(struct cli *cli, uint64_t bundles, const char *thread, uint64_t threads, uint64_t posts,
		      struct err *err) MMR_CHECKED;
/* With -v, on stderr. */
void cli_audit_stats(const struct cli *cli, const struct audit *a);
/* 0, or ERR_VERIFY when a bundle was passed over: the answer, already printed, lacks it. */
int cli_audit_whole(const struct audit *a, struct err *err) MMR_CHECKED;
/* "2 bundles are missing: <first> and others; ...", safe to print; parent ctx. */
const char *cli_missing_text(void *ctx, const struct ledger_published *first, size_t n);
/* report --access */
int cli_print_access(struct cli *cli, struct err *err) MMR_CHECKED;

#endif
