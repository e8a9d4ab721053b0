/*
 * mm_segment.c - holds as disjoint stretches of time per user or channel.
 *
 * Disjoint, so that a join with them finds a post once, whatever the number of holds that cover it.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_thread_internal.h"

void mm_segment_add(void *ctx, struct mm_segments *s, const char *id, int64_t since_ms, int64_t until_ms, int hold)
{
	struct mm_segment *g;

	if (since_ms >= until_ms || strlen(id) > MM_ID)
		return;
	if ((s->n & (s->n - 1)) == 0) /* grown by doubling */
		s->item = mem_grow(ctx, s->item, struct mm_segment, s->n ? s->n * 2 : 1);
	g = &s->item[s->n++];
	*g = (struct mm_segment){.since_ms = since_ms, .until_ms = until_ms, .hold = hold};
	memcpy(g->id, id, strlen(id) + 1);
}

static int by_id(const void *a, const void *b)
{
	const struct mm_segment *x = a, *y = b;
	int c = strcmp(x->id, y->id);

	return c ? c : x->since_ms < y->since_ms ? -1 : x->since_ms > y->since_ms ? 1 : x->hold - y->hold;
}

/* The lowest hold of group[0..n) at `at`, or -1; *ret_end: how far nothing changes. */
static int lowest_at(const struct mm_segment *group, size_t n, int64_t at, int64_t *ret_end)
{
	int hold = -1;
	int64_t end = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct mm_segment *g = &group[i];

		if (g->since_ms > at && g->since_ms < end)
			end = g->since_ms;
		if (g->since_ms > at || g->until_ms <= at)
			continue;
		if (g->until_ms < end)
			end = g->until_ms;
		if (hold < 0 || g->hold < hold)
			hold = g->hold;
	}
	*ret_end = end;
	return hold;
}

static void settle_group(void *ctx, const struct mm_segment *group, size_t n, struct mm_segments *to)
{
	int64_t at = group[0].since_ms, end;

	for (;; at = end) {
		int hold = lowest_at(group, n, at, &end);

		if (hold >= 0)
			mm_segment_add(ctx, to, group[0].id, at, end, hold);
		if (end == INT64_MAX)
			return;
	}
}

void mm_segments_settle(void *ctx, struct mm_segments *s)
{
	struct mm_segments to = {0};
	size_t end;

	if (s->n == 0)
		return;
	qsort(s->item, s->n, sizeof *s->item, by_id);
	for (size_t i = 0; i < s->n; i = end) {
		for (end = i + 1; end < s->n && strcmp(s->item[i].id, s->item[end].id) == 0; end++)
			;
		if (end - i == 1)
			mm_segment_add(ctx, &to, s->item[i].id, s->item[i].since_ms, s->item[i].until_ms,
				       s->item[i].hold);
		else
			settle_group(ctx, &s->item[i], end - i, &to);
	}
	talloc_free(s->item);
	*s = to;
}
