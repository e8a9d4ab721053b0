/*
 * cli_protocol_bundles.c - what the lines of one run say of each of its bundles.
 *
 * A night makes thousands of them, and a JSON object of one takes some 10 KiB: the lines are kept as text, and one
 * document at a time is made of them.
 */
#include <string.h>

#include <uthash.h>

#include "cli_protocol_bundles.h"

struct entry {
	UT_hash_handle hh;     /* which keeps the order of their first lines */
	char *lines;           /* one object a line: {type: fields} */
	char *rule;            /* or NULL */
	size_t len;
	bool parts, done;
	char name[];
};

struct protocol_bundles { struct entry *table; };

static int release(struct protocol_bundles *b)
{
	HASH_CLEAR(hh, b->table); /* the entries are its children */
	return 0;
}

struct protocol_bundles *protocol_bundles_new(void *ctx)
{
	struct protocol_bundles *b = mem_new(ctx, struct protocol_bundles);

	talloc_set_destructor(b, release);
	return b;
}

static struct entry *entry_of(struct protocol_bundles *b, const char *bundle)
{
	size_t len = strlen(bundle);
	struct entry *e;

	HASH_FIND(hh, b->table, bundle, len, e);
	if (e)
		return e;
	e = mem_check(talloc_zero_size(b, sizeof *e + len + 1));
	memcpy(e->name, bundle, len + 1);
	HASH_ADD_KEYPTR(hh, b->table, e->name, len, e);
	return e;
}

static void add_line(struct entry *e, const char *type, json_t *fields)
{
	json_t *line = cli_json_check(json_object());
	char *text;
	size_t len;

	cli_json_put(line, type, fields);
	text = json_dumps(line, JSON_COMPACT);
	mem_check(text);
	len = strlen(text);
	e->lines = mem_check(talloc_realloc_size(e, e->lines, e->len + len + 1));
	memcpy(e->lines + e->len, text, len);
	e->len += len + 1;
	e->lines[e->len - 1] = '\n';
	free(text);
	json_decref(line);
}

void protocol_bundles_take(struct protocol_bundles *b, const char *bundle, const char *rule, bool parts,
			   const char *type, json_t *fields)
{
	struct entry *e = entry_of(b, bundle);

	e->parts |= parts;
	if (*rule && (!e->rule || strcmp(e->rule, rule) != 0)) {
		talloc_free(e->rule);
		e->rule = mem_strdup(e, rule);
	}
	if (strcmp(type, "bundle-done") == 0) {
		e->done = true;
		json_decref(fields);
	} else {
		add_line(e, type, fields);
	}
}

void protocol_bundles_note(struct protocol_bundles *b, const char *bundle, const char *type, json_t *fields)
{
	struct entry *e;

	HASH_FIND(hh, b->table, bundle, strlen(bundle), e);
	if (e)
		add_line(e, type, fields);
	else
		json_decref(fields);
}

/* ---- one document at a time ---- */

static void append_to(json_t *doc, const char *key, json_t *value)
{
	json_t *list = json_object_get(doc, key);

	if (!list)
		cli_json_put(doc, key, list = json_array());
	if (json_array_append(list, value) < 0)
		mem_check(NULL);
}

static void apply(json_t *doc, const char *type, json_t *fields)
{
	if (strcmp(type, "published") == 0 || strcmp(type, "waived") == 0) {
		if (json_object_update_missing(doc, fields) < 0)
			mem_check(NULL);
		cli_json_bool(doc, "waived", type[0] == 'w');
	} else if (strcmp(type, "expired") == 0) {
		cli_json_put(doc, type, json_incref(json_object_get(fields, "at")));
	} else if (strcmp(type, "erased") == 0 || strcmp(type, "erasure-withdrawn") == 0) {
		append_to(doc, "erasures", fields);
	} else {
		/* purging, purged, purge-stopped, sweep, unlinked, abandoned */
		cli_json_put(doc, type, json_incref(fields));
	}
}

/* A later run may settle a bundle of a crashed one: then its document here has no fields of `published`. */
static json_t *document(const struct entry *e)
{
	json_t *doc = cli_json_check(json_object()), *line, *fields;
	const char *type;

	cli_json_text(doc, "bundle", e->name);
	cli_json_bool(doc, "done", e->done);
	if (e->parts)
		cli_json_bool(doc, "parts", true);
	if (e->rule)
		cli_json_text(doc, "rule", e->rule);
	for (size_t at = 0, len; at < e->len; at += len + 1) {
		len = (size_t)((const char *)memchr(e->lines + at, '\n', e->len - at) - (e->lines + at));
		line = cli_json_check(json_loadb(e->lines + at, len, 0, NULL));
		json_object_foreach(line, type, fields)
			apply(doc, type, fields);
		json_decref(line);
	}
	return doc;
}

int protocol_bundles_each(const struct protocol_bundles *b, protocol_bundle_fn fn, void *payload, struct err *err)
{
	int r = 0;

	for (const struct entry *e = b->table; e && r == 0; e = e->hh.next) {
		json_t *doc = document(e);

		fn(doc, payload);
		json_decref(doc);
		r = stop_check(err);
	}
	return r;
}

bool protocol_bundles_keep(struct protocol_bundles *b, const char *rule, const char *team)
{
	struct entry *e, *next;

	HASH_ITER(hh, b->table, e, next) {
		if ((!rule || strcmp(e->rule ? e->rule : "", rule) == 0) &&
		    (!team || protocol_is_of_team(e->name, team)))
			continue;
		HASH_DELETE(hh, b->table, e);
		talloc_free(e);
	}
	return b->table != NULL;
}

/* ---- sums ---- */

void protocol_amount_add(struct protocol_amount *to, const json_t *line, bool parts)
{
	to->threads += protocol_int(line, "threads");
	to->parts += parts ? protocol_int(line, "threads") : 0;
	to->posts += protocol_int(line, "posts");
}

static void add_rows(json_t *kinds, const json_t *purged)
{
	const char *kind;
	json_t *value;

	json_object_foreach(json_object_get(purged, "rows"), kind, value)
		cli_json_int(kinds, kind, protocol_int(kinds, kind) + (uint64_t)json_integer_value(value));
}

static void add_end(struct protocol_sums *s, const json_t *entry)
{
	const json_t *unlinked = json_object_get(entry, "unlinked"), *sweep = json_object_get(entry, "sweep");

	s->blobs_unlinked += protocol_int(unlinked, "blobs_unlinked");
	s->blobs_shared += protocol_int(unlinked, "blobs_shared");
	s->blobs_failed += protocol_int(unlinked, "blobs_failed");
	s->bytes_unlinked += protocol_int(unlinked, "bytes_unlinked");
	s->late_restored += protocol_int(sweep, "late_restored");
	s->late_removed += protocol_int(sweep, "late_removed");
	s->found_threads += protocol_int(sweep, "found_threads");
	s->found_posts += protocol_int(sweep, "found_posts");
	s->open |= protocol_int(sweep, "open_xid") != 0;
}

static void add_entry(json_t *entry, void *payload)
{
	static const char *const gone[] = {"purged", "purge-stopped"};
	struct protocol_sums *s = payload;
	bool parts = protocol_bool(entry, "parts");

	s->entries++;
	s->lists += protocol_bool(entry, "waived");
	if (json_object_get(entry, "rel_path")) {
		s->bundles++;
		s->bytes += protocol_int(entry, "file_bytes");
		protocol_amount_add(&s->archived, entry, parts);
	}
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		protocol_amount_add(&s->deleted, json_object_get(entry, gone[i]), parts);
		add_rows(s->rows, json_object_get(entry, gone[i]));
	}
	add_end(s, entry);
}

int protocol_bundles_sum(const struct protocol_bundles *b, struct protocol_sums *ret, struct err *err)
{
	json_t *rows = ret->rows;

	*ret = (struct protocol_sums){.rows = rows};
	json_object_clear(rows);
	return protocol_bundles_each(b, add_entry, ret, err);
}
