/*
 * run_erase_look.c - one bundle: what of the person is in it, and does anything stand against writing it again?
 *
 * Rows are the person's by the owner column of their kind.  Translations and texts that burn belong to nobody in the
 * tables, but repeat what the person wrote: those of the person's posts go too.  So do their files without an owner:
 * what a program uploads for somebody, and what a moved thread has, belongs to `nouser`.  A file of another account
 * stays, as every row of others does.
 */
#include "run_internal.h"
#include "run_erase.h"
#include "run_held.h"

#include <stdlib.h>
#include <string.h>

struct looking {
	struct erase *x;
	struct erase_bundle *b;
	struct held_bundle *held;
	mm_id thread;                      /* whose rows these are */
	size_t from;                       /* its first post among those that go */
	bool counted;                      /* the thread is among those in which a row goes, or a late row */
	char *hold;                        /* that covers a post of the thread */
	char *why;
};

/* ---- lines ---- */

struct fields {
	const char *id, *root, *original, *channel, *user, *post, *creator;
	size_t id_len, root_len, original_len, channel_len, user_len, post_len, creator_len;
	int64_t at_ms;
};

static void take(struct fields *f, const struct json_scan *s)
{
	const struct { const char *key; const char **to; size_t *len; } text[] = {
		{"id", &f->id, &f->id_len}, {"rootid", &f->root, &f->root_len},
		{"originalid", &f->original, &f->original_len},
		{"channelid", &f->channel, &f->channel_len}, {"userid", &f->user, &f->user_len},
		{"postid", &f->post, &f->post_len},
		{"objectid", &f->post, &f->post_len}, {"creatorid", &f->creator, &f->creator_len},
	};

	if (s->type == JSON_NUMBER && s->key_len == 8 && memcmp(s->key, "createat", 8) == 0)
		f->at_ms = strtoll(s->val, NULL, 10); /* a comma or a brace follows */
	for (size_t i = 0; s->type == JSON_STR && i < ARRAY_LEN(text); i++)
		if (s->key_len == strlen(text[i].key) && memcmp(s->key, text[i].key, s->key_len) == 0) {
			*text[i].to = s->val;
			*text[i].len = s->val_len;
		}
}

static void scan(const char *line, size_t len, struct fields *f)
{
	struct json_scan s;

	*f = (struct fields){.at_ms = 0};
	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		take(f, &s);
}

/* ---- threads ---- */

static void note_hold(struct looking *l)
{
	if (l->hold && l->counted && !l->why)
		l->why = mem_printf(l->b, "%s covers thread %s", l->hold, l->thread);
}

/* A thread that the ledger holds keeps the whole bundle, a hold of others only what it covers. */
static void take_hold(struct looking *l, const struct held_by *by)
{
	if (by->by_ledger && !l->why)
		l->why = mem_printf(l->b, "thread %s is held, %s", by->thread, by->name);
	if (!l->hold)
		l->hold = by->name;
	note_hold(l);
}

static bool has_late_row(const struct erase_bundle *b, const struct fields *f)
{
	for (size_t i = 0; i < b->n_late_ids && f->id; i++)
		if (strlen(b->late_id[i]) == f->id_len && memcmp(b->late_id[i], f->id, f->id_len) == 0)
			return true;
	return false;
}

/* Whole threads, and parts of one, name it in each post. */
static int on_post(struct looking *l, const struct fields *f, struct err *err)
{
	const char *id = f->root_len ? f->root : f->original_len ? f->original : f->id;
	size_t len = f->root_len ? f->root_len : f->original_len ? f->original_len : f->id_len;
	const struct held_post post = {.id = f->id,
				       .id_len = f->id_len,
				       .root = f->root,
				       .root_len = f->root_len,
				       .original = f->original,
				       .original_len = f->original_len,
				       .channel = f->channel,
				       .channel_len = f->channel_len,
				       .user = f->user,
				       .user_len = f->user_len,
				       .at_ms = f->at_ms};
	struct held_by by = {.name = NULL};
	int held;

	if (!id || len > MM_ID)
		return 0;
	if (strlen(l->thread) != len || memcmp(l->thread, id, len) != 0) {
		memset(l->thread, 0, sizeof l->thread);
		memcpy(l->thread, id, len);
		l->counted = false;
		l->from = l->b->n_posts;
		l->hold = NULL;
	}
	held = held_post(l->held, &post, &by, err);
	if (held > 0)
		take_hold(l, &by);
	if (held >= 0 && has_late_row(l->b, f)) {
		l->counted = true;
		note_hold(l);
	}
	return held < 0 ? held : 0;
}

static void on_goes(struct looking *l)
{
	if (!l->counted)
		l->b->ret->threads++;
	l->counted = true;
	note_hold(l);
}

static void note_id(struct erase_bundle *b, const char *id, size_t len)
{
	if (b->n_posts % 64 == 0)
		b->post = mem_grow(b, b->post, char *, b->n_posts + 64);
	b->post[b->n_posts++] = mem_strndup(b->post, id ? id : "", len);
}

/* An earlier text names the post: in parts that may have stayed on the server, and its files are here. */
static void note_post(struct erase_bundle *b, const struct fields *f)
{
	note_id(b, f->id, f->id_len);
	if (f->original_len)
		note_id(b, f->original, f->original_len);
}

/* What hangs on a post follows it, in the same thread. */
static bool on_own_post(const struct looking *l, const struct fields *f)
{
	const struct erase_bundle *b = l->b;

	for (size_t i = b->n_posts; f->post && i-- > l->from;)
		if (strlen(b->post[i]) == f->post_len && memcmp(b->post[i], f->post, f->post_len) == 0)
			return true;
	return false;
}

/* Of no account: `nouser` and other words stand there, or nothing. */
static bool is_nobodys_file(const struct bundle_kind *kind, const struct fields *f)
{
	return strcmp(kind->kind, "file") == 0 && f->creator_len != MM_ID;
}

static bool is_of_post(const struct bundle_kind *kind, const struct fields *f)
{
	return strcmp(kind->kind, "translation") == 0 || strcmp(kind->kind, "temporary") == 0 ||
	       is_nobodys_file(kind, f);
}

static bool mentions(const struct erase *x, const char *line, size_t len)
{
	const struct run_erase_options *o = x->options;

	if (memmem(line, len, o->user, strlen(o->user)))
		return true;
	for (size_t i = 0; i < o->n_names; i++)
		if (memmem(line, len, o->name[i], strlen(o->name[i])))
			return true;
	return false;
}

static int on_row(void *payload, const struct bundle_kind *kind, const char *line, size_t len, bool owned,
		  struct err *err)
{
	struct looking *l = payload;
	bool post = strcmp(kind->kind, "post") == 0, goes = owned;
	struct fields f;
	int rc;

	scan(line, len, &f);
	if (post && (rc = on_post(l, &f, err)) < 0)
		return rc;
	if (!owned && is_of_post(kind, &f))
		goes = on_own_post(l, &f);
	if (post && owned)
		note_post(l->b, &f);
	if (goes)
		on_goes(l);
	else
		l->b->ret->mentions += mentions(l->x, line, len);
	return goes;
}

/* ---- the bundle ---- */

/* One that an earlier call left was taken up before, and could not be finished: what is written now must not stand on
 * its file. */
static const char *announced(const struct erase *x, const char *rel_path)
{
	for (size_t i = 0; i < x->state->n_erasing; i++)
		if (!x->state->erasing[i].given_up && strcmp(x->state->erasing[i].rel_path, rel_path) == 0)
			return "an erasure of somebody else in it was interrupted, and cannot be finished yet";
	return NULL;
}

/* A run that has a step to do with it compares rows with the bundle, and may put threads back from it. */
static const char *unfinished(const struct erase *x, const char *bundle, const char *rel_path)
{
	for (size_t i = 0; i < x->state->n_bundles; i++)
		if (strcmp(x->state->bundle[i].bundle, bundle) == 0)
			return "a run has not finished deleting what it holds; `mmretain run --yes` does that";
	for (size_t i = 0; i < x->state->n_last_run; i++)
		if (strcmp(x->state->last_run[i].bundle, bundle) == 0 && x->state->last_run[i].open_xid)
			return "its closing sweep is open: threads may have to be put back from it; the next run looks "
			       "once more";
	return x->ledger ? announced(x, rel_path) : NULL;
}

static void add_kinds(struct erase *x, const struct bundle_erase_sum *sum)
{
	struct run_erase_report *r = x->report;
	size_t k;

	for (size_t i = 0; i < sum->n_kinds; i++) {
		if (sum->kind_rows[i] == 0)
			continue;
		for (k = 0; k < r->n_kinds && strcmp(r->kind[k].kind, sum->kind[i].kind) != 0;)
			k++;
		if (k == r->n_kinds) {
			r->kind = mem_grow(r, r->kind, struct run_erase_kind, k + 1);
			r->kind[r->n_kinds++] = (struct run_erase_kind){.kind = mem_strdup(r, sum->kind[i].kind)};
		}
		r->kind[k].rows += sum->kind_rows[i];
	}
}

static int judge(struct erase *x, struct erase_bundle *b, const char *held, struct err *err)
{
	struct run_erased *ret = b->ret;
	const char *journal;
	int rc = erase_in_journal(x, b, &journal, err);

	if (rc == 0)
		rc = erase_late(x, b, false, &ret->late, err);
	if (rc < 0)
		return rc;
	ret->why = !b->voucher.found ? "no line of the ledger names it; the next run settles that"
				     : unfinished(x, b->voucher.bundle, ret->rel_path);
	ret->state = !b->voucher.found ? RUN_ERASE_UNKNOWN : ret->why ? RUN_ERASE_UNFINISHED : RUN_ERASE_DUE;
	if (!ret->why && journal) {
		ret->why = journal;
		ret->state = RUN_ERASE_UNFINISHED;
	}
	if (held) {
		ret->why = mem_strdup(x->report, held);
		ret->state = RUN_ERASE_HELD;
	}
	return 0;
}

/* Holds are asked of the database anew: the last bundle may be hours after the first. */
static int look_at_holds(struct looking *l, const struct ledger_state *st, const char *rel_path, struct err *err)
{
	const struct run_erase_options *o = l->x->options;
	struct bundle_reader *r;
	struct held_asked *asked;
	char *hold;
	int rc = held_ask(l->b, l->x->policy, l->x->mm, &asked, err);

	if (rc < 0 || (rc = bundle_open(l->b, l->x->store->root_dirfd, rel_path, &r, err)) < 0)
		return rc;
	hold = held_person(l->b, asked, o->user, o->name, o->n_names);
	if (hold)
		l->why = mem_printf(l->b, "%s names this person", hold);
	rc = held_bundle(l->b, asked, st, r, &l->held, err);
	talloc_free(r);
	return rc;
}

/* Every row is asked again, as it was before the file was written; the counts of then stand. */
static int scan_again(struct looking *l, const char *rel_path, struct err *err)
{
	struct erase *x = l->x;
	int rc;

	if (l->why || !held_possible(l->held))
		return 0;
	x->ask.row = on_row;
	x->ask.payload = l;
	rc = bundle_erase_scan(l->b, x->store->root_dirfd, rel_path, &x->ask, &l->b->erasure, err);
	x->ask.payload = NULL;
	return rc;
}

static int ask_again(struct looking *l, const struct ledger_state *st, const char *rel_path, struct err *err)
{
	int rc = look_at_holds(l, st, rel_path, err);

	return rc < 0 ? rc : scan_again(l, rel_path, err);
}

int erase_look_again(struct erase *x, struct erase_bundle *b, struct err *err)
{
	static const struct ledger_state none; /* no line of a hold has come: whoever writes one waits for us */
	auto_mem struct erase_bundle *again = mem_new(b, struct erase_bundle);
	struct run_erased counts = {.rel_path = b->ret->rel_path};
	struct looking l = {.x = x, .b = again};
	int rc;

	if (!x->mm)
		return 0; /* nobody is asked who could answer otherwise by now */
	*again = (struct erase_bundle){.ret = &counts, .late_id = b->late_id, .n_late_ids = b->n_late_ids};
	if ((rc = ask_again(&l, &none, counts.rel_path, err)) < 0 || !l.why)
		return rc;
	b->ret->why = mem_strdup(x->report, l.why);
	b->ret->state = RUN_ERASE_HELD;
	return 0;
}

int erase_look_late(struct erase *x, void *ctx, const struct ledger_state *st, const char *rel_path, char **ret_why,
		    struct err *err)
{
	struct run_erased counts = {.rel_path = rel_path};
	struct erase_bundle *b = mem_new(ctx, struct erase_bundle);
	struct looking l = {.x = x, .b = b};
	int rc;

	b->ret = &counts;
	if ((rc = ask_again(&l, st, rel_path, err)) < 0)
		return rc;
	*ret_why = l.why;
	return 0;
}

static int look_inside(struct erase *x, struct erase_bundle *b, const char *rel_path, struct err *err)
{
	struct looking l = {.x = x, .b = b};
	const struct bundle_erase_sum *sum;
	int rc = look_at_holds(&l, x->state, rel_path, err);

	if (rc < 0)
		return rc;
	x->ask.row = on_row;
	x->ask.payload = &l;
	rc = bundle_erase_scan(b, x->store->root_dirfd, rel_path, &x->ask, &b->erasure, err);
	x->ask.payload = NULL;
	if (rc < 0)
		return rc;
	sum = bundle_erase_sum(b->erasure);
	b->ret->rows = sum->rows;
	b->ret->posts = sum->posts;
	b->ret->names = sum->names;
	b->ret->blobs = sum->blobs;
	b->ret->blob_bytes = sum->blob_bytes;
	add_kinds(x, sum);
	return judge(x, b, l.why, err);
}

/* In its rows, its names, or only in what came too late for it. */
static int is_concerned(struct erase *x, struct erase_bundle *b, const char *rel_path, bool *ret, struct err *err)
{
	uint64_t late = 0;
	int rc = bundle_erase_known(x->store->root_dirfd, rel_path, &x->ask, ret, err);

	if (rc < 0 || (!*ret && !erase_late_possible(x, rel_path)))
		return rc;
	if ((rc = ledger_vouch(x->store->ledger_dirfd, rel_path, &b->voucher, err)) == 0 &&
	    (rc = erase_late(x, b, false, &late, err)) == 0)
		*ret |= late > 0;
	return rc;
}

static struct run_erased *entry(struct erase *x, const char *rel_path, uint64_t bytes)
{
	struct run_erase_report *r = x->report;

	r->bundle = mem_grow(r, r->bundle, struct run_erased, r->n + 1);
	r->bundle[r->n] =
		(struct run_erased){.rel_path = mem_strdup(r, rel_path), .old_bytes = bytes, .state = RUN_ERASE_LEFT};
	return &r->bundle[r->n++];
}

int erase_damaged(struct erase *x, struct run_erased *e, struct err *err)
{
	e->state = RUN_ERASE_DAMAGED;
	e->why = mem_strdup(x->report, err->msg);
	err_clear(err);
	return 0;
}

int erase_look(struct erase *x, void *ctx, const char *rel_path, uint64_t bytes, struct erase_bundle **ret,
	       struct err *err)
{
	struct erase_bundle *b = mem_new(ctx, struct erase_bundle);
	bool concerned = false;
	int rc = is_concerned(x, b, rel_path, &concerned, err);

	*ret = NULL;
	x->report->looked_at++;
	if (rc == -ERR_VERIFY)
		return erase_damaged(x, entry(x, rel_path, bytes), err);
	if (rc < 0 || !concerned)
		return rc;
	b->ret = entry(x, rel_path, bytes);
	if ((rc = look_inside(x, b, rel_path, err)) == -ERR_VERIFY)
		return erase_damaged(x, b->ret, err);
	*ret = rc < 0 ? NULL : b;
	return rc;
}
