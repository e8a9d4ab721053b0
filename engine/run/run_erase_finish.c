/*
 * run_erase_finish.c - from a published new generation to the old file being gone; also after a crash in between.
 *
 * found                                          action
 * `erasing`, the new file is not there           nothing happened to the bundle: it stays as it is until somebody erases again
 * `erasing`, the new file is there               read back in full against the line, then `erased`; on with the next row
 * `erased`, the old file is there                the file that took its place is read back; then the old one goes, out of every index first
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
 * line that says which is the bundle; just after, the new one.  Who indexes meanwhile may have found the old file: it is forgotten once more. */
int erase_remove_old(const struct store *store, const char *rel_path, struct err *err)
{
	auto_mem char *path = mem_strdup(NULL, rel_path);
	bool was;
	int rc = run_fault(FAULT_ERASE_AFTER_LINE, err);

	if (rc < 0 || (rc = store_check_place(store, err)) < 0 || (rc = catalog_forget(store, &path, 1, err)) < 0 || (rc = run_fault(FAULT_ERASE_BEFORE_UNLINK, err)) < 0 ||
	    (rc = store_remove(store, rel_path, NULL, &was, err)) < 0 || (rc = run_fault(FAULT_ERASE_AFTER_UNLINK, err)) < 0)
		return rc;
	return catalog_forget(store, &path, 1, err);
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

	if (e->given_up || !is_there(store, e->rel_path)) {
		log_warn("an erasure in bundle %s (case %s) was interrupted before the new file was published: give the same `mmretain erase` again", e->bundle, e->case_id);
		return 0;
	}
	if (!hex_decode(e->file_digest, DIGEST_BYTES, file.b) || !hex_decode(e->rows_digest, DIGEST_BYTES, rows.b))
		return err_set(err, ERR_VERIFY, "the ledger's line of an erasure in bundle %s has no digests", e->bundle);
	if ((rc = bundle_reopen(ctx, store->root_dirfd, e->rel_path, &file, &rows, &r, err)) < 0) {
		err_prefix(err, "an erasure was interrupted after its bundle was published");
		return err_hint(err, "\"%s\" is there as it was. Move the newer file out of the archive and give the same `mmretain erase` again.", e->old_rel_path);
	}
	log_info("bundle %s was written again by an erasure that was interrupted; finishing it", e->rel_path);
	rc = erase_line(l, ctx, e, true, receipt_file_bytes(r), err);
	return rc < 0 ? rc : 1;
}

struct old { void *ctx; const struct store *store; struct erase_finished *to; };

/* An older generation is the only copy of everybody else's rows when the newer one has come to harm since.  Of several the last one counts. */
static int read_successor(const struct store *store, struct ledger_voucher v, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "successor");
	char rel_path[sizeof v.by];
	struct receipt *r;
	int rc = 0;

	while (rc == 0 && v.replaced) {
		memcpy(rel_path, v.by, sizeof rel_path);
		rc = ledger_vouch(store->ledger_dirfd, rel_path, &v, err);
	}
	if (rc == 0 && !v.found)
		rc = err_set(err, ERR_VERIFY, "no line of the ledger vouches for \"%s\"", rel_path);
	return rc < 0 ? rc : bundle_reopen(ctx, store->root_dirfd, rel_path, &v.file, &v.rows, &r, err);
}

static int on_replaced(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct old *o = payload;
	struct ledger_voucher v;
	int rc = ledger_vouch(o->store->ledger_dirfd, rel_path, &v, err);

	(void)size_bytes;
	if (rc < 0)
		return rc;
	if (!v.replaced) {
		o->to->left++;
		log_warn("beside %s lies a later generation that no line of the ledger puts in its place; both are left, `mmretain verify` looks at them", rel_path);
		return 0;
	}
	if ((rc = read_successor(o->store, v, err)) == -ERR_VERIFY || rc == -ERR_NOT_FOUND || rc == -ERR_STORE) {
		o->to->left++;
		log_warn("%s is left, because the file that took its place cannot be read back: %s", rel_path, err->msg);
		err_clear(err);
		return 0;
	}
	if (rc < 0 || (rc = erase_remove_old(o->store, rel_path, err)) < 0)
		return rc;
	o->to->done++;
	return 0;
}

int erase_finish(void *ctx, const struct store *store, struct ledger *l, struct erase_finished *ret, struct err *err)
{
	struct old old = {.ctx = ctx, .store = store, .to = ret};
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
	struct erase_finished n = {.done = 0};
	int rc = erase_finish(run->ctx, run->store, run->ledger, &n, err);

	if (rc < 0 || n.done == 0)
		return rc;
	if (catalog_reindex(run->store, false, &totals, NULL, err) < 0) {
		log_warn("cannot build the catalog again (%s); `mmretain reindex` does that, ignoring", err->msg);
		err_clear(err);
	}
	return 0;
}
