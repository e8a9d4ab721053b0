/*
 * mm_files.c - may this process do in the attachment folder what a run does there?  A look at some files; nothing is
 * made or changed.
 *
 * The server writes files 0600 into folders 0750 of its own account: whoever may open the attachment folder may still
 * read nothing in it, and remove nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mmretain/mm_bucket.h>

#include "mm_internal.h"
#include "mm_sql.h"

enum { DAY_DIGITS = 8, DAYS = 3, TOP_NAMES = 4096, DAY_NAMES = 100, DAY_FILES = 8, DEPTH = 10 };

struct look {
	void *tmp;
	const struct mm *mm;
	struct mm_files *to;
	unsigned names, files;    /* that may still be looked at in this day's folder */
};

static bool is_refusal(int error)
{
	return error == EACCES || error == EPERM || error == EROFS;
}

/* The folder and never the file: its name is one that a person gave it. */
static void refused(struct look *l, struct mm_files_refusal *r, const char *path, int error)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (r->n++)
		return;
	r->sys_errno = error;
	r->folder = slash ? mem_strndup(l->to, path, (size_t)(slash - path)) : mem_strdup(l->to, ".");
	/* what lies behind a closed folder mostly belongs to whom that belongs to */
	if (fstatat(l->mm->data_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || fstat(l->mm->data_dirfd, &st) == 0)
		r->owner = st.st_uid;
}

/* Read as a run reads it, and its folder asked as the kernel would be when the file goes.  1; 0: nothing lies there;
 * negative: no file, or a path that leads elsewhere. */
static int look_at_file(struct look *l, const char *path)
{
	auto_fd int fd = -1, dir = -1;
	const char *leaf;
	struct err why = {0};

	if (file_open_beneath(l->mm->data_dirfd, path, &fd, &why) < 0 && !is_refusal(why.sys_errno))
		return why.sys_errno == ENOENT ? 0 : -1;
	l->to->files++;
	if (fd < 0)
		refused(l, &l->to->unread, path, why.sys_errno);
	if (file_open_parent_beneath(l->mm->data_dirfd, path, &dir, &leaf, &why) < 0) {
		if (is_refusal(why.sys_errno))
			refused(l, &l->to->locked, path, why.sys_errno);
	} else if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) != 0 && is_refusal(errno)) {
		refused(l, &l->to->locked, path, errno);
	}
	return 1;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void look_into(struct look *l, int at, const char *name, const char *path, unsigned depth)
{
	const struct dirent *e;
	struct err why = {0};
	struct stat st;
	DIR *d;

	if (file_list_dir(at, name, &d, &why) < 0) {
		if (is_refusal(why.sys_errno)) {
			l->to->files++;
			refused(l, &l->to->unread, mem_printf(l->tmp, "%s/", path), why.sys_errno);
		}
		return;
	}
	while (l->names && l->files && (e = readdir(d))) {
		char *below = mem_printf(l->tmp, "%s/%s", path, e->d_name);

		if (is_dots(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		l->names--;
		if (S_ISDIR(st.st_mode) && depth < DEPTH)
			look_into(l, dirfd(d), e->d_name, below, depth + 1);
		else if (S_ISREG(st.st_mode) && look_at_file(l, below) > 0)
			l->files--;
	}
	closedir(d); /* read only: nothing to lose */
}

/* The server makes a folder a day, named by it. */
static bool is_day(const char *name)
{
	return strspn(name, "0123456789") == DAY_DIGITS && name[DAY_DIGITS] == '\0';
}

static void newest_days(const struct mm *mm, char ret[DAYS][DAY_DIGITS + 1])
{
	const struct dirent *e;
	struct err ignored;
	DIR *d;

	if (file_list_dir(mm->data_dirfd, ".", &d, &ignored) < 0)
		return; /* paths of rows are left */
	for (unsigned n = 0; n < TOP_NAMES && (e = readdir(d)); n++) {
		int at = DAYS;

		if (!is_day(e->d_name))
			continue;
		while (at > 0 && strcmp(e->d_name, ret[at - 1]) > 0)
			at--;
		if (at == DAYS)
			continue;
		memmove(ret[at + 1], ret[at], (size_t)(DAYS - 1 - at) * sizeof(ret[0]));
		memcpy(ret[at], e->d_name, sizeof(ret[0]));
	}
	closedir(d);
}

static int look_at_rows(struct look *l, struct err *err)
{
	struct db_result *res = NULL;
	int r = db_query(l->tmp, l->mm->db, &sql_files_some, DB_ANY, 0, NULL, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		int there = look_at_file(l, db_text(res, i, 0));

		l->to->named += there >= 0;
		l->to->missing += there == 0;
	}
	return r;
}

/* Of a bucket the rows' paths alone are asked about: whether the keys may remove, only a removal would show. */
static int look_at_objects(struct look *l, struct mm *mm, struct err *err)
{
	struct mm_bucket_seen seen;
	struct db_result *res = NULL;
	struct err why = {0};
	int r = db_query(l->tmp, l->mm->db, &sql_files_some, DB_ANY, 0, NULL, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		int there = mm_bucket_see(mm, db_text(res, i, 0), &seen, &why);

		there = there < 0 && why.sys_errno == ENXIO ? 0 : there;
		l->to->named += there >= 0;
		l->to->missing += there == 0;
		l->to->files += there == 1;
		if (there < 0 && why.sys_errno != EINVAL && l->to->unread.n++ == 0) {
			/* a path that is none says nothing of the bucket */
			l->to->unread.sys_errno = why.sys_errno;
			l->to->unread.folder = mem_strdup(l->to, why.msg);
			l->to->hint = mem_strdup(l->to, why.hint);
		}
	}
	return r;
}

int mm_files_look(void *ctx, struct mm *mm, struct mm_files **ret, struct err *err)
{
	auto_mem void *tmp = mem_context(NULL, "files look");
	struct look l = {.tmp = tmp, .mm = mm, .to = mem_new(ctx, struct mm_files)};
	char day[DAYS][DAY_DIGITS + 1] = {""};
	int r = mm->bucket ? look_at_objects(&l, mm, err) : look_at_rows(&l, err);

	if (r < 0) {
		talloc_free(l.to);
		return r;
	}
	if (!mm->bucket)
		newest_days(mm, day);
	for (int i = 0; i < DAYS && day[i][0]; i++) {
		l.names = DAY_NAMES;
		l.files = DAY_FILES;
		look_into(&l, mm->data_dirfd, day[i], day[i], 1);
	}
	*ret = l.to;
	return 0;
}
