/* store_remove.c - files of the archive root that are removed for good. */
#include <mmretain/store.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int store_see(const struct store *s, const char *rel_path, struct store_seen *ret, struct err *err)
{
	struct stat st;
	auto_fd int fd = -1;
	int rc = file_open_beneath(s->root_dirfd, rel_path, &fd, err);

	if (rc)
		return err_prefix(err, "\"%s\"", rel_path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", rel_path);
	*ret = (struct store_seen){.dev = st.st_dev,
				   .ino = st.st_ino,
				   .size_bytes = (uint64_t)st.st_size,
				   .mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec};
	return 0;
}

static bool is_seen(const struct stat *st, const struct store_seen *seen)
{
	return st->st_dev == seen->dev && st->st_ino == seen->ino && (uint64_t)st->st_size == seen->size_bytes &&
	       st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec == seen->mtime_ns;
}

static int remove_at(int dirfd, const char *leaf, const char *rel_path, const struct store_seen *seen, bool *ret_was,
		     struct err *err)
{
	struct stat st;

	*ret_was = fstatat(dirfd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*ret_was && errno != ENOENT)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", rel_path);
	if (*ret_was && !S_ISREG(st.st_mode))
		return err_set(err, ERR_STORE, "\"%s\" is not a regular file", rel_path);
	if (*ret_was && seen && !is_seen(&st, seen))
		return err_set(err, ERR_VERIFY, "\"%s\" has become another file since it was read", rel_path);
	/* Before: the file is there, whole, and its line announces this.  After, until the sync: there or gone, and
	 * whoever removes it again finds either. */
	if (*ret_was && unlinkat(dirfd, leaf, 0) != 0)
		return err_sys(err, errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_STORE, errno,
			       "cannot remove \"%s\"", rel_path);
	return file_sync_dir(dirfd, rel_path, err);
}

int store_remove(const struct store *s, const char *rel_path, const struct store_seen *seen, bool *ret_was,
		 struct err *err)
{
	auto_fd int dirfd = -1;
	const char *leaf;
	int rc = file_open_parent_beneath(s->root_dirfd, rel_path, &dirfd, &leaf, err);

	*ret_was = false;
	if (rc == -ERR_NOT_FOUND) { /* its folder is gone too */
		err_clear(err);
		return 0;
	}
	return rc ? err_prefix(err, "\"%s\"", rel_path) : remove_at(dirfd, leaf, rel_path, seen, ret_was, err);
}

static bool fits(const char *name, const char *begin, const char *end)
{
	size_t n = strlen(name), b = strlen(begin), e = strlen(end);

	return n >= b + e && memcmp(name, begin, b) == 0 && memcmp(name + n - e, end, e) == 0;
}

int store_each_named(const struct store *s, const char *folder, const char *begin, const char *end, store_name_fn fn,
		     void *payload, struct err *err)
{
	const struct dirent *e;
	DIR *d;
	int rc = file_list_dir(s->root_dirfd, folder, &d, err);

	if (rc)
		return rc;
	while (!rc && (errno = 0, e = readdir(d)) != NULL) {
		char path[512];

		if (!fits(e->d_name, begin, end))
			continue;
		/* a name has at most 255 bytes, the folders are ours */
		(void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		rc = fn(payload, path, err);
	}
	if (!rc && errno)
		rc = err_sys(err, ERR_STORE, errno, "cannot list \"%s\"", folder);
	closedir(d); /* read only: nothing to lose */
	return rc;
}
