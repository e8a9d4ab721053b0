/*
 * mm_dsn_keys.c - the settings of a connection: which libpq knows, which only Mattermost's driver knows.
 */
#include <string.h>

#include "mm_dsn.h"

/* libpq 15, in alphabetical order; "service" is left out on purpose: a DSN is complete in itself. */
static const char *const libpq_keys[] = {
	"application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
	"fallback_application_name", "gssencmode", "gsslib", "host", "hostaddr", "keepalives", "keepalives_count",
	"keepalives_idle", "keepalives_interval", "krbsrvname", "options", "passfile", "password", "port",
	"requirepeer", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcompression",
	"sslcrl", "sslcrldir", "sslkey", "sslmode", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs",
	"tcp_user_timeout", "user",
};

/* Settings of Go drivers and poolers that mean nothing to the server or to libpq 15. */
static const char *const dropped_keys[] = {
	"binary_parameters", "default_query_exec_mode", "description_cache_capacity",
	"disable_prepared_binary_result", "krbspn", "load_balance_hosts", "pool_health_check_period",
	"pool_max_conn_idle_time", "pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter", "pool_max_conns",
	"pool_min_conns", "prefer_simple_protocol", "sslnegotiation", "statement_cache_capacity",
	"statement_cache_mode",
};

static bool in_list(const char *const *list, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], key))
			return true;
	return false;
}

static const char *get(const struct mm_dsn *d, const char *key)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->key[i], key))
			return d->value[i];
	return NULL;
}

void mm_dsn_set(struct mm_dsn *d, const char *key, const char *value)
{
	for (size_t i = 0; i < d->n; i++) {
		if (strcmp(d->key[i], key))
			continue;
		d->value[i] = value;
		return;
	}
	if (d->n < MM_DSN_KEYS) { /* libpq knows fewer */
		d->key[d->n] = key;
		d->value[d->n++] = value;
	}
}

/* letters, digits, _ and . as in names of settings, so that nothing else can ride along in options */
static bool is_setting_name(const char *key)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.";
	size_t len = strspn(key, letters);

	return len > 0 && !key[len] && !strchr("0123456789.", key[0]);
}

/* Blanks part the words of options; a backslash protects them. */
static void add_runtime(struct mm_dsn *d, const char *key, const char *value)
{
	if (!d->has_runtime)
		buf_init(&d->runtime, d->ctx, MM_DSN_MAX);
	buf_printf(&d->runtime, "%s-c %s=", d->has_runtime ? " " : "", key);
	for (const char *p = value; *p; p++) {
		if (strchr(" \t\r\n\f\v\\", *p))
			buf_byte(&d->runtime, '\\');
		buf_byte(&d->runtime, *p);
	}
	d->has_runtime = true;
}

int mm_dsn_add(struct mm_dsn *d, const char *key, const char *value, struct err *err)
{
	if (in_list(dropped_keys, ARRAY_LEN(dropped_keys), key))
		return 0;
	if (!strcmp(key, "service") || !strcmp(key, "replication") || !strcmp(key, "sslinline")) {
		err_set(err, ERR_DATABASE, "the database connection text has the setting %s, which is not supported",
			key);
		return err_hint(err, "Take it out, or use database.service or database.url in the policy.");
	}
	if (in_list(libpq_keys, ARRAY_LEN(libpq_keys), key)) {
		if (value[0])
			mm_dsn_set(d, key, value);
		return 0;
	}
	if (!is_setting_name(key))
		return mm_dsn_bad(err, "a setting has a name with unusual characters");
	add_runtime(d, key, value);
	return 0;
}

static bool is_local_list(const char *hosts)
{
	for (const char *p = hosts;;) {
		size_t len = strcspn(p, ",");

		if (len && p[0] != '/' && p[0] != '@' && strncmp(p, "127.", 4) &&
		    !(len == 9 && !strncasecmp(p, "localhost", 9)) && !(len == 3 && !strncmp(p, "::1", 3)))
			return false;
		if (!p[len])
			return true;
		p += len + 1;
	}
}

/* lib/pq: no host means localhost over TCP (libpq: the Unix socket), no sslmode means require (libpq: prefer). */
int mm_dsn_finish(struct mm_dsn *d, struct err *err)
{
	const char *options = get(d, "options");

	if (d->dialect == MM_DSN_LIB_PQ_GO) {
		if (!get(d, "host") && !get(d, "hostaddr"))
			mm_dsn_set(d, "host", "localhost");
		if (!get(d, "sslmode") &&
		    !(is_local_list(get(d, "host") ?: "") && is_local_list(get(d, "hostaddr") ?: "")))
			mm_dsn_set(d, "sslmode", "require");
	}
	if (!d->has_runtime)
		return 0;
	buf_byte(&d->runtime, '\0');
	if (d->runtime.overflow)
		return mm_dsn_bad(err, "it is too long");
	mm_dsn_set(d, "options", options ? mem_printf(d->ctx, "%s %s", options, d->runtime.data) : d->runtime.data);
	return 0;
}

void mm_conninfo_add(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "%s%s='", b->len ? " " : "", key);
	for (const char *p = value; *p; p++) {
		if (*p == '\'' || *p == '\\')
			buf_byte(b, '\\');
		buf_byte(b, *p);
	}
	buf_byte(b, '\'');
}

char *mm_dsn_text(const struct mm_dsn *d, void *ctx)
{
	struct buf b;
	char *text;

	buf_init(&b, d->ctx, MM_DSN_MAX);
	for (size_t i = 0; i < d->n; i++)
		mm_conninfo_add(&b, d->key[i], d->value[i]);
	text = mem_strndup(ctx, b.data ? b.data : "", b.len);
	buf_reset(&b);
	return text;
}
