/* bundle_frames.c - mmretain.json and frames.tsv: from the end of the file to the place of every row. */
#include "bundle_internal.h"
#include <jansson.h>

#include <stdlib.h>
#include <string.h>

static int bad(const struct bundle_reader *r, const char *what, struct err *err)
{
	return err_set(err, ERR_VERIFY, "\"%s\" is damaged: %s", r->name, what);
}

/* ---- mmretain.json ---- */

/* Its last key is the digest of everything before that key, so no byte of it can change unnoticed. */
static bool trailer_intact(const char *text, size_t len)
{
	static const char key[] = "\"check\":\"", end[] = "\"\n}\n";
	size_t tail = sizeof(key) - 1 + DIGEST_HEX + sizeof(end) - 1;
	struct digest d;
	char hex[DIGEST_HEX + 1];

	if (len < tail)
		return false;
	size_t body = len - tail;
	struct hash *h = hash_new(NULL);
	hash_bytes(h, text, body, &d);
	talloc_free(h);
	digest_hex(&d, hex);
	return memcmp(text + body, key, sizeof(key) - 1) == 0 &&
	       memcmp(text + body + sizeof(key) - 1, hex, DIGEST_HEX) == 0 &&
	       memcmp(text + len - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
}

static bool get_hex(json_t *o, const char *key, char ret[DIGEST_HEX + 1])
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s || strlen(s) != DIGEST_HEX || strspn(s, "0123456789abcdef") != DIGEST_HEX)
		return false;
	memcpy(ret, s, DIGEST_HEX + 1);
	return true;
}

static bool get_number(json_t *o, const char *key, uint64_t *ret)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static bool get_range(json_t *o, const char *key, size_t n_pos, uint32_t *ret_at, uint32_t *ret_n)
{
	json_t *v = json_object_get(o, key);
	json_int_t at = json_integer_value(json_array_get(v, 0)), n = json_integer_value(json_array_get(v, 1));

	if (at < 1 || n < 1 || (uint64_t)at >= n_pos || (uint64_t)n > n_pos - (uint64_t)at)
		return false;
	*ret_at = (uint32_t)at;
	*ret_n = (uint32_t)n;
	return true;
}

/* Absent: nothing was erased in it. */
static bool get_generation(json_t *o, struct trailer *t)
{
	t->generation = 1;
	if (!json_object_get(o, "generation"))
		return !json_object_get(o, "erased");
	return get_number(o, "generation", &t->generation) && t->generation > 1 && t->generation <= GENERATIONS_MAX &&
	       get_number(o, "erased", &t->erased);
}

static bool trailer_parse(json_t *o, size_t n_pos, struct trailer *t)
{
	const char *identity = json_string_value(json_object_get(o, "identity"));

	if (!identity || !bundle_name_plain(identity, sizeof(t->identity) - 1))
		return false;
	memcpy(t->identity, identity, strlen(identity) + 1);
	return get_generation(o, t) && get_hex(o, "rows_sha256", t->rows_hex) &&
	       get_hex(o, "manifest_sha256", t->manifest_hex) && get_hex(o, "tagmanifest_sha256", t->tagmanifest_hex) &&
	       get_hex(o, "prefix_sha256", t->prefix_hex) && get_number(o, "threads", &t->threads) &&
	       get_number(o, "rows", &t->rows) && get_number(o, "posts", &t->posts) &&
	       get_number(o, "blobs", &t->blobs) && get_number(o, "row_bytes", &t->row_bytes) &&
	       get_number(o, "prefix_bytes", &t->prefix_bytes) &&
	       get_range(o, "frames_tsv", n_pos, &t->frames_at, &t->frames_n) &&
	       get_range(o, "tagmanifest", n_pos, &t->tagmanifest_at, &t->tagmanifest_n);
}

int trailer_load(struct bundle_reader *r, struct err *err)
{
	json_error_t je;
	int rc = reader_frame(r, r->n_pos - 2, err);

	if (rc)
		return rc;
	if (r->raw.len > (1u << 16) || !trailer_intact(r->raw.data, r->raw.len))
		return bad(r, "its last member is not an intact mmretain.json", err);
	json_t *o = json_loadb(r->raw.data, r->raw.len, JSON_REJECT_DUPLICATES, &je);
	const char *format = json_string_value(json_object_get(o, "format"));
	if (format && strcmp(format, "mmr1") != 0) {
		rc = err_set(err, ERR_VERIFY, "\"%s\" has format %.16s, this program reads mmr1", r->name, format);
		err_hint(err, "Use a newer mmretain.");
	} else if (!format || !trailer_parse(o, r->n_pos, &r->trailer)) {
		rc = bad(r, "mmretain.json lacks a field", err);
	}
	json_decref(o);
	return rc;
}

bool trailer_precedes(const struct trailer *t, const char *text, size_t len, uint64_t generation)
{
	struct trailer old = {.generation = 0};
	json_error_t je;
	json_t *o = trailer_intact(text, len) ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &je) : NULL;
	bool ok = o && trailer_parse(o, SIZE_MAX, &old);

	json_decref(o);
	return ok && old.generation == generation && strcmp(old.identity, t->identity) == 0 &&
	       strcmp(old.rows_hex, t->rows_hex) == 0 && old.rows == t->rows && old.threads == t->threads &&
	       old.erased <= t->erased && old.posts >= t->posts && old.blobs >= t->blobs;
}

/* ---- frames.tsv ---- */

struct field { const char *s; size_t len; };
#define COLUMNS 12

static bool split(const char *line, size_t len, struct field f[COLUMNS])
{
	const char *end = line + len;

	for (int i = 0; i < COLUMNS; i++) {
		const char *tab = memchr(line, '\t', (size_t)(end - line));
		if ((tab == NULL) != (i == COLUMNS - 1))
			return false;
		f[i] = (struct field){line, (size_t)((tab ? tab : end) - line)};
		line = tab ? tab + 1 : end;
	}
	return true;
}

static bool number(struct field f, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (f.len == 0 || f.len > 18 || (f.len > 1 && f.s[0] == '0'))
		return false;
	for (size_t i = 0; i < f.len; i++) {
		if (f.s[i] < '0' || f.s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(f.s[i] - '0');
	}
	*ret = v;
	return v <= max;
}

static bool text(struct field f, char *ret, size_t cap)
{
	if (f.len >= cap || memchr(f.s, '\0', f.len))
		return false;
	memcpy(ret, f.s, f.len);
	ret[f.len] = '\0';
	return true;
}

static bool parse_line(struct bundle_reader *r, const char *line, size_t len, size_t *next)
{
	struct field f[COLUMNS];
	struct bundle_frame *b = &r->frame[r->n_frames];
	uint64_t no, offset, clen, rlen, min, max, threads, rows;

	if (!split(line, len, f) || !number(f[0], r->n_pos - 1, &no) || !number(f[1], r->size, &offset) ||
	    !number(f[2], UINT32_MAX, &clen) || !number(f[3], FRAME_RAW_MAX, &rlen) || !number(f[7], INT64_MAX, &min) ||
	    !number(f[8], INT64_MAX, &max) || !number(f[9], UINT32_MAX, &threads) || !number(f[10], UINT32_MAX, &rows))
		return false;
	const struct frame_pos *p = &r->pos[no];
	if (no < *next || p->offset != offset || p->clen != clen || p->rlen != rlen)
		return false;
	*next = no + 1;
	*b = (struct bundle_frame){.offset = offset, .clen = (uint32_t)clen, .rlen = (uint32_t)rlen, .no = (uint32_t)no,
				   .min_ms = (int64_t)min, .max_ms = (int64_t)max, .rows = (uint32_t)rows};
	r->threads[r->n_frames] = (uint32_t)threads;
	if (f[11].len > 0 && (f[11].len != DIGEST_HEX || !hex_decode(f[11].s, DIGEST_BYTES, r->root[r->n_frames].b)))
		return false;
	return text(f[4], b->member, sizeof(b->member)) && b->member[0] && (f[11].len > 0) == (rows > 0) &&
	       text(f[5], b->first_channel, sizeof(b->first_channel)) &&
	       text(f[6], b->last_channel, sizeof(b->last_channel));
}

static int parse_frames(struct bundle_reader *r, const char *p, size_t len, struct err *err)
{
	const char *end = p + len, *nl = memchr(p, '\n', len);
	size_t next = 0;

	for (p = nl ? nl + 1 : end; p < end; p = nl + 1) { /* after the heading */
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl || r->n_frames >= r->n_pos || !parse_line(r, p, (size_t)(nl - p), &next))
			return bad(r, "frames.tsv does not describe this file", err);
		r->n_frames++;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void index_names(struct bundle_reader *r)
{
	r->named = mem_array(r, struct named, r->n_frames + 1);
	for (size_t i = 0; i < r->n_frames; i++)
		if (i == 0 || strcmp(r->frame[i].member, r->frame[i - 1].member) != 0)
			r->named[r->n_named++] = (struct named){r->frame[i].member, i};
	qsort(r->named, r->n_named, sizeof(*r->named), by_name);
}

/* First frame of a member in r->frame, and how many frames it has; 0: there is none. */
size_t frames_find(const struct bundle_reader *r, const char *member, size_t *ret_at)
{
	struct named key = {member, 0};
	const struct named *e = bsearch(&key, r->named, r->n_named, sizeof(key), by_name);
	size_t n = 1;

	if (!e)
		return 0;
	while (e->at + n < r->n_frames && strcmp(r->frame[e->at + n].member, member) == 0)
		n++;
	*ret_at = e->at;
	return n;
}

int frames_load(struct bundle_reader *r, struct err *err)
{
	char *p;
	size_t len;
	int rc = reader_range(r, r, r->trailer.frames_at, r->trailer.frames_n, SMALL_MEMBER_MAX, &p, &len, err);

	if (rc)
		return rc;
	struct hash *h = hash_new(r);
	hash_bytes(h, p, len, &r->frames_sha256);
	talloc_free(h);
	r->frame = mem_array(r, struct bundle_frame, r->n_pos);
	r->root = mem_array(r, struct digest, r->n_pos);
	r->threads = mem_array(r, uint32_t, r->n_pos);
	rc = parse_frames(r, p, len, err);
	talloc_free(p);
	if (!rc)
		index_names(r);
	return rc;
}
