/*
 * purge_locked.c - threads that somebody else holds a lock on.
 *
 * Only when a batch has failed twice: the rest of it need not wait for another night because of one thread.
 */
#include "purge_internal.h"

#include <string.h>

struct unlocked { struct purge_index index; bool *free; };

static int on_free(void *payload, const struct db_row *row, struct err *err)
{
	struct unlocked *u = payload;
	const struct purge_post *p = purge_index_find(&u->index, row->value[0]);

	(void)err;
	for (; p && p < u->index.post + u->index.n && strcmp(p->id, row->value[0]) == 0; p++)
		u->free[p->row] = true;
	return 0;
}

int purge_mark_locked(struct mm *mm, struct purge_batch *b, struct err *err)
{
	struct unlocked u = {.free = mem_array(b->ctx, bool, b->n_rows + 1)};
	struct db_array ids;
	const char *param;
	int rc;

	purge_index_build(b->ctx, b, &u.index);
	db_array_init(&ids, b->ctx);
	for (size_t i = 0; i < b->n_rows; i++)
		if (b->row[i].kind == MM_POST)
			db_array_add(&ids, b->row[i].key, strlen(b->row[i].key));
	param = db_array_text(&ids);
	if ((rc = db_begin(mm->db, DB_READ_COMMITTED, err)) == 0)
		rc = db_stream(mm->db, &sql_purge_unlocked, 1, &param, on_free, &u, err);
	db_rollback(mm->db); /* the locks were only a question */
	/* A role that may delete need not be allowed to lock (that asks for UPDATE): then nothing of the batch is known
	 * to be free. */
	if (rc == -ERR_PERMISSION) {
		err_clear(err);
		rc = 0;
	}
	for (size_t i = 0; rc == 0 && i < b->n_threads; i++)
		for (size_t j = b->thread[i].row; j < b->thread[i].row + b->thread[i].n_rows; j++)
			if (!b->thread[i].why && b->row[j].kind == MM_POST && !u.free[j])
				b->thread[i].why = PURGE_LOCKED;
	return rc;
}

int purge_barrier(struct mm *mm, struct err *err)
{
	struct db_result *r;
	int rc = db_begin(mm->db, DB_READ_COMMITTED, err);

	if (rc == 0 && (rc = db_query(mm, mm->db, &sql_purge_barrier, DB_ONE, 0, NULL, &r, err)) == 0)
		talloc_free(r);
	if (rc == 0)
		/* tells, as a statement of its own would not, that a synchronous standby has it too */
		rc = db_commit(mm->db, err);
	if (rc < 0)
		db_rollback(mm->db);
	return rc;
}

int purge_set_wait(struct db *db, const char *time, struct err *err)
{
	struct db_result *r;
	int rc = db_query(db, db, &sql_purge_wait, DB_ONE, 1, &time, &r, err);

	if (rc == 0)
		talloc_free(r);
	return rc;
}
