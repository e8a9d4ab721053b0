/*
 * db_error.c - from libpq's failures to ours.
 *
 * Connection status first (a killed backend may leave no SQLSTATE), then the full SQLSTATE.  Messages name the query
 * file; the server's text is passed on only for classes whose primary message cannot hold row data.
 */
#include <string.h>

#include "db_internal.h"

struct state {
	const char *sqlstate;
	enum err_code code;
	const char *hint;
};

static const struct state states[] = {
	{"08000", ERR_DB_GONE, ""},
	{"08003", ERR_DB_GONE, ""},
	{"08006", ERR_DB_GONE, ""},
	{"23503", ERR_SCHEMA, "A foreign key of another table points at these rows; see `mmretain doctor`."},
	{"25006", ERR_PERMISSION, "The session is read-only: use the primary server and a role that may write."},
	{"25P03", ERR_DB_GONE, ""},
	{"40001", ERR_DB_BUSY, ""},
	{"40P01", ERR_DB_BUSY, ""},
	{"42501", ERR_PERMISSION, "Run `mmretain grants` for the statements that give the role what it needs."},
	{"42703", ERR_SCHEMA,
	 "It is not Mattermost's database or schema, or not one that is known, or has just changed: `mmretain doctor` "
	 "tells."},
	{"42P01", ERR_SCHEMA,
	 "It is not Mattermost's database or schema, or not one that is known, or has just changed: `mmretain doctor` "
	 "tells."},
	{"53100", ERR_DATABASE,
	 "The database server's disk is full: make room where that file lies (pg_tblspc/N is a tablespace, perhaps of "
	 "temp_tablespaces), and run again; what was not committed was rolled back."},
	{"53300", ERR_DB_BUSY, "The database server has no free connection."},
	{"53400", ERR_DATABASE,
	 "A limit that is set for this role or server was reached: raise it (ALTER ROLE name SET temp_file_limit = "
	 "...), or for temporary "
	 "files work_mem, and run again."},
	{"55P03", ERR_DB_BUSY,
	 "Another session holds a lock that is in the way (pg_locks and pg_stat_activity show it); run again when it "
	 "has ended."},
	{"57014", ERR_DB_BUSY, "The statement took longer than it may; run again when the server is less busy."},
	{"57P01", ERR_DB_GONE, ""},
	{"57P02", ERR_DB_GONE, ""},
	{"57P03", ERR_DB_GONE, ""},
	{"57P04", ERR_DB_GONE, ""},
	{"57P05", ERR_DB_GONE, ""},
	{"XX001", ERR_DATABASE, "The server reports damaged data: stop, and check its disks and its last backup."},
	{"XX002", ERR_DATABASE, "The server reports a damaged index: REINDEX it."},
};

/* Classes whose primary message holds names, numbers and states, never values of rows. */
static const char *const quotable[] = {"08", "0A", "23", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58"};

static const struct state *find_state(const char *sqlstate)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (!strcmp(states[i].sqlstate, sqlstate))
			return &states[i];
	return NULL;
}

static const char *quotable_message(const PGresult *r, const char *sqlstate)
{
	const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	for (size_t i = 0; text && i < ARRAY_LEN(quotable); i++)
		if (!strncmp(sqlstate, quotable[i], 2))
			return text;
	return NULL;
}

static int fail_gone(const struct db *db, const char *name, const char *sqlstate, struct err *err)
{
	err_set(err, ERR_DB_GONE, "the connection to %s was lost (%s)", db->safe ? db->safe : "the database", name);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
	return err_hint(err, "The server rolled back what was not committed; its log says why it went. Run again when "
			     "it answers.");
}

int db_fail(struct db *db, const PGresult *r, const char *name, const struct db_wait *w, struct err *err)
{
	const char *sqlstate = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL, *text;
	const struct state *s;

	sqlstate = sqlstate ? sqlstate : "";
	s = find_state(sqlstate);
	if (PQstatus(db->pg) != CONNECTION_OK || (s && s->code == ERR_DB_GONE))
		return fail_gone(db, name, sqlstate, err);
	if (w && w->cancelled && !strcmp(sqlstate, "57014"))
		return err_set(err, ERR_INTERRUPTED, "interrupted (%s)", name);
	text = quotable_message(r, sqlstate);
	err_set(err, s ? s->code : ERR_DATABASE, "query %s failed%s%s (SQLSTATE %s)", name, text ? ": " : "",
		text ? text : "", sqlstate[0] ? sqlstate : "none");
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
	return s && s->hint[0] ? err_hint(err, "%s", s->hint) : err->code;
}
