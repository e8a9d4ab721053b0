/* bundle_rows.c - rows checked as they come out of the file: strict JSON, known kind, salted digest, tree. */
#include "bundle_internal.h"

#include <string.h>

static int member_digest(struct bundle_reader *r, void *ctx, const char *member, size_t max, char **ret, size_t *ret_len,
			 struct digest *ret_digest, struct err *err)
{
	int rc = bundle_read_member(r, ctx, member, max, ret, ret_len, err);

	if (rc)
		return err_prefix(err, "\"%s\" is damaged", r->name), err->code = -ERR_VERIFY;
	struct hash *h = hash_new(ctx);
	hash_bytes(h, *ret, *ret_len, ret_digest);
	talloc_free(h);
	return 0;
}

/* The salts stand behind the rows and the schema before them; both are read ahead here, and the walk over the whole file sees
 * that it was the same content. */
int rows_prepare(struct row_check *c, void *ctx, struct bundle_reader *r, struct err *err)
{
	char *text;
	size_t len;

	c->hash = hash_new(ctx);
	c->salts = salts_new(ctx);
	tree_init(&c->frame_tree, c->hash);
	tree_init(&c->data_tree, c->hash);
	buf_init(&c->store, ctx, BUNDLE_ROW_MAX + 64);
	int rc = member_digest(r, ctx, "data/schema.json", 16u << 20, &text, &len, &c->schema_sha256, err);
	if (!rc)
		rc = schema_parse(ctx, text, len, &c->kind, &c->n_kinds, err);
	if (!rc)
		c->rows = mem_array(ctx, uint64_t, c->n_kinds + 1);
	if (!rc)
		rc = member_digest(r, ctx, "salts.jsonl", TEXT_MEMBER_MAX, &text, &len, &c->salts_sha256, err);
	return rc ? rc : salts_parse(c->salts, text, len, err);
}

/* Whose row it is, in the form of the line (escaped, or base64): salts.jsonl was written by the same encoder. */
struct owner { const char *name; size_t name_len; const char *s; size_t len; };

static void owner_start(const struct bundle_kind *kind, struct owner *o)
{
	*o = (struct owner){.s = "-", .len = 1};
	if (kind->owner_column < 0)
		return;
	const struct bundle_column *c = &kind->column[kind->owner_column];
	o->name = c->name;
	o->name_len = strlen(c->name);
	if (c->default_text && c->default_text[0]) {
		o->s = c->default_text;
		o->len = strlen(c->default_text);
	}
}

static void owner_see(struct owner *o, const struct json_scan *s)
{
	bool exact = s->key_len == o->name_len, twin = s->key_len == o->name_len + 4;

	if (!o->name || (!exact && !twin) || memcmp(s->key, o->name, o->name_len) != 0)
		return;
	if (twin && memcmp(s->key + o->name_len, "!b64", 4) != 0)
		return;
	bool nobody = s->type == SCAN_NULL || s->val_len == 0;
	o->s = nobody ? "-" : s->val;
	o->len = nobody ? 1 : s->val_len;
}

static int row_check(struct row_check *c, const char *line, size_t len, struct err *err)
{
	struct json_scan s;
	struct owner owner;
	struct digest commit;
	int kind = bundle_row_kind(c->kind, c->n_kinds, line, len);

	if (kind < 0)
		return err_set(err, ERR_VERIFY, "row %llu is of a kind that data/schema.json does not name",
			       (unsigned long long)c->n_rows + 1);
	owner_start(&c->kind[kind], &owner);
	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		owner_see(&owner, &s);
	if (s.bad)
		return err_set(err, ERR_VERIFY, "row %llu is not valid JSON", (unsigned long long)c->n_rows + 1);
	const uint8_t *salt = salts_find(c->salts, owner.s, owner.len);
	if (!salt)
		return err_set(err, ERR_VERIFY, "row %llu belongs to an owner without a salt", (unsigned long long)c->n_rows + 1);
	salt_commit(c->hash, salt, line, len, &commit);
	tree_add(&c->frame_tree, commit.b, DIGEST_BYTES);
	c->rows[kind]++;
	c->n_rows++;
	c->row_bytes += len + 1;
	if (strcmp(c->kind[kind].kind, "post") == 0)
		c->n_posts++;
	return 0;
}

int rows_frame(struct row_check *c, const char *data, size_t len, uint32_t *ret_rows, struct digest *ret_root, struct err *err)
{
	const char *p = data, *end = data + len;
	uint32_t n = 0;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "a frame does not end with a whole row");
		int rc = row_check(c, p, (size_t)(nl - p), err);
		if (rc)
			return rc;
		n++;
		p = nl + 1;
	}
	tree_root(&c->frame_tree, ret_root);
	tree_init(&c->frame_tree, c->hash);
	tree_add(&c->data_tree, ret_root->b, DIGEST_BYTES);
	*ret_rows = n;
	return 0;
}
