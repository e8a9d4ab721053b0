/* cli_mirror.h - what commands say of the copy in a bucket. */
#ifndef CLI_MIRROR_H
#define CLI_MIRROR_H

#include <mmretain/run.h>

#include "cli.h"

struct mirror;
/* The mirror of the policy, NULL when it has none; policy first.  Errors as mirror_open. */
int cli_open_mirror(struct cli *cli, struct mirror **ret, struct err *err) MMR_CHECKED;
/* Opens it and writes, reads, lists and removes an object there; where an archive is open, the mirror must be its
 * (ERR_VERIFY).  has: the policy has one; versions: what is removed there stays as a version. */
struct cli_mirror_probe { bool has, versions; };
int cli_probe_mirror(struct cli *cli, struct cli_mirror_probe *ret, struct err *err) MMR_CHECKED;

/* After a command that wrote a line between two runs: the mirror gets it, or a warning says that it has it after the
 * next run.  Nothing without a policy or a mirror. */
void cli_mirror_send(struct cli *cli);

/* verify --mirror: compared with the ledger of the open archive; NULL: not asked for.  ERR_USAGE: no policy names a
 * mirror. */
int cli_mirror_verify(struct cli *cli, struct run_mirror_report **ret, struct err *err) MMR_CHECKED;
bool cli_mirror_sound(const struct run_mirror_report *r);
json_t *cli_mirror_json(const struct run_mirror_report *r);
void cli_mirror_print(struct cli *cli, const struct run_mirror_report *r);
/* ERR_VERIFY, with what is missing. */
int cli_mirror_judge(const struct run_mirror_report *r, struct err *err) MMR_CHECKED;

/* status: how many bundles have no copy; what cannot be asked is told and no failure. */
struct cli_mirror_state { bool has; uint64_t bundles, missing; char *problem; /* NULL: it answered */ };
void cli_mirror_state(struct cli *cli, struct cli_mirror_state *ret);
json_t *cli_mirror_state_json(const struct cli_mirror_state *s);
void cli_mirror_state_print(struct cli *cli, const struct cli_mirror_state *s);

#endif
