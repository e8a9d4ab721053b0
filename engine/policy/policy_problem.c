/* The list of complaints about one file. */
#include "policy_internal.h"

#include <stdlib.h>
#include <string.h>

MMR_PRINTF(5, 0)
static void add(struct problem_list *l, uint32_t line, uint32_t column, bool warning, const char *fmt, va_list ap)
{
	struct policy_problems *all = l->all;
	struct policy_problem *p;

	if (l->full)
		return;
	all->item = mem_grow(all, all->item, struct policy_problem, all->n + 1);
	p = &all->item[all->n++];
	*p = (struct policy_problem){.line = line, .column = column, .warning = warning};
	if (all->n == POLICY_PROBLEMS_MAX) {
		/* A file of garbage must not fill the terminal, nor the memory. */
		l->full = true;
		p->warning = false;
		p->text = mem_printf(all, "%d problems, the rest of the file is not reported", POLICY_PROBLEMS_MAX);
		p->hint = mem_strdup(all, "Correct these first.");
	} else {
		p->text = mem_check(talloc_vasprintf(all, fmt, ap));
		p->hint = mem_strdup(all, "");
	}
	all->n_errors += !p->warning;
}

void policy_problem_at(struct problem_list *l, uint32_t line, uint32_t column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, line, column, false, fmt, ap);
	va_end(ap);
}

void policy_problem(struct problem_list *l, const struct node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, at->line, at->column, false, fmt, ap);
	va_end(ap);
}

void policy_warning(struct problem_list *l, const struct node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, at->line, at->column, true, fmt, ap);
	va_end(ap);
}

void policy_hint(struct problem_list *l, const char *fmt, ...)
{
	struct policy_problem *last;
	va_list ap;

	if (l->full || l->all->n == 0)
		return;
	last = &l->all->item[l->all->n - 1];
	va_start(ap, fmt);
	TALLOC_FREE(last->hint);
	last->hint = mem_check(talloc_vasprintf(l->all, fmt, ap));
	va_end(ap);
}

void policy_problems_sort(struct problem_list *l)
{
	struct policy_problem *item = l->all->item;

	/* By insertion: it is stable, the list is short and nearly in order. */
	for (size_t i = 1; i < l->all->n; i++) {
		struct policy_problem p = item[i];
		size_t at = i;

		while (at > 0 && (item[at - 1].line > p.line ||
				  (item[at - 1].line == p.line && item[at - 1].column > p.column))) {
			item[at] = item[at - 1];
			at--;
		}
		item[at] = p;
	}
}

char *policy_quote(void *ctx, const char *text, size_t len)
{
	const char *scheme = strstr(text, "://");
	struct buf b;
	size_t shown = 0;

	/* A URL, also in a wrong place, may hold a password: not for logs. */
	if (scheme && (strchr(scheme, '@') || strchr(scheme, '=')))
		len = (size_t)(scheme - text) + 3;
	else
		scheme = NULL;
	buf_init(&b, ctx, 4096);
	buf_byte(&b, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c & 0xC0) != 0x80 && shown++ == 40) {
			buf_puts(&b, "...");
			break;
		}
		if (c < 0x20 || c == 0x7F)
			buf_printf(&b, "\\x%02x", c);
		else
			buf_byte(&b, (char)c);
	}
	buf_puts(&b, scheme ? "...\"" : "\"");
	buf_byte(&b, '\0');
	return b.data;
}
