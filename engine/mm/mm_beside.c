/*
 * mm_beside.c - a second session that sees what the first one sees, so that a plan or an export asks two things at
 * once.
 *
 * The server works on one statement of a session at a time, and what probes indexes has no parallel plan.  The second
 * session is opened when there is enough to ask; a server that has none left is no reason not to go on.
 */
#include "mm_sql.h"
#include "mm_thread_internal.h"

struct mm_beside {
	struct mm twin;  /* the same but for its session */
	enum db_mode mode;
	bool tried;
};

/* A plan that takes all processors made the 99th percentile of a chat's answers 20 ms for as long as it took. */
int mm_snapshot_begin(struct mm *mm, bool alone, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "snapshot");
	struct db_result *res;
	int r = db_begin(mm->db, DB_READ_SNAPSHOT, err);

	if (r == 0 && alone)
		mm_beside_begin(mm, DB_READ_SNAPSHOT);
	else if (r == 0 && (r = db_query(ctx, mm->db, &sql_snapshot_no_workers, DB_ONE, 0, NULL, &res, err)) < 0)
		db_rollback(mm->db);
	return r;
}

void mm_beside_begin(struct mm *mm, enum db_mode mode)
{
	mm->beside = mem_new(mm, struct mm_beside);
	mm->beside->mode = mode;
}

void mm_beside_end(struct mm *mm)
{
	TALLOC_FREE(mm->beside); /* its session ends with it */
}

void mm_snapshot_end(struct mm *mm)
{
	mm_beside_end(mm);
	db_rollback(mm->db); /* read only: nothing to commit */
}

static int open_twin(struct mm_beside *b, struct mm *mm, struct err *err)
{
	struct db *db;
	struct err why;
	char *name;
	int r;

	b->tried = true;
	if (db_in_recovery(mm->db) || mm->no_second)
		return 0;
	if (db_open_again(b, mm->db, &db, &why) < 0) {
		mm->no_second = true; /* db_open_again has been patient: once a run */
		log_debug("no second session: %s", why.msg);
		return 0;
	}
	if ((r = db_snapshot_export(b, mm->db, &name, err)) < 0)
		return r;
	if (db_snapshot_begin(db, name, b->mode, &why) < 0) {
		log_debug("no second session: %s", why.msg);
		talloc_free(db);
		return 0;
	}
	b->twin = *mm;
	b->twin.beside = NULL;
	b->twin.db = db;
	return 0;
}

int mm_twin(struct mm *mm, struct mm **ret, struct err *err)
{
	struct mm_beside *b = mm->beside;
	int r = b && !b->tried ? open_twin(b, mm, err) : 0;

	/* Between two uses it is idle in a transaction, for longer than the server lets it be when the first has much
	 * to do alone. */
	if (b && b->twin.db && !db_alive(b->twin.db)) {
		log_debug("the second session was ended");
		TALLOC_FREE(b->twin.db);
	}
	*ret = b && b->twin.db ? &b->twin : NULL;
	return r;
}

static void *run_job(void *payload)
{
	struct mm_job *j = payload;

	j->rc = j->fn(j->payload, &j->err);
	return NULL;
}

void mm_job_start(struct mm_job *j, mm_job_fn fn, void *payload)
{
	*j = (struct mm_job){.fn = fn, .payload = payload};
	j->started = thread_start(&j->thread, run_job, j) == 0;
}

int mm_job_wait(struct mm_job *j, struct err *err)
{
	if (j->started)
		pthread_join(j->thread, NULL);
	else
		(void)run_job(j);
	if (j->rc < 0)
		*err = j->err;
	return j->rc;
}

int mm_both(mm_job_fn fn, void *here, void *beside, struct err *err)
{
	return mm_both_of(fn, here, fn, beside, err);
}

int mm_both_of(mm_job_fn fn_here, void *here, mm_job_fn fn_beside, void *beside, struct err *err)
{
	struct mm_job job;
	struct err ignored;
	int rc, other = 0;

	mm_job_start(&job, fn_beside, beside);
	rc = fn_here(here, err);
	if (rc == 0 || job.started)
		other = mm_job_wait(&job, rc == 0 ? err : &ignored);
	return rc < 0 ? rc : other;
}
