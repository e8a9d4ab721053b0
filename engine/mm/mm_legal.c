/*
 * mm_legal.c - what the legal-hold plugin's records cover, for content that is not in the database any more.
 */
#include <string.h>

#include "mm_thread_internal.h"

static struct mm_legal_span *spans(void *ctx, const struct mm_segments *s)
{
	struct mm_legal_span *ret = mem_array(ctx, struct mm_legal_span, s->n + 1);

	for (size_t i = 0; i < s->n; i++) {
		ret[i] = (struct mm_legal_span){.since_ms = s->item[i].since_ms, .until_ms = s->item[i].until_ms};
		memcpy(ret[i].id, s->item[i].id, sizeof ret[i].id);
	}
	return ret;
}

int mm_legal(void *ctx, struct mm *mm, struct mm_legal **ret, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "legal holds");
	struct mm_legal *l = mem_new(ctx, struct mm_legal);
	struct mm_guards *g;
	int r = mm_guards_read(tmp, mm, NULL, &g, err);

	if (r < 0) {
		talloc_free(l);
		return r;
	}
	l->channel = spans(l, &g->legal);
	l->n_channels = g->legal.n;
	l->person = spans(l, &g->legal_people);
	l->n_people = g->legal_people.n;
	*ret = l;
	return 0;
}
