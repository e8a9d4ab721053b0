/* run_night.c - the order of steps of one night. */
#include "run_internal.h"

#include <mmretain/mm_bucket.h>
#include "run_mirror.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { CLOCK_SKEW_MAX_MS = 60000 };

int run_fault(enum fault_id id, struct err *err)
{
	return fault_check(id, ERR_INTERNAL, err);
}

int run_lock_and_place(struct db *lock_db, const struct store *store, struct err *err)
{
	int rc = db_lock_check(lock_db, RUN_LOCK_KEY, err);

	return rc < 0 ? rc : store_check_place(store, err);
}

int run_still_ours(struct run *run, struct err *err)
{
	return run_lock_and_place(run->lock_db, run->store, err);
}

int run_wait_for_others(struct run *run, int64_t deadline_boot_ms, struct err *err)
{
	const struct purge_pace_wait w = {.mm = run->mm,
					  .beside = !run_alone(run),
					  .deadline_boot_ms = deadline_boot_ms,
					  .progress = run->options->progress};

	return purge_pace_wait(run->pace, &w, err);
}

void run_timing(const char *step, int64_t from_us, uint64_t posts, const char *name)
{
	log_debug("time %s %.3f ms %llu posts %s", step, (double)(time_mono_us() - from_us) / 1000,
		  (unsigned long long)posts, name[0] ? name : "-");
}

struct run_bundle *run_add_bundle(struct run *run)
{
	struct run_report *r = run->report;

	r->bundle = mem_grow(r, r->bundle, struct run_bundle, r->n_bundles + 1);
	memset(&r->bundle[r->n_bundles], 0, sizeof *r->bundle);
	return &r->bundle[r->n_bundles++];
}

static int name_run(struct run_report *r, struct err *err)
{
	char text[TIME_TEXT], hex[9];
	uint8_t raw[4];
	size_t n = 0;
	int rc = random_bytes(raw, sizeof raw, err);

	if (rc < 0)
		return rc;
	hex_encode(raw, sizeof raw, hex);
	time_format(r->began_ms / 1000 * 1000, text);
	for (const char *p = text; *p; p++)
		if (*p != '-' && *p != ':')
			r->id[n++] = *p;
	snprintf(r->id + n, sizeof r->id - n, "-%s", hex);
	return 0;
}

/* A wrong clock would delete too much; better nothing tonight. */
static int check_clock(struct run *run, struct err *err)
{
	int64_t local = time_now_ms(), db = run->mm->now_ms;
	char a[TIME_TEXT], b[TIME_TEXT];

	if (db - run->mm->clock_ms > CLOCK_SKEW_MAX_MS) {
		time_format(db, a);
		time_format(run->mm->clock_ms, b);
		log_warn("--now says %s, the database's clock %s: what is taken is due by then, not today", a, b);
	}

	if (local - db < CLOCK_SKEW_MAX_MS && db - local < CLOCK_SKEW_MAX_MS)
		return 0;
	time_format(local, a);
	time_format(db, b);
	err_set(err, ERR_GUARD, "the clock here says %s, the database's says %s", a, b);
	return err_hint(err, "Set the clocks right (NTP) and run again; nothing was deleted.");
}

static int check_schema(struct run *run, struct err *err)
{
	const struct mm_schema *s = run->mm->schema;

	if (s->n_unknown == 0)
		return 0;
	err_set(err, ERR_SCHEMA, "%zu thing%s in the database that a delete could break: %s%s", s->n_unknown,
		s->n_unknown == 1 ? "" : "s", s->unknown[0], s->n_unknown > 1 ? " ..." : "");
	return err_hint(err, "`mmretain doctor` lists them all; `mmretain plan` still works; nothing was deleted.");
}

static int check_database(struct run *run, struct err *err)
{
	int rc;

	if (db_in_recovery(run->mm->db)) {
		err_set(err, ERR_DATABASE, "the database is a standby");
		return err_hint(err, "Point the policy at the primary; nothing was deleted.");
	}
	/* Rights before the schema: what may not be read is among its unknown things. */
	if ((rc = check_clock(run, err)) < 0 || (rc = mm_check_grants(run->mm, run_deletes(run), err)) < 0)
		return rc;
	return check_schema(run, err);
}

static int one_is_enough(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	(void)rel_path;
	(void)size_bytes;
	(void)err;
	*(bool *)payload = true;
	return 1;
}

/* A run has a line before its first bundle: bundles without any line had a ledger, and what it proves is gone with it.
 */
static int check_not_lost(struct run *run, const struct ledger_state *st, struct err *err)
{
	bool any = false;
	/* A hold may be its only line. */
	int rc = st->system ? 0 : store_each_bundle(run->store, one_is_enough, &any, err);

	if (rc < 0 || !any)
		return rc < 0 ? rc : 0;
	err_set(err, ERR_VERIFY, "the archive \"%s\" has bundles and %s", run->store->path,
		st->entries ? "a ledger without a run" : "an empty ledger");
	return err_hint(err, "Put ledger/ back from a copy. When there is none, make a new archive for further runs; "
			     "this one can still be read. Nothing was deleted.");
}

/* A clock that went back was wrong before it did, or is now: better nothing tonight than cut-offs by a wrong one.
 * --now is taken for true. */
static int check_not_back(struct run *run, const struct ledger_state *st, struct err *err)
{
	char now[TIME_TEXT], last[TIME_TEXT];

	if (time_is_overridden() || run->mm->clock_ms > st->last_ms - CLOCK_SKEW_MAX_MS)
		return 0;
	time_format(run->mm->clock_ms, now);
	time_format(st->last_ms, last);
	err_set(err, ERR_GUARD, "the clock says %s, but the last run wrote its last line at %s", now, last);
	return err_hint(err,
			"Set the clock right (NTP) and run again; when it is right now and was wrong then, run once "
			"with --now %s. Nothing was deleted.",
			now);
}

/* It may well be the same server, but nothing shows it. */
static int refuse_unknown(const struct run *run, enum mm_home home, struct err *err)
{
	err_set(err, ERR_GUARD, "nothing shows that database %s is on the server of the last run into this archive: %s",
		run->mm->schema->database, mm_home_problem(home));
	if (home == MM_HOME_HIDDEN)
		return err_hint(err, MM_HOME_GRANT " to the role again. Nothing was deleted.");
	return err_hint(err, "When it is the same server, run once with --moved-database; attachments that an earlier "
			     "run left to be removed stay on disk then. Nothing was deleted.");
}

/* Late replies and attachments to be removed belong to the database that they were in.  With another one they would be
 * lost, or found in rows that only look the same: a test server made from a dump, next to the real one. */
static int check_home(struct run *run, struct err *err)
{
	const struct mm_schema *s = run->mm->schema;
	struct ledger_state *st;
	enum mm_home home;
	int rc = ledger_fold(run->ctx, run->store->ledger_dirfd, &st, err);

	if (rc < 0)
		return rc;
	run_take_held(run, st);
	run->owes_look = st->open_run || st->unswept;
	if ((rc = check_not_lost(run, st, err)) < 0 || (rc = check_not_back(run, st, err)) < 0 || !st->system)
		return rc;
	home = mm_home(s, st->system, st->database);
	if (home == MM_HOME_SAME)
		return run->options->moved_database ? run_unlink_set_foreign_aside(run, err) : 0;
	if (run->options->moved_database)
		return run_unlink_set_aside(run, err);
	if (home != MM_HOME_OTHER)
		return refuse_unknown(run, home, err);
	err_set(err, ERR_GUARD,
		"the last run into this archive was with database %s of system %s, not with %s of system %s",
		st->database, st->system, s->database, s->system_identifier);
	return err_hint(err, "When it is the same server, moved, restored or upgraded, run once with --moved-database; "
			     "else give it an archive of its own. Nothing was deleted.");
}

static int open_all(struct run *run, struct err *err)
{
	const struct policy_database *d = &run->policy->database;
	const struct policy_throttle *t = &run->policy->throttle;
	struct mm_source source = {d->mattermost_config, d->service, d->url, d->files};
	struct purge_pace_limits limits = {t->replica_lag_ms, t->replica_lag_bytes, t->probe_latency_ms,
					   (const char *const *)t->replica_except.item, t->replica_except.n};
	int rc;

	if ((rc = store_open(run->ctx, run->policy->archive.store, true, &run->store, err)) < 0 ||
	    (rc = mm_open(run->ctx, &source, &run->mm, err)) < 0 ||
	    (rc = db_open_again(run->ctx, run->mm->db, &run->lock_db, err)) < 0 ||
	    (rc = db_lock(run->lock_db, RUN_LOCK_KEY, err)) < 0 || (rc = mm_probe(run->mm, err)) < 0 ||
	    (rc = check_database(run, err)) < 0 || (rc = mm_recheck_begin(run->mm, err)) < 0)
		return rc;
	run->pace = purge_pace_new(run->ctx, run->lock_db, RUN_LOCK_KEY, &limits);
	mm_bucket_until(run->mm, run->options->deadline_boot_ms);
	digest_hex(&run->policy->digest, run->policy_hex);
	digest_hex(&run->mm->schema->digest, run->schema_hex);
	if ((rc = purge_bundle_kinds(run->ctx, run->mm, &run->kind, err)) < 0)
		return rc;
	rc = ledger_open(run->ctx, run->store->ledger_dirfd, &run->ledger, err);
	return rc < 0 || (rc = check_home(run, err)) < 0 ? rc : run_mirror_begin(run, err);
}

static struct plan_options plan_options(const struct run *run)
{
	const struct run_options *o = run->options;

	return (struct plan_options){.rule = o->rule,
				     .team = o->team,
				     .channel = o->channel,
				     .held = run->held,
				     .n_held = run->n_held,
				     .progress = o->progress};
}

/* What was named wrongly touches nothing, and is no run. */
static int check_asked(struct run *run, struct plan **ret_read, struct err *err)
{
	const struct run_options *o = run->options;
	const struct plan_options po = plan_options(run);
	int rc = o->plan_file ? plan_read(run->ctx, o->plan_file, run->policy, run->mm, ret_read, err)
			      : plan_check_options(run->policy, run->mm, &po, err);

	/* whoever names a plan is there to see what is wrong with it */
	run->named_wrongly = rc < 0 && (o->plan_file || rc == -ERR_USAGE || rc == -ERR_NOT_FOUND);
	return rc;
}

/* Before what an earlier run left is taken up: that deletes, too, and a word that matches nothing may have been meant
 * to keep it. */
static int check_words(struct run *run, struct err *err)
{
	struct plan *words;
	int rc;

	if (!run->options->strict)
		return 0;
	words = mem_new(run->ctx, struct plan);
	return (rc = plan_words(words, run->policy, run->mm, /* holds_only= */ false, err)) < 0
		       ? rc
		       : plan_strict(words, err);
}

static int check_people_words(const struct run *run, struct err *err)
{
	const struct people_plan *p = run->report->people_plan;

	if (!run->options->strict || !p || !p->n_words)
		return 0;
	err_set(err, ERR_POLICY, "%s, and --strict is given", p->warning[0]);
	return err_hint(err, "Correct departed_users (`mmretain check --db` names every such word), or leave --strict "
			     "out. Nothing was archived or deleted.");
}

/* A plan file may be older than an account that has gone. */
static int check_plan(struct run *run, struct err *err)
{
	int rc = run->options->plan_file ? plan_words(run->plan, run->policy, run->mm, /* holds_only= */ true, err) : 0;

	if (rc < 0 || (rc = run_line_plan(run, err)) < 0)
		return rc;
	return run->options->strict && (rc = plan_strict(run->plan, err)) < 0 ? rc : plan_guard(run->plan, err);
}

/* read: from the plan file; NULL: there is none. */
static int make_plan(struct run *run, struct plan *read, struct err *err)
{
	const struct plan_options po = plan_options(run);
	int64_t from = time_mono_us();
	int rc;

	run->plan_boot_ms = time_boot_ms();
	if (!read && ((rc = mm_export_before(run->mm, &run->plan_xid, err)) < 0 ||
		      (rc = plan_build(run->ctx, run->policy, run->mm, &po, &read, err)) < 0))
		return rc;
	run->report->plan = run->plan = read;
	run_timing("plan", from, run->plan->due_posts, "");
	return check_plan(run, err);
}

static int archive_all(struct run *run, struct err *err)
{
	struct spool *due;
	uint64_t at = 0, next = 0;
	int rc = run_due_group(run, &due, err);

	while (rc == 0 && at < spool_count(due)) {
		progress_update(run->options->progress, "archive", at, spool_count(due), "threads");
		/* An export writes nothing that replicas must replay, but its snapshot keeps vacuum from its work:
		 * better wait before it.  One that comes to no delete would only take the time of what follows. */
		if ((rc = run_wait_for_others(run, run->work_until_boot_ms, err)) == 0 &&
		    (rc = run_time_check(run, run->sitting_ms, err)) == 0)
			rc = run_sitting(run, due, at, &next, err);
		at = next;
	}
	return rc;
}

/* Whoever wrote in a held thread stays as he is: what recovery brought back may be one. */
static bool came_back(const struct run *run)
{
	return run->n_held && (run->report->n_bundles || run->report->total.late_restored);
}

/* The accounts to come, what was left, the plan, the threads.  Who has departed, and the time for that, before what was
 * left: its deletes may take nights, in which accounts would not be looked at.  When that cannot be told, what was left
 * is finished all the same. */
static int steps(struct run *run, struct err *err)
{
	struct plan *read = NULL;
	struct err own = {0};
	int rc, people;

	if ((rc = check_asked(run, &read, err)) < 0 || (rc = run_line_begin(run, err)) < 0 ||
	    (rc = check_words(run, err)) < 0)
		return rc;
	people = run_people_plan(run, &own);
	if (people == 0 && (rc = check_people_words(run, err)) < 0)
		return rc;
	if (people != -ERR_INTERRUPTED && ((rc = run_time_share(run, err)) < 0 || (rc = run_recover(run, err)) < 0))
		return rc;
	if (people < 0) {
		*err = own;
		return people;
	}
	if ((rc = make_plan(run, read, err)) < 0 || (came_back(run) && (rc = run_people_plan(run, err)) < 0) ||
	    (rc = run_next_seq(run, err)) < 0 || (rc = archive_all(run, err)) < 0)
		return rc;
	return stop_check(err);
}

/* How much an end tells: of two the greater is the night's. */
static int weight(int rc)
{
	return rc == 0 ? 0 : rc == -ERR_KEPT ? 1 : rc == -ERR_WORK_LEFT ? 2 : 3;
}

static int then(struct run *run, int rc, int (*step)(struct run *, struct err *), struct err *err)
{
	struct err own = {0};
	int end;

	if (weight(rc) == 3 || weight(end = step(run, &own)) <= weight(rc))
		return rc;
	*err = own;
	return end;
}

/* What follows the threads comes also when their time is up, or items were kept back: a backlog takes many nights, and
 * some item is kept back in all of them.  Who is asked to stop in the midst of threads closes what is open, and begins
 * nothing more. */
static int night(struct run *run, struct err *err)
{
	int rc = steps(run, err);

	if (rc != -ERR_WORK_LEFT || !stop_requested())
		rc = then(run, rc, run_people, err);
	rc = then(run, rc, run_unlink_pending, err);
	if (rc != -ERR_WORK_LEFT || !stop_requested())
		rc = then(run, rc, run_expire_step, err);
	return rc;
}

static bool kept_back(const struct run_report *r)
{
	for (int i = KEPT_PINNED; i < PLAN_REASONS; i++)
		if (r->kept[i])
			return true;
	return r->total.blobs_failed > 0;
}

static void tell_open_sweep(const struct run_report *r)
{
	if (r->total.sweep_open)
		log_warn("a transaction that was under way when rows were deleted has not ended yet (pg_stat_activity "
			 "shows it, with the oldest xact_start): a run after its end looks once more for late replies; "
			 "attachments of deleted threads wait until then");
	if (r->waived_open)
		log_warn("of rules with `archive: none` nothing is left to look by, and nothing to put back: a reply "
			 "that such a transaction still writes to one of their deleted threads stays alone, and "
			 "`mmretain plan -v` counts it");
}

/* Where bundles past their time were looked at, no guard of the run itself was the end. */
static const char *outcome_of(const struct run_report *rep, int rc)
{
	if (rc == 0)
		return "complete";
	if (rc == -ERR_WORK_LEFT || (rep->expire && rc == -ERR_GUARD) || rc == -ERR_KEPT || rc == -ERR_INTERRUPTED)
		return "partial";
	return rc == -ERR_GUARD || rc == -ERR_SCHEMA || rc == -ERR_POLICY ? "refused" : "failed";
}

static const char *way_on(int rc, const struct err *err)
{
	if (rc == -ERR_PERMISSION || err->sys_errno == EACCES || err->sys_errno == EPERM)
		return "Run as the user that the archive belongs to, and give all of it to that user.";
	return rc == -ERR_STORE ? "Check the archive's disk and limits, then run again." : "Run again.";
}

/* What a deep room cannot say: how the archive and the database stand now. */
static void tell_state(int rc, struct err *err)
{
	if (rc < 0 && !*err->hint)
		err_hint(err, "%s What was finished stays finished, nothing is lost; the next run takes up the rest.",
			 way_on(rc, err));
}

/* The last lines; their failure matters only when all else went well. */
static int close_run(struct run *run, int rc, struct err *err)
{
	struct err own;
	int end;

	if (rc == 0 && kept_back(run->report)) {
		rc = err_set(err, ERR_KEPT, "done, but some items were kept back");
		err_hint(err,
			 "`mmretain report %s` counts them by reason, and a run with -v names each; the next run tries "
			 "those again that may still go.",
			 run->report->id);
	}
	if (rc == -ERR_WORK_LEFT && stop_requested())
		rc = stop_check(err);
	run->report->outcome = outcome_of(run->report, rc);
	run->report->ended_ms = time_now_ms();
	if (run->pace)
		run->report->waited = *purge_pace_waited(run->pace);
	if (!run->report->begun)
		return rc;
	tell_open_sweep(run->report);
	run_files_tell_rest(run);
	run_files_tell_versions(run);
	end = run_line_kept(run, &own);
	if (end == 0)
		end = run_line_end(run, rc, &own);
	run_attempt_clear_locked(run->store);
	if (end == 0)
		end = run_mirror_close(run, &own);
	if (end < 0 && rc == 0) {
		*err = own;
		return end;
	}
	return rc;
}

int run_night(void *ctx, const struct policy *policy, const struct run_options *options, struct run_report **ret,
	      struct err *err)
{
	struct run *run = mem_new(ctx, struct run);
	int rc;

	run->ctx = run;
	run->policy = policy;
	run->options = options;
	run->since_ms = RUN_NOT_YET;
	run_time_begin(run);
	run->report = mem_new(ctx, struct run_report);
	run->report->began_ms = time_now_ms();
	*ret = run->report;
	if ((rc = name_run(run->report, err)) < 0)
		return rc;
	if ((rc = open_all(run, err)) == 0)
		rc = run_mirror_rest(run, night(run, err), err);
	tell_state(rc, err);
	rc = close_run(run, rc, err);
	if (rc < 0 && !run->report->begun && !run->named_wrongly)
		run_attempt_note(policy->archive.store, rc, err);
	/* Locks and the ledger go with the process or the caller's context, after the report was printed. */
	talloc_steal(run->report, run->plan);
	return rc;
}
