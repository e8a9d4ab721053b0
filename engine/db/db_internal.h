/*
 * db_internal.h - what the files of the db room share.
 */
#ifndef MMRETAIN_DB_INTERNAL_H
#define MMRETAIN_DB_INTERNAL_H

#include <mmretain/db.h>

#include "db_libpq.h"

/* Ceilings and clocks, together (each with its unit and reason). */
enum {
	DB_SERVER_MIN = 130000,          /* older servers are out of support and out of test */
	DB_CONNECT_S = 10,               /* seconds per host, when nobody said otherwise */
	DB_IDLE_MS = 15 * 60 * 1000,     /* idle in a transaction: a snapshot held longer stops vacuum */
	DB_POLL_MS = 250,                /* how often a wait looks at the stop flag */
	DB_CANCEL_AGAIN_MS = 1000,       /* when it has not helped */
	DB_STOP_GRACE_MS = 2000,         /* a statement may end by itself this long after a stop request */
	/* the answer to COMMIT: the server may be waiting for a standby that is gone */
	DB_COMMIT_PATIENCE_MS = 30000,
	DB_LOCK_PATIENCE_MS = 3000,      /* the server needs a moment to notice that a run has ended, a busy one more */
	DB_ARRAY_BYTES = 256 << 20,      /* one array parameter */
	DB_PAGE_BYTES = 2 << 20,         /* a cursor's page in memory; there are two a cursor, and a dozen cursors */
	/* the next page has as many rows as that holds of the last one's: 500 rows of 2 KiB */
	DB_PAGE_AIM_BYTES = 1 << 20,
};

enum db_plan_mode { DB_PLAN_UNKNOWN, DB_PLAN_AUTO, DB_PLAN_GENERIC };

struct db {
	PGconn *pg;
	char *conninfo;            /* may hold a password: wiped when freed */
	struct db_options options;
	char *schema, *safe, *server_start;
	int version;
	bool recovery;
	int64_t affected;
	_Atomic bool given_up;     /* another thread: nobody wants what it does */
	const char *busy;          /* name of the statement under way, or NULL */
	bool warned;               /* the server warned of something since this was cleared */
	enum db_plan_mode plan_mode;
	bool savepoint;            /* this transaction has one */
	struct db_cursor *cursors; /* open ones, as they were opened */
	struct db_cursor *ahead;   /* its next page is under way; whoever begins a statement takes it in first */
	bool beside;               /* pages are taken in by a thread: */
	struct db_reader *reader;  /* or NULL, while there is no cursor to read */
	struct db_cursor *wanted;  /* whose page comes first */
	const struct sql **prepared;
	size_t n_prepared;
};

/* One wait for the answers of one statement. */
struct db_wait {
	int stop_before;           /* a stop that was already known when the statement began does not cancel it */
	int64_t stop_seen_ms;
	int64_t commit_from_ms;    /* of a COMMIT: when it was sent; else 0 */
	bool cancelled, never_cancel;
	int64_t cancelled_ms;      /* the last time */
};

/* Parameters of a connection, all of them explicit (db_params.c). */
#define DB_MAX_PARAMS 64
struct db_params {
	const char *key[DB_MAX_PARAMS + 1];
	const char *value[DB_MAX_PARAMS + 1];
	int n;
};
int db_params_resolve(void *ctx, const char *conninfo, struct db_params *ret, struct err *err) MMR_CHECKED;
const char *db_params_get(const struct db_params *p, const char *key); /* "" when unset */
void db_params_set(struct db_params *p, const char *key, const char *value);
/* TLS for hosts that are not local, a timeout that is one */
int db_params_check(const struct db_params *p, struct err *err) MMR_CHECKED;
int db_params_passfile(void *ctx, const struct db_params *p, struct err *err) MMR_CHECKED;

/* A connection with these parameters, good or bad, which the caller asks and finishes; NULL: out of memory.  Each
 * address of each host has timeout_ms.
 * *ret_before: what the attempts before this one came to, and which address did not answer in that time, for people, a
 * line each, or NULL; of ctx, as all that is needed meanwhile.  A stop request ends it at once. Names are looked up by
 * the system's resolver, which ends in its own time. */
PGconn *db_reach(void *ctx, const struct db_params *params, int64_t timeout_ms, const char **ret_before);

/* How many bytes of libpq's text are whole lines: of an attempt that nobody waits for any more there is half a one. */
int db_whole_lines(const char *text);

/* Settings of a new session, facts about the server (db_session.c). */
int db_session_start(struct db *db, struct err *err) MMR_CHECKED;

/* Begin a statement: refuses a dead connection and a statement inside a stream. */
int db_begin_statement(struct db *db, const char *name, struct db_wait *ret, struct err *err) MMR_CHECKED;
/* Whether the server has said something that was not yet taken in; waits for it that long. */
bool db_has_input(const struct db *db, int timeout_ms);
/* Waits a moment for what the server sends, and cancels after a stop request.  False: the connection is broken. */
bool db_wait_input(struct db *db, struct db_wait *w);
/* The next result, or NULL when the statement is over; waits as that. */
PGresult *db_next_result(struct db *db, struct db_wait *w);
void db_cancel(struct db *db);
/* Reads and forgets what is left of the statement and marks the session free again. */
void db_drain(struct db *db, struct db_wait *w);
/* All results of a statement; *ret is the only one, or the first that failed. */
PGresult *db_collect(struct db *db, struct db_wait *w);

/* Fill err from a failed result (may be NULL); returns the code. */
int db_fail(struct db *db, const PGresult *r, const char *name, const struct db_wait *w, struct err *err);

/* The rows of a cursor's page, as they come (db_page.c). */
struct db_page {
	struct buf rows;           /* the first ones */
	int fd;                    /* the others, or -1 */
	uint64_t file_bytes;
	struct buf row;            /* one that was read from there */
	int wanted, n, at, columns; /* rows that were asked for, that came, that were given */
	uint64_t bytes, pos;
	bool ended;                /* all of them came */
	PGresult *failed;
	int rc;                    /* of the work file, told when a row is wanted */
	struct err err;
};
struct db_page *db_page_new(void *ctx);
void db_page_clear(struct db_page *p);
/* A result of single-row mode, which it owns from then on. */
void db_page_add(struct db_page *p, PGresult *r);
/* The next row, of which there must be one; valid until the next call. */
int db_page_next(struct db_page *p, const char **value, size_t *len, struct err *err) MMR_CHECKED;

/* Takes in the page that is under way; the thread asks for no other until rows are read on. */
void db_cursor_settle(struct db *db);
/* The same where the transaction ends: nobody wants that page, and no row of these cursors may be asked for. */
void db_cursor_drop(struct db *db);
/* The session ends: its cursors must not touch it any more. */
void db_cursor_forget(struct db *db);
/* For the reader; all but _take under its lock. */
/* Whose next page is to be asked for, or NULL, also when one has failed; wanted: of that one that the caller waits for.
 */
struct db_cursor *db_cursor_missing(const struct db *db, bool wanted);
void db_cursor_prepare(struct db_cursor *c);
void db_cursor_take(struct db_cursor *c);       /* asks for it and takes it in */
void db_cursor_came(struct db_cursor *c);
void db_cursor_want(struct db_cursor *c);       /* its first page */
bool db_cursor_failed(const struct db *db);     /* a page of the transaction has */
/* The caller's: the page that has come is the one to read; false: none has. */
bool db_cursor_turn(struct db_cursor *c);

/* A thread that takes in the pages of a session's cursors (db_reader.c), of the heap; NULL: none can be had.  It begins
 * held. One caller at a time. */
struct db_reader *db_reader_new(struct db *db);
void db_reader_free(struct db_reader *r);
/* Waits for the page under way, after which the session is the caller's. cancel: nobody wants that page. */
void db_reader_hold(struct db_reader *r, bool cancel);
void db_reader_go(struct db_reader *r);         /* the end of that */
void db_reader_ask(struct db_reader *r, struct db_cursor *c); /* for the first page, whatever is under way */
bool db_reader_works(struct db_reader *r);      /* a page is under way */
/* Waits for the cursor's next page, and turns to it.  False: that one, or one before it, has failed; it is held. */
bool db_reader_page(struct db_reader *r, struct db_cursor *c);

/* A command without parameters and without rows, by the simple protocol. */
int db_exec(struct db *db, const char *name, const char *text, struct err *err) MMR_CHECKED;
#define DB_SET_GENERIC "SET plan_cache_mode = force_generic_plan"
/* Prepares it on this session unless that was done. */
int db_prepare(struct db *db, const struct sql *sql, struct err *err) MMR_CHECKED;
/* Make sure that the next statement is planned as wanted. */
int db_plan_mode(struct db *db, enum db_plan_mode mode, struct err *err) MMR_CHECKED;
const char *db_begin_text(enum db_mode mode);
struct db_result *db_result_new(void *ctx, PGresult *pg); /* which it owns from then on */
/* Sends one statement with an unnamed parse: planned for its own parameters every time. */
int db_send(struct db *db, const struct sql *sql, int n_params, const char *const *params, struct db_wait *ret,
	    struct err *err) MMR_CHECKED;

void db_result_clear_p(PGresult **r);
#define auto_pgresult __attribute__((cleanup(db_result_clear_p)))

#endif
