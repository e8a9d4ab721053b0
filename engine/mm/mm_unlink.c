/*
 * mm_unlink.c - files of deleted rows, from their journals.
 *
 * Only when the row is gone, no other row uses the path, and the file is the regular file that the journal saw.  Always
 * through a descriptor of its folder, which the kernel resolved beneath the data folder without links.
 *
 * Which entries stay is kept in a work file by their numbers: memory does not grow with the journals.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mmretain/mm_bucket.h>

#include "mm_sql.h"
#include "mm_unlink_internal.h"

enum {
	WRITE_BYTES = 64 << 10,
	REST_BYTES = 4 << 20 /* that and one line */,
	TOLD = 20 /* one reason is mostly that of all */
};
enum { STAYS_FOR_GOOD = 1 };

const struct mm_unlink_kind mm_unlink_attachments = {.what = "attachment",
						     .journal = "unlink journal",
						     .existing = &sql_unlink_existing};
const struct mm_unlink_kind mm_unlink_unposted = {.what = "unposted file",
						  .journal = "journal of unposted files",
						  .existing = &sql_unlink_existing_uploads,
						  .earlier = true};

/* ---- unlinking ---- */

struct job {
	struct mm *mm;
	struct mm_journal *j;        /* of those that are carried out, this one */
	struct mm_unlinked *counts;
	struct mm_unlink_asked *asked;
	struct mm_journal_mark next; bool any; /* the next mark of those to come */
	struct spool *left;          /* numbers of the entries that stay */
	/* the attachment folder is empty: what was there may be on a file system that is not mounted */
	bool away, told;
	/* of all journals: how many could not be removed and wait for the next run, and why the last of them */
	uint64_t refused; int error;
};

static int next_mark(struct job *u, struct err *err)
{
	const void *p;
	int rc = spool_next(u->asked->mark, &p, err);

	u->any = rc == 1;
	if (u->any)
		memcpy(&u->next, p, sizeof u->next);
	return rc < 0 ? rc : 0;
}

static int marks_of(struct job *u, uint64_t at, unsigned *ret, struct err *err)
{
	int rc = 0;

	for (*ret = 0; rc == 0 && u->any && u->next.at <= at; rc = next_mark(u, err))
		*ret |= u->next.bits;
	return rc;
}

/* Remove the folder that carries the file's id when nothing is left in it; never any other folder. */
static void remove_id_folder(struct mm *mm, const struct mm_journal_entry *e)
{
	char folder[4096];
	const char *slash = strrchr(e->path[0], '/'), *leaf;
	auto_fd int dir = -1;
	struct err ignored;
	size_t n = slash ? (size_t)(slash - e->path[0]) : 0;

	if (mm->bucket || n == 0 || n >= sizeof folder)
		return;
	memcpy(folder, e->path[0], n);
	folder[n] = '\0';
	if (file_open_parent_beneath(mm->data_dirfd, folder, &dir, &leaf, &ignored) == 0 && strcmp(leaf, e->id) == 0)
		(void)unlinkat(dir, leaf, AT_REMOVEDIR); /* not empty: stays, as it should */
}

static bool is_journalled(const struct mm_journal_entry *e, const struct stat *st)
{
	return e->identified && !e->etag[0] && (uint64_t)st->st_ino == e->ino && st->st_size == e->bytes &&
	       (int64_t)st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec == e->mtime_ns;
}

/* 1: a file is there; 0: none, or its folder is gone; negative: that cannot be told, or it is no file. */
static int look(struct mm *mm, const char *path, int *ret_dir, const char **ret_leaf, struct stat *ret, struct err *why)
{
	int rc = file_open_parent_beneath(mm->data_dirfd, path, ret_dir, ret_leaf, why);

	if (rc < 0)
		return why->sys_errno == ENOENT ? 0 : rc;
	if (fstatat(*ret_dir, *ret_leaf, ret, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(why, ERR_STORE, errno, "cannot look at it");
	return S_ISREG(ret->st_mode) ? 1 : err_set(why, ERR_STORE, "it is not a regular file");
}

/* What lies there can never be what the line describes.  Without an identity nothing is: its content may be in no
 * bundle.  Pictures elsewhere are in lines of earlier versions. */
static int stays_for_good(const struct mm_journal_entry *e, int which, struct err *why)
{
	err_set(why, ERR_STORE, which           ? "it is not in the folder of its file"
				: e->identified ? "another file is in its place, or it was copied or written to since "
						  "its row was deleted"
						: "it could not be read when its row was deleted, or was written to "
						  "after its export");
	return STAYS_FOR_GOOD;
}

/* Nothing lies there: gone, or it never was there, since the server kept its files elsewhere when the row went. */
static int not_there(const struct mm *mm, const struct mm_journal_entry *e, int which, struct err *why)
{
	if (which || !e->identified || (e->etag[0] != '\0') == (mm->bucket != NULL))
		return 0;
	err_set(why, ERR_STORE, "it was in a %s when its row was deleted, and attachments are in a %s now",
		mm->bucket ? "folder" : "bucket", mm->bucket ? "bucket" : "folder");
	return STAYS_FOR_GOOD;
}

static bool is_object(const struct mm_journal_entry *e, const struct mm_bucket_seen *seen)
{
	return e->identified && seen->bytes == e->bytes && seen->mtime_ns == e->mtime_ns && e->etag[0] &&
	       strcmp(seen->etag, e->etag) == 0;
}

/* In the bucket, as unlink_one. */
static int remove_object(struct mm *mm, const struct mm_journal_entry *e, int which, struct mm_unlinked *c,
			 struct err *why)
{
	struct mm_bucket_seen seen;
	int rc = mm_bucket_see(mm, e->path[which], &seen, why);

	if (rc == 0)
		return not_there(mm, e, which, why);
	if (which ? !mm_journal_is_beside(e, which) : !e->identified || (rc == 1 && !is_object(e, &seen)))
		return stays_for_good(e, which, why);
	if (rc < 0)
		return rc;
	if (fault_hit(FAULT_UNLINK_BEFORE))
		return err_set(why, ERR_STORE, "fault point");
	/* Irreversible where the bucket keeps no versions.  Just before: the row is gone, the content is in the bundle
	 * (or the rule drops files, or no post ever had it), the journal names it.  Just after: the object is gone and
	 * the journal still names it; the next start finds it gone and has nothing to do. */
	if ((rc = mm_bucket_remove(mm, e->path[which], why)) < 0)
		return rc;
	if (fault_hit(FAULT_UNLINK_AFTER))
		return err_set(why, ERR_STORE, "fault point");
	c->files++;
	c->bytes += (uint64_t)seen.bytes;
	return 0;
}

/* 0: gone (now or before); STAYS_FOR_GOOD, and why; negative: could not be removed, and why: that may pass. */
static int unlink_one(struct mm *mm, const struct mm_journal_entry *e, int which, struct mm_unlinked *c,
		      struct err *why)
{
	auto_fd int dir = -1;
	const char *leaf;
	struct stat st;
	int rc;

	if (mm->bucket)
		return remove_object(mm, e, which, c, why);
	if ((rc = look(mm, e->path[which], &dir, &leaf, &st, why)) == 0)
		return not_there(mm, e, which, why);
	if (which ? !mm_journal_is_beside(e, which) : !e->identified || (rc == 1 && !is_journalled(e, &st)))
		return stays_for_good(e, which, why);
	if (rc < 0)
		return rc;
	if (fault_hit(FAULT_UNLINK_BEFORE))
		return err_set(why, ERR_STORE, "fault point");
	/* Irreversible.  Just before: the row is gone, the blob is in the bundle (or the rule drops files, or no post
	 * ever had it), the journal names it.  Just after: the blob is gone and the journal still names it; the next
	 * start finds it gone and has nothing to do. */
	if (unlinkat(dir, leaf, 0) != 0)
		return errno == ENOENT ? 0 : err_sys(why, ERR_STORE, errno, "cannot remove it");
	if (fault_hit(FAULT_UNLINK_AFTER))
		return err_set(why, ERR_STORE, "fault point");
	c->files++;
	c->bytes += (uint64_t)st.st_size;
	return 0;
}

/* Its path is no word for a log: it ends with the name that a person gave the file. */
static void tell_stays(struct job *u, const struct mm_journal_entry *e, int which, bool for_good,
		       const struct err *why)
{
	static const char *const what[] = {"", " (its thumbnail)", " (its preview)"};
	const char *then = for_good ? "no run removes it" : "the next run tries again";

	if (!for_good)
		u->error = why->sys_errno;
	if ((for_good ? u->counts->for_good : u->refused++) < TOLD)
		log_warn("%s %s stays%s: %s; %s", u->j->kind->what, e->id, what[which], why->msg, then);
	else
		log_debug("%s %s stays%s: %s; %s", u->j->kind->what, e->id, what[which], why->msg, then);
}

/* Of files that stay for good no later run says anything. */
static void tell_rest(const struct job *u)
{
	if (u->counts->for_good > TOLD)
		log_warn("%llu more %ss stay like these, and no run removes them: their rows are gone, and the journal "
			 "names them no longer",
			 (unsigned long long)(u->counts->for_good - TOLD), u->j->kind->what);
}

static const char *advice_of(int error)
{
	if (error == EROFS)
		return ": mount their file system for writing; in a unit, `ReadWritePaths=` names the folder";
	return error == EACCES || error == EPERM ? ": run as the account that owns them, or with CAP_DAC_OVERRIDE" : "";
}

/* Of all of them, which the next run tells again. */
static void tell_refused(const struct job *u)
{
	const char *advice = advice_of(u->error);
	bool one = u->refused == 1;

	if (u->refused > TOLD || (u->refused && *advice))
		log_warn("%llu file%s that should go stay%s for the next run%s", (unsigned long long)u->refused,
			 one ? "" : "s", one ? "s" : "", advice);
}

/* An empty folder is mostly a mount point: the server itself leaves folders in it, and so do those of files that are
 * gone.  One that may not be listed is taken for what it should be. */
static bool is_empty(const struct mm *mm)
{
	const struct dirent *e;
	struct err ignored;
	bool empty;
	DIR *d;

	if (file_list_dir(mm->data_dirfd, ".", &d, &ignored) < 0)
		return false;
	while ((errno = 0, e = readdir(d)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
		;
	empty = !e && errno == 0;
	closedir(d); /* read only: nothing to lose */
	return empty;
}

/* A bucket that is not there answers of each object as if that were gone, so one that does not even list is taken for
 * another. */
static bool find_away(struct mm *mm)
{
	struct err why;
	int rc = mm->bucket ? mm_bucket_is_empty(mm, &why) : is_empty(mm);

	if (rc < 0)
		log_warn("the bucket of the attachments cannot be listed, and what is to go waits: %s", why.msg);
	return rc != 0;
}

static void tell_away(const struct job *u, const struct mm_journal_entry *e)
{
	bool bucket = u->mm->bucket != NULL;

	log_warn("the %s of the attachments is empty, and %s %s was there: is %s? What was there waits",
		 bucket ? "bucket" : "folder", u->j->kind->what, e->id,
		 bucket ? "it the server's bucket" : "its file system mounted");
}

/* What was there when its row went. */
static bool is_away(struct job *u, const struct mm_journal_entry *e)
{
	if (!u->away || !e->identified)
		return false;
	if (!u->told)
		tell_away(u, e);
	return u->told = true;
}

static int settle(struct job *u, const struct mm_journal_entry *e, unsigned marks, struct err *err)
{
	bool waits = marks & MARK_WANTED || is_away(u, e), left = waits, for_good = false;
	uint64_t at = u->j->before + mm_journal_at(u->j);
	struct err why;
	int rc;

	for (int i = 0; i < MM_JOURNAL_PATHS && !waits; i++) {
		if (!e->path[i][0])
			continue;
		if (marks & (unsigned)MARK_SHARED << i) {
			u->counts->shared++;
		} else if ((rc = unlink_one(u->mm, e, i, u->counts, &why)) != 0) {
			tell_stays(u, e, i, rc == STAYS_FOR_GOOD, &why);
			for_good |= rc == STAYS_FOR_GOOD;
			left |= rc < 0;
			if (i == 0)
				break; /* what stays keeps its pictures, which may be its own */
		}
	}
	u->counts->for_good += for_good && !left; /* of one that is left the next run tells again */
	if (!left) {
		remove_id_folder(u->mm, e);
		return 0;
	}
	u->counts->left++;
	return spool_add(u->left, &at, err);
}

static int settle_journal(struct job *u, struct err *err)
{
	struct mm_journal_entry e;
	unsigned marks;
	int rc;

	mm_journal_rewind(u->j);
	while ((rc = mm_journal_next(u->j, &e, err)) == 1)
		if ((rc = marks_of(u, u->j->before + mm_journal_at(u->j), &marks, err)) < 0 ||
		    (!(marks & MARK_EXISTS) && (rc = settle(u, &e, marks, err)) < 0))
			return rc;
	if (rc == 0)
		tell_rest(u);
	mm_journal_rewind(u->j);
	return rc;
}

/* ---- the end of a journal ---- */

static int put_line(int fd, struct buf *out, const char *line, size_t len, struct err *err)
{
	int rc = 0;

	buf_put(out, line, len);
	buf_byte(out, '\n');
	if (out->overflow)
		return err_set(err, ERR_INTERNAL, "a line of a journal is too long");
	if (out->len >= WRITE_BYTES) {
		rc = file_write_all(fd, out->data, out->len, "what is left of a journal", err);
		buf_clear(out);
	}
	return rc;
}

static int next_left(struct job *u, uint64_t *ret, struct err *err)
{
	const void *p;
	int rc = spool_next(u->left, &p, err);

	if (rc == 1)
		memcpy(ret, p, sizeof *ret);
	return rc < 0	 ? rc
	       : rc == 1 ? 0
			 : err_set(err, ERR_INTERNAL, "entries of the %s that stay are not known any more",
				   u->j->kind->journal);
}

/* The lines of the entries that stay, as they are. */
static int put_left(struct job *u, int fd, struct err *err)
{
	auto_mem void *ctx = mem_context(u->j, "rest of a journal");
	struct mm_journal_entry e;
	struct buf out;
	int rc;

	buf_init(&out, ctx, REST_BYTES);
	mm_journal_rewind(u->j);
	rc = put_line(fd, &out, u->j->head, strlen(u->j->head), err);
	for (uint64_t n = u->counts->left, at = 0; rc == 0 && n > 0; n--) {
		if ((rc = next_left(u, &at, err)) < 0)
			return rc;
		do
			rc = mm_journal_next(u->j, &e, err);
		while (rc == 1 && u->j->before + mm_journal_at(u->j) < at);
		if (rc == 1)
			rc = put_line(fd, &out, u->j->line, u->j->line_len, err);
		else if (rc == 0)
			rc = err_set(err, ERR_INTERNAL, "the %s ends too early", u->j->kind->journal);
	}
	return rc < 0 ? rc : file_write_all(fd, out.data, out.len, "what is left of a journal", err);
}

/* Just before the rename in file_replace_end: what is settled is gone for good, the journal still names it, and the
 * next start finds it gone. Just after: it names only what stays. */
static int keep_left(struct job *u, struct err *err)
{
	const struct mm_journal *j = u->j;
	auto_fd int fd = -1;
	int rc = file_replace_begin(j->dirfd, j->name, 0600, &fd, err);

	if (rc == 0 && (rc = put_left(u, fd, err)) < 0)
		file_replace_drop(j->dirfd, j->name, &fd);
	return rc < 0 ? rc : file_replace_end(j->dirfd, j->name, &fd, err);
}

/* What could not be removed, and may be another time, stays in the journal for the next run; an empty journal goes. */
static int close_journal(struct job *u, struct err *err)
{
	const struct mm_journal *j = u->j;
	int none = -1, rc;

	if ((rc = fault_check(FAULT_UNLINK_BEFORE_CLOSE, ERR_INTERNAL, err)) < 0)
		return rc;
	if (u->counts->left)
		return (rc = keep_left(u, err)) < 0 ? rc : fault_check(FAULT_UNLINK_AFTER_CLOSE, ERR_INTERNAL, err);
	file_replace_drop(j->dirfd, j->name, &none); /* of a crash while a shorter one was written */
	/* Irreversible.  Just before: everything named is gone for good, and the next start finds it gone.  Just after:
	 * no journal; nothing is left to do.  A power cut may bring it back, which is the case before. */
	if (unlinkat(j->dirfd, j->name, 0) != 0 && errno != ENOENT)
		return err_sys(err, ERR_STORE, errno, "cannot remove the %s", j->kind->journal);
	return fault_check(FAULT_UNLINK_AFTER_CLOSE, ERR_INTERNAL, err);
}

/* ---- all of it ---- */

static void take(struct job *u, struct mm_unlink_item *item)
{
	u->j = item->j;
	u->counts = &item->counts;
}

static int settle_all(struct job *u, struct mm_unlink_item *item, size_t n, struct err *err)
{
	int rc = next_mark(u, err);

	for (size_t i = 0; i < n && rc == 0; i++) {
		take(u, &item[i]);
		rc = settle_journal(u, err);
	}
	tell_refused(u);
	/* A name that a power cut brings back would never be removed again. */
	return rc == 0 && u->mm->data_dirfd >= 0 ? file_sync_fs(u->mm->data_dirfd, "attachments", err) : rc;
}

static int close_all(struct job *u, struct mm_unlink_item *item, size_t n, struct err *err)
{
	int rc = spool_rewind(u->left, err);

	for (size_t i = 0; i < n && rc == 0; i++) {
		take(u, &item[i]);
		rc = close_journal(u, err);
	}
	return rc < 0 ? rc : file_sync_dir(item[0].j->dirfd, "ledger", err);
}

static void number(struct mm_unlink_asked *asked, struct mm_unlink_item *item, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		item[i].counts = (struct mm_unlinked){.files = 0};
		item[i].j->asked = asked;
		item[i].j->before = asked->entries;
		asked->entries += item[i].j->entries;
	}
}

static bool any_path(const struct mm_unlink_item *item, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (item[i].j->any_path)
			return true;
	return false;
}

int mm_unlink(struct mm *mm, struct mm_unlink_item *item, size_t n, mm_journal_ask_fn ask, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "unlink");
	struct mm_unlink_asked *asked = mem_new(ctx, struct mm_unlink_asked);
	struct job u = {.mm = mm, .asked = asked};
	int rc;

	if (n == 0)
		return 0;
	db_array_init(&asked->wanted, ctx);
	number(asked, item, n);
	u.away = mm_has_files(mm) && any_path(item, n) && find_away(mm);
	if ((rc = spool_new(ctx, sizeof(struct mm_journal_mark), &asked->mark, err)) == 0 &&
	    (rc = spool_new(ctx, sizeof(uint64_t), &u.left, err)) == 0 &&
	    (rc = mm_unlink_ask(mm, asked, item, n, ask, err)) == 0 && (rc = settle_all(&u, item, n, err)) == 0)
		rc = close_all(&u, item, n, err);
	for (size_t i = 0; i < n; i++)
		item[i].j->asked = NULL;
	return rc;
}
