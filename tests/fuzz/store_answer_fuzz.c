/* store_answer_fuzz.c - what a store answers, and the file of credentials: any bytes are read to their end, and a sum
 * is one or none. */
#include "store_s3.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void elements(void *ctx, const char *text, const char *name)
{
	const char *at = text, *end = text + strlen(text);
	struct buf b;

	buf_init(&b, ctx, S3_TEXT_MAX);
	while (s3_element(&at, name, &b))
		if (at <= text || at > end || b.len == 0 || b.len > (size_t)(end - text) || strlen(b.data) >= b.len)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = talloc_new(NULL);
	char *text = mem_strndup(ctx, (const char *)data, size), again[S3_SUM_TEXT];
	struct err err = {0};
	struct s3_keys keys;
	struct digest sum;

	elements(ctx, text, "Contents");
	elements(ctx, text, "Key");
	elements(ctx, text, "Code");
	if (s3_sum_parse(text, &sum)) {
		s3_sum_text(&sum, again);
		if (strcmp(again, text) != 0)
			abort();
	}
	if (s3_keys_parse(text, &keys, &err) == 0 &&
	    (!keys.id[0] || !keys.secret[0] || strpbrk(keys.secret, " \t\r\n")))
		abort();
	if (err.code && keys.secret[0])
		abort();
	talloc_free(ctx);
	return 0;
}
