/*
 * cli_cmd_report.c - the deletion protocol of one run, from the ledger alone.
 *
 * The seventeen points are those that a deletion protocol after DIN 66398 and the German data protection authorities' module
 * 60 must contain; a point that the ledger does not know says so.
 */
#include <string.h>
#include <time.h>

#include "cli_audit.h"
#include "cli_protocol.h"
#include "cli_report.h"

struct report {
	struct cli *cli;
	json_t *doc;
	const json_t *begin, *plan, *end, *totals;
	const char *rule, *team;   /* of a part of the run; "": all */
};

static void MMR_PRINTF(4, 5) point(const struct report *rp, int number, const char *label, const char *fmt, ...)
{
	auto_mem void *ctx = mem_context(NULL, "point");
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_check(talloc_vasprintf(ctx, fmt, ap));
	va_end(ap);
	if (number)
		printf("%s%2d  %-12s%s  %s\n", cli_tint(rp->cli->color, CLI_BOLD), number, label,
		       cli_tint(rp->cli->color, CLI_PLAIN), cli_safe(ctx, text));
	else
		printf("                  %s\n", cli_safe(ctx, text));
}

static const char *known(const char *text)
{
	return *text ? text : "not recorded";
}

/* "9 threads and parts of 3 more": those stay */
static const char *threads_text(void *ctx, uint64_t threads, uint64_t parts)
{
	uint64_t whole = threads > parts ? threads - parts : 0;

	if (parts)
		return mem_printf(ctx, "%llu thread%s and parts of %llu more", (unsigned long long)whole, cli_s(whole),
				  (unsigned long long)parts);
	return mem_printf(ctx, "%llu thread%s", (unsigned long long)threads, cli_s(threads));
}

/* "12 threads, 40 posts", of an object that has both and perhaps parts. */
static const char *amount(void *ctx, const json_t *of, const char *threads, const char *parts, const char *posts)
{
	uint64_t n = protocol_int(of, posts);

	return mem_printf(ctx, "%s, %llu post%s", threads_text(ctx, protocol_int(of, threads), protocol_int(of, parts)), (unsigned long long)n,
			  cli_s(n));
}

/* The host's zone, beside UTC, as a reader on the spot will look for it. */
static void local_time(const char *utc, char *ret, size_t size)
{
	int64_t ms;
	struct tm tm;
	time_t seconds;

	ret[0] = '\0';
	if (!time_parse(utc, &ms))
		return;
	seconds = (time_t)(ms / 1000);
	if (localtime_r(&seconds, &tm))
		strftime(ret, size, "%Y-%m-%d %H:%M:%S %z", &tm);
}

static void trigger(const struct report *rp)
{
	const char *by = known(protocol_str(rp->begin, "trigger"));

	by = strcmp(by, "person") == 0 ? "a person" : strcmp(by, "script") == 0 ? "a script" : by;
	if (json_object_get(rp->begin, "uid"))
		point(rp, 3, "trigger", "%s, uid %llu", by, (unsigned long long)protocol_int(rp->begin, "uid"));
	else
		point(rp, 3, "trigger", "%s", by);
}

static void who_and_when(const struct report *rp)
{
	const char *began = protocol_str(rp->doc, "began"), *ended = protocol_str(rp->doc, "ended");
	auto_mem void *ctx = mem_context(NULL, "waited");
	const char *waited = protocol_waited(ctx, protocol_int(rp->end, "waited_replicas_ms"), protocol_int(rp->end, "waited_server_ms"));
	char took[TIME_TEXT], from[64], to[64];

	point(rp, 1, "run", "%s, %s on %s", protocol_str(rp->doc, "run"), known(protocol_str(rp->begin, "tool")),
	      known(protocol_str(rp->begin, "host")));
	point(rp, 0, "", "database %s, system identifier %s", known(protocol_str(rp->begin, "database")),
	      known(protocol_str(rp->begin, "system_identifier")));
	if (*rp->rule || *rp->team)
		point(rp, 0, "", "only%s%s%s%s: what else the run did is left out", *rp->rule ? " rule " : "", rp->rule, *rp->team ? " team " : "", rp->team);
	protocol_took(protocol_int(rp->end, "duration_ms"), took);
	local_time(began, from, sizeof(from));
	local_time(ended, to, sizeof(to));
	if (*ended)
		point(rp, 2, "time", "%s to %s, took %s", began, ended, took);
	else
		point(rp, 2, "time", "%s, not ended", began);
	point(rp, 0, "", "local: %s%s%s", from, *to ? " to " : "", to);
	if (*waited)
		point(rp, 0, "", "of it waited: %s", waited);
	trigger(rp);
}

/* When a thread of the rule is due: by its age, by a limit, or never. */
static const char *rule_cut(void *ctx, const json_t *rule)
{
	const json_t *cut = json_object_get(rule, "cut_ms");
	uint64_t posts = protocol_int(rule, "limit_posts"), bytes = protocol_int(rule, "limit_bytes");
	const char *text = "no age";
	char when[TIME_TEXT];

	if (json_is_integer(cut) && json_integer_value(cut) > INT64_MIN) {
		time_format(json_integer_value(cut), when);
		text = mem_strdup(ctx, when);
	}
	if (posts)
		text = mem_printf(ctx, "%s, at most %llu post%s per %s", text, (unsigned long long)posts, cli_s(posts), protocol_str(rule, "limit_per"));
	if (bytes) {
		bytes_format(bytes, when);
		text = mem_printf(ctx, "%s, at most %s per %s", text, when, protocol_str(rule, "limit_per"));
	}
	return text;
}

static void cut_offs(const struct report *rp)
{
	auto_mem void *ctx = mem_context(NULL, "cut-offs");
	json_t *rule, *deleted = json_object_get(rp->plan, "deleted_cut_ms");
	char text[TIME_TEXT];
	size_t i;

	point(rp, 6, "cut-off", "%s", rp->plan ? "a thread is due when it is older, or when a limit takes it" : "not recorded");
	json_array_foreach(json_object_get(rp->plan, "rules"), i, rule)
		point(rp, 0, "", "rule %s: %s", protocol_str(rule, "rule"), rule_cut(ctx, rule));
	if (json_is_integer(deleted)) {
		time_format(json_integer_value(deleted), text);
		point(rp, 0, "", "out of threads that stay, what was deleted, or replaced by an edit, before %s", text);
	}
}

static void rules(const struct report *rp)
{
	auto_mem void *ctx = mem_context(NULL, "rules");
	json_t *rule;
	size_t i;
	uint64_t scopes = 0;

	point(rp, 4, "policy", "SHA-256 %s", known(protocol_str(rp->begin, "policy_digest")));
	json_array_foreach(json_object_get(rp->plan, "rules"), i, rule) {
		uint64_t n = protocol_int(rule, "scopes");

		point(rp, 0, "", "rule %s: %llu channel%s, %s due", protocol_str(rule, "rule"), (unsigned long long)n, cli_s(n),
		      threads_text(ctx, protocol_int(rule, "due_threads"), protocol_int(rule, "due_parts")));
		scopes += n;
	}
	if (*rp->team)
		point(rp, 5, "scope", "messages with their files, reactions and memberships; of how many channels is not recorded by team");
	else
		point(rp, 5, "scope", "messages of %llu channel%s with their files, reactions and memberships", (unsigned long long)scopes, cli_s(scopes));
	cut_offs(rp);
}

static uint64_t sum(const struct report *rp, const char *part, const char *key)
{
	json_t *entry;
	size_t i;
	uint64_t n = 0;

	json_array_foreach(json_object_get(rp->doc, "bundles"), i, entry)
		n += protocol_int(json_object_get(entry, part), key);
	return n;
}

static void add_rows(json_t *kinds, const json_t *purged)
{
	const char *kind;
	json_t *value;

	json_object_foreach(json_object_get(purged, "rows"), kind, value)
		cli_json_int(kinds, kind, protocol_int(kinds, kind) + (uint64_t)json_integer_value(value));
}

static void rows_by_kind(const struct report *rp)
{
	json_t *kinds = cli_json_check(json_object()), *entry, *value;
	const char *kind;
	size_t i;

	json_array_foreach(json_object_get(rp->doc, "bundles"), i, entry) {
		add_rows(kinds, json_object_get(entry, "purged"));
		add_rows(kinds, json_object_get(entry, "purge-stopped"));
	}
	json_object_foreach(kinds, kind, value)
		if (json_integer_value(value))
			point(rp, 0, "", "deleted rows, %s: %lld", kind, (long long)json_integer_value(value));
	json_decref(kinds);
}

/* Ids and keyed digests: whoever knows the person and the archive's secret can tell whether the person is meant. */
static void departed(const struct report *rp)
{
	json_t *list = json_object_get(rp->doc, "depersonalised"), *entry;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	point(rp, 0, "", "accounts of departed users depersonalised: %zu", json_array_size(list));
	json_array_foreach(list, i, entry) {
		if (protocol_bool(entry, "found_done"))
			point(rp, 0, "", "  %s, by an earlier run that did not end", protocol_str(entry, "user"));
		else
			point(rp, 0, "", "  %s, %s, person digest %s", protocol_str(entry, "user"), cli_count(rp->cli->ctx, protocol_int(entry, "rows"), "row"),
			      protocol_str(entry, "person_digest"));
	}
}

static void expired(const struct report *rp)
{
	json_t *list = json_object_get(rp->doc, "expired"), *entry;
	uint64_t posts = 0, bytes = 0;
	char size[TIME_TEXT];
	size_t i;

	if (json_array_size(list) == 0)
		return;
	json_array_foreach(list, i, entry) {
		posts += protocol_int(entry, "posts");
		bytes += protocol_int(entry, "file_bytes");
	}
	bytes_format(bytes, size);
	point(rp, 0, "", "bundles past their time removed: %zu, %llu post%s, %s", json_array_size(list), (unsigned long long)posts, cli_s(posts), size);
	json_array_foreach(list, i, entry)
		point(rp, 0, "", "  %s", protocol_str(entry, "rel_path"));
}

/* The ledger has their names, the policy their reasons.  One that protected nobody was not in force. */
static void holds(const struct report *rp)
{
	bool same = protocol_same_policy(rp->cli, rp->doc);
	auto_mem void *ctx = mem_context(NULL, "holds");
	json_t *hold;
	size_t i;

	json_array_foreach(json_object_get(rp->doc, "holds"), i, hold) {
		uint64_t n = protocol_int(hold, "threads");
		const char *because = protocol_str(hold, "because"), *unmatched = protocol_unmatched(ctx, hold),
			   *kept = n ? mem_printf(ctx, "%llu thread%s", (unsigned long long)n, cli_s(n)) : protocol_bool(hold, "in_force") ? "in force" : *unmatched ? "" : "not shown to have been in force";

		point(rp, 0, "", "  hold %s: %s%s%s%s%s%s", protocol_str(hold, "name"), kept, *kept && *unmatched ? ", " : "", *unmatched ? "matched nothing: " : "", unmatched,
		      !*because ? "" : same ? ", because: " : ", because, as the policy says now: ", because);
	}
}

/* In all; and of them, those that an earlier run had left in its journals. */
static void attachments(const struct report *rp)
{
	const json_t *before = json_object_get(rp->doc, "unlinked_earlier");
	uint64_t earlier = protocol_int(before, "blobs_unlinked");
	char bytes[TIME_TEXT];

	bytes_format(sum(rp, "unlinked", "bytes_unlinked") + protocol_int(before, "bytes_unlinked"), bytes);
	point(rp, 0, "", "attachments: %llu removed (%s), %llu still in use elsewhere, %llu failed", (unsigned long long)(sum(rp, "unlinked", "blobs_unlinked") + earlier), bytes,
	      (unsigned long long)(sum(rp, "unlinked", "blobs_shared") + protocol_int(before, "blobs_shared")),
	      (unsigned long long)(sum(rp, "unlinked", "blobs_failed") + protocol_int(before, "blobs_failed")));
	if (protocol_int(before, "journals"))
		point(rp, 0, "", "  of them attachments of earlier runs: %llu removed", (unsigned long long)earlier);
}

static void result(const struct report *rp)
{
	const json_t *archived = json_object_get(rp->totals, "archived"), *deleted = json_object_get(rp->totals, "deleted");
	uint64_t bundles = protocol_int(archived, "bundles");
	auto_mem void *ctx = mem_context(NULL, "result");
	json_t *value;
	const char *reason;
	char bytes[TIME_TEXT];
	bool any = false;

	bytes_format(protocol_int(archived, "bytes"), bytes);
	point(rp, 7, "result", "selected: %s",
	      rp->plan ? amount(ctx, rp->plan, "due_threads", "due_parts", "due_posts") : "not recorded");
	point(rp, 0, "", "archived: %s, %llu bundle%s, %s",
	      amount(ctx, archived, "threads", "parts", "posts"), (unsigned long long)bundles,
	      cli_s(bundles), bytes);
	point(rp, 0, "", "deleted: %s", amount(ctx, deleted, "threads", "parts", "posts"));
	rows_by_kind(rp);
	attachments(rp);
	departed(rp);
	expired(rp);
	json_object_foreach(json_object_get(rp->totals, "kept"), reason, value) {
		point(rp, any ? 0 : 8, "kept", "%s: %lld thread%s", reason, (long long)json_integer_value(value),
		      cli_s((uint64_t)json_integer_value(value)));
		any = true;
	}
	if (!any)
		point(rp, 8, "kept", "%s", *rp->team ? "not recorded by team" : "nothing");
	holds(rp);
}

/* The bundle was written again without somebody since, or was not. */
static void erasures_of(const struct report *rp, const json_t *entry)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(entry, "erasures"), i, one) {
		if (*protocol_str(one, "because")) {
			point(rp, 0, "", "  %s: an erasure that was interrupted was withdrawn, case %s, because of a hold; the bundle is as it was", protocol_str(one, "at"),
			      protocol_str(one, "case"));
			continue;
		}
		point(rp, 0, "", "  %s: one person erased, case %s, %s; the rows digest is the same", protocol_str(one, "at"), protocol_str(one, "case"),
		      cli_count(rp->cli->ctx, protocol_int(one, "rows"), "row"));
		point(rp, 0, "", "  from then on %s", protocol_str(one, "rel_path"));
		point(rp, 0, "", "  file SHA-256 %s", protocol_str(one, "file_digest"));
	}
}

static void loss_of(const struct report *rp, const json_t *entry)
{
	const json_t *loss = json_object_get(entry, "abandoned");

	if (!loss)
		return;
	point(rp, 0, "", "  %s: declared lost (%s) by user %llu on %s: %s", protocol_str(loss, "at"), protocol_str(loss, "found"),
	      (unsigned long long)protocol_int(loss, "uid"), protocol_str(loss, "host"), protocol_str(loss, "reason"));
	if (json_is_true(json_object_get(loss, "deleting")))
		point(rp, 0, "", "  its delete was not finished: how many of its threads are gone is told above only as far as lines say so");
}

static void evidence_of(const struct report *rp, const json_t *entry)
{
	int64_t expires_ms = (int64_t)protocol_int(entry, "expires_ms");
	char until[TIME_TEXT] = "told otherwise";

	if (expires_ms)
		time_format(expires_ms, until);
	if (protocol_bool(entry, "waived"))
		point(rp, 0, "", "no archive wanted by rule %s, because: %s", protocol_str(entry, "rule"),
		      protocol_str(entry, "because"));
	else if (*protocol_str(entry, "expired"))
		point(rp, 0, "", "%s, expired, removed %s", protocol_str(entry, "bundle"), protocol_str(entry, "expired"));
	else if (json_object_get(entry, "rel_path"))
		point(rp, 0, "", "%s, to be kept until %s", protocol_str(entry, "rel_path"), until);
	else
		point(rp, 0, "", "%s, published by an earlier run", protocol_str(entry, "bundle"));
	if (*protocol_str(entry, "file_digest") && !protocol_bool(entry, "waived"))
		point(rp, 0, "", "  file SHA-256 %s", protocol_str(entry, "file_digest"));
	if (*protocol_str(entry, "rows_digest"))
		point(rp, 0, "", "  rows digest  %s", protocol_str(entry, "rows_digest"));
	erasures_of(rp, entry);
	loss_of(rp, entry);
	if (!protocol_bool(entry, "done"))
		point(rp, 0, "", "  not finished");
}

static void evidence(const struct report *rp)
{
	json_t *list = json_object_get(rp->doc, "bundles"), *entry;
	size_t i, n, lists = 0;

	json_array_foreach(list, i, entry)
		lists += protocol_bool(entry, "waived");
	n = json_array_size(list) - lists;
	if (lists)
		point(rp, 9, "evidence", "%zu bundle%s, %zu list%s of rows without an archive", n, cli_s(n), lists, cli_s(lists));
	else
		point(rp, 9, "evidence", "%zu bundle%s", n, cli_s(n));
	json_array_foreach(list, i, entry)
		evidence_of(rp, entry);
	if (rp->begin && !protocol_bool(rp->begin, "purge")) {
		point(rp, 10, "method", "archive only: this run was to delete nothing (--no-purge)");
	} else {
		point(rp, 10, "method", "deletion of database rows, removal of attachment files");
		point(rp, 0, "", "not overwritten: free space in table files and on disks, until the systems reuse it");
	}
	point(rp, 11, "check", "each bundle was read back in full and compared before its rows were deleted");
	point(rp, 0, "", "closing sweep: late threads put back: %llu, late rows removed: %llu",
	      (unsigned long long)sum(rp, "sweep", "late_restored"), (unsigned long long)sum(rp, "sweep", "late_removed"));
	if (sum(rp, "sweep", "found_threads"))
		point(rp, 0, "", "of bundles that an earlier run left unfinished, gone already: %s, %s",
		      cli_count(rp->cli->ctx, sum(rp, "sweep", "found_threads"), "thread"), cli_count(rp->cli->ctx, sum(rp, "sweep", "found_posts"), "post"));
	if (sum(rp, "sweep", "open_xid"))
		point(rp, 0, "", "a transaction of then had not ended: a later run swept again, or will");
	point(rp, 12, "other copies", "replicas, write-ahead logs, backups and search indexes follow their own periods; "
				      "their operators are responsible");
}

static void outcome(const struct report *rp)
{
	const json_t *ledger = json_object_get(rp->doc, "ledger");
	uint64_t due = protocol_int(rp->plan, "due_threads"),
		 gone = protocol_int(json_object_get(rp->totals, "deleted"), "threads");
	const char *error = protocol_str(rp->end, "error"), *word = protocol_str(rp->end, "outcome");

	/* Of which rule or team those were that had gone before is not recorded. */
	uint64_t before = *rp->rule || *rp->team ? 0 : protocol_int(rp->end, "gone_threads"), left = due > gone + before ? due - gone - before : 0;

	if (rp->plan)
		point(rp, 13, "left", "%llu of the threads that were due%s", (unsigned long long)left,
		      left ? ": kept while the run was at work, gone before it, or left to the next one" : "");
	else
		point(rp, 13, "left", "not recorded");
	if (before)
		point(rp, 0, "", "%llu thread%s of the plan %s not there any more", (unsigned long long)before, cli_s(before), before == 1 ? "was" : "were");
	point(rp, 14, "errors", "%s", *error ? cli_error_meaning(error) : "none");
	if (protocol_int(rp->doc, "recovered"))
		point(rp, 0, "", "a torn ledger line of an interrupted run was recovered");
	point(rp, 15, "outcome", "%s", *word ? word : "not ended: interrupted, or still running");
	point(rp, 16, "integrity", "ledger lines %llu to %llu", (unsigned long long)protocol_int(ledger, "first_seq"),
	      (unsigned long long)protocol_int(ledger, "last_seq"));
	point(rp, 0, "", "from hash %s", protocol_str(ledger, "first_prev"));
	point(rp, 0, "", "to hash   %s", protocol_str(ledger, "last_hash"));
	point(rp, 17, "retention", "this protocol stays as long as the ledger; it holds no message text and no names of persons, but reasons, and words of holds that matched nothing, as the policy gives them");
}

static int print_report(struct cli *cli, json_t *doc, struct err *err)
{
	struct report rp = {.cli = cli, .doc = doc, .begin = json_object_get(doc, "begin"), .plan = json_object_get(doc, "plan"),
			    .end = json_object_get(doc, "end"), .totals = json_object_get(doc, "totals")};
	const json_t *restricted = json_object_get(doc, "restricted");

	rp.rule = protocol_str(restricted, "rule");
	rp.team = protocol_str(restricted, "team");

	cli_json_put(doc, "holds", protocol_holds(cli, doc));
	(void)json_object_del(doc, "unmatched"); /* absent is fine */
	if (!restricted)
		cli_json_put(doc, "restricted", json_null());
	if (cli->json)
		return cli_json_print(json_incref(doc), err);
	printf("%sDeletion protocol%s\n\n", cli_tint(cli->color, CLI_BOLD), cli_tint(cli->color, CLI_PLAIN));
	if (!json_is_object(rp.plan))
		rp.plan = NULL;
	who_and_when(&rp);
	rules(&rp);
	result(&rp);
	evidence(&rp);
	outcome(&rp);
	return 0;
}

/* An empty answer to a misspelt name would read as if nothing had been deleted. */
static int restrict_to(json_t *doc, const struct protocol_query *q, struct err *err)
{
	if ((!q->rule && !q->team) || protocol_restrict(doc, q))
		return 0;
	err_set(err, ERR_NOT_FOUND, "run %s has nothing of%s%s%s%s", protocol_str(doc, "run"), q->rule ? " rule " : "", q->rule ? q->rule : "", q->team ? " team " : "",
		q->team ? q->team : "");
	return err_hint(err, "Without the restriction the report shows its rules, and its bundles with the team in their names.");
}

static int report_run(struct cli *cli, const char *run, struct err *err)
{
	bool last = strcmp(run, "last") == 0;
	const struct protocol_query q = {.run = last ? NULL : run, .newest = 1, .rule = cli->args->value[OPT_RULE], .team = cli->args->value[OPT_TEAM]};
	struct protocol *p = NULL;
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r == 0 && strcmp(run, "list") == 0)
		return cli_report_list(cli, &q, err);
	if (r == 0 && !cli->policy && cli_given(cli, OPT_CONFIG)) /* for the reasons of holds */
		r = cli_load_policy(cli, err);
	if (r == 0)
		r = protocol_read(cli, &q, &p, err);
	if (r < 0)
		return r;
	if (!json_array_size(p->runs)) {
		if (last)
			return err_set(err, ERR_NOT_FOUND, "the ledger has no run yet");
		err_set(err, ERR_NOT_FOUND, "the ledger has no run \"%s\"", run);
		return err_hint(err, "`mmretain report list` has them all.");
	}
	if ((r = restrict_to(json_array_get(p->runs, 0), &q, err)) < 0)
		return r;
	return print_report(cli, json_array_get(p->runs, 0), err);
}

int cli_cmd_report(struct cli *cli, struct err *err)
{
	bool part = cli_given(cli, OPT_RULE) || cli_given(cli, OPT_TEAM);

	if (cli_given(cli, OPT_ACCESS) && part) {
		err_set(err, ERR_USAGE, "the case log knows no rules and no teams");
		return err_hint(err, "Leave --rule and --team out, or --access.");
	}
	if (cli_given(cli, OPT_ACCESS))
		return cli_print_access(cli, err);
	if (cli_given(cli, OPT_BUNDLE))
		return cli_report_bundle(cli, err);
	if (cli->args->n_operands == 0) {
		err_set(err, ERR_USAGE, "\"report\" needs RUN|last|list");
		return err_hint(err, "For example: mmretain report last");
	}
	return report_run(cli, cli->args->operand[0], err);
}
