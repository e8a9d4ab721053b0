/*
 * db_array.c - array parameters in PostgreSQL's text form.
 *
 * An array that passed its ceiling or got a NUL byte must never be taken for a shorter one (a hold list cut short would
 * hold less), so its text is one that every server refuses.
 */
#include <string.h>

#include "db_internal.h"

void db_array_init(struct db_array *a, void *ctx)
{
	buf_init(&a->b, ctx, DB_ARRAY_BYTES);
	buf_byte(&a->b, '{');
	a->n = 0;
}

static void separate(struct db_array *a)
{
	if (a->n++)
		buf_byte(&a->b, ',');
}

void db_array_add(struct db_array *a, const char *text, size_t len)
{
	separate(a);
	if (!text) {
		buf_puts(&a->b, "NULL");
		return;
	}
	if (memchr(text, '\0', len))
		a->b.overflow = true;
	buf_byte(&a->b, '"');
	if (!memchr(text, '"', len) && !memchr(text, '\\', len)) { /* ids and locations */
		buf_put(&a->b, text, len);
		len = 0;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_byte(&a->b, '\\');
		buf_byte(&a->b, text[i]);
	}
	buf_byte(&a->b, '"');
}

void db_array_add_i64(struct db_array *a, int64_t v)
{
	separate(a);
	buf_i64(&a->b, v);
}

const char *db_array_text(struct db_array *a)
{
	buf_byte(&a->b, '}');
	buf_byte(&a->b, '\0'); /* whatever the buffer promises about its last byte */
	return a->b.overflow ? "{" : a->b.data;
}

void db_array_clear(struct db_array *a)
{
	buf_clear(&a->b);
	a->b.overflow = false;
	buf_byte(&a->b, '{');
	a->n = 0;
}
