/*
 * clock_ahead.c - preloaded: the wall clock is five minutes ahead, or as many seconds as CLOCK_AHEAD_SECONDS says; the
 * monotonic one is right. With CLOCK_LATER_FILE every clock is ten minutes later once that file is there, as if the
 * program had been at work for so long. With CLOCK_SLEEP_MS the clocks are right, and no sleep takes less than that, as
 * on a host that has too much to do. With CLOCK_OFFSET_FILE the wall clock alone is as many milliseconds ahead as that
 * file says, whenever it is asked: for a database server, too. With CLOCK_SUSPEND_FILE the clock that counts suspended
 * time is a day ahead once that file is there, as if the host had slept for a day.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset_ms(const char *file)
{
	char text[32] = "";
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	return strtoll(text, NULL, 10);
}

static void move(struct timespec *at, long long ms)
{
	long long ns = at->tv_nsec + ms % 1000 * 1000000;

	at->tv_sec += ms / 1000 + ns / 1000000000 - (ns < 0);
	at->tv_nsec = (ns + 1000000000) % 1000000000;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	const char *seconds = getenv("CLOCK_AHEAD_SECONDS"), *suspended = getenv("CLOCK_SUSPEND_FILE"),
		   *later = getenv("CLOCK_LATER_FILE");
	const char *offset = getenv("CLOCK_OFFSET_FILE");
	int rc;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, ret);
	if (offset) {
		if (rc == 0 && id == CLOCK_REALTIME)
			move(ret, offset_ms(offset));
		return rc;
	}
	if (rc == 0 && suspended && id == CLOCK_BOOTTIME)
		ret->tv_sec += access(suspended, F_OK) == 0 ? 86400 : 0;
	if (rc == 0 && later)
		ret->tv_sec += access(later, F_OK) == 0 ? 600 : 0;
	if (rc == 0 && !suspended && !later && !getenv("CLOCK_SLEEP_MS") && id == CLOCK_REALTIME)
		ret->tv_sec += seconds ? strtol(seconds, NULL, 10) : 300;
	return rc;
}

/* The C library's own do not come by clock_gettime above. */
int gettimeofday(struct timeval *ret, void *zone)
{
	struct timespec at;
	int rc = clock_gettime(CLOCK_REALTIME, &at);

	(void)zone;
	*ret = (struct timeval){.tv_sec = at.tv_sec, .tv_usec = at.tv_nsec / 1000};
	return rc;
}

time_t time(time_t *ret)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	if (ret)
		*ret = at.tv_sec;
	return at.tv_sec;
}

int nanosleep(const struct timespec *want, struct timespec *ret_left)
{
	const char *least = getenv("CLOCK_SLEEP_MS");
	long ms = least ? strtol(least, NULL, 10) : 0;
	struct timespec longer = {.tv_nsec = ms * 1000000};
	static int (*real)(const struct timespec *, struct timespec *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "nanosleep");
	return real(want->tv_sec == 0 && want->tv_nsec < longer.tv_nsec ? &longer : want, ret_left);
}
