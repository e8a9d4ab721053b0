/* audit_escape.c - text into HTML and CSV; nothing else in this room writes text from outside. */
#include "audit_internal.h"

#include <string.h>
#include <utf8proc.h>

/* Overrides of direction make a name read as another one; they are shown, not obeyed. */
static bool reorders(utf8proc_int32_t c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void put_code(struct buf *out, utf8proc_int32_t c, const char *raw, size_t len)
{
	if (c == '&')
		buf_puts(out, "&amp;");
	else if (c == '<')
		buf_puts(out, "&lt;");
	else if (c == '>')
		buf_puts(out, "&gt;");
	else if (c == '"')
		buf_puts(out, "&quot;");
	else if (c == '\'')
		buf_puts(out, "&#39;");
	else if (c == '\n' || c == '\t')
		buf_byte(out, (char)c);
	else if (c < 0x20)
		buf_printf(out, "&#x%x;", 0x2400 + (unsigned)c); /* the picture of the control character */
	else if (c == 0x7f)
		buf_puts(out, "&#x2421;");
	else if ((c >= 0x80 && c < 0xa0) || reorders(c) || c == 0x2028 || c == 0x2029 || c == 0xfeff)
		buf_printf(out, "[U+%04X]", (unsigned)c);
	else
		buf_put(out, raw, len);
}

void audit_html_escape(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n =
			utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(len - i), &c);
		if (n <= 0) {
			buf_puts(out, "\xef\xbf\xbd");
			i++;
			continue;
		}
		put_code(out, c, text + i, (size_t)n);
		i += (size_t)n;
	}
}

/* ---- CSV ---- */

/* What a spreadsheet may take for the start of a formula, also behind blanks, also full width. */
static bool formula(const char *s, size_t len)
{
	static const char *const wide[] = {"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

	for (; len > 0 && (*s == ' ' || *s == '\xa0'); s++)
		len--;
	if (len == 0)
		return false;
	if (strchr("=+-@\t\r\n|%", *s) || *s == '\0')
		return true;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (len >= 3 && !memcmp(s, wide[i], 3))
			return true;
	return false;
}

void audit_csv_cell(struct buf *out, const char *text, size_t len, bool raw)
{
	buf_byte(out, '"');
	if (!raw && formula(text, len))
		buf_byte(out, '\'');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			buf_byte(out, '"');
		if (text[i] != '\0' || raw)
			buf_byte(out, text[i]);
	}
	buf_byte(out, '"');
}
