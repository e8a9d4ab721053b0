/*
 * db_stream.c - rows one by one, memory flat whatever their number.
 */
#include <string.h>

#include "db_internal.h"

struct stream {
	struct db *db;
	const struct sql *sql;
	db_row_fn fn;
	void *payload;
	const char **value; /* one row, borrowed from its result */
	size_t *len;
	int columns;
};

static void load_row(struct stream *s, const PGresult *res)
{
	if (!s->value) {
		s->columns = PQnfields(res);
		s->value = mem_array(NULL, const char *, (unsigned)s->columns + 1);
		s->len = mem_array(s->value, size_t, (unsigned)s->columns + 1);
	}
	for (int i = 0; i < s->columns; i++) {
		s->value[i] = PQgetisnull(res, 0, i) ? NULL : PQgetvalue(res, 0, i);
		s->len[i] = (size_t)PQgetlength(res, 0, i);
	}
}

/* 0 go on, 1 the caller has enough, negative: failed. */
static int take(struct stream *s, const PGresult *res, const struct db_wait *w, struct err *err)
{
	switch (PQresultStatus(res)) {
	case PGRES_SINGLE_TUPLE: {
		struct db_row row;

		load_row(s, res);
		row = (struct db_row){.columns = s->columns, .value = s->value, .len = s->len};
		return s->fn(s->payload, &row, err);
	}
	case PGRES_TUPLES_OK:
		return 0; /* the end of the rows */
	case PGRES_COMMAND_OK:
		return err_set(err, ERR_DATABASE, "query %s gave no row set where one was expected", s->sql->name);
	default:
		return db_fail(s->db, res, s->sql->name, w, err);
	}
}

int db_stream(struct db *db, const struct sql *sql, int n_params, const char *const *params, db_row_fn fn,
	      void *payload, struct err *err)
{
	struct stream s = {.db = db, .sql = sql, .fn = fn, .payload = payload};
	struct db_wait w;
	bool in_transaction;
	PGresult *res;
	int r;

	db_cursor_settle(db);
	in_transaction = PQtransactionStatus(db->pg) != PQTRANS_IDLE;
	if ((r = db_send(db, sql, n_params, params, &w, err)) < 0)
		return r;
	if (!PQsetSingleRowMode(db->pg))
		r = err_set(err, ERR_INTERNAL, "no single-row mode (%s)", sql->name);
	while (r == 0 && (res = db_next_result(db, &w)) != NULL) {
		r = take(&s, res, &w, err);
		PQclear(res);
	}
	/* A cancel would end the caller's transaction: without an error the rest is read and dropped instead. */
	if (r < 0 || (r > 0 && !in_transaction))
		db_cancel(db);
	db_drain(db, &w);
	talloc_free(s.value);
	return r < 0 ? r : 0;
}
