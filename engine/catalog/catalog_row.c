/* catalog_row.c - lines of a bundle as structs, by the bundle's own schema. */
#include "catalog_internal.h"

#include <stdlib.h>
#include <string.h>

enum target { TO_TEXT, TO_NUMBER, TO_BOOL };
#define AT(field) offsetof(struct catalog_row, field)

static const struct { const char *column; size_t at; enum target target; } columns[] = {
	{"acknowledgedat", AT(create_ms), TO_NUMBER},
	{"channelid", AT(channel), TO_TEXT},
	{"createat", AT(create_ms), TO_NUMBER},
	{"creatorid", AT(user), TO_TEXT},
	{"deleteat", AT(delete_ms), TO_NUMBER},
	{"editat", AT(edit_ms), TO_NUMBER},
	{"emojiname", AT(emoji), TO_TEXT},
	{"fileids", AT(file_ids), TO_TEXT},
	{"id", AT(id), TO_TEXT},
	{"ispinned", AT(pinned), TO_BOOL},
	{"message", AT(message), TO_TEXT},
	{"mimetype", AT(mime), TO_TEXT},
	{"name", AT(name), TO_TEXT},
	{"originalid", AT(original), TO_TEXT},
	{"postid", AT(post), TO_TEXT},
	{"priority", AT(priority), TO_TEXT},
	{"props", AT(props), TO_TEXT},
	{"rootid", AT(root), TO_TEXT},
	{"size", AT(size_bytes), TO_NUMBER},
	{"type", AT(type), TO_TEXT},
	{"updateat", AT(update_ms), TO_NUMBER},
	{"userid", AT(user), TO_TEXT},
};

static const struct { const char *kind; enum catalog_kind as; } kinds[] = {
	{"post", CATALOG_POST},         {"file", CATALOG_FILE}, {"reaction", CATALOG_REACTION},
	{"priority", CATALOG_PRIORITY}, {"ack", CATALOG_ACK},   {"thread", CATALOG_THREAD},
};

struct row_map { enum catalog_kind as; int *column; /* of the kind -> index into columns, or -1 */ };
struct catalog_rows {
	struct bundle_kind *kind;
	size_t n_kinds;
	struct row_map *map;
	struct bundle_field *field;
	struct buf store;
};

static int column_index(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (!strcmp(columns[i].column, name))
			return (int)i;
	return -1;
}

static enum catalog_kind kind_index(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].kind, kind))
			return kinds[i].as;
	return CATALOG_OTHER;
}

int catalog_rows_new(void *ctx, struct bundle_reader *r, struct catalog_rows **ret, struct err *err)
{
	struct catalog_rows *rows = mem_new(ctx, struct catalog_rows);
	size_t widest = 0;
	int rc = bundle_read_schema(r, rows, &rows->kind, &rows->n_kinds, err);

	if (rc) {
		talloc_free(rows);
		return rc;
	}
	rows->map = mem_array(rows, struct row_map, rows->n_kinds + 1);
	for (size_t i = 0; i < rows->n_kinds; i++) {
		const struct bundle_kind *k = &rows->kind[i];
		rows->map[i].as = kind_index(k->kind);
		rows->map[i].column = mem_array(rows, int, k->n_columns + 1);
		for (size_t j = 0; j < k->n_columns; j++)
			rows->map[i].column[j] = column_index(k->column[j].name);
		if (k->n_columns > widest)
			widest = k->n_columns;
	}
	rows->field = mem_array(rows, struct bundle_field, widest + 1);
	buf_init(&rows->store, rows, BUNDLE_ROW_MAX + 64);
	*ret = rows;
	return 0;
}

static int64_t number_of(const struct bundle_field *f)
{
	char text[24];

	if (f->len == 0 || f->len >= sizeof(text))
		return 0;
	memcpy(text, f->data, f->len);
	text[f->len] = '\0';
	return strtoll(text, NULL, 10);
}

static void row_set(struct catalog_row *row, const struct bundle_field *f, size_t at, enum target target)
{
	void *to = (char *)row + at;

	if (f->null)
		return;
	switch (target) {
	case TO_TEXT: *(struct catalog_text *)to = (struct catalog_text){f->data, f->len}; break;
	case TO_NUMBER: *(int64_t *)to = number_of(f); break;
	case TO_BOOL: *(bool *)to = f->len == 1 && f->data[0] == 't'; break;
	}
}

/* A slice of the line without its escapes, in store, which has room for all of the line. */
static struct catalog_text unescaped(struct buf *store, const char *s, size_t len)
{
	size_t at = store->len;

	if (!s || !json_unescape(store, s, len))
		return (struct catalog_text){NULL, 0};
	return (struct catalog_text){store->data + at, store->len - at};
}

static int erased_decode(struct catalog_rows *rows, const char *line, size_t len, struct catalog_row *ret,
			 struct err *err)
{
	struct buf *store = &rows->store;
	struct bundle_erased e;

	if (!bundle_erased_line(line, len, &e))
		return 0;
	buf_clear(store);
	if (!buf_reserve(store, len + 16))
		return err_set(err, ERR_VERIFY, "a row of %zu bytes is larger than its buffer", len);
	ret->erased = true;
	ret->erased_ms = e.at_ms;
	ret->erased_case = unescaped(store, e.case_id, e.case_len);
	if (e.kind_len != 4 || memcmp(e.kind, "post", 4) != 0)
		return 0;
	ret->kind = CATALOG_POST;
	ret->id = unescaped(store, e.id, e.id_len);
	ret->root = unescaped(store, e.root, e.root_len);
	ret->original = unescaped(store, e.original, e.original_len);
	ret->channel = unescaped(store, e.channel, e.channel_len);
	ret->create_ms = e.create_ms;
	return 0;
}

int catalog_row_decode(struct catalog_rows *rows, const char *line, size_t len, struct catalog_row *ret,
		       struct err *err)
{
	int k = bundle_row_kind(rows->kind, rows->n_kinds, line, len);

	*ret = (struct catalog_row){.kind = CATALOG_OTHER};
	if (k < 0)
		return erased_decode(rows, line, len, ret, err);
	if (rows->map[k].as == CATALOG_OTHER)
		return 0;
	const struct bundle_kind *kind = &rows->kind[k];
	int rc = bundle_decode_row(kind, line, len, rows->field, &rows->store, err);
	if (rc)
		return rc;
	ret->kind = rows->map[k].as;
	for (size_t i = 0; i < kind->n_columns; i++) {
		int c = rows->map[k].column[i];
		if (c >= 0)
			row_set(ret, &rows->field[i], columns[c].at, columns[c].target);
	}
	return 0;
}

bool catalog_row_is_root(const struct catalog_row *row)
{
	return row->kind == CATALOG_POST && row->root.len == 0 && row->original.len == 0;
}

/* Strings below "attachments" of the props: what a bot or a webhook said when its message is empty.  Keys are left out.
 */
static void attachment_words(struct catalog_text props, struct buf *b)
{
	struct json_scan s;

	json_scan_init(&s, props.s, props.len);
	while (json_scan_next(&s)) {
		if (s.key_len != 11 || memcmp(s.key, "attachments", 11) != 0 || s.type != JSON_ARR)
			continue;
		const char *p = s.val, *end = s.val + s.val_len;
		while ((p = memchr(p, '"', (size_t)(end - p))) != NULL) {
			const char *q = ++p;
			while (q < end && *q != '"')
				q += *q == '\\' ? 2 : 1;
			if (q >= end)
				break;
			const char *next = q + 1;
			while (next < end && (*next == ' ' || *next == '\t'))
				next++;
			size_t at = b->len;
			if (next >= end || *next != ':') {
				if (!json_unescape(b, p, (size_t)(q - p)))
					b->len = at;
				buf_byte(b, '\n');
			}
			p = q + 1;
		}
	}
}

void catalog_row_words(const struct catalog_row *row, struct buf *b)
{
	static const char key[] = "\"attachments\"";

	if (row->kind == CATALOG_FILE) {
		buf_put(b, row->name.s, row->name.len);
		buf_byte(b, '\n');
	}
	if (row->kind != CATALOG_POST)
		return;
	buf_put(b, row->message.s, row->message.len);
	buf_byte(b, '\n');
	if (row->props.len > 16 && memmem(row->props.s, row->props.len, key, sizeof(key) - 1))
		attachment_words(row->props, b);
}
