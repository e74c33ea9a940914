/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SIGFPE as the result of a call.
 *
 * The handler is the process's, the armed call its thread's: a SIGFPE that
 * no call expects is an error of our own and ends the process as ever.
 */
#include "tcg/vec_trap.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

struct vec_trap {
	sigjmp_buf env;
	u32 mxcsr;
};

static _Thread_local struct vec_trap *vec_trap_armed;

static void vec_trap_sigfpe(int sig, siginfo_t *info, void *ctx)
{
	const ucontext_t *uc = ctx;
	struct vec_trap *t = vec_trap_armed;

	if (!t) {
		signal(sig, SIG_DFL);
		return;
	}
	t->mxcsr = uc->uc_mcontext.fpregs->mxcsr;
	siglongjmp(t->env, 1);
}

void vec_trap_init(void)
{
	struct sigaction sa = { .sa_sigaction = vec_trap_sigfpe,
				.sa_flags = SA_SIGINFO | SA_NODEFER };
	sigset_t set;

	sigaction(SIGFPE, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGFPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool vec_trap_call(void (*fn)(void *f, void *v, void *h, void *w), void *f,
		   void *v, void *h, void *w, u32 *ret_mxcsr)
{
	struct vec_trap trap;

	if (sigsetjmp(trap.env, 0)) {
		vec_trap_armed = NULL;
		*ret_mxcsr = trap.mxcsr;
		return false;
	}
	vec_trap_armed = &trap;
	fn(f, v, h, w);
	vec_trap_armed = NULL;
	return true;
}
