/*
 * bundle_publish.c - from a file in partial/ to a bundle that may be relied upon, and the receipt that says so.
 *
 * This is the only file that makes a receipt, and it makes one only after reading every byte back.
 */
#include "bundle_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READ_BACK_WORKERS 1 /* as many as the export has: the host serves others too */

struct receipt {
	int dirfd;               /* rel_path is below it; partial/ of a waiver, else the archive root */
	char *rel_path, *bundle, *because;
	struct bundle_check sum;
	uint64_t file_bytes;
	bool waived;
};

const char *receipt_bundle(const struct receipt *r) { return r->waived ? "" : r->bundle; }
const char *receipt_rel_path(const struct receipt *r) { return r->waived ? "" : r->rel_path; }
const struct digest *receipt_rows_digest(const struct receipt *r) { return &r->sum.rows_digest; }
const struct digest *receipt_file_digest(const struct receipt *r) { return &r->sum.file_digest; }
uint64_t receipt_threads(const struct receipt *r) { return r->sum.threads; }
uint64_t receipt_rows(const struct receipt *r) { return r->sum.rows; }
uint64_t receipt_posts(const struct receipt *r) { return r->sum.posts; }
uint64_t receipt_file_bytes(const struct receipt *r) { return r->file_bytes; }
uint64_t receipt_blobs(const struct receipt *r) { return r->sum.blobs; }
bool receipt_waived(const struct receipt *r) { return r->waived; }
const char *receipt_because(const struct receipt *r) { return r->because; }

static int receipt_free(struct receipt *r)
{
	fd_close_p(&r->dirfd);
	return 0;
}

static int receipt_new(void *ctx, int dirfd, const char *rel_path, const char *because, const struct bundle_check *sum,
		       uint64_t bytes, struct receipt **ret, struct err *err)
{
	struct receipt *r = mem_new(ctx, struct receipt);
	const char *base = strrchr(rel_path, '/');

	r->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	talloc_set_destructor(r, receipt_free);
	if (r->dirfd < 0) {
		int rc = err_sys(err, ERR_STORE, errno, "cannot keep the folder of \"%s\" open", rel_path);
		talloc_free(r);
		return rc;
	}
	r->rel_path = mem_strdup(r, rel_path);
	r->bundle = mem_strdup(r, base ? base + 1 : rel_path);
	r->because = mem_strdup(r, because ? because : "");
	r->waived = because != NULL;
	r->sum = *sum;
	r->file_bytes = bytes;
	*ret = r;
	return 0;
}

static const char put_back[] = "Put it back from a copy of the archive and run again; the rows that are still in the "
			       "database stay there until then. When it is lost for good, `mmretain abandon` ends "
			       "that.";

/* A bundle that somebody relies on: that there is none is no plain "not found". */
static int missing(const char *rel_path, struct err *err)
{
	err_set(err, ERR_STORE, "bundle \"%s\" is not in its place any more", rel_path);
	return err_hint(err, put_back);
}

static int changed(const struct receipt *r, struct err *err)
{
	err_set(err, ERR_VERIFY, "bundle \"%s\" is not the file that was read back any more", r->rel_path);
	return err_hint(err, put_back);
}

int bundle_open_receipt(void *ctx, const struct receipt *r, struct bundle_reader **ret, struct err *err)
{
	char hex[DIGEST_HEX + 1];
	int rc = bundle_open(ctx, r->dirfd, r->rel_path, ret, err);

	if (rc)
		return rc == -ERR_NOT_FOUND		  ? missing(r->rel_path, err)
		       : rc == -ERR_VERIFY && !*err->hint ? err_hint(err, put_back)
							  : rc;
	digest_hex(&r->sum.rows_digest, hex);
	if ((*ret)->size == r->file_bytes && strcmp((*ret)->trailer.rows_hex, hex) == 0)
		return 0;
	talloc_free(*ret);
	*ret = NULL;
	return changed(r, err);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int bundle_in_place(const struct receipt *r, const struct bundle_reader *reader, struct err *err)
{
	struct stat open, there;

	if (fstat(reader->fd, &open) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at bundle \"%s\"", r->rel_path);
	if (fstatat(r->dirfd, r->rel_path, &there, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? missing(r->rel_path, err)
				       : err_sys(err, ERR_STORE, errno, "cannot look at bundle \"%s\"", r->rel_path);
	if (same_file(&open, &there) && (uint64_t)open.st_size == r->file_bytes &&
	    open.st_mtim.tv_sec == reader->mtime.tv_sec && open.st_mtim.tv_nsec == reader->mtime.tv_nsec)
		return 0;
	return changed(r, err);
}

/* ---- read back ---- */

static int open_fresh(int dirfd, const char *rel_path, int *ret_fd, uint64_t *ret_bytes, struct err *err)
{
	struct stat st;
	int rc = open_bundle_file(dirfd, rel_path, ret_fd, err);

	if (rc)
		return rc;
	if (fstat(*ret_fd, &st) != 0) {
		rc = err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", rel_path);
		fd_close_p(ret_fd);
		return rc;
	}
	*ret_bytes = (uint64_t)st.st_size;
	/* The pages are clean after fdatasync and can be dropped: what is read now comes from the disk where the kernel
	 * obeys. */
	(void)posix_fadvise(*ret_fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static const char *difference(const struct bundle_check *a, const struct bundle_check *b)
{
	if (memcmp(&a->rows_digest, &b->rows_digest, sizeof(a->rows_digest)) != 0)
		return "the rows read back are not the rows that were written";
	if (a->rows != b->rows || a->posts != b->posts || a->threads != b->threads || a->raw_bytes != b->raw_bytes ||
	    a->erased != b->erased || a->generation != b->generation)
		return "the rows read back have other counts than were written";
	if (a->blobs != b->blobs)
		return "another number of attachments was read back than was written";
	if (a->frames != b->frames || memcmp(&a->file_digest, &b->file_digest, sizeof(a->file_digest)) != 0)
		return "the bytes read back are not the bytes that were written";
	return NULL;
}

/* Set the broken file aside for whoever looks into it; recovery clears it away at the next start. */
static void set_aside(struct bundle_writer *w)
{
	char *to = mem_printf(w, "%.*s.bad", (int)(strlen(w->part_name) - strlen(".part")), w->part_name);

	/* Ignoring a failure: the name does not matter, the file is not an archive either way. */
	(void)renameat(w->partial_dirfd, w->part_name, w->partial_dirfd, to);
	talloc_free(to);
}

int writer_read_back(struct bundle_writer *w, uint64_t *ret_bytes, struct err *err)
{
	struct bundle_check found = {0};
	int fd = -1;

	if (w->state != WRITER_FINISHED) {
		int rc = writer_check(w, err);
		return rc ? rc : err_set(err, ERR_INTERNAL, "bundle \"%s\" is not finished", w->identity);
	}
	int rc = open_fresh(w->partial_dirfd, w->part_name, &fd, ret_bytes, err);
	if (!rc)
		rc = check_file(fd, w->part_name, NULL, READ_BACK_WORKERS, &found, NULL, err);
	const char *wrong = rc ? NULL : difference(&found, &w->sum);
	if (wrong)
		rc = err_set(err, ERR_VERIFY, "\"%s\" is damaged: %s", w->part_name, wrong);
	if (rc == -ERR_VERIFY) {
		set_aside(w);
		err_hint(err, "Nothing was deleted. The file is kept as partial/*.bad until the next run; check disk "
			      "and memory of this host.");
	}
	return rc ? writer_fail(w, err) : 0;
}

/* ---- publish ---- */

static char *month_folder(void *ctx, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	return mem_printf(ctx, "bundles/%04d/%02d", tm.tm_year + 1900, tm.tm_mon + 1);
}

static const char unsettled[] = "Nothing was deleted. If the bundle is in bundles/ already, the next run settles it.";

static int publish_rename(struct bundle_writer *w, int dirfd, const char *name, struct err *err)
{
	int fault = fault_hit(FAULT_BUNDLE_BEFORE_RENAME), rc;

	/* A crash just before leaves a verified file in partial/ (recovery removes it) and all rows in the database.  A
	 * crash just after leaves a bundle without a ledger line: recovery verifies it and either adopts or reports it.
	 * Never overwrites. */
	if (fault)
		rc = err_sys(err, ERR_STORE, fault, "cannot publish \"%s\"", name);
	else
		rc = file_publish(w->partial_dirfd, w->part_name, dirfd, name, err);
	if (rc)
		return err_hint(err, "%s", unsettled);
	w->state = WRITER_PUBLISHED;
	fault = fault_hit(FAULT_BUNDLE_AFTER_RENAME);
	if (!fault)
		return 0;
	err_sys(err, ERR_STORE, fault, "cannot go on after publishing \"%s\"", name);
	return err_hint(err, "%s", unsettled);
}

/* A run that was killed may have made some of the folders above, and not come to make them durable; once for the
 * bundles of a crew. */
static int publish_folder(struct bundle_crew *c, int root_dirfd, const char *folder, struct err *err)
{
	int rc = file_make_dirs(root_dirfd, folder, err);

	if (rc || crew_has_settled(c, folder))
		return rc;
	if (!(rc = file_sync_above(root_dirfd, folder, err)))
		crew_settled(c, folder);
	return rc;
}

static int publish_into(struct bundle_writer *w, int root_dirfd, const char *folder, const char *name, struct err *err)
{
	auto_fd int dirfd = -1;
	int rc = publish_folder(ring_crew(w->ring), root_dirfd, folder, err);

	if (rc)
		return rc;
	dirfd = openat(root_dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dirfd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot open \"%s\"", folder);
	return publish_rename(w, dirfd, name, err);
}

int writer_publish(struct bundle_writer *w, void *ctx, int root_dirfd, const char *folder, const char *name,
		   uint64_t bytes, struct receipt **ret, struct err *err)
{
	int rc = publish_into(w, root_dirfd, folder, name, err);

	if (rc)
		return w->state == WRITER_PUBLISHED ? rc : writer_fail(w, err);
	char *rel = mem_printf(w, "%s/%s", folder, name);
	return receipt_new(ctx, root_dirfd, rel, NULL, &w->sum, bytes, ret, err);
}

int bundle_publish(struct bundle_writer *w, void *ctx, int root_dirfd, int64_t publish_month_ms, struct receipt **ret,
		   struct err *err)
{
	uint64_t bytes;
	int rc = writer_read_back(w, &bytes, err);

	if (rc)
		return rc;
	char *name = bundle_final_name(w, w->identity, &w->sum.rows_digest, w->generation);
	return writer_publish(w, ctx, root_dirfd, month_folder(w, publish_month_ms), name, bytes, ret, err);
}

int bundle_waive(struct bundle_writer *w, void *ctx, const char *because, struct receipt **ret, struct err *err)
{
	uint64_t bytes;

	if (!because || !because[0])
		return err_set(err, ERR_INTERNAL, "a waiver needs the rule's words");
	int rc = writer_read_back(w, &bytes, err);
	if (rc)
		return rc;
	rc = receipt_new(ctx, w->partial_dirfd, w->part_name, because, &w->sum, bytes, ret, err);
	if (!rc)
		w->state = WRITER_PUBLISHED; /* the file now belongs to the caller */
	return rc;
}

int bundle_settle(int root_dirfd, const char *rel_path, struct err *err)
{
	auto_fd int fd = -1;
	int rc = open_bundle_file(root_dirfd, rel_path, &fd, err);

	if (rc || (rc = file_sync(fd, rel_path, err)))
		return rc;
	return file_sync_above(root_dirfd, rel_path, err);
}

int bundle_reopen(void *ctx, int root_dirfd, const char *rel_path, const struct digest *file_digest,
		  const struct digest *rows_digest, struct receipt **ret, struct err *err)
{
	struct bundle_check found = {0};
	uint64_t bytes = 0;
	int fd = -1, rc = bundle_settle(root_dirfd, rel_path, err);

	if (!rc)
		rc = open_fresh(root_dirfd, rel_path, &fd, &bytes, err);
	if (!rc)
		rc = check_file(fd, rel_path, rel_path, READ_BACK_WORKERS, &found, NULL, err);
	if (rc)
		return rc == -ERR_NOT_FOUND ? missing(rel_path, err) : rc == -ERR_VERIFY ? err_hint(err, put_back) : rc;
	if (file_digest && memcmp(file_digest, &found.file_digest, sizeof(*file_digest)) != 0)
		return err_set(err, ERR_VERIFY, "\"%s\" is sound, but it is not the file that the ledger names",
			       rel_path);
	if (rows_digest && memcmp(rows_digest, &found.rows_digest, sizeof(*rows_digest)) != 0)
		return err_set(err, ERR_VERIFY, "\"%s\" is sound, but its rows are not the ones that the ledger names",
			       rel_path);
	return receipt_new(ctx, root_dirfd, rel_path, NULL, &found, bytes, ret, err);
}
