/* catalog_find.c - narrow a question to frames.  Whatever is in doubt widens the answer, never narrows it. */
#include "catalog_internal.h"

#include <stdlib.h>
#include <string.h>

/* With the last moment that counts and not the first that does not: two times that are clamped are the same. */
static bool overlaps(int64_t min_ms, int64_t max_ms, const struct catalog_query *q)
{
	int64_t last_ms = q->before_ms == INT64_MIN ? INT64_MIN : q->before_ms - 1;

	return clamp_ms(max_ms) >= clamp_ms(q->from_ms) && clamp_ms(min_ms) <= clamp_ms(last_ms);
}

/* ---- sidecars on demand ---- */

static int side_try(struct catalog *c, struct catalog_bundle *b, struct err *err)
{
	int rc = side_open(c, c->store, b->rel_path, &b->side, err);

	if (rc == 0 || !c->options.build)
		return rc;
	log_info("%s; building it", err->msg);
	err_clear(err);
	rc = catalog_add_bundle(c->store, b->rel_path, err);
	if (rc == 0)
		rc = side_open(c, c->store, b->rel_path, &b->side, err);
	return rc;
}

/* An archive has more bundles than a process may have files open. */
static void side_opened(struct catalog *c, struct catalog_bundle *b)
{
	size_t last = ARRAY_LEN(c->recent) - 1;
	struct catalog_bundle *old = c->recent[last];

	if (old) {
		talloc_free(old->side);
		old->side = NULL;
		old->opened = false;
	}
	memmove(c->recent + 1, c->recent, last * sizeof(*c->recent));
	c->recent[0] = b;
}

/* NULL: this bundle is to be read whole. */
static struct catalog_side *side_of(struct catalog *c, struct catalog_bundle *b)
{
	struct err err = {0};

	if (c->options.scan || b->size_bytes < WITHOUT_SIDE_BYTES)
		return NULL;
	if (!b->opened) {
		b->opened = true;
		if (side_try(c, b, &err) < 0) {
			log_warn("%s; reading the whole bundle", err.msg);
			c->without_index++;
		} else {
			side_opened(c, b);
		}
	}
	return b->side;
}

static void side_drop(struct catalog *c, struct catalog_bundle *b, struct err *err)
{
	log_warn("%s; reading the whole bundle, `mmretain reindex --all` builds it again", err->msg);
	for (size_t i = 0; i < ARRAY_LEN(c->recent); i++)
		if (c->recent[i] == b)
			c->recent[i] = NULL; /* it stays as tried */
	talloc_free(b->side);
	b->side = NULL;
	c->without_index++;
	err_clear(err);
}

/* ---- the catalog's coarse answer: false when the bundle cannot hold a match ---- */

static int listed_member(struct catalog *c, const struct catalog_bundle *b, const char *kind, const char *const *id,
			 size_t n, const struct catalog_query *q, struct err *err)
{
	sqlite3_stmt *s = c->db->member;

	for (size_t i = 0; i < n; i++) {
		sq_text(s, 1, kind);
		sq_text(s, 2, id[i]);
		(void)sqlite3_bind_int64(s, 3, b->listed_no);
		int rc = sq_step(c->db->sq, s, err);
		bool hit = rc > 0 && overlaps(sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), q);
		(void)sqlite3_reset(s); /* gives the error of the step again */
		if (rc < 0 || hit)
			return rc < 0 ? rc : 1;
	}
	return 0;
}

/* Damage is no answer: perhaps. */
int listed_may(struct catalog *c, const struct catalog_bundle *b, const struct catalog_query *q)
{
	struct err err = {0};
	int may = 1;

	if (!c->db || !b->listed)
		return 1;
	if (!overlaps(b->min_ms, b->max_ms, q))
		return 0;
	if (q->n_channels > 0)
		may = listed_member(c, b, "c", q->channel, q->n_channels, q, &err);
	if (may == 1 && q->n_users > 0)
		may = listed_member(c, b, "u", q->user, q->n_users, q, &err);
	return may < 0 ? 1 : may;
}

/* ---- the sidecar's answer: a bit per frame ---- */

struct bits { uint8_t *word; size_t n; };

static void bits_and(struct bits *a, const struct bits *b)
{
	for (size_t i = 0; i < a->n; i++)
		a->word[i] &= b->word[i];
}

static void bit_set(struct bits *b, int64_t frame)
{
	if (frame >= 0 && (uint64_t)frame < b->n)
		b->word[frame] = 1;
}

static int narrow_frames(struct catalog_side *side, const struct catalog_query *q, struct bits *ret, void *ctx,
			 struct err *err)
{
	auto_stmt sqlite3_stmt *s = NULL;
	int64_t last = -1;
	int rc = sq_number(side->sq, "SELECT coalesce(max(no), -1) FROM frame", &last, err);

	if (!rc)
		rc = sq_prepare(side->sq, "SELECT no, min_ms, max_ms, files FROM frame WHERE posts + files > 0", &s,
				err);
	if (rc)
		return rc;
	if (last < -1 || last >= 1 << FRAME_BITS)
		return err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->sq->name);
	ret->n = (size_t)(last + 1);
	ret->word = mem_array(ctx, uint8_t, ret->n + 1);
	while ((rc = sq_step(side->sq, s, err)) > 0)
		if (overlaps(sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2), q) &&
		    (!q->with_files || sqlite3_column_int64(s, 3) > 0))
			bit_set(ret, sqlite3_column_int64(s, 0));
	return rc;
}

static int narrow_spans(struct catalog_side *side, const char *kind, const char *const *id, size_t n,
			const struct catalog_query *q, struct bits *all, void *ctx, struct err *err)
{
	struct bits any = {mem_array(ctx, uint8_t, all->n + 1), all->n};
	sqlite3_stmt *s = side->spans;

	for (size_t i = 0; i < n; i++) {
		sq_text(s, 1, kind);
		sq_text(s, 2, id[i]);
		int rc = sq_step(side->sq, s, err);
		struct span_scan scan;
		struct span span;
		if (rc > 0) {
			span_scan_init(&scan, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
			while (span_scan_next(&scan, &span))
				if (overlaps(span.min_ms, span.max_ms, q))
					bit_set(&any, span.frame);
			if (scan.bad)
				rc = err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->sq->name);
		}
		(void)sqlite3_reset(s); /* gives the error of the step again */
		if (rc < 0)
			return rc;
	}
	bits_and(all, &any);
	return 0;
}

static int narrow_words(struct catalog_side *side, const char *match, struct bits *all, void *ctx, struct err *err)
{
	struct bits any = {mem_array(ctx, uint8_t, all->n + 1), all->n};
	sqlite3_stmt *s = side->words;
	int rc;

	sq_text(s, 1, match);
	while ((rc = sq_step(side->sq, s, err)) > 0)
		bit_set(&any, sqlite3_column_int64(s, 0));
	(void)sqlite3_reset(s); /* gives the error of the step again */
	bits_and(all, &any);
	return rc;
}

static int narrow(struct catalog_side *side, const struct catalog_query *q, struct bits *bits, void *ctx,
		  struct err *err)
{
	int rc = narrow_frames(side, q, bits, ctx, err);

	if (!rc && q->n_channels > 0)
		rc = narrow_spans(side, "c", q->channel, q->n_channels, q, bits, ctx, err);
	if (!rc && q->n_users > 0)
		rc = narrow_spans(side, "u", q->user, q->n_users, q, bits, ctx, err);
	if (!rc && q->match)
		rc = narrow_words(side, q->match, bits, ctx, err);
	return rc;
}

int catalog_frames(struct catalog *c, size_t i, const struct catalog_query *q, void *ctx, struct catalog_hits *ret,
		   struct err *err)
{
	struct catalog_bundle *b = &c->bundle[i];
	void *tmp auto_mem = mem_context(NULL, "narrow");
	struct bits bits = {0};

	*ret = (struct catalog_hits){0};
	if (!listed_may(c, b, q))
		return 0;
	struct catalog_side *side = side_of(c, b);
	if (side && narrow(side, q, &bits, tmp, err) < 0) {
		side_drop(c, b, err);
		side = NULL;
	}
	if (!side) {
		ret->all = true;
		return 0;
	}
	ret->frame = mem_array(ctx, uint32_t, bits.n + 1);
	for (size_t f = 0; f < bits.n; f++)
		if (bits.word[f])
			ret->frame[ret->n++] = (uint32_t)f;
	return 0;
}

/* ---- ids ---- */

static bool filter_may(struct catalog *c, const struct catalog_bundle *b, uint64_t key)
{
	sqlite3_stmt *s = c->db->filter;
	struct err err;
	bool may = true;

	(void)sqlite3_bind_int64(s, 1, b->listed_no);
	(void)sqlite3_bind_int64(s, 2, filter_block_of(key, b->listed_blocks));
	(void)sqlite3_bind_int64(s, 3, b->listed_blocks);
	sq_text(s, 4, b->rel_path);
	if (sq_step(c->db->sq, s, &err) > 0 && sqlite3_column_bytes(s, 0) == FILTER_BLOCK)
		may = filter_has(sqlite3_column_blob(s, 0), key);
	(void)sqlite3_reset(s); /* gives the error of the step again; damage means perhaps */
	return may;
}

/*
 * Callers go through the bundles one by one.  Every statement of its own locks the catalog anew, so that the answers
 * for a few bundles around are asked for in one transaction; it is over before any bundle is read.
 */
static void ask_around(struct catalog *c, size_t i, uint64_t key)
{
	struct catalog_db *d = c->db;
	size_t from = i - i % ANSWERS;
	struct err err;
	bool begun = sq_exec(d->sq, "BEGIN", &err) == 0;

	for (size_t k = from; k < from + ANSWERS && k < c->n_bundles; k++) {
		const struct catalog_bundle *b = &c->bundle[k];
		bool may = !b->listed || !b->listed_blocks || filter_may(c, b, key);
		d->answer[k] = may ? MAY_HOLD : HOLDS_NOT;
	}
	if (begun && sq_exec(d->sq, "COMMIT", &err) < 0)
		log_debug("%s", err.msg); /* nothing was written */
}

/* Those who ask for the newest first come back to what is around, so answers stay until another id is asked about. */
static bool id_may(struct catalog *c, size_t i, uint64_t key)
{
	struct catalog_db *d = c->db;

	if (!d->answer)
		d->answer = mem_array(d, uint8_t, c->n_bundles + 1);
	if (d->key != key)
		memset(d->answer, NOT_ASKED, c->n_bundles);
	d->key = key;
	if (d->answer[i] == NOT_ASKED)
		ask_around(c, i, key);
	return d->answer[i] == MAY_HOLD;
}

static int side_ids(struct catalog_side *side, uint64_t key, void *ctx, struct catalog_hits *ret, struct err *err)
{
	struct id_scan scan;
	sqlite3_stmt *s = side->ids;

	(void)sqlite3_bind_int64(s, 1, (int64_t)key);
	int rc = sq_step(side->sq, s, err);
	if (rc > 0) {
		id_scan_init(&scan, (uint64_t)sqlite3_column_int64(s, 0), sqlite3_column_blob(s, 1),
			     (size_t)sqlite3_column_bytes(s, 1));
		while (id_scan_next(&scan) && scan.key <= key) {
			if (scan.key != key)
				continue;
			ret->frame = mem_grow(ctx, ret->frame, uint32_t, ret->n + 1);
			ret->frame[ret->n++] = scan.frame;
		}
		if (scan.bad)
			rc = err_set(err, ERR_VERIFY, "index \"%s\" is damaged", side->sq->name);
	}
	(void)sqlite3_reset(s); /* gives the error of the step again */
	return rc < 0 ? rc : 0;
}

int catalog_frames_of_id(struct catalog *c, size_t i, const char *id, void *ctx, struct catalog_hits *ret,
			 struct err *err)
{
	struct catalog_bundle *b = &c->bundle[i];
	uint64_t key = id_key(id, strlen(id));

	*ret = (struct catalog_hits){0};
	if (c->db && b->listed && !id_may(c, i, key))
		return 0;
	struct catalog_side *side = side_of(c, b);
	if (side && side_ids(side, key, ctx, ret, err) < 0) {
		side_drop(c, b, err);
		side = NULL;
		*ret = (struct catalog_hits){0};
	}
	ret->all = side == NULL;
	return 0;
}

/* ---- indexes against bundles ---- */

uint64_t catalog_gone(const struct catalog *c)
{
	struct err ignored;
	int64_t lines = 0;

	/* Damaged: as if it knew nothing. */
	if (!c->db || sq_number(c->db->sq, "SELECT count(*) FROM bundle", &lines, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < c->n_bundles; i++)
		lines -= c->bundle[i].listed;
	return lines > 0 ? (uint64_t)lines : 0;
}

int catalog_verify(const struct store *store, struct catalog_check *ret, struct err *err)
{
	static const struct catalog_options options = {0};
	void *tmp auto_mem = mem_context(NULL, "catalog");
	struct catalog_check sum = {0};
	struct catalog *c;
	int rc = catalog_open(tmp, store, &options, &c, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < c->n_bundles; i++) {
		struct catalog_side *side;
		sum.unlisted += !c->bundle[i].listed;
		if (c->bundle[i].size_bytes < WITHOUT_SIDE_BYTES)
			continue;
		rc = side_open(tmp, store, c->bundle[i].rel_path, &side, err);
		sum.missing += rc == -ERR_NOT_FOUND;
		sum.stale += rc < 0 && rc != -ERR_NOT_FOUND;
		if (rc == 0)
			talloc_free(side);
		err_clear(err);
	}
	sum.bundles = c->n_bundles;
	sum.gone = catalog_gone(c);
	*ret = sum;
	return 0;
}
