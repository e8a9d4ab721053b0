/* cli_fate.h - what became of a bundle, and of a thread in it, by the lines of the ledger. */
#ifndef CLI_FATE_H
#define CLI_FATE_H

#include "cli.h"

struct cli_fate_step { char *at, *run; };   /* of a line; at NULL: there is none */
struct cli_fate {
	char *bundle;                       /* its name when it was published first */
	const char *root;                   /* a thread in it, or NULL: the bundle as a whole */
	char *rule;                         /* NULL: the ledger has no line of it */
	bool parts;                         /* it has parts of threads that stay */
	struct cli_fate_step archived;      /* published, or listed where no archive is wanted */
	struct cli_fate_step begun, stopped, deleted; /* its delete; stopped: a run ended before it did */
	struct cli_fate_step stayed;        /* this thread was not deleted with it, or came back at once */
	struct cli_fate_step restored;      /* `restore` has put this thread back since; no run */
	/* [{at, type, run, threads, posts}] of the bundle; freed with the context */
	json_t *lines;
};
/* bundle: the name or the path of any generation of it; the names of a list without an archive as they are. */
void cli_fate_init(struct cli *cli, struct cli_fate *f, const char *bundle, const char *root);
/* Walks the ledger once for all of them.  Errors as ledger_read. */
int cli_fate_read(struct cli *cli, struct cli_fate *fate, size_t n, struct err *err) MMR_CHECKED;
/* "deleted 2026-11-24T02:00:09Z by run ..., rule alarms", safe to print; cli->ctx. */
const char *cli_fate_text(const struct cli *cli, const struct cli_fate *f);
/* bundle, rule, archived, begun, deleted, stayed, restored */
json_t *cli_fate_json(const struct cli_fate *f);

#endif
