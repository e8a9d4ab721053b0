/*
 * plan_measure.c - how much every channel holds and since when, for whoever writes a policy.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

struct measure { struct plan *plan; struct mm *mm; const char **id; struct plan_scope **by_id; };

static int compare_scopes(const void *a, const void *b)
{
	return strcmp((*(struct plan_scope *const *)a)->mm->channel_id,
		      (*(struct plan_scope *const *)b)->mm->channel_id);
}

static int compare_id(const void *id, const void *scope)
{
	return strcmp(id, (*(struct plan_scope *const *)scope)->mm->channel_id);
}

static struct plan_scope *scope_of(const struct measure *m, const char *channel_id)
{
	struct plan_scope **at = bsearch(channel_id, m->by_id, m->plan->n_scopes, sizeof *m->by_id, compare_id);

	return at ? *at : NULL;
}

static void order(void *ctx, struct measure *m)
{
	size_t n = m->plan->n_scopes;

	m->id = mem_array(ctx, const char *, n + 1);
	m->by_id = mem_array(ctx, struct plan_scope *, n + 1);
	for (size_t i = 0; i < n; i++) {
		m->by_id[i] = &m->plan->scope[i];
		m->plan->scope[i].all = mem_crumb(&m->plan->crumbs, sizeof *m->plan->scope->all);
		m->plan->scope[i].all->oldest_ms = INT64_MAX;
	}
	qsort(m->by_id, n, sizeof *m->by_id, compare_scopes);
	for (size_t i = 0; i < n; i++)
		m->id[i] = m->by_id[i]->mm->channel_id;
}

/* As a limit measures: a file counts when a post of the channel has it, whatever its own row says.  size: with their
 * files as named. */
static int add_files(void *ctx, const struct measure *m, const struct mm_size *size, size_t n, struct err *err)
{
	const char **id = mem_array(ctx, const char *, n + 1);
	struct mm_size *sure = NULL;
	size_t n_ids = 0, n_sure = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (size[i].named_file_bytes && scope_of(m, size[i].channel_id)) {
			scope_of(m, size[i].channel_id)->all->bytes -= size[i].named_file_bytes;
			id[n_ids++] = size[i].channel_id;
		}
	if (n_ids)
		r = mm_sure_file_bytes(ctx, m->mm, id, n_ids, &sure, &n_sure, err);
	for (size_t i = 0; r == 0 && i < n_sure; i++)
		scope_of(m, sure[i].channel_id)->all->bytes += sure[i].named_file_bytes;
	return r;
}

int plan_measure(struct plan *plan, struct mm *mm, bool all, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "plan_measure");
	struct measure m = {.plan = plan, .mm = mm};
	struct mm_size *size;
	size_t n;
	int r;

	order(ctx, &m);
	r = mm_sizes(ctx, mm, m.id, plan->n_scopes, all, MM_SIZES_OLDEST, &size, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct plan_scope *s = scope_of(&m, size[i].channel_id);

		if (!s)
			continue;
		s->all->posts = size[i].posts;
		s->all->bytes = size[i].bytes;
		s->all->oldest_ms = size[i].oldest_ms;
	}
	return add_files(ctx, &m, size, n, err);
}
