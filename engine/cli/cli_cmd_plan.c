/*
 * cli_cmd_plan.c - what a run would do.
 */
#include "cli_plan.h"

/* A guard does not make the plan fail: it is what the reader must see before the run does. */
static void print_guard(const struct err *guard)
{
	log_warn("a run would stop: %s", guard->msg);
	if (*guard->hint)
		fprintf(stderr, "  hint: %s\n", guard->hint);
}

static int print_plan(struct cli *cli, struct plan *plan, struct err *err)
{
	struct err guard = {0};
	bool stopped = plan_guard(plan, &guard) < 0;
	json_t *doc;
	int r;

	if (cli->json) {
		doc = cli_plan_json(cli, plan);
		cli_json_text(doc, "guard", stopped ? guard.msg : NULL);
		return cli_json_print(doc, err);
	}
	r = cli_plan_print_text(cli, plan, err);
	if (stopped)
		print_guard(&guard);
	return r;
}

static int judge(const struct cli *cli, const struct plan *plan, struct err *err)
{
	if (!cli_given(cli, OPT_STRICT) || !plan->n_warnings)
		return 0;
	err_set(err, ERR_POLICY, "the plan has %zu warning%s, and --strict is given", plan->n_warnings,
		plan->n_warnings == 1 ? "" : "s");
	return err_hint(err, "Correct the policy, or plan without --strict.");
}

int cli_cmd_plan(struct cli *cli, struct err *err)
{
	const char *out = cli->args->value[OPT_OUT];
	struct plan *plan = NULL;
	int r = cli_load_policy(cli, err);

	if (r == 0)
		r = cli_open_db(cli, err);
	if (r == 0)
		r = cli_plan_build(cli, &plan, err);
	if (r == 0)
		r = print_plan(cli, plan, err);
	if (r == 0)
		r = judge(cli, plan, err);
	if (r == 0 && out)
		r = plan_write(plan, out, err);
	if (r == 0 && out && !cli->json)
		log_info("written to %s; `mmretain run --plan %s` carries it out", out, out);
	return r;
}
