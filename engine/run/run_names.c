/* run_names.c - the ids that occur in a bundle, and their names in the snapshot of its export. */
#include "run_internal.h"

#include <string.h>
#include <uthash.h>

enum {
	PAGE = 2000,
	KEEP = 20000, /* names of each sort, and what the bundle at hand needs more: some 5 MiB */
	AHEAD = 10000 /* people: of most servers all, in some 10 ms */
};

struct id { char text[64]; UT_hash_handle hh; };
struct run_ids { struct id *set; struct mem_crumbs room; };

static int ids_destroy(struct run_ids *ids)
{
	HASH_CLEAR(hh, ids->set);
	return 0;
}

struct run_ids *run_ids_new(void *ctx)
{
	struct run_ids *ids = mem_new(ctx, struct run_ids);

	ids->room.ctx = ids;
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
	known = mem_crumb(&ids->room, sizeof *known);
	memcpy(known->text, id, len);
	HASH_ADD(hh, ids->set, text[0], (unsigned)len, known);
}

static int by_text(const struct id *a, const struct id *b)
{
	return strcmp(a->text, b->text);
}

/* ---- names ---- */

struct name {
	UT_hash_handle hh;
	char *name, *display, *extra, *people; /* name NULL: nobody has that id */
	char id[];
};
struct run_names { struct names { struct name *set; struct mem_crumbs room; } users, channels, teams; };

static void forget(struct names *t)
{
	HASH_CLEAR(hh, t->set);
	TALLOC_FREE(t->room.ctx);
	t->room = (struct mem_crumbs){0};
}

static int names_destroy(struct run_names *n)
{
	HASH_CLEAR(hh, n->users.set);
	HASH_CLEAR(hh, n->channels.set);
	HASH_CLEAR(hh, n->teams.set);
	return 0;
}

struct run_names *run_names_new(void *ctx)
{
	struct run_names *n = mem_new(ctx, struct run_names);

	talloc_set_destructor(n, names_destroy);
	return n;
}

static struct names *table_of(struct run_names *n, const char *what)
{
	return strcmp(what, "users") == 0 ? &n->users : strcmp(what, "channels") == 0 ? &n->channels : &n->teams;
}

static struct name *find(const struct names *t, const char *id)
{
	struct name *e;

	HASH_FIND(hh, t->set, id, (unsigned)strlen(id), e);
	return e;
}

static struct name *add(void *ctx, struct names *t, const char *id)
{
	size_t len = strlen(id);
	struct name *e;

	if (!t->room.ctx)
		t->room.ctx = mem_context(ctx, "names");
	e = mem_crumb(&t->room, sizeof *e + len + 1);
	memcpy(e->id, id, len);
	HASH_ADD_KEYPTR(hh, t->set, e->id, (unsigned)len, e);
	return e;
}

/* All in one piece: each on its own would take more than its words. */
static void keep(struct names *t, struct name *e, const char *const word[4])
{
	char **to[] = {&e->name, &e->display, &e->extra, &e->people};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(to); i++)
		len += strlen(word[i]) + 1;
	char *p = mem_crumb(&t->room, len);
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		size_t n = strlen(word[i]) + 1;
		memcpy(p, word[i], n);
		*to[i] = p;
		p += n;
	}
}

static const char *text(const struct db_row *row, int col)
{
	return col < row->columns && row->value[col] ? row->value[col] : "";
}

static int on_name(void *payload, const struct db_row *row, struct err *err)
{
	struct names *t = payload;
	struct name *e = row->value[0] ? find(t, row->value[0]) : NULL;

	(void)err;
	if (!e || e->name)
		return 0; /* nobody asked */
	keep(t, e, (const char *const[]){text(row, 1), text(row, 2), text(row, 3), text(row, 4)});
	return 0;
}

struct people { struct run_names *names; struct names *users; };

static int on_person(void *payload, const struct db_row *row, struct err *err)
{
	struct people *p = payload;

	if (row->value[0] && row->len[0] < sizeof((struct id *)0)->text && !find(p->users, row->value[0]))
		(void)add(p->names, p->users, row->value[0]);
	return on_name(p->users, row, err);
}

int run_names_people_ahead(struct mm_export *x, struct run_names *names, struct err *err)
{
	struct people p = {names, &names->users};

	return mm_export_people(x, AHEAD, on_person, &p, err);
}

/* Those that are not known yet.  People come again in the next bundle; each question waits for the rows that were asked
 * for before it. */
int run_names_fetch(struct mm_export *x, struct run_names *names, const char *what, const struct run_ids *ids,
		    struct err *err)
{
	struct names *t = table_of(names, what);
	const char *page[PAGE];
	size_t n = 0;
	int rc = 0;

	if (HASH_COUNT(t->set) > KEEP)
		forget(t);
	for (const struct id *i = ids->set; i && rc == 0; i = i->hh.next) {
		if (!find(t, i->text))
			page[n++] = add(names, t, i->text)->id;
		if (n == PAGE || (n && !i->hh.next)) {
			rc = mm_export_names(x, what, page, n, on_name, t, err);
			n = 0;
		}
	}
	return rc;
}

int run_names_write(struct mm_export *x, struct run_names *names, struct bundle_writer *w, const char *what,
		    const struct run_ids *ids, struct err *err)
{
	struct run_ids *sorted = (struct run_ids *)(uintptr_t)ids; /* the order of the set is nobody's business */
	const struct name *e;
	int rc = run_names_fetch(x, names, what, ids, err);

	HASH_SORT(sorted->set, by_text); /* the same ids give the same bytes */
	for (const struct id *i = sorted->set; i && rc == 0; i = i->hh.next) {
		e = find(table_of(names, what), i->text);
		if (e && e->name)
			rc = bundle_name(w, what, e->id, e->name, e->display, e->extra, err);
	}
	return rc;
}

void run_names_people(const struct run_names *names, const struct run_ids *channels, struct run_ids *users)
{
	for (const struct id *i = channels->set; i; i = i->hh.next) {
		const struct name *e = find(&names->channels, i->text);
		for (const char *p = e && e->name ? e->people : ""; *p;) {
			size_t len = strcspn(p, ",");
			run_ids_add(users, p, len);
			p += len + (p[len] == ',');
		}
	}
}
