/* run_clock.c - what time it is for what cannot be undone. */
#include "run_internal.h"

int64_t run_now_ms(const struct mm *mm)
{
	int64_t here_ms = time_now_ms();

	return here_ms < mm->now_ms ? here_ms : mm->now_ms;
}

int64_t run_there_ms(const struct mm *mm)
{
	return mm->clock_ms + time_boot_ms() - mm->clock_boot_ms;
}

bool run_silence(const struct ledger_archive *a, int64_t now_ms, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	bool since = a->newest_ms != INT64_MIN && now_ms - a->newest_ms > LEDGER_GAP_MS;

	*ret_from_ms = since ? a->newest_ms : a->gap_from_ms;
	*ret_to_ms = since ? now_ms : a->gap_to_ms;
	return since || (a->gap_to_ms != INT64_MIN && now_ms - a->gap_to_ms < LEDGER_GAP_MS);
}
