/*
 * base.h - floor 0: errors, memory, bytes, files, hash, JSON lines, time,
 * log, stop, fault points.
 *
 * For: what every room needs and no library of the project gives.
 * Not for: anything that knows a database, a policy or an archive.
 * Includes: libc, talloc, libcrypto only.  Every other room may include it.
 * The only room that reads the clock, writes files and handles signals.
 *
 * Conventions used in all headers: a function that can fail returns 0 or a
 * negative error code (-ERR_x) and fills the caller's `struct err`, the last
 * parameter.  Outputs are named ret_* and are untouched on failure.  Times are
 * int64_t milliseconds since the epoch, UTC, named *_ms.
 */
#ifndef MMRETAIN_BASE_H
#define MMRETAIN_BASE_H

#include <dirent.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <talloc.h>

#define MMR_CHECKED __attribute__((warn_unused_result))
#define MMR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- errors ------------------------------------------------------------ */

enum err_code {
	ERR_NONE = 0,
#define X(name, status, retry, text) ERR_##name,
#include <mmretain/errors.def>
#undef X
};

struct err {
	int code;         /* 0 or -ERR_x, as returned */
	char sqlstate[6]; /* "" when the server gave none */
	int sys_errno;    /* 0 when no system call failed */
	char msg[1024];   /* one line, lower case, no full stop */
	char hint[512];   /* a sentence with an action, or "" */
};

/* Fill err; each returns -code so that callers can `return err_set(...)`. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) MMR_PRINTF(3, 4);
/* As err_set, adds ": <strerror(errnum)>" and stores errnum. */
int err_sys(struct err *err, enum err_code code, int errnum, const char *fmt, ...) MMR_PRINTF(4, 5);
/* Add the action to take; returns err->code. */
int err_hint(struct err *err, const char *fmt, ...) MMR_PRINTF(2, 3);
/* Put "context: " before the message at a room boundary; returns err->code. */
int err_prefix(struct err *err, const char *fmt, ...) MMR_PRINTF(2, 3);
void err_clear(struct err *err);
int err_exit_status(int code);      /* exit status of a (negative) code */
bool err_retryable(int code);
/* a stop request or the end of the time: of the work, and not of what was at hand */
bool err_ends_work(int code);
const char *err_name(int code);     /* "POLICY" ... */

/* ---- memory ------------------------------------------------------------ */
/* talloc contexts by lifetime: process, run, batch.  Out of memory ends the
 * process with one message: all durable state survives a crash anywhere. */

void mem_setup(void); /* once, in main */
void *mem_check(void *p); /* p, or end the process when NULL */
#define mem_new(ctx, type) ((type *)mem_check(talloc_zero(ctx, type)))
#define mem_array(ctx, type, n) ((type *)mem_check(talloc_zero_array(ctx, type, n)))
#define mem_grow(ctx, p, type, n) ((type *)mem_check(talloc_realloc(ctx, p, type, n)))
#define mem_strdup(ctx, s) ((char *)mem_check(talloc_strdup(ctx, s)))
#define mem_strndup(ctx, s, n) ((char *)mem_check(talloc_strndup(ctx, s, n)))
#define mem_printf(ctx, ...) ((char *)mem_check(talloc_asprintf(ctx, __VA_ARGS__)))
#define mem_context(ctx, name) mem_check(talloc_named_const(ctx, 0, name))
/* Many small things that live as long as ctx, in blocks: talloc alone takes a hundred bytes for each.  Zeroed: {ctx},
 * nothing yet. */
struct mem_crumbs { void *ctx; char *at; size_t left, block; };
void *mem_crumb(struct mem_crumbs *c, size_t bytes);                      /* zeroed, aligned as a uint64_t */
char *mem_crumb_text(struct mem_crumbs *c, const char *text, size_t len); /* a NUL behind it */
/* One array that may pass what talloc gives at once, 256 MiB: with an element for each thread, say.  Freed with ctx. */
struct mem_large { void *at; };
struct mem_large *mem_large_new(void *ctx);
void *mem_large_grow(struct mem_large *l, size_t bytes); /* what was there stays, what comes is not zeroed */
void mem_free_p(void *pp);          /* for auto_mem */
#define auto_mem __attribute__((cleanup(mem_free_p))) /* TALLOC_CTX *x */
void fd_close_p(int *fd);
#define auto_fd __attribute__((cleanup(fd_close_p)))  /* int fd = -1 */

/* ---- bytes ------------------------------------------------------------- */
/* A growing buffer with a ceiling.  Puts never fail at the call: passing the
 * ceiling sets `overflow`, which the caller checks once at the end. */

struct buf {
	char *data;      /* NUL-terminated while len < cap; may be NULL when empty */
	size_t len, cap;
	size_t max_bytes; /* as buf_init set it */
	bool overflow;
	void *ctx;       /* talloc parent of data */
};

/* Empty; max_bytes: the ceiling of len.  Memory belongs to ctx. */
void buf_init(struct buf *b, void *ctx, size_t max_bytes);
/* The first room of an empty buffer, exactly that much: growing doubles it. */
void buf_start(struct buf *b, size_t bytes);
static inline void buf_put(struct buf *b, const void *data, size_t len);
static inline void buf_puts(struct buf *b, const char *s);
static inline void buf_byte(struct buf *b, char c);
void buf_i64(struct buf *b, int64_t v);  /* decimal; where printf costs too much */
void buf_printf(struct buf *b, const char *fmt, ...) MMR_PRINTF(2, 3);
/* In base64 (RFC 4648, 4), with padding, without line ends; all of it or, over the ceiling, nothing. */
void buf_base64(struct buf *b, const void *data, size_t len);
/* The bytes that base64 stands for, in its one spelling: whole groups of four, padding only at the end, unused bits
 * zero.  False: it is not that, or over the ceiling; a part of it may be in b then. */
bool buf_unbase64(struct buf *b, const char *text, size_t len) MMR_CHECKED;
void buf_clear(struct buf *b);      /* len = 0, keeps memory */
void buf_reset(struct buf *b);      /* frees memory */
/* Room for `extra` more bytes; false (and overflow) when over the ceiling. */
static inline bool buf_reserve(struct buf *b, size_t extra);
bool buf_grow(struct buf *b, size_t extra); /* the same, where there is no room yet */

/* Here, so that a put of a few bytes with a known length is a store: rows and lines are made of millions of them. */
static inline bool buf_reserve(struct buf *b, size_t extra)
{
	return extra < b->cap - b->len || buf_grow(b, extra);
}

static inline void buf_put(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

static inline void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

static inline void buf_byte(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

/* As much of the text as fits, closed with a NUL.  What snprintf does for each thread of a night took a hundredth of
 * it. */
static inline void text_fit(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);

	n = n < size ? n : size - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

/* ---- hash -------------------------------------------------------------- */

#define DIGEST_BYTES 32
#define DIGEST_HEX 64
struct digest { uint8_t b[DIGEST_BYTES]; };

struct hash;                                     /* SHA-256 (FIPS 180-4), libcrypto */
struct hash *hash_new(void *ctx);                /* ready for updates */
void hash_update(struct hash *h, const void *data, size_t len);
void hash_final(struct hash *h, struct digest *ret); /* and ready again */
void hash_bytes(struct hash *h, const void *data, size_t len, struct digest *ret); /* one shot, reuses h */
/* What fd has from where it stands to its end, and how many bytes that is (ret_bytes may be NULL).  ERR_STORE: `name`
 * cannot be read. */
int hash_fd(int fd, const char *name, struct digest *ret, uint64_t *ret_bytes, struct err *err) MMR_CHECKED;
void hash_copy(struct hash *to, const struct hash *from); /* to goes on from where from is */
/* The same by a thread of its own, which starts with the first 64 KiB; without one by the caller.  data is copied. */
struct hash_beside;
struct hash_beside *hash_beside_new(void *ctx);
void hash_beside_update(struct hash_beside *h, const void *data, size_t len);
void hash_beside_final(struct hash_beside *h, struct digest *ret); /* and ready again */
/* Of a message in blocks of 64 bytes that holds its own padding (FIPS 180-4, 5.1.1): for short messages of a fixed
 * length. */
void hash_blocks(const void *blocks, size_t n, struct digest *ret);
/* HMAC-SHA-256, RFC 2104. */
void hash_hmac(const void *key, size_t key_len, const void *data, size_t len, struct digest *ret);
void hex_encode(const void *data, size_t len, char *ret_hex /* 2*len+1 */);
/* of 2*n_bytes digits in lower case; false: they are not, and a part may be in ret_data */
bool hex_decode(const char *hex, size_t n_bytes, void *ret_data);
void digest_hex(const struct digest *d, char ret_hex[DIGEST_HEX + 1]);
/* From the kernel, for secrets and names; 256 bytes at most.  ERR_INTERNAL. */
int random_bytes(void *ret, size_t len, struct err *err) MMR_CHECKED;

/* ---- files ------------------------------------------------------------- */

/* name: for messages, in these and all below; what was written before a failure stays.  A signal and a short write are
 * gone on with.  Nothing is durable before file_sync. ERR_STORE. */
int file_write_all(int fd, const void *data, size_t len, const char *name, struct err *err) MMR_CHECKED;
int file_pwrite_all(int fd, const void *data, size_t len, off_t at, const char *name, struct err *err) MMR_CHECKED;
/* Reads exactly len bytes; a short file is an ERR_STORE. */
int file_pread_all(int fd, void *ret, size_t len, off_t at, const char *name, struct err *err) MMR_CHECKED;
/* fdatasync / fsync; a failure is never retried (the kernel may have dropped the pages). */
int file_sync(int fd, const char *name, struct err *err) MMR_CHECKED;
int file_sync_dir(int dirfd, const char *name, struct err *err) MMR_CHECKED;
/* fsyncs every folder that `path` (below dirfd) is in, dirfd the last: a folder that somebody else made need not be
 * durable. */
int file_sync_above(int dirfd, const char *path, struct err *err) MMR_CHECKED;
/* The whole file system of that folder: for names removed from very many folders. */
int file_sync_fs(int dirfd, const char *name, struct err *err) MMR_CHECKED;
int file_close(int *fd, const char *name, struct err *err) MMR_CHECKED; /* sets *fd = -1 */
/* open(2) for a folder, close-on-exec. */
int file_open_dir(const char *path, int *ret_fd, struct err *err) MMR_CHECKED;
/* A folder below dirfd to be listed, never through a link; closed with closedir. */
int file_list_dir(int dirfd, const char *name, DIR **ret, struct err *err) MMR_CHECKED;
/* 1: the folder has something of that name, be it a link to nowhere; 0: it has not; or ERR_STORE, ERR_PERMISSION.  Not
 * by access(), which asks for the real user without capabilities: what it takes for free would be written over. */
int file_is_there(int dirfd, const char *name, struct err *err) MMR_CHECKED;
/* A new file or folder of root belongs to whom the folder belongs to that it was made in: root at work once must not
 * lock out the account that works there every night.  Nothing for anybody else. */
int file_inherit(int fd, int dirfd, const char *name, struct err *err) MMR_CHECKED;
/* mkdir -p below dirfd, 0750, as file_inherit, fsyncs each new parent. */
int file_make_dirs(int dirfd, const char *path, struct err *err) MMR_CHECKED;
/* Write name.tmp, as file_inherit, fsync, rename over name, fsync folder: old or new, never torn. */
int file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err) MMR_CHECKED;
/* The same in pieces: what is written to ret_fd is name.tmp until file_replace_end; file_replace_drop removes it
 * instead.  Both close *fd, and file_replace_end has called file_replace_drop when it fails before the rename. */
int file_replace_begin(int dirfd, const char *name, mode_t mode, int *ret_fd, struct err *err) MMR_CHECKED;
int file_replace_end(int dirfd, const char *name, int *fd, struct err *err) MMR_CHECKED;
void file_replace_drop(int dirfd, const char *name, int *fd);
/* Rename without overwriting (renameat2 RENAME_NOREPLACE, else link+unlink), then fsync the folder of `to`.  Durable is
 * `to`; that `from` is gone is not where a file system renames between two folders in two steps. ERR_STORE with
 * sys_errno EEXIST when `to` exists. */
int file_publish(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *err) MMR_CHECKED;
/* Whole file, NUL-terminated after ret_len; over max_bytes is an error. */
int file_read(void *ctx, int dirfd, const char *name, size_t max_bytes, char **ret, size_t *ret_len,
	      struct err *err) MMR_CHECKED;
/* Open a path strictly below dirfd (openat2 RESOLVE_BENEATH, no symlinks, no mount crossing); refuses
 * absolute paths, "..", empty and NUL-holding components first.  Regular files only; never blocks on a FIFO.
 * sys_errno tells ENOENT from the rest. */
int file_open_beneath(int dirfd, const char *path, int *ret_fd, struct err *err) MMR_CHECKED;
/* What there is at such a path, without opening it: whose it is, where it may not be read.  False: it is not there, or
 * a folder above it may not be entered. */
struct stat;
bool file_stat_beneath(int dirfd, const char *path, struct stat *ret);
/* Open the folder that holds `path` in the same way; *ret_leaf points into path. */
int file_open_parent_beneath(int dirfd, const char *path, int *ret_dirfd, const char **ret_leaf,
			     struct err *err) MMR_CHECKED;
/* What decides over deletion is written by its owner alone, who is root or ourselves: else ERR_PERMISSION with the
 * command to run.  what: "plan file". */
int file_check_trusted(int fd, const char *what, const char *path, struct err *err) MMR_CHECKED;
/* An unnamed work file (O_TMPFILE or mkstemp+unlink) in `dir` (NULL: $TMPDIR or /tmp).  ERR_STORE, ERR_PERMISSION. */
int file_temp(const char *dir, int *ret_fd, struct err *err) MMR_CHECKED;
/* As file_pwrite_all, into one of $TMPDIR or /tmp, which errors name. */
int file_temp_write(int fd, const void *data, size_t len, off_t at, struct err *err) MMR_CHECKED;

/* ---- outputs: files and folders that somebody named for a result (base_output.c) ---- */

/* "cannot <verb> "<path>": <reason>", with a hint; path: as it was given.  ERR_PERMISSION; ERR_USAGE: nothing can be
 * made under that name; ERR_OUTPUT: a full disk and the like, also for errnum 0. */
int output_failed(const char *verb, const char *path, int errnum, struct err *err);
/* Opens the folder that `path` is in, which must be there and writable; *ret_leaf: the name in it, without slashes at
 * its end (parent ctx).  Errors as output_failed. */
int output_open_place(void *ctx, const char *path, int *ret_dirfd, char **ret_leaf, struct err *err) MMR_CHECKED;

/* ---- spool: fixed-size records on disk, sorted ---------------------------- */
/* Memory stays flat (one chunk of records) whatever the number of records. */

struct spool;                            /* freed with talloc_free; its file has no name and goes with it */
typedef int (*spool_cmp)(const void *a, const void *b);
/* Errors as file_temp; of those below ERR_STORE. */
int spool_new(void *ctx, size_t record_bytes, struct spool **ret, struct err *err) MMR_CHECKED;
/* Copies the record.  spool_next gives what was added before the last spool_sort, _rewind or _seek. */
int spool_add(struct spool *s, const void *record, struct err *err) MMR_CHECKED;
/* A thread sorts by cmp what has been added, while more is: what is left for spool_sort with the same cmp is a chunk or
 * two.  For a run that may use all processors; spool_sort takes longer without it and does the same.  Takes a chunk
 * more of memory. */
void spool_sort_early(struct spool *s, spool_cmp cmp);
/* Sort all records (external merge sort) and rewind. */
int spool_sort(struct spool *s, spool_cmp cmp, struct err *err) MMR_CHECKED;
/* spool_next begins again; also before the first time, unless it was sorted */
int spool_rewind(struct spool *s, struct err *err) MMR_CHECKED;
/* the next record to come, counted from 0 */
int spool_seek(struct spool *s, uint64_t record, struct err *err) MMR_CHECKED;
/* 1 and *ret (valid until the next call), 0 at the end, or a negative code. */
int spool_next(struct spool *s, const void **ret, struct err *err) MMR_CHECKED;
uint64_t spool_count(const struct spool *s);

/* ---- JSON lines ----------------------------------------------------------- */

/* Append a JSON string with quotes; escapes ", \, and control characters below 0x20 (RFC 8259); other bytes as they
 * are. */
void json_put_string(struct buf *b, const char *s, size_t len);
/* Strict UTF-8 check (RFC 3629). */
bool utf8_valid(const char *s, size_t len);
/* One code point, up to 0x10ffff and no surrogate; returns its bytes. */
size_t utf8_put(uint32_t c, char ret[4]);

enum json_type { SCAN_NULL, SCAN_TRUE, SCAN_FALSE, JSON_NUMBER, JSON_STR, JSON_OBJ, JSON_ARR };
/* A cursor over the top-level members of one JSON object on one line; values are slices of the line. */
struct json_scan {
	const char *p, *end;
	const char *key; size_t key_len;     /* raw, without quotes */
	const char *val; size_t val_len;     /* raw; of a string: without quotes, still escaped */
	enum json_type type;
	bool bad, started;
};
void json_scan_init(struct json_scan *s, const char *line, size_t len);
/* false at the end or when bad; strict: rejects trailing bytes, nesting > 512 */
bool json_scan_next(struct json_scan *s);
/* Unescape a raw string value into b. false when not valid JSON/UTF-8. */
bool json_unescape(struct buf *b, const char *raw, size_t len);

/* ---- libraries that only some commands need ------------------------------- */

struct library_function { const char *name; size_t at; /* of its pointer in the table */ };
/* Loads a library and fills the table of function pointers. ERR_INTERNAL when it is missing; the caller knows which
 * package has it. */
int library_load(const char *soname, const struct library_function *function, size_t n, void *table,
		 struct err *err) MMR_CHECKED;

/* ---- time ----------------------------------------------------------------- */

int64_t time_now_ms(void);            /* wall clock, or the --now override */
void time_override_ms(int64_t now_ms);/* tests; 0 = off */
bool time_is_overridden(void);
/* stands still while the host is suspended: for work, and for waits of which a server must have its share */
int64_t time_mono_ms(void);
int64_t time_mono_us(void);
/* goes on while the host is suspended: for deadlines, and for the age of what others may change */
int64_t time_boot_ms(void);
void time_sleep_ms(int64_t ms);       /* ends early on a stop request */
void time_pause_ms(int64_t ms);       /* for what a stop request waits for, too; a signal may end it early */
#define TIME_TEXT 32
/* 2026-11-24T18:55:55.123Z (ms shown only when not zero). */
void time_format(int64_t ms, char ret[TIME_TEXT]);
/* RFC 3339 date or date-time ("2025-01-01" = midnight UTC), or bare ms with suffix "ms". */
bool time_parse(const char *text, int64_t *ret_ms);
/* It is written as a date, with a clock or without, of a day that no calendar has: 2025-02-30. */
bool time_no_such_day(const char *text);

struct duration { int32_t months; int64_t ms; };   /* one of the two is 0 */
/* 30d 12w 6mo 5y 36h 90min 10s 5ms; a bare number is refused. */
bool duration_parse(const char *text, struct duration *ret);
void duration_format(const struct duration *d, char ret[TIME_TEXT]);
/* now minus d, calendar months in UTC; a day that the target month lacks becomes its last day.  Beyond the first or the
 * last time that there is: that one. */
int64_t duration_before(int64_t now_ms, const struct duration *d);
int64_t duration_after(int64_t from_ms, const struct duration *d);
/* When duration_before() comes to be later than from: in the past where it is so now, else the first time after now.
 * INT64_MAX: never. */
int64_t duration_passed(int64_t from_ms, const struct duration *d, int64_t now_ms);
/* 500MiB 2GB 10kB 512B; a bare number is refused. */
bool bytes_parse(const char *text, uint64_t *ret_bytes);
void bytes_format(uint64_t bytes, char ret[TIME_TEXT]); /* 1.5 MiB, for people */

/* ---- log, stop, progress --------------------------------------------------- */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
void log_level_set(enum log_level level);
bool log_is_on(enum log_level level);   /* for what costs something to find out */
/* To stderr, one line, control characters escaped. Never message text, names or secrets. */
void log_put(enum log_level level, const char *fmt, ...) MMR_PRINTF(2, 3);
/* The cursor stands behind a bar of progress on a terminal, or not any more: the next line takes it off first.  What it
 * was before. */
bool log_bar_drawn(bool drawn);
#define log_warn(...) log_put(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_put(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_put(LOG_DEBUG, __VA_ARGS__)

/* SIGINT, SIGTERM and SIGHUP set a flag, the second quits at once; SIGINT and SIGHUP stay ignored when the caller
 * ignores them.  SIGPIPE and SIGXFSZ are ignored: the write fails. */
void stop_install(void);
int stop_requested(void);             /* 0 or the signal number */
void stop_request(int signum);        /* tests */
/* 0, or ERR_INTERRUPTED with a hint that is true of every command, not of a run alone. */
int stop_check(struct err *err) MMR_CHECKED;
/* A thread that no signal is delivered to: they belong to the main thread. 0, or an errno, which pthread_create gave.
 */
int thread_start(pthread_t *ret, void *(*fn)(void *), void *payload) MMR_CHECKED;
/* The calling thread, and threads that it starts from now on, give way to others on this machine: nice 10, and turns of
 * 0.1 ms where the kernel lets a thread choose (Linux 6.12, sched_setattr(2)), so that whoever wakes need not wait for
 * the end of a longer one.  Entirely: policy SCHED_IDLE, too: whoever else wakes takes a processor that runs nothing
 * else for an idle one, and when none is left, the thread hardly gets a turn (thread_turns tells). There is no way back
 * without privileges.  Where the system refuses, and under another scheduling policy than the usual one, nothing
 * changes. */
void thread_give_way(bool entirely);
/* How long the calling thread has had a processor and has waited for one, since its start.  false: the kernel does not
 * say. */
bool thread_turns(int64_t *ret_ran_us, int64_t *ret_waited_us);

/* Long work reports here; cli draws.  total 0 = unknown. */
struct progress {                     /* NULL, or without a function: nobody watches */
	void (*update)(void *payload, const char *phase, uint64_t done, uint64_t total, const char *unit);
	void *payload;
};
void progress_update(const struct progress *p, const char *phase, uint64_t done, uint64_t total, const char *unit);

/* ---- fault points ----------------------------------------------------------- */
/* Built with -DMMR_FAULTS=ON: environment MMR_FAULT=point:action[:nth] with action kill, or an errno name
 * (EIO, ENOSPC) hits the nth (default first) passage; "point:EIO:2+" hits from the second on.
 * Without that build option the macro is 0.  faults.def lists every point. */

enum fault_id {
#define X(name, text) FAULT_##name,
#include <mmretain/faults.def>
#undef X
	FAULT_COUNT,
};
#ifdef MMR_FAULTS
int fault_hit(enum fault_id id);      /* 0, or an errno to pretend; does not return on kill */
#else
#define fault_hit(id) 0
#endif
/* Where there is nothing to pretend that failed: an error of that code when a test makes the point fail. */
static inline int fault_check(enum fault_id id, int code, struct err *err)
{
	int e = fault_hit(id);

	(void)id;
	return e ? err_sys(err, code, e, "fault point") : 0;
}

#endif
