/* base_fault.c - named places where tests stop, kill or fail the program. */
#include <mmretain/base.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const fault_names[] = {
#define X(name, text) [FAULT_##name] = #name,
#include <mmretain/faults.def>
#undef X
};

const char *fault_name(enum fault_id id)
{
	return fault_names[id];
}

#ifdef MMR_FAULTS
static unsigned passages[FAULT_COUNT];

static int errno_of(const char *word, size_t len)
{
	static const struct { const char *name; int value; } table[] = {
		{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EACCES", EACCES}, {"EROFS", EROFS}, {"EINTR", EINTR},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, word, len) == 0)
			return table[i].value;
	return EIO;
}

/* point:action[:n[+]] */
int fault_hit(enum fault_id id)
{
	const char *spec = getenv("MMR_FAULT"), *name = fault_names[id];
	const char *action, *nth;
	unsigned want, seen;
	size_t len;
	bool from;

	if (!spec || strncmp(spec, name, strlen(name)) != 0 || spec[strlen(name)] != ':')
		return 0;
	action = spec + strlen(name) + 1;
	nth = strchr(action, ':');
	len = nth ? (size_t)(nth - action) : strlen(action);
	want = nth ? (unsigned)strtoul(nth + 1, NULL, 10) : 1;
	from = nth && nth[strlen(nth) - 1] == '+';
	seen = ++passages[id];
	if (from ? seen < want : seen != want)
		return 0;
	if (strncmp(action, "kill", len) == 0)
		kill(getpid(), SIGKILL);
	if (strncmp(action, "stop", len) == 0)
		return kill(getpid(), SIGSTOP); /* a test changes the world, then SIGCONT */
	if (strncmp(action, "term", len) == 0)
		return kill(getpid(), SIGTERM);
	return errno_of(action, len);
}
#endif
