/*
 * cli_cmd_doctor.c - everything a run needs, one line each.
 */
#include <stdlib.h>
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/mm.h>
#include <mmretain/policy.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_doctor.h"
#include "cli_files.h"
#include "cli_match.h"
#include "cli_people.h"

#define CLOCK_WARN_MS 5000

enum state { OK, WARN, FAIL };

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
	printf("%s%-4s%s  %-12s %s\n", cli_tint(d->cli->color, tints[state]), words[state],
	       cli_tint(d->cli->color, CLI_PLAIN), check, cli_safe(ctx, text));
	if (hint && *hint)
		printf("                    %s\n", cli_safe(ctx, hint));
}

void MMR_PRINTF(3, 4) doctor_good(struct doctor *d, const char *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(d, check, OK, fmt, ap, NULL);
	va_end(ap);
}

void MMR_PRINTF(4, 5) doctor_warn(struct doctor *d, const char *check, const char *hint, const char *fmt, ...)
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

void doctor_fail(struct doctor *d, const char *check, struct err *err)
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
		doctor_fail(d, "policy", &err);
		return false;
	}
	doctor_good(d, "policy", "%s: %zu rule%s, %zu hold%s", cli_policy_path(d->cli), d->cli->policy->n_rules,
		    cli_s(d->cli->policy->n_rules), d->cli->policy->n_holds, cli_s(d->cli->policy->n_holds));
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
		err_hint(&err, unread ? "`mmretain grants` has the statement that lets the role read it."
				      : "`plan` works; a run is refused until this is settled: \"Upgrades and "
					"plugins\" of operating.md in share/doc/mmretain.");
		doctor_fail(d, "schema", &err);
	}
	if (!s->n_unknown)
		doctor_good(d, "schema",
			    "%zu of %d known tables of a thread are there, nothing unknown points at posts", present,
			    MM_KINDS);
	for (size_t i = 0; d->cli->verbose && i < s->n_notes; i++)
		doctor_good(d, "schema", "%s", s->note[i]);
}

static void check_clock(struct doctor *d)
{
	int64_t difference = d->cli->mm->now_ms - time_now_ms(), size = difference < 0 ? -difference : difference;
	struct err err = {0};

	if (size > DOCTOR_CLOCK_FAIL_MS) {
		err_set(&err, ERR_GUARD, "the clocks of this host and of the database differ by %lld s",
			(long long)(size / 1000));
		err_hint(&err, "Set both by NTP; a run with a wrong clock would delete too much.");
		doctor_fail(d, "clock", &err);
	} else if (size > CLOCK_WARN_MS) {
		doctor_warn(d, "clock", "Set both by NTP.",
			    "the clocks of this host and of the database differ by %lld s", (long long)(size / 1000));
	} else {
		doctor_good(d, "clock", "this host and the database agree to %lld ms", (long long)size);
	}
}

static void check_files(struct doctor *d)
{
	struct cli_files f;
	struct err err = {0};

	if (cli_files(d->cli, &f, &err) < 0)
		doctor_fail(d, "attachments", &err);
	else if (f.well)
		doctor_good(d, "attachments", "%s", f.text);
	else
		doctor_warn(d, "attachments", f.hint, "%s", f.text);
}

/* A hold whose name is misspelt protects nobody, and the night goes on. */
static void check_names(struct doctor *d)
{
	struct policy_problems found = {0};
	struct cli_match_result result = {0};
	struct err err = {0};

	if (cli_match_names(d->cli, &found, &result, &err) < 0) {
		doctor_fail(d, "names", &err);
		return;
	}
	for (size_t i = 0; i < found.n; i++) {
		const struct policy_problem *p = &found.item[i];

		if (p->warning) {
			doctor_warn(d, "names",
				    "Nothing is matched by that name, so nothing is held, spared or deleted for it: "
				    "correct "
				    "it, or take it out.",
				    "line %u: %s", (unsigned)p->line, p->text);
			continue;
		}
		err_set(&err, ERR_POLICY, "line %u: %s", (unsigned)p->line, p->text);
		err_hint(&err, "%s", p->hint ? p->hint : "");
		doctor_fail(d, "names", &err);
	}
	if (!found.n)
		doctor_good(d, "names",
			    "every name of the policy is in the database; %zu of %zu channel%s without a rule",
			    result.ungoverned, result.channels, cli_s(result.channels));
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
		doctor_fail(d, "departed", &err);
		return;
	}
	known = plan->listed - plan->listed_unknown;
	if (!p->only_listed)
		doctor_good(d, "departed", "the accounts can be read; no list restricts who is taken");
	else if (!known)
		doctor_warn(d, "departed",
			    "Is it the list, with account names or addresses as Mattermost has them? Nobody is "
			    "depersonalised "
			    "by it.",
			    "%s: none of %llu entr%s is a deactivated account", p->only_listed,
			    (unsigned long long)plan->listed, plan->listed == 1 ? "y" : "ies");
	else
		doctor_good(d, "departed",
			    "%s: %llu of %llu entr%s %s deactivated account%s; `mmretain plan -v` names the others",
			    p->only_listed, (unsigned long long)known, (unsigned long long)plan->listed,
			    plan->listed == 1 ? "y" : "ies", known == 1 ? "is a" : "are", cli_s(known));
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
		doctor_good(d, "lock", "no run is going on");
	else if (r == -ERR_LOCKED)
		doctor_warn(d, "lock", "Wait for it to end.", "%s", err.msg);
	else
		doctor_fail(d, "lock", &err);
	talloc_free(session);
}

/* A run does not wait for a replica that is not connected: it may never come back.  Until it does, or its slot is
 * dropped, deletes fill the disk. */
static void check_slots(struct doctor *d)
{
	struct mm_slot *slot;
	struct err err = {0};
	char kept[TIME_TEXT];
	size_t n;

	if (mm_busy_slots(d->cli->ctx, d->cli->mm, &slot, &n, &err) < 0) {
		doctor_warn(d, "replicas", err.hint, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		bytes_format((uint64_t)slot[i].kept_bytes, kept);
		doctor_warn(d, "replicas",
			    "Bring its replica back, or drop it; no run waits for it, and what runs delete "
			    "makes this more.",
			    "nobody uses replication slot %s: %s of write-ahead log is kept for it", slot[i].name,
			    kept);
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
		doctor_warn(d, "replicas",
			    "As a superuser: " MM_BUSY_GRANT
			    " TO the role; `mmretain grants` has the line. Until then no run waits for it.",
			    "%s is connected, but the role may not see how far it is behind", r->name);
		return;
	}
	bytes_format((uint64_t)r->behind_bytes, bytes);
	late = (t->replica_lag_ms && r->behind_ms >= t->replica_lag_ms) ||
	       (t->replica_lag_bytes && r->behind_bytes >= t->replica_lag_bytes);
	if (late && !except)
		doctor_warn(d, "replicas",
			    "A run waits for it. One that is late on purpose goes under `throttle: {replica_except: "
			    "[NAME]}`.",
			    "%s is %s and %lld ms behind", r->name, bytes, (long long)r->behind_ms);
	else
		doctor_good(d, "replicas", "%s is %s and %lld ms behind%s", r->name, bytes, (long long)r->behind_ms,
			    except ? ", no run waits for it" : "");
}

static void check_replicas(struct doctor *d)
{
	struct mm_busy *busy;
	struct err err = {0};

	if (db_in_recovery(d->cli->mm->db))
		return;
	if (mm_busy_look(d->cli->ctx, d->cli->mm->db, /* cost= */ false, &busy, &err) < 0) {
		doctor_warn(d, "replicas", err.hint, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < busy->n_replicas; i++)
		check_replica(d, &busy->replica[i]);
	if (!busy->n_replicas)
		doctor_good(d, "replicas", "none is connected");
	check_slots(d);
}

static void check_database(struct doctor *d)
{
	struct err err = {0};

	if (cli_open_db(d->cli, &err) < 0) {
		doctor_fail(d, "database", &err);
		return;
	}
	doctor_good(d, "database", "%s, PostgreSQL %d.%d, schema %s", db_text_safe(d->cli->mm->db),
		    db_server_version(d->cli->mm->db) / 10000, db_server_version(d->cli->mm->db) % 10000,
		    db_schema(d->cli->mm->db));
	if (mm_check_grants(d->cli->mm, /* for_delete= */ true, &err) < 0)
		doctor_fail(d, "rights", &err);
	else
		doctor_good(d, "rights", "the role may read and delete what a run needs");
	if (d->cli->mm->schema->superuser)
		doctor_warn(d, "rights", "`mmretain grants ROLE` prints what a role of its own needs.",
			    "the role is a superuser and may do much more than that");
	check_schema(d);
	check_clock(d);
	check_files(d);
	check_names(d);
	check_departed(d);
	check_lock(d);
	check_replicas(d);
}

int cli_cmd_doctor(struct cli *cli, struct err *err)
{
	struct doctor d = {.cli = cli, .list = cli_json_check(json_array())};
	int r = 0;

	if (check_policy(&d)) {
		check_database(&d);
		doctor_archive(&d);
		doctor_mirror(&d);
	}
	if (cli->json)
		r = cli_json_print(d.list, err);
	else
		json_decref(d.list);
	if (r == 0 && d.failures) {
		err_set(err, (enum err_code) - d.first.code, "%u failure%s, %u warning%s", d.failures,
			d.failures == 1 ? "" : "s", d.warnings, d.warnings == 1 ? "" : "s");
		r = err->code;
	}
	return r;
}
