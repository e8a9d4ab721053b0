/*
 * cli_cmd_reindex.c - build search indexes again from the bundles.
 */
#include <mmretain/catalog.h>

#include "cli_audit.h"

int cli_cmd_reindex(struct cli *cli, struct err *err)
{
	struct catalog_totals sum;
	char bundles[TIME_TEXT], indexes[TIME_TEXT];
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r == 0)
		r = catalog_reindex(cli->store, cli_given(cli, OPT_ALL), &sum, &cli->progress, err);
	if (r < 0)
		return r;
	if (cli->json) {
		json_t *doc = cli_json_check(json_object());
		cli_json_int(doc, "bundles", sum.bundles);
		cli_json_int(doc, "built", sum.built);
		cli_json_int(doc, "small", sum.small);
		cli_json_int(doc, "failed", sum.failed);
		cli_json_int(doc, "bundle_bytes", sum.bundle_bytes);
		cli_json_int(doc, "index_bytes", sum.index_bytes);
		r = cli_json_print(doc, err);
	} else {
		bytes_format(sum.bundle_bytes, bundles);
		bytes_format(sum.index_bytes, indexes);
		printf("%llu bundle%s (%s), %llu index file%s built, %llu small bundle%s read into the catalog alone, indexes %s (%.1f %%)\n",
		       (unsigned long long)sum.bundles, cli_s(sum.bundles), bundles, (unsigned long long)sum.built, cli_s(sum.built),
		       (unsigned long long)sum.small, cli_s(sum.small), indexes,
		       sum.bundle_bytes ? 100.0 * (double)sum.index_bytes / (double)sum.bundle_bytes : 0.0);
	}
	if (r == 0 && sum.failed > 0) {
		err_set(err, ERR_VERIFY, "%llu bundle%s cannot be read", (unsigned long long)sum.failed, cli_s(sum.failed));
		return err_hint(err, "Run `mmretain verify` to see what is damaged.");
	}
	return r;
}
