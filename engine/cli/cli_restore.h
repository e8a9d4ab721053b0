/* cli_restore.h - what the two ways of `restore` share: threads by their ids, and all that a run deleted or a bundle
 * holds. */
#ifndef CLI_RESTORE_H
#define CLI_RESTORE_H

#include "cli.h"

/* --run or --bundle is given. */
int cli_restore_all(struct cli *cli, struct err *err) MMR_CHECKED;
/* What somebody should know once threads are back. */
void cli_restore_print_after(const struct cli *cli);

#endif
