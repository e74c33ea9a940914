/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Alarms by POSIX timers that signal one thread.
 */
#include "lib/alarm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "lib/thread.h"

#define ALARM_SIGNAL SIGRTMIN

static pthread_once_t alarm_once = PTHREAD_ONCE_INIT;

static void alarm_handler(int sig, siginfo_t *info, void *context)
{
	const struct alarm *a = info->si_value.sival_ptr;

	if (info->si_code == SI_TIMER)
		a->fn(a->arg);
}

static void alarm_install(void)
{
	struct sigaction sa = { .sa_sigaction = alarm_handler,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(ALARM_SIGNAL, &sa, NULL);
}

static void alarm_listen(bool on)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, ALARM_SIGNAL);
	pthread_sigmask(on ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

int alarm_create(struct alarm *a, void (*fn)(void *arg), void *arg)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = ALARM_SIGNAL,
		.sigev_value.sival_ptr = a,
	};

	a->fn = fn;
	a->arg = arg;
	event._sigev_un._tid = thread_self_id();
	if (timer_create(CLOCK_MONOTONIC, &event, &a->timer) < 0)
		return -errno;
	pthread_once(&alarm_once, alarm_install);
	prctl(PR_SET_TIMERSLACK, 1ul);
	alarm_listen(true);
	return 0;
}

void alarm_destroy(struct alarm *a)
{
	const struct timespec now = { 0 };
	sigset_t set;

	alarm_listen(false);
	timer_delete(a->timer);
	/* One that is pending must not find `a` when there is another. */
	sigemptyset(&set);
	sigaddset(&set, ALARM_SIGNAL);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

void alarm_set(struct alarm *a, u64 mono_ns)
{
	struct itimerspec t = { 0 };

	if (mono_ns != ALARM_OFF) {
		t.it_value.tv_sec = (time_t)(mono_ns / NS_PER_S);
		t.it_value.tv_nsec = mono_ns % NS_PER_S;
		if (!mono_ns)
			t.it_value.tv_nsec = 1;
	}
	timer_settime(a->timer, TIMER_ABSTIME, &t, NULL);
}
