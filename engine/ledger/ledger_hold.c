/*
 * ledger_hold.c - which threads are held: their last line of `hold` and `release` tells.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger_internal.h"

/* What the lines said of one thread, in their order; hold NULL: released. */
struct said { ledger_id root; uint64_t order; const struct ledger_hold *hold; };

struct ledger_holds { struct said *said; size_t n, room; };

struct ledger_holds *ledger_holds_new(void *ctx)
{
	return mem_new(ctx, struct ledger_holds);
}

/* roots: the raw JSON array; the walk has seen that it is one.  Ids need no escapes. */
static void say(struct ledger_holds *h, const char *roots, const struct ledger_hold *hold)
{
	const char *end;

	for (const char *p = strchr(roots, '"'); p && (end = strchr(p + 1, '"')); p = strchr(end + 1, '"')) {
		size_t len = (size_t)(end - p - 1);

		if (len == 0 || len >= sizeof(ledger_id))
			continue;
		if (h->n == h->room) {
			h->room = h->room ? 2 * h->room : 64;
			h->said = mem_grow(h, h->said, struct said, h->room);
		}
		h->said[h->n] = (struct said){.order = h->n, .hold = hold};
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
	say(h, roots, hold);
}

void ledger_holds_end(struct ledger_holds *h, const char *roots)
{
	say(h, roots, NULL);
}

static int compare(const void *a, const void *b)
{
	const struct said *x = a, *y = b;
	int c = strcmp(x->root, y->root);

	return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

void ledger_holds_fold(struct ledger_holds *h, struct ledger_state *st)
{
	ledger_id *held = mem_array(st, ledger_id, h->n + 1);
	struct ledger_hold *hold = mem_array(st, struct ledger_hold, h->n + 1);

	if (h->n)
		qsort(h->said, h->n, sizeof *h->said, compare);
	for (size_t i = 0; i < h->n; i++) {
		const struct said *s = &h->said[i];

		/* The last of each thread, if it holds. */
		if (!s->hold || (i + 1 < h->n && strcmp(s->root, s[1].root) == 0))
			continue;
		memcpy(held[st->n_held], s->root, sizeof(ledger_id));
		hold[st->n_held++] = *s->hold;
	}
	st->held = (const ledger_id *)held;
	st->hold = hold;
	TALLOC_FREE(h->said);
	h->n = h->room = 0;
}
