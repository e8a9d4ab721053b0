/* base_file.c - durable file steps, each with its own error. */
#include <mmretain/base.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/fs.h>
#include <unistd.h>

static enum err_code code_of(int errnum)
{
	return errnum == EACCES || errnum == EPERM ? ERR_PERMISSION : ERR_STORE;
}

int file_write_all(int fd, const void *data, size_t len, const char *name, struct err *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, ERR_STORE, n < 0 ? errno : EIO, "cannot write %s", name);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_pwrite_all(int fd, const void *data, size_t len, off_t at, const char *name, struct err *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, ERR_STORE, n < 0 ? errno : EIO, "cannot write %s", name);
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_pread_all(int fd, void *ret, size_t len, off_t at, const char *name, struct err *err)
{
	char *p = ret;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_STORE, errno, "cannot read %s", name);
		if (n == 0)
			return err_set(err, ERR_STORE, "%s ends too early", name);
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_sync(int fd, const char *name, struct err *err)
{
	if (fdatasync(fd) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot make %s durable", name);
	return 0;
}

int file_sync_dir(int dirfd, const char *name, struct err *err)
{
	if (fsync(dirfd) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot make folder %s durable", name);
	return 0;
}

int file_sync_above(int dirfd, const char *path, struct err *err)
{
	char folder[4096];

	if ((size_t)snprintf(folder, sizeof folder, "%s", path) >= sizeof folder)
		return err_set(err, ERR_STORE, "folder name has a bad length");
	for (char *slash; (slash = strrchr(folder, '/'));) {
		auto_fd int fd = -1;
		int rc;

		*slash = '\0';
		if ((fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
			return err_sys(err, code_of(errno), errno, "cannot open folder %s", folder);
		if ((rc = file_sync_dir(fd, folder, err)) < 0)
			return rc;
	}
	return file_sync_dir(dirfd, path, err);
}

int file_sync_fs(int dirfd, const char *name, struct err *err)
{
	if (syncfs(dirfd) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot make the file system of %s durable", name);
	return 0;
}

int file_close(int *fd, const char *name, struct err *err)
{
	int rc = close(*fd);

	*fd = -1;
	return rc != 0 ? err_sys(err, ERR_STORE, errno, "cannot close %s", name) : 0;
}

int file_open_dir(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, code_of(errno), errno, "cannot open folder %s", path);
	*ret_fd = fd;
	return 0;
}

int file_is_there(int dirfd, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(err, code_of(errno), errno, "cannot look for %s", name);
}

int file_list_dir(int dirfd, const char *name, DIR **ret, struct err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), rc;

	*ret = fd < 0 ? NULL : fdopendir(fd);
	if (*ret)
		return 0;
	rc = err_sys(err, code_of(errno), errno, "cannot list the folder %s", name);
	fd_close_p(&fd); /* fdopendir takes it over only when it succeeds */
	return rc;
}

int file_inherit(int fd, int dirfd, const char *name, struct err *err)
{
	struct stat own, above;

	if (geteuid() != 0)
		return 0;
	if (fstat(fd, &own) != 0 || fstat(dirfd, &above) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at %s", name);
	if (own.st_uid == above.st_uid && own.st_gid == above.st_gid)
		return 0;
	if (own.st_uid != 0 || (!S_ISDIR(own.st_mode) && own.st_nlink != 1))
		return 0; /* not made by us just now: never give away what has another name elsewhere */
	if (fchown(fd, above.st_uid, above.st_gid) != 0)
		return err_sys(err, code_of(errno), errno, "cannot give %s to the owner of its folder", name);
	return 0;
}

/* One level, opened; a new folder is durable only when its parent is synced. */
static int make_dir(int dirfd, const char *path, int *ret, struct err *err)
{
	bool made = mkdirat(dirfd, path, 0750) == 0;
	int rc;

	if (!made && errno != EEXIST)
		return err_sys(err, code_of(errno), errno, "cannot make folder %s", path);
	*ret = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (made ? O_NOFOLLOW : 0));
	if (*ret < 0)
		return err_sys(err, code_of(errno), errno, "cannot open folder %s", path);
	if (!made)
		return 0;
	rc = file_inherit(*ret, dirfd, path, err);
	return rc < 0 ? rc : file_sync_dir(dirfd, path, err);
}

int file_make_dirs(int dirfd, const char *path, struct err *err)
{
	char part[4096];
	auto_fd int at = -1;
	size_t len = strlen(path);
	int rc, next;

	if (len == 0 || len >= sizeof part)
		return err_set(err, ERR_STORE, "folder name has a bad length");
	memcpy(part, path, len + 1);
	at = dirfd == AT_FDCWD ? open(path[0] == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			       : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(err, code_of(errno), errno, "cannot open the folder above %s", path);
	for (char *save, *p = strtok_r(part, "/", &save); p; p = strtok_r(NULL, "/", &save)) {
		next = -1;
		rc = make_dir(at, p, &next, err);
		if (rc < 0) {
			fd_close_p(&next);
			return rc;
		}
		close(at); /* read-only folder handle: nothing to lose */
		at = next;
	}
	return 0;
}

enum { TMP_BYTES = 512 };

static int temporary_name(const char *name, char ret[static TMP_BYTES], struct err *err)
{
	return snprintf(ret, TMP_BYTES, "%s.tmp", name) >= TMP_BYTES
		       ? err_set(err, ERR_STORE, "file name has a bad length")
		       : 0;
}

int file_replace_begin(int dirfd, const char *name, mode_t mode, int *ret_fd, struct err *err)
{
	char tmp[TMP_BYTES];
	auto_fd int fd = -1;
	int rc = temporary_name(name, tmp, err);

	if (rc < 0)
		return rc;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_sys(err, code_of(errno), errno, "cannot create %s", tmp);
	if ((rc = file_inherit(fd, dirfd, tmp, err)) < 0) {
		unlinkat(dirfd, tmp, 0); /* best effort: a .tmp file is never read */
		return rc;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int file_replace_end(int dirfd, const char *name, int *fd, struct err *err)
{
	char tmp[TMP_BYTES];
	int rc = temporary_name(name, tmp, err);

	if (rc < 0)
		return rc;
	if ((rc = file_sync(*fd, tmp, err)) < 0 || (rc = file_close(fd, tmp, err)) < 0) {
		file_replace_drop(dirfd, name, fd);
		return rc;
	}
	/* Just before: the old file and a complete .tmp.  Just after: the new file, durable once the folder is synced.
	 */
	if (renameat(dirfd, tmp, dirfd, name) != 0)
		return err_sys(err, code_of(errno), errno, "cannot rename %s", tmp);
	return file_sync_dir(dirfd, name, err);
}

void file_replace_drop(int dirfd, const char *name, int *fd)
{
	char tmp[TMP_BYTES];
	struct err ignored;

	fd_close_p(fd);
	if (temporary_name(name, tmp, &ignored) == 0)
		unlinkat(dirfd, tmp, 0); /* best effort: a .tmp file is never read */
}

int file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
{
	auto_fd int fd = -1;
	int rc = file_replace_begin(dirfd, name, mode, &fd, err);

	if (rc == 0 && (rc = file_write_all(fd, data, len, name, err)) < 0)
		file_replace_drop(dirfd, name, &fd);
	return rc < 0 ? rc : file_replace_end(dirfd, name, &fd, err);
}

/* link+unlink where RENAME_NOREPLACE is not supported (NFS, some FUSE). */
static int publish_by_link(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *err)
{
	if (linkat(from_dirfd, from, to_dirfd, to, 0) != 0)
		return err_sys(err, code_of(errno), errno, "cannot publish %s", to);
	/* A crash here leaves two names of one complete file; the one in partial/ is cleared at the next start. */
	if (unlinkat(from_dirfd, from, 0) != 0)
		return err_sys(err, code_of(errno), errno, "cannot remove %s", from);
	return 0;
}

int file_publish(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *err)
{
	int rc;

	/* Just before: only `from`.  Just after: only `to`, durable when its folder is synced below; `from` may be back
	 * after a power cut. */
	if (syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, RENAME_NOREPLACE) != 0) {
		if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
			return err_sys(err, code_of(errno), errno, "cannot publish %s", to);
		if ((rc = publish_by_link(from_dirfd, from, to_dirfd, to, err)) < 0)
			return rc;
	}
	return file_sync_dir(to_dirfd, to, err);
}

int file_read(void *ctx, int dirfd, const char *name, size_t max_bytes, char **ret, size_t *ret_len, struct err *err)
{
	auto_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *data;
	int rc;

	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : code_of(errno), errno, "cannot open %s", name);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot stat %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STORE, "%s is not a regular file", name);
	if ((uint64_t)st.st_size > max_bytes)
		return err_set(err, ERR_STORE, "%s is larger than %zu bytes", name, max_bytes);
	data = mem_array(ctx, char, (size_t)st.st_size + 1);
	if ((rc = file_pread_all(fd, data, (size_t)st.st_size, 0, name, err)) < 0) {
		talloc_free(data);
		return rc;
	}
	*ret = data;
	*ret_len = (size_t)st.st_size;
	return 0;
}

int file_check_trusted(int fd, const char *what, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot examine %s \"%s\"", what, path);
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(err, ERR_PERMISSION, "%s \"%s\" can be changed by others (mode %04o)", what, path,
			(unsigned)(st.st_mode & 07777));
		return err_hint(err, "Run: chmod go-w '%s'", path);
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		err_set(err, ERR_PERMISSION, "%s \"%s\" belongs to user %u", what, path, (unsigned)st.st_uid);
		return err_hint(err, "Run: chown root '%s'", path);
	}
	return 0;
}

static const char *temp_folder(void)
{
	const char *dir = secure_getenv("TMPDIR");

	return dir ? dir : "/tmp";
}

int file_temp_write(int fd, const void *data, size_t len, off_t at, struct err *err)
{
	int rc = file_pwrite_all(fd, data, len, at, "work file", err);

	if (rc == 0 || (err->sys_errno != ENOSPC && err->sys_errno != EDQUOT))
		return rc;
	err_sys(err, ERR_STORE, err->sys_errno, "cannot write work file in %s", temp_folder());
	return err_hint(err, "Make room there, or set TMPDIR to a folder with more, and give the same command again.");
}

int file_temp(const char *dir, int *ret_fd, struct err *err)
{
	char path[4096];
	int fd;

	if (!dir)
		dir = temp_folder();
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		snprintf(path, sizeof path, "%s/mmretain-XXXXXX", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path); /* a leftover name would only be litter */
	}
	if (fd < 0)
		return (void)err_sys(err, code_of(errno), errno, "cannot make a work file in %s", dir),
		       err_hint(err, "Set TMPDIR to a folder with room for the plan, which this user may write in.");
	*ret_fd = fd;
	return 0;
}
