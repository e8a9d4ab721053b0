/*
 * cli_cmd_restore.c - archived threads back into the database.
 */
#include <mmretain/run.h>

#include "cli_audit.h"
#include "cli_mirror.h"
#include "cli_restore.h"

static const char *state_of(const struct run_restore_report *rep, const struct run_restored *t)
{
	if (t->rows_put == 0 && t->files_put == 0)
		return "there already";
	return rep->done ? "put back" : "can be put back";
}

static int print_json(const struct run_restore_report *rep, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array());

	cli_json_bool(doc, "done", rep->done);
	for (size_t i = 0; i < rep->n; i++) {
		const struct run_restored *t = &rep->thread[i];
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "thread", t->root);
		cli_json_text(obj, "bundle", t->bundle);
		cli_json_text(obj, "state", state_of(rep, t));
		cli_json_int(obj, "posts", t->posts_put);
		cli_json_int(obj, "posts_there", t->posts_there);
		cli_json_int(obj, "rows", t->rows_put);
		cli_json_int(obj, "rows_there", t->rows_there);
		cli_json_int(obj, "files", t->files_put);
		cli_json_int(obj, "files_there", t->files_there);
		cli_json_int(obj, "files_left", t->files_left);
		if (json_array_append_new(list, obj) < 0)
			mem_check(NULL);
	}
	cli_json_put(doc, "threads", list);
	return cli_json_print(doc, err);
}

static bool has_limit(const struct policy *policy)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rule[i].has_limit)
			return true;
	return false;
}

/* A limit counts what came back, which stays: what it takes for that is older, and nobody has asked for it to go. */
void cli_restore_print_after(const struct cli *cli)
{
	printf("held until `mmretain hold release`; the server shows it when its caches are purged (System Console) or "
	       "it is started again\n");
	if (has_limit(cli->policy))
		printf("where a rule has a limit, what came back counts: the next run takes the oldest other threads "
		       "for it (`mmretain plan` shows which)\n");
}

static int print_text(const struct cli *cli, const struct run_restore_report *rep, struct err *err)
{
	static const struct cli_column columns[] = {{"THREAD", CLI_LEFT}, {"POSTS", CLI_RIGHT}, {"ROWS", CLI_RIGHT},
						    {"THERE", CLI_RIGHT}, {"FILES", CLI_RIGHT}, {"STATE", CLI_LEFT}};
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));
	int r;

	for (size_t i = 0; i < rep->n; i++) {
		const struct run_restored *x = &rep->thread[i];

		cli_table_row(t);
		cli_table_text(t, x->root);
		cli_table_int(t, x->posts_put);
		cli_table_int(t, x->rows_put);
		cli_table_int(t, x->rows_there);
		cli_table_int(t, x->files_put);
		cli_table_text(t, state_of(rep, x));
	}
	if ((r = cli_table_print(t, err)) == 0 && rep->done)
		cli_restore_print_after(cli);
	return r;
}

/* By the first reading of the archive; what is put back is read again. */
static int find_threads(struct cli *cli, struct audit *a, struct audit_ref **ret, struct err *err)
{
	const struct cli_args *args = cli->args;
	struct audit_ref *ref = mem_array(cli->ctx, struct audit_ref, args->n_operands + 1);
	int r = 0;

	cli_take_ids(cli, 0);
	for (size_t i = 0; i < args->n_operands && r == 0; i++)
		r = audit_locate(a, args->operand[i], &ref[i], err);
	*ret = ref;
	return r < 0 ? r
		     : cli_log_access(cli, a, args->n_operands == 1 ? ref[0].root : NULL, args->n_operands, UINT64_MAX,
				      err);
}

static int restore_threads(struct cli *cli, struct err *err)
{
	struct run_restore_options options = {.case_id = cli->args->value[OPT_CASE],
					      .act = cli_given(cli, OPT_YES) && !cli_given(cli, OPT_DRY_RUN)};
	struct run_restore_report *rep = NULL;
	struct err print_err = {0};
	struct audit_ref *ref;
	struct audit *a;
	int r = cli_open_audit(cli, &a, err), printed = 0;

	if (r < 0 || (r = find_threads(cli, a, &ref, err)) < 0)
		return r;
	r = run_restore(cli->ctx, cli->policy, cli->store, a, ref, cli->args->n_operands, &options, &rep, err);
	if (rep->done)
		cli_mirror_send(cli);
	if (r < 0 && r != -ERR_KEPT && !rep->done)
		return r;
	printed = cli->json ? print_json(rep, &print_err) : print_text(cli, rep, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	if (r < 0 || printed < 0 || options.act || cli_given(cli, OPT_DRY_RUN))
		return r < 0 ? r : printed;
	err_set(err, ERR_USAGE, "nothing was done: `restore` acts only with --yes");
	return err_hint(err, "Give the same command with --yes.");
}

int cli_cmd_restore(struct cli *cli, struct err *err)
{
	if (cli_given(cli, OPT_RUN) || cli_given(cli, OPT_BUNDLE))
		return cli_restore_all(cli, err);
	if (cli->args->n_operands)
		return restore_threads(cli, err);
	err_set(err, ERR_USAGE, "\"restore\" needs THREAD..., --run RUN or --bundle BUNDLE");
	return err_hint(err, "For example: %s", cli_commands[CMD_RESTORE].example);
}
