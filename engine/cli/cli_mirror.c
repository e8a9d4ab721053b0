/* cli_mirror.c - what commands say of the copy in a bucket. */
#include <string.h>

#include <mmretain/policy.h>
#include <mmretain/store.h>
#include <mmretain/store_mirror.h>

#include "cli_mirror.h"

#define SHOWN 20 /* of what verify finds; --json has all */

int cli_open_mirror(struct cli *cli, struct mirror **ret, struct err *err)
{
	return run_mirror_open(cli->ctx, cli->policy, ret, err);
}

int cli_probe_mirror(struct cli *cli, struct cli_mirror_probe *ret, struct err *err)
{
	struct mirror *m = NULL;
	int r = cli_open_mirror(cli, &m, err);

	*ret = (struct cli_mirror_probe){.has = cli->policy && cli->policy->archive.mirror.present};
	if (r == 0 && m) {
		r = mirror_probe(m, err);
		ret->versions = mirror_keeps_versions(m);
		if (r == 0 && cli->store)
			r = run_mirror_home(m, cli->store, err);
	}
	talloc_free(m);
	return r;
}

void cli_mirror_send(struct cli *cli)
{
	struct mirror *m = NULL;
	struct err err = {0};
	int r;

	if (!cli->policy || !cli->policy->archive.mirror.present)
		return;
	if ((r = cli_open_mirror(cli, &m, &err)) == 0)
		r = run_mirror_ledger(m, cli->store, &err);
	talloc_free(m);
	if (r < 0)
		log_warn("the mirror does not have this yet (%s); it has it after the next run", err.msg);
}

/* ---- verify ---- */

int cli_mirror_verify(struct cli *cli, struct run_mirror_report **ret, struct err *err)
{
	const char *how = cli->args->value[OPT_MIRROR];
	struct mirror *m = NULL;
	int r;

	*ret = NULL;
	if (!how)
		return 0;
	if (!cli->policy || !cli->policy->archive.mirror.present) {
		err_set(err, ERR_USAGE,
			cli->policy ? "the policy has no `mirror`"
				    : "`--mirror` needs the policy that names the mirror");
		return err_hint(err, cli->policy ? "Write `archive: {mirror: ...}`, or leave --mirror out."
						 : "Leave --archive out, and name the policy with -c.");
	}
	if ((r = cli_open_mirror(cli, &m, err)) == 0)
		r = run_mirror_look(cli->ctx, m, cli->store,
				    strcmp(how, "read") == 0 ? RUN_MIRROR_READ : RUN_MIRROR_SUMS, &cli->progress, ret,
				    err);
	talloc_free(m);
	return r;
}

bool cli_mirror_sound(const struct run_mirror_report *r)
{
	return !r || (!r->missing && !r->other);
}

json_t *cli_mirror_json(const struct run_mirror_report *r)
{
	json_t *doc, *list;

	if (!r)
		return json_null();
	doc = cli_json_check(json_object());
	list = cli_json_check(json_array());
	cli_json_int(doc, "bundles", r->bundles);
	cli_json_int(doc, "missing", r->missing);
	cli_json_int(doc, "other", r->other);
	cli_json_int(doc, "gone", r->gone);
	cli_json_int(doc, "unknown", r->unknown);
	for (size_t i = 0; i < r->n; i++) {
		json_t *one = cli_json_check(json_object());

		cli_json_text(one, "object", r->found[i].rel_path);
		cli_json_text(one, "why", r->found[i].why);
		if (json_array_append_new(list, one) < 0)
			mem_check(NULL);
	}
	cli_json_put(doc, "found", list);
	return doc;
}

void cli_mirror_print(struct cli *cli, const struct run_mirror_report *r)
{
	if (!r)
		return;
	printf("mirror: %llu bundle%s, %llu without a copy, %llu with another's bytes\n",
	       (unsigned long long)r->bundles, cli_s(r->bundles), (unsigned long long)r->missing,
	       (unsigned long long)r->other);
	for (size_t i = 0; i < r->n && i < SHOWN; i++)
		printf("mirror: %s: %s\n", cli_safe(cli->ctx, r->found[i].rel_path), r->found[i].why);
	if (r->n > SHOWN)
		printf("mirror: and %zu more; --json lists all\n", r->n - SHOWN);
}

int cli_mirror_judge(const struct run_mirror_report *r, struct err *err)
{
	if (cli_mirror_sound(r))
		return 0;
	err_set(err, ERR_VERIFY, "mirror: %llu bundle%s without a copy, %llu with another's bytes",
		(unsigned long long)r->missing, cli_s(r->missing), (unsigned long long)r->other);
	return err_hint(err, r->other ? "Remove those objects from the bucket, when the archive's bundles are sound: "
					"the next run brings them there again." :
					"The next run brings the mirror what it lacks.");
}

/* ---- status ---- */

void cli_mirror_state(struct cli *cli, struct cli_mirror_state *ret)
{
	struct run_mirror_report *report;
	struct mirror *m = NULL;
	struct err err = {0};
	int r;

	*ret = (struct cli_mirror_state){.has = cli->policy && cli->policy->archive.mirror.present};
	if (!ret->has)
		return;
	if ((r = cli_open_mirror(cli, &m, &err)) == 0 &&
	    (r = run_mirror_look(cli->ctx, m, cli->store, RUN_MIRROR_LIST, &cli->progress, &report, &err)) == 0) {
		ret->bundles = report->bundles;
		ret->missing = report->missing;
	}
	if (r < 0)
		ret->problem = mem_strdup(cli->ctx, err.msg);
	talloc_free(m);
}

json_t *cli_mirror_state_json(const struct cli_mirror_state *s)
{
	json_t *doc;

	if (!s->has)
		return json_null();
	doc = cli_json_check(json_object());
	cli_json_int(doc, "bundles", s->bundles);
	cli_json_int(doc, "missing", s->missing);
	cli_json_text(doc, "problem", s->problem);
	return doc;
}

void cli_mirror_state_print(struct cli *cli, const struct cli_mirror_state *s)
{
	if (!s->has)
		return;
	if (s->problem)
		printf("mirror: cannot be asked: %s\n", cli_safe(cli->ctx, s->problem));
	else
		printf("mirror: %llu bundle%s, %llu without a copy\n", (unsigned long long)s->bundles,
		       cli_s(s->bundles), (unsigned long long)s->missing);
}
