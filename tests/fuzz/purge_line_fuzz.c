/*
 * purge_line_fuzz.c - any bytes are a bundle's row with a key that fits, or are refused: what comes out decides what is
 * deleted.
 */
#include <stdlib.h>
#include <string.h>

#include "purge_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *line, size_t len, const char *p, size_t n)
{
	if (p && (p < line || n > len || p + n > line + len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size ? size : 1); /* no byte behind it may be read */
	struct purge_line l;
	struct err err = {0};

	if (!line)
		return 0;
	memcpy(line, data, size);
	if (purge_line_parse(line, size, &l, &err) == 0) {
		if (l.kind >= MM_KINDS || !purge_sql(l.kind) || !l.key || l.key_len == 0 || l.key_len > MM_ID ||
		    (l.root && l.kind != MM_POST))
			abort();
		inside(line, size, l.key, l.key_len);
		for (int i = 0; i < 3; i++)
			inside(line, size, l.path[i], l.path_len[i]);
	} else if (err.code != -ERR_VERIFY) {
		abort();
	}
	free(line);
	return 0;
}
