/*
 * audit_find.c - questions: indexes to frames, and then the exact test on every real row.
 */
#include "audit_internal.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct known { UT_hash_handle hh; size_t len; char key[]; };
struct find {
	struct audit *a;
	const struct audit_question *q;
	void *ctx;
	struct words *words;
	regex_t regex; bool has_regex;
	struct ids users, channels;
	bool by_channel;             /* channels, people in them, or a team were asked for */
	char *file_part, *file_glob; /* glob NULL: it is no pattern */
	struct buf text;
	struct audit_bundle *b;      /* the one being read */
	uint32_t frame;
	uint64_t seen;
	struct audit_found *out;
	bool threads_only;
	struct hash *hash;
	struct known *rows;          /* digests of the rows that were found */
	char owner[64];              /* the post of one of the users that was read last */
	bool post_seen;              /* while looking for it before a frame */
	/* for has_file: the post that was found last, not an earlier version */
	struct { char id[64]; struct buf files; } last;
};

/* true: not known before. */
static bool learn(void *ctx, struct known **all, const void *key, size_t len)
{
	struct known *k;

	HASH_FIND(hh, *all, key, len, k);
	if (k)
		return false;
	k = mem_check(talloc_zero_size(ctx, sizeof(*k) + len));
	memcpy(k->key, key, len);
	k->len = len;
	HASH_ADD_KEYPTR(hh, *all, k->key, k->len, k);
	return true;
}

/* ---- the exact test ---- */

/* the server's word for who uploaded what a program attached, or moved with a thread; in lines with its quotes */
static const char nobody[] = "nouser", no_user[] = "\"nouser\"";

/* Cheap, on the raw line: rows of other kinds and of other people are not worth decoding. */
static bool line_wanted(const void *payload, const char *line, size_t len)
{
	const struct find *f = payload;
	bool post = len > 11 && !memcmp(line, "{\"k\":\"post\"", 11);
	bool file = len > 11 && !memcmp(line, "{\"k\":\"file\"", 11);

	if (!post && !file)
		return false;
	if (f->users.n > 0) {
		bool any = false;
		for (size_t i = 0; i < f->users.n && !any; i++)
			any = memmem(line, len, f->users.id[i], strlen(f->users.id[i])) != NULL;
		if (!any)
			return file && memmem(line, len, no_user, sizeof(no_user) - 1) != NULL &&
			       (!f->words || words_may_line(f->words, line, len));
		if (post)
			return true; /* whatever it says: a file of nobody may hang on it */
	}
	return !f->words || words_may_line(f->words, line, len);
}

/* As a part, and as a pattern where it is one: `Bill [1].pdf` may be either. */
static bool name_matches(const struct find *f, struct catalog_text name)
{
	char *copy = composed(NULL, name.s ? name.s : "", name.len);
	bool hit = fnmatch(f->file_part, copy, FNM_CASEFOLD) == 0 ||
		   (f->file_glob && fnmatch(f->file_glob, copy, FNM_CASEFOLD) == 0);

	talloc_free(copy);
	return hit;
}

static bool regex_matches(const struct find *f, const char *text, size_t len)
{
	char *copy = composed(NULL, text, len);
	bool hit = regexec(&f->regex, copy, 0, NULL, 0) == 0;

	talloc_free(copy);
	return hit;
}

/* A file that nobody uploaded belongs to whose post it is on; that stands above it. */
static bool is_nobodys_here(const struct find *f, const struct catalog_row *row)
{
	return text_is(row->user, nobody, sizeof(nobody) - 1) && text_is(row->post, f->owner, strlen(f->owner));
}

static bool row_matches(struct find *f, const struct catalog_row *row)
{
	const struct audit_question *q = f->q;
	bool file = row->kind == CATALOG_FILE;

	if (row->kind != CATALOG_POST && !file)
		return false;
	if (row->create_ms < q->from_ms || row->create_ms >= q->before_ms)
		return false;
	if (f->users.n > 0 && !in_ids(&f->users, row->user) && !(file && is_nobodys_here(f, row)))
		return false;
	if (f->by_channel && !in_ids(&f->channels, row->channel))
		return false;
	if (f->file_part && !(file && name_matches(f, row->name)))
		return false;
	if (q->has_file && !file && row->file_ids.len < 4)
		return false;
	if (!f->words && !f->has_regex)
		return !file || f->file_part != NULL;
	buf_clear(&f->text);
	catalog_row_words(row, &f->text);
	buf_byte(&f->text, '\0'); /* never NULL */
	size_t len = f->text.len - 1;
	if (f->words && !words_hold(f->words, f->text.data, len))
		return false;
	return !f->has_regex || regex_matches(f, f->text.data, len);
}

/* ---- hits ---- */

static bool at_boundary(const char *s, size_t i)
{
	return ((unsigned char)s[i] & 0xc0) != 0x80;
}

/* Pieces are divided by line ends, and some may be empty. */
static void trim(struct buf *b)
{
	size_t from = 0;

	while (b->len > 0 && b->data[b->len - 1] == '\n')
		b->len--;
	while (from < b->len && b->data[from] == '\n')
		from++;
	if (from > 0)
		memmove(b->data, b->data + from, b->len -= from);
}

/* The text around the first word of the question, cut between characters. */
static char *snippet_of(struct find *f, const struct catalog_row *row)
{
	struct catalog_text t = row->kind == CATALOG_FILE ? row->name : row->message;
	size_t from = 0, to = 0, start = 0;

	buf_clear(&f->text);
	if (row->kind == CATALOG_POST && t.len == 0)
		catalog_row_words(row, &f->text);
	else
		buf_put(&f->text, t.s ? t.s : "", t.len);
	trim(&f->text);
	buf_byte(&f->text, '\0');
	size_t len = f->text.len - 1;
	if (f->words && words_hold(f->words, f->text.data, len))
		(void)words_place(f->words, f->text.data, len, &from, &to); /* else from the start */
	if (from > SNIPPET_BYTES / 3)
		start = from - SNIPPET_BYTES / 3;
	while (start > 0 && start < len && !at_boundary(f->text.data, start))
		start--;
	size_t end = start + SNIPPET_BYTES < len ? start + SNIPPET_BYTES : len;
	while (end < len && !at_boundary(f->text.data, end))
		end++;
	return mem_printf(f->ctx, "%s%.*s%s", start ? "…" : "", (int)(end - start), f->text.data + start,
			  end < len ? "…" : "");
}

static void hit_add(struct find *f, const struct catalog_row *row)
{
	struct audit_found *o = f->out;
	struct catalog_text thread = row->kind == CATALOG_FILE ? row->post : thread_of(row);

	if (o->n % 64 == 0)
		o->hit = mem_grow(f->ctx, o->hit, struct audit_hit, o->n + 64);
	struct audit_hit *h = &o->hit[o->n++];
	*h = (struct audit_hit){
		.bundle = f->b, .ref = {.bundle = f->b->index, .frame = f->frame}, .user = text_dup(f->ctx, row->user),
		.post = text_dup(f->ctx, row->kind == CATALOG_FILE ? row->post : row->id),
		.channel = text_dup(f->ctx, row->channel),
		.snippet = f->threads_only ? NULL : snippet_of(f, row), .create_ms = row->create_ms,
		.deleted = row->delete_ms > 0,
		.webhook = row->kind == CATALOG_POST ? props_webhook(f->ctx, row->props.s, row->props.len) : NULL,
		.file_name = row->kind == CATALOG_FILE ? text_dup(f->ctx, row->name) : NULL,
		.earlier_version = row->original.len > 0,
		.file_ids = f->q->has_file && row->original.len > 0 ? text_dup(f->ctx, row->file_ids) : NULL,
		.by_post = row->kind == CATALOG_FILE || (row->original.len > 0 && row->root.len == 0),
	};
	/* ids are 26 */
	(void)snprintf(h->ref.root, sizeof(h->ref.root), "%.*s", (int)thread.len, thread.s ? thread.s : "");
}

/* The next id in a list of them, which is JSON; what was before in *rest. */
static bool next_id(struct catalog_text *rest, struct catalog_text *ret)
{
	const char *from = memchr(rest->s, '"', rest->len), *end = rest->s + rest->len;
	const char *to = from ? memchr(from + 1, '"', (size_t)(end - from - 1)) : NULL;

	if (!to)
		return false;
	*ret = (struct catalog_text){from, (size_t)(to - from) + 1}; /* with its quotes */
	*rest = (struct catalog_text){to + 1, (size_t)(end - to) - 1};
	return true;
}

/* An earlier version whose files the post that was found has still says nothing new.  They follow each other. */
static bool repeats_files(struct find *f, const struct catalog_row *row)
{
	struct catalog_text rest = row->file_ids, id;

	if (!f->q->has_file || row->kind != CATALOG_POST)
		return false;
	if (row->original.len == 0) {
		(void)snprintf(f->last.id, sizeof(f->last.id), "%.*s", (int)row->id.len, row->id.s); /* ids are 26 */
		buf_clear(&f->last.files);
		buf_put(&f->last.files, rest.s, rest.len);
		return false;
	}
	if (!text_is(row->original, f->last.id, strlen(f->last.id)))
		return false;
	while (next_id(&rest, &id))
		if (!memmem(f->last.files.data, f->last.files.len, id.s, id.len))
			return false;
	return true;
}

static void note_owner(struct find *f, const struct catalog_row *row)
{
	if (row->kind == CATALOG_POST && in_ids(&f->users, row->user))
		(void)snprintf(f->owner, sizeof(f->owner), "%.*s", (int)row->id.len, row->id.s); /* ids are 26 */
}

static int find_row(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	struct find *f = payload;
	struct digest d;

	(void)err;
	note_owner(f, row);
	if (!row_matches(f, row) || repeats_files(f, row))
		return 0;
	/* A thread that was archived, stayed or came back, and was archived again is in two bundles: what did not
	 * change is one answer. */
	hash_bytes(f->hash, line, len, &d);
	if (!learn(f->ctx, &f->rows, &d, sizeof d))
		return 0;
	if (f->seen++ < f->q->offset)
		return 0;
	if (f->q->limit && f->out->n >= f->q->limit) {
		f->out->more = true;
		return 1;
	}
	hit_add(f, row);
	return 0;
}

/* ---- bundles ---- */

static int post_before(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	struct find *f = payload;

	(void)line;
	(void)len;
	(void)err;
	note_owner(f, row);
	f->post_seen |= row->kind == CATALOG_POST;
	return 0;
}

/* A file of nobody at the beginning of a frame is of the post that was last before it, which no index names. */
static int look_before(struct find *f, uint32_t frame, struct err *err)
{
	int rc = 0;

	f->post_seen = false;
	while (rc == 0 && !f->post_seen && frame-- > 0)
		rc = frame_rows(f->b, frame, NULL, post_before, f, err);
	return rc;
}

static int find_frame(struct find *f, uint32_t frame, bool nobodys, struct err *err)
{
	int rc = stop_check(err);

	if (!rc && nobodys)
		rc = look_before(f, frame, err);
	f->frame = frame;
	return rc ? rc : frame_rows(f->b, frame, line_wanted, find_row, f, err);
}

/* hits: by what was asked; more: where files of nobody are, that may be on posts of those who were asked for. */
static int find_frames(struct find *f, const struct catalog_hits *hits, const struct catalog_hits *more,
		       struct err *err)
{
	int rc = bundle_use(f->a, f->b->index, &f->b, err);
	bool all = hits->all || more->all;
	size_t n = rc ? 0 : all ? bundle_frames(f->b->reader) : hits->n, m = rc || all ? 0 : more->n;

	for (size_t k = 0, j = 0; (k < n || j < m) && !rc;) {
		bool nobodys = j < m && (k == n || more->frame[j] <= hits->frame[k]);
		uint32_t frame = all ? (uint32_t)k : nobodys ? more->frame[j] : hits->frame[k];
		k += k < n && (all || hits->frame[k] == frame);
		j += nobodys;
		rc = find_frame(f, frame, nobodys, err);
	}
	return rc;
}

/* Has bundle i anything at all of those who were asked for? */
static int is_in(struct find *f, size_t i, const struct catalog_query *query, void *ctx, struct err *err)
{
	struct catalog_query any = {.user = query->user, .n_users = query->n_users, .from_ms = INT64_MIN,
				    .before_ms = INT64_MAX};
	struct catalog_hits hits;
	int rc = catalog_frames(f->a->catalog, i, &any, ctx, &hits, err);

	return rc ? rc : hits.all || hits.n > 0;
}

/* The frames of bundle i that may hold a match: by what was asked, and those with files of nobody where files count. */
static int narrow(struct find *f, size_t i, const struct catalog_query *query, void *ctx, struct catalog_hits *ret,
		  struct catalog_hits *ret_more, struct err *err)
{
	static const char *const user = nobody;
	bool files = f->words || f->has_regex || f->file_part;
	struct catalog_query of_nobody = *query;
	int rc = catalog_frames(f->a->catalog, i, query, ctx, ret, err);

	*ret_more = (struct catalog_hits){.n = 0};
	if (rc || ret->all || f->users.n == 0 || !files)
		return rc;
	of_nobody.user = &user;
	of_nobody.n_users = 1;
	/* That first: of most bundles the catalog itself says that they have none. */
	rc = catalog_frames(f->a->catalog, i, &of_nobody, ctx, ret_more, err);
	if (rc == 0 && ret->n == 0 && (ret_more->all || ret_more->n > 0) && (rc = is_in(f, i, query, ctx, err)) == 0)
		*ret_more = (struct catalog_hits){.n = 0};
	return rc < 0 ? rc : 0;
}

static int find_bundles(struct find *f, struct err *err)
{
	struct catalog_query query = {
		.user = f->users.id, .n_users = f->users.n, .channel = f->channels.id, .n_channels = f->channels.n,
		.from_ms = f->q->from_ms, .before_ms = f->q->before_ms,
		.match = f->words ? words_match(f->ctx, f->words) : NULL,
		.with_files = f->q->has_file || f->q->file_name,
	};
	int rc = missing_question(f->a, &query, err);

	if (rc < 0 || (f->by_channel && f->channels.n == 0))
		return rc;
	for (size_t i = 0; i < f->a->catalog->n_bundles && !rc; i++) {
		void *tmp auto_mem = mem_context(NULL, "frames");
		struct catalog_hits hits, more;
		rc = narrow(f, i, &query, tmp, &hits, &more, err);
		if (rc || (!hits.all && hits.n == 0 && !more.all && more.n == 0))
			continue;
		f->b = &f->a->bundle[i];
		rc = bundle_passed(f->a, i, find_frames(f, &hits, &more, err), err);
	}
	f->a->stats.bundles_without_index = f->a->catalog->without_index;
	return rc < 0 ? rc : 0;
}

/* ---- the question ---- */

static int find_regex(struct find *f, struct err *err)
{
	char what[200];
	int code = regcomp(&f->regex, composed(f->ctx, f->q->regex, strlen(f->q->regex)),
			   REG_EXTENDED | REG_ICASE | REG_NOSUB | REG_NEWLINE);

	f->has_regex = code == 0;
	if (code == 0)
		return 0;
	(void)regerror(code, &f->regex, what, sizeof(what));
	err_set(err, ERR_USAGE, "the regular expression makes no sense: %s", what);
	return err_hint(err, "It is a POSIX extended one; a sign of `. [ ( ) * + ? { | ^ $ \\` that is meant as itself "
			     "has `\\` before it.");
}

static int find_prepare(struct find *f, struct err *err)
{
	const struct audit_question *q = f->q;
	int rc = 0;

	buf_init(&f->text, f->ctx, (size_t)64 << 20);
	buf_init(&f->last.files, f->ctx, 1 << 20);
	f->hash = hash_new(f->ctx);
	if (q->words && q->words[0] && !f->a->words)
		rc = catalog_words_new(f->a, &f->a->words, err);
	if (!rc && q->words && q->words[0])
		rc = words_parse(f->ctx, f->a->words, q->words, &f->words, err);
	if (!rc && q->regex)
		rc = find_regex(f, err);
	if (q->file_name) {
		char *name = composed(f->ctx, q->file_name, strlen(q->file_name));
		f->file_part = glob_of_part(f->ctx, name);
		f->file_glob = strpbrk(name, "*?[") ? name : NULL;
	}
	f->by_channel = q->n_channels > 0 || q->n_with > 0 || q->team;
	return rc ? rc : names_resolve(f->a, q, f->ctx, &f->users, &f->channels, err);
}

static int find_run(struct find *f, struct err *err)
{
	int rc = find_prepare(f, err);

	if (!rc)
		rc = find_bundles(f, err);
	if (!rc)
		rc = hits_threads(f->a, f->out, err);
	if (!rc && f->q->has_file && !f->threads_only)
		rc = hits_files(f->a, f->out, f->ctx, err);
	if (f->has_regex)
		regfree(&f->regex);
	HASH_CLEAR(hh, f->rows);
	return rc;
}

int audit_find(struct audit *a, const struct audit_question *q, void *ctx, struct audit_found *ret, struct err *err)
{
	struct audit_found found = {0};
	struct find f = {.a = a, .q = q, .ctx = ctx, .out = &found};
	int rc = find_run(&f, err);

	found.seen = f.seen;
	if (!rc)
		*ret = found;
	return rc;
}

int audit_find_threads(struct audit *a, const struct audit_question *q, void *ctx, struct audit_ref **ret,
		       size_t *ret_n, struct err *err)
{
	struct audit_found found = {0};
	void *tmp auto_mem = mem_context(NULL, "threads");
	struct find f = {.a = a, .q = q, .ctx = tmp, .out = &found, .threads_only = true};
	struct known *known = NULL;
	struct audit_ref *list = NULL, *of_one;
	size_t n = 0, n_one;
	int rc = find_run(&f, err);

	for (size_t i = 0; i < found.n && rc >= 0; i++) {
		const char *root = found.hit[i].ref.root;
		if (!learn(tmp, &known, root, strlen(root)))
			continue;
		rc = audit_locate_all(a, root, tmp, &of_one, &n_one, err);
		if (rc == -ERR_NOT_FOUND) { /* a file whose post is nowhere */
			err_clear(err);
			rc = 0;
			continue;
		}
		for (size_t k = 0; k < n_one && rc >= 0; k++) {
			list = mem_grow(ctx, list, struct audit_ref, n + 1);
			list[n++] = of_one[k];
		}
	}
	HASH_CLEAR(hh, known);
	if (rc < 0)
		return rc;
	*ret = list;
	*ret_n = n;
	return 0;
}
