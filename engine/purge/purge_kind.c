/* purge_kind.c - which column of a bundle line names a row, and which statement deletes it. */
#include "purge_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct { const char *kind, *key; const struct sql *sql; } kinds[MM_KINDS] = {
	[MM_THREAD] = {"thread", "postid", &sql_purge_thread},
	[MM_POST] = {"post", "id", &sql_purge_post},
	[MM_REACTION] = {"reaction", "postid", &sql_purge_reaction},
	[MM_FILE] = {"file", "id", &sql_purge_file},
	[MM_MEMBER] = {"member", "postid", &sql_purge_member},
	[MM_PRIORITY] = {"priority", "postid", &sql_purge_priority},
	[MM_ACK] = {"ack", "postid", &sql_purge_ack},
	[MM_PNOTIFY] = {"pnotify", "postid", &sql_purge_pnotify},
	[MM_PREF] = {"pref", "name", &sql_purge_pref},
	[MM_REMINDER] = {"reminder", "postid", &sql_purge_reminder},
	[MM_DRAFT] = {"draft", "rootid", &sql_purge_draft},
	[MM_READ_RECEIPT] = {"receipt", "postid", &sql_purge_read_receipt},
	[MM_TEMPORARY] = {"temporary", "postid", &sql_purge_temporary},
	[MM_TRANSLATION] = {"translation", "objectid", &sql_purge_translation},
	[MM_PROPERTY] = {"property", "id", &sql_purge_property},
	[MM_SHARED_FILE] = {"sharedfile", "id", &sql_purge_shared_file},
};

const struct sql *purge_sql(enum mm_kind kind)
{
	return kinds[kind].sql;
}

static bool is(const struct json_scan *s, const char *word)
{
	return s->key_len == strlen(word) && memcmp(s->key, word, s->key_len) == 0;
}

static int kind_of(const char *name, size_t len)
{
	for (int k = 0; k < MM_KINDS; k++)
		if (strlen(kinds[k].kind) == len && memcmp(kinds[k].kind, name, len) == 0)
			return k;
	return -1;
}

/* Absent means the default 0; JSON null means SQL NULL. */
static void number(const struct json_scan *s, int64_t *ret, bool *ret_null)
{
	*ret_null = s->type == SCAN_NULL;
	*ret = s->type == JSON_NUMBER ? strtoll(s->val, NULL, 10) : 0;
}

/* Of a post: ids that say which thread it is of. */
struct threading { const char *root, *original; size_t root_len, original_len; };

static void post_member(const struct json_scan *s, struct purge_line *l, struct threading *t)
{
	if (is(s, "updateat"))
		number(s, &l->updateat, &l->null_updateat);
	else if (is(s, "editat"))
		number(s, &l->editat, &l->null_editat);
	else if (is(s, "deleteat"))
		number(s, &l->deleteat, &l->null_deleteat);
	else if (is(s, "rootid") && s->type == JSON_STR) {
		t->root = s->val;
		t->root_len = s->val_len;
	} else if (is(s, "originalid") && s->type == JSON_STR) {
		t->original = s->val;
		t->original_len = s->val_len;
	} else if (is(s, "channelid") && s->type == JSON_STR && s->val_len <= MM_ID) {
		l->channel = s->val;
		l->channel_len = s->val_len;
	}
}

static void set_thread(struct purge_line *l, const struct threading *t)
{
	l->root = l->kind == MM_POST && !t->root_len && !t->original_len;
	l->thread = t->root_len ? t->root : t->original_len ? t->original : l->key;
	l->thread_len = t->root_len ? t->root_len : t->original_len ? t->original_len : l->key_len;
}

static void file_member(const struct json_scan *s, struct purge_line *l)
{
	static const char *const names[] = {"path", "thumbnailpath", "previewpath"};
	bool null;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (is(s, names[i]) && s->type == JSON_STR) {
			l->path[i] = s->val;
			l->path_len[i] = s->val_len;
		}
	if (is(s, "size"))
		number(s, &l->size_bytes, &null);
}

int purge_line_parse(const char *line, size_t len, struct purge_line *ret, struct err *err)
{
	struct json_scan s;
	struct threading t = {0};
	int kind;

	memset(ret, 0, sizeof *ret);
	json_scan_init(&s, line, len);
	if (!json_scan_next(&s) || !is(&s, "k") || (kind = kind_of(s.val, s.val_len)) < 0)
		return err_set(err, ERR_VERIFY, "bundle row of a kind that this program does not delete");
	ret->kind = (enum mm_kind)kind;
	while (json_scan_next(&s)) {
		if (is(&s, kinds[kind].key) && s.type == JSON_STR) {
			ret->key = s.val;
			ret->key_len = s.val_len;
		} else if (kind == MM_POST) {
			post_member(&s, ret, &t);
		} else if (kind == MM_FILE) {
			file_member(&s, ret);
		}
	}
	if (s.bad || !ret->key || ret->key_len == 0)
		return err_set(err, ERR_VERIFY, "bundle row without a usable key");
	ret->odd = ret->key_len > MM_ID || memchr(ret->key, '\\', ret->key_len);
	ret->key_len = ret->key_len < MM_ID ? ret->key_len : MM_ID;
	set_thread(ret, &t);
	if (ret->thread_len > MM_ID)
		return err_set(err, ERR_VERIFY, "bundle row of a thread without a usable id");
	return 0;
}

static enum bundle_type type_of(const char *pg_type)
{
	static const struct { const char *pg; enum bundle_type type; } types[] = {
		{"bigint", BT_INT}, {"integer", BT_INT}, {"smallint", BT_INT}, {"boolean", BT_BOOL}, {"jsonb", BT_JSON},
		{"json", BT_JSON}, {"bytea", BT_BYTES}, {"real", BT_REAL}, {"double precision", BT_REAL},
	};
	size_t n = strlen(pg_type);

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].pg, pg_type) == 0)
			return types[i].type;
	return n > 2 && strcmp(pg_type + n - 2, "[]") == 0 ? BT_ARRAY : BT_TEXT;
}

int purge_bundle_kinds(void *ctx, struct mm *mm, struct bundle_kind **ret, struct err *err)
{
	struct bundle_kind *all = mem_array(ctx, struct bundle_kind, MM_KINDS);

	for (int k = 0; k < MM_KINDS; k++) {
		const struct mm_table *t = &mm->schema->table[k];
		struct bundle_column *c = mem_array(all, struct bundle_column, t->n_columns + 1);

		if (t->n_columns > PURGE_COLUMNS_MAX)
			return err_set(err, ERR_SCHEMA, "table %s has more than %d columns", t->table,
				       PURGE_COLUMNS_MAX);
		all[k] = (struct bundle_kind){.kind = t->kind_name,
					      .table = t->table,
					      .column = c,
					      .n_columns = t->n_columns,
					      .owner_column = -1};
		for (size_t i = 0; i < t->n_columns; i++) {
			c[i] = (struct bundle_column){.name = t->column[i].name, .pg_type = t->column[i].pg_type,
						      .type = type_of(t->column[i].pg_type)};
			c[i].default_text = purge_usual_value((enum mm_kind)k, c[i].name, c[i].type);
			if (t->owner && strcmp(t->owner, t->column[i].name) == 0)
				all[k].owner_column = (int)i;
		}
	}
	*ret = all;
	return 0;
}

/* Versions differ in what they leave out. */
static void adopt(void *ctx, struct bundle_kind *kind, const struct bundle_kind *archived)
{
	struct bundle_column *c = mem_array(ctx, struct bundle_column, kind->n_columns + 1);

	for (size_t i = 0; i < kind->n_columns; i++) {
		c[i] = kind->column[i];
		for (size_t j = 0; j < archived->n_columns; j++)
			if (strcmp(c[i].name, archived->column[j].name) == 0)
				c[i].default_text = archived->column[j].default_text;
	}
	kind->column = c;
}

int purge_kinds_as(void *ctx, struct mm *mm, struct bundle_reader *reader, struct bundle_kind **ret, struct err *err)
{
	struct bundle_kind *archived;
	size_t n;
	int rc = purge_bundle_kinds(ctx, mm, ret, err);

	if (rc < 0 || (rc = bundle_read_schema(reader, *ret, &archived, &n, err)) < 0)
		return rc;
	for (int k = 0; k < MM_KINDS; k++)
		for (size_t i = 0; i < n; i++)
			if (strcmp((*ret)[k].kind, archived[i].kind) == 0)
				adopt(*ret, &(*ret)[k], &archived[i]);
	return 0;
}

void purge_fields(const struct db_row *row, struct bundle_field *ret)
{
	for (int i = 0; i < row->columns; i++)
		ret[i] =
			(struct bundle_field){.data = row->value[i], .len = row->len[i], .null = row->value[i] == NULL};
}
