/* ledger_hold_test.c - what the fold knows of holds. */
#include <stdio.h>
#include <string.h>

#include "ledger_test.h"

static void put_hold(struct ledger *l, const char *type, const char *roots, const char *case_id, const char *via)
{
	struct ledger_entry e;
	struct err err;

	ledger_begin(&e, ctx, type);
	ledger_raw(&e, "roots", roots);
	ledger_str(&e, "case", case_id);
	if (via)
		ledger_str(&e, "via", via);
	if (strcmp(case_id, "old") != 0)
		ledger_int(&e, "uid", 0);
	ck_assert_int_eq(ledger_append(l, &e, &err), 0);
}

START_TEST(fold_holds)
{
	struct ledger *l = must_open();
	struct ledger_state *st = fold();

	ck_assert_uint_eq(st->n_held, 0);
	put_hold(l, "hold", "[\"cc\",\"aa\"]", "17/26 \"x\"", "admin");
	put_hold(l, "release", "[\"zz\"]", "17/26", NULL); /* was never held */
	put_hold(l, "hold", "[\"bb\",\"abcdefghijklmnopqrstuvwxyz\",\"abcdefghijklmnopqrstuvwxyz0\",\"\"]", "18/26",
		 "restore");
	st = fold();
	ck_assert_uint_eq(st->n_held, 4); /* what is empty or longer than an id is none */
	ck_assert_str_eq(st->held[0], "aa");
	ck_assert_str_eq(st->held[1], "abcdefghijklmnopqrstuvwxyz");
	ck_assert_str_eq(st->held[2], "bb");
	ck_assert_str_eq(st->held[3], "cc");
	ck_assert_str_eq(ledger_held_first(st, st->held[0])->hold.case_id, "17/26 \"x\"");
	ck_assert(strcmp(ledger_held_first(st, st->held[0])->hold.via, "admin") == 0 &&
		  strcmp(ledger_held_first(st, st->held[1])->hold.via, "restore") == 0);
	ck_assert_str_eq(ledger_held_first(st, st->held[2])->hold.case_id, "18/26");
	ck_assert_int_gt(ledger_held_first(st, st->held[2])->hold.since_ms, 1500000000000);
	put_hold(l, "release", "[\"aa\",\"bb\"]", "17/26", NULL); /* holds none of them */
	put_hold(l, "release", "[\"aa\",\"abcdefghijklmnopqrstuvwxyz\"]", "17/26 \"x\"", NULL);
	put_hold(l, "hold", "[\"bb\"]", "19/26", "admin");
	put_hold(l, "hold", "[\"bb\"]", "18/26", "admin"); /* again: the newest line of a case tells */
	PUT(l, "run-begin", "run", "r1");
	st = fold();
	ck_assert_uint_eq(st->n_held, 3);
	ck_assert_str_eq(st->held[0], "abcdefghijklmnopqrstuvwxyz");
	ck_assert_str_eq(st->held[1], "bb");
	ck_assert_str_eq(ledger_held_first(st, st->held[1])->hold.case_id, "19/26");
	ck_assert_uint_eq(st->n_held_by, 4);
	ck_assert_str_eq(st->held_by[1].hold.case_id, "19/26");
	ck_assert_str_eq(st->held_by[2].hold.case_id, "18/26");
	ck_assert(ledger_held_first(st, "bb") == &st->held_by[1] &&
		  ledger_held_next(st, &st->held_by[1]) == &st->held_by[2] && !ledger_held_next(st, &st->held_by[2]));
	ck_assert_ptr_null(ledger_held_first(st, "aa"));
	ck_assert(ledger_held_for(st, "bb", "18/26") && ledger_held_for(st, "bb", "19/26") &&
		  !ledger_held_for(st, "bb", "17/26"));
	ck_assert(!ledger_held_for(st, "aa", "17/26 \"x\"") && !ledger_held_for(st, "zz", "17/26"));
	ck_assert_str_eq(st->open_run, "r1");
	put_hold(l, "release", "[\"bb\"]", "19/26", NULL);
	st = fold();
	ck_assert_uint_eq(st->n_held, 3);
	ck_assert_str_eq(ledger_held_first(st, st->held[1])->hold.case_id, "18/26");
	put_hold(l, "hold", "[\"bb\"]", "21/26", "admin");
	/* a line without uid is of a time when a release ended every case */
	put_hold(l, "release", "[\"bb\"]", "old", NULL);
	ck_assert_uint_eq(fold()->n_held, 2);
}
END_TEST

START_TEST(fold_many_holds)
{
	struct ledger *l = must_open();
	struct ledger_state *st;
	char text[64];

	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "[\"t%03d\",\"t%03d\"]", i, i + 1);
		put_hold(l, i % 3 == 2 ? "release" : "hold", text, "1", i % 3 == 2 ? NULL : "admin");
	}
	st = fold();
	/* Of three lines: hold 0 and 1, hold 1 and 2, release 2 and 3; then hold 3 and 4. */
	ck_assert_uint_eq(st->n_held, 200);
	for (size_t i = 1; i < st->n_held; i++)
		ck_assert(strcmp(st->held[i - 1], st->held[i]) < 0);
}
END_TEST

/* What ends every case may come in the midst of what makes room. */
START_TEST(fold_holds_ended_for_all)
{
	struct ledger *l = must_open();
	struct ledger_state *st;
	struct buf roots;

	for (int end = 1; end < 100; end++) {
		buf_init(&roots, ctx, LEDGER_LINE_MAX);
		for (int i = 0; i < end; i++)
			buf_printf(&roots, "%s\"t%03d\"", i ? "," : "[", i);
		buf_byte(&roots, ']');
		put_hold(l, "hold", roots.data, "1", "admin");
		if (end % 9 == 0)
			put_hold(l, "release", roots.data, "old", NULL);
		st = fold();
		ck_assert_uint_eq(st->n_held, end % 9 ? end : 0);
	}
}
END_TEST

enum { LINE_ROOTS = 30000, LINES = 72 };

/* Threads of one line, as many as go into it. */
static void put_many(struct ledger *l, const char *type, int line)
{
	struct buf roots;

	buf_init(&roots, NULL, LEDGER_LINE_MAX);
	for (int i = 0; i < LINE_ROOTS; i++)
		buf_printf(&roots, "%s\"t%025d\"", i ? "," : "[", line * LINE_ROOTS + i);
	buf_byte(&roots, ']');
	put_hold(l, type, roots.data, "1", strcmp(type, "hold") == 0 ? "restore" : NULL);
	buf_reset(&roots);
}

/* A whole run that was put back, and released: what the lines said of its threads is more than talloc gives at once. */
START_TEST(fold_holds_of_a_run)
{
	struct ledger *l = must_open();
	struct ledger_state *st;

	for (int i = 0; i < LINES; i++)
		put_many(l, "hold", i);
	st = fold();
	ck_assert_uint_eq(st->n_held, LINES * LINE_ROOTS);
	ck_assert_str_eq(st->held[12345], "t0000000000000000000012345");
	ck_assert_str_eq(st->held_by[st->n_held - 1].hold.via, "restore");
	talloc_free(st);
	for (int i = LINES; i-- > 1;)
		put_many(l, "release", i);
	st = fold();
	ck_assert_uint_eq(st->n_held, LINE_ROOTS);
	ck_assert(ledger_held_for(st, "t0000000000000000000000007", "1"));
}
END_TEST

TCase *hold_tests(void)
{
	TCase *held = tcase_create("hold");

	tcase_add_test(held, fold_holds);
	tcase_add_test(held, fold_many_holds);
	tcase_add_test(held, fold_holds_ended_for_all);
	tcase_add_test(held, fold_holds_of_a_run);
	return held;
}
