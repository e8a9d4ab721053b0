/*
 * mm_idmap.c - a hash from Mattermost ids to array indexes: open addressing.
 *
 * A slot holds half of the hash beside the index, and two bits for each slot say which hashes there may be: most
 * look-ups find nothing, and neither the records nor the slots, which lie anywhere in memory, are touched for them.
 * The bits of 26,000 ids stay in the first cache of a processor.
 */
#include <string.h>

#include "mm_thread_internal.h"

static uint64_t word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return word;
}

/* An id has 26 characters: two of the words overlap.  What is shorter is padded. */
static uint64_t mix(const char *id, size_t len)
{
	enum { WORD = sizeof(uint64_t), WHOLE = 3 * WORD, MOST = 4 * WORD };
	char padded[MOST] = "";
	uint64_t h = len;

	if (len < WHOLE) {
		memcpy(padded, id, len);
		id = padded;
		len = MOST;
	}
	for (size_t at = 0; at < MOST; at += WORD) {
		h = (h ^ word_at(id + (at < WHOLE ? at : len - WORD))) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

enum { SIEVE_BITS = 2, WORD_BITS = 64 }; /* a slot; a word */

void mm_sieve_init(struct mm_sieve *s, void *ctx, size_t bits)
{
	*s = (struct mm_sieve){.word = mem_array(ctx, uint64_t, bits / WORD_BITS), .mask = bits / WORD_BITS - 1};
}

/* Of bits that the place of a slot does not come from. */
static uint64_t *word_of(const struct mm_sieve *s, uint64_t hash)
{
	return &s->word[hash >> 38 & s->mask];
}

static uint64_t bit_of(uint64_t hash)
{
	return (uint64_t)1 << (hash >> 32 & (WORD_BITS - 1));
}

void mm_sieve_add(struct mm_sieve *s, const char *id, size_t len)
{
	uint64_t hash = mix(id, len);

	*word_of(s, hash) |= bit_of(hash);
}

bool mm_sieve_may_have(const struct mm_sieve *s, const char *id, size_t len)
{
	uint64_t hash = mix(id, len);

	return *word_of(s, hash) & bit_of(hash);
}

static void allot(struct mm_idmap *m)
{
	m->slot = mem_array(m->ctx, uint64_t, m->mask + 1);
	mm_sieve_init(&m->sieve, m->slot, (m->mask + 1) * SIEVE_BITS);
}

void mm_idmap_init(struct mm_idmap *m, void *ctx, size_t stride)
{
	*m = (struct mm_idmap){.stride = stride, .mask = 1023, .ctx = ctx};
	allot(m);
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
	if (!(*word_of(&m->sieve, hash) & bit_of(hash)))
		return MM_NO_INDEX;
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
	*word_of(&m->sieve, hash) |= bit_of(hash);
}

void mm_idmap_add(struct mm_idmap *m)
{
	if ((m->n + 1) * 2 > m->mask) {
		talloc_free(m->slot);
		m->mask = m->mask * 2 + 1;
		allot(m);
		for (uint32_t i = 0; i < m->n; i++)
			put(m, i);
	}
	put(m, (uint32_t)m->n++);
}

void mm_idmap_clear(struct mm_idmap *m)
{
	memset(m->slot, 0, (m->mask + 1) * sizeof *m->slot);
	memset(m->sieve.word, 0, (m->sieve.mask + 1) * sizeof *m->sieve.word);
	m->n = 0;
}
