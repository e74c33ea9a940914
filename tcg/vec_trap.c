/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SIGFPE as the result of a call.
 *
 * The handler is the process's, the armed call its thread's: a SIGFPE that
 * no call expects goes where it went before.
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

static struct sigaction vec_trap_old;
static pthread_once_t vec_trap_once = PTHREAD_ONCE_INIT;

static void vec_trap_pass_on(int sig, siginfo_t *info, void *ctx)
{
	if (vec_trap_old.sa_flags & SA_SIGINFO)
		vec_trap_old.sa_sigaction(sig, info, ctx);
	else if (vec_trap_old.sa_handler != SIG_DFL &&
		 vec_trap_old.sa_handler != SIG_IGN)
		vec_trap_old.sa_handler(sig);
	else
		signal(sig, SIG_DFL); /* the instruction faults again */
}

static void vec_trap_sigfpe(int sig, siginfo_t *info, void *ctx)
{
	const ucontext_t *uc = ctx;
	struct vec_trap *t = vec_trap_armed;

	if (!t) {
		vec_trap_pass_on(sig, info, ctx);
		return;
	}
	t->mxcsr = uc->uc_mcontext.fpregs->mxcsr;
	siglongjmp(t->env, 1);
}

static void vec_trap_install(void)
{
	struct sigaction sa = { .sa_sigaction = vec_trap_sigfpe,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGFPE, &sa, &vec_trap_old);
}

void vec_trap_init(void)
{
	sigset_t set;

	pthread_once(&vec_trap_once, vec_trap_install);
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
