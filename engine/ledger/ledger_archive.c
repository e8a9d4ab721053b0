/*
 * ledger_archive.c - every bundle that was ever published, and what became of it.
 *
 * ledger_fold forgets a bundle when its run is done with it; what expires is years older than that.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger_internal.h"

enum { NAME_DIGITS = 12 };

struct archive_fold {
	struct ledger_archive *to;
	size_t room;
	/* table of bundles: their number + 1; 0: free.  uthash takes 56 bytes more for each of what may be a hundred
	 * thousand */
	uint32_t *slot; size_t n_slots;
	struct mem_crumbs text; /* paths and names, which stay */
	char **rule; size_t n_rules;
	char *run;             /* of the line before */
	void *scratch;         /* emptied for each line */
};

/* The fields of one line that matter here; unescaped, in scratch. */
struct line {
	char *type, *at, *run, *bundle, *rel_path, *rule, *rows_digest, *file_digest, *found, *ids, *reason, *host;
	int64_t expires_ms, threads, posts, rows, file_bytes, open_xid, uid;
	bool has_expiry, deleting;
};

bool ledger_key_is(const struct json_scan *s, const char *key)
{
	return s->key_len == strlen(key) && memcmp(s->key, key, s->key_len) == 0;
}

void ledger_take_text(void *ctx, const struct json_scan *s, const struct ledger_slot *slots, size_t n)
{
	struct buf b;

	for (size_t i = 0; i < n; i++) {
		if (!ledger_key_is(s, slots[i].key))
			continue;
		buf_init(&b, ctx, LEDGER_LINE_MAX);
		(void)json_unescape(&b, s->val, s->val_len); /* the walk has seen that the line is JSON */
		*slots[i].slot = mem_strndup(ctx, b.data ? b.data : "", b.len);
	}
}

static void take_text(void *ctx, const struct json_scan *s, struct line *l)
{
	const struct ledger_slot slots[] = {
		{"type", &l->type}, {"at", &l->at}, {"run", &l->run}, {"bundle", &l->bundle},
		{"rel_path", &l->rel_path}, {"rule", &l->rule},
		{"rows_digest", &l->rows_digest}, {"file_digest", &l->file_digest}, {"found", &l->found},
		{"ids", &l->ids}, {"reason", &l->reason}, {"host", &l->host},
	};

	ledger_take_text(ctx, s, slots, ARRAY_LEN(slots));
}

static void take_number(const struct json_scan *s, struct line *l)
{
	const struct { const char *key; int64_t *slot; } slots[] = {
		{"expires_ms", &l->expires_ms}, {"threads", &l->threads}, {"posts", &l->posts}, {"rows", &l->rows},
		{"file_bytes", &l->file_bytes},
		{"open_xid", &l->open_xid}, {"uid", &l->uid},
	};

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (ledger_key_is(s, slots[i].key))
			*slots[i].slot = strtoll(s->val, NULL, 10);
	l->has_expiry |= ledger_key_is(s, "expires_ms");
}

static void scan_line(void *ctx, const char *text, size_t len, struct line *l)
{
	struct json_scan s;

	*l = (struct line){0};
	json_scan_init(&s, text, len);
	while (json_scan_next(&s)) {
		if (s.type == JSON_STR)
			take_text(ctx, &s, l);
		else if (s.type == JSON_NUMBER)
			take_number(&s, l);
		else if (s.type == SCAN_TRUE && ledger_key_is(&s, "deleting"))
			l->deleting = true;
	}
}

static char *copy(void *ctx, const char *s)
{
	return mem_strdup(ctx, s ? s : "");
}

static void copy_digest(char to[DIGEST_HEX + 1], const char *from)
{
	if (from && strlen(from) == DIGEST_HEX)
		memcpy(to, from, DIGEST_HEX + 1);
}

static char *keep(struct archive_fold *f, const char *s)
{
	return mem_crumb_text(&f->text, s ? s : "", s ? strlen(s) : 0);
}

static char *keep_rule(struct archive_fold *f, const char *rule)
{
	for (size_t i = 0; i < f->n_rules; i++)
		if (strcmp(f->rule[i], rule ? rule : "") == 0)
			return f->rule[i];
	f->rule = mem_grow(f->to, f->rule, char *, f->n_rules + 1);
	return f->rule[f->n_rules++] = keep(f, rule);
}

/* FNV-1a */
static uint32_t *slot_of(const struct archive_fold *f, const char *bundle)
{
	uint64_t h = UINT64_C(14695981039346656037);
	size_t i;

	for (const char *p = bundle; *p; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
	for (i = (h ^ h >> 32) & (f->n_slots - 1);
	     f->slot[i] && strcmp(f->to->bundle[f->slot[i] - 1].bundle, bundle) != 0;)
		i = (i + 1) & (f->n_slots - 1);
	return &f->slot[i];
}

static struct ledger_published *find(struct archive_fold *f, const char *bundle)
{
	uint32_t at = f->n_slots ? *slot_of(f, bundle) : 0;

	return at ? &f->to->bundle[at - 1] : NULL;
}

/* Twice as many slots as bundles, at least. */
static void make_room(struct archive_fold *f)
{
	struct ledger_archive *a = f->to;

	if (a->n < f->room)
		return;
	f->room = f->room ? 2 * f->room : 64;
	a->bundle = mem_grow(a, a->bundle, struct ledger_published, f->room);
	talloc_free(f->slot);
	f->n_slots = 2 * f->room;
	f->slot = mem_array(a, uint32_t, f->n_slots);
	for (size_t i = 0; i < a->n; i++)
		*slot_of(f, a->bundle[i].bundle) = (uint32_t)i + 1;
}

static void add(struct archive_fold *f, const struct line *l)
{
	struct ledger_archive *a = f->to;
	struct ledger_published *p;
	char *path, *slash;

	make_room(f);
	path = keep(f, l->rel_path);
	slash = strrchr(path, '/');
	p = &a->bundle[a->n];
	*p = (struct ledger_published){.bundle = slash && strcmp(slash + 1, l->bundle) == 0 ? slash + 1
											    : keep(f, l->bundle),
				       .rel_path = path,
				       .rule = keep_rule(f, l->rule),
				       .threads = (uint64_t)l->threads,
				       .posts = (uint64_t)l->posts,
				       .rows = (uint64_t)l->rows,
				       .file_bytes = (uint64_t)l->file_bytes,
				       .has_expiry = l->has_expiry,
				       .expires_ms = l->expires_ms};
	p->rows_digest = mem_array(a, char, 2 * (DIGEST_HEX + 1));
	p->file_digest = p->rows_digest + DIGEST_HEX + 1;
	copy_digest(p->rows_digest, l->rows_digest);
	copy_digest(p->file_digest, l->file_digest);
	*slot_of(f, p->bundle) = (uint32_t)++a->n;
}

/* Nobody asks of a bundle that is gone which runs had to do with it, nor for more of its digests than its name has. */
static void expired(struct ledger_published *p)
{
	char *digits = strlen(p->rows_digest) == DIGEST_HEX
			       ? memmem(p->bundle, strlen(p->bundle), p->rows_digest, NAME_DIGITS)
			       : NULL;

	p->expiry = LEDGER_EXPIRED;
	if (!digits)
		return; /* of a name that no run gives nothing is left out */
	TALLOC_FREE(p->run);
	p->n_runs = 0;
	talloc_free(p->rows_digest); /* both */
	p->rows_digest = digits;
	p->file_digest = digits + strlen(digits);
}

/* A step of a run with the bundle. */
static void step(struct archive_fold *f, struct ledger_published *p, const struct line *l)
{
	if (strcmp(l->type, "sweep") == 0)
		p->open_xid = (uint64_t)l->open_xid;
	p->done |= strcmp(l->type, "bundle-done") == 0;
	for (size_t i = p->n_runs; l->run && i-- > 0;)
		if (strcmp(p->run[i], l->run) == 0)
			return;
	if (!l->run)
		return;
	if (!f->run || strcmp(f->run, l->run) != 0)
		f->run = keep(f, l->run);
	p->run = mem_grow(f->to, p->run, char *, p->n_runs + 1);
	p->run[p->n_runs++] = f->run;
}

/* Another file is the bundle from now on: without one person, and the same in everything else. */
static void rewritten(struct archive_fold *f, struct ledger_published *p, const struct line *l)
{
	if (!l->rel_path)
		return;
	p->former = mem_grow(f->to, p->former, char *, p->n_former + 1);
	p->former[p->n_former++] = p->rel_path;
	p->rel_path = keep(f, l->rel_path);
	if (p->expiry == LEDGER_EXPIRING)
		p->expiry = LEDGER_THERE; /* what was announced was the old file */
	if (p->expiry != LEDGER_EXPIRED)
		copy_digest(p->file_digest, l->file_digest);
	p->file_bytes = (uint64_t)l->file_bytes;
	p->posts -= (uint64_t)l->posts < p->posts ? (uint64_t)l->posts : p->posts;
}

static void lost(struct archive_fold *f, struct ledger_published *p, const struct line *l, int64_t at_ms)
{
	struct ledger_loss *loss = mem_new(f->to, struct ledger_loss);

	*loss = (struct ledger_loss){.at_ms = at_ms,
				     .found = copy(loss, l->found),
				     .ids = copy(loss, l->ids),
				     .reason = copy(loss, l->reason),
				     .host = copy(loss, l->host),
				     .uid = (uint64_t)l->uid,
				     .deleting = l->deleting};
	p->loss = loss;
	p->done = true;
	p->open_xid = 0;
}

static void take_bundle(struct archive_fold *f, const struct line *l, int64_t at_ms)
{
	struct ledger_published *p = find(f, l->bundle);

	if (!p && strcmp(l->type, "published") == 0) {
		add(f, l);
		p = find(f, l->bundle);
	}
	if (!p)
		return; /* a waiver, or a journal */
	if (strcmp(l->type, "expiring") == 0) {
		p->expiry = LEDGER_EXPIRING;
	} else if (strcmp(l->type, "expired") == 0) {
		if (p->expiry != LEDGER_EXPIRED)
			expired(p);
	} else if (strcmp(l->type, "expiry-withdrawn") == 0) {
		p->expiry = LEDGER_THERE;
	} else if (strcmp(l->type, "abandoned") == 0) {
		lost(f, p, l, at_ms);
	} else if (strcmp(l->type, "erased") == 0) {
		rewritten(f, p, l);
	} else if (strcmp(l->type, "erasing") == 0 || strcmp(l->type, "erasure-withdrawn") == 0) {
		return; /* the file is the bundle from `erased` on, or never */
	} else {
		p->newest_ms = at_ms;
		step(f, p, l);
	}
}

static void take_time(struct ledger_archive *a, int64_t at_ms)
{
	if (a->newest_ms != INT64_MIN && at_ms - a->newest_ms > LEDGER_GAP_MS) {
		a->gap_from_ms = a->newest_ms;
		a->gap_to_ms = at_ms;
	}
	if (at_ms > a->newest_ms)
		a->newest_ms = at_ms;
}

static int fold_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct archive_fold *f = payload;
	int64_t at_ms = 0;
	struct line l;

	(void)seq;
	(void)err;
	talloc_free_children(f->scratch);
	scan_line(f->scratch, text, len, &l);
	if (!l.type)
		return 0;
	if (l.at && time_parse(l.at, &at_ms))
		take_time(f->to, at_ms);
	if (l.bundle)
		take_bundle(f, &l, at_ms);
	return 0;
}

int ledger_archive(void *ctx, int ledger_dirfd, struct ledger_archive **ret, struct err *err)
{
	auto_mem void *scratch = mem_context(NULL, "ledger archive");
	struct archive_fold f = {.to = mem_new(ctx, struct ledger_archive), .scratch = mem_context(scratch, "line")};
	int rc;

	f.text.ctx = f.to;
	f.to->newest_ms = f.to->gap_from_ms = f.to->gap_to_ms = INT64_MIN;
	rc = ledger_read(ledger_dirfd, fold_line, &f, err);
	talloc_free(f.slot);
	if (rc < 0) {
		talloc_free(f.to);
		return rc;
	}
	*ret = f.to;
	return 0;
}
