/* audit_locate.c - from the id of a post or a file to the place where its thread begins. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ID_SIGNS = 26 };

struct looking { const char *id; size_t len; bool found, is_file, parts; char thread[64], post[64]; };

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
	if (row->kind != CATALOG_POST && row->kind != CATALOG_FILE)
		return 0;
	/* Where the thread or the post stayed on the server, what is left of it names it. */
	bool named = l->parts && row->kind == CATALOG_POST &&
		     (text_is(row->root, l->id, l->len) || text_is(row->original, l->id, l->len));
	if (!named && !text_is(row->id, l->id, l->len))
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
	l->parts = b->parts;
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
	uint64_t expired = audit_expired(a), lost;

	if (audit_lost_tell(a, id, err))
		return err->code;
	if (a->stats.bundles_unreadable) {
		err_set(err, ERR_VERIFY, "no archived post or file that can be read has the id \"%s\"", id);
		if (a->stats.bundles_missing)
			return err_hint(err, "A bundle is missing that may hold it. " AUDIT_MISSING_HINT);
		return err_hint(err, "Put the bundles that cannot be read back from a copy of the archive; `mmretain "
				     "verify` names them.");
	}
	err_set(err, ERR_NOT_FOUND, "no archived post or file has the id \"%s\" (%zu bundles looked at)", id,
		a->catalog->n_bundles);
	if (expired)
		return err_hint(err,
				"%llu bundle%s of this archive %s past %s time and %s removed: when its thread was in "
				"one of them, it is gone.",
				(unsigned long long)expired, expired == 1 ? "" : "s", expired == 1 ? "was" : "were",
				expired == 1 ? "its" : "their", expired == 1 ? "was" : "were");
	if ((lost = audit_lost(a)))
		return err_hint(err, "%llu bundle%s of this archive %s declared lost; `mmretain verify` lists %s.",
				(unsigned long long)lost, lost == 1 ? "" : "s", lost == 1 ? "was" : "were",
				lost == 1 ? "it" : "them");
	if (strlen(id) != ID_SIGNS)
		return err_hint(err,
				"An id has %d letters and digits, as at the end of a permalink; search for words with "
				"`mmretain find`.",
				ID_SIGNS);
	return err_hint(err, "Search with `mmretain find`; `--scan` reads every bundle without an index.");
}

/* ---- where a part begins ---- */

static int last_thread(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	(void)line;
	(void)len;
	(void)err;
	if (row->kind == CATALOG_POST)
		keep(payload, thread_of(row));
	return 0;
}

/* Found in the middle: the run of its posts may have begun in a frame before. */
static int part_begin(struct audit *a, size_t i, const char *root, uint32_t *frame, struct err *err)
{
	struct audit_bundle *b;
	int rc = bundle_use(a, i, &b, err);

	while (!rc && *frame > 0 && is_rows_frame(b, *frame - 1)) {
		char last[64] = "";
		rc = frame_rows(b, *frame - 1, NULL, last_thread, last, err);
		if (strcmp(last, root) != 0)
			break;
		--*frame;
	}
	return rc;
}

static int located(struct audit *a, size_t i, const char *root, uint32_t frame, bool parts, struct audit_ref *ret,
		   struct err *err)
{
	int rc = parts ? part_begin(a, i, root, &frame, err) : 0;

	ret->bundle = i;
	ret->frame = frame;
	ret->earlier = false;
	(void)snprintf(ret->root, sizeof(ret->root), "%s", root); /* ids are 26 */
	return rc < 0 ? rc : 1;
}

/* Follows file -> post -> root inside the bundle. */
int locate_in(struct audit *a, size_t i, const char *id, struct audit_ref *ret, struct err *err)
{
	struct looking l = {.id = id, .len = strlen(id)};
	uint32_t frame = 0;
	int rc = l.len ? look_in_bundle(a, i, &l, &frame, err) : 0;

	for (int step = 0; step < 3 && rc > 0; step++) {
		char next[64];
		(void)snprintf(next, sizeof(next), "%s", l.is_file ? l.post : l.thread); /* same size */
		if (!l.is_file && (l.parts || !strcmp(next, l.id)))
			return located(a, i, next, frame, l.parts, ret, err);
		l = (struct looking){.id = mem_strdup(a, next), .len = strlen(next)};
		rc = l.len ? look_in_bundle(a, i, &l, &frame, err) : 0;
	}
	return rc < 0 ? rc : 0;
}

struct aged { uint32_t seq; size_t at; };

static int by_seq(const void *x, const void *y)
{
	const struct aged *a = x, *b = y;

	return a->seq != b->seq ? (a->seq < b->seq ? -1 : 1) : a->at < b->at ? -1 : a->at > b->at;
}

/* By the numbers of the bundles, which only grow; paths begin with team and expiry. */
static void age_all(struct audit *a)
{
	size_t n = a->catalog->n_bundles;
	struct aged *list = mem_array(a, struct aged, n + 1);

	for (size_t i = 0; i < n; i++) {
		const char *slash = strrchr(a->catalog->bundle[i].rel_path, '/');
		list[i] = (struct aged){slash ? store_seq_of(slash + 1) : 0, i};
	}
	qsort(list, n, sizeof(*list), by_seq);
	a->by_age = mem_array(a, size_t, n + 1);
	for (size_t i = 0; i < n; i++)
		a->by_age[i] = list[i].at;
	talloc_free(list);
}

/* The newest bundle first: a thread that was restored and archived again is there as it was last.  A whole thread
 * before parts of it. */
int audit_locate(struct audit *a, const char *id, struct audit_ref *ret, struct err *err)
{
	bool part = false;
	size_t len = strlen(id);

	if (!a->by_age)
		age_all(a);
	for (size_t k = len && len < sizeof(ret->root) ? a->catalog->n_bundles : 0; k-- > 0;) {
		struct audit_ref ref;
		size_t i = a->by_age[k];
		int rc = bundle_passed(a, i, locate_in(a, i, id, &ref, err), err);
		if (rc < 0)
			return rc;
		if (rc == 0 || (part && a->bundle[i].parts))
			continue;
		*ret = ref;
		if (!a->bundle[i].parts)
			return missing_id(a, id, a->bundle[i].rel_path, err);
		part = true;
	}
	int rc = len ? missing_id(a, id, NULL, err) : 0;
	return rc < 0 || part ? rc : not_found(a, id, err);
}
