/* base_buf_test.c - memory and buffers that grow, and where they end. */
#include "base_tests.h"

#include <string.h>

/* More than talloc gives at once. */
START_TEST(test_mem_large)
{
	void *own = mem_context(NULL, "large");
	struct mem_large *l = mem_large_new(own);
	size_t most = (size_t)300 << 20;
	char *at = mem_large_grow(l, 10);

	memcpy(at, "123456789", 10);
	at = mem_large_grow(l, most);
	at[most - 1] = 'x';
	ck_assert_str_eq(at, "123456789");
	ck_assert(l->at == at);
	talloc_free(own);
}
END_TEST

START_TEST(test_buf_ceiling)
{
	auto_mem void *ctx = talloc_new(NULL);
	struct buf b;

	buf_init(&b, ctx, 10);
	buf_puts(&b, "12345");
	ck_assert(!b.overflow);
	buf_puts(&b, "678901");
	ck_assert(b.overflow);
	ck_assert_uint_eq(b.len, 5);
}
END_TEST

/* Room is doubled, but for the last time: talloc gives less than 256 MiB at once. */
START_TEST(test_buf_large)
{
	static const char piece[1 << 20];
	struct buf b;

	buf_init(&b, NULL, 256 << 20);
	for (int i = 0; i < 255; i++)
		buf_put(&b, piece, sizeof piece);
	ck_assert(!b.overflow && b.len == (size_t)255 << 20);
	buf_reset(&b);
}
END_TEST

/* Room doubles, but not over the ceiling: what fits, fits, and one byte more does not. */
START_TEST(test_buf_fills_to_its_ceiling)
{
	auto_mem void *ctx = talloc_new(NULL);
	struct buf b;

	buf_init(&b, ctx, 300);
	for (int i = 0; i < 300; i++)
		buf_byte(&b, 'x');
	ck_assert(!b.overflow);
	ck_assert_uint_eq(strlen(b.data), 300);
	buf_byte(&b, 'y');
	ck_assert(b.overflow);
	ck_assert_uint_eq(b.len, 300);
}
END_TEST

/* An escape takes up to six bytes, but a string needs the room that it needs. */
START_TEST(test_json_string_fills_to_its_ceiling)
{
	static const struct { const char *text, *json; } strings[] = {
		{"", "\"\""}, {"abcdefghijklmnopqrstuvwxyz", "\"abcdefghijklmnopqrstuvwxyz\""},
		{"a\nb\x01\"\\", "\"a\\nb\\u0001\\\"\\\\\""},
		{"12345678\t2345678\x7f\xc3\xa4", "\"12345678\\t2345678\x7f\xc3\xa4\""},
	};
	auto_mem void *ctx = talloc_new(NULL);

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		for (int less = 0; less < 2; less++) {
			struct buf b;

			buf_init(&b, ctx, strlen(strings[i].json) - (size_t)less);
			json_put_string(&b, strings[i].text, strlen(strings[i].text));
			ck_assert_int_eq(b.overflow, less);
			if (!less)
				ck_assert_str_eq(b.data, strings[i].json);
		}
}
END_TEST

static const struct { int64_t v; const char *text; } numbers[] = {
	{0, "0"}, {7, "7"}, {10, "10"}, {99, "99"}, {100, "100"}, {101, "101"}, {-1, "-1"}, {-10, "-10"},
	{-100, "-100"}, {1686057306123, "1686057306123"},
	{INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"},
};

START_TEST(test_buf_i64)
{
	auto_mem void *ctx = talloc_new(NULL);
	struct buf b;

	buf_init(&b, ctx, 100);
	buf_i64(&b, numbers[_i].v);
	ck_assert_str_eq(b.data, numbers[_i].text);
}
END_TEST

START_TEST(test_text_fit)
{
	char to[5] = "xxxx";

	text_fit(to, sizeof to, "");
	ck_assert_str_eq(to, "");
	text_fit(to, sizeof to, "abcd");
	ck_assert_str_eq(to, "abcd");
	text_fit(to, sizeof to, "abcde");
	ck_assert_str_eq(to, "abcd");
	text_fit(to, sizeof to, "ab");
	ck_assert_str_eq(to, "ab");
}
END_TEST

TCase *base_buf_case(void)
{
	TCase *tc = tcase_create("buf");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_mem_large);
	tcase_add_test(tc, test_text_fit);
	tcase_add_test(tc, test_buf_ceiling);
	tcase_add_test(tc, test_buf_large);
	tcase_add_test(tc, test_buf_fills_to_its_ceiling);
	tcase_add_test(tc, test_json_string_fills_to_its_ceiling);
	tcase_add_loop_test(tc, test_buf_i64, 0, (int)ARRAY_LEN(numbers));
	return tc;
}
