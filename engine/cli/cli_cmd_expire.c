/*
 * cli_cmd_expire.c - bundles past their time: which, why not, and away with them.
 */
#include <mmretain/policy.h>

#include "cli_expire.h"

static json_t *bundle_json(const struct run_expired *b)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "bundle", b->bundle);
	cli_json_text(obj, "path", b->rel_path);
	cli_json_text(obj, "rule", b->rule);
	cli_json_text(obj, "team", *b->team ? b->team : NULL);
	cli_json_time(obj, "expires", b->expires_ms ? b->expires_ms : INT64_MAX);
	cli_json_time(obj, "first", b->first_ms ? b->first_ms : INT64_MAX);
	cli_json_time(obj, "last", b->last_ms ? b->last_ms : INT64_MAX);
	cli_json_int(obj, "threads", b->threads);
	cli_json_int(obj, "posts", b->posts);
	cli_json_int(obj, "bytes", b->bytes);
	cli_json_text(obj, "state", run_expiry_name(b->state));
	cli_json_bool(obj, "announced", b->announced);
	cli_json_bool(obj, "removed", b->removed);
	cli_json_text(obj, "why", b->why);
	cli_json_text(obj, "hold", b->hold);
	cli_json_text(obj, "thread", *b->thread ? b->thread : NULL);
	return obj;
}

static int print_json(const struct run_expire_report *rep, bool act, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array()),
	       *count = cli_json_check(json_object());

	cli_json_bool(doc, "done", act);
	cli_json_time(doc, "now", rep->now_ms);
	for (size_t i = 0; i < rep->n; i++)
		if (json_array_append_new(list, bundle_json(&rep->bundle[i])) < 0)
			mem_check(NULL);
	cli_json_put(doc, "bundles", list);
	for (int i = 0; i < RUN_EXPIRIES; i++)
		cli_json_int(count, run_expiry_name((enum run_expiry)i), rep->count[i]);
	cli_json_put(doc, "counts", count);
	cli_json_int(doc, "not_yet", rep->not_yet);
	return cli_json_print(doc, err);
}

static const char *state_text(void *ctx, const struct run_expired *b, bool act)
{
	if (b->state == RUN_EXPIRED)
		return "removed";
	if (b->removed)
		return "removed; what is left of it goes with the next call";
	if (b->state == RUN_EXPIRES)
		return act ? "left" : b->announced ? "would be removed (begun before)" : "would be removed";
	return mem_printf(ctx, "stays: %s", b->why);
}

static int print_table(const struct cli *cli, const struct run_expire_report *rep, bool act, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT},  {"TEAM", CLI_LEFT},	   {"RULE", CLI_LEFT},
						    {"EXPIRES", CLI_LEFT}, {"THREADS", CLI_RIGHT}, {"POSTS", CLI_RIGHT},
						    {"SIZE", CLI_RIGHT},   {"STATE", CLI_LEFT}};
	auto_mem void *ctx = mem_context(NULL, "states");
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < rep->n; i++) {
		const struct run_expired *b = &rep->bundle[i];

		cli_table_row(t);
		cli_table_text(t, b->bundle);
		cli_table_text(t, *b->team ? b->team : "-");
		cli_table_text(t, b->rule);
		cli_table_time(t, b->expires_ms ? b->expires_ms : INT64_MAX);
		cli_table_int(t, b->threads);
		cli_table_int(t, b->posts);
		cli_table_bytes(t, b->bytes);
		cli_table_text(t, state_text(ctx, b, act));
	}
	return cli_table_print(t, err);
}

static int print_text(const struct cli *cli, const struct run_expire_report *rep, bool act, struct err *err)
{
	enum run_expiry which = act ? RUN_EXPIRED : RUN_EXPIRES;
	uint64_t posts = 0, bytes = 0;
	char size[TIME_TEXT];
	int r = rep->n ? print_table(cli, rep, act, err) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < rep->n; i++)
		if (rep->bundle[i].state == which) {
			posts += rep->bundle[i].posts;
			bytes += rep->bundle[i].bytes;
		}
	bytes_format(bytes, size);
	printf("%s %s, %s, %s; %llu past their time and still there, %llu not yet due\n",
	       cli_count(cli->ctx, rep->count[which], "bundle"), act ? "removed" : "to be removed",
	       cli_count(cli->ctx, posts, "post"), size, (unsigned long long)(rep->n - rep->count[which]),
	       (unsigned long long)rep->not_yet);
	return 0;
}

/* Of a call that came as far as looking at bundles, what it has found and done is told even when it ended badly. */
static bool is_worth_telling(const struct run_expire_report *rep, int r)
{
	return rep && (r == 0 || r == -ERR_KEPT || rep->n > 0);
}

int cli_cmd_expire(struct cli *cli, struct err *err)
{
	struct run_expire_options options = {.act = cli_given(cli, OPT_YES) && !cli_given(cli, OPT_DRY_RUN),
					     .clock_is_right = cli_given(cli, OPT_CLOCK_IS_RIGHT),
					     .progress = &cli->progress};
	struct run_expire_report *rep = NULL;
	struct err print_err = {0};
	int r = cli_load_policy(cli, err), printed = 0;

	if (r == 0)
		/* the ledger says itself whether it can be written; no secret is needed */
		r = cli_open_store(cli, /* writable= */ false, err);
	if (r < 0)
		return r;
	r = run_expire(cli->ctx, cli->policy, cli->store, &options, &rep, err);
	cli_progress_clear();
	if (is_worth_telling(rep, r))
		printed = cli->json ? print_json(rep, options.act, &print_err)
				    : print_text(cli, rep, options.act, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	if (r < 0 || printed < 0 || options.act || cli_given(cli, OPT_DRY_RUN) || rep->count[RUN_EXPIRES] == 0)
		return r < 0 ? r : printed;
	err_set(err, ERR_USAGE, "nothing was done: `expire` acts only with --yes");
	return err_hint(err, "Give the same command with --yes.");
}
