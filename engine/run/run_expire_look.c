/*
 * run_expire_look.c - is a bundle past its time, and may it go?  In doubt it stays.
 *
 * Cheap questions first: the ledger, then the head of the bundle, the holds, and all of it; then the holds once more,
 * because they are asked of the database and must be fresh when the bundle goes.
 */
#include "run_internal.h"
#include "run_expire.h"

#include <mmretain/catalog.h>

#include <jansson.h>
#include <string.h>

enum { HEAD_MAX = 1 << 20 };

static int stays(struct run_expired *e, enum run_expiry state, const char *why)
{
	e->state = state;
	e->why = why;
	return 0;
}

/* What is wrong with it is said; the others are looked at all the same.  A stop is none of its faults. */
static int damaged(struct run_expired *e, struct run_expire *x, struct err *err)
{
	if (err->code != -ERR_VERIFY && err->code != -ERR_STORE && err->code != -ERR_NOT_FOUND &&
	    err->code != -ERR_PERMISSION)
		return err->code;
	stays(e, RUN_STAYS_DAMAGED, mem_strdup(x->report, err->msg));
	err_clear(err);
	return 0;
}

/* ---- the ledger ---- */

static int found(void *payload, const char *rel_path, struct err *err)
{
	(void)rel_path;
	(void)err;
	*(bool *)payload = true;
	return 1;
}

/* Attachments that a run has left: what the bundle holds of them is all there is for whoever brings a thread back. */
static int has_journal(struct run_expire *x, const struct ledger_published *p, bool *ret, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_runs && rc == 0; i++) {
		auto_mem char *begin = mem_printf(NULL, "unlink-%s-", p->run[i]);

		rc = store_each_named(x->store, "ledger", begin, ".jsonl", found, ret, err);
	}
	return rc < 0 ? rc : 0;
}

static int look_at_runs(struct run_expire *x, const struct ledger_published *p, struct run_expired *e, struct err *err)
{
	bool journal = false;
	int rc = has_journal(x, p, &journal, err);

	if (rc < 0)
		return rc;
	if (!p->done)
		return stays(e, RUN_STAYS_UNFINISHED, "a run has not finished with it");
	if (p->open_xid)
		return stays(e, RUN_STAYS_UNFINISHED, "its threads are to be looked through for late replies once "
						      "more");
	if (journal)
		return stays(e, RUN_STAYS_UNFINISHED, "attachments of its threads are still to be removed");
	if (p->newest_ms > x->report->now_ms - RUN_EXPIRE_SETTLE_MS)
		return stays(e, RUN_STAYS_YOUNG, "a run had to do with it less than a day ago");
	return 0;
}

/* ---- its head ---- */

static const struct policy_rule *rule_named(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (strcmp(policy->rule[i].name, name) == 0)
			return &policy->rule[i];
	return NULL;
}

static void take_times(struct bundle_reader *r, struct run_expired *e)
{
	for (size_t i = 0; i < bundle_frames(r); i++) {
		const struct bundle_frame *f = bundle_frame_at(r, i);

		if (f->min_ms == 0 && f->max_ms == 0)
			continue;
		if (e->first_ms == 0 || f->min_ms < e->first_ms)
			e->first_ms = f->min_ms;
		if (f->max_ms > e->last_ms)
			e->last_ms = f->max_ms;
	}
}

/* of_posts: what frames say of times is said of posts; earlier versions had every row for that, as a reaction of months
 * later. */
struct head { bool held, of_posts; int64_t cut_ms; /* of parts; else 0 */ };

static int read_head(struct run_expire *x, struct bundle_reader *r, const struct ledger_published *p,
		     struct run_expired *e, struct head *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "head");
	const json_t *expires;
	const char *times;
	json_t *o;
	char *text;
	size_t len;
	int rc = bundle_read_member(r, ctx, "data/bundle.json", HEAD_MAX, &text, &len, err);

	if (rc < 0)
		return rc;
	if (!(o = json_loadb(text, len, 0, NULL)))
		return err_set(err, ERR_VERIFY, "data/bundle.json of \"%s\" is not JSON", p->rel_path);
	expires = json_object_get(o, "expires_ms");
	if (json_string_value(json_object_get(o, "team")))
		e->team = mem_strdup(x->report, json_string_value(json_object_get(o, "team")));
	if (!p->has_expiry)
		e->expires_ms = json_integer_value(expires);
	ret->held = json_is_true(json_object_get(o, "held"));
	times = json_string_value(json_object_get(o, "frame_times"));
	ret->of_posts = times && strcmp(times, "posts") == 0;
	if (json_is_true(json_object_get(o, "parts")))
		e->from_ms = ret->cut_ms = json_integer_value(json_object_get(o, "cutoff_ms"));
	rc = p->has_expiry || json_is_integer(expires)
		     ? 0
		     : err_set(err, ERR_VERIFY, "data/bundle.json of \"%s\" does not say when it expires", p->rel_path);
	json_decref(o);
	take_times(r, e);
	if (e->last_ms > e->from_ms)
		e->from_ms = e->last_ms;
	return rc;
}

void run_expire_by_policy(const struct run_expire *x, struct run_expired *e)
{
	const struct policy_rule *rule = rule_named(x->policy, e->rule);
	int64_t now_ms = x->report->now_ms, until_ms;

	if (!rule)
		return;
	if (!rule->has_keep_for) {
		e->expires_ms = 0;
		stays(e, RUN_STAYS_POLICY,
		      mem_printf(x->report, "rule %s keeps its bundles without end now", rule->name));
		return;
	}
	until_ms = run_expiry_after(e->from_ms, &rule->keep_for);
	if (until_ms <= e->expires_ms)
		return;
	e->expires_ms = until_ms;
	if (until_ms > now_ms)
		stays(e, RUN_STAYS_POLICY, mem_printf(x->report, "rule %s keeps its bundles longer now", rule->name));
}

/* ---- its newest post ---- */

static int newest_in_frame(struct bundle_reader *r, struct catalog_rows *rows, size_t i, struct run_expire_newest *to,
			   struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "frame");
	const struct bundle_frame *f = bundle_frame_at(r, i);
	struct catalog_row row;
	char *data;
	size_t len;
	int rc = bundle_read_frame(r, ctx, i, &data, &len, err);

	for (const char *p = data, *end = rc ? data : data + len, *nl; rc == 0 && p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "a frame does not end with a whole row");
		rc = catalog_row_decode(rows, p, (size_t)(nl - p), &row, err);
		if (rc < 0 || row.kind != CATALOG_POST)
			continue;
		if (row.create_ms > to->ms)
			to->ms = row.create_ms;
		if (row.erased && !row.create_ms && f->max_ms > to->perhaps_ms)
			to->perhaps_ms = f->max_ms;
	}
	return rc;
}

/* No frame has a post that is newer than its time says: those come first, and the others need not be read. */
int run_expire_newest(struct bundle_reader *r, struct run_expire_newest *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "newest post");
	size_t n = bundle_frames(r), best = 0;
	bool *seen = mem_array(ctx, bool, n + 1);
	struct catalog_rows *rows;
	int rc = catalog_rows_new(ctx, r, &rows, err);

	*ret = (struct run_expire_newest){.ms = 0};
	while (rc == 0 && (rc = stop_check(err)) == 0) {
		int64_t ms = ret->ms;

		for (size_t i = 0; i < n; i++)
			if (!seen[i] && bundle_frame_at(r, i)->rows && bundle_frame_at(r, i)->max_ms > ms)
				ms = bundle_frame_at(r, best = i)->max_ms;
		if (ms == ret->ms)
			break;
		seen[best] = true;
		rc = newest_in_frame(r, rows, best, ret, err);
	}
	return rc;
}

static void by_policy_since(const struct run_expire *x, struct run_expired *e, const struct run_expired *as_published,
			    const struct head *head, int64_t ms)
{
	*e = *as_published;
	e->from_ms = ms > head->cut_ms ? ms : head->cut_ms;
	run_expire_by_policy(x, e);
}

/* Times of other rows must not lengthen anything: what they would, the posts themselves are asked for. */
static int look_at_policy(const struct run_expire *x, struct bundle_reader *r, const struct head *head,
			  struct run_expired *e, struct err *err)
{
	struct run_expired as_published = *e;
	struct run_expire_newest newest;
	int rc;

	run_expire_by_policy(x, e);
	if (head->of_posts || e->expires_ms == as_published.expires_ms || e->expires_ms == 0)
		return 0;
	if ((rc = run_expire_newest(r, &newest, err)) < 0)
		return rc;
	as_published.last_ms = newest.ms;
	by_policy_since(x, e, &as_published, head, newest.ms);
	if (e->state != RUN_EXPIRES || newest.perhaps_ms <= newest.ms)
		return 0;
	by_policy_since(x, e, &as_published, head, newest.perhaps_ms);
	if (e->state != RUN_EXPIRES)
		e->why = mem_printf(x->report,
				    "rule %s may keep it longer now: when a post was that is erased in it is not known",
				    e->rule);
	return 0;
}

/* ---- all of it ---- */

static int read_back(struct run_expire *x, void *ctx, const struct ledger_published *p, struct err *err)
{
	struct digest file, rows;
	struct receipt *receipt;

	if (!hex_decode(p->file_digest, DIGEST_BYTES, file.b) || !hex_decode(p->rows_digest, DIGEST_BYTES, rows.b))
		return err_set(err, ERR_VERIFY, "the ledger line of \"%s\" has no digests", p->rel_path);
	return bundle_reopen(ctx, x->store->root_dirfd, p->rel_path, &file, &rows, &receipt, err);
}

static int look_at_holds(struct run_expire *x, struct bundle_reader *r, struct run_expired *e, struct err *err)
{
	struct run_expire_hold hold = {.name = NULL};
	int rc = run_expire_held(x->report, x->policy, x->mm, x->state, r, &hold, err);

	if (rc == -ERR_VERIFY || rc == -ERR_STORE)
		return damaged(e, x, err);
	if (rc <= 0)
		return rc;
	e->hold = hold.name;
	memcpy(e->thread, hold.thread, sizeof e->thread);
	return stays(e, RUN_STAYS_HELD, mem_printf(x->report, "%s covers thread %s", hold.name, hold.thread));
}

static bool is_due(const struct run_expire *x, const struct run_expired *e)
{
	return e->expires_ms != 0 && e->expires_ms <= x->report->now_ms;
}

static int look_at_bundle(struct run_expire *x, const struct ledger_published *p, struct run_expired *e,
			  struct store_seen *seen, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "bundle past its time");
	struct bundle_reader *r;
	struct head head = {.held = false};
	int rc;

	if ((rc = store_see(x->store, p->rel_path, seen, err)) == -ERR_NOT_FOUND) {
		err_clear(err);
		return stays(e, RUN_STAYS_MISSING, "its file is missing");
	}
	if (rc < 0 || (rc = bundle_open(ctx, x->store->root_dirfd, p->rel_path, &r, err)) < 0 ||
	    (rc = read_head(x, r, p, e, &head, err)) < 0)
		return damaged(e, x, err);
	e->bytes = seen->size_bytes;
	if (!is_due(x, e))
		return 0; /* only the bundle itself says when */
	if ((rc = look_at_runs(x, p, e, err)) < 0 || e->state != RUN_EXPIRES)
		return rc;
	if (head.held)
		return stays(e, RUN_STAYS_HELD, e->hold = "the bundle is marked as held");
	if ((rc = look_at_policy(x, r, &head, e, err)) < 0)
		return damaged(e, x, err);
	if (e->state != RUN_EXPIRES)
		return 0;
	/* A hold lasts for years: what it keeps is not read back every night. */
	if ((rc = look_at_holds(x, r, e, err)) < 0 || e->state != RUN_EXPIRES)
		return rc;
	if ((rc = read_back(x, ctx, p, err)) < 0)
		return damaged(e, x, err);
	return look_at_holds(x, r, e, err); /* reading took its time */
}

/* ---- which ---- */

static struct run_expired *add(struct run_expire *x, const struct ledger_published *p)
{
	struct run_expire_report *rep = x->report;
	struct run_expired *e;

	if (rep->n % 64 == 0)
		rep->bundle = mem_grow(rep, rep->bundle, struct run_expired, rep->n + 64);
	e = &rep->bundle[rep->n++];
	*e = (struct run_expired){.bundle = mem_strdup(rep, p->bundle),
				  .rel_path = mem_strdup(rep, p->rel_path),
				  .rule = mem_strdup(rep, p->rule),
				  .team = "",
				  .expires_ms = p->expires_ms,
				  .threads = p->threads,
				  .posts = p->posts,
				  .bytes = p->file_bytes,
				  .state = RUN_EXPIRES,
				  .announced = p->expiry == LEDGER_EXPIRING};
	return e;
}

static bool is_there(struct run_expire *x, const char *rel_path)
{
	struct store_seen seen;
	struct err err = {0};

	/* what cannot be looked at is there, and told below */
	return store_see(x->store, rel_path, &seen, &err) != -ERR_NOT_FOUND;
}

/* No folder is ever removed: without it nothing shows that the file is gone. */
static bool has_folder(struct run_expire *x, const char *rel_path)
{
	auto_fd int dirfd = -1;
	const char *leaf;
	struct err err = {0};

	return file_open_parent_beneath(x->store->root_dirfd, rel_path, &dirfd, &leaf, &err) != -ERR_NOT_FOUND;
}

/* Of a bundle that expired, each file that ever was it. */
static int look_for_back(struct run_expire *x, const struct ledger_published *p, struct run_expired **ret)
{
	const char *path = is_there(x, p->rel_path) ? p->rel_path : NULL;

	for (size_t i = 0; i < p->n_former && !path; i++)
		path = is_there(x, p->former[i]) ? p->former[i] : NULL;
	if (!path)
		return 0;
	*ret = add(x, p);
	(*ret)->rel_path = mem_strdup(x->report, path);
	return stays(*ret, RUN_STAYS_BACK, "it expired, and a file of its name is there again: whoever put it there "
					   "decides");
}

int run_expire_look(struct run_expire *x, const struct ledger_published *p, struct run_expired **ret,
		    struct store_seen *ret_seen, struct err *err)
{
	bool there = (p->expiry == LEDGER_THERE && !p->loss) || is_there(x, p->rel_path);
	struct run_expired *e;
	int rc;

	*ret = NULL;
	*ret_seen = (struct store_seen){0};
	if (p->loss && p->expiry == LEDGER_THERE && !there)
		return 0; /* declared lost, and not found again: nothing is left that could go */
	if (p->expiry == LEDGER_EXPIRED)
		return look_for_back(x, p, ret);
	if (p->expiry == LEDGER_THERE && p->has_expiry && (p->expires_ms == 0 || p->expires_ms > x->report->now_ms)) {
		x->report->not_yet++;
		return 0;
	}
	e = *ret = add(x, p);
	if (!there && !has_folder(x, p->rel_path))
		return stays(e, RUN_STAYS_MISSING, "its folder is missing, and its file may still be in it");
	if (!there) /* gone, and announced: what is left of it goes too */
		return 0;
	rc = look_at_bundle(x, p, e, ret_seen, err);
	if (rc < 0 || e->state != RUN_EXPIRES || is_due(x, e))
		return rc;
	if (p->expiry == LEDGER_EXPIRING)
		return stays(e, RUN_STAYS_POLICY, "its time has not come");
	x->report->n--;
	x->report->not_yet++;
	*ret = NULL;
	return 0;
}
