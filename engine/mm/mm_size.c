/*
 * mm_size.c - how much channels hold, for limits and guards.
 */
#include <stdlib.h>
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
static int sum_bytes(void *ctx, struct mm *mm, const struct sql *sql, const char *index_scan, int n_params,
		     const char *const *params, struct db_result **ret, struct err *err)
{
	int r = planner(ctx, mm, index_scan, "off", err);

	if (r == 0)
		r = db_query(ctx, mm->db, sql, DB_ANY, n_params, params, ret, err);
	return r < 0 ? r : planner(ctx, mm, "on", "on", err);
}

/* ---- files ---- */

struct files {
	void *ctx;               /* of results */
	struct mm *mm;
	const char *ids;         /* channels, or NULL for all */
	struct mm_size *size;    /* ids and posts are known */
	struct mm_idmap map;     /* of size */
};

static bool names_channel(const struct mm *mm)
{
	const struct mm_table *t = mm->schema ? &mm->schema->table[MM_FILE] : NULL;

	for (size_t i = 0; t && i < t->n_columns; i++)
		if (strcmp(t->column[i].name, "channelid") == 0)
			return true;
	return false;
}

/* By what the files' own rows say.  ret_nameless: some of them say nothing. */
static int add_named(struct files *f, bool *ret_nameless, struct err *err)
{
	struct db_result *res;
	int r = sum_bytes(f->ctx, f->mm, &sql_size_files_named, "on", 0, NULL, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		uint32_t at = mm_idmap_find(&f->map, db_text(res, i, 0), db_len(res, i, 0));

		*ret_nameless = *ret_nameless || !db_len(res, i, 0);
		if (at == MM_NO_INDEX)
			continue;
		f->size[at].named_file_bytes = (uint64_t)db_i64(res, i, 1);
		f->size[at].bytes += f->size[at].named_file_bytes;
	}
	return r;
}

/* By the channel of their post. */
static int add_looked_up(struct files *f, bool named, struct err *err)
{
	struct db_result *res;
	struct sql sql;
	int r = mm_template(f->ctx, &sql_size_files, (const char *const[]){named ? "named" : NULL, NULL}, &sql, err);

	if (r == 0)
		r = sum_bytes(f->ctx, f->mm, &sql, "on", 1, &f->ids, &res, err);
	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		uint32_t at = mm_idmap_find(&f->map, db_text(res, i, 0), db_len(res, i, 0));

		if (at != MM_NO_INDEX)
			f->size[at].bytes += (uint64_t)db_i64(res, i, 1);
	}
	return r;
}

static int add_files(void *ctx, struct mm *mm, const char *ids, struct mm_size *size, size_t n, struct err *err)
{
	struct files f = {.ctx = ctx, .mm = mm, .ids = ids, .size = size};
	bool named = names_channel(mm), nameless = false;
	int r = 0;

	mm_idmap_init(&f.map, ctx, sizeof *size);
	mm_idmap_base(&f.map, size);
	for (size_t i = 0; i < n; i++)
		mm_idmap_add(&f.map);
	if (named)
		r = add_named(&f, &nameless, err);
	return r == 0 && (nameless || !named) ? add_looked_up(&f, named, err) : r;
}

int mm_sure_file_bytes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, struct mm_size **ret,
		       size_t *ret_n, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "mm_sure_file_bytes");
	const char *ids = id_array(tmp, channel_ids, n);
	struct db_result *res;
	int r = sum_bytes(tmp, mm, &sql_size_files_sure, "on", 1, &ids, &res, err);

	if (r < 0)
		return r;
	*ret_n = (size_t)db_rows(res);
	*ret = mem_array(ctx, struct mm_size, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		snprintf((*ret)[i].channel_id, sizeof (*ret)[i].channel_id, "%s", db_text(res, (int64_t)i, 0));
		(*ret)[i].named_file_bytes = (uint64_t)db_i64(res, (int64_t)i, 1);
	}
	return 0;
}

/* ---- posts per channel, half of the channels by each of two sessions ---- */

struct count { struct mm *mm; const char *ids; struct mm_size *size; size_t n, room; };

static int on_count(void *payload, const struct db_row *row, struct err *err)
{
	struct count *c = payload;

	if (c->n == c->room)
		return err_set(err, ERR_INTERNAL, "size_posts gave more rows than channels");
	snprintf(c->size[c->n].channel_id, sizeof c->size->channel_id, "%s", row->value[0]);
	c->size[c->n++].posts = strtoull(row->value[1], NULL, 10);
	return 0;
}

static int count_posts(void *payload, struct err *err)
{
	struct count *c = payload;

	return db_stream(c->mm->db, &sql_size_posts, 1, &c->ids, on_count, c, err);
}

static const char *every_other(void *ctx, const char *const *ids, size_t n, size_t from)
{
	struct db_array a;

	db_array_init(&a, ctx);
	for (size_t i = from; i < n; i += 2)
		db_array_add(&a, ids[i], strlen(ids[i]));
	return db_array_text(&a);
}

static int posts_only(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, struct mm_size **ret,
		      size_t *ret_n, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "mm_sizes");
	struct count here = {.mm = mm}, beside = {.mm = NULL};
	int r = mm_twin(mm, &beside.mm, err);

	if (r < 0)
		return r;
	*ret = here.size = mem_array(ctx, struct mm_size, n + 1);
	here.room = beside.mm ? (n + 1) / 2 : n;
	beside.size = here.size + here.room;
	beside.room = n - here.room;
	here.ids = beside.mm ? every_other(tmp, channel_ids, n, 0) : id_array(tmp, channel_ids, n);
	beside.ids = every_other(tmp, channel_ids, n, 1);
	r = beside.mm ? mm_both(count_posts, &here, &beside, err) : count_posts(&here, err);
	if (r < 0)
		return r;
	memmove(here.size + here.n, beside.size, beside.n * sizeof *here.size);
	*ret_n = here.n + beside.n;
	return 0;
}

static int posts_and_bytes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, bool all_channels,
			   bool oldest, struct mm_size **ret, size_t *ret_n, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "mm_sizes");
	const char *ids = all_channels ? NULL : id_array(tmp, channel_ids, n);
	struct db_result *res;
	struct mm_size *size;
	size_t rows;
	struct sql sql;
	int r = mm_template(tmp, &sql_size_bytes, (const char *const[]){oldest ? "oldest" : NULL, NULL}, &sql, err);

	if (r == 0)
		r = sum_bytes(tmp, mm, &sql, "off", 1, &ids, &res, err);
	if (r < 0)
		return r;
	rows = (size_t)db_rows(res);
	size = mem_array(ctx, struct mm_size, rows + 1);
	for (size_t i = 0; i < rows; i++) {
		snprintf(size[i].channel_id, sizeof size[i].channel_id, "%s", db_text(res, (int64_t)i, 0));
		size[i].posts = (uint64_t)db_i64(res, (int64_t)i, 1);
		size[i].bytes = (uint64_t)db_i64(res, (int64_t)i, 2);
		size[i].oldest_ms = !oldest || db_null(res, (int64_t)i, 3) ? INT64_MAX : db_i64(res, (int64_t)i, 3);
	}
	r = add_files(tmp, mm, ids, size, rows, err);
	if (r < 0)
		return r;
	*ret = size;
	*ret_n = rows;
	return 0;
}

int mm_sizes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, bool all_channels, enum mm_sizes_of of,
	     struct mm_size **ret, size_t *ret_n, struct err *err)
{
	if (of != MM_SIZES_POSTS)
		return posts_and_bytes(ctx, mm, channel_ids, n, all_channels, of == MM_SIZES_OLDEST, ret, ret_n, err);
	return posts_only(ctx, mm, channel_ids, n, ret, ret_n, err);
}

int mm_count_up_to(struct mm *mm, const char *const *channel_ids, size_t n, uint64_t stop,
		   void (*meanwhile)(void *payload), void *payload, uint64_t *ret, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_count_up_to");
	const char *p[] = {id_array(ctx, channel_ids, n), mem_printf(ctx, "%llu", (unsigned long long)stop)};
	struct db_result *res;
	int r = db_query_meanwhile(ctx, mm->db, &sql_size_at_least, DB_ONE, 2, p, meanwhile, payload, &res, err);

	if (r == 0)
		*ret = (uint64_t)db_i64(res, 0, 0);
	return r;
}

int mm_reach(struct mm *mm, const char *const *channel_ids, const uint64_t *posts, size_t n, int64_t *ret_before_ms,
	     struct err *err)
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
		return err_set(err, ERR_INTERNAL, "size_reach gave %lld rows for %zu channels", (long long)db_rows(res),
			       n);
	for (size_t i = 0; r == 0 && i < n; i++)
		ret_before_ms[i] = db_null(res, (int64_t)i, 1) ? INT64_MAX : db_i64(res, (int64_t)i, 1);
	return r;
}
