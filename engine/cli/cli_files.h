/* cli_files.h - the attachment folder, as doctor sees it. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include "cli.h"

struct cli_files { bool well; const char *text, *hint /* "" where it is well */; };
/* What a run could do with attachments, tried with some of them.  cli->mm must be open. */
int cli_files(struct cli *cli, struct cli_files *ret, struct err *err) MMR_CHECKED;

#endif
