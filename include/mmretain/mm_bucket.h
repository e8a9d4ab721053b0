/*
 * mm_bucket.h - floor 2: the server's attachments in an S3-compatible bucket.
 *
 * For: looking at what lies at a path, reading it, removing it, putting it back.
 * Not for: which attachments (plan, purge, people, run).
 * Includes: base, store, mm.  Part of the mm room; a header of its own because only who reaches for attachments needs
 * it.
 *
 * All calls need mm->bucket, and may come from any thread: they wait for each other.  A path is that of a row; one that
 * is no plain path below the bucket's prefix is ERR_STORE and nothing is asked.  Errors have a sys_errno as those of a
 * folder have: ENOENT (nothing there), EACCES (the keys may not), EINVAL (no such path), ENXIO (nothing there, nor
 * anywhere else below the prefix), ENODATA (no ETag or time), else EIO; ERR_INTERRUPTED and ERR_WORK_LEFT end the work,
 * not the attachment.  After three failures in a row, or a look that hung, the bucket is asked no more: every further
 * call fails at once.  No message holds a path.
 */
#ifndef MMRETAIN_MM_BUCKET_H
#define MMRETAIN_MM_BUCKET_H

#include <mmretain/mm.h>

/* What an object is, as the bucket says: by that it is known again. */
#define MM_ETAG 96
struct mm_bucket_seen { int64_t bytes, mtime_ns; char etag[MM_ETAG]; };
/* 1; 0: nothing lies there, in a bucket that has something; negative: that cannot be told. */
int mm_bucket_see(struct mm *mm, const char *path, struct mm_bucket_seen *ret, struct err *err) MMR_CHECKED;
/* Its content in an unnamed file of the work folder, at its beginning; close it.  As long as the bucket says, or it is
 * an error. */
int mm_bucket_open(struct mm *mm, const char *path, int *ret_fd, struct err *err) MMR_CHECKED;
/* 0: a second request said that it is gone.  In a bucket that keeps versions what was there is still a version of it
 * (mm_bucket_keeps_versions, after the first removal). */
int mm_bucket_remove(struct mm *mm, const char *path, struct err *err) MMR_CHECKED;
bool mm_bucket_keeps_versions(const struct mm *mm);
/* What fd holds from its beginning, never over anything else: *ret_sent: it was not there.  ERR_VERIFY: something else
 * is.  act false: only looked. */
int mm_bucket_put(struct mm *mm, const char *path, int fd, uint64_t bytes, const struct digest *sum, bool act,
		  bool *ret_sent, struct err *err) MMR_CHECKED;
/* Is anything below the prefix?  1: nothing, mostly another bucket than the server's; 0; negative: it cannot be listed,
 * and a bucket that is not there looks like one whose objects are gone. */
int mm_bucket_is_empty(struct mm *mm, struct err *err) MMR_CHECKED;
/* From now on calls end at that time of time_boot_ms with ERR_WORK_LEFT; 0: never. */
void mm_bucket_until(struct mm *mm, int64_t deadline_boot_ms);

#endif
