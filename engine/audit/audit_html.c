/*
 * audit_html.c - self-contained pages: no script, no request, one style sheet whose digest the policy names.
 *
 * The pages are written under numbered names; when one was enough it takes the plain name, else an index page does.
 */
#include "audit_internal.h"

#include "audit_html.h"
#include "audit_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_POSTS 5000u
#define INLINE_BYTES ((uint64_t)256 << 10)

static void put(struct export *x, const char *s)
{
	buf_puts(&x->out.b, s);
}

void html_text(struct export *x, const char *s)
{
	audit_html_escape(&x->out.b, s, strlen(s));
}

/* ---- the frame of a page ---- */

static void style_digest(struct buf *b)
{
	struct digest d;
	struct hash *h = hash_new(NULL);

	hash_bytes(h, text_audit_page, text_audit_page_len, &d);
	talloc_free(h);
	put_base64(b, d.b, DIGEST_BYTES, 0);
}

static void page_head(struct export *x, const char *title)
{
	put(x, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-");
	style_digest(&x->out.b);
	put(x, "'; img-src data:; base-uri 'none'; form-action 'none'\">\n<meta name=\"referrer\" "
	       "content=\"no-referrer\">\n"
	       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" "
	       "content=\"light dark\">\n"
	       "<meta name=\"robots\" content=\"noindex\">\n<meta name=\"generator\" content=\"mmretain\">\n"
	       "<link rel=\"icon\" href=\"data:,\">\n<title>");
	html_text(x, title);
	put(x, "</title>\n<style>");
	buf_put(&x->out.b, text_audit_page, text_audit_page_len);
	put(x, "</style>\n</head>\n<body>\n");
}

static const char *title_of(const struct html *h)
{
	return h->title;
}

static void top(struct export *x, struct html *h)
{
	char now[AUDIT_CLOCK];

	local_full(time_now_ms(), now);
	put(x, "<header class=\"top\">\n<h1>");
	html_text(x, title_of(h));
	put(x, "</h1>\n<p>Archived chat, exported ");
	html_text(x, now);
	if (x->options->case_id) {
		put(x, ", case ");
		html_text(x, x->options->case_id);
	}
	put(x, ". Times are ");
	html_text(x, local_zone());
	if (strcmp(local_zone(), tzname[1]) != 0) {
		put(x, "/");
		html_text(x, tzname[1]);
	}
	put(x, strcmp(local_zone(), "UTC") ? ", with UTC beside them.</p>\n" : ".</p>\n");
	if (x->options->asked) {
		put(x, "<p>Asked for: ");
		html_text(x, x->options->asked);
		put(x, "</p>\n");
	}
	put(x, "</header>\n");
}

static char *page_name(struct export *x, uint32_t no)
{
	const char *dot = strrchr(x->leaf, '.');
	int stem = dot && dot != x->leaf ? (int)(dot - x->leaf) : (int)strlen(x->leaf);

	return mem_printf(x->ctx, "%.*s-%04u.html", stem, x->leaf, no);
}

static void page_link(struct buf *b, const char *rel, const char *name, const char *word)
{
	buf_printf(b, "<a%s href=\"", rel);
	audit_html_escape(b, name, strlen(name));
	buf_printf(b, "\">%s</a>", word);
}

static void page_links(struct export *x, struct buf *b, uint32_t no, bool later)
{
	buf_printf(b, "<nav aria-label=\"Pages\"><span aria-current=\"page\">Page %u</span>", no);
	page_link(b, "", x->leaf, "Index");
	if (no > 1)
		page_link(b, " rel=\"prev\"", page_name(x, no - 1), "Earlier");
	if (later)
		page_link(b, " rel=\"next\"", page_name(x, no + 1), "Later");
	buf_puts(b, "</nav>\n");
}

/* Whether there is a later page, or an index, is known when this one is full: blanks keep the place of the links above
 * the threads until then. */
static void keep_links_place(struct export *x, struct html *h)
{
	struct buf links;

	buf_init(&links, x->ctx, PAGE_BYTES_MAX);
	page_links(x, &links, h->pages, true);
	h->links_at = x->out.bytes + x->out.b.len;
	for (size_t i = 1; i < links.len; i++)
		buf_byte(&x->out.b, ' ');
	buf_byte(&x->out.b, '\n');
	buf_reset(&links);
}

static int put_links(struct export *x, struct html *h, bool later, struct err *err)
{
	struct buf links;

	buf_init(&links, x->ctx, PAGE_BYTES_MAX);
	page_links(x, &links, h->pages, later);
	int rc = file_pwrite_all(x->out.fd, links.data, links.len, (off_t)h->links_at, x->out.name, err);
	buf_reset(&links);
	return rc < 0 ? out_failed(x, x->out.name, err->sys_errno, err) : 0;
}

int page_open(struct export *x, struct err *err)
{
	struct html *h = x->state;
	int rc = 0;

	/* A single page has another name in the end. */
	for (uint32_t no = ++h->pages == 2 ? 1 : h->pages; no <= h->pages && h->pages > 1 && !rc; no++)
		rc = stage_is_free(x, page_name(x, no), err);
	if (!rc)
		rc = out_create(x, x->dirfd, page_name(x, h->pages), err);
	if (rc)
		return rc;
	h->on_page = h->sections = 0;
	h->n_used = 0;
	page_head(x, title_of(h));
	top(x, h);
	keep_links_place(x, h);
	put(x, "<main>\n");
	return 0;
}

/* ---- the footer: what vouches for the page ---- */

void page_uses(struct export *x, struct audit_bundle *b)
{
	struct html *h = x->state;

	for (size_t i = 0; i < h->n_used; i++)
		if (h->used[i] == b)
			return;
	h->used = mem_grow(x->ctx, h->used, struct audit_bundle *, h->n_used + 1);
	h->used[h->n_used++] = b;
}

static void used_row(struct export *x, struct audit_bundle *b)
{
	put(x, "<tr><td>");
	html_text(x, audit_bundle_path(b));
	put(x, "</td><td class=\"");
	if (!x->options->verify) {
		put(x, "\">not verified by this export");
	} else {
		bundle_check_once(b);
		put(x, b->check_code ? "notok\">" : "ok\">");
		html_text(x, b->check_text);
	}
	put(x, "</td></tr>\n");
}

static void page_foot(struct export *x, struct html *h, bool later)
{
	put(x, "</main>\n");
	if (h->many)
		page_links(x, &x->out.b, h->pages, later);
	put(x, "<footer>\n<h2>Where this comes from</h2>\n<table>\n<thead><tr><th scope=\"col\">Bundle</th><th "
	       "scope=\"col\">Verification</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < h->n_used; i++)
		used_row(x, h->used[i]);
	put(x, "</tbody>\n</table>\n<p>The rows of this page are in these archive files, each a compressed tar "
	       "archive. <code>mmretain verify</code> reads one back in full and compares it with the ledger; without "
	       "mmretain, unpack it with <code>tar --zstd -xf</code> and run <code>sha256sum -c "
	       "manifest-sha256.txt</code>. This page is a view: names are as they were when the threads were "
	       "archived, reactions that were taken back are left out, pictures are shown only when their content is "
	       "one.</p>\n</footer>\n</body>\n</html>\n");
}

int page_close(struct export *x, bool later, struct err *err)
{
	struct html *h = x->state;
	int rc;

	h->many |= later;
	page_foot(x, h, later);
	rc = out_flush(x, 0, err);
	if (!rc && h->many)
		rc = put_links(x, h, later, err);
	return rc ? rc : out_close(x, err);
}

/* ---- a title ---- */

static const char *make_title(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "title");
	struct audit_thread *t;

	if (x->options->title)
		return x->options->title;
	size_t threads = n > 0;
	for (size_t i = 1; i < n; i++)
		threads += strcmp(ref[i].root, ref[i - 1].root) != 0;
	if (threads != 1)
		return mem_printf(x->ctx, "%zu archived threads", threads);
	if (audit_thread_load(x->audit, ref, tmp, &t, err) < 0) {
		err_clear(err); /* the export itself will say it */
		return "Archived thread";
	}
	return mem_printf(x->ctx, "Thread in %s", audit_place(tmp, t->bundle, t->channel));
}

static int html_begin(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	struct html *h = mem_new(x->ctx, struct html);
	const char *dot = strrchr(x->leaf, '.');
	int stem = dot && dot != x->leaf ? (int)(dot - x->leaf) : (int)strlen(x->leaf);

	x->state = h;
	x->files_dir = mem_printf(x->ctx, "%.*s_files", stem, x->leaf);
	h->title = make_title(x, ref, n, err);
	h->page_posts = x->options->page_posts ? x->options->page_posts : PAGE_POSTS;
	h->inline_bytes = x->options->inline_bytes ? x->options->inline_bytes : INLINE_BYTES;
	return page_open(x, err);
}

/* ---- the index page ---- */

static int index_page(struct export *x, struct err *err)
{
	struct html *h = x->state;
	int rc = out_create(x, x->dirfd, x->leaf, err);

	if (rc)
		return rc;
	page_head(x, title_of(h));
	top(x, h);
	buf_printf(&x->out.b, "<main>\n<section class=\"thread\" aria-labelledby=\"t-1\">\n<h2 id=\"t-1\">%llu threads "
			      "with %llu posts on %u pages</h2>\n<ol class=\"pages\">\n",
		   (unsigned long long)x->sum.threads, (unsigned long long)x->sum.posts, h->pages);
	for (uint32_t i = 0; i < h->pages; i++) {
		put(x, "<li><a href=\"");
		html_text(x, page_name(x, i + 1));
		buf_printf(&x->out.b, "\">Page %u</a> ", i + 1);
		if (i < h->n_firsts)
			html_text(x, h->first[i]);
		put(x, "</li>\n");
	}
	put(x, "</ol>\n</section>\n</main>\n</body>\n</html>\n");
	return out_close(x, err);
}

static int html_end(struct export *x, struct err *err)
{
	struct html *h = x->state;
	int rc = page_close(x, false, err);

	x->sum.pages = h->pages;
	if (rc || h->pages > 1)
		return rc ? rc : index_page(x, err);
	/* One page: it takes the name that was asked for, all this in the work folder still. */
	return renameat(x->dirfd, page_name(x, 1), x->dirfd, x->leaf) != 0 ? out_failed(x, x->leaf, errno, err) : 0;
}

static int html_one(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err)
{
	(void)ref;
	return html_thread(x, t, err);
}

const struct writer html_writer = {"html", false, html_begin, html_one, html_end};
