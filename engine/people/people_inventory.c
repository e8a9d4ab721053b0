/*
 * people_inventory.c - what exists of one person, where; counts only.
 */
#include <mmretain/mm_bucket.h>

#include "people_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int count(struct mm_people *p, const struct mm_trace *t, const char *user_id, const char *email,
		 struct people_place *place, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people count");
	const char *param[] = {user_id, email};
	struct db_result *res = NULL;
	int rc;

	if (!t->count) {
		place->rows = 1; /* the account row itself */
		return 0;
	}
	rc = db_query(ctx, p->mm->db, t->count, DB_ONE, (int)strlen(t->count_params), param, &res, err);
	if (rc == -ERR_PERMISSION) {
		place->unreadable = true;
		return 0;
	}
	if (rc == 0)
		place->rows = (uint64_t)db_i64(res, 0, 0);
	return rc;
}

/* Of a place that has two ways to be treated only the chosen one is shown; one that is left alone is shown as kept. */
static bool is_shown(const struct mm_trace *t, unsigned choices)
{
	return !t->choice || (t->choice & choices) || t->why;
}

static int add_place(struct people_inventory *inv, struct mm_people *p, const struct mm_trace *t, unsigned choices,
		     const char *email, struct err *err)
{
	bool acts = !t->choice || (t->choice & choices);
	struct people_place place = {.table = t->table,
				     .what = t->what,
				     .why = acts && t->act != MM_TRACE_KEEP ? NULL : t->why,
				     .act = acts ? t->act : MM_TRACE_KEEP};
	int rc = count(p, t, inv->user->id, email, &place, err);

	if (rc < 0 || (!place.rows && !place.unreadable))
		return rc;
	inv->place = mem_grow(inv, inv->place, struct people_place, (unsigned)inv->n_places + 1);
	inv->place[inv->n_places++] = place;
	return 0;
}

static void look_at_object(struct people_inventory *inv, struct mm *mm, const char *path)
{
	struct mm_bucket_seen seen;
	struct err own;
	int rc = mm_bucket_see(mm, path, &seen, &own);

	if (rc < 0)
		inv->picture_problem = mem_strdup(inv, own.msg);
	inv->picture = rc == 1;
	inv->picture_bytes = rc == 1 ? (uint64_t)seen.bytes : 0;
}

static void look_at_picture(struct people_inventory *inv, struct mm *mm)
{
	auto_fd int fd = -1;
	struct err own;
	struct stat st;
	char path[64];

	if (!mm_has_files(mm)) {
		inv->picture_problem =
			mm->data_problem ? mm->data_problem : "the folder of the server's files is not known";
		return;
	}
	if (people_picture_path(inv->user->id, path, sizeof(path)) < 0)
		return;
	if (mm->bucket) {
		look_at_object(inv, mm, path);
		return;
	}
	if (file_open_beneath(mm->data_dirfd, path, &fd, &own) < 0) {
		if (own.sys_errno != ENOENT)
			inv->picture_problem = mem_strdup(inv, own.msg);
		return;
	}
	inv->picture = fstat(fd, &st) == 0;
	inv->picture_bytes = inv->picture ? (uint64_t)st.st_size : 0;
}

static int learn_email(void *ctx, struct mm *mm, const char *user_id, const char **ret, struct err *err)
{
	const char *param[] = {PEOPLE_DOMAIN, user_id};
	struct db_result *res = NULL;
	int rc = db_query(ctx, mm->db, &sql_people_find, DB_ANY, 2, param, &res, err);

	if (rc == 0)
		*ret = db_rows(res) ? db_text(res, 0, ROW_EMAIL) : "";
	return rc;
}

int people_inventory(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		     const char *name, struct people_inventory **ret, struct err *err)
{
	auto_mem void *tmp = mem_context(NULL, "people inventory");
	struct people_inventory *inv = mem_new(ctx, struct people_inventory);
	unsigned choices = people_choices(&policy->people);
	struct mm_people *p = NULL;
	const char *email = "";
	int rc = people_explain(inv, policy, mm, holds, name, &inv->user, err);

	if (rc == 0)
		rc = mm_people_probe(inv, mm, &p, err);
	if (rc == 0)
		rc = learn_email(tmp, mm, inv->user->id, &email, err);
	for (size_t i = 0; rc == 0 && i < mm_n_traces; i++)
		if (p->present[i] && is_shown(&mm_trace[i], choices))
			rc = add_place(inv, p, &mm_trace[i], choices, email, err);
	if (rc == 0)
		rc = people_integrations(inv, p, inv->user->id, &inv->integration, &inv->n_integrations, err);
	if (rc < 0) {
		talloc_free(inv);
		return rc;
	}
	inv->unknown = p->unknown;
	inv->n_unknown = p->n_unknown;
	look_at_picture(inv, mm);
	*ret = inv;
	return 0;
}
