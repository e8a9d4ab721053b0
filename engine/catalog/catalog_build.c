/*
 * catalog_build.c - one pass over a bundle gives its sidecar.
 *
 * Written to partial/ and renamed: a crash leaves a file in partial/, which nobody reads and every run clears; the old
 * sidecar, or none, stays.  SQLite keeps deleted words on free pages, so a sidecar is never changed, only replaced.
 */
#include "catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

struct holder { UT_hash_handle hh; char kind; struct spans spans; char *id; };

struct build {
	void *ctx;
	struct bundle_reader *reader;
	struct catalog_rows *rows;
	struct sq *sq;
	sqlite3_stmt *frame, *words; /* words NULL: only what goes on into the catalog */
	bool parts;                  /* of threads: their roots are in no row */
	struct ids ids;
	struct holder *holders;      /* uthash over kind + id */
	struct buf text, key;
	char channel[64]; uint32_t channel_frame; /* of the row before */
	uint64_t posts, files, n_rows;
	int64_t min_ms, max_ms;
};

static const char schema_sql[] =
	"CREATE TABLE about(bytes INTEGER, tail BLOB, posts INTEGER, rows INTEGER, min_ms INTEGER, max_ms INTEGER, ids "
	"INTEGER);"
	"CREATE TABLE frame(no INTEGER PRIMARY KEY, min_ms INTEGER, max_ms INTEGER, posts INTEGER, files INTEGER);"
	"CREATE TABLE ids(first INTEGER PRIMARY KEY, data BLOB);"
	"CREATE TABLE spans(kind TEXT, id TEXT, min_ms INTEGER, max_ms INTEGER, data BLOB, PRIMARY KEY(kind, id)) "
	"WITHOUT ROWID;"
	"CREATE TABLE name(what TEXT, id TEXT, name TEXT, display TEXT, extra TEXT);";
static const char words_sql[] =
	"CREATE VIRTUAL TABLE words USING fts5(text, content='', detail=none, columnsize=0,"
	" tokenize='unicode61 remove_diacritics 2');"
	"INSERT INTO words(words, rank) VALUES('pgsz', 8000);"
	"INSERT INTO words(words, rank) VALUES('hashsize', 33554432);";

/* ---- rows ---- */

static struct holder *holder_of(struct build *b, char kind, struct catalog_text id)
{
	struct holder *h;

	buf_clear(&b->key);
	buf_byte(&b->key, kind);
	buf_put(&b->key, id.s, id.len);
	HASH_FIND(hh, b->holders, b->key.data, b->key.len, h);
	if (h)
		return h;
	h = mem_new(b->ctx, struct holder);
	h->kind = kind;
	h->id = mem_strndup(h, b->key.data, b->key.len);
	spans_init(&h->spans, h);
	HASH_ADD_KEYPTR(hh, b->holders, h->id, b->key.len, h);
	return h;
}

struct frame_sum { uint32_t rows, posts, files; int64_t min_ms, max_ms; };

static void widen(struct frame_sum *f, int64_t ms)
{
	if (f->rows == 1 || ms < f->min_ms)
		f->min_ms = ms;
	if (f->rows == 1 || ms > f->max_ms)
		f->max_ms = ms;
}

/* Older servers have no channel in a file's row: it is the channel of the post before it, which may be in the frame
 * before. */
static const char *channel_of(struct build *b, const struct catalog_row *row, uint32_t no)
{
	if (row->channel.len > 0)
		(void)snprintf(b->channel, sizeof(b->channel), "%.*s", (int)row->channel.len, row->channel.s); /* 26 */
	else if (b->channel_frame != no)
		/* 26 */
		(void)snprintf(b->channel, sizeof(b->channel), "%s", bundle_frame_at(b->reader, no)->first_channel);
	b->channel_frame = no;
	return b->channel;
}

static void id_enter(struct build *b, const struct catalog_row *row, uint32_t no)
{
	ids_add(&b->ids, b->ctx, row->id, no);
	if (b->parts && row->kind == CATALOG_POST) {
		/* asked for by the thread, or by the post that a file was taken off */
		ids_add(&b->ids, b->ctx, row->root, no);
		ids_add(&b->ids, b->ctx, row->original, no);
	}
}

static void row_enter(struct build *b, const struct catalog_row *row, uint32_t no, struct frame_sum *f)
{
	const char *channel = channel_of(b, row, no);

	b->n_rows++;
	if (row->kind != CATALOG_POST && row->kind != CATALOG_FILE)
		return;
	if (row->erased) { /* only asked for by an id */
		id_enter(b, row, no);
		return;
	}
	/* a post that names files counts too: their rows may be in the next frame */
	f->files += row->kind == CATALOG_FILE || row->file_ids.len > 2;
	f->posts += row->kind == CATALOG_POST;
	f->rows++;
	widen(f, row->create_ms);
	id_enter(b, row, no);
	if (b->words)
		catalog_row_words(row, &b->text);
	if (row->user.len > 0)
		spans_add(&holder_of(b, 'u', row->user)->spans, no, row->create_ms);
	if (channel[0])
		spans_add(&holder_of(b, 'c', (struct catalog_text){channel, strlen(channel)})->spans, no,
			  row->create_ms);
}

static int frame_rows(struct build *b, const char *data, size_t len, uint32_t no, struct frame_sum *f, struct err *err)
{
	struct catalog_row row;

	for (const char *p = data, *end = data + len; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "a frame does not end with a whole row");
		int rc = catalog_row_decode(b->rows, p, (size_t)(nl - p), &row, err);
		if (rc)
			return rc;
		row_enter(b, &row, no, f);
		p = nl + 1;
	}
	return 0;
}

static int frame_store(struct build *b, uint32_t no, const struct frame_sum *f, struct err *err)
{
	(void)sqlite3_bind_int64(b->frame, 1, no);
	(void)sqlite3_bind_int64(b->frame, 2, f->min_ms);
	(void)sqlite3_bind_int64(b->frame, 3, f->max_ms);
	(void)sqlite3_bind_int64(b->frame, 4, f->posts);
	(void)sqlite3_bind_int64(b->frame, 5, f->files);
	int rc = sq_run(b->sq, b->frame, err);
	if (rc || b->text.len == 0)
		return rc;
	if (b->text.overflow)
		return err_set(err, ERR_STORE, "a frame has more words than can be indexed");
	(void)sqlite3_bind_int64(b->words, 1, no);
	if (sqlite3_bind_text(b->words, 2, b->text.data, (int)b->text.len, SQLITE_STATIC) != SQLITE_OK)
		return sq_fail(b->sq, err);
	return sq_run(b->sq, b->words, err);
}

static int build_frame(struct build *b, size_t i, struct err *err)
{
	const struct bundle_frame *f = bundle_frame_at(b->reader, i);
	struct frame_sum sum = {0};
	char *data;
	size_t len;

	if (strncmp(f->member, "data/threads/", 13) != 0)
		return 0;
	int rc = bundle_read_frame(b->reader, b->ctx, i, &data, &len, err);
	if (rc)
		return rc;
	buf_clear(&b->text);
	rc = frame_rows(b, data, len, (uint32_t)i, &sum, err);
	talloc_free(data);
	if (rc)
		return rc;
	if (sum.rows > 0) {
		if (b->posts + b->files == 0 || sum.min_ms < b->min_ms)
			b->min_ms = sum.min_ms;
		if (b->posts + b->files == 0 || sum.max_ms > b->max_ms)
			b->max_ms = sum.max_ms;
	}
	b->posts += sum.posts;
	b->files += sum.files;
	return frame_store(b, (uint32_t)i, &sum, err);
}

/* ---- tables from what was collected ---- */

static int store_ids(struct build *b, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	struct buf block;
	uint64_t first;
	int rc = sq_prepare(b->sq, "INSERT INTO ids VALUES(?1, ?2)", &q, err);

	buf_init(&block, b->ctx, (size_t)64 << 20);
	ids_sort(&b->ids);
	for (size_t i = 0; i < b->ids.n && !rc;) {
		i = ids_block(&b->ids, i, &block, &first);
		(void)sqlite3_bind_int64(q, 1, (int64_t)first);
		(void)sqlite3_bind_blob(q, 2, block.data, (int)block.len, SQLITE_STATIC);
		rc = sq_run(b->sq, q, err);
	}
	return rc;
}

static int store_spans(struct build *b, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	struct holder *h, *next;
	int rc = sq_prepare(b->sq, "INSERT INTO spans VALUES(?1, ?2, ?3, ?4, ?5)", &q, err);

	HASH_ITER(hh, b->holders, h, next) {
		if (rc)
			break;
		char kind[2] = {h->kind, 0};
		spans_close(&h->spans);
		sq_text(q, 1, kind);
		sq_text(q, 2, h->id + 1);
		(void)sqlite3_bind_int64(q, 3, h->spans.all_min_ms);
		(void)sqlite3_bind_int64(q, 4, h->spans.all_max_ms);
		(void)sqlite3_bind_blob(q, 5, h->spans.packed.data, (int)h->spans.packed.len, SQLITE_STATIC);
		rc = sq_run(b->sq, q, err);
	}
	return rc;
}

struct naming { struct sq *sq; sqlite3_stmt *q; const char *what; };

static int store_name(void *payload, const struct catalog_name *n, struct err *err)
{
	const struct naming *s = payload;

	sq_text(s->q, 1, s->what);
	sq_text(s->q, 2, n->id);
	sq_text(s->q, 3, n->name);
	sq_text(s->q, 4, n->display);
	sq_text(s->q, 5, n->extra);
	return sq_run(s->sq, s->q, err);
}

static int store_names(struct build *b, struct err *err)
{
	static const char *const what[] = {"teams", "channels", "users"};
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(b->sq, "INSERT INTO name VALUES(?1, ?2, ?3, ?4, ?5)", &q, err);

	for (size_t i = 0; i < ARRAY_LEN(what) && !rc; i++) {
		struct naming n = {b->sq, q, what[i]};
		rc = catalog_bundle_names(b->reader, what[i], store_name, &n, err);
	}
	return rc;
}

static int store_about(struct build *b, uint64_t bytes, const struct digest *tail, struct err *err)
{
	auto_stmt sqlite3_stmt *q = NULL;
	int rc = sq_prepare(b->sq, "INSERT INTO about VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)", &q, err);

	if (rc)
		return rc;
	(void)sqlite3_bind_int64(q, 1, (int64_t)bytes);
	(void)sqlite3_bind_blob(q, 2, tail->b, DIGEST_BYTES, SQLITE_STATIC);
	(void)sqlite3_bind_int64(q, 3, (int64_t)b->posts);
	(void)sqlite3_bind_int64(q, 4, (int64_t)b->n_rows);
	(void)sqlite3_bind_int64(q, 5, b->min_ms);
	(void)sqlite3_bind_int64(q, 6, b->max_ms);
	(void)sqlite3_bind_int64(q, 7, (int64_t)b->ids.n);
	return sq_run(b->sq, q, err);
}

/* ---- the file ---- */

static int build_tables(struct build *b, uint64_t bytes, const struct digest *tail, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < bundle_frames(b->reader) && !rc; i++)
		rc = stop_check(err) ? err->code : build_frame(b, i, err);
	if (!rc && b->ids.overflow) /* told as one that cannot be indexed, so that the others are */
		rc = err_set(err, ERR_VERIFY, "the bundle has more posts and files than an index can hold");
	/* one segment, fewer pages to read; before the ids, which then take the pages that it leaves free */
	if (!rc && b->words)
		rc = sq_exec(b->sq, "INSERT INTO words(words) VALUES('optimize')", err);
	if (!rc)
		rc = store_ids(b, err);
	if (!rc)
		rc = store_spans(b, err);
	if (!rc)
		rc = store_names(b, err);
	if (!rc)
		rc = store_about(b, bytes, tail, err);
	return rc;
}

/* A small bundle must not have an index larger than itself: every table takes a page. */
static const char *page_size(uint64_t bundle_bytes)
{
	return bundle_bytes < SMALL_BUNDLE_BYTES ? "PRAGMA page_size=1024" : "PRAGMA page_size=8192";
}

static int words_open(struct build *b, struct err *err)
{
	int rc = sq_exec(b->sq, words_sql, err);

	return rc ? rc : sq_prepare(b->sq, "INSERT INTO words(rowid, text) VALUES(?1, ?2)", &b->words, err);
}

static int build_open(struct build *b, const char *path, uint64_t bundle_bytes, struct err *err)
{
	/* Nobody reads this file before it is complete and renamed, so SQLite need not protect it. */
	static const char setup[] = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
				    "PRAGMA cache_size=-65536; PRAGMA application_id=1835889225;"
				    "PRAGMA user_version=1; BEGIN;";
	_Static_assert(SIDE_APPLICATION == 1835889225 && INDEX_VERSION == 1, "the numbers in setup");
	int rc = sq_open(b->ctx, path, SQ_WRITE, &b->sq, err);

	if (!rc)
		rc = sq_exec(b->sq, page_size(bundle_bytes), err);
	if (!rc)
		rc = sq_exec(b->sq, setup, err);
	if (!rc)
		rc = sq_exec(b->sq, schema_sql, err);
	if (!rc)
		rc = sq_prepare(b->sq, "INSERT INTO frame VALUES(?1, ?2, ?3, ?4, ?5)", &b->frame, err);
	return rc || !path ? rc : words_open(b, err);
}

static int build_write(struct build *b, const struct store *store, const char *rel_path, const char *path,
		       struct err *err)
{
	struct digest tail;
	uint64_t bytes;
	int rc = bundle_tail(store, rel_path, &bytes, &tail, err);

	if (!rc)
		rc = bundle_open(b->ctx, store->root_dirfd, rel_path, &b->reader, err);
	if (!rc)
		rc = catalog_rows_new(b->ctx, b->reader, &b->rows, err);
	if (!rc && (rc = bundle_read_parts(b->reader, &(int64_t){0}, err)) >= 0) {
		b->parts = rc > 0;
		rc = 0;
	}
	if (!rc)
		rc = build_open(b, path, bytes, err);
	if (!rc)
		rc = build_tables(b, bytes, &tail, err);
	if (!rc)
		rc = sq_exec(b->sq, "COMMIT", err);
	sq_finish(&b->frame);
	sq_finish(&b->words);
	HASH_CLEAR(hh, b->holders);
	return rc;
}

/* Of a bundle that was removed meanwhile no sidecar may come: whoever removes one looks for it afterwards, under the
 * same lock. */
static int rename_in_time(const struct store *store, const char *rel_path, const char *work, const char *side,
			  struct err *err)
{
	auto_fd int lock = -1, dirfd = -1;
	const char *leaf;
	struct stat st;
	int rc = store_lock_indexes(store, &lock, err);

	if (rc)
		return rc;
	if (fstatat(store->root_dirfd, rel_path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_NOT_FOUND, errno, "bundle \"%s\" was removed while it was indexed", rel_path);
	rc = file_open_parent_beneath(store->root_dirfd, side, &dirfd, &leaf, err);
	if (rc)
		return rc;
	/* Before: the old sidecar or none.  After: the new one, whole. */
	if (renameat(store->partial_dirfd, work, dirfd, leaf) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot put the index \"%s\" in place", side);
	return file_sync_dir(dirfd, side, err);
}

static int sync_and_rename(const struct store *store, const char *rel_path, const char *work, const char *side,
			   struct err *err)
{
	auto_fd int fd = openat(store->partial_dirfd, work, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc;

	if (fd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot open \"partial/%s\"", work);
	if (fchmod(fd, 0640) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot set the mode of \"partial/%s\"", work);
	if ((rc = file_inherit(fd, store->partial_dirfd, work, err)) < 0)
		return rc;
	rc = file_sync(fd, work, err); /* a torn index could hide matches without looking damaged */
	return rc ? rc : rename_in_time(store, rel_path, work, side, err);
}

static void build_init(struct build *b, void *ctx)
{
	*b = (struct build){.ctx = ctx, .channel_frame = UINT32_MAX};
	buf_init(&b->text, ctx, (size_t)256 << 20);
	buf_init(&b->key, ctx, 1 << 20);
}

int side_memory(void *ctx, const struct store *store, const char *rel_path, struct sq **ret, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "index");
	struct build b;

	build_init(&b, tmp);
	int rc = build_write(&b, store, rel_path, NULL, err);
	if (!rc)
		*ret = talloc_steal(ctx, b.sq);
	return rc;
}

int side_build(const struct store *store, const char *rel_path, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "index");
	struct build b;
	char *side = side_rel_path(tmp, rel_path);
	char *work = mem_printf(tmp, "%s.%ld.tmp", strrchr(side, '/') ? strrchr(side, '/') + 1 : side, (long)getpid());
	char *path = sq_path(tmp, store, mem_printf(tmp, "partial/%s", work));

	build_init(&b, tmp);
	(void)unlinkat(store->partial_dirfd, work, 0); /* of a process of the same number that crashed */
	int rc = build_write(&b, store, rel_path, path, err);
	TALLOC_FREE(b.sq); /* closed: every page is in the file */
	if (!rc)
		rc = sync_and_rename(store, rel_path, work, side, err);
	if (rc)
		(void)unlinkat(store->partial_dirfd, work, 0); /* harmless when it stays */
	return rc;
}
