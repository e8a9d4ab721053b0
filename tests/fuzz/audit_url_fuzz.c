/* audit_url_fuzz.c - the gate and the escapes: what passes cannot leave its attribute, its cell or its line. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	void *ctx = talloc_new(NULL);
	struct buf out;

	buf_init(&out, ctx, (size_t)64 << 20);
	buf_puts(&out, "");
	if (audit_url_allowed(text, size)) {
		if (strncasecmp(text, "http", 4) != 0 && strncasecmp(text, "mailto:", 7) != 0)
			abort();
		for (size_t i = 0; i < size; i++)
			if (strchr("\"'<>\\` \t\r\n", text[i]))
				abort();
	}
	audit_html_escape(&out, text, size);
	if (!utf8_valid(out.data, out.len) || memchr(out.data, '<', out.len) || memchr(out.data, '"', out.len) ||
	    memchr(out.data, '\'', out.len))
		abort();
	buf_clear(&out);
	audit_csv_cell(&out, text, size, false);
	if (out.len < 2 || strchr("=+-@\t\r\n", out.data[1]))
		abort();
	talloc_free(ctx);
	return 0;
}
