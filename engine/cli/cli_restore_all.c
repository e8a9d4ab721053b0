/*
 * cli_restore_all.c - `restore --run` and `restore --bundle`: totals for each bundle, and what was left out by its
 * reason.
 */
#include <mmretain/ledger.h>
#include <mmretain/run.h>

#include "cli_audit.h"
#include "cli_mirror.h"
#include "cli_restore.h"

enum { IDS_SHOWN = 5 };

/* ---- --json ---- */

static json_t *bundle_json(const struct run_back_bundle *b)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "bundle", b->bundle);
	cli_json_text(obj, "path", *b->rel_path ? b->rel_path : NULL);
	cli_json_text(obj, "rule", *b->rule ? b->rule : NULL);
	cli_json_text(obj, "state", run_back_name(b->state));
	cli_json_text(obj, "why", b->why);
	cli_json_int(obj, "threads", b->archived);
	cli_json_int(obj, "back", b->threads);
	cli_json_int(obj, "there", b->there);
	cli_json_int(obj, "stayed", b->stayed);
	cli_json_int(obj, "out", b->left_out);
	cli_json_int(obj, "posts", b->posts);
	cli_json_int(obj, "rows", b->rows);
	cli_json_int(obj, "rows_there", b->rows_there);
	cli_json_int(obj, "files", b->files);
	cli_json_int(obj, "files_there", b->files_there);
	cli_json_int(obj, "files_left", b->files_left);
	return obj;
}

static int list_left_out(struct cli_list *l, const void *payload, struct err *err)
{
	const struct run_restore_all_report *rep = payload;

	(void)err;
	for (size_t i = 0; i < rep->n_left_out; i++) {
		const struct run_left_out *o = &rep->left_out[i];

		cli_list_open(l, NULL);
		cli_list_text(l, "thread", o->root);
		cli_list_text(l, "bundle", rep->bundle[o->bundle].bundle);
		cli_list_text(l, "reason", run_left_name((enum run_left_why)o->why));
		cli_list_text(l, "why", o->text);
		cli_list_close(l);
	}
	return 0;
}

static int print_json(const struct run_restore_all_report *rep, bool act, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array()),
	       *count = cli_json_check(json_object());

	cli_json_bool(doc, "done", act);
	cli_json_text(doc, "run", rep->run);
	for (size_t i = 0; i < rep->n; i++)
		if (json_array_append_new(list, bundle_json(&rep->bundle[i])) < 0)
			mem_check(NULL);
	cli_json_put(doc, "bundles", list);
	for (int i = 0; i < RUN_LEFTS; i++)
		cli_json_int(count, run_left_name((enum run_left_why)i), rep->count[i]);
	cli_json_put(doc, "counts", count);
	cli_json_put(doc, "left_out", json_array());
	return cli_json_print_list(doc, &(struct cli_list_of){"left_out", list_left_out, rep}, 1, err);
}

/* ---- for people ---- */

static const char *state_text(const struct run_back_bundle *b, bool act)
{
	switch (b->state) {
	case RUN_BACK_DONE:
		return !b->threads && b->there ? "there already"
		       : !b->threads	       ? act ? "nothing came back" : "nothing would come back"
		       : act		       ? "put back"
					       : "can be put back";
	case RUN_BACK_PARTS:
		return "parts of threads that stayed: none comes back";
	case RUN_BACK_WAIVED:
		return "deleted without an archive";
	case RUN_BACK_UNFINISHED:
		return "an erasure was interrupted: the next run finishes it";
	case RUN_BACK_EXPIRED:
		return "expired";
	case RUN_BACK_LOST:
		return "declared lost";
	case RUN_BACK_MISSING:
		return "missing";
	case RUN_BACK_DAMAGED:
		return "damaged";
	default:
		return b->threads || b->there ? "not to its end" : "not yet";
	}
}

static int print_table(const struct cli *cli, const struct run_restore_all_report *rep, bool act, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT}, {"THREADS", CLI_RIGHT}, {"BACK", CLI_RIGHT},
						    {"THERE", CLI_RIGHT}, {"STAYED", CLI_RIGHT},  {"OUT", CLI_RIGHT},
						    {"POSTS", CLI_RIGHT}, {"ROWS", CLI_RIGHT},	  {"FILES", CLI_RIGHT},
						    {"STATE", CLI_LEFT}};
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < rep->n; i++) {
		const struct run_back_bundle *b = &rep->bundle[i];
		const uint64_t cells[] = {b->archived, b->threads, b->there, b->stayed,
					  b->left_out, b->posts,   b->rows,  b->files};

		cli_table_row(t);
		cli_table_text(t, b->bundle);
		for (size_t k = 0; k < ARRAY_LEN(cells); k++)
			cli_table_int(t, cells[k]);
		cli_table_text(t, state_text(b, act));
	}
	return cli_table_print(t, err);
}

/* "3 threads left out, because another row has the id of an archived one: <id>, <id>, ..." */
static void print_left_out(const struct cli *cli, const struct run_restore_all_report *rep, enum run_left_why why)
{
	static const char *const because[RUN_LEFTS] = {
		"a post of it was erased", "its channel is gone", "another row has the id of an archived one",
		"another file lies in an attachment's place",
		"it was put back before, and a later bundle has it, or may have it", "a row of it cannot be read",
	};
	size_t shown = 0;

	if (rep->count[why] == 0)
		return;
	printf("%s left out, because %s:", cli_count(cli->ctx, rep->count[why], "thread"), because[why]);
	for (size_t i = 0; i < rep->n_left_out && shown < IDS_SHOWN; i++)
		if (rep->left_out[i].why == why)
			printf("%s %s", shown++ ? "," : "", cli_safe(cli->ctx, rep->left_out[i].root));
	printf("%s\n", rep->count[why] > IDS_SHOWN ? ", ... (--json has them all)" : "");
}

static void print_sums(const struct cli *cli, const struct run_restore_all_report *rep, bool act)
{
	uint64_t threads = 0, there = 0, posts = 0, files = 0;
	void *ctx = cli->ctx;

	for (size_t i = 0; i < rep->n; i++) {
		threads += rep->bundle[i].threads;
		there += rep->bundle[i].there;
		posts += rep->bundle[i].posts;
		files += rep->bundle[i].files;
	}
	printf("%s with %s and %s %s; %s whole in the database already\n", cli_count(ctx, threads, "thread"),
	       cli_count(ctx, posts, "post"), cli_count(ctx, files, "attachment"),
	       act ? threads == 1 ? "is back" : "are back" : "would come back",
	       mem_printf(ctx, "%s %s", cli_count(ctx, there, "thread"), there == 1 ? "is" : "are"));
}

static int print_text(const struct cli *cli, const struct run_restore_all_report *rep, bool act, struct err *err)
{
	int r = print_table(cli, rep, act, err);

	if (r < 0)
		return r;
	print_sums(cli, rep, act);
	for (int i = 0; i < RUN_LEFTS; i++)
		print_left_out(cli, rep, (enum run_left_why)i);
	if (rep->done)
		cli_restore_print_after(cli);
	return 0;
}

/* ---- the command ---- */

static int log_access(void *payload, size_t bundles, uint64_t threads, struct err *err)
{
	return cli_log_access_of(payload, bundles, NULL, threads, UINT64_MAX, err);
}

static int check_asked(const struct cli *cli, struct err *err)
{
	if (cli->args->n_operands == 0 && !(cli_given(cli, OPT_RUN) && cli_given(cli, OPT_BUNDLE)))
		return 0;
	err_set(err, ERR_USAGE, "give threads, or --run, or --bundle");
	return err_hint(err, "`--run` takes back all that a run deleted, `--bundle` all of one bundle.");
}

int cli_restore_all(struct cli *cli, struct err *err)
{
	const char *bundle = cli->args->value[OPT_BUNDLE];
	struct run_restore_all_options options = {
		.run = cli->args->value[OPT_RUN], .bundle = bundle ? ledger_bundle_name(cli->ctx, bundle) : NULL,
		.case_id = cli->args->value[OPT_CASE],
		.act = cli_given(cli, OPT_YES) && !cli_given(cli, OPT_DRY_RUN), .access = log_access, .payload = cli,
		.progress = &cli->progress,
	};
	struct run_restore_all_report *rep;
	struct err print_err = {0};
	struct audit *a;
	int r = check_asked(cli, err), printed;

	if (r < 0 || (r = cli_open_audit(cli, &a, err)) < 0)
		return r;
	r = run_restore_all(cli->ctx, cli->policy, cli->store, a, &options, &rep, err);
	cli_progress_clear();
	if (rep->done)
		cli_mirror_send(cli);
	if (r < 0 && (rep->n == 0 || (r != -ERR_KEPT && r != -ERR_VERIFY && !rep->done)))
		return r;
	printed = cli->json ? print_json(rep, options.act, &print_err) : print_text(cli, rep, options.act, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	if (r < 0 || printed < 0 || options.act || cli_given(cli, OPT_DRY_RUN))
		return r < 0 ? r : printed;
	err_set(err, ERR_USAGE, "nothing was done: `restore` acts only with --yes");
	return err_hint(err, "Give the same command with --yes.");
}
