/*
 * cli_db.c - connect to the database that the policy names.
 */
#include <mmretain/mm.h>
#include <mmretain/policy.h>

#include "cli.h"

int cli_connect(struct cli *cli, struct err *err)
{
	const struct policy_database *d = &cli->policy->database;
	const struct mm_source source = {.mattermost_config = d->mattermost_config,
					 .service = d->service,
					 .url = d->url,
					 .files = d->files};

	return mm_open(cli->ctx, &source, &cli->mm, err);
}

int cli_open_db(struct cli *cli, struct err *err)
{
	int r = cli_connect(cli, err);

	return r < 0 ? r : mm_probe(cli->mm, err);
}
