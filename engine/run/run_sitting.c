/*
 * run_sitting.c - threads of many bundles, read in one snapshot.
 *
 * A bundle holds one team and one month of expiry, often few threads; joining every table for each of them alone would
 * cost the same again and again.  So the threads of several bundles are read together and leave the stream in the order
 * of the bundles.  The snapshot ends before anything is deleted: an open one keeps dead index entries alive.
 */
#include "run_mirror.h"
#include "run_sitting.h"

#include <stdlib.h>
#include <string.h>

/* At full speed a sitting is larger: each one looks at the whole table.  Beside a chat its snapshot is open for longer
 * than that saves. */
enum {
	SITTING_POSTS = 500000,
	SITTING_POSTS_FULL_SPEED = 1500000,
	SITTING_UNITS = 4000,
	COMMIT_LATE_MS = 10000,
	WAIT_MS = 60000 /* in one snapshot, for others */,
	CHANNELS_AHEAD = 20000 /* whose names are asked for at once */
};

static int column_of(const struct run *run, enum mm_kind kind, const char *name)
{
	for (size_t i = 0; i < run->kind[kind].n_columns; i++)
		if (strcmp(run->kind[kind].column[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool is_over(const struct sitting *s)
{
	return s->run->work_until_boot_ms && time_boot_ms() >= s->run->work_until_boot_ms;
}

/* Does the open bundle end before this thread? */
static bool ends(struct rows *r, uint64_t thread)
{
	struct sitting *s = r->s;
	bool other = false;

	for (; r->group + 1 < s->n_groups && s->group[r->group + 1].thread <= thread; r->group++)
		other = true;
	for (; r->cut < s->n_cuts && s->cut[r->cut] <= thread; r->cut++)
		other = true;
	return r->u && (other || s->leave || is_over(s) ||
			bundle_raw_bytes(r->u->w) >= s->run->policy->archive.bundle_size_bytes);
}

/* Half of the time that is left belongs to deleting what was read. */
static bool out_of_time(const struct sitting *s)
{
	int64_t deadline = s->run->work_until_boot_ms;

	return deadline && time_boot_ms() > s->begin_boot_ms + (deadline - s->begin_boot_ms) / 2;
}

static int close_unit(struct rows *r, struct err *err)
{
	struct unit *u = r->u;

	r->u = NULL;
	if (!r->s->first_ms)
		r->s->first_ms = time_boot_ms() - r->s->begin_boot_ms;
	return run_unit_close(u, err);
}

/* The root is not among the rows of a part; the plan knows it. */
static int begin_part(struct rows *r, uint64_t thread, struct err *err)
{
	const struct due *d;
	const void *p;
	int rc;

	if ((rc = spool_seek(r->due, r->s->begin + thread, err)) < 0 || (rc = spool_next(r->due, &p, err)) < 0)
		return rc;
	if (rc == 0)
		return err_set(err, ERR_INTERNAL, "a part of a thread that nobody asked for");
	d = p;
	run_ids_add(r->u->channels, d->t.channel_id, strlen(d->t.channel_id));
	memcpy(r->root, d->t.root, sizeof r->root);
	return bundle_thread_begin(r->u->w, d->t.channel_id, d->t.root, d->t.root_create_ms, err);
}

/* 1: the sitting ends before this thread. */
static int begin_thread(struct rows *r, const struct mm_export_row *x, struct err *err)
{
	const struct db_row *row = &x->row;
	const char *root = row->value[r->root_column], *channel = row->value[r->channel_column],
		   *create = row->value[r->create_column];
	struct sitting *s = r->s;
	int rc;

	if (x->kind != MM_POST || !root || !channel || !create)
		return err_set(err, ERR_DATABASE, "a thread of the plan has no usable root post any more");
	if (ends(r, x->thread)) {
		if (s->leave) { /* archive_end closes the bundle */
			s->used = x->thread;
			return 1;
		}
		if ((rc = close_unit(r, err)) < 0)
			return rc;
		if (out_of_time(s)) {
			s->used = x->thread;
			return 1;
		}
	}
	if (!r->u) {
		if ((rc = run_unit_open(s, x->thread, &s->group[r->group].first, err)) < 0)
			return rc;
		r->u = &s->unit[s->n_units - 1];
		r->paced_bytes = 0;
	}
	r->current = x->thread;
	s->written++;
	if (s->group[r->group].first.t.part)
		return begin_part(r, x->thread, err);
	text_fit(r->root, sizeof r->root, root);
	run_ids_add(r->u->channels, channel, strlen(channel));
	return bundle_thread_begin(r->u->w, channel, root, db_bigint(create), err);
}

/* A pin of a transaction that began long before the plan and ended after it: no time tells, and the delete asks only
 * about what stands in other tables.  The thread is in the bundle by now, and stays. */
static void note_pin(struct rows *r, const struct mm_export_row *x)
{
	struct unit *u = r->u;
	const char *pinned, *deleted;

	if (x->kind != MM_POST || !u->rule->spare_pinned || u->first.t.part || r->pin_column < 0 ||
	    r->delete_column < 0)
		return;
	pinned = x->row.value[r->pin_column];
	deleted = x->row.value[r->delete_column];
	if (!pinned || pinned[0] != 't' || (deleted && strcmp(deleted, "0") != 0) ||
	    (u->n_skip && strcmp(u->skip[u->n_skip - 1].root, r->root) == 0))
		return;
	run_unit_skip(u, r->root, MM_PINNED);
}

/* A post that nothing else tells of: one that came dated back while another was removed, so that the number is as
 * planned.  Who wrote it, or what it says, may keep the thread, and the delete does not ask that again; of a plan file
 * it asks everything.  The thread stays for the next plan. */
static void note_new(struct rows *r, const struct mm_export_row *x)
{
	const struct run *run = r->s->run;

	if (x->kind == MM_POST && run->plan_xid && !r->u->first.t.part &&
	    mm_export_since(r->s->x, run->plan_xid, x->xmin) &&
	    !(r->u->n_skip && strcmp(r->u->skip[r->u->n_skip - 1].root, r->root) == 0))
		run_unit_skip(r->u, r->root, MM_CHANGED);
}

static int add_file(struct rows *r, const struct db_row *row, struct err *err)
{
	const char *id = row->value[r->file_id_column], *path = row->value[r->file_path_column];

	return id ? run_files_add(r->u, r->root, id, path ? path : "", err)
		  : err_set(err, ERR_DATABASE, "an attachment without an id");
}

static int on_row(void *payload, const struct mm_export_row *x, struct err *err)
{
	struct rows *r = payload;
	int owner = r->s->run->kind[x->kind].owner_column, rc;

	if (x->thread != r->current && (rc = begin_thread(r, x, err)) != 0)
		return rc;
	note_pin(r, x);
	note_new(r, x);
	if (x->kind == MM_FILE && (rc = add_file(r, &x->row, err)) < 0)
		return rc;
	purge_fields(&x->row, r->field);
	if (owner >= 0 && x->row.value[owner])
		run_ids_add(r->u->users, x->row.value[owner], x->row.len[owner]);
	if ((rc = bundle_row(r->u->w, (size_t)x->kind, r->field, err)) < 0 ||
	    (rc = purge_hints_add(r->s->hints, x->kind, x->ctid, x->xmin, err)) < 0)
		return rc;
	return (rc = sitting_pace(r, err)) < 0 ? rc : stop_check(err);
}

static void add_group(struct sitting *s, const struct due *d)
{
	if (s->n_groups && run_due_same(&s->group[s->n_groups - 1].first, d))
		return;
	s->group = mem_grow(s->ctx, s->group, struct sitting_group, s->n_groups + 1);
	s->group[s->n_groups++] = (struct sitting_group){s->threads, *d};
	run_ids_add(s->teams, d->team, strlen(d->team));
}

/* Due threads from record s->begin on. */
static int collect(struct sitting *s, struct spool *due, struct err *err)
{
	uint64_t posts = 0, most = run_alone(s->run) ? SITTING_POSTS_FULL_SPEED : SITTING_POSTS;
	size_t n_channels = 0;
	mm_id channel = "";
	const void *p;
	int rc = 0;

	while (posts < most && (rc = spool_next(due, &p, err)) == 1) {
		const struct due *d = p;
		struct mm_export_thread t = {.root_create_ms = d->t.root_create_ms, .posts = (uint32_t)d->t.posts};

		if (s->n_groups && d->t.part != s->group[0].first.t.part)
			break; /* an export reads whole threads or parts */
		if (s->n_groups == SITTING_UNITS && !run_due_same(&s->group[s->n_groups - 1].first, d))
			break;
		if (d->t.part)
			mm_export_parts(s->x, s->run->plan->deleted_cut_ms);
		add_group(s, d);
		if (strcmp(d->t.channel_id, channel) != 0 && n_channels++ < CHANNELS_AHEAD)
			run_ids_add(s->channels, d->t.channel_id, strlen(d->t.channel_id));
		memcpy(channel, d->t.channel_id, sizeof channel);
		memcpy(t.root, d->t.root, sizeof t.root);
		memcpy(t.channel_id, d->t.channel_id, sizeof t.channel_id);
		if ((rc = mm_export_add(s->x, &t, err)) < 0)
			return rc;
		posts += d->t.posts ? d->t.posts : 1;
		s->threads++;
	}
	s->used = s->threads;
	return rc < 0 ? rc : 0;
}

static int on_changed(void *payload, const struct db_row *row, struct err *err)
{
	struct sitting *s = payload;

	(void)err;
	s->changed = mem_grow(s->ctx, s->changed, uint64_t, s->n_changed + 1);
	s->changed[s->n_changed++] = strtoull(row->value[0], NULL, 10);
	return 0;
}

/* From when on a change makes a thread wait for the next plan.  A row may be committed some time after the moment that
 * it carries. */
static int64_t changed_since_ms(const struct sitting *s)
{
	const struct run *run = s->run;
	/* Of a plan of this run by the database's clock, whatever --now says. */
	int64_t planned_ms =
		run->options->plan_file ? run->plan->taken_ms : s->snapshot_ms - (time_boot_ms() - run->plan_boot_ms);

	return planned_ms - COMMIT_LATE_MS;
}

/* A thread that got a reply, an edit or a pin after the plan may be due no more: it waits for the next one.  A row may
 * be committed some time after the moment that it carries; one row more is seen whatever it carries. */
static int drop_changed(struct sitting *s, struct err *err)
{
	int rc = mm_export_changed(s->x, on_changed, s, err);

	return rc == 0 && s->n_changed ? mm_export_drop(s->x, s->changed, s->n_changed, err) : rc;
}

static int on_odd(void *payload, const struct db_row *row, struct err *err)
{
	struct sitting *s = payload;
	uint64_t thread = strtoull(row->value[0], NULL, 10);

	(void)err;
	for (size_t i = 0; i < s->n_changed; i++)
		if (s->changed[i] == thread)
			return 0; /* dropped already */
	s->odd = mem_grow(s->ctx, s->odd, uint64_t, s->n_odd + 1);
	s->odd[s->n_odd++] = thread;
	return 0;
}

/* No delete would find their rows: they would be archived again every night. */
static int drop_odd(struct sitting *s, struct err *err)
{
	int rc = mm_export_odd(s->x, on_odd, s, err);

	return rc == 0 && s->n_odd ? mm_export_drop(s->x, s->odd, s->n_odd, err) : rc;
}

static int write_rows(struct sitting *s, struct spool *due, struct err *err)
{
	struct rows *r = mem_new(s->ctx, struct rows);

	*r = (struct rows){
		.s = s, .due = due, .current = UINT64_MAX, .wait_left_ms = WAIT_MS,
		.root_column = column_of(s->run, MM_POST, "id"),
		.channel_column = column_of(s->run, MM_POST, "channelid"),
		.create_column = column_of(s->run, MM_POST, "createat"),
		.pin_column = column_of(s->run, MM_POST, "ispinned"),
		.delete_column = column_of(s->run, MM_POST, "deleteat"),
		.file_id_column = column_of(s->run, MM_FILE, "id"),
		.file_path_column = column_of(s->run, MM_FILE, "path"),
	};
	s->rows = r;
	sitting_begin_work(r);
	return mm_export_rows(s->x, on_row, r, err);
}

static int archive_end(struct sitting *s, struct err *err)
{
	int rc;

	if ((s->rows->u && (rc = close_unit(s->rows, err)) < 0) || (rc = run_units_settle(s, err)) < 0)
		return rc;
	run_due_rest(s);
	TALLOC_FREE(s->crew);
	return run_due_tell(s, s->rows->due, err);
}

/* Everything up to published bundles; what is left when the snapshot is to end soon, archive_end does. */
static int archive(struct sitting *s, struct spool *due, struct err *err)
{
	int64_t since_ms;
	int rc;

	if ((rc = purge_hints_new(s->ctx, &s->hints, err)) < 0 ||
	    (rc = mm_export_begin(s->ctx, s->run->mm, run_alone(s->run), spool_count(due) - s->begin, &s->x, err)) < 0)
		return rc;
	s->crew = bundle_crew_new(s->ctx, 1); /* two would take the processor from who reads rows */
	mm_export_stoppable(s->x);
	s->snapshot_ms = mm_export_snapshot_ms(s->x);
	since_ms = changed_since_ms(s);
	s->names = run_names_new(s->ctx);
	s->channels = run_ids_new(s->ctx);
	s->teams = run_ids_new(s->ctx);
	if ((rc = spool_seek(due, s->begin, err)) < 0 || (rc = collect(s, due, err)) < 0 ||
	    (rc = mm_export_ready(s->x, since_ms, err)) < 0 || (rc = drop_changed(s, err)) < 0 ||
	    (rc = drop_odd(s, err)) < 0 || (rc = run_files_look(s, err)) < 0 ||
	    (rc = run_names_fetch(s->x, s->names, "channels", s->channels, err)) < 0 ||
	    (rc = run_names_fetch(s->x, s->names, "teams", s->teams, err)) < 0 ||
	    (rc = run_names_people_ahead(s->x, s->names, err)) < 0 ||
	    (rc = write_rows(s, due, err)) < 0)
		return rc;
	return s->leave ? 0 : archive_end(s, err);
}

struct archiving { struct sitting *s; struct spool *due; struct err err; int rc; };

static void *give_way_and_archive(void *payload)
{
	struct archiving *a = payload;

	thread_give_way(!a->s->run->starved);
	a->rc = archive(a->s, a->due, &a->err);
	return NULL;
}

/* Who answers the chat wakes up for a moment.  Where all count the same the system may let a burst of ours end first,
 * and with a processor of two taken by us the other one is all that the server's processes have among them.  A thread
 * of its own, since the delete holds locks on rows and must not wait for anybody: there is no way back from giving
 * way. */
static int archive_beside_chat(struct sitting *s, struct spool *due, struct err *err)
{
	struct archiving a = {.s = s, .due = due};
	pthread_t thread;

	if (run_alone(s->run) || thread_start(&thread, give_way_and_archive, &a) != 0) {
		a.rc = archive(s, due, err);
	} else {
		pthread_join(thread, NULL);
		if (a.rc < 0)
			*err = a.err;
	}
	return a.rc == 0 && s->leave ? archive_end(s, err) : a.rc; /* at the usual priority */
}

/* Every bundle of the sitting, then one sweep.  When time is up, or the mirror does not take the next one, what was
 * deleted is still settled. */
static int purge(struct sitting *s, struct err *err)
{
	struct run_purge *p = mem_array(s->ctx, struct run_purge, s->n_units + 1);
	struct run *run = s->run;
	struct err own;
	size_t n = 0;
	int rc = 0, end;

	for (size_t i = 0; i < s->n_units; i++)
		run_unit_purge(&s->unit[i], &p[i]);
	for (size_t i = 0; i < s->n_units && rc == 0 && !run_deletes(run); i++)
		rc = run_purge_receipt(run, &p[i], err);
	if (!run_deletes(run))
		return rc;
	for (; n < s->n_units && rc == 0; n += rc == 0) {
		run_index_wait(run, s->unit[n].indexed); /* what is deleted can be found */
		purge_hints_start(s->hints, s->unit[n].from_hint);
		rc = run_purge_delete(run, &p[n], err);
	}
	if (rc == 0 || rc == -ERR_WORK_LEFT || run->mirror_failed) {
		end = run_purge_settle(run, p, n, rc == 0 ? err : &own);
		if (rc == -ERR_WORK_LEFT && end < 0 && end != rc)
			/* what is not swept, or not in the ledger, is worse than time that is up: nothing more is done
			 * in this run */
			*err = own;
		rc = rc == 0 || (rc == -ERR_WORK_LEFT && end < 0) ? end : rc;
	}
	run_purge_report(run, p, s->n_units);
	return rc;
}

int run_sitting(struct run *run, struct spool *due, uint64_t record, uint64_t *ret_next, struct err *err)
{
	auto_mem void *ctx = mem_context(run->ctx, "sitting");
	struct sitting s = {.run = run,
			    .ctx = ctx,
			    .begin = record,
			    .begin_boot_ms = time_boot_ms(),
			    .from_us = time_mono_us()};
	int rc;

	run_index_hold(run);
	rc = archive_beside_chat(&s, due, err);
	if (s.x)
		mm_export_end(s.x);
	if (rc == 0)
		rc = purge(&s, err);
	run_index_wait(run, UINT64_MAX);
	for (size_t i = 0; i < s.n_units; i++)
		run_unit_discard(&s.unit[i]);
	run->sitting_ms = s.leave ? 0 : s.first_ms; /* the next one has a processor */
	*ret_next = record + s.used;
	return rc;
}
