/*
 * plan_file_fuzz.c - any bytes are a plan of the policy below, or are refused with the reason; what is accepted can be
 * walked and written again to the same digest.
 *
 * Input: the file's bytes.  A last line with the right digest and sums is added when the input has none, so that the
 * fuzzer reaches what comes after the digest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char POLICY[] =
	"version: 1\ndatabase: {service: chat}\narchive: {store: /a}\nrules:\n"
	"  - {name: all, match: {}, keep: {for: 90d}, floor: 30d}\n"
	"  - {name: alarms, match: {channel: alarm}, keep: forever, limit: {per: channel, posts: 5}}\n";

static struct policy *policy(void)
{
	static struct policy *p;
	static struct policy_problems *problems; /* so that neither is a leak */
	struct err err;

	if (!p && policy_parse(NULL, "fuzz", POLICY, sizeof POLICY - 1, &p, &problems, &err) < 0)
		abort();
	return p;
}

static void read_plan(const char *text, size_t len)
{
	void *ctx = talloc_new(NULL);
	struct mm mm = {.data_dirfd = -1};
	struct plan *plan = NULL;
	struct digest again;
	struct err err = {0};
	char path[64];
	int fd = memfd_create("plan", MFD_CLOEXEC);

	/* A file that others may write is refused unread. */
	if (fd < 0 || fchmod(fd, 0600) != 0 || file_write_all(fd, text, len, "memory", &err) != 0)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (plan_read(ctx, path, policy(), &mm, &plan, &err) < 0) {
		if (err.msg[0] == '\0' || plan || err.code == -ERR_PERMISSION || err.code == -ERR_STORE)
			abort();
	} else if (plan_digest(plan, &again, &err) == 0 && memcmp(again.b, plan->digest.b, DIGEST_BYTES) != 0) {
		/* Another spelling of the same plan (blanks, order of keys) has another digest, and is still a plan. */
		if (spool_count(plan->due) != plan->due_threads)
			abort();
	}
	close(fd);
	talloc_free(ctx);
}

static uint64_t sum(const char *text, const char *end, const char *key)
{
	uint64_t total = 0;
	size_t n = strlen(key);

	for (const char *p = text; (p = memmem(p, (size_t)(end - p), key, n)); p += n)
		total += strtoull(p + n, NULL, 10);
	return total;
}

/* Header of this policy, the input's lines, and the end line that fits them if they are threads only. */
static void read_sealed(const char *lines, size_t len)
{
	void *ctx = talloc_new(NULL);
	char hex[DIGEST_HEX + 1];
	struct digest d;
	struct buf all;
	uint64_t threads = 0;
	const char *body, *end;

	buf_init(&all, ctx, len + 4096);
	digest_hex(&policy()->digest, hex);
	buf_printf(&all,
		   "{\"k\":\"plan\",\"version\":1,\"policy\":\"%s\",\"taken\":1,\"system\":\"\",\"database\":\"\","
		   "\"strays\":[0,0,0,0,0]}\n",
		   hex);
	buf_put(&all, lines, len);
	if (len && lines[len - 1] != '\n')
		buf_byte(&all, '\n');
	hash_bytes(hash_new(ctx), all.data, all.len, &d);
	digest_hex(&d, hex);
	body = memmem(all.data, all.len, "{\"k\":\"thread\"", 13);
	end = all.data + all.len;
	for (const char *p = body; p && (p = memmem(p, (size_t)(end - p), "\"k\":\"thread\"", 12)); p += 12)
		threads++;
	buf_printf(&all, "{\"k\":\"end\",\"threads\":%llu,\"posts\":%llu,\"bytes\":%llu,\"digest\":\"%s\"}\n",
		   (unsigned long long)threads, (unsigned long long)(body ? sum(body, end, "\"posts\":") : 0),
		   (unsigned long long)(body ? sum(body, end, "\"bytes\":") : 0), hex);
	if (!all.overflow)
		read_plan(all.data, all.len);
	talloc_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_plan((const char *)data, size);
	read_sealed((const char *)data, size);
	return 0;
}
