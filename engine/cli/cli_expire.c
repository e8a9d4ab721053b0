/*
 * cli_expire.c - bundles past their time, as plan, run and status tell of them.
 */
#include <mmretain/policy.h>
#include <mmretain/store.h>

#include "cli_expire.h"

void cli_overdue(const struct ledger_archive *a, struct cli_overdue *ret)
{
	int64_t now_ms = time_now_ms();

	*ret = (struct cli_overdue){.oldest_ms = INT64_MAX};
	for (size_t i = 0; i < a->n; i++) {
		const struct ledger_published *p = &a->bundle[i];

		ret->expiring += p->expiry == LEDGER_EXPIRING;
		ret->expired += p->expiry == LEDGER_EXPIRED;
		ret->lost += p->loss != NULL;
		if (p->expiry != LEDGER_THERE || p->loss || p->expires_ms == 0 || p->expires_ms > now_ms)
			continue;
		ret->bundles++;
		ret->bytes += p->file_bytes;
		if (p->expires_ms < ret->oldest_ms)
			ret->oldest_ms = p->expires_ms;
	}
}

int cli_overdue_of(struct cli *cli, bool *ret_known, struct cli_overdue *ret, struct err *err)
{
	struct store *store = NULL;
	struct ledger_archive *a;
	int r = store_open(cli->ctx, cli->policy->archive.store, /* writable= */ false, &store, err);

	*ret_known = false;
	if (r == 0 && (r = ledger_archive(cli->ctx, store->ledger_dirfd, &a, err)) == 0) {
		cli_overdue(a, ret);
		talloc_free(a);
		*ret_known = true;
	}
	talloc_free(store);
	if (r == 0 || r == -ERR_VERIFY)
		return r;
	err_clear(err);
	return 0;
}

/* ---- of a run ---- */

struct sums { uint64_t threads, posts, bytes; };

static struct sums removed(const struct run_expire_report *rep)
{
	struct sums s = {0};

	for (size_t i = 0; i < rep->n; i++) {
		const struct run_expired *b = &rep->bundle[i];

		if (b->state != RUN_EXPIRED)
			continue;
		s.threads += b->threads;
		s.posts += b->posts;
		s.bytes += b->bytes;
	}
	return s;
}

json_t *cli_expire_run_json(const struct run_expire_report *rep)
{
	json_t *obj, *stays;
	struct sums s;

	if (!rep)
		return json_null();
	obj = cli_json_check(json_object());
	stays = cli_json_check(json_object());
	s = removed(rep);
	cli_json_int(obj, "bundles", rep->count[RUN_EXPIRED]);
	cli_json_int(obj, "threads", s.threads);
	cli_json_int(obj, "posts", s.posts);
	cli_json_int(obj, "bytes", s.bytes);
	for (int i = 0; i < RUN_EXPIRIES; i++)
		if (i != RUN_EXPIRED && rep->count[i])
			cli_json_int(stays, run_expiry_name((enum run_expiry)i), rep->count[i]);
	cli_json_put(obj, "stays", stays);
	return obj;
}

void cli_expire_print_run(const struct cli *cli, const struct run_expire_report *rep)
{
	struct sums s;
	char bytes[TIME_TEXT];
	const char *comma = "";

	if (!rep || rep->n == 0)
		return;
	s = removed(rep);
	bytes_format(s.bytes, bytes);
	printf("expired   %s, %s, %s, %s\n", cli_count(cli->ctx, rep->count[RUN_EXPIRED], "bundle"),
	       cli_count(cli->ctx, s.threads, "thread"), cli_count(cli->ctx, s.posts, "post"), bytes);
	if (rep->count[RUN_EXPIRED] == rep->n)
		return;
	printf("          past their time and still there: ");
	for (int i = 0; i < RUN_EXPIRIES; i++) {
		if (i == RUN_EXPIRED || !rep->count[i])
			continue;
		printf("%s%s %llu", comma, i == RUN_EXPIRES ? "left" : run_expiry_name((enum run_expiry)i),
		       (unsigned long long)rep->count[i]);
		comma = ", ";
	}
	printf("; `mmretain expire -n` says why\n");
}
