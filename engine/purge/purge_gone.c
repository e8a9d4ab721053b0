/*
 * purge_gone.c - threads that the server itself removed after the export.
 *
 * Its delete takes the root and the rows that name it, and forgets edit copies and what hangs on replies; its retention
 * takes the root and may leave replies.  What is left differs from the bundle, but the thread has not changed: it is
 * gone, and nothing of ours.
 */
#include "purge_internal.h"

#include <string.h>

int purge_mark_gone(struct mm *mm, struct purge_batch *b, struct err *err)
{
	size_t *at = mem_array(b->ctx, size_t, b->n_threads + 1), n = 0;
	struct db_array ids;
	struct db_result *r;
	const char *param;
	int rc;

	db_array_init(&ids, b->ctx);
	for (size_t i = 0; i < b->n_threads && b->parts_before_ms == INT64_MIN; i++)
		if (b->thread[i].why & MM_CHANGED) {
			db_array_add(&ids, b->thread[i].root, strlen(b->thread[i].root));
			at[n++] = i;
		}
	if (n == 0)
		return 0;
	param = db_array_text(&ids);
	rc = db_query_prepared(b->ctx, mm->db, &sql_purge_rootless, DB_ANY, 1, &param, &r, err);
	for (int64_t i = 0; rc == 0 && i < db_rows(r); i++)
		b->thread[at[db_i64(r, i, 0) - 1]].why = PURGE_GONE;
	return rc;
}
