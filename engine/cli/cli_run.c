/*
 * cli_run.c - parse, act, print the error once, give the exit status.
 */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char *color_when; /* --color; NULL: not given, or not read yet */
static enum cli_command_id asked = CMD_HELP; /* for hints */

static bool want_color(const char *when, int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when && strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

/* For errors that come from deep below and have no hint of their own. */
static const char *way_out(const struct err *err)
{
	static char text[80];

	switch (err->sys_errno) {
	case ENOENT:
	case ENOTDIR:
		return "Make it first, or name another.";
	case EACCES:
	case EPERM:
		return "Run as a user who may do that, or give this one the right.";
	case EROFS:
		return "Mount its file system for writing, or name another place.";
	case ENOSPC:
	case EDQUOT:
		return "Make room on its disk, and give the same command again.";
	}
	if (err->code != -ERR_USAGE)
		return "";
	snprintf(text, sizeof(text), "`mmretain help %s` has the options and an example.", cli_commands[asked].word);
	return text;
}

void cli_print_error(const struct err *err)
{
	const char *hint = *err->hint ? err->hint : way_out(err);
	bool color = want_color(color_when, STDERR_FILENO);
	auto_mem void *ctx = mem_context(NULL, "error");

	cli_progress_clear();
	fprintf(stderr, "mmretain: %serror:%s %s\n", cli_tint(color, CLI_RED), cli_tint(color, CLI_PLAIN),
		cli_safe(ctx, err->msg));
	if (*hint)
		fprintf(stderr, "  hint: %s\n", cli_safe(ctx, hint));
}

const char *cli_policy_path(const struct cli *cli)
{
	const char *path = cli->args->value[OPT_CONFIG];

	return path ? path : CLI_DEFAULT_POLICY;
}

static void set_up(struct cli *cli)
{
	const struct cli_args *a = cli->args;
	int64_t now_ms;

	cli->json = cli_given(cli, OPT_JSON);
	cli->quiet = cli_given(cli, OPT_QUIET);
	cli->verbose = cli_given(cli, OPT_VERBOSE);
	color_when = a->value[OPT_COLOR];
	cli->color = want_color(color_when, STDOUT_FILENO);
	log_level_set(cli->quiet ? LOG_WARN : cli->verbose ? LOG_DEBUG : LOG_INFO);
	if (a->value[OPT_NOW] && time_parse(a->value[OPT_NOW], &now_ms))
		time_override_ms(now_ms);
	cli_progress_setup(cli);
}

/* A result that did not arrive is a failure, though the work is done; but for a reader that has seen enough of it and
 * left. */
static int flush_output(struct err *err)
{
	int saved;

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	/* A full buffer was written, and failed, long before: the reason is gone, and one more byte on the broken
	 * output tells it again. */
	if (!errno) {
		clearerr(stdout);
		(void)fputc('\n', stdout); /* only the reason matters */
		(void)fflush(stdout);
	}
	saved = errno ? errno : EIO;
	if (saved == EPIPE)
		return 0;
	err_sys(err, ERR_OUTPUT, saved, "cannot write the result to standard output");
	return err_hint(err, "The command itself has run; write its output to a place that takes it.");
}

static int exit_status(int r)
{
	if (r == -ERR_INTERRUPTED && stop_requested())
		return 128 + stop_requested();
	return r < 0 ? err_exit_status(r) : 0;
}

static int act(const struct cli_args *args, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "cli");
	struct cli cli = {.ctx = ctx, .args = args};

	set_up(&cli);
	return cli_commands[args->command].run(&cli, err);
}

int cli_run(int argc, char *const *argv)
{
	auto_mem void *ctx = mem_context(NULL, "arguments");
	struct cli_args args;
	struct err err = {0}, flush_err = {0};
	int r;

	/* Only character types, and always the same: no result depends on the caller's language. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	r = cli_parse(ctx, argc, argv, &args, &err);
	if (r == 0) {
		asked = args.command;
		r = act(&args, &err);
	}
	cli_progress_clear();
	if (flush_output(&flush_err) < 0) {
		cli_print_error(&flush_err);
		if (r == 0)
			return exit_status(flush_err.code);
	}
	if (r < 0)
		cli_print_error(&err);
	return exit_status(r);
}
