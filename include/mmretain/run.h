/*
 * run.h - floor 4: the nightly run.
 *
 * For: lock, recover, plan, archive, purge, people, report; the order of steps and nothing else.
 * Not for: printing, parsing options.
 * Includes: everything below.
 * Order: run_night once per process.
 */
#ifndef MMRETAIN_RUN_H
#define MMRETAIN_RUN_H

#include <mmretain/base.h>
#include <mmretain/bundle.h>
#include <mmretain/ledger.h>
#include <mmretain/people.h>
#include <mmretain/plan.h>
#include <mmretain/policy.h>
#include <mmretain/purge.h>

struct run_options {
	const char *plan_file;             /* carry out exactly this plan, or NULL: plan now */
	bool no_purge;                     /* archive only */
	/* words of the policy that match nothing end the run before anything is archived or deleted: ERR_POLICY */
	bool strict;
	bool moved_database;               /* go on with an archive whose last run was with another database */
	int64_t deadline_boot_ms;          /* by time_boot_ms; 0 = none */
	const char *rule, *team, *channel; /* restrict, may be NULL */
	const struct progress *progress;
};

struct run_bundle {
	char *rule, *team;                 /* team: label as in the bundle's name */
	char *bundle, *rel_path;           /* of a waiver: "waived-...", "" */
	bool waived, recovered;            /* recovered: published by an earlier run that did not finish */
	uint64_t threads, posts, rows, blobs, file_bytes, raw_bytes;
	struct purge_counts purge;
};

struct run_report {
	char id[32];                       /* 20261124T185555Z-4f2a */
	bool begun;                        /* the ledger has it; else nothing was done, and there is no protocol */
	int64_t began_ms, ended_ms;
	const char *outcome;               /* complete, partial, refused, failed */
	struct plan *plan;                 /* NULL when it was not reached */
	struct run_bundle *bundle; size_t n_bundles;
	struct people_plan *people_plan;   /* NULL: the policy has no departed_users, or it was not reached */
	struct people_report *people;
	uint64_t kept[PLAN_REASONS];       /* threads that were due and stay, by reason */
	/* threads that were due and were not there any more, as of a plan file that was carried out already */
	uint64_t gone_before;
	struct purge_counts total;         /* of this run, recovery included */
	uint64_t archived_threads, archived_posts, archived_rows, archived_bytes;
	uint32_t cleared_partial, recovered_bundles;
	struct purge_waited waited;        /* for replicas and for the server */
	uint32_t waived_open;              /* waivers whose sweep is open: nothing is left to sweep them by again */
	struct run_expire_report *expire;  /* NULL: the step was not reached, or not asked for */
};

/* The whole night.  *ret is filled as far as the run came, also on errors (parent ctx).
 * 0; ERR_KEPT (some items kept back), ERR_WORK_LEFT (budget or stop), ERR_SCHEMA, ERR_LOCKED, ERR_GUARD, ERR_STORE,
 * ERR_VERIFY, ERR_DATABASE, ERR_PERMISSION.  Durable afterwards: every bundle, every ledger line; rows are gone only
 * where the report says so. */
int run_night(void *ctx, const struct policy *policy, const struct run_options *options, struct run_report **ret,
	      struct err *err) MMR_CHECKED;

/* ---- a run that ended before its first line in the ledger (run_attempt.c) ---- */

struct store;
struct run_attempt {
	int64_t at_ms;                     /* when it ended */
	int exit;
	const char *error, *trigger, *message; /* error: name of the code; trigger: as in `run-begin` */
};
/* Leaves a file with it in the archive at that path, in place of the one of an earlier run; run_night has done so.
 * Needs no lock and disturbs nobody who has one.  Where the archive cannot be opened or written nothing is left, and
 * nothing said.  Durable when it returns, if at all.  code: of problem. */
void run_attempt_note(const char *store_path, int code, const struct err *problem);
/* *ret: of ctx; NULL: the newest run has its line in the ledger.  ERR_STORE: it cannot be read. */
int run_attempt_read(void *ctx, const struct store *store, struct run_attempt **ret, struct err *err) MMR_CHECKED;

/* ---- holds ---- */

/* Holds threads for a case: no later run takes them or parts of them until it, and every other case, has released them.
 * The ledger is open, so no run is on.  via: "restore" or "admin".  Several lines where there are more than 1000; those
 * before a failure stand.  Durable when it returns 0; errors as ledger_append. */
int run_line_hold(struct ledger *l, void *ctx, const mm_id *roots, size_t n, const char *case_id, const char *via,
		  struct err *err) MMR_CHECKED;
int run_line_release(struct ledger *l, void *ctx, const mm_id *roots, size_t n, const char *case_id,
		     struct err *err) MMR_CHECKED;

/* ---- putting threads back (run_restore.c) ---- */

struct run_restore_options {
	const char *case_id;               /* for the ledger */
	bool act;                          /* false: all of it is done and rolled back, and no file is written */
};
struct run_restored {
	mm_id root;
	const char *bundle;                /* path below the archive root */
	uint64_t posts_put, posts_there;   /* there: a row with that id was in the database, and stays as it is */
	uint64_t rows_put, rows_there;     /* of all tables */
	uint64_t files_put, files_there, files_left; /* left: no content in the bundle, or no attachment folder */
};
struct run_restore_report { struct run_restored *thread; size_t n; bool done; /* committed */ };
struct audit; struct audit_ref; struct store; struct mirror;
/* Whole threads back into the database and their attachments into their folder, all of them or none, and held from then
 * on.  *ret is filled as far as it came, also on errors (parent ctx).  The store is open for writing; the access is in
 * the case log already.
 * ERR_KEPT: done, but an attachment has no content; ERR_NOT_FOUND: only parts of the thread are archived; ERR_GUARD:
 * its channel is gone, another row has an archived id, another file is in an attachment's place, another database, or a
 * run was interrupted; ERR_SCHEMA, ERR_VERIFY, ERR_LOCKED, ERR_DATABASE, ERR_PERMISSION, ERR_STORE.  Durable
 * afterwards: the hold, the threads, their files, a ledger line each. */
int run_restore(void *ctx, const struct policy *policy, struct store *store, struct audit *audit,
		const struct audit_ref *ref, size_t n, const struct run_restore_options *options,
		struct run_restore_report **ret, struct err *err) MMR_CHECKED;

/* ---- putting back all that a run deleted, or all of one bundle (run_restore_all.c) ---- */

enum run_back {
	RUN_BACK_LEFT,                     /* not read to its end: a stop or an error came before */
	RUN_BACK_DONE,
	RUN_BACK_PARTS,                    /* of threads that stayed: none comes back */
	RUN_BACK_WAIVED,                   /* there was no archive */
	/* an erasure of it was interrupted: which file is the bundle is not settled */
	RUN_BACK_UNFINISHED,
	RUN_BACK_EXPIRED, RUN_BACK_LOST, RUN_BACK_MISSING, RUN_BACK_DAMAGED,
	RUN_BACKS,
};
const char *run_back_name(enum run_back state); /* "left" ..., for people and documents */

enum run_left_why {
	RUN_LEFT_ERASED,                   /* a post of it was erased */
	RUN_LEFT_CHANNEL,                  /* its channel is gone */
	RUN_LEFT_ROW,                      /* another row has the id of an archived one */
	RUN_LEFT_FILE,                     /* another file is in an attachment's place */
	RUN_LEFT_LATER,                    /* it was put back before, and a later bundle has it too, or may have it */
	RUN_LEFT_UNREADABLE,               /* a row or a path of it makes no sense */
	RUN_LEFTS,
};
const char *run_left_name(enum run_left_why why);

struct run_back_bundle {
	const char *bundle, *rel_path, *rule; /* rel_path: of the file by now; "" of a waiver */
	enum run_back state;
	const char *why;                   /* RUN_BACK_DAMAGED: what is wrong; else NULL */
	uint64_t archived;                 /* threads in it, or that were deleted by a waiver */
	uint64_t threads;                  /* of them: something came back */
	uint64_t there;                    /* of which nothing was missing */
	uint64_t stayed;                   /* that were never deleted by it, or were put back at once: not looked at */
	uint64_t left_out;
	uint64_t posts, rows, rows_there, files, files_there, files_left; /* as in run_restored, of threads and there */
};
struct run_left_out { mm_id root; uint32_t bundle; uint8_t why; char *text; /* which row or file, or NULL */ };
struct run_restore_all_report {
	const char *run;                   /* its name; NULL: a bundle was asked for */
	struct run_back_bundle *bundle; size_t n;
	struct run_left_out *left_out; size_t n_left_out;
	uint64_t count[RUN_LEFTS];         /* of them */
	const char *no_files;              /* why there is no attachment folder here, or NULL */
	bool done;                         /* something is committed */
};
struct run_restore_all_options {
	/* one of both; run: a name or "last"; bundle: its name when it was published first */
	const char *run, *bundle;
	const char *case_id;
	bool act;                          /* false: all of it is done and rolled back, and no file is written */
	/* before anything is read: the case log */
	int (*access)(void *payload, size_t bundles, uint64_t threads, struct err *err);
	void *payload;
	const struct progress *progress;
};
/* Whole threads as run_restore, in batches of whole threads that are committed one after the other, each held before
 * its commit when anything of it comes back; what cannot come back is left out and told.  Each bundle is verified, then
 * read once; memory is that of a thread, and some dozen bytes for each that was put back before or is left out.  *ret
 * is filled as far as it came, also on errors (parent ctx).
 * ERR_KEPT: done, and something was left out; ERR_VERIFY: a bundle is missing or damaged, the others are done;
 * ERR_NOT_FOUND: no such run or bundle, or it deleted nothing; ERR_INTERRUPTED between two threads; else as
 * run_restore.  Durable afterwards: of each batch the hold, the threads, their files, a ledger line. */
int run_restore_all(void *ctx, const struct policy *policy, struct store *store, struct audit *audit,
		    const struct run_restore_all_options *options, struct run_restore_all_report **ret,
		    struct err *err) MMR_CHECKED;

/* ---- bundles past their time (run_expire.c) ---- */

enum run_expiry {
	RUN_EXPIRES,                       /* may go; of a call that acts: a stop or an error came before it */
	RUN_EXPIRED,                       /* is gone */
	RUN_STAYS_HELD,                    /* some hold covers a thread of it */
	RUN_STAYS_POLICY,                  /* the policy of today keeps it longer than that of then */
	RUN_STAYS_UNFINISHED,              /* a run still owes it a step */
	RUN_STAYS_YOUNG,                   /* a run had to do with it less than a day ago */
	RUN_STAYS_DAMAGED,                 /* it cannot be read back sound */
	RUN_STAYS_MISSING,                 /* its file is not there, and no line announces that */
	RUN_STAYS_BACK,                    /* it expired, and somebody has put a file of its name there */
	RUN_EXPIRIES,
};
const char *run_expiry_name(enum run_expiry state); /* "held" ..., for people and documents */

struct run_expired {
	const char *bundle, *rel_path, *rule, *team; /* team: label of the bundle, "" when it was not read */
	/* as it was published, or by the policy of today when that is later; 0: never */
	int64_t expires_ms;
	/* of its posts; of a bundle of an earlier version, of its rows, until the posts had to be asked; 0 when it was
	 * not read */
	int64_t first_ms, last_ms;
	/* what a keep_for counts from: last_ms, of parts at least the cut-off that took them */
	int64_t from_ms;
	uint64_t threads, posts, bytes;
	enum run_expiry state;
	bool announced;                    /* a call before ended between its lines */
	bool removed;                      /* its file is gone; RUN_EXPIRED only when all that was of it is */
	const char *why;                   /* of a bundle that stays, or NULL */
	const char *hold; mm_id thread;    /* RUN_STAYS_HELD: which, and one thread that it covers */
};
struct run_expire_report {
	struct run_expired *bundle; size_t n; /* past their time, and those that a call before announced */
	uint64_t not_yet;                  /* bundles whose time has not come, or that are kept without end */
	uint64_t count[RUN_EXPIRIES];
	int64_t now_ms;                    /* the earlier of the two clocks */
};
struct run_expire_options {
	bool act;                          /* false: only looked at, without any lock */
	bool clock_is_right;               /* somebody has looked at the clock: a silent ledger is no reason to stop */
	int64_t deadline_boot_ms;          /* by time_boot_ms; 0 = none */
	const struct progress *progress;
};
/* Removes bundles that are past their time and that nothing holds: file, index, late rows, entry in the catalog.  Each
 * is read back in full and compared with the ledger before.  *ret is filled as far as it came, also on errors (parent
 * ctx).  The store may be open for reading only.
 * ERR_KEPT: some are held; ERR_VERIFY: some cannot be read back, or a ledger is damaged; ERR_GUARD: a clock, or another
 * database; ERR_HOLD: a record of the legal-hold plugin cannot be read; ERR_DATABASE, ERR_LOCKED, ERR_STORE,
 * ERR_PERMISSION; ERR_WORK_LEFT, ERR_INTERRUPTED between two bundles. Durable afterwards: a line before and after each,
 * and that it is gone. */
int run_expire(void *ctx, const struct policy *policy, struct store *store, const struct run_expire_options *options,
	       struct run_expire_report **ret, struct err *err) MMR_CHECKED;

/* ---- erasing one person from the bundles (run_erase.c) ---- */

enum run_erase_state {
	RUN_ERASE_DUE,                     /* holds something of the person, and may be written again */
	RUN_ERASE_DONE,
	RUN_ERASE_HELD,                    /* a hold covers a thread of it */
	RUN_ERASE_UNFINISHED,              /* a run still owes it a step */
	RUN_ERASE_UNKNOWN,                 /* no line of the ledger vouches for it */
	/* it cannot be read, or is not what the ledger says: who is in it is not known */
	RUN_ERASE_DAMAGED,
	RUN_ERASE_LEFT,                    /* not looked at: a stop came before it */
	RUN_ERASE_STATES,
};
const char *run_erase_state_name(enum run_erase_state state); /* "due" ..., for people and documents */

struct run_erased {
	const char *rel_path, *new_rel_path; /* new: of one that is done */
	uint64_t threads, rows, posts;     /* that go; threads: in which any does */
	uint64_t names;                    /* lines about people and channels that go or change */
	uint64_t blobs, blob_bytes;        /* attachments that nobody else uses */
	uint64_t mentions;                 /* rows of others that name the person, and stay */
	uint64_t late;                     /* rows beside the ledger that came too late for it */
	uint64_t old_bytes, new_bytes;     /* of the file */
	enum run_erase_state state;
	const char *why;                   /* of one that stays, or NULL */
};
struct run_erase_kind { const char *kind; uint64_t rows; };
struct run_erase_report {
	struct run_erased *bundle; size_t n; /* those that hold anything of the person */
	struct run_erase_kind *kind; size_t n_kinds; /* rows that go, all bundles together */
	uint64_t looked_at, total;         /* bundles of the archive */
	uint32_t finished;                 /* erasures that a call before had begun: of whomever */
	/* such erasures that a hold forbids by now: their bundles are as they were */
	uint32_t withdrawn;
	/* older generations that stay because a hold covers what was erased in them */
	uint32_t held;
	/* older generations beside a file that cannot be shown to have replaced them, or of which holds could not be
	 * asked */
	uint32_t left;
	/* bundles that the ledger names and that are nowhere, nor declared lost; path of the first */
	uint64_t missing; const char *first_missing;
	uint64_t unknown_there;            /* objects of the mirror under bundles/ that no line names */
	uint64_t count[RUN_ERASE_STATES];
};
struct run_erase_options {
	const char *user;                  /* id; "": of nobody, only what a call before left is finished */
	const char *const *name; size_t n_names; /* account names that the person had in the bundles */
	const char *case_id;
	bool act;                          /* false: only looked at, without any lock */
	/* holds of the policy are compared with the names in the bundles alone, the legal-hold plugin is not asked */
	bool without_database;
	const struct progress *progress;
};
struct store;
/* Bundles without one person: each is written again, read back in full, announced in the ledger, published beside the
 * old one, entered, and the old one removed with its index; its late rows likewise; then the catalog.  policy NULL: its
 * holds are not asked, which the caller has told. The store is open for writing.  *ret is filled as far as it came,
 * also on errors (parent ctx).
 * ERR_HOLD: a hold names the person, nothing was done; or it covers threads of some bundles, which stay; ERR_KEPT:
 * others stay; ERR_INTERRUPTED or ERR_WORK_LEFT between two bundles; ERR_VERIFY, ERR_STORE, ERR_LOCKED, ERR_DATABASE,
 * ERR_PERMISSION. Durable afterwards: what the report calls done.  A crash leaves the old file, both, or the new one:
 * the next call, or run, goes on there. */
int run_erase(void *ctx, const struct policy *policy, struct store *store, const struct run_erase_options *options,
	      struct run_erase_report **ret, struct err *err) MMR_CHECKED;

/* ---- a bundle that is lost (run_abandon.c) ---- */

struct run_abandon_options {
	const char *bundle;                /* its file name, or its path below the archive root */
	const char *reason;                /* for the ledger */
	struct mirror *mirror;             /* asked for a copy; NULL: there is none, or it is not known of */
	bool act;                          /* false: only looked at, without any lock */
};
struct run_abandoned {
	const char *bundle, *rel_path, *rule;
	const char *found, *why;           /* "missing" or "damaged", and how, for people */
	const char *ids;                   /* what indexes tell of the ids that it held: "index", "filter", "none" */
	const char *aside;                 /* where the damaged file is by now, or NULL */
	uint64_t threads, posts, rows;     /* that were archived in it */
	uint32_t journals;                 /* of attachments that nobody unlinks by them any more */
	bool deleting;                     /* its delete had begun and had not come to its end */
	bool already;                      /* a line says so; a call before may have ended early */
	bool done;
};
/* Declares a published bundle lost whose file is missing or damaged: no run asks for it any more, deletes by it or
 * sweeps its threads; what is left of them in the database is for the next plan.  Needs no database.  *ret is filled as
 * far as it came, also on errors (parent ctx).  The store may be open for reading only.
 * ERR_NOT_FOUND: the ledger does not know it; ERR_USAGE: it expired; ERR_GUARD: it is whole, in the mirror, elsewhere
 * in the archive, behind a link, written again by an erasure, or its folder is missing; ERR_LOCKED, ERR_VERIFY (the
 * ledger), ERR_STORE (it cannot be read: whether it is damaged is not known), ERR_PERMISSION. Durable afterwards: the
 * line, what is known of its ids, and a damaged file is aside as *.lost.  A crash: the same call goes on. */
int run_abandon(void *ctx, struct store *store, const struct run_abandon_options *options, struct run_abandoned **ret,
		struct err *err) MMR_CHECKED;

/* ---- the copy in a bucket (run_mirror.c, run_mirror_all.c) ---- */

/* The mirror of the policy; NULL: it has none.  Asks the store nothing.  Parent ctx.  Errors as mirror_open. */
int run_mirror_open(void *ctx, const struct policy *policy, struct mirror **ret, struct err *err) MMR_CHECKED;

/* The mirror is of this archive: its ledger and its case log, if it has any, are the beginnings of those here.
 * ERR_VERIFY: they are another archive's, or those here are an older copy or were begun anew. */
int run_mirror_home(struct mirror *m, const struct store *store, struct err *err) MMR_CHECKED;

/* The ledger and the case log are in the mirror as they are here; ERR_VERIFY: other ones are. */
int run_mirror_ledger(struct mirror *m, const struct store *store, struct err *err) MMR_CHECKED;

enum run_mirror_depth {
	RUN_MIRROR_LIST /* names */,
	RUN_MIRROR_SUMS /* as the store gives them */,
	RUN_MIRROR_READ /* every byte */
};
struct run_mirror_found { const char *rel_path, *why; };
struct run_mirror_report {
	uint64_t bundles;                  /* that should have a copy */
	uint64_t missing, other;           /* have none, or one of other bytes */
	/* objects of bundles that expired or were replaced, and such as no line names */
	uint64_t gone, unknown;
	struct run_mirror_found *found; size_t n;
};
/* Compares what the ledger names with what the mirror has; changes nothing.  *ret is filled as far as it came, also on
 * errors (parent ctx).  ERR_VERIFY: the mirror is of another archive; ERR_STORE, ERR_INTERRUPTED. */
int run_mirror_look(void *ctx, struct mirror *m, const struct store *store, enum run_mirror_depth depth,
		    const struct progress *progress, struct run_mirror_report **ret, struct err *err) MMR_CHECKED;

struct run_fetch_options {
	bool act;                          /* false: only looked at, without any lock */
	/* file names or paths: only these, also such as the ledger does not know; none: all that are missing here */
	const char *const *bundle; size_t n_bundles;
	const struct progress *progress;
};
enum run_fetch_state {
	RUN_FETCH_DUE,
	RUN_FETCH_DONE,
	RUN_FETCH_NONE /* the mirror has no copy either */,
	RUN_FETCH_DAMAGED /* what the mirror has is not what the ledger names */,
	RUN_FETCH_STATES
};
struct run_fetched { const char *rel_path, *why; uint64_t bytes; enum run_fetch_state state; };
struct run_fetch_report {
	/* it was missing here, and came (or, when only looked at, would come) from the mirror */
	bool ledger;
	uint64_t beside;                   /* files beside the ledger that came */
	struct run_fetched *bundle; size_t n;
	uint64_t unknown;                  /* objects under bundles/ that no line names, and that nobody named */
	uint64_t count[RUN_FETCH_STATES];
};
/* What the archive lacks and the mirror has: the ledger, when there is none here, the files beside it, bundles.  Each
 * comes into partial/, is compared with the ledger's digest and read back in full, and is then published under its
 * name, never over anything.  The store is open for writing.  *ret is filled as far as it came, also on errors (parent
 * ctx).
 * ERR_VERIFY: a copy is not what the ledger names, or the mirror is of another archive; ERR_NOT_FOUND: some have no
 * copy, or the ledger has none; ERR_LOCKED, ERR_STORE, ERR_INTERRUPTED. Durable afterwards: what the report calls done.
 * A crash leaves a file in partial/, or the bundle in its place: the same call goes on. */
int run_fetch(void *ctx, struct store *store, struct mirror *m, const struct run_fetch_options *options,
	      struct run_fetch_report **ret, struct err *err) MMR_CHECKED;

/* The key of the advisory lock: one run per database. */
#define RUN_LOCK_KEY INT64_C(0x6d6d72657461696e) /* "mmretain" */

#endif
