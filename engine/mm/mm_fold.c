/*
 * mm_fold.c - puts the rows of threads together.
 *
 * Nine threads of ten are a single post, so roots go straight to a work file, and only rows below a root are collected
 * in memory.  When these become too many they go to the work file as well, and sorting brings the parts of a thread
 * together: memory stays flat whatever comes.
 */
#include <string.h>

#include "mm_thread_internal.h"

enum { FOLD_MAX = 1 << 17 }; /* threads with replies in memory: 12 MiB */

struct mm_fold {
	struct mm_part *part;
	struct mm_idmap map;
	struct spool *spool;
	size_t room;         /* of part */
	bool mixed;          /* the spool holds more than roots */
};

/* Of every thread of a plan: strspn would make its table of signs each time. */
bool mm_id_sound(const char *id)
{
	static const bool sound[256] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
	};
	const unsigned char *p = (const unsigned char *)id;

	while (sound[*p])
		p++;
	return *p == '\0' && *id;
}

uint32_t mm_part_protections(const struct mm_part *t)
{
	return (t->bits & (MM_ROW_ROOT - 1u)) | (t->hold >= 0 ? MM_HOLD : 0u) |
	       (mm_id_sound(t->root) ? 0u : MM_DAMAGED);
}

int mm_fold_new(void *ctx, struct mm_fold **ret, struct err *err)
{
	struct mm_fold *f = mem_new(ctx, struct mm_fold);
	int r = spool_new(f, sizeof(struct mm_part), &f->spool, err);

	if (r < 0) {
		talloc_free(f);
		return r;
	}
	mm_idmap_init(&f->map, f, sizeof(struct mm_part));
	*ret = f;
	return 0;
}

/* The root decides the channel; rows in another channel are damage. Parts without posts are mere marks. */
static void merge(struct mm_part *to, const struct mm_part *from)
{
	if (from->posts && to->posts && from->channel != to->channel)
		to->bits |= MM_DAMAGED;
	if (from->bits & MM_ROW_ROOT || !to->posts) {
		to->channel = from->channel;
		to->root_create_ms = from->root_create_ms;
	}
	if (from->last_reply_ms > to->last_reply_ms)
		to->last_reply_ms = from->last_reply_ms;
	if (from->last_edit_ms > to->last_edit_ms)
		to->last_edit_ms = from->last_edit_ms;
	if (from->hold >= 0 && (to->hold < 0 || from->hold < to->hold))
		to->hold = from->hold;
	to->bytes += from->bytes;
	to->posts += from->posts;
	to->missing += from->missing;
	to->bits |= from->bits;
}

static int flush(struct mm_fold *f, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->map.n; i++)
		r = spool_add(f->spool, &f->part[i], err);
	mm_idmap_clear(&f->map);
	f->mixed = true;
	return r;
}

int mm_fold_add(struct mm_fold *f, const struct mm_part *row, struct err *err)
{
	uint32_t i;
	int r = 0;

	if (row->bits & MM_ROW_ROOT)
		return spool_add(f->spool, row, err);
	i = mm_idmap_find(&f->map, row->root, strlen(row->root));
	if (i != MM_NO_INDEX) {
		merge(&f->part[i], row);
		return 0;
	}
	if (f->map.n == FOLD_MAX)
		r = flush(f, err);
	if (f->map.n == f->room) {
		f->room = f->room ? f->room * 2 : 256;
		f->part = mem_grow(f, f->part, struct mm_part, f->room);
		mm_idmap_base(&f->map, f->part);
	}
	f->part[f->map.n] = *row;
	mm_idmap_add(&f->map);
	return r;
}

static int by_root(const void *a, const void *b)
{
	return strcmp(((const struct mm_part *)a)->root, ((const struct mm_part *)b)->root);
}

/* Roots in the spool, the rest in memory. */
static int run_lookup(struct mm_fold *f, mm_fold_fn fn, void *payload, struct err *err)
{
	const void *p;
	int r = spool_rewind(f->spool, err);

	while (r == 0 && (r = spool_next(f->spool, &p, err)) > 0) {
		struct mm_part thread = *(const struct mm_part *)p;
		uint32_t i = mm_idmap_find(&f->map, thread.root, strlen(thread.root));

		if (i != MM_NO_INDEX)
			merge(&thread, &f->part[i]);
		r = fn(payload, &thread, err);
	}
	return r < 0 ? r : 0;
}

static int rootless_lookup(struct mm_fold *f, struct spool *to, struct err *err)
{
	auto_mem bool *rooted = mem_array(NULL, bool, f->map.n + 1);
	const void *p;
	int r = spool_rewind(f->spool, err);

	while (r == 0 && f->map.n && (r = spool_next(f->spool, &p, err)) > 0) {
		const struct mm_part *root = p;
		uint32_t i = mm_idmap_find(&f->map, root->root, strlen(root->root));

		if (i != MM_NO_INDEX)
			rooted[i] = true;
		r = 0;
	}
	for (size_t i = 0; r == 0 && i < f->map.n; i++)
		if (!rooted[i] && f->part[i].posts)
			r = spool_add(to, f->part[i].root, err);
	return r;
}

static int no_root(const struct mm_part *t, struct spool *to, struct err *err)
{
	return t->posts && !(t->bits & MM_ROW_ROOT) ? spool_add(to, t->root, err) : 0;
}

static int rootless_sorted(struct mm_fold *f, struct spool *to, struct err *err)
{
	struct mm_part thread = {.root = ""};
	const void *p;
	int r = flush(f, err);

	if (r == 0)
		r = spool_sort(f->spool, by_root, err);
	while (r == 0 && (r = spool_next(f->spool, &p, err)) > 0) {
		const struct mm_part *part = p;
		bool same = strcmp(part->root, thread.root) == 0;

		r = same ? 0 : no_root(&thread, to, err);
		if (same)
			merge(&thread, part);
		else
			thread = *part;
	}
	return r < 0 ? r : no_root(&thread, to, err);
}

int mm_fold_rootless(struct mm_fold *f, struct spool *to, struct err *err)
{
	return f->mixed ? rootless_sorted(f, to, err) : rootless_lookup(f, to, err);
}

static int emit(const struct mm_part *t, mm_fold_fn fn, void *payload, struct err *err)
{
	return t->bits & MM_ROW_ROOT ? fn(payload, t, err) : 0;
}

/* Everything in the spool. */
static int run_sorted(struct mm_fold *f, mm_fold_fn fn, void *payload, struct err *err)
{
	struct mm_part thread = {.root = ""};
	const void *p;
	int r = flush(f, err);

	if (r == 0)
		r = spool_sort(f->spool, by_root, err);
	while (r == 0 && (r = spool_next(f->spool, &p, err)) > 0) {
		const struct mm_part *part = p;

		r = 0;
		if (strcmp(part->root, thread.root) == 0) {
			merge(&thread, part);
			continue;
		}
		r = emit(&thread, fn, payload, err);
		thread = *part;
		if (r != 0)
			return r < 0 ? r : 0;
	}
	if (r == 0)
		r = emit(&thread, fn, payload, err);
	return r < 0 ? r : 0;
}

int mm_fold_run(struct mm_fold *f, mm_fold_fn fn, void *payload, struct err *err)
{
	return f->mixed ? run_sorted(f, fn, payload, err) : run_lookup(f, fn, payload, err);
}
