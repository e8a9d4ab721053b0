/* catalog_sql.c - SQLite behind our error convention.  Index files are input from outside: nothing in them is run or
 * trusted. */
#include "catalog_internal.h"

#include <string.h>

static int sq_close(struct sq *s)
{
	(void)sqlite3_close_v2(s->db); /* statements still open keep it alive; nothing unsaved depends on it */
	return 0;
}

int sq_fail(struct sq *s, struct err *err)
{
	int code = sqlite3_errcode(s->db);

	/* A damaged index asks for any amount of memory; when there is really none left, the next of us who wants some
	 * ends the program. */
	if (code == SQLITE_NOMEM)
		return err_set(err, ERR_VERIFY, "index \"%s\" is damaged: it wants more memory than there is", s->name);
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR || code == SQLITE_SCHEMA)
		return err_set(err, ERR_VERIFY, "index \"%s\" is damaged: %s", s->name, sqlite3_errmsg(s->db));
	err_set(err, ERR_STORE, "index \"%s\": %s", s->name, sqlite3_errmsg(s->db));
	if (code == SQLITE_BUSY)
		return err_hint(err, "Somebody is reading or writing it: what is begun is finished by the next call, "
				     "once they have ended.");
	if (code == SQLITE_FULL)
		return err_hint(err, "Make room on its disk, then run `mmretain reindex`. Searches do without an "
				     "index, slower.");
	return err_hint(err, "Is its disk full or mounted read-only, or the folder another user's? Searches do without "
			     "an index, slower.");
}

int sq_foreign(const struct sq *s, bool marked, struct err *err)
{
	err_set(err, ERR_VERIFY,
		marked ? "index \"%s\" has another format" : "index \"%s\" is empty, as a full disk leaves it",
		s->name);
	return err_hint(err, "Make sure that its disk has room, then run `mmretain reindex`; searches read the bundles "
			     "themselves until then.");
}

/* file: URI, so that a fixed file can be opened without locks; every byte that means something there is escaped. */
static char *uri_of(void *ctx, const char *path, bool fixed)
{
	struct buf b;

	buf_init(&b, ctx, 4 * strlen(path) + 64);
	buf_puts(&b, "file:");
	for (const char *p = path; *p; p++) {
		if (*p == '?' || *p == '#' || *p == '%')
			buf_printf(&b, "%%%02x", (unsigned char)*p);
		else
			buf_byte(&b, *p);
	}
	if (fixed)
		buf_puts(&b, "?immutable=1");
	return b.data;
}

static int sq_harden(struct sq *s, enum sq_mode mode, struct err *err)
{
	/* best effort, the rest does not rely on it */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 256 << 20);
	(void)sqlite3_busy_timeout(s->db, 5000);
	if (mode != SQ_WRITE)
		return sq_exec(s, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA query_only=ON", err);
	return 0;
}

/* Our indexes are tables.  A view that has one's name, or a trigger on it, would be somebody else's program in our
 * hands, perhaps one without an end. */
static int only_tables(struct sq *s, struct err *err)
{
	int64_t others = 0;
	int rc = sq_number(s, "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')", &others, err);

	return rc == 0 && others
		       ? err_set(err, ERR_VERIFY, "index \"%s\" is not one of ours: it has views or triggers", s->name)
		       : rc;
}

int sq_open(void *ctx, const char *path, enum sq_mode mode, struct sq **ret, struct err *err)
{
	struct sq *s = mem_new(ctx, struct sq);
	const char *slash = path ? strrchr(path, '/') : NULL;
	int flags = mode == SQ_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY, rc = 0;

	s->name = mem_strdup(s, slash ? slash + 1 : path ? path : "in memory");
	talloc_set_destructor(s, sq_close);
	const char *uri = path ? uri_of(s, path, mode == SQ_READ_FIXED) : ":memory:";
	if (sqlite3_open_v2(uri, &s->db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		rc = sq_fail(s, err);
	if (!rc)
		rc = sq_harden(s, mode, err);
	if (!rc && path)
		rc = only_tables(s, err);
	if (rc) {
		talloc_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

int sq_exec(struct sq *s, const char *sql, struct err *err)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sq_fail(s, err);
}

int sq_prepare(struct sq *s, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	return sqlite3_prepare_v2(s->db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : sq_fail(s, err);
}

int sq_step(struct sq *s, sqlite3_stmt *q, struct err *err)
{
	int code = sqlite3_step(q);

	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : sq_fail(s, err);
}

int sq_run(struct sq *s, sqlite3_stmt *q, struct err *err)
{
	int rc;

	while ((rc = sq_step(s, q, err)) > 0)
		;
	(void)sqlite3_reset(q); /* gives the error of the step again */
	return rc;
}

int sq_number(struct sq *s, const char *sql, int64_t *ret, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(s, sql, &q, err);

	if (!rc)
		rc = sq_step(s, q, err);
	if (rc < 0)
		return rc;
	*ret = rc ? sqlite3_column_int64(q, 0) : 0;
	return 0;
}

void sq_text(sqlite3_stmt *q, int at, const char *text)
{
	if (sqlite3_bind_text(q, at, text, -1, SQLITE_TRANSIENT) == SQLITE_NOMEM)
		mem_check(NULL);
}

void sq_finish(sqlite3_stmt **q)
{
	(void)sqlite3_finalize(*q); /* gives the error of the last step again */
	*q = NULL;
}

char *sq_path(void *ctx, const struct store *store, const char *rel)
{
	return mem_printf(ctx, "%s/%s", store->path, rel);
}
