/*
 * cli_safe.c - names and messages from outside, made harmless for a terminal.
 */
#include <string.h>
#include <utf8proc.h>

#include "cli.h"

#define MARKS_MAX 4 /* combining marks on one letter; no script of a living language needs more */

static bool is_mark(utf8proc_category_t c)
{
	return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

/* A terminal may obey it, hide it or reorder its neighbours. */
static bool is_unsafe(utf8proc_category_t c)
{
	return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CS ||
	       c == UTF8PROC_CATEGORY_CO || c == UTF8PROC_CATEGORY_CN || c == UTF8PROC_CATEGORY_ZL ||
	       c == UTF8PROC_CATEGORY_ZP;
}

char *cli_safe_len(void *ctx, const char *text, size_t len)
{
	const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
	struct buf out;
	unsigned marks = 0;

	buf_init(&out, ctx, 10 * len + 16);
	buf_puts(&out, "");
	for (size_t i = 0; i < len;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(len - i), &c);
		utf8proc_category_t category = n > 0 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CN;

		marks = is_mark(category) ? marks + 1 : 0;
		if (n <= 0) {
			buf_printf(&out, "\\x%02x", p[i]);
			n = 1;
		} else if (is_unsafe(category) || marks > MARKS_MAX) {
			buf_printf(&out, c < 0x80 ? "\\x%02x" : "\\u{%x}", (unsigned)c);
		} else {
			buf_put(&out, text + i, (size_t)n);
		}
		i += (size_t)n;
	}
	return out.len ? out.data : mem_strdup(ctx, "");
}

char *cli_safe(void *ctx, const char *text)
{
	return cli_safe_len(ctx, text ? text : "", text ? strlen(text) : 0);
}

size_t cli_width(const char *safe_text)
{
	const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)safe_text;
	size_t width = 0, len = strlen(safe_text);

	for (size_t i = 0; i < len;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(len - i), &c);

		width += n > 0 ? (size_t)utf8proc_charwidth(c) : 1;
		i += n > 0 ? (size_t)n : 1;
	}
	return width;
}

const char *cli_s(uint64_t n)
{
	return n == 1 ? "" : "s";
}

const char *cli_count(void *ctx, uint64_t n, const char *one)
{
	return mem_printf(ctx, "%llu %s%s", (unsigned long long)n, one, cli_s(n));
}
