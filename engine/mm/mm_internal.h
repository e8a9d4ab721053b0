/*
 * mm_internal.h - what the files of the mm room share.
 */
#ifndef MMRETAIN_MM_INTERNAL_H
#define MMRETAIN_MM_INTERNAL_H

#include <mmretain/mm.h>
#include <mmretain/store_mirror.h>

/* The server's bucket of attachments, as its configuration names it (mm_config.c). */
struct mm_bucket_config {
	char *endpoint, *bucket, *prefix, *region; /* NULL or "": not said */
	struct s3_keys keys;
	bool tls, sign_v2;
	int32_t timeout_ms;
};
/* Opens it, or says in data_problem why it cannot be used; asks it nothing. */
void mm_bucket_begin(struct mm *mm);

/* What a column has to be for us; lengths do not matter, they differ between server versions. */
enum mm_family { MM_ANY_TYPE, MM_TEXT, MM_INT, MM_BOOL, MM_JSON, MM_BYTES, MM_REAL };

struct mm_known_column {
	const char *name;
	enum mm_family family;
	bool required;     /* every server from 9.11 on has it */
};

struct mm_known_table {
	enum mm_kind kind;
	const char *kind_name, *table, *owner;
	bool required;
	const struct mm_known_column *column; /* ends with a NULL name */
};

/* The closure as compiled in, in order of enum mm_kind (mm_kinds.c). */
extern const struct mm_known_table mm_known[MM_KINDS];
/* Columns of other tables that look like post ids and are known to be none of ours: "table.column", NULL at the end. */
extern const char *const mm_known_post_ids[];

/* Family of a type as format_type() prints it. */
enum mm_family mm_type_family(const char *pg_type);
/* ERR_SCHEMA: it is another program's database, or the search path names another schema. */
int mm_refuse_foreign(const struct mm *mm, struct err *err) MMR_CHECKED;
/* A constant default ('x'::text, 0, false) in the text form that the server gives for the value; NULL when there is
 * none. */
char *mm_default_text(void *ctx, const char *expression);

/* A growing list of lines. */
struct mm_list { char **item; size_t n; };
void mm_list_add(void *ctx, struct mm_list *l, const char *fmt, ...) MMR_PRINTF(3, 4);

/* A URL or key=value pairs -> libpq's key=value, parent ctx.  The dialects: Mattermost's driver (lib/pq) and libpq
 * differ in defaults.  ERR_DATABASE; no message quotes the text. */
enum mm_dsn_dialect { MM_DSN_LIBPQ, MM_DSN_LIB_PQ_GO };
int mm_dsn_parse(void *ctx, const char *dsn, enum mm_dsn_dialect dialect, char **ret_conninfo,
		 struct err *err) MMR_CHECKED;
/* Append key='value' with the quoting of libpq. */
void mm_conninfo_add(struct buf *b, const char *key, const char *value);

/* ---- mm_names.c ---- */
/* Of n users, whoever they are. */
int mm_names_of_any(struct mm *mm, int n, db_row_fn fn, void *payload, struct err *err) MMR_CHECKED;

#endif
