/* bundle_damage_test.c - every byte of a bundle counts. */
#include "bundle_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct small { struct box box; char *rel, *bytes; size_t len; };

static void small_make(struct small *s)
{
	struct plan_of_bundle p = {.seq = 1, .threads = 4, .frame_bytes = 512, .blobs = true, .names = true, .seed = 2};
	struct box *b = &s->box;

	box_open(b);
	s->rel = mem_strdup(b->ctx, receipt_rel_path(box_publish(b, &p)));
	s->bytes = box_read(b, s->rel, &s->len);
}

/* The check without the cost of a file system. */
static int check_with(struct small *s, const char *bytes, size_t len, int workers, struct bundle_check *c,
		      struct err *err)
{
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(file_write_all(fd, bytes, len, "memory", err), 0);
	return check_file(fd, "memory", s->rel, workers, c, NULL, err);
}

static int check_bytes(struct small *s, const char *bytes, size_t len, struct bundle_check *c, struct err *err)
{
	return check_with(s, bytes, len, 1, c, err);
}

/* Every byte is flipped, in one of three ways in turn; with MMR_LONG in all three.  Spread over SHARDS tests. */
#define SHARDS 4

START_TEST(every_flipped_byte_is_detected)
{
	static const unsigned char flip[] = {0x01, 0x20, 0xff};
	struct bundle_check c = {0};
	struct small s;
	struct err err;

	small_make(&s);
	ck_assert_int_eq(check_bytes(&s, s.bytes, s.len, &c, &err), 0);
	for (size_t at = (size_t)_i; at < s.len; at += SHARDS) {
		for (size_t f = 0; f < ARRAY_LEN(flip); f++) {
			if (!getenv("MMR_LONG") && f != at / SHARDS % ARRAY_LEN(flip))
				continue;
			s.bytes[at] ^= (char)flip[f];
			int rc = check_bytes(&s, s.bytes, s.len, &c, &err);
			s.bytes[at] ^= (char)flip[f];
			ck_assert_msg(rc == -ERR_VERIFY, "byte %zu of %zu ^ %02x: %d %s", at, s.len, flip[f], rc,
				      rc ? err.msg : "");
			ck_assert_str_ne(c.damage, "");
		}
	}
	box_close(&s.box);
}
END_TEST

static struct bundle_reader *open_bytes(struct small *s)
{
	struct bundle_reader *r;
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	ck_assert_int_eq(file_write_all(fd, s->bytes, s->len, "memory", &s->box.err), 0);
	ck_assert_int_eq(bundle_open_fd(s->box.ctx, fd, "memory", &r, &s->box.err), 0);
	return r;
}

/* Rows come as if nobody had asked for what cannot be read. */
START_TEST(rows_go_on_after_a_damaged_attachment)
{
	struct bundle_reader *sound, *damaged;
	const char *want, *line;
	size_t want_len, len, k = 0, rows = 0;
	struct digest blob;
	struct small s;

	small_make(&s);
	sound = open_bytes(&s);
	while (strncmp(bundle_frame_at(sound, k)->member, "data/files/", 11) != 0)
		k++;
	ck_assert(hex_decode(strrchr(bundle_frame_at(sound, k)->member, '/') + 1, DIGEST_BYTES, blob.b));
	s.bytes[bundle_frame_at(sound, k)->offset + bundle_frame_at(sound, k)->clen / 2] ^= 0x20;
	damaged = open_bytes(&s);
	for (; bundle_read_row(sound, &want, &want_len, &s.box.err) == 1; rows++) {
		ck_assert_int_eq(bundle_read_blob(damaged, &blob, -1, &s.box.err), -ERR_VERIFY);
		ck_assert_int_eq(bundle_read_row(damaged, &line, &len, &s.box.err), 1);
		ck_assert_uint_eq(len, want_len);
		ck_assert_mem_eq(line, want, len);
	}
	ck_assert_uint_gt(rows, 3);
	ck_assert_int_eq(bundle_read_row(damaged, &line, &len, &s.box.err), 0);
	box_close(&s.box);
}
END_TEST

START_TEST(every_cut_is_detected)
{
	struct bundle_check c = {0};
	struct small s;
	struct err err;

	small_make(&s);
	for (size_t len = 0; len < s.len; len++)
		ck_assert_int_eq(check_bytes(&s, s.bytes, len, &c, &err), -ERR_VERIFY);
	/* And so is anything added. */
	char *more = talloc_zero_size(s.box.ctx, s.len + 1);
	memcpy(more, s.bytes, s.len);
	ck_assert_int_eq(check_bytes(&s, more, s.len + 1, &c, &err), -ERR_VERIFY);
	memcpy(more + 1, s.bytes, s.len);
	ck_assert_int_eq(check_bytes(&s, more, s.len + 1, &c, &err), -ERR_VERIFY);
	box_close(&s.box);
}
END_TEST

START_TEST(another_name_is_detected)
{
	struct bundle_check c = {0};
	struct small s;
	struct err err;

	small_make(&s);
	char *at = strstr(s.rel, "-000001-");
	at[6] = '2';
	ck_assert_int_eq(check_bytes(&s, s.bytes, s.len, &c, &err), -ERR_VERIFY);
	at[6] = '1';
	at[8] = at[8] == '0' ? '1' : '0';
	ck_assert_int_eq(check_bytes(&s, s.bytes, s.len, &c, &err), -ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(c.damage, "name"));
	box_close(&s.box);
}
END_TEST

/* Without its seek table a bundle can still be read, and verify says what is wrong. */
START_TEST(rows_survive_a_lost_seek_table)
{
	struct bundle_check c = {0};
	struct small s;
	struct err err;
	struct bundle_reader *r;
	const char *line;
	size_t len, rows = 0, frames;

	small_make(&s);
	memset(s.bytes + s.len - 9, 0, 9);
	int fd = memfd_create("bundle", MFD_CLOEXEC);
	ck_assert_int_eq(file_write_all(fd, s.bytes, s.len, "memory", &err), 0);
	ck_assert_int_eq(bundle_open_fd(s.box.ctx, fd, "memory", &r, &err), 0);
	frames = bundle_frames(r);
	while (bundle_read_row(r, &line, &len, &err) == 1)
		rows++;
	ck_assert_uint_gt(rows, 3);
	ck_assert_uint_gt(frames, 3);
	ck_assert_int_eq(check_bytes(&s, s.bytes, s.len, &c, &err), -ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(c.damage, "seek table"));
	box_close(&s.box);
}
END_TEST

/* Random rubbish over a valid file must never crash the reader. */
START_TEST(rubbish_is_refused)
{
	struct rng rng = {(uint64_t)_i + 77};
	struct bundle_check c = {0};
	struct small s;
	struct err err;

	small_make(&s);
	char *copy = talloc_memdup(s.box.ctx, s.bytes, s.len);
	for (int n = 0; n < 300; n++) {
		memcpy(copy, s.bytes, s.len);
		/* The end is where the structure is. */
		size_t at = n % 2 ? s.len - 1 - rng_next(&rng) % 400 : rng_next(&rng) % s.len;
		for (uint32_t k = 1 + rng_next(&rng) % 16; k > 0; k--)
			copy[(at + k) % s.len] = (char)(rng_next(&rng) | 0x80);
		int rc = check_bytes(&s, copy, s.len, &c, &err);
		ck_assert_int_eq(rc, memcmp(copy, s.bytes, s.len) ? -ERR_VERIFY : 0);
	}
	box_close(&s.box);
}
END_TEST

/* Threads that read ahead change nothing: the same sums, and of two places of damage the first one in the file is told.
 */
START_TEST(workers_do_not_matter)
{
	struct rng rng = {99};
	struct small s;
	struct err err, err3;

	small_make(&s);
	char *copy = talloc_memdup(s.box.ctx, s.bytes, s.len);
	for (int n = 0; n < 400; n++) {
		struct bundle_check c = {0}, c3 = {0};
		memcpy(copy, s.bytes, s.len);
		for (int k = 0; k < n % 4; k++)
			copy[rng_next(&rng) % s.len] ^= 0x10;
		int rc = check_with(&s, copy, s.len, 0, &c, &err), rc3 = check_with(&s, copy, s.len, 3, &c3, &err3);
		ck_assert_int_eq(rc, rc3);
		ck_assert_mem_eq(&c, &c3, sizeof(c));
		ck_assert(rc == 0 || strcmp(err.msg, err3.msg) == 0);
	}
	box_close(&s.box);
}
END_TEST

TCase *damage_tests(void)
{
	TCase *t = tcase_create("damage");

	tcase_set_timeout(t, 600);
	tcase_set_tags(t, "damage"); /* an entry of its own in CMakeLists.txt */
	tcase_add_loop_test(t, every_flipped_byte_is_detected, 0, SHARDS);
	tcase_add_test(t, rows_go_on_after_a_damaged_attachment);
	tcase_add_test(t, every_cut_is_detected);
	tcase_add_test(t, another_name_is_detected);
	tcase_add_test(t, rows_survive_a_lost_seek_table);
	tcase_add_loop_test(t, rubbish_is_refused, 0, 4);
	tcase_add_test(t, workers_do_not_matter);
	return t;
}
