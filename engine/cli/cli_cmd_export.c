/*
 * cli_cmd_export.c - archived threads as a page, a table, mails or an import file.
 */
#include <string.h>
#include <strings.h>

#include "cli_audit.h"

static const char *const formats[] = {[AUDIT_HTML] = "html",
				      [AUDIT_JSONL] = "jsonl",
				      [AUDIT_CSV] = "csv",
				      [AUDIT_EML] = "eml",
				      [AUDIT_MATTERMOST] = "mattermost"};

/* The end of the name that promises a format; NULL: it promises none. */
static const char *promised(const char *out, enum audit_format *ret)
{
	static const struct { const char *end; enum audit_format format; } known[] = {
		{".html", AUDIT_HTML}, {".htm", AUDIT_HTML}, {".jsonl", AUDIT_JSONL}, {".csv", AUDIT_CSV},
		{".eml", AUDIT_EML},
	};
	size_t len = strlen(out);

	while (len > 1 && out[len - 1] == '/')
		len--;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].end);

		*ret = known[i].format;
		if (len > n && strncasecmp(out + len - n, known[i].end, n) == 0)
			return known[i].end;
	}
	return NULL;
}

/* --as, or the end of the name; the two may not contradict.  The name of a pack says nothing of what is in it. */
static int choose_format(const struct cli *cli, const char *out, enum bundle_pack_kind pack, enum audit_format *ret,
			 struct err *err)
{
	const char *word = cli->args->value[OPT_AS], *end = NULL;
	enum audit_format by_name;

	*ret = AUDIT_HTML;
	for (size_t i = 0; word && i < ARRAY_LEN(formats); i++)
		if (!strcmp(formats[i], word))
			*ret = (enum audit_format)i;
	if (pack == PACK_NONE)
		end = promised(out, &by_name);
	if (end && !word)
		*ret = by_name;
	if (!end || *ret == by_name)
		return 0;
	err_set(err, ERR_USAGE, "\"%s\" ends in %s, and --as %s writes something else", out, end, word);
	return err_hint(err, "Give --as %s, or another name.", formats[by_name]);
}

/* Two ids may be of one thread. */
static bool has_root(const struct audit_ref *ref, size_t n, const char *root)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(ref[i].root, root))
			return true;
	return false;
}

/* Threads by id, or the threads of a search. */
static int choose(struct cli *cli, struct audit *a, struct audit_ref **ret, size_t *ret_n, struct err *err)
{
	const struct cli_args *args = cli->args;
	struct audit_question q;
	int r = cli_question(cli, /* words= */ false, &q, err);

	if (r < 0)
		return r;
	q.words = args->value[OPT_WORDS];
	if (args->n_operands > 0 && cli_asks(&q)) {
		err_set(err, ERR_USAGE, "whole threads are exported: those that are named, or those that answer a "
					"question");
		return err_hint(err, "Leave the ids out, or the words and the options that narrow.");
	}
	if (args->n_operands == 0) {
		if (!cli_asks(&q)) {
			err_set(err, ERR_USAGE, "nothing to export");
			return err_hint(err, "Give the ids of threads, or --words, --user, --channel, --team, --after "
					     "or --before.");
		}
		q.limit = q.offset = 0;
		return audit_find_threads(a, &q, cli->ctx, ret, ret_n, err);
	}
	cli_take_ids(cli, 0);
	for (size_t i = 0; i < args->n_operands && r == 0; i++) {
		struct audit_ref *one = NULL;
		size_t n = 0, before = *ret_n;
		r = audit_locate_all(a, args->operand[i], cli->ctx, &one, &n, err);
		*ret = mem_grow(cli->ctx, *ret, struct audit_ref, *ret_n + n + 1);
		for (size_t k = 0; k < n && !has_root(*ret, before, one[k].root); k++)
			(*ret)[(*ret_n)++] = one[k];
	}
	return r;
}

static const char *const packs[] =
	{[PACK_ZIP] = "zip", [PACK_TAR] = "tar", [PACK_TAR_GZ] = "tar.gz", [PACK_TAR_ZST] = "tar.zst"};

/* What is written as it is must not be named like something compressed: programs go by the name, and find no such
 * thing. */
static int check_name(const char *out, struct err *err)
{
	static const char *const ends[] = {".gz", ".zst", ".xz", ".bz2", ".lz4", ".br", ".7z", ".rar", ".zip"};
	size_t len = strlen(out);

	while (len > 1 && out[len - 1] == '/')
		len--;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len <= n || strncasecmp(out + len - n, ends[i], n) != 0)
			continue;
		err_set(err, ERR_USAGE,
			"\"%s\" is the name of something compressed, and an export is not, unless it is packed", out);
		return err_hint(err,
				"Leave %s away and compress the result, or end the name in .zip, .tar.gz or .tar.zst "
				"for a pack.",
				ends[i]);
	}
	return 0;
}

/* --pack, or the end of the name; the two may not contradict. */
static int choose_pack(const struct cli *cli, const char *out, enum bundle_pack_kind *ret, struct err *err)
{
	const char *word = cli->args->value[OPT_PACK];
	size_t stem;
	int r;

	*ret = audit_pack_kind(out, &stem);
	if (word && *ret != PACK_NONE && !strcmp(word, "zip") != (*ret == PACK_ZIP))
		return err_set(err, ERR_USAGE, "--pack %s does not fit the name \"%s\"", word, out);
	if (*ret == PACK_NONE && (r = check_name(out, err)) < 0)
		return r;
	if (word && *ret == PACK_NONE)
		*ret = strcmp(word, "zip") ? PACK_TAR : PACK_ZIP;
	return 0;
}

static void add_pack(json_t *doc, const struct audit_export *x, const struct audit_exported *sum)
{
	cli_json_text(doc, "pack", x->pack ? packs[x->pack] : NULL);
	if (!x->pack)
		return;
	cli_json_int(doc, "pack_bytes", sum->pack_bytes);
	cli_json_digest(doc, "pack_sha256", &sum->pack_sha256);
}

static void print_text(const struct cli *cli, const struct audit_export *x, const struct audit_exported *sum)
{
	char hex[DIGEST_HEX + 1];

	printf("%s: %llu thread%s, %llu post%s, %llu file%s", cli_safe(cli->ctx, x->out),
	       (unsigned long long)sum->threads, cli_s(sum->threads), (unsigned long long)sum->posts, cli_s(sum->posts),
	       (unsigned long long)sum->files, cli_s(sum->files));
	if (sum->files_missing)
		printf(", %llu file%s not in the archive", (unsigned long long)sum->files_missing,
		       sum->files_missing == 1 ? " is" : "s are");
	printf("\n");
	if (x->pack) {
		digest_hex(&sum->pack_sha256, hex);
		printf("sha256 %s\n", hex);
	}
	if ((sum->threads_left_out || sum->posts_left_out) && !cli->quiet)
		fprintf(stderr, "left out: %llu thread%s and %llu post%s that this format cannot express\n",
			(unsigned long long)sum->threads_left_out, cli_s(sum->threads_left_out),
			(unsigned long long)sum->posts_left_out, cli_s(sum->posts_left_out));
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
	cli_json_put(doc, "left_out",
		     json_pack("{s:I,s:I}", "threads", (json_int_t)sum->threads_left_out, "posts",
			       (json_int_t)sum->posts_left_out));
	add_pack(doc, x, sum);
	return cli_json_print(doc, err);
}

/* Of one thread there may be parts and states, one after the other. */
static uint64_t count_threads(const struct audit_ref *ref, size_t n)
{
	uint64_t threads = 0;

	for (size_t i = 0; i < n; i++)
		threads += i == 0 || strcmp(ref[i].root, ref[i - 1].root) != 0;
	return threads;
}

int cli_cmd_export(struct cli *cli, struct err *err)
{
	struct audit_export x = {
		.out = cli->args->value[OPT_OUT], .case_id = cli->args->value[OPT_CASE],
		.verify = !cli_given(cli, OPT_NO_VERIFY), .bom = cli_given(cli, OPT_BOM),
		.raw_csv = cli_given(cli, OPT_RAW_CSV),
		.progress = &cli->progress, .asked = cli_asked(cli), .tool = "mmretain " MMR_VERSION,
	};
	struct audit_exported sum;
	struct audit_ref *ref = NULL;
	struct audit *a;
	size_t n = 0;

	int r = cli_open_audit(cli, &a, err);

	if (r == 0 && !x.out) {
		err_set(err, ERR_USAGE, "no place to export to");
		return err_hint(err, "Give --out: a file for html, jsonl and csv, a folder for eml and mattermost, a "
				     "zip or tar for any of them.");
	}
	if (r == 0)
		r = choose_pack(cli, x.out, &x.pack, err);
	if (r == 0)
		r = choose_format(cli, x.out, x.pack, &x.format, err);
	if (r == 0)
		r = choose(cli, a, &ref, &n, err);
	if (r == 0 && n == 0) {
		err_set(err, ERR_NOT_FOUND, "no archived thread answers that");
		return err_hint(err, "Nothing was written. Try the question with `mmretain find`.");
	}
	if (r == 0)
		r = cli_log_access(cli, a, count_threads(ref, n) == 1 ? ref[0].root : NULL, count_threads(ref, n),
				   UINT64_MAX, err);
	if (r == 0)
		r = audit_export(a, ref, n, &x, &sum, err);
	if (r < 0)
		return r;
	cli_audit_stats(cli, a);
	if (cli->json)
		return print_json(&x, &sum, err);
	print_text(cli, &x, &sum);
	return 0;
}
