/*
 * cli_cmd_verify.c - read every bundle back, walk the ledger and the case log, compare.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include <mmretain/audit.h>
#include <mmretain/bundle.h>
#include <mmretain/catalog.h>
#include <mmretain/ledger.h>

#include "cli_audit.h"
#include "cli_loss.h"
#include "cli_mirror.h"
#include "cli_protocol.h"
#include "cli_verify.h"

struct known { UT_hash_handle hh; size_t at; };

static struct verify_entry *find(struct verify *v, const char *rel_path)
{
	struct known *k;
	struct verify_entry *e;

	HASH_FIND_STR(v->table, rel_path, k);
	if (k)
		return &v->entry[k->at];
	if (v->n == v->room) {
		v->room = v->room ? 2 * v->room : 64;
		v->entry = mem_grow(v->cli->ctx, v->entry, struct verify_entry, v->room);
	}
	e = &v->entry[v->n];
	*e = (struct verify_entry){.rel_path = mem_strdup(v->cli->ctx, rel_path), .wanted = true};
	k = mem_new(v->cli->ctx, struct known);
	k->at = v->n++;
	HASH_ADD_KEYPTR(hh, v->table, e->rel_path, strlen(e->rel_path), k);
	return e;
}

static void take_expiry(struct verify *v, const json_t *line)
{
	const char *type = protocol_str(line, "type");
	bool begins = strcmp(type, "expiring") == 0, ends = strcmp(type, "expired") == 0;
	struct verify_entry *e;

	if (!begins && !ends && strcmp(type, "expiry-withdrawn") != 0)
		return;
	e = find(v, protocol_str(line, "rel_path"));
	e->announced = begins || ends;
	e->expired = ends;
}

static void take_loss(struct verify *v, const json_t *line)
{
	struct verify_entry *e = find(v, protocol_str(line, "rel_path"));

	e->lost = mem_printf(v->cli->ctx, "declared lost on %s: %s", protocol_str(line, "at"),
			     protocol_str(line, "reason"));
	e->sum.threads = protocol_int(line, "threads");
	e->sum.posts = protocol_int(line, "posts");
}

/* What is none equals no file's. */
static void take_digests(struct verify_entry *e, const json_t *line)
{
	if (!hex_decode(protocol_str(line, "rows_digest"), DIGEST_BYTES, e->rows_digest.b))
		e->rows_digest = (struct digest){0};
	if (!hex_decode(protocol_str(line, "file_digest"), DIGEST_BYTES, e->file_digest.b))
		e->file_digest = (struct digest){0};
}

/* A bundle that was written again without one person: another file is the bundle from then on. */
static void take_erasure(struct verify *v, const json_t *line, bool done)
{
	struct verify_entry *e = find(v, protocol_str(line, "rel_path"));

	e->in_ledger = true;
	e->erasing = !done;
	e->replaced = false;
	take_digests(e, line);
	if (done)
		find(v, protocol_str(line, "old_rel_path"))->replaced = true;
}

static int take_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct verify *v = payload;
	json_error_t fault;
	json_t *line;

	v->ledger_entries = seq;
	if (!memmem(text, len, "\"type\":\"published\"", 18) && !memmem(text, len, "\"type\":\"expir", 13) &&
	    !memmem(text, len, "\"type\":\"eras", 12) && !memmem(text, len, "\"type\":\"abandoned\"", 18))
		return 0;
	line = json_loadb(text, len, 0, &fault);
	if (!json_is_object(line))
		return err_set(err, ERR_VERIFY, "ledger line %llu is not JSON: %s", (unsigned long long)seq,
			       fault.text);
	if (strcmp(protocol_str(line, "type"), "published") == 0) {
		struct verify_entry *e = find(v, protocol_str(line, "rel_path"));

		v->published++;
		e->in_ledger = true;
		take_digests(e, line);
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
	find(v, rel_path)->beside = true;
	return 0;
}

/* Neither an older generation nor one that was only announced has to be there. */
static void drop_generations(struct verify *v)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++) {
		const struct verify_entry *e = &v->entry[i];

		if (e->on_disk || !(e->replaced || e->erasing || e->beside))
			v->entry[kept++] = *e;
	}
	v->n = kept;
}

static int take_file(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct verify *v = payload;
	struct verify_entry *e = find(v, rel_path);

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

/* `--subset n/t`: every t-th bundle in order of path, beginning with the n-th, so that t nights read everything once.
 */
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
	return strcmp(((const struct verify_entry *)a)->rel_path, ((const struct verify_entry *)b)->rel_path);
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

static const char *compare(const struct verify *v, const struct verify_entry *e)
{
	if (!e->in_ledger)
		return v->ledger.code < 0 ? "sound in itself; the ledger is damaged and does not name it"
					  : "the ledger does not know it";
	if (memcmp(&e->sum.file_digest, &e->file_digest, sizeof e->file_digest) != 0)
		return "sound in itself, but not the file that the ledger names";
	if (memcmp(&e->sum.rows_digest, &e->rows_digest, sizeof e->rows_digest) != 0)
		return "its rows are not those that the ledger names";
	if (e->expired)
		return "sound, but the ledger says that it expired and was removed";
	if (e->replaced) /* the newest that is there: nobody is about to remove it */
		return "sound, but an erasure replaced it: whoever was erased is in it";
	return NULL;
}

/* Of this file alone: a sector that cannot be read. */
static bool is_finding(int r, const struct err *err)
{
	return r == -ERR_VERIFY || (r == -ERR_STORE && (err->sys_errno == EIO || err->sys_errno == EUCLEAN));
}

/* Damage is a finding, not a failure: the rest is still looked at. */
static int check_one(struct verify *v, struct verify_entry *e, struct err *err)
{
	struct bundle_check c = {0};
	const char *fault;
	int r;

	if (!e->on_disk) {
		e->damage = mem_strdup(v->cli->ctx, "the file is missing");
		v->missing++;
		return 0;
	}
	r = bundle_verify(v->cli->store->root_dirfd, e->rel_path, &c, &v->cli->progress, err);
	if (r < 0 && !is_finding(r, err))
		return r;
	v->checked++;
	e->sum = (struct verify_sum){c.threads, c.posts,      c.rows,	     c.blobs,
				     c.erased,	c.generation, c.rows_digest, c.file_digest};
	fault = r < 0 ? (*c.damage ? c.damage : err->msg) : compare(v, e);
	if (r < 0)
		v->damaged++;
	else if (fault && verify_foreign(e))
		v->unknown++;
	else if (fault)
		v->damaged++;
	if (fault)
		e->damage = mem_strdup(v->cli->ctx, fault);
	e->ok = !fault;
	err_clear(err);
	return stop_check(err);
}

/* ---- the verdict ---- */

/* The ledger's fault comes first; what the bundles add to it follows. */
static int judge_ledger(const struct verify *v, struct err *err)
{
	*err = v->ledger;
	if (v->missing || v->damaged || v->unknown) {
		err_set(err, ERR_VERIFY, "%s; bundles: %llu damaged, %llu missing, %llu not named before it",
			v->ledger.msg, (unsigned long long)v->damaged, (unsigned long long)v->missing,
			(unsigned long long)v->unknown);
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
	return err_hint(err, v->missing || v->damaged ? "Put the files back from a copy of the archive; do not run "
							"until they are sound. When there is no copy, `mmretain "
							"abandon`." :
							"A run that crashed after publishing leaves one; the next run "
							"adopts or reports it.");
}

/* What is gone as announced, or was declared lost, is nothing to look at.  A crash may have come before the line that
 * says that it expired. */
static void drop_gone(struct verify *v)
{
	size_t kept = 0;

	v->lost = mem_array(v->cli->ctx, struct cli_loss, v->n + 1);
	for (size_t i = 0; i < v->n; i++) {
		if (v->entry[i].announced && !v->entry[i].on_disk)
			v->expired++;
		else if (v->entry[i].lost && !v->entry[i].on_disk)
			v->lost[v->n_lost++] = (struct cli_loss){v->entry[i].rel_path, v->entry[i].lost,
								 v->entry[i].sum.threads, v->entry[i].sum.posts};
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
	HASH_CLEAR(hh, v->table);
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
	printed = cli->json ? cli_verify_json(&v, r == 0, &print_err) : cli_verify_text(&v, &print_err);
	if (printed < 0 && r == 0)
		*err = print_err;
	return r < 0 ? r : printed;
}
