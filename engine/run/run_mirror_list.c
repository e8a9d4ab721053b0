/* run_mirror_list.c - what the mirror has and what the ledger names, each sorted, so that one is found in the other. */
#include "run_mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool mirror_is_here(const struct store *s, const char *path)
{
	struct stat st;

	return fstatat(s->root_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* ---- there ---- */

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct mirror_there *)a)->key, ((const struct mirror_there *)b)->key);
}

static int note(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	struct mirror_list *l = payload;

	if (l->n % 64 == 0)
		l->at = mem_grow(l->ctx, l->at, struct mirror_there, l->n + 64);
	l->at[l->n++] = (struct mirror_there){mem_strdup(l->ctx, key), bytes};
	return stop_check(err);
}

int mirror_list(void *ctx, struct mirror *m, const char *begin, struct mirror_list *ret, struct err *err)
{
	int rc;

	*ret = (struct mirror_list){.ctx = ctx};
	rc = m ? mirror_each(m, begin, note, ret, err) : 0;
	if (ret->n)
		qsort(ret->at, ret->n, sizeof *ret->at, by_key);
	return rc;
}

const struct mirror_there *mirror_list_find(const struct mirror_list *l, const char *key)
{
	const struct mirror_there at = {.key = key};

	return l->n ? bsearch(&at, l->at, l->n, sizeof at, by_key) : NULL;
}

/* ---- the ledger's ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct mirror_name *)a)->path, ((const struct mirror_name *)b)->path);
}

void mirror_names(void *ctx, const struct ledger_archive *a, struct mirror_names *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += 1 + a->bundle[i].n_former;
	*ret = (struct mirror_names){.at = mem_array(ctx, struct mirror_name, n + 1)};
	for (size_t i = 0; i < a->n; i++) {
		const struct ledger_published *p = &a->bundle[i];

		ret->at[ret->n++] = (struct mirror_name){p->rel_path, p, p->expiry == LEDGER_EXPIRED};
		for (size_t k = 0; k < p->n_former; k++)
			ret->at[ret->n++] = (struct mirror_name){p->former[k], p, true};
	}
	qsort(ret->at, ret->n, sizeof *ret->at, by_path);
}

const struct mirror_name *mirror_names_find(const struct mirror_names *names, const char *path)
{
	const struct mirror_name at = {.path = path};

	return names->n ? bsearch(&at, names->at, names->n, sizeof at, by_path) : NULL;
}
