/*
 * cli_cmd_export.c - archived threads as a page, a table, mails or an import file.
 */
#include <string.h>

#include "cli_audit.h"

static enum audit_format format_of(const struct cli *cli)
{
	static const char *const words[] = {[AUDIT_HTML] = "html", [AUDIT_JSONL] = "jsonl", [AUDIT_CSV] = "csv", [AUDIT_EML] = "eml",
					    [AUDIT_MATTERMOST] = "mattermost"};
	const char *word = cli->args->value[OPT_AS];

	for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i], word))
			return (enum audit_format)i;
	return AUDIT_HTML;
}

/* Threads by id, or the threads of a search. */
static int choose(struct cli *cli, struct audit *a, struct audit_ref **ret, size_t *ret_n, struct err *err)
{
	const struct cli_args *args = cli->args;
	struct audit_question q;
	int r = cli_question(cli, /* words= */ false, &q, err);

	if (r < 0)
		return r;
	if (args->n_operands == 0) {
		q.words = args->value[OPT_WORDS];
		if (!q.words && !q.user && !q.channel && !q.team && !q.file_name && !q.regex && !q.has_file && q.from_ms == INT64_MIN &&
		    q.before_ms == INT64_MAX) {
			err_set(err, ERR_USAGE, "nothing to export");
			return err_hint(err, "Give the ids of threads, or --words, --user, --channel, --team, --after or --before.");
		}
		q.limit = q.offset = 0;
		return audit_find_threads(a, &q, cli->ctx, ret, ret_n, err);
	}
	*ret = mem_array(cli->ctx, struct audit_ref, args->n_operands);
	for (size_t i = 0; i < args->n_operands && r == 0; i++)
		r = audit_locate(a, args->operand[i], &(*ret)[i], err);
	*ret_n = args->n_operands;
	return r;
}

static int print_json(const struct audit_export *x, const struct audit_exported *sum, struct err *err)
{
	json_t *doc = cli_json_check(json_object());

	cli_json_text(doc, "out", x->out);
	cli_json_int(doc, "threads", sum->threads);
	cli_json_int(doc, "posts", sum->posts);
	cli_json_int(doc, "files", sum->files);
	cli_json_int(doc, "files_missing", sum->files_missing);
	cli_json_int(doc, "pages", sum->pages);
	cli_json_int(doc, "bytes", sum->bytes);
	return cli_json_print(doc, err);
}

int cli_cmd_export(struct cli *cli, struct err *err)
{
	struct audit_export x = {
		.format = format_of(cli), .out = cli->args->value[OPT_OUT], .case_id = cli->args->value[OPT_CASE],
		.verify = !cli_given(cli, OPT_NO_VERIFY), .bom = cli_given(cli, OPT_BOM), .raw_csv = cli_given(cli, OPT_RAW_CSV),
		.progress = &cli->progress,
	};
	struct audit_exported sum;
	struct audit_ref *ref = NULL;
	struct audit *a;
	size_t n = 0;

	int r = cli_open_audit(cli, &a, err);

	if (r == 0 && !x.out) {
		err_set(err, ERR_USAGE, "no place to export to");
		return err_hint(err, "Give --out: a file for html, jsonl and csv, a folder for eml and mattermost.");
	}
	if (r == 0)
		r = choose(cli, a, &ref, &n, err);
	if (r == 0 && n == 0)
		return err_set(err, ERR_NOT_FOUND, "no archived thread answers that");
	if (r == 0)
		r = cli_log_access(cli, a, n == 1 ? ref[0].root : NULL, n, 0, err);
	if (r == 0)
		r = audit_export(a, ref, n, &x, &sum, err);
	if (r < 0)
		return r;
	cli_audit_stats(cli, a);
	if (cli->json)
		return print_json(&x, &sum, err);
	printf("%s: %llu thread%s, %llu posts, %llu files", cli_safe(cli->ctx, x.out), (unsigned long long)sum.threads,
	       cli_s(sum.threads), (unsigned long long)sum.posts, (unsigned long long)sum.files);
	if (sum.files_missing)
		printf(", %llu files are not in the archive", (unsigned long long)sum.files_missing);
	printf("\n");
	return 0;
}
