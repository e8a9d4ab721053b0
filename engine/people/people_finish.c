/*
 * people_finish.c - what commits leave behind: files, pictures, the view of profile attributes.
 *
 * Called after the accounts of a run and, because a crash can come between any two steps, at the start of every run.
 */
#include "people_internal.h"

#include <string.h>

static const char view_lock_timeout_ms[] = "5000";

void people_note(struct people_report *r, const char *fmt, ...)
{
	char *text;
	va_list ap;

	if (!r)
		return;
	va_start(ap, fmt);
	text = mem_check(talloc_vasprintf(r, fmt, ap));
	va_end(ap);
	for (size_t i = 0; i < r->n_notes; i++)
		if (!strcmp(r->note[i], text)) {
			talloc_free(text);
			return;
		}
	r->note = mem_grow(r, r->note, char *, (unsigned)r->n_notes + 1);
	r->note[r->n_notes++] = text;
}

struct people_counts people_counts_new(void *ctx)
{
	return (struct people_counts){.rows = mem_array(ctx, uint64_t, (unsigned)mm_n_traces)};
}

/* ---- pictures ---- */

static int pictures(struct mm_people *p, struct people_counts *c, struct people_report *notes, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people pictures");
	const char *domain = PEOPLE_DOMAIN;
	struct db_result *res = NULL;
	int rc = db_query(ctx, p->mm->db, &sql_people_done, DB_ANY, 1, &domain, &res, err);

	if (rc < 0 || db_rows(res) == 0)
		return rc;
	if (!mm_has_files(p->mm)) {
		/* Told once per account, when it is depersonalised; every night would teach people to look away. */
		if (notes && notes->done)
			people_note(notes, "profile pictures stay: %s; their names are users/<user id>/profile.png",
				    p->mm->data_problem ? p->mm->data_problem
							: "the folder of the server's files is not known");
		return 0;
	}
	for (int64_t i = 0; i < db_rows(res); i++) {
		enum people_picture done = people_picture_remove(p->mm, db_text(res, i, 0));

		c->pictures_gone += done == PICTURE_GONE;
		c->pictures_left += done == PICTURE_LEFT;
		if (done == PICTURE_LEFT)
			people_note(notes, "the profile picture of %s could not be removed", db_text(res, i, 0));
	}
	return 0;
}

/* ---- the view of profile attributes ---- */

static int refresh(struct mm_people *p, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people view");
	const char *timeout = view_lock_timeout_ms;
	struct db_result *res = NULL;
	int rc = db_begin(p->mm->db, DB_READ_COMMITTED, err);

	if (rc < 0)
		return rc;
	rc = db_query(ctx, p->mm->db, &sql_people_settings, DB_ONE, 1, &timeout, &res, err);
	if (rc == 0)
		rc = db_query(ctx, p->mm->db, &sql_people_view_refresh, DB_NONE, 0, NULL, NULL, err);
	if (rc == 0)
		rc = fault_check(FAULT_PEOPLE_BEFORE_VIEW, ERR_DATABASE, err);
	if (rc < 0) {
		db_rollback(p->mm->db);
		return rc;
	}
	/* The last place where attributes of the accounts could still be read goes.  Just before: the view is as it
	 * was, and found stale by the next run. Just after, and after a lost answer: it has none of them, or is found
	 * stale again. */
	rc = db_commit(p->mm->db, err);
	return rc < 0 ? rc : fault_check(FAULT_PEOPLE_AFTER_VIEW, ERR_DATABASE, err);
}

static bool attributes_went(const struct people_counts *c)
{
	for (size_t i = 0; i < mm_n_traces; i++)
		if (c->rows[i] && !strcmp(mm_trace[i].table, "propertyvalues"))
			return true;
	return false;
}

/* Does the view still show a depersonalised account?  Where the role may not look: it does when attributes went in this
 * run. */
static int is_stale(struct mm_people *p, bool readable, const struct people_counts *c, bool *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people view");
	const char *domain = PEOPLE_DOMAIN;
	struct db_result *res = NULL;
	int rc;

	*ret = attributes_went(c);
	if (!readable)
		return 0;
	rc = db_query(ctx, p->mm->db, &sql_people_view_stale, DB_ONE, 1, &domain, &res, err);
	if (rc == 0)
		*ret = db_bool(res, 0, 0);
	return rc;
}

/* Not permitted or busy is no failure: the server refreshes the view itself, only later. */
static int view(struct mm_people *p, struct people_counts *c, struct people_report *notes, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people view");
	struct db_result *res = NULL;
	struct err own;
	bool stale = false;
	int rc = db_query(ctx, p->mm->db, &sql_people_view, DB_ANY, 0, NULL, &res, err);

	if (rc < 0 || db_rows(res) == 0 || !db_bool(res, 0, 0))
		return rc;
	if ((rc = is_stale(p, db_bool(res, 0, 2), c, &stale, err)) < 0 || !stale)
		return rc;
	if (!db_bool(res, 0, 1)) {
		people_note(notes, "attributeview may still show profile attributes: only its owner may refresh it; "
				   "the server does so with its next access-control job, or run REFRESH MATERIALIZED "
				   "VIEW attributeview as the owner");
		return 0;
	}
	if ((rc = refresh(p, &own)) == 0) {
		c->view_refreshed = true;
		return 0;
	}
	if (rc == -ERR_DB_GONE) {
		*err = own;
		return rc;
	}
	people_note(notes, "attributeview was not refreshed: %s", own.msg);
	return 0;
}

/* ---- files ---- */

static int files(struct mm_people *p, const struct people_options *options, struct people_counts *c,
		 struct people_report *notes, struct err *err)
{
	uint64_t left = c->files_left, waiting = c->files_waiting;
	int rc = people_files_unlink(p->mm, options, c, err);

	if (rc == -ERR_VERIFY || rc == -ERR_GUARD) {
		/* somebody has to look at it; pictures, the view and the rest of the night do not wait for that */
		const char *hint =
			rc == -ERR_GUARD
				? "When the database was moved, run once with --moved-database: that sets it aside."
				: err->hint;

		log_warn("%s; unposted files of removed rows stay. %s", err->msg, hint);
		people_note(notes, "unposted files of removed rows stay: %s. %s", err->msg, hint);
		err_clear(err);
		c->files_left++; /* how many is not known */
		return 0;
	}
	left = c->files_left - left;
	waiting = c->files_waiting - waiting;
	if (rc == 0 && waiting)
		people_note(notes, "%llu unposted files of removed rows stay; the next run tries them again (%s)",
			    (unsigned long long)waiting, PEOPLE_JOURNAL);
	if (rc == 0 && left > waiting)
		people_note(notes, "%llu unposted files of removed rows stay for good: they are not what they were "
				   "when their rows went, or could not be read then",
			    (unsigned long long)(left - waiting));
	return rc;
}

int people_finish(struct mm_people *p, const struct people_options *options, struct people_counts *counts,
		  struct people_report *notes, struct err *err)
{
	int rc = files(p, options, counts, notes, err);

	if (rc == 0)
		rc = pictures(p, counts, notes, err);
	if (rc == 0)
		rc = view(p, counts, notes, err);
	return rc;
}

int people_settled(struct mm *mm, const char *user_id, bool *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people settled");
	const char *param[] = {PEOPLE_DOMAIN, user_id};
	struct db_result *res = NULL;
	int rc = db_query(ctx, mm->db, &sql_people_find, DB_ANY, 2, param, &res, err);

	if (rc == 0)
		*ret = db_rows(res) == 1 && !strcmp(db_text(res, 0, ROW_ID), user_id) && db_bool(res, 0, ROW_DONE);
	return rc;
}
