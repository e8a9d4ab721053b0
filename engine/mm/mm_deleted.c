/*
 * mm_deleted.c - threads with rows that were soft-deleted, or replaced by an edit, before a cut-off.
 *
 * One range of the index (channelid, deleteat, createat) per channel names them; their facts and protections are then
 * read page by page as for any other thread, so that what protects a thread protects its parts.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

enum {
	PAGE = 2000,         /* threads asked about at a time, at most */
	BESIDE_THREADS = 100 /* fewer are asked about before a second session is there */
};

struct part { mm_id root; uint64_t posts, bytes; bool whole, torn; };
struct page {
	struct mm *mm; /* of its own session */
	const struct mm_deleted_query *q;
	const struct mm_idmap *channel;
	const mm_id *channel_id;
	struct mm_idmap map; /* of part */
	struct part *part; size_t n, max;
	void *ctx; struct mm_fold *fold; /* while it is asked about */
	mm_deleted_fn fn; void *payload;
};

static int on_root(void *payload, const struct db_row *row, struct err *err)
{
	mm_id id = "";

	if (!row->value[0] || row->len[0] > MM_ID)
		return 0; /* no id of Mattermost's: nothing of ours */
	memcpy(id, row->value[0], row->len[0]);
	return spool_add(payload, id, err);
}

static int find_roots(struct mm *mm, void *ctx, const struct mm_deleted_query *q, struct spool *to, struct err *err)
{
	struct db_array ids;
	char cut[24];
	const char *p[2] = {NULL, cut};

	db_array_init(&ids, ctx);
	for (size_t i = 0; i < q->n_channels; i++)
		db_array_add(&ids, q->channel_ids[i], strlen(q->channel_ids[i]));
	p[0] = db_array_text(&ids);
	snprintf(cut, sizeof cut, "%lld", (long long)q->before_ms);
	return db_stream(mm->db, &sql_deleted_roots, 2, p, on_root, to, err);
}

static int on_part(void *payload, const struct db_row *row, struct err *err)
{
	struct page *g = payload;
	uint32_t i = row->value[0] ? mm_idmap_find(&g->map, row->value[0], row->len[0]) : MM_NO_INDEX;

	(void)err;
	if (i == MM_NO_INDEX)
		return 0;
	g->part[i].posts = strtoull(row->value[1], NULL, 10);
	g->part[i].bytes = strtoull(row->value[2], NULL, 10);
	g->part[i].whole = row->value[3] && row->value[3][0] == 't';
	g->part[i].torn = row->value[4] && row->value[4][0] == 't';
	return 0;
}

static int on_thread(void *payload, const struct mm_part *t, struct err *err)
{
	struct page *g = payload;
	uint32_t i = mm_idmap_find(&g->map, t->root, strlen(t->root));
	struct mm_deleted d;

	if (i == MM_NO_INDEX || t->channel == MM_NO_INDEX || t->root_create_ms <= 0)
		return 0;
	d = (struct mm_deleted){
		.thread = {.root_create_ms = t->root_create_ms,
			   .last_reply_ms = t->last_reply_ms,
			   .last_edit_ms = t->last_edit_ms,
			   .posts = t->posts,
			   .bytes = t->bytes,
			   .channel = t->channel,
			   .protections = mm_part_protections(t),
			   .hold = t->hold},
		.posts = g->part[i].posts,
		.bytes = g->part[i].bytes,
		.whole = g->part[i].whole,
		.torn = g->part[i].torn,
	};
	memcpy(d.thread.root, t->root, sizeof d.thread.root);
	memcpy(d.thread.channel_id, g->channel_id[t->channel], sizeof d.thread.channel_id);
	return g->fn(g->payload, &d, err);
}

/* Of what goes whole, or of what does not: only there nobody asks for the bytes of the thread. */
static int fold_roots(struct page *g, const struct mm_guards *guards, bool whole, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "roots of deleted");
	struct mm_rows rows = {.mm = g->mm,
			       .form = MM_BY_ROOT_ID,
			       .protect = g->q->protect,
			       .with_bytes = whole && g->q->with_bytes,
			       .channel = g->channel,
			       .guards = guards};
	struct db_array ids;

	db_array_init(&ids, ctx);
	for (size_t i = 0; i < g->n; i++)
		if (g->part[i].whole == whole)
			db_array_add(&ids, g->part[i].root, strlen(g->part[i].root));
	if (ids.n == 0)
		return 0;
	rows.roots = db_array_text(&ids);
	return mm_rows_fold(&rows, g->fold, err);
}

static int ask_page(void *payload, struct err *err)
{
	struct page *g = payload;
	struct mm_guards *guards;
	struct db_array ids;
	char cut[24];
	const char *p[2] = {NULL, cut};
	int r;

	g->ctx = mem_context(NULL, "page of deleted");
	db_array_init(&ids, g->ctx);
	for (size_t i = 0; i < g->n; i++)
		db_array_add(&ids, g->part[i].root, strlen(g->part[i].root));
	p[0] = db_array_text(&ids);
	snprintf(cut, sizeof cut, "%lld", (long long)g->q->before_ms);
	if ((r = db_stream(g->mm->db, &sql_deleted_parts, 2, p, on_part, g, err)) < 0 ||
	    (r = mm_guards_read(g->ctx, g->mm, p[0], &guards, err)) < 0 ||
	    (r = mm_fold_new(g->ctx, &g->fold, err)) < 0 || (r = fold_roots(g, guards, true, err)) < 0)
		return r;
	return fold_roots(g, guards, false, err);
}

static int tell_page(struct page *g, int r, struct err *err)
{
	if (r == 0)
		r = mm_fold_run(g->fold, on_thread, g, err);
	TALLOC_FREE(g->ctx);
	return r;
}

/* Whether there is more. */
static int fill_page(struct page *g, struct spool *roots, bool *ret_more, struct err *err)
{
	const void *id = NULL;
	int r = 1;

	g->n = 0;
	mm_idmap_clear(&g->map);
	while (g->n < g->max && (r = spool_next(roots, &id, err)) == 1) {
		g->part[g->n] = (struct part){.posts = 0};
		memcpy(g->part[g->n++].root, id, sizeof(mm_id));
		mm_idmap_add(&g->map);
	}
	*ret_more = r == 1;
	return r < 0 ? r : 0;
}

/* One page, or two by two sessions. */
static int next_pages(struct page g[2], struct spool *roots, bool *ret_more, struct err *err)
{
	int r = fill_page(&g[0], roots, ret_more, err);

	if (r < 0 || g[0].n == 0)
		return r;
	g[1].n = 0;
	if (*ret_more && (r = mm_twin(g[0].mm, &g[1].mm, err)) == 0 && g[1].mm)
		r = fill_page(&g[1], roots, ret_more, err);
	if (r < 0)
		return r;
	r = g[1].n ? mm_both(ask_page, &g[0], &g[1], err) : ask_page(&g[0], err);
	r = tell_page(&g[0], r, err);
	return g[1].n ? tell_page(&g[1], r, err) : r;
}

static void page_init(struct page *g, void *ctx, size_t threads)
{
	g->max = threads;
	g->part = mem_array(ctx, struct part, threads);
	mm_idmap_init(&g->map, ctx, sizeof(struct part));
	mm_idmap_base(&g->map, g->part);
}

static void map_channels(void *ctx, const struct mm_deleted_query *q, struct page *g)
{
	struct mm_idmap *map = mem_new(ctx, struct mm_idmap);
	mm_id *id = mem_array(ctx, mm_id, q->n_channels + 1);

	mm_idmap_init(map, ctx, sizeof(mm_id));
	mm_idmap_base(map, id);
	for (size_t i = 0; i < q->n_channels; i++) {
		if (strlen(q->channel_ids[i]) <= MM_ID)
			memcpy(id[i], q->channel_ids[i], strlen(q->channel_ids[i]));
		mm_idmap_add(map);
	}
	g->channel = map;
	g->channel_id = id;
}

int mm_deleted(struct mm *mm, const struct mm_deleted_query *q, mm_deleted_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "mm_deleted");
	struct page g[2] = {{.mm = mm, .q = q, .fn = fn, .payload = payload}};
	struct spool *roots;
	bool more = true;
	size_t n;
	int r;

	if (q->n_channels == 0)
		return 0;
	map_channels(ctx, q, &g[0]);
	g[1] = g[0];
	if ((r = spool_new(ctx, sizeof(mm_id), &roots, err)) < 0 || (r = find_roots(mm, ctx, q, roots, err)) < 0)
		return r;
	n = spool_count(roots);
	n = n < BESIDE_THREADS || n > PAGE * 2 ? PAGE : n / 2 + 1;
	page_init(&g[0], ctx, n);
	page_init(&g[1], ctx, n);
	r = spool_rewind(roots, err);
	while (r == 0 && more)
		r = next_pages(g, roots, &more, err);
	return r;
}

int mm_deleted_one(struct mm *mm, const struct mm_deleted_query *q, const char *root, mm_deleted_fn fn, void *payload,
		   struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "mm_deleted_one");
	struct page g = {.mm = mm, .q = q, .fn = fn, .payload = payload};

	if (strlen(root) > MM_ID)
		return 0;
	map_channels(ctx, q, &g);
	page_init(&g, ctx, 1);
	memcpy(g.part[0].root, root, strlen(root) + 1);
	mm_idmap_add(&g.map);
	g.n = 1;
	return tell_page(&g, ask_page(&g, err), err);
}
