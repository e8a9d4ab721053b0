/*
 * mm_export_beside.c - a second session that finds and gives a part of a large unit's rows at full speed.
 *
 * Both see the same snapshot.  The second one takes the tables with many rows a post (reactions, memberships of threads), the first the others.  A
 * parallel plan does less for it: workers may not read a temporary table, and each hashes all posts of the unit for itself.
 */
#include <mmretain/mm.h>

#include "mm_export_internal.h"
#include "mm_sql.h"

static int look_for_copies(void *payload, struct err *err)
{
	struct export_look *l = payload;
	auto_mem void *ctx = mem_context(NULL, "lost copies");
	struct db_result *r;
	int rc = db_query(ctx, l->mm->db, &sql_export_lost, DB_ONE, 0, NULL, &r, err);

	l->done = rc == 0;
	l->lost = rc == 0 && db_bool(r, 0, 0);
	return rc;
}

int mm_export_shared(struct mm_export *x, struct err *err)
{
	int rc = x->busy ? mm_job_wait(&x->job, err) : 0;

	x->busy = false;
	return rc;
}

void mm_export_single(struct mm_export *x)
{
	struct err why;

	if (mm_export_shared(x, &why) < 0)
		log_debug("the second session: %s", why.msg);
	mm_beside_end(x->mm);
	x->twin = NULL;
}

static void begin_job(struct mm_export *x, mm_job_fn fn, void *payload)
{
	x->busy = true;
	mm_job_start(&x->job, fn, payload);
}

int mm_export_double(struct mm_export *x, struct err *err)
{
	struct err why;
	int rc;

	if (!x->alone || x->mm->beside)
		return 0;
	mm_beside_begin(x->mm, DB_EXPORT_SNAPSHOT);
	if ((rc = mm_twin(x->mm, &x->twin, err)) < 0 || !x->twin)
		return rc;
	if (mm_unit_room(x->twin, true, &why) < 0 || mm_unit_joins(x->twin, false, &why) < 0) {
		log_debug("no second session: %s", why.msg);
		mm_export_single(x);
		return 0;
	}
	x->look.mm = x->twin;
	if (!x->mm->no_lost_copies)
		begin_job(x, look_for_copies, &x->look);
	return 0;
}

/* Edit copies that name their thread only through their reply are rare, and looking for them costs: where there were none once, another number of
 * posts than the plan counted tells of new ones.  Where there are some the number tells nothing: a new reply may stand for a missing copy.
 * Nor does a plan tell whether there are any: its scan comes across rows of the rule's channels that are older than the cut-off. */
int mm_export_look(struct mm_export *x, bool *ret_lost, struct err *err)
{
	struct err why;
	int rc;

	*ret_lost = false;
	if (mm_export_shared(x, &why) < 0) {
		log_debug("the second session: %s", why.msg); /* it may have been ended */
		mm_export_single(x);
	}
	if (x->mm->no_lost_copies && x->posts == x->planned)
		return 0;
	x->look.mm = x->mm;
	if (!x->look.done && (rc = look_for_copies(&x->look, err)) < 0)
		return rc;
	*ret_lost = x->look.lost;
	x->mm->no_lost_copies = !*ret_lost;
	return 0;
}

/* The list of posts is numbered once: both sessions must mean the same by a place. */
static int give_posts(struct mm_export *x, struct err *err)
{
	int rc = db_query(x, x->twin->db, &sql_export_work_post, DB_NONE, 0, NULL, NULL, err);

	return rc < 0 ? rc : db_copy_across(x->mm->db, &sql_export_copy_out, x->twin->db, &sql_export_copy_in, err);
}

static int join_many(void *payload, struct err *err)
{
	static const char *const many[] = {"many", NULL};
	struct mm *twin = payload;
	int rc = db_query(twin, twin->db, &sql_export_analyze_post, DB_NONE, 0, NULL, NULL, err);

	return rc < 0 ? rc : mm_run_present(twin, &sql_export_dep, many, err);
}

int mm_export_share(struct mm_export *x, struct err *err)
{
	int rc = x->twin ? give_posts(x, err) : 0;

	if (x->twin && rc == 0)
		begin_job(x, join_many, x->twin);
	return rc;
}

int mm_export_drop_beside(struct mm_export *x, const char *threads, struct err *err)
{
	int rc = mm_export_shared(x, err);

	return rc < 0 || !x->twin ? rc : db_query(x, x->twin->db, &sql_export_drop_dep, DB_NONE, 1, &threads, NULL, err);
}
