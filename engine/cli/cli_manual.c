/*
 * cli_manual.c - the man page, docs/commands.md and docs/exit-codes.md, from the tables.
 */
#include <string.h>

#include "cli.h"

static const struct {
	const char *name;
	int status;
	const char *text;
} errors[] = {
#define X(name, status, retry, text) {#name, status, text},
#include <mmretain/errors.def>
#undef X
};

const char *cli_error_meaning(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].text;
	return name;
}

static const struct { const char *path, *text; } files[] = {
	{CLI_DEFAULT_POLICY, "the policy, when `-c` names no other"},
	{"<archive root>/bundles/", "the archive: one seekable tar.zst file per bundle, readable with standard tools"},
	{"<archive root>/ledger/" "entries.jsonl", "the record of every irreversible step, each line bound to the one "
						   "before"},
	{"<archive root>/partial/", "work in progress; nothing in it is an archive"},
};

static const struct { const char *name, *text; } variables[] = {
	{"MM_CONFIG", "where the server has its configuration; refused when it is of another kind (a file, a database) "
		      "than the policy's `mattermost_config`"},
	{"MM_SQLSETTINGS_DATASOURCE", "with `mattermost_config`: overrides the data source of the server's "
				      "configuration, as it does for the server"},
	{"MM_SQLSETTINGS_DRIVERNAME", "overrides the driver beside it; only `postgres` is taken"},
	{"MM_FILESETTINGS_DIRECTORY", "overrides the attachment folder of the server's configuration, and names it "
				      "with `service` and `url`; `files` of the policy overrides it"},
	{"MM_FILESETTINGS_DRIVERNAME", "overrides the driver beside it; attachments of `local` and `amazons3` can be "
				       "read"},
	{"MM_FILESETTINGS_AMAZONS3BUCKET, ...ENDPOINT, ...REGION, ...PATHPREFIX, ...SSL, ...SIGNV2, ...ACCESSKEYID, "
	 "...SECRETACCESSKEY",
	 "of a bucket: override `AmazonS3Bucket` and the others of the server's configuration, and name the bucket "
	 "with `service` and `url`"},
	{"PGSERVICEFILE, PGSYSCONFDIR", "where the service is that the policy names; no other variable of libpq is "
					"read"},
	{"HOME", "where `.pgpass` is"},
	{"https_proxy, all_proxy, no_proxy", "the way to the mirror and to a bucket of attachments, as libcurl takes "
					     "them"},
	{"INVOCATION_ID", "set by systemd: without a terminal the protocol says that a timer began the run"},
	{"COLUMNS", "how wide `help` is, at most 100; without it as wide as the terminal"},
	{"NO_COLOR", "when set, `--color auto` means `never`"},
	{"TMPDIR", "where large sorts put their work files (default /tmp)"},
};

/* ---- man page ---- */

/* roff text: `x` becomes bold, backslashes and hyphens are escaped, a leading dot or quote is guarded. */
static void roff(FILE *out, const char *text)
{
	bool bold = false, line_start = true;

	for (; *text; text++) {
		if (*text == '`') {
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fR", out);
		} else if (*text == '\n' && text[1] == '\n') {
			fputs("\n.PP\n", out);
			text++;
			line_start = true;
			continue;
		} else if (*text == '\\') {
			fputs("\\e", out);
		} else if (*text == '-') {
			fputs("\\-", out);
		} else {
			if (line_start && (*text == '.' || *text == '\''))
				fputs("\\&", out);
			fputc(*text, out);
		}
		line_start = *text == '\n';
	}
}

static void man_option(FILE *out, const struct cli_option *o, int command)
{
	fputs(".TP\n", out);
	if (o->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", out);
	roff(out, o->name);
	fputs("\\fR", out);
	if (o->value_name)
		fprintf(out, " \\fI%s\\fR", o->value_name);
	fputc('\n', out);
	roff(out, cli_option_help(o, command));
	fputc('\n', out);
}

static void man_options(FILE *out, int command)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		bool common = cli_options[i].commands == UINT32_MAX;

		if (command < 0 ? common
				: !common && cli_option_fits((enum cli_option_id)i, (enum cli_command_id)command))
			man_option(out, &cli_options[i], command);
	}
}

static void man_command(FILE *out, int id)
{
	const struct cli_command *c = &cli_commands[id];

	fprintf(out, ".SS \"mmretain %s%s%s\"\n", c->word, *c->operands ? " " : "", c->operands);
	roff(out, c->prose);
	fputc('\n', out);
	man_options(out, id);
	if (c->json) {
		fputs(".PP\nWith \\fB\\-\\-json\\fR: ", out);
		roff(out, c->json);
		fputs(".\n", out);
	}
	fputs(".PP\nExample:\n.PP\n.RS 4\n.EX\n", out);
	roff(out, c->example);
	fputs("\n.EE\n.RE\n", out);
}

static void man_pairs(FILE *out, const char *term, const char *text)
{
	fputs(".TP\n.B ", out);
	roff(out, term);
	fputc('\n', out);
	roff(out, text);
	fputc('\n', out);
}

/* Several codes share one status: one entry each, their meanings joined. */
static void each_status(FILE *out, void (*put)(FILE *out, int status, const char *text))
{
	put(out, 0, "done, or nothing to do");
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		char text[512];
		size_t n = 0;
		bool first = true;

		for (size_t j = 0; j < ARRAY_LEN(errors) && n < sizeof(text); j++) {
			if (errors[j].status != errors[i].status)
				continue;
			first &= j >= i;
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "; " : "", errors[j].text);
		}
		if (first)
			put(out, errors[i].status, text);
	}
	put(out, 129, "ended by SIGHUP, as 130 by SIGINT");
	put(out, 143, "ended by SIGTERM, as 130 by SIGINT");
}

static void man_status(FILE *out, int status, const char *text)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", status);
	man_pairs(out, number, text);
}

void cli_manual_man(FILE *out)
{
	fprintf(out, ".\\\" generated by `mmretain help --format man`\n.TH MMRETAIN 1 \"\" \"mmretain %s\" \"\"\n",
		cli_version());
	fputs(".SH NAME\nmmretain \\- retention and archive for Mattermost\n.SH SYNOPSIS\n", out);
	fputs(".B mmretain\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH DESCRIPTION\n", out);
	roff(out, "Keeps the message database of a Mattermost server at the size and age that a policy states. Threads "
		  "that are due are written to compressed archive files, each file is read back and compared, and only "
		  "then are the rows deleted. When in doubt, data is kept and the reason is told.\n\n"
		  "Results go to standard output, everything else to standard error. Long options must be written in "
		  "full.\n");
	fputs(".SH COMMANDS\n", out);
	for (int i = 0; i < CMD_COUNT; i++)
		man_command(out, i);
	fputs(".SH OPTIONS\nThese belong to every command.\n", out);
	man_options(out, -1);
	fputs(".SH \"EXIT STATUS\"\n", out);
	each_status(out, man_status);
	fputs(".SH FILES\n", out);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		man_pairs(out, files[i].path, files[i].text);
	fputs(".SH ENVIRONMENT\n", out);
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		man_pairs(out, variables[i].name, variables[i].text);
}

/* ---- Markdown ---- */

/* In a table cell a bar ends the cell. */
static void cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void md_options(FILE *out, int command)
{
	bool head = false;

	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option *o = &cli_options[i];
		bool common = o->commands == UINT32_MAX;

		if (command < 0 ? !common
				: common || !cli_option_fits((enum cli_option_id)i, (enum cli_command_id)command))
			continue;
		if (!head)
			fputs("| option | meaning |\n|---|---|\n", out);
		head = true;
		fputs("| ", out);
		if (o->letter)
			fprintf(out, "`-%c`, ", o->letter);
		fprintf(out, "`--%s%s%s` | ", o->name, o->value_name ? " " : "", o->value_name ? o->value_name : "");
		cell(out, cli_option_help(o, command));
		fputs(" |\n", out);
	}
	if (head)
		fputc('\n', out);
}

static void md_command(FILE *out, int id)
{
	const struct cli_command *c = &cli_commands[id];

	fprintf(out, "## %s\n\n`mmretain %s%s%s`\n\n%s\n\n", c->word, c->word, *c->operands ? " " : "", c->operands,
		c->prose);
	md_options(out, id);
	fprintf(out, "```\n%s\n```\n\n", c->example);
	if (c->json)
		fprintf(out, "With `--json`: %s.\n\n", c->json);
}

void cli_manual_markdown(FILE *out)
{
	fputs("<!-- generated by `mmretain help --format markdown` -->\n# Commands\n\n", out);
	fputs("Results go to standard output, everything else to standard error; a reader that leaves early, as in `| "
	      "head -1`, is no error. Long options must be written in full. The exit status is explained in "
	      "[exit-codes.md](exit-codes.md). Times in JSON are RFC 3339 in UTC, sizes are bytes; fields of ledger "
	      "lines, in `report`, stand as they do in the [ledger](formats.md). A text that is not UTF-8 has a twin "
	      "whose name ends in `_b64`.\n\n"
	      "Options of every command:\n\n",
	      out);
	md_options(out, -1);
	for (int i = 0; i < CMD_COUNT; i++)
		md_command(out, i);
}

static void md_status(FILE *out, int status, const char *text)
{
	fprintf(out, "| %d | %s |\n", status, text);
}

void cli_manual_exit_codes(FILE *out)
{
	fputs("<!-- generated by `mmretain help --format exit-codes` -->\n# Exit status\n\n| status | meaning |\n"
	      "|---:|---|\n",
	      out);
	each_status(out, md_status);
	fputs("\nThe names of the codes, as `run-end` lines of the ledger have them:\n\n| name | status | meaning |\n"
	      "|---|---:|---|\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		fprintf(out, "| `%s` | %d | %s |\n", errors[i].name, errors[i].status, errors[i].text);
}
