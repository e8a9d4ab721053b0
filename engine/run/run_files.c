/*
 * run_files.c - attachments of a unit.
 *
 * Looked at before any row is written: a thread whose blob cannot be read is taken out and stays.  Each blob is read and hashed then,
 * and again when it is stored; what changed in between keeps its thread too.
 */
#include "run_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10 };
#define UNIT_BLOB_BYTES (UINT64_C(8) << 30) /* attachments of one bundle, about */

static int hash_blob(struct unit *u, int fd, struct digest *ret, uint64_t *ret_size, struct err *err)
{
	auto_mem char *data = mem_array(u->ctx, char, READ_BYTES);
	struct hash *h = hash_new(data);
	ssize_t n;

	*ret_size = 0;
	while ((n = read(fd, data, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_STORE, errno, "cannot read an attachment");
		hash_update(h, data, (size_t)n);
		*ret_size += (uint64_t)n;
	}
	hash_final(h, ret);
	return 0;
}

static void drop(struct unit *u, uint64_t thread)
{
	if (u->n_dropped && u->dropped[u->n_dropped - 1] == thread)
		return;
	u->dropped = mem_grow(u->ctx, u->dropped, uint64_t, u->n_dropped + 1);
	u->dropped[u->n_dropped++] = thread;
}

static struct run_file *add_file(struct unit *u, const struct db_row *row)
{
	struct run_file *f;

	if (u->n_files == u->cap_files) {
		u->cap_files = u->cap_files ? 2 * u->cap_files : 64;
		u->file = mem_grow(u->ctx, u->file, struct run_file, u->cap_files);
	}
	f = &u->file[u->n_files++];
	*f = (struct run_file){.thread = strtoull(row->value[MM_FILE_THREAD], NULL, 10)};
	f->id = mem_strdup(u->ctx, row->value[MM_FILE_ID]);
	f->path = mem_strdup(u->ctx, row->value[MM_FILE_PATH] ? row->value[MM_FILE_PATH] : "");
	return f;
}

static int on_file(void *payload, const struct db_row *row, struct err *err)
{
	struct unit *u = payload;
	struct run_file *f = add_file(u, row);
	struct err why;
	auto_fd int fd = -1;
	int rc;

	(void)err;
	if (u->rule->files != FILES_ARCHIVE || u->rule->archive_none)
		return 0; /* the rule does not want the content */
	if (f->thread >= u->stop_thread)
		return 1;
	rc = u->run->mm->data_dirfd < 0 ? err_set(&why, ERR_STORE, "no folder of attachments")
					: file_open_beneath(u->run->mm->data_dirfd, f->path, &fd, &why);
	if (rc == 0)
		rc = hash_blob(u, fd, &f->sha256, &f->size_bytes, &why);
	if (rc < 0) {
		log_warn("attachment %s cannot be archived (%s); its thread stays", f->id, why.msg);
		drop(u, f->thread);
		return 0;
	}
	u->blob_bytes += f->size_bytes;
	if (u->blob_bytes > UNIT_BLOB_BYTES && f->thread > 0)
		u->stop_thread = f->thread;
	return 0;
}

int run_files_look(struct unit *u, struct err *err)
{
	int rc = mm_export_files(u->x, on_file, u, err);

	if (rc == 0 && u->n_dropped)
		rc = mm_export_drop(u->x, u->dropped, u->n_dropped, err);
	return rc;
}

static int store_one(struct unit *u, struct run_file *f, struct err *err)
{
	auto_fd int fd = -1;
	int rc;

	if (u->rule->files != FILES_ARCHIVE || u->rule->archive_none)
		return bundle_file(u->w, f->id, u->rule->files == FILES_KEEP ? "kept" : "dropped", NULL, 0, err);
	rc = file_open_beneath(u->run->mm->data_dirfd, f->path, &fd, err);
	if (rc == 0)
		rc = bundle_blob(u->w, fd, &f->sha256, f->size_bytes, err);
	if (rc < 0 && (fd < 0 || err->sys_errno == ESTALE)) {
		log_warn("attachment %s changed while it was archived; its thread stays", f->id);
		f->changed = true;
		err_clear(err);
		return bundle_file(u->w, f->id, "missing", NULL, 0, err);
	}
	return rc < 0 ? rc : bundle_file(u->w, f->id, "stored", &f->sha256, f->size_bytes, err);
}

static bool was_dropped(const struct unit *u, uint64_t thread)
{
	for (size_t i = 0; i < u->n_dropped; i++)
		if (u->dropped[i] == thread)
			return true;
	return false;
}

int run_files_store(struct unit *u, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < u->n_files && rc == 0; i++)
		if (u->file[i].thread < u->used && !was_dropped(u, u->file[i].thread))
			rc = store_one(u, &u->file[i], err);
	return rc;
}
