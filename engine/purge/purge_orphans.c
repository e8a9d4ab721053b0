/*
 * purge_orphans.c - ids of posts that rows name although they are gone.
 *
 * What came late for a deleted thread is among them.  So a sweep of many posts asks the server for these few instead of
 * telling it all that were deleted: only the threads that have one are looked at again.
 */
#include "purge_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ORPHAN_ROWS_MAX = 100000 };

static int on_orphan(void *payload, const struct db_row *row, struct err *err)
{
	struct purge_orphans *o = payload;

	(void)err;
	if (++o->rows >= ORPHAN_ROWS_MAX)
		return 1; /* left behind by others, most likely long ago: no help here */
	if (row->len[0] > MM_ID)
		return 0; /* no id of Mattermost's: no bundle holds it */
	if (o->n == o->cap) {
		o->cap = o->cap ? 2 * o->cap : 256;
		o->id = mem_grow(o->ctx, o->id, mm_id, o->cap);
	}
	memset(o->id[o->n], 0, sizeof(mm_id));
	memcpy(o->id[o->n++], row->value[0], row->len[0]);
	return 0;
}

int purge_orphans_find(void *ctx, struct mm *mm, struct purge_orphans *ret, struct err *err)
{
	size_t n = 0;
	int rc;

	*ret = (struct purge_orphans){.ctx = ctx};
	if (mm->many_orphans)
		return 0;
	if ((rc = mm_sweep_orphans(mm, on_orphan, ret, err)) < 0)
		return rc;
	if (ret->n)
		qsort(ret->id, ret->n, sizeof(mm_id), mm_id_cmp);
	for (size_t i = 0; i < ret->n; i++)
		if (n == 0 || strcmp(ret->id[n - 1], ret->id[i]) != 0)
			memmove(ret->id[n++], ret->id[i], sizeof(mm_id));
	ret->n = n;
	ret->hash = mem_array(ctx, uint64_t, n + 1);
	for (size_t i = 0; i < n; i++)
		ret->hash[i] = purge_seen_hash(ret->id[i]);
	mm->many_orphans = ret->rows >= ORPHAN_ROWS_MAX;
	log_debug("%s%llu rows name %zu posts that are gone", mm->many_orphans ? "more than " : "",
		  (unsigned long long)ret->rows, ret->n);
	return !mm->many_orphans;
}

bool purge_orphans_has(const struct purge_orphans *o, const char *id, size_t len)
{
	mm_id key = "";

	memcpy(key, id, len);
	return o->n && bsearch(key, o->id, o->n, sizeof(mm_id), mm_id_cmp);
}
