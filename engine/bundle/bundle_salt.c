/* bundle_salt.c - one salt per person and bundle.  Rows of one person can later be replaced by their commitments and
 * the salt dropped; the tree over everybody's rows stays provable and the text cannot be guessed from it. */
#include "bundle_internal.h"

#include <string.h>
#include <uthash.h>

struct salt {
	UT_hash_handle hh;
	uint8_t salt[SALT_BYTES];
	size_t len;
	char owner[];
};

struct salts {
	struct salt *table; /* uthash keeps the order of insertion: the order of salts.jsonl */
	struct salt *last;  /* rows of one person often follow each other */
};

static int salts_free(struct salts *s)
{
	HASH_CLEAR(hh, s->table);
	return 0;
}

struct salts *salts_new(void *ctx)
{
	struct salts *s = mem_new(ctx, struct salts);

	talloc_set_destructor(s, salts_free);
	return s;
}

static struct salt *salts_get(struct salts *s, const char *owner, size_t len)
{
	struct salt *e = s->last;

	if (e && e->len == len && memcmp(e->owner, owner, len) == 0)
		return e;
	HASH_FIND(hh, s->table, owner, len, e);
	if (e)
		s->last = e;
	return e;
}

static struct salt *salts_add(struct salts *s, const char *owner, size_t len)
{
	struct salt *e = mem_check(talloc_zero_size(s, sizeof(*e) + len + 1));

	memcpy(e->owner, owner, len);
	e->len = len;
	HASH_ADD_KEYPTR(hh, s->table, e->owner, e->len, e);
	return e;
}

/* salt = HMAC-SHA-256(secret, identity || 0 || owner)[0..16]: no state to keep, and the same rows give the same bytes.
 */
const uint8_t *salts_make(struct salts *s, const uint8_t secret[32], const char *identity, const char *owner,
			  size_t len)
{
	struct salt *e = salts_get(s, owner, len);
	struct digest mac;

	if (e)
		return e->salt;
	e = salts_add(s, owner, len);
	size_t id_len = strlen(identity) + 1;
	char *in = mem_array(s, char, id_len + len);
	memcpy(in, identity, id_len);
	memcpy(in + id_len, owner, len);
	hash_hmac(secret, 32, in, id_len + len, &mac);
	talloc_free(in);
	memcpy(e->salt, mac.b, SALT_BYTES);
	return e->salt;
}

const struct salt *salts_find(const struct salts *s, const struct salt *last, const char *owner, size_t len)
{
	struct salt *e;

	if (last && last->len == len && memcmp(last->owner, owner, len) == 0)
		return last;
	HASH_FIND(hh, s->table, owner, len, e);
	return e;
}

const uint8_t *salt_bytes(const struct salt *e)
{
	return e->salt;
}

void salts_write(struct buf *b, const struct salts *s)
{
	char hex[2 * SALT_BYTES + 1];

	for (const struct salt *e = s->table; e; e = e->hh.next) {
		hex_encode(e->salt, SALT_BYTES, hex);
		buf_byte(b, '{');
		codec_put_text(b, "", "owner", e->owner, e->len);
		buf_printf(b, ",\"salt\":\"%s\"}\n", hex);
	}
}

/* Owners with bad UTF-8 stand as base64 and are compared in that form: see owner_of in bundle_rows.c. */
static int salts_line(struct salts *s, const char *line, size_t len, struct err *err)
{
	struct json_scan scan;
	const char *owner = NULL, *salt = NULL;
	size_t owner_len = 0, salt_len = 0;

	json_scan_init(&scan, line, len);
	while (json_scan_next(&scan)) {
		if (scan.type == JSON_STR && scan.key_len == 4 && memcmp(scan.key, "salt", 4) == 0)
			salt = scan.val, salt_len = scan.val_len;
		else if (scan.type == JSON_STR && scan.key_len >= 5 && memcmp(scan.key, "owner", 5) == 0)
			owner = scan.val, owner_len = scan.val_len;
	}
	if (scan.bad || !owner || !salt || salt_len != 2 * SALT_BYTES)
		return err_set(err, ERR_VERIFY, "salts.jsonl has a line that is not an owner and a salt");
	if (salts_get(s, owner, owner_len))
		return err_set(err, ERR_VERIFY, "salts.jsonl names an owner twice");
	struct salt *e = salts_add(s, owner, owner_len);
	if (!hex_decode(salt, SALT_BYTES, e->salt))
		return err_set(err, ERR_VERIFY, "salts.jsonl has a salt that is not hexadecimal");
	return 0;
}

int salts_parse(struct salts *s, const char *text, size_t len, struct err *err)
{
	const char *end = text + len;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		if (!nl)
			return err_set(err, ERR_VERIFY, "salts.jsonl does not end with a newline");
		int rc = salts_line(s, text, (size_t)(nl - text), err);
		if (rc)
			return rc;
		text = nl + 1;
	}
	return 0;
}

void salt_commit(struct hash *h, const uint8_t salt[SALT_BYTES], const char *line, size_t len, struct digest *ret)
{
	hash_update(h, salt, SALT_BYTES);
	hash_update(h, line, len);
	hash_final(h, ret);
}
