/*
 * audit_bulk.c - Mattermost's bulk import, version 1: import.jsonl and data/.
 *
 * A view, not the archive: it cannot say deleted posts, earlier versions, ids.  Only post lines are written; a `user`,
 * `team` or `channel` line would change what exists on the server that imports it.  The importer wants all posts of
 * channels before those of direct and group messages, which are kept in a file without a name meanwhile.
 */
#include "audit_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES ((size_t)12 << 20) /* the server takes 16 MiB a line */

#define KEPT_BACK ((size_t)1 << 20)

struct bulk { int fd; struct buf direct; };  /* lines of direct and group messages */

static int bulk_free(struct bulk *k)
{
	fd_close_p(&k->fd);
	return 0;
}

static int bulk_begin(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	char now[TIME_TEXT];

	(void)ref;
	(void)n;
	struct bulk *k = mem_new(x->ctx, struct bulk);
	*k = (struct bulk){.fd = -1};
	talloc_set_destructor(k, bulk_free);
	buf_init(&k->direct, k, PAGE_BYTES_MAX);
	x->state = k;
	x->files_dir = mem_strdup(x->ctx, "data");
	int rc = out_create(x, x->dirfd, "import.jsonl", err);
	if (rc)
		return rc;
	time_format(time_now_ms(), now);
	buf_printf(&x->out.b,
		   "{\"type\":\"version\",\"version\":1,\"info\":{\"generator\":\"mmretain\",\"created\":\"%s\"}}\n",
		   now);
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

/* An import with somebody whom the server does not know stops: who has no name here had no account any more. */
static bool has_name(const struct audit_thread *t, const char *id)
{
	return id[0] && strcmp(audit_user(t->bundle, id)->name, id) != 0;
}

static void put_reactions(struct buf *b, struct audit_thread *t, const struct audit_post *p)
{
	const char *lead = ",\"reactions\":[";

	for (size_t i = 0; i < p->n_reactions; i++)
		for (size_t k = 0; k < p->reaction[i].n; k++) {
			int64_t at = p->reaction[i].at_ms[k];
			if (!has_name(t, p->reaction[i].user[k]))
				continue;
			buf_printf(b, "%s{\"create_at\":%lld", lead,
				   (long long)(at > p->create_ms ? at : p->create_ms));
			string(b, "user", audit_user(t->bundle, p->reaction[i].user[k])->name);
			string(b, "emoji_name", p->reaction[i].emoji);
			buf_byte(b, '}');
			lead = ",";
		}
	if (lead[1] == '\0')
		buf_byte(b, ']');
}

static int put_files(struct export *x, struct buf *b, struct audit_thread *t, const struct audit_post *p,
		     struct err *err)
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
	json_t *o = props_json(props);
	char *text = json_is_object(o) ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text)
		buf_printf(b, ",\"props\":%s", text);
	else
		buf_puts(b, ",\"props\":{}");
	free(text);
	json_decref(o);
}

static int put_post(struct export *x, struct buf *b, struct audit_thread *t, const struct audit_post *p,
		    struct err *err)
{
	string(b, "user", audit_author(t->bundle, p->user, p->erased != NULL)->name);
	string(b, "message", p->message);
	buf_printf(b, ",\"create_at\":%lld,\"edit_at\":%lld,\"is_pinned\":%s", (long long)p->create_ms,
		   (long long)p->edit_ms, p->pinned ? "true" : "false");
	string(b, "type", p->type);
	put_props(b, p->props);
	put_reactions(b, t, p);
	return put_files(x, b, t, p, err);
}

/* The two of a direct message, by account name; false: one has none. */
static bool put_two(struct buf *b, struct audit_thread *t, const char *name)
{
	const char *cut = strstr(name, "__");
	void *tmp auto_mem = mem_context(NULL, "members");
	char *first = mem_strndup(tmp, name, (size_t)(cut - name));
	const char *a = audit_user(t->bundle, first)->name, *c = audit_user(t->bundle, cut + 2)->name;

	if (!has_name(t, first) || !has_name(t, cut + 2))
		return false;

	buf_puts(b, "\"channel_members\":[");
	json_put_string(b, a, strlen(a));
	buf_byte(b, ',');
	json_put_string(b, c, strlen(c));
	buf_byte(b, ']');
	return true;
}

/* All of a group message.  One too few, and the importer would make another group of it; and it stops at a name that is
 * nobody's, as of who was erased: so either all are known, or none. */
static bool put_group(struct buf *b, const char *members)
{
	json_t *list = json_loads(members, 0, NULL), *one;
	size_t n = json_array_size(list), i;
	bool ok = n >= 3 && n <= 8;

	json_array_foreach(list, i, one)
		ok = ok && json_string_length(one) > 0 && strcmp(json_string_value(one), BUNDLE_ERASED_NAME) != 0;
	if (ok)
		buf_printf(b, "\"channel_members\":%s", members);
	json_decref(list);
	return ok;
}

/* "{"type":"post","post":{"team":...,"channel":..." or its direct form; false: the place cannot be expressed. */
static bool put_place(struct buf *b, struct audit_thread *t, bool *ret_direct)
{
	const struct audit_name *channel = audit_channel(t->bundle, t->channel),
				*team = audit_team_of(t->bundle, t->channel);

	*ret_direct = team == NULL;
	if (team) {
		buf_puts(b, "{\"type\":\"post\",\"post\":{\"team\":");
		json_put_string(b, team->name, strlen(team->name));
		string(b, "channel", channel->name);
		return true;
	}
	buf_puts(b, "{\"type\":\"direct_post\",\"direct_post\":{");
	if (!strstr(channel->name, "__"))
		return put_group(b, channel->members);
	return put_two(b, t, channel->name);
}

static bool importable(const struct audit_thread *t, const struct audit_post *p)
{
	return has_name(t, p->user) && p->delete_ms == 0 && !p->original[0] && !p->erased &&
	       strcmp(p->type, "burn_on_read") != 0;
}

/* What the format cannot say; a thread without its root cannot be said at all. */
static void count_left_out(struct export *x, const struct audit_thread *t, bool whole)
{
	for (size_t i = 0; i < t->n_posts; i++)
		x->left.posts += whole || !importable(t, &t->post[i]);
	x->left.whole = whole;
}

static int left_out(struct export *x, struct audit_thread *t, const char *why)
{
	count_left_out(x, t, true);
	log_warn("thread %s is left out: %s", t->root, why);
	return 0;
}

static int keep_back(struct export *x, size_t at, struct err *err)
{
	struct bulk *k = x->state;
	struct buf *b = &x->out.b;

	buf_put(&k->direct, b->data + at, b->len - at);
	b->len = at;
	if (k->direct.len < KEPT_BACK)
		return 0;
	char place[40];
	(void)snprintf(place, sizeof(place), "/proc/self/fd/%d", x->dirfd); /* fits; where the output is, not in /tmp */
	int rc = k->fd >= 0 ? 0 : file_temp(place, &k->fd, err);
	if (!rc)
		rc = file_write_all(k->fd, k->direct.data, k->direct.len, "import.jsonl", err);
	buf_clear(&k->direct);
	return rc;
}

/* A line of the thread: the root, and as many replies from *next on as it can hold. */
static int put_line(struct export *x, struct audit_thread *t, size_t *next, size_t at, struct err *err)
{
	struct buf *b = &x->out.b;
	const char *lead = ",\"replies\":[{";
	int rc = put_post(x, b, t, &t->post[0], err);

	for (; *next < t->n_posts && !rc && b->len - at < LINE_MAX_BYTES; ++*next) {
		if (!importable(t, &t->post[*next]))
			continue;
		buf_puts(b, lead);
		size_t first = b->len;
		rc = put_post(x, b, t, &t->post[*next], err);
		memmove(b->data + first, b->data + first + 1, b->len - first - 1); /* its leading comma */
		b->len--;
		buf_byte(b, '}');
		lead = ",{";
	}
	buf_puts(b, lead[1] == '{' ? "]}}\n" : "}}\n");
	return rc;
}

static int bulk_thread(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err)
{
	struct buf *b = &x->out.b;
	size_t next = 1;
	bool direct;
	int rc = 0;

	(void)ref;
	if (t->parts)
		return left_out(x, t, "it is a part, deleted posts and earlier versions, of a thread that stayed on "
				      "the server");
	if (t->earlier)
		return left_out(x, t, "it is an earlier state, and the thread as it was archived last is here");
	if (t->n_posts == 0 || !importable(t, &t->post[0]))
		return left_out(x, t, "its first post is deleted, erased, burns on reading or is of somebody without "
				      "an account, and replies cannot be imported without it");
	do { /* the importer knows a root by channel, time and text, so a second line with it adds more replies */
		size_t at = b->len;
		if (!put_place(b, t, &direct)) {
			b->len = at;
			return left_out(x, t, "it is in a direct or group message, and its bundle does not list who "
					      "was in it, or not by name");
		}
		rc = put_line(x, t, &next, at, err);
		if (!rc && direct)
			rc = keep_back(x, at, err);
		else if (!rc)
			rc = out_flush(x, KEPT_BACK, err);
	} while (next < t->n_posts && !rc);
	count_left_out(x, t, false);
	return rc;
}

static int bulk_end(struct export *x, struct err *err)
{
	struct bulk *k = x->state;
	struct stat st = {0};
	int rc = 0;

	if (k->fd >= 0 && fstat(k->fd, &st) != 0)
		return out_failed(x, "import.jsonl", errno, err);
	for (off_t at = 0; at < st.st_size && !rc;) {
		size_t n = st.st_size - at < (off_t)KEPT_BACK ? (size_t)(st.st_size - at) : KEPT_BACK;
		if (!buf_reserve(&x->out.b, n))
			return err_set(err, ERR_OUTPUT, "\"import.jsonl\" becomes too large");
		rc = file_pread_all(k->fd, x->out.b.data + x->out.b.len, n, at, "import.jsonl", err);
		x->out.b.len += n;
		at += (off_t)n;
		if (!rc)
			rc = out_flush(x, KEPT_BACK, err);
	}
	buf_put(&x->out.b, k->direct.data, k->direct.len);
	return rc ? rc : out_close(x, err);
}

const struct writer bulk_writer = {"mattermost", true, bulk_begin, bulk_thread, bulk_end};
