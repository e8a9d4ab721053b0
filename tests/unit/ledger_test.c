/*
 * ledger_test.c - the chain, its damage, its recovery, and the folded state.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger_test.h"
#include "../support/suite.h"

#define START_MS INT64_C(1764000000000)

void *ctx;
int dirfd_test = -1;
static char dir_path[64];

static void setup(void)
{
	ctx = mem_context(NULL, "test");
	strcpy(dir_path, "/tmp/mmr-ledger-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir_path));
	dirfd_test = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dirfd_test, 0);
	time_override_ms(START_MS);
	unsetenv("MMR_FAULT");
	log_level_set(LOG_ERROR);
}

static void teardown(void)
{
	(void)unlinkat(dirfd_test, LEDGER_FILE, 0);
	close(dirfd_test);
	(void)rmdir(dir_path);
	talloc_free(ctx);
}

struct ledger *must_open(void)
{
	struct ledger *l = NULL;
	struct err err = {0};

	ck_assert_msg(ledger_open(ctx, dirfd_test, &l, &err) == 0, "%s", err.msg);
	return l;
}

void put(struct ledger *l, const char *type, const char *const *pair)
{
	struct ledger_entry e;
	struct err err = {0};

	ledger_begin(&e, ctx, type);
	for (; *pair; pair += 2)
		ledger_str(&e, pair[0], pair[1]);
	ledger_int(&e, "posts", 7);
	ck_assert_msg(ledger_append(l, &e, &err) == 0, "%s", err.msg);
}

void put_sweep(struct ledger *l, const char *run, const char *bundle, const char *field, int64_t value)
{
	struct ledger_entry e;
	struct err err;

	ledger_begin(&e, ctx, "sweep");
	ledger_str(&e, "run", run);
	ledger_str(&e, "bundle", bundle);
	if (value)
		ledger_int(&e, field, value);
	ck_assert_int_eq(ledger_append(l, &e, &err), 0);
}

struct ledger_state *fold(void)
{
	struct ledger_state *st = NULL;
	struct err err = {0};

	ck_assert_msg(ledger_fold(ctx, dirfd_test, &st, &err) == 0, "%s", err.msg);
	return st;
}

static char *slurp(size_t *len)
{
	struct err err = {0};
	char *data;

	ck_assert_msg(file_read(ctx, dirfd_test, LEDGER_FILE, 1 << 24, &data, len, &err) == 0, "%s", err.msg);
	return data;
}

static void spill(const char *data, size_t len)
{
	struct err err = {0};
	int fd = openat(dirfd_test, LEDGER_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(file_write_all(fd, data, len, "test", &err), 0);
	close(fd);
}

static void three_lines(void)
{
	struct ledger *l = must_open();

	PUT(l, "run-begin", "run", "r1");
	PUT(l, "published", "run", "r1", "bundle", "b\"1");
	PUT(l, "run-end", "run", "r1", "outcome", "complete");
	talloc_free(l);
}

static int count_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	uint64_t *n = payload;

	(void)err;
	ck_assert_uint_eq(seq, ++*n);
	ck_assert_int_eq(line[0], '{');
	ck_assert_int_eq(line[len - 1], '}');
	return 0;
}

static int count(uint64_t *ret)
{
	struct err err = {0};

	*ret = 0;
	return ledger_read(dirfd_test, count_line, ret, &err);
}

/* ---- chain ---- */

START_TEST(missing_is_empty)
{
	uint64_t n;

	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(exact_bytes)
{
	struct ledger *l = must_open();
	struct hash *h = hash_new(ctx);
	struct digest d;
	char hex[DIGEST_HEX + 1];
	size_t len;
	char *data;
	const char *head = "{\"seq\":1,\"at\":\"2025-11-24T16:00:00Z\",\"prev\":\""
			   "0000000000000000000000000000000000000000000000000000000000000000\",\"type\":\"run-begin\","
			   "\"run\":\"r1\",\"posts\":7";

	PUT(l, "run-begin", "run", "r1");
	data = slurp(&len);
	ck_assert_uint_eq(len, strlen(head) + 75 + 1);
	ck_assert_int_eq(memcmp(data, head, strlen(head)), 0);
	hash_bytes(h, head, strlen(head), &d);
	digest_hex(&d, hex);
	ck_assert_int_eq(memcmp(data + strlen(head), ",\"hash\":\"", 9), 0);
	ck_assert_int_eq(memcmp(data + strlen(head) + 9, hex, DIGEST_HEX), 0);
	ck_assert_str_eq(data + strlen(head) + 9 + DIGEST_HEX, "\"}\n");
}
END_TEST

START_TEST(chain_goes_on_after_reopen)
{
	uint64_t n;

	three_lines();
	three_lines();
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 6);
}
END_TEST

START_TEST(every_bit_flip_is_seen)
{
	size_t len;
	char *data;

	three_lines();
	data = slurp(&len);
	for (size_t i = 0; i < len * 8; i++) {
		struct ledger *l;
		struct err err = {0};
		uint64_t n;

		data[i / 8] ^= (char)(1 << (i % 8));
		spill(data, len);
		ck_assert_msg(count(&n) == -ERR_VERIFY, "bit %zu of byte %zu", i % 8, i / 8);
		ck_assert_int_eq(ledger_open(ctx, dirfd_test, &l, &err), -ERR_VERIFY);
		data[i / 8] ^= (char)(1 << (i % 8));
	}
	spill(data, len);
	must_open();
}
END_TEST

START_TEST(lines_cannot_be_swapped_dropped_or_doubled)
{
	static const int orders[][4] = {{1, 0, 2, -1}, {0, 2, -1, -1}, {1, 2, -1, -1}, {0, 1, 1, 2}, {0, 0, 1, 2}};
	size_t len, start[4] = {0}, n_lines = 0;
	char *data, *out;

	three_lines();
	data = slurp(&len);
	for (size_t i = 0; i < len; i++)
		if (data[i] == '\n')
			start[++n_lines] = i + 1;
	ck_assert_uint_eq(n_lines, 3);
	out = mem_array(ctx, char, 2 * len);
	for (size_t o = 0; o < ARRAY_LEN(orders); o++) {
		size_t at = 0;
		uint64_t n;

		for (int i = 0; i < 4 && orders[o][i] >= 0; i++) {
			size_t from = start[orders[o][i]], bytes = start[orders[o][i] + 1] - from;

			memcpy(out + at, data + from, bytes);
			at += bytes;
		}
		spill(out, at);
		ck_assert_msg(count(&n) == -ERR_VERIFY, "order %zu", o);
	}
}
END_TEST

/* ---- torn tails ---- */

START_TEST(truncation_at_every_byte)
{
	size_t len;
	char *data;

	three_lines();
	data = slurp(&len);
	for (size_t cut = 0; cut <= len; cut++) {
		uint64_t whole = 0, n;
		bool torn = cut > 0 && data[cut - 1] != '\n';
		bool lacks_newline = cut < len && data[cut] == '\n';

		for (size_t i = 0; i < cut; i++)
			whole += data[i] == '\n';
		spill(data, cut);
		ck_assert_int_eq(count(&n), 0);
		ck_assert_uint_eq(n, whole);
		talloc_free(must_open());
		ck_assert_int_eq(count(&n), 0);
		ck_assert_msg(n == whole + lacks_newline + torn, "cut at %zu: %llu lines", cut, (unsigned long long)n);
		three_lines();
	}
}
END_TEST

START_TEST(torn_tail_with_zeros)
{
	char zeros[600] = {0};
	size_t len;
	uint64_t n;
	char *data;

	three_lines();
	data = slurp(&len);
	memcpy(zeros, data, 40);
	data = mem_grow(ctx, data, char, len + sizeof(zeros));
	memcpy(data + len, zeros, sizeof(zeros));
	spill(data, len + sizeof(zeros));
	talloc_free(must_open());
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 4);
}
END_TEST

/* ledger_open_end goes on where the chain ends, cuts a torn record as ledger_open does, and does not look at what is
 * before. */
START_TEST(end_alone)
{
	struct ledger *l;
	struct err err = {0};
	uint64_t n;
	size_t len;

	for (int i = 0; i < 400; i++) { /* longer than what is read of the end */
		ck_assert_int_eq(ledger_open_end(ctx, dirfd_test, &l, &err), 0);
		PUT(l, "access", "case", "a \"prev\":\" b", "reason", "of a length that is usual for a reason, so that "
								      "some lines are long");
		talloc_free(l);
	}
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 400);
	char *data = slurp(&len);
	ck_assert_uint_gt(len, 70000);
	for (size_t cut = len - 1; cut > len - 300; cut -= 13) {
		spill(data, cut);
		ck_assert_int_eq(ledger_open_end(ctx, dirfd_test, &l, &err), 0);
		PUT(l, "access", "case", "1");
		talloc_free(l);
		ck_assert_int_eq(count(&n), 0);
		ck_assert_uint_ge(n, 401); /* 399 or 400, a recovered line, the new one */
	}
	data[len - 200] ^= 1; /* the last record */
	spill(data, len);
	ck_assert_int_eq(ledger_open_end(ctx, dirfd_test, &l, &err), -ERR_VERIFY);
	data[len - 200] ^= 1;
	data[200] ^= 1;
	spill(data, len);
	err_clear(&err);
	ck_assert_int_eq(ledger_open_end(ctx, dirfd_test, &l, &err), 0);
	talloc_free(l);
	ck_assert_int_eq(count(&n), -ERR_VERIFY);
}
END_TEST

START_TEST(recovery_is_in_the_chain)
{
	size_t len;
	char *data;

	three_lines();
	data = slurp(&len);
	spill(data, len - 10);
	talloc_free(must_open());
	data = slurp(&len);
	ck_assert_ptr_nonnull(strstr(data, "\"type\":\"recovered\",\"cut_bytes\":"));
	ck_assert_ptr_null(strstr(data, "run-end"));
	ck_assert_ptr_nonnull(strstr(data, "\"completed\":false,\"hash\""));
}
END_TEST

/* ---- lock, failures ---- */

START_TEST(two_writers)
{
	struct ledger *a = must_open(), *b = NULL;
	struct err err = {0};
	uint64_t n;

	ck_assert_int_eq(ledger_open(ctx, dirfd_test, &b, &err), -ERR_LOCKED);
	ck_assert_ptr_null(b);
	ck_assert_str_ne(err.hint, "");
	PUT(a, "run-begin", "run", "r1");
	ck_assert_int_eq(count(&n), 0); /* readers do not wait */
	ck_assert_uint_eq(n, 1);
	talloc_free(a);
	talloc_free(must_open());
}
END_TEST

START_TEST(not_a_regular_file)
{
	struct ledger *l;
	struct err err = {0};

	ck_assert_int_eq(symlinkat("/dev/null", dirfd_test, LEDGER_FILE), 0);
	ck_assert_int_eq(ledger_open(ctx, dirfd_test, &l, &err), -ERR_STORE);
	ck_assert_int_eq(unlinkat(dirfd_test, LEDGER_FILE, 0), 0);
	ck_assert_int_eq(mkfifoat(dirfd_test, LEDGER_FILE, 0600), 0);
	ck_assert_int_eq(ledger_open(ctx, dirfd_test, &l, &err), -ERR_STORE);
	ck_assert_int_eq(ledger_read(dirfd_test, NULL, NULL, &err), -ERR_STORE);
}
END_TEST

START_TEST(too_long_a_record)
{
	struct ledger *l = must_open();
	struct ledger_entry e;
	struct err err = {0};
	char *big = mem_array(ctx, char, LEDGER_LINE_MAX + 1);
	uint64_t n;

	memset(big, 'x', LEDGER_LINE_MAX);
	ledger_begin(&e, ctx, "kept");
	ledger_str(&e, "reason", big);
	ck_assert_int_eq(ledger_append(l, &e, &err), -ERR_INTERNAL);
	PUT(l, "run-begin", "run", "r1"); /* nothing was written, so it goes on */
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(no_newlines_from_outside)
{
	struct ledger *l = must_open();
	struct ledger_entry e;
	struct err err = {0};

	PUT(l, "kept", "reason", "two\nlines \x01 \"quoted\" \\");
	ledger_begin(&e, ctx, "plan");
	ledger_raw(&e, "rules", "[\n]");
	ck_assert_int_eq(ledger_append(l, &e, &err), -ERR_INTERNAL);
	PUT(l, "kept", "reason", "still going");
}
END_TEST

#ifdef MMR_FAULTS
/* The disk is full, or the sync fails: the record may be there in part, the ledger takes no more, and the next start
 * recovers. */
START_TEST(write_failures)
{
	static const char *const faults[] = {"LEDGER_WRITE:ENOSPC:1+", "LEDGER_WRITE:EIO:1+", "LEDGER_SYNC:EIO:1+"};
	struct ledger *l;
	struct ledger_entry e;
	struct err err = {0};
	uint64_t n;

	three_lines();
	l = must_open();
	setenv("MMR_FAULT", faults[_i], 1);
	ledger_begin(&e, ctx, "purging");
	ledger_str(&e, "bundle", "b1");
	ck_assert_int_eq(ledger_append(l, &e, &err), -ERR_STORE);
	unsetenv("MMR_FAULT");
	ledger_begin(&e, ctx, "purging");
	ck_assert_int_eq(ledger_append(l, &e, &err), -ERR_STORE);
	ck_assert_ptr_nonnull(strstr(err.msg, "takes no more records"));
	talloc_free(l);
	three_lines();
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_ge(n, 7);
}
END_TEST

/* It ends just when a torn record is cut off: the chain is whole, only that no record tells of it. */
START_TEST(cut_and_no_further)
{
	struct ledger *l;
	struct ledger_entry e;
	struct err err = {0};
	uint64_t n;

	three_lines();
	l = must_open();
	setenv("MMR_FAULT", "LEDGER_WRITE:ENOSPC:1+", 1);
	ledger_begin(&e, ctx, "purging");
	ledger_str(&e, "bundle", "b1");
	ck_assert_int_eq(ledger_append(l, &e, &err), -ERR_STORE);
	talloc_free(l);
	setenv("MMR_FAULT", "LEDGER_CUT:EIO:1+", 1);
	ck_assert_int_eq(ledger_open(ctx, dirfd_test, &l, &err), -ERR_STORE);
	ck_assert_ptr_nonnull(strstr(err.msg, "cannot cut the ledger"));
	unsetenv("MMR_FAULT");
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 3);
	three_lines();
	ck_assert_int_eq(count(&n), 0);
	ck_assert_uint_eq(n, 6);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("ledger");
	TCase *chain = tcase_create("chain"), *torn = tcase_create("torn"), *fail = tcase_create("failures"),
	      *folded = fold_tests();
	TCase *all[] = {chain, torn, fail, folded, hold_tests(), late_tests(), archive_tests(), purged_tests()};

	mem_setup();
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		tcase_add_checked_fixture(all[i], setup, teardown);
		tcase_set_timeout(all[i], 120);
		suite_add_tcase(s, all[i]);
	}
	tcase_add_test(chain, missing_is_empty);
	tcase_add_test(chain, exact_bytes);
	tcase_add_test(chain, chain_goes_on_after_reopen);
	tcase_add_test(chain, every_bit_flip_is_seen);
	tcase_add_test(chain, lines_cannot_be_swapped_dropped_or_doubled);
	tcase_add_test(torn, truncation_at_every_byte);
	tcase_add_test(torn, torn_tail_with_zeros);
	tcase_add_test(torn, end_alone);
	tcase_add_test(torn, recovery_is_in_the_chain);
	tcase_add_test(fail, two_writers);
	tcase_add_test(fail, not_a_regular_file);
	tcase_add_test(fail, too_long_a_record);
	tcase_add_test(fail, no_newlines_from_outside);
#ifdef MMR_FAULTS
	tcase_add_loop_test(fail, write_failures, 0, 3);
	tcase_add_test(fail, cut_and_no_further);
#endif
	return suite_run(s);
}
