/*
 * mm_busy.c - how far replicas are behind, and what a request costs: read at most once a second, in one round trip.
 */
#include "mm_internal.h"
#include "mm_sql.h"

enum { COST_US, PID, NAME, STATE, BEHIND_BYTES, BEHIND_MS };

static void add_replica(struct mm_busy *b, const struct db_result *r, int64_t row)
{
	struct mm_replica *x = &b->replica[b->n_replicas++];

	*x = (struct mm_replica){.name = mem_strdup(b, db_text(r, row, NAME)), .hidden = db_null(r, row, STATE),
				 .behind_bytes = db_i64(r, row, BEHIND_BYTES)};
	/* The server's measure of time is that of what was replayed last: it stands still while nothing is replayed,
	 * also when all is. */
	x->behind_ms = x->behind_bytes ? db_i64(r, row, BEHIND_MS) : 0;
}

int mm_busy_look(void *ctx, struct db *db, bool cost, struct mm_busy **ret, struct err *err)
{
	const char *param = cost ? "true" : "false";
	struct db_result *r auto_mem = NULL;
	struct mm_busy *b;
	int rc = db_query_prepared(NULL, db, &sql_busy, DB_ANY, 1, &param, &r, err);

	if (rc < 0)
		return rc;
	b = mem_new(ctx, struct mm_busy);
	b->cost_us = cost && !db_null(r, 0, COST_US) ? db_i64(r, 0, COST_US) : 0;
	b->cost_us = b->cost_us > 0 ? b->cost_us : 0;
	b->replica = mem_array(b, struct mm_replica, (size_t)db_rows(r) + 1);
	for (int64_t i = 0; i < db_rows(r); i++)
		if (!db_null(r, i, PID))
			add_replica(b, r, i);
	*ret = b;
	return 0;
}

int mm_busy_slots(void *ctx, struct mm *mm, struct mm_slot **ret, size_t *ret_n, struct err *err)
{
	struct db_result *r auto_mem = NULL;
	struct mm_slot *slot;
	int rc = db_query(NULL, mm->db, &sql_busy_slots, DB_ANY, 0, NULL, &r, err);

	if (rc < 0)
		return rc;
	slot = mem_array(ctx, struct mm_slot, (size_t)db_rows(r) + 1);
	for (int64_t i = 0; i < db_rows(r); i++)
		slot[i] = (struct mm_slot){.name = mem_strdup(slot, db_text(r, i, 0)), .kept_bytes = db_i64(r, i, 1)};
	*ret = slot;
	*ret_n = (size_t)db_rows(r);
	return 0;
}
