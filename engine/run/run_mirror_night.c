/* run_mirror_night.c - where a night meets the mirror: before its first line, before each delete, at its end. */
#include "run_internal.h"
#include "run_mirror.h"

int run_mirror_begin(struct run *run, struct err *err)
{
	int rc = run_mirror_open(run->ctx, run->policy, &run->mirror, err);

	if (rc < 0 || !run->mirror)
		return rc;
	mirror_until(run->mirror, run->options->deadline_boot_ms);
	return run_mirror_home(run->mirror, run->store, err);
}

static int gate(struct run *run, const struct run_purge *p, struct err *err)
{
	char hex[DIGEST_HEX + 1];
	int rc = 0;

	/* Once before anything goes: a host that is lost in its first night leaves bundles that some ledger knows. */
	if (!run->mirror_has_ledger && (rc = run_mirror_ledger(run->mirror, run->store, err)) < 0)
		return rc;
	run->mirror_has_ledger = true;
	digest_hex(receipt_file_digest(p->receipt), hex);
	return mirror_bundle(run->mirror, run->store, receipt_rel_path(p->receipt), hex, err);
}

/* Of a rule with `archive: none` there is nothing to copy. */
int run_mirror_gate(struct run *run, const struct run_purge *p, struct err *err)
{
	int64_t from = time_mono_us();
	int rc;

	if (!run->mirror || receipt_waived(p->receipt))
		return 0;
	mirror_until(run->mirror, run->work_until_boot_ms);
	rc = gate(run, p, err);
	run->mirror_failed |= rc < 0;
	run_timing("mirror", from, receipt_posts(p->receipt), p->name);
	return rc;
}

/* What ended the night with one of these has nothing to do with the bundles that the mirror lacks. */
static bool goes_on(int rc)
{
	return rc >= 0 || rc == -ERR_WORK_LEFT || rc == -ERR_KEPT || rc == -ERR_VERIFY || rc == -ERR_GUARD;
}

int run_mirror_rest(struct run *run, int rc, struct err *err)
{
	struct err own = {0};
	int end;

	if (!run->mirror || !run->report->begun || !goes_on(rc))
		return rc;
	mirror_until(run->mirror, run->options->deadline_boot_ms);
	end = mirror_rest(run->mirror, run->store, run->options->progress, rc < 0 ? &own : err);
	if (rc < 0 && end < 0 && !err_ends_work(end))
		log_warn("%s; the next run brings the mirror the rest", own.msg);
	return rc < 0 ? rc : end;
}

int run_mirror_close(struct run *run, struct err *err)
{
	int rc;

	if (!run->mirror || stop_requested())
		return 0; /* whoever stopped a run does not wait: the next one sends the ledger */
	mirror_until(run->mirror, 0);
	mirror_tell(run->mirror);
	rc = run_mirror_ledger(run->mirror, run->store, err);
	if (rc < 0)
		log_warn("the mirror has an older ledger (%s); the next run sends this one", err->msg);
	return rc;
}
