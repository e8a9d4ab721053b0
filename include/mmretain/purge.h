/*
 * purge.h - floor 3: guard and delete.
 *
 * For: deleting exactly the rows of a receipt; closing sweep; unlinking attachments from a journal.
 * Not for: choosing threads, writing bundles.
 * Includes: base, bundle, mm.  The only room that runs the statements which delete threads (engine/mm/sql/purge_*.sql
 * and sweep_*.sql); rows about a departed person, and files of drafts that were never posted, are people's. No receipt,
 * no delete: purge_receipt and purge_sweep, which delete rows of threads, take one.  purge_unlink takes the journal
 * that purge_receipt has written before it deleted the rows of those files, and asks the database once more about each.
 */
#ifndef MMRETAIN_PURGE_H
#define MMRETAIN_PURGE_H

#include <mmretain/base.h>
#include <mmretain/bundle.h>
#include <mmretain/mm.h>

/* Location (ctid) and version (xmin) of each bundle row in file order, as the export saw them.  A location is only a
 * hint: a row is deleted when key, version columns and xmin agree; what is not found there is read again by id and
 * compared with the bundle. */
struct purge_hints;                 /* on disk, in a work file without a name; freed with talloc_free */
int purge_hints_new(void *ctx, struct purge_hints **ret, struct err *err) MMR_CHECKED; /* ERR_STORE, as file_temp */
/* ctid: "(123,4)", xmin: "4711".  ERR_INTERNAL: they are not; ERR_STORE. */
int purge_hints_add(struct purge_hints *h, enum mm_kind kind, const char *ctid, const char *xmin,
		    struct err *err) MMR_CHECKED;
uint64_t purge_hints_count(const struct purge_hints *h); /* of rows, all bundles together */
/* Hints of several bundles may stand in a row: the next purge_receipt reads from this one on. */
void purge_hints_start(struct purge_hints *h, uint64_t row);

struct purge_counts {
	uint64_t threads, posts, rows[MM_KINDS], batches;
	uint64_t kept_changed, kept_held, kept_locked, kept_gone; /* threads */
	uint64_t late_restored, late_removed;
	uint64_t found_threads, found_posts; /* with count_found: gone, and not deleted by this run */
	uint64_t blobs_unlinked, blobs_shared, blobs_failed, bytes_unlinked;
	int64_t pause_ms;
	bool sweep_open;  /* an older transaction was still running: a later run sweeps once more */
	uint64_t open_xid; /* when every transaction up to this one has ended; 0: the sweep is not open */
};

/* Of every thread of the receipt that was not deleted.  why: enum mm_protection, PURGE_LOCKED, PURGE_UNSEEN, or
 * PURGE_GONE: its root, or the whole part, was not there any more. */
typedef int (*purge_kept_fn)(void *payload, const char *root_id, unsigned why, struct err *err);
#define PURGE_GONE (1u << 30)
#define PURGE_LOCKED (1u << 29)
#define PURGE_UNSEEN (1u << 28) /* a bucket did not say what lies at one of its attachments */

/* Which of these channels are no longer of whoever chose the threads: they stay.  ret_left: one each, false when
 * called. */
typedef int (*purge_scope_fn)(void *payload, const mm_id *channel, size_t n, bool *ret_left, struct err *err);

/* A thread of the bundle that stays all the same. */
struct purge_skip { mm_id root; unsigned why; /* enum mm_protection */ };

/* Knows every post of a bundle that purge_receipt has read whole, and few others. */
struct purge_seen;
struct purge_seen *purge_seen_new(void *ctx, uint64_t posts);

/* ---- pace (purge_pace.c) ---- */
/* What replicas and the chat's users bear.  At a limit a run waits, from half of it on its pauses grow. */
struct purge_pace_limits {
	int64_t lag_ms, lag_bytes;             /* how far a replica may be behind; 0: no limit */
	int64_t cost_ms;                       /* what a read by primary key may take the server; 0: no limit */
	const char *const *except; size_t n_except; /* replicas that do not count, by application_name; borrowed */
};
struct purge_pace;
/* db: the session that holds the lock; its lock_timeout becomes 1 s.  Nothing is asked yet. */
struct purge_pace *purge_pace_new(void *ctx, struct db *db, int64_t lock_key, const struct purge_pace_limits *limits);
struct purge_pace_wait {
	struct mm *mm;                         /* its session is kept awake meanwhile */
	bool beside;                           /* a chat waits beside it: the cost of a read counts, too */
	int64_t deadline_boot_ms;              /* by time_boot_ms; 0 = none */
	/* so long at most, and what is left of it afterwards; NULL: as long as it takes */
	int64_t *left_ms;
	const struct progress *progress;
};
/* Looks, at most once a second, and returns when nothing is at its limit; and at the end of its time or on a stop
 * request, for which the caller looks.  What cannot be looked at is told once, and not waited for.  ERR_DB_GONE,
 * ERR_LOCKED: the lock was lost. */
int purge_pace_wait(struct purge_pace *p, const struct purge_pace_wait *w, struct err *err) MMR_CHECKED;
/* The pause after so much work: factor times it (p NULL), and more the nearer the last look came to a limit. */
int64_t purge_pace_pause_us(struct purge_pace *p, bool beside, int64_t work_us, int32_t factor);
struct purge_waited { int64_t replicas_ms, server_ms; }; /* longer pauses included */
/* Was posts locked by somebody at the last look?  A reader that goes on holding its snapshot may be what that one waits
 * for. */
bool purge_pace_locked(const struct purge_pace *p);
const struct purge_waited *purge_pace_waited(const struct purge_pace *p);

struct purge_options {
	int32_t target_ms, pause_factor;       /* throttle */
	struct purge_pace *pace;               /* NULL: nobody is waited for */
	/* size of the next batch, kept from one receipt to the next; NULL: begins small */
	size_t *batch_posts;
	bool alone;                            /* no chat waits beside it: parallel workers may help the sweep */
	int64_t deadline_boot_ms;              /* by time_boot_ms; 0 = none */
	int64_t snapshot_ms;                   /* database clock when the export began; 0: watch everything */
	int64_t sweep_wait_ms;                 /* how long the sweep waits for older transactions */
	/* the sweep tells which threads of the bundles are in the database; so it does with count_found */
	bool find_here;
	bool count_found;                      /* the sweep counts what an earlier run deleted of the bundles */
	uint64_t sweep_xid;                    /* up to this one; 0: all that have begun until now */
	struct db *lock_db; int64_t lock_key;  /* checked before each batch */
	const struct mm_protect_query *protect;/* holds and spares, asked again inside the deleting transaction */
	purge_scope_fn scope; void *scope_payload; /* likewise; may be NULL */
	/* the receipt is not of this run's own plan: ask about everything, not only changes */
	bool protect_in_full;
	const struct purge_skip *skip; size_t n_skip; /* sorted by root (strcmp) */
	bool unlink_files;                     /* false: files: keep */
	/* files of parts are journalled without their paths then: a later sweep puts back what is named again */
	bool journal_parts;
	int journal_dirfd; const char *journal_name; /* the unlink journal */
	purge_kept_fn kept; void *kept_payload;
	struct purge_seen *seen;               /* purge_receipt: filled with the posts of the receipt; may be NULL */
	const struct progress *progress;
};

/* Deletes the receipt's rows in batches of whole threads, one transaction each.  hints may be NULL (recovery).
 * Idempotent: threads that are gone are counted in kept_gone.  ERR_WORK_LEFT on a stop request or deadline: the rest
 * stays. */
int purge_receipt(struct mm *mm, const struct receipt *receipt, struct purge_hints *hints,
		  const struct purge_options *options, struct purge_counts *counts, struct err *err) MMR_CHECKED;
/* Late replies (their thread is put back from the bundle), files of parts that a live post names again (the part is put
 * back), and late dependants (written to late-<digest>-<n>.jsonl in the journal folder, then removed and counted) of
 * deleted threads of n bundles, in one transaction.  Waits for older transactions first. */
struct purge_swept {
	const struct receipt *receipt;
	struct purge_counts *counts;
	const struct purge_seen *seen; /* complete, or NULL: the bundle is read again if posts of anybody are missing */
	/* threads of it that were not deleted, sorted by strcmp: whoever removes them later, we do not put them back */
	const mm_id *stayed; size_t n_stayed;
	void *ctx;                         /* the sweep allocates on it: */
	mm_id *here;
	size_t n_here; /* threads that it has put back, with find_here also others that are in the database: for the
			  next sweep of the bundle they have stayed, once this one is committed */
};
int purge_sweep(struct mm *mm, struct purge_swept *item, size_t n, const struct purge_options *options,
		struct err *err) MMR_CHECKED;
/* Unlinks what the journals name and whose fileinfo row is gone and path unused.  A journal keeps what may still go,
 * else it is removed. Journals stand for the receipt: only purge_receipt writes one.  One that is not there has nothing
 * to do. As many of them, from the first on, as memory bears are done at once; *ret_n: how many, none only with an
 * error.  counts of these are added to, whatever comes. */
struct purge_journal { const char *name; struct purge_counts *counts; };
int purge_unlink(struct mm *mm, int journal_dirfd, const struct purge_journal *journal, size_t n, size_t *ret_n,
		 struct err *err) MMR_CHECKED;
/* Does a live post name a file of the journal whose row is gone with a part of the thread?  Then a sweep of that bundle
 * brings the row back. */
int purge_unlink_named(struct mm *mm, const struct purge_options *options, bool *ret, struct err *err) MMR_CHECKED;

/* ---- putting whole threads back (purge_put.c) ---- */
/* In the caller's transaction; nothing is deleted or changed, only inserted. */
struct purge_put { struct mm *mm; struct bundle_kind *kind; size_t n_kinds; bool *checked; };
/* For the rows of one bundle, which says itself how they are to be read. */
int purge_put_open(void *ctx, struct mm *mm, struct bundle_reader *reader, struct purge_put **ret,
		   struct err *err) MMR_CHECKED;
struct purge_put_row {
	enum mm_kind kind;
	bool put;                          /* false: a row with this key was there, and stays as it is */
	char *file_id, *file_path;         /* of an attachment, else NULL; parent ctx */
};
/* One line. ERR_SCHEMA when a table or column is no more; ERR_GUARD when another row has the id of this one. */
int purge_put(struct purge_put *p, void *ctx, const char *line, size_t len, struct purge_put_row *ret,
	      struct err *err) MMR_CHECKED;
/* Lines, each with its newline: those of erased rows are passed over, the others go some in one round trip, and fn is
 * told of each in turn; its texts are gone when it returns.  Errors as purge_put, and what fn returns; some of the rows
 * are put then. */
typedef int (*purge_put_fn)(void *payload, const struct purge_put_row *row, struct err *err);
int purge_put_lines(struct purge_put *p, const char *lines, size_t len, purge_put_fn fn, void *payload,
		    struct err *err) MMR_CHECKED;
/* How many posts name the thread now. */
int purge_put_replies(struct mm *mm, const char *root, uint64_t *ret, struct err *err) MMR_CHECKED;
/* After the last line of a thread: reply count and participants as the server counts them. */
int purge_put_end(struct mm *mm, const char *root, struct err *err) MMR_CHECKED;

/* The closure's tables as kinds of a bundle, indexed by enum mm_kind (absent tables have no columns). */
int purge_bundle_kinds(void *ctx, struct mm *mm, struct bundle_kind **ret, struct err *err) MMR_CHECKED;
/* Borrowed view of a row's fields; ret has row->columns entries. */
void purge_fields(const struct db_row *row, struct bundle_field *ret);

#endif
