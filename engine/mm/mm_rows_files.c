/*
 * mm_rows_files.c - bytes of attachments beside a scan in parts (thread_files.sql).
 *
 * A file is uploaded before its post is written, so the files of old posts are old themselves, unless an edit added
 * one.  Rows that were changed since the cut-off name their threads, and only these are asked for newer files.  A file
 * that somebody gave to an old post by hand is not counted in a plan; an export finds it by its post.
 */
#include "mm_rows_files.h"

#include <string.h>

#include "mm_sql.h"

enum { MOST_CHANGED = 5000 }; /* ids in one array parameter */

static int take_files(void *payload, const struct db_row *row, struct err *err)
{
	struct mm_part part = {.hold = -1, .channel = MM_NO_INDEX};

	if (!row->value[0] || row->len[0] > MM_ID)
		return 0;
	memcpy(part.root, row->value[0], row->len[0] + 1);
	part.bytes = row->value[1] ? (uint64_t)db_bigint(row->value[1]) : 0;
	return mm_fold_add(payload, &part, err);
}

static int ask(const struct mm_rows_files *f, const char *block, const char *const *p, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "files of threads");
	const char *const on[] = {block, NULL};
	struct sql sql;
	int r = mm_template(ctx, &sql_thread_files, on, &sql, err);

	return r < 0 ? r : db_stream(f->mm->db, &sql, 2, p, take_files, f->to, err);
}

static int settings(const struct mm_rows_files *f, const char *joins, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "settings");
	struct db_result *res;

	return db_query(ctx, f->mm->db, &sql_thread_files_settings, DB_ONE, 1, &joins, &res, err);
}

/* 1 few, 0 many, or one whose age nobody knows. */
static int few_files(const struct mm_rows_files *f, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "number of files");
	struct db_result *res;
	int r = db_query(ctx, f->mm->db, &sql_thread_files_few, DB_ONE, 0, NULL, &res, err);

	return r < 0 ? r : db_bool(res, 0, 0);
}

void mm_rows_files_init(struct mm_rows_files *f, void *ctx, struct mm *mm, struct mm_fold *to)
{
	*f = (struct mm_rows_files){.mm = mm, .to = to};
	db_array_init(&f->changed, ctx);
}

void mm_rows_files_row(struct mm_rows_files *f, const char *thread, size_t len, bool changed)
{
	if (changed && f->changed.n <= MOST_CHANGED)
		db_array_add(&f->changed, thread, len);
}

int mm_rows_files_fold(struct mm_rows_files *f, const char *cut_ms, struct err *err)
{
	const char *p[] = {cut_ms, NULL};
	int r = f->changed.n > MOST_CHANGED ? 0 : few_files(f, err);

	if (r <= 0)
		return r < 0 ? r : ask(f, "every", p, err);
	if ((r = settings(f, "off", err)) < 0 || (r = ask(f, "before", p, err)) < 0)
		return r;
	if (f->changed.n) {
		p[1] = db_array_text(&f->changed);
		r = ask(f, "since", p, err);
	}
	return r < 0 ? r : settings(f, "on", err);
}
