/*
 * purge_refresh.c - what moved, or has no location: read again by id and compared.
 *
 * The batch's threads are exported once more by the code that filled the bundle and encoded by the bundle's own
 * encoder.  The same lines mean the same row versions, byte for byte, and no row more or less; then only the locations
 * were stale.
 */
#include "purge_internal.h"

#include <string.h>

struct refresh {
	struct mm *mm;
	struct purge_batch *b;
	size_t *at;                   /* export's thread number -> batch thread */
	struct purge_row *row;        /* fresh rows, thread after thread */
	size_t n_rows, cap_rows;
	size_t *first, *count;        /* per export thread: slice of row */
	struct digest *lines;
	struct hash *hash;
	uint64_t current;             /* thread being read, UINT64_MAX before the first */
	struct bundle_encoder *encoder;
	struct bundle_field *field;
	struct buf line;
};

static void close_thread(struct refresh *r)
{
	if (r->current != UINT64_MAX)
		hash_final(r->hash, &r->lines[r->current]);
}

static int on_row(void *payload, const struct mm_export_row *x, struct err *err)
{
	struct refresh *r = payload;
	struct purge_row *row;
	struct purge_line l;
	int rc;

	if (x->thread != r->current) {
		close_thread(r);
		r->current = x->thread;
		r->first[x->thread] = r->n_rows;
	}
	buf_clear(&r->line);
	purge_fields(&x->row, r->field);
	bundle_encode(r->encoder, (size_t)x->kind, r->field, &r->line);
	if (r->line.overflow)
		return err_set(err, ERR_VERIFY, "row is larger than a bundle row may be");
	hash_update(r->hash, r->line.data, r->line.len);
	hash_update(r->hash, "\n", 1);
	if ((rc = purge_line_parse(r->line.data, r->line.len, &l, err)) < 0)
		return rc;
	if (r->n_rows == r->cap_rows) {
		r->cap_rows = r->cap_rows ? 2 * r->cap_rows : 1024;
		r->row = mem_grow(r->b->ctx, r->row, struct purge_row, r->cap_rows);
	}
	row = &r->row[r->n_rows++];
	memset(row, 0, sizeof *row);
	row->kind = (uint8_t)x->kind;
	memcpy(row->key, l.key, l.key_len);
	row->updateat = l.updateat;
	row->editat = l.editat;
	row->deleteat = l.deleteat;
	row->null_updateat = l.null_updateat;
	row->null_editat = l.null_editat;
	row->null_deleteat = l.null_deleteat;
	r->count[x->thread]++;
	return purge_hint_parse(x->ctid, x->xmin, &row->at, err);
}

/* Take the fresh rows where the lines agree; say why where they do not. */
static void settle(struct refresh *r, size_t n)
{
	struct purge_batch *b = r->b;

	for (size_t i = 0; i < n; i++) {
		struct purge_thread *t = &b->thread[r->at[i]];

		if (r->count[i] == 0)
			t->why = PURGE_GONE;
		else if (r->count[i] != t->n_rows || memcmp(&r->lines[i], &t->lines, sizeof t->lines) != 0)
			t->why = MM_CHANGED;
		else
			memcpy(b->row + t->row, r->row + r->first[i], t->n_rows * sizeof *r->row);
	}
}

static int add_threads(struct refresh *r, struct mm_export *x, size_t *ret_n, struct err *err)
{
	struct mm_export_thread t = {.root_create_ms = 0};
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < r->b->n_threads; i++) {
		if (r->b->thread[i].why)
			continue;
		r->at[n++] = i;
		memcpy(t.root, r->b->thread[i].root, sizeof t.root);
		if ((rc = mm_export_add(x, &t, err)) < 0)
			return rc;
	}
	*ret_n = n;
	if (r->b->parts_before_ms != INT64_MIN)
		mm_export_parts(x, r->b->parts_before_ms);
	return mm_export_ready(x, INT64_MAX, err);
}

int purge_refresh(struct mm *mm, struct purge_batch *b, struct err *err)
{
	struct refresh r = {.mm = mm, .b = b, .current = UINT64_MAX};
	struct bundle_reader *reader;
	struct bundle_kind *kind;
	struct mm_export *x;
	size_t n = 0;
	int rc;

	r.at = mem_array(b->ctx, size_t, b->n_threads);
	r.first = mem_array(b->ctx, size_t, b->n_threads);
	r.count = mem_array(b->ctx, size_t, b->n_threads);
	r.lines = mem_array(b->ctx, struct digest, b->n_threads);
	r.hash = hash_new(b->ctx);
	buf_init(&r.line, b->ctx, BUNDLE_ROW_MAX);
	if ((rc = bundle_open_receipt(b->ctx, b->receipt, &reader, err)) < 0 ||
	    (rc = purge_kinds_as(b->ctx, mm, reader, &kind, err)) < 0 ||
	    (rc = mm_export_begin(b->ctx, mm, false, b->n_threads, &x, err)) < 0)
		return rc;
	r.encoder = bundle_encoder_new(b->ctx, kind, MM_KINDS);
	r.field = mem_array(b->ctx, struct bundle_field, PURGE_COLUMNS_MAX);
	if ((rc = add_threads(&r, x, &n, err)) == 0)
		rc = mm_export_rows(x, on_row, &r, err);
	mm_export_end(x);
	if (rc < 0)
		return rc;
	close_thread(&r);
	settle(&r, n);
	b->located = true;
	return 0;
}
