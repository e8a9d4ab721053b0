/*
 * mm_dsn.c - the two written forms of a connection: URL and key=value.
 *
 * Mattermost's driver takes settings that libpq refuses, so the text is taken apart here and put together again
 * (mm_dsn_keys.c).  No message quotes any part of the text: it may hold the password.
 */
#include <string.h>

#include "mm_dsn.h"

int mm_dsn_bad(struct err *err, const char *what)
{
	err_set(err, ERR_DATABASE, "the database connection text is not valid: %s", what);
	return err_hint(err, "Write postgres://user:password@host:port/database?key=value (special characters as %%XX) "
			     "or key=value pairs.");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX, and in a query of the Go dialect + for a blank. */
static int decode(void *ctx, const char *s, size_t len, bool plus, char **ret, struct err *err)
{
	char *out = mem_array(ctx, char, (unsigned)len + 1), *o = out;

	for (size_t i = 0; i < len; i++) {
		int hi, lo;

		if (s[i] != '%') {
			*o++ = plus && s[i] == '+' ? ' ' : s[i];
			continue;
		}
		hi = i + 2 < len ? hex_digit(s[i + 1]) : -1;
		lo = hi >= 0 ? hex_digit(s[i + 2]) : -1;
		if (hi < 0 || lo < 0)
			return mm_dsn_bad(err, "% is not followed by two hexadecimal digits");
		if (!(hi * 16 + lo))
			return mm_dsn_bad(err, "it contains %00");
		*o++ = (char)(hi * 16 + lo);
		i += 2;
	}
	*ret = out;
	return 0;
}

static int add_decoded(struct mm_dsn *d, const char *key, const char *s, size_t len, struct err *err)
{
	char *value = NULL;
	int r = decode(d->ctx, s, len, false, &value, err);

	if (r == 0 && value[0])
		mm_dsn_set(d, key, value);
	return r;
}

static int check_port(const char *s, size_t len, struct err *err)
{
	unsigned port = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || (port = port * 10 + (unsigned)(s[i] - '0')) > 65535)
			return mm_dsn_bad(err, "the port is not a number up to 65535");
	}
	return len && !port ? mm_dsn_bad(err, "the port is not a number up to 65535") : 0;
}

/* One host[:port] of the list, brackets around IPv6. */
static int split_host(struct mm_dsn *d, const char *s, size_t len, struct buf *hosts, struct buf *ports,
		      struct err *err)
{
	const char *end = s + len, *host = s, *colon;
	size_t host_len;
	char *plain = NULL;
	int r;

	if (len && *s == '[') {
		const char *close = memchr(s, ']', len);

		if (!close || (close + 1 < end && close[1] != ':'))
			return mm_dsn_bad(err, "an IPv6 address needs [ and ]");
		host = s + 1;
		host_len = (size_t)(close - host);
		colon = close + 1 < end ? close + 1 : NULL;
	} else {
		colon = memchr(s, ':', len);
		host_len = colon ? (size_t)(colon - s) : len;
	}
	r = decode(d->ctx, host, host_len, false, &plain, err);
	if (r == 0 && colon)
		r = check_port(colon + 1, (size_t)(end - colon - 1), err);
	if (r < 0)
		return r;
	buf_puts(hosts, plain);
	if (colon)
		buf_put(ports, colon + 1, (size_t)(end - colon - 1));
	return 0;
}

static int split_hosts(struct mm_dsn *d, const char *s, size_t len, struct err *err)
{
	struct buf hosts, ports;
	bool some_port = false;

	buf_init(&hosts, d->ctx, MM_DSN_MAX);
	buf_init(&ports, d->ctx, MM_DSN_MAX);
	for (size_t at = 0; at <= len;) {
		const char *comma = memchr(s + at, ',', len - at);
		size_t n = comma ? (size_t)(comma - s) - at : len - at, before = ports.len;
		int r = split_host(d, s + at, n, &hosts, &ports, err);

		if (r < 0)
			return r;
		some_port |= ports.len > before;
		at += n + 1;
		if (!comma)
			break;
		buf_byte(&hosts, ',');
		buf_byte(&ports, ',');
	}
	buf_byte(&hosts, '\0');
	buf_byte(&ports, '\0');
	if (hosts.data[0])
		mm_dsn_set(d, "host", hosts.data);
	if (some_port)
		mm_dsn_set(d, "port", ports.data);
	return 0;
}

static int split_authority(struct mm_dsn *d, const char *s, size_t len, struct err *err)
{
	const char *at = memrchr(s, '@', len), *colon;
	size_t user_len;
	int r = 0;

	if (at) {
		colon = memchr(s, ':', (size_t)(at - s));
		user_len = (size_t)((colon ? colon : at) - s);
		r = add_decoded(d, "user", s, user_len, err);
		if (r == 0 && colon)
			r = add_decoded(d, "password", colon + 1, (size_t)(at - colon - 1), err);
		len -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	return r < 0 ? r : split_hosts(d, s, len, err);
}

static int split_query(struct mm_dsn *d, const char *s, struct err *err)
{
	bool plus = d->dialect == MM_DSN_LIB_PQ_GO;

	while (*s) {
		size_t len = strcspn(s, "&"), key_len = strcspn(s, "=&");
		char *key = NULL, *value = NULL;
		int r;

		if (len && (key_len == 0 || key_len >= len))
			return mm_dsn_bad(err, "a setting after ? has no name or no value");
		if (len) {
			r = decode(d->ctx, s, key_len, plus, &key, err);
			if (r == 0)
				r = decode(d->ctx, s + key_len + 1, len - key_len - 1, plus, &value, err);
			if (r == 0)
				r = mm_dsn_add(d, key, value, err);
			if (r < 0)
				return r;
		}
		s += len + (s[len] == '&');
	}
	return 0;
}

static int parse_url(struct mm_dsn *d, const char *rest, struct err *err)
{
	size_t authority = strcspn(rest, "/?"), path;
	int r;

	if (strchr(rest, '#'))
		return mm_dsn_bad(err, "# must be written as %23");
	for (const char *p = rest; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return mm_dsn_bad(err, "blanks and control characters must be written as %XX");
	r = split_authority(d, rest, authority, err);
	if (r < 0)
		return r;
	rest += authority;
	if (*rest == '/') {
		path = strcspn(++rest, "?");
		r = add_decoded(d, "dbname", rest, path, err);
		rest += path;
	}
	return r < 0 || !*rest ? r : split_query(d, rest + 1, err);
}

/* A value of the key=value form: plain up to a blank, or in single quotes; a backslash takes the next character as it
 * is. */
static const char *read_value(void *ctx, const char *p, char **ret)
{
	bool quoted = *p == '\'';
	char *out = mem_array(ctx, char, (unsigned)strlen(p) + 1), *o = out;

	for (p += quoted; *p; p++) {
		if (quoted ? *p == '\'' : strchr(" \t\r\n\f\v", *p) != NULL)
			break;
		if (*p == '\\' && !*++p)
			return NULL;
		*o++ = *p;
	}
	if (quoted && *p++ != '\'')
		return NULL;
	*ret = out;
	return p;
}

static int parse_pairs(struct mm_dsn *d, const char *p, struct err *err)
{
	static const char blanks[] = " \t\r\n\f\v";

	for (p += strspn(p, blanks); *p; p += strspn(p, blanks)) {
		size_t len = strcspn(p, "= \t\r\n\f\v");
		char *key = mem_strndup(d->ctx, p, len), *value = NULL;
		int r;

		p += len;
		p += strspn(p, blanks);
		if (!len || *p != '=')
			return mm_dsn_bad(err, "it is neither a postgres:// URL nor key=value pairs");
		p++;
		p += strspn(p, blanks);
		p = read_value(d->ctx, p, &value);
		if (!p)
			return mm_dsn_bad(err, "a quote or a backslash is not closed");
		r = mm_dsn_add(d, key, value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int mm_dsn_parse(void *ctx, const char *dsn, enum mm_dsn_dialect dialect, char **ret_conninfo, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "dsn");
	struct mm_dsn d = {.ctx = tmp, .dialect = dialect};
	int r;

	if (strlen(dsn) > MM_DSN_MAX / 4)
		return mm_dsn_bad(err, "it is too long");
	if (!strncmp(dsn, "postgres://", 11))
		r = parse_url(&d, dsn + 11, err);
	else if (!strncmp(dsn, "postgresql://", 13))
		r = parse_url(&d, dsn + 13, err);
	else if (strstr(dsn, "://") && !strpbrk(dsn, " ="))
		r = mm_dsn_bad(err, "only postgres:// is supported");
	else
		r = parse_pairs(&d, dsn, err);
	if (r == 0)
		r = mm_dsn_finish(&d, err);
	if (r == 0)
		*ret_conninfo = mm_dsn_text(&d, ctx);
	return r;
}
