/*
 * cli_cmd_erase.c - one person out of the bundles.
 */
#include <errno.h>
#include <string.h>

#include <mmretain/catalog.h>
#include <mmretain/policy.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_audit.h"

struct erase {
	struct cli *cli;
	const char *asked;          /* --user */
	char *user;                 /* its id */
	char **name; size_t n_names; /* that the person had in the bundles */
	char **other; size_t n_others; /* ids of others of that name */
	bool act;
	struct run_erase_report *report;
};

/* ---- who ---- */

static void put(struct cli *cli, char ***list, size_t *n, const char *text)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp((*list)[i], text) == 0)
			return;
	*list = mem_grow(cli->ctx, *list, char *, *n + 1);
	(*list)[(*n)++] = mem_strdup(cli->ctx, text);
}

static int on_named(void *payload, const struct catalog_name *n, struct err *err)
{
	struct erase *e = payload;
	const char *want = e->asked + (e->asked[0] == '@');

	(void)err;
	if (strcmp(n->name, want) == 0 || strcmp(n->id, want) == 0)
		put(e->cli, &e->other, &e->n_others, n->id);
	return 0;
}

static int on_known(void *payload, const struct catalog_name *n, struct err *err)
{
	struct erase *e = payload;

	(void)err;
	if (strcmp(n->id, e->user) == 0 && n->name[0])
		put(e->cli, &e->name, &e->n_names, n->name);
	return 0;
}

static int ambiguous(const struct erase *e, struct err *err)
{
	char *ids = mem_strdup(e->cli->ctx, "");

	for (size_t i = 0; i < e->n_others; i++)
		ids = mem_printf(e->cli->ctx, "%s%s%s", ids, i ? ", " : "", cli_safe(e->cli->ctx, e->other[i]));
	err_set(err, ERR_USAGE, "the name \"%s\" means %zu people in the bundles", e->asked, e->n_others);
	return err_hint(err, "Give the id of one: %s. `mmretain find --user ID` shows whose posts they are.", ids);
}

/* From the bundles, not from an index: none may be missing. */
static int resolve(struct erase *e, struct err *err)
{
	const struct catalog_options options = {.scan = true};
	struct catalog *c;
	int r = catalog_open(e->cli->ctx, e->cli->store, &options, &c, err);

	if (r < 0)
		return r;
	/* A name may look like an id; an id may be of somebody of whom no bundle has the name. */
	r = catalog_names(c, "users", on_named, e, err);
	if (r == 0 && e->n_others == 0 && cli_looks_like_id(e->asked))
		put(e->cli, &e->other, &e->n_others, e->asked);
	if (r == 0 && e->n_others > 1)
		return ambiguous(e, err);
	if (r < 0 || e->n_others == 0)
		return r;
	e->user = e->other[0];
	return catalog_names(c, "users", on_known, e, err);
}

/* ---- what is asked before ---- */

/* A folder alone knows no policy: then nobody has asked its holds, and somebody has to say so. */
static int open_archive(struct erase *e, struct err *err)
{
	struct cli *cli = e->cli;
	const char *without = cli->args->value[OPT_WITHOUT], *path = cli->args->value[OPT_ARCHIVE];
	bool no_policy = without && strcmp(without, "policy") == 0;
	int r = 0;

	if (!no_policy && path && !cli_given(cli, OPT_CONFIG)) {
		err_set(err, ERR_HOLD, "no policy is named, so its holds could not be asked");
		return err_hint(err, "Name it with -c FILE, or say `--without policy` when no hold of any policy "
				     "concerns this person.");
	}
	if (!path && no_policy) {
		err_set(err, ERR_USAGE, "`--without policy` needs --archive FOLDER");
		return err_hint(err, "The policy would name the archive root.");
	}
	if (!no_policy)
		r = cli_load_policy(cli, err);
	if (r < 0 && !path && err->sys_errno == ENOENT)
		return err_hint(err, "Name a policy with -c FILE; or the archive root with --archive FOLDER, and "
				     "`--without policy` when no hold of any policy concerns this person.");
	if (r == 0)
		r = path ? store_open(cli->ctx, path, /* writable= */ true, &cli->store, err)
			 : cli_open_store(cli, /* writable= */ true, err);
	return r;
}

static int check_words(const struct erase *e, struct err *err)
{
	if (!cli_given(e->cli, OPT_CASE) || !cli_given(e->cli, OPT_REASON)) {
		err_set(err, ERR_USAGE, "erasing needs a case and a reason");
		return err_hint(err, "Give --case ID and --reason TEXT; both are kept in the case log, the case in the "
				     "bundles and the ledger too.");
	}
	if (e->asked && e->asked[0] && !strchr(e->asked, ','))
		return 0;
	err_set(err, ERR_USAGE, e->asked ? "\"%s\" is not one person" : "\"erase\" needs --user USER", e->asked);
	return err_hint(err, "Give --user an id, or an account name as it is in the bundles.");
}

static int log_access(const struct erase *e, struct err *err)
{
	const struct cli *cli = e->cli;
	const struct audit_access access = {.case_id = cli->args->value[OPT_CASE],
					    .reason = cli->args->value[OPT_REASON],
					    .command = e->act ? "erase" : "erase (looked at)",
					    .posts = UINT64_MAX};

	return audit_log(cli->store, &access, err);
}

/* ---- output ---- */

static json_t *bundle_json(const struct run_erased *b)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "bundle", b->rel_path);
	cli_json_text(obj, "new", b->new_rel_path);
	cli_json_text(obj, "state", run_erase_state_name(b->state));
	cli_json_text(obj, "why", b->why);
	cli_json_int(obj, "threads", b->threads);
	cli_json_int(obj, "rows", b->rows);
	cli_json_int(obj, "posts", b->posts);
	cli_json_int(obj, "names", b->names);
	cli_json_int(obj, "attachments", b->blobs);
	cli_json_int(obj, "attachment_bytes", b->blob_bytes);
	cli_json_int(obj, "late", b->late);
	cli_json_int(obj, "mentions", b->mentions);
	cli_json_int(obj, "bytes", b->old_bytes);
	cli_json_int(obj, "new_bytes", b->new_bytes);
	return obj;
}

static int print_json(const struct erase *e, struct err *err)
{
	const struct run_erase_report *rep = e->report;
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array()),
	       *rows = cli_json_check(json_object());

	cli_json_bool(doc, "done", e->act);
	cli_json_text(doc, "user", e->user);
	cli_json_int(doc, "finished", rep->finished);
	cli_json_int(doc, "withdrawn", rep->withdrawn);
	cli_json_int(doc, "looked_at", rep->looked_at);
	cli_json_int(doc, "total", rep->total);
	for (size_t i = 0; i < rep->n; i++)
		if (json_array_append_new(list, bundle_json(&rep->bundle[i])) < 0)
			mem_check(NULL);
	for (size_t i = 0; i < rep->n_kinds; i++)
		cli_json_int(rows, rep->kind[i].kind, rep->kind[i].rows);
	cli_json_put(doc, "bundles", list);
	cli_json_put(doc, "rows", rows);
	return cli_json_print(doc, err);
}

static int print_table(const struct erase *e, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT}, {"THREADS", CLI_RIGHT}, {"ROWS", CLI_RIGHT},
						    {"FILES", CLI_RIGHT}, {"BYTES", CLI_RIGHT},	  {"SIZE", CLI_RIGHT},
						    {"STATE", CLI_LEFT}};
	struct cli_table *t = cli_table_new(e->cli, columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < e->report->n; i++) {
		const struct run_erased *b = &e->report->bundle[i];

		cli_table_row(t);
		cli_table_text(t, b->new_rel_path ? b->new_rel_path : b->rel_path);
		cli_table_int(t, b->threads);
		cli_table_int(t, b->rows);
		cli_table_int(t, b->blobs);
		cli_table_bytes(t, b->blob_bytes);
		cli_table_bytes(t, b->new_rel_path ? b->new_bytes : b->old_bytes);
		cli_table_text(t, b->why ? mem_printf(e->cli->ctx, "%s: %s", run_erase_state_name(b->state), b->why)
					 : run_erase_state_name(b->state));
	}
	return cli_table_print(t, err);
}

static int print_text(const struct erase *e, struct err *err)
{
	const struct run_erase_report *rep = e->report;
	uint64_t mentions = 0, late = 0;
	int r = 0;

	if (rep->finished)
		printf("finished: %u interrupted erasure%s\n", rep->finished, cli_s(rep->finished));
	if (rep->withdrawn)
		printf("withdrawn: %u interrupted erasure%s, because of holds\n", rep->withdrawn,
		       cli_s(rep->withdrawn));
	if (rep->n == 0) {
		printf("nothing of this person is in the bundles (%llu looked at)\n",
		       (unsigned long long)rep->looked_at);
		return 0;
	}
	r = print_table(e, err);
	printf("rows:");
	for (size_t i = 0; i < rep->n_kinds; i++)
		printf("%s %s %llu", i ? "," : "", cli_safe(e->cli->ctx, rep->kind[i].kind),
		       (unsigned long long)rep->kind[i].rows);
	printf("%s\n", rep->n_kinds ? "" : " none, only names");
	for (size_t i = 0; i < rep->n; i++) {
		mentions += rep->bundle[i].mentions;
		late += rep->bundle[i].late;
	}
	if (late)
		printf("late rows beside the ledger: %llu\n", (unsigned long long)late);
	printf("what stays: %llu row%s of others or of nobody that name the person, what others say of the person in "
	       "other words, and every copy of the archive, of a bundle or of an export elsewhere\n",
	       (unsigned long long)mentions, cli_s(mentions));
	return r;
}

/* ---- the command ---- */

static int unknown(const struct erase *e, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "no bundle knows a user \"%s\"", e->asked);
	return err_hint(err, "Give the name as it was when it was archived, or the id. A person who was erased has no "
			     "name in the bundles any more.");
}

/* What stays is the error then, and would hide that the rest was not taken either. */
static int not_done(const struct erase *e, struct err *err)
{
	char *what;

	if (e->act || cli_given(e->cli, OPT_DRY_RUN))
		return err->code;
	what = mem_strdup(e->cli->ctx, err->msg);
	snprintf(err->msg, sizeof(err->msg), "nothing was done without --yes; with it %s", what);
	return err->code;
}

static int act(struct erase *e, struct err *err)
{
	struct cli *cli = e->cli;
	const char *without = cli->args->value[OPT_WITHOUT];
	const struct run_erase_options options = {.user = e->user ? e->user : "",
						  .name = (const char *const *)e->name,
						  .n_names = e->n_names,
						  .case_id = cli->args->value[OPT_CASE],
						  .act = e->act,
						  .progress = &cli->progress,
						  .without_database = without && strcmp(without, "database") == 0};
	struct err print_err = {0};
	int r = run_erase(cli->ctx, cli->policy, cli->store, &options, &e->report, err), printed;

	cli_progress_clear();
	if (r < 0 && e->report->n == 0 && !e->report->finished && !e->report->withdrawn)
		return r;
	printed = cli->json ? print_json(e, &print_err) : print_text(e, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	return r < 0 ? not_done(e, err) : printed;
}

int cli_cmd_erase(struct cli *cli, struct err *err)
{
	struct erase e = {.cli = cli,
			  .asked = cli->args->value[OPT_USER],
			  .act = cli_given(cli, OPT_YES) && !cli_given(cli, OPT_DRY_RUN)};
	int r;

	if ((r = open_archive(&e, err)) < 0 || (r = check_words(&e, err)) < 0 || (r = log_access(&e, err)) < 0 ||
	    (r = resolve(&e, err)) < 0)
		return r;
	if (!e.user && !e.act)
		return unknown(&e, err);
	if ((r = act(&e, err)) < 0)
		return r;
	if (!e.user)
		return unknown(&e, err);
	if (e.act || cli_given(cli, OPT_DRY_RUN) || e.report->n == 0)
		return 0;
	err_set(err, ERR_USAGE, "nothing was done: `erase` acts only with --yes");
	return err_hint(err, "Give the same command with --yes.");
}
