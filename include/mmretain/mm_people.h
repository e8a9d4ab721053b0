/*
 * mm_people.h - floor 2: where Mattermost keeps something of a person.
 *
 * For: the list of places, which of them exist here, what the role may do there, holds of the server's own
 * legal-hold plugin, how far its compliance export has come.
 * Not for: deciding who is depersonalised, changing anything (people).
 * Includes: base, db, mm.  Part of the mm room; a header of its own because only people needs it.
 * Order: mm_open, mm_people_probe, then the rest.
 */
#ifndef MMRETAIN_MM_PEOPLE_H
#define MMRETAIN_MM_PEOPLE_H

#include <mmretain/mm.h>

enum mm_trace_act { MM_TRACE_DELETE, MM_TRACE_BLANK, MM_TRACE_KEEP };

/* Places that are touched only when the policy says so. */
enum mm_choice {
	MM_CHOICE_POSITION = 1,
	MM_CHOICE_ROLES = 2,
	MM_CHOICE_NAMES = 4,
	MM_CHOICE_AUDITS_BLANK = 8,
	MM_CHOICE_AUDITS_DELETE = 16,
};

/* One place.  The statements take the parameters that `params` spells: i user id, e address, a address from now on, t
 * deleteat, p pseudonym. */
struct mm_trace {
	const char *table, *column;   /* absent on a server that lacks them; column NULL: the table is enough */
	enum mm_trace_act act;
	unsigned choice;              /* 0 = always, else only when one of these is chosen */
	const char *what;             /* "sessions", for people */
	const char *why;              /* of a place that is kept: the reason; else NULL */
	const struct sql *count;      /* parameters: count_params; NULL: the account row itself, one */
	const char *count_params;
	const struct sql *reduce;     /* parameters: reduce_params; NULL: nothing is done */
	const char *reduce_params;
	bool returns_files;           /* rows of id and three paths come back, for the unlink journal */
	bool one_row;                 /* must change exactly one row */
	const char *read, *write;     /* columns for GRANT, separated by blanks; write NULL: DELETE on the table */
};

/* In the order in which they are changed: what points comes before what it points at, the account row last but for its
 * choices. */
extern const struct mm_trace mm_trace[];
extern const size_t mm_n_traces;

struct mm_people {
	struct mm *mm;
	bool *present;                /* mm_n_traces of them */
	bool integrations;            /* all tables that people_integrations.sql reads exist */
	/* "table.column": looks like a person's id or address and is not known; never touched */
	char **unknown; size_t n_unknown;
};
int mm_people_probe(void *ctx, struct mm *mm, struct mm_people **ret, struct err *err) MMR_CHECKED;
/* ERR_PERMISSION listing every privilege that depersonalising with these choices (enum mm_choice) needs and the role
 * lacks. */
int mm_people_grants(struct mm_people *p, unsigned choices, struct err *err) MMR_CHECKED;
/* SQL that grants them to `role` (NULL: the role connected as), beside mm_grant_script; a statement a line. */
int mm_people_grant_script(struct mm_people *p, unsigned choices, const char *role, struct buf *out,
			   struct err *err) MMR_CHECKED;
/* ERR_SCHEMA while the server changes its schema (db_lock), ERR_DATABASE on a standby. */
int mm_people_ready(struct mm_people *p, struct err *err) MMR_CHECKED;

/* How far the server's compliance export has come. */
int mm_exported(struct mm *mm, struct mm_exported *ret, struct err *err) MMR_CHECKED;

/* Everybody whom a record of the legal-hold plugin names, by id or as a member of a group, whatever its dates:
 * unsorted, may repeat. ERR_HOLD when a record cannot be read. */
int mm_legal_users(void *ctx, struct mm *mm, mm_id **ret, size_t *ret_n, struct err *err) MMR_CHECKED;

#endif
