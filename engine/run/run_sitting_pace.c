/*
 * run_sitting_pace.c - rests of an export that reads beside a chat.
 */
#include "run_sitting.h"

enum { PACE_BYTES = 16 << 10, STARVED_US = 3000000, STARVED_TIMES = 10, WORK_MOST_US = 1000000 };

/* Not beyond the time of the night: many small bundles together make a long rest. */
static void rest(struct rows *r)
{
	int64_t until_ms = r->s->run->work_until_boot_ms, ms = r->debt_us / 1000,
		left_ms = until_ms ? until_ms - time_boot_ms() : ms;

	ms = left_ms < ms ? left_ms : ms;
	if (ms > 0)
		time_sleep_ms(ms);
	r->debt_us %= 1000;
}

/* Not for long: a snapshot that stays open does more harm than what it reads slowly, and the delete waits as long as it
 * takes. */
static int wait_for_others(struct rows *r, struct err *err)
{
	const struct run *run = r->s->run;
	const struct purge_pace_wait w = {.mm = run->mm,
					  .beside = true,
					  .deadline_boot_ms = run->work_until_boot_ms,
					  .left_ms = &r->wait_left_ms,
					  .progress = run->options->progress};

	return purge_pace_wait(run->pace, &w, err);
}

/* Whoever gives way entirely gets no turn where every processor is busy for hours, and keeps a snapshot open meanwhile.
 * Then this sitting ends with the thread that is being written, and the rest of the night has a small share. */
static void judge_turns(struct rows *r, int64_t ran_us, int64_t waited_us)
{
	int64_t ran = ran_us - r->window_ran_us, waited = waited_us - r->window_waited_us;
	struct run *run = r->s->run;

	if (run->starved || waited <= STARVED_US)
		return;
	r->window_ran_us = ran_us;
	r->window_waited_us = waited_us;
	if (waited <= STARVED_TIMES * ran)
		return;
	run->starved = r->s->leave = true;
	log_debug("the export had a processor for %lld ms and waited %lld ms for one: it gives way less from now on",
		  (long long)ran / 1000, (long long)waited / 1000);
}

void sitting_begin_work(struct rows *r)
{
	int64_t ran_us;

	r->work_from_us = time_mono_us();
	if (!thread_turns(&ran_us, &r->waited_us))
		r->waited_us = 0;
}

/* Since sitting_begin_work.  Waiting for a processor is no work, and the end of a bundle with its attachments none to
 * rest for many times. */
static int64_t work_us(struct rows *r)
{
	int64_t us = time_mono_us() - r->work_from_us, ran_us, waited_us;

	if (thread_turns(&ran_us, &waited_us)) {
		us -= waited_us - r->waited_us;
		judge_turns(r, ran_us, waited_us);
	}
	return us < 0 ? 0 : us < WORK_MOST_US ? us : WORK_MOST_US;
}

/* Unpaced compression on the database's host hurts the chat's users more than the delete: rest in proportion to the
 * work done. */
int sitting_pace(struct rows *r, struct err *err)
{
	uint64_t raw = bundle_raw_bytes(r->u->w);
	int32_t factor = r->s->run->policy->throttle.export_pause_factor;
	int rc;

	if (factor <= 0 || raw - r->paced_bytes < PACE_BYTES)
		return 0;
	r->paced_bytes = raw;
	r->debt_us += purge_pace_pause_us(r->s->run->pace, true, work_us(r), factor);
	rest(r);
	rc = wait_for_others(r, err);
	r->s->leave |= purge_pace_locked(r->s->run->pace); /* who waits for that lock may be waiting for us */
	sitting_begin_work(r);
	return rc;
}
