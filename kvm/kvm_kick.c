/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The signal that ends KVM_RUN.
 *
 * It interrupts a KVM_RUN that has begun; its handler sets immediate_exit,
 * so that one that has not begun returns at once.
 */
#include "kvm/kvm_kick.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "lib/err.h"
#include "lib/thread.h"

#define KICK_SIGNAL SIGUSR1

/* For the handler, which gets no argument. */
static _Thread_local struct kvm_run *kick_run;

static void kick_handler(int sig)
{
	struct kvm_run *run = kick_run;

	if (run)
		__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

int kvm_kick_init(struct err *err)
{
	struct sigaction sa = { .sa_handler = kick_handler };

	if (sigaction(KICK_SIGNAL, &sa, NULL) < 0)
		return err_errno(err, "sigaction");
	return 0;
}

void kvm_kick_listen(struct kvm_run *run)
{
	sigset_t set;

	kick_run = run;
	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	pthread_sigmask(run ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

struct kvm_run *kvm_kick_run(void)
{
	return kick_run;
}

void kvm_kick_thread(pthread_t thread)
{
	pthread_kill(thread, KICK_SIGNAL);
}

int kvm_alarm_init(struct kvm_alarm *a)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = KICK_SIGNAL,
	};

	event._sigev_un._tid = thread_self_id();
	return timer_create(CLOCK_MONOTONIC, &event, &a->timer) < 0 ? -errno
								    : 0;
}

void kvm_alarm_set(struct kvm_alarm *a, u64 every_ns)
{
	const struct itimerspec t = {
		.it_value.tv_nsec = every_ns,
		.it_interval.tv_nsec = every_ns,
	};

	timer_settime(a->timer, 0, &t, NULL);
}

void kvm_alarm_fini(struct kvm_alarm *a)
{
	timer_delete(a->timer);
}
