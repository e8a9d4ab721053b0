/*
 * run_erase_finish.c - from a published new generation to the old file being gone; also after a crash in between.
 *
 * found                                          action
 * `erasing`, the new file is not there           nothing happened to the bundle: it stays until somebody erases again
 * `erasing`, both files are there                the new one is read back in full against the line, holds are asked
 *                                                again, then `erased`; on with `erased`
 * the same, and a hold covers what was erased    the old one is read back, `erasure-withdrawn`; on with the next row
 * `erasure-withdrawn`, both files are there      the old one is read back; then the new one goes, out of every index
 *                                                first
 * `erased`, both files are there                 the one that took the old one's place is read back, holds are asked
 *                                                again; then the old one goes, out of every index first
 * the same, and a hold covers what was erased    told, and left as long as the hold lasts: the erasure is done, but
 *                                                this file holds what it took out
 * an older generation that no line replaces      told, and left: something is wrong
 */
#include "run_internal.h"
#include "run_erase.h"
#include "run_mirror.h"

#include <mmretain/catalog.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int append(struct ledger *l, void *ctx, const char *type, const struct ledger_erasure *e, uint64_t file_bytes,
		  struct err *err)
{
	struct ledger_entry entry;

	ledger_begin(&entry, ctx, type);
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
	if (file_bytes)
		ledger_int(&entry, "file_bytes", (int64_t)file_bytes);
	if (e->withdrawn)
		ledger_str(&entry, "because", "held");
	return ledger_append(l, &entry, err);
}

int erase_line(struct ledger *l, void *ctx, const struct ledger_erasure *e, bool done, uint64_t file_bytes,
	       struct err *err)
{
	return append(l, ctx, done ? "erased" : "erasing", e, done ? file_bytes : 0, err);
}

/* One of two generations goes, out of every index first: as long as it is there, the next call knows that its index may
 * be there, too.  A crash just before leaves both files, and a line that says which is the bundle; just after, that
 * one.  Who indexes meanwhile may have found it: it is forgotten once more. The catalog's names go with the first, all
 * of them: whose they were that this file alone had is asked once, after the last (erase_names). */
static int remove_one(const struct store *store, const char *rel_path, const enum fault_id at[3], struct err *err)
{
	bool was;
	int rc = run_fault(at[0], err);

	if (rc < 0 || (rc = store_check_place(store, err)) < 0 ||
	    (rc = catalog_forget_next(store, rel_path, err)) < 0 || (rc = run_fault(at[1], err)) < 0 ||
	    (rc = store_remove(store, rel_path, NULL, &was, err)) < 0 || (rc = run_fault(at[2], err)) < 0)
		return rc;
	return catalog_forget_next(store, rel_path, err);
}

int erase_remove_old(const struct store *store, struct mirror *m, const struct erase_swap *swap, struct err *err)
{
	static const enum fault_id at[] = {FAULT_ERASE_AFTER_LINE, FAULT_ERASE_BEFORE_UNLINK, FAULT_ERASE_AFTER_UNLINK};
	int rc = mirror_replace(m, store, swap->old_rel_path, swap->rel_path, swap->file_hex, swap->rows_hex, err);

	return rc < 0 ? rc : remove_one(store, swap->old_rel_path, at, err);
}

/* ---- after a crash ---- */

struct finish {
	void *ctx;
	const struct erase_asker *asker;
	struct store *store;
	struct ledger *ledger;
	const struct ledger_state *st;
	struct erase_finished *to;
};

static bool is_there(const struct store *store, const char *rel_path)
{
	struct stat st;

	return fstatat(store->root_dirfd, rel_path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What stands against one of them does not stop the others. */
static bool is_told(const struct err *err)
{
	return err->code == -ERR_VERIFY || err->code == -ERR_NOT_FOUND || err->code == -ERR_STORE;
}

static int leave(struct finish *f, const struct ledger_erasure *e, const char *what, struct err *err)
{
	f->to->left++;
	log_warn("an erasure in bundle %s (case %s) was interrupted, and both files are left: %s: %s", e->bundle,
		 e->case_id, what, err->msg);
	err_clear(err);
	return 0;
}

static int reopen(void *ctx, const struct store *store, const char *rel_path, const char *file_hex,
		  const char *rows_hex, uint64_t *ret_bytes, struct err *err)
{
	struct digest file, rows;
	struct receipt *r;
	int rc;

	if (!hex_decode(file_hex, DIGEST_BYTES, file.b) || !hex_decode(rows_hex, DIGEST_BYTES, rows.b))
		return err_set(err, ERR_VERIFY, "the ledger's line of an erasure has no digests of \"%s\"", rel_path);
	if ((rc = bundle_reopen(ctx, store->root_dirfd, rel_path, &file, &rows, &r, err)) == 0)
		*ret_bytes = receipt_file_bytes(r);
	return rc;
}

/* May holds be asked about the person of this line?  Somebody else's need not be the one of whom it was said that none
 * counts. */
static bool may_ask(const struct finish *f, const char *person_digest)
{
	return !f->asker->only || (person_digest && strcmp(f->asker->only, person_digest) == 0);
}

/* ---- one that is withdrawn ---- */

/* The old file is the only one that has what the hold keeps: nothing goes unless it is whole. */
static int remove_new(struct finish *f, const struct ledger_erasure *e, struct err *err)
{
	static const enum fault_id at[] = {FAULT_ERASE_WITHDRAWN, FAULT_ERASE_WITHDRAWN_FORGOTTEN,
					   FAULT_ERASE_WITHDRAWN_REMOVED};
	uint64_t bytes;
	int rc = reopen(f->ctx, f->store, e->old_rel_path, e->old_file_digest, e->rows_digest, &bytes, err);

	if (rc < 0)
		return is_told(err)
			       ? leave(f, e, "a hold covers what was erased, and the old one cannot be read back", err)
			       : rc;
	if (!e->withdrawn) {
		struct ledger_erasure line = *e;

		line.withdrawn = true;
		if ((rc = append(f->ledger, f->ctx, "erasure-withdrawn", &line, 0, err)) < 0)
			return rc;
	}
	if ((rc = remove_one(f->store, e->rel_path, at, err)) < 0)
		return rc;
	f->to->withdrawn++;
	return 0;
}

/* ---- one that is announced ---- */

static int read_new(struct finish *f, const struct ledger_erasure *e, uint64_t *ret_bytes, struct err *err)
{
	int rc = reopen(f->ctx, f->store, e->rel_path, e->file_digest, e->rows_digest, ret_bytes, err);

	if (rc == 0)
		return 0;
	err_prefix(err, "an erasure was interrupted after its bundle was published");
	return err_hint(err,
			"\"%s\" is there as it was. Move the newer file out of the archive and give the same `mmretain "
			"erase` again.",
			e->old_rel_path);
}

/* Without the old file nothing is left that a hold could keep. */
static int enter(struct finish *f, const struct ledger_erasure *e, struct err *err)
{
	const struct erase_pair pair = {e->old_rel_path, e->rel_path, e->rows};
	bool both = is_there(f->store, e->old_rel_path);
	uint64_t bytes = 0;
	char *why;
	int rc;

	if (both && !may_ask(f, e->person_digest)) {
		err_set(err, ERR_HOLD, "`mmretain run`, or the same `mmretain erase`, asks them and goes on");
		return leave(f, e, "holds are not asked of everybody now", err);
	}
	if ((rc = read_new(f, e, &bytes, err)) < 0)
		return rc;
	rc = both ? erase_held(f->ctx, f->asker, f->store, f->st, &pair, &why, err) : 0;
	if (rc < 0)
		return is_told(err) ? leave(f, e, "the old one cannot be asked for what holds keep", err) : rc;
	if (rc > 0) {
		log_warn("an erasure in bundle %s (case %s) was interrupted, and since then %s: it is withdrawn, the "
			 "bundle stays as it was; give the same `mmretain erase` again when the hold has ended",
			 e->bundle, e->case_id, why);
		return remove_new(f, e, err);
	}
	log_info("bundle %s was written again by an erasure that was interrupted; finishing it", e->rel_path);
	return erase_line(f->ledger, f->ctx, e, true, bytes, err);
}

static int take_up(struct finish *f, const struct ledger_erasure *e, struct err *err)
{
	bool there = !e->given_up && is_there(f->store, e->rel_path);

	if (!there && !e->withdrawn)
		log_warn("an erasure in bundle %s (case %s) was interrupted before the new file was published: give "
			 "the same `mmretain erase` again",
			 e->bundle, e->case_id);
	if (!there)
		return 0;
	return e->withdrawn ? remove_new(f, e, err) : enter(f, e, err);
}

/* ---- older generations ---- */

/* An older generation is the only copy of everybody else's rows when the newer one has come to harm since.  Of several
 * the last one counts. */
static int read_successor(const struct store *store, struct ledger_voucher *v, char ret_path[sizeof v->by],
			  struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "successor");
	struct receipt *r;
	int rc = 0;

	while (rc == 0 && v->replaced) {
		memcpy(ret_path, v->by, sizeof v->by);
		rc = ledger_vouch(store->ledger_dirfd, ret_path, v, err);
	}
	if (rc == 0 && !v->found)
		rc = err_set(err, ERR_VERIFY, "no line of the ledger vouches for \"%s\"", ret_path);
	return rc < 0 ? rc : bundle_reopen(ctx, store->root_dirfd, ret_path, &v->file, &v->rows, &r, err);
}

/* Both files of an erasure that stands as it did are told already. */
static bool is_announced(const struct finish *f, const char *rel_path)
{
	for (size_t i = 0; i < f->st->n_erasing; i++) {
		const struct ledger_erasure *e = &f->st->erasing[i];

		if (!e->given_up && strcmp(e->old_rel_path, rel_path) == 0 && is_there(f->store, e->rel_path))
			return true;
	}
	return false;
}

static int leave_old(struct finish *f, const char *rel_path, const char *why, struct err *err)
{
	f->to->left++;
	log_warn("%s is left, because %s: %s", rel_path, why, err->msg);
	err_clear(err);
	return 0;
}

/* Who was erased was erased by the line; but a hold that came before the file was gone keeps it. */
static int ask_old(struct finish *f, const char *rel_path, const char *newest, const char *person_digest,
		   struct err *err)
{
	const struct erase_pair pair = {.old_rel_path = rel_path, .rel_path = newest};
	char *why;
	int rc;

	if (!may_ask(f, person_digest)) {
		err_set(err, ERR_HOLD, "`mmretain run`, or the same `mmretain erase`, asks them and goes on");
		return 1 + leave_old(f, rel_path, "holds are not asked of everybody now", err);
	}
	rc = erase_held(f->ctx, f->asker, f->store, f->st, &pair, &why, err);
	if (rc < 0)
		return is_told(err) ? 1 + leave_old(f, rel_path, "it cannot be asked for what holds keep", err) : rc;
	if (rc == 0)
		return 0;
	f->to->held++;
	log_warn("%s is left: an erasure replaced it, but %s; standard tools read it, and it goes when the hold has "
		 "ended",
		 rel_path, why);
	return 1;
}

static int on_replaced(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct finish *f = payload;
	struct ledger_voucher v, last;
	char newest[sizeof v.by], file_hex[DIGEST_HEX + 1], rows_hex[DIGEST_HEX + 1];
	const struct erase_swap swap = {rel_path, newest, file_hex, rows_hex};
	int rc = ledger_vouch(f->store->ledger_dirfd, rel_path, &v, err);

	(void)size_bytes;
	if (rc < 0)
		return rc;
	if (!v.replaced) {
		if (is_announced(f, rel_path))
			return 0;
		f->to->left++;
		log_warn("beside %s lies a later generation that no line of the ledger puts in its place; both are "
			 "left, `mmretain verify` looks at them",
			 rel_path);
		return 0;
	}
	last = v;
	if ((rc = read_successor(f->store, &last, newest, err)) < 0)
		return is_told(err) ? leave_old(f, rel_path, "the file that took its place cannot be read back", err)
				    : rc;
	if ((rc = ask_old(f, rel_path, newest, v.person_digest, err)) != 0)
		return rc < 0 ? rc : 0;
	digest_hex(&last.file, file_hex);
	digest_hex(&last.rows, rows_hex);
	if ((rc = erase_remove_old(f->store, f->asker->mirror, &swap, err)) < 0)
		return rc;
	f->to->done++;
	return 0;
}

/* A crash before this leaves a catalog without names: the erased person's are not in it, others' are read from the
 * bundles, and no file or line of the ledger is left that would bring anybody here.  So every call that finishes
 * erasures comes here, whether it has found one or not. */
void erase_names(const struct store *store)
{
	struct err why = {0};

	if (run_fault(FAULT_ERASE_NAMES, &why) == 0 && store_check_place(store, &why) == 0 &&
	    catalog_names_again(store, &why) == 0)
		return;
	log_warn("cannot write the catalog's names again (%s); searches read them from the bundles, the next run tries "
		 "again",
		 why.msg);
}

int erase_finish(void *ctx, const struct erase_asker *asker, struct store *store, struct ledger *l,
		 struct erase_finished *ret, struct err *err)
{
	struct finish f = {.ctx = ctx, .asker = asker, .store = store, .ledger = l, .to = ret};
	struct ledger_state *st;
	int rc = ledger_fold(ctx, store->ledger_dirfd, &st, err);

	if (rc < 0)
		return rc;
	f.st = st;
	for (size_t i = 0; rc == 0 && i < st->n_erasing; i++)
		rc = take_up(&f, &st->erasing[i], err);
	if (rc < 0 || (rc = store_each_replaced(store, on_replaced, &f, err)) < 0)
		return rc;
	erase_names(store);
	return 0;
}

int run_erase_recover(struct run *run, struct err *err)
{
	const struct erase_asker asker = {.policy = run->policy, .mm = run->mm, .mirror = run->mirror};
	struct catalog_totals totals;
	struct erase_finished n = {.done = 0};
	int rc = erase_finish(run->ctx, &asker, run->store, run->ledger, &n, err);

	if (rc < 0 || (n.done == 0 && n.withdrawn == 0))
		return rc;
	if (catalog_reindex(run->store, false, &totals, NULL, err) < 0) {
		log_warn("cannot build the catalog again (%s); `mmretain reindex` does that, ignoring", err->msg);
		err_clear(err);
	}
	return 0;
}
