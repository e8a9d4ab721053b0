/*
 * mm_protect.c - why a page of threads must stay.
 *
 * Also called inside the deleting transaction, so everything is read anew there: a hold set a second ago wins.
 */
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

/* The threads of rows->roots with what guards them, one after the other; guards live in ctx. */
static int fold_rows(void *ctx, struct mm_rows *rows, mm_fold_fn fn, void *payload, struct err *err)
{
	struct mm_guards *guards;
	struct mm_fold *fold;
	int r = mm_guards_read(ctx, rows->mm, rows->roots, &guards, err);

	if (r < 0)
		return r;
	rows->guards = guards;
	if ((r = mm_fold_new(ctx, &fold, err)) == 0 && (r = mm_rows_fold(rows, fold, err)) == 0)
		r = mm_fold_run(fold, fn, payload, err);
	return r;
}

struct page {
	struct mm_idmap map;
	unsigned *bits;
	int *hold;
};

static int take_thread(void *payload, const struct mm_part *t, struct err *err)
{
	struct page *p = payload;
	uint32_t i = mm_idmap_find(&p->map, t->root, strlen(t->root));

	(void)err;
	if (i == MM_NO_INDEX)
		return 0;
	p->bits[i] = t->bits & (MM_ROW_ROOT - 1u);
	if (t->hold >= 0)
		p->bits[i] |= MM_HOLD;
	if (p->hold)
		p->hold[i] = t->hold;
	return 0;
}

/* Channels only need to be told apart here: each that occurs gets a number. */
int mm_protections(struct mm *mm, const struct mm_protect_query *q, const char *const *roots, size_t n,
		   unsigned *ret_bits, int *ret_hold, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_protections");
	struct mm_rows rows = {.mm = mm, .form = MM_BY_ROOT_ID, .protect = q};
	struct page page = {.bits = ret_bits, .hold = ret_hold};
	mm_id *id = mem_array(ctx, mm_id, n + 1);
	struct db_array a;

	db_array_init(&a, ctx);
	mm_idmap_init(&page.map, ctx, sizeof *id);
	mm_idmap_base(&page.map, id);
	for (size_t i = 0; i < n; i++) {
		if (strlen(roots[i]) > MM_ID)
			return err_set(err, ERR_INTERNAL, "a root id of more than %d bytes", MM_ID);
		memcpy(id[i], roots[i], strlen(roots[i]) + 1);
		mm_idmap_add(&page.map);
		db_array_add(&a, roots[i], strlen(roots[i]));
		ret_bits[i] = MM_CHANGED; /* until its root turns up */
		if (ret_hold)
			ret_hold[i] = -1;
	}
	rows.roots = db_array_text(&a);
	return fold_rows(ctx, &rows, take_thread, &page, err);
}

/* ---- one thread ---- */

struct one { struct mm_thread *to; bool *found; };

static int take_one(void *payload, const struct mm_part *t, struct err *err)
{
	struct one *o = payload;
	struct mm_thread *to = o->to;

	(void)err;
	*to = (struct mm_thread){.root_create_ms = t->root_create_ms,
				 .last_reply_ms = t->last_reply_ms,
				 .last_edit_ms = t->last_edit_ms,
				 .posts = t->posts,
				 .bytes = t->bytes,
				 .protections = mm_part_protections(t),
				 .hold = t->hold};
	memcpy(to->root, t->root, sizeof to->root);
	*o->found = t->root_create_ms > 0;
	return 0;
}

int mm_thread_one(struct mm *mm, const struct mm_protect_query *protect, const char *root, struct mm_thread *ret,
		  bool *ret_found, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_thread_one");
	struct mm_rows rows = {.mm = mm, .form = MM_BY_ROOT_ID, .protect = protect, .with_bytes = true};
	struct one one = {.to = ret, .found = ret_found};
	mm_id thread_root, channel;
	struct db_array a;
	int r;

	*ret_found = false;
	db_array_init(&a, ctx);
	db_array_add(&a, root, strlen(root));
	rows.roots = db_array_text(&a);
	r = fold_rows(ctx, &rows, take_one, &one, err);
	if (r == 0 && *ret_found && (r = mm_post_root(mm, root, thread_root, channel, err)) == 0)
		memcpy(ret->channel_id, channel, sizeof channel);
	return r;
}

/* One that is longer is none of Mattermost's, and cut short would be another, or no text at all. */
static void set_id(mm_id ret, const struct db_result *res, int col)
{
	snprintf(ret, sizeof(mm_id), "%s", db_len(res, 0, col) <= MM_ID ? db_text(res, 0, col) : "");
}

int mm_post_root(struct mm *mm, const char *post_id, mm_id ret_root, mm_id ret_channel, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "mm_post_root");
	struct db_result *res;
	int r = db_query(ctx, mm->db, &sql_thread_of_post, DB_ANY, 1, &post_id, &res, err);

	if (r < 0)
		return r;
	if (db_rows(res) != 1) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no post \"%s\"", post_id);
		return err_hint(err, "Use the id at the end of the post's permalink.");
	}
	set_id(ret_root, res, 0);
	set_id(ret_channel, res, 1);
	return 0;
}
