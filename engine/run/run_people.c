/* run_people.c - departed users, after the threads of the night: plan, ledger before and after each account. */
#include "run_internal.h"

#include <string.h>

/* Ids and a keyed digest only: the ledger outlives the person's data.  The line before must be where it is read. */
static int on_event(void *payload, const struct people_event *ev, struct err *err)
{
	struct run *run = payload;
	struct ledger_entry e;
	int rc = ev->ended ? 0 : store_check_place(run->store, err);

	if (rc < 0)
		return rc;
	ledger_begin(&e, run->ctx, ev->ended ? "depersonalised" : "depersonalising");
	ledger_str(&e, "run", run->report->id);
	ledger_str(&e, "user", ev->user_id);
	ledger_str(&e, "person_digest", ev->digest);
	if (ev->found_done)
		ledger_bool(&e, "found_done", true);
	if (ev->ended && ev->counts) {
		uint64_t rows = 0;

		for (size_t i = 0; i < mm_n_traces; i++)
			rows += ev->counts->rows[i];
		ledger_int(&e, "rows", (int64_t)rows);
	}
	return ledger_append(run->ledger, &e, err);
}

/* An account whose beginning is in the ledger but not its end: a crash came between.  Its end is written when it is
 * found done. */
struct open_users { struct run *run; char **id; size_t n; };

static int on_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	struct open_users *o = payload;
	const char *user = NULL, *type = NULL;
	size_t user_len = 0, type_len = 0;
	struct json_scan s;

	(void)seq;
	(void)err;
	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (s.key_len == 4 && memcmp(s.key, "type", 4) == 0) {
			type = s.val;
			type_len = s.val_len;
		} else if (s.key_len == 4 && memcmp(s.key, "user", 4) == 0) {
			user = s.val;
			user_len = s.val_len;
		}
	}
	if (!user || !type)
		return 0;
	for (size_t i = 0; i < o->n; i++)
		if (strlen(o->id[i]) == user_len && memcmp(o->id[i], user, user_len) == 0)
			o->id[i--] = o->id[--o->n];
	if (type_len == strlen("depersonalising") && memcmp(type, "depersonalising", type_len) == 0) {
		o->id = mem_grow(o->run->ctx, o->id, char *, o->n + 1);
		o->id[o->n++] = mem_strndup(o->run->ctx, user, user_len);
	}
	return 0;
}

static int settle_open(struct run *run, struct err *err)
{
	struct open_users o = {.run = run};
	int rc = ledger_read(run->store->ledger_dirfd, on_line, &o, err);

	for (size_t i = 0; rc == 0 && i < o.n; i++) {
		struct people_event ev = {.ended = true, .found_done = true, .user_id = o.id[i], .digest = ""};
		bool done;

		if ((rc = people_settled(run->mm, o.id[i], &done, err)) == 0 && done)
			rc = on_event(run, &ev, err);
	}
	return rc;
}

/* A plan file holds threads only, and a run that is restricted to some of them leaves accounts alone. */
static bool wanted(const struct run *run)
{
	const struct run_options *o = run->options;

	return run->policy->people.present && run_deletes(run) && !o->plan_file && !o->rule && !o->team && !o->channel;
}

int run_people_plan(struct run *run, struct err *err)
{
	const struct people_holds holds = {run->held, run->n_held};

	return wanted(run) ? people_plan(run->report, run->policy, run->mm, &holds, &run->report->people_plan, err) : 0;
}

/* In a night that did not come to its guards a clock that jumped ahead would make everybody who is only blocked look
 * long gone.  1: it may have. */
static int check_clock(const struct run *run, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "silence");
	char from[TIME_TEXT], to[TIME_TEXT];
	struct ledger_archive *a;
	int64_t from_ms, to_ms;
	int rc = ledger_archive(ctx, run->store->ledger_dirfd, &a, err);

	if (rc < 0 || !run_silence(a, run_now_ms(run->mm), &from_ms, &to_ms))
		return rc;
	time_format(from_ms, from);
	time_format(to_ms, to);
	log_warn("the ledger is silent from %s to %s, and this night did not come to its plan: no account is touched",
		 from, to);
	return 1;
}

/* What was left took the night: what it brought back may have changed who is held, and no guard was asked.  1: accounts
 * are left alone. */
static int plan_again(struct run *run, struct err *err)
{
	int rc = check_clock(run, err);

	return rc != 0 ? rc : run_people_plan(run, err);
}

int run_people(struct run *run, struct err *err)
{
	struct people_options o = {
		.key = run->store->salt_secret, .key_len = sizeof run->store->salt_secret,
		.journal_dirfd = run->store->ledger_dirfd,
		.event = on_event, .payload = run, .deadline_boot_ms = run->people_until_boot_ms,
		.lock_db = run->lock_db,
		.lock_key = RUN_LOCK_KEY, .progress = run->options->progress,
	};
	int rc = 0;

	if (!wanted(run) || !run->swept) /* time was up before it was known what comes back */
		return 0;
	if (!run->plan && (rc = plan_again(run, err)) != 0)
		return rc < 0 ? rc : 0;
	if (!run->report->people_plan)
		return 0;
	if ((rc = settle_open(run, err)) < 0 || (rc = run_wait_for_others(run, run->people_until_boot_ms, err)) < 0)
		return rc;
	return people_run(run->report, run->policy, run->mm, run->report->people_plan, &o, &run->report->people, err);
}
