/*
 * cli_store.c - open the archive root that the policy names.
 */
#include <errno.h>

#include <mmretain/ledger.h>
#include <mmretain/policy.h>
#include <mmretain/store.h>

#include "cli.h"

int cli_open_store(struct cli *cli, bool writable, struct err *err)
{
	return store_open(cli->ctx, cli->policy->archive.store, writable, &cli->store, err);
}

/* A run cannot go on without the archive, but a plan deletes nothing. */
static int no_archive(int r, struct err *err)
{
	bool denied = r == -ERR_PERMISSION || err->sys_errno == EACCES || err->sys_errno == EPERM;

	if (!denied && r != -ERR_STORE)
		return r;
	if (denied)
		log_warn("%s: threads that `mmretain hold` keeps are shown as if they were not held; a run keeps them",
			 err->msg);
	err_clear(err);
	return 0;
}

int cli_held(struct cli *cli, struct ledger_state **ret, struct err *err)
{
	struct store *store = NULL;
	int r = store_open(cli->ctx, cli->policy->archive.store, /* writable= */ false, &store, err);

	*ret = NULL;
	if (r == 0)
		r = ledger_fold(cli->ctx, store->ledger_dirfd, ret, err);
	talloc_free(store);
	return r < 0 ? no_archive(r, err) : 0;
}
