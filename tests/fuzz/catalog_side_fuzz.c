/*
 * catalog_side_fuzz.c - an index beside a bundle is input from outside: any of its bytes or rows may be odd, and the
 * answer is one, or damage that is named.
 *
 * The index of a golden bundle is made by the program itself.  Input: with 'b' first, four bytes each for one byte of
 * that file: its place (3, little endian) and its new value.  With 'r' first, new values for its rows: which (1), type
 * (1), length (1), bytes; SQLite writes them, so that what it accepts reaches us.  With anything else first it is a
 * list of lost ids, ledger/lost-*.jsonl.
 */
#include "catalog_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUNDLE "mmr1-accelerator-202701-000042-b679effb00ff"
#define DIGITS "b679effb00ff"
#define MARK "0=mmretain_archive_1" /* whoever writes an index locks it */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/mmr-side-fuzz-XXXXXX";
static struct store store;
static char *side; /* the index, as the program made it */
static size_t side_bytes;

static void must(bool sound)
{
	if (!sound)
		abort();
}

/* ---- once ---- */

static void remove_all(void)
{
	static const char *const name[] = {"bundles/" BUNDLE ".idx", "bundles/" BUNDLE ".tar.zst",
					   "ledger/lost-" DIGITS ".jsonl", MARK};

	for (size_t i = 0; i < ARRAY_LEN(name); i++)
		(void)unlinkat(store.root_dirfd, name[i], 0); /* not each is there */
	if (unlinkat(store.root_dirfd, "bundles", AT_REMOVEDIR) != 0 ||
	    unlinkat(store.root_dirfd, "partial", AT_REMOVEDIR) != 0 ||
	    unlinkat(store.root_dirfd, "ledger", AT_REMOVEDIR) != 0 || rmdir(folder) != 0)
		fprintf(stderr, "%s stays\n", folder);
}

static int make_folder(const char *name)
{
	must(mkdirat(store.root_dirfd, name, 0700) == 0);
	return openat(store.root_dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Never emptied before: file systems write such a file to the disk when it is closed. */
static void put_file(const char *name, const void *data, size_t len)
{
	struct err err;
	int fd = openat(store.root_dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	must(fd >= 0 && file_pwrite_all(fd, data, len, 0, name, &err) == 0 && ftruncate(fd, (off_t)len) == 0);
	close(fd);
}

static void copy_bundle(void)
{
	void *ctx = talloc_new(NULL);
	struct err err;
	size_t len;
	char *data;

	must(file_read(ctx, AT_FDCWD, TEST_SOURCE_DIR "/unit/golden/" BUNDLE ".tar.zst", 1 << 20, &data, &len, &err) ==
	     0);
	put_file("bundles/" BUNDLE ".tar.zst", data, len);
	talloc_free(ctx);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static void *ctx; /* so that it is no leak */
	struct err err;

	(void)argc;
	(void)argv;
	log_level_set(LOG_ERROR);
	must(mkdtemp(folder) && (store.root_dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
	     atexit(remove_all) == 0);
	store.path = folder;
	store.partial_dirfd = make_folder("partial");
	store.ledger_dirfd = make_folder("ledger");
	must(close(make_folder("bundles")) == 0);
	put_file(MARK, "", 0);
	copy_bundle();
	ctx = talloc_new(NULL);
	must(side_build(&store, "bundles/" BUNDLE ".tar.zst", &err) == 0 &&
	     file_read(ctx, store.root_dirfd, "bundles/" BUNDLE ".idx", 16 << 20, &side, &side_bytes, &err) == 0);
	return 0;
}

/* ---- bytes and rows ---- */

static void change_bytes(const uint8_t *data, size_t size)
{
	char *file = talloc_memdup(NULL, side, side_bytes);

	for (; size >= 4; data += 4, size -= 4)
		file[(data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % side_bytes] = (char)data[3];
	put_file("bundles/" BUNDLE ".idx", file, side_bytes);
	talloc_free(file);
}

static const char *const change[] = {
	"UPDATE ids SET data = ?1",
	"UPDATE ids SET first = ?1 WHERE first = (SELECT min(first) FROM ids)",
	"UPDATE spans SET data = ?1",
	"UPDATE frame SET no = ?1 WHERE no = (SELECT max(no) FROM frame)",
	"DELETE FROM frame WHERE no <> ?1",
	"UPDATE frame SET min_ms = ?1",
	"UPDATE frame SET max_ms = ?1, posts = ?1",
	"UPDATE about SET bytes = ?1",
	"UPDATE about SET tail = ?1",
	"DELETE FROM about WHERE ?1 IS NOT NULL",
	"UPDATE spans SET kind = 'u', id = ?1 WHERE rowid = 1",
	"INSERT INTO ids VALUES(CAST(?1 AS INTEGER) % 1000000007, ?1)",
	"INSERT INTO frame VALUES(CAST(?1 AS INTEGER) % 65536, 0, 9000000000000000000, 1, 1)",
	"UPDATE words_data SET block = ?1 WHERE id > 10",
	"UPDATE words_data SET block = ?1 WHERE id <= 10",
	"INSERT INTO words(rowid, text) VALUES(?1, 'word')",
};

static void change_row(sqlite3 *db, const char *sql, uint8_t type, const uint8_t *value, size_t len)
{
	sqlite3_stmt *q = NULL;
	int64_t number = 0;

	memcpy(&number, value, len < sizeof(number) ? len : sizeof(number));
	if (len && len < sizeof(number) && value[len - 1] & 0x80)
		number -= INT64_C(1) << (8 * len); /* a short one has a sign, too */
	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK) {
		if (type % 3 == 0)
			(void)sqlite3_bind_int64(q, 1, number);
		else if (type % 3 == 1)
			(void)sqlite3_bind_blob(q, 1, value, (int)len, SQLITE_STATIC);
		else
			(void)sqlite3_bind_text(q, 1, (const char *)value, (int)len, SQLITE_STATIC);
		(void)sqlite3_step(q); /* refused: as it was */
	}
	(void)sqlite3_finalize(q);
}

static void change_rows(const uint8_t *data, size_t size)
{
	sqlite3 *db;
	char path[128];

	put_file("bundles/" BUNDLE ".idx", side, side_bytes);
	snprintf(path, sizeof path, "%s/bundles/" BUNDLE ".idx", folder);
	must(sqlite3_open(path, &db) == SQLITE_OK &&
	     sqlite3_exec(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN", NULL, NULL, NULL) ==
		     SQLITE_OK);
	for (int i = 0; size >= 3 && i < 16; i++) {
		size_t len = data[2] < size - 3 ? data[2] : size - 3;

		change_row(db, change[data[0] % ARRAY_LEN(change)], data[1], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	(void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	must(sqlite3_close(db) == SQLITE_OK);
}

/* ---- questions ---- */

/* In an index of any content an answer is frames in their order, or all. */
static void ask_frames(void *ctx)
{
	static const char *const user[] = {"alarm ", "nobody"}, *const channel[] = {"quench alarm ", "no"};
	const struct catalog_query query[] = {
		{.from_ms = INT64_MIN, .before_ms = INT64_MAX},
		{.user = user,
		 .n_users = 2,
		 .channel = channel,
		 .n_channels = 2,
		 .from_ms = 0,
		 .before_ms = INT64_C(1) << 50},
		{.from_ms = 1, .before_ms = INT64_C(1) << 41, .match = "\"alarm\"", .with_files = true},
	};
	struct catalog_bundle bundle = {.rel_path = talloc_strdup(ctx, "bundles/" BUNDLE ".tar.zst"),
					.size_bytes = WITHOUT_SIDE_BYTES};
	struct catalog *c = talloc_zero(ctx, struct catalog);
	struct catalog_hits hits;
	struct err err = {0};

	c->store = &store;
	c->bundle = &bundle;
	c->n_bundles = 1;
	for (size_t i = 0; i < ARRAY_LEN(query); i++) {
		must(catalog_frames(c, 0, &query[i], ctx, &hits, &err) == 0);
		for (size_t k = 1; k < hits.n; k++)
			must(hits.frame[k - 1] < hits.frame[k]);
		must(!hits.all || hits.n == 0);
	}
	must(catalog_frames_of_id(c, 0, "alarm quench alarm alarm quench alarm ", ctx, &hits, &err) == 0 &&
	     (!hits.all || hits.n == 0));
	TALLOC_FREE(bundle.side);
}

static void ask_lost(const struct catalog_lost_ids *l)
{
	if (l->kind == CATALOG_LOST_KEYS)
		for (size_t i = 1; i < l->n; i++)
			must(l->key[i - 1] <= l->key[i]); /* or it would not be found */
	(void)catalog_lost_has(l, "alarm quench", 12);
}

static void read_lost(void *ctx, const void *data, size_t size)
{
	struct catalog_lost_ids ids;
	struct err err = {0};

	put_file("ledger/lost-" DIGITS ".jsonl", data, size);
	if (catalog_lost_read(ctx, &store, DIGITS, &ids, &err) == 0)
		ask_lost(&ids);
	else
		must(err.code == -ERR_VERIFY && err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = talloc_new(NULL);
	struct catalog_lost_ids ids;

	if (size && data[0] != 'b' && data[0] != 'r') {
		read_lost(ctx, data, size);
	} else if (size) {
		if (data[0] == 'b')
			change_bytes(data + 1, size - 1);
		else
			change_rows(data + 1, size - 1);
		ask_frames(ctx);
		catalog_lost_find(ctx, &store, "bundles/" BUNDLE ".tar.zst", DIGITS, 0, &ids);
		ask_lost(&ids);
	}
	talloc_free(ctx);
	return 0;
}
