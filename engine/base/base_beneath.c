/*
 * base_beneath.c - opening a path that must lie strictly below a folder.
 *
 * Attachment paths come from users.  Our own check refuses what is wrong in any case; the kernel's
 * RESOLVE_BENEATH decides about links and mounts at the moment of the open, so a swapped folder cannot win a race.
 */
#include <mmretain/base.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open2(int dirfd, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do
		fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
	while (fd < 0 && errno == EAGAIN); /* a concurrent rename made the walk unsafe: walk again */
	return fd;
}

static bool path_plain(const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len > 4000 || path[0] == '/' || path[len - 1] == '/')
		return false;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n + (p[n] == '/');
	}
	return true;
}

int file_open_beneath(int dirfd, const char *path, int *ret_fd, struct err *err)
{
	struct stat st;
	int fd;

	if (!path_plain(path))
		return err_sys(err, ERR_STORE, EXDEV, "file path is not a plain path below the folder");
	fd = open2(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORE, errno,
			       "cannot open a file of the file store");
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd); /* nothing was written */
		return err_sys(err, ERR_STORE, ELOOP, "file of the file store is not a regular file");
	}
	*ret_fd = fd;
	return 0;
}

bool file_stat_beneath(int dirfd, const char *path, struct stat *ret)
{
	auto_fd int fd = path_plain(path) ? open2(dirfd, path, O_PATH | O_NOFOLLOW) : -1;

	return fd >= 0 && fstat(fd, ret) == 0;
}

int file_open_parent_beneath(int dirfd, const char *path, int *ret_dirfd, const char **ret_leaf, struct err *err)
{
	const char *slash;
	char parent[4096];
	int fd;

	if (!path_plain(path))
		return err_sys(err, ERR_STORE, EXDEV, "file path is not a plain path below the folder");
	slash = strrchr(path, '/');
	if (!slash) {
		fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		memcpy(parent, path, (size_t)(slash - path));
		parent[slash - path] = '\0';
		fd = open2(dirfd, parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	}
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORE, errno,
			       "cannot open a folder of the file store");
	*ret_dirfd = fd;
	*ret_leaf = slash ? slash + 1 : path;
	return 0;
}
