/*
 * run_restore_all.c - all that a run deleted, or all of one bundle, back into the database.
 *
 * Bundle after bundle, each verified and then read once from front to back; what the database holds when it ends,
 * however it ends, is whole threads.
 */
#include "run_internal.h"
#include "run_restore.h"

#include <string.h>

struct all {
	void *ctx;
	const struct run_restore_all_options *options;
	struct restore r;
	struct run_restore_all_report *report;
	struct ledger_purges *purges;
	struct ledger_archive *archive;
	const struct ledger_published **published; /* of each bundle of the report; NULL: of a waiver */
	struct ledger_state *state;
	uint64_t seen, total;                /* threads, for the progress */
};

const char *run_back_name(enum run_back state)
{
	static const char *const name[RUN_BACKS] = {"left",    "done", "parts",	  "waived", "unfinished",
						    "expired", "lost", "missing", "damaged"};

	return name[state];
}

const char *run_left_name(enum run_left_why why)
{
	static const char *const name[RUN_LEFTS] = {"erased", "channel", "row", "file", "later", "unreadable"};

	return name[why];
}

/* ---- which bundles ---- */

static const struct ledger_published *find_published(const struct all *a, const char *bundle)
{
	for (size_t i = 0; i < a->archive->n; i++)
		if (strcmp(a->archive->bundle[i].bundle, bundle) == 0)
			return &a->archive->bundle[i];
	return NULL;
}

static bool erasure_is_open(const struct all *a, const struct ledger_published *p)
{
	for (size_t i = 0; i < a->state->n_erasing; i++) {
		const struct ledger_erasure *e = &a->state->erasing[i];

		if (strcmp(e->bundle, p->bundle) == 0 && store_has_file(a->r.store, e->rel_path))
			return true;
	}
	return false;
}

static enum run_back state_of(const struct all *a, const struct ledger_published *p)
{
	if (!p)
		return RUN_BACK_WAIVED;
	if (p->expiry == LEDGER_EXPIRED)
		return RUN_BACK_EXPIRED;
	if (erasure_is_open(a, p))
		return RUN_BACK_UNFINISHED;
	if (store_has_file(a->r.store, p->rel_path))
		return RUN_BACK_LEFT;
	if (p->expiry == LEDGER_EXPIRING) /* removed, and a crash came before the line */
		return RUN_BACK_EXPIRED;
	return p->loss ? RUN_BACK_LOST : RUN_BACK_MISSING;
}

static void list_bundles(struct all *a)
{
	struct run_restore_all_report *rep = a->report;

	rep->run = a->purges->run ? mem_strdup(rep, a->purges->run) : NULL;
	rep->bundle = mem_array(rep, struct run_back_bundle, a->purges->n + 1);
	a->published = mem_array(a->ctx, const struct ledger_published *, a->purges->n + 1);
	for (size_t i = 0; i < a->purges->n; i++) {
		const struct ledger_purged *from = &a->purges->bundle[i];
		const struct ledger_published *p = a->published[i] = find_published(a, from->bundle);

		rep->bundle[rep->n++] = (struct run_back_bundle){
			.bundle = mem_strdup(rep, from->bundle), .rel_path = mem_strdup(rep, p ? p->rel_path : ""),
			.rule = mem_strdup(rep, p ? p->rule : ""),
			.archived = p ? p->threads : from->threads, .state = state_of(a, p),
		};
		a->total += p ? p->threads : 0;
	}
}

/* A run that came to nothing, a bundle by which nothing was deleted: "all of it is back" would be a misunderstanding.
 */
static int check_any(const struct all *a, struct err *err)
{
	const struct ledger_purges *p = a->purges;

	if (p->run && p->n == 0) {
		err_set(err, ERR_NOT_FOUND, "run %s deleted no threads", p->run);
		return err_hint(err, "`mmretain report list` says of each run what it deleted.");
	}
	if (p->run || p->bundle[0].begun)
		return 0;
	err_set(err, ERR_NOT_FOUND, "by bundle \"%s\" nothing was deleted", p->bundle[0].bundle);
	return err_hint(err, "Its threads stayed, or went with another bundle: `mmretain restore THREAD` takes a "
			     "thread as it was archived last.");
}

static int choose(struct all *a, struct err *err)
{
	int dirfd = a->r.store->ledger_dirfd, rc;

	if ((rc = ledger_purged(a->ctx, dirfd, a->options->run, a->options->bundle, &a->purges, err)) < 0 ||
	    (rc = check_any(a, err)) < 0 || (rc = ledger_archive(a->ctx, dirfd, &a->archive, err)) < 0 ||
	    (rc = ledger_fold(a->ctx, dirfd, &a->state, err)) < 0)
		return rc;
	list_bundles(a);
	return a->options->access(a->options->payload, a->report->n, a->total, err);
}

/* ---- one bundle ---- */

/* What goes into the database is what once came out of it.  A bundle that is not whole is told, and the others go on:
 * 1. */
static int verify(struct all *a, const struct ledger_published *p, struct run_back_bundle *b, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "vouched bundle");
	struct receipt *receipt;
	struct digest file, rows;
	int rc;

	if (!hex_decode(p->file_digest, DIGEST_BYTES, file.b) || !hex_decode(p->rows_digest, DIGEST_BYTES, rows.b))
		rc = err_set(err, ERR_VERIFY, "the ledger has no digest of \"%s\"", b->rel_path);
	else
		rc = bundle_reopen(ctx, a->r.store->root_dirfd, b->rel_path, &file, &rows, &receipt, err);
	if (rc != -ERR_VERIFY && rc != -ERR_STORE && rc != -ERR_NOT_FOUND)
		return rc;
	b->state = store_has_file(a->r.store, b->rel_path) ? RUN_BACK_DAMAGED : RUN_BACK_MISSING;
	b->why = mem_strdup(a->report, err->msg);
	err_clear(err);
	return 1;
}

static int each_thread(struct all *a, struct restore_batch *batch, struct audit_walk *w, struct err *err)
{
	int rc = 1;

	while (rc == 1) {
		auto_mem void *ctx = mem_context(NULL, "restored thread");
		struct audit_thread *t;
		const char *lines;
		size_t len;

		if ((rc = stop_requested() ? restore_batch_end(batch, err) : 0) < 0 || (rc = stop_check(err)) < 0 ||
		    (rc = audit_walk_next(w, ctx, &t, &lines, &len, err)) <= 0)
			break;
		progress_update(a->options->progress, "restore", a->seen++, a->total, "threads");
		if (ledger_purged_stayed(batch->purged, t->root))
			batch->bundle->stayed++;
		else if ((rc = restore_batch_thread(batch, t, lines, len, err)) == 0)
			rc = 1;
	}
	return rc < 0 ? rc : restore_batch_end(batch, err);
}

static int read_bundle(struct all *a, size_t i, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "bundle that comes back");
	struct run_back_bundle *b = &a->report->bundle[i];
	struct restore_batch *batch = mem_new(ctx, struct restore_batch);
	struct bundle_reader *reader;
	struct audit_walk *w;
	int rc;

	if ((rc = mm_probe_watch(a->r.mm, err)) < 0)
		return err_hint(err, "No more threads are put back: give the same command again when the server's "
				     "upgrade or job is finished.");
	if ((rc = verify(a, a->published[i], b, err)) != 0)
		return rc < 0 ? rc : 0;
	if ((rc = audit_walk_open(a->r.audit, b->rel_path, ctx, &w, err)) < 0)
		return rc != -ERR_NOT_FOUND ? rc : err_hint(err, "It came while the archive was being listed: give the "
								 "same command again.");
	if (audit_walk_parts(w)) {
		b->state = RUN_BACK_PARTS;
		return 0;
	}
	*batch = (struct restore_batch){.r = &a->r,
					.report = a->report,
					.state = a->state,
					.purged = &a->purges->bundle[i],
					.bundle = b};
	if ((rc = bundle_open(ctx, a->r.store->root_dirfd, b->rel_path, &reader, err)) < 0 ||
	    (rc = purge_put_open(ctx, a->r.mm, reader, &batch->put, err)) < 0)
		return rc;
	rc = each_thread(a, batch, w, err);
	restore_batch_drop(batch);
	if (rc == 0)
		b->state = RUN_BACK_DONE;
	return rc;
}

static int read_all(struct all *a, struct err *err)
{
	uint64_t before = 0;
	int rc = 0;

	for (size_t i = 0; i < a->report->n && rc == 0; i++) {
		const struct run_back_bundle *b = &a->report->bundle[i];

		a->seen = before;
		if ((rc = stop_check(err)) == 0 && b->state == RUN_BACK_LEFT)
			rc = read_bundle(a, i, err);
		before += b->rel_path[0] ? b->archived : 0;
	}
	/* What the hint says of one transaction is not so here. */
	if (rc < 0 && a->report->done && strncmp(err->hint, "Nothing was changed", 19) == 0)
		(void)err_hint(err, "What is back stays: the same command does the rest when this is settled.");
	return rc;
}

/* ---- what came of it ---- */

static int tell_left_out(size_t threads, uint64_t bundles, struct err *err)
{
	if (!bundles)
		err_set(err, ERR_KEPT, "left out: %zu thread%s", threads, threads == 1 ? "" : "s");
	else if (!threads)
		err_set(err, ERR_KEPT, "left out: all of %llu bundle%s", (unsigned long long)bundles,
			bundles == 1 ? "" : "s");
	else
		err_set(err, ERR_KEPT, "left out: %zu thread%s, and all of %llu bundle%s", threads,
			threads == 1 ? "" : "s", (unsigned long long)bundles, bundles == 1 ? "" : "s");
	return err_hint(err, "The list says why; `mmretain export` and `show` read what is in a bundle.");
}

static int judge(const struct all *a, struct err *err)
{
	const struct run_restore_all_report *rep = a->report;
	const struct run_back_bundle *bad = NULL;
	uint64_t n_bad = 0, without = 0, files = 0;

	for (size_t i = 0; i < rep->n; i++) {
		const struct run_back_bundle *b = &rep->bundle[i];
		bool broken = b->state == RUN_BACK_MISSING || b->state == RUN_BACK_DAMAGED;

		bad = bad || !broken ? bad : b;
		n_bad += broken;
		without += !broken && b->state != RUN_BACK_DONE;
		files += b->files_left;
	}
	if (bad) {
		err_set(err, ERR_VERIFY, "%llu bundle%s cannot be read, and what %s not back: %s is %s",
			(unsigned long long)n_bad, n_bad == 1 ? "" : "s", n_bad == 1 ? "it holds is" : "they hold is",
			bad->rel_path, run_back_name(bad->state));
		return err_hint(err, AUDIT_MISSING_HINT " Then the same command does the rest.");
	}
	if (rep->n_left_out || without)
		return tell_left_out(rep->n_left_out, without, err);
	if (!files)
		return 0;
	err_set(err, ERR_KEPT, "%llu attachment%s without content: %s", (unsigned long long)files,
		files == 1 ? "" : "s", rep->no_files ? rep->no_files : "the bundle does not hold it");
	return err_hint(err, "The rows are %s; a file can be put in its place by hand.",
			rep->done ? "back" : "not back yet");
}

int run_restore_all(void *ctx, const struct policy *policy, struct store *store, struct audit *audit,
		    const struct run_restore_all_options *options, struct run_restore_all_report **ret, struct err *err)
{
	auto_mem void *own = mem_context(ctx, "restore");
	struct all a = {.ctx = own, .options = options, .report = mem_new(ctx, struct run_restore_all_report)};
	int rc;

	a.r = (struct restore){.ctx = own,
			       .case_id = options->case_id,
			       .act = options->act,
			       .store = store,
			       .audit = audit};
	*ret = a.report;
	if ((rc = restore_open(&a.r, policy, err)) < 0)
		return rc;
	if (!mm_has_files(a.r.mm) && a.r.mm->data_problem)
		a.report->no_files = mem_strdup(a.report, a.r.mm->data_problem);
	if ((rc = choose(&a, err)) == 0)
		rc = read_all(&a, err);
	for (size_t i = 0; i < a.report->n_left_out; i++)
		a.report->count[a.report->left_out[i].why]++;
	return rc < 0 ? rc : judge(&a, err);
}
