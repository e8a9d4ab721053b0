/* catalog_open.c - which bundles exist (asked of the folder), and what catalog.sqlite knows about them. */
#include "catalog_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int list_one(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct catalog *c = payload;

	(void)err;
	if (c->n_bundles % 64 == 0)
		c->bundle = mem_grow(c, c->bundle, struct catalog_bundle, c->n_bundles + 64);
	c->bundle[c->n_bundles++] =
		(struct catalog_bundle){.rel_path = mem_strdup(c, rel_path), .size_bytes = size_bytes};
	return 0;
}

static int by_path(const void *key, const void *item)
{
	return strcmp(key, ((const struct catalog_bundle *)item)->rel_path);
}

static struct catalog_bundle *bundle_named(struct catalog *c, const char *rel_path)
{
	return c->n_bundles ? bsearch(rel_path, c->bundle, c->n_bundles, sizeof(*c->bundle), by_path) : NULL;
}

/* A line of the catalog counts only for a file of the same name and size; everything else is read from the bundle. */
static int list_known(struct catalog *c, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(c->db->sq, "SELECT no, rel_path, bytes, min_ms, max_ms, blocks FROM bundle", &q, err);

	if (rc)
		return rc;
	while ((rc = sq_step(c->db->sq, q, err)) > 0) {
		const char *path = (const char *)sqlite3_column_text(q, 1);
		struct catalog_bundle *b = path ? bundle_named(c, path) : NULL;
		if (!b || (uint64_t)sqlite3_column_int64(q, 2) != b->size_bytes)
			continue;
		b->listed = true;
		b->listed_no = sqlite3_column_int64(q, 0);
		b->min_ms = sqlite3_column_int64(q, 3);
		b->max_ms = sqlite3_column_int64(q, 4);
		int64_t blocks = sqlite3_column_int64(q, 5);
		b->listed_blocks = blocks > 0 && blocks < UINT32_MAX ? (uint32_t)blocks : 0;
	}
	return rc;
}

static int db_free(struct catalog_db *d)
{
	sq_finish(&d->filter);
	sq_finish(&d->member);
	return 0;
}

static int db_open(struct catalog *c, struct err *err)
{
	struct stat st;

	if (fstatat(c->store->root_dirfd, CATALOG_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "the archive has no \"%s\"", CATALOG_NAME);
	struct catalog_db *d = mem_new(c, struct catalog_db);
	talloc_set_destructor(d, db_free);
	int rc = sq_open(d, sq_path(d, c->store, CATALOG_NAME), SQ_READ, &d->sq, err);
	if (!rc)
		rc = all_check(d->sq, err);
	if (!rc)
		rc = sq_prepare(d->sq,
				"SELECT f.bits FROM bundle b JOIN filter f ON f.bundle = b.no WHERE b.no = ?1 AND "
				"f.block = ?2"
				/* a number may be another bundle's by now */
				" AND b.blocks = ?3 AND b.rel_path = ?4",
				&d->filter, err);
	if (!rc)
		rc = sq_prepare(d->sq, "SELECT min_ms, max_ms FROM member WHERE kind = ?1 AND id = ?2 AND bundle = ?3",
				&d->member, err);
	c->db = d;
	if (!rc)
		rc = list_known(c, err);
	return rc;
}

/* Not worth an error: the bundles themselves have all the answers. */
static void db_forget(struct catalog *c, struct err *err)
{
	if (err->code != -ERR_NOT_FOUND)
		log_warn("%s; going on without it, `mmretain reindex` builds it again", err->msg);
	talloc_free(c->db);
	c->db = NULL;
	for (size_t i = 0; i < c->n_bundles; i++)
		c->bundle[i].listed = false;
	err_clear(err);
}

int catalog_open(void *ctx, const struct store *store, const struct catalog_options *options, struct catalog **ret,
		 struct err *err)
{
	struct catalog *c = mem_new(ctx, struct catalog);

	c->store = store;
	c->options = *options;
	int rc = store_each_bundle(store, list_one, c, err);
	if (rc) {
		talloc_free(c);
		return rc;
	}
	if (!options->scan && db_open(c, err) < 0)
		db_forget(c, err);
	*ret = c;
	return 0;
}

/* ---- names ---- */

static char *text_of(struct json_scan *s, struct buf *b)
{
	size_t at = b->len;

	if (s->type == SCAN_TRUE)
		buf_puts(b, s->key_len == 3 ? "bot" : "");
	else if (s->type == JSON_ARR)
		buf_put(b, s->val, s->val_len);
	else if (s->type == JSON_STR && !json_unescape(b, s->val, s->val_len))
		b->len = at;
	buf_byte(b, '\0');
	return b->data ? b->data + at : NULL;
}

/* One line of data/names/x.jsonl; what we do not know is skipped, so that later formats can add. */
static int name_line(const char *line, size_t len, struct buf *b, catalog_name_fn fn, void *payload, struct err *err)
{
	static const char *const keys[] = {"id", "name", "display_name", "team", "bot", "members"};
	struct json_scan s;
	size_t at[ARRAY_LEN(keys)] = {0};
	char empty[1] = "";

	buf_clear(b);
	buf_byte(b, '\0');
	if (!buf_reserve(b, len + 64))
		return err_set(err, ERR_VERIFY, "a name is too long");
	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			if (strlen(keys[i]) == s.key_len && !memcmp(keys[i], s.key, s.key_len)) {
				at[i] = b->len;
				(void)text_of(&s, b); /* found by its place */
			}
	if (s.bad || b->overflow || !b->data)
		return err_set(err, ERR_VERIFY, "a line of names is damaged");
	const char *extra = at[3] ? b->data + at[3] : at[4] ? b->data + at[4] : empty;
	struct catalog_name n = {at[0] ? b->data + at[0] : empty, at[1] ? b->data + at[1] : empty,
				 at[2] ? b->data + at[2] : empty, extra, at[5] ? b->data + at[5] : empty};
	return n.id[0] ? fn(payload, &n, err) : 0;
}

int catalog_bundle_names(struct bundle_reader *r, const char *what, catalog_name_fn fn, void *payload, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "names");
	char member[64], *data;
	struct buf b;
	size_t len;

	buf_init(&b, tmp, 1 << 20);
	(void)snprintf(member, sizeof(member), "data/names/%s.jsonl", what); /* fits */
	int rc = bundle_read_member(r, tmp, member, NAMES_MAX, &data, &len, err);
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	for (const char *p = data, *end = rc ? data : data + len; p < end && !rc;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		rc = name_line(p, (size_t)((nl ? nl : end) - p), &b, fn, payload, err);
		p = nl ? nl + 1 : end;
	}
	return rc;
}

static int names_of_db(struct sq *s, const char *what, catalog_name_fn fn, void *payload, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(s, "SELECT id, name, display, extra FROM name WHERE what = ?1", &q, err);

	if (rc)
		return rc;
	sq_text(q, 1, what);
	while ((rc = sq_step(s, q, err)) > 0) {
		struct catalog_name n = {(const char *)sqlite3_column_text(q, 0),
					 (const char *)sqlite3_column_text(q, 1),
					 (const char *)sqlite3_column_text(q, 2),
					 (const char *)sqlite3_column_text(q, 3), ""};
		if (!n.id || !n.name || !n.display || !n.extra)
			return err_set(err, ERR_VERIFY, "index \"%s\" is damaged", s->name);
		rc = fn(payload, &n, err);
		if (rc)
			return rc;
	}
	return rc;
}

/* *ret: it has the names of all that it lists. */
static int names_listed(struct catalog *c, const char *what, catalog_name_fn fn, void *payload, bool *ret,
			struct err *err)
{
	int rc = all_has_names(c->db->sq, ret, err);

	if (!rc && *ret)
		rc = names_of_db(c->db->sq, what, fn, payload, err);
	if (rc != -ERR_VERIFY)
		return rc;
	db_forget(c, err); /* names given already come again: callers take that */
	return 0;
}

int catalog_names(struct catalog *c, const char *what, catalog_name_fn fn, void *payload, struct err *err)
{
	bool there = false;
	int rc = c->db ? names_listed(c, what, fn, payload, &there, err) : 0;

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < c->n_bundles && !rc; i++) {
		void *tmp auto_mem = mem_context(NULL, "names");
		struct bundle_reader *r;
		if (c->bundle[i].listed && there)
			continue;
		rc = bundle_open(tmp, c->store->root_dirfd, c->bundle[i].rel_path, &r, err);
		if (!rc)
			rc = catalog_bundle_names(r, what, fn, payload, err);
		if (rc == -ERR_VERIFY || (rc == -ERR_STORE && err->sys_errno))
			log_warn("%s; its names are not known", err->msg);
		/* Or removed since it was listed: whoever reads its rows tells that.  Names of the others count. */
		if (rc == -ERR_NOT_FOUND || rc == -ERR_VERIFY || (rc == -ERR_STORE && err->sys_errno)) {
			err_clear(err);
			rc = 0;
		}
	}
	return rc;
}
