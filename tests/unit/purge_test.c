/*
 * purge_test.c - the pure parts: the filter of a bundle's posts.
 */
#include <check.h>
#include <stdio.h>

#include "purge_internal.h"
#include "../support/suite.h"

static void *ctx;

static void setup(void)
{
	ctx = mem_context(NULL, "test");
}

static void teardown(void)
{
	talloc_free(ctx);
}

static void id_of(mm_id ret, const char *prefix, unsigned n)
{
	snprintf(ret, sizeof(mm_id), "%s%020u", prefix, n);
}

static const uint64_t sizes[] = {1, 2, 1000, 50000};

/* Every post is known, and so few others that not one bundle in ten is read for a thousand of them. */
START_TEST(test_seen)
{
	struct purge_seen *s = purge_seen_new(ctx, sizes[_i]);
	unsigned wrong = 0;
	mm_id id;

	for (unsigned i = 0; i < sizes[_i]; i++) {
		id_of(id, "post", i);
		purge_seen_add(s, id);
	}
	for (unsigned i = 0; i < sizes[_i]; i++) {
		id_of(id, "post", i);
		ck_assert_msg(purge_seen_may(s, purge_seen_hash(id)), "%s is not known", id);
	}
	for (unsigned i = 0; i < 200000; i++) {
		id_of(id, "else", i);
		wrong += purge_seen_may(s, purge_seen_hash(id));
	}
	ck_assert_uint_le(wrong, 20);
}
END_TEST

START_TEST(test_seen_empty)
{
	ck_assert(!purge_seen_may(purge_seen_new(ctx, 0), purge_seen_hash("post")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("purge");
	TCase *tc = tcase_create("purge");

	mem_setup();
	log_level_set(LOG_ERROR);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_seen, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, test_seen_empty);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
