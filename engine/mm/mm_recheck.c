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

struct ask { mm_recheck_fn fn; void *payload; unsigned bit; };

static int on_id(void *payload, const struct db_row *row, struct err *err)
{
	struct ask *a = payload;

	(void)err;
	if (row->value[0])
		a->fn(a->payload, row->value[0], a->bit);
	return 0;
}

/* Prepared: for every batch, and planned as the deletes are, so that the session's plan mode changes once a batch. */
static int content_flags(void *ctx, struct mm *mm, const char *id_array, mm_recheck_fn fn, void *payload,
			 struct err *err)
{
	struct db_result *r;
	int rc = db_query_prepared(ctx, mm->db, &sql_recheck_content, DB_ANY, 1, &id_array, &r, err);

	for (int64_t i = 0; rc == 0 && i < db_rows(r); i++)
		fn(payload, db_text(r, i, 0), MM_CONTENT_FLAG);
	return rc;
}

int mm_recheck(struct mm *mm, const struct mm_protect_query *q, const char *id_array, mm_recheck_fn fn, void *payload,
	       bool *ret_all, struct err *err)
{
	auto_mem void *ctx = mem_context(mm, "recheck");
	struct ask flagged = {fn, payload, MM_FLAGGED};
	bool begun;
	char *now;
	int rc = legal_state(ctx, mm, &now, err);

	if (rc < 0 || (rc = export_begun(ctx, mm, &begun, err)) < 0)
		return rc;
	*ret_all = begun || !mm->legal_state || strcmp(now, mm->legal_state) != 0;
	if (q->flagged && (rc = db_stream(mm->db, &sql_recheck_flagged, 1, &id_array, on_id, &flagged, err)) < 0)
		return rc;
	if (mm->schema->table[MM_PROPERTY].present)
		rc = content_flags(ctx, mm, id_array, fn, payload, err);
	return rc;
}
