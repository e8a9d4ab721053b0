/*
 * audit_line.c - a look at the raw line of a bundle: can it hold a token, whatever its case and accents?
 *
 * This is what makes a scan fast.  It may say yes in doubt and never no in error: what it lets through is decoded and
 * tested exactly.
 */
#include "audit_internal.h"

#include <string.h>

struct needle {
	char *s; size_t len;                   /* ASCII letters and digits, lower case */
	char fold[0x800];                      /* two-byte UTF-8 folded to ASCII: 0 dropped, 1 something else */
};

struct fold_one { const char *s; size_t len; char byte; };

static int fold_token(void *payload, const char *token, size_t len, size_t from, size_t to)
{
	struct fold_one *f = payload;

	(void)from;
	(void)to;
	f->byte = len == 1 && (unsigned char)token[0] < 0x80 ? token[0] : 1;
	return 1;
}

/* Asked of the tokenizer itself, letter by letter, so that it is right whatever Unicode it knows. */
static void fold_table(struct catalog_words *split, struct needle *w)
{
	char x[4];

	for (unsigned c = 0x80; c < 0x800; c++) {
		struct fold_one f = {.byte = 0};
		catalog_words_split(split, x, utf8_put(c, x), fold_token, &f);
		if (f.byte == 0 && c >= 0x300 && c < 0x370)
			w->fold[c] = 0;   /* a combining mark: the letters around it meet */
		else
			w->fold[c] = f.byte ? f.byte : ' ';
	}
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static bool needle_at(const struct needle *w, const char *s)
{
	for (size_t k = 0; k < w->len; k++)
		if (lower(s[k]) != w->s[k])
			return false;
	return true;
}

#define BLOCK 32

/* The first two letters of the needle in a block; a loop without exits, so that the compiler makes it wide. */
static bool block_may(const char *s, char a, char b)
{
	unsigned char any = 0;

	for (size_t k = 0; k < BLOCK; k++)
		any |= (unsigned char)(((s[k] | 32) == a) & ((s[k + 1] | 32) == b));
	return any != 0;
}

static bool has_needle(const struct needle *w, const char *s, size_t len)
{
	size_t i = 0, n = w->len;
	char a = w->s[0], b = n > 1 ? w->s[1] : 0;

	for (; n > 1 && i + BLOCK + n <= len; i += BLOCK) {
		if (!block_may(s + i, a, b))
			continue;
		for (size_t k = 0; k < BLOCK; k++)
			if (needle_at(w, s + i + k))
				return true;
	}
	for (; i + n <= len; i++)
		if (needle_at(w, s + i))
			return true;
	return false;
}

/* Folds on the fly.  true also for letters beyond two bytes that may fold to ASCII, and for escapes. */
static bool folded_has_needle(const struct needle *w, const char *s, size_t len)
{
	size_t k = 0;

	/* A restart after a partial match may lose an overlap ("aab" in "aaab"), so a partial match that breaks is a
	 * maybe whenever the needle repeats its first letter; needles that do not repeat it cannot overlap. */
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char f = lower((char)c);
		if (c >= 0x80) {
			if (c >= 0xe0 &&
			    (c == 0xe1 || (c == 0xe2 && i + 1 < len && (unsigned char)s[i + 1] == 0x84) || c == 0xef))
				return true;
			if (c >= 0xe0) {
				i += c >= 0xf0 ? 3 : 2;
				f = 1;
			} else if (i + 1 < len) {
				f = w->fold[((unsigned)(c & 31) << 6 | ((unsigned char)s[++i] & 63)) & 0x7ff];
				if (f == 0)
					continue;
			}
		}
		if (f == w->s[k])
			k++;
		else if (k > 0 && memchr(w->s + 1, w->s[0], w->len - 1) != NULL)
			return true;
		else
			k = f == w->s[0];
		if (k == w->len)
			return true;
	}
	return false;
}

/* The next byte beyond ASCII at or after i, or len. */
static size_t next_wide(const char *s, size_t i, size_t len)
{
	uint64_t word;

	for (; i + 8 <= len; i += 8) {
		memcpy(&word, s + i, 8);
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < len && !((unsigned char)s[i] & 0x80))
		i++;
	return i;
}

/* A match that has_needle did not see holds a letter beyond ASCII: only the surroundings of those are folded. */
static bool wide_has_needle(const struct needle *w, const char *s, size_t len)
{
	size_t reach = 4 * w->len + 8;

	for (size_t i = next_wide(s, 0, len); i < len;) {
		size_t from = i > reach ? i - reach : 0, to = i, next = i;
		while (next < len && next <= to + reach) { /* one window over neighbours */
			to = next + 4 < len ? next + 4 : len;
			next = next_wide(s, to, len);
		}
		to = to + reach < len ? to + reach : len;
		while (from > 0 && ((unsigned char)s[from] & 0xc0) == 0x80)
			from--;
		if (folded_has_needle(w, s + from, to - from))
			return true;
		i = next;
	}
	return false;
}

/* memchr is many times faster than memmem, and these bytes are rare. */
static bool followed_by(const char *s, size_t len, char c, const char *rest)
{
	size_t n = strlen(rest);

	for (const char *p = s, *end = s + len; (p = memchr(p, c, (size_t)(end - p))) != NULL; p++)
		if ((size_t)(end - p) > n && !memcmp(p + 1, rest, n))
			return true;
	return false;
}

bool needle_may(const struct needle *w, const char *line, size_t len)
{
	if (has_needle(w, line, len) || wide_has_needle(w, line, len))
		return true;
	/* \uXXXX inside embedded JSON, and base64 of what is not UTF-8 */
	return followed_by(line, len, '\\', "u") || followed_by(line, len, '!', "b64\"");
}

struct needle *needle_new(void *ctx, struct catalog_words *split, const char *token, size_t len)
{
	struct needle *n = mem_new(ctx, struct needle);

	n->s = mem_strndup(n, token, len);
	n->len = len;
	fold_table(split, n);
	return n;
}
