/*
 * run_restore_file.c - one attachment back into the attachment folder.
 *
 * The path comes out of a bundle: it is walked name by name below the folder, without symbolic links and without "..".
 * What is there is never written over: the same content is well, other content is a conflict.
 */
#include "run_internal.h"
#include "run_restore.h"

#include <mmretain/mm_bucket.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 255 };

#define WORK_PREFIX ".mmretain-"
#define WORK_FOLDER WORK_PREFIX "folder"

struct place {
	int data_dirfd, dirfd;    /* the attachment folder; the folder of the file, -1 when it does not exist */
	const char *leaf;
	struct stat folder;       /* of the attachment folder: whose are new files? */
	const char *folder_path;
};

/* The server has to read what we write, whoever we are. */
static void give(int fd, const struct place *p, mode_t mode)
{
	static bool told; /* once for all of a run's thousands */

	if (fchown(fd, p->folder.st_uid, p->folder.st_gid) != 0 && !told) {
		told = true;
		log_warn("attachments that are put back, and their folders, belong to user %u, who runs this, and the "
			 "server, user %u, cannot read them (%s). "
			 "As root: find '%s' -user %u -exec chown --reference='%s' {} +",
			 (unsigned)geteuid(), (unsigned)p->folder.st_uid, strerror(errno), p->folder_path,
			 (unsigned)geteuid(), p->folder_path);
	}
	(void)fchmod(fd, mode); /* what was asked for at open, without the umask */
}

/* 0, or -1 with errno.  Never onto another: where the kernel or the file system cannot say so, only an empty one can be
 * lost. */
static int rename_folder(int at, const char *from, const char *to)
{
	if (renameat2(at, from, at, to, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? renameat(at, from, at, to) : -1;
}

/* It gets its name when it belongs to the server: a crash before leaves an empty folder that nobody knows and the next
 * try takes away. The server may have made it meanwhile. */
static int make_folder(struct place *p, int at, const char *name, int *ret, struct err *err)
{
	auto_fd int fd = -1;
	int rc;

	(void)unlinkat(at, WORK_FOLDER, AT_REMOVEDIR); /* usually there is none */
	if (mkdirat(at, WORK_FOLDER, 0750) != 0 ||
	    (fd = openat(at, WORK_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return err_sys(err, ERR_STORE, errno, "cannot make a folder for an attachment");
	if ((rc = run_fault(FAULT_RESTORE_IN_FOLDER, err)) < 0)
		return rc;
	give(fd, p, 0750);
	if (rename_folder(at, WORK_FOLDER, name) != 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			return err_sys(err, ERR_STORE, errno, "cannot name a folder for an attachment");
		(void)unlinkat(at, WORK_FOLDER, AT_REMOVEDIR); /* harmless when it stays */
		close(fd); /* read-only folder handle: nothing to lose */
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, ERR_STORE, errno, "cannot open the folder of an attachment");
	}
	if ((rc = file_sync_dir(at, name, err)) < 0)
		return rc;
	*ret = fd;
	fd = -1;
	return 0;
}

/* Users name files .gitignore; ours are the names of work files alone. */
static bool is_sound(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strncmp(name, WORK_PREFIX, strlen(WORK_PREFIX)) != 0 && strlen(name) <= NAME_BYTES;
}

/* Leaves dirfd -1 when a folder is missing and none is to be made. */
static int walk(struct place *p, char *path, bool make, struct err *err)
{
	char *save, *name = strtok_r(path, "/", &save), *next;
	auto_fd int at = fcntl(p->data_dirfd, F_DUPFD_CLOEXEC, 0);
	int fd, rc;

	if (at < 0)
		return err_sys(err, ERR_STORE, errno, "cannot keep the attachment folder open");
	for (; name && (next = strtok_r(NULL, "/", &save)); name = next) {
		if (!is_sound(name))
			return err_set(err, ERR_VERIFY, "an attachment's path in the bundle is not sound");
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && !make)
			return 0;
		if (fd < 0 && errno != ENOENT)
			return err_sys(err, ERR_STORE, errno, "cannot open the folder of an attachment");
		if (fd < 0 && (rc = make_folder(p, at, name, &fd, err)) < 0)
			return rc;
		close(at); /* read-only folder handle: nothing to lose */
		at = fd;
	}
	if (!name || !is_sound(name))
		return err_set(err, ERR_VERIFY, "an attachment's path in the bundle is not sound");
	p->leaf = name;
	p->dirfd = at;
	at = -1;
	return 0;
}

/* 1: there, with this content. */
static int is_there(void *ctx, const struct place *p, const struct audit_file *f, struct err *err)
{
	auto_fd int fd = openat(p->dirfd, p->leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *name = mem_printf(ctx, "the attachment that lies in the place of %s", f->id);
	struct digest d;
	struct stat st;
	int rc;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot read %s", name);
	if (S_ISREG(st.st_mode) && (rc = hash_fd(fd, name, &d, NULL, err)) < 0)
		return rc;
	if (S_ISREG(st.st_mode) && memcmp(&d, &f->sha256, sizeof d) == 0)
		return 1;
	err_set(err, ERR_GUARD, "in the place of attachment %s lies another file", f->id);
	return err_hint(err, "Nothing was changed in the database. Move that file away, or export the thread.");
}

static int write_file(const struct audit_thread *t, const struct place *p, const struct audit_file *f, struct err *err)
{
	char tmp[sizeof WORK_PREFIX + DIGEST_HEX + 8], hex[DIGEST_HEX + 1];
	auto_fd int fd = -1;
	int rc;

	digest_hex(&f->sha256, hex); /* not its id, which the bundle could spell as a path */
	snprintf(tmp, sizeof tmp, WORK_PREFIX "%s.part", hex);
	(void)unlinkat(p->dirfd, tmp, 0); /* of a restore that was killed; usually there is none */
	fd = openat(p->dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot create a file in the attachment folder");
	give(fd, p, 0600);
	rc = audit_file_read(t->bundle, f, fd, err);
	if (rc == 0 && (rc = file_sync(fd, tmp, err)) == 0)
		rc = file_publish(p->dirfd, tmp, p->dirfd, p->leaf, err);
	if (rc < 0)
		(void)unlinkat(p->dirfd, tmp, 0); /* harmless when it stays: the server knows no such name */
	return rc;
}

static const struct audit_file *file_of(const struct audit_thread *t, const char *id)
{
	for (size_t i = 0; i < t->n_posts; i++)
		for (size_t k = 0; k < t->post[i].n_files; k++)
			if (strcmp(t->post[i].file[k].id, id) == 0)
				return &t->post[i].file[k];
	return NULL;
}

static int put_at(void *ctx, const struct audit_thread *t, const struct audit_file *f, char *path, struct place *p,
		  struct run_restored *ret, bool act, struct err *err)
{
	int rc = walk(p, path, act, err);

	if (rc == 0 && p->dirfd >= 0)
		rc = is_there(ctx, p, f, err);
	ret->files_there += rc == 1;
	ret->files_put += rc == 0;
	return rc != 0 || !act ? (rc < 0 ? rc : 0) : write_file(t, p, f, err);
}

/* Into the bucket: what is there stays, and must be the same; audit_file_read has checked what is sent.  A crash leaves
 * nothing there, or an object that no row names, which the next try finds in its place. */
static int put_object(struct mm *mm, const struct audit_thread *t, const struct audit_file *f, const char *path,
		      struct run_restored *ret, bool act, struct err *err)
{
	auto_fd int fd = -1;
	bool sent = false;
	struct stat st;
	int rc;

	if ((rc = file_temp(NULL, &fd, err)) < 0 || (rc = audit_file_read(t->bundle, f, fd, err)) < 0)
		return rc;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at the copy of an attachment");
	rc = mm_bucket_put(mm, path, fd, (uint64_t)st.st_size, &f->sha256, act, &sent, err);
	if (rc == -ERR_VERIFY) {
		err_set(err, ERR_GUARD, "in the place of attachment %s lies another file", f->id);
		return err_hint(err, "Nothing was changed in the database. Move that object away, or export the "
				     "thread.");
	}
	if (rc < 0)
		return rc;
	ret->files_put += sent;
	ret->files_there += !sent;
	return act && sent ? run_fault(FAULT_RESTORE_AFTER_FILE, err) : 0;
}

/* Before its row is committed.  A crash just before the file has its name leaves a hidden file of no use; just after, a
 * file that no row names, which the next try finds in its place. */
int run_restore_file(void *ctx, struct mm *mm, const struct audit_thread *t, const char *id, const char *path,
		     struct run_restored *ret, bool act, struct err *err)
{
	const struct audit_file *f = id ? file_of(t, id) : NULL;
	struct place p = {.data_dirfd = mm->data_dirfd, .dirfd = -1, .folder_path = mm->config->data_path};
	int rc;

	if (!f || strcmp(f->state, "kept") == 0) /* its content was never taken away */
		return 0;
	if (mm->bucket && strcmp(f->state, "stored") == 0 && path && path[0])
		return put_object(mm, t, f, path, ret, act, err);
	if (strcmp(f->state, "stored") != 0 || !path || !path[0] || mm->data_dirfd < 0 ||
	    fstat(mm->data_dirfd, &p.folder) != 0) {
		ret->files_left++;
		return 0;
	}
	rc = put_at(ctx, t, f, mem_strdup(ctx, path), &p, ret, act, err);
	if (p.dirfd >= 0)
		close(p.dirfd); /* read-only folder handle: nothing to lose */
	return rc < 0 || !act ? rc : run_fault(FAULT_RESTORE_AFTER_FILE, err);
}
