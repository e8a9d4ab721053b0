/*
 * purge_missing.c - attachments that the bundle does not hold although its rule wanted them.
 *
 * A blob that changed while it was archived is listed as missing.  The run that wrote the bundle knows these threads
 * and lets them stay; a run that takes the bundle up after a crash has only the bundle's own list.  Where the crash
 * left no line in the ledger, it is not even known when the blobs were read: then each is read again and compared.
 */
#include "purge_internal.h"

#include <mmretain/mm_bucket.h>

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

enum { LIST_MAX = 256 << 20 };

struct missing_id { UT_hash_handle hh; bool missing; struct digest sha256; char id[]; };
struct purge_missing { struct missing_id *set; };

static int missing_destroy(struct purge_missing *m)
{
	HASH_CLEAR(hh, m->set);
	return 0;
}

static int add_line(struct purge_missing *m, const char *line, size_t len, struct err *err)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	const char *id = json_string_value(json_object_get(o, "file")),
		   *state = json_string_value(json_object_get(o, "state"));
	const char *hex = json_string_value(json_object_get(o, "sha256"));
	bool missing = state && strcmp(state, "missing") == 0, stored = state && strcmp(state, "stored") == 0;
	struct missing_id *known = NULL;
	struct digest sha256 = {0};

	if (!state || ((missing || stored) && !id) || (stored && (!hex || !hex_decode(hex, DIGEST_BYTES, sha256.b)))) {
		json_decref(o);
		return err_set(err, ERR_VERIFY, "the bundle's list of attachments has a damaged line");
	}
	if (missing || stored)
		HASH_FIND(hh, m->set, id, (unsigned)strlen(id), known);
	if ((missing || stored) && !known) {
		known = mem_check(talloc_zero_size(m, sizeof *known + strlen(id) + 1));
		known->missing = missing;
		known->sha256 = sha256;
		memcpy(known->id, id, strlen(id) + 1);
		HASH_ADD_KEYPTR(hh, m->set, known->id, (unsigned)strlen(id), known);
	}
	json_decref(o);
	return 0;
}

int purge_missing_read(void *ctx, struct bundle_reader *reader, struct purge_missing **ret, struct err *err)
{
	struct purge_missing *m = mem_new(ctx, struct purge_missing);
	auto_mem void *tmp = mem_context(NULL, "list of attachments");
	char *text, *end;
	size_t len;
	int rc = bundle_read_member(reader, tmp, "data/files.jsonl", LIST_MAX, &text, &len, err);

	talloc_set_destructor(m, missing_destroy);
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		*ret = m;
		return 0;
	}
	for (char *p = text; rc == 0 && (end = memchr(p, '\n', len - (size_t)(p - text))); p = end + 1)
		rc = add_line(m, p, (size_t)(end - p), err);
	*ret = m;
	return rc;
}

void purge_missing_mark(const struct purge_missing *m, struct purge_batch *b)
{
	struct missing_id *known;

	for (size_t i = 0; m && m->set && i < b->n_files; i++) {
		HASH_FIND(hh, m->set, b->file[i].id, (unsigned)strlen(b->file[i].id), known);
		if (known && known->missing)
			b->thread[b->file[i].thread].why |= MM_FILE_MISSING;
	}
}

/* 1; 0: nothing lies there; negative: that cannot be told. */
static int see_object(void *ctx, struct mm *mm, struct purge_file *f, struct err *why)
{
	struct mm_bucket_seen seen;
	int rc = mm_bucket_see(mm, f->path[0], &seen, why);

	if (rc != 1)
		return rc;
	f->etag = mem_strdup(ctx, seen.etag);
	f->blob_bytes = seen.bytes;
	f->mtime_ns = seen.mtime_ns;
	return 1;
}

/* Seen before it is read: what takes its place meanwhile is another one when its turn comes. */
static int read_object(void *ctx, struct mm *mm, struct purge_file *f, struct digest *ret, struct err *why)
{
	auto_fd int fd = -1;
	int rc = see_object(ctx, mm, f, why);

	if (rc == 1 && (rc = mm_bucket_open(mm, f->path[0], &fd, why)) == 0)
		rc = hash_fd(fd, "an attachment", ret, NULL, why);
	f->read = rc == 0 && fd >= 0;
	if (!f->read)
		f->etag = NULL;
	return f->read ? 1 : rc;
}

/* Of one object it cannot be told: its thread stays.  The end of all work is no reason for that. */
static int keep(struct purge_batch *b, const struct purge_file *f, bool *told, const struct err *why, struct err *err)
{
	if (err_ends_work(why->code)) {
		*err = *why;
		return err->code;
	}
	if (!*told)
		log_warn("attachment %s of a thread that was to go cannot be looked at (%s); the thread stays, as do "
			 "others like it",
			 f->id, why->msg);
	*told = true;
	b->thread[f->thread].why |= PURGE_UNSEEN;
	return 0;
}

int purge_missing_see(struct mm *mm, struct purge_batch *b, int64_t snapshot_ms, bool *told, struct err *err)
{
	struct err why;
	int rc;

	for (size_t i = 0; i < b->n_files; i++) {
		struct purge_file *f = &b->file[i];

		if (b->thread[f->thread].why || f->compared || !f->path[0][0])
			continue;
		rc = see_object(b->ctx, mm, f, &why);
		if (rc < 0 && (rc = keep(b, f, told, &why, err)) < 0)
			return rc;
		if (rc == 1 && snapshot_ms > 0 && f->mtime_ns / 1000000 + PURGE_BUCKET_CLOCK_MS > snapshot_ms)
			b->thread[f->thread].why |= MM_CHANGED;
	}
	return 0;
}

/* 1; 0: it cannot be read; negative: a bucket does not say.  Counts as compared whatever comes of it: what answers
 * again by the time of the commit, nobody has compared. */
static int read_blob(void *ctx, struct mm *mm, struct purge_file *f, struct digest *ret, struct err *why)
{
	auto_fd int fd = -1;
	struct stat st;

	f->compared = true;
	f->read = false;
	if (mm->bucket)
		return read_object(ctx, mm, f, ret, why);
	if (mm->data_dirfd < 0 || file_open_beneath(mm->data_dirfd, f->path[0], &fd, why) < 0 || fstat(fd, &st) != 0 ||
	    hash_fd(fd, "an attachment", ret, NULL, why) < 0)
		return 0;
	f->read = true;
	f->ino = (uint64_t)st.st_ino;
	f->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
	return 1;
}

/* A blob that cannot be read, or not to its end, has nothing to lose: its row goes, and what is at the path is not
 * unlinked.  A bucket may answer another time: its thread stays. */
int purge_missing_compare(const struct purge_missing *m, struct mm *mm, struct purge_batch *b, bool *told,
			  struct err *err)
{
	struct missing_id *known;
	struct digest now;
	struct err why;

	for (size_t i = 0; i < b->n_files; i++) {
		struct purge_file *f = &b->file[i];
		int rc;

		HASH_FIND(hh, m->set, f->id, (unsigned)strlen(f->id), known);
		if (!known || known->missing)
			continue;
		rc = read_blob(b->ctx, mm, f, &now, &why);
		if (rc == 1 && memcmp(&now, &known->sha256, sizeof now) != 0)
			b->thread[f->thread].why |= MM_FILE_MISSING;
		if (rc < 0 && why.sys_errno != ENOENT && (rc = keep(b, f, told, &why, err)) < 0)
			return rc;
	}
	return 0;
}
