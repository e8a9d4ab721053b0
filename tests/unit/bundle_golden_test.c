/* bundle_golden_test.c - bundles of every format version must open for ever.
 * A new one is written by MMR_WRITE_GOLDEN=FOLDER, once, when a new format version begins; old ones stay. */
#include "bundle_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN_FOLDER TEST_SOURCE_DIR "/unit/golden"
static const struct plan_of_bundle golden_plan =
	{.seq = 42, .threads = 120, .frame_bytes = 4096, .blobs = true, .names = true, .seed = 1};
static const struct bundle_erase golden_erase = {.owner = "alarm ", .case_id = "DPO-2026-7", .at_ms = 1764370000000};
static const struct { const char *file, *rows, *bytes; uint32_t generation, erased, threads, blobs;
} golden[] = {
	/* Of an earlier version: frames have the times of all rows; three threads, of which two got a reaction later.
	 * The erased posts are the newest of each. */
	{"mmr1-accelerator-202701-000043-e9cba1cedf74.tar.zst",
	 "e9cba1cedf74eb4574863a9eb875f36b1032b5a9d79f8b4b62a8a2854d5c7a4f",
	 "3c48dd885acb4421633ba5355795fa85c769d632184cf571ed93fd129d230d95", 1, 0, 3, 0},
	{"mmr1-accelerator-202701-000043-e9cba1cedf74-e2.tar.zst",
	 "e9cba1cedf74eb4574863a9eb875f36b1032b5a9d79f8b4b62a8a2854d5c7a4f",
	 "6462904fe8b9a3b3ae82d31e2fabd1fa08f4776b1a28e119c2930ad3f175a4ad", 2, 3, 3, 0},
	{"mmr1-accelerator-202701-000042-b679effb00ff.tar.zst",
	 "b679effb00ff8e0ae519e2d669e35fc8193d49aa2ac2f539e5d3e5d0800207e1",
	 "4ebd5419799eb810dedb2aea93e844ec681d50644144b949a2c9fff62a1f9fee", 1, 0, 120, 3},
	{"mmr1-accelerator-202701-000042-b679effb00ff-e2.tar.zst",
	 "b679effb00ff8e0ae519e2d669e35fc8193d49aa2ac2f539e5d3e5d0800207e1",
	 "3e1a27a2d65f19d7f2f615c853e46f52f918f3c49f1a0379c685c94d1e0b4e18", 2, 4, 120, 3},
};

static const struct receipt *golden_erased(struct box *b, const struct receipt *old)
{
	struct bundle_check check;
	struct bundle_erasure *e;
	struct receipt *r;

	must(bundle_erase_scan(b->ctx, b->root, receipt_rel_path(old), &golden_erase, &e, &b->err));
	must(bundle_erase_write(e, b->partial, &check, &b->err));
	must(bundle_erase_publish(e, b->ctx, &r, &b->err));
	return r;
}

static void golden_write_one(struct box *b, const char *folder, const struct receipt *r)
{
	size_t len;
	char *bytes = box_read(b, receipt_rel_path(r), &len);
	int fd = open(mem_printf(b->ctx, "%s/%s", folder, receipt_bundle(r)), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		      0644);
	must(file_write_all(fd, bytes, len, "golden", &b->err));
	close(fd);
}

static void golden_write(const char *folder)
{
	struct box box, *b = &box;

	box_open(b);
	const struct receipt *r = box_publish(b, &golden_plan);
	golden_write_one(b, folder, r);
	golden_write_one(b, folder, golden_erased(b, r));
	box_close(b);
}

START_TEST(golden_opens)
{
	struct bundle_check c = {0};
	struct err err;
	char hex[DIGEST_HEX + 1];
	int dirfd = open(GOLDEN_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (getenv("MMR_WRITE_GOLDEN"))
		golden_write(getenv("MMR_WRITE_GOLDEN"));
	ck_assert_int_ge(dirfd, 0);
	int rc = bundle_verify(dirfd, golden[_i].file, &c, NULL, &err);
	ck_assert_msg(rc == 0, "%s", rc ? err.msg : "");
	ck_assert_uint_eq(c.threads, golden[_i].threads);
	ck_assert_uint_eq(c.blobs, golden[_i].blobs);
	ck_assert_uint_eq(c.generation, golden[_i].generation);
	ck_assert_uint_eq(c.erased, golden[_i].erased);
	digest_hex(&c.rows_digest, hex);
	ck_assert_str_eq(hex, golden[_i].rows);
	digest_hex(&c.file_digest, hex);
	ck_assert_str_eq(hex, golden[_i].bytes);
	close(dirfd);
}
END_TEST

/* The rows that went in years ago have the same digest today: encoder, salts and tree have not moved. */
START_TEST(golden_rows_are_still_the_same)
{
	struct box box, *b = &box;
	char hex[DIGEST_HEX + 1];

	box_open(b);
	const struct receipt *r = box_publish(b, &golden_plan);
	digest_hex(receipt_rows_digest(r), hex);
	ck_assert_str_eq(hex, golden[ARRAY_LEN(golden) - 1].rows);
	r = golden_erased(b, r);
	digest_hex(receipt_rows_digest(r), hex);
	ck_assert_str_eq(hex, golden[ARRAY_LEN(golden) - 1].rows);
	box_close(b);
}
END_TEST

TCase *golden_tests(void)
{
	TCase *t = tcase_create("golden");

	tcase_add_loop_test(t, golden_opens, 0, ARRAY_LEN(golden));
	tcase_add_test(t, golden_rows_are_still_the_same);
	return t;
}
