/*
 * db_cursor.c - server-side cursors, so that several row streams can be merged in one transaction.
 *
 * Each cursor's next page is asked for while the caller works on this one, one after the other in the order of opening; what comes is taken out of
 * the socket meanwhile, which holds less than a page and would stop the server.
 */
#include <string.h>

#include "db_internal.h"

enum { LOOK_EVERY_ROWS = 32 };

struct db_cursor {
	struct db *db;
	struct db_cursor *later; /* in the list of open ones */
	const struct sql *sql;
	char *fetch, *close;
	int fetch_rows;
	PGresult *page, *next;
	struct db_wait wait;
	bool ahead; /* the next page is under way */
	int at, rows, columns;
	bool last_page, asked; /* asked: for its first page, too */
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
}

static int cursor_destroy(struct db_cursor *c)
{
	if (c->ahead)
		db_cursor_settle(c->db);
	if (c->db)
		leave_list(c);
	PQclear(c->page);
	PQclear(c->next);
	return 0;
}

void db_cursor_settle(struct db *db)
{
	struct db_cursor *c = db->ahead;

	if (!c)
		return;
	db->ahead = NULL;
	c->ahead = false;
	c->next = db_collect(db, &c->wait);
}

void db_cursor_forget(struct db *db)
{
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
	c->fetch = mem_printf(c, "FETCH FORWARD %d FROM %s", c->fetch_rows, name);
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

static int send_fetch(struct db_cursor *c, struct err *err)
{
	int r = db_begin_statement(c->db, c->sql->name, &c->wait, err);

	if (r < 0 || PQsendQuery(c->db->pg, c->fetch))
		return r;
	c->db->busy = NULL;
	return db_fail(c->db, NULL, c->sql->name, &c->wait, err);
}

/* Asks for the page after this one; a failure shows when that one is wanted. */
static void ask_ahead(struct db_cursor *c)
{
	struct err ignored;

	if (send_fetch(c, &ignored) < 0)
		return;
	c->db->busy = NULL;
	c->db->ahead = c;
	c->ahead = true;
}

/* Takes in what has come, without waiting, and keeps the server at work on the next page that is missing. */
static void look_ahead(struct db *db)
{
	struct db_cursor *c;

	if (db->ahead) {
		if (!PQconsumeInput(db->pg) || PQisBusy(db->pg))
			return; /* a broken connection shows when the page is wanted */
		db_cursor_settle(db);
	}
	for (c = db->cursors; c && ((!c->page && !c->asked) || c->last_page || c->next); c = c->later)
		;
	if (c)
		ask_ahead(c);
}

void db_cursor_ask(struct db_cursor *c)
{
	c->asked = true;
	look_ahead(c->db);
}

int db_awake(struct db *db, struct err *err)
{
	static const struct sql word = {"db_awake", "SELECT 1"};
	struct db_result *res auto_mem = NULL;

	while (db->ahead && PQisBusy(db->pg)) { /* what has come of the page may be all, and the server silent */
		if (!db_has_input(db, 0))
			return 0; /* at work */
		if (!PQconsumeInput(db->pg))
			break;
	}
	return db_query(NULL, db, &word, DB_ONE, 0, NULL, &res, err);
}

/* The cause may lie in another cursor's page, asked for ahead: after that the server refuses every other. */
static int page_failed(struct db_cursor *c, struct err *err)
{
	for (struct db_cursor *o = c->db->cursors; o; o = o->later)
		if (o->next && PQresultStatus(o->next) != PGRES_TUPLES_OK)
			return db_fail(c->db, o->next, o->sql->name, &o->wait, err);
	return db_fail(c->db, c->page, c->sql->name, &c->wait, err);
}

static int fetch_page(struct db_cursor *c, struct err *err)
{
	int r;

	PQclear(c->page);
	c->page = NULL;
	c->at = c->rows = 0;
	if (c->ahead)
		db_cursor_settle(c->db);
	if (!c->next) {
		if ((r = send_fetch(c, err)) < 0)
			return r;
		c->next = db_collect(c->db, &c->wait);
	}
	c->page = c->next;
	c->next = NULL;
	if (!c->page || PQresultStatus(c->page) != PGRES_TUPLES_OK)
		return page_failed(c, err);
	c->rows = PQntuples(c->page);
	c->last_page = c->rows < c->fetch_rows;
	look_ahead(c->db);
	return 0;
}

static void load_row(struct db_cursor *c)
{
	if (!c->value) {
		c->columns = PQnfields(c->page);
		c->value = mem_array(c, const char *, (unsigned)c->columns + 1);
		c->len = mem_array(c, size_t, (unsigned)c->columns + 1);
	}
	for (int i = 0; i < c->columns; i++) {
		c->value[i] = PQgetisnull(c->page, c->at, i) ? NULL : PQgetvalue(c->page, c->at, i);
		c->len[i] = (size_t)PQgetlength(c->page, c->at, i);
	}
}

int db_cursor_next(struct db_cursor *c, struct db_row *ret, struct err *err)
{
	int r;

	if (c->at == c->rows) {
		if (c->last_page)
			return 0;
		r = fetch_page(c, err);
		if (r < 0)
			return r;
		if (c->rows == 0)
			return 0;
	}
	if (c->at % LOOK_EVERY_ROWS == 0)
		look_ahead(c->db);
	load_row(c);
	c->at++;
	*ret = (struct db_row){.columns = c->columns, .value = c->value, .len = c->len};
	return 1;
}

int db_cursor_close(struct db_cursor *c, struct err *err)
{
	int r = db_exec(c->db, c->sql->name, c->close, err);

	talloc_free(c);
	return r;
}
