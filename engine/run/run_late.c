/*
 * run_late.c - attachments of threads that a sweep has put back.
 *
 * In the run that deleted a thread they are in their place.  Where the reply came after they had gone, what the bundle
 * holds of them is put there again: else the thread would stand without them, and stay for that (`file_missing`) for
 * good.  The thread is back whatever becomes of them, and has no line yet, so nothing here ends a run, nor does a stop
 * end this.
 */
#include "run_internal.h"
#include "run_restore.h"

#include <stdlib.h>
#include <string.h>

struct row { char *kind, *id, *path; };

/* Of a line of the bundle; only files have a path. */
static void scan(void *ctx, const char *line, size_t len, struct row *ret)
{
	struct json_scan s;

	*ret = (struct row){NULL};
	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		char **to = s.type != JSON_STR				      ? NULL
			    : s.key_len == 1 && *s.key == 'k'		      ? &ret->kind
			    : s.key_len == 2 && memcmp(s.key, "id", 2) == 0   ? &ret->id
			    : s.key_len == 4 && memcmp(s.key, "path", 4) == 0 ? &ret->path
									      : NULL;
		struct buf b;

		if (!to)
			continue;
		buf_init(&b, ctx, s.val_len + 1);
		if (json_unescape(&b, s.val, s.val_len) && !memchr(b.data, '\0', b.len))
			*to = mem_strndup(ctx, b.data, b.len);
	}
}

static int put_file(struct run *run, const struct audit_thread *t, const struct row *row, struct run_restored *sum,
		    struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "late attachment");
	int rc = run_restore_file(ctx, run->mm, t, row->id, row->path, sum, /* act= */ true, err);

	/* What is there by now, whatever it is, stays. */
	if (rc != -ERR_GUARD)
		return rc;
	err_clear(err);
	return 0;
}

static int put_thread(struct run *run, const struct audit_thread *t, const char *lines, size_t len,
		      struct run_restored *sum, struct err *err)
{
	int rc = 0;

	for (const char *p = lines, *end = lines + len, *nl; rc == 0 && p < end; p = nl + 1) {
		auto_mem void *ctx = mem_context(NULL, "late row");
		struct row row;

		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			break;
		scan(ctx, p, (size_t)(nl - p), &row);
		if (row.kind && strcmp(row.kind, "file") == 0 && row.id && row.path)
			rc = put_file(run, t, &row, sum, err);
	}
	return rc;
}

static int put_all(struct run *run, void *ctx, const char *rel_path, const mm_id *root, size_t n,
		   struct run_restored *sum, struct err *err)
{
	const struct catalog_options options = {.scan = true};
	mm_id *sorted = mem_array(ctx, mm_id, n);
	struct audit_walk *w;
	struct audit *a;
	size_t found = 0;
	int rc;

	if ((rc = audit_open(ctx, run->store, &options, &a, err)) < 0 ||
	    (rc = audit_walk_open(a, rel_path, ctx, &w, err)) < 0 || audit_walk_parts(w))
		return rc;
	/* After a crash these are all threads of the bundle that are there. */
	memcpy(sorted, root, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, mm_id_cmp);
	while (found < n) {
		auto_mem void *tmp = mem_context(NULL, "late thread");
		struct audit_thread *t;
		const char *lines;
		size_t len;

		if ((rc = audit_walk_next(w, tmp, &t, &lines, &len, err)) <= 0)
			return rc;
		if (!bsearch(t->root, sorted, n, sizeof *sorted, mm_id_cmp))
			continue;
		found++;
		if ((rc = put_thread(run, t, lines, len, sum, err)) < 0)
			return rc;
	}
	return rc;
}

void run_late_files(struct run *run, const struct receipt *receipt, const mm_id *root, size_t n)
{
	auto_mem void *ctx = mem_context(NULL, "late attachments");
	struct run_restored sum = {.files_put = 0};
	struct err err = {0};
	int rc;

	if (n == 0 || receipt_waived(receipt) || !mm_has_files(run->mm))
		return;
	rc = put_all(run, ctx, receipt_rel_path(receipt), root, n, &sum, &err);
	if (sum.files_put)
		log_info("%llu attachment%s of threads that came back to a late reply had gone and %s in place again",
			 (unsigned long long)sum.files_put, sum.files_put == 1 ? "" : "s",
			 sum.files_put == 1 ? "is" : "are");
	if (rc < 0)
		log_warn("attachments of threads that came back to a late reply may not be in their place: %s; the "
			 "first of them is %s, `mmretain restore` of it puts them there",
			 err.msg, root[0]);
}
