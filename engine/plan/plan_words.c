/*
 * plan_words.c - words of the policy that match nothing: a hold with such a word protects less than it says, and may
 * protect nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

const char *plan_warn(struct plan *plan, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = mem_check(talloc_vasprintf(plan, fmt, ap));
	va_end(ap);
	for (size_t i = 0; i < plan->n_warnings; i++)
		if (strcmp(plan->warning[i], text) == 0) {
			talloc_free(text);
			return plan->warning[i];
		}
	plan->warning = mem_grow(plan, plan->warning, char *, plan->n_warnings + 1);
	return plan->warning[plan->n_warnings++] = text;
}

void plan_note_word(struct plan *plan, const char *warning, const struct policy_hold *hold, const char *of, size_t item)
{
	for (size_t i = 0; i < plan->n_words; i++)
		if (plan->word[i] == warning)
			return;
	plan->word = mem_grow(plan, plan->word, const char *, plan->n_words + 1);
	plan->word[plan->n_words++] = warning;
	if (!hold)
		return;
	plan->unmatched = mem_grow(plan, plan->unmatched, struct plan_unmatched, plan->n_unmatched + 1);
	plan->unmatched[plan->n_unmatched++] = (struct plan_unmatched){.hold = hold, .of = of, .item = item};
}

static bool channel_exists(const struct plan_world *w, const char *pattern)
{
	for (size_t i = 0; i < w->n; i++)
		if (policy_glob(pattern, w->scope[i].channel_id, w->scope[i].channel_name))
			return true;
	return false;
}

static bool team_exists(const struct plan_world *w, const char *pattern)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->scope[i].team_id[0] && policy_glob(pattern, w->scope[i].team_id, w->scope[i].team_name))
			return true;
	return false;
}

/* A channel of a rule: in the teams and of the types that the rule names. */
static bool rule_channel_exists(const struct plan_world *w, const struct policy_match *m, size_t item)
{
	for (size_t i = 0; i < w->n; i++) {
		struct policy_scope s = plan_policy_scope(&w->scope[i]);

		if (policy_match_item(m, item, &s))
			return true;
	}
	return false;
}

/* Whose list it is: of a rule (then its match), or of a hold. */
struct owner { const char *name; const struct policy_hold *hold; const struct policy_match *match; };

static bool item_exists(const struct plan_world *w, const struct policy_list *l, size_t i, const struct owner *o,
			bool team)
{
	if (team)
		return team_exists(w, l->item[i]);
	return o->match ? rule_channel_exists(w, o->match, i) : channel_exists(w, l->item[i]);
}

static void look_for(struct plan *plan, const struct plan_world *w, const struct policy_list *l, const struct owner *o,
		     const char *of)
{
	bool team = strcmp(of, "teams") == 0;

	for (size_t i = 0; i < l->n; i++)
		if (!item_exists(w, l, i, o, team))
			plan_note_word(plan,
				       plan_warn(plan, "%s: %s \"%s\" (line %u) matches nothing", o->name,
						 team ? "team" : "channel", l->item[i], l->line ? l->line[i] : 0),
				       o->hold, of, i);
}

static bool matches_any(const struct policy_match *m, const struct plan_world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct policy_scope s = plan_policy_scope(&w->scope[i]);

		if (policy_match_scope(m, &s))
			return true;
	}
	return false;
}

static void words_of_rules(struct plan *plan, const struct policy *policy, const struct plan_world *w)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_rule *rule = &policy->rule[i];
		auto_mem char *name = mem_printf(NULL, "rule %s", rule->name);
		const struct owner o = {name, NULL, &rule->match};
		size_t before = plan->n_warnings;

		look_for(plan, w, &rule->match.team, &o, "teams");
		look_for(plan, w, &rule->match.channel, &o, "channels");
		if (plan->n_warnings == before && !matches_any(&rule->match, w))
			plan_note_word(plan, plan_warn(plan, "%s (line %u) matches no channel", name, rule->line), NULL,
				       NULL, 0);
	}
}

static void words_of_holds(struct plan *plan, const struct policy *policy, const struct plan_world *w)
{
	for (size_t i = 0; i < policy->n_holds; i++) {
		const struct policy_hold *hold = &policy->hold[i];
		auto_mem char *name = mem_printf(NULL, "hold %s", hold->name);
		const struct owner o = {name, hold, NULL};

		look_for(plan, w, &hold->teams, &o, "teams");
		look_for(plan, w, &hold->channels, &o, "channels");
	}
}

/* Also where no rule takes anything: holds are about accounts too. */
static int accounts(struct plan *plan, const struct policy *policy, struct mm *mm, bool holds_only, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "holds");
	struct mm_protect_query *q;
	int r = plan_protect(ctx, policy, NULL, mm, NULL, 0, plan, &q, err);

	for (size_t i = 0; r == 0 && !holds_only && i < policy->n_rules; i++)
		if (policy->rule[i].spare_authors.n)
			r = plan_protect(ctx, policy, &policy->rule[i], mm, NULL, 0, plan, &q, err);
	return r;
}

/* As the policy has the holds. */
static int compare_unmatched(const void *a, const void *b)
{
	const struct plan_unmatched *x = a, *y = b;
	int c = strcmp(x->of, y->of);

	if (x->hold != y->hold)
		return x->hold < y->hold ? -1 : 1;
	return c ? c : x->item < y->item ? -1 : x->item > y->item;
}

int plan_words_of(struct plan *plan, const struct policy *policy, struct mm *mm, const struct plan_world *w,
		  bool holds_only, struct err *err)
{
	int r;

	if (!holds_only)
		words_of_rules(plan, policy, w);
	words_of_holds(plan, policy, w);
	r = accounts(plan, policy, mm, holds_only, err);
	if (plan->n_unmatched)
		qsort(plan->unmatched, plan->n_unmatched, sizeof *plan->unmatched, compare_unmatched);
	return r;
}

int plan_words(struct plan *plan, const struct policy *policy, struct mm *mm, bool holds_only, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "channels");
	struct mm_scope *all;
	size_t n;
	int r = mm_scopes(ctx, mm, &all, &n, err);

	return r < 0 ? r : plan_words_of(plan, policy, mm, &(struct plan_world){.scope = all, .n = n}, holds_only, err);
}

int plan_strict(const struct plan *plan, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "words");
	char *list = mem_strdup(ctx, "");
	size_t n = plan->n_words;

	if (!n)
		return 0;
	for (size_t i = 0; i < n && i < PLAN_NAMES_SHOWN; i++)
		list = mem_printf(ctx, "%s%s%s", list, i ? "; " : "", plan->word[i]);
	(void)err_set(err, ERR_POLICY, "%zu word%s of the policy match%s nothing, and --strict is given: %s%s", n,
		      n == 1 ? "" : "s", n == 1 ? "es" : "", list, n > PLAN_NAMES_SHOWN ? "; ..." : "");
	return err_hint(err, "Correct the policy (`mmretain check --db` names every such word), or leave --strict out. "
			     "Nothing of the plan was archived or deleted.");
}
