/* audit_spell.c - one spelling for what is asked and what it is compared with. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

char *composed(void *ctx, const char *text, size_t len)
{
	utf8proc_uint8_t *made = NULL;
	bool plain = true;

	for (size_t i = 0; i < len && plain; i++)
		/* below is nothing that is put together: marks begin with U+0300 */
		plain = (unsigned char)text[i] < 0xcc;
	if (plain || utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &made,
				  UTF8PROC_STABLE | UTF8PROC_COMPOSE) < 0)
		return mem_strndup(ctx, text, len); /* also what is no UTF-8 */
	char *copy = mem_strdup(ctx, (const char *)made);
	free(made);
	return copy;
}

char *glob_of_part(void *ctx, const char *part)
{
	struct buf b;

	buf_init(&b, ctx, 1 << 20);
	buf_byte(&b, '*');
	for (; *part; part++) {
		if (strchr("*?[]\\", *part))
			buf_byte(&b, '\\');
		buf_byte(&b, *part);
	}
	buf_put(&b, "*", 2);
	return b.data;
}
