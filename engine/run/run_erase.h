/* run_erase.h - what the files about erasing share. */
#ifndef RUN_ERASE_H
#define RUN_ERASE_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

/* ---- run_erase_hold.c: holds of the policy, and of the legal-hold plugin ---- */

struct erase_holds;
/* policy NULL: none.  The database is asked who the names in holds are, and the plugin's records, unless it is not wanted; then names in bundles decide. */
int erase_holds_new(void *ctx, const struct policy *policy, bool ask, struct erase_holds **ret, struct err *err) MMR_CHECKED;
/* The hold that names this person, or NULL. */
const char *erase_holds_person(const struct erase_holds *h, const char *id, const char *const *name, size_t n);
/* Which people and channels of one bundle do holds name?  Parent ctx. */
struct erase_covered;
int erase_holds_bundle(void *ctx, const struct erase_holds *h, struct bundle_reader *r, struct erase_covered **ret, struct err *err) MMR_CHECKED;
/* The hold that covers this post, or NULL.  at_ms 0: whenever. */
const char *erase_covers(const struct erase_covered *c, const char *user, size_t user_len, const char *channel, size_t channel_len, int64_t at_ms);

/* ---- run_erase_look.c: one bundle ---- */

struct erase {
	void *ctx;
	struct store *store;
	const struct run_erase_options *options;
	struct erase_holds *holds;
	struct ledger *ledger;             /* NULL: only looked at */
	struct ledger_state *state;
	struct run_erase_report *report;
	char person_digest[DIGEST_HEX + 1];
	struct bundle_erase ask;           /* of the bundle at hand */
};
struct erase_bundle {
	struct run_erased *ret;            /* in the report, valid until the next bundle */
	struct ledger_voucher voucher;
	struct bundle_erasure *erasure;
	char **post; size_t n_posts;       /* ids of posts that go */
};
/* What there is of the person in this bundle, and may it be written again?  *ret NULL: nothing.  Parent ctx. */
int erase_look(struct erase *x, void *ctx, const char *rel_path, uint64_t bytes, struct erase_bundle **ret, struct err *err) MMR_CHECKED;

/* ---- run_erase_late.c: rows beside the ledger ---- */

/* How many late rows of the bundle are the person's.  act: they go; each file is written again and renamed, or removed when nothing is left. */
int erase_late(struct erase *x, const struct erase_bundle *b, bool act, uint64_t *ret, struct err *err) MMR_CHECKED;
/* Does a journal name an attachment that goes?  Its path holds the file's name. */
int erase_in_journal(struct erase *x, const struct erase_bundle *b, bool *ret, struct err *err) MMR_CHECKED;

/* ---- run_erase_finish.c ---- */

/* The lines `erasing` and `erased` of one bundle. */
int erase_line(struct ledger *l, void *ctx, const struct ledger_erasure *e, bool done, uint64_t file_bytes, struct err *err) MMR_CHECKED;
/* After `erased`: the old file's index, the catalog, then the old file. */
int erase_remove_old(const struct store *store, const char *rel_path, struct err *err) MMR_CHECKED;
/* What a call before left: announced and published, but not entered; entered, but the old file is there.  *ret counts them. */
int erase_finish(void *ctx, const struct store *store, struct ledger *l, uint32_t *ret, struct err *err) MMR_CHECKED;

#endif
