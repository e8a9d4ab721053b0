/* What is wrong with the text itself: bytes that are no text, YAML that is none, in words an operator can act on. */
#include "policy_internal.h"

#include <string.h>
#include <yaml.h>

struct place {
	uint32_t line, column;
};

/* Line and column of a byte; columns count characters. */
static struct place place_of(const char *text, size_t at)
{
	struct place p = {1, 1};

	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n')
			p = (struct place){p.line + 1, 1};
		else if (((unsigned char)text[i] & 0xC0) != 0x80)
			p.column++;
	}
	return p;
}

/* Offset of the first byte that is not UTF-8; len when all is well.  Lines are checked one by one, then the
 * characters of the bad line. */
static size_t first_bad_byte(const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t line = nl ? (size_t)(nl - text) - at + 1 : len - at;

		if (utf8_valid(text + at, line)) {
			at += line;
			continue;
		}
		while (at < len) {
			size_t n = 1;

			while (n <= 4 && at + n <= len && !utf8_valid(text + at, n))
				n++;
			if (n > 4 || at + n > len)
				return at;
			at += n;
		}
	}
	return len;
}

bool policy_text_check(struct problem_list *l, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len);
	size_t bad = first_bad_byte(text, len);
	struct place p;

	if (nul && (size_t)(nul - text) < bad) {
		p = place_of(text, (size_t)(nul - text));
		policy_problem_at(l, p.line, p.column, "a NUL byte");
		policy_hint(l, "This is not a text file, or it is UTF-16; save it as UTF-8.");
		return false;
	}
	if (bad == len)
		return true;
	p = place_of(text, bad);
	policy_problem_at(l, p.line, p.column, "byte 0x%02x is not valid UTF-8", (unsigned char)text[bad]);
	policy_hint(l, "Save the file as UTF-8.");
	return false;
}

/* libyaml's words -> ours.  %u is the line where the construct began. */
static const struct {
	const char *theirs, *ours, *hint;
	bool at_context; /* where the construct began says more than where it broke */
} words[] = {
	{"mapping values are not allowed", "a `:` is not expected here",
	 "Check the indentation of this line and the one above; put a text that contains `: ` in quotes.", false},
	{"could not find expected ':'", "a `:` is missing after this key",
	 "Write `key: value`, with a space after the colon.", true},
	{"did not find expected key", "expected a key of the mapping that begins in line %u",
	 "Indent the keys of one mapping alike; close quotes and brackets.", false},
	{"did not find expected ',' or '}'", "expected `,` or `}`; the `{` is in line %u",
	 "Close the brace, or put a text with `#`, `:` or braces in quotes.", false},
	{"did not find expected ',' or ']'", "expected `,` or `]`; the `[` is in line %u",
	 "Close the bracket, or put a text with `#`, `:` or brackets in quotes.", false},
	{"did not find expected '-' indicator", "expected a list item; the list begins in line %u",
	 "Begin each item with `- `, indented like the first one.", false},
	{"block sequence entries are not allowed", "a list item (`-`) is not expected here",
	 "Put the list on the lines below its key; put a text that begins with `- ` in quotes.", false},
	{"found unexpected end of stream", "this quote is never closed", "Close the quote.", true},
	{"found unexpected document indicator", "this quote is never closed", "Close the quote.", true},
	{"found unknown escape character", "an unknown escape in a text in double quotes",
	 "Write the text in single quotes, or double the backslash.", false},
	{"did not find expected <document start>", "unexpected text after the end of the policy",
	 "Indent the keys alike; a key at the left edge belongs to the whole file.", false},
	{"did not find expected node content", "expected a value here",
	 "Close the bracket or brace above; put a text that begins with `#`, `,` or a bracket in quotes.", false},
	{"did not find expected whitespace or line break", "tags are not allowed",
	 "Put a text that begins with `!` in quotes.", true},
	{"found undefined alias", "aliases are not allowed", "Write the value out.", false},
	{"found undefined tag handle", "tags are not allowed", "Put a text that begins with `!` in quotes.", false},
	{"found incompatible YAML document", "the `%%YAML` line asks for another version of YAML", "Remove that line.",
	 false},
	{"did not find expected alphabetic or numeric character", "a name is missing after `*` or `&`",
	 "Put a glob that begins with `*` in quotes.", false},
	{"control characters are not allowed", "a control character", "Remove it; only tabs and line ends are allowed.",
	 false},
	{"invalid UTF-8", "not valid UTF-8", "Save the file as UTF-8.", false},
};

static size_t offset_of(const char *text, size_t len, struct place p)
{
	size_t at = 0;

	for (uint32_t line = 1; line < p.line; line++) {
		const char *nl = memchr(text + at, '\n', len - at);

		if (!nl)
			return len;
		at = (size_t)(nl - text) + 1;
	}
	for (uint32_t c = 1; c < p.column && at < len; c++)
		for (at++; at < len && ((unsigned char)text[at] & 0xC0) == 0x80; at++)
			;
	return at;
}

/* "found character that cannot start any token": say which one. */
static void bad_start(struct problem_list *l, struct place p, const char *text, size_t len)
{
	size_t at = offset_of(text, len, p);
	char c = at < len ? text[at] : ' ';

	if (c == '\t') {
		policy_problem_at(l, p.line, p.column, "a tab where only spaces may stand");
		policy_hint(l, "Indent with spaces.");
		return;
	}
	policy_problem_at(l, p.line, p.column, "a text cannot begin with `%c`", c);
	policy_hint(l, "Put the text in quotes.");
}

void policy_syntax_problem(struct problem_list *l, const struct yaml_parser_s *y, const char *text, size_t len)
{
	const char *theirs = y->problem ? y->problem : "not readable";
	struct place p = {(uint32_t)y->problem_mark.line + 1, (uint32_t)y->problem_mark.column + 1};
	uint32_t from = (uint32_t)y->context_mark.line + 1;

	if (y->error == YAML_MEMORY_ERROR)
		mem_check(NULL);
	if (y->error == YAML_READER_ERROR)
		p = place_of(text, y->problem_offset < len ? y->problem_offset : len);
	if (strstr(theirs, "cannot start any token")) {
		bad_start(l, p, text, len);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strstr(theirs, words[i].theirs))
			continue;
		if (words[i].at_context)
			p = (struct place){from, (uint32_t)y->context_mark.column + 1};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the table is above */
		policy_problem_at(l, p.line, p.column, words[i].ours, from);
#pragma GCC diagnostic pop
		policy_hint(l, "%s", words[i].hint);
		return;
	}
	policy_problem_at(l, p.line, p.column, "not YAML: %s", theirs);
	policy_hint(l, "Correct the line, or the one above it.");
}
