/* run_expire.h - what the files about expiry share. */
#ifndef RUN_EXPIRE_H
#define RUN_EXPIRE_H

#include <mmretain/run.h>
#include <mmretain/store.h>

/* ---- run_expire_hold.c ---- */

/* Why a bundle stays: name is the hold's, for people; thread is one that it covers ("": the bundle as a whole). */
struct run_expire_hold { char *name; mm_id thread; };
/* 1 when any hold covers any thread of the bundle: one of the ledger, one of the policy, or the legal-hold plugin's.
 * The database is asked anew.
 * Negative: the database cannot be asked, or (ERR_VERIFY) the bundle cannot be read.  ret has ctx for parent. */
int run_expire_held(void *ctx, const struct policy *policy, struct mm *mm, const struct ledger_state *st,
		    struct bundle_reader *r, struct run_expire_hold *ret, struct err *err) MMR_CHECKED;

/* ---- run_expire_look.c ---- */

/* A bundle stays for so long after the newest line of a run about it: what came late could still bring a thread back.
 */
#define RUN_EXPIRE_SETTLE_MS INT64_C(86400000)

/* One published bundle on its way. */
struct run_expire {
	void *ctx;
	const struct policy *policy;
	struct store *store;
	struct mm *mm;
	struct db *lock_db;            /* NULL: only looked at */
	struct ledger_state *state;
	struct ledger_archive *archive;
	struct ledger *ledger;         /* NULL: only looked at */
	struct mirror *mirror;         /* NULL: the policy has none */
	const char *run_id;            /* NULL: not in a run */
	const struct run_expire_options *options;
	struct run_expire_report *report;
	char **gone; size_t n_gone; /* rel_path of bundles whose file is removed and that no line says so of */
	/* each of them: at is its place in the report */
	struct expire_gone { const struct ledger_published *p; size_t at; } *gone_of;
};
/* By the ledger alone: is the bundle worth a look?  False: its time has not come, it is gone, or a run had to do with
 * it less than a day ago. */
bool run_expire_may_be_due(const struct ledger_published *p, int64_t now_ms);
/* By the rule as it is now: a longer time that was said later wins, a shorter one is for bundles to come.  Sets
 * e->expires_ms, and e->state when it stays. */
void run_expire_by_policy(const struct run_expire *x, struct run_expired *e);
/* When was the newest post of the bundle?  For one whose frames have the times of all rows: reads those that may hold
 * it. */
struct run_expire_newest {
	int64_t ms;         /* of the posts that have a time; 0: none */
	/* no post whose time went with its erasure is newer than this; 0: there is none that matters */
	int64_t perhaps_ms;
};
int run_expire_newest(struct bundle_reader *r, struct run_expire_newest *ret, struct err *err) MMR_CHECKED;
/* Is it past its time, and may it go?  0: *ret is NULL when it is of no interest (not yet due, or expired long ago),
 * else an entry of the report, whose state tells.  Negative: nothing can be decided (the database, a stop). */
int run_expire_look(struct run_expire *x, const struct ledger_published *p, struct run_expired **ret,
		    struct store_seen *ret_seen, struct err *err) MMR_CHECKED;

#endif
