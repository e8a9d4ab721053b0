/*
 * run_erase_finish.c - from a published new generation to the old file being gone; also after a crash in between.
 *
 * found                                          action
 * `erasing`, the new file is not there           nothing happened to the bundle: it stays as it is until somebody erases again
 * `erasing`, the new file is there               read back in full against the line, then `erased`; on with the next row
 * `erased`, the old file is there                its index, the catalog and the old file are removed
 * an older generation that no line replaces      told, and left: something is wrong
 */
#include "run_internal.h"
#include "run_erase.h"

#include <mmretain/catalog.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int erase_line(struct ledger *l, void *ctx, const struct ledger_erasure *e, bool done, uint64_t file_bytes, struct err *err)
{
	struct ledger_entry entry;

	ledger_begin(&entry, ctx, done ? "erased" : "erasing");
	ledger_str(&entry, "bundle", e->bundle);
	ledger_str(&entry, "rel_path", e->rel_path);
	ledger_str(&entry, "file_digest", e->file_digest);
	ledger_str(&entry, "old_rel_path", e->old_rel_path);
	ledger_str(&entry, "old_file_digest", e->old_file_digest);
	ledger_str(&entry, "rows_digest", e->rows_digest);
	ledger_str(&entry, "person_digest", e->person_digest);
	ledger_str(&entry, "case", e->case_id);
	ledger_int(&entry, "generation", (int64_t)e->generation);
	ledger_int(&entry, "rows", (int64_t)e->rows);
	ledger_int(&entry, "posts", (int64_t)e->posts);
	ledger_int(&entry, "blobs", (int64_t)e->blobs);
	if (done)
		ledger_int(&entry, "file_bytes", (int64_t)file_bytes);
	return ledger_append(l, &entry, err);
}

/* The old file goes last: as long as it is there, the next call knows that its index may be there, too.  A crash just before leaves both files, and a
 * line that says which is the bundle; just after, the new one. */
int erase_remove_old(const struct store *store, const char *rel_path, struct err *err)
{
	bool was;
	int rc = run_fault(FAULT_ERASE_AFTER_LINE, err);

	if (rc < 0 || (rc = catalog_drop(store, rel_path, err)) < 0 || (rc = run_fault(FAULT_ERASE_BEFORE_UNLINK, err)) < 0 ||
	    (rc = store_remove(store, rel_path, NULL, &was, err)) < 0)
		return rc;
	return run_fault(FAULT_ERASE_AFTER_UNLINK, err);
}

/* ---- after a crash ---- */

static bool is_there(const struct store *store, const char *rel_path)
{
	struct stat st;

	return fstatat(store->root_dirfd, rel_path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int enter(void *ctx, const struct store *store, struct ledger *l, const struct ledger_erasure *e, struct err *err)
{
	struct digest file, rows;
	struct receipt *r;
	int rc;

	if (!is_there(store, e->rel_path)) {
		log_warn("an erasure in bundle %s (case %s) was interrupted before the new file was published: give the same `mmretain erase` again", e->bundle, e->case_id);
		return 0;
	}
	if (!hex_decode(e->file_digest, DIGEST_BYTES, file.b) || !hex_decode(e->rows_digest, DIGEST_BYTES, rows.b))
		return err_set(err, ERR_VERIFY, "the ledger's line of an erasure in bundle %s has no digests", e->bundle);
	if ((rc = bundle_reopen(ctx, store->root_dirfd, e->rel_path, &file, &rows, &r, err)) < 0)
		return err_prefix(err, "an erasure was interrupted after its bundle was published");
	log_info("bundle %s was written again by an erasure that was interrupted; finishing it", e->rel_path);
	rc = erase_line(l, ctx, e, true, receipt_file_bytes(r), err);
	return rc < 0 ? rc : 1;
}

struct old { void *ctx; const struct store *store; uint32_t *n; };

static int on_replaced(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct old *o = payload;
	struct ledger_voucher v;
	int rc = ledger_vouch(o->store->ledger_dirfd, rel_path, &v, err);

	(void)size_bytes;
	if (rc < 0)
		return rc;
	if (!v.replaced) {
		log_warn("beside %s lies a later generation that no line of the ledger puts in its place; both are left, `mmretain verify` looks at them", rel_path);
		return 0;
	}
	if ((rc = erase_remove_old(o->store, rel_path, err)) < 0)
		return rc;
	++*o->n;
	return 0;
}

int erase_finish(void *ctx, const struct store *store, struct ledger *l, uint32_t *ret, struct err *err)
{
	struct old old = {.ctx = ctx, .store = store, .n = ret};
	struct ledger_state *st;
	int rc = ledger_fold(ctx, store->ledger_dirfd, &st, err);

	for (size_t i = 0; rc == 0 && i < st->n_erasing; i++) {
		rc = enter(ctx, store, l, &st->erasing[i], err);
		rc = rc > 0 ? 0 : rc;
	}
	return rc < 0 ? rc : store_each_replaced(store, on_replaced, &old, err);
}

int run_erase_recover(struct run *run, struct err *err)
{
	struct catalog_totals totals;
	uint32_t n = 0;
	int rc = erase_finish(run->ctx, run->store, run->ledger, &n, err);

	if (rc < 0 || n == 0)
		return rc;
	if (catalog_reindex(run->store, false, &totals, NULL, err) < 0) {
		log_warn("cannot build the catalog again (%s); `mmretain reindex` does that, ignoring", err->msg);
		err_clear(err);
	}
	return 0;
}
