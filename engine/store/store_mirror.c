/*
 * store_mirror.c - objects of the mirror.
 *
 * The store's yes to a change is not believed: a second request must say that the bytes are there, or gone.  S3
 * promises that whoever reads after a write sees it (AWS since 2020, Ceph and MinIO always).
 */
#include "store_curl.h"
#include "store_s3.h"

#include <stdlib.h>
#include <string.h>

static int mirror_free(struct mirror *m)
{
	if (m->curl)
		curl_easy_cleanup(m->curl);
	explicit_bzero(&m->keys, sizeof m->keys);
	return 0;
}

/* s3://bucket/prefix: the policy has checked its letters. */
static void take_bucket(struct mirror *m, const char *url)
{
	const char *name = strncmp(url, "s3://", 5) == 0 ? url + 5 : url;
	size_t n = strcspn(name, "/"), len = strlen(name + n);

	m->bucket = mem_strndup(m, name, n);
	while (len && name[n + len - 1] == '/')
		len--;
	m->prefix = len > 1 ? mem_printf(m, "%.*s/", (int)len - 1, name + n + 1) : mem_strdup(m, "");
}

int mirror_open(void *ctx, const struct mirror_options *o, struct mirror **ret, struct err *err)
{
	struct mirror *m = mem_new(ctx, struct mirror);
	size_t n = strlen(o->endpoint);
	int rc;

	talloc_set_destructor(m, mirror_free);
	take_bucket(m, o->bucket);
	if (o->prefix) {
		talloc_free(m->prefix);
		m->prefix = mem_strdup(m, o->prefix);
	}
	m->nameless = o->nameless;
	m->name = mem_printf(m, "%s %s", o->what ? o->what : "mirror", o->bucket);
	m->then = o->then ? o->then : "Nothing of the bundle at hand was deleted.";
	m->endpoint = mem_strndup(m, o->endpoint, n && o->endpoint[n - 1] == '/' ? n - 1 : n);
	m->region = mem_strdup(m, o->region ? o->region : "us-east-1");
	m->ca = o->ca ? mem_strdup(m, o->ca) : NULL;
	m->timeout_ms = o->timeout_ms;
	if (o->keys)
		m->keys = *o->keys;
	rc = o->keys ? 0 : s3_keys_read(o->credentials, &m->keys, err);
	if (rc == 0 && (rc = libcurl_load(err)) == 0 && !(m->curl = curl_easy_init()))
		rc = err_set(err, ERR_STORE, "libcurl cannot begin");
	if (rc < 0) {
		talloc_free(m);
		return rc;
	}
	*ret = m;
	return 0;
}

void mirror_until(struct mirror *m, int64_t deadline_boot_ms)
{
	m->deadline_boot_ms = deadline_boot_ms;
}

bool mirror_keeps_versions(const struct mirror *m)
{
	return m->keeps_versions;
}

static int not_there(const struct mirror *m, const char *key, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "%s has no %s", m->name, s3_word(m, key));
}

static bool same(const struct mirror_object *a, const struct mirror_object *b)
{
	return a->bytes == b->bytes && memcmp(&a->sum, &b->sum, sizeof a->sum) == 0;
}

/* ---- looking ---- */

int mirror_get(struct mirror *m, const char *key, int fd, struct mirror_object *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "get");
	const struct s3_request q = {.method = "GET", .key = key, .take = true, .to_fd = fd};
	struct s3_answer a;
	int rc = s3_ask(ctx, m, &q, &a, err);

	if (rc < 0)
		return rc;
	if (a.status != 200)
		return not_there(m, key, err);
	*ret = (struct mirror_object){.bytes = a.bytes, .sum = a.taken};
	return 0;
}

static int head(void *ctx, struct mirror *m, const char *key, struct s3_answer *ret, struct err *err)
{
	const struct s3_request q = {.method = "HEAD", .key = key};
	int rc = s3_ask(ctx, m, &q, ret, err);

	return rc == 0 && ret->status == 404 ? not_there(m, key, err) : rc;
}

int mirror_look(struct mirror *m, const char *key, struct mirror_object *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "look");
	struct s3_answer a;
	int rc = head(ctx, m, key, &a, err);

	if (rc < 0)
		return rc;
	if (!a.summed)
		return mirror_get(m, key, -1, ret, err);
	*ret = (struct mirror_object){.bytes = a.bytes, .sum = a.sum};
	return 0;
}

int mirror_see(struct mirror *m, const char *key, struct mirror_seen *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "see");
	struct s3_answer a;
	int rc = head(ctx, m, key, &a, err);

	if (rc < 0)
		return rc;
	*ret = (struct mirror_seen){.bytes = a.bytes, .modified_s = a.modified_s};
	memcpy(ret->etag, a.etag, sizeof ret->etag);
	return 0;
}

/* ---- putting ---- */

static int put_once(struct mirror *m, const char *key, int fd, const struct mirror_object *want, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "put");
	const struct s3_request q = {.method = "PUT", .key = key, .from_fd = fd, .body = want};
	struct s3_answer a;

	return s3_ask(ctx, m, &q, &a, err);
}

/* 0: as wanted; 1: not, err says what is there instead. */
static int confirm(struct mirror *m, const char *key, const struct mirror_object *want, struct err *err)
{
	struct mirror_object there;
	int rc = mirror_look(m, key, &there, err);

	if (rc == -ERR_NOT_FOUND) {
		err_set(err, ERR_STORE, "%s: the store said that it took %s, and does not have it", m->name,
			s3_word(m, key));
		err_hint(err, "%s The next run sends it again.", m->then);
		return 1;
	}
	if (rc < 0 || same(&there, want))
		return rc;
	err_set(err, ERR_VERIFY, "%s: %s has other bytes than were sent", m->name, s3_word(m, key));
	err_hint(err, "Look at the store, and remove that object there. %s", m->then);
	return 1;
}

/* A crash before or after leaves an object that is as it was, whole or as wanted: whoever comes next asks first. */
int mirror_put(struct mirror *m, const char *key, int fd, const struct mirror_object *want, struct err *err)
{
	int rc;

	if (want->bytes > MIRROR_OBJECT_MAX) {
		err_set(err, ERR_STORE, "%s: %s has more than the 5 GiB that one request may bring", m->name,
			s3_word(m, key));
		return err_hint(err, "Its attachments make it so large: lower `bundle_size`, or take its threads out "
				     "of the rule. Nothing of it was deleted.");
	}
	for (unsigned n = 1;; n++) {
		if ((rc = put_once(m, key, fd, want, err)) < 0 || (rc = confirm(m, key, want, err)) <= 0)
			return rc;
		if (!s3_try_again(m, n, err))
			return err->code;
	}
}

int mirror_keep(struct mirror *m, const char *key, int fd, const struct mirror_object *want, bool *ret_sent,
		struct err *err)
{
	struct mirror_object there;
	int rc = mirror_look(m, key, &there, err);

	*ret_sent = false;
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		*ret_sent = true;
		return mirror_put(m, key, fd, want, err);
	}
	if (rc < 0 || same(&there, want))
		return rc;
	err_set(err, ERR_VERIFY, "%s: %s is there already, with other bytes", m->name, s3_word(m, key));
	return err_hint(err, "It was not written over. Is the prefix that of another archive, or was the object "
			     "changed? `mmretain verify --mirror` names all such. Nothing of the bundle at hand was "
			     "deleted.");
}

/* ---- removing ---- */

/* A crash before leaves it there, after it gone: whoever removes it again finds either. */
int mirror_remove(struct mirror *m, const char *key, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "remove");
	const struct s3_request drop = {.method = "DELETE", .key = key}, look = {.method = "HEAD", .key = key};
	struct s3_answer a;
	int rc;

	for (unsigned n = 1;; n++) {
		if ((rc = s3_ask(ctx, m, &drop, &a, err)) < 0 || (rc = s3_ask(ctx, m, &look, &a, err)) < 0 ||
		    a.status == 404)
			return rc;
		err_set(err, ERR_STORE, "%s: the store said that it removed %s, and still has it", m->name,
			s3_word(m, key));
		err_hint(err, "May the keys delete objects, and does no lock of the bucket forbid it? The next run "
			      "tries again.");
		if (!s3_try_again(m, n, err))
			return err->code;
	}
}

/* ---- listing ---- */

enum { STUCK_PAGES = 50 }; /* in a row without a key that is greater than all before */

struct page {
	struct mirror *m; mirror_fn fn; void *payload;
	char *last; bool goes_on;          /* the greatest key so far; this page had a greater one */
};

static int take_page(struct page *p, void *list, void *ctx, const char *text, struct err *err)
{
	struct buf object, field;
	size_t skip = strlen(p->m->prefix);
	int rc = 0;

	buf_init(&object, ctx, S3_TEXT_MAX);
	buf_init(&field, ctx, S3_TEXT_MAX);
	while (rc == 0 && s3_element(&text, "Contents", &object)) {
		const char *key_at = object.data, *size_at = object.data;
		uint64_t bytes = s3_element(&size_at, "Size", &field) ? strtoull(field.data, NULL, 10) : 0;

		if (!s3_element(&key_at, "Key", &field) || field.len <= skip + 1 ||
		    strncmp(field.data, p->m->prefix, skip) != 0)
			continue; /* the prefix itself, as a folder that some client made */
		if (!p->last || strcmp(field.data, p->last) > 0) {
			talloc_free(p->last);
			p->last = mem_strdup(list, field.data);
			p->goes_on = true;
		}
		rc = p->fn(p->payload, field.data + skip, bytes, err);
	}
	return rc;
}

/* *more: the encoded token of the next page, or "". */
static int next_page(struct page *p, void *list, void *ctx, const char *begin, struct buf *more, struct err *err)
{
	struct s3_request q = {.method = "GET"};
	struct s3_answer a;
	struct buf query, word;
	const char *at;
	int rc;

	buf_init(&query, ctx, 64 << 10);
	buf_init(&word, ctx, 16 << 10);
	if (more->len)
		buf_printf(&query, "continuation-token=%s&", more->data);
	buf_puts(&query, "list-type=2&prefix=");
	s3_put_encoded(&query, p->m->prefix, false);
	s3_put_encoded(&query, begin, false);
	buf_byte(&query, '\0');
	q.query = query.data;
	if ((rc = s3_ask(ctx, p->m, &q, &a, err)) < 0)
		return rc;
	at = a.text.data;
	if (a.text.overflow || !at || !strstr(at, "<ListBucketResult"))
		return err_set(err, ERR_STORE, "%s: the store's list is none", p->m->name);
	buf_clear(more);
	if (s3_element(&at, "NextContinuationToken", &word) && word.len > 1) {
		s3_put_encoded(more, word.data, false);
		buf_byte(more, '\0');
	} else if (strstr(a.text.data, "<IsTruncated>true<")) {
		return err_set(err, ERR_STORE, "%s: the store says that its list goes on, and not where", p->m->name);
	}
	return take_page(p, list, ctx, a.text.data, err);
}

int mirror_each(struct mirror *m, const char *begin, mirror_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "list");
	struct page p = {.m = m, .fn = fn, .payload = payload};
	unsigned stuck = 0;
	struct buf more;
	int rc;

	buf_init(&more, ctx, 64 << 10);
	do {
		auto_mem void *page = mem_context(ctx, "page");

		p.goes_on = false;
		rc = next_page(&p, ctx, page, begin, &more, err);
		stuck = p.goes_on ? 0 : stuck + 1;
	} while (rc == 0 && more.len && stuck < STUCK_PAGES);
	if (rc == 0 && more.len)
		return err_set(err, ERR_STORE, "%s: the store gives the same part of its list again and again",
			       m->name);
	return rc;
}

/* ---- trying it ---- */

static int is_it(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	(void)bytes;
	(void)err;
	return strcmp(key, payload) == 0;
}

static int probe(struct mirror *m, char *key, int fd, struct err *err)
{
	static const char text[] = "mmretain tries whether it may write here; this may be removed\n";
	auto_mem void *ctx = mem_context(NULL, "probe");
	struct mirror_object want = {.bytes = sizeof text - 1}, got;
	int rc;

	hash_bytes(hash_new(ctx), text, sizeof text - 1, &want.sum);
	if ((rc = file_write_all(fd, text, sizeof text - 1, key, err)) < 0 ||
	    (rc = mirror_put(m, key, fd, &want, err)) < 0 || (rc = mirror_get(m, key, -1, &got, err)) < 0)
		return rc;
	if (!same(&got, &want))
		return err_set(err, ERR_VERIFY, "%s: what was written comes back as something else", m->name);
	if ((rc = mirror_each(m, key, is_it, key, err)) < 0)
		return rc;
	if (rc == 0)
		return err_set(err, ERR_STORE, "%s: what was written is not in the list", m->name);
	return mirror_remove(m, key, err);
}

int mirror_probe(struct mirror *m, struct err *err)
{
	uint8_t raw[8];
	char key[32], hex[2 * sizeof raw + 1];
	auto_fd int fd = -1;
	int rc = random_bytes(raw, sizeof raw, err);

	if (rc < 0 || (rc = file_temp(NULL, &fd, err)) < 0)
		return rc;
	hex_encode(raw, sizeof raw, hex);
	snprintf(key, sizeof key, "probe-%s", hex);
	return probe(m, key, fd, err);
}
