/* cli_loss.h - bundles that were declared lost, as verify lists them. */
#ifndef CLI_LOSS_H
#define CLI_LOSS_H

#include "cli.h"

struct cli_loss { const char *rel_path, *why /* and when */; uint64_t threads, posts; };
json_t *cli_losses_json(const struct cli_loss *l, size_t n);
void cli_losses_print(const struct cli *cli, const struct cli_loss *l, size_t n);

#endif
