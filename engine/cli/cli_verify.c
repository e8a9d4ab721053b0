/*
 * cli_verify.c - what verify has found, as text and as JSON.
 */
#include <string.h>

#include <jansson.h>

#include "cli_loss.h"
#include "cli_mirror.h"
#include "cli_verify.h"

/* Whoever puts a file there may give it a name that is no text. */
static void put_name(json_t *list, const char *name)
{
	auto_mem char *safe = utf8_valid(name, strlen(name)) ? NULL : cli_safe(NULL, name);

	if (json_array_append_new(list, cli_json_check(json_string(safe ? safe : name))) < 0)
		mem_check(NULL);
}

static json_t *entry_json(const struct verify_entry *e)
{
	json_t *obj = cli_json_check(json_object());

	cli_json_text(obj, "bundle", e->rel_path);
	cli_json_bool(obj, "ok", e->ok);
	cli_json_int(obj, "threads", e->sum.threads);
	cli_json_int(obj, "posts", e->sum.posts);
	cli_json_int(obj, "rows", e->sum.rows);
	cli_json_int(obj, "blobs", e->sum.blobs);
	cli_json_int(obj, "erased", e->sum.erased);
	cli_json_int(obj, "generation", e->sum.generation);
	cli_json_int(obj, "bytes", e->size_bytes);
	cli_json_digest(obj, "rows_digest", &e->sum.rows_digest);
	cli_json_digest(obj, "file_digest", &e->sum.file_digest);
	cli_json_text(obj, "damage", e->damage);
	return obj;
}

int cli_verify_json(const struct verify *v, bool ok, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array());
	json_t *missing = cli_json_check(json_array()), *unknown = cli_json_check(json_array()),
	       *left = cli_json_check(json_array());

	cli_json_bool(doc, "ok", ok);
	cli_json_put(doc, "ledger", json_pack("{s:I,s:I}", "entries", (json_int_t)v->ledger_entries, "published",
					      (json_int_t)v->published));
	cli_json_text(json_object_get(doc, "ledger"), "damage", v->ledger.code < 0 ? v->ledger.msg : NULL);
	for (size_t i = 0; i < v->n; i++) {
		const struct verify_entry *e = &v->entry[i];

		if (!e->wanted)
			continue;
		if (!e->on_disk)
			put_name(missing, e->rel_path);
		else if (json_array_append_new(list, entry_json(e)) < 0)
			mem_check(NULL);
		if (verify_foreign(e))
			put_name(unknown, e->rel_path);
	}
	cli_json_put(doc, "case_log", json_pack("{s:I}", "entries", (json_int_t)v->access_entries));
	cli_json_text(json_object_get(doc, "case_log"), "damage", v->access.code < 0 ? v->access.msg : NULL);
	cli_json_put(doc, "indexes",
		     json_pack("{s:I,s:I,s:I,s:I}", "missing", (json_int_t)v->index.missing, "stale",
			       (json_int_t)v->index.stale, "unlisted", (json_int_t)v->index.unlisted, "gone",
			       (json_int_t)v->index.gone));
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

int cli_verify_text(const struct verify *v, struct err *err)
{
	static const struct cli_column columns[] = {{"BUNDLE", CLI_LEFT}, {"THREADS", CLI_RIGHT}, {"POSTS", CLI_RIGHT},
						    {"FILES", CLI_RIGHT}, {"SIZE", CLI_RIGHT},    {"RESULT", CLI_LEFT}};
	struct cli_table *t = cli_table_new(v->cli, columns, ARRAY_LEN(columns));
	bool any = false;

	for (size_t i = 0; i < v->n; i++) {
		const struct verify_entry *e = &v->entry[i];

		if (!e->wanted)
			continue;
		any = true;
		cli_table_row(t);
		cli_table_text(t, e->rel_path);
		cli_table_int(t, e->sum.threads);
		cli_table_int(t, e->sum.posts);
		cli_table_int(t, e->sum.blobs);
		cli_table_bytes(t, e->size_bytes);
		cli_table_text(t, !e->ok    ? e->damage
				  : e->lost ? mem_printf(v->cli->ctx, "ok, though %s", e->lost)
					    : "ok");
	}
	printf("ledger: %llu line%s, %s, %llu bundle%s published\n", (unsigned long long)v->ledger_entries,
	       cli_s(v->ledger_entries), v->ledger.code < 0 ? "then damage" : "chain whole",
	       (unsigned long long)v->published, cli_s(v->published));
	if (v->expired)
		printf("expired: %llu bundle%s, removed\n", (unsigned long long)v->expired, cli_s(v->expired));
	cli_losses_print(v->cli, v->lost, v->n_lost);
	cli_mirror_print(v->cli, v->mirror);
	if (!v->cli->args->n_operands)
		printf("case log: %llu line%s, %s\n", (unsigned long long)v->access_entries, cli_s(v->access_entries),
		       v->access.code < 0 ? "then damage" : "chain whole");
	if (v->index_known && (v->index.missing || v->index.stale || v->index.unlisted || v->index.gone))
		printf("indexes: %llu missing, %llu stale, %llu not listed, %llu of bundles that are gone; `mmretain "
		       "reindex` builds them again\n",
		       (unsigned long long)v->index.missing, (unsigned long long)v->index.stale,
		       (unsigned long long)v->index.unlisted, (unsigned long long)v->index.gone);
	for (size_t i = 0; i < v->n_left; i++)
		printf("%s is still there: an erasure was interrupted; the next `mmretain erase` or run finishes it\n",
		       cli_safe(v->cli->ctx, v->left[i]));
	if (any)
		return cli_table_print(t, err);
	printf("no bundles\n");
	return 0;
}
