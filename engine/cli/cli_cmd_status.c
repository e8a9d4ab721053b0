/*
 * cli_cmd_status.c - the last runs, what is unfinished or overdue, the size of the archive.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <mmretain/audit.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_status.h"

#define RUNS_SHOWN 10
#define EXPIRY_BEGUN "expiry begun; `mmretain expire --yes` or the next run goes on"

static int count_bundle(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct status *st = payload;

	(void)rel_path;
	st->bundles++;
	st->bytes += size_bytes;
	return stop_check(err);
}

static int count_replaced(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct status *st = payload;

	(void)rel_path;
	(void)size_bytes;
	st->replaced++;
	return stop_check(err);
}

/* One that was published counts as announced, as an older file, or as both. */
uint64_t status_erasures_open(const struct status *st)
{
	uint64_t n = 0;

	for (size_t i = 0; i < st->state->n_erasing; i++)
		n += !st->state->erasing[i].withdrawn;
	return n > st->replaced ? n : st->replaced;
}

static const char *bundle_state(const struct ledger_bundle *b)
{
	if (b->purged)
		return "deleted, not swept and closed";
	if (b->purge_started)
		return "deletion begun";
	return b->waived ? "listed, nothing deleted" : "published, nothing deleted";
}

uint64_t status_total(const json_t *run, const char *part, const char *key)
{
	return protocol_int(json_object_get(json_object_get(run, "totals"), part), key);
}

static uint64_t kept(const json_t *run)
{
	json_t *value;
	const char *reason;
	uint64_t n = 0;

	json_object_foreach(json_object_get(json_object_get(run, "totals"), "kept"), reason, value)
		n += (uint64_t)json_integer_value(value);
	return n;
}

static const char *outcome(const json_t *run)
{
	const char *word = protocol_str(json_object_get(run, "end"), "outcome");

	return *word ? word : "not ended";
}

/* ---- JSON ---- */

static json_t *run_json(const json_t *run)
{
	const json_t *end = json_object_get(run, "end"), *plan = json_object_get(run, "plan");
	json_t *obj = cli_json_check(json_object()), *due = cli_json_check(json_object());
	const json_t *totals = json_object_get(run, "totals");

	cli_json_text(obj, "run", protocol_str(run, "run"));
	cli_json_put(obj, "began", json_incref(json_object_get(run, "began")));
	cli_json_put(obj, "ended", json_incref(json_object_get(run, "ended")));
	cli_json_text(obj, "trigger", protocol_str(json_object_get(run, "begin"), "trigger"));
	cli_json_text(obj, "outcome", outcome(run));
	cli_json_put(obj, "exit",
		     json_is_object(end) ? json_integer((json_int_t)protocol_int(end, "exit")) : json_null());
	cli_json_int(due, "threads", protocol_int(plan, "due_threads"));
	cli_json_int(due, "posts", protocol_int(plan, "due_posts"));
	cli_json_int(due, "bytes", protocol_int(plan, "due_bytes"));
	cli_json_put(obj, "due", due);
	cli_json_put(obj, "archived", json_incref(json_object_get(totals, "archived")));
	cli_json_put(obj, "deleted", json_incref(json_object_get(totals, "deleted")));
	cli_json_put(obj, "kept", json_incref(json_object_get(totals, "kept")));
	cli_json_int(obj, "duration_ms", protocol_int(end, "duration_ms"));
	cli_json_put(obj, "waited",
		     protocol_waited_json(protocol_int(end, "waited_replicas_ms"),
					  protocol_int(end, "waited_server_ms")));
	return obj;
}

static void append(json_t *list, json_t *value)
{
	if (json_array_append_new(list, cli_json_check(value)) < 0)
		mem_check(NULL);
}

static json_t *waiting_json(const struct cli_health *h)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "journals", h->journals);
	cli_json_int(obj, "files", h->files);
	cli_json_time(obj, "since", h->waiting_since_ms);
	cli_json_int(obj, "set_aside", h->aside);
	return obj;
}

static json_t *warnings_json(const struct cli_health_text *t)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < t->n; i++)
		append(list, json_string(t->warning[i]));
	return list;
}

static json_t *attempt_json(const struct run_attempt *a)
{
	json_t *obj = a ? cli_json_check(json_object()) : json_null();

	if (!a)
		return obj;
	cli_json_time(obj, "ended", a->at_ms);
	cli_json_text(obj, "trigger", a->trigger);
	cli_json_int(obj, "exit", (uint64_t)a->exit);
	cli_json_text(obj, "error", a->error);
	cli_json_text(obj, "message", a->message);
	return obj;
}

static json_t *withdrawn_json(const struct status *st)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < st->state->n_erasing; i++) {
		const struct ledger_erasure *e = &st->state->erasing[i];

		if (e->withdrawn)
			append(list, json_pack("{s:s,s:s}", "bundle", e->bundle, "case", e->case_id ? e->case_id : ""));
	}
	return list;
}

static int print_json(const struct status *st, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *archive = cli_json_check(json_object());
	json_t *runs = cli_json_check(json_array()), *unfinished = cli_json_check(json_array());
	json_t *overdue = cli_json_check(json_object()), *ledger = cli_json_check(json_object()), *run;
	size_t i;

	cli_json_text(archive, "path", st->cli->store->path);
	cli_json_int(archive, "bundles", st->bundles);
	cli_json_int(archive, "bytes", st->bytes);
	cli_json_int(archive, "free_bytes", st->free_bytes);
	cli_json_put(doc, "archive", archive);
	cli_json_put(doc, "mirror", cli_mirror_state_json(&st->mirror));
	cli_json_int(ledger, "entries", st->state->entries);
	cli_json_put(doc, "ledger", ledger);
	json_array_foreach(st->protocol->runs, i, run)
		append(runs, run_json(run));
	cli_json_put(doc, "runs", runs);
	cli_json_text(doc, "open_run", st->state->open_run);
	cli_json_put(doc, "not_begun", attempt_json(st->attempt));
	for (i = 0; i < st->state->n_bundles; i++) {
		const struct ledger_bundle *b = &st->state->bundle[i];

		append(unfinished,
		       json_pack("{s:s,s:s,s:s}", "bundle", b->bundle, "run", b->run, "state", bundle_state(b)));
	}
	cli_json_put(doc, "unfinished", unfinished);
	cli_json_put(doc, "waiting", waiting_json(&st->health));
	cli_json_put(doc, "warnings", warnings_json(&st->words));
	cli_json_int(doc, "erasures_open", status_erasures_open(st));
	cli_json_put(doc, "erasures_withdrawn", withdrawn_json(st));
	for (i = 0; i < st->published->n; i++)
		if (st->published->bundle[i].expiry == LEDGER_EXPIRING)
			append(unfinished, json_pack("{s:s,s:s,s:s}", "bundle", st->published->bundle[i].bundle, "run",
						     "", "state", EXPIRY_BEGUN));
	cli_json_int(overdue, "bundles", st->overdue.bundles);
	cli_json_int(overdue, "bytes", st->overdue.bytes);
	cli_json_time(overdue, "oldest", st->overdue.oldest_ms);
	cli_json_put(doc, "overdue", overdue);
	cli_json_int(doc, "expired", st->overdue.expired);
	cli_json_int(doc, "lost", st->overdue.lost);
	cli_json_int(doc, "missing", st->missing);
	cli_json_int(doc, "held", st->state->n_held);
	return cli_json_print(doc, err);
}

/* ---- text ---- */

static int print_runs(const struct status *st, struct err *err)
{
	static const struct cli_column columns[] = {
		{"RUN", CLI_LEFT},       {"BEGAN", CLI_LEFT},     {"TOOK", CLI_RIGHT},   {"TRIGGER", CLI_LEFT},
		{"OUTCOME", CLI_LEFT},
		{"DUE", CLI_RIGHT},      {"ARCHIVED", CLI_RIGHT}, {"DELETED", CLI_RIGHT}, {"KEPT", CLI_RIGHT},
	};
	struct cli_table *t = cli_table_new(st->cli, columns, ARRAY_LEN(columns));
	json_t *run;
	size_t i;

	json_array_foreach(st->protocol->runs, i, run) {
		const json_t *end = json_object_get(run, "end");
		char took[TIME_TEXT] = "-";

		if (json_is_object(end))
			protocol_took(protocol_int(end, "duration_ms"), took);
		cli_table_row(t);
		cli_table_text(t, protocol_str(run, "run"));
		cli_table_text(t, protocol_str(run, "began"));
		cli_table_text(t, took);
		cli_table_text(t, protocol_str(json_object_get(run, "begin"), "trigger"));
		cli_table_text(t, outcome(run));
		cli_table_int(t, protocol_int(json_object_get(run, "plan"), "due_threads"));
		cli_table_int(t, status_total(run, "archived", "threads"));
		cli_table_int(t, status_total(run, "deleted", "threads"));
		cli_table_int(t, kept(run));
	}
	return cli_table_print(t, err);
}

/* Why a night was short: for whom it waited a tenth of its time or longer. */
static void print_waited(const struct status *st)
{
	json_t *run;
	size_t i;

	json_array_foreach(st->protocol->runs, i, run) {
		const json_t *end = json_object_get(run, "end");
		uint64_t replicas_ms = protocol_int(end, "waited_replicas_ms"),
			 server_ms = protocol_int(end, "waited_server_ms");

		if (replicas_ms + server_ms > 0 && replicas_ms + server_ms >= protocol_int(end, "duration_ms") / 10)
			printf("waited: run %s %s\n", cli_safe(st->cli->ctx, protocol_str(run, "run")),
			       protocol_waited(st->cli->ctx, replicas_ms, server_ms));
	}
}

/* The ledger has no line of it. */
static void print_attempt(const struct status *st)
{
	const struct run_attempt *a = st->attempt;
	char at[TIME_TEXT];

	if (!a)
		return;
	time_format(a->at_ms, at);
	printf("not begun: a run (%s) ended at %s with status %d, before its first step: %s\n",
	       cli_safe(st->cli->ctx, a->trigger), at, a->exit, cli_safe(st->cli->ctx, a->message));
}

/* What was in a lost bundle's place is somebody's data still. */
static bool is_aside(const struct status *st, const struct ledger_published *p)
{
	auto_mem char *path = p->loss ? mem_printf(NULL, "%s.lost", p->rel_path) : NULL;
	struct stat found;

	return path && fstatat(st->cli->store->root_dirfd, path, &found, AT_SYMLINK_NOFOLLOW) == 0;
}

static void print_waiting(const struct cli_health *h)
{
	char since[TIME_TEXT];

	if (h->journals) {
		time_format(h->waiting_since_ms / 1000 * 1000, since);
		printf("waiting: %llu attachment%s in %llu journal%s, the oldest of %s, still to be removed; the next "
		       "run that may delete does it\n",
		       (unsigned long long)h->files, cli_s(h->files), (unsigned long long)h->journals,
		       cli_s(h->journals), since);
	}
	if (h->aside)
		printf("set aside: %llu journal%s of attachments that stay (ledger/moved-*, ledger/lost-unlink-*)\n",
		       (unsigned long long)h->aside, cli_s(h->aside));
}

static void print_erasures(const struct status *st)
{
	void *ctx = st->cli->ctx;

	if (status_erasures_open(st))
		printf("unfinished: an erasure was interrupted in %llu bundle%s; `mmretain erase` goes on with it\n",
		       (unsigned long long)status_erasures_open(st), cli_s(status_erasures_open(st)));
	for (size_t i = 0; i < st->state->n_erasing; i++) {
		const struct ledger_erasure *e = &st->state->erasing[i];

		if (e->withdrawn)
			printf("withdrawn: the erasure of case %s in %s, because of a hold; the same `mmretain erase` "
			       "takes it when the hold has ended\n",
			       cli_safe(ctx, e->case_id ? e->case_id : ""), cli_safe(ctx, e->bundle));
	}
}

static void print_unfinished(const struct status *st)
{
	const struct ledger_state *state = st->state;
	char oldest[TIME_TEXT];

	if (state->open_run)
		printf("\nrun %s has not ended: it is at work, or was interrupted and the next run takes it up\n",
		       cli_safe(st->cli->ctx, state->open_run));
	for (size_t i = 0; i < state->n_bundles; i++)
		printf("unfinished: %s of run %s: %s\n", cli_safe(st->cli->ctx, state->bundle[i].bundle),
		       cli_safe(st->cli->ctx, state->bundle[i].run), bundle_state(&state->bundle[i]));
	for (size_t i = 0; i < st->published->n; i++)
		if (st->published->bundle[i].expiry == LEDGER_EXPIRING)
			printf("unfinished: %s: %s\n", cli_safe(st->cli->ctx, st->published->bundle[i].bundle),
			       EXPIRY_BEGUN);
	if (st->overdue.expired)
		printf("expired: %llu bundle%s, removed\n", (unsigned long long)st->overdue.expired,
		       cli_s(st->overdue.expired));
	if (st->overdue.lost)
		printf("lost: %llu bundle%s, declared so; `mmretain verify` lists %s\n",
		       (unsigned long long)st->overdue.lost, cli_s(st->overdue.lost),
		       st->overdue.lost == 1 ? "it" : "them");
	for (size_t i = 0; i < st->published->n; i++)
		if (is_aside(st, &st->published->bundle[i]))
			printf("aside: %s.lost, damaged; no `erase` and no `expire` takes it: remove it when nothing "
			       "in it is of use\n",
			       cli_safe(st->cli->ctx, st->published->bundle[i].rel_path));
	print_erasures(st);
	if (state->n_held)
		printf("held: %zu thread%s; `mmretain hold list` shows which\n", state->n_held, cli_s(state->n_held));
	if (!st->overdue.bundles)
		return;
	time_format(st->overdue.oldest_ms, oldest);
	printf("overdue: bundles past their time: %llu, the oldest since %s; `mmretain expire -n` says what becomes of "
	       "them\n",
	       (unsigned long long)st->overdue.bundles, oldest);
}

static int print_text(const struct status *st, struct err *err)
{
	char bytes[TIME_TEXT], free_bytes[TIME_TEXT];
	int r = 0;

	bytes_format(st->bytes, bytes);
	bytes_format(st->free_bytes, free_bytes);
	printf("archive %s: %llu bundle%s, %s; %s free\n", cli_safe(st->cli->ctx, st->cli->store->path),
	       (unsigned long long)st->bundles, cli_s(st->bundles), bytes, free_bytes);
	cli_mirror_state_print(st->cli, &st->mirror);
	printf("ledger: %llu line%s, chain whole\n", (unsigned long long)st->state->entries, cli_s(st->state->entries));
	if (json_array_size(st->protocol->runs)) {
		printf("\n");
		r = print_runs(st, err);
	} else {
		printf("no run yet\n");
	}
	if (r < 0)
		return r;
	print_attempt(st);
	print_waited(st);
	print_unfinished(st);
	print_waiting(&st->health);
	for (size_t i = 0; i < st->words.n; i++)
		printf("warning: %s\n", st->words.warning[i]);
	return 0;
}

static int look_for_missing(struct status *st, struct err *err)
{
	const struct ledger_published *missing;
	struct cli_health_text *t = &st->words;
	int r = audit_missing(st->cli->ctx, st->cli->store, &missing, &st->missing, err);

	if (r < 0 || !st->missing)
		return r < 0 ? r : 0;
	t->warning = mem_grow(t->ctx, t->warning, char *, t->n + 1);
	t->warning[t->n++] =
		mem_printf(t->ctx, "%s. %s", cli_missing_text(t->ctx, missing, st->missing), AUDIT_MISSING_HINT);
	return 0;
}

/* It only tells of a run: one that cannot be read keeps nothing else from being told. */
static int read_attempt(struct status *st, struct err *err)
{
	struct err own = {0};

	if (run_attempt_read(st->cli->ctx, st->cli->store, &st->attempt, &own) < 0)
		log_warn("%s", cli_safe(st->cli->ctx, own.msg));
	return stop_check(err);
}

int cli_cmd_status(struct cli *cli, struct err *err)
{
	struct status st = {.cli = cli};
	bool metrics = cli_given(cli, OPT_METRICS);
	const struct protocol_query q = {.newest = RUNS_SHOWN, .totals_alone = true};
	int r = metrics && cli->json ? err_set(err, ERR_USAGE,
					       "`--metrics` and `--json` are two forms of one result: give one of them")
				     : cli_open_archive(cli, /* writable= */ false, err);

	if (r == 0)
		r = store_free_bytes(cli->store, &st.free_bytes, err);
	if (r == 0)
		r = store_each_bundle(cli->store, count_bundle, &st, err);
	if (r == 0)
		r = store_each_replaced(cli->store, count_replaced, &st, err);
	if (r == 0)
		r = protocol_read(cli, &q, &st.protocol, err);
	if (r == 0)
		r = ledger_fold(cli->ctx, cli->store->ledger_dirfd, &st.state, err);
	if (r == 0)
		r = ledger_archive(cli->ctx, cli->store->ledger_dirfd, &st.published, err);
	if (r == 0)
		r = read_attempt(&st, err);
	if (r == 0)
		r = cli_health(cli->store, st.protocol->runs, st.state->open_run, st.attempt, &st.health, err);
	if (r < 0)
		return r;
	cli_health_warnings(cli->ctx, &st.health, &st.words);
	if ((r = look_for_missing(&st, err)) < 0)
		return r;
	cli_overdue(st.published, &st.overdue);
	cli_mirror_state(cli, &st.mirror);
	if (metrics)
		return status_metrics(&st, cli->args->value[OPT_METRICS], err);
	return cli->json ? print_json(&st, err) : print_text(&st, err);
}
