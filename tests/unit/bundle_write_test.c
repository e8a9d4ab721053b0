/* bundle_write_test.c - rows, blobs and names go in and come out, by one thread or several. */
#include "bundle_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void compare_rows(struct box *b, struct bundle_reader *r, const struct plan_of_bundle *p)
{
	const struct bundle_encoder *e = bundle_encoder_new(b->ctx, test_kinds, TEST_KINDS);
	struct rng rng = {p->seed};
	struct bundle_field f[POST_COLUMNS];
	struct buf want;
	const char *line;
	size_t len;

	buf_init(&want, b->ctx, 1u << 20);
	for (int i = 0; i < p->threads; i++) {
		for (uint32_t n = 1 + rng_next(&rng) % 4; n > 0; n--) {
			size_t kind = n == 1 ? 0 : rng_next(&rng) % TEST_KINDS;
			void *tmp = talloc_new(b->ctx);
			random_row(tmp, &rng, &test_kinds[kind], f);
			buf_clear(&want);
			bundle_encode(e, kind, f, &want);
			talloc_free(tmp);
			ck_assert_int_eq(bundle_read_row(r, &line, &len, &b->err), 1);
			ck_assert_uint_eq(len, want.len);
			ck_assert_mem_eq(line, want.data, len);
		}
	}
	ck_assert_int_eq(bundle_read_row(r, &line, &len, &b->err), 0);
	ck_assert_int_eq(bundle_read_row(r, &line, &len, &b->err), 0);
}

static const struct plan_of_bundle shape[] = {
	{.seq = 1, .threads = 0},
	{.seq = 2, .threads = 1},
	{.seq = 3, .threads = 50, .blobs = true, .names = true, .seed = 3},
	{.seq = 4, .threads = 3000, .workers = 1, .blobs = true, .names = true, .seed = 4},
	{.seq = 5, .threads = 3000, .workers = 2, .frame_bytes = 512, .blobs = true, .names = true, .seed = 5},
	{.seq = 6, .threads = 20000, .workers = 3, .frame_bytes = 65536, .seed = 6},
	{.seq = 7, .threads = 20000, .seed = 7},
	{.seq = 8, .threads = 0, .blobs = true, .names = true},
};

START_TEST(what_goes_in_comes_out)
{
	struct box box, *b = &box;
	struct bundle_check c = {0};
	struct bundle_reader *r;

	box_open(b);
	struct receipt *receipt = box_publish(b, &shape[_i]);
	ck_assert_ptr_eq(strstr(receipt_rel_path(receipt), "bundles/2023/11/mmr1-accelerator-202701-"),
			 receipt_rel_path(receipt));
	ck_assert_uint_eq(receipt_threads(receipt), (uint64_t)shape[_i].threads);
	ck_assert_uint_eq(receipt_blobs(receipt), shape[_i].blobs ? 3 : 0);
	must(bundle_verify(b->root, receipt_rel_path(receipt), &c, NULL, &b->err));
	ck_assert_uint_eq(c.rows, receipt_rows(receipt));
	ck_assert_uint_eq(c.threads, receipt_threads(receipt));
	ck_assert_mem_eq(&c.rows_digest, receipt_rows_digest(receipt), sizeof(c.rows_digest));
	ck_assert_mem_eq(&c.file_digest, receipt_file_digest(receipt), sizeof(c.file_digest));
	must(bundle_open_receipt(b->ctx, receipt, &r, &b->err));
	compare_rows(b, r, &shape[_i]);
	bundle_rewind(r);
	compare_rows(b, r, &shape[_i]);
	box_close(b);
}
END_TEST

/* Workers and time change nothing. */
START_TEST(same_rows_give_the_same_bytes)
{
	struct plan_of_bundle p =
		{.seq = 9, .threads = 12000, .frame_bytes = 8192, .blobs = true, .names = true, .seed = 9};
	char *first = NULL;
	size_t first_len = 0;

	for (int workers = 0; workers < 4; workers++) {
		struct box box, *b = &box;
		size_t len;
		box_open(b);
		p.workers = workers;
		char *bytes = box_read(b, receipt_rel_path(box_publish(b, &p)), &len);
		if (first) {
			ck_assert_uint_eq(len, first_len);
			ck_assert(memcmp(first, bytes, len) == 0);
		} else {
			first = talloc_steal(NULL, bytes);
			first_len = len;
		}
		box_close(b);
	}
	talloc_free(first);
}
END_TEST

struct finisher { struct bundle_writer *w; pthread_t thread; struct err err; int rc; };

static void *finish_it(void *payload)
{
	struct finisher *f = payload;

	f->rc = bundle_finish(f->w, &f->err);
	return NULL;
}

/* Bundles of several sizes with one crew, each finished by a thread while the next one is written, some given up: the
 * bytes of each alone. */
START_TEST(a_crew_of_several_bundles_gives_the_same_bytes)
{
	static const int threads[] = {800, 1, 2400, 40, 0, 1300, 3200, 3};
	struct box box, alone, *b = &box;
	struct bundle_crew *crew;
	struct finisher f = {NULL};

	box_open(b);
	box_open(&alone);
	crew = bundle_crew_new(NULL, _i);
	for (size_t n = 0; n <= ARRAY_LEN(threads); n++) {
		struct bundle_writer *next = NULL;
		struct plan_of_bundle p = {.seq = 1 + (uint32_t)n,
					   .frame_bytes = 4096,
					   .names = n % 2,
					   .seed = 7 + (unsigned)n,
					   .crew = crew};
		if (n < ARRAY_LEN(threads)) {
			p.threads = threads[n];
			next = box_rows(b, &p);
		}
		if (f.w) {
			struct plan_of_bundle q = {.seq = (uint32_t)n,
						   .threads = threads[n - 1],
						   .frame_bytes = 4096,
						   .names = (n - 1) % 2,
						   .seed = 6 + (unsigned)n};
			struct receipt *r, *same = box_publish(&alone, &q);
			pthread_join(f.thread, NULL);
			b->err = f.err;
			must(f.rc);
			must(bundle_publish(f.w, b->ctx, b->root, 1700000000000, &r, &b->err));
			ck_assert_mem_eq(receipt_file_digest(r), receipt_file_digest(same), sizeof(struct digest));
			bundle_abort(f.w);
			f.w = NULL;
		}
		if (n % 3 == 2)
			bundle_abort(box_rows(b, &(struct plan_of_bundle){.seq = 100,
									  .threads = 500,
									  .frame_bytes = 4096,
									  .seed = 1,
									  .crew = crew}));
		if (next) {
			f.w = next;
			ck_assert_int_eq(pthread_create(&f.thread, NULL, finish_it, &f), 0);
		}
	}
	talloc_free(crew);
	box_close(&alone);
	box_close(b);
}
END_TEST

START_TEST(members_and_blobs_can_be_read_between_rows)
{
	struct box box, *b = &box;
	struct plan_of_bundle p =
		{.seq = 1, .threads = 2000, .frame_bytes = 4096, .blobs = true, .names = true, .seed = 1};
	struct bundle_reader *r;
	const char *line;
	char *text;
	size_t len, n = 0;
	struct digest d;

	box_open(b);
	struct receipt *receipt = box_publish(b, &p);
	must(bundle_open_receipt(b->ctx, receipt, &r, &b->err));
	for (uint64_t i = 0; i < receipt_rows(receipt); i++) {
		ck_assert_int_eq(bundle_read_row(r, &line, &len, &b->err), 1);
		if (i % 97)
			continue;
		must(bundle_read_member(r, b->ctx, "data/names/users.jsonl", 4096, &text, &len, &b->err));
		ck_assert_ptr_nonnull(strstr(text, "\"j.doe\""));
		must(bundle_read_frame(r, b->ctx, bundle_frames(r) - 1, &text, &len, &b->err));
	}
	ck_assert_int_eq(bundle_read_row(r, &line, &len, &b->err), 0);
	for (size_t i = 0; i < bundle_frames(r); i++)
		n += bundle_frame_at(r, i)->rows;
	ck_assert_uint_eq(n, receipt_rows(receipt));
	ck_assert_int_eq(bundle_read_member(r, b->ctx, "data/nothing", 9, &text, &len, &b->err), -ERR_NOT_FOUND);
	ck_assert_int_eq(bundle_read_member(r, b->ctx, "data/schema.json", 9, &text, &len, &b->err), -ERR_VERIFY);
	struct hash *h = hash_new(b->ctx);
	hash_bytes(h, "one blob\n", 9, &d);
	int fd = openat(b->root, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(bundle_read_blob(r, &d, fd, &b->err));
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 9);
	close(fd);
	hash_bytes(h, "", 0, &d);
	must(bundle_read_blob(r, &d, -1, &b->err));
	hash_bytes(h, "x", 1, &d);
	ck_assert_int_eq(bundle_read_blob(r, &d, -1, &b->err), -ERR_NOT_FOUND);
	box_close(b);
}
END_TEST

START_TEST(a_changed_blob_stops_nothing_else)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1};
	struct digest d;
	struct receipt *r;

	box_open(b);
	struct bundle_writer *w = box_writer(b, &p);
	struct hash *h = hash_new(b->ctx);
	hash_bytes(h, "before", 6, &d);
	static const char *const changed[] = {"", "befor", "before!", "Before"};
	for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
		box_write(b, "blob", changed[i], strlen(changed[i]));
		int fd = openat(b->root, "blob", O_RDONLY | O_CLOEXEC);
		ck_assert_int_eq(bundle_blob(w, fd, &d, 6, &b->err), -ERR_STORE);
		ck_assert_int_eq(b->err.sys_errno, ESTALE);
		close(fd);
	}
	ck_assert_int_eq(bundle_file(w, "f", "stored", &d, 6, &b->err), -ERR_INTERNAL);
	must(bundle_file(w, "f", "missing", &d, 6, &b->err));
	must(bundle_finish(w, &b->err));
	must(bundle_publish(w, b->ctx, b->root, 0, &r, &b->err));
	bundle_abort(w);
	ck_assert_uint_eq(receipt_blobs(r), 0);
	box_close(b);
}
END_TEST

TCase *write_tests(void)
{
	TCase *t = tcase_create("write");

	tcase_set_timeout(t, 120);
	tcase_set_tags(t, "publish"); /* an entry of its own in CMakeLists.txt */
	tcase_add_loop_test(t, what_goes_in_comes_out, 0, ARRAY_LEN(shape));
	tcase_add_test(t, same_rows_give_the_same_bytes);
	tcase_add_loop_test(t, a_crew_of_several_bundles_gives_the_same_bytes, 0, 4);
	tcase_add_test(t, members_and_blobs_can_be_read_between_rows);
	tcase_add_test(t, a_changed_blob_stops_nothing_else);
	return t;
}
