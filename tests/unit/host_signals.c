/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Faults and CPU time; see host_signals.h.
 */
#include "tests/unit/host_signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <ucontext.h>

static struct host_signals signals_use;

static void signals_fault(int sig, siginfo_t *info, void *ctx)
{
	const ucontext_t *uc = ctx;

	signal(sig, SIG_DFL); /* the instruction faults again */
	signals_use.report(sig, (const u8 *)uc->uc_mcontext.gregs[REG_RIP],
			   info->si_addr);
}

static void signals_tick(int sig)
{
	signals_use.tick();
}

/* Comes before a sanitizer ends the process. */
void __asan_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void signals_death(void)
{
	signals_use.report(0, NULL, NULL);
}

void host_signals_catch(const struct host_signals *use)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
				      SIGTRAP };
	const struct sigaction fault = { .sa_sigaction = signals_fault,
					 .sa_flags = SA_SIGINFO };
	const struct sigaction tick = { .sa_handler = signals_tick,
					.sa_flags = SA_RESTART };
	const struct itimerval timer = { { 0, use->us }, { 0, use->us } };

	signals_use = *use;
	for (size_t n = 0; n < sizeof faults / sizeof *faults; n++)
		sigaction(faults[n], &fault, NULL);
	if (__asan_set_death_callback)
		__asan_set_death_callback(signals_death);
	sigaction(SIGPROF, &tick, NULL);
	setitimer(ITIMER_PROF, &timer, NULL);
}

void host_signals_stop_ticks(void)
{
	const struct itimerval never = { 0 };

	setitimer(ITIMER_PROF, &never, NULL);
	signal(SIGPROF, SIG_IGN);
}
