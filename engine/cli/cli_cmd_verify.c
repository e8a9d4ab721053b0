/*
 * cli_cmd_verify.c - read every bundle back, walk the ledger and the case log, compare.
 */
#include <stdlib.h>
#include <string.h>

#include <mmretain/audit.h>
#include <mmretain/bundle.h>
#include <mmretain/catalog.h>
#include <mmretain/ledger.h>

#include "cli_audit.h"
#include "cli_loss.h"
#include "cli_mirror.h"
#include "cli_protocol.h"

struct entry {                /* a bundle, as the ledger, the folder or both know it */
	char *rel_path;
	bool in_ledger, on_disk, wanted;
	bool announced, expired; /* the ledger says that it is about to go, or gone */
	bool replaced;           /* the ledger says that a later generation took its place */
	char *lost;              /* when it was declared lost, and why; NULL: it was not */
	bool erasing;            /* a later generation that no line says yet to be in its place */
	char rows_digest[DIGEST_HEX + 1], file_digest[DIGEST_HEX + 1];
	uint64_t size_bytes;
	bool ok;
	struct bundle_check check;
	char *damage;
};

struct verify {
	struct cli *cli;
	struct entry *entry;
	size_t n;
	struct err ledger;    /* what is wrong with it; code 0: nothing */
	struct err access;    /* what is wrong with the case log */
	struct catalog_check index;
	bool index_known;
	uint64_t access_entries;
	char **left; size_t n_left;   /* older generations that are still there */
	uint64_t ledger_entries, published, missing, unknown, damaged, checked, expired;
	struct cli_loss *lost; size_t n_lost; /* declared so, and not back */
	struct run_mirror_report *mirror;     /* NULL: not asked for */
};

static struct entry *find(struct verify *v, const char *rel_path)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->entry[i].rel_path, rel_path) == 0)
			return &v->entry[i];
	v->entry = mem_grow(v->cli->ctx, v->entry, struct entry, v->n + 1);
	v->entry[v->n] = (struct entry){.rel_path = mem_strdup(v->cli->ctx, rel_path), .wanted = true};
	return &v->entry[v->n++];
}

static void take_expiry(struct verify *v, const json_t *line)
{
	const char *type = protocol_str(line, "type");
	bool begins = strcmp(type, "expiring") == 0, ends = strcmp(type, "expired") == 0;
	struct entry *e;

	if (!begins && !ends && strcmp(type, "expiry-withdrawn") != 0)
		return;
	e = find(v, protocol_str(line, "rel_path"));
	e->announced = begins || ends;
	e->expired = ends;
}

static void take_loss(struct verify *v, const json_t *line)
{
	struct entry *e = find(v, protocol_str(line, "rel_path"));

	e->lost = mem_printf(v->cli->ctx, "declared lost on %s: %s", protocol_str(line, "at"), protocol_str(line, "reason"));
	e->check.threads = protocol_int(line, "threads");
	e->check.posts = protocol_int(line, "posts");
}

/* A bundle that was written again without one person: another file is the bundle from then on. */
static void take_erasure(struct verify *v, const json_t *line, bool done)
{
	struct entry *e = find(v, protocol_str(line, "rel_path"));

	e->in_ledger = true;
	e->erasing = !done;
	e->replaced = false;
	snprintf(e->rows_digest, sizeof(e->rows_digest), "%s", protocol_str(line, "rows_digest"));
	snprintf(e->file_digest, sizeof(e->file_digest), "%s", protocol_str(line, "file_digest"));
	if (done)
		find(v, protocol_str(line, "old_rel_path"))->replaced = true;
}

static int take_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct verify *v = payload;
	json_error_t fault;
	json_t *line;

	v->ledger_entries = seq;
	if (!memmem(text, len, "\"type\":\"published\"", 18) && !memmem(text, len, "\"type\":\"expir", 13) && !memmem(text, len, "\"type\":\"eras", 12) &&
	    !memmem(text, len, "\"type\":\"abandoned\"", 18))
		return 0;
	line = json_loadb(text, len, 0, &fault);
	if (!json_is_object(line))
		return err_set(err, ERR_VERIFY, "ledger line %llu is not JSON: %s", (unsigned long long)seq, fault.text);
	if (strcmp(protocol_str(line, "type"), "published") == 0) {
		struct entry *e = find(v, protocol_str(line, "rel_path"));

		v->published++;
		e->in_ledger = true;
		snprintf(e->rows_digest, sizeof(e->rows_digest), "%s", protocol_str(line, "rows_digest"));
		snprintf(e->file_digest, sizeof(e->file_digest), "%s", protocol_str(line, "file_digest"));
	}
	take_expiry(v, line);
	if (strcmp(protocol_str(line, "type"), "abandoned") == 0)
		take_loss(v, line);
	if (strcmp(protocol_str(line, "type"), "erasing") == 0 || strcmp(protocol_str(line, "type"), "erased") == 0)
		take_erasure(v, line, strcmp(protocol_str(line, "type"), "erased") == 0);
	json_decref(line);
	return 0;
}

/* What an interrupted erasure left beside the bundle. */
static int take_replaced(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct verify *v = payload;

	(void)size_bytes;
	(void)err;
	v->left = mem_grow(v->cli->ctx, v->left, char *, v->n_left + 1);
	v->left[v->n_left++] = mem_strdup(v->cli->ctx, rel_path);
	return 0;
}

/* Neither an older generation nor one that was only announced has to be there. */
static void drop_generations(struct verify *v)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++) {
		const struct entry *e = &v->entry[i];
		bool beside = false;

		for (size_t k = 0; k < v->n_left; k++)
			beside |= strcmp(v->left[k], e->rel_path) == 0;
		if (e->on_disk || !(e->replaced || e->erasing || beside))
			v->entry[kept++] = *e;
	}
	v->n = kept;
}

static int take_file(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct verify *v = payload;
	struct entry *e = find(v, rel_path);

	e->on_disk = true;
	e->size_bytes = size_bytes;
	return stop_check(err);
}

/* Operands name a bundle by file name or by path below the archive root. */
static int choose(struct verify *v, struct err *err)
{
	const struct cli_args *a = v->cli->args;

	for (size_t i = 0; a->n_operands && i < v->n; i++)
		v->entry[i].wanted = false;
	for (size_t o = 0; o < a->n_operands; o++) {
		bool found = false;

		for (size_t i = 0; i < v->n; i++) {
			const char *slash = strrchr(v->entry[i].rel_path, '/');

			if (strcmp(v->entry[i].rel_path, a->operand[o]) == 0 ||
			    (slash && strcmp(slash + 1, a->operand[o]) == 0))
				found = v->entry[i].wanted = true;
		}
		if (!found) {
			err_set(err, ERR_NOT_FOUND, "the archive has no bundle \"%s\"", a->operand[o]);
			return err_hint(err, "Name it by its file name, or by its path below the archive root.");
		}
	}
	return 0;
}

/* `--subset n/t`: every t-th bundle in order of path, beginning with the n-th, so that t nights read everything once. */
static int choose_subset(struct verify *v, struct err *err)
{
	const char *text = v->cli->args->value[OPT_SUBSET];
	unsigned n, t;
	char rest;

	if (!text)
		return 0;
	if (sscanf(text, "%u/%u%c", &n, &t, &rest) != 2 || t == 0 || n == 0 || n > t) {
		err_set(err, ERR_USAGE, "\"%s\" is not a part such as 3/7", text);
		return err_hint(err, "`--subset 3/7` reads the third of seven parts.");
	}
	for (size_t i = 0; i < v->n; i++)
		v->entry[i].wanted = v->entry[i].wanted && i % t == n - 1;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->rel_path, ((const struct entry *)b)->rel_path);
}

static int take_access(void *payload, const char *line, size_t len, struct err *err)
{
	struct verify *v = payload;

	(void)line;
	(void)len;
	(void)err;
	v->access_entries++;
	return 0;
}

/* The case log has a chain of its own; indexes are derived, so what is wrong with them is only said. */
static int check_rest(struct verify *v, struct err *err)
{
	int r;

	if (v->cli->args->n_operands)
		return 0;
	r = audit_log_each(v->cli->store, take_access, v, err);
	if (r == -ERR_VERIFY) {
		v->access = *err;
		err_clear(err);
		r = 0;
	}
	if (r == 0)
		v->index_known = catalog_verify(v->cli->store, &v->index, err) == 0;
	err_clear(err);
	return r;
}

/* Not one of the bundles that the ledger says are there. */
static bool is_foreign(const struct entry *e)
{
	return !e->in_ledger || e->expired || e->replaced;
}

static const char *compare(const struct verify *v, const struct entry *e)
{
	char hex[DIGEST_HEX + 1];

	if (!e->in_ledger)
		return v->ledger.code < 0 ? "sound in itself; the ledger is damaged and does not name it" : "the ledger does not know it";
	digest_hex(&e->check.file_digest, hex);
	if (strcmp(hex, e->file_digest) != 0)
		return "sound in itself, but not the file that the ledger names";
	digest_hex(&e->check.rows_digest, hex);
	if (strcmp(hex, e->rows_digest) != 0)
		return "its rows are not those that the ledger names";
	if (e->expired)
		return "sound, but the ledger says that it expired and was removed";
	if (e->replaced) /* the newest that is there: nobody is about to remove it */
		return "sound, but an erasure replaced it: whoever was erased is in it";
	return NULL;
}

/* Damage is a finding, not a failure: the rest is still looked at. */
static int check_one(struct verify *v, struct entry *e, struct err *err)
{
	const char *fault;
	int r;

	if (!e->on_disk) {
		e->damage = mem_strdup(v->cli->ctx, "the file is missing");
		v->missing++;
		return 0;
	}
	r = bundle_verify(v->cli->store->root_dirfd, e->rel_path, &e->check, &v->cli->progress, err);
	if (r < 0 && r != -ERR_VERIFY)
		return r;
	v->checked++;
	fault = r < 0 ? (*e->check.damage ? e->check.damage : err->msg) : compare(v, e);
	if (r < 0)
		v->damaged++;
	else if (fault && is_foreign(e))
		v->unknown++;
	else if (fault)
		v->damaged++;
	if (fault)
		e->damage = mem_strdup(v->cli->ctx, fault);
	e->ok = !fault;
	err_clear(err);
	return stop_check(err);
}

/* ---- output ---- */

static void put_name(json_t *list, const char *name)
{
	if (json_array_append_new(list, cli_json_check(json_string(name))) < 0)
		mem_check(NULL);
}

static json_t *entry_json(const struct entry *e)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "bundle", e->rel_path);
	cli_json_bool(obj, "ok", e->ok);
	cli_json_int(obj, "threads", e->check.threads);
	cli_json_int(obj, "posts", e->check.posts);
	cli_json_int(obj, "rows", e->check.rows);
	cli_json_int(obj, "blobs", e->check.blobs);
	cli_json_int(obj, "erased", e->check.erased);
	cli_json_int(obj, "generation", e->check.generation);
	cli_json_int(obj, "bytes", e->size_bytes);
	cli_json_digest(obj, "rows_digest", &e->check.rows_digest);
	cli_json_digest(obj, "file_digest", &e->check.file_digest);
	cli_json_text(obj, "damage", e->damage);
	return obj;
}

static int print_json(const struct verify *v, bool ok, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array());
	json_t *missing = cli_json_check(json_array()), *unknown = cli_json_check(json_array()), *left = cli_json_check(json_array());

	cli_json_bool(doc, "ok", ok);
	cli_json_put(doc, "ledger", json_pack("{s:I,s:I}", "entries", (json_int_t)v->ledger_entries, "published",
					      (json_int_t)v->published));
	cli_json_text(json_object_get(doc, "ledger"), "damage", v->ledger.code < 0 ? v->ledger.msg : NULL);
	for (size_t i = 0; i < v->n; i++) {
		const struct entry *e = &v->entry[i];

		if (!e->wanted)
			continue;
		if (!e->on_disk)
			put_name(missing, e->rel_path);
		else if (json_array_append_new(list, entry_json(e)) < 0)
			mem_check(NULL);
		if (is_foreign(e))
			put_name(unknown, e->rel_path);
	}
	cli_json_put(doc, "case_log", json_pack("{s:I}", "entries", (json_int_t)v->access_entries));
	cli_json_text(json_object_get(doc, "case_log"), "damage", v->access.code < 0 ? v->access.msg : NULL);
	cli_json_put(doc, "indexes", json_pack("{s:I,s:I,s:I,s:I}", "missing", (json_int_t)v->index.missing, "stale", (json_int_t)v->index.stale,
					       "unlisted", (json_int_t)v->index.unlisted, "gone", (json_int_t)v->index.gone));
	cli_json_put(doc, "bundles", list);
	cli_json_put(doc, "missing", missing);
	cli_json_put(doc, "unknown", unknown);
	cli_json_int(doc, "expired", v->expired);
	cli_json_put(doc, "mirror", cli_mirror_json(v->mirror));
	cli_json_put(doc, "lost", cli_losses_json(v->lost, v->n_lost));
	for (size_t i = 0; i < v->n_left; i++)
		put_name(left, v->left[i]);
	cli_json_put(doc, "replaced", left);
	return cli_json_print(doc, err);
}

static int print_text(const struct verify *v, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT}, {"THREADS", CLI_RIGHT}, {"POSTS", CLI_RIGHT},
						    {"FILES", CLI_RIGHT}, {"SIZE", CLI_RIGHT},    {"RESULT", CLI_LEFT}};
	struct cli_table *t = cli_table_new(v->cli, columns, ARRAY_LEN(columns));
	bool any = false;

	for (size_t i = 0; i < v->n; i++) {
		const struct entry *e = &v->entry[i];

		if (!e->wanted)
			continue;
		any = true;
		cli_table_row(t);
		cli_table_text(t, e->rel_path);
		cli_table_int(t, e->check.threads);
		cli_table_int(t, e->check.posts);
		cli_table_int(t, e->check.blobs);
		cli_table_bytes(t, e->size_bytes);
		cli_table_text(t, !e->ok ? e->damage : e->lost ? mem_printf(v->cli->ctx, "ok, though %s", e->lost) : "ok");
	}
	printf("ledger: %llu line%s, %s, %llu bundle%s published\n", (unsigned long long)v->ledger_entries, cli_s(v->ledger_entries),
	       v->ledger.code < 0 ? "then damage" : "chain whole", (unsigned long long)v->published, cli_s(v->published));
	if (v->expired)
		printf("expired: %llu bundle%s, removed\n", (unsigned long long)v->expired, cli_s(v->expired));
	cli_losses_print(v->cli, v->lost, v->n_lost);
	cli_mirror_print(v->cli, v->mirror);
	if (!v->cli->args->n_operands)
		printf("case log: %llu line%s, %s\n", (unsigned long long)v->access_entries, cli_s(v->access_entries), v->access.code < 0 ? "then damage" : "chain whole");
	if (v->index_known && (v->index.missing || v->index.stale || v->index.unlisted || v->index.gone))
		printf("indexes: %llu missing, %llu stale, %llu not listed, %llu of bundles that are gone; `mmretain reindex` builds them again\n",
		       (unsigned long long)v->index.missing, (unsigned long long)v->index.stale, (unsigned long long)v->index.unlisted,
		       (unsigned long long)v->index.gone);
	for (size_t i = 0; i < v->n_left; i++)
		printf("%s is still there: an erasure was interrupted; the next `mmretain erase` or run finishes it\n", cli_safe(v->cli->ctx, v->left[i]));
	if (any)
		return cli_table_print(t, err);
	printf("no bundles\n");
	return 0;
}

/* The ledger's fault comes first; what the bundles add to it follows. */
static int judge_ledger(const struct verify *v, struct err *err)
{
	*err = v->ledger;
	if (v->missing || v->damaged || v->unknown) {
		err_set(err, ERR_VERIFY, "%s; bundles: %llu damaged, %llu missing, %llu not named before it", v->ledger.msg,
			(unsigned long long)v->damaged, (unsigned long long)v->missing, (unsigned long long)v->unknown);
		err_hint(err, "%s", v->ledger.hint);
	}
	return err->code;
}

static int judge(const struct verify *v, struct err *err)
{
	if (v->ledger.code < 0)
		return judge_ledger(v, err);
	if (!v->missing && !v->unknown && !v->damaged) {
		if (v->access.code == 0)
			return cli_mirror_judge(v->mirror, err);
		*err = v->access;
		return err_prefix(err, "case log");
	}
	err_set(err, ERR_VERIFY, "bundles: %llu damaged, %llu missing, %llu unknown to the ledger",
		(unsigned long long)v->damaged, (unsigned long long)v->missing, (unsigned long long)v->unknown);
	return err_hint(err, v->missing || v->damaged ? "Put the files back from a copy of the archive; do not run until they are sound. When there is no copy, `mmretain abandon`." :
							"A run that crashed after publishing leaves one; the next run adopts or reports it.");
}

/* What is gone as announced, or was declared lost, is nothing to look at.  A crash may have come before the line that says that it expired. */
static void drop_gone(struct verify *v)
{
	size_t kept = 0;

	v->lost = mem_array(v->cli->ctx, struct cli_loss, v->n + 1);
	for (size_t i = 0; i < v->n; i++) {
		if (v->entry[i].announced && !v->entry[i].on_disk)
			v->expired++;
		else if (v->entry[i].lost && !v->entry[i].on_disk)
			v->lost[v->n_lost++] = (struct cli_loss){v->entry[i].rel_path, v->entry[i].lost, v->entry[i].check.threads, v->entry[i].check.posts};
		else
			v->entry[kept++] = v->entry[i];
	}
	v->n = kept;
}

/* A damaged ledger is a finding too: the bundles are still read. */
static int walk_ledger(struct verify *v, struct err *err)
{
	int r = ledger_read(v->cli->store->ledger_dirfd, take_line, v, err);

	if (r != -ERR_VERIFY)
		return r;
	v->ledger = *err;
	err_clear(err);
	return 0;
}

static int collect(struct verify *v, struct err *err)
{
	int r = cli_open_archive(v->cli, /* writable= */ false, err);

	if (r == 0)
		r = walk_ledger(v, err);
	if (r == 0)
		r = store_each_bundle(v->cli->store, take_file, v, err);
	if (r == 0)
		r = store_each_replaced(v->cli->store, take_replaced, v, err);
	if (r == 0) {
		drop_generations(v);
		if (v->n) /* no bundle yet */
			qsort(v->entry, v->n, sizeof *v->entry, by_path);
		drop_gone(v);
		r = choose(v, err);
	}
	return r < 0 ? r : choose_subset(v, err);
}

int cli_cmd_verify(struct cli *cli, struct err *err)
{
	struct verify v = {.cli = cli};
	int r = collect(&v, err), printed;
	struct err print_err = {0};

	for (size_t i = 0; r == 0 && i < v.n; i++)
		if (v.entry[i].wanted)
			r = check_one(&v, &v.entry[i], err);
	if (r == 0)
		r = check_rest(&v, err);
	if (r == 0)
		r = cli_mirror_verify(cli, &v.mirror, err);
	if (r < 0)
		return r;
	cli_progress_clear();
	r = judge(&v, err);
	printed = cli->json ? print_json(&v, r == 0, &print_err) : print_text(&v, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	return r < 0 ? r : printed;
}
