/*
 * people_files.c - files whose rows went with an account: uploads for drafts that nobody posted, parts of uploads.
 *
 * Journal: JSON lines (docs/formats.md).  First line: the database it belongs to.  Then one line a row: user, id, up to three paths,
 * what the first file was when its row went.  A line is an order only together with the database: while a row with the id exists
 * (the transaction was rolled back, the upload was finished) or any row uses the path, the file stays.
 */
#include "people_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOURNAL_BYTES = 256 << 20, PATHS = 3 };
static const char *const path_key[PATHS] = {"path", "thumbnail", "preview"};

/* ---- writing ---- */

static void put_member(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",\"%s\":", key);
	json_put_string(b, value, strlen(value));
}

static void put_identity(struct mm *mm, struct buf *b, const char *path)
{
	struct err ignored;
	struct stat st;
	auto_fd int fd = -1;

	if (mm->data_dirfd < 0 || !path[0] || file_open_beneath(mm->data_dirfd, path, &fd, &ignored) < 0 || fstat(fd, &st) != 0)
		return;
	buf_printf(b, ",\"ino\":%llu,\"bytes\":%lld,\"mtime_ns\":%lld", (unsigned long long)st.st_ino, (long long)st.st_size,
		   (long long)st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
}

int people_files_line(struct mm *mm, struct buf *lines, const char *user_id, const struct db_result *res, int64_t row, struct err *err)
{
	buf_puts(lines, "{\"user\":");
	json_put_string(lines, user_id, strlen(user_id));
	put_member(lines, "id", db_text(res, row, 0));
	for (int i = 0; i < PATHS; i++)
		if (db_len(res, row, 1 + i))
			put_member(lines, path_key[i], db_text(res, row, 1 + i));
	put_identity(mm, lines, db_text(res, row, 1));
	buf_puts(lines, "}\n");
	if (lines->overflow)
		return err_set(err, ERR_STORE, "one account has too many unposted files for the journal");
	return 0;
}

static void put_head(struct buf *b, const struct mm *mm)
{
	buf_puts(b, "{\"journal\":1");
	put_member(b, "system", mm->schema->system_identifier);
	put_member(b, "database", mm->schema->database);
	buf_puts(b, "}\n");
}

static int begin_journal(struct mm *mm, const struct people_options *o, const struct buf *lines, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people journal");
	struct buf all;

	buf_init(&all, ctx, lines->len + 4096);
	put_head(&all, mm);
	buf_put(&all, lines->data, lines->len);
	return file_replace(o->journal_dirfd, PEOPLE_JOURNAL, all.data, all.len, 0600, err);
}

int people_files_journal(struct mm *mm, const struct people_options *o, const struct buf *lines, struct err *err)
{
	auto_fd int fd = -1;
	int rc;

	if (lines->len == 0)
		return 0;
	fd = openat(o->journal_dirfd, PEOPLE_JOURNAL, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return begin_journal(mm, o, lines, err);
	if (fd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot open the journal of unposted files");
	/* A crash may have left half a line: a newline keeps it from swallowing ours. */
	if ((rc = file_write_all(fd, "\n", 1, PEOPLE_JOURNAL, err)) < 0 ||
	    (rc = file_write_all(fd, lines->data, lines->len, PEOPLE_JOURNAL, err)) < 0 ||
	    (rc = file_sync(fd, PEOPLE_JOURNAL, err)) < 0)
		return rc;
	return file_close(&fd, PEOPLE_JOURNAL, err);
}

/* ---- reading ---- */

struct entry { char *line, *id, *path[PATHS]; bool identified, row_exists, left; uint64_t ino; int64_t bytes, mtime_ns; };
struct job {
	void *ctx;
	struct entry *entry; size_t n, room;
	struct people_names *rows, *paths;
};

static char *text_of(void *ctx, json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return mem_strdup(ctx, s ? s : "");
}

static void add_entry(struct job *j, json_t *o, const char *line, size_t len)
{
	struct entry *e;

	if (j->n == j->room) {
		j->room = j->room ? 2 * j->room : 64;
		j->entry = mem_grow(j->ctx, j->entry, struct entry, (unsigned)j->room);
	}
	e = &j->entry[j->n++];
	*e = (struct entry){.line = mem_strndup(j->ctx, line, len), .id = text_of(j->ctx, o, "id"),
			    .identified = json_object_get(o, "ino") != NULL,
			    .ino = (uint64_t)json_integer_value(json_object_get(o, "ino")),
			    .bytes = json_integer_value(json_object_get(o, "bytes")),
			    .mtime_ns = json_integer_value(json_object_get(o, "mtime_ns"))};
	for (int i = 0; i < PATHS; i++)
		e->path[i] = text_of(j->ctx, o, path_key[i]);
}

static bool is_ours(const struct mm *mm, json_t *head)
{
	auto_mem void *ctx = mem_context(NULL, "journal head");

	return json_object_get(head, "journal") && !strcmp(text_of(ctx, head, "system"), mm->schema->system_identifier) &&
	       !strcmp(text_of(ctx, head, "database"), mm->schema->database);
}

/* A line that is no JSON was torn by a crash before its commit: its rows are still there. */
static int read_journal(struct mm *mm, struct job *j, const struct people_options *o, struct err *err)
{
	char *text = NULL, *end;
	size_t len = 0;
	int rc = file_read(j->ctx, o->journal_dirfd, PEOPLE_JOURNAL, JOURNAL_BYTES, &text, &len, err);

	for (char *p = text; rc == 0 && (end = memchr(p, '\n', len - (size_t)(p - text))); p = end + 1) {
		json_t *doc = json_loadb(p, (size_t)(end - p), JSON_REJECT_DUPLICATES, NULL);

		if (p == text && !is_ours(mm, doc)) {
			rc = err_set(err, ERR_GUARD, "the journal of unposted files belongs to another database");
			err_hint(err, "Run against the database of this archive; no file was removed.");
		} else if (p != text && doc && json_object_get(doc, "id")) {
			add_entry(j, doc, p, (size_t)(end - p));
		}
		json_decref(doc);
	}
	return rc;
}

static int add_answer(void *payload, const struct db_row *row, struct err *err)
{
	(void)err;
	people_names_add(payload, row->value[0], row->len[0], NULL);
	return 0;
}

static int ask_database(struct mm *mm, struct job *j, struct err *err)
{
	struct db_array ids, paths;
	const char *param;
	int rc;

	db_array_init(&ids, j->ctx);
	db_array_init(&paths, j->ctx);
	for (size_t i = 0; i < j->n; i++) {
		db_array_add(&ids, j->entry[i].id, strlen(j->entry[i].id));
		for (int k = 0; k < PATHS; k++)
			if (j->entry[i].path[k][0])
				db_array_add(&paths, j->entry[i].path[k], strlen(j->entry[i].path[k]));
	}
	param = db_array_text(&ids);
	rc = db_stream(mm->db, &sql_people_journal_rows, 1, &param, add_answer, j->rows, err);
	param = db_array_text(&paths);
	if (rc == 0)
		rc = db_stream(mm->db, &sql_people_journal_paths, 1, &param, add_answer, j->paths, err);
	return rc;
}

/* ---- removing ---- */

static bool same_file(const struct entry *e, const struct stat *st)
{
	return e->identified && (uint64_t)st->st_ino == e->ino && st->st_size == e->bytes &&
	       (int64_t)st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec == e->mtime_ns;
}

/* false: could not or must not be removed. */
static bool unlink_one(struct mm *mm, const struct entry *e, int which, struct people_counts *c)
{
	auto_fd int dir = -1;
	const char *leaf;
	struct err ignored;
	struct stat st;

	if (file_open_parent_beneath(mm->data_dirfd, e->path[which], &dir, &leaf, &ignored) < 0)
		return ignored.sys_errno == ENOENT;
	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT;
	if (!S_ISREG(st.st_mode) || (which == 0 && !same_file(e, &st)))
		return false; /* no plain file, or another one has taken the path */
	/* Irreversible.  Just before: the row is gone and the journal names the file.  Just after: the file is gone, the journal still
	 * names it, and the next run finds nothing to do. */
	if (unlinkat(dir, leaf, 0) != 0)
		return errno == ENOENT;
	c->files_gone++;
	return true;
}

static void settle_entry(struct mm *mm, struct job *j, struct entry *e, struct people_counts *c)
{
	if (people_names_find(j->rows, e->id))
		return; /* rolled back: the row is there, and so is its file */
	for (int i = 0; i < PATHS; i++) {
		if (!e->path[i][0])
			continue;
		if (people_names_find(j->paths, e->path[i]))
			c->files_shared++;
		else if (!unlink_one(mm, e, i, c))
			e->left = true;
	}
	c->files_left += e->left;
}

static int close_journal(struct mm *mm, struct job *j, const struct people_options *o, struct err *err)
{
	struct buf rest;
	bool any = false;

	buf_init(&rest, j->ctx, JOURNAL_BYTES);
	put_head(&rest, mm);
	for (size_t i = 0; i < j->n; i++)
		if (j->entry[i].left) {
			buf_puts(&rest, j->entry[i].line);
			buf_byte(&rest, '\n');
			any = true;
		}
	if (any)
		return file_replace(o->journal_dirfd, PEOPLE_JOURNAL, rest.data, rest.len, 0600, err);
	/* Just before: everything named is settled.  Just after: no journal, nothing left to do. */
	if (unlinkat(o->journal_dirfd, PEOPLE_JOURNAL, 0) != 0 && errno != ENOENT)
		return err_sys(err, ERR_STORE, errno, "cannot remove the journal of unposted files");
	return file_sync_dir(o->journal_dirfd, "ledger", err);
}

int people_files_unlink(struct mm *mm, const struct people_options *o, struct people_counts *c, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "people files");
	struct job j = {.ctx = ctx, .rows = people_names_new(ctx), .paths = people_names_new(ctx)};
	int rc;

	if (faccessat(o->journal_dirfd, PEOPLE_JOURNAL, F_OK, 0) != 0)
		return 0;
	if ((rc = read_journal(mm, &j, o, err)) < 0)
		return rc;
	if (mm->data_dirfd < 0) {
		c->files_left += j.n; /* the journal waits until the folder is known */
		return 0;
	}
	if ((rc = ask_database(mm, &j, err)) < 0)
		return rc;
	for (size_t i = 0; i < j.n; i++)
		settle_entry(mm, &j, &j.entry[i], c);
	return close_journal(mm, &j, o, err);
}
