/*
 * cli_cmd_explain.c - which rule governs a channel, why, and what is due there.
 */
#include <string.h>

#include <mmretain/mm.h>

#include "cli_match.h"
#include "cli_plan.h"

struct explain {
	struct cli *cli;
	const struct mm_scope *scope;
	struct policy_scope key;
	const struct policy_rule *winner;
	struct policy_candidate *candidate;
	struct err tie;                      /* set when two rules tie */
	struct plan *plan;                   /* of this channel alone */
};

static bool is_named(const struct mm_scope *s, const char *word)
{
	const char *slash = strchr(word, '/');
	size_t n = slash ? (size_t)(slash - word) : 0;

	if (strcmp(s->channel_id, word) == 0 || (s->channel_name && strcmp(s->channel_name, word) == 0))
		return true;
	return slash && s->team_name && strlen(s->team_name) == n && memcmp(s->team_name, word, n) == 0 && s->channel_name &&
	       strcmp(s->channel_name, slash + 1) == 0;
}

static int find_channel(struct explain *x, const char *word, struct err *err)
{
	struct mm_scope *scope;
	size_t n, found = 0;
	char *teams = mem_strdup(x->cli->ctx, "");
	int r = mm_scopes(x->cli->ctx, x->cli->mm, &scope, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (!is_named(&scope[i], word))
			continue;
		found++;
		x->scope = &scope[i];
		teams = mem_printf(x->cli->ctx, "%s%s%s", teams, *teams ? ", " : "",
				   scope[i].team_name && *scope[i].team_name ? scope[i].team_name : scope[i].channel_id);
	}
	if (found == 1)
		return 0;
	if (found == 0) {
		err_set(err, ERR_NOT_FOUND, "there is no channel \"%s\"", word);
		return err_hint(err, "Name it by id, by name, or as team/channel.");
	}
	err_set(err, ERR_USAGE, "%zu channels are called \"%s\": in %s", found, word, teams);
	return err_hint(err, "Write team/channel, or the id.");
}

static const char *rung_name(enum policy_rung rung)
{
	switch (rung) {
	case RUNG_ALL:
		return "all";
	case RUNG_TYPE:
		return "type";
	case RUNG_TEAM:
		return "team";
	case RUNG_CHANNEL:
		return "channel";
	}
	return "?";
}

static const char *loss_name(enum policy_loss loss)
{
	switch (loss) {
	case WON:
		return "wins";
	case LOST_NO_MATCH:
		return "does not match";
	case LOST_RUNG:
		return "lost: another rule matches more closely";
	case LOST_PRIORITY:
		return "lost: another rule has a higher priority";
	case LOST_TIE:
		return "ties with another rule: nothing is deleted";
	}
	return "?";
}

static const char *type_name(char type)
{
	switch (type) {
	case 'O':
		return "public";
	case 'P':
		return "private";
	case 'D':
		return "direct";
	case 'G':
		return "group";
	default:
		return "other";
	}
}

static const char *from_name(enum policy_from from)
{
	static const char *const names[] = {[FROM_LAST_REPLY] = "last_reply", [FROM_ROOT] = "root", [FROM_LAST_EDIT] = "last_edit"};

	return names[from];
}

/* "90d from last_reply", "forever", with the limit */
static char *keep_text(void *ctx, const struct policy_rule *rule)
{
	char age[TIME_TEXT], bytes[TIME_TEXT], *text;

	if (rule->has_age) {
		duration_format(&rule->age, age);
		text = mem_printf(ctx, "%s from %s", age, from_name(rule->from));
	} else {
		text = mem_strdup(ctx, "forever");
	}
	if (rule->has_limit && rule->limit_posts)
		text = mem_printf(ctx, "%s, at most %llu posts per %s", text, (unsigned long long)rule->limit_posts,
				  rule->per == PER_TEAM ? "team" : "channel");
	if (rule->has_limit && rule->limit_bytes) {
		bytes_format(rule->limit_bytes, bytes);
		text = mem_printf(ctx, "%s, at most %s per %s", text, bytes, rule->per == PER_TEAM ? "team" : "channel");
	}
	return text;
}

static const struct plan_rule *rule_of(const struct explain *x)
{
	for (size_t i = 0; x->plan && i < x->plan->n_rules; i++)
		if (x->plan->rule[i].rule == x->winner)
			return &x->plan->rule[i];
	return NULL;
}

/* ---- output ---- */

static json_t *candidates_json(const struct explain *x)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; x->candidate && i < x->cli->policy->n_rules; i++) {
		const struct policy_candidate *c = &x->candidate[i];
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "rule", c->rule->name);
		cli_json_text(obj, "rung", rung_name(c->rung));
		cli_json_put(obj, "priority", json_integer(c->rule->priority));
		cli_json_text(obj, "result", loss_name(c->loss));
		if (json_array_append_new(list, obj) < 0)
			mem_check(NULL);
	}
	return list;
}

static json_t *holds_json(const struct explain *x)
{
	const struct policy *p = x->cli->policy;
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < p->n_holds; i++)
		if (policy_hold_covers(&p->hold[i], &x->key) &&
		    json_array_append_new(list, cli_json_check(json_string(p->hold[i].name))) < 0)
			mem_check(NULL);
	return list;
}

static void put_winner(const struct explain *x, json_t *doc)
{
	const struct plan_rule *rule = rule_of(x);
	json_t *due = cli_json_check(json_object());

	cli_json_text(doc, "rule", x->winner ? x->winner->name : NULL);
	cli_json_text(doc, "keep", x->winner ? keep_text(x->cli->ctx, x->winner) : NULL);
	cli_json_text(doc, "from", x->winner && x->winner->has_age ? from_name(x->winner->from) : NULL);
	cli_json_time(doc, "cutoff", rule ? rule->cut_ms : INT64_MIN);
	cli_json_time(doc, "floor", rule ? rule->floor_ms : INT64_MIN);
	cli_json_put(doc, "holds", holds_json(x));
	cli_json_int(due, "threads", x->plan ? x->plan->due_threads : 0);
	cli_json_int(due, "posts", x->plan ? x->plan->due_posts : 0);
	cli_json_int(due, "bytes", x->plan ? x->plan->due_bytes : 0);
	cli_json_put(doc, "due", due);
	cli_json_put(doc, "reasons", rule ? cli_reasons_json(rule->reason) : json_object());
}

static int print_json(const struct explain *x, struct err *err)
{
	json_t *doc = cli_json_check(json_object());

	cli_json_text(doc, "channel", x->scope->channel_name);
	cli_json_text(doc, "channel_id", x->scope->channel_id);
	cli_json_text(doc, "team", x->scope->team_name);
	cli_json_text(doc, "team_id", x->scope->team_id);
	cli_json_text(doc, "type", type_name(x->scope->type));
	cli_json_bool(doc, "archived", x->key.archived);
	cli_json_put(doc, "candidates", candidates_json(x));
	put_winner(x, doc);
	return cli_json_print(doc, err);
}

static int print_candidates(const struct explain *x, struct err *err)
{
	static const struct cli_column columns[] = {
		{"RULE", CLI_LEFT}, {"LINE", CLI_RIGHT}, {"RUNG", CLI_LEFT}, {"PRIORITY", CLI_RIGHT}, {"RESULT", CLI_LEFT}};
	auto_mem void *ctx = mem_context(NULL, "candidates");
	struct cli_table *t = cli_table_new(x->cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; x->candidate && i < x->cli->policy->n_rules; i++) {
		const struct policy_candidate *c = &x->candidate[i];

		cli_table_row(t);
		cli_table_text(t, c->rule->name);
		cli_table_int(t, c->rule->line);
		cli_table_text(t, rung_name(c->rung));
		cli_table_text(t, mem_printf(ctx, "%d", c->rule->priority));
		cli_table_text(t, loss_name(c->loss));
	}
	return cli_table_print(t, err);
}

static void print_winner(const struct explain *x)
{
	void *ctx = x->cli->ctx;
	const struct plan_rule *rule = rule_of(x);
	const struct policy *p = x->cli->policy;
	char cut[TIME_TEXT];

	for (size_t i = 0; i < p->n_holds; i++)
		if (policy_hold_covers(&p->hold[i], &x->key))
			printf("hold %s covers this channel\n", cli_safe(ctx, p->hold[i].name));
	if (!x->winner) {
		printf("no rule governs it: nothing is deleted\n");
		return;
	}
	printf("rule %s keeps %s\n", cli_safe(ctx, x->winner->name), keep_text(ctx, x->winner));
	if (rule && rule->cut_ms != INT64_MIN) {
		time_format(rule->cut_ms, cut);
		printf("due now: threads whose %s is before %s\n", from_name(x->winner->from), cut);
	}
	if (rule && rule->floor_ms != INT64_MAX) {
		time_format(rule->floor_ms, cut);
		printf("floor: nothing with a reply since %s goes\n", cut);
	}
	if (x->plan)
		printf("that is %llu threads, %llu posts; reasons: %s\n", (unsigned long long)x->plan->due_threads,
		       (unsigned long long)x->plan->due_posts,
		       rule ? cli_reasons_text(ctx, rule->reason, /* only_kept= */ false) : "");
}

static int print_text(const struct explain *x, struct err *err)
{
	void *ctx = x->cli->ctx;
	const struct mm_scope *s = x->scope;
	int r;

	printf("%s channel %s (%s)", type_name(s->type), cli_safe(ctx, s->channel_name), s->channel_id);
	if (*s->team_id)
		printf(" of team %s (%s)", cli_safe(ctx, s->team_name), s->team_id);
	printf("%s\n\n", x->key.archived ? ", archived" : "");
	r = print_candidates(x, err);
	if (r < 0)
		return r;
	printf("\n");
	print_winner(x);
	return 0;
}

/* What is due in this channel alone. */
static int plan_channel(struct explain *x, struct err *err)
{
	const struct plan_options options = {.channel = x->scope->channel_id, .sizes = true, .progress = &x->cli->progress};
	int r;

	if (!x->winner)
		return 0;
	r = plan_build(x->cli->ctx, x->cli->policy, x->cli->mm, &options, &x->plan, err);
	cli_progress_clear();
	return r;
}

int cli_cmd_explain(struct cli *cli, struct err *err)
{
	struct explain x = {.cli = cli};
	int r = cli_load_policy(cli, err), tie;

	if (r == 0)
		r = cli_open_db(cli, err);
	if (r == 0)
		r = find_channel(&x, cli->args->operand[0], err);
	if (r < 0)
		return r;
	x.key = cli_policy_scope(x.scope);
	tie = policy_winner(cli->ctx, cli->policy, &x.key, &x.winner, &x.candidate, &x.tie);
	r = plan_channel(&x, err);
	if (r == 0)
		r = cli->json ? print_json(&x, err) : print_text(&x, err);
	if (r == 0 && tie < 0) {
		*err = x.tie;
		r = tie;
	}
	return r;
}
