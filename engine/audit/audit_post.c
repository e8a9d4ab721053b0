/* audit_post.c - one thread on a page: its place, days, posts, replies below their root. */
#include "audit_html.h"

#include <string.h>
#include <utf8proc.h>

static void put(struct export *x, const char *s)
{
	buf_puts(&x->out.b, s);
}

/* ---- the person ---- */

static unsigned colour_of(const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return (h >> 8) % 12;
}

/* First letters of the first and the last word. */
static void put_initials(struct export *x, const char *name)
{
	const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)name;
	utf8proc_int32_t c, first = 0, last = 0;
	bool between = true;

	for (size_t i = 0, len = strlen(name); i < len;) {
		utf8proc_ssize_t n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(len - i), &c);
		if (n <= 0)
			break;
		utf8proc_category_t k = utf8proc_category(c);
		bool letter = k <= UTF8PROC_CATEGORY_LO && k != UTF8PROC_CATEGORY_CN;
		if (letter && (between || !first)) {
			last = c;
			first = first ? first : c;
		}
		between = letter ? false : c == ' ' || c == '.' || c == '_' || c == '-'; /* but not the one in Käpt'n */
		i += (size_t)n;
	}
	for (int i = 0; i < 2; i++) {
		utf8proc_uint8_t out[4];
		utf8proc_int32_t one = utf8proc_toupper(i ? last : first);
		if (one && (i == 0 || first != last))
			buf_put(&x->out.b, out, (size_t)utf8proc_encode_char(one, out));
	}
	if (!first)
		put(x, "?");
}

/* ---- the line above a message ---- */

static void put_time(struct export *x, int64_t ms)
{
	char clock[AUDIT_CLOCK], full[AUDIT_CLOCK], exact[TIME_TEXT], utc[AUDIT_CLOCK];

	audit_local_clock(ms, clock);
	local_full(ms, full);
	time_format(ms, exact);
	buf_printf(&x->out.b, "<time datetime=\"%s\" title=\"%s, %s\">%s</time>", exact, full, exact, clock);
	utc_beside(ms, utc);
	if (utc[0])
		buf_printf(&x->out.b, "<span class=\"utc\">%s</span>", utc);
}

static void put_mark(struct export *x, const char *class, const char *word, int64_t ms)
{
	char full[AUDIT_CLOCK];

	buf_printf(&x->out.b, "<span class=\"tag %s\"", class);
	if (ms > 0) {
		local_full(ms, full);
		buf_printf(&x->out.b, " title=\"%s\"", full);
	}
	buf_byte(&x->out.b, '>');
	html_text(x, word);
	if (ms > 0) {
		put(x, " ");
		html_text(x, full);
	}
	put(x, "</span>");
}

static void put_meta(struct export *x, const struct audit_thread *t, const struct audit_post *p,
		     const struct audit_name *user)
{
	const struct audit_name *by = audit_deleter(t, p);

	put(x, "<div class=\"meta\"><span class=\"who\">");
	html_text(x, user->display[0] ? user->display : user->name);
	put(x, "</span>");
	if (user->display[0]) {
		put(x, "<span class=\"at\">@");
		html_text(x, user->name);
		put(x, "</span>");
	}
	if (!strcmp(user->extra, "bot"))
		put_mark(x, "", "BOT", 0);
	if (p->webhook)
		put_mark(x, "", audit_webhook_text(x->ctx, p->webhook), 0);
	if (!p->timeless)
		put_time(x, p->create_ms);
	if (p->pinned)
		put_mark(x, "", "pinned", 0);
	if (p->priority && p->priority[0])
		put_mark(x, "warn", p->priority, 0);
	if (p->edit_ms > 0)
		put_mark(x, "warn", "edited", p->edit_ms);
	if (p->original[0])
		put_mark(x, "warn", "earlier version, until", p->delete_ms);
	else if (p->delete_ms > 0)
		put_mark(x, "bad", by ? mem_printf(x->ctx, "deleted by @%s,", by->name) : "deleted", p->delete_ms);
	if (p->type[0] && strcmp(p->type, "slack_attachment")) /* the card below shows it */
		put_mark(x, "", p->type, 0);
	if (p->acks > 0)
		put_mark(x, "", mem_printf(x->ctx, "acknowledged by %u", p->acks), 0);
	put(x, "</div>\n");
}

/* ---- below the message ---- */

/* Everybody by name, for all to read: a title is neither printed nor reached by a keyboard. */
static void put_reaction(struct export *x, struct audit_thread *t, const struct audit_reaction *r)
{
	const char *code = audit_emoji(r->emoji, strlen(r->emoji));

	put(x, "<li class=\"re\"><span title=\":");
	html_text(x, r->emoji);
	put(x, ":\">");
	if (code) {
		put(x, code);
	} else {
		put(x, ":");
		html_text(x, r->emoji);
		put(x, ":");
	}
	buf_printf(&x->out.b, "</span> <b>%zu</b> <span class=\"by\">", r->n);
	for (size_t k = 0; k < r->n; k++) {
		put(x, k ? ", " : "");
		html_text(x, audit_user(t->bundle, r->user[k])->name);
	}
	put(x, "</span></li>\n");
}

static void put_reactions(struct export *x, struct audit_thread *t, const struct audit_post *p)
{
	if (p->n_reactions == 0)
		return;
	put(x, "<ul class=\"reactions\" aria-label=\"Reactions\">\n");
	for (size_t i = 0; i < p->n_reactions; i++)
		put_reaction(x, t, &p->reaction[i]);
	put(x, "</ul>\n");
}

/* Earlier versions stand behind their post, where that is in the thread. */
static void put_versions(struct export *x, struct audit_thread *t, size_t at)
{
	size_t n = 0;

	for (size_t i = at + 1; i < t->n_posts && t->post[i].original[0]; i++)
		n += !strcmp(t->post[i].original, t->post[at].id);
	if (n == 0)
		return;
	buf_printf(&x->out.b, "<details class=\"old\" open><summary>%zu earlier version%s</summary>\n", n,
		   n == 1 ? "" : "s");
	for (size_t i = at + 1; i < t->n_posts && t->post[i].original[0]; i++) {
		char full[AUDIT_CLOCK];
		if (strcmp(t->post[i].original, t->post[at].id) != 0)
			continue;
		local_full(t->post[i].delete_ms, full);
		buf_printf(&x->out.b,
			   "<div class=\"v\"><span class=\"utc\">until %s</span>\n<div class=\"msg\" dir=\"auto\">",
			   full);
		audit_markdown(&x->out.b, t->post[i].message, t->post[i].message_len);
		put(x, "</div></div>\n");
	}
	put(x, "</details>\n");
}

static int put_post(struct export *x, struct audit_thread *t, size_t at, struct err *err)
{
	const struct audit_post *p = &t->post[at];
	const struct audit_name *user = audit_author(t->bundle, p->user, p->erased != NULL);
	bool bot = !strcmp(user->extra, "bot"), gone = p->delete_ms > 0 && !p->original[0];

	buf_printf(&x->out.b, "<article class=\"post%s\" id=\"p-", gone ? " deleted" : "");
	html_text(x, p->id);
	if (t->earlier)
		buf_printf(&x->out.b, "-%u", ((struct html *)x->state)->sections); /* it is above, too */
	buf_printf(&x->out.b, "\">\n<div class=\"av a%u%s\" aria-hidden=\"true\">", colour_of(p->user),
		   bot ? " bot" : "");
	put_initials(x, user->display[0] ? user->display : user->name);
	put(x, "</div>\n<div class=\"body\">\n");
	put_meta(x, t, p, user);
	put(x, "<div class=\"msg\" dir=\"auto\">");
	audit_markdown(&x->out.b, p->message, p->message_len);
	put(x, "</div>\n");
	html_attachments(x, p->props);
	int rc = html_files(x, t, p, err);
	put_reactions(x, t, p);
	put_versions(x, t, at);
	put(x, "</div>\n</article>\n");
	return rc;
}

/* ---- the thread ---- */

static void section_open(struct export *x, struct audit_thread *t, bool again)
{
	struct html *h = x->state;
	void *tmp auto_mem = mem_context(NULL, "place");
	const struct audit_name *channel = audit_channel(t->bundle, t->channel);
	char *place = audit_place(tmp, t->bundle, t->channel), full[AUDIT_CLOCK];

	page_uses(x, t->bundle);
	if (h->on_page == 0) {
		local_full(t->n_posts ? t->post[0].create_ms : 0, full);
		h->first = mem_grow(x->ctx, h->first, char *, h->n_firsts + 1);
		h->first[h->n_firsts++] = mem_printf(x->ctx, "from %s, %s", place, full);
	}
	h->sections++;
	buf_printf(&x->out.b,
		   "<section class=\"thread\" aria-labelledby=\"t-%u\">\n<div class=\"place\"><h2 id=\"t-%u\">",
		   h->sections, h->sections);
	html_text(x, place);
	put(x, again ? ", continued</h2>" : "</h2>");
	if (channel->display[0] && strcmp(channel->display, channel->name) != 0) {
		put(x, "<span class=\"at\">");
		html_text(x, channel->display);
		put(x, "</span>");
	}
	if (t->parts)
		put_mark(x, "warn", "only deleted posts and earlier versions; the thread stayed on the server", 0);
	if (t->earlier)
		put_mark(x, "warn", "an earlier state of the thread above, with something that is not there", 0);
	put(x, "<span class=\"id\">");
	html_text(x, t->root);
	put(x, "</span></div>\n");
}

static void put_day(struct export *x, int64_t ms, int *day)
{
	char text[AUDIT_CLOCK];
	int today = audit_local_day_number(ms);

	if (today == *day)
		return;
	*day = today;
	audit_local_day(ms, text);
	buf_printf(&x->out.b, "<h3 class=\"day\"><span>%s</span></h3>\n", text);
}

/* A thread that is longer than a page goes on on the next one. */
static int next_page(struct export *x, struct audit_thread *t, bool in_replies, struct err *err)
{
	put(x, in_replies ? "</div>\n</section>\n" : "</section>\n");
	int rc = page_close(x, true, err);
	if (!rc)
		rc = page_open(x, err);
	if (!rc)
		section_open(x, t, true);
	return rc;
}

int html_thread(struct export *x, struct audit_thread *t, struct err *err)
{
	struct html *h = x->state;
	const char *above = ""; /* the post that was put last: its versions are shown with it */
	bool in_replies = false;
	int day = -1, rc = 0;

	if (h->on_page > 0 && h->on_page + t->n_live > h->page_posts) {
		rc = page_close(x, true, err);
		if (!rc)
			rc = page_open(x, err);
	}
	if (rc)
		return rc;
	section_open(x, t, false);
	for (size_t i = 0; i < t->n_posts && !rc; i++) {
		if (t->post[i].original[0] && !strcmp(t->post[i].original, above))
			continue;
		above = t->post[i].id;
		if (h->on_page >= h->page_posts) {
			rc = next_page(x, t, in_replies, err);
			in_replies = false;
			day = -1;
			if (rc)
				return rc;
		}
		if (i > 0 && !in_replies && !t->parts) {
			put(x, "<div class=\"replies\" role=\"group\" aria-label=\"Replies\">\n");
			in_replies = true;
		}
		put_day(x, t->post[i].create_ms, &day);
		rc = put_post(x, t, i, err);
		h->on_page++;
		if (!rc)
			rc = out_flush(x, (size_t)1 << 20, err);
	}
	put(x, in_replies ? "</div>\n</section>\n" : "</section>\n");
	return rc;
}
