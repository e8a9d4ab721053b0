/* base_mem.c - talloc set-up, out of memory, cleanup attributes. */
#include <mmretain/base.h>

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
}

void *mem_check(void *p)
{
	if (!p) {
		(void)!write(2, oom_text, sizeof oom_text - 1); /* the process ends in any case */
		_exit(1);
	}
	return p;
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
