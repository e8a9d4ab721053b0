/*
 * run_unit.c - one unit of threads becomes one published bundle, then is purged.
 *
 * Order: snapshot, attachments looked at, rows streamed into the bundle, attachments, names, finish, snapshot ended, publish (read back),
 * ledger, purge.  Until the ledger line stands, every row is in the database; nothing here deletes.
 */
#include "run_internal.h"

#include <mmretain/catalog.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNIT_POSTS_MIN = 1000, UNIT_POSTS_MAX = 1000000, UNIT_THREADS_MAX = 1000000, PACE_BYTES = 64 << 10, COLUMNS_MAX = 128 };

struct rows {
	struct unit *u;
	struct bundle_field field[COLUMNS_MAX];
	uint64_t current;             /* thread, UINT64_MAX before the first */
	uint64_t paced_bytes;
	int64_t work_from_us, debt_us;
};

static int column_of(const struct run *run, enum mm_kind kind, const char *name)
{
	for (size_t i = 0; i < run->kind[kind].n_columns; i++)
		if (strcmp(run->kind[kind].column[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool full(const struct unit *u, uint64_t thread)
{
	return thread >= u->stop_thread || bundle_raw_bytes(u->w) >= u->run->policy->archive.bundle_size_bytes;
}

/* 1: this thread no longer fits and the bundle ends before it. */
static int begin_thread(struct rows *r, const struct mm_export_row *x, struct err *err)
{
	struct unit *u = r->u;
	const struct db_row *row = &x->row;
	const char *root = row->value[column_of(u->run, MM_POST, "id")];
	const char *channel = row->value[column_of(u->run, MM_POST, "channelid")];
	const char *create = row->value[column_of(u->run, MM_POST, "createat")];

	if (x->kind != MM_POST || !root || !channel || !create)
		return err_set(err, ERR_DATABASE, "a thread of the plan has no usable root post any more");
	if (r->current != UINT64_MAX && full(u, x->thread)) {
		u->used = x->thread;
		return 1;
	}
	r->current = x->thread;
	run_ids_add(u->channels, channel, strlen(channel));
	for (; u->file_at < u->n_files && u->file[u->file_at].thread <= x->thread; u->file_at++)
		if (u->file[u->file_at].thread == x->thread)
			snprintf(u->file[u->file_at].root, sizeof(mm_id), "%s", root);
	return bundle_thread_begin(u->w, channel, root, strtoll(create, NULL, 10), err);
}

/* Unpaced compression on the database's host hurts the chat's users more than the delete: rest in proportion to the work done. */
static void pace(struct rows *r)
{
	uint64_t raw = bundle_raw_bytes(r->u->w);
	int32_t factor = r->u->run->policy->throttle.export_pause_factor;

	if (factor <= 0 || raw - r->paced_bytes < PACE_BYTES)
		return;
	r->paced_bytes = raw;
	r->debt_us += (time_mono_us() - r->work_from_us) * factor;
	if (r->debt_us >= 1000) {
		time_sleep_ms(r->debt_us / 1000);
		r->debt_us %= 1000;
	}
	r->work_from_us = time_mono_us();
}

static int on_row(void *payload, const struct mm_export_row *x, struct err *err)
{
	struct rows *r = payload;
	struct unit *u = r->u;
	int owner = u->run->kind[x->kind].owner_column, rc;

	if (x->thread != r->current && (rc = begin_thread(r, x, err)) != 0)
		return rc;
	purge_fields(&x->row, r->field);
	if (owner >= 0 && x->row.value[owner])
		run_ids_add(u->users, x->row.value[owner], x->row.len[owner]);
	if ((rc = bundle_row(u->w, (size_t)x->kind, r->field, err)) < 0 ||
	    (rc = purge_hints_add(u->hints, x->kind, x->ctid, x->xmin, err)) < 0)
		return rc;
	pace(r);
	return stop_check(err);
}

/* Threads of one group, from record u->begin, as many as one bundle will probably hold. */
static int collect(struct unit *u, struct spool *due, struct err *err)
{
	struct run *run = u->run;
	double want = (double)run->policy->archive.bundle_size_bytes / run->raw_per_post;
	uint64_t posts = 0, max = want < UNIT_POSTS_MIN ? UNIT_POSTS_MIN : want > UNIT_POSTS_MAX ? UNIT_POSTS_MAX : (uint64_t)want;
	const void *p;
	int rc = 0;

	while (posts < max && u->threads < UNIT_THREADS_MAX && (rc = spool_next(due, &p, err)) == 1) {
		const struct due *d = p;
		struct mm_export_thread t = {.root_create_ms = d->t.root_create_ms};

		if (u->threads == 0)
			u->first = *d;
		else if (!run_due_same(&u->first, d))
			break;
		memcpy(t.root, d->t.root, sizeof t.root);
		memcpy(t.channel_id, d->t.channel_id, sizeof t.channel_id);
		if ((rc = mm_export_add(u->x, &t, err)) < 0)
			return rc;
		posts += d->t.posts ? d->t.posts : 1;
		u->threads++;
	}
	return rc < 0 ? rc : 0;
}

static int open_bundle(struct unit *u, struct err *err)
{
	struct run *run = u->run;
	const char *team = u->first.team[0] ? u->scope->team_name : "direct";
	char pg[32];
	struct bundle_source source = {
		.rule = u->rule->name, .policy_digest_hex = run->policy_hex, .team_id = u->first.team, .team_label = team,
		.cutoff_ms = run->plan->rule[u->first.rule].cut_ms, .expires_ms = run_expires_ms(u->first.expiry_month),
		.cluster_id = run->mm->schema->system_identifier, .database = run->mm->schema->database, .pg_version = pg,
		.schema_digest_hex = run->schema_hex, .tool_version = RUN_VERSION,
	};
	struct bundle_options options = {
		.level = run->policy->archive.level, .workers = 1, .seq = run->seq, .previous_digest_hex = run->previous_hex, .kind = run->kind, .n_kinds = MM_KINDS,
	};

	if (!u->rule->has_age)
		source.cutoff_ms = run->plan->taken_ms;
	snprintf(pg, sizeof pg, "%d", db_server_version(run->mm->db));
	memcpy(options.salt_secret, run->store->salt_secret, sizeof options.salt_secret);
	return bundle_create(u->ctx, run->store->partial_dirfd, &source, &options, &u->w, err);
}

static int write_rows(struct unit *u, struct err *err)
{
	struct rows *r = mem_new(u->ctx, struct rows);
	int rc;

	*r = (struct rows){.u = u, .current = UINT64_MAX, .work_from_us = time_mono_us()};
	u->used = u->threads;
	if ((rc = mm_export_rows(u->x, on_row, r, err)) < 0)
		return rc;
	return run_files_store(u, err);
}

static int write_names(struct unit *u, struct err *err)
{
	int rc;

	run_ids_add(u->teams, u->first.team, strlen(u->first.team));
	if ((rc = run_names_write(u->run, u->w, "teams", u->teams, err)) < 0 ||
	    (rc = run_names_write(u->run, u->w, "channels", u->channels, err)) < 0)
		return rc;
	return run_names_write(u->run, u->w, "users", u->users, err);
}

/* Everything up to a complete file in partial/. */
static int fill(struct unit *u, struct spool *due, struct err *err)
{
	int rc;

	if ((rc = mm_export_begin(u->ctx, u->run->mm, &u->x, err)) < 0)
		return rc;
	u->snapshot_ms = mm_export_snapshot_ms(u->x);
	if ((rc = spool_seek(due, u->begin, err)) < 0 || (rc = collect(u, due, err)) < 0)
		return rc;
	u->rule = &u->run->policy->rule[u->first.rule];
	u->scope = &u->run->plan->scope[u->first.t.scope].mm;
	if ((rc = mm_export_ready(u->x, err)) < 0 || (rc = run_files_look(u, err)) < 0 || (rc = open_bundle(u, err)) < 0 ||
	    (rc = write_rows(u, err)) < 0 || (rc = write_names(u, err)) < 0)
		return rc;
	/* The snapshot ends before anything is deleted: an open one keeps dead index entries alive. */
	mm_export_end(u->x);
	u->x = NULL;
	return bundle_finish(u->w, err);
}

static int seal(struct unit *u, struct receipt **ret, char **ret_name, struct err *err)
{
	struct run *run = u->run;
	char hex[DIGEST_HEX + 1];
	int rc;

	if (u->rule->archive_none)
		rc = bundle_waive(u->w, u->ctx, u->rule->because, ret, err);
	else
		rc = bundle_publish(u->w, u->ctx, run->store->root_dirfd, run->mm->now_ms, ret, err);
	if (rc < 0)
		return rc;
	digest_hex(receipt_rows_digest(*ret), hex);
	*ret_name = receipt_waived(*ret) ? mem_printf(u->ctx, "waived-%.12s", hex) : mem_strdup(u->ctx, receipt_bundle(*ret));
	if ((rc = run_line_bundle(run, u, *ret, *ret_name, err)) < 0)
		return rc;
	if (!receipt_waived(*ret)) {
		memcpy(run->previous_hex, hex, sizeof hex);
		run->seq++;
	}
	return run_fault(FAULT_RUN_AFTER_PUBLISHED, err);
}

/* Derived data: without it a search reads everything, so a failure is no reason to stop. */
static void index_bundle(struct run *run, const struct receipt *r)
{
	struct err why;

	if (!receipt_waived(r) && catalog_add_bundle(run->store, receipt_rel_path(r), &why) < 0)
		log_warn("cannot index %s (%s); `mmretain reindex` tries again, ignoring", receipt_bundle(r), why.msg);
}

static struct run_bundle *note(struct unit *u, const struct receipt *r, const char *name)
{
	struct run_report *rep = u->run->report;
	struct run_bundle *b = run_add_bundle(u->run);

	b->rule = mem_strdup(rep, u->rule->name);
	b->team = mem_strdup(rep, u->first.team[0] ? u->scope->team_name : "direct");
	b->bundle = mem_strdup(rep, name);
	b->rel_path = mem_strdup(rep, receipt_waived(r) ? "" : receipt_rel_path(r));
	b->waived = receipt_waived(r);
	b->threads = receipt_threads(r);
	b->posts = receipt_posts(r);
	b->rows = receipt_rows(r);
	b->blobs = receipt_blobs(r);
	b->file_bytes = receipt_file_bytes(r);
	b->raw_bytes = bundle_raw_bytes(u->w);
	if (!b->waived) {
		rep->archived_threads += b->threads;
		rep->archived_posts += b->posts;
		rep->archived_rows += b->rows;
		rep->archived_bytes += b->file_bytes;
	}
	if (b->posts)
		u->run->raw_per_post = (u->run->raw_per_post + (double)b->raw_bytes / (double)b->posts) / 2;
	return b;
}

static int purge_unit(struct unit *u, const struct receipt *r, struct run_bundle *b, struct err *err)
{
	auto_mem mm_id *skip = mem_array(u->ctx, mm_id, u->n_files + 1);
	struct run_purge p = {.name = b->bundle, .receipt = r, .rule = u->rule, .hints = u->hints, .snapshot_ms = u->snapshot_ms, .skip = skip};

	for (size_t i = 0; i < u->n_files; i++)
		if (u->file[i].changed) {
			memcpy(skip[p.n_skip++], u->file[i].root, sizeof(mm_id));
			u->run->report->kept[KEPT_FILE_MISSING]++;
		}
	return run_purge_receipt(u->run, &p, &b->purge, err);
}

static int work(struct unit *u, struct spool *due, struct err *err)
{
	struct run_report *rep = u->run->report;
	int64_t from = time_mono_us();
	struct receipt *receipt;
	char *name;
	int rc;

	if ((rc = purge_hints_new(u->ctx, &u->hints, err)) < 0 || (rc = fill(u, due, err)) < 0)
		return rc;
	for (size_t i = 0; i < u->n_dropped; i++)
		rep->kept[KEPT_FILE_MISSING] += u->dropped[i] < u->used;
	if (bundle_raw_bytes(u->w) == 0)
		return 0; /* every thread was taken out or is gone: no bundle */
	run_timing("export", from, bundle_posts(u->w), bundle_identity_of(u->w));
	from = time_mono_us();
	if ((rc = seal(u, &receipt, &name, err)) < 0)
		return rc;
	run_timing("publish", from, receipt_posts(receipt), name);
	from = time_mono_us();
	index_bundle(u->run, receipt);
	run_timing("index", from, receipt_posts(receipt), name);
	return purge_unit(u, receipt, note(u, receipt, name), err);
}

/* A waived bundle was only a list: it is overwritten by nobody and removed here, or at the next start. */
static void discard(struct unit *u)
{
	char name[256];

	if (!u->w)
		return;
	snprintf(name, sizeof name, "%s.tar.zst.part", bundle_identity_of(u->w));
	bundle_abort(u->w);
	if (u->rule && u->rule->archive_none)
		(void)unlinkat(u->run->store->partial_dirfd, name, 0); /* ignoring: partial/ is cleared at the next start */
}

int run_unit(struct run *run, struct spool *due, uint64_t record, uint64_t *ret_next, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "unit");
	struct unit u = {.run = run, .ctx = ctx, .begin = record, .stop_thread = UINT64_MAX};
	int rc;

	u.users = run_ids_new(ctx);
	u.channels = run_ids_new(ctx);
	u.teams = run_ids_new(ctx);
	rc = work(&u, due, err);
	if (u.x)
		mm_export_end(u.x);
	discard(&u);
	*ret_next = record + (u.used ? u.used : u.threads);
	return rc;
}
