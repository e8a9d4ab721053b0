/*
 * cli_main.c - the descriptors a program may count on, then the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli.h"

/* A descriptor 0 to 2 that is closed would become the next file we open, and a message would land in an archive. */
static int hold_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (hold_standard_descriptors() < 0)
		return 1;
	mem_setup();
	stop_install();
	return cli_run(argc, argv);
}
