/*
 * audit_export.c - threads one after another into a writer; files of the output.
 *
 * Everything is made 0600 and must not exist before: an export never overwrites and never follows a link.  It gets its
 * names when all of it is on disk (audit_stage.c).
 */
#include "audit_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

#define BUFFERED ((size_t)1 << 20)

static const struct writer *const writers[] = {
	[AUDIT_HTML] = &html_writer, [AUDIT_JSONL] = &jsonl_writer, [AUDIT_CSV] = &csv_writer,
	[AUDIT_EML] = &eml_writer,
	[AUDIT_MATTERMOST] = &bulk_writer,
};

/* ---- files ---- */

int out_failed(const struct export *x, const char *name, int errnum, struct err *err)
{
	auto_mem char *path =
		name && x->where ? mem_printf(NULL, "%s%s", x->where, name) : mem_strdup(NULL, x->options->out);

	return output_failed("write", path, errnum, err);
}

static int create_at(const struct export *x, int dirfd, const char *name, int *ret, struct err *err)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return out_failed(x, name, errno, err);
	*ret = fd;
	return 0;
}

int out_create(struct export *x, int dirfd, const char *name, struct err *err)
{
	int rc = create_at(x, dirfd, name, &x->out.fd, err);

	if (rc)
		return rc;
	x->out.dirfd = dirfd;
	x->out.name = mem_strdup(x->ctx, name);
	x->out.bytes = 0;
	buf_init(&x->out.b, x->ctx, PAGE_BYTES_MAX);
	return 0;
}

int out_flush(struct export *x, size_t keep_below, struct err *err)
{
	struct buf *b = &x->out.b;

	if (b->overflow)
		return err_set(err, ERR_OUTPUT, "\"%s\" becomes too large", x->out.name);
	if (b->len <= keep_below)
		return 0;
	int rc = file_write_all(x->out.fd, b->data, b->len, x->out.name, err);
	x->out.bytes += b->len;
	x->sum.bytes += b->len;
	if (b->len > 8 * BUFFERED)
		buf_reset(b);
	else
		buf_clear(b);
	return rc < 0 ? out_failed(x, x->out.name, err->sys_errno, err) : 0;
}

/* Of what goes into a pack only the pack stays. */
static int sync_unless_packed(const struct export *x, int fd, const char *name, struct err *err)
{
	return x->options->pack == PACK_NONE ? file_sync(fd, name, err) : 0;
}

int out_close(struct export *x, struct err *err)
{
	int rc = x->out.fd < 0 ? 0 : out_flush(x, 0, err);

	buf_reset(&x->out.b);
	if (rc == 0 && x->out.fd >= 0 &&
	    ((rc = sync_unless_packed(x, x->out.fd, x->out.name, err)) < 0 ||
	     (rc = file_close(&x->out.fd, x->out.name, err)) < 0))
		rc = out_failed(x, x->out.name, err->sys_errno, err);
	fd_close_p(&x->out.fd);
	return rc;
}

/* The folder in which the output lies, and its name there. */
static int open_place(struct export *x, struct err *err)
{
	const char *out = x->options->out;
	size_t len = strlen(out);
	int rc = output_open_place(x->ctx, out, &x->dirfd, &x->leaf, err);

	if (rc < 0)
		return rc;
	while (out[len - 1] == '/')
		len--;
	x->where = mem_strndup(x->ctx, out, len - strlen(x->leaf));
	return 0;
}

static int make_folder(const struct export *x, int dirfd, const char *name, int *ret, struct err *err)
{
	if (mkdirat(dirfd, name, 0700) != 0)
		return out_failed(x, name, errno, err);
	*ret = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret < 0 ? out_failed(x, name, errno, err) : 0;
}

/* ---- attachments ---- */

/* A name that every system can make. */
char *plain_name(void *ctx, const char *text, size_t len)
{
	char *name = mem_strndup(ctx, text, len);

	for (char *p = name; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *p) ||
		    (p == name && (*p == '.' || *p == '-')))
			*p = '_';
	return name[0] ? name : mem_strdup(ctx, "export");
}

/* A page that is opened from a disk must not find something beside it that a browser would run. */
void plain_extension(const char *name, char ret[12])
{
	static const char *const known[] = {"7z",  "avi",  "bmp",  "csv", "doc",  "docx", "eml", "gif", "gz",	"jpeg",
					    "jpg", "json", "log",  "md",  "mov",  "mp3",  "mp4", "odp", "ods",	"odt",
					    "ogg", "pdf",  "png",  "ppt", "pptx", "rtf",  "tar", "tif", "tiff", "txt",
					    "wav", "webm", "webp", "xls", "xlsx", "yaml", "yml", "zip", "zst"};
	const char *dot = strrchr(name, '.');
	char low[8] = "";

	(void)snprintf(ret, 12, ".bin"); /* fits */
	if (!dot || strlen(dot + 1) >= sizeof(low))
		return;
	for (size_t i = 0; dot[1 + i]; i++)
		low[i] = (char)(dot[1 + i] | (dot[1 + i] >= 'A' && dot[1 + i] <= 'Z' ? 32 : 0));
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(low, known[i]))
			(void)snprintf(ret, 12, ".%s", low); /* fits */
}

static int files_folder(struct export *x, struct err *err)
{
	int rc = x->files_dirfd >= 0 ? 0 : stage_is_free(x, x->files_dir, err);

	return rc || x->files_dirfd >= 0 ? rc : make_folder(x, x->dirfd, x->files_dir, &x->files_dirfd, err);
}

/* Reading never tells that; the archive and the output are not the same disk. */
static bool is_full(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

/* The sender's, as far as every system can make it: letters without their marks, and one sign for each other. */
static char *sender_name(void *ctx, const char *text)
{
	enum { NAME_MAX_BYTES = 120 };
	utf8proc_uint8_t *bare = NULL;
	char *name = mem_array(ctx, char, NAME_MAX_BYTES + 1);
	size_t n = 0;

	if (utf8proc_map((const utf8proc_uint8_t *)text, 0, &bare,
			 UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_STRIPMARK) >= 0)
		text = (const char *)bare;
	size_t len = strlen(text);
	/* the end says what it is */
	for (const char *p = text + (len > NAME_MAX_BYTES ? len - NAME_MAX_BYTES : 0); *p; p++)
		if (((unsigned char)*p & 0xc0) != 0x80)
			name[n++] = *p;
	name[n] = '\0';
	free(bare);
	return plain_name(ctx, n ? name : "file", strlen(n ? name : "file"));
}

/* A name of ours: nothing of the sender's but a known extension.  An import has no other place for theirs than the end
 * of the path, in a folder of ours. */
static int attachment_name(struct export *x, const struct audit_file *f, char **ret, struct err *err)
{
	char hex[DIGEST_HEX + 1], extension[12];

	digest_hex(&f->sha256, hex);
	if (x->options->format != AUDIT_MATTERMOST) {
		plain_extension(f->name, extension);
		*ret = mem_printf(x->ctx, "%.24s%s", hex, extension);
		return 0;
	}
	hex[24] = '\0';
	if (mkdirat(x->files_dirfd, hex, 0700) != 0 && errno != EEXIST)
		return out_failed(x, hex, errno, err);
	*ret = mem_printf(x->ctx, "%s/%s", hex, sender_name(x->ctx, f->name));
	return 0;
}

int out_attachment(struct export *x, struct audit_bundle *b, const struct audit_file *f, char **ret_name,
		   struct err *err)
{
	auto_fd int fd = -1;
	char *name = NULL;

	if (!f->has_digest || strcmp(f->state, "stored") != 0) {
		x->sum.files_missing++;
		return err_set(err, ERR_NOT_FOUND, "the content of file %s is not in the archive", f->id);
	}
	int rc = files_folder(x, err);
	if (!rc)
		rc = attachment_name(x, f, &name, err);
	if (rc)
		return rc;
	*ret_name = mem_printf(x->ctx, "%s/%s", x->files_dir, name);
	rc = create_at(x, x->files_dirfd, name, &fd, err);
	if (rc && err->sys_errno == EEXIST) {
		err_clear(err); /* the same content was written for another post */
		return 0;
	}
	if (!rc && (rc = audit_file_read(b, f, fd, err)) < 0 && is_full(err->sys_errno))
		rc = out_failed(x, *ret_name, err->sys_errno, err);
	if (!rc && ((rc = sync_unless_packed(x, fd, name, err)) < 0 || (rc = file_close(&fd, name, err)) < 0))
		rc = out_failed(x, *ret_name, err->sys_errno, err);
	if (rc) {
		(void)unlinkat(x->files_dirfd, name, 0); /* what is wrong must not stay */
		return rc;
	}
	x->sum.files++;
	return 0;
}

int file_bytes(void *ctx, struct audit_bundle *b, const struct audit_file *f, size_t max, char **ret, size_t *ret_len,
	       struct err *err)
{
	auto_fd int fd = -1;
	struct stat st;

	if (f->size_bytes < 0 || (uint64_t)f->size_bytes > max)
		return err_set(err, ERR_NOT_FOUND, "file %s is too large", f->id);
	int rc = file_temp(NULL, &fd, err);
	if (!rc)
		rc = audit_file_read(b, f, fd, err);
	if (!rc && (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > max))
		rc = err_set(err, ERR_NOT_FOUND, "file %s is too large", f->id);
	if (rc)
		return rc;
	*ret_len = (size_t)st.st_size;
	*ret = mem_array(ctx, char, *ret_len + 1);
	return file_pread_all(fd, *ret, *ret_len, 0, "attachment", err);
}

const char *sniff_image(const void *data, size_t len)
{
	static const struct { const char *magic; size_t len; const char *mime; } known[] = {
		{"\x89PNG\r\n\x1a\n", 8, "image/png"}, {"\xff\xd8\xff", 3, "image/jpeg"}, {"GIF87a", 6, "image/gif"},
		{"GIF89a", 6, "image/gif"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (len >= known[i].len && !memcmp(data, known[i].magic, known[i].len))
			return known[i].mime;
	if (len > 12 && !memcmp(data, "RIFF", 4) && !memcmp((const char *)data + 8, "WEBP", 4))
		return "image/webp";
	return NULL;
}

void put_base64(struct buf *b, const void *data, size_t len, size_t wrap)
{
	const char *p = data;
	size_t line = wrap / 4 * 3;

	if (!wrap) {
		buf_base64(b, data, len);
		return;
	}
	for (size_t i = 0; i < len; i += line) {
		buf_base64(b, p + i, len - i < line ? len - i : line);
		buf_puts(b, "\r\n");
	}
}

/* ---- threads ---- */

/* A thread of which one part is in the output is in it. */
static void count_thread(struct export *x, const struct audit_ref *ref, size_t i, size_t n,
			 const struct audit_thread *t)
{
	if (i == 0 || strcmp(ref[i].root, ref[i - 1].root) != 0)
		x->root_written = false;
	x->sum.threads += !x->left.whole && !x->root_written;
	x->root_written |= !x->left.whole;
	x->sum.threads_left_out += !x->root_written && (i + 1 == n || strcmp(ref[i].root, ref[i + 1].root) != 0);
	x->sum.posts += t->n_posts - x->left.posts;
	x->sum.posts_left_out += x->left.posts;
}

static int export_threads(struct export *x, const struct writer *w, const struct audit_ref *ref, size_t n,
			  struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		void *tmp auto_mem = mem_context(NULL, "thread");
		struct audit_thread *t;
		rc = stop_check(err);
		if (!rc)
			rc = audit_thread_load(x->audit, &ref[i], tmp, &t, err);
		if (rc)
			break;
		x->left.posts = x->left.whole = 0;
		rc = w->thread(x, &ref[i], t, err);
		count_thread(x, ref, i, n, t);
		t->bundle->exported = true;
		for (size_t k = 0; k < t->n_posts; k++)
			if (t->post[k].create_ms > x->newest_ms)
				x->newest_ms = t->post[k].create_ms;
		if (!rc && x->pack)
			rc = pack_thread(x, t, err);
		if (!rc && x->out.fd >= 0)
			rc = out_flush(x, BUFFERED, err);
		progress_update(x->options->progress, "export", i + 1, n, "threads");
	}
	return rc;
}

/* Where the writer makes its files: in the work folder, or in a folder of its own there. */
static int open_output(struct export *x, const struct writer *w, struct err *err)
{
	auto_fd int out = -1;
	int rc = open_place(x, err);

	if (!rc)
		rc = stage_begin(x, w->folder, err);
	if (rc || x->options->pack != PACK_NONE)
		return rc ? rc : pack_begin(x, w, err);
	if (!w->folder)
		return 0;
	out = x->dirfd;
	x->dirfd = -1;
	x->where = mem_printf(x->ctx, "%s%s/", x->where, x->leaf);
	return make_folder(x, out, x->leaf, &x->dirfd, err);
}

static int write_all(struct export *x, const struct writer *w, const struct audit_ref *ref, size_t n, struct err *err)
{
	int rc = w->begin(x, ref, n, err);

	if (!rc)
		rc = export_threads(x, w, ref, n, err);
	if (!rc)
		rc = w->end(x, err);
	if (!rc && x->pack)
		rc = pack_end(x, err);
	return rc ? rc : stop_check(err);
}

int audit_export(struct audit *a, const struct audit_ref *ref, size_t n, const struct audit_export *options,
		 struct audit_exported *ret, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "export");
	struct export x =
		{.audit = a, .options = options, .ctx = tmp, .dirfd = -1, .files_dirfd = -1, .out = {.fd = -1}};
	const struct writer *w = writers[options->format];
	int rc = open_output(&x, w, err);

	if (!rc)
		rc = write_all(&x, w, ref, n, err);
	if (!rc)
		rc = stage_publish(&x, err);
	fd_close_p(&x.out.fd);
	fd_close_p(&x.files_dirfd);
	fd_close_p(&x.dirfd);
	pack_drop(&x);
	stage_drop(&x);
	if (rc == -ERR_INTERRUPTED)
		return err_hint(err, "Nothing was exported. Give the same command again.");
	if (rc)
		return rc;
	*ret = x.sum;
	return 0;
}
