/*
 * store_mirror.h - floor 1: the copy of the archive in an S3-compatible bucket.
 *
 * For: objects of the mirror: put and confirmed, looked at, fetched, removed and confirmed gone, listed.
 * Not for: what must be there, and when: run decides that.
 * Includes: base only.  libcurl is loaded when a mirror is opened.
 *
 * Keys are paths below the archive root; the policy's prefix comes before them.  Each call asks the store anew: nothing
 * is remembered.  A failure is tried again a few times, with pauses; a signal or the deadline ends it at once.  The
 * bucket of the server's attachments is asked in the same way (mm_bucket.c).  Errors of all calls, beside those named:
 * ERR_STORE (the store cannot be reached, refuses, or answers what it must not), ERR_INTERRUPTED, ERR_WORK_LEFT (the
 * deadline).  No message holds a key of the credentials.
 */
#ifndef MMRETAIN_STORE_MIRROR_H
#define MMRETAIN_STORE_MIRROR_H

#include <mmretain/base.h>

/* Most that one PUT takes, by every store's rules. */
#define MIRROR_OBJECT_MAX (UINT64_C(5) << 30)

#define MIRROR_KEY_MAX 256
struct s3_keys { char id[MIRROR_KEY_MAX], secret[MIRROR_KEY_MAX]; };

struct mirror_options {
	const char *what;                  /* what it is in messages; NULL: "mirror" */
	/* what a failure leaves, a sentence for hints, static; NULL: that of a mirror */
	const char *then;
	bool nameless;                     /* messages hold no keys: they have names in them that persons gave */
	const char *bucket;                /* s3://bucket/prefix */
	/* in the place of that, as it stands before each key; NULL: with a slash at its end */
	const char *prefix;
	const char *endpoint;              /* https://host[:port] */
	const char *region;                /* NULL: us-east-1 */
	const char *credentials;           /* file */
	const struct s3_keys *keys;        /* in its place; copied */
	const char *ca;                    /* file, or NULL: the system's */
	int32_t timeout_ms;                /* of a connection, and of one that hardly moves */
};

struct mirror;
/* Reads the credentials and loads libcurl; asks the store nothing.  Closed with talloc_free.  ERR_PERMISSION: others
 * may read or change the credentials, or they cannot be read; ERR_POLICY: they are not of the usual form; ERR_STORE:
 * libcurl is missing. */
int mirror_open(void *ctx, const struct mirror_options *options, struct mirror **ret, struct err *err) MMR_CHECKED;
/* From now on transfers end at that time of time_boot_ms with ERR_WORK_LEFT; 0: never. */
void mirror_until(struct mirror *m, int64_t deadline_boot_ms);
/* A change has left a version of what was there before: the bucket is versioned, and nothing that is removed is gone.
 */
bool mirror_keeps_versions(const struct mirror *m);

struct mirror_object { uint64_t bytes; struct digest sum; };
/* What is there by now: by the sum that the store itself gives, else by reading all of it.  ERR_NOT_FOUND. */
int mirror_look(struct mirror *m, const char *key, struct mirror_object *ret, struct err *err) MMR_CHECKED;

/* What the store says of it, without a sum: enough to see that it is the one that was seen before.  ERR_NOT_FOUND. */
#define MIRROR_ETAG 96
struct mirror_seen { uint64_t bytes; int64_t modified_s; char etag[MIRROR_ETAG]; };
int mirror_see(struct mirror *m, const char *key, struct mirror_seen *ret, struct err *err) MMR_CHECKED;

/* Puts what fd holds from its beginning, which is `want`, and asks again: 0 only when a second request says the same
 * length and sum.  What was there is replaced. */
int mirror_put(struct mirror *m, const char *key, int fd, const struct mirror_object *want,
	       struct err *err) MMR_CHECKED;
/* The same, never over anything else: nothing is sent when it is there already.  ERR_VERIFY: other bytes are there.
 * *ret_sent: it was not. */
int mirror_keep(struct mirror *m, const char *key, int fd, const struct mirror_object *want, bool *ret_sent,
		struct err *err) MMR_CHECKED;
/* Reads all of it into fd from its beginning on (-1: nowhere); *ret: what came.  ERR_NOT_FOUND. */
int mirror_get(struct mirror *m, const char *key, int fd, struct mirror_object *ret, struct err *err) MMR_CHECKED;
/* Removes it, and asks again: 0 only when a second request says that it is gone.  One that is not there is no error. */
int mirror_remove(struct mirror *m, const char *key, struct err *err) MMR_CHECKED;

/* Every object whose key begins so, in the store's order; a return other than 0 stops and is returned. */
typedef int (*mirror_fn)(void *payload, const char *key, uint64_t bytes, struct err *err);
int mirror_each(struct mirror *m, const char *begin, mirror_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* Writes, reads, lists and removes an object of a name that nobody else has. */
int mirror_probe(struct mirror *m, struct err *err) MMR_CHECKED;

#endif
