/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Signals by signalfd.
 */
#include "vmm/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "lib/err.h"

static void signals_ready(void *arg, u32 events)
{
	struct signals *s = arg;
	struct signalfd_siginfo info;

	if (read(s->fd, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGCONT)
		chr_stdio_resume();
	else
		s->fn(s->arg, (int)info.ssi_signo, (int)info.ssi_pid);
}

int signals_start(struct signals *s, struct loop *loop, bool hangup,
		  void (*fn)(void *arg, int number, int pid), void *arg,
		  struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCONT);
	if (hangup)
		sigaddset(&set, SIGHUP);
	else
		signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->fn = fn;
	s->arg = arg;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0)
		return err_errno(err, "signalfd");
	return watch_add(&s->watch, loop, s->fd, LOOP_IN, signals_ready, s);
}

void signals_stop(struct signals *s)
{
	if (s->fd < 0)
		return;
	watch_remove(&s->watch);
	close(s->fd);
	s->fd = -1;
}
