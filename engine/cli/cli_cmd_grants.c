/*
 * cli_cmd_grants.c - the SQL that gives a role what a run needs.
 */
#include <mmretain/mm.h>
#include <mmretain/people.h>

#include "cli.h"

#define SCRIPT_MAX ((size_t)1 << 20)

int cli_cmd_grants(struct cli *cli, struct err *err)
{
	const char *role = cli->args->n_operands ? cli->args->operand[0] : NULL;
	struct buf out;
	int r = cli_load_policy(cli, err);

	/* No probe: the role may not be allowed to read anything yet. */
	if (r == 0)
		r = cli_connect(cli, err);
	if (r < 0)
		return r;
	buf_init(&out, cli->ctx, SCRIPT_MAX);
	r = mm_grant_script(cli->mm, role, &out, err);
	if (r == 0 && cli->policy->people.present)
		buf_puts(&out, "-- departed_users; only the owner of attributeview may also refresh it\n");
	if (r == 0)
		r = people_grant_script(cli->policy, cli->mm, role, &out, err);
	if (r < 0)
		return r;
	fputs("-- What mmretain needs, and no more.  Let the owner of the tables execute it: psql -v ON_ERROR_STOP=1 "
	      "-f FILE\n",
	      stdout);
	fwrite(out.data, 1, out.len, stdout);
	return 0;
}
