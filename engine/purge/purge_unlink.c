/*
 * purge_unlink.c - blobs of deleted file rows, from the journal.
 *
 * Only when the row is gone, no other row uses the path, and the file is the regular file that the journal saw.  Always through
 * a descriptor of its folder, which the kernel resolved beneath the data folder without links.
 */
#include "purge_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

enum { JOURNAL_MAX_BYTES = 512 << 20, PAGE = 5000, TOLD = 20 /* of one journal; one reason is mostly that of all */ };

struct entry {
	char *id, *thread, *path[3]; /* thread: that stays, or "" */
	bool identified;
	uint64_t ino;
	int64_t bytes, mtime_ns;
	bool row_exists, failed;
	UT_hash_handle hh;
};
struct shared { char *path; UT_hash_handle hh; };
struct unlink_job {
	void *ctx;
	struct entry *entry; size_t n, cap;
	struct entry *by_id;
	struct shared *shared;
	char *head; /* the journal's first line */
	bool any_named;
};

static char *string_of(void *ctx, json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return mem_strdup(ctx, s ? s : "");
}

static int parse_entry(struct unlink_job *j, const char *line, size_t len, struct err *err)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	struct entry *e;

	if (!o)
		return err_set(err, ERR_VERIFY, "unlink journal has a damaged line");
	if (j->n == j->cap) {
		j->cap = j->cap ? 2 * j->cap : 256;
		j->entry = mem_grow(j->ctx, j->entry, struct entry, j->cap);
	}
	e = &j->entry[j->n++];
	*e = (struct entry){.id = string_of(j->ctx, o, "id"), .thread = string_of(j->ctx, o, "thread")};
	e->path[0] = string_of(j->ctx, o, "path");
	e->path[1] = string_of(j->ctx, o, "thumbnail");
	e->path[2] = string_of(j->ctx, o, "preview");
	e->identified = json_object_get(o, "ino") != NULL;
	e->ino = (uint64_t)json_integer_value(json_object_get(o, "ino"));
	e->bytes = json_integer_value(json_object_get(o, "bytes"));
	e->mtime_ns = json_integer_value(json_object_get(o, "mtime_ns"));
	json_decref(o);
	return 0;
}

static int check_head(struct mm *mm, struct unlink_job *j, const char *line, size_t len, struct err *err)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	auto_mem void *ctx = talloc_named_const(NULL, 0, "journal head");
	bool ours = o && strcmp(string_of(ctx, o, "system"), mm->schema->system_identifier) == 0 &&
		    strcmp(string_of(ctx, o, "database"), mm->schema->database) == 0;

	json_decref(o);
	j->head = mem_strndup(j->ctx, line, len);
	if (ours)
		return 0;
	err_set(err, ERR_GUARD, "the unlink journal belongs to another database");
	return err_hint(err, "Run against the database of this archive; no attachment was removed.");
}

/* A torn last line (no newline) was never committed: its transaction did not go on. */
static int read_journal(struct mm *mm, struct unlink_job *j, const struct purge_options *o, struct err *err)
{
	char *text, *end;
	size_t len;
	int rc = file_read(j->ctx, o->journal_dirfd, o->journal_name, JOURNAL_MAX_BYTES, &text, &len, err);

	for (char *p = text; rc == 0 && (end = memchr(p, '\n', len - (size_t)(p - text))); p = end + 1)
		rc = p == text ? check_head(mm, j, p, (size_t)(end - p), err) : parse_entry(j, p, (size_t)(end - p), err);
	for (size_t i = 0; rc == 0 && i < j->n; i++) {
		struct entry *known;

		/* A batch that was rolled back and tried again is journalled twice: once is enough. */
		HASH_FIND_STR(j->by_id, j->entry[i].id, known);
		if (known)
			j->entry[i].row_exists = true;
		else
			HASH_ADD_KEYPTR(hh, j->by_id, j->entry[i].id, (unsigned)strlen(j->entry[i].id), &j->entry[i]);
	}
	return rc;
}

static int load_page(struct mm *mm, struct unlink_job *j, size_t from, struct err *err)
{
	auto_mem void *ctx = mem_context(j->ctx, "unlink page");
	struct db_array a[4];
	const char *param[4];

	for (int c = 0; c < 4; c++)
		db_array_init(&a[c], ctx);
	for (size_t i = from; i < j->n && i < from + PAGE; i++) {
		db_array_add(&a[0], j->entry[i].id, strlen(j->entry[i].id));
		for (int c = 0; c < 3; c++)
			db_array_add(&a[c + 1], j->entry[i].path[c], strlen(j->entry[i].path[c]));
	}
	for (int c = 0; c < 4; c++)
		param[c] = db_array_text(&a[c]);
	return db_query(ctx, mm->db, &sql_unlink_work_fill, DB_NONE, 4, param, NULL, err);
}

static int on_existing(void *payload, const struct db_row *row, struct err *err)
{
	struct unlink_job *j = payload;
	struct entry *e;

	(void)err;
	HASH_FIND(hh, j->by_id, row->value[0], (unsigned)row->len[0], e);
	if (e)
		e->row_exists = true;
	return 0;
}

static int on_shared(void *payload, const struct db_row *row, struct err *err)
{
	struct unlink_job *j = payload;
	struct shared *s = mem_new(j->ctx, struct shared);

	(void)err;
	s->path = mem_strndup(j->ctx, row->value[0], row->len[0]);
	HASH_ADD_KEYPTR(hh, j->shared, s->path, (unsigned)row->len[0], s);
	return 0;
}

static void on_named(void *payload, const struct purge_named_file *f)
{
	struct unlink_job *j = payload;

	j->entry[f->at].failed = true;
	j->any_named = true;
}

/* A live post names it again: the next run's sweep puts the row back. */
static int ask_named(struct mm *mm, struct unlink_job *j, struct err *err)
{
	struct purge_named n = {.n = 0};

	for (size_t i = 0; i < j->n; i++)
		if (j->entry[i].thread[0] && !j->entry[i].row_exists)
			purge_named_add(j->ctx, &n, j->entry[i].id, j->entry[i].thread, i);
	return purge_named_ask(mm, &n, on_named, j, err);
}

/* Which rows still exist, which paths another row uses, and which files are wanted again: one scan of fileinfo for the whole journal. */
static int ask_database(struct mm *mm, struct unlink_job *j, struct err *err)
{
	int rc = db_begin(mm->db, DB_READ_COMMITTED, err);

	if (rc == 0)
		rc = db_query(NULL, mm->db, &sql_unlink_work, DB_NONE, 0, NULL, NULL, err);
	for (size_t i = 0; rc == 0 && i < j->n; i += PAGE)
		rc = load_page(mm, j, i, err);
	if (rc == 0)
		rc = db_query(NULL, mm->db, &sql_unlink_work_analyze, DB_NONE, 0, NULL, NULL, err);
	if (rc == 0)
		rc = db_stream(mm->db, &sql_unlink_existing, 0, NULL, on_existing, j, err);
	if (rc == 0)
		rc = db_stream(mm->db, &sql_unlink_shared, 0, NULL, on_shared, j, err);
	if (rc == 0)
		rc = ask_named(mm, j, err);
	db_rollback(mm->db); /* only a temporary table was written */
	return rc;
}

static bool is_shared(struct unlink_job *j, const char *path)
{
	struct shared *s;

	HASH_FIND_STR(j->shared, path, s);
	return s != NULL;
}

/* Remove the folder that carries the file's id when nothing is left in it; never any other folder. */
static void remove_id_folder(struct mm *mm, const struct entry *e)
{
	char folder[4096];
	const char *slash = strrchr(e->path[0], '/'), *leaf;
	auto_fd int dir = -1;
	struct err ignored;
	size_t n = slash ? (size_t)(slash - e->path[0]) : 0;

	if (n == 0 || n >= sizeof folder)
		return;
	memcpy(folder, e->path[0], n);
	folder[n] = '\0';
	if (file_open_parent_beneath(mm->data_dirfd, folder, &dir, &leaf, &ignored) == 0 && strcmp(leaf, e->id) == 0)
		(void)unlinkat(dir, leaf, AT_REMOVEDIR); /* not empty: stays, as it should */
}

static bool is_journalled(const struct entry *e, const struct stat *st)
{
	return e->identified && (uint64_t)st->st_ino == e->ino && st->st_size == e->bytes &&
	       (int64_t)st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec == e->mtime_ns;
}

/* 0: gone (now or before); negative: could not or must not be removed, and why. */
static int unlink_one(struct mm *mm, const struct entry *e, int which, struct purge_counts *c, struct err *why)
{
	auto_fd int dir = -1;
	const char *leaf;
	struct stat st;
	int rc = file_open_parent_beneath(mm->data_dirfd, e->path[which], &dir, &leaf, why);

	if (rc < 0)
		return why->sys_errno == ENOENT ? 0 : rc;
	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(why, ERR_STORE, errno, "cannot look at it");
	if (!S_ISREG(st.st_mode))
		return err_set(why, ERR_STORE, "it is not a regular file");
	if (which == 0 && !is_journalled(e, &st))
		return err_set(why, ERR_STORE, "another file has taken its path since its row was deleted");
	if (fault_hit(FAULT_UNLINK_BEFORE))
		return err_set(why, ERR_STORE, "fault point");
	/* Irreversible.  Just before: the row is gone, the blob is in the bundle (or the rule drops files), the journal names it.
	 * Just after: the blob is gone and the journal still names it; the next start finds it gone and counts it as done. */
	if (unlinkat(dir, leaf, 0) != 0)
		return errno == ENOENT ? 0 : err_sys(why, ERR_STORE, errno, "cannot remove it");
	if (fault_hit(FAULT_UNLINK_AFTER))
		return err_set(why, ERR_STORE, "fault point");
	c->blobs_unlinked++;
	c->bytes_unlinked += (uint64_t)st.st_size;
	return 0;
}

/* Its path is no word for a log: it ends with the name that a person gave the file. */
static void tell_stays(const struct entry *e, int which, const struct err *why, uint64_t failed)
{
	static const char *const what[] = {"", " (its thumbnail)", " (its preview)"};

	if (failed < TOLD)
		log_warn("attachment %s stays%s: %s; the next run tries again", e->id, what[which], why->msg);
	else
		log_debug("attachment %s stays%s: %s", e->id, what[which], why->msg);
}

static void unlink_entry(struct mm *mm, struct unlink_job *j, struct entry *e, struct purge_counts *c)
{
	bool wanted = e->failed; /* a live post names it */
	struct err why;

	for (int i = 0; i < 3 && !wanted; i++) {
		if (!e->path[i][0])
			continue;
		if (is_shared(j, e->path[i])) {
			c->blobs_shared++;
		} else if (unlink_one(mm, e, i, c, &why) < 0) {
			tell_stays(e, i, &why, c->blobs_failed);
			e->failed = true;
		}
	}
	if (e->failed)
		c->blobs_failed++;
	else
		remove_id_folder(mm, e);
}

static void put_failed(struct buf *out, const struct entry *e)
{
	static const char *const key[] = {"path", "thumbnail", "preview"};

	buf_puts(out, "{\"id\":");
	json_put_string(out, e->id, strlen(e->id));
	if (e->thread[0]) {
		buf_puts(out, ",\"thread\":");
		json_put_string(out, e->thread, strlen(e->thread));
	}
	for (int i = 0; i < 3; i++)
		if (e->path[i][0]) {
			buf_printf(out, ",\"%s\":", key[i]);
			json_put_string(out, e->path[i], strlen(e->path[i]));
		}
	if (e->identified)
		buf_printf(out, ",\"ino\":%llu,\"bytes\":%lld,\"mtime_ns\":%lld", (unsigned long long)e->ino, (long long)e->bytes,
			   (long long)e->mtime_ns);
	buf_puts(out, "}\n");
}

/* What could not be removed stays in the journal for the next run; an empty journal goes. */
static int close_journal(struct unlink_job *j, const struct purge_options *o, int data_dirfd, struct err *err)
{
	struct buf rest;
	bool any = false;
	int rc;

	buf_init(&rest, j->ctx, JOURNAL_MAX_BYTES);
	buf_printf(&rest, "%s\n", j->head ? j->head : "{}");
	for (size_t i = 0; i < j->n; i++)
		if (j->entry[i].failed) {
			put_failed(&rest, &j->entry[i]);
			any = true;
		}
	if (any)
		return file_replace(o->journal_dirfd, o->journal_name, rest.data, rest.len, 0600, err);
	/* A name that a power cut brings back would never be removed again. */
	if (data_dirfd >= 0 && (rc = file_sync_fs(data_dirfd, "attachments", err)) < 0)
		return rc;
	/* Just before: everything named is gone for good.  Just after: no journal; nothing is left to do. */
	if (unlinkat(o->journal_dirfd, o->journal_name, 0) != 0 && errno != ENOENT)
		return err_sys(err, ERR_STORE, errno, "cannot remove the unlink journal");
	return file_sync_dir(o->journal_dirfd, "ledger", err);
}

/* A journal of files that stay needs none. */
static int check_folder(struct mm *mm, const struct unlink_job *j, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < j->n && !any; i++)
		any = j->entry[i].path[0][0] || j->entry[i].path[1][0] || j->entry[i].path[2][0];
	if (mm->data_dirfd >= 0 || !any)
		return 0;
	err_set(err, ERR_STORE, "the folder of the attachments is not known, so the blobs of deleted rows stay");
	return err_hint(err, "Set MM_FILESETTINGS_DIRECTORY or use mattermost_config; the next run takes up the journal.");
}

int purge_unlink(struct mm *mm, const struct purge_options *o, struct purge_counts *c, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "unlink");
	struct unlink_job j = {.ctx = ctx};
	int rc;

	if (faccessat(o->journal_dirfd, o->journal_name, F_OK, 0) != 0)
		return 0;
	if ((rc = read_journal(mm, &j, o, err)) == 0 && (rc = check_folder(mm, &j, err)) == 0)
		rc = ask_database(mm, &j, err);
	for (size_t i = 0; rc == 0 && i < j.n; i++)
		if (!j.entry[i].row_exists)
			unlink_entry(mm, &j, &j.entry[i], c);
	if (rc == 0)
		rc = close_journal(&j, o, mm->data_dirfd, err);
	HASH_CLEAR(hh, j.by_id);
	HASH_CLEAR(hh, j.shared);
	return rc;
}

int purge_unlink_named(struct mm *mm, const struct purge_options *o, bool *ret, struct err *err)
{
	auto_mem void *ctx = talloc_named_const(NULL, 0, "unlink named");
	struct unlink_job j = {.ctx = ctx};
	int rc;

	*ret = false;
	if (faccessat(o->journal_dirfd, o->journal_name, F_OK, 0) != 0)
		return 0;
	if ((rc = read_journal(mm, &j, o, err)) == 0)
		rc = ask_named(mm, &j, err);
	*ret = j.any_named;
	HASH_CLEAR(hh, j.by_id);
	return rc;
}
