/*
 * mm_recheck.c - what can have changed about a thread although none of its rows has.
 *
 * The delete matches every row by its exact version, so whatever follows from the rows themselves (pins, authors, tags,
 * times) is as it was planned.  Left are facts in other tables: flags, content flagging, the legal-hold plugin's
 * records, and a compliance export that has begun.  One that was at work goes on from post to post, and what it had
 * passed stays passed.  Who becomes a member meanwhile, of a channel or of a group that a record names, is seen by the
 * next plan: the plugin copies nothing of before, and looking for him would take a pass over channelmemberhistory for
 * each batch.
 */
#include <mmretain/mm.h>

#include <string.h>

#include "mm_sql.h"

static int legal_state(void *ctx, struct mm *mm, char **ret, struct err *err)
{
	struct db_result *r;
	int rc;

	if (!mm->has_plugin_store) {
		*ret = mem_strdup(ctx, "");
		return 0;
	}
	if ((rc = db_query_prepared(ctx, mm->db, &sql_recheck_legal, DB_ONE, 0, NULL, &r, err)) < 0)
		return rc;
	*ret = mem_strdup(ctx, db_text(r, 0, 0));
	talloc_free(r);
	return 0;
}

/* A server whose export had begun before is not asked again. */
static int export_begun(void *ctx, struct mm *mm, bool *ret, struct err *err)
{
	struct db_result *r;
	int rc;

	*ret = false;
	if (!mm->awaits_export)
		return 0;
	if ((rc = db_query_prepared(ctx, mm->db, &sql_recheck_export, DB_ONE, 0, NULL, &r, err)) < 0)
		return rc;
	*ret = db_bool(r, 0, 0);
	talloc_free(r);
	return 0;
}

int mm_recheck_begin(struct mm *mm, struct err *err)
{
	struct db_result *r;
	bool begun;
	int rc = db_query(mm, mm->db, &sql_recheck_store, DB_ONE, 0, NULL, &r, err);

	if (rc < 0)
		return rc;
	mm->has_plugin_store = db_bool(r, 0, 0);
	mm->awaits_export = db_bool(r, 0, 1);
	talloc_free(r);
	if ((rc = export_begun(mm, mm, &begun, err)) < 0)
		return rc;
	mm->awaits_export = mm->awaits_export && !begun;
	return legal_state(mm, mm, &mm->legal_state, err);
}

struct marks { mm_recheck_fn fn; void *payload; unsigned bit; };

static int on_id(void *payload, const struct db_row *row, struct err *err)
{
	struct marks *a = payload;

	(void)err;
	if (row->value[0])
		a->fn(a->payload, row->value[0], a->bit);
	return 0;
}

/* What is asked in the round trip that begins the transaction. */
struct asked { struct db_call call[3]; size_t n; struct db_result *legal, *begun, *content; const char *ids; };

static void ask(struct asked *a, void *ctx, const struct sql *sql, struct db_result **ret)
{
	a->call[a->n++] = (struct db_call){.sql = sql, .ret = ret, .ctx = ctx};
}

static void ask_all(struct asked *a, void *ctx, const struct mm *mm)
{
	if (mm->has_plugin_store)
		ask(a, ctx, &sql_recheck_legal, &a->legal);
	if (mm->awaits_export)
		ask(a, ctx, &sql_recheck_export, &a->begun);
	if (!mm->schema->table[MM_PROPERTY].present)
		return;
	ask(a, ctx, &sql_recheck_content, &a->content);
	a->call[a->n - 1].n_params = 1;
	a->call[a->n - 1].params = &a->ids;
}

/* Holds of the legal-hold plugin are others than before, or nobody looked; or an export has begun. */
static bool changed(const struct asked *a, const struct mm *mm)
{
	const char *now = a->legal ? db_text(a->legal, 0, 0) : "";

	return (a->begun && db_bool(a->begun, 0, 0)) || !mm->legal_state || strcmp(now, mm->legal_state) != 0;
}

static int one_row(const struct db_result *r, const struct sql *sql, struct err *err)
{
	return !r || db_rows(r) == 1 ? 0 : err_set(err, ERR_DATABASE, "query %s gave no single row", sql->name);
}

int mm_recheck(struct mm *mm, const struct mm_protect_query *q, const char *id_array, mm_recheck_fn fn, void *payload,
	       bool *ret_all, struct err *err)
{
	auto_mem void *ctx = mem_context(mm, "recheck");
	struct marks flagged = {fn, payload, MM_FLAGGED};
	struct asked a = {.ids = id_array};
	int rc;

	ask_all(&a, ctx, mm);
	if ((rc = db_begin_together(mm->db, DB_READ_COMMITTED, a.call, a.n, err)) < 0 ||
	    (rc = one_row(a.legal, &sql_recheck_legal, err)) < 0 ||
	    (rc = one_row(a.begun, &sql_recheck_export, err)) < 0)
		return rc;
	*ret_all = changed(&a, mm);
	for (int64_t i = 0; a.content && i < db_rows(a.content); i++)
		fn(payload, db_text(a.content, i, 0), MM_CONTENT_FLAG);
	return q->flagged ? db_stream(mm->db, &sql_recheck_flagged, 1, &id_array, on_id, &flagged, err) : 0;
}
