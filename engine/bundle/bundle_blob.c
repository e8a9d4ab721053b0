/* bundle_blob.c - attachments, once per content, and the lists of files and names. */
#include "bundle_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#define BLOB_LEVEL 1             /* most attachments are compressed already */
#define BLOB_CHUNK (256u << 10)

struct blob { UT_hash_handle hh; struct digest sha256; };

void blobs_free(struct bundle_writer *w)
{
	struct blob *table = w->blobs;

	HASH_CLEAR(hh, table);
	w->blobs = NULL;
}

static bool blob_seen(const struct bundle_writer *w, const struct digest *sha256)
{
	struct blob *table = w->blobs, *e;

	HASH_FIND(hh, table, sha256, sizeof(*sha256), e);
	return e != NULL;
}

static void blob_remember(struct bundle_writer *w, const struct digest *sha256)
{
	struct blob *table = w->blobs, *e = mem_new(w, struct blob);

	e->sha256 = *sha256;
	HASH_ADD(hh, table, sha256, sizeof(e->sha256), e);
	w->blobs = table;
}

/* Who cannot be asked counts as one that has. */
static bool has_more(int fd, uint64_t size)
{
	char byte;
	ssize_t n;

	do
		n = pread(fd, &byte, 1, (off_t)size);
	while (n < 0 && errno == EINTR);
	return n != 0;
}

/* Reads fd from 0; more bytes than `size` or fewer are ESTALE.  data NULL: only hashes. */
static int blob_pass(struct bundle_writer *w, int fd, const struct digest *sha256, uint64_t size, bool write,
		     struct err *err)
{
	char *chunk = mem_array(w, char, BLOB_CHUNK);
	struct digest found;
	uint64_t at = 0;
	int rc = 0;

	while (!rc) {
		ssize_t n = pread(fd, chunk, BLOB_CHUNK, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_sys(err, ERR_STORE, errno, "cannot read an attachment");
		if (n <= 0 || at + (uint64_t)n > size)
			break;
		at += (uint64_t)n;
		hash_update(w->hash, chunk, (size_t)n);
		if (write)
			rc = member_data(w, chunk, (size_t)n, BLOB_LEVEL, err);
	}
	hash_final(w->hash, &found); /* always: the context must be ready again */
	/* One byte more than expected was seen or not all: a changed file, whatever the digest of its start says. */
	if (!rc && (at != size || has_more(fd, size) || memcmp(&found, sha256, sizeof(found)) != 0))
		rc = err_sys(err, ERR_STORE, ESTALE, "an attachment no longer has the content it had");
	talloc_free(chunk);
	return rc;
}

static int blob_write(struct bundle_writer *w, int fd, const struct digest *sha256, uint64_t size, struct err *err)
{
	char hex[DIGEST_HEX + 1], name[96];

	digest_hex(sha256, hex);
	(void)snprintf(name, sizeof(name), "data/files/%.2s/%s", hex, hex); /* fits */
	int rc = rows_close(w, err);
	if (!rc)
		rc = member_open(w, name, size, err);
	if (!rc)
		rc = blob_pass(w, fd, sha256, size, true, err);
	return rc ? rc : member_close(w, BLOB_LEVEL, err);
}

int bundle_blob(struct bundle_writer *w, int fd, const struct digest *sha256, uint64_t size_bytes, struct err *err)
{
	int rc = writer_check(w, err);

	if (rc || blob_seen(w, sha256))
		return rc;
	/* Look first: the tar header promises size and digest, and a changed attachment must not cost the whole bundle.
	 */
	rc = blob_pass(w, fd, sha256, size_bytes, false, err);
	if (rc)
		return rc;
	rc = blob_write(w, fd, sha256, size_bytes, err);
	if (rc)
		return writer_fail(w, err);
	blob_remember(w, sha256);
	w->sum.blobs++;
	return 0;
}

const char *const file_states[FILE_STATES] = {
	[FILE_STORED] = "stored", [FILE_DROPPED] = "dropped", [FILE_KEPT] = "kept", [FILE_MISSING] = "missing",
};

enum file_state file_state_of(const char *name, size_t len)
{
	size_t i = 0;

	while (i < FILE_STATES && (strlen(file_states[i]) != len || memcmp(file_states[i], name, len) != 0))
		i++;
	return (enum file_state)i;
}

int bundle_file(struct bundle_writer *w, const char *file_id, const char *state, const struct digest *sha256,
		uint64_t size_bytes, struct err *err)
{
	enum file_state i = file_state_of(state, strlen(state));
	char hex[DIGEST_HEX + 1];
	int rc = writer_check(w, err);

	if (rc)
		return rc;
	if (i == FILE_STATES)
		return err_set(err, ERR_INTERNAL, "\"%s\" is not a state of a file", state);
	if (i == FILE_STORED && (!sha256 || !blob_seen(w, sha256)))
		return err_set(err, ERR_INTERNAL, "file %s is called stored, but its content is not in the bundle",
			       file_id);
	w->n_files[i]++;
	codec_put_text(&w->files, "{", "file", file_id, strlen(file_id));
	buf_printf(&w->files, ",\"state\":\"%s\"", state);
	if (sha256) {
		digest_hex(sha256, hex);
		buf_printf(&w->files, ",\"sha256\":\"%s\"", hex);
	}
	buf_printf(&w->files, ",\"size\":%llu}\n", (unsigned long long)size_bytes);
	if (w->files.overflow)
		return err_set(err, ERR_STORE, "the list of files of one bundle is too long"), writer_fail(w, err);
	return 0;
}

int bundle_name(struct bundle_writer *w, const char *what, const char *id, const char *name, const char *display_name,
		const char *extra_json, struct err *err)
{
	struct buf *b = strcmp(what, "teams") == 0	? &w->teams
			: strcmp(what, "channels") == 0 ? &w->channels
							: &w->users;
	int rc = writer_check(w, err);

	if (rc)
		return rc;
	if (b == &w->users && strcmp(what, "users") != 0)
		return err_set(err, ERR_INTERNAL, "\"%s\" is not a list of names", what);
	codec_put_text(b, "{", "id", id, strlen(id));
	codec_put_text(b, ",", "name", name, strlen(name));
	codec_put_text(b, ",", "display_name", display_name, strlen(display_name));
	if (extra_json && extra_json[0])
		buf_printf(b, ",%s", extra_json);
	buf_puts(b, "}\n");
	if (b->overflow)
		return err_set(err, ERR_STORE, "the list of %s of one bundle is too long", what), writer_fail(w, err);
	return 0;
}
