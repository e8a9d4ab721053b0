/*
 * people_files.c - files whose rows went with an account: uploads for drafts that nobody posted, parts of uploads
 * (mm_unlink.h).
 *
 * A line is an order only together with the database: while a row with the id exists (the transaction was rolled back,
 * the upload was finished) or any row uses the path, the file stays.
 */
#include "people_internal.h"

#include <string.h>

int people_files_ask(void *ctx, struct mm *mm, struct people_files *f, struct err *err)
{
	int rc = 0;

	while (f->asked < f->n && (rc = mm_journal_identify(ctx, mm, &f->at[f->asked], err)) == 0)
		f->asked++;
	return rc;
}

/* Mostly they come in the order in which they came before. */
static const struct mm_journal_entry *find(struct people_files *f, const char *path)
{
	for (size_t i = 0; i < f->asked; i++) {
		const struct mm_journal_entry *e = &f->at[(f->next + i) % f->asked];

		if (strcmp(e->path[0], path) == 0) {
			f->next = (f->next + i + 1) % f->asked;
			return e;
		}
	}
	return NULL;
}

static void note(void *ctx, struct people_files *f, const char *path)
{
	if ((f->n & (f->n - 1)) == 0)
		f->at = mem_grow(ctx, f->at, struct mm_journal_entry, f->n ? 2 * f->n : 1);
	f->at[f->n++] = (struct mm_journal_entry){.path = {mem_strdup(ctx, path), "", ""}};
}

/* 1: e says what lies at its path; 0: that is to be asked first. */
static int identify(void *ctx, struct mm *mm, struct people_files *f, struct mm_journal_entry *e, struct err *err)
{
	const struct mm_journal_entry *known;
	int rc;

	if (!mm->bucket || !e->path[0][0])
		return (rc = mm_journal_identify(ctx, mm, e, err)) < 0 ? rc : 1;
	if (!(known = find(f, e->path[0]))) {
		note(ctx, f, e->path[0]);
		return 0;
	}
	e->identified = known->identified;
	e->etag = known->etag;
	e->bytes = known->bytes;
	e->mtime_ns = known->mtime_ns;
	return 1;
}

int people_files_line(void *ctx, struct mm *mm, struct people_files *f, struct buf *lines, const char *user_id,
		      const struct db_result *res, int64_t row, struct err *err)
{
	struct mm_journal_entry e = {.user = user_id, .id = db_text(res, row, 0)};
	int rc;

	for (int i = 0; i < MM_JOURNAL_PATHS; i++)
		e.path[i] = db_len(res, row, 1 + i) ? db_text(res, row, 1 + i) : "";
	if ((rc = identify(ctx, mm, f, &e, err)) < 1)
		return rc;
	mm_journal_put(lines, mm_unlink_unposted.what, &e);
	if (lines->overflow)
		return err_set(err, ERR_STORE, "one account has too many unposted files for the journal");
	return 0;
}

int people_files_journal(struct mm *mm, const struct people_options *o, const struct buf *lines, struct err *err)
{
	return lines->len
		       ? mm_journal_append(mm, o->journal_dirfd, PEOPLE_JOURNAL, mm_unlink_unposted.journal, lines, err)
		       : 0;
}

int people_files_unlink(struct mm *mm, const struct people_options *o, struct people_counts *c, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people files");
	struct mm_unlink_item item;
	int rc = mm_journal_open(ctx, mm, o->journal_dirfd, PEOPLE_JOURNAL, &mm_unlink_unposted, &item.j, err);

	if (rc < 0 || !item.j)
		return rc;
	if (!mm_has_files(mm)) {
		c->files_left += mm_journal_entries(item.j); /* the journal waits until the folder is known */
		c->files_waiting += mm_journal_entries(item.j);
		return 0;
	}
	rc = mm_unlink(mm, &item, 1, /* ask= */ NULL, err);
	c->files_gone += item.counts.files;
	c->files_shared += item.counts.shared;
	c->files_left += item.counts.left + item.counts.for_good;
	c->files_waiting += item.counts.left;
	return rc;
}
