/* bundle_read.c - rows, members and blobs of one file, with memory for one frame at a time. */
#include "bundle_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int reader_free(struct bundle_reader *r)
{
	fd_close_p(&r->fd);
	return 0;
}

int reader_new(void *ctx, int fd, const char *name, struct bundle_reader **ret, struct err *err)
{
	struct bundle_reader *r = mem_new(ctx, struct bundle_reader);
	struct stat st;

	r->fd = fd;
	talloc_set_destructor(r, reader_free);
	r->name = mem_strdup(r, name);
	r->zd = zd_new(r);
	buf_init(&r->comp, r, FRAME_COMP_MAX);
	buf_init(&r->raw, r, FRAME_RAW_MAX + 1);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0) {
		int rc = err_set(err, ERR_STORE, "\"%s\" is not a regular file", name);
		talloc_free(r);
		return rc;
	}
	r->size = (uint64_t)st.st_size;
	r->mtime = st.st_mtim;
	*ret = r;
	return 0;
}

int frame_load(const struct bundle_reader *r, size_t i, struct zd *zd, struct buf *comp, struct buf *raw,
	       struct err *err)
{
	const struct frame_pos *p = &r->pos[i];

	buf_clear(comp);
	buf_clear(raw);
	if (!buf_reserve(comp, p->clen) || !buf_reserve(raw, (size_t)p->rlen + 1))
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged: frame %zu is too large", r->name, i);
	int rc = file_pread_all(r->fd, comp->data, p->clen, (off_t)p->offset, r->name, err);
	if (rc)
		return rc;
	comp->len = p->clen;
	const char *wrong = zd_frame(zd, comp->data, p->clen, raw->data, p->rlen);
	if (wrong)
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged: frame %zu at byte %llu: %s", r->name, i,
			       (unsigned long long)p->offset, wrong);
	raw->len = p->rlen;
	return 0;
}

int reader_frame(struct bundle_reader *r, size_t i, struct err *err)
{
	return frame_load(r, i, r->zd, &r->comp, &r->raw, err);
}

static int reader_setup(struct bundle_reader *r, struct err *err)
{
	int rc = seek_load(r, err);

	if (rc == -ERR_VERIFY) {
		err_clear(err); /* the table is a convenience: the frames themselves say where they end */
		rc = seek_walk(r, err);
	}
	if (!rc)
		rc = trailer_load(r, err);
	if (!rc)
		rc = frames_load(r, err);
	r->at = SIZE_MAX; /* what is in r->raw now is not rows */
	return rc;
}

int bundle_open_fd(void *ctx, int fd, const char *name, struct bundle_reader **ret, struct err *err)
{
	struct bundle_reader *r;
	int rc = reader_new(ctx, fd, name, &r, err);

	if (rc)
		return rc;
	rc = reader_setup(r, err);
	if (rc) {
		talloc_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

int open_bundle_file(int dirfd, const char *rel_path, int *ret_fd, struct err *err)
{
	int rc = file_open_beneath(dirfd, rel_path, ret_fd, err);

	if (rc && err->sys_errno == ELOOP) /* a folder, a FIFO, a link: there is no bundle in that place */
		return err_set(err, ERR_VERIFY, "what is in the place of bundle \"%s\" is not a regular file",
			       rel_path);
	if (rc && err->sys_errno)
		return err_sys(err, (enum err_code)-rc, err->sys_errno, "cannot open bundle \"%s\"", rel_path);
	return rc ? err_prefix(err, "bundle \"%s\"", rel_path) : 0;
}

int bundle_open(void *ctx, int root_dirfd, const char *rel_path, struct bundle_reader **ret, struct err *err)
{
	int fd = -1, rc = open_bundle_file(root_dirfd, rel_path, &fd, err);

	return rc ? rc : bundle_open_fd(ctx, fd, rel_path, ret, err);
}

/* ---- rows ---- */

bool is_row_member(const char *name)
{
	return strncmp(name, "data/threads/", 13) == 0;
}

int bundle_read_row(struct bundle_reader *r, const char **line, size_t *len, struct err *err)
{
	while (r->at >= r->raw.len) {
		while (r->next < r->n_frames && !is_row_member(r->frame[r->next].member))
			r->next++;
		if (r->next >= r->n_frames)
			return 0;
		int rc = reader_frame(r, r->frame[r->next].no, err);
		r->at = rc ? SIZE_MAX : 0;
		if (rc)
			return rc;
		r->next++;
	}
	const char *p = r->raw.data + r->at, *nl = memchr(p, '\n', r->raw.len - r->at);
	if (!nl)
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged: a frame does not end with a whole row", r->name);
	*line = p;
	*len = (size_t)(nl - p);
	r->at += *len + 1;
	return 1;
}

void bundle_rewind(struct bundle_reader *r)
{
	r->next = 0;
	r->at = SIZE_MAX;
}

/* ---- frames ---- */

size_t bundle_frames(const struct bundle_reader *r)
{
	return r->n_frames;
}

const struct bundle_frame *bundle_frame_at(const struct bundle_reader *r, size_t i)
{
	return &r->frame[i];
}

/* The row cursor lives in r->raw too: whoever reads something else meanwhile puts the cursor's frame back, whatever
 * came of that (rc). */
static int cursor_restore(struct bundle_reader *r, int rc, struct err *err)
{
	struct err second;
	size_t at = r->at;

	if (r->next == 0 || at == SIZE_MAX)
		return rc;
	size_t i = r->next - 1;
	while (i > 0 && !is_row_member(r->frame[i].member))
		i--;
	int back = reader_frame(r, r->frame[i].no, rc ? &second : err);
	r->at = back ? SIZE_MAX : at;
	return rc ? rc : back;
}

int reader_range(struct bundle_reader *r, void *ctx, size_t at, size_t n, size_t max_bytes, char **ret, size_t *ret_len,
		 struct err *err)
{
	size_t total = 0, done = 0;

	for (size_t i = at; i < at + n; i++) {
		total += r->pos[i].rlen;
		if (total > max_bytes)
			return err_set(err, ERR_VERIFY, "a member of \"%s\" is larger than %zu bytes", r->name,
				       max_bytes);
	}
	char *p = mem_array(ctx, char, total + 1);
	for (size_t i = at; i < at + n; i++) {
		int rc = reader_frame(r, i, err);
		if (rc) {
			talloc_free(p);
			return rc;
		}
		memcpy(p + done, r->raw.data, r->raw.len);
		done += r->raw.len;
	}
	*ret = p;
	*ret_len = total;
	return 0;
}

int bundle_read_frame(struct bundle_reader *r, void *ctx, size_t i, char **ret, size_t *ret_len, struct err *err)
{
	char *p = NULL;
	size_t len = 0;
	int rc = reader_range(r, ctx, r->frame[i].no, 1, FRAME_RAW_MAX, &p, &len, err);

	rc = cursor_restore(r, rc, err);
	if (rc)
		return rc;
	*ret = p;
	*ret_len = len;
	return 0;
}

/* ---- members ---- */

int bundle_read_member(struct bundle_reader *r, void *ctx, const char *member, size_t max_bytes, char **ret,
		       size_t *ret_len, struct err *err)
{
	size_t at, len, n = frames_find(r, member, &at);
	char *p;

	if (n == 0)
		return err_set(err, ERR_NOT_FOUND, "\"%s\" has no member \"%s\"", r->name, member);
	int rc = reader_range(r, ctx, r->frame[at].no, n, max_bytes, &p, &len, err);
	rc = cursor_restore(r, rc, err);
	if (rc)
		return rc;
	*ret = p;
	*ret_len = len;
	return 0;
}

static int blob_copy(struct bundle_reader *r, size_t at, size_t n, int fd, struct digest *ret, struct err *err)
{
	struct hash *h = hash_new(r);
	int rc = 0;

	for (size_t i = at; i < at + n && !rc; i++) {
		rc = reader_frame(r, r->frame[i].no, err);
		if (rc)
			break;
		hash_update(h, r->raw.data, r->raw.len);
		if (fd >= 0)
			rc = file_write_all(fd, r->raw.data, r->raw.len, "attachment", err);
	}
	hash_final(h, ret);
	talloc_free(h);
	return rc;
}

int bundle_read_blob(struct bundle_reader *r, const struct digest *sha256, int fd, struct err *err)
{
	char hex[DIGEST_HEX + 1], name[96];
	size_t at, n;
	struct digest found;

	digest_hex(sha256, hex);
	(void)snprintf(name, sizeof(name), "data/files/%.2s/%s", hex, hex); /* fits */
	n = frames_find(r, name, &at);
	if (n == 0)
		return err_set(err, ERR_NOT_FOUND, "\"%s\" does not hold the attachment %s", r->name, hex);
	int rc = blob_copy(r, at, n, fd, &found, err);
	if (!rc && memcmp(&found, sha256, sizeof(found)) != 0)
		rc = err_set(err, ERR_VERIFY, "the attachment %s in \"%s\" has other content", hex, r->name);
	return cursor_restore(r, rc, err);
}
