/* audit_url.c - the one gate for every link that an export writes. */
#include "audit_internal.h"

#include <string.h>
#include <strings.h>

/* Bytes that end an attribute, hide a scheme or mislead a parser have no place in a link that is worth following. */
static bool byte_ok(unsigned char c)
{
	return c > 0x20 && c != 0x7f && c != '"' && c != '\'' && c != '<' && c != '>' && c != '\\' && c != '`' &&
	       c != '{' && c != '}' && c != '|' && c != '^';
}

static bool host_ok(const char *s, size_t len)
{
	return len > 0 && s[0] != '/' && s[0] != '?' && s[0] != '#' && s[0] != ':' && s[0] != '@';
}

bool audit_url_allowed(const char *url, size_t len)
{
	static const struct {
		const char *scheme;
		bool host;
	} allowed[] = {{"https://", true}, {"http://", true}, {"mailto:", false}};

	if (len == 0 || len > 4096 || !utf8_valid(url, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!byte_ok((unsigned char)url[i]))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		size_t n = strlen(allowed[i].scheme);
		if (len > n && !strncasecmp(url, allowed[i].scheme, n))
			return !allowed[i].host || host_ok(url + n, len - n);
	}
	return false;
}
