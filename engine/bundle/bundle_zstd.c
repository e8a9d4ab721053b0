/* bundle_zstd.c - independent zstd frames: content size and checksum in each, no dictionary, window of at most 8 MiB.
 */
#include "bundle_internal.h"

#include <string.h>
#include <zstd.h>

#define WINDOW_LOG_MAX 23 /* 8 MiB: what every decoder must accept, RFC 8878 3.1.1.1.2 */
#define BLOCK_MAX (128u << 10)

struct zc { ZSTD_CCtx *cctx; };
struct zd { ZSTD_DCtx *dctx; };

static int zc_free(struct zc *z)
{
	ZSTD_freeCCtx(z->cctx);
	return 0;
}

struct zc *zc_new(void *ctx)
{
	struct zc *z = mem_new(ctx, struct zc);

	z->cctx = mem_check(ZSTD_createCCtx());
	talloc_set_destructor(z, zc_free);
	return z;
}

size_t zc_bound(size_t len)
{
	return ZSTD_compressBound(len);
}

/* Runs in worker threads: touches nothing but z and dst. */
size_t zc_compress(struct zc *z, int level, void *dst, size_t cap, const void *src, size_t len)
{
	size_t n = ZSTD_CCtx_reset(z->cctx, ZSTD_reset_session_and_parameters);

	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(z->cctx, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(z->cctx, ZSTD_c_checksumFlag, 1);
	/* Only the levels above 19 would take more; the size of small inputs keeps the window smaller anyway. */
	if (!ZSTD_isError(n) && level > 19)
		n = ZSTD_CCtx_setParameter(z->cctx, ZSTD_c_windowLog, WINDOW_LOG_MAX);
	if (!ZSTD_isError(n))
		n = ZSTD_compress2(z->cctx, dst, cap, src, len);
	return ZSTD_isError(n) ? 0 : n;
}

static void put_le(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_byte(b, (char)(v >> (8 * i)));
}

/* RFC 8878 3.1.1: single segment, 8-byte content size, raw blocks, checksum.  The same content has one spelling only,
 * so a verifier can rebuild these frames and notice any changed bit.  The checksum is borrowed from a compressed
 * twin. */
void zc_stored_frame(struct zc *z, struct buf *b, const void *src, size_t len)
{
	size_t cap = zc_bound(len), done = 0;
	char *twin = mem_array(b->ctx, char, cap);
	size_t n = zc_compress(z, 1, twin, cap, src, len);

	put_le(b, 0xFD2FB528u, 4);
	buf_byte(b, (char)0xE4);
	put_le(b, len, 8);
	do {
		size_t part = len - done < BLOCK_MAX ? len - done : BLOCK_MAX;
		put_le(b, (uint64_t)part << 3 | (done + part == len), 3);
		buf_put(b, (const char *)src + done, part);
		done += part;
	} while (done < len);
	if (n >= 4)
		buf_put(b, twin + n - 4, 4);
	talloc_free(twin);
}

static int zd_free(struct zd *z)
{
	ZSTD_freeDCtx(z->dctx);
	return 0;
}

struct zd *zd_new(void *ctx)
{
	struct zd *z = mem_new(ctx, struct zd);

	z->dctx = mem_check(ZSTD_createDCtx());
	talloc_set_destructor(z, zd_free);
	return z;
}

const char *zd_frame(struct zd *z, const void *src, size_t clen, void *dst, size_t rlen)
{
	if (rlen > FRAME_RAW_MAX || (uint64_t)rlen > (uint64_t)clen * RATIO_MAX)
		return "a frame claims to be too large";
	if (ZSTD_getFrameContentSize(src, clen) != rlen)
		return "a frame has another size than the table says";
	if (ZSTD_findFrameCompressedSize(src, clen) != clen)
		return "a frame has another compressed size than the table says";
	/* The output is one block of memory of the stated size: a large window costs nothing here. */
	size_t n = ZSTD_decompressDCtx(z->dctx, dst, rlen, src, clen);
	if (ZSTD_isError(n))
		return ZSTD_getErrorName(n);
	return n == rlen ? NULL : "a frame is shorter than it says";
}
