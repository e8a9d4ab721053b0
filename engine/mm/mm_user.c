/*
 * mm_user.c - accounts by name or id.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"

static size_t unique(mm_id *ids, size_t n)
{
	size_t kept = 0;

	qsort(ids, n, sizeof(*ids), mm_id_cmp);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(ids[i], ids[kept - 1])) {
			memmove(ids[kept], ids[i], sizeof(*ids));
			kept++;
		}
	return kept;
}

/* Cut short it would be nobody's, and whom a hold names it would not protect. */
static int check_length(const struct db_result *res, int64_t row, struct err *err)
{
	if (db_len(res, row, 1) <= MM_ID)
		return 0;
	err_set(err, ERR_DATABASE, "the id of account \"%s\" has more than %d bytes", db_text(res, row, 0), MM_ID);
	return err_hint(err, "No server makes such an id: look where the account came from.");
}

int mm_user_ids(void *ctx, struct mm *mm, const char *const *names, size_t n, mm_id **ret, size_t *ret_n,
		char ***ret_missing, size_t *ret_n_missing, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "user ids");
	struct db_result *res = NULL;
	struct mm_list missing = {0};
	struct db_array a;
	const char *param;
	mm_id *ids;
	size_t found = 0;
	int r;

	db_array_init(&a, tmp);
	for (size_t i = 0; i < n; i++)
		db_array_add(&a, names[i], strlen(names[i]));
	param = db_array_text(&a);
	r = db_query(tmp, mm->db, &sql_user_ids, DB_ANY, 1, &param, &res, err);
	if (r < 0)
		return r;
	ids = mem_array(ctx, mm_id, (unsigned)db_rows(res) + 1);
	for (int64_t i = 0; i < db_rows(res); i++) {
		if (db_null(res, i, 1)) {
			mm_list_add(ctx, &missing, "%s", db_text(res, i, 0));
			continue;
		}
		if ((r = check_length(res, i, err)) < 0)
			return r;
		memcpy(ids[found++], db_text(res, i, 1), db_len(res, i, 1) + 1);
	}
	*ret = ids;
	*ret_n = unique(ids, found);
	if (ret_missing) {
		*ret_missing = missing.item;
		*ret_n_missing = missing.n;
	} else {
		talloc_free(missing.item);
	}
	return 0;
}
