/* store_root.c - make and open the archive root: sentinel, texts, folders, secret. */
#include <mmretain/store.h>

#include "store_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define INDEX_LOCK_MS                                                                                                  \
	30000 /* nobody has it for longer than it takes to enter some bundles, or to look through the names of all */
#define SECRET "keys/salt-secret"
#define SECRET_BYTES 32

static int refuse_remote(const char *path, struct err *err)
{
	if (strncmp(path, "s3://", 5) != 0)
		return 0;
	err_set(err, ERR_STORE, "archive store \"%s\": a bucket of S3 is no folder", path);
	return err_hint(err, "Use a local folder for archive.store; a bucket may hold a copy, archive.mirror.");
}

/* ---- init ---- */

/* 1 empty, 0 not. */
static int folder_empty(int dirfd, const char *path, struct err *err)
{
	const struct dirent *e;
	DIR *d;
	int empty = 1, rc = file_list_dir(dirfd, ".", &d, err);

	if (rc)
		return err_prefix(err, "\"%s\"", path);
	while (empty == 1 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		/* A fresh file system brings this one along. */
		if (strcmp(e->d_name, "lost+found") == 0)
			continue;
		empty = 0;
	}
	closedir(d); /* read only: nothing to lose */
	return empty;
}

static int init_open(const char *path, int *ret_fd, struct err *err)
{
	if (mkdir(path, 0750) != 0 && errno != EEXIST) {
		err_sys(err, errno == EACCES ? ERR_PERMISSION : ERR_STORE, errno, "cannot make the archive root \"%s\"",
			path);
		return err_hint(err, "Make its parent folder first, and give the user that runs mmretain the right to "
				     "write there.");
	}
	return file_open_dir(path, ret_fd, err);
}

static int write_new(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
{
	auto_fd int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot create \"%s\"", name);
	int rc = file_inherit(fd, dirfd, name, err);
	if (!rc)
		rc = file_write_all(fd, data, len, name, err);
	if (!rc)
		rc = file_sync(fd, name, err);
	return rc ? rc : file_close(&fd, name, err);
}

static int init_secret(int dirfd, struct err *err)
{
	uint8_t secret[SECRET_BYTES];
	int keys = -1, rc = random_bytes(secret, sizeof(secret), err);

	if (!rc)
		rc = file_make_dirs(dirfd, "keys", err);
	if (rc)
		return rc;
	keys = openat(dirfd, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (keys < 0)
		return err_sys(err, ERR_STORE, errno, "cannot open \"keys\"");
	rc = write_new(keys, "salt-secret", secret, sizeof(secret), 0600, err);
	if (!rc)
		rc = file_sync_dir(keys, "keys", err);
	fd_close_p(&keys);
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

/* The sentinel comes last: a root that has it is whole.  A crash before leaves a folder that init refuses as foreign,
 * with the advice to empty it; nothing was archived there yet. */
static int init_fill(int dirfd, struct err *err)
{
	static const char *const folders[] = {"bundles", "ledger", "partial"};
	static const char mark[] = "mmretain archive, format 1. README.txt says how to read it.\n";
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(folders) && !rc; i++)
		rc = file_make_dirs(dirfd, folders[i], err);
	if (!rc)
		rc = init_secret(dirfd, err);
	if (!rc)
		rc = write_new(dirfd, "README.txt", text_store_readme, text_store_readme_len, 0640, err);
	if (!rc)
		rc = write_new(dirfd, "FORMAT.md", text_store_format, text_store_format_len, 0640, err);
	if (!rc)
		rc = write_new(dirfd, STORE_MARK, mark, sizeof(mark) - 1, 0640, err);
	return rc ? rc : file_sync_dir(dirfd, ".", err);
}

int store_refresh_format(const struct store *s, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "format");
	char *text;
	size_t len;

	if (file_read(tmp, s->root_dirfd, "FORMAT.md", (size_t)1 << 20, &text, &len, err) == 0 &&
	    len == text_store_format_len && memcmp(text, text_store_format, len) == 0)
		return 0;
	err_clear(err); /* missing or other: written anew */
	return file_replace(s->root_dirfd, "FORMAT.md", text_store_format, text_store_format_len, 0640, err);
}

static bool has_sentinel(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, STORE_MARK, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* The number of another format's mark, or 0. */
static int other_format(int dirfd)
{
	struct stat st;
	char name[64];

	for (int format = 2; format < 100; format++) {
		snprintf(name, sizeof name, "0=mmretain_archive_%d", format);
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return format;
	}
	return 0;
}

int store_init(const char *path, struct err *err)
{
	auto_fd int dirfd = -1;
	int rc = refuse_remote(path, err);

	if (!rc)
		rc = init_open(path, &dirfd, err);
	if (rc)
		return rc;
	if (has_sentinel(dirfd)) {
		err_set(err, ERR_STORE, "\"%s\" is an archive root already", path);
		return err_hint(err, "Nothing was changed. It is ready for use.");
	}
	rc = folder_empty(dirfd, path, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		err_set(err, ERR_STORE, "\"%s\" is not empty and is not an archive root", path);
		return err_hint(err, "Name an empty or a new folder. Nothing was changed.");
	}
	/* The umask of the caller and the owner's habits must not decide who reads archived messages. */
	if (fchmod(dirfd, 0750) != 0)
		return err_sys(err, ERR_PERMISSION, errno, "cannot set the mode of \"%s\"", path);
	return init_fill(dirfd, err);
}

/* ---- open ---- */

static int check_mode(int fd, const char *path, mode_t forbidden, const char *chmod_to, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", path);
	if (!(st.st_mode & forbidden))
		return 0;
	err_set(err, ERR_PERMISSION, "\"%s\" has mode %04o: people outside may read or change archived messages", path,
		(unsigned)(st.st_mode & 07777));
	return err_hint(err, "Run: chmod %s '%s'", chmod_to, path);
}

static int open_secret(struct store *s, struct err *err)
{
	char *path = mem_printf(s, "%s/" SECRET, s->path);
	auto_fd int fd = -1;
	struct stat st;
	int rc = file_open_beneath(s->root_dirfd, SECRET, &fd, err);

	if (rc && (err->sys_errno == EMFILE || err->sys_errno == ENFILE))
		return err_prefix(err, "the secret of the archive"); /* it may well be there */
	if (rc)
		err_sys(err, err->sys_errno == EACCES ? ERR_PERMISSION : ERR_KEY, err->sys_errno,
			"cannot open the secret of the archive, \"%s\"", path);
	else if ((rc = check_mode(fd, path, 0077, "0600", err)) < 0)
		return rc;
	else if (fstat(fd, &st) == 0 && st.st_size != SECRET_BYTES)
		err_set(err, ERR_KEY, "\"%s\" does not hold %d bytes", path, SECRET_BYTES);
	else
		return file_pread_all(fd, s->salt_secret, SECRET_BYTES, 0, SECRET, err);
	if (err->code == -ERR_PERMISSION)
		return err_hint(err, "Give the file to the user that runs mmretain, with mode 0600. Nothing was "
				     "deleted.");
	return err_hint(err,
			"Put " SECRET " back from a copy; new bundles cannot be made without it. Nothing was deleted.");
}

static int open_folder(struct store *s, const char *name, bool writable, int *ret, struct err *err)
{
	int fd = openat(s->root_dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		err_sys(err, errno == EACCES ? ERR_PERMISSION : ERR_STORE, errno, "cannot open \"%s/%s\"", s->path,
			name);
		if (err->sys_errno == EMFILE || err->sys_errno == ENFILE)
			return err->code;
		if (err->sys_errno == EACCES)
			return err_hint(err, "Run as the user that the archive belongs to, and give all of it to that "
					     "user. Nothing was deleted.");
		return err_hint(err, "Put the folder back from a copy of the archive (for partial/ an empty one will "
				     "do). Nothing was deleted.");
	}
	*ret = fd;
	if (writable && faccessat(s->root_dirfd, name, W_OK | X_OK, AT_EACCESS) != 0) {
		err_sys(err, ERR_PERMISSION, errno, "cannot write in \"%s/%s\"", s->path, name);
		return err_hint(err, "Mount the archive's file system for writing, and run as the user that the "
				     "archive belongs to. Nothing was deleted.");
	}
	return 0;
}

static int store_free(struct store *s)
{
	fd_close_p(&s->root_dirfd);
	fd_close_p(&s->partial_dirfd);
	fd_close_p(&s->ledger_dirfd);
	explicit_bzero(s->salt_secret, sizeof(s->salt_secret));
	return 0;
}

/* Without openat2 a bundle that is there looks like one that is missing. */
static int check_openat2(const struct store *s, struct err *err)
{
	auto_fd int fd = -1;

	if (file_open_beneath(s->root_dirfd, STORE_MARK, &fd, err) == 0 || err->sys_errno != ENOSYS) {
		err_clear(err);
		return 0;
	}
	err_sys(err, ERR_STORE, ENOSYS, "cannot open files below \"%s\": the system call openat2 is refused", s->path);
	return err_hint(err, "Linux has it since 5.6, but a sandbox may take it away: in a unit of systemd "
			     "RestrictSUIDSGID= does, and has to be left out. Nothing was changed.");
}

static int open_root(struct store *s, struct err *err)
{
	int rc = file_open_dir(s->path, &s->root_dirfd, err);

	if (rc == -ERR_PERMISSION)
		return err_hint(err, "Run as the user that the archive belongs to. Nothing was changed.");
	if (rc)
		return err_hint(err, "Is the archive's file system mounted? A new archive is made with `mmretain "
				     "init`.");
	if (!has_sentinel(s->root_dirfd) && (rc = other_format(s->root_dirfd)) > 0) {
		err_set(err, ERR_STORE, "\"%s\" is an archive of format %d, and this program knows format 1", s->path,
			rc);
		return err_hint(err, "Use the newer mmretain that wrote it. Nothing was changed.");
	}
	if (!has_sentinel(s->root_dirfd)) {
		err_set(err, ERR_STORE, "\"%s\" is not an archive root: " STORE_MARK " is not there", s->path);
		return err_hint(err, "Is the archive's file system mounted? A new archive is made with `mmretain "
				     "init`.");
	}
	rc = check_mode(s->root_dirfd, s->path, 0027, "0750", err);
	return rc ? rc : check_openat2(s, err);
}

int store_open(void *ctx, const char *path, bool writable, struct store **ret, struct err *err)
{
	int rc = refuse_remote(path, err);

	if (rc)
		return rc;
	struct store *s = mem_new(ctx, struct store);
	s->root_dirfd = s->partial_dirfd = s->ledger_dirfd = -1;
	talloc_set_destructor(s, store_free);
	s->path = mem_strdup(s, path);
	rc = open_root(s, err);
	if (!rc)
		rc = open_folder(s, "partial", writable, &s->partial_dirfd, err);
	if (!rc)
		rc = open_folder(s, "ledger", writable, &s->ledger_dirfd, err);
	if (!rc && writable)
		rc = open_secret(s, err);
	if (rc) {
		talloc_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

int store_check_place(const struct store *s, struct err *err)
{
	struct stat open, there;

	if (fstat(s->root_dirfd, &open) == 0 && stat(s->path, &there) == 0 && open.st_dev == there.st_dev &&
	    open.st_ino == there.st_ino)
		return 0;
	err_set(err, ERR_STORE, "the archive \"%s\" is not the folder any more that it was when this began", s->path);
	return err_hint(err, "Was its file system unmounted, another one mounted over it, or the folder moved? Put it "
			     "back and run again; nothing more was deleted.");
}

int store_check_room(const struct store *s, uint64_t bytes, struct err *err)
{
	char have[TIME_TEXT], need[TIME_TEXT];
	uint64_t free_bytes = 0;
	int rc = store_free_bytes(s, &free_bytes, err);

	if (rc < 0 || free_bytes >= bytes)
		return rc;
	bytes_format(free_bytes, have);
	bytes_format(bytes, need);
	err_set(err, ERR_STORE, "the archive \"%s\" has %s of space left, and the next bundle may take %s", s->path,
		have, need);
	return err_hint(err, "Make room on its file system, or lower archive.bundle_size. What was finished stays "
			     "finished, nothing is lost; the next run takes up the rest.");
}

int store_free_bytes(const struct store *s, uint64_t *ret, struct err *err)
{
	struct statvfs v;

	if (fstatvfs(s->root_dirfd, &v) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot ask for the free space of \"%s\"", s->path);
	*ret = v.f_blocks ? (uint64_t)v.f_bavail * v.f_frsize : (uint64_t)INT64_MAX; /* some file systems do not tell */
	return 0;
}

/* ---- one writer of indexes ---- */

/* The mark is there as long as the archive is, and is nobody's work: its lock serves.  Over the network a lock needs a
 * file open for writing. */
static int open_mark(const struct store *s, struct err *err)
{
	int fd = openat(s->root_dirfd, STORE_MARK, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && (errno == EACCES || errno == EROFS))
		fd = openat(s->root_dirfd, STORE_MARK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 ? fd : err_sys(err, ERR_STORE, errno, "cannot open \"%s\"", STORE_MARK);
}

int store_lock_indexes(const struct store *s, int *ret_fd, struct err *err)
{
	int64_t until_ms = time_mono_ms() + INDEX_LOCK_MS;
	auto_fd int fd = open_mark(s, err);

	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, ERR_STORE, errno, "cannot lock \"%s\"", STORE_MARK);
		if (time_mono_ms() >= until_ms)
			return err_set(err, ERR_STORE,
				       "another process has been writing the indexes of the archive for %d s",
				       INDEX_LOCK_MS / 1000);
		time_pause_ms(1); /* whoever removes people's data does not give up for a signal */
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}
