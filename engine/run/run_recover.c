/*
 * run_recover.c - finish first what an earlier run left, then begin anything new.
 *
 * found                                   action
 * files in partial/                       removed: nothing in there is an archive
 * an erasure that was interrupted         finished where the new file was published (run_erase_finish.c)
 * bundle without a ledger line            verified, entered in the ledger as published, then as the next line
 * published, purge not done, same policy  reopened (verified in full), purged by id, swept, unlinked
 * the same, but the policy has changed    nothing more is deleted: swept, unlinked, closed; the plan decides anew
 * waived, not done                        closed; the plan decides anew
 * late replies after the last run         its bundles are swept once more
 * a run without an end, or `unswept`      the same: a sweep of it may have put threads back that no line names
 * a sweep that was open, not any more     swept once more; while it is open no attachment goes
 * unlink journals                         carried out where the row is gone; at the end of the run when anything was
 *                                         deleted again
 *
 * A run that only archives leaves every delete that has begun to the next run that may delete.
 */
#include "run_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"

const struct policy_rule *run_find_rule(const struct run *run, const char *name)
{
	for (size_t i = 0; i < run->policy->n_rules; i++)
		if (strcmp(run->policy->rule[i].name, name) == 0)
			return &run->policy->rule[i];
	return NULL;
}

static int reopen(struct run *run, void *ctx, const struct ledger_bundle *b, struct receipt **ret, struct err *err)
{
	struct digest file, rows;

	if (!hex_decode(b->file_digest, DIGEST_BYTES, file.b) || !hex_decode(b->rows_digest, DIGEST_BYTES, rows.b))
		return err_set(err, ERR_VERIFY, "ledger line of bundle %s has no digests", b->bundle);
	return bundle_reopen(ctx, run->store->root_dirfd, b->rel_path, &file, &rows, ret, err);
}

static struct run_bundle *note(struct run *run, const struct ledger_bundle *b)
{
	struct run_bundle *n = run_add_bundle(run);

	n->rule = mem_strdup(run->report, b->rule);
	n->team = mem_strdup(run->report, "");
	n->bundle = mem_strdup(run->report, b->bundle);
	n->rel_path = mem_strdup(run->report, b->rel_path);
	n->recovered = true;
	n->threads = b->threads;
	n->posts = b->posts;
	n->rows = b->rows;
	run->report->recovered_bundles++;
	return n;
}

/* What the ledger says of threads that were not deleted, or came back. */
static void take_stayed(struct run *run, const struct ledger_bundle *b, struct run_purge *p)
{
	size_t len;

	for (const char *id = b->stayed; id && *id; id += len) {
		id += *id == ' ';
		len = strcspn(id, " ");
		if (len <= MM_ID)
			run_purge_stayed(run, p, id, len);
	}
	if (p->n_stayed)
		qsort(p->stayed, p->n_stayed, sizeof(mm_id), mm_id_cmp);
}

/* The rule of the bundle, when the policy is the one that it was archived under. */
static const struct policy_rule *same_rule(const struct run *run, const struct ledger_bundle *b)
{
	return strcmp(b->policy_digest, run->policy_hex) == 0 ? run_find_rule(run, b->rule) : NULL;
}

/* A rule that no longer says the same may not delete any more. */
enum run_recovery run_recovery_of(const struct run *run, const struct ledger_bundle *b)
{
	bool same = same_rule(run, b) != NULL;

	if (b->purge_started && !b->waived && !run_deletes(run))
		return RUN_RECOVER_LEAVE;
	if (b->waived || (!b->purge_started && (!same || !run_deletes(run))))
		return RUN_RECOVER_CLOSE;
	return b->purged || !same ? RUN_RECOVER_SETTLE : RUN_RECOVER_PURGE;
}

static int finish_bundle(struct run *run, const struct ledger_bundle *b, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "recover");
	enum run_recovery what = run_recovery_of(run, b);
	struct run_purge p = {.name = b->bundle,
			      .rule = same_rule(run, b),
			      .snapshot_ms = b->snapshot_ms,
			      .started = b->purge_started,
			      .unfinished = true,
			      .settle_only = what == RUN_RECOVER_SETTLE};
	struct purge_counts none = {.threads = 0};
	struct receipt *receipt;
	int rc;

	if (what == RUN_RECOVER_LEAVE)
		return 0;
	if (what == RUN_RECOVER_CLOSE)
		return run_line_step(run, "bundle-done", b->bundle, &none, err);
	if ((rc = reopen(run, ctx, b, &receipt, err)) < 0)
		return err_prefix(err, "unfinished bundle %s", b->bundle);
	log_info("taking up bundle %s of an earlier run", b->bundle);
	p.receipt = receipt;
	if (p.settle_only)
		take_stayed(run, b, &p);
	p.counts = &note(run, b)->purge;
	if (!p.settle_only)
		/* what is deleted can be found: that run may have ended before it came to this one */
		run_index_wait(run, run_index_add(run, receipt));
	return run_purge_receipt(run, &p, err);
}

/* ---- bundles that the ledger does not know ---- */

struct known { void *ctx; char **path; size_t n; char **new; size_t n_new; /* not known */ };

static int on_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	struct known *k = payload;
	struct json_scan s;

	(void)seq;
	(void)err;
	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		if (s.key_len == 8 && memcmp(s.key, "rel_path", 8) == 0 && s.type == JSON_STR) {
			if ((k->n & (k->n - 1)) == 0)
				k->path = mem_grow(k->ctx, k->path, char *, k->n ? 2 * k->n : 1);
			k->path[k->n++] = mem_strndup(k->ctx, s.val, s.val_len);
		}
	return 0;
}

/* The line that the crash kept from being written; snapshot 0 makes the purge watch all replies. */
static int adopt_line(struct run *run, const char *rel_path, const struct bundle_check *c, const json_t *about,
		      uint64_t file_bytes, struct err *err)
{
	const char *rule = json_string_value(json_object_get(about, "rule")),
		   *policy_hex = json_string_value(json_object_get(about, "policy_sha256"));
	const json_t *expires_ms = json_object_get(about, "expires_ms");
	struct ledger_entry e;
	char hex[DIGEST_HEX + 1];
	const char *slash = strrchr(rel_path, '/');

	ledger_begin(&e, run->ctx, "published");
	ledger_str(&e, "run", run->report->id);
	ledger_str(&e, "rule", rule ? rule : "");
	ledger_str(&e, "bundle", slash ? slash + 1 : rel_path);
	ledger_str(&e, "rel_path", rel_path);
	digest_hex(&c->file_digest, hex);
	ledger_str(&e, "file_digest", hex);
	digest_hex(&c->rows_digest, hex);
	ledger_str(&e, "rows_digest", hex);
	ledger_str(&e, "previous_digest", run->previous_hex);
	ledger_str(&e, "policy_digest", policy_hex ? policy_hex : "");
	ledger_int(&e, "threads", (int64_t)c->threads);
	ledger_int(&e, "posts", (int64_t)c->posts);
	ledger_int(&e, "rows", (int64_t)c->rows);
	ledger_int(&e, "blobs", (int64_t)c->blobs);
	ledger_int(&e, "file_bytes", (int64_t)file_bytes);
	ledger_int(&e, "snapshot_ms", 0);
	if (json_is_true(json_object_get(about, "parts")))
		ledger_bool(&e, "parts", true);
	if (json_is_integer(expires_ms))
		ledger_int(&e, "expires_ms", json_integer_value(expires_ms));
	ledger_bool(&e, "adopted", true);
	memcpy(run->previous_hex, hex, sizeof run->previous_hex); /* of its rows */
	return ledger_append(run->ledger, &e, err);
}

/* An erasure announces what it publishes. */
static int refuse_generation(const struct bundle_check *c, const char *rel_path, struct err *err)
{
	if (c->generation == 1)
		return 0;
	err_set(err, ERR_VERIFY, "\"%s\" says that a person was erased in it, and no line of the ledger announces that",
		rel_path);
	return err_hint(err, "It is not of this archive, or the ledger is an older copy. Move it out of the archive "
			     "root, with care for the bundle that it would replace.");
}

static int refuse_unknown(int rc, const char *rel_path, struct err *err)
{
	err_prefix(err, "bundle %s, which the ledger does not know", rel_path);
	return rc != -ERR_VERIFY ? rc :
	       err_hint(err, "No run has deleted anything by it, when the ledger is no older copy: its rows are in the "
			     "database. Move it out of the archive root, and run again.");
}

static int adopt(struct run *run, const char *rel_path, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "adopt");
	struct bundle_reader *reader;
	struct bundle_check check;
	struct store_seen seen;
	char *text;
	json_t *o;
	size_t len;
	int rc;

	log_info("bundle %s is not in the ledger: an earlier run was interrupted", rel_path);
	/* Durable before the ledger says that it is published, as if the run had not been interrupted. */
	if ((rc = bundle_settle(run->store->root_dirfd, rel_path, err)) < 0 ||
	    (rc = bundle_verify(run->store->root_dirfd, rel_path, &check, run->options->progress, err)) < 0 ||
	    (rc = bundle_open(ctx, run->store->root_dirfd, rel_path, &reader, err)) < 0 ||
	    (rc = bundle_read_member(reader, ctx, "data/bundle.json", 1 << 20, &text, &len, err)) < 0)
		return refuse_unknown(rc, rel_path, err);
	if ((rc = refuse_generation(&check, rel_path, err)) < 0)
		return rc;
	o = json_loadb(text, len, 0, NULL);
	if ((rc = store_see(run->store, rel_path, &seen, err)) == 0)
		rc = adopt_line(run, rel_path, &check, o, seen.size_bytes, err);
	json_decref(o);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int on_bundle(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct known *k = payload;

	(void)size_bytes;
	(void)err;
	if (k->n && bsearch(&rel_path, k->path, k->n, sizeof *k->path, by_path))
		return 0;
	if ((k->n_new & (k->n_new - 1)) == 0)
		k->new = mem_grow(k->ctx, k->new, char *, k->n_new ? 2 * k->n_new : 1);
	k->new[k->n_new++] = mem_strdup(k->ctx, rel_path);
	return 0;
}

/* In the order in which they were published, each naming the one before. */
static int by_number(const void *a, const void *b)
{
	const char *x = strrchr(*(char *const *)a, '/'), *y = strrchr(*(char *const *)b, '/');
	uint32_t m = x ? store_seq_of(x + 1) : 0, n = y ? store_seq_of(y + 1) : 0;

	return m != n ? (m < n ? -1 : 1) : by_path(a, b);
}

static int adopt_unknown(struct run *run, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "known");
	struct known k = {.ctx = ctx};
	struct ledger_state *st;
	int rc = ledger_read(run->store->ledger_dirfd, on_line, &k, err);

	if (rc < 0)
		return rc;
	if (k.n)
		qsort(k.path, k.n, sizeof *k.path, by_path);
	if ((rc = store_each_bundle(run->store, on_bundle, &k, err)) < 0 || k.n_new == 0)
		return rc;
	if ((rc = ledger_fold(ctx, run->store->ledger_dirfd, &st, err)) < 0)
		return rc;
	memcpy(run->previous_hex, st->last_rows_digest, sizeof run->previous_hex);
	qsort(k.new, k.n_new, sizeof *k.new, by_number);
	for (size_t i = 0; i < k.n_new && rc == 0; i++)
		rc = adopt(run, k.new[i], err);
	return rc;
}

/* ---- late replies to what the last run deleted ---- */

/* A waiver has nothing to be swept by, and what is not done is taken up in any case. */
static bool sweeps_again(const struct ledger_bundle *b)
{
	return !b->waived && b->purge_started && b->done;
}

/* Has anything come late to them: a reply since they were looked at last, or a live post that names a file again? */
static int any_late(struct run *run, const struct ledger_state *st, bool *ret, struct err *err)
{
	int64_t since_ms = RUN_NOT_YET;
	int rc;

	for (size_t i = 0; i < st->n_last_run; i++) {
		const struct ledger_bundle *b = &st->last_run[i];
		int64_t ms = b->looked_ms ? b->looked_ms : b->snapshot_ms;

		if (sweeps_again(b) && ms < since_ms)
			since_ms = ms;
	}
	*ret = false;
	if (since_ms == RUN_NOT_YET)
		return 0;
	rc = run_late_since(run, since_ms, ret, err);
	return rc < 0 || *ret ? rc : run_leftovers_named(run, ret, err);
}

/* Has every transaction ended that outlived the bundle's sweep?  Until then its attachments stay. */
static int sweep_closes(struct run *run, const struct ledger_bundle *b, bool *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "open sweep");
	const char *param = mem_printf(ctx, "%llu", (unsigned long long)b->open_xid);
	struct db_result *r;
	int rc;

	*ret = false;
	if (!b->open_xid)
		return 0;
	if ((rc = db_query(ctx, run->mm->db, &sql_purge_horizon, DB_ONE, 1, &param, &r, err)) < 0)
		return rc;
	*ret = db_bool(r, 0, 0);
	run->report->total.sweep_open |= !*ret;
	return 0;
}

bool run_sweeps_again(const struct run *run, const struct ledger_bundle *b, bool late, bool closes, bool look)
{
	return run_deletes(run) && sweeps_again(b) && (late || closes || look);
}

/* look: threads of it may be back that no line names. */
static int sweep_again(struct run *run, const struct ledger_bundle *b, bool look, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "sweep again");
	struct run_purge p = {.name = b->bundle,
			      .rule = run_find_rule(run, b->rule),
			      .settle_only = true,
			      .find_here = look,
			      /* What could have missed its delete has ended, but for what an open sweep names. */
			      .snapshot_ms = b->snapshot_ms,
			      .looked_ms = run_there_ms(run->mm),
			      .sweep_xid = b->open_xid ? b->open_xid : 1};
	struct receipt *receipt;
	int rc = reopen(run, ctx, b, &receipt, err);

	if (rc < 0)
		return err_prefix(err, "late replies in the threads of bundle %s", b->bundle);
	p.receipt = receipt;
	p.counts = &note(run, b)->purge;
	take_stayed(run, b, &p);
	/* The bundle is done, so nothing else would bring a later run here: neither after a commit of which the answer
	 * is lost, nor when a line cannot be written after it. */
	run->owes_look = true;
	if ((rc = run_purge_receipt(run, &p, err)) == 0)
		run->owes_look = look;
	return rc;
}

/* Of a run that does not come to the end of this its last line says what it owes. */
static int sweep_last_run(struct run *run, const struct ledger_state *st, struct err *err)
{
	bool late, closes, look = run->owes_look;
	int rc;

	if (!run_deletes(run))
		return 0;
	if ((rc = any_late(run, st, &late, err)) < 0)
		return rc;
	for (size_t i = 0; i < st->n_last_run && rc == 0; i++) {
		const struct ledger_bundle *b = &st->last_run[i];

		if (!sweeps_again(b))
			continue;
		if ((rc = sweep_closes(run, b, &closes, err)) == 0 && run_sweeps_again(run, b, late, closes, look))
			rc = sweep_again(run, b, look, err);
	}
	if (rc == 0)
		run->owes_look = false;
	return rc;
}

int run_recover(struct run *run, struct err *err)
{
	struct ledger_state *st;
	int rc;

	if ((rc = store_clear_partial(run->store, &run->report->cleared_partial, err)) < 0 ||
	    (rc = run_erase_recover(run, err)) < 0 || (rc = adopt_unknown(run, err)) < 0 ||
	    (rc = ledger_fold(run->ctx, run->store->ledger_dirfd, &st, err)) < 0)
		return rc;
	memcpy(run->previous_hex, st->last_rows_digest, sizeof run->previous_hex);
	/* First: a delete that is finished below begins the list of swept bundles anew. */
	if ((rc = sweep_last_run(run, st, err)) < 0)
		return rc;
	run->swept = true;
	for (size_t i = 0; i < st->n_bundles; i++)
		if ((rc = finish_bundle(run, &st->bundle[i], err)) < 0)
			return rc;
	/* After the threads that come back, the attachments of those that do not; with an open sweep more may come
	 * back. */
	return !run_deletes(run) || run->report->total.sweep_open ? 0 : run_unlink_leftovers(run, err);
}
