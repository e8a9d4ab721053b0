/*
 * run_erase_hold.c - holds once more, before an erasure that an earlier call left is finished: one may have come since.
 *
 * The ledger names nobody, so who was erased is told by the files: the newer one lacks the person's salt and name.
 */
#include "run_internal.h"
#include "run_erase.h"
#include "run_held.h"

#include <stdlib.h>
#include <string.h>

struct person { mm_id id; char *name; };
struct people { void *ctx; struct person *p; size_t n; };

static void add(void *payload, const char *id, const char *name)
{
	struct people *l = payload;

	if (l->n % 64 == 0)
		l->p = mem_grow(l->ctx, l->p, struct person, l->n + 64);
	snprintf(l->p[l->n].id, sizeof l->p->id, "%s", id);
	l->p[l->n++].name = mem_strdup(l->ctx, name);
}

static int read_people(void *ctx, const struct store *store, const char *rel_path, struct people *ret, struct err *err)
{
	struct bundle_reader *r;
	int rc = bundle_open(ctx, store->root_dirfd, rel_path, &r, err);

	*ret = (struct people){.ctx = ctx};
	if (rc == 0)
		rc = held_each_person(ctx, r, add, ret, err);
	if (ret->n)
		qsort(ret->p, ret->n, sizeof *ret->p, mm_id_cmp); /* the id comes first */
	return rc;
}

static bool is_in(const struct people *l, const mm_id id)
{
	return l->n && bsearch(id, l->p, l->n, sizeof *l->p, mm_id_cmp);
}

/* ---- one person ---- */

struct whom { const struct erase_asker *asker; struct store *store; const struct ledger_state *st; const char *old; };

static int ask_for(const struct whom *w, void *ctx, const char *user, const char *const *name, size_t n_names,
		   char **ret_why, struct err *err)
{
	struct run_erase_options options = {.user = user, .name = name, .n_names = n_names};
	struct erase x = {.ctx = ctx,
			  .store = w->store,
			  .options = &options,
			  .policy = w->asker->policy,
			  .mm = w->asker->mm,
			  .ask = {.owner = user, .name = name, .n_names = n_names}};

	return erase_look_late(&x, ctx, w->st, w->old, ret_why, err);
}

/* Lines of one person follow each other. */
static int ask_each(const struct whom *w, void *ctx, const struct people *before, const struct people *after,
		    size_t *ret_n, char **ret_why, struct err *err)
{
	int rc = 0;

	for (size_t i = 0, next; i < before->n && rc == 0 && !*ret_why; i = next) {
		const char **name = NULL;
		size_t n = 0;

		for (next = i; next < before->n && strcmp(before->p[next].id, before->p[i].id) == 0; next++) {
			if (!before->p[next].name[0])
				continue;
			name = mem_grow(ctx, name, const char *, n + 1);
			name[n++] = before->p[next].name;
		}
		if (is_in(after, before->p[i].id))
			continue;
		(*ret_n)++;
		rc = ask_for(w, ctx, before->p[i].id, name, n, ret_why, err);
	}
	return rc;
}

static int ask_all(const struct whom *w, void *ctx, const struct erase_pair *pair, char **ret_why, struct err *err)
{
	struct people before, after;
	size_t n = 0;
	int rc;

	if ((rc = read_people(ctx, w->store, pair->old_rel_path, &before, err)) < 0 ||
	    (rc = read_people(ctx, w->store, pair->rel_path, &after, err)) < 0 ||
	    (rc = ask_each(w, ctx, &before, &after, &n, ret_why, err)) < 0)
		return rc;
	/* Of a person with late rows alone nothing is in either file, and both hold the same. */
	return n == 0 && pair->rows
		       ? err_set(err, ERR_VERIFY, "who was erased in \"%s\" cannot be told", pair->rel_path)
		       : 0;
}

int erase_held(void *ctx, const struct erase_asker *asker, struct store *store, const struct ledger_state *st,
	       const struct erase_pair *pair, char **ret_why, struct err *err)
{
	auto_mem void *own = mem_context(NULL, "late holds");
	const struct whom w = {asker, store, st, pair->old_rel_path};
	struct held_asked *asked;
	char *why = NULL;
	int rc = held_ask(own, asker->policy, asker->mm, &asked, err);

	if (rc < 0 || !held_any(asked, st)) /* also of a file that cannot be read */
		return rc;
	if ((rc = ask_all(&w, own, pair, &why, err)) < 0 || !why)
		return rc;
	*ret_why = mem_strdup(ctx, why);
	return 1;
}
