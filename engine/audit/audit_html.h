/* audit_html.h - what the page and the posts on it share. */
#ifndef AUDIT_HTML_H
#define AUDIT_HTML_H

#include "audit_internal.h"

struct html {
	const char *title;
	uint32_t pages, on_page, page_posts;
	bool many;                           /* a second page was begun */
	uint32_t sections;                   /* on this page; their headings have ids */
	uint64_t inline_bytes;
	struct audit_bundle **used; size_t n_used;
	uint64_t links_at;                   /* where the links above the threads of this page go */
	char **first; size_t n_firsts;       /* what each page begins with, for the index */
};

void html_text(struct export *x, const char *s);
int page_open(struct export *x, struct err *err) MMR_CHECKED;
int page_close(struct export *x, bool later, struct err *err) MMR_CHECKED; /* later: another page follows */
void page_uses(struct export *x, struct audit_bundle *b);
/* props.attachments of a bot's post. */
void html_attachments(struct export *x, const char *props);
int html_files(struct export *x, struct audit_thread *t, const struct audit_post *p, struct err *err) MMR_CHECKED;

#endif
