/*
 * run_unit.c - the bundles of one sitting, one after the other.
 *
 * Order for each: opened at its first row, rows streamed in, attachments, names, finish, publish (read back), ledger,
 * index.  Until the ledger line stands, every row is in the database; nothing here deletes.  Finish is a thread's at
 * full speed: it waits for compressed frames and for the disk, and the rows of the next bundle need not.  All that can
 * be seen from outside, from publish on, comes in order and from one thread.
 */
#include "run_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* rows compress to a third at the worst; room for a fifth more than that */
enum { SHRINKS_TO_PERCENT = 33, ROOM_PERCENT = 120 };

struct finishing { struct bundle_writer *w; pthread_t thread; bool threaded; struct err err; int rc; };

/* Bytes in the archive that the next bundle may take. */
static uint64_t room_bytes(const struct run *run)
{
	return run->policy->archive.bundle_size_bytes / 100 * SHRINKS_TO_PERCENT / 100 * ROOM_PERCENT;
}

static int open_bundle(struct unit *u, struct err *err)
{
	struct run *run = u->sitting->run;
	const char *team = u->first.team[0] ? u->scope->team_name : "direct";
	char pg[32];
	int rc;
	struct bundle_source source = {
		.rule = u->rule->name, .policy_digest_hex = run->policy_hex, .team_id = u->first.team,
		.team_label = team,
		.cutoff_ms = run->plan->rule[u->first.rule].cut_ms, .expires_ms = run_expires_ms(u->first.expiry_month),
		.cluster_id = run->mm->schema->system_identifier, .database = run->mm->schema->database,
		.pg_version = pg,
		.schema_digest_hex = run->schema_hex, .tool_version = RUN_VERSION,
	};
	struct bundle_options options = {
		.level = run->policy->archive.level, .crew = u->sitting->crew, .seq = run->seq, .kind = run->kind,
		.n_kinds = MM_KINDS,
	};

	if (!u->rule->has_age)
		source.cutoff_ms = run->plan->taken_ms;
	if (u->first.t.part) {
		source.parts = true;
		source.cutoff_ms = run->plan->deleted_cut_ms; /* what recovery needs to find the same rows again */
	}
	snprintf(pg, sizeof pg, "%d", db_server_version(run->mm->db));
	memcpy(options.salt_secret, run->store->salt_secret, sizeof options.salt_secret);
	if ((rc = store_check_room(run->store, room_bytes(run), err)) < 0 ||
	    (rc = bundle_create(u->ctx, run->store->partial_dirfd, &source, &options, &u->w, err)) < 0)
		return rc;
	run->seq++; /* a waiver uses its number up too: its list stays in partial/ until it is purged */
	return 0;
}

int run_unit_open(struct sitting *s, uint64_t thread, const struct due *first, struct err *err)
{
	struct run *run = s->run;
	struct unit *u;

	s->unit = mem_grow(s->ctx, s->unit, struct unit, s->n_units + 1);
	u = &s->unit[s->n_units++];
	*u = (struct unit){.sitting = s, .first = *first, .begin = thread, .from_hint = purge_hints_count(s->hints)};
	u->ctx = mem_context(s->ctx, "unit");
	u->rule = &run->policy->rule[first->rule];
	u->scope = run->plan->scope[first->t.scope].mm;
	u->users = run_ids_new(u->ctx);
	u->channels = run_ids_new(u->ctx);
	u->teams = run_ids_new(u->ctx);
	return open_bundle(u, err);
}

static int write_names(struct unit *u, struct err *err)
{
	struct mm_export *x = u->sitting->x;
	struct run_names *names = u->sitting->names;
	int rc;

	run_ids_add(u->teams, u->first.team, strlen(u->first.team));
	if ((rc = run_names_write(x, names, u->w, "teams", u->teams, err)) < 0 ||
	    (rc = run_names_write(x, names, u->w, "channels", u->channels, err)) < 0)
		return rc;
	run_names_people(names, u->channels, u->users);
	return run_names_write(x, names, u->w, "users", u->users, err);
}

static int seal(struct unit *u, struct err *err)
{
	struct run *run = u->sitting->run;
	struct receipt *r;
	char hex[DIGEST_HEX + 1];
	int rc;

	if (u->rule->archive_none)
		rc = bundle_waive(u->w, u->sitting->ctx, u->rule->because, &r, err);
	else
		rc = bundle_publish(u->w, u->sitting->ctx, run->store->root_dirfd, run->mm->now_ms, &r, err);
	if (rc < 0)
		return rc;
	digest_hex(receipt_rows_digest(r), hex);
	u->receipt = r;
	u->name = receipt_waived(r) ? mem_printf(u->sitting->ctx, "waived-%.12s", hex)
				    : mem_strdup(u->sitting->ctx, receipt_bundle(r));
	if (receipt_waived(r))
		u->part = mem_printf(u->sitting->ctx, "%s.tar.zst.part", bundle_identity_of(u->w));
	if ((rc = run_line_bundle(run, u, r, u->name, err)) < 0)
		return rc;
	if (!receipt_waived(r))
		memcpy(run->previous_hex, hex, sizeof hex);
	return run_fault(FAULT_RUN_AFTER_PUBLISHED, err);
}

static void note(struct unit *u)
{
	struct run_report *rep = u->sitting->run->report;
	struct run_bundle *b = run_add_bundle(u->sitting->run);
	const struct receipt *r = u->receipt;

	b->rule = mem_strdup(rep, u->rule->name);
	b->team = mem_strdup(rep, u->first.team[0] ? u->scope->team_name : "direct");
	b->bundle = mem_strdup(rep, u->name);
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
	u->at = rep->n_bundles - 1;
}

void run_unit_skip(struct unit *u, const char *root, unsigned why)
{
	struct purge_skip *skip;

	/* Threads come one after the other: of a second attachment the first has said it. */
	if (u->n_skip && u->skip[u->n_skip - 1].why == why && strcmp(u->skip[u->n_skip - 1].root, root) == 0)
		return;
	u->skip = mem_grow(u->sitting->ctx, u->skip, struct purge_skip, u->n_skip + 1);
	skip = &u->skip[u->n_skip++];
	*skip = (struct purge_skip){.why = why};
	snprintf(skip->root, sizeof skip->root, "%s", root);
}

static void *finish(void *payload)
{
	struct finishing *f = payload;

	f->rc = bundle_finish(f->w, &f->err);
	return NULL;
}

/* Nobody else touches the writer from here until finish_wait.  Beside a chat, or when no thread can be had: done
 * without. */
static void finish_begin(struct unit *u)
{
	struct finishing *f = mem_new(u->sitting->ctx, struct finishing);

	f->w = u->w;
	u->finishing = f;
	f->threaded = run_alone(u->sitting->run) && thread_start(&f->thread, finish, f) == 0;
	if (!f->threaded)
		(void)finish(f);
}

static int finish_wait(struct unit *u, struct err *err)
{
	struct finishing *f = u->finishing;
	int rc;

	if (f->threaded)
		pthread_join(f->thread, NULL);
	if ((rc = f->rc) < 0)
		*err = f->err;
	TALLOC_FREE(u->finishing);
	return rc;
}

/* The file in partial/ goes, unless it was published, or waived: then it is the list of what may be deleted. */
void run_unit_abort(struct unit *u)
{
	struct err ignored;

	if (u->finishing)
		(void)finish_wait(u, &ignored); /* given up whatever came of it */
	if (u->w)
		bundle_abort(u->w);
	u->w = NULL;
	TALLOC_FREE(u->ctx);
}

static int settle(struct unit *u, struct err *err)
{
	struct sitting *s = u->sitting;
	uint64_t posts = bundle_posts(u->w);
	int64_t from;
	int rc = finish_wait(u, err);

	if (rc < 0)
		return rc;
	from = time_mono_us();
	if ((rc = seal(u, err)) < 0)
		return rc;
	run_timing("publish", from, posts, u->name);
	u->indexed = run_index_add(s->run, u->receipt);
	note(u);
	run_unit_abort(u); /* memory of the writer */
	s->from_us += time_mono_us() - from; /* no part of the export that goes on */
	return 0;
}

static int settle_before(struct sitting *s, size_t n, struct err *err)
{
	int rc = 0;

	for (; s->n_settled < n && rc == 0; s->n_settled += rc == 0)
		rc = settle(&s->unit[s->n_settled], err);
	return rc;
}

int run_units_settle(struct sitting *s, struct err *err)
{
	int rc = settle_before(s, s->n_units, err);

	if (rc == 0 && s->n_units)
		/* what the last one was waited for */
		run_timing("export", s->from_us, 0, s->unit[s->n_units - 1].name);
	return rc;
}

int run_unit_close(struct unit *u, struct err *err)
{
	struct sitting *s = u->sitting;
	int rc;

	if ((rc = run_files_store(u, err)) < 0 || (rc = write_names(u, err)) < 0 ||
	    (rc = settle_before(s, s->n_units - 1, err)) < 0)
		return rc;
	bundle_follow(u->w, s->run->previous_hex);
	run_timing("export", s->from_us, bundle_posts(u->w), bundle_identity_of(u->w));
	s->from_us = time_mono_us();
	finish_begin(u);
	return 0;
}

void run_unit_purge(struct unit *u, struct run_purge *ret)
{
	struct sitting *s = u->sitting;

	*ret = (struct run_purge){.name = u->name,
				  .receipt = u->receipt,
				  .rule = u->rule,
				  .hints = s->hints,
				  .snapshot_ms = s->snapshot_ms,
				  .skip = u->skip,
				  .n_skip = u->n_skip,
				  .counts = &s->run->report->bundle[u->at].purge};
	for (size_t i = 0; i < u->n_skip; i++) {
		if (u->skip[i].why != MM_FILE_MISSING)
			continue; /* the delete tells */
		s->run->report->kept[KEPT_FILE_MISSING]++;
		log_debug("thread %s stays: %s", u->skip[i].root, plan_reason_name(KEPT_FILE_MISSING));
	}
	if (u->n_skip)
		qsort(u->skip, u->n_skip, sizeof *u->skip, mm_id_cmp);
}

/* A waived bundle was only a list: it is removed here, or at the next start. */
void run_unit_discard(struct unit *u)
{
	run_unit_abort(u);
	if (u->part)
		/* ignoring: partial/ is cleared at the next start */
		(void)unlinkat(u->sitting->run->store->partial_dirfd, u->part, 0);
}
