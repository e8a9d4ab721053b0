/*
 * bundle.h - floor 1: one archive file, format mmr1 (docs/formats.md, engine/store/text/FORMAT.md).
 *
 * For: write, publish, verify and read one seekable .tar.zst bundle.
 * Not for: the database (rows come from a callback), choosing threads, the ledger.
 * Includes: base only; the only room that may touch zstd and the tar format.
 * Order of writing: bundle_create, (bundle_thread_begin, bundle_row...)..., bundle_blob..., bundle_name...,
 * bundle_finish, bundle_publish or bundle_waive; bundle_abort in the end, whatever happened (it frees the writer).
 * Blobs, files and names may also come between rows.  After a failure every later call gives the first error again.
 *
 *	rc = bundle_create(ctx, store->partial_dirfd, &source, &options, &w, err);
 *	...	rc = bundle_thread_begin(w, channel, root, root_ms, err);
 *	...	rc = bundle_row(w, kind, fields, err);
 *	if (!rc) rc = bundle_finish(w, err);
 *	if (!rc) rc = bundle_publish(w, ctx, store->root_dirfd, now_ms, &receipt, err);
 *	bundle_abort(w);
 *
 * One writer is used by one thread; its compressor threads are its own business.
 */
#ifndef MMRETAIN_BUNDLE_H
#define MMRETAIN_BUNDLE_H

#include <mmretain/base.h>

/* ---- row kinds and columns ---- */

enum bundle_type {
	BT_TEXT,
	BT_INT,
	BT_BOOL,
	BT_JSON,  /* json, jsonb: embedded as JSON */
	BT_BYTES, /* bytea: hex text of the server, stored as it came, e.g. "\\x0a" */
	BT_ARRAY, /* one-dimensional text array in the server's text form, stored as a string */
	BT_REAL,  /* stored as a number when finite, else a string */
};

struct bundle_column {
	const char *name;          /* database column name */
	const char *pg_type;       /* format_type(), for schema.json */
	enum bundle_type type;
	/* the value an absent key stands for, in the server's text form; NULL: absent key = SQL NULL */
	const char *default_text;
};

struct bundle_kind {
	const char *kind;          /* post, reaction, file, thread, member, priority, ack, pnotify, pref, ... */
	const char *table;
	const struct bundle_column *column;
	size_t n_columns;
	int owner_column;          /* userid/creatorid, -1 = none: whose salt the row's digest takes */
	/* Rows of the kind "post" are counted as posts; a BT_INT column of theirs named "createat" gives the time range
	 * of frames. */
};

struct bundle_field { const char *data; size_t len; bool null; };

/* One row may not be larger than this as a line. */
#define BUNDLE_ROW_MAX (32u << 20)

/* The encoder of the writer on its own: the same fields give the same line as in a bundle.  For comparing rows with
 * archived lines. */
struct bundle_encoder;
/* copies the kinds */
struct bundle_encoder *bundle_encoder_new(void *ctx, const struct bundle_kind *kind, size_t n_kinds);
/* Appends the line without "\n". */
void bundle_encode(const struct bundle_encoder *e, size_t kind, const struct bundle_field *fields, struct buf *b);

/* Which of the kinds a line is; -1 for none of them. */
int bundle_row_kind(const struct bundle_kind *kind, size_t n_kinds, const char *line, size_t len);
/* A line (without "\n") back to fields in the kind's column order, in the server's text form, byte for byte.  Fields
 * point into line, into store (cleared first; any ceiling of at least the line's length + 16) or into the kind's
 * default texts. ERR_VERIFY. */
int bundle_decode_row(const struct bundle_kind *kind, const char *line, size_t len, struct bundle_field *fields,
		      struct buf *store, struct err *err) MMR_CHECKED;

/* ---- writing ---- */

struct bundle_source {             /* goes to data/bundle.json and bag-info.txt; all borrowed during the call */
	const char *rule, *policy_digest_hex;
	const char *team_id, *team_label;     /* "" and "direct" for direct and group messages */
	int64_t cutoff_ms;
	int64_t expires_ms;                   /* 0 = never; the name carries its month, or "never" */
	bool held;                            /* the bundle's expiry class includes a hold */
	/* no whole threads: only what was soft-deleted or replaced before cutoff_ms, the threads stayed */
	bool parts;
	const char *cluster_id, *database, *pg_version, *schema_digest_hex, *tool_version;
};

/* Threads that compress and hash for several bundles in turn, and the memory for it.  A bundle may be written while
 * another one is finished by a second thread.  Outlives its writers; talloc_free ends the threads.  0 workers, or none
 * to be had: each writer does it itself. */
struct bundle_crew;
struct bundle_crew *bundle_crew_new(void *ctx, int workers);

struct bundle_options {
	int level;                            /* zstd level, 0 = 6 */
	size_t frame_bytes;                   /* 0 = 256 KiB raw */
	struct bundle_crew *crew;             /* NULL: the writer compresses itself */
	/* of the archive root (store); salt(owner) = HMAC(secret, bundle identity || owner) */
	uint8_t salt_secret[32];
	uint32_t seq;                         /* number of the bundle within the archive */
	const char *previous_digest_hex;      /* row digest of the bundle published before, or "" */
	const struct bundle_kind *kind;       /* every kind that may occur */
	size_t n_kinds;
};

struct bundle_writer;
/* Creates <identity>.tar.zst.part in partial_dirfd (kept open).  Nothing outside partial/ is touched before
 * bundle_publish. Everything in source and options is copied.  ERR_STORE with sys_errno EEXIST when the work file is
 * there already. The identity, mmr1-<team>-<yyyymm|never>-<seq6>, is also the folder inside the tar: the digest part of
 * the final name is not known before the last row is. */
int bundle_create(void *ctx, int partial_dirfd, const struct bundle_source *source,
		  const struct bundle_options *options, struct bundle_writer **ret, struct err *err) MMR_CHECKED;
/* Threads must come in the order channel id, root createat, root id (C collation), else ERR_INTERNAL. Ids that are
 * empty, longer than 26 bytes, or not all of ASCII letters, digits and signs are ERR_SCHEMA. A thread without rows is
 * not counted. */
int bundle_thread_begin(struct bundle_writer *w, const char *channel_id, const char *root_id, int64_t root_create_ms,
			struct err *err) MMR_CHECKED;
/* One row of the open thread: fields in the kind's column order. Encoded, hashed and compressed; borrowed. */
int bundle_row(struct bundle_writer *w, size_t kind, const struct bundle_field *fields, struct err *err) MMR_CHECKED;
/* An attachment's content, once per SHA-256 (a digest seen before stores nothing and returns 0). fd is read from 0 to
 * its end; ERR_STORE with sys_errno ESTALE when the content no longer has that digest or size: nothing was written then
 * and the writer stays usable (unless the content changes between two reads of this call). */
int bundle_blob(struct bundle_writer *w, int fd, const struct digest *sha256, uint64_t size_bytes,
		struct err *err) MMR_CHECKED;
/* One line of data/files.jsonl: state "stored", "dropped", "kept" (left in the file store) or "missing". sha256 may be
 * NULL. */
int bundle_file(struct bundle_writer *w, const char *file_id, const char *state, const struct digest *sha256,
		uint64_t size_bytes, struct err *err) MMR_CHECKED;
/* One line of data/names/<what>.jsonl (teams, channels, users); extra is a ready JSON object text without braces, or
 * "". */
int bundle_name(struct bundle_writer *w, const char *what, const char *id, const char *name, const char *display_name,
		const char *extra_json, struct err *err) MMR_CHECKED;
uint64_t bundle_raw_bytes(const struct bundle_writer *w);  /* raw row bytes so far */
uint64_t bundle_posts(const struct bundle_writer *w);
/* Which bundle it follows: row digest of the newest one of the archive in hexadecimal, or "".  Instead of that of the
 * options. */
void bundle_follow(struct bundle_writer *w, const char *previous_digest_hex);
/* Writes the rest, seek table, fdatasync, close.  After it the file in partial/ is complete and nothing is published.
 */
int bundle_finish(struct bundle_writer *w, struct err *err) MMR_CHECKED;
/* frees w; removes the .part file unless it was published or waived */
void bundle_abort(struct bundle_writer *w);
const char *bundle_identity_of(const struct bundle_writer *w);

/* ---- the receipt ---- */

struct receipt;  /* opaque: the proof that a bundle is published and was read back, or that the rule waives the archive.
		    Only bundle_publish, bundle_reopen and bundle_waive make one. */
const char *receipt_bundle(const struct receipt *r);       /* file name without folder; "" for a waiver */
/* below the archive root, e.g. bundles/2026/11/mmr1-...tar.zst */
const char *receipt_rel_path(const struct receipt *r);
const struct digest *receipt_rows_digest(const struct receipt *r); /* data root over all rows */
const struct digest *receipt_file_digest(const struct receipt *r); /* SHA-256 of the whole file */
uint64_t receipt_threads(const struct receipt *r);
uint64_t receipt_rows(const struct receipt *r);
uint64_t receipt_posts(const struct receipt *r);
uint64_t receipt_file_bytes(const struct receipt *r);
uint64_t receipt_blobs(const struct receipt *r);
bool receipt_waived(const struct receipt *r);
const char *receipt_because(const struct receipt *r);      /* the rule's words for a waiver */

/* Re-opens the file in partial/, reads ALL of it back (page cache dropped first), re-hashes every member, row and frame
 * and compares with what was streamed (counts, data root); renames it without overwriting into bundles/<yyyy>/<mm>/
 * (created as needed) below root_dirfd, fsyncs the folders.  Durable afterwards: the bundle under its final name.  Not
 * durable: any ledger line (the caller's next step). yyyy/mm are of publish_month_ms.  *ret's parent is ctx.
 * ERR_VERIFY: what was read back is not what was streamed; the file is partial/<name>.bad.  ERR_STORE, ERR_PERMISSION:
 * before the rename the file is still in partial/, also with sys_errno EEXIST (a bundle of that name exists); when
 * syncing the folders fails, the bundle may be in bundles/ already: recovery settles it. */
int bundle_publish(struct bundle_writer *w, void *ctx, int root_dirfd, int64_t publish_month_ms, struct receipt **ret,
		   struct err *err) MMR_CHECKED;
/* For a rule with `archive: none`: verifies the file in partial/ the same way, but leaves it there; it serves only as
 * the list of what may be deleted and is removed by the caller afterwards.  because is copied.  *ret's parent is ctx.
 * ERR_VERIFY, ERR_STORE as bundle_publish. */
int bundle_waive(struct bundle_writer *w, void *ctx, const char *because, struct receipt **ret,
		 struct err *err) MMR_CHECKED;
/* Makes what lies under the name of a published bundle durable, with its name in every folder: a run that was killed
 * just after the rename did not, nor need a person who put a copy there.  ERR_NOT_FOUND, ERR_VERIFY when it is no file,
 * ERR_STORE. */
int bundle_settle(int root_dirfd, const char *rel_path, struct err *err) MMR_CHECKED;
/* A receipt for a bundle that is already published (recovery): bundle_settle, then full verification against the
 * digests that the ledger names.  ERR_STORE when it is not there, ERR_VERIFY. */
int bundle_reopen(void *ctx, int root_dirfd, const char *rel_path, const struct digest *file_digest,
		  const struct digest *rows_digest, struct receipt **ret, struct err *err) MMR_CHECKED;

/* ---- reading ---- */

struct bundle_reader;               /* freed with talloc_free */
/* Finds the frames by the seek table, or when that is unusable by walking the file; checks mmretain.json and
 * frames.tsv. ERR_NOT_FOUND when there is no such file, ERR_VERIFY when it is damaged, ERR_STORE when it cannot be
 * read. */
int bundle_open(void *ctx, int root_dirfd, const char *rel_path, struct bundle_reader **ret,
		struct err *err) MMR_CHECKED;
/* The bundle of a receipt, also in partial/ of a waiver.  ERR_STORE when it is not there any more, ERR_VERIFY when it
 * is another file. */
int bundle_open_receipt(void *ctx, const struct receipt *r, struct bundle_reader **ret, struct err *err) MMR_CHECKED;
/* Is the file that the reader of bundle_open_receipt reads still there under its name, with the size and time that it
 * had?  Costs two calls of stat; finds what is removed, moved, replaced, cut or written to, not bytes that rot.
 * ERR_STORE, ERR_VERIFY. */
int bundle_in_place(const struct receipt *r, const struct bundle_reader *reader, struct err *err) MMR_CHECKED;
/* takes fd */
int bundle_open_fd(void *ctx, int fd, const char *name, struct bundle_reader **ret, struct err *err) MMR_CHECKED;
/* The kinds of data/schema.json, children of ctx.  ERR_NOT_FOUND, ERR_VERIFY, ERR_STORE. */
int bundle_read_schema(struct bundle_reader *r, void *ctx, struct bundle_kind **ret, size_t *ret_n,
		       struct err *err) MMR_CHECKED;
/* 1 when the bundle holds parts of threads that stayed: rows that were soft-deleted or replaced by an edit before
 * *ret_before_ms, never a root; a thread is then a range of lines whose posts have the same rootid, or where that is
 * empty originalid.  0: whole threads. Negative: an error. */
int bundle_read_parts(struct bundle_reader *r, int64_t *ret_before_ms, struct err *err) MMR_CHECKED;
/* Rows in file order.  1 and *line (without "\n", valid until the next call), 0 at the end, or a negative code. */
int bundle_read_row(struct bundle_reader *r, const char **line, size_t *len, struct err *err) MMR_CHECKED;
/* ... other reads may come between rows, also when they fail; the cursor stays. */
void bundle_rewind(struct bundle_reader *r);               /* bundle_read_row begins again */
/* Raw bytes of a member (data/bundle.json, data/names/users.jsonl ...). ERR_NOT_FOUND; capped at max_bytes. */
int bundle_read_member(struct bundle_reader *r, void *ctx, const char *member, size_t max_bytes, char **ret,
		       size_t *ret_len, struct err *err) MMR_CHECKED;
/* Writes the content of a stored blob to fd (-1: only checks it). ERR_NOT_FOUND; ERR_VERIFY after the bytes were
 * written when their digest is wrong, so write to a temporary file. */
int bundle_read_blob(struct bundle_reader *r, const struct digest *sha256, int fd, struct err *err) MMR_CHECKED;
/* Frames for look-ups by other rooms (audit, catalog). */
struct bundle_frame {
	uint64_t offset;
	uint32_t clen, rlen;
	uint32_t no;
	char member[96];
	char first_channel[27], last_channel[27];
	int64_t min_ms, max_ms;
	uint32_t rows;
};
/* Every frame that frames.tsv names, in file order; of another member than data/threads/ rows is 0.  i counts from 0;
 * borrowed from the reader. min_ms..max_ms: createat of the frame's posts (erased ones too); 0, 0 when there is none.
 * Only where data/bundle.json has "frame_times":"posts": earlier versions had the rows of all kinds for that. */
size_t bundle_frames(const struct bundle_reader *r);
const struct bundle_frame *bundle_frame_at(const struct bundle_reader *r, size_t i);
/* Decompressed bytes of one frame (capped at 64 MiB), parent ctx. */
int bundle_read_frame(struct bundle_reader *r, void *ctx, size_t i, char **ret, size_t *ret_len,
		      struct err *err) MMR_CHECKED;

/* rows: with those of which only the commitment is left, which are `erased`; posts: without; generation: 1, and one
 * more by each erasure. */
struct bundle_check { uint64_t threads, rows, posts, blobs, frames, raw_bytes, erased; uint32_t generation;
		      struct digest rows_digest, file_digest; char damage[512]; };

/* ---- erasing one person (FORMAT.md 10) ---- */

/* Stands for an account name in the lists of group messages, and for an id in the name of a direct one. */
#define BUNDLE_ERASED_NAME "erased"

/* What is left of an erased row; slices of the line, still escaped. */
struct bundle_erased {
	const char *kind; size_t kind_len;       /* of the row that it was */
	struct digest commit;
	const char *case_id; size_t case_len; int64_t at_ms;
	const char *id, *root, *original, *channel; /* of a post, else NULL */
	size_t id_len, root_len, original_len, channel_len;
	int64_t create_ms;                       /* of the root of a thread, else 0 */
};
/* Is this line what is left of a row? */
bool bundle_erased_line(const char *line, size_t len, struct bundle_erased *ret);

/* Sees every row; what is left of an erased one as a line of the kind that it was.  owned: it is the person's by the
 * owner column of its kind, and goes.
 * 1: it goes as well; 0: it stays; or a negative code. */
typedef int (*bundle_erase_fn)(void *payload, const struct bundle_kind *kind, const char *line, size_t len, bool owned,
			       struct err *err);
struct bundle_erase {
	const char *owner;                       /* the person's id */
	/* account names that the person had: they go from the lists of group messages */
	const char *const *name; size_t n_names;
	const char *case_id; int64_t at_ms;      /* which request, and when: in each line that is left */
	bundle_erase_fn row; void *payload;      /* NULL: what is owned goes */
};
/* freed with talloc_free, which removes a file in partial/ that was not published */
struct bundle_erasure;
struct bundle_erase_sum {
	const struct bundle_kind *kind; size_t n_kinds;
	const uint64_t *kind_rows;               /* rows to be erased, of each kind */
	uint64_t rows, posts, frames, blobs, blob_bytes;
	uint64_t names;                          /* lines about people and channels that go or change */
	bool known;                              /* the bundle has anything of the person: without, it is left alone */
};
/* Reads all rows and says what an erasure would do.  q is borrowed as long as the result lives.  ERR_VERIFY, ERR_STORE,
 * what q->row gives. */
int bundle_erase_scan(void *ctx, int root_dirfd, const char *rel_path, const struct bundle_erase *q,
		      struct bundle_erasure **ret, struct err *err) MMR_CHECKED;
/* Is there anything of the person in the bundle?  Without reading its rows: *ret false means that a scan finds nothing.
 */
int bundle_erase_known(int root_dirfd, const char *rel_path, const struct bundle_erase *q, bool *ret,
		       struct err *err) MMR_CHECKED;
/* File rows that go: their ids, one a line. */
const char *bundle_erase_files(const struct bundle_erasure *e, size_t *ret_len);
/* What the scan has counted; borrowed. */
const struct bundle_erase_sum *bundle_erase_sum(const struct bundle_erasure *e);
/* Where the new file will be, below the archive root: beside the old one. */
const char *bundle_erase_rel_path(const struct bundle_erasure *e);
/* Writes it into partial/, fsyncs it, reads all of it back: same rows digest, and every row either byte for byte the
 * old one or the commitment of one that had to go.  Untouched frames are copied as they are.  *ret: what was read back.
 * Nothing is published.  ERR_VERIFY, ERR_STORE. */
int bundle_erase_write(struct bundle_erasure *e, int partial_dirfd, struct bundle_check *ret,
		       struct err *err) MMR_CHECKED;
/* Renames it into its place, never over another file, and fsyncs the folder.  Durable afterwards: both files are there.
 * Errors as bundle_publish. */
int bundle_erase_publish(struct bundle_erasure *e, void *ctx, struct receipt **ret, struct err *err) MMR_CHECKED;

/* ---- packs: what was taken out of bundles, as one zip or tar (libarchive) ---- */

enum bundle_pack_kind { PACK_NONE, PACK_ZIP, PACK_TAR, PACK_TAR_GZ, PACK_TAR_ZST };
struct bundle_pack;                 /* freed with talloc_free */
/* Writes to fd (borrowed) as files are added; every member gets time_ms and mode 0600, so the same files give the same
 * bytes. ERR_INTERNAL when libarchive is not installed. */
int bundle_pack_open(void *ctx, int fd, const char *name, enum bundle_pack_kind kind, int64_t time_ms,
		     struct bundle_pack **ret, struct err *err) MMR_CHECKED;
/* The content of a file, read from 0 to its end in pieces; *ret is its SHA-256.  path: relative, plain ASCII, no part
 * begins with "." or "-", else ERR_INTERNAL. */
int bundle_pack_file(struct bundle_pack *p, int fd, const char *path, struct digest *ret, struct err *err) MMR_CHECKED;
/* The end of the pack; *ret is the SHA-256 of all of it. Not durable: the caller syncs fd. */
int bundle_pack_close(struct bundle_pack *p, struct digest *ret, uint64_t *ret_bytes, struct err *err) MMR_CHECKED;

/* Full verification of a published file: seek table, frames, tar structure, BagIt manifests, row tree, counts, caps of
 * security.md 8.5. ERR_VERIFY with damage filled. */
int bundle_verify(int root_dirfd, const char *rel_path, struct bundle_check *ret, const struct progress *progress,
		  struct err *err) MMR_CHECKED;

#endif
