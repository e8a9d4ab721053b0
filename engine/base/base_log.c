/* base_log.c - one line to stderr; progress passes through. */
#include <mmretain/base.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static enum log_level log_max = LOG_INFO;
static atomic_bool log_bar;

void log_level_set(enum log_level level)
{
	log_max = level;
}

bool log_is_on(enum log_level level)
{
	return level <= log_max;
}

bool log_bar_drawn(bool drawn)
{
	return atomic_exchange(&log_bar, drawn);
}

/* Length of the character at p and its number; 1 and the byte where none begins. */
static size_t character(const unsigned char *p, uint32_t *ret)
{
	size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

	*ret = *p;
	if (n == 1 || strnlen((const char *)p, n) < n || !utf8_valid((const char *)p, n))
		return 1;
	*ret = *p & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*ret = *ret << 6 | (p[i] & 0x3f);
	return n;
}

/* What a terminal obeys, or what turns or hides its neighbours. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* A message may hold names from outside. */
static void put_safe(struct buf *line, const char *text)
{
	uint32_t c;
	size_t n;

	for (const unsigned char *p = (const unsigned char *)text; *p; p += n) {
		n = character(p, &c);
		if (n == 1 && (c < 0x20 || c >= 0x7f))
			buf_printf(line, "\\x%02x", c);
		else if (is_unsafe(c))
			buf_printf(line, "\\u{%x}", c);
		else
			buf_put(line, p, n);
	}
}

void log_put(enum log_level level, const char *fmt, ...)
{
	static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
	char text[1024];
	struct buf line;
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_init(&line, NULL, 8 * sizeof text);
	if (log_bar_drawn(false))
		buf_puts(&line, "\r\033[K");
	buf_printf(&line, "mmretain: %s", word[level]);
	put_safe(&line, text);
	buf_byte(&line, '\n');
	(void)!write(STDERR_FILENO, line.data, line.len); /* talk that nobody hears must not stop the work */
	talloc_free(line.data);
}

void progress_update(const struct progress *p, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
	if (p && p->update)
		p->update(p->payload, phase, done, total, unit);
}
