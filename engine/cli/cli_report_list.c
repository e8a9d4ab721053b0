/*
 * cli_report_list.c - every run of the ledger, one line each, and the lines of one bundle.
 *
 * All lines of a run come before the next one begins, so that one run at a time is summed up, however long the ledger
 * is.
 */
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_fate.h"
#include "cli_report.h"

struct lister {
	const struct protocol_query *query;
	json_t *runs;        /* what is printed: one small document a run */
	json_t *run;         /* the newest of them, borrowed; NULL: none yet, or one that is not wanted */
	json_t *open;        /* bundle: {rule, parts}, from its first line to its `bundle-done` */
};

static json_t *zeros(void)
{
	return cli_json_check(json_pack("{s:i,s:i,s:i}", "threads", 0, "parts", 0, "posts", 0));
}

static void begin_run(struct lister *l, const json_t *line)
{
	l->run = cli_json_check(json_object());
	cli_json_text(l->run, "run", protocol_str(line, "run"));
	cli_json_text(l->run, "began", protocol_str(line, "at"));
	cli_json_put(l->run, "ended", json_null());
	cli_json_text(l->run, "outcome", "not ended");
	cli_json_put(l->run, "exit", json_null());
	cli_json_put(l->run, "rules", json_array());
	cli_json_put(l->run, "archived", zeros());
	cli_json_put(l->run, "deleted", zeros());
	if (json_array_append_new(l->runs, l->run) < 0)
		mem_check(NULL);
}

static void end_run(const struct lister *l, const json_t *line)
{
	cli_json_text(l->run, "ended", protocol_str(line, "at"));
	cli_json_text(l->run, "outcome", protocol_str(line, "outcome"));
	cli_json_int(l->run, "exit", protocol_int(line, "exit"));
}

static void add_rule(const struct lister *l, const char *rule)
{
	json_t *rules = json_object_get(l->run, "rules"), *one;
	size_t i;

	json_array_foreach(rules, i, one)
		if (strcmp(json_string_value(one), rule) == 0)
			return;
	if (json_array_append_new(rules, cli_json_check(json_string(rule))) < 0)
		mem_check(NULL);
}

static void add(const struct lister *l, const char *what, const json_t *line, bool parts)
{
	json_t *sum = json_object_get(l->run, what);
	uint64_t threads = protocol_int(line, "threads");

	cli_json_int(sum, "threads", protocol_int(sum, "threads") + threads);
	cli_json_int(sum, "parts", protocol_int(sum, "parts") + (parts ? threads : 0));
	cli_json_int(sum, "posts", protocol_int(sum, "posts") + protocol_int(line, "posts"));
}

/* A list without an archive has archived nothing, and its name may come again. */
static void take_bundle(struct lister *l, const char *type, const json_t *line)
{
	const char *bundle = protocol_str(line, "bundle");
	bool published = strcmp(type, "published") == 0,
	     gone = strcmp(type, "purged") == 0 || strcmp(type, "purge-stopped") == 0;
	json_t *known;

	if (published || strcmp(type, "waived") == 0)
		cli_json_put(l->open, bundle,
			     json_pack("{s:s,s:b}", "rule", protocol_str(line, "rule"), "parts",
				       protocol_bool(line, "parts")));
	known = json_object_get(l->open, bundle);
	if ((published || gone) && (!l->query->rule || strcmp(protocol_str(known, "rule"), l->query->rule) == 0) &&
	    (!l->query->team || protocol_is_of_team(bundle, l->query->team))) {
		add(l, published ? "archived" : "deleted", line, protocol_bool(known, "parts"));
		add_rule(l, protocol_str(known, "rule"));
	}
	if (strcmp(type, "bundle-done") == 0)
		(void)json_object_del(l->open, bundle); /* absent is fine */
}

static int take_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct lister *l = payload;
	json_t *line = json_loadb(text, len, 0, NULL);
	const char *type = protocol_str(line, "type");

	if (!json_is_object(line))
		return err_set(err, ERR_VERIFY, "ledger line %llu is not JSON", (unsigned long long)seq);
	if (strcmp(type, "run-begin") == 0)
		begin_run(l, line);
	else if (l->run && strcmp(protocol_str(line, "run"), protocol_str(l->run, "run")) == 0) {
		if (strcmp(type, "run-end") == 0)
			end_run(l, line);
		else if (json_object_get(line, "bundle"))
			take_bundle(l, type, line);
	}
	json_decref(line);
	return stop_check(err);
}

/* With a restriction only runs that have something of it. */
static void drop_others(const struct lister *l)
{
	for (size_t i = json_array_size(l->runs); (l->query->rule || l->query->team) && i-- > 0;)
		if (!json_array_size(json_object_get(json_array_get(l->runs, i), "rules")))
			json_array_remove(l->runs, i);
}

static void rules_cell(struct cli_table *t, void *ctx, const json_t *run)
{
	char *text = mem_strdup(ctx, "");
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(run, "rules"), i, one)
		text = mem_printf(ctx, "%s%s%s", text, i ? ", " : "", json_string_value(one));
	cli_table_text(t, *text ? text : "-");
}

static int print_runs(struct cli *cli, const json_t *runs, struct err *err)
{
	static const struct cli_column columns[] = {{"RUN", CLI_LEFT},	     {"BEGAN", CLI_LEFT},
						    {"ENDED", CLI_LEFT},     {"OUTCOME", CLI_LEFT},
						    {"ARCHIVED", CLI_RIGHT}, {"POSTS", CLI_RIGHT},
						    {"DELETED", CLI_RIGHT},  {"POSTS", CLI_RIGHT},
						    {"RULES", CLI_LEFT}};
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));
	const char *ended;
	json_t *run;
	size_t i;

	json_array_foreach(runs, i, run) {
		ended = protocol_str(run, "ended");
		cli_table_row(t);
		cli_table_text(t, protocol_str(run, "run"));
		cli_table_text(t, protocol_str(run, "began"));
		cli_table_text(t, *ended ? ended : "-");
		cli_table_text(t, protocol_str(run, "outcome"));
		cli_table_int(t, protocol_int(json_object_get(run, "archived"), "threads"));
		cli_table_int(t, protocol_int(json_object_get(run, "archived"), "posts"));
		cli_table_int(t, protocol_int(json_object_get(run, "deleted"), "threads"));
		cli_table_int(t, protocol_int(json_object_get(run, "deleted"), "posts"));
		rules_cell(t, cli->ctx, run);
	}
	return cli_table_print(t, err);
}

int cli_report_list(struct cli *cli, const struct protocol_query *q, struct err *err)
{
	struct lister l = {.query = q, .runs = cli_json_check(json_array()), .open = cli_json_check(json_object())};
	int r = ledger_read(cli->store->ledger_dirfd, take_line, &l, err);

	drop_others(&l);
	if (r == 0 && cli->json)
		r = cli_json_print(cli_json_check(json_pack("{s:O}", "runs", l.runs)), err);
	else if (r == 0 && json_array_size(l.runs))
		r = print_runs(cli, l.runs, err);
	else if (r == 0)
		printf("%s\n", q->rule || q->team ? "no run has anything of it" : "no run yet");
	json_decref(l.runs);
	json_decref(l.open);
	return r;
}

/* ---- one bundle ---- */

static int print_lines(const struct cli *cli, const struct cli_fate *f, struct err *err)
{
	static const struct cli_column columns[] = {{"AT", CLI_LEFT},
						    {"LINE", CLI_LEFT},
						    {"RUN", CLI_LEFT},
						    {"THREADS", CLI_RIGHT},
						    {"POSTS", CLI_RIGHT}};
	static const char *const counts[] = {"threads", "posts"};
	struct cli_table *t = cli_table_new(cli, columns, ARRAY_LEN(columns));
	json_t *line;
	size_t i;

	json_array_foreach(f->lines, i, line) {
		const char *run = protocol_str(line, "run");

		cli_table_row(t);
		cli_table_text(t, protocol_str(line, "at"));
		cli_table_text(t, protocol_str(line, "type"));
		cli_table_text(t, *run ? run : "-");
		for (size_t k = 0; k < ARRAY_LEN(counts); k++)
			if (json_is_integer(json_object_get(line, counts[k])))
				cli_table_int(t, protocol_int(line, counts[k]));
			else
				cli_table_text(t, "-");
	}
	return cli_table_print(t, err);
}

int cli_report_bundle(struct cli *cli, struct err *err)
{
	struct cli_fate f;
	json_t *doc;
	int r;

	if (cli_given(cli, OPT_RULE) || cli_given(cli, OPT_TEAM) || cli->args->n_operands) {
		err_set(err, ERR_USAGE, "`--bundle` is the whole question: no run, no rule and no team beside it");
		return err_hint(err, "For example: mmretain report --bundle "
				     "mmr1-sales-203612-000001-0123456789ab.tar.zst");
	}
	cli_fate_init(cli, &f, cli->args->value[OPT_BUNDLE], NULL);
	if ((r = cli_open_archive(cli, /* writable= */ false, err)) < 0 || (r = cli_fate_read(cli, &f, 1, err)) < 0)
		return r;
	if (!json_array_size(f.lines)) {
		err_set(err, ERR_NOT_FOUND, "the ledger has no bundle \"%s\"", f.bundle);
		return err_hint(err, "`mmretain report RUN` has the bundles of a run, `mmretain show` and `find` name "
				     "the one of a thread.");
	}
	if (cli->json) {
		doc = cli_fate_json(&f);
		cli_json_put(doc, "lines", json_incref(f.lines));
		return cli_json_print(doc, err);
	}
	printf("%s: %s\n\n", cli_safe(cli->ctx, f.bundle), cli_fate_text(cli, &f));
	return print_lines(cli, &f, err);
}
