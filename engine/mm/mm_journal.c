/*
 * mm_journal.c - journals of files whose rows are deleted: JSON lines in the archive's ledger folder (docs/formats.md).
 *
 * First line: the database it belongs to.  Then one line a row: its id, the paths of its files, what the first of them
 * was.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm_unlink_internal.h"

enum {
	LINE_BYTES = 1 << 20 /* at most */,
	READ_BYTES = 256 << 10,
	HEAD_BYTES = 4 << 10 /* more than any first line has */
};
enum { ID, USER, THREAD, PATH, ETAG = PATH + MM_JOURNAL_PATHS, STRINGS, INO = STRINGS, BYTES, MTIME, FIELDS };
enum { NUMBERS_FILE = 7, NUMBERS_OBJECT = 6 /* bits from INO on: what tells a file, and with its etag an object */ };
static const char *const keys[FIELDS] = {"id",	    "user", "thread", "path",  "thumbnail",
					 "preview", "etag", "ino",    "bytes", "mtime_ns"};

/* ---- writing ---- */

static void put_string(struct buf *b, int key, const char *value)
{
	buf_printf(b, ",\"%s\":", keys[key]);
	json_put_string(b, value, strlen(value));
}

bool mm_journal_is_beside(const struct mm_journal_entry *e, int i)
{
	const char *own = strrchr(e->path[0], '/'), *slash = strrchr(e->path[i], '/');

	return own && slash && own - e->path[0] == slash - e->path[i] &&
	       memcmp(e->path[0], e->path[i], (size_t)(own - e->path[0])) == 0;
}

static const char *picture_of(const char *what, const struct mm_journal_entry *e, int i)
{
	if (!e->path[i][0] || mm_journal_is_beside(e, i))
		return e->path[i];
	log_warn("the %s of %s %s is not in the folder of the %s: it stays", keys[PATH + i], what, e->id, what);
	return "";
}

void mm_journal_put(struct buf *lines, const char *what, const struct mm_journal_entry *e)
{
	const char *const value[STRINGS] =
		{[USER] = e->user,	 [THREAD] = e->thread,	 e->path[0],
		 picture_of(what, e, 1), picture_of(what, e, 2), e->identified ? e->etag : ""};
	size_t from = lines->len;

	buf_puts(lines, "{\"id\":");
	json_put_string(lines, e->id, strlen(e->id));
	for (int i = ID + 1; i < STRINGS; i++)
		if (value[i] && value[i][0])
			put_string(lines, i, value[i]);
	if (e->identified && !(e->etag && e->etag[0]))
		buf_printf(lines, ",\"ino\":%llu", (unsigned long long)e->ino);
	if (e->identified)
		buf_printf(lines, ",\"bytes\":%lld,\"mtime_ns\":%lld", (long long)e->bytes, (long long)e->mtime_ns);
	buf_puts(lines, "}\n");
	if (lines->len - from > LINE_BYTES)
		lines->overflow = true;
}

static void put_head(struct buf *b, const struct mm *mm)
{
	buf_puts(b, "{\"journal\":1,\"system\":");
	json_put_string(b, mm->schema->system_identifier, strlen(mm->schema->system_identifier));
	buf_puts(b, ",\"database\":");
	json_put_string(b, mm->schema->database, strlen(mm->schema->database));
	buf_puts(b, "}\n");
}

/* Where the last whole line of `size` bytes ends. */
static int last_end(int fd, off_t size, const char *journal, off_t *ret, struct err *err)
{
	char piece[4096];

	for (off_t at = size; at > 0;) {
		size_t n = at < (off_t)sizeof piece ? (size_t)at : sizeof piece;
		const char *lf;
		int rc = file_pread_all(fd, piece, n, at - (off_t)n, journal, err);

		if (rc < 0)
			return rc;
		at -= (off_t)n;
		if ((lf = memrchr(piece, '\n', n))) {
			*ret = at + (lf - piece) + 1;
			return 0;
		}
	}
	*ret = 0;
	return 0;
}

/* A line is followed by the commit only once it is whole and durable: half of one at the end was never an order. */
static int cut_torn(int fd, const char *journal, off_t *size, struct err *err)
{
	off_t end;
	int fault, rc = last_end(fd, *size, journal, &end, err);

	if (rc < 0 || end == *size)
		return rc;
	/* Irreversible.  Just before: whole lines and a part of one, whose transaction was never committed.  Just
	 * after: the whole lines, and the journal can be added to; so it can when a power cut brings the part back. */
	if (ftruncate(fd, end) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot cut the %s back to its last whole line", journal);
	*size = end;
	fault = fault_hit(FAULT_JOURNAL_CUT);
	return fault ? err_sys(err, ERR_STORE, fault, "cannot cut the %s", journal) : 0;
}

static int begin(struct mm *mm, int fd, int dirfd, const char *journal, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "journal head");
	struct buf head;
	int rc;

	buf_init(&head, ctx, LINE_BYTES);
	put_head(&head, mm);
	if ((rc = file_inherit(fd, dirfd, journal, err)) < 0 ||
	    (rc = file_write_all(fd, head.data, head.len, journal, err)) < 0)
		return rc;
	return file_sync_dir(dirfd, "ledger", err);
}

/* ---- reading: lines ---- */

static int damaged(const struct mm_journal *j, struct err *err)
{
	err_set(err, ERR_VERIFY, "the %s has a damaged line (line %llu of ledger/%s)", j->kind->journal,
		(unsigned long long)j->line_no, j->name);
	return err_hint(err, "Its files stay while it is like that: find out what changed it.");
}

/* 1: a whole line, without its end; 0: no more. */
static int next_line(struct mm_journal *j, struct err *err)
{
	if (!j->block)
		j->block = mem_array(j, char, LINE_BYTES + READ_BYTES);
	for (;;) {
		const char *begin = j->block + j->from, *lf = memchr(begin, '\n', j->have - j->from);
		size_t n = j->have - j->from;
		int rc;

		j->line_no += lf || n > LINE_BYTES;
		if (lf) {
			j->line = begin;
			j->line_len = (size_t)(lf - begin);
			j->from += j->line_len + 1;
			return 1;
		}
		if (n > LINE_BYTES)
			return damaged(j, err);
		if (j->next == j->end)
			return 0;
		memmove(j->block, begin, n);
		j->from = 0;
		j->have = n;
		n = j->end - j->next < READ_BYTES ? (size_t)(j->end - j->next) : READ_BYTES;
		if ((rc = file_pread_all(j->fd, j->block + j->have, n, j->next, j->kind->journal, err)) < 0)
			return rc;
		j->have += n;
		j->next += (off_t)n;
	}
}

/* ---- reading: fields ---- */

/* A string of JSON onto b, with a NUL behind it; where it begins.  SIZE_MAX: it is none, or has a NUL. */
static size_t unescape(struct buf *b, const struct json_scan *s)
{
	size_t from = b->len;

	for (size_t i = 0; i < s->val_len; i++)
		if ((unsigned char)s->val[i] < 0x20)
			return SIZE_MAX;
	if (s->type != JSON_STR || !json_unescape(b, s->val, s->val_len) || memchr(b->data + from, '\0', b->len - from))
		return SIZE_MAX;
	buf_byte(b, '\0');
	return from;
}

/* Digits as JSON writes them. */
static bool digits(const char *p, size_t len, uint64_t *ret)
{
	uint64_t v = 0;

	if (len == 0 || (len > 1 && *p == '0'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (p[i] < '0' || p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v))
			return false;
	*ret = v;
	return true;
}

static bool number(const struct json_scan *s, bool negative, int64_t *ret)
{
	bool minus = negative && s->val_len && s->val[0] == '-';
	uint64_t v;

	if (s->type != JSON_NUMBER || !digits(s->val + minus, s->val_len - minus, &v) || v > INT64_MAX)
		return false;
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

static int field_of(const struct json_scan *s)
{
	for (int i = 0; i < FIELDS; i++)
		if (strlen(keys[i]) == s->key_len && memcmp(keys[i], s->key, s->key_len) == 0)
			return i;
	return -1;
}

static bool take_field(struct mm_journal *j, const struct json_scan *s, int field, size_t at[STRINGS],
		       struct mm_journal_entry *e)
{
	if (field < STRINGS)
		return (at[field] = unescape(&j->text, s)) != SIZE_MAX;
	if (field == INO)
		return s->type == JSON_NUMBER && digits(s->val, s->val_len, &e->ino);
	return number(s, field == MTIME, field == MTIME ? &e->mtime_ns : &e->bytes);
}

static void begin_text(struct mm_journal *j)
{
	buf_clear(&j->text);
	buf_byte(&j->text, '\0'); /* the empty string of what a line has not */
}

/* false: not an entry, or not one that is understood to its last word. */
static bool parse(struct mm_journal *j, struct mm_journal_entry *ret)
{
	struct mm_journal_entry e = {.identified = false};
	size_t at[STRINGS];
	unsigned seen = 0;
	struct json_scan s;

	begin_text(j);
	memset(at, 0, sizeof at);
	json_scan_init(&s, j->line, j->line_len);
	while (json_scan_next(&s)) {
		int field = field_of(&s);

		if (field < 0 || seen & 1u << field || !take_field(j, &s, field, at, &e))
			return false;
		seen |= 1u << field;
	}
	e.etag = j->text.data + at[ETAG];
	e.identified = seen >> INO == (seen & 1u << ETAG ? NUMBERS_OBJECT : NUMBERS_FILE) &&
		       (!(seen & 1u << ETAG) || e.etag[0]);
	if (s.bad || !(seen & 1u << ID) || (seen >> ETAG && !e.identified))
		return false;
	e.id = j->text.data + at[ID];
	e.user = j->text.data + at[USER];
	e.thread = j->text.data + at[THREAD];
	for (int i = 0; i < MM_JOURNAL_PATHS; i++)
		e.path[i] = j->text.data + at[PATH + i];
	*ret = e;
	return true;
}

/* ---- reading: the journal ---- */

static bool says(struct mm_journal *j, const struct json_scan *s, const char *text)
{
	size_t at;

	begin_text(j);
	return (at = unescape(&j->text, s)) != SIZE_MAX && strcmp(j->text.data + at, text) == 0;
}

static bool is_ours(struct mm_journal *j, const struct mm *mm)
{
	static const char *const key[] = {"journal", "system", "database"};
	unsigned same = 0;
	struct json_scan s;

	json_scan_init(&s, j->line, j->line_len);
	while (json_scan_next(&s))
		for (unsigned i = 0; i < ARRAY_LEN(key); i++)
			if (strlen(key[i]) == s.key_len && memcmp(key[i], s.key, s.key_len) == 0) {
				bool good =
					i == 0 ? s.type == JSON_NUMBER && s.val_len == 1 && *s.val == '1'
					       : says(j, &s,
						      i == 1 ? mm->schema->system_identifier : mm->schema->database);

				if (!good || same & 1u << i)
					return false;
				same |= 1u << i;
			}
	return !s.bad && same == 7;
}

static int check_head(struct mm_journal *j, const struct mm *mm, struct err *err)
{
	int rc = next_line(j, err);

	if (rc != 1)
		return rc;
	if (!is_ours(j, mm)) {
		err_set(err, ERR_GUARD, "the %s belongs to another database", j->kind->journal);
		return err_hint(err, "Run against the database of this archive; no %s was removed.", j->kind->what);
	}
	j->head = mem_strndup(j, j->line, j->line_len);
	return 1;
}

/* What another database's journal gets would be an order of that database's. */
static int check_begun(const struct mm *mm, int fd, off_t size, const char *journal, struct err *err)
{
	auto_mem struct mm_journal *j = mem_new(NULL, struct mm_journal);
	size_t n = size < HEAD_BYTES ? (size_t)size : HEAD_BYTES;
	const char *lf;
	int rc;

	buf_init(&j->text, j, 2 * HEAD_BYTES);
	j->line = j->block = mem_array(j, char, HEAD_BYTES);
	if ((rc = file_pread_all(fd, j->block, n, 0, journal, err)) < 0)
		return rc;
	j->line_len = (lf = memchr(j->block, '\n', n)) ? (size_t)(lf - j->block) : 0;
	return is_ours(j, mm)
		       ? 0
		       : err_set(err, ERR_GUARD, "the %s belongs to another database: nothing is added to it", journal);
}

int mm_journal_append(struct mm *mm, int dirfd, const char *name, const char *journal, const struct buf *lines,
		      struct err *err)
{
	auto_fd int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	off_t size;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot open the %s", journal);
	size = st.st_size;
	if ((rc = cut_torn(fd, journal, &size, err)) < 0 ||
	    (rc = size ? check_begun(mm, fd, size, journal, err) : begin(mm, fd, dirfd, journal, err)) < 0 ||
	    (rc = file_write_all(fd, lines->data, lines->len, journal, err)) < 0 ||
	    (rc = file_sync(fd, journal, err)) < 0)
		return rc;
	return file_close(&fd, journal, err);
}

static int check(struct mm_journal *j, const struct mm *mm, struct err *err)
{
	struct mm_journal_entry e;
	int rc = check_head(j, mm, err);

	while (rc == 1 && (rc = mm_journal_next(j, &e, err)) == 1) {
		j->any_path |= e.path[0][0] || e.path[1][0] || e.path[2][0];
		j->any_thread |= e.thread[0] != '\0';
	}
	j->entries = j->at;
	j->checked = true;
	j->end = j->next - (off_t)(j->have - j->from); /* what is left has no end: a torn line */
	mm_journal_rewind(j);
	return rc;
}

static int destroy(struct mm_journal *j)
{
	fd_close_p(&j->fd);
	return 0;
}

static int open_file(struct mm_journal *j, struct err *err)
{
	struct stat st;

	j->fd = openat(j->dirfd, j->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (j->fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, ERR_STORE, errno, "cannot open the %s", j->kind->journal);
	if (fstat(j->fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at the %s", j->kind->journal);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STORE, "the %s is not a regular file", j->kind->journal);
	j->end = st.st_size;
	return 1;
}

int mm_journal_open(void *ctx, struct mm *mm, int dirfd, const char *name, const struct mm_unlink_kind *kind,
		    struct mm_journal **ret, struct err *err)
{
	auto_mem struct mm_journal *j = mem_new(ctx, struct mm_journal);
	int rc;

	*j = (struct mm_journal){.kind = kind, .dirfd = dirfd, .fd = -1, .name = mem_strdup(j, name)};
	talloc_set_destructor(j, destroy);
	buf_init(&j->text, j, 2 * (LINE_BYTES + READ_BYTES));
	if ((rc = open_file(j, err)) == 1) {
		if ((rc = check(j, mm, err)) < 0)
			return rc;
		*ret = j;
		j = NULL;
		return 0;
	}
	if (rc == 0)
		*ret = NULL;
	return rc;
}

uint64_t mm_journal_entries(const struct mm_journal *j)
{
	return j->entries;
}

bool mm_journal_any_path(const struct mm_journal *j)
{
	return j->any_path;
}

bool mm_journal_any_thread(const struct mm_journal *j)
{
	return j->any_thread;
}

uint64_t mm_journal_at(const struct mm_journal *j)
{
	return j->at;
}

void mm_journal_rewind(struct mm_journal *j)
{
	TALLOC_FREE(j->block); /* many may be open, one of them is read */
	j->next = 0;
	j->have = j->from = 0;
	j->line_no = j->at = 0;
}

/* Earlier versions began what they added with an end of line, so half a line of a crash or a full disk is one in the
 * middle.  It was never committed, as the last one without an end never is.  Their lines begin with the user; what this
 * version writes is cut back before more is added. */
static bool is_earlier_half(const struct mm_journal *j)
{
	static const char begin[] = "{\"user\":\"";
	bool quoted = false;
	struct json_scan s;

	if (j->line_len < sizeof begin - 1 || memcmp(j->line, begin, sizeof begin - 1) != 0)
		return false;
	for (size_t i = 0; i < j->line_len; i++) {
		if (j->line[i] == '"')
			quoted = !quoted;
		else if (quoted && j->line[i] == '\\')
			i++;
		else if (!quoted && j->line[i] == '}')
			return false;
	}
	json_scan_init(&s, j->line, j->line_len);
	while (json_scan_next(&s))
		if (field_of(&s) < 0)
			return false;
	/* Its key is that of the member in which it breaks off, or of the one before. */
	return s.bad && field_of(&s) >= 0 && (s.p >= s.end || (quoted && !memchr(s.p, '"', (size_t)(s.end - s.p))));
}

/* Is the line none that is looked at? */
static bool is_passed_over(const struct mm_journal *j)
{
	if (!j->kind->earlier || (j->line_len && !is_earlier_half(j)))
		return false;
	if (j->line_len && !j->checked)
		log_warn("line %llu of ledger/%s is half a line of a crash, was never committed and is passed over",
			 (unsigned long long)j->line_no, j->name);
	return true;
}

int mm_journal_next(struct mm_journal *j, struct mm_journal_entry *ret, struct err *err)
{
	int rc = j->line_no ? 1 : next_line(j, err); /* the head was looked at when it was opened */

	while (rc == 1 && (rc = next_line(j, err)) == 1 && is_passed_over(j))
		;
	if (rc != 1)
		return rc;
	if (!parse(j, ret))
		return damaged(j, err);
	j->at++;
	return 1;
}
