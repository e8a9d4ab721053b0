/* base_test.c - unit tests of the base room. */
#include "base_tests.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/suite.h"

static const struct { const char *text; bool ok; int32_t months; int64_t ms; } durations[] = {
	{"30d", true, 0, 30LL * 86400000}, {"12w", true, 0, 84LL * 86400000}, {"6mo", true, 6, 0}, {"5y", true, 60, 0},
	{"36h", true, 0, 36LL * 3600000}, {"90min", true, 0, 5400000}, {"10s", true, 0, 10000}, {"5ms", true, 0, 5},
	{"0d", true, 0, 0}, {"30", false, 0, 0}, {"", false, 0, 0}, {"d", false, 0, 0}, {"-3d", false, 0, 0},
	{"+3d", false, 0, 0},
	{" 3d", false, 0, 0}, {"3 d", false, 0, 0}, {"3.5d", false, 0, 0}, {"3D", false, 0, 0}, {"3m", false, 0, 0},
	{"99999999999999999999d", false, 0, 0}, {"1000000001d", false, 0, 0}, {"20000y", false, 0, 0},
};

/* Of the work, not of what was at hand: such an error keeps nothing back. */
START_TEST(test_err_ends_work)
{
	ck_assert(err_ends_work(-ERR_INTERRUPTED) && err_ends_work(-ERR_WORK_LEFT));
	ck_assert(!err_ends_work(0) && !err_ends_work(-ERR_STORE) && !err_ends_work(-ERR_KEPT) &&
		  !err_ends_work(-ERR_DB_GONE));
}
END_TEST

START_TEST(test_duration)
{
	struct duration d = {0, 0};

	ck_assert_int_eq(duration_parse(durations[_i].text, &d), durations[_i].ok);
	if (durations[_i].ok) {
		ck_assert_int_eq(d.months, durations[_i].months);
		ck_assert_int_eq(d.ms, durations[_i].ms);
	}
}
END_TEST

static const struct { const char *now, *dur, *want; } cutoffs[] = {
	{"2026-03-31", "1mo", "2026-02-28T00:00:00Z"}, {"2024-03-31", "1mo", "2024-02-29T00:00:00Z"},
	{"2024-02-29", "1y", "2023-02-28T00:00:00Z"}, {"2026-01-15T12:30:00Z", "2mo", "2025-11-15T12:30:00Z"},
	{"2026-11-24T18:55:55.123Z", "90d", "2026-08-26T18:55:55.123Z"}, {"2100-03-01", "1d", "2100-02-28T00:00:00Z"},
	{"1970-01-01", "1mo", "1969-12-01T00:00:00Z"}, {"2026-11-01", "5y", "2021-11-01T00:00:00Z"},
};

START_TEST(test_cutoff)
{
	struct duration d;
	int64_t now;
	char text[TIME_TEXT];

	ck_assert(time_parse(cutoffs[_i].now, &now));
	ck_assert(duration_parse(cutoffs[_i].dur, &d));
	time_format(duration_before(now, &d), text);
	ck_assert_str_eq(text, cutoffs[_i].want);
}
END_TEST

/* Damaged rows have such times: what lies beyond the last one is no time at the other end. */
START_TEST(test_duration_ends)
{
	static const char *const text[] = {"1d", "1mo", "1000y", "365000d"};

	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		struct duration d;

		ck_assert(duration_parse(text[i], &d));
		ck_assert_int_eq(duration_after(INT64_MAX, &d), INT64_MAX);
		ck_assert_int_eq(duration_after(INT64_MAX - 1000, &d), INT64_MAX);
		ck_assert_int_eq(duration_before(INT64_MIN, &d), INT64_MIN);
		ck_assert_int_eq(duration_before(INT64_MIN + 1000, &d), INT64_MIN);
		ck_assert_int_eq(duration_passed(INT64_MAX, &d, 0), INT64_MAX);
		ck_assert_int_eq(duration_passed(INT64_MAX - 1000, &d, 0), INT64_MAX);
		ck_assert_int_lt(duration_before(INT64_MAX, &d), INT64_MAX - 80000000);
		ck_assert_int_gt(duration_after(INT64_MIN, &d), INT64_MIN + 80000000);
		/* before the year 0, too */
		ck_assert_int_lt(duration_before(-INT64_C(62135596800000), &d), -INT64_C(62135596800000));
	}
}
END_TEST

static const struct { const char *from, *dur, *now, *want; } passed[] = {
	{"2026-01-15T12:00:00Z", "1mo", "2026-01-20", "2026-02-15T12:00:00.001Z"},
	{"2026-01-15T12:00:00Z", "30d", "2026-06-20", "2026-02-14T12:00:00.001Z"},
	/* February has no such day: not before March, as the cut-off has it */
	{"2026-01-31T12:00:00Z", "1mo", "2026-02-28T13:00:00Z", "2026-03-01T00:00:00Z"},
	{"2026-01-31T12:00:00Z", "1mo", "2026-03-02", "2026-03-01T00:00:00Z"},
	{"2024-02-29T12:00:00Z", "1y", "2025-02-01", "2025-03-01T00:00:00Z"},
	/* on the 29th of March the cut-off is the 28th of February once more */
	{"2026-02-28T12:00:00Z", "1mo", "2026-03-28T13:00:00Z", "2026-03-28T12:00:00.001Z"},
	{"2026-02-28T12:00:00Z", "1mo", "2026-03-29T02:00:00Z", "2026-03-29T12:00:00.001Z"},
	{"2026-02-28T12:00:00Z", "1mo", "2026-03-31T02:00:00Z", "2026-03-31T12:00:00.001Z"},
	{"2026-02-28T12:00:00Z", "1mo", "2026-04-01T02:00:00Z", "2026-03-28T12:00:00.001Z"},
	{"1960-01-31T12:00:00Z", "1mo", "1960-02-10", "1960-03-01T00:00:00Z"},
};

START_TEST(test_passed)
{
	struct duration d;
	int64_t from, now, at;
	char text[TIME_TEXT];

	ck_assert(time_parse(passed[_i].from, &from) && time_parse(passed[_i].now, &now) &&
		  duration_parse(passed[_i].dur, &d));
	at = duration_passed(from, &d, now);
	time_format(at, text);
	ck_assert_str_eq(text, passed[_i].want);
	ck_assert_int_gt(duration_before(at, &d), from);
	/* what is due says so, and what is not does not */
	ck_assert_int_eq(at <= now, duration_before(now, &d) > from);
}
END_TEST

static const struct { const char *text; bool ok; uint64_t bytes; } sizes[] = {
	{"500MiB", true, 500ULL << 20}, {"2GB", true, 2000000000}, {"10kB", true, 10000}, {"1B", true, 1},
	{"1TiB", true, 1ULL << 40},
	{"500", false, 0}, {"MiB", false, 0}, {"-1MiB", false, 0}, {"1mib", false, 0}, {"99999999TiB", false, 0},
	{"1 MiB", false, 0},
};

START_TEST(test_bytes)
{
	uint64_t v = 0;

	ck_assert_int_eq(bytes_parse(sizes[_i].text, &v), sizes[_i].ok);
	ck_assert(!sizes[_i].ok || v == sizes[_i].bytes);
}
END_TEST

static const struct { const char *text; bool ok; const char *want; } times[] = {
	{"2025-01-01", true, "2025-01-01T00:00:00Z"}, {"2025-01-01T10:00:00+02:00", true, "2025-01-01T08:00:00Z"},
	{"2025-01-01T10:00Z", true, "2025-01-01T10:00:00Z"}, {"1234ms", true, "1970-01-01T00:00:01.234Z"},
	{"2025-02-30", false, ""}, {"2025-13-01", false, ""}, {"2025-01-01T25:00:00Z", false, ""},
	{"2025-1-1", false, ""},
	{"1234", false, ""}, {"", false, ""}, {"2025-01-01T10:00:00", false, ""}, {"2025-01-01x", false, ""},
};

START_TEST(test_time)
{
	int64_t ms = 0;
	char text[TIME_TEXT];

	ck_assert_int_eq(time_parse(times[_i].text, &ms), times[_i].ok);
	if (times[_i].ok) {
		time_format(ms, text);
		ck_assert_str_eq(text, times[_i].want);
	}
}
END_TEST

static const struct { const char *line; int members; bool bad; } objects[] = {
	{"{}", 0, false}, {"{\"a\":1}", 1, false}, {"{\"a\":\"x\\\"y\",\"b\":[1,{\"c\":\"]\"}],\"d\":null}", 3, false},
	{"{\"a\":\"\\\\\",\"b\":true}", 2, false}, {"", 0, true}, {"{", 0, true}, {"{\"a\":1", 0, true},
	{"{\"a\":1}x", 1, true},
	{"{\"a\":1,}", 1, true}, {"{\"a\" 1}", 0, true}, {"[1]", 0, true}, {"{\"a\":}", 0, true},
	{"{\"a\":\"x}", 0, true},
	{"{\"a\":[1}}", 0, true}, {"{\"a\":1\"b\":2}", 0, true}, {"{a:1}", 0, true},
};

START_TEST(test_scan)
{
	struct json_scan s;
	int n = 0;

	json_scan_init(&s, objects[_i].line, strlen(objects[_i].line));
	while (json_scan_next(&s))
		n++;
	ck_assert_int_eq(s.bad, objects[_i].bad);
	ck_assert_int_eq(n, objects[_i].members);
}
END_TEST

START_TEST(test_json_round_trip)
{
	auto_mem void *ctx = talloc_new(NULL);
	struct buf enc, dec;
	char in[400];

	buf_init(&enc, ctx, 1 << 20);
	buf_init(&dec, ctx, 1 << 20);
	for (int i = 0; i < 127; i++)
		in[i] = (char)(i + 1);
	memcpy(in + 127, "\xc3\xa4\xf0\x9f\x98\x80\xe2\x80\xa8", 9);
	json_put_string(&enc, in, 136);
	ck_assert(json_unescape(&dec, enc.data + 1, enc.len - 2));
	ck_assert_uint_eq(dec.len, 136);
	ck_assert_mem_eq(dec.data, in, 136);
	buf_clear(&dec);
	ck_assert(json_unescape(&dec, "\\ud83d\\ude00", 12));
	ck_assert_str_eq(dec.data, "\xf0\x9f\x98\x80");
	ck_assert(!json_unescape(&dec, "\\ud83d", 6));
	ck_assert(!json_unescape(&dec, "\\x", 2));
	ck_assert(!json_unescape(&dec, "\\", 1));
}
END_TEST

static const struct { const char *s; size_t len; bool ok; } utf8[] = {
	{"abcdefgh\xc3\xa4", 10, true}, {"\xc0\xaf", 2, false}, {"\xed\xa0\x80", 3, false},
	{"\xf4\x90\x80\x80", 4, false},
	{"\xe2\x82", 2, false}, {"\x80", 1, false}, {"\xf0\x9f\x98\x80", 4, true}, {"", 0, true}, {"\xff", 1, false},
};

START_TEST(test_utf8)
{
	ck_assert_int_eq(utf8_valid(utf8[_i].s, utf8[_i].len), utf8[_i].ok);
}
END_TEST

/* RFC 4648, 10, and what more than one reader takes for the same bytes. */
static const struct { const char *text, *plain; } base64s[] = {
	{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}, {"Zm9vYmE=", "fooba"},
	{"Zm9vYmFy", "foobar"}, {"+/+/", "\xfb\xff\xbf"},
	{"Zh==", NULL}, {"Zm9=", NULL}, {"Zg=", NULL}, {"Zg", NULL}, {"Zg==Zg==", NULL}, {"Z===", NULL}, {"====", NULL},
	{"=Zg=", NULL}, {"Zm9v\n", NULL},
	{"Zm 9", NULL}, {"Zm-v", NULL}, {"Zm9_", NULL}, {"\xc3\xa4\xc3\xa4", NULL},
};

START_TEST(test_base64)
{
	const char *text = base64s[_i].text, *plain = base64s[_i].plain;
	struct buf b;

	buf_init(&b, NULL, 100);
	ck_assert_int_eq(buf_unbase64(&b, text, strlen(text)), plain != NULL);
	if (plain) {
		ck_assert_str_eq(b.data ? b.data : "", plain);
		buf_clear(&b);
		buf_base64(&b, plain, strlen(plain));
		ck_assert_str_eq(b.data ? b.data : "", text);
	}
	buf_reset(&b);
}
END_TEST

/* Over the pieces in which it is done, and over the ceiling. */
START_TEST(test_base64_of_much)
{
	enum { BYTES = 7 << 20 };
	char *data = malloc(BYTES);
	struct buf text, back, small;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (char)(i * 2654435761U >> 13);
	buf_init(&text, NULL, 2 * (size_t)BYTES);
	buf_init(&back, NULL, BYTES);
	buf_base64(&text, data, BYTES);
	ck_assert_uint_eq(text.len, (BYTES + 2) / 3 * 4);
	ck_assert(buf_unbase64(&back, text.data, text.len));
	ck_assert(back.len == BYTES && memcmp(back.data, data, BYTES) == 0);
	buf_reset(&back);
	buf_init(&back, NULL, BYTES - 1);
	ck_assert(!buf_unbase64(&back, text.data, text.len) && back.overflow);
	buf_init(&small, NULL, text.len - 1);
	buf_base64(&small, data, BYTES);
	ck_assert(small.overflow && small.len == 0);
	buf_reset(&text);
	buf_reset(&back);
	buf_reset(&small);
	free(data);
}
END_TEST

START_TEST(test_sha256)
{
	auto_mem void *ctx = talloc_new(NULL);
	struct hash *h = hash_new(ctx);
	struct digest d;
	char hex[DIGEST_HEX + 1];

	/* FIPS 180-4 example, twice: the context must be ready again. */
	for (int i = 0; i < 2; i++) {
		hash_bytes(h, "abc", 3, &d);
		digest_hex(&d, hex);
		ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	}
	hash_hmac("key", 3, "The quick brown fox jumps over the lazy dog", 43, &d);
	digest_hex(&d, hex);
	ck_assert_str_eq(hex, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
}
END_TEST

START_TEST(test_hash_beside)
{
	enum { MOST = 300000 };
	static const size_t pieces[] = {1, 100, 65535, 65536, 70000, 131072, 131073, MOST};
	auto_mem void *ctx = talloc_new(NULL);
	char *data = mem_array(ctx, char, MOST);
	struct hash_beside *beside = hash_beside_new(ctx);
	struct hash *plain = hash_new(ctx);
	struct digest got, want;

	for (size_t i = 0; i < MOST; i++)
		data[i] = (char)(i * 7 + i / 256);
	/* ready again; small pieces between large ones */
	for (size_t round = 0; round < ARRAY_LEN(pieces) * 3; round++) {
		for (size_t k = 0; k < 2000 / (1 + round); k++) {
			size_t len = pieces[(round + k * (round % 3)) % ARRAY_LEN(pieces)];

			hash_update(plain, data + k, len < MOST ? len : MOST - k);
			hash_beside_update(beside, data + k, len < MOST ? len : MOST - k);
			if (len > 65536 && k > 20)
				break;
		}
		hash_final(plain, &want);
		hash_beside_final(beside, &got);
		ck_assert_mem_eq(got.b, want.b, DIGEST_BYTES);
	}
	hash_beside_update(beside, data, MOST / 3); /* given up with a block under way */
	talloc_free(beside);
}
END_TEST

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int cmp_u64_down(const void *a, const void *b)
{
	return cmp_u64(b, a);
}

START_TEST(test_spool)
{
	static const uint64_t counts[] = {0, 1, 1000, 4000000}; /* the last: eight sorted runs to merge */
	static const enum { AT_THE_END, EARLY, EARLY_BY_ANOTHER } ways[] = {AT_THE_END, EARLY, EARLY_BY_ANOTHER};
	uint64_t count = counts[_i % 4], x = 88172645463325252ULL, last = 0, n = 0, sum = 0;
	auto_mem void *ctx = talloc_new(NULL);
	struct spool *s;
	struct err err;
	const void *p;

	ck_assert_int_eq(spool_new(ctx, 8, &s, &err), 0);
	if (ways[_i / 4] != AT_THE_END)
		spool_sort_early(s, ways[_i / 4] == EARLY ? cmp_u64 : cmp_u64_down);
	for (uint64_t i = 0; i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x;
		if (spool_add(s, &x, &err) != 0) /* an assertion per record would cost more than the sort */
			ck_abort_msg("spool_add: %s", err.msg);
	}
	ck_assert_int_eq(spool_sort(s, cmp_u64, &err), 0);
	while (spool_next(s, &p, &err) == 1) {
		if (last > *(const uint64_t *)p)
			ck_abort_msg("record %llu is out of order", (unsigned long long)n);
		last = *(const uint64_t *)p;
		sum -= last;
		n++;
	}
	ck_assert_uint_eq(n, count);
	ck_assert_uint_eq(sum, 0); /* the same records */
}
END_TEST

/* Nobody waits for what was being sorted: the spool goes when the thread is done with it. */
START_TEST(test_spool_dropped_early)
{
	struct spool *s;
	struct err err;

	ck_assert_int_eq(spool_new(NULL, 8, &s, &err), 0);
	spool_sort_early(s, cmp_u64);
	for (uint64_t i = 0; i < 600000; i++)
		if (spool_add(s, &i, &err) != 0)
			ck_abort_msg("spool_add: %s", err.msg);
	talloc_free(s);
}
END_TEST

/* What a message may hold, and what of it comes to the terminal. */
static const struct { const char *text, *line; } log_lines[] = {
	{"plain \xc3\xa4\xe2\x82\xac", "mmretain: warning: plain \xc3\xa4\xe2\x82\xac\n"},
	{"a\nfake: line\x1b[31m\x7f", "mmretain: warning: a\\x0afake: line\\x1b[31m\\x7f\n"},
	{"csi \xc2\x9b" "31m", "mmretain: warning: csi \\u{9b}31m\n"},
	{"turned \xe2\x80\xae" "gnp.", "mmretain: warning: turned \\u{202e}gnp.\n"},
	{"isolate \xe2\x81\xa6 mark \xe2\x80\x8f end \xe2\x80\xa8", "mmretain: warning: isolate \\u{2066} mark "
								    "\\u{200f} end \\u{2028}\n"},
	{"not text \xff\xc3", "mmretain: warning: not text \\xff\\xc3\n"},
};

START_TEST(test_log_lines)
{
	char got[512];
	int pipe_fd[2], keep = dup(2);
	ssize_t n;

	ck_assert_int_eq(pipe(pipe_fd), 0);
	dup2(pipe_fd[1], 2);
	log_warn("%s", log_lines[_i].text);
	dup2(keep, 2);
	close(keep);
	close(pipe_fd[1]);
	n = read(pipe_fd[0], got, sizeof got - 1);
	close(pipe_fd[0]);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, log_lines[_i].line);
}
END_TEST

/* Who asked for the end, and a hint that no command makes untrue: not every one has a next run. */
START_TEST(test_stop_check)
{
	struct err err = {0};

	ck_assert_int_eq(stop_check(&err), 0);
	stop_request(SIGTERM);
	ck_assert_int_eq(stop_check(&err), -ERR_INTERRUPTED);
	stop_request(0);
	ck_assert_str_eq(err.msg, "stopped by SIGTERM");
	ck_assert_ptr_null(strstr(err.hint, " run"));
	ck_assert_ptr_nonnull(strstr(err.hint, "Give the same command again"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("base");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_duration, 0, (int)ARRAY_LEN(durations));
	tcase_add_test(tc, test_duration_ends);
	tcase_add_loop_test(tc, test_cutoff, 0, (int)ARRAY_LEN(cutoffs));
	tcase_add_loop_test(tc, test_passed, 0, (int)ARRAY_LEN(passed));
	tcase_add_loop_test(tc, test_bytes, 0, (int)ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, test_time, 0, (int)ARRAY_LEN(times));
	tcase_add_loop_test(tc, test_scan, 0, (int)ARRAY_LEN(objects));
	tcase_add_test(tc, test_err_ends_work);
	tcase_add_test(tc, test_json_round_trip);
	tcase_add_loop_test(tc, test_utf8, 0, (int)ARRAY_LEN(utf8));
	tcase_add_loop_test(tc, test_base64, 0, (int)ARRAY_LEN(base64s));
	tcase_add_test(tc, test_base64_of_much);
	tcase_add_test(tc, test_sha256);
	tcase_add_test(tc, test_hash_beside);
	tcase_add_loop_test(tc, test_spool, 0, 12);
	tcase_add_test(tc, test_spool_dropped_early);
	tcase_add_loop_test(tc, test_log_lines, 0, (int)ARRAY_LEN(log_lines));
	tcase_add_test(tc, test_stop_check);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, base_buf_case());
	suite_add_tcase(suite, base_file_case());
	return suite_run(suite);
}
