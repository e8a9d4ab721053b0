/*
 * people.h - floor 3: depersonalise departed users.
 *
 * For: who is due and why not, taking personal data off an account, what exists of one person.
 * Not for: the ledger, printing, choosing posts (messages, memberships, reactions and thread participation stay).
 * Includes: base, policy, mm.
 * Order: mm_open, mm_probe, people_plan, people_run; people_finish alone at the start of a run settles what a crash
 * left.
 *
 * 	struct people_options o = {.key = secret, .key_len = 32, .journal_dirfd = fd, .event = on_event};
 * 	people_plan(ctx, policy, mm, &plan, err);
 * 	people_run(ctx, policy, mm, plan, &o, &report, err);
 *
 * Depersonalised: whoever reads the account afterwards still sees its names, and nothing else of the person.  It is the
 * word of all output; a kept name still tells who it was.
 */
#ifndef MMRETAIN_PEOPLE_H
#define MMRETAIN_PEOPLE_H

#include <mmretain/base.h>
#include <mmretain/mm_people.h>
#include <mmretain/policy.h>

#define PEOPLE_DOMAIN                                                                                                  \
	"@departed.invalid" /* address afterwards: user id + this, or id-1, id-2 .. id-99 where another account has    \
			       it; marks an account as done */
#define PEOPLE_JOURNAL "people-unlink.jsonl"       /* files of removed rows, in the ledger folder (docs/formats.md) */
enum { PEOPLE_LIST_BYTES = 16 << 20 };             /* ceiling of the only_listed file */

/* Why an account is or is not taken; the first that holds, in this order.  Whether a hold on channels keeps it
 * (PEOPLE_HELD), and then whether the compliance export does, is asked when nothing else does. */
enum people_verdict {
	PEOPLE_DUE, PEOPLE_ACTIVE, PEOPLE_BOT, PEOPLE_REMOTE, PEOPLE_DONE, PEOPLE_HELD, PEOPLE_LEGAL_HOLD,
	PEOPLE_EXCEPTED,
	/* deactivated before there was a Mattermost: by hand, with 1 or in seconds, nobody knows when */
	PEOPLE_ODD_TIME,
	PEOPLE_YOUNG, PEOPLE_UNLISTED,
	PEOPLE_COMPLIANCE,  /* the server's compliance export, which reads addresses, has not passed its last post */
	PEOPLE_CHANGED,     /* reactivated, or changed otherwise, between plan and transaction */
	PEOPLE_LOCKED,      /* the server held its rows for too long */
	PEOPLE_FAILED,      /* the database refused a statement, or the bucket a look at files */
	PEOPLE_VERDICTS,
};
const char *people_verdict_name(enum people_verdict v); /* "due", "bot", ... */
const char *people_verdict_text(enum people_verdict v); /* a phrase for people */

struct people_user {
	mm_id id;
	char *username;                 /* for the terminal, never for logs or the ledger */
	int64_t deactivated_ms;         /* 0: active */
	int64_t updated_ms;             /* version of the row as planned */
	int64_t due_ms;                 /* when it is or was due; 0: active, or not to be told */
	enum people_verdict verdict;
	/* name of the policy's hold, or "thread <id>" of one that the ledger holds; or NULL */
	const char *hold;
};

/* Threads that the ledger holds: whoever wrote in one, or has a draft, a reminder or a saved post there, is not taken
 * (PEOPLE_HELD). */
struct people_holds { const mm_id *root; size_t n; };

struct people_plan {
	int64_t taken_ms;               /* database clock */
	struct people_user *user; size_t n_users;   /* every deactivated account, the longest deactivated first */
	uint64_t count[PEOPLE_VERDICTS];
	uint64_t listed, listed_unknown;/* lines of only_listed; lines that name no deactivated account */
	/* those, as they are compared: in lower case; for the terminal, never for logs or the ledger */
	char **listed_name;
	/* due accounts by the identity system of their sign-in id */
	struct people_service { char *name; uint64_t due; } *service; size_t n_services;
	char **unknown; size_t n_unknown;   /* table.column: looks like a person's id, not known, not touched */
	char **warning; size_t n_warnings;
	/* of these, the first ones: words of the policy and of the list that match nothing */
	size_t n_words;
};
/* That some who are due sign in through an identity system, how many through which, and what to do; NULL: nobody does.
 * It is among the plan's warnings. */
char *people_services_text(void *ctx, const struct people_plan *plan);
/* That nothing but being deactivated makes accounts due; NULL: there is a list, or nobody is due.  Among the warnings
 * likewise. */
char *people_unlisted_text(void *ctx, const struct policy_people *p, const struct people_plan *plan);

/* Who is due now.  Reads only.  ERR_POLICY when the list cannot be read, is empty or has a damaged line; ERR_HOLD when
 * a record of the legal-hold plugin is unreadable.  An exception that names no account is a warning; of such a hold
 * plan_build warns.  Without departed_users in the policy the plan is empty.  holds: of the ledger, or NULL.  Parent of
 * all is ctx. */
int people_plan(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		struct people_plan **ret, struct err *err) MMR_CHECKED;
/* One account by name, id or address, active or not: verdict and times.  ERR_NOT_FOUND. */
int people_explain(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		   const char *name, struct people_user **ret, struct err *err) MMR_CHECKED;

/* ---- depersonalising ---- */

struct people_counts {
	uint64_t *rows;                 /* per mm_trace[] */
	uint64_t pictures_gone, pictures_left;  /* removed; could not be removed (not a plain file, folder not known) */
	uint64_t files_gone, files_left, files_shared;
	uint64_t files_waiting;         /* of files_left: in the journal for the next run; the others stay for good */
	bool view_refreshed;
};
struct people_event {
	bool ended;                     /* false: about to change the account; true: committed */
	bool found_done;                /* ended, found out later: an earlier COMMIT whose answer was lost */
	const char *user_id;
	/* 64 hex: HMAC(key, id NUL account name NUL address) as they were; "" without a key */
	const char *digest;
	const struct people_counts *counts; /* of this account, when ended; else NULL */
};
/* A negative code before the change leaves the account as it was and ends the run. */
typedef int (*people_event_fn)(void *payload, const struct people_event *e, struct err *err);

struct people_options {
	/* secret of the archive: digests and pseudonyms; pseudonyms need it (ERR_KEY) */
	const uint8_t *key; size_t key_len;
	int journal_dirfd;                      /* folder of PEOPLE_JOURNAL */
	people_event_fn event; void *payload;
	int64_t deadline_boot_ms;               /* by time_boot_ms; 0 = none */
	struct db *lock_db; int64_t lock_key;   /* checked before each account; NULL: not checked */
	const struct progress *progress;
};

struct people_integration { mm_id owner; char *kind, *id, *name; };
struct people_mention { mm_id user; char *now; char **post; size_t n_posts; bool more; };
struct people_report {
	/* of the plan's due ones: PEOPLE_DONE, _CHANGED, _LOCKED, _FAILED, or DUE: not reached */
	struct people_user *user; size_t n_users;
	uint64_t done, changed, failed;
	struct people_counts total;
	struct people_integration *integration; size_t n_integrations; /* owned by those done; kept */
	struct people_mention *mention; size_t n_mentions;  /* pseudonyms only: posts whose text keeps the old name */
	char **note; size_t n_notes;
};

/* Depersonalises every due account of the plan, one transaction each, then people_finish.  *ret is filled as far as it
 * came, also on errors.  0; ERR_KEPT (an account changed, locked or refused, or a file left: next night),
 * ERR_WORK_LEFT, ERR_PERMISSION (nothing done), ERR_SCHEMA, ERR_KEY, ERR_DB_GONE, ERR_COMMIT_UNKNOWN (that account is
 * settled by people_settled). */
int people_run(void *ctx, const struct policy *policy, struct mm *mm, const struct people_plan *plan,
	       const struct people_options *options, struct people_report **ret, struct err *err) MMR_CHECKED;
/* One account of a plan, due by it; user->verdict becomes PEOPLE_DONE, or what keeps it now, such as PEOPLE_CHANGED (0
 * either way).  Durable when it returns 0 and DONE: the account row and all rows that hang on it in one commit. */
struct people_guards;
int people_reduce(const struct people_guards *guards, const struct policy *policy, struct people_user *user,
		  const struct people_options *options, struct people_counts *counts, struct err *err) MMR_CHECKED;
/* What may be left behind a commit: files in the journal, pictures of depersonalised accounts, the view of profile
 * attributes.  A journal that is damaged or another database's stays, and is a note and one of files_left. Harmless to
 * call at any time.  Notes (may be NULL) say what stays and why. */
int people_finish(struct mm_people *p, const struct people_options *options, struct people_counts *counts,
		  struct people_report *notes, struct err *err) MMR_CHECKED;
/* Is this account depersonalised (for a ledger that knows only of the beginning)? */
int people_settled(struct mm *mm, const char *user_id, bool *ret, struct err *err) MMR_CHECKED;

/* SQL that grants `role` (NULL: the role connected as) what depersonalising under this policy needs beside
 * mm_grant_script; nothing without departed_users.  Needs mm_open only and no rights. */
int people_grant_script(const struct policy *policy, struct mm *mm, const char *role, struct buf *out,
			struct err *err) MMR_CHECKED;

/* ---- what exists of one person ---- */

struct people_place {
	const char *table, *what, *why; /* why: of a kept place, else NULL */
	enum mm_trace_act act;          /* what depersonalising does there under this policy */
	uint64_t rows;
	bool unreadable;                /* the role may not look */
};
struct people_inventory {
	struct people_user *user;
	struct people_place *place; size_t n_places;    /* those with rows, and those that cannot be read */
	struct people_integration *integration; size_t n_integrations;
	bool picture; uint64_t picture_bytes;           /* users/<id>/profile.png */
	const char *picture_problem;                    /* NULL, or why the folder cannot be looked at */
	char **unknown; size_t n_unknown;
};
/* Counts only, no content.  Some tables have no index by person: a scan each.  ERR_NOT_FOUND. */
int people_inventory(void *ctx, const struct policy *policy, struct mm *mm, const struct people_holds *holds,
		     const char *name, struct people_inventory **ret, struct err *err) MMR_CHECKED;

#endif
