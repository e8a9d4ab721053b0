/* purge_hints.c - locations and versions of a bundle's rows, in file order, on disk. */
#include "purge_internal.h"

#include <errno.h>

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

/* Up to ten digits; the end of them. Of anything else: a place that no caller accepts. */
static const char *number(const char *p, uint64_t *ret)
{
	const char *from = p;

	for (*ret = 0; *p >= '0' && *p <= '9' && p - from < 11; p++)
		*ret = *ret * 10 + (uint64_t)(*p - '0');
	return p == from ? "?" : p;
}

int purge_hint_parse(const char *ctid, const char *xmin, struct purge_hint *ret, struct err *err)
{
	uint64_t block, offset, version;
	const char *p = ctid;

	if (!p || !xmin || *p != '(' || *(p = number(p + 1, &block)) != ',' || *(p = number(p + 1, &offset)) != ')' ||
	    *number(xmin, &version) != '\0' || block > UINT32_MAX || offset > UINT16_MAX || version > UINT32_MAX)
		return err_set(err, ERR_INTERNAL, "row location that cannot be read");
	*ret = (struct purge_hint){.block = (uint32_t)block, .offset = (uint16_t)offset, .version = (uint32_t)version};
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
