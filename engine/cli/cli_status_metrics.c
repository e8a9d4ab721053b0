/*
 * cli_status_metrics.c - status for a monitoring system, in the text format of Prometheus.
 *
 * Every sample names its archive, so that files of several archives on one host do not collide.  Of runs only counts,
 * times and words of the ledger.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli_status.h"

enum { METRICS_MAX = 1 << 20, DIGITS_MS = 1000 };

struct metrics { const struct status *st; struct buf b; };

/* Label values escape these three. */
static void put_value(struct buf *b, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			buf_puts(b, "\\n");
		else
			buf_printf(b, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void begin(struct metrics *m, const char *name, const char *help)
{
	buf_printf(&m->b, "# HELP mmretain_%s %s\n# TYPE mmretain_%s gauge\n", name, help, name);
}

static void labels(struct metrics *m, const char *name, const char *key, const char *value)
{
	buf_printf(&m->b, "mmretain_%s{archive=\"", name);
	put_value(&m->b, m->st->cli->store->path);
	if (key) {
		buf_printf(&m->b, "\",%s=\"", key);
		put_value(&m->b, value);
	}
	buf_puts(&m->b, "\"} ");
}

static void sample(struct metrics *m, const char *name, const char *key, const char *value, uint64_t number)
{
	labels(m, name, key, value);
	buf_printf(&m->b, "%llu\n", (unsigned long long)number);
}

static void one(struct metrics *m, const char *name, uint64_t number, const char *help)
{
	begin(m, name, help);
	sample(m, name, NULL, NULL, number);
}

/* Seconds, as Prometheus wants times and durations. */
static void seconds(struct metrics *m, const char *name, const char *key, const char *value, int64_t ms)
{
	labels(m, name, key, value);
	buf_printf(&m->b, "%lld.%03d\n", (long long)(ms / DIGITS_MS), (int)(ms % DIGITS_MS));
}

/* ---- the archive ---- */

static void put_archive(struct metrics *m)
{
	const struct status *st = m->st;

	one(m, "archive_bundles", st->bundles, "Bundles in the archive.");
	one(m, "archive_bytes", st->bytes, "Their size.");
	one(m, "archive_free_bytes", st->free_bytes, "What is free on the archive's file system.");
	one(m, "ledger_entries", st->state->entries, "Lines of the ledger.");
	one(m, "unfinished_bundles", st->state->n_bundles + st->overdue.expiring,
	    "Bundles that a run or an expiry has begun and not finished.");
	one(m, "overdue_bundles", st->overdue.bundles, "Bundles past their time; holds may keep them.");
	one(m, "expired_bundles", st->overdue.expired, "Bundles that were removed, past their time.");
	one(m, "lost_bundles", st->overdue.lost, "Bundles that were declared lost.");
	one(m, "missing_bundles", st->missing, "Bundles that the ledger says are there and that are not.");
	one(m, "held_threads", st->state->n_held, "Threads that `hold` keeps.");
	one(m, "unmatched_hold_words", st->health.unmatched, "Words of the policy's holds that matched nothing in the "
							     "newest plan.");
	one(m, "waiting_attachments", st->health.files, "Attachments of deleted posts that are still to be removed.");
	one(m, "erasures_open", status_erasures_open(st), "Erasures that were interrupted.");
	one(m, "warnings", st->words.n, "Warnings of `mmretain status`.");
	if (!st->mirror.has)
		return;
	one(m, "mirror_reachable", !st->mirror.problem, "Does the mirror answer?");
	if (!st->mirror.problem)
		one(m, "mirror_missing_bundles", st->mirror.missing, "Bundles without a copy in the mirror.");
}

/* ---- runs ---- */

static const json_t *newest(const struct status *st)
{
	const json_t *runs = st->protocol->runs;

	return json_array_size(runs) ? json_array_get(runs, json_array_size(runs) - 1) : NULL;
}

static bool time_of(const json_t *run, const char *key, int64_t *ret_ms)
{
	return time_parse(protocol_str(run, key), ret_ms);
}

static void put_time(struct metrics *m, const char *name, const json_t *run, const char *key, const char *help)
{
	int64_t ms;

	if (!time_of(run, key, &ms))
		return;
	begin(m, name, help);
	seconds(m, name, NULL, NULL, ms);
}

/* However long ago. */
static const json_t *newest_good(const struct status *st)
{
	for (size_t i = json_array_size(st->protocol->runs); i-- > 0;) {
		const json_t *run = json_array_get(st->protocol->runs, i);

		if (protocol_good(run))
			return run;
	}
	return st->protocol->good;
}

static void put_counts(struct metrics *m, const json_t *run)
{
	static const char *const what[] = {"threads", "posts"}, *const part[] = {"archived", "deleted"};
	const json_t *kept = json_object_get(json_object_get(run, "totals"), "kept");
	const char *reason;
	json_t *value;

	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		auto_mem char *name = mem_printf(NULL, "last_run_%s", what[i]),
			      *due = mem_printf(NULL, "due_%s", what[i]);

		begin(m, name, i ? "The same of posts." : "Threads that were due, archived and deleted in the newest "
							  "run.");
		sample(m, name, "step", "due", protocol_int(json_object_get(run, "plan"), due));
		for (size_t k = 0; k < ARRAY_LEN(part); k++)
			sample(m, name, "step", part[k], status_total(run, part[k], what[i]));
	}
	begin(m, "last_run_kept_threads", "Threads that the newest run kept back, by reason.");
	json_object_foreach((json_t *)(uintptr_t)kept, reason, value)
		sample(m, "last_run_kept_threads", "reason", reason, (uint64_t)json_integer_value(value));
}

static void put_end(struct metrics *m, const json_t *end)
{
	if (!json_is_object(end))
		return;
	begin(m, "last_run_duration_seconds", "How long it took.");
	seconds(m, "last_run_duration_seconds", NULL, NULL, (int64_t)protocol_int(end, "duration_ms"));
	begin(m, "last_run_waited_seconds", "For whom it waited, of that.");
	seconds(m, "last_run_waited_seconds", "for", "replicas", (int64_t)protocol_int(end, "waited_replicas_ms"));
	seconds(m, "last_run_waited_seconds", "for", "server", (int64_t)protocol_int(end, "waited_server_ms"));
}

/* Of one that did not begin the ledger has nothing, and the run before it may have ended well. */
static void put_exit(struct metrics *m, const json_t *run)
{
	const struct run_attempt *a = m->st->attempt;
	const json_t *end = json_object_get(run, "end");

	if (a || json_is_object(end))
		one(m, "last_run_exit_status", a ? (uint64_t)a->exit : protocol_int(end, "exit"),
		    "Exit status of the newest run, of one that did not begin, too.");
	if (!a)
		return;
	begin(m, "not_begun_timestamp_seconds", "When a run ended before it began, after the newest one that did; "
						"absent: none has.");
	seconds(m, "not_begun_timestamp_seconds", NULL, NULL, a->at_ms);
}

static void put_runs(struct metrics *m)
{
	const json_t *run = newest(m->st), *good = newest_good(m->st);

	one(m, "run_open", m->st->state->open_run != NULL, "Is a run at work, or was interrupted?");
	if (good)
		put_time(m, "last_good_run_end_timestamp_seconds", good, "ended",
			 "When the newest run ended that was complete, or ended by its time.");
	put_time(m, "last_run_begin_timestamp_seconds", run, "began", "When the newest run began that did.");
	put_time(m, "last_run_end_timestamp_seconds", run, "ended", "When it ended; absent: it has not.");
	put_exit(m, run);
	if (!run)
		return;
	put_end(m, json_object_get(run, "end"));
	put_counts(m, run);
}

/* ---- the file ---- */

static int write_file(const char *path, const struct buf *b, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "metrics");
	auto_fd int dirfd = -1, fd = -1;
	char *leaf;
	int r = output_open_place(ctx, path, &dirfd, &leaf, err);

	if (r < 0)
		return r;
	/* Whoever collects it is another user, and finds the one before or this one, whatever umask the nights have. */
	if ((r = file_replace_begin(dirfd, leaf, 0644, &fd, err)) == 0) {
		if (fchmod(fd, 0644) != 0)
			r = err_sys(err, ERR_OUTPUT, errno, "cannot set the mode of %s", leaf);
		else
			r = file_write_all(fd, b->data, b->len, leaf, err);
		if (r < 0)
			file_replace_drop(dirfd, leaf, &fd);
		else
			r = file_replace_end(dirfd, leaf, &fd, err);
	}
	return r < 0 ? output_failed("write", path, err->sys_errno, err) : 0;
}

int status_metrics(const struct status *st, const char *path, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "metrics");
	struct metrics m = {.st = st};

	buf_init(&m.b, ctx, METRICS_MAX);
	put_archive(&m);
	put_runs(&m);
	if (strcmp(path, "-") != 0)
		return write_file(path, &m.b, err);
	return fwrite(m.b.data, 1, m.b.len, stdout) == m.b.len ? 0 : output_failed("write", "standard output", 0, err);
}
