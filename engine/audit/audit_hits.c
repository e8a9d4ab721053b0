/* audit_hits.c - what a row that was found does not say itself: its thread, and the files of a post. */
#include "audit_internal.h"

#include <string.h>

/* A file's row names its post and not its thread, and so does an earlier version that carries no root; the post is in
 * the same bundle. */
int hits_threads(struct audit *a, struct audit_found *found, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < found->n && !rc; i++) {
		struct audit_hit *h = &found->hit[i];
		struct audit_ref ref;
		if (!h->by_post)
			continue;
		rc = bundle_passed(a, h->ref.bundle, locate_in(a, h->ref.bundle, h->ref.root, &ref, err), err);
		if (rc > 0)
			/* else its post is not archived: shown by the file alone */
			memcpy(h->ref.root, ref.root, sizeof(ref.root));
		rc = rc < 0 ? rc : 0;
	}
	return rc;
}

static const struct audit_post *post_of(const struct audit_thread *t, const char *id)
{
	for (size_t i = 0; i < t->n_posts; i++)
		if (!strcmp(t->post[i].id, id))
			return &t->post[i];
	return NULL;
}

static void take_file(struct audit_hit *h, const struct audit_file *f, void *ctx)
{
	h->files = mem_grow(ctx, h->files, char *, h->n_files + 1);
	h->files[h->n_files++] = mem_strdup(ctx, f->name);
}

/* Those that it names, of whatever post. */
static void take_named(struct audit_hit *h, const struct audit_thread *t, void *ctx)
{
	for (size_t i = 0; i < t->n_posts; i++)
		for (size_t k = 0; k < t->post[i].n_files; k++)
			if (strstr(h->file_ids, t->post[i].file[k].id))
				take_file(h, &t->post[i].file[k], ctx);
}

static void take_files(struct audit_hit *h, const struct audit_thread *t, void *ctx)
{
	const struct audit_post *p = h->file_name || h->file_ids ? NULL : post_of(t, h->post);

	if (h->file_ids)
		take_named(h, t, ctx);
	for (size_t i = 0; p && i < p->n_files; i++)
		take_file(h, &p->file[i], ctx);
}

/* Hits [from, to) are of one thread. */
static int files_of_thread(struct audit *a, struct audit_hit *from, struct audit_hit *to, void *ctx, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "files");
	struct audit_thread *t;
	struct audit_ref ref;
	int rc = locate_in(a, from->ref.bundle, from->ref.root, &ref, err);

	if (rc > 0)
		rc = audit_thread_load(a, &ref, tmp, &t, err) < 0 ? err->code : 1;
	for (struct audit_hit *h = from; rc > 0 && h < to; h++)
		take_files(h, t, ctx);
	return bundle_passed(a, from->ref.bundle, rc < 0 ? rc : 0, err);
}

int hits_files(struct audit *a, struct audit_found *found, void *ctx, struct err *err)
{
	int rc = 0;

	for (size_t i = 0, n; i < found->n && !rc; i += n) {
		struct audit_hit *h = &found->hit[i];
		for (n = 1;
		     i + n < found->n && h[n].ref.bundle == h->ref.bundle && !strcmp(h[n].ref.root, h->ref.root);)
			n++;
		rc = files_of_thread(a, h, h + n, ctx, err);
		if (!rc)
			rc = stop_check(err);
	}
	return rc;
}
