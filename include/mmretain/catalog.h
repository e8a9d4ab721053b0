/*
 * catalog.h - floor 2: the search index over all bundles.
 *
 * For: which frames of which bundle can hold an id, a person, a channel, a time or a word; rows as structs; names to
 * ids. Not for: saying that something matches.  An index only narrows what is read; the caller asks the real row (audit
 * does).
 * Includes: base, bundle, store; ledger only to ask which bundles have expired.  The only room that may touch SQLite.
 *
 * Two kinds of file, both derived from bundles, never trusted, free to be deleted (docs/audit.md):
 *   bundles/.../<name>.idx   beside each bundle: frames, packed ids, people, channels, words, names
 *   catalog.sqlite           over all bundles: time range, people, channels, names, a filter over ids
 * A sidecar names the size and the digest of the tail of the bundle that it was made from; another one is stale.
 *
 * 	rc = catalog_open(ctx, store, &(struct catalog_options){.build = true}, &c, err);
 * 	for (size_t i = 0; i < c->n_bundles && !rc; i++)
 * 		rc = catalog_frames(c, i, &query, ctx, &hits, err);
 */
#ifndef MMRETAIN_CATALOG_H
#define MMRETAIN_CATALOG_H

#include <mmretain/base.h>
#include <mmretain/bundle.h>
#include <mmretain/store.h>

/* ---- writing (catalog_build.c, catalog_all.c, catalog_reindex.c) ---- */

/* Index one published bundle and enter it into catalog.sqlite.  Costs a read of its rows.  Derived data: a caller that
 * publishes treats a failure as a warning. Durable afterwards: the sidecar. ERR_STORE, ERR_VERIFY (the bundle is
 * damaged). */
int catalog_add_bundle(const struct store *store, const char *rel_path, struct err *err) MMR_CHECKED;
/* Several, entered in one transaction.  What cannot be entered is told by `failed`, and the others are; a negative
 * code: none was entered. */
typedef void (*catalog_failed_fn)(void *payload, const char *rel_path, const struct err *why);
int catalog_add_bundles(const struct store *store, const char *const *rel_path, size_t n, catalog_failed_fn failed,
			void *payload, struct err *err) MMR_CHECKED;
struct catalog_totals {
	uint64_t bundles, failed, bundle_bytes, index_bytes;
	uint64_t built; /* index files that were written */
	uint64_t small; /* bundles that are too small for one: always read anew, into the catalog alone */
};
/* Build what is missing or stale (all: everything) and catalog.sqlite from scratch, into new files that replace the old
 * ones.  A bundle that cannot be read is counted in failed and warned about. */
int catalog_reindex(const struct store *store, bool all, struct catalog_totals *ret, const struct progress *progress,
		    struct err *err) MMR_CHECKED;
/* What that would build, by the indexes alone: no bundle is read, so failed stays 0.  Changes nothing. */
int catalog_reindex_look(const struct store *store, bool all, struct catalog_totals *ret,
			 const struct progress *progress, struct err *err) MMR_CHECKED;

/* ---- removing (catalog_forget.c): one at a time among all processes, as writing, by store_lock_indexes ---- */

/* The sidecar of a bundle that is gone, and work files of one.  Durable.  ERR_STORE, ERR_PERMISSION. */
int catalog_forget_side(const struct store *store, const char *rel_path, struct err *err) MMR_CHECKED;
/* Bundles that are gone, or that another file has replaced, out of every index: their sidecars, and their entries in
 * the catalog, overwritten; nothing of them stays in its free pages, and no name that no other listed bundle has.  A
 * damaged catalog is removed, with a warning.  Cost: one pass over the names of all listed bundles, when any of these
 * was listed.  Durable.  ERR_STORE (locked by others for seconds, too), ERR_PERMISSION.  Of a file that is still there
 * somebody may make an index meanwhile: give it once more when it is removed. */
int catalog_forget(const struct store *store, char *const *rel_path, size_t n, struct err *err) MMR_CHECKED;
/* The same of one of several that are removed one after the other, each by itself for good: in place of the pass over
 * all names the catalog has none any more, also after a crash, and searches ask the bundles for them.  When the last
 * one is gone: catalog_names_again, or catalog_reindex. */
int catalog_forget_next(const struct store *store, const char *rel_path, struct err *err) MMR_CHECKED;
/* Writes them from all listed bundles, when there are none; a catalog that is missing or damaged is left alone.
 * ERR_STORE, ERR_PERMISSION. */
int catalog_names_again(const struct store *store, struct err *err) MMR_CHECKED;

/* ---- of a bundle that is lost (catalog_lost.c) ---- */

enum catalog_lost {
	CATALOG_LOST_NONE,           /* no index knows of it */
	CATALOG_LOST_FILTER,         /* may be wrong about an id that was not in it, once in a hundred */
	CATALOG_LOST_KEYS,           /* as good as never wrong */
};
struct catalog_lost_ids { enum catalog_lost kind; uint64_t *key; size_t n; uint8_t *filter; uint32_t n_blocks; };
/* What the indexes still tell of the ids of posts and files in a bundle that cannot be read: its sidecar, when that is
 * of a bundle of so many bytes (0: of any), else catalog.sqlite; or what was saved of it before, when that tells more.
 * An index that is damaged tells nothing. */
void catalog_lost_find(void *ctx, const struct store *store, const char *rel_path, const char *rows_digest,
		       uint64_t file_bytes, struct catalog_lost_ids *ret);
/* May it have held that id?  CATALOG_LOST_NONE: never. */
bool catalog_lost_has(const struct catalog_lost_ids *l, const char *id, size_t len);
/* To ledger/lost-<12 digits>.jsonl (docs/formats.md), and back.  rows_digest: of the bundle, in hexadecimal.  Saved
 * durable.  ERR_STORE; of reading also ERR_NOT_FOUND, ERR_VERIFY. */
int catalog_lost_save(const struct store *store, const char *bundle, const char *rows_digest,
		      const struct catalog_lost_ids *l, struct err *err) MMR_CHECKED;
int catalog_lost_read(void *ctx, const struct store *store, const char *rows_digest, struct catalog_lost_ids *ret,
		      struct err *err) MMR_CHECKED;
/* Of a bundle that expired: its list goes.  One that is not there is no error.  Durable afterwards.  ERR_STORE,
 * ERR_PERMISSION. */
int catalog_lost_forget(const struct store *store, const char *rows_digest, struct err *err) MMR_CHECKED;
const char *catalog_lost_name(enum catalog_lost kind); /* "none" ... */

/* ---- words (catalog_words.c): exactly the tokens of the index ---- */

struct catalog_words;               /* freed with talloc_free; of one thread at a time */
/* ERR_INTERNAL: this SQLite has no FTS5. */
int catalog_words_new(void *ctx, struct catalog_words **ret, struct err *err) MMR_CHECKED;
/* token is folded (case, diacritics), not NUL-terminated and gone when fn returns; from..to are its bytes in text.  A
 * return other than 0 stops. */
typedef int (*catalog_token_fn)(void *payload, const char *token, size_t len, size_t from, size_t to);
void catalog_words_split(struct catalog_words *w, const char *text, size_t len, catalog_token_fn fn, void *payload);

/* ---- rows (catalog_row.c) ---- */

struct catalog_text { const char *s; size_t len; };
enum catalog_kind {
	CATALOG_OTHER,
	CATALOG_POST,
	CATALOG_FILE,
	CATALOG_REACTION,
	CATALOG_PRIORITY,
	CATALOG_ACK,
	CATALOG_THREAD
};
/* Slices live until the next decode and as long as the line; what a kind does not have is empty or 0. */
struct catalog_row {
	enum catalog_kind kind;
	struct catalog_text id, root, original, post, user, channel, message, type, props, file_ids, name, mime, emoji,
		priority;
	int64_t create_ms, update_ms, edit_ms, delete_ms, size_bytes;
	bool pinned;
	/* What is left of an erased row: of a post id, root, original, channel, and of a root create_ms; of other kinds
	 * (CATALOG_OTHER) nothing. */
	bool erased; struct catalog_text erased_case; int64_t erased_ms;
};
/* decodes the rows of one bundle; freed with talloc_free, does not need the reader any more */
struct catalog_rows;
/* Reads the bundle's own schema.  Errors as bundle_read_schema. */
int catalog_rows_new(void *ctx, struct bundle_reader *r, struct catalog_rows **ret, struct err *err) MMR_CHECKED;
/* One line without "\n"; *ret is written in any case.  A kind that is not in enum catalog_kind, or not in the schema,
 * is CATALOG_OTHER and no error.  ERR_VERIFY: the line is not one of its kind. */
int catalog_row_decode(struct catalog_rows *rows, const char *line, size_t len, struct catalog_row *ret,
		       struct err *err) MMR_CHECKED;
/* A row that begins a thread: a post with neither root nor original. */
bool catalog_row_is_root(const struct catalog_row *row);
/* Everything in a row that words are searched in: message and attachment texts of a post, name of a file; pieces
 * divided by "\n". */
void catalog_row_words(const struct catalog_row *row, struct buf *b);

/* ---- reading (catalog_open.c, catalog_side.c, catalog_find.c) ---- */

struct catalog_options {
	bool scan;       /* use no index at all */
	bool build;      /* build sidecars that are missing or stale, when the archive root can be written */
};

struct catalog_bundle {
	char *rel_path;
	uint64_t size_bytes;
	bool listed;                 /* catalog.sqlite knows exactly this file */
	int64_t listed_no; uint32_t listed_blocks;
	int64_t min_ms, max_ms;      /* of a listed one */
	bool opened;                 /* side was tried */
	/* NULL: no usable index, read everything; opened by a catalog_frames that needs it, and closed for others */
	struct catalog_side *side;
};

struct catalog {
	const struct store *store;
	struct catalog_options options;
	struct catalog_bundle *bundle; size_t n_bundles; /* by path */
	struct catalog_db *db;       /* catalog.sqlite, or NULL */
	struct catalog_bundle *recent[16]; /* whose side is open, the newest first */
	uint32_t without_index;      /* bundles that had to be read whole so far */
};

/* Lists the bundles of the folder, newest generations only, and reads what catalog.sqlite says of them; opens no
 * bundle.  A catalog that is missing or damaged is left alone: all bundles are unlisted then, and damage is warned
 * about.  store is borrowed as long as *ret lives, options are copied.  *ret's parent is ctx; closed with talloc_free.
 * ERR_STORE: the folder cannot be listed. */
int catalog_open(void *ctx, const struct store *store, const struct catalog_options *options, struct catalog **ret,
		 struct err *err) MMR_CHECKED;

struct catalog_query {
	const char *const *user; size_t n_users;       /* ids; none = any */
	const char *const *channel; size_t n_channels;
	int64_t from_ms, before_ms;                    /* posts created in from <= t < before */
	const char *match;                             /* FTS5 expression over quoted tokens, or NULL */
	bool with_files;                               /* only frames that hold file rows */
};
struct catalog_hits { uint32_t *frame; size_t n; bool all; /* no index: every frame, frame is NULL */ };
/* Frames of bundle i (indexes for bundle_frame_at, ascending) that may hold a match. */
int catalog_frames(struct catalog *c, size_t i, const struct catalog_query *q, void *ctx, struct catalog_hits *ret,
		   struct err *err) MMR_CHECKED;
/* Frames of bundle i that may hold the row with this id (post or file). */
int catalog_frames_of_id(struct catalog *c, size_t i, const char *id, void *ctx, struct catalog_hits *ret,
			 struct err *err) MMR_CHECKED;

/* A bundle that should be there and is not (catalog_absent.c): could it hold a row with this id, could it answer this
 * question?  By what indexes still know of it; true when in doubt.  file_bytes 0: not known.  Freed with ctx. */
struct catalog_absent;
struct catalog_absent *catalog_absent_new(void *ctx, struct catalog *c, const char *rel_path, const char *rows_digest,
					  uint64_t file_bytes);
bool catalog_absent_may_hold(struct catalog_absent *a, const char *id);
bool catalog_absent_may_answer(struct catalog_absent *a, const struct catalog_query *q);

struct catalog_name { const char *id, *name, *display, *extra /* team of a channel, "bot" of a user */;
	const char *members /* JSON array of account names of a group message; only out of a bundle, else "" */;
};
typedef int (*catalog_name_fn)(void *payload, const struct catalog_name *n, struct err *err);
/* Every name that some bundle holds, what = teams, channels, users; a renamed one comes several times. */
int catalog_names(struct catalog *c, const char *what, catalog_name_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* The same out of one open bundle. */
int catalog_bundle_names(struct bundle_reader *r, const char *what, catalog_name_fn fn, void *payload,
			 struct err *err) MMR_CHECKED;

/* Bundles that the catalog lists and that are not in the archive any more; 0 when there is no sound catalog. */
uint64_t catalog_gone(const struct catalog *c);
struct catalog_check { uint64_t bundles, missing, stale, unlisted, gone; };
/* Compares indexes with bundles: sidecars missing or stale, bundles that catalog.sqlite lacks (unlisted) or has too
 * many (gone).  Reads no rows; what is wrong is counted, not an error.  Errors as catalog_open. */
int catalog_verify(const struct store *store, struct catalog_check *ret, struct err *err) MMR_CHECKED;

#endif
