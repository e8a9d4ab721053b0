/*
 * catalog_forget.c - bundles that are gone, out of every index.
 *
 * What an index says of a bundle is people's data like the bundle: it is overwritten, not only unlinked from its
 * tables.  The catalog's names belong to no one bundle; they are written anew from those that are left, so that no name
 * stays that only a removed one had.
 *
 * That reads all bundles, so whoever removes one after the other drops the names with the first, in the same
 * transaction, and has them written anew after the last.  A catalog without the table is no worse in between, or after
 * a crash: names are asked of the bundles then (catalog_open.c).
 */
#include "catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct forget_work { const struct store *store; };

static int forget_work(void *payload, const char *rel_path, struct err *err)
{
	const struct forget_work *w = payload;
	bool was;

	return store_remove(w->store, rel_path, NULL, &was, err);
}

/* Its sidecar, and what an indexer that was killed has left of one. */
static int forget_side(const struct store *store, const char *rel_path, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "forget");
	char *side = side_rel_path(tmp, rel_path), *slash = strrchr(side, '/');
	struct forget_work work = {store};
	bool was;
	int rc = store_remove(store, side, NULL, &was, err);

	return rc ? rc
		  : store_each_named(store, "partial", mem_printf(tmp, "%s.", slash ? slash + 1 : side), ".tmp",
				     forget_work, &work, err);
}

/* ---- names ---- */

struct names_to { struct sq *sq; sqlite3_stmt *put; struct lost_known known; };

static int put_names(struct names_to *to, struct sq *from, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(from, "SELECT what, id, name, display, extra FROM name", &q, err);

	if (rc)
		return rc;
	while ((rc = sq_step(from, q, err)) > 0) {
		for (int i = 0; i < 5; i++)
			(void)sqlite3_bind_value(to->put, i + 1, sqlite3_column_value(q, i));
		rc = sq_run(to->sq, to->put, err);
		if (rc)
			return rc;
	}
	return rc;
}

struct name_to { struct names_to *to; const char *what; bool failed; /* the catalog, not the bundle */ };

static int put_name(void *payload, const struct catalog_name *n, struct err *err)
{
	struct name_to *t = payload;
	const char *column[] = {t->what, n->id, n->name, n->display, n->extra};

	for (int i = 0; i < (int)ARRAY_LEN(column); i++)
		sq_text(t->to->put, i + 1, column[i]);
	int rc = sq_run(t->to->sq, t->to->put, err);
	t->failed |= rc < 0;
	return rc;
}

/* Of a bundle without a sidecar: its head is enough, and no stop request must come in between. */
static int put_names_of_bundle(struct name_to *t, const struct store *store, const char *rel_path, struct err *err)
{
	static const char *const what[] = {"teams", "channels", "users"};
	void *tmp auto_mem = mem_context(NULL, "names");
	struct bundle_reader *r;
	int rc = bundle_open(tmp, store->root_dirfd, rel_path, &r, err);

	for (size_t i = 0; i < ARRAY_LEN(what) && !rc; i++) {
		t->what = what[i];
		rc = catalog_bundle_names(r, what[i], put_name, t, err);
	}
	return rc;
}

/* A bundle that cannot be read is not listed any more, so that whoever searches reads it and is told. */
static int names_of(struct names_to *to, const struct store *store, const char *rel_path, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "names");
	struct name_to t = {.to = to};
	struct catalog_side *side;
	int rc;

	if (side_wanted(store, rel_path) && side_open(tmp, store, rel_path, &side, err) == 0)
		return put_names(to, side->sq, err);
	err_clear(err);
	rc = put_names_of_bundle(&t, store, rel_path, err);
	if (rc == -ERR_NOT_FOUND) {
		/* lost, or about to be forgotten by whoever removed it: its line stays, and says so */
		err_clear(err);
		return 0;
	}
	if (rc == 0 || t.failed)
		return rc;
	log_warn("%s: %s; leaving it out of the catalog", rel_path, err->msg);
	err_clear(err);
	if ((rc = lost_keep(store, to->sq, rel_path, &to->known, err)) < 0)
		return rc;
	return all_remove(to->sq, rel_path, err);
}

struct path_list { char **path; size_t n; };

static int listed(void *ctx, struct sq *s, struct path_list *ret, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(s, "SELECT rel_path FROM bundle", &q, err);

	if (rc)
		return rc;
	while ((rc = sq_step(s, q, err)) > 0) {
		const char *path = (const char *)sqlite3_column_text(q, 0);

		if (!path)
			continue;
		if (ret->n % 64 == 0)
			ret->path = mem_grow(ctx, ret->path, char *, ret->n + 64);
		ret->path[ret->n++] = mem_strdup(ctx, path);
	}
	return rc;
}

/* Its pages are overwritten as they come free: with secure_delete. */
static int names_drop(struct sq *s, struct err *err)
{
	return sq_exec(s, "DROP TABLE IF EXISTS name", err);
}

static int names_anew(struct sq *s, const struct store *store, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "forget");
	struct names_to to = {.sq = s, .known = {.ctx = tmp}};
	struct path_list rest = {0};
	int rc = names_drop(s, err);

	if (!rc)
		rc = all_create(s, err);
	if (!rc)
		rc = listed(tmp, s, &rest, err);
	if (!rc)
		rc = sq_prepare(s, "INSERT OR IGNORE INTO name VALUES(?1, ?2, ?3, ?4, ?5)", &to.put, err);
	for (size_t i = 0; i < rest.n && !rc; i++)
		rc = names_of(&to, store, rest.path[i], err);
	sq_finish(&to.put);
	return rc;
}

/* ---- the catalog ---- */

static int count_listed(struct sq *s, const char *rel_path, int64_t *n, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(s, "SELECT count(*) FROM bundle WHERE rel_path = ?1", &q, err);

	if (rc)
		return rc;
	sq_text(q, 1, rel_path);
	rc = sq_step(s, q, err);
	*n += rc > 0 ? sqlite3_column_int64(q, 0) : 0;
	return rc < 0 ? rc : 0;
}

static int begin(struct sq *s, struct err *err)
{
	return sq_exec(s, "PRAGMA secure_delete=ON; BEGIN IMMEDIATE", err);
}

static int forget_in(struct sq *s, const struct store *store, char *const *rel_path, size_t n, bool anew,
		     struct err *err)
{
	int64_t known = 0;
	int rc = begin(s, err);

	for (size_t i = 0; i < n && !rc; i++)
		rc = count_listed(s, rel_path[i], &known, err);
	for (size_t i = 0; i < n && !rc; i++)
		rc = all_remove(s, rel_path[i], err);
	if (!rc && known) /* else no name is theirs */
		rc = anew ? names_anew(s, store, err) : names_drop(s, err);
	/* Before: the catalog lists bundles that are gone, which the ledger announces.  After: not any more. */
	return rc ? rc : sq_exec(s, "COMMIT", err); /* when it fails, closing rolls back */
}

/* One that cannot be corrected cannot be trusted, and holds names: it is built anew. */
static int drop_damaged(const struct store *store, struct err *err)
{
	log_warn("%s; removing it, `mmretain reindex` builds it again", err->msg);
	err_clear(err);
	return all_drop(store, err);
}

static bool has_catalog(const struct store *store)
{
	struct stat st;

	return fstatat(store->root_dirfd, CATALOG_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static int forget_all(void *ctx, const struct store *store, char *const *rel_path, size_t n, bool anew, struct err *err)
{
	struct sq *s;
	int rc;

	if (!has_catalog(store))
		return 0;
	rc = sq_open(ctx, sq_path(ctx, store, CATALOG_NAME), SQ_WRITE, &s, err);
	if (!rc) {
		rc = all_check(s, err);
		if (!rc)
			rc = forget_in(s, store, rel_path, n, anew, err);
		talloc_free(s);
	}
	return rc == -ERR_VERIFY ? drop_damaged(store, err) : rc;
}

static int forget(const struct store *store, char *const *rel_path, size_t n, bool anew, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "forget");
	auto_fd int lock = -1;
	int rc = n ? store_lock_indexes(store, &lock, err) : 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = forget_side(store, rel_path[i], err);
	return rc || !n ? rc : forget_all(tmp, store, rel_path, n, anew, err);
}

int catalog_forget(const struct store *store, char *const *rel_path, size_t n, struct err *err)
{
	return forget(store, rel_path, n, true, err);
}

int catalog_forget_next(const struct store *store, const char *rel_path, struct err *err)
{
	auto_mem char *path = mem_strdup(NULL, rel_path);

	return forget(store, &path, 1, false, err);
}

/* Without the lock: there is nothing to do as a rule.  In doubt, as after a writer that was killed, whoever may write
 * looks once more. */
static bool perhaps_without_names(const struct store *store)
{
	void *tmp auto_mem = mem_context(NULL, "names");
	struct err err = {0};
	bool there = false;
	struct sq *s;

	if (!has_catalog(store))
		return false;
	return sq_open(tmp, sq_path(tmp, store, CATALOG_NAME), SQ_READ, &s, &err) < 0 ||
	       all_has_names(s, &there, &err) < 0 || !there;
}

static int names_again(struct sq *s, const struct store *store, struct err *err)
{
	bool there;
	int rc = all_check(s, err);

	if (!rc)
		rc = all_has_names(s, &there, err);
	if (rc || there)
		return rc;
	rc = begin(s, err);
	if (!rc)
		rc = names_anew(s, store, err);
	/* Before: no names, which readers know.  After: those of all bundles that are listed. */
	return rc ? rc : sq_exec(s, "COMMIT", err); /* when it fails, closing rolls back */
}

int catalog_names_again(const struct store *store, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "names");
	auto_fd int lock = -1;
	struct sq *s;
	int rc;

	if (!perhaps_without_names(store))
		return 0;
	rc = store_lock_indexes(store, &lock, err);
	if (rc || !has_catalog(store))
		return rc;
	rc = sq_open(tmp, sq_path(tmp, store, CATALOG_NAME), SQ_WRITE, &s, err);
	if (!rc) {
		rc = names_again(s, store, err);
		talloc_free(s); /* before the lock */
	}
	if (rc != -ERR_VERIFY)
		return rc;
	err_clear(err); /* damaged: whoever asks it, or enters something, says so */
	return 0;
}

int all_forget_vanished(struct sq *s, const struct store *store, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "vanished");
	struct path_list all = {0};
	struct stat st;
	size_t n = 0;
	int rc = listed(tmp, s, &all, err);

	for (size_t i = 0; i < all.n && !rc; i++)
		if (fstatat(store->root_dirfd, all.path[i], &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
			all.path[n++] = all.path[i];
	return rc || !n ? rc : forget_in(s, store, all.path, n, true, err);
}

int catalog_forget_side(const struct store *store, const char *rel_path, struct err *err)
{
	auto_fd int lock = -1;
	int rc = store_lock_indexes(store, &lock, err);

	return rc ? rc : forget_side(store, rel_path, err);
}
