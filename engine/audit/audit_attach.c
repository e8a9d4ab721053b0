/* audit_attach.c - what hangs on a post of a page: pictures, files, a bot's attachment cards. */
#include "audit_html.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void put(struct export *x, const char *s)
{
	buf_puts(&x->out.b, s);
}

/* ---- files ---- */

static void put_digest(struct export *x, const struct audit_file *f)
{
	char hex[DIGEST_HEX + 1];

	if (!f->has_digest)
		return;
	digest_hex(&f->sha256, hex);
	buf_printf(&x->out.b, "<span class=\"dig\">SHA-256 %s</span>", hex);
}

static void put_deleted(struct export *x, const struct audit_file *f)
{
	char full[AUDIT_CLOCK];

	if (f->delete_ms <= 0)
		return;
	local_full(f->delete_ms, full);
	put(x, ", deleted ");
	html_text(x, full);
}

/* By content, never by the name or the type that the sender gave; vector images can hold scripts and are never shown.
 */
static bool put_picture(struct export *x, struct audit_thread *t, const struct audit_file *f)
{
	const struct html *h = x->state;
	void *tmp auto_mem = mem_context(NULL, "picture");
	struct err err = {0};
	char *data, size[TIME_TEXT];
	size_t len;

	if (strncmp(f->mime, "image/", 6) != 0 || file_bytes(tmp, t->bundle, f, h->inline_bytes, &data, &len, &err) < 0)
		return false;
	const char *mime = sniff_image(data, len);
	if (!mime)
		return false;
	buf_printf(&x->out.b, "<figure><img src=\"data:%s;base64,", mime);
	put_base64(&x->out.b, data, len, 0);
	put(x, "\" alt=\"");
	html_text(x, f->name);
	put(x, "\">\n<figcaption>");
	html_text(x, f->name);
	bytes_format(len, size);
	buf_printf(&x->out.b, ", %s", size);
	put_deleted(x, f);
	put(x, " ");
	put_digest(x, f);
	put(x, "</figcaption></figure>\n");
	return true;
}

static int put_file(struct export *x, struct audit_thread *t, const struct audit_file *f, struct err *err)
{
	char *name = NULL, size[TIME_TEXT], kind[12];
	int rc = out_attachment(x, t->bundle, f, &name, err);

	if (rc && rc != -ERR_NOT_FOUND)
		return rc;
	err_clear(err); /* said on the page, and counted */
	bytes_format(f->size_bytes > 0 ? (uint64_t)f->size_bytes : 0, size);
	plain_extension(f->name, kind);
	buf_printf(&x->out.b, "<div class=\"file\"><span class=\"kind\" aria-hidden=\"true\">%s</span>",
		   strcmp(kind, ".bin") ? kind + 1 : "file");
	if (rc == 0) {
		put(x, "<a class=\"name\" download=\"");
		html_text(x, f->name);
		put(x, "\" href=\"");
		html_text(x, name);
		put(x, "\">");
		html_text(x, f->name);
		put(x, "</a>");
	} else {
		put(x, "<span class=\"name\">");
		html_text(x, f->name);
		put(x, "</span>");
	}
	buf_printf(&x->out.b, "<span class=\"how\">%s", size);
	put_deleted(x, f);
	if (rc != 0) {
		put(x, ", content not here: ");
		html_text(x, f->state);
	}
	put(x, "</span>");
	put_digest(x, f);
	put(x, "</div>\n");
	return 0;
}

int html_files(struct export *x, struct audit_thread *t, const struct audit_post *p, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_files && !rc; i++)
		if (!put_picture(x, t, &p->file[i]))
			rc = put_file(x, t, &p->file[i], err);
	return rc;
}

/* ---- attachment cards ---- */

static const char *text_of(const json_t *o, const char *key, size_t *ret_len)
{
	const json_t *v = json_object_get(o, key);

	*ret_len = json_is_string(v) ? json_string_length(v) : 0;
	return *ret_len ? json_string_value(v) : NULL;
}

/* Fields hold any JSON; bots give numbers as often as texts. */
static void put_value(struct export *x, const json_t *value)
{
	char *text = json_is_string(value) || json_is_null(value) || json_is_real(value)
			     ? NULL
			     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

	if (json_is_string(value))
		audit_markdown(&x->out.b, json_string_value(value), json_string_length(value));
	else if (json_is_real(value))
		buf_printf(&x->out.b, "%.15g", json_real_value(value)); /* 5, where dumps writes 5.0 */
	else if (text)
		audit_html_escape(&x->out.b, text, strlen(text));
	free(text);
}

static void put_part(struct export *x, const json_t *o, const char *key, const char *class, bool markdown)
{
	size_t len;
	const char *text = text_of(o, key, &len);

	if (!text)
		return;
	buf_printf(&x->out.b, "<div class=\"%s\" dir=\"auto\">", class);
	if (markdown)
		audit_markdown(&x->out.b, text, len);
	else
		audit_html_escape(&x->out.b, text, len);
	put(x, "</div>\n");
}

static void put_fields(struct export *x, const json_t *fields)
{
	size_t i;
	const json_t *f;

	if (json_array_size(fields) == 0)
		return;
	put(x, "<dl>");
	json_array_foreach(fields, i, f) {
		size_t len;
		const char *title = text_of(f, "title", &len);
		put(x, "<dt>");
		audit_html_escape(&x->out.b, title ? title : "", len);
		put(x, "</dt><dd class=\"msg\">");
		put_value(x, json_object_get(f, "value"));
		put(x, "</dd>");
	}
	put(x, "</dl>\n");
}

void html_attachments(struct export *x, const char *props)
{
	const json_t *a;
	size_t i;

	if (!strstr(props, "\"attachments\""))
		return;
	json_t *o = props_json(props);
	json_array_foreach(json_object_get(o, "attachments"), i, a) {
		if (!json_is_object(a))
			continue;
		put_part(x, a, "pretext", "msg", true);
		put(x, "<div class=\"att\">");
		put_part(x, a, "author_name", "at", false);
		put_part(x, a, "title", "title", false);
		put_part(x, a, "text", "msg", true);
		put_fields(x, json_object_get(a, "fields"));
		put_part(x, a, "footer", "utc", false);
		put(x, "</div>\n");
	}
	json_decref(o);
}
