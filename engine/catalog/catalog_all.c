/*
 * catalog_all.c - catalog.sqlite: the coarse half of every sidecar in one file.
 *
 * Holds no words, so entering and removing in place leaves nothing of a message behind.  A reindex (catalog_reindex.c)
 * writes a new file.
 */
#include "catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char schema_sql[] =
	"CREATE TABLE IF NOT EXISTS bundle(no INTEGER PRIMARY KEY, rel_path TEXT UNIQUE, bytes INTEGER, tail BLOB, "
	"posts INTEGER,"
	" min_ms INTEGER, max_ms INTEGER, blocks INTEGER);"
	"CREATE TABLE IF NOT EXISTS filter(bundle INTEGER, block INTEGER, bits BLOB, PRIMARY KEY(bundle, block)) "
	"WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS member(kind TEXT, id TEXT, bundle INTEGER, min_ms INTEGER, max_ms INTEGER,"
	" PRIMARY KEY(kind, id, bundle)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS member_of ON member(bundle);"
	"CREATE TABLE IF NOT EXISTS name(what TEXT, id TEXT, name TEXT, display TEXT, extra TEXT,"
	" PRIMARY KEY(what, id, name, display, extra)) WITHOUT ROWID;";

int all_create(struct sq *s, struct err *err)
{
	/* All or nothing: one that has its mark and not its tables is damaged, and nothing is entered before somebody
	 * builds it anew. */
	static const char setup[] =
		"PRAGMA page_size=8192; PRAGMA journal_mode=DELETE; SAVEPOINT made; PRAGMA application_id=1835889219; "
		"PRAGMA user_version=1;";
	_Static_assert(CATALOG_APPLICATION == 1835889219 && INDEX_VERSION == 1, "the numbers in setup");
	int rc = sq_exec(s, setup, err);

	if (!rc)
		rc = sq_exec(s, schema_sql, err);
	return rc ? rc : sq_exec(s, "RELEASE made", err); /* when it fails, closing rolls back */
}

/* Removed, not changed: a crash in between leaves a journal without its file, which SQLite passes over. */
int all_drop(const struct store *store, struct err *err)
{
	bool was;
	int rc = store_remove(store, CATALOG_NAME, NULL, &was, err);

	return rc ? rc : store_remove(store, CATALOG_NAME "-journal", NULL, &was, err);
}

int all_check(struct sq *s, struct err *err)
{
	int64_t application, version;
	int rc = sq_number(s, "PRAGMA application_id", &application, err);

	if (!rc)
		rc = sq_number(s, "PRAGMA user_version", &version, err);
	if (!rc && (application != CATALOG_APPLICATION || version != INDEX_VERSION))
		rc = sq_foreign(s, application || version, err);
	return rc;
}

int all_has_names(struct sq *s, bool *ret, struct err *err)
{
	int64_t n = 0;
	int rc = sq_number(s, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'name'", &n, err);

	*ret = !rc && n;
	return rc;
}

/* ---- the filter of one bundle ---- */

static int filter_fill(struct sq *side, uint8_t *bits, uint32_t n_blocks, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(side, "SELECT first, data FROM ids", &q, err);

	if (rc)
		return rc;
	while ((rc = sq_step(side, q, err)) > 0) {
		struct id_scan scan;
		id_scan_init(&scan, (uint64_t)sqlite3_column_int64(q, 0), sqlite3_column_blob(q, 1),
			     (size_t)sqlite3_column_bytes(q, 1));
		while (id_scan_next(&scan))
			filter_set(bits + (size_t)filter_block_of(scan.key, n_blocks) * FILTER_BLOCK, scan.key);
		if (scan.bad)
			return err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->name);
	}
	return rc;
}

static int enter_filter(struct sq *s, struct sq *side, int64_t no, uint32_t n_blocks, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "filter");
	auto_stmt sqlite3_stmt *q = NULL;
	uint8_t *bits = mem_array(tmp, uint8_t, (size_t)n_blocks * FILTER_BLOCK);
	int rc = filter_fill(side, bits, n_blocks, err);

	if (!rc)
		rc = sq_prepare(s, "INSERT INTO filter VALUES(?1, ?2, ?3)", &q, err);
	for (uint32_t i = 0; i < n_blocks && !rc; i++) {
		(void)sqlite3_bind_int64(q, 1, no);
		(void)sqlite3_bind_int64(q, 2, i);
		(void)sqlite3_bind_blob(q, 3, bits + (size_t)i * FILTER_BLOCK, FILTER_BLOCK, SQLITE_STATIC);
		rc = sq_run(s, q, err);
	}
	return rc;
}

/* ---- copying ---- */

/* Rows of `from` as they come into `to`, whose first parameter is the bundle's number. */
static int copy_rows(struct sq *s, struct sq *side, const char *from_sql, const char *to_sql, int64_t no,
		     struct err *err)
{
	auto_stmt sqlite3_stmt *from = NULL;
	auto_stmt sqlite3_stmt *to = NULL;
	int rc = sq_prepare(side, from_sql, &from, err);

	if (!rc)
		rc = sq_prepare(s, to_sql, &to, err);
	if (rc)
		return rc;
	while ((rc = sq_step(side, from, err)) > 0) {
		(void)sqlite3_bind_int64(to, 1, no);
		for (int i = 0; i < sqlite3_column_count(from); i++)
			(void)sqlite3_bind_value(to, i + 2, sqlite3_column_value(from, i));
		rc = sq_run(s, to, err);
		if (rc)
			return rc;
	}
	return rc;
}

int all_remove(struct sq *s, const char *rel_path, struct err *err)
{
	static const char *const sql[] = {
		"DELETE FROM filter WHERE bundle IN (SELECT no FROM bundle WHERE rel_path = ?1)",
		"DELETE FROM member WHERE bundle IN (SELECT no FROM bundle WHERE rel_path = ?1)",
		"DELETE FROM bundle WHERE rel_path = ?1",
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(sql) && !rc; i++) {
		auto_stmt sqlite3_stmt *q = NULL;
		rc = sq_prepare(s, sql[i], &q, err);
		if (rc)
			break;
		sq_text(q, 1, rel_path);
		rc = sq_run(s, q, err);
	}
	return rc;
}

/* How many ids it says it has: two bytes each at least, and a filter for what cannot be there would take all memory. */
static int count_ids(struct sq *side, int64_t said, uint32_t *ret_blocks, struct err *err)
{
	int64_t pages = 0, page_bytes = 0;
	int rc = sq_number(side, "PRAGMA page_count", &pages, err);

	if (!rc)
		rc = sq_number(side, "PRAGMA page_size", &page_bytes, err);
	if (rc)
		return rc;
	if (said < 0 || said > pages * page_bytes / 2)
		return err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->name);
	*ret_blocks = filter_blocks((uint64_t)said);
	return 0;
}

static int enter_bundle(struct sq *s, struct sq *side, const char *rel_path, int64_t *ret_no, uint32_t *ret_blocks,
			struct err *err)
{
	auto_stmt sqlite3_stmt *from = NULL;
	auto_stmt sqlite3_stmt *to = NULL;
	int rc = sq_prepare(side, "SELECT bytes, tail, posts, min_ms, max_ms, ids FROM about", &from, err);

	if (!rc)
		rc = sq_prepare(s,
				"INSERT INTO bundle(rel_path, bytes, tail, posts, min_ms, max_ms, blocks) "
				"VALUES(?1,?2,?3,?4,?5,?6,?7)",
				&to, err);
	if (!rc && (rc = sq_step(side, from, err)) == 0)
		rc = err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->name);
	if (rc < 0)
		return rc;
	rc = count_ids(side, sqlite3_column_int64(from, 5), ret_blocks, err);
	if (rc)
		return rc;
	sq_text(to, 1, rel_path);
	for (int i = 0; i < 5; i++)
		(void)sqlite3_bind_value(to, i + 2, sqlite3_column_value(from, i));
	(void)sqlite3_bind_int64(to, 7, *ret_blocks);
	rc = sq_run(s, to, err);
	*ret_no = sqlite3_last_insert_rowid(s->db);
	return rc;
}

/* Where the names are dropped, those of all listed bundles come back at once. */
static int enter_names(struct sq *s, struct sq *side, int64_t no, struct err *err)
{
	bool there;
	int rc = all_has_names(s, &there, err);

	if (rc || !there)
		return rc;
	return copy_rows(s, side, "SELECT what, id, name, display, extra FROM name",
			 "INSERT OR IGNORE INTO name(what, id, name, display, extra) SELECT ?2,?3,?4,?5,?6 WHERE ?1 IS "
			 "NOT NULL",
			 no, err);
}

static int enter_all(struct sq *s, struct sq *side, const char *rel_path, struct err *err)
{
	uint32_t blocks = 0;
	int64_t no = 0;
	int rc = all_remove(s, rel_path, err);

	if (!rc)
		rc = enter_bundle(s, side, rel_path, &no, &blocks, err);
	if (!rc)
		rc = enter_filter(s, side, no, blocks, err);
	if (!rc)
		rc = copy_rows(s, side, "SELECT kind, id, min_ms, max_ms FROM spans",
			       "INSERT INTO member(bundle, kind, id, min_ms, max_ms) VALUES(?1,?2,?3,?4,?5)", no, err);
	if (!rc)
		rc = enter_names(s, side, no, err);
	return rc;
}

int all_source(void *ctx, const struct store *store, const char *rel_path, struct sq **ret, struct err *err)
{
	struct catalog_side *side;
	int rc;

	if (!side_wanted(store, rel_path))
		return side_memory(ctx, store, rel_path, ret, err);
	rc = side_open(ctx, store, rel_path, &side, err);
	if (!rc)
		*ret = side->sq;
	return rc;
}

/* One that was removed after its index was made must not be entered: whoever removes it has looked here already, or
 * waits for this transaction. */
static int check_there(const struct store *store, const char *rel_path, struct err *err)
{
	struct stat st;

	if (fstatat(store->root_dirfd, rel_path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return err_sys(err, ERR_NOT_FOUND, errno, "bundle \"%s\" was removed while it was indexed", rel_path);
}

int all_enter(struct sq *s, struct sq *side, const struct store *store, const char *rel_path, struct err *err)
{
	int rc = sq_exec(s, "SAVEPOINT one", err);

	if (rc)
		return rc;
	rc = enter_all(s, side, rel_path, err);
	if (!rc)
		rc = check_there(store, rel_path, err);
	if (rc)
		(void)sqlite3_exec(s->db, "ROLLBACK TO one", NULL, NULL, NULL); /* the failure is told already */
	(void)sqlite3_exec(s->db, "RELEASE one", NULL, NULL, NULL); /* never the outermost: nothing is written by it */
	return rc;
}

/* ---- one more bundle ---- */

/* SQLite takes an empty file for a new one, and would give it to whoever runs this. */
static int make_file(const struct store *store, struct err *err)
{
	auto_fd int fd =
		openat(store->root_dirfd, CATALOG_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(err, ERR_STORE, errno, "cannot create \"%s\"", CATALOG_NAME);
	return file_inherit(fd, store->root_dirfd, CATALOG_NAME, err);
}

static int open_for_entry(void *ctx, const struct store *store, struct sq **ret, struct err *err)
{
	int64_t application;
	struct sq *s;
	int rc = make_file(store, err);

	if (!rc)
		rc = sq_open(ctx, sq_path(ctx, store, CATALOG_NAME), SQ_WRITE, &s, err);

	if (!rc)
		rc = sq_number(s, "PRAGMA application_id", &application, err);
	if (!rc && application == 0)
		rc = all_create(s, err);
	if (!rc)
		rc = all_check(s, err);
	if (!rc)
		*ret = s;
	return rc;
}

/* Index and source of one; NULL when it cannot be entered, which was told. */
static struct sq *prepare_one(void *ctx, const struct store *store, const char *rel_path, catalog_failed_fn failed,
			      void *payload)
{
	struct err why = {0};
	struct sq *source;
	int rc = side_wanted(store, rel_path) ? side_build(store, rel_path, &why) : 0;

	if (!rc)
		rc = all_source(ctx, store, rel_path, &source, &why);
	if (!rc)
		return source;
	failed(payload, rel_path, &why);
	return NULL;
}

static int enter_some(void *ctx, const struct store *store, const char *const *rel_path, struct sq *const *source,
		      size_t n, catalog_failed_fn failed, void *payload, struct err *err)
{
	struct err why = {0};
	struct sq *s;
	int rc = open_for_entry(ctx, store, &s, err);

	if (rc == -ERR_VERIFY)
		err_hint(err, "Run `mmretain reindex`; searches read the bundles themselves until then.");
	if (!rc)
		rc = sq_exec(s, "BEGIN IMMEDIATE", err);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (!source[i] || all_enter(s, source[i], store, rel_path[i], &why) == 0)
			continue;
		if (sqlite3_get_autocommit(s->db)) { /* a full disk ends the whole transaction */
			*err = why;
			return why.code;
		}
		failed(payload, rel_path[i], &why);
	}
	return sq_exec(s, "COMMIT", err); /* when it fails, closing rolls back */
}

/* The lock before the file is opened, and after it is closed: nobody puts another in its place meanwhile.  Threads of
 * one process make sidecars beside each other; into the catalog they go one by one: the first makes it. */
int catalog_add_bundles(const struct store *store, const char *const *rel_path, size_t n, catalog_failed_fn failed,
			void *payload, struct err *err)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	void *tmp auto_mem = mem_context(NULL, "catalog");
	struct sq **source = mem_array(tmp, struct sq *, n + 1);
	int lock = -1, rc;

	for (size_t i = 0; i < n; i++)
		source[i] = prepare_one(tmp, store, rel_path[i], failed, payload);
	pthread_mutex_lock(&one);
	rc = store_lock_indexes(store, &lock, err);
	if (!rc)
		rc = enter_some(tmp, store, rel_path, source, n, failed, payload, err);
	TALLOC_FREE(tmp); /* closes the catalog: not before the others may */
	fd_close_p(&lock);
	pthread_mutex_unlock(&one);
	return rc;
}

static void keep_first(void *payload, const char *rel_path, const struct err *why)
{
	struct err *first = payload;

	(void)rel_path;
	if (!first->code)
		*first = *why;
}

int catalog_add_bundle(const struct store *store, const char *rel_path, struct err *err)
{
	struct err why = {0};
	int rc = catalog_add_bundles(store, &rel_path, 1, keep_first, &why, err);

	if (rc || !why.code)
		return rc;
	*err = why;
	return why.code;
}
