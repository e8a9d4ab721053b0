/*
 * catalog_reindex.c - catalog.sqlite anew from all bundles, beside the one that others read meanwhile.
 */
#include "catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reindex {
	const struct store *store;
	bool all;
	struct catalog_totals *sum;
	const struct progress *progress;
	struct sq *sq;
	uint64_t total;
};

static uint64_t file_bytes(const struct store *store, const char *rel)
{
	struct stat st;

	return fstatat(store->root_dirfd, rel, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

static int reindex_build(struct reindex *r, const char *rel_path, bool anew, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "reindex");
	struct catalog_side *side;

	if (!side_wanted(r->store, rel_path)) {
		r->sum->small++;
		/* of an earlier version; usually there is none */
		(void)unlinkat(r->store->root_dirfd, side_rel_path(tmp, rel_path), 0);
		return 0;
	}
	int rc = anew ? 1 : side_open(tmp, r->store, rel_path, &side, err);

	if (rc == 0)
		return 0;
	err_clear(err);
	r->sum->built++;
	return side_build(r->store, rel_path, err);
}

static int reindex_enter(struct reindex *r, void *ctx, const char *rel_path, bool anew, struct err *err)
{
	struct sq *source;
	int rc = reindex_build(r, rel_path, anew, err);

	if (!rc)
		rc = all_source(ctx, r->store, rel_path, &source, err);
	return rc ? rc : all_enter(r->sq, source, r->store, rel_path, err);
}

/* Damaged, or closed to this user, or on a disk that is: the others are indexed all the same. */
static bool cannot_be_read(int rc, const struct err *err)
{
	return rc == -ERR_VERIFY || rc == -ERR_PERMISSION || (rc == -ERR_STORE && err->sys_errno);
}

static int reindex_one(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct reindex *r = payload;
	void *tmp auto_mem = mem_context(NULL, "reindex");
	uint64_t built = r->sum->built;
	int rc = reindex_enter(r, tmp, rel_path, r->all, err);

	if (rc == -ERR_VERIFY && built == r->sum->built && side_wanted(r->store, rel_path)) {
		/* an index that was there, and only looked sound */
		log_info("%s; building it", err->msg);
		err_clear(err);
		rc = reindex_enter(r, tmp, rel_path, true, err);
	}
	r->sum->bundles++;
	r->sum->bundle_bytes += size_bytes;
	r->sum->index_bytes += file_bytes(r->store, side_rel_path(tmp, rel_path));
	progress_update(r->progress, "reindex", r->sum->bundles, r->total, "bundles");
	if (rc == -ERR_NOT_FOUND) { /* it has expired meanwhile */
		log_info("%s", err->msg);
		err_clear(err);
		return 0;
	}
	if (!cannot_be_read(rc, err))
		return rc;
	log_warn("%s: %s; leaving it out of the catalog", rel_path, err->msg);
	err_clear(err);
	r->sum->failed++;
	return 0;
}

static int count_one(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	(void)rel_path;
	(void)size_bytes;
	(void)err;
	++*(uint64_t *)payload;
	return 0;
}

/* A writer that was killed has left a journal.  It must not be rolled into the new file, and without it the old one may
 * be torn: that goes first. */
static int drop_torn(const struct store *store, struct err *err)
{
	struct stat st;

	if (fstatat(store->root_dirfd, CATALOG_NAME "-journal", &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return all_drop(store, err);
}

static int swap_in(const struct store *store, const char *work, struct err *err)
{
	auto_fd int fd = openat(store->partial_dirfd, work, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fchmod(fd, 0640) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot open \"partial/%s\"", work);
	int rc = file_inherit(fd, store->partial_dirfd, work, err);
	if (!rc)
		rc = file_sync(fd, work, err);
	if (rc)
		return rc;
	rc = drop_torn(store, err);
	if (rc)
		return rc;
	/* Before: the old catalog.  After: the new one, whole. */
	if (renameat(store->partial_dirfd, work, store->root_dirfd, CATALOG_NAME) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot put \"%s\" in place", CATALOG_NAME);
	return file_sync_dir(store->root_dirfd, store->path, err);
}

/* Everything into the open file, which nobody else knows. */
static int fill(struct reindex *r, struct err *err)
{
	int rc = sq_exec(r->sq, "PRAGMA synchronous=OFF", err);

	if (!rc)
		rc = all_create(r->sq, err);
	if (!rc)
		rc = sq_exec(r->sq, "BEGIN", err);
	if (!rc)
		rc = store_each_bundle(r->store, reindex_one, r, err);
	return rc ? rc : sq_exec(r->sq, "COMMIT", err);
}

/* With the lock, so that no bundle is taken out of the old catalog when the new one is about to come with it. */
static int settle(struct reindex *r, const char *work, struct err *err)
{
	auto_fd int lock = -1;
	int rc = store_lock_indexes(r->store, &lock, err);

	if (!rc)
		rc = all_forget_vanished(r->sq, r->store, err);
	if (!rc)
		rc = lost_keep_left(r->store, r->sq, err);
	TALLOC_FREE(r->sq);
	return rc ? rc : swap_in(r->store, work, err);
}

int catalog_reindex(const struct store *store, bool all, struct catalog_totals *ret, const struct progress *progress,
		    struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "reindex");
	char *work = mem_printf(tmp, "%s.%ld.tmp", CATALOG_NAME, (long)getpid());
	struct catalog_totals sum = {0};
	struct reindex r = {.store = store, .all = all, .sum = &sum, .progress = progress};

	(void)unlinkat(store->partial_dirfd, work, 0); /* of a process of the same number that crashed */
	int rc = store_each_bundle(store, count_one, &r.total, err);
	if (!rc)
		rc = sq_open(tmp, sq_path(tmp, store, mem_printf(tmp, "partial/%s", work)), SQ_WRITE, &r.sq, err);
	if (!rc)
		rc = fill(&r, err);
	if (!rc)
		rc = settle(&r, work, err);
	if (rc) {
		(void)unlinkat(store->partial_dirfd, work, 0); /* harmless when it stays */
		return rc;
	}
	sum.index_bytes += file_bytes(store, CATALOG_NAME);
	*ret = sum;
	return 0;
}

static int look_at(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct reindex *r = payload;
	void *tmp auto_mem = mem_context(NULL, "reindex");
	struct catalog_side *side;

	r->sum->bundles++;
	r->sum->bundle_bytes += size_bytes;
	r->sum->index_bytes += file_bytes(r->store, side_rel_path(tmp, rel_path));
	if (!side_wanted(r->store, rel_path))
		r->sum->small++;
	else if (r->all || side_open(tmp, r->store, rel_path, &side, err) < 0)
		r->sum->built++;
	err_clear(err);
	progress_update(r->progress, "reindex", r->sum->bundles, r->total, "bundles");
	return 0;
}

int catalog_reindex_look(const struct store *store, bool all, struct catalog_totals *ret,
			 const struct progress *progress, struct err *err)
{
	struct catalog_totals sum = {0};
	struct reindex r = {.store = store, .all = all, .sum = &sum, .progress = progress};
	int rc = store_each_bundle(store, count_one, &r.total, err);

	if (!rc)
		rc = store_each_bundle(store, look_at, &r, err);
	if (rc)
		return rc;
	sum.index_bytes += file_bytes(store, CATALOG_NAME);
	*ret = sum;
	return 0;
}
