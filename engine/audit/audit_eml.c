/*
 * audit_eml.c - one mail per post (RFC 5322, MIME), threads by References, attachments as parts.
 *
 * Addresses end in .invalid (RFC 2606): nothing of this can be sent anywhere by mistake.
 */
#include "audit_internal.h"

#include <string.h>

#define HOST "mmretain.invalid"
#define ATTACHMENT_MAX ((size_t)64 << 20)
/* of a header; of a name of somebody or a place; of the text in a subject */
enum { HEADER_BYTES = 800, NAME_BYTES = 200, TITLE_BYTES = 120 };

static int eml_begin(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	(void)ref;
	(void)n;
	(void)err;
	x->files_dir = mem_strdup(x->ctx, "files");
	return 0;
}

/* At most max bytes, and no half character. */
static size_t fitting(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* Encoded words (RFC 2047), each whole characters and short enough for one line: whatever is in the text, it stays in
 * its header. */
static void encoded(struct buf *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = len - i < 42 ? len - i : 42;
		while (n > 1 && i + n < len && ((unsigned char)text[i + n] & 0xc0) == 0x80)
			n--;
		buf_puts(b, i ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
		put_base64(b, text + i, n, 0);
		buf_puts(b, "?=");
		i += n;
	}
}

static void header(struct buf *b, const char *name, const char *text)
{
	size_t len = strlen(text);

	buf_printf(b, "%s: ", name);
	if (len > 0 && len < 900 &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/") == len)
		buf_puts(b, text);
	else
		encoded(b, text, fitting(text, len, HEADER_BYTES));
	buf_puts(b, "\r\n");
}

/* Ids become parts of addresses; one that is not letters and digits is written as hex. */
static char *local_part(void *ctx, const char *id)
{
	size_t len = strlen(id);

	if (len > 0 && len <= 64 && strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len)
		return mem_strdup(ctx, id);
	char *hex = mem_array(ctx, char, 2 * (len < 32 ? len : 32) + 2);
	hex[0] = 'x';
	hex_encode(id, len < 32 ? len : 32, hex + 1);
	return hex;
}

static void percent(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_' || c == '.')
			buf_byte(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

/* A mail must have a Date.  Only erased posts have no time: their text is ours, and the message of nobody. */
static const char *timeless(const struct audit_post *p)
{
	if (!p->timeless)
		return NULL;
	return p->create_ms == 0 ? "unknown; Date is the first moment of the epoch, because a mail must have one" :
				  "unknown; Date is that of the post before it, because a mail must have one";
}

static void text_part(struct buf *b, const struct audit_post *p, void *tmp)
{
	const char *text =
		timeless(p) ? mem_printf(tmp, "%s\nTime of this post: %s.\n", p->message, timeless(p)) : p->message;

	buf_puts(b, "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	put_base64(b, text, timeless(p) ? strlen(text) : p->message_len, 76);
}

static int file_part(struct export *x, struct audit_thread *t, const struct audit_file *f, const char *boundary,
		     void *tmp, struct err *err)
{
	struct buf *b = &x->out.b;
	size_t len = 0;
	char *data = NULL;
	int rc = file_bytes(tmp, t->bundle, f, ATTACHMENT_MAX, &data, &len, err);

	buf_printf(b, "--%s\r\n", boundary);
	if (rc == -ERR_NOT_FOUND) { /* said in the mail, not hidden */
		err_clear(err);
		x->sum.files_missing++;
		buf_puts(b, "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
		char *note = mem_printf(tmp, "Attachment \"%s\" (%s) is not included: %s.\n", f->name, f->id, f->state);
		put_base64(b, note, strlen(note), 76);
		return 0;
	}
	if (rc)
		return rc;
	x->sum.files++;
	if (f->delete_ms > 0) {
		char at[TIME_TEXT];
		time_format(f->delete_ms - f->delete_ms % 1000, at);
		buf_printf(b, "Content-Description: deleted %s\r\n", at);
	}
	buf_puts(b, "Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n filename*=UTF-8''");
	percent(b, f->name[0] ? f->name : f->id);
	buf_puts(b, "\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	put_base64(b, data, len, 76);
	return 0;
}

/* What every other format says of a post beside its text. */
static const char *mark(const struct audit_post *p, void *tmp)
{
	int64_t ms = p->delete_ms > 0 ? p->delete_ms : p->edit_ms;
	char at[TIME_TEXT];

	if (p->timeless || p->original[0])
		return p->timeless ? "[time unknown] " : "[earlier version] ";
	if (ms <= 0)
		return "";
	time_format(ms - ms % 1000, at);
	return mem_printf(tmp, "[%s %s] ", p->delete_ms > 0 ? "deleted" : "edited", at);
}

/* Of the first line of the thread as much as a list of mails shows. */
static const char *subject(const struct audit_thread *t, const struct audit_post *p, const char *place, void *tmp)
{
	const char *first = t->n_posts ? t->post[0].message : "";
	size_t line = strcspn(first, "\r\n"), cut = fitting(first, line, TITLE_BYTES);

	return mem_printf(tmp, "%s%s%.*s: %.*s%s", mark(p, tmp),
			  p == &t->post[0] && !t->parts ? "" : "Re: ", (int)fitting(place, strlen(place), NAME_BYTES),
			  place, (int)cut, first, cut < line ? "…" : "");
}

static void headers(struct export *x, struct audit_thread *t, const struct audit_post *p, void *tmp)
{
	struct buf *b = &x->out.b;
	const struct audit_name *user = audit_author(t->bundle, p->user, p->erased != NULL);
	const struct audit_name *by = audit_deleter(t, p);
	const char *name = user->display[0] ? user->display : user->name;
	char *place = audit_place(tmp, t->bundle, t->channel), date[AUDIT_CLOCK];

	rfc5322_date(p->create_ms, date);
	if (p->webhook)
		name = mem_printf(tmp, "%.*s (%s)", (int)fitting(name, strlen(name), NAME_BYTES / 2), name,
				  audit_webhook_text(tmp, p->webhook));
	buf_printf(b, "Date: %s\r\nFrom: ", date);
	encoded(b, name, fitting(name, strlen(name), NAME_BYTES));
	buf_printf(b, "\r\n <%s@user." HOST ">\r\nTo: ", local_part(tmp, p->user));
	encoded(b, place, fitting(place, strlen(place), NAME_BYTES));
	buf_printf(b, "\r\n <%s@channel." HOST ">\r\n", local_part(tmp, t->channel));
	header(b, "Subject", subject(t, p, place, tmp));
	/* Of an earlier state it is another mail, and readers show only one of those that have the same id. */
	buf_printf(b, t->earlier ? "Message-ID: <%s.%u@post." HOST ">\r\n" : "Message-ID: <%s@post." HOST ">\r\n",
		   local_part(tmp, p->id), x->n_written);
	if (p != &t->post[0] || t->parts || t->earlier) {
		buf_printf(b, "In-Reply-To: <%s@post." HOST ">\r\n", local_part(tmp, t->root));
		buf_printf(b, "References: <%s@post." HOST ">\r\n", local_part(tmp, t->root));
	}
	header(b, "X-Mattermost-Post", p->id);
	header(b, "X-Mattermost-Thread", t->root);
	if (t->parts)
		header(b, "X-Mmretain-Part", "deleted posts and earlier versions; the thread stayed on the server");
	if (t->earlier)
		header(b, "X-Mmretain-Part", "an earlier state of the thread, with something that it had no more when "
					     "it was archived last");
	header(b, "X-Mattermost-Channel", t->channel);
	header(b, "X-Mattermost-User", p->user);
	header(b, "X-Mattermost-State",
	       p->erased	  ? "erased"
	       : p->original[0]	  ? "earlier-version"
	       : p->delete_ms > 0 ? "deleted"
	       : p->edit_ms > 0	  ? "edited"
				  : "live");
	if (by)
		header(b, "X-Mattermost-Deleted-By", by->name);
	if (p->webhook)
		header(b, "X-Mattermost-Webhook", audit_webhook_text(tmp, p->webhook));
	if (timeless(p))
		header(b, "X-Mmretain-Time", timeless(p));
	header(b, "X-Mmretain-Bundle", audit_bundle_path(t->bundle));
	buf_puts(b, "MIME-Version: 1.0\r\n");
}

static int mail(struct export *x, struct audit_thread *t, const struct audit_post *p, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "mail");
	char *id = local_part(tmp, p->id), *boundary = mem_printf(tmp, "=_mmretain_%s", id);
	int rc = out_create(x, x->dirfd, mem_printf(tmp, "%06u-%s.eml", ++x->n_written, id), err);
	struct buf *b = &x->out.b;

	if (rc)
		return rc;
	headers(x, t, p, tmp);
	if (p->n_files == 0) {
		text_part(b, p, tmp);
		return out_close(x, err);
	}
	/* "=_" cannot occur in base64, and every part is base64 */
	buf_printf(b, "Content-Type: multipart/mixed;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary);
	text_part(b, p, tmp);
	for (size_t i = 0; i < p->n_files && !rc; i++)
		rc = file_part(x, t, &p->file[i], boundary, tmp, err);
	buf_printf(b, "--%s--\r\n", boundary);
	return rc ? rc : out_close(x, err);
}

static int eml_thread(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err)
{
	int rc = 0;

	(void)ref;
	for (size_t i = 0; i < t->n_posts && !rc; i++)
		rc = mail(x, t, &t->post[i], err);
	return rc;
}

static int eml_end(struct export *x, struct err *err)
{
	(void)x;
	(void)err;
	return 0;
}

const struct writer eml_writer = {"eml", true, eml_begin, eml_thread, eml_end};
