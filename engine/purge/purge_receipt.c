/*
 * purge_receipt.c - the loop over a bundle: batches of whole threads, throttled.
 *
 * What stands in the bundle, as it was read back, is the only list of what may be deleted.
 */
#include "purge_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { POSTS_FIRST = 200, POSTS_MIN = 20, POSTS_MAX = 20000, LOOK_TRIES = 5 };

struct pace { size_t posts; };

/* Next size = posts x target / measured, within x 0.3 to x 1.5 of the last: the burst, not the amount, is what users of
 * the chat notice. Measured are the statements that look for rows and delete them; checks and commit cost the same for
 * any size, and smaller batches would only mean more of them.  The pause counts them too.  The short end of a bundle
 * teaches nothing. */
static void pace_adapt(struct pace *p, const struct purge_options *o, const struct purge_batch *b)
{
	double target_us = (o->target_ms > 0 ? o->target_ms : 5) * 1000.0, size = (double)p->posts;
	double want = (double)b->posts * target_us / (double)(b->work_us > 0 ? b->work_us : 1);

	if (b->work_us == 0 || (b->posts < p->posts / 2 && b->work_us < target_us))
		return;
	want = want < 0.3 * size ? 0.3 * size : want > 1.5 * size ? 1.5 * size : want;
	p->posts = (size_t)want;
	p->posts = p->posts < POSTS_MIN ? POSTS_MIN : p->posts > POSTS_MAX ? POSTS_MAX : p->posts;
}

static void pause_after(const struct purge_options *o, struct purge_counts *c, int64_t work_us)
{
	int64_t ms = purge_pace_pause_us(o->pace, o->pause_factor > 0, work_us, o->pause_factor) / 1000;

	if (o->deadline_boot_ms && ms > o->deadline_boot_ms - time_boot_ms())
		ms = o->deadline_boot_ms - time_boot_ms();
	if (ms > 0) {
		c->pause_ms += ms;
		time_sleep_ms(ms);
	}
}

static size_t remaining(const struct purge_batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_threads; i++)
		n += b->thread[i].why == 0;
	return n;
}

static void mark_rest(struct purge_batch *b, unsigned why)
{
	for (size_t i = 0; i < b->n_threads; i++)
		if (!b->thread[i].why)
			b->thread[i].why = why;
}

static int report_kept(const struct purge_batch *b, const struct purge_options *o, struct purge_counts *c,
		       struct err *err)
{
	int rc;

	for (size_t i = 0; i < b->n_threads; i++) {
		unsigned why = b->thread[i].why;

		if (!why)
			continue;
		if (why & PURGE_GONE)
			c->kept_gone++;
		else if (why & PURGE_LOCKED)
			c->kept_locked++;
		else if (why & (MM_CHANGED | MM_DAMAGED | MM_TOO_YOUNG))
			c->kept_changed++;
		else
			c->kept_held++;
		if (o->kept && (rc = o->kept(o->kept_payload, b->thread[i].root, why, err)) < 0)
			return rc;
	}
	return 0;
}

/* What another one keeps from its answer for a moment is asked again; without its session nothing is. */
static bool passes(int rc)
{
	return rc < 0 && err_retryable(rc) && rc != -ERR_DB_GONE;
}

/* Tries until the batch is deleted or nothing of it remains to be deleted.  A table that is locked keeps it from being
 * read again as from being deleted, and from telling whose rows are locked: that is asked once more, too. */
static int settle_batch(struct mm *mm, const struct purge_options *o, struct purge_batch *b, struct purge_ahead *ahead,
			struct purge_counts *c, struct err *err)
{
	int64_t from;
	int rc;

	for (int tries = 0; remaining(b) > 0; tries++) {
		if (tries > 2 * PURGE_TRIES) {
			/* rows move faster than we can follow: leave them for another night */
			mark_rest(b, PURGE_LOCKED);
			return 0;
		}
		from = time_mono_us();
		rc = b->located ? 0 : purge_refresh(mm, b, err);
		b->work_us += time_mono_us() - from;
		if (rc == 0 && remaining(b) == 0)
			return 0;
		if (rc == 0)
			rc = purge_delete(mm, o, b, ahead, c, err);
		if (rc == 1)
			return 0;
		if (rc < 0 && !passes(rc))
			return rc; /* without the session the next start settles by id what this batch became */
		if (rc < 0 && tries > 0 && (rc = purge_mark_locked(mm, b, err)) < 0 && !passes(rc))
			return rc;
		if (rc < 0 || tries > 0)
			time_sleep_ms(20 << (tries < 4 ? tries : 4));
		b->located = false;
	}
	return 0;
}

/* No transaction is open here: a wait for replicas keeps nobody from anything, not even vacuum. */
static int wait_for_others(struct mm *mm, const struct purge_options *o, struct err *err)
{
	const struct purge_pace_wait w = {.mm = mm,
					  .beside = o->pause_factor > 0,
					  .deadline_boot_ms = o->deadline_boot_ms,
					  .progress = o->progress};

	return o->pace ? purge_pace_wait(o->pace, &w, err) : 0;
}

static int check_budget(const struct purge_options *o, struct err *err)
{
	if (stop_requested() || (o->deadline_boot_ms && time_boot_ms() >= o->deadline_boot_ms))
		return err_set(err, ERR_WORK_LEFT, "%s; the rest of the bundle stays in the database",
			       stop_requested() ? "stop requested" : "time budget used up");
	return 0;
}

static void mark_skipped(const struct purge_options *o, struct purge_batch *b)
{
	for (size_t i = 0; o->n_skip && i < b->n_threads; i++) {
		struct purge_skip key = {.why = 0};
		const struct purge_skip *s;

		memcpy(key.root, b->thread[i].root, sizeof key.root);
		s = bsearch(&key, o->skip, o->n_skip, sizeof key, mm_id_cmp);
		if (s)
			b->thread[i].why |= s->why;
	}
}

/* What a batch is asked before it is deleted.  Without locations (w is NULL) it is read again by id just before, new
 * replies included, and what its run knew about attachments is asked of the bundle. */
struct asked { struct purge_watch *w; struct purge_missing *missing; bool told; };

/* A table that is locked for a moment (an ALTER, the end of a VACUUM) must not end the night: 100 ms of patience each
 * time, so that nobody waits behind us for long. */
static bool once_more(int rc, int tries)
{
	if (!passes(rc) || tries == LOOK_TRIES || stop_requested())
		return false;
	time_sleep_ms(100 << tries);
	return true;
}

static int look_around(struct mm *mm, struct purge_watch *w, struct err *err)
{
	int tries = 0, rc;

	do {
		/* A trigger, a foreign key, a migration or the server's own job may have come since. */
		rc = mm_probe_watch(mm, err);
		if (rc == 0 && w)
			rc = purge_watch_look(w, mm, err);
	} while (once_more(rc, tries++));
	return rc;
}

static int mark_gone(struct mm *mm, struct purge_batch *b, struct err *err)
{
	int tries = 0, rc;

	do
		rc = purge_mark_gone(mm, b, err);
	while (once_more(rc, tries++));
	return rc;
}

static int look_at_files(struct mm *mm, struct asked *a, const struct purge_options *o, struct purge_batch *b,
			 struct err *err)
{
	int rc = 0;

	mark_skipped(o, b);
	purge_missing_mark(a->missing, b);
	if (a->missing && o->snapshot_ms <= 0)
		rc = purge_missing_compare(a->missing, mm, b, &a->told, err);
	return rc == 0 && o->unlink_files && mm->bucket ? purge_missing_see(mm, b, o->snapshot_ms, &a->told, err) : rc;
}

static int one_batch(struct mm *mm, struct purge_ahead *ahead, struct asked *a, const struct purge_options *o,
		     struct pace *p, struct purge_counts *c, struct err *err)
{
	struct purge_batch b;
	int64_t busy_us = 0;
	int rc = purge_ahead_take(ahead, &b, err);

	if (rc == 0 && b.n_threads == 0)
		rc = 1;
	/* What may take long first: what is asked around is as young as it can be. */
	if (rc == 0 && (rc = look_at_files(mm, a, o, &b, err)) == 0 && (rc = look_around(mm, a->w, err)) == 0 && a->w)
		purge_watch_mark(a->w, &b);
	if (rc == 0) {
		int64_t from = time_mono_us();

		rc = settle_batch(mm, o, &b, ahead, c, err);
		busy_us = time_mono_us() - from;
		if (rc == 0 && (rc = mark_gone(mm, &b, err)) == 0 && (rc = report_kept(&b, o, c, err)) == 0) {
			pace_adapt(p, o, &b);
			ahead->posts = p->posts;
			pause_after(o, c, busy_us);
		}
	}
	purge_batch_clear(&b);
	return rc;
}

static int all_batches(struct mm *mm, const struct receipt *receipt, struct purge_hints *hints,
		       const struct purge_options *o, struct purge_counts *c, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "purge");
	struct pace pace = {.posts = o->batch_posts && *o->batch_posts ? *o->batch_posts : POSTS_FIRST};
	struct purge_ahead *ahead = mem_new(ctx, struct purge_ahead);
	struct asked a = {.w = NULL};
	int rc;

	ahead->posts = pace.posts;
	if ((rc = purge_source_open(ctx, receipt, hints, o->seen, &ahead->source, err)) < 0 ||
	    (!hints && (rc = purge_missing_read(ctx, ahead->source->reader, &a.missing, err)) < 0))
		return rc;
	/* A new reply does not matter to what was deleted before it. */
	if (hints && ahead->source->parts_before_ms == INT64_MIN)
		a.w = purge_watch_new(ctx, o->snapshot_ms);
	for (;;) {
		if ((rc = wait_for_others(mm, o, err)) < 0 || (rc = check_budget(o, err)) < 0)
			return rc;
		rc = one_batch(mm, ahead, &a, o, &pace, c, err);
		if (o->batch_posts)
			*o->batch_posts = pace.posts;
		if (rc != 0)
			return rc < 0 ? rc : ahead->source->undurable ? purge_barrier(mm, err) : 0;
		progress_update(o->progress, "delete", c->posts, receipt_posts(receipt), "posts");
	}
}

int purge_receipt(struct mm *mm, const struct receipt *receipt, struct purge_hints *hints,
		  const struct purge_options *o, struct purge_counts *c, struct err *err)
{
	struct err ignored;
	int rc;

	if (mm->schema->n_unknown)
		return err_set(err, ERR_SCHEMA, "the database holds things that a delete could break; nothing was "
						"deleted");
	/* While we wait for a lock, others wait behind us. */
	if ((rc = purge_set_wait(mm->db, "100ms", err)) < 0)
		return rc;
	rc = all_batches(mm, receipt, hints, o, c, err);
	if (purge_set_wait(mm->db, "10s", &ignored) < 0)
		log_debug("cannot set the lock timeout back, ignoring"); /* less patience only keeps more */
	return rc;
}
