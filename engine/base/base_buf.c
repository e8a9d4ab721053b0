/* base_buf.c - a growing byte buffer with a ceiling. */
#include <mmretain/base.h>

#include <assert.h>
#include <string.h>

#define TALLOC_MOST (((size_t)256 << 20) - 1) /* that it gives at once */

void buf_init(struct buf *b, void *ctx, size_t max_bytes)
{
	*b = (struct buf){.ctx = ctx, .max_bytes = max_bytes};
}

void buf_start(struct buf *b, size_t bytes)
{
	assert(!b->data && bytes <= b->max_bytes);
	b->data = mem_grow(b->ctx, NULL, char, bytes + 1);
	b->data[0] = '\0';
	b->cap = bytes + 1;
}

bool buf_grow(struct buf *b, size_t extra)
{
	size_t need = b->len + extra + 1, cap;

	if (extra > b->max_bytes || need - 1 > b->max_bytes) {
		b->overflow = true;
		return false;
	}
	for (cap = b->cap ? b->cap : 256; cap < need;)
		cap *= 2;
	if (cap > TALLOC_MOST && need <= TALLOC_MOST)
		cap = TALLOC_MOST;
	if (cap - 1 > b->max_bytes)
		cap = b->max_bytes + 1; /* so that room is never over the ceiling, and buf_reserve need not look */
	b->data = mem_grow(b->ctx, b->data, char, cap);
	b->cap = cap;
	return true;
}

void buf_i64(struct buf *b, int64_t v)
{
	char text[24], *p = text + sizeof text;
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	buf_put(b, p, (size_t)(text + sizeof text - p));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_reset(struct buf *b)
{
	TALLOC_FREE(b->data);
	b->len = b->cap = 0;
	b->overflow = false;
}
