/* base_log.c - one line to stderr; progress passes through. */
#include <mmretain/base.h>

#include <string.h>
#include <unistd.h>

static enum log_level log_max = LOG_INFO;

void log_level_set(enum log_level level)
{
	log_max = level;
}

void log_put(enum log_level level, const char *fmt, ...)
{
	static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
	char line[2048], text[1024];
	size_t n = 0;
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	n = (size_t)snprintf(line, sizeof line, "mmretain: %s", word[level]);
	for (const unsigned char *p = (const unsigned char *)text; *p && n < sizeof line - 8; p++) {
		if (*p < 0x20 || *p == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", *p);
		else
			line[n++] = (char)*p;
	}
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, n); /* talk that nobody hears must not stop the work */
}

void progress_update(const struct progress *p, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
	if (p && p->update)
		p->update(p->payload, phase, done, total, unit);
}
