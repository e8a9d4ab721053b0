/* run_names.c - the ids that occur in a bundle, and their names at export. */
#include "run_internal.h"

#include <string.h>
#include <uthash.h>

enum { PAGE = 2000 };

struct id { char text[64]; UT_hash_handle hh; };
struct run_ids { struct id *set; };

static int ids_destroy(struct run_ids *ids)
{
	HASH_CLEAR(hh, ids->set);
	return 0;
}

struct run_ids *run_ids_new(void *ctx)
{
	struct run_ids *ids = mem_new(ctx, struct run_ids);

	talloc_set_destructor(ids, ids_destroy);
	return ids;
}

void run_ids_add(struct run_ids *ids, const char *id, size_t len)
{
	struct id *known;

	if (!id || len == 0 || len >= sizeof known->text)
		return;
	HASH_FIND(hh, ids->set, id, (unsigned)len, known);
	if (known)
		return;
	known = mem_new(ids, struct id);
	memcpy(known->text, id, len);
	HASH_ADD(hh, ids->set, text[0], (unsigned)len, known);
}

static int by_text(const struct id *a, const struct id *b)
{
	return strcmp(a->text, b->text);
}

struct out { struct bundle_writer *w; const char *what; };

static int on_name(void *payload, const struct db_row *row, struct err *err)
{
	struct out *o = payload;

	return bundle_name(o->w, o->what, row->value[0], row->value[1] ? row->value[1] : "", row->value[2] ? row->value[2] : "",
			   row->columns > 3 && row->value[3] ? row->value[3] : "", err);
}

int run_names_write(struct run *run, struct bundle_writer *w, const char *what, const struct run_ids *ids, struct err *err)
{
	struct run_ids *sorted = (struct run_ids *)(uintptr_t)ids; /* the order of the set is nobody's business */
	const char *page[PAGE];
	struct out o = {w, what};
	size_t n = 0;
	int rc = 0;

	HASH_SORT(sorted->set, by_text); /* the same ids give the same bytes */
	for (struct id *i = sorted->set; i && rc == 0; i = i->hh.next) {
		page[n++] = i->text;
		if (n == PAGE || !i->hh.next) {
			rc = mm_names(run->mm, what, page, n, on_name, &o, err);
			n = 0;
		}
	}
	return rc;
}
