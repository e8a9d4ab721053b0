/* bundle_tree.c - the Merkle tree of RFC 6962 section 2.1, grown leaf by leaf with one digest per level. */
#include "bundle_internal.h"

#include <string.h>

void tree_init(struct tree *t, struct hash *hash)
{
	t->n = 0;
	t->hash = hash;
}

/* Both messages are shorter than two blocks of SHA-256, so they are laid out here with their padding (FIPS 180-4,
 * 5.1.1). */
static void pad(uint8_t *message, size_t len, size_t total)
{
	message[len] = 0x80;
	message[total - 2] = (uint8_t)(len * 8 >> 8);
	message[total - 1] = (uint8_t)(len * 8);
}

static void tree_node(const struct digest *left, const struct digest *right, struct digest *ret)
{
	uint8_t in[128] = {0x01};

	memcpy(in + 1, left->b, DIGEST_BYTES);
	memcpy(in + 1 + DIGEST_BYTES, right->b, DIGEST_BYTES);
	pad(in, 1 + 2 * DIGEST_BYTES, sizeof(in));
	hash_blocks(in, 2, ret);
}

static void tree_leaf(struct hash *h, const void *entry, size_t len, struct digest *ret)
{
	uint8_t in[64] = {0x00};

	if (len == DIGEST_BYTES) { /* always, but for test vectors */
		memcpy(in + 1, entry, len);
		pad(in, 1 + len, sizeof(in));
		hash_blocks(in, 1, ret);
		return;
	}
	hash_update(h, in, 1);
	hash_update(h, entry, len);
	hash_final(h, ret);
}

void tree_add(struct tree *t, const void *entry, size_t len)
{
	struct digest d;

	tree_leaf(t->hash, entry, len, &d);
	/* The bits of n say which full subtrees wait on the stack: adding a leaf is adding one with carry. */
	unsigned level = 0;
	for (uint64_t n = t->n; n & 1; n >>= 1, level++)
		tree_node(&t->stack[level], &d, &d);
	t->stack[level] = d;
	t->n++;
}

void tree_root(const struct tree *t, struct digest *ret)
{
	bool any = false;
	struct digest d;

	if (t->n == 0) {
		hash_bytes(t->hash, "", 0, ret);
		return;
	}
	for (unsigned level = 0; level < 64; level++) {
		if (!(t->n >> level & 1))
			continue;
		if (any)
			tree_node(&t->stack[level], &d, &d);
		else
			d = t->stack[level];
		any = true;
	}
	*ret = d;
}
