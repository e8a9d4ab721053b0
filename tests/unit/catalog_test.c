/* catalog_test.c - packed numbers, the filter, damage: an index is input from outside. */
#include "catalog_internal.h"
#include "catalog_tests.h"
#include "../support/suite.h"

#include <check.h>
#include <string.h>

static void *ctx;

static void set_up(void)
{
	ctx = talloc_new(NULL);
}

static void tear_down(void)
{
	talloc_free(ctx);
}

static uint64_t rng = 88172645463325252;

static uint64_t next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static const uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_C(1) << 40, INT64_MAX, UINT64_MAX};

START_TEST(varints_come_back)
{
	struct buf b;
	uint64_t got;

	buf_init(&b, ctx, 100);
	put_varint(&b, numbers[_i]);
	const uint8_t *p = (const uint8_t *)b.data, *end = p + b.len;
	ck_assert(get_varint(&p, end, &got) && got == numbers[_i] && p == end);
	p = (const uint8_t *)b.data;
	ck_assert(!get_varint(&p, end - 1, &got)); /* cut */
	ck_assert_int_eq(unzigzag(zigzag((int64_t)numbers[_i])), (int64_t)numbers[_i]);
}
END_TEST

START_TEST(spans_cover_what_was_added)
{
	struct spans s;
	struct span got;
	struct span_scan scan;
	struct { uint32_t frame; int64_t min, max; } want[200];
	size_t n = 0;

	spans_init(&s, ctx);
	for (uint32_t frame = 0; n < ARRAY_LEN(want); frame += 1 + (uint32_t)(next() % 1000)) {
		want[n].frame = frame;
		for (int k = 0; k < 5; k++) {
			int64_t ms = (int64_t)(next() % 4000000000000) - 1000000000000;
			spans_add(&s, frame, ms);
			want[n].min = k && want[n].min < ms ? want[n].min : ms;
			want[n].max = k && want[n].max > ms ? want[n].max : ms;
		}
		n++;
	}
	spans_close(&s);
	span_scan_init(&scan, s.packed.data, s.packed.len);
	for (size_t i = 0; i < n; i++) {
		ck_assert(span_scan_next(&scan, &got));
		ck_assert_uint_eq(got.frame, want[i].frame);
		ck_assert(got.min_ms <= want[i].min && got.max_ms >= want[i].max);
		ck_assert(want[i].min - got.min_ms < 60000 && got.max_ms - want[i].max < 60000);
	}
	ck_assert(!span_scan_next(&scan, &got) && !scan.bad);
}
END_TEST

START_TEST(spans_take_odd_times)
{
	static const int64_t odd[] = {INT64_MIN, INT64_MAX, 0, -1, 1};
	struct spans s;
	struct span_scan scan;
	struct span got;

	spans_init(&s, ctx);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		spans_add(&s, (uint32_t)i, odd[i]);
	spans_close(&s);
	span_scan_init(&scan, s.packed.data, s.packed.len);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		ck_assert(span_scan_next(&scan, &got) && got.frame == i);
	ck_assert(!scan.bad);
}
END_TEST

/* Rows with times in other units are rows. */
START_TEST(a_question_without_times_takes_any)
{
	static const int64_t odd[] = {INT64_MIN, -1, 0, 1700000000123, 1700000000123456789, INT64_MAX};
	const struct catalog_query any = {.from_ms = INT64_MIN, .before_ms = INT64_MAX},
				   day = {.from_ms = 1600000000000, .before_ms = 1600086400000};
	struct catalog c = {.db = &(struct catalog_db){.key = 0}};
	struct catalog_bundle b = {.listed = true, .min_ms = odd[_i], .max_ms = odd[_i]};

	ck_assert_int_eq(listed_may(&c, &b, &any), 1);
	ck_assert_int_eq(listed_may(&c, &b, &day), 0);
}
END_TEST

START_TEST(ids_are_found_in_one_block)
{
	struct ids l = {0};
	struct buf b;
	uint64_t first[64], last_first = 0;
	char id[32];
	size_t seen = 0, blocks = 0;

	for (int i = 0; i < 20000; i++) {
		(void)snprintf(id, sizeof(id), "id%d", i % 19000); /* some twice */
		ids_add(&l, ctx, (struct catalog_text){id, strlen(id)}, (uint32_t)i);
	}
	ids_sort(&l);
	buf_init(&b, ctx, 1 << 20);
	for (size_t i = 0; i < l.n;) {
		struct id_scan scan;
		i = ids_block(&l, i, &b, &first[blocks]);
		ck_assert(blocks == 0 || first[blocks] > last_first);
		id_scan_init(&scan, first[blocks], b.data, b.len);
		while (id_scan_next(&scan)) {
			ck_assert(l.key[seen] >> FRAME_BITS == scan.key && (l.key[seen] & 0xffffff) == scan.frame);
			last_first = scan.key;
			seen++;
		}
		ck_assert(!scan.bad);
		blocks++;
	}
	ck_assert_uint_eq(seen, l.n);
}
END_TEST

/* talloc gives less than 256 MiB at once, and a list that doubles asks for just that. */
START_TEST(ids_of_a_giant_do_not_end_the_program)
{
	struct ids l = {0};
	size_t n = 0;

	for (; n < 17000000; n++)
		ids_add(&l, ctx, (struct catalog_text){(const char *)&n, sizeof(n)}, 1);
	ck_assert(!l.overflow);
	ck_assert_uint_eq(l.n, n);
	ck_assert_uint_eq(l.key[n - 1] & 1, 1);
	l.n = l.cap; /* as if there were so many */
	ids_add(&l, ctx, (struct catalog_text){"x", 1}, 1);
	ck_assert(l.overflow);
	ck_assert_uint_eq(l.n, l.cap);
}
END_TEST

START_TEST(filter_never_misses)
{
	uint32_t n = filter_blocks(5000), wrong = 0;
	uint8_t *bits = mem_array(ctx, uint8_t, (size_t)n * FILTER_BLOCK);
	char id[32];

	for (int i = 0; i < 5000; i++) {
		(void)snprintf(id, sizeof(id), "in%d", i);
		uint64_t key = id_key(id, strlen(id));
		filter_set(bits + (size_t)filter_block_of(key, n) * FILTER_BLOCK, key);
	}
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(id, sizeof(id), "in%d", i);
		uint64_t key = id_key(id, strlen(id));
		ck_assert(filter_has(bits + (size_t)filter_block_of(key, n) * FILTER_BLOCK, key));
		(void)snprintf(id, sizeof(id), "out%d", i);
		key = id_key(id, strlen(id));
		wrong += filter_has(bits + (size_t)filter_block_of(key, n) * FILTER_BLOCK, key);
	}
	ck_assert_uint_lt(wrong, 150);
}
END_TEST

/* Whatever the bytes are, the readers end and stay inside. */
START_TEST(noise_is_survived)
{
	uint8_t noise[256];

	for (int round = 0; round < 20000; round++) {
		struct span_scan spans;
		struct id_scan ids;
		struct span got;
		size_t len = next() % sizeof(noise);
		for (size_t i = 0; i < len; i++)
			noise[i] = (uint8_t)(next() >> 32);
		span_scan_init(&spans, noise, len);
		while (span_scan_next(&spans, &got))
			;
		id_scan_init(&ids, next() >> 24, noise, len);
		while (id_scan_next(&ids))
			;
	}
}
END_TEST

static int collect(void *payload, const char *token, size_t len, size_t from, size_t to)
{
	buf_put(payload, token, len);
	buf_printf(payload, "(%zu-%zu)", from, to);
	return 0;
}

START_TEST(words_fold_as_the_index_does)
{
	struct catalog_words *w;
	struct err err = {0};
	struct buf b;

	buf_init(&b, ctx, 1000);
	ck_assert_int_eq(catalog_words_new(ctx, &w, &err), 0);
	catalog_words_split(w, "Lösch-X ÉA 12", strlen("Lösch-X ÉA 12"), collect, &b);
	ck_assert_str_eq(b.data, "losch(0-6)x(7-8)ea(9-12)12(13-15)");
}
END_TEST

START_TEST(attachments_of_bots_are_words_too)
{
	static const char props[] = "{\"x\": \"no\", \"attachments\": [{\"text\": \"say \\\"hi\\\"\", \"fields\": "
				    "[{\"title\": \"T\\u00e4\"}]}]}";
	struct catalog_row row = {.kind = CATALOG_POST, .message = {"msg", 3}, .props = {props, sizeof(props) - 1}};
	struct buf b;

	buf_init(&b, ctx, 1000);
	catalog_row_words(&row, &b);
	ck_assert_str_eq(b.data, "msg\nsay \"hi\"\nTä\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("catalog");
	TCase *t = tcase_create("packing");

	mem_setup();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, varints_come_back, 0, (int)ARRAY_LEN(numbers));
	tcase_add_test(t, spans_cover_what_was_added);
	tcase_add_test(t, spans_take_odd_times);
	tcase_add_loop_test(t, a_question_without_times_takes_any, 0, 6);
	tcase_add_test(t, ids_are_found_in_one_block);
	tcase_add_test(t, ids_of_a_giant_do_not_end_the_program);
	tcase_add_test(t, filter_never_misses);
	tcase_add_test(t, noise_is_survived);
	tcase_add_test(t, words_fold_as_the_index_does);
	tcase_add_test(t, attachments_of_bots_are_words_too);
	suite_add_tcase(s, t);
	suite_add_tcase(s, catalog_add_case());
	return suite_run(s);
}
