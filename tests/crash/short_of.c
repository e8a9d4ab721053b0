/*
 * short_of.c - preloaded: the program gets less than it asked for.
 *
 * SHORT_IO: each read and write takes half of the bytes, at least one, and each third call is interrupted first.
 * SHORT_OF_MEMORY=N: the Nth allocation fails, and none after it.
 * SHORT_COUNT=FILE: how many allocations there were goes into that file at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
#include <sys/syscall.h>

extern void *__libc_malloc(size_t size), *__libc_calloc(size_t n, size_t size), *__libc_realloc(void *p, size_t size);

static atomic_ulong allocations, calls;
static unsigned long fail_at;
static int short_io;

__attribute__((constructor)) static void begin(void)
{
	const char *n = getenv("SHORT_OF_MEMORY");

	fail_at = n ? strtoul(n, NULL, 10) : 0;
	short_io = getenv("SHORT_IO") != NULL;
	allocations = 0; /* as many had come before this as the loader likes */
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("SHORT_COUNT");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

	if (fd >= 0)
		dprintf(fd, "%lu\n", (unsigned long)allocations);
}

static int fails(void)
{
	if (++allocations != fail_at)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails() ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return fails() ? NULL : __libc_realloc(p, size); }

/* How much of it; 0: not now. */
static size_t some(size_t len)
{
	if (!short_io || len == 0)
		return len;
	if (++calls % 3 == 0) {
		errno = EINTR;
		return 0;
	}
	return (len + 1) / 2;
}

#define SOME(call) (len > 0 && (len = some(len)) == 0 ? -1 : (ssize_t)(call))
ssize_t read(int fd, void *to, size_t len) { return SOME(syscall(SYS_read, fd, to, len)); }
ssize_t write(int fd, const void *from, size_t len) { return SOME(syscall(SYS_write, fd, from, len)); }
ssize_t pread64(int fd, void *to, size_t len, off64_t at) { return SOME(syscall(SYS_pread64, fd, to, len, at)); }
ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at)
{
	return SOME(syscall(SYS_pwrite64, fd, from, len, at));
}
ssize_t pread(int fd, void *to, size_t len, off_t at) { return pread64(fd, to, len, at); }
ssize_t pwrite(int fd, const void *from, size_t len, off_t at) { return pwrite64(fd, from, len, at); }
