/*
 * cli_cmd_reindex.c - build search indexes again from the bundles.
 */
#include <mmretain/catalog.h>

#include "cli_audit.h"

static int print_json(const struct catalog_totals *sum, bool done, struct err *err)
{
	json_t *doc = cli_json_check(json_object());

	cli_json_bool(doc, "done", done);
	cli_json_int(doc, "bundles", sum->bundles);
	cli_json_int(doc, "built", sum->built);
	cli_json_int(doc, "small", sum->small);
	cli_json_int(doc, "failed", sum->failed);
	cli_json_int(doc, "bundle_bytes", sum->bundle_bytes);
	cli_json_int(doc, "index_bytes", sum->index_bytes);
	return cli_json_print(doc, err);
}

static void print_text(const struct cli *cli, const struct catalog_totals *sum, bool done)
{
	char bundles[TIME_TEXT], indexes[TIME_TEXT];

	bytes_format(sum->bundle_bytes, bundles);
	bytes_format(sum->index_bytes, indexes);
	printf("%s (%s), %s %s, %s read into the catalog alone, indexes %s%s (%.1f %%)\n",
	       cli_count(cli->ctx, sum->bundles, "bundle"), bundles, cli_count(cli->ctx, sum->built, "index file"),
	       done ? "built" : "to be built", cli_count(cli->ctx, sum->small, "small bundle"), done ? "" : "now ",
	       indexes, sum->bundle_bytes ? 100.0 * (double)sum->index_bytes / (double)sum->bundle_bytes : 0.0);
}

int cli_cmd_reindex(struct cli *cli, struct err *err)
{
	bool done = !cli_given(cli, OPT_DRY_RUN);
	struct catalog_totals sum;
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r == 0)
		r = (done ? catalog_reindex : catalog_reindex_look)(cli->store, cli_given(cli, OPT_ALL), &sum,
								    &cli->progress, err);
	if (r < 0)
		return r;
	if (cli->json)
		r = print_json(&sum, done, err);
	else
		print_text(cli, &sum, done);
	if (r == 0 && sum.failed > 0) {
		err_set(err, ERR_VERIFY, "%llu bundle%s cannot be read", (unsigned long long)sum.failed,
			cli_s(sum.failed));
		return err_hint(err, "Run `mmretain verify` to see what is damaged.");
	}
	return r;
}
