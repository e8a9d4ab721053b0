/*
 * mm_joins.c - how a unit of posts is joined with whole tables.
 *
 * A small unit is found by index probes: hashing whole tables would cost the same for three threads as for all of them.  A large unit is
 * cheaper by hash joins.  The planner misjudges the small ones, because most posts share one rootid and one originalid: ''.
 */
#include <mmretain/mm.h>

#include "mm_sql.h"

int mm_unit_small(struct mm *mm, uint64_t posts, bool *ret, struct err *err)
{
	char text[24];
	const char *param = text;
	struct db_result *r;
	int rc;

	snprintf(text, sizeof text, "%llu", (unsigned long long)posts);
	if ((rc = db_query(mm, mm->db, &sql_joins_share, DB_ONE, 1, &param, &r, err)) < 0)
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
