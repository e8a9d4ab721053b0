/* bundle_tree.c - the Merkle tree of RFC 6962 section 2.1, grown leaf by leaf with one digest per level. */
#include "bundle_internal.h"

#include <string.h>

void tree_init(struct tree *t, struct hash *hash)
{
	t->n = 0;
	t->hash = hash;
}

static void tree_node(struct hash *h, const struct digest *left, const struct digest *right, struct digest *ret)
{
	uint8_t in[1 + 2 * DIGEST_BYTES] = {0x01};

	memcpy(in + 1, left->b, DIGEST_BYTES);
	memcpy(in + 1 + DIGEST_BYTES, right->b, DIGEST_BYTES);
	hash_bytes(h, in, sizeof(in), ret);
}

void tree_add(struct tree *t, const void *entry, size_t len)
{
	uint8_t in[1 + DIGEST_BYTES] = {0x00};
	struct digest d;

	if (len <= DIGEST_BYTES) { /* always, but for test vectors */
		memcpy(in + 1, entry, len);
		hash_bytes(t->hash, in, 1 + len, &d);
	} else {
		hash_update(t->hash, in, 1);
		hash_update(t->hash, entry, len);
		hash_final(t->hash, &d);
	}
	/* The bits of n say which full subtrees wait on the stack: adding a leaf is adding one with carry. */
	unsigned level = 0;
	for (uint64_t n = t->n; n & 1; n >>= 1, level++)
		tree_node(t->hash, &t->stack[level], &d, &d);
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
			tree_node(t->hash, &t->stack[level], &d, &d);
		else
			d = t->stack[level];
		any = true;
	}
	*ret = d;
}
