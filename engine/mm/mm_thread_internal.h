/*
 * mm_thread_internal.h - what the files about threads and protections share.
 *
 * One statement (thread_rows.sql) streams the rows of candidate threads; mm_fold puts them together on this side,
 * because grouping every row in the server costs more than finding it.  Nine threads of ten are a root alone; only what
 * lies below roots is worth grouping there, by parallel workers.
 */
#ifndef MM_THREAD_INTERNAL_H
#define MM_THREAD_INTERNAL_H

#include <mmretain/mm.h>

#include <pthread.h>

/* ---- mm_beside.c: two things at once ---- */
/* In an open snapshot of mm->db, with the mode of the second session's transaction; mm_snapshot_begin and _end do it
 * for a plan. */
void mm_beside_begin(struct mm *mm, enum db_mode mode);
void mm_beside_end(struct mm *mm);
/* *ret: the same server and snapshot by a second session, or NULL: none, for whatever reason. */
int mm_twin(struct mm *mm, struct mm **ret, struct err *err) MMR_CHECKED;
/* fn(payload) in a thread, or, when none can be had, in mm_job_wait.  It shares nothing with what is done meanwhile
 * that either writes, talloc contexts included. */
typedef int (*mm_job_fn)(void *payload, struct err *err);
struct mm_job { mm_job_fn fn; void *payload; pthread_t thread; bool started; int rc; struct err err; };
void mm_job_start(struct mm_job *j, mm_job_fn fn, void *payload);
int mm_job_wait(struct mm_job *j, struct err *err) MMR_CHECKED; /* once */
/* fn(beside) in a thread, fn(here) meanwhile; both have ended. */
int mm_both(mm_job_fn fn, void *here, void *beside, struct err *err) MMR_CHECKED;
int mm_both_of(mm_job_fn fn_here, void *here, mm_job_fn fn_beside, void *beside, struct err *err) MMR_CHECKED;

/* ---- mm_template.c ---- */
enum { MM_TEMPLATE_BYTES = 64 << 10 };
/* The text of a .sql file with only the blocks that `on` (NULL-terminated) names. */
int mm_template(void *ctx, const struct sql *from, const char *const *on, struct sql *ret, struct err *err) MMR_CHECKED;

/* ---- mm_joins.c ---- */
/* Runs the text with the blocks of the tables that the server has; a block is named like the kind.  And with those of
 * more, NULL-terminated. */
enum { MM_MORE_BLOCKS = 4 }; /* at most */
int mm_run_present(struct mm *mm, const struct sql *from, const char *const *more, struct err *err) MMR_CHECKED;

/* ---- mm_idmap.c: id -> index of an array of records that begin with an mm_id ---- */
/* Whether an id may have been added: a bit each, by its hash.  bits: a power of two, from 64 up. */
struct mm_sieve { uint64_t *word; size_t mask; };
void mm_sieve_init(struct mm_sieve *s, void *ctx, size_t bits);
void mm_sieve_add(struct mm_sieve *s, const char *id, size_t len);
bool mm_sieve_may_have(const struct mm_sieve *s, const char *id, size_t len);

struct mm_idmap {
	const char *base;   /* record 0 */
	size_t stride, n, mask;
	uint64_t *slot;     /* upper half: of the hash; lower: index + 1; 0 = free */
	struct mm_sieve sieve; /* of slot */
	void *ctx;
};
#define MM_NO_INDEX UINT32_MAX
void mm_idmap_init(struct mm_idmap *m, void *ctx, size_t stride);
/* The array may have moved. */
void mm_idmap_base(struct mm_idmap *m, const void *base);
uint32_t mm_idmap_find(const struct mm_idmap *m, const char *id, size_t len);
/* Record m->n has just been written at base + n * stride. */
void mm_idmap_add(struct mm_idmap *m);
void mm_idmap_clear(struct mm_idmap *m);

/* ---- mm_fold.c: rows -> threads, memory flat ---- */
enum {
	MM_ROW_ROOT = 65536,
	MM_ROW_FILENAMES = 131072, /* names attachments itself; of a scan */
	MM_ROW_NAMED = 262144      /* has a rootid; of a scan in parts */
};
struct mm_part {                /* facts of some rows of one thread; id first, for mm_idmap */
	mm_id root;
	uint32_t channel;       /* index, or MM_NO_INDEX when unknown */
	int64_t root_create_ms, last_reply_ms, last_edit_ms;
	uint64_t bytes;
	uint32_t posts, bits;
	int32_t hold;           /* -1 none */
	/* replies that exist, less those that came; not 0 once all is together: the thread is younger than the cut-off
	 */
	int32_t missing;
};
/* What protects the thread; MM_DAMAGED too where its id is none, which would not be the same in a bundle, a plan file
 * and a statement. */
uint32_t mm_part_protections(const struct mm_part *t);
bool mm_id_sound(const char *id); /* letters and digits alone, and some */
struct mm_fold;
int mm_fold_new(void *ctx, struct mm_fold **ret, struct err *err) MMR_CHECKED;
int mm_fold_add(struct mm_fold *f, const struct mm_part *row, struct err *err) MMR_CHECKED;
/* Ids that rows name as their thread but that did not come as a root, into a spool of mm_id. */
int mm_fold_rootless(struct mm_fold *f, struct spool *to, struct err *err) MMR_CHECKED;
/* Each thread whose root was among the rows, once; fn as in db_row_fn. */
typedef int (*mm_fold_fn)(void *payload, const struct mm_part *thread, struct err *err);
int mm_fold_run(struct mm_fold *f, mm_fold_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* ---- mm_segment.c: holds as disjoint stretches of time per user or channel ---- */
struct mm_segments { struct mm_segment *item; size_t n; };
struct mm_segment { mm_id id; int64_t since_ms, until_ms; int32_t hold; };
void mm_segment_add(void *ctx, struct mm_segments *s, const char *id, int64_t since_ms, int64_t until_ms, int hold);
/* Where stretches of one id overlap, the lowest hold wins; afterwards none overlap. */
void mm_segments_settle(void *ctx, struct mm_segments *s);

/* ---- mm_tags.c ---- */
/* A regular expression, of ctx, that finds any of the tags among words with a blank between, whatever their case and
 * the server's locale. */
char *mm_tags_pattern(void *ctx, const char *const *tags, size_t n);

/* ---- mm_guards.c ---- */
struct mm_guards {
	bool temporary;                /* the table exists */
	/* size of the tables that mark single posts: temporaryposts and propertyvalues */
	int64_t marks_bytes;
	bool property;                 /* content flagging exists: */
	const char *flag_fields;       /* array of its status fields */
	struct mm_segments legal;      /* channels of legal holds, settled */
	struct mm_segments legal_people; /* whom they name, settled: a channel that is gone has no members any more */
	struct mm_exported exported;
};
/* roots NULL: legal holds for all channels, else for those of the roots. */
int mm_guards_read(void *ctx, struct mm *mm, const char *roots, struct mm_guards **ret, struct err *err) MMR_CHECKED;
/* The JSON of one record of the legal-hold plugin, given in hex; NULL when it is none.  A key that says hold must be
 * readable. */
struct json_t *mm_legal_parse(void *ctx, const char *hex, size_t len);
bool mm_legal_is_hold(const char *key);

/* ---- mm_rows.c: one run of thread_rows.sql ---- */
enum mm_rows_form { MM_SCAN, MM_BY_CREATEAT, MM_BY_CHANNEL, MM_BY_ROOT_ID, MM_ODD_COPIES };
struct mm_marked { const char *temporary, *property; }; /* array texts of post ids, or NULL: none */
struct mm_rows {
	struct mm *mm;
	enum mm_rows_form form;
	enum mm_order order;
	bool all_channels, with_bytes;
	const char *channels, *cuts, *roots;    /* array texts or NULL */
	/* roots from this time on, one or one a channel (array text); NULL: all */
	const char *since;
	const struct mm_marked *marked;         /* NULL: each post is looked up */
	int64_t max_cut_ms, min_cut_ms;
	const struct mm_protect_query *protect; /* NULL: none */
	const struct mm_guards *guards;         /* NULL: none */
	const struct mm_idmap *channel;         /* NULL: every channel that occurs gets a number */
};
int mm_rows_fold(struct mm_rows *r, struct mm_fold *to, struct err *err) MMR_CHECKED;
/* Rows of (thread, bits, and perhaps createat, editat) as marks of their threads. */
int mm_marks_fold(struct mm *mm, const struct sql *sql, int n_params, const char *const *params, struct mm_fold *to,
		  struct err *err) MMR_CHECKED;

#endif
