/*
 * mm_grants.c - what a role must be allowed: every privilege that is missing, at once, before work starts; and the
 * statements that grant them all.
 */
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"

struct need {
	const char *table;
	const char *columns; /* separated by blanks; NULL: the whole table */
};

/* Read beside the closure.  Of users only what a bundle's names need: no password, token or mail column. */
static const struct need reads[] = {
	{"bots", "userid"},
	{"channelmemberhistory", NULL},
	{"channelmembers", "channelid userid"},
	{"channels", "id teamid type name displayname deleteat"},
	{"db_lock", NULL},
	{"groupmembers", NULL},
	{"jobs", NULL},
	{"pluginkeyvaluestore", NULL},
	{"propertyfields", "id groupid name"},
	{"propertygroups", "id name"},
	{"teams", "id type name displayname deleteat"},
	{"users", "id username nickname firstname lastname deleteat"},
};

/* Beside INSERT and DELETE on the closure: a thread that comes back gets its counts corrected where the server made the
 * row anew. */
static const struct need updates = {"threads", "replycount lastreplyat participants"};

struct wanted {
	struct db_array table, privilege, column;
};

static void add(struct wanted *w, const char *table, const char *privilege, const char *column, size_t len)
{
	db_array_add(&w->table, table, strlen(table));
	db_array_add(&w->privilege, privilege, strlen(privilege));
	db_array_add(&w->column, column, len);
}

static void add_columns(struct wanted *w, const char *privilege, const struct need *need)
{
	if (!need->columns)
		add(w, need->table, privilege, NULL, 0);
	for (const char *p = need->columns; p && *p;) {
		size_t len = strcspn(p, " ");

		add(w, need->table, privilege, p, len);
		p += len + (p[len] == ' ');
	}
}

/* INSERT too: a late reply takes its thread back out of the bundle. */
static void add_all(struct wanted *w, bool for_delete)
{
	static const char *const closure[] = {"SELECT", "DELETE", "INSERT"};

	for (size_t p = 0; p < (for_delete ? ARRAY_LEN(closure) : 1); p++)
		for (int i = 0; i < MM_KINDS; i++)
			add(w, mm_known[i].table, closure[p], NULL, 0);
	if (for_delete)
		add_columns(w, "UPDATE", &updates);
	for (size_t i = 0; i < ARRAY_LEN(reads); i++)
		add_columns(w, "SELECT", &reads[i]);
}

/* The parameters of both statements over `add_all`. */
static void wanted_params(void *ctx, bool for_delete, const char *ret[3])
{
	struct wanted w;

	db_array_init(&w.table, ctx);
	db_array_init(&w.privilege, ctx);
	db_array_init(&w.column, ctx);
	add_all(&w, for_delete);
	ret[0] = db_array_text(&w.table);
	ret[1] = db_array_text(&w.privilege);
	ret[2] = db_array_text(&w.column);
}

/* A role without any right lacks a hundred; the first tell which kind, the script has them all. */
enum { RIGHTS_NAMED = 6 };

static void join(struct buf *b, const struct db_result *res, int64_t *n)
{
	for (int64_t i = 0; i < db_rows(res); i++) {
		if ((*n)++ >= RIGHTS_NAMED)
			continue;
		if (b->len)
			buf_puts(b, ", ");
		buf_puts(b, db_text(res, i, 0));
	}
}

static int missing_grants(struct mm *mm, bool for_delete, void *ctx, struct buf *ret, struct err *err)
{
	struct db_result *other = NULL, *tables = NULL;
	const char *params[3], *temporary = for_delete ? "true" : "false";
	int64_t n = 0;
	int r = db_query(ctx, mm->db, &sql_probe_grants_other, DB_ANY, 1, &temporary, &other, err);

	if (r < 0)
		return r;
	join(ret, other, &n);
	wanted_params(ctx, for_delete, params);
	r = db_query(ctx, mm->db, &sql_probe_grants, DB_ANY, 3, params, &tables, err);
	if (r < 0)
		return r;
	join(ret, tables, &n);
	if (n > RIGHTS_NAMED)
		buf_printf(ret, " and %lld more", (long long)(n - RIGHTS_NAMED));
	return 0;
}

static int check_writable(struct mm *mm, void *ctx, struct err *err)
{
	struct db_result *res = NULL;
	int r;

	if (db_in_recovery(mm->db)) {
		err_set(err, ERR_DATABASE, "%s is a standby server: a plan is possible, changes are not",
			db_text_safe(mm->db));
		return err_hint(err, "Connect to the primary server.");
	}
	r = db_query(ctx, mm->db, &sql_probe_read_only, DB_ONE, 0, NULL, &res, err);
	if (r < 0 || !db_bool(res, 0, 0))
		return r;
	err_set(err, ERR_PERMISSION,
		"%s is read-only (default_transaction_read_only): a plan is possible, changes are not",
		db_text_safe(mm->db));
	return err_hint(err, "Find out why it was set, for the server, the database or the role, and when it may be "
			     "off. Nothing was changed.");
}

int mm_check_grants(struct mm *mm, bool for_delete, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "grants");
	struct buf missing;
	int r = for_delete ? check_writable(mm, ctx, err) : 0;

	if (r < 0)
		return r;
	buf_init(&missing, ctx, sizeof(err->msg) * 16);
	r = missing_grants(mm, for_delete, ctx, &missing, err);
	if (r < 0 || missing.len == 0)
		return r;
	err_set(err, ERR_PERMISSION, "the database role lacks %.*s", (int)missing.len, missing.data);
	return err_hint(err, "Run `mmretain grants` for the statements and let the owner of the tables execute them.");
}

static bool names_posts(const struct db_result *lines)
{
	for (int64_t i = 0; i < db_rows(lines); i++)
		if (strstr(db_text(lines, i, 0), ".posts TO "))
			return true;
	return false;
}

int mm_grant_script(struct mm *mm, const char *role, struct buf *out, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "grant script");
	const char *params[4];
	struct db_result *lines;
	int r;

	wanted_params(ctx, true, params);
	params[3] = role;
	r = db_query(ctx, mm->db, &sql_grant_script, DB_ANY, 4, params, &lines, err);
	if (r < 0)
		return r;
	if (!names_posts(lines))
		return mm_refuse_foreign(mm, err);
	for (int64_t i = 0; i < db_rows(lines); i++)
		buf_printf(out, "%s\n", db_text(lines, i, 0));
	return 0;
}
