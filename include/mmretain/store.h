/*
 * store.h - floor 1: where bundles live.
 *
 * For: the archive root: create, open, lay out, list; its sentinel and secret.
 * Not for: what is inside a bundle or a ledger line.
 * Includes: base only.
 */
#ifndef MMRETAIN_STORE_H
#define MMRETAIN_STORE_H

#include <mmretain/base.h>

#define STORE_MARK "0=mmretain_archive_1" /* a folder without it is no archive */

struct store {
	char *path;               /* as in the policy */
	int root_dirfd;           /* the archive root */
	int partial_dirfd;        /* partial/ */
	int ledger_dirfd;         /* ledger/ */
	uint8_t salt_secret[32];  /* keys/salt-secret, 0600, random, made at init */
};

/* Makes the layout of the design section 5 (0=mmretain_archive_1, README.txt, FORMAT.md, bundles/, ledger/, partial/,
 * keys/) in an empty or missing folder.  ERR_STORE when the folder holds something else. */
int store_init(const char *path, struct err *err) MMR_CHECKED;
/* Opens an archive root; ERR_STORE with a hint when the sentinel is missing (not mounted?), ERR_PERMISSION when others
 * may read or write it; to be written, ERR_KEY when its secret is missing or damaged.  Closed with talloc_free. An
 * s3:// path is refused with a clear message. */
int store_open(void *ctx, const char *path, bool writable, struct store **ret, struct err *err) MMR_CHECKED;
/* FORMAT.md of the root becomes the one of this version, where it is another: files of a later form lie beside it from
 * now on.  Durable. */
int store_refresh_format(const struct store *s, struct err *err) MMR_CHECKED;
/* ERR_STORE when another folder, or none, is by now where the archive was opened: what is written still arrives in the
 * one that was opened, where nobody would look for it. */
int store_check_place(const struct store *s, struct err *err) MMR_CHECKED;
/* ERR_STORE when fewer bytes than that are free: a disk that runs full may serve others, too. */
int store_check_room(const struct store *s, uint64_t bytes, struct err *err) MMR_CHECKED;
/* Free bytes on the file system of the root; INT64_MAX where it does not tell. */
int store_free_bytes(const struct store *s, uint64_t *ret, struct err *err) MMR_CHECKED;
/* Is a regular file there, in folders of the archive itself and not behind a link?  Only such a one is read. */
bool store_has_file(const struct store *s, const char *rel_path);
/* Every published bundle below bundles/, sorted by path; fn as in db_row_fn.  What has a bundle's name and is not a
 * regular file comes too, with 0 bytes: opening it is ERR_VERIFY.  Of several generations of one (FORMAT.md 2) the
 * newest: that is the bundle, and the others are what an interrupted erasure left. */
typedef int (*store_bundle_fn)(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err);
int store_each_bundle(const struct store *s, store_bundle_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* Those others. */
int store_each_replaced(const struct store *s, store_bundle_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* Next free bundle number: one more than the highest found in bundles/. */
int store_next_seq(const struct store *s, uint32_t *ret, struct err *err) MMR_CHECKED;
/* The number in a bundle's file name; 0: none. */
uint32_t store_seq_of(const char *bundle);
/* Removes everything in partial/ (nothing in there is an archive). ret counts files. */
int store_clear_partial(const struct store *s, uint32_t *ret_removed, struct err *err) MMR_CHECKED;

/* The lock of whoever writes, replaces or removes an index (bundles' sidecars, catalog.sqlite), one at a time among all
 * processes: SQLite locks the file that it has open, and here files get new names while others have the old ones open.
 * Waits up to half a minute; close *ret_fd to give it back. ERR_STORE.  Whoever reads needs none. */
int store_lock_indexes(const struct store *s, int *ret_fd, struct err *err) MMR_CHECKED;

/* ---- removing for good (store_remove.c) ---- */

/* What a file was when it was read. */
struct store_seen { dev_t dev; ino_t ino; uint64_t size_bytes; int64_t mtime_ns; };
/* A regular file below the root, never through a link.  ERR_NOT_FOUND. */
int store_see(const struct store *s, const char *rel_path, struct store_seen *ret, struct err *err) MMR_CHECKED;
/* Removes a regular file below the root, never through a link, and syncs its folder; *ret_was: it was there.  seen:
 * ERR_VERIFY when it is another file by now; NULL: any.  A file that is not there is no error, and its folder is synced
 * all the same: a crash may have come before that. Durable afterwards: it is gone.  ERR_STORE, ERR_PERMISSION. */
int store_remove(const struct store *s, const char *rel_path, const struct store_seen *seen, bool *ret_was,
		 struct err *err) MMR_CHECKED;
/* Files of one folder whose names begin and end so; fn gets the path below the root, and may remove it.  A return other
 * than 0 stops. */
typedef int (*store_name_fn)(void *payload, const char *rel_path, struct err *err);
int store_each_named(const struct store *s, const char *folder, const char *begin, const char *end, store_name_fn fn,
		     void *payload, struct err *err) MMR_CHECKED;

#endif
