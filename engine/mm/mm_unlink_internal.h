/*
 * mm_unlink_internal.h - an open journal, between mm_journal.c, mm_unlink_ask.c and mm_unlink.c.
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
	struct mm_unlink_asked *asked; /* while it is carried out, else NULL */
	/* entries of the journals before it that are carried out with it: asked counts all of them */
	uint64_t before;
};

/* What the database says of the entries of all journals that are carried out at once. */
struct mm_unlink_asked {
	uint64_t entries;
	struct db_array wanted;      /* numbers of entries whose files are wanted again */
	struct spool *mark;
};

/* Of one entry, several records may follow each other. */
enum { MARK_EXISTS = 1, MARK_WANTED = 2, MARK_SHARED = 4 /* and twice, four times this for thumbnail and preview */ };
struct mm_journal_mark { uint64_t at; uint32_t bits, pad; };

/* Fills asked->mark, in the order of the numbers. */
int mm_unlink_ask(struct mm *mm, struct mm_unlink_asked *asked, const struct mm_unlink_item *item, size_t n,
		  mm_journal_ask_fn ask, struct err *err) MMR_CHECKED;

#endif
