/*
 * ledger_fuzz.c - any bytes are a ledger, or damage that is named; what the walk accepts, ends where it says.
 *
 * Input: the file's bytes.  A chain of hashes is not to be had by chance, so the same bytes are also put into records
 * that are sealed here, line by line: then the walk sees odd content under a right hash, and whoever folds the lines
 * gets it.
 */
#include "ledger_internal.h"

#include <fcntl.h>
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
	if (rc == 0 &&
	    (end.entries != seen.n || (size_t)end.bytes != seen.bytes || seen.bytes + end.tail_bytes != size))
		abort();
	if (rc != 0 && (rc != -ERR_VERIFY || err.msg[0] == '\0'))
		abort();
	close(fd);
	return rc;
}

/* ---- those who fold the lines ---- */

static char folder[] = "/tmp/mmr-ledger-fuzz-XXXXXX";

static void remove_folder(void)
{
	if (chdir(folder) == 0 && unlink(LEDGER_FILE) == 0 && rmdir(folder) == 0)
		return;
	fprintf(stderr, "%s stays\n", folder);
}

/* A folder with this ledger: readers take no open file. */
static int ledger_folder(const void *data, size_t size)
{
	static int dirfd = -1;
	struct err err;

	if (dirfd < 0 && (!mkdtemp(folder) || atexit(remove_folder) != 0 ||
			  (dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0))
		abort();
	int fd = openat(dirfd, LEDGER_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	/* Never emptied before: file systems write such a file to the disk when it is closed. */
	if (fd < 0 || file_pwrite_all(fd, data, size, 0, "ledger", &err) != 0 || ftruncate(fd, (off_t)size) != 0)
		abort();
	close(fd);
	return dirfd;
}

static void vouch_for(int dirfd, const char *rel_path)
{
	struct ledger_voucher v;
	struct err err = {0};

	if (!rel_path || !*rel_path)
		return;
	if (ledger_vouch(dirfd, rel_path, &v, &err) < 0 && (err.code != -ERR_VERIFY || err.msg[0] == '\0'))
		abort();
}

/* A sound ledger is folded, whatever its lines say; sorted where it is promised. */
static void fold(const void *data, size_t size)
{
	void *ctx = talloc_new(NULL);
	int dirfd = ledger_folder(data, size);
	struct ledger_archive *archive;
	struct ledger_state *st;
	struct err err;

	if (ledger_fold(ctx, dirfd, &st, &err) < 0 || ledger_archive(ctx, dirfd, &archive, &err) < 0)
		abort();
	for (size_t i = 1; i < st->n_held; i++)
		if (strcmp(st->held[i - 1], st->held[i]) >= 0)
			abort();
	for (size_t i = 0; i < archive->n && i < 4; i++)
		vouch_for(dirfd, archive->bundle[i].rel_path);
	for (size_t i = 0; i < st->n_erasing && i < 4; i++)
		vouch_for(dirfd, st->erasing[i].old_rel_path);
	talloc_free(ctx);
}

/* ---- sealed ---- */

/* The members of a record after its head and before its hash; of anything else all of it, after a type that nobody
 * knows. */
static void put_members(struct buf *all, const char *line, const char *end)
{
	static const char head[] = "{\"seq\":", type[] = "\"type\":";
	const char *from = end - line > (ptrdiff_t)sizeof(head) && memcmp(line, head, sizeof(head) - 1) == 0
				   ? memmem(line, (size_t)(end - line), type, sizeof(type) - 1)
				   : NULL;
	const char *to = from ? memmem(from, (size_t)(end - from), LEDGER_HASH_KEY, sizeof(LEDGER_HASH_KEY) - 1) : NULL;

	if (from)
		buf_put(all, from, (size_t)((to ? to : end) - from));
	else
		buf_printf(all, "%s\"x\",%.*s", type, (int)(end - line), line);
}

/* The time of a record, which the archive looks at; of anything else one that fits. */
static int time_of(const char *line, const char *end, const char **ret)
{
	static const char key[] = "\"at\":\"", usual[] = "2026-11-24T18:55:55Z";
	const char *at = memmem(line, (size_t)(end - line), key, sizeof(key) - 1),
		   *quote = at ? memchr(at + sizeof(key) - 1, '"', (size_t)(end - at) - (sizeof(key) - 1)) : NULL;

	*ret = quote ? at + sizeof(key) - 1 : usual;
	return quote ? (int)(quote - *ret) : (int)sizeof(usual) - 1;
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
	for (const char *p = data, *end = data + size, *nl, *at; p < end && seq < 64; p = nl + 1) {
		size_t from = all.len;
		int at_len;

		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			nl = end;
		at_len = time_of(p, nl, &at);
		buf_printf(&all, "{\"seq\":%u,\"at\":\"%.*s\",\"prev\":\"%s\",", ++seq, at_len, at, prev);
		put_members(&all, p, nl);
		hash_bytes(hash, all.data + from, all.len - from, &d);
		digest_hex(&d, prev);
		buf_printf(&all, "%s%s\"}\n", LEDGER_HASH_KEY, prev);
	}
	if (!all.overflow && walk(all.data, all.len) == 0) /* sound or not, it must say so */
		fold(all.data, all.len);
	talloc_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)walk(data, size);
	walk_sealed((const char *)data, size);
	return 0;
}
