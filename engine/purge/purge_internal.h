/*
 * purge_internal.h - what the files of this room share.
 *
 * purge_receipt.c  the loop: batches out of the bundle, throttle, what is kept
 * purge_pace.c     waits and longer pauses, for replicas and for users of the chat
 * purge_kind.c     lines of a bundle, tables as kinds of one;  purge_value.c  what its lines leave out
 * purge_batch.c    rows of whole threads as keys, versions and locations
 * purge_watch.c    replies that arrive meanwhile
 * purge_missing.c  attachments that the bundle does not hold
 * purge_named.c    attachments of parts that a live post names again
 * purge_scope.c    channels that another rule wins by now
 * purge_gone.c     threads that the server removed meanwhile
 * purge_delete.c   the deleting transaction
 * purge_refresh.c  what moved: read again by id and compared with the bundle, byte for byte
 * purge_journal.c  paths to unlink, durable before the commit
 * purge_unlink.c   after the sweep: unlink what the journal names, but what a live post wants
 * purge_orphans.c  ids of posts that rows name although they are gone
 * purge_seen.c     a filter that knows the posts of a bundle that was deleted
 * purge_sweep.c    late replies and late dependants;  purge_restore.c puts a thread back
 * purge_put.c      the same, where a person asked for it
 */
#ifndef PURGE_INTERNAL_H
#define PURGE_INTERNAL_H

#include <mmretain/mm_unlink.h>
#include <mmretain/purge.h>

#include "mm_sql.h"

struct purge_hint { uint32_t block, version; uint16_t offset; uint8_t kind, pad; };

struct purge_row {
	mm_id key;                 /* id, postid, name ... by kind */
	uint8_t kind;
	bool null_updateat, null_editat, null_deleteat;
	int64_t updateat, editat, deleteat; /* posts only */
	struct purge_hint at;
};

struct purge_file {
	size_t thread;
	char *id;
	const char *path[3];
	int64_t size_bytes;
	/* compared: the blob was to be compared with the bundle; read: it was, being this file.  What was not read is
	 * no file that may be unlinked. */
	bool compared, read; uint64_t ino; int64_t mtime_ns;
	const char *etag; int64_t blob_bytes; /* of an object in a bucket, as it was seen; NULL: none was */
};

struct purge_thread {
	mm_id root, channel;       /* channel: "" where the bundle has none */
	size_t row, n_rows;        /* slice of the batch's rows */
	size_t posts;
	struct digest lines;       /* SHA-256 over the thread's lines, each with its newline */
	unsigned why;              /* 0, or why it stays (enum mm_protection), or PURGE_GONE */
};
#define PURGE_TRIES 3
#define PURGE_COLUMNS_MAX 128  /* of one table; more is refused by purge_bundle_kinds */

struct purge_batch {
	void *ctx;                 /* emptied with the batch */
	const struct receipt *receipt; /* of its bundle */
	struct purge_thread *thread; size_t n_threads, cap_threads;
	struct purge_row *row; size_t n_rows, cap_rows;
	struct purge_file *file; size_t n_files, cap_files;
	size_t posts;
	int64_t parts_before_ms;   /* of a bundle of parts; INT64_MIN: whole threads */
	int64_t work_us;           /* what the statements that look for rows and delete them took */
	bool located;              /* rows carry locations */
};

/* What bundles written from now on leave out, in the server's text form; NULL: SQL NULL.  It says nothing about the
 * column's SQL default, and readers go by the bundle's own schema: other versions leave out other values. */
const char *purge_usual_value(enum mm_kind kind, const char *column, enum bundle_type type);
/* As purge_bundle_kinds; an absent key stands for what the bundle's own schema says, which another version may have
 * written. */
int purge_kinds_as(void *ctx, struct mm *mm, struct bundle_reader *reader, struct bundle_kind **ret,
		   struct err *err) MMR_CHECKED;
/* What one line of a bundle says about its row (purge_kind.c). */
struct purge_line {
	enum mm_kind kind;
	const char *key; size_t key_len;
	/* no id of Mattermost's: longer, or with signs that JSON escapes; key is then good for nothing */
	bool odd;
	bool root;                 /* a root post: a thread begins */
	/* of a post: rootid, else originalid, else id: in a bundle of parts, the thread it is of */
	const char *thread; size_t thread_len;
	const char *owner; size_t owner_len;
	const char *channel; size_t channel_len; /* of a post */
	int64_t updateat, editat, deleteat;
	bool null_updateat, null_editat, null_deleteat;
	const char *path[3]; size_t path_len[3]; /* raw JSON, of a file */
	int64_t size_bytes;
};
int purge_line_parse(const char *line, size_t len, struct purge_line *ret, struct err *err) MMR_CHECKED;
const struct sql *purge_sql(enum mm_kind kind);

/* Reads whole threads out of a bundle. */
struct purge_source {
	const struct receipt *receipt; /* borrowed */
	struct bundle_reader *reader;
	struct purge_hints *hints; /* may be NULL */
	struct hash *hash;
	void *ctx;
	char *line; size_t line_len; /* a row read ahead: the first of the next thread */
	struct purge_line next; bool have_next, end;
	struct purge_hint next_hint;
	int64_t parts_before_ms;     /* as in purge_batch */
	struct purge_seen *seen;     /* may be NULL */
	bool undurable;              /* the last commit did not wait for the server's disk */
};
int purge_source_open(void *ctx, const struct receipt *receipt, struct purge_hints *hints, struct purge_seen *seen,
		      struct purge_source **ret, struct err *err) MMR_CHECKED;
/* Fills b with threads until it has about `posts` posts, or many times as many rows of all kinds; b->n_threads 0 at the
 * end of the bundle. */
int purge_batch_fill(struct purge_batch *b, void *parent, struct purge_source *s, size_t posts,
		     struct err *err) MMR_CHECKED;
void purge_batch_clear(struct purge_batch *b);

/* The next batch: read out of the bundle while the server deletes the one before it. */
struct purge_ahead {
	struct purge_source *source;
	struct purge_batch batch;
	size_t posts;
	bool filled;
	int rc;
	struct err err;
};
void purge_ahead_fill(void *ahead);   /* unless that was done */
/* The next batch becomes the caller's, filled now when nobody did. */
int purge_ahead_take(struct purge_ahead *a, struct purge_batch *ret, struct err *err) MMR_CHECKED;
bool purge_ahead_any(const struct purge_ahead *a);   /* does another batch follow? */
/* Sorted index of a batch's posts by id. */
struct purge_post { const char *id; size_t row, thread; };
struct purge_index { struct purge_post *post; size_t n; };
void purge_index_build(void *ctx, const struct purge_batch *b, struct purge_index *ret);
/* The first post with that id, the others follow it (a damaged bundle may hold one twice); NULL: none. */
const struct purge_post *purge_index_find(const struct purge_index *x, const char *id);
int purge_hints_rewind(struct purge_hints *h, struct err *err) MMR_CHECKED;
int purge_hints_next(struct purge_hints *h, struct purge_hint *ret, struct err *err) MMR_CHECKED;
int purge_hint_parse(const char *ctid, const char *xmin, struct purge_hint *ret, struct err *err) MMR_CHECKED;

/* Attachments whose content is not in the bundle although its rule wanted it: their threads stay (purge_missing.c). */
struct purge_missing;
int purge_missing_read(void *ctx, struct bundle_reader *reader, struct purge_missing **ret,
		       struct err *err) MMR_CHECKED;
enum { PURGE_BUCKET_CLOCK_MS = 15 * 60 * 1000 }; /* as far as a store lets clocks differ */
/* Of attachments in a bucket: what lies there now, for the journal.  One that may have been written after the export
 * keeps its thread, which is exported anew.  One of which the bucket does not say that keeps its thread (PURGE_UNSEEN);
 * told: the first one has been warned of. */
int purge_missing_see(struct mm *mm, struct purge_batch *b, int64_t snapshot_ms, bool *told,
		      struct err *err) MMR_CHECKED;
void purge_missing_mark(const struct purge_missing *m, struct purge_batch *b);
/* For a receipt of which nobody knows when its rows were read: threads whose blob is not what the bundle holds stay
 * too. */
int purge_missing_compare(const struct purge_missing *m, struct mm *mm, struct purge_batch *b, bool *told,
			  struct err *err) MMR_CHECKED;

/* Files that go, each with its thread, and a number of the caller's. */
struct purge_named_file { mm_id id, thread; size_t at; };
struct purge_named { struct purge_named_file *file; size_t n, cap; };
typedef void (*purge_named_fn)(void *payload, const struct purge_named_file *file);
void purge_named_add(void *ctx, struct purge_named *to, const char *id, const char *thread, size_t at);
/* Calls fn for those whose row is gone although a live post of the thread names them. */
int purge_named_ask(struct mm *mm, const struct purge_named *n, purge_named_fn fn, void *payload,
		    struct err *err) MMR_CHECKED;
/* After the delete, in its transaction: marks threads of a batch of parts that have such a file. */
int purge_named_mark(struct mm *mm, struct purge_batch *b, bool *ret_any, struct err *err) MMR_CHECKED;

/* Ids of posts that are gone although a row names them, sorted. */
struct purge_orphans { void *ctx; mm_id *id; uint64_t *hash; size_t n, cap; uint64_t rows; };
/* 1: all of them; 0: there are too many, and ret has some. */
int purge_orphans_find(void *ctx, struct mm *mm, struct purge_orphans *ret, struct err *err) MMR_CHECKED;
/* len: at most MM_ID */
bool purge_orphans_has(const struct purge_orphans *o, const char *id, size_t len);

void purge_seen_add(struct purge_seen *s, const char *id);
/* false: the id of that hash is certainly not one of those that were added. */
bool purge_seen_may(const struct purge_seen *s, uint64_t hash);
uint64_t purge_seen_hash(const char *id);
/* It is a bundle of parts: of those the files have to be asked about in any case. */
void purge_seen_set_parts(struct purge_seen *s);
bool purge_seen_parts(const struct purge_seen *s);

/* Marks threads whose channel the options' scope function gives up. 1: none; 0: some thread is marked. */
int purge_scope_check(const struct purge_options *o, struct purge_batch *b, struct err *err) MMR_CHECKED;

/* How near a look came to the limits: 1 is at a limit. */
struct purge_strain {
	double replica, server;
	const struct mm_replica *worst;    /* of the replicas; borrowed, NULL: none is behind */
	size_t hidden;                     /* replicas that should count and cannot be seen */
};
void purge_strain_of(const struct mm_busy *b, const struct purge_pace_limits *limits, struct purge_strain *ret);
/* What is added to a pause of factor x work: nothing up to half of a limit, nine times the pause at it (at full speed,
 * of work). */
int64_t purge_stretch_us(double strain, int64_t work_us, int32_t factor);

struct purge_watch;
struct purge_watch *purge_watch_new(void *ctx, int64_t since_ms);
/* Looks for replies at most once a second. */
int purge_watch_look(struct purge_watch *w, struct mm *mm, struct err *err) MMR_CHECKED;
/* Marks threads of the batch that got a reply which the batch does not hold. */
void purge_watch_mark(const struct purge_watch *w, struct purge_batch *b);

/* One transaction over the threads with why == 0.  1: deleted and committed; 0: rolled back because a row was not found
 * as archived; or an error. */
int purge_delete(struct mm *mm, const struct purge_options *o, struct purge_batch *b, struct purge_ahead *ahead,
		 struct purge_counts *c, struct err *err) MMR_CHECKED;
/* Makes commits that did not wait for the server's disk durable. */
int purge_barrier(struct mm *mm, struct err *err) MMR_CHECKED;
/* Reads the batch's threads again by id: equal ones get fresh locations, the rest get a reason to stay. */
int purge_refresh(struct mm *mm, struct purge_batch *b, struct err *err) MMR_CHECKED;
/* Threads of which somebody else has a row locked get PURGE_LOCKED. */
int purge_mark_locked(struct mm *mm, struct purge_batch *b, struct err *err) MMR_CHECKED;
/* Whole threads that stay as changed although their root is gone get PURGE_GONE instead. */
int purge_mark_gone(struct mm *mm, struct purge_batch *b, struct err *err) MMR_CHECKED;
/* How long statements of the session wait for a lock, e.g. "100ms". */
int purge_set_wait(struct db *db, const char *time, struct err *err) MMR_CHECKED;
/* Makes the file rows of the batch durable in the journal. */
int purge_journal_add(struct mm *mm, const struct purge_options *o, const struct purge_batch *b,
		      struct err *err) MMR_CHECKED;
/* Puts the threads with these roots, or what is in the bundle of them, back in the open transaction. */
int purge_restore(struct mm *mm, const struct receipt *receipt, const mm_id *roots, size_t n,
		  struct err *err) MMR_CHECKED;

/* ---- one row back, for purge_put.c ---- */
extern const struct sql *const purge_restore_sql[MM_KINDS];
/* The row that jsonb_populate_record() begins with, in PostgreSQL's text form: empty but for JSON nulls.  False: there
 * are none. */
bool purge_base_row(const struct mm_table *t, const struct bundle_kind *kind, const struct bundle_field *f,
		    struct buf *out);
/* Appends the row as a JSON object with every column, but those that purge_base_row says. */
void purge_full_object(const struct bundle_kind *kind, const struct bundle_field *f, struct buf *out);
/* f: of the row, for the caller, with a place for each column; they may point into store. */
int purge_restore_row(struct mm *mm, const struct mm_table *t, const struct bundle_kind *kind, const struct sql *sql,
		      const char *line, size_t len, struct bundle_field *f, struct buf *store,
		      struct err *err) MMR_CHECKED;

#endif
