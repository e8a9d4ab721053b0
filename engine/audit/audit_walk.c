/*
 * audit_walk.c - a bundle's threads one after the other, each of its frames read once.
 *
 * Through a reader of its own: whoever walks may ask for other bundles meanwhile, which closes readers of the audit.
 */
#include "audit_internal.h"

#include <string.h>

struct audit_walk {
	struct audit_bundle *bundle;
	struct bundle_reader *reader;
	struct catalog_rows *rows;
	/* the line that begins the next thread; empty: none was read yet, or there is none */
	struct buf next;
	struct buf lines;                    /* of the thread that was given last */
	bool over;
};

static int walk_free(struct audit_walk *w)
{
	w->bundle->walked = false;
	TALLOC_FREE(w->bundle->files); /* of a night with thousands of bundles each has its list */
	return 0;
}

int audit_walk_open(struct audit *a, const char *rel_path, void *ctx, struct audit_walk **ret, struct err *err)
{
	struct audit_walk *w;
	size_t i = 0;
	int rc;

	while (i < a->catalog->n_bundles && strcmp(a->bundle[i].rel_path, rel_path) != 0)
		i++;
	if (i == a->catalog->n_bundles)
		return err_set(err, ERR_NOT_FOUND, "there is no bundle \"%s\" in the archive", rel_path);
	w = mem_new(ctx, struct audit_walk);
	buf_init(&w->next, w, BUNDLE_ROW_MAX);
	buf_init(&w->lines, w, THREAD_BYTES_MAX);
	if ((rc = bundle_use(a, i, &w->bundle, err)) < 0 ||
	    (rc = bundle_open(w, a->store->root_dirfd, rel_path, &w->reader, err)) < 0 ||
	    (rc = catalog_rows_new(w, w->reader, &w->rows, err)) < 0) {
		talloc_free(w);
		return rc;
	}
	w->bundle->walked = true;
	talloc_set_destructor(w, walk_free);
	*ret = w;
	return 0;
}

bool audit_walk_parts(const struct audit_walk *w)
{
	return w->bundle->parts;
}

static int take(struct audit_walk *w, struct audit_thread *t, const char *line, size_t len,
		const struct catalog_row *row, struct err *err)
{
	buf_put(&w->lines, line, len);
	buf_byte(&w->lines, '\n');
	if (w->lines.overflow)
		return err_set(err, ERR_VERIFY, "thread %s is larger than %zu MiB", t->root, THREAD_BYTES_MAX >> 20);
	return thread_take(t, row, err);
}

/* 1: a line, decoded; the one that was put aside first. */
static int read_line(struct audit_walk *w, const char **line, size_t *len, struct catalog_row *row, struct err *err)
{
	int rc = 1;

	*line = w->next.data;
	*len = w->next.len;
	if (w->next.len == 0)
		rc = bundle_read_row(w->reader, line, len, err);
	w->over = rc == 0;
	if (rc <= 0)
		return rc;
	w->bundle->audit->stats.rows++;
	rc = catalog_row_decode(w->rows, *line, *len, row, err);
	return rc < 0 ? rc : 1;
}

/* A thread begins with its root and ends where the next root begins. */
static int read_thread(struct audit_walk *w, struct audit_thread *t, struct err *err)
{
	struct catalog_row row;
	const char *line;
	size_t len;
	int rc;

	while ((rc = read_line(w, &line, &len, &row, err)) == 1) {
		bool begins = catalog_row_is_root(&row);

		if (begins && t->root) {
			buf_put(&w->next, line, len);
			return 0;
		}
		if (!begins && !t->root)
			return err_set(err, ERR_VERIFY, "\"%s\" is damaged: its rows do not begin with a thread",
				       w->bundle->rel_path);
		if (begins)
			t->root = text_dup(t, row.id);
		if ((rc = take(w, t, line, len, &row, err)) < 0)
			return rc;
		if (begins)
			buf_clear(&w->next);
	}
	return rc;
}

int audit_walk_next(struct audit_walk *w, void *ctx, struct audit_thread **ret, const char **ret_lines, size_t *ret_len,
		    struct err *err)
{
	struct audit_thread *t;
	int rc;

	if (w->over)
		return 0;
	t = mem_new(ctx, struct audit_thread);
	t->bundle = w->bundle;
	t->channel = mem_strdup(t, "");
	t->parts = w->bundle->parts;
	buf_clear(&w->lines);
	rc = read_thread(w, t, err);
	if (rc < 0 || !t->root) {
		talloc_free(t);
		return rc;
	}
	*ret = t;
	*ret_lines = w->lines.data;
	*ret_len = w->lines.len;
	return 1;
}
