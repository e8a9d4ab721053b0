/*
 * plan.h - floor 3: decide.
 *
 * For: thread facts + rule + time -> due or kept, with the reason; the plan and its file.
 * Not for: archiving or deleting.
 * Includes: base, policy, mm.
 * plan_decide is pure.  plan_build runs in one read-only snapshot; `run` uses the same code.
 */
#ifndef MMRETAIN_PLAN_H
#define MMRETAIN_PLAN_H

#include <mmretain/base.h>
#include <mmretain/mm.h>
#include <mmretain/policy.h>

enum plan_verdict { PLAN_KEEP, PLAN_DUE };
enum plan_reason {   /* of a due thread */
	DUE_AGE, DUE_POSTS, DUE_BYTES, DUE_DELETED,
	/* of a kept one that age or limit wanted */
	KEPT_PINNED, KEPT_FLAGGED, KEPT_AUTHOR, KEPT_HASHTAG, KEPT_FLOOR, KEPT_HOLD, KEPT_LEGAL_HOLD, KEPT_CONTENT_FLAG,
	KEPT_COMPLIANCE,
	KEPT_BURN_ON_READ, KEPT_DAMAGED, KEPT_YOUNG /* nothing wants it */, KEPT_CHANGED, KEPT_FILE_MISSING,
	KEPT_FILE_UNREADABLE /* an attachment is there, and its content cannot be had */, KEPT_LOCKED, PLAN_REASONS,
};
const char *plan_reason_name(enum plan_reason r); /* "age", "pinned", ... */

struct plan_limits { uint64_t posts_left, bytes_left; }; /* of the scope, before this thread goes; strays included */

/* Pure. cut_ms: exclusive; INT64_MIN when the rule has no age. floor_ms: INT64_MAX when none (a thread whose
 * last_reply_ms >= floor_ms stays). */
enum plan_verdict plan_decide(const struct policy_rule *rule, const struct mm_thread *t, unsigned protections,
			      int64_t cut_ms, int64_t floor_ms, const struct plan_limits *left,
			      enum plan_reason *ret_reason);

struct plan_thread {          /* one due thread; fixed size, lives in a spool */
	mm_id root, channel_id;
	/* the archive's keep_for counts from last_reply_ms, or from deleted_cut_ms */
	int64_t root_create_ms, last_reply_ms;
	uint64_t posts, bytes;
	uint32_t scope;       /* index into plan->scope */
	uint8_t reason;
	bool part; /* only what was soft-deleted or replaced before plan->deleted_cut_ms goes, the thread stays; posts
		      and bytes are of what goes */
};

struct plan_holding { uint64_t posts, bytes; int64_t oldest_ms; /* of its oldest post; INT64_MAX: it has none */ };
/* one that something wanted */
struct plan_kept {
	mm_id root;
	int64_t root_create_ms;
	uint32_t scope;
	int32_t hold /* of the policy, or -1 */;
	uint8_t reason;
};

struct plan_scope {
	const struct mm_scope *mm;        /* belongs to the plan, or to whoever made the scope */
	const struct policy_rule *rule;   /* winner, or NULL */
	uint64_t due_threads, due_posts, due_bytes;
	uint64_t size_posts, size_bytes;  /* now, where a limit asked */
	bool limit_unreached;             /* protections keep it above the limit */
	struct plan_holding *all;         /* now, where the options measure, else NULL; no part of the file */
	/* threads by reason, PLAN_REASONS of them; NULL: none at all, as in most of very many channels */
	uint64_t *reason;
};
const uint64_t *plan_scope_reasons(const struct plan_scope *s); /* PLAN_REASONS numbers, never NULL */

struct plan_rule {
	const struct policy_rule *rule;
	int64_t cut_ms, floor_ms;
	uint64_t scopes, due_threads, due_posts, due_bytes;
	uint64_t due_parts; /* of due_threads: only parts of threads that stay */
	uint64_t reason[PLAN_REASONS];
	uint64_t *held; /* of reason[KEPT_HOLD]: by hold of the policy, each thread at the first that covers it; the
			   rest the ledger holds. NULL: of a plan file, which does not tell */
	uint64_t total_posts; /* of its scopes; 0 unless a limit or `guard: percent` below 100 asked; for the guard
				 counted only as far as it takes to know that the share is small enough */
};

struct plan_unmatched {
	const struct policy_hold *hold;
	const char *of; /* "users", "channels", "teams" */
	size_t item;	/* of that list, from 0 */
};

struct plan {
	struct digest policy_digest;
	int64_t taken_ms;                 /* database clock */
	int64_t deleted_cut_ms;           /* of `deleted_posts`, exclusive; INT64_MIN: the policy has none */
	char *system_identifier, *database;
	struct plan_scope *scope; size_t n_scopes;
	struct mem_crumbs crumbs;                 /* of the scopes: names of a plan file, reasons */
	struct plan_rule *rule; size_t n_rules;   /* as in the policy */
	struct mm_strays strays;
	/* a selector that matches nothing, a limit that cannot be reached ... */
	char **warning; size_t n_warnings;
	const char **word; size_t n_words;        /* of these: each a word of the policy that matches nothing */
	struct plan_unmatched *unmatched; size_t n_unmatched; /* of those: words of holds */
	/* struct plan_thread, sorted: rule, team id, channel id, root_create_ms, root */
	struct spool *due;
	struct spool *kept;               /* struct plan_kept, in the order of due; NULL: nobody asked for them */
	uint64_t due_threads, due_posts, due_bytes;
	uint64_t due_parts;               /* of due_threads: only parts of threads that stay */
	struct digest digest;             /* over scopes, cut-offs and due threads in order */
};

struct plan_options { const char *rule, *team, *channel; /* restrict by name or id, may be NULL */
		      bool sizes;  /* bytes of every due thread too (a limit on bytes knows them anyway) */
		      bool kept;   /* list the threads that are kept although something wants them */
		      bool strays; /* count strays: reads all of posts */
		      bool measure; /* how much every channel holds, and since when: reads all of posts */
		      /* threads that the archive's ledger holds, sorted by strcmp: kept as by a hold of the policy */
		      const mm_id *held; size_t n_held;
		      struct plan_watch *watch; /* of plan_explain_post alone */
		      const struct progress *progress; };
/* In one snapshot of its own. ERR_POLICY on ties; ERR_USAGE when a restriction names nothing; ERR_HOLD when a legal
 * hold cannot be read; ERR_DATABASE. Guards are not applied here. */
int plan_build(void *ctx, const struct policy *policy, struct mm *mm, const struct plan_options *options,
	       struct plan **ret, struct err *err) MMR_CHECKED;
/* ERR_USAGE when the restriction of the options names nothing, or more than one channel; without one, or where only a
 * plan can tell, 0.  ERR_DATABASE. */
int plan_check_options(const struct policy *policy, struct mm *mm, const struct plan_options *options,
		       struct err *err) MMR_CHECKED;
/* Adds words of the policy that match nothing to a plan; holds_only: those of holds, which protect whatever the plan is
 * restricted to, or read from.  plan_build has added them.  ERR_DATABASE. */
int plan_words(struct plan *plan, const struct policy *policy, struct mm *mm, bool holds_only,
	       struct err *err) MMR_CHECKED;
/* ERR_POLICY naming the words that match nothing; 0: there are none. */
int plan_strict(const struct plan *plan, struct err *err) MMR_CHECKED;
/* ERR_GUARD naming rule, numbers and the key to change. */
int plan_guard(const struct plan *plan, struct err *err) MMR_CHECKED;
/* A channel as the policy sees it; points into s. */
struct policy_scope plan_policy_scope(const struct mm_scope *s);
/* Resolve the policy's holds and a rule's spares against the database; parent ctx. Also for the guard inside the
 * deleting transaction. */
int plan_protect_query(void *ctx, const struct policy *policy, const struct policy_rule *rule /* NULL: holds only */,
		       struct mm *mm, const struct plan_scope *scopes, size_t n_scopes, struct mm_protect_query **ret,
		       struct err *err) MMR_CHECKED;

/* JSON lines: header object, one line per scope, one per due thread, a last line with counts and digest.  Errors of
 * `path` as output_failed. */
int plan_write(struct plan *plan, const char *path, struct err *err) MMR_CHECKED;
/* ERR_POLICY when it is of another policy, ERR_GUARD of another database, ERR_VERIFY when damaged.  Of the file itself:
 * ERR_NOT_FOUND, ERR_USAGE (no regular file), ERR_PERMISSION (also when others may write it), ERR_STORE. */
int plan_read(void *ctx, const char *path, const struct policy *policy, struct mm *mm, struct plan **ret,
	      struct err *err) MMR_CHECKED;

/* ---- explain ---- */
struct plan_explain {
	struct mm_scope scope;
	struct policy_scope policy_scope;                 /* the same, as the policy sees it; points into scope */
	/* one per rule, in file order, with why it lost */
	const struct policy_candidate *candidate; size_t n_candidates;
	const struct policy_rule *rule;                   /* winner; NULL: no rule matches, nothing is deleted */
	bool tie;                                         /* two rules tie: no winner, nothing is deleted */
	int64_t cut_ms, floor_ms;                         /* as in plan_rule */
	int64_t deleted_cut_ms;                           /* as in plan */
	const struct policy_hold **hold; size_t n_holds;  /* holds that cover the whole channel */
	/* of a post only */
	bool has_post;
	bool channel_gone;                                /* no row of channels: scope has its id, no rule is asked */
	mm_id post, root;                                 /* root "" when the post belongs to no thread */
	bool has_thread;                                  /* false: damaged or stray, kept */
	struct mm_thread thread;
	int64_t age_key_ms;                               /* by the rule's from */
	/* first moment age and floor let it go; INT64_MAX: never by age */
	int64_t due_ms;
	enum plan_verdict verdict;                        /* now, by age or limit, as a plan decides */
	enum plan_reason reason;
	/* what the rule's limit measures: the channel, or the rule's channels of its team; 0: no limit */
	size_t unit_channels;
	uint64_t unit_posts, unit_bytes;                  /* what they hold now; bytes where the limit has some */
	bool held;                                        /* the archive's ledger holds the thread */
	const struct policy_hold *thread_hold;            /* first hold that covers a post of it, or NULL */
	/* `deleted_posts` wants some of it, or all, that age does not want */
	bool deleted_wanted, deleted_whole;
	uint64_t deleted_posts;                           /* rows that it wants */
	enum plan_verdict deleted_verdict; enum plan_reason deleted_reason;
};
/* channel: id, name or team/name. ERR_NOT_FOUND; ERR_USAGE when several channels have the name (hint lists them). */
int plan_explain_channel(void *ctx, const struct policy *policy, struct mm *mm, const char *channel,
			 struct plan_explain **ret, struct err *err) MMR_CHECKED;
/* held: as in plan_options. */
int plan_explain_post(void *ctx, const struct policy *policy, struct mm *mm, const char *post_id, const mm_id *held,
		      size_t n_held, struct plan_explain **ret, struct err *err) MMR_CHECKED;

#endif
