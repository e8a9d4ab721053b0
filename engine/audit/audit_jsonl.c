/* audit_jsonl.c - the rows of the threads, byte for byte as they are in the bundle. */
#include "audit_internal.h"

static int jsonl_begin(struct export *x, const struct audit_ref *ref, size_t n, struct err *err)
{
	(void)ref;
	(void)n;
	return out_create(x, x->dirfd, x->leaf, err);
}

static int put_line(void *payload, const char *line, size_t len, struct err *err)
{
	struct export *x = payload;

	buf_put(&x->out.b, line, len);
	buf_byte(&x->out.b, '\n');
	return out_flush(x, (size_t)1 << 20, err);
}

static int jsonl_thread(struct export *x, const struct audit_ref *ref, struct audit_thread *t, struct err *err)
{
	(void)t;
	return audit_thread_lines(x->audit, ref, put_line, x, err);
}

const struct writer jsonl_writer = {"jsonl", false, jsonl_begin, jsonl_thread, out_close};
