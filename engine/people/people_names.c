/* people_names.c - a set of ids or names. */
#include "people_internal.h"

#include <string.h>

static int names_destroy(struct people_names *n)
{
	HASH_CLEAR(hh, n->by);
	return 0;
}

struct people_names *people_names_new(void *ctx)
{
	struct people_names *n = mem_new(ctx, struct people_names);

	talloc_set_destructor(n, names_destroy);
	return n;
}

void people_names_add(struct people_names *n, const char *key, size_t len, const char *note)
{
	struct people_name *e;

	HASH_FIND(hh, n->by, key, (unsigned)len, e);
	if (e)
		return;
	e = mem_new(n, struct people_name);
	e->key = mem_strndup(e, key, len);
	e->note = note;
	HASH_ADD_KEYPTR(hh, n->by, e->key, (unsigned)len, e);
}

struct people_name *people_names_find(struct people_names *n, const char *key)
{
	struct people_name *e;

	HASH_FIND(hh, n->by, key, (unsigned)strlen(key), e);
	return e;
}

uint64_t people_names_count(const struct people_names *n)
{
	return HASH_COUNT(n->by);
}
