/* purge_restore.c - put threads back from their bundle, same ids, in the caller's transaction. */
#include "purge_internal.h"

#include <string.h>

const struct sql *const purge_restore_sql[MM_KINDS] = {
	[MM_THREAD] = &sql_restore_thread, [MM_POST] = &sql_restore_post, [MM_REACTION] = &sql_restore_reaction,
	[MM_FILE] = &sql_restore_file, [MM_MEMBER] = &sql_restore_member, [MM_PRIORITY] = &sql_restore_priority,
	[MM_ACK] = &sql_restore_ack, [MM_PNOTIFY] = &sql_restore_pnotify, [MM_PREF] = &sql_restore_pref,
	[MM_REMINDER] = &sql_restore_reminder, [MM_DRAFT] = &sql_restore_draft,
	[MM_READ_RECEIPT] = &sql_restore_read_receipt,
	[MM_TEMPORARY] = &sql_restore_temporary, [MM_TRANSLATION] = &sql_restore_translation,
	[MM_PROPERTY] = &sql_restore_property, [MM_SHARED_FILE] = &sql_restore_shared_file,
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

bool purge_base_row(const struct mm_table *t, const struct bundle_kind *kind, const struct bundle_field *f,
		    struct buf *out)
{
	bool any = false;

	buf_byte(out, '(');
	for (size_t i = 0; i < t->n_columns; i++) {
		if (i)
			buf_byte(out, ',');
		for (size_t k = 0; k < kind->n_columns; k++)
			if (is_json_null(&kind->column[k], &f[k]) &&
			    strcmp(kind->column[k].name, t->column[i].name) == 0) {
				buf_puts(out, "null");
				any = true;
			}
	}
	buf_byte(out, ')');
	return any;
}

/* Absent keys of the slim line stand for defaults that SQL does not know. */
void purge_full_object(const struct bundle_kind *kind, const struct bundle_field *f, struct buf *out)
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

int purge_restore_row(struct mm *mm, const struct mm_table *t, const struct bundle_kind *kind, const struct sql *sql,
		      const char *line, size_t len, struct bundle_field *f, struct buf *store, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restore row");
	struct buf object, base;
	const char *param[2] = {NULL, NULL};
	int rc;

	buf_init(&object, ctx, 128 << 20);
	buf_init(&base, ctx, 1 << 20);
	if ((rc = bundle_decode_row(kind, line, len, f, store, err)) < 0)
		return rc;
	purge_full_object(kind, f, &object);
	param[1] = purge_base_row(t, kind, f, &base) ? base.data : NULL;
	if (object.overflow || base.overflow)
		return err_set(err, ERR_VERIFY, "bundle row is too large to be restored");
	param[0] = object.data;
	return db_query_prepared(ctx, mm->db, sql, DB_NONE, 2, param, NULL, err);
}

static int restore_line(struct mm *mm, const struct mm_table *t, const struct bundle_kind *kind, const struct sql *sql,
			const char *line, size_t len, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restore line");
	struct buf store;

	buf_init(&store, ctx, 64 << 20);
	return purge_restore_row(mm, t, kind, sql, line, len, mem_array(ctx, struct bundle_field, kind->n_columns + 1),
				 &store, err);
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

	if ((rc = bundle_open_receipt(ctx, receipt, &reader, err)) < 0 ||
	    (rc = purge_kinds_as(ctx, mm, reader, &kind, err)) < 0 ||
	    (rc = bundle_read_parts(reader, &before_ms, err)) < 0)
		return rc;
	parts = rc == 1;
	while ((rc = bundle_read_row(reader, &line, &len, err)) == 1) {
		if ((rc = purge_line_parse(line, len, &l, err)) < 0)
			return rc;
		if (l.root || (parts && l.kind == MM_POST))
			take = wanted(roots, n, &l);
		sql = parts && l.kind == MM_FILE ? &sql_restore_part_file : purge_restore_sql[l.kind];
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
