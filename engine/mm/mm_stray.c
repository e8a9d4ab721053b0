/*
 * mm_stray.c - rows that belong to no thread we could name: counted, never deleted.
 */
#include "mm_internal.h"
#include "mm_sql.h"

static int count(struct mm *mm, const struct sql *sql, int n_params, const char *const *params, uint64_t *ret_first,
		 uint64_t *ret_second, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, mm->db, sql, DB_ONE, n_params, params, &res, err);

	if (r < 0)
		return r;
	*ret_first = (uint64_t)db_i64(res, 0, 0);
	if (ret_second)
		*ret_second = (uint64_t)db_i64(res, 0, 1);
	return 0;
}

int mm_strays(struct mm *mm, struct mm_strays *ret, struct err *err)
{
	struct mm_strays s = {0};
	char now[32];
	const char *param = now;
	int r;

	snprintf(now, sizeof(now), "%lld", (long long)mm->now_ms);
	r = count(mm, &sql_stray_channels, 0, NULL, &s.no_channel, NULL, err);
	if (r == 0)
		r = count(mm, &sql_stray_replies, 0, NULL, &s.no_root, &s.other_channel, err);
	if (r == 0)
		r = count(mm, &sql_stray_copies, 0, NULL, &s.no_original, NULL, err);
	if (r == 0)
		r = count(mm, &sql_stray_times, 1, &param, &s.odd_time, NULL, err);
	if (r == 0)
		*ret = s;
	return r;
}
