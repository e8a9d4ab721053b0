/* plan_thread_test.c - what stands between the rows of the database and the decision: templates, ids, folding, holds.
 */
#include <stdlib.h>
#include <string.h>

#include "../../engine/mm/mm_thread_internal.h"
#include "plan_tests.h"

START_TEST(template_blocks)
{
	const struct sql from = {"t", "-- comment\na\n--[x\nb\n--[y\nc\n--]\nd\n--]\n--[z\n--[x\ne\n--]\n--]\nf\n"};
	void *ctx = mem_context(NULL, "test");
	struct err err = {0};
	struct sql sql;

	ck_assert_int_eq(mm_template(ctx, &from, (const char *[]){NULL}, &sql, &err), 0);
	ck_assert_str_eq(sql.text, "a\nf\n");
	ck_assert_int_eq(mm_template(ctx, &from, (const char *[]){"x", NULL}, &sql, &err), 0);
	ck_assert_str_eq(sql.text, "a\nb\nd\nf\n");
	ck_assert_int_eq(mm_template(ctx, &from, (const char *[]){"x", "y", "z", NULL}, &sql, &err), 0);
	ck_assert_str_eq(sql.text, "a\nb\nc\nd\ne\nf\n");
	ck_assert_int_eq(mm_template(ctx, &from, (const char *[]){"y", "z", NULL}, &sql, &err), 0);
	ck_assert_str_eq(sql.text, "a\nf\n");
	ck_assert_int_eq(mm_template(ctx, &(struct sql){"t", "--[x\n"}, (const char *[]){NULL}, &sql, &err),
			 -ERR_INTERNAL);
	talloc_free(ctx);
}
END_TEST

START_TEST(ids_are_found)
{
	enum { N = 20000 };
	void *ctx = mem_context(NULL, "test");
	mm_id *id = mem_array(ctx, mm_id, N);
	struct mm_idmap m;

	mm_idmap_init(&m, ctx, sizeof *id);
	mm_idmap_base(&m, id);
	ck_assert_uint_eq(mm_idmap_find(&m, "x", 1), MM_NO_INDEX);
	for (int i = 0; i < N; i++) {
		snprintf(id[i], sizeof id[i], "%026d", i * 7);
		mm_idmap_add(&m);
	}
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(mm_idmap_find(&m, id[i], MM_ID), i);
	ck_assert_uint_eq(mm_idmap_find(&m, "00000000000000000000000001", MM_ID), MM_NO_INDEX);
	ck_assert_uint_eq(mm_idmap_find(&m, id[0], MM_ID - 1), MM_NO_INDEX);
	ck_assert_uint_eq(mm_idmap_find(&m, "000000000000000000000000000", MM_ID + 1), MM_NO_INDEX);
	mm_idmap_clear(&m);
	ck_assert_uint_eq(mm_idmap_find(&m, id[0], MM_ID), MM_NO_INDEX);
	talloc_free(ctx);
}
END_TEST

/* ---- fold: threads of known shape, in any order and number ---- */

struct seen { size_t n, wrong, stop_at; unsigned replies; };

static int look(void *payload, const struct mm_part *t, struct err *err)
{
	struct seen *s = payload;
	int id = atoi(t->root);
	unsigned replies = s->replies * (unsigned)(id % 2);
	bool damaged = id % 1000 == 1, held = id % 10 == 1;

	(void)err;
	s->n++;
	s->wrong += t->posts != 1 + replies || t->root_create_ms != 1000 + id ||
		    t->last_reply_ms != (replies ? 5000 + id : 1000 + id) ||
		    t->last_edit_ms != (replies ? 9000 + id : 1000 + id) || t->bytes != 10 + 3 * replies ||
		    t->channel != 7 || !!(t->bits & MM_DAMAGED) != (damaged && replies) ||
		    t->hold != (held && replies ? 2 : -1);
	return s->stop_at && s->n == s->stop_at;
}

static void add(struct mm_fold *f, int id, bool root, unsigned nth)
{
	struct mm_part p = {.channel = root || id % 1000 != 1 ? 7 : 8, .posts = 1, .bytes = root ? 10 : 3, .hold = -1,
			    .last_reply_ms = root ? 1000 + id : nth ? 2000 : 5000 + id};
	struct err err = {0};

	snprintf(p.root, sizeof p.root, "%026d", id);
	p.last_edit_ms = root || nth ? p.last_reply_ms : 9000 + id;
	p.root_create_ms = root ? 1000 + id : 0;
	p.bits = root ? MM_ROW_ROOT : 0;
	if (!root && id % 10 == 1)
		p.hold = nth ? 4 : 2;
	ck_assert_int_eq(mm_fold_add(f, &p, &err), 0);
}

static void fold_threads(int n, bool replies_first, unsigned replies)
{
	struct seen s = {.replies = replies};
	struct mm_fold *f;
	struct err err = {0};
	struct spool *rootless;

	ck_assert_int_eq(mm_fold_new(NULL, &f, &err), 0);
	ck_assert_int_eq(spool_new(f, sizeof(mm_id), &rootless, &err), 0);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < n; i++)
			if ((pass == 0) != replies_first)
				add(f, i, true, 0);
			else
				for (unsigned k = 0; k < replies * (unsigned)(i % 2); k++)
					add(f, i, false, k);
	ck_assert_int_eq(mm_fold_rootless(f, rootless, &err), 0);
	ck_assert_uint_eq(spool_count(rootless), 0);
	ck_assert_int_eq(mm_fold_run(f, look, &s, &err), 0);
	ck_assert_uint_eq(s.n, n);
	ck_assert_uint_eq(s.wrong, 0);
	s = (struct seen){.replies = replies, .stop_at = (size_t)n / 2};
	ck_assert_int_eq(mm_fold_run(f, look, &s, &err), 0);
	ck_assert_uint_eq(s.n, n / 2);
	talloc_free(f);
}

START_TEST(fold_small)
{
	fold_threads(5000, _i & 1, 3);
}
END_TEST

START_TEST(fold_more_than_memory)
{
	fold_threads(400000, _i & 1, 2); /* 200,000 threads with replies: more than are kept in memory */
}
END_TEST

static int count(void *payload, const struct mm_part *t, struct err *err)
{
	struct mm_part *to = payload;

	(void)err;
	*to = *t;
	to->posts += 100;
	return 0;
}

START_TEST(fold_strays_and_marks)
{
	struct mm_part mark = {.root = "00000000000000000000000002",
			       .channel = MM_NO_INDEX,
			       .hold = -1,
			       .bits = MM_FLAGGED},
		       got = {0};
	struct mm_fold *f;
	struct err err = {0};
	struct spool *rootless;

	ck_assert_int_eq(mm_fold_new(NULL, &f, &err), 0);
	ck_assert_int_eq(spool_new(f, sizeof(mm_id), &rootless, &err), 0);
	ck_assert_int_eq(mm_fold_add(f, &mark, &err), 0);
	ck_assert_int_eq(mm_fold_rootless(f, rootless, &err), 0);
	ck_assert_uint_eq(spool_count(rootless), 0); /* a mark is no row */
	add(f, 2, true, 0);
	add(f, 3, false, 0);
	ck_assert_int_eq(mm_fold_rootless(f, rootless, &err), 0);
	ck_assert_uint_eq(spool_count(rootless), 1);
	ck_assert_int_eq(mm_fold_run(f, count, &got, &err), 0);
	ck_assert_str_eq(got.root, mark.root);
	ck_assert_uint_eq(got.posts, 101);
	ck_assert_uint_eq(got.channel, 7);
	ck_assert_uint_eq(got.bits, MM_ROW_ROOT | MM_FLAGGED); /* and not damaged, though a mark has no channel */
	talloc_free(f);
}
END_TEST

/* ---- holds as stretches of time ---- */

/* The lowest hold that covers id at t, by looking at every one. */
static int lowest(const struct mm_segments *s, const char *id, int64_t t, int *ret_n)
{
	int hold = -1;

	*ret_n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->item[i].id, id) == 0 && s->item[i].since_ms <= t && t < s->item[i].until_ms) {
			(*ret_n)++;
			hold = hold < 0 || s->item[i].hold < hold ? s->item[i].hold : hold;
		}
	return hold;
}

START_TEST(segments_settle)
{
	void *ctx = mem_context(NULL, "test");
	struct mm_segments all = {0}, settled = {0};
	int n;

	srandom((unsigned)_i);
	for (int i = 0; i < 30; i++) {
		char id[2] = {(char)('a' + random() % 4), '\0'};
		int64_t since = random() % 5 ? random() % 50 : INT64_MIN,
			until = random() % 5 ? random() % 50 : INT64_MAX;

		mm_segment_add(ctx, &all, id, since, until, i);
		mm_segment_add(ctx, &settled, id, since, until, i);
	}
	mm_segments_settle(ctx, &settled);
	for (char c = 'a'; c < 'f'; c++)
		for (int64_t t = -2; t < 53; t++) {
			char id[2] = {c, '\0'};
			int want = lowest(&all, id, t, &n);

			ck_assert_int_eq(lowest(&settled, id, t, &n), want);
			ck_assert_int_eq(n, want >= 0); /* once */
		}
	talloc_free(ctx);
}
END_TEST

/* Each sign alone and among others. */
START_TEST(sound_ids)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	ck_assert(!mm_id_sound(""));
	ck_assert(mm_id_sound(good));
	for (int c = 1; c < 256; c++) {
		const char alone[] = {(char)c, '\0'}, among[] = {'a', (char)c, 'z', '\0'};
		bool want = strchr(good, c) != NULL;

		ck_assert_int_eq(mm_id_sound(alone), want);
		ck_assert_int_eq(mm_id_sound(among), want);
	}
}
END_TEST

TCase *plan_thread_case(void)
{
	TCase *c = tcase_create("threads");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, template_blocks);
	tcase_add_test(c, ids_are_found);
	tcase_add_loop_test(c, fold_small, 0, 2);
	tcase_add_loop_test(c, fold_more_than_memory, 0, 2);
	tcase_add_test(c, fold_strays_and_marks);
	tcase_add_test(c, sound_ids);
	tcase_add_loop_test(c, segments_settle, 0, 50);
	return c;
}
