/*
 * cli_audit.c - the archive without a database: where it is, what is asked of it, and the record of who asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli_audit.h"

int cli_open_archive(struct cli *cli, bool writable, struct err *err)
{
	const char *path = cli->args->value[OPT_ARCHIVE];

	if (path)
		return store_open(cli->ctx, path, writable, &cli->store, err);
	int r = cli_load_policy(cli, err);
	if (r < 0 && err->sys_errno == ENOENT)
		return err_hint(err, "Name the archive root with --archive FOLDER, or a policy with -c FILE.");
	return r < 0 ? r : cli_open_store(cli, writable, err);
}

int cli_open_audit(struct cli *cli, struct audit **ret, struct err *err)
{
	struct catalog_options options = {.scan = cli_given(cli, OPT_SCAN), .build = true};
	/* Only the case log is written, and that says so itself; the archive's secret is not needed. */
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r < 0)
		return r;
	if (!cli_given(cli, OPT_CASE) || !cli_given(cli, OPT_REASON)) {
		err_set(err, ERR_USAGE, "reading archived content needs a case and a reason");
		return err_hint(err, "Give --case ID and --reason TEXT; both are kept in the case log.");
	}
	r = audit_open(cli->ctx, cli->store, &options, ret, err);
	if (r == 0 && audit_missing_unknown(*ret))
		log_warn("%s: whether bundles are missing is not known", audit_missing_unknown(*ret));
	return r;
}

/* ---- the question ---- */

/* "a,b" -> {"a", "b"} */
static const char *const *split_list(struct cli *cli, enum cli_option_id id, size_t *ret_n)
{
	const char *text = cli->args->value[id], **list = NULL;
	size_t n = 0;

	while (text && *text) {
		size_t len = strcspn(text, ",");
		if (len > 0) {
			list = mem_grow(cli->ctx, list, const char *, n + 1);
			list[n++] = mem_strndup(cli->ctx, text, len);
		}
		text += len + (text[len] == ',');
	}
	*ret_n = n;
	return list;
}

static int number(const struct cli *cli, enum cli_option_id id, uint64_t fallback, uint64_t *ret, struct err *err)
{
	const char *text = cli->args->value[id];

	*ret = fallback;
	if (!text)
		return 0;
	if (strlen(text) > 15 || strspn(text, "0123456789") != strlen(text))
		return err_set(err, ERR_USAGE, "bad value \"%s\" for --%s: it is not a number", text,
			       cli_options[id].name);
	*ret = strtoull(text, NULL, 10);
	return 0;
}

/* All operands are one question, as --words is: the shell's quotes are none of it, and a phrase has its own. */
static int words_of(struct cli *cli, const char **ret, struct err *err)
{
	struct buf b;

	buf_init(&b, cli->ctx, 1 << 16);
	for (size_t i = 0; i < cli->args->n_operands; i++)
		buf_printf(&b, "%s%s", i ? " " : "", cli->args->operand[i]);
	if (b.overflow) /* without some of its words it would be another question */
		return err_set(err, ERR_USAGE, "the words are too long together");
	*ret = b.data;
	return 0;
}

int cli_question(struct cli *cli, bool words, struct audit_question *ret, struct err *err)
{
	const struct cli_args *a = cli->args;
	struct audit_question q = {.from_ms = INT64_MIN, .before_ms = INT64_MAX, .team = a->value[OPT_TEAM],
				   .file_name = a->value[OPT_FILE_NAME], .regex = a->value[OPT_REGEX],
				   .has_file = cli_given(cli, OPT_HAS)};
	int r = number(cli, OPT_LIMIT, 20, &q.limit, err);

	if (r == 0)
		r = number(cli, OPT_OFFSET, 0, &q.offset, err);
	if (r == 0 && words && a->n_operands > 0)
		r = words_of(cli, &q.words, err);
	if (r < 0)
		return r;
	if (a->value[OPT_AFTER])
		(void)time_parse(a->value[OPT_AFTER], &q.from_ms); /* checked by the parser */
	if (a->value[OPT_BEFORE])
		(void)time_parse(a->value[OPT_BEFORE], &q.before_ms);
	if (q.from_ms >= q.before_ms) {
		err_set(err, ERR_USAGE, "--before %s is not after --after %s: no post can be between",
			a->value[OPT_BEFORE], a->value[OPT_AFTER]);
		return err_hint(err, "--after is the first moment that counts, --before the first that does not.");
	}
	q.user = split_list(cli, OPT_USER, &q.n_users);
	q.channel = split_list(cli, OPT_CHANNEL, &q.n_channels);
	q.with = split_list(cli, OPT_WITH, &q.n_with);
	if (q.with && q.team) {
		err_set(err, ERR_USAGE, "--with asks for direct and group messages, which have no team");
		return err_hint(err, "Leave --team out, or ask with --user for what this person wrote in the team.");
	}
	*ret = q;
	return 0;
}

bool cli_asks(const struct audit_question *q)
{
	return q->words || q->user || q->channel || q->with || q->team || q->file_name || q->regex || q->has_file ||
	       q->from_ms != INT64_MIN || q->before_ms != INT64_MAX;
}

/* ---- the case log ---- */

static const enum cli_option_id asked[] = {OPT_AFTER, OPT_BEFORE, OPT_BUNDLE, OPT_CHANNEL, OPT_FILE_NAME, OPT_HAS,
					   OPT_REGEX, OPT_RUN,	  OPT_TEAM,   OPT_USER,	   OPT_WITH,	  OPT_WORDS};

/* What was asked, as a digest: the words and names themselves do not belong into a ledger. */
static void subject(const struct cli *cli, char ret[DIGEST_HEX + 1])
{
	struct hash *h = hash_new(cli->ctx);
	struct digest d;

	for (size_t i = 0; i < cli->args->n_operands; i++) {
		hash_update(h, cli->args->operand[i], strlen(cli->args->operand[i]));
		hash_update(h, "\n", 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		const char *v = cli->args->value[asked[i]];
		if (!v)
			continue;
		char *line = mem_printf(cli->ctx, "--%s=%s\n", cli_options[asked[i]].name, v);
		hash_update(h, line, strlen(line));
	}
	hash_final(h, &d);
	digest_hex(&d, ret);
}

char *cli_asked(struct cli *cli)
{
	const struct cli_args *a = cli->args;
	struct buf b;

	buf_init(&b, cli->ctx, 1 << 16);
	for (size_t i = 0; i < a->n_operands && i < 20; i++)
		buf_printf(&b, "%s%s", i ? " " : a->n_operands > 1 ? "threads " : "thread ", a->operand[i]);
	if (a->n_operands > 20)
		buf_printf(&b, " and %zu more", a->n_operands - 20);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		if (a->value[asked[i]])
			buf_printf(&b, "%s--%s '%s'", b.len ? " " : "", cli_options[asked[i]].name, a->value[asked[i]]);
	return b.len && !b.overflow ? b.data : mem_strdup(cli->ctx, "-");
}

int cli_log_access_of(struct cli *cli, uint64_t bundles, const char *thread, uint64_t threads, uint64_t posts,
		      struct err *err)
{
	char hex[DIGEST_HEX + 1];
	struct audit_access access = {
		.case_id = cli->args->value[OPT_CASE], .reason = cli->args->value[OPT_REASON],
		.command = cli_commands[cli->args->command].word, .subject_sha256 = hex, .thread = thread,
		.bundles = bundles, .threads = threads, .posts = posts,
	};

	subject(cli, hex);
	return audit_log(cli->store, &access, err);
}

int cli_log_access(struct cli *cli, struct audit *a, const char *thread, uint64_t threads, uint64_t posts,
		   struct err *err)
{
	return cli_log_access_of(cli, audit_stats(a)->bundles_read, thread, threads, posts, err);
}

static char *raw_text(struct cli *cli, const struct json_scan *s)
{
	struct buf b;

	buf_init(&b, cli->ctx, 1 << 16);
	buf_puts(&b, "");
	if (s->type != JSON_STR || !json_unescape(&b, s->val, s->val_len))
		return mem_strndup(cli->ctx, s->val, s->val_len);
	return mem_strdup(cli->ctx, b.data ? b.data : "");
}

struct access_list { struct cli *cli; struct cli_table *table; json_t *list; uint64_t n; };

static int access_line(void *payload, const char *line, size_t len, struct err *err)
{
	static const char *const columns[] = {"at", "uid", "command", "case", "threads", "posts", "thread", "reason"};
	struct access_list *l = payload;
	char *cell[ARRAY_LEN(columns)] = {0};
	struct json_scan s;
	bool access = false;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		for (size_t i = 0; i < ARRAY_LEN(columns); i++)
			if (strlen(columns[i]) == s.key_len && !memcmp(columns[i], s.key, s.key_len))
				cell[i] = raw_text(l->cli, &s);
		access |= s.key_len == 4 && !memcmp(s.key, "type", 4) && s.val_len == 6 && !memcmp(s.val, "access", 6);
	}
	if (!access)
		return stop_check(err);
	if (l->list) {
		json_error_t e;
		json_t *obj = json_loadb(line, len, 0, &e);
		if (!obj || json_array_append_new(l->list, obj) < 0)
			return err_set(err, ERR_VERIFY, "a line of the case log is not JSON");
		return 0;
	}
	l->n++;
	cli_table_row(l->table);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		cli_table_text(l->table, cell[i] ? cell[i] : "");
	return 0;
}

int cli_print_access(struct cli *cli, struct err *err)
{
	static const struct cli_column columns[] = {{"TIME", CLI_LEFT},	  {"UID", CLI_RIGHT},	  {"COMMAND", CLI_LEFT},
						    {"CASE", CLI_LEFT},	  {"THREADS", CLI_RIGHT}, {"POSTS", CLI_RIGHT},
						    {"THREAD", CLI_LEFT}, {"REASON", CLI_LEFT}};
	struct access_list l = {.cli = cli};
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r < 0)
		return r;
	if (cli->json)
		l.list = cli_json_check(json_array());
	else
		l.table = cli_table_new(cli, columns, ARRAY_LEN(columns));
	r = audit_log_each(cli->store, access_line, &l, err);
	if (r < 0)
		return r;
	if (!cli->json && l.n == 0)
		printf("the case log has no record yet\n");
	if (!cli->json)
		return l.n ? cli_table_print(l.table, err) : 0;
	json_t *doc = cli_json_check(json_object());
	cli_json_put(doc, "access", l.list);
	return cli_json_print(doc, err);
}

void cli_audit_stats(const struct cli *cli, const struct audit *a)
{
	const struct audit_stats *s = audit_stats(a);
	char bytes[TIME_TEXT];
	void *ctx = cli->ctx;

	if (!cli->verbose)
		return;
	bytes_format(s->bytes, bytes);
	fprintf(stderr, "mmretain: read %llu of %s, %s, %s, %s; %s without index\n",
		(unsigned long long)s->bundles_read, cli_count(ctx, s->bundles, "bundle"),
		cli_count(ctx, s->frames, "frame"), bytes, cli_count(ctx, s->rows, "row"),
		cli_count(ctx, s->bundles_without_index, "bundle"));
}

const char *cli_missing_text(void *ctx, const struct ledger_published *first, size_t n)
{
	return mem_printf(ctx, "%zu bundle%s missing: %s%s; `mmretain verify` lists %s", n, n == 1 ? " is" : "s are",
			  cli_safe(ctx, first->rel_path), n == 1 ? "" : " and others", n == 1 ? "it" : "them");
}

int cli_audit_whole(const struct audit *a, struct err *err)
{
	uint64_t n = audit_stats(a)->bundles_unreadable, missing = audit_stats(a)->bundles_missing;
	const char *what = n == 1 ? "it holds is" : "they hold is";

	if (n == 0)
		return 0;
	if (n == missing)
		err_set(err, ERR_VERIFY, "%llu bundle%s %s missing: what %s not in this answer", (unsigned long long)n,
			cli_s(n), n == 1 ? "is" : "are", what);
	else
		err_set(err, ERR_VERIFY, "%llu bundle%s cannot be read: what %s not in this answer",
			(unsigned long long)n, cli_s(n), what);
	if (missing)
		return err_hint(err, "%s", AUDIT_MISSING_HINT);
	return err_hint(err, "Put the files back from a copy of the archive; `mmretain verify` names the damage.");
}
