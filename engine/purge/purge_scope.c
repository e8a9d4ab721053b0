/*
 * purge_scope.c - threads whose channel is no longer what the plan saw.
 *
 * Whoever chose the threads is asked about their channels inside the deleting transaction: a channel that was moved,
 * archived, renamed or made private meanwhile may be another rule's.
 */
#include "purge_internal.h"

#include <string.h>

/* Threads come sorted by channel: one place for each run of them. */
static size_t channels_of(const struct purge_batch *b, mm_id *channel, size_t *at)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_threads; i++) {
		if (b->thread[i].why)
			continue;
		if (n == 0 || strcmp(channel[n - 1], b->thread[i].channel) != 0)
			memcpy(channel[n++], b->thread[i].channel, sizeof(mm_id));
		at[i] = n - 1;
	}
	return n;
}

int purge_scope_check(const struct purge_options *o, struct purge_batch *b, struct err *err)
{
	mm_id *channel = mem_array(b->ctx, mm_id, b->n_threads + 1);
	bool *left = mem_array(b->ctx, bool, b->n_threads + 1);
	size_t *at = mem_array(b->ctx, size_t, b->n_threads + 1), n = channels_of(b, channel, at);
	int rc = o->scope(o->scope_payload, (const mm_id *)channel, n, left, err), same = 1;

	for (size_t i = 0; i < b->n_threads && rc == 0; i++)
		if (!b->thread[i].why && left[at[i]]) {
			b->thread[i].why = MM_CHANGED;
			same = 0;
		}
	return rc < 0 ? rc : same;
}
