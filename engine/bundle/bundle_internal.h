/*
 * bundle_internal.h - what the files of this room share.
 *
 * Writing:  bundle_write.c (rows) and bundle_blob.c, bundle_describe.c (everything else)
 *             -> bundle_member.c (tar member, its SHA-256) -> bundle_ring.c (frames, compressed by bundle_crew.c)
 *             -> bundle_zstd.c -> the file.
 * Reading:  bundle_seek.c (frame table) -> bundle_frames.c (mmretain.json, frames.tsv) -> bundle_read.c.
 * Erasing:  bundle_erase.c (which rows) and bundle_erase_text.c (which names and attachments) -> bundle_erase_write.c
 * (the new file).
 * Checking: bundle_ahead.c reads frames and has their rows checked by bundle_rows.c, some ahead, in threads;
 *           bundle_verify.c walks them in order, bundle_bag.c checks the manifests.
 */
#ifndef BUNDLE_INTERNAL_H
#define BUNDLE_INTERNAL_H

#include <mmretain/bundle.h>

#include <pthread.h>

/* Ceilings of writer and reader; FORMAT.md names them. */
#define FRAME_RAW_MAX (64u << 20)        /* one frame, decompressed */
#define MEMBER_ROW_BYTES (4u << 20)      /* rows in one member, unless a single row is larger */
#define MEMBER_FRAMES 16u                /* frames in one row member */
#define FRAME_BYTES_DEFAULT (256u << 10)
#define LAST_ROW_BYTES (8u << 10)        /* what the row that fills a frame is expected to add to it */
#define FRAME_COMP_MAX (2 * (size_t)FRAME_RAW_MAX)
#define FRAMES_MAX (16u << 20)
#define MEMBERS_MAX (2u << 20)
#define SMALL_MEMBER_MAX (512u << 20)    /* members that are read as a whole */
#define TEXT_MEMBER_MAX (256u << 20)     /* names, files.jsonl while they are collected */
#define RAW_TOTAL_MAX (UINT64_C(1) << 44)
#define RATIO_MAX 65536u                 /* decompressed : compressed of one frame */
#define CHANNEL_ID_MAX 26
#define TAR_BLOCK 512u
#define TAR_OCTAL_MAX UINT64_C(077777777777) /* larger sizes need a pax header */
#define JSON_DEPTH_MAX 256               /* deeper JSON values are stored as base64 */
#define SALT_BYTES 16
#define TAIL_FRAMES 3u                   /* header of mmretain.json, mmretain.json, end of the tar */

/* ---- names (bundle_name.c) ---- */
char *bundle_identity(void *ctx, const struct bundle_source *source, uint32_t seq);
#define GENERATIONS_MAX 9999u            /* each erasure writes one more */
char *bundle_final_name(void *ctx, const char *identity, const struct digest *rows, uint32_t generation);
bool bundle_name_plain(const char *s, size_t max);
/* The identity inside a final name, and whether its digest part and its generation agree. */
bool bundle_name_matches(const char *file_name, const char *identity, const struct digest *rows, uint32_t generation);

/* ---- rows as text (bundle_encode.c, bundle_decode.c) ---- */
struct column_codec { char *key; size_t key_len; char *key64; size_t key64_len; size_t default_len; };
struct kind_codec {
	struct bundle_kind kind;         /* own copy */
	char *open; size_t open_len;     /* {"k":"post" */
	struct column_codec *column;
	int time_column;                 /* createat, or -1; asked of posts */
	uint64_t rows;
};
void codec_init(void *ctx, struct kind_codec *c, const struct bundle_kind *kind);
/* Appends one line without the newline. */
void codec_encode(const struct kind_codec *c, const struct bundle_field *fields, struct buf *b);
/* `"key":` and the value, or the base64 twin; lead is "," or "". */
void codec_put_text(struct buf *b, const char *lead, const char *key, const char *s, size_t len);
/* Writes the value; false (and nothing written) when it cannot stand in JSON as it is. */
bool codec_put_value(struct buf *b, enum bundle_type type, const char *s, size_t len);
void codec_put_base64(struct buf *b, const char *s, size_t len);
char *codec_key(void *ctx, const char *column);
int64_t codec_int(const struct bundle_field *f); /* 0 when not a number */

/* ---- data/schema.json (bundle_schema.c) ---- */
void schema_write(struct buf *b, const struct kind_codec *kinds, size_t n);
int schema_parse(void *ctx, const char *text, size_t len, struct bundle_kind **ret, size_t *ret_n,
		 struct err *err) MMR_CHECKED;

/* ---- RFC 6962 tree (bundle_tree.c) ---- */
struct tree { struct digest stack[64]; uint64_t n; struct hash *hash; };
void tree_init(struct tree *t, struct hash *hash);
void tree_add(struct tree *t, const void *entry, size_t len);
void tree_root(const struct tree *t, struct digest *ret); /* t stays as it is */

/* ---- salts (bundle_salt.c) ---- */
struct salts;
struct salts *salts_new(void *ctx);
/* The salt of an owner; made from the secret at first sight. */
const uint8_t *salts_make(struct salts *s, const uint8_t secret[32], const char *identity, const char *owner,
			  size_t len);
/* NULL when unknown; last: what the caller found before, or NULL.  Several threads may ask at a time. */
struct salt;
const struct salt *salts_find(const struct salts *s, const struct salt *last, const char *owner, size_t len);
const uint8_t *salt_bytes(const struct salt *e);
void salts_write(struct buf *b, const struct salts *s);
int salts_parse(struct salts *s, const char *text, size_t len, struct err *err) MMR_CHECKED;
/* commit = SHA256(salt || line) */
void salt_commit(struct hash *h, const uint8_t salt[SALT_BYTES], const char *line, size_t len, struct digest *ret);

/* ---- tar (bundle_tar.c) ---- */
#define TAR_HEADER_MAX (3 * TAR_BLOCK)
/* Header blocks for one member; returns their length (three blocks when a pax size is needed). 0: the name does not
 * fit. */
size_t tar_header(const char *top, const char *name, uint64_t size, char ret[TAR_HEADER_MAX]);
static inline size_t tar_padding(uint64_t size) { return (size_t)(-size & (TAR_BLOCK - 1)); }
/* Reads header blocks and compares them with what tar_header would have written: only our own form passes. */
bool tar_parse(const char *blocks, size_t len, const char *top, char ret_name[128], uint64_t *ret_size);

/* ---- zstd (bundle_zstd.c) ---- */
struct zc;
struct zc *zc_new(void *ctx);
size_t zc_bound(size_t len);
/* Compressed length, or 0 on failure. */
size_t zc_compress(struct zc *z, int level, void *dst, size_t cap, const void *src, size_t len);
/* A frame of uncompressed blocks: its bytes depend on nothing but the content. */
void zc_stored_frame(struct zc *z, struct buf *b, const void *src, size_t len);
struct zd;
struct zd *zd_new(void *ctx);
/* Decompresses exactly one frame of clen bytes into rlen bytes; NULL or what is wrong. */
const char *zd_frame(struct zd *z, const void *src, size_t clen, void *dst, size_t rlen);

/* ---- frames on their way to the file (bundle_ring.c) ---- */
#define NO_MEMBER UINT32_MAX
struct frame_row {                       /* one frame of the file; a line of frames.tsv when it has a member */
	uint64_t offset; uint32_t clen, rlen, member, rows, threads;
	char first_channel[CHANNEL_ID_MAX + 1], last_channel[CHANNEL_ID_MAX + 1];
	int64_t min_ms, max_ms;          /* 0, 0 = none */
	struct digest root;
	struct digest so_far;            /* of a writer's frame of rows: SHA-256 of its member up to here */
};
struct outfile {                         /* the growing file and its digest */
	int fd; const char *name; uint64_t offset;
	struct hash *file_hash;
	struct frame_row *frame; size_t n_frames, cap_frames; void *ctx;
};
int outfile_write(struct outfile *o, const void *data, size_t len, struct err *err) MMR_CHECKED;
int outfile_frame(struct outfile *o, const struct frame_row *meta, const void *data, size_t clen, size_t rlen,
		  struct err *err) MMR_CHECKED;

struct slot;
struct ring;
/* raw_bytes: the most that a usual frame takes; buffers of that size need not be grown. */
/* crew: outlives the ring, or NULL: one of its own, without threads. */
struct ring *ring_new(void *ctx, struct outfile *out, size_t raw_bytes, int level, struct bundle_crew *crew);
/* The slot being filled; waits for room. */
int ring_slot(struct ring *r, struct slot **ret, struct err *err) MMR_CHECKED;
struct buf *slot_raw(struct slot *s);
struct frame_row *slot_meta(struct slot *s);
/* The last len bytes of the slot are a row and its newline; salt stays where it is until the frame is written.  Its
 * commitment, the frame's root and the member's digest so far are left to the workers. */
void slot_row(struct slot *s, const uint8_t *salt, size_t len);
/* The filled slot becomes a frame. */
void ring_submit(struct ring *r, int level);
/* The header that goes before the first frame not yet sealed; frames up to now may be written. */
int ring_seal(struct ring *r, const char *header, size_t len, struct err *err) MMR_CHECKED;
unsigned ring_unsealed(const struct ring *r);
int ring_drain(struct ring *r, struct err *err) MMR_CHECKED;
void ring_stop(struct ring *r); /* waits until nobody works on it; what is not written is forgotten */
struct bundle_crew *ring_crew(const struct ring *r);
struct zc *ring_zc(struct ring *r);

/* ---- members (bundle_member.c) ---- */
struct member { char *name; struct digest sha256; uint64_t bytes; };

/* What data/files.jsonl says of attachments (bundle_blob.c). */
enum file_state { FILE_STORED, FILE_DROPPED, FILE_KEPT, FILE_MISSING, FILE_STATES };
extern const char *const file_states[FILE_STATES];
/* Of a name that is not NUL-terminated; FILE_STATES: none of them. */
enum file_state file_state_of(const char *name, size_t len);

enum writer_state { WRITER_OPEN, WRITER_FINISHED, WRITER_PUBLISHED, WRITER_FAILED };

struct bundle_writer {
	enum writer_state state;
	struct err first;                /* why it failed; given again to every later call */
	int partial_dirfd;
	char *identity, *part_name;
	struct bundle_source source;     /* own copy */
	char *previous_hex;
	uint32_t seq;
	size_t frame_bytes;
	uint8_t salt_secret[32];
	struct kind_codec *kind; size_t n_kinds;
	struct outfile out;
	struct ring *ring;
	struct hash *hash, *member_hash;
	struct member *member; size_t n_members, cap_members;
	uint64_t last_size;              /* of the member before, for its padding */
	struct salts *salts;
	/* open row member */
	bool in_rows; uint64_t member_bytes; unsigned n_row_members;
	struct tree data_tree;           /* of an erasure; an export makes it from its frames at the end */
	struct buf spill;
	/* open thread */
	char channel[CHANNEL_ID_MAX + 1], root[CHANNEL_ID_MAX + 1]; int64_t root_ms; bool thread_open, thread_counted;
	struct buf files, teams, channels, users, text;
	void *blobs;                     /* digests stored, bundle_blob.c */
	uint64_t n_files[FILE_STATES];
	struct bundle_check sum;         /* what was streamed */
	int64_t min_ms, max_ms;
	struct digest manifest, tagmanifest;
	uint32_t frames_at, frames_n, tagmanifest_at, tagmanifest_n;
	uint32_t generation;             /* 1: as it was exported */
};

/* The writer with its work file, and no member yet.  identity and part_name NULL: of the source. */
int writer_new(void *ctx, int partial_dirfd, const struct bundle_source *source, const struct bundle_options *options,
	       const char *identity, const char *part_name, struct bundle_writer **ret, struct err *err) MMR_CHECKED;
/* From the manifest on: what follows from the members before it, and the bytes on disk. */
int writer_seal(struct bundle_writer *w, struct err *err) MMR_CHECKED;
/* Reads the finished file back and compares it with w->sum. */
int writer_read_back(struct bundle_writer *w, uint64_t *ret_bytes, struct err *err) MMR_CHECKED;
/* The finished file into folder/name below root_dirfd, never over another; its receipt. */
int writer_publish(struct bundle_writer *w, void *ctx, int root_dirfd, const char *folder, const char *name,
		   uint64_t bytes, struct receipt **ret, struct err *err) MMR_CHECKED;
int writer_check(struct bundle_writer *w, struct err *err) MMR_CHECKED;
int writer_fail(struct bundle_writer *w, struct err *err);       /* remembers err, returns its code */
/* A whole member from memory, cut into frames. */
int member_put(struct bundle_writer *w, const char *name, const void *data, size_t len, struct err *err) MMR_CHECKED;
/* size known before */
int member_open(struct bundle_writer *w, const char *name, uint64_t size, struct err *err) MMR_CHECKED;
int member_data(struct bundle_writer *w, const void *data, size_t len, int level, struct err *err) MMR_CHECKED;
int member_close(struct bundle_writer *w, int level, struct err *err) MMR_CHECKED;
int member_header(struct bundle_writer *w, const char *name, uint64_t size, struct err *err) MMR_CHECKED;
struct member *member_add(struct bundle_writer *w, const char *name);
int rows_close(struct bundle_writer *w, struct err *err) MMR_CHECKED; /* ends the open row member, bundle_write.c */
void blobs_free(struct bundle_writer *w);

/* ---- texts of the last members (bundle_describe.c) ---- */
void describe_bundle_json(struct bundle_writer *w, struct buf *b);
void describe_bag_info(struct bundle_writer *w, struct buf *b);
void describe_frames(struct bundle_writer *w, struct buf *b);
void describe_manifest(struct bundle_writer *w, struct buf *b, bool payload);
void describe_mmretain_json(struct bundle_writer *w, struct buf *b);
extern const char bagit_txt[];

/* ---- reading (bundle_seek.c, bundle_frames.c, bundle_read.c) ---- */
struct frame_pos { uint64_t offset; uint32_t clen, rlen; };
struct trailer {                         /* mmretain.json */
	char identity[128];
	uint64_t threads, rows, posts, blobs, row_bytes, prefix_bytes, generation, erased;
	char rows_hex[DIGEST_HEX + 1], manifest_hex[DIGEST_HEX + 1], tagmanifest_hex[DIGEST_HEX + 1],
		prefix_hex[DIGEST_HEX + 1];
	uint32_t frames_at, frames_n, tagmanifest_at, tagmanifest_n;
};
struct bundle_reader {
	int fd; char *name; uint64_t size; struct timespec mtime; /* when it was opened */
	struct frame_pos *pos; size_t n_pos;
	bool walked;                     /* the seek table was unusable */
	struct trailer trailer;
	struct bundle_frame *frame; struct digest *root; uint32_t *threads; size_t n_frames;
	struct named { const char *name; size_t at; } *named; size_t n_named; /* members by name: first frame */
	struct digest frames_sha256;
	struct zd *zd;
	struct buf comp, raw;
	size_t next, at;                 /* row cursor: next frame, place in raw */
};
/* takes fd */
int reader_new(void *ctx, int fd, const char *name, struct bundle_reader **ret, struct err *err) MMR_CHECKED;
int open_bundle_file(int dirfd, const char *rel_path, int *ret_fd, struct err *err) MMR_CHECKED;
int seek_load(struct bundle_reader *r, struct err *err) MMR_CHECKED;
int seek_walk(struct bundle_reader *r, struct err *err) MMR_CHECKED;
void seek_table(struct buf *b, const struct frame_pos *pos, size_t n);
int trailer_load(struct bundle_reader *r, struct err *err) MMR_CHECKED;
/* Is this the mmretain.json of an earlier generation of the bundle? */
bool trailer_precedes(const struct trailer *t, const char *text, size_t len, uint64_t generation);
int frames_load(struct bundle_reader *r, struct err *err) MMR_CHECKED;
size_t frames_find(const struct bundle_reader *r, const char *member, size_t *ret_at);
/* Frame i of the file into raw, and its compressed bytes in comp.  Reads nothing of r that changes, but for zd. */
int frame_load(const struct bundle_reader *r, size_t i, struct zd *zd, struct buf *comp, struct buf *raw,
	       struct err *err) MMR_CHECKED;
int reader_frame(struct bundle_reader *r, size_t i, struct err *err) MMR_CHECKED; /* into r->comp and r->raw */
/* Frames at..at+n joined. */
int reader_range(struct bundle_reader *r, void *ctx, size_t at, size_t n, size_t max_bytes, char **ret, size_t *ret_len,
		 struct err *err) MMR_CHECKED;
bool is_row_member(const char *name);

/* ---- checking ---- */
/* rows: with those gone */
struct row_sum { uint64_t *kind, *erased /* rows of each, and lines that stand for one */, rows, posts, gone, bytes; };
struct row_rules {                       /* what rows are checked against; does not change any more */
	struct bundle_kind *kind; size_t n_kinds, post; /* post: which kind is counted as posts, or n_kinds */
	struct salts *salts;
	struct digest schema_sha256, salts_sha256;
};
struct row_check {                       /* of one thread */
	const struct row_rules *rules;
	struct hash *hash;
	struct tree tree;
	const struct salt *last;
};
/* One row: its kind, whose it is in the form of the line, and its commitment; of an erased one the kind that it was,
 * and no owner. NULL, or what is wrong with it. */
struct row_seen { int kind; bool erased; const char *owner; size_t owner_len; struct digest commit; };
const char *row_look(struct row_check *c, const char *line, size_t len, struct row_seen *ret);
int rows_prepare(struct row_rules *c, void *ctx, struct bundle_reader *r, struct err *err) MMR_CHECKED;
void row_check_init(struct row_check *c, void *ctx, const struct row_rules *rules);
void row_sum_init(struct row_sum *s, void *ctx, const struct row_rules *rules);
void row_sum_clear(struct row_sum *s, const struct row_rules *rules);
void row_sum_add(struct row_sum *to, const struct row_sum *s, const struct row_rules *rules);
/* All lines of one frame: adds to sum, frame root in ret_root. */
int rows_frame(struct row_check *c, const char *data, size_t len, struct row_sum *sum, struct digest *ret_root,
	       struct err *err) MMR_CHECKED;

/* Frames in order, with workers threads reading ahead. */
struct ahead_frame { struct buf comp, raw; struct row_sum sum /* of a frame of rows */; struct digest root; };
struct ahead;
/* talloc_free ends the threads */
struct ahead *ahead_new(void *ctx, const struct bundle_reader *r, const struct row_rules *rules, int workers);
/* The next frame, valid until the next call. */
int ahead_next(struct ahead *a, const struct ahead_frame **ret, struct err *err) MMR_CHECKED;

int bag_check(const struct member *member, size_t n, const char *manifest, size_t manifest_len, const char *tagmanifest,
	      size_t tagmanifest_len, const char *bag_info, size_t bag_info_len, struct err *err) MMR_CHECKED;
/* The lines of data/files.jsonl: whether the content of each that is stored is there; how many of each state. */
int files_check(const struct bundle_reader *r, const char *text, size_t len, uint64_t ret_n[FILE_STATES],
		struct err *err) MMR_CHECKED;
/* What data/bundle.json says of all that was counted. */
int check_counts(const struct row_rules *c, const struct row_sum *rows, const struct bundle_check *sum,
		 const uint64_t n_files[FILE_STATES], const char *json, size_t len, struct err *err) MMR_CHECKED;
/* Everything about the open file; fd is taken. final_name NULL: the name is not checked.  workers: threads beside the
 * caller. */
int check_file(int fd, const char *name, const char *final_name, int workers, struct bundle_check *ret,
	       const struct progress *progress, struct err *err) MMR_CHECKED;

/* ---- erasing (bundle_erased.c, bundle_erase.c, bundle_erase_text.c, bundle_erase_write.c) ---- */
#define HISTORY_FOLDER "history/"
char *history_name(void *ctx, uint64_t generation); /* history/mmretain-e1.json */
/* The line that stands for a row from now on. */
void erased_line(struct buf *b, const struct bundle_erase *q, const struct bundle_kind *kind, const char *line,
		 size_t len, const struct digest *commit);

struct erase_blob { struct digest sha256; uint64_t bytes; };
struct bundle_erasure {
	const struct bundle_erase *q;
	char *rel_path, *new_rel_path;
	int root_dirfd;                  /* own */
	struct bundle_reader *r;
	struct row_rules *rules;
	struct row_check *check;
	uint8_t *goes;                   /* one bit for each line of rows: its row is erased now */
	uint64_t n_lines;
	bool *touched;                   /* frames of r->frame in which a row goes */
	struct buf files_gone;           /* ids of file rows that go, one a line */
	struct erase_blob *blob; size_t n_blobs; /* attachments that nobody else uses */
	struct buf users, channels, files, salts; /* the new texts of these members */
	uint64_t n_files[FILE_STATES];
	struct bundle_erase_sum sum;
	uint64_t *kind_rows;
	struct bundle_writer *w;         /* of the new file */
	uint64_t file_bytes;
};
/* The texts that name the person or its attachments, and what changes in them. */
int erase_texts(struct bundle_erasure *e, struct err *err) MMR_CHECKED;
/* data/bundle.json and bag-info.txt with the counts of the new file. */
int erase_bundle_json(struct bundle_erasure *e, const struct row_sum *sum, struct buf *b, struct err *err) MMR_CHECKED;
int erase_bag_info(struct bundle_erasure *e, struct buf *b, struct err *err) MMR_CHECKED;
static inline bool erase_goes(const struct bundle_erasure *e, uint64_t line)
{
	return e->goes[line / 8] >> (line % 8) & 1;
}

#endif
