/* bundle_encode.c - rows to JSON lines.  The hot path of an export: one pass over the text, straight into the frame's
 * buffer. */
#include "bundle_internal.h"

#include <assert.h>
#include <string.h>

/* ---- keys ---- */

/* "k" is the kind and "!" introduces our marks, so a column that looks like either gets a "!" in front. */
char *codec_key(void *ctx, const char *column)
{
	bool odd = strcmp(column, "k") == 0 || strchr(column, '!') != NULL;

	return mem_printf(ctx, "%s%s", odd ? "!" : "", column);
}

static char *key_text(void *ctx, const char *lead, const char *key, const char *mark, size_t *ret_len)
{
	struct buf b;
	char *both = mem_printf(ctx, "%s%s", key, mark);

	buf_init(&b, ctx, 65536);
	buf_puts(&b, lead);
	json_put_string(&b, both, strlen(both));
	buf_byte(&b, ':');
	*ret_len = b.len;
	talloc_free(both);
	return b.data;
}

static void codec_copy_kind(void *ctx, struct bundle_kind *to, const struct bundle_kind *from)
{
	struct bundle_column *column = mem_array(ctx, struct bundle_column, from->n_columns + 1);

	*to = *from;
	to->kind = mem_strdup(ctx, from->kind);
	to->table = mem_strdup(ctx, from->table);
	for (size_t i = 0; i < from->n_columns; i++) {
		column[i] = from->column[i];
		column[i].name = mem_strdup(ctx, from->column[i].name);
		column[i].pg_type = mem_strdup(ctx, from->column[i].pg_type ? from->column[i].pg_type : "");
		if (from->column[i].default_text)
			column[i].default_text = mem_strdup(ctx, from->column[i].default_text);
	}
	to->column = column;
}

void codec_init(void *ctx, struct kind_codec *c, const struct bundle_kind *kind)
{
	*c = (struct kind_codec){.time_column = -1};
	codec_copy_kind(ctx, &c->kind, kind);
	c->open = key_text(ctx, "{", "k", "", &c->open_len);
	struct buf b;
	buf_init(&b, ctx, 65536);
	buf_put(&b, c->open, c->open_len);
	json_put_string(&b, kind->kind, strlen(kind->kind));
	talloc_free(c->open);
	c->open = b.data;
	c->open_len = b.len;
	c->column = mem_array(ctx, struct column_codec, kind->n_columns + 1);
	for (size_t i = 0; i < kind->n_columns; i++) {
		struct column_codec *col = &c->column[i];
		char *key = codec_key(ctx, kind->column[i].name);
		col->key = key_text(ctx, ",", key, "", &col->key_len);
		col->key64 = key_text(ctx, ",", key, "!b64", &col->key64_len);
		col->default_len = kind->column[i].default_text ? strlen(kind->column[i].default_text) : 0;
		if (kind->column[i].type == BT_INT && strcmp(kind->column[i].name, "createat") == 0)
			c->time_column = (int)i;
	}
}

/* ---- strings ---- */

#define HIGH (~UINT64_C(0) / 255 * 128)

static bool has_high(const char *s, size_t n)
{
	uint64_t v, all = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		memcpy(&v, s + i, 8);
		all |= v;
	}
	for (; i < n; i++)
		all |= (uint64_t)(unsigned char)s[i];
	return (all & HIGH) != 0;
}

static bool text_valid(const char *s, size_t n)
{
	return !has_high(s, n) || utf8_valid(s, n);
}

void codec_put_base64(struct buf *b, const char *s, size_t len)
{
	buf_byte(b, '"');
	buf_base64(b, s, len);
	buf_byte(b, '"');
}

void codec_put_text(struct buf *b, const char *lead, const char *key, const char *s, size_t len)
{
	bool plain = text_valid(s, len);

	buf_printf(b, "%s\"%s%s\":", lead, key, plain ? "" : "!b64");
	if (plain)
		json_put_string(b, s, len);
	else
		codec_put_base64(b, s, len);
}

/* ---- values ---- */

static const char *digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* RFC 8259 number; integers only unless `real`. "-0" is no integer of the server. */
static bool is_number(const char *s, size_t len, bool real)
{
	const char *p = s, *end = s + len, *q;

	if (p < end && *p == '-')
		p++;
	q = digits(p, end);
	if (q == p || (*p == '0' && q > p + 1))
		return false;
	if (!real)
		return q == end && !(len == 2 && s[0] == '-' && s[1] == '0');
	if (q < end && *q == '.') {
		p = q + 1;
		q = digits(p, end);
		if (q == p)
			return false;
	}
	if (q < end && (*q == 'e' || *q == 'E')) {
		p = q + 1;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		q = digits(p, end);
		if (q == p)
			return false;
	}
	return q == end;
}

/* The server checked that it is JSON.  What would still break a line or a reader: raw control characters (json keeps
 * them between tokens), nesting that strict parsers refuse, bad UTF-8, and the bare word null, which is SQL NULL in our
 * rows. */
static bool json_embeddable(const char *s, size_t len)
{
	int depth = 0;
	bool in_string = false;

	if (len == 0 || (len == 4 && memcmp(s, "null", 4) == 0) || s[0] == ' ' || s[len - 1] == ' ' ||
	    !text_valid(s, len))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x20)
			return false;
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return false;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return !in_string && depth == 0;
}

bool codec_put_value(struct buf *b, enum bundle_type type, const char *s, size_t len)
{
	bool literal = false;

	switch (type) {
	case BT_INT:
		literal = is_number(s, len, false);
		break;
	case BT_REAL:
		literal = is_number(s, len, true);
		break;
	case BT_BOOL:
		if (len == 1 && (s[0] == 't' || s[0] == 'f')) {
			buf_puts(b, s[0] == 't' ? "true" : "false");
			return true;
		}
		break;
	case BT_JSON:
		if (!json_embeddable(s, len))
			return false;
		literal = true;
		break;
	case BT_TEXT:
	case BT_BYTES:
	case BT_ARRAY:
		break;
	}
	if (literal) {
		buf_put(b, s, len);
		return true;
	}
	if (!text_valid(s, len))
		return false;
	json_put_string(b, s, len);
	return true;
}

void codec_encode(const struct kind_codec *c, const struct bundle_field *fields, struct buf *b)
{
	buf_put(b, c->open, c->open_len);
	for (size_t i = 0; i < c->kind.n_columns; i++) {
		const struct bundle_column *column = &c->kind.column[i];
		const struct column_codec *col = &c->column[i];
		const struct bundle_field *f = &fields[i];
		if (f->null) {
			if (!column->default_text)
				continue;
			buf_put(b, col->key, col->key_len);
			buf_put(b, "null", 4);
			continue;
		}
		if (column->default_text && f->len == col->default_len &&
		    memcmp(f->data, column->default_text, f->len) == 0)
			continue;
		size_t before = b->len;
		buf_put(b, col->key, col->key_len);
		if (codec_put_value(b, column->type, f->data, f->len))
			continue;
		b->len = before;
		buf_put(b, col->key64, col->key64_len);
		codec_put_base64(b, f->data, f->len);
	}
	buf_byte(b, '}');
}

struct bundle_encoder { struct kind_codec *kind; size_t n; };

struct bundle_encoder *bundle_encoder_new(void *ctx, const struct bundle_kind *kind, size_t n_kinds)
{
	struct bundle_encoder *e = mem_new(ctx, struct bundle_encoder);

	e->kind = mem_array(e, struct kind_codec, n_kinds + 1);
	e->n = n_kinds;
	for (size_t i = 0; i < n_kinds; i++)
		codec_init(e, &e->kind[i], &kind[i]);
	return e;
}

void bundle_encode(const struct bundle_encoder *e, size_t kind, const struct bundle_field *fields, struct buf *b)
{
	assert(kind < e->n);
	codec_encode(&e->kind[kind], fields, b);
}

int64_t codec_int(const struct bundle_field *f)
{
	int64_t v = 0;

	if (f->null || f->len == 0 || f->len > 18)
		return 0;
	for (size_t i = 0; i < f->len; i++) {
		if (f->data[i] < '0' || f->data[i] > '9')
			return 0;
		v = v * 10 + (f->data[i] - '0');
	}
	return v;
}
