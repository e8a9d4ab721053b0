/*
 * plan_resolve.c - which rule governs which channel.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

static enum scope_type scope_type(char type)
{
	switch (type) {
	case 'O':
		return SCOPE_PUBLIC;
	case 'P':
		return SCOPE_PRIVATE;
	case 'D':
		return SCOPE_DIRECT;
	case 'G':
		return SCOPE_GROUP;
	default:
		return SCOPE_OTHER;
	}
}

struct policy_scope plan_policy_scope(const struct mm_scope *s)
{
	return (struct policy_scope){
		.channel_id = s->channel_id, .channel_name = s->channel_name, .team_id = s->team_id,
		.team_name = s->team_name,
		.type = scope_type(s->type), .archived = s->channel_archived || s->team_archived,
	};
}

/* ---- winners ---- */

static bool is_team(const struct mm_scope *s, const char *team)
{
	return s->team_id[0] && (strcmp(s->team_id, team) == 0 || strcmp(s->team_name, team) == 0);
}

static bool is_channel(const struct mm_scope *s, const char *channel)
{
	return strcmp(s->channel_id, channel) == 0 || strcmp(s->channel_name, channel) == 0;
}

static bool is_asked_for(const struct plan_options *o, const struct mm_scope *s, const struct policy_rule *rule)
{
	if (!o)
		return true;
	if (o->rule && (!rule || strcmp(rule->name, o->rule) != 0))
		return false;
	if (o->team && !is_team(s, o->team))
		return false;
	return !o->channel || is_channel(s, o->channel);
}

static int no_such(const char *what, const char *word, const char *in, const char *const *names, size_t n,
		   struct err *err)
{
	const char *near = policy_nearest(word, names, n);

	(void)err_set(err, ERR_USAGE, "there is no %s \"%s\"%s%s", what, word, *in ? " in team " : "", in);
	if (near)
		return err_hint(err, "Did you mean %s?", near);
	return err_hint(err, "Use its name as it stands in the URL, or its id.");
}

/* A team or a channel of the restriction that does not exist at all. */
static int check_places(const struct plan_options *o, const struct plan_world *w, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "names");
	const char **names = mem_array(ctx, const char *, w->n + 1);
	size_t teams = 0, n = 0;
	bool there = false;

	for (size_t i = 0; i < w->n; i++)
		if (w->scope[i].team_id[0])
			names[teams++] = w->scope[i].team_name;
	for (size_t i = 0; i < w->n && o->team; i++)
		there = there || is_team(&w->scope[i], o->team);
	if (o->team && !there)
		return no_such("team", o->team, "", names, teams, err);
	there = !o->channel;
	for (size_t i = 0; i < w->n && !there; i++)
		if (!o->team || is_team(&w->scope[i], o->team)) {
			there = is_channel(&w->scope[i], o->channel);
			names[n++] = w->scope[i].channel_name;
		}
	return there ? 0 : no_such("channel", o->channel, o->team ? o->team : "", names, n, err);
}

static int check_restriction(const struct plan_options *o, const struct policy *policy, const struct plan_world *w,
			     size_t found, struct err *err)
{
	int r;

	bool has_rule = !o || !o->rule;

	for (size_t i = 0; i < policy->n_rules && !has_rule; i++)
		has_rule = strcmp(policy->rule[i].name, o->rule) == 0;
	if (!has_rule) {
		(void)err_set(err, ERR_USAGE, "the policy has no rule \"%s\"", o->rule);
		return err_hint(err, "Use the name of a rule as it stands in the policy file.");
	}
	if (found || !o || (!o->team && !o->channel))
		return 0;
	if ((r = check_places(o, w, err)) < 0)
		return r;
	(void)err_set(err, ERR_USAGE, "no channel is left with%s%s%s%s%s%s", o->rule ? " rule " : "",
		      o->rule ? o->rule : "", o->team ? " team " : "", o->team ? o->team : "",
		      o->channel ? " channel " : "", o->channel ? o->channel : "");
	return err_hint(err, "Use the name or id of a team or channel that exists, or leave the restriction out.");
}

/* A name alone is a channel of every team that has one of that name; a restriction means one. */
static int check_one_channel(const struct plan *plan, const struct plan_options *o, struct err *err)
{
	enum { TOLD = 5 };
	auto_mem void *ctx = mem_context(NULL, "teams");
	char *teams = mem_strdup(ctx, "");

	if (!o || !o->channel || plan->n_scopes < 2)
		return 0;
	for (size_t i = 0; i < plan->n_scopes && i < TOLD; i++)
		teams = mem_printf(ctx, "%s%s%s", teams, i ? ", " : "", plan->scope[i].mm->team_name);
	(void)err_set(err, ERR_USAGE, "a channel \"%s\" is in %zu teams: %s%s", o->channel, plan->n_scopes, teams,
		      plan->n_scopes > TOLD ? ", ..." : "");
	return err_hint(err, "Write team/channel, or the channel's id.");
}

static int add_scope(struct plan *plan, const struct policy *policy, const struct mm_scope *s,
		     const struct plan_options *options, size_t *room, struct err *err)
{
	struct policy_scope ps = plan_policy_scope(s);
	const struct policy_rule *rule = NULL;
	int r = policy_winner(plan, policy, &ps, &rule, NULL, err);

	if (r < 0 || !is_asked_for(options, s, rule))
		return r;
	if (plan->n_scopes == *room) {
		*room = plan_scope_room(*room);
		plan->scope = mem_grow(plan, plan->scope, struct plan_scope, *room);
	}
	plan->scope[plan->n_scopes++] = (struct plan_scope){.mm = s, .rule = rule};
	if (rule)
		plan->rule[rule - policy->rule].scopes++;
	return 0;
}

static bool is_restricted(const struct plan_options *o)
{
	return o && (o->rule || o->team || o->channel);
}

/* Channels in the order of the database. */
static int take_scopes(struct plan *plan, const struct policy *policy, const struct mm_scope *all, size_t n,
		       const struct plan_options *options, struct err *err)
{
	size_t room = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_scope(plan, policy, &all[i], options, &room, err);
	if (r == 0)
		r = check_restriction(options, policy, &(struct plan_world){.scope = all, .n = n}, plan->n_scopes, err);
	return r < 0 ? r : check_one_channel(plan, options, err);
}

int plan_check_options(const struct policy *policy, struct mm *mm, const struct plan_options *options, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "restriction");
	struct plan *plan = plan_empty(ctx);
	struct mm_scope *all;
	size_t n;
	int r;

	if (!is_restricted(options))
		return 0;
	plan->rule = mem_array(plan, struct plan_rule, policy->n_rules + 1);
	if ((r = mm_scopes(plan, mm, &all, &n, err)) < 0)
		return r;
	r = take_scopes(plan, policy, all, n, options, err);
	if (r != -ERR_POLICY)
		return r;
	err_clear(err); /* rules that tie are no fault of the restriction: the plan tells */
	return 0;
}

/* By rule as in the policy (none last), team, channel: the order of due threads. */
static int compare_scopes(const void *a, const void *b)
{
	const struct plan_scope *x = a, *y = b;
	int c;

	if (x->rule != y->rule)
		return !x->rule ? 1 : !y->rule ? -1 : x->rule < y->rule ? -1 : 1;
	c = strcmp(x->mm->team_id, y->mm->team_id);
	return c ? c : strcmp(x->mm->channel_id, y->mm->channel_id);
}

int plan_resolve(struct plan *plan, const struct policy *policy, struct mm *mm, const struct plan_options *options,
		 bool *ret_all, struct err *err)
{
	struct mm_scope *all;
	size_t n;
	int r = mm_scopes(plan, mm, &all, &n, err);

	if (r < 0 || (r = take_scopes(plan, policy, all, n, options, err)) < 0)
		return r;
	if ((r = plan_words_of(plan, policy, mm, &(struct plan_world){.scope = all, .n = n},
			       /* holds_only= */ is_restricted(options), err)) < 0)
		return r;
	if (plan->n_scopes)
		qsort(plan->scope, plan->n_scopes, sizeof *plan->scope, compare_scopes);
	*ret_all = plan->n_scopes == n;
	return 0;
}
