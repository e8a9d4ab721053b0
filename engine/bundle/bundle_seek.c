/* bundle_seek.c - where the frames lie: the seek table at the end of the file, or a walk from frame header to frame
 * header. */
#include "bundle_internal.h"

#include <string.h>
#include <zstd.h>

#define SKIPPABLE 0x184D2A5Eu
#define SKIPPABLE_MASK 0xFFFFFFF0u
#define SKIPPABLE_ANY 0x184D2A50u
#define ZSTD_MAGIC 0xFD2FB528u
#define SEEK_MAGIC 0x8F92EAB1u
#define FOOTER 9u

static uint32_t le32(const void *p)
{
	const unsigned char *b = p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put32(struct buf *b, uint32_t v)
{
	char out[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};

	buf_put(b, out, 4);
}

/* zstd's seekable format 0.1.0, without per-entry checksums (each frame has its own). */
void seek_table(struct buf *b, const struct frame_pos *pos, size_t n)
{
	put32(b, SKIPPABLE);
	put32(b, (uint32_t)(8 * n + FOOTER));
	for (size_t i = 0; i < n; i++) {
		put32(b, pos[i].clen);
		put32(b, pos[i].rlen);
	}
	put32(b, (uint32_t)n);
	buf_byte(b, 0);
	put32(b, SEEK_MAGIC);
}

static int seek_bad(struct bundle_reader *r, const char *what, struct err *err)
{
	return err_set(err, ERR_VERIFY, "\"%s\" is damaged: %s", r->name, what);
}

static int seek_add(struct bundle_reader *r, uint64_t *offset, uint32_t clen, uint32_t rlen, struct err *err)
{
	if (clen < 9 || rlen > FRAME_RAW_MAX || (uint64_t)rlen > (uint64_t)clen * RATIO_MAX || clen > r->size - *offset)
		return seek_bad(r, "a frame has an impossible size", err);
	if (r->n_pos % 1024 == 0)
		r->pos = mem_grow(r, r->pos, struct frame_pos, r->n_pos + 1024);
	r->pos[r->n_pos++] = (struct frame_pos){*offset, clen, rlen};
	*offset += clen;
	return 0;
}

static int seek_entries(struct bundle_reader *r, const char *table, uint32_t n, uint64_t table_at, struct err *err)
{
	uint64_t offset = 0;
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++)
		rc = seek_add(r, &offset, le32(table + 8 + 8 * (size_t)i), le32(table + 12 + 8 * (size_t)i), err);
	if (!rc && offset != table_at)
		rc = seek_bad(r, "the seek table does not fit the file", err);
	return rc;
}

int seek_load(struct bundle_reader *r, struct err *err)
{
	char foot[FOOTER];

	r->n_pos = 0;
	if (r->size < FOOTER + 8)
		return seek_bad(r, "it is too short", err);
	int rc = file_pread_all(r->fd, foot, FOOTER, (off_t)(r->size - FOOTER), r->name, err);
	if (rc)
		return rc;
	uint64_t n = le32(foot), table = 8 + 8 * n + FOOTER;
	if (le32(foot + 5) != SEEK_MAGIC || foot[4] != 0 || n < TAIL_FRAMES + 1 || n > FRAMES_MAX || table > r->size)
		return seek_bad(r, "its end is not a seek table (cut off?)", err);
	char *bytes = mem_array(r, char, table);
	rc = file_pread_all(r->fd, bytes, table, (off_t)(r->size - table), r->name, err);
	if (!rc && (le32(bytes) != SKIPPABLE || le32(bytes + 4) != 8 * n + FOOTER))
		rc = seek_bad(r, "its seek table has no header", err);
	if (!rc)
		rc = seek_entries(r, bytes, (uint32_t)n, r->size - table, err);
	talloc_free(bytes);
	return rc;
}

/* ---- without the table ---- */

/* Length of the frame header, or 0.  RFC 8878 3.1.1.1. */
static size_t frame_header(const unsigned char *p, uint64_t *ret_size)
{
	static const unsigned size_bytes[4] = {0, 2, 4, 8};
	unsigned fhd = p[4];
	unsigned n = size_bytes[fhd >> 6];
	size_t at = 5;

	if (fhd & 0x20) {
		if (n == 0)
			n = 1;
	} else {
		at++;
	}
	if ((fhd & 3) || (fhd & 8) || n == 0) /* a dictionary, the reserved bit, no size: not ours */
		return 0;
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[at + i] << (8 * i);
	*ret_size = n == 2 ? v + 256 : v;
	return at + n;
}

static int walk_frame(struct bundle_reader *r, uint64_t at, uint64_t *ret_clen, uint64_t *ret_rlen, struct err *err)
{
	unsigned char p[18] = {0};
	size_t have = r->size - at < sizeof(p) ? (size_t)(r->size - at) : sizeof(p);
	int rc = file_pread_all(r->fd, p, have, (off_t)at, r->name, err);

	if (rc)
		return rc;
	uint64_t next = at + frame_header(p, ret_rlen);
	if (have < 9 || le32(p) != ZSTD_MAGIC || next == at)
		return seek_bad(r, "a frame header is broken", err);
	for (bool last = false; !last;) {
		if (next + 3 > r->size || next - at > 2 * (uint64_t)FRAME_RAW_MAX)
			return seek_bad(r, "the last frame is cut off", err);
		rc = file_pread_all(r->fd, p + 5, 3, (off_t)next, r->name, err);
		if (rc)
			return rc;
		uint32_t block = (uint32_t)p[5] | (uint32_t)p[6] << 8 | (uint32_t)p[7] << 16;
		last = block & 1;
		next += 3 + ((block >> 1 & 3) == 1 ? 1 : block >> 3); /* an RLE block holds one byte */
	}
	*ret_clen = next + (p[4] & 4 ? 4 : 0) - at;
	return 0;
}

int seek_walk(struct bundle_reader *r, struct err *err)
{
	uint64_t at = 0, clen = 0, rlen = 0;
	char magic[4];
	int rc = 0;

	r->n_pos = 0;
	r->walked = true;
	while (!rc && at + 4 <= r->size) {
		rc = file_pread_all(r->fd, magic, 4, (off_t)at, r->name, err);
		if (rc || (le32(magic) & SKIPPABLE_MASK) == SKIPPABLE_ANY)
			break; /* what is left of the table */
		rc = walk_frame(r, at, &clen, &rlen, err);
		if (!rc && (clen > UINT32_MAX || rlen > FRAME_RAW_MAX || r->n_pos >= FRAMES_MAX))
			rc = seek_bad(r, "a frame is larger than any of ours", err);
		if (!rc)
			rc = seek_add(r, &at, (uint32_t)clen, (uint32_t)rlen, err);
	}
	if (!rc && r->n_pos < TAIL_FRAMES + 1)
		rc = seek_bad(r, "it has no frames", err);
	return rc;
}
