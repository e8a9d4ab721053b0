/*
 * catalog_internal.h - what the files of this room share.
 *
 * Writing: catalog_build.c reads a bundle once -> catalog_pack.c (ids, people, channels) and FTS5 -> sidecar;
 *          catalog_all.c copies the coarse half of a sidecar into catalog.sqlite; catalog_reindex.c makes that anew.
 * Removing: catalog_forget.c.  What is left of a lost bundle: catalog_lost.c, of one that is missing: catalog_absent.c.
 * Reading: catalog_open.c lists, catalog_side.c opens one sidecar, catalog_find.c narrows.
 */
#ifndef CATALOG_INTERNAL_H
#define CATALOG_INTERNAL_H

#include <mmretain/catalog.h>

#include <sqlite3.h>

#define SIDE_APPLICATION 0x6d6d7249    /* "mmrI" */
#define CATALOG_APPLICATION 0x6d6d7243 /* "mmrC" */
#define INDEX_VERSION 1
#define TAIL_BYTES (64u << 10)         /* holds mmretain.json and the seek table, so a digest of everything */
#define SMALL_BUNDLE_BYTES (4u << 20)  /* gets small pages */
#define WITHOUT_SIDE_BYTES                                                                                             \
	(128u << 10) /* a bundle of a few frames is read sooner than its index, which would be as large as itself */
#define IDS_PER_BLOCK 1024u
#define ID_BITS 40
#define FRAME_BITS 24
#define NAMES_MAX ((size_t)256 << 20)
#define FILTER_BLOCK 1024u             /* bytes */
#define FILTER_PROBES 7u

/* ---- SQLite (catalog_sql.c) ---- */
struct sq { sqlite3 *db; char *name; };          /* closed with talloc_free */
enum sq_mode { SQ_READ, SQ_READ_FIXED /* nobody writes it any more */, SQ_WRITE };
/* path NULL: in memory. */
int sq_open(void *ctx, const char *path, enum sq_mode mode, struct sq **ret, struct err *err) MMR_CHECKED;
int sq_exec(struct sq *s, const char *sql, struct err *err) MMR_CHECKED;
int sq_number(struct sq *s, const char *sql, int64_t *ret, struct err *err) MMR_CHECKED;
int sq_prepare(struct sq *s, const char *sql, sqlite3_stmt **ret, struct err *err) MMR_CHECKED;
int sq_fail(struct sq *s, struct err *err);
/* Not one of our indexes; marked: it says of what program it is.  ERR_VERIFY. */
int sq_foreign(const struct sq *s, bool marked, struct err *err);
/* 1: a row, 0: done, or a negative code. */
int sq_step(struct sq *s, sqlite3_stmt *q, struct err *err) MMR_CHECKED;
/* Runs to the end and makes it ready again. */
int sq_run(struct sq *s, sqlite3_stmt *q, struct err *err) MMR_CHECKED;
void sq_text(sqlite3_stmt *q, int at, const char *text);
void sq_finish(sqlite3_stmt **q);
#define auto_stmt __attribute__((cleanup(sq_finish)))
char *sq_path(void *ctx, const struct store *store, const char *rel);

/* ---- numbers (catalog_pack.c) ---- */
uint64_t id_key(const char *id, size_t len);      /* ID_BITS bits */
void put_varint(struct buf *b, uint64_t v);
bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret);
static inline uint64_t zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/* Outside of any real time: clamped, so that no sum overflows; times of rows and of questions alike. */
static inline int64_t clamp_ms(int64_t ms)
{
	const int64_t most = INT64_C(1) << 52;

	return ms > most ? most : ms < -most ? -most : ms;
}

/* Where one person wrote, or what one channel holds: frame by frame with the span of time, in minutes. */
struct spans { struct buf packed; uint32_t last; int64_t last_min; uint32_t frame; int64_t min_ms, max_ms; bool open;
	       int64_t all_min_ms, all_max_ms; };
void spans_init(struct spans *s, void *ctx);
void spans_add(struct spans *s, uint32_t frame, int64_t ms);
void spans_close(struct spans *s);
struct span { uint32_t frame; int64_t min_ms, max_ms; };
struct span_scan { const uint8_t *p, *end; uint32_t frame; int64_t min; bool bad; };
void span_scan_init(struct span_scan *s, const void *data, size_t len);
bool span_scan_next(struct span_scan *s, struct span *ret);

/* As many numbers as talloc gives room for at once. */
#define IDS_MOST ((((size_t)256 << 20) - 1) / sizeof(uint64_t))
/* The next size of an array of them, which is full; 0: there is none. */
size_t ids_room(size_t cap);
struct ids { uint64_t *key; size_t n, cap; bool overflow; }; /* id_key << FRAME_BITS | frame */
void ids_add(struct ids *l, void *ctx, struct catalog_text id, uint32_t frame);
void ids_sort(struct ids *l);
/* Packs entries from i on into b (cleared); returns the next i. *ret_first is the key that begins the block. */
size_t ids_block(const struct ids *l, size_t i, struct buf *b, uint64_t *ret_first);
struct id_scan { const uint8_t *p, *end; uint64_t key; uint32_t frame; bool started, bad; };
void id_scan_init(struct id_scan *s, uint64_t first, const void *data, size_t len);
bool id_scan_next(struct id_scan *s);

/* A filter over ids in blocks, so that one question is one page. */
uint32_t filter_blocks(uint64_t n_ids);
uint32_t filter_block_of(uint64_t key, uint32_t n_blocks);
void filter_set(uint8_t block[FILTER_BLOCK], uint64_t key);
bool filter_has(const uint8_t *block, uint64_t key);

/* ---- sidecars (catalog_side.c) ---- */
struct catalog_side { struct sq *sq; sqlite3_stmt *spans, *ids, *words; uint64_t bundle_bytes; };
/* mmr1-x.tar.zst -> mmr1-x.idx */
char *side_rel_path(void *ctx, const char *bundle_rel_path);
int bundle_tail(const struct store *store, const char *rel_path, uint64_t *ret_size, struct digest *ret,
		struct err *err) MMR_CHECKED;
/* ERR_NOT_FOUND: none; ERR_VERIFY: stale, damaged, another version. */
int side_open(void *ctx, const struct store *store, const char *bundle_rel_path, struct catalog_side **ret,
	      struct err *err) MMR_CHECKED;
/* catalog_build.c */
int side_build(const struct store *store, const char *bundle_rel_path, struct err *err) MMR_CHECKED;
/* The same in memory and without words, to be copied from: for a bundle that has none. */
int side_memory(void *ctx, const struct store *store, const char *rel_path, struct sq **ret,
		struct err *err) MMR_CHECKED;
bool side_wanted(const struct store *store, const char *bundle_rel_path);

/* The catalog's coarse answer (catalog_find.c): 1 perhaps, 0 certainly not. */
int listed_may(struct catalog *c, const struct catalog_bundle *b, const struct catalog_query *q);

/* ---- catalog.sqlite (catalog_all.c) ---- */
#define CATALOG_NAME "catalog.sqlite"
#define ANSWERS 64u                    /* asked for together */
enum answer { NOT_ASKED, MAY_HOLD, HOLDS_NOT };
struct catalog_db {
	struct sq *sq; sqlite3_stmt *filter, *member;
	/* may a bundle hold the id of this key?  Of each in the order of the list; NULL: no id was asked about yet */
	uint8_t *answer; uint64_t key;
};
int all_create(struct sq *s, struct err *err) MMR_CHECKED;
int all_check(struct sq *s, struct err *err) MMR_CHECKED; /* ERR_VERIFY: not one of ours */
/* Not between a removal and the next catalog_names_again (catalog_forget.c): then bundles are asked for their names. */
int all_has_names(struct sq *s, bool *ret, struct err *err) MMR_CHECKED;
/* What goes into the catalog of a bundle: its sidecar, or one in memory. */
int all_source(void *ctx, const struct store *store, const char *rel_path, struct sq **ret,
	       struct err *err) MMR_CHECKED;
/* One bundle inside the open transaction: all of it or nothing. */
int all_enter(struct sq *s, struct sq *side, const struct store *store, const char *rel_path,
	      struct err *err) MMR_CHECKED;
/* The entry of one bundle, but for its names; in the open transaction. */
int all_remove(struct sq *s, const char *rel_path, struct err *err) MMR_CHECKED;
/* The file and its journal, durably; with store_lock_indexes. */
int all_drop(const struct store *store, struct err *err) MMR_CHECKED;
/* What this catalog knows of the ids in a bundle that cannot be read, written down before that is taken out of it
 * (catalog_lost.c); not of one that expired.
 * known: what the ledger says, read once for all (zeroed at first, ctx to keep it in). */
struct ledger_archive;
struct lost_known { void *ctx; const struct ledger_archive *ledger; bool asked; };
int lost_keep(const struct store *store, struct sq *s, const char *rel_path, struct lost_known *known,
	      struct err *err) MMR_CHECKED;
/* What the sidecar, and what a catalog, says of the ids of a bundle that is not there or cannot be read.
 * ERR_NOT_FOUND, ERR_VERIFY. */
int lost_from_side(void *ctx, const struct store *store, const char *rel_path, uint64_t file_bytes,
		   struct catalog_lost_ids *ret, struct err *err) MMR_CHECKED;
int lost_from_list(void *ctx, struct sq *s, const char *rel_path, struct catalog_lost_ids *ret,
		   struct err *err) MMR_CHECKED;
/* The same of all bundles in catalog.sqlite that are not in the one just made. */
int lost_keep_left(const struct store *store, struct sq *anew, struct err *err) MMR_CHECKED;
/* Entries of a catalog just made whose bundles were removed while it was made (catalog_forget.c). */
int all_forget_vanished(struct sq *s, const struct store *store, struct err *err) MMR_CHECKED;

#endif
