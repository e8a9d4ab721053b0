/*
 * bundle_erase.c - which rows of a bundle go when one person is erased.
 *
 * The decisions are made once, in one pass over all rows, and kept as one bit for each: what is shown before is what is
 * done after.
 */
#include "bundle_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int erasure_free(struct bundle_erasure *e)
{
	bundle_abort(e->w);
	fd_close_p(&e->root_dirfd);
	return 0;
}

static void set_bit(struct bundle_erasure *e, uint64_t line, bool goes)
{
	size_t have = talloc_get_size(e->goes);

	if (line / 8 >= have) {
		e->goes = mem_grow(e, e->goes, uint8_t, have ? 2 * have : 4096);
		memset(e->goes + have, 0, talloc_get_size(e->goes) - have);
	}
	if (goes)
		e->goes[line / 8] |= (uint8_t)(1u << line % 8);
}

/* The ids of file rows that go: data/files.jsonl names them. */
static void note_file(struct bundle_erasure *e, const char *line, size_t len)
{
	struct json_scan s;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (s.type != JSON_STR || s.key_len != 2 || memcmp(s.key, "id", 2) != 0)
			continue;
		buf_put(&e->files_gone, s.val, s.val_len);
		buf_byte(&e->files_gone, '\n');
	}
}

static void note_row(struct bundle_erasure *e, size_t frame, int kind, const char *line, size_t len)
{
	const char *name = e->rules->kind[kind].kind;

	e->kind_rows[kind]++;
	e->sum.rows++;
	e->sum.posts += (size_t)kind == e->rules->post;
	e->sum.frames += !e->touched[frame];
	e->touched[frame] = true;
	if (strcmp(name, "file") == 0)
		note_file(e, line, len);
}

static int scan_row(struct bundle_erasure *e, size_t frame, const char *line, size_t len, struct err *err)
{
	const struct bundle_erase *q = e->q;
	struct row_seen seen;
	const char *wrong = row_look(e->check, line, len, &seen);
	int goes = 0;

	if (wrong)
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged: row %llu %s", e->r->name,
			       (unsigned long long)e->n_lines + 1, wrong);
	bool owned =
		!seen.erased && seen.owner_len == strlen(q->owner) && memcmp(seen.owner, q->owner, seen.owner_len) == 0;
	goes = q->row ? q->row(q->payload, &e->rules->kind[seen.kind], line, len, owned, err) : 0;
	if (goes < 0)
		return goes;
	goes = !seen.erased && (goes || owned);
	set_bit(e, e->n_lines++, goes);
	if (goes)
		note_row(e, frame, seen.kind, line, len);
	return 0;
}

static int scan_frame(struct bundle_erasure *e, size_t i, struct err *err)
{
	int rc = reader_frame(e->r, e->r->frame[i].no, err);
	const char *p = e->r->raw.data, *end = rc ? p : p + e->r->raw.len;

	while (!rc && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "\"%s\" is damaged: a frame does not end with a whole row",
				       e->r->name);
		rc = scan_row(e, i, p, (size_t)(nl - p), err);
		p = nl + 1;
	}
	return rc;
}

static char *next_rel_path(struct bundle_erasure *e)
{
	const char *slash = strrchr(e->rel_path, '/');
	struct digest rows = {{0}};

	(void)hex_decode(e->r->trailer.rows_hex, DIGEST_BYTES, rows.b); /* it was parsed as hexadecimal digits */
	char *name = bundle_final_name(e, e->r->trailer.identity, &rows, (uint32_t)e->r->trailer.generation + 1);
	return mem_printf(e, "%.*s%s", slash ? (int)(slash - e->rel_path) + 1 : 0, e->rel_path, name);
}

static int scan_open(struct bundle_erasure *e, int root_dirfd, struct err *err)
{
	e->root_dirfd = fcntl(root_dirfd, F_DUPFD_CLOEXEC, 0);
	if (e->root_dirfd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot keep the archive open");
	int rc = bundle_open(e, root_dirfd, e->rel_path, &e->r, err);
	if (!rc)
		rc = rows_prepare(e->rules, e, e->r, err);
	if (rc)
		return rc;
	if (e->r->trailer.generation >= GENERATIONS_MAX)
		return err_set(err, ERR_STORE, "\"%s\" was rewritten too often", e->rel_path);
	row_check_init(e->check, e, e->rules);
	e->kind_rows = mem_array(e, uint64_t, e->rules->n_kinds + 1);
	e->touched = mem_array(e, bool, e->r->n_frames + 1);
	e->new_rel_path = next_rel_path(e);
	return 0;
}

static struct bundle_erasure *erasure_new(void *ctx, const char *rel_path, const struct bundle_erase *q)
{
	struct bundle_erasure *e = mem_new(ctx, struct bundle_erasure);
	struct buf *bufs[] = {&e->files_gone, &e->users, &e->channels, &e->files, &e->salts};

	e->q = q;
	e->root_dirfd = -1;
	talloc_set_destructor(e, erasure_free);
	e->rel_path = mem_strdup(e, rel_path);
	e->rules = mem_new(e, struct row_rules);
	e->check = mem_new(e, struct row_check);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i], e, TEXT_MEMBER_MAX);
	return e;
}

int bundle_erase_known(int root_dirfd, const char *rel_path, const struct bundle_erase *q, bool *ret, struct err *err)
{
	struct bundle_erasure *e = erasure_new(NULL, rel_path, q);
	int rc = bundle_open(e, root_dirfd, rel_path, &e->r, err);

	if (!rc)
		rc = erase_texts(e, err);
	if (!rc)
		*ret = e->sum.known;
	talloc_free(e);
	return rc;
}

int bundle_erase_scan(void *ctx, int root_dirfd, const char *rel_path, const struct bundle_erase *q,
		      struct bundle_erasure **ret, struct err *err)
{
	struct bundle_erasure *e = erasure_new(ctx, rel_path, q);
	int rc = scan_open(e, root_dirfd, err);

	for (size_t i = 0; !rc && i < e->r->n_frames; i++)
		if (is_row_member(e->r->frame[i].member))
			rc = scan_frame(e, i, err);
	if (!rc)
		rc = erase_texts(e, err);
	if (rc) {
		talloc_free(e);
		return rc;
	}
	e->sum.kind = e->rules->kind;
	e->sum.n_kinds = e->rules->n_kinds;
	e->sum.kind_rows = e->kind_rows;
	*ret = e;
	return 0;
}

const char *bundle_erase_files(const struct bundle_erasure *e, size_t *ret_len)
{
	*ret_len = e->files_gone.len;
	return e->files_gone.data;
}

const struct bundle_erase_sum *bundle_erase_sum(const struct bundle_erasure *e)
{
	return &e->sum;
}

const char *bundle_erase_rel_path(const struct bundle_erasure *e)
{
	return e->new_rel_path;
}
