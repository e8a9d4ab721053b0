/*
 * ledger_fold.c - the state of the runs, folded from the lines.
 */
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "ledger_internal.h"

/* Where the bundles of a name stand in a list: a night makes thousands, and each line names one.  One that is dropped
 * leaves a gap, until they are half of the list. */
struct spot {
	UT_hash_handle hh;
	size_t at;
	struct spot *same; /* name, for a list without an archive may come again */
};
struct spots { struct spot *table; void *ctx; size_t gaps; };

struct fold {
	struct ledger_state *state;
	struct spots bundles, last_run; /* of the lists in state */
	char *newest_run;      /* the newest run that published any */
	struct ledger_holds *holds;
	void *scratch;         /* emptied for each line */
};

/* The fields of one line that the fold looks at. */
struct fields {
	char *type, *run, *rule, *bundle, *rel_path, *policy_digest, *rows_digest, *file_digest, *system, *database;
	char *at, *case_id, *via;
	char *roots;           /* raw */
	int64_t snapshot_ms, looked_ms, threads, posts, rows, open_xid, uid; /* uid -1: absent */
	bool unswept;
};

/* Where a field of that name goes; NULL for others. */
static char **text_slot(struct fields *f, const struct json_scan *s)
{
	const struct { const char *key; char **slot; } slots[] = {
		{"type", &f->type}, {"run", &f->run}, {"rule", &f->rule}, {"bundle", &f->bundle},
		{"rel_path", &f->rel_path},
		{"policy_digest", &f->policy_digest}, {"rows_digest", &f->rows_digest},
		{"file_digest", &f->file_digest},
		{"system_identifier", &f->system}, {"database", &f->database}, {"at", &f->at}, {"case", &f->case_id},
		{"via", &f->via},
	};

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (s->key_len == strlen(slots[i].key) && memcmp(s->key, slots[i].key, s->key_len) == 0)
			return slots[i].slot;
	return NULL;
}

static int64_t *number_slot(struct fields *f, const struct json_scan *s)
{
	const struct { const char *key; int64_t *slot; } slots[] = {
		{"snapshot_ms", &f->snapshot_ms}, {"looked_ms", &f->looked_ms}, {"threads", &f->threads},
		{"posts", &f->posts}, {"rows", &f->rows},
		{"open_xid", &f->open_xid}, {"uid", &f->uid},
	};

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (s->key_len == strlen(slots[i].key) && memcmp(s->key, slots[i].key, s->key_len) == 0)
			return slots[i].slot;
	return NULL;
}

static char *unescaped(void *ctx, const struct json_scan *s)
{
	struct buf b;

	buf_init(&b, ctx, LEDGER_LINE_MAX);
	/* The walk has seen that the line is JSON. */
	(void)json_unescape(&b, s->val, s->val_len);
	return mem_strndup(ctx, b.data ? b.data : "", b.len);
}

static void scan_line(void *ctx, const char *line, size_t len, struct fields *f)
{
	struct json_scan s;

	*f = (struct fields){.uid = -1};
	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		char **text = s.type == JSON_STR ? text_slot(f, &s) : NULL;
		int64_t *number = s.type == JSON_NUMBER ? number_slot(f, &s) : NULL;

		if (text)
			*text = unescaped(ctx, &s);
		if (s.type == SCAN_TRUE && s.key_len == 7 && memcmp(s.key, "unswept", 7) == 0)
			f->unswept = true;
		if (s.type == JSON_ARR && s.key_len == 5 && memcmp(s.key, "roots", 5) == 0)
			f->roots = mem_strndup(ctx, s.val, s.val_len);
		if (number)
			*number = strtoll(s.val, NULL, 10);
	}
}

static void copy_digest(char to[DIGEST_HEX + 1], const char *from)
{
	if (from && strlen(from) == DIGEST_HEX)
		memcpy(to, from, DIGEST_HEX + 1);
}

static char *copy(void *ctx, const char *s)
{
	return mem_strdup(ctx, s ? s : "");
}

static void add_bundle(struct ledger_state *st, struct ledger_bundle **list, size_t *n, const struct fields *f)
{
	struct ledger_bundle *b;

	*list = mem_grow(st, *list, struct ledger_bundle, *n + 1);
	b = &(*list)[(*n)++];
	*b = (struct ledger_bundle){.run = copy(st, f->run), .rule = copy(st, f->rule), .bundle = copy(st, f->bundle),
				    .rel_path = copy(st, f->rel_path), .policy_digest = copy(st, f->policy_digest),
				    .snapshot_ms = f->snapshot_ms, .waived = strcmp(f->type, "waived") == 0,
				    .threads = (uint64_t)f->threads, .posts = (uint64_t)f->posts,
				    .rows = (uint64_t)f->rows};
	copy_digest(b->rows_digest, f->rows_digest);
	copy_digest(b->file_digest, f->file_digest);
}

static struct spot *spot_of(const struct spots *s, const char *name)
{
	struct spot *found;

	HASH_FIND(hh, s->table, name, strlen(name), found);
	return found;
}

/* name: stays where it is until the spot is dropped. */
static void put_spot(struct spots *s, const char *name, size_t at)
{
	struct spot *first = spot_of(s, name), *one = mem_new(s->ctx, struct spot);

	one->at = at;
	while (first && first->same)
		first = first->same;
	if (first)
		first->same = one;
	else
		HASH_ADD_KEYPTR(hh, s->table, name, strlen(name), one);
}

/* A ledger of many years has many bundles: keep the memory of those that matter. */
static void release_bundle(struct ledger_bundle *b)
{
	talloc_free(b->run);
	talloc_free(b->rule);
	talloc_free(b->bundle);
	talloc_free(b->rel_path);
	talloc_free(b->policy_digest);
	talloc_free(b->stayed);
	talloc_free(b->stayed_run);
}

static void close_gaps(struct spots *s, struct ledger_bundle *list, size_t *n)
{
	size_t kept = 0;

	HASH_CLEAR(hh, s->table);
	talloc_free_children(s->ctx);
	s->gaps = 0;
	for (size_t i = 0; i < *n; i++) {
		if (!list[i].bundle)
			continue;
		list[kept] = list[i];
		put_spot(s, list[kept].bundle, kept);
		kept++;
	}
	*n = kept;
}

static void drop(struct spots *s, struct ledger_bundle *list, size_t *n, const char *bundle)
{
	struct spot *one = spot_of(s, bundle), *next;

	if (!one)
		return;
	HASH_DELETE(hh, s->table, one);
	for (; one; one = next) {
		next = one->same;
		release_bundle(&list[one->at]);
		list[one->at] = (struct ledger_bundle){.bundle = NULL};
		talloc_free(one);
		s->gaps++;
	}
	if (s->gaps > *n / 2)
		close_gaps(s, list, n);
}

/* The list of the newest run that deletes begins anew with its first bundle.  A sweep that is open stays on it: whoever
 * was under way then may still be.  A waived bundle cannot be swept again. */
static void begin_list(struct fold *fold, const char *run)
{
	struct ledger_state *st = fold->state;

	if (fold->newest_run && strcmp(fold->newest_run, run) == 0)
		return;
	talloc_free(fold->newest_run);
	fold->newest_run = copy(st, run);
	HASH_CLEAR(hh, fold->last_run.table); /* it has the names for keys */
	for (size_t i = 0; i < st->n_last_run; i++) {
		struct ledger_bundle *b = &st->last_run[i];

		if (!b->bundle || (b->open_xid && !b->waived))
			continue;
		release_bundle(b);
		b->bundle = NULL;
	}
	close_gaps(&fold->last_run, st->last_run, &st->n_last_run);
}

static void on_published(struct fold *fold, const struct fields *f)
{
	struct ledger_state *st = fold->state;

	add_bundle(st, &st->bundle, &st->n_bundles, f);
	put_spot(&fold->bundles, st->bundle[st->n_bundles - 1].bundle, st->n_bundles - 1);
	if (strcmp(f->type, "published") == 0)
		copy_digest(st->last_rows_digest, f->rows_digest);
}

static void mark(const struct spots *s, struct ledger_bundle *list, const struct fields *f)
{
	for (const struct spot *one = spot_of(s, f->bundle); one; one = one->same) {
		size_t i = one->at;

		list[i].purge_started |= strcmp(f->type, "purging") == 0;
		list[i].purged |= strcmp(f->type, "purged") == 0;
		/* Whoever says that the delete came to its end has said before what stayed: of another run's list the
		 * rest is deleted. */
		if (strcmp(f->type, "purged") == 0 && list[i].stayed_run && strcmp(list[i].stayed_run, f->run) != 0) {
			TALLOC_FREE(list[i].stayed);
			TALLOC_FREE(list[i].stayed_run);
		}
		list[i].done |= strcmp(f->type, "bundle-done") == 0;
		if (strcmp(f->type, "sweep") == 0) {
			list[i].open_xid = (uint64_t)f->open_xid;
			list[i].looked_ms = f->looked_ms;
		}
	}
}

/* A line of a run that finishes what another one had begun to delete.  A waiver cannot be swept again, and a run that
 * only archives closes it, too, without having swept anything: its end is no delete. */
static bool finishes(const struct ledger_bundle *b, const struct fields *f)
{
	return !b->waived && b->purge_started && strcmp(b->run, f->run) != 0;
}

/* A bundle counts as of the run that deleted it, or that finished its delete: late replies to it are looked for after
 * that run.  A run that only archives has no such bundle, and leaves the list as it is. */
static void deleted_by(struct fold *fold, const struct fields *f)
{
	bool begins = strcmp(f->type, "purging") == 0;
	struct ledger_state *st = fold->state;
	struct ledger_bundle *b, *to;

	for (const struct spot *one = spot_of(&fold->bundles, f->bundle); one; one = one->same) {
		b = &st->bundle[one->at];
		if (!begins && !finishes(b, f))
			continue;
		begin_list(fold, f->run);
		if (spot_of(&fold->last_run, f->bundle))
			continue;
		st->last_run = mem_grow(st, st->last_run, struct ledger_bundle, st->n_last_run + 1);
		to = &st->last_run[st->n_last_run++];
		*to = *b;
		to->run = copy(st, b->run);
		to->rule = copy(st, b->rule);
		to->bundle = copy(st, b->bundle);
		to->rel_path = copy(st, b->rel_path);
		to->policy_digest = copy(st, b->policy_digest);
		to->stayed = b->stayed ? copy(st, b->stayed) : NULL;
		to->stayed_run = b->stayed_run ? copy(st, b->stayed_run) : NULL;
		put_spot(&fold->last_run, to->bundle, st->n_last_run - 1);
	}
}

/* The newest run that went through the bundle knows. */
static void add_stayed(struct ledger_state *st, const struct spots *s, struct ledger_bundle *list,
		       const struct fields *f)
{
	for (const struct spot *one = spot_of(s, f->bundle); one; one = one->same) {
		struct ledger_bundle *b = &list[one->at];

		if (!b->stayed_run || strcmp(b->stayed_run, f->run) != 0) {
			TALLOC_FREE(b->stayed);
			talloc_free(b->stayed_run);
			b->stayed_run = copy(st, f->run);
		}
		b->stayed = b->stayed ? b->stayed : copy(st, "");
		for (char *p = strchr(f->roots, '"'), *end; p && (end = strchr(p + 1, '"')); p = strchr(end + 1, '"'))
			b->stayed = mem_check(
				talloc_asprintf_append_buffer(b->stayed, " %.*s", (int)(end - p - 1), p + 1));
	}
}

static void note_run(struct ledger_state *st, const struct fields *f)
{
	bool begin = strcmp(f->type, "run-begin") == 0;
	bool end = strcmp(f->type, "run-end") == 0 && st->open_run && strcmp(st->open_run, f->run) == 0;

	if (!begin && !end)
		return;
	talloc_free(st->open_run);
	st->open_run = begin ? copy(st, f->run) : NULL;
	if (end)
		st->unswept = f->unswept;
	if (!begin)
		return;
	/* Transaction numbers of another system say nothing, but what was under way there has ended. */
	for (size_t i = 0; st->system && f->system && strcmp(st->system, f->system) != 0 && i < st->n_last_run; i++)
		st->last_run[i].open_xid = st->last_run[i].open_xid != 0;
	talloc_free(st->system);
	talloc_free(st->database);
	st->system = copy(st, f->system);
	st->database = copy(st, f->database);
}

/* It will not be swept again: there is nothing left to sweep it by, or what was erased in it could not be put back. */
static void forget(struct fold *fold, const char *bundle)
{
	drop(&fold->last_run, fold->state->last_run, &fold->state->n_last_run, bundle);
}

static void finished(struct fold *fold, const char *bundle)
{
	drop(&fold->bundles, fold->state->bundle, &fold->state->n_bundles, bundle);
}

/* Declared lost: no run owes it a step any more. */
static void give_up(struct fold *fold, const char *bundle)
{
	forget(fold, bundle);
	ledger_erasure_forget(fold->state, bundle);
	finished(fold, bundle);
}

static void fold_erasure(struct fold *fold, const struct fields *f, const char *line, size_t len)
{
	static const struct { const char *type; enum ledger_erasure_step step; } lines[] = {
		{"erasing", ERASURE_BEGINS}, {"erased", ERASURE_DONE}, {"erasure-withdrawn", ERASURE_WITHDRAWN},
	};
	size_t i = 0;

	while (i < ARRAY_LEN(lines) && (!f->type || strcmp(f->type, lines[i].type) != 0))
		i++;
	if (i == ARRAY_LEN(lines))
		return;
	ledger_erasure_take(fold->state, line, len, lines[i].step);
	if (f->bundle)
		forget(fold, f->bundle);
}

static int fold_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	struct fold *fold = payload;
	struct ledger_state *st = fold->state;
	struct fields f;

	(void)err;
	talloc_free_children(fold->scratch);
	scan_line(fold->scratch, line, len, &f);
	st->entries = seq;
	if (f.type && f.roots && strcmp(f.type, "hold") == 0)
		ledger_holds_add(fold->holds, f.roots, f.at, f.case_id, f.via);
	if (f.type && f.roots && strcmp(f.type, "release") == 0)
		ledger_holds_end(fold->holds, f.roots, f.uid < 0 ? NULL : f.case_id ? f.case_id : "");
	if (f.type && f.bundle && strcmp(f.type, "expiring") == 0)
		forget(fold, f.bundle);
	if (f.type && f.bundle && strcmp(f.type, "expired") == 0)
		ledger_erasure_forget(st, f.bundle);
	if (f.type && f.bundle && strcmp(f.type, "abandoned") == 0)
		give_up(fold, f.bundle);
	fold_erasure(fold, &f, line, len);
	if (!f.run)
		return 0;
	if (f.at)
		(void)time_parse(f.at, &st->last_ms); /* of a line whose time cannot be read the one before counts */
	note_run(st, &f);
	if (!f.bundle)
		return 0;
	if (strcmp(f.type, "published") == 0 || strcmp(f.type, "waived") == 0) {
		on_published(fold, &f);
		return 0;
	}
	if (strcmp(f.type, "purging") == 0 || strcmp(f.type, "bundle-done") == 0)
		deleted_by(fold, &f);
	if (strcmp(f.type, "stayed") == 0 && f.roots) {
		add_stayed(st, &fold->bundles, st->bundle, &f);
		add_stayed(st, &fold->last_run, st->last_run, &f);
	}
	mark(&fold->bundles, st->bundle, &f);
	mark(&fold->last_run, st->last_run, &f);
	if (strcmp(f.type, "bundle-done") == 0)
		finished(fold, f.bundle);
	return 0;
}

int ledger_fold(void *ctx, int ledger_dirfd, struct ledger_state **ret, struct err *err)
{
	auto_mem void *scratch = mem_context(NULL, "ledger fold"), *spots = mem_context(NULL, "spots of bundles");
	struct fold fold = {.state = mem_new(ctx, struct ledger_state), .scratch = scratch};
	int r;

	fold.bundles.ctx = mem_context(spots, "bundles");
	fold.last_run.ctx = mem_context(spots, "last run");
	fold.holds = ledger_holds_new(fold.state);
	r = ledger_read(ledger_dirfd, fold_line, &fold, err);
	close_gaps(&fold.bundles, fold.state->bundle, &fold.state->n_bundles);
	close_gaps(&fold.last_run, fold.state->last_run, &fold.state->n_last_run);
	HASH_CLEAR(hh, fold.bundles.table);
	HASH_CLEAR(hh, fold.last_run.table);
	if (r < 0) {
		talloc_free(fold.state);
		return r;
	}
	ledger_holds_fold(fold.holds, fold.state);
	*ret = fold.state;
	return 0;
}
