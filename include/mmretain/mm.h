/*
 * mm.h - floor 2: everything that knows Mattermost.
 *
 * For: config.json and DSN, schema probe, scopes, users, thread facts, protections, the closure of threads, file store.
 * Not for: deciding (plan), deleting (purge).
 * Includes: base, db.  The only room that may know table and column names and the attachment folder; all SQL is in
 * engine/mm/sql/<name>.sql and reached as `sql_<name>` (generated mm_sql.h).
 * Order: mm_open, mm_probe, then the rest.
 * Errors of all calls that ask the database, beside those named: as db_query.
 */
#ifndef MMRETAIN_MM_H
#define MMRETAIN_MM_H

#include <mmretain/base.h>
#include <mmretain/db.h>

#include <string.h>
#include <sys/types.h>

#define MM_ID 26
typedef char mm_id[MM_ID + 1];
/* For qsort and bsearch, of ids and of records that begin with one. */
static inline int mm_id_cmp(const void *a, const void *b) { return strcmp(a, b); }

/* The server's compliance export takes posts in order of their last change, then of their ids: those up to here it has
 * taken.  ms 0: it has ended no job yet, or begun none; id "": none of that millisecond. */
struct mm_exported { bool begun; int64_t ms; mm_id id; };

/* ---- open (mm_config.c, mm_dsn.c) ------------------------------------------ */

/* Exactly one of the first three is set.  mattermost_config: a path, or the postgres:// URL of a server that keeps its
 * configuration in the database.
 * files: the attachment folder, whatever configuration and environment say, or NULL. */
struct mm_source { const char *mattermost_config, *service, *url, *files; };

struct mm_config {                /* what we read from config.json and MM_* (environment wins) */
	char *conninfo;           /* libpq key=value, ready for db_open */
	char *file_driver;        /* "local", "amazons3", "" when unknown (service/url: no file store known) */
	/* FileSettings.Directory made absolute; NULL when unknown; of a bucket what to call it */
	char *data_path;
	struct mm_bucket_config *bucket; /* of "amazons3", else NULL */
};
/* config.json and MM_SQLSETTINGS_DATASOURCE / MM_FILESETTINGS_DIRECTORY / MM_FILESETTINGS_DRIVERNAME; a relative
 * Directory is relative to the server's folder (parent of config/).  With service/url the data path is source->files,
 * comes from MM_FILESETTINGS_DIRECTORY, or is unknown. Refuses DriverName other than postgres, a non-local host without
 * sslmode=verify-full (facts 8, security 8.2). ERR_POLICY/ERR_DATABASE. */
int mm_config_read(void *ctx, const struct mm_source *source, struct mm_config **ret, struct err *err) MMR_CHECKED;

/* ---- schema probe (mm_probe.c) ----------------------------------------------- */

/* The closure: rows of these tables go with a thread.  Order = order of kinds in a bundle's schema.json. */
enum mm_kind {
	MM_THREAD, MM_POST, MM_REACTION, MM_FILE, MM_MEMBER, MM_PRIORITY, MM_ACK, MM_PNOTIFY, MM_PREF, MM_REMINDER,
	MM_DRAFT,
	MM_READ_RECEIPT, MM_TEMPORARY, MM_TRANSLATION, MM_PROPERTY, MM_SHARED_FILE, MM_KINDS,
};
struct mm_column {
	char *name, *pg_type, *default_text /* constant defaults in text form, NULL = none */;
	bool not_null;
};
struct mm_table {
	enum mm_kind kind;
	const char *kind_name;    /* "post", ... as in the bundle */
	const char *table;        /* "posts" */
	const char *owner;        /* column that names the person the row belongs to, or NULL */
	bool present; /* the table exists here; absent tables are fine, except posts, fileinfo, reactions, threads,
			 threadmemberships, preferences */
	struct mm_column *column; size_t n_columns; /* attnum order = order of SELECT t.* */
};
struct mm_schema {
	struct mm_table table[MM_KINDS];
	char **unknown;
	size_t n_unknown; /* why deletion is refused (exit 13): unknown tables/columns with post ids, foreign keys at
			     closure tables (cascading ones, too), triggers/rules/policies/inheritance of them, a
			     running migration (db_lock), the server's own retention job at work or waiting */
	/* the last of them: tables that the role may not read, so that a right is missing and no schema unknown */
	size_t n_unread;
	bool superuser;                    /* the role is one */
	/* worth telling, not a reason to refuse: extra plain columns, when the server's own retention last succeeded */
	char **note; size_t n_notes;
	struct digest digest;              /* over tables, columns and types of the closure */
	char *system_identifier, *database;/* pg_control_system() when allowed, else "" */
};

struct mm {
	struct mm_config *config;
	struct db *db;
	struct mm_schema *schema;          /* after mm_probe */
	int data_dirfd;                    /* attachment folder, -1 when unknown or not local */
	struct mm_bucket *bucket;          /* of attachments (mm_bucket.h); NULL when unknown or local */
	char *data_problem;                /* why there is neither, or NULL */
	bool data_denied;                  /* the folder is there, and this user may not open it */
	char *legal_state; bool has_plugin_store; /* after mm_recheck_begin */
	bool awaits_export;                /* the same: the server has jobs, none of them of the compliance export */
	int64_t clock_ms;                  /* database clock at mm_open */
	int64_t now_ms;                    /* the same, or the --now override */
	int64_t clock_boot_ms;             /* time_boot_ms() when clock_ms was asked for: so old is it by now */
	bool no_lost_copies;               /* an export has seen that no edit copy of a reply names no root */
	/* a sweep has seen that more rows name posts that are gone than it can use */
	bool many_orphans;
	bool no_second;                    /* the server had no session left for a second one */
	/* between mm_snapshot_begin and _end: a second session, when one is worth it */
	struct mm_beside *beside;
	int64_t probed_boot_ms;            /* when mm_probe_watch last looked; 0: never */
};
/* Is this the database of an earlier run or plan, by name and system identifier ("": could not be read)?  HIDDEN: it
 * could be read then and cannot now; SHOWN: the other way round.  Neither says that it is another one, or the same. */
enum mm_home { MM_HOME_SAME, MM_HOME_OTHER, MM_HOME_HIDDEN, MM_HOME_SHOWN };
enum mm_home mm_home(const struct mm_schema *schema, const char *system, const char *database);
const char *mm_home_problem(enum mm_home home); /* of HIDDEN and SHOWN, for messages */
#define MM_HOME_GRANT                                                                                                  \
	"GRANT EXECUTE ON FUNCTION pg_control_system()" /* to the role; then the same server is known again */
/* Reads the configuration, connects, asks the database's clock and opens the attachment folder, of which the want is no
 * error (data_problem).  talloc_free closes. Errors as mm_config_read and db_open. */
int mm_open(void *ctx, const struct mm_source *source, struct mm **ret, struct err *err) MMR_CHECKED;
/* Can attachments be reached, in a folder or a bucket?  Else data_problem says why not. */
static inline bool mm_has_files(const struct mm *mm)
{
	return mm->data_dirfd >= 0 || mm->bucket;
}
const char *mm_data_advice(const struct mm *mm); /* what to do about data_problem, a sentence */
/* What a look at some files of the attachment folder found (mm_files.c): those that a few rows name, and some of the
 * newest days. */
/* of the first */
struct mm_files_refusal { unsigned n; int sys_errno; char *folder /* below the attachment folder */; uid_t owner; };
struct mm_files {
	unsigned files, named, missing;          /* looked at; paths of rows, and those where nothing lies */
	/* that may not be read; whose folder may not be written, so that they cannot go */
	struct mm_files_refusal unread, locked;
	/* of a bucket: what to do about unread, whose folder is what the bucket said */
	char *hint;
};
/* Needs mm_has_files.  A few hundred names at most, of a bucket those of rows; nothing is made or changed. */
int mm_files_look(void *ctx, struct mm *mm, struct mm_files **ret, struct err *err) MMR_CHECKED;
int mm_probe(struct mm *mm, struct err *err) MMR_CHECKED; /* ERR_SCHEMA: these are not Mattermost's tables at all */
/* During a run: the catalogue once more. ERR_SCHEMA when it differs from mm->schema or has a reason not to delete (a
 * migration or the server's own job began). A handful of catalogue queries, some milliseconds. */
int mm_probe_again(struct mm *mm, struct err *err) MMR_CHECKED;
/* The same, at most once a second: for every batch of a delete. */
int mm_probe_watch(struct mm *mm, struct err *err) MMR_CHECKED;
/* In a transaction that has deleted: ERR_SCHEMA as mm_probe_again when something acts on deletes by now.  What is not
 * there then cannot come before the transaction's end, since it would need a lock that our delete does not share. */
int mm_probe_hooked(struct mm *mm, struct err *err) MMR_CHECKED;
/* The same question for the end of db_query_together, after the deletes: when a row is affected, mm_probe_again has the
 * answer.  Parent ctx. */
void mm_hooked_call(void *ctx, struct db_call *ret);
/* ERR_PERMISSION listing every missing SELECT/DELETE/INSERT grant at once. With for_delete a standby is ERR_DATABASE.
 */
int mm_check_grants(struct mm *mm, bool for_delete, struct err *err) MMR_CHECKED;
/* SQL that grants `role` (NULL: the role connected as) what mm_check_grants asks for, a statement a line, names quoted.
 * Needs mm_open only and no rights: the role need not exist.  ERR_SCHEMA: these are not Mattermost's tables. */
int mm_grant_script(struct mm *mm, const char *role, struct buf *out, struct err *err) MMR_CHECKED;

/* ---- how busy the server is (mm_busy.c) ---------------------------------------- */

struct mm_replica {
	char *name;                /* its application_name */
	bool hidden;               /* the role may not see how far it is: the rest is 0 */
	int64_t behind_bytes;      /* of write-ahead log that it has not replayed */
	/* between commit and replay, of what it replayed last; 0: nothing is left to replay, or it is not known */
	int64_t behind_ms;
};
struct mm_busy {
	/* what the server takes for a read by primary key, beyond what it must; 0: not asked */
	int64_t cost_us;
	struct mm_replica *replica; size_t n_replicas; /* those that are connected */
};
#define MM_BUSY_GRANT "GRANT pg_read_all_stats" /* to the role, by a superuser; then replicas are not hidden */
/* One round trip, outside of a transaction.  ERR_DB_BUSY with cost: table posts is locked. */
int mm_busy_look(void *ctx, struct db *db, bool cost, struct mm_busy **ret, struct err *err) MMR_CHECKED;
/* Slots of replicas that are not connected: write-ahead log is kept for each. */
struct mm_slot { char *name; int64_t kept_bytes; };
int mm_busy_slots(void *ctx, struct mm *mm, struct mm_slot **ret, size_t *ret_n, struct err *err) MMR_CHECKED;

/* A read-only snapshot for a plan. Where no chat waits beside it (alone), what takes long may then use a second session
 * with the same snapshot, in a thread of its own, and parallel workers; where the server gives none, the first does
 * all. */
int mm_snapshot_begin(struct mm *mm, bool alone, struct err *err) MMR_CHECKED;
void mm_snapshot_end(struct mm *mm); /* rolls back; frees the second session */

/* ---- scopes and users (mm_scope.c, mm_user.c) ---------------------------------- */

struct mm_scope {
	mm_id channel_id, team_id;         /* team_id "" for direct and group */
	char *channel_name, *channel_display, *team_name, *team_display; /* nobody frees one alone */
	char type;                         /* 'O' 'P' 'D' 'G', '?' for anything else */
	bool channel_archived, team_archived;
};
/* All channels, sorted by channel id (C collation).  Names live as long as ctx, also without the list. */
int mm_scopes(void *ctx, struct mm *mm, struct mm_scope **ret, size_t *ret_n, struct err *err) MMR_CHECKED;
/* As they are now, in no order; for use inside a transaction. One that is gone is not among them. */
int mm_scopes_some(void *ctx, struct mm *mm, const mm_id *channels, size_t n, struct mm_scope **ret, size_t *ret_n,
		   struct err *err) MMR_CHECKED;
/* Rows that belong to no channel row / no root / no original: counts for the report, never deleted. */
struct mm_strays { uint64_t no_channel, no_root, no_original, other_channel, odd_time; };
int mm_strays(struct mm *mm, struct mm_strays *ret, struct err *err) MMR_CHECKED;
/* Account names or ids -> ids.  ret_missing (may be NULL) lists names that do not exist.  ERR_DATABASE, too, of an
 * account whose id is longer than an mm_id. */
int mm_user_ids(void *ctx, struct mm *mm, const char *const *names, size_t n, mm_id **ret, size_t *ret_n,
		char ***ret_missing, size_t *ret_n_missing, struct err *err) MMR_CHECKED;

/* id -> names for the bundle (mm_names.c). columns: id, name, display name, extra JSON members; of channels also the
 * ids of the people in a direct or group message, with commas. what: teams, channels, users. */
int mm_names(struct mm *mm, const char *what, const char *const *ids, size_t n, db_row_fn fn, void *payload,
	     struct err *err) MMR_CHECKED;

/* ---- thread facts and protections (mm_thread.c, mm_protect.c) -------------------- */

enum mm_order { MM_BY_LAST_REPLY, MM_BY_ROOT, MM_BY_LAST_EDIT };
struct mm_thread {
	mm_id root, channel_id;
	int64_t root_create_ms;
	int64_t last_reply_ms;     /* newest createat of any row of the thread, soft-deleted ones too */
	int64_t last_edit_ms;      /* newest of createat and editat of any row */
	uint64_t posts;            /* rows: live, soft-deleted, edit copies */
	uint64_t bytes;            /* message + props text + file sizes; 0 unless asked for */
	uint32_t channel;          /* index into the query's channel_ids */
	unsigned protections;      /* enum mm_protection; 0 unless the query asks */
	int32_t hold;              /* first policy hold that covers a post of it, or -1 */
};
struct mm_protect_query;
struct mm_thread_query {
	const char *const *channel_ids; size_t n_channels;
	bool all_channels;         /* these are all channels of the database (saves a join) */
	enum mm_order order;
	int64_t before_ms;         /* only threads whose age key (by order) is < this; INT64_MAX = all */
	const int64_t *before;     /* a cut-off per channel instead of before_ms, or NULL */
	bool with_bytes;
	const struct mm_protect_query *protect; /* NULL: protections are not looked up, damaged threads left out */
};
/* Whole threads, in any order, each once. Threads without a sound root never come out (strays, channel row gone, root's
 * createat missing, 0 or less); other damage (a row in another channel, an odd createat) comes as MM_DAMAGED. fn as in
 * db_row_fn; it may use the session. Needs a transaction. Memory is flat; cost follows the candidates where they are
 * few (a twentieth of posts), else one pass over posts. */
typedef int (*mm_thread_fn)(void *payload, const struct mm_thread *t, struct err *err);
int mm_threads(struct mm *mm, const struct mm_thread_query *q, mm_thread_fn fn, void *payload,
	       struct err *err) MMR_CHECKED;

/* The thread of one root, in a transaction; *ret_found false when the id is no sound root. t->channel is not set. */
int mm_thread_one(struct mm *mm, const struct mm_protect_query *protect, const char *root, struct mm_thread *ret,
		  bool *ret_found, struct err *err) MMR_CHECKED;
/* Root and channel of a post; "" when it has none, or one of more than 26 bytes. ERR_NOT_FOUND: no such post. */
int mm_post_root(struct mm *mm, const char *post_id, mm_id ret_root, mm_id ret_channel, struct err *err) MMR_CHECKED;

/* Threads of the channels with a row that was soft-deleted, or replaced by an edit, before before_ms; each once, in any
 * order, with what of it may go although the thread stays.  Threads without a sound root never come out. Needs a
 * transaction; memory is flat, cost follows the rows that were deleted and their threads.  fn may not use the
 * session. */
struct mm_deleted_query {
	const char *const *channel_ids; size_t n_channels;
	int64_t before_ms;
	bool with_bytes;           /* of whole threads too */
	const struct mm_protect_query *protect;
};
struct mm_deleted {
	struct mm_thread thread;   /* all of it */
	uint64_t posts, bytes;     /* rows that may go alone */
	bool whole;                /* every row was deleted before then, the root too */
	bool torn;                 /* the root is deleted and a reply lives: no server does that */
};
typedef int (*mm_deleted_fn)(void *payload, const struct mm_deleted *d, struct err *err);
int mm_deleted(struct mm *mm, const struct mm_deleted_query *q, mm_deleted_fn fn, void *payload,
	       struct err *err) MMR_CHECKED;
/* The same of one thread, whether or not anything of it was deleted; fn is not called when the id is no sound root of
 * the channels. */
int mm_deleted_one(struct mm *mm, const struct mm_deleted_query *q, const char *root, mm_deleted_fn fn, void *payload,
		   struct err *err) MMR_CHECKED;

/* Rows and bytes that a scope holds now, strays included, for limits. Other channels may come too. Needs a transaction.
 */
struct mm_size {
	mm_id channel_id;
	uint64_t posts, bytes;
	int64_t oldest_ms;         /* of its oldest post, of those whose time can be right; INT64_MAX: none */
	/* of bytes: files whose own rows name the channel; is their post there, and in it? */
	uint64_t named_file_bytes;
};
enum mm_sizes_of { MM_SIZES_POSTS, MM_SIZES_BYTES, MM_SIZES_OLDEST }; /* each what the one before it gives, too */
int mm_sizes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n,
	     bool all_channels /* these are all there are */, enum mm_sizes_of of, struct mm_size **ret, size_t *ret_n,
	     struct err *err) MMR_CHECKED;
/* What of named_file_bytes belongs to posts of these channels: in as many records as have some, the other fields 0. */
int mm_sure_file_bytes(void *ctx, struct mm *mm, const char *const *channel_ids, size_t n, struct mm_size **ret,
		       size_t *ret_n, struct err *err) MMR_CHECKED;
/* Rows of posts in channels, counted no further than `stop`. meanwhile as in db_query_meanwhile. */
int mm_count_up_to(struct mm *mm, const char *const *channel_ids, size_t n, uint64_t stop,
		   void (*meanwhile)(void *payload), void *payload, uint64_t *ret, struct err *err) MMR_CHECKED;
/* Per channel: the createat below which about posts[i] posts lie, INT64_MAX when the channel holds fewer. Cost follows
 * posts[i]. */
int mm_reach(struct mm *mm, const char *const *channel_ids, const uint64_t *posts, size_t n, int64_t *ret_before_ms,
	     struct err *err) MMR_CHECKED;

/* Why a thread must stay.  Bits, because several can hold. */
enum mm_protection {
	MM_PINNED = 1, MM_FLAGGED = 2, MM_AUTHOR = 4, MM_HASHTAG = 8,   /* spares, asked for by the rule */
	MM_HOLD = 16,                                                  /* policy hold */
	MM_LEGAL_HOLD = 32,                                            /* the legal-hold plugin's store */
	MM_CONTENT_FLAG = 64,                                          /* content flagging pending or assigned */
	MM_COMPLIANCE = 128,                                           /* not yet in the server's compliance export */
	MM_BURN_ON_READ = 256,                                         /* never archived with content */
	MM_TOO_YOUNG = 512, MM_CHANGED = 1024, MM_FILE_MISSING = 2048, MM_DAMAGED = 4096,
};
struct mm_hold_query {             /* one policy hold, resolved */
	const char *name;
	const char *const *user_ids; size_t n_users;
	const char *const *channel_ids; size_t n_channels; /* channels covered as a whole (teams expanded) */
	int64_t since_ms, until_ms; /* INT64_MIN / INT64_MAX = open; a post is covered when since <= createat < until */
};
struct mm_protect_query {
	bool pinned, flagged;
	bool unlisted_files; /* attachments that only their post names, as servers before 3.5 did: MM_FILE_MISSING */
	const char *const *author_ids; size_t n_authors;
	const char *const *hashtags; size_t n_hashtags;
	const struct mm_hold_query *hold; size_t n_holds;
};
/* For a page of roots (up to some thousand, each once): bits per root, in the order of `roots`.  Uses posts of the
 * whole closure. ret_hold[i] (may be NULL) is the index of the first hold that covers root i, or -1. A root that is
 * gone or is no root gives MM_CHANGED.
 * Cost: proportional to the page. Runs in any transaction, also the deleting one; the legal-hold plugin's records,
 * content flags and the compliance export's cursor are read anew each time. ERR_HOLD when a legal hold cannot be
 * read. */
int mm_protections(struct mm *mm, const struct mm_protect_query *q, const char *const *roots, size_t n,
		   unsigned *ret_bits, int *ret_hold, struct err *err) MMR_CHECKED;

/* What the legal-hold plugin's records cover now: posts of these channels, and of these people, created since <= t <
 * until.  People, because a channel that is gone cannot be found by its members.  In no order; an id may come several
 * times.  ERR_HOLD as mm_protections. */
struct mm_legal_span { mm_id id; int64_t since_ms, until_ms; };
struct mm_legal { struct mm_legal_span *channel; size_t n_channels; struct mm_legal_span *person; size_t n_people; };
int mm_legal(void *ctx, struct mm *mm, struct mm_legal **ret, struct err *err) MMR_CHECKED;

/* Is a unit of so many posts small beside the table, less than one in `share`?  Then let the open transaction join it
 * by index probes (else by hashing). */
enum { MM_UNIT_SHARE = 20 };
int mm_unit_small(struct mm *mm, uint64_t posts, int share, bool *ret, struct err *err) MMR_CHECKED;
int mm_unit_joins(struct mm *mm, bool probes, struct err *err) MMR_CHECKED;
/* Memory for the open transaction's joins and sorts.  alone: no chat waits beside it, so parallel workers may help. */
int mm_unit_room(struct mm *mm, bool alone, struct err *err) MMR_CHECKED;
/* Of the posts in the work table of gone ones, those that rows of other tables may still name, into the work table of
 * late ones. */
int mm_sweep_late(struct mm *mm, bool small, struct err *err) MMR_CHECKED;
/* Calls fn with ids of posts that are gone although a row names them, a post once for each such row.  Cost: with the
 * tables, not with what was deleted. */
int mm_sweep_orphans(struct mm *mm, db_row_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* Begins the deleting transaction (DB_READ_COMMITTED), where every row is matched by its exact version: only what other
 * tables can have changed since the plan is asked, in the same round trip.  fn is called for post ids that are
 * protected now; *ret_all: the legal-hold plugin's records are not those of mm_recheck_begin (or that was not called),
 * or a compliance export has begun since, so ask mm_protections about every thread. id_array: db_array_text of post
 * ids.  After an error only db_rollback may follow. */
typedef void (*mm_recheck_fn)(void *payload, const char *post_id, unsigned bit);
int mm_recheck(struct mm *mm, const struct mm_protect_query *q, const char *id_array, mm_recheck_fn fn, void *payload,
	       bool *ret_all, struct err *err) MMR_CHECKED;
/* Notes the state of the legal-hold plugin's records, and whether there are exports. Before the plan is made; never for
 * a plan that was made earlier. */
int mm_recheck_begin(struct mm *mm, struct err *err) MMR_CHECKED;

/* ---- export of closures (mm_export.c) --------------------------------------------- */

/* One work unit of threads, read in one snapshot.  Order: begin, add..., ready, changed, odd, files, drop, rows, end.
 */
struct mm_export;
struct mm_export_thread { mm_id root, channel_id; int64_t root_create_ms; uint32_t posts; };
struct mm_export_row {
	enum mm_kind kind;
	struct db_row row;         /* the table's columns in attnum order, borrowed until the callback returns */
	uint64_t thread;           /* index into the unit's threads, in the order they were added */
	const char *ctid, *xmin;   /* location and version "(123,4)", "4711" as the snapshot saw them */
};
typedef int (*mm_export_fn)(void *payload, const struct mm_export_row *row, struct err *err);
/* Begins a REPEATABLE READ snapshot with temporary work tables that vanish at its end.  alone: as for mm_unit_room.
 * threads: about how many will be added; only time depends on it. */
int mm_export_begin(void *ctx, struct mm *mm, bool alone, uint64_t threads, struct mm_export **ret,
		    struct err *err) MMR_CHECKED;
/* root_create_ms: as the root row has it, so that a large unit's roots are looked for in their time only; 0 when it is
 * not known.
 * posts: as the plan counted them, for mm_export_changed. */
int mm_export_add(struct mm_export *x, const struct mm_export_thread *t, struct err *err) MMR_CHECKED;
/* A stop request ends it between two statements, too; else only a long one that was under way (ERR_INTERRUPTED both).
 */
void mm_export_stoppable(struct mm_export *x);
/* Before mm_export_ready: only what goes although its thread stays: rows that were soft-deleted or replaced by an edit
 * before then (ms), never a root; with their dependants, and files that such an edit took off a post.  What hangs on
 * the thread as a whole stays out. */
void mm_export_parts(struct mm_export *x, int64_t before_ms);
/* Finds the posts of all threads and their order, and which were written or changed since then (ms; INT64_MAX: nobody
 * asks). */
int mm_export_ready(struct mm_export *x, int64_t since_ms, struct err *err) MMR_CHECKED;
/* Before a plan: from which transaction on its reader may have missed what an export shows. */
int mm_export_before(struct mm *mm, uint64_t *ret_xid, struct err *err) MMR_CHECKED;
/* Was the version written by such a transaction?  (xmin: of struct mm_export_row; xid: of mm_export_before) */
bool mm_export_since(const struct mm_export *x, uint64_t begin_xid, const char *xmin);
int64_t mm_export_snapshot_ms(const struct mm_export *x); /* database clock at its start */
/* File rows of the unit, thread by thread: columns thread index, file id, path, thumbnail path, preview path, size. */
enum { MM_FILE_THREAD, MM_FILE_ID, MM_FILE_PATH, MM_FILE_THUMBNAIL, MM_FILE_PREVIEW, MM_FILE_SIZE };
int mm_export_files(struct mm_export *x, db_row_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* Before anything is dropped: threads of the unit with a row that was written or changed since (a reply, an edit, a
 * pin), with another number of posts than the plan counted, or without their root.  Each once.  Columns: thread
 * index. */
int mm_export_changed(struct mm_export *x, db_row_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* Threads of the unit with a post or file whose id is none of Mattermost's, so that no delete would find it: they are
 * damaged, and a plan that read the whole table has not seen it.  Each once.  Columns: thread index. */
int mm_export_odd(struct mm_export *x, db_row_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* Take threads out again (missing blob, ...). */
int mm_export_drop(struct mm_export *x, const uint64_t *threads, size_t n, struct err *err) MMR_CHECKED;
/* All rows, thread by thread, the root post first; per post its row and its dependants, edit copies behind their post.
 * The same rows always come in the same order.  ERR_SCHEMA when a table changed since the probe. */
int mm_export_rows(struct mm_export *x, mm_export_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* Of a large export: people of the server, as many as n says, whoever they are; else nobody.  Columns as of
 * mm_names. */
int mm_export_people(struct mm_export *x, int n, db_row_fn fn, void *payload, struct err *err) MMR_CHECKED;
/* As mm_names, in the export's snapshot, also between its rows: by the session that has less to do. */
int mm_export_names(struct mm_export *x, const char *what, const char *const *ids, size_t n, db_row_fn fn,
		    void *payload, struct err *err) MMR_CHECKED;
void mm_export_end(struct mm_export *x); /* ends the snapshot; the handle is freed */

#endif
