/*
 * cli_plan.c - a plan on the terminal and as JSON.
 */
#include <stdlib.h>
#include <string.h>

#include <mmretain/ledger.h>

#include "cli_expire.h"
#include "cli_people.h"
#include "cli_plan.h"

#define CHANNELS_SHOWN 20

static bool is_due_reason(int reason)
{
	return reason <= DUE_DELETED;
}

/* The rule does not want it: nothing to tell. */
static bool is_silent(int reason)
{
	return reason == KEPT_YOUNG;
}

char *cli_reasons_text(void *ctx, const uint64_t reason[PLAN_REASONS], enum plan_verdict of)
{
	char *text = mem_strdup(ctx, "");

	for (int i = 0; i < PLAN_REASONS; i++) {
		char *longer;

		if (!reason[i] || is_silent(i) || is_due_reason(i) != (of == PLAN_DUE))
			continue;
		longer = mem_printf(ctx, "%s%s%s %llu", text, *text ? ", " : "", plan_reason_name((enum plan_reason)i),
				    (unsigned long long)reason[i]);
		talloc_free(text);
		text = longer;
	}
	return text;
}

json_t *cli_reasons_json(const uint64_t reason[PLAN_REASONS])
{
	json_t *obj = cli_json_check(json_object());

	for (int i = 0; i < PLAN_REASONS; i++)
		if (reason[i] && !is_silent(i))
			cli_json_int(obj, plan_reason_name((enum plan_reason)i), reason[i]);
	return obj;
}

void cli_place(const struct cli *cli, const char **ret_team, const char **ret_channel)
{
	const char *team = cli->args->value[OPT_TEAM], *channel = cli->args->value[OPT_CHANNEL];
	const char *slash = channel && !team ? strchr(channel, '/') : NULL;

	*ret_team = slash ? mem_strndup(cli->ctx, channel, (size_t)(slash - channel)) : team;
	*ret_channel = slash ? slash + 1 : channel;
}

static int build(struct cli *cli, const struct ledger_state *ledger, struct plan **ret, struct err *err)
{
	struct plan_options options = {.rule = cli->args->value[OPT_RULE],
				       .sizes = true,
				       .kept = cli_given(cli, OPT_KEPT),
				       .strays = cli->verbose,
				       .measure = cli->verbose,
				       .progress = &cli->progress};
	int r;

	options.held = ledger ? ledger->held : NULL;
	options.n_held = ledger ? ledger->n_held : 0;
	cli_place(cli, &options.team, &options.channel);
	r = plan_build(cli->ctx, cli->policy, cli->mm, &options, ret, err);

	if (r < 0)
		return r;
	cli_progress_clear();
	for (size_t i = 0; i < (*ret)->n_warnings; i++)
		log_warn("%s", cli_safe(cli->ctx, (*ret)->warning[i]));
	return 0;
}

/* ---- JSON ---- */

json_t *cli_amounts_json(uint64_t threads, uint64_t posts, uint64_t bytes)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "threads", threads);
	cli_json_int(obj, "posts", posts);
	cli_json_int(obj, "bytes", bytes);
	return obj;
}

static json_t *rule_json(const struct plan_rule *rule)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "rule", rule->rule->name);
	cli_json_int(obj, "scopes", rule->scopes);
	cli_json_time(obj, "cutoff", rule->cut_ms);
	cli_json_time(obj, "floor", rule->floor_ms);
	cli_json_put(obj, "due", cli_amounts_json(rule->due_threads, rule->due_posts, rule->due_bytes));
	cli_json_put(obj, "reasons", cli_reasons_json(rule->reason));
	return obj;
}

static void list_amounts(struct cli_list *l, const char *key, const uint64_t *threads, uint64_t posts, uint64_t bytes)
{
	cli_list_open(l, key);
	if (threads)
		cli_list_int(l, "threads", *threads);
	cli_list_int(l, "posts", posts);
	cli_list_int(l, "bytes", bytes);
	cli_list_close(l);
}

static void list_reasons(struct cli_list *l, const uint64_t reason[PLAN_REASONS])
{
	cli_list_open(l, "reasons");
	for (int i = 0; i < PLAN_REASONS; i++)
		if (reason[i] && !is_silent(i))
			cli_list_int(l, plan_reason_name((enum plan_reason)i), reason[i]);
	cli_list_close(l);
}

/* As far as it is measured: with -v all, else where a limit asks. */
static void list_size(struct cli_list *l, const struct plan_scope *s, bool measured)
{
	char text[TIME_TEXT];

	list_amounts(l, "size", NULL, measured ? s->all->posts : s->size_posts,
		     measured ? s->all->bytes : s->size_bytes);
	if (measured && s->all->oldest_ms != INT64_MAX)
		time_format(s->all->oldest_ms, text);
	cli_list_text(l, "oldest", measured && s->all->oldest_ms != INT64_MAX ? text : NULL);
}

struct listing { const struct plan *plan; bool measured; };

static int list_scopes(struct cli_list *l, const void *payload, struct err *err)
{
	const struct listing *listing = payload;
	const struct plan *plan = listing->plan;

	(void)err;
	for (size_t i = 0; i < plan->n_scopes; i++) {
		const struct plan_scope *s = &plan->scope[i];

		cli_list_open(l, NULL);
		cli_list_text(l, "channel_id", s->mm->channel_id);
		cli_list_text(l, "channel", s->mm->channel_name);
		cli_list_text(l, "team", s->mm->team_name);
		cli_list_text(l, "rule", s->rule ? s->rule->name : NULL);
		list_amounts(l, "due", &s->due_threads, s->due_posts, s->due_bytes);
		list_size(l, s, listing->measured);
		cli_list_bool(l, "limit_unreached", s->limit_unreached);
		list_reasons(l, plan_scope_reasons(s));
		cli_list_close(l);
	}
	return 0;
}

static void append(json_t *list, json_t *value)
{
	if (json_array_append_new(list, cli_json_check(value)) < 0)
		mem_check(NULL);
}

static json_t *strays_json(const struct mm_strays *s)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "no_channel", s->no_channel);
	cli_json_int(obj, "no_root", s->no_root);
	cli_json_int(obj, "no_original", s->no_original);
	cli_json_int(obj, "other_channel", s->other_channel);
	cli_json_int(obj, "odd_time", s->odd_time);
	return obj;
}

static json_t *plan_json(const struct cli *cli, const struct plan *plan)
{
	json_t *doc = cli_json_check(json_object()), *rules = cli_json_check(json_array());
	json_t *warnings = cli_json_check(json_array());

	cli_json_digest(doc, "policy_digest", &plan->policy_digest);
	cli_json_time(doc, "taken", plan->taken_ms);
	cli_json_time(doc, "deleted_cutoff", plan->deleted_cut_ms);
	cli_json_text(doc, "database", plan->database);
	cli_json_text(doc, "system_identifier", plan->system_identifier);
	cli_json_digest(doc, "digest", &plan->digest);
	cli_json_put(doc, "due", cli_amounts_json(plan->due_threads, plan->due_posts, plan->due_bytes));
	for (size_t i = 0; i < plan->n_rules; i++)
		append(rules, rule_json(&plan->rule[i]));
	cli_json_put(doc, "rules", rules);
	cli_json_put(doc, "scopes", json_array()); /* list_scopes fills it */
	cli_json_put(doc, "kept", plan->kept ? json_array() : json_null()); /* cli_plan_list_kept fills it */
	cli_json_put(doc, "strays", cli->verbose ? strays_json(&plan->strays) : json_null());
	for (size_t i = 0; i < plan->n_warnings; i++) {
		auto_mem char *safe = cli_safe(NULL, plan->warning[i]);

		append(warnings, json_string(safe));
	}
	cli_json_put(doc, "warnings", warnings);
	return doc;
}

/* ---- text ---- */

static int print_rules(const struct cli *cli, const struct plan *plan, struct err *err)
{
	static const struct cli_column columns[] = {
		{"RULE", CLI_LEFT},   {"CHANNELS", CLI_RIGHT}, {"CUT-OFF", CLI_LEFT},  {"DUE THREADS", CLI_RIGHT},
		{"POSTS", CLI_RIGHT}, {"SIZE", CLI_RIGHT},     {"DUE BY", CLI_LEFT},   {"KEPT BY", CLI_LEFT},
	};
	auto_mem void *ctx = mem_context(NULL, "rules");
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < plan->n_rules; i++) {
		const struct plan_rule *rule = &plan->rule[i];

		cli_table_row(t);
		cli_table_text(t, rule->rule->name);
		cli_table_int(t, rule->scopes);
		cli_table_time(t, rule->cut_ms);
		cli_table_int(t, rule->due_threads);
		cli_table_int(t, rule->due_posts);
		cli_table_bytes(t, rule->due_bytes);
		cli_table_text(t, cli_reasons_text(ctx, rule->reason, PLAN_DUE));
		cli_table_text(t, cli_reasons_text(ctx, rule->reason, PLAN_KEEP));
	}
	return cli_table_print(t, err);
}

static uint64_t bytes_of(const struct plan_scope *s)
{
	return s->all ? s->all->bytes : 0;
}

static int by_due(const void *a, const void *b)
{
	const struct plan_scope *const *x = a, *const *y = b;

	if ((*x)->due_posts != (*y)->due_posts)
		return (*x)->due_posts < (*y)->due_posts ? 1 : -1;
	if (bytes_of(*x) != bytes_of(*y))
		return bytes_of(*x) < bytes_of(*y) ? 1 : -1;
	return strcmp((*x)->mm->channel_id, (*y)->mm->channel_id);
}

static void put_scope(struct cli_table *t, void *ctx, const struct plan_scope *s, bool measured)
{
	bool team = s->mm->team_name && *s->mm->team_name;

	cli_table_row(t);
	cli_table_text(t, team ? mem_printf(ctx, "%s/%s", s->mm->team_name, s->mm->channel_name) : s->mm->channel_name);
	cli_table_text(t, s->rule ? s->rule->name : "-");
	cli_table_int(t, s->due_threads);
	cli_table_int(t, s->due_posts);
	cli_table_bytes(t, s->due_bytes);
	cli_table_text(t, cli_reasons_text(ctx, plan_scope_reasons(s), PLAN_DUE));
	cli_table_text(t, mem_printf(ctx, "%s%s", cli_reasons_text(ctx, plan_scope_reasons(s), PLAN_KEEP),
				     s->limit_unreached ? " (still over its limit)" : ""));
	if (!measured)
		return;
	cli_table_int(t, s->all->posts);
	cli_table_bytes(t, s->all->bytes);
	cli_table_time(t, s->all->oldest_ms);
}

/* The channels where something happens, the largest first; with -v all of them, and what they hold. */
static int print_scopes(const struct cli *cli, const struct plan *plan, struct err *err)
{
	static const struct cli_column columns[] = {
		{"CHANNEL", CLI_LEFT}, {"RULE", CLI_LEFT},  {"DUE THREADS", CLI_RIGHT}, {"POSTS", CLI_RIGHT},
		{"SIZE", CLI_RIGHT},   {"DUE BY", CLI_LEFT}, {"KEPT BY", CLI_LEFT},
		{"ALL POSTS", CLI_RIGHT}, {"ALL SIZE", CLI_RIGHT}, {"OLDEST POST", CLI_LEFT},
	};
	enum { MEASURES = 3 };
	auto_mem void *ctx = mem_context(NULL, "scopes");
	const struct plan_scope **order = mem_array(ctx, const struct plan_scope *, plan->n_scopes + 1);
	size_t n = 0, shown;
	struct cli_table *t;
	int r;

	for (size_t i = 0; i < plan->n_scopes; i++)
		if (cli->verbose || plan->scope[i].due_threads || plan->scope[i].limit_unreached)
			order[n++] = &plan->scope[i];
	if (!n)
		return 0;
	qsort(order, n, sizeof(order[0]), by_due);
	shown = cli->verbose || n <= CHANNELS_SHOWN ? n : CHANNELS_SHOWN;
	t = cli_table_new(cli, columns, ARRAY_LEN(columns) - (cli->verbose ? 0 : MEASURES));
	for (size_t i = 0; i < shown; i++)
		put_scope(t, ctx, order[i], cli->verbose);
	printf("\n");
	r = cli_table_print(t, err);
	if (n > shown)
		printf("and %zu more channel%s; -v shows them all\n", n - shown, cli_s(n - shown));
	return r;
}

static void print_strays(const struct mm_strays *s)
{
	uint64_t n = s->no_channel + s->no_root + s->no_original + s->other_channel + s->odd_time;

	if (!n)
		return;
	printf("\n%llu damaged row%s left alone: %llu without a channel, %llu without a root, %llu without an "
	       "original, %llu in another channel than their root, %llu with an odd time\n",
	       (unsigned long long)n, n == 1 ? " is" : "s are", (unsigned long long)s->no_channel,
	       (unsigned long long)s->no_root, (unsigned long long)s->no_original, (unsigned long long)s->other_channel,
	       (unsigned long long)s->odd_time);
}

static int print_text(const struct cli *cli, const struct plan *plan, struct err *err)
{
	char taken[TIME_TEXT], bytes[TIME_TEXT], hex[DIGEST_HEX + 1];
	int r;

	time_format(plan->taken_ms, taken);
	bytes_format(plan->due_bytes, bytes);
	digest_hex(&plan->digest, hex);
	printf("plan of %s for database %s\n", taken, cli_safe(cli->ctx, plan->database));
	if (plan->deleted_cut_ms != INT64_MIN) {
		time_format(plan->deleted_cut_ms, taken);
		printf("out of threads that stay goes what was deleted, or replaced by an edit, before %s (due by "
		       "deleted)\n",
		       taken);
	}
	printf("\n");
	r = print_rules(cli, plan, err);
	if (r == 0)
		r = print_scopes(cli, plan, err);
	if (r < 0)
		return r;
	if ((r = cli_plan_print_kept(cli, plan, err)) < 0)
		return r;
	print_strays(&plan->strays);
	printf("\ndue: %s, %s, %s\nplan digest %s\n", cli_count(cli->ctx, plan->due_threads, "thread"),
	       cli_count(cli->ctx, plan->due_posts, "post"), bytes, hex);
	return 0;
}

/* A guard does not make the plan fail: it is what the reader must see before the run does. */
static void print_guard(const struct cli *cli, const struct err *guard)
{
	log_warn("a run would stop: %s", cli_safe(cli->ctx, guard->msg));
	if (*guard->hint)
		fprintf(stderr, "  hint: %s\n", cli_safe(cli->ctx, guard->hint));
}

static json_t *overdue_json(const struct cli_overdue *o)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "bundles", o->bundles);
	cli_json_int(obj, "bytes", o->bytes);
	return obj;
}

static void print_overdue(const struct cli_overdue *o)
{
	char bytes[TIME_TEXT];

	bytes_format(o->bytes, bytes);
	if (o->bundles)
		printf("expiry: %llu bundle%s past %s time, %s; `mmretain expire -n` shows which go and which are "
		       "held\n",
		       (unsigned long long)o->bundles, cli_s(o->bundles), o->bundles == 1 ? "its" : "their", bytes);
}

static int print_plan(struct cli *cli, struct plan *plan, const struct people_plan *people, struct err *err)
{
	struct err guard = {0};
	bool stopped = plan_guard(plan, &guard) < 0, known;
	struct cli_overdue overdue = {0};
	json_t *doc;
	int r = cli_overdue_of(cli, &known, &overdue, err);

	if (r < 0)
		return r;
	if (cli->json) {
		const struct listing listing = {.plan = plan, .measured = cli->verbose};
		const struct cli_plan_kept kept = {cli, plan};
		const struct cli_list_of lists[] = {{"scopes", list_scopes, &listing},
						    {"kept", cli_plan_list_kept, &kept}};

		doc = plan_json(cli, plan);
		cli_json_text(doc, "guard", stopped ? guard.msg : NULL);
		cli_json_put(doc, "expiry", known ? overdue_json(&overdue) : json_null());
		cli_json_put(doc, "departed_users", cli_people_plan_json(people));
		return cli_json_print_list(doc, lists, plan->kept ? 2 : 1, err);
	}
	r = print_text(cli, plan, err);
	if (r == 0)
		r = cli_people_print_plan(cli, people, err);
	if (r == 0)
		print_overdue(&overdue);
	if (stopped)
		print_guard(cli, &guard);
	return r;
}

int cli_plan_show(struct cli *cli, struct plan **ret, struct err *err)
{
	struct people_plan *people = NULL;
	struct ledger_state *ledger = NULL;
	int r = cli_open_db(cli, err);

	if (r == 0)
		r = cli_held(cli, &ledger, err);
	if (r == 0)
		r = build(cli, ledger, ret, err);
	if (r == 0)
		r = cli_people_plan(cli, ledger, &people, err);
	return r < 0 ? r : print_plan(cli, *ret, people, err);
}
