/*
 * db_copy.c - COPY FROM STDIN: the quick way into a temporary table.
 */
#include <string.h>

#include "db_internal.h"

enum { COPY_CHUNK = 1 << 20 }; /* PQputCopyData takes an int; its buffer grows with what it gets */

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
