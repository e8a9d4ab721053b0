/*
 * purge_sweep.c - what no lock can catch.
 *
 * Mattermost has no foreign key from reply to root, so a reply, reaction or flag that was in flight when its thread was
 * deleted commits as an orphan.  When every transaction that could have missed the delete has ended, the threads with
 * late replies are put back from the bundle and late dependants are written beside the bundle and removed.
 */
#include "purge_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sweep passes over the tables once when it has more than one post in so many of them; workers make that pass
 * cheaper. */
enum { SHARE_ALONE = 50 };
enum { SWEEP_POLL_MS = 50, COPY_FLUSH_BYTES = 64 << 10, LATE_MAX_BYTES = 64 << 20 };

static const struct { enum mm_kind kind; const struct sql *sql; } late[] = {
	{MM_REACTION, &sql_sweep_reaction}, {MM_MEMBER, &sql_sweep_member},     {MM_THREAD, &sql_sweep_thread},
	{MM_PRIORITY, &sql_sweep_priority}, {MM_ACK, &sql_sweep_ack},           {MM_PNOTIFY, &sql_sweep_pnotify},
	{MM_PREF, &sql_sweep_pref},         {MM_REMINDER, &sql_sweep_reminder}, {MM_DRAFT, &sql_sweep_draft},
	{MM_READ_RECEIPT, &sql_sweep_read_receipt}, {MM_TEMPORARY, &sql_sweep_temporary},
	{MM_TRANSLATION, &sql_sweep_translation}, {MM_PROPERTY, &sql_sweep_property},
};

static int last_xid(struct mm *mm, const struct purge_options *o, uint64_t *ret, struct err *err)
{
	struct db_result *r;
	int rc;

	*ret = o->sweep_xid;
	if (*ret)
		return 0;
	if ((rc = db_query(mm, mm->db, &sql_purge_xid, DB_ONE, 0, NULL, &r, err)) < 0)
		return rc;
	*ret = strtoull(db_text(r, 0, 0), NULL, 10);
	talloc_free(r);
	return 0;
}

/* Waits until every transaction up to the options' has ended, at most their time.  *ret_open: which, when they have
 * not; else 0. */
static int wait_horizon(struct mm *mm, const struct purge_options *o, uint64_t *ret_open, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "horizon");
	int64_t until = time_mono_ms() + o->sweep_wait_ms;
	struct db_result *r;
	const char *xid;
	bool reached;
	int rc;

	if ((rc = last_xid(mm, o, ret_open, err)) < 0)
		return rc;
	xid = mem_printf(ctx, "%llu", (unsigned long long)*ret_open);
	for (;;) {
		if ((rc = db_query(ctx, mm->db, &sql_purge_horizon, DB_ONE, 1, &xid, &r, err)) < 0)
			return rc;
		reached = db_bool(r, 0, 0);
		talloc_free(r);
		if (reached)
			*ret_open = 0;
		if (reached || time_mono_ms() >= until || stop_requested())
			return 0;
		time_sleep_ms(SWEEP_POLL_MS);
	}
}

/* What one bundle holds: its posts go into the work table, of parts its files into the list.  orphans: only threads of
 * which one is among them are needed; NULL: all. */
struct load {
	struct mm *mm; void *ctx; struct purge_named *files; const struct purge_orphans *orphans;
	const struct purge_swept *item; size_t bundle;
	bool parts, stayed, wanted;
	mm_id thread;
	struct buf copy; size_t thread_from; /* rows for the work table; where the thread's begin */
};

static void load_file(struct load *to, const struct purge_line *l)
{
	mm_id id = "";

	memcpy(id, l->key, l->key_len);
	purge_named_add(to->ctx, to->files, id, to->thread, to->bundle);
}

/* The thread is complete: its rows stay if they are needed, and go to the server when they are many. */
static int end_thread(struct load *to, size_t most, struct err *err)
{
	int rc;

	if (!to->wanted)
		to->copy.len = to->thread_from;
	rc = to->copy.len > most ? db_copy_in_data(to->mm->db, to->copy.data, to->copy.len, err) : 0;
	if (to->copy.len > most)
		buf_clear(&to->copy);
	to->thread_from = to->copy.len;
	return rc;
}

static int begin_thread(struct load *to, const struct purge_line *l, struct err *err)
{
	int rc = end_thread(to, COPY_FLUSH_BYTES, err);

	memset(to->thread, 0, sizeof to->thread);
	memcpy(to->thread, l->thread, l->thread_len);
	to->stayed = to->item->n_stayed &&
		     bsearch(to->thread, to->item->stayed, to->item->n_stayed, sizeof(mm_id), mm_id_cmp);
	to->wanted = !to->orphans;
	return rc;
}

static bool same_thread(const struct load *to, const struct purge_line *l)
{
	return strlen(to->thread) == l->thread_len && memcmp(to->thread, l->thread, l->thread_len) == 0;
}

/* Rows belong to the thread of the last root, of parts to that of the last post. */
static int load_row(struct load *to, const struct purge_line *l, struct err *err)
{
	int rc = 0;

	if (to->parts ? l->kind == MM_POST && !same_thread(to, l) : l->root)
		rc = begin_thread(to, l, err);
	if (to->parts && l->kind == MM_FILE && !to->stayed && !l->odd)
		load_file(to, l);
	if (rc < 0 || l->kind != MM_POST || to->stayed || l->odd)
		return rc;
	buf_printf(&to->copy, "%.*s\t%s\t%c\t%zu\n", (int)l->key_len, l->key, to->thread, l->root ? 't' : 'f',
		   to->bundle);
	/* A thread that is too long to be put off: more than needed does no harm. */
	to->wanted = to->wanted || purge_orphans_has(to->orphans, l->key, l->key_len) ||
		     to->copy.len - to->thread_from > COPY_FLUSH_BYTES;
	return to->wanted && to->copy.len > COPY_FLUSH_BYTES ? end_thread(to, COPY_FLUSH_BYTES, err) : 0;
}

/* Is there nothing to look for in a bundle of which we know what it holds? */
static bool may_skip(const struct purge_seen *seen, const struct purge_orphans *orphans)
{
	if (purge_seen_parts(seen))
		return false;
	for (size_t i = 0; i < orphans->n; i++)
		if (purge_seen_may(seen, orphans->hash[i]))
			return false;
	return true;
}

static int load_bundle(struct load *to, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "sweep load");
	struct bundle_reader *reader;
	struct purge_line l;
	const char *line;
	int64_t before_ms;
	size_t len;
	int rc;

	if (to->orphans && to->item->seen && may_skip(to->item->seen, to->orphans))
		return 0;
	buf_init(&to->copy, ctx, 1 << 20);
	if ((rc = bundle_open_receipt(ctx, to->item->receipt, &reader, err)) < 0 ||
	    (rc = bundle_read_parts(reader, &before_ms, err)) < 0)
		return rc;
	to->parts = rc == 1;
	if (!to->parts && to->orphans && to->orphans->n == 0)
		return 0;
	while ((rc = bundle_read_row(reader, &line, &len, err)) == 1)
		if ((rc = purge_line_parse(line, len, &l, err)) < 0 || (rc = load_row(to, &l, err)) < 0)
			return rc;
	return rc < 0 ? rc : end_thread(to, 0, err);
}

static int load_posts(struct mm *mm, const struct purge_swept *item, size_t n, const struct purge_orphans *orphans,
		      void *ctx, struct purge_named *files, struct err *err)
{
	int rc = db_copy_in_begin(mm->db, &sql_sweep_work_copy, err);

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct load to =
			{.mm = mm, .ctx = ctx, .files = files, .orphans = orphans, .item = &item[i], .bundle = i};

		rc = load_bundle(&to, err);
	}
	return rc < 0 ? rc : db_copy_in_end(mm->db, err);
}

struct root { size_t bundle; mm_id id; };
struct roots { void *ctx; struct root *root; size_t n; };

static int on_root(void *payload, const struct db_row *row, struct err *err)
{
	struct roots *r = payload;
	struct root *root;

	(void)err;
	if (row->len[0] > MM_ID)
		return 0;
	r->root = mem_grow(r->ctx, r->root, struct root, r->n + 1);
	root = &r->root[r->n++];
	*root = (struct root){.bundle = strtoul(row->value[1], NULL, 10)};
	memcpy(root->id, row->value[0], row->len[0]);
	return 0;
}

static void on_named(void *payload, const struct purge_named_file *f)
{
	struct roots *r = payload;
	struct root *root;

	for (size_t i = r->n; i > 0 && r->root[i - 1].bundle == f->at; i--)
		if (strcmp(r->root[i - 1].id, f->thread) == 0)
			return;
	r->root = mem_grow(r->ctx, r->root, struct root, r->n + 1);
	root = &r->root[r->n++];
	*root = (struct root){.bundle = f->at};
	memcpy(root->id, f->thread, sizeof root->id);
}

/* Adds the bundle's threads among them to those that are in the database; returns how many these are. */
static size_t note_here(const struct roots *r, size_t bundle, struct purge_swept *item)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->root[i].bundle == bundle;
	if (n)
		item->here = mem_grow(item->ctx, item->here, mm_id, item->n_here + n);
	for (size_t i = 0; i < r->n; i++)
		if (r->root[i].bundle == bundle)
			memcpy(item->here[item->n_here++], r->root[i].id, sizeof(mm_id));
	return n;
}

static int put_back_bundle(struct mm *mm, const struct roots *r, size_t bundle, struct purge_swept *item,
			   struct err *err)
{
	size_t n = note_here(r, bundle, item);

	item->counts->late_restored += n;
	return n ? purge_restore(mm, item->receipt, item->here + item->n_here - n, n, err) : 0;
}

/* Nobody has written down which threads of the bundles were never deleted: those that are there. */
static int find_here(struct mm *mm, struct purge_swept *item, size_t n, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "sweep here");
	struct roots r = {.ctx = ctx};
	int rc = db_stream(mm->db, &sql_sweep_here, 0, NULL, on_root, &r, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		(void)note_here(&r, i, &item[i]);
	return rc;
}

/* Threads with late replies come back whole, and parts of which a live post names a file again; the next plan decides
 * anew.  So do threads whose root was edited late: the server did not find it and wrote its earlier version all the
 * same.  A root that the server removes for good leaves such copies too, so they tell only of threads that certainly we
 * deleted. */
static int put_back(struct mm *mm, struct purge_swept *item, size_t n, const struct purge_named *files, bool small,
		    bool copies, struct err *err)
{
	const char *param = copies ? "true" : "false";
	auto_mem void *ctx = talloc_named_const(NULL, 0, "sweep roots");
	struct roots r = {.ctx = ctx};
	int rc;

	if ((rc = db_stream(mm->db, small ? &sql_sweep_late_probe : &sql_sweep_late_replies, 1, &param, on_root, &r,
			    err)) < 0 ||
	    (rc = purge_named_ask(mm, files, on_named, &r, err)) < 0 || r.n == 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = put_back_bundle(mm, &r, i, &item[i], err);
	return rc < 0 ? rc : db_query(ctx, mm->db, &sql_sweep_work_trim, DB_NONE, 0, NULL, NULL, err);
}

struct late_rows { struct buf text; uint64_t n; };
struct late { struct late_rows *rows; size_t n; const char *kind; };

static int on_late(void *payload, const struct db_row *row, struct err *err)
{
	struct late *l = payload;
	size_t bundle = strtoul(row->value[1], NULL, 10);
	struct late_rows *r = &l->rows[bundle < l->n ? bundle : 0];

	buf_printf(&r->text, "{\"k\":\"%s\",\"row\":", l->kind);
	buf_put(&r->text, row->value[0], row->len[0]);
	buf_puts(&r->text, "}\n");
	r->n++;
	return r->text.overflow ? err_set(err, ERR_STORE, "too many late rows for one sweep") : 0;
}

static int free_name(int dirfd, const char *hex, char *name, size_t size, struct err *err)
{
	unsigned n = 0;
	int rc;

	do
		snprintf(name, size, "late-%.12s-%u.jsonl", hex, ++n);
	while ((rc = file_is_there(dirfd, name, err)) == 1);
	return rc;
}

/* Kept under the rows digest of their bundle; a number per sweep, since a later sweep may find more. */
static int keep_late(const struct purge_options *o, const struct purge_swept *item, const struct late_rows *l,
		     struct err *err)
{
	char hex[DIGEST_HEX + 1], name[64];
	int rc;

	if (l->n == 0)
		return 0;
	item->counts->late_removed += l->n;
	if (receipt_waived(item->receipt))
		return 0;
	digest_hex(receipt_rows_digest(item->receipt), hex);
	rc = free_name(o->journal_dirfd, hex, name, sizeof name, err);
	return rc ? rc : file_replace(o->journal_dirfd, name, l->text.data, l->text.len, 0600, err);
}

static int take_late(struct mm *mm, struct late *l, bool small, struct err *err)
{
	int rc = mm_sweep_late(mm, small, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(late); i++) {
		bool draft = late[i].kind == MM_DRAFT && small;

		if (!mm->schema->table[late[i].kind].present)
			continue;
		l->kind = mm->schema->table[late[i].kind].kind_name;
		/* Rolled back unless the commit follows; by then the rows are durable beside the ledger. */
		if ((draft && (rc = mm_unit_joins(mm, false, err)) < 0) ||
		    (rc = db_stream(mm->db, late[i].sql, 0, NULL, on_late, l, err)) < 0 ||
		    (draft && (rc = mm_unit_joins(mm, true, err)) < 0))
			return rc;
	}
	return 0;
}

static int remove_late(struct mm *mm, const struct purge_options *o, const struct purge_swept *item, size_t n,
		       bool small, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "sweep late");
	struct late l = {.rows = mem_array(ctx, struct late_rows, n), .n = n};
	int rc;

	for (size_t i = 0; i < n; i++)
		buf_init(&l.rows[i].text, ctx, LATE_MAX_BYTES);
	rc = take_late(mm, &l, small, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = keep_late(o, &item[i], &l.rows[i], err);
	return rc;
}

/* Which threads have to be looked at: those of *ret_orphans; all of them where it stays NULL.  *ret_small: they are so
 * few that index probes find what names them. */
static int find_orphans(struct mm *mm, const struct purge_swept *item, size_t n, const struct purge_options *o,
			struct purge_orphans *orphans, const struct purge_orphans **ret_orphans, bool *ret_small,
			struct err *err)
{
	uint64_t posts = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		posts += receipt_posts(item[i].receipt);
	if ((rc = mm_unit_small(mm, posts, o->alone ? SHARE_ALONE : MM_UNIT_SHARE, ret_small, err)) < 0 ||
	    (rc = mm_unit_room(mm, o->alone, err)) < 0 || (rc = mm_unit_joins(mm, *ret_small, err)) < 0 || *ret_small ||
	    o->count_found || o->find_here)
		return rc;
	if ((rc = purge_orphans_find(orphans->ctx, mm, orphans, err)) <= 0)
		return rc;
	*ret_orphans = orphans;
	*ret_small = true;
	return mm_unit_joins(mm, true, err);
}

/* What is in the work table is gone: whatever of it we did not delete, an earlier run or the server did. */
static int count_found(struct mm *mm, const struct purge_swept *item, size_t n, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "sweep found");
	struct db_result *r;
	int rc = db_query(ctx, mm->db, &sql_sweep_gone, DB_ANY, 0, NULL, &r, err);

	for (int64_t i = 0; rc == 0 && i < db_rows(r); i++) {
		size_t bundle = (size_t)db_i64(r, i, 0);
		uint64_t threads = (uint64_t)db_i64(r, i, 1), posts = (uint64_t)db_i64(r, i, 2);
		struct purge_counts *c = bundle < n ? item[bundle].counts : NULL;

		if (c && threads > c->threads)
			c->found_threads = threads - c->threads;
		if (c && posts > c->posts)
			c->found_posts = posts - c->posts;
	}
	return rc;
}

static int sweep_transaction(struct mm *mm, struct purge_swept *item, size_t n, const struct purge_options *o,
			     struct err *err)
{
	static const struct sql *const work[] = {&sql_sweep_work, &sql_sweep_work_late};
	auto_mem void *ctx = talloc_named_const(NULL, 0, "sweep");
	struct purge_orphans orphans = {.ctx = ctx};
	const struct purge_orphans *only = NULL;
	struct purge_named files = {.n = 0};
	bool small;
	int rc;

	if ((rc = db_begin(mm->db, DB_READ_COMMITTED, err)) < 0 ||
	    (rc = find_orphans(mm, item, n, o, &orphans, &only, &small, err)) < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(work); i++)
		if ((rc = db_query(NULL, mm->db, work[i], DB_NONE, 0, NULL, NULL, err)) < 0)
			return rc;
	if ((rc = load_posts(mm, item, n, only, ctx, &files, err)) < 0)
		return rc;
	if ((rc = db_query(NULL, mm->db, &sql_sweep_work_analyze, DB_NONE, 0, NULL, NULL, err)) < 0 ||
	    ((o->count_found || o->find_here) && (rc = find_here(mm, item, n, err)) < 0) ||
	    (rc = db_query(NULL, mm->db, &sql_sweep_work_trim, DB_NONE, 0, NULL, NULL, err)) < 0)
		return rc;
	if ((o->count_found && (rc = count_found(mm, item, n, err)) < 0) ||
	    (rc = put_back(mm, item, n, &files, small, !o->count_found, err)) < 0)
		return rc;
	rc = remove_late(mm, o, item, n, small, err);
	return rc < 0 ? rc : mm_probe_hooked(mm, err); /* as in the delete */
}

int purge_sweep(struct mm *mm, struct purge_swept *item, size_t n, const struct purge_options *o, struct err *err)
{
	auto_mem struct purge_counts *before = mem_array(NULL, struct purge_counts, n + 1);
	uint64_t open_xid;
	int rc;

	if ((rc = wait_horizon(mm, o, &open_xid, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		item[i].counts->sweep_open |= open_xid != 0;
		item[i].counts->open_xid = open_xid;
		before[i] = *item[i].counts;
	}
	for (int tries = 0;; tries++) {
		for (size_t i = 0; i < n; i++) {
			TALLOC_FREE(item[i].here);
			item[i].n_here = 0;
		}
		rc = sweep_transaction(mm, item, n, o, err);
		/* Just before: orphans that the server cannot show.  Just after: none; what was removed is beside the
		 * ledger. */
		if (rc == 0)
			rc = db_commit(mm->db, err);
		if (rc == 0)
			return 0;
		db_rollback(mm->db);
		for (size_t i = 0; i < n; i++)
			*item[i].counts = before[i];
		if (!err_retryable(rc) || rc == -ERR_DB_GONE || tries >= PURGE_TRIES)
			return rc;
		time_sleep_ms(100 << tries);
	}
}
