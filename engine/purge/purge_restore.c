/* purge_restore.c - put threads back from their bundle, same ids, in the caller's transaction. */
#include "purge_internal.h"

#include <string.h>

static const struct sql *const restore_sql[MM_KINDS] = {
	[MM_THREAD] = &sql_restore_thread, [MM_POST] = &sql_restore_post, [MM_REACTION] = &sql_restore_reaction,
	[MM_FILE] = &sql_restore_file, [MM_MEMBER] = &sql_restore_member, [MM_PRIORITY] = &sql_restore_priority,
	[MM_ACK] = &sql_restore_ack, [MM_PNOTIFY] = &sql_restore_pnotify, [MM_PREF] = &sql_restore_pref,
	[MM_REMINDER] = &sql_restore_reminder, [MM_DRAFT] = &sql_restore_draft, [MM_READ_RECEIPT] = &sql_restore_read_receipt,
	[MM_TEMPORARY] = &sql_restore_temporary, [MM_TRANSLATION] = &sql_restore_translation,
	[MM_PROPERTY] = &sql_restore_property, [MM_SHARED_FILE] = &sql_restore_shared_file,
};

/* Of kinds with an id of their own: whether what is there under this id is what was archived. */
static const struct sql *const there_sql[MM_KINDS] = {
	[MM_POST] = &sql_restore_there_post, [MM_FILE] = &sql_restore_there_file, [MM_PROPERTY] = &sql_restore_there_property,
	[MM_SHARED_FILE] = &sql_restore_there_shared_file,
};

static bool wanted(const mm_id *roots, size_t n, const struct purge_line *l)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(roots[i]) == l->thread_len && memcmp(roots[i], l->thread, l->thread_len) == 0)
			return true;
	return false;
}

/* null as a JSON value, which is not the same as no value: jsonb_populate_record() makes SQL NULL of both. */
static bool is_json_null(const struct bundle_column *column, const struct bundle_field *f)
{
	return column->type == BT_JSON && !f->null && f->len == 4 && memcmp(f->data, "null", 4) == 0;
}

/* The row that jsonb_populate_record() begins with, in PostgreSQL's text form: empty but for JSON nulls.  False: there are none. */
static bool base_row(const struct mm_table *t, const struct bundle_kind *kind, const struct bundle_field *f, struct buf *out)
{
	bool any = false;

	buf_byte(out, '(');
	for (size_t i = 0; i < t->n_columns; i++) {
		if (i)
			buf_byte(out, ',');
		for (size_t k = 0; k < kind->n_columns; k++)
			if (is_json_null(&kind->column[k], &f[k]) && strcmp(kind->column[k].name, t->column[i].name) == 0) {
				buf_puts(out, "null");
				any = true;
			}
	}
	buf_byte(out, ')');
	return any;
}

/* A JSON object with every column: absent keys of the slim line stand for defaults that SQL does not know.  What base_row() says is left
 * to it. */
static void full_object(const struct bundle_kind *kind, const struct bundle_field *f, struct buf *out)
{
	bool first = true;

	buf_byte(out, '{');
	for (size_t i = 0; i < kind->n_columns; i++) {
		if (is_json_null(&kind->column[i], &f[i]))
			continue;
		if (!first)
			buf_byte(out, ',');
		first = false;
		json_put_string(out, kind->column[i].name, strlen(kind->column[i].name));
		buf_byte(out, ':');
		if (f[i].null)
			buf_puts(out, "null");
		else if (kind->column[i].type == BT_JSON)
			buf_put(out, f[i].data, f[i].len);
		else
			json_put_string(out, f[i].data, f[i].len);
	}
	buf_byte(out, '}');
}

/* f: of the row, for the caller, with a place for each column. */
static int restore_row(struct mm *mm, const struct mm_table *t, const struct bundle_kind *kind, const struct sql *sql, const char *line, size_t len,
		       struct bundle_field *f, struct buf *store, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restore row");
	struct buf object, base;
	const char *param[2] = {NULL, NULL};
	int rc;

	buf_init(&object, ctx, 128 << 20);
	buf_init(&base, ctx, 1 << 20);
	if ((rc = bundle_decode_row(kind, line, len, f, store, err)) < 0)
		return rc;
	full_object(kind, f, &object);
	param[1] = base_row(t, kind, f, &base) ? base.data : NULL;
	if (object.overflow || base.overflow)
		return err_set(err, ERR_VERIFY, "bundle row is too large to be restored");
	param[0] = object.data;
	return db_query_prepared(ctx, mm->db, sql, DB_NONE, 2, param, NULL, err);
}

static int restore_line(struct mm *mm, const struct mm_table *t, const struct bundle_kind *kind, const struct sql *sql, const char *line, size_t len,
			struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restore line");
	struct buf store;

	buf_init(&store, ctx, 64 << 20);
	return restore_row(mm, t, kind, sql, line, len, mem_array(ctx, struct bundle_field, kind->n_columns + 1), &store, err);
}

int purge_restore(struct mm *mm, const struct receipt *receipt, const mm_id *roots, size_t n, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restore");
	struct bundle_reader *reader;
	struct bundle_kind *kind;
	const struct sql *sql;
	struct purge_line l;
	const char *line;
	bool take = false, parts;
	int64_t before_ms;
	size_t len;
	int rc;

	if ((rc = bundle_open_receipt(ctx, receipt, &reader, err)) < 0 || (rc = purge_kinds_as(ctx, mm, reader, &kind, err)) < 0 ||
	    (rc = bundle_read_parts(reader, &before_ms, err)) < 0)
		return rc;
	parts = rc == 1;
	while ((rc = bundle_read_row(reader, &line, &len, err)) == 1) {
		if ((rc = purge_line_parse(line, len, &l, err)) < 0)
			return rc;
		if (l.root || (parts && l.kind == MM_POST))
			take = wanted(roots, n, &l);
		sql = parts && l.kind == MM_FILE ? &sql_restore_part_file : restore_sql[l.kind];
		if (take && (rc = restore_line(mm, &mm->schema->table[l.kind], &kind[l.kind], sql, line, len, err)) < 0)
			return rc;
	}
	for (size_t i = 0; i < n && rc == 0 && !parts; i++) {
		const char *param = roots[i];

		/* The late reply is not in the archived thread row. */
		rc = db_query(ctx, mm->db, &sql_restore_recount, DB_NONE, 1, &param, NULL, err);
	}
	return rc;
}

/* ---- a whole thread, asked for by a person ---- */

/* A later release may have more columns, which stay empty; what it has no more would be lost. */
static int check_columns(struct mm *mm, const struct bundle_kind *kind, int at, struct err *err)
{
	const struct mm_table *t = &mm->schema->table[at];

	if (!t->present) {
		err_set(err, ERR_SCHEMA, "the database has no table %s any more", kind->table);
		return err_hint(err, "Nothing was changed. `mmretain export` writes the thread as a file.");
	}
	for (size_t i = 0; i < kind->n_columns; i++) {
		size_t k = 0;

		while (k < t->n_columns && strcmp(t->column[k].name, kind->column[i].name) != 0)
			k++;
		if (k == t->n_columns) {
			err_set(err, ERR_SCHEMA, "table %s has no column %s any more", kind->table, kind->column[i].name);
			return err_hint(err, "Nothing was changed. `mmretain export` writes the thread as a file.");
		}
	}
	return 0;
}

int purge_put_open(void *ctx, struct mm *mm, struct bundle_reader *reader, struct purge_put **ret, struct err *err)
{
	struct purge_put *p = mem_new(ctx, struct purge_put);
	int rc = bundle_read_schema(reader, p, &p->kind, &p->n_kinds, err);

	p->mm = mm;
	p->checked = mem_array(p, bool, p->n_kinds + 1);
	memset(p->checked, 0, p->n_kinds);
	if (rc == 0)
		*ret = p;
	else
		talloc_free(p);
	return rc;
}

static char *column_text(void *ctx, const struct bundle_kind *kind, const struct bundle_field *f, const char *name)
{
	for (size_t i = 0; i < kind->n_columns; i++)
		if (strcmp(kind->column[i].name, name) == 0)
			return f[i].null ? NULL : mem_strndup(ctx, f[i].data, f[i].len);
	return NULL;
}

/* The row was not put: it is there.  One that only has its id would stand for it in a thread that it does not belong to. */
static int check_there(struct purge_put *p, void *ctx, const struct bundle_kind *kind, int at, const struct bundle_field *f, struct err *err)
{
	struct db_result *res = NULL;
	const char *param;
	struct buf object;
	int rc;

	if (!there_sql[at])
		return 0;
	buf_init(&object, ctx, 128 << 20);
	full_object(kind, f, &object);
	param = object.data;
	rc = db_query_prepared(ctx, p->mm->db, there_sql[at], DB_ANY, 1, &param, &res, err);
	if (rc < 0 || db_rows(res) == 0 || db_bool(res, 0, 1)) /* none: another row is in its place, with what must be there once */
		return rc;
	err_set(err, ERR_GUARD, "in table %s another row has the id %s of an archived one", kind->table, db_text(res, 0, 0));
	return err_hint(err, "Nothing was changed. Find out where that row comes from; `mmretain export` writes the thread as a file.");
}

int purge_put(struct purge_put *p, void *ctx, const char *line, size_t len, struct purge_put_row *ret, struct err *err)
{
	int at = bundle_row_kind(p->kind, p->n_kinds, line, len), rc;
	const struct bundle_kind *kind;
	struct bundle_field *f;
	struct purge_line l;
	struct buf store;

	if (at < 0)
		return err_set(err, ERR_VERIFY, "a row of a kind that the bundle's schema does not have");
	kind = &p->kind[at];
	if ((rc = purge_line_parse(line, len, &l, err)) < 0 || (!p->checked[at] && (rc = check_columns(p->mm, kind, l.kind, err)) < 0))
		return rc;
	p->checked[at] = true;
	f = mem_array(ctx, struct bundle_field, kind->n_columns + 1);
	buf_init(&store, ctx, 64 << 20);
	if ((rc = restore_row(p->mm, &p->mm->schema->table[l.kind], kind, restore_sql[l.kind], line, len, f, &store, err)) < 0)
		return rc;
	*ret = (struct purge_put_row){.kind = l.kind, .put = db_affected(p->mm->db) > 0};
	if (!ret->put && (rc = check_there(p, ctx, kind, l.kind, f, err)) < 0)
		return rc;
	if (l.kind == MM_FILE) {
		ret->file_id = column_text(ctx, kind, f, "id");
		ret->file_path = column_text(ctx, kind, f, "path");
	}
	return 0;
}

int purge_put_replies(struct mm *mm, const char *root, uint64_t *ret, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restored replies");
	struct db_result *r;
	int rc = db_query_prepared(ctx, mm->db, &sql_restore_replies, DB_ONE, 1, &root, &r, err);

	if (rc == 0)
		*ret = (uint64_t)db_i64(r, 0, 0);
	return rc;
}

int purge_put_end(struct mm *mm, const char *root, struct err *err)
{
	return db_query_prepared(mm, mm->db, &sql_restore_recount, DB_NONE, 1, &root, NULL, err);
}
