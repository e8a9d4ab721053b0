/*
 * purge_journal.c - what goes into the unlink journal (mm_unlink.h, docs/formats.md).
 *
 * One line per file row: id, the thread when that stays, the three paths (none where files stay), and what the blob was
 * when its row was deleted.  A line is an order only together with the database: where the row still exists, nothing is
 * unlinked.
 */
#include "purge_internal.h"

enum { PIECE_BYTES = 8 << 20, LINE_BYTES = 2 << 20 }; /* a line: more than the journal takes */

/* What the bucket said before the transaction began (purge_missing_see): nobody waits for it with locks on rows. */
static void take_seen(const struct purge_file *f, struct mm_journal_entry *e)
{
	e->identified = f->etag != NULL;
	e->etag = f->etag;
	e->bytes = f->blob_bytes;
	e->mtime_ns = f->mtime_ns;
}

/* The blob as it is now; a path that cannot be opened is journalled without, and then never unlinked by identity.  So
 * is one that was written after the export, or is not the one that was compared with the bundle: its content is in no
 * bundle. */
static void identify(const struct mm *mm, const struct purge_file *f, int64_t snapshot_ms, struct mm_journal_entry *e)
{
	if (mm->bucket)
		take_seen(f, e);
	else
		mm_journal_identify_file(mm, e);
	if (!mm->bucket && f->compared && (!f->read || e->ino != f->ino || e->mtime_ns != f->mtime_ns))
		e->identified = false;
	if (snapshot_ms > 0 && e->mtime_ns / 1000000 > snapshot_ms)
		e->identified = false;
}

/* Without paths where files stay: then it only says which rows a live post may want back. */
static void put_file(const struct mm *mm, struct buf *out, const struct purge_batch *b, const struct purge_file *f,
		     const struct purge_options *o)
{
	struct mm_journal_entry e = {.id = f->id, .path = {"", "", ""}};

	if (b->parts_before_ms != INT64_MIN)
		e.thread = b->thread[f->thread].root;
	if (o->unlink_files) {
		for (int i = 0; i < MM_JOURNAL_PATHS; i++)
			e.path[i] = f->path[i];
		identify(mm, f, o->snapshot_ms, &e);
	}
	mm_journal_put(out, mm_unlink_attachments.what, &e);
}

static int append(struct mm *mm, const struct purge_options *o, struct buf *lines, struct err *err)
{
	int rc = 0;

	if (lines->overflow)
		return err_set(err, ERR_STORE, "the paths of an attachment are too long for the unlink journal");
	if (lines->len)
		rc = mm_journal_append(mm, o->journal_dirfd, o->journal_name, mm_unlink_attachments.journal, lines,
				       err);
	buf_clear(lines);
	return rc;
}

/* In pieces, because a single thread may have any number of attachments.  Those before a failure are no orders: their
 * rows stay. */
int purge_journal_add(struct mm *mm, const struct purge_options *o, const struct purge_batch *b, struct err *err)
{
	struct buf lines;
	int rc = 0;

	buf_init(&lines, b->ctx, PIECE_BYTES + LINE_BYTES);
	for (size_t i = 0; i < b->n_files && rc == 0; i++) {
		if (b->thread[b->file[i].thread].why)
			continue;
		put_file(mm, &lines, b, &b->file[i], o);
		if (lines.len >= PIECE_BYTES)
			rc = append(mm, o, &lines, err);
	}
	return rc < 0 ? rc : append(mm, o, &lines, err);
}
