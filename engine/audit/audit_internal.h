/*
 * audit_internal.h - what the files of this room share.
 *
 * Reading:   audit_open.c (archive, bundles) -> audit_frames.c (rows) -> audit_locate.c, audit_thread.c, audit_find.c;
 * audit_walk.c: a bundle from front to back.
 * Writing:   audit_export.c (threads in order, files) -> audit_html.c / audit_csv.c / audit_eml.c / audit_jsonl.c /
 *            audit_bulk.c, all of it into the work folder of audit_stage.c, from where it gets its names.
 */
#ifndef AUDIT_INTERNAL_H
#define AUDIT_INTERNAL_H

#include <mmretain/audit.h>
#include <mmretain/bundle.h>

/* Ceilings; each far above what a real archive holds. */
#define THREAD_BYTES_MAX ((size_t)1 << 30)   /* rows of one thread in memory */
#define FILES_LIST_MAX ((size_t)256 << 20)   /* data/files.jsonl */
#define MARKDOWN_MAX ((size_t)1 << 18)       /* longer messages are shown as plain text */
#define PAGE_BYTES_MAX ((size_t)2 << 30)
#define SNIPPET_BYTES 160

struct audit_names;                          /* uthash of one list */
struct audit_files;
struct audit_bundle {
	struct audit *audit;
	size_t index;
	const char *rel_path;
	struct bundle_reader *reader;        /* opened on demand */
	struct catalog_rows *rows;
	struct audit_names *users, *channels, *teams;
	struct audit_files *files;
	bool counted, exported, unreadable;
	bool walked;                         /* by audit_walk, which keeps its files */
	int64_t parts_before_ms;
	bool parts;                          /* of threads that stayed on the server; known once it was used */
	bool checked; int check_code; struct bundle_check check; char check_text[512];
};

struct kept_frame { size_t bundle; uint32_t frame; char *data; size_t len; };

struct audit {
	const struct store *store;
	struct catalog *catalog;
	struct catalog_words *words;         /* on demand */
	struct audit_bundle *bundle;
	size_t *by_age;                      /* their numbers, oldest first; on demand */
	struct audit_stats stats;
	struct missing *missing; size_t n_missing; /* audit_missing.c */
	char *missing_unknown;
	bool pass_over;                      /* bundles that cannot be read */
	struct kept_frame kept;              /* the last one read; data NULL: none */
	struct audit_bundle *recent[8];      /* open readers, the newest first */
};

/* Opens reader and rows; readers beyond a handful are closed again. */
int bundle_use(struct audit *a, size_t i, struct audit_bundle **ret, struct err *err) MMR_CHECKED;
/* What came of reading bundle i, when others can answer without it: 0 where audit_pass_over was asked for and it cannot
 * be read, else rc. */
int bundle_passed(struct audit *a, size_t i, int rc, struct err *err);

/* ---- bundles that are missing (audit_missing.c) ---- */
void missing_look(struct audit *a);
/* Whether one that may hold the id, or answer the question, is missing; as bundle_passed.  newer_than: only of those
 * published after it; NULL: of all. */
int missing_id(struct audit *a, const char *id, const char *newer_than, struct err *err) MMR_CHECKED;
int missing_question(struct audit *a, const struct catalog_query *q, struct err *err) MMR_CHECKED;

const struct audit_name *names_find(const struct audit_names *n, const char *id);

/* ---- frames (audit_frames.c) ---- */
/* One row of frame i; 1 stops. */
typedef int (*frame_fn)(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err);
/* wanted (may be NULL) looks at the raw line first: a line that it refuses is not decoded. */
typedef bool (*line_fn)(const void *payload, const char *line, size_t len);
int frame_rows(struct audit_bundle *b, uint32_t frame, line_fn wanted, frame_fn fn, void *payload,
	       struct err *err) MMR_CHECKED;
bool is_rows_frame(const struct audit_bundle *b, uint32_t frame);
/* The id of the thread that a post's row belongs to. */
struct catalog_text thread_of(const struct catalog_row *row);
char *text_dup(void *ctx, struct catalog_text t);
static inline bool text_is(struct catalog_text t, const char *s, size_t len)
{
	return t.len == len && __builtin_memcmp(t.s, s, len) == 0;
}

/* ---- bundles that were declared lost (audit_lost.c) ---- */
/* An answer for an id that no bundle has and that one of them held: err says so (ERR_NOT_FOUND).  false: there is
 * none. */
bool audit_lost_tell(const struct audit *a, const char *id, struct err *err);

/* ---- threads (audit_locate.c, audit_thread.c) ---- */
/* Where the thread of a post or file of this bundle begins in it. 1, 0: it is not in it, or a negative code. */
int locate_in(struct audit *a, size_t i, const char *id, struct audit_ref *ret, struct err *err) MMR_CHECKED;
/* One row into a thread, in the order of the bundle. */
int thread_take(struct audit_thread *t, const struct catalog_row *row, struct err *err) MMR_CHECKED;

/* ---- files of a bundle (audit_open.c) ---- */
struct file_state { const char *state; uint64_t size_bytes; struct digest sha256; bool has_digest; };
/* 1: listed, 0: not, or a negative code. */
int bundle_file_state(struct audit_bundle *b, const char *file_id, struct file_state *ret, struct err *err) MMR_CHECKED;
/* Full check of the bundle, once; fills check_text ("verified ...", "DAMAGED: ..."). */
void bundle_check_once(struct audit_bundle *b);

/* ---- words (audit_words.c) ---- */
struct words;
int words_parse(void *ctx, struct catalog_words *split, const char *text, struct words **ret,
		struct err *err) MMR_CHECKED;
char *words_match(void *ctx, const struct words *w);    /* for FTS5, or NULL: no narrowing possible */
bool words_hold(struct words *w, const char *text, size_t len);
/* Where the first word of the question is in the text. */
bool words_place(struct words *w, const char *text, size_t len, size_t *ret_from, size_t *ret_to);
/* false: the line of a bundle cannot hold the words.  Fast; true when in doubt. */
bool words_may_line(const struct words *w, const char *line, size_t len);

/* ---- spellings (audit_spell.c) ---- */
/* One of a letter: "ü" from a Mac is often `u` and a mark behind it.  A child of ctx. */
char *composed(void *ctx, const char *text, size_t len);
/* The pattern that any part of a name matches, sign by sign. */
char *glob_of_part(void *ctx, const char *part);

/* ---- props (audit_props.c) ---- */
/* The name under which a webhook's post was shown, or "": under that of the account that made the webhook.  NULL: it
 * came by none. */
char *props_webhook(void *ctx, const char *props, size_t len);
char *props_deleted_by(void *ctx, const char *props, size_t len); /* the id, or NULL: not known */
/* All of them; NULL: they are no JSON.  Ends with json_decref. */
struct json_t *props_json(const char *props);

/* ---- names (audit_resolve.c) ---- */
struct ids { const char **id; size_t n; };
bool in_ids(const struct ids *l, struct catalog_text t);
/* Users and channels of the question, those of its team among the latter.  ERR_NOT_FOUND: no bundle knows a name. */
int names_resolve(struct audit *a, const struct audit_question *q, void *ctx, struct ids *ret_users,
		  struct ids *ret_channels, struct err *err) MMR_CHECKED;

/* ---- hits (audit_hits.c) ---- */
int hits_threads(struct audit *a, struct audit_found *found, struct err *err) MMR_CHECKED;
int hits_files(struct audit *a, struct audit_found *found, void *ctx, struct err *err) MMR_CHECKED;

/* ---- raw lines (audit_line.c) ---- */
struct needle;
struct needle *needle_new(void *ctx, struct catalog_words *split, const char *token, size_t len); /* folded, ASCII */
bool needle_may(const struct needle *n, const char *line, size_t len);

/* ---- time (audit_time.c) ---- */
void local_full(int64_t ms, char ret[AUDIT_CLOCK]);     /* 2026-11-24 18:55:55 CET */
void utc_beside(int64_t ms, char ret[AUDIT_CLOCK]);    /* 17:55 UTC */
void rfc5322_date(int64_t ms, char ret[AUDIT_CLOCK]);
const char *local_zone(void);

/* ---- writing (audit_export.c) ---- */
struct export_file { int dirfd, fd; char *name; struct buf b; struct hash *hash; uint64_t bytes; };
struct export {
	struct audit *audit;
	const struct audit_export *options;
	struct audit_exported sum;
	void *ctx;
	int dirfd;                           /* in which the writer makes its files */
	char *leaf;
	/* what names of files get in front in messages; NULL: the output itself is named */
	char *where;
	struct export_file out;              /* the open file */
	int files_dirfd; char *files_dir;    /* attachments, made on demand */
	uint32_t n_written;
	int64_t newest_ms;                   /* of the posts exported */
	struct { bool whole; uint64_t posts; } left; /* what the writer left out of the thread that it was given last */
	/* something of that thread is in the output; its parts follow each other */
	bool root_written;
	struct stage *stage;
	struct pack *pack;                   /* NULL: not packed */
	void *state;                         /* of the format */
};
/* Of a file of the output, or of the output itself (name NULL), as output_failed; the path as it was asked for. */
int out_failed(const struct export *x, const char *name, int errnum, struct err *err);
int out_create(struct export *x, int dirfd, const char *name, struct err *err) MMR_CHECKED; /* 0600, must not exist */
/* writes when more than keep_below is buffered */
int out_flush(struct export *x, size_t keep_below, struct err *err) MMR_CHECKED;
int out_close(struct export *x, struct err *err) MMR_CHECKED;
/* Writes a stored file under a generated name; ret_name is relative to the page. ERR_NOT_FOUND: not in the bundle. */
int out_attachment(struct export *x, struct audit_bundle *b, const struct audit_file *f, char **ret_name,
		   struct err *err) MMR_CHECKED;
/* Content in memory when it is stored and not larger than max. */
int file_bytes(void *ctx, struct audit_bundle *b, const struct audit_file *f, size_t max, char **ret, size_t *ret_len,
	       struct err *err) MMR_CHECKED;
void put_base64(struct buf *b, const void *data, size_t len, size_t wrap);
/* png, jpeg, gif, webp by content, else NULL. */
const char *sniff_image(const void *data, size_t len);
/* The first len bytes in letters, digits, '_', '-' and '.', never beginning with the latter two; "export" for none. */
char *plain_name(void *ctx, const char *text, size_t len);
/* A plain, short, ASCII extension of a name with its dot, or "". */
void plain_extension(const char *name, char ret[12]);

struct writer {                              /* one format */
	const char *what;
	bool folder;
	int (*begin)(struct export *x, const struct audit_ref *ref, size_t n, struct err *err);
	int (*thread)(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err);
	int (*end)(struct export *x, struct err *err);
};
extern const struct writer html_writer, jsonl_writer, csv_writer, eml_writer, bulk_writer;

/* ---- on its way (audit_stage.c) ---- */
#define STAGE_PACK "pack"
/* x->dirfd: of the place, becomes that of what is exported, in a new work folder beside the output.  Takes away what a
 * killed export of that name left.  ERR_USAGE: the name is taken. */
int stage_begin(struct export *x, bool folder, struct err *err) MMR_CHECKED;
/* Of a name beside the output, to be known before the work and not after it; refused again by stage_publish. */
int stage_is_free(const struct export *x, const char *name, struct err *err) MMR_CHECKED;
int stage_pack_file(struct export *x, int *ret_fd, struct err *err) MMR_CHECKED;
/* Gives all of it its names, the output's last: durable when it returns 0.  Files in it are durable already. */
int stage_publish(struct export *x, struct err *err) MMR_CHECKED;
/* whatever happened: takes the work folder away, and names that stand when not all do */
void stage_drop(struct export *x);

/* ---- one zip or tar of it (audit_pack.c) ---- */
/* x->dirfd: the folder to pack; it and x->leaf become those of the content. */
int pack_begin(struct export *x, const struct writer *w, struct err *err) MMR_CHECKED;
int pack_thread(struct export *x, struct audit_thread *t, struct err *err) MMR_CHECKED;
int pack_end(struct export *x, struct err *err) MMR_CHECKED; /* the pack is whole and durable in the work folder */
void pack_drop(struct export *x);            /* whatever happened */

/* ---- one post as HTML (audit_post.c) ---- */
int html_thread(struct export *x, struct audit_thread *t, struct err *err) MMR_CHECKED;
extern const char audit_css[];
extern const size_t audit_css_len;

#endif
