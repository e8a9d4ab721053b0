/*
 * plan_limit_size.c - how much the units of a limit hold before any thread is listed.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_limit.h"

/* A pass is sorted by team first, so ids are looked up through an index of their own. */
struct by_id { const char *id; uint32_t channel; };

static int compare_id(const void *a, const void *b)
{
	return strcmp(((const struct by_id *)a)->id, ((const struct by_id *)b)->id);
}

static void index_channels(void *ctx, struct limit *l)
{
	const struct plan_pass *pass = l->pass;

	l->index = mem_array(ctx, struct by_id, pass->n + 1);
	for (size_t i = 0; i < pass->n; i++)
		l->index[i] = (struct by_id){.id = pass->channel[i], .channel = (uint32_t)i};
	qsort(l->index, pass->n, sizeof *l->index, compare_id);
}

static const struct by_id *channel_of(const struct limit *l, const struct mm_size *size)
{
	struct by_id key = {.id = size->channel_id};

	return bsearch(&key, l->index, l->pass->n, sizeof *l->index, compare_id);
}

static void book_size(struct limit *l, const struct mm_size *size, uint32_t channel)
{
	struct plan_scope *s = &l->pass->plan->scope[l->pass->scope[channel]];
	struct unit *u = &l->unit[l->unit_of[channel]];

	s->size_posts = l->size_posts[channel] = size->posts;
	s->size_bytes = size->bytes;
	l->file_bytes[channel] = size->named_file_bytes;
	u->posts += size->posts;
	u->bytes += size->bytes;
	l->pass->rule->total_posts += size->posts;
}

static int read_sizes(void *ctx, struct limit *l, struct err *err)
{
	const struct plan_pass *pass = l->pass;
	struct mm_size *size;
	size_t n;
	int r = mm_sizes(ctx, pass->mm, pass->channel, pass->n, pass->all_channels,
			 l->rule->limit_bytes ? MM_SIZES_BYTES : MM_SIZES_POSTS, &size, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct by_id *at = channel_of(l, &size[i]);

		if (at)
			book_size(l, &size[i], at->channel);
	}
	return r;
}

static void correct(struct limit *l, uint32_t channel, uint64_t sure)
{
	struct plan_scope *s = &l->pass->plan->scope[l->pass->scope[channel]];

	s->size_bytes += sure - l->file_bytes[channel];
	l->unit[l->unit_of[channel]].bytes += sure - l->file_bytes[channel];
	l->file_bytes[channel] = sure;
}

/* Bytes that only seem to be there must not make threads due: where a limit is passed, a file counts when a post of the
 * channel has it. */
static int settle_files(void *ctx, struct limit *l, struct err *err)
{
	const struct plan_pass *pass = l->pass;
	const char **id = mem_array(ctx, const char *, pass->n + 1);
	struct mm_size *size;
	size_t n = 0, n_sizes = 0;
	uint64_t *sure = mem_array(ctx, uint64_t, pass->n + 1);
	int r = 0;

	for (size_t i = 0; i < pass->n; i++)
		if (l->rule->limit_bytes && l->file_bytes[i] && l->unit[l->unit_of[i]].bytes > l->rule->limit_bytes) {
			l->listed[n] = (uint32_t)i;
			id[n++] = pass->channel[i];
		}
	if (n)
		r = mm_sure_file_bytes(ctx, pass->mm, id, n, &size, &n_sizes, err);
	for (size_t i = 0; r == 0 && i < n_sizes; i++) {
		const struct by_id *at = channel_of(l, &size[i]);

		if (at)
			sure[at->channel] = size[i].named_file_bytes;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		correct(l, l->listed[i], sure[l->listed[i]]);
	return r;
}

/* What goes by deleted_posts in the same run need not be made up for with threads that nobody deleted. */
static int leave_out_deleted(struct limit *l, struct err *err)
{
	const void *p;
	int r = l->wanted ? spool_rewind(l->wanted, err) : 0;

	while (r == 0 && l->wanted && (r = spool_next(l->wanted, &p, err)) == 1) {
		const struct plan_wanted *w = p;
		struct plan_limits *left = &l->unit[l->unit_of[w->t.channel]].left;

		r = 0;
		if (w->keep)
			continue;
		left->posts_left = minus(left->posts_left, w->t.posts);
		left->bytes_left = minus(left->bytes_left, w->t.bytes);
	}
	return r;
}

int plan_limit_measure(void *ctx, struct limit *l, struct err *err)
{
	int r;

	index_channels(ctx, l);
	r = read_sizes(ctx, l, err);
	if (r == 0)
		r = settle_files(ctx, l, err);
	for (size_t i = 0; i < l->n_units; i++)
		l->unit[i].left = (struct plan_limits){.posts_left = l->unit[i].posts, .bytes_left = l->unit[i].bytes};
	return r < 0 ? r : leave_out_deleted(l, err);
}
