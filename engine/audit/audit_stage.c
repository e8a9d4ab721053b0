/*
 * audit_stage.c - an export on its way: nothing stands under a name of its own before all of it is written and on disk.
 *
 * It is made in a folder `.<name>.<12 hex>.partial` beside the output: `out` holds what is exported, `pack` is the pack
 * of it, and `names` lists what comes out of `out` when that is more than one name.  The folder is locked while its
 * process lives, so the next export under that name takes away what a killed one left.  The name that was asked for
 * comes last: where it is missing, the others are parts of an export that was killed.
 */
#include "audit_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define END ".partial"
#define OUT "out"
#define NAMES "names"
#define NAMES_MAX ((size_t)64 << 20)
enum { TRIES = 16, RANDOM_BYTES = 6, STEM_MAX = 100 };

/* What it was when it was whole: whatever is something else by now is not ours to remove. */
struct stage_name { char *name; uint64_t ino; int64_t mtime_ns; };

struct stage {
	int place_dirfd, dirfd;              /* the folder of the output; the work folder */
	char *leaf, *name;                   /* of the output; of the work folder, NULL: not made */
	bool pack, flat;                     /* flat: its files lie beside the output, not in it */
	struct stage_name *to; size_t n;     /* names in the place, the output itself last */
	bool done;
};

static int failed(const struct export *x, const char *name, struct err *err)
{
	return out_failed(x, name, err->sys_errno, err);
}

/* ---- clearing away ---- */

static void remove_folder(int parent, const char *name)
{
	struct err err = {.code = 0};
	DIR *dir;

	if (file_list_dir(parent, name, &dir, &err) == 0) {
		for (struct dirent *e; (e = readdir(dir));)
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
			    unlinkat(dirfd(dir), e->d_name, 0) != 0)
				remove_folder(dirfd(dir), e->d_name);
		(void)closedir(dir);
	}
	if (unlinkat(parent, name, AT_REMOVEDIR) != 0)
		log_warn("cannot remove the folder \"%s\": remove it by hand, it holds what was exported", name);
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool stands(const struct stage *s, const struct stage_name *to)
{
	struct stat st, own;

	return fstat(s->dirfd, &own) == 0 && fstatat(s->place_dirfd, to->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == own.st_dev && st.st_ino == to->ino && mtime_ns(&st) == to->mtime_ns;
}

/* A crash in here leaves fewer of the parts, and the list of all. */
static void take_back(const struct stage *s)
{
	for (size_t i = s->n; i-- > 0;)
		if (stands(s, &s->to[i]) && unlinkat(s->place_dirfd, s->to[i].name, 0) != 0)
			remove_folder(s->place_dirfd, s->to[i].name);
}

static int stage_free(struct stage *s)
{
	fd_close_p(&s->dirfd);
	fd_close_p(&s->place_dirfd);
	return 0;
}

void stage_drop(struct export *x)
{
	struct stage *s = x->stage;

	if (s && s->name) {
		if (!s->done)
			take_back(s);
		remove_folder(s->place_dirfd, s->name);
	}
	talloc_free(s);
	x->stage = NULL;
}

/* ---- what a killed export left ---- */

/* "ino mtime name", each with a NUL behind it. */
static void read_names(struct stage *s)
{
	struct err err = {.code = 0};
	char *text, *end;
	size_t len;

	if (file_read(s, s->dirfd, NAMES, NAMES_MAX, &text, &len, &err) < 0)
		return;
	for (char *p = text; p < text + len; p += strlen(p) + 1) {
		struct stage_name to = {.ino = strtoull(p, &end, 10)};

		to.mtime_ns = strtoll(end, &end, 10);
		if (*end != ' ' || !end[1] || strchr(end + 1, '/') || !strcmp(end + 1, ".") || !strcmp(end + 1, ".."))
			return; /* not a list of ours */
		to.name = end + 1;
		s->to = mem_grow(s, s->to, struct stage_name, s->n + 1);
		s->to[s->n++] = to;
	}
}

/* The name that was asked for comes out of `out` last.  Once it has, the export is whole, wherever that name is by now
 * and whatever was written to it. `out` itself goes when nothing is to be taken back any more. */
static bool is_whole(const struct stage *s)
{
	struct err err;
	auto_fd int out = openat(s->dirfd, OUT, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const struct stage_name *last = &s->to[s->n - 1];

	return (out < 0 && errno == ENOENT) || stands(s, last) ||
	       (out >= 0 && file_is_there(out, last->name, &err) == 0);
}

/* Only that of our own user, that nobody works in. */
static void sweep_one(const struct stage *here, const char *name)
{
	struct stage *old auto_mem = mem_new(here, struct stage);
	struct stat st, again;

	*old = (struct stage){.place_dirfd = fcntl(here->place_dirfd, F_DUPFD_CLOEXEC, 0),
			      .dirfd =
				      openat(here->place_dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
	talloc_set_destructor(old, stage_free);
	if (old->place_dirfd < 0 || old->dirfd < 0 || fstat(old->dirfd, &st) != 0 || st.st_uid != geteuid() ||
	    flock(old->dirfd, LOCK_EX | LOCK_NB) != 0 ||
	    fstatat(old->place_dirfd, name, &again, AT_SYMLINK_NOFOLLOW) != 0 || again.st_dev != st.st_dev ||
	    again.st_ino != st.st_ino)
		return;
	read_names(old);
	if (old->n && !is_whole(old))
		take_back(old);
	log_info("removing \"%s\", which an export left that was killed", name);
	remove_folder(old->place_dirfd, name);
}

static bool is_stage_of(const char *name, const char *stem)
{
	uint8_t random[RANDOM_BYTES];
	size_t len = strlen(stem);

	return name[0] == '.' && strncmp(name + 1, stem, len) == 0 && name[1 + len] == '.' &&
	       strlen(name) == len + 2 + 2 * sizeof(random) + strlen(END) &&
	       hex_decode(name + len + 2, sizeof(random), random) &&
	       strcmp(name + len + 2 + 2 * sizeof(random), END) == 0;
}

static void sweep(const struct stage *s, const char *stem)
{
	struct err err = {.code = 0};
	char **found = NULL;
	size_t n = 0;
	DIR *dir;

	if (file_list_dir(s->place_dirfd, ".", &dir, &err) < 0)
		return; /* it is in nobody's way */
	for (struct dirent *e; (e = readdir(dir));) {
		if (!is_stage_of(e->d_name, stem))
			continue;
		found = mem_grow(s, found, char *, n + 1);
		found[n++] = mem_strdup(found, e->d_name);
	}
	(void)closedir(dir); /* read only */
	for (size_t i = 0; i < n; i++)
		sweep_one(s, found[i]);
	talloc_free(found);
}

/* ---- begin ---- */

/* Someone else may take it for a killed one's between two of these steps; then it is his, and the next name is tried.
 * Where folders cannot be locked nobody takes any away.  0: not this name. */
static int make_stage(struct stage *s, const char *stem, struct err *err)
{
	struct stat st, again;
	uint8_t random[RANDOM_BYTES];
	char hex[2 * RANDOM_BYTES + 1], *name;
	int rc = random_bytes(random, sizeof(random), err);

	if (rc < 0)
		return rc;
	hex_encode(random, sizeof(random), hex);
	name = mem_printf(s, ".%s.%s" END, stem, hex);
	if (mkdirat(s->place_dirfd, name, 0700) != 0)
		return errno == EEXIST ? 0 : err_sys(err, ERR_OUTPUT, errno, "cannot make %s", name);
	s->dirfd = openat(s->place_dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->dirfd < 0 && errno != ENOENT) {
		rc = err_sys(err, ERR_OUTPUT, errno, "cannot open %s", name);
		/* empty; the next export of that name tries again */
		(void)unlinkat(s->place_dirfd, name, AT_REMOVEDIR);
		return rc;
	}
	if (s->dirfd < 0 || (flock(s->dirfd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) ||
	    fstat(s->dirfd, &st) != 0 || fstatat(s->place_dirfd, name, &again, AT_SYMLINK_NOFOLLOW) != 0 ||
	    again.st_dev != st.st_dev || again.st_ino != st.st_ino) {
		fd_close_p(&s->dirfd);
		return 0;
	}
	s->name = name;
	return 1;
}

static int make_folders(struct export *x, struct stage *s, const char *stem, struct err *err)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < TRIES; i++)
		rc = make_stage(s, stem, err);
	if (rc <= 0)
		return rc ? failed(x, NULL, err) : out_failed(x, NULL, EBUSY, err);
	if (mkdirat(s->dirfd, OUT, 0700) != 0 ||
	    (x->dirfd = openat(s->dirfd, OUT, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return out_failed(x, NULL, errno, err);
	return 0;
}

int stage_begin(struct export *x, bool folder, struct err *err)
{
	struct stage *s = mem_new(x->ctx, struct stage);
	char *stem = plain_name(s, x->leaf, strlen(x->leaf) < STEM_MAX ? strlen(x->leaf) : STEM_MAX);

	*s = (struct stage){.place_dirfd = x->dirfd,
			    .dirfd = -1,
			    .leaf = x->leaf,
			    .pack = x->options->pack != PACK_NONE};
	s->flat = !s->pack && !folder;
	talloc_set_destructor(s, stage_free);
	x->stage = s;
	x->dirfd = -1;
	sweep(s, stem);
	int there = file_is_there(s->place_dirfd, s->leaf, err);

	if (there != 0)
		return out_failed(x, NULL, there > 0 ? EEXIST : err->sys_errno, err);
	return make_folders(x, s, stem, err);
}

int stage_is_free(const struct export *x, const char *name, struct err *err)
{
	const struct stage *s = x->stage;

	int there = s->flat ? file_is_there(s->place_dirfd, name, err) : 0;

	return there == 0 ? 0 : out_failed(x, name, there > 0 ? EEXIST : err->sys_errno, err);
}

int stage_pack_file(struct export *x, int *ret_fd, struct err *err)
{
	*ret_fd = openat(x->stage->dirfd, STAGE_PACK, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret_fd < 0 ? out_failed(x, NULL, errno, err) : 0;
}

/* ---- publish ---- */

static int add_name(struct stage *s, int dirfd, const char *from, const char *to, struct err *err)
{
	struct stat st;

	if (fstatat(dirfd, from, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_OUTPUT, errno, "cannot look at %s", from);
	s->to = mem_grow(s, s->to, struct stage_name, s->n + 1);
	s->to[s->n++] = (struct stage_name){mem_strdup(s, to), st.st_ino, mtime_ns(&st)};
	return 0;
}

static int sync_folders(int dirfd, struct err *err);

static int sync_below(int dirfd, const char *name, struct err *err)
{
	auto_fd int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (sub < 0)
		return errno == ENOTDIR ? 0 : err_sys(err, ERR_OUTPUT, errno, "cannot open %s", name);
	return sync_folders(sub, err);
}

static bool is_entry(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* The folders in it, too; files are durable when they are closed. */
static int sync_folders(int dirfd, struct err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc = file_list_dir(dirfd, ".", &dir, err);

	if (rc < 0)
		return rc;
	while (rc == 0 && (errno = 0, e = readdir(dir)))
		if (e->d_type != DT_REG && is_entry(e))
			rc = sync_below(dirfd, e->d_name, err);
	if (rc == 0 && errno)
		rc = err_sys(err, ERR_OUTPUT, errno, "cannot list %s", OUT);
	(void)closedir(dir); /* read only */
	return rc < 0 ? rc : file_sync_dir(dirfd, OUT, err);
}

/* All of it or an error: what is not listed would be cleared away with the work folder. */
static int list_out(struct stage *s, int dirfd, struct err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc = file_list_dir(dirfd, ".", &dir, err);

	if (rc < 0)
		return rc;
	while (rc == 0 && (errno = 0, e = readdir(dir)))
		if (is_entry(e) && strcmp(e->d_name, s->leaf))
			rc = add_name(s, dirfd, e->d_name, e->d_name, err);
	if (rc == 0 && errno)
		rc = err_sys(err, ERR_OUTPUT, errno, "cannot list %s", OUT);
	(void)closedir(dir); /* read only */
	return rc < 0 ? rc : add_name(s, dirfd, s->leaf, s->leaf, err);
}

/* Durable before the first of several names stands. */
static int write_names(struct stage *s, struct err *err)
{
	auto_fd int fd = -1;
	struct buf b;
	int rc;

	if (s->n == 1)
		return 0;
	fd = openat(s->dirfd, NAMES, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, ERR_OUTPUT, errno, "cannot create %s", NAMES);
	buf_init(&b, s, NAMES_MAX);
	for (size_t i = 0; i < s->n; i++) {
		buf_printf(&b, "%" PRIu64 " %" PRId64 " %s", s->to[i].ino, s->to[i].mtime_ns, s->to[i].name);
		buf_byte(&b, '\0');
	}
	if (b.overflow)
		return err_sys(err, ERR_OUTPUT, EFBIG, "%s has too many names", s->leaf);
	if ((rc = file_write_all(fd, b.data, b.len, NAMES, err)) < 0 || (rc = file_sync(fd, NAMES, err)) < 0 ||
	    (rc = file_close(&fd, NAMES, err)) < 0)
		return rc;
	return file_sync_dir(s->dirfd, s->name, err);
}

/* A folder cannot be linked: where a file system has no rename that spares what is there, the plain one does, but for
 * an empty folder. */
static int publish_name(struct stage *s, int dirfd, const char *from, const char *to, struct err *err)
{
	struct stat st;
	int rc = file_publish(dirfd, from, s->place_dirfd, to, err);

	if (rc == 0 || err->sys_errno != EPERM || fstatat(dirfd, from, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISDIR(st.st_mode))
		return rc;
	err_clear(err);
	if ((rc = file_is_there(s->place_dirfd, to, err)) != 0)
		return err_sys(err, ERR_OUTPUT, rc > 0 ? EEXIST : err->sys_errno, "cannot publish %s", to);
	if (renameat(dirfd, from, s->place_dirfd, to) != 0)
		return err_sys(err, ERR_OUTPUT, errno, "cannot publish %s", to);
	return file_sync_dir(s->place_dirfd, to, err);
}

/* Just before the first: nothing under any name.  Between: parts without the name that was asked for, which the next
 * export of that name takes away.  After the last: all of it, durable. */
static int publish_all(struct export *x, int dirfd, struct err *err)
{
	struct stage *s = x->stage;
	int fault = fault_hit(FAULT_EXPORT_COMPLETE), rc = 0;

	for (size_t i = 0; i < s->n && rc == 0; i++) {
		const char *to = s->to[i].name;

		if (fault)
			return out_failed(x, NULL, fault, err);
		if (publish_name(s, dirfd, s->pack ? STAGE_PACK : to, to, err) < 0)
			rc = failed(x, s->pack || !s->flat ? NULL : to, err);
		fault = i + 1 < s->n ? fault_hit(FAULT_EXPORT_BETWEEN) : 0;
	}
	return rc;
}

int stage_publish(struct export *x, struct err *err)
{
	struct stage *s = x->stage;
	auto_fd int out = s->pack ? -1 : openat(s->dirfd, OUT, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int rc = s->pack ? add_name(s, s->dirfd, STAGE_PACK, s->leaf, err) : 0;

	if (!s->pack)
		rc = (rc = list_out(s, out, err)) < 0 ? rc : sync_folders(out, err);
	for (size_t i = 0; i < s->n && rc == 0; i++)
		if ((rc = stage_is_free(x, s->to[i].name, err)) < 0)
			return rc;
	if (rc < 0 || write_names(s, err) < 0)
		return failed(x, NULL, err);
	if ((rc = publish_all(x, s->pack ? s->dirfd : out, err)) == 0)
		s->done = true;
	return rc;
}
