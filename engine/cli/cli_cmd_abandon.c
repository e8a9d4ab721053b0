/*
 * cli_cmd_abandon.c - a bundle that is lost, declared so.
 */
#include <string.h>

#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_mirror.h"

#define REASON_MAX 500

static int take_reason(const struct cli *cli, struct err *err)
{
	const char *reason = cli->args->value[OPT_REASON];

	if (reason && reason[0] && strlen(reason) <= REASON_MAX && utf8_valid(reason, strlen(reason)))
		return 0;
	err_set(err, ERR_USAGE, reason ? "the reason is empty, too long or not UTF-8" : "`abandon` needs a reason");
	return err_hint(err, "Give --reason TEXT: what happened, and where copies were looked for. It is kept in the "
			     "ledger, so no name belongs there.");
}

static int print_json(const struct run_abandoned *b, struct err *err)
{
	json_t *doc = cli_json_check(json_object());

	cli_json_bool(doc, "done", b->done);
	cli_json_bool(doc, "already", b->already);
	cli_json_text(doc, "bundle", b->bundle);
	cli_json_text(doc, "path", b->rel_path);
	cli_json_text(doc, "rule", b->rule);
	cli_json_text(doc, "found", b->found);
	cli_json_text(doc, "why", b->why);
	cli_json_int(doc, "threads", b->threads);
	cli_json_int(doc, "posts", b->posts);
	cli_json_int(doc, "rows", b->rows);
	cli_json_bool(doc, "deleting", b->deleting);
	cli_json_text(doc, "ids", b->ids);
	cli_json_int(doc, "journals", b->journals);
	cli_json_text(doc, "aside", b->aside);
	return cli_json_print(doc, err);
}

static const char *ids_text(const struct run_abandoned *b)
{
	if (strcmp(b->ids, "index") == 0)
		return "known from its index; `show` and `find --thread` will say that they were in it";
	if (strcmp(b->ids, "filter") == 0)
		return "known from the catalog; `show` and `find --thread` will say that they were probably in it";
	return "not known: neither its index nor the catalog is there";
}

static void print_text(const struct cli *cli, const struct run_abandoned *b)
{
	printf("bundle    %s\n", cli_safe(cli->ctx, b->rel_path));
	printf("found     %s: %s\n", b->found, cli_safe(cli->ctx, b->why));
	printf("archived  %s, %s, by rule %s\n", cli_count(cli->ctx, b->threads, "thread"),
	       cli_count(cli->ctx, b->posts, "post"), cli_safe(cli->ctx, b->rule));
	if (b->deleting)
		printf("deleted   not finished: of these threads some are gone, and the others are for the next "
		       "plan\n");
	printf("ids       %s\n", ids_text(b));
	if (b->journals)
		printf("files     %s of %u journal%s: they stay in the attachment folder, as ledger/lost-unlink-* "
		       "lists them\n",
		       "attachments", b->journals, cli_s(b->journals));
	if (b->aside)
		printf("aside     what was in its place is now %s\n", cli_safe(cli->ctx, b->aside));
	if (b->already)
		printf("the ledger says so already%s\n", b->done ? "; what was left of it is settled" : "");
	else if (b->done)
		printf("declared lost\n");
}

int cli_cmd_abandon(struct cli *cli, struct err *err)
{
	struct run_abandon_options options = {.bundle = cli->args->operand[0], .reason = cli->args->value[OPT_REASON],
					      .act = cli_given(cli, OPT_YES) && !cli_given(cli, OPT_DRY_RUN)};
	struct run_abandoned *report = NULL;
	/* the ledger says itself whether it can be written; no secret is needed */
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r == 0)
		r = take_reason(cli, err);
	if (r == 0 && cli->policy)
		r = cli_open_mirror(cli, &options.mirror, err);
	if (r == 0)
		r = run_abandon(cli->ctx, cli->store, &options, &report, err);
	if (r < 0)
		return r;
	if (options.act)
		cli_mirror_send(cli);
	if (cli->json)
		r = print_json(report, err);
	else
		print_text(cli, report);
	if (r < 0 || options.act || cli_given(cli, OPT_DRY_RUN))
		return r;
	err_set(err, ERR_USAGE, "nothing was done: `abandon` acts only with --yes");
	return err_hint(err, "Look for a copy of the file first: put back, it makes this needless. When there is none, "
			     "give the same command with --yes.");
}
