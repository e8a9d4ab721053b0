/*
 * run_time.c - how the time of a night that ends by the clock is shared out.
 *
 * From its end backwards: bundles past their time, attachments, departed users, and the threads before them all.  A
 * backlog takes every night that it gets, for months, and what comes after the threads would wait for its end.
 */
#include "run_internal.h"

enum {
	BATCH_LATE_MS = 1000,  /* that a delete may end after its time */
	SHARE = 10,            /* each later step has at most one such part of the time that is left */
	LEAST_MS = 15000,      /* and not less than this: threads may end late by the wait of a sweep */
	ACCOUNT_MS = 2000,     /* more than one takes, but where tables without an index are large */
};

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t share(int64_t need_ms, int64_t left_ms)
{
	return need_ms ? least(most(need_ms, LEAST_MS), left_ms / SHARE) : 0;
}

/* Attachments go some time after the last delete.  A night that deletes until its last moment would leave them to the
 * next one, and that to the one after it, as long as there is a backlog. */
void run_time_begin(struct run *run)
{
	int64_t deadline = run->options->deadline_boot_ms, grace_ms = run->policy->throttle.blob_grace_ms;
	int64_t unlink_ms = grace_ms / 8 + BATCH_LATE_MS;

	run->work_until_boot_ms = run->people_until_boot_ms = deadline;
	if (!deadline || deadline - time_boot_ms() < 2 * (grace_ms + unlink_ms))
		return;
	run->people_until_boot_ms = deadline - unlink_ms;
	run->work_until_boot_ms = run->people_until_boot_ms - grace_ms;
}

int run_time_share(struct run *run, struct err *err)
{
	int64_t left_ms = run->work_until_boot_ms - time_boot_ms(),
		grace_ms = run->people_until_boot_ms - run->work_until_boot_ms;
	const struct people_plan *people = run->report->people_plan;
	int64_t people_ms, expire_ms;
	int rc;

	if (!run->work_until_boot_ms || left_ms <= 0)
		return 0;
	if ((rc = run_expire_expected(run, &expire_ms, err)) < 0)
		return rc;
	people_ms = share(people ? (int64_t)people->count[PEOPLE_DUE] * ACCOUNT_MS : 0, left_ms);
	expire_ms = share(expire_ms, left_ms);
	run->people_until_boot_ms -= expire_ms;
	/* People come while attachments wait for late replies. */
	run->work_until_boot_ms = run->people_until_boot_ms - most(grace_ms, people_ms);
	log_debug("of %lld ms departed users have %lld, bundles past their time %lld", (long long)left_ms,
		  (long long)people_ms, (long long)expire_ms);
	return 0;
}

int run_time_check(const struct run *run, int64_t need_ms, struct err *err)
{
	int64_t d = run->work_until_boot_ms;

	if (stop_requested())
		return stop_check(err);
	if (d && time_boot_ms() + need_ms >= d)
		return err_set(err, ERR_WORK_LEFT, "time budget used up; the rest is left for the next run");
	return 0;
}
