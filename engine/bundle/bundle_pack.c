/*
 * bundle_pack.c - files into one zip or tar, by libarchive.
 *
 * The same files in the same order give the same bytes: one time for all, no owner, no names but ours.  One file is
 * read at a time, in pieces; the pack goes to the descriptor as it grows and is hashed on the way.
 */
#include "bundle_libarchive.h"

#include <mmretain/bundle.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)256 << 10)

struct libarchive libarchive;

/* Inside this table the names are those of the library, not of the pointers. */
static const struct library_function functions[] = {
#define X(name) {#name, offsetof(struct libarchive, name##_)},
	LIBARCHIVE_FUNCTIONS(X)
#undef X
};

int libarchive_load(struct err *err)
{
	static bool loaded;

	if (loaded)
		return 0;
	if (library_load("libarchive.so.13", functions, ARRAY_LEN(functions), &libarchive, err) < 0)
		return err_hint(err, "Install the package libarchive13, or export without packing.");
	loaded = true;
	return 0;
}

struct bundle_pack {
	struct archive *archive;
	struct archive_entry *entry;
	int fd;                     /* borrowed */
	char *name;
	int64_t time_ms;
	uint64_t bytes;
	struct hash *hash, *file_hash;
	char *piece;
	struct err write;           /* of the descriptor: libarchive only passes on that it failed */
};

static int pack_free(struct bundle_pack *p)
{
	if (p->entry)
		archive_entry_free(p->entry);
	if (p->archive)
		(void)archive_write_free(p->archive); /* after a failure; otherwise it was closed before */
	return 0;
}

static la_ssize_t pack_write(struct archive *archive, void *payload, const void *data, size_t len)
{
	struct bundle_pack *p = payload;

	(void)archive;
	if (file_write_all(p->fd, data, len, p->name, &p->write) < 0)
		return -1;
	hash_update(p->hash, data, len);
	p->bytes += len;
	return (la_ssize_t)len;
}

static int pack_fail(struct bundle_pack *p, struct err *err)
{
	const char *why = archive_error_string(p->archive);

	if (p->write.code) {
		*err = p->write;
		return err->code;
	}
	return err_set(err, ERR_OUTPUT, "cannot write \"%s\": %s", p->name, why ? why : "libarchive failed");
}

/* Extended times are in seconds; "timestamp" would put the clock into the header of gzip. */
static int pack_format(struct archive *a, enum bundle_pack_kind kind)
{
	if (kind == PACK_ZIP)
		return archive_write_set_format_zip(a);
	int code = archive_write_set_format_pax_restricted(a);
	if (code == ARCHIVE_OK && kind == PACK_TAR_GZ)
		code = archive_write_add_filter_gzip(a) == ARCHIVE_OK ? archive_write_set_options(a, "gzip:!timestamp")
								      : ARCHIVE_FATAL;
	if (code == ARCHIVE_OK && kind == PACK_TAR_ZST)
		code = archive_write_add_filter_zstd(a);
	return code;
}

int bundle_pack_open(void *ctx, int fd, const char *name, enum bundle_pack_kind kind, int64_t time_ms,
		     struct bundle_pack **ret, struct err *err)
{
	int rc = libarchive_load(err);

	if (rc)
		return rc;
	struct bundle_pack *p = mem_new(ctx, struct bundle_pack);
	talloc_set_destructor(p, pack_free);
	p->fd = fd;
	p->name = mem_strdup(p, name);
	p->time_ms = time_ms;
	p->hash = hash_new(p);
	p->file_hash = hash_new(p);
	p->piece = mem_array(p, char, PIECE_BYTES);
	p->archive = mem_check(archive_write_new());
	p->entry = mem_check(archive_entry_new());
	if (pack_format(p->archive, kind) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(p->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(p->archive, p, NULL, pack_write, NULL) != ARCHIVE_OK) {
		rc = pack_fail(p, err);
		talloc_free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

/* Whoever unpacks must not be led out of the folder, whatever tool it is. */
static bool path_plain(const char *path)
{
	for (const char *at = path; *at;) {
		size_t len = strcspn(at, "/");
		if (len == 0 || at[0] == '.' || at[0] == '-')
			return false;
		at += len + (at[len] == '/' && at[len + 1] != '\0');
	}
	return path[0] &&
	       path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")] == '\0';
}

static int pack_content(struct bundle_pack *p, int fd, const char *path, uint64_t size, struct err *err)
{
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < PIECE_BYTES ? (size_t)(size - at) : PIECE_BYTES;
		int rc = file_pread_all(fd, p->piece, n, (off_t)at, path, err);
		if (rc)
			return rc;
		hash_update(p->file_hash, p->piece, n);
		if (archive_write_data(p->archive, p->piece, n) != (la_ssize_t)n)
			return pack_fail(p, err);
		at += n;
	}
	return 0;
}

int bundle_pack_file(struct bundle_pack *p, int fd, const char *path, struct digest *ret, struct err *err)
{
	struct stat st;

	if (!path_plain(path))
		return err_set(err, ERR_INTERNAL, "\"%s\" is not a path for a pack", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", path);
	archive_entry_clear(p->entry);
	archive_entry_set_pathname(p->entry, path);
	archive_entry_set_size(p->entry, st.st_size);
	archive_entry_set_filetype(p->entry, AE_IFREG);
	archive_entry_set_perm(p->entry, 0600);
	archive_entry_set_mtime(p->entry, (time_t)(p->time_ms / 1000), 0);
	if (archive_write_header(p->archive, p->entry) != ARCHIVE_OK)
		return pack_fail(p, err);
	int rc = pack_content(p, fd, path, (uint64_t)st.st_size, err);
	if (!rc && archive_write_finish_entry(p->archive) != ARCHIVE_OK)
		rc = pack_fail(p, err);
	if (!rc)
		hash_final(p->file_hash, ret);
	return rc;
}

int bundle_pack_close(struct bundle_pack *p, struct digest *ret, uint64_t *ret_bytes, struct err *err)
{
	if (archive_write_close(p->archive) != ARCHIVE_OK)
		return pack_fail(p, err);
	hash_final(p->hash, ret);
	*ret_bytes = p->bytes;
	return 0;
}
