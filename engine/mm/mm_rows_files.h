/*
 * mm_rows_files.h - bytes of attachments beside a scan in parts (thread_rows.sql, block split).
 */
#ifndef MM_ROWS_FILES_H
#define MM_ROWS_FILES_H

#include "mm_thread_internal.h"

struct mm_rows_files {
	struct mm *mm;
	struct mm_fold *to;
	/* threads of rows that were changed since the cut-off; one more than can be asked for: too many */
	struct db_array changed;
};
/* ctx: of the array. */
void mm_rows_files_init(struct mm_rows_files *f, void *ctx, struct mm *mm, struct mm_fold *to);
/* A row of the scan. */
void mm_rows_files_row(struct mm_rows_files *f, const char *thread, size_t len, bool changed);
/* Behind the last one: a part for each thread with files.  cut_ms: the cut-off, in digits. */
int mm_rows_files_fold(struct mm_rows_files *f, const char *cut_ms, struct err *err) MMR_CHECKED;

#endif
