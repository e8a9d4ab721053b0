/*
 * mm_names.c - ids to names, so that a bundle explains itself when the server is long gone.
 */
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"
#include "mm_thread_internal.h"

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
	struct sql named;
	int r = mm_template(tmp, sql, (const char *const[]){"named", NULL}, &named, err);

	if (r < 0)
		return r;
	db_array_init(&a, tmp);
	for (size_t i = 0; i < n; i++)
		db_array_add(&a, ids[i], strlen(ids[i]));
	param = db_array_text(&a);
	return db_stream(mm->db, &named, 1, &param, fn, payload, err);
}

int mm_names_of_any(struct mm *mm, int n, db_row_fn fn, void *payload, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "names of some");
	const char *param = mem_printf(tmp, "%d", n);
	struct sql any;
	int r = mm_template(tmp, &sql_names_users, (const char *const[]){"any", NULL}, &any, err);

	return r < 0 ? r : db_stream(mm->db, &any, 1, &param, fn, payload, err);
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
