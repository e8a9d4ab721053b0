/* bundle_codec_test.c - rows to lines and back. */
#include "bundle_test.h"

#include <string.h>

/* One text column, one other, one value. */
static const struct { enum bundle_type type; const char *absent, *value, *want;
} vector[] = {
	{BT_TEXT, "", "", "{\"k\":\"post\"}"},
	{BT_TEXT, NULL, "", "{\"k\":\"post\",\"c\":\"\"}"},
	{BT_TEXT, NULL, NULL, "{\"k\":\"post\"}"},
	{BT_TEXT, "", NULL, "{\"k\":\"post\",\"c\":null}"},
	{BT_TEXT, "", "a", "{\"k\":\"post\",\"c\":\"a\"}"},
	{BT_TEXT, "", "say \"no\" \\ yes", "{\"k\":\"post\",\"c\":\"say \\\"no\\\" \\\\ yes\"}"},
	{BT_TEXT, "", "\b\t\n\f\r\x01\x1f\x7f", "{\"k\":\"post\",\"c\":\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\"}"},
	{BT_TEXT, "", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x80",
	 "{\"k\":\"post\",\"c\":\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x80\"}"},
	{BT_TEXT, "", "\xff", "{\"k\":\"post\",\"c!b64\":\"/w==\"}"},
	{BT_TEXT, "", "\xc0\x80", "{\"k\":\"post\",\"c!b64\":\"wIA=\"}"},
	{BT_TEXT, "", "\xed\xa0\x80", "{\"k\":\"post\",\"c!b64\":\"7aCA\"}"},
	{BT_INT, "0", "0", "{\"k\":\"post\"}"},
	{BT_INT, "0", "-17", "{\"k\":\"post\",\"c\":-17}"},
	{BT_INT, "0", "9223372036854775807", "{\"k\":\"post\",\"c\":9223372036854775807}"},
	{BT_INT, "0", "007", "{\"k\":\"post\",\"c\":\"007\"}"},
	{BT_INT, "0", "-0", "{\"k\":\"post\",\"c\":\"-0\"}"},
	{BT_INT, NULL, "0", "{\"k\":\"post\",\"c\":0}"},
	{BT_BOOL, "f", "t", "{\"k\":\"post\",\"c\":true}"},
	{BT_BOOL, "t", "f", "{\"k\":\"post\",\"c\":false}"},
	{BT_BOOL, "f", "yes", "{\"k\":\"post\",\"c\":\"yes\"}"},
	{BT_REAL, "0", "1e+20", "{\"k\":\"post\",\"c\":1e+20}"},
	{BT_REAL, "0", "NaN", "{\"k\":\"post\",\"c\":\"NaN\"}"},
	{BT_REAL, "0", "1.", "{\"k\":\"post\",\"c\":\"1.\"}"},
	{BT_JSON, "{}", "{}", "{\"k\":\"post\"}"},
	{BT_JSON, "{}", "{\"a\": 1}", "{\"k\":\"post\",\"c\":{\"a\": 1}}"},
	{BT_JSON, "{}", "null", "{\"k\":\"post\",\"c!b64\":\"bnVsbA==\"}"},
	{BT_JSON, "{}", NULL, "{\"k\":\"post\",\"c\":null}"},
	{BT_JSON, "{}", "\"s\"", "{\"k\":\"post\",\"c\":\"s\"}"},
	{BT_JSON, "{}", "[1,\n2]", "{\"k\":\"post\",\"c!b64\":\"WzEsCjJd\"}"},
	{BT_BYTES, NULL, "\\x0aff", "{\"k\":\"post\",\"c\":\"\\\\x0aff\"}"},
	{BT_ARRAY, "{}", "{a,\"b c\"}", "{\"k\":\"post\",\"c\":\"{a,\\\"b c\\\"}\"}"},
};

START_TEST(lines_are_as_written_down)
{
	struct bundle_column column = {"c", "", vector[_i].type, vector[_i].absent};
	struct bundle_kind kind = {"post", "posts", &column, 1, -1};
	struct bundle_field f = {.null = true}, back;
	void *ctx = talloc_new(NULL);
	struct buf line, store;
	struct err err;

	if (vector[_i].value)
		f = text_field(vector[_i].value);
	buf_init(&line, ctx, 4096);
	buf_init(&store, ctx, 4096);
	bundle_encode(bundle_encoder_new(ctx, &kind, 1), 0, &f, &line);
	buf_byte(&line, '\0');
	ck_assert_str_eq(line.data, vector[_i].want);
	ck_assert_int_eq(bundle_decode_row(&kind, line.data, line.len - 1, &back, &store, &err), 0);
	ck_assert_int_eq(back.null, f.null);
	if (!f.null) {
		ck_assert_uint_eq(back.len, f.len);
		ck_assert_mem_eq(back.data, f.data, f.len);
	}
	talloc_free(ctx);
}
END_TEST

static void round_trip(void *ctx, const struct bundle_encoder *e, size_t k, const struct bundle_field *f,
		       struct buf *line, struct buf *store)
{
	struct bundle_field back[POST_COLUMNS];
	struct err err;

	buf_clear(line);
	bundle_encode(e, k, f, line);
	ck_assert(!line->overflow);
	ck_assert_ptr_null(memchr(line->data, '\n', line->len));
	ck_assert(utf8_valid(line->data, line->len));
	ck_assert_int_eq(bundle_row_kind(test_kinds, TEST_KINDS, line->data, line->len), (int)k);
	int rc = bundle_decode_row(&test_kinds[k], line->data, line->len, back, store, &err);
	ck_assert_msg(rc == 0, "%s: %.*s", err.msg, (int)line->len, line->data);
	for (size_t i = 0; i < test_kinds[k].n_columns; i++) {
		ck_assert_int_eq(back[i].null, f[i].null);
		if (f[i].null)
			continue;
		ck_assert_uint_eq(back[i].len, f[i].len);
		ck_assert_int_eq(memcmp(back[i].data, f[i].data, f[i].len), 0);
	}
	(void)ctx;
}

START_TEST(random_rows_come_back)
{
	struct rng r = {(uint64_t)_i};
	struct bundle_field f[POST_COLUMNS];
	void *ctx = talloc_new(NULL);
	const struct bundle_encoder *e = bundle_encoder_new(ctx, test_kinds, TEST_KINDS);
	struct buf line, store;

	buf_init(&line, ctx, 1u << 20);
	buf_init(&store, ctx, 1u << 20);
	for (int i = 0; i < 2000; i++) {
		size_t k = rng_next(&r) % TEST_KINDS;
		void *tmp = talloc_new(ctx);
		random_row(tmp, &r, &test_kinds[k], f);
		round_trip(tmp, e, k, f, &line, &store);
		talloc_free(tmp);
	}
	talloc_free(ctx);
}
END_TEST

/* Every length around the eight bytes and the chunks that the encoder works in, every control character at every place.
 */
START_TEST(long_and_odd_strings_come_back)
{
	static const size_t lengths[] = {0,  1,	    7,	   8,	  9,	 15,	16,    17,    63,
					 64, 16383, 16384, 16385, 32768, 65535, 65536, 200000};
	static const char odd[] = {'"', '\\', 0x01, 0x1f, 0x20, 0x7f, '\n', (char)0x80, (char)0xff};
	struct bundle_field f[POST_COLUMNS];
	void *ctx = talloc_new(NULL);
	const struct bundle_encoder *e = bundle_encoder_new(ctx, test_kinds, TEST_KINDS);
	struct buf line, store;

	buf_init(&line, ctx, 8u << 20);
	buf_init(&store, ctx, 8u << 20);
	for (size_t i = 0; i < POST_COLUMNS; i++)
		f[i] = (struct bundle_field){.null = true};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		char *s = talloc_array(ctx, char, lengths[i] + 1);
		for (size_t o = 0; o < ARRAY_LEN(odd); o++) {
			memset(s, 'a', lengths[i]);
			f[7] = (struct bundle_field){.data = s, .len = lengths[i]};
			for (size_t at = 0; at < lengths[i]; at += lengths[i] > 64 ? lengths[i] / 3 : 1) {
				s[at] = odd[o];
				round_trip(ctx, e, 0, f, &line, &store);
			}
			memset(s, odd[o], lengths[i]);
			round_trip(ctx, e, 0, f, &line, &store);
		}
		talloc_free(s);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(deep_json_is_kept_as_base64)
{
	struct bundle_field f[POST_COLUMNS];
	void *ctx = talloc_new(NULL);
	const struct bundle_encoder *e = bundle_encoder_new(ctx, test_kinds, TEST_KINDS);
	struct buf line, store, deep;

	buf_init(&line, ctx, 1u << 20);
	buf_init(&store, ctx, 1u << 20);
	buf_init(&deep, ctx, 1u << 20);
	for (size_t i = 0; i < POST_COLUMNS; i++)
		f[i] = (struct bundle_field){.null = true};
	for (int i = 0; i < 2000; i++)
		buf_byte(&deep, '[');
	for (int i = 0; i < 2000; i++)
		buf_byte(&deep, ']');
	f[8] = (struct bundle_field){.data = deep.data, .len = deep.len};
	round_trip(ctx, e, 0, f, &line, &store);
	ck_assert_ptr_nonnull(memmem(line.data, line.len, "\"props!b64\"", 11));
	talloc_free(ctx);
}
END_TEST

static const char *const bad_line[] = {
	"", "{", "{}", "{\"k\":\"reaction\"}", "{\"k\":\"post\"", "{\"k\":\"post\"}x",
	"{\"message\":\"x\",\"k\":\"post\"}",
	"{\"k\":\"post\",\"message\":\"a\",\"message\":\"b\"}",
	"{\"k\":\"post\",\"message\":\"a\",\"message!b64\":\"YQ==\"}",
	"{\"k\":\"post\",\"message\":1}", "{\"k\":\"post\",\"createat\":true}",
	"{\"k\":\"post\",\"message!b64\":\"YQ=\"}",
	"{\"k\":\"post\",\"message!b64\":\"YR==\"}", "{\"k\":\"post\",\"message!b64\":\"Y===\"}",
	"{\"k\":\"post\",\"message!b64\":\"Y*==\"}",
	"{\"k\":\"post\",\"message\":\"\\ud800\"}", "{\"k\":\"post\",\"message\":\"\\x\"}",
};

START_TEST(bad_lines_are_refused)
{
	struct bundle_field f[POST_COLUMNS];
	struct buf store;
	struct err err = {0};
	void *ctx = talloc_new(NULL);

	buf_init(&store, ctx, 4096);
	int rc = bundle_decode_row(&test_kinds[0], bad_line[_i], strlen(bad_line[_i]), f, &store, &err);
	ck_assert_int_eq(rc, -ERR_VERIFY);
	ck_assert_str_ne(err.msg, "");
	talloc_free(ctx);
}
END_TEST

START_TEST(schema_comes_back)
{
	void *ctx = talloc_new(NULL);
	struct kind_codec codec[TEST_KINDS];
	struct bundle_kind *kind;
	struct buf b;
	struct err err;
	size_t n;

	buf_init(&b, ctx, 1u << 20);
	for (size_t i = 0; i < TEST_KINDS; i++)
		codec_init(ctx, &codec[i], &test_kinds[i]);
	schema_write(&b, codec, TEST_KINDS);
	ck_assert_int_eq(schema_parse(ctx, b.data, b.len, &kind, &n, &err), 0);
	ck_assert_uint_eq(n, TEST_KINDS);
	for (size_t i = 0; i < n; i++) {
		ck_assert_str_eq(kind[i].kind, test_kinds[i].kind);
		ck_assert_str_eq(kind[i].table, test_kinds[i].table);
		ck_assert_int_eq(kind[i].owner_column, test_kinds[i].owner_column);
		ck_assert_uint_eq(kind[i].n_columns, test_kinds[i].n_columns);
		for (size_t c = 0; c < kind[i].n_columns; c++) {
			const struct bundle_column *x = &kind[i].column[c], *y = &test_kinds[i].column[c];
			ck_assert_str_eq(x->name, y->name);
			ck_assert_str_eq(x->pg_type, y->pg_type);
			ck_assert_int_eq(x->type, y->type);
			ck_assert_pstr_eq(x->default_text, y->default_text);
		}
	}
	talloc_free(ctx);
}
END_TEST

TCase *codec_tests(void)
{
	TCase *t = tcase_create("codec");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, lines_are_as_written_down, 0, ARRAY_LEN(vector));
	tcase_add_loop_test(t, random_rows_come_back, 0, 8);
	tcase_add_test(t, long_and_odd_strings_come_back);
	tcase_add_test(t, deep_json_is_kept_as_base64);
	tcase_add_loop_test(t, bad_lines_are_refused, 0, ARRAY_LEN(bad_line));
	tcase_add_test(t, schema_comes_back);
	return t;
}
