/*
 * plan_internal.h - what the files of the plan room share.
 */
#ifndef MMRETAIN_PLAN_INTERNAL_H
#define MMRETAIN_PLAN_INTERNAL_H

#include <mmretain/plan.h>

/* Ceilings, together. */
enum {
	PLAN_LINE_BYTES = 256 << 10,   /* one line of a plan file */
	PLAN_NAMES_SHOWN = 5,          /* names in one warning */
};

/* ---- plan_words.c ---- */
/* Adds to plan->warning; the same text only once.  The text there. */
const char *plan_warn(struct plan *plan, const char *fmt, ...) MMR_PRINTF(2, 3);
/* That warning is of a word that matches nothing: of the item-th of that list of the hold, or (NULL) of something else.
 */
void plan_note_word(struct plan *plan, const char *warning, const struct policy_hold *hold, const char *of,
		    size_t item);
struct plan_world { const struct mm_scope *scope; size_t n; }; /* every channel */
/* As plan_words. */
int plan_words_of(struct plan *plan, const struct policy *policy, struct mm *mm, const struct plan_world *w,
		  bool holds_only, struct err *err) MMR_CHECKED;

/* ---- plan_build.c ---- */
struct plan *plan_empty(void *ctx);
/* Its cut-offs, and neither channels nor threads yet. */
int plan_new(void *ctx, const struct policy *policy, const struct mm *mm, struct plan **ret,
	     struct err *err) MMR_CHECKED;
/* A list of scopes grows by so many: a quarter, where the double would be memory that nobody needs. */
static inline size_t plan_scope_room(size_t room)
{
	return room + room / 4 + 64;
}
/* The scope's numbers by reason, to count. */
uint64_t *plan_scope_count(struct plan *plan, struct plan_scope *s);

/* ---- plan_resolve.c ---- */
/* Channels with their winning rules into plan->scope, restricted by the options; *ret_all: nothing was left out. */
int plan_resolve(struct plan *plan, const struct policy *policy, struct mm *mm, const struct plan_options *options,
		 bool *ret_all, struct err *err) MMR_CHECKED;

/* ---- plan_protect.c ---- */
/* As plan_protect_query; names that do not exist become warnings of plan (may be NULL). */
int plan_protect(void *ctx, const struct policy *policy, const struct policy_rule *rule, struct mm *mm,
		 const struct plan_scope *scopes, size_t n_scopes, struct plan *plan, struct mm_protect_query **ret,
		 struct err *err) MMR_CHECKED;

/* ---- plan_rule.c: one rule over its channels ---- */
enum { GUARD_ALL = 100 }; /* percent: no share of the posts is more, so nobody counts them */

struct plan_pass {
	struct plan *plan;
	struct mm *mm;
	struct plan_rule *rule;
	struct mm_protect_query *protect;
	uint32_t *scope;               /* indexes into plan->scope of the rule's channels */
	const char **channel;          /* their ids */
	size_t n;
	bool all_channels, with_bytes;
	const mm_id *held; size_t n_held; /* as in plan_options */
	/* mm_id of what age or a limit wants, taken or kept, for plan_deleted_book; or NULL: no limit */
	struct spool *seen;
	struct plan_watch *watch;      /* or NULL */
};
/* A thread of which explain wants to know what was booked. */
struct plan_watch { const char *root; bool seen; enum plan_verdict verdict; enum plan_reason reason; };
/* One that something wants and that stays, or (KEPT_YOUNG) that nothing wants. */
int plan_book_kept(struct plan_pass *pass, const struct mm_thread *t, uint32_t scope, enum plan_reason reason,
		   struct err *err) MMR_CHECKED;
/* Books a decision: counts it, and puts a due thread into the spool. */
int plan_book(struct plan_pass *pass, const struct mm_thread *t, uint32_t scope, enum plan_verdict verdict,
	      enum plan_reason reason, struct err *err) MMR_CHECKED;
/* The same for a part of it (posts and bytes of t are the part's) or, by deletion, the whole. */
int plan_book_part(struct plan_pass *pass, const struct mm_thread *t, uint32_t scope, bool part,
		   struct err *err) MMR_CHECKED;
int plan_rule_run(void *ctx, struct plan *plan, const struct policy *policy, struct mm *mm, size_t rule, bool all,
		  const struct plan_options *options, struct err *err) MMR_CHECKED;

/* The guard asks for a share of the rule's posts: they are counted as far as the share needs, which keeps the cost with
 * what is due. */
int plan_rule_count(void *ctx, struct plan *plan, struct mm *mm, size_t rule, void (*meanwhile)(void *payload),
		    void *payload, struct err *err) MMR_CHECKED;

/* ---- plan_limit.c ---- */
/* Does a limit of the rule, which won both, measure the two channels together? */
bool plan_limit_joins(const struct policy_rule *rule, const struct mm_scope *a, const struct mm_scope *b);
/* wanted: of plan_deleted_find, or NULL.  What goes by it need not go by the limit. */
int plan_limit_run(void *ctx, struct plan_pass *pass, struct spool *wanted, struct err *err) MMR_CHECKED;

/* ---- plan_explain_limit.c ---- */
/* How full the unit of x->scope is, and what the limit of x->rule does with the thread x->root; in the open snapshot.
 * all: the channels. */
int plan_explain_limit(struct plan_explain *x, const struct policy *policy, struct mm *mm, const struct mm_scope *all,
		       size_t n, const struct plan_options *options, struct err *err) MMR_CHECKED;

/* ---- plan_deleted.c ---- */
/* A thread of which `deleted_posts` wants something, and age nothing: posts and bytes of t are what goes, unless it is
 * kept. */
struct plan_wanted { struct mm_thread t; uint32_t scope; bool part, keep; uint8_t reason; };
/* What `deleted_posts` wants of the rule's channels: struct plan_wanted, by root. */
int plan_deleted_find(void *ctx, struct plan_pass *pass, struct spool **ret, struct err *err) MMR_CHECKED;
/* Books it, beside what age and limit have taken. */
int plan_deleted_book(struct plan_pass *pass, struct spool *wanted, struct err *err) MMR_CHECKED;
/* Does `deleted_posts` want any of the thread, that the rule's age does not want?  May it go? */
bool plan_deleted_wants(const struct mm_deleted *d, enum policy_from from, int64_t cut_ms);
enum plan_verdict plan_deleted_decide(const struct mm_deleted *d, unsigned protections, int64_t floor_ms,
				      enum plan_reason *ret_reason);
/* The thread's protections; a hold in the ledger is a hold. */
unsigned plan_protections(const struct mm_thread *t, const mm_id *held, size_t n_held);
/* Is the thread protected, whatever wants it? */
bool plan_is_protected(unsigned protections, int64_t last_reply_ms, int64_t floor_ms, enum plan_reason *ret_reason);

/* ---- plan_measure.c ---- */
/* What every channel of the plan holds; all: these are all there are. In the plan's snapshot. */
int plan_measure(struct plan *plan, struct mm *mm, bool all, struct err *err) MMR_CHECKED;

/* ---- plan_file.c ---- */
/* Every line of the plan file but the last, one or more whole ones a call. */
typedef int (*plan_line_fn)(void *payload, const char *lines, size_t len, struct err *err);
int plan_render(struct plan *plan, plan_line_fn fn, void *payload, struct err *err) MMR_CHECKED;
int plan_digest(struct plan *plan, struct digest *ret, struct err *err) MMR_CHECKED;
bool plan_reason_parse(const char *name, size_t len, enum plan_reason *ret);

enum mm_order plan_order(enum policy_from from);
int64_t plan_age_key(enum policy_from from, const struct mm_thread *t);
/* Cut-off and floor of a rule at a time, as struct plan_rule has them. */
void plan_times(const struct policy_rule *rule, int64_t now_ms, int64_t *ret_cut_ms, int64_t *ret_floor_ms);

#endif
