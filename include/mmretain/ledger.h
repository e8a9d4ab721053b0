/*
 * ledger.h - floor 1: the append-only, hash-chained record of every irreversible step.
 *
 * File ledger/entries.jsonl (docs/formats.md): one JSON object a line, keys `seq`, `at` (RFC 3339 UTC), `prev` (hash of the
 * line before, 64 hex; zeros for the first), `type`, then the fields of the type, last key `hash`: SHA-256 over the line's bytes up to
 * (not including) `,"hash":`.  Never message text, never names of persons.
 * Includes: base only.
 * Order: ledger_open, (ledger_begin, ledger_str..., ledger_append)..., talloc_free.  Readers: ledger_read or ledger_fold, no lock.
 *
 * Lines and their fields (every line of a run has `run`; digests are 64 hex digits, *_ms are numbers):
 *
 *   recovered    cut_bytes, completed          written by ledger_open after a torn last line
 *   run-begin    run, tool, host, system_identifier, database, trigger (timer | person | script), uid, policy_digest, purge (bool)
 *   plan         run, digest, taken_ms, deleted_cut_ms, rules: [{rule, cut_ms, limit_posts, limit_bytes, limit_per (channel | team), scopes,
 *                due_threads, due_parts (of them: parts of threads that stay), due_posts, due_bytes}], due_threads, due_parts, due_posts,
 *                due_bytes; cut-offs, limits and due_parts are absent where there are none
 *   published    run, rule, bundle, rel_path, file_digest, rows_digest, previous_digest, policy_digest, threads, posts, rows,
 *                blobs, file_bytes, snapshot_ms, expires_ms (0 = never)
 *   waived       run, rule, bundle ("waived-" and 12 digits of rows_digest), because, file_digest, rows_digest, policy_digest,
 *                threads, posts, rows, snapshot_ms
 *   purging      run, bundle
 *   stayed       run, bundle, roots: [thread ids] (at most 1000 a line): what the purge did not delete of the bundle
 *   purged       run, bundle, threads, posts, rows: {kind: count}, batches, kept_changed, kept_held, kept_locked, kept_gone
 *   purge-stopped  as purged, of a run that ended before the last batch and had deleted something; a later run goes on
 *   sweep        run, bundle, late_restored, late_removed, open_xid (absent: every transaction that could have missed the delete had ended),
 *                looked_ms (since when a later look asks for late replies; absent: since snapshot_ms of the bundle)
 *   unlinked     run, bundle, blobs_unlinked, blobs_shared, blobs_failed, bytes_unlinked
 *   bundle-done  run, bundle
 *   depersonalising  run, user (id), person_digest
 *   depersonalised   run, user, person_digest, rows, found_done (an earlier run ended between the change and this line)
 *   restored     root, rel_path, case, posts, rows, rows_there, files: a thread is back in the database (no run)
 *   kept         run, rule, reason, threads
 *   run-end      run, outcome (complete | partial | refused | failed), exit, duration_ms, gone_threads (due, and not there any more; absent: 0),
 *                waited_replicas_ms, waited_server_ms (absent: 0), unswept (true: as after a run without this line; absent: no), error (name of the code, when not
 *                complete)
 *
 * Between runs, without `run`:
 *
 *   hold         roots: [thread ids] (at most 1000 a line), case, via (restore | admin), uid, host: no run takes these threads, or parts of them
 *   release      roots: [thread ids] (at most 1000 a line), case, uid, host: the hold of this case on them ends, those of others go on
 *
 *   erasing      bundle, rel_path, file_digest, old_rel_path, old_file_digest, rows_digest, person_digest, case, generation, rows, posts,
 *                blobs: the bundle was written again without one person, and is about to be published; bundle: its name when it was published first
 *   erased       the same, and file_bytes: rel_path is the bundle from now on
 *   erasure-withdrawn  the same without file_bytes, because (held): announced by a call that ended before `erased`, and not done; old_rel_path is the
 *                bundle as before, the file at rel_path is about to be removed
 *
 *   abandoned    bundle, rel_path, file_digest, rows_digest, threads, posts, rows, file_bytes, found (missing | damaged), deleting (bool: its delete
 *                had begun and had not come to its end), ids (index | filter | none: what ledger/lost-* tells of it), reason, uid, host, tool:
 *                declared lost; no run reads it, deletes by it, or sweeps it again
 *
 * In a run (then with `run`) or between runs (`mmretain expire`):
 *
 *   expiring     bundle, rel_path, rule, file_digest, rows_digest, expires_ms, threads, posts, rows, file_bytes, first_ms, last_ms: the bundle is about to be removed
 *   expired      bundle, rel_path, file_bytes, late_files: it is gone, with its index and its late rows
 *   expiry-withdrawn  bundle, because (held | policy | damaged | clock): announced by a run that ended before it was removed, and stays
 *
 * A bundle is known by `bundle` alone, so a later run may write the lines that a crashed one still owes.  A waiver is known by it from its line `waived` to its
 * line `bundle-done`: the same rows, waived again, get the same name.
 */
#ifndef MMRETAIN_LEDGER_H
#define MMRETAIN_LEDGER_H

#include <mmretain/base.h>

struct ledger;

#define LEDGER_FILE "entries.jsonl"
#define LEDGER_LINE_MAX ((size_t)1 << 20) /* bytes; a longer line is damage */

/* Opens (creates) the ledger of an archive, makes durable what it holds and reads it from the disk; a torn last line is cut back to the last whole record (a whole record that lacks only
 * its newline is completed instead), a `recovered` line says so.
 * flock on the file: ERR_LOCKED when another process writes.  ERR_VERIFY when the chain is broken.  Freed with talloc_free. */
int ledger_open(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err) MMR_CHECKED;

/* The same for one more record: checks the last record and not the chain before it, so the cost does not grow with the ledger.  What
 * is not a whole, sound last record goes the way of ledger_open. */
int ledger_open_end(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err) MMR_CHECKED;

/* A record under construction: fields appended in order. */
struct ledger_entry { struct buf b; };
void ledger_begin(struct ledger_entry *e, void *ctx, const char *type);
void ledger_str(struct ledger_entry *e, const char *key, const char *value);
void ledger_int(struct ledger_entry *e, const char *key, int64_t value);
void ledger_bool(struct ledger_entry *e, const char *key, bool value);
void ledger_raw(struct ledger_entry *e, const char *key, const char *json); /* ready JSON value */
/* Appends and fdatasyncs.  Durable when it returns 0; on failure the ledger refuses further appends. */
int ledger_append(struct ledger *l, struct ledger_entry *e, struct err *err) MMR_CHECKED;

/* Walks the chain from the start, read only, no lock. fn gets each whole line (without "\n"); as in db_row_fn, 1 stops early.
 * ERR_VERIFY names the first bad line.  A missing file is an empty ledger; a last line without its newline (a writer at work, or a
 * crash) is not yet a record and is left out. */
typedef int (*ledger_fn)(void *payload, uint64_t seq, const char *line, size_t len, struct err *err);
int ledger_read(int ledger_dirfd, ledger_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* ---- run state folded from the lines ---- */
/* Line types of a run, in order: run-begin, recovered?, plan, (published | waived, purging, (stayed*, purged | purge-stopped), sweep, bundle-done)*, (unlinked, bundle-done)*,
 * kept*, run-end. */
struct ledger_bundle {
	char *run, *rule, *bundle, *rel_path, *policy_digest;
	char rows_digest[DIGEST_HEX + 1], file_digest[DIGEST_HEX + 1];
	int64_t snapshot_ms;
	bool waived, purge_started, purged, done;
	uint64_t threads, posts, rows;
	uint64_t open_xid;                 /* of its last sweep; 0: closed */
	int64_t looked_ms;                 /* of its last sweep: what came before has been looked for; 0: what came before snapshot_ms */
	char *stayed;                      /* ids of its threads that were not deleted, one blank before each; or NULL */
	char *stayed_run;                  /* which run said so last */
};
typedef char ledger_id[27];                /* of a thread, as mm_id */
struct ledger_hold { int64_t since_ms; const char *case_id, *via; }; /* of the line that holds it; since_ms: when it was written */
struct ledger_held_by { ledger_id root; struct ledger_hold hold; }; /* one thread for one case */
struct ledger_erasure {                    /* the fields of an `erasing`, `erased` or `erasure-withdrawn` line */
	char *bundle, *rel_path, *old_rel_path, *person_digest, *case_id;
	char file_digest[DIGEST_HEX + 1], old_file_digest[DIGEST_HEX + 1], rows_digest[DIGEST_HEX + 1];
	uint64_t generation, rows, posts, blobs;
	bool given_up;                     /* before it was published: an erasure of somebody else has taken the name of its file */
	bool withdrawn;                    /* because of a hold: its file goes, should it be there; it may be asked for again */
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
	struct ledger_erasure *erasing; size_t n_erasing; /* announced or withdrawn, and no line says yet that it is done */
	const ledger_id *held; size_t n_held; /* threads that a case holds: its last line of `hold` and `release` is a hold; sorted by strcmp */
	const struct ledger_held_by *held_by; size_t n_held_by; /* every case of each, by thread, the oldest first */
};
int ledger_fold(void *ctx, int ledger_dirfd, struct ledger_state **ret, struct err *err) MMR_CHECKED;
/* Each case that holds a thread, the one that holds it longest first; NULL: no other. */
const struct ledger_held_by *ledger_held_first(const struct ledger_state *st, const char *root);
const struct ledger_held_by *ledger_held_next(const struct ledger_state *st, const struct ledger_held_by *b);
/* Does this case hold the thread? */
bool ledger_held_for(const struct ledger_state *st, const char *root, const char *case_id);

/* What the ledger says of the file at rel_path: by its newest line `published`, `erasing`, `erased` or `erasure-withdrawn` for that path. */
struct ledger_voucher {
	bool found;
	bool replaced;                     /* a line `erased` says that another file took its place */
	char by[512];                      /* that one */
	char person_digest[DIGEST_HEX + 1];/* of the person who was erased in it */
	char bundle[256];                  /* its name when it was published first */
	struct digest file, rows;
};
int ledger_vouch(int ledger_dirfd, const char *rel_path, struct ledger_voucher *ret, struct err *err) MMR_CHECKED;

/* ---- every published bundle, and what became of it (ledger_archive.c) ---- */
struct ledger_loss { int64_t at_ms; char *found, *ids, *reason, *host; uint64_t uid; bool deleting; }; /* the fields of its `abandoned` line */
enum ledger_expiry { LEDGER_THERE, LEDGER_EXPIRING /* announced, not yet said to be gone */, LEDGER_EXPIRED };
struct ledger_published {
	char *bundle, *rel_path, *rule;
	char **former; size_t n_former;    /* paths of files that an erasure replaced */
	char rows_digest[DIGEST_HEX + 1], file_digest[DIGEST_HEX + 1];
	bool has_expiry;                   /* false: only the bundle itself says when it expires */
	int64_t expires_ms;                /* 0: never */
	uint64_t threads, posts, rows, file_bytes; /* file_bytes 0: not said */
	bool done;                         /* no run owes it a step */
	uint64_t open_xid;                 /* of its last sweep; 0: closed */
	char **run; size_t n_runs;         /* whose lines name it, each once, in their order: a journal of any of them may be of its attachments */
	int64_t newest_ms;                 /* when: of its newest line but those of its expiry */
	enum ledger_expiry expiry;
	const struct ledger_loss *loss;    /* NULL: nobody has declared it lost */
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

#endif
