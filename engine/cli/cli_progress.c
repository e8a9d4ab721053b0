/*
 * cli_progress.c - how far long work is: a bar on a terminal, one line a minute otherwise.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

#define REDRAW_MS 200
#define LINE_MS 60000
#define BAR_COLUMNS 20

static struct {
	bool terminal;
	char phase[64];
	int64_t phase_start_ms, last_ms;
	uint64_t phase_done;  /* at its start: what an earlier run had done does not count for the rate */
} state;

static void format_left(uint64_t done, uint64_t total, double rate, char *ret, size_t size)
{
	uint64_t s = rate > 0 && total > done ? (uint64_t)((double)(total - done) / rate) : 0;

	if (rate <= 0 || !total || total <= done)
		ret[0] = '\0';
	else if (s >= 3600)
		snprintf(ret, size, ", %llu h %llu min left", (unsigned long long)(s / 3600),
			 (unsigned long long)(s / 60 % 60));
	else if (s >= 60)
		snprintf(ret, size, ", %llu min %llu s left", (unsigned long long)(s / 60),
			 (unsigned long long)(s % 60));
	else
		snprintf(ret, size, ", %llu s left", (unsigned long long)s);
}

static void format_amount(uint64_t amount, const char *unit, char *ret, size_t size)
{
	char bytes[TIME_TEXT];

	if (strcmp(unit, "bytes") == 0) {
		bytes_format(amount, bytes);
		snprintf(ret, size, "%s", bytes);
	} else {
		snprintf(ret, size, "%llu %s", (unsigned long long)amount, unit);
	}
}

/* "42 % archive: 1200 threads, 300 threads/s, 12 s left" without the bar */
static void format_line(uint64_t done, uint64_t total, const char *unit, int64_t now_ms, char *ret, size_t size)
{
	double seconds = (double)(now_ms - state.phase_start_ms) / 1000.0;
	double rate = seconds > 0.5 && done > state.phase_done ? (double)(done - state.phase_done) / seconds : 0;
	char amount[64], speed[80] = "", per[64], left[64];

	format_amount(done, unit, amount, sizeof(amount));
	format_left(done, total, rate, left, sizeof(left));
	if (rate > 0) {
		format_amount((uint64_t)rate, unit, per, sizeof(per));
		snprintf(speed, sizeof(speed), ", %s/s", per);
	}
	if (total)
		snprintf(ret, size, "%s: %s of %llu (%d %%)%s%s", state.phase, amount, (unsigned long long)total,
			 (int)((double)done * 100.0 / (double)total), speed, left);
	else
		snprintf(ret, size, "%s: %s%s", state.phase, amount, speed);
}

static int terminal_columns(void)
{
	struct winsize ws;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 20 ? ws.ws_col : 80;
}

static void draw_bar(uint64_t done, uint64_t total, const char *line)
{
	char bar[BAR_COLUMNS + 1] = "";
	int room = terminal_columns() - 1, filled = total ? (int)((double)done / (double)total * BAR_COLUMNS) : 0;

	if (filled > BAR_COLUMNS)
		filled = BAR_COLUMNS;
	if (total && room > 60) {
		memset(bar, '.', BAR_COLUMNS);
		memset(bar, '#', (size_t)filled);
		fprintf(stderr, "\r\033[K[%s] %.*s", bar, room - BAR_COLUMNS - 3, line);
	} else {
		fprintf(stderr, "\r\033[K%.*s", room, line);
	}
	fflush(stderr);
	(void)log_bar_drawn(true);
}

static void update(void *payload, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
	int64_t now = time_mono_ms();
	char line[320];

	(void)payload;
	if (strncmp(state.phase, phase, sizeof(state.phase) - 1) != 0) {
		snprintf(state.phase, sizeof(state.phase), "%s", phase);
		state.phase_start_ms = state.last_ms = now;
		state.phase_done = done;
		if (!state.terminal)
			return;
	} else if (now - state.last_ms < (state.terminal ? REDRAW_MS : LINE_MS)) {
		return;
	}
	state.last_ms = now;
	format_line(done, total, unit, now, line, sizeof(line));
	if (state.terminal)
		draw_bar(done, total, line);
	else
		log_info("%s", line);
}

void cli_progress_setup(struct cli *cli)
{
	const char *term = getenv("TERM");

	memset(&state, 0, sizeof(state));
	state.terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
	cli->progress.update = cli->quiet ? NULL : update;
}

void cli_progress_clear(void)
{
	if (log_bar_drawn(false))
		fputs("\r\033[K", stderr);
}
