/* store_s3_keys.c - the file of credentials, in the form that every S3 client reads. */
#include "store_s3.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (64U << 10)
#define BLANKS " \t\r"

struct line { const char *p; size_t n; };

static struct line trimmed(const char *p, size_t n)
{
	while (n && strchr(BLANKS, *p))
		p++, n--;
	while (n && strchr(BLANKS, p[n - 1]))
		n--;
	return (struct line){p, n};
}

static bool is(struct line l, const char *word)
{
	return l.n == strlen(word) && strncasecmp(l.p, word, l.n) == 0;
}

/* Printable ASCII without blanks: what else stands there was not meant. */
static bool take(struct line value, char ret[MIRROR_KEY_MAX])
{
	if (value.n == 0 || value.n >= MIRROR_KEY_MAX)
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= ' ' || value.p[i] > '~')
			return false;
	memcpy(ret, value.p, value.n);
	ret[value.n] = '\0';
	return true;
}

int s3_keys_parse(const char *text, struct s3_keys *ret, struct err *err)
{
	bool here = false, good = true;

	*ret = (struct s3_keys){.id = ""};
	for (size_t n; *text; text += n + (text[n] == '\n')) {
		struct line l = trimmed(text, n = strcspn(text, "\n"));
		const char *eq = l.n ? memchr(l.p, '=', l.n) : NULL;

		if (l.n && *l.p == '[')
			here = is(l, "[default]");
		if (!here || !eq || *l.p == '#' || *l.p == ';')
			continue;
		if (is(trimmed(l.p, (size_t)(eq - l.p)), "aws_access_key_id"))
			good &= take(trimmed(eq + 1, (size_t)(l.p + l.n - eq - 1)), ret->id);
		if (is(trimmed(l.p, (size_t)(eq - l.p)), "aws_secret_access_key"))
			good &= take(trimmed(eq + 1, (size_t)(l.p + l.n - eq - 1)), ret->secret);
	}
	if (good && ret->id[0] && ret->secret[0])
		return 0;
	explicit_bzero(ret, sizeof *ret);
	err_set(err, ERR_POLICY, "the credentials of the mirror have no pair of keys");
	return err_hint(err, "Write a line `[default]`, then `aws_access_key_id = ...` and `aws_secret_access_key = "
			     "...`.");
}

static int check_file(int fd, const char *path, size_t *ret_bytes, struct err *err)
{
	struct stat st;
	int rc = file_check_trusted(fd, "credentials", path, err);

	if (rc < 0)
		return rc;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_PERMISSION, "credentials \"%s\" are not a regular file", path);
	if ((uint64_t)st.st_size >= FILE_MAX)
		return err_set(err, ERR_POLICY, "credentials \"%s\" are larger than %u KiB", path, FILE_MAX >> 10);
	*ret_bytes = (size_t)st.st_size;
	if (!(st.st_mode & S_IROTH))
		return 0;
	err_set(err, ERR_PERMISSION, "credentials \"%s\" can be read by everybody (mode %04o)", path,
		(unsigned)(st.st_mode & 07777));
	return err_hint(err, "Run: chmod o-r '%s', and let the store make new keys.", path);
}

int s3_keys_read(const char *path, struct s3_keys *ret, struct err *err)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[FILE_MAX];
	size_t n = 0;
	int rc;

	if (fd < 0) {
		err_sys(err, errno == ENOENT ? ERR_POLICY : ERR_PERMISSION, errno,
			"cannot open the credentials of the mirror, \"%s\"", path);
		return err_hint(err, "Write the file, for the user that runs mmretain to read and nobody else. Nothing "
				     "was deleted.");
	}
	if ((rc = check_file(fd, path, &n, err)) < 0 || (rc = file_pread_all(fd, text, n, 0, path, err)) < 0)
		return rc;
	text[n] = '\0';
	rc = s3_keys_parse(text, ret, err);
	explicit_bzero(text, sizeof text);
	return rc < 0 ? err_prefix(err, "\"%s\"", path) : 0;
}
