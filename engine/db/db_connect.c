/*
 * db_connect.c - open and close a session, and what is known about it.
 */
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

#define DB_TLS_HINT                                                                                                    \
	"sslmode=verify-full wants a server with ssl = on, and of it a certificate for the very host name in these "   \
	"settings, signed by an authority in sslrootcert=FILE (of public ones the system's file, such as "             \
	"/etc/ssl/certs/ca-certificates.crt), that has not expired. `openssl s_client -starttls postgres -connect "    \
	"HOST:PORT` shows it."

enum { CONNECT_WAIT_MS = 250, CONNECT_WAIT_MAX_MS = 4000 }; /* eight seconds in all */

/* Server notices may quote content; nobody may see them on stderr. */
static void on_notice(void *arg, const PGresult *r)
{
	const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	struct db *db = arg;

	db->warned |= sqlstate && strcmp(sqlstate, "01000") == 0;
}

static int db_destroy(struct db *db)
{
	if (db->conninfo)
		explicit_bzero(db->conninfo, strlen(db->conninfo));
	db_cursor_forget(db);
	PQfinish(db->pg);
	return 0;
}

/* A server that is there and has no room, or comes up just now, has it again soon.  libpq gives no SQLSTATE of a
 * refused connection, so the text must tell; where it is not in English nobody waits. */
static const char *const passing[] = {
	"too many clients already", "remaining connection slots are reserved", "too many connections for",
	"the database system is starting up",
	"the database system is not yet accepting connections", "the database system is in recovery mode",
};

static bool will_pass(PGconn *pg)
{
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (strstr(PQerrorMessage(pg), passing[i]))
			return true;
	return false;
}

/* What the settings say, as libpq reads it: per address, two seconds at least, 0 or less: no end. */
static int64_t db_connect_timeout_ms(const struct db *db, const struct db_params *p)
{
	const char *given = db_params_get(p, "connect_timeout");
	int64_t seconds = db->options.connect_timeout_s ?: given[0] ? strtoll(given, NULL, 10) : DB_CONNECT_S;

	if (seconds <= 0 || seconds > INT32_MAX)
		return INT64_MAX / 4;
	return (seconds < 2 ? 2 : seconds) * 1000;
}

static void connect_patiently(struct db *db, void *tmp, const struct db_params *p, const char **ret_before)
{
	int64_t timeout_ms = db_connect_timeout_ms(db, p);

	for (int64_t wait_ms = CONNECT_WAIT_MS;; wait_ms *= 2) {
		db->pg = db_reach(tmp, p, timeout_ms, ret_before);
		if (!db->pg || PQstatus(db->pg) == CONNECTION_OK || wait_ms > CONNECT_WAIT_MAX_MS || stop_requested() ||
		    !will_pass(db->pg))
			return;
		time_sleep_ms(wait_ms);
		PQfinish(db->pg);
	}
}

/* Part of libpq's text, which names no SQLSTATE, and what to do; in another language the last line of all is right,
 * too. */
static const struct { const char *part, *hint; } refusals[] = {
	{"password authentication failed", "The role or its password is wrong: look at the password file "
					   "(passfile=FILE, or ~/.pgpass), with `mattermost_config` at the "
					   "server's DataSource."},
	{"pg_hba.conf", "The server's pg_hba.conf does not let this role in from this host to this database; `hostssl` "
			"lines are for sessions by TLS only."},
	{"ertifi", DB_TLS_HINT}, /* certificate, Zertifikat, certificat */
	{"SSL", DB_TLS_HINT},
};

static int connect_hint(PGconn *pg, const char *text, struct err *err)
{
	if (will_pass(pg))
		return err_hint(err, "The server takes no more connections now; run again when it does, or raise "
				     "max_connections.");
	if (PQconnectionNeedsPassword(pg))
		return err_hint(err, "The server wants a password: give it in a password file of mode 0600, ~/.pgpass "
				     "or the one that `passfile=FILE` in the url or the service names. PGPASSFILE and "
				     "PGPASSWORD are not read.");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (strstr(text, refusals[i].part))
			return err_hint(err, "%s", refusals[i].hint);
	return err_hint(err, "Check that PostgreSQL runs, and the host, port, user and database in the connection "
			     "settings.");
}

/* libpq's text on one line; it names host, port, user and file, never a password.  Its advice to do without proof is
 * left out. */
static void one_line(const char *text, char *ret, size_t size)
{
	size_t n = 0;

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n");

		if (len && !memmem(p, len, "change sslmode", 14) && n < size - 1)
			n += (size_t)snprintf(ret + n, size - n, "%s%.*s", n ? "; " : "", (int)len, p);
		p += len;
		p += strspn(p, "\n\t "); /* it indents what it adds */
	}
	ret[n < size ? n : size - 1] = '\0';
}

/* Before libpq's text, what attempts before this one came to. */
static int connect_error(PGconn *pg, const char *before, struct err *err)
{
	const char *last = PQerrorMessage(pg);
	char *all auto_mem = mem_printf(NULL, "%s%.*s", before ? before : "",
					before ? db_whole_lines(last) : (int)strlen(last), last),
		  text[900];

	one_line(all, text, sizeof text);
	if (stop_requested())
		return stop_check(err);
	err_set(err, ERR_DATABASE, "cannot connect: %s", text[0] ? text : "no answer");
	return connect_hint(pg, text, err);
}

static char *describe(struct db *db)
{
	const char *host = PQhost(db->pg), *port = PQport(db->pg);

	return mem_printf(db, "%s:%s/%s", host && host[0] ? host : "local", port ? port : "", PQdb(db->pg));
}

static int connect_params(struct db *db, void *tmp, struct db_params *p, struct err *err)
{
	const char *before;

	connect_patiently(db, tmp, p, &before);
	if (!db->pg)
		return err_set(err, ERR_INTERNAL, "out of memory");
	PQsetNoticeReceiver(db->pg, on_notice, db);
	if (PQstatus(db->pg) != CONNECTION_OK)
		return connect_error(db->pg, before, err);
	db->safe = describe(db);
	return db_session_start(db, err);
}

static struct db *db_new(void *ctx, const struct db_options *options)
{
	struct db *db = mem_new(ctx, struct db);

	talloc_set_destructor(db, db_destroy);
	db->options = *options;
	db->conninfo = mem_strdup(db, options->conninfo ? options->conninfo : "");
	db->options.conninfo = db->conninfo;
	return db;
}

/* host, hostaddr and port of `like` (may be NULL) instead of the configured list: the very same server. */
static int open_session(struct db *db, const struct db *like, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "connect");
	struct db_params p;
	int r = db_params_resolve(tmp, db->conninfo, &p, err);

	if (r == 0)
		r = db_params_check(&p, err);
	if (r == 0)
		r = db_params_passfile(tmp, &p, err);
	if (r < 0)
		return r;
	if (like) {
		db_params_set(&p, "host", mem_strdup(tmp, PQhost(like->pg)));
		db_params_set(&p, "port", mem_strdup(tmp, PQport(like->pg)));
		if (db_params_get(&p, "hostaddr")[0])
			db_params_set(&p, "hostaddr", mem_strdup(tmp, PQhostaddr(like->pg)));
	}
	return connect_params(db, tmp, &p, err);
}

int db_open(void *ctx, const struct db_options *options, struct db **ret, struct err *err)
{
	struct db *db = db_new(ctx, options);
	int r = open_session(db, /* like= */ NULL, err);

	if (r < 0) {
		talloc_free(db);
		return r;
	}
	*ret = db;
	return 0;
}

int db_open_again(void *ctx, const struct db *like, struct db **ret, struct err *err)
{
	struct db *db = db_new(ctx, &like->options);
	bool alive = db_alive(like);
	int r = open_session(db, alive ? like : NULL, err);

	/* A lock taken on another server of a host list would guard nothing. */
	if (r == 0 && alive && strcmp(db->server_start, like->server_start))
		r = err_set(err, ERR_DB_GONE, "the database server at %s was restarted or exchanged", db->safe);
	if (r < 0) {
		talloc_free(db);
		return r;
	}
	*ret = db;
	return 0;
}

const char *db_schema(const struct db *db)
{
	return db->schema;
}

int db_server_version(const struct db *db)
{
	return db->version;
}

bool db_in_recovery(const struct db *db)
{
	return db->recovery;
}

const char *db_text_safe(const struct db *db)
{
	return db->safe;
}

/* An idle session whose socket has something to say has usually been ended by the server: read until it says no more.
 */
bool db_alive(const struct db *db)
{
	while (!db->busy && PQstatus(db->pg) == CONNECTION_OK && db_has_input(db, 0))
		if (!PQconsumeInput(db->pg))
			return false;
	return PQstatus(db->pg) == CONNECTION_OK;
}
