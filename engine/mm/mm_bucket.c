/*
 * mm_bucket.c - the server's attachments in an S3-compatible bucket, found and asked as the server finds and asks it.
 *
 * A store that does not answer is asked a few times by each request; three of them in a row, and nobody waits for it
 * any more.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <mmretain/mm_bucket.h>
#include <mmretain/store_mirror.h>

#include "mm_internal.h"

enum { FAILURES = 3, KEY_BYTES = 1024 /* of every store */ };

struct mm_bucket {
	struct mirror *m;
	size_t prefix_len;
	int32_t timeout_ms;
	pthread_mutex_t one;       /* a request at a time */
	unsigned failures;         /* in a row */
	bool has_any;              /* an object was seen: it is a bucket, and not an empty one */
};

static int bucket_destroy(struct mm_bucket *b)
{
	(void)pthread_mutex_destroy(&b->one);
	return 0;
}

/* The global address of AWS knows buckets of one region only; clients find the others by their name. */
static const char *endpoint_of(void *ctx, const struct mm_bucket_config *c)
{
	const char *host = c->endpoint && c->endpoint[0] ? c->endpoint : "s3.amazonaws.com";

	if (strcmp(host, "s3.amazonaws.com") == 0 && c->region && c->region[0])
		host = mem_printf(ctx, "s3.%s.amazonaws.com", c->region);
	return mem_printf(ctx, "%s://%s", c->tls ? "https" : "http", host);
}

/* Where the server's keys begin.  It joins its prefix and a path as paths are joined (Go's filepath.Join): no doubled
 * slashes, no dots, but a slash in front stays.
 * NULL: that leads out, and would become another bucket on the way. */
static char *prefix_of(void *ctx, const char *prefix)
{
	size_t root = prefix[0] == '/', n;
	char *ret = mem_array(ctx, char, strlen(prefix) + 2), *begin = ret + root, *end = begin;

	ret[0] = '/';
	for (const char *p = prefix; *p; p += n + (p[n] == '/')) {
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.'))
			continue;
		if (n != 2 || memcmp(p, "..", 2) != 0) {
			memcpy(end, p, n);
			end += n;
			*end++ = '/';
		} else if (end > begin) {
			for (end--; end > begin && end[-1] != '/';)
				end--;
		} else if (!root) {
			return NULL;
		}
	}
	*end = '\0';
	return ret;
}

static bool has_only(const char *name, const char *more)
{
	while (*name && ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
			 (*name >= '0' && *name <= '9') || strchr(more, *name)))
		name++;
	return !*name;
}

static bool is_plain_name(const struct mm_bucket_config *c)
{
	return has_only(c->bucket, "-._:") && strlen(c->bucket) >= 3 && !strstr(c->bucket, "..") &&
	       (!c->endpoint || has_only(c->endpoint, "-._:[]")) && (!c->region || has_only(c->region, "-_"));
}

static const char *problem_of(const struct mm_bucket_config *c, const char *prefix)
{
	if (!c->bucket || !c->bucket[0])
		return "FileSettings.AmazonS3Bucket names no bucket";
	if (c->sign_v2)
		return "the bucket wants signatures of version 2 (FileSettings.AmazonS3SignV2)";
	if (!c->keys.id[0] && !c->keys.secret[0])
		return "the server asks its bucket with the role of its host (IAM), and has no keys of its own";
	if (!c->keys.id[0] || !c->keys.secret[0])
		return "FileSettings has one of AmazonS3AccessKeyId and AmazonS3SecretAccessKey only";
	if (!is_plain_name(c))
		return "FileSettings.AmazonS3Bucket, AmazonS3Endpoint or AmazonS3Region is not a plain name";
	return prefix ? NULL : "FileSettings.AmazonS3PathPrefix leads out of the bucket";
}

void mm_bucket_begin(struct mm *mm)
{
	const struct mm_bucket_config *c = mm->config->bucket;
	struct mm_bucket *b = mem_new(mm, struct mm_bucket);
	const char *prefix = prefix_of(b, c->prefix ? c->prefix : ""), *problem = problem_of(c, prefix);
	struct err err = {.code = 0};
	struct mirror_options o = {
		.what = "bucket of attachments",
		.then = "Its attachments and their threads stay.",
		.nameless = true,
		.bucket = mem_printf(b, "s3://%s/%s", c->bucket ? c->bucket : "", prefix ? prefix : ""),
		.prefix = prefix,
		.endpoint = endpoint_of(b, c),
		.region = c->region && c->region[0] ? c->region : NULL,
		.keys = &c->keys,
		.timeout_ms = c->timeout_ms,
	};

	if (problem || mirror_open(b, &o, &b->m, &err) < 0) {
		mm->data_problem = mem_printf(mm, "attachments in a bucket: %s", problem ? problem : err.msg);
		talloc_free(b);
		return;
	}
	b->prefix_len = strlen(prefix);
	b->timeout_ms = c->timeout_ms;
	(void)pthread_mutex_init(&b->one, NULL); /* of default attributes: cannot fail on Linux */
	talloc_set_destructor(b, bucket_destroy);
	mm->config->data_path = mem_printf(mm->config, "%s at %s", o.bucket, o.endpoint);
	mm->bucket = b;
}

/* ---- asking ---- */

/* Names without "." and ".." between single slashes: what a client on the way might fold would be another object. */
static bool is_plain(const struct mm_bucket *b, const char *path)
{
	size_t n;

	if (b->prefix_len + strlen(path) > KEY_BYTES)
		return false;
	for (const char *p = path;; p += n + 1) {
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (!p[n])
			return true;
	}
}

static int refuse(struct err *err, const char *why, int sys_errno)
{
	err_set(err, ERR_STORE, "%s", why);
	err->sys_errno = sys_errno;
	return err->code;
}

/* May it be asked? */
static int begin(struct mm_bucket *b, const char *path, struct err *err)
{
	if (!is_plain(b, path))
		return refuse(err, "its path is no plain path", EINVAL);
	(void)pthread_mutex_lock(&b->one);
	if (b->failures < FAILURES)
		return 0;
	(void)pthread_mutex_unlock(&b->one);
	return refuse(err, "the bucket of the attachments failed again and again, and is not asked any more", EIO);
}

static int end(struct mm_bucket *b, int rc, struct err *err)
{
	bool ends = err_ends_work(rc), answered = rc == 0 || rc == -ERR_NOT_FOUND || rc == -ERR_VERIFY;

	/* A refusal comes at once, and perhaps of one object only, as of one in a cold class; others are of a work file
	 * here. */
	if (rc == -ERR_STORE && err->sys_errno && err->sys_errno != EIO)
		answered = true;
	if (answered)
		b->failures = 0;
	else if (!ends)
		b->failures++;
	(void)pthread_mutex_unlock(&b->one);
	if (rc == -ERR_NOT_FOUND)
		return refuse(err, "nothing lies there in the bucket", ENOENT);
	if (rc < 0 && !ends && !err->sys_errno)
		err->sys_errno = EIO;
	return rc;
}

static int on_object(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	(void)key;
	(void)bytes;
	(void)err;
	*(bool *)payload = true;
	return 1;
}

static int list(struct mm_bucket *b, bool *ret_any, struct err *err)
{
	int rc = mirror_each(b->m, "", on_object, ret_any, err);

	return rc < 0 ? rc : 0;
}

/* A bucket that is not there, and one that is not the server's, answer of each object as if that were gone: believed of
 * one that lists something. */
static int see(struct mm_bucket *b, const char *path, struct mirror_seen *ret, struct err *err)
{
	int64_t from = time_mono_ms();
	int rc = mirror_see(b->m, path, ret, err);

	b->has_any |= rc == 0;
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		return b->has_any ? 0 : list(b, &b->has_any, err);
	}
	/* It hung with all its tries: that is not waited for again, perhaps with a snapshot open. */
	if (rc < 0 && time_mono_ms() - from > 2 * (int64_t)b->timeout_ms)
		b->failures = FAILURES;
	return rc < 0 ? rc : 1;
}

int mm_bucket_see(struct mm *mm, const char *path, struct mm_bucket_seen *ret, struct err *err)
{
	struct mm_bucket *b = mm->bucket;
	struct mirror_seen seen;
	bool there, any;
	int rc = begin(b, path, err);

	if (rc < 0)
		return rc;
	rc = see(b, path, &seen, err);
	there = rc == 1;
	any = b->has_any;
	if ((rc = end(b, rc < 0 ? rc : 0, err)) < 0)
		return rc;
	if (!there)
		return any ? 0 : refuse(err, "the bucket lists nothing: is it the server's?", ENXIO);
	if (!seen.etag[0] || seen.modified_s <= 0)
		return refuse(err, "the bucket does not say which object lies there (ETag, Last-Modified)", ENODATA);
	*ret = (struct mm_bucket_seen){.bytes = (int64_t)seen.bytes, .mtime_ns = seen.modified_s * INT64_C(1000000000)};
	_Static_assert(sizeof ret->etag == sizeof seen.etag, "both hold one");
	memcpy(ret->etag, seen.etag, sizeof ret->etag);
	return 1;
}

int mm_bucket_open(struct mm *mm, const char *path, int *ret_fd, struct err *err)
{
	struct mirror_object got;
	auto_fd int fd = -1;
	int rc = file_temp(NULL, &fd, err);

	if (rc < 0 || (rc = begin(mm->bucket, path, err)) < 0 ||
	    (rc = end(mm->bucket, mirror_get(mm->bucket->m, path, fd, &got, err), err)) < 0)
		return rc;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int mm_bucket_remove(struct mm *mm, const char *path, struct err *err)
{
	int rc = begin(mm->bucket, path, err);

	return rc < 0 ? rc : end(mm->bucket, mirror_remove(mm->bucket->m, path, err), err);
}

bool mm_bucket_keeps_versions(const struct mm *mm)
{
	return mirror_keeps_versions(mm->bucket->m);
}

/* Compared by its content: the server gave no sum when it sent it. */
static int is_there(struct mm *mm, const char *path, const struct mirror_object *want, struct err *err)
{
	struct mirror_object there;
	int rc = mirror_get(mm->bucket->m, path, -1, &there, err);

	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (there.bytes != want->bytes || memcmp(&there.sum, &want->sum, sizeof want->sum) != 0)
		return err_set(err, ERR_VERIFY, "another file lies there in the bucket");
	return 1;
}

int mm_bucket_put(struct mm *mm, const char *path, int fd, uint64_t bytes, const struct digest *sum, bool act,
		  bool *ret_sent, struct err *err)
{
	const struct mirror_object want = {.bytes = bytes, .sum = *sum};
	int rc = begin(mm->bucket, path, err);

	if (rc < 0)
		return rc;
	rc = is_there(mm, path, &want, err);
	*ret_sent = rc == 0;
	if (rc == 0 && act)
		rc = mirror_put(mm->bucket->m, path, fd, &want, err);
	return end(mm->bucket, rc < 0 ? rc : 0, err);
}

int mm_bucket_is_empty(struct mm *mm, struct err *err)
{
	bool any = false;
	int rc = begin(mm->bucket, "any", err);

	if (rc < 0)
		return rc;
	rc = end(mm->bucket, list(mm->bucket, &any, err), err);
	return rc < 0 ? rc : !any;
}

void mm_bucket_until(struct mm *mm, int64_t deadline_boot_ms)
{
	if (mm->bucket)
		mirror_until(mm->bucket->m, deadline_boot_ms);
}
