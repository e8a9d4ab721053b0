/* run_erase.h - what the files about erasing share. */
#ifndef RUN_ERASE_H
#define RUN_ERASE_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

/* ---- run_erase_look.c: one bundle ---- */

struct erase {
	void *ctx;
	struct store *store;
	const struct run_erase_options *options;
	const struct policy *policy;       /* NULL: nobody is to be asked for its holds */
	struct mm *mm;                     /* NULL: the database is not to be asked */
	const char **late; size_t n_late;  /* files of late rows: the digits of their bundles */
	struct ledger *ledger;             /* NULL: only looked at */
	struct mirror *mirror;             /* NULL: there is none, or only looked at */
	struct ledger_state *state;
	struct run_erase_report *report;
	char person_digest[DIGEST_HEX + 1];
	struct bundle_erase ask;           /* of the bundle at hand */
};
struct erase_bundle {
	struct run_erased *ret;            /* in the report, valid until the next bundle */
	struct ledger_voucher voucher;
	struct bundle_erasure *erasure;
	char **post; size_t n_posts;       /* ids of posts that go, and of those that their earlier texts name */
	char **late_id; size_t n_late_ids; /* ids in the person's late rows, those of posts among them */
};
/* It stays, with what err says; the others are looked at all the same.  Clears err, and returns 0. */
int erase_damaged(struct erase *x, struct run_erased *e, struct err *err);
/* What there is of the person in this bundle, and may it be written again?  *ret NULL: nothing, or it cannot be read.
 * Parent ctx. */
int erase_look(struct erase *x, void *ctx, const char *rel_path, uint64_t bytes, struct erase_bundle **ret,
	       struct err *err) MMR_CHECKED;

/* Holds once more, when the new file is written and nothing has been announced: writing it may have taken hours.  One
 * that covers what goes makes the bundle RUN_ERASE_HELD.  ERR_DATABASE, ERR_HOLD (a record of the plugin cannot be
 * read). */
int erase_look_again(struct erase *x, struct erase_bundle *b, struct err *err) MMR_CHECKED;

/* The same of an erasure that an earlier call left: do holds, also those of the ledger, cover what it takes out of the
 * file at rel_path?  x needs no more than whom to ask and options of the person.  *ret_why: which, for people; NULL:
 * none (parent ctx).  ERR_DATABASE, ERR_HOLD; ERR_VERIFY, ERR_STORE: the file cannot be read. */
int erase_look_late(struct erase *x, void *ctx, const struct ledger_state *st, const char *rel_path, char **ret_why,
		    struct err *err) MMR_CHECKED;

/* ---- run_erase_late.c: rows beside the ledger ---- */

/* Which bundles have late rows at all: fills x->late. */
int erase_late_list(struct erase *x, struct err *err) MMR_CHECKED;
/* May the bundle of this name have any? */
bool erase_late_possible(const struct erase *x, const char *rel_path);
/* How many late rows of the bundle are the person's.  act: they go; each file is written again and renamed, or removed
 * when nothing is left. */
int erase_late(struct erase *x, struct erase_bundle *b, bool act, uint64_t *ret, struct err *err) MMR_CHECKED;
/* Does a journal name an attachment that goes?  Its path holds the file's name.  *ret_why: what keeps the bundle then
 * (static); else NULL. */
int erase_in_journal(struct erase *x, const struct erase_bundle *b, const char **ret_why, struct err *err) MMR_CHECKED;

/* ---- run_erase_hold.c: holds that came after an erasure was announced ---- */

struct erase_asker {
	const struct policy *policy; struct mm *mm; /* NULL as in struct erase */
	struct mirror *mirror;             /* NULL: the policy has none */
	/* NULL: whom holds name by now can be told; else the digest of the one person of whom the caller has said that
	 * no other counts */
	const char *only;
};
/* two generations, and how many rows the newer one lacks */
struct erase_pair { const char *old_rel_path, *rel_path; uint64_t rows; };
/* 1: a hold covers what the newer file lacks, *ret_why (parent ctx) says which; 0: none.  Errors as erase_look_late. */
int erase_held(void *ctx, const struct erase_asker *asker, struct store *store, const struct ledger_state *st,
	       const struct erase_pair *pair, char **ret_why, struct err *err) MMR_CHECKED;

/* ---- run_erase_finish.c ---- */

/* The lines `erasing` and `erased` of one bundle. */
int erase_line(struct ledger *l, void *ctx, const struct ledger_erasure *e, bool done, uint64_t file_bytes,
	       struct err *err) MMR_CHECKED;
/* After `erased`: the mirror has the new file (its digests as in the ledger) and not the old one; then the old file
 * goes, out of every index first. */
struct erase_swap { const char *old_rel_path, *rel_path, *file_hex, *rows_hex; };
int erase_remove_old(const struct store *store, struct mirror *m, const struct erase_swap *swap,
		     struct err *err) MMR_CHECKED;
/* The catalog's names, when the removal of old files has left it without; a failure is a warning. */
void erase_names(const struct store *store);
/* What a call before left: announced and published, but not entered; entered, but the old file is there.  Holds are
 * asked again for each; where one covers what was erased, an erasure that is not entered is withdrawn, and an old file
 * that is there stays.  An older generation that cannot be shown to have been replaced by a sound one, or for which
 * holds cannot be asked, is left.  Each with a warning, and counted. */
struct erase_finished { uint32_t done, withdrawn, held, left; };
int erase_finish(void *ctx, const struct erase_asker *asker, struct store *store, struct ledger *l,
		 struct erase_finished *ret, struct err *err) MMR_CHECKED;

#endif
