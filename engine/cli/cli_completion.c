/*
 * cli_completion.c - completion scripts for three shells, from the tables.
 */
#include <string.h>

#include "cli.h"

static void each_option(FILE *out, int command, void (*put)(FILE *out, const struct cli_option *o, int command))
{
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_option_fits((enum cli_option_id)i, (enum cli_command_id)command))
			put(out, &cli_options[i], command);
}

static void put_long(FILE *out, const struct cli_option *o, int command)
{
	(void)command;
	fprintf(out, " --%s", o->name);
}

static void put_commands(FILE *out)
{
	for (int i = 0; i < CMD_COUNT; i++)
		fprintf(out, "%s%s", i ? " " : "", cli_commands[i].word);
}

/* Fixed words that a command takes as operand: `a|b|c` in its synopsis, or the commands. */
static void put_operands(FILE *out, int id)
{
	if (id == CMD_HELP) {
		put_commands(out);
		return;
	}
	for (const char *p = cli_commands[id].operands; *p; p++)
		if ((*p >= 'a' && *p <= 'z') || *p == '|')
			fputc(*p == '|' ? ' ' : *p, out);
}

static bool takes_file(const struct cli_option *o)
{
	return o->value_name && strcmp(o->value_name, "FILE") == 0;
}

static void bash(FILE *out)
{
	fputs("# bash completion for mmretain\n_mmretain()\n{\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n\t\t-*) ;;\n"
	      "\t\t*) command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n\tCOMPREPLY=()\n\tcase $before in\n", out);
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option *o = &cli_options[i];

		if (!o->value_name)
			continue;
		fputc('\t', out);
		if (o->letter)
			fprintf(out, "-%c|", o->letter);
		fprintf(out, "--%s) ", o->name);
		if (o->words)
			fprintf(out, "COMPREPLY=($(compgen -W '%s' -- \"$word\")); ", o->words);
		else if (takes_file(o))
			fputs("COMPREPLY=($(compgen -f -- \"$word\")); ", out);
		fputs("return ;;\n", out);
	}
	fputs("\tesac\n\tcase $command in\n\t'') COMPREPLY=($(compgen -W '", out);
	put_commands(out);
	fputs("' -- \"$word\")) ;;\n", out);
	for (int i = 0; i < CMD_COUNT; i++) {
		fprintf(out, "\t%s) COMPREPLY=($(compgen -W '", cli_commands[i].word);
		put_operands(out, i);
		each_option(out, i, put_long);
		fputs("' -- \"$word\")) ;;\n", out);
	}
	fputs("\tesac\n}\ncomplete -F _mmretain mmretain\n", out);
}

/* Text within single quotes, for zsh and fish; backticks of the prose go, colons and brackets would end a zsh field. */
static void quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (*text == '[' || *text == ']' || *text == ':')
			fputc(' ', out);
		else if (*text != '`')
			fputc(*text, out);
	}
}

static void zsh_option(FILE *out, const struct cli_option *o, int command)
{
	if (o->letter)
		fprintf(out, " \\\n\t\t'(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter, o->name);
	else
		fprintf(out, " \\\n\t\t'--%s[", o->name);
	quoted(out, cli_option_help(o, command));
	fputc(']', out);
	if (o->value_name) {
		fputc(':', out);
		quoted(out, o->value_name); /* HH:MM */
		fputc(':', out);
		if (o->words)
			fprintf(out, "(%s)", o->words);
		else if (takes_file(o))
			fputs("_files", out);
	}
	fputc('\'', out);
}

static void zsh(FILE *out)
{
	fputs("#compdef mmretain\n_mmretain()\n{\n\tlocal -a commands=(\n", out);
	for (int i = 0; i < CMD_COUNT; i++) {
		fprintf(out, "\t\t'%s:", cli_commands[i].word);
		quoted(out, cli_commands[i].summary);
		fputs("'\n", out);
	}
	fputs("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
	      "\tlocal command=$words[2]\n\twords=(mmretain $words[3,-1])\n\t((CURRENT--))\n\tcase $command in\n", out);
	for (int i = 0; i < CMD_COUNT; i++) {
		fprintf(out, "\t%s) _arguments", cli_commands[i].word);
		each_option(out, i, zsh_option);
		fputs(" \\\n\t\t'*:operand:(", out);
		put_operands(out, i);
		fputs(")' ;;\n", out);
	}
	fputs("\tesac\n}\n_mmretain \"$@\"\n", out);
}

static void fish_command(FILE *out, int id)
{
	fprintf(out, "complete -c mmretain -n __fish_use_subcommand -f -a %s -d '", cli_commands[id].word);
	quoted(out, cli_commands[id].summary);
	fputs("'\n", out);
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option *o = &cli_options[i];

		if (!cli_option_fits((enum cli_option_id)i, (enum cli_command_id)id))
			continue;
		fprintf(out, "complete -c mmretain -n '__fish_seen_subcommand_from %s' -l %s", cli_commands[id].word,
			o->name);
		if (o->letter)
			fprintf(out, " -s %c", o->letter);
		if (o->value_name)
			fputs(takes_file(o) ? " -r -F" : " -x", out);
		if (o->words)
			fprintf(out, " -a '%s'", o->words);
		fputs(" -d '", out);
		quoted(out, cli_option_help(o, id));
		fputs("'\n", out);
	}
	fprintf(out, "complete -c mmretain -n '__fish_seen_subcommand_from %s' -f -a '", cli_commands[id].word);
	put_operands(out, id);
	fputs("'\n", out);
}

int cli_cmd_completion(struct cli *cli, struct err *err)
{
	const char *shell = cli->args->operand[0];

	if (strcmp(shell, "bash") == 0)
		bash(stdout);
	else if (strcmp(shell, "zsh") == 0)
		zsh(stdout);
	else if (strcmp(shell, "fish") == 0)
		for (int i = 0; i < CMD_COUNT; i++)
			fish_command(stdout, i);
	else
		return err_set(err, ERR_USAGE, "unknown shell \"%s\": bash, zsh and fish are known", shell);
	return 0;
}
