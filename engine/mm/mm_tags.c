/*
 * mm_tags.c - hashtags of a rule as one pattern, each letter in all its cases.
 *
 * The server's own lower() and ~* follow the locale of the database: with C they know no letter beyond ASCII, in
 * Turkish I is the capital of another letter than i.  A tag that is missed for that would let go what the rule spares.
 */
#include <string.h>
#include <utf8proc.h>

#include "mm_thread_internal.h"

enum { MAX_CASES = 16, TAGS_BYTES = 16 << 20 };

struct cases { utf8proc_int32_t c[MAX_CASES]; size_t n; };

static void add(struct cases *s, utf8proc_int32_t c)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->c[i] == c)
			return;
	if (s->n < MAX_CASES)
		s->c[s->n++] = c;
}

static void add_cases(struct cases *s, utf8proc_int32_t c)
{
	add(s, c);
	add(s, utf8proc_tolower(c));
	add(s, utf8proc_toupper(c));
	add(s, utf8proc_totitle(c));
}

/* Letters that one case of one letter does not lead to: dotted and dotless i, both small sigmas, both sharp s. */
static const utf8proc_int32_t alike[][4] = {{'i', 'I', 0x130, 0x131},
					    {0x3c3, 0x3a3, 0x3c2, 0x3c2},
					    {0xdf, 0x1e9e, 0xdf, 0xdf}};

static void all_cases(struct cases *s, utf8proc_int32_t c)
{
	s->n = 0;
	add_cases(s, c);
	for (size_t i = 0, n = s->n; i < n; i++)
		add_cases(s, s->c[i]);
	for (size_t i = 0; i < ARRAY_LEN(alike); i++)
		if (c == alike[i][0] || c == alike[i][1] || c == alike[i][2] || c == alike[i][3])
			for (size_t k = 0; k < 4; k++)
				add(s, alike[i][k]);
}

static void put_char(struct buf *b, utf8proc_int32_t c)
{
	utf8proc_uint8_t text[4];

	buf_put(b, text, (size_t)utf8proc_encode_char(c, text));
}

/* A sign that has but one case stands for itself, in ASCII behind a backslash. */
static void put_sign(struct buf *b, utf8proc_int32_t c)
{
	struct cases s;

	all_cases(&s, c);
	if (s.n == 1) {
		if (c < 0x80 && !(c >= '0' && c <= '9'))
			buf_byte(b, '\\');
		put_char(b, c);
		return;
	}
	buf_byte(b, '[');
	for (size_t i = 0; i < s.n; i++)
		put_char(b, s.c[i]);
	buf_byte(b, ']');
}

static void put_tag(struct buf *b, const char *tag)
{
	const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)tag;
	utf8proc_int32_t c;
	utf8proc_ssize_t n;

	for (; *p; p += n) {
		n = utf8proc_iterate(p, -1, &c);
		if (n <= 0) { /* a policy is UTF-8 */
			n = 1;
			c = '?';
		}
		put_sign(b, c);
	}
}

char *mm_tags_pattern(void *ctx, const char *const *tags, size_t n)
{
	struct buf b;
	char *text;

	buf_init(&b, ctx, TAGS_BYTES);
	buf_puts(&b, "(^| )(");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_byte(&b, '|');
		put_tag(&b, tags[i]);
	}
	buf_puts(&b, ")( |$)");
	text = mem_strndup(ctx, b.data, b.len);
	buf_reset(&b);
	return text;
}
