/* audit_locate.c - from the id of a post or a file to the place where its thread begins. */
#include "audit_internal.h"

#include <string.h>

struct looking { const char *id; size_t len; bool found, is_file; char thread[64], post[64]; };

static bool line_has_id(const void *payload, const char *line, size_t len)
{
	const struct looking *l = payload;

	return memmem(line, len, l->id, l->len) != NULL;
}

static void keep(char ret[64], struct catalog_text t)
{
	(void)snprintf(ret, 64, "%.*s", (int)(t.len < 63 ? t.len : 63), t.s ? t.s : ""); /* ids are 26 */
}

static int look_at(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	struct looking *l = payload;

	(void)line;
	(void)len;
	(void)err;
	if ((row->kind != CATALOG_POST && row->kind != CATALOG_FILE) || !text_is(row->id, l->id, l->len))
		return 0;
	l->found = true;
	l->is_file = row->kind == CATALOG_FILE;
	if (l->is_file)
		keep(l->post, row->post);
	else
		keep(l->thread, thread_of(row));
	return 1;
}

/* 1: found, in *ret_frame. */
static int look_in_bundle(struct audit *a, size_t i, struct looking *l, uint32_t *ret_frame, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "locate");
	struct audit_bundle *b;
	struct catalog_hits hits;
	int rc = catalog_frames_of_id(a->catalog, i, l->id, tmp, &hits, err);

	if (rc || (!hits.all && hits.n == 0))
		return rc;
	rc = bundle_use(a, i, &b, err);
	if (rc)
		return rc;
	size_t n = hits.all ? bundle_frames(b->reader) : hits.n;
	for (size_t k = 0; k < n && !rc; k++) {
		uint32_t frame = hits.all ? (uint32_t)k : hits.frame[k];
		rc = frame_rows(b, frame, line_has_id, look_at, l, err);
		if (rc > 0)
			*ret_frame = frame;
	}
	return rc;
}

static int not_found(const struct audit *a, const char *id, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "no archived post or file has the id \"%s\" (%zu bundles looked at)", id, a->catalog->n_bundles);
	return err_hint(err, "Search with `mmretain find`; `--scan` reads every bundle without an index.");
}

/* Follows file -> post -> root inside the bundle. */
static int follow(struct audit *a, size_t i, struct looking *l, uint32_t frame, struct audit_ref *ret, struct err *err)
{
	for (int step = 0; step < 3; step++) {
		char next[64];
		(void)snprintf(next, sizeof(next), "%s", l->is_file ? l->post : l->thread); /* same size */
		if (!l->is_file && !strcmp(next, l->id)) {
			ret->bundle = i;
			ret->frame = frame;
			(void)snprintf(ret->root, sizeof(ret->root), "%s", next); /* same size */
			return 1;
		}
		*l = (struct looking){.id = mem_strdup(a, next), .len = strlen(next)};
		int rc = l->len ? look_in_bundle(a, i, l, &frame, err) : 0;
		if (rc <= 0)
			return rc;
	}
	return 0;
}

int audit_locate(struct audit *a, const char *id, struct audit_ref *ret, struct err *err)
{
	size_t len = strlen(id);

	if (len == 0 || len >= sizeof(ret->root))
		return not_found(a, id, err);
	/* The newest bundle first: a thread that was restored and archived again is there as it was last. */
	for (size_t i = a->catalog->n_bundles; i-- > 0;) {
		struct looking l = {.id = id, .len = len};
		uint32_t frame = 0;
		int rc = look_in_bundle(a, i, &l, &frame, err);
		if (rc > 0)
			rc = follow(a, i, &l, frame, ret, err);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
	}
	return not_found(a, id, err);
}
