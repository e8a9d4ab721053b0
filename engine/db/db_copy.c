/*
 * db_copy.c - COPY: the quick way into a temporary table, and from one session to another.
 */
#include <string.h>

#include "db_internal.h"

/* PQputCopyData takes an int; its buffer grows with what it gets */
enum { COPY_ACROSS_BYTES = 64 << 10, COPY_CHUNK = 1 << 20 };

int db_copy_in_begin(struct db *db, const struct sql *copy_sql, struct err *err)
{
	PGresult *res auto_pgresult = NULL;
	struct db_wait w;
	int r = db_begin_statement(db, copy_sql->name, &w, err);

	if (r < 0)
		return r;
	if (!PQsendQuery(db->pg, copy_sql->text)) {
		db->busy = NULL;
		return db_fail(db, NULL, copy_sql->name, &w, err);
	}
	res = db_next_result(db, &w);
	if (PQresultStatus(res) == PGRES_COPY_IN)
		return 0; /* busy until db_copy_in_end */
	db_drain(db, &w);
	return db_fail(db, res, copy_sql->name, &w, err);
}

int db_copy_in_data(struct db *db, const char *data, size_t len, struct err *err)
{
	while (len > 0) {
		size_t n = len < COPY_CHUNK ? len : COPY_CHUNK;

		if (PQputCopyData(db->pg, data, (int)n) != 1)
			return db_fail(db, NULL, db->busy ? db->busy : "copy", NULL, err);
		data += n;
		len -= n;
	}
	return 0;
}

int db_copy_in_end(struct db *db, struct err *err)
{
	const char *name = db->busy ? db->busy : "copy";
	PGresult *res auto_pgresult = NULL;
	struct db_wait w = {.stop_before = stop_requested()};

	if (PQputCopyEnd(db->pg, NULL) != 1) {
		db_drain(db, &w);
		return db_fail(db, NULL, name, &w, err);
	}
	res = db_collect(db, &w);
	if (!res || PQresultStatus(res) != PGRES_COMMAND_OK)
		return db_fail(db, res, name, &w, err);
	return 0;
}

/* As PQgetCopyData: the length of a row, -1 at the end, -2 broken. */
static int next_row(struct db *db, struct db_wait *w, char **ret)
{
	int n;

	while ((n = PQgetCopyData(db->pg, ret, 1)) == 0)
		if (!db_wait_input(db, w))
			return -2;
	return n;
}

/* A row is some 50 bytes: a message for each of them would cost the server more than the row. */
static int pass_rows(struct db *from, struct db_wait *w, struct db *to, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "copy across");
	struct buf b;
	char *row;
	int n, r = 0;

	buf_init(&b, ctx, COPY_ACROSS_BYTES);
	while (r == 0 && (n = next_row(from, w, &row)) > 0) {
		if (b.len + (size_t)n > COPY_ACROSS_BYTES) {
			r = db_copy_in_data(to, b.data, b.len, err);
			buf_clear(&b);
		}
		if (r == 0 && n > COPY_ACROSS_BYTES)
			r = db_copy_in_data(to, row, (size_t)n, err);
		else
			buf_put(&b, row, (size_t)n);
		PQfreemem(row);
	}
	return r < 0 || !b.len ? r : db_copy_in_data(to, b.data, b.len, err);
}

int db_copy_across(struct db *from, const struct sql *out, struct db *to, const struct sql *in, struct err *err)
{
	PGresult *begun auto_pgresult = NULL, *ended auto_pgresult = NULL;
	struct db_wait w;
	int r = db_copy_in_begin(to, in, err);

	if (r < 0 || (r = db_begin_statement(from, out->name, &w, err)) < 0)
		return r;
	if (PQsendQuery(from->pg, out->text))
		begun = db_next_result(from, &w);
	if (PQresultStatus(begun) != PGRES_COPY_OUT) {
		db_drain(from, &w);
		return db_fail(from, begun, out->name, &w, err);
	}
	if ((r = pass_rows(from, &w, to, err)) < 0) {
		db_drain(from, &w);
		return r;
	}
	ended = db_collect(from, &w);
	if (!ended || PQresultStatus(ended) != PGRES_COMMAND_OK)
		return db_fail(from, ended, out->name, &w, err);
	return db_copy_in_end(to, err);
}
