/* base_duration.c - durations with calendar months, sizes with units. */
#include <mmretain/base.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct { const char *unit; int32_t months; int64_t ms; } units[] = {
	{"y", 12, 0}, {"mo", 1, 0}, {"w", 0, 7 * 86400000LL}, {"d", 0, 86400000LL}, {"h", 0, 3600000LL},
	{"min", 0, 60000LL}, {"s", 0, 1000LL}, {"ms", 0, 1LL},
};

/* Digits only: no sign, no space, no fraction. */
static bool whole_number(const char *text, const char **ret_rest, uint64_t *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_rest = end;
	return errno == 0;
}

bool duration_parse(const char *text, struct duration *ret)
{
	const char *rest;
	uint64_t n;

	if (!whole_number(text, &rest, &n) || n > 1000000000)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(rest, units[i].unit) != 0)
			continue;
		if ((units[i].months && n > 12000) || (units[i].ms && n > (uint64_t)(INT64_MAX / 4 / units[i].ms)))
			return false;
		ret->months = (int32_t)n * units[i].months;
		ret->ms = (int64_t)n * units[i].ms;
		return true;
	}
	return false;
}

void duration_format(const struct duration *d, char ret[TIME_TEXT])
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (d->months && units[i].months && d->months % units[i].months == 0) {
			snprintf(ret, TIME_TEXT, "%d%s", d->months / units[i].months, units[i].unit);
			return;
		}
		/* Weeks read worse than days: 30d, not 4w2d. */
		if (!d->months && units[i].ms && strcmp(units[i].unit, "w") != 0 && d->ms % units[i].ms == 0 && d->ms) {
			snprintf(ret, TIME_TEXT, "%lld%s", (long long)(d->ms / units[i].ms), units[i].unit);
			return;
		}
	}
	snprintf(ret, TIME_TEXT, "0d");
}

static int days_in_month(int year, int month0)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month0] + (month0 == 1 && leap);
}

/* A time beyond the last one that there is would be one at the other end: a damaged row's would be due. */
static int64_t end_of_time(bool future)
{
	return future ? INT64_MAX : INT64_MIN;
}

static int64_t add_months(int64_t from_ms, int64_t months)
{
	int64_t sec = from_ms / 1000, frac = from_ms % 1000, total, ms;
	time_t t;
	struct tm tm;

	if (frac < 0) {
		frac += 1000;
		sec--;
	}
	t = (time_t)sec;
	gmtime_r(&t, &tm);
	total = (int64_t)(tm.tm_year + 1900) * 12 + tm.tm_mon + months;
	tm.tm_mon = (int)((total % 12 + 12) % 12);
	tm.tm_year = (int)((total - tm.tm_mon) / 12) - 1900;
	if (tm.tm_mday > days_in_month(tm.tm_year + 1900, tm.tm_mon))
		tm.tm_mday = days_in_month(tm.tm_year + 1900, tm.tm_mon);
	return __builtin_mul_overflow((int64_t)timegm(&tm), 1000, &ms) || __builtin_add_overflow(ms, frac, &ms)
		       ? end_of_time(months > 0)
		       : ms;
}

int64_t duration_before(int64_t now_ms, const struct duration *d)
{
	int64_t ms;

	if (d->months)
		return add_months(now_ms, -(int64_t)d->months);
	return __builtin_sub_overflow(now_ms, d->ms, &ms) ? end_of_time(false) : ms;
}

int64_t duration_after(int64_t from_ms, const struct duration *d)
{
	int64_t ms;

	if (d->months)
		return add_months(from_ms, d->months);
	return __builtin_add_overflow(from_ms, d->ms, &ms) ? end_of_time(true) : ms;
}

/* At the end of a month the time that lies d before goes back by up to three days. */
int64_t duration_passed(int64_t from_ms, const struct duration *d, int64_t now_ms)
{
	const int64_t day_ms = 86400000;
	bool passed = duration_before(now_ms, d) > from_ms;
	int64_t first = duration_after(from_ms, d), at;

	if (first > INT64_MAX - 31 * day_ms)
		return INT64_MAX;
	at = ++first;
	for (int i = 0; i < 10 && (duration_before(at, d) <= from_ms || (at <= now_ms && !passed)); i++) {
		int64_t day = at - (at % day_ms + day_ms) % day_ms, hour = day + (first % day_ms + day_ms) % day_ms;

		at = hour > at ? hour : day + day_ms;
	}
	return at;
}

bool bytes_parse(const char *text, uint64_t *ret_bytes)
{
	static const struct { const char *unit; uint64_t factor; } sizes[] = {
		{"B", 1}, {"kB", 1000}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TB", 1000000000000},
		{"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1ULL << 40},
	};
	const char *rest;
	uint64_t n;

	if (!whole_number(text, &rest, &n))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (strcmp(rest, sizes[i].unit) == 0)
			return !__builtin_mul_overflow(n, sizes[i].factor, ret_bytes);
	return false;
}

void bytes_format(uint64_t bytes, char ret[TIME_TEXT])
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	size_t i = 0;

	for (; v >= 1024 && i + 1 < ARRAY_LEN(unit); i++)
		v /= 1024;
	if (i == 0)
		snprintf(ret, TIME_TEXT, "%llu B", (unsigned long long)bytes);
	else
		snprintf(ret, TIME_TEXT, "%.1f %s", v, unit[i]);
}
