/*
 * purge_test.c - the pure parts: the filter of a bundle's posts, the arithmetic of pauses.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "purge_internal.h"
#include "purge_tests.h"
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

/* Of a pause of 4 x 1 ms: nothing up to half of a limit, then in proportion, never more than at it. */
static const struct { double strain; int64_t extra_us; } stretches[] = {
	{0, 0}, {0.5, 0}, {0.75, 18000}, {0.9, 28800}, {1, 36000}, {7, 36000},
};

START_TEST(test_stretch)
{
	int64_t extra_us = purge_stretch_us(stretches[_i].strain, 1000, 4), off = extra_us - stretches[_i].extra_us;

	ck_assert_msg(off >= -1 && off <= 1, "%lld us at %.2f", (long long)extra_us, stretches[_i].strain);
	ck_assert_int_eq(purge_stretch_us(1, 1000, 0), 9000); /* at full speed a replica slows the run, too */
}
END_TEST

static char late_name[] = "late", near_name[] = "near", secret_name[] = "secret";
static struct mm_replica some_replicas[] = {
	{.name = near_name, .behind_bytes = 1 << 20, .behind_ms = 300},
	{.name = late_name, .behind_bytes = 60 << 20, .behind_ms = 9000},
	{.name = secret_name, .hidden = true},
};
static const char *const but_late[] = {"other", late_name}, *const but_secret[] = {secret_name};
static const struct {
	struct purge_pace_limits limits;
	int64_t cost_us;
	double replica, server;
	const char *worst;
	size_t hidden;
} strains[] = {
	{{.lag_ms = 10000, .lag_bytes = 128 << 20, .cost_ms = 20}, 5000, 0.9, 0.25, late_name, 1},
	{{.lag_ms = 100000, .lag_bytes = 50 << 20, .cost_ms = 20}, 60000, 1.2, 3, late_name, 1},
	{{.lag_ms = 10000, .lag_bytes = 128 << 20}, 60000, 0.9, 0, late_name, 1},
	{{.lag_bytes = 128 << 20, .cost_ms = 1}, 0, 60.0 / 128, 0, late_name, 1},
	{{.lag_ms = 3000, .except = but_late, .n_except = 2}, 0, 0.1, 0, near_name, 1},
	{{.lag_ms = 10000, .except = but_secret, .n_except = 1}, 0, 0.9, 0, late_name, 0},
	{{.cost_ms = 20}, 1000, 0, 0.05, NULL, 0}, /* nobody asks about replicas */
};

START_TEST(test_strain)
{
	const struct mm_busy busy = {.cost_us = strains[_i].cost_us,
				     .replica = some_replicas,
				     .n_replicas = ARRAY_LEN(some_replicas)};
	struct purge_strain s;

	purge_strain_of(&busy, &strains[_i].limits, &s);
	ck_assert_double_eq_tol(s.replica, strains[_i].replica, 1e-9);
	ck_assert_double_eq_tol(s.server, strains[_i].server, 1e-9);
	ck_assert_uint_eq(s.hidden, strains[_i].hidden);
	ck_assert(strains[_i].worst ? s.worst && strcmp(s.worst->name, strains[_i].worst) == 0 : !s.worst);
}
END_TEST

/* What nothing limits is as it was; nobody is asked, so there need be no session. */
START_TEST(test_no_limits)
{
	const struct purge_pace_limits none = {.lag_ms = 0};
	struct purge_pace *p = purge_pace_new(ctx, NULL, 0, &none);
	const struct purge_pace_wait w = {.beside = true};
	struct err err = {0};

	ck_assert_int_eq(purge_pace_wait(p, &w, &err), 0);
	ck_assert_int_eq(purge_pace_pause_us(p, true, 1500, 4), 6000);
	ck_assert_int_eq(purge_pace_pause_us(p, false, 1500, 0), 0);
	ck_assert_int_eq(purge_pace_pause_us(NULL, true, 1500, 4), 6000);
	ck_assert_int_eq(purge_pace_waited(p)->replicas_ms + purge_pace_waited(p)->server_ms, 0);
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
	tcase_add_loop_test(tc, test_stretch, 0, ARRAY_LEN(stretches));
	tcase_add_loop_test(tc, test_strain, 0, ARRAY_LEN(strains));
	tcase_add_test(tc, test_no_limits);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, missing_tests());
	return suite_run(s);
}
