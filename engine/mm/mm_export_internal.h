/*
 * mm_export_internal.h - what the files about an export unit share.
 */
#ifndef MM_EXPORT_INTERNAL_H
#define MM_EXPORT_INTERNAL_H

#include "mm_thread_internal.h"

struct mm_export {
	struct mm *mm;
	struct mm *twin;      /* the second session, which has the tables with many rows a post, or NULL */
	bool open;            /* the transaction */
	bool alone;           /* no chat waits beside it */
	bool stoppable;       /* between two statements */
	bool small;           /* beside the tables: index probes */
	bool same;            /* every thread is as the plan counted it */
	bool ids_sound;       /* of its posts, for sure */
	int64_t snapshot_ms;
	uint64_t end_xid;    /* the snapshot shows no transaction from here on */
	int64_t parts_before_ms; /* INT64_MIN: whole threads */
	int64_t min_root_ms, max_root_ms;
	uint64_t threads, posts;
	uint64_t planned;     /* posts, as the plan counted them */
	struct buf copy;
	struct mm_job job;    /* what the second session does */
	bool busy;            /* the job was begun, and not waited for */
	void *many_ctx;       /* of the second session's cursors, which its job opens */
	struct db_cursor *many[MM_KINDS];
	_Atomic bool wanted;  /* the second session is: the job ends */
	uint64_t rows;        /* read at full speed */
	int64_t awake_ms;     /* when the sessions were last given a word, between jobs */
	struct export_look { struct mm *mm; bool done, lost; } look;
};

int mm_export_fill(struct mm_export *x, int64_t since_ms, struct err *err) MMR_CHECKED;
int mm_export_run(struct mm_export *x, const struct sql *sql, struct err *err) MMR_CHECKED;
/* Before each statement that may take long: one that begins after a stop request is not cancelled. */
int mm_export_stop(const struct mm_export *x, struct err *err) MMR_CHECKED;
/* Posts that rows of small tables may name: of a small unit all of them. */
int mm_export_few(struct mm_export *x, struct err *err) MMR_CHECKED;

/* ---- mm_export_beside.c ---- */
/* x->twin, where no chat waits beside the export and the server has a session left.  It begins to look for lost copies.
 */
int mm_export_double(struct mm_export *x, struct err *err) MMR_CHECKED;
/* Are there edit copies that name their thread only through their reply?  What the second session says, else this one
 * is asked. */
int mm_export_look(struct mm_export *x, bool *ret_lost, struct err *err) MMR_CHECKED;
/* Goes on without the second session: before mm_export_share, or at the end.  What it does is cancelled. */
void mm_export_single(struct mm_export *x);
/* Gives the second session, if any, the list of posts; it joins its tables.  mm_export_shared waits for that. */
int mm_export_share(struct mm_export *x, struct err *err) MMR_CHECKED;
int mm_export_shared(struct mm_export *x, struct err *err) MMR_CHECKED;
/* Opens the second session's cursors and asks for their first pages: it sorts while the first one still has to look at
 * files and small tables. */
int mm_export_open_many(struct mm_export *x, struct err *err) MMR_CHECKED;
/* While rows are read, once a row: pages of the second session may be wanted rarely, and a page of the first may last
 * for several bundles.  A failure shows when one is wanted. */
void mm_export_awake(struct mm_export *x);
/* threads: bigint[] */
int mm_export_drop_beside(struct mm_export *x, const char *threads, struct err *err) MMR_CHECKED;

#endif
