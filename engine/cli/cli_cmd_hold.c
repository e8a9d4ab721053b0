/*
 * cli_cmd_hold.c - holds on single threads: add and release.
 */
#include <stdlib.h>
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/run.h>
#include <mmretain/store.h>

#include "cli_audit.h"
#include "cli_hold.h"
#include "cli_mirror.h"
#include "cli_protocol.h"

#define CASE_MAX 200

/* ---- add and release ---- */

static void append(json_t *array, const char *id)
{
	if (json_array_append_new(array, cli_json_check(json_string(id))) < 0)
		mem_check(NULL);
}

/* What each word was taken for. */
static json_t *named_json(const struct hold *h)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < h->n_named; i++) {
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "id", h->named[i].asked);
		cli_json_text(obj, "thread", h->named[i].root);
		cli_json_text(obj, "found", cli_hold_found_word(h->named[i].found));
		if (json_array_append_new(list, obj) < 0)
			mem_check(NULL);
	}
	return list;
}

static bool is_held_by_another(const struct hold *h, const char *root)
{
	for (const struct ledger_held_by *b = ledger_held_first(h->state, root); b; b = ledger_held_next(h->state, b))
		if (strcmp(b->hold.case_id, h->case_id) != 0)
			return true;
	return false;
}

static int print_json(const struct hold *h, const char *key, const mm_id *done, size_t n, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *ids = cli_json_check(json_array()),
	       *already = cli_json_check(json_array());

	for (size_t i = 0; i < n; i++)
		append(ids, done[i]);
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(key, "held") == 0 ? ledger_held_for(h->state, h->id[i], h->case_id)
					     : is_held_by_another(h, h->id[i]))
			append(already, h->id[i]);
	cli_json_put(doc, key, ids);
	cli_json_put(doc, strcmp(key, "held") == 0 ? "already" : "still_held", already);
	cli_json_put(doc, "named", named_json(h));
	cli_json_text(doc, "case", h->case_id);
	cli_json_bool(doc, "done", !h->dry);
	return cli_json_print(doc, err);
}

/* " for case 17/26, since ...; case 18/26, since ...", but for one case. */
static void print_cases(const struct hold *h, const char *root, const char *but)
{
	const char *lead = "for";
	char since[TIME_TEXT];

	for (const struct ledger_held_by *b = ledger_held_first(h->state, root); b; b = ledger_held_next(h->state, b)) {
		if (but && strcmp(b->hold.case_id, but) == 0)
			continue;
		time_format(b->hold.since_ms, since);
		printf(" %s case %s, since %s", lead, cli_safe(h->cli->ctx, b->hold.case_id), since);
		lead = "and";
	}
}

static void print_added(const struct hold *h, const struct cli_hold_id *id)
{
	if (ledger_held_for(h->state, id->root, h->case_id)) {
		printf("%s is held already", id->root);
		print_cases(h, id->root, NULL);
	} else {
		printf("%s %s held", id->root, h->dry ? "would be" : "is");
		if (ledger_held_first(h->state, id->root)) {
			printf(", also");
			print_cases(h, id->root, NULL);
		}
	}
	if (strcmp(id->asked, id->root) != 0)
		printf(": the thread of %s", id->asked);
	printf("%s\n", id->found == HOLD_UNCHECKED    ? ", unchecked"
		       : id->found == HOLD_IN_ARCHIVE ? "; it is in the archive, not in the database"
						      : "");
}

/* Each case holds for itself; what it holds already stays as it was said first. */
static int add(struct hold *h, struct err *err)
{
	mm_id *new = mem_array(h->cli->ctx, mm_id, h->n);
	size_t n = 0;
	int r;

	for (size_t i = 0; i < h->n; i++)
		if (!ledger_held_for(h->state, h->id[i], h->case_id))
			memcpy(new[n++], h->id[i], sizeof(mm_id));
	r = h->dry ? 0 : run_line_hold(h->ledger, h->cli->ctx, (const mm_id *)new, n, h->case_id, "admin", err);
	if (r == 0 && !h->dry)
		cli_mirror_send(h->cli);
	if (r < 0 || h->cli->json)
		return r < 0 ? r : print_json(h, "held", (const mm_id *)new, n, err);
	for (size_t i = 0; i < h->n_named; i++)
		print_added(h, &h->named[i]);
	return 0;
}

static int refuse_not_held(const struct hold *h, const struct cli_hold_id *id, struct err *err)
{
	const struct ledger_held_by *by = ledger_held_first(h->state, id->root);

	err_set(err, ERR_USAGE, by ? "thread %s is not held for this case" : "thread %s is not held", id->root);
	if (by)
		return err_hint(err, "Case %s holds it, and only its own case ends a hold. No hold was released.",
				by->hold.case_id);
	if (strcmp(id->asked, id->root) != 0)
		err_set(err, ERR_USAGE, "thread %s is not held: the thread of %s", id->root, id->asked);
	return err_hint(err, "`mmretain hold list` shows what is. No hold was released.");
}

static void print_released(const struct hold *h, const struct cli_hold_id *id)
{
	if (is_held_by_another(h, id->root)) {
		printf("%s %s held for this case any more, but", id->root, h->dry ? "would not be" : "is not");
		print_cases(h, id->root, h->case_id);
	} else {
		printf("%s %s held any more", id->root, h->dry ? "would not be" : "is not");
	}
	if (strcmp(id->asked, id->root) != 0)
		printf(": the thread of %s", id->asked);
	printf("\n");
}

/* All that the case holds; what was counted cannot change, for the ledger is locked. */
static int take_all(struct hold *h, struct err *err)
{
	h->id = mem_array(h->cli->ctx, mm_id, h->state->n_held_by + 1);
	for (size_t i = 0; i < h->state->n_held_by; i++)
		if (hold_is_shown(h, &h->state->held_by[i]))
			memcpy(h->id[h->n++], h->state->held_by[i].root, sizeof(mm_id));
	if (h->n)
		return 0;
	err_set(err, ERR_NOT_FOUND, "no thread is held for this case");
	return err_hint(err, "`mmretain hold list` shows what is held, and for which case.");
}

static void print_released_all(const struct hold *h)
{
	size_t others = 0;

	for (size_t i = 0; i < h->n; i++)
		others += is_held_by_another(h, h->id[i]);
	printf("%s %s held for this case any more", cli_count(h->cli->ctx, h->n, "thread"),
	       h->dry	   ? "would not be"
	       : h->n == 1 ? "is not"
			   : "are not");
	if (others)
		printf("; another case holds %zu of them", others);
	printf("\n");
}

static int release(struct hold *h, struct err *err)
{
	bool all = cli_given(h->cli, OPT_ALL);
	int r;

	if (all && (r = take_all(h, err)) < 0)
		return r;
	for (size_t i = 0; i < h->n_named; i++)
		if (!ledger_held_for(h->state, h->named[i].root, h->case_id))
			return refuse_not_held(h, &h->named[i], err);
	r = h->dry ? 0 : run_line_release(h->ledger, h->cli->ctx, (const mm_id *)h->id, h->n, h->case_id, err);
	if (r == 0 && !h->dry)
		cli_mirror_send(h->cli);
	if (r < 0 || h->cli->json)
		return r < 0 ? r : print_json(h, "released", (const mm_id *)h->id, h->n, err);
	for (size_t i = 0; i < h->n_named; i++)
		print_released(h, &h->named[i]);
	if (all)
		print_released_all(h);
	return 0;
}

/* ---- the words ---- */

static int take_case(struct hold *h, const char *word, bool needed, struct err *err)
{
	h->case_id = h->cli->args->value[OPT_CASE];
	if (!h->case_id && !needed)
		return 0;
	if (h->case_id && h->case_id[0] && strlen(h->case_id) <= CASE_MAX && utf8_valid(h->case_id, strlen(h->case_id)))
		return 0;
	err_set(err, ERR_USAGE, h->case_id ? "the case is empty, too long or not UTF-8" : "`hold %s` needs a case",
		word);
	return err_hint(err, "Give --case ID; it is kept in the ledger.");
}

static void sort_ids(struct hold *h)
{
	size_t kept = 0;

	qsort(h->id, h->n, sizeof(mm_id), mm_id_cmp);
	for (size_t i = 0; i < h->n; i++)
		if (i == 0 || strcmp(h->id[i], h->id[i - 1]) != 0)
			memmove(h->id[kept++], h->id[i], sizeof(mm_id));
	h->n = kept;
}

static int take_ids(struct hold *h, struct err *err)
{
	const struct cli_args *a = h->cli->args;

	cli_take_ids(h->cli, 1);
	h->id = mem_array(h->cli->ctx, mm_id, a->n_operands);
	for (size_t i = 1; i < a->n_operands; i++) {
		const char *word = a->operand[i];

		if (!cli_looks_like_id(word)) {
			err_set(err, ERR_USAGE, "\"%s\" is not the id of a thread", word);
			return err_hint(err, "It is the id of any of its posts: 26 letters and digits, or a permalink, "
					     "which ends with it.");
		}
		memcpy(h->id[h->n++], word, MM_ID + 1);
	}
	sort_ids(h);
	return 0;
}

static void name_ids(struct hold *h)
{
	h->n_named = h->n;
	h->named = mem_array(h->cli->ctx, struct cli_hold_id, h->n);
	for (size_t i = 0; i < h->n; i++) {
		memcpy(h->named[i].asked, h->id[i], sizeof(mm_id));
		memcpy(h->named[i].root, h->id[i], sizeof(mm_id));
	}
}

/* A thread may be named by several of its posts. */
static void take_roots(struct hold *h)
{
	for (size_t i = 0; i < h->n_named; i++)
		memcpy(h->id[i], h->named[i].root, sizeof(mm_id));
	sort_ids(h);
}

static int take_threads(struct hold *h, struct err *err)
{
	int r;

	name_ids(h);
	if ((r = cli_hold_resolve(h->cli, h->named, h->n_named, err)) == 0)
		take_roots(h);
	return r;
}

/* What is held by its own id needs no look: its thread may be in no place that can be asked.  Of the rest, what is no
 * post of a held thread stays as it was said, and is refused by that name. */
static int take_held(struct hold *h, struct err *err)
{
	struct cli_hold_id *look = mem_array(h->cli->ctx, struct cli_hold_id, h->n);
	struct ledger_state *st;
	size_t n = 0, at = 0;
	int r = ledger_fold(h->cli->ctx, h->cli->store->ledger_dirfd, &st, err);

	if (r < 0)
		return r;
	name_ids(h);
	for (size_t i = 0; i < h->n; i++)
		if (!ledger_held_first(st, h->id[i]))
			look[n++] = h->named[i];
	if (n && (r = cli_hold_resolve_known(h->cli, look, n, err)) < 0)
		return r;
	for (size_t i = 0; i < h->n_named && at < n; i++)
		if (strcmp(h->named[i].asked, look[at].asked) == 0)
			h->named[i] = look[at++];
	take_roots(h);
	return 0;
}

/* The lock comes before the look: what is held cannot change in between.  Which thread a post belongs to never changes,
 * and looking for it may take long: that comes before the lock. */
static int open_state(struct hold *h, bool writes, int (*threads)(struct hold *h, struct err *err), struct err *err)
{
	struct cli *cli = h->cli;
	/* the ledger says itself whether it can be written; no secret is needed */
	int r = cli_open_archive(cli, /* writable= */ false, err);

	if (r == 0 && threads)
		r = threads(h, err);
	if (r == 0 && writes && !h->dry)
		r = ledger_open(cli->ctx, cli->store->ledger_dirfd, &h->ledger, err);
	return r < 0 ? r : ledger_fold(cli->ctx, cli->store->ledger_dirfd, &h->state, err);
}

int cli_cmd_hold(struct cli *cli, struct err *err)
{
	static const struct {
		const char *word;
		int (*run)(struct hold *h, struct err *err), (*threads)(struct hold *h, struct err *err);
		bool writes;
	} words[] = {
		{"list", hold_list, NULL, false},
		{"history", hold_history, NULL, false},
		{"add", add, take_threads, true},
		{"release", release, take_held, true},
	};
	const char *word = cli->args->operand[0];
	bool all = cli_given(cli, OPT_ALL), named = cli->args->n_operands > 1;
	struct hold h = {.cli = cli, .dry = cli_given(cli, OPT_DRY_RUN)};
	size_t i = 0;
	int r;

	while (i < ARRAY_LEN(words) && strcmp(word, words[i].word) != 0)
		i++;
	if (i == ARRAY_LEN(words)) {
		err_set(err, ERR_USAGE, "unknown word \"%s\" after \"hold\"", word);
		return err_hint(err, "Say `hold list`, `hold history`, `hold add THREAD...` or `hold release "
				     "THREAD...`.");
	}
	if (all && (named || words[i].run != release)) {
		err_set(err, ERR_USAGE,
			named ? "`--all` is all threads of the case: no threads beside it" : "`hold %s` takes no --all",
			word);
		return err_hint(err, "`mmretain hold release --all --case ID` releases all that this case holds.");
	}
	if (words[i].writes != (named || all)) {
		err_set(err, ERR_USAGE, words[i].writes ? "`hold %s` needs threads" : "`hold %s` takes no threads",
			word);
		return err_hint(err, "`mmretain help hold` shows how it is used.");
	}
	if ((r = take_case(&h, word, words[i].writes, err)) < 0 || (r = take_ids(&h, err)) < 0 ||
	    (r = open_state(&h, words[i].writes, all ? NULL : words[i].threads, err)) < 0)
		return r;
	return words[i].run(&h, err);
}
