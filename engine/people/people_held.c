/*
 * people_held.c - who has to wait because the ledger holds a thread.
 *
 * A hold keeps a thread as it is: whoever wrote in it keeps the account, and so does who has a draft, a reminder or a
 * saved post there, for those rows would go.
 */
#include "people_internal.h"

#include <string.h>

struct held { struct people_names *into; void *ctx; };

static int add(void *payload, const struct db_row *r, struct err *err)
{
	struct held *h = payload;

	(void)err;
	if (r->value[0] && r->value[1])
		people_names_add(h->into, r->value[0], strlen(r->value[0]),
				 mem_printf(h->ctx, "thread %s", r->value[1]));
	return 0;
}

int people_held(void *ctx, struct mm *mm, const struct people_holds *holds, struct people_names *into, struct err *err)
{
	static const struct { enum mm_kind kind; const struct sql *sql; } places[] = {
		{MM_POST, &sql_people_held_posts}, {MM_DRAFT, &sql_people_held_drafts},
		{MM_REMINDER, &sql_people_held_reminders},
		{MM_PREF, &sql_people_held_saved},
	};
	struct held h = {.into = into, .ctx = ctx};
	struct db_array roots;
	const char *param;
	int rc = 0;

	if (!holds || holds->n == 0)
		return 0;
	db_array_init(&roots, ctx);
	for (size_t i = 0; i < holds->n; i++)
		db_array_add(&roots, holds->root[i], strlen(holds->root[i]));
	param = db_array_text(&roots);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(places); i++)
		if (mm->schema->table[places[i].kind].present)
			rc = db_stream(mm->db, places[i].sql, 1, &param, add, &h, err);
	return rc;
}
