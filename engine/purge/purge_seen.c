/*
 * purge_seen.c - a filter that knows every post of a bundle that was deleted, in four bytes each.
 *
 * Rows of posts that are gone are in every old database.  Without it the closing sweep would read all bundles again to
 * learn that none of these posts was theirs.
 */
#include "purge_internal.h"

#include <string.h>

/* With six bits a post set out of 32, one id in 40,000 seems to be known that is not. */
enum { BITS_A_POST = 32, BITS_SET = 6, BITS_A_WORD = 64, WORDS_LEAST = 64 };

struct purge_seen { uint64_t bits, *word; bool parts; };

struct purge_seen *purge_seen_new(void *ctx, uint64_t posts)
{
	struct purge_seen *s = mem_new(ctx, struct purge_seen);
	size_t words = (size_t)posts * BITS_A_POST / BITS_A_WORD + WORDS_LEAST;

	s->bits = words * BITS_A_WORD;
	s->word = mem_array(s, uint64_t, words);
	return s;
}

/* FNV-1a, and its bits mixed (the finalizer of splitmix64). */
uint64_t purge_seen_hash(const char *id)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 0x100000001b3u;
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

/* The nth of an id's bits; steps are odd, so that no id comes down to one bit. */
static uint64_t nth(const struct purge_seen *s, uint64_t hash, uint64_t n)
{
	return ((hash & UINT32_MAX) + n * (hash >> 32 | 1)) % s->bits;
}

void purge_seen_add(struct purge_seen *s, const char *id)
{
	uint64_t hash = purge_seen_hash(id);

	for (uint64_t i = 0; i < BITS_SET; i++) {
		uint64_t bit = nth(s, hash, i);

		s->word[bit / BITS_A_WORD] |= UINT64_C(1) << bit % BITS_A_WORD;
	}
}

bool purge_seen_may(const struct purge_seen *s, uint64_t hash)
{
	for (uint64_t i = 0; i < BITS_SET; i++) {
		uint64_t bit = nth(s, hash, i);

		if (!(s->word[bit / BITS_A_WORD] >> bit % BITS_A_WORD & 1))
			return false;
	}
	return true;
}

void purge_seen_set_parts(struct purge_seen *s)
{
	s->parts = true;
}

bool purge_seen_parts(const struct purge_seen *s)
{
	return s->parts;
}
