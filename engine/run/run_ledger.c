/* run_ledger.c - the lines that a run writes; fields as docs/formats.md lists them.  Ids, counts and digests only. */
#include "run_internal.h"

#include <string.h>
#include <unistd.h>

static void begin(struct ledger_entry *e, struct run *run, const char *type)
{
	ledger_begin(e, run->ctx, type);
	ledger_str(e, "run", run->report->id);
}

static void put_digest(struct ledger_entry *e, const char *key, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(d, hex);
	ledger_str(e, key, hex);
}

void run_line_host(struct ledger_entry *e)
{
	char host[256] = "";

	(void)gethostname(host, sizeof host - 1); /* an empty name is only less to read */
	ledger_str(e, "host", host);
}

int run_line_begin(struct run *run, struct err *err)
{
	struct ledger_entry e;
	int rc;

	begin(&e, run, "run-begin");
	ledger_str(&e, "tool", RUN_VERSION);
	run_line_host(&e);
	ledger_str(&e, "system_identifier", run->mm->schema->system_identifier);
	ledger_str(&e, "database", run->mm->schema->database);
	ledger_str(&e, "trigger", run_trigger());
	ledger_int(&e, "uid", (int64_t)getuid());
	ledger_str(&e, "policy_digest", run->policy_hex);
	ledger_bool(&e, "purge", run_deletes(run));
	rc = ledger_append(run->ledger, &e, err);
	run->report->begun = rc == 0;
	if (rc == 0)
		run_attempt_clear(run->store);
	return rc;
}

static void put_count(struct buf *b, const char *key, uint64_t n)
{
	buf_printf(b, ",\"%s\":%llu", key, (unsigned long long)n);
}

static void put_rule(struct buf *b, const struct plan_rule *r)
{
	buf_puts(b, "{\"rule\":");
	json_put_string(b, r->rule->name, strlen(r->rule->name));
	if (r->rule->has_age)
		buf_printf(b, ",\"cut_ms\":%lld", (long long)r->cut_ms);
	if (r->rule->has_limit && r->rule->limit_posts)
		put_count(b, "limit_posts", r->rule->limit_posts);
	if (r->rule->has_limit && r->rule->limit_bytes)
		put_count(b, "limit_bytes", r->rule->limit_bytes);
	if (r->rule->has_limit)
		buf_printf(b, ",\"limit_per\":\"%s\"", r->rule->per == PER_TEAM ? "team" : "channel");
	put_count(b, "scopes", r->scopes);
	put_count(b, "due_threads", r->due_threads);
	if (r->due_parts)
		put_count(b, "due_parts", r->due_parts);
	put_count(b, "due_posts", r->due_posts);
	put_count(b, "due_bytes", r->due_bytes);
	buf_byte(b, '}');
}

enum { UNMATCHED_A_LINE = 1000 };

/* Words of holds that match nothing, by their places in the policy: they are names. */
static void put_unmatched(struct ledger_entry *e, const struct run *run)
{
	const struct plan *p = run->plan;
	struct buf list;

	if (!p->n_unmatched)
		return;
	buf_init(&list, run->ctx, 1 << 19);
	for (size_t i = 0; i < p->n_unmatched && i < UNMATCHED_A_LINE; i++) {
		const struct plan_unmatched *u = &p->unmatched[i];

		buf_puts(&list, i ? ",{\"hold\":" : "[{\"hold\":");
		json_put_string(&list, u->hold->name, strlen(u->hold->name));
		buf_printf(&list, ",\"of\":\"%s\",\"item\":%zu}", u->of, u->item + 1);
	}
	buf_byte(&list, ']');
	ledger_raw(e, "unmatched", list.data);
	ledger_int(e, "unmatched_words", (int64_t)p->n_unmatched);
}

int run_line_plan(struct run *run, struct err *err)
{
	const struct plan *p = run->plan;
	struct ledger_entry e;
	struct buf rules;

	buf_init(&rules, run->ctx, 1 << 20);
	buf_byte(&rules, '[');
	for (size_t i = 0; i < p->n_rules; i++) {
		if (i)
			buf_byte(&rules, ',');
		put_rule(&rules, &p->rule[i]);
	}
	buf_byte(&rules, ']');
	begin(&e, run, "plan");
	put_digest(&e, "digest", &p->digest);
	ledger_int(&e, "taken_ms", p->taken_ms);
	if (p->deleted_cut_ms != INT64_MIN)
		ledger_int(&e, "deleted_cut_ms", p->deleted_cut_ms);
	ledger_raw(&e, "rules", rules.data);
	put_unmatched(&e, run);
	ledger_int(&e, "due_threads", (int64_t)p->due_threads);
	if (p->due_parts)
		ledger_int(&e, "due_parts", (int64_t)p->due_parts);
	ledger_int(&e, "due_posts", (int64_t)p->due_posts);
	ledger_int(&e, "due_bytes", (int64_t)p->due_bytes);
	return ledger_append(run->ledger, &e, err);
}

int run_line_bundle(struct run *run, const struct unit *u, const struct receipt *r, const char *name, struct err *err)
{
	bool waived = receipt_waived(r);
	struct ledger_entry e;

	begin(&e, run, waived ? "waived" : "published");
	ledger_str(&e, "rule", u->rule->name);
	ledger_str(&e, "bundle", name);
	if (waived)
		ledger_str(&e, "because", receipt_because(r));
	else
		ledger_str(&e, "rel_path", receipt_rel_path(r));
	put_digest(&e, "file_digest", receipt_file_digest(r));
	put_digest(&e, "rows_digest", receipt_rows_digest(r));
	if (!waived)
		ledger_str(&e, "previous_digest", run->previous_hex);
	ledger_str(&e, "policy_digest", run->policy_hex);
	ledger_int(&e, "threads", (int64_t)receipt_threads(r));
	ledger_int(&e, "posts", (int64_t)receipt_posts(r));
	ledger_int(&e, "rows", (int64_t)receipt_rows(r));
	if (!waived) {
		ledger_int(&e, "blobs", (int64_t)receipt_blobs(r));
		ledger_int(&e, "file_bytes", (int64_t)receipt_file_bytes(r));
	}
	ledger_int(&e, "snapshot_ms", u->sitting->snapshot_ms);
	if (u->first.t.part)
		ledger_bool(&e, "parts", true);
	if (!waived)
		ledger_int(&e, "expires_ms", run_expires_ms(u->first.expiry_month));
	return ledger_append(run->ledger, &e, err);
}

static void put_purged(struct ledger_entry *e, const struct run *run, const struct purge_counts *c)
{
	struct buf rows;

	buf_init(&rows, run->ctx, 1 << 16);
	buf_byte(&rows, '{');
	for (int k = 0; k < MM_KINDS; k++)
		buf_printf(&rows, "%s\"%s\":%llu", k ? "," : "", run->kind[k].kind, (unsigned long long)c->rows[k]);
	buf_byte(&rows, '}');
	ledger_int(e, "threads", (int64_t)c->threads);
	ledger_int(e, "posts", (int64_t)c->posts);
	ledger_raw(e, "rows", rows.data);
	ledger_int(e, "batches", (int64_t)c->batches);
	ledger_int(e, "kept_changed", (int64_t)c->kept_changed);
	ledger_int(e, "kept_held", (int64_t)c->kept_held);
	ledger_int(e, "kept_locked", (int64_t)c->kept_locked);
	ledger_int(e, "kept_gone", (int64_t)c->kept_gone);
}

int run_line_step(struct run *run, const char *type, const char *bundle, const struct purge_counts *c, struct err *err)
{
	struct ledger_entry e;

	begin(&e, run, type);
	ledger_str(&e, "bundle", bundle);
	if (strcmp(type, "purged") == 0 || strcmp(type, "purge-stopped") == 0)
		put_purged(&e, run, c);
	if (strcmp(type, "unlinked") == 0) {
		ledger_int(&e, "blobs_unlinked", (int64_t)c->blobs_unlinked);
		ledger_int(&e, "blobs_shared", (int64_t)c->blobs_shared);
		ledger_int(&e, "blobs_failed", (int64_t)c->blobs_failed);
		ledger_int(&e, "bytes_unlinked", (int64_t)c->bytes_unlinked);
	}
	return ledger_append(run->ledger, &e, err);
}

int run_line_sweep(struct run *run, const struct run_purge *p, struct err *err)
{
	const struct purge_counts *c = p->counts;
	struct ledger_entry e;

	begin(&e, run, "sweep");
	ledger_str(&e, "bundle", p->name);
	ledger_int(&e, "late_restored", (int64_t)c->late_restored);
	ledger_int(&e, "late_removed", (int64_t)c->late_removed);
	if (c->found_threads) {
		ledger_int(&e, "found_threads", (int64_t)c->found_threads);
		ledger_int(&e, "found_posts", (int64_t)c->found_posts);
	}
	/* What is under way may be older than what a sweep saw. */
	if (c->open_xid)
		ledger_int(&e, "open_xid", (int64_t)c->open_xid);
	else if (p->looked_ms)
		ledger_int(&e, "looked_ms", p->looked_ms);
	return ledger_append(run->ledger, &e, err);
}

enum { STAYED_A_LINE = 1000 };

static int stayed_line(struct run *run, const char *bundle, const mm_id *roots, size_t n, struct err *err)
{
	struct ledger_entry e;
	struct buf ids;

	buf_init(&ids, run->ctx, 1 << 16);
	for (size_t i = 0; i < n; i++) {
		buf_byte(&ids, i ? ',' : '[');
		json_put_string(&ids, roots[i], strlen(roots[i]));
	}
	buf_byte(&ids, ']');
	begin(&e, run, "stayed");
	ledger_str(&e, "bundle", bundle);
	ledger_raw(&e, "roots", ids.data);
	return ledger_append(run->ledger, &e, err);
}

int run_line_stayed(struct run *run, const char *bundle, const mm_id *roots, size_t n, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i += STAYED_A_LINE)
		rc = stayed_line(run, bundle, roots + i, n - i < STAYED_A_LINE ? n - i : STAYED_A_LINE, err);
	return rc;
}

/* Of a hold only its name: what an administrator gave as the reason stays in the policy, where it can be changed. */
static int kept_line(struct run *run, const char *rule, enum plan_reason reason, const char *hold, uint64_t threads,
		     struct err *err)
{
	struct ledger_entry e;

	begin(&e, run, "kept");
	ledger_str(&e, "rule", rule);
	ledger_str(&e, "reason", plan_reason_name(reason));
	if (hold)
		ledger_str(&e, "hold", hold);
	ledger_int(&e, "threads", (int64_t)threads);
	return ledger_append(run->ledger, &e, err);
}

/* One for each hold of the policy that kept any; then one of what the ledger holds, or of a plan file. */
static int kept_by_holds(struct run *run, const struct plan_rule *rule, struct err *err)
{
	uint64_t rest = rule->reason[KEPT_HOLD];
	int rc = 0;

	for (size_t i = 0; rule->held && i < run->policy->n_holds && rc == 0; i++) {
		if (!rule->held[i])
			continue;
		rest -= rule->held[i];
		rc = kept_line(run, rule->rule->name, KEPT_HOLD, run->policy->hold[i].name, rule->held[i], err);
	}
	return rc == 0 && rest ? kept_line(run, rule->rule->name, KEPT_HOLD, NULL, rest, err) : rc;
}

static int kept_by_rule(struct run *run, const struct plan_rule *rule, struct err *err)
{
	int rc = 0;

	for (int r = KEPT_PINNED; r < PLAN_REASONS && rc == 0; r++) {
		if (r == KEPT_HOLD)
			rc = kept_by_holds(run, rule, err);
		else if (r != KEPT_YOUNG && rule->reason[r])
			rc = kept_line(run, rule->rule->name, (enum plan_reason)r, NULL, rule->reason[r], err);
	}
	return rc;
}

int run_line_kept(struct run *run, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; run->plan && i < run->plan->n_rules && rc == 0; i++)
		rc = kept_by_rule(run, &run->plan->rule[i], err);
	/* Kept while the run was at work: across rules. */
	for (int r = KEPT_PINNED; r < PLAN_REASONS && rc == 0; r++)
		if (run->report->kept[r])
			rc = kept_line(run, "", (enum plan_reason)r, NULL, run->report->kept[r], err);
	return rc;
}

int run_exit_status(int code)
{
	return code == -ERR_INTERRUPTED && stop_requested() ? 128 + stop_requested() : err_exit_status(code);
}

int run_line_end(struct run *run, int code, struct err *err)
{
	struct ledger_entry e;

	begin(&e, run, "run-end");
	ledger_str(&e, "outcome", run->report->outcome);
	ledger_int(&e, "exit", run_exit_status(code));
	ledger_int(&e, "duration_ms", run->report->ended_ms - run->report->began_ms);
	if (run->report->gone_before)
		ledger_int(&e, "gone_threads", (int64_t)run->report->gone_before);
	if (run->report->waited.replicas_ms)
		ledger_int(&e, "waited_replicas_ms", run->report->waited.replicas_ms);
	if (run->report->waited.server_ms)
		ledger_int(&e, "waited_server_ms", run->report->waited.server_ms);
	if (run->owes_look)
		ledger_bool(&e, "unswept", true);
	if (code < 0)
		ledger_str(&e, "error", err_name(code));
	return ledger_append(run->ledger, &e, err);
}
