/*
 * mm_planned.c - threads of an export with another number of posts than the plan counted.
 *
 * Times alone do not tell what came after the plan: a bridge writes replies with the time of their source, and a transaction may commit long
 * after the moment that its rows carry.
 */
#include <mmretain/mm.h>

#include <stdlib.h>

#include "mm_sql.h"

struct planned { const uint32_t *posts; size_t n; mm_planned_fn fn; void *payload; };

static int on_count(void *payload, const struct db_row *row, struct err *err)
{
	struct planned *p = payload;
	uint64_t thread = strtoull(row->value[0], NULL, 10);

	(void)err;
	if (thread < p->n && strtoull(row->value[1], NULL, 10) != p->posts[thread])
		p->fn(p->payload, thread);
	return 0;
}

int mm_planned(struct mm *mm, const uint32_t *posts, size_t n, mm_planned_fn fn, void *payload, struct err *err)
{
	struct planned p = {posts, n, fn, payload};
	int64_t count = 0, sum = 0, squares = 0;
	struct db_result *r;
	bool same;
	int rc;

	for (size_t i = 0; i < n; i++) {
		count += posts[i];
		sum += (int64_t)(i * posts[i]);
		squares += (int64_t)(i * i * posts[i]);
	}
	if ((rc = db_query(mm, mm->db, &sql_planned_sum, DB_ONE, 0, NULL, &r, err)) < 0)
		return rc;
	same = db_i64(r, 0, 0) == count && db_i64(r, 0, 1) == sum && db_i64(r, 0, 2) == squares;
	talloc_free(r);
	return same ? 0 : db_stream(mm->db, &sql_planned_counts, 0, NULL, on_count, &p, err);
}
