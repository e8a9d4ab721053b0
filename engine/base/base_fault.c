/* base_fault.c - named places where tests stop, kill or fail the program. */
#include <mmretain/base.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef MMR_FAULTS
static const char *const fault_names[] = {
#define X(name, text) [FAULT_##name] = #name,
#include <mmretain/faults.def>
#undef X
};

static _Atomic unsigned passages[FAULT_COUNT]; /* a bundle is finished by a thread of its own */

static int errno_of(const char *word, size_t len)
{
	static const struct { const char *name; int value; } table[] = {
		{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EACCES", EACCES}, {"EROFS", EROFS},
		{"EINTR", EINTR},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, word, len) == 0)
			return table[i].value;
	return EIO;
}

static const char *spec_of(const char *name)
{
	const char *spec = getenv("MMR_FAULT");

	while (spec && (strncmp(spec, name, strlen(name)) != 0 || spec[strlen(name)] != ':'))
		spec = (spec = strchr(spec, ',')) ? spec + 1 : NULL;
	return spec;
}

/* point:action[:n[+]], several with commas between */
int fault_hit(enum fault_id id)
{
	const char *spec = spec_of(fault_names[id]), *action, *nth;
	unsigned want, seen;
	size_t whole, len;
	bool from;

	if (!spec)
		return 0;
	action = spec + strlen(fault_names[id]) + 1;
	whole = strcspn(action, ",");
	nth = memchr(action, ':', whole);
	len = nth ? (size_t)(nth - action) : whole;
	want = nth ? (unsigned)strtoul(nth + 1, NULL, 10) : 1;
	from = nth && action[whole - 1] == '+';
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
