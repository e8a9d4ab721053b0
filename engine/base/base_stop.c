/* base_stop.c - signals set a flag that every loop asks. */
#include <mmretain/base.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GIVE_WAY_NICE = 10, GIVE_WAY_TURN_NS = 100000 };

static _Atomic int stop_signal; /* threads ask it, too */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler writes it");

static void on_signal(int signum)
{
	if (stop_signal)
		_exit(128 + signum); /* asked twice: all durable state survives it */
	stop_signal = signum;
}

static bool is_ignored(int signum)
{
	struct sigaction old;

	return sigaction(signum, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

/* What the caller ignores for us stays ignored (nohup, a shell's `&`), but for the order to end; a signal mask from
 * outside would make us deaf to that.  A file that may not grow is an error of the write, like a full disk. */
void stop_install(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa;
	sigset_t heard;

	memset(&sa, 0, sizeof sa);
	sigemptyset(&heard);
	sa.sa_handler = on_signal;
	/* A result that waits in a full pipe is still written whole.  What may wait for long, polls: no flag restarts
	 * that. */
	sa.sa_flags = SA_RESTART;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		sigaddset(&heard, ends[i]);
		if (ends[i] == SIGTERM || !is_ignored(ends[i]))
			sigaction(ends[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	sa.sa_flags = 0;
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);
	sigprocmask(SIG_UNBLOCK, &heard, NULL);
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
	const char *name = sigabbrev_np(stop_signal);

	err_set(err, ERR_INTERRUPTED, name ? "stopped by SIG%s" : "stopped by signal", name);
	return err_hint(err, "What was finished stays finished. Give the same command again for the rest.");
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

/* As sched_setattr(2) has it; <linux/sched/types.h> and <sched.h> do not go together. */
struct turns {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* Whoever started us behind everybody else (SCHED_IDLE, SCHED_BATCH) wants us there: another policy would bring us
 * forward.  The lower priority comes first: what looks at it sees it whatever the policy. */
void thread_give_way(bool entirely)
{
	const struct sched_param none = {0};
	struct turns t = {.size = sizeof(t),
			  .policy = SCHED_OTHER,
			  .nice = getpriority(PRIO_PROCESS, 0),
			  .runtime_ns = GIVE_WAY_TURN_NS};

	t.nice = t.nice > GIVE_WAY_NICE ? t.nice : GIVE_WAY_NICE;
	if (sched_getscheduler(0) != SCHED_OTHER)
		return;
	if (syscall(SYS_sched_setattr, 0, &t, 0) < 0 || (entirely && sched_setscheduler(0, SCHED_IDLE, &none) < 0))
		log_debug("no lower priority: %s", strerror(errno));
}

bool thread_turns(int64_t *ret_ran_us, int64_t *ret_waited_us)
{
	auto_fd int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	char text[96], *end;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	*ret_ran_us = strtoll(text, &end, 10) / 1000;
	*ret_waited_us = strtoll(end, NULL, 10) / 1000;
	return true;
}
