/*
 * mm_export_fill.c - which rows belong to an export unit, and in which order: work tables in its snapshot.
 *
 * A small unit is found by index probes.  For a large one posts are read once, by parallel workers where the server has
 * them to spare, and all tables that name posts are joined with it at once, or by two sessions some of them each.
 */
#include <mmretain/mm.h>

#include "mm_export_internal.h"
#include "mm_sql.h"

int mm_export_stop(const struct mm_export *x, struct err *err)
{
	return x->stoppable ? stop_check(err) : 0;
}

int mm_export_run(struct mm_export *x, const struct sql *sql, struct err *err)
{
	int rc = mm_export_stop(x, err);

	return rc < 0 ? rc : db_query(x, x->mm->db, sql, DB_NONE, 0, NULL, NULL, err);
}

static bool is_parts(const struct mm_export *x)
{
	return x->parts_before_ms != INT64_MIN;
}

static char *number(void *ctx, int64_t v)
{
	return mem_printf(ctx, "%lld", (long long)v);
}

static int fill(struct mm_export *x, const struct sql *sql, int n_params, const char *const *params, struct err *err)
{
	int rc = mm_export_stop(x, err);

	if (rc == 0)
		rc = db_query(x, x->mm->db, sql, DB_NONE, n_params, params, NULL, err);
	if (rc == 0)
		x->posts = (uint64_t)db_affected(x->mm->db);
	return rc;
}

static int join_others(struct mm_export *x, struct err *err)
{
	static const char *const all[] = {"many", "rest", NULL}, *const rest[] = {"rest", NULL};

	int rc = mm_export_stop(x, err);

	return rc < 0 ? rc : mm_run_present(x->mm, &sql_export_dep, x->twin ? rest : all, err);
}

static int look_same(struct mm_export *x, struct err *err)
{
	struct db_result *r;
	int rc = db_query(x, x->mm->db, &sql_export_same, DB_ONE, 0, NULL, &r, err);

	if (rc < 0)
		return rc;
	x->same =
		(uint64_t)db_i64(r, 0, 0) == x->planned && (uint64_t)db_i64(r, 0, 1) == x->threads && !db_bool(r, 0, 2);
	x->ids_sound = !db_bool(r, 0, 3);
	talloc_free(r);
	return 0;
}

/* With lost copies the posts once more, in the way that finds them. */
static int fill_large(struct mm_export *x, const char *const *params, struct err *err)
{
	bool lost;
	int rc;

	if ((rc = mm_export_double(x, err)) < 0 || (rc = fill(x, &sql_export_posts_named, 3, params, err)) < 0 ||
	    (rc = mm_export_look(x, &lost, err)) < 0)
		return rc;
	if (lost && ((rc = mm_export_run(x, &sql_export_again, err)) < 0 ||
		     (rc = fill(x, &sql_export_posts_fill, 3, params, err)) < 0))
		return rc;
	if ((rc = mm_export_run(x, &sql_export_analyze_post, err)) < 0 || (rc = mm_export_share(x, err)) < 0 ||
	    (rc = join_others(x, err)) < 0)
		return rc;
	return lost ? 0 : look_same(x, err);
}

static int fill_posts(struct mm_export *x, int64_t since_ms, struct err *err)
{
	auto_mem void *ctx = mem_context(x, "parameters");
	const char *params[] = {number(ctx, since_ms), number(ctx, x->min_root_ms), number(ctx, x->max_root_ms)};
	int rc;

	if (!is_parts(x) && !x->small)
		return fill_large(x, params, err);
	mm_export_single(x); /* it was taken for a large one */
	if (is_parts(x))
		rc = fill(x, &sql_export_parts, 2, (const char *[]){number(ctx, x->parts_before_ms), params[0]}, err);
	else
		rc = fill(x, &sql_export_posts_probe, 1, params, err);
	if (rc < 0 || (rc = mm_export_run(x, &sql_export_analyze_post, err)) < 0)
		return rc;
	return x->small ? 0 : join_others(x, err);
}

/* Files of the posts; of parts also those that an edit took off a post which stays. */
static int fill_files(struct mm_export *x, struct err *err)
{
	auto_mem char *before = number(x, x->parts_before_ms);
	const char *param = before;
	int rc;

	if (is_parts(x))
		rc = db_query(x, x->mm->db, &sql_export_part_fill, DB_NONE, 1, &param, NULL, err);
	else
		rc = mm_export_run(x, x->small ? &sql_export_file_fill : &sql_export_file_dep, err);
	return rc < 0 ? rc : mm_export_run(x, &sql_export_analyze_file, err);
}

int mm_export_fill(struct mm_export *x, int64_t since_ms, struct err *err)
{
	int rc;

	if ((rc = mm_export_run(x, &sql_export_analyze_thread, err)) < 0 ||
	    (rc = mm_unit_small(x->mm, x->threads, MM_UNIT_SHARE, &x->small, err)) < 0 ||
	    (rc = mm_unit_joins(x->mm, x->small, err)) < 0 || (rc = fill_posts(x, since_ms, err)) < 0)
		return rc;
	return fill_files(x, err);
}

int mm_export_few(struct mm_export *x, struct err *err)
{
	int rc = mm_export_run(x, x->small ? &sql_export_few_all : &sql_export_few, err);

	return rc < 0 ? rc : mm_export_run(x, &sql_export_analyze_few, err);
}

int mm_export_changed(struct mm_export *x, db_row_fn fn, void *payload, struct err *err)
{
	if (x->same)
		return 0;
	return db_stream(x->mm->db, is_parts(x) ? &sql_export_part_changed : &sql_export_changed, 0, NULL, fn, payload,
			 err);
}

int mm_export_odd(struct mm_export *x, db_row_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "odd ids");
	const char *const on[] = {x->ids_sound ? NULL : "posts", NULL};
	struct sql sql;
	int rc = mm_template(ctx, &sql_export_odd, on, &sql, err);

	return rc < 0 ? rc : db_stream(x->mm->db, &sql, 0, NULL, fn, payload, err);
}

int mm_export_drop(struct mm_export *x, const uint64_t *threads, size_t n, struct err *err)
{
	static const struct sql *const rest[] = {&sql_export_drop_file, &sql_export_drop_dep};
	struct db_array a;
	const char *param;
	int rc;

	db_array_init(&a, x);
	for (size_t i = 0; i < n; i++)
		db_array_add_i64(&a, (int64_t)threads[i]);
	param = db_array_text(&a);
	rc = db_query(x, x->mm->db, &sql_export_drop, DB_NONE, 1, &param, NULL, err);
	if (rc == 0)
		x->posts -= (uint64_t)db_affected(x->mm->db);
	for (size_t i = 0; i < ARRAY_LEN(rest) - x->small && rc == 0; i++)
		rc = db_query(x, x->mm->db, rest[i], DB_NONE, 1, &param, NULL, err);
	if (rc == 0)
		rc = mm_export_drop_beside(x, param, err);
	db_array_clear(&a);
	return rc;
}
