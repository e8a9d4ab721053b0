/*
 * cli_protocol.c - fold the ledger's lines into one document per run.
 */
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/store.h>

#include "cli_protocol_bundles.h"

struct reader {
	struct cli *cli;
	const struct protocol_query *query;
	struct protocol *out;
	uint64_t recovered;  /* torn lines met since the last run began */
	json_t *parts;       /* names of bundles of parts of threads, whichever run has published them */
	json_t *rules;       /* name of a bundle: its rule, likewise; with `totals_alone` none */
};

uint64_t protocol_int(const json_t *obj, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(obj, key));

	return v > 0 ? (uint64_t)v : 0;
}

const char *protocol_str(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

bool protocol_bool(const json_t *obj, const char *key)
{
	return json_is_true(json_object_get(obj, key));
}

void protocol_took(uint64_t ms, char ret[TIME_TEXT])
{
	unsigned long long s = ms / 1000;

	if (s >= 3600)
		snprintf(ret, TIME_TEXT, "%llu h %llu min", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(ret, TIME_TEXT, "%llu min %llu s", s / 60, s % 60);
	else
		snprintf(ret, TIME_TEXT, "%llu.%llu s", s, (unsigned long long)ms / 100 % 10);
}

const char *protocol_waited(void *ctx, uint64_t replicas_ms, uint64_t server_ms)
{
	char replicas[TIME_TEXT], server[TIME_TEXT];

	protocol_took(replicas_ms, replicas);
	protocol_took(server_ms, server);
	if (replicas_ms && server_ms)
		return mem_printf(ctx, "%s for replicas, %s for the server", replicas, server);
	return replicas_ms ? mem_printf(ctx, "%s for replicas", replicas)
	       : server_ms ? mem_printf(ctx, "%s for the server", server)
			   : "";
}

json_t *protocol_waited_json(uint64_t replicas_ms, uint64_t server_ms)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "replicas_ms", replicas_ms);
	cli_json_int(obj, "server_ms", server_ms);
	return obj;
}

/* ---- totals ---- */

static json_t *put_amount(json_t *obj, const struct protocol_amount *a)
{
	cli_json_int(obj, "threads", a->threads);
	cli_json_int(obj, "parts", a->parts);
	cli_json_int(obj, "posts", a->posts);
	return obj;
}

static json_t *kept_json(const json_t *doc)
{
	json_t *kept = cli_json_check(json_object()), *entry;
	size_t i;

	json_array_foreach(json_object_get(doc, "kept"), i, entry) {
		const char *reason = protocol_str(entry, "reason");

		cli_json_int(kept, reason, protocol_int(kept, reason) + protocol_int(entry, "threads"));
	}
	return kept;
}

static void put_totals(json_t *doc, const struct protocol_sums *s)
{
	json_t *totals = cli_json_check(json_object()), *archived = cli_json_check(json_object());

	cli_json_int(archived, "bundles", s->bundles);
	put_amount(archived, &s->archived);
	cli_json_int(archived, "bytes", s->bytes);
	cli_json_put(totals, "archived", archived);
	cli_json_put(totals, "deleted", put_amount(cli_json_check(json_object()), &s->deleted));
	cli_json_put(totals, "kept", kept_json(doc));
	cli_json_put(doc, "totals", totals);
}

/* ---- documents ---- */

bool protocol_good(const json_t *run)
{
	const char *word = protocol_str(json_object_get(run, "end"), "outcome");

	return strcmp(word, "complete") == 0 || strcmp(word, "partial") == 0;
}

static void drop_oldest(struct protocol *p)
{
	json_t *oldest = json_array_get(p->runs, 0);

	if (protocol_good(oldest)) {
		json_decref(p->good);
		p->good = json_incref(oldest);
	}
	json_array_remove(p->runs, 0);
}

static json_t *no_journals(void)
{
	return json_pack("{s:i,s:i,s:i,s:i,s:i}", "journals", 0, "blobs_unlinked", 0, "blobs_shared", 0, "blobs_failed",
			 0, "bytes_unlinked", 0);
}

/* Of the run before only its document is kept. */
static void begin_bundles(const struct reader *rd)
{
	struct protocol *p = rd->out;
	json_t *before = json_array_get(p->runs, json_array_size(p->runs) - 1), *rows = p->sums.rows;

	if (before && rd->query->totals_alone)
		put_totals(before, &p->sums);
	p->sums = (struct protocol_sums){.rows = rows};
	talloc_free(p->bundles);
	p->bundles = protocol_bundles_new(p);
}

static json_t *new_run(struct reader *rd, const char *run, json_t *line)
{
	json_t *doc = cli_json_check(json_object());

	begin_bundles(rd);
	cli_json_text(doc, "run", run);
	cli_json_put(doc, "began", json_incref(json_object_get(line, "at")));
	cli_json_put(doc, "ended", json_null());
	for (size_t i = 0; i < 3; i++)
		cli_json_put(doc, ((const char *const[]){"begin", "plan", "end"})[i], json_null());
	cli_json_put(doc, "bundles", json_array());
	cli_json_put(doc, "unlinked_earlier", no_journals());
	cli_json_put(doc, "depersonalised", json_array());
	cli_json_put(doc, "expired", json_array());
	cli_json_put(doc, "kept", json_array());
	cli_json_int(doc, "recovered", rd->recovered);
	rd->recovered = 0;
	cli_json_put(doc, "ledger",
		     json_pack("{s:O,s:O,s:O,s:O}", "first_seq", json_object_get(line, "seq"), "last_seq",
			       json_object_get(line, "seq"), "first_prev", json_object_get(line, "prev"), "last_hash",
			       json_object_get(line, "hash")));
	if (json_array_append_new(rd->out->runs, doc) < 0)
		mem_check(NULL);
	if (rd->query->newest && json_array_size(rd->out->runs) > rd->query->newest)
		drop_oldest(rd->out);
	return doc;
}

static json_t *find_run(struct reader *rd, const char *run)
{
	/* The newest is the likely one. */
	for (size_t i = json_array_size(rd->out->runs); i-- > 0;) {
		json_t *doc = json_array_get(rd->out->runs, i);

		if (strcmp(protocol_str(doc, "run"), run) == 0)
			return doc;
	}
	return NULL;
}

/* The line's own fields; chain and key fields go. */
static json_t *fields_of(const json_t *line)
{
	static const char *const drop[] = {"seq", "prev", "hash", "type", "run", "bundle"};
	json_t *copy = cli_json_check(json_copy((json_t *)(uintptr_t)line));

	for (size_t i = 0; i < ARRAY_LEN(drop); i++)
		(void)json_object_del(copy, drop[i]); /* absent is fine */
	return copy;
}

static void note_bundle(struct reader *rd, const char *type, const json_t *line)
{
	if (strcmp(type, "published") != 0 && strcmp(type, "waived") != 0)
		return;
	if (protocol_bool(line, "parts"))
		cli_json_bool(rd->parts, protocol_str(line, "bundle"), true);
	if (!rd->query->totals_alone)
		cli_json_text(rd->rules, protocol_str(line, "bundle"), protocol_str(line, "rule"));
}

static const char *rule_of(const struct reader *rd, const json_t *line)
{
	return protocol_str(rd->rules, protocol_str(line, "bundle"));
}

/* All lines of a run come before the next one begins: the newest is the one under way. */
static bool is_newest(const struct reader *rd, const json_t *doc)
{
	return json_array_get(rd->out->runs, json_array_size(rd->out->runs) - 1) == doc;
}

static void take_sums(struct protocol_sums *s, const char *type, const json_t *line, bool parts)
{
	if (strcmp(type, "published") == 0) {
		s->bundles++;
		s->bytes += protocol_int(line, "file_bytes");
		protocol_amount_add(&s->archived, line, parts);
	} else if (strcmp(type, "purged") == 0 || strcmp(type, "purge-stopped") == 0) {
		protocol_amount_add(&s->deleted, line, parts);
	}
}

static void take_bundle_line(const struct reader *rd, const json_t *doc, const char *type, const json_t *line)
{
	const char *bundle = protocol_str(line, "bundle");
	bool parts = protocol_bool(rd->parts, bundle);

	if (!is_newest(rd, doc))
		return;
	if (rd->query->totals_alone)
		take_sums(&rd->out->sums, type, line, parts);
	else
		protocol_bundles_take(rd->out->bundles, bundle, rule_of(rd, line), parts, type, fields_of(line));
}

/* An `unlinked` line names the journal where a run before has left one: attachments of its threads, and no bundle of
 * this run. */
static bool is_journal(const char *type, const char *bundle)
{
	static const char begin[] = "unlink-", end[] = ".jsonl";
	size_t len = strlen(bundle);

	return strcmp(type, "unlinked") == 0 && strncmp(bundle, begin, strlen(begin)) == 0 && len > strlen(end) &&
	       strcmp(bundle + len - strlen(end), end) == 0;
}

static void take_journal(json_t *doc, const json_t *line)
{
	json_t *sums = json_object_get(doc, "unlinked_earlier"), *value;
	const char *key;

	json_object_foreach(sums, key, value)
		cli_json_int(sums, key,
			     (uint64_t)json_integer_value(value) +
				     (strcmp(key, "journals") == 0 ? 1 : protocol_int(line, key)));
}

/* Lines of a bundle that another run has published, years ago: it is none of this run's. */
static bool is_expiry(const char *type)
{
	return strcmp(type, "expiring") == 0 || strcmp(type, "expired") == 0 || strcmp(type, "expiry-withdrawn") == 0;
}

static void take_expired(const struct reader *rd, json_t *doc, json_t *line)
{
	json_t *fields = fields_of(line);

	cli_json_put(fields, "bundle", json_incref(json_object_get(line, "bundle")));
	if (*rule_of(rd, line))
		cli_json_text(fields, "rule", rule_of(rd, line));
	if (json_array_append_new(json_object_get(doc, "expired"), fields) < 0)
		mem_check(NULL);
}

static void take_run_line(const struct reader *rd, json_t *doc, const char *type, json_t *line)
{
	json_t *ledger = json_object_get(doc, "ledger");

	cli_json_put(ledger, "last_seq", json_incref(json_object_get(line, "seq")));
	cli_json_put(ledger, "last_hash", json_incref(json_object_get(line, "hash")));
	if (is_expiry(type)) {
		if (strcmp(type, "expired") == 0)
			take_expired(rd, doc, line);
	} else if (is_journal(type, protocol_str(line, "bundle"))) {
		take_journal(doc, line);
	} else if (json_object_get(line, "bundle")) {
		take_bundle_line(rd, doc, type, line);
	} else if (strcmp(type, "run-begin") == 0) {
		cli_json_put(doc, "begin", fields_of(line));
	} else if (strcmp(type, "plan") == 0) {
		cli_json_put(doc, "plan", fields_of(line));
	} else if (strcmp(type, "run-end") == 0) {
		cli_json_put(doc, "end", fields_of(line));
		cli_json_put(doc, "ended", json_incref(json_object_get(line, "at")));
	} else if (strcmp(type, "kept") == 0 || strcmp(type, "depersonalised") == 0) {
		if (json_array_append_new(json_object_get(doc, type), fields_of(line)) < 0)
			mem_check(NULL);
	}
}

/* ---- what became of a bundle since: every run that names it tells ---- */

static void take_fate(const struct reader *rd, const char *type, const json_t *line)
{
	static const char *const fates[] = {"expired", "erased", "erasure-withdrawn", "abandoned"};

	for (size_t i = 0; i < ARRAY_LEN(fates) && !rd->query->totals_alone; i++)
		if (strcmp(type, fates[i]) == 0)
			protocol_bundles_note(rd->out->bundles, protocol_str(line, "bundle"), type, fields_of(line));
}

static int take_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct reader *rd = payload;
	json_error_t fault;
	json_t *line = json_loadb(text, len, 0, &fault), *doc;
	const char *type = protocol_str(line, "type"), *run = protocol_str(line, "run");

	if (!json_is_object(line))
		return err_set(err, ERR_VERIFY, "ledger line %llu is not JSON: %s", (unsigned long long)seq,
			       fault.text);
	rd->out->entries = seq;
	take_fate(rd, type, line);
	note_bundle(rd, type, line);
	rd->recovered += strcmp(type, "recovered") == 0;
	if (*run && (!rd->query->run || strcmp(run, rd->query->run) == 0)) {
		doc = find_run(rd, run);
		if (!doc && strcmp(type, "run-begin") == 0)
			doc = new_run(rd, run, line);
		if (doc)
			take_run_line(rd, doc, type, line);
	}
	json_decref(line);
	return 0;
}

/* ---- totals of the newest run ---- */

static int sum_newest(struct protocol *p, const struct protocol_query *q, struct err *err)
{
	json_t *doc = json_array_get(p->runs, json_array_size(p->runs) - 1);
	int r = doc && !q->totals_alone ? protocol_bundles_sum(p->bundles, &p->sums, err) : 0;

	if (doc && r == 0)
		put_totals(doc, &p->sums);
	return r;
}

/* ---- a part of a run ---- */

/* mmr1-<team>-<month of expiry>-<number>-<digits>...: a team's name may have hyphens and digits. */
bool protocol_is_of_team(const char *bundle, const char *team)
{
	static const char format[] = "mmr1-", digits[] = "0123456789";
	size_t len = strlen(team), month;
	const char *p = bundle;

	if (strncmp(p, format, strlen(format)) != 0 || strncmp(p += strlen(format), team, len) != 0 ||
	    *(p += len) != '-')
		return false;
	p++;
	month = strncmp(p, "never-", 6) == 0 ? 5 : strspn(p, digits);
	if (month < 5 || p[month] != '-')
		return false;
	p += month + 1;
	p += strspn(p, digits);
	return *p == '-' && strspn(p + 1, "0123456789abcdef") == 12;
}

static bool is_wanted(const json_t *entry, const struct protocol_query *q, bool of_bundle)
{
	if (q->rule && strcmp(protocol_str(entry, "rule"), q->rule) != 0)
		return false;
	return !q->team || (of_bundle && protocol_is_of_team(protocol_str(entry, "bundle"), q->team));
}

/* What is left of a list; true: something is. */
static bool keep_wanted(json_t *list, const struct protocol_query *q, bool of_bundle)
{
	for (size_t i = json_array_size(list); i-- > 0;)
		if (!is_wanted(json_array_get(list, i), q, of_bundle))
			json_array_remove(list, i);
	return json_array_size(list) > 0;
}

/* The line of the plan counts by rule. */
static bool restrict_plan(json_t *doc, const struct protocol_query *q)
{
	static const char *const counts[] = {"due_threads", "due_parts", "due_posts", "due_bytes"};
	json_t *plan = json_object_get(doc, "plan"), *rules = json_object_get(plan, "rules");
	bool found = keep_wanted(rules, q, /* of_bundle= */ false);

	for (size_t i = 0; found && i < ARRAY_LEN(counts); i++)
		if (json_object_get(plan, counts[i]))
			cli_json_int(plan, counts[i], protocol_int(json_array_get(rules, 0), counts[i]));
	if (!found) {
		json_t *unmatched = json_object_get(plan, "unmatched");

		if (unmatched) /* a hold is of no rule and no team */
			cli_json_put(doc, "unmatched", json_incref(unmatched));
		cli_json_put(doc, "plan", json_null());
	}
	return found;
}

int protocol_restrict(struct protocol *p, const struct protocol_query *q, bool *found, struct err *err)
{
	json_t *part = cli_json_check(json_object()), *doc = json_array_get(p->runs, json_array_size(p->runs) - 1);

	*found = restrict_plan(doc, q);
	*found |= protocol_bundles_keep(p->bundles, q->rule, q->team);
	*found |= keep_wanted(json_object_get(doc, "expired"), q, /* of_bundle= */ true);
	*found |= keep_wanted(json_object_get(doc, "kept"), q, /* of_bundle= */ false);
	cli_json_put(doc, "unlinked_earlier", no_journals()); /* no rule and no team is known of a journal */
	cli_json_put(doc, "depersonalised", json_array()); /* by no rule, of no team */
	cli_json_text(part, "rule", q->rule);
	cli_json_text(part, "team", q->team);
	cli_json_put(doc, "restricted", part);
	return sum_newest(p, q, err);
}

static int release(struct protocol *p)
{
	json_decref(p->runs);
	json_decref(p->good);
	json_decref(p->sums.rows);
	return 0;
}

int protocol_read(struct cli *cli, const struct protocol_query *q, struct protocol **ret, struct err *err)
{
	struct protocol *p = mem_new(cli->ctx, struct protocol);
	struct reader rd = {.cli = cli, .query = q, .out = p};
	int r;

	p->runs = cli_json_check(json_array());
	p->sums.rows = cli_json_check(json_object());
	p->bundles = protocol_bundles_new(p);
	talloc_set_destructor(p, release);
	rd.parts = cli_json_check(json_object());
	rd.rules = cli_json_check(json_object());
	r = ledger_read(cli->store->ledger_dirfd, take_line, &rd, err);
	json_decref(rd.parts);
	json_decref(rd.rules);
	if (r < 0 || (r = sum_newest(p, q, err)) < 0)
		return r;
	*ret = p;
	return 0;
}
