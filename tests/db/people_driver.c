/*
 * people_driver.c - the people room alone, for people_test.py: a policy, a command, results as tab-separated lines.
 *
 * 	people_driver POLICY JOURNAL-FOLDER plan | run [--between SQL] | explain NAME | inventory NAME | finish |
 * settled ID
 *
 * --between runs SQL in a session of its own when the plan is made and no account has been changed.  Exit status as
 * mmretain's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmretain/people.h>

static const uint8_t key[32] = "a secret of the archive, 32 long";

struct driver {
	void *ctx;
	struct policy *policy;
	struct mm *mm;
	struct people_options o;
	const char *between;
};

static int on_event(void *payload, const struct people_event *e, struct err *err)
{
	(void)payload;
	(void)err;
	printf("ledger\t%s\t%s\t%s\n", e->ended ? "depersonalised" : "depersonalising", e->user_id, e->digest);
	return fflush(stdout);
}

static int do_plan(struct driver *d, struct people_plan **ret, struct err *err)
{
	int rc = people_plan(d->ctx, d->policy, d->mm, /* holds= */ NULL, ret, err);

	for (size_t i = 0; rc == 0 && i < (*ret)->n_users; i++) {
		const struct people_user *u = &(*ret)->user[i];

		printf("user\t%s\t%s\t%s\t%lld\t%lld\t%s\n", u->id, people_verdict_name(u->verdict), u->username,
		       (long long)u->deactivated_ms, (long long)u->due_ms, u->hold ? u->hold : "");
	}
	for (size_t i = 0; rc == 0 && i < (*ret)->n_unknown; i++)
		printf("unknown\t%s\n", (*ret)->unknown[i]);
	for (size_t i = 0; rc == 0 && i < (*ret)->n_warnings; i++)
		printf("warning\t%s\n", (*ret)->warning[i]);
	if (rc == 0)
		printf("listed\t%llu\t%llu\n", (unsigned long long)(*ret)->listed,
		       (unsigned long long)(*ret)->listed_unknown);
	return rc;
}

static int change_world(struct driver *d, struct err *err)
{
	const struct sql sql = {"between", d->between};
	struct db *other = NULL;
	int rc = db_open_again(d->ctx, d->mm->db, &other, err);

	if (rc == 0)
		rc = db_query(d->ctx, other, &sql, DB_NONE, 0, NULL, NULL, err);
	talloc_free(other);
	return rc;
}

static void print_counts(const struct people_counts *c)
{
	for (size_t i = 0; i < mm_n_traces; i++)
		if (c->rows[i])
			printf("rows\t%s\t%s\t%llu\n", mm_trace[i].table, mm_trace[i].what,
			       (unsigned long long)c->rows[i]);
	printf("pictures\t%llu\t%llu\nfiles\t%llu\t%llu\t%llu\nview\t%d\n", (unsigned long long)c->pictures_gone,
	       (unsigned long long)c->pictures_left, (unsigned long long)c->files_gone,
	       (unsigned long long)c->files_left, (unsigned long long)c->files_shared, c->view_refreshed);
}

static void print_integrations(const struct people_integration *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("integration\t%s\t%s\t%s\t%s\n", list[i].owner, list[i].kind, list[i].id, list[i].name);
}

static void print_report(const struct people_report *r)
{
	for (size_t i = 0; i < r->n_users; i++)
		printf("result\t%s\t%s\n", r->user[i].id, people_verdict_name(r->user[i].verdict));
	print_counts(&r->total);
	print_integrations(r->integration, r->n_integrations);
	for (size_t i = 0; i < r->n_mentions; i++)
		for (size_t k = 0; k < r->mention[i].n_posts; k++)
			printf("mention\t%s\t%s\t%s\n", r->mention[i].user, r->mention[i].now, r->mention[i].post[k]);
	for (size_t i = 0; i < r->n_notes; i++)
		printf("note\t%s\n", r->note[i]);
	printf("done\t%llu\t%llu\t%llu\n", (unsigned long long)r->done, (unsigned long long)r->changed,
	       (unsigned long long)r->failed);
}

static int do_run(struct driver *d, struct err *err)
{
	struct people_plan *plan = NULL;
	struct people_report *report = NULL;
	int rc = people_plan(d->ctx, d->policy, d->mm, /* holds= */ NULL, &plan, err);

	if (rc == 0 && d->between)
		rc = change_world(d, err);
	if (rc == 0)
		rc = people_run(d->ctx, d->policy, d->mm, plan, &d->o, &report, err);
	if (report)
		print_report(report);
	return rc;
}

static int do_explain(struct driver *d, const char *name, struct err *err)
{
	struct people_user *u = NULL;
	int rc = people_explain(d->ctx, d->policy, d->mm, /* holds= */ NULL, name, &u, err);

	if (rc == 0)
		printf("user\t%s\t%s\t%s\t%lld\t%lld\t%s\n", u->id, people_verdict_name(u->verdict), u->username,
		       (long long)u->deactivated_ms, (long long)u->due_ms, u->hold ? u->hold : "");
	return rc;
}

static int do_inventory(struct driver *d, const char *name, struct err *err)
{
	static const char *const act[] = {"delete", "blank", "keep"};
	struct people_inventory *inv = NULL;
	int rc = people_inventory(d->ctx, d->policy, d->mm, /* holds= */ NULL, name, &inv, err);

	for (size_t i = 0; rc == 0 && i < inv->n_places; i++)
		printf("place\t%s\t%s\t%s\t%llu\t%s\n", act[inv->place[i].act], inv->place[i].table, inv->place[i].what,
		       (unsigned long long)inv->place[i].rows, inv->place[i].why ? inv->place[i].why : "");
	if (rc == 0)
		printf("picture\t%d\t%llu\t%s\n", inv->picture, (unsigned long long)inv->picture_bytes,
		       inv->picture_problem ? inv->picture_problem : "");
	if (rc == 0)
		print_integrations(inv->integration, inv->n_integrations);
	return rc;
}

static int do_finish(struct driver *d, struct err *err)
{
	struct people_report *r = mem_new(d->ctx, struct people_report);
	struct mm_people *p = NULL;
	int rc = mm_people_probe(d->ctx, d->mm, &p, err);

	r->total.rows = mem_array(r, uint64_t, (unsigned)mm_n_traces);
	if (rc == 0)
		rc = people_finish(p, &d->o, &r->total, r, err);
	print_report(r);
	return rc;
}

static int do_settled(struct driver *d, const char *id, struct err *err)
{
	bool done = false;
	int rc = people_settled(d->mm, id, &done, err);

	printf("settled\t%d\n", done);
	return rc;
}

static int act(struct driver *d, const char *command, const char *arg, struct err *err)
{
	struct people_plan *plan = NULL;

	if (!strcmp(command, "plan"))
		return do_plan(d, &plan, err);
	if (!strcmp(command, "run"))
		return do_run(d, err);
	if (!strcmp(command, "explain"))
		return do_explain(d, arg, err);
	if (!strcmp(command, "inventory"))
		return do_inventory(d, arg, err);
	if (!strcmp(command, "finish"))
		return do_finish(d, err);
	if (!strcmp(command, "settled"))
		return do_settled(d, arg, err);
	return err_set(err, ERR_USAGE, "no such command");
}

static int open_all(struct driver *d, const char *policy, const char *journal, struct err *err)
{
	struct mm_source source;
	int rc = policy_load(d->ctx, policy, &d->policy, NULL, err);

	if (rc < 0)
		return rc;
	source = (struct mm_source){d->policy->database.mattermost_config, d->policy->database.service,
				    d->policy->database.url, d->policy->database.files};
	d->o = (struct people_options){.key = key,
				       .key_len = sizeof(key),
				       .event = on_event,
				       .payload = d,
				       .journal_dirfd = -1};
	if ((rc = file_open_dir(journal, &d->o.journal_dirfd, err)) < 0 ||
	    (rc = mm_open(d->ctx, &source, &d->mm, err)) < 0)
		return rc;
	return mm_probe(d->mm, err);
}

int main(int argc, char **argv)
{
	struct driver d = {.ctx = mem_context(NULL, "driver")};
	struct err err = {0};
	int rc;

	mem_setup();
	if (argc < 4)
		return 2;
	if (argc > 5 && !strcmp(argv[4], "--between"))
		d.between = argv[5];
	rc = open_all(&d, argv[1], argv[2], &err);
	if (rc == 0)
		rc = act(&d, argv[3], argc > 4 ? argv[4] : "", &err);
	if (rc < 0)
		fprintf(stderr, "people_driver: %s\nhint: %s\n", err.msg, err.hint);
	fd_close_p(&d.o.journal_dirfd);
	talloc_free(d.ctx);
	return rc < 0 ? err_exit_status(rc) : 0;
}
