/*
 * ledger_walk.c - read the ledger from its start and check the chain.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ledger_internal.h"

#define READ_BYTES ((size_t)64 << 10)

struct walk {
	int fd;
	ledger_fn fn;
	void *payload;
	struct hash *hash;
	struct buf pending;   /* bytes read that are not a whole line yet */
	struct ledger_end end;
	bool stopped;         /* fn asked for it */
};

/* Does `text` stand at *at?  Then step over it. */
static bool skip(const char **at, const char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool is_json_object(const char *line, size_t len)
{
	struct json_scan scan;

	json_scan_init(&scan, line, len);
	while (json_scan_next(&scan))
		;
	return !scan.bad;
}

/* The first thing wrong with a line, or NULL.  ret_hash: its own hash. */
static const char *line_fault(struct walk *w, const char *line, size_t len, char ret_hash[DIGEST_HEX + 1])
{
	const char *at = line, *end = line + len, *quote;
	struct digest digest;
	char seq[40];

	snprintf(seq, sizeof(seq), "{\"seq\":%llu,\"at\":\"", (unsigned long long)(w->end.entries + 1));
	if (len <= LEDGER_SEAL || !skip(&at, end, seq))
		return "it is not the next record";
	quote = memchr(at, '"', (size_t)(end - at));
	if (!quote)
		return "it has no time";
	at = quote;
	if (!skip(&at, end, "\",\"prev\":\"") || !skip(&at, end, w->end.hash) || !skip(&at, end, "\",\"type\":\""))
		return "it does not follow the record before it";
	hash_bytes(w->hash, line, len - LEDGER_SEAL, &digest);
	digest_hex(&digest, ret_hash);
	at = end - LEDGER_SEAL;
	if (!skip(&at, end, LEDGER_HASH_KEY) || !skip(&at, end, ret_hash) || !skip(&at, end, "\"}"))
		return "its hash does not match its content";
	return is_json_object(line, len) ? NULL : "it is not a JSON object";
}

static int broken(struct walk *w, const char *what, struct err *err)
{
	err_set(err, ERR_VERIFY, "ledger line %llu is damaged: %s", (unsigned long long)(w->end.entries + 1), what);
	return err_hint(err, "Do not edit the file; compare it with a backup of the archive and find out who changed "
			     "it.");
}

static int take_line(struct walk *w, const char *line, size_t len, struct err *err)
{
	char hash[DIGEST_HEX + 1];
	const char *fault = line_fault(w, line, len, hash);
	int r = 0;

	if (fault)
		return broken(w, fault, err);
	w->end.entries++;
	w->end.bytes += (off_t)len + 1;
	memcpy(w->end.hash, hash, sizeof(hash));
	if (w->fn)
		r = w->fn(w->payload, w->end.entries, line, len, err);
	w->stopped = r > 0;
	return r < 0 ? r : 0;
}

/* Hand on every whole line of `pending` and keep the rest. */
static int take_lines(struct walk *w, struct err *err)
{
	const char *at = w->pending.data, *end = at + w->pending.len, *newline;

	while (!w->stopped && at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		int r = take_line(w, at, (size_t)(newline - at), err);

		if (r < 0)
			return r;
		at = newline + 1;
	}
	w->pending.len = (size_t)(end - at);
	if (w->pending.len && at != w->pending.data)
		memmove(w->pending.data, at, w->pending.len);
	return 0;
}

static int read_lines(struct walk *w, struct err *err)
{
	for (off_t at = 0; !w->stopped;) {
		ssize_t n;
		int r;

		if (!buf_reserve(&w->pending, READ_BYTES))
			return broken(w, "it is longer than any record", err);
		n = pread(w->fd, w->pending.data + w->pending.len, READ_BYTES, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_STORE, errno, "cannot read the ledger");
		if (n == 0)
			return 0;
		at += n;
		w->pending.len += (size_t)n;
		r = take_lines(w, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * What stands behind the last newline.  A torn write leaves a piece of a record, perhaps padded with zeros by the file
 * system. A whole record followed by anything but its newline is no torn write: somebody changed a byte.
 */
static int judge_tail(struct walk *w, struct err *err)
{
	const char *data = w->pending.data;
	size_t len = w->pending.len;
	char hash[DIGEST_HEX + 1];

	w->end.tail_bytes = len;
	while (len && data[len - 1] == '\0')
		len--;
	if (len && !line_fault(w, data, len, hash)) {
		w->end.tail_whole = true;
		w->end.tail_record_bytes = len;
	} else if (len > 1 && !line_fault(w, data, len - 1, hash)) {
		return broken(w, "another byte stands where its end of line was", err);
	}
	return 0;
}

int ledger_walk(int fd, ledger_fn fn, void *payload, struct ledger_end *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "ledger walk");
	struct walk w = {.fd = fd, .fn = fn, .payload = payload, .hash = hash_new(ctx)};
	int r;

	memset(w.end.hash, '0', DIGEST_HEX);
	buf_init(&w.pending, ctx, LEDGER_LINE_MAX + 2 * READ_BYTES);
	r = read_lines(&w, err);
	if (r == 0 && !w.stopped)
		r = judge_tail(&w, err);
	if (r < 0)
		return r;
	*ret = w.end;
	return 0;
}

/* ---- the end alone ---- */

#define END_BYTES ((size_t)64 << 10)

/* `{"seq":N,` at the beginning of a line, or 0. */
static uint64_t seq_of(const char *line, size_t len)
{
	const char *at = line, *end = line + len;
	uint64_t n = 0;

	if (!skip(&at, end, "{\"seq\":"))
		return 0;
	for (; at < end && *at >= '0' && *at <= '9' && n < UINT64_MAX / 100; at++)
		n = 10 * n + (uint64_t)(*at - '0');
	return at < end && *at == ',' ? n : 0;
}

/* The record before names its own hash; it stands in the last `"prev"` of ours, and line_fault compares. */
static bool prev_of(const char *line, size_t len, char ret[DIGEST_HEX + 1])
{
	static const char key[] = "\",\"prev\":\"";
	const char *at = memmem(line, len, key, sizeof(key) - 1);

	if (!at || (size_t)(line + len - at) < sizeof(key) - 1 + DIGEST_HEX)
		return false;
	memcpy(ret, at + sizeof(key) - 1, DIGEST_HEX);
	ret[DIGEST_HEX] = '\0';
	return true;
}

int ledger_last(int fd, struct ledger_end *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "ledger end");
	struct walk w = {.fd = fd, .hash = hash_new(ctx)};
	char *data = mem_array(ctx, char, END_BYTES), *line, hash[DIGEST_HEX + 1];
	off_t size = lseek(fd, 0, SEEK_END);

	if (size <= (off_t)END_BYTES)
		return 0; /* a walk costs no more */
	int r = file_pread_all(fd, data, END_BYTES, size - (off_t)END_BYTES, "ledger", err);
	if (r < 0)
		return r;
	line = data[END_BYTES - 1] == '\n' ? memrchr(data, '\n', END_BYTES - 1) : NULL;
	if (!line)
		return 0;
	size_t len = (size_t)(data + END_BYTES - 1 - ++line);
	uint64_t seq = seq_of(line, len);
	if (seq < 2 || !prev_of(line, len, w.end.hash))
		return 0;
	w.end.entries = seq - 1;
	if (line_fault(&w, line, len, hash))
		return 0;
	*ret = (struct ledger_end){.entries = seq, .bytes = size};
	memcpy(ret->hash, hash, sizeof(hash));
	return 1;
}
