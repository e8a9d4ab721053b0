/*
 * plan_decide.c - the decision about one thread, pure.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

static const char *const reason_name[PLAN_REASONS] = {
	[DUE_AGE] = "age", [DUE_POSTS] = "posts", [DUE_BYTES] = "bytes", [DUE_DELETED] = "deleted",
	[KEPT_PINNED] = "pinned", [KEPT_FLAGGED] = "flagged", [KEPT_AUTHOR] = "author", [KEPT_HASHTAG] = "hashtag",
	[KEPT_FLOOR] = "floor", [KEPT_HOLD] = "hold", [KEPT_LEGAL_HOLD] = "legal_hold",
	[KEPT_CONTENT_FLAG] = "content_flag",
	[KEPT_COMPLIANCE] = "compliance", [KEPT_BURN_ON_READ] = "burn_on_read", [KEPT_DAMAGED] = "damaged",
	[KEPT_YOUNG] = "young",
	[KEPT_CHANGED] = "changed", [KEPT_FILE_MISSING] = "file_missing", [KEPT_FILE_UNREADABLE] = "file_unreadable",
	[KEPT_LOCKED] = "locked",
};

const char *plan_reason_name(enum plan_reason r)
{
	return r < PLAN_REASONS ? reason_name[r] : "unknown";
}

bool plan_reason_parse(const char *name, size_t len, enum plan_reason *ret)
{
	for (unsigned i = 0; i < PLAN_REASONS; i++)
		if (strlen(reason_name[i]) == len && memcmp(reason_name[i], name, len) == 0) {
			*ret = (enum plan_reason)i;
			return true;
		}
	return false;
}

/* What protects, the strongest first: a report names the reason that would still hold when the others fell away. */
static const struct { unsigned bit; enum plan_reason reason; } ladder[] = {
	{MM_HOLD, KEPT_HOLD}, {MM_LEGAL_HOLD, KEPT_LEGAL_HOLD}, {MM_CONTENT_FLAG, KEPT_CONTENT_FLAG},
	{MM_COMPLIANCE, KEPT_COMPLIANCE}, {MM_BURN_ON_READ, KEPT_BURN_ON_READ}, {MM_DAMAGED, KEPT_DAMAGED},
	{MM_PINNED, KEPT_PINNED}, {MM_FLAGGED, KEPT_FLAGGED}, {MM_AUTHOR, KEPT_AUTHOR}, {MM_HASHTAG, KEPT_HASHTAG},
	{MM_CHANGED, KEPT_CHANGED}, {MM_FILE_MISSING, KEPT_FILE_MISSING}, {MM_TOO_YOUNG, KEPT_FLOOR},
};

int64_t plan_age_key(enum policy_from from, const struct mm_thread *t)
{
	switch (from) {
	case FROM_ROOT:
		return t->root_create_ms;
	case FROM_LAST_EDIT:
		return t->last_edit_ms;
	case FROM_LAST_REPLY:
		break;
	}
	return t->last_reply_ms;
}

static bool is_wanted(const struct policy_rule *rule, const struct mm_thread *t, int64_t cut_ms,
		      const struct plan_limits *left, enum plan_reason *ret_reason)
{
	if (plan_age_key(rule->from, t) < cut_ms)
		*ret_reason = DUE_AGE;
	else if (left && rule->limit_posts && left->posts_left > rule->limit_posts)
		*ret_reason = DUE_POSTS;
	else if (left && rule->limit_bytes && left->bytes_left > rule->limit_bytes)
		*ret_reason = DUE_BYTES;
	else
		return false;
	return true;
}

unsigned plan_protections(const struct mm_thread *t, const mm_id *held, size_t n_held)
{
	bool is_held = n_held && bsearch(t->root, held, n_held, sizeof *held, mm_id_cmp);

	return t->protections | (is_held ? MM_HOLD : 0u);
}

bool plan_is_protected(unsigned protections, int64_t last_reply_ms, int64_t floor_ms, enum plan_reason *ret_reason)
{
	for (size_t i = 0; i < ARRAY_LEN(ladder); i++)
		if (protections & ladder[i].bit) {
			*ret_reason = ladder[i].reason;
			return true;
		}
	if (last_reply_ms < floor_ms)
		return false;
	*ret_reason = KEPT_FLOOR;
	return true;
}

enum plan_verdict plan_decide(const struct policy_rule *rule, const struct mm_thread *t, unsigned protections,
			      int64_t cut_ms, int64_t floor_ms, const struct plan_limits *left,
			      enum plan_reason *ret_reason)
{
	if (!is_wanted(rule, t, cut_ms, left, ret_reason)) {
		*ret_reason = KEPT_YOUNG;
		return PLAN_KEEP;
	}
	return plan_is_protected(protections, t->last_reply_ms, floor_ms, ret_reason) ? PLAN_KEEP : PLAN_DUE;
}

enum mm_order plan_order(enum policy_from from)
{
	switch (from) {
	case FROM_ROOT:
		return MM_BY_ROOT;
	case FROM_LAST_EDIT:
		return MM_BY_LAST_EDIT;
	case FROM_LAST_REPLY:
		break;
	}
	return MM_BY_LAST_REPLY;
}

void plan_times(const struct policy_rule *rule, int64_t now_ms, int64_t *ret_cut_ms, int64_t *ret_floor_ms)
{
	*ret_cut_ms = rule->has_age && !rule->keep_forever ? duration_before(now_ms, &rule->age) : INT64_MIN;
	*ret_floor_ms = rule->has_floor ? duration_before(now_ms, &rule->floor) : INT64_MAX;
}
