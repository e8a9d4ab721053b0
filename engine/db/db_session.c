/*
 * db_session.c - the settings of a new session and the facts about the server.
 */
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

/* Every name is qualified: the search path of the role is not ours yet. */
static const struct sql sql_facts = {
	"db_facts",
	"SELECT pg_catalog.current_schema(), pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid(),"
	" pg_catalog.pg_postmaster_start_time()::pg_catalog.text,"
	" pg_catalog.quote_ident(pg_catalog.current_schema()) OPERATOR(pg_catalog.||) ', pg_temp'"};

/* PostgreSQL takes the function or operator whose argument types fit best, from any schema of the path.  Who may create
 * things in ours could so run his code with our rights, or change what a comparison means.  A superuser may do that
 * anyway; an extension is as it was shipped. */
static const struct sql sql_lookalike = {
	"db_lookalike",
	"SELECT pg_catalog.min(pg_catalog.concat(a.kind, ' ', n.nspname, '.', a.name, ' of role ', r.rolname)) FROM"
	" (SELECT 'function' AS kind, p.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AS class,"
	" p.proname AS name, p.pronamespace AS nsp, p.proowner AS owner FROM pg_catalog.pg_proc p"
	" UNION ALL SELECT 'operator', o.oid, 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid,"
	" o.oprname, o.oprnamespace, o.oprowner FROM pg_catalog.pg_operator o) a"
	" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) a.nsp"
	" JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.owner"
	" WHERE n.nspname OPERATOR(pg_catalog.=) pg_catalog.current_schema()"
	" AND NOT r.rolsuper AND r.rolname OPERATOR(pg_catalog.<>) CURRENT_USER"
	" AND (EXISTS (SELECT FROM pg_catalog.pg_proc b WHERE a.kind OPERATOR(pg_catalog.=) 'function'"
	" AND b.proname OPERATOR(pg_catalog.=) a.name"
	" AND b.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid)"
	" OR EXISTS (SELECT FROM pg_catalog.pg_operator b WHERE a.kind OPERATOR(pg_catalog.=) 'operator'"
	" AND b.oprname OPERATOR(pg_catalog.=) a.name"
	" AND b.oprnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid))"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid OPERATOR(pg_catalog.=) a.class"
	" AND d.objid OPERATOR(pg_catalog.=) a.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog.\"char\")"};

struct setting {
	const char *name, *value;
	int since; /* first server version that knows it */
};

static const struct setting settings[] = {
	{"DateStyle", "ISO, YMD", 0},
	{"TimeZone", "UTC", 0},
	{"array_nulls", "on", 0},                            /* a NULL in an array parameter is no word */
	{"bytea_output", "hex", 0},
	{"client_min_messages", "warning", 0},               /* a COMMIT without its standby is only warned of */
	{"client_connection_check_interval", "10s", 140000}, /* a killed run lets go of its locks */
	{"cursor_tuple_fraction", "1", 0},                   /* our cursors are read to the end */
	{"extra_float_digits", "3", 0},
	{"idle_session_timeout", "0", 140000},               /* the session of the lock idles */
	{"jit", "off", 0},
	{"quote_all_identifiers", "off", 0},                 /* types are compared by their names */
	{"row_security", "off", 0},                          /* hidden rows are an error, not a smaller result */
	{"standard_conforming_strings", "on", 0},
	{"synchronous_commit", "on", 0},
	{"transaction_timeout", "0", 170000},                /* plans and exports have one for all they read */
};

enum { MAX_SETTINGS = ARRAY_LEN(settings) + 4 }; /* with search path and timeouts */

/* PostgreSQL itself tells its pid at connect; a pooler makes one up. */
static int check_pooler(const struct db *db, int64_t pid, struct err *err)
{
	if (pid == PQbackendPID(db->pg))
		return 0;
	err_set(err, ERR_DATABASE, "a connection pooler answers at %s: session locks and settings would not hold",
		db->safe);
	return err_hint(err, "Connect to PostgreSQL itself, not to the pooler's port.");
}

static int check_server(const struct db *db, struct err *err)
{
	const char *encoding = PQparameterStatus(db->pg, "server_encoding");

	if (db->version < DB_SERVER_MIN) {
		err_set(err, ERR_SCHEMA, "PostgreSQL %d.%d is too old, 13 is the oldest supported", db->version / 10000,
			db->version % 10000);
		return err_hint(err, "Upgrade the database server.");
	}
	if (!encoding || strcmp(encoding, "UTF8")) {
		err_set(err, ERR_DATABASE, "database encoding is %s, only UTF8 is safe to archive",
			encoding ? encoding : "unknown");
		return err_hint(err, "Dump the database and restore it into one created with ENCODING 'UTF8'.");
	}
	return 0;
}

static int learn_facts(struct db *db, char **ret_path, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, db, &sql_facts, DB_ONE, 0, NULL, &res, err);

	if (r < 0)
		return r;
	r = check_pooler(db, db_i64(res, 0, 2), err);
	if (r < 0)
		return r;
	if (db_null(res, 0, 0)) {
		err_set(err, ERR_SCHEMA, "no schema of the search path exists in database \"%s\"", PQdb(db->pg));
		return err_hint(err, "Name Mattermost's database, and its schema with search_path when it is not "
				     "public.");
	}
	db->schema = mem_strdup(db, db_text(res, 0, 0));
	db->recovery = db_bool(res, 0, 1);
	db->server_start = mem_strdup(db, db_text(res, 0, 3));
	*ret_path = mem_strdup(db, db_text(res, 0, 4));
	return 0;
}

static int check_lookalikes(struct db *db, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, db, &sql_lookalike, DB_ONE, 0, NULL, &res, err);

	if (r < 0 || db_null(res, 0, 0))
		return r;
	err_set(err, ERR_SCHEMA, "the %s could be taken for one of PostgreSQL's own", db_text(res, 0, 0));
	return err_hint(err, "Drop it, or move it to a schema of its own, and ask why it is there; only its owner and "
			     "superusers should be able to create things in Mattermost's schema.");
}

/* All settings in one statement: a round trip each would be most of what a session costs over a network. */
struct batch {
	struct buf text;
	const char *param[2 * MAX_SETTINGS];
	int n; /* parameters */
	char ms[3][24];
};

static void add(struct batch *b, const char *name, const char *value)
{
	buf_printf(&b->text, "%s pg_catalog.set_config($%d, $%d, false)", b->n ? "," : "SELECT", b->n + 1, b->n + 2);
	b->param[b->n++] = name;
	b->param[b->n++] = value;
}

static const char *ms_text(char text[24], int64_t ms)
{
	snprintf(text, 24, "%lld", (long long)(ms > INT32_MAX ? INT32_MAX : ms));
	return text;
}

static int set_all(struct db *db, const char *path, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "settings");
	struct batch *b = mem_new(ctx, struct batch);
	const struct db_options *o = &db->options;
	struct sql sql = {.name = "db_settings"};
	struct db_result *res;

	buf_init(&b->text, b, MAX_SETTINGS * 64);
	add(b, "search_path", path);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (db->version >= settings[i].since)
			add(b, settings[i].name, settings[i].value);
	add(b, "statement_timeout", ms_text(b->ms[0], o->statement_timeout_ms));
	add(b, "lock_timeout", ms_text(b->ms[1], o->lock_timeout_ms));
	add(b, "idle_in_transaction_session_timeout",
	    ms_text(b->ms[2], o->idle_timeout_ms ? o->idle_timeout_ms : DB_IDLE_MS));
	buf_byte(&b->text, '\0');
	sql.text = b->text.data;
	return db_query(ctx, db, &sql, DB_ONE, b->n, b->param, &res, err);
}

int db_session_start(struct db *db, struct err *err)
{
	char *path = NULL;
	int r;

	db->version = PQserverVersion(db->pg);
	r = check_server(db, err);
	if (r == 0)
		r = learn_facts(db, &path, err);
	if (r == 0)
		r = check_lookalikes(db, err);
	if (r == 0)
		r = set_all(db, path, err);
	talloc_free(path);
	return r;
}
