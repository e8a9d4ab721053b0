/*
 * audit_markdown.c - message Markdown as inert HTML, with md4c as the parser.
 *
 * Only tags written in this file come out.  HTML in a message is text; images are never loaded, they become links; a
 * link that the gate refuses stays text with its address beside it.
 *
 * md4c up to 0.4.8 looks past the end of its input at a broken link in a table and then reports text that begins there.
 * So it works on a copy with zeros behind, and text from anywhere but the message ends the parsing: the message is
 * shown as it was written.
 */
#include "audit_internal.h"

#include <ctype.h>
#include <md4c.h>
#include <stdlib.h>
#include <string.h>

#define PAST_END 64          /* zeros behind the copy; md4c looks a few bytes ahead */
#define MD4C_CONSTANT_MAX 16 /* the longest text of its own that md4c reports: spaces of an indented code block */

struct render {
	struct buf *out;
	const char *text;            /* what md4c parses */
	size_t len;
	struct buf run;              /* plain text that md4c gives in pieces, joined: a name may hold an underscore */
	struct buf url;
	unsigned code, link, image;
	bool refused[64];            /* per open link */
};

/* Text that md4c reports lies inside the message, or elsewhere: a constant or a copy of md4c's own of at most
 * `elsewhere` bytes. */
static bool from_message(const struct render *r, const char *text, size_t size, size_t elsewhere)
{
	uintptr_t at = (uintptr_t)text, begin = (uintptr_t)r->text, end = begin + r->len;

	if (at < begin || at >= end + PAST_END)
		return size <= elsewhere;
	return at <= end && size <= end - at;
}

/* ---- plain runs: mentions, hashtags, emoji ---- */

static bool word_byte(char c)
{
	return isalnum((unsigned char)c) || ((unsigned char)c & 0x80);
}

static size_t mention_at(const char *s, size_t len)
{
	size_t n = 1;

	while (n < len && (isalnum((unsigned char)s[n]) || s[n] == '.' || s[n] == '-' || s[n] == '_'))
		n++;
	while (n > 1 && !isalnum((unsigned char)s[n - 1]))
		n--;
	return n > 1 ? n : 0;
}

static size_t hashtag_at(const char *s, size_t len)
{
	size_t n = 1;

	if (len < 3 || isdigit((unsigned char)s[1]))
		return 0;
	while (n < len && (word_byte(s[n]) || s[n] == '-' || s[n] == '_'))
		n++;
	return n > 2 ? n : 0;
}

static size_t emoji_at(const char *s, size_t len)
{
	size_t n = 1;

	while (n < len && n < 66 && (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '+' || s[n] == '-'))
		n++;
	return n > 1 && n < len && s[n] == ':' ? n + 1 : 0;
}

static void put_span(struct buf *out, const char *class, const char *s, size_t len)
{
	buf_printf(out, "<span class=\"%s\">", class);
	audit_html_escape(out, s, len);
	buf_puts(out, "</span>");
}

static void put_emoji(struct buf *out, const char *s, size_t len)
{
	const char *code = audit_emoji(s + 1, len - 2);

	if (!code) {
		put_span(out, "emo", s, len);
		return;
	}
	buf_puts(out, "<span class=\"emoji\" title=\"");
	audit_html_escape(out, s, len);
	buf_printf(out, "\">%s</span>", code);
}

static void run_flush(struct render *r)
{
	const char *s = r->run.data;
	size_t len = r->run.len, from = 0;

	for (size_t i = 0; i < len;) {
		bool free_left = i == 0 || !word_byte(s[i - 1]);
		size_t n = 0;
		if (s[i] == '@' && free_left && !r->link && (n = mention_at(s + i, len - i)) > 0) {
			audit_html_escape(r->out, s + from, i - from);
			put_span(r->out, "mention", s + i, n);
		} else if (s[i] == '#' && free_left && !r->link && (n = hashtag_at(s + i, len - i)) > 0) {
			audit_html_escape(r->out, s + from, i - from);
			put_span(r->out, "hashtag", s + i, n);
		} else if (s[i] == ':' && (n = emoji_at(s + i, len - i)) > 0) {
			audit_html_escape(r->out, s + from, i - from);
			put_emoji(r->out, s + i, n);
		}
		i += n ? n : 1;
		from = n ? i : from;
	}
	if (len > 0)
		audit_html_escape(r->out, s + from, len - from);
	buf_clear(&r->run);
}

/* ---- entities ---- */

static void put_code_point(struct buf *b, unsigned long c)
{
	char text[4];

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	buf_put(b, text, utf8_put((uint32_t)c, text));
}

/* The decoded text, not escaped.  A name that we do not know stays as it was written. */
static void entity(struct buf *b, const char *s, size_t len)
{
	static const struct { const char *name, *text; } known[] = {
		{"&amp;", "&"},   {"&lt;", "<"},      {"&gt;", ">"},      {"&quot;", "\""},  {"&apos;", "'"},
		{"&nbsp;", "\xc2\xa0"},
		{"&colon;", ":"}, {"&sol;", "/"},     {"&Tab;", "\t"},    {"&NewLine;", "\n"}, {"&lpar;", "("},
		{"&rpar;", ")"},
		{"&auml;", "ä"},  {"&ouml;", "ö"},    {"&uuml;", "ü"},    {"&Auml;", "Ä"},   {"&Ouml;", "Ö"},
		{"&Uuml;", "Ü"},
		{"&szlig;", "ß"}, {"&euro;", "€"},    {"&hellip;", "…"},  {"&ndash;", "–"},  {"&mdash;", "—"},
		{"&copy;", "©"},
	};
	char number[16];

	if (len > 3 && s[1] == '#' && len < sizeof(number)) {
		bool hex = s[2] == 'x' || s[2] == 'X';
		memcpy(number, s + (hex ? 3 : 2), len - (hex ? 3 : 2));
		number[len - (hex ? 3 : 2)] = '\0';
		put_code_point(b, strtoul(number, NULL, hex ? 16 : 10));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i].name) == len && !memcmp(known[i].name, s, len)) {
			buf_puts(b, known[i].text);
			return;
		}
	buf_put(b, s, len);
}

/* An attribute comes as pieces of text and entities: joined and decoded first, judged afterwards. */
static void attribute(struct buf *b, const MD_ATTRIBUTE *a)
{
	buf_clear(b);
	for (size_t i = 0; a->size > 0 && a->substr_offsets[i] < a->size; i++) {
		const char *s = a->text + a->substr_offsets[i];
		size_t len = a->substr_offsets[i + 1] - a->substr_offsets[i];
		if (a->substr_types[i] == MD_TEXT_ENTITY)
			entity(b, s, len);
		else if (a->substr_types[i] == MD_TEXT_NULLCHAR)
			buf_puts(b, "\xef\xbf\xbd");
		else
			buf_put(b, s, len);
	}
}

/* ---- links ---- */

static void link_open(struct render *r, const MD_ATTRIBUTE *href)
{
	size_t depth = r->link < ARRAY_LEN(r->refused) ? r->link : ARRAY_LEN(r->refused) - 1;

	buf_clear(&r->url);
	if (from_message(r, href->text, href->size, r->len))
		attribute(&r->url, href);
	bool ok = r->url.len > 0 && !r->url.overflow && r->link == 0 && audit_url_allowed(r->url.data, r->url.len);
	r->refused[depth] = !ok;
	r->link++;
	if (!ok) {
		buf_puts(r->out, "<span class=\"nolink\" title=\"link not followed: ");
		audit_html_escape(r->out, r->url.data ? r->url.data : "", r->url.len);
		buf_puts(r->out, "\">");
		return;
	}
	buf_puts(r->out, "<a rel=\"noreferrer noopener nofollow\" target=\"_blank\" href=\"");
	audit_html_escape(r->out, r->url.data, r->url.len);
	buf_puts(r->out, "\" title=\"");
	audit_html_escape(r->out, r->url.data, r->url.len);
	buf_puts(r->out, "\">");
}

static void link_close(struct render *r)
{
	if (r->link > 0)
		r->link--;
	size_t depth = r->link < ARRAY_LEN(r->refused) ? r->link : ARRAY_LEN(r->refused) - 1;
	buf_puts(r->out, r->refused[depth] ? "</span>" : "</a>");
}

/* ---- md4c's events ---- */

static void cell_open(struct buf *out, const char *tag, const MD_BLOCK_TD_DETAIL *d)
{
	const char *class = d->align == MD_ALIGN_RIGHT	  ? " class=\"r\""
			    : d->align == MD_ALIGN_CENTER ? " class=\"c\""
							  : "";

	buf_printf(out, "<%s%s>", tag, class);
}

static void item_open(struct buf *out, const MD_BLOCK_LI_DETAIL *d)
{
	if (!d->is_task) {
		buf_puts(out, "<li>");
		return;
	}
	buf_puts(out, d->task_mark == ' ' ? "<li class=\"task\"><span class=\"box\">\xe2\x98\x90</span> "
					  : "<li class=\"task\"><span class=\"box\">\xe2\x98\x91</span> ");
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *payload)
{
	struct render *r = payload;
	struct buf *out = r->out;

	run_flush(r);
	switch (type) {
	case MD_BLOCK_DOC: case MD_BLOCK_HTML: break;
	case MD_BLOCK_QUOTE: buf_puts(out, "<blockquote>"); break;
	case MD_BLOCK_UL: buf_puts(out, "<ul>"); break;
	case MD_BLOCK_OL: buf_printf(out, "<ol start=\"%u\">", ((MD_BLOCK_OL_DETAIL *)detail)->start); break;
	case MD_BLOCK_LI: item_open(out, detail); break;
	case MD_BLOCK_HR: buf_puts(out, "<hr>"); break;
	case MD_BLOCK_H: buf_printf(out, "<p class=\"h h%u\">", ((MD_BLOCK_H_DETAIL *)detail)->level); break;
	case MD_BLOCK_CODE: r->code++; buf_puts(out, "<pre><code>"); break;
	case MD_BLOCK_P: buf_puts(out, "<p>"); break;
	case MD_BLOCK_TABLE: buf_puts(out, "<div class=\"scroll\"><table>"); break;
	case MD_BLOCK_THEAD: buf_puts(out, "<thead>"); break;
	case MD_BLOCK_TBODY: buf_puts(out, "<tbody>"); break;
	case MD_BLOCK_TR: buf_puts(out, "<tr>"); break;
	case MD_BLOCK_TH: cell_open(out, "th", detail); break;
	case MD_BLOCK_TD: cell_open(out, "td", detail); break;
	}
	return out->overflow;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *payload)
{
	static const char *const end[] = {
		[MD_BLOCK_DOC] = "", [MD_BLOCK_QUOTE] = "</blockquote>", [MD_BLOCK_UL] = "</ul>",
		[MD_BLOCK_OL] = "</ol>",
		[MD_BLOCK_LI] = "</li>", [MD_BLOCK_HR] = "", [MD_BLOCK_H] = "</p>", [MD_BLOCK_CODE] = "</code></pre>",
		[MD_BLOCK_HTML] = "",
		[MD_BLOCK_P] = "</p>", [MD_BLOCK_TABLE] = "</table></div>", [MD_BLOCK_THEAD] = "</thead>",
		[MD_BLOCK_TBODY] = "</tbody>",
		[MD_BLOCK_TR] = "</tr>", [MD_BLOCK_TH] = "</th>", [MD_BLOCK_TD] = "</td>",
	};
	struct render *r = payload;

	(void)detail;
	run_flush(r);
	if (type == MD_BLOCK_CODE)
		r->code--;
	buf_puts(r->out, end[type]);
	return r->out->overflow;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *payload)
{
	struct render *r = payload;

	run_flush(r);
	switch (type) {
	case MD_SPAN_EM: buf_puts(r->out, "<em>"); break;
	case MD_SPAN_STRONG: buf_puts(r->out, "<strong>"); break;
	case MD_SPAN_A: link_open(r, &((MD_SPAN_A_DETAIL *)detail)->href); break;
	case MD_SPAN_IMG:
		r->image++;
		buf_puts(r->out, "<span class=\"image\">image: ");
		link_open(r, &((MD_SPAN_IMG_DETAIL *)detail)->src);
		break;
	case MD_SPAN_CODE: r->code++; buf_puts(r->out, "<code>"); break;
	case MD_SPAN_DEL: buf_puts(r->out, "<del>"); break;
	/* not asked for */
	case MD_SPAN_LATEXMATH: case MD_SPAN_LATEXMATH_DISPLAY: case MD_SPAN_WIKILINK: case MD_SPAN_U: break;
	}
	return r->out->overflow;
}

static int leave_span(MD_SPANTYPE type, void *detail, void *payload)
{
	struct render *r = payload;

	(void)detail;
	run_flush(r);
	switch (type) {
	case MD_SPAN_EM: buf_puts(r->out, "</em>"); break;
	case MD_SPAN_STRONG: buf_puts(r->out, "</strong>"); break;
	case MD_SPAN_A: link_close(r); break;
	case MD_SPAN_IMG: link_close(r); buf_puts(r->out, "</span>"); r->image--; break;
	case MD_SPAN_CODE: buf_puts(r->out, "</code>"); r->code--; break;
	case MD_SPAN_DEL: buf_puts(r->out, "</del>"); break;
	case MD_SPAN_LATEXMATH: case MD_SPAN_LATEXMATH_DISPLAY: case MD_SPAN_WIKILINK: case MD_SPAN_U: break;
	}
	return r->out->overflow;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *payload)
{
	struct render *r = payload;

	if (!from_message(r, text, size, MD4C_CONSTANT_MAX))
		return 1;
	if (type == MD_TEXT_BR || type == MD_TEXT_SOFTBR) { /* the chat keeps every line end */
		run_flush(r);
		buf_puts(r->out, r->image ? " " : "<br>");
	} else if (type == MD_TEXT_NULLCHAR) {
		buf_puts(&r->run, "\xef\xbf\xbd");
	} else if (type == MD_TEXT_ENTITY) {
		entity(&r->run, text, size);
	} else if (type == MD_TEXT_CODE || r->code) {
		run_flush(r);
		audit_html_escape(r->out, text, size);
	} else {
		buf_put(&r->run, text, size);
	}
	return r->out->overflow || r->run.overflow;
}

static void plain(struct buf *out, const char *text, size_t len)
{
	buf_puts(out, "<p class=\"plain\">");
	audit_html_escape(out, text, len);
	buf_puts(out, "</p>");
}

void audit_markdown(struct buf *out, const char *text, size_t len)
{
	static const MD_PARSER parser = {
		.flags = MD_DIALECT_GITHUB | MD_FLAG_NOHTML | MD_FLAG_NOINDENTEDCODEBLOCKS,
		.enter_block = enter_block, .leave_block = leave_block, .enter_span = enter_span,
		.leave_span = leave_span, .text = on_text,
	};
	void *tmp auto_mem = mem_context(NULL, "markdown");
	struct render r = {.out = out, .len = len};
	size_t at = out->len;
	char *copy;

	if (len == 0)
		return;
	buf_init(&r.run, tmp, (size_t)4 << 20);
	buf_init(&r.url, tmp, (size_t)1 << 20);
	if (len <= MARKDOWN_MAX && utf8_valid(text, len)) {
		r.text = copy = mem_array(tmp, char, len + PAST_END);
		memcpy(copy, text, len);
		if (md_parse(copy, (MD_SIZE)len, &parser, &r) == 0) {
			run_flush(&r);
			return;
		}
	}
	out->len = at;
	plain(out, text, len);
}
