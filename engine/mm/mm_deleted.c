/*
 * mm_deleted.c - threads with rows that were soft-deleted, or replaced by an edit, before a cut-off.
 *
 * One range of the index (channelid, deleteat, createat) per channel names them; their facts and protections are then read page by page
 * as for any other thread, so that what protects a thread protects its parts.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

enum { PAGE = 2000 }; /* threads asked about at a time */

struct part { mm_id root; uint64_t posts, bytes; bool whole, torn; };
struct page {
	struct mm *mm;
	const struct mm_deleted_query *q;
	struct mm_idmap channel, map; /* map: of part */
	mm_id *channel_id;
	struct part *part; size_t n;
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
		.thread = {.root_create_ms = t->root_create_ms, .last_reply_ms = t->last_reply_ms, .last_edit_ms = t->last_edit_ms,
			   .posts = t->posts, .bytes = t->bytes, .root_deleted = t->bits & MM_ROW_DELETED, .channel = t->channel,
			   .protections = (t->bits & (MM_ROW_ROOT - 1u)) | (t->hold >= 0 ? MM_HOLD : 0u), .hold = t->hold},
		.posts = g->part[i].posts, .bytes = g->part[i].bytes, .whole = g->part[i].whole, .torn = g->part[i].torn,
	};
	memcpy(d.thread.root, t->root, sizeof d.thread.root);
	memcpy(d.thread.channel_id, g->channel_id[t->channel], sizeof d.thread.channel_id);
	return g->fn(g->payload, &d, err);
}

static int ask_page(struct page *g, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "page of deleted");
	struct mm_rows rows = {.mm = g->mm, .form = MM_BY_ROOT_ID, .protect = g->q->protect, .with_bytes = g->q->with_bytes,
			       .channel = &g->channel};
	struct mm_guards *guards;
	struct mm_fold *fold;
	struct db_array ids;
	char cut[24];
	const char *p[2] = {NULL, cut};
	int r;

	db_array_init(&ids, ctx);
	for (size_t i = 0; i < g->n; i++)
		db_array_add(&ids, g->part[i].root, strlen(g->part[i].root));
	rows.roots = p[0] = db_array_text(&ids);
	snprintf(cut, sizeof cut, "%lld", (long long)g->q->before_ms);
	if ((r = db_stream(g->mm->db, &sql_deleted_parts, 2, p, on_part, g, err)) < 0 ||
	    (r = mm_guards_read(ctx, g->mm, rows.roots, &guards, err)) < 0)
		return r;
	rows.guards = guards;
	if ((r = mm_fold_new(ctx, &fold, err)) < 0 || (r = mm_rows_fold(&rows, fold, err)) < 0)
		return r;
	return mm_fold_run(fold, on_thread, g, err);
}

static int pages(struct page *g, struct spool *roots, struct err *err)
{
	const void *id = NULL;
	int r = spool_rewind(roots, err), more = 1;

	while (r == 0 && more) {
		g->n = 0;
		mm_idmap_clear(&g->map);
		while (g->n < PAGE && (more = spool_next(roots, &id, err)) == 1) {
			g->part[g->n] = (struct part){.posts = 0};
			memcpy(g->part[g->n++].root, id, sizeof(mm_id));
			mm_idmap_add(&g->map);
		}
		if (more < 0)
			return more;
		r = g->n ? ask_page(g, err) : 0;
	}
	return r;
}

static void page_init(struct page *g, void *ctx, size_t threads)
{
	const struct mm_deleted_query *q = g->q;

	g->channel_id = mem_array(ctx, mm_id, q->n_channels + 1);
	mm_idmap_init(&g->channel, ctx, sizeof(mm_id));
	mm_idmap_base(&g->channel, g->channel_id);
	for (size_t i = 0; i < q->n_channels; i++) {
		if (strlen(q->channel_ids[i]) <= MM_ID)
			memcpy(g->channel_id[i], q->channel_ids[i], strlen(q->channel_ids[i]));
		mm_idmap_add(&g->channel);
	}
	g->part = mem_array(ctx, struct part, threads);
	mm_idmap_init(&g->map, ctx, sizeof(struct part));
	mm_idmap_base(&g->map, g->part);
}

int mm_deleted(struct mm *mm, const struct mm_deleted_query *q, mm_deleted_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "mm_deleted");
	struct page g = {.mm = mm, .q = q, .fn = fn, .payload = payload};
	struct spool *roots;
	int r;

	if (q->n_channels == 0)
		return 0;
	page_init(&g, ctx, PAGE);
	if ((r = spool_new(ctx, sizeof(mm_id), &roots, err)) < 0 || (r = find_roots(mm, ctx, q, roots, err)) < 0)
		return r;
	return pages(&g, roots, err);
}

int mm_deleted_one(struct mm *mm, const struct mm_deleted_query *q, const char *root, mm_deleted_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "mm_deleted_one");
	struct page g = {.mm = mm, .q = q, .fn = fn, .payload = payload};

	if (strlen(root) > MM_ID)
		return 0;
	page_init(&g, ctx, 1);
	memcpy(g.part[0].root, root, strlen(root) + 1);
	mm_idmap_add(&g.map);
	g.n = 1;
	return ask_page(&g, err);
}
