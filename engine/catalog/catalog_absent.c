/* catalog_absent.c - what indexes still say of a bundle that should be there and is not. */
#include "catalog_internal.h"

#include <string.h>

struct catalog_absent {
	struct catalog *c;
	const char *rows_digest;
	struct catalog_bundle bundle;      /* as the catalog lists it, when it does */
	struct catalog_lost_ids ids; bool asked;
};

/* The bundle cannot vouch for its line: the size is what the ledger knows of both. */
static int list_it(struct catalog_absent *a, struct err *err)
{
	struct catalog_bundle *b = &a->bundle;
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(a->c->db->sq, "SELECT no, bytes, min_ms, max_ms FROM bundle WHERE rel_path = ?1", &q, err);

	if (rc < 0)
		return rc;
	sq_text(q, 1, b->rel_path);
	if ((rc = sq_step(a->c->db->sq, q, err)) <= 0)
		return rc;
	b->listed = !b->size_bytes || (uint64_t)sqlite3_column_int64(q, 1) == b->size_bytes;
	b->listed_no = sqlite3_column_int64(q, 0);
	b->min_ms = sqlite3_column_int64(q, 2);
	b->max_ms = sqlite3_column_int64(q, 3);
	return 0;
}

struct catalog_absent *catalog_absent_new(void *ctx, struct catalog *c, const char *rel_path, const char *rows_digest,
					  uint64_t file_bytes)
{
	struct catalog_absent *a = mem_new(ctx, struct catalog_absent);
	struct err why = {0};

	*a = (struct catalog_absent){.c = c,
				     .rows_digest = mem_strdup(a, rows_digest),
				     .bundle = {.rel_path = mem_strdup(a, rel_path), .size_bytes = file_bytes}};
	if (c->db && list_it(a, &why) < 0)
		log_debug("%s", why.msg); /* as if it did not know the bundle */
	return a;
}

/* The sidecar knows each id; the catalog may be wrong once in a hundred; what an earlier catalog knew may be kept in
 * ledger/. */
static void ask(struct catalog_absent *a)
{
	const struct catalog_bundle *b = &a->bundle;
	const struct store *store = a->c->store;
	struct err why = {0};

	a->asked = true;
	if (a->c->options.scan || lost_from_side(a, store, b->rel_path, b->size_bytes, &a->ids, &why) == 0)
		return;
	a->ids = (struct catalog_lost_ids){.kind = CATALOG_LOST_NONE};
	if (b->listed && lost_from_list(a, a->c->db->sq, b->rel_path, &a->ids, &why) == 0)
		return;
	if (!a->rows_digest[0] || catalog_lost_read(a, store, a->rows_digest, &a->ids, &why) < 0)
		a->ids = (struct catalog_lost_ids){.kind = CATALOG_LOST_NONE};
}

bool catalog_absent_may_hold(struct catalog_absent *a, const char *id)
{
	if (!a->asked)
		ask(a);
	return a->ids.kind == CATALOG_LOST_NONE || catalog_lost_has(&a->ids, id, strlen(id));
}

bool catalog_absent_may_answer(struct catalog_absent *a, const struct catalog_query *q)
{
	return listed_may(a->c, &a->bundle, q) != 0;
}
