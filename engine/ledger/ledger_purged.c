/*
 * ledger_purged.c - the bundles whose threads one run deleted, and which threads of them it did not.
 */
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "ledger_internal.h"

#define SUFFIX ".tar.zst"
#define WAIVED "waived-"

struct spot { UT_hash_handle hh; size_t at; char *stayed_run; size_t room_stayed, room_restored; char name[]; };

struct search {
	const char *run, *bundle;    /* which is asked for; run "last": the newest */
	struct ledger_purges *to;
	struct spot *table; void *spots;
	bool found;
	void *scratch;               /* emptied for each line */
};

struct line { char *type, *run, *bundle, *rel_path, *root; const char *roots; size_t roots_len; uint64_t threads; };

char *ledger_bundle_name(void *ctx, const char *path)
{
	const char *slash = strrchr(path, '/'), *leaf = slash ? slash + 1 : path;
	size_t len = strlen(leaf), end = strlen(SUFFIX), digits;

	if (strncmp(leaf, WAIVED, strlen(WAIVED)) == 0)
		return mem_strdup(ctx, leaf);
	if (len > end && strcmp(leaf + len - end, SUFFIX) == 0)
		len -= end;
	for (digits = 0; digits < len && strchr("0123456789", leaf[len - 1 - digits]);)
		digits++;
	/* At most four digits: a digest may begin with an e, too, and have digits alone after it. */
	if (digits && digits <= 4 && len >= digits + 2 && memcmp(leaf + len - digits - 2, "-e", 2) == 0)
		len -= digits + 2;
	return mem_printf(ctx, "%.*s" SUFFIX, (int)len, leaf);
}

/* ---- one line ---- */

static void take_text(void *ctx, const struct json_scan *s, struct line *l)
{
	const struct ledger_slot slots[] = {
		{"type", &l->type}, {"run", &l->run}, {"bundle", &l->bundle}, {"rel_path", &l->rel_path},
		{"root", &l->root},
	};

	ledger_take_text(ctx, s, slots, ARRAY_LEN(slots));
}

static void scan_line(void *ctx, const char *text, size_t len, struct line *l)
{
	struct json_scan s;

	*l = (struct line){0};
	json_scan_init(&s, text, len);
	while (json_scan_next(&s)) {
		if (s.type == JSON_STR)
			take_text(ctx, &s, l);
		else if (s.type == JSON_NUMBER && ledger_key_is(&s, "threads"))
			l->threads = strtoull(s.val, NULL, 10);
		else if (s.type == JSON_ARR && ledger_key_is(&s, "roots")) {
			l->roots = s.val;
			l->roots_len = s.val_len;
		}
	}
	if (!l->type)
		l->type = mem_strdup(ctx, "");
}

static bool is(const struct line *l, const char *type)
{
	return strcmp(l->type, type) == 0;
}

/* ---- which bundles ---- */

static struct spot *spot_of(const struct search *s, const char *bundle)
{
	struct spot *found;

	HASH_FIND(hh, s->table, bundle, strlen(bundle), found);
	return found;
}

static struct ledger_purged *choose(struct search *s, const char *bundle)
{
	struct spot *one = spot_of(s, bundle);
	size_t len = strlen(bundle);

	if (one)
		return &s->to->bundle[one->at];
	if ((s->to->n & (s->to->n - 1)) == 0)
		s->to->bundle = mem_grow(s->to, s->to->bundle, struct ledger_purged, s->to->n ? 2 * s->to->n : 1);
	one = mem_check(talloc_zero_size(s->spots, sizeof *one + len + 1));
	memcpy(one->name, bundle, len + 1);
	one->at = s->to->n;
	HASH_ADD_KEYPTR(hh, s->table, one->name, len, one);
	s->to->bundle[s->to->n] = (struct ledger_purged){.bundle = mem_strdup(s->to, bundle),
							 .waived = strncmp(bundle, WAIVED, strlen(WAIVED)) == 0};
	return &s->to->bundle[s->to->n++];
}

static void begin_run(struct search *s, const char *run)
{
	bool last = s->run && strcmp(s->run, "last") == 0;

	if (!last && (!s->run || strcmp(s->run, run) != 0))
		return;
	s->found = true;
	s->to->run = mem_strdup(s->to, run);
	if (last) { /* the one before was not the newest */
		HASH_CLEAR(hh, s->table);
		talloc_free_children(s->spots);
		s->to->n = 0;
	}
}

/* A line of any of the three says that a delete by the bundle was under way in that run; of a bundle that two runs went
 * through nobody knows which thread went with which. */
static int choose_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct search *s = payload;
	struct line l;
	bool ended, mine;

	(void)seq;
	talloc_free_children(s->scratch);
	scan_line(s->scratch, text, len, &l);
	if (is(&l, "run-begin") && l.run)
		begin_run(s, l.run);
	ended = is(&l, "purged") || is(&l, "purge-stopped");
	mine = s->to->run && l.run && strcmp(l.run, s->to->run) == 0 && l.bundle && (ended || is(&l, "purging"));
	if (mine) {
		struct ledger_purged *b = choose(s, l.bundle);

		b->begun = true;
		b->threads += ended ? l.threads : 0;
	}
	if (s->bundle && l.bundle && strcmp(l.bundle, s->bundle) == 0) {
		struct ledger_purged *b = choose(s, l.bundle);

		s->found = true;
		b->begun |= is(&l, "purging");
		b->threads += ended ? l.threads : 0;
	}
	return stop_check(err);
}

/* ---- which threads of them ---- */

static void add_id(struct search *s, ledger_id **list, size_t *n, size_t *room, const char *id, size_t len)
{
	if (len == 0 || len >= sizeof(ledger_id))
		return;
	if (*n == *room) {
		*room = *room ? 2 * *room : 16;
		*list = mem_grow(s->to, *list, ledger_id, *room);
	}
	memset((*list)[*n], 0, sizeof(ledger_id));
	memcpy((*list)[(*n)++], id, len);
}

/* The raw JSON array; ids need no escapes. */
static void add_ids(struct search *s, ledger_id **list, size_t *n, size_t *room, const struct line *l)
{
	const char *p = l->roots, *end = p ? p + l->roots_len : NULL, *from, *to;

	while (p && (from = memchr(p, '"', (size_t)(end - p))) &&
	       (to = memchr(from + 1, '"', (size_t)(end - from - 1)))) {
		add_id(s, list, n, room, from + 1, (size_t)(to - from - 1));
		p = to + 1;
	}
}

/* The newest run that went through the bundle knows, and whoever says that the delete came to its end has said before
 * what stayed. */
static void take_stayed(struct search *s, struct spot *one, const struct line *l)
{
	struct ledger_purged *b = &s->to->bundle[one->at];
	bool same = one->stayed_run && strcmp(one->stayed_run, l->run) == 0;

	if (!same) {
		b->n_stayed = 0;
		talloc_free(one->stayed_run);
		one->stayed_run = is(l, "stayed") ? mem_strdup(one, l->run) : NULL;
	}
	if (is(l, "stayed"))
		add_ids(s, &b->stayed, &b->n_stayed, &one->room_stayed, l);
}

static void take_restored(struct search *s, const struct line *l)
{
	struct spot *one = spot_of(s, ledger_bundle_name(s->scratch, l->rel_path));
	struct ledger_purged *b = one ? &s->to->bundle[one->at] : NULL;

	if (b && l->root)
		add_id(s, &b->restored, &b->n_restored, &one->room_restored, l->root, strlen(l->root));
	if (b)
		add_ids(s, &b->restored, &b->n_restored, &one->room_restored, l);
}

static int thread_line(void *payload, uint64_t seq, const char *text, size_t len, struct err *err)
{
	struct search *s = payload;
	struct spot *one;
	struct line l;

	(void)seq;
	talloc_free_children(s->scratch);
	scan_line(s->scratch, text, len, &l);
	if (is(&l, "restored") && l.rel_path)
		take_restored(s, &l);
	else if ((is(&l, "stayed") || is(&l, "purged")) && l.bundle && l.run && (one = spot_of(s, l.bundle)))
		take_stayed(s, one, &l);
	return stop_check(err);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void sort_all(struct ledger_purges *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct ledger_purged *b = &p->bundle[i];

		if (b->n_stayed)
			qsort(b->stayed, b->n_stayed, sizeof(ledger_id), by_id);
		if (b->n_restored)
			qsort(b->restored, b->n_restored, sizeof(ledger_id), by_id);
	}
}

static int not_found(const struct search *s, struct err *err)
{
	if (s->bundle) {
		err_set(err, ERR_NOT_FOUND, "the ledger has no bundle \"%s\"", s->bundle);
		return err_hint(err, "`mmretain report RUN` has the bundles of a run, `mmretain show` and `find` name "
				     "the one of a thread.");
	}
	if (strcmp(s->run, "last") == 0)
		return err_set(err, ERR_NOT_FOUND, "the ledger has no run yet");
	err_set(err, ERR_NOT_FOUND, "the ledger has no run \"%s\"", s->run);
	return err_hint(err, "`mmretain report list` has them all.");
}

int ledger_purged(void *ctx, int ledger_dirfd, const char *run, const char *bundle, struct ledger_purges **ret,
		  struct err *err)
{
	auto_mem void *scratch = mem_context(NULL, "ledger line"), *spots = mem_context(NULL, "spots of bundles");
	struct search s = {.run = run,
			   .bundle = bundle,
			   .to = mem_new(ctx, struct ledger_purges),
			   .scratch = scratch,
			   .spots = spots};
	int rc = ledger_read(ledger_dirfd, choose_line, &s, err);

	if (rc == 0 && !s.found)
		rc = not_found(&s, err);
	if (rc == 0)
		rc = ledger_read(ledger_dirfd, thread_line, &s, err);
	HASH_CLEAR(hh, s.table);
	if (rc < 0) {
		talloc_free(s.to);
		return rc;
	}
	sort_all(s.to);
	*ret = s.to;
	return 0;
}

static bool has(const ledger_id *list, size_t n, const char *root)
{
	return n && bsearch(root, list, n, sizeof(ledger_id), by_id);
}

bool ledger_purged_stayed(const struct ledger_purged *b, const char *root)
{
	return has((const ledger_id *)b->stayed, b->n_stayed, root);
}

bool ledger_purged_restored(const struct ledger_purged *b, const char *root)
{
	return has((const ledger_id *)b->restored, b->n_restored, root);
}
