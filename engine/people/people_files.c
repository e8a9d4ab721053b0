/*
 * people_files.c - files whose rows went with an account: uploads for drafts that nobody posted, parts of uploads (mm_unlink.h).
 *
 * A line is an order only together with the database: while a row with the id exists (the transaction was rolled back, the upload was
 * finished) or any row uses the path, the file stays.
 */
#include "people_internal.h"

int people_files_line(struct mm *mm, struct buf *lines, const char *user_id, const struct db_result *res, int64_t row, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people file");
	struct mm_journal_entry e = {.user = user_id, .id = db_text(res, row, 0)};
	int rc;

	for (int i = 0; i < MM_JOURNAL_PATHS; i++)
		e.path[i] = db_len(res, row, 1 + i) ? db_text(res, row, 1 + i) : "";
	if ((rc = mm_journal_identify(ctx, mm, &e, err)) < 0)
		return rc;
	mm_journal_put(lines, mm_unlink_unposted.what, &e);
	if (lines->overflow)
		return err_set(err, ERR_STORE, "one account has too many unposted files for the journal");
	return 0;
}

int people_files_journal(struct mm *mm, const struct people_options *o, const struct buf *lines, struct err *err)
{
	return lines->len ? mm_journal_append(mm, o->journal_dirfd, PEOPLE_JOURNAL, mm_unlink_unposted.journal, lines, err) : 0;
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
