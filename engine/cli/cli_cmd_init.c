/*
 * cli_cmd_init.c - make the archive root.
 */
#include <mmretain/policy.h>
#include <mmretain/store.h>

#include "cli.h"

int cli_cmd_init(struct cli *cli, struct err *err)
{
	int r = cli_load_policy(cli, err);

	if (r == 0)
		r = store_init(cli->policy->archive.store, err);
	if (r < 0)
		return r;
	printf("archive root made: %s\n", cli_safe(cli->ctx, cli->policy->archive.store));
	return 0;
}
