/* bundle_publish_test.c - publishing what was written; what may go wrong in between. */
#include "bundle_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(nothing_is_overwritten)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1, .threads = 3};
	struct receipt *r;
	size_t len, again;

	box_open(b);
	const char *rel = receipt_rel_path(box_publish(b, &p));
	char *bytes = box_read(b, rel, &len);
	struct bundle_writer *w = box_bundle(b, &p);
	ck_assert_int_eq(bundle_publish(w, b->ctx, b->root, 1700000000000, &r, &b->err), -ERR_STORE);
	ck_assert_int_eq(b->err.sys_errno, EEXIST);
	char *part = mem_printf(b->ctx, "%s/partial/%s.tar.zst.part", b->path, bundle_identity_of(w));
	ck_assert_int_eq(access(part, F_OK), 0);
	/* A second writer of the same number does not take the file over either. */
	struct bundle_writer *w2;
	struct bundle_options o = {.seq = 1, .kind = test_kinds, .n_kinds = TEST_KINDS};
	ck_assert_int_eq(bundle_create(b->ctx, b->partial, &test_source, &o, &w2, &b->err), -ERR_STORE);
	ck_assert_int_eq(b->err.sys_errno, EEXIST);
	bundle_abort(w);
	ck_assert_int_ne(access(part, F_OK), 0);
	ck_assert(memcmp(bytes, box_read(b, rel, &again), len) == 0 && len == again);
	box_close(b);
}
END_TEST

/* What the disk gives back is compared with what was streamed. */
START_TEST(a_lying_disk_is_noticed)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1, .threads = 30, .seed = 5}, other = {.seq = 1, .threads = 31, .seed = 5};
	struct receipt *r;
	size_t len;

	box_open(b);
	struct bundle_writer *w = box_bundle(b, &p);
	char *part = mem_printf(b->ctx, "partial/%s.tar.zst.part", bundle_identity_of(w));
	char *bytes = box_read(b, part, &len);
	if (_i == 0) { /* one bit */
		bytes[len / 2] ^= 4;
		box_write(b, part, bytes, len);
	} else if (_i == 1) { /* cut off */
		box_write(b, part, bytes, len - 1);
	} else { /* a sound bundle, but not this one */
		struct box box2, *c = &box2;
		box_open(c);
		struct bundle_writer *w2 = box_bundle(c, &other);
		bytes = box_read(c, part, &len);
		box_write(b, part, bytes, len);
		bundle_abort(w2);
		box_close(c);
	}
	ck_assert_int_eq(bundle_publish(w, b->ctx, b->root, 0, &r, &b->err), -ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(b->err.hint, "Nothing was deleted"));
	char *bad = mem_printf(b->ctx, "%s/partial/%s.tar.zst.bad", b->path, bundle_identity_of(w));
	ck_assert_int_eq(access(bad, F_OK), 0);
	/* No second try makes a receipt. */
	ck_assert_int_eq(bundle_publish(w, b->ctx, b->root, 0, &r, &b->err), -ERR_VERIFY);
	ck_assert_int_eq(bundle_waive(w, b->ctx, "because", &r, &b->err), -ERR_VERIFY);
	bundle_abort(w);
	box_close(b);
}
END_TEST

START_TEST(a_waiver_stays_in_partial)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1, .threads = 30, .seed = 5};
	struct bundle_reader *reader;
	struct receipt *r;

	box_open(b);
	struct bundle_writer *w = box_bundle(b, &p);
	ck_assert_int_eq(bundle_waive(w, b->ctx, "", &r, &b->err), -ERR_INTERNAL);
	must(bundle_waive(w, b->ctx, "test data only", &r, &b->err));
	bundle_abort(w);
	ck_assert(receipt_waived(r));
	ck_assert_str_eq(receipt_because(r), "test data only");
	ck_assert_str_eq(receipt_bundle(r), "");
	must(bundle_open_receipt(b->ctx, r, &reader, &b->err));
	compare_rows(b, reader, &p);
	box_close(b);
}
END_TEST

/* The mark and the cut-off come back; without the mark not a byte differs from before there was one. */
START_TEST(parts_are_told)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 3, .threads = 5, .seed = 1, .parts = _i};
	struct bundle_reader *r;
	int64_t before_ms = -1;
	char *text;
	size_t len;

	box_open(b);
	must(bundle_open_receipt(b->ctx, box_publish(b, &p), &r, &b->err));
	ck_assert_int_eq(bundle_read_parts(r, &before_ms, &b->err), _i);
	ck_assert_int_eq(before_ms, _i ? test_source.cutoff_ms : -1);
	must(bundle_read_member(r, b->ctx, "data/bundle.json", 1 << 20, &text, &len, &b->err));
	ck_assert(!!memmem(text, len, "parts", 5) == !!_i);
	box_close(b);
}
END_TEST

START_TEST(reopen_wants_the_ledgers_digests)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1, .threads = 30, .seed = 5};
	struct receipt *again;
	struct digest other = {{0}};

	box_open(b);
	struct receipt *r = box_publish(b, &p);
	const char *rel = receipt_rel_path(r);
	must(bundle_reopen(b->ctx, b->root, rel, receipt_file_digest(r), receipt_rows_digest(r), &again, &b->err));
	ck_assert_uint_eq(receipt_posts(again), receipt_posts(r));
	ck_assert_uint_eq(receipt_file_bytes(again), receipt_file_bytes(r));
	ck_assert_int_eq(bundle_reopen(b->ctx, b->root, rel, &other, receipt_rows_digest(r), &again, &b->err),
			 -ERR_VERIFY);
	ck_assert_int_eq(bundle_reopen(b->ctx, b->root, rel, receipt_file_digest(r), &other, &again, &b->err),
			 -ERR_VERIFY);
	ck_assert_int_eq(bundle_reopen(b->ctx, b->root, "bundles/x", NULL, NULL, &again, &b->err), -ERR_STORE);
	box_close(b);
}
END_TEST

START_TEST(wrong_use_is_refused)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1};
	struct bundle_field f[POST_COLUMNS];
	struct receipt *r;

	box_open(b);
	for (size_t i = 0; i < POST_COLUMNS; i++)
		f[i] = (struct bundle_field){.null = true};
	struct bundle_writer *w = box_writer(b, &p);
	ck_assert_int_eq(bundle_row(w, 0, f, &b->err), -ERR_INTERNAL);
	ck_assert_int_eq(bundle_publish(w, b->ctx, b->root, 0, &r, &b->err), -ERR_INTERNAL);
	must(bundle_thread_begin(w, "b", "x", 5, &b->err));
	ck_assert_int_eq(bundle_row(w, 3, f, &b->err), -ERR_INTERNAL);
	ck_assert_int_eq(bundle_thread_begin(w, "a", "x", 6, &b->err), -ERR_INTERNAL);
	ck_assert_int_eq(bundle_thread_begin(w, "b", "x", 4, &b->err), -ERR_INTERNAL);
	ck_assert_int_eq(bundle_thread_begin(w, "b", "x", 5, &b->err), -ERR_INTERNAL);
	ck_assert_int_eq(bundle_thread_begin(w, "b\tc", "x", 9, &b->err), -ERR_SCHEMA);
	ck_assert_int_eq(bundle_thread_begin(w, "b", "aaaaaaaaaaaaaaaaaaaaaaaaaaa", 9, &b->err), -ERR_SCHEMA);
	must(bundle_thread_begin(w, "b", "y", 5, &b->err));
	must(bundle_row(w, 0, f, &b->err));
	ck_assert_int_eq(bundle_file(w, "f", "lost", NULL, 0, &b->err), -ERR_INTERNAL);
	ck_assert_int_eq(bundle_name(w, "dogs", "i", "n", "d", "", &b->err), -ERR_INTERNAL);
	must(bundle_finish(w, &b->err));
	ck_assert_int_eq(bundle_row(w, 0, f, &b->err), -ERR_INTERNAL);
	must(bundle_publish(w, b->ctx, b->root, 0, &r, &b->err));
	ck_assert_uint_eq(receipt_threads(r), 1);
	bundle_abort(w);
	bundle_abort(NULL);
	box_close(b);
}
END_TEST

/* One row may be larger than a member; one above the ceiling ends the bundle. */
START_TEST(large_rows)
{
	struct box box, *b = &box;
	struct plan_of_bundle p = {.seq = 1, .workers = 1};
	struct bundle_field f[POST_COLUMNS];
	struct bundle_reader *reader;
	struct receipt *r;
	const char *line;
	size_t len, big = 6u << 20;

	box_open(b);
	for (size_t i = 0; i < POST_COLUMNS; i++)
		f[i] = (struct bundle_field){.null = true};
	char *s = mem_array(b->ctx, char, BUNDLE_ROW_MAX);
	struct bundle_writer *w = box_writer(b, &p);
	must(bundle_thread_begin(w, "c", "r", 1, &b->err));
	for (int i = 0; i < 3; i++) {
		memset(s, 'a' + i, big);
		f[7] = (struct bundle_field){.data = s, .len = i == 1 ? 10 : big};
		must(bundle_row(w, 0, f, &b->err));
	}
	must(bundle_finish(w, &b->err));
	must(bundle_publish(w, b->ctx, b->root, 0, &r, &b->err));
	bundle_abort(w);
	must(bundle_open_receipt(b->ctx, r, &reader, &b->err));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(bundle_read_row(reader, &line, &len, &b->err), 1);
		ck_assert_uint_gt(len, i == 1 ? 10 : big);
	}
	p.seq = 2;
	w = box_writer(b, &p);
	must(bundle_thread_begin(w, "c", "r", 1, &b->err));
	f[7] = (struct bundle_field){.data = s, .len = BUNDLE_ROW_MAX};
	ck_assert_int_eq(bundle_row(w, 0, f, &b->err), -ERR_STORE);
	ck_assert_ptr_nonnull(strstr(b->err.msg, "larger than 32 MiB"));
	ck_assert_int_eq(bundle_finish(w, &b->err), -ERR_STORE);
	bundle_abort(w);
	box_close(b);
}
END_TEST

#ifdef MMR_FAULTS
static const struct { const char *fault; int code; bool published; } fault[] = {
	{"BUNDLE_WRITE:ENOSPC", ERR_STORE, false},   {"BUNDLE_WRITE:EIO:7", ERR_STORE, false},
	{"BUNDLE_SYNC:EIO", ERR_STORE, false},       {"BUNDLE_BEFORE_RENAME:EIO", ERR_STORE, false},
	{"BUNDLE_AFTER_RENAME:EIO", ERR_STORE, true},
};

/* Each failure is said, ends the writer, and leaves nothing in bundles/ but what was renamed. */
START_TEST(faults_are_reported)
{
	struct box box, *b = &box;
	struct bundle_options o = {.seq = 1, .kind = test_kinds, .n_kinds = TEST_KINDS};
	struct bundle_writer *w = NULL;
	struct receipt *r = NULL;
	struct bundle_field f[POST_COLUMNS];

	setenv("MMR_FAULT", fault[_i].fault, 1);
	box_open(b);
	for (size_t i = 0; i < POST_COLUMNS; i++)
		f[i] = (struct bundle_field){.null = true};
	int rc = bundle_create(b->ctx, b->partial, &test_source, &o, &w, &b->err);
	if (!rc)
		rc = bundle_thread_begin(w, "c", "r", 1, &b->err);
	if (!rc)
		rc = bundle_row(w, 0, f, &b->err);
	if (!rc)
		rc = bundle_finish(w, &b->err);
	if (!rc)
		rc = bundle_publish(w, b->ctx, b->root, 0, &r, &b->err);
	ck_assert_int_eq(rc, -fault[_i].code);
	ck_assert_ptr_nonnull(strstr(b->err.hint, "Nothing was deleted"));
	ck_assert_ptr_null(r);
	ck_assert_int_eq(bundle_finish(w, &b->err), fault[_i].published ? -ERR_INTERNAL : rc);
	bundle_abort(w);
	char *path = mem_printf(b->ctx, "%s/bundles/1970/01", b->path);
	ck_assert_int_eq(rmdir(path) == 0 || errno == ENOENT, !fault[_i].published);
	ck_assert_int_eq(rmdir(mem_printf(b->ctx, "%s/partial", b->path)), 0);
	unsetenv("MMR_FAULT");
	box_close(b);
}
END_TEST
#endif

TCase *publish_tests(void)
{
	TCase *t = tcase_create("publish");

	tcase_set_timeout(t, 120);
	tcase_set_tags(t, "publish"); /* an entry of its own in CMakeLists.txt */
	tcase_add_test(t, nothing_is_overwritten);
	tcase_add_loop_test(t, a_lying_disk_is_noticed, 0, 3);
	tcase_add_test(t, a_waiver_stays_in_partial);
	tcase_add_loop_test(t, parts_are_told, 0, 2);
	tcase_add_test(t, reopen_wants_the_ledgers_digests);
	tcase_add_test(t, wrong_use_is_refused);
	tcase_add_test(t, large_rows);
#ifdef MMR_FAULTS
	tcase_add_loop_test(t, faults_are_reported, 0, ARRAY_LEN(fault));
#endif
	return t;
}
