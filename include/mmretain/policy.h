/*
 * policy.h - floor 1: the policy file.
 *
 * For: YAML -> checked rules; which rule wins for a scope; reference output.
 * Not for: reading the database (names are resolved against scopes the caller gives).
 * Includes: base only; the only room that may touch libyaml.
 * Order: policy_load, then policy_winner per scope.
 */
#ifndef MMRETAIN_POLICY_H
#define MMRETAIN_POLICY_H

#include <mmretain/base.h>

enum policy_from { FROM_LAST_REPLY, FROM_ROOT, FROM_LAST_EDIT };
enum policy_files { FILES_ARCHIVE, FILES_DROP, FILES_KEEP };
enum policy_per { PER_CHANNEL, PER_TEAM };
enum policy_flag { FLAG_UNSET = -1, FLAG_NO = 0, FLAG_YES = 1 };
enum scope_type { SCOPE_PUBLIC = 1, SCOPE_PRIVATE = 2, SCOPE_DIRECT = 4, SCOPE_GROUP = 8, SCOPE_OTHER = 16 };

/* where each stands in the file; NULL: in none */
struct policy_list { size_t n; char **item; uint32_t *line, *column; };

struct policy_match {
	struct policy_list team, channel; /* name, id or glob (fnmatch: * ? [..]) */
	unsigned types;                   /* mask of enum scope_type, 0 = any */
	enum policy_flag archived;        /* channel or its team archived */
};

struct policy_rule {
	char *name, *description;
	uint32_t line, column;            /* of the rule in the file, for messages */
	struct policy_match match;
	int32_t priority;                 /* default 0, higher wins on one rung */
	bool keep_forever;
	bool has_age; struct duration age; enum policy_from from;
	bool has_limit; enum policy_per per;
	uint64_t limit_posts, limit_bytes;/* 0 = not limited by it */
	bool spare_pinned, spare_flagged;
	struct policy_list spare_authors, spare_hashtags; /* account names; tags as written, with # */
	bool has_floor; struct duration floor;
	enum policy_files files;          /* default FILES_ARCHIVE */
	bool archive_none; char *because; /* archive: none needs because: in the same rule */
	bool has_keep_for; struct duration keep_for; /* unset: kept without end */
	uint64_t guard_threads; uint32_t guard_percent; /* 0 = no guard of that kind */
};

struct policy_hold {
	char *name, *because;
	uint32_t line, column;
	/* all empty is invalid: match everything must be written teams: ["*"], channels: ["*"] */
	struct policy_list users, channels, teams;
	bool has_since, has_until;        /* unset: open on that side */
	int64_t since_ms, until_ms;       /* since inclusive, until exclusive (a date means its end of day) */
};

struct policy_database {
	char *mattermost_config, *service, *url; /* exactly one set */
	char *files;                      /* the attachment folder, or NULL */
};

struct policy_mirror {                /* optional archive.mirror: */
	bool present;
	char *bucket, *endpoint, *region; /* s3://bucket/prefix; https://host; NULL: us-east-1 */
	char *credentials, *ca;           /* files; ca may be NULL */
	int32_t timeout_ms;               /* default 30 s */
};

struct policy_archive {
	char *store;                      /* folder */
	uint64_t bundle_size_bytes;       /* default 256 MiB */
	int32_t level;                    /* zstd level; 0: not given, the bundle's own default (6) */
	struct policy_mirror mirror;
};

enum policy_preset { PRESET_NORMAL, PRESET_GENTLE, PRESET_FAST };

struct policy_throttle {              /* optional top-level key throttle: */
	enum policy_preset preset;        /* already applied to the values below: the defaults are those of `normal` */
	int32_t target_ms;                /* per transaction, default 1 */
	int32_t pause_factor;             /* pause = factor x batch time, default 2; 0 = full speed */
	int32_t export_pause_factor;      /* paced export, default 3; 0 = full speed */
	int32_t blob_grace_ms;            /* from the last delete to the first unlink, default 30 s */
	/* a run waits while a replica is further behind, default 10 s; 0 = no limit */
	int32_t replica_lag_ms;
	int64_t replica_lag_bytes;        /* or by more of write-ahead log, default 128 MiB; 0 = no limit */
	int32_t probe_latency_ms;         /* or while a read takes the server longer, default 10; 0 = no limit */
	bool replica_lag_off, replica_bytes_off, probe_off; /* already applied to the values above */
	struct policy_list replica_except; /* replicas that nobody waits for, by application_name */
};

enum policy_keep_name { KEEP_USERNAME = 1, KEEP_DISPLAY_NAME = 2, KEEP_POSITION = 4 };
enum policy_names { NAMES_KEEP, NAMES_PSEUDONYM };
enum policy_roles { ROLES_KEEP, ROLES_USER };
enum policy_audits { AUDITS_BLANK, AUDITS_DELETE };

struct policy_people {                /* optional top-level key departed_users: */
	bool present;
	struct duration after;            /* since deactivation */
	char *only_listed;                /* absolute path of a list of account names and addresses, or NULL */
	uint32_t listed_line, listed_column; /* where that stands */
	struct policy_list except;        /* account names */
	unsigned keep;                    /* mask of enum policy_keep_name; account and display name are always in it */
	enum policy_names names;          /* NAMES_PSEUDONYM: account name and names are replaced */
	enum policy_roles roles;          /* ROLES_USER: only system_user or system_guest stays */
	enum policy_audits audits;
};

struct policy_deleted {               /* optional top-level key deleted_posts: */
	bool present;
	struct duration purge_after;      /* since deletion, or since the edit */
};

struct policy {
	char *path;
	uint32_t version;                 /* of the format: 1 */
	struct digest digest;             /* SHA-256 of the file's bytes */
	struct policy_database database;
	struct policy_archive archive;
	struct policy_throttle throttle;
	struct policy_rule *rule; size_t n_rules;
	struct policy_hold *hold; size_t n_holds;
	struct policy_deleted deleted;
	struct policy_people people;
};

/* One complaint; all of a file come in one pass, in file order. */
struct policy_problem { uint32_t line, column; bool warning; char *text; char *hint; };
struct policy_problems {
	struct policy_problem *item; size_t n, n_errors;
	char *store;                       /* archive.store, where that could be read; NULL: not */
};

/* Reads and checks a policy.  ERR_POLICY when it has errors: then *ret_problems lists every one
 * ("file:line:column: text" is for the caller to print) and *ret is untouched.  A file that cannot be read has an empty
 * list; ERR_PERMISSION when it may not be, or others may write it.  Both freed with ctx. */
int policy_load(void *ctx, const char *path, struct policy **ret, struct policy_problems **ret_problems,
		struct err *err) MMR_CHECKED;
int policy_parse(void *ctx, const char *name, const char *text, size_t len, struct policy **ret,
		 struct policy_problems **ret_problems, struct err *err) MMR_CHECKED;

/* What a scope must tell for rules and holds to be matched. */
struct policy_scope {
	const char *channel_id, *channel_name, *team_id, *team_name; /* team "" for direct and group */
	enum scope_type type;
	bool archived;
};

enum policy_rung { RUNG_ALL, RUNG_TYPE, RUNG_TEAM, RUNG_CHANNEL };
enum policy_loss { WON, LOST_NO_MATCH, LOST_RUNG, LOST_PRIORITY, LOST_TIE };
struct policy_candidate { const struct policy_rule *rule; enum policy_rung rung; enum policy_loss loss; };

/* A scope of SCOPE_OTHER matches only where m->channel has its very name or id, and most globs take no direct or group
 * channel. */
bool policy_match_scope(const struct policy_match *m, const struct policy_scope *s);
/* The same by one item of m->channel, archived or not: a word that takes no scope there is has no effect. */
bool policy_match_item(const struct policy_match *m, size_t item, const struct policy_scope *s);
enum policy_rung policy_rung_of(const struct policy_match *m);
/* The winner, or NULL when no rule matches (nothing is deleted then). ERR_POLICY on a tie, naming both rules and the
 * channel: nothing is deleted there.  ret_candidates (may be NULL): one entry per rule, in file order. */
int policy_winner(void *ctx, const struct policy *p, const struct policy_scope *s, const struct policy_rule **ret,
		  struct policy_candidate **ret_candidates, struct err *err) MMR_CHECKED;
/* Does the hold cover the scope as a whole (by team or channel)?  Users are matched on posts, elsewhere. */
bool policy_hold_covers(const struct policy_hold *h, const struct policy_scope *s);
bool policy_glob(const char *pattern, const char *id, const char *name); /* id equal, name equal or glob */

/* The word of `words` that was meant, or NULL. Case, `-` and `_` do not count. */
const char *policy_nearest(const char *word, const char *const *words, size_t n);

/* Expands the same table as the binder. */
int policy_schema_json(struct buf *out, struct err *err) MMR_CHECKED;   /* JSON Schema 2020-12 */
int policy_reference_md(struct buf *out, struct err *err) MMR_CHECKED;  /* docs/policy-reference.md */

#endif
