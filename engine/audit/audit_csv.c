/*
 * audit_csv.c - one line per post, file and earlier version: the columns of Mattermost's own compliance export, with
 * the bundle, the thread and the file's digest behind them.
 */
#include "audit_internal.h"

#include <string.h>

static const char *const columns[] = {
	"Post Creation Time", "Post Update Time", "Post Update Type", "Team Id", "Team Name", "Team Display Name",
	"Channel Id",
	"Channel Name", "Channel Display Name", "User Id", "Username", "Display Name", "User Type", "Post Id",
	"Edited By Post Id",
	"Replied to Post Id", "Post Message", "Post Type", "Thread Id", "File Name", "File Size", "File SHA-256",
	"Reactions", "Bundle",
	"Webhook", "Deleted By", "Extent",
};

static void cell(struct export *x, const char *text)
{
	struct buf *b = &x->out.b;

	if (b->len > 0 && b->data[b->len - 1] == '"')
		buf_byte(b, ',');
	audit_csv_cell(b, text ? text : "", text ? strlen(text) : 0, x->options->raw_csv);
}

static void time_cell(struct export *x, int64_t ms)
{
	char text[TIME_TEXT] = "";

	if (ms > 0)
		time_format(ms, text);
	cell(x, text);
}

static void line_end(struct export *x)
{
	buf_puts(&x->out.b, "\r\n"); /* RFC 4180 */
}

static int csv_begin(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	(void)ref;
	(void)n;
	int rc = out_create(x, x->dirfd, x->leaf, err);
	if (rc)
		return rc;
	if (x->options->bom)
		buf_puts(&x->out.b, "\xef\xbb\xbf");
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		cell(x, columns[i]);
	line_end(x);
	return 0;
}

static const char *update_type(const struct audit_post *p)
{
	if (p->erased)
		return "Erased";
	if (p->original[0])
		return "EditedOriginalMsg";
	if (p->delete_ms > 0)
		return "Deleted";
	return p->edit_ms > 0 ? "EditedNewMsg" : "";
}

static char *reactions_of(void *ctx, const struct audit_post *p)
{
	struct buf b;

	buf_init(&b, ctx, 1 << 20);
	buf_puts(&b, "");
	for (size_t i = 0; i < p->n_reactions; i++)
		buf_printf(&b, "%s%s %zu", i ? ", " : "", p->reaction[i].emoji, p->reaction[i].n);
	return b.len ? b.data : NULL;
}

static void line(struct export *x, struct audit_thread *t, const struct audit_post *p, const struct audit_file *f)
{
	void *tmp auto_mem = mem_context(NULL, "csv");
	const struct audit_name *user = audit_author(t->bundle, p->user, p->erased != NULL),
				*channel = audit_channel(t->bundle, t->channel);
	const struct audit_name *team = audit_team_of(t->bundle, t->channel);
	char hex[DIGEST_HEX + 1] = "";

	if (f && f->has_digest)
		digest_hex(&f->sha256, hex);
	time_cell(x, p->timeless ? 0 : p->create_ms);
	time_cell(x, p->update_ms > p->create_ms ? p->update_ms : 0);
	cell(x, update_type(p));
	cell(x, team ? team->id : "");
	cell(x, team ? team->name : "");
	cell(x, team ? team->display : "");
	cell(x, t->channel);
	cell(x, channel->name);
	cell(x, channel->display);
	cell(x, p->user);
	cell(x, user->name);
	cell(x, user->display);
	cell(x, !strcmp(user->extra, "bot") || p->webhook ? "bot" : "user");
	cell(x, p->id);
	cell(x, p->original);
	cell(x, p->root);
	cell(x, f ? "" : p->message);
	cell(x, f ? (f->delete_ms > 0 ? "deleted attachment" : "attachment") : p->type[0] ? p->type : "message");
	cell(x, t->root);
	cell(x, f ? f->name : "");
	cell(x, f ? mem_printf(tmp, "%lld", (long long)f->size_bytes) : "");
	cell(x, hex);
	cell(x, f ? "" : reactions_of(tmp, p));
	cell(x, audit_bundle_path(t->bundle));
	cell(x, p->webhook ? audit_webhook_text(tmp, p->webhook) : "");
	const char *extent = t->parts ? "part" : t->earlier ? "earlier state" : "whole";
	cell(x, p->deleted_by && p->delete_ms > 0 && !p->original[0] ? audit_user(t->bundle, p->deleted_by)->name : "");
	cell(x, extent);
	line_end(x);
}

static int csv_thread(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err)
{
	(void)ref;
	for (size_t i = 0; i < t->n_posts; i++) {
		line(x, t, &t->post[i], NULL);
		for (size_t k = 0; k < t->post[i].n_files; k++)
			line(x, t, &t->post[i], &t->post[i].file[k]);
		int rc = out_flush(x, (size_t)1 << 20, err);
		if (rc)
			return rc;
	}
	return 0;
}

const struct writer csv_writer = {"csv", false, csv_begin, csv_thread, out_close};
