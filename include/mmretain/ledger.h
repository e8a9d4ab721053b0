/*
 * ledger.h - floor 1: the append-only, hash-chained record of every irreversible step.
 *
 * File ledger/entries.jsonl (docs/formats.md): one JSON object a line, keys `seq`, `at` (RFC 3339 UTC), `prev` (hash of the
 * line before, 64 hex; zeros for the first), `type`, then the fields of the type, last key `hash`: SHA-256 over the line's bytes up to
 * (not including) `,"hash":`.  Never message text, never names of persons.
 * Includes: base only.
 */
#ifndef MMRETAIN_LEDGER_H
#define MMRETAIN_LEDGER_H

#include <mmretain/base.h>

struct ledger;

/* Opens (creates) the ledger of an archive; a torn last line is cut back to the last whole record, a `recovered` line says so.
 * flock on the file: ERR_LOCKED when another process writes.  ERR_VERIFY when the chain is broken. */
int ledger_open(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err) MMR_CHECKED;

/* A record under construction: fields appended in order. */
struct ledger_entry { struct buf b; };
void ledger_begin(struct ledger_entry *e, void *ctx, const char *type);
void ledger_str(struct ledger_entry *e, const char *key, const char *value);
void ledger_int(struct ledger_entry *e, const char *key, int64_t value);
void ledger_bool(struct ledger_entry *e, const char *key, bool value);
void ledger_raw(struct ledger_entry *e, const char *key, const char *json); /* ready JSON value */
/* Appends and fdatasyncs.  Durable when it returns 0; on failure the ledger refuses further appends. */
int ledger_append(struct ledger *l, struct ledger_entry *e, struct err *err) MMR_CHECKED;

/* Walks the chain from the start, read only, no lock. fn gets each whole line (without "\n"). ERR_VERIFY names the first bad line. */
typedef int (*ledger_fn)(void *payload, uint64_t seq, const char *line, size_t len, struct err *err);
int ledger_read(int ledger_dirfd, ledger_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* ---- run state folded from the lines ---- */
/* Line types of a run, in order: run-begin, recovered?, plan, (published | waived, purging, purged, sweep, unlinked, bundle-done)*,
 * kept*, run-end. */
struct ledger_bundle {
	char *run, *rule, *bundle, *rel_path, *policy_digest;
	char rows_digest[DIGEST_HEX + 1], file_digest[DIGEST_HEX + 1];
	int64_t snapshot_ms;
	bool waived, purge_started, purged, done;
	uint64_t threads, posts, rows;
};
struct ledger_state {
	struct ledger_bundle *bundle; size_t n_bundles;   /* only those not done */
	struct ledger_bundle *last_run; size_t n_last_run;/* all bundles of the newest run that published any */
	char *open_run;                    /* run without run-end, or NULL */
	char last_rows_digest[DIGEST_HEX + 1]; /* of the newest published bundle, or "" */
	uint64_t entries;
};
int ledger_fold(void *ctx, int ledger_dirfd, struct ledger_state **ret, struct err *err) MMR_CHECKED;

#endif
