/* run_due.c - due threads in the order in which bundles want them: whole ones first, rule, team, month of expiry, then
 * as inside a bundle. */
#include "run_internal.h"

#include <stdlib.h>
#include <string.h>

/* Month since year 0 of a time, in UTC. */
static int32_t month_of(int64_t ms)
{
	char text[TIME_TEXT];

	time_format(ms, text);
	return (int32_t)(strtol(text, NULL, 10) * 12 + strtol(text + 5, NULL, 10) - 1);
}

/* keep_for counts from the last reply, not from the night of archiving: a late run must not keep longer.  What goes
 * because somebody has deleted it may be out of a thread that is years old: it counts from the plan's cut-off, before
 * which it was deleted. */
static int32_t expiry_of(const struct plan *plan, const struct policy_rule *rule, const struct plan_thread *t)
{
	int64_t from_ms = t->reason == DUE_DELETED && plan->deleted_cut_ms > t->last_reply_ms ? plan->deleted_cut_ms
											      : t->last_reply_ms;

	return rule->has_keep_for ? month_of(duration_after(from_ms, &rule->keep_for)) : EXPIRY_NEVER;
}

int64_t run_expires_ms(int32_t expiry_month)
{
	char text[TIME_TEXT];
	int64_t ms = 0;

	if (expiry_month == EXPIRY_NEVER)
		return 0;
	snprintf(text, sizeof text, "%04d-%02d-01", (expiry_month + 1) / 12, (expiry_month + 1) % 12 + 1);
	return time_parse(text, &ms) ? ms : 0;
}

int64_t run_expiry_after(int64_t last_ms, const struct duration *keep_for)
{
	return run_expires_ms(month_of(duration_after(last_ms, keep_for)));
}

bool run_due_same(const struct due *a, const struct due *b)
{
	return a->t.part == b->t.part && a->rule == b->rule && a->expiry_month == b->expiry_month &&
	       strcmp(a->team, b->team) == 0;
}

static int cmp_due(const void *pa, const void *pb)
{
	const struct due *a = pa, *b = pb;
	int c;

	if (a->t.part != b->t.part)
		return a->t.part ? 1 : -1;
	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if ((c = strcmp(a->team, b->team)) != 0)
		return c;
	if (a->expiry_month != b->expiry_month)
		return a->expiry_month < b->expiry_month ? -1 : 1;
	if ((c = strcmp(a->t.channel_id, b->t.channel_id)) != 0)
		return c;
	if (a->t.root_create_ms != b->t.root_create_ms)
		return a->t.root_create_ms < b->t.root_create_ms ? -1 : 1;
	return strcmp(a->t.root, b->t.root);
}

int run_due_group(struct run *run, struct spool **ret, struct err *err)
{
	const struct plan *plan = run->plan;
	struct spool *s;
	const void *p;
	int rc;

	if ((rc = spool_new(run->ctx, sizeof(struct due), &s, err)) < 0 || (rc = spool_rewind(plan->due, err)) < 0)
		return rc;
	if (run_alone(run))
		spool_sort_early(s, cmp_due);
	while ((rc = spool_next(plan->due, &p, err)) == 1) {
		struct due d = {.t = *(const struct plan_thread *)p};
		const struct plan_scope *scope = &plan->scope[d.t.scope];

		/* A plan file may be older than the hold. */
		if (run_is_held(run, d.t.root)) {
			run->report->kept[KEPT_HOLD]++;
			log_debug("thread %s stays: %s", d.t.root, plan_reason_name(KEPT_HOLD));
			continue;
		}
		d.rule = (int32_t)(scope->rule - run->policy->rule);
		d.expiry_month = expiry_of(plan, scope->rule, &d.t);
		memcpy(d.team, scope->mm->team_id, sizeof d.team);
		if ((rc = spool_add(s, &d, err)) < 0)
			return rc;
	}
	if (rc < 0 || (rc = spool_sort(s, cmp_due, err)) < 0)
		return rc;
	*ret = s;
	return 0;
}

static uint64_t below(const uint64_t *thread, size_t n, uint64_t end)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += thread[i] < end;
	return count;
}

/* One that nobody has left out was not there any more. */
void run_due_rest(const struct sitting *s)
{
	uint64_t missing = below(s->dropped, s->n_dropped, s->used),
		 unreadable = below(s->unreadable, s->n_unreadable, s->used),
		 changed = below(s->changed, s->n_changed, s->used), odd = below(s->odd, s->n_odd, s->used),
		 told = s->written + missing + changed + odd;
	struct run_report *report = s->run->report;

	report->kept[KEPT_FILE_MISSING] += missing - unreadable;
	report->kept[KEPT_FILE_UNREADABLE] += unreadable;
	report->kept[KEPT_CHANGED] += changed;
	report->kept[KEPT_DAMAGED] += odd;
	report->gone_before += s->used > told ? s->used - told : 0;
}

static void mark(uint8_t *why, uint64_t end, const uint64_t *thread, size_t n, enum plan_reason reason)
{
	for (size_t i = 0; i < n; i++)
		if (thread[i] < end)
			why[thread[i]] = (uint8_t)reason;
}

int run_due_tell(const struct sitting *s, struct spool *due, struct err *err)
{
	auto_mem uint8_t *why = NULL;
	const void *p;
	int rc;

	if (!log_is_on(LOG_DEBUG) || !(s->n_dropped + s->n_changed + s->n_odd))
		return 0;
	why = mem_array(NULL, uint8_t, s->used + 1);
	mark(why, s->used, s->dropped, s->n_dropped, KEPT_FILE_MISSING);
	mark(why, s->used, s->unreadable, s->n_unreadable, KEPT_FILE_UNREADABLE);
	mark(why, s->used, s->changed, s->n_changed, KEPT_CHANGED);
	mark(why, s->used, s->odd, s->n_odd, KEPT_DAMAGED);
	rc = spool_seek(due, s->begin, err);
	for (uint64_t i = 0; rc == 0 && i < s->used && (rc = spool_next(due, &p, err)) == 1; i++, rc = 0)
		if (why[i])
			log_debug("thread %s stays: %s", ((const struct due *)p)->t.root,
				  plan_reason_name((enum plan_reason)why[i]));
	return rc < 0 ? rc : 0;
}
