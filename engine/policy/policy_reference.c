/* The key table as a page: docs/policy-reference.md. */
#include "policy_internal.h"

#include <string.h>

/* What the table cannot say. */
static const char preface[] =
	"# Policy reference\n"
	"\n"
	"<!-- Generated from the key table of engine/policy/policy_keys.c; a test compares. Do not edit. -->\n"
	"\n"
	"A policy is one YAML file. It says what is deleted, when, and what is protected. Nothing is deleted unless a "
	"rule\n"
	"says so; there is no default age. Ready policies to copy are in\n"
	"`policies/`; installed, they and these pages are in `share/doc/mmretain/`.\n"
	"\n"
	"```yaml\n"
	"version: 1\n"
	"database:\n"
	"  mattermost_config: /opt/mattermost/config/config.json\n"
	"archive:\n"
	"  store: /var/lib/mmretain/archive\n"
	"rules:\n"
	"  - name: unlimited\n"
	"    match: {}\n"
	"    keep: forever\n"
	"  - name: alarms\n"
	"    match: {team: accelerator, channel: \"alarm-*\"}\n"
	"    keep: {for: 90d}\n"
	"    guard: {threads: 100000, percent: 40}\n"
	"```\n"
	"\n"
	"`mmretain check` tells every mistake of a file at once, with line, column and what to write; `mmretain "
	"schema` prints\n"
	"a JSON Schema for editors.\n"
	"\n"
	"## Values\n"
	"\n"
	"| value | written as |\n"
	"|---|---|\n"
	"| duration | a whole number and a unit: `90d`, `12w`, `6mo`, `5y`, `36h`, `90min`, `10s`, `5ms`. Months and "
	"years are those of "
	"the calendar, in UTC. A number without a unit is an error. |\n"
	"| size | a whole number and a unit: `500MiB`, `2GB`, `64KiB`, `10kB`, `512B`. `MiB` counts in 1024, `MB` in "
	"1000. |\n"
	"| number | digits only, and a `-` before them where a number below 0 is allowed |\n"
	"| yes or no | `yes`, `no`, `true`, `false`; nothing else |\n"
	"| time | a day, `2025-01-01`, or an instant, `2025-01-01T18:00:00Z` |\n"
	"| name | letters, digits, `.`, `_`, `-`; begins with a letter or digit; at most 64 |\n"
	"| list | `[one, two]`, one item per line, or a single item without brackets |\n"
	"\n"
	"The file is UTF-8, at most 1 MiB, and writable by its owner alone. Anchors, aliases, tags, merge keys "
	"(`<<`),\n"
	"duplicate keys and further documents are errors. Texts that begin with `*`, `#`, `@` or `!` need quotes.\n";

static const char *kind_text(const struct policy_key *k)
{
	switch (k->kind) {
	case KIND_NAME:
		return "name";
	case KIND_TEXT:
	case KIND_NOTE:
		return "text";
	case KIND_PATH:
		return "absolute path";
	case KIND_PATH_OR_URL:
		return "absolute path or URL";
	case KIND_YESNO:
		return "yes or no";
	case KIND_NUMBER:
		return "number";
	case KIND_DURATION:
	case KIND_MILLIS:
		return "duration";
	case KIND_SIZE:
		return "size";
	case KIND_TIME:
		return "time";
	case KIND_CHOICE:
	case KIND_CHOICES:
		return "";
	case KIND_SELECTORS:
		return "list of names, ids, globs";
	case KIND_USERS:
		return "list of account names";
	case KIND_TAGS:
		return "list of tags";
	case KIND_TEXTS:
		return "list of names";
	case KIND_SECTION:
		return "keys, see below";
	case KIND_SECTIONS:
		return "list of keys, see below";
	}
	return "";
}

static void put_value(struct buf *out, const struct policy_key *k)
{
	if (k->word)
		buf_printf(out, "`%s`, or ", k->word);
	buf_puts(out, kind_text(k));
	if (k->kind == KIND_CHOICES)
		buf_puts(out, "list of ");
	if (k->kind == KIND_CHOICE || k->kind == KIND_CHOICES)
		for (const struct key_word *w = k->words; w->word; w++)
			buf_printf(out, "%s`%s`", w == k->words ? "" : ", ", w->word);
	if (k->kind == KIND_NUMBER && k->max == k->min)
		buf_printf(out, ": %lld", (long long)k->min);
	else if (k->kind == KIND_NUMBER && k->max != INT64_MAX)
		buf_printf(out, ", %lld to %lld", (long long)k->min, (long long)k->max);
}

static void put_row(struct buf *out, const struct policy_key *k)
{
	buf_printf(out, "| `%s` | ", k->name);
	put_value(out, k);
	buf_printf(out, " | %s", k->required ? "required" : "");
	if (k->fallback)
		buf_printf(out, "`%s`", k->fallback);
	buf_printf(out, " | %s", k->about);
	if (k->example && k->kind != KIND_CHOICE)
		buf_printf(out, " Example: `%s`.", k->example);
	buf_puts(out, " |\n");
}

static void put_section(struct buf *out, const struct policy_section *s, unsigned level)
{
	buf_printf(out, "\n%.*s %s\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", (int)level,
		   "######", s->title, s->about);
	for (size_t i = 0; i < s->n_keys; i++)
		if (!s->key[i].not_built)
			put_row(out, &s->key[i]);
	for (size_t i = 0; i < s->n_keys; i++)
		if (s->key[i].section)
			put_section(out, s->key[i].section, s == &policy_root ? 2 : level + 1);
}

static void put_not_built(struct buf *out)
{
	const char *const begin = "\n## Not in this version\n\nKnown, and refused with a message, so that nobody "
				  "relies on them: ",
			  *sep = begin;

	for (size_t i = 0; i < policy_root.n_keys; i++) {
		const struct policy_key *k = &policy_root.key[i];

		if (k->not_built) {
			buf_printf(out, "%s`%s`", sep, k->name);
			sep = ", ";
		}
		for (size_t j = 0; k->section && j < k->section->n_keys; j++) {
			if (!k->section->key[j].not_built)
				continue;
			buf_printf(out, "%s`%s.%s`", sep, k->name, k->section->key[j].name);
			sep = ", ";
		}
	}
	buf_puts(out, sep == begin ? "" : ".\n");
}

static const char dangers[] =
	"\n## What is refused, and what is warned about\n\n"
	"* A rule without `keep` or `match`; an empty list in `match`; two rules that match the same on one priority.\n"
	"* `archive: none` without `because`; for the whole server (`match: {}`, or `\"*\"`) also without `floor`: "
	"what is\n"
	"  never touched has to be said once more.\n"
	"* `team` together with direct or group messages, which have no team.\n"
	"* `until` before `since`; a hold that names nothing.\n"
	"* Warned about: a `keep_for` that is not longer than `keep` or `floor`, counted from the newest post as they "
	"are: what is archived is\n"
	"  past its time at once, and a later night removes it for good; a deleting rule without `guard`; a `limit` "
	"without `floor`; a `floor` longer than\n"
	"  `keep`; `per: team` for direct or group messages, which have no team; keys that have no effect because the "
	"rule\n"
	"  keeps everything; names and globs that no channel, team or account can have, hashtags that no post can "
	"have; a password in `url`, or another host without `sslmode=verify-full`. Warnings do not stop a run\n"
	"  without `--strict`.\n"
	"* Against the database (`mmretain check --db`): two rules that tie for a channel are an error, a name that "
	"matches\n"
	"  nothing is a warning, and so is a channel of a rule that is in none of its teams, or of none of its types. "
	"The ledger has the places of such names in holds.\n";

int policy_reference_md(struct buf *out, struct err *err)
{
	buf_puts(out, preface);
	put_section(out, &policy_root, 2);
	buf_puts(out, dangers);
	put_not_built(out);
	return out->overflow ? err_set(err, ERR_INTERNAL, "the reference does not fit into %zu bytes", out->max_bytes)
			     : 0;
}
