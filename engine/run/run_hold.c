/*
 * run_hold.c - threads that are held by a line of the ledger: writing it, and keeping them.
 *
 * A hold is written while no run is on (the ledger has one writer), so that a run reads them once.
 */
#include "run_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOTS_A_LINE = 1000 };

/* via NULL: the hold ends. */
static int one_line(struct ledger *l, void *ctx, const mm_id *roots, size_t n, const char *case_id, const char *via,
		    struct err *err)
{
	struct ledger_entry e;
	struct buf ids;

	buf_init(&ids, ctx, 1 << 18); /* every sign of every id may need six */
	for (size_t i = 0; i < n; i++) {
		buf_byte(&ids, i ? ',' : '[');
		json_put_string(&ids, roots[i], strlen(roots[i]));
	}
	buf_byte(&ids, ']');
	ledger_begin(&e, ctx, via ? "hold" : "release");
	ledger_raw(&e, "roots", ids.data);
	ledger_str(&e, "case", case_id);
	if (via)
		ledger_str(&e, "via", via);
	ledger_int(&e, "uid", (int64_t)getuid());
	run_line_host(&e);
	buf_reset(&ids);
	return ledger_append(l, &e, err);
}

static int lines(struct ledger *l, void *ctx, const mm_id *roots, size_t n, const char *case_id, const char *via,
		 struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i += ROOTS_A_LINE)
		rc = one_line(l, ctx, roots + i, n - i < ROOTS_A_LINE ? n - i : ROOTS_A_LINE, case_id, via, err);
	return rc;
}

int run_line_hold(struct ledger *l, void *ctx, const mm_id *roots, size_t n, const char *case_id, const char *via,
		  struct err *err)
{
	return lines(l, ctx, roots, n, case_id, via, err);
}

int run_line_release(struct ledger *l, void *ctx, const mm_id *roots, size_t n, const char *case_id, struct err *err)
{
	return lines(l, ctx, roots, n, case_id, NULL, err);
}

void run_take_held(struct run *run, const struct ledger_state *st)
{
	run->held = st->held;
	run->n_held = st->n_held;
}

bool run_is_held(const struct run *run, const char *root)
{
	mm_id key = "";

	snprintf(key, sizeof key, "%s", root);
	return run->n_held && bsearch(key, run->held, run->n_held, sizeof(mm_id), mm_id_cmp);
}

const struct purge_skip *run_skip_held(const struct run *run, void *ctx, const struct purge_skip *skip, size_t n,
				       size_t *ret_n)
{
	struct purge_skip *all;
	size_t m = 0;

	*ret_n = n;
	if (run->n_held == 0)
		return skip;
	all = mem_array(ctx, struct purge_skip, n + run->n_held);
	/* Merged, not sorted: each bundle asks, and after a run was put back all of its threads are held. */
	for (size_t i = 0, k = 0; i < n || k < run->n_held;) {
		int c = i == n ? 1 : k == run->n_held ? -1 : strcmp(skip[i].root, run->held[k]);

		if (c < 0) {
			all[m++] = skip[i];
		} else if (c > 0) {
			memcpy(all[m].root, run->held[k++], sizeof(mm_id));
			all[m++].why = MM_HOLD;
		}
		i += c <= 0; /* skipped and held: once, by the hold */
	}
	*ret_n = m;
	return all;
}
