/*
 * cli_cmd_run.c - the run, its permission to act, and its result.
 */
#include <mmretain/run.h>

#include "cli_expire.h"
#include "cli_people.h"
#include "cli_plan.h"
#include "cli_protocol.h"

static int64_t deadline(const struct cli_args *a)
{
	struct duration d;
	int minutes;

	if (a->value[OPT_RUN_TIME] && duration_parse(a->value[OPT_RUN_TIME], &d))
		return time_boot_ms() + duration_after(0, &d);
	if (a->value[OPT_UNTIL] && cli_clock_parse(a->value[OPT_UNTIL], &minutes))
		return time_boot_ms() + cli_clock_next_ms(minutes, time_now_ms());
	return 0;
}

/* Without --yes and without a plan that was looked at before: show what would happen, and how to go on. */
static int show_only(struct cli *cli, struct err *err)
{
	struct plan *plan = NULL;
	int r = cli_plan_show(cli, &plan, err);

	if (r == 0 && cli_given(cli, OPT_STRICT))
		r = plan_strict(plan, err);
	if (r < 0 || cli_given(cli, OPT_DRY_RUN))
		return r;
	err_set(err, ERR_USAGE, "nothing was done: `run` acts only with --yes or on a plan file");
	return err_hint(err, "Run `mmretain run --yes`, or `mmretain plan --out FILE` and then `mmretain run --plan "
			     "FILE`.");
}

/* ---- JSON ---- */

static json_t *bundle_json(const struct run_bundle *b)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "bundle", b->bundle);
	cli_json_text(obj, "path", b->rel_path);
	cli_json_text(obj, "rule", b->rule);
	cli_json_text(obj, "team", b->team);
	cli_json_bool(obj, "waived", b->waived);
	cli_json_bool(obj, "recovered", b->recovered);
	cli_json_int(obj, "threads", b->threads);
	cli_json_int(obj, "posts", b->posts);
	cli_json_int(obj, "rows", b->rows);
	cli_json_int(obj, "files", b->blobs);
	cli_json_int(obj, "bytes", b->file_bytes);
	cli_json_int(obj, "raw_bytes", b->raw_bytes);
	cli_json_put(obj, "deleted", cli_amounts_json(b->purge.threads, b->purge.posts, b->purge.bytes_unlinked));
	return obj;
}

static json_t *files_json(const struct purge_counts *c)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "unlinked", c->blobs_unlinked);
	cli_json_int(obj, "shared", c->blobs_shared);
	cli_json_int(obj, "failed", c->blobs_failed);
	cli_json_int(obj, "bytes", c->bytes_unlinked);
	return obj;
}

static json_t *found_json(const struct purge_counts *c)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "threads", c->found_threads);
	cli_json_int(obj, "posts", c->found_posts);
	return obj;
}

static int print_json(const struct run_report *rep, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array()),
	       *late = cli_json_check(json_object());
	const struct plan *plan = rep->plan;

	cli_json_text(doc, "run", rep->begun ? rep->id : NULL);
	cli_json_text(doc, "outcome", rep->outcome);
	cli_json_time(doc, "began", rep->began_ms);
	cli_json_time(doc, "ended", rep->ended_ms);
	cli_json_put(doc, "due",
		     plan ? cli_amounts_json(plan->due_threads, plan->due_posts, plan->due_bytes) : json_null());
	cli_json_put(doc, "archived",
		     cli_amounts_json(rep->archived_threads, rep->archived_posts, rep->archived_bytes));
	cli_json_put(doc, "deleted", cli_amounts_json(rep->total.threads, rep->total.posts, rep->total.bytes_unlinked));
	cli_json_put(doc, "kept", cli_reasons_json(rep->kept));
	cli_json_int(doc, "gone_before", rep->gone_before);
	for (size_t i = 0; i < rep->n_bundles; i++)
		if (json_array_append_new(list, bundle_json(&rep->bundle[i])) < 0)
			mem_check(NULL);
	cli_json_put(doc, "bundles", list);
	cli_json_int(late, "restored", rep->total.late_restored);
	cli_json_int(late, "removed", rep->total.late_removed);
	cli_json_bool(late, "open", rep->total.sweep_open);
	cli_json_put(doc, "late", late);
	cli_json_put(doc, "files", files_json(&rep->total));
	cli_json_put(doc, "departed_users", cli_people_run_json(rep->people));
	cli_json_put(doc, "expiry", cli_expire_run_json(rep->expire));
	cli_json_put(doc, "warnings",
		     plan ? cli_texts_json(plan->warning, plan->n_warnings) : cli_json_check(json_array()));
	cli_json_int(doc, "recovered_bundles", rep->recovered_bundles);
	cli_json_put(doc, "found_deleted", found_json(&rep->total));
	cli_json_int(doc, "cleared_partial", rep->cleared_partial);
	cli_json_int(doc, "duration_ms", (uint64_t)(rep->ended_ms - rep->began_ms));
	cli_json_put(doc, "waited",
		     protocol_waited_json((uint64_t)rep->waited.replicas_ms, (uint64_t)rep->waited.server_ms));
	return cli_json_print(doc, err);
}

/* ---- text ---- */

static int print_bundles(const struct cli *cli, const struct run_report *rep, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT}, {"RULE", CLI_LEFT}, {"THREADS", CLI_RIGHT},
						    {"POSTS", CLI_RIGHT}, {"SIZE", CLI_RIGHT}, {"DELETED", CLI_RIGHT},
						    {"KEPT", CLI_RIGHT}};
	struct cli_table *t;

	if (!rep->n_bundles)
		return 0;
	t = cli_table_new(cli, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < rep->n_bundles; i++) {
		const struct run_bundle *b = &rep->bundle[i];

		cli_table_row(t);
		cli_table_text(t, b->bundle);
		cli_table_text(t, b->rule);
		cli_table_int(t, b->threads);
		cli_table_int(t, b->posts);
		if (b->waived || b->recovered) /* no file of this run */
			cli_table_text(t, "-");
		else
			cli_table_bytes(t, b->file_bytes);
		cli_table_int(t, b->purge.threads);
		cli_table_int(t, b->purge.kept_changed + b->purge.kept_held + b->purge.kept_locked);
	}
	return cli_table_print(t, err);
}

static int print_text(const struct cli *cli, const struct run_report *rep, struct err *err)
{
	const struct purge_counts *c = &rep->total;
	void *ctx = cli->ctx;
	char bytes[TIME_TEXT], freed[TIME_TEXT], *kept = cli_reasons_text(cli->ctx, rep->kept, PLAN_KEEP);
	const char *waited =
		protocol_waited(cli->ctx, (uint64_t)rep->waited.replicas_ms, (uint64_t)rep->waited.server_ms);
	char took[TIME_TEXT];
	int r = print_bundles(cli, rep, err);

	if (r < 0)
		return r;
	bytes_format(rep->archived_bytes, bytes);
	bytes_format(c->bytes_unlinked, freed);
	if (rep->plan)
		printf("due       %s, %s\n", cli_count(ctx, rep->plan->due_threads, "thread"),
		       cli_count(ctx, rep->plan->due_posts, "post"));
	printf("archived  %s, %s, %s\n", cli_count(ctx, rep->archived_threads, "thread"),
	       cli_count(ctx, rep->archived_posts, "post"), bytes);
	printf("deleted   %s, %s; %s, %s\n", cli_count(ctx, c->threads, "thread"), cli_count(ctx, c->posts, "post"),
	       cli_count(ctx, c->blobs_unlinked, "file"), freed);
	if (*kept)
		printf("kept      %s\n", kept);
	if (rep->gone_before)
		printf("gone      %llu thread%s of the plan %s not there any more\n",
		       (unsigned long long)rep->gone_before, cli_s(rep->gone_before),
		       rep->gone_before == 1 ? "was" : "were");
	if (c->late_restored || c->late_removed)
		printf("late      %s put back, %s removed\n", cli_count(ctx, c->late_restored, "thread"),
		       cli_count(ctx, c->late_removed, "row"));
	cli_people_print_run(cli, rep->people);
	cli_expire_print_run(cli, rep->expire);
	if (rep->recovered_bundles)
		printf("recovered %u bundle%s of an earlier run\n", rep->recovered_bundles,
		       cli_s(rep->recovered_bundles));
	if (c->found_threads)
		printf("          deleted before: %s, %s of %s\n", cli_count(ctx, c->found_threads, "thread"),
		       cli_count(ctx, c->found_posts, "post"), rep->recovered_bundles == 1 ? "it" : "them");
	if (*waited)
		printf("waited    %s\n", waited);
	protocol_took(rep->ended_ms > rep->began_ms ? (uint64_t)(rep->ended_ms - rep->began_ms) : 0, took);
	printf("run %s: %s, %s; `mmretain report last` has the protocol\n", rep->id,
	       rep->outcome ? rep->outcome : "failed", took);
	return 0;
}

/* Of the plan, as `plan` has them: a hold that protects nobody must not go unnoticed at night. */
static void tell_warnings(const struct cli *cli, const struct run_report *rep)
{
	for (size_t i = 0; rep->plan && i < rep->plan->n_warnings; i++)
		log_warn("%s", cli_safe(cli->ctx, rep->plan->warning[i]));
	for (size_t i = 0; rep->people_plan && i < rep->people_plan->n_warnings; i++)
		log_warn("%s", cli_safe(cli->ctx, rep->people_plan->warning[i]));
}

int cli_cmd_run(struct cli *cli, struct err *err)
{
	const char *const *v = cli->args->value;
	struct run_options options = {.plan_file = v[OPT_PLAN], .no_purge = cli_given(cli, OPT_NO_PURGE),
					    .strict = cli_given(cli, OPT_STRICT),
					    .moved_database = cli_given(cli, OPT_MOVED_DATABASE),
					    .deadline_boot_ms = deadline(cli->args), .rule = v[OPT_RULE],
					    .progress = &cli->progress};
	struct run_report *rep = NULL;
	bool acts = !cli_given(cli, OPT_DRY_RUN) && (cli_given(cli, OPT_YES) || options.plan_file);
	struct err print_err = {0};
	int r = cli_load_policy(cli, err), printed = 0;

	if (r < 0 && acts && cli->archive)
		run_attempt_note(cli->archive, r, err);
	if (r < 0)
		return r;
	if (!acts)
		return show_only(cli, err);
	cli_place(cli, &options.team, &options.channel);
	r = run_night(cli->ctx, cli->policy, &options, &rep, err);
	cli_progress_clear();
	if (rep)
		tell_warnings(cli, rep);
	/* What was done is told even when the run ended badly; of a run that did not begin there is only the error. */
	if (rep && cli->json)
		printed = print_json(rep, &print_err);
	else if (rep && rep->begun)
		printed = print_text(cli, rep, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	return r < 0 ? r : printed;
}
