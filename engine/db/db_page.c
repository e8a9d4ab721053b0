/*
 * db_page.c - the rows of one page of a cursor.
 *
 * A page is so many rows, of any width: its first DB_PAGE_BYTES are in memory, what is more goes to a work file, in
 * order, and comes back row by row. A row is its length and, for each column, a length (-1: NULL), the bytes and a NUL.
 */
#include <string.h>
#include <unistd.h>

#include "db_internal.h"

static int page_destroy(struct db_page *p)
{
	PQclear(p->failed);
	if (p->fd >= 0)
		close(p->fd);
	return 0;
}

struct db_page *db_page_new(void *ctx)
{
	struct db_page *p = mem_new(ctx, struct db_page);

	p->fd = -1;
	talloc_set_destructor(p, page_destroy);
	buf_init(&p->rows, p, DB_PAGE_BYTES);
	buf_init(&p->row, p, SIZE_MAX / 2);
	return p;
}

void db_page_clear(struct db_page *p)
{
	PQclear(p->failed);
	p->failed = NULL;
	p->ended = false;
	p->n = p->at = p->columns = 0;
	p->bytes = p->pos = p->file_bytes = 0;
	p->rc = 0;
	buf_clear(&p->rows);
	if (p->fd >= 0) { /* rare: the next page has as many rows as fit */
		close(p->fd);
		p->fd = -1;
		buf_reset(&p->row);
	}
}

static size_t row_bytes(const PGresult *r, int columns)
{
	size_t n = sizeof n;

	for (int i = 0; i < columns; i++)
		n += sizeof(int32_t) + (size_t)PQgetlength(r, 0, i) + 1;
	return n;
}

static void put_row(struct buf *b, const PGresult *r, int columns, size_t bytes)
{
	buf_put(b, &bytes, sizeof bytes);
	for (int i = 0; i < columns; i++) {
		int32_t len = PQgetisnull(r, 0, i) ? -1 : PQgetlength(r, 0, i);

		buf_put(b, &len, sizeof len);
		buf_put(b, PQgetvalue(r, 0, i), (size_t)PQgetlength(r, 0, i));
		buf_byte(b, '\0');
	}
}

static int to_file(struct db_page *p, const PGresult *r, size_t bytes, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "a wide row");
	struct buf b;
	int rc = p->fd < 0 ? file_temp(NULL, &p->fd, err) : 0;

	buf_init(&b, ctx, bytes);
	buf_start(&b, bytes);
	put_row(&b, r, p->columns, bytes);
	if (rc == 0)
		rc = file_temp_write(p->fd, b.data, b.len, (off_t)p->file_bytes, err);
	p->file_bytes += bytes;
	return rc;
}

static void add_row(struct db_page *p, const PGresult *r)
{
	size_t bytes;

	p->columns = PQnfields(r);
	bytes = row_bytes(r, p->columns);
	p->n++;
	p->bytes += bytes;
	if (p->fd < 0 && bytes <= DB_PAGE_BYTES - p->rows.len)
		put_row(&p->rows, r, p->columns, bytes);
	else if (p->rc == 0)
		p->rc = to_file(p, r, bytes, &p->err);
}

void db_page_add(struct db_page *p, PGresult *r)
{
	if (PQresultStatus(r) == PGRES_SINGLE_TUPLE)
		add_row(p, r);
	else if (PQresultStatus(r) == PGRES_TUPLES_OK)
		p->ended = true;
	else if (!p->failed) {
		p->failed = r;
		return;
	}
	PQclear(r);
}

/* Where the row lies in memory, without its length; NULL: *rc < 0. */
static const char *find_row(struct db_page *p, int *rc, struct err *err)
{
	bool in_file = p->pos >= p->rows.len;
	off_t at = in_file ? (off_t)(p->pos - p->rows.len) : 0;
	const char *row;
	size_t bytes;

	if (in_file) {
		if ((*rc = file_pread_all(p->fd, &bytes, sizeof bytes, at, "work file", err)) < 0)
			return NULL;
		buf_clear(&p->row);
		if (!buf_reserve(&p->row, bytes)) {
			*rc = err_set(err, ERR_INTERNAL, "a row of %zu bytes", bytes);
			return NULL;
		}
		if ((*rc = file_pread_all(p->fd, p->row.data, bytes, at, "work file", err)) < 0)
			return NULL;
	}
	row = in_file ? p->row.data : p->rows.data + p->pos;
	memcpy(&bytes, row, sizeof bytes);
	p->pos += bytes;
	return row + sizeof bytes;
}

int db_page_next(struct db_page *p, const char **value, size_t *len, struct err *err)
{
	int rc = 0;
	const char *at = find_row(p, &rc, err);

	if (!at)
		return rc;
	for (int i = 0; i < p->columns; i++) {
		int32_t n;

		memcpy(&n, at, sizeof n);
		at += sizeof n;
		value[i] = n < 0 ? NULL : at;
		len[i] = n < 0 ? 0 : (size_t)n;
		at += len[i] + 1;
	}
	p->at++;
	return 0;
}
