/*
 * run_erase.c - one person out of the archive.
 *
 * Each bundle: the old file is read back against the ledger, the new one written and read back, holds asked again, line
 * `erasing`, late rows, the new file published, line `erased`, the old file out of every index and removed; the catalog
 * has no names from the first one on.  At the end the indexes are built again.  What an earlier call left is finished
 * first, whoever it was about.
 */
#include "run_internal.h"
#include "run_erase.h"
#include "run_held.h"
#include "run_mirror.h"

#include <mmretain/catalog.h>

#include <string.h>

const char *run_erase_state_name(enum run_erase_state state)
{
	static const char *const name[RUN_ERASE_STATES] = {"due",     "erased",	 "held", "unfinished",
							   "unknown", "damaged", "left"};

	return name[state];
}

/* ---- one bundle ---- */

static void fill_line(struct erase *x, struct erase_bundle *b, const struct receipt *old,
		      const struct bundle_check *now, struct ledger_erasure *e)
{
	*e = (struct ledger_erasure){.bundle = b->voucher.bundle,
				     .rel_path = mem_strdup(b, bundle_erase_rel_path(b->erasure)),
				     .old_rel_path = mem_strdup(b, b->ret->rel_path),
				     .person_digest = x->person_digest,
				     .case_id = mem_strdup(b, x->options->case_id),
				     .generation = now->generation,
				     .rows = b->ret->rows,
				     .posts = b->ret->posts,
				     .blobs = b->ret->blobs};
	digest_hex(receipt_file_digest(old), e->old_file_digest);
	digest_hex(&now->file_digest, e->file_digest);
	digest_hex(&now->rows_digest, e->rows_digest);
}

/* From the line `erased` on the new file is the bundle, whatever becomes of the old one. */
static int enter_new(struct erase *x, struct erase_bundle *b, const struct ledger_erasure *line, struct err *err)
{
	const struct erase_swap swap = {b->ret->rel_path, line->rel_path, line->file_digest, line->rows_digest};
	struct receipt *new;
	int rc = bundle_erase_publish(b->erasure, b, &new, err);

	if (rc < 0 || (rc = erase_line(x->ledger, b, line, true, receipt_file_bytes(new), err)) < 0)
		return rc;
	b->ret->new_rel_path = mem_strdup(x->report, line->rel_path);
	b->ret->new_bytes = receipt_file_bytes(new);
	b->ret->state = RUN_ERASE_DONE;
	return erase_remove_old(x->store, x->mirror, &swap, err);
}

static int erase_one(struct erase *x, struct erase_bundle *b, struct err *err)
{
	struct bundle_check now = {0};
	struct ledger_erasure line;
	struct receipt *old;
	int rc;

	/* The lines that are left may be longer than the rows that they stand for; small rows more than large ones. */
	if ((rc = store_check_place(x->store, err)) < 0 ||
	    (rc = store_check_room(x->store, 2 * b->ret->old_bytes, err)) < 0)
		return rc;
	rc = bundle_reopen(b, x->store->root_dirfd, b->ret->rel_path, &b->voucher.file, &b->voucher.rows, &old, err);
	if (rc == -ERR_VERIFY)
		return erase_damaged(x, b->ret, err);
	if (rc < 0 || (rc = bundle_erase_write(b->erasure, x->store->partial_dirfd, &now, err)) < 0 ||
	    (rc = run_fault(FAULT_ERASE_WRITTEN, err)) < 0 || (rc = erase_look_again(x, b, err)) < 0 ||
	    b->ret->state != RUN_ERASE_DUE)
		return rc;
	fill_line(x, b, old, &now, &line);
	if ((rc = erase_line(x->ledger, b, &line, false, 0, err)) < 0 ||
	    (rc = run_fault(FAULT_ERASE_AFTER_INTENT, err)) < 0 ||
	    (rc = erase_late(x, b, true, &b->ret->late, err)) < 0 || (rc = run_fault(FAULT_ERASE_AFTER_LATE, err)) < 0)
		return rc;
	return enter_new(x, b, &line, err);
}

static int on_bundle(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "erase bundle");
	struct erase *x = payload;
	struct erase_bundle *b;
	int rc = stop_check(err);

	if (rc < 0)
		return rc;
	progress_update(x->options->progress, "erase", x->report->looked_at, x->report->total, "bundles");
	rc = erase_look(x, ctx, rel_path, size_bytes, &b, err);
	if (rc == 0 && b && x->ledger && b->ret->state == RUN_ERASE_DUE)
		rc = erase_one(x, b, err);
	return rc;
}

/* ---- all ---- */

/* Names no one: only who has the archive's secret and the id can say whom a line is about. */
static void person_digest(struct erase *x)
{
	static const char purpose[] = "mmretain erased person";
	struct digest d;
	struct buf b;

	buf_init(&b, x->ctx, 1 << 16);
	buf_put(&b, purpose, sizeof(purpose));
	buf_put(&b, x->options->user, strlen(x->options->user) + 1);
	hash_hmac(x->store->salt_secret, sizeof(x->store->salt_secret), b.data, b.len, &d);
	digest_hex(&d, x->person_digest);
}

/* Held whole are those whom a hold names; what else holds cover is asked anew for each bundle. */
static int check_person(struct erase *x, struct err *err)
{
	const struct run_erase_options *o = x->options;
	struct held_asked *asked;
	char *hold;
	int rc = held_ask(x->ctx, x->policy, x->mm, &asked, err);

	if (rc < 0)
		return rc;
	hold = held_person(x->ctx, asked, o->user, o->name, o->n_names);
	talloc_free(asked);
	if (!hold)
		return 0;
	err_set(err, ERR_HOLD, "%s names this person", hold);
	return err_hint(err, "Nothing was done: what a hold keeps is not erased. Ask whoever ordered the hold.");
}

static int ask_database(struct erase *x, struct err *err)
{
	const struct policy_database *d = &x->policy->database;
	struct mm_source source = {d->mattermost_config, d->service, d->url, d->files};
	int rc = mm_open(x->ctx, &source, &x->mm, err);

	if (rc == 0)
		rc = mm_probe(x->mm, err);
	if (rc == 0)
		rc = held_check_home(x->store, x->mm, err);
	if (rc == 0 || rc == -ERR_GUARD)
		return rc;
	err_prefix(err, "whom holds name by now, and what the legal-hold plugin holds, only the database knows");
	return err_hint(err, "Nothing was done. `--without database` goes on with the names in the bundles, when no "
			     "other hold concerns this person.");
}

static int on_name_of_now(void *payload, const struct db_row *row, struct err *err)
{
	struct erase *x = payload;
	const char **name = mem_array(x->ctx, const char *, x->ask.n_names + 1);

	(void)err;
	for (size_t i = 0; i < x->ask.n_names; i++)
		name[i] = x->ask.name[i];
	if (row->columns > 1 && row->value[1] && row->value[1][0])
		name[x->ask.n_names++] = mem_strdup(x->ctx, row->value[1]);
	x->ask.name = name;
	return 0;
}

/* A group message may have a name that no list of users has: of somebody who was no member any more; in bundles of
 * earlier versions of a member without a row. */
static int add_name_of_now(struct erase *x, struct err *err)
{
	return x->mm && x->options->user[0] ? mm_names(x->mm, "users", &x->options->user, 1, on_name_of_now, x, err)
					    : 0;
}

/* What was said of this person's holds with --without was said of nobody else's. */
static int finish(struct erase *x, struct err *err)
{
	const struct erase_asker asker = {.policy = x->policy,
					  .mm = x->mm,
					  .mirror = x->mirror,
					  .only = x->policy && x->mm ? NULL : x->person_digest};
	struct run_erase_report *r = x->report;
	struct erase_finished n = {.done = 0};
	int rc = erase_finish(x->ctx, &asker, x->store, x->ledger, &n, err);

	r->finished = n.done;
	r->withdrawn = n.withdrawn;
	r->held = n.held;
	r->left = n.left;
	return rc;
}

static int only_there(const char *rel_path, struct err *err)
{
	err_set(err, ERR_VERIFY, "\"%s\" is not here, and the mirror has a copy from which nobody would be erased",
		rel_path);
	return err_hint(err, "Nothing was erased. `mmretain fetch` brings it back; then give the same command "
			     "again." MIRROR_NOT_SOUND);
}

/* Nobody is looked for in a bundle that is not here, nor in one that only the mirror knows. */
static int look_for_missing(struct erase *x, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "missing");
	struct mirror_list there;
	struct mirror_names names;
	struct ledger_archive *a;
	int rc = ledger_archive(ctx, x->store->ledger_dirfd, &a, err);

	if (rc < 0 || (rc = mirror_list(ctx, x->mirror, "bundles/", &there, err)) < 0)
		return rc;
	for (size_t i = 0; i < a->n; i++) {
		const struct ledger_published *p = &a->bundle[i];

		if (p->expiry != LEDGER_THERE || store_has_file(x->store, p->rel_path))
			continue;
		if (mirror_list_find(&there, p->rel_path) && (rc = mirror_has_bundle(x->mirror, p, err)) != 0)
			return rc < 0 ? rc : only_there(p->rel_path, err); /* its copy would bring the person back */
		if (p->loss)
			continue;
		if (!x->report->missing++)
			x->report->first_missing = mem_strdup(x->report, p->rel_path);
	}
	mirror_names(ctx, a, &names);
	for (size_t i = 0; i < there.n; i++)
		x->report->unknown_there += !mirror_names_find(&names, there.at[i].key);
	return 0;
}

/* Without its policy nothing tells of a mirror: the next run brings it what was erased here. */
static int open_mirror(struct erase *x, struct err *err)
{
	int rc = x->policy ? run_mirror_open(x->ctx, x->policy, &x->mirror, err) : 0;

	return rc < 0 ? rc : run_mirror_home(x->mirror, x->store, err);
}

static int begin(struct erase *x, struct err *err)
{
	const struct run_erase_options *o = x->options;
	uint32_t cleared;
	int rc = x->policy && !o->without_database ? ask_database(x, err) : 0;

	if (rc < 0 || (rc = check_person(x, err)) < 0 || (rc = add_name_of_now(x, err)) < 0)
		return rc;
	if (o->act) {
		person_digest(x);
		if ((rc = ledger_open(x->ctx, x->store->ledger_dirfd, &x->ledger, err)) < 0 ||
		    (rc = open_mirror(x, err)) < 0 || (rc = store_clear_partial(x->store, &cleared, err)) < 0 ||
		    (rc = store_refresh_format(x->store, err)) < 0)
			return rc;
		rc = finish(x, err);
	}
	if (rc == 0)
		rc = look_for_missing(x, err);
	if (rc == 0)
		rc = erase_late_list(x, err);
	return rc < 0 ? rc : ledger_fold(x->ctx, x->store->ledger_dirfd, &x->state, err);
}

static int count_one(void *payload, const char *rel_path, uint64_t size_bytes, struct err *err)
{
	struct run_erase_report *r = payload;

	(void)rel_path;
	(void)size_bytes;
	(void)err;
	r->total++;
	return 0;
}

static int all(struct erase *x, struct err *err)
{
	struct run_erase_report *r = x->report;
	int rc = store_each_bundle(x->store, count_one, r, err);

	if (rc < 0 || !x->options->user[0])
		return rc;
	rc = store_each_bundle(x->store, on_bundle, x, err);
	for (size_t i = 0; i < r->n; i++)
		r->count[r->bundle[i].state]++;
	if (rc != -ERR_INTERRUPTED)
		return rc;
	err_prefix(err, "%llu of %llu bundles looked at, %llu erased in", (unsigned long long)r->looked_at,
		   (unsigned long long)r->total, (unsigned long long)r->count[RUN_ERASE_DONE]);
	return err_hint(err, "The bundle at hand was finished. The same command goes on with the others.");
}

static void reindex(struct erase *x)
{
	struct catalog_totals totals;
	struct err why = {0};

	/* Before: nothing of the person in any index, and the catalog neither lists the new files nor has names. */
	if (run_fault(FAULT_ERASE_NAMES, &why) < 0 || store_check_place(x->store, &why) < 0 ||
	    catalog_reindex(x->store, false, &totals, x->options->progress, &why) < 0)
		log_warn("cannot build the indexes again (%s); `mmretain reindex` does that, ignoring", why.msg);
	erase_names(x->store); /* after a stop, too: then no bundle is read, but the names of all are written */
}

static const struct run_erased *first_of(const struct run_erase_report *r, enum run_erase_state a,
					 enum run_erase_state b)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->bundle[i].state == a || r->bundle[i].state == b)
			return &r->bundle[i];
	return NULL;
}

static int judge(const struct run_erase_report *r, struct err *err)
{
	const struct run_erased *bad = first_of(r, RUN_ERASE_DAMAGED, RUN_ERASE_DAMAGED),
				*held = first_of(r, RUN_ERASE_HELD, RUN_ERASE_HELD),
				*kept = first_of(r, RUN_ERASE_UNFINISHED, RUN_ERASE_UNKNOWN);
	unsigned long long n = r->count[RUN_ERASE_UNFINISHED] + r->count[RUN_ERASE_UNKNOWN];

	if (bad) {
		err_set(err, ERR_VERIFY, "%llu bundle%s cannot be read back and stay%s as %s: %s: %s",
			(unsigned long long)r->count[RUN_ERASE_DAMAGED], r->count[RUN_ERASE_DAMAGED] == 1 ? "" : "s",
			r->count[RUN_ERASE_DAMAGED] == 1 ? "s" : "",
			r->count[RUN_ERASE_DAMAGED] == 1 ? "it is" : "they are", bad->rel_path, bad->why);
		return err_hint(err, "Who is in there is not known. Put the file back from a copy of the archive, and "
				     "give the same command again; then a copy needs erasing too.");
	}
	if (r->missing) {
		err_set(err, ERR_VERIFY, "%llu bundle%s that the ledger names %s not here: %s",
			(unsigned long long)r->missing, r->missing == 1 ? "" : "s", r->missing == 1 ? "is" : "are",
			r->first_missing);
		return err_hint(err, "Who is in there is not known; the others were looked at. Put it back from a "
				     "copy, and give the same command again. When there is none, `mmretain abandon`.");
	}
	if (r->unknown_there) {
		err_set(err, ERR_VERIFY,
			"the mirror has %llu object%s under bundles/ that the ledger does not know, and nobody was "
			"looked for in %s",
			(unsigned long long)r->unknown_there, r->unknown_there == 1 ? "" : "s",
			r->unknown_there == 1 ? "it" : "them");
		return err_hint(err, "`mmretain verify --mirror sums` names them. A bundle of this archive comes with "
				     "`mmretain fetch NAME`, and the next run enters it; remove what is none.");
	}
	if (held) {
		err_set(err, ERR_HOLD, "%llu bundle%s stay%s as %s: %s", (unsigned long long)r->count[RUN_ERASE_HELD],
			r->count[RUN_ERASE_HELD] == 1 ? "" : "s", r->count[RUN_ERASE_HELD] == 1 ? "s" : "",
			r->count[RUN_ERASE_HELD] == 1 ? "it is" : "they are", held->why);
		return err_hint(err, "The same command takes them when the hold has ended; `mmretain hold list` shows "
				     "those of the ledger.");
	}
	if (r->held) {
		err_set(err, ERR_HOLD, "%u older file%s of bundles stay%s, because a hold covers what was erased in %s",
			r->held, r->held == 1 ? "" : "s", r->held == 1 ? "s" : "", r->held == 1 ? "it" : "them");
		return err_hint(err,
				"Which hold was told. The next `mmretain erase` or run after it has ended removes %s.",
				r->held == 1 ? "it" : "them");
	}
	if (r->left) {
		err_set(err, ERR_VERIFY, "%u older file%s of bundles stay%s, and whoever was erased is in there",
			r->left, r->left == 1 ? "" : "s", r->left == 1 ? "s" : "");
		return err_hint(err, "What stands against removing each was told. `mmretain verify` looks at them, and "
				     "at the file that stands in its place.");
	}
	if (!kept)
		return 0;
	err_set(err, ERR_KEPT, "%llu bundle%s stay%s as %s: %s", n, n == 1 ? "" : "s", n == 1 ? "s" : "",
		n == 1 ? "it is" : "they are", kept->why);
	return err_hint(err, "The same command takes them when that is done.");
}

int run_erase(void *ctx, const struct policy *policy, struct store *store, const struct run_erase_options *options,
	      struct run_erase_report **ret, struct err *err)
{
	auto_mem void *own = mem_context(ctx, "erase");
	struct erase x = {.ctx = own,
			  .store = store,
			  .options = options,
			  .policy = policy,
			  .report = mem_new(ctx, struct run_erase_report),
			  .ask = {.owner = options->user,
				  .name = options->name,
				  .n_names = options->n_names,
				  .case_id = options->case_id,
				  .at_ms = time_now_ms()}};
	int rc;

	*ret = x.report;
	if ((rc = begin(&x, err)) < 0)
		return rc;
	rc = all(&x, err);
	if (x.report->count[RUN_ERASE_DONE] || x.report->finished || x.report->withdrawn)
		reindex(&x);
	if (rc == 0)
		rc = judge(x.report, err);
	return mirror_end(x.mirror, store, rc, err);
}
