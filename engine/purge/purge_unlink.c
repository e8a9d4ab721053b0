/*
 * purge_unlink.c - blobs of deleted file rows, from the journal (mm_unlink.h).
 *
 * Of a part of a thread that stays, a live post may name a file again: the next run's sweep puts its row back, so the blob waits.
 */
#include "purge_internal.h"

enum { NAMED_PAGE = 1000 };

typedef int (*want_fn)(struct mm_journal *j, uint64_t at, struct err *err);
struct asking { struct mm_journal *j; want_fn want; bool any; int rc; struct err *err; };

static void on_named(void *payload, const struct purge_named_file *f)
{
	struct asking *a = payload;

	a->any = true;
	if (a->want && a->rc == 0)
		a->rc = a->want(a->j, f->at, a->err);
}

static int ask_page(struct mm *mm, struct purge_named *n, struct asking *a, struct err *err)
{
	int rc = purge_named_ask(mm, n, on_named, a, err);

	n->n = 0;
	return rc < 0 ? rc : a->rc;
}

static int ask_named(struct mm *mm, struct asking *a, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "named");
	struct purge_named n = {.n = 0};
	struct mm_journal_entry e;
	int rc;

	if (!mm_journal_any_thread(a->j))
		return 0;
	mm_journal_rewind(a->j);
	while ((rc = mm_journal_next(a->j, &e, err)) == 1) {
		if (e.thread[0])
			purge_named_add(ctx, &n, e.id, e.thread, mm_journal_at(a->j));
		if (n.n == NAMED_PAGE && (rc = ask_page(mm, &n, a, err)) < 0)
			return rc;
	}
	return rc < 0 ? rc : ask_page(mm, &n, a, err);
}

static int want_named(struct mm *mm, struct mm_journal *j, struct err *err)
{
	struct asking a = {.j = j, .want = mm_journal_want, .err = err};

	return ask_named(mm, &a, err);
}

/* A journal of files that stay needs none. */
static int check_folder(const struct mm *mm, const struct mm_journal *j, struct err *err)
{
	if (mm->data_dirfd >= 0 || !mm_journal_any_path(j))
		return 0;
	err_set(err, ERR_STORE, "the folder of the attachments is not known, so the blobs of deleted rows stay");
	return err_hint(err, "Set MM_FILESETTINGS_DIRECTORY or use mattermost_config; the next run takes up the journal.");
}

static int open_journal(void *ctx, struct mm *mm, const struct purge_options *o, struct mm_journal **ret, struct err *err)
{
	return mm_journal_open(ctx, mm, o->journal_dirfd, o->journal_name, &mm_unlink_attachments, ret, err);
}

int purge_unlink(struct mm *mm, const struct purge_options *o, struct purge_counts *c, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "unlink");
	struct mm_unlinked done = {.files = 0};
	struct mm_journal *j;
	int rc = open_journal(ctx, mm, o, &j, err);

	if (rc < 0 || !j || (rc = check_folder(mm, j, err)) < 0)
		return rc;
	rc = mm_unlink(mm, j, want_named, &done, err);
	c->blobs_unlinked += done.files;
	c->bytes_unlinked += done.bytes;
	c->blobs_shared += done.shared;
	c->blobs_failed += done.left + done.for_good;
	return rc;
}

int purge_unlink_named(struct mm *mm, const struct purge_options *o, bool *ret, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "unlink named");
	struct asking a = {.err = err};
	int rc = open_journal(ctx, mm, o, &a.j, err);

	*ret = false;
	if (rc < 0 || !a.j)
		return rc;
	rc = ask_named(mm, &a, err);
	*ret = a.any;
	return rc;
}
