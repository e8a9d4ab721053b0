/*
 * purge_pace.c - how fast replicas and the chat's users let a run be.
 *
 * Once a second it looks, on the session that holds the lock: that one idles, also while an export streams over the
 * other, and a look that comes back shows that it lives.  At a limit the run waits; from half of a limit on pauses
 * grow, up to ten times as long just below it.
 *
 * The limit of a read is a time, not a multiple of what a read cost when the run began: users notice milliseconds, and
 * a run may begin in the busiest minute of the night.
 */
#include "purge_internal.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 1000, TELL_MS = 5000, STRETCH_MOST = 9 };

struct purge_pace {
	struct db *db;
	int64_t lock_key;
	struct purge_pace_limits limits;
	struct mm_busy *busy;          /* of the last look, or NULL */
	struct purge_strain now;
	int64_t looked_mono_ms;        /* 0: never */
	bool blind, patient, told_hidden;
	bool locked;                   /* posts were, at the last look */
	struct purge_waited waited;
	int64_t extra_us[2];           /* of pauses, below a millisecond, for replicas and for the server */
};

struct purge_pace *purge_pace_new(void *ctx, struct db *db, int64_t lock_key, const struct purge_pace_limits *limits)
{
	struct purge_pace *p = mem_new(ctx, struct purge_pace);

	p->db = db;
	p->lock_key = lock_key;
	p->limits = *limits;
	return p;
}

const struct purge_waited *purge_pace_waited(const struct purge_pace *p)
{
	return &p->waited;
}

/* ---- arithmetic ---- */

static double share(int64_t value, int64_t limit)
{
	return limit > 0 ? (double)value / (double)limit : 0;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static bool is_except(const struct purge_pace_limits *l, const char *name)
{
	for (size_t i = 0; i < l->n_except; i++)
		if (strcmp(l->except[i], name) == 0)
			return true;
	return false;
}

void purge_strain_of(const struct mm_busy *b, const struct purge_pace_limits *l, struct purge_strain *ret)
{
	*ret = (struct purge_strain){.server = share(b->cost_us, l->cost_ms * 1000)};
	for (size_t i = 0; i < b->n_replicas; i++) {
		const struct mm_replica *r = &b->replica[i];
		double strain = larger(share(r->behind_ms, l->lag_ms), share(r->behind_bytes, l->lag_bytes));

		if (is_except(l, r->name))
			continue;
		ret->hidden += r->hidden && (l->lag_ms > 0 || l->lag_bytes > 0);
		if (strain > ret->replica) {
			ret->replica = strain;
			ret->worst = r;
		}
	}
}

int64_t purge_stretch_us(double strain, int64_t work_us, int32_t factor)
{
	double part = strain <= 0.5 ? 0 : strain >= 1 ? 1 : 2 * strain - 1;

	return (int64_t)(part * STRETCH_MOST * (double)work_us * (factor > 1 ? factor : 1));
}

int64_t purge_pace_pause_us(struct purge_pace *p, bool beside, int64_t work_us, int32_t factor)
{
	int64_t us = work_us * (factor > 0 ? factor : 0), more;
	double server = p && beside ? p->now.server : 0;
	bool by_server;

	if (!p)
		return us;
	by_server = server > p->now.replica;
	more = purge_stretch_us(larger(server, p->now.replica), work_us, factor);
	p->extra_us[by_server] += more;
	*(by_server ? &p->waited.server_ms : &p->waited.replicas_ms) += p->extra_us[by_server] / 1000;
	p->extra_us[by_server] %= 1000;
	return us + more;
}

/* ---- looking ---- */

static int be_patient(struct purge_pace *p, struct err *err)
{
	int rc = p->patient ? 0 : purge_set_wait(p->db, "1s", err);

	p->patient = rc == 0;
	return rc;
}

static void tell_hidden(struct purge_pace *p)
{
	if (!p->now.hidden || p->told_hidden)
		return;
	p->told_hidden = true;
	log_warn("%zu replica%s, and the role may not see how far behind: the run does not wait for %s (a "
		 "superuser: " MM_BUSY_GRANT " TO the role)",
		 p->now.hidden, p->now.hidden == 1 ? " is connected" : "s are connected",
		 p->now.hidden == 1 ? "it" : "them");
}

/* Whoever reads posts waits as long as we did: for the end of an ALTER TABLE, a VACUUM FULL. */
static void note_locked(struct purge_pace *p, int64_t took_ms)
{
	p->now.server = larger(share(took_ms, p->limits.cost_ms), 1);
	p->waited.server_ms += took_ms;
}

/* inside: of a transaction that reads. */
static int look(struct purge_pace *p, bool beside, bool inside, struct err *err)
{
	bool cost = beside && p->limits.cost_ms > 0, any = cost || p->limits.lag_ms > 0 || p->limits.lag_bytes > 0;
	int64_t from_ms = time_mono_ms();
	struct mm_busy *busy;
	int rc;

	if (!any || p->blind || (p->looked_mono_ms && from_ms - p->looked_mono_ms < LOOK_MS))
		return 0;
	if ((rc = be_patient(p, err)) == 0 && (rc = mm_busy_look(p, p->db, cost, &busy, err)) == 0) {
		talloc_free(p->busy);
		p->busy = busy;
		p->locked = false;
		purge_strain_of(busy, &p->limits, &p->now);
		tell_hidden(p);
	} else if (rc == -ERR_DB_BUSY) {
		p->locked = cost;
		if (cost && !inside) /* else whoever has asked for that lock waits for us */
			note_locked(p, time_mono_ms() - from_ms);
	} else if (rc == -ERR_DB_GONE) {
		return rc; /* the lock went with its session */
	} else if (!stop_requested()) {
		log_warn("replicas and the server's load cannot be looked at, the run goes on without: %s", err->msg);
		p->now = (struct purge_strain){.replica = 0};
		p->blind = true;
	}
	p->looked_mono_ms = time_mono_ms();
	return 0;
}

/* ---- waiting ---- */

static bool by_replica(const struct purge_pace *p)
{
	return p->now.replica >= 1 && p->now.worst;
}

static void draw(const struct purge_pace *p, const struct progress *progress)
{
	const struct mm_replica *r = p->now.worst;
	char phase[96];

	if (!by_replica(p)) {
		progress_update(progress, "waiting, the server is slow to read",
				(uint64_t)(p->now.server * (double)p->limits.cost_ms), 0, "ms");
		return;
	}
	snprintf(phase, sizeof phase, "waiting for replica %.24s, behind", r->name);
	if (share(r->behind_bytes, p->limits.lag_bytes) >= 1)
		progress_update(progress, phase, (uint64_t)r->behind_bytes, 0, "bytes");
	else
		progress_update(progress, phase, (uint64_t)r->behind_ms, 0, "ms");
}

static void tell(const struct purge_pace *p)
{
	const struct mm_replica *r = p->now.worst;
	char bytes[TIME_TEXT];

	if (!by_replica(p)) {
		log_info("waiting: the server takes %.0f ms to read a post, the limit is %lld ms",
			 p->now.server * (double)p->limits.cost_ms, (long long)p->limits.cost_ms);
		return;
	}
	bytes_format((uint64_t)r->behind_bytes, bytes);
	log_info("waiting: replica %s is behind by %s, by %lld ms when it last replayed anything", r->name, bytes,
		 (long long)r->behind_ms);
}

/* So long at most; 0: not any more. */
static int64_t left(const struct purge_pace_wait *w)
{
	int64_t ms = w->left_ms && *w->left_ms < LOOK_MS ? *w->left_ms : LOOK_MS;
	int64_t until_ms = w->deadline_boot_ms ? w->deadline_boot_ms - time_boot_ms() : LOOK_MS;

	ms = until_ms < ms ? until_ms : ms;
	return ms > 0 && !stop_requested() ? ms : 0;
}

/* The lock may be lost meanwhile, and a session that says nothing for hours be dropped on the way. */
static int nap(struct purge_pace *p, const struct purge_pace_wait *w, int64_t ms, struct err *err)
{
	int64_t from_ms = time_mono_ms(), *waited_ms = by_replica(p) ? &p->waited.replicas_ms : &p->waited.server_ms;
	int rc;

	time_sleep_ms(ms);
	ms = time_mono_ms() - from_ms;
	*waited_ms += ms;
	if (w->left_ms)
		*w->left_ms = *w->left_ms > ms ? *w->left_ms - ms : 0;
	if (stop_requested())
		return 0;
	rc = db_lock_check(p->db, p->lock_key, err);
	return rc < 0 ? rc : db_awake(w->mm->db, err);
}

int purge_pace_wait(struct purge_pace *p, const struct purge_pace_wait *w, struct err *err)
{
	int64_t from_ms = time_mono_ms(), ms;
	bool told = false;
	int rc;

	while ((rc = look(p, w->beside, w->left_ms != NULL, err)) == 0 &&
	       larger(p->now.replica, w->beside ? p->now.server : 0) >= 1 && (ms = left(w)) > 0) {
		draw(p, w->progress);
		if (time_mono_ms() - from_ms >= TELL_MS && !told) {
			tell(p);
			told = true;
		}
		if ((rc = nap(p, w, ms, err)) < 0)
			return rc;
	}
	if (rc == 0 && told)
		log_info("waited %lld s", (long long)((time_mono_ms() - from_ms) / 1000));
	return rc;
}

bool purge_pace_locked(const struct purge_pace *p)
{
	return p && p->locked;
}
