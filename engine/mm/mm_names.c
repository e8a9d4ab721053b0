/*
 * mm_names.c - ids to names, so that a bundle explains itself when the server is long gone.
 */
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"

enum { PAGE_IDS = 5000 };

static const struct { const char *what; const struct sql *sql; } tables[] = {
	{"teams", &sql_names_teams},
	{"channels", &sql_names_channels},
	{"users", &sql_names_users},
};

static int names_page(struct mm *mm, const struct sql *sql, const char *const *ids, size_t n, db_row_fn fn,
		      void *payload, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "names");
	struct db_array a;
	const char *param;

	db_array_init(&a, tmp);
	for (size_t i = 0; i < n; i++)
		db_array_add(&a, ids[i], strlen(ids[i]));
	param = db_array_text(&a);
	return db_stream(mm->db, sql, 1, &param, fn, payload, err);
}

int mm_names(struct mm *mm, const char *what, const char *const *ids, size_t n, db_row_fn fn, void *payload,
	     struct err *err)
{
	const struct sql *sql = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (!strcmp(tables[i].what, what))
			sql = tables[i].sql;
	if (!sql)
		return err_set(err, ERR_INTERNAL, "no names of \"%s\"", what);
	for (size_t i = 0; r == 0 && i < n; i += PAGE_IDS)
		r = names_page(mm, sql, ids + i, n - i < PAGE_IDS ? n - i : PAGE_IDS, fn, payload, err);
	return r;
}
