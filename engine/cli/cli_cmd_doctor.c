/*
 * cli_cmd_doctor.c - everything a run needs, one line each.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <mmretain/ledger.h>
#include <mmretain/mm.h>
#include <mmretain/policy.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_expire.h"
#include "cli_files.h"
#include "cli_match.h"
#include "cli_mirror.h"
#include "cli_people.h"

#define FREE_BUNDLES 4          /* room for so many bundles is a warning when there is less */
#define FREE_FIFTHS 2           /* of a bundle: a run begins none with less */
#define CLOCK_WARN_MS 5000
#define CLOCK_FAIL_MS 60000

enum state { OK, WARN, FAIL };

struct doctor {
	struct cli *cli;
	json_t *list;
	struct err first;        /* of the first failure: it decides the exit status */
	unsigned warnings, failures;
};

static void MMR_PRINTF(4, 0) note(struct doctor *d, const char *check, enum state state, const char *fmt, va_list ap,
				  const char *hint)
{
	static const char *const words[] = {"ok", "warn", "fail"};
	static const enum cli_tint tints[] = {CLI_GREEN, CLI_YELLOW, CLI_RED};
	auto_mem void *ctx = mem_context(NULL, "note");
	char *text = mem_check(talloc_vasprintf(ctx, fmt, ap));

	d->warnings += state == WARN;
	d->failures += state == FAIL;
	if (d->cli->json) {
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "check", check);
		cli_json_text(obj, "state", words[state]);
		cli_json_text(obj, "text", text);
		cli_json_text(obj, "hint", hint && *hint ? hint : NULL);
		if (json_array_append_new(d->list, obj) < 0)
			mem_check(NULL);
		return;
	}
	printf("%s%-4s%s  %-12s %s\n", cli_tint(d->cli->color, tints[state]), words[state], cli_tint(d->cli->color, CLI_PLAIN),
	       check, cli_safe(ctx, text));
	if (hint && *hint)
		printf("                    %s\n", cli_safe(ctx, hint));
}

static void MMR_PRINTF(3, 4) good(struct doctor *d, const char *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(d, check, OK, fmt, ap, NULL);
	va_end(ap);
}

static void MMR_PRINTF(4, 5) warn(struct doctor *d, const char *check, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(d, check, WARN, fmt, ap, hint);
	va_end(ap);
}

static void MMR_PRINTF(4, 5) say_fail(struct doctor *d, const char *check, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(d, check, FAIL, fmt, ap, hint);
	va_end(ap);
}

static void fail(struct doctor *d, const char *check, struct err *err)
{
	if (!d->first.code)
		d->first = *err;
	say_fail(d, check, err->hint, "%s", err->msg);
	err_clear(err);
}

static bool check_policy(struct doctor *d)
{
	struct err err = {0};

	if (cli_load_policy(d->cli, &err) < 0) {
		fail(d, "policy", &err);
		return false;
	}
	good(d, "policy", "%s: %zu rule%s, %zu hold%s", cli_policy_path(d->cli), d->cli->policy->n_rules, cli_s(d->cli->policy->n_rules), d->cli->policy->n_holds,
	     cli_s(d->cli->policy->n_holds));
	return true;
}

static void check_schema(struct doctor *d)
{
	const struct mm_schema *s = d->cli->mm->schema;
	struct err err = {0};
	size_t present = 0;

	for (int i = 0; i < MM_KINDS; i++)
		present += s->table[i].present;
	for (size_t i = 0; i < s->n_unknown; i++) {
		bool unread = i >= s->n_unknown - s->n_unread;

		err_set(&err, unread ? ERR_PERMISSION : ERR_SCHEMA, "%s", s->unknown[i]);
		err_hint(&err, unread ? "`mmretain grants` has the statement that lets the role read it." : "`plan` works; a run is refused until this is settled: \"Upgrades and plugins\" of operating.md in share/doc/mmretain.");
		fail(d, "schema", &err);
	}
	if (!s->n_unknown)
		good(d, "schema", "%zu of %d known tables of a thread are there, nothing unknown points at posts", present,
		     MM_KINDS);
	for (size_t i = 0; d->cli->verbose && i < s->n_notes; i++)
		good(d, "schema", "%s", s->note[i]);
}

static void check_clock(struct doctor *d)
{
	int64_t difference = d->cli->mm->now_ms - time_now_ms(), size = difference < 0 ? -difference : difference;
	struct err err = {0};

	if (size > CLOCK_FAIL_MS) {
		err_set(&err, ERR_GUARD, "the clocks of this host and of the database differ by %lld s", (long long)(size / 1000));
		err_hint(&err, "Set both by NTP; a run with a wrong clock would delete too much.");
		fail(d, "clock", &err);
	} else if (size > CLOCK_WARN_MS) {
		warn(d, "clock", "Set both by NTP.", "the clocks of this host and of the database differ by %lld s",
		     (long long)(size / 1000));
	} else {
		good(d, "clock", "this host and the database agree to %lld ms", (long long)size);
	}
}

static void check_files(struct doctor *d)
{
	struct cli_files f;
	struct err err = {0};

	if (cli_files(d->cli, &f, &err) < 0)
		fail(d, "attachments", &err);
	else if (f.well)
		good(d, "attachments", "%s", f.text);
	else
		warn(d, "attachments", f.hint, "%s", f.text);
}

/* A hold whose name is misspelt protects nobody, and the night goes on. */
static void check_names(struct doctor *d)
{
	struct policy_problems found = {0};
	struct cli_match_result result = {0};
	struct err err = {0};

	if (cli_match_names(d->cli, &found, &result, &err) < 0) {
		fail(d, "names", &err);
		return;
	}
	for (size_t i = 0; i < found.n; i++) {
		const struct policy_problem *p = &found.item[i];

		if (p->warning) {
			warn(d, "names", "Nothing is matched by that name, so nothing is held, spared or deleted for it: correct it, or take it out.", "line %u: %s",
			     (unsigned)p->line, p->text);
			continue;
		}
		err_set(&err, ERR_POLICY, "line %u: %s", (unsigned)p->line, p->text);
		err_hint(&err, "%s", p->hint ? p->hint : "");
		fail(d, "names", &err);
	}
	if (!found.n)
		good(d, "names", "every name of the policy is in the database; %zu of %zu channel%s without a rule", result.ungoverned, result.channels, cli_s(result.channels));
}

/* A run makes the same plan, and ends where it cannot: without the list, or without its rights. */
static void check_departed(struct doctor *d)
{
	const struct policy_people *p = &d->cli->policy->people;
	struct people_plan *plan = NULL;
	struct err err = {0};
	uint64_t known;

	if (!p->present)
		return;
	if (people_plan(d->cli->ctx, d->cli->policy, d->cli->mm, /* holds= */ NULL, &plan, &err) < 0) {
		fail(d, "departed", &err);
		return;
	}
	known = plan->listed - plan->listed_unknown;
	if (!p->only_listed)
		good(d, "departed", "the accounts can be read; no list restricts who is taken");
	else if (!known)
		warn(d, "departed", "Is it the list, with account names or addresses as Mattermost has them? Nobody is depersonalised by it.",
		     "%s: none of %llu entr%s is a deactivated account", p->only_listed, (unsigned long long)plan->listed, plan->listed == 1 ? "y" : "ies");
	else
		good(d, "departed", "%s: %llu of %llu entr%s %s deactivated account%s; `mmretain plan -v` names the others", p->only_listed, (unsigned long long)known,
		     (unsigned long long)plan->listed, plan->listed == 1 ? "y" : "ies", known == 1 ? "is a" : "are", cli_s(known));
	talloc_free(plan);
}

/* Taken and let go at once: nobody else can tell whether it is free. */
static void check_lock(struct doctor *d)
{
	struct db *session = NULL;
	struct err err = {0};
	int r = db_open_again(d->cli->ctx, d->cli->mm->db, &session, &err);

	if (r == 0)
		r = db_lock(session, RUN_LOCK_KEY, &err);
	if (r == 0)
		good(d, "lock", "no run is going on");
	else if (r == -ERR_LOCKED)
		warn(d, "lock", "Wait for it to end.", "%s", err.msg);
	else
		fail(d, "lock", &err);
	talloc_free(session);
}

/* A run does not wait for a replica that is not connected: it may never come back.  Until it does, or its slot is dropped, deletes fill the disk. */
static void check_slots(struct doctor *d)
{
	struct mm_slot *slot;
	struct err err = {0};
	char kept[TIME_TEXT];
	size_t n;

	if (mm_busy_slots(d->cli->ctx, d->cli->mm, &slot, &n, &err) < 0) {
		warn(d, "replicas", err.hint, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		bytes_format((uint64_t)slot[i].kept_bytes, kept);
		warn(d, "replicas", "Bring its replica back, or drop it; no run waits for it, and what runs delete makes this more.",
		     "nobody uses replication slot %s: %s of write-ahead log is kept for it", slot[i].name, kept);
	}
}

static void check_replica(struct doctor *d, const struct mm_replica *r)
{
	const struct policy_throttle *t = &d->cli->policy->throttle;
	bool except = false, late;
	char bytes[TIME_TEXT];

	for (size_t i = 0; i < t->replica_except.n; i++)
		except |= strcmp(t->replica_except.item[i], r->name) == 0;
	if (r->hidden) {
		warn(d, "replicas", "As a superuser: " MM_BUSY_GRANT " TO the role; `mmretain grants` has the line. Until then no run waits for it.",
		     "%s is connected, but the role may not see how far it is behind", r->name);
		return;
	}
	bytes_format((uint64_t)r->behind_bytes, bytes);
	late = (t->replica_lag_ms && r->behind_ms >= t->replica_lag_ms) || (t->replica_lag_bytes && r->behind_bytes >= t->replica_lag_bytes);
	if (late && !except)
		warn(d, "replicas", "A run waits for it. One that is late on purpose goes under `throttle: {replica_except: [NAME]}`.", "%s is %s and %lld ms behind",
		     r->name, bytes, (long long)r->behind_ms);
	else
		good(d, "replicas", "%s is %s and %lld ms behind%s", r->name, bytes, (long long)r->behind_ms, except ? ", no run waits for it" : "");
}

static void check_replicas(struct doctor *d)
{
	struct mm_busy *busy;
	struct err err = {0};

	if (db_in_recovery(d->cli->mm->db))
		return;
	if (mm_busy_look(d->cli->ctx, d->cli->mm->db, /* cost= */ false, &busy, &err) < 0) {
		warn(d, "replicas", err.hint, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < busy->n_replicas; i++)
		check_replica(d, &busy->replica[i]);
	if (!busy->n_replicas)
		good(d, "replicas", "none is connected");
	check_slots(d);
}

static void check_database(struct doctor *d)
{
	struct err err = {0};

	if (cli_open_db(d->cli, &err) < 0) {
		fail(d, "database", &err);
		return;
	}
	good(d, "database", "%s, PostgreSQL %d.%d, schema %s", db_text_safe(d->cli->mm->db),
	     db_server_version(d->cli->mm->db) / 10000, db_server_version(d->cli->mm->db) % 10000, db_schema(d->cli->mm->db));
	if (mm_check_grants(d->cli->mm, /* for_delete= */ true, &err) < 0)
		fail(d, "rights", &err);
	else
		good(d, "rights", "the role may read and delete what a run needs");
	if (d->cli->mm->schema->superuser)
		warn(d, "rights", "`mmretain grants ROLE` prints what a role of its own needs.", "the role is a superuser and may do much more than that");
	check_schema(d);
	check_clock(d);
	check_files(d);
	check_names(d);
	check_departed(d);
	check_lock(d);
	check_replicas(d);
}

static void check_space(struct doctor *d)
{
	uint64_t free_bytes = 0, size = d->cli->policy->archive.bundle_size_bytes, wanted = FREE_BUNDLES * size, least = size / 5 * FREE_FIFTHS;
	char have[TIME_TEXT], need[TIME_TEXT];
	struct err err = {0};

	if (store_free_bytes(d->cli->store, &free_bytes, &err) < 0) {
		fail(d, "space", &err);
		return;
	}
	bytes_format(free_bytes, have);
	bytes_format(wanted, need);
	if (free_bytes < least) {
		bytes_format(least, need);
		err_set(&err, ERR_STORE, "%s free, less than the %s with which a bundle is begun", have, need);
		err_hint(&err, "Make room, or lower `bundle_size`: a run archives nothing until then.");
		fail(d, "space", &err);
	} else if (free_bytes < wanted)
		warn(d, "space", "Make room, or lower `bundle_size`.", "%s free, less than %s: %d times `bundle_size`", have, need, FREE_BUNDLES);
	else
		good(d, "space", "%s free", have);
}

/* An archive that fills the disk of the attachments stops the chat. */
static void check_neighbour(struct doctor *d)
{
	struct stat archive, files;

	if (d->cli->mm && d->cli->mm->data_dirfd >= 0 && fstat(d->cli->store->root_dirfd, &archive) == 0 && fstat(d->cli->mm->data_dirfd, &files) == 0 &&
	    archive.st_dev == files.st_dev)
		warn(d, "space", "Give the archive a file system of its own.", "the archive and the attachments share a file system: one that fails or is full "
		     "takes both");
}

static void check_not_back(struct doctor *d, int64_t last_ms)
{
	char last[TIME_TEXT];

	if (!d->cli->mm || time_is_overridden() || d->cli->mm->clock_ms > last_ms - CLOCK_FAIL_MS)
		return;
	time_format(last_ms, last);
	warn(d, "ledger", "A run is refused; set the clock right (NTP). When it is right now and was wrong then, run once with --now and the time of now.",
	     "the last run wrote its last line at %s, which is still to come", last);
}

/* Opening the ledger would recover it, and doctor changes nothing: read it, and ask the fold for open ends. */
static void check_ledger(struct doctor *d)
{
	struct ledger_state *state = NULL;
	enum mm_home home = MM_HOME_SAME;
	struct err err = {0};

	if (ledger_fold(d->cli->ctx, d->cli->store->ledger_dirfd, &state, &err) < 0) {
		fail(d, "ledger", &err);
		return;
	}
	if (d->cli->mm && d->cli->mm->schema && state->system)
		home = mm_home(d->cli->mm->schema, state->system, state->database);
	if (home == MM_HOME_HIDDEN)
		warn(d, "ledger", "A run is refused; " MM_HOME_GRANT " to the role again.", "%s", mm_home_problem(home));
	else if (home == MM_HOME_SHOWN)
		warn(d, "ledger", "A run is refused; when it is the server of the last run into this archive, run once with --moved-database.", "%s",
		     mm_home_problem(home));
	else if (home == MM_HOME_OTHER)
		warn(d, "ledger", "A run is refused; when the database was moved, restored or upgraded, run once with --moved-database.",
		     "the last run into this archive was with database %s of system %s", state->database, state->system);
	good(d, "ledger", "%llu line%s, chain whole", (unsigned long long)state->entries, cli_s(state->entries));
	check_not_back(d, state->last_ms);
	if (state->open_run)
		warn(d, "runs", "When it was interrupted, the next run takes it up.", "run %s is going on, or was interrupted; %zu bundle%s %s unfinished",
		     state->open_run, state->n_bundles, cli_s(state->n_bundles), state->n_bundles == 1 ? "is" : "are");
	else if (state->n_bundles)
		warn(d, "runs", state->n_bundles == 1 ? "The next run takes it up." : "The next run takes them up.", "%zu bundle%s of runs that have ended %s unfinished",
		     state->n_bundles, cli_s(state->n_bundles), state->n_bundles == 1 ? "is" : "are");
}

static void check_expiry(struct doctor *d)
{
	struct ledger_archive *a;
	struct cli_overdue o;
	struct err err = {0};
	char bytes[TIME_TEXT];

	if (ledger_archive(d->cli->ctx, d->cli->store->ledger_dirfd, &a, &err) < 0)
		return; /* check_ledger has told it */
	cli_overdue(a, &o);
	bytes_format(o.bytes, bytes);
	if (o.expiring)
		warn(d, "expiry", "`mmretain expire --yes` or the next run goes on.", "the expiry of %llu bundle%s was begun and has not ended", (unsigned long long)o.expiring,
		     cli_s(o.expiring));
	if (o.bundles)
		good(d, "expiry", "%llu bundle%s past %s time, %s; `mmretain expire -n` says what becomes of them", (unsigned long long)o.bundles, cli_s(o.bundles),
		     o.bundles == 1 ? "its" : "their", bytes);
	talloc_free(a);
}

static void check_missing(struct doctor *d)
{
	const struct ledger_published *missing;
	struct err err = {0};
	size_t n;

	if (audit_missing(d->cli->ctx, d->cli->store, &missing, &n, &err) < 0 || n == 0)
		return; /* check_ledger has told it */
	warn(d, "bundles", AUDIT_MISSING_HINT, "%s", cli_missing_text(d->cli->ctx, missing, n));
}

static void check_archive(struct doctor *d)
{
	struct err err = {0};

	if (cli_open_store(d->cli, /* writable= */ true, &err) < 0) {
		fail(d, "archive", &err);
		return;
	}
	good(d, "archive", "%s", d->cli->store->path);
	check_space(d);
	check_neighbour(d);
	check_ledger(d);
	check_expiry(d);
	check_missing(d);
}

static void check_mirror(struct doctor *d)
{
	struct cli_mirror_probe found;
	struct err err = {0};

	if (cli_probe_mirror(d->cli, &found, &err) < 0)
		fail(d, "mirror", &err);
	else if (found.versions)
		warn(d, "mirror", "Turn versioning off, or let a lifecycle rule remove what is not current (operating.md in share/doc/mmretain).",
		     "%s keeps versions: what `erase` and `expire` remove stays there", d->cli->policy->archive.mirror.bucket);
	else if (found.has)
		good(d, "mirror", "%s: an object was written, read, listed and removed", d->cli->policy->archive.mirror.bucket);
}

int cli_cmd_doctor(struct cli *cli, struct err *err)
{
	struct doctor d = {.cli = cli, .list = cli_json_check(json_array())};
	int r = 0;

	if (check_policy(&d)) {
		check_database(&d);
		check_archive(&d);
		check_mirror(&d);
	}
	if (cli->json)
		r = cli_json_print(d.list, err);
	else
		json_decref(d.list);
	if (r == 0 && d.failures) {
		err_set(err, (enum err_code)-d.first.code, "%u failure%s, %u warning%s", d.failures, d.failures == 1 ? "" : "s",
			d.warnings, d.warnings == 1 ? "" : "s");
		r = err->code;
	}
	return r;
}
