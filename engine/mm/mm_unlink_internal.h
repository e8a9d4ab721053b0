/*
 * mm_unlink_internal.h - an open journal, between mm_journal.c and mm_unlink.c.
 */
#ifndef MM_UNLINK_INTERNAL_H
#define MM_UNLINK_INTERNAL_H

#include <mmretain/mm_unlink.h>

struct mm_journal {
	const struct mm_unlink_kind *kind;
	int dirfd, fd;
	char *name, *head;           /* head: the first line */
	off_t end, next;             /* behind the last whole line; behind what is in block */
	char *block; size_t have, from;
	const char *line; size_t line_len; /* the last one, in block */
	uint64_t line_no, at, entries;
	bool any_path, any_thread, checked /* every line was looked at once */;
	struct buf text;             /* its strings */
	struct db_array wanted;      /* numbers of entries whose files are wanted again */
	struct spool *mark;          /* what the database says of entries; NULL before it was asked */
};

/* Of one entry, several records may follow each other. */
enum { MARK_EXISTS = 1, MARK_WANTED = 2, MARK_SHARED = 4 /* and twice, four times this for thumbnail and preview */ };
struct mm_journal_mark { uint64_t at; uint32_t bits, pad; };

#endif
