/*
 * mm_idmap.c - a hash from Mattermost ids to array indexes: open addressing.
 *
 * A slot holds half of the hash beside the index: most look-ups find nothing, and the records, which lie anywhere in
 * memory, are left alone.
 */
#include <string.h>

#include "mm_thread_internal.h"

static uint64_t mix(const char *id, size_t len)
{
	uint64_t word[4] = {0}, h = len;

	memcpy(word, id, len < sizeof word ? len : sizeof word);
	for (size_t i = 0; i < ARRAY_LEN(word); i++) {
		h = (h ^ word[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

void mm_idmap_init(struct mm_idmap *m, void *ctx, size_t stride)
{
	*m = (struct mm_idmap){.stride = stride, .mask = 1023, .ctx = ctx};
	m->slot = mem_array(ctx, uint64_t, m->mask + 1);
}

void mm_idmap_base(struct mm_idmap *m, const void *base)
{
	m->base = base;
}

static const char *id_at(const struct mm_idmap *m, uint32_t i)
{
	return m->base + (size_t)i * m->stride;
}

/* Never 0, which is a free slot. */
static uint64_t slot_of(uint64_t hash, uint32_t i)
{
	return (hash & ~(uint64_t)UINT32_MAX) | (i + 1);
}

uint32_t mm_idmap_find(const struct mm_idmap *m, const char *id, size_t len)
{
	uint64_t hash;

	if (len > MM_ID)
		return MM_NO_INDEX;
	hash = mix(id, len);
	for (size_t at = hash & m->mask; m->slot[at]; at = (at + 1) & m->mask) {
		uint32_t i = (uint32_t)m->slot[at] - 1;

		if ((m->slot[at] ^ hash) >> 32 == 0 && memcmp(id_at(m, i), id, len) == 0 && id_at(m, i)[len] == '\0')
			return i;
	}
	return MM_NO_INDEX;
}

static void put(struct mm_idmap *m, uint32_t i)
{
	const char *id = id_at(m, i);
	uint64_t hash = mix(id, strlen(id));
	size_t at = hash & m->mask;

	while (m->slot[at])
		at = (at + 1) & m->mask;
	m->slot[at] = slot_of(hash, i);
}

void mm_idmap_add(struct mm_idmap *m)
{
	if ((m->n + 1) * 2 > m->mask) {
		talloc_free(m->slot);
		m->mask = m->mask * 2 + 1;
		m->slot = mem_array(m->ctx, uint64_t, m->mask + 1);
		for (uint32_t i = 0; i < m->n; i++)
			put(m, i);
	}
	put(m, (uint32_t)m->n++);
}

void mm_idmap_clear(struct mm_idmap *m)
{
	memset(m->slot, 0, (m->mask + 1) * sizeof *m->slot);
	m->n = 0;
}
