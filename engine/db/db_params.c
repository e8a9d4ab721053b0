/*
 * db_params.c - what a connection is made with.
 *
 * libpq fills every value that is not given from PG* variables.  A nightly job must reach the configured database and
 * no other, so those variables are taken out of the environment first; what a service file says is resolved before
 * the first byte is sent, so that the rule about TLS sees the real host and mode.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db_internal.h"

extern char **environ;

/* The two that only say where a service file is stay when a service is wanted. */
static bool is_service_place(const char *entry)
{
	return !strncmp(entry, "PGSERVICEFILE=", 14) || !strncmp(entry, "PGSYSCONFDIR=", 13);
}

static void clear_environment(bool keep_service_places)
{
	bool again = true;

	while (again) {
		again = false;
		for (char **e = environ; e && *e; e++) {
			const char *equals = strchr(*e, '=');
			char name[128];
			size_t len;

			if (strncmp(*e, "PG", 2) || !equals || (keep_service_places && is_service_place(*e)))
				continue;
			len = (size_t)(equals - *e);
			if (len >= sizeof(name))
				continue;
			memcpy(name, *e, len);
			name[len] = '\0';
			unsetenv(name);
			again = true;
			break;
		}
	}
}

static const char *option_value(const PQconninfoOption *options, const char *key)
{
	for (const PQconninfoOption *o = options; o && o->keyword; o++)
		if (!strcmp(o->keyword, key))
			return o->val && o->val[0] ? o->val : NULL;
	return NULL;
}

const char *db_params_get(const struct db_params *p, const char *key)
{
	for (int i = 0; i < p->n; i++)
		if (!strcmp(p->key[i], key))
			return p->value[i];
	return "";
}

void db_params_set(struct db_params *p, const char *key, const char *value)
{
	for (int i = 0; i < p->n; i++) {
		if (strcmp(p->key[i], key))
			continue;
		p->value[i] = value;
		return;
	}
	if (p->n == DB_MAX_PARAMS)
		abort(); /* libpq knows about forty keywords */
	p->key[p->n] = key;
	p->value[p->n++] = value;
	p->key[p->n] = p->value[p->n] = NULL;
}

static void set_default(struct db_params *p, const char *key, const char *value)
{
	if (!db_params_get(p, key)[0])
		db_params_set(p, key, value);
}

/* Ours, whatever the configuration says; then what libpq leaves at values unfit for a nightly job. */
static void set_ours(struct db_params *p)
{
	db_params_set(p, "application_name", "mmretain");
	db_params_set(p, "client_encoding", "UTF8");
	set_default(p, "gssencmode", "disable");
	set_default(p, "keepalives_idle", "30");
	set_default(p, "keepalives_interval", "10");
	set_default(p, "keepalives_count", "6");
}

int db_params_resolve(void *ctx, const char *conninfo, struct db_params *ret, struct err *err)
{
	PQconninfoOption *given, *defaults;
	struct db_params p = {.n = 0};
	const char *service;
	int r = libpq_load(err);

	if (r < 0)
		return r;
	given = PQconninfoParse(conninfo, NULL);

	/* libpq's own text would quote the piece it cannot read, and that may be the password. */
	if (!given) {
		err_set(err, ERR_DATABASE, "the database connection settings cannot be read");
		return err_hint(err, "Write them as key=value pairs or as a postgres:// URL; quote values with "
				     "spaces.");
	}
	service = option_value(given, "service");
	clear_environment(service != NULL);
	if (service)
		setenv("PGSERVICE", service, 1);
	defaults = PQconndefaults();
	unsetenv("PGSERVICE");
	for (const PQconninfoOption *o = given; o->keyword; o++) {
		const char *value = option_value(given, o->keyword);

		if (!value)
			value = option_value(defaults, o->keyword);
		if (value)
			db_params_set(&p, mem_strdup(ctx, o->keyword), mem_strdup(ctx, value));
	}
	PQconninfoFree(given);
	PQconninfoFree(defaults);
	set_ours(&p);
	*ret = p;
	return 0;
}

/* One entry of a host list: this machine? */
static bool is_local(const char *host, size_t len)
{
	if (len == 0 || host[0] == '/' || host[0] == '@')
		return true;
	if (len >= 4 && !strncmp(host, "127.", 4) && strspn(host, "0123456789.") >= len)
		return true;
	return (len == 9 && !strncasecmp(host, "localhost", 9)) || (len == 3 && !strncmp(host, "::1", 3));
}

/* The first entry that is not local, or false. */
static bool remote_host(const char *list, const char **ret, size_t *ret_len)
{
	for (const char *p = list;;) {
		size_t len = strcspn(p, ",");

		if (!is_local(p, len)) {
			*ret = p;
			*ret_len = len;
			return true;
		}
		if (!p[len])
			return false;
		p += len + 1;
	}
}

/* libpq looks at it in the call that waits, which nobody makes here; no number would mean no end. */
static int check_timeout(const struct db_params *p, struct err *err)
{
	const char *text = db_params_get(p, "connect_timeout");
	char *end;

	if (!text[0])
		return 0;
	errno = 0;
	(void)strtol(text, &end, 10);
	if (end != text && end[strspn(end, " \t\n\r\f\v")] == '\0' && errno == 0)
		return 0;
	err_set(err, ERR_DATABASE, "connect_timeout is not a number of seconds in the database connection settings");
	return err_hint(err, "Write it without a unit: connect_timeout=10.");
}

static int check_tls(const struct db_params *p, struct err *err)
{
	const char *mode = db_params_get(p, "sslmode"), *host = "";
	size_t len = 0;

	if (!remote_host(db_params_get(p, "host"), &host, &len) &&
	    !remote_host(db_params_get(p, "hostaddr"), &host, &len))
		return 0;
	if (!strcmp(mode, "verify-full"))
		return 0;
	err_set(err, ERR_DATABASE, "database host \"%.*s\" is another machine and sslmode=%s does not prove who "
				   "answers",
		(int)(len > 200 ? 200 : len), host, mode[0] ? mode : "prefer");
	return err_hint(err, "Set sslmode=verify-full and sslrootcert=FILE in the connection settings, or connect "
			     "through a Unix socket.");
}

int db_params_check(const struct db_params *p, struct err *err)
{
	int r = check_timeout(p, err);

	return r < 0 ? r : check_tls(p, err);
}

int db_conninfo_check(const char *conninfo, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "conninfo check");
	struct db_params p;
	int r = db_params_resolve(ctx, conninfo, &p, err);

	return r < 0 ? r : db_params_check(&p, err);
}

static const char *default_passfile(void *ctx)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (!home || !home[0]) {
		pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : NULL;
	}
	return home ? mem_printf(ctx, "%s/.pgpass", home) : NULL;
}

/* libpq ignores such a file and goes on without a password: better said than guessed at. */
int db_params_passfile(void *ctx, const struct db_params *p, struct err *err)
{
	const char *path = db_params_get(p, "passfile");
	struct stat st;

	if (db_params_get(p, "password")[0])
		return 0;
	if (!path[0])
		path = default_passfile(ctx);
	if (!path || stat(path, &st) < 0)
		return 0; /* no file: the server may not want a password, and says so when it does */
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_PERMISSION, "password file \"%s\" is not a regular file", path);
		return err_hint(err, "Name a regular file with mode 0600.");
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		err_set(err, ERR_PERMISSION, "password file \"%s\" is open to other users (mode %04o)", path,
			(unsigned)(st.st_mode & 07777));
		return err_hint(err, "Run: chmod 0600 '%s'", path);
	}
	return 0;
}
