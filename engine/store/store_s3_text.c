/* store_s3_text.c - digests, keys and answers as text; pure. */
#include "store_s3.h"

#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void s3_sum_text(const struct digest *d, char ret[S3_SUM_TEXT])
{
	size_t n = 0;

	for (size_t i = 0; i < DIGEST_BYTES; i += 3) {
		uint32_t v = (uint32_t)d->b[i] << 16 | (uint32_t)(i + 1 < DIGEST_BYTES ? d->b[i + 1] : 0) << 8 | (i + 2 < DIGEST_BYTES ? d->b[i + 2] : 0);

		for (int shift = 18; shift >= 0; shift -= 6)
			ret[n++] = letters[v >> shift & 63];
	}
	ret[n - 1] = '='; /* 32 bytes are ten groups and two thirds of one */
	ret[n] = '\0';
}

bool s3_sum_parse(const char *text, struct digest *ret)
{
	char again[S3_SUM_TEXT];
	struct digest d = {{0}};
	uint32_t v = 0;
	size_t n = 0;

	if (strlen(text) != S3_SUM_TEXT - 1)
		return false;
	for (size_t i = 0; i < S3_SUM_TEXT - 1; i++) {
		const char *at = strchr(letters, text[i]);

		if (!at && !(text[i] == '=' && i == S3_SUM_TEXT - 2))
			return false;
		v = v << 6 | (at ? (uint32_t)(at - letters) : 0);
		if (i % 4 == 3)
			for (int shift = 16; shift >= 0 && n < DIGEST_BYTES; shift -= 8)
				d.b[n++] = (uint8_t)(v >> shift & 255);
	}
	s3_sum_text(&d, again);
	if (strcmp(again, text) != 0)
		return false; /* another spelling */
	*ret = d;
	return true;
}

void s3_put_encoded(struct buf *b, const char *text, bool slash)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) || (slash && c == '/'))
			buf_byte(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static const char *entity(const char *p, const char *end, struct buf *b)
{
	static const struct { const char *text; char c; } known[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
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
