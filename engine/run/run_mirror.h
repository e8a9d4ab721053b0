/* run_mirror.h - what the files about the mirror share with those that delete, erase and expire. */
#ifndef RUN_MIRROR_H
#define RUN_MIRROR_H

#include <mmretain/ledger.h>
#include <mmretain/run.h>
#include <mmretain/store.h>
#include <mmretain/store_mirror.h>

struct run;
struct run_purge;

#define MIRROR_LEDGER "ledger/" LEDGER_FILE
#define MIRROR_ACCESS "ledger/access/" LEDGER_FILE

/* Behind a hint to fetch a copy that only the mirror has. */
#define MIRROR_NOT_SOUND " When that says that the copy is not sound, remove the object there."

/* A mirror that is NULL makes each of these do nothing, and return 0.  Errors as in store_mirror.h. */

/* ---- run_mirror.c: one thing ---- */

/* What is there of it (MIRROR_LEDGER, MIRROR_ACCESS) is the beginning of ours.  ERR_VERIFY. */
int mirror_begins(struct mirror *m, const struct store *s, const char *key, struct err *err) MMR_CHECKED;
/* The bundle is there, every byte as the ledger's digest says; ERR_VERIFY: something else is. */
int mirror_bundle(struct mirror *m, const struct store *s, const char *rel_path, const char *file_hex,
		  struct err *err) MMR_CHECKED;
/* 1: it has the bundle, with the ledger's digest; 0: it has none, or something else, which is no copy.  ERR_STORE: also
 * where there is no such bucket. */
int mirror_has_bundle(struct mirror *m, const struct ledger_published *p, struct err *err) MMR_CHECKED;
/* Files of ledger/ whose names begin so, but not the ledger itself, are there as they are here, and no others.  quick:
 * of those that are there in the same length, no sums are asked for. */
int mirror_side(struct mirror *m, const struct store *s, const char *begin, const struct ledger_archive *archive,
		bool quick, struct err *err) MMR_CHECKED;

/* An erasure: the newer file, its late rows and the line that says so are there; then the older one is gone. */
int mirror_replace(struct mirror *m, const struct store *s, const char *old_rel_path, const char *rel_path,
		   const char *file_hex, const char *rows_hex, struct err *err) MMR_CHECKED;
/* An expiry: every file that ever was the bundle, its late rows and a list of its ids are gone. */
int mirror_drop(struct mirror *m, const struct ledger_published *p, struct err *err) MMR_CHECKED;
/* After the last change of a call: what is to be said of it. */
void mirror_tell(const struct mirror *m);
/* The end of a command that wrote lines: the mirror has the ledger.  rc: how it ended; returned, or the mirror's error
 * when that was 0. */
int mirror_end(struct mirror *m, const struct store *s, int rc, struct err *err) MMR_CHECKED;

/* ---- run_mirror_list.c: what is there, what is named ---- */

/* Is there anything, or can that not be told?  Before something is removed there. */
bool mirror_is_here(const struct store *s, const char *path);

struct mirror_there { const char *key; uint64_t bytes; };
struct mirror_list { struct mirror_there *at; size_t n; void *ctx; };
/* The objects whose keys begin so, sorted; parent ctx.  A list that was not read to its end is an error. */
int mirror_list(void *ctx, struct mirror *m, const char *begin, struct mirror_list *ret, struct err *err) MMR_CHECKED;
const struct mirror_there *mirror_list_find(const struct mirror_list *l, const char *key); /* or NULL */

/* A path that the ledger names for a bundle; gone: it says that nothing is there any more. */
struct mirror_name { const char *path; const struct ledger_published *p; bool gone; };
struct mirror_names { struct mirror_name *at; size_t n; };
/* Of all bundles, also of those that expired and of files that an erasure replaced; sorted; a must live as long. */
void mirror_names(void *ctx, const struct ledger_archive *a, struct mirror_names *ret);
const struct mirror_name *mirror_names_find(const struct mirror_names *names, const char *path); /* or NULL */

/* ---- run_mirror_all.c: all of it ---- */

/* What the archive has and the mirror lacks is brought there; what the ledger says is gone, goes there too. */
int mirror_rest(struct mirror *m, const struct store *s, const struct progress *progress, struct err *err) MMR_CHECKED;

/* ---- run_mirror_night.c: in a night ---- */

/* Opens the mirror of the policy, and asks whether it is of this archive: before the first line. */
int run_mirror_begin(struct run *run, struct err *err) MMR_CHECKED;
/* Before the line `purging`: the bundle is in the mirror. */
int run_mirror_gate(struct run *run, const struct run_purge *p, struct err *err) MMR_CHECKED;
/* When all else is done, or time is up: what the mirror lacks.  rc: how the night ended; returned, or the mirror's
 * error when that was 0. */
int run_mirror_rest(struct run *run, int rc, struct err *err) MMR_CHECKED;
/* After the last line. */
int run_mirror_close(struct run *run, struct err *err) MMR_CHECKED;

#endif
