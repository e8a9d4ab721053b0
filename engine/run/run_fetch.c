/*
 * run_fetch.c - back from the mirror: what the archive lacks.
 *
 * Names and bytes of a mirror are those of whoever may write there.  A bundle is believed when it is the file that the
 * ledger names and reads back whole; one that the ledger does not know comes only when somebody names it.  The ledger
 * itself is believed as far as its chain goes, and only where there is none.
 */
#include "run_internal.h"
#include "run_mirror.h"

#include <mmretain/catalog.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fetch {
	void *ctx;
	struct store *store;
	struct mirror *m;
	const struct run_fetch_options *options;
	struct run_fetch_report *report;
	struct ledger *ledger;             /* NULL: only looked at */
	struct ledger_archive *archive;
	struct mirror_names named;
	bool *asked;                       /* of the operands: found */
};

/* A plain name, with nothing that means a folder or hides. */
static bool is_plain(const char *name)
{
	return *name && *name != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name) &&
	       strlen(name) < 200;
}

/* bundles/yyyy/mm/mmr1-....tar.zst */
static bool is_bundle_path(const char *path)
{
	static const char shape[] = "bundles/####/##/mmr1-";
	size_t n = strlen(path);

	if (n < sizeof shape + 8 || strcmp(path + n - 8, ".tar.zst") != 0)
		return false;
	for (size_t i = 0; i < sizeof shape - 1; i++)
		if (shape[i] == '#' ? path[i] < '0' || path[i] > '9' : path[i] != shape[i])
			return false;
	return is_plain(path + sizeof "bundles/####/##/" - 1);
}

/* ---- one object into partial/, and from there into its place ---- */

static int open_part(const struct fetch *f, const char *name, int *ret, struct err *err)
{
	*ret = openat(f->store->partial_dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	return *ret < 0 ? err_sys(err, ERR_STORE, errno, "cannot create \"partial/%s\"", name)
			: file_inherit(*ret, f->store->partial_dirfd, name, err);
}

static int bring(const struct fetch *f, const char *key, const char *name, struct mirror_object *ret, struct err *err)
{
	auto_fd int fd = -1;
	int rc = open_part(f, name, &fd, err);

	if (rc < 0 || (rc = mirror_get(f->m, key, fd, ret, err)) < 0 || (rc = file_sync(fd, name, err)) < 0)
		return rc;
	return file_close(&fd, name, err);
}

/* Before: it is in partial/, whole and durable, and the next run or call removes it there.  After: it is in its place,
 * as if it had never been away. */
static int into_place(const struct fetch *f, const char *name, const char *rel_path, struct err *err)
{
	auto_mem char *folder = mem_strdup(NULL, rel_path);
	auto_fd int dirfd = -1;
	const char *leaf;
	int rc;

	*strrchr(folder, '/') = '\0';
	if ((rc = file_make_dirs(f->store->root_dirfd, folder, err)) < 0 ||
	    (rc = file_open_parent_beneath(f->store->root_dirfd, rel_path, &dirfd, &leaf, err)) < 0)
		return rc;
	return file_publish(f->store->partial_dirfd, name, dirfd, leaf, err);
}

static void drop_part(const struct fetch *f, const char *name)
{
	(void)unlinkat(f->store->partial_dirfd, name, 0); /* ignoring: partial/ is cleared at the next start */
}

/* ---- the ledger ---- */

/* The whole chain is walked. */
static int any_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	(void)seq;
	(void)line;
	(void)len;
	(void)err;
	*(bool *)payload = true;
	return 0;
}

static int no_ledger(const struct fetch *f, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "neither the archive \"%s\" nor the mirror has a ledger", f->store->path);
	return err_hint(err, "Is the prefix right? A mirror without a ledger was never at the end of a run.");
}

/* Of an archive that was just made: the file is not there, or has no line. */
static int ledger_in(struct fetch *f, struct err *err)
{
	struct mirror_object got;
	bool was, any = false;
	int rc;

	if (!f->options->act) {
		rc = mirror_look(f->m, MIRROR_LEDGER, &got, err);
		return rc == -ERR_NOT_FOUND ? no_ledger(f, err) : rc;
	}
	rc = bring(f, MIRROR_LEDGER, LEDGER_FILE, &got, err);
	if (rc == -ERR_NOT_FOUND)
		return no_ledger(f, err);
	if (rc < 0 || (rc = ledger_read(f->store->partial_dirfd, any_line, &any, err)) < 0)
		return rc < 0 ? err_prefix(err, "the mirror's ledger") : rc;
	/* Before: a ledger without a line, and the mirror's whole one in partial/.  After: none here; whoever opens the
	 * archive makes an empty one, and the next call begins as this one did. */
	if ((rc = store_remove(f->store, MIRROR_LEDGER, NULL, &was, err)) < 0 ||
	    (rc = run_fault(FAULT_FETCH_NO_LEDGER, err)) < 0)
		return rc;
	return into_place(f, LEDGER_FILE, MIRROR_LEDGER, err);
}

static int begin(struct fetch *f, struct err *err)
{
	bool any = false;
	int rc;

	if (f->options->act && (rc = ledger_open(f->ctx, f->store->ledger_dirfd, &f->ledger, err)) < 0)
		return rc;
	if ((rc = ledger_read(f->store->ledger_dirfd, any_line, &any, err)) < 0)
		return rc;
	/* a case log that is another's is for whoever reads it: what this command brings is not written over it */
	if (any)
		return mirror_begins(f->m, f->store, MIRROR_LEDGER, err);
	if ((rc = ledger_in(f, err)) < 0)
		return rc;
	f->report->ledger = true;
	TALLOC_FREE(f->ledger); /* it has the lock of the empty one */
	return f->options->act ? ledger_open(f->ctx, f->store->ledger_dirfd, &f->ledger, err) : 0;
}

/* ---- files beside it ---- */

static int on_side(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	struct fetch *f = payload;
	const char *name = key + strlen("ledger/");
	bool access = strcmp(key, MIRROR_ACCESS) == 0;
	struct mirror_object got;
	int rc;

	(void)bytes;
	if (strcmp(key, MIRROR_LEDGER) == 0 || (!access && !is_plain(name)) || mirror_is_here(f->store, key))
		return stop_check(err);
	f->report->beside++;
	if (!f->ledger)
		return 0;
	if ((rc = bring(f, key, "beside", &got, err)) < 0 || (rc = into_place(f, "beside", key, err)) < 0)
		return rc;
	return stop_check(err);
}

/* ---- bundles ---- */

static bool is_named(const char *rel_path, const char *name)
{
	const char *slash = strrchr(rel_path, '/');

	return strcmp(rel_path, name) == 0 || (slash && strcmp(slash + 1, name) == 0);
}

static bool is_asked(struct fetch *f, const char *rel_path)
{
	bool found = false;

	for (size_t i = 0; i < f->options->n_bundles; i++)
		if (is_named(rel_path, f->options->bundle[i]))
			f->asked[i] = found = true;
	return found;
}

static struct run_fetched *add(struct fetch *f, const char *rel_path)
{
	struct run_fetch_report *r = f->report;

	if (r->n % 64 == 0)
		r->bundle = mem_grow(r, r->bundle, struct run_fetched, r->n + 64);
	r->bundle[r->n] = (struct run_fetched){.rel_path = mem_strdup(r, rel_path), .state = RUN_FETCH_DUE};
	return &r->bundle[r->n++];
}

static int damaged(struct fetch *f, struct run_fetched *b, const char *name, struct err *err)
{
	if (err->code != -ERR_VERIFY)
		return err->code;
	drop_part(f, name);
	b->state = RUN_FETCH_DAMAGED;
	b->why = mem_strdup(f->report, err->msg);
	err_clear(err);
	return 0;
}

/* p NULL: the ledger does not know it, and an erasure is never believed without its line. */
static int check(const struct fetch *f, const struct ledger_published *p, const char *name,
		 const struct mirror_object *got, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "check");
	struct bundle_check sum = {0};
	struct digest file, rows;
	struct receipt *r;
	int rc;

	if (p) {
		if (!hex_decode(p->file_digest, DIGEST_BYTES, file.b) ||
		    !hex_decode(p->rows_digest, DIGEST_BYTES, rows.b))
			return err_set(err, ERR_VERIFY, "the ledger line has no digests");
		if (memcmp(&got->sum, &file, sizeof file) != 0)
			return err_set(err, ERR_VERIFY, "the mirror has other bytes than the ledger names");
		return bundle_reopen(ctx, f->store->partial_dirfd, name, &file, &rows, &r, err);
	}
	if ((rc = bundle_verify(f->store->partial_dirfd, name, &sum, f->options->progress, err)) < 0)
		return rc;
	return sum.generation == 1 ? 0 : err_set(err, ERR_VERIFY, "it says that a person was erased in it, and no line "
								  "of the ledger announces that");
}

static int fetch_one(struct fetch *f, const struct ledger_published *p, const char *rel_path, struct err *err)
{
	const char *name = strrchr(rel_path, '/') + 1;
	struct run_fetched *b = add(f, rel_path);
	struct mirror_object got;
	int rc;

	rc = f->ledger ? bring(f, rel_path, name, &got, err) : mirror_look(f->m, rel_path, &got, err);
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		drop_part(f, name);
		b->state = RUN_FETCH_NONE;
		b->why = "the mirror has no copy";
		return 0;
	}
	if (rc < 0)
		return rc;
	b->bytes = got.bytes;
	if (!f->ledger)
		return 0;
	if ((rc = check(f, p, name, &got, err)) < 0)
		return damaged(f, b, name, err);
	if ((rc = into_place(f, name, rel_path, err)) < 0)
		return rc;
	b->state = RUN_FETCH_DONE;
	return 0;
}

static int known(struct fetch *f, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < f->archive->n && rc == 0; i++) {
		const struct ledger_published *p = &f->archive->bundle[i];

		progress_update(f->options->progress, "fetch", i, f->archive->n, "bundles");
		if (f->options->n_bundles && !is_asked(f, p->rel_path) && !is_asked(f, p->bundle))
			continue;
		if (p->expiry == LEDGER_THERE && is_bundle_path(p->rel_path) && !store_has_file(f->store, p->rel_path))
			rc = fetch_one(f, p, p->rel_path, err);
		rc = rc < 0 ? rc : stop_check(err);
	}
	return rc;
}

static int on_bundle(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	struct fetch *f = payload;

	(void)bytes;
	if (!is_bundle_path(key) || mirror_names_find(&f->named, key) || mirror_is_here(f->store, key))
		return stop_check(err);
	if (!is_asked(f, key)) {
		f->report->unknown++;
		return stop_check(err);
	}
	return fetch_one(f, NULL, key, err);
}

static int all_found(const struct fetch *f, struct err *err)
{
	for (size_t i = 0; i < f->options->n_bundles; i++)
		if (!f->asked[i])
			return err_set(err, ERR_NOT_FOUND, "neither the ledger nor the mirror has a bundle \"%s\"",
				       f->options->bundle[i]);
	return 0;
}

/* ---- all ---- */

static void reindex(const struct fetch *f)
{
	struct catalog_totals totals;
	struct err why = {0};

	if (catalog_reindex(f->store, false, &totals, f->options->progress, &why) < 0)
		log_warn("cannot build the indexes (%s); `mmretain reindex` does that, ignoring", why.msg);
}

static int judge(const struct run_fetch_report *r, struct err *err)
{
	unsigned long long bad = r->count[RUN_FETCH_DAMAGED], none = r->count[RUN_FETCH_NONE];

	if (bad) {
		err_set(err, ERR_VERIFY, "%llu cop%s in the mirror %s not sound, and w%s not taken", bad,
			bad == 1 ? "y" : "ies", bad == 1 ? "is" : "are", bad == 1 ? "as" : "ere");
		return err_hint(err, "The list says what is wrong with each. Look for another copy.");
	}
	if (!none)
		return 0;
	err_set(err, ERR_NOT_FOUND, "%llu bundle%s missing here, and the mirror has no copy", none,
		none == 1 ? " is" : "s are");
	return err_hint(err, "Look for another copy; when there is none, `mmretain abandon`.");
}

static int fetch(struct fetch *f, struct err *err)
{
	struct run_fetch_report *r = f->report;
	int rc;

	if ((rc = begin(f, err)) < 0 || (rc = mirror_each(f->m, "ledger/", on_side, f, err)) < 0)
		return rc;
	if (r->ledger && !f->options->act)
		return 0; /* what it names is not known yet */
	if ((rc = ledger_archive(f->ctx, f->store->ledger_dirfd, &f->archive, err)) < 0)
		return rc;
	mirror_names(f->ctx, f->archive, &f->named);
	if ((rc = known(f, err)) < 0 || (rc = mirror_each(f->m, "bundles/", on_bundle, f, err)) < 0)
		return rc;
	return all_found(f, err);
}

int run_fetch(void *ctx, struct store *store, struct mirror *m, const struct run_fetch_options *options,
	      struct run_fetch_report **ret, struct err *err)
{
	auto_mem void *own = mem_context(NULL, "fetch");
	struct fetch f = {.ctx = own,
			  .store = store,
			  .m = m,
			  .options = options,
			  .report = mem_new(ctx, struct run_fetch_report)};
	int rc;

	*ret = f.report;
	f.asked = mem_array(own, bool, options->n_bundles + 1);
	rc = store_check_place(store, err);
	if (rc == 0)
		rc = fetch(&f, err);
	for (size_t i = 0; i < f.report->n; i++)
		f.report->count[f.report->bundle[i].state]++;
	if (f.report->count[RUN_FETCH_DONE])
		reindex(&f);
	return rc < 0 ? rc : judge(f.report, err);
}
