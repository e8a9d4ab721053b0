/* purge_put.c - a whole thread back, asked for by a person: what is there is looked at, and nothing that is not
 * understood is passed over. */
#include "purge_internal.h"

#include <string.h>

/* Of kinds with an id of their own: whether what is there under this id is what was archived. */
static const struct sql *const there_sql[MM_KINDS] = {
	[MM_POST] = &sql_restore_there_post, [MM_FILE] = &sql_restore_there_file,
	[MM_PROPERTY] = &sql_restore_there_property,
	[MM_SHARED_FILE] = &sql_restore_there_shared_file,
};

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
			err_set(err, ERR_SCHEMA, "table %s has no column %s any more", kind->table,
				kind->column[i].name);
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

/* The row was not put: it is there.  One that only has its id would stand for it in a thread that it does not belong
 * to. */
static int check_there(struct purge_put *p, void *ctx, const struct bundle_kind *kind, int at,
		       const struct bundle_field *f, struct err *err)
{
	struct db_result *res = NULL;
	const char *param;
	struct buf object;
	int rc;

	if (!there_sql[at])
		return 0;
	buf_init(&object, ctx, 128 << 20);
	purge_full_object(kind, f, &object);
	param = object.data;
	rc = db_query_prepared(ctx, p->mm->db, there_sql[at], DB_ANY, 1, &param, &res, err);
	/* none: another row is in its place, with what must be there once */
	if (rc < 0 || db_rows(res) == 0 || db_bool(res, 0, 1))
		return rc;
	err_set(err, ERR_GUARD, "in table %s another row has the id %s of an archived one", kind->table,
		db_text(res, 0, 0));
	return err_hint(err, "Nothing was changed. Find out where that row comes from; `mmretain export` writes the "
			     "thread as a file.");
}

/* What a line is: which kind of the bundle's schema, and of the closure. */
static int kind_of(struct purge_put *p, const char *line, size_t len, int *ret_at, enum mm_kind *ret_kind,
		   struct err *err)
{
	int at = bundle_row_kind(p->kind, p->n_kinds, line, len), rc;
	struct purge_line l;

	if (at < 0)
		return err_set(err, ERR_VERIFY, "a row of a kind that the bundle's schema does not have");
	if ((rc = purge_line_parse(line, len, &l, err)) < 0 ||
	    (!p->checked[at] && (rc = check_columns(p->mm, &p->kind[at], l.kind, err)) < 0))
		return rc;
	p->checked[at] = true;
	*ret_at = at;
	*ret_kind = l.kind;
	return 0;
}

static int tell(struct purge_put *p, void *ctx, int at, const struct bundle_field *f, struct purge_put_row *ret,
		struct err *err)
{
	int rc = ret->put ? 0 : check_there(p, ctx, &p->kind[at], ret->kind, f, err);

	if (rc < 0 || ret->kind != MM_FILE)
		return rc;
	ret->file_id = column_text(ctx, &p->kind[at], f, "id");
	ret->file_path = column_text(ctx, &p->kind[at], f, "path");
	return 0;
}

int purge_put(struct purge_put *p, void *ctx, const char *line, size_t len, struct purge_put_row *ret, struct err *err)
{
	struct bundle_field *f;
	enum mm_kind kind;
	struct buf store;
	int at, rc = kind_of(p, line, len, &at, &kind, err);

	if (rc < 0)
		return rc;
	f = mem_array(ctx, struct bundle_field, p->kind[at].n_columns + 1);
	buf_init(&store, ctx, 64 << 20);
	if ((rc = purge_restore_row(p->mm, &p->mm->schema->table[kind], &p->kind[at], purge_restore_sql[kind], line,
				    len, f, &store, err)) < 0)
		return rc;
	*ret = (struct purge_put_row){.kind = kind, .put = db_affected(p->mm->db) > 0};
	return tell(p, ctx, at, f, ret, err);
}

/* ---- the rows of a thread, some in one round trip ---- */

enum { TOGETHER_ROWS = 64, TOGETHER_BYTES = 1 << 20, JSONB_FORM = 1 };

struct waiting { int at; enum mm_kind kind; struct bundle_field *f; const char *param[2]; int length[2]; };
struct together {
	struct purge_put *p;
	void *ctx;                 /* emptied when they have gone */
	struct waiting row[TOGETHER_ROWS]; size_t n, bytes;
	purge_put_fn fn; void *payload;
};

static int send(struct together *t, struct err *err)
{
	struct db_call call[TOGETHER_ROWS];
	int rc;

	for (size_t i = 0; i < t->n; i++)
		call[i] = (struct db_call){.sql = purge_restore_sql[t->row[i].kind],
					   .n_params = 2,
					   .params = t->row[i].param,
					   .lengths = t->row[i].length};
	rc = db_query_together(t->p->mm->db, call, t->n, NULL, NULL, err);
	for (size_t i = 0; i < t->n && rc == 0; i++) {
		struct purge_put_row row = {.kind = t->row[i].kind, .put = call[i].affected > 0};

		if ((rc = tell(t->p, t->ctx, t->row[i].at, t->row[i].f, &row, err)) == 0)
			rc = t->fn(t->payload, &row, err);
	}
	talloc_free_children(t->ctx);
	t->n = t->bytes = 0;
	return rc;
}

/* A row with a JSON null is put alone: it has a second parameter, in text. */
static int put_alone(struct together *t, const char *line, size_t len, struct err *err)
{
	struct purge_put_row row;
	int rc = send(t, err);

	if (rc < 0 || (rc = purge_put(t->p, t->ctx, line, len, &row, err)) < 0)
		return rc;
	rc = t->fn(t->payload, &row, err);
	talloc_free_children(t->ctx);
	return rc;
}

static int put_later(struct together *t, const char *line, size_t len, struct err *err)
{
	struct waiting *w = &t->row[t->n];
	struct buf store, base, object;
	const struct bundle_kind *kind;
	int rc = kind_of(t->p, line, len, &w->at, &w->kind, err);

	if (rc < 0)
		return rc;
	kind = &t->p->kind[w->at];
	w->f = mem_array(t->ctx, struct bundle_field, kind->n_columns + 1);
	buf_init(&store, t->ctx, 64 << 20);
	buf_init(&base, t->ctx, 1 << 20);
	buf_init(&object, t->ctx, 128 << 20);
	if ((rc = bundle_decode_row(kind, line, len, w->f, &store, err)) < 0)
		return rc;
	if (purge_base_row(&t->p->mm->schema->table[w->kind], kind, w->f, &base))
		return put_alone(t, line, len, err);
	buf_byte(&object, JSONB_FORM); /* before the text, in the binary form of jsonb */
	purge_full_object(kind, w->f, &object);
	if (object.overflow || base.overflow)
		return err_set(err, ERR_VERIFY, "bundle row is too large to be restored");
	w->param[0] = object.data;
	w->length[0] = (int)object.len;
	w->param[1] = NULL;
	w->length[1] = 0;
	t->bytes += object.len;
	return ++t->n == TOGETHER_ROWS || t->bytes >= TOGETHER_BYTES ? send(t, err) : 0;
}

int purge_put_lines(struct purge_put *p, const char *lines, size_t len, purge_put_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "rows that go together");
	struct together t = {.p = p, .ctx = ctx, .fn = fn, .payload = payload};
	const char *end = lines + len, *nl;
	struct bundle_erased gone;
	int rc = 0;

	for (const char *line = lines; line < end && rc == 0; line = nl + 1) {
		nl = memchr(line, '\n', (size_t)(end - line));
		if (!bundle_erased_line(line, (size_t)(nl - line), &gone))
			rc = put_later(&t, line, (size_t)(nl - line), err);
	}
	return rc < 0 ? rc : send(&t, err);
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
