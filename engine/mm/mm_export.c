/*
 * mm_export.c - the closure of a unit of threads, read in one snapshot and merged into bundle order.
 *
 * Every table is one server-side cursor sorted by the post's place in the unit; the merge takes the smallest place
 * first. Memory is two fetches per cursor, whatever the size of the unit, of a thread or of a row but the one that is
 * looked at.
 */
#include <mmretain/mm.h>

#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_export_internal.h"
#include "mm_thread_internal.h"

enum { FETCH_POSTS = 2000, FETCH_ROWS = 500, FETCH_ROWS_BESIDE_CHAT = 40, COPY_FLUSH_BYTES = 64 << 10 };

struct stream {
	enum mm_kind kind;
	int phase;            /* order among rows of one post */
	struct db_cursor *cursor;
	struct db_row row;
	int64_t seq;
	bool end;
};

/* Order of kinds at one post.  The first row of a thread is always its root post: readers find the borders by it.
 * From MM_PRIORITY on: small tables, joined with the posts that any of them names.  large: of a large unit, where it
 * differs.
 * many: of the second session where there is one. */
static const struct {
	enum mm_kind kind;
	const struct sql *sql;
	const char *cursor;
	const struct sql *large;
	bool many;
} parts[] = {
	{MM_POST, &sql_export_post, "mmr_post_rows", NULL, false},
	{MM_THREAD, &sql_export_thread, "mmr_thread_rows", &sql_export_thread_at, false},
	{MM_MEMBER, &sql_export_member, "mmr_member_rows", &sql_export_member_at, true},
	{MM_REACTION, &sql_export_reaction, "mmr_reaction_rows", &sql_export_reaction_at, true},
	{MM_FILE, &sql_export_file, "mmr_file_rows", NULL, false},
	{MM_SHARED_FILE, &sql_export_shared_file, "mmr_shared_rows", NULL, false},
	{MM_PRIORITY, &sql_export_priority, "mmr_priority_rows", NULL, false},
	{MM_ACK, &sql_export_ack, "mmr_ack_rows", NULL, false},
	{MM_PNOTIFY, &sql_export_pnotify, "mmr_pnotify_rows", NULL, false},
	{MM_PREF, &sql_export_pref, "mmr_pref_rows", NULL, false},
	{MM_REMINDER, &sql_export_reminder, "mmr_reminder_rows", NULL, false},
	{MM_DRAFT, &sql_export_draft, "mmr_draft_rows", NULL, false},
	{MM_READ_RECEIPT, &sql_export_read_receipt, "mmr_receipt_rows", NULL, false},
	{MM_TEMPORARY, &sql_export_temporary, "mmr_temporary_rows", NULL, false},
	{MM_TRANSLATION, &sql_export_translation, "mmr_translation_rows", NULL, false},
	{MM_PROPERTY, &sql_export_property, "mmr_property_rows", NULL, false},
};

static int export_destroy(struct mm_export *x)
{
	mm_export_single(x);
	if (x->open)
		db_rollback(x->mm->db); /* ends the snapshot; the work tables go with it */
	return 0;
}

/* A session that is busy with COPY cannot share its snapshot, nor be asked. */
static int second_session(struct mm_export *x, uint64_t threads, struct err *err)
{
	bool small;
	int rc = x->alone ? mm_unit_small(x->mm, threads, MM_UNIT_SHARE, &small, err) : 0;

	return rc < 0 || !x->alone || small ? rc : mm_export_double(x, err);
}

int mm_export_begin(void *ctx, struct mm *mm, bool alone, uint64_t threads, struct mm_export **ret, struct err *err)
{
	static const struct sql *const setup[] = {&sql_export_work, &sql_export_work_file, &sql_export_work_few};
	struct mm_export *x = mem_new(ctx, struct mm_export);
	struct db_result *r;
	int rc;

	x->mm = mm;
	x->alone = alone;
	x->parts_before_ms = INT64_MIN;
	x->min_root_ms = INT64_MAX;
	x->max_root_ms = INT64_MIN;
	buf_init(&x->copy, x, 1 << 20);
	if ((rc = db_begin(mm->db, DB_EXPORT_SNAPSHOT, err)) < 0)
		goto fail;
	x->open = true;
	talloc_set_destructor(x, export_destroy);
	db_cursor_beside(mm->db, alone);
	if ((rc = db_query(x, mm->db, &sql_export_now, DB_ONE, 0, NULL, &r, err)) < 0)
		goto fail;
	x->snapshot_ms = db_i64(r, 0, 0);
	x->end_xid = strtoull(db_text(r, 0, 1), NULL, 10);
	talloc_free(r);
	if ((rc = mm_unit_room(mm, alone, err)) < 0)
		goto fail;
	for (size_t i = 0; i < ARRAY_LEN(setup); i++)
		if ((rc = mm_export_run(x, setup[i], err)) < 0)
			goto fail;
	if ((rc = second_session(x, threads, err)) < 0 ||
	    (rc = db_copy_in_begin(mm->db, &sql_export_work_copy, err)) < 0)
		goto fail;
	*ret = x;
	return 0;
fail:
	talloc_free(x);
	return rc;
}

static int flush_copy(struct mm_export *x, struct err *err)
{
	int rc = x->copy.len ? db_copy_in_data(x->mm->db, x->copy.data, x->copy.len, err) : 0;

	buf_clear(&x->copy);
	return rc;
}

/* A root of unknown time may lie anywhere. */
static void widen(struct mm_export *x, int64_t root_ms)
{
	if (root_ms <= 0 || root_ms < x->min_root_ms)
		x->min_root_ms = root_ms > 0 ? root_ms : INT64_MIN;
	if (root_ms <= 0 || root_ms > x->max_root_ms)
		x->max_root_ms = root_ms > 0 ? root_ms : INT64_MAX;
}

/* A line of COPY; printf took a tenth of a second for 240,000 threads, in which nobody else had anything to do. */
static void add_line(struct buf *b, int64_t thread, const struct mm_export_thread *t, int64_t place)
{
	buf_i64(b, thread);
	buf_byte(b, '\t');
	buf_puts(b, t->root);
	buf_byte(b, '\t');
	buf_i64(b, t->posts);
	buf_byte(b, '\t');
	buf_i64(b, place);
	buf_byte(b, '\n');
}

int mm_export_add(struct mm_export *x, const struct mm_export_thread *t, struct err *err)
{
	if (!mm_id_sound(t->root)) /* a plan names no such thread; a plan file may say anything */
		return err_set(err, ERR_DATABASE, "post id with characters that no Mattermost id has");
	widen(x, t->root_create_ms);
	add_line(&x->copy, (int64_t)x->threads++, t, (int64_t)x->planned + 1);
	x->planned += t->posts;
	return x->copy.len >= COPY_FLUSH_BYTES ? flush_copy(x, err) : 0;
}

int mm_export_ready(struct mm_export *x, int64_t since_ms, struct err *err)
{
	int rc;

	if ((rc = flush_copy(x, err)) < 0 || (rc = db_copy_in_end(x->mm->db, err)) < 0)
		return rc;
	return mm_export_fill(x, since_ms, err);
}

void mm_export_stoppable(struct mm_export *x)
{
	x->stoppable = true;
}

void mm_export_parts(struct mm_export *x, int64_t before_ms)
{
	x->parts_before_ms = before_ms;
}

int mm_export_before(struct mm *mm, uint64_t *ret_xid, struct err *err)
{
	struct db_result *r;
	int rc = db_query(mm, mm->db, &sql_export_before, DB_ONE, 0, NULL, &r, err);

	if (rc < 0)
		return rc;
	*ret_xid = strtoull(db_text(r, 0, 0), NULL, 10);
	talloc_free(r);
	return 0;
}

/* Versions have the lower half of a number that counts on: one of long ago may look like one of now, which a short
 * stretch makes unlikely, and another night ends. */
bool mm_export_since(const struct mm_export *x, uint64_t begin_xid, const char *xmin)
{
	uint64_t n = x->end_xid > begin_xid ? x->end_xid - begin_xid : 0;

	return n > UINT32_MAX || (uint32_t)((uint32_t)db_bigint(xmin) - (uint32_t)begin_xid) < n;
}

int64_t mm_export_snapshot_ms(const struct mm_export *x)
{
	return x->snapshot_ms;
}

int mm_export_files(struct mm_export *x, db_row_fn fn, void *payload, struct err *err)
{
	return db_stream(x->mm->db, &sql_export_files, 0, NULL, fn, payload, err);
}

/* A dozen cursors have two pages each: with 2,000 rows for all of them an export takes as long, and 6 MiB more. */
static int fetch_rows(const struct mm_export *x, enum mm_kind kind)
{
	return !x->alone ? FETCH_ROWS_BESIDE_CHAT : kind == MM_POST ? FETCH_POSTS : FETCH_ROWS;
}

static int stream_next(struct stream *s, struct err *err)
{
	int64_t before = s->seq;
	int rc = db_cursor_next(s->cursor, &s->row, err);

	if (rc < 0)
		return rc;
	s->end = rc == 0;
	s->seq = s->end ? INT64_MAX : db_bigint(s->row.value[0]);
	if (s->seq < before)
		return err_set(err, ERR_DATABASE, "the server gave rows of %s in another order than they were written",
			       parts[s->phase].cursor);
	return 0;
}

static int stream_open(struct mm_export *x, void *ctx, size_t part, struct stream *ret, struct err *err)
{
	bool scan = x->small && parts[part].kind == MM_DRAFT; /* no index on rootid: one scan instead of one per post */
	const struct sql *sql = !x->small && parts[part].large ? parts[part].large : parts[part].sql;
	struct db *db = x->twin && parts[part].many ? x->twin->db : x->mm->db;
	int rc = mm_export_stop(x, err);

	if (rc == 0 && scan)
		rc = mm_unit_joins(x->mm, false, err);
	*ret = (struct stream){.kind = parts[part].kind, .phase = (int)part, .seq = INT64_MIN};
	if (rc == 0 && x->twin && parts[part].many && x->many[parts[part].kind]) {
		ret->cursor = x->many[parts[part].kind];
		return 0;
	}
	if (rc == 0)
		rc = db_cursor_open(ctx, db, parts[part].cursor, sql, 0, NULL,
				    fetch_rows(x, parts[part].kind), &ret->cursor, err);
	return rc == 0 && scan ? mm_unit_joins(x->mm, true, err) : rc;
}

int mm_export_open_many(struct mm_export *x, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts) && rc == 0; i++)
		if (parts[i].many && x->twin->schema->table[parts[i].kind].present)
			rc = db_cursor_open(x->many_ctx, x->twin->db, parts[i].cursor, parts[i].large, 0, NULL,
					    fetch_rows(x, parts[i].kind), &x->many[parts[i].kind], err);
	for (size_t i = 0; i < ARRAY_LEN(parts) && rc == 0; i++)
		if (x->many[parts[i].kind])
			db_cursor_ask(x->many[parts[i].kind]);
	return rc;
}

/* The second session sorts what it has while the first gives its first rows. */
static int streams_open(struct mm_export *x, void *ctx, struct stream *s, size_t *ret_n, struct err *err)
{
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (x->mm->schema->table[parts[i].kind].present && (rc = stream_open(x, ctx, i, &s[n++], err)) < 0)
			return rc;
	for (size_t i = 0; i < n; i++)
		if (x->twin && parts[s[i].phase].many)
			db_cursor_ask(s[i].cursor);
	for (size_t i = 0; i < n; i++)
		if ((rc = mm_export_stop(x, err)) < 0 || (rc = stream_next(&s[i], err)) < 0)
			return rc;
	*ret_n = n;
	return 0;
}

static struct stream *smallest(struct stream *s, size_t n)
{
	struct stream *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (!s[i].end && (!best || s[i].seq < best->seq)) /* equal places: the earlier part goes first */
			best = &s[i];
	return best;
}

static int emit(struct mm_export *x, struct stream *s, mm_export_fn fn, void *payload, struct err *err)
{
	const struct mm_table *t = &x->mm->schema->table[s->kind];
	struct mm_export_row out;

	if ((size_t)s->row.columns != t->n_columns + 4) {
		err_set(err, ERR_SCHEMA, "table %s has changed during the run", t->table);
		return err_hint(err, "Wait until the server's upgrade is finished and run again; nothing was deleted.");
	}
	out = (struct mm_export_row){
		.kind = s->kind,
		.row = {(int)t->n_columns, s->row.value + 4, s->row.len + 4},
		.thread = (uint64_t)db_bigint(s->row.value[1]),
		.ctid = s->row.value[2],
		.xmin = s->row.value[3],
	};
	return fn(payload, &out, err);
}

int mm_export_rows(struct mm_export *x, mm_export_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(x, "export streams");
	struct stream s[MM_KINDS], *best;
	size_t n = 0;
	int rc;

	if ((rc = mm_export_few(x, err)) < 0 || (rc = mm_export_shared(x, err)) < 0 ||
	    (rc = streams_open(x, ctx, s, &n, err)) < 0)
		return rc;
	while ((best = smallest(s, n))) {
		if ((rc = emit(x, best, fn, payload, err)) != 0)
			return rc < 0 ? rc : 0;
		if ((rc = stream_next(best, err)) < 0)
			return rc;
		mm_export_awake(x);
	}
	for (size_t i = 0; i < n; i++)
		if (!(x->twin && parts[s[i].phase].many) && (rc = db_cursor_close(s[i].cursor, err)) < 0)
			return rc;
	return 0; /* those of the second session end with it, which may have been idle for long */
}

void mm_export_end(struct mm_export *x)
{
	talloc_free(x);
}
