/*
 * run_internal.h - what the files of this room share.
 *
 * run_night.c    the order of steps
 * run_recover.c  what a crash left, first of all
 * run_due.c      due threads by rule, team and month of expiry
 * run_sitting.c  threads of several bundles, read in one snapshot; run_sitting_pace.c: its rests
 * run_unit.c     one bundle of them: open, publish, purge
 * run_index.c    published bundles into the catalog
 * run_hold.c     threads that a line of the ledger holds
 * run_files.c    attachments: looked at before rows are written, stored after them
 * run_names.c    id -> name for every id that occurs
 * run_purge.c    receipts: purge, sweep, unlink
 * run_late.c     attachments of threads that came back to a late reply
 * run_scope.c    channels that another rule wins by now
 * run_time.c     how the time of a night is shared out
 * run_clock.c    whether what time it is can be believed
 * run_people.c   departed users
 * run_ledger.c   the ledger lines
 * run_attempt.c  what is left of a run that did not come to its first one
 * run_trigger.c  who began the run
 * run_restore.c  threads back into the database; run_restore_file.c: their attachments
 * run_restore_all.c  all that a run deleted, or one bundle; run_restore_batch.c: a transaction of that
 * run_expire.c   bundles past their time; run_expire_look.c: which may go; run_expire_hold.c: what holds them
 * run_erase.c    one person out of the bundles; run_erase_finish.c: what a crash left of that; run_erase_hold.c: holds
 *                asked again before
 * run_abandon.c  a bundle that is lost, declared so
 * run_mirror.c   the copy in a bucket; run_mirror_list.c: lists; run_mirror_all.c: as a whole; run_mirror_night.c: in a
 *                night; run_fetch.c: back from there
 */
#ifndef RUN_INTERNAL_H
#define RUN_INTERNAL_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#define RUN_VERSION "mmretain 0.1.0"
#define EXPIRY_NEVER INT32_MAX
#define RUN_NOT_YET INT64_MAX

/* Attachments that wait for the end of the run. */
struct run_pending { char *name, journal[96]; };

struct run {
	void *ctx;
	const struct policy *policy;
	const struct run_options *options;
	struct run_report *report;
	struct store *store;
	struct mm *mm;
	struct db *lock_db;
	struct purge_pace *pace;
	struct ledger *ledger;
	/* a repeated sweep, of this run or one before, may have put threads back that no line names */
	bool owes_look;
	bool swept;                        /* what may have come late after the last run was looked for */
	const mm_id *held; size_t n_held;  /* threads that the ledger holds, sorted */
	struct plan *plan;
	uint64_t plan_xid;                 /* of mm_export_before; 0: of a plan file */
	int64_t plan_boot_ms;              /* time_boot_ms when the plan was begun */
	/* by time_boot_ms: the end of all that deletes rows of threads, and of what leads to it; 0 = none */
	int64_t work_until_boot_ms;
	int64_t people_until_boot_ms;      /* the same for departed users */
	int64_t sitting_ms;                /* that the sitting before took to its first bundle; 0: there was none */
	struct bundle_kind *kind;          /* MM_KINDS of them */
	char schema_hex[DIGEST_HEX + 1], policy_hex[DIGEST_HEX + 1];
	char previous_hex[DIGEST_HEX + 1]; /* row digest of the newest published bundle, or "" */
	uint32_t seq;                      /* of the next bundle */
	uint32_t journals;                 /* unlink journals so far */
	int64_t deleted_mono_ms;           /* when the last delete of this run ended; 0: none */
	/* since when replies may have come late to what this run deletes; RUN_NOT_YET: it has deleted nothing */
	int64_t since_ms;
	uint64_t told_files;               /* attachments that cannot be archived, so far */
	uint64_t told_denied;              /* of those: that may not be read */
	bool told_no_folder;               /* that there is no folder of attachments was said */
	bool leftovers;                    /* journals of runs before wait for the end of this one */
	struct run_pending *pending; size_t n_pending;
	size_t batch_posts;                /* of the next deleting transaction */
	bool starved;                      /* an export that gave way entirely had no processor: the next ones do not */
	struct run_index *index;           /* NULL: nothing yet */
	struct mirror *mirror;             /* NULL: the policy has none */
	bool mirror_has_ledger;            /* as of this run */
	bool mirror_failed;                /* a bundle could not be brought there */
	/* a rule or a channel that is not there, a plan file that cannot be used: that was no run */
	bool named_wrongly;
};

/* ---- due threads, grouped ---- */
/* Parts of threads that stay never share a bundle with whole threads: t.part is of the class. */
struct due { int32_t rule, expiry_month /* since year 0, or EXPIRY_NEVER */; mm_id team; struct plan_thread t; };
int run_due_group(struct run *run, struct spool **ret, struct err *err) MMR_CHECKED;
bool run_due_same(const struct due *a, const struct due *b);
int64_t run_expires_ms(int32_t expiry_month); /* first moment after the month; 0 = never */
/* When a bundle whose newest row is of that time expires. */
int64_t run_expiry_after(int64_t last_ms, const struct duration *keep_for);

/* ---- threads that the ledger holds ---- */
void run_take_held(struct run *run, const struct ledger_state *st);
bool run_is_held(const struct run *run, const char *root);
/* What is skipped already, and every held thread: no delete takes them, whoever planned it.  Sorted; skip itself where
 * nothing is held. */
const struct purge_skip *run_skip_held(const struct run *run, void *ctx, const struct purge_skip *skip, size_t n,
				       size_t *ret_n);

/* ---- ids that occur ---- */
struct run_ids;
struct run_ids *run_ids_new(void *ctx);
void run_ids_add(struct run_ids *ids, const char *id, size_t len);
/* Names that were asked for in the snapshot of a sitting. */
struct run_names;
struct run_names *run_names_new(void *ctx);
/* Asks for all that will be needed, teams, channels or users. */
int run_names_fetch(struct mm_export *x, struct run_names *names, const char *what, const struct run_ids *ids,
		    struct err *err) MMR_CHECKED;
/* Before the rows of a large export, where a question a bundle costs more: people, whoever they are. */
int run_names_people_ahead(struct mm_export *x, struct run_names *names, struct err *err) MMR_CHECKED;
/* Writes data/names/<what>.jsonl of the bundle for all ids; asks for those that are not known. */
int run_names_write(struct mm_export *x, struct run_names *names, struct bundle_writer *w, const char *what,
		    const struct run_ids *ids, struct err *err) MMR_CHECKED;
/* Adds who is in the direct and group messages among channels, whose names were written: some may have no row of their
 * own there. */
void run_names_people(const struct run_names *names, const struct run_ids *channels, struct run_ids *users);

/* ---- one unit ---- */
struct sitting;
struct run_purge;
struct unit {                              /* one bundle of a sitting */
	struct sitting *sitting;
	void *ctx;                         /* until it is published */
	struct due first;
	const struct policy_rule *rule;
	const struct mm_scope *scope;      /* of its first thread: team */
	uint64_t begin;                    /* its first thread */
	/* attachments in the order of their rows, NULL before the first (run_files.c) */
	struct spool *files, *paths;
	uint64_t blob_bytes;               /* of all of them */
	uint64_t from_hint;                /* its first row among the hints */
	struct bundle_writer *w;
	struct run_ids *users, *channels, *teams;
	struct receipt *receipt;
	char *name, *part;                 /* part: the list of a waiver, in partial/ */
	/* threads that are in the bundle and stay: a late pin, an attachment that changed */
	struct purge_skip *skip; size_t n_skip;
	size_t at;                         /* in the report */
	uint64_t indexed;                  /* number to wait for */
	struct finishing *finishing;       /* NULL: not yet, or not any more */
};
/* Opens a bundle for threads like *first, from this thread of the sitting on. */
int run_unit_open(struct sitting *s, uint64_t thread, const struct due *first, struct err *err) MMR_CHECKED;
/* Attachments and names; the bundles before it are published, and a thread takes it to the disk while the rows of the
 * next one come. */
int run_unit_close(struct unit *u, struct err *err) MMR_CHECKED;
/* All bundles that were closed: on the disk, read back, published, in the ledger. */
int run_units_settle(struct sitting *s, struct err *err) MMR_CHECKED;
/* This thread is in the bundle and stays; why: as for purge_skip. */
void run_unit_skip(struct unit *u, const char *root, unsigned why);
/* What is to be deleted for it. */
void run_unit_purge(struct unit *u, struct run_purge *ret);
void run_unit_abort(struct unit *u);
void run_unit_discard(struct unit *u);

/* ---- erasures that were interrupted (run_erase_finish.c) ---- */
int run_erase_recover(struct run *run, struct err *err) MMR_CHECKED;

/* ---- the catalog ---- */
/* At full speed nothing is done for the sake of a chat beside. */
static inline bool run_alone(const struct run *run)
{
	return run->policy->throttle.export_pause_factor <= 0;
}
/* A published bundle is to be indexed.  A number to wait for. */
uint64_t run_index_add(struct run *run, const struct receipt *r);
/* An export begins: what is added waits for run_index_wait. */
void run_index_hold(struct run *run);
/* Until the bundle of that number and all before it are indexed, or have failed to be; UINT64_MAX: all so far. */
void run_index_wait(struct run *run, uint64_t number);

/* ---- threads of several bundles, read together ---- */
struct sitting_group { uint64_t thread; struct due first; }; /* from this thread on */
struct blob_sum { uint64_t n, bytes; };

struct sitting {
	struct run *run;
	void *ctx;
	uint64_t begin, threads;           /* records of the spool: begin, and how many were added */
	uint64_t written;                  /* threads that went into bundles */
	uint64_t used;                     /* threads that went into bundles or were dropped, from the front */
	int64_t begin_boot_ms, from_us;    /* from_us: of the bundle being written */
	int64_t first_ms;                  /* from its begin to the end of its first bundle; 0: not yet */
	struct mm_export *x;
	int64_t snapshot_ms;
	struct bundle_crew *crew;          /* of all bundles, until the last is published */
	struct purge_hints *hints;         /* of all bundles, one after the other */
	struct run_names *names;
	struct run_ids *channels, *teams;  /* of all bundles */
	struct sitting_group *group; size_t n_groups;
	struct unit *unit; size_t n_units, n_settled; /* settled: published */
	/* attachments, in the order of their rows; NULL: all rules leave them alone */
	struct spool *looked;
	uint64_t *dropped; size_t n_dropped;
	uint64_t *unreadable; size_t n_unreadable; /* of those: an attachment is there, and cannot be read */
	uint64_t *changed; size_t n_changed; /* threads that were written to after the plan */
	uint64_t *odd; size_t n_odd;       /* threads with an id that no server makes */
	/* threads that begin a new bundle because of their attachments' size or number */
	uint64_t *cut; size_t n_cuts;
	struct blob_sum blobs, thread_blobs; /* since the last of them; of blob_thread */
	uint64_t blob_thread;
	struct rows *rows;                 /* while they are written */
	bool leave;                        /* its snapshot is to end soon: with the thread that is being written */
};
/* Books why threads that the sitting is done with were not written. */
void run_due_rest(const struct sitting *s);
/* Names them, with -v. */
int run_due_tell(const struct sitting *s, struct spool *due, struct err *err) MMR_CHECKED;
/* How many more there were than were named, and what to do about those that may not be read. */
void run_files_tell_rest(const struct run *run);
/* A bucket that keeps versions has removed nothing for good: once a run, when that showed. */
void run_files_tell_versions(const struct run *run);
int run_files_look(struct sitting *s, struct err *err) MMR_CHECKED;
/* The row of an attachment goes into the bundle.  ERR_INTERNAL: run_files_look did not see it. */
int run_files_add(struct unit *u, const char *root, const char *id, const char *path, struct err *err) MMR_CHECKED;
/* The unit's files whose rows are in the bundle: content and one line each. */
int run_files_store(struct unit *u, struct err *err) MMR_CHECKED;
/* Reads threads from the spool at `record`, writes and publishes their bundles, purges. *ret_next: where to go on. */
int run_sitting(struct run *run, struct spool *due, uint64_t record, uint64_t *ret_next, struct err *err) MMR_CHECKED;

/* ---- receipts ---- */
struct run_purge {
	const char *name;                  /* bundle, or "waived-..." */
	const struct receipt *receipt;
	const struct policy_rule *rule;
	struct purge_hints *hints;         /* NULL: recovery */
	int64_t snapshot_ms;
	/* before its delete or its repeated sweep, by the database's clock: what a reply came before is found by that;
	 * 0: snapshot_ms */
	int64_t looked_ms;
	/* threads that are in the bundle but stay: their blob changed meanwhile, or they got a pin */
	const struct purge_skip *skip; size_t n_skip;
	uint64_t sweep_xid;                /* as in purge_options */
	bool settle_only;                  /* delete nothing more: only sweep, unlink, close */
	bool find_here;                    /* as in purge_options */
	bool unfinished;                   /* an earlier run began it and did not come to its end */
	bool started;                      /* the ledger says purging already */
	/* after a delete that came to its end: its posts, as struct purge_swept wants them */
	struct purge_seen *seen;
	mm_id *stayed; size_t n_stayed;    /* threads that were not deleted, as struct purge_swept wants them */
	struct purge_counts *counts;
	char journal[96];                  /* of paths to unlink; set by run_purge_delete */
};
/* From `purging` to `purged`. */
int run_purge_delete(struct run *run, struct run_purge *p, struct err *err) MMR_CHECKED;
/* One sweep over all of them, then each to `bundle-done`, or what is to be unlinked for it to the end of the run. */
int run_purge_settle(struct run *run, struct run_purge *p, size_t n, struct err *err) MMR_CHECKED;
/* Threads of the bundle that a sweep has put back: attachments that are not in their place any more are put there. */
void run_late_files(struct run *run, const struct receipt *receipt, const mm_id *root, size_t n);
/* Adds a thread to p->stayed. */
void run_purge_stayed(struct run *run, struct run_purge *p, const char *root, size_t len);
void run_purge_report(struct run *run, const struct run_purge *p, size_t n);
/* All of it for one. */
int run_purge_receipt(struct run *run, struct run_purge *p, struct err *err) MMR_CHECKED;
/* After the sweep: the bundle is done, or its attachments wait for the end of the run. */
int run_unlink_later(struct run *run, const struct run_purge *p, struct err *err) MMR_CHECKED;
/* At the end of the run: attachments, then the bundles that waited for them are done.  What must wait longer is left to
 * the next run. */
int run_unlink_pending(struct run *run, struct err *err) MMR_CHECKED;
void run_add_counts(struct purge_counts *to, const struct purge_counts *c);
/* Journals that runs before left: now, or when this run has deleted anything at its end, as its own: they may name what
 * it deleted. */
int run_unlink_leftovers(struct run *run, struct err *err) MMR_CHECKED;
/* Of a database that was moved: they stay under another name, nothing is unlinked by them. */
int run_unlink_set_aside(struct run *run, struct err *err) MMR_CHECKED;
/* The same of the journal of departed users alone, where it is another database's although the archive is this one's:
 * earlier versions let it lie. */
int run_unlink_set_foreign_aside(struct run *run, struct err *err) MMR_CHECKED;
/* Is there a reply since then whose root is gone? */
int run_late_since(struct run *run, int64_t since_ms, bool *ret, struct err *err) MMR_CHECKED;
/* Does a live post name a file again that one of those journals has? */
int run_leftovers_named(struct run *run, bool *ret, struct err *err) MMR_CHECKED;
int run_recover(struct run *run, struct err *err) MMR_CHECKED;
/* What becomes of a bundle that an earlier run did not finish. */
enum run_recovery {
	/* nothing now: its sweep and its attachments are left to the next run that may delete */
	RUN_RECOVER_LEAVE,
	/* nothing was deleted by it, or nothing is left to look by: it is done, the plan decides anew */
	RUN_RECOVER_CLOSE,
	RUN_RECOVER_SETTLE,                /* deletes nothing more: swept, unlinked, done */
	RUN_RECOVER_PURGE,                 /* its delete goes on */
};
enum run_recovery run_recovery_of(const struct run *run, const struct ledger_bundle *b);
/* Is a bundle of the last run that deleted swept once more?  late: something has come since; closes: its open sweep can
 * end now; look: threads may be back that no line names. */
bool run_sweeps_again(const struct run *run, const struct ledger_bundle *b, bool late, bool closes, bool look);
/* Who is due; a list that cannot be read refuses the whole run before anything is deleted. */
int run_people_plan(struct run *run, struct err *err) MMR_CHECKED;
int run_people(struct run *run, struct err *err) MMR_CHECKED;
enum plan_reason run_reason(unsigned why);
/* ---- scopes, asked again ---- */
struct run_scopes;
struct run_scopes *run_scopes_new(void *ctx, struct run *run, const struct policy_rule *rule,
				  const struct mm_protect_query *protect);
/* purge_scope_fn; payload: run_scopes. */
int run_scopes_left(void *payload, const mm_id *channel, size_t n, bool *ret_left, struct err *err) MMR_CHECKED;

struct run_bundle *run_add_bundle(struct run *run);
const struct policy_rule *run_find_rule(const struct run *run, const char *name);
static inline bool run_deletes(const struct run *run) { return !run->options->no_purge; }
/* Bundles past their time, at the end of a night that came to its plan. */
int run_expire_step(struct run *run, struct err *err) MMR_CHECKED;
/* How long that takes, by what the ledger says of them; held ones are counted too.  0: there are none, or the step does
 * not come. */
int run_expire_expected(struct run *run, int64_t *ret_ms, struct err *err) MMR_CHECKED;
/* ---- clocks ---- */
/* The earlier of this host's and the database's: one that is ahead makes nothing due. */
int64_t run_now_ms(const struct mm *mm);
/* The database's, by the time that has passed since it was asked, whatever --now says. */
int64_t run_there_ms(const struct mm *mm);
/* Where both are ahead, the ledger tells: runs write it every night, and a silence of weeks before now means that
 * nothing ran, or that it is not now.  Filled: of when. */
bool run_silence(const struct ledger_archive *a, int64_t now_ms, int64_t *ret_from_ms, int64_t *ret_to_ms);

/* ---- the time of a night that ends by the clock ---- */
/* Before all else. */
void run_time_begin(struct run *run);
/* When it is known who is due: their share, and that of bundles past their time, at the end of the night. */
int run_time_share(struct run *run, struct err *err) MMR_CHECKED;
/* Is there so much time left for threads?  ERR_WORK_LEFT, ERR_INTERRUPTED. */
int run_time_check(const struct run *run, int64_t need_ms, struct err *err) MMR_CHECKED;
/* No number of a bundle is given twice, though its file is gone. */
int run_next_seq(struct run *run, struct err *err) MMR_CHECKED;
/* Before what cannot be undone: the lock is still held, and the archive is where it was. */
int run_lock_and_place(struct db *lock_db, const struct store *store, struct err *err) MMR_CHECKED;
int run_still_ours(struct run *run, struct err *err) MMR_CHECKED; /* of a run */
/* Until replicas and the server bear more, or the time is up.  No transaction is open. */
int run_wait_for_others(struct run *run, int64_t deadline_boot_ms, struct err *err) MMR_CHECKED;
int run_fault(enum fault_id id, struct err *err) MMR_CHECKED;
/* With -v: what a step cost, for people and for the benchmark.  name: bundle, or "". */
void run_timing(const char *step, int64_t from_us, uint64_t posts, const char *name);

/* ---- ledger lines ---- */
const char *run_trigger(void); /* "person", "timer" or "script" */
/* Field host: where this runs; an empty text where that cannot be told. */
void run_line_host(struct ledger_entry *e);
int run_line_begin(struct run *run, struct err *err) MMR_CHECKED;
int run_line_plan(struct run *run, struct err *err) MMR_CHECKED;
int run_line_bundle(struct run *run, const struct unit *u, const struct receipt *r, const char *name,
		    struct err *err) MMR_CHECKED;
int run_line_step(struct run *run, const char *type, const char *bundle, const struct purge_counts *c,
		  struct err *err) MMR_CHECKED;
int run_line_sweep(struct run *run, const struct run_purge *p, struct err *err) MMR_CHECKED;
/* Threads of a bundle that its purge did not delete, or its sweep has put back. */
int run_line_stayed(struct run *run, const char *bundle, const mm_id *roots, size_t n, struct err *err) MMR_CHECKED;
int run_line_kept(struct run *run, struct err *err) MMR_CHECKED;
int run_line_end(struct run *run, int code, struct err *err) MMR_CHECKED;
/* What the process ends with. */
int run_exit_status(int code);
/* The run has its first line: what one before left is out of date. */
void run_attempt_clear(const struct store *store);
/* At its end: the same of those that it has kept from beginning. */
void run_attempt_clear_locked(const struct store *store);

#endif
