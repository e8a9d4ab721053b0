/*
 * purge_delete.c - the one transaction that deletes.
 *
 * Posts first, as the server's own delete does (the other order deadlocked with it).  READ COMMITTED: an edit in flight
 * makes our delete wait, look again and skip the row; then the count is short and everything is rolled back.
 */
#include "purge_internal.h"

#include <errno.h>
#include <string.h>

struct arrays { struct db_binary tid, version, key, updateat, editat, deleteat; int64_t n; };

static void arrays_init(struct arrays *a, void *ctx)
{
	db_binary_init(&a->tid, ctx, DB_TID);
	db_binary_init(&a->version, ctx, DB_XID);
	db_binary_init(&a->key, ctx, DB_TEXT);
	db_binary_init(&a->updateat, ctx, DB_INT8);
	db_binary_init(&a->editat, ctx, DB_INT8);
	db_binary_init(&a->deleteat, ctx, DB_INT8);
	a->n = 0;
}

static void add_time(struct db_binary *a, int64_t ms, bool null)
{
	if (null)
		db_binary_add_null(a);
	else
		db_binary_add_i64(a, ms);
}

static void arrays_add(struct arrays *a, const struct purge_row *r)
{
	db_binary_add_tid(&a->tid, r->at.block, r->at.offset);
	db_binary_add_xid(&a->version, r->at.version);
	db_binary_add_text(&a->key, r->key, strlen(r->key));
	if (r->kind == MM_POST) {
		add_time(&a->updateat, r->updateat, r->null_updateat);
		add_time(&a->editat, r->editat, r->null_editat);
		add_time(&a->deleteat, r->deleteat, r->null_deleteat);
	}
	a->n++;
}

struct params { const char *data[DB_CALL_PARAMS]; int len[DB_CALL_PARAMS]; };

/* The call of one kind's statement. */
static void make_call(enum mm_kind kind, struct arrays *a, struct params *p, struct db_call *ret)
{
	struct db_binary *const part[DB_CALL_PARAMS] = {&a->tid,      &a->version, &a->key,
							&a->updateat, &a->editat,  &a->deleteat};
	int n = kind == MM_POST ? 6 : 3;

	for (int i = 0; i < n; i++)
		p->data[i] = db_binary_data(part[i], &p->len[i]);
	*ret = (struct db_call){.sql = purge_sql(kind), .n_params = n, .params = p->data, .lengths = p->len};
}

/* Only the last commit of a bundle waits for the disk. */
static bool waits_for_disk(const struct purge_ahead *ahead)
{
	return !purge_ahead_any(ahead);
}

/* 1: as many rows as the bundle has; 0: fewer. */
static int delete_rows(struct mm *mm, const struct purge_options *o, const struct purge_batch *b,
		       struct purge_ahead *ahead, struct err *err)
{
	/* posts before threads and the rest */
	static const enum mm_kind order[] = {MM_POST,	      MM_THREAD,      MM_MEMBER,      MM_REACTION,
					     MM_FILE,	      MM_SHARED_FILE, MM_PRIORITY,    MM_ACK,
					     MM_PNOTIFY,      MM_PREF,	      MM_REMINDER,    MM_DRAFT,
					     MM_READ_RECEIPT, MM_TEMPORARY,   MM_TRANSLATION, MM_PROPERTY};
	auto_mem void *ctx = mem_context(b->ctx, "delete arrays");
	struct arrays a[MM_KINDS];
	struct params param[MM_KINDS];
	struct db_call call[MM_KINDS + 2];
	int64_t wanted = 0, deleted = 0;
	size_t n = 0;
	int rc;

	for (int k = 0; k < MM_KINDS; k++)
		arrays_init(&a[k], ctx);
	for (size_t i = 0; i < b->n_threads; i++)
		for (size_t j = 0; !b->thread[i].why && j < b->thread[i].n_rows; j++)
			arrays_add(&a[b->row[b->thread[i].row + j].kind], &b->row[b->thread[i].row + j]);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (a[order[i]].n) {
			make_call(order[i], &a[order[i]], &param[n], &call[n]);
			n++;
		}
	if (!waits_for_disk(ahead))
		call[n++] = (struct db_call){.sql = &sql_purge_no_wait};
	mm_hooked_call(ctx, &call[n]);
	/* Just before: the rows are in the database and in the receipt's bundle.  Just after: they are gone for this
	 * transaction only; a crash rolls it back. */
	/* Beside a live load one busy core is enough: only at full speed the next batch is read meanwhile. */
	if ((rc = db_query_together(mm->db, call, n + 1, o->pause_factor ? NULL : purge_ahead_fill, ahead, err)) < 0)
		return rc;
	/* A trigger or a cascade that came since the last probe has acted on this delete: what it did is in no bundle.
	 */
	if (call[n].affected && (rc = mm_probe_again(mm, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		deleted += call[i].affected;
	for (int k = 0; k < MM_KINDS; k++)
		wanted += a[k].n;
	return deleted == wanted; /* a statement finds at most what it names */
}

/* Everything about the threads' protection, read anew. 1: none; 0: some thread is marked. */
static int protections_in_full(struct mm *mm, const struct purge_options *o, struct purge_batch *b, struct err *err)
{
	auto_mem void *ctx = mem_context(b->ctx, "protections");
	const char **root = mem_array(ctx, const char *, b->n_threads);
	unsigned *bits = mem_array(ctx, unsigned, b->n_threads);
	size_t *at = mem_array(ctx, size_t, b->n_threads), n = 0;
	int rc, free_of = 1;

	for (size_t i = 0; i < b->n_threads; i++)
		if (!b->thread[i].why) {
			at[n] = i;
			root[n++] = b->thread[i].root;
		}
	if ((rc = mm_protections(mm, o->protect, root, n, bits, NULL, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (bits[i]) {
			b->thread[at[i]].why = bits[i];
			free_of = 0;
		}
	return free_of;
}

struct marks { struct purge_batch *b; struct purge_index index; bool indexed, any; };

static void on_protected(void *payload, const char *post_id, unsigned bit)
{
	struct marks *m = payload;
	const struct purge_post *p;

	if (!m->indexed)
		purge_index_build(m->b->ctx, m->b, &m->index);
	m->indexed = true;
	for (p = purge_index_find(&m->index, post_id);
	     p && p < m->index.post + m->index.n && strcmp(p->id, post_id) == 0; p++) {
		struct purge_thread *t = &m->b->thread[p->thread];

		m->any |= t->why == 0;
		t->why |= bit;
	}
}

static const char *post_ids(struct purge_batch *b)
{
	struct db_array ids;

	db_array_init(&ids, b->ctx);
	for (size_t i = 0; i < b->n_threads; i++)
		for (size_t j = 0; !b->thread[i].why && j < b->thread[i].n_rows; j++)
			if (b->row[b->thread[i].row + j].kind == MM_POST)
				db_array_add(&ids, b->row[b->thread[i].row + j].key,
					     strlen(b->row[b->thread[i].row + j].key));
	return db_array_text(&ids);
}

/* Begins the transaction, and looks at holds and spares once more inside it: a hold that was set meanwhile wins. 1:
 * none; 0: some thread is marked. */
static int begin(struct mm *mm, const struct purge_options *o, struct purge_batch *b, struct err *err)
{
	struct marks m = {.b = b};
	bool all;
	int rc;

	/* What stays of a thread protects what goes: its rows are not among those matched by version. */
	if (!o->protect || o->protect_in_full || b->parts_before_ms != INT64_MIN) {
		rc = db_begin(mm->db, DB_READ_COMMITTED, err);
		return rc < 0 ? rc : o->protect ? protections_in_full(mm, o, b, err) : 1;
	}
	if ((rc = mm_recheck(mm, o->protect, post_ids(b), on_protected, &m, &all, err)) < 0)
		return rc;
	return all ? protections_in_full(mm, o, b, err) : !m.any;
}

static void count(const struct purge_batch *b, struct purge_counts *c)
{
	c->batches++;
	for (size_t i = 0; i < b->n_threads; i++) {
		const struct purge_thread *t = &b->thread[i];

		if (t->why)
			continue;
		c->threads++;
		c->posts += t->posts;
		for (size_t j = t->row; j < t->row + t->n_rows; j++)
			c->rows[b->row[j].kind]++;
	}
}

static int transaction(struct mm *mm, const struct purge_options *o, struct purge_batch *b, struct purge_ahead *ahead,
		       struct err *err)
{
	int64_t from;
	bool named;
	int rc;

	/* The lock may have been lost with its session: another run could be at work. */
	if (o->lock_db && (rc = db_lock_check(o->lock_db, o->lock_key, err)) < 0)
		return rc;
	if ((rc = begin(mm, o, b, err)) != 1 || (o->scope && (rc = purge_scope_check(o, b, err)) != 1))
		return rc;
	from = time_mono_us();
	rc = delete_rows(mm, o, b, ahead, err);
	b->work_us += time_mono_us() - from;
	if (rc != 1)
		return rc;
	if ((rc = fault_check(FAULT_PURGE_AFTER_DELETE, ERR_INTERNAL, err)) < 0 ||
	    (rc = purge_named_mark(mm, b, &named, err)) < 0)
		return rc;
	if (named)
		return 0;
	/* The paths are durable before the commit: a crash between leaves a journal entry, never a forgotten blob. */
	if ((o->unlink_files || (o->journal_parts && b->parts_before_ms != INT64_MIN)) &&
	    (rc = purge_journal_add(mm, o, b, err)) < 0)
		return rc;
	/* An open descriptor outlives the name: what is read from it may be nowhere any more. */
	if ((rc = bundle_in_place(ahead->source->receipt, ahead->source->reader, err)) < 0)
		return rc;
	return (rc = fault_check(FAULT_PURGE_BEFORE_COMMIT, ERR_INTERNAL, err)) < 0 ? rc : 1;
}

int purge_delete(struct mm *mm, const struct purge_options *o, struct purge_batch *b, struct purge_ahead *ahead,
		 struct purge_counts *c, struct err *err)
{
	bool waits = waits_for_disk(ahead);
	int rc = transaction(mm, o, b, ahead, err);

	if (rc != 1) {
		db_rollback(mm->db);
		return rc;
	}
	/* Irreversible.  Just before: all rows are in the database and in a published bundle that was read back.  Just
	 * after: they are only in the bundle; the ledger still says purging, and the next start finds them gone by id.
	 * A lost answer is settled there too.  While more batches follow, a crash of the server may bring back the last
	 * of them: they are still in the bundle, the ledger still says purging, and the next start deletes them again.
	 * The last one, or a barrier, waits for the disk before the ledger says purged. */
	if ((rc = db_commit(mm->db, err)) < 0) {
		db_rollback(mm->db);
		return rc;
	}
	ahead->source->undurable = !waits;
	count(b, c);
	rc = fault_check(FAULT_PURGE_AFTER_COMMIT, ERR_INTERNAL, err);
	return rc < 0 ? rc : 1;
}
