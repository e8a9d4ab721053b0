/*
 * mm_thread.c - threads with their facts.
 *
 * Few candidates are probed one by one over the indexes, so that the cost follows what is due; many are found by one
 * pass over posts.  A count that stops at a twentieth of the table chooses.
 */
#include <stdlib.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

enum {
	PAGE = 5000,         /* ids in one array parameter */
	BESIDE_POSTS = 1000, /* fewer are probed before a second session is there */
	FEW_CHANNELS = 100,  /* their own count is cheaper than that of all channels */
	/* a post: reading all of the tables that mark posts costs less than looking each post up in them */
	MARKS_BYTES = 100,
	MARKS_SINCE = 140000, /* an older server compares a post with one mark after the other */
};

struct run {
	struct mm *mm;
	const struct mm_thread_query *q;
	struct mm_idmap channel;
	mm_id *id;
	mm_thread_fn fn;
	void *payload;
	struct mm_fold *fold;
};

static int64_t cut_of(const struct mm_thread_query *q, size_t i)
{
	return q->before ? q->before[i] : q->before_ms;
}

static int64_t key_of(enum mm_order order, const struct mm_part *t)
{
	switch (order) {
	case MM_BY_ROOT:
		return t->root_create_ms;
	case MM_BY_LAST_EDIT:
		return t->last_edit_ms;
	case MM_BY_LAST_REPLY:
		break;
	}
	return t->last_reply_ms;
}

/* A root's own time must be sound, or nothing about its age can be said. */
static bool is_wanted(const struct run *run, const struct mm_part *t)
{
	bool odd_root = t->root_create_ms <= 0;

	if (t->channel == MM_NO_INDEX || odd_root || t->missing ||
	    key_of(run->q->order, t) >= cut_of(run->q, t->channel))
		return false;
	return run->q->protect || !(mm_part_protections(t) & MM_DAMAGED);
}

static int take_thread(void *payload, const struct mm_part *part, struct err *err)
{
	struct run *run = payload;
	struct mm_thread t = {.root_create_ms = part->root_create_ms, .last_reply_ms = part->last_reply_ms,
			      .last_edit_ms = part->last_edit_ms, .posts = part->posts, .bytes = part->bytes,
			      .protections = mm_part_protections(part),
			      .hold = part->hold, .channel = part->channel};

	if (!is_wanted(run, part))
		return 0;
	memcpy(t.root, part->root, sizeof t.root);
	memcpy(t.channel_id, run->id[part->channel], sizeof t.channel_id);
	return run->fn(run->payload, &t, err);
}

static void map_channels(void *ctx, struct run *run)
{
	const struct mm_thread_query *q = run->q;

	run->id = mem_array(ctx, mm_id, q->n_channels + 1);
	mm_idmap_init(&run->channel, ctx, sizeof(mm_id));
	mm_idmap_base(&run->channel, run->id);
	for (size_t i = 0; i < q->n_channels; i++) {
		if (strlen(q->channel_ids[i]) <= MM_ID)
			memcpy(run->id[i], q->channel_ids[i], strlen(q->channel_ids[i]));
		mm_idmap_add(&run->channel);
	}
}

static void range_of_cuts(const struct mm_thread_query *q, struct mm_rows *rows)
{
	rows->max_cut_ms = INT64_MIN;
	rows->min_cut_ms = INT64_MAX;
	for (size_t i = 0; i < q->n_channels; i++) {
		int64_t cut = cut_of(q, i);

		rows->max_cut_ms = cut > rows->max_cut_ms ? cut : rows->max_cut_ms;
		rows->min_cut_ms = cut < rows->min_cut_ms ? cut : rows->min_cut_ms;
	}
}

static void channel_params(void *ctx, const struct mm_thread_query *q, struct mm_rows *rows)
{
	struct db_array ids, cuts;

	db_array_init(&ids, ctx);
	db_array_init(&cuts, ctx);
	for (size_t i = 0; i < q->n_channels; i++) {
		db_array_add(&ids, q->channel_ids[i], strlen(q->channel_ids[i]));
		db_array_add_i64(&cuts, cut_of(q, i));
	}
	rows->channels = db_array_text(&ids);
	rows->cuts = db_array_text(&cuts);
	range_of_cuts(q, rows);
	rows->all_channels = q->all_channels && rows->max_cut_ms == rows->min_cut_ms;
}

/* One of two counts; sets the form when it stays under the ceiling that comes with it. */
static int count_older(void *ctx, struct mm *mm, struct mm_rows *rows, enum mm_rows_form form, int64_t *ret_posts,
		       struct err *err)
{
	char *cut = mem_printf(ctx, "%lld", (long long)rows->max_cut_ms);
	const char *all[] = {cut}, *some[] = {rows->channels, rows->cuts};
	struct db_result *res;
	int r = form == MM_BY_CREATEAT ? db_query(ctx, mm->db, &sql_thread_older, DB_ONE, 1, all, &res, err)
				       : db_query(ctx, mm->db, &sql_thread_older_channels, DB_ONE, 2, some, &res, err);

	if (r == 0 && db_i64(res, 0, 0) < db_i64(res, 0, 1)) {
		rows->form = form;
		*ret_posts = db_i64(res, 0, 0);
	}
	return r;
}

/* Cheap counts, each with the same ceiling: what stays under it is probed. */
static int choose_form(void *ctx, struct mm *mm, const struct mm_thread_query *q, struct mm_rows *rows,
		       int64_t *ret_posts, struct err *err)
{
	bool few = !rows->all_channels && q->n_channels <= FEW_CHANNELS;
	int r = 0;

	rows->form = MM_SCAN;
	if (few)
		r = count_older(ctx, mm, rows, MM_BY_CHANNEL, ret_posts, err);
	if (r == 0 && rows->form == MM_SCAN)
		r = count_older(ctx, mm, rows, MM_BY_CREATEAT, ret_posts, err);
	if (r == 0 && rows->form == MM_SCAN && !rows->all_channels && !few)
		r = count_older(ctx, mm, rows, MM_BY_CHANNEL, ret_posts, err);
	if (rows->form == MM_BY_CREATEAT && rows->all_channels)
		rows->channels = NULL; /* nothing to leave out */
	return r;
}

/* Rows without a time are in no range of times: they only mark their thread as damaged. */
static int take_null(void *payload, const struct db_row *row, struct err *err)
{
	struct run *run = payload;
	struct mm_part part = {.posts = 1, .hold = -1, .bits = MM_DAMAGED, .channel = MM_NO_INDEX};

	if (!row->value[0] || row->len[0] > MM_ID)
		return 0;
	memcpy(part.root, row->value[0], row->len[0] + 1);
	if (row->value[1])
		part.channel = mm_idmap_find(&run->channel, row->value[1], row->len[1]);
	if (run->q->order == MM_BY_LAST_REPLY && row->value[2] && row->value[2][0] == 't')
		part.missing = -1; /* thread_replies.sql counts it */
	return mm_fold_add(run->fold, &part, err);
}

static int scan_settings(void *ctx, struct mm *mm, const char *sort, struct err *err)
{
	struct db_result *res;

	return db_query(ctx, mm->db, &sql_thread_settings, DB_ONE, 1, &sort, &res, err);
}

/* One page of ids that came as nobody's root: edit copies of replies to their threads, the rest of the damage as marks.
 */
static int settle_page(struct run *run, struct mm_rows *rows, struct db_array *page, struct err *err)
{
	int r;

	rows->form = MM_ODD_COPIES;
	rows->roots = db_array_text(page);
	r = mm_rows_fold(rows, run->fold, err);
	if (r == 0)
		r = mm_marks_fold(run->mm, &sql_thread_rootless, 1, &rows->roots, run->fold, err);
	db_array_clear(page);
	return r;
}

/* Where there is such damage among the old rows, younger rows may have it too. */
static int mark_named(struct run *run, const struct mm_rows *rows, struct err *err)
{
	char least[24], greatest[24];
	const char *p[] = {least, greatest};

	snprintf(least, sizeof least, "%lld", (long long)rows->min_cut_ms);
	snprintf(greatest, sizeof greatest, "%lld", (long long)rows->max_cut_ms);
	return mm_marks_fold(run->mm, &sql_thread_named, 2, p, run->fold, err);
}

/* A scan takes the thread of a row from the row alone.  Where that is no root, the row it names tells: gone (a stray),
 * or a row of another thread. */
static int settle_rootless(void *ctx, struct run *run, struct mm_rows *rows, struct err *err)
{
	struct spool *rootless;
	struct db_array page;
	const void *id;
	int r = spool_new(ctx, sizeof(mm_id), &rootless, err);

	db_array_init(&page, ctx);
	if (r == 0)
		r = mm_fold_rootless(run->fold, rootless, err);
	if (r == 0)
		r = spool_rewind(rootless, err);
	while (r == 0 && (r = spool_next(rootless, &id, err)) > 0) {
		db_array_add(&page, id, strlen(id));
		r = page.n == PAGE ? settle_page(run, rows, &page, err) : 0;
	}
	if (r == 0 && page.n)
		r = settle_page(run, rows, &page, err);
	return r == 0 && spool_count(rootless) && rows->order != MM_BY_ROOT ? mark_named(run, rows, err) : r;
}

static int scan(void *ctx, struct run *run, struct mm_rows *rows, struct err *err)
{
	int r = scan_settings(ctx, run->mm, "off", err);

	if (r == 0)
		r = mm_rows_fold(rows, run->fold, err);
	if (r == 0)
		r = scan_settings(ctx, run->mm, "on", err);
	if (r == 0 && rows->order != MM_BY_ROOT)
		r = db_stream(run->mm->db, &sql_thread_null, 0, NULL, take_null, run, err);
	return r < 0 ? r : settle_rootless(ctx, run, rows, err);
}

struct half { struct mm_rows rows; struct mm_fold *fold; };

static int fold_half(void *payload, struct err *err)
{
	struct half *h = payload;

	return mm_rows_fold(&h->rows, h->fold, err);
}

/* The candidates in two halves by the time of their root, so that the sessions read different pages. */
static int split(void *ctx, struct mm *mm, const struct mm_rows *rows, int64_t posts, struct mm_rows *older,
		 struct mm_rows *younger, struct err *err)
{
	const char *all[] = {mem_printf(ctx, "%lld", (long long)rows->max_cut_ms),
			     mem_printf(ctx, "%lld", (long long)(posts / 2))};
	const char *some[] = {rows->channels, rows->cuts};
	struct db_result *res;
	int r = rows->form == MM_BY_CREATEAT
			? db_query(ctx, mm->db, &sql_thread_middle, DB_ONE, 2, all, &res, err)
			: db_query(ctx, mm->db, &sql_thread_middle_channels, DB_ONE, 2, some, &res, err);

	if (r < 0)
		return r;
	younger->since = older->cuts = db_text(res, 0, 0);
	if (rows->form == MM_BY_CREATEAT)
		older->max_cut_ms = strtoll(older->cuts + 1, NULL, 10);
	return 0;
}

/* What marks single posts, as a whole where it is little beside the posts that would be looked up in it one by one. */
static int list_marked(void *ctx, struct mm *mm, struct mm_rows *rows, int64_t posts, struct err *err)
{
	const struct mm_guards *g = rows->guards;
	struct mm_marked *m;
	struct db_result *res;
	struct sql sql;
	int r;

	if (!g || g->marks_bytes > posts * MARKS_BYTES || db_server_version(mm->db) < MARKS_SINCE ||
	    !(g->temporary || g->property))
		return 0;
	r = mm_template(ctx, &sql_thread_marked,
			(const char *const[]){g->temporary ? "temporary" : "no_temporary",
					      g->property ? "property" : "no_property", NULL},
			&sql, err);
	if (r == 0)
		r = db_query(ctx, mm->db, &sql, DB_ONE, 1, &g->flag_fields, &res, err);
	if (r < 0)
		return r;
	m = mem_new(ctx, struct mm_marked);
	*m = (struct mm_marked){.temporary = db_null(res, 0, 0) ? NULL : db_text(res, 0, 0),
				.property = db_null(res, 0, 1) ? NULL : db_text(res, 0, 1)};
	rows->marked = m;
	return 0;
}

/* Candidates probed by two sessions where there are enough of them. */
static int probe(struct run *run, struct mm_rows *rows, int64_t posts, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_threads beside");
	struct half here = {.fold = run->fold}, beside;
	struct mm *twin = NULL;
	int r = list_marked(ctx, run->mm, rows, posts, err);

	if (r == 0 && posts >= BESIDE_POSTS)
		r = mm_twin(run->mm, &twin, err);
	if (r < 0)
		return r;
	here.rows = beside.rows = *rows;
	if (!twin) {
		r = fold_half(&here, err);
		return r == 0 ? mm_fold_run(run->fold, take_thread, run, err) : r;
	}
	beside.rows.mm = twin;
	r = split(ctx, run->mm, rows, posts, &here.rows, &beside.rows, err);
	if (r == 0)
		r = mm_fold_new(ctx, &beside.fold, err);
	if (r == 0)
		r = mm_both(fold_half, &here, &beside, err);
	if (r == 0)
		r = mm_fold_run(here.fold, take_thread, run, err);
	return r == 0 ? mm_fold_run(beside.fold, take_thread, run, err) : r;
}

int mm_threads(struct mm *mm, const struct mm_thread_query *q, mm_thread_fn fn, void *payload, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_threads");
	struct run run = {.mm = mm, .q = q, .fn = fn, .payload = payload};
	struct mm_rows rows = {.mm = mm, .order = q->order, .with_bytes = q->with_bytes, .protect = q->protect};
	struct mm_guards *guards;
	int64_t posts = 0;
	int r;

	if (q->n_channels == 0)
		return 0;
	map_channels(ctx, &run);
	rows.channel = &run.channel;
	channel_params(ctx, q, &rows);
	r = choose_form(ctx, mm, q, &rows, &posts, err);
	if (r == 0 && q->protect) {
		r = mm_guards_read(ctx, mm, NULL, &guards, err);
		rows.guards = guards;
	}
	if (r == 0)
		r = mm_fold_new(ctx, &run.fold, err);
	if (r == 0 && rows.form != MM_SCAN)
		return probe(&run, &rows, posts, err);
	if (r == 0)
		r = scan(ctx, &run, &rows, err);
	return r == 0 ? mm_fold_run(run.fold, take_thread, &run, err) : r;
}
