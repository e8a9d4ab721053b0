/*
 * ledger_hold.c - which threads are held, and for which cases: the last line of `hold` and `release` that names both
 * tells.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger_internal.h"

/* What the lines said of one thread for one case, in their order; holds false: released. */
struct said {
	ledger_id root;
	bool holds;
	uint64_t order;
	const struct ledger_hold *hold /* NULL: released for all */;
};

struct ledger_holds {
	struct mem_large *memory;
	struct said *said; size_t n, room; /* in memory */
	uint64_t order;
	bool for_all;          /* among them is what ends for every case what was said before */
};

struct ledger_holds *ledger_holds_new(void *ctx)
{
	struct ledger_holds *h = mem_new(ctx, struct ledger_holds);

	h->memory = mem_large_new(h);
	return h;
}

static int by_order(const struct said *x, const struct said *y)
{
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_case(const void *a, const void *b)
{
	const struct said *x = a, *y = b;
	int c = strcmp(x->root, y->root);

	if (c == 0)
		c = strcmp(x->hold->case_id, y->hold->case_id);
	return c ? c : by_order(x, y);
}

static int by_root(const void *a, const void *b)
{
	const struct said *x = a, *y = b;
	int c = strcmp(x->root, y->root);

	return c ? c : by_order(x, y);
}

/* What was said of a thread before it was released for all counts no more. */
static void drop_released(struct ledger_holds *h)
{
	size_t n = 0, first = 0;

	if (h->n)
		qsort(h->said, h->n, sizeof *h->said, by_root);
	for (size_t i = 0; i < h->n; i++) {
		struct said s = h->said[i];

		if (n == first || strcmp(h->said[first].root, s.root) != 0)
			first = n;
		if (s.hold)
			h->said[n++] = s;
		else
			n = first;
	}
	h->n = n;
}

/* Only what was said last of each thread and case, where that holds. */
static void keep_open(struct ledger_holds *h)
{
	size_t n = 0;

	if (h->for_all)
		drop_released(h);
	h->for_all = false;
	if (h->n)
		qsort(h->said, h->n, sizeof *h->said, by_case);
	for (size_t i = 0; i < h->n; i++) {
		const struct said *s = &h->said[i];

		if (s->holds && !(i + 1 < h->n && strcmp(s->root, s[1].root) == 0 &&
				  strcmp(s->hold->case_id, s[1].hold->case_id) == 0))
			h->said[n++] = *s;
	}
	h->n = n;
}

/* Whole runs are put back, held and released: what counts no more makes room first. */
static void make_room(struct ledger_holds *h)
{
	keep_open(h);
	if (h->n <= h->room / 2 && h->room)
		return;
	h->room = h->room ? 2 * h->room : 64;
	h->said = mem_large_grow(h->memory, h->room * sizeof *h->said);
}

/* roots: the raw JSON array; the walk has seen that it is one.  Ids need no escapes. */
static void say(struct ledger_holds *h, const char *roots, const struct ledger_hold *hold, bool holds)
{
	const char *end;

	for (const char *p = strchr(roots, '"'); p && (end = strchr(p + 1, '"')); p = strchr(end + 1, '"')) {
		size_t len = (size_t)(end - p - 1);

		if (len == 0 || len >= sizeof(ledger_id))
			continue;
		if (h->n == h->room)
			make_room(h);
		h->for_all |= !hold;
		h->said[h->n] = (struct said){.order = h->order++, .hold = hold, .holds = holds};
		memcpy(h->said[h->n++].root, p + 1, len);
	}
}

void ledger_holds_add(struct ledger_holds *h, const char *roots, const char *at, const char *case_id, const char *via)
{
	struct ledger_hold *hold = mem_new(h, struct ledger_hold);

	if (!at || !time_parse(at, &hold->since_ms))
		hold->since_ms = 0;
	hold->case_id = mem_strdup(hold, case_id ? case_id : "");
	hold->via = mem_strdup(hold, via ? via : "");
	say(h, roots, hold, /* holds= */ true);
}

void ledger_holds_end(struct ledger_holds *h, const char *roots, const char *case_id)
{
	struct ledger_hold *hold = case_id ? mem_new(h, struct ledger_hold) : NULL;

	if (hold)
		hold->case_id = mem_strdup(hold, case_id);
	say(h, roots, hold, /* holds= */ false);
}

void ledger_holds_fold(struct ledger_holds *h, struct ledger_state *st)
{
	struct ledger_held_by *by;
	ledger_id *held;

	keep_open(h);
	if (h->n)
		qsort(h->said, h->n, sizeof *h->said, by_root);
	by = mem_large_grow(mem_large_new(st), (h->n + 1) * sizeof *by);
	held = mem_large_grow(mem_large_new(st), (h->n + 1) * sizeof *held);
	for (size_t i = 0; i < h->n; i++) {
		const struct said *s = &h->said[i];

		memcpy(by[st->n_held_by].root, s->root, sizeof(ledger_id));
		by[st->n_held_by++].hold = *s->hold;
		if (i == 0 || strcmp(s->root, s[-1].root) != 0)
			memcpy(held[st->n_held++], s->root, sizeof(ledger_id));
	}
	st->held_by = by;
	st->held = (const ledger_id *)held;
	TALLOC_FREE(h->memory); /* of what was said; the texts stay */
}

static int to_root(const void *key, const void *element)
{
	return strcmp(key, ((const struct ledger_held_by *)element)->root);
}

const struct ledger_held_by *ledger_held_first(const struct ledger_state *st, const char *root)
{
	const struct ledger_held_by *b =
		st->n_held_by ? bsearch(root, st->held_by, st->n_held_by, sizeof *b, to_root) : NULL;

	while (b && b > st->held_by && strcmp(b[-1].root, root) == 0)
		b--;
	return b;
}

const struct ledger_held_by *ledger_held_next(const struct ledger_state *st, const struct ledger_held_by *b)
{
	return b + 1 < st->held_by + st->n_held_by && strcmp(b->root, b[1].root) == 0 ? b + 1 : NULL;
}

bool ledger_held_for(const struct ledger_state *st, const char *root, const char *case_id)
{
	for (const struct ledger_held_by *b = ledger_held_first(st, root); b; b = ledger_held_next(st, b))
		if (strcmp(b->hold.case_id, case_id) == 0)
			return true;
	return false;
}
