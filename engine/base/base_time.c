/* base_time.c - the clock, and time as text (RFC 3339, UTC). */
#include <mmretain/base.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t override_ms;

void time_override_ms(int64_t now_ms)
{
	override_ms = now_ms;
}

bool time_is_overridden(void)
{
	return override_ms != 0;
}

int64_t time_now_ms(void)
{
	struct timespec ts;

	if (override_ms)
		return override_ms;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t time_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t time_mono_ms(void)
{
	return time_mono_us() / 1000;
}

int64_t time_boot_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void time_sleep_ms(int64_t ms)
{
	struct timespec ts;

	while (ms > 0 && !stop_requested()) {
		/* Slices, so that a signal that came just before the sleep is seen soon. */
		int64_t slice = ms > 200 ? 200 : ms;

		ts.tv_sec = 0;
		ts.tv_nsec = (long)(slice * 1000000);
		nanosleep(&ts, NULL);
		ms -= slice;
	}
}

void time_pause_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000)};

	nanosleep(&ts, NULL);
}

void time_format(int64_t ms, char ret[TIME_TEXT])
{
	int64_t sec = ms / 1000, frac = ms % 1000;
	time_t t;
	struct tm tm;
	size_t n;

	if (frac < 0) {
		frac += 1000;
		sec--;
	}
	t = (time_t)sec;
	/* Times from damaged rows may lie outside of what a date can say: then show the number. */
	if (sec < -62135596800 || sec > 253402300799 || !gmtime_r(&t, &tm)) {
		snprintf(ret, TIME_TEXT, "%lldms", (long long)ms);
		return;
	}
	n = strftime(ret, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac)
		snprintf(ret + n, TIME_TEXT - n, ".%03dZ", (int)frac);
	else
		snprintf(ret + n, TIME_TEXT - n, "Z");
}

/* Exactly n digits at *p. */
static bool digits(const char **p, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return true;
}

static bool eat(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool clock_part(const char **p, struct tm *tm, int *frac_ms, int *offset_min)
{
	int scale = 100, oh, om;

	if (!digits(p, 2, &tm->tm_hour) || !eat(p, ':') || !digits(p, 2, &tm->tm_min))
		return false;
	if (eat(p, ':') && !digits(p, 2, &tm->tm_sec))
		return false;
	if (eat(p, '.'))
		for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10)
			*frac_ms += (**p - '0') * scale;
	if (**p == '+' || **p == '-') {
		int sign = *(*p)++ == '-' ? -1 : 1;

		if (!digits(p, 2, &oh) || !eat(p, ':') || !digits(p, 2, &om) || oh > 23 || om > 59)
			return false;
		*offset_min = sign * (oh * 60 + om);
		return true;
	}
	return eat(p, 'Z');
}

static bool date_part(const char **p, struct tm *tm)
{
	if (!digits(p, 4, &tm->tm_year) || !eat(p, '-') || !digits(p, 2, &tm->tm_mon) || !eat(p, '-') ||
	    !digits(p, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return true;
}

/* *ret_s: with what tm has of a clock. */
static bool in_calendar(const struct tm *tm, time_t *ret_s)
{
	struct tm check = *tm;

	*ret_s = timegm(&check);
	return check.tm_mon == tm->tm_mon && check.tm_mday == tm->tm_mday;
}

bool time_no_such_day(const char *text)
{
	struct tm tm = {0};
	time_t t;

	return date_part(&text, &tm) && (!*text || *text == 'T' || *text == ' ') && !in_calendar(&tm, &t);
}

bool time_parse(const char *text, int64_t *ret_ms)
{
	struct tm tm = {0};
	const char *p = text;
	char *end;
	int frac_ms = 0, offset_min = 0;
	time_t t;

	errno = 0;
	long long raw = strtoll(text, &end, 10);
	if (end != text && strcmp(end, "ms") == 0 && errno == 0) {
		*ret_ms = raw;
		return true;
	}
	if (!date_part(&p, &tm))
		return false;
	if ((eat(&p, 'T') || eat(&p, ' ')) && !clock_part(&p, &tm, &frac_ms, &offset_min))
		return false;
	if (*p || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	if (!in_calendar(&tm, &t))
		return false;
	*ret_ms = ((int64_t)t - offset_min * 60) * 1000 + frac_ms;
	return true;
}
