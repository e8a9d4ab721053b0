/* audit_open.c - the archive, its bundles and what they say about themselves. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

int audit_open(void *ctx, const struct store *store, const struct catalog_options *options, struct audit **ret,
	       struct err *err)
{
	struct audit *a = mem_new(ctx, struct audit);

	a->store = store;
	int rc = catalog_open(a, store, options, &a->catalog, err);
	if (rc) {
		talloc_free(a);
		return rc;
	}
	missing_look(a);
	a->bundle = mem_array(a, struct audit_bundle, a->catalog->n_bundles + 1);
	for (size_t i = 0; i < a->catalog->n_bundles; i++)
		a->bundle[i] =
			(struct audit_bundle){.audit = a, .index = i, .rel_path = a->catalog->bundle[i].rel_path};
	a->stats.bundles = a->catalog->n_bundles;
	*ret = a;
	return 0;
}

const struct audit_stats *audit_stats(const struct audit *a)
{
	return &a->stats;
}

const char *audit_bundle_path(const struct audit_bundle *b)
{
	return b->rel_path;
}

const char *audit_ref_path(const struct audit *a, const struct audit_ref *ref)
{
	return a->bundle[ref->bundle].rel_path;
}

/* Listed when the command began: a reader has no lock, and bundles expire.  Not ERR_NOT_FOUND, which would say that no
 * bundle holds what was asked. */
static int removed_meanwhile(const struct audit_bundle *b, struct err *err)
{
	err_set(err, ERR_STORE, "bundle \"%s\" was removed while the archive was being read", b->rel_path);
	return err_hint(err, "It has expired, when `mmretain verify` does not miss it. Give the command again: it "
			     "reads what is there now.");
}

/* Descriptors, frame tables and lists of attachments are for a handful of bundles at a time; names stay. */
static void remember(struct audit *a, struct audit_bundle *b)
{
	size_t last = ARRAY_LEN(a->recent) - 1;
	struct audit_bundle *old = a->recent[last];

	if (old) {
		talloc_free(old->rows);
		talloc_free(old->reader);
		old->rows = NULL;
		old->reader = NULL;
		if (!old->walked)
			TALLOC_FREE(old->files);
	}
	memmove(a->recent + 1, a->recent, last * sizeof(*a->recent));
	a->recent[0] = b;
}

int bundle_use(struct audit *a, size_t i, struct audit_bundle **ret, struct err *err)
{
	struct audit_bundle *b = &a->bundle[i];
	int rc = 0;

	if (!b->reader) {
		rc = bundle_open(a, a->store->root_dirfd, b->rel_path, &b->reader, err);
		if (rc == -ERR_NOT_FOUND)
			return removed_meanwhile(b, err);
		if (!rc)
			rc = catalog_rows_new(a, b->reader, &b->rows, err);
		if (!rc && (rc = bundle_read_parts(b->reader, &b->parts_before_ms, err)) >= 0) {
			b->parts = rc > 0;
			rc = 0;
		}
		if (rc) {
			talloc_free(b->reader);
			b->reader = NULL;
			return rc;
		}
		remember(a, b);
		a->stats.bundles_read += !b->counted;
		b->counted = true;
	}
	*ret = b;
	return 0;
}

void audit_pass_over(struct audit *a)
{
	a->pass_over = true;
}

int bundle_passed(struct audit *a, size_t i, int rc, struct err *err)
{
	struct audit_bundle *b = &a->bundle[i];

	/* One that was removed meanwhile is told as such. */
	if (rc != -ERR_VERIFY && rc != -ERR_PERMISSION && !(rc == -ERR_STORE && err->sys_errno))
		return rc;
	if (!a->pass_over)
		return *err->hint ? rc : err_hint(err, "`mmretain verify` names every bundle that is damaged: put them "
				     "back from a copy of the archive. `find` and `show` answer from the others.");
	if (!b->unreadable) {
		log_warn("%s; it is passed over", err->msg);
		a->stats.bundles_unreadable++;
	}
	b->unreadable = true;
	err_clear(err);
	return 0;
}

/* ---- names ---- */

struct named { UT_hash_handle hh; struct audit_name name; };
struct audit_names { struct named *table; };

static int names_free(struct audit_names *n)
{
	HASH_CLEAR(hh, n->table);
	return 0;
}

static int names_add(void *payload, const struct catalog_name *name, struct err *err)
{
	struct audit_names *n = payload;
	struct named *e;

	(void)err;
	HASH_FIND_STR(n->table, name->id, e);
	if (e)
		return 0;
	e = mem_new(n, struct named);
	e->name = (struct audit_name){mem_strdup(e, name->id), mem_strdup(e, name->name), mem_strdup(e, name->display),
				      mem_strdup(e, name->extra), mem_strdup(e, name->members)};
	HASH_ADD_KEYPTR(hh, n->table, e->name.id, strlen(e->name.id), e);
	return 0;
}

const struct audit_name *names_find(const struct audit_names *n, const char *id)
{
	struct named *e;

	HASH_FIND_STR(n->table, id, e);
	return e ? &e->name : NULL;
}

/* A bundle whose names cannot be read still shows its threads, by id. */
static struct audit_names *names_of(struct audit_bundle *b, const char *what, struct audit_names **slot)
{
	struct err err = {0};

	if (*slot)
		return *slot;
	*slot = mem_new(b->audit, struct audit_names);
	talloc_set_destructor(*slot, names_free);
	if (bundle_use(b->audit, b->index, &b, &err) < 0 ||
	    catalog_bundle_names(b->reader, what, names_add, *slot, &err) < 0)
		log_warn("names of %s: %s; showing ids", b->rel_path, err.msg);
	return *slot;
}

static const struct audit_name *name_or_id(struct audit_bundle *b, const char *what, struct audit_names **slot,
					   const char *id)
{
	struct audit_names *names = names_of(b, what, slot);
	const struct audit_name *n = names_find(names, id);

	if (n)
		return n;
	struct catalog_name self = {id, id, "", "", ""};
	struct err err;
	(void)names_add(names, &self, &err); /* cannot fail */
	return names_find(names, id);
}

const struct audit_name *audit_user(struct audit_bundle *b, const char *id)
{
	static const struct audit_name nobody = {"", "unknown", "", "", ""};

	return id[0] ? name_or_id(b, "users", &b->users, id) : &nobody; /* the row names no one */
}

const struct audit_name *audit_author(struct audit_bundle *b, const char *id, bool erased)
{
	static const struct audit_name gone = {"", "erased", "", "", ""};

	return erased ? &gone : audit_user(b, id);
}

const struct audit_name *audit_channel(struct audit_bundle *b, const char *id)
{
	return name_or_id(b, "channels", &b->channels, id);
}

const struct audit_name *audit_team_of(struct audit_bundle *b, const char *channel_id)
{
	const struct audit_name *channel = audit_channel(b, channel_id);

	return channel->extra[0] ? name_or_id(b, "teams", &b->teams, channel->extra) : NULL;
}

/* A direct channel is named after the ids of its two people. */
static char *direct_place(void *ctx, struct audit_bundle *b, const char *name)
{
	const char *cut = strstr(name, "__");
	char *first = mem_strndup(ctx, name, (size_t)(cut - name));
	const char *second = cut + 2;

	if (!strcmp(first, second))
		return mem_printf(ctx, "direct: %s", audit_user(b, first)->name);
	return mem_printf(ctx, "direct: %s, %s", audit_user(b, first)->name, audit_user(b, second)->name);
}

char *audit_place(void *ctx, struct audit_bundle *b, const char *channel_id)
{
	const struct audit_name *c = audit_channel(b, channel_id), *t = audit_team_of(b, channel_id);

	if (t)
		return mem_printf(ctx, "%s/%s", t->name, c->name);
	if (strstr(c->name, "__"))
		return direct_place(ctx, b, c->name);
	return mem_printf(ctx, "%s%s", c->display[0] ? "group: " : "", c->display[0] ? c->display : c->name);
}

/* ---- data/files.jsonl ---- */

/* The list can be long and a thread has few files: the first questions are answered by a search in the text, a table of
 * all is made only for those who keep asking. */
#define SEARCHES_BEFORE_TABLE 32

struct listed { UT_hash_handle hh; char *id; struct file_state s; };
struct audit_files { char *text; size_t len; unsigned asked; struct listed *table; };

static int files_free(struct audit_files *f)
{
	HASH_CLEAR(hh, f->table);
	return 0;
}

static const char *state_word(const char *s, size_t len)
{
	static const char *const words[] = {"stored", "dropped", "kept", "missing"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == len && !memcmp(words[i], s, len))
			return words[i];
	return "unknown";
}

static bool key_is(const struct json_scan *s, const char *key)
{
	return strlen(key) == s->key_len && !memcmp(key, s->key, s->key_len);
}

/* One line of the list; the id is a slice of it. */
static bool file_line(const char *line, size_t len, struct catalog_text *ret_id, struct file_state *ret)
{
	struct json_scan s;
	struct file_state f = {.state = "unknown"};

	*ret_id = (struct catalog_text){0};
	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (s.type == JSON_STR && key_is(&s, "file"))
			*ret_id = (struct catalog_text){s.val, s.val_len};
		else if (s.type == JSON_STR && key_is(&s, "state"))
			f.state = state_word(s.val, s.val_len);
		else if (s.type == JSON_STR && key_is(&s, "sha256") && s.val_len == DIGEST_HEX)
			f.has_digest = hex_decode(s.val, DIGEST_BYTES, f.sha256.b);
		else if (s.type == JSON_NUMBER && key_is(&s, "size") && s.val_len < 20)
			f.size_bytes = strtoull(s.val, NULL, 10); /* ends at the comma or bracket */
	}
	*ret = f;
	return ret_id->len > 0 && !s.bad;
}

static void files_table(struct audit_files *f)
{
	for (const char *p = f->text, *end = p + f->len; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
		struct listed *e = mem_new(f, struct listed), *other = NULL;
		struct catalog_text id;
		if (file_line(p, (size_t)(stop - p), &id, &e->s)) {
			e->id = text_dup(e, id);
			HASH_FIND_STR(f->table, e->id, other);
			if (!other)
				HASH_ADD_KEYPTR(hh, f->table, e->id, strlen(e->id), e);
		}
		p = nl ? nl + 1 : end;
	}
}

static bool files_search(const struct audit_files *f, const char *id, struct file_state *ret)
{
	size_t len = strlen(id);
	const char *p = f->text, *end = p + f->len;

	while ((p = memmem(p, (size_t)(end - p), id, len)) != NULL) {
		const char *start = p, *nl = memchr(p, '\n', (size_t)(end - p));
		struct catalog_text found;
		while (start > f->text && start[-1] != '\n')
			start--;
		if (file_line(start, (size_t)((nl ? nl : end) - start), &found, ret) && text_is(found, id, len))
			return true;
		p = nl ? nl : end;
	}
	return false;
}

static int bundle_files(struct audit_bundle *b, struct err *err)
{
	int rc = bundle_use(b->audit, b->index, &b, err);

	if (rc)
		return rc;
	b->files = mem_new(b->audit, struct audit_files);
	talloc_set_destructor(b->files, files_free);
	rc = bundle_read_member(b->reader, b->files, "data/files.jsonl", FILES_LIST_MAX, &b->files->text,
				&b->files->len, err);
	if (rc == -ERR_NOT_FOUND) { /* it has no attachments */
		err_clear(err);
		return 0;
	}
	if (rc)
		TALLOC_FREE(b->files); /* asked again, it is no empty list */
	return rc;
}

int bundle_file_state(struct audit_bundle *b, const char *file_id, struct file_state *ret, struct err *err)
{
	struct listed *e = NULL;
	int rc = b->files ? 0 : bundle_files(b, err);

	if (rc || !b->files->text || !file_id[0])
		return rc;
	if (b->files->asked < SEARCHES_BEFORE_TABLE) {
		b->files->asked++;
		return files_search(b->files, file_id, ret);
	}
	if (!b->files->table)
		files_table(b->files);
	HASH_FIND_STR(b->files->table, file_id, e);
	if (e)
		*ret = e->s;
	return e != NULL;
}

int audit_file_read(struct audit_bundle *b, const struct audit_file *f, int fd, struct err *err)
{
	if (!f->has_digest || strcmp(f->state, "stored") != 0)
		return err_set(err, ERR_NOT_FOUND, "the bundle does not hold the content of file %s", f->id);
	int rc = bundle_use(b->audit, b->index, &b, err);
	return rc ? rc : bundle_read_blob(b->reader, &f->sha256, fd, err);
}

void bundle_check_once(struct audit_bundle *b)
{
	struct err err = {0};
	char hex[DIGEST_HEX + 1];

	if (b->checked)
		return;
	b->checked = true;
	b->check_code = bundle_verify(b->audit->store->root_dirfd, b->rel_path, &b->check, NULL, &err);
	if (b->check_code == 0) {
		digest_hex(&b->check.file_digest, hex);
		(void)snprintf(b->check_text, sizeof(b->check_text), "verified: every row, SHA-256 of the file %s",
			       hex);
	} else if (b->check_code == -ERR_NOT_FOUND) {
		(void)snprintf(b->check_text, sizeof(b->check_text), "not verified: it was removed while this was "
								     "written");
	} else {
		(void)snprintf(b->check_text, sizeof(b->check_text), "DAMAGED: %.480s", err.msg);
	}
}
