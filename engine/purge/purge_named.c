/*
 * purge_named.c - files that go with a part of a thread although a live post of the thread names them.
 *
 * A server restores an earlier version in steps: it reads the version, undeletes its files, writes the post.  Each is a
 * transaction of its own, and the part can go between any two.  So it is asked inside the deleting transaction, by the
 * closing sweep, and before a blob is unlinked.
 */
#include "purge_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000 };

void purge_named_add(void *ctx, struct purge_named *to, const char *id, const char *thread, size_t at)
{
	struct purge_named_file *f;

	if (strlen(id) > MM_ID || strlen(thread) > MM_ID)
		return; /* no id of Mattermost's: no post can name it */
	if (to->n == to->cap) {
		to->cap = to->cap ? 2 * to->cap : 256;
		to->file = mem_grow(ctx, to->file, struct purge_named_file, to->cap);
	}
	f = &to->file[to->n++];
	*f = (struct purge_named_file){.at = at};
	memcpy(f->id, id, strlen(id) + 1);
	memcpy(f->thread, thread, strlen(thread) + 1);
}

static int ask_page(struct mm *mm, const struct purge_named *n, size_t from, purge_named_fn fn, void *payload,
		    struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "named files");
	struct db_array id, thread;
	struct db_result *r;
	const char *param[2];
	int rc;

	db_array_init(&id, ctx);
	db_array_init(&thread, ctx);
	for (size_t i = from; i < n->n && i < from + PAGE; i++) {
		db_array_add(&id, n->file[i].id, strlen(n->file[i].id));
		db_array_add(&thread, n->file[i].thread, strlen(n->file[i].thread));
	}
	param[0] = db_array_text(&id);
	param[1] = db_array_text(&thread);
	rc = db_query_prepared(ctx, mm->db, &sql_named_files, DB_ANY, 2, param, &r, err);
	for (int64_t i = 0; rc == 0 && i < db_rows(r); i++) {
		size_t at = from + (size_t)db_i64(r, i, 0) - 1;

		if (at < n->n)
			fn(payload, &n->file[at]);
	}
	return rc;
}

int purge_named_ask(struct mm *mm, const struct purge_named *n, purge_named_fn fn, void *payload, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n->n && rc == 0; i += PAGE)
		rc = ask_page(mm, n, i, fn, payload, err);
	return rc;
}

struct marked { struct purge_batch *b; bool any; };

static void on_named(void *payload, const struct purge_named_file *f)
{
	struct marked *m = payload;

	m->b->thread[f->at].why |= MM_CHANGED;
	m->any = true;
}

int purge_named_mark(struct mm *mm, struct purge_batch *b, bool *ret_any, struct err *err)
{
	struct purge_named n = {.n = 0};
	struct marked m = {.b = b};
	int rc;

	for (size_t i = 0; i < b->n_files && b->parts_before_ms != INT64_MIN; i++)
		if (!b->thread[b->file[i].thread].why)
			purge_named_add(b->ctx, &n, b->file[i].id, b->thread[b->file[i].thread].root,
					b->file[i].thread);
	rc = purge_named_ask(mm, &n, on_named, &m, err);
	*ret_any = m.any;
	return rc;
}
