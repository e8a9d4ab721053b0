/*
 * cli_test.c - parsing, text made safe, JSON from outside, the tables themselves.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
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

/* ---- text from outside ---- */

static const struct { const char *text, *safe; } payloads[] = {
	{"", ""},
	{"town-square", "town-square"},
	{"B\303\274rgerb\303\274ro", "B\303\274rgerb\303\274ro"},
	{"\346\227\245\346\234\254", "\346\227\245\346\234\254"},
	{"\360\237\230\200", "\360\237\230\200"},
	/* control characters, and sequences a terminal would obey */
	{"a\033[31mred", "a\\x1b[31mred"},
	{"\033]0;title\007", "\\x1b]0;title\\x07"},
	{"\033]52;c;aGk=\007", "\\x1b]52;c;aGk=\\x07"},
	{"\033P1$r0m\033\\", "\\x1bP1$r0m\\x1b\\"},
	{"\033c", "\\x1bc"},
	{"a\rb", "a\\x0db"},
	{"a\nb", "a\\x0ab"},
	{"a\tb", "a\\x09b"},
	{"a\bb", "a\\x08b"},
	{"\001\002\177", "\\x01\\x02\\x7f"},
	{"\302\205next line", "\\u{85}next line"},
	{"\302\233" "31m", "\\u{9b}31m"},
	{"\302\235" "0;x\302\234", "\\u{9d}0;x\\u{9c}"},
	/* bidi */
	{"user\342\200\256gnp.exe", "user\\u{202e}gnp.exe"},
	{"\342\200\252\342\200\253\342\200\254\342\200\255", "\\u{202a}\\u{202b}\\u{202c}\\u{202d}"},
	{"\342\201\246\342\201\247\342\201\250\342\201\251", "\\u{2066}\\u{2067}\\u{2068}\\u{2069}"},
	{"\330\234", "\\u{61c}"},
	{"\342\200\216\342\200\217", "\\u{200e}\\u{200f}"},
	/* unseen */
	{"ad\342\200\213min", "ad\\u{200b}min"},
	{"ad\342\200\214min", "ad\\u{200c}min"},
	{"ad\342\200\215min", "ad\\u{200d}min"},
	{"ad\302\255min", "ad\\u{ad}min"},
	{"\357\273\277", "\\u{feff}"},
	{"\342\201\240", "\\u{2060}"},
	{"\363\240\201\201", "\\u{e0041}"},
	{"\342\200\250", "\\u{2028}"},
	{"\342\200\251", "\\u{2029}"},
	/* no characters */
	{"\356\200\200", "\\u{e000}"},
	{"\357\277\277", "\\u{ffff}"},
	{"\377\376", "\\xff\\xfe"},
	{"a\200b", "a\\x80b"},
	{"\303", "\\xc3"},
	{"\342\202", "\\xe2\\x82"},
	{"\300\257", "\\xc0\\xaf"},
	{"\355\240\200", "\\xed\\xa0\\x80"},
	{"\364\220\200\200", "\\xf4\\x90\\x80\\x80"},
	/* piles of marks */
	{"e\314\201", "e\314\201"},
	{"z\314\200\314\201\314\202\314\203\314\204", "z\314\200\314\201\314\202\314\203\\u{304}"},
};

START_TEST(safe_text)
{
	ck_assert_str_eq(cli_safe(ctx, payloads[_i].text), payloads[_i].safe);
	/* What is safe stays as it is. */
	ck_assert_str_eq(cli_safe(ctx, payloads[_i].safe), payloads[_i].safe);
}
END_TEST

START_TEST(safe_edges)
{
	char big[3000];

	ck_assert_str_eq(cli_safe(ctx, NULL), "");
	ck_assert_str_eq(cli_safe_len(ctx, "a\0b", 3), "a\\x00b");
	memset(big, '\001', sizeof(big));
	ck_assert_uint_eq(strlen(cli_safe_len(ctx, big, sizeof(big))), 4 * sizeof(big));
	ck_assert_uint_eq(cli_width("abc"), 3);
	ck_assert_uint_eq(cli_width("\346\227\245\346\234\254"), 4);
	ck_assert_uint_eq(cli_width("e\314\201"), 1);
}
END_TEST

START_TEST(json_text)
{
	json_t *obj = json_object();

	cli_json_text(obj, "good", "B\303\274ro");
	cli_json_text(obj, "none", NULL);
	cli_json_text(obj, "bad", "a\377b");
	cli_json_text(obj, "worse", "\377");
	cli_json_time(obj, "never", INT64_MAX);
	cli_json_int(obj, "huge", UINT64_MAX);
	ck_assert_str_eq(json_string_value(json_object_get(obj, "good")), "B\303\274ro");
	ck_assert_ptr_null(json_object_get(obj, "good_b64"));
	ck_assert(json_is_null(json_object_get(obj, "none")));
	ck_assert_str_eq(json_string_value(json_object_get(obj, "bad")), "a\\xffb");
	ck_assert_str_eq(json_string_value(json_object_get(obj, "bad_b64")), "Yf9i");
	ck_assert_str_eq(json_string_value(json_object_get(obj, "worse_b64")), "/w==");
	ck_assert(json_is_null(json_object_get(obj, "never")));
	ck_assert_int_eq(json_integer_value(json_object_get(obj, "huge")), INT64_MAX);
	json_decref(obj);
}
END_TEST

/* ---- parsing ---- */

static int parse(const char *line, struct cli_args *ret, struct err *err)
{
	char *copy = mem_strdup(ctx, line), **argv = mem_array(ctx, char *, 32), *save = NULL;
	int argc = 0;

	argv[argc++] = mem_strdup(ctx, "mmretain");
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "''") == 0 ? mem_strdup(ctx, "") : w;
	return cli_parse(ctx, argc, argv, ret, err);
}

START_TEST(parses)
{
	struct cli_args a;
	struct err err = {0};

	ck_assert_int_eq(parse("--json help -q run", &a, &err), -ERR_USAGE); /* help prints no JSON */
	ck_assert_int_eq(parse("help -q help", &a, &err), 0);
	ck_assert_int_eq(a.command, CMD_HELP);
	ck_assert_uint_eq(a.n_operands, 1);
	ck_assert_str_eq(a.operand[0], "help");
	ck_assert_ptr_nonnull(a.value[OPT_QUIET]);
	ck_assert_ptr_null(a.value[OPT_JSON]);
	ck_assert_int_eq(parse("--color=never version", &a, &err), 0);
	ck_assert_str_eq(a.value[OPT_COLOR], "never");
	ck_assert_int_eq(parse("version --color always -q", &a, &err), 0);
	ck_assert_str_eq(a.value[OPT_COLOR], "always");
	ck_assert_int_eq(parse("help -- -x", &a, &err), 0);
	ck_assert_str_eq(a.operand[0], "-x");
	/* Help and version win. */
	ck_assert_int_eq(parse("run --help", &a, &err), 0);
	ck_assert_int_eq(a.command, CMD_HELP);
	ck_assert_str_eq(a.operand[0], "run");
	ck_assert_int_eq(parse("find x y --help", &a, &err), 0);
	ck_assert_str_eq(a.operand[0], "find");
	ck_assert_int_eq(parse("-V", &a, &err), 0);
	ck_assert_int_eq(a.command, CMD_VERSION);
	ck_assert_int_eq(parse("-h", &a, &err), 0);
	ck_assert_int_eq(a.command, CMD_HELP);
	ck_assert_uint_eq(a.n_operands, 0);
}
END_TEST

static const struct { const char *line, *message, *hint; } refused[] = {
	{"", "no command given", "mmretain help"},
	{"-q", "no command given", "mmretain help"},
	{"vresion", "unknown command \"vresion\"", "mmretain version"},
	{"frobnicate", "unknown command \"frobnicate\"", "list of commands"},
	{"vers", "unknown command \"vers\"", "mmretain version"},
	{"version --colo never", "unknown option \"--colo\"", "--color"},
	{"version --verb", "unknown option \"--verb\"", "--verbose"},
	{"version --v", "unknown option \"--v\"", "--ver"},
	{"version --quit", "unknown option \"--quit\"", "--quiet"},
	{"version --nonsense=1", "unknown option \"--nonsense\"", "mmretain help"},
	{"version -x", "unknown option \"-x\"", "mmretain help"},
	{"version -qx", "unknown option \"-x\"", "mmretain help"},
	{"version --quiet=yes", "option --quiet takes no value", ""},
	{"version --color", "option --color needs a value (WHEN)", ""},
	{"version --color sometimes", "bad value \"sometimes\" for --color", "auto always never"},
	{"version --color ''", "bad value \"\" for --color", "auto always never"},
	{"version --color never --color never", "option --color is given twice", ""},
	{"version -q -v", "options --quiet and --verbose exclude each other", ""},
	{"version extra", "unexpected word \"extra\"", "mmretain help version"},
	{"completion", "\"completion\" needs bash|zsh|fish", "mmretain completion bash"},
	{"version --yes", "option --yes does not belong to \"version\"", "mmretain help version"},
	{"hold", "\"hold\" needs list|history|add|release [THREAD...]", "mmretain hold add"},
	{"run --until 24:00", "bad value \"24:00\" for --until", "05:30"},
	{"run --until 5:30", "bad value \"5:30\" for --until", "05:30"},
	{"run --until 0x:30", "bad value \"0x:30\" for --until", "05:30"},
	{"run --run-time 90", "bad value \"90\" for --run-time", "90min"},
	{"run --now yesterday", "bad value \"yesterday\" for --now", "2026-11-24T18:00:00Z"},
	{"run -c ''", "bad value \"\" for --config", ""},
};

START_TEST(refuses)
{
	struct cli_args a = {.command = CMD_COUNT};
	struct err err = {0};

	ck_assert_int_eq(parse(refused[_i].line, &a, &err), -ERR_USAGE);
	ck_assert_msg(strstr(err.msg, refused[_i].message) == err.msg, "%s: %s", refused[_i].line, err.msg);
	ck_assert_msg(strstr(err.hint, refused[_i].hint) != NULL, "%s: %s", refused[_i].line, err.hint);
	ck_assert_int_eq(a.command, CMD_COUNT); /* untouched */
}
END_TEST

static const struct { uint64_t n; const char *want; } counts[] = {
	{0, "0 threads"}, {1, "1 thread"}, {2, "2 threads"}, {11, "11 threads"},
	{UINT64_MAX, "18446744073709551615 threads"},
};

START_TEST(count_of_things)
{
	ck_assert_str_eq(cli_count(ctx, counts[_i].n, "thread"), counts[_i].want);
}
END_TEST

START_TEST(clock_words)
{
	int m = -1;

	ck_assert(cli_clock_parse("00:00", &m) && m == 0);
	ck_assert(cli_clock_parse("23:59", &m) && m == 23 * 60 + 59);
	ck_assert(!cli_clock_parse("23:60", &m) && !cli_clock_parse("05:30:00", &m) && !cli_clock_parse("-5:30", &m));
}
END_TEST

/* Central Europe: on 2026-03-29 the clocks go from 02:00 to 03:00, on 2026-10-25 from 03:00 to 02:00. */
START_TEST(next_time_of_day)
{
	static const struct { int64_t now_s; int until, minutes; } t[] = {
		{1774566000, 2 * 60 + 30, 2 * 60 + 30},                  /* a usual day, 00:00 */
		{1774566000, 0, 24 * 60},                                /* now is not later */
		{1774566000 + 5 * 3600, 2 * 60 + 30, 21 * 60 + 30},
		{1774746000, 5 * 60, 2 * 60},                            /* the day without 02:30, at 03:00 */
		{1774746000 + 3600, 2 * 60 + 30, 22 * 60 + 30},          /* at 04:00: the next day has it */
		{1792879200, 5 * 60, 6 * 60},                            /* the day with 25 hours, at 00:00 */
	};
	const char *zone = getenv("TZ");
	char *before = zone ? strdup(zone) : NULL;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(cli_clock_next_ms(t[i].until, t[i].now_s * 1000), t[i].minutes * 60000);
	if (before)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	tzset();
	free(before);
}
END_TEST

/* ---- tables ---- */

START_TEST(tables_are_whole)
{
	for (int i = 0; i < CMD_COUNT; i++) {
		const struct cli_command *c = &cli_commands[i];

		ck_assert_ptr_nonnull(c->summary);
		ck_assert_msg(c->summary[strlen(c->summary) - 1] != '.', "%s: full stop", c->word);
		ck_assert_msg(c->run && c->prose && c->example, "%s: no function, prose or example", c->word);
		ck_assert_msg(strncmp(c->example, "mmretain ", 9) == 0, "%s: example", c->word);
	}
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option *o = &cli_options[i];

		ck_assert_msg(i == 0 || strcmp(cli_options[i - 1].name, o->name) < 0, "--%s is out of order", o->name);
		ck_assert_msg((o->kind == KIND_SWITCH) == !o->value_name, "--%s: kind and value", o->name);
		ck_assert_msg((o->kind == KIND_CHOICE) == !!o->words, "--%s: kind and words", o->name);
		ck_assert_msg(o->help[strlen(o->help) - 1] != '.', "--%s: full stop", o->name);
		for (int j = 0; j < i; j++)
			ck_assert_msg(!o->letter || o->letter != cli_options[j].letter, "-%c twice", o->letter);
	}
}
END_TEST

/* The help of a command speaks of no other one: no "of `plan`", no list of what each of them does. */
START_TEST(texts_of_one_command)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		for (int c = 0; c < CMD_COUNT; c++) {
			const char *help = cli_option_help(&cli_options[i], c);

			ck_assert_msg(cli_option_fits(i, c) || help == cli_options[i].help,
				      "--%s has a text for %s, which does not take it", cli_options[i].name,
				      cli_commands[c].word);
			ck_assert_msg(help[strlen(help) - 1] != '.', "--%s of %s: full stop", cli_options[i].name,
				      cli_commands[c].word);
			for (int other = 0; other < CMD_COUNT && cli_option_fits(i, c); other++) {
				char of[64], list[64];

				snprintf(of, sizeof(of), "of `%s`", cli_commands[other].word);
				snprintf(list, sizeof(list), "`%s` and ", cli_commands[other].word);
				ck_assert_msg(!strstr(help, of) && !strstr(help, list), "--%s of %s speaks of %s",
					      cli_options[i].name, cli_commands[c].word, cli_commands[other].word);
			}
		}
	}
}
END_TEST

START_TEST(nearest_words)
{
	static const char *const words[] = {"status", "report", "run"};

	ck_assert_str_eq(cli_nearest("stauts", words, 3), "status");
	ck_assert_str_eq(cli_nearest("reprot", words, 3), "report");
	ck_assert_str_eq(cli_nearest("rnu", words, 3), "run");
	ck_assert_ptr_null(cli_nearest("", words, 3));
	ck_assert_ptr_null(cli_nearest("zzzzzz", words, 3));
	ck_assert_ptr_null(cli_nearest("a-word-that-is-much-longer-than-any-of-ours", words, 3));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli");
	TCase *text = tcase_create("text"), *parsing = tcase_create("parsing"), *tables = tcase_create("tables");
	TCase *all[] = {text, parsing, tables};

	mem_setup();
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		tcase_add_checked_fixture(all[i], setup, teardown);
		suite_add_tcase(s, all[i]);
	}
	tcase_add_loop_test(text, safe_text, 0, (int)ARRAY_LEN(payloads));
	tcase_add_test(text, safe_edges);
	tcase_add_test(text, json_text);
	tcase_add_test(parsing, parses);
	tcase_add_loop_test(parsing, refuses, 0, (int)ARRAY_LEN(refused));
	tcase_add_test(parsing, clock_words);
	tcase_add_test(parsing, next_time_of_day);
	tcase_add_test(tables, tables_are_whole);
	tcase_add_test(tables, texts_of_one_command);
	tcase_add_test(tables, nearest_words);
	tcase_add_loop_test(tables, count_of_things, 0, ARRAY_LEN(counts));
	return suite_run(s);
}
