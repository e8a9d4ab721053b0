/*
 * run_erase_late.c - rows that came too late for their bundle lie beside the ledger, and the person's go from there
 * too.
 *
 * A file is never changed in place: what stays is written to a new one that is renamed over it.
 */
#include "run_internal.h"
#include "run_erase.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LATE_MAX ((size_t)256 << 20)

typedef int (*name_fn)(struct erase *x, void *payload, const char *name, struct err *err);

/* Of a file that was listed.  Looking takes no lock: a run, or an expiry, may have removed it meanwhile, and then
 * nothing of it is left. */
static int read_listed(struct erase *x, void *ctx, const char *name, char **ret, size_t *ret_len, struct err *err)
{
	int rc = file_read(ctx, x->store->ledger_dirfd, name, LATE_MAX, ret, ret_len, err);

	if (rc != -ERR_NOT_FOUND)
		return rc;
	err_clear(err);
	*ret = mem_strdup(ctx, "");
	*ret_len = 0;
	return 0;
}

/* Names first: files are replaced while they are looked at. */
static int each_name(struct erase *x, const char *begin, name_fn fn, void *payload, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "ledger files");
	const struct dirent *e;
	char **name = NULL;
	size_t n = 0, len = strlen(begin);
	DIR *d;
	int rc = file_list_dir(x->store->ledger_dirfd, ".", &d, err);

	if (rc < 0)
		return rc;
	while ((errno = 0, e = readdir(d)) != NULL) {
		const char *dot = strrchr(e->d_name, '.');
		if (strncmp(e->d_name, begin, len) != 0 || !dot || strcmp(dot, ".jsonl") != 0)
			continue;
		name = mem_grow(ctx, name, char *, n + 1);
		name[n++] = mem_strdup(ctx, e->d_name);
	}
	if (errno)
		rc = err_sys(err, ERR_STORE, errno, "cannot list \"ledger\"");
	closedir(d); /* read only: nothing to lose */
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fn(x, payload, name[i], err);
	return rc;
}

/* ---- late rows ---- */

struct late { struct erase_bundle *b; bool act; uint64_t *n; };

static bool is_post_that_goes(const struct erase_bundle *b, const struct json_scan *s)
{
	for (size_t i = 0; i < b->n_posts; i++)
		if (strlen(b->post[i]) == s->val_len && memcmp(b->post[i], s->val, s->val_len) == 0)
			return true;
	return false;
}

static bool key_is(const struct json_scan *s, const char *key)
{
	return s->key_len == strlen(key) && memcmp(s->key, key, s->key_len) == 0;
}

static bool is_owner(const struct erase *x, const struct json_scan *s)
{
	const char *user = x->options->user;

	return (key_is(s, "userid") || key_is(s, "creatorid")) && s->val_len == strlen(user) &&
	       memcmp(s->val, user, s->val_len) == 0;
}

/* By the owner columns of all kinds; translations and texts that burn by the post that they are of. */
static bool row_goes(const struct erase *x, const struct erase_bundle *b, const char *row, size_t len, bool repeats)
{
	struct json_scan s;

	json_scan_init(&s, row, len);
	while (json_scan_next(&s)) {
		if (s.type != JSON_STR)
			continue;
		if (is_owner(x, &s))
			return true;
		if (repeats && (key_is(&s, "objectid") || key_is(&s, "postid")) && is_post_that_goes(b, &s))
			return true;
	}
	return false;
}

/* Whichever column has it: one of these is the post that the row is of. */
static void note_ids(struct erase_bundle *b, const char *row, size_t len)
{
	struct json_scan s;

	json_scan_init(&s, row, len);
	while (json_scan_next(&s)) {
		if (s.type != JSON_STR || s.val_len != MM_ID)
			continue;
		b->late_id = mem_grow(b, b->late_id, char *, b->n_late_ids + 1);
		b->late_id[b->n_late_ids++] = mem_strndup(b, s.val, s.val_len);
	}
}

static bool line_goes(const struct erase *x, struct erase_bundle *b, const char *line, size_t len)
{
	bool repeats = false, goes = false;
	struct json_scan s;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (key_is(&s, "k"))
			repeats = (s.val_len == 11 && memcmp(s.val, "translation", 11) == 0) ||
				  (s.val_len == 9 && memcmp(s.val, "temporary", 9) == 0);
		if (key_is(&s, "row") && s.type == JSON_OBJ)
			goes = row_goes(x, b, s.val, s.val_len, repeats);
		if (goes && key_is(&s, "row"))
			note_ids(b, s.val, s.val_len);
	}
	return goes;
}

static int replace(struct erase *x, const char *name, const struct buf *rest, struct err *err)
{
	int dirfd = x->store->ledger_dirfd;

	/* Before: the file as it was, and the ledger announces the erasure: done again.  After: the file without the
	 * rows, or none. */
	if (rest->len)
		return file_replace(dirfd, name, rest->data, rest->len, 0600, err);
	if (unlinkat(dirfd, name, 0) != 0 && errno != ENOENT)
		return err_sys(err, ERR_STORE, errno, "cannot remove \"ledger/%s\"", name);
	return file_sync_dir(dirfd, "ledger", err);
}

static int on_late(struct erase *x, void *payload, const char *name, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "late rows");
	struct late *l = payload;
	uint64_t n = 0;
	struct buf rest;
	char *text;
	size_t len;
	int rc = read_listed(x, ctx, name, &text, &len, err);

	if (rc < 0)
		return rc;
	buf_init(&rest, ctx, LATE_MAX);
	for (const char *p = text, *end = text + len; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
		bool goes = line_goes(x, l->b, p, (size_t)(stop - p));

		n += goes;
		if (!goes)
			buf_put(&rest, p, (size_t)((nl ? nl + 1 : end) - p));
		p = nl ? nl + 1 : end;
	}
	*l->n += n;
	return l->act && n ? replace(x, name, &rest, err) : 0;
}

int erase_late(struct erase *x, struct erase_bundle *b, bool act, uint64_t *ret, struct err *err)
{
	struct late l = {.b = b, .act = act, .n = ret};
	char hex[DIGEST_HEX + 1], begin[32];

	*ret = 0;
	if (!b->voucher.found)
		return 0;
	digest_hex(&b->voucher.rows, hex);
	snprintf(begin, sizeof begin, "late-%.12s-", hex);
	return each_name(x, begin, on_late, &l, err);
}

/* late-<12 digits>-<n>.jsonl; the digits are those of the rows digest in the bundle's name. */
static int on_name(struct erase *x, void *payload, const char *name, struct err *err)
{
	const char *digits = name + strlen("late-"), *dash = strchr(digits, '-');

	(void)payload;
	(void)err;
	if (dash && dash > digits) {
		x->late = mem_grow(x->ctx, x->late, const char *, x->n_late + 1);
		x->late[x->n_late++] = mem_strndup(x->ctx, digits, (size_t)(dash - digits));
	}
	return 0;
}

int erase_late_list(struct erase *x, struct err *err)
{
	return each_name(x, "late-", on_name, NULL, err);
}

bool erase_late_possible(const struct erase *x, const char *rel_path)
{
	for (size_t i = 0; i < x->n_late; i++)
		if (strstr(rel_path, x->late[i]))
			return true;
	return false;
}

/* ---- journals ---- */

struct journal { const char *ids; size_t len; bool *found; };

static int on_journal(struct erase *x, void *payload, const char *name, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "journal");
	struct journal *j = payload;
	const char *nl;
	char *text;
	size_t len;
	int rc = read_listed(x, ctx, name, &text, &len, err);

	for (const char *p = j->ids, *end = p + j->len;
	     rc == 0 && p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1)
		if (nl > p && memmem(text, len, p, (size_t)(nl - p)))
			*j->found = true;
	return rc;
}

static const char waits[] = "an attachment of the person waits in a journal to be unlinked, with its name; the next "
			    "run tries again";
static const char waits_aside[] = "an attachment of the person waits in a journal that was set aside, with its name "
				  "(ledger/moved-*, ledger/lost-unlink-*): remove that file when its attachments may "
				  "stay";

int erase_in_journal(struct erase *x, const struct erase_bundle *b, const char **ret_why, struct err *err)
{
	static const char *const kinds[] = {"unlink-", "moved-unlink-", "moved-people-unlink-", "lost-unlink-"};
	bool found = false;
	struct journal j = {.found = &found};
	int rc = 0;

	*ret_why = NULL;
	j.ids = bundle_erase_files(b->erasure, &j.len);
	if (j.len == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && rc >= 0 && !found; i++) {
		rc = each_name(x, kinds[i], on_journal, &j, err);
		if (found)
			*ret_why = i == 0 ? waits : waits_aside;
	}
	return rc;
}
