/*
 * store_s3.c - one request to the mirror: signed by libcurl (AWS signature 4), with its tries; what an answer means.
 *
 * Nothing of an answer but its status, its sum, its length and the name of an error is believed or shown: a store may
 * repeat what it was sent.
 */
#include "store_curl.h"
#include "store_s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, SLOW_BYTES_A_SECOND = 1024, SKEW_S = 300 };
static const int64_t pause_ms[] = {200, 600, 1800};

/* One try. */
struct attempt {
	struct mirror *m;
	const struct s3_request *q;
	struct s3_answer *to;
	struct hash *hash;
	uint64_t sent;
	long date_s;               /* the store's clock; 0: it did not say */
	bool versioned;
	struct err local;          /* of a file of ours */
	char why[CURL_ERROR_SIZE];
};

/* ---- ends ---- */

static bool is_over(const struct mirror *m)
{
	return stop_requested() || (m->deadline_boot_ms && time_boot_ms() >= m->deadline_boot_ms);
}

static int say_over(const struct mirror *m, struct err *err)
{
	if (stop_requested())
		return stop_check(err);
	return err_set(err, ERR_WORK_LEFT, "time budget used up while the %s was at work", m->name);
}

const char *s3_word(const struct mirror *m, const char *key)
{
	return m->nameless ? "an object" : key;
}

bool s3_try_again(struct mirror *m, unsigned n, struct err *err)
{
	if (n > ARRAY_LEN(pause_ms))
		return false;
	for (int64_t left = pause_ms[n - 1]; left > 0 && !is_over(m); left -= 50)
		time_sleep_ms(left < 50 ? left : 50);
	if (!is_over(m))
		return true;
	(void)say_over(m, err);
	return false;
}

/* ---- what libcurl asks for ---- */

static size_t give(char *to, size_t size, size_t n, void *payload)
{
	struct attempt *a = payload;
	uint64_t left = a->q->body->bytes - a->sent;
	size_t want = size * n < left ? size * n : (size_t)left;

	if (file_pread_all(a->q->from_fd, to, want, (off_t)a->sent, s3_word(a->m, a->q->key), &a->local) < 0)
		return CURL_READFUNC_ABORT;
	a->sent += want;
	return want;
}

static int rewind_to(void *payload, curl_off_t offset, int origin)
{
	struct attempt *a = payload;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	a->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t take(char *data, size_t size, size_t n, void *payload)
{
	struct attempt *a = payload;
	size_t len = size * n;
	long status = 0;

	(void)curl_easy_getinfo(a->m->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!a->q->take || status != 200) {
		buf_put(&a->to->text, data, len);
		return len;
	}
	if (a->q->to_fd >= 0 &&
	    file_pwrite_all(a->q->to_fd, data, len, (off_t)a->to->bytes, s3_word(a->m, a->q->key), &a->local) < 0)
		return 0;
	hash_update(a->hash, data, len);
	a->to->bytes += len;
	return len;
}

/* The value of a header, when it is that one. */
static bool header(const char *line, size_t len, const char *name, char *ret, size_t room)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0)
		return false;
	for (line += n, len -= n; len && (*line == ' ' || *line == '\t'); len--)
		line++;
	while (len && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
		len--;
	if (len >= room)
		return false;
	memcpy(ret, line, len);
	ret[len] = '\0';
	return true;
}

/* Printable ASCII: what else comes is no name of a content, and would not come out of a journal as it went in. */
static bool is_plain(const char *value)
{
	while (*value > ' ' && *value <= '~')
		value++;
	return !*value;
}

static size_t take_header(char *line, size_t size, size_t n, void *payload)
{
	struct attempt *a = payload;
	size_t len = size * n;
	char value[128];

	if (header(line, len, "x-amz-checksum-sha256:", value, sizeof value))
		a->to->summed = s3_sum_parse(value, &a->to->sum);
	else if (header(line, len, "x-amz-version-id:", value, sizeof value))
		a->versioned |= strcmp(value, "null") != 0;
	else if (header(line, len, "x-amz-delete-marker:", value, sizeof value))
		a->versioned |= strcasecmp(value, "true") == 0; /* versions are kept no more, and there are some */
	else if (header(line, len, "content-length:", value, sizeof value) && !a->q->take)
		a->to->bytes = strtoull(value, NULL, 10);
	else if (header(line, len, "etag:", value, sizeof a->to->etag) && is_plain(value))
		memcpy(a->to->etag, value, sizeof a->to->etag);
	else if (header(line, len, "last-modified:", value, sizeof value))
		a->to->modified_s = (int64_t)curl_getdate(value, NULL);
	else if (header(line, len, "date:", value, sizeof value))
		a->date_s = (long)curl_getdate(value, NULL);
	return len;
}

static int on_progress(void *payload, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return is_over(payload);
}

/* ---- one try ---- */

static struct curl_slist *headers_of(const struct s3_request *q, struct hash *hash)
{
	struct mirror_object nothing = {0};
	char hex[DIGEST_HEX + 1], sum[S3_SUM_TEXT], line[128];
	const struct mirror_object *o = q->body ? q->body : &nothing;
	struct curl_slist *list;

	hash_bytes(hash, "", 0, &nothing.sum);
	digest_hex(&o->sum, hex);
	s3_sum_text(&o->sum, sum);
	snprintf(line, sizeof line, "x-amz-content-sha256: %s", hex);
	list = mem_check(curl_slist_append(NULL, line));
	if (q->body) {
		snprintf(line, sizeof line, "x-amz-checksum-sha256: %s", sum);
		list = mem_check(curl_slist_append(list, line));
	} else if (strcmp(q->method, "HEAD") == 0) {
		list = mem_check(curl_slist_append(list, "x-amz-checksum-mode: ENABLED"));
	}
	return list;
}

static void put_url(struct buf *url, const struct mirror *m, const struct s3_request *q)
{
	buf_printf(url, "%s/%s/", m->endpoint, m->bucket);
	if (q->key) {
		s3_put_encoded(url, m->prefix, true);
		s3_put_encoded(url, q->key, true);
	}
	if (q->query)
		buf_printf(url, "?%s", q->query);
	buf_byte(url, '\0');
}

static void set_connection(const struct mirror *m, struct attempt *a)
{
	void *c = m->curl;

	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (m->ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, m->ca);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
			 m->timeout_ms < CONNECT_MS ? (long)m->timeout_ms : (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_A_SECOND);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)(m->timeout_ms + 999) / 1000);
	if (strncmp(m->endpoint, "http:", 5) == 0)
		/* of this machine only: no proxy of the environment is to see it */
		curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->why);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, m);
}

static void set_request(const struct mirror *m, const struct s3_request *q, struct attempt *a)
{
	void *c = m->curl;

	if (q->body) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body->bytes);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
		curl_easy_setopt(c, CURLOPT_READDATA, a);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_to);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, a);
	} else if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else {
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	}
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
}

/* A libcurl that cannot sign would send the secret itself. */
static CURLcode set_keys(const struct mirror *m)
{
	auto_mem char *sign = mem_printf(NULL, "aws:amz:%s:s3", m->region);
	CURLcode code = curl_easy_setopt(m->curl, CURLOPT_AWS_SIGV4, sign);

	if (code != CURLE_OK)
		return code;
	curl_easy_setopt(m->curl, CURLOPT_USERNAME, m->keys.id);
	curl_easy_setopt(m->curl, CURLOPT_PASSWORD, m->keys.secret);
	return CURLE_OK;
}

static CURLcode perform(struct attempt *a)
{
	auto_mem void *ctx = mem_context(NULL, "request");
	struct curl_slist *headers = headers_of(a->q, a->hash);
	struct buf url;
	CURLcode code;

	buf_init(&url, ctx, 8192);
	put_url(&url, a->m, a->q);
	curl_easy_reset(a->m->curl); /* the connection stays */
	curl_easy_setopt(a->m->curl, CURLOPT_URL, url.data);
	curl_easy_setopt(a->m->curl, CURLOPT_HTTPHEADER, headers);
	set_connection(a->m, a);
	set_request(a->m, a->q, a);
	if ((code = set_keys(a->m)) == CURLE_OK)
		code = curl_easy_perform(a->m->curl);
	(void)curl_easy_getinfo(a->m->curl, CURLINFO_RESPONSE_CODE, &a->to->status);
	curl_easy_reset(a->m->curl); /* it knows this function's memory */
	curl_slist_free_all(headers);
	return code;
}

/* ---- what it means ---- */

static void take_code(struct s3_answer *to)
{
	auto_mem void *ctx = mem_context(NULL, "code");
	const char *at = to->text.data ? to->text.data : "";
	struct buf b;
	size_t n = 0;

	buf_init(&b, ctx, sizeof to->code);
	if (!strstr(at, "<Error>") || !s3_element(&at, "Code", &b))
		return;
	for (const char *p = b.data; *p && n < sizeof to->code - 1; p++)
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))
			to->code[n++] = *p;
	to->code[n] = '\0';
}

static bool is_skewed(const struct attempt *a)
{
	int64_t here_s = time_now_ms() / 1000;

	if (strcmp(a->to->code, "RequestTimeTooSkewed") == 0)
		return true;
	return a->date_s > 0 && !time_is_overridden() && (a->date_s - here_s > SKEW_S || here_s - a->date_s > SKEW_S);
}

static int hint_status(const struct attempt *a, struct err *err)
{
	const char *then = a->m->then;
	long s = a->to->status;

	if (s == 403 && is_skewed(a))
		return err_hint(err,
				"The clock of the store and the clock here differ by more than five minutes: set both "
				"right (NTP). %s",
				then);
	if (s == 403 || s == 401)
		return err_hint(err,
				"Are the keys right, and may they list the bucket, and put, get and delete objects "
				"under the prefix? operating.md in share/doc/mmretain has the rights. %s",
				then);
	if (s == 404)
		return err_hint(err, "Is the bucket made, and its name right? %s", then);
	if (s == 301 || s == 307 || s == 400)
		return err_hint(err, "Is `region` that of the bucket, and `endpoint` that of the region? %s", then);
	return err_hint(err, "%s The next run tries again.", a->m->then);
}

static int say_status(const struct attempt *a, struct err *err)
{
	const struct s3_answer *to = a->to;

	err_set(err, ERR_STORE, "%s: %s %s: the store answers %ld%s%s", a->m->name, a->q->method,
		a->q->key ? s3_word(a->m, a->q->key) : "of the list", to->status, to->code[0] ? " " : "", to->code);
	err->sys_errno = to->status == 401 || to->status == 403 ? EACCES : EIO;
	return hint_status(a, err);
}

static int say_curl(const struct attempt *a, CURLcode code, struct err *err)
{
	bool trust = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
		     code == CURLE_SSL_ISSUER_ERROR;

	if (code == CURLE_ABORTED_BY_CALLBACK && is_over(a->m))
		return say_over(a->m, err);
	if (a->local.code < 0) {
		*err = a->local;
		return err_prefix(err, "%s", a->m->name);
	}
	err_set(err, ERR_STORE, "%s: %s %s: %s", a->m->name, a->q->method,
		a->q->key ? s3_word(a->m, a->q->key) : "of the list", a->why[0] ? a->why : curl_easy_strerror(code));
	if (trust)
		return err_hint(err,
				"The store's certificate is not to be trusted: name the authority that signed it in "
				"`ca`. %s",
				a->m->then);
	return err_hint(err, "%s The next run tries again.", a->m->then);
}

static bool is_passing(CURLcode code)
{
	return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
	       code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
	       code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE || code == CURLE_SSL_CONNECT_ERROR ||
	       code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_SEND_FAIL_REWIND || code == CURLE_HTTP2 ||
	       code == CURLE_HTTP2_STREAM;
}

/* May the same request succeed in a moment? */
static bool is_passing_status(const struct s3_answer *to)
{
	static const char *const codes[] = {"BadDigest",     "IncompleteBody",	 "RequestTimeout",	     "SlowDown",
					    "InternalError", "OperationAborted", "XAmzContentSHA256Mismatch"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(to->code, codes[i]) == 0)
			return true;
	return to->status == 408 || to->status == 429 || (to->status >= 500 && to->status != 501);
}

static bool is_good(const struct s3_request *q, const struct s3_answer *to)
{
	bool object = q->key && !q->body;

	if (to->code[0])
		return object && to->status == 404 && strcmp(to->code, "NoSuchBucket") != 0;
	if (q->take || strcmp(q->method, "HEAD") == 0)
		/* a part, or nothing, says neither that it is there nor that it is not */
		return to->status == 200 || to->status == 404;
	return (to->status >= 200 && to->status < 300) || (to->status == 404 && object);
}

static int try_once(void *ctx, struct mirror *m, const struct s3_request *q, struct s3_answer *to, bool *ret_again,
		    struct err *err)
{
	struct attempt a = {.m = m, .q = q, .to = to};
	CURLcode code;

	*to = (struct s3_answer){0};
	buf_init(&to->text, ctx, S3_TEXT_MAX);
	a.hash = hash_new(ctx);
	if (q->take && q->to_fd >= 0 && ftruncate(q->to_fd, 0) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot empty the copy of %s", s3_word(m, q->key));
	code = perform(&a);
	if (a.to->text.data) {
		buf_byte(&to->text, '\0');
		take_code(to);
	}
	hash_final(a.hash, &to->taken);
	m->keeps_versions |= a.versioned && strcmp(q->method, "HEAD") != 0;
	*ret_again = code == CURLE_OK ? is_passing_status(to) : is_passing(code) && a.local.code == 0;
	if (code != CURLE_OK)
		return say_curl(&a, code, err);
	return is_good(q, to) ? 0 : say_status(&a, err);
}

int s3_ask(void *ctx, struct mirror *m, const struct s3_request *q, struct s3_answer *ret, struct err *err)
{
	bool again;
	int rc;

	if (is_over(m))
		return say_over(m, err);
	for (unsigned n = 1;; n++) {
		rc = try_once(ctx, m, q, ret, &again, err);
		if (rc == 0 || !again)
			return rc;
		log_debug("%s; try %u", err->msg, n);
		if (!s3_try_again(m, n, err))
			return err->code;
	}
}
