/* run_restore.h - what the files about putting threads back share. */
#ifndef RUN_RESTORE_H
#define RUN_RESTORE_H

#include <mmretain/audit.h>
#include <mmretain/ledger.h>
#include <mmretain/run.h>

struct restore {
	void *ctx;
	const char *case_id;
	bool act;
	struct store *store;
	struct audit *audit;
	struct mm *mm;
	struct db *lock_db;
	struct ledger *ledger;      /* NULL: nothing is to be changed */
	struct run_restore_report *report; /* of single threads */
};
/* Database, lock, ledger, and all that must hold before anything is put back.  Errors as run_restore. */
int restore_open(struct restore *r, const struct policy *policy, struct err *err) MMR_CHECKED;
/* Is the channel in the database? */
int restore_channel(struct restore *r, const char *channel, bool *ret, struct err *err) MMR_CHECKED;

void restore_count(struct run_restored *ret, const struct purge_put_row *row);
/* After the last row: what threads says of it. */
int restore_count_again(struct restore *r, const struct audit_thread *t, const struct run_restored *ret,
			struct err *err) MMR_CHECKED;
/* Before the hold and the commit: the lock is still held, and the archive is where it was.  A hold in another place
 * would keep nothing from the next run. */
int restore_still_ours(struct restore *r, struct err *err) MMR_CHECKED;
int restore_commit(struct restore *r, struct err *err) MMR_CHECKED;

/* The content of the attachment with this row: put in its place, found there, or left out; counted in ret.  act false:
 * only looked. ERR_GUARD when other content is there, ERR_VERIFY for a path that is none, ERR_STORE.  Durable when it
 * returns 0. */
int run_restore_file(void *ctx, struct mm *mm, const struct audit_thread *t, const char *id, const char *path,
		     struct run_restored *ret, bool act, struct err *err) MMR_CHECKED;

/* ---- many threads (run_restore_all.c, run_restore_batch.c) ---- */

/* Small: a chat server is at work beside it, a crash costs little, and the server remembers 64 savepoints of a
 * transaction without a cost to others. */
enum { RESTORE_BATCH_THREADS = 60, RESTORE_BATCH_ROWS = 10000 };

struct restore_batch {
	struct restore *r;
	struct run_restore_all_report *report;
	const struct ledger_state *state;    /* holds, as they were before the first batch */
	const struct ledger_purged *purged;  /* of the bundle that is being read */
	struct run_back_bundle *bundle;
	struct purge_put *put;
	mm_id channel; bool channel_there;   /* the last one that was asked for */
	bool open;
	struct run_back_bundle sum;          /* of this batch alone, as are: */
	mm_id root[RESTORE_BATCH_THREADS]; size_t n_roots; /* for its line `restored` */
	mm_id hold[RESTORE_BATCH_THREADS]; size_t n_hold;
	struct run_back_bundle named;        /* sums of root */
};
/* One thread of the bundle, put, found there or left out; commits when the batch is full.  lines: of audit_walk_next.
 */
int restore_batch_thread(struct restore_batch *b, const struct audit_thread *t, const char *lines, size_t len,
			 struct err *err) MMR_CHECKED;
int restore_batch_end(struct restore_batch *b, struct err *err) MMR_CHECKED;
void restore_batch_drop(struct restore_batch *b);

#endif
