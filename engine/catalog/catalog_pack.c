/* catalog_pack.c - small numbers: varints, packed ids, spans of frames, the filter.  Pure. */
#include "catalog_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

/* Ids are random already, but not every row in a real database has an id that the server made. */
uint64_t id_key(const char *id, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)id[i]) * UINT64_C(0x100000001b3);
	return mix(h) >> (64 - ID_BITS);
}

void put_varint(struct buf *b, uint64_t v)
{
	char t[10];
	size_t n = 0;

	do {
		t[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	buf_put(b, t, n);
}

bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t c = *(*p)++;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* ---- spans ---- */

#define MINUTE_MS 60000

static int64_t minutes(int64_t ms)
{
	return ms >= 0 ? ms / MINUTE_MS : -((-(ms + 1)) / MINUTE_MS) - 1;
}

void spans_init(struct spans *s, void *ctx)
{
	*s = (struct spans){0};
	buf_init(&s->packed, ctx, (size_t)64 << 20);
}

void spans_close(struct spans *s)
{
	if (!s->open)
		return;
	int64_t from = minutes(s->min_ms), to = minutes(s->max_ms);
	put_varint(&s->packed, s->frame - s->last);
	put_varint(&s->packed, zigzag(from - s->last_min));
	put_varint(&s->packed, (uint64_t)(to - from));
	s->last = s->frame;
	s->last_min = from;
	s->open = false;
}

void spans_add(struct spans *s, uint32_t frame, int64_t ms)
{
	bool first = s->packed.len == 0 && !s->open;

	ms = clamp_ms(ms);
	if (s->open && s->frame != frame)
		spans_close(s);
	if (!s->open) {
		s->frame = frame;
		s->min_ms = s->max_ms = ms;
		s->open = true;
	}
	if (ms < s->min_ms)
		s->min_ms = ms;
	if (ms > s->max_ms)
		s->max_ms = ms;
	if (first || ms < s->all_min_ms)
		s->all_min_ms = ms;
	if (first || ms > s->all_max_ms)
		s->all_max_ms = ms;
}

/* SQLite gives no place for a value without bytes. */
static const uint8_t *end_of(const void *data, size_t len)
{
	return data ? (const uint8_t *)data + len : NULL;
}

void span_scan_init(struct span_scan *s, const void *data, size_t len)
{
	*s = (struct span_scan){.p = data, .end = end_of(data, len)};
}

bool span_scan_next(struct span_scan *s, struct span *ret)
{
	uint64_t frame, from, length;

	if (s->p >= s->end)
		return false;
	if (!get_varint(&s->p, s->end, &frame) || !get_varint(&s->p, s->end, &from) ||
	    !get_varint(&s->p, s->end, &length) || frame > UINT32_MAX - s->frame || length > UINT64_C(1) << 40 ||
	    from > UINT64_C(1) << 42) {
		s->bad = true;
		return false;
	}
	s->frame += (uint32_t)frame;
	s->min += unzigzag(from);
	if (s->min > INT64_C(1) << 40 || s->min < -(INT64_C(1) << 40)) {
		s->bad = true;
		return false;
	}
	*ret = (struct span){s->frame, s->min * MINUTE_MS, (s->min + (int64_t)length + 1) * MINUTE_MS - 1};
	return true;
}

/* ---- ids ---- */

size_t ids_room(size_t cap)
{
	size_t next = cap ? 2 * cap : 4096;

	return cap == IDS_MOST ? 0 : next < IDS_MOST ? next : IDS_MOST;
}

void ids_add(struct ids *l, void *ctx, struct catalog_text id, uint32_t frame)
{
	if (id.len == 0 || l->overflow)
		return;
	if (l->n == l->cap) {
		size_t cap = ids_room(l->cap);
		l->overflow = cap == 0;
		if (l->overflow)
			return;
		l->key = mem_grow(ctx, l->key, uint64_t, cap);
		l->cap = cap;
	}
	l->key[l->n++] = id_key(id.s, id.len) << FRAME_BITS | (frame & ((1u << FRAME_BITS) - 1));
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void ids_sort(struct ids *l)
{
	if (l->n > 0)
		qsort(l->key, l->n, sizeof(*l->key), by_number);
}

/* Equal keys never straddle blocks: a question is answered by one block. */
size_t ids_block(const struct ids *l, size_t i, struct buf *b, uint64_t *ret_first)
{
	const uint64_t frames = (UINT64_C(1) << FRAME_BITS) - 1;
	uint64_t last = l->key[i] >> FRAME_BITS;

	buf_clear(b);
	*ret_first = last;
	for (size_t n = 0; i < l->n; i++, n++) {
		uint64_t key = l->key[i] >> FRAME_BITS;
		if (n >= IDS_PER_BLOCK && key != last)
			break;
		put_varint(b, key - last);
		put_varint(b, l->key[i] & frames);
		last = key;
	}
	return i;
}

void id_scan_init(struct id_scan *s, uint64_t first, const void *data, size_t len)
{
	*s = (struct id_scan){.p = data, .end = end_of(data, len), .key = first};
}

bool id_scan_next(struct id_scan *s)
{
	uint64_t delta, frame;

	if (s->p >= s->end)
		return false;
	if (!get_varint(&s->p, s->end, &delta) || !get_varint(&s->p, s->end, &frame) || delta >> ID_BITS ||
	    frame >> FRAME_BITS) {
		s->bad = true;
		return false;
	}
	s->key += delta;
	s->frame = (uint32_t)frame;
	return true;
}

/* ---- filter ---- */

uint32_t filter_blocks(uint64_t n_ids)
{
	uint64_t bits = n_ids * 10, per_block = FILTER_BLOCK * 8u;

	return (uint32_t)((bits + per_block - 1) / per_block) + 1;
}

uint32_t filter_block_of(uint64_t key, uint32_t n_blocks)
{
	return (uint32_t)(mix(key ^ UINT64_C(0x9e3779b97f4a7c15)) % n_blocks);
}

static uint32_t filter_bit(uint64_t key, unsigned probe)
{
	uint64_t h = mix(key);

	return (uint32_t)(((h & 0xffffffff) + probe * (h >> 32 | 1)) % (FILTER_BLOCK * 8u));
}

void filter_set(uint8_t block[FILTER_BLOCK], uint64_t key)
{
	for (unsigned i = 0; i < FILTER_PROBES; i++) {
		uint32_t bit = filter_bit(key, i);
		block[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

bool filter_has(const uint8_t *block, uint64_t key)
{
	for (unsigned i = 0; i < FILTER_PROBES; i++) {
		uint32_t bit = filter_bit(key, i);
		if (!(block[bit / 8] & 1u << bit % 8))
			return false;
	}
	return true;
}
