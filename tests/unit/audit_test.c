/* audit_test.c - the gates between archived text and what reads it: URLs, Markdown, HTML, CSV; words against an oracle.
 */
#include "audit_internal.h"
#include "audit_tests.h"

#include <check.h>
#include <string.h>

#include "../cli/audit_payloads.h"
#include "../support/suite.h"

static void *ctx;
static struct buf out;

static void set_up(void)
{
	ctx = talloc_new(NULL);
	buf_init(&out, ctx, (size_t)64 << 20);
	buf_puts(&out, "");
}

static void tear_down(void)
{
	talloc_free(ctx);
}

/* ---- URLs ---- */

static const struct { const char *url; bool ok; } urls[] = {
	{"http://example.org", true},
	{"https://example.org/a?b=c&d=e#f", true},
	{"HTTPS://EXAMPLE.ORG", true},
	{"https://user@example.org/", true},
	{"https://example.org/ä", true},
	{"https://[::1]:8065/x", true},
	{"mailto:a@example.org", true},
	{"", false},
	{"http:", false},
	{"http:/x", false},
	{"http://", false},
	{"http:///x", false},
	{"https://?x", false},
	{"mailto:", false},
	{"//example.org", false},
	{"/x", false},
	{"x", false},
	{"#x", false},
	{"?x", false},
	{"javascript:alert(1)", false},
	{"JaVaScRiPt:alert(1)", false},
	{" javascript:alert(1)", false},
	{"\tjavascript:alert(1)", false},
	{"java\nscript:alert(1)", false},
	{"java\tscript:alert(1)", false},
	{"\x01javascript:alert(1)", false},
	{"data:text/html,x", false},
	{"data:image/svg+xml;base64,AA", false},
	{"vbscript:x", false},
	{"file:///etc/passwd", false},
	{"ftp://example.org", false},
	{"blob:https://example.org/x", false},
	{"about:blank", false},
	{"view-source:http://example.org", false},
	{"intent://x", false},
	{"mattermost://x", false},
	{"http ://example.org", false},
	{" http://example.org", false},
	{"http://example.org/a b", false},
	{"http://example.org/\"x", false},
	{"http://example.org/'x", false},
	{"http://example.org/<x", false},
	{"http://example.org/\\x", false},
	{"http:\\\\example.org", false},
	{"http://example.org/\x7f", false},
	{"http://example.org/\xff", false},
	{"http\xc5\xbf://example.org", false},
	{"http://example.org/{x}", false},
};

START_TEST(url_gate)
{
	ck_assert_msg(audit_url_allowed(urls[_i].url, strlen(urls[_i].url)) == urls[_i].ok, "%s", urls[_i].url);
}
END_TEST

START_TEST(url_gate_takes_no_nul_and_no_giant)
{
	char giant[5000];

	ck_assert(!audit_url_allowed("http://a\0b", 10));
	memset(giant, 'a', sizeof(giant));
	memcpy(giant, "http://", 7);
	ck_assert(!audit_url_allowed(giant, sizeof(giant)));
	ck_assert(audit_url_allowed(giant, 4000));
}
END_TEST

/* ---- Markdown ---- */

static bool is_allowed_tag(const char *s, size_t len)
{
	static const char *const tags[] = {"a",	    "blockquote", "br", "code", "del",	 "div",	 "em",
					   "hr",    "li",	  "ol", "p",	"pre",	 "span", "strong",
					   "table", "tbody",	  "td", "th",	"thead", "tr",	 "ul"};

	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (strlen(tags[i]) == len && !memcmp(tags[i], s, len))
			return true;
	return false;
}

static bool is_allowed_attribute(const char *s, size_t len)
{
	static const char *const names[] = {"class", "href", "rel", "start", "target", "title"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == len && !memcmp(names[i], s, len))
			return true;
	return false;
}

/* Reads what came out as a browser would, strictly: known tags, known attributes in double quotes, nothing else in
 * pointed brackets. */
static void assert_inert(const char *html, const char *what)
{
	for (const char *p = html; (p = strchr(p, '<')) != NULL;) {
		const char *tag = ++p;
		tag += *tag == '/';
		size_t n = strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789");
		ck_assert_msg(is_allowed_tag(tag, n), "tag in %s of %s", html, what);
		for (p = tag + n; *p != '>';) {
			p += strspn(p, " ");
			size_t len = strcspn(p, "=> ");
			ck_assert_msg(is_allowed_attribute(p, len), "attribute in %s of %s", html, what);
			bool href = len == 4 && !memcmp(p, "href", 4);
			p += len;
			ck_assert_msg(p[0] == '=' && p[1] == '"', "quotes in %s of %s", html, what);
			p += 2;
			ck_assert_msg(!href || !strncmp(p, "http://", 7) || !strncmp(p, "https://", 8) ||
					      !strncmp(p, "mailto:", 7),
				      "%s", html);
			p = strchr(p, '"');
			ck_assert_ptr_nonnull(p);
			p++;
		}
	}
}

START_TEST(markdown_payloads_are_inert)
{
	const char *text = audit_payloads[_i];

	audit_markdown(&out, text, strlen(text));
	assert_inert(out.data, text);
}
END_TEST

/* Any two payloads on each other, and each inside every kind of block and span. */
START_TEST(markdown_payloads_combine_inertly)
{
	static const char *const around[][2] = {{"**", "**"},	  {"> ", "\n"},
						{"`", "`"},	  {"[", "](http://ok.example)"},
						{"[x](", ")"},	  {"| ", " |\n|-|\n| x |"},
						{"- [ ] ", "\n"}, {"~~~\n", "\n~~~"},
						{"# ", " #"},	  {"![", "](x)"},
						{"<", ">"},	  {"@", ""},
						{"#a", ""},	  {":", ":"}};
	char text[4096];

	for (size_t k = 0; k < ARRAY_LEN(audit_payloads); k++) {
		(void)snprintf(text, sizeof(text), "%s%s", audit_payloads[_i], audit_payloads[k]);
		buf_clear(&out);
		audit_markdown(&out, text, strlen(text));
		assert_inert(out.data, text);
	}
	for (size_t k = 0; k < ARRAY_LEN(around); k++) {
		(void)snprintf(text, sizeof(text), "%s%s%s", around[k][0], audit_payloads[_i], around[k][1]);
		buf_clear(&out);
		audit_markdown(&out, text, strlen(text));
		assert_inert(out.data, text);
	}
}
END_TEST

static const struct { const char *text, *html; } renderings[] = {
	{"plain", "<p>plain</p>"},
	{"a\nb", "<p>a<br>b</p>"},
	{"**b** *i* ~~d~~ `c`", "<p><strong>b</strong> <em>i</em> <del>d</del> <code>c</code></p>"},
	{"# head", "<p class=\"h h1\">head</p>"},
	{"> quote", "<blockquote><p>quote</p></blockquote>"},
	{"- [x] done\n- [ ] open", "<ul><li class=\"task\"><span class=\"box\">☑</span> done</li><li "
				   "class=\"task\"><span class=\"box\">☐</span> open</li></ul>"},
	{"```\nx < y\n```", "<pre><code>x &lt; y\n</code></pre>"},
	{"hello @jane.doe_x, see #topic and a#b and a@b", "<p>hello <span class=\"mention\">@jane.doe_x</span>, see "
	 "<span class=\"hashtag\">#topic</span> and a#b and a@b</p>"},
	{":+1: :nosuch: 10:30:45", "<p><span class=\"emoji\" title=\":+1:\">👍</span> <span "
				   "class=\"emo\">:nosuch:</span> 10<span class=\"emo\">:30:</span>45</p>"},
	{"[x](javascript:1)", "<p><span class=\"nolink\" title=\"link not followed: javascript:1\">x</span></p>"},
	{"|a|b|\n|:---:|---:|\n|1|2|", "<div class=\"scroll\"><table><thead><tr><th class=\"c\">a</th><th "
	 "class=\"r\">b</th></tr></thead><tbody><tr><td class=\"c\">1</td><td "
	 "class=\"r\">2</td></tr></tbody></table></div>"},
	{"&lt;b&gt; &#60; &nosuch;", "<p>&lt;b&gt; &lt; &amp;nosuch;</p>"},
};

START_TEST(markdown_renders)
{
	audit_markdown(&out, renderings[_i].text, strlen(renderings[_i].text));
	ck_assert_str_eq(out.data, renderings[_i].html);
}
END_TEST

/* What stands behind a message in memory never becomes part of it: a link broken off at the end stays text. */
START_TEST(markdown_ends_with_the_message)
{
	static const char text[] = "|a\n|-\n|[x](b) behind";
	size_t len = strlen("|a\n|-\n|[x](b");

	audit_markdown(&out, text, len);
	ck_assert_ptr_null(strstr(out.data, "nolink"));
	ck_assert_ptr_nonnull(strstr(out.data, "[x](b"));
}
END_TEST

START_TEST(html_shows_what_hides)
{
	audit_html_escape(&out, "a\x1b[31m\x7f\xe2\x80\xae\xc2\x85\xff<&\"'", 17);
	ck_assert_str_eq(out.data, "a&#x241b;[31m&#x2421;[U+202E][U+0085]\xef\xbf\xbd&lt;&amp;&quot;&#39;");
}
END_TEST

/* ---- CSV ---- */

static const struct { const char *text, *cell; } cells[] = {
	{"", "\"\""}, {"a", "\"a\""}, {"a\"b", "\"a\"\"b\""}, {"a,b;c", "\"a,b;c\""}, {"=1", "\"'=1\""},
	{"+1", "\"'+1\""},
	{"-1", "\"'-1\""}, {"@x", "\"'@x\""}, {"\t=1", "\"'\t=1\""}, {"\r=1", "\"'\r=1\""}, {"\n=1", "\"'\n=1\""},
	{"  =1", "\"'  =1\""},
	{"\"=1", "\"\"\"=1\""}, {"'=1", "\"'=1\""}, {"a=1", "\"a=1\""}, {"|x", "\"'|x\""},
	{"\xef\xbc\x9d" "1", "\"'\xef\xbc\x9d" "1\""},
	{"ä", "\"ä\""},
};

START_TEST(csv_cells)
{
	audit_csv_cell(&out, cells[_i].text, strlen(cells[_i].text), false);
	ck_assert_str_eq(out.data, cells[_i].cell);
}
END_TEST

START_TEST(csv_payloads_never_begin_a_formula)
{
	audit_csv_cell(&out, audit_payloads[_i], strlen(audit_payloads[_i]), false);
	ck_assert(out.data[0] == '"' && out.data[out.len - 1] == '"');
	ck_assert(!strchr("=+-@\t\r\n", out.data[1]));
	for (const char *p = out.data + 1; p < out.data + out.len - 1; p++)
		if (*p == '"') {
			ck_assert(p[1] == '"');
			p++;
		}
}
END_TEST

/* ---- words ---- */

static const struct { const char *question, *text; bool hit; } questions[] = {
	{"losch", "Lösch das", true},
	{"losch", "Löschung", false},
	{"losch*", "Die Löschung", true},
	{"LÖSCHUNG", "loschung", true},
	{"\"a b\"", "x a b y", true},
	{"\"a b\"", "x a, B y", true},
	{"\"a b\"", "a x b", false},
	{"\"a b\"*", "a bcd", true},
	{"foo-bar", "say Foo bar", true},
	{"foo-bar", "bar foo", false},
	{"a b", "b c a", true},
	{"a b", "b c", false},
	{"a AND b", "b a", true},
	{"a OR b", "b", true},
	{"a OR b", "c", false},
	{"NOT a", "b", true},
	{"NOT a", "A", false},
	{"b NOT a", "b", true},
	{"(a OR b) c", "b c", true},
	{"(a OR b) c", "a b", false},
	{"a OR b c", "a", true},
	{"\xf0\x9f\x9a\x80", "go \xf0\x9f\x9a\x80!", true},
	{"\xf0\x9f\x9a\x80", "go", false},
	{"and", "rock and roll", true},
	{"straße", "STRASSE", false},
	{"e", "e\xcc\x81", true},
	{"kuhl*", "{\"k\":\"Kühl\"}", true},
};

START_TEST(words_match_rows_and_never_lose_lines)
{
	struct catalog_words *split;
	struct err err = {0};
	struct words *w;
	const char *text = questions[_i].text;
	size_t from, to;

	ck_assert_int_eq(catalog_words_new(ctx, &split, &err), 0);
	ck_assert_msg(words_parse(ctx, split, questions[_i].question, &w, &err) == 0, "%s", err.msg);
	ck_assert_msg(words_hold(w, text, strlen(text)) == questions[_i].hit, "%s in %s", questions[_i].question, text);
	if (questions[_i].hit)
		ck_assert_msg(words_may_line(w, text, strlen(text)), "%s in %s", questions[_i].question, text);
	if (words_place(w, text, strlen(text), &from, &to))
		ck_assert(from < to && to <= strlen(text));
	(void)words_match(ctx, w); /* its meaning is tested against bundles */
}
END_TEST

static const char *const nonsense[] = {"\"a", "(a", "a)", "AND", "a AND", "OR a", "NOT", "()", "\"\"", "((((", "*  )"};

START_TEST(nonsense_is_refused)
{
	struct catalog_words *split;
	struct err err = {0};
	struct words *w;

	ck_assert_int_eq(catalog_words_new(ctx, &split, &err), 0);
	ck_assert_msg(words_parse(ctx, split, nonsense[_i], &w, &err) == -ERR_USAGE, "%s", nonsense[_i]);
	ck_assert(err.hint[0]);
}
END_TEST

/* The quick look must agree with the slow truth on every pair of token and spelling. */
START_TEST(quick_look_is_never_too_strict)
{
	static const char *const spell[] = {"Kühlwasser",
					    "KÜHLWASSER",
					    "Ku\xcc\x88hlwasser",
					    "kühlwässér",
					    "\xe1\xb8\xb3uhlwasser",
					    "kuhlwasser",
					    "\xe2\x84\xaauhlwasser",
					    "kkuhlwasser kuhlwasser",
					    "kuhlkuhlwasser kuhlwasser"};
	struct catalog_words *split;
	struct err err = {0};
	struct words *w;

	ck_assert_int_eq(catalog_words_new(ctx, &split, &err), 0);
	ck_assert_int_eq(words_parse(ctx, split, "kuhlwasser", &w, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(spell); i++)
		if (words_hold(w, spell[i], strlen(spell[i])))
			ck_assert_msg(words_may_line(w, spell[i], strlen(spell[i])), "%s", spell[i]);
	ck_assert(!words_may_line(w, "kuhl wasser", 11));
	ck_assert(!words_may_line(w, "kühl wässer", strlen("kühl wässer")));
}
END_TEST

static const struct { const char *name, *extension; } extensions[] = {
	{"a.pdf", ".pdf"}, {"A.PDF", ".pdf"}, {"a.html", ".bin"}, {"a.svg", ".bin"}, {"a", ".bin"},
	{"../../x.png", ".png"},
	{"a.exe", ".bin"}, {"a.pdf.html", ".bin"}, {"", ".bin"}, {".", ".bin"}, {"a.\xc3\xa4", ".bin"},
	{"a.verylongextension", ".bin"},
};

START_TEST(extensions_are_known_ones)
{
	char got[12];

	plain_extension(extensions[_i].name, got);
	ck_assert_str_eq(got, extensions[_i].extension);
}
END_TEST

static Suite *audit_suite(void)
{
	Suite *s = suite_create("audit");
	TCase *t = tcase_create("gates");
	int payloads = (int)ARRAY_LEN(audit_payloads);

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, url_gate, 0, (int)ARRAY_LEN(urls));
	tcase_add_test(t, url_gate_takes_no_nul_and_no_giant);
	tcase_add_loop_test(t, markdown_payloads_are_inert, 0, payloads);
	tcase_add_loop_test(t, markdown_payloads_combine_inertly, 0, payloads);
	tcase_add_loop_test(t, markdown_renders, 0, (int)ARRAY_LEN(renderings));
	tcase_add_test(t, markdown_ends_with_the_message);
	tcase_add_test(t, html_shows_what_hides);
	tcase_add_loop_test(t, csv_cells, 0, (int)ARRAY_LEN(cells));
	tcase_add_loop_test(t, csv_payloads_never_begin_a_formula, 0, payloads);
	tcase_add_loop_test(t, words_match_rows_and_never_lose_lines, 0, (int)ARRAY_LEN(questions));
	tcase_add_loop_test(t, nonsense_is_refused, 0, (int)ARRAY_LEN(nonsense));
	tcase_add_test(t, quick_look_is_never_too_strict);
	tcase_add_loop_test(t, extensions_are_known_ones, 0, (int)ARRAY_LEN(extensions));
	suite_add_tcase(s, t);
	suite_add_tcase(s, audit_find_case());
	return s;
}

int main(void)
{
	mem_setup();
	return suite_run(audit_suite());
}
