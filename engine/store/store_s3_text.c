/* store_s3_text.c - digests, keys and answers as text; pure. */
#include "store_s3.h"

#include <stdlib.h>
#include <string.h>

void s3_sum_text(const struct digest *d, char ret[S3_SUM_TEXT])
{
	auto_mem void *ctx = mem_context(NULL, "sum");
	struct buf b;

	buf_init(&b, ctx, S3_SUM_TEXT - 1);
	buf_base64(&b, d->b, DIGEST_BYTES);
	memcpy(ret, b.data, S3_SUM_TEXT);
}

bool s3_sum_parse(const char *text, struct digest *ret)
{
	auto_mem void *ctx = mem_context(NULL, "sum");
	struct buf b;

	buf_init(&b, ctx, DIGEST_BYTES);
	if (strlen(text) != S3_SUM_TEXT - 1 || !buf_unbase64(&b, text, S3_SUM_TEXT - 1) || b.len != DIGEST_BYTES)
		return false;
	memcpy(ret->b, b.data, DIGEST_BYTES);
	return true;
}

void s3_put_encoded(struct buf *b, const char *text, bool slash)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) ||
		    (slash && c == '/'))
			buf_byte(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static const char *entity(const char *p, const char *end, struct buf *b)
{
	static const struct {
		const char *text;
		char c;
	} known[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	char *stop;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].text);

		if ((size_t)(end - p) >= n && memcmp(p, known[i].text, n) == 0) {
			buf_byte(b, known[i].c);
			return p + n;
		}
	}
	if (end - p > 3 && p[1] == '#') {
		bool hex = p[2] == 'x' || p[2] == 'X';
		unsigned long c = strtoul(p + (hex ? 3 : 2), &stop, hex ? 16 : 10);

		if (*stop == ';' && stop < end && c > 0 && c < 256) {
			buf_byte(b, (char)c);
			return stop + 1;
		}
	}
	buf_byte(b, *p);
	return p + 1;
}

bool s3_element(const char **at, const char *name, struct buf *b)
{
	auto_mem char *open = mem_printf(NULL, "<%s>", name), *close = mem_printf(NULL, "</%s>", name);
	const char *begin = strstr(*at, open), *end = begin ? strstr(begin, close) : NULL;

	if (!end)
		return false;
	buf_clear(b);
	for (const char *p = begin + strlen(open); p < end;)
		if (*p == '&')
			p = entity(p, end, b);
		else
			buf_byte(b, *p++);
	buf_byte(b, '\0');
	*at = end + strlen(close);
	return !b->overflow;
}
