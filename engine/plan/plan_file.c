/*
 * plan_file.c - a plan as JSON lines: header, rules, scopes, due threads, and a last line with counts and digest.
 *
 * The digest is SHA-256 over all bytes before the last line, so it covers every number that a run will act on.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "plan_internal.h"

enum { OUT_BYTES = 256 << 10, BATCH_BYTES = 64 << 10 };

/* Lines are put together without printf, which took a third of a plan's time: threads are many, and so are channels. */
static inline void put_key(struct buf *b, const char *key)
{
	buf_puts(b, ",\"");
	buf_puts(b, key);
	buf_puts(b, "\":");
}

static void put_text(struct buf *b, const char *key, const char *text)
{
	put_key(b, key);
	json_put_string(b, text ? text : "", text ? strlen(text) : 0);
}

static inline void put_int(struct buf *b, const char *key, int64_t v)
{
	put_key(b, key);
	buf_i64(b, v);
}

static void put_reasons(struct buf *b, const uint64_t *reason)
{
	char before = '{';

	put_key(b, "reasons");
	for (unsigned i = 0; i < PLAN_REASONS; i++)
		if (reason[i]) {
			buf_byte(b, before);
			buf_byte(b, '"');
			buf_puts(b, plan_reason_name((enum plan_reason)i));
			buf_put(b, "\":", 2);
			buf_i64(b, (int64_t)reason[i]);
			before = ',';
		}
	buf_puts(b, before == '{' ? "{}" : "}");
}

static void put_due(struct buf *b, uint64_t threads, uint64_t posts, uint64_t bytes)
{
	put_int(b, "threads", (int64_t)threads);
	put_int(b, "posts", (int64_t)posts);
	put_int(b, "bytes", (int64_t)bytes);
}

static void header_line(struct buf *b, const struct plan *plan)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(&plan->policy_digest, hex);
	buf_printf(b, "{\"k\":\"plan\",\"version\":1,\"policy\":\"%s\"", hex);
	put_int(b, "taken", plan->taken_ms);
	if (plan->deleted_cut_ms != INT64_MIN)
		put_int(b, "deleted_cut", plan->deleted_cut_ms);
	put_text(b, "system", plan->system_identifier);
	put_text(b, "database", plan->database);
	buf_printf(b, ",\"strays\":[%llu,%llu,%llu,%llu,%llu]}", (unsigned long long)plan->strays.no_channel,
		   (unsigned long long)plan->strays.no_root, (unsigned long long)plan->strays.no_original,
		   (unsigned long long)plan->strays.other_channel, (unsigned long long)plan->strays.odd_time);
}

static void warning_line(struct buf *b, const char *text)
{
	buf_puts(b, "{\"k\":\"warning\"");
	put_text(b, "text", text);
	buf_byte(b, '}');
}

static void rule_line(struct buf *b, const struct plan_rule *r)
{
	buf_puts(b, "{\"k\":\"rule\"");
	put_text(b, "name", r->rule->name);
	put_int(b, "cut", r->cut_ms);
	put_int(b, "floor", r->floor_ms);
	put_int(b, "scopes", (int64_t)r->scopes);
	put_int(b, "total_posts", (int64_t)r->total_posts);
	put_due(b, r->due_threads, r->due_posts, r->due_bytes);
	put_reasons(b, r->reason);
	buf_byte(b, '}');
}

static void scope_line(struct buf *b, const struct plan_scope *s)
{
	char type[2] = {s->mm->type, '\0'};

	buf_puts(b, "{\"k\":\"scope\"");
	put_text(b, "channel", s->mm->channel_id);
	put_text(b, "channel_name", s->mm->channel_name);
	put_text(b, "channel_display", s->mm->channel_display);
	put_text(b, "team", s->mm->team_id);
	put_text(b, "team_name", s->mm->team_name);
	put_text(b, "team_display", s->mm->team_display);
	put_text(b, "type", type);
	put_int(b, "archived", (s->mm->channel_archived ? 1 : 0) + (s->mm->team_archived ? 2 : 0));
	put_text(b, "rule", s->rule ? s->rule->name : "");
	put_due(b, s->due_threads, s->due_posts, s->due_bytes);
	put_int(b, "size_posts", (int64_t)s->size_posts);
	put_int(b, "size_bytes", (int64_t)s->size_bytes);
	put_int(b, "limit_unreached", s->limit_unreached);
	put_reasons(b, plan_scope_reasons(s));
	buf_byte(b, '}');
}

static void thread_line(struct buf *b, const struct plan_thread *t)
{
	const char *reason = plan_reason_name(t->reason);

	buf_puts(b, "{\"k\":\"thread\",\"root\":");
	json_put_string(b, t->root, strlen(t->root));
	buf_puts(b, ",\"channel\":");
	json_put_string(b, t->channel_id, strlen(t->channel_id));
	put_int(b, "create", t->root_create_ms);
	put_int(b, "last", t->last_reply_ms);
	put_int(b, "posts", (int64_t)t->posts);
	put_int(b, "bytes", (int64_t)t->bytes);
	put_int(b, "scope", t->scope);
	buf_puts(b, ",\"reason\":\"");
	buf_puts(b, reason);
	buf_byte(b, '"');
	if (t->part)
		buf_puts(b, ",\"part\":1");
	buf_byte(b, '}');
}

static int send(struct buf *b, plan_line_fn fn, void *payload, struct err *err)
{
	int r;

	if (b->overflow)
		return err_set(err, ERR_INTERNAL, "a line of the plan is longer than %d bytes", PLAN_LINE_BYTES);
	r = fn(payload, b->data, b->len, err);
	buf_clear(b);
	return r;
}

static int send_line(struct buf *b, plan_line_fn fn, void *payload, struct err *err)
{
	buf_byte(b, '\n');
	return send(b, fn, payload, err);
}

static int render_threads(struct plan *plan, struct buf *b, plan_line_fn fn, void *payload, struct err *err)
{
	const void *p;
	int r = spool_rewind(plan->due, err);

	while (r == 0 && (r = spool_next(plan->due, &p, err)) > 0) {
		thread_line(b, p);
		buf_byte(b, '\n');
		r = b->len >= BATCH_BYTES ? send(b, fn, payload, err) : 0;
	}
	if (r == 0 && b->len)
		r = send(b, fn, payload, err);
	return r < 0 ? r : spool_rewind(plan->due, err);
}

int plan_render(struct plan *plan, plan_line_fn fn, void *payload, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "plan_render");
	struct buf b;
	int r;

	buf_init(&b, ctx, PLAN_LINE_BYTES);
	header_line(&b, plan);
	r = send_line(&b, fn, payload, err);
	for (size_t i = 0; r == 0 && i < plan->n_warnings; i++) {
		warning_line(&b, plan->warning[i]);
		r = send_line(&b, fn, payload, err);
	}
	for (size_t i = 0; r == 0 && i < plan->n_rules; i++) {
		rule_line(&b, &plan->rule[i]);
		r = send_line(&b, fn, payload, err);
	}
	for (size_t i = 0; r == 0 && i < plan->n_scopes; i++) {
		scope_line(&b, &plan->scope[i]);
		r = send_line(&b, fn, payload, err);
	}
	return r < 0 ? r : render_threads(plan, &b, fn, payload, err);
}

static int hash_line(void *payload, const char *line, size_t len, struct err *err)
{
	(void)err;
	hash_beside_update(payload, line, len);
	return 0;
}

int plan_digest(struct plan *plan, struct digest *ret, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "plan_digest");
	struct hash_beside *h = hash_beside_new(ctx);
	int r = plan_render(plan, hash_line, h, err);

	if (r == 0)
		hash_beside_final(h, ret);
	return r;
}

/* ---- writing ---- */

struct writer {
	int fd;
	const char *path;
	struct buf out;
	struct hash *hash;
};

static int drain(struct writer *w, struct err *err)
{
	int r = file_write_all(w->fd, w->out.data, w->out.len, w->path, err);

	buf_clear(&w->out);
	return r < 0 ? output_failed("write", w->path, err->sys_errno, err) : 0;
}

static int write_line(void *payload, const char *line, size_t len, struct err *err)
{
	struct writer *w = payload;
	int r = w->out.len + len > OUT_BYTES ? drain(w, err) : 0;

	hash_update(w->hash, line, len);
	buf_put(&w->out, line, len);
	return r;
}

static int write_all(struct plan *plan, struct writer *w, struct err *err)
{
	struct digest d;
	char hex[DIGEST_HEX + 1];
	int r = plan_render(plan, write_line, w, err);

	if (r < 0)
		return r;
	hash_final(w->hash, &d);
	digest_hex(&d, hex);
	r = drain(w, err);
	if (r < 0)
		return r;
	buf_puts(&w->out, "{\"k\":\"end\"");
	put_due(&w->out, plan->due_threads, plan->due_posts, plan->due_bytes);
	put_text(&w->out, "digest", hex);
	buf_puts(&w->out, "}\n");
	return drain(w, err);
}

/* Into name.tmp, then renamed: the old file or the new one, never half of one. */
static int replace(struct plan *plan, int dirfd, const char *name, const char *path, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "plan_write");
	const char *tmp = mem_printf(ctx, "%s.tmp", name);
	struct writer w = {.path = path, .hash = hash_new(ctx)};
	int r;

	buf_init(&w.out, ctx, OUT_BYTES + PLAN_LINE_BYTES);
	w.fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (w.fd < 0)
		return output_failed("write", path, errno, err);
	r = write_all(plan, &w, err);
	if (r == 0 && ((r = file_sync(w.fd, path, err)) < 0 || (r = file_close(&w.fd, path, err)) < 0))
		r = output_failed("write", path, err->sys_errno, err);
	fd_close_p(&w.fd);
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = output_failed("write", path, errno, err);
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0); /* it may not be there; the first error counts */
	if (r == 0 && file_sync_dir(dirfd, path, err) < 0)
		r = output_failed("write", path, err->sys_errno, err);
	return r;
}

int plan_write(struct plan *plan, const char *path, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "place");
	char *leaf = NULL;
	int fd auto_fd = -1;
	int r = output_open_place(ctx, path, &fd, &leaf, err);

	return r < 0 ? r : replace(plan, fd, leaf, path, err);
}
