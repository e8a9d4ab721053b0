/* bundle_schema.c - data/schema.json: what the keys of the rows mean. */
#include "bundle_internal.h"
#include <jansson.h>

#include <string.h>

static const char *const type_names[] = {
	[BT_TEXT] = "text", [BT_INT] = "int", [BT_BOOL] = "bool", [BT_JSON] = "json",
	[BT_BYTES] = "bytes", [BT_ARRAY] = "array", [BT_REAL] = "real",
};

/* "absent" is for people and jq, "absent_text" is the server's own text, for us: 1.0 and 1.00 are the same to jq. */
static void write_absent(struct buf *b, const struct bundle_column *c)
{
	if (!c->default_text) {
		buf_puts(b, ", \"absent\": null");
		return;
	}
	size_t len = strlen(c->default_text), before = b->len;
	buf_puts(b, ", \"absent\": ");
	if (!codec_put_value(b, c->type, c->default_text, len))
		b->len = before;
	codec_put_text(b, ", ", "absent_text", c->default_text, len);
}

static void write_kind(struct buf *b, const struct bundle_kind *k)
{
	codec_put_text(b, "  {", "kind", k->kind, strlen(k->kind));
	codec_put_text(b, ", ", "table", k->table, strlen(k->table));
	if (k->owner_column >= 0) {
		const char *owner = k->column[k->owner_column].name;
		codec_put_text(b, ", ", "owner", owner, strlen(owner));
	}
	buf_puts(b, ", \"columns\": [\n");
	for (size_t i = 0; i < k->n_columns; i++) {
		const struct bundle_column *c = &k->column[i];
		char *key = codec_key(b->ctx, c->name);
		codec_put_text(b, "    {", "name", c->name, strlen(c->name));
		if (strcmp(key, c->name) != 0)
			codec_put_text(b, ", ", "key", key, strlen(key));
		codec_put_text(b, ", ", "type", c->pg_type, strlen(c->pg_type));
		buf_printf(b, ", \"json\": \"%s\"", type_names[c->type]);
		write_absent(b, c);
		buf_puts(b, i + 1 < k->n_columns ? "},\n" : "}\n");
		talloc_free(key);
	}
	buf_puts(b, "  ]}");
}

void schema_write(struct buf *b, const struct kind_codec *kinds, size_t n)
{
	buf_puts(b, "{\n\"format\": \"mmr1\",\n\"rules\": \"a row is one JSON object; k is its kind, the other keys "
		    "are columns in this order; a column that is not there has the value absent; key!b64 is the base64 "
		    "of bytes that JSON cannot hold as they are\",\n"
		    "\"kinds\": [\n");
	for (size_t i = 0; i < n; i++) {
		write_kind(b, &kinds[i].kind);
		buf_puts(b, i + 1 < n ? ",\n" : "\n");
	}
	buf_puts(b, "]\n}\n");
}

static bool parse_type(const char *name, enum bundle_type *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (strcmp(type_names[i], name) == 0) {
			*ret = (enum bundle_type)i;
			return true;
		}
	}
	return false;
}

static const char *parse_string(void *ctx, json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? mem_strdup(ctx, s) : NULL;
}

static bool parse_column(void *ctx, json_t *o, struct bundle_column *c)
{
	const char *json = json_string_value(json_object_get(o, "json"));

	c->name = parse_string(ctx, o, "name");
	c->pg_type = parse_string(ctx, o, "type");
	c->default_text = parse_string(ctx, o, "absent_text");
	return c->name && c->pg_type && json && parse_type(json, &c->type);
}

static bool parse_kind(void *ctx, json_t *o, struct bundle_kind *k)
{
	json_t *columns = json_object_get(o, "columns");
	const char *owner = json_string_value(json_object_get(o, "owner"));
	size_t n = json_array_size(columns);
	struct bundle_column *column = mem_array(ctx, struct bundle_column, n + 1);

	k->kind = parse_string(ctx, o, "kind");
	k->table = parse_string(ctx, o, "table");
	k->column = column;
	k->n_columns = n;
	k->owner_column = -1;
	/* No columns: a table that this server does not have; no row of it can follow. */
	if (!k->kind || !k->table || !json_is_array(columns))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!parse_column(ctx, json_array_get(columns, i), &column[i]))
			return false;
		if (owner && strcmp(owner, column[i].name) == 0)
			k->owner_column = (int)i;
	}
	return !owner || k->owner_column >= 0;
}

int schema_parse(void *ctx, const char *text, size_t len, struct bundle_kind **ret, size_t *ret_n, struct err *err)
{
	json_error_t je;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	json_t *kinds = json_object_get(root, "kinds");
	size_t n = json_array_size(kinds), i = 0;
	struct bundle_kind *kind = mem_array(ctx, struct bundle_kind, n + 1);

	while (i < n && parse_kind(ctx, json_array_get(kinds, i), &kind[i]))
		i++;
	bool ok = root && kinds && i == n;
	json_decref(root);
	if (!ok) {
		talloc_free(kind);
		return err_set(err, ERR_VERIFY, "data/schema.json does not describe kinds and columns");
	}
	*ret = kind;
	*ret_n = n;
	return 0;
}

int bundle_read_schema(struct bundle_reader *r, void *ctx, struct bundle_kind **ret, size_t *ret_n, struct err *err)
{
	char *text;
	size_t len;
	int rc = bundle_read_member(r, ctx, "data/schema.json", 16u << 20, &text, &len, err);

	if (rc)
		return rc;
	rc = schema_parse(ctx, text, len, ret, ret_n, err);
	talloc_free(text);
	return rc;
}
