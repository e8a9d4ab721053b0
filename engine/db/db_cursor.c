/*
 * db_cursor.c - server-side cursors, so that several row streams can be merged in one transaction.
 *
 * Each cursor's next page is asked for while the caller works on this one, one after the other in the order of opening;
 * what comes is taken out of the socket meanwhile, which holds less than a page and would stop the server: by a thread
 * (db_reader.c), or by the caller between two rows.  Rows come in single-row mode: a page that is much wider than the
 * one before is never in memory as a whole.
 */
#include <string.h>

#include "db_internal.h"

enum { LOOK_EVERY_ROWS = 32 };

struct db_cursor {
	struct db *db;
	struct db_cursor *later; /* in the list of open ones */
	const struct sql *sql;
	const char *name;
	char *close;
	int fetch_rows;
	struct db_page *page, *next;
	struct db_wait wait;
	bool ahead;    /* the next page is under way */
	bool has_next; /* and has come */
	bool begun, last_page, asked; /* asked: for its first page, too */
	bool over;     /* its transaction has ended */
	int columns;   /* room of the row */
	const char **value;
	size_t *len;
};

static void leave_list(struct db_cursor *c)
{
	struct db_cursor **at = &c->db->cursors;

	while (*at && *at != c)
		at = &(*at)->later;
	if (*at)
		*at = c->later;
	if (c->db->wanted == c)
		c->db->wanted = NULL;
}

/* The session is the caller's when there is no cursor. */
static void end_reader(struct db *db)
{
	struct db_reader *r = db->reader;

	db->reader = NULL;
	if (r)
		db_reader_free(r);
}

static int cursor_destroy(struct db_cursor *c)
{
	if (c->ahead || (c->db && c->db->reader))
		db_cursor_settle(c->db);
	if (c->db)
		leave_list(c);
	if (c->db && !c->db->cursors)
		end_reader(c->db);
	talloc_free(c->page);
	talloc_free(c->next);
	return 0;
}

/* The rest of the page, for which it waits. */
static void take_all(struct db_cursor *c)
{
	PGresult *r;

	while ((r = db_next_result(c->db, &c->wait)) != NULL) {
		db_page_add(c->next, r);
		if (PQstatus(c->db->pg) != CONNECTION_OK)
			break;
	}
}

static void collect(struct db_cursor *c)
{
	take_all(c);
	c->db->busy = NULL;
	c->has_next = true;
}

void db_cursor_settle(struct db *db)
{
	struct db_cursor *c = db->ahead;

	if (db->reader)
		db_reader_hold(db->reader, false);
	if (!c)
		return;
	db->ahead = NULL;
	c->ahead = false;
	collect(c);
}

/* Rows that have come; false: more will. */
static bool take_rows(struct db_cursor *c)
{
	while (!PQisBusy(c->db->pg)) {
		PGresult *r = PQgetResult(c->db->pg);

		if (!r)
			return true;
		db_page_add(c->next, r);
		if (PQstatus(c->db->pg) != CONNECTION_OK)
			return true;
	}
	return false;
}

void db_cursor_drop(struct db *db)
{
	if (db->reader)
		db_reader_hold(db->reader, true);
	if (db->ahead)
		db_cancel(db);
	db_cursor_settle(db);
	for (struct db_cursor *c = db->cursors; c; c = c->later)
		c->over = true;
}

void db_cursor_beside(struct db *db, bool beside)
{
	db_cursor_settle(db);
	db->beside = beside;
}

void db_cursor_forget(struct db *db)
{
	end_reader(db);
	for (struct db_cursor *c = db->cursors; c; c = c->later) {
		c->ahead = false;
		c->db = NULL;
	}
	db->cursors = db->ahead = NULL;
}

int db_cursor_open(void *ctx, struct db *db, const char *name, const struct sql *sql, int n_params,
		   const char *const *params, int fetch_rows, struct db_cursor **ret, struct err *err)
{
	struct db_cursor *c = mem_new(ctx, struct db_cursor);
	struct sql declare = {.name = sql->name};
	struct db_cursor **at;
	int r;

	talloc_set_destructor(c, cursor_destroy);
	c->db = db;
	c->sql = sql;
	c->fetch_rows = fetch_rows > 0 ? fetch_rows : 1000;
	c->name = mem_strdup(c, name);
	c->page = db_page_new(NULL); /* they grow in whichever thread fills them: nothing else hangs there */
	c->next = db_page_new(NULL);
	c->close = mem_printf(c, "CLOSE %s", name);
	declare.text = mem_printf(c, "DECLARE %s NO SCROLL CURSOR FOR\n%s", name, sql->text);
	r = db_query(c, db, &declare, DB_NONE, n_params, params, NULL, err);
	if (r < 0) {
		talloc_free(c);
		return r;
	}
	for (at = &db->cursors; *at;)
		at = &(*at)->later;
	*at = c;
	*ret = c;
	return 0;
}

/* As many as memory is meant for, by the width of the last ones. */
static int rows_wanted(const struct db_cursor *c)
{
	uint64_t n = c->page->n ? DB_PAGE_AIM_BYTES / (c->page->bytes / (uint64_t)c->page->n) : (uint64_t)c->fetch_rows;

	return n < 1 ? 1 : n < (uint64_t)c->fetch_rows ? (int)n : c->fetch_rows;
}

static bool send_text(struct db_cursor *c)
{
	char text[128];

	/* fits: names have at most 63 bytes */
	(void)snprintf(text, sizeof text, "FETCH FORWARD %d FROM %s", c->next->wanted, c->name);
	return PQsendQuery(c->db->pg, text);
}

static int send_fetch(struct db_cursor *c, int rows, struct err *err)
{
	int r = db_begin_statement(c->db, c->sql->name, &c->wait, err);

	if (r < 0)
		return r;
	db_page_clear(c->next);
	c->next->wanted = rows;
	if (send_text(c))
		return PQsetSingleRowMode(c->db->pg)
			       ? 0
			       : err_set(err, ERR_INTERNAL, "no single-row mode (%s)", c->sql->name);
	c->db->busy = NULL;
	return db_fail(c->db, NULL, c->sql->name, &c->wait, err);
}

/* Asks for the page after this one; a failure shows when that one is wanted. */
static void ask_ahead(struct db_cursor *c)
{
	struct err ignored;

	if (send_fetch(c, rows_wanted(c), &ignored) < 0)
		return;
	c->db->busy = NULL;
	c->db->ahead = c;
	c->ahead = true;
}

static bool is_missing(const struct db_cursor *c)
{
	return (c->begun || c->asked) && !c->last_page && !c->has_next && !c->over;
}

static struct db_cursor *failed_one(const struct db *db, const struct db_cursor *but)
{
	struct db_cursor *c = db->cursors;

	while (c && (c == but || c->over || !c->has_next || c->next->ended))
		c = c->later;
	return c;
}

bool db_cursor_failed(const struct db *db)
{
	return failed_one(db, NULL) != NULL;
}

struct db_cursor *db_cursor_missing(const struct db *db, bool wanted)
{
	struct db_cursor *c = db->cursors;

	if (db_cursor_failed(db))
		return NULL; /* the server refuses what comes after, and what it says then is not the cause */
	if (db->wanted && is_missing(db->wanted))
		return db->wanted;
	if (wanted)
		return NULL;
	while (c && !is_missing(c))
		c = c->later;
	return c;
}

void db_cursor_want(struct db_cursor *c)
{
	c->asked = true;
}

/* ---- for the thread ---- */

void db_cursor_prepare(struct db_cursor *c)
{
	db_page_clear(c->next);
	c->next->wanted = rows_wanted(c);
	c->wait = (struct db_wait){.stop_before = stop_requested()};
}

/* What fails shows as a page without an end. */
void db_cursor_take(struct db_cursor *c)
{
	struct db_page *p = c->next;

	if (PQstatus(c->db->pg) != CONNECTION_OK || !send_text(c))
		return;
	if (!PQsetSingleRowMode(c->db->pg))
		p->rc = err_set(&p->err, ERR_INTERNAL, "no single-row mode (%s)", c->sql->name);
	take_all(c);
}

void db_cursor_came(struct db_cursor *c)
{
	c->has_next = true;
}

/* The page that has come takes the place of the one that is read. */
static void turn(struct db_cursor *c)
{
	struct db_page *given = c->page;

	c->page = c->next;
	c->next = given;
	c->has_next = false;
	c->begun = true;
	c->last_page = c->page->rc == 0 && c->page->n < c->page->wanted;
	c->db->wanted = NULL;
}

bool db_cursor_turn(struct db_cursor *c)
{
	if (!c->has_next) {
		c->asked = true;
		c->db->wanted = c;
	}
	if (!c->has_next || !c->next->ended)
		return false;
	turn(c);
	return true;
}

/* ---- for the caller ---- */

/* Takes in what has come, without waiting, and keeps the server at work on the next page that is missing. */
static void look_ahead(struct db *db)
{
	struct db_cursor *c;

	if (db->busy)
		return; /* a stream or a COPY has the session */
	if (db->beside && !db->reader) {
		db->reader = db_reader_new(db);
		db->beside = db->reader != NULL;
	}
	if (db->reader) {
		db_reader_go(db->reader);
		return;
	}
	if (db->ahead) {
		if (!PQconsumeInput(db->pg) || !take_rows(db->ahead))
			return; /* a broken connection shows when the page is wanted */
		db_cursor_settle(db);
	}
	/* after a stop request it would not be cancelled */
	if ((c = db_cursor_missing(db, stop_requested() != 0)))
		ask_ahead(c);
}

void db_cursor_ask(struct db_cursor *c)
{
	if (c->db->reader)
		db_reader_ask(c->db->reader, c);
	else
		db_cursor_want(c);
	look_ahead(c->db);
}

int db_awake(struct db *db, struct err *err)
{
	static const struct sql word = {"db_awake", "SELECT 1"};
	struct db_result *res auto_mem = NULL;
	int r;

	if (db->reader && db_reader_works(db->reader))
		return 0;
	while (db->ahead && !take_rows(db->ahead)) { /* what has come of the page may be all, and the server silent */
		if (!db_has_input(db, 0))
			return 0; /* at work */
		if (!PQconsumeInput(db->pg))
			break;
	}
	r = db_query(NULL, db, &word, DB_ONE, 0, NULL, &res, err);
	if (db->reader)
		db_reader_go(db->reader);
	return r;
}

/* The cause may lie in another cursor's page, asked for ahead: after that the server refuses every other. */
static int page_failed(struct db_cursor *c, struct err *err)
{
	struct db_cursor *cause = failed_one(c->db, c) ?: c;

	return db_fail(c->db, cause->next->failed, cause->sql->name, &cause->wait, err);
}

static int wait_for_page(struct db_cursor *c, struct err *err)
{
	int r;

	if (c->ahead)
		db_cursor_settle(c->db);
	if (!c->has_next) {
		if ((r = send_fetch(c, rows_wanted(c), err)) < 0)
			return r;
		collect(c);
	}
	if (!c->next->ended)
		return page_failed(c, err);
	turn(c);
	return 0;
}

static int fetch_page(struct db_cursor *c, struct err *err)
{
	int r = 0;

	if (c->over)
		return err_set(err, ERR_INTERNAL, "rows of %s are asked for after its transaction", c->sql->name);
	if (c->db->busy)
		return err_set(err, ERR_INTERNAL, "rows of %s inside statement %s", c->sql->name, c->db->busy);
	if (c->db->beside)
		look_ahead(c->db);
	if (c->db->reader)
		r = db_reader_page(c->db->reader, c) ? 0 : page_failed(c, err);
	else
		r = wait_for_page(c, err);
	if (r < 0)
		return r;
	if (c->page->rc < 0)
		return *err = c->page->err, c->page->rc;
	if (!c->db->reader) {
		db_page_clear(c->next);
		look_ahead(c->db);
	}
	return 0;
}

static void make_room(struct db_cursor *c)
{
	if (c->columns == c->page->columns)
		return;
	c->columns = c->page->columns;
	c->value = mem_array(c, const char *, (unsigned)c->columns + 1);
	c->len = mem_array(c, size_t, (unsigned)c->columns + 1);
}

int db_cursor_next(struct db_cursor *c, struct db_row *ret, struct err *err)
{
	int r;

	if (c->page->at == c->page->n) {
		if (c->last_page)
			return 0;
		r = fetch_page(c, err);
		if (r < 0)
			return r;
		if (c->page->n == 0)
			return 0;
	}
	if (c->page->at % LOOK_EVERY_ROWS == 0)
		look_ahead(c->db);
	make_room(c);
	if ((r = db_page_next(c->page, c->value, c->len, err)) < 0)
		return r;
	*ret = (struct db_row){.columns = c->columns, .value = c->value, .len = c->len};
	return 1;
}

int db_cursor_close(struct db_cursor *c, struct err *err)
{
	int r = db_exec(c->db, c->sql->name, c->close, err);

	talloc_free(c);
	return r;
}
