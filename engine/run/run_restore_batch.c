/*
 * run_restore_batch.c - some threads of one bundle back into the database, in one transaction.
 *
 * Each thread has a savepoint of its own: what cannot come back is undone without the others.  Its attachments are
 * looked at before any is written, so that one that is left out leaves none behind.
 */
#include "run_internal.h"
#include "run_restore.h"

#include <errno.h>
#include <string.h>

enum { TEXTS_MAX = 1000 };

struct file { char *id, *path; };
struct putting {
	void *ctx;
	const struct audit_thread *t;
	struct run_restored *ret;
	struct file *file;
	size_t n_files;
};

/* ---- left out ---- */

static void leave_out(struct restore_batch *b, const char *root, enum run_left_why why, const char *text)
{
	struct run_restore_all_report *rep = b->report;
	struct run_left_out *l;

	if ((rep->n_left_out & (rep->n_left_out - 1)) == 0)
		rep->left_out =
			mem_grow(rep, rep->left_out, struct run_left_out, rep->n_left_out ? 2 * rep->n_left_out : 1);
	l = &rep->left_out[rep->n_left_out];
	*l = (struct run_left_out){.bundle = (uint32_t)(b->bundle - rep->bundle), .why = (uint8_t)why,
				   .text = text && rep->n_left_out < TEXTS_MAX ? mem_strdup(rep, text) : NULL};
	snprintf(l->root, sizeof l->root, "%s", root);
	rep->n_left_out++;
	b->sum.left_out++;
}

/* What a whole archive and a server in order can still meet in one thread; -1: what stops all of them. */
static int why_left(int rc, bool of_file, const struct err *err)
{
	if (rc == -ERR_GUARD)
		return of_file ? RUN_LEFT_FILE : RUN_LEFT_ROW;
	if (of_file && rc == -ERR_STORE && (err->sys_errno == ELOOP || err->sys_errno == ENOTDIR))
		return RUN_LEFT_FILE; /* a link, or no folder, where one must be */
	return rc == -ERR_VERIFY ? RUN_LEFT_UNREADABLE : -1;
}

/* ---- one thread ---- */

static int on_row(void *payload, const struct purge_put_row *row, struct err *err)
{
	struct putting *p = payload;

	restore_count(p->ret, row);
	if (row->kind == MM_FILE && row->file_id) {
		p->file = mem_grow(p->ctx, p->file, struct file, p->n_files + 1);
		p->file[p->n_files++] = (struct file){mem_strdup(p->ctx, row->file_id),
						      row->file_path ? mem_strdup(p->ctx, row->file_path) : NULL};
	}
	return stop_check(err);
}

static int each_file(struct restore_batch *b, const struct putting *p, struct run_restored *ret, bool act,
		     struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_files && rc == 0; i++)
		rc = run_restore_file(p->ctx, b->r->mm, p->t, p->file[i].id, p->file[i].path, ret, act, err);
	return rc;
}

/* It came back before and went again: unless that was by hand, a later bundle has it as it was then.  1: so it is. */
static int went_again(struct restore_batch *b, const struct run_restored *ret, struct err *err)
{
	struct audit_ref ref;
	int rc;

	if (!ret->rows_put || !ledger_purged_restored(b->purged, ret->root))
		return 0;
	rc = audit_locate(b->r->audit, ret->root, &ref, err);
	if (rc == -ERR_VERIFY) {
		err_clear(err);
		return 1; /* a bundle that is missing or damaged may have it */
	}
	return rc < 0 ? rc : strcmp(audit_ref_path(b->r->audit, &ref), b->bundle->rel_path) != 0;
}

static int put_thread(struct restore_batch *b, const struct audit_thread *t, const char *lines, size_t len,
		      struct run_restored *ret, int *ret_why, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "files of a thread");
	struct putting p = {.ctx = ctx, .t = t, .ret = ret};
	struct run_restored looked = {0};
	int rc = purge_put_lines(b->put, lines, len, on_row, &p, err), again;

	if (rc == 0)
		rc = restore_count_again(b->r, t, ret, err);
	*ret_why = why_left(rc, false, err);
	if (rc < 0)
		return rc;
	if ((again = went_again(b, ret, err)) != 0) {
		*ret_why = again < 0 ? -1 : RUN_LEFT_LATER;
		return again < 0 ? again : -ERR_GUARD;
	}
	if (b->r->act && (rc = each_file(b, &p, &looked, false, err)) == 0)
		rc = each_file(b, &p, ret, true, err);
	else if (!b->r->act)
		rc = each_file(b, &p, ret, false, err);
	*ret_why = why_left(rc, true, err);
	return rc;
}

/* Whether it can come back at all, before any of it is put; -1: yes. */
static int refuse(struct restore_batch *b, const struct audit_thread *t, int *ret_why, struct err *err)
{
	int rc = 0;

	*ret_why = -1;
	if (t->erased_posts) {
		*ret_why = RUN_LEFT_ERASED;
	} else if (strlen(t->channel) > MM_ID || strlen(t->root) > MM_ID) {
		*ret_why = RUN_LEFT_UNREADABLE;
	} else {
		if (strcmp(b->channel, t->channel) != 0 &&
		    (rc = restore_channel(b->r, t->channel, &b->channel_there, err)) == 0)
			snprintf(b->channel, sizeof b->channel, "%s", t->channel);
		if (!b->channel_there)
			*ret_why = RUN_LEFT_CHANNEL;
	}
	return rc;
}

static void add(struct run_back_bundle *to, const struct run_restored *ret)
{
	to->posts += ret->posts_put;
	to->rows += ret->rows_put;
	to->rows_there += ret->rows_there;
	to->files += ret->files_put;
	to->files_there += ret->files_there;
	to->files_left += ret->files_left;
}

/* A crash came between the commit and the line `restored`: it is back, held by us, and no line says so. */
static bool untold(const struct restore_batch *b, const char *root)
{
	if (ledger_purged_restored(b->purged, root))
		return false;
	for (const struct ledger_held_by *h = ledger_held_first(b->state, root); h; h = ledger_held_next(b->state, h))
		if (strcmp(h->hold.case_id, b->r->case_id) == 0 && strcmp(h->hold.via, "restore") == 0)
			return true;
	return false;
}

static void note(struct restore_batch *b, const struct run_restored *ret)
{
	bool came = ret->rows_put || ret->files_put;

	add(&b->sum, ret);
	b->sum.threads += came;
	b->sum.there += !came;
	if (!came && !untold(b, ret->root))
		return;
	add(&b->named, ret);
	memcpy(b->root[b->n_roots++], ret->root, sizeof(mm_id));
	if (came && !ledger_held_for(b->state, ret->root, b->r->case_id))
		memcpy(b->hold[b->n_hold++], ret->root, sizeof(mm_id));
}

static int begin(struct restore_batch *b, struct err *err)
{
	int rc = b->open ? 0 : db_begin(b->r->mm->db, DB_READ_COMMITTED, err);

	if (!b->open) {
		b->sum = b->named = (struct run_back_bundle){0};
		b->n_roots = b->n_hold = 0;
	}
	b->open = rc == 0;
	return rc;
}

int restore_batch_thread(struct restore_batch *b, const struct audit_thread *t, const char *lines, size_t len,
			 struct err *err)
{
	struct run_restored ret = {0};
	struct db *db = b->r->mm->db;
	int why = -1, rc;

	if ((rc = begin(b, err)) < 0 || (rc = refuse(b, t, &why, err)) < 0)
		return rc;
	if (why >= 0) {
		leave_out(b, t->root, (enum run_left_why)why, NULL);
		return 0;
	}
	snprintf(ret.root, sizeof ret.root, "%s", t->root);
	if ((rc = db_savepoint(db, err)) < 0)
		return rc;
	if ((rc = put_thread(b, t, lines, len, &ret, &why, err)) == 0) {
		note(b, &ret);
	} else if (why >= 0) {
		leave_out(b, t->root, (enum run_left_why)why, why == RUN_LEFT_LATER ? NULL : err->msg);
		err_clear(err);
		rc = db_savepoint_undo(db, err);
	}
	if (rc == 0 && (b->n_roots == RESTORE_BATCH_THREADS || b->sum.rows + b->sum.rows_there >= RESTORE_BATCH_ROWS))
		rc = restore_batch_end(b, err);
	return rc;
}

/* ---- the end of a batch ---- */

static int line_restored(struct restore_batch *b, struct err *err)
{
	struct ledger_entry e;
	struct buf ids;

	buf_init(&ids, b->r->ctx, 1 << 15); /* every sign of every id may need six */
	for (size_t i = 0; i < b->n_roots; i++) {
		buf_byte(&ids, i ? ',' : '[');
		json_put_string(&ids, b->root[i], strlen(b->root[i]));
	}
	buf_byte(&ids, ']');
	ledger_begin(&e, b->r->ctx, "restored");
	ledger_raw(&e, "roots", ids.data);
	ledger_str(&e, "rel_path", b->bundle->rel_path);
	ledger_str(&e, "case", b->r->case_id);
	ledger_int(&e, "threads", (int64_t)b->n_roots);
	ledger_int(&e, "posts", (int64_t)b->named.posts);
	ledger_int(&e, "rows", (int64_t)b->named.rows);
	ledger_int(&e, "rows_there", (int64_t)b->named.rows_there);
	ledger_int(&e, "files", (int64_t)b->named.files);
	buf_reset(&ids);
	return ledger_append(b->r->ledger, &e, err);
}

static void count(struct restore_batch *b)
{
	struct run_back_bundle *to = b->bundle;
	const struct run_back_bundle *s = &b->sum;

	to->threads += s->threads;
	to->there += s->there;
	to->left_out += s->left_out;
	to->posts += s->posts;
	to->rows += s->rows;
	to->rows_there += s->rows_there;
	to->files += s->files;
	to->files_there += s->files_there;
	to->files_left += s->files_left;
}

/* As of a single thread: a crash before the commit leaves a hold on threads that are not there, after it threads that
 * are back and held, and no line that says so.  The same command once more finds these whole, and writes it. */
static int commit(struct restore_batch *b, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "holds");
	int rc;

	if ((rc = restore_still_ours(b->r, err)) < 0 ||
	    (rc = run_line_hold(b->r->ledger, ctx, (const mm_id *)b->hold, b->n_hold, b->r->case_id, "restore", err)) <
		    0 ||
	    (rc = restore_commit(b->r, err)) < 0)
		return rc;
	b->report->done = true;
	b->open = false;
	count(b);
	return line_restored(b, err);
}

int restore_batch_end(struct restore_batch *b, struct err *err)
{
	if (!b->open)
		return 0;
	if (b->n_roots && b->r->act)
		return commit(b, err);
	db_rollback(b->r->mm->db); /* nothing came back, or it was only to be seen */
	b->open = false;
	count(b);
	return 0;
}

void restore_batch_drop(struct restore_batch *b)
{
	if (!b->open)
		return;
	db_rollback(b->r->mm->db);
	b->open = false;
	b->report->n_left_out -= b->sum.left_out < b->report->n_left_out ? b->sum.left_out : b->report->n_left_out;
}
