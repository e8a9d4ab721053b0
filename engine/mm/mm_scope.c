/*
 * mm_scope.c - the channels and their teams.
 */
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"

struct scopes {
	struct mm_scope *item;
	size_t n, room;
	void *ctx;
};

static void set_id(mm_id ret, const struct db_row *row, int col)
{
	size_t len = row->len[col] > MM_ID ? MM_ID : row->len[col];

	memcpy(ret, row->value[col], len);
	ret[len] = '\0';
}

static int add_scope(void *payload, const struct db_row *row, struct err *err)
{
	struct scopes *s = payload;
	struct mm_scope *c;

	(void)err;
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 256;
		s->item = mem_grow(s->ctx, s->item, struct mm_scope, s->room);
	}
	c = &s->item[s->n++];
	*c = (struct mm_scope){
		.channel_name = mem_strdup(s->item, row->value[2]),
		.channel_display = mem_strdup(s->item, row->value[3]),
		.team_name = mem_strdup(s->item, row->value[4]),
		.team_display = mem_strdup(s->item, row->value[5]),
		.type = row->len[6] == 1 && strchr("OPDG", row->value[6][0]) ? row->value[6][0] : '?',
		.channel_archived = row->value[7][0] == 't',
		.team_archived = row->value[8][0] == 't',
	};
	set_id(c->channel_id, row, 0);
	set_id(c->team_id, row, 1);
	return 0;
}

int mm_scopes(void *ctx, struct mm *mm, struct mm_scope **ret, size_t *ret_n, struct err *err)
{
	struct scopes s = {.ctx = ctx, .item = mem_array(ctx, struct mm_scope, 256), .room = 256};
	int r = db_stream(mm->db, &sql_scope_channels, 0, NULL, add_scope, &s, err);

	if (r < 0) {
		talloc_free(s.item);
		return r;
	}
	*ret = s.item;
	*ret_n = s.n;
	return 0;
}
