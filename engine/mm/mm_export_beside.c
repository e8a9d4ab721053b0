/*
 * mm_export_beside.c - a second session that finds and gives a part of a large unit's rows at full speed.
 *
 * Both see the same snapshot.  The second one takes the tables with many rows a post (reactions, memberships of
 * threads), the first the others.  A parallel plan does less for it: workers may not read a temporary table, and each
 * hashes all posts of the unit for itself.
 */
#include <mmretain/mm.h>

#include <string.h>

#include "mm_export_internal.h"
#include "mm_internal.h"
#include "mm_sql.h"

enum { AWAKE_MS = 1000, AWAKE_LOOK_MS = 2, AWAKE_ROWS = 200 };

/* The first may have more to do than the second, for longer than the server lets a session idle in a transaction.  On a
 * busy host a sleep takes longer than it says, so that sleeps must not be counted for time. */
static int stay_awake(struct mm_export *x, struct err *err)
{
	int64_t from_ms = time_mono_ms();
	int rc = 0;

	while (rc == 0 && !x->wanted && !stop_requested()) {
		time_sleep_ms(AWAKE_LOOK_MS);
		if (time_mono_ms() - from_ms >= AWAKE_MS) {
			rc = db_awake(x->twin->db, err);
			from_ms = time_mono_ms();
		}
	}
	return rc;
}

static int look_for_copies(struct export_look *l, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "lost copies");
	struct db_result *r;
	int rc = db_query(ctx, l->mm->db, &sql_export_lost, DB_ONE, 0, NULL, &r, err);

	l->done = rc == 0;
	l->lost = rc == 0 && db_bool(r, 0, 0);
	return rc;
}

static int look_beside(void *payload, struct err *err)
{
	struct mm_export *x = payload;
	int rc = look_for_copies(&x->look, err);

	return rc < 0 ? rc : stay_awake(x, err);
}

static int join_many(void *payload, struct err *err)
{
	static const char *const many[] = {"many", NULL};
	struct mm_export *x = payload;
	int rc = db_query(x->twin, x->twin->db, &sql_export_analyze_post, DB_NONE, 0, NULL, NULL, err);

	if (rc < 0 || (rc = mm_export_stop(x, err)) < 0 ||
	    (rc = mm_run_present(x->twin, &sql_export_dep, many, err)) < 0 || (rc = mm_export_open_many(x, err)) < 0)
		return rc;
	return stay_awake(x, err);
}

static int open_many(void *payload, struct err *err)
{
	int rc = mm_export_open_many(payload, err);

	return rc < 0 ? rc : stay_awake(payload, err);
}

static int only_awake(void *payload, struct err *err)
{
	return stay_awake(payload, err);
}

static void begin_job(struct mm_export *x, mm_job_fn fn)
{
	x->busy = true;
	x->wanted = false;
	mm_job_start(&x->job, fn, x);
}

int mm_export_shared(struct mm_export *x, struct err *err)
{
	int rc;

	x->wanted = true;
	rc = x->busy ? mm_job_wait(&x->job, err) : 0;
	x->busy = false;
	x->awake_ms = time_mono_ms();
	return rc;
}

void mm_export_single(struct mm_export *x)
{
	struct err why;

	if (x->twin)
		db_give_up(x->twin->db); /* of a job, or of pages that nobody wants */
	if (x->busy && x->job.started && mm_export_shared(x, &why) < 0)
		log_debug("the second session: %s", why.msg);
	x->busy = false;
	TALLOC_FREE(x->many_ctx); /* before the session that they are of */
	memset(x->many, 0, sizeof x->many);
	mm_beside_end(x->mm);
	x->twin = NULL;
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
	db_cursor_beside(x->twin->db, true);
	x->look.mm = x->twin;
	begin_job(x, x->mm->no_lost_copies ? only_awake : look_beside);
	return 0;
}

/* Before it has a part of the work: it may have been ended. */
static void keep_or_leave(struct mm_export *x)
{
	struct err why;

	if (mm_export_shared(x, &why) == 0)
		return;
	log_debug("the second session: %s", why.msg);
	mm_export_single(x);
}

/* Edit copies that name their thread only through their reply are rare, and looking for them costs: where there were
 * none once, another number of posts than the plan counted tells of new ones.  Where there are some the number tells
 * nothing: a new reply may stand for a missing copy. Nor does a plan tell whether there are any: its scan comes across
 * rows of the rule's channels that are older than the cut-off. */
int mm_export_look(struct mm_export *x, bool *ret_lost, struct err *err)
{
	int rc;

	*ret_lost = false;
	keep_or_leave(x);
	if (x->twin)
		begin_job(x, only_awake);
	if (x->mm->no_lost_copies && x->posts == x->planned)
		return 0;
	x->look.mm = x->mm;
	if ((rc = mm_export_stop(x, err)) < 0 || (!x->look.done && (rc = look_for_copies(&x->look, err)) < 0))
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

int mm_export_share(struct mm_export *x, struct err *err)
{
	int rc = mm_export_stop(x, err);

	keep_or_leave(x);
	if (x->twin && rc == 0 && (rc = give_posts(x, err)) == 0) {
		x->many_ctx = mem_context(NULL, "cursors of the second session");
		begin_job(x, join_many);
	}
	return rc;
}

void mm_export_awake(struct mm_export *x)
{
	struct mm *session[] = {x->mm, x->twin};
	struct err why;

	if (!x->alone || ++x->rows % AWAKE_ROWS != 0 || time_mono_ms() - x->awake_ms < AWAKE_MS)
		return;
	x->awake_ms = time_mono_ms();
	for (size_t i = 0; i < ARRAY_LEN(session); i++)
		if (session[i] && db_awake(session[i]->db, &why) < 0)
			log_debug("a session of the export: %s", why.msg);
}

/* A question waits for the page that is under way: those of the first session follow each other, of the second they are
 * few.  When that one was ended, or a page of its own has failed, the cause shows when the page is wanted; names are
 * asked of the first then, some of them once more. */
int mm_export_names(struct mm_export *x, const char *what, const char *const *ids, size_t n, db_row_fn fn,
		    void *payload, struct err *err)
{
	struct err why;
	int rc = x->twin && !x->busy ? mm_names(x->twin, what, ids, n, fn, payload, &why) : -ERR_DB_GONE;

	if (rc == -ERR_INTERRUPTED)
		*err = why;
	return rc == 0 || rc == -ERR_INTERRUPTED ? rc : mm_names(x->mm, what, ids, n, fn, payload, err);
}

int mm_export_people(struct mm_export *x, int n, db_row_fn fn, void *payload, struct err *err)
{
	return x->twin ? mm_names_of_any(x->mm, n, fn, payload, err) : 0;
}

/* A cursor shows what was there when it was opened. */
static int close_many(struct mm_export *x, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < MM_KINDS && rc == 0; i++)
		if (x->many[i]) {
			rc = db_cursor_close(x->many[i], err);
			x->many[i] = NULL;
		}
	return rc;
}

int mm_export_drop_beside(struct mm_export *x, const char *threads, struct err *err)
{
	int rc = mm_export_shared(x, err);

	if (rc < 0 || !x->twin || (rc = close_many(x, err)) < 0 ||
	    (rc = db_query(x, x->twin->db, &sql_export_drop_dep, DB_NONE, 1, &threads, NULL, err)) < 0)
		return rc;
	begin_job(x, open_many);
	return 0;
}
