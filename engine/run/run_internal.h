/*
 * run_internal.h - what the files of this room share.
 *
 * run_night.c    the order of steps
 * run_recover.c  what a crash left, first of all
 * run_due.c      due threads by rule, team and month of expiry
 * run_unit.c     one unit of threads -> one bundle
 * run_files.c    attachments: looked at before rows are written, stored after them
 * run_names.c    id -> name for every id that occurs
 * run_purge.c    one receipt: purge, sweep, unlink
 * run_people.c   departed users
 * run_ledger.c   the ledger lines
 */
#ifndef RUN_INTERNAL_H
#define RUN_INTERNAL_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#define RUN_VERSION "0.1.0"
#define EXPIRY_NEVER INT32_MAX

struct run {
	void *ctx;
	const struct policy *policy;
	const struct run_options *options;
	struct run_report *report;
	struct store *store;
	struct mm *mm;
	struct db *lock_db;
	struct ledger *ledger;
	struct plan *plan;
	struct bundle_kind *kind;          /* MM_KINDS of them */
	char schema_hex[DIGEST_HEX + 1], policy_hex[DIGEST_HEX + 1];
	char previous_hex[DIGEST_HEX + 1]; /* row digest of the newest published bundle, or "" */
	uint32_t seq;                      /* of the next bundle */
	uint32_t journals;                 /* unlink journals so far */
	double raw_per_post;               /* bytes, of the bundles so far */
	bool begun;                        /* run-begin is in the ledger */
};

/* ---- due threads, grouped ---- */
struct due { int32_t rule, expiry_month /* since year 0, or EXPIRY_NEVER */; mm_id team; struct plan_thread t; };
int run_due_group(struct run *run, struct spool **ret, struct err *err) MMR_CHECKED;
bool run_due_same(const struct due *a, const struct due *b);
int64_t run_expires_ms(int32_t expiry_month); /* first moment after the month; 0 = never */

/* ---- ids that occur ---- */
struct run_ids;
struct run_ids *run_ids_new(void *ctx);
void run_ids_add(struct run_ids *ids, const char *id, size_t len);
/* Writes data/names/<what>.jsonl of the bundle for all ids. */
int run_names_write(struct run *run, struct bundle_writer *w, const char *what, const struct run_ids *ids, struct err *err) MMR_CHECKED;

/* ---- one unit ---- */
struct run_file { uint64_t thread; char *id, *path; struct digest sha256; uint64_t size_bytes; mm_id root; bool changed; };
struct unit {
	struct run *run;
	void *ctx;                         /* freed with the unit */
	const struct policy_rule *rule;
	const struct mm_scope *scope;      /* of its first thread: team */
	struct due first;
	uint64_t begin, threads;           /* records of the spool: begin, and how many were added */
	uint64_t used;                     /* threads that went into the bundle or were dropped, from the front */
	struct mm_export *x;
	struct bundle_writer *w;
	struct purge_hints *hints;
	struct run_ids *users, *channels, *teams;
	struct run_file *file; size_t n_files, cap_files, file_at;
	uint64_t *dropped; size_t n_dropped;
	uint64_t stop_thread;              /* attachments beyond this one belong to the next bundle */
	uint64_t blob_bytes;
	int64_t snapshot_ms;
};
int run_files_look(struct unit *u, struct err *err) MMR_CHECKED;
/* The unit's files whose rows are in the bundle: content and one line each. */
int run_files_store(struct unit *u, struct err *err) MMR_CHECKED;
/* Reads threads of one group from the spool at `record`, writes and publishes their bundle, purges. *ret_next: where to go on. */
int run_unit(struct run *run, struct spool *due, uint64_t record, uint64_t *ret_next, struct err *err) MMR_CHECKED;

/* ---- one receipt ---- */
struct run_purge {
	const char *name;                  /* bundle, or "waived-..." */
	const struct receipt *receipt;
	const struct policy_rule *rule;
	struct purge_hints *hints;         /* NULL: recovery */
	int64_t snapshot_ms;
	const mm_id *skip; size_t n_skip;  /* threads that are in the bundle but stay (their blob changed meanwhile) */
	bool settle_only;                  /* delete nothing more: only sweep, unlink, close */
	bool started;                      /* the ledger says purging already */
};
int run_purge_receipt(struct run *run, const struct run_purge *p, struct purge_counts *counts, struct err *err) MMR_CHECKED;
/* Journals that runs before left. */
int run_unlink_leftovers(struct run *run, struct err *err) MMR_CHECKED;
int run_recover(struct run *run, struct err *err) MMR_CHECKED;
int run_people(struct run *run, struct err *err) MMR_CHECKED;
enum plan_reason run_reason(unsigned why);
struct run_bundle *run_add_bundle(struct run *run);
const struct policy_rule *run_find_rule(const struct run *run, const char *name);
static inline bool run_deletes(const struct run *run) { return !run->options->no_purge; }
int run_fault(enum fault_id id, struct err *err) MMR_CHECKED;
/* With -v: what a step cost, for people and for the benchmark.  name: bundle, or "". */
void run_timing(const char *step, int64_t from_us, uint64_t posts, const char *name);

/* ---- ledger lines ---- */
int run_line_begin(struct run *run, struct err *err) MMR_CHECKED;
int run_line_plan(struct run *run, struct err *err) MMR_CHECKED;
int run_line_bundle(struct run *run, const struct unit *u, const struct receipt *r, const char *name, struct err *err) MMR_CHECKED;
int run_line_step(struct run *run, const char *type, const char *bundle, const struct purge_counts *c, struct err *err) MMR_CHECKED;
int run_line_kept(struct run *run, struct err *err) MMR_CHECKED;
int run_line_end(struct run *run, int code, struct err *err) MMR_CHECKED;

#endif
