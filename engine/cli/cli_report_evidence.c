/*
 * cli_report_evidence.c - what proves a run: its bundles, one after the other, and how it went about it.
 */
#include "cli_report.h"

/* The bundle was written again without somebody since, or was not. */
static void erasures_of(const struct report *rp, const json_t *entry)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(entry, "erasures"), i, one) {
		if (*protocol_str(one, "because")) {
			report_point(rp, 0, "",
				     "  %s: an erasure that was interrupted was withdrawn, case %s, because of a hold; "
				     "the bundle is as it was",
				     protocol_str(one, "at"), protocol_str(one, "case"));
			continue;
		}
		report_point(rp, 0, "", "  %s: one person erased, case %s, %s; the rows digest is the same",
			     protocol_str(one, "at"), protocol_str(one, "case"),
			     cli_count(rp->cli->ctx, protocol_int(one, "rows"), "row"));
		report_point(rp, 0, "", "  from then on %s", protocol_str(one, "rel_path"));
		report_point(rp, 0, "", "  file SHA-256 %s", protocol_str(one, "file_digest"));
	}
}

static void loss_of(const struct report *rp, const json_t *entry)
{
	const json_t *loss = json_object_get(entry, "abandoned");

	if (!loss)
		return;
	report_point(rp, 0, "", "  %s: declared lost (%s) by user %llu on %s: %s", protocol_str(loss, "at"),
		     protocol_str(loss, "found"), (unsigned long long)protocol_int(loss, "uid"),
		     protocol_str(loss, "host"), protocol_str(loss, "reason"));
	if (json_is_true(json_object_get(loss, "deleting")))
		report_point(rp, 0, "",
			     "  its delete was not finished: how many of its threads are gone is told above only as "
			     "far as lines say so");
}

static void evidence_of(const struct report *rp, const json_t *entry)
{
	int64_t expires_ms = (int64_t)protocol_int(entry, "expires_ms");
	char until[TIME_TEXT] = "told otherwise";

	if (expires_ms)
		time_format(expires_ms, until);
	if (protocol_bool(entry, "waived"))
		report_point(rp, 0, "", "no archive wanted by rule %s, because: %s", protocol_str(entry, "rule"),
		      protocol_str(entry, "because"));
	else if (*protocol_str(entry, "expired"))
		report_point(rp, 0, "", "%s, expired, removed %s", protocol_str(entry, "bundle"),
			     protocol_str(entry, "expired"));
	else if (json_object_get(entry, "rel_path"))
		report_point(rp, 0, "", "%s, to be kept until %s", protocol_str(entry, "rel_path"), until);
	else
		report_point(rp, 0, "", "%s, published by an earlier run", protocol_str(entry, "bundle"));
	if (*protocol_str(entry, "file_digest") && !protocol_bool(entry, "waived"))
		report_point(rp, 0, "", "  file SHA-256 %s", protocol_str(entry, "file_digest"));
	if (*protocol_str(entry, "rows_digest"))
		report_point(rp, 0, "", "  rows digest  %s", protocol_str(entry, "rows_digest"));
	erasures_of(rp, entry);
	loss_of(rp, entry);
	if (!protocol_bool(entry, "done"))
		report_point(rp, 0, "", "  not finished");
}

static void each(json_t *entry, void *payload)
{
	evidence_of(payload, entry);
}

int report_evidence(struct report *rp, struct err *err)
{
	uint64_t lists = rp->sums->lists, n = rp->sums->entries - lists;
	int r;

	if (lists)
		report_point(rp, 9, "evidence", "%llu bundle%s, %llu list%s of rows without an archive",
			     (unsigned long long)n, cli_s(n), (unsigned long long)lists, cli_s(lists));
	else
		report_point(rp, 9, "evidence", "%llu bundle%s", (unsigned long long)n, cli_s(n));
	if ((r = protocol_bundles_each(rp->bundles, each, rp, err)) < 0)
		return r;
	if (rp->begin && !protocol_bool(rp->begin, "purge")) {
		report_point(rp, 10, "method", "archive only: this run was to delete nothing (--no-purge)");
	} else {
		report_point(rp, 10, "method", "deletion of database rows, removal of attachment files");
		report_point(rp, 0, "", "not overwritten: free space in table files and on disks, until the systems "
					"reuse it");
	}
	report_point(rp, 11, "check", "each bundle was read back in full and compared before its rows were deleted");
	report_point(rp, 0, "", "closing sweep: late threads put back: %llu, late rows removed: %llu",
	      (unsigned long long)rp->sums->late_restored, (unsigned long long)rp->sums->late_removed);
	if (rp->sums->found_threads)
		report_point(rp, 0, "", "of bundles that an earlier run left unfinished, gone already: %s, %s",
			     cli_count(rp->cli->ctx, rp->sums->found_threads, "thread"),
			     cli_count(rp->cli->ctx, rp->sums->found_posts, "post"));
	if (rp->sums->open)
		report_point(rp, 0, "", "a transaction of then had not ended: a later run swept again, or will");
	report_point(rp, 12, "other copies", "replicas, write-ahead logs, backups and search indexes follow their own "
				      "periods; their operators are responsible");
	return 0;
}
