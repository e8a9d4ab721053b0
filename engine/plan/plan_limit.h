/* plan_limit.h - what the files about limits share. */
#ifndef MMRETAIN_PLAN_LIMIT_H
#define MMRETAIN_PLAN_LIMIT_H

#include "plan_internal.h"

struct unit {
	uint32_t first, n;             /* its channels: first .. first + n of the pass */
	uint64_t posts, bytes;         /* at the beginning */
	struct plan_limits left;
	int64_t done_ms, before_ms;    /* threads below done_ms are decided; this round lists those below before_ms */
	uint64_t want_posts;           /* how many posts to reach back for */
	uint64_t *kept;                /* by reason, PLAN_REASONS of them; NULL: none */
};

struct limit {
	struct plan_pass *pass;
	const struct policy_rule *rule;
	struct unit *unit;
	size_t n_units;
	uint32_t *unit_of;             /* per channel of the pass */
	uint64_t *size_posts;          /* per channel of the pass */
	uint64_t *file_bytes;          /* per channel of the pass: files that only name it */
	struct by_id *index;           /* of the pass's channels, by id */
	uint32_t *listed;              /* this round's channels: index into pass->channel */
	struct spool *spool;
	struct spool *wanted;          /* struct plan_wanted, by root; or NULL */
	struct mem_crumbs crumbs;
};

static inline uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* ---- plan_limit_size.c ---- */
/* What each unit holds, and what of it is left when that of deleted_posts is gone. */
int plan_limit_measure(void *ctx, struct limit *l, struct err *err) MMR_CHECKED;

#endif
