/*
 * run_abandon.c - a bundle that is lost, declared so: what a run would otherwise ask for every night.
 *
 * Nothing in the database is touched, now or later, for the sake of that bundle: its delete is not finished, its sweeps
 * are not repeated, and attachments of what it deleted stay, because they are what is left.  In this order, each step
 * durable before the next: what indexes know of its ids into ledger/lost-*; journals of its attachments aside; the
 * line; what is in the bundle's place aside; its index and its entry in the catalog.
 */
#include "run_internal.h"
#include "run_mirror.h"

#include <mmretain/catalog.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOURNAL_MAX_BYTES = 256 << 20 };

struct abandon {
	void *ctx;
	struct store *store;
	const struct run_abandon_options *options;
	struct run_abandoned *report;
	struct ledger *ledger;             /* NULL: only looked at */
	const struct ledger_published *p;
	struct catalog_lost_ids ids;
	bool in_place;                     /* something is where the bundle should be */
};

/* ---- which ---- */

static bool is_named(const struct ledger_published *p, const char *name)
{
	const char *slash = strrchr(p->rel_path, '/');

	return strcmp(p->bundle, name) == 0 || strcmp(p->rel_path, name) == 0 ||
	       (slash && strcmp(slash + 1, name) == 0);
}

static int choose(struct abandon *a, struct err *err)
{
	struct ledger_archive *archive;
	int rc = ledger_archive(a->ctx, a->store->ledger_dirfd, &archive, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < archive->n && !a->p; i++)
		if (is_named(&archive->bundle[i], a->options->bundle))
			a->p = &archive->bundle[i];
	if (!a->p) {
		err_set(err, ERR_NOT_FOUND, "the ledger knows no bundle \"%s\"", a->options->bundle);
		return err_hint(err, "Name it by its file name, or by its path below the archive root, as `mmretain "
				     "verify` and `mmretain status` do.");
	}
	if (a->p->expiry == LEDGER_THERE)
		return 0;
	err_set(err, ERR_USAGE, "bundle %s %s", a->p->bundle,
		a->p->expiry == LEDGER_EXPIRED ? "expired and was removed"
					       : "is being removed, because it is past its time");
	return err_hint(err, a->p->expiry == LEDGER_EXPIRED
				     ? "No run asks for it."
				     : "`mmretain expire --yes` or the next run goes on with that.");
}

static void fill_report(struct abandon *a)
{
	const struct ledger_published *p = a->p;
	struct run_abandoned *r = a->report;

	r->bundle = mem_strdup(r, p->bundle);
	r->rel_path = mem_strdup(r, p->rel_path);
	r->rule = mem_strdup(r, p->rule);
	r->threads = p->threads;
	r->posts = p->posts;
	r->rows = p->rows;
	r->already = p->loss != NULL;
	r->ids = catalog_lost_name(a->ids.kind);
}

/* ---- is it lost? ---- */

struct elsewhere { const char *name; char path[512]; };

static int on_bundle(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct elsewhere *e = payload;
	const char *slash = strrchr(rel_path, '/');

	(void)size_bytes;
	(void)err;
	if (!slash || strcmp(slash + 1, e->name) != 0)
		return 0;
	snprintf(e->path, sizeof e->path, "%s", rel_path);
	return 1;
}

/* A file of its name in another folder of the archive is a copy, until somebody has looked at it. */
static int missing(struct abandon *a, struct err *err)
{
	struct elsewhere e = {.name = strrchr(a->p->rel_path, '/') ? strrchr(a->p->rel_path, '/') + 1 : a->p->rel_path};
	int rc = store_each_bundle(a->store, on_bundle, &e, err);

	if (rc < 0)
		return rc;
	if (e.path[0]) {
		err_set(err, ERR_GUARD, "bundle %s is not in its place, but in \"%s\"", a->p->bundle, e.path);
		return err_hint(err, "Move it back to \"%s\" in the archive root.", a->p->rel_path);
	}
	a->report->found = "missing";
	a->report->why = "its file is not there";
	return 0;
}

static int damaged(struct abandon *a, const char *why)
{
	a->in_place = true;
	a->report->found = "damaged";
	a->report->why = mem_strdup(a->report, why);
	return 0;
}

/* It cannot be read.  When every byte is what the ledger names, that is not the file's fault: a later mmretain has
 * written it, or this one has an error. */
static int judge_bytes(struct abandon *a, const struct digest *file, struct err *err)
{
	struct digest now;
	struct err why = *err;
	auto_fd int fd = -1;
	int rc = file_open_beneath(a->store->root_dirfd, a->p->rel_path, &fd, err);

	if (rc == 0)
		rc = hash_fd(fd, a->p->rel_path, &now, NULL, err);
	if (rc < 0)
		return rc;
	if (memcmp(&now, file, sizeof now) != 0) {
		rc = damaged(a, why.msg);
		err_clear(err);
		return rc;
	}
	err_set(err, ERR_GUARD,
		"bundle %s is whole, byte for byte what the ledger names, and this program cannot read it: %s",
		a->p->bundle, why.msg);
	return err_hint(err, "Nothing is lost. Use a newer mmretain, one at least as new as the newest `tool` in the "
			     "ledger, for this archive.");
}

/* Read in full against the ledger.  A disk that does not read says nothing about the file. */
static int read_back(struct abandon *a, struct err *err)
{
	struct digest file, rows;
	struct receipt *receipt;
	int rc;

	if (!hex_decode(a->p->file_digest, DIGEST_BYTES, file.b) ||
	    !hex_decode(a->p->rows_digest, DIGEST_BYTES, rows.b))
		return err_set(err, ERR_VERIFY, "the ledger line of bundle %s has no digests", a->p->bundle);
	rc = bundle_reopen(a->ctx, a->store->root_dirfd, a->p->rel_path, &file, &rows, &receipt, err);
	if (rc == -ERR_VERIFY && (rc = judge_bytes(a, &file, err)) != -ERR_STORE)
		return rc;
	if (rc < 0) {
		err_prefix(err, "whether bundle %s is lost cannot be told", a->p->bundle);
		return *err->hint ? rc : err_hint(err, "When the disk cannot read it any more, move the file out of "
						       "the archive root: then it is missing.");
	}
	err_set(err, ERR_GUARD, "bundle %s is whole, and what the ledger names: nothing is lost", a->p->bundle);
	return err_hint(err, "`mmretain run --yes` finishes what a run left of it.");
}

/* No folder is ever removed: without it nothing shows that the file is gone.  What is behind a link may be whole. */
static int no_folder(struct abandon *a, int rc, struct err *err)
{
	if (rc != -ERR_NOT_FOUND) {
		err_prefix(err, "whether bundle %s is lost cannot be told", a->p->bundle);
		return err_hint(err,
				"\"%s\" must be in folders of the archive root itself, not behind a link or in "
				"another's place.",
				a->p->rel_path);
	}
	if ((rc = missing(a, err)) < 0)
		return rc;
	err_set(err, ERR_GUARD,
		"bundle %s cannot be declared lost: its folder is not there, and the file may still be in it",
		a->p->bundle);
	return err_hint(err,
			"Is its file system mounted? When the folder is gone for good, make an empty one for \"%s\" "
			"and give the command again.",
			a->p->rel_path);
}

static int link_in_place(struct abandon *a, struct err *err)
{
	err_set(err, ERR_GUARD, "what is in the place of bundle %s is a link, and the bundle may be behind it",
		a->p->bundle);
	return err_hint(err, "Put the file itself there. When nothing is behind the link, remove it and give the "
			     "command again.");
}

static int look(struct abandon *a, struct err *err)
{
	auto_fd int dirfd = -1;
	const char *leaf;
	struct stat st;
	int rc = file_open_parent_beneath(a->store->root_dirfd, a->p->rel_path, &dirfd, &leaf, err);

	if (rc < 0)
		return no_folder(a, rc, err);
	if (fstatat(dirfd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return missing(a, err);
		return err_sys(err, errno == EACCES ? ERR_PERMISSION : ERR_STORE, errno, "cannot look at \"%s\"",
			       a->p->rel_path);
	}
	if (S_ISLNK(st.st_mode))
		return link_in_place(a, err);
	return S_ISREG(st.st_mode) ? read_back(a, err) : damaged(a, "what is in its place is not a regular file");
}

/* ---- attachments that wait to be unlinked ---- */

/* An index never forgets an id that was in its bundle: one that it does not know is of another. */
static bool is_of_bundle(const struct catalog_lost_ids *ids, const char *text)
{
	const char *end;

	if (ids->kind == CATALOG_LOST_NONE)
		return true;
	for (const char *line = text; (end = strchr(line, '\n')); line = end + 1) {
		struct json_scan s;

		json_scan_init(&s, line, (size_t)(end - line));
		while (json_scan_next(&s))
			if (s.key_len == 2 && memcmp(s.key, "id", 2) == 0 && s.type == JSON_STR &&
			    !catalog_lost_has(ids, s.val, s.val_len))
				return false;
	}
	return true;
}

static int on_journal(void *payload, const char *rel_path, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "journal");
	struct abandon *a = payload;
	const char *name = strrchr(rel_path, '/') + 1;
	int dirfd = a->store->ledger_dirfd;
	char *text;
	size_t len;
	int rc = file_read(ctx, dirfd, name, JOURNAL_MAX_BYTES, &text, &len, err);

	if (rc < 0 || !is_of_bundle(&a->ids, text))
		return rc;
	a->report->journals++;
	/* Before: a run would remove the attachments.  After: none does; when no line follows, they only stay longer
	 * than they had to. */
	return a->ledger ? file_publish(dirfd, name, dirfd, mem_printf(ctx, "lost-%s", name), err) : 0;
}

/* ---- the line ---- */

static int write_line(struct abandon *a, struct err *err)
{
	const struct ledger_published *p = a->p;
	struct ledger_entry e;

	ledger_begin(&e, a->ctx, "abandoned");
	ledger_str(&e, "bundle", p->bundle);
	ledger_str(&e, "rel_path", p->rel_path);
	ledger_str(&e, "file_digest", p->file_digest);
	ledger_str(&e, "rows_digest", p->rows_digest);
	ledger_int(&e, "threads", (int64_t)p->threads);
	ledger_int(&e, "posts", (int64_t)p->posts);
	ledger_int(&e, "rows", (int64_t)p->rows);
	ledger_int(&e, "file_bytes", (int64_t)p->file_bytes);
	ledger_str(&e, "found", a->report->found);
	ledger_bool(&e, "deleting", a->report->deleting);
	ledger_str(&e, "ids", a->report->ids);
	ledger_str(&e, "reason", a->options->reason);
	ledger_int(&e, "uid", (int64_t)getuid());
	run_line_host(&e);
	ledger_str(&e, "tool", RUN_VERSION);
	return ledger_append(a->ledger, &e, err);
}

/* ---- what is left of it ---- */

/* Searches and runs would stumble over it for ever; what can still be read of it may be worth a great deal to somebody,
 * so it is not removed. */
static int move_aside(struct abandon *a, struct err *err)
{
	auto_fd int dirfd = -1;
	char *aside = mem_printf(a->report, "%s.lost", a->p->rel_path);
	const char *leaf;
	int rc;

	if (!a->in_place)
		return 0;
	if ((rc = file_open_parent_beneath(a->store->root_dirfd, a->p->rel_path, &dirfd, &leaf, err)) < 0)
		return rc;
	/* Before: it is there, and a line says that it is lost: the same command once more comes here.  After: it is
	 * aside. */
	if ((rc = file_publish(dirfd, leaf, dirfd, strrchr(aside, '/') + 1, err)) < 0)
		return err->sys_errno == EEXIST ? err_hint(err, "It is from an earlier time: move it out of the "
								"archive root, and give the same command again.")
						: rc;
	a->report->aside = aside;
	return 0;
}

static int forget(struct abandon *a, struct err *err)
{
	char *const path = a->p->rel_path;

	return catalog_forget(a->store, &path, 1, err);
}

static int act(struct abandon *a, struct err *err)
{
	int rc;

	if (!a->report->already &&
	    ((rc = catalog_lost_save(a->store, a->p->bundle, a->p->rows_digest, &a->ids, err)) < 0 ||
	     (rc = run_fault(FAULT_ABANDON_SAVED, err)) < 0 ||
	     (rc = store_each_named(a->store, "ledger", "unlink-", ".jsonl", on_journal, a, err)) < 0 ||
	     (rc = run_fault(FAULT_ABANDON_BEFORE_LINE, err)) < 0 || (rc = write_line(a, err)) < 0))
		return rc;
	if ((rc = run_fault(FAULT_ABANDON_AFTER_LINE, err)) < 0 || (rc = move_aside(a, err)) < 0 ||
	    (rc = run_fault(FAULT_ABANDON_ASIDE, err)) < 0)
		return rc;
	return forget(a, err);
}

/* What the mirror has is no loss. */
static int refuse_mirrored(struct abandon *a, struct err *err)
{
	int rc = mirror_has_bundle(a->options->mirror, a->p, err);

	if (rc < 0) {
		err_prefix(err, "whether the mirror has a copy of bundle %s cannot be told", a->p->bundle);
		return err_hint(err, "Nothing was done. With --archive in place of the policy the mirror is not asked; "
				     "what it has stays there, and `mmretain fetch` brings it back.");
	}
	if (rc == 0)
		return 0;
	err_set(err, ERR_GUARD, "the mirror has a copy of bundle %s: nothing is lost", a->p->bundle);
	return err_hint(err, a->in_place ? "Move what is in its place out of the archive root; then `mmretain fetch` "
					   "brings the copy." MIRROR_NOT_SOUND
					 : "`mmretain fetch` brings it back." MIRROR_NOT_SOUND);
}

/* Written again without one person, and published: `erased` is all that is missing. */
static int refuse_erasing(struct abandon *a, const struct ledger_state *st, struct err *err)
{
	for (size_t i = 0; i < st->n_erasing; i++) {
		const struct ledger_erasure *e = &st->erasing[i];
		struct stat there;

		if (e->given_up || strcmp(e->bundle, a->p->bundle) != 0 ||
		    fstatat(a->store->root_dirfd, e->rel_path, &there, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		err_set(err, ERR_GUARD,
			"an erasure of bundle %s was interrupted, and \"%s\", which takes its place, is there",
			a->p->bundle, e->rel_path);
		return err_hint(err, "`mmretain run --yes` or the same `mmretain erase` finishes that.");
	}
	return 0;
}

/* Had its delete begun, and no line says that it came to its end? */
static int look_at_runs(struct abandon *a, struct err *err)
{
	struct ledger_state *st;
	int rc = ledger_fold(a->ctx, a->store->ledger_dirfd, &st, err);

	for (size_t i = 0; rc == 0 && i < st->n_bundles; i++)
		if (strcmp(st->bundle[i].bundle, a->p->bundle) == 0)
			a->report->deleting = st->bundle[i].purge_started && !st->bundle[i].purged;
	return rc < 0 ? rc : refuse_erasing(a, st, err);
}

int run_abandon(void *ctx, struct store *store, const struct run_abandon_options *options, struct run_abandoned **ret,
		struct err *err)
{
	auto_mem void *own = mem_context(NULL, "abandon");
	struct abandon a = {.ctx = own,
			    .store = store,
			    .options = options,
			    .report = mem_new(ctx, struct run_abandoned)};
	int rc;

	*ret = a.report;
	/* The lock before the look: no run takes the bundle up in between. */
	if (options->act && (rc = ledger_open(own, store->ledger_dirfd, &a.ledger, err)) < 0)
		return rc;
	if ((rc = store_check_place(store, err)) < 0 || (rc = choose(&a, err)) < 0)
		return rc;
	catalog_lost_find(own, store, a.p->rel_path, a.p->rows_digest, a.p->file_bytes, &a.ids);
	fill_report(&a);
	if ((rc = look(&a, err)) < 0 || (rc = look_at_runs(&a, err)) < 0 || (rc = refuse_mirrored(&a, err)) < 0)
		return rc;
	if (!a.ledger)
		return a.report->already ? 0
					 : store_each_named(store, "ledger", "unlink-", ".jsonl", on_journal, &a, err);
	rc = act(&a, err);
	a.report->done = rc == 0;
	return rc;
}
