/*
 * cli_doctor_archive.c - what a run needs of the archive: room, a whole ledger, bundles that are there.
 */
#include <sys/stat.h>

#include <mmretain/ledger.h>
#include <mmretain/mm.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_doctor.h"
#include "cli_expire.h"
#include "cli_mirror.h"

#define FREE_BUNDLES 4          /* room for so many bundles is a warning when there is less */
#define FREE_FIFTHS 2           /* of a bundle: a run begins none with less */

static void check_space(struct doctor *d)
{
	uint64_t free_bytes = 0, size = d->cli->policy->archive.bundle_size_bytes, wanted = FREE_BUNDLES * size,
		 least = size / 5 * FREE_FIFTHS;
	char have[TIME_TEXT], need[TIME_TEXT];
	struct err err = {0};

	if (store_free_bytes(d->cli->store, &free_bytes, &err) < 0) {
		doctor_fail(d, "space", &err);
		return;
	}
	bytes_format(free_bytes, have);
	bytes_format(wanted, need);
	if (free_bytes < least) {
		bytes_format(least, need);
		err_set(&err, ERR_STORE, "%s free, less than the %s with which a bundle is begun", have, need);
		err_hint(&err, "Make room, or lower `bundle_size`: a run archives nothing until then.");
		doctor_fail(d, "space", &err);
	} else if (free_bytes < wanted)
		doctor_warn(d, "space", "Make room, or lower `bundle_size`.",
			    "%s free, less than %s: %d times `bundle_size`", have, need, FREE_BUNDLES);
	else
		doctor_good(d, "space", "%s free", have);
}

/* An archive that fills the disk of the attachments stops the chat. */
static void check_neighbour(struct doctor *d)
{
	struct stat archive, files;

	if (d->cli->mm && d->cli->mm->data_dirfd >= 0 && fstat(d->cli->store->root_dirfd, &archive) == 0 &&
	    fstat(d->cli->mm->data_dirfd, &files) == 0 && archive.st_dev == files.st_dev)
		doctor_warn(d, "space", "Give the archive a file system of its own.",
			    "the archive and the attachments share a file system: one that fails or is full takes "
			    "both");
}

static void check_not_back(struct doctor *d, int64_t last_ms)
{
	char last[TIME_TEXT];

	if (!d->cli->mm || time_is_overridden() || d->cli->mm->clock_ms > last_ms - DOCTOR_CLOCK_FAIL_MS)
		return;
	time_format(last_ms, last);
	doctor_warn(d, "ledger",
		    "A run is refused; set the clock right (NTP). When it is right now and was wrong then, run "
		    "once with --now and the time of now.",
		    "the last run wrote its last line at %s, which is still to come", last);
}

/* Opening the ledger would recover it, and doctor changes nothing: read it, and ask the fold for open ends. */
static void check_ledger(struct doctor *d)
{
	struct ledger_state *state = NULL;
	enum mm_home home = MM_HOME_SAME;
	struct err err = {0};

	if (ledger_fold(d->cli->ctx, d->cli->store->ledger_dirfd, &state, &err) < 0) {
		doctor_fail(d, "ledger", &err);
		return;
	}
	if (d->cli->mm && d->cli->mm->schema && state->system)
		home = mm_home(d->cli->mm->schema, state->system, state->database);
	if (home == MM_HOME_HIDDEN)
		doctor_warn(d, "ledger", "A run is refused; " MM_HOME_GRANT " to the role again.", "%s",
			    mm_home_problem(home));
	else if (home == MM_HOME_SHOWN)
		doctor_warn(d, "ledger",
			    "A run is refused; when it is the server of the last run into this archive, run once with "
			    "--moved-database.",
			    "%s", mm_home_problem(home));
	else if (home == MM_HOME_OTHER)
		doctor_warn(d, "ledger",
			    "A run is refused; when the database was moved, restored or upgraded, run once with "
			    "--moved-database.",
			    "the last run into this archive was with database %s of system %s", state->database,
			    state->system);
	doctor_good(d, "ledger", "%llu line%s, chain whole", (unsigned long long)state->entries, cli_s(state->entries));
	check_not_back(d, state->last_ms);
	if (state->open_run)
		doctor_warn(d, "runs", "When it was interrupted, the next run takes it up.",
			    "run %s is going on, or was interrupted; %zu bundle%s %s unfinished", state->open_run,
			    state->n_bundles, cli_s(state->n_bundles), state->n_bundles == 1 ? "is" : "are");
	else if (state->n_bundles)
		doctor_warn(d, "runs",
			    state->n_bundles == 1 ? "The next run takes it up." : "The next run takes them up.",
			    "%zu bundle%s of runs that have ended %s unfinished", state->n_bundles,
			    cli_s(state->n_bundles), state->n_bundles == 1 ? "is" : "are");
}

static void check_expiry(struct doctor *d)
{
	struct ledger_archive *a;
	struct cli_overdue o;
	struct err err = {0};
	char bytes[TIME_TEXT];

	if (ledger_archive(d->cli->ctx, d->cli->store->ledger_dirfd, &a, &err) < 0)
		return; /* check_ledger has told it */
	cli_overdue(a, &o);
	bytes_format(o.bytes, bytes);
	if (o.expiring)
		doctor_warn(d, "expiry", "`mmretain expire --yes` or the next run goes on.",
			    "the expiry of %llu bundle%s was begun and has not ended", (unsigned long long)o.expiring,
			    cli_s(o.expiring));
	if (o.bundles)
		doctor_good(d, "expiry",
			    "%llu bundle%s past %s time, %s; `mmretain expire -n` says what becomes of them",
			    (unsigned long long)o.bundles, cli_s(o.bundles), o.bundles == 1 ? "its" : "their", bytes);
	talloc_free(a);
}

static void check_missing(struct doctor *d)
{
	const struct ledger_published *missing;
	struct err err = {0};
	size_t n;

	if (audit_missing(d->cli->ctx, d->cli->store, &missing, &n, &err) < 0 || n == 0)
		return; /* check_ledger has told it */
	doctor_warn(d, "bundles", AUDIT_MISSING_HINT, "%s", cli_missing_text(d->cli->ctx, missing, n));
}

void doctor_archive(struct doctor *d)
{
	struct err err = {0};

	if (cli_open_store(d->cli, /* writable= */ true, &err) < 0) {
		doctor_fail(d, "archive", &err);
		return;
	}
	doctor_good(d, "archive", "%s", d->cli->store->path);
	check_space(d);
	check_neighbour(d);
	check_ledger(d);
	check_expiry(d);
	check_missing(d);
}

void doctor_mirror(struct doctor *d)
{
	struct cli_mirror_probe found;
	struct err err = {0};

	if (cli_probe_mirror(d->cli, &found, &err) < 0)
		doctor_fail(d, "mirror", &err);
	else if (found.versions)
		doctor_warn(d, "mirror",
			    "Turn versioning off, or let a lifecycle rule remove what is not current (operating.md in "
			    "share/doc/mmretain).",
			    "%s keeps versions: what `erase` and `expire` remove stays there",
			    d->cli->policy->archive.mirror.bucket);
	else if (found.has)
		doctor_good(d, "mirror", "%s: an object was written, read, listed and removed",
			    d->cli->policy->archive.mirror.bucket);
}
