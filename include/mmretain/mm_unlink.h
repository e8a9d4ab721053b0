/*
 * mm_unlink.h - floor 2: journals of files whose rows are deleted, and what carries them out.
 *
 * For: naming files durably before the commit that deletes their rows (docs/formats.md), removing them after it.
 * Not for: choosing rows, deleting them (purge, people).
 * Includes: base, db, mm.  Part of the mm room; a header of its own because only the rooms that delete need it.
 *
 * A line is an order only together with the database: a file stays while its row is there or any row uses its path, and
 * when it is not the one that the line describes: then it stays for good.  A journal is read in pieces: memory stays
 * flat whatever its size.
 */
#ifndef MMRETAIN_MM_UNLINK_H
#define MMRETAIN_MM_UNLINK_H

#include <mmretain/mm.h>

#define MM_JOURNAL_PATHS 3           /* of the file, its thumbnail, its preview */

struct mm_journal_entry {
	const char *id, *user, *thread;  /* of the row; who had it, the thread that stays: "" where the line has none */
	const char *path[MM_JOURNAL_PATHS]; /* below the attachment folder; "" likewise */
	bool identified;             /* what path[0] was: */
	uint64_t ino; int64_t bytes, mtime_ns;
	const char *etag;            /* of an object in a bucket, in the place of ino; else "" or NULL */
};

/* ---- writing (mm_journal.c, mm_identify.c) ---- */
/* What the file at path[0] is now, of a folder; one that cannot be opened is journalled without, and then never
 * unlinked. */
void mm_journal_identify_file(const struct mm *mm, struct mm_journal_entry *e);
/* The same of a folder or a bucket, whose etag belongs to ctx.  Errors are those of a bucket that does not say what it
 * has (mm_bucket_see). */
int mm_journal_identify(void *ctx, struct mm *mm, struct mm_journal_entry *e, struct err *err) MMR_CHECKED;
/* Does path[i] lie in the folder of path[0]?  The server writes thumbnail and preview there; what lies elsewhere is
 * something else, and never unlinked. */
bool mm_journal_is_beside(const struct mm_journal_entry *e, int i);
/* One line; what (of mm_unlink_kind): for the warning when a thumbnail or preview is left out because it lies
 * elsewhere.  One that is longer than any that is read back sets the buffer's overflow, as its ceiling does. */
void mm_journal_put(struct buf *lines, const char *what, const struct mm_journal_entry *e);
/* Durable when it returns 0: a journal that is not there is begun.  Half a line at its end, of a crash or a full disk,
 * is cut off first.
 * journal: what it is called in messages.  ERR_GUARD: one that is there is of another database; nothing was added. */
int mm_journal_append(struct mm *mm, int dirfd, const char *name, const char *journal, const struct buf *lines,
		      struct err *err) MMR_CHECKED;

/* ---- reading ---- */
/* What a journal is of. */
struct mm_unlink_kind {
	const char *what, *journal;  /* in messages: "attachment", "unlink journal" */
	const struct sql *existing;  /* numbers of entries whose row is there */
	/* earlier versions left empty lines in it, and half lines of crashes: none of them is an entry */
	bool earlier;
};
extern const struct mm_unlink_kind mm_unlink_attachments, mm_unlink_unposted /* uploads that no post got */;

struct mm_journal;
/* Opens it and looks at every line before anything is done by one.  *ret (parent ctx) NULL: there is none.
 * ERR_GUARD: of another database.  ERR_VERIFY: a line that is no entry, or that has what this version does not know.  A
 * last line without its end was never committed, and is none. */
int mm_journal_open(void *ctx, struct mm *mm, int dirfd, const char *name, const struct mm_unlink_kind *kind,
		    struct mm_journal **ret, struct err *err) MMR_CHECKED;
uint64_t mm_journal_entries(const struct mm_journal *j);
bool mm_journal_any_path(const struct mm_journal *j);
bool mm_journal_any_thread(const struct mm_journal *j);
void mm_journal_rewind(struct mm_journal *j);
/* 1 and an entry (valid until the next call), 0 at the end, or a negative code. */
int mm_journal_next(struct mm_journal *j, struct mm_journal_entry *ret, struct err *err) MMR_CHECKED;
/* Which one that was, counted from 1. */
uint64_t mm_journal_at(const struct mm_journal *j);

/* ---- carrying out (mm_unlink.c) ---- */
struct mm_unlinked {
	uint64_t files, bytes, shared;   /* shared: paths that a row uses */
	/* entries that stay in the journal: their files could not be removed, or are wanted again */
	uint64_t left;
	/* entries that go from it although a file stays: it is not the one that was journalled.  Each call's are warned
	 * of once */
	uint64_t for_good;
};
/* Asked before paths are, in the same transaction: mm_journal_want for the entries whose files are wanted again: they
 * stay, whatever other entry names their paths.  May be NULL. */
typedef int (*mm_journal_ask_fn)(struct mm *mm, struct mm_journal *j, struct err *err);
int mm_journal_want(struct mm_journal *j, uint64_t at, struct err *err) MMR_CHECKED;
/* Several at once, of one kind: a look at the paths of all rows, and one at the disk, for all of them.  Each reads as
 * it does alone. */
struct mm_unlink_item { struct mm_journal *j; struct mm_unlinked counts; };
/* Asks the database about all of them, in a transaction of its own; then unlinks; when that is durable each journal has
 * only what stays for the next time, or is removed, in their order.  The attachment folder must be known unless no
 * entry has a path.  Counts also what was done before an error. */
int mm_unlink(struct mm *mm, struct mm_unlink_item *item, size_t n, mm_journal_ask_fn ask, struct err *err) MMR_CHECKED;

#endif
