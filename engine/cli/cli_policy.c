/*
 * cli_policy.c - load the policy and show its problems; the words in it that are for people.
 */
#include <string.h>

#include <mmretain/policy.h>

#include "cli.h"

static void print_problem(const char *path, const struct policy_problem *p)
{
	auto_mem void *ctx = mem_context(NULL, "problem");

	fprintf(stderr, "%s:%u:%u: %s: %s\n", cli_safe(ctx, path), p->line, p->column, p->warning ? "warning" : "error",
		cli_safe(ctx, p->text));
	if (p->hint && *p->hint)
		fprintf(stderr, "  hint: %s\n", cli_safe(ctx, p->hint));
}

void cli_print_problems(const struct cli *cli, const struct policy_problems *problems)
{
	for (size_t i = 0; problems && i < problems->n; i++)
		print_problem(cli_policy_path(cli), &problems->item[i]);
}

const char *cli_hold_because(const struct cli *cli, const char *name)
{
	for (size_t i = 0; name && cli->policy && i < cli->policy->n_holds; i++)
		if (strcmp(cli->policy->hold[i].name, name) == 0)
			return cli->policy->hold[i].because;
	return NULL;
}

const char *cli_because(const struct cli *cli, const char *because)
{
	return because && *because ? mem_printf(cli->ctx, ", because: %s", cli_safe(cli->ctx, because)) : "";
}

int cli_load_policy(struct cli *cli, struct err *err)
{
	enum cli_command_id command = cli->args->command;
	bool warn = cli->verbose || command == CMD_PLAN || command == CMD_RUN || command == CMD_DOCTOR;
	struct policy_problems *problems = NULL;
	int r = policy_load(cli->ctx, cli_policy_path(cli), &cli->policy, &problems, err);

	cli->archive = problems ? problems->store : NULL;
	/* Who runs or plans must see the warnings; who only reads the archive has seen them before. */
	for (size_t i = 0; problems && i < problems->n; i++)
		if (!problems->item[i].warning || warn)
			print_problem(cli_policy_path(cli), &problems->item[i]);
	if (r == -ERR_POLICY && problems && problems->n_errors)
		return err_set(err, ERR_POLICY, "%s: %zu error%s", cli_policy_path(cli), problems->n_errors,
			       problems->n_errors == 1 ? "" : "s"); /* each was printed above */
	if (r == 0 && problems && problems->n && cli_given(cli, OPT_STRICT)) {
		err_set(err, ERR_POLICY, "%s: %zu warning%s, and --strict is given", cli_policy_path(cli), problems->n,
			problems->n == 1 ? "" : "s");
		r = err_hint(err, "Correct them, or leave --strict out.");
	}
	return r;
}
