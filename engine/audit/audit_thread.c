/* audit_thread.c - one thread: its rows as lines, and as posts with what hangs on them. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the range of lines ---- */

struct range {
	const char *root; size_t root_len;
	bool inside, over, parts;
	frame_fn fn; void *payload;
	size_t bytes;
};

/* A thread begins with its root post and ends where the next root begins; a part of a thread has no root, and is a run
 * of posts that name it. */
static int range_row(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	struct range *r = payload;

	if (row->kind == CATALOG_POST) {
		struct catalog_text t = thread_of(row);
		bool mine = text_is(t, r->root, r->root_len);
		if (r->parts || catalog_row_is_root(row) || row->root.len > 0) {
			if (r->inside && !mine) {
				r->over = true;
				return 1;
			}
			if (mine)
				r->inside = true;
		}
	}
	if (!r->inside)
		return 0;
	r->bytes += len;
	if (r->bytes > THREAD_BYTES_MAX)
		return err_set(err, ERR_VERIFY, "thread %s is larger than %zu MiB", r->root, THREAD_BYTES_MAX >> 20);
	return r->fn(r->payload, row, line, len, err);
}

/* Before the thread has begun only a line that names it can begin it. */
static bool range_line(const void *payload, const char *line, size_t len)
{
	const struct range *r = payload;

	return r->inside || memmem(line, len, r->root, r->root_len) != NULL;
}

static int range_read(struct audit *a, const struct audit_ref *ref, frame_fn fn, void *payload, struct err *err)
{
	struct range r = {.root = ref->root, .root_len = strlen(ref->root), .fn = fn, .payload = payload};
	struct audit_bundle *b;
	int rc = bundle_use(a, ref->bundle, &b, err);

	if (rc)
		return rc;
	r.parts = b->parts;
	for (uint32_t i = ref->frame; i < bundle_frames(b->reader) && !rc && !r.over; i++)
		if (is_rows_frame(b, i))
			rc = frame_rows(b, i, range_line, range_row, &r, err);
	if (rc < 0)
		return rc;
	return r.inside ? 0 : err_set(err, ERR_NOT_FOUND, "thread %s is not where it was found", ref->root);
}

struct lines { audit_line_fn fn; void *payload; };

static int line_row(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	const struct lines *l = payload;

	(void)row;
	return l->fn(l->payload, line, len, err);
}

int audit_thread_lines(struct audit *a, const struct audit_ref *ref, audit_line_fn fn, void *payload, struct err *err)
{
	struct lines l = {fn, payload};

	return range_read(a, ref, line_row, &l, err);
}

/* ---- posts ---- */

static struct audit_post *post_of(struct audit_thread *t, struct catalog_text id)
{
	size_t last = t->n_posts > 4096 ? t->n_posts - 4096 : 0;

	for (size_t i = t->n_posts; i-- > last;) /* dependants follow their post closely */
		if (text_is(id, t->post[i].id, strlen(t->post[i].id)))
			return &t->post[i];
	return NULL;
}

/* What stands in its place for every reader.  Its time is known of a root only: it is shown where it was. */
static void post_erased(struct audit_thread *t, struct audit_post *p, const struct catalog_row *row)
{
	char day[TIME_TEXT];

	time_format(row->erased_ms - row->erased_ms % 1000, day);
	p->erased = text_dup(t, row->erased_case);
	p->message = mem_printf(t, "[erased, case %s, %.10s]", p->erased, day);
	p->message_len = strlen(p->message);
	p->timeless = p->create_ms == 0;
	if (p->timeless && p > t->post)
		p->create_ms = p[-1].create_ms;
	t->erased_posts++;
}

static void post_add(struct audit_thread *t, const struct catalog_row *row)
{
	if (t->n_posts % 64 == 0)
		t->post = mem_grow(t, t->post, struct audit_post, t->n_posts + 64);
	struct audit_post *p = &t->post[t->n_posts++];
	*p = (struct audit_post){
		.id = text_dup(t, row->id), .user = text_dup(t, row->user), .root = text_dup(t, row->root),
		.original = text_dup(t, row->original), .message = text_dup(t, row->message),
		.message_len = row->message.len,
		.type = text_dup(t, row->type), .props = text_dup(t, row->props), .create_ms = row->create_ms,
		.update_ms = row->update_ms, .edit_ms = row->edit_ms, .delete_ms = row->delete_ms,
		.pinned = row->pinned,
	};
	p->webhook = props_webhook(t, row->props.s, row->props.len);
	p->deleted_by = props_deleted_by(t, row->props.s, row->props.len);
	if (row->erased)
		post_erased(t, p, row);
	if (catalog_row_is_root(row) || !t->channel[0])
		t->channel = text_dup(t, row->channel);
	t->n_live += row->original.len == 0;
}

static void reaction_add(struct audit_thread *t, struct audit_post *p, const struct catalog_row *row)
{
	struct audit_reaction *r = NULL;

	if (row->delete_ms > 0)
		return;
	for (size_t i = 0; i < p->n_reactions; i++)
		if (text_is(row->emoji, p->reaction[i].emoji, strlen(p->reaction[i].emoji)))
			r = &p->reaction[i];
	if (!r) {
		p->reaction = mem_grow(t, p->reaction, struct audit_reaction, p->n_reactions + 1);
		r = &p->reaction[p->n_reactions++];
		*r = (struct audit_reaction){.emoji = text_dup(t, row->emoji)};
	}
	r->user = mem_grow(t, r->user, char *, r->n + 1);
	r->at_ms = mem_grow(t, r->at_ms, int64_t, r->n + 1);
	r->at_ms[r->n] = row->create_ms;
	r->user[r->n++] = text_dup(t, row->user);
}

static int file_add(struct audit_thread *t, struct audit_post *p, const struct catalog_row *row, struct err *err)
{
	struct file_state s = {.state = "unknown"};
	char *id = text_dup(t, row->id);
	int rc = bundle_file_state(t->bundle, id, &s, err);

	if (rc < 0)
		return rc;

	p->file = mem_grow(t, p->file, struct audit_file, p->n_files + 1);
	struct audit_file *f = &p->file[p->n_files++];
	*f = (struct audit_file){.id = id, .name = text_dup(t, row->name), .mime = text_dup(t, row->mime),
				 .user = text_dup(t, row->user), .size_bytes = row->size_bytes,
				 .delete_ms = row->delete_ms};
	if (rc > 0 && s.size_bytes > 0 && s.size_bytes < INT64_MAX)
		f->size_bytes = (int64_t)s.size_bytes;
	f->state = s.state;
	f->sha256 = s.sha256;
	f->has_digest = s.has_digest;
	return 0;
}

int thread_take(struct audit_thread *t, const struct catalog_row *row, struct err *err)
{
	struct audit_post *p = row->kind == CATALOG_POST || row->kind == CATALOG_OTHER ? NULL : post_of(t, row->post);

	t->erased_rows += row->erased;
	if (row->kind == CATALOG_POST)
		post_add(t, row);
	if (!p && t->bundle->parts && row->kind == CATALOG_FILE && t->n_posts)
		/* its post stayed: an edit took it off, and the version that still names it is this one */
		p = &t->post[t->n_posts - 1];
	if (!p)
		return 0; /* a dependant whose post is not here hangs on nothing that could be shown */
	if (row->kind == CATALOG_REACTION)
		reaction_add(t, p, row);
	else if (row->kind == CATALOG_FILE)
		return file_add(t, p, row, err);
	else if (row->kind == CATALOG_PRIORITY)
		p->priority = text_dup(t, row->priority);
	else if (row->kind == CATALOG_ACK)
		p->acks++;
	return 0;
}

static int thread_row(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	(void)line;
	(void)len;
	return thread_take(payload, row, err);
}

int audit_thread_load(struct audit *a, const struct audit_ref *ref, void *ctx, struct audit_thread **ret,
		      struct err *err)
{
	struct audit_thread *t = mem_new(ctx, struct audit_thread);
	int rc = bundle_use(a, ref->bundle, &t->bundle, err);

	t->root = mem_strdup(t, ref->root);
	t->channel = mem_strdup(t, "");
	if (!rc)
		rc = range_read(a, ref, thread_row, t, err);
	if (rc) {
		talloc_free(t);
		return rc;
	}
	t->parts = t->bundle->parts;
	t->earlier = ref->earlier;
	*ret = t;
	return 0;
}
