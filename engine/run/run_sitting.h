/* run_sitting.h - the rows of a sitting on their way from the snapshot into bundles. */
#ifndef RUN_SITTING_H
#define RUN_SITTING_H

#include "run_internal.h"

enum { SITTING_COLUMNS_MAX = 128 };

struct rows {
	struct sitting *s;
	struct spool *due;
	struct unit *u;               /* being written, or NULL */
	struct bundle_field field[SITTING_COLUMNS_MAX];
	int root_column, channel_column, create_column, pin_column, delete_column, file_id_column, file_path_column;
	mm_id root;                   /* of the thread being written */
	uint64_t current;             /* thread, UINT64_MAX before the first */
	size_t group, cut;
	uint64_t paced_bytes;
	int64_t work_from_us, debt_us;
	int64_t waited_us;            /* for a processor, when the work began */
	int64_t window_ran_us, window_waited_us; /* since when it is judged */
	int64_t wait_left_ms;         /* for replicas and the server, in this snapshot */
};

/* ---- run_sitting_pace.c ---- */
/* Work begins now, or goes on after a rest. */
void sitting_begin_work(struct rows *r);
/* After each row: rests, and waits for replicas and the server, when enough was written since the last time.  The
 * sitting may have to end with the thread that is being written (s->leave). */
int sitting_pace(struct rows *r, struct err *err) MMR_CHECKED;

#endif
