/* Guessing what was meant: the nearest key or word, a duration or size in other words. */
#include "policy_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 32

static char folded(char c)
{
	return c == '-' || c == ' ' ? '_' : (char)tolower((unsigned char)c);
}

/* Optimal string alignment: insert, drop, change, swap two neighbours. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = (unsigned)(i + j);
				continue;
			}
			bool same = folded(a[i - 1]) == folded(b[j - 1]);
			unsigned best = d[i - 1][j - 1] + !same;

			best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
			best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
			if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
			    folded(a[i - 2]) == folded(b[j - 1]) && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

/* How far a word may be off: a guess that shares less than two thirds is noise. */
static unsigned tolerance(const char *word)
{
	size_t len = strlen(word);

	return len <= 2 ? 0 : len <= 5 ? 1 : len <= 8 ? 2 : 3;
}

const char *policy_nearest(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned best_d = tolerance(word) + 1;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(word, words[i]);

		/* A beginning counts as one off: `desc`, `prio`. */
		if (d > 1 && strlen(word) >= 3 && strncasecmp(word, words[i], strlen(word)) == 0)
			d = 1;
		if (d < best_d) {
			best_d = d;
			best = words[i];
		}
	}
	return best;
}

static bool is_also(const char *also, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = also; p && *p;) {
		size_t n = strcspn(p, " ");

		if (n == len && strncasecmp(p, word, n) == 0)
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

const struct policy_key *policy_nearest_key(const struct policy_section *s, const char *word, const struct node *map)
{
	const char *names[32], *name;
	size_t n = 0;

	for (size_t i = 0; i < s->n_keys; i++)
		if (!s->key[i].not_built && n < ARRAY_LEN(names) && !(map && policy_node_get(map, s->key[i].name)))
			names[n++] = s->key[i].name;
	name = policy_nearest(word, names, n);
	for (size_t i = 0; i < s->n_keys; i++)
		if (name == s->key[i].name)
			return &s->key[i];
	for (size_t i = 0; i < s->n_keys; i++)
		if (!s->key[i].not_built && is_also(s->key[i].also, word))
			return &s->key[i];
	return NULL;
}

static const struct policy_section *section_with(const struct policy_section *s, const char *word, unsigned depth)
{
	const struct policy_section *found = NULL;

	for (size_t i = 0; i < s->n_keys && !found; i++)
		if (strcmp(s->key[i].name, word) == 0)
			found = s;
	for (size_t i = 0; i < s->n_keys && !found && depth < POLICY_DEPTH_MAX; i++)
		if (s->key[i].section)
			found = section_with(s->key[i].section, word, depth + 1);
	return found;
}

const struct policy_section *policy_section_with(const char *word)
{
	return section_with(&policy_root, word, 0);
}

struct unit_word {
	const char *word, *unit;
};

/* Number, unit in other words -> number, unit of ours. */
static bool guess(const char *text, const struct unit_word *units, size_t n, char ret[TIME_TEXT])
{
	size_t digits = strspn(text, "0123456789");
	const char *rest = text + digits;

	if (digits == 0 || digits > 12)
		return false;
	rest += strspn(rest, " _");
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(rest, units[i].word) != 0)
			continue;
		snprintf(ret, TIME_TEXT, "%.*s%s", (int)digits, text, units[i].unit);
		return true;
	}
	return false;
}

bool policy_guess_duration(const char *text, char ret[TIME_TEXT])
{
	static const struct unit_word units[] = {
		{"", "d"}, {"d", "d"}, {"day", "d"}, {"days", "d"}, {"w", "w"}, {"week", "w"}, {"weeks", "w"},
		{"mo", "mo"}, {"mon", "mo"}, {"month", "mo"}, {"months", "mo"}, {"y", "y"}, {"yr", "y"},
		{"year", "y"}, {"years", "y"}, {"h", "h"}, {"hour", "h"}, {"hours", "h"}, {"minutes", "min"},
	};
	size_t number = strspn(text, "0123456789");
	struct duration d;

	/* As other programs write months; a small `m` may be minutes. */
	if (number && number <= 12 && strcmp(text + number, "M") == 0) {
		snprintf(ret, TIME_TEXT, "%.*smo", (int)number, text);
		return duration_parse(ret, &d) && d.months;
	}
	return guess(text, units, ARRAY_LEN(units), ret) && duration_parse(ret, &d) && (d.months || d.ms);
}

bool policy_guess_size(const char *text, char ret[TIME_TEXT])
{
	static const struct unit_word units[] = {
		{"k", "KiB"}, {"ki", "KiB"}, {"kib", "KiB"}, {"kb", "kB"}, {"m", "MiB"}, {"mi", "MiB"}, {"mib", "MiB"},
		{"mb", "MB"}, {"g", "GiB"}, {"gi", "GiB"}, {"gib", "GiB"}, {"gb", "GB"}, {"t", "TiB"},
		{"tib", "TiB"}, {"tb", "TB"}, {"b", "B"}, {"bytes", "B"},
	};
	uint64_t bytes;

	return guess(text, units, ARRAY_LEN(units), ret) && bytes_parse(ret, &bytes) && bytes;
}
