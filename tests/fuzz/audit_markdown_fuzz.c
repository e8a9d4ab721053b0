/* audit_markdown_fuzz.c - whatever a message is, the HTML holds only our tags, and never a script, a source or a
 * handler. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every "<" is ours, so what follows must be one of these; text has it as &lt;. */
static void check(const char *html, size_t len)
{
	static const char *const ok[] = {"a rel=\"noreferrer noopener nofollow\" target=\"_blank\" href=\"http",
					 "a rel=\"noreferrer noopener nofollow\" target=\"_blank\" href=\"mailto:",
					 "/a>",
					 "blockquote>",
					 "/blockquote>",
					 "br>",
					 "code>",
					 "/code>",
					 "del>",
					 "/del>",
					 "div class=\"scroll\">",
					 "/div>",
					 "em>",
					 "/em>",
					 "hr>",
					 "li>",
					 "li class=\"task\">",
					 "/li>",
					 "ol start=\"",
					 "/ol>",
					 "p>",
					 "p class=\"",
					 "/p>",
					 "pre>",
					 "/pre>",
					 "span class=\"",
					 "/span>",
					 "strong>",
					 "/strong>",
					 "table>",
					 "/table>",
					 "tbody>",
					 "/tbody>",
					 "td>",
					 "td class=\"",
					 "/td>",
					 "th>",
					 "th class=\"",
					 "/th>",
					 "thead>",
					 "/thead>",
					 "tr>",
					 "/tr>",
					 "ul>",
					 "/ul>"};

	for (const char *p = html, *end = html + len; (p = memchr(p, '<', (size_t)(end - p))) != NULL;) {
		bool known = false;
		p++;
		for (size_t i = 0; i < ARRAY_LEN(ok) && !known; i++)
			known = (size_t)(end - p) >= strlen(ok[i]) && !strncasecmp(p, ok[i], strlen(ok[i]));
		if (!known)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = talloc_new(NULL);
	struct buf out;

	buf_init(&out, ctx, (size_t)64 << 20);
	buf_puts(&out, "");
	audit_markdown(&out, (const char *)data, size);
	if (!utf8_valid(out.data, out.len))
		abort();
	check(out.data, out.len);
	talloc_free(ctx);
	return 0;
}
