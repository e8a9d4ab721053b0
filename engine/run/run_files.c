/*
 * run_files.c - attachments of a sitting and its bundles.
 *
 * Looked at before any row is written: a thread whose blob cannot be read is taken out and stays.  Each blob is read
 * and hashed then, and again when it is stored; what changed in between keeps its thread too.
 */
#include "run_internal.h"

#include <mmretain/mm_bucket.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOLD = 20 /* a lost folder would fill the journal with what one line says */ };
/* Attachments of one bundle, about: whoever writes or reads it has 2 KiB of memory for each. */
#define BUNDLE_BLOB_BYTES (UINT64_C(8) << 30)
#define BUNDLE_BLOBS 20000u

/* What was seen of an attachment; its row comes again when the bundle is written. */
struct look { uint64_t thread, size_bytes; mm_id id; struct digest sha256; };

/* Not missing: somebody may give it back. */
static bool is_unreadable(int sys_errno)
{
	return sys_errno == EACCES || sys_errno == EPERM || sys_errno == EIO;
}

static void drop(struct sitting *u, uint64_t thread, bool unreadable)
{
	if (u->n_dropped && u->dropped[u->n_dropped - 1] == thread)
		return;
	u->dropped = mem_grow(u->ctx, u->dropped, uint64_t, u->n_dropped + 1);
	u->dropped[u->n_dropped++] = thread;
	if (!unreadable)
		return;
	u->unreadable = mem_grow(u->ctx, u->unreadable, uint64_t, u->n_unreadable + 1);
	u->unreadable[u->n_unreadable++] = thread;
}

static const struct policy_rule *rule_of(const struct sitting *s, uint64_t thread)
{
	size_t lo = 0, hi = s->n_groups;

	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;

		if (s->group[mid].thread <= thread)
			lo = mid;
		else
			hi = mid;
	}
	return &s->run->policy->rule[s->group[lo].first.rule];
}

/* Attachments of one bundle have a size and a number too; files come in the order of threads, and a thread stays whole.
 */
static void measure(struct sitting *s, const struct look *f)
{
	struct blob_sum *all = &s->blobs, *own = &s->thread_blobs;

	if (f->thread != s->blob_thread)
		*own = (struct blob_sum){0};
	s->blob_thread = f->thread;
	own->bytes += f->size_bytes;
	all->bytes += f->size_bytes;
	own->n++;
	all->n++;
	if ((all->bytes <= BUNDLE_BLOB_BYTES && all->n <= BUNDLE_BLOBS) || f->thread == 0 ||
	    (s->n_cuts && s->cut[s->n_cuts - 1] == f->thread))
		return;
	s->cut = mem_grow(s->ctx, s->cut, uint64_t, s->n_cuts + 1);
	s->cut[s->n_cuts++] = f->thread;
	*all = *own;
}

/* Without their folder the threads with attachments stay, very many perhaps: said once. */
static int no_folder(struct sitting *s, const struct look *f)
{
	if (!s->run->told_no_folder)
		log_warn("no attachment can be archived or removed (%s), and threads that have some stay. %s",
			 s->run->mm->data_problem, mm_data_advice(s->run->mm));
	s->run->told_no_folder = true;
	drop(s, f->thread, s->run->mm->data_denied);
	return 0;
}

/* What cannot be unlinked afterwards must keep its row, or nobody would find it again. */
static int unwanted(struct sitting *s, const struct look *f, const struct policy_rule *rule)
{
	return rule->files == FILES_KEEP || mm_has_files(s->run->mm) ? 0 : no_folder(s, f);
}

static void tell(struct run *run, const char *id, const char *why)
{
	if (run->told_files++ < TOLD)
		log_warn("attachment %s cannot be archived (%s); its thread stays", id, why);
	else
		log_debug("attachment %s cannot be archived (%s); its thread stays", id, why);
}

static void tell_denied(struct run *run, const char *id, const char *path, const struct err *why)
{
	auto_mem char *text = NULL;
	struct stat st;

	run->told_denied++;
	if (file_stat_beneath(run->mm->data_dirfd, path, &st))
		text = mem_printf(NULL, "%s: it belongs to user %u, group %u, mode %04o, and user %u runs this",
				  why->msg, (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)st.st_mode & 07777,
				  (unsigned)geteuid());
	else
		text = mem_printf(NULL, "%s: user %u runs this, and may not enter a folder on its path", why->msg,
				  (unsigned)geteuid());
	tell(run, id, text);
}

void run_files_tell_rest(const struct run *run)
{
	const struct passwd *pw = run->told_denied ? getpwuid(geteuid()) : NULL;

	if (run->told_files > TOLD)
		log_warn("%llu more attachments cannot be archived, their threads stay%s -v names each",
			 (unsigned long long)run->told_files - TOLD,
			 run->told_denied == run->told_files || run->mm->bucket
				 ? ";"
				 : ": is the folder of attachments mounted?");
	if (run->told_denied)
		log_warn("%llu attachment%s there and may not be read by user %u%s%s, who runs this: let this account "
			 "read them, or run as the account that owns them",
			 (unsigned long long)run->told_denied, run->told_denied == 1 ? " is" : "s are",
			 (unsigned)geteuid(), pw ? ", " : "", pw ? pw->pw_name : "");
}

void run_files_tell_versions(const struct run *run)
{
	if (run->mm->bucket && mm_bucket_keeps_versions(run->mm))
		log_warn("the bucket of attachments keeps versions: what was removed stays there as an older version, "
			 "until the bucket's lifecycle removes it");
}

/* In a bucket only whether it is there, and how long: it is read once, when it is stored. */
static int look_at_content(struct run *run, struct look *f, const char *path, struct err *why)
{
	struct mm_bucket_seen seen;
	auto_fd int fd = -1;
	int rc;

	if (!run->mm->bucket) {
		rc = file_open_beneath(run->mm->data_dirfd, path, &fd, why);
		return rc < 0 ? rc : hash_fd(fd, "an attachment", &f->sha256, &f->size_bytes, why);
	}
	if ((rc = mm_bucket_see(run->mm, path, &seen, why)) == 0)
		err_set(why, ERR_NOT_FOUND, "it is not in the bucket");
	else if (rc == 1)
		f->size_bytes = (uint64_t)seen.bytes;
	return rc == 1 ? 0 : why->code;
}

static int look_at(struct sitting *s, struct look *f, const char *path, struct err *err)
{
	const struct policy_rule *rule = rule_of(s, f->thread);
	struct err why;

	if (rule->files != FILES_ARCHIVE || rule->archive_none)
		return unwanted(s, f, rule); /* the rule does not want the content */
	if (!mm_has_files(s->run->mm))
		return no_folder(s, f);
	if (look_at_content(s->run, f, path, &why) < 0) {
		if (err_ends_work(why.code)) {
			*err = why;
			return err->code;
		}
		if (!s->run->mm->bucket && (why.sys_errno == EACCES || why.sys_errno == EPERM))
			tell_denied(s->run, f->id, path, &why);
		else
			tell(s->run, f->id, why.msg);
		drop(s, f->thread, is_unreadable(why.sys_errno));
		return 0;
	}
	measure(s, f);
	return 0;
}

static int on_file(void *payload, const struct db_row *row, struct err *err)
{
	struct sitting *s = payload;
	struct look f = {.thread = strtoull(row->value[MM_FILE_THREAD], NULL, 10)};
	int rc;

	snprintf(f.id, sizeof f.id, "%s", row->value[MM_FILE_ID]);
	rc = look_at(s, &f, row->value[MM_FILE_PATH] ? row->value[MM_FILE_PATH] : "", err);
	return rc < 0 ? rc : spool_add(s->looked, &f, err);
}

/* Where all rules leave files alone there is nothing to look at. */
static bool all_kept(const struct sitting *s)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (s->run->policy->rule[s->group[i].first.rule].files != FILES_KEEP)
			return false;
	return true;
}

int run_files_look(struct sitting *s, struct err *err)
{
	int rc;

	if (all_kept(s))
		return 0;
	if ((rc = spool_new(s->ctx, sizeof(struct look), &s->looked, err)) < 0 ||
	    (rc = mm_export_files(s->x, on_file, s, err)) < 0 || (rc = spool_rewind(s->looked, err)) < 0)
		return rc;
	return s->n_dropped ? mm_export_drop(s->x, s->dropped, s->n_dropped, err) : 0;
}

/* The rows come in the order in which they were looked at; those of threads that were taken out do not come. */
static int find_look(struct sitting *s, const char *id, const struct look **ret, struct err *err)
{
	const void *p;
	int rc;

	while ((rc = spool_next(s->looked, &p, err)) == 1) {
		*ret = p;
		if (strcmp((*ret)->id, id) == 0)
			return 0;
	}
	return rc < 0 ? rc : err_set(err, ERR_INTERNAL, "an attachment that was not looked at");
}

/* ---- those of one bundle: as many as it has rows, so they lie on disk ---- */

struct file { mm_id id, root; struct digest sha256; uint64_t size_bytes; }; /* sha256: as it was looked at */
enum { PIECE_BYTES = 62 };
struct piece { uint8_t len; bool more; char text[PIECE_BYTES]; };           /* of a path, which has no fixed size */

static bool wants_content(const struct unit *u)
{
	return u->rule->files == FILES_ARCHIVE && !u->rule->archive_none;
}

static int add_path(struct unit *u, const char *path, struct err *err)
{
	size_t len = strlen(path), at = 0;
	bool more;
	int rc;

	do {
		struct piece p = {.len = len - at < PIECE_BYTES ? (uint8_t)(len - at) : PIECE_BYTES};

		memcpy(p.text, path + at, p.len);
		at += p.len;
		p.more = more = at < len;
		rc = spool_add(u->paths, &p, err);
	} while (rc == 0 && more);
	return rc;
}

static int next_path(struct unit *u, struct buf *ret, struct err *err)
{
	const void *p;
	int rc;

	buf_clear(ret);
	while ((rc = spool_next(u->paths, &p, err)) == 1) {
		const struct piece *piece = p;

		buf_put(ret, piece->text, piece->len);
		if (!piece->more)
			return ret->overflow
				       ? err_set(err, ERR_INTERNAL, "a path is longer than %zu bytes", ret->max_bytes)
				       : 0;
	}
	return rc < 0 ? rc : err_set(err, ERR_INTERNAL, "an attachment without a path");
}

int run_files_add(struct unit *u, const char *root, const char *id, const char *path, struct err *err)
{
	struct look kept = {0};
	const struct look *look = &kept;
	struct file f = {0};
	int rc = u->sitting->looked ? find_look(u->sitting, id, &look, err) : 0;

	if (rc == 0 && !u->files)
		rc = spool_new(u->ctx, sizeof f, &u->files, err);
	if (rc == 0 && !u->paths && wants_content(u))
		rc = spool_new(u->ctx, sizeof(struct piece), &u->paths, err);
	if (rc < 0)
		return rc;
	f.sha256 = look->sha256;
	f.size_bytes = look->size_bytes;
	snprintf(f.id, sizeof f.id, "%s", id);
	snprintf(f.root, sizeof f.root, "%s", root);
	u->blob_bytes += f.size_bytes;
	rc = spool_add(u->files, &f, err);
	return rc == 0 && u->paths ? add_path(u, path, err) : rc;
}

/* An object is hashed on the way; one that is longer or shorter than when it was looked at has changed. */
static int open_content(struct mm *mm, struct file *f, const char *path, int *ret_fd, struct err *err)
{
	uint64_t bytes = 0;
	int rc;

	if (!mm->bucket)
		return file_open_beneath(mm->data_dirfd, path, ret_fd, err);
	if ((rc = mm_bucket_open(mm, path, ret_fd, err)) < 0 ||
	    (rc = hash_fd(*ret_fd, "an attachment", &f->sha256, &bytes, err)) < 0 || bytes == f->size_bytes)
		return rc;
	return err_sys(err, ERR_STORE, ESTALE, "an attachment changed in its bucket");
}

static int store_content(struct unit *u, struct file *f, const char *path, struct err *err)
{
	auto_fd int fd = -1;
	int rc = open_content(u->sitting->run->mm, f, path, &fd, err);

	if (rc == 0)
		rc = bundle_blob(u->w, fd, &f->sha256, f->size_bytes, err);
	if (rc < 0 && !err_ends_work(err->code) && (fd < 0 || err->sys_errno == ESTALE)) {
		tell(u->sitting->run, f->id, fd < 0 ? err->msg : "it changed meanwhile");
		run_unit_skip(u, f->root, MM_FILE_MISSING);
		err_clear(err);
		return bundle_file(u->w, f->id, "missing", NULL, 0, err);
	}
	return rc < 0 ? rc : bundle_file(u->w, f->id, "stored", &f->sha256, f->size_bytes, err);
}

static int store_one(struct unit *u, struct file *f, struct buf *path, struct err *err)
{
	int rc;

	if (!wants_content(u))
		return bundle_file(u->w, f->id, u->rule->files == FILES_KEEP ? "kept" : "dropped", NULL, 0, err);
	rc = next_path(u, path, err);
	return rc < 0 ? rc : store_content(u, f, path->data, err);
}

int run_files_store(struct unit *u, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "attachments of a bundle");
	struct buf path;
	const void *f;
	int rc;

	if (!u->files)
		return 0;
	buf_init(&path, ctx, 1 << 16);
	/* Stored once each, hardly compressed. */
	if ((wants_content(u) && (rc = store_check_room(u->sitting->run->store, u->blob_bytes, err)) < 0) ||
	    (rc = spool_rewind(u->files, err)) < 0 || (u->paths && (rc = spool_rewind(u->paths, err)) < 0))
		return rc;
	while ((rc = spool_next(u->files, &f, err)) == 1) {
		struct file one = *(const struct file *)f;

		if ((rc = store_one(u, &one, &path, err)) < 0)
			break;
	}
	return rc;
}
