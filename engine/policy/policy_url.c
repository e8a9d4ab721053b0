/*
 * policy_url.c - what can be told of a connection URL without libpq, which has the last word: a password in it, another
 * machine without proof.
 */
#include "policy_internal.h"

#include <string.h>
#include <strings.h>

/* One host as it stands in a URL: this machine? */
static bool is_here(const char *host, size_t len)
{
	static const char *const here[] = {"localhost", "::1", "[::1]"};

	if (len == 0 || host[0] == '/' || host[0] == '@' ||
	    (len >= 3 && (!strncasecmp(host, "%2F", 3) || !strncmp(host, "%40", 3))))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(here); i++)
		if (len == strlen(here[i]) && !strncasecmp(host, here[i], len))
			return true;
	return len > 4 && !strncmp(host, "127.", 4) && strspn(host, "0123456789.") >= len;
}

/* A port goes, but for the colons of a bare address of IPv6. */
static size_t without_port(const char *entry, size_t len)
{
	const char *bracket = entry[0] == '[' ? memchr(entry, ']', len) : NULL, *colon;

	if (bracket)
		return (size_t)(bracket + 1 - entry);
	colon = memchr(entry, ':', len);
	return colon ? (size_t)(colon - entry) : len;
}

/* Is one of a list another machine? ports: its hosts may have one. */
static bool any_elsewhere(const char *list, size_t len, bool ports)
{
	for (const char *end = list + len;;) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t n = (size_t)((comma ? comma : end) - list);

		if (!is_here(list, ports ? without_port(list, n) : n))
			return true;
		if (!comma)
			return false;
		list = comma + 1;
	}
}

/* The value of a parameter behind `?`, not decoded, or NULL. */
static const char *parameter(const char *query, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	for (const char *p = query; p && *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, name, n) != 0 || p[n] != '=')
			continue;
		*ret_len = strcspn(p + n + 1, "&");
		return p + n + 1;
	}
	return NULL;
}

/* As check_tls of room `db`, which refuses it before a byte is sent.  What a service adds is not known here. */
static bool is_unproven(const char *rest)
{
	const char *at = memchr(rest, '@', strcspn(rest, "/?")), *hosts = at ? at + 1 : rest,
		   *query = strchr(hosts, '?'), *value;
	size_t len = strcspn(hosts, "/?"), n = 0;
	bool elsewhere = false;

	query = query ? query + 1 : "";
	if (parameter(query, "service", &n))
		return false;
	value = parameter(query, "sslmode", &n);
	if (value && n == strlen("verify-full") && !strncmp(value, "verify-full", n))
		return false;
	value = parameter(query, "host", &n);
	elsewhere = value ? any_elsewhere(value, n, false) : any_elsewhere(hosts, len, true);
	value = parameter(query, "hostaddr", &n);
	return elsewhere || (value && any_elsewhere(value, n, false));
}

static bool has_password(const char *url, const char *rest)
{
	const char *at = memchr(rest, '@', strcspn(rest, "/?"));

	return (at && memchr(rest, ':', (size_t)(at - rest))) || strstr(url, "password=");
}

bool policy_is_url(const char *text)
{
	return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}

void policy_check_url(struct problem_list *l, const char *url, const struct node *n)
{
	const char *rest, *key;

	if (!url || !n)
		return;
	key = n->key->text;
	if (!policy_is_url(url)) {
		policy_problem(l, n, "`url` is not a PostgreSQL URL");
		policy_hint(l, "Write it as in `url: "
			       "postgres://mmretain@db.example.org/mattermost?sslmode=verify-full`.");
		return;
	}
	rest = strstr(url, "://") + 3;
	if (has_password(url, rest)) {
		if (strcmp(key, "url") == 0)
			policy_warning(l, n, "`url` holds a password");
		else
			policy_problem(l, n, "`%s` holds a password", key);
		policy_hint(l, "Put it into `~/.pgpass` (mode 0600) of the user that runs mmretain, and remove it "
			       "here.");
	}
	if (is_unproven(rest)) {
		policy_warning(l, n,
			       "`%s` names another machine without `sslmode=verify-full`: no connection will be made",
			       key);
		policy_hint(l, "Add `?sslmode=verify-full`, and `&sslrootcert=FILE` for an authority of your own.");
	}
}
