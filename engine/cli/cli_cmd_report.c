/*
 * cli_cmd_report.c - the deletion protocol of one run, from the ledger alone.
 *
 * The seventeen points are those that a deletion protocol after DIN 66398 and the German data protection authorities'
 * module
 * 60 must contain; a point that the ledger does not know says so.
 */
#include <string.h>
#include <time.h>

#include "cli_audit.h"
#include "cli_protocol.h"
#include "cli_report.h"

void report_point(const struct report *rp, int number, const char *label, const char *fmt, ...)
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

	return mem_printf(ctx, "%s, %llu post%s", threads_text(ctx, protocol_int(of, threads), protocol_int(of, parts)),
			  (unsigned long long)n, cli_s(n));
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
		report_point(rp, 3, "trigger", "%s, uid %llu", by, (unsigned long long)protocol_int(rp->begin, "uid"));
	else
		report_point(rp, 3, "trigger", "%s", by);
}

static void who_and_when(const struct report *rp)
{
	const char *began = protocol_str(rp->doc, "began"), *ended = protocol_str(rp->doc, "ended");
	auto_mem void *ctx = mem_context(NULL, "waited");
	const char *waited = protocol_waited(ctx, protocol_int(rp->end, "waited_replicas_ms"),
					     protocol_int(rp->end, "waited_server_ms"));
	char took[TIME_TEXT], from[64], to[64];

	report_point(rp, 1, "run", "%s, %s on %s", protocol_str(rp->doc, "run"), known(protocol_str(rp->begin, "tool")),
	      known(protocol_str(rp->begin, "host")));
	report_point(rp, 0, "", "database %s, system identifier %s", known(protocol_str(rp->begin, "database")),
	      known(protocol_str(rp->begin, "system_identifier")));
	if (*rp->rule || *rp->team)
		report_point(rp, 0, "", "only%s%s%s%s: what else the run did is left out", *rp->rule ? " rule " : "",
			     rp->rule, *rp->team ? " team " : "", rp->team);
	protocol_took(protocol_int(rp->end, "duration_ms"), took);
	local_time(began, from, sizeof(from));
	local_time(ended, to, sizeof(to));
	if (*ended)
		report_point(rp, 2, "time", "%s to %s, took %s", began, ended, took);
	else
		report_point(rp, 2, "time", "%s, not ended", began);
	report_point(rp, 0, "", "local: %s%s%s", from, *to ? " to " : "", to);
	if (*waited)
		report_point(rp, 0, "", "of it waited: %s", waited);
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
		text = mem_printf(ctx, "%s, at most %llu post%s per %s", text, (unsigned long long)posts, cli_s(posts),
				  protocol_str(rule, "limit_per"));
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

	report_point(rp, 6, "cut-off", "%s",
		     rp->plan ? "a thread is due when it is older, or when a limit takes it" : "not recorded");
	json_array_foreach(json_object_get(rp->plan, "rules"), i, rule)
		report_point(rp, 0, "", "rule %s: %s", protocol_str(rule, "rule"), rule_cut(ctx, rule));
	if (json_is_integer(deleted)) {
		time_format(json_integer_value(deleted), text);
		report_point(rp, 0, "", "out of threads that stay, what was deleted, or replaced by an edit, before %s",
			     text);
	}
}

static void rules(const struct report *rp)
{
	auto_mem void *ctx = mem_context(NULL, "rules");
	json_t *rule;
	size_t i;
	uint64_t scopes = 0;

	report_point(rp, 4, "policy", "SHA-256 %s", known(protocol_str(rp->begin, "policy_digest")));
	json_array_foreach(json_object_get(rp->plan, "rules"), i, rule) {
		uint64_t n = protocol_int(rule, "scopes");

		report_point(rp, 0, "", "rule %s: %llu channel%s, %s due", protocol_str(rule, "rule"),
			     (unsigned long long)n, cli_s(n),
			     threads_text(ctx, protocol_int(rule, "due_threads"), protocol_int(rule, "due_parts")));
		scopes += n;
	}
	if (*rp->team)
		report_point(rp, 5, "scope", "messages with their files, reactions and memberships; of how many "
					     "channels is not recorded by team");
	else
		report_point(rp, 5, "scope", "messages of %llu channel%s with their files, reactions and memberships",
			     (unsigned long long)scopes, cli_s(scopes));
	cut_offs(rp);
}

static void rows_by_kind(const struct report *rp)
{
	const char *kind;
	json_t *value;

	json_object_foreach(rp->sums->rows, kind, value)
		if (json_integer_value(value))
			report_point(rp, 0, "", "deleted rows, %s: %lld", kind, (long long)json_integer_value(value));
}

/* Ids and keyed digests: whoever knows the person and the archive's secret can tell whether the person is meant. */
static void departed(const struct report *rp)
{
	json_t *list = json_object_get(rp->doc, "depersonalised"), *entry;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	report_point(rp, 0, "", "accounts of departed users depersonalised: %zu", json_array_size(list));
	json_array_foreach(list, i, entry) {
		if (protocol_bool(entry, "found_done"))
			report_point(rp, 0, "", "  %s, by an earlier run that did not end",
				     protocol_str(entry, "user"));
		else
			report_point(rp, 0, "", "  %s, %s, person digest %s", protocol_str(entry, "user"),
				     cli_count(rp->cli->ctx, protocol_int(entry, "rows"), "row"),
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
	report_point(rp, 0, "", "bundles past their time removed: %zu, %llu post%s, %s", json_array_size(list),
		     (unsigned long long)posts, cli_s(posts), size);
	json_array_foreach(list, i, entry)
		report_point(rp, 0, "", "  %s", protocol_str(entry, "rel_path"));
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
			   *kept = n ? mem_printf(ctx, "%llu thread%s", (unsigned long long)n, cli_s(n))
				   : protocol_bool(hold, "in_force") ? "in force"
				   : *unmatched			     ? ""
								     : "not shown to have been in force";

		report_point(rp, 0, "", "  hold %s: %s%s%s%s%s%s", protocol_str(hold, "name"), kept,
			     *kept && *unmatched ? ", " : "", *unmatched ? "matched nothing: " : "", unmatched,
			     !*because ? ""
			     : same    ? ", because: "
				       : ", because, as the policy says now: ",
			     because);
	}
}

/* In all; and of them, those that an earlier run had left in its journals. */
static void attachments(const struct report *rp)
{
	const json_t *before = json_object_get(rp->doc, "unlinked_earlier");
	uint64_t earlier = protocol_int(before, "blobs_unlinked");
	char bytes[TIME_TEXT];

	bytes_format(rp->sums->bytes_unlinked + protocol_int(before, "bytes_unlinked"), bytes);
	report_point(rp, 0, "", "attachments: %llu removed (%s), %llu still in use elsewhere, %llu failed",
		     (unsigned long long)(rp->sums->blobs_unlinked + earlier), bytes,
		     (unsigned long long)(rp->sums->blobs_shared + protocol_int(before, "blobs_shared")),
		     (unsigned long long)(rp->sums->blobs_failed + protocol_int(before, "blobs_failed")));
	if (protocol_int(before, "journals"))
		report_point(rp, 0, "", "  of them attachments of earlier runs: %llu removed",
			     (unsigned long long)earlier);
}

static void result(const struct report *rp)
{
	const json_t *archived = json_object_get(rp->totals, "archived"),
		     *deleted = json_object_get(rp->totals, "deleted");
	uint64_t bundles = protocol_int(archived, "bundles");
	auto_mem void *ctx = mem_context(NULL, "result");
	json_t *value;
	const char *reason;
	char bytes[TIME_TEXT];
	bool any = false;

	bytes_format(protocol_int(archived, "bytes"), bytes);
	report_point(rp, 7, "result", "selected: %s",
	      rp->plan ? amount(ctx, rp->plan, "due_threads", "due_parts", "due_posts") : "not recorded");
	report_point(rp, 0, "", "archived: %s, %llu bundle%s, %s",
	      amount(ctx, archived, "threads", "parts", "posts"), (unsigned long long)bundles,
	      cli_s(bundles), bytes);
	report_point(rp, 0, "", "deleted: %s", amount(ctx, deleted, "threads", "parts", "posts"));
	rows_by_kind(rp);
	attachments(rp);
	departed(rp);
	expired(rp);
	json_object_foreach(json_object_get(rp->totals, "kept"), reason, value) {
		report_point(rp, any ? 0 : 8, "kept", "%s: %lld thread%s", reason, (long long)json_integer_value(value),
		      cli_s((uint64_t)json_integer_value(value)));
		any = true;
	}
	if (!any)
		report_point(rp, 8, "kept", "%s", *rp->team ? "not recorded by team" : "nothing");
	holds(rp);
}

static void outcome(const struct report *rp)
{
	const json_t *ledger = json_object_get(rp->doc, "ledger");
	uint64_t due = protocol_int(rp->plan, "due_threads"),
		 gone = protocol_int(json_object_get(rp->totals, "deleted"), "threads");
	const char *error = protocol_str(rp->end, "error"), *word = protocol_str(rp->end, "outcome");

	/* Of which rule or team those were that had gone before is not recorded. */
	uint64_t before = *rp->rule || *rp->team ? 0 : protocol_int(rp->end, "gone_threads"),
		 left = due > gone + before ? due - gone - before : 0;

	if (rp->plan)
		report_point(rp, 13, "left", "%llu of the threads that were due%s", (unsigned long long)left,
		      left ? ": kept while the run was at work, gone before it, or left to the next one" : "");
	else
		report_point(rp, 13, "left", "not recorded");
	if (before)
		report_point(rp, 0, "", "%llu thread%s of the plan %s not there any more", (unsigned long long)before,
			     cli_s(before), before == 1 ? "was" : "were");
	report_point(rp, 14, "errors", "%s", *error ? cli_error_meaning(error) : "none");
	if (protocol_int(rp->doc, "recovered"))
		report_point(rp, 0, "", "a torn ledger line of an interrupted run was recovered");
	report_point(rp, 15, "outcome", "%s", *word ? word : "not ended: interrupted, or still running");
	report_point(rp, 16, "integrity", "ledger lines %llu to %llu",
		     (unsigned long long)protocol_int(ledger, "first_seq"),
		     (unsigned long long)protocol_int(ledger, "last_seq"));
	report_point(rp, 0, "", "from hash %s", protocol_str(ledger, "first_prev"));
	report_point(rp, 0, "", "to hash   %s", protocol_str(ledger, "last_hash"));
	report_point(rp, 17, "retention", "this protocol stays as long as the ledger; it holds no message text and no "
					  "names of persons, but reasons, and words of holds that matched nothing, as "
					  "the policy gives them");
}

static void put_bundle(json_t *entry, void *payload)
{
	cli_list_json(payload, NULL, entry);
}

static int put_bundles(struct cli_list *l, const void *payload, struct err *err)
{
	return protocol_bundles_each(payload, put_bundle, l, err);
}

static int print_json(const struct report *rp, struct err *err)
{
	const struct cli_list_of list = {"bundles", put_bundles, rp->bundles};

	return cli_json_print_list(json_incref(rp->doc), &list, 1, err);
}

static int print_report(struct cli *cli, const struct protocol *p, struct err *err)
{
	json_t *doc = json_array_get(p->runs, 0);
	struct report rp = {.cli = cli,
			    .doc = doc,
			    .bundles = p->bundles,
			    .sums = &p->sums,
			    .begin = json_object_get(doc, "begin"),
			    .plan = json_object_get(doc, "plan"),
			    .end = json_object_get(doc, "end"),
			    .totals = json_object_get(doc, "totals")};
	const json_t *restricted = json_object_get(doc, "restricted");
	int r;

	rp.rule = protocol_str(restricted, "rule");
	rp.team = protocol_str(restricted, "team");

	cli_json_put(doc, "holds", protocol_holds(cli, doc));
	(void)json_object_del(doc, "unmatched"); /* absent is fine */
	if (!restricted)
		cli_json_put(doc, "restricted", json_null());
	if (cli->json)
		return print_json(&rp, err);
	printf("%sDeletion protocol%s\n\n", cli_tint(cli->color, CLI_BOLD), cli_tint(cli->color, CLI_PLAIN));
	if (!json_is_object(rp.plan))
		rp.plan = NULL;
	who_and_when(&rp);
	rules(&rp);
	result(&rp);
	if ((r = report_evidence(&rp, err)) < 0)
		return r;
	outcome(&rp);
	return 0;
}

/* An empty answer to a misspelt name would read as if nothing had been deleted. */
static int restrict_to(struct protocol *p, const struct protocol_query *q, struct err *err)
{
	const json_t *doc = json_array_get(p->runs, 0);
	bool found = true;
	int r = q->rule || q->team ? protocol_restrict(p, q, &found, err) : 0;

	if (r < 0 || found)
		return r;
	err_set(err, ERR_NOT_FOUND, "run %s has nothing of%s%s%s%s", protocol_str(doc, "run"), q->rule ? " rule " : "",
		q->rule ? q->rule : "", q->team ? " team " : "", q->team ? q->team : "");
	return err_hint(err, "Without the restriction the report shows its rules, and its bundles with the team in "
			     "their names.");
}

static int report_run(struct cli *cli, const char *run, struct err *err)
{
	bool last = strcmp(run, "last") == 0;
	const struct protocol_query q = {.run = last ? NULL : run,
					 .newest = 1,
					 .rule = cli->args->value[OPT_RULE],
					 .team = cli->args->value[OPT_TEAM]};
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
	if ((r = restrict_to(p, &q, err)) < 0)
		return r;
	return print_report(cli, p, err);
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
