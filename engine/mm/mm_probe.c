/*
 * mm_probe.c - is this a database that we may delete in?
 *
 * Versions lie (back-ports renumber migrations), so tables and columns are read from the catalogue.  Whatever points at
 * a post and is not known goes to `unknown`: then there is a plan, and no run.
 */
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"

struct probe {
	struct mm *mm;
	struct mm_schema *schema;
	struct mm_list unknown, unread, note;
	const char *tables;       /* the closure's table names as an array parameter */
};

static struct mm_table *find_table(struct mm_schema *s, const char *name)
{
	for (int i = 0; i < MM_KINDS; i++)
		if (!strcmp(s->table[i].table, name))
			return &s->table[i];
	return NULL;
}

static const char *closure_array(void *ctx)
{
	struct db_array *a = mem_new(ctx, struct db_array);

	db_array_init(a, a);
	for (int i = 0; i < MM_KINDS; i++)
		db_array_add(a, mm_known[i].table, strlen(mm_known[i].table));
	return db_array_text(a);
}

static const char *known_array(void *ctx)
{
	struct db_array *a = mem_new(ctx, struct db_array);

	db_array_init(a, a);
	for (const char *const *k = mm_known_post_ids; *k; k++)
		db_array_add(a, *k, strlen(*k));
	return db_array_text(a);
}

static void schema_init(struct mm_schema *s)
{
	for (int i = 0; i < MM_KINDS; i++)
		s->table[i] = (struct mm_table){.kind = mm_known[i].kind,
						.kind_name = mm_known[i].kind_name,
						.table = mm_known[i].table,
						.owner = mm_known[i].owner};
}

/* ---- tables and columns ---- */

static int probe_tables(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_tables, DB_ANY, 1, &p->tables, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		struct mm_table *t = find_table(p->schema, db_text(res, i, 0));

		t->present = true;
		if (db_text(res, i, 1)[0] != 'r')
			mm_list_add(p->schema, &p->unknown, "%s is not a plain table", t->table);
		if (db_bool(res, i, 2))
			mm_list_add(p->schema, &p->unknown, "row security is on for table %s", t->table);
		if (db_bool(res, i, 3))
			mm_list_add(p->schema, &p->unknown, "table %s has parents or children (inheritance)", t->table);
	}
	for (int i = 0; r == 0 && i < MM_KINDS; i++)
		if (mm_known[i].required && !p->schema->table[i].present)
			mm_list_add(p->schema, &p->unknown, "table %s is missing", mm_known[i].table);
	return r;
}

static void add_column(struct probe *p, struct mm_table *t, const struct db_result *res, int64_t row)
{
	struct mm_column *c;

	t->column = mem_grow(p->schema, t->column, struct mm_column, t->n_columns + 1);
	c = &t->column[t->n_columns++];
	*c = (struct mm_column){
		.name = mem_strdup(p->schema, db_text(res, row, 1)),
		.pg_type = mem_strdup(p->schema, db_text(res, row, 2)),
		.default_text = mm_default_text(p->schema, db_null(res, row, 4) ? NULL : db_text(res, row, 4)),
		.not_null = db_bool(res, row, 3),
	};
}

static int probe_columns(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_columns, DB_ANY, 1, &p->tables, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++)
		add_column(p, find_table(p->schema, db_text(res, i, 0)), res, i);
	return r;
}

static const struct mm_column *find_column(const struct mm_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (!strcmp(t->column[i].name, name))
			return &t->column[i];
	return NULL;
}

static const struct mm_known_column *find_known(const struct mm_known_table *k, const char *name)
{
	for (const struct mm_known_column *c = k->column; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* The name rule of probe_post_ids.sql, for columns that are new inside the closure. */
static bool looks_like_post_id(const char *name)
{
	static const char *const stems[] = {"post", "root", "original", "object", "thread", "reply"};
	size_t len = strlen(name);

	if (len && name[len - 1] == 's')
		len--;
	if (len < 2 || strncmp(name + len - 2, "id", 2))
		return false;
	len -= 2;
	if (len && name[len - 1] == '_')
		len--;
	for (size_t i = 0; i < ARRAY_LEN(stems); i++) {
		size_t n = strlen(stems[i]);

		if (len >= n && !strncmp(name + len - n, stems[i], n))
			return true;
	}
	return false;
}

static void compare_table(struct probe *p, const struct mm_known_table *k, const struct mm_table *t)
{
	for (const struct mm_known_column *c = k->column; c->name; c++) {
		const struct mm_column *is = find_column(t, c->name);

		if (!is && c->required)
			mm_list_add(p->schema, &p->unknown, "column %s.%s is missing", t->table, c->name);
		if (is && mm_type_family(is->pg_type) != c->family)
			mm_list_add(p->schema, &p->unknown, "column %s.%s has the unexpected type %s", t->table,
				    c->name, is->pg_type);
	}
	for (size_t i = 0; i < t->n_columns; i++) {
		const char *name = t->column[i].name;

		if (find_known(k, name))
			continue;
		if (looks_like_post_id(name))
			mm_list_add(p->schema, &p->unknown, "unknown column %s.%s looks like the id of a post",
				    t->table, name);
		else
			mm_list_add(p->schema, &p->note, "column %s.%s is not known; it is archived like the others",
				    t->table, name);
	}
}

static void compare_tables(struct probe *p)
{
	for (int i = 0; i < MM_KINDS; i++)
		if (p->schema->table[i].present)
			compare_table(p, &mm_known[i], &p->schema->table[i]);
}

static void make_digest(struct mm_schema *s)
{
	struct hash *h = hash_new(s);

	for (int i = 0; i < MM_KINDS; i++) {
		const struct mm_table *t = &s->table[i];

		for (size_t c = 0; t->present && c < t->n_columns; c++) {
			const struct mm_column *col = &t->column[c];
			char *line = mem_printf(s, "%s\t%s\t%s\t%d\t%s\n", t->table, col->name, col->pg_type,
						col->not_null, col->default_text ? col->default_text : "\\N");

			hash_update(h, line, strlen(line));
			talloc_free(line);
		}
	}
	hash_final(h, &s->digest);
	talloc_free(h);
}

/* ---- what else points at posts, or would act on a delete ---- */

static int probe_post_ids(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	const char *params[] = {p->tables, known_array(p->schema)};
	int r = db_query(NULL, p->mm->db, &sql_probe_post_ids, DB_ANY, 2, params, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++)
		mm_list_add(p->schema, &p->unknown, "unknown column %s.%s looks like the id of a post",
			    db_text(res, i, 0), db_text(res, i, 1));
	return r;
}

static int probe_foreign_keys(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_foreign_keys, DB_ANY, 1, &p->tables, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++)
		mm_list_add(p->schema, &p->unknown, "foreign key %s of table %s points at %s and %s",
			    db_text(res, i, 1), db_text(res, i, 0), db_text(res, i, 2), db_text(res, i, 3));
	return r;
}

static int probe_hooks(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_hooks, DB_ANY, 1, &p->tables, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++)
		mm_list_add(p->schema, &p->unknown, "table %s has the %s %s", db_text(res, i, 0), db_text(res, i, 1),
			    db_text(res, i, 2));
	return r;
}

/* ---- work in progress ---- */

static int probe_migration(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_migration, DB_ONE, 0, NULL, &res, err);

	if (r == 0 && db_i64(res, 0, 0) > 0)
		mm_list_add(p->schema, &p->unknown, "a migration of the server's schema is running (db_lock)");
	return r;
}

static int probe_jobs(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_jobs, DB_ONE, 0, NULL, &res, err);
	char when[TIME_TEXT];

	if (r < 0)
		return r;
	if (db_i64(res, 0, 0) > 0)
		mm_list_add(p->schema, &p->unknown, "the server's own data retention job is running or waiting to run");
	if (db_i64(res, 0, 1) > 0) {
		time_format(db_i64(res, 0, 1), when);
		mm_list_add(p->schema, &p->note, "the server's own data retention last succeeded at %s", when);
	}
	return 0;
}

static int probe_side_tables(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	const char *names = "{db_lock,jobs}";
	int r = db_query(NULL, p->mm->db, &sql_probe_side_tables, DB_ANY, 1, &names, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		bool migration = !strcmp(db_text(res, i, 0), "db_lock");

		if (!db_bool(res, i, 1))
			mm_list_add(p->schema, &p->unread, "table %s may not be read: %s cannot be ruled out",
				    db_text(res, i, 0),
				    migration ? "a running migration" : "the server's own retention job");
		else
			r = migration ? probe_migration(p, err) : probe_jobs(p, err);
	}
	return r;
}

static int probe_server(struct probe *p, struct err *err)
{
	struct db_result *res auto_mem = NULL, *id auto_mem = NULL;
	int r = db_query(NULL, p->mm->db, &sql_probe_server, DB_ONE, 0, NULL, &res, err);

	if (r < 0)
		return r;
	p->schema->database = mem_strdup(p->schema, db_text(res, 0, 0));
	p->schema->superuser = db_bool(res, 0, 2);
	if (db_bool(res, 0, 1))
		r = db_query(NULL, p->mm->db, &sql_probe_cluster, DB_ONE, 0, NULL, &id, err);
	if (r == 0)
		p->schema->system_identifier = mem_strdup(p->schema, id ? db_text(id, 0, 0) : "");
	return r;
}

typedef int (*probe_step)(struct probe *p, struct err *err);

static int probe_schema(void *ctx, struct mm *mm, struct mm_schema **ret, struct err *err)
{
	static const probe_step steps[] = {probe_tables, probe_columns, probe_post_ids, probe_foreign_keys, probe_hooks,
					   probe_side_tables, probe_server};
	struct mm_schema *s = mem_new(ctx, struct mm_schema);
	struct probe p = {.mm = mm, .schema = s, .tables = closure_array(s)};
	int r = 0;

	schema_init(s);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
		r = steps[i](&p, err);
	if (r < 0) {
		talloc_free(s);
		return r;
	}
	compare_tables(&p);
	make_digest(s);
	for (size_t i = 0; i < p.unread.n; i++)
		mm_list_add(s, &p.unknown, "%s", p.unread.item[i]);
	s->n_unread = p.unread.n;
	s->unknown = p.unknown.item;
	s->n_unknown = p.unknown.n;
	s->note = p.note.item;
	s->n_notes = p.note.n;
	*ret = s;
	return 0;
}

int mm_refuse_foreign(const struct mm *mm, struct err *err)
{
	err_set(err, ERR_SCHEMA, "%s has no Mattermost tables in schema %s", db_text_safe(mm->db), db_schema(mm->db));
	return err_hint(err, "Name Mattermost's database in the policy; where it has a schema of its own, the role "
			     "needs it in its search_path.");
}

/* Tables of which no server is without; another program may well have `posts`, but not both. */
static bool is_foreign(const struct mm_schema *s)
{
	return !s->table[MM_POST].present && !s->table[MM_FILE].present;
}

int mm_probe(struct mm *mm, struct err *err)
{
	struct mm_schema *s = NULL;
	int r = probe_schema(mm, mm, &s, err);

	if (r < 0)
		return r;
	if (is_foreign(s)) {
		talloc_free(s);
		return mm_refuse_foreign(mm, err);
	}
	talloc_free(mm->schema);
	mm->schema = s;
	return 0;
}

int mm_probe_watch(struct mm *mm, struct err *err)
{
	enum { EVERY_MS = 1000 };
	int64_t now_ms = time_boot_ms();
	int r;

	if (mm->probed_boot_ms && now_ms - mm->probed_boot_ms < EVERY_MS)
		return 0;
	if ((r = mm_probe_again(mm, err)) == 0)
		mm->probed_boot_ms = now_ms;
	return r;
}

int mm_probe_again(struct mm *mm, struct err *err)
{
	struct mm_schema *s = NULL;
	int r = probe_schema(mm, mm, &s, err);

	if (r < 0)
		return r;
	if (s->n_unknown)
		r = err_set(err, ERR_SCHEMA, "%s", s->unknown[0]);
	else if (memcmp(&s->digest, &mm->schema->digest, sizeof(s->digest)))
		r = err_set(err, ERR_SCHEMA, "the tables have changed since the run began");
	talloc_free(s);
	return r < 0 ? err_hint(err, "Nothing more is deleted; run again when the server's upgrade or job is finished.")
		     : 0;
}

struct hooked { struct db_binary tables; const char *data; int len; };

void mm_hooked_call(void *ctx, struct db_call *ret)
{
	struct hooked *h = mem_new(ctx, struct hooked);

	db_binary_init(&h->tables, h, DB_TEXT);
	for (int i = 0; i < MM_KINDS; i++)
		db_binary_add_text(&h->tables, mm_known[i].table, strlen(mm_known[i].table));
	h->data = db_binary_data(&h->tables, &h->len);
	*ret = (struct db_call){.sql = &sql_probe_hooked, .n_params = 1, .params = &h->data, .lengths = &h->len};
}

int mm_probe_hooked(struct mm *mm, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "hooked");
	struct db_call call;
	int r;

	mm_hooked_call(ctx, &call);
	r = db_query_together(mm->db, &call, 1, NULL, NULL, err);
	return r < 0 || !call.affected ? r : mm_probe_again(mm, err);
}
