/* clock_ahead.c - preloaded: the wall clock is five minutes ahead, the monotonic one is right. */
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, ret);
	if (rc == 0 && id == CLOCK_REALTIME)
		ret->tv_sec += 300;
	return rc;
}
