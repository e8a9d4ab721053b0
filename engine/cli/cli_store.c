/*
 * cli_store.c - open the archive root that the policy names.
 */
#include <mmretain/policy.h>
#include <mmretain/store.h>

#include "cli.h"

int cli_open_store(struct cli *cli, bool writable, struct err *err)
{
	return store_open(cli->ctx, cli->policy->archive.store, writable, &cli->store, err);
}
