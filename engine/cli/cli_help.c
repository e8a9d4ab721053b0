/*
 * cli_help.c - help on the terminal, from the tables.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

enum { MOST_COLUMNS = 100, LEAST_COLUMNS = 40, TEXT_AT = 29, NARROW = 72 };

const char *cli_version(void)
{
	return MMR_VERSION;
}

void cli_option_usage(const struct cli_option *o, char ret[64])
{
	int n = o->letter ? snprintf(ret, 64, "-%c, ", o->letter) : snprintf(ret, 64, "    ");

	snprintf(ret + n, 64 - (size_t)n, "--%s%s%s", o->name, o->value_name ? " " : "",
		 o->value_name ? o->value_name : "");
}

/* As wide as the terminal, or COLUMNS, allows; a pipe without it gets what is good to read. */
static size_t columns(void)
{
	const char *text = getenv("COLUMNS");
	struct winsize size = {0};
	long n = text ? strtol(text, NULL, 10) : 0;

	if (n <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		n = size.ws_col;
	if (n <= 0 || n > MOST_COLUMNS)
		return MOST_COLUMNS;
	return n < LEAST_COLUMNS ? LEAST_COLUMNS : (size_t)n;
}

/* One paragraph, wrapped, every line but the first indented; `backticks` are for other outputs. */
static void put_hanging(FILE *out, const char *text, size_t len, size_t indent)
{
	size_t column = indent, most = columns();

	for (size_t i = 0; i < len;) {
		size_t word = strcspn(text + i, " \n");

		if (word > len - i)
			word = len - i;
		if (column > indent && column + 1 + word > most) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fwrite(text + i, 1, word, out);
		column += word;
		i += word + (i + word < len);
	}
	fputc('\n', out);
}

static void put_wrapped(FILE *out, const char *text, size_t len, size_t indent)
{
	fprintf(out, "%*s", (int)indent, "");
	put_hanging(out, text, len, indent);
}

static void put_prose(FILE *out, const char *prose)
{
	for (const char *p = prose; *p;) {
		const char *end = strstr(p, "\n\n");
		size_t len = end ? (size_t)(end - p) : strlen(p);

		put_wrapped(out, p, len, 2);
		fputc('\n', out);
		p += len + (end ? 2 : 0);
	}
}

static void put_option(FILE *out, const struct cli_option *o, int command)
{
	const char *help = cli_option_help(o, command);
	char usage[64];

	cli_option_usage(o, usage);
	if (columns() < NARROW) {
		fprintf(out, "  %s\n", usage);
		put_wrapped(out, help, strlen(help), 8);
	} else {
		fprintf(out, "  %-26s ", usage);
		put_hanging(out, help, strlen(help), TEXT_AT);
	}
}

static bool is_common(int id)
{
	return cli_options[id].commands == UINT32_MAX;
}

void cli_help_list(FILE *out)
{
	static const char last[] = "`mmretain help COMMAND` explains a command; `mmretain help --format exit-codes` "
				   "the exit status.";

	fprintf(out, "mmretain %s - retention and archive for Mattermost\n\n", cli_version());
	fputs("usage: mmretain COMMAND [OPTIONS]\n\ncommands:\n", out);
	for (int i = 0; i < CMD_COUNT; i++) {
		fprintf(out, "  %-12s ", cli_commands[i].word);
		put_hanging(out, cli_commands[i].summary, strlen(cli_commands[i].summary), 15);
	}
	fputs("\noptions of every command:\n", out);
	for (int i = 0; i < OPT_COUNT; i++)
		if (is_common(i))
			put_option(out, &cli_options[i], -1);
	fputc('\n', out);
	put_wrapped(out, last, strlen(last), 0);
}

void cli_help_command(FILE *out, enum cli_command_id id)
{
	const struct cli_command *c = &cli_commands[id];

	fprintf(out, "usage: mmretain %s [OPTIONS]%s%s\n\n", c->word, *c->operands ? " " : "", c->operands);
	put_prose(out, c->prose);
	fputs("options:\n", out);
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_option_fits((enum cli_option_id)i, id) && !is_common(i))
			put_option(out, &cli_options[i], (int)id);
	for (int i = 0; i < OPT_COUNT; i++)
		if (is_common(i))
			put_option(out, &cli_options[i], (int)id);
	fprintf(out, "\nexample:\n  %s\n", c->example);
	if (c->json) {
		fputs("\nwith --json:\n", out);
		put_wrapped(out, c->json, strlen(c->json), 2);
	}
}

static enum cli_command_id find(const char *word)
{
	int i = 0;

	while (i < CMD_COUNT && strcmp(cli_commands[i].word, word) != 0)
		i++;
	return (enum cli_command_id)i;
}

int cli_cmd_help(struct cli *cli, struct err *err)
{
	const struct cli_args *a = cli->args;
	const char *format = a->value[OPT_FORMAT] ? a->value[OPT_FORMAT] : "text";
	enum cli_command_id id = a->n_operands ? find(a->operand[0]) : CMD_COUNT;

	if (a->n_operands && id == CMD_COUNT)
		return cli_unknown_command("help ", a->operand[0], err);
	if (a->n_operands && strcmp(format, "text") != 0)
		return err_set(err, ERR_USAGE, "--format prints the whole manual, not one command");
	if (strcmp(format, "man") == 0)
		cli_manual_man(stdout);
	else if (strcmp(format, "markdown") == 0)
		cli_manual_markdown(stdout);
	else if (strcmp(format, "exit-codes") == 0)
		cli_manual_exit_codes(stdout);
	else if (strcmp(format, "policy") == 0)
		return cli_manual_policy(cli, err);
	else if (id < CMD_COUNT)
		cli_help_command(stdout, id);
	else
		cli_help_list(stdout);
	return 0;
}

int cli_cmd_version(struct cli *cli, struct err *err)
{
	(void)cli;
	(void)err;
	printf("mmretain %s\n", cli_version());
	return 0;
}
