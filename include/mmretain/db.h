/*
 * db.h - floor 1: a PostgreSQL connection.
 *
 * For: connect, run a statement, stream rows, transaction, lock.
 * Not for: anything that knows Mattermost (no table names here).
 * Includes: base only; the only room that may touch libpq.
 * Order: db_open, then any number of statements, db_close (talloc_free).
 *
 * Statements are `struct sql`: a name for messages and the text of one .sql
 * file.  Parameters are bound text values, never pasted.
 */
#ifndef MMRETAIN_DB_H
#define MMRETAIN_DB_H

#include <mmretain/base.h>

struct sql {
	const char *name; /* file stem, for messages */
	const char *text;
};

struct db;

struct db_options {
	const char *conninfo;          /* libpq key=value string, already cleaned by mm */
	int64_t statement_timeout_ms;  /* 0 = none */
	int64_t lock_timeout_ms;       /* 0 = none */
	int64_t idle_timeout_ms;       /* idle in a transaction; 0 = 15 minutes */
	int64_t connect_timeout_s;     /* 0 = as conninfo says, else 10 */
};

/* Connects and sets the session: application_name mmretain, UTF8, UTC, search_path = the schema found and pg_temp,
 * timeouts.  PG* environment variables are taken out of the process's environment and not used (of a service: only
 * where its file is).  Hosts that are not local need sslmode=verify-full; a pooler in between is refused.
 * Errors: ERR_DATABASE (hint says what to do), ERR_SCHEMA (server too old, no schema), ERR_PERMISSION (password file
 * open to others), ERR_DB_GONE. Freed with talloc_free. */
int db_open(void *ctx, const struct db_options *options, struct db **ret, struct err *err) MMR_CHECKED;
/* The part that needs no server: readable, and verify-full for every host that is not local. */
int db_conninfo_check(const char *conninfo, struct err *err) MMR_CHECKED;
/* A second session with the same options (the lock keeps its own), on the same server while `like` is alive:
 * ERR_DB_GONE when another one answers. */
int db_open_again(void *ctx, const struct db *like, struct db **ret, struct err *err) MMR_CHECKED;
const char *db_schema(const struct db *db);      /* schema of the Mattermost tables: current_schema() */
int db_server_version(const struct db *db);      /* 150018 */
bool db_in_recovery(const struct db *db);        /* a standby */
const char *db_text_safe(const struct db *db);   /* host/port/dbname for messages, no password */
bool db_alive(const struct db *db);
/* The server ends a session that says nothing in a transaction for idle_timeout_ms: a word, unless a page of a cursor
 * is under way. */
int db_awake(struct db *db, struct err *err) MMR_CHECKED;
/* From any thread: nobody wants what the session does now or begins later, for its waits to cancel; whoever waits gets
 * ERR_INTERRUPTED. */
void db_give_up(struct db *db);

/* ---- results ---- */
struct db_result;                                 /* freed with talloc_free */
int64_t db_rows(const struct db_result *r);
const char *db_text(const struct db_result *r, int64_t row, int col); /* "" for NULL */
size_t db_len(const struct db_result *r, int64_t row, int col);
bool db_null(const struct db_result *r, int64_t row, int col);
int64_t db_i64(const struct db_result *r, int64_t row, int col);      /* 0 for NULL */
bool db_bool(const struct db_result *r, int64_t row, int col);

enum db_shape { DB_NONE, DB_ONE, DB_ANY };        /* no row set, exactly one row, any number of rows */
/* Runs one statement with text parameters (NULL element = SQL NULL). ret may be NULL for DB_NONE.
 * *ret's parent is ctx. Errors: ERR_DATABASE, ERR_DB_BUSY (40001, 40P01, 55P03, 57014, 53300), ERR_DB_GONE,
 * ERR_PERMISSION (42501, 25006), ERR_SCHEMA (42P01, 42703, 23503), ERR_INTERRUPTED (it took longer, and a stop request
 * came meanwhile). */
int db_query(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, int n_params,
	     const char *const *params, struct db_result **ret, struct err *err) MMR_CHECKED;
/* meanwhile (may be NULL) runs once while the server works; it must not use this session. */
int db_query_meanwhile(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, int n_params,
		       const char *const *params, void (*meanwhile)(void *payload), void *payload,
		       struct db_result **ret, struct err *err) MMR_CHECKED;
/* As db_query, prepared once per session (by the address of sql) and always run with its generic plan: for statements
 * by row location, which must not tip into a scan. Not for `= ANY(array)` of ids (there the generic plan is the trap).
 * Statements of db_query are planned for their own parameters every time. One statement per .sql file; one without
 * parameters has one plan anyway. */
int db_query_prepared(void *ctx, struct db *db, const struct sql *sql, enum db_shape shape, int n_params,
		      const char *const *params, struct db_result **ret, struct err *err) MMR_CHECKED;
/* Several statements like that in one round trip.  The first error ends all of them: inside a transaction.  meanwhile
 * (may be NULL) runs once while the server works; it must not use this session. */
enum { DB_CALL_PARAMS = 6 };         /* at most */
struct db_call {
	const struct sql *sql;
	int n_params;
	const char *const *params;     /* db_binary_data, or text where lengths is NULL */
	const int *lengths;
	int64_t affected;              /* rows, or the number of a row set */
	struct db_result **ret;        /* the row set, of ctx; NULL: its rows are not wanted */
	void *ctx;
};
int db_query_together(struct db *db, struct db_call *call, size_t n, void (*meanwhile)(void *payload), void *payload,
		      struct err *err) MMR_CHECKED;
/* Number of rows the last DELETE/UPDATE/INSERT of this handle changed. */
int64_t db_affected(const struct db *db);

/* Streams the rows of a statement in single-row mode: fn is called per row with borrowed fields.
 * fn returns 0 to go on, 1 to stop early without an error, or a negative code. Inside a transaction an early stop reads
 * the rest and drops it (a cancel would end the transaction). No other statement of this session inside fn.
 * Errors: what fn returns, and those of db_query; also after rows were given, of which the caller then knows nothing.
 * Inside a transaction only db_rollback may follow. */
struct db_row {
	int columns;
	const char *const *value; /* NULL for SQL NULL */
	const size_t *len;
};
typedef int (*db_row_fn)(void *payload, const struct db_row *row, struct err *err);
int db_stream(struct db *db, const struct sql *sql, int n_params, const char *const *params, db_row_fn fn,
	      void *payload, struct err *err) MMR_CHECKED;
/* A bigint as the server writes it; of other text the digits that it begins with.  For numbers of every row, where
 * strtoll took a twentieth of a plan's processor. */
static inline int64_t db_bigint(const char *text)
{
	bool negative = *text == '-';
	uint64_t n = 0;

	for (text += negative; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	return (int64_t)(negative ? 0 - n : n);
}

/* Server-side cursors, to merge several streams in one transaction: the statement text is wrapped in
 * DECLARE <name> NO SCROLL CURSOR FOR. Names are compiled in, never user text.
 * Needs a transaction, and is of no use after its end.  fetch_rows: of a page, at most, 0 = 1000; a page is asked for
 * while the caller works on the one before, and other statements of the session may come between.  Memory is two pages
 * of 2 MiB at most and one row; what is more of a page goes to a work file, and the next one has fewer rows.  *ret's
 * parent is ctx.  Errors as db_query; those of the rows, and of the work file, show in db_cursor_next. */
struct db_cursor;
int db_cursor_open(void *ctx, struct db *db, const char *name, const struct sql *sql, int n_params,
		   const char *const *params, int fetch_rows, struct db_cursor **ret, struct err *err) MMR_CHECKED;
/* Of cursors that are read from then on, pages are taken in by a thread of their own; or where there is none, and else,
 * by the caller between two rows, which costs less and leaves server and caller waiting for each other more. */
void db_cursor_beside(struct db *db, bool beside);
/* Asks for the first page, which the server makes while the caller does other things.  A failure shows when it is
 * wanted. */
void db_cursor_ask(struct db_cursor *c);
/* 1 and *ret (valid until the next call), 0 at the end, or a negative code as of db_query or file_temp: only
 * db_rollback may follow.  The cause may be the page of another cursor. */
int db_cursor_next(struct db_cursor *c, struct db_row *ret, struct err *err) MMR_CHECKED;
/* Frees it, also on errors. talloc_free alone leaves it open on the server until the transaction ends. */
int db_cursor_close(struct db_cursor *c, struct err *err) MMR_CHECKED;

/* COPY <table> FROM STDIN (text format); rows given as ready COPY text lines, in pieces of any size.  Nothing else may
 * use the session until _end; a mistake in a row shows there.  Errors as db_query: only db_rollback may follow. */
int db_copy_in_begin(struct db *db, const struct sql *copy_sql, struct err *err) MMR_CHECKED;
int db_copy_in_data(struct db *db, const char *data, size_t len, struct err *err) MMR_CHECKED;
int db_copy_in_end(struct db *db, struct err *err) MMR_CHECKED;
/* What COPY … TO STDOUT of one session gives goes into COPY … FROM STDIN of another, in a format that both name.
 * Memory is 64 KiB and one row. After an error both transactions can only be rolled back. */
int db_copy_across(struct db *from, const struct sql *out, struct db *to, const struct sql *in,
		   struct err *err) MMR_CHECKED;

/* ---- transactions ---- */
enum db_mode {
	DB_READ_SNAPSHOT /* REPEATABLE READ READ ONLY */,
	DB_EXPORT_SNAPSHOT /* REPEATABLE READ, may fill temporary tables */,
	DB_READ_COMMITTED
};
/* One at a time.  Errors as db_query. */
int db_begin(struct db *db, enum db_mode mode, struct err *err) MMR_CHECKED;
/* And its first statements, in the same round trip; they are prepared before.  After an error only db_rollback may
 * follow. */
int db_begin_together(struct db *db, enum db_mode mode, struct db_call *call, size_t n, struct err *err) MMR_CHECKED;
/* ERR_COMMIT_UNKNOWN when the connection broke before the answer, or a synchronous standby did not confirm it within 30
 * s (2 s once a stop is requested): nothing that cannot be undone may follow.  Any other code: rolled back (call
 * db_rollback). */
int db_commit(struct db *db, struct err *err) MMR_CHECKED;
/* The snapshot of this session's transaction, by a name that lives as long as the transaction; and a transaction of
 * another session that sees the same, in one of the first two modes. A failed export has broken the transaction. */
int db_snapshot_export(void *ctx, struct db *db, char **ret_name, struct err *err) MMR_CHECKED;
int db_snapshot_begin(struct db *db, const char *name, enum db_mode mode, struct err *err) MMR_CHECKED;
void db_rollback(struct db *db); /* never fails: a broken connection has rolled back */
/* What follows in this transaction can be undone by itself, also after an error of a statement; the next one keeps it.
 * The server remembers 64 between which something was written without a cost to other sessions: a transaction should
 * have no more.  Errors as db_query. */
int db_savepoint(struct db *db, struct err *err) MMR_CHECKED;
int db_savepoint_undo(struct db *db, struct err *err) MMR_CHECKED;

/* ---- the advisory lock of a run ---- */
/* On a session of its own (db_open_again). ERR_LOCKED when another run holds it (message names its pid, host, start).
 */
int db_lock(struct db *db, int64_t key, struct err *err) MMR_CHECKED;
/* Still held by this very session?  ERR_LOCKED or ERR_DB_GONE when not. */
int db_lock_check(struct db *db, int64_t key, struct err *err) MMR_CHECKED;

/* ---- array parameters: builds {"a","b"} with quoting ---- */
struct db_array { struct buf b; uint64_t n; }; /* memory belongs to ctx */
void db_array_init(struct db_array *a, void *ctx);
void db_array_add(struct db_array *a, const char *text, size_t len); /* NULL text = NULL */
void db_array_add_i64(struct db_array *a, int64_t v);
/* Closes the brace; the array may not be added to afterwards. An array that passed 256 MiB or got a NUL byte gives a
 * text that the server refuses. */
const char *db_array_text(struct db_array *a);
void db_array_clear(struct db_array *a); /* empty again, keeps memory */
/* The same in binary form, for db_query_together. Never empty. */
enum db_element { DB_TEXT, DB_INT8, DB_TID, DB_XID };
struct db_binary { struct buf b; uint64_t n; };
void db_binary_init(struct db_binary *a, void *ctx, enum db_element type);
void db_binary_add_text(struct db_binary *a, const char *text, size_t len);
void db_binary_add_i64(struct db_binary *a, int64_t v);
void db_binary_add_tid(struct db_binary *a, uint32_t block, uint16_t offset);
void db_binary_add_xid(struct db_binary *a, uint32_t v);
void db_binary_add_null(struct db_binary *a);
/* Borrowed, and its length in bytes. An array that passed 256 MiB gives what the server refuses. */
const char *db_binary_data(struct db_binary *a, int *ret_len);

#endif
