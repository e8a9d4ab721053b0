/*
 * cli_options.c - argv to struct cli_args.
 *
 * getopt_long splits the words; it would also take abbreviations, which we refuse: a script that says --no-p must not
 * change its meaning when an option is added.
 */
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cli.h"

enum { LONG_BASE = 256 };

struct parse {
	void *ctx;
	struct cli_args *args;
	bool seen_command;
	char letters[4 + 2 * OPT_COUNT];
	struct option longs[OPT_COUNT + 1];
};

static void build_tables(struct parse *p)
{
	char *at = p->letters;

	*at++ = '-'; /* operands in order, no reordering of argv */
	*at++ = ':'; /* a missing value is told apart */
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option *o = &cli_options[i];

		p->longs[i] = (struct option){.name = o->name,
					      .has_arg = o->value_name ? required_argument : no_argument,
					      .val = LONG_BASE + i};
		if (!o->letter)
			continue;
		*at++ = o->letter;
		if (o->value_name)
			*at++ = ':';
	}
	*at = '\0';
}

static int option_of(int c)
{
	if (c >= LONG_BASE && c < LONG_BASE + OPT_COUNT)
		return c - LONG_BASE;
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_options[i].letter && cli_options[i].letter == c)
			return i;
	return -1;
}

bool cli_clock_parse(const char *text, int *ret_minutes)
{
	int h, m;

	if (strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789") != 2 ||
	    strspn(text + 3, "0123456789") != 2)
		return false;
	h = (text[0] - '0') * 10 + text[1] - '0';
	m = (text[3] - '0') * 10 + text[4] - '0';
	if (h > 23 || m > 59)
		return false;
	*ret_minutes = h * 60 + m;
	return true;
}

/* A day that has no such moment, because its clock went forward then, has the one that the C library takes for it; the
 * next day has its own. */
int64_t cli_clock_next_ms(int minutes, int64_t now_ms)
{
	time_t now = (time_t)(now_ms / 1000), then = now;
	struct tm day;

	if (!localtime_r(&now, &day))
		return 0;
	for (int days = 0; days < 2 && then <= now; days++) {
		struct tm at = {.tm_year = day.tm_year,
				.tm_mon = day.tm_mon,
				.tm_mday = day.tm_mday + days,
				.tm_hour = minutes / 60,
				.tm_min = minutes % 60,
				.tm_isdst = -1};
		then = mktime(&at);
	}
	return (int64_t)(then - now) * 1000;
}

static bool is_word_of(const char *words, const char *value)
{
	size_t len = strlen(value);

	for (const char *w = words; *w;) {
		size_t n = strcspn(w, " ");

		if (n == len && memcmp(w, value, n) == 0)
			return true;
		w += n + (w[n] == ' ');
	}
	return false;
}

/* What is wrong with the value, or NULL. */
static const char *value_fault(const struct cli_option *o, const char *value)
{
	struct duration duration;
	int64_t ms;
	int minutes;

	if (o == &cli_options[OPT_OUT] && strcmp(value, "-") == 0)
		return "standard output does not take it";
	switch (o->kind) {
	case KIND_SWITCH:
		return NULL;
	case KIND_TEXT:
		return *value ? NULL : "it is empty";
	case KIND_CHOICE:
		return is_word_of(o->words, value) ? NULL : "it is none of the allowed words";
	case KIND_TIME:
		return time_parse(value, &ms)	 ? NULL
		       : time_no_such_day(value) ? "there is no such day"
						 : "it is not a time";
	case KIND_DURATION:
		return duration_parse(value, &duration) ? NULL : "it is not a duration";
	case KIND_CLOCK:
		return cli_clock_parse(value, &minutes) ? NULL : "it is not a time of day";
	}
	return NULL;
}

static int value_hint(const struct cli_option *o, struct err *err)
{
	if (o == &cli_options[OPT_OUT])
		return err_hint(err, "Name a file; `plan --json` prints a plan, `show --json` the rows of a thread.");
	switch (o->kind) {
	case KIND_CHOICE:
		return err_hint(err, "Write one of: %s.", o->words);
	case KIND_TIME:
		return err_hint(err, "Write a date or a date with time in UTC, such as 2026-11-24T18:00:00Z.");
	case KIND_DURATION:
		return err_hint(err, "Write a number with its unit, such as 90min or 6h.");
	case KIND_CLOCK:
		return err_hint(err, "Write hours and minutes, such as 05:30.");
	case KIND_SWITCH:
	case KIND_TEXT:
		break;
	}
	return err->code;
}

static int take_option(struct parse *p, int id, const char *value, struct err *err)
{
	const struct cli_option *o = &cli_options[id];
	const char *fault;

	if (!o->value_name) {
		p->args->value[id] = "";
		return 0;
	}
	if (p->args->value[id])
		return err_set(err, ERR_USAGE, "option --%s is given twice", o->name);
	fault = value_fault(o, value);
	if (fault) {
		err_set(err, ERR_USAGE, "bad value \"%s\" for --%s: %s", value, o->name, fault);
		return value_hint(o, err);
	}
	p->args->value[id] = value;
	return 0;
}

int cli_unknown_command(const char *before, const char *word, struct err *err)
{
	const char *words[CMD_COUNT], *meant;

	for (int i = 0; i < CMD_COUNT; i++)
		words[i] = cli_commands[i].word;
	meant = cli_nearest(word, words, CMD_COUNT);
	err_set(err, ERR_USAGE, "unknown command \"%s\"", word);
	if (meant)
		return err_hint(err, "Did you mean `mmretain %s%s`?", before, meant);
	return err_hint(err, "See `mmretain help` for the list of commands.");
}

/* The first operand is the command. */
static int take_operand(struct parse *p, const char *word, struct err *err)
{
	if (p->seen_command) {
		p->args->operand = mem_grow(p->ctx, p->args->operand, const char *, p->args->n_operands + 1);
		p->args->operand[p->args->n_operands++] = word;
		return 0;
	}
	for (int i = 0; i < CMD_COUNT; i++) {
		if (strcmp(cli_commands[i].word, word) == 0) {
			p->args->command = (enum cli_command_id)i;
			p->seen_command = true;
			return 0;
		}
	}
	return cli_unknown_command("", word, err);
}

static int unknown_option(const struct parse *p, const char *word, struct err *err)
{
	const char *names[OPT_COUNT], *meant = NULL;
	char typed[64];

	for (int i = 0; i < OPT_COUNT; i++)
		names[i] = cli_options[i].name;
	if (strncmp(word, "--", 2) == 0) {
		snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word + 2, "="), word + 2);
		meant = cli_nearest(typed, names, OPT_COUNT);
		err_set(err, ERR_USAGE, "unknown option \"--%s\"", typed);
	} else {
		err_set(err, ERR_USAGE, "unknown option \"%s\"", word);
	}
	if (meant)
		return err_hint(err, "Did you mean --%s?", meant);
	if (p->seen_command)
		return err_hint(err, "See `mmretain help %s` for its options.", cli_commands[p->args->command].word);
	return err_hint(err, "See `mmretain help` for commands and options.");
}

/* Was a long option written in full? */
static bool in_full(const char *word, int id)
{
	size_t n = strlen(cli_options[id].name);

	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, cli_options[id].name, n) == 0 &&
	       (word[2 + n] == '\0' || word[2 + n] == '=');
}

static int take_word(struct parse *p, int c, const char *word, struct err *err)
{
	char letter[3] = {'-', (char)optopt, '\0'};
	int id = option_of(c == '?' || c == ':' ? optopt : c);

	if (c == 1)
		return take_operand(p, optarg, err);
	if (id < 0)
		return unknown_option(p, strncmp(word, "--", 2) == 0 ? word : letter, err);
	if (strncmp(word, "--", 2) == 0 && !in_full(word, id))
		return unknown_option(p, word, err);
	if (c == '?')
		return err_set(err, ERR_USAGE, "option --%s takes no value", cli_options[id].name);
	if (c == ':')
		return err_set(err, ERR_USAGE, "option --%s needs a value (%s)", cli_options[id].name,
			       cli_options[id].value_name);
	return take_option(p, id, optarg, err);
}

static int split(struct parse *p, int argc, char *const *argv, struct err *err)
{
	int c, r = 0;

	optind = 0;
	opterr = 0;
	for (;;) {
		/* After the program's name on the first call; within a cluster of letters it stays. */
		const char *word = argv[optind ? optind : 1];

		c = getopt_long(argc, argv, p->letters, p->longs, NULL);
		if (c == -1)
			break;
		r = take_word(p, c, word ? word : "", err);
		if (r < 0)
			return r;
	}
	for (; optind < argc && r == 0; optind++)
		r = take_operand(p, argv[optind], err);
	return r;
}

/* A command without operands that reads a policy: the word is probably its file. */
static int unexpected_word(const struct cli_args *a, const char *word, struct err *err)
{
	const struct cli_command *c = &cli_commands[a->command];
	size_t n = strlen(word);
	bool file = strchr(word, '/') || (n > 5 && !strcmp(word + n - 5, ".yaml")) ||
		    (n > 4 && !strcmp(word + n - 4, ".yml"));

	err_set(err, ERR_USAGE, "unexpected word \"%s\" after \"%s\"", word, c->word);
	if (file && !a->value[OPT_CONFIG] && cli_option_fits(OPT_CONFIG, a->command))
		return err_hint(err, "A policy file is named with -c: `mmretain %s -c %s`.", c->word, word);
	return err_hint(err, "See `mmretain help %s`.", c->word);
}

static int check_fit(const struct cli_args *a, struct err *err)
{
	const struct cli_command *c = &cli_commands[a->command];

	for (int i = 0; i < OPT_COUNT; i++) {
		if (a->value[i] && !cli_option_fits((enum cli_option_id)i, a->command)) {
			err_set(err, ERR_USAGE, "option --%s does not belong to \"%s\"", cli_options[i].name, c->word);
			return err_hint(err, "See `mmretain help %s` for its options.", c->word);
		}
	}
	if (a->n_operands < (size_t)c->min_operands) {
		err_set(err, ERR_USAGE, "\"%s\" needs %s", c->word, c->operands);
		return err_hint(err, "For example: %s", c->example);
	}
	if (c->max_operands >= 0 && a->n_operands > (size_t)c->max_operands)
		return unexpected_word(a, a->operand[c->max_operands], err);
	return 0;
}

static int check_together(const struct cli_args *a, struct err *err)
{
	static const enum cli_option_id never[][2] = {
		{OPT_QUIET, OPT_VERBOSE}, {OPT_YES, OPT_DRY_RUN}, {OPT_PLAN, OPT_DRY_RUN}, {OPT_UNTIL, OPT_RUN_TIME},
		{OPT_PLAN, OPT_RULE},     {OPT_PLAN, OPT_TEAM},   {OPT_PLAN, OPT_CHANNEL},
	};

	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (a->value[never[i][0]] && a->value[never[i][1]])
			return err_set(err, ERR_USAGE, "options --%s and --%s exclude each other",
				       cli_options[never[i][0]].name, cli_options[never[i][1]].name);
	return 0;
}

/* --help and --version win over everything else that was written. */
static bool take_over(struct parse *p)
{
	struct cli_args *a = p->args;

	if (!a->value[OPT_HELP] && !a->value[OPT_VERSION])
		return false;
	if (a->value[OPT_HELP] && p->seen_command) {
		a->operand = mem_grow(p->ctx, a->operand, const char *, 1);
		a->operand[0] = cli_commands[a->command].word;
		a->n_operands = 1;
	} else {
		a->n_operands = 0;
	}
	a->command = a->value[OPT_HELP] ? CMD_HELP : CMD_VERSION;
	a->value[OPT_FORMAT] = NULL;
	return true;
}

static int refused(const struct parse *p, struct err *err)
{
	if (*err->hint)
		return err->code;
	if (!p->seen_command)
		return err_hint(err, "See `mmretain help` for commands and options.");
	return err_hint(err, "`mmretain help %s` has the options and an example.", cli_commands[p->args->command].word);
}

int cli_parse(void *ctx, int argc, char *const *argv, struct cli_args *ret, struct err *err)
{
	struct cli_args args = {.n_operands = 0};
	struct parse p = {.ctx = ctx, .args = &args};
	int r;

	build_tables(&p);
	r = argc > 1 ? split(&p, argc, argv, err) : 0;
	if (r < 0)
		return refused(&p, err);
	if (!take_over(&p)) {
		if (!p.seen_command) {
			err_set(err, ERR_USAGE, "no command given");
			return err_hint(err, "See `mmretain help` for the list of commands.");
		}
		r = check_fit(&args, err);
		if (r == 0)
			r = check_together(&args, err);
		if (r < 0)
			return refused(&p, err);
	}
	*ret = args;
	return 0;
}
