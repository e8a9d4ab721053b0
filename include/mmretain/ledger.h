/*
 * ledger.h - floor 1: the append-only, hash-chained record of every irreversible step.
 *
 * For: append a line, walk the chain, what the lines say of runs, bundles, erasures and holds.
 * Not for: what a line of a type must hold: whoever writes it does that (run_ledger.c, run_hold.c, run_restore.c,
 * run_expire.c, run_erase_finish.c, run_abandon.c, run_people.c, run_recover.c; audit_case.c for the case log, which is
 * a ledger of its own).
 * Includes: base only.
 * Order: ledger_open, (ledger_begin, ledger_str..., ledger_append)..., talloc_free.  Readers: ledger_read or
 * ledger_fold, no lock.
 *
 * File ledger/entries.jsonl: one JSON object a line, keys `seq`, `at` (RFC 3339 UTC), `prev` (hash of the line before,
 * 64 hex; zeros for the first), `type`, then the fields of the type, last key `hash`: SHA-256 over the line's bytes up
 * to (not including) `,"hash":`.  Never message text, never names of persons. Types, their fields and their order:
 * docs/formats.md, "Ledger", and nowhere else; lint compares that list with the code, the end-to-end tests with the
 * lines. A bundle is known by `bundle` alone, so a later run may write the lines that a crashed one still owes.  A
 * waiver is known by it from its line `waived` to its line `bundle-done`: the same rows, waived again, get the same
 * name.
 */
#ifndef MMRETAIN_LEDGER_H
#define MMRETAIN_LEDGER_H

#include <mmretain/base.h>

struct ledger;

#define LEDGER_FILE "entries.jsonl"
#define LEDGER_LINE_MAX ((size_t)1 << 20) /* bytes; a longer line is damage */

/* Opens (creates) the ledger of an archive, makes durable what it holds and reads it from the disk; a torn last line is
 * cut back to the last whole record (a whole record that lacks only its newline is completed instead), a `recovered`
 * line says so. flock on the file: ERR_LOCKED when another process writes.  ERR_VERIFY when the chain is broken.  Freed
 * with talloc_free. */
int ledger_open(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err) MMR_CHECKED;

/* The same for one more record: checks the last record and not the chain before it, so the cost does not grow with the
 * ledger.  What is not a whole, sound last record goes the way of ledger_open. */
int ledger_open_end(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err) MMR_CHECKED;

/* A record under construction: fields appended in order, keys as docs/formats.md has them.  Nothing fails here: a
 * record that is longer than LEDGER_LINE_MAX, is not UTF-8 or more than a line is refused by ledger_append
 * (ERR_INTERNAL). */
struct ledger_entry { struct buf b; };
void ledger_begin(struct ledger_entry *e, void *ctx, const char *type);
void ledger_str(struct ledger_entry *e, const char *key, const char *value);
void ledger_int(struct ledger_entry *e, const char *key, int64_t value);
void ledger_bool(struct ledger_entry *e, const char *key, bool value);
void ledger_raw(struct ledger_entry *e, const char *key, const char *json); /* ready JSON value */
/* Appends and fdatasyncs, and frees the entry, also on failure.  Durable when it returns 0.  ERR_STORE: it cannot be
 * written or made durable, and may be there in part; the ledger refuses further appends. */
int ledger_append(struct ledger *l, struct ledger_entry *e, struct err *err) MMR_CHECKED;

/* Walks the chain from the start, read only, no lock. fn gets each whole line (without "\n"); as in db_row_fn, 1 stops
 * early. ERR_VERIFY names the first bad line; lines before it were given.  ERR_STORE, ERR_PERMISSION; what fn returns.
 * A missing file is an empty ledger; a last line without its newline (a writer at work, or a crash) is not yet a record
 * and is left out. */
typedef int (*ledger_fn)(void *payload, uint64_t seq, const char *line, size_t len, struct err *err);
int ledger_read(int ledger_dirfd, ledger_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* ---- run state folded from the lines ---- */
struct ledger_bundle {
	char *run, *rule, *bundle, *rel_path, *policy_digest;
	char rows_digest[DIGEST_HEX + 1], file_digest[DIGEST_HEX + 1];
	int64_t snapshot_ms;
	bool waived, purge_started, purged, done;
	uint64_t threads, posts, rows;
	uint64_t open_xid;                 /* of its last sweep; 0: closed */
	/* of its last sweep: what came before has been looked for; 0: what came before snapshot_ms */
	int64_t looked_ms;
	/* ids of its threads that were not deleted, one blank before each; or NULL */
	char *stayed;
	char *stayed_run;                  /* which run said so last */
};
typedef char ledger_id[27];                /* of a thread, as mm_id */
/* of the line that holds it; since_ms: when it was written */
struct ledger_hold { int64_t since_ms; const char *case_id, *via; };
struct ledger_held_by { ledger_id root; struct ledger_hold hold; }; /* one thread for one case */
struct ledger_erasure {                    /* the fields of an `erasing`, `erased` or `erasure-withdrawn` line */
	char *bundle, *rel_path, *old_rel_path, *person_digest, *case_id;
	char file_digest[DIGEST_HEX + 1], old_file_digest[DIGEST_HEX + 1], rows_digest[DIGEST_HEX + 1];
	uint64_t generation, rows, posts, blobs;
	/* before it was published: an erasure of somebody else has taken the name of its file */
	bool given_up;
	/* because of a hold: its file goes, should it be there; it may be asked for again */
	bool withdrawn;
};
struct ledger_state {
	struct ledger_bundle *bundle; size_t n_bundles;   /* only those not done */
	struct ledger_bundle *last_run; size_t n_last_run;/* bundles that the newest deleting run purged, or whose
							     delete it finished, and those whose sweep is open */
	char *system, *database;           /* of the newest run, or NULL */
	char *open_run;                    /* run without run-end, or NULL */
	bool unswept;                      /* of the newest run-end: threads may be back that no line names */
	int64_t last_ms;                   /* of the last line of a run; 0: none */
	char last_rows_digest[DIGEST_HEX + 1]; /* of the newest published bundle, or "" */
	uint64_t entries;
	/* announced or withdrawn, and no line says yet that it is done */
	struct ledger_erasure *erasing; size_t n_erasing;
	/* threads that a case holds: its last line of `hold` and `release` is a hold; sorted by strcmp */
	const ledger_id *held; size_t n_held;
	const struct ledger_held_by *held_by; size_t n_held_by; /* every case of each, by thread, the oldest first */
};
/* Walks the ledger once; errors as ledger_read.  An empty or missing one gives an empty state.  *ret's parent is ctx,
 * and all that it points to is its own. */
int ledger_fold(void *ctx, int ledger_dirfd, struct ledger_state **ret, struct err *err) MMR_CHECKED;
/* Each case that holds a thread, the one that holds it longest first; NULL: no other. */
const struct ledger_held_by *ledger_held_first(const struct ledger_state *st, const char *root);
const struct ledger_held_by *ledger_held_next(const struct ledger_state *st, const struct ledger_held_by *b);
/* Does this case hold the thread? */
bool ledger_held_for(const struct ledger_state *st, const char *root, const char *case_id);

/* What the ledger says of the file at rel_path: by its newest line `published`, `erasing`, `erased` or
 * `erasure-withdrawn` for that path. */
struct ledger_voucher {
	bool found;
	bool replaced;                     /* a line `erased` says that another file took its place */
	char by[512];                      /* that one */
	char person_digest[DIGEST_HEX + 1];/* of the person who was erased in it */
	char bundle[256];                  /* its name when it was published first */
	struct digest file, rows;
};
/* Walks the ledger once; errors as ledger_read, *ret is not to be used then.  No line for the path is no error: found
 * is false. */
int ledger_vouch(int ledger_dirfd, const char *rel_path, struct ledger_voucher *ret, struct err *err) MMR_CHECKED;

/* ---- every published bundle, and what became of it (ledger_archive.c) ---- */
/* the fields of its `abandoned` line */
struct ledger_loss { int64_t at_ms; char *found, *ids, *reason, *host; uint64_t uid; bool deleting; };
enum ledger_expiry { LEDGER_THERE, LEDGER_EXPIRING /* announced, not yet said to be gone */, LEDGER_EXPIRED };
struct ledger_published {                  /* as small as it can be: an archive has one for each that ever was */
	char *bundle, *rel_path, *rule;
	char **former; size_t n_former;    /* paths of files that an erasure replaced */
	/* hex, or "".  Of one that expired: the 12 digits that its name has, and what follows them there; "" */
	char *rows_digest, *file_digest;
	int64_t expires_ms;                /* 0: never */
	uint64_t threads, posts, rows, file_bytes; /* file_bytes 0: not said */
	uint64_t open_xid;                 /* of its last sweep; 0: closed */
	/* whose lines name it, each once, in their order: a journal of any of them may be of its attachments; of one
	 * that expired: none */
	char **run; size_t n_runs;
	int64_t newest_ms;                 /* when: of its newest line but those of its expiry */
	const struct ledger_loss *loss;    /* NULL: nobody has declared it lost */
	enum ledger_expiry expiry;
	bool has_expiry;                   /* false: only the bundle itself says when it expires */
	bool done;                         /* no run owes it a step */
};
/* A ledger that is silent for longer than this was left alone, or a clock has jumped. */
#define LEDGER_GAP_MS (INT64_C(32) * 86400000)
struct ledger_archive {
	struct ledger_published *bundle; size_t n;   /* in the order of publishing */
	int64_t newest_ms;                 /* of all lines; INT64_MIN: the ledger is empty */
	int64_t gap_from_ms, gap_to_ms;    /* the newest such silence between two lines; INT64_MIN: none */
};
/* Walks the ledger once; errors as ledger_read.  Parent ctx. */
int ledger_archive(void *ctx, int ledger_dirfd, struct ledger_archive **ret, struct err *err) MMR_CHECKED;

/* ---- what one run deleted, or all by one bundle (ledger_purged.c) ---- */
struct ledger_purged {
	char *bundle;                      /* its name when it was published first */
	bool waived;                       /* a list of rows without an archive */
	bool begun;                        /* its delete; of a run always */
	uint64_t threads;                  /* that lines (of the run, where one was asked for) say were deleted */
	/* its threads that were not deleted, or that a sweep put back; sorted by strcmp */
	ledger_id *stayed; size_t n_stayed;
	/* that a line `restored` says were put back out of it; sorted likewise */
	ledger_id *restored; size_t n_restored;
};
struct ledger_purges { char *run; /* NULL: a bundle was asked for */ struct ledger_purged *bundle; size_t n; };
/* One of run ("last": the newest) and bundle (its name when it was published first), the other NULL.  A bundle that one
 * run began to delete by and another finished is of both.  Walks the ledger twice; errors as ledger_read,
 * ERR_NOT_FOUND: no such run, no such bundle, ERR_INTERRUPTED.  Parent ctx. */
int ledger_purged(void *ctx, int ledger_dirfd, const char *run, const char *bundle, struct ledger_purges **ret,
		  struct err *err) MMR_CHECKED;
bool ledger_purged_stayed(const struct ledger_purged *b, const char *root);
bool ledger_purged_restored(const struct ledger_purged *b, const char *root);
/* What lines of a bundle call it, by any name or path of its file: <name>-e2.tar.zst is what an erasure made of
 * <name>.tar.zst. */
char *ledger_bundle_name(void *ctx, const char *path);

#endif
