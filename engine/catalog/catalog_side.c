/* catalog_side.c - one sidecar: is it of this bundle, and what does it say. */
#include "catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *side_rel_path(void *ctx, const char *bundle_rel_path)
{
	static const char end[] = ".tar.zst";
	size_t len = strlen(bundle_rel_path), cut = sizeof(end) - 1;

	if (len > cut && !strcmp(bundle_rel_path + len - cut, end))
		len -= cut;
	return mem_printf(ctx, "%.*s.idx", (int)len, bundle_rel_path);
}

int bundle_tail(const struct store *store, const char *rel_path, uint64_t *ret_size, struct digest *ret,
		struct err *err)
{
	auto_fd int fd = -1;
	void *tmp auto_mem = mem_context(NULL, "tail");
	struct stat st;
	int rc = file_open_beneath(store->root_dirfd, rel_path, &fd, err);

	if (rc && err->sys_errno == ELOOP)
		return err_set(err, ERR_VERIFY, "\"%s\" is not a regular file", rel_path);
	if (rc && err->sys_errno)
		return err_sys(err, (enum err_code)-rc, err->sys_errno, "cannot open bundle \"%s\"", rel_path);
	if (rc)
		return rc;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", rel_path);
	size_t n = st.st_size > TAIL_BYTES ? TAIL_BYTES : (size_t)st.st_size;
	char *data = mem_array(tmp, char, n + 1);
	rc = file_pread_all(fd, data, n, st.st_size - (off_t)n, rel_path, err);
	if (rc)
		return rc;
	hash_bytes(hash_new(tmp), data, n, ret);
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* Made from exactly this bundle, by this version of the program. */
static int side_check(struct catalog_side *s, const struct store *store, const char *bundle_rel_path, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	struct digest tail;
	int64_t application, version;
	int rc = sq_number(s->sq, "PRAGMA application_id", &application, err);

	if (!rc)
		rc = sq_number(s->sq, "PRAGMA user_version", &version, err);
	if (!rc && (application != SIDE_APPLICATION || version != INDEX_VERSION))
		rc = sq_foreign(s->sq, application || version, err);
	if (!rc)
		rc = bundle_tail(store, bundle_rel_path, &s->bundle_bytes, &tail, err);
	if (!rc)
		rc = sq_prepare(s->sq, "SELECT bytes, tail FROM about", &q, err);
	if (rc)
		return rc;
	rc = sq_step(s->sq, q, err);
	if (rc < 0)
		return rc;
	if (!rc || (uint64_t)sqlite3_column_int64(q, 0) != s->bundle_bytes ||
	    sqlite3_column_bytes(q, 1) != DIGEST_BYTES || memcmp(sqlite3_column_blob(q, 1), tail.b, DIGEST_BYTES) != 0)
		return err_set(err, ERR_VERIFY, "index \"%s\" was made from another file", s->sq->name);
	return 0;
}

static int side_free(struct catalog_side *s)
{
	sq_finish(&s->spans);
	sq_finish(&s->ids);
	sq_finish(&s->words);
	return 0;
}

static int side_prepare(struct catalog_side *s, struct err *err)
{
	int rc = sq_prepare(s->sq, "SELECT data FROM spans WHERE kind = ?1 AND id = ?2", &s->spans, err);

	if (!rc)
		rc = sq_prepare(s->sq, "SELECT first, data FROM ids WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
				&s->ids, err);
	if (!rc)
		rc = sq_prepare(s->sq, "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid", &s->words, err);
	return rc;
}

bool side_wanted(const struct store *store, const char *bundle_rel_path)
{
	struct stat st;

	return fstatat(store->root_dirfd, bundle_rel_path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	       st.st_size >= (off_t)WITHOUT_SIDE_BYTES;
}

static int open_at(void *ctx, const struct store *store, const char *bundle_rel_path, const char *rel,
		   struct catalog_side **ret, struct err *err)
{
	struct catalog_side *s = mem_new(ctx, struct catalog_side);

	talloc_set_destructor(s, side_free);
	int rc = sq_open(s, sq_path(s, store, rel), SQ_READ_FIXED, &s->sq, err);
	if (!rc)
		rc = side_check(s, store, bundle_rel_path, err);
	if (!rc)
		rc = side_prepare(s, err);
	if (rc) {
		talloc_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

int side_open(void *ctx, const struct store *store, const char *bundle_rel_path, struct catalog_side **ret,
	      struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "index");
	char *rel = side_rel_path(tmp, bundle_rel_path);
	struct stat st;

	if (fstatat(store->root_dirfd, rel, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "bundle \"%s\" has no index", bundle_rel_path);
	return open_at(ctx, store, bundle_rel_path, rel, ret, err);
}
