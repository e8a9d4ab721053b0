/*
 * cli_cmd_fetch.c - bring back from the mirror what the archive lacks.
 */
#include <mmretain/policy.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_mirror.h"

static const char *state_name(const struct run_fetched *b)
{
	static const char *const names[RUN_FETCH_STATES] = {"due", "fetched", "none", "damaged"};

	return names[b->state];
}

static int print_json(const struct run_fetch_report *r, bool done, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array());

	cli_json_bool(doc, "done", done);
	cli_json_bool(doc, "ledger", r->ledger);
	cli_json_int(doc, "beside", r->beside);
	cli_json_int(doc, "unknown", r->unknown);
	for (size_t i = 0; i < r->n; i++) {
		json_t *one = cli_json_check(json_object());

		cli_json_text(one, "path", r->bundle[i].rel_path);
		cli_json_text(one, "state", state_name(&r->bundle[i]));
		cli_json_text(one, "why", r->bundle[i].why);
		cli_json_int(one, "bytes", r->bundle[i].bytes);
		if (json_array_append_new(list, one) < 0)
			mem_check(NULL);
	}
	cli_json_put(doc, "bundles", list);
	return cli_json_print(doc, err);
}

static int print_text(struct cli *cli, const struct run_fetch_report *r, bool done, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT}, {"SIZE", CLI_RIGHT}, {"RESULT", CLI_LEFT}};
	struct cli_table *t;

	if (r->ledger)
		printf("the ledger %s\n",
		       done ? "came from the mirror" : "would come from the mirror; what it names is known then");
	if (r->beside)
		printf("%llu file%s beside the ledger %s\n", (unsigned long long)r->beside, cli_s(r->beside),
		       done ? "came from the mirror" : "would come from the mirror");
	if (r->unknown)
		printf("%llu bundle%s in the mirror that the ledger does not know; named, %s fetched, and the next run "
		       "adopts %s\n",
		       (unsigned long long)r->unknown, cli_s(r->unknown), r->unknown == 1 ? "it is" : "they are",
		       r->unknown == 1 ? "it" : "them");
	if (r->n == 0) {
		printf("no bundle is missing\n");
		return 0;
	}
	t = cli_table_new(cli, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < r->n; i++) {
		cli_table_row(t);
		cli_table_text(t, r->bundle[i].rel_path);
		cli_table_bytes(t, r->bundle[i].bytes);
		cli_table_text(t, r->bundle[i].why ? r->bundle[i].why : state_name(&r->bundle[i]));
	}
	return cli_table_print(t, err);
}

static int open_all(struct cli *cli, bool act, struct mirror **ret, struct err *err)
{
	int r = cli_load_policy(cli, err);

	if (r < 0)
		return r;
	if (!cli->policy->archive.mirror.present) {
		err_set(err, ERR_USAGE, "the policy has no `mirror`");
		return err_hint(err, "Write `archive: {mirror: ...}`; `mmretain help --format policy` has its keys.");
	}
	if ((r = cli_open_store(cli, act, err)) < 0)
		return r;
	return cli_open_mirror(cli, ret, err);
}

int cli_cmd_fetch(struct cli *cli, struct err *err)
{
	const struct run_fetch_options o = {.act = !cli_given(cli, OPT_DRY_RUN),
					    .bundle = cli->args->operand,
					    .n_bundles = cli->args->n_operands,
					    .progress = &cli->progress};
	struct run_fetch_report *report = NULL;
	struct err print_err = {0};
	struct mirror *m = NULL;
	int r = open_all(cli, o.act, &m, err), printed = 0;

	if (r < 0)
		return r;
	r = run_fetch(cli->ctx, cli->store, m, &o, &report, err);
	cli_progress_clear();
	if (r == 0 || report->n || report->ledger)
		printed =
			cli->json ? print_json(report, o.act, &print_err) : print_text(cli, report, o.act, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	return r < 0 ? r : printed;
}
