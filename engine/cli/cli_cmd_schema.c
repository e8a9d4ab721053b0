/*
 * cli_cmd_schema.c - the policy's JSON Schema, for editors, and its reference, for people.
 */
#include <mmretain/policy.h>

#include "cli.h"

#define SCHEMA_MAX ((size_t)1 << 20)

static int print(struct cli *cli, int (*make)(struct buf *out, struct err *err), struct err *err)
{
	struct buf out;
	int r;

	buf_init(&out, cli->ctx, SCHEMA_MAX);
	r = make(&out, err);
	if (r < 0)
		return r;
	fwrite(out.data, 1, out.len, stdout);
	if (out.len && out.data[out.len - 1] != '\n')
		fputc('\n', stdout);
	return 0;
}

int cli_cmd_schema(struct cli *cli, struct err *err)
{
	return print(cli, policy_schema_json, err);
}

int cli_manual_policy(struct cli *cli, struct err *err)
{
	return print(cli, policy_reference_md, err);
}
