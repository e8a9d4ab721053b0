/*
 * run_unlink.c - attachments of deleted rows, last of all.
 *
 * A server looks for the root of a reply in one transaction and writes the reply in a later one: in between no lock,
 * transaction or snapshot of it can be seen.  Its reply brings the thread back, which then needs its attachments.  So
 * they go at the end of the run, when blob_grace has passed since the last delete and no reply has come late; else the
 * next run removes them, after its sweep.
 */
#include "run_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mmretain/mm_unlink.h>

#include "mm_sql.h"

enum { POLL_MS = 50 };

/* In doubt it is there, and whoever opens it says what is wrong. */
static bool has_journal(const struct run *run, const char *name)
{
	struct err err;

	return name[0] && file_is_there(run->store->ledger_dirfd, name, &err) != 0;
}

int run_unlink_later(struct run *run, const struct run_purge *p, struct err *err)
{
	struct run_pending *w;
	int rc = run_line_sweep(run, p, err);

	if (rc < 0)
		return rc;
	/* With an open sweep a thread may still have to come back with its attachments: the journal waits for the next
	 * run's sweep. */
	if (p->counts->sweep_open || !has_journal(run, p->journal)) {
		rc = run_line_step(run, "bundle-done", p->name, p->counts, err);
		return rc < 0 ? rc : run_fault(FAULT_RUN_AFTER_DONE, err);
	}
	run->pending = mem_grow(run->ctx, run->pending, struct run_pending, run->n_pending + 1);
	w = &run->pending[run->n_pending++];
	*w = (struct run_pending){.name = mem_strdup(run->ctx, p->name)};
	snprintf(w->journal, sizeof w->journal, "%s", p->journal);
	return 0;
}

/* Until blob_grace has passed since the last delete.  false: there is no time for that. */
static bool wait_grace(const struct run *run)
{
	/* A server on the same host has its share of this wait only while the host is awake. */
	int64_t until = run->deleted_mono_ms + run->policy->throttle.blob_grace_ms,
		deadline = run->options->deadline_boot_ms;
	int64_t left_ms = until - time_mono_ms();

	if (deadline && time_boot_ms() + left_ms > deadline)
		return false;
	if (left_ms > 0)
		log_info("waiting %lld s for replies under way before attachments are removed",
			 (long long)(left_ms + 999) / 1000);
	while (time_mono_ms() < until && !stop_requested())
		time_sleep_ms(POLL_MS);
	return time_mono_ms() >= until;
}

/* Does a live post name a file of this journal again? */
static int named(struct run *run, const char *journal, bool *ret, struct err *err)
{
	const struct purge_options o = {.journal_dirfd = run->store->ledger_dirfd, .journal_name = journal};

	return purge_unlink_named(run->mm, &o, ret, err);
}

int run_late_since(struct run *run, int64_t since_ms, bool *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "late");
	const char *param = mem_printf(ctx, "%lld", (long long)since_ms);
	struct db_result *r;
	int rc;

	if ((rc = db_query(ctx, run->mm->db, &sql_sweep_any_late, DB_ONE, 1, &param, &r, err)) == 0)
		*ret = db_bool(r, 0, 0);
	return rc;
}

static int any_late(struct run *run, bool *ret, struct err *err)
{
	int rc = run->since_ms == RUN_NOT_YET ? 0 : run_late_since(run, run->since_ms, ret, err);

	for (size_t i = 0; i < run->n_pending && rc == 0 && !*ret; i++)
		rc = named(run, run->pending[i].journal, ret, err);
	return rc;
}

static void add_to_bundle(struct run *run, const char *name, const struct purge_counts *c)
{
	struct run_report *rep = run->report;

	run_add_counts(&rep->total, c);
	for (size_t i = 0; i < rep->n_bundles; i++)
		if (strcmp(rep->bundle[i].bundle, name) == 0) {
			run_add_counts(&rep->bundle[i].purge, c);
			return;
		}
}

/* Journals and what each of them came to. */
struct journals { struct purge_journal *item; struct purge_counts *counts; size_t n; };

static void journals_init(struct journals *ret, void *ctx, size_t n)
{
	*ret = (struct journals){mem_array(ctx, struct purge_journal, n + 1),
				 mem_array(ctx, struct purge_counts, n + 1), n};
	for (size_t i = 0; i < n; i++)
		ret->item[i].counts = &ret->counts[i];
}

/* As many as go at once, from that one on. */
static int unlink_some(struct run *run, const struct journals *j, size_t from, size_t *ret_n, struct err *err)
{
	int64_t from_us = time_mono_us();
	uint64_t files = 0;
	int rc = run_still_ours(run, err);

	*ret_n = 0;
	if (rc < 0)
		return rc;
	rc = purge_unlink(run->mm, run->store->ledger_dirfd, j->item + from, j->n - from, ret_n, err);
	for (size_t i = from; i < from + *ret_n; i++)
		files += j->counts[i].blobs_unlinked;
	run_timing("unlink", from_us, files, "");
	return rc;
}

/* ---- journals that runs before left ---- */

static int unlink_named(struct run *run, const struct journals *j, struct err *err)
{
	size_t n;
	int rc = 0;

	for (size_t i = 0; i < j->n && rc == 0; i += n) {
		rc = unlink_some(run, j, i, &n, err);
		for (size_t k = i; k < i + n; k++)
			run_add_counts(&run->report->total, &j->counts[k]);
		for (size_t k = i; k < i + n && rc == 0; k++)
			rc = run_line_step(run, "unlinked", j->item[k].name, &j->counts[k], err);
	}
	return rc;
}

/* By the clock of that file system. */
static int64_t written_ms(const struct run *run, const char *name)
{
	struct stat st;

	if (fstatat(run->store->ledger_dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return INT64_MAX / 2;
	return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

/* This run's own wait for its end. */
static bool is_leftover(const struct run *run, const char *name)
{
	return strlen(name) < sizeof run->pending->journal && !strstr(name, run->report->id);
}

struct leftovers { struct run *run; void *ctx; char **name; size_t n; int64_t newest_ms; };

static int on_leftover(void *payload, const char *rel_path, struct err *err)
{
	const char *name = strrchr(rel_path, '/') + 1;
	struct leftovers *l = payload;
	int64_t ms;

	(void)err;
	if (!is_leftover(l->run, name))
		return 0;
	ms = written_ms(l->run, name);
	l->name = mem_grow(l->ctx, l->name, char *, l->n + 1);
	l->name[l->n++] = mem_strdup(l->ctx, name);
	l->newest_ms = ms > l->newest_ms ? ms : l->newest_ms;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All of them, by run, or an error: one that was missed with --moved-database would stop every later run. */
static int find_leftovers(struct run *run, void *ctx, struct leftovers *ret, struct err *err)
{
	int rc;

	*ret = (struct leftovers){.run = run, .ctx = ctx, .newest_ms = INT64_MIN / 2};
	rc = store_each_named(run->store, "ledger", "unlink-", ".jsonl", on_leftover, ret, err);
	if (rc < 0)
		return err_prefix(err, "the ledger's journals");
	if (ret->n)
		qsort(ret->name, ret->n, sizeof *ret->name, by_name);
	return 0;
}

/* When the newest of them is older than the ledger's last line by the grace: a run that crashed just now gave late
 * replies no time either, and it may have deleted again what an older journal names. */
static int unlink_leftovers(struct run *run, bool *ret_young, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "leftovers");
	struct leftovers l;
	struct journals j;
	int rc = find_leftovers(run, ctx, &l, err);

	*ret_young = rc == 0 && l.newest_ms + run->policy->throttle.blob_grace_ms > written_ms(run, LEDGER_FILE);
	if (rc < 0 || *ret_young)
		return rc;
	journals_init(&j, ctx, l.n);
	for (size_t i = 0; i < l.n; i++)
		j.item[i].name = l.name[i];
	return unlink_named(run, &j, err);
}

int run_leftovers_named(struct run *run, bool *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "leftovers");
	struct leftovers l;
	int rc = find_leftovers(run, ctx, &l, err);

	*ret = false;
	for (size_t i = 0; i < l.n && rc == 0 && !*ret; i++)
		rc = named(run, l.name[i], ret, err);
	return rc;
}

static int set_aside(struct run *run, const char *name, const char *to, struct err *err)
{
	int dirfd = run->store->ledger_dirfd;

	log_warn("ledger/%s is of the database before it was moved: its files stay, it is kept as ledger/%s", name, to);
	return file_publish(dirfd, name, dirfd, to, err);
}

/* The one of departed users has the same name in every run. */
static int set_people_aside(struct run *run, struct err *err)
{
	auto_mem char *to = mem_printf(NULL, "moved-people-unlink-%s.jsonl", run->report->id);

	return has_journal(run, PEOPLE_JOURNAL) ? set_aside(run, PEOPLE_JOURNAL, to, err) : 0;
}

int run_unlink_set_aside(struct run *run, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "leftovers");
	struct leftovers l;
	int rc = find_leftovers(run, ctx, &l, err);

	for (size_t i = 0; i < l.n && rc == 0; i++)
		rc = set_aside(run, l.name[i], mem_printf(ctx, "moved-%s", l.name[i]), err);
	return rc < 0 ? rc : set_people_aside(run, err);
}

int run_unlink_set_foreign_aside(struct run *run, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "foreign");
	struct err own = {0};
	struct mm_journal *j;
	int rc = mm_journal_open(ctx, run->mm, run->store->ledger_dirfd, PEOPLE_JOURNAL, &mm_unlink_unposted, &j, &own);

	/* whatever else is wrong with it: whoever carries it out says so */
	return rc == -ERR_GUARD ? set_people_aside(run, err) : 0;
}

int run_unlink_leftovers(struct run *run, struct err *err)
{
	bool young = false;
	int rc = run->deleted_mono_ms ? 0 : unlink_leftovers(run, &young, err);

	run->leftovers = run->deleted_mono_ms != 0 || young; /* at the end they may be old enough */
	return rc;
}

/* ---- the end of the run ---- */

static int done(struct run *run, const char *bundle, struct err *err)
{
	const struct purge_counts none = {.threads = 0};
	int rc = run_line_step(run, "bundle-done", bundle, &none, err);

	return rc < 0 ? rc : run_fault(FAULT_RUN_AFTER_DONE, err);
}

static int unlink_pending(struct run *run, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "journals");
	struct journals j;
	size_t n;
	int rc = 0;

	journals_init(&j, ctx, run->n_pending);
	for (size_t i = 0; i < j.n; i++)
		j.item[i].name = run->pending[i].journal;
	for (size_t i = 0; i < j.n && rc == 0; i += n) {
		rc = unlink_some(run, &j, i, &n, err);
		for (size_t k = i; k < i + n; k++)
			add_to_bundle(run, run->pending[k].name, &j.counts[k]);
		for (size_t k = i; k < i + n && rc == 0; k++)
			if ((rc = run_line_step(run, "unlinked", run->pending[k].name, &j.counts[k], err)) == 0)
				rc = done(run, run->pending[k].name, err);
	}
	return rc;
}

static int close_pending(struct run *run, bool go, struct err *err)
{
	int rc = go ? unlink_pending(run, err) : 0;

	for (size_t i = 0; i < run->n_pending && rc == 0 && !go; i++)
		rc = done(run, run->pending[i].name, err);
	run->n_pending = 0;
	return rc;
}

int run_unlink_pending(struct run *run, struct err *err)
{
	bool late = false, young, go;
	int rc;

	if (run->n_pending == 0 && !run->leftovers)
		return 0;
	go = wait_grace(run);
	if (go && (rc = any_late(run, &late, err)) < 0)
		return rc;
	if (!go || late)
		log_info("attachments of deleted threads are left to the next run: %s",
			 late ? "a reply came late" : "no time to wait for late replies");
	go = go && !late;
	if ((rc = close_pending(run, go, err)) < 0 || !run->leftovers || !go || run->report->total.sweep_open)
		return rc;
	return unlink_leftovers(run, &young, err);
}
