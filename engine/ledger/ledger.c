/*
 * ledger.c - open, recover, append.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger_internal.h"

struct ledger {
	int fd;
	uint64_t seq;              /* of the last record */
	char hash[DIGEST_HEX + 1]; /* of the last record */
	bool failed;               /* an append failed: the end of the file is unknown */
};

static int ledger_close(struct ledger *l)
{
	if (l->fd >= 0)
		close(l->fd);
	return 0;
}

static int open_file(int dirfd, int flags, int *ret_fd, struct err *err)
{
	struct stat st;
	auto_fd int fd = openat(dirfd, LEDGER_FILE, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	int rc;

	if (fd < 0)
		return err_sys(err, errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_STORE, errno,
			       "cannot open the ledger");
	if (fstat(fd, &st) < 0)
		return err_sys(err, ERR_STORE, errno, "cannot stat the ledger");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STORE, "the ledger is not a regular file");
	if ((flags & O_CREAT) && st.st_size == 0 && (rc = file_inherit(fd, dirfd, "the ledger", err)) < 0)
		return rc;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int lock_file(int fd, struct err *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(err, ERR_STORE, errno, "cannot lock the ledger");
	err_set(err, ERR_LOCKED, "another process writes the ledger");
	return err_hint(err, "Wait for the other run to end; `mmretain status` shows it.");
}

/* ---- entries ---- */

void ledger_begin(struct ledger_entry *e, void *ctx, const char *type)
{
	buf_init(&e->b, ctx, LEDGER_LINE_MAX);
	buf_puts(&e->b, "\"type\":");
	json_put_string(&e->b, type, strlen(type));
}

static void put_key(struct ledger_entry *e, const char *key)
{
	buf_byte(&e->b, ',');
	json_put_string(&e->b, key, strlen(key));
	buf_byte(&e->b, ':');
}

void ledger_str(struct ledger_entry *e, const char *key, const char *value)
{
	put_key(e, key);
	json_put_string(&e->b, value, strlen(value));
}

void ledger_int(struct ledger_entry *e, const char *key, int64_t value)
{
	put_key(e, key);
	buf_printf(&e->b, "%lld", (long long)value);
}

void ledger_bool(struct ledger_entry *e, const char *key, bool value)
{
	put_key(e, key);
	buf_puts(&e->b, value ? "true" : "false");
}

void ledger_raw(struct ledger_entry *e, const char *key, const char *json)
{
	put_key(e, key);
	buf_puts(&e->b, json);
}

/* ---- append ---- */

/* The whole line with head, hash and newline; ret_hash is its hash. */
static int build_line(struct ledger *l, struct ledger_entry *e, struct buf *line, char ret_hash[DIGEST_HEX + 1],
		      struct err *err)
{
	struct hash *hash = hash_new(line->ctx);
	struct digest digest;
	char at[TIME_TEXT];

	time_format(time_now_ms(), at);
	buf_printf(line, "{\"seq\":%llu,\"at\":\"%s\",\"prev\":\"%s\",", (unsigned long long)(l->seq + 1), at, l->hash);
	buf_put(line, e->b.data, e->b.len);
	if (e->b.overflow || line->overflow)
		return err_set(err, ERR_INTERNAL, "a ledger record is longer than %zu bytes", LEDGER_LINE_MAX);
	hash_bytes(hash, line->data, line->len, &digest);
	digest_hex(&digest, ret_hash);
	buf_printf(line, LEDGER_HASH_KEY "%s\"}", ret_hash);
	if (line->overflow || line->len > LEDGER_LINE_MAX)
		return err_set(err, ERR_INTERNAL, "a ledger record is longer than %zu bytes", LEDGER_LINE_MAX);
	if (memchr(line->data, '\n', line->len) || !utf8_valid(line->data, line->len))
		return err_set(err, ERR_INTERNAL, "a ledger record is not one line of UTF-8");
	buf_byte(line, '\n');
	return 0;
}

/*
 * A crash before the write leaves the ledger as it was; within it, a torn line that the next ledger_open cuts off;
 * after it and before the sync, either.  Only after the sync may the caller act on the record.
 */
static int write_line(struct ledger *l, const struct buf *line, struct err *err)
{
	int fault = fault_hit(FAULT_LEDGER_WRITE), r;

	/* A full disk takes a part of the record before it refuses. */
	r = file_write_all(l->fd, line->data, fault ? line->len / 2 : line->len, "ledger", err);
	if (r == 0 && fault)
		r = err_sys(err, ERR_STORE, fault, "cannot write the ledger");
	if (r < 0)
		return r;
	fault = fault_hit(FAULT_LEDGER_SYNC);
	if (fault)
		return err_sys(err, ERR_STORE, fault, "cannot sync the ledger");
	return file_sync(l->fd, "ledger", err);
}

/* Also what makes room needs a line that says so: the first bytes must come from what nobody misses. */
static int no_room(struct err *err)
{
	if (err->sys_errno != ENOSPC && err->sys_errno != EDQUOT)
		return err->code;
	return err_hint(err, "Make room on the archive's disk: `catalog.sqlite` and the `*.idx` files in the archive "
			     "may be removed, `mmretain reindex` builds them again. Then `mmretain expire --yes` "
			     "removes what is past its time. Nothing is lost; the next run goes on.");
}

static int append(struct ledger *l, struct ledger_entry *e, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "ledger line");
	char hash[DIGEST_HEX + 1];
	struct buf line;
	int r;

	buf_init(&line, ctx, LEDGER_LINE_MAX + 512);
	r = build_line(l, e, &line, hash, err);
	if (r < 0)
		return r;
	r = write_line(l, &line, err);
	if (r < 0) {
		l->failed = true;
		return no_room(err);
	}
	l->seq++;
	memcpy(l->hash, hash, sizeof(hash));
	return 0;
}

int ledger_append(struct ledger *l, struct ledger_entry *e, struct err *err)
{
	int r;

	if (l->failed) {
		err_set(err, ERR_STORE, "the ledger failed before and takes no more records");
		r = err_hint(err, "Find out why writing failed, then start again; the next run recovers.");
	} else {
		r = append(l, e, err);
	}
	buf_reset(&e->b);
	return r;
}

/* ---- open ---- */

/* Cut a torn record off, or give a whole one its newline; then say so in the chain. */
static int recover(struct ledger *l, const struct ledger_end *end, struct err *err)
{
	off_t keep = end->bytes + (off_t)(end->tail_whole ? end->tail_record_bytes : 0);
	struct ledger_entry e;
	int fault, r;

	log_warn("the ledger ends in a torn record of %zu bytes, %s", end->tail_bytes,
		 end->tail_whole ? "completing it" : "cutting it off");
	/* Irreversible.  Just before: whole records, and a part of one that nobody acted on, because its append did not
	 * come back; a whole one that lacks its newline stays.  Just after: the whole records, and none that says what
	 * was cut off; a power cut may bring the part back, and the next ledger_open cuts it off again.  Neither asks
	 * for anything of the database or the archive. */
	if (ftruncate(l->fd, keep) < 0)
		return err_sys(err, ERR_STORE, errno, "cannot cut the ledger back to its last whole record");
	fault = fault_hit(FAULT_LEDGER_CUT);
	if (fault)
		return err_sys(err, ERR_STORE, fault, "cannot cut the ledger");
	if (end->tail_whole) {
		r = file_write_all(l->fd, "\n", 1, "ledger", err);
		if (r < 0)
			return r;
	}
	r = file_sync(l->fd, "ledger", err);
	if (r < 0)
		return r;
	ledger_begin(&e, l, "recovered");
	ledger_int(&e, "cut_bytes", end->tail_whole ? 0 : (int64_t)end->tail_bytes);
	ledger_bool(&e, "completed", end->tail_whole);
	return ledger_append(l, &e, err);
}

/* The chain now ends where the walk ended, plus the record that lacked only its newline. */
static int take_end(struct ledger *l, const struct ledger_end *end, struct err *err)
{
	memcpy(l->hash, end->hash, sizeof(l->hash));
	l->seq = end->entries;
	if (end->tail_whole) {
		int r = file_pread_all(l->fd, l->hash, DIGEST_HEX,
				       end->bytes + (off_t)(end->tail_record_bytes - DIGEST_HEX - 2), "ledger", err);

		if (r < 0)
			return r;
		l->seq++;
	}
	return 0;
}

static int find_end(struct ledger *l, bool walk, struct ledger_end *ret, struct err *err)
{
	int r = walk ? 0 : ledger_last(l->fd, ret, err);

	if (r == 0)
		r = ledger_walk(l->fd, /* fn= */ NULL, NULL, ret, err);
	return r < 0 ? r : 0;
}

static int open_for(void *ctx, int ledger_dirfd, bool walk, struct ledger **ret, struct err *err)
{
	auto_mem struct ledger *l = mem_new(ctx, struct ledger);
	struct ledger_end end;
	int r;

	l->fd = -1;
	talloc_set_destructor(l, ledger_close);
	r = open_file(ledger_dirfd, O_RDWR | O_CREAT | O_APPEND, &l->fd, err);
	if (r == 0)
		r = lock_file(l->fd, err);
	if (r == 0)
		r = file_sync_dir(ledger_dirfd, "ledger folder", err);
	/* Whoever wrote the last records may have been killed before it synced them, or its sync failed, and the kernel
	 * has the pages for clean.  What the disk does not have must not be read: a record that is relied upon now
	 * would be gone with the cache. */
	if (r == 0 && (r = file_sync(l->fd, "ledger", err)) == 0)
		(void)posix_fadvise(l->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (r == 0)
		r = find_end(l, walk, &end, err);
	if (r == 0)
		r = take_end(l, &end, err);
	if (r == 0 && end.tail_bytes)
		r = recover(l, &end, err);
	if (r < 0)
		return r;
	*ret = l;
	l = NULL;
	return 0;
}

int ledger_open(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err)
{
	return open_for(ctx, ledger_dirfd, /* walk= */ true, ret, err);
}

int ledger_open_end(void *ctx, int ledger_dirfd, struct ledger **ret, struct err *err)
{
	return open_for(ctx, ledger_dirfd, /* walk= */ false, ret, err);
}

int ledger_read(int ledger_dirfd, ledger_fn fn, void *payload, struct err *err)
{
	auto_fd int fd = -1;
	struct ledger_end end;
	int r = open_file(ledger_dirfd, O_RDONLY, &fd, err);

	if (r < 0) {
		if (err->sys_errno == ENOENT) {
			err_clear(err);
			return 0;
		}
		return r;
	}
	return ledger_walk(fd, fn, payload, &end, err);
}
