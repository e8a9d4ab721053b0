/* clock_ahead.c - preloaded: the wall clock is five minutes ahead, or as many seconds as CLOCK_AHEAD_SECONDS says; the monotonic one is right. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	const char *seconds = getenv("CLOCK_AHEAD_SECONDS");
	int rc;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, ret);
	if (rc == 0 && id == CLOCK_REALTIME)
		ret->tv_sec += seconds ? strtol(seconds, NULL, 10) : 300;
	return rc;
}
