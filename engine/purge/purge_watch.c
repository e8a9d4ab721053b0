/*
 * purge_watch.c - replies that arrive while we work.
 *
 * One range read over the createat index a second costs what is new, not what is deleted.  Replies that are dated back
 * are not seen here; the closing sweep finds them by their root.
 */
#include "purge_internal.h"

#include <string.h>
#include <uthash.h>

enum { WATCH_EVERY_MS = 1000, WATCH_MARGIN_MS = 120000 };

struct seen { mm_id root; UT_hash_handle hh; mm_id *reply; size_t n; };

struct purge_watch { struct seen *by_root; int64_t since_ms, looked_mono_ms; };

static int watch_destroy(struct purge_watch *w)
{
	HASH_CLEAR(hh, w->by_root);
	return 0;
}

struct purge_watch *purge_watch_new(void *ctx, int64_t since_ms)
{
	struct purge_watch *w = mem_new(ctx, struct purge_watch);

	w->since_ms = since_ms - WATCH_MARGIN_MS;
	talloc_set_destructor(w, watch_destroy);
	return w;
}

static int on_reply(void *payload, const struct db_row *row, struct err *err)
{
	struct purge_watch *w = payload;
	struct seen *s;

	(void)err;
	if (row->len[0] > MM_ID || row->len[1] > MM_ID)
		return 0;
	HASH_FIND(hh, w->by_root, row->value[0], (unsigned)row->len[0], s);
	if (!s) {
		s = mem_new(w, struct seen);
		memcpy(s->root, row->value[0], row->len[0]);
		HASH_ADD_KEYPTR(hh, w->by_root, s->root, (unsigned)row->len[0], s);
	}
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->reply[i], row->value[1], row->len[1]) == 0)
			return 0;
	s->reply = mem_grow(w, s->reply, mm_id, s->n + 1);
	memset(s->reply[s->n], 0, sizeof(mm_id));
	memcpy(s->reply[s->n++], row->value[1], row->len[1]);
	return 0;
}

int purge_watch_look(struct purge_watch *w, struct mm *mm, struct err *err)
{
	int64_t now = time_mono_ms();
	char since[24];
	const char *param = since;
	int rc;

	if (w->looked_mono_ms && now - w->looked_mono_ms < WATCH_EVERY_MS)
		return 0;
	snprintf(since, sizeof since, "%lld", (long long)w->since_ms);
	rc = db_stream(mm->db, &sql_purge_watch, 1, &param, on_reply, w, err);
	if (rc == 0 && w->looked_mono_ms)
		w->since_ms += now - w->looked_mono_ms;
	if (rc == 0)
		w->looked_mono_ms = now;
	return rc;
}

static bool holds_post(const struct purge_batch *b, const struct purge_thread *t, const char *id)
{
	for (size_t i = t->row; i < t->row + t->n_rows; i++)
		if (b->row[i].kind == MM_POST && strcmp(b->row[i].key, id) == 0)
			return true;
	return false;
}

void purge_watch_mark(const struct purge_watch *w, struct purge_batch *b)
{
	for (size_t i = 0; i < b->n_threads && w->by_root; i++) {
		struct purge_thread *t = &b->thread[i];
		struct seen *s;

		HASH_FIND(hh, w->by_root, t->root, (unsigned)strlen(t->root), s);
		for (size_t j = 0; s && j < s->n; j++)
			if (!holds_post(b, t, s->reply[j]))
				t->why |= MM_CHANGED;
	}
}
