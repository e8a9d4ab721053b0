/*
 * purge_unlink.c - blobs of deleted file rows, from their journals (mm_unlink.h).
 *
 * Of a part of a thread that stays, a live post may name a file again: the next run's sweep puts its row back, so the
 * blob waits.
 */
#include "purge_internal.h"

enum {
	NAMED_PAGE = 1000,
	JOURNALS = 64,
	ENTRIES = 20000 /* carried out at once: each open journal is a descriptor, and a little memory */
};

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
	if (mm_has_files(mm) || !mm_journal_any_path(j))
		return 0;
	err_set(err, ERR_STORE, "the folder or bucket of the attachments is not known, so the blobs of deleted rows "
				"stay");
	return err_hint(err, "Name it in the policy (database.files), or set MM_FILESETTINGS_DIRECTORY, or "
			     "MM_FILESETTINGS_AMAZONS3... of a bucket; the next run takes up the journal.");
}

static int open_journal(void *ctx, struct mm *mm, int dirfd, const char *name, struct mm_journal **ret, struct err *err)
{
	return mm_journal_open(ctx, mm, dirfd, name, &mm_unlink_attachments, ret, err);
}

struct opened {
	struct mm_unlink_item item[JOURNALS];
	const struct purge_journal *of[JOURNALS];
	size_t n;
	uint64_t entries;
};

/* 1: it is one too many, and waits. */
static int open_one(void *ctx, struct mm *mm, int dirfd, const struct purge_journal *journal, struct opened *o,
		    struct err *err)
{
	struct mm_journal *j;
	int rc = open_journal(ctx, mm, dirfd, journal->name, &j, err);

	if (rc < 0 || !j || (rc = check_folder(mm, j, err)) < 0)
		return rc;
	if (o->n == JOURNALS || (o->n && o->entries + mm_journal_entries(j) > ENTRIES)) {
		talloc_free(j);
		return 1;
	}
	o->item[o->n].j = j;
	o->of[o->n++] = journal;
	o->entries += mm_journal_entries(j);
	return 0;
}

static void add_counts(const struct opened *o)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct mm_unlinked *done = &o->item[i].counts;
		struct purge_counts *c = o->of[i]->counts;

		c->blobs_unlinked += done->files;
		c->bytes_unlinked += done->bytes;
		c->blobs_shared += done->shared;
		c->blobs_failed += done->left + done->for_good;
	}
}

int purge_unlink(struct mm *mm, int journal_dirfd, const struct purge_journal *journal, size_t n, size_t *ret_n,
		 struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "unlink");
	struct opened *o = mem_new(ctx, struct opened);
	size_t i = 0;
	int rc = 0;

	while (i < n && (rc = open_one(ctx, mm, journal_dirfd, &journal[i], o, err)) == 0)
		i++;
	*ret_n = i;
	if (rc < 0 && i == 0)
		return rc;
	err_clear(err); /* what is wrong with the next one is met again, as the first */
	rc = mm_unlink(mm, o->item, o->n, want_named, err);
	add_counts(o);
	return rc;
}

int purge_unlink_named(struct mm *mm, const struct purge_options *o, bool *ret, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "unlink named");
	struct asking a = {.err = err};
	int rc = open_journal(ctx, mm, o->journal_dirfd, o->journal_name, &a.j, err);

	*ret = false;
	if (rc < 0 || !a.j)
		return rc;
	rc = ask_named(mm, &a, err);
	*ret = a.any;
	return rc;
}
