/*
 * cli_protocol_holds.c - the policy's holds in a run: what they kept, and what of them matched nothing.
 */
#include <string.h>

#include <mmretain/policy.h>

#include "cli_protocol.h"


bool protocol_same_policy(const struct cli *cli, const json_t *run)
{
	char hex[DIGEST_HEX + 1] = "";

	if (cli->policy)
		digest_hex(&cli->policy->digest, hex);
	return *hex && strcmp(hex, protocol_str(json_object_get(run, "begin"), "policy_digest")) == 0;
}

static const struct policy_hold *hold_of(const struct cli *cli, const char *name)
{
	for (size_t i = 0; cli->policy && i < cli->policy->n_holds; i++)
		if (strcmp(cli->policy->hold[i].name, name) == 0)
			return &cli->policy->hold[i];
	return NULL;
}

/* The ledger has the places of words, the policy of that run the words. */
static const char *word_of(const struct policy_hold *hold, const char *of, uint64_t item)
{
	const struct policy_list *l = strcmp(of, "users") == 0	 ? &hold->users
				      : strcmp(of, "teams") == 0 ? &hold->teams
								 : &hold->channels;

	return item >= 1 && item <= l->n ? l->item[item - 1] : NULL;
}

/* Of the plan, or what protocol_restrict has left of one. */
static json_t *lines_of(const json_t *run)
{
	json_t *plan = json_object_get(run, "plan");

	return json_object_get(json_is_object(plan) ? plan : run, "unmatched");
}

static json_t *unmatched_of(const struct cli *cli, const json_t *run, const char *name)
{
	const struct policy_hold *hold = protocol_same_policy(cli, run) ? hold_of(cli, name) : NULL;
	json_t *list = cli_json_check(json_array()), *entry;
	size_t i;

	json_array_foreach(lines_of(run), i, entry) {
		const char *of = protocol_str(entry, "of");
		json_t *obj;

		if (strcmp(protocol_str(entry, "hold"), name) != 0)
			continue;
		obj = cli_json_check(json_object());
		cli_json_text(obj, "of", of);
		cli_json_int(obj, "item", protocol_int(entry, "item"));
		cli_json_text(obj, "word", hold ? word_of(hold, of, protocol_int(entry, "item")) : NULL);
		if (json_array_append_new(list, obj) < 0)
			mem_check(NULL);
	}
	return list;
}

/* A name that stands there twice has one line. */
static bool is_unmatched(const json_t *unmatched, const char *of, const char *word)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)unmatched, i, entry)
		if (strcmp(protocol_str(entry, "of"), of) == 0 && strcmp(protocol_str(entry, "word"), word) == 0)
			return true;
	return false;
}

static bool any_matched(const struct policy_list *l, const char *of, const json_t *unmatched)
{
	for (size_t i = 0; i < l->n; i++)
		if (!is_unmatched(unmatched, of, l->item[i]))
			return true;
	return false;
}

/* A line has so many words and no more: then nobody knows of the others whose they are. */
static bool is_cut(const json_t *run)
{
	return protocol_int(json_object_get(run, "plan"), "unmatched_words") > json_array_size(lines_of(run));
}

/* Is any word of it left that matched?  Of another policy that is not known, nor of a run that the policy refused
 * before it had a plan. */
static bool in_force(const struct cli *cli, const json_t *run, const char *name, const json_t *unmatched)
{
	const struct policy_hold *hold = protocol_same_policy(cli, run) ? hold_of(cli, name) : NULL;

	if (!hold || strcmp(protocol_str(json_object_get(run, "end"), "error"), "POLICY") == 0)
		return false;
	return !is_cut(run) &&
	       (any_matched(&hold->users, "users", unmatched) || any_matched(&hold->channels, "channels", unmatched) ||
		any_matched(&hold->teams, "teams", unmatched));
}

static void add_hold(const struct cli *cli, const json_t *run, json_t *list, const char *name, json_t *threads)
{
	json_t *obj = cli_json_check(json_object()), *unmatched = unmatched_of(cli, run, name);

	cli_json_text(obj, "name", name);
	cli_json_text(obj, "because", cli_hold_because(cli, name));
	cli_json_put(obj, "threads", threads ? json_incref(threads) : json_null());
	cli_json_bool(obj, "in_force", threads || in_force(cli, run, name, unmatched));
	cli_json_put(obj, "unmatched", unmatched);
	if (json_array_append_new(list, obj) < 0)
		mem_check(NULL);
}

static bool has_hold(const json_t *list, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, entry)
		if (strcmp(protocol_str(entry, "name"), name) == 0)
			return true;
	return false;
}

json_t *protocol_holds(const struct cli *cli, const json_t *run)
{
	json_t *list = cli_json_check(json_array()), *kept = cli_json_check(json_object()), *entry, *threads;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(run, "kept"), i, entry) {
		name = protocol_str(entry, "hold");
		if (*name)
			cli_json_int(kept, name, protocol_int(kept, name) + protocol_int(entry, "threads"));
	}
	json_object_foreach(kept, name, threads)
		add_hold(cli, run, list, name, threads);
	for (i = 0; protocol_same_policy(cli, run) && i < cli->policy->n_holds; i++)
		if (!has_hold(list, cli->policy->hold[i].name))
			add_hold(cli, run, list, cli->policy->hold[i].name, NULL);
	json_array_foreach(lines_of(run), i, entry)
		if (!has_hold(list, protocol_str(entry, "hold")))
			add_hold(cli, run, list, protocol_str(entry, "hold"), NULL);
	json_decref(kept);
	return list;
}

const char *protocol_unmatched(void *ctx, const json_t *hold)
{
	const char *text = "";
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(hold, "unmatched"), i, entry) {
		const char *of = protocol_str(entry, "of"), *word = protocol_str(entry, "word"),
			   *before = mem_printf(ctx, "%s%s", text, i ? ", " : "");
		int len = (int)strlen(of) - (*of != '\0'); /* of one */

		text = *word ? mem_printf(ctx, "%s%.*s %s", before, len, of, word)
			     : mem_printf(ctx, "%s%.*s %llu of its list", before, len, of,
					  (unsigned long long)protocol_int(entry, "item"));
	}
	return text;
}
