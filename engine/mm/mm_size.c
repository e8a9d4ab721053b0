/*
 * mm_size.c - how much channels hold, for limits and guards.
 */
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

static const char *id_array(void *ctx, const char *const *ids, size_t n)
{
	struct db_array a;

	db_array_init(&a, ctx);
	for (size_t i = 0; i < n; i++)
		db_array_add(&a, ids[i], strlen(ids[i]));
	return db_array_text(&a);
}

static int planner(void *ctx, struct mm *mm, const char *index_scan, const char *sort_and_join, struct err *err)
{
	const char *p[] = {index_scan, sort_and_join};
	struct db_result *res;

	return db_query(ctx, mm->db, &sql_size_settings, DB_ONE, 2, p, &res, err);
}

/* Of posts with an index_scan "off", of their files with "on". */
static int sum_bytes(void *ctx, struct mm *mm, const struct sql *sql, const char *index_scan, const char *ids, struct db_result **ret,
		     struct err *err)
{
	int r = planner(ctx, mm, index_scan, "off", err);

	if (r == 0)
		r = db_query(ctx, mm->db, sql, DB_ANY, 1, &ids, ret, err);
	return r < 0 ? r : planner(ctx, mm, "on", "on", err);
}

static int add_files(void *ctx, struct mm *mm, const char *ids, struct mm_size *size, size_t n, struct err *err)
{
	struct mm_idmap map;
	struct db_result *res;
	int r = sum_bytes(ctx, mm, &sql_size_files, "on", ids, &res, err);

	if (r < 0)
		return r;
	mm_idmap_init(&map, ctx, sizeof *size);
	mm_idmap_base(&map, size);
	for (size_t i = 0; i < n; i++)
		mm_idmap_add(&map);
	for (int64_t i = 0; i < db_rows(res); i++) {
		uint32_t at = mm_idmap_find(&map, db_text(res, i, 0), db_len(res, i, 0));

		if (at != MM_NO_INDEX)
			size[at].bytes += (uint64_t)db_i64(res, i, 1);
	}
	return 0;
}

/* ---- posts per channel, half of the channels by each of two sessions ---- */

struct count { void *ctx; struct mm *mm; const char *ids; struct db_result *res; };

static int count_posts(void *payload, struct err *err)
{
	struct count *c = payload;

	return db_query(c->ctx, c->mm->db, &sql_size_posts, DB_ANY, 1, &c->ids, &c->res, err);
}

static const char *every_other(void *ctx, const char *const *ids, size_t n, size_t from)
{
	struct db_array a;

	db_array_init(&a, ctx);
	for (size_t i = from; i < n; i += 2)
		db_array_add(&a, ids[i], strlen(ids[i]));
	return db_array_text(&a);
}

static size_t take_counts(const struct count *c, struct mm_size *size)
{
	int64_t n = c->res ? db_rows(c->res) : 0;

	for (int64_t i = 0; i < n; i++) {
		snprintf(size[i].channel_id, sizeof size[i].channel_id, "%s", db_text(c->res, i, 0));
		size[i].posts = (uint64_t)db_i64(c->res, i, 1);
	}
	return (size_t)n;
}

static int posts_only(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, struct mm_size **ret, size_t *ret_n,
		      struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "mm_sizes"), *other = mem_context(NULL, "mm_sizes beside");
	struct count here = {.ctx = tmp, .mm = mm}, beside = {.ctx = other};
	int r = mm_twin(mm, &beside.mm, err);

	if (r < 0)
		return r;
	here.ids = beside.mm ? every_other(tmp, channel_ids, n, 0) : id_array(tmp, channel_ids, n);
	beside.ids = every_other(tmp, channel_ids, n, 1);
	r = beside.mm ? mm_both(count_posts, &here, &beside, err) : count_posts(&here, err);
	if (r < 0)
		return r;
	*ret = mem_array(ctx, struct mm_size, n + 1);
	*ret_n = take_counts(&here, *ret);
	*ret_n += take_counts(&beside, *ret + *ret_n);
	return 0;
}

static int posts_and_bytes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, bool all_channels,
			   struct mm_size **ret, size_t *ret_n, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "mm_sizes");
	const char *ids = all_channels ? NULL : id_array(tmp, channel_ids, n);
	struct db_result *res;
	struct mm_size *size;
	size_t rows;
	int r = sum_bytes(tmp, mm, &sql_size_bytes, "off", ids, &res, err);

	if (r < 0)
		return r;
	rows = (size_t)db_rows(res);
	size = mem_array(ctx, struct mm_size, rows + 1);
	for (size_t i = 0; i < rows; i++) {
		snprintf(size[i].channel_id, sizeof size[i].channel_id, "%s", db_text(res, (int64_t)i, 0));
		size[i].posts = (uint64_t)db_i64(res, (int64_t)i, 1);
		size[i].bytes = (uint64_t)db_i64(res, (int64_t)i, 2);
	}
	r = add_files(tmp, mm, ids, size, rows, err);
	if (r < 0)
		return r;
	*ret = size;
	*ret_n = rows;
	return 0;
}

int mm_sizes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, bool all_channels, bool with_bytes,
	     struct mm_size **ret, size_t *ret_n, struct err *err)
{
	if (with_bytes)
		return posts_and_bytes(ctx, mm, channel_ids, n, all_channels, ret, ret_n, err);
	return posts_only(ctx, mm, channel_ids, n, ret, ret_n, err);
}

int mm_count_up_to(struct mm *mm, const char *const *channel_ids, size_t n, uint64_t stop, void (*meanwhile)(void *payload), void *payload,
		   uint64_t *ret, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_count_up_to");
	const char *p[] = {id_array(ctx, channel_ids, n), mem_printf(ctx, "%llu", (unsigned long long)stop)};
	struct db_result *res;
	int r = db_query_meanwhile(ctx, mm->db, &sql_size_at_least, DB_ONE, 2, p, meanwhile, payload, &res, err);

	if (r == 0)
		*ret = (uint64_t)db_i64(res, 0, 0);
	return r;
}

int mm_reach(struct mm *mm, const char *const *channel_ids, const uint64_t *posts, size_t n, int64_t *ret_before_ms, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_reach");
	const char *p[2] = {id_array(ctx, channel_ids, n)};
	struct db_array counts;
	struct db_result *res;
	int r;

	db_array_init(&counts, ctx);
	for (size_t i = 0; i < n; i++)
		db_array_add_i64(&counts, (int64_t)posts[i]);
	p[1] = db_array_text(&counts);
	r = db_query(ctx, mm->db, &sql_size_reach, DB_ANY, 2, p, &res, err);
	if (r == 0 && db_rows(res) != (int64_t)n)
		return err_set(err, ERR_INTERNAL, "size_reach gave %lld rows for %zu channels", (long long)db_rows(res), n);
	for (size_t i = 0; r == 0 && i < n; i++)
		ret_before_ms[i] = db_null(res, (int64_t)i, 1) ? INT64_MAX : db_i64(res, (int64_t)i, 1);
	return r;
}
