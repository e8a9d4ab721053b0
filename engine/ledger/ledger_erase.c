/*
 * ledger_erase.c - bundles that were written again: which file is the bundle, and which erasure is not done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_internal.h"

static bool key_is(const struct json_scan *s, const char *key)
{
	return s->key_len == strlen(key) && memcmp(s->key, key, s->key_len) == 0;
}

static char *text_of(void *ctx, const struct json_scan *s)
{
	struct buf b;

	buf_init(&b, ctx, LEDGER_LINE_MAX);
	(void)json_unescape(&b, s->val, s->val_len); /* the walk has seen that the line is JSON */
	return mem_strndup(ctx, b.data ? b.data : "", b.len);
}

static void take_text(void *ctx, struct ledger_erasure *e, const struct json_scan *s)
{
	const struct { const char *key; char **slot; } text[] = {
		{"bundle", &e->bundle}, {"rel_path", &e->rel_path}, {"old_rel_path", &e->old_rel_path},
		{"person_digest", &e->person_digest}, {"case", &e->case_id},
	};
	const struct { const char *key; char *slot; } digest[] = {
		{"file_digest", e->file_digest}, {"old_file_digest", e->old_file_digest},
		{"rows_digest", e->rows_digest},
	};

	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		if (key_is(s, text[i].key))
			*text[i].slot = text_of(ctx, s);
	for (size_t i = 0; i < ARRAY_LEN(digest); i++)
		if (key_is(s, digest[i].key) && s->val_len == DIGEST_HEX)
			memcpy(digest[i].slot, s->val, DIGEST_HEX);
}

static void take_number(struct ledger_erasure *e, const struct json_scan *s)
{
	const struct { const char *key; uint64_t *slot; } number[] = {
		{"generation", &e->generation}, {"rows", &e->rows}, {"posts", &e->posts}, {"blobs", &e->blobs},
	};

	for (size_t i = 0; i < ARRAY_LEN(number); i++)
		if (key_is(s, number[i].key))
			*number[i].slot = strtoull(s->val, NULL, 10); /* a comma follows */
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Somebody else's in the same bundle is still to be done, also when the next one has got the name of its file. */
static bool takes_place_of(const struct ledger_erasure *e, const struct ledger_erasure *old)
{
	if (e->person_digest && old->person_digest)
		return same_text(e->person_digest, old->person_digest) && same_text(e->bundle, old->bundle);
	return same_text(e->rel_path, old->rel_path);
}

void ledger_erasure_take(struct ledger_state *st, const char *line, size_t len, enum ledger_erasure_step step)
{
	struct ledger_erasure e = {.withdrawn = step == ERASURE_WITHDRAWN};
	struct json_scan s;
	size_t kept = 0;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (s.type == JSON_STR)
			take_text(st, &e, &s);
		else if (s.type == JSON_NUMBER)
			take_number(&e, &s);
	}
	if (!e.bundle || !e.rel_path || !e.old_rel_path)
		return;
	/* One that begins again takes the place of one that was given up. */
	for (size_t i = 0; i < st->n_erasing; i++) {
		if (takes_place_of(&e, &st->erasing[i]))
			continue;
		st->erasing[i].given_up |= same_text(e.rel_path, st->erasing[i].rel_path);
		st->erasing[kept++] = st->erasing[i];
	}
	st->n_erasing = kept;
	if (step == ERASURE_DONE)
		return;
	st->erasing = mem_grow(st, st->erasing, struct ledger_erasure, st->n_erasing + 1);
	st->erasing[st->n_erasing++] = e;
}

void ledger_erasure_forget(struct ledger_state *st, const char *bundle)
{
	size_t kept = 0;

	for (size_t i = 0; i < st->n_erasing; i++)
		if (!same_text(st->erasing[i].bundle, bundle))
			st->erasing[kept++] = st->erasing[i];
	st->n_erasing = kept;
}

/* ---- the voucher ---- */

struct vouch { const char *rel_path; size_t len; struct ledger_voucher *ret; };

static bool value_is(const struct json_scan *s, const char *text, size_t len)
{
	return s->type == JSON_STR && s->val_len == len && memcmp(s->val, text, len) == 0;
}

static bool is_type(const struct json_scan *s, const char *type)
{
	return value_is(s, type, strlen(type));
}

static int on_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	struct vouch *v = payload;
	struct ledger_voucher now = {.found = false};
	bool mine = false, old = false, vouches = false, erased = false, withdrawn = false, file = false, rows = false;
	struct json_scan s;
	char by[sizeof(now.by)] = "", person[DIGEST_HEX + 1] = "";

	(void)seq;
	(void)err;
	if (!memmem(line, len, v->rel_path, v->len))
		return 0;
	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (key_is(&s, "type")) {
			erased = is_type(&s, "erased");
			withdrawn = is_type(&s, "erasure-withdrawn");
			vouches = erased || is_type(&s, "erasing") || is_type(&s, "published");
		}
		if (key_is(&s, "rel_path") && s.type == JSON_STR && s.val_len < sizeof(by))
			snprintf(by, sizeof(by), "%.*s", (int)s.val_len, s.val);
		mine |= key_is(&s, "rel_path") && value_is(&s, v->rel_path, v->len);
		old |= key_is(&s, "old_rel_path") && value_is(&s, v->rel_path, v->len);
		if (key_is(&s, "bundle") && s.val_len < sizeof(now.bundle))
			memcpy(now.bundle, s.val, s.val_len);
		if (key_is(&s, "file_digest") && s.val_len == DIGEST_HEX)
			file = hex_decode(s.val, DIGEST_BYTES, now.file.b);
		if (key_is(&s, "person_digest") && s.val_len == DIGEST_HEX)
			memcpy(person, s.val, DIGEST_HEX);
		if (key_is(&s, "rows_digest") && s.val_len == DIGEST_HEX)
			rows = hex_decode(s.val, DIGEST_BYTES, now.rows.b);
	}
	if (erased && old) {
		v->ret->replaced = true;
		memcpy(v->ret->by, by, sizeof(by));
		memcpy(v->ret->person_digest, person, sizeof(person));
	}
	if (withdrawn && mine)
		*v->ret = now;
	if (!vouches || !mine || !file || !rows)
		return 0;
	now.found = true;
	*v->ret = now;
	return 0;
}

int ledger_vouch(int ledger_dirfd, const char *rel_path, struct ledger_voucher *ret, struct err *err)
{
	struct vouch v = {.rel_path = rel_path, .len = strlen(rel_path), .ret = ret};

	*ret = (struct ledger_voucher){.found = false};
	return ledger_read(ledger_dirfd, on_line, &v, err);
}
