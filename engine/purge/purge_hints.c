/* purge_hints.c - locations and versions of a bundle's rows, in file order, on disk. */
#include "purge_internal.h"

#include <errno.h>
#include <stdlib.h>

struct purge_hints { struct spool *spool; uint64_t start; };

int purge_hints_new(void *ctx, struct purge_hints **ret, struct err *err)
{
	struct purge_hints *h = mem_new(ctx, struct purge_hints);
	int rc = spool_new(h, sizeof(struct purge_hint), &h->spool, err);

	if (rc < 0) {
		talloc_free(h);
		return rc;
	}
	*ret = h;
	return 0;
}

int purge_hint_parse(const char *ctid, const char *xmin, struct purge_hint *ret, struct err *err)
{
	unsigned block, offset;

	if (!ctid || !xmin || sscanf(ctid, "(%u,%u)", &block, &offset) != 2 || offset > UINT16_MAX)
		return err_set(err, ERR_INTERNAL, "row location that cannot be read");
	*ret = (struct purge_hint){.block = block, .offset = (uint16_t)offset, .version = (uint32_t)strtoul(xmin, NULL, 10)};
	return 0;
}

int purge_hints_add(struct purge_hints *h, enum mm_kind kind, const char *ctid, const char *xmin, struct err *err)
{
	struct purge_hint hint;
	int rc = purge_hint_parse(ctid, xmin, &hint, err);

	if (rc < 0)
		return rc;
	hint.kind = (uint8_t)kind;
	return spool_add(h->spool, &hint, err);
}

uint64_t purge_hints_count(const struct purge_hints *h)
{
	return spool_count(h->spool);
}

void purge_hints_start(struct purge_hints *h, uint64_t row)
{
	h->start = row;
}

int purge_hints_rewind(struct purge_hints *h, struct err *err)
{
	return spool_seek(h->spool, h->start, err);
}

int purge_hints_next(struct purge_hints *h, struct purge_hint *ret, struct err *err)
{
	const void *p;
	int rc = spool_next(h->spool, &p, err);

	if (rc == 1)
		*ret = *(const struct purge_hint *)p;
	return rc;
}
