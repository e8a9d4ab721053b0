/*
 * people_run.c - all due accounts of a plan, one after the other, and the report.
 */
#include "people_internal.h"

#include <string.h>

enum { MENTIONS_LISTED = 1000 };

static void take_users(struct people_report *r, const struct people_plan *plan)
{
	r->user = mem_array(r, struct people_user, (unsigned)plan->n_users + 1);
	for (size_t i = 0; i < plan->n_users; i++)
		if (plan->user[i].verdict == PEOPLE_DUE)
			r->user[r->n_users++] = plan->user[i];
}

/* ---- what stays and should be known ---- */

int people_integrations(void *ctx, struct mm_people *p, const char *user_id, struct people_integration **list,
			size_t *n, struct err *err)
{
	auto_mem void *tmp = mem_context(NULL, "people integrations");
	struct db_result *res = NULL;
	int rc;

	if (!p->integrations)
		return 0;
	rc = db_query(tmp, p->mm->db, &sql_people_integrations, DB_ANY, 1, &user_id, &res, err);
	for (int64_t i = 0; rc == 0 && i < db_rows(res); i++) {
		struct people_integration *to;

		*list = mem_grow(ctx, *list, struct people_integration, (unsigned)*n + 1);
		to = &(*list)[(*n)++];
		*to = (struct people_integration){.kind = mem_strdup(ctx, db_text(res, i, 0)),
						  .id = mem_strdup(ctx, db_text(res, i, 1)),
						  .name = mem_strdup(ctx, db_text(res, i, 2))};
		snprintf(to->owner, sizeof(to->owner), "%s", user_id);
	}
	return rc;
}

static bool is_plain_name(const char *name)
{
	return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

/* Texts are never rewritten: with a pseudonym they still carry the old name, and the institute should know where. */
static int mentions(struct mm_people *p, struct people_report *r, const struct people_user *u,
		    const struct people_options *o, struct err *err)
{
	auto_mem void *tmp = mem_context(NULL, "people mentions");
	char most[16], now[32];
	const char *param[] = {u->username, most};
	struct people_mention *m;
	struct db_result *res = NULL;
	int rc;

	if (!is_plain_name(u->username)) {
		people_note(r, "posts that mention the former name of %s could not be looked up", u->id);
		return 0;
	}
	snprintf(most, sizeof(most), "%d", MENTIONS_LISTED + 1);
	rc = db_query(tmp, p->mm->db, &sql_people_mentions, DB_ANY, 2, param, &res, err);
	if (rc < 0)
		return rc;
	r->mention = mem_grow(r, r->mention, struct people_mention, (unsigned)r->n_mentions + 1);
	m = &r->mention[r->n_mentions++];
	people_pseudonym(o->key, o->key_len, u->id, now);
	*m = (struct people_mention){.now = mem_strdup(r, now), .more = db_rows(res) > MENTIONS_LISTED};
	memcpy(m->user, u->id, sizeof(m->user));
	m->n_posts = (size_t)(m->more ? MENTIONS_LISTED : db_rows(res));
	m->post = mem_array(r, char *, (unsigned)m->n_posts + 1);
	for (size_t i = 0; i < m->n_posts; i++)
		m->post[i] = mem_strdup(r, db_text(res, (int64_t)i, 0));
	return 0;
}

/* ---- one after the other ---- */

/* What concerns only this account; anything else ends the run. */
static bool is_of_one(int rc, const struct err *err, enum people_verdict *ret)
{
	static const char foreign_key[] = "23503"; /* of a table of somebody else, which points at this account */

	bool journal = rc == -ERR_GUARD; /* is of another database: only who has files for it waits */
	/* does not say what lies at the paths of those files */
	bool bucket = rc == -ERR_STORE && *ret == PEOPLE_FAILED;

	if (rc == -ERR_DB_BUSY)
		*ret = PEOPLE_LOCKED;
	else if (journal || bucket || rc == -ERR_DATABASE || !strcmp(err->sqlstate, foreign_key))
		*ret = PEOPLE_FAILED;
	else
		return false;
	return true;
}

static int one(const struct people_guards *g, const struct policy *policy, struct people_report *r,
	       struct people_user *u, const struct people_options *o, struct err *err)
{
	struct mm_people *p = g->p;
	int rc = people_reduce(g, policy, u, o, &r->total, err);

	if (rc < 0 && is_of_one(rc, err, &u->verdict)) {
		people_note(r, "%s: %s%s%s", u->id, err->msg, err->hint[0] ? ". " : "", err->hint);
		r->failed++;
		return 0;
	}
	r->done += u->verdict == PEOPLE_DONE;
	r->changed += u->verdict != PEOPLE_DONE && u->verdict != PEOPLE_DUE;
	if (rc == 0 && u->verdict == PEOPLE_DONE)
		rc = people_integrations(r, p, u->id, &r->integration, &r->n_integrations, err);
	if (rc == 0 && u->verdict == PEOPLE_DONE && policy->people.names == NAMES_PSEUDONYM)
		rc = mentions(p, r, u, o, err);
	return rc;
}

static int may_go_on(const struct people_options *o, struct err *err)
{
	int rc = stop_check(err);

	if (rc == 0 && o->lock_db)
		rc = db_lock_check(o->lock_db, o->lock_key, err);
	if (rc == 0 && o->deadline_boot_ms && time_boot_ms() >= o->deadline_boot_ms)
		rc = err_set(err, ERR_WORK_LEFT, "time budget used up; the other departed users are left for the next "
						 "run");
	return rc;
}

static int all(struct mm_people *p, const struct policy *policy, struct people_report *r,
	       const struct people_options *o, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "people guards");
	struct people_guards *g = NULL;
	int rc = r->n_users ? people_guards_read(ctx, policy, p, &g, err) : 0;

	for (size_t i = 0; rc == 0 && i < r->n_users; i++) {
		progress_update(o->progress, "depersonalise", i, r->n_users, "accounts");
		rc = may_go_on(o, err);
		if (rc == 0)
			rc = one(g, policy, r, &r->user[i], o, err);
	}
	return rc;
}

static int check(struct mm_people *p, const struct policy *policy, const struct people_options *o, struct err *err)
{
	unsigned choices = people_choices(&policy->people);
	int rc = mm_people_ready(p, err);

	if (rc == 0)
		rc = mm_people_grants(p, choices, err);
	if (rc == 0 && (choices & MM_CHOICE_NAMES) && !o->key_len) {
		rc = err_set(err, ERR_KEY, "pseudonyms need the secret of the archive");
		err_hint(err, "Run with the archive's store; nobody was depersonalised.");
	}
	return rc;
}

int people_grant_script(const struct policy *policy, struct mm *mm, const char *role, struct buf *out, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people grants");
	struct mm_people *p = NULL;
	int rc;

	if (!policy->people.present)
		return 0;
	rc = mm_people_probe(ctx, mm, &p, err);
	return rc < 0 ? rc : mm_people_grant_script(p, people_choices(&policy->people), role, out, err);
}

int people_run(void *ctx, const struct policy *policy, struct mm *mm, const struct people_plan *plan,
	       const struct people_options *options, struct people_report **ret, struct err *err)
{
	struct people_report *r = mem_new(ctx, struct people_report);
	struct mm_people *p = NULL;
	int rc;

	r->total = people_counts_new(r);
	*ret = r;
	take_users(r, plan);
	if (!policy->people.present)
		return 0;
	rc = mm_people_probe(r, mm, &p, err);
	if (rc == 0 && r->n_users)
		rc = check(p, policy, options, err);
	if (rc == 0)
		rc = all(p, policy, r, options, err);
	if (rc == 0 || err_ends_work(rc)) {
		struct err own;
		int end = people_finish(p, options, &r->total, r, rc == 0 ? err : &own);

		if (rc == 0)
			rc = end;
	}
	if (rc == 0 && (r->failed || r->changed || r->total.files_left || r->total.pictures_left)) {
		rc = err_set(err, ERR_KEPT, "done, but some accounts or files of departed users were kept back");
		err_hint(err, "The report names them; the next run tries those again that may still go.");
	}
	return rc;
}
