/*
 * cli_fate.c - what became of a bundle, and of a thread in it, by the lines of the ledger.
 *
 * Most lines are of others: only those that hold the name or the id are parsed.
 */
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/store.h>

#include "cli_fate.h"
#include "cli_protocol.h"

#define WAIVED "waived-"

struct fates { struct cli *cli; struct cli_fate *fate; size_t n; };

static int release_lines(json_t **lines)
{
	json_decref(*lines);
	return 0;
}

void cli_fate_init(struct cli *cli, struct cli_fate *f, const char *bundle, const char *root)
{
	json_t **owned = mem_new(cli->ctx, json_t *);

	*f = (struct cli_fate){.bundle = ledger_bundle_name(cli->ctx, bundle),
			       .root = root,
			       .lines = cli_json_check(json_array())};
	*owned = f->lines;
	talloc_set_destructor(owned, release_lines);
}

/* ---- lines ---- */

static void note(const struct fates *all, struct cli_fate_step *step, const json_t *line)
{
	const char *run = protocol_str(line, "run");

	step->at = mem_strdup(all->cli->ctx, protocol_str(line, "at"));
	step->run = *run ? mem_strdup(all->cli->ctx, run) : NULL;
}

static void list(struct cli_fate *f, const json_t *line)
{
	json_t *obj = cli_json_check(json_object());

	for (size_t i = 0; i < 3; i++) {
		const char *key = ((const char *const[]){"at", "type", "run"})[i];

		cli_json_text(obj, key, json_string_value(json_object_get(line, key)));
	}
	for (size_t i = 0; i < 2; i++) {
		const char *key = ((const char *const[]){"threads", "posts"})[i];
		json_t *value = json_object_get(line, key);

		cli_json_put(obj, key, value ? json_incref(value) : json_null());
	}
	if (json_array_append_new(f->lines, obj) < 0)
		mem_check(NULL);
}

/* The same rows may be waived again, under the same name. */
static void take_begin(const struct fates *all, struct cli_fate *f, const json_t *line)
{
	f->rule = mem_strdup(all->cli->ctx, protocol_str(line, "rule"));
	f->parts = protocol_bool(line, "parts");
	f->begun = f->stopped = f->deleted = f->stayed = f->restored = (struct cli_fate_step){0};
	note(all, &f->archived, line);
}

static bool names_root(const json_t *line, const char *root)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(line, "roots"), i, one)
		if (root && json_is_string(one) && strcmp(json_string_value(one), root) == 0)
			return true;
	return false;
}

/* A later run that may not delete any more by the rule only looks which threads are still there, names them and closes
 * the bundle: what it does not name went with the one before.  Of a list without an archive nobody looks. */
static void closed(struct cli_fate *f)
{
	if (!f->deleted.at && f->begun.at && strncmp(f->bundle, WAIVED, strlen(WAIVED)) != 0)
		f->deleted = f->stopped.at ? f->stopped : f->begun;
}

static void take_bundle_line(const struct fates *all, struct cli_fate *f, const char *type, const json_t *line)
{
	list(f, line);
	if (strcmp(type, "published") == 0 || strcmp(type, "waived") == 0) {
		take_begin(all, f, line);
	} else if (strcmp(type, "purging") == 0 && !f->begun.at) {
		note(all, &f->begun, line);
	} else if (strcmp(type, "stayed") == 0 && names_root(line, f->root)) {
		note(all, &f->stayed, line);
	} else if (strcmp(type, "purged") == 0) {
		/* Whoever says that the delete came to its end has said before what stayed: of what another run said
		 * the rest is deleted. */
		if (f->stayed.run && strcmp(f->stayed.run, protocol_str(line, "run")) != 0)
			f->stayed = (struct cli_fate_step){0};
		note(all, &f->deleted, line);
	} else if (strcmp(type, "purge-stopped") == 0) {
		note(all, &f->stopped, line);
	} else if (strcmp(type, "bundle-done") == 0) {
		closed(f);
	}
}

/* Its path names the file that it was read from, which an erasure may have made. */
static bool is_of(const json_t *line, const char *bundle)
{
	auto_mem char *name = ledger_bundle_name(NULL, protocol_str(line, "rel_path"));

	return strcmp(name, bundle) == 0;
}

static void take_restored(const struct fates *all, struct cli_fate *f, const json_t *line)
{
	if (f->archived.at && is_of(line, f->bundle))
		list(f, line);
	if (f->root && f->archived.at &&
	    (strcmp(protocol_str(line, "root"), f->root) == 0 || names_root(line, f->root)))
		note(all, &f->restored, line);
}

static bool holds(const char *text, size_t len, const char *word)
{
	return word && memmem(text, len, word, strlen(word)) != NULL;
}

static int take_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	const struct fates *all = payload;
	json_t *line = NULL;

	for (size_t i = 0; i < all->n; i++) {
		struct cli_fate *f = &all->fate[i];
		const char *type;

		if (!holds(text, len, f->bundle) && !holds(text, len, f->root) && !holds(text, len, "\"restored\""))
			continue;
		if (!line)
			line = json_loadb(text, len, 0, NULL);
		if (!json_is_object(line)) {
			json_decref(line);
			return err_set(err, ERR_VERIFY, "ledger line %llu is not JSON", (unsigned long long)seq);
		}
		type = protocol_str(line, "type");
		if (strcmp(protocol_str(line, "bundle"), f->bundle) == 0)
			take_bundle_line(all, f, type, line);
		else if (strcmp(type, "restored") == 0)
			take_restored(all, f, line);
	}
	json_decref(line);
	return 0;
}

int cli_fate_read(struct cli *cli, struct cli_fate *fate, size_t n, struct err *err)
{
	struct fates all = {.cli = cli, .fate = fate, .n = n};

	return ledger_read(cli->store->ledger_dirfd, take_line, &all, err);
}

/* ---- told ---- */

static char *step_text(const struct cli *cli, const char *what, const struct cli_fate_step *s, const struct cli_fate *f)
{
	return mem_printf(cli->ctx, "%s %s by run %s, rule %s", what, cli_safe(cli->ctx, s->at),
			  cli_safe(cli->ctx, s->run), cli_safe(cli->ctx, f->rule));
}

const char *cli_fate_text(const struct cli *cli, const struct cli_fate *f)
{
	char *text;

	if (!f->archived.at)
		return "the ledger does not say when it was deleted, and by which rule";
	if (f->stayed.at)
		text = step_text(cli, "not deleted: kept or put back", &f->stayed, f);
	else if (f->deleted.at)
		text = step_text(cli, "deleted", &f->deleted, f);
	else if (f->begun.at)
		text = step_text(cli, "deletion not finished; begun", &f->begun, f);
	else
		text = step_text(cli, "not deleted yet; archived", &f->archived, f);
	/* Of the threads some may have gone with the run that began. */
	if (!f->stayed.at && f->deleted.at && f->begun.at && f->deleted.run && f->begun.run &&
	    strcmp(f->begun.run, f->deleted.run) != 0)
		text = mem_printf(cli->ctx, "%s; begun %s by run %s", text, cli_safe(cli->ctx, f->begun.at),
				  cli_safe(cli->ctx, f->begun.run));
	return f->restored.at ? mem_printf(cli->ctx, "%s; put back %s", text, cli_safe(cli->ctx, f->restored.at))
			      : text;
}

static void put_step(json_t *doc, const char *key, const struct cli_fate_step *s)
{
	json_t *obj = s->at ? cli_json_check(json_object()) : json_null();

	if (s->at) {
		cli_json_text(obj, "at", s->at);
		cli_json_text(obj, "run", s->run);
	}
	cli_json_put(doc, key, obj);
}

json_t *cli_fate_json(const struct cli_fate *f)
{
	static const struct cli_fate_step none;
	json_t *doc = cli_json_check(json_object());

	cli_json_text(doc, "bundle", f->bundle);
	cli_json_text(doc, "rule", f->rule);
	put_step(doc, "archived", &f->archived);
	put_step(doc, "begun", &f->begun);
	put_step(doc, "deleted", f->stayed.at ? &none : &f->deleted);
	put_step(doc, "stayed", &f->stayed);
	cli_json_text(doc, "restored", f->restored.at);
	return doc;
}
