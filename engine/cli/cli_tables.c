/*
 * cli_tables.c - the command and option tables, expanded.
 */
#include <string.h>

#include "cli.h"

const struct cli_command cli_commands[CMD_COUNT] = {
#define X(id, word, fn, operands, least, most, summary, prose, json, example)                                          \
	[CMD_##id] = {word, fn, operands, least, most, summary, prose, json, example},
#include "commands.def"
#undef X
};

#define C(id) (UINT32_C(1) << CMD_##id)
#define C_ALL UINT32_MAX
#define C_POLICY                                                                                                       \
	(C(CHECK) | C(EXPLAIN) | C(PLAN) | C(RUN) | C(STATUS) | C(REPORT) | C(VERIFY) | C(INIT) | C(GRANTS) |          \
	 C(DOCTOR) | C(FIND) | C(SHOW) | C(EXPORT) | C(HOLD) | C(REINDEX) | C(RESTORE) | C(EXPIRE) | C(ERASE) |        \
	 C(ABANDON) | C(FETCH))

const struct cli_option cli_options[OPT_COUNT] = {
#define X(id, letter, name, value, kind, words, commands, help)                                                        \
	[OPT_##id] = {letter, name, value, KIND_##kind, words, commands, help},
#include "options.def"
#undef X
};

static const char *const texts[OPT_COUNT][CMD_COUNT] = {
#define X(option, command, help) [OPT_##option][CMD_##command] = help,
#include "option_texts.def"
#undef X
};

const char *cli_option_help(const struct cli_option *o, int command)
{
	const char *own = command < 0 ? NULL : texts[o - cli_options][command];

	return own ? own : o->help;
}

bool cli_option_fits(enum cli_option_id option, enum cli_command_id command)
{
	return (cli_options[option].commands >> command) & 1;
}

/* Edit distance with swaps of neighbours; words longer than the array never match. */
static size_t distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	size_t row[3][MAX + 1], na = strlen(a), nb = strlen(b);

	if (na > MAX || nb > MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *now = row[i % 3], *above = row[(i - 1) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[na % 3][nb];
}

const char *cli_nearest(const char *typed, const char *const *words, size_t n)
{
	const char *found = NULL;
	size_t best = strlen(typed) < 5 ? 2 : 3; /* must be below */

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(typed, words[i]);

		/* The beginning of a word is the commonest slip: abbreviations are not taken. */
		if (*typed && strncmp(words[i], typed, strlen(typed)) == 0)
			d = 1;
		if (d < best) {
			best = d;
			found = words[i];
		}
	}
	return found;
}
