/* audit_time.c - times as people write them; the zone is the exporting machine's, named beside every page. */
#include "audit_internal.h"

#include <string.h>
#include <time.h>

static bool split(int64_t ms, bool local, struct tm *ret)
{
	time_t t = (time_t)(ms / 1000);

	return (local ? localtime_r(&t, ret) : gmtime_r(&t, ret)) != NULL;
}

/* A time that no calendar holds is shown as the number that it is. */
static void settle(size_t len, int64_t ms, char ret[AUDIT_CLOCK])
{
	if (len == 0)
		(void)snprintf(ret, AUDIT_CLOCK, "%lld ms", (long long)ms); /* fits */
}

void audit_local_day(int64_t ms, char ret[AUDIT_CLOCK])
{
	struct tm tm;

	settle(split(ms, true, &tm) ? strftime(ret, AUDIT_CLOCK, "%A, %e %B %Y", &tm) : 0, ms, ret);
	char *wide = strstr(ret, ",  "); /* a day below 10 */
	if (wide)
		memmove(wide + 1, wide + 2, strlen(wide + 1));
}

void audit_local_zone(int64_t ms, char ret[AUDIT_CLOCK])
{
	struct tm tm;

	settle(split(ms, true, &tm) ? strftime(ret, AUDIT_CLOCK, "%Z", &tm) : 0, ms, ret);
}

void audit_local_clock(int64_t ms, char ret[AUDIT_CLOCK])
{
	struct tm tm;

	settle(split(ms, true, &tm) ? strftime(ret, AUDIT_CLOCK, "%H:%M", &tm) : 0, ms, ret);
}

void local_full(int64_t ms, char ret[AUDIT_CLOCK])
{
	struct tm tm;

	settle(split(ms, true, &tm) ? strftime(ret, AUDIT_CLOCK, "%Y-%m-%d %H:%M:%S %Z", &tm) : 0, ms, ret);
}

/* With the date where the day is another one there; empty where the zone is UTC. */
void utc_beside(int64_t ms, char ret[AUDIT_CLOCK])
{
	struct tm tm, here;

	ret[0] = '\0';
	if (!split(ms, false, &tm) || !split(ms, true, &here) || here.tm_gmtoff == 0)
		return;
	settle(tm.tm_mday == here.tm_mday ? strftime(ret, AUDIT_CLOCK, "%H:%M UTC", &tm)
					  : strftime(ret, AUDIT_CLOCK, "%Y-%m-%d %H:%M UTC", &tm), ms, ret);
}

void rfc5322_date(int64_t ms, char ret[AUDIT_CLOCK])
{
	struct tm tm;

	settle(split(ms, false, &tm) ? strftime(ret, AUDIT_CLOCK, "%a, %d %b %Y %H:%M:%S +0000", &tm) : 0, ms, ret);
}

int audit_local_day_number(int64_t ms)
{
	struct tm tm;

	return split(ms, true, &tm) ? tm.tm_year * 366 + tm.tm_yday : -1;
}

const char *local_zone(void)
{
	tzset();
	return tzname[0];
}
