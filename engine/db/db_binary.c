/*
 * db_binary.c - array parameters in PostgreSQL's binary form.
 *
 * The arrays of a deleting batch are a third of its work in text form: the server parses them, and we format them.  The
 * form is that of array_recv: dimensions, flag for NULLs, element type, then per dimension length and lower bound, then
 * each element with its length; all integers in network order.
 */
#include <arpa/inet.h>
#include <string.h>

#include "db_internal.h"

/* Element types, fixed in PostgreSQL's catalogue (pg_type.dat). */
static const uint32_t element_oid[] = {[DB_TEXT] = 25, [DB_INT8] = 20, [DB_TID] = 27, [DB_XID] = 28};

enum { NULLS_AT = 4, COUNT_AT = 12 };

static void put_u32(struct buf *b, uint32_t v)
{
	v = htonl(v);
	buf_put(b, &v, sizeof v);
}

void db_binary_init(struct db_binary *a, void *ctx, enum db_element type)
{
	const uint32_t header[] = {1, 0, element_oid[type], 0, 1};

	buf_init(&a->b, ctx, DB_ARRAY_BYTES);
	a->n = 0;
	for (size_t i = 0; i < ARRAY_LEN(header); i++)
		put_u32(&a->b, header[i]);
}

void db_binary_add_text(struct db_binary *a, const char *text, size_t len)
{
	put_u32(&a->b, (uint32_t)len);
	buf_put(&a->b, text, len);
	a->n++;
}

void db_binary_add_null(struct db_binary *a)
{
	const uint32_t yes = htonl(1);

	put_u32(&a->b, UINT32_MAX);
	if (!a->b.overflow)
		memcpy(a->b.data + NULLS_AT, &yes, sizeof yes);
	a->n++;
}

void db_binary_add_i64(struct db_binary *a, int64_t v)
{
	put_u32(&a->b, 8);
	put_u32(&a->b, (uint32_t)((uint64_t)v >> 32));
	put_u32(&a->b, (uint32_t)v);
	a->n++;
}

void db_binary_add_xid(struct db_binary *a, uint32_t v)
{
	put_u32(&a->b, 4);
	put_u32(&a->b, v);
	a->n++;
}

void db_binary_add_tid(struct db_binary *a, uint32_t block, uint16_t offset)
{
	const uint16_t o = htons(offset);

	put_u32(&a->b, 6);
	put_u32(&a->b, block);
	buf_put(&a->b, &o, sizeof o);
	a->n++;
}

const char *db_binary_data(struct db_binary *a, int *ret_len)
{
	const uint32_t n = htonl((uint32_t)a->n);

	/* Cut short it would name fewer rows: a header alone is refused by every server. */
	*ret_len = a->b.overflow ? NULLS_AT : (int)a->b.len;
	if (!a->b.overflow)
		memcpy(a->b.data + COUNT_AT, &n, sizeof n);
	return a->b.data;
}
