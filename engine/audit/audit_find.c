/*
 * audit_find.c - questions: names to ids, indexes to frames, and then the exact test on every real row.
 */
#include "audit_internal.h"

#include <fnmatch.h>
#include <regex.h>
#include <string.h>
#include <uthash.h>

struct ids { const char **id; size_t n; };
struct known { UT_hash_handle hh; size_t len; char key[]; };
struct find {
	struct audit *a;
	const struct audit_question *q;
	void *ctx;
	struct words *words;
	regex_t regex; bool has_regex;
	struct ids users, channels;
	bool by_channel;             /* channels or a team were asked for */
	char *file_glob;
	struct buf text;
	struct audit_bundle *b;      /* the one being read */
	uint32_t frame;
	uint64_t seen;
	struct audit_found *out;
	bool threads_only;
	struct hash *hash;
	struct known *rows;          /* digests of the rows that were found */
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

/* ---- names ---- */

struct resolve { struct find *f; const char *asked; struct ids *to; char *team; };

static void ids_put(struct find *f, struct ids *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->id[i], id))
			return;
	l->id = mem_grow(f->ctx, l->id, const char *, l->n + 1);
	l->id[l->n++] = mem_strdup(f->ctx, id);
}

static int match_name(void *payload, const struct catalog_name *n, struct err *err)
{
	struct resolve *r = payload;

	(void)err;
	if (r->team && strcmp(n->extra, r->team) != 0)
		return 0;
	if (!strcmp(n->id, r->asked) || !strcmp(n->name, r->asked))
		ids_put(r->f, r->to, n->id);
	return 0;
}

static int match_team(void *payload, const struct catalog_name *n, struct err *err)
{
	struct resolve *r = payload;

	(void)err;
	if (!strcmp(n->extra, r->asked))
		ids_put(r->f, r->to, n->id);
	return 0;
}

static bool looks_like_id(const char *s)
{
	return strlen(s) == 26 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789") == 26;
}

static int unknown(const struct find *f, const char *what, const char *asked, struct err *err)
{
	if (f->a->n_missing) {
		err_set(err, ERR_VERIFY, "no bundle that is there knows a %s \"%s\", and %zu %s missing", what, asked, f->a->n_missing, f->a->n_missing == 1 ? "is" : "are");
		return err_hint(err, AUDIT_MISSING_HINT);
	}
	err_set(err, ERR_NOT_FOUND, "no bundle knows a %s \"%s\"", what, asked);
	return err_hint(err, "Give the name as it was when it was archived, or the id.");
}

static int resolve_one(struct find *f, const char *what, const char *word, const char *asked, char *team, struct ids *to, struct err *err)
{
	struct resolve r = {.f = f, .asked = asked, .to = to, .team = team};
	size_t before = to->n;
	int rc;

	if (looks_like_id(asked)) { /* rows may name somebody whose account was gone already */
		ids_put(f, to, asked);
		return 0;
	}
	rc = catalog_names(f->a->catalog, what, match_name, &r, err);
	return rc ? rc : to->n > before ? 0 : unknown(f, word, asked, err);
}

/* Channels of the teams of that name. */
static int resolve_team(struct find *f, const char *asked, struct ids *teams, struct err *err)
{
	return resolve_one(f, "teams", "team", asked, NULL, teams, err);
}

static int resolve_channel(struct find *f, const char *asked, struct err *err)
{
	const char *slash = strchr(asked, '/');
	struct ids teams = {0};

	if (!slash)
		return resolve_one(f, "channels", "channel", asked, NULL, &f->channels, err);
	int rc = resolve_team(f, mem_strndup(f->ctx, asked, (size_t)(slash - asked)), &teams, err);
	size_t before = f->channels.n;
	for (size_t i = 0; i < teams.n && !rc; i++) {
		rc = resolve_one(f, "channels", "channel", slash + 1, mem_strdup(f->ctx, teams.id[i]), &f->channels, err);
		if (rc == -ERR_NOT_FOUND && (i + 1 < teams.n || f->channels.n > before))
			rc = 0;
	}
	return rc;
}

static int resolve_team_channels(struct find *f, struct err *err)
{
	struct ids teams = {0}, all = {0};
	int rc = resolve_team(f, f->q->team, &teams, err);

	for (size_t i = 0; i < teams.n && !rc; i++) {
		struct resolve r = {.f = f, .asked = teams.id[i], .to = &all};
		rc = catalog_names(f->a->catalog, "channels", match_team, &r, err);
	}
	if (rc || f->channels.n == 0) {
		f->channels = f->channels.n ? f->channels : all;
		return rc;
	}
	struct ids both = {0};
	for (size_t i = 0; i < f->channels.n; i++)
		for (size_t k = 0; k < all.n; k++)
			if (!strcmp(f->channels.id[i], all.id[k]))
				ids_put(f, &both, all.id[k]);
	f->channels = both;
	return 0;
}

static int resolve_all(struct find *f, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < f->q->n_users && !rc; i++) {
		const char *name = f->q->user[i];
		rc = resolve_one(f, "users", "user", name + (name[0] == '@'), NULL, &f->users, err);
	}
	for (size_t i = 0; i < f->q->n_channels && !rc; i++)
		rc = resolve_channel(f, f->q->channel[i], err);
	if (!rc && f->q->team)
		rc = resolve_team_channels(f, err);
	f->by_channel = f->q->n_channels > 0 || f->q->team;
	return rc;
}

/* ---- the exact test ---- */

static bool in_ids(const struct ids *l, struct catalog_text t)
{
	for (size_t i = 0; i < l->n; i++)
		if (text_is(t, l->id[i], strlen(l->id[i])))
			return true;
	return false;
}

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
			return false;
	}
	return !f->words || words_may_line(f->words, line, len);
}

static bool name_matches(const struct find *f, struct catalog_text name)
{
	char *copy = mem_strndup(NULL, name.s ? name.s : "", name.len);
	bool hit = fnmatch(f->file_glob, copy, FNM_CASEFOLD) == 0;

	talloc_free(copy);
	return hit;
}

static bool row_matches(struct find *f, const struct catalog_row *row)
{
	const struct audit_question *q = f->q;
	bool file = row->kind == CATALOG_FILE;

	if (row->kind != CATALOG_POST && !file)
		return false;
	if (row->create_ms < q->from_ms || row->create_ms >= q->before_ms)
		return false;
	if (f->users.n > 0 && !in_ids(&f->users, row->user))
		return false;
	if (f->by_channel && !in_ids(&f->channels, row->channel))
		return false;
	if (f->file_glob && !(file && name_matches(f, row->name)))
		return false;
	if (q->has_file && !file && (row->file_ids.len < 4 || row->original.len > 0))
		return false;
	if (!f->words && !f->has_regex)
		return !file || f->file_glob != NULL;
	buf_clear(&f->text);
	catalog_row_words(row, &f->text);
	buf_byte(&f->text, '\0'); /* for regexec */
	size_t len = f->text.len - 1;
	if (f->words && !words_hold(f->words, f->text.data, len))
		return false;
	return !f->has_regex || regexec(&f->regex, f->text.data, 0, NULL, 0) == 0;
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
	return mem_printf(f->ctx, "%s%.*s%s", start ? "…" : "", (int)(end - start), f->text.data + start, end < len ? "…" : "");
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
		.post = text_dup(f->ctx, row->kind == CATALOG_FILE ? row->post : row->id), .channel = text_dup(f->ctx, row->channel),
		.snippet = f->threads_only ? NULL : snippet_of(f, row), .create_ms = row->create_ms, .deleted = row->delete_ms > 0,
		.file_name = row->kind == CATALOG_FILE ? text_dup(f->ctx, row->name) : NULL,
		.earlier_version = row->original.len > 0,
		.by_post = row->kind == CATALOG_FILE || (row->original.len > 0 && row->root.len == 0),
	};
	(void)snprintf(h->ref.root, sizeof(h->ref.root), "%.*s", (int)thread.len, thread.s ? thread.s : ""); /* ids are 26 */
}

static int find_row(void *payload, const struct catalog_row *row, const char *line, size_t len, struct err *err)
{
	struct find *f = payload;
	struct digest d;

	(void)err;
	if (!row_matches(f, row))
		return 0;
	/* A thread that was archived, stayed or came back, and was archived again is in two bundles: what did not change is one answer. */
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

static int find_frames(struct find *f, const struct catalog_hits *hits, struct err *err)
{
	int rc = bundle_use(f->a, f->b->index, &f->b, err);
	size_t n = rc ? 0 : hits->all ? bundle_frames(f->b->reader) : hits->n;

	for (size_t k = 0; k < n && !rc; k++) {
		f->frame = hits->all ? (uint32_t)k : hits->frame[k];
		rc = stop_check(err);
		if (!rc)
			rc = frame_rows(f->b, f->frame, line_wanted, find_row, f, err);
	}
	return rc;
}

static int find_bundles(struct find *f, struct err *err)
{
	struct catalog_query query = {
		.user = f->users.id, .n_users = f->users.n, .channel = f->channels.id, .n_channels = f->channels.n,
		.from_ms = f->q->from_ms, .before_ms = f->q->before_ms, .match = f->words ? words_match(f->ctx, f->words) : NULL,
		.with_files = f->q->has_file || f->q->file_name,
	};
	int rc = missing_question(f->a, &query, err);

	if (rc < 0 || (f->by_channel && f->channels.n == 0))
		return rc;
	for (size_t i = 0; i < f->a->catalog->n_bundles && !rc; i++) {
		void *tmp auto_mem = mem_context(NULL, "frames");
		struct catalog_hits hits;
		rc = catalog_frames(f->a->catalog, i, &query, tmp, &hits, err);
		if (rc || (!hits.all && hits.n == 0))
			continue;
		f->b = &f->a->bundle[i];
		rc = bundle_passed(f->a, i, find_frames(f, &hits, err), err);
	}
	f->a->stats.bundles_without_index = f->a->catalog->without_index;
	return rc < 0 ? rc : 0;
}

/* ---- the question ---- */

static int find_regex(struct find *f, struct err *err)
{
	char what[200];
	int code = regcomp(&f->regex, f->q->regex, REG_EXTENDED | REG_ICASE | REG_NOSUB | REG_NEWLINE);

	f->has_regex = code == 0;
	if (code == 0)
		return 0;
	(void)regerror(code, &f->regex, what, sizeof(what));
	err_set(err, ERR_USAGE, "the regular expression makes no sense: %s", what);
	return err_hint(err, "It is a POSIX extended one; a sign of `. [ ( ) * + ? { | ^ $ \\` that is meant as itself has `\\` before it.");
}

static int find_prepare(struct find *f, struct err *err)
{
	const struct audit_question *q = f->q;
	int rc = 0;

	buf_init(&f->text, f->ctx, (size_t)64 << 20);
	f->hash = hash_new(f->ctx);
	if (q->words && q->words[0] && !f->a->words)
		rc = catalog_words_new(f->a, &f->a->words, err);
	if (!rc && q->words && q->words[0])
		rc = words_parse(f->ctx, f->a->words, q->words, &f->words, err);
	if (!rc && q->regex)
		rc = find_regex(f, err);
	if (q->file_name)
		f->file_glob = strpbrk(q->file_name, "*?[") ? mem_strdup(f->ctx, q->file_name) : mem_printf(f->ctx, "*%s*", q->file_name);
	return rc ? rc : resolve_all(f, err);
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

/* Where the thread of a hit is read: as it was last, or the part of it.  1, or 0: nowhere. */
static int thread_of_hit(struct audit *a, const struct audit_ref *r, struct audit_ref *ret, struct err *err)
{
	int rc;

	if (a->bundle[r->bundle].parts)
		return locate_in(a, r->bundle, r->root, ret, err);
	rc = audit_locate(a, r->root, ret, err);
	if (rc != -ERR_NOT_FOUND)
		return rc < 0 ? rc : 1;
	err_clear(err);
	return 0;
}

int audit_find_threads(struct audit *a, const struct audit_question *q, void *ctx, struct audit_ref **ret, size_t *ret_n, struct err *err)
{
	struct audit_found found = {0};
	void *tmp auto_mem = mem_context(NULL, "threads");
	struct find f = {.a = a, .q = q, .ctx = tmp, .out = &found, .threads_only = true};
	struct known *known = NULL;
	struct audit_ref *list = NULL;
	size_t n = 0;
	int rc = find_run(&f, err);

	for (size_t i = 0; i < found.n && rc >= 0; i++) {
		const struct audit_ref *r = &found.hit[i].ref;
		if (i > 0 && !strcmp(found.hit[i - 1].ref.root, r->root) && found.hit[i - 1].ref.bundle == r->bundle) /* hits of one thread follow each other */
			continue;
		list = mem_grow(ctx, list, struct audit_ref, n + 1);
		rc = thread_of_hit(a, r, &list[n], err);
		if (rc > 0) {
			char *key = mem_printf(tmp, "%zu %s", list[n].bundle, list[n].root);
			n += learn(tmp, &known, key, strlen(key));
		}
	}
	HASH_CLEAR(hh, known);
	if (rc < 0)
		return rc;
	*ret = list;
	*ret_n = n;
	return 0;
}
