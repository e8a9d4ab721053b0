/* bundle_test.c - the suite, and the trees of RFC 6962. */
#include "bundle_test.h"
#include "../support/suite.h"

#include <string.h>

/* Roots over the first n entries of the test vectors that the Certificate Transparency implementations share. */
static const struct { const char *entry; size_t len; const char *root; } tree_vector[] = {
	{"", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
	{"\x00", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
	{"\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
	{"\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
	{"\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
	{"\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
	{"\x50\x51\x52\x53\x54\x55\x56\x57", 8, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
	{"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
	 "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

START_TEST(tree_matches_rfc_6962)
{
	struct hash *h = hash_new(NULL);
	struct tree t;
	struct digest d;
	char hex[DIGEST_HEX + 1];

	tree_init(&t, h);
	tree_root(&t, &d);
	digest_hex(&d, hex);
	ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < ARRAY_LEN(tree_vector); i++) {
		tree_add(&t, tree_vector[i].entry, tree_vector[i].len);
		tree_root(&t, &d);
		digest_hex(&d, hex);
		ck_assert_str_eq(hex, tree_vector[i].root);
	}
	talloc_free(h);
}
END_TEST

/* The definition itself, split at the largest power of two, against the stack. */
static void tree_slow(struct hash *h, const uint32_t *entry, size_t n, struct digest *ret)
{
	uint8_t in[1 + 2 * DIGEST_BYTES] = {1};
	struct digest l, r;
	size_t k = 1;

	if (n == 1) {
		in[0] = 0;
		memcpy(in + 1, entry, 4);
		hash_bytes(h, in, 5, ret);
		return;
	}
	while (2 * k < n)
		k *= 2;
	tree_slow(h, entry, k, &l);
	tree_slow(h, entry + k, n - k, &r);
	memcpy(in + 1, l.b, DIGEST_BYTES);
	memcpy(in + 1 + DIGEST_BYTES, r.b, DIGEST_BYTES);
	hash_bytes(h, in, sizeof(in), ret);
}

START_TEST(tree_matches_its_definition)
{
	struct hash *h = hash_new(NULL);
	uint32_t entry[300];
	struct tree t;
	struct digest a, c;

	tree_init(&t, h);
	for (uint32_t n = 0; n < ARRAY_LEN(entry); n++) {
		entry[n] = n * 2654435761u;
		tree_add(&t, &entry[n], 4);
		tree_root(&t, &a);
		tree_slow(h, entry, n + 1, &c);
		ck_assert_mem_eq(&a, &c, sizeof(a));
	}
	talloc_free(h);
}
END_TEST

static const struct { const char *id, *label; int64_t expires; const char *want; } name_vector[] = {
	{"abc", "accelerator", 1800000000000, "mmr1-accelerator-202701-000007"},
	{"", "direct", 0, "mmr1-direct-never-000007"},
	{"abc", "direct", 0, "mmr1-abc-never-000007"},
	{"abc", "Über", 0, "mmr1-abc-never-000007"},
	{"abc", "../../etc", 0, "mmr1-abc-never-000007"},
	{"abc", "-x", 0, "mmr1-abc-never-000007"},
	{"abc", "", 0, "mmr1-abc-never-000007"},
	{"a/b", "x\ny", 0, "mmr1-team-c14cddc033f6-never-000007"},
};

START_TEST(names_are_plain)
{
	struct bundle_source s = test_source;
	void *ctx = talloc_new(NULL);

	s.team_id = name_vector[_i].id;
	s.team_label = name_vector[_i].label;
	s.expires_ms = name_vector[_i].expires;
	ck_assert_str_eq(bundle_identity(ctx, &s, 7), name_vector[_i].want);
	talloc_free(ctx);
}
END_TEST

static const uint64_t tar_sizes[] =
	{0, 1, 511, 512, 4194304, TAR_OCTAL_MAX, TAR_OCTAL_MAX + 1, UINT64_C(99999999999), RAW_TOTAL_MAX};

START_TEST(tar_headers_come_back)
{
	char block[TAR_HEADER_MAX], name[128];
	uint64_t size;
	size_t len = tar_header("mmr1-x", "data/files/aa/b", tar_sizes[_i], block);

	ck_assert_uint_eq(len, tar_sizes[_i] > TAR_OCTAL_MAX ? 3 * TAR_BLOCK : TAR_BLOCK);
	ck_assert(tar_parse(block, len, "mmr1-x", name, &size));
	ck_assert_str_eq(name, "data/files/aa/b");
	ck_assert_uint_eq(size, tar_sizes[_i]);
	ck_assert(!tar_parse(block, len, "mmr1-y", name, &size));
	for (size_t i = 0; i < len; i++) {
		block[i] ^= 1;
		/* A pax size has no checksum; another digit is another size, which the data then does not have. */
		if (tar_parse(block, len, "mmr1-x", name, &size))
			ck_assert_msg(size != tar_sizes[_i], "byte %zu of a header may change", i);
		block[i] ^= 1;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bundle");
	TCase *t = tcase_create("tree and names");

	mem_setup();
	tcase_add_test(t, tree_matches_rfc_6962);
	tcase_add_test(t, tree_matches_its_definition);
	tcase_add_loop_test(t, names_are_plain, 0, ARRAY_LEN(name_vector));
	tcase_add_loop_test(t, tar_headers_come_back, 0, ARRAY_LEN(tar_sizes));
	suite_add_tcase(s, t);
	suite_add_tcase(s, codec_tests());
	suite_add_tcase(s, write_tests());
	suite_add_tcase(s, publish_tests());
	suite_add_tcase(s, damage_tests());
	suite_add_tcase(s, golden_tests());
	suite_add_tcase(s, times_tests());
	suite_add_tcase(s, erase_tests());
	suite_add_tcase(s, group_tests());
	return suite_run(s);
}
