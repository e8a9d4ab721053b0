/* audit_frames.c - the rows of one frame, counted for -v. */
#include "audit_internal.h"

#include <string.h>

bool is_rows_frame(const struct audit_bundle *b, uint32_t frame)
{
	return frame < bundle_frames(b->reader) &&
	       !strncmp(bundle_frame_at(b->reader, frame)->member, "data/threads/", 13);
}

char *text_dup(void *ctx, struct catalog_text t)
{
	return mem_strndup(ctx, t.s ? t.s : "", t.s ? t.len : 0);
}

struct catalog_text thread_of(const struct catalog_row *row)
{
	if (row->root.len > 0)
		return row->root;
	return row->original.len > 0 ? row->original : row->id;
}

/* Older servers have no channel in a file's row: the post before it has, or else the frame says where it begins. */
static void channel_of_file(struct audit_bundle *b, uint32_t frame, const char *data, const char *line,
			    struct catalog_row *row)
{
	static const char post[] = "{\"k\":\"post\"", erased[] = "{\"k\":\"erased\",\"kind\":\"post\"",
			  key[] = "\"channelid\":\"";
	const char *first = bundle_frame_at(b->reader, frame)->first_channel;

	row->channel = (struct catalog_text){first, strlen(first)};
	while (line > data) {
		const char *end = line - 1, *start = end;
		while (start > data && start[-1] != '\n')
			start--;
		line = start;
		if ((size_t)(end - start) < sizeof(erased) ||
		    (memcmp(start, post, sizeof(post) - 1) != 0 && memcmp(start, erased, sizeof(erased) - 1) != 0))
			continue;
		const char *at = memmem(start, (size_t)(end - start), key, sizeof(key) - 1);
		const char *id = at ? at + sizeof(key) - 1 : NULL,
			   *quote = id ? memchr(id, '"', (size_t)(end - id)) : NULL;
		if (quote)
			row->channel = (struct catalog_text){id, (size_t)(quote - id)};
		return;
	}
}

static int rows_of(struct audit_bundle *b, uint32_t frame, const char *data, size_t size, line_fn wanted, frame_fn fn,
		   void *payload, struct err *err)
{
	struct catalog_row row;
	int rc = 0;

	for (const char *p = data, *end = data + size; p < end && !rc;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "\"%s\" is damaged: a frame does not end with a whole row",
				       b->rel_path);
		size_t len = (size_t)(nl - p);
		b->audit->stats.rows++;
		if (!wanted || wanted(payload, p, len)) {
			rc = catalog_row_decode(b->rows, p, len, &row, err);
			if (!rc && row.kind == CATALOG_FILE && row.channel.len == 0)
				channel_of_file(b, frame, data, p, &row);
			if (!rc)
				rc = fn(payload, &row, p, len, err);
		}
		p = nl + 1;
	}
	return rc;
}

/* A thread is found in a frame and then read from it: the last frame is kept.  It is out of its place while its rows
 * are given. */
static int frame_take(struct audit_bundle *b, uint32_t frame, struct kept_frame *ret, struct err *err)
{
	struct audit *a = b->audit;

	if (a->kept.data && a->kept.bundle == b->index && a->kept.frame == frame) {
		*ret = a->kept;
		a->kept = (struct kept_frame){0};
		return 0;
	}
	*ret = (struct kept_frame){.bundle = b->index, .frame = frame};
	int rc = bundle_read_frame(b->reader, a, frame, &ret->data, &ret->len, err);
	if (rc)
		return rc;
	a->stats.frames++;
	a->stats.bytes += ret->len;
	return 0;
}

int frame_rows(struct audit_bundle *b, uint32_t frame, line_fn wanted, frame_fn fn, void *payload, struct err *err)
{
	struct kept_frame f;

	if (!is_rows_frame(b, frame))
		return 0;
	int rc = frame_take(b, frame, &f, err);
	if (rc)
		return rc;
	rc = rows_of(b, frame, f.data, f.len, wanted, fn, payload, err);
	talloc_free(b->audit->kept.data);
	b->audit->kept = f;
	return rc;
}
