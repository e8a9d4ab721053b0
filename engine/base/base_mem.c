/* base_mem.c - talloc set-up, out of memory, cleanup attributes. */
#include <mmretain/base.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char oom_text[] = "mmretain: out of memory; what was begun is finished by the next run\n";

static void mem_abort(const char *reason)
{
	(void)!write(2, reason, strlen(reason)); /* nothing else can be done here */
	abort();
}

void mem_setup(void)
{
	talloc_set_abort_fn(mem_abort);
#ifdef __GLIBC__
	/* glibc's own first value.  Left to itself it rises to the largest block that was given back, and later buffers
	 * of frames and pages leave holes in the heap: a fifth of the peak of a night. */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

void *mem_check(void *p)
{
	if (!p) {
		(void)!write(2, oom_text, sizeof oom_text - 1); /* the process ends in any case */
		_exit(1);
	}
	return p;
}

enum {
	BLOCK_LEAST_BYTES = 1 << 10,
	BLOCK_MOST_BYTES = 64 << 10,
	CRUMB_BYTES = 512 /* what is larger has a block of its own */
};

static void *take(struct mem_crumbs *c, size_t bytes)
{
	char *p;

	if (bytes > CRUMB_BYTES)
		return mem_array(c->ctx, char, bytes);
	if (bytes > c->left) {
		c->block = c->block == 0		 ? BLOCK_LEAST_BYTES
			   : c->block < BLOCK_MOST_BYTES ? 2 * c->block
							 : BLOCK_MOST_BYTES;
		c->at = mem_array(c->ctx, char, c->block);
		c->left = c->block;
	}
	p = c->at;
	c->at += bytes;
	c->left -= bytes;
	return p;
}

void *mem_crumb(struct mem_crumbs *c, size_t bytes)
{
	size_t odd = (uintptr_t)c->at % sizeof(uint64_t), skip = odd ? sizeof(uint64_t) - odd : 0;

	skip = skip < c->left ? skip : c->left;
	c->at += skip;
	c->left -= skip;
	return take(c, bytes);
}

char *mem_crumb_text(struct mem_crumbs *c, const char *text, size_t len)
{
	char *p = take(c, len + 1);

	if (len)
		memcpy(p, text, len);
	return p;
}

static int large_free(struct mem_large *l)
{
	free(l->at);
	return 0;
}

struct mem_large *mem_large_new(void *ctx)
{
	struct mem_large *l = mem_new(ctx, struct mem_large);

	talloc_set_destructor(l, large_free);
	return l;
}

void *mem_large_grow(struct mem_large *l, size_t bytes)
{
	return l->at = mem_check(realloc(l->at, bytes));
}

void mem_free_p(void *pp)
{
	void *p = *(void **)pp;

	if (p)
		talloc_free(p);
}

void fd_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd); /* read side or a path that already failed; writers use file_close */
	*fd = -1;
}
