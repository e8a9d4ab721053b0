/* base_stop.c - signals set a flag that every loop asks. */
#include <mmretain/base.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

static void on_signal(int signum)
{
	if (stop_signal)
		_exit(128 + signum); /* asked twice: all durable state survives it */
	stop_signal = signum;
}

void stop_install(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = on_signal;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

int stop_requested(void)
{
	return stop_signal;
}

void stop_request(int signum)
{
	stop_signal = signum;
}

int stop_check(struct err *err)
{
	if (!stop_signal)
		return 0;
	err_set(err, ERR_INTERRUPTED, "stopped by signal %d", (int)stop_signal);
	return err_hint(err, "What was finished stays finished; the next run takes up the rest.");
}

int thread_start(pthread_t *ret, void *(*fn)(void *), void *payload)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(ret, NULL, fn, payload);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}
