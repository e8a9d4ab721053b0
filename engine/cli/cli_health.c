/*
 * cli_health.c - what is wrong with the nights, and what waits for the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mmretain/store.h>

#include "cli_health.h"

#define SILENT_MS (INT64_C(50) * 3600000) /* a nightly timer left out one night, and two hours */
#define WORK_LEFT_NIGHTS 3u
#define HOLDS_SHOWN 5

/* ---- the nights ---- */

enum ending { ENDED, LEFT_WORK, NOT_WELL };

/* Kept items are a night that did its work.  A run that was stopped, or had no time left, goes on the next night. */
static enum ending ending_of(const json_t *run, const char *open_run)
{
	const json_t *end = json_object_get(run, "end");
	const char *outcome = protocol_str(end, "outcome"), *error = protocol_str(end, "error");

	if (!json_is_object(end))
		/* it may be at work just now */
		return open_run && strcmp(protocol_str(run, "run"), open_run) == 0 ? LEFT_WORK : NOT_WELL;
	if (strcmp(outcome, "complete") == 0 || strcmp(error, "KEPT") == 0)
		return ENDED;
	return strcmp(outcome, "partial") == 0 ? LEFT_WORK : NOT_WELL;
}

static void count_nights(const json_t *runs, const char *open_run, struct cli_health *h)
{
	bool row = true, work_row = true;

	for (size_t i = json_array_size(runs); i-- > 0;) {
		const json_t *run = json_array_get(runs, i);
		enum ending e = ending_of(run, open_run);

		if (e == NOT_WELL && row) {
			h->failed++;
			h->failed_since = protocol_str(run, "began");
			if (!h->last_error && json_is_object(json_object_get(run, "end")))
				h->last_error = protocol_str(json_object_get(run, "end"), "error");
		}
		row = row && (e == NOT_WELL || (i + 1 == json_array_size(runs) && open_run));
		work_row = work_row && e != ENDED;
		h->unended += work_row;
	}
	h->all_shown = json_array_size(runs);
}

static void take_silence(const json_t *runs, struct cli_health *h)
{
	const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
	int64_t last_ms;

	if (last && time_parse(protocol_str(last, "began"), &last_ms) && time_now_ms() - last_ms > SILENT_MS)
		h->silent_days = (uint64_t)((time_now_ms() - last_ms) / 86400000);
}

/* Of the newest run that came to its plan. */
static void take_unmatched(const json_t *runs, struct cli_health *h)
{
	for (size_t i = json_array_size(runs); i-- > 0;) {
		const json_t *run = json_array_get(runs, i), *plan = json_object_get(run, "plan");

		if (!json_is_object(plan))
			continue;
		h->unmatched = protocol_int(plan, "unmatched_words");
		h->unmatched_run = run;
		return;
	}
}

/* ---- what waits ---- */

struct waiting { const struct store *store; struct cli_health *h; };

/* A line for each attachment, behind a first one that names the database.  A large night's journal is read piece by
 * piece. */
static int count_files(int fd, const char *rel_path, uint64_t *ret, struct err *err)
{
	static const char head[] = "{\"journal\":";
	char piece[64 << 10];
	uint64_t lines = 0;
	bool first = true, headed = false;
	ssize_t n;

	for (; (n = read(fd, piece, sizeof piece)) > 0; first = false) {
		if (first)
			headed = n >= (ssize_t)sizeof head - 1 && memcmp(piece, head, sizeof head - 1) == 0;
		for (const char *p = piece, *end = piece + n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
			lines++;
	}
	if (n < 0)
		return err_sys(err, ERR_STORE, errno, "cannot read \"%s\"", rel_path);
	*ret += lines - (headed && lines);
	return 0;
}

static int on_journal(void *payload, const char *rel_path, struct err *err)
{
	auto_fd int fd = -1;
	struct waiting *w = payload;
	struct err why = {0};
	struct stat st;
	int r;

	w->h->journals++;
	if (fstatat(w->store->root_dirfd, rel_path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (int64_t)st.st_mtim.tv_sec * 1000 < w->h->waiting_since_ms)
		w->h->waiting_since_ms = (int64_t)st.st_mtim.tv_sec * 1000;
	if (file_open_beneath(w->store->root_dirfd, rel_path, &fd, &why) < 0)
		return why.code == -ERR_NOT_FOUND ? 0 : (*err = why).code; /* a run has just finished it */
	if ((r = count_files(fd, rel_path, &w->h->files, err)) < 0)
		return r;
	return stop_check(err);
}

static int on_aside(void *payload, const char *rel_path, struct err *err)
{
	struct waiting *w = payload;

	(void)rel_path;
	(void)err;
	w->h->aside++;
	return 0;
}

int cli_health(const struct store *store, const json_t *runs, const char *open_run, const struct run_attempt *attempt,
	       struct cli_health *ret, struct err *err)
{
	static const struct { const char *begin; store_name_fn fn; } names[] = {
		{"unlink-", on_journal}, {"people-unlink", on_journal}, {"moved-unlink-", on_aside},
		{"moved-people-unlink-", on_aside},
		{"lost-unlink-", on_aside},
	};
	struct waiting w = {store, ret};
	int r = 0;

	*ret = (struct cli_health){.waiting_since_ms = INT64_MAX,
				   .attempt = attempt,
				   .tried = attempt && time_now_ms() - attempt->at_ms <= SILENT_MS};
	count_nights(runs, open_run, ret);
	take_silence(runs, ret);
	take_unmatched(runs, ret);
	for (size_t i = 0; i < ARRAY_LEN(names) && r == 0; i++)
		r = store_each_named(store, "ledger", names[i].begin, ".jsonl", names[i].fn, &w, err);
	return r;
}

/* ---- in words ---- */

static void warn(struct cli_health_text *t, char *text)
{
	t->warning = mem_grow(t->ctx, t->warning, char *, t->n + 1);
	t->warning[t->n++] = text;
}

/* "case-1, case-2" and how many: of each once. */
static const char *unmatched_holds(void *ctx, const json_t *run, size_t *ret_n)
{
	json_t *seen = cli_json_check(json_object()), *entry;
	const char *list = "";
	size_t i;

	json_array_foreach(json_object_get(json_object_get(run, "plan"), "unmatched"), i, entry) {
		const char *name = protocol_str(entry, "hold");

		if (!json_object_get(seen, name) && json_object_size(seen) < HOLDS_SHOWN)
			list = mem_printf(ctx, "%s%s%s", list, *list ? ", " : "", cli_safe(ctx, name));
		cli_json_bool(seen, name, true);
	}
	*ret_n = json_object_size(seen);
	json_decref(seen);
	return *ret_n > HOLDS_SHOWN ? mem_printf(ctx, "%s, ...", list) : list;
}

static void warn_unmatched(const struct cli_health *h, struct cli_health_text *t)
{
	size_t n;
	const char *list = unmatched_holds(t->ctx, h->unmatched_run, &n);

	warn(t, mem_printf(t->ctx,
			   "in the run of %s %llu word%s of hold%s %s matched nothing, and what was meant is not "
			   "protected; `mmretain report %s` tells more, `mmretain check --db` looks again",
			   protocol_str(h->unmatched_run, "began"), (unsigned long long)h->unmatched,
			   cli_s(h->unmatched), cli_s(n), list, protocol_str(h->unmatched_run, "run")));
}

void cli_health_warnings(void *ctx, const struct cli_health *h, struct cli_health_text *ret)
{
	char at[TIME_TEXT];

	*ret = (struct cli_health_text){.ctx = ctx};
	if (h->attempt) {
		time_format(h->attempt->at_ms, at);
		warn(ret, mem_printf(ctx,
				     "the last run ended before it began, at %s, with status %d (%s); `mmretain "
				     "report` does not know it",
				     at, h->attempt->exit, cli_safe(ctx, h->attempt->error)));
	}
	if (h->failed == 1)
		warn(ret,
		     mem_printf(ctx, "the run of %s did not come to an end%s%s; `mmretain report last` tells more",
				h->failed_since, h->last_error ? ", with " : "", h->last_error ? h->last_error : ""));
	else if (h->failed)
		warn(ret, mem_printf(ctx,
				     "%s%u runs in a row did not come to an end, since %s%s%s; `mmretain report last` "
				     "tells more",
				     h->failed == h->all_shown && h->failed >= 10 ? "at least " : "", h->failed,
				     h->failed_since, h->last_error ? ", the last with " : "",
				     h->last_error ? h->last_error : ""));
	else if (h->unended >= WORK_LEFT_NIGHTS)
		warn(ret, mem_printf(ctx,
				     "%u runs in a row left work for the next one: their time does not suffice, or "
				     "they were stopped",
				     h->unended));
	if (h->unmatched)
		warn_unmatched(h, ret);
	if (h->silent_days)
		warn(ret, mem_printf(ctx, "no run has begun for %llu days%s", (unsigned long long)h->silent_days,
				     h->tried ? "" : ": is the timer at work?"));
}
