/*
 * cli_id.c - ids as people have them: as such, or at the end of a permalink.
 */
#include <string.h>

#include <mmretain/mm.h>

#include "cli.h"

#define SIGNS "abcdefghijklmnopqrstuvwxyz0123456789"

bool cli_looks_like_id(const char *text)
{
	return strlen(text) == MM_ID && strspn(text, SIGNS) == MM_ID;
}

/* https://chat.example.org/team/pl/ID, whatever stands behind it. */
const char *cli_id_of(void *ctx, const char *text)
{
	static const char mark[] = "/pl/";
	const char *at = strstr(text, mark);

	text += strspn(text, " \t\r\n");
	if (at && strspn(at + strlen(mark), SIGNS) == MM_ID)
		return mem_strndup(ctx, at + strlen(mark), MM_ID);
	return mem_strndup(ctx, text, strcspn(text, " \t\r\n"));
}

void cli_take_ids(struct cli *cli, size_t from)
{
	for (size_t i = from; i < cli->args->n_operands; i++)
		cli->args->operand[i] = cli_id_of(cli->ctx, cli->args->operand[i]);
}
