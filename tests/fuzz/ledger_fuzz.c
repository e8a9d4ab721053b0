/*
 * ledger_fuzz.c - any bytes are a ledger, or damage that is named; what the walk accepts, ends where it says.
 *
 * Input: the file's bytes.  A chain of hashes is not to be had by chance, so the same bytes are also put into records that are
 * sealed here, line by line: then the walk sees odd content under a right hash.
 */
#include "ledger_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen { uint64_t n; size_t bytes; };

static int on_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	struct seen *s = payload;

	(void)err;
	if (seq != ++s->n || len == 0 || line[0] != '{' || line[len - 1] != '}' || memchr(line, '\n', len))
		abort();
	s->bytes += len + 1;
	return 0;
}

static int walk(const void *data, size_t size)
{
	struct seen seen = {0};
	struct ledger_end end;
	struct err err = {0};
	int fd = memfd_create("ledger", MFD_CLOEXEC), rc;

	if (fd < 0 || file_write_all(fd, data, size, "memory", &err) != 0)
		abort();
	rc = ledger_walk(fd, on_line, &seen, &end, &err);
	if (rc == 0 && (end.entries != seen.n || (size_t)end.bytes != seen.bytes || seen.bytes + end.tail_bytes != size))
		abort();
	if (rc != 0 && (rc != -ERR_VERIFY || err.msg[0] == '\0'))
		abort();
	close(fd);
	return rc;
}

/* Each piece up to a newline becomes the members of a record with a right seal. */
static void walk_sealed(const char *data, size_t size)
{
	void *ctx = talloc_new(NULL);
	struct hash *hash = hash_new(ctx);
	char prev[DIGEST_HEX + 1];
	struct digest d;
	struct buf all;
	unsigned seq = 0;

	memset(prev, '0', DIGEST_HEX);
	prev[DIGEST_HEX] = '\0';
	buf_init(&all, ctx, 8 << 20);
	for (const char *p = data, *end = data + size, *nl; p < end && seq < 64; p = nl + 1) {
		size_t from = all.len;

		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			nl = end;
		buf_printf(&all, "{\"seq\":%u,\"at\":\"2026-11-24T18:55:55Z\",\"prev\":\"%s\",\"type\":\"x\",", ++seq, prev);
		buf_put(&all, p, (size_t)(nl - p));
		hash_bytes(hash, all.data + from, all.len - from, &d);
		digest_hex(&d, prev);
		buf_printf(&all, "%s%s\"}\n", LEDGER_HASH_KEY, prev);
	}
	if (!all.overflow)
		(void)walk(all.data, all.len); /* sound or not, it must say so */
	talloc_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)walk(data, size);
	walk_sealed((const char *)data, size);
	return 0;
}
