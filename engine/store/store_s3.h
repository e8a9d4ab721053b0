/*
 * store_s3.h - what the files about the mirror share.
 *
 * store_mirror.c   objects: put and confirmed, looked at, removed and confirmed gone (store_mirror.h)
 * store_s3.c       one request, signed, with its tries; what an answer means
 * store_s3_text.c  digests, keys and answers as text
 * store_s3_keys.c  the file of credentials
 * store_curl.c     libcurl, loaded
 */
#ifndef STORE_S3_H
#define STORE_S3_H

#include <mmretain/store_mirror.h>

/* ---- text ---- */

#define S3_SUM_TEXT 45 /* base64 of a SHA-256, and its end */
void s3_sum_text(const struct digest *d, char ret[S3_SUM_TEXT]);
/* False: not the base64 of one SHA-256; a sum over the sums of parts ends with their number and is none. */
bool s3_sum_parse(const char *text, struct digest *ret);
/* As it stands in a path and in a signature: all but letters, digits, - . _ ~ and, where slash, / as %XX. */
void s3_put_encoded(struct buf *b, const char *text, bool slash);
/* The text of the next <name> at or after *at, its entities resolved, and *at moved behind it; false: none (b
 * untouched).  Answers of stores are flat enough for that. */
bool s3_element(const char **at, const char *name, struct buf *b);

/* ---- credentials ---- */

int s3_keys_read(const char *path, struct s3_keys *ret, struct err *err) MMR_CHECKED;
/* [default] of a file's text.  ERR_POLICY; the text is in no message. */
int s3_keys_parse(const char *text, struct s3_keys *ret, struct err *err) MMR_CHECKED;

/* ---- requests ---- */

struct mirror {
	char *bucket, *prefix;             /* prefix: "" or with a slash at its end */
	char *endpoint, *region, *ca;
	char *name;                        /* "mirror s3://bucket/prefix", for messages */
	const char *then;                  /* what a failure leaves, a sentence */
	bool nameless;                     /* messages hold no keys */
	int32_t timeout_ms;
	int64_t deadline_boot_ms;
	struct s3_keys keys;
	void *curl;
	bool keeps_versions;
};

#define S3_TEXT_MAX                                                                                                    \
	(4U << 20) /* of an answer that is kept as text: 1000 keys of 1024 bytes and what stands around them */

struct s3_request {
	const char *method, *key;          /* key NULL: the bucket */
	const char *query;                 /* encoded, in the order of its names; NULL: none */
	int from_fd; const struct mirror_object *body; /* PUT; body NULL: none */
	bool take; int to_fd;              /* GET: the content is hashed, and written to to_fd unless that is -1 */
};
struct s3_answer {
	long status;
	char code[64];                     /* of an error: "AccessDenied", or "" */
	bool summed; struct digest sum;    /* as the store says */
	char etag[MIRROR_ETAG]; int64_t modified_s; /* likewise; "" and 0: it does not */
	uint64_t bytes;                    /* length as the store says, of what was taken: as it came */
	struct digest taken;
	struct buf text;                   /* what came and was not taken */
};
/* Signed, sent, answered; tried again where that may help.  0: the answer is one of 2xx, or 404; else an error that
 * says what to do.  Parent ctx. */
int s3_ask(void *ctx, struct mirror *m, const struct s3_request *q, struct s3_answer *ret, struct err *err) MMR_CHECKED;
/* What to call an object in a message. */
const char *s3_word(const struct mirror *m, const char *key);
/* Rests before the n-th further try (from 1).  False: there is none.  Also ends when a stop or the deadline came: then
 * err says so. */
bool s3_try_again(struct mirror *m, unsigned n, struct err *err);

#endif
