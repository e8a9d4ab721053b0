/* bundle_times_test.c - the times of frames, which say how long a bundle is kept. */
#include "bundle_test.h"

#include <string.h>

static void put_row(struct box *b, struct bundle_writer *w, size_t kind, const char *id, const char *create_ms)
{
	struct bundle_field f[POST_COLUMNS];

	for (size_t i = 0; i < test_kinds[kind].n_columns; i++) {
		const struct bundle_column *c = &test_kinds[kind].column[i];
		const char *v = strcmp(c->name, "createat") == 0 ? create_ms
				: strcmp(c->name, "id") == 0	 ? id
								 : c->default_text;
		f[i] = v ? text_field(v) : (struct bundle_field){.null = true};
	}
	must(bundle_row(w, kind, f, &b->err));
}

/* A reaction of a year later makes no thread younger, and a frame of reactions alone has no time. */
START_TEST(times_are_those_of_posts)
{
	static const struct {
		size_t kind;
		const char *create_ms;
	} row[] = {{0, "1600000000000"},
		   {0, "1600000005000"},
		   {1, "1650000000000"},
		   {1, "1550000000000"},
		   {1, "1650000000000"}};
	struct box box, *b = &box;
	struct receipt *r = NULL;
	struct bundle_reader *reader;
	int64_t last = 0, first = INT64_MAX;
	uint32_t rows = 0;
	bool none = false;
	size_t len;
	char *text;

	box_open(b);
	struct bundle_writer *w = box_writer(b, &(struct plan_of_bundle){.seq = 7, .frame_bytes = 64});
	must(bundle_thread_begin(w, "channel1", "root1", 1600000000000, &b->err));
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		put_row(b, w, row[i].kind, i ? "reply" : "root1", row[i].create_ms);
	must(bundle_finish(w, &b->err));
	must(bundle_publish(w, b->ctx, b->root, 1700000000000, &r, &b->err));
	must(bundle_open(b->ctx, b->root, receipt_rel_path(r), &reader, &b->err));
	for (size_t i = 0; i < bundle_frames(reader); i++) {
		const struct bundle_frame *f = bundle_frame_at(reader, i);
		if (!f->rows)
			continue;
		rows += f->rows;
		none |= f->min_ms == 0 && f->max_ms == 0;
		last = f->max_ms > last ? f->max_ms : last;
		first = f->min_ms && f->min_ms < first ? f->min_ms : first;
	}
	ck_assert_uint_eq(rows, ARRAY_LEN(row));
	ck_assert_int_eq(first, 1600000000000);
	ck_assert_int_eq(last, 1600000005000);
	ck_assert(none);
	must(bundle_read_member(reader, b->ctx, "data/bundle.json", 1 << 20, &text, &len, &b->err));
	ck_assert_ptr_nonnull(strstr(mem_strndup(b->ctx, text, len), "\"frame_times\":\"posts\",\n"
								     "\"first\":\"2020-09-13T12:26:40Z\",\n"
								     "\"last\":\"2020-09-13T12:26:45Z\""));
	bundle_abort(w);
	box_close(b);
}
END_TEST

TCase *times_tests(void)
{
	TCase *t = tcase_create("times");

	tcase_add_test(t, times_are_those_of_posts);
	return t;
}
