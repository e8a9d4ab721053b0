/*
 * purge_journal.c - the unlink journal: JSON lines in the archive's ledger folder (docs/formats.md).
 *
 * First line: the database it belongs to.  Then one line per file row: id, the thread when that stays, the three paths (none where files stay), and what the blob was
 * when its row was deleted.  A line is an order only together with the database: where the row still exists, nothing is unlinked.
 */
#include "purge_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_path(struct buf *out, const char *key, const char *path)
{
	if (!path[0])
		return;
	buf_printf(out, ",\"%s\":", key);
	json_put_string(out, path, strlen(path));
}

/* The blob as it is now; a path that cannot be opened is journalled without, and then never unlinked by identity.  So is one that
 * was written after the export, or is not the one that was compared with the bundle: its content is in no bundle. */
static void put_identity(struct mm *mm, struct buf *out, const struct purge_file *f, int64_t snapshot_ms)
{
	struct err ignored;
	struct stat st;
	auto_fd int fd = -1;

	if (mm->data_dirfd < 0 || file_open_beneath(mm->data_dirfd, f->path[0], &fd, &ignored) < 0 || fstat(fd, &st) != 0)
		return;
	if (f->compared && (!f->read || (uint64_t)st.st_ino != f->ino || (int64_t)st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec != f->mtime_ns))
		return;
	if (snapshot_ms > 0 && (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 > snapshot_ms)
		return;
	buf_printf(out, ",\"ino\":%llu,\"bytes\":%lld,\"mtime_ns\":%lld", (unsigned long long)st.st_ino, (long long)st.st_size,
		   (long long)st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
}

/* The server writes thumbnail and preview into the folder of their attachment.  What lies elsewhere is something else, and no bundle has its content. */
static void put_picture(struct buf *out, const char *key, const struct purge_file *f, const char *picture)
{
	const char *own = strrchr(f->path[0], '/'), *slash = strrchr(picture, '/');

	if (own && slash && own - f->path[0] == slash - picture && memcmp(f->path[0], picture, (size_t)(own - f->path[0])) == 0)
		put_path(out, key, picture);
	else if (picture[0])
		log_warn("the %s of attachment %s is not in the folder of the attachment: it stays", key, f->id);
}

static void put_paths(struct mm *mm, struct buf *out, const struct purge_file *f, int64_t snapshot_ms)
{
	put_path(out, "path", f->path[0]);
	put_picture(out, "thumbnail", f, f->path[1]);
	put_picture(out, "preview", f, f->path[2]);
	if (f->path[0][0])
		put_identity(mm, out, f, snapshot_ms);
}

/* Without paths where files stay: then it only says which rows a live post may want back. */
static void put_file(struct mm *mm, struct buf *out, const struct purge_batch *b, const struct purge_file *f, const struct purge_options *o)
{
	buf_puts(out, "{\"id\":");
	json_put_string(out, f->id, strlen(f->id));
	if (b->parts_before_ms != INT64_MIN)
		put_path(out, "thread", b->thread[f->thread].root);
	if (o->unlink_files)
		put_paths(mm, out, f, o->snapshot_ms);
	buf_puts(out, "}\n");
}

static int append(const struct purge_options *o, const struct mm *mm, const struct buf *lines, struct err *err)
{
	auto_fd int fd = openat(o->journal_dirfd, o->journal_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot open the unlink journal");
	if (st.st_size == 0) {
		struct buf head;

		buf_init(&head, lines->ctx, 4096);
		buf_puts(&head, "{\"journal\":1,\"system\":");
		json_put_string(&head, mm->schema->system_identifier, strlen(mm->schema->system_identifier));
		buf_puts(&head, ",\"database\":");
		json_put_string(&head, mm->schema->database, strlen(mm->schema->database));
		buf_puts(&head, "}\n");
		if ((rc = file_inherit(fd, o->journal_dirfd, "unlink journal", err)) < 0 || (rc = file_write_all(fd, head.data, head.len, "unlink journal", err)) < 0 ||
		    (rc = file_sync_dir(o->journal_dirfd, "ledger", err)) < 0)
			return rc;
	}
	if ((rc = file_write_all(fd, lines->data, lines->len, "unlink journal", err)) < 0 ||
	    (rc = file_sync(fd, "unlink journal", err)) < 0)
		return rc;
	return file_close(&fd, "unlink journal", err);
}

int purge_journal_add(struct mm *mm, const struct purge_options *o, const struct purge_batch *b, struct err *err)
{
	struct buf lines;

	if (b->n_files == 0)
		return 0;
	buf_init(&lines, b->ctx, 64 << 20);
	for (size_t i = 0; i < b->n_files; i++)
		if (!b->thread[b->file[i].thread].why)
			put_file(mm, &lines, b, &b->file[i], o);
	if (lines.overflow)
		return err_set(err, ERR_STORE, "unlink journal of one batch is too large");
	return lines.len ? append(o, mm, &lines, err) : 0;
}
