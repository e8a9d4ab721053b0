/*
 * mm_joins.c - how a unit of posts is joined with whole tables.
 *
 * A small unit is found by index probes: hashing whole tables would cost the same for three threads as for all of them.
 * A large unit is cheaper by hash joins.  The planner misjudges the small ones, because most posts share one rootid and
 * one originalid: ''.
 */
#include <mmretain/mm.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

static const char *const no_more[] = {NULL};

int mm_unit_small(struct mm *mm, uint64_t posts, int share, bool *ret, struct err *err)
{
	char text[24], times[12];
	const char *const param[] = {text, times};
	struct db_result *r;
	int rc;

	snprintf(text, sizeof text, "%llu", (unsigned long long)posts);
	snprintf(times, sizeof times, "%d", share);
	if ((rc = db_query(mm, mm->db, &sql_joins_share, DB_ONE, 2, param, &r, err)) < 0)
		return rc;
	*ret = db_bool(r, 0, 0);
	talloc_free(r);
	return 0;
}

int mm_unit_joins(struct mm *mm, bool probes, struct err *err)
{
	const char *param = probes ? "off" : "on";
	struct db_result *r;
	int rc = db_query(mm, mm->db, &sql_joins_set, DB_ONE, 1, &param, &r, err);

	if (rc == 0)
		talloc_free(r);
	return rc;
}

int mm_unit_room(struct mm *mm, bool alone, struct err *err)
{
	const char *workers = alone ? NULL : "0";
	struct db_result *r;
	int rc = db_query(mm, mm->db, &sql_joins_room, DB_ONE, 1, &workers, &r, err);

	if (rc == 0)
		talloc_free(r);
	return rc;
}

static int present(void *ctx, const struct mm *mm, const struct sql *from, const char *const *more, struct sql *ret,
		   struct err *err)
{
	const char *on[MM_KINDS + MM_MORE_BLOCKS + 1];
	size_t n = 0;

	for (size_t i = 0; i < MM_KINDS; i++)
		if (mm->schema->table[i].present)
			on[n++] = mm->schema->table[i].kind_name;
	for (size_t i = 0; more[i] && i < MM_MORE_BLOCKS; i++)
		on[n++] = more[i];
	on[n] = NULL;
	return mm_template(ctx, from, on, ret, err);
}

int mm_run_present(struct mm *mm, const struct sql *from, const char *const *more, struct err *err)
{
	auto_mem void *ctx = mem_context(mm, "tables");
	struct sql sql;
	int rc;

	if ((rc = present(ctx, mm, from, more, &sql, err)) < 0)
		return rc;
	return db_query(ctx, mm->db, &sql, DB_NONE, 0, NULL, NULL, err);
}

int mm_sweep_late(struct mm *mm, bool small, struct err *err)
{
	int rc = small ? db_query(mm, mm->db, &sql_sweep_late_all, DB_NONE, 0, NULL, NULL, err)
		       : mm_run_present(mm, &sql_sweep_late, no_more, err);

	return rc < 0 ? rc : db_query(mm, mm->db, &sql_sweep_late_analyze, DB_NONE, 0, NULL, NULL, err);
}

int mm_sweep_orphans(struct mm *mm, db_row_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(mm, "orphans");
	struct sql sql;
	int rc;

	if ((rc = present(ctx, mm, &sql_sweep_orphans, no_more, &sql, err)) < 0)
		return rc;
	return db_stream(mm->db, &sql, 0, NULL, fn, payload, err);
}
