/* mm_identify.c - what a file, or an object in a bucket, is now: for the journal, so that nothing else is removed in
 * its place. */
#include <errno.h>
#include <sys/stat.h>

#include <mmretain/mm_bucket.h>
#include <mmretain/mm_unlink.h>

static int identify_object(void *ctx, struct mm *mm, struct mm_journal_entry *e, struct err *err)
{
	struct mm_bucket_seen seen;
	int rc = e->path[0][0] ? mm_bucket_see(mm, e->path[0], &seen, err) : 0;

	if (rc < 0 && err->sys_errno == EINVAL) { /* no path of an object, now or ever */
		err_clear(err);
		return 0;
	}
	if (rc != 1)
		return rc;
	e->identified = true;
	e->etag = mem_strdup(ctx, seen.etag);
	e->bytes = seen.bytes;
	e->mtime_ns = seen.mtime_ns;
	return 0;
}

void mm_journal_identify_file(const struct mm *mm, struct mm_journal_entry *e)
{
	struct err ignored;
	struct stat st;
	auto_fd int fd = -1;

	e->identified = false;
	if (mm->data_dirfd < 0 || !e->path[0][0] || file_open_beneath(mm->data_dirfd, e->path[0], &fd, &ignored) < 0 ||
	    fstat(fd, &st) != 0)
		return;
	e->identified = true;
	e->ino = (uint64_t)st.st_ino;
	e->bytes = st.st_size;
	e->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
}

int mm_journal_identify(void *ctx, struct mm *mm, struct mm_journal_entry *e, struct err *err)
{
	e->identified = false;
	if (mm->bucket)
		return identify_object(ctx, mm, e, err);
	mm_journal_identify_file(mm, e);
	return 0;
}
