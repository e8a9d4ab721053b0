/*
 * mm_rows.c - one run of thread_rows.sql: which blocks, which parameters, and its rows into a fold.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

enum { N_PARAMS = 25, MAX_BLOCKS = 24, DAY_MS = 24 * 60 * 60 * 1000 };
enum { MET_BITS = 1 << 20 }; /* 128 KiB: of 240,000 threads one in five others passes, of a million three */

struct reader {
	const struct mm_rows *r;
	struct mm_fold *to;
	bool hold, bytes;
	bool filenames; /* a row named attachments itself */
	bool split;     /* a scan in parts: */
	struct mm_sieve met; /* threads */
	struct mm_idmap seen; /* channels met, when the caller gave none */
	mm_id *seen_id;
	size_t seen_room;
};

static int64_t number(const struct db_row *row, int col)
{
	return row->value[col] ? db_bigint(row->value[col]) : 0;
}

static uint32_t channel_number(struct reader *c, const char *id, size_t len)
{
	uint32_t i;

	if (!id || len > MM_ID)
		return MM_NO_INDEX;
	if (c->r->channel)
		return mm_idmap_find(c->r->channel, id, len);
	i = mm_idmap_find(&c->seen, id, len);
	if (i != MM_NO_INDEX)
		return i;
	if (c->seen.n == c->seen_room) {
		c->seen_room = c->seen_room ? c->seen_room * 2 : 64;
		c->seen_id = mem_grow(c->seen.ctx, c->seen_id, mm_id, c->seen_room);
		mm_idmap_base(&c->seen, c->seen_id);
	}
	memcpy(c->seen_id[c->seen.n], id, len);
	c->seen_id[c->seen.n][len] = '\0';
	mm_idmap_add(&c->seen);
	return (uint32_t)c->seen.n - 1;
}

/* A bundle names the channel of each frame in a line of words (bundle_write.c), so blanks and signs beyond ASCII have
 * no place in its id. */
static bool channel_sound(const char *id, size_t len)
{
	size_t i = 0;

	while (i < len && id[i] > 0x20 && id[i] < 0x7f)
		i++;
	return i == len && len > 0;
}

static int take_row(void *payload, const struct db_row *row, struct err *err)
{
	struct reader *c = payload;
	struct mm_part part = {.posts = 1, .hold = -1};
	int64_t edit;
	int col = 5;

	if (!row->value[0] || row->len[0] > MM_ID)
		return 0; /* no id of Mattermost's: nothing of ours */
	memcpy(part.root, row->value[0], row->len[0] + 1);
	part.channel = channel_number(c, row->value[1], row->len[1]);
	part.last_reply_ms = number(row, 2);
	edit = number(row, 3);
	part.last_edit_ms = edit > part.last_reply_ms ? edit : part.last_reply_ms;
	part.bits = (uint32_t)number(row, 4);
	if (!row->value[1] || !channel_sound(row->value[1], row->len[1]))
		part.bits |= MM_DAMAGED;
	if (part.bits & MM_ROW_ROOT)
		part.root_create_ms = part.last_reply_ms;
	if (c->hold) {
		part.hold = row->value[col] ? (int32_t)number(row, col) : -1;
		col++;
	}
	if (c->bytes)
		part.bytes = (uint64_t)number(row, col);
	if (c->split)
		mm_sieve_add(&c->met, row->value[0], row->len[0]);
	c->filenames |= (part.bits & MM_ROW_FILENAMES) != 0;
	part.bits &= ~(uint32_t)MM_ROW_FILENAMES;
	if (part.bits & MM_ROW_NAMED) {
		part.bits &= ~(uint32_t)MM_ROW_NAMED;
		part.missing = -1; /* thread_replies.sql counts it */
	}
	return mm_fold_add(c->to, &part, err);
}

static const char *strings(void *ctx, const char *const *item, size_t n)
{
	struct db_array a;

	db_array_init(&a, ctx);
	for (size_t i = 0; i < n; i++)
		db_array_add(&a, item[i], strlen(item[i]));
	return db_array_text(&a);
}

static char *int64_text(void *ctx, int64_t v)
{
	return mem_printf(ctx, "%lld", (long long)v);
}

/* Four (or three) parallel arrays at p[0..]. */
static void segment_params(void *ctx, const struct mm_segments *s, bool with_hold, const char **p)
{
	struct db_array a[4];

	for (int k = 0; k < 4; k++)
		db_array_init(&a[k], ctx);
	for (size_t i = 0; s && i < s->n; i++) {
		db_array_add(&a[0], s->item[i].id, strlen(s->item[i].id));
		db_array_add_i64(&a[1], s->item[i].since_ms);
		db_array_add_i64(&a[2], s->item[i].until_ms);
		db_array_add_i64(&a[3], s->item[i].hold);
	}
	for (int k = 0; k < (with_hold ? 4 : 3); k++)
		p[k] = db_array_text(&a[k]);
}

/* The policy's holds, per user and per channel. */
static void hold_params(void *ctx, const struct mm_protect_query *q, const char **p)
{
	struct mm_segments user = {0}, channel = {0};

	for (size_t h = 0; q && h < q->n_holds; h++) {
		const struct mm_hold_query *hold = &q->hold[h];

		for (size_t i = 0; i < hold->n_users; i++)
			mm_segment_add(ctx, &user, hold->user_ids[i], hold->since_ms, hold->until_ms, (int)h);
		for (size_t i = 0; i < hold->n_channels; i++)
			mm_segment_add(ctx, &channel, hold->channel_ids[i], hold->since_ms, hold->until_ms, (int)h);
	}
	mm_segments_settle(ctx, &user);
	mm_segments_settle(ctx, &channel);
	segment_params(ctx, &user, true, p);
	segment_params(ctx, &channel, true, p + 4);
}

static void params(void *ctx, const struct mm_rows *r, const char *p[N_PARAMS])
{
	const struct mm_protect_query *q = r->protect;

	memset(p, 0, N_PARAMS * sizeof *p);
	p[0] = r->channels;
	p[1] = r->cuts;
	p[2] = int64_text(ctx, r->max_cut_ms);
	p[3] = int64_text(ctx, r->min_cut_ms);
	p[4] = r->roots;
	p[5] = int64_text(ctx, r->mm->now_ms + DAY_MS);
	if (q) {
		p[6] = strings(ctx, q->author_ids, q->n_authors);
		p[7] = q->n_hashtags ? mm_tags_pattern(ctx, q->hashtags, q->n_hashtags) : NULL;
	}
	if (r->guards) {
		p[20] = r->guards->flag_fields;
		p[8] = int64_text(ctx, r->guards->exported.ms);
		p[24] = r->guards->exported.id;
	}
	p[21] = r->since;
	if (r->marked) {
		p[22] = r->marked->temporary;
		p[23] = r->marked->property;
	}
	hold_params(ctx, q, p + 9);
	segment_params(ctx, r->guards ? &r->guards->legal : NULL, false, p + 17);
}

/* Replies and files are counted for all channels: for some of them, or cut-offs that differ, that would be too many. */
static bool is_split(const struct mm_rows *r)
{
	return r->form == MM_SCAN && r->order == MM_BY_LAST_REPLY && r->all_channels;
}

static void form_blocks(const struct mm_rows *r, const char *on[], size_t *n)
{
	static const char *const candidate[] = {
		[MM_SCAN] = "scan", [MM_BY_CREATEAT] = "by_createat", [MM_BY_CHANNEL] = "by_channel",
		[MM_BY_ROOT_ID] = "by_root",
		[MM_ODD_COPIES] = "odd",
	};

	on[(*n)++] = candidate[r->form];
	if (r->form != MM_SCAN) {
		on[(*n)++] = "lateral";
		on[(*n)++] = r->form == MM_ODD_COPIES ? "" : "probe";
		on[(*n)++] = r->since ? "since" : "";
		on[(*n)++] = r->marked ? "listed" : "each";
		return;
	}
	on[(*n)++] = r->all_channels ? "all" : "some";
	on[(*n)++] = r->order == MM_BY_ROOT ? "root" : "past";
	on[(*n)++] = is_split(r) ? "split" : "grouped";
	if (is_split(r) || r->order == MM_BY_ROOT)
		return;
	on[(*n)++] = "live";
	on[(*n)++] = r->order == MM_BY_LAST_EDIT ? "last_edit" : "last_reply";
}

static void protect_blocks(const struct mm_rows *r, const char *on[], size_t *n)
{
	const struct mm_protect_query *q = r->protect;
	const struct mm_guards *g = r->guards;
	const struct { const char *name; bool on; } block[] = {
		{"unlisted", q && q->unlisted_files}, {"pinned", q && q->pinned}, {"flagged", q && q->flagged},
		{"authors", q && q->n_authors}, {"hashtags", q && q->n_hashtags}, {"hold", q && q->n_holds},
		{"legal", g && g->legal.n}, {"property", g && g->property}, {"temporary", g && g->temporary},
		{"compliance", g && g->exported.begun}, {"bytes", r->with_bytes},
	};

	for (size_t i = 0; i < ARRAY_LEN(block); i++)
		if (block[i].on)
			on[(*n)++] = block[i].name;
}

/* Marks in other tables, when a scan did not look at them. */
static int take_mark(void *payload, const struct db_row *row, struct err *err)
{
	struct mm_part part = {.hold = -1, .channel = MM_NO_INDEX};

	if (!row->value[0] || row->len[0] > MM_ID)
		return 0;
	memcpy(part.root, row->value[0], row->len[0] + 1);
	part.bits = (uint32_t)number(row, 1);
	if (row->columns > 3) {
		part.last_reply_ms = number(row, 2);
		part.last_edit_ms = number(row, 3) > part.last_reply_ms ? number(row, 3) : part.last_reply_ms;
	}
	return mm_fold_add(payload, &part, err);
}

int mm_marks_fold(struct mm *mm, const struct sql *sql, int n_params, const char *const *params, struct mm_fold *to,
		  struct err *err)
{
	return db_stream(mm->db, sql, n_params, params, take_mark, to, err);
}

static int fold_marks(void *ctx, const struct mm_rows *r, const char *const *on, struct mm_fold *to, struct err *err)
{
	bool any = (r->protect && r->protect->flagged) || (r->guards && (r->guards->property || r->guards->temporary));
	const char *fields = r->guards ? r->guards->flag_fields : NULL;
	struct sql sql;
	int rc;

	if (r->form != MM_SCAN || !any)
		return 0;
	rc = mm_template(ctx, &sql_thread_marks, on, &sql, err);
	return rc < 0 ? rc : mm_marks_fold(r->mm, &sql, 1, &fields, to, err);
}

static int fold_rows(struct reader *c, const char *const *on, const char *const *p, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_rows");
	struct sql sql;
	int r = mm_template(ctx, &sql_thread_rows, on, &sql, err);

	return r < 0 ? r : db_stream(c->r->mm->db, &sql, N_PARAMS, p, take_row, c, err);
}

static int take_files(void *payload, const struct db_row *row, struct err *err)
{
	struct mm_part part = {.hold = -1, .channel = MM_NO_INDEX, .bytes = (uint64_t)number(row, 1)};

	if (!row->value[0] || row->len[0] > MM_ID)
		return 0;
	memcpy(part.root, row->value[0], row->len[0] + 1);
	return mm_fold_add(payload, &part, err);
}

/* Of every thread with replies: those that are older are among the ones met. */
static int take_replies(void *payload, const struct db_row *row, struct err *err)
{
	struct reader *c = payload;
	struct mm_part part = {.hold = -1, .channel = MM_NO_INDEX, .missing = (int32_t)number(row, 1)};

	if (row->len[0] > MM_ID || !mm_sieve_may_have(&c->met, row->value[0], row->len[0]))
		return 0;
	memcpy(part.root, row->value[0], row->len[0] + 1);
	return mm_fold_add(c->to, &part, err);
}

/* What a scan in parts has left out. */
static int fold_rest(struct reader *c, const char *const *p, struct err *err)
{
	struct db *db = c->r->mm->db;
	int r = db_stream(db, &sql_thread_replies, 0, NULL, take_replies, c, err);

	return r < 0 || !c->bytes ? r : db_stream(db, &sql_thread_files, 1, p + 2, take_files, c->to, err);
}

int mm_rows_fold(struct mm_rows *r, struct mm_fold *to, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_rows");
	struct reader c = {.r = r, .to = to, .hold = r->protect && r->protect->n_holds, .bytes = r->with_bytes,
			   .split = is_split(r)};
	const char *on[MAX_BLOCKS] = {NULL}, *p[N_PARAMS];
	size_t n = 0;
	int rc;

	mm_idmap_init(&c.seen, ctx, sizeof(mm_id));
	if (c.split)
		mm_sieve_init(&c.met, ctx, MET_BITS);
	form_blocks(r, on, &n);
	protect_blocks(r, on, &n);
	params(ctx, r, p);
	rc = fold_rows(&c, on, p, err);
	if (rc == 0 && c.split)
		rc = fold_rest(&c, p, err);
	if (rc == 0 && c.filenames)
		rc = mm_marks_fold(r->mm, &sql_thread_unlisted, 0, NULL, to, err);
	return rc < 0 ? rc : fold_marks(ctx, r, on, to, err);
}
