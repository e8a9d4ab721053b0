/*
 * run_expire.c - bundles past their time are removed, as the last step of a night or by themselves.
 *
 * Each: line `expiring`, its copies in the mirror, file, index, late rows; then, for all of a call, the catalog, and a
 * line `expired` for each.  A call that ends in between has announced what it removes: the next one finds the line, and
 * the file there (then it is looked at like any other) or gone (then the rest of it goes).
 */
#include "run_internal.h"
#include "run_erase.h"
#include "run_expire.h"
#include "run_held.h"
#include "run_mirror.h"

#include <mmretain/catalog.h>

#include <string.h>

enum { SKEW_WARN_MS = 60000, BUNDLE_MS = 1000, BYTES_A_MS = 20000 /* of reading back and the rest, rather too slow */ };

const char *run_expiry_name(enum run_expiry state)
{
	static const char *const name[RUN_EXPIRIES] = {"expires", "expired", "held",	"policy", "unfinished",
						       "young",	  "damaged", "missing", "back"};

	return name[state];
}

/* ---- lines ---- */

static void begin(struct ledger_entry *e, struct run_expire *x, const char *type, const struct run_expired *b)
{
	ledger_begin(e, x->ctx, type);
	if (x->run_id)
		ledger_str(e, "run", x->run_id);
	ledger_str(e, "bundle", b->bundle);
	ledger_str(e, "rel_path", b->rel_path);
}

static int line_expiring(struct run_expire *x, const struct ledger_published *p, const struct run_expired *b,
			 struct err *err)
{
	struct ledger_entry e;

	begin(&e, x, "expiring", b);
	ledger_str(&e, "rule", b->rule);
	ledger_str(&e, "file_digest", p->file_digest);
	ledger_str(&e, "rows_digest", p->rows_digest);
	ledger_int(&e, "expires_ms", b->expires_ms);
	ledger_int(&e, "threads", (int64_t)b->threads);
	ledger_int(&e, "posts", (int64_t)b->posts);
	ledger_int(&e, "rows", (int64_t)p->rows);
	ledger_int(&e, "file_bytes", (int64_t)b->bytes);
	ledger_int(&e, "first_ms", b->first_ms);
	ledger_int(&e, "last_ms", b->last_ms);
	return ledger_append(x->ledger, &e, err);
}

static int line_expired(struct run_expire *x, const struct run_expired *b, struct err *err)
{
	struct ledger_entry e;

	begin(&e, x, "expired", b);
	ledger_int(&e, "threads", (int64_t)b->threads);
	ledger_int(&e, "posts", (int64_t)b->posts);
	ledger_int(&e, "file_bytes", (int64_t)b->bytes);
	return ledger_append(x->ledger, &e, err);
}

static int line_withdrawn(struct run_expire *x, const struct run_expired *b, struct err *err)
{
	struct ledger_entry e;

	begin(&e, x, "expiry-withdrawn", b);
	ledger_str(&e, "because", run_expiry_name(b->state));
	return ledger_append(x->ledger, &e, err);
}

/* ---- removing ---- */

/* Reading a bundle back takes its time: the lock is still held, and the archive is where it was. */
static int still_ours(const struct run_expire *x, struct err *err)
{
	return run_lock_and_place(x->lock_db, x->store, err);
}

static int remove_named(void *payload, const char *rel_path, struct err *err)
{
	struct run_expire *x = payload;
	bool was;

	return store_remove(x->store, rel_path, NULL, &was, err);
}

/* Work on it that a crash ended: an erasure writes all of it again. */
static int remove_partial(struct run_expire *x, const struct run_expired *b, struct err *err)
{
	const char *end = strstr(b->bundle, ".tar.zst");
	auto_mem char *begin = mem_strndup(NULL, b->bundle, end ? (size_t)(end - b->bundle) : 0);

	if (strncmp(begin, "mmr1-", 5) != 0)
		return 0; /* no name of ours */
	return store_each_named(x->store, "partial", begin, "", remove_named, x, err);
}

/* From here on the rest of the bundle's traces: each may be gone already. */
static int remove_rest(struct run_expire *x, const struct ledger_published *p, const struct run_expired *b,
		       struct err *err)
{
	auto_mem char *late = mem_printf(NULL, "late-%.12s-", p->rows_digest);
	int rc;

	if ((rc = run_fault(FAULT_EXPIRE_AFTER_UNLINK, err)) < 0 ||
	    (rc = catalog_forget_side(x->store, b->rel_path, err)) < 0 ||
	    (rc = run_fault(FAULT_EXPIRE_AFTER_INDEX, err)) < 0)
		return rc;
	if (p->rows_digest[0] && (rc = store_each_named(x->store, "ledger", late, ".jsonl", remove_named, x, err)) < 0)
		return rc;
	if ((rc = remove_partial(x, b, err)) < 0)
		return rc;
	return run_fault(FAULT_EXPIRE_AFTER_LATE, err);
}

/* A crash before the file is unlinked leaves it whole, and announced: the next call looks at it like at any other.  A
 * crash after that leaves what is derived from it, or came too late for it: the next call removes that, and says that
 * it is done. */
static int remove_one(struct run_expire *x, const struct ledger_published *p, struct run_expired *b,
		      const struct store_seen *seen, struct err *err)
{
	bool was;
	int rc = still_ours(x, err);

	if (rc < 0 || (!b->announced && (rc = line_expiring(x, p, b, err)) < 0))
		return rc;
	if ((rc = run_fault(FAULT_EXPIRE_AFTER_INTENT, err)) < 0 || (rc = mirror_drop(x->mirror, p, err)) < 0 ||
	    (rc = still_ours(x, err)) < 0 || (rc = store_remove(x->store, b->rel_path, seen, &was, err)) < 0)
		return rc;
	b->removed = true;
	if ((rc = remove_rest(x, p, b, err)) < 0)
		return rc; /* no line says that it is gone: the next call does the rest */
	x->gone = mem_grow(x->ctx, x->gone, char *, x->n_gone + 1);
	x->gone_of = mem_grow(x->ctx, x->gone_of, struct expire_gone, x->n_gone + 1);
	x->gone[x->n_gone] = mem_strdup(x->ctx, b->rel_path);
	x->gone_of[x->n_gone++] = (struct expire_gone){p, (size_t)(b - x->report->bundle)};
	return 0;
}

/* What was removed, out of the catalog; only then it is said to be gone.  One pass for all, because the catalog's names
 * belong to all bundles. */
static int close_all(struct run_expire *x, struct err *err)
{
	int rc = x->n_gone ? store_check_place(x->store, err) : 0; /* the catalog is opened by its path */

	if (rc == 0)
		rc = catalog_forget(x->store, x->gone, x->n_gone, err);
	if (rc == 0 && x->n_gone)
		rc = run_fault(FAULT_EXPIRE_AFTER_CATALOG, err);
	for (size_t i = 0; i < x->n_gone && rc == 0; i++) {
		struct run_expired *b = &x->report->bundle[x->gone_of[i].at];

		/* Whoever made a catalog after the file was gone has kept its ids as those of a lost bundle; from now
		 * on no catalog has them any more. A crash just before or after leaves the bundle announced: the next
		 * call comes here again. */
		if ((rc = catalog_lost_forget(x->store, x->gone_of[i].p->rows_digest, err)) == 0 &&
		    (rc = run_fault(FAULT_EXPIRE_AFTER_IDS, err)) == 0 && (rc = line_expired(x, b, err)) == 0)
			b->state = RUN_EXPIRED;
	}
	return rc;
}

/* ---- one after the other ---- */

static int out_of_time(const struct run_expire *x, struct err *err)
{
	int64_t d = x->options->deadline_boot_ms;

	if (stop_requested())
		return stop_check(err);
	if (d && time_boot_ms() >= d)
		return err_set(err, ERR_WORK_LEFT, "time budget used up; the other bundles past their time are left "
						   "for the next run");
	return 0;
}

static int take(struct run_expire *x, const struct ledger_published *p, struct err *err)
{
	struct store_seen seen;
	struct run_expired *b;
	int rc = run_expire_look(x, p, &b, &seen, err);

	if (rc < 0 || !b || !x->ledger)
		return rc;
	if (b->state == RUN_EXPIRES)
		return remove_one(x, p, b, &seen, err);
	return b->announced ? line_withdrawn(x, b, err) : 0;
}

static int take_all(struct run_expire *x, struct err *err)
{
	const struct ledger_archive *a = x->archive;
	struct err own = {0};
	int rc = 0, end;

	for (size_t i = 0; i < a->n && rc == 0; i++) {
		progress_update(x->options->progress, "expire", i, a->n, "bundles");
		if ((rc = out_of_time(x, err)) == 0)
			rc = take(x, &a->bundle[i], err);
	}
	/* What is removed is said to be, whatever stopped the others. */
	end = x->ledger ? close_all(x, rc < 0 ? &own : err) : 0;
	if (rc < 0 && end < 0)
		log_warn("%s; the next run or `mmretain expire --yes` goes on there", own.msg);
	return rc < 0 ? rc : end;
}

static void count(struct run_expire_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		r->count[r->bundle[i].state]++;
}

static const struct run_expired *first_of(const struct run_expire_report *r, enum run_expiry a, enum run_expiry b)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->bundle[i].state == a || r->bundle[i].state == b)
			return &r->bundle[i];
	return NULL;
}

static int judge(const struct run_expire_report *r, struct err *err)
{
	const struct run_expired *bad = first_of(r, RUN_STAYS_DAMAGED, RUN_STAYS_MISSING);
	unsigned long long n = r->count[RUN_STAYS_DAMAGED] + r->count[RUN_STAYS_MISSING],
			   held = r->count[RUN_STAYS_HELD] + r->count[RUN_STAYS_BACK];

	if (bad) {
		err_set(err, ERR_VERIFY, "%llu bundle%s past %s time cannot be read back and stay%s: %s: %s", n,
			n == 1 ? "" : "s", n == 1 ? "its" : "their", n == 1 ? "s" : "", bad->bundle, bad->why);
		return err_hint(err, "`mmretain verify` names the damage. Put the file back from a copy; what cannot "
				     "be read is never removed unseen.");
	}
	if (!held)
		return 0;
	err_set(err, ERR_KEPT, "%llu bundle%s past %s time stay%s because of holds", held, held == 1 ? "" : "s",
		held == 1 ? "its" : "their", held == 1 ? "s" : "");
	return err_hint(err, "The list names the hold of each; it goes when the hold has ended.");
}

/* ---- clocks ---- */

static int check_clock(struct run_expire *x, struct err *err)
{
	int64_t from_ms, to_ms;
	char from[TIME_TEXT], to[TIME_TEXT];

	if (x->options->clock_is_right || !run_silence(x->archive, x->report->now_ms, &from_ms, &to_ms))
		return 0;
	time_format(from_ms, from);
	time_format(to_ms, to);
	err_set(err, ERR_GUARD, "the ledger is silent from %s to %s: nothing ran for so long, or a clock has jumped",
		from, to);
	return err_hint(err, "No bundle was removed. Look at the clocks of this host and of the database; when they "
			     "are right, `mmretain expire --yes --clock-is-right` goes on, and so does any run once "
			     "the ledger has lines of 32 days after that.");
}

static void take_now(struct run_expire *x)
{
	int64_t here_ms = time_now_ms(), there_ms = x->mm->now_ms;
	char a[TIME_TEXT], b[TIME_TEXT];

	x->report->now_ms = run_now_ms(x->mm);
	if (!time_is_overridden())
		there_ms += time_boot_ms() - x->mm->clock_boot_ms; /* a run has asked for it hours ago */
	time_format(here_ms, a);
	time_format(there_ms, b);
	if (here_ms - there_ms > SKEW_WARN_MS || there_ms - here_ms > SKEW_WARN_MS)
		log_warn("the clock here says %s, the database's says %s: the earlier one decides what has expired", a,
			 b);
	else if (x->mm->now_ms - x->mm->clock_ms > SKEW_WARN_MS && !x->run_id) {
		time_format(x->mm->clock_ms, b);
		log_warn("--now says %s, the database's clock %s: what is past its time is so by then, not today", a,
			 b);
	}
}

bool run_expire_may_be_due(const struct ledger_published *p, int64_t now_ms)
{
	if (p->expiry == LEDGER_EXPIRED || p->newest_ms > now_ms - RUN_EXPIRE_SETTLE_MS)
		return false;
	return p->expiry == LEDGER_EXPIRING || !p->has_expiry || (p->expires_ms != 0 && p->expires_ms <= now_ms);
}

/* Only where there is anything that it could remove too early. */
static bool any_due(const struct run_expire *x)
{
	for (size_t i = 0; i < x->archive->n; i++)
		if (run_expire_may_be_due(&x->archive->bundle[i], x->report->now_ms))
			return true;
	return false;
}

static int expire(struct run_expire *x, struct err *err)
{
	int rc;

	take_now(x);
	if ((rc = ledger_fold(x->ctx, x->store->ledger_dirfd, &x->state, err)) < 0 ||
	    (rc = ledger_archive(x->ctx, x->store->ledger_dirfd, &x->archive, err)) < 0)
		return rc;
	if (any_due(x) && (rc = check_clock(x, err)) < 0)
		return rc;
	rc = take_all(x, err);
	count(x->report);
	return rc < 0 ? rc : judge(x->report, err);
}

/* ---- the command ---- */

static int open_all(struct run_expire *x, struct err *err)
{
	const struct policy_database *d = &x->policy->database;
	struct mm_source source = {d->mattermost_config, d->service, d->url, d->files};
	int rc = mm_open(x->ctx, &source, &x->mm, err);

	if (rc < 0)
		return rc;
	if (x->options->act && ((rc = db_open_again(x->ctx, x->mm->db, &x->lock_db, err)) < 0 ||
				(rc = db_lock(x->lock_db, RUN_LOCK_KEY, err)) < 0))
		return rc;
	if ((rc = mm_probe(x->mm, err)) < 0)
		return rc;
	if (x->options->act && ((rc = ledger_open(x->ctx, x->store->ledger_dirfd, &x->ledger, err)) < 0 ||
				(rc = run_mirror_open(x->ctx, x->policy, &x->mirror, err)) < 0 ||
				(rc = run_mirror_home(x->mirror, x->store, err)) < 0))
		return rc;
	return held_check_home(x->store, x->mm, err);
}

int run_expire(void *ctx, const struct policy *policy, struct store *store, const struct run_expire_options *options,
	       struct run_expire_report **ret, struct err *err)
{
	auto_mem void *own = mem_context(ctx, "expire");
	struct run_expire x = {.ctx = own,
			       .policy = policy,
			       .store = store,
			       .options = options,
			       .report = mem_new(ctx, struct run_expire_report)};
	struct erase_finished finished = {.done = 0};
	int rc;

	*ret = x.report;
	rc = open_all(&x, err);
	if (rc == 0 && x.ledger) {
		/* which file of two is the bundle must be settled first; a run does that when it recovers */
		const struct erase_asker asker = {.policy = policy, .mm = x.mm, .mirror = x.mirror};

		rc = erase_finish(own, &asker, store, x.ledger, &finished, err);
	}
	if (rc == 0) {
		rc = expire(&x, err);
		rc = mirror_end(x.mirror, store, rc, err);
	}
	return rc;
}

/* ---- the step of a night ---- */

/* Not where somebody asked for less than a whole night. */
static bool is_whole_night(const struct run_options *o)
{
	return !o->no_purge && !o->plan_file && !o->rule && !o->team && !o->channel;
}

int run_expire_expected(struct run *run, int64_t *ret_ms, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "bundles past their time");
	int64_t now_ms = run_now_ms(run->mm);
	struct ledger_archive *a;
	int rc;

	*ret_ms = 0;
	if (!is_whole_night(run->options))
		return 0;
	if ((rc = ledger_archive(ctx, run->store->ledger_dirfd, &a, err)) < 0)
		return rc;
	for (size_t i = 0; i < a->n; i++)
		if (run_expire_may_be_due(&a->bundle[i], now_ms))
			*ret_ms += BUNDLE_MS + (int64_t)(a->bundle[i].file_bytes / BYTES_A_MS);
	return 0;
}

/* A hold is no news to a run: threads that it keeps in the database do not count as kept back either. */
int run_expire_step(struct run *run, struct err *err)
{
	struct run_expire_options options = {.act = true,
					     .deadline_boot_ms = run->options->deadline_boot_ms,
					     .progress = run->options->progress};
	struct run_expire x = {.ctx = run->ctx,
			       .policy = run->policy,
			       .store = run->store,
			       .mm = run->mm,
			       .lock_db = run->lock_db,
			       .ledger = run->ledger,
			       .mirror = run->mirror,
			       .run_id = run->report->id,
			       .options = &options};
	int rc;

	/* Time was up before what could come back of the last run had been looked for; what else it left unfinished
	 * stays by itself. */
	if (!is_whole_night(run->options) || !run->swept)
		return 0;
	if (x.mirror)
		mirror_until(x.mirror, options.deadline_boot_ms);
	x.report = run->report->expire = mem_new(run->report, struct run_expire_report);
	if ((rc = expire(&x, err)) != -ERR_KEPT)
		return rc;
	err_clear(err);
	return 0;
}

int run_next_seq(struct run *run, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "numbers");
	struct ledger_archive *a;
	int rc;

	if ((rc = store_next_seq(run->store, &run->seq, err)) < 0 ||
	    (rc = ledger_archive(ctx, run->store->ledger_dirfd, &a, err)) < 0)
		return rc;
	for (size_t i = 0; i < a->n; i++)
		if (store_seq_of(a->bundle[i].bundle) >= run->seq)
			run->seq = store_seq_of(a->bundle[i].bundle) + 1;
	return 0;
}
