/*
 * people_test.c - the pure parts: the list file, verdicts, pseudonyms, the policy's choices.
 */
#include <check.h>
#include <string.h>

#include "people_internal.h"
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

/* ---- the list ---- */

static const struct { const char *text; size_t len; int n; const char *has; } lists[] = {
	{"j.doe", 0, 1, "j.doe"},
	{"j.doe\n", 0, 1, "j.doe"},
	{"J.DOE\r\n", 0, 1, "j.doe"},
	{"@j.doe", 0, 1, "j.doe"},
	{"\xef\xbb\xbfj.doe\n", 0, 1, "j.doe"},
	{"# leavers\n\n  Jane.Doe@Example.ORG \t# since May\n", 0, 1, "jane.doe@example.org"},
	{"a\nA\n@a\n", 0, 1, "a"},
	{"a\nb", 0, 2, "b"},
	{"a+b#c@example.org", 0, 1, "a+b#c@example.org"}, /* a # inside a word begins no comment */
	{"j\xc3\xb6rg", 0, 1, "j\xc3\xb6rg"},
	{"", 0, -1, NULL},
	{"\n\n#\n  # x\n", 0, -1, NULL},
	{"\xef\xbb\xbf", 0, -1, NULL},
	{"Jane Doe\n", 0, -1, NULL},
	{"a,b\n", 0, -1, NULL},
	{"\"a\"\n", 0, -1, NULL},
	{"Jane <jane@example.org>", 0, -1, NULL},
	{"*\n", 0, -1, NULL},
	{"a\0b\n", 4, -1, NULL},
	{"\xff\n", 0, -1, NULL},
	{"a\n\x01\n", 0, -1, NULL},
	{"good\nbad bad\ngood2\n", 0, -1, NULL},
};

START_TEST(test_list)
{
	struct people_names *names = NULL;
	struct err err = {0};
	size_t len = lists[_i].len ? lists[_i].len : strlen(lists[_i].text);
	int rc = people_list_parse(ctx, "list", lists[_i].text, len, &names, &err);

	if (lists[_i].n < 0) {
		ck_assert_int_eq(rc, -ERR_POLICY);
		ck_assert_ptr_null(names);
		ck_assert_str_ne(err.hint, "");
		return;
	}
	ck_assert_msg(rc == 0, "%s", err.msg);
	ck_assert_uint_eq(people_names_count(names), (unsigned)lists[_i].n);
	ck_assert_ptr_nonnull(people_names_find(names, lists[_i].has));
}
END_TEST

START_TEST(test_list_entry_ceiling)
{
	struct people_names *names = NULL;
	struct err err = {0};
	char line[257];

	memset(line, 'a', sizeof(line));
	ck_assert_int_eq(people_list_parse(ctx, "list", line, 255, &names, &err), 0);
	ck_assert_int_eq(people_list_parse(ctx, "list", line, 256, &names, &err), -ERR_POLICY);
	ck_assert_ptr_nonnull(strstr(err.msg, "line 1"));
	ck_assert_ptr_null(strstr(err.msg, "aaa")); /* a list of persons is not quoted */
}
END_TEST

/* ---- verdicts ---- */

#define DAY INT64_C(86400000)
#define NOW (20000 * DAY)
#define OLD (NOW - 4000 * DAY)
#define YEAR_2000 (10957 * DAY)
enum { HELD = 1, LEGAL = 2, EXCEPT = 4, LIST = 8, ON_LIST = 16, BOT = 32, REMOTE = 64, DONE = 128 };

static const struct { int64_t deleteat; unsigned is; enum people_verdict want; } verdicts[] = {
	{NOW - 91 * DAY, 0, PEOPLE_DUE},
	{0, 0, PEOPLE_ACTIVE},
	{-5, 0, PEOPLE_ACTIVE},
	{0, HELD | LEGAL | EXCEPT | BOT | REMOTE | DONE | LIST, PEOPLE_ACTIVE},
	{NOW - 90 * DAY, 0, PEOPLE_YOUNG},         /* longer than, not as long as */
	{NOW - 90 * DAY - 1, 0, PEOPLE_DUE},
	{NOW + DAY, 0, PEOPLE_YOUNG},              /* a clock that was wrong */
	{INT64_MAX - 80 * DAY, 0, PEOPLE_YOUNG},
	{INT64_MAX, 0, PEOPLE_YOUNG},
	{OLD, 0, PEOPLE_DUE},
	{1, 0, PEOPLE_ODD_TIME},                   /* hidden by hand: nobody knows when */
	{(NOW - 91 * DAY) / 1000, LIST | ON_LIST, PEOPLE_ODD_TIME},
	{YEAR_2000 - 1, 0, PEOPLE_ODD_TIME},
	{YEAR_2000, 0, PEOPLE_DUE},
	{1, LIST, PEOPLE_ODD_TIME},
	{1, HELD, PEOPLE_HELD},
	{1, EXCEPT, PEOPLE_EXCEPTED},
	{OLD, LIST, PEOPLE_UNLISTED},
	{OLD, LIST | ON_LIST, PEOPLE_DUE},
	{NOW - DAY, LIST | ON_LIST, PEOPLE_YOUNG},
	{OLD, BOT, PEOPLE_BOT},
	{OLD, REMOTE, PEOPLE_REMOTE},
	{OLD, DONE, PEOPLE_DONE},
	{OLD, HELD, PEOPLE_HELD},
	{OLD, HELD | LIST | ON_LIST, PEOPLE_HELD},
	{OLD, HELD | LEGAL, PEOPLE_HELD},
	{OLD, LEGAL, PEOPLE_LEGAL_HOLD},
	{OLD, LEGAL | LIST | ON_LIST, PEOPLE_LEGAL_HOLD},
	{OLD, EXCEPT, PEOPLE_EXCEPTED},
	{OLD, EXCEPT | LIST | ON_LIST, PEOPLE_EXCEPTED},
	{OLD, HELD | EXCEPT, PEOPLE_HELD},
	{OLD, BOT | HELD, PEOPLE_BOT},
	{OLD, DONE | HELD, PEOPLE_DONE},
};

START_TEST(test_judge)
{
	unsigned is = verdicts[_i].is;
	const char *id = "someidsomeidsomeidsomeidso", *hold = "unset";
	struct people_rules rules = {.now_ms = NOW, .after = {.ms = 90 * DAY}, .held = people_names_new(ctx),
				     .legal = people_names_new(ctx), .except = people_names_new(ctx)};
	struct people_row row = {.id = id,
				 .username = "j.doe",
				 .email = "Jane@Example.org",
				 .deleteat_ms = verdicts[_i].deleteat,
				 .bot = is & BOT,
				 .remote = is & REMOTE,
				 .done = is & DONE};

	people_names_add(rules.held, is & HELD ? id : "other", is & HELD ? 26 : 5, "case-1");
	people_names_add(rules.legal, is & LEGAL ? id : "other", is & LEGAL ? 26 : 5, NULL);
	people_names_add(rules.except, is & EXCEPT ? id : "other", is & EXCEPT ? 26 : 5, NULL);
	if (is & LIST)
		rules.listed = people_names_new(ctx);
	if (is & ON_LIST)
		people_names_add(rules.listed, "jane@example.org", 16, NULL);
	ck_assert_str_eq(people_verdict_name(people_judge(&rules, &row, &hold)),
			 people_verdict_name(verdicts[_i].want));
	if (is & HELD)
		ck_assert_str_eq(hold, "case-1");
	else
		ck_assert_ptr_null(hold);
}
END_TEST

START_TEST(test_verdict_words)
{
	for (int v = 0; v < PEOPLE_VERDICTS; v++) {
		ck_assert_ptr_nonnull(people_verdict_name((enum people_verdict)v));
		ck_assert_ptr_nonnull(people_verdict_text((enum people_verdict)v));
		ck_assert_ptr_null(strstr(people_verdict_text((enum people_verdict)v), "anonym"));
	}
}
END_TEST

/* ---- keyed names ---- */

START_TEST(test_pseudonym)
{
	static const uint8_t one[] = "key one", two[] = "key two";
	char a[32], b[32], c[32], d[32];

	people_pseudonym(one, 7, "someidsomeidsomeidsomeidso", a);
	people_pseudonym(one, 7, "someidsomeidsomeidsomeidso", b);
	people_pseudonym(two, 7, "someidsomeidsomeidsomeidso", c);
	people_pseudonym(one, 7, "someidsomeidsomeidsomeidsp", d);
	ck_assert_str_eq(a, b);
	ck_assert_str_ne(a, c);
	ck_assert_str_ne(a, d);
	ck_assert_uint_eq(strlen(a), 25);
	ck_assert_uint_eq(strspn(a, "abcdefghijklmnopqrstuvwxyz0123456789-"), 25);
}
END_TEST

START_TEST(test_digest)
{
	struct people_options o = {.key = (const uint8_t *)"k", .key_len = 1}, none = {0};
	struct people_row a = {.id = "x", .username = "ab", .email = "c"},
			  b = {.id = "x", .username = "a", .email = "bc"};
	char da[DIGEST_HEX + 1], db[DIGEST_HEX + 1];

	people_digest(&o, &a, da);
	people_digest(&o, &b, db);
	ck_assert_uint_eq(strlen(da), DIGEST_HEX);
	ck_assert_str_ne(da, db); /* fields do not run together */
	people_digest(&none, &a, da);
	ck_assert_str_eq(da, "");
}
END_TEST

START_TEST(test_picture_path)
{
	static const char *const bad[] = {"../etc", "a/b", ".", "", "a b", "a\nb"};
	char path[64],
		*longest = mem_strdup(ctx, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");

	ck_assert_int_eq(people_picture_path("yndsomeidsomeidsomeidsomei", path, sizeof(path)), 0);
	ck_assert_str_eq(path, "users/yndsomeidsomeidsomeidsomei/profile.png");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_lt(people_picture_path(bad[i], path, sizeof(path)), 0);
	ck_assert_int_lt(people_picture_path(longest, path, sizeof(path)), 0);
}
END_TEST

/* ---- the policy ---- */

#define HEAD "version: 1\ndatabase: {service: mm}\narchive: {store: /a}\nrules: [{name: a, match: {}, keep: forever}]\n"

static const struct policy_people *parse(const char *people)
{
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};
	char *text = mem_printf(ctx, "%s%s", HEAD, people);

	ck_assert_msg(policy_parse(ctx, "test", text, strlen(text), &p, &problems, &err) == 0, "%s", err.msg);
	return &p->people;
}

START_TEST(test_policy)
{
	const struct policy_people *p = parse("");

	ck_assert(!p->present);
	p = parse("departed_users: {after: 6mo}\n");
	ck_assert(p->present && p->after.months == 6 && !p->only_listed && p->except.n == 0);
	ck_assert_uint_eq(people_choices(p), MM_CHOICE_POSITION | MM_CHOICE_AUDITS_BLANK);
	p = parse("departed_users: {after: 1d, keep: [position, username, display_name], audits: delete, roles: user, "
		  "only_listed: /etc/list, except: [a, b]}\n");
	ck_assert_uint_eq(people_choices(p), MM_CHOICE_AUDITS_DELETE | MM_CHOICE_ROLES);
	ck_assert(p->except.n == 2 && strcmp(p->only_listed, "/etc/list") == 0);
	p = parse("departed_users: {after: 1d, names: pseudonym}\n");
	ck_assert_uint_eq(people_choices(p), MM_CHOICE_POSITION | MM_CHOICE_NAMES | MM_CHOICE_AUDITS_BLANK);
	p = parse("departed_users: {after: 1d, names: pseudonym, keep: [position]}\n");
	ck_assert_uint_eq(people_choices(p), MM_CHOICE_NAMES | MM_CHOICE_AUDITS_BLANK);
}
END_TEST

/* Every place either goes by a statement, or stays for a reason that can be told. */
START_TEST(test_traces)
{
	for (size_t i = 0; i < mm_n_traces; i++) {
		const struct mm_trace *t = &mm_trace[i];

		ck_assert_msg((t->act == MM_TRACE_KEEP) == (t->reduce == NULL), "%s: %s", t->table, t->what);
		ck_assert_msg(t->act != MM_TRACE_KEEP || t->why, "%s: %s", t->table, t->what);
		ck_assert_msg(t->count || strcmp(t->table, "users") == 0, "%s: %s", t->table, t->what);
		ck_assert_msg(t->act != MM_TRACE_BLANK || t->write, "%s: %s", t->table, t->what);
		ck_assert_msg(t->read != NULL, "%s: %s", t->table, t->what);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("people");
	TCase *tc = tcase_create("people");

	mem_setup();
	log_level_set(LOG_ERROR);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_list, 0, ARRAY_LEN(lists));
	tcase_add_test(tc, test_list_entry_ceiling);
	tcase_add_loop_test(tc, test_judge, 0, ARRAY_LEN(verdicts));
	tcase_add_test(tc, test_verdict_words);
	tcase_add_test(tc, test_pseudonym);
	tcase_add_test(tc, test_digest);
	tcase_add_test(tc, test_picture_path);
	tcase_add_test(tc, test_policy);
	tcase_add_test(tc, test_traces);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
