/*
 * run_restore.c - archived threads back into the database: same ids, one transaction, only inserts.
 *
 * A row that is there stays as it is, so a second try does no harm.  What can be said beforehand is found by doing all
 * of it and rolling back. The hold comes first: a thread that is back must not be due the next night.
 */
#include "run_internal.h"
#include "run_restore.h"

#include <stdlib.h>
#include <string.h>

/* ---- one thread ---- */

struct putting { struct restore *r; struct purge_put *put; const struct audit_thread *t; struct run_restored *ret; };

void restore_count(struct run_restored *ret, const struct purge_put_row *row)
{
	ret->rows_put += row->put;
	ret->rows_there += !row->put;
	ret->posts_put += row->put && row->kind == MM_POST;
	ret->posts_there += !row->put && row->kind == MM_POST;
}

static int on_line(void *payload, const char *line, size_t len, struct err *err)
{
	struct putting *p = payload;
	auto_mem void *ctx = mem_context(NULL, "restored row");
	struct purge_put_row row;
	struct bundle_erased gone;
	int rc;

	if (bundle_erased_line(line, len, &gone))
		return 0; /* a reaction, a membership: no post, or the thread was refused */
	if ((rc = purge_put(p->put, ctx, line, len, &row, err)) < 0)
		return rc;
	restore_count(p->ret, &row);
	if (row.kind == MM_FILE)
		rc = run_restore_file(ctx, p->r->mm, p->t, row.file_id, row.file_path, p->ret, p->r->act, err);
	return rc < 0 ? rc : stop_check(err);
}

int restore_channel(struct restore *r, const char *channel, bool *ret, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "channel");
	struct mm_scope *scope;
	mm_id id = "";
	size_t n;
	int rc;

	if (strlen(channel) > MM_ID)
		return err_set(err, ERR_VERIFY, "a channel id in the bundle is too long");
	memcpy(id, channel, strlen(channel));
	rc = mm_scopes_some(ctx, r->mm, &id, 1, &scope, &n, err);
	if (rc == 0)
		*ret = n == 1;
	return rc;
}

/* What a thread stands in must be there: the server shows no post without its channel. */
static int check_channel(struct restore *r, const struct audit_thread *t, struct err *err)
{
	bool there;
	int rc = restore_channel(r, t->channel, &there, err);

	if (rc < 0 || there)
		return rc;
	err_set(err, ERR_GUARD, "the channel %s of thread %s is not in the database", t->channel, t->root);
	return err_hint(err, "Nothing was changed. `mmretain export` writes the thread as a file.");
}

/* What goes into the database is what once came out of it. */
static int check_bundle(struct restore *r, const char *rel_path, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "vouched bundle");
	struct ledger_voucher v;
	struct receipt *receipt;
	int rc;

	for (size_t i = 0; i + 1 < r->report->n; i++)
		if (r->report->thread[i].bundle && strcmp(r->report->thread[i].bundle, rel_path) == 0)
			return 0; /* verified already */
	if ((rc = ledger_vouch(r->store->ledger_dirfd, rel_path, &v, err)) < 0)
		return rc;
	if (v.replaced) {
		err_set(err, ERR_VERIFY, "\"%s\" was replaced by an erasure: what is in it must not come back",
			rel_path);
		return err_hint(err,
				"Nothing was changed. Put \"%s\" back into its place from a copy of the archive, and "
				"take this one away.",
				v.by);
	}
	if (v.found)
		return bundle_reopen(ctx, r->store->root_dirfd, rel_path, &v.file, &v.rows, &receipt, err);
	err_set(err, ERR_VERIFY, "no line of the ledger vouches for \"%s\"", rel_path);
	return err_hint(err, "Nothing was changed. A run enters a bundle that a crash left without its line; any other "
			     "is not of this archive.");
}

static const char *erased_case(const struct audit_thread *t)
{
	for (size_t i = 0; i < t->n_posts; i++)
		if (t->post[i].erased)
			return t->post[i].erased;
	return "";
}

/* Whole as it was: so is its line in threads.  Where some of it was there, or came meanwhile, that counts what there is
 * now. */
int restore_count_again(struct restore *r, const struct audit_thread *t, const struct run_restored *ret,
			struct err *err)
{
	uint64_t replies = 0, now;
	int rc;

	if (!ret->rows_put)
		return 0;
	for (size_t i = 0; i < t->n_posts; i++)
		replies += t->post[i].root && strcmp(t->post[i].root, ret->root) == 0;
	if ((rc = purge_put_replies(r->mm, ret->root, &now, err)) < 0)
		return rc;
	return ret->rows_there || now != replies ? purge_put_end(r->mm, ret->root, err) : 0;
}

static int put_thread(struct restore *r, const struct audit_ref *ref, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "restored thread");
	struct run_restored *ret = &r->report->thread[r->report->n++];
	struct putting p = {.r = r, .ret = ret};
	struct audit_thread *t;
	struct bundle_reader *reader;
	int rc = audit_thread_load(r->audit, ref, ctx, &t, err);

	if (rc < 0)
		return rc;
	p.t = t;
	snprintf(ret->root, sizeof ret->root, "%s", t->root);
	ret->bundle = mem_strdup(r->report, audit_bundle_path(t->bundle));
	if (t->parts) {
		err_set(err, ERR_NOT_FOUND,
			"of thread %s only posts that had been deleted, or earlier versions, are archived: it stayed "
			"on the server",
			ret->root);
		return err_hint(err, "`mmretain show` prints them.");
	}
	if (t->erased_posts) {
		err_set(err, ERR_GUARD, "thread %s has %zu post%s of a person who was erased (case %s)", ret->root,
			t->erased_posts, t->erased_posts == 1 ? "" : "s", erased_case(t));
		return err_hint(err, "Nothing was changed: what is left cannot be put back as the thread that it was. "
				     "`mmretain export` writes it as a file.");
	}
	if ((rc = check_bundle(r, ret->bundle, err)) < 0 || (rc = check_channel(r, t, err)) < 0 ||
	    (rc = bundle_open(ctx, r->store->root_dirfd, ret->bundle, &reader, err)) < 0 ||
	    (rc = purge_put_open(ctx, r->mm, reader, &p.put, err)) < 0 ||
	    (rc = audit_thread_lines(r->audit, ref, on_line, &p, err)) < 0)
		return rc;
	return restore_count_again(r, t, ret, err);
}

/* ---- before ---- */

static int refuse_home(const struct restore *r, const struct ledger_state *st, enum mm_home home, struct err *err)
{
	if (home == MM_HOME_OTHER)
		err_set(err, ERR_GUARD,
			"the last run into this archive was with database %s of system %s, not with %s of system %s",
			st->database, st->system, r->mm->schema->database, r->mm->schema->system_identifier);
	else
		err_set(err, ERR_GUARD, "nothing shows that database %s is on the server of the last run into this "
					"archive: %s",
			r->mm->schema->database, mm_home_problem(home));
	return err_hint(err, "Threads go back into the database that they came from; nothing was changed. When it is "
			     "that one, moved or restored from a backup, `mmretain run --moved-database --no-purge "
			     "--yes` comes first.");
}

/* Half deleted: first the delete is finished, or what it left would be taken for what came back. */
static int check_unfinished(struct restore *r, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "ledger");
	struct ledger_state *st;
	enum mm_home home;
	int rc = ledger_fold(ctx, r->store->ledger_dirfd, &st, err);

	if (rc < 0)
		return rc;
	home = st->system ? mm_home(r->mm->schema, st->system, st->database) : MM_HOME_SAME;
	if (home != MM_HOME_SAME)
		return refuse_home(r, st, home, err);
	for (size_t i = 0; i < st->n_bundles; i++)
		if (st->bundle[i].purge_started && !st->bundle[i].purged) {
			err_set(err, ERR_GUARD, "a run was interrupted while it deleted the threads of bundle %s",
				st->bundle[i].bundle);
			return err_hint(err, "Let `mmretain run --yes` finish that first; nothing was changed.");
		}
	return 0;
}

/* A trigger may swallow an insert, or write what nobody sees; what a migration is about to do is not known either. */
static int check_schema(const struct mm_schema *s, struct err *err)
{
	if (s->n_unknown == 0)
		return 0;
	err_set(err, ERR_SCHEMA, "%zu thing%s in the database that an insert may not do well with: %s%s", s->n_unknown,
		s->n_unknown == 1 ? "" : "s", s->unknown[0], s->n_unknown > 1 ? " ..." : "");
	return err_hint(err, "`mmretain doctor` lists them all. Nothing was changed; `mmretain export` writes the "
			     "thread as a file.");
}

int restore_open(struct restore *r, const struct policy *policy, struct err *err)
{
	const struct policy_database *d = &policy->database;
	struct mm_source source = {d->mattermost_config, d->service, d->url, d->files};
	int rc;

	if ((rc = mm_open(r->ctx, &source, &r->mm, err)) < 0 ||
	    (rc = db_open_again(r->ctx, r->mm->db, &r->lock_db, err)) < 0 ||
	    (rc = db_lock(r->lock_db, RUN_LOCK_KEY, err)) < 0 || (rc = mm_probe(r->mm, err)) < 0 ||
	    /* what may not be read is no unknown thing */
	    (rc = mm_check_grants(r->mm, true, err)) < 0 || (rc = check_schema(r->mm->schema, err)) < 0)
		return rc;
	if (r->act && (rc = ledger_open(r->ctx, r->store->ledger_dirfd, &r->ledger, err)) < 0)
		return rc;
	return check_unfinished(r, err);
}

/* ---- the lines ---- */

/* For this case, whatever others hold: each ends its own. */
static int hold_all(struct restore *r, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "holds");
	mm_id *root = mem_array(ctx, mm_id, r->report->n + 1);
	struct ledger_state *st;
	size_t n = 0;
	int rc = ledger_fold(ctx, r->store->ledger_dirfd, &st, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r->report->n; i++) {
		memcpy(root[n], r->report->thread[i].root, sizeof root[n]);
		n += !ledger_held_for(st, root[n], r->case_id);
	}
	return run_line_hold(r->ledger, ctx, (const mm_id *)root, n, r->case_id, "restore", err);
}

static int line_restored(struct restore *r, const struct run_restored *t, struct err *err)
{
	struct ledger_entry e;

	ledger_begin(&e, r->ctx, "restored");
	ledger_str(&e, "root", t->root);
	ledger_str(&e, "rel_path", t->bundle);
	ledger_str(&e, "case", r->case_id);
	ledger_int(&e, "posts", (int64_t)t->posts_put);
	ledger_int(&e, "rows", (int64_t)t->rows_put);
	ledger_int(&e, "rows_there", (int64_t)t->rows_there);
	ledger_int(&e, "files", (int64_t)t->files_put);
	return ledger_append(r->ledger, &e, err);
}

int restore_still_ours(struct restore *r, struct err *err)
{
	return run_lock_and_place(r->lock_db, r->store, err);
}

int restore_commit(struct restore *r, struct err *err)
{
	int rc = run_fault(FAULT_RESTORE_BEFORE_COMMIT, err);

	if (rc < 0)
		return rc;
	if ((rc = db_commit(r->mm->db, err)) == -ERR_COMMIT_UNKNOWN)
		return err_hint(err, "Whether the threads are back is not known: the same command once more says it, "
				     "and does what is left.");
	return rc < 0 ? rc : run_fault(FAULT_RESTORE_AFTER_COMMIT, err);
}

/* A crash before the commit leaves a hold on threads that are not there, after it threads that are back and held: both
 * do no harm, and the same command once more says what there is. */
static int finish(struct restore *r, struct err *err)
{
	int rc;

	if ((rc = restore_still_ours(r, err)) < 0 || (rc = hold_all(r, err)) < 0 || (rc = restore_commit(r, err)) < 0)
		return rc;
	r->report->done = true;
	for (size_t i = 0; i < r->report->n; i++)
		if ((rc = line_restored(r, &r->report->thread[i], err)) < 0)
			return rc;
	return 0;
}

static bool asked_before(const struct audit_ref *ref, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(ref[k].root, ref[i].root) == 0)
			return true;
	return false;
}

static int put_all(struct restore *r, const struct audit_ref *ref, size_t n, struct err *err)
{
	int rc = db_begin(r->mm->db, DB_READ_COMMITTED, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		if (!asked_before(ref, i))
			rc = put_thread(r, &ref[i], err);
	if (rc == 0 && r->ledger)
		rc = finish(r, err);
	if (!r->report->done)
		db_rollback(r->mm->db);
	return rc;
}

int run_restore(void *ctx, const struct policy *policy, struct store *store, struct audit *audit,
		const struct audit_ref *ref, size_t n, const struct run_restore_options *options,
		struct run_restore_report **ret, struct err *err)
{
	auto_mem void *own = mem_context(ctx, "restore");
	struct restore r = {.ctx = own,
			    .case_id = options->case_id,
			    .act = options->act,
			    .store = store,
			    .audit = audit,
			    .report = mem_new(ctx, struct run_restore_report)};
	uint64_t left = 0;
	int rc;

	*ret = r.report;
	r.report->thread = mem_array(r.report, struct run_restored, n + 1);
	memset(r.report->thread, 0, sizeof *r.report->thread * (n + 1));
	if ((rc = restore_open(&r, policy, err)) < 0 || (rc = put_all(&r, ref, n, err)) < 0)
		return rc;
	for (size_t i = 0; i < r.report->n; i++)
		left += r.report->thread[i].files_left;
	if (!left)
		return 0;
	err_set(err, ERR_KEPT, "%llu attachment%s without content: %s", (unsigned long long)left, left == 1 ? "" : "s",
		!mm_has_files(r.mm) && r.mm->data_problem ? r.mm->data_problem : "the bundle does not hold it");
	return err_hint(err, "The rows are %s; a file can be put in its place by hand.",
			r.report->done ? "back" : "not back yet");
}
