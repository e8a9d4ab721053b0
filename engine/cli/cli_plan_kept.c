/*
 * cli_plan_kept.c - threads that a plan keeps although something wants them, one by one: there may be very many.
 */
#include "cli_plan.h"

static const char *hold_of(const struct cli *cli, const struct plan_kept *k)
{
	return k->hold >= 0 && (size_t)k->hold < cli->policy->n_holds ? cli->policy->hold[k->hold].name : NULL;
}

static void put_item(struct cli_list *l, const struct cli *cli, const struct plan *plan, const struct plan_kept *k)
{
	const struct plan_scope *s = &plan->scope[k->scope];

	cli_list_open(l, NULL);
	cli_list_text(l, "root", k->root);
	cli_list_text(l, "channel_id", s->mm->channel_id);
	cli_list_text(l, "rule", s->rule ? s->rule->name : NULL);
	cli_list_text(l, "reason", plan_reason_name((enum plan_reason)k->reason));
	cli_list_text(l, "hold", hold_of(cli, k));
	cli_list_close(l);
}

int cli_plan_list_kept(struct cli_list *l, const void *payload, struct err *err)
{
	const struct cli_plan_kept *of = payload;
	const void *k;
	int r = of->plan->kept ? spool_rewind(of->plan->kept, err) : 0;

	while (r == 0 && of->plan->kept && (r = spool_next(of->plan->kept, &k, err)) == 1) {
		put_item(l, of->cli, of->plan, k);
		r = stop_check(err);
	}
	return r;
}

static void print_one(const struct cli *cli, const struct plan *plan, const struct plan_kept *k)
{
	auto_mem void *ctx = mem_context(NULL, "thread");
	const struct mm_scope *s = plan->scope[k->scope].mm;
	const char *hold = hold_of(cli, k), *reason = plan_reason_name((enum plan_reason)k->reason);
	bool team = s->team_name && *s->team_name;

	printf("%s  %s%s%s  %s%s%s\n", k->root, reason, hold ? " " : "", hold ? cli_safe(ctx, hold) : "",
	       team ? cli_safe(ctx, s->team_name) : "", team ? "/" : "",
	       cli_safe(ctx, s->channel_name ? s->channel_name : ""));
}

int cli_plan_print_kept(const struct cli *cli, const struct plan *plan, struct err *err)
{
	const void *k;
	int r;

	if (!plan->kept)
		return 0;
	printf("\nkept although a rule or deleted_posts wants them: %s\n",
	       cli_count(cli->ctx, spool_count(plan->kept), "thread"));
	r = spool_rewind(plan->kept, err);
	while (r == 0 && (r = spool_next(plan->kept, &k, err)) == 1) {
		print_one(cli, plan, k);
		r = stop_check(err);
	}
	return r;
}
