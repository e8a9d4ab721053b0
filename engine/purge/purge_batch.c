/* purge_batch.c - whole threads out of a bundle, as keys, versions and locations. */
#include "purge_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	PATH_BYTES = 1 << 16,
	/* a post has one or two; with hundreds of reactions or attachments each, as many posts would be a long
	 * transaction */
	ROWS_A_POST = 16,
	ROWS_MAX = 64 << 10, /* in memory, twice */
};

/* As long as it is, since a thread may have very many attachments; most have no thumbnail. */
static const char *unescape(void *ctx, const char *raw, size_t len)
{
	struct buf b;

	if (!len || len > PATH_BYTES)
		return "";
	buf_init(&b, ctx, PATH_BYTES);
	buf_start(&b, len);
	if (json_unescape(&b, raw, len) && strlen(b.data) == b.len)
		return b.data;
	buf_reset(&b);
	return "";
}

static void add_file(struct purge_batch *b, const struct purge_line *l)
{
	struct purge_file *f;

	if (b->n_files == b->cap_files) {
		b->cap_files = b->cap_files ? 2 * b->cap_files : 64;
		b->file = mem_grow(b->ctx, b->file, struct purge_file, b->cap_files);
	}
	f = &b->file[b->n_files++];
	*f = (struct purge_file){.thread = b->n_threads - 1, .size_bytes = l->size_bytes};
	f->id = mem_strndup(b->ctx, l->key, l->key_len);
	for (int i = 0; i < 3; i++)
		f->path[i] = unescape(b->ctx, l->path[i], l->path_len[i]);
}

static void add_row(struct purge_batch *b, const struct purge_line *l, const struct purge_hint *hint)
{
	struct purge_thread *t = &b->thread[b->n_threads - 1];
	struct purge_row *r;

	if (b->n_rows == b->cap_rows) {
		b->cap_rows = b->cap_rows ? 2 * b->cap_rows : 1024;
		b->row = mem_grow(b->ctx, b->row, struct purge_row, b->cap_rows);
	}
	r = &b->row[b->n_rows++];
	*r = (struct purge_row){
		.kind = (uint8_t)l->kind, .at = *hint,
		.updateat = l->updateat, .editat = l->editat, .deleteat = l->deleteat,
		.null_updateat = l->null_updateat, .null_editat = l->null_editat, .null_deleteat = l->null_deleteat,
	};
	memcpy(r->key, l->key, l->key_len);
	t->why |= l->odd ? MM_DAMAGED : 0; /* its row would not be found, and what hangs on it neither */
	t->n_rows++;
	if (l->kind == MM_POST) {
		t->posts++;
		b->posts++;
	}
	if (l->kind == MM_FILE)
		add_file(b, l);
}

static void begin_thread(struct purge_batch *b, const struct purge_line *l)
{
	struct purge_thread *t;

	if (b->n_threads == b->cap_threads) {
		b->cap_threads = b->cap_threads ? 2 * b->cap_threads : 256;
		b->thread = mem_grow(b->ctx, b->thread, struct purge_thread, b->cap_threads);
	}
	t = &b->thread[b->n_threads++];
	*t = (struct purge_thread){.row = b->n_rows};
	memcpy(t->root, l->thread, l->thread_len);
	if (l->channel)
		memcpy(t->channel, l->channel, l->channel_len);
}

/* Reads one row ahead, with its hint. */
static int advance(struct purge_source *s, struct err *err)
{
	const char *line;
	size_t len;
	int rc = bundle_read_row(s->reader, &line, &len, err);

	if (rc < 0)
		return rc;
	s->have_next = rc == 1;
	s->end = rc == 0;
	if (s->end)
		return 0;
	if (!s->line || talloc_get_size(s->line) < len + 1)
		s->line = mem_grow(s->ctx, s->line, char, len + len / 2 + 1);
	memcpy(s->line, line, len);
	s->line_len = len;
	if ((rc = purge_line_parse(s->line, len, &s->next, err)) < 0)
		return rc;
	if (!s->hints)
		return 0;
	if ((rc = purge_hints_next(s->hints, &s->next_hint, err)) < 0)
		return rc;
	if (rc == 0 || s->next_hint.kind != s->next.kind)
		return err_set(err, ERR_INTERNAL, "row locations do not belong to this bundle");
	return 0;
}

int purge_source_open(void *ctx, const struct receipt *receipt, struct purge_hints *hints, struct purge_seen *seen,
		      struct purge_source **ret, struct err *err)
{
	struct purge_source *s = mem_new(ctx, struct purge_source);
	int rc;

	s->ctx = s;
	s->receipt = receipt;
	s->hints = hints;
	s->seen = seen;
	s->hash = hash_new(s);
	s->parts_before_ms = INT64_MIN;
	s->undurable = !hints; /* taken up: what a run before committed, nobody may have waited for */
	if ((rc = bundle_open_receipt(s, receipt, &s->reader, err)) < 0 ||
	    (rc = bundle_read_parts(s->reader, &s->parts_before_ms, err)) < 0 ||
	    (hints && (rc = purge_hints_rewind(hints, err)) < 0) || (rc = advance(s, err)) < 0) {
		talloc_free(s);
		return rc;
	}
	if (seen && s->parts_before_ms != INT64_MIN)
		purge_seen_set_parts(seen);
	*ret = s;
	return 0;
}

/* Does the row ahead begin another thread than the one with this root (NULL: any)?  A whole thread begins with its root
 * post, a part of one with the first post of another thread. */
static bool begins(const struct purge_source *s, const char *root)
{
	const struct purge_line *l = &s->next;

	if (s->parts_before_ms == INT64_MIN)
		return l->root;
	return l->kind == MM_POST && !l->root &&
	       !(root && strlen(root) == l->thread_len && memcmp(root, l->thread, l->thread_len) == 0);
}

/* One thread, or part of one: every row up to the next. */
static int fill_thread(struct purge_batch *b, struct purge_source *s, struct err *err)
{
	static const struct purge_hint none;
	int rc;

	if (!begins(s, NULL))
		return err_set(err, ERR_VERIFY, "bundle does not begin a thread with its %s",
			       s->parts_before_ms == INT64_MIN ? "root post" : "posts");
	begin_thread(b, &s->next);
	do {
		hash_update(s->hash, s->line, s->line_len);
		hash_update(s->hash, "\n", 1);
		add_row(b, &s->next, s->hints ? &s->next_hint : &none);
		if (s->seen && s->next.kind == MM_POST)
			purge_seen_add(s->seen, b->row[b->n_rows - 1].key);
		if ((rc = advance(s, err)) < 0)
			return rc;
		if (s->have_next && s->parts_before_ms != INT64_MIN && s->next.root)
			return err_set(err, ERR_VERIFY, "a bundle of parts holds a root post");
	} while (s->have_next && !begins(s, b->thread[b->n_threads - 1].root));
	hash_final(s->hash, &b->thread[b->n_threads - 1].lines);
	return 0;
}

int purge_batch_fill(struct purge_batch *b, void *parent, struct purge_source *s, size_t posts, struct err *err)
{
	size_t rows = posts < ROWS_MAX / ROWS_A_POST ? posts * ROWS_A_POST : ROWS_MAX;
	int rc;

	memset(b, 0, sizeof *b);
	b->ctx = mem_context(parent, "purge batch");
	b->receipt = s->receipt;
	b->located = s->hints != NULL;
	b->parts_before_ms = s->parts_before_ms;
	while (s->have_next && b->posts < posts && b->n_rows < rows)
		if ((rc = fill_thread(b, s, err)) < 0)
			return rc;
	return 0;
}

void purge_batch_clear(struct purge_batch *b)
{
	TALLOC_FREE(b->ctx);
	memset(b, 0, sizeof *b);
}

void purge_ahead_fill(void *ahead)
{
	struct purge_ahead *a = ahead;

	if (!a->filled)
		a->rc = purge_batch_fill(&a->batch, a->source, a->source, a->posts, &a->err);
	a->filled = true;
}

int purge_ahead_take(struct purge_ahead *a, struct purge_batch *ret, struct err *err)
{
	purge_ahead_fill(a);
	*ret = a->batch;
	memset(&a->batch, 0, sizeof a->batch);
	a->filled = false;
	if (a->rc < 0)
		*err = a->err;
	return a->rc;
}

bool purge_ahead_any(const struct purge_ahead *a)
{
	return a->filled ? a->rc == 0 && a->batch.n_threads > 0 : a->source->have_next;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct purge_post *)a)->id, ((const struct purge_post *)b)->id);
}

void purge_index_build(void *ctx, const struct purge_batch *b, struct purge_index *ret)
{
	*ret = (struct purge_index){.post = mem_array(ctx, struct purge_post, b->posts + 1)};
	for (size_t i = 0; i < b->n_threads; i++)
		for (size_t j = b->thread[i].row; j < b->thread[i].row + b->thread[i].n_rows; j++)
			if (b->row[j].kind == MM_POST && ret->n < b->posts)
				ret->post[ret->n++] = (struct purge_post){b->row[j].key, j, i};
	qsort(ret->post, ret->n, sizeof *ret->post, by_id);
}

const struct purge_post *purge_index_find(const struct purge_index *x, const char *id)
{
	const struct purge_post key = {.id = id}, *p = bsearch(&key, x->post, x->n, sizeof key, by_id);

	while (p && p > x->post && strcmp(p[-1].id, id) == 0)
		p--;
	return p;
}
