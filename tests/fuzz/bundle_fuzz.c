/*
 * bundle_fuzz.c - any bytes are refused or read, never a crash; what verify accepts, the reader reads to the end.
 *
 * Input: the bytes of a file; best started from the golden bundles.  A second use of the same bytes: as one row line,
 * because a mutated frame nearly always fails its checksum before a row is seen.
 */
#include "bundle_internal.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memory_file(const uint8_t *data, size_t size)
{
	struct err err;
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	if (fd < 0 || file_write_all(fd, data, size, "memory", &err) != 0)
		abort();
	return fd;
}

static void fuzz_reader(const uint8_t *data, size_t size, bool sound)
{
	struct bundle_reader *r;
	struct err err = {0};
	const char *line;
	size_t len;
	void *ctx = talloc_new(NULL);
	int rc = bundle_open_fd(ctx, memory_file(data, size), "memory", &r, &err);

	while (rc == 0 && (rc = bundle_read_row(r, &line, &len, &err)) == 1)
		rc = 0;
	if (sound && rc != 0)
		abort();
	talloc_free(ctx);
}

static void fuzz_row(const char *line, size_t len)
{
	static const struct bundle_column column[] = {
		{"id", "text", BT_TEXT, ""}, {"createat", "bigint", BT_INT, "0"}, {"props", "jsonb", BT_JSON, "{}"},
		{"ispinned", "boolean", BT_BOOL, "f"}, {"score", "real", BT_REAL, NULL},
	};
	static const struct bundle_kind kind = {"post", "posts", column, ARRAY_LEN(column), -1};
	struct bundle_field field[ARRAY_LEN(column)], back[ARRAY_LEN(column)];
	struct buf store, again, store2;
	struct err err;
	void *ctx = talloc_new(NULL);

	buf_init(&store, ctx, len + 64);
	buf_init(&store2, ctx, 8 * len + 1024);
	buf_init(&again, ctx, 8 * len + 1024);
	if (bundle_decode_row(&kind, line, len, field, &store, &err) == 0) {
		bundle_encode(bundle_encoder_new(ctx, &kind, 1), 0, field, &again);
		if (bundle_decode_row(&kind, again.data, again.len, back, &store2, &err) != 0)
			abort();
		for (size_t i = 0; i < ARRAY_LEN(column); i++)
			if (field[i].null != back[i].null || (!field[i].null && field[i].len != back[i].len))
				abort();
	}
	talloc_free(ctx);
}

/* What is left of an erased row: slices lie inside the line, and a line that is one is still one when it is written
 * again. */
static void fuzz_erased(const char *line, size_t len)
{
	struct bundle_erased e;

	if (!bundle_erased_line(line, len, &e))
		return;
	const struct { const char *s; size_t len; } part[] = {
		{e.kind, e.kind_len}, {e.case_id, e.case_len}, {e.id, e.id_len}, {e.root, e.root_len},
		{e.original, e.original_len},
		{e.channel, e.channel_len},
	};
	for (size_t i = 0; i < ARRAY_LEN(part); i++)
		if (part[i].s && (part[i].s < line || part[i].s + part[i].len > line + len))
			abort();
	if (e.at_ms <= 0 || e.create_ms < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle_check check = {0};
	struct err err = {0};
	int rc = check_file(memory_file(data, size), "memory", NULL, 0, &check, NULL, &err);

	if (rc == -ERR_VERIFY && check.damage[0] == '\0')
		abort();
	fuzz_reader(data, size, rc == 0);
	fuzz_row((const char *)data, size);
	fuzz_erased((const char *)data, size);
	return 0;
}
