/* store_list.c - what lies in the archive root. */
#include <mmretain/store.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry { char *rel_path; uint64_t bytes; bool regular, replaced; };
struct list { struct entry *e; size_t n, cap; };

static int by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->rel_path, y->rel_path);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0;
}

static bool is_bundle(const char *name)
{
	return strncmp(name, "mmr1-", 5) == 0 && ends_with(name, ".tar.zst");
}

static bool all_digits(const char *name, size_t n)
{
	return strlen(name) == n && strspn(name, "0123456789") == n;
}

static void list_add(struct list *l, char *rel_path, const struct stat *st)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->e = mem_grow(NULL, l->e, struct entry, l->cap);
	}
	talloc_steal(l->e, rel_path);
	l->e[l->n++] = (struct entry){.rel_path = rel_path,
				      .regular = S_ISREG(st->st_mode),
				      .bytes = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0};
}

static int collect(const struct store *s, const char *rel, int level, struct list *l, struct err *err);

static int take(const struct store *s, const char *path, int level, struct list *l, struct err *err)
{
	struct stat st;

	if (fstatat(s->root_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0
				       : err_sys(err, errno == EACCES ? ERR_PERMISSION : ERR_STORE, errno,
						 "cannot look at \"%s\"", path);
	if (level < 2 && S_ISDIR(st.st_mode))
		return collect(s, path, level + 1, l, err);
	if (level == 2)
		list_add(l, mem_strdup(NULL, path), &st);
	return 0;
}

/* bundles/, bundles/yyyy/, bundles/yyyy/mm/: anything of another name is not ours and is left alone.  What has a
 * bundle's name and is no file is listed: whoever opens it is told, and does not take the bundle for one that never
 * was.  Nor is what cannot be looked at, a folder with all its bundles, left out. */
static int collect(const struct store *s, const char *rel, int level, struct list *l, struct err *err)
{
	const struct dirent *e;
	DIR *d;
	int rc = file_list_dir(s->root_dirfd, rel, &d, err);

	if (rc)
		return rc;
	while (!rc && (errno = 0, e = readdir(d)) != NULL) {
		char *path = mem_printf(NULL, "%s/%s", rel, e->d_name);
		bool want = level < 2 ? all_digits(e->d_name, level == 0 ? 4 : 2) : is_bundle(e->d_name);

		if (want)
			rc = take(s, path, level, l, err);
		talloc_free(path);
	}
	if (!rc && errno)
		rc = err_sys(err, ERR_STORE, errno, "cannot list \"%s\"", rel);
	closedir(d); /* read only: nothing to lose */
	return rc;
}

/* Where the generation begins, -e2, or the end of the name without .tar.zst. */
static const char *before_generation(const char *name)
{
	const char *end = name + strlen(name) - strlen(".tar.zst"), *p = end;

	while (p > name && p[-1] >= '0' && p[-1] <= '9')
		p--;
	/* At most four digits: a digest may begin with an e, too. */
	return p < end && end - p <= 4 && p - name > 2 && p[-1] == 'e' && p[-2] == '-' ? p - 2 : end;
}

static uint32_t generation_of(const char *name)
{
	const char *at = before_generation(name);

	return at[0] == '-' ? (uint32_t)strtoul(at + 2, NULL, 10) : 1;
}

/* By path without generation, then the greatest generation first. */
static int by_bundle(const void *a, const void *b)
{
	const char *x = ((const struct entry *)a)->rel_path, *y = ((const struct entry *)b)->rel_path;
	size_t n = (size_t)(before_generation(x) - x), m = (size_t)(before_generation(y) - y);
	int c = memcmp(x, y, n < m ? n : m);

	if (c || n != m)
		return c ? c : n < m ? -1 : 1;
	return generation_of(x) > generation_of(y) ? -1 : generation_of(x) < generation_of(y);
}

static bool same_bundle(const struct entry *a, const struct entry *b)
{
	size_t n = (size_t)(before_generation(a->rel_path) - a->rel_path),
	       m = (size_t)(before_generation(b->rel_path) - b->rel_path);

	return n == m && memcmp(a->rel_path, b->rel_path, n) == 0;
}

/* A folder or a link that is named like a later generation takes nobody's place. */
static void mark_replaced(struct list *l)
{
	bool greater = false; /* a file of a greater generation of the same bundle was seen */

	for (size_t i = 0; i < l->n; i++) {
		greater = greater && same_bundle(&l->e[i - 1], &l->e[i]);
		l->e[i].replaced = greater && l->e[i].regular;
		greater |= l->e[i].regular;
	}
}

/* replaced: those of which there is a greater generation, else the others. */
static int each(const struct store *s, bool replaced, store_bundle_fn fn, void *payload, struct err *err)
{
	struct list l = {0};
	size_t n = 0;
	int rc = collect(s, "bundles", 0, &l, err);

	if (!rc && l.n > 0)
		qsort(l.e, l.n, sizeof(*l.e), by_bundle);
	mark_replaced(&l);
	for (size_t i = 0; i < l.n; i++)
		if (l.e[i].replaced == replaced)
			l.e[n++] = l.e[i];
	if (!rc && n > 0)
		qsort(l.e, n, sizeof(*l.e), by_path);
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(payload, l.e[i].rel_path, l.e[i].bytes, err);
	talloc_free(l.e);
	return rc;
}

bool store_has_file(const struct store *s, const char *rel_path)
{
	auto_fd int dirfd = -1;
	struct err err = {0};
	const char *leaf;
	struct stat st;

	return file_open_parent_beneath(s->root_dirfd, rel_path, &dirfd, &leaf, &err) == 0 &&
	       fstatat(dirfd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int store_each_bundle(const struct store *s, store_bundle_fn fn, void *payload, struct err *err)
{
	return each(s, false, fn, payload, err);
}

int store_each_replaced(const struct store *s, store_bundle_fn fn, void *payload, struct err *err)
{
	return each(s, true, fn, payload, err);
}

/* mmr1-<team>-<yyyymm|never>-<seq6>-<12 hex>[-e<n>].tar.zst: the team may hold dashes, so the number is found from the
 * end. */
uint32_t store_seq_of(const char *name)
{
	if (!ends_with(name, ".tar.zst"))
		return 0;
	const char *end = before_generation(name);
	const char *p = end - 1;

	while (p > name && *p != '-')
		p--;
	const char *digits = p;
	while (digits > name && digits[-1] >= '0' && digits[-1] <= '9')
		digits--;
	if (digits == p || digits == name || digits[-1] != '-' || p - digits > 9)
		return 0;
	return (uint32_t)strtoul(digits, NULL, 10);
}

static int highest(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	uint32_t *max = payload, seq = store_seq_of(strrchr(rel_path, '/') + 1);

	(void)size_bytes;
	(void)err;
	if (seq > *max)
		*max = seq;
	return 0;
}

int store_next_seq(const struct store *s, uint32_t *ret, struct err *err)
{
	uint32_t max = 0;
	int rc = store_each_bundle(s, highest, &max, err);

	if (!rc)
		*ret = max + 1;
	return rc;
}

static int clear_one(const struct store *s, const char *name, uint32_t *n, struct err *err)
{
	struct stat st;

	if (fstatat(s->partial_dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(err, ERR_STORE, errno, "cannot look at \"partial/%s\"", name);
	if (S_ISDIR(st.st_mode)) {
		log_warn("folder \"partial/%s\" is not ours, leaving it", name);
		return 0;
	}
	/* Nothing in partial/ was ever relied upon: a crash before or after costs at most the same work again. */
	if (unlinkat(s->partial_dirfd, name, 0) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot remove \"partial/%s\"", name);
	(*n)++;
	return 0;
}

int store_clear_partial(const struct store *s, uint32_t *ret_removed, struct err *err)
{
	const struct dirent *e;
	uint32_t n = 0;
	DIR *d;
	int rc = file_list_dir(s->root_dirfd, "partial", &d, err);

	if (rc)
		return rc;
	while (!rc && (errno = 0, e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = clear_one(s, e->d_name, &n, err);
	if (!rc && errno)
		rc = err_sys(err, ERR_STORE, errno, "cannot list \"partial\"");
	closedir(d); /* read only: nothing to lose */
	if (!rc && n > 0)
		rc = file_sync_dir(s->partial_dirfd, "partial", err);
	if (!rc)
		*ret_removed = n;
	return rc;
}
