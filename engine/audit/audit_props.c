/* audit_props.c - what the props of a post say of it that its columns do not: that a webhook brought it, and who
 * deleted it. */
#include "audit_internal.h"

#include <jansson.h>
#include <string.h>

/* A text of the props as it is, NULL: there is none.  "": it is something else. */
static char *prop(void *ctx, const char *props, size_t len, const char *key)
{
	size_t key_len = strlen(key);
	struct json_scan s;
	struct buf b;

	if (!memmem(props, len, key, key_len)) /* of most posts */
		return NULL;
	json_scan_init(&s, props, len);
	while (json_scan_next(&s)) {
		if (s.key_len != key_len || memcmp(s.key, key, key_len) != 0)
			continue;
		if (s.type == SCAN_TRUE)
			return mem_strdup(ctx, "true");
		buf_init(&b, ctx, s.val_len + 64);
		if (s.type != JSON_STR || !json_unescape(&b, s.val, s.val_len) || b.len == 0)
			return mem_strdup(ctx, "");
		return mem_strndup(ctx, b.data, b.len);
	}
	return NULL;
}

char *props_webhook(void *ctx, const char *props, size_t len)
{
	char *from = props ? prop(ctx, props, len, "from_webhook") : NULL, *name;

	if (!from || strcmp(from, "true") != 0)
		return NULL;
	name = prop(ctx, props, len, "override_username");
	return name ? name : mem_strdup(ctx, "");
}

char *props_deleted_by(void *ctx, const char *props, size_t len)
{
	char *by = props ? prop(ctx, props, len, "deleteBy") : NULL;

	return by && by[0] ? by : NULL;
}

/* The server takes each number for a floating-point one, and writes what is beyond 2^63 as an integer, which jansson
 * refuses. */
json_t *props_json(const char *props)
{
	json_t *o = json_loads(props, JSON_DECODE_ANY, NULL);

	return o ? o : json_loads(props, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

char *audit_webhook_text(void *ctx, const char *name)
{
	return name[0] ? mem_printf(ctx, "by webhook, as \"%s\"", name) : mem_strdup(ctx, "by webhook");
}

const struct audit_name *audit_deleter(const struct audit_thread *t, const struct audit_post *p)
{
	return p->deleted_by && p->delete_ms > 0 && !p->original[0] && strcmp(p->deleted_by, p->user) != 0
		       ? audit_user(t->bundle, p->deleted_by)
		       : NULL;
}
