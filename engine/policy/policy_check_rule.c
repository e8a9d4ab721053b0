/* What the keys of one rule, or one hold, mean together. */
#include "policy_internal.h"

#include <string.h>

/* "rule `alarms`", for messages; a rule without a name goes by its line. */
static char *rule_title(void *ctx, const struct policy_rule *r)
{
	return r->name ? mem_printf(ctx, "rule `%s`", r->name) : mem_printf(ctx, "the rule in line %u", r->line);
}

static bool has_star(const struct policy_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (policy_glob_any(list->item[i]))
			return true;
	return list->n == 0;
}

static bool is_whole_server(const struct policy_match *m)
{
	const unsigned all = SCOPE_PUBLIC | SCOPE_PRIVATE | SCOPE_DIRECT | SCOPE_GROUP;

	return has_star(&m->team) && has_star(&m->channel) && (m->types == 0 || m->types == all) &&
	       m->archived == FLAG_UNSET;
}

static void check_types(struct problem_list *l, const struct policy_rule *r, const struct node *n)
{
	const struct node *match = policy_node_get(n, "match");
	bool teamless = (r->match.types & (SCOPE_DIRECT | SCOPE_GROUP)) != 0;

	if (!teamless)
		return;
	if (policy_node_get(match, "team")) {
		policy_problem(l, policy_node_get(match, "type"), "direct and group messages have no team, but `match` "
								  "names one");
		policy_hint(l, "Make two rules of it, or remove `team`, or `direct` and `group`.");
	} else if (r->has_limit && r->per == PER_TEAM && policy_node_get(policy_node_get(n, "limit"), "per")) {
		policy_warning(l, policy_node_get(policy_node_get(n, "limit"), "per"),
			       "direct and group messages have no team, `per: team` measures each of them by itself");
		policy_hint(l, "Write `per: channel`, or make two rules of it.");
	}
}

static void check_limit(struct problem_list *l, const struct node *n)
{
	const struct node *limit = policy_node_get(n, "limit");

	if (!limit || limit->kind != NODE_MAP || policy_node_get(limit, "posts") || policy_node_get(limit, "bytes"))
		return;
	/* With an unknown key in it the missing one is most likely that. */
	for (const struct node *v = limit->first; v; v = v->next)
		if (strcmp(v->key->text, "per") != 0)
			return;
	policy_problem(l, limit, "`limit` needs `posts` or `bytes`");
	policy_hint(l, "Write how much may stay, such as `limit: {per: channel, posts: 50000, bytes: 500MiB}`.");
}

/* What is protected counts, and may be more than the limit by itself; so may one long thread. */
static void check_limit_floor(struct problem_list *l, const struct node *n)
{
	const struct node *limit = policy_node_good(n, "limit");

	if (!limit || policy_node_get(n, "floor"))
		return;
	policy_warning(l, limit->key, "`limit` without `floor` can take threads of today");
	policy_hint(l, "Add a `floor`, such as `floor: 30d`: nothing younger goes then, also where one long thread, or "
		       "what holds and `spare` keep, is over the limit by itself.");
}

static void check_guard(struct problem_list *l, const struct policy_rule *r, const struct node *n)
{
	const struct node *guard = policy_node_get(n, "guard");
	void *tmp;

	if (guard && guard->kind == NODE_MAP && guard->n == 0) {
		policy_problem(l, guard, "`guard` is empty");
		policy_hint(l, "Write `guard: {threads: 100000, percent: 40}`.");
	}
	if (guard || !(r->has_age || r->has_limit))
		return;
	tmp = mem_context(NULL, "check");
	policy_warning(l, n, "%s deletes without a guard", rule_title(tmp, r));
	policy_hint(l, "Add `guard: {threads: 100000, percent: 40}`; more than that then stops a run before it "
		       "begins.");
	TALLOC_FREE(tmp);
}

static void check_floor(struct problem_list *l, const struct policy_rule *r, const struct node *n)
{
	/* Months and days are compared on one fixed day; for a warning that is near enough. */
	const int64_t day_ms = 1735689600000; /* 2025-01-01 */
	char age[TIME_TEXT], floor_text[TIME_TEXT];

	if (!r->has_age || !r->has_floor || duration_before(day_ms, &r->age) <= duration_before(day_ms, &r->floor))
		return;
	duration_format(&r->age, age);
	duration_format(&r->floor, floor_text);
	policy_warning(l, policy_node_get(n, "floor"), "`floor` %s is longer than `keep` %s: threads stay %s",
		       floor_text, age, floor_text);
	policy_hint(l, "Shorten `floor`, or lengthen `keep`.");
}

/* keep_for counts from the newest post, which is as old as `keep` when the thread goes, and in any case as `floor`. */
static void check_keep_for(struct problem_list *l, const struct policy_rule *r, const struct node *n)
{
	const int64_t day_ms = 1735689600000; /* as above */
	const struct duration *least = r->has_age && r->from != FROM_ROOT ? &r->age : NULL;
	char least_text[TIME_TEXT], keep_for[TIME_TEXT];

	if (r->has_floor && (r->has_age || r->has_limit) &&
	    (!least || duration_before(day_ms, &r->floor) < duration_before(day_ms, least)))
		least = &r->floor;
	if (!least || !r->has_keep_for || duration_before(day_ms, &r->keep_for) < duration_before(day_ms, least))
		return;
	duration_format(least, least_text);
	duration_format(&r->keep_for, keep_for);
	policy_warning(l, policy_node_get(policy_node_get(n, "archive"), "keep_for"),
		       "`keep_for` %s is not longer than `%s` %s: what is archived is past its time at once", keep_for,
		       least == &r->floor ? "floor" : "keep", least_text);
	policy_hint(l, "`keep_for` counts from the newest post. Lengthen it, or write `archive: none` where no archive "
		       "is wanted.");
}

/* F002: no archive is a decision, and for the whole server one that says twice what is never touched. */
static void check_archive(struct problem_list *l, const struct policy_rule *r, const struct node *n, bool deleted)
{
	const struct node *archive = policy_node_get(n, "archive"), *files = policy_node_get(n, "files");

	if (!r->archive_none)
		return;
	if (!policy_node_get(n, "because")) {
		policy_problem(l, archive, "`archive: none` needs `because`: what goes cannot be brought back");
		policy_hint(l, "Add the reason, such as `because: \"works council agreement 12/2025\"`, or remove "
			       "`archive: none`.");
	}
	if (files && files->kind == NODE_SCALAR && strcmp(files->text, "archive") == 0) {
		policy_problem(l, files, "`files: archive` contradicts `archive: none`");
		policy_hint(l, "Write `files: drop` or `files: keep`, or remove `archive: none`.");
	}
	if (policy_node_good(n, "match") && is_whole_server(&r->match) && (r->has_age || r->has_limit || deleted) &&
	    !policy_node_get(n, "floor")) {
		policy_problem(l, archive, "this rule would delete on the whole server, without an archive and without "
					   "a `floor`");
		policy_hint(l, "Name teams or channels in `match`, remove `archive: none`, or state in `floor` what is "
			       "never touched.");
	}
}

/* A rule that keeps everything: other keys suggest that its author meant something else. */
static void check_idle_keys(struct problem_list *l, const struct policy_rule *r, const struct node *n)
{
	static const char *const idle[] = {"spare", "floor", "files", "archive", "guard"};

	if (!r->keep_forever || policy_node_get(n, "limit"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
		const struct node *v = policy_node_get(n, idle[i]);

		if (!v)
			continue;
		policy_warning(l, v->key, "`%s` has no effect: the rule keeps everything for ever", idle[i]);
		policy_hint(l, "Remove it, or add a `limit` or an age in `keep`.");
	}
}

void policy_check_rule(struct problem_list *l, const struct policy_rule *r, const struct node *n, bool deleted)
{
	check_types(l, r, n);
	check_limit(l, n);
	check_limit_floor(l, n);
	check_guard(l, r, n);
	check_floor(l, r, n);
	check_keep_for(l, r, n);
	check_archive(l, r, n, deleted);
	if (!deleted) /* they hold for `deleted_posts` too */
		check_idle_keys(l, r, n);
}

static size_t items(const struct node *n)
{
	return !n ? 0 : n->kind == NODE_LIST ? n->n : 1;
}

void policy_check_hold(struct problem_list *l, const struct policy_hold *h, const struct node *n)
{
	const struct node *match = policy_node_get(n, "match");
	size_t selectors = 0;

	if (match && match->kind == NODE_MAP) {
		for (const struct node *v = match->first; v; v = v->next)
			selectors += items(v);
		if (selectors == 0) {
			policy_problem(l, match, "a hold must hold something");
			policy_hint(l, "Name `users`, `channels` or `teams`; everything is `{teams: [\"*\"], channels: "
				       "[\"*\"]}`.");
		}
	}
	if (h->has_since && h->has_until && h->since_ms >= h->until_ms) {
		policy_problem(l, policy_node_get(n, "until"), "`until` is not after `since`");
		policy_hint(l, "Exchange the two, or write `until: open`.");
	}
}
