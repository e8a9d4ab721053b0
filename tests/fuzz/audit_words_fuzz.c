/* audit_words_fuzz.c - question "\n" text: the quick look at a line never refuses what the exact test takes. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct catalog_words *split;
	const char *nl = memchr(data, '\n', size);
	struct err err = {0};
	struct words *w;
	size_t from, to;

	if (!split && catalog_words_new(NULL, &split, &err) < 0)
		abort();
	if (!nl)
		return 0;
	void *ctx = talloc_new(NULL);
	char *question = mem_strndup(ctx, (const char *)data, (size_t)(nl - (const char *)data));
	const char *text = nl + 1;
	size_t len = size - (size_t)(text - (const char *)data);
	if (words_parse(ctx, split, question, &w, &err) == 0) {
		(void)words_match(ctx, w);
		if (utf8_valid(text, len) && words_hold(w, text, len)) {
			if (!words_may_line(w, text, len))
				abort();
			if (words_place(w, text, len, &from, &to) && (from > to || to > len))
				abort();
		}
	}
	talloc_free(ctx);
	return 0;
}
