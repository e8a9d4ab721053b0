/*
 * run_expire_hold.c - does any hold cover a thread of this bundle?  It is read row by row only when its names leave the
 * question open.
 */
#include "run_internal.h"
#include "run_expire.h"
#include "run_held.h"

#include <mmretain/catalog.h>

#include <string.h>

/* Also one that was erased: it is still one of a channel and of a thread, of nobody; of a reply no time is left. */
static int on_post(struct held_bundle *b, const struct catalog_row *row, struct held_by *by, struct err *err)
{
	const struct held_post post = {.id = row->id.s,
				       .id_len = row->id.len,
				       .root = row->root.s,
				       .root_len = row->root.len,
				       .original = row->original.s,
				       .original_len = row->original.len,
				       .channel = row->channel.s,
				       .channel_len = row->channel.len,
				       .user = row->user.s,
				       .user_len = row->user.len,
				       .at_ms = row->create_ms};

	return held_post(b, &post, by, err);
}

static int read_rows(void *ctx, struct held_bundle *b, struct bundle_reader *r, struct held_by *by, struct err *err)
{
	struct catalog_rows *rows;
	struct catalog_row row;
	const char *line;
	size_t len;
	int rc = catalog_rows_new(ctx, r, &rows, err), held = 0;

	bundle_rewind(r);
	while (rc == 0 && held == 0 && (rc = bundle_read_row(r, &line, &len, err)) == 1) {
		rc = catalog_row_decode(rows, line, len, &row, err);
		if (rc == 0 && row.kind == CATALOG_POST)
			held = on_post(b, &row, by, err);
		if (rc == 0 && held == 0)
			rc = stop_check(err);
	}
	return rc < 0 ? rc : held;
}

int run_expire_held(void *ctx, const struct policy *policy, struct mm *mm, const struct ledger_state *st,
		    struct bundle_reader *r, struct run_expire_hold *ret, struct err *err)
{
	auto_mem void *own = mem_context(NULL, "expiry holds");
	struct held_asked *asked;
	struct held_bundle *b;
	struct held_by by = {.name = NULL};
	int rc = held_ask(own, policy, mm, &asked, err);

	if (rc == 0)
		rc = held_bundle(own, asked, st, r, &b, err);
	if (rc == 0 && held_possible(b))
		rc = read_rows(own, b, r, &by, err);
	if (rc > 0) {
		ret->name = mem_strdup(ctx, by.name);
		memcpy(ret->thread, by.thread, sizeof ret->thread);
	}
	return rc;
}
