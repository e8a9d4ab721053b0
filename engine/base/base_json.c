/* base_json.c - JSON strings out, one-line objects in (RFC 8259), strict UTF-8 (RFC 3629). */
#include <mmretain/base.h>

#include <string.h>

enum {
	MAX_DEPTH = 512,
	ESCAPE_CHUNK = 16384, /* bytes whose escaped length is counted at most before they are written */
	ESCAPED_MAX = 6,      /* bytes that stand for one */
};
#define ONES (~UINT64_C(0) / 255)
#define HIGH (ONES * 128)

/* Eight bytes at once: is any of them below 0x20, a quote or a backslash?  May say yes too often, never no too often.
 */
static inline bool word_special(uint64_t v)
{
	uint64_t quote = v ^ ONES * '"', slash = v ^ ONES * '\\';

	return (((v - ONES * 0x20) & ~v) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash)) & HIGH;
}

static char *put_char(char *o, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letter[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

	if (c >= 0x20 && c != '"' && c != '\\') {
		*o++ = (char)c;
		return o;
	}
	*o++ = '\\';
	if (c >= 0x20) {
		*o++ = (char)c;
	} else if (letter[c]) {
		*o++ = letter[c];
	} else {
		memcpy(o, "u00", 3);
		o[3] = hex[c >> 4];
		o[4] = hex[c & 15];
		o += 5;
	}
	return o;
}

static char *put_escaped(char *o, const char *s, size_t n)
{
	const char *end = s + n;

	while (s < end) {
		uint64_t v;
		while (end - s >= 8 && (memcpy(&v, s, 8), !word_special(v))) {
			memcpy(o, &v, 8);
			o += 8;
			s += 8;
		}
		for (int i = 0; i < 8 && s < end; i++)
			o = put_char(o, (unsigned char)*s++);
	}
	return o;
}

static size_t escaped_length(const char *s, size_t n)
{
	char scratch[ESCAPED_MAX];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)(put_char(scratch, (unsigned char)s[i]) - scratch);
	return len;
}

void json_put_string(struct buf *b, const char *s, size_t len)
{
	size_t done = 0;

	do {
		size_t n = len - done < ESCAPE_CHUNK ? len - done : ESCAPE_CHUNK;

		if (ESCAPED_MAX * n + 2 >= b->cap - b->len && !buf_reserve(b, escaped_length(s + done, n) + 2))
			return;
		char *o = b->data + b->len;
		if (done == 0)
			*o++ = '"';
		o = put_escaped(o, s + done, n);
		done += n;
		if (done == len)
			*o++ = '"';
		*o = '\0';
		b->len = (size_t)(o - b->data);
	} while (done < len);
}

/* Length of the UTF-8 sequence at s, or 0 when it is not valid. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
	unsigned char c = s[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
	    (c == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;
	uint64_t word;

	while (p < end) {
		/* Chat is mostly ASCII: eight bytes at a time. */
		while (end - p >= 8 && (memcpy(&word, p, 8), (word & 0x8080808080808080u) == 0))
			p += 8;
		if (p < end) {
			size_t n = utf8_sequence(p, (size_t)(end - p));

			if (n == 0)
				return false;
			p += n;
		}
	}
	return true;
}

void json_scan_init(struct json_scan *s, const char *line, size_t len)
{
	*s = (struct json_scan){.p = line, .end = line + len};
}

static void skip_space(struct json_scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		s->p++;
}

/* At an opening quote: leaves p after the closing one. */
static bool scan_string(struct json_scan *s, const char **ret, size_t *ret_len)
{
	const char *from = ++s->p;

	for (;;) {
		const char *q = memchr(s->p, '"', (size_t)(s->end - s->p));
		const char *back = q;

		if (!q)
			return false;
		while (back > from && back[-1] == '\\')
			back--;
		s->p = q + 1;
		if ((q - back) % 2 == 0) {
			*ret = from;
			*ret_len = (size_t)(q - from);
			return true;
		}
	}
}

/* Skips an object or array, strings inside included. */
static bool scan_nested(struct json_scan *s)
{
	char open[MAX_DEPTH];
	size_t depth = 0, n;
	const char *str;

	for (; s->p < s->end;) {
		char c = *s->p;

		if (c == '"') {
			if (!scan_string(s, &str, &n))
				return false;
			continue;
		}
		s->p++;
		if (c == '{' || c == '[') {
			if (depth == MAX_DEPTH)
				return false;
			open[depth++] = c;
		} else if (c == '}' || c == ']') {
			if (depth == 0 || open[--depth] != (c == '}' ? '{' : '['))
				return false;
			if (depth == 0)
				return true;
		}
	}
	return false;
}

static bool scan_word(struct json_scan *s, const char *word, enum json_type type)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->val = s->p;
	s->val_len = n;
	s->p += n;
	s->type = type;
	return true;
}

static bool in_number(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == 'e' || c == 'E' || c == '+';
}

static bool scan_number(struct json_scan *s)
{
	const char *from = s->p;

	while (s->p < s->end && in_number(*s->p))
		s->p++;
	s->val = from;
	s->val_len = (size_t)(s->p - from);
	s->type = JSON_NUMBER;
	return s->val_len > 0;
}

static bool scan_value(struct json_scan *s)
{
	const char *from = s->p;

	if (s->p >= s->end)
		return false;
	switch (*s->p) {
	case '"':
		s->type = JSON_STR;
		return scan_string(s, &s->val, &s->val_len);
	case '{':
	case '[':
		s->type = *s->p == '{' ? JSON_OBJ : JSON_ARR;
		if (!scan_nested(s))
			return false;
		s->val = from;
		s->val_len = (size_t)(s->p - from);
		return true;
	case 'n': return scan_word(s, "null", SCAN_NULL);
	case 't': return scan_word(s, "true", SCAN_TRUE);
	case 'f': return scan_word(s, "false", SCAN_FALSE);
	default: return scan_number(s);
	}
}

static bool scan_fail(struct json_scan *s)
{
	s->bad = true;
	return false;
}

/* After the last member: only the closing brace may follow. */
static bool scan_end(struct json_scan *s)
{
	s->p++;
	skip_space(s);
	if (s->p != s->end)
		s->bad = true;
	s->p = s->end;
	return false;
}

bool json_scan_next(struct json_scan *s)
{
	if (s->bad || s->p >= s->end)
		return s->started ? (s->started = false, false) : scan_fail(s);
	skip_space(s);
	if (s->p >= s->end)
		return scan_fail(s);
	if (!s->started) {
		if (*s->p++ != '{')
			return scan_fail(s);
		s->started = true;
		skip_space(s);
		if (s->p < s->end && *s->p == '}')
			return scan_end(s);
	} else if (*s->p == '}') {
		return scan_end(s);
	} else if (*s->p++ != ',') {
		return scan_fail(s);
	}
	skip_space(s);
	if (s->p >= s->end || *s->p != '"' || !scan_string(s, &s->key, &s->key_len))
		return scan_fail(s);
	skip_space(s);
	if (s->p >= s->end || *s->p++ != ':')
		return scan_fail(s);
	skip_space(s);
	if (!scan_value(s))
		return scan_fail(s);
	skip_space(s);
	if (s->p >= s->end || (*s->p != ',' && *s->p != '}'))
		return scan_fail(s);
	return true;
}

static bool hex4(const char *p, unsigned *ret)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];

		v = v << 4 | (unsigned)(c >= '0' && c <= '9'		     ? c - '0'
					: (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
									     : 99);
		if (v > 0xffff || !((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f')))
			return false;
	}
	*ret = v;
	return true;
}

size_t utf8_put(uint32_t c, char ret[4])
{
	if (c < 0x80) {
		ret[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		ret[i] = (char)(0x80 | (c & 63));
	ret[0] = (char)(lead[n] | c);
	return n;
}

static void put_utf8(struct buf *b, unsigned c)
{
	char text[4];

	buf_put(b, text, utf8_put(c, text));
}

/* \uXXXX at p (after "\u"); returns bytes eaten, 0 when bad. */
static size_t unescape_u(struct buf *b, const char *p, size_t left)
{
	unsigned hi, lo;

	if (left < 4 || !hex4(p, &hi))
		return 0;
	if (hi >= 0xd800 && hi < 0xdc00) {
		if (left < 10 || p[4] != '\\' || p[5] != 'u' || !hex4(p + 6, &lo) || lo < 0xdc00 || lo > 0xdfff)
			return 0;
		put_utf8(b, 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00));
		return 10;
	}
	if (hi >= 0xdc00 && hi < 0xe000)
		return 0;
	put_utf8(b, hi);
	return 4;
}

bool json_unescape(struct buf *b, const char *raw, size_t len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t start = b->len, at = 0;

	while (at < len) {
		const char *back = memchr(raw + at, '\\', len - at), *hit;
		size_t n = back ? (size_t)(back - raw) - at : len - at;

		buf_put(b, raw + at, n);
		at += n;
		if (!back)
			break;
		if (at + 1 >= len)
			return false;
		if (raw[at + 1] == 'u') {
			n = unescape_u(b, raw + at + 2, len - at - 2);
			if (n == 0)
				return false;
			at += 2 + n;
			continue;
		}
		hit = raw[at + 1] ? strchr(from, raw[at + 1]) : NULL;
		if (!hit)
			return false;
		buf_byte(b, to[hit - from]);
		at += 2;
	}
	return !b->overflow && (b->len == start || utf8_valid(b->data + start, b->len - start));
}
