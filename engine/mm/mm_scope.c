/*
 * mm_scope.c - the channels and their teams.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"

enum { COLUMNS = 9 };

struct scopes {
	struct mm_scope *item;
	size_t n, room;
	void *ctx;
	struct mem_crumbs names; /* a server has very many channels: one for each two people who have talked */
};

/* An id of more than 26 bytes is none of Mattermost's, and ends with a whole letter: half of one is no text to the
 * server. */
static void set_id(mm_id ret, const struct db_row *row, int col)
{
	size_t len = row->len[col] > MM_ID ? MM_ID : row->len[col];

	while (len > 0 && len < row->len[col] && ((unsigned char)row->value[col][len] & 0xC0) == 0x80)
		len--;
	memcpy(ret, row->value[col], len);
	ret[len] = '\0';
}

static bool is_text(const char *known, const struct db_row *row, int col)
{
	return strlen(known) == row->len[col] && memcmp(known, row->value[col], row->len[col]) == 0;
}

/* Names of the team stand there once where channels of one team follow each other, an empty text always. */
static void set_names(struct scopes *s, struct mm_scope *c, const struct db_row *row)
{
	static char empty[] = "";
	char **to[] = {&c->channel_name, &c->channel_display, &c->team_name, &c->team_display};
	char *last[] = {empty, empty, s->n > 1 ? c[-1].team_name : empty, s->n > 1 ? c[-1].team_display : empty};

	for (size_t i = 0; i < ARRAY_LEN(to); i++)
		*to[i] = row->len[2 + i] == 0 ? empty
			 : is_text(last[i], row, 2 + (int)i)
				 ? last[i]
				 : mem_crumb_text(&s->names, row->value[2 + i], row->len[2 + i]);
}

static int add_scope(void *payload, const struct db_row *row, struct err *err)
{
	struct scopes *s = payload;
	struct mm_scope *c;

	(void)err;
	if (s->n == s->room) {
		s->room += s->room / 4 + 256; /* not twice: a plan keeps them */
		s->item = mem_grow(s->ctx, s->item, struct mm_scope, s->room);
	}
	c = &s->item[s->n++];
	*c = (struct mm_scope){
		.type = row->len[6] == 1 && strchr("OPDG", row->value[6][0]) ? row->value[6][0] : '?',
		.channel_archived = row->value[7][0] == 't',
		.team_archived = row->value[8][0] == 't',
	};
	set_names(s, c, row);
	set_id(c->channel_id, row, 0);
	set_id(c->team_id, row, 1);
	return 0;
}

static int by_channel_id(const void *a, const void *b)
{
	return strcmp(((const struct mm_scope *)a)->channel_id, ((const struct mm_scope *)b)->channel_id);
}

int mm_scopes(void *ctx, struct mm *mm, struct mm_scope **ret, size_t *ret_n, struct err *err)
{
	struct scopes s = {.ctx = ctx, .item = mem_array(ctx, struct mm_scope, 256), .room = 256, .names = {ctx}};
	int r = db_stream(mm->db, &sql_scope_channels, 0, NULL, add_scope, &s, err);

	if (r < 0) {
		talloc_free(s.item);
		return r;
	}
	qsort(s.item, s.n, sizeof *s.item, by_channel_id);
	*ret = s.item;
	*ret_n = s.n;
	return 0;
}

/* Prepared: for every batch, and planned as the deletes are, so that the session keeps its plan mode. */
int mm_scopes_some(void *ctx, struct mm *mm, const mm_id *channels, size_t n, struct mm_scope **ret, size_t *ret_n,
		   struct err *err)
{
	struct scopes s = {.ctx = ctx, .item = mem_array(ctx, struct mm_scope, n + 1), .room = n + 1, .names = {ctx}};
	const char *value[COLUMNS], *param;
	size_t len[COLUMNS];
	struct db_array ids;
	struct db_result *r;
	int rc;

	db_array_init(&ids, ctx);
	for (size_t i = 0; i < n; i++)
		db_array_add(&ids, channels[i], strlen(channels[i]));
	param = db_array_text(&ids);
	rc = db_query_prepared(ctx, mm->db, &sql_scope_some, DB_ANY, 1, &param, &r, err);
	for (int64_t i = 0; rc == 0 && i < db_rows(r); i++) {
		for (int c = 0; c < COLUMNS; c++) {
			value[c] = db_text(r, i, c);
			len[c] = db_len(r, i, c);
		}
		rc = add_scope(&s, &(struct db_row){COLUMNS, value, len}, err);
	}
	*ret = s.item;
	*ret_n = s.n;
	return rc;
}
