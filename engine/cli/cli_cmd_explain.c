/*
 * cli_cmd_explain.c - which rule governs a channel or a post, why, and what is due; and whether an account is taken.
 */
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/mm.h>

#include "cli_people.h"
#include "cli_plan.h"

struct explain {
	struct cli *cli;
	struct plan_explain *e;
	struct ledger_state *ledger;         /* NULL: holds nothing */
	/* of this channel, or of all that its rule's limit measures with it; NULL for a post */
	struct plan *plan;
};

static const mm_id *held(const struct explain *x)
{
	return x->ledger ? x->ledger->held : NULL;
}

static size_t n_held(const struct explain *x)
{
	return x->ledger ? x->ledger->n_held : 0;
}

/* The hold that `mmretain hold` or a restore put on the thread of the post, or NULL. */
static const struct ledger_hold *hold_of(const struct explain *x)
{
	const struct ledger_held_by *by = x->ledger && x->e->held ? ledger_held_first(x->ledger, x->e->root) : NULL;

	return by ? &by->hold : NULL;
}

/* An id may be a channel's or a post's. */
static int look_up(struct explain *x, const char *word, struct err *err)
{
	struct cli *cli = x->cli;
	int r = plan_explain_channel(cli->ctx, cli->policy, cli->mm, word, &x->e, err);

	if (r != -ERR_NOT_FOUND || !cli_looks_like_id(word))
		return r;
	err_clear(err);
	r = plan_explain_post(cli->ctx, cli->policy, cli->mm, word, held(x), n_held(x), &x->e, err);
	if (r == -ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "there is no channel and no post \"%s\"", word);
	return r;
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
	static const char *const names[] =
		{[FROM_LAST_REPLY] = "last_reply", [FROM_ROOT] = "root", [FROM_LAST_EDIT] = "last_edit"};

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
		text = mem_printf(ctx, "%s, at most %llu post%s per %s", text, (unsigned long long)rule->limit_posts,
				  cli_s(rule->limit_posts), rule->per == PER_TEAM ? "team" : "channel");
	if (rule->has_limit && rule->limit_bytes) {
		bytes_format(rule->limit_bytes, bytes);
		text = mem_printf(ctx, "%s, at most %s per %s", text, bytes,
				  rule->per == PER_TEAM ? "team" : "channel");
	}
	return text;
}

/* The channel in its plan. */
static const struct plan_scope *planned(const struct explain *x)
{
	for (size_t i = 0; x->plan && i < x->plan->n_scopes; i++)
		if (strcmp(x->plan->scope[i].mm->channel_id, x->e->scope.channel_id) == 0)
			return &x->plan->scope[i];
	return NULL;
}

/* ---- JSON ---- */

static void append(json_t *list, json_t *value)
{
	if (json_array_append_new(list, cli_json_check(value)) < 0)
		mem_check(NULL);
}

static json_t *candidates_json(const struct plan_explain *e)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < e->n_candidates; i++) {
		const struct policy_candidate *c = &e->candidate[i];
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "rule", c->rule->name);
		cli_json_text(obj, "rung", rung_name(c->rung));
		cli_json_put(obj, "priority", json_integer(c->rule->priority));
		cli_json_text(obj, "result", loss_name(c->loss));
		append(list, obj);
	}
	return list;
}

static json_t *deleted_json(const struct plan_explain *e)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_bool(obj, "whole", e->deleted_whole);
	cli_json_int(obj, "posts", e->deleted_posts);
	cli_json_bool(obj, "due", e->deleted_verdict == PLAN_DUE);
	cli_json_text(obj, "reason", plan_reason_name(e->deleted_reason));
	return obj;
}

static json_t *held_json(const struct ledger_hold *h)
{
	json_t *obj;

	if (!h)
		return json_null();
	obj = cli_json_check(json_object());
	cli_json_time(obj, "since", h->since_ms);
	cli_json_text(obj, "case", h->case_id);
	cli_json_text(obj, "via", h->via);
	return obj;
}

static json_t *post_json(const struct explain *x)
{
	const struct plan_explain *e = x->e;
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "id", e->post);
	cli_json_text(obj, "root", *e->root ? e->root : NULL);
	cli_json_int(obj, "posts", e->has_thread ? e->thread.posts : 0);
	cli_json_time(obj, "last_reply", e->has_thread ? e->thread.last_reply_ms : INT64_MAX);
	cli_json_bool(obj, "due", e->verdict == PLAN_DUE);
	cli_json_time(obj, "due_from", e->due_ms);
	cli_json_text(obj, "reason", plan_reason_name(e->reason));
	cli_json_text(obj, "hold", e->thread_hold ? e->thread_hold->name : NULL);
	cli_json_text(obj, "because", e->thread_hold ? e->thread_hold->because : NULL);
	cli_json_put(obj, "held", held_json(hold_of(x)));
	cli_json_put(obj, "deleted", e->deleted_wanted ? deleted_json(e) : json_null());
	return obj;
}

static json_t *holds_json(const struct plan_explain *e)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < e->n_holds; i++) {
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "name", e->hold[i]->name);
		cli_json_text(obj, "because", e->hold[i]->because);
		append(list, obj);
	}
	return list;
}

static void put_winner(const struct explain *x, json_t *doc)
{
	const struct plan_explain *e = x->e;
	const struct plan_scope *scope = planned(x);

	cli_json_text(doc, "rule", e->rule ? e->rule->name : NULL);
	cli_json_text(doc, "description", e->rule ? e->rule->description : NULL);
	cli_json_bool(doc, "tie", e->tie);
	cli_json_text(doc, "keep", e->rule ? keep_text(x->cli->ctx, e->rule) : NULL);
	cli_json_text(doc, "from", e->rule && e->rule->has_age ? from_name(e->rule->from) : NULL);
	cli_json_time(doc, "cutoff", e->rule ? e->cut_ms : INT64_MIN);
	cli_json_time(doc, "floor", e->rule ? e->floor_ms : INT64_MAX);
	cli_json_time(doc, "deleted_cutoff", e->deleted_cut_ms);
	cli_json_put(doc, "holds", holds_json(e));
	if (e->has_post)
		cli_json_put(doc, "post", post_json(x));
	cli_json_put(doc, "limit", cli_limit_json(x->e));
	if (!scope)
		return;
	cli_json_put(doc, "due", cli_amounts_json(scope->due_threads, scope->due_posts, scope->due_bytes));
	cli_json_put(doc, "reasons", cli_reasons_json(plan_scope_reasons(scope)));
}

static int print_json(const struct explain *x, struct err *err)
{
	const struct mm_scope *s = &x->e->scope;
	json_t *doc = cli_json_check(json_object());

	cli_json_text(doc, "channel", s->channel_name);
	cli_json_text(doc, "channel_id", s->channel_id);
	cli_json_text(doc, "team", s->team_name);
	cli_json_text(doc, "team_id", s->team_id);
	cli_json_text(doc, "type", x->e->channel_gone ? NULL : type_name(s->type));
	cli_json_bool(doc, "archived", x->e->policy_scope.archived);
	cli_json_put(doc, "candidates", candidates_json(x->e));
	put_winner(x, doc);
	return cli_json_print(doc, err);
}

/* ---- text ---- */

static int print_candidates(const struct explain *x, struct err *err)
{
	static const struct cli_column columns[] = {
		{"RULE", CLI_LEFT}, {"LINE", CLI_RIGHT}, {"RUNG", CLI_LEFT}, {"PRIORITY", CLI_RIGHT},
		{"RESULT", CLI_LEFT}};
	auto_mem void *ctx = mem_context(NULL, "candidates");
	struct cli_table *t = cli_table_new(x->cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < x->e->n_candidates; i++) {
		const struct policy_candidate *c = &x->e->candidate[i];

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
	const struct plan_explain *e = x->e;
	void *ctx = x->cli->ctx;
	char text[TIME_TEXT];

	for (size_t i = 0; i < e->n_holds; i++)
		printf("hold %s covers this channel%s\n", cli_safe(ctx, e->hold[i]->name),
		       cli_because(x->cli, e->hold[i]->because));
	if (!e->rule) {
		printf("%s: nothing is deleted\n", e->tie ? "two rules tie" : "no rule governs it");
		return;
	}
	printf("rule %s keeps %s\n", cli_safe(ctx, e->rule->name), keep_text(ctx, e->rule));
	if (e->rule->description)
		printf("that is: %s\n", cli_safe(ctx, e->rule->description));
	if (e->cut_ms != INT64_MIN) {
		time_format(e->cut_ms, text);
		printf("due now: threads whose %s is before %s\n", from_name(e->rule->from), text);
	}
	if (e->deleted_cut_ms != INT64_MIN) {
		time_format(e->deleted_cut_ms, text);
		printf("due now, out of threads that stay: what was deleted, or replaced by an edit, before %s\n",
		       text);
	}
	if (e->floor_ms != INT64_MAX) {
		time_format(e->floor_ms, text);
		printf("floor: nothing with a post since %s goes\n", text);
	}
}

static void print_due(const struct explain *x)
{
	const struct plan_scope *scope = planned(x);
	const char *kept;

	if (!scope)
		return;
	kept = cli_reasons_text(x->cli->ctx, plan_scope_reasons(scope), PLAN_KEEP);
	printf("due now: %s, %s", cli_count(x->cli->ctx, scope->due_threads, "thread"),
	       cli_count(x->cli->ctx, scope->due_posts, "post"));
	printf("%s%s\n", *kept ? "; kept by " : "", kept);
}

static void print_post(const struct explain *x)
{
	const struct plan_explain *e = x->e;
	const struct ledger_hold *hold = hold_of(x);
	char text[TIME_TEXT];

	if (!e->has_post)
		return;
	if (!e->has_thread) {
		printf("post %s belongs to no sound thread: it is kept\n", e->post);
		return;
	}
	time_format(e->thread.last_reply_ms, text);
	printf("thread %s: %llu post%s, the last of %s\n", e->root, (unsigned long long)e->thread.posts,
	       cli_s(e->thread.posts), text);
	printf("%s, reason: %s", e->verdict == PLAN_DUE ? "due now" : "kept now", plan_reason_name(e->reason));
	if (e->thread_hold)
		printf(" (%s%s)", cli_safe(x->cli->ctx, e->thread_hold->name),
		       cli_because(x->cli, e->thread_hold->because));
	if (e->due_ms != INT64_MAX) {
		time_format(e->due_ms, text);
		printf("; by age due from %s", text);
	}
	printf("\n");
	if (hold) {
		time_format(hold->since_ms, text);
		printf("held by `mmretain hold` since %s, case %s%s\n", text, cli_safe(x->cli->ctx, hold->case_id),
		       strcmp(hold->via, "restore") == 0 ? ", as it was restored" : "");
	}
	if (e->deleted_wanted)
		printf("deleted before that: %s, %llu post%s; %s%s\n", e->deleted_whole ? "all of it" : "a part of it",
		       (unsigned long long)e->deleted_posts, cli_s(e->deleted_posts),
		       e->deleted_verdict == PLAN_DUE ? "due now" : "kept now, reason: ",
		       e->deleted_verdict == PLAN_DUE ? "" : plan_reason_name(e->deleted_reason));
}

static int print_text(const struct explain *x, struct err *err)
{
	void *ctx = x->cli->ctx;
	const struct mm_scope *s = &x->e->scope;
	int r;

	if (x->e->channel_gone) {
		if (*s->channel_id)
			printf("channel %s is gone: its posts are kept, whatever the policy says\n",
			       cli_safe(ctx, s->channel_id));
		else
			printf("the post names no channel: it is kept, whatever the policy says\n");
		print_post(x);
		return 0;
	}
	printf("%s channel %s (%s)", type_name(s->type), cli_safe(ctx, s->channel_name), s->channel_id);
	if (*s->team_id)
		printf(" of team %s (%s)", cli_safe(ctx, s->team_name), s->team_id);
	printf("%s\n\n", x->e->policy_scope.archived ? ", archived" : "");
	r = print_candidates(x, err);
	if (r < 0)
		return r;
	printf("\n");
	print_winner(x);
	if (x->e->unit_channels)
		printf("%s\n", cli_limit_text(x->cli->ctx, x->e));
	print_due(x);
	print_post(x);
	return 0;
}

/* What is due in this channel: by a limit per team that depends on the rule's other channels there. */
static int plan_channel(struct explain *x, struct err *err)
{
	struct plan_explain *e = x->e;
	struct plan_options options = {.channel = e->scope.channel_id,
				       .sizes = true,
				       .held = held(x),
				       .n_held = n_held(x),
				       .progress = &x->cli->progress};
	int r;

	if (!e->rule || e->has_post)
		return 0;
	if (e->rule->has_limit && e->rule->per == PER_TEAM && *e->scope.team_id) {
		options.channel = NULL;
		options.rule = e->rule->name;
		options.team = e->scope.team_id;
	}
	r = plan_build(x->cli->ctx, x->cli->policy, x->cli->mm, &options, &x->plan, err);
	cli_progress_clear();
	if (r == 0)
		cli_limit_measured(e, x->plan);
	return r;
}

/* What is no channel and no post may be an account; "@name" is nothing else. */
static int explain_person(struct cli *cli, const struct ledger_state *ledger, const char *word, int r, struct err *err)
{
	struct err own = {0};

	if (word[0] != '@' && r != -ERR_NOT_FOUND)
		return r;
	r = cli_person_explain(cli, ledger, word, &own);
	if (r == -ERR_NOT_FOUND && word[0] != '@') {
		err_set(err, ERR_NOT_FOUND, "there is no channel, post or account \"%s\"", word);
		/* Not looked up here: who looks into the archive says for which case. */
		if (cli_looks_like_id(word))
			return err_hint(err,
					"A post that was archived is no longer in the database: `mmretain find "
					"--thread %s` looks for it in the archive, `mmretain show` shows a thread, "
					"both with --case and --reason.",
					word);
		return err_hint(err, "Give a channel (id, name, or team/channel), the id of a post, or an account "
				     "(name, id or address).");
	}
	if (r < 0)
		*err = own;
	return r;
}

int cli_cmd_explain(struct cli *cli, struct err *err)
{
	const char *word = cli_id_of(cli->ctx, cli->args->operand[0]);
	struct explain x = {.cli = cli};
	int r = cli_load_policy(cli, err);

	if (r == 0)
		r = cli_open_db(cli, err);
	if (r < 0)
		return r;
	if ((r = cli_held(cli, &x.ledger, err)) < 0)
		return r;
	if (word[0] != '@')
		r = look_up(&x, word, err);
	if (r < 0 || word[0] == '@')
		return explain_person(cli, x.ledger, word, r, err);
	if (r == 0)
		r = plan_channel(&x, err);
	if (r == 0)
		r = cli->json ? print_json(&x, err) : print_text(&x, err);
	if (r == 0 && x.e->tie) {
		err_set(err, ERR_POLICY, "two rules tie for this channel");
		r = err_hint(err, "Give one of them a `priority`.");
	}
	return r;
}
