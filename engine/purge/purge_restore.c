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

static bool wanted(const mm_id *roots, size_t n, const struct purge_line *l)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(roots[i]) == l->thread_len && memcmp(roots[i], l->thread, l->thread_len) == 0)
			return true;
	return false;
}

/* A whole JSON object with every column: absent keys of the slim line stand for defaults that SQL does not know. */
static void full_object(const struct bundle_kind *kind, const struct bundle_field *f, struct buf *out)
{
	buf_byte(out, '{');
	for (size_t i = 0; i < kind->n_columns; i++) {
		if (i)
			buf_byte(out, ',');
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

static int restore_row(struct mm *mm, const struct bundle_kind *kind, const struct sql *sql, const char *line, size_t len, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "restore row");
	struct bundle_field *f = mem_array(ctx, struct bundle_field, kind->n_columns + 1);
	struct buf store, object;
	const char *param;
	int rc;

	buf_init(&store, ctx, 64 << 20);
	buf_init(&object, ctx, 128 << 20);
	if ((rc = bundle_decode_row(kind, line, len, f, &store, err)) < 0)
		return rc;
	full_object(kind, f, &object);
	if (object.overflow)
		return err_set(err, ERR_VERIFY, "bundle row is too large to be restored");
	param = object.data;
	return db_query(ctx, mm->db, sql, DB_NONE, 1, &param, NULL, err);
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

	if ((rc = purge_bundle_kinds(ctx, mm, &kind, err)) < 0 || (rc = bundle_open_receipt(ctx, receipt, &reader, err)) < 0 ||
	    (rc = bundle_read_parts(reader, &before_ms, err)) < 0)
		return rc;
	parts = rc == 1;
	while ((rc = bundle_read_row(reader, &line, &len, err)) == 1) {
		if ((rc = purge_line_parse(line, len, &l, err)) < 0)
			return rc;
		if (l.root || (parts && l.kind == MM_POST))
			take = wanted(roots, n, &l);
		sql = parts && l.kind == MM_FILE ? &sql_restore_part_file : restore_sql[l.kind];
		if (take && (rc = restore_row(mm, &kind[l.kind], sql, line, len, err)) < 0)
			return rc;
	}
	for (size_t i = 0; i < n && rc == 0 && !parts; i++) {
		const char *param = roots[i];

		/* The late reply is not in the archived thread row. */
		rc = db_query(ctx, mm->db, &sql_restore_recount, DB_NONE, 1, &param, NULL, err);
	}
	return rc;
}
