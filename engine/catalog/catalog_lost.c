/*
 * catalog_lost.c - which ids a bundle held that is lost.
 *
 * Indexes may be deleted at any time and are made from bundles alone.  Of a bundle that no longer exists they are the
 * last witness, so what they say of its ids is written down where the ledger is, before they forget it.
 */
#include "catalog_internal.h"

#include <mmretain/ledger.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEYS_A_LINE 1000u
#define KEY_HEX 10u                     /* digits of ID_BITS */
#define LOST_MAX ((size_t)256 << 20)    /* bytes of such a file */

const char *catalog_lost_name(enum catalog_lost kind)
{
	return kind == CATALOG_LOST_KEYS ? "index" : kind == CATALOG_LOST_FILTER ? "filter" : "none";
}

/* ---- what indexes know ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int take_keys(void *ctx, struct sq *side, struct catalog_lost_ids *ret, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(side, "SELECT first, data FROM ids", &q, err);
	size_t room = 0;

	while (rc >= 0 && q && (rc = sq_step(side, q, err)) > 0) {
		struct id_scan scan;

		id_scan_init(&scan, (uint64_t)sqlite3_column_int64(q, 0), sqlite3_column_blob(q, 1),
			     (size_t)sqlite3_column_bytes(q, 1));
		while (id_scan_next(&scan)) {
			if (ret->n == room) {
				if (!(room = ids_room(room)))
					return err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->name);
				ret->key = mem_grow(ctx, ret->key, uint64_t, room);
			}
			ret->key[ret->n++] = scan.key;
		}
		if (scan.bad)
			return err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->name);
	}
	if (rc == 0 && ret->n)
		qsort(ret->key, ret->n, sizeof(*ret->key), by_number);
	return rc;
}

/* The bundle cannot vouch for it any more; its size is what the ledger knows of both. */
int lost_from_side(void *ctx, const struct store *store, const char *rel_path, uint64_t file_bytes,
		   struct catalog_lost_ids *ret, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "lost");
	char *rel = side_rel_path(tmp, rel_path);
	int64_t application, version, bytes;
	struct stat st;
	struct sq *side;
	int rc;

	if (fstatat(store->root_dirfd, rel, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "bundle \"%s\" has no index", rel_path);
	if ((rc = sq_open(tmp, sq_path(tmp, store, rel), SQ_READ_FIXED, &side, err)) < 0 ||
	    (rc = sq_number(side, "PRAGMA application_id", &application, err)) < 0 ||
	    (rc = sq_number(side, "PRAGMA user_version", &version, err)) < 0 ||
	    (rc = sq_number(side, "SELECT bytes FROM about", &bytes, err)) < 0)
		return rc;
	if (application != SIDE_APPLICATION || version != INDEX_VERSION ||
	    (file_bytes && (uint64_t)bytes != file_bytes))
		return err_set(err, ERR_VERIFY, "index \"%s\" was made from another file", rel);
	if ((rc = take_keys(ctx, side, ret, err)) == 0)
		ret->kind = CATALOG_LOST_KEYS;
	return rc;
}

static int take_filter(void *ctx, struct sq *s, int64_t no, struct catalog_lost_ids *ret, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(s, "SELECT block, bits FROM filter WHERE bundle = ?1", &q, err);
	uint32_t seen = 0;

	if (rc)
		return rc;
	ret->filter = mem_array(ctx, uint8_t, (size_t)ret->n_blocks * FILTER_BLOCK);
	(void)sqlite3_bind_int64(q, 1, no);
	while ((rc = sq_step(s, q, err)) > 0) {
		int64_t block = sqlite3_column_int64(q, 0);

		if (block < 0 || block >= ret->n_blocks || sqlite3_column_bytes(q, 1) != (int)FILTER_BLOCK)
			break;
		memcpy(ret->filter + (size_t)block * FILTER_BLOCK, sqlite3_column_blob(q, 1), FILTER_BLOCK);
		seen++;
	}
	if (rc == 0 && seen == ret->n_blocks)
		return 0;
	return rc < 0 ? rc : err_set(err, ERR_VERIFY, "\"%s\" is damaged", s->name);
}

/* A run that was killed may have left a journal, and whoever only reads cannot roll it back. */
static int open_catalog(void *ctx, const struct store *store, struct sq **ret, struct err *err)
{
	struct stat st;

	if (fstatat(store->root_dirfd, CATALOG_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "the archive has no \"%s\"", CATALOG_NAME);
	return sq_open(ctx, sq_path(ctx, store, CATALOG_NAME), SQ_WRITE, ret, err);
}

int lost_from_list(void *ctx, struct sq *s, const char *rel_path, struct catalog_lost_ids *ret, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(s, "SELECT no, blocks FROM bundle WHERE rel_path = ?1", &q, err);

	if (rc < 0)
		return rc;
	sq_text(q, 1, rel_path);
	if ((rc = sq_step(s, q, err)) <= 0)
		return rc < 0 ? rc : err_set(err, ERR_NOT_FOUND, "the catalog does not know \"%s\"", rel_path);
	if (sqlite3_column_int64(q, 1) <= 0 || sqlite3_column_int64(q, 1) > (int64_t)(LOST_MAX / (4 * FILTER_BLOCK)))
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged", s->name);
	ret->n_blocks = (uint32_t)sqlite3_column_int64(q, 1);
	if ((rc = take_filter(ctx, s, sqlite3_column_int64(q, 0), ret, err)) == 0)
		ret->kind = CATALOG_LOST_FILTER;
	return rc;
}

static int from_catalog(void *ctx, const struct store *store, const char *rel_path, struct catalog_lost_ids *ret,
			struct err *err)
{
	auto_fd int lock = -1;
	void *tmp auto_mem = mem_context(NULL, "lost");
	struct sq *s;
	int rc = store_lock_indexes(store, &lock, err);

	return rc < 0 || (rc = open_catalog(tmp, store, &s, err)) < 0 || (rc = all_check(s, err)) < 0
		       ? rc
		       : lost_from_list(ctx, s, rel_path, ret, err);
}

static void from_indexes(void *ctx, const struct store *store, const char *rel_path, uint64_t file_bytes,
			 struct catalog_lost_ids *ret)
{
	struct err why = {0};

	*ret = (struct catalog_lost_ids){.kind = CATALOG_LOST_NONE};
	if (lost_from_side(ctx, store, rel_path, file_bytes, ret, &why) == 0)
		return;
	log_debug("%s", why.msg);
	*ret = (struct catalog_lost_ids){.kind = CATALOG_LOST_NONE};
	if (from_catalog(ctx, store, rel_path, ret, &why) == 0)
		return;
	log_debug("%s", why.msg);
	*ret = (struct catalog_lost_ids){.kind = CATALOG_LOST_NONE};
}

/* Indexes may have gone since they were asked. */
void catalog_lost_find(void *ctx, const struct store *store, const char *rel_path, const char *rows_digest,
		       uint64_t file_bytes, struct catalog_lost_ids *ret)
{
	struct catalog_lost_ids saved;
	struct err why = {0};

	from_indexes(ctx, store, rel_path, file_bytes, ret);
	if (ret->kind != CATALOG_LOST_KEYS && catalog_lost_read(ctx, store, rows_digest, &saved, &why) == 0 &&
	    saved.kind > ret->kind)
		*ret = saved;
}

bool catalog_lost_has(const struct catalog_lost_ids *l, const char *id, size_t len)
{
	uint64_t key = id_key(id, len);

	if (l->kind == CATALOG_LOST_KEYS)
		return l->n && bsearch(&key, l->key, l->n, sizeof(*l->key), by_number);
	return l->kind == CATALOG_LOST_FILTER &&
	       filter_has(l->filter + (size_t)filter_block_of(key, l->n_blocks) * FILTER_BLOCK, key);
}

/* ---- the file ---- */

static char *file_name(void *ctx, const char *rows_digest)
{
	return mem_printf(ctx, "lost-%.12s.jsonl", rows_digest);
}

static void put_keys(struct buf *b, const struct catalog_lost_ids *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, "%s%0*llx%s", i % KEYS_A_LINE ? "" : "{\"keys\":\"", (int)KEY_HEX,
			   (unsigned long long)l->key[i],
			   i % KEYS_A_LINE == KEYS_A_LINE - 1 || i + 1 == l->n ? "\"}\n" : "");
}

static void put_filter(struct buf *b, const struct catalog_lost_ids *l)
{
	char hex[2 * FILTER_BLOCK + 1];

	for (uint32_t i = 0; i < l->n_blocks; i++) {
		hex_encode(l->filter + (size_t)i * FILTER_BLOCK, FILTER_BLOCK, hex);
		buf_printf(b, "{\"bits\":\"%s\"}\n", hex);
	}
}

int catalog_lost_save(const struct store *store, const char *bundle, const char *rows_digest,
		      const struct catalog_lost_ids *l, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "lost");
	struct buf b;

	buf_init(&b, tmp, LOST_MAX);
	buf_puts(&b, "{\"lost\":1,\"bundle\":");
	json_put_string(&b, bundle, strlen(bundle));
	buf_printf(&b, ",\"ids\":\"%s\"}\n", catalog_lost_name(l->kind));
	if (l->kind == CATALOG_LOST_KEYS)
		put_keys(&b, l);
	else if (l->kind == CATALOG_LOST_FILTER)
		put_filter(&b, l);
	if (b.overflow)
		return err_set(err, ERR_STORE, "the list of ids of %s is too large", bundle);
	/* Before: nothing, or the same of a call that ended early.  After: it is there, and no line names it yet:
	 * harmless, and written again. */
	return file_replace(store->ledger_dirfd, file_name(tmp, rows_digest), b.data, b.len, 0640, err);
}

/* Out of order they would not be found, and a bundle would seem to have held nothing. */
static bool read_keys(void *ctx, const struct json_scan *s, struct catalog_lost_ids *ret)
{
	size_t n = s->val_len / KEY_HEX;
	uint8_t one[KEY_HEX / 2];

	if (s->val_len % KEY_HEX)
		return false;
	ret->key = mem_grow(ctx, ret->key, uint64_t, ret->n + n + 1);
	for (size_t i = 0; i < n; i++) {
		uint64_t key = 0;

		if (!hex_decode(s->val + i * KEY_HEX, sizeof one, one))
			return false;
		for (size_t k = 0; k < sizeof one; k++)
			key = key << 8 | one[k];
		if (ret->n && ret->key[ret->n - 1] > key)
			return false;
		ret->key[ret->n++] = key;
	}
	ret->kind = CATALOG_LOST_KEYS;
	return true;
}

static bool read_bits(void *ctx, const struct json_scan *s, struct catalog_lost_ids *ret)
{
	ret->filter = mem_grow(ctx, ret->filter, uint8_t, (size_t)(ret->n_blocks + 1) * FILTER_BLOCK);
	ret->kind = CATALOG_LOST_FILTER;
	return s->val_len == 2 * FILTER_BLOCK &&
	       hex_decode(s->val, FILTER_BLOCK, ret->filter + (size_t)ret->n_blocks++ * FILTER_BLOCK);
}

int catalog_lost_read(void *ctx, const struct store *store, const char *rows_digest, struct catalog_lost_ids *ret,
		      struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "lost");
	char *name = file_name(tmp, rows_digest), *text, *line, *end;
	bool ok = true;
	size_t len;
	int rc = file_read(tmp, store->ledger_dirfd, name, LOST_MAX, &text, &len, err);

	*ret = (struct catalog_lost_ids){.kind = CATALOG_LOST_NONE};
	if (rc)
		return rc;
	for (line = text; ok && (end = strchr(line, '\n')); line = end + 1) {
		struct json_scan s;

		json_scan_init(&s, line, (size_t)(end - line));
		while (ok && json_scan_next(&s))
			if (s.key_len == 4 && s.type == JSON_STR)
				ok = memcmp(s.key, "keys", 4) == 0
					     ? read_keys(ctx, &s, ret)
					     : memcmp(s.key, "bits", 4) != 0 || read_bits(ctx, &s, ret);
		ok = ok && !s.bad;
	}
	ok = ok && line == text + len; /* of one that was cut the rest would seem never to have been there */
	return ok ? 0 : err_set(err, ERR_VERIFY, "\"ledger/%s\" is damaged", name);
}

int catalog_lost_forget(const struct store *store, const char *rows_digest, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "lost");
	bool was;

	/* Before: a list that nobody asks any more.  After: none. */
	return rows_digest[0]
		       ? store_remove(store, mem_printf(tmp, "ledger/%s", file_name(tmp, rows_digest)), NULL, &was, err)
		       : 0;
}

/* ---- before a catalog forgets ---- */

enum { NAME_DIGITS = 12 }; /* of the rows digest, in the name of a bundle: mmr1-...-<12 digits>[-e<n>].tar.zst */

/* Its name, and the digits in it; false: it has none. */
static bool split_name(const char *rel_path, const char **ret_name, char ret[NAME_DIGITS + 1])
{
	const char *slash = strrchr(rel_path, '/'), *name = slash ? slash + 1 : rel_path, *end = strrchr(name, '.'), *p;

	end = end && end - name > 4 && strcmp(end - 4, ".tar.zst") == 0 ? end - 4 : name;
	for (int word = 0; word < 2; word++, end = p) { /* the last, or the one before the generation */
		for (p = end; p > name && p[-1] != '-'; p--)
			;
		if (end - p == NAME_DIGITS) {
			memcpy(ret, p, NAME_DIGITS);
			ret[NAME_DIGITS] = '\0';
			*ret_name = name;
			return true;
		}
		p -= p > name;
	}
	return false;
}

/* An old catalog, out of a copy, lists what was removed long ago: nobody asks for it.  A ledger that cannot be read
 * says nothing. */
static bool has_expired(const struct store *store, struct lost_known *known, const char *digits)
{
	struct ledger_archive *a;
	struct err why = {0};

	if (!known->asked && ledger_archive(known->ctx, store->ledger_dirfd, &a, &why) == 0)
		known->ledger = a;
	known->asked = true;
	for (size_t i = 0; known->ledger && i < known->ledger->n; i++)
		if (known->ledger->bundle[i].expiry == LEDGER_EXPIRED &&
		    strncmp(known->ledger->bundle[i].rows_digest, digits, NAME_DIGITS) == 0)
			return true;
	return false;
}

int lost_keep(const struct store *store, struct sq *s, const char *rel_path, struct lost_known *known, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "lost");
	struct catalog_lost_ids ids = {.kind = CATALOG_LOST_NONE}, saved;
	char digits[NAME_DIGITS + 1];
	struct err none = {0};
	const char *name;

	if (!split_name(rel_path, &name, digits) || has_expired(store, known, digits) ||
	    lost_from_list(tmp, s, rel_path, &ids, &none) < 0 ||
	    (catalog_lost_read(tmp, store, digits, &saved, &none) == 0 && saved.kind >= ids.kind))
		return 0;
	log_info("bundle %s cannot be read; what the catalog knows of its ids is kept in ledger/", name);
	return catalog_lost_save(store, name, digits, &ids, err);
}

/* By the digits: a later generation of the same bundle counts, too. */
static int is_in(struct sq *s, const char *rel_path, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	char digits[NAME_DIGITS + 1];
	const char *name;
	int rc;

	if (!split_name(rel_path, &name, digits))
		return 1;
	if ((rc = sq_prepare(s, "SELECT 1 FROM bundle WHERE instr(rel_path, ?1)", &q, err)) < 0)
		return rc;
	sq_text(q, 1, digits);
	return sq_step(s, q, err);
}

int lost_keep_left(const struct store *store, struct sq *anew, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "lost");
	auto_stmt sqlite3_stmt *q = NULL;
	struct lost_known known = {.ctx = tmp};
	struct err none = {0};
	struct sq *old;
	int rc = 0;

	if (open_catalog(tmp, store, &old, &none) < 0 || all_check(old, &none) < 0 ||
	    sq_prepare(old, "SELECT rel_path FROM bundle", &q, &none) < 0)
		return 0; /* there is none, or it tells nothing */
	while (rc >= 0 && sq_step(old, q, &none) > 0) {
		const char *rel_path = (const char *)sqlite3_column_text(q, 0);

		if (rel_path && (rc = is_in(anew, rel_path, err)) == 0)
			rc = lost_keep(store, old, rel_path, &known, err);
	}
	return rc < 0 ? rc : 0;
}
