/*
 * audit_bulk.c - Mattermost's bulk import, version 1: import.jsonl and data/.
 *
 * A view, not the archive: it cannot say deleted posts, earlier versions, ids.  Only post lines are written; a `user`,
 * `team` or `channel` line would change what exists on the server that imports it.
 */
#include "audit_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)12 << 20) /* the server takes 16 MiB a line */

static int bulk_begin(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	char now[TIME_TEXT];

	(void)ref;
	(void)n;
	x->files_dir = mem_strdup(x->ctx, "data");
	int rc = out_create(x, x->dirfd, "import.jsonl", err);
	if (rc)
		return rc;
	time_format(time_now_ms(), now);
	buf_printf(&x->out.b, "{\"type\":\"version\",\"version\":1,\"info\":{\"generator\":\"mmretain\",\"created\":\"%s\"}}\n", now);
	return 0;
}

static void string(struct buf *b, const char *key, const char *text)
{
	buf_printf(b, ",\"%s\":", key);
	if (utf8_valid(text, strlen(text)))
		json_put_string(b, text, strlen(text));
	else
		buf_puts(b, "\"\"");
}

static void put_reactions(struct buf *b, struct audit_thread *t, const struct audit_post *p)
{
	const char *comma = "";

	if (p->n_reactions == 0)
		return;
	buf_puts(b, ",\"reactions\":[");
	for (size_t i = 0; i < p->n_reactions; i++)
		for (size_t k = 0; k < p->reaction[i].n; k++) {
			int64_t at = p->reaction[i].at_ms[k];
			buf_printf(b, "%s{\"create_at\":%lld", comma, (long long)(at > p->create_ms ? at : p->create_ms));
			string(b, "user", audit_user(t->bundle, p->reaction[i].user[k])->name);
			string(b, "emoji_name", p->reaction[i].emoji);
			buf_byte(b, '}');
			comma = ",";
		}
	buf_byte(b, ']');
}

static int put_files(struct export *x, struct buf *b, struct audit_thread *t, const struct audit_post *p, struct err *err)
{
	const char *lead = ",\"attachments\":[";
	bool any = false;

	for (size_t i = 0; i < p->n_files; i++) {
		char *name;
		if (p->file[i].delete_ms > 0)
			continue;
		int rc = out_attachment(x, t->bundle, &p->file[i], &name, err);
		if (rc == -ERR_NOT_FOUND) {
			err_clear(err); /* counted; the post comes without it, as the importer would do */
			continue;
		}
		if (rc)
			return rc;
		buf_printf(b, "%s{\"path\":", lead);
		json_put_string(b, name + 5, strlen(name + 5)); /* behind "data/" */
		buf_byte(b, '}');
		lead = ",";
		any = true;
	}
	if (any)
		buf_byte(b, ']');
	return 0;
}

static void put_props(struct buf *b, const char *props)
{
	json_t *o = json_loads(props, JSON_DECODE_ANY, NULL);
	char *text = json_is_object(o) ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text)
		buf_printf(b, ",\"props\":%s", text);
	else
		buf_puts(b, ",\"props\":{}");
	free(text);
	json_decref(o);
}

static int put_post(struct export *x, struct buf *b, struct audit_thread *t, const struct audit_post *p, struct err *err)
{
	string(b, "user", audit_user(t->bundle, p->user)->name);
	string(b, "message", p->message);
	buf_printf(b, ",\"create_at\":%lld,\"edit_at\":%lld,\"is_pinned\":%s", (long long)p->create_ms, (long long)p->edit_ms,
		   p->pinned ? "true" : "false");
	string(b, "type", p->type);
	put_props(b, p->props);
	put_reactions(b, t, p);
	return put_files(x, b, t, p, err);
}

/* Members of a direct channel, by account name. */
static void put_members(struct buf *b, struct audit_thread *t, const char *name)
{
	const char *cut = strstr(name, "__");
	void *tmp auto_mem = mem_context(NULL, "members");
	const char *a = audit_user(t->bundle, mem_strndup(tmp, name, (size_t)(cut - name)))->name, *c = audit_user(t->bundle, cut + 2)->name;

	buf_puts(b, "\"channel_members\":[");
	json_put_string(b, a, strlen(a));
	buf_byte(b, ',');
	json_put_string(b, c, strlen(c));
	buf_byte(b, ']');
}

/* "{"type":"post","post":{"team":...,"channel":..." or its direct form; false: the place cannot be expressed. */
static bool put_place(struct buf *b, struct audit_thread *t)
{
	const struct audit_name *channel = audit_channel(t->bundle, t->channel), *team = audit_team_of(t->bundle, t->channel);

	if (team) {
		buf_puts(b, "{\"type\":\"post\",\"post\":{\"team\":");
		json_put_string(b, team->name, strlen(team->name));
		string(b, "channel", channel->name);
		return true;
	}
	if (!strstr(channel->name, "__"))
		return false; /* a group's members are not in its name */
	buf_puts(b, "{\"type\":\"direct_post\",\"direct_post\":{");
	put_members(b, t, channel->name);
	return true;
}

static bool importable(const struct audit_post *p)
{
	return p->delete_ms == 0 && !p->original[0] && strcmp(p->type, "burn_on_read") != 0;
}

static int bulk_thread(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err)
{
	struct buf *b = &x->out.b;
	size_t at = b->len, next = 1;
	int rc = 0;

	(void)ref;
	if (t->n_posts == 0 || !importable(&t->post[0]))
		return 0;
	do { /* the importer knows a root by channel, time and text, so a second line with it adds more replies */
		at = b->len;
		if (!put_place(b, t)) {
			b->len = at;
			return 0;
		}
		rc = put_post(x, b, t, &t->post[0], err);
		const char *lead = ",\"replies\":[{";
		for (; next < t->n_posts && !rc && b->len - at < LINE_MAX_BYTES; next++) {
			if (!importable(&t->post[next]))
				continue;
			buf_puts(b, lead);
			size_t first = b->len;
			rc = put_post(x, b, t, &t->post[next], err);
			memmove(b->data + first, b->data + first + 1, b->len - first - 1); /* its leading comma */
			b->len--;
			buf_byte(b, '}');
			lead = ",{";
		}
		buf_puts(b, lead[1] == '{' ? "]}}\n" : "}}\n");
		if (!rc)
			rc = out_flush(x, (size_t)1 << 20, err);
	} while (next < t->n_posts && !rc);
	return rc;
}

const struct writer bulk_writer = {"mattermost", true, bulk_begin, bulk_thread, out_close};
