/* The ladder: channel > team > type > {}, then priority, then a tie. */
#include "policy_tests.h"

#include <string.h>

static const struct policy_scope alarm_1 = {"c1", "alarm-1", "t1", "accelerator", SCOPE_PUBLIC, false};
static const struct policy_scope town = {"c2", "town-square", "t1", "accelerator", SCOPE_PUBLIC, false};
static const struct policy_scope old_private = {"c3", "old", "t2", "office", SCOPE_PRIVATE, true};
/* of a newer server */
static const struct policy_scope board = {"c5", "board", "t1", "accelerator", SCOPE_OTHER, false};
static const struct policy_scope direct = {"c4", "u1__u2", "", "", SCOPE_DIRECT, false};
static const struct policy_scope talk = {"c6",	       "abotzk3wq7fybx5n1ipdgtcemo__ciuzeh8rj4s6sxa9nkw5fqydpb",
					 "",	       "",
					 SCOPE_DIRECT, false};
static const struct policy_scope circle = {"c7", "3f8a0cib07d1b2c94e5a66f0017d9be82c41aa5d", "", "", SCOPE_GROUP,
					   false};

/* Rules as "name match priority"; who wins. */
static const struct {
	const char *rules;
	const struct policy_scope *scope;
	const char *winner; /* NULL: none; "!": a tie */
} ladder[] = {
	{"a|{}|0", &alarm_1, "a"},
	{"a|{team: office}|0", &alarm_1, NULL},
	{"a|{}|0\nb|{type: public}|0", &alarm_1, "b"},
	{"a|{}|0\nb|{type: private}|0", &alarm_1, "a"},
	{"a|{}|99\nb|{type: public}|0", &alarm_1, "b"},
	{"a|{type: public}|99\nb|{team: accelerator}|0", &alarm_1, "b"},
	{"a|{team: accelerator}|99\nb|{channel: 'alarm-*'}|0", &alarm_1, "b"},
	{"a|{channel: 'alarm-*'}|0\nb|{team: accelerator}|99", &alarm_1, "a"},
	{"a|{channel: 'alarm-*'}|0\nb|{team: accelerator, channel: alarm-1}|0", &alarm_1, "!"},
	{"a|{channel: 'alarm-*'}|0\nb|{team: accelerator, channel: alarm-1}|1", &alarm_1, "b"},
	{"a|{channel: 'alarm-*'}|2\nb|{channel: alarm-1}|1", &alarm_1, "a"},
	{"a|{channel: 'alarm-*'}|0\nb|{channel: alarm-1}|0\nc|{channel: 'a*'}|1", &alarm_1, "c"},
	{"c|{channel: 'a*'}|1\na|{channel: 'alarm-*'}|0\nb|{channel: alarm-1}|0", &alarm_1, "c"},
	{"a|{team: accelerator}|0\nb|{team: 'acc*'}|0", &town, "!"},
	{"a|{team: accelerator}|0\nb|{team: 'acc*'}|0\nc|{channel: town-square}|-5", &town, "c"},
	{"a|{archived: yes}|0", &alarm_1, NULL},
	{"a|{archived: yes}|0", &old_private, "a"},
	{"a|{archived: no}|0", &old_private, NULL},
	{"a|{}|9\nb|{archived: yes}|0", &old_private, "b"},
	{"a|{archived: yes}|0\nb|{type: private}|0", &old_private, "!"},
	{"a|{type: [public, private], archived: yes}|1\nb|{type: private}|0", &old_private, "a"},
	{"a|{team: office, archived: yes}|0\nb|{type: private}|9", &old_private, "a"},
	{"a|{team: '*'}|0", &direct, NULL},
	{"a|{channel: '*'}|0", &direct, "a"},
	{"a|{type: [direct, group]}|0\nb|{}|0", &direct, "a"},
	{"a|{channel: c1}|0", &alarm_1, "a"},
	{"a|{team: t1}|0", &alarm_1, "a"},
	{"a|{team: 'T1'}|0", &alarm_1, NULL},
	{"a|{team: [x, y, accelerator]}|0", &alarm_1, "a"},
	{"a|{team: accelerator, channel: old}|0\nb|{}|0", &alarm_1, "b"},
	{"a|{channel: 'alarm-[0-9]'}|0", &alarm_1, "a"},
	{"a|{channel: 'alarm-[!0-9]'}|0", &alarm_1, NULL},
	{"a|{channel: 'alarm-?'}|0", &alarm_1, "a"},
	{"a|{channel: 'alarm-'}|0", &alarm_1, NULL},
	{"a|{}|0", &board, NULL},
	{"a|{team: accelerator}|0\nb|{archived: no}|0\nc|{channel: '*'}|0\nd|{channel: 'boar[d]'}|0", &board, NULL},
	{"a|{}|0\nb|{type: [public, private, direct, group]}|0", &board, NULL},
	{"a|{}|0\nb|{channel: ['alarm-*', board]}|0", &board, "b"},
	{"a|{channel: c5}|0", &board, "a"},
	{"a|{channel: board, team: office}|0", &board, NULL},
	{"a|{channel: board, type: public}|0", &board, NULL},
	{"a|{channel: 'c?'}|0", &alarm_1, NULL}, /* a glob is about names, not ids */
	/* nor about names that are made of ids, which it would hit by chance */
	{"a|{channel: '*bot*'}|0", &talk, NULL},
	{"a|{channel: ['ab*', '*ci*', '[a-m]*', '*pb', '?b*']}|0\nb|{}|0", &talk, "b"},
	{"a|{channel: ['3f*', '*5d', '[0-9]*']}|0", &circle, NULL},
	{"a|{channel: '3f8a0c*', type: [direct, public]}|0", &circle, NULL},
	{"a|{channel: '3f*', type: [direct, group]}|0", &circle, "a"},
	{"a|{channel: 'ab*', type: direct}|0", &talk, "a"},
	{"a|{channel: '*__*'}|0", &talk, "a"},
	{"a|{channel: ['x*', '*ciuzeh8rj4s6sxa9nkw5fqydpb']}|0", &talk, "a"},
	{"a|{channel: '?botzk3wq7fybx5n1ipdgtcemo*'}|0", &talk, NULL},
	{"a|{channel: ['x*', '**']}|0", &talk, "a"},
	{"a|{channel: '[abcdefghijklmnopqrstuvwxyz0123456789]*'}|0", &talk, NULL},
	{"a|{channel: '[!x]botzk3wq7fybx5n1ipdgtcemo_*'}|0", &talk, "a"},
	{"a|{channel: c7}|0", &circle, "a"},
};

static char *policy_text(void *ctx, const char *rules)
{
	char *text = mem_strdup(ctx, HEAD "rules:\n"), *copy = mem_strdup(ctx, rules), *save;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *match = strchr(line, '|') + 1, *priority = strrchr(line, '|') + 1;

		match[-1] = priority[-1] = '\0';
		text = mem_printf(ctx, "%s  - {name: %s, match: %s, priority: %s, keep: forever}\n", text, line, match,
				  priority);
	}
	return text;
}

START_TEST(test_ladder)
{
	void *ctx = mem_context(NULL, "ladder");
	struct policy *p = parse_good(ctx, policy_text(ctx, ladder[_i].rules));
	const struct policy_rule *rule = NULL;
	struct policy_candidate *all = NULL;
	const char *want = ladder[_i].winner;
	struct err err = {0};
	int rc = policy_winner(ctx, p, ladder[_i].scope, &rule, &all, &err);
	size_t won = 0, tied = 0;

	for (size_t i = 0; i < p->n_rules; i++) {
		won += all[i].loss == WON;
		tied += all[i].loss == LOST_TIE;
		ck_assert_ptr_eq(all[i].rule, &p->rule[i]);
		ck_assert_int_eq(all[i].loss == LOST_NO_MATCH,
				 !policy_match_scope(&p->rule[i].match, ladder[_i].scope));
	}
	if (want && strcmp(want, "!") == 0) {
		ck_assert_int_eq(rc, -ERR_POLICY);
		ck_assert_ptr_nonnull(strstr(err.msg, ladder[_i].scope->channel_name));
		ck_assert_ptr_nonnull(strstr(err.msg, "`a`"));
		ck_assert_ptr_nonnull(strstr(err.msg, "`b`"));
		ck_assert_ptr_null(rule);
		ck_assert_uint_eq(won, 0);
		ck_assert_uint_eq(tied, 2);
	} else {
		ck_assert_int_eq(rc, 0);
		ck_assert_str_eq(rule ? rule->name : "none", want ? want : "none");
		ck_assert_uint_eq(won, want ? 1 : 0);
		ck_assert_uint_eq(tied, 0);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(test_losses)
{
	void *ctx = mem_context(NULL, "losses");
	struct policy *p = parse_good(ctx, policy_text(ctx, "a|{}|0\nb|{team: office}|0\nc|{channel: 'al*'}|1\n"
							    "d|{channel: alarm-1}|2\ne|{type: public}|7"));
	static const enum policy_loss want[] = {LOST_RUNG, LOST_NO_MATCH, LOST_PRIORITY, WON, LOST_RUNG};
	const struct policy_rule *rule = NULL;
	struct policy_candidate *all = NULL;
	struct err err = {0};

	ck_assert_int_eq(policy_winner(ctx, p, &alarm_1, &rule, &all, &err), 0);
	ck_assert_str_eq(rule->name, "d");
	rule = NULL;
	ck_assert_int_eq(policy_winner(ctx, p, &town, &rule, NULL, &err), 0);
	ck_assert_str_eq(rule->name, "e");
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_int_eq(all[i].loss, want[i]);
	talloc_free(ctx);
}
END_TEST

static const struct {
	const char *match;
	bool alarm_1, town, old_private, direct;
} holds[] = {
	{"{users: [j.doe]}", false, false, false, false},
	{"{teams: [accelerator]}", true, true, false, false},
	{"{teams: [t2]}", false, false, true, false},
	{"{teams: ['*']}", true, true, true, false},
	{"{channels: ['*']}", true, true, true, true},
	{"{channels: ['?1*']}", false, false, false, true}, /* in doubt more is held */
	{"{channels: [c4]}", false, false, false, true},
	{"{channels: ['alarm-*'], teams: [office]}", true, false, true, false},
};

START_TEST(test_hold_covers)
{
	void *ctx = mem_context(NULL, "holds");
	struct policy *p = parse_good(ctx, mem_printf(ctx, HEAD "rules: [{name: a, match: {}, keep: forever}]\n"
						      "holds: [{name: h, match: %s}]\n", holds[_i].match));

	ck_assert_int_eq(policy_hold_covers(&p->hold[0], &alarm_1), holds[_i].alarm_1);
	ck_assert_int_eq(policy_hold_covers(&p->hold[0], &town), holds[_i].town);
	ck_assert_int_eq(policy_hold_covers(&p->hold[0], &old_private), holds[_i].old_private);
	ck_assert_int_eq(policy_hold_covers(&p->hold[0], &direct), holds[_i].direct);
	talloc_free(ctx);
}
END_TEST

/* A glob of many stars must not take for ever. */
START_TEST(test_glob_cost)
{
	char name[257];

	memset(name, 'a', 256);
	name[256] = '\0';
	ck_assert(!policy_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "", name));
}
END_TEST

TCase *policy_match_cases(void)
{
	TCase *tc = tcase_create("match");

	tcase_add_loop_test(tc, test_ladder, 0, ARRAY_LEN(ladder));
	tcase_add_test(tc, test_losses);
	tcase_add_loop_test(tc, test_hold_covers, 0, ARRAY_LEN(holds));
	tcase_add_test(tc, test_glob_cost);
	return tc;
}
