/* bundle_decode.c - JSON lines back to the fields that the server gave, byte for byte. */
#include "bundle_internal.h"

#include <string.h>

static bool decode_string(struct buf *store, const char *raw, size_t len, struct bundle_field *ret)
{
	if (memchr(raw, '\\', len) == NULL) {
		*ret = (struct bundle_field){.data = raw, .len = len};
		return true;
	}
	size_t at = store->len;
	if (!json_unescape(store, raw, len))
		return false;
	*ret = (struct bundle_field){.data = store->data + at, .len = store->len - at};
	return true;
}

static bool decode_literal(enum bundle_type type, const struct json_scan *s, struct bundle_field *ret)
{
	static const char *const names[] = {[SCAN_TRUE] = "t", [SCAN_FALSE] = "f"};

	if (type == BT_BOOL && (s->type == SCAN_TRUE || s->type == SCAN_FALSE)) {
		*ret = (struct bundle_field){.data = names[s->type], .len = 1};
		return true;
	}
	if (type != BT_JSON && !((type == BT_INT || type == BT_REAL) && s->type == JSON_NUMBER))
		return false;
	*ret = (struct bundle_field){.data = s->val, .len = s->val_len};
	return true;
}

static bool decode_value(enum bundle_type type, const struct json_scan *s, struct buf *store, struct bundle_field *ret)
{
	if (s->type == SCAN_NULL) {
		*ret = (struct bundle_field){.null = true};
		return true;
	}
	if (s->type != JSON_STR)
		return decode_literal(type, s, ret);
	if (type == BT_JSON) { /* with its quotes: it is JSON text itself */
		*ret = (struct bundle_field){.data = s->val - 1, .len = s->val_len + 2};
		return true;
	}
	return decode_string(store, s->val, s->val_len, ret);
}

static bool decode_base64(const struct json_scan *s, struct buf *store, struct bundle_field *ret)
{
	size_t at = store->len;

	if (s->type != JSON_STR || !buf_unbase64(store, s->val, s->val_len))
		return false;
	*ret = (struct bundle_field){.data = store->data + at, .len = store->len - at};
	return true;
}

/* Does this key belong to the column: 1, as base64: 2, no: 0.  Column names are compared as they are; a name that needs
 * JSON escapes does not occur in a database that Mattermost runs on and is refused by bundle_create. */
static int key_matches(const char *key, size_t len, const char *name)
{
	size_t n = strlen(name);

	if ((n == 1 && name[0] == 'k') || memchr(name, '!', n)) {
		if (len == 0 || key[0] != '!')
			return 0;
		key++;
		len--;
	}
	if (len < n || memcmp(key, name, n) != 0)
		return 0;
	if (len == n)
		return 1;
	return len == n + 4 && memcmp(key + n, "!b64", 4) == 0 ? 2 : 0;
}

static int decode_member(const struct bundle_kind *kind, const struct json_scan *s, size_t *next,
			 struct bundle_field *fields, struct buf *store, struct err *err)
{
	/* Keys come in column order, so the search goes on where the last one ended; a later reader's other order is
	 * found by starting over.  A key of no column is an addition of a later format: ignored. */
	for (size_t n = 0; n < kind->n_columns; n++) {
		size_t i = (*next + n) % kind->n_columns;
		int match = key_matches(s->key, s->key_len, kind->column[i].name);
		if (!match)
			continue;
		if (fields[i].len != SIZE_MAX)
			return err_set(err, ERR_VERIFY, "a %s row has the column \"%s\" twice", kind->kind,
				       kind->column[i].name);
		bool ok = match == 2 ? decode_base64(s, store, &fields[i])
				     : decode_value(kind->column[i].type, s, store, &fields[i]);
		if (!ok)
			return err_set(err, ERR_VERIFY, "a %s row has a value of the wrong type in column \"%s\"",
				       kind->kind, kind->column[i].name);
		*next = i + 1;
		return 0;
	}
	return 0;
}

int bundle_decode_row(const struct bundle_kind *kind, const char *line, size_t len, struct bundle_field *fields,
		      struct buf *store, struct err *err)
{
	struct json_scan s;
	size_t next = 0;

	/* One reservation: nothing decodes to more bytes than it took, so the slices below never move. */
	buf_clear(store);
	if (!buf_reserve(store, len + 16))
		return err_set(err, ERR_VERIFY, "a %s row of %zu bytes is larger than its buffer", kind->kind, len);
	for (size_t i = 0; i < kind->n_columns; i++)
		fields[i] = (struct bundle_field){.len = SIZE_MAX}; /* not seen */
	json_scan_init(&s, line, len);
	if (!json_scan_next(&s) || s.key_len != 1 || s.key[0] != 'k' || s.type != JSON_STR ||
	    s.val_len != strlen(kind->kind) || memcmp(s.val, kind->kind, s.val_len) != 0)
		return err_set(err, ERR_VERIFY, "a row is not of kind %s", kind->kind);
	while (json_scan_next(&s)) {
		int rc = decode_member(kind, &s, &next, fields, store, err);
		if (rc)
			return rc;
	}
	if (s.bad)
		return err_set(err, ERR_VERIFY, "a %s row is not valid JSON", kind->kind);
	for (size_t i = 0; i < kind->n_columns; i++) {
		const char *text = kind->column[i].default_text;
		if (fields[i].len == SIZE_MAX)
			fields[i] = (struct bundle_field){.data = text, .len = text ? strlen(text) : 0, .null = !text};
	}
	return 0;
}

int bundle_row_kind(const struct bundle_kind *kind, size_t n_kinds, const char *line, size_t len)
{
	static const char start[] = "{\"k\":\"";
	size_t at = sizeof(start) - 1;

	if (len < at || memcmp(line, start, at) != 0)
		return -1;
	const char *end = memchr(line + at, '"', len - at);
	if (!end)
		return -1;
	size_t n = (size_t)(end - line) - at;
	for (size_t i = 0; i < n_kinds; i++)
		if (strlen(kind[i].kind) == n && memcmp(kind[i].kind, line + at, n) == 0)
			return (int)i;
	return -1;
}
