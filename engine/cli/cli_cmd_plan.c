/*
 * cli_cmd_plan.c - what a run would do.
 */
#include "cli_people.h"
#include "cli_plan.h"

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

	if (r == 0 && cli_given(cli, OPT_USER))
		return cli_person_inventory(cli, cli->args->value[OPT_USER], err);
	if (r == 0)
		r = cli_plan_show(cli, &plan, err);
	if (r == 0)
		r = judge(cli, plan, err);
	if (r == 0 && out)
		r = plan_write(plan, out, err);
	if (r == 0 && out && !cli->json)
		log_info("written to %s; `mmretain run --plan %s` carries it out", out, out);
	return r;
}
