/*
 * people_internal.h - what the files of this room share.
 *
 * people_names.c      a set of ids or names
 * people_list.c       the only_listed file
 * people_select.c     verdicts, plan, explain
 * people_held.c       who waits because a thread is held
 * people_guard.c      who waits because of a hold on channels, or of the compliance export
 * people_reduce.c     the transaction of one account
 * people_files.c      journal and removal of files whose rows went
 * people_picture.c    the profile picture
 * people_finish.c     what is left behind commits
 * people_run.c        all due accounts, the report
 * people_inventory.c  what exists of one person
 */
#ifndef PEOPLE_INTERNAL_H
#define PEOPLE_INTERNAL_H

#include <mmretain/mm_unlink.h>
#include <mmretain/people.h>
#include <uthash.h>

#include "mm_sql.h"

/* ---- sets ---- */
struct people_name { char *key; const char *note; bool seen; UT_hash_handle hh; };
struct people_names { struct people_name *by; };
struct people_names *people_names_new(void *ctx);
/* note (may be NULL) is borrowed; of two with one key the first stays. */
void people_names_add(struct people_names *n, const char *key, size_t len, const char *note);
struct people_name *people_names_find(struct people_names *n, const char *key);
uint64_t people_names_count(const struct people_names *n);

/* Account names and addresses, one a line, in lower case.  name is for messages. */
int people_list_parse(void *ctx, const char *name, const char *text, size_t len, struct people_names **ret,
		      struct err *err) MMR_CHECKED;
int people_list_read(void *ctx, const char *path, struct people_names **ret, struct err *err) MMR_CHECKED;

/* ---- accounts as the statements return them ---- */
enum {
	ROW_ID,
	ROW_USERNAME,
	ROW_EMAIL,
	ROW_DELETEAT,
	ROW_UPDATEAT,
	ROW_REMOTE,
	ROW_BOT,
	ROW_DONE,
	ROW_SERVICE /* of people_users alone */
};
enum { LOCK_ADDRESS = ROW_DONE + 1, LOCK_NAMED /* of people_lock alone */ };
struct people_row { const char *id, *username, *email; int64_t deleteat_ms, updateat_ms; bool remote, bot, done; };

/* What verdicts depend on beside the account itself. */
struct people_rules {
	int64_t now_ms;
	struct duration after;
	struct people_names *held;    /* id -> name of the hold */
	struct people_names *legal, *except;
	struct people_names *listed;  /* NULL: everybody */
};
/* Everybody whom the holds concern, with the thread as note.  The notes live in ctx. */
int people_held(void *ctx, struct mm *mm, const struct people_holds *holds, struct people_names *into,
		struct err *err) MMR_CHECKED;
/* Pure: all but what people_guards_ask asks. */
enum people_verdict people_judge(const struct people_rules *rules, const struct people_row *row, const char **ret_hold);
unsigned people_choices(const struct policy_people *p);

/* ---- what only the database can tell of an account ---- */
/* a hold of the policy on channels, as parameters */
struct people_guard { const char *name, *channels; char since[24], until[24]; };
struct people_guards {
	struct mm_people *p;
	struct people_guard *hold; size_t n_holds;   /* in the order of the policy */
};
/* policy and p are borrowed. */
int people_guards_read(void *ctx, const struct policy *policy, struct mm_people *p, struct people_guards **ret,
		       struct err *err) MMR_CHECKED;
/* Those of the due ones who have to wait get their verdict, and the name of the hold if it is one. */
int people_guards_ask(const struct people_guards *g, struct people_user *const *user, size_t n,
		      struct err *err) MMR_CHECKED;

/* A pseudonym that only the key ties to the account: departed- and 16 of 32 signs. */
void people_pseudonym(const uint8_t *key, size_t key_len, const char *user_id, char ret[32]);
void people_digest(const struct people_options *o, const struct people_row *row, char ret[DIGEST_HEX + 1]);

/* ---- files ---- */
/* What lies in a bucket at the paths of one account: asked between two tries of its transaction, since nobody is to
 * wait for a bucket with rows locked. */
struct people_files { struct mm_journal_entry *at; size_t n, asked, next; };
/* Asks about those that are not asked yet. */
int people_files_ask(void *ctx, struct mm *mm, struct people_files *f, struct err *err) MMR_CHECKED;
/* One row of people_files_*: id and three paths, into the lines for the journal.  With a bucket that is to be asked
 * first it is only noted: then f has more than was asked. */
int people_files_line(void *ctx, struct mm *mm, struct people_files *f, struct buf *lines, const char *user_id,
		      const struct db_result *res, int64_t row, struct err *err) MMR_CHECKED;
/* Appends and fsyncs. */
int people_files_journal(struct mm *mm, const struct people_options *o, const struct buf *lines,
			 struct err *err) MMR_CHECKED;
/* Removes what the journal names and nothing uses; what failed stays in it. */
int people_files_unlink(struct mm *mm, const struct people_options *o, struct people_counts *c,
			struct err *err) MMR_CHECKED;

enum people_picture { PICTURE_NONE, PICTURE_GONE, PICTURE_LEFT };
int people_picture_path(const char *user_id, char *ret, size_t size);
/* PICTURE_LEFT when it is there and is no plain file, or cannot be removed, or the folder is not known. */
enum people_picture people_picture_remove(struct mm *mm, const char *user_id);

void people_note(struct people_report *r, const char *fmt, ...) MMR_PRINTF(2, 3); /* r may be NULL; once each */
struct people_counts people_counts_new(void *ctx);
int people_integrations(void *ctx, struct mm_people *p, const char *user_id, struct people_integration **list,
			size_t *n, struct err *err) MMR_CHECKED;

#endif
