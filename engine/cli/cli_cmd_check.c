/*
 * cli_cmd_check.c - every mistake of the policy file in one pass; with --db also its names.
 */
#include <mmretain/policy.h>

#include "cli.h"
#include "cli_match.h"
#include "cli_mirror.h"
#include "cli_people.h"

struct check {
	struct cli *cli;
	struct policy_problems *problems;
	struct cli_match_result match;
	struct cli_mirror_probe mirror;
};

static json_t *problem_json(const struct policy_problem *p)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_int(obj, "line", p->line);
	cli_json_int(obj, "column", p->column);
	cli_json_put(obj, "severity", json_string(p->warning ? "warning" : "error"));
	cli_json_text(obj, "text", p->text);
	cli_json_text(obj, "hint", p->hint);
	return obj;
}

static json_t *list_json(const struct people_plan *plan)
{
	json_t *obj;

	if (!plan)
		return json_null();
	obj = cli_json_check(json_object());
	cli_people_list_json(obj, plan);
	return obj;
}

static int print_json(const struct check *c, int result, struct err *err)
{
	const struct policy *policy = c->cli->policy;
	const struct policy_problems *p = c->problems;
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array());

	cli_json_text(doc, "file", cli_policy_path(c->cli));
	cli_json_bool(doc, "ok", result == 0);
	cli_json_int(doc, "errors", p ? p->n_errors : 0);
	cli_json_int(doc, "warnings", p ? p->n - p->n_errors : 0);
	for (size_t i = 0; p && i < p->n; i++)
		if (json_array_append_new(list, problem_json(&p->item[i])) < 0)
			mem_check(NULL);
	cli_json_put(doc, "problems", list);
	if (policy) {
		cli_json_int(doc, "rules", policy->n_rules);
		cli_json_int(doc, "holds", policy->n_holds);
		cli_json_digest(doc, "policy_digest", &policy->digest);
	}
	if (cli_given(c->cli, OPT_DB) && policy) {
		cli_json_int(doc, "channels", c->match.channels);
		cli_json_int(doc, "ungoverned", c->match.ungoverned);
		cli_json_put(doc, "departed_list", list_json(c->match.listed));
	}
	return cli_json_print(doc, err);
}

static void print_text(const struct check *c)
{
	const struct policy *p = c->cli->policy;
	size_t warnings = c->problems ? c->problems->n - c->problems->n_errors : 0;

	printf("%s: ok, %zu rule%s, %zu hold%s", cli_safe(c->cli->ctx, cli_policy_path(c->cli)), p->n_rules,
	       p->n_rules == 1 ? "" : "s", p->n_holds, p->n_holds == 1 ? "" : "s");
	if (warnings)
		printf(", %zu warning%s", warnings, warnings == 1 ? "" : "s");
	printf("\n");
	if (cli_given(c->cli, OPT_DB))
		printf("%zu channel%s looked at, %zu governed by no rule\n", c->match.channels,
		       cli_s(c->match.channels), c->match.ungoverned);
	cli_people_print_list(c->cli, c->match.listed);
	if (c->mirror.has)
		printf("the mirror takes, gives and removes objects\n");
}

/* Warnings count as errors with --strict, and ties always do. */
static int judge(const struct check *c, struct err *err)
{
	const struct policy_problems *p = c->problems;
	size_t warnings = p ? p->n - p->n_errors : 0;

	if (p && p->n_errors)
		return err_set(err, ERR_POLICY, "%s: %zu error%s", cli_policy_path(c->cli), p->n_errors,
			       p->n_errors == 1 ? "" : "s");
	if (warnings && cli_given(c->cli, OPT_STRICT)) {
		err_set(err, ERR_POLICY, "%s: %zu warning%s, and --strict is given", cli_policy_path(c->cli), warnings,
			warnings == 1 ? "" : "s");
		return err_hint(err, "Correct them, or check without --strict.");
	}
	return 0;
}

static int look_up(struct check *c, struct err *err)
{
	int r = cli_open_db(c->cli, err);

	if (r == 0)
		r = cli_match_check(c->cli, c->problems, &c->match, err);
	return r < 0 ? r : cli_probe_mirror(c->cli, &c->mirror, err);
}

int cli_cmd_check(struct cli *cli, struct err *err)
{
	struct check c = {.cli = cli};
	struct err print_err = {0};
	int r = policy_load(cli->ctx, cli_policy_path(cli), &cli->policy, &c.problems, err);

	if (r < 0 && !c.problems)
		return r; /* not readable: nothing was checked */
	if (!c.problems)
		c.problems = mem_new(cli->ctx, struct policy_problems);
	if (r == 0 && cli_given(cli, OPT_DB))
		r = look_up(&c, err);
	if (r < 0 && r != -ERR_POLICY)
		return r;
	if (!cli->json)
		cli_print_problems(cli, c.problems);
	if (r == 0 || c.problems->n_errors)
		r = judge(&c, err);
	if (cli->json && print_json(&c, r, &print_err) < 0 && r == 0)
		r = print_err.code, *err = print_err;
	else if (!cli->json && r == 0)
		print_text(&c);
	return r;
}
