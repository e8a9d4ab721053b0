/* base_output.c - files and folders that somebody named for a result: what is wrong with the name, told alike
 * everywhere. */
#include <mmretain/base.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum err_code code_of(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_PERMISSION;
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EEXIST:
	case ENOTEMPTY:
	case ELOOP:
	case ENAMETOOLONG:
	case EINVAL:
	case ENXIO:
		return ERR_USAGE;
	default:
		return ERR_OUTPUT;
	}
}

/* Of others whoever prints the error knows what to do. */
static const char *hint_of(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return "Make its folder first, or name another place.";
	case EEXIST:
		return "What is there is never overwritten; choose another name.";
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case EINVAL:
	case ENXIO:
		return "Choose another name.";
	default:
		return NULL;
	}
}

int output_failed(const char *verb, const char *path, int errnum, struct err *err)
{
	const char *hint = hint_of(errnum);

	if (!errnum)
		return err_set(err, ERR_OUTPUT, "cannot %s \"%s\"", verb, path);
	err_sys(err, code_of(errnum), errnum, "cannot %s \"%s\"", verb, path);
	return hint ? err_hint(err, "%s", hint) : err->code;
}

int output_open_place(void *ctx, const char *path, int *ret_dirfd, char **ret_leaf, struct err *err)
{
	auto_mem char *dir = mem_strdup(NULL, path);
	auto_fd int fd = -1;
	size_t len = strlen(dir);
	const char *leaf;
	char *slash;

	while (len > 1 && dir[len - 1] == '/')
		dir[--len] = '\0';
	slash = strrchr(dir, '/');
	leaf = slash ? slash + 1 : dir;
	if (!leaf[0] || strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0) {
		err_set(err, ERR_USAGE, "\"%s\" is not a name for a file", path);
		return err_hint(err, "Name a file in a folder that is there.");
	}
	*ret_leaf = mem_strdup(ctx, leaf);
	if (slash)
		slash[slash == dir] = '\0'; /* the root keeps its slash */
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		return output_failed("write", path, errno, err);
	*ret_dirfd = fd;
	fd = -1;
	return 0;
}
