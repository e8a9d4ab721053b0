/*
 * mm_template.c - SQL text with optional blocks.
 *
 * A block begins with a line "--[name" and ends with a line "--]"; blocks nest.  Only texts compiled in pass through
 * here.
 */
#include <string.h>

#include "mm_thread_internal.h"

static bool is_on(const char *const *on, const char *name, size_t len)
{
	for (; *on; on++)
		if (strlen(*on) == len && memcmp(*on, name, len) == 0)
			return true;
	return false;
}

int mm_template(void *ctx, const struct sql *from, const char *const *on, struct sql *ret, struct err *err)
{
	struct buf out;
	int depth = 0, off_depth = 0; /* off_depth: the block that switched output off, 0 = none */

	buf_init(&out, ctx, MM_TEMPLATE_BYTES);
	for (const char *line = from->text; *line;) {
		const char *nl = strchrnul(line, '\n');
		size_t len = (size_t)(nl - line);

		if (strncmp(line, "--[", 3) == 0) {
			depth++;
			if (!off_depth && !is_on(on, line + 3, len - 3))
				off_depth = depth;
		} else if (strncmp(line, "--]", 3) == 0) {
			if (off_depth == depth)
				off_depth = 0;
			depth--;
		} else if (!off_depth && strncmp(line, "-- ", 3) != 0) {
			buf_put(&out, line, len);
			buf_byte(&out, '\n');
		}
		line = *nl ? nl + 1 : nl;
	}
	buf_byte(&out, '\0');
	if (out.overflow || depth)
		return err_set(err, ERR_INTERNAL, "sql template %s is not balanced", from->name);
	*ret = (struct sql){.name = from->name, .text = out.data};
	return 0;
}
