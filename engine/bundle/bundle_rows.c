/* bundle_rows.c - rows checked as they come out of the file: strict JSON, known kind, salted digest, tree. */
#include "bundle_internal.h"

#include <string.h>

static int member_digest(struct bundle_reader *r, void *ctx, const char *member, size_t max, char **ret,
			 size_t *ret_len, struct digest *ret_digest, struct err *err)
{
	int rc = bundle_read_member(r, ctx, member, max, ret, ret_len, err);

	if (rc)
		return err_prefix(err, "\"%s\" is damaged", r->name), err->code = -ERR_VERIFY;
	struct hash *h = hash_new(ctx);
	hash_bytes(h, *ret, *ret_len, ret_digest);
	talloc_free(h);
	return 0;
}

/* The salts stand behind the rows and the schema before them; both are read ahead here, and the walk over the whole
 * file sees that it was the same content. */
int rows_prepare(struct row_rules *c, void *ctx, struct bundle_reader *r, struct err *err)
{
	char *text;
	size_t len;

	c->salts = salts_new(ctx);
	int rc = member_digest(r, ctx, "data/schema.json", 16u << 20, &text, &len, &c->schema_sha256, err);
	if (!rc)
		rc = schema_parse(ctx, text, len, &c->kind, &c->n_kinds, err);
	for (c->post = 0; c->post < c->n_kinds && strcmp(c->kind[c->post].kind, "post") != 0;)
		c->post++;
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

void row_check_init(struct row_check *c, void *ctx, const struct row_rules *rules)
{
	*c = (struct row_check){.rules = rules, .hash = hash_new(ctx)};
	tree_init(&c->tree, c->hash);
}

void row_sum_init(struct row_sum *s, void *ctx, const struct row_rules *rules)
{
	*s = (struct row_sum){.kind = mem_array(ctx, uint64_t, rules->n_kinds + 1),
			      .erased = mem_array(ctx, uint64_t, rules->n_kinds + 1)};
}

void row_sum_clear(struct row_sum *s, const struct row_rules *rules)
{
	memset(s->kind, 0, rules->n_kinds * sizeof(*s->kind));
	memset(s->erased, 0, rules->n_kinds * sizeof(*s->erased));
	s->rows = s->posts = s->gone = s->bytes = 0;
}

void row_sum_add(struct row_sum *to, const struct row_sum *s, const struct row_rules *rules)
{
	for (size_t i = 0; i < rules->n_kinds; i++) {
		to->kind[i] += s->kind[i];
		to->erased[i] += s->erased[i];
	}
	to->rows += s->rows;
	to->posts += s->posts;
	to->gone += s->gone;
	to->bytes += s->bytes;
}

static int kind_named(const struct row_rules *rules, const char *name, size_t len)
{
	for (size_t i = 0; i < rules->n_kinds; i++)
		if (strlen(rules->kind[i].kind) == len && memcmp(rules->kind[i].kind, name, len) == 0)
			return (int)i;
	return -1;
}

/* What is left of a row: its commitment, as it was. */
static const char *erased_look(const struct row_rules *rules, const char *line, size_t len, struct row_seen *ret)
{
	struct bundle_erased e;

	if (!bundle_erased_line(line, len, &e))
		return "is of a kind that data/schema.json does not name";
	*ret = (struct row_seen){.kind = kind_named(rules, e.kind, e.kind_len), .erased = true, .commit = e.commit};
	return ret->kind < 0 ? "stands for a row of a kind that data/schema.json does not name" : NULL;
}

const char *row_look(struct row_check *c, const char *line, size_t len, struct row_seen *ret)
{
	const struct row_rules *rules = c->rules;
	struct json_scan s;
	struct owner owner;
	int kind = bundle_row_kind(rules->kind, rules->n_kinds, line, len);

	if (kind < 0)
		return erased_look(rules, line, len, ret);
	owner_start(&rules->kind[kind], &owner);
	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		owner_see(&owner, &s);
	if (s.bad)
		return "is not valid JSON";
	c->last = salts_find(rules->salts, c->last, owner.s, owner.len);
	if (!c->last)
		return "belongs to an owner without a salt";
	*ret = (struct row_seen){.kind = kind, .owner = owner.s, .owner_len = owner.len};
	salt_commit(c->hash, salt_bytes(c->last), line, len, &ret->commit);
	return NULL;
}

int rows_frame(struct row_check *c, const char *data, size_t len, struct row_sum *sum, struct digest *ret_root,
	       struct err *err)
{
	const char *p = data, *end = data + len, *wrong;
	struct row_seen seen;

	tree_init(&c->tree, c->hash);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "a frame does not end with a whole row");
		wrong = row_look(c, p, (size_t)(nl - p), &seen);
		if (wrong)
			return err_set(err, ERR_VERIFY, "row %llu of a frame %s", (unsigned long long)sum->rows + 1,
				       wrong);
		tree_add(&c->tree, seen.commit.b, DIGEST_BYTES);
		(seen.erased ? sum->erased : sum->kind)[seen.kind]++;
		sum->rows++;
		sum->gone += seen.erased;
		sum->posts += !seen.erased && (size_t)seen.kind == c->rules->post;
		p = nl + 1;
	}
	sum->bytes += len;
	tree_root(&c->tree, ret_root);
	return 0;
}
