/*
 * audit.h - floor 3: archived threads found, shown and exported; no database.
 *
 * For: find, show, export, the case log.
 * Not for: printing (cli), bundles' own verification (bundle).
 * Includes: base, bundle, store, ledger, catalog.  The only room that may touch md4c.
 * A bundle is input from outside: sizes are capped, texts are escaped by whoever writes them out.
 *
 * Order: audit_open, audit_find or audit_locate, audit_log (durable before anything is shown), then show or export.
 */
#ifndef MMRETAIN_AUDIT_H
#define MMRETAIN_AUDIT_H

#include <mmretain/base.h>
#include <mmretain/catalog.h>
#include <mmretain/store.h>

/* ---- the archive as seen by an auditor (audit_open.c) ---- */

struct audit;
/* Lists the bundles, and asks the ledger which are missing; no bundle is read yet, and none that is missing or damaged
 * is an error here.  store must stay open as long as *ret, a child of ctx that talloc_free ends: readers, names and
 * what points to them (audit_bundle, audit_name) go with it.  options are copied; scan: no
 * index, build: indexes that are missing or stale are made while searching.  ERR_STORE: the folder of bundles cannot be
 * listed. */
int audit_open(void *ctx, const struct store *store, const struct catalog_options *options, struct audit **ret,
	       struct err *err) MMR_CHECKED;
struct audit_stats {
	uint64_t bundles, bundles_read, bundles_without_index, bundles_unreadable,
		bundles_missing /* counted as unreadable too */, frames, bytes, rows;
};
const struct audit_stats *audit_stats(const struct audit *a);
/* Bundles that the archive once had and that expired.  Walks the ledger. */
uint64_t audit_expired(const struct audit *a);
/* Bundles that were declared lost and are not back; 0 as before. */
uint64_t audit_lost(const struct audit *a);

/* Bundles that the ledger says are there and that are not: neither expired, lost nor replaced.  Looks at names only.
 * 1, 0: the ledger knows no bundle at all. */
struct ledger_published;
int audit_missing(void *ctx, const struct store *store, const struct ledger_published **ret, size_t *ret_n,
		  struct err *err) MMR_CHECKED;
/* Why an open archive cannot tell whether bundles are missing, or NULL: it can. */
const char *audit_missing_unknown(const struct audit *a);
#define AUDIT_MISSING_HINT                                                                                             \
	"Get what is missing back with `mmretain fetch` where the policy has a mirror, else from a copy of the "       \
	"archive; `mmretain abandon` declares a bundle lost."

/* From here on a bundle that is missing, damaged or cannot be read is passed over: warned of once, counted in
 * bundles_unreadable, and the others answer.  Else it is an error.  For looking, not for what must be whole: in it may
 * be a newer state of what was found. */
void audit_pass_over(struct audit *a);

/* Name as a person reads it; falls back to the id. */
struct audit_name { const char *id, *name, *display, *extra, *members; }; /* as catalog_name */
struct audit_bundle;
const char *audit_bundle_path(const struct audit_bundle *b);
const struct audit_name *audit_user(struct audit_bundle *b, const char *id); /* id "": of a row that names no one */
const struct audit_name *audit_author(struct audit_bundle *b, const char *id, bool erased); /* of a post */
const struct audit_name *audit_channel(struct audit_bundle *b, const char *id);
const struct audit_name *audit_team_of(struct audit_bundle *b, const char *channel_id); /* NULL: direct or group */
/* "accelerator / vacuum", "direct: jane, joe". */
char *audit_place(void *ctx, struct audit_bundle *b, const char *channel_id);

/* ---- threads (audit_locate.c, audit_thread.c) ---- */

/* where a thread begins; earlier: as it is in audit_thread */
struct audit_ref { size_t bundle; uint32_t frame; char root[64]; bool earlier; };
const char *audit_ref_path(const struct audit *a, const struct audit_ref *ref); /* of its bundle */
/* By the id of any post or file of it, or of the thread. ERR_NOT_FOUND. */
int audit_locate(struct audit *a, const char *id, struct audit_ref *ret, struct err *err) MMR_CHECKED;
/* The thread as it was archived last, when it was; then all parts of it that were taken out before (deleted_posts),
 * each in its bundle; then, the newest first, earlier states of it that have a post, a text or a file which nothing
 * before has. ERR_NOT_FOUND. */
int audit_locate_all(struct audit *a, const char *id, void *ctx, struct audit_ref **ret, size_t *ret_n,
		     struct err *err) MMR_CHECKED;

struct audit_reaction { char *emoji; char **user; int64_t *at_ms; size_t n; };
struct audit_file {
	char *id, *name, *mime, *user;
	int64_t size_bytes, delete_ms;
	const char *state;           /* stored, dropped, kept, missing, unknown */
	struct digest sha256; bool has_digest;
};
struct audit_post {
	char *id, *user, *root, *original, *message, *type, *props, *priority;
	size_t message_len;
	int64_t create_ms, update_ms, edit_ms, delete_ms;
	bool pinned;
	/* the case in which it was erased, else NULL; message says so then, and user is "" */
	char *erased;
	bool timeless;               /* nobody knows any more when it was: create_ms is that of the post before */
	struct audit_reaction *reaction; size_t n_reactions;
	struct audit_file *file; size_t n_files;
	uint32_t acks;
	/* a webhook brought it: the name it was shown under, or ""; NULL: the person wrote it */
	char *webhook;
	char *deleted_by;            /* whose id its row has for that, or NULL */
};
struct audit_thread {
	struct audit_bundle *bundle;
	char *root, *channel;
	struct audit_post *post; size_t n_posts; /* the root first, then by time; earlier versions behind their post */
	size_t n_live;                           /* without earlier versions */
	size_t erased_posts, erased_rows;        /* rows: with those of other kinds */
	/* not the thread: only posts of it that had been deleted or replaced by an edit */
	bool parts;
	/* not as it was archived last, and with something that is not in that */
	bool earlier;
};
/* Who deleted it, where that was not its author; else NULL. */
const struct audit_name *audit_deleter(const struct audit_thread *t, const struct audit_post *p);
/* "by webhook, as "GitLab"". */
char *audit_webhook_text(void *ctx, const char *name);
/* *ret: a child of ctx with all its texts; `bundle` and the names of audit_user and the like are the audit's.
 * Reactions that were taken back and rows of kinds that no reader shows are left out.  ERR_NOT_FOUND: no thread of that
 * id begins there; ERR_VERIFY: the bundle is damaged, or the thread larger than 1 GiB; ERR_STORE, ERR_PERMISSION: the
 * bundle cannot be read, or was removed since audit_open. */
int audit_thread_load(struct audit *a, const struct audit_ref *ref, void *ctx, struct audit_thread **ret,
		      struct err *err) MMR_CHECKED;
/* Every row of a thread as the line in the bundle, byte for byte and without its newline, valid during the call. 1
 * stops.  Errors as audit_thread_load, and what fn returns. */
typedef int (*audit_line_fn)(void *payload, const char *line, size_t len, struct err *err);
int audit_thread_lines(struct audit *a, const struct audit_ref *ref, audit_line_fn fn, void *payload,
		       struct err *err) MMR_CHECKED;
/* Content of a stored file into fd, its digest checked; what was written before an error is in fd.  ERR_NOT_FOUND: the
 * bundle does not hold it; ERR_VERIFY, ERR_STORE: as audit_thread_load, and of writing. */
int audit_file_read(struct audit_bundle *b, const struct audit_file *f, int fd, struct err *err) MMR_CHECKED;

/* ---- every thread of one bundle (audit_walk.c) ---- */

struct audit_walk;
/* From the first one on.  Ends with talloc_free; before that no second walk of the same bundle.  ERR_NOT_FOUND: the
 * archive, as it was when it was opened, has no such bundle; else as audit_thread_load. */
int audit_walk_open(struct audit *a, const char *rel_path, void *ctx, struct audit_walk **ret,
		    struct err *err) MMR_CHECKED;
/* Its threads are parts of threads that stayed: it is not walked. */
bool audit_walk_parts(const struct audit_walk *w);
/* 1: the next thread, a child of ctx as of audit_thread_load, and its rows as the lines in the bundle, each with its
 * newline, until the next call; 0: that was all.  No frame is decoded twice; memory is that of one thread.  Other
 * bundles may be asked meanwhile. */
int audit_walk_next(struct audit_walk *w, void *ctx, struct audit_thread **ret, const char **ret_lines, size_t *ret_len,
		    struct err *err) MMR_CHECKED;

/* ---- find (audit_words.c, audit_find.c, audit_resolve.c) ---- */

struct audit_question {
	const char *words;           /* word, pre*, "a phrase", AND, OR, NOT, ( ); NULL = any */
	const char *const *user; size_t n_users;       /* names or ids */
	const char *const *channel; size_t n_channels; /* names, team/name, or ids */
	const char *team;
	/* Names or ids: only direct and group messages in which all of these people were. */
	const char *const *with; size_t n_with;
	int64_t from_ms, before_ms;
	const char *file_name;       /* part of a name, as it is or as a glob */
	const char *regex;           /* POSIX extended, on the message or file name */
	bool has_file;
	uint64_t offset, limit;      /* limit 0: all */
};
struct audit_hit {
	struct audit_bundle *bundle;
	struct audit_ref ref;        /* frame: of the hit */
	char *post, *user, *channel, *snippet, *file_name; /* file_name NULL: the post itself */
	char *webhook;               /* as of audit_post */
	int64_t create_ms;
	char **files; size_t n_files; /* of a post, where has_file was asked for: their names */
	bool deleted, earlier_version, erased;
	bool by_post;                /* while searching: the row names its post, and the thread is looked up by that */
	char *file_ids;              /* likewise: of an earlier version, whose files hang on its post */
};
/* seen: from the first hit on, before offset too; when there is more, with the next one */
struct audit_found { struct audit_hit *hit; size_t n; bool more; uint64_t seen; };
/* In the order of the archive: bundle, channel, thread. ERR_USAGE for words or a regex that make no sense,
 * ERR_NOT_FOUND for a name that no bundle knows, ERR_VERIFY when one is missing that may know it. */
int audit_find(struct audit *a, const struct audit_question *q, void *ctx, struct audit_found *ret,
	       struct err *err) MMR_CHECKED;
/* All that there is of the threads of all hits, as audit_locate_all, each once. */
int audit_find_threads(struct audit *a, const struct audit_question *q, void *ctx, struct audit_ref **ret,
		       size_t *ret_n, struct err *err) MMR_CHECKED;

/* ---- case log (audit_case.c) ---- */
/* Lines of type `access` in a chain of its own, ledger/access/entries.jsonl: the lock of the main ledger belongs to the
 * run for hours, and a reader must neither wait for a run nor stop one. */

struct audit_access {
	const char *case_id, *reason, *command;
	const char *subject_sha256;  /* digest of what was asked; the question itself may hold names */
	const char *thread;          /* of a single one, else NULL */
	uint64_t bundles, threads, posts; /* posts: UINT64_MAX when they are not counted yet */
};
/* Durable when it returns 0; nothing may be shown before. ERR_USAGE without case or reason. */
int audit_log(const struct store *store, const struct audit_access *access, struct err *err) MMR_CHECKED;
/* Every whole record from the first on, the chain checked up to it; no lock, so one that is just being written may be
 * missing.  line: without its newline, valid during the call; 1 stops, which is no error.  A log that nobody wrote yet
 * has no records.  ERR_VERIFY names the first bad line, those before it were given; ERR_STORE: it cannot be read; or
 * what fn returns. */
typedef int (*audit_access_fn)(void *payload, const char *line, size_t len, struct err *err);
int audit_log_each(const struct store *store, audit_access_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* ---- export (audit_export.c and one file per format) ---- */

enum audit_format { AUDIT_HTML, AUDIT_JSONL, AUDIT_CSV, AUDIT_EML, AUDIT_MATTERMOST };
struct audit_export {
	enum audit_format format;
	/* html, jsonl, csv: a file; eml, mattermost: a folder; packed: the pack. Must not exist. */
	const char *out;
	enum bundle_pack_kind pack;  /* PACK_NONE: files as they are */
	const char *title;           /* of the page */
	const char *case_id;
	const char *asked, *tool;    /* what was asked for, and of which program: for a page and the text of a pack */
	bool verify;                 /* check each bundle used, so that page and pack can say so */
	bool bom, raw_csv;
	uint64_t inline_bytes;       /* images up to this size go into the page; 0: 256 KiB */
	uint32_t page_posts;         /* 0: 5,000 */
	const struct progress *progress;
};
struct audit_exported {
	uint64_t threads, posts, files, files_missing, bytes, pages;
	/* mattermost: what the format cannot say; not counted in threads and posts */
	uint64_t threads_left_out, posts_left_out;
	struct digest pack_sha256; uint64_t pack_bytes;
};
/* What a pack of this name is by its end (.zip, .tar, .tar.gz, .tgz, .tar.zst, .tzst); *ret_stem: length without it. */
enum bundle_pack_kind audit_pack_kind(const char *path, size_t *ret_stem);
/* The threads of ref, those of one thread one after the other, as files that belong to the caller.  Durable when it
 * returns 0; before, nothing stands under `out` nor under the names of its parts (pages and attachments beside a page),
 * and after an error nothing of it is left anywhere.  A kill leaves a work folder `.<name>.<12 hex>.partial` beside
 * `out`, and in the moment of publishing parts without `out`; the next call for that name takes both away.
 * ERR_USAGE: `out` or a part of it is there, or can not be; ERR_PERMISSION, ERR_OUTPUT: as output_failed; ERR_VERIFY,
 * ERR_STORE: a bundle cannot be read whole;
 * ERR_NOT_FOUND: a thread is not where ref says; ERR_INTERRUPTED: a stop request, asked after each thread.  *ret: only
 * when it returns 0. */
int audit_export(struct audit *a, const struct audit_ref *ref, size_t n, const struct audit_export *options,
		 struct audit_exported *ret, struct err *err) MMR_CHECKED;

/* ---- small things that cli, tests and fuzzers call ---- */

#define AUDIT_CLOCK 64
/* In the zone of this machine: "Tuesday, 24 November 2026", "18:55", "CET"; a number that changes with the day. */
void audit_local_day(int64_t ms, char ret[AUDIT_CLOCK]);
void audit_local_clock(int64_t ms, char ret[AUDIT_CLOCK]);
void audit_local_zone(int64_t ms, char ret[AUDIT_CLOCK]);
int audit_local_day_number(int64_t ms);

/* http, https, mailto and nothing else; no control characters, blanks, quotes or backslashes. */
bool audit_url_allowed(const char *url, size_t len);
/* Message Markdown as HTML that holds no script, no style, no request; refused links stay text. */
void audit_markdown(struct buf *out, const char *text, size_t len);
void audit_html_escape(struct buf *out, const char *text, size_t len);
/* One cell, always quoted; raw: no guard against formulas. */
void audit_csv_cell(struct buf *out, const char *text, size_t len, bool raw);
/* Unicode of an emoji name, or NULL. */
const char *audit_emoji(const char *name, size_t len);

#endif
