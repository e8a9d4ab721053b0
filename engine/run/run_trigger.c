/* run_trigger.c - who began the run, as far as the process can tell. */
#include "run_internal.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { ANCESTORS = 16 };

/* Name and parent of a process; false: it is not to be seen. */
static bool look(long pid, char *name, size_t size, long *ret_parent)
{
	char path[64], text[512], *open, *close;
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	if (!(f = fopen(path, "re")))
		return false;
	n = fread(text, 1, sizeof text - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	if (!(open = strchr(text, '(')) || !(close = strrchr(text, ')')) ||
	    sscanf(close + 1, " %*c %ld", ret_parent) != 1)
		return false;
	*close = '\0';
	snprintf(name, size, "%s", open + 1);
	return true;
}

/* cron leaves nothing in the environment of its jobs. */
static bool is_of_cron(void)
{
	static const char *const names[] = {"cron", "crond", "anacron", "fcron"};
	char name[64];
	long pid = getppid();

	for (unsigned i = 0; i < ANCESTORS && pid > 1; i++) {
		if (!look(pid, name, sizeof name, &pid))
			return false;
		for (size_t k = 0; k < ARRAY_LEN(names); k++)
			if (strcasecmp(name, names[k]) == 0)
				return true;
	}
	return false;
}

/* The terminal first: a desktop's terminal runs below systemd as well. */
const char *run_trigger(void)
{
	if (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO))
		return "person";
	return getenv("INVOCATION_ID") || is_of_cron() ? "timer" : "script";
}
