/*
 * mm_export_internal.h - what the files about an export unit share.
 */
#ifndef MM_EXPORT_INTERNAL_H
#define MM_EXPORT_INTERNAL_H

#include "mm_thread_internal.h"

struct mm_export {
	struct mm *mm;
	bool open;            /* the transaction */
	bool copying;
	bool alone;           /* no chat waits beside it */
	bool small;           /* beside the tables: index probes */
	bool same;            /* every thread is as the plan counted it */
	int64_t snapshot_ms;
	uint64_t end_xid;    /* the snapshot shows no transaction from here on */
	int64_t parts_before_ms; /* INT64_MIN: whole threads */
	int64_t min_root_ms, max_root_ms;
	uint64_t threads, posts;
	uint64_t planned;     /* posts, as the plan counted them */
	struct buf copy;
};

int mm_export_fill(struct mm_export *x, int64_t since_ms, struct err *err) MMR_CHECKED;
int mm_export_run(struct mm_export *x, const struct sql *sql, struct err *err) MMR_CHECKED;
/* Posts that rows of small tables may name: of a small unit all of them. */
int mm_export_few(struct mm_export *x, struct err *err) MMR_CHECKED;

#endif
