/*
 * mm_unlink_ask.c - what the database says of the entries of journals: by their numbers, in a work file.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_unlink_internal.h"

enum { PAGE = 5000, PAGE_BYTES = 4 << 20 };

static int mark(struct mm_unlink_asked *asked, const char *journal, int64_t at, unsigned bits, struct err *err)
{
	struct mm_journal_mark m = {.at = (uint64_t)at, .bits = bits};

	if (at < 1 || (uint64_t)at > asked->entries)
		return err_set(err, ERR_INTERNAL, "the %s has no entry %lld", journal, (long long)at);
	return spool_add(asked->mark, &m, err);
}

int mm_journal_want(struct mm_journal *j, uint64_t at, struct err *err)
{
	int64_t n = (int64_t)(j->before + at);

	db_array_add_i64(&j->asked->wanted, n);
	return mark(j->asked, j->kind->journal, n, MARK_WANTED, err);
}

struct page { struct db_array a[1 + MM_JOURNAL_PATHS]; uint64_t n, first, journal; };

static int load_page(struct mm *mm, void *ctx, struct page *p, struct err *err)
{
	const char *param[3 + MM_JOURNAL_PATHS];
	char first[24], journal[24];
	int rc;

	snprintf(first, sizeof first, "%llu", (unsigned long long)p->first);
	snprintf(journal, sizeof journal, "%llu", (unsigned long long)p->journal);
	param[0] = first;
	param[1] = journal;
	for (size_t i = 0; i < ARRAY_LEN(p->a); i++)
		param[2 + i] = db_array_text(&p->a[i]);
	rc = db_query(ctx, mm->db, &sql_unlink_work_fill, DB_NONE, ARRAY_LEN(param), param, NULL, err);
	for (size_t i = 0; i < ARRAY_LEN(p->a); i++)
		db_array_clear(&p->a[i]);
	p->first += p->n;
	p->n = 0;
	return rc;
}

static void add_to_page(struct page *p, const struct mm_journal_entry *e)
{
	db_array_add(&p->a[0], e->id, strlen(e->id));
	for (int i = 0; i < MM_JOURNAL_PATHS; i++)
		db_array_add(&p->a[1 + i], e->path[i], strlen(e->path[i]));
	p->n++;
}

static bool is_full(const struct page *p)
{
	size_t bytes = 0;

	for (size_t i = 0; i < ARRAY_LEN(p->a); i++)
		bytes += p->a[i].b.len;
	return p->n == PAGE || bytes > PAGE_BYTES;
}

static int load(struct mm *mm, struct page *p, struct mm_journal *j, void *ctx, struct err *err)
{
	struct mm_journal_entry e;
	int rc;

	mm_journal_rewind(j);
	while ((rc = mm_journal_next(j, &e, err)) == 1) {
		add_to_page(p, &e);
		if (is_full(p) && (rc = load_page(mm, ctx, p, err)) < 0)
			return rc;
	}
	if (rc == 0 && p->n)
		rc = load_page(mm, ctx, p, err);
	p->journal++;
	mm_journal_rewind(j);
	return rc;
}

static int load_all(struct mm *mm, const struct mm_unlink_item *item, size_t n, void *parent, struct err *err)
{
	auto_mem void *ctx = mem_context(parent, "unlink page");
	struct page p = {.first = 1};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(p.a); i++)
		db_array_init(&p.a[i], ctx);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = load(mm, &p, item[i].j, ctx, err);
	return rc;
}

struct marking { struct mm_unlink_asked *asked; const char *journal; };

/* Columns: number of the entry, and of the path, from 0; without that: its row is there, or it is the same row again.
 */
static int on_mark(void *payload, const struct db_row *row, struct err *err)
{
	int64_t at = strtoll(row->value[0], NULL, 10), path = row->columns > 1 ? strtoll(row->value[1], NULL, 10) : 0;
	const struct marking *m = payload;

	if (path < 0 || path >= MM_JOURNAL_PATHS)
		return err_set(err, ERR_INTERNAL, "an entry of a journal has no path %lld", (long long)path);
	return mark(m->asked, m->journal, at, row->columns > 1 ? (unsigned)MARK_SHARED << path : MARK_EXISTS, err);
}

static int by_entry(const void *a, const void *b)
{
	uint64_t x = ((const struct mm_journal_mark *)a)->at, y = ((const struct mm_journal_mark *)b)->at;

	return (x > y) - (x < y);
}

static int ask_wanted(struct mm *mm, const struct mm_unlink_item *item, size_t n, mm_journal_ask_fn ask,
		      struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && ask && rc == 0; i++) {
		rc = ask(mm, item[i].j, err);
		mm_journal_rewind(item[i].j);
	}
	return rc;
}

static int ask_shared(struct mm *mm, struct marking *m, struct err *err)
{
	const char *wanted = db_array_text(&m->asked->wanted);

	return db_stream(mm->db, &sql_unlink_shared, 1, &wanted, on_mark, m, err);
}

/* Which rows still exist, which files are wanted again, and which paths another row or such a file uses: one scan of
 * fileinfo for all journals. */
int mm_unlink_ask(struct mm *mm, struct mm_unlink_asked *asked, const struct mm_unlink_item *item, size_t n,
		  mm_journal_ask_fn ask, struct err *err)
{
	const struct mm_unlink_kind *kind = item[0].j->kind;
	struct marking m = {asked, kind->journal};
	int rc = db_begin(mm->db, DB_READ_COMMITTED, err);

	if (rc < 0)
		return rc;
	if ((rc = db_query(NULL, mm->db, &sql_unlink_work, DB_NONE, 0, NULL, NULL, err)) == 0 &&
	    (rc = load_all(mm, item, n, asked, err)) == 0 &&
	    (rc = db_query(NULL, mm->db, &sql_unlink_work_analyze, DB_NONE, 0, NULL, NULL, err)) == 0 &&
	    (rc = db_stream(mm->db, &sql_unlink_repeated, 0, NULL, on_mark, &m, err)) == 0 &&
	    (rc = db_stream(mm->db, kind->existing, 0, NULL, on_mark, &m, err)) == 0 &&
	    (rc = ask_wanted(mm, item, n, ask, err)) == 0)
		rc = ask_shared(mm, &m, err);
	db_rollback(mm->db); /* only a temporary table was written */
	return rc < 0 ? rc : spool_sort(asked->mark, by_entry, err);
}
