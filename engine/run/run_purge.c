/* run_purge.c - receipts: ledger, purge, ledger for each; one sweep over them; their attachments go at the end of the
 * run (run_unlink.c). */
#include "run_internal.h"
#include "run_mirror.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_WAIT_MS = 10000 };

struct kept { struct run *run; struct run_purge *p; };

enum plan_reason run_reason(unsigned why)
{
	static const struct { unsigned bit; enum plan_reason reason; } table[] = {
		{MM_HOLD, KEPT_HOLD}, {MM_LEGAL_HOLD, KEPT_LEGAL_HOLD}, {MM_CONTENT_FLAG, KEPT_CONTENT_FLAG},
		{MM_COMPLIANCE, KEPT_COMPLIANCE}, {MM_BURN_ON_READ, KEPT_BURN_ON_READ}, {MM_PINNED, KEPT_PINNED},
		{MM_FLAGGED, KEPT_FLAGGED}, {MM_AUTHOR, KEPT_AUTHOR}, {MM_HASHTAG, KEPT_HASHTAG},
		{MM_TOO_YOUNG, KEPT_FLOOR},
		{MM_CHANGED, KEPT_CHANGED}, {MM_FILE_MISSING, KEPT_FILE_MISSING}, {MM_DAMAGED, KEPT_DAMAGED},
		{PURGE_UNSEEN, KEPT_FILE_UNREADABLE},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (why & table[i].bit)
			return table[i].reason;
	return KEPT_LOCKED;
}

void run_purge_stayed(struct run *run, struct run_purge *p, const char *root, size_t len)
{
	if ((p->n_stayed & (p->n_stayed - 1)) == 0)
		p->stayed = mem_grow(run->ctx, p->stayed, mm_id, p->n_stayed ? 2 * p->n_stayed : 1);
	memset(p->stayed[p->n_stayed], 0, sizeof(mm_id));
	memcpy(p->stayed[p->n_stayed++], root, len);
}

static int on_kept(void *payload, const char *root_id, unsigned why, struct err *err)
{
	struct kept *k = payload;

	(void)err;
	/* Gone before a delete began: the server removed it.  Once one has begun, it may have been us. */
	if (!(why & PURGE_GONE && k->p->started))
		run_purge_stayed(k->run, k->p, root_id, strlen(root_id));
	if (why & PURGE_GONE)
		return 0; /* nothing is kept of it */
	if (why & MM_FILE_MISSING && k->p->hints)
		return 0; /* counted when its blob was looked at */
	k->run->report->kept[run_reason(why)]++;
	log_debug("thread %s stays: %s", root_id, plan_reason_name(run_reason(why)));
	return 0;
}

void run_add_counts(struct purge_counts *to, const struct purge_counts *c)
{
	to->threads += c->threads;
	to->posts += c->posts;
	for (int k = 0; k < MM_KINDS; k++)
		to->rows[k] += c->rows[k];
	to->batches += c->batches;
	to->kept_changed += c->kept_changed;
	to->kept_held += c->kept_held;
	to->kept_locked += c->kept_locked;
	to->kept_gone += c->kept_gone;
	to->late_restored += c->late_restored;
	to->late_removed += c->late_removed;
	to->found_threads += c->found_threads;
	to->found_posts += c->found_posts;
	to->blobs_unlinked += c->blobs_unlinked;
	to->blobs_shared += c->blobs_shared;
	to->blobs_failed += c->blobs_failed;
	to->bytes_unlinked += c->bytes_unlinked;
	to->pause_ms += c->pause_ms;
	to->sweep_open |= c->sweep_open;
}

static void fill_options(struct run *run, const struct run_purge *p, struct kept *kept, struct purge_options *o)
{
	*o = (struct purge_options){
		.target_ms = run->policy->throttle.target_ms, .pause_factor = run->policy->throttle.pause_factor,
		.pace = run->pace,
		.batch_posts = &run->batch_posts, .count_found = p->unfinished, .find_here = p->find_here,
		.alone = run_alone(run),
		.deadline_boot_ms = run->work_until_boot_ms, .snapshot_ms = p->snapshot_ms,
		/* A transaction that outlived one wait will outlive the next: that the run after sweeps once more is
		 * certain already. */
		.sweep_wait_ms = run->report->total.sweep_open ? 0 : SWEEP_WAIT_MS,
		.sweep_xid = p->sweep_xid, .lock_db = run->lock_db, .lock_key = RUN_LOCK_KEY, .skip = p->skip,
		.n_skip = p->n_skip,
		.unlink_files = p->rule && p->rule->files != FILES_KEEP,
		.journal_parts = p->rule && p->receipt && !receipt_waived(p->receipt),
		.journal_dirfd = run->store->ledger_dirfd,
		.journal_name = p->journal, .kept = on_kept, .kept_payload = kept, .progress = run->options->progress,
	};
}

/* The channels that holds may cover: of the plan, or before there is one as they are now. */
static int find_scopes(struct run *run, void *ctx, const struct plan_scope **ret, size_t *ret_n, struct err *err)
{
	struct plan_scope *scope;
	struct mm_scope *found;
	int rc;

	if (run->plan) {
		*ret = run->plan->scope;
		*ret_n = run->plan->n_scopes;
		return 0;
	}
	if ((rc = mm_scopes(ctx, run->mm, &found, ret_n, err)) < 0)
		return rc;
	scope = mem_array(ctx, struct plan_scope, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++)
		scope[i].mm = &found[i];
	*ret = scope;
	return 0;
}

/* Of a delete that ends before its last batch, for time, a signal or an error: later nobody could tell what this run
 * did. */
static void tell_stopped(struct run *run, const struct run_purge *p)
{
	struct err own;

	if (p->counts->posts && run_line_step(run, "purge-stopped", p->name, p->counts, &own) < 0)
		log_warn("what was deleted of bundle %s is not in the ledger: %s", p->name, own.msg);
}

static int purge_step(struct run *run, struct run_purge *p, struct purge_options *o, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "protect");
	struct purge_counts *c = p->counts;
	struct mm_protect_query *protect;
	int64_t from = time_mono_us(), since_ms;
	const struct plan_scope *scope;
	size_t n_scopes;
	int rc;

	if ((rc = run_mirror_gate(run, p, err)) < 0)
		return rc;
	/* Since the run began the archive may have gone from its place, and a trigger, a foreign key, a migration or
	 * the server's own job may have come. */
	if ((rc = store_check_place(run->store, err)) < 0 || (rc = mm_probe_watch(run->mm, err)) < 0 ||
	    (rc = find_scopes(run, ctx, &scope, &n_scopes, err)) < 0 ||
	    (rc = plan_protect_query(ctx, run->policy, p->rule, run->mm, scope, n_scopes, &protect, err)) < 0)
		return rc;
	o->protect = protect;
	o->skip = run_skip_held(run, ctx, p->skip, p->n_skip, &o->n_skip);
	o->scope = run_scopes_left;
	o->scope_payload = run_scopes_new(ctx, run, p->rule, protect);
	o->protect_in_full = !p->hints || run->options->plan_file;
	if (!p->started && (rc = run_line_step(run, "purging", p->name, c, err)) < 0)
		return rc;
	if ((rc = run_fault(FAULT_PURGE_AFTER_INTENT, err)) < 0)
		return rc;
	/* Where nobody knows when the bundle was read, its rows are read again: a reply that is there by now is seen by
	 * that. */
	if (p->snapshot_ms <= 0)
		p->looked_ms = run_there_ms(run->mm);
	since_ms = p->snapshot_ms <= 0 ? p->looked_ms : p->snapshot_ms;
	run->since_ms = since_ms < run->since_ms ? since_ms : run->since_ms;
	o->seen = purge_seen_new(run->ctx, receipt_posts(p->receipt));
	rc = purge_receipt(run->mm, p->receipt, p->hints, o, c, err);
	run->deleted_mono_ms = time_mono_ms(); /* also of a purge that was cut short */
	if (rc < 0) {
		TALLOC_FREE(o->seen);
		tell_stopped(run, p);
		return rc;
	}
	p->seen = o->seen;
	if ((rc = run_fault(FAULT_PURGE_AFTER_BATCHES, err)) < 0)
		return rc;
	run_timing("delete", from, c->posts, p->name);
	if (p->n_stayed)
		qsort(p->stayed, p->n_stayed, sizeof(mm_id), mm_id_cmp);
	/* Before `purged`: a later sweep must know that they were never deleted. */
	if ((rc = run_line_stayed(run, p->name, p->stayed, p->n_stayed, err)) < 0)
		return rc;
	return run_line_step(run, "purged", p->name, c, err);
}

int run_purge_delete(struct run *run, struct run_purge *p, struct err *err)
{
	struct kept kept = {run, p};
	struct purge_options o;

	snprintf(p->journal, sizeof p->journal, "unlink-%s-%u.jsonl", run->report->id, ++run->journals);
	fill_options(run, p, &kept, &o);
	return p->settle_only ? 0 : purge_step(run, p, &o, err);
}

/* What a sweep put back is the server's again, like what an unfinished run had left: when the server removes it for
 * good, no later sweep brings it back.  A later run's lines take the place of those before, so that they name all. */
static int note_here(struct run *run, struct run_purge *p, const struct purge_swept *item, struct err *err)
{
	for (size_t i = 0; i < item->n_here; i++)
		run_purge_stayed(run, p, item->here[i], strlen(item->here[i]));
	return item->n_here ? run_line_stayed(run, p->name, p->stayed, p->n_stayed, err) : 0;
}

int run_purge_settle(struct run *run, struct run_purge *p, size_t n, struct err *err)
{
	auto_mem struct purge_swept *item = mem_array(run->ctx, struct purge_swept, n + 1);
	int64_t from = time_mono_us();
	struct purge_options o;
	int rc;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		item[i] = (struct purge_swept){.receipt = p[i].receipt, .counts = p[i].counts, .seen = p[i].seen,
					       .stayed = (const mm_id *)p[i].stayed, .n_stayed = p[i].n_stayed,
					       .ctx = item};
	fill_options(run, p, NULL, &o);
	if ((rc = run_fault(FAULT_SWEEP_BEFORE, err)) < 0 || (rc = run_still_ours(run, err)) < 0 ||
	    (rc = purge_sweep(run->mm, item, n, &o, err)) < 0 || (rc = run_fault(FAULT_SWEEP_AFTER_COMMIT, err)) < 0)
		return rc;
	/* Their attachments before their lines: what a line names is not looked at again. */
	for (size_t i = 0; i < n; i++)
		run_late_files(run, p[i].receipt, (const mm_id *)item[i].here, item[i].n_here);
	for (size_t i = 0; i < n; i++)
		if ((rc = note_here(run, &p[i], &item[i], err)) < 0)
			return rc;
	if ((rc = run_fault(FAULT_SWEEP_AFTER, err)) < 0)
		return rc;
	run_timing("sweep", from, 0, "");
	for (size_t i = 0; i < n; i++)
		TALLOC_FREE(p[i].seen);
	for (size_t i = 0; i < n && rc == 0; i++) {
		run->report->waived_open += p[i].counts->sweep_open && receipt_waived(p[i].receipt);
		rc = run_unlink_later(run, &p[i], err);
	}
	return rc;
}

void run_purge_report(struct run *run, const struct run_purge *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_add_counts(&run->report->total, p[i].counts);
}

int run_purge_receipt(struct run *run, struct run_purge *p, struct err *err)
{
	int rc;

	if (!run_deletes(run))
		/* archive only: this bundle will never be purged */
		return run_line_step(run, "bundle-done", p->name, p->counts, err);
	if ((rc = run_purge_delete(run, p, err)) == 0)
		rc = run_purge_settle(run, p, 1, err);
	run_purge_report(run, p, 1);
	return rc;
}
