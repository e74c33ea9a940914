/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host CPU as the judge; see native.h.
 */
#include "tests/diff/native.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/bytes.h"

#define XSTATE_HEADER 512
#define XSTATE_AVX    576

/* A batch takes milliseconds, on a busy host a second. */
#define NATIVE_PATIENCE_MS 60000

struct native_shared {
	int count;
	volatile int at; /* the sequence that runs */
	struct diff_test test[DIFF_BATCH];
	struct diff_result result[DIFF_BATCH];
};

struct native {
	struct native_shared *shared;
	int go[2], done[2];
	pid_t pid;
	char failure[40];
};

u64 diff_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void diff_fill(u64 seed, u8 *data, u8 *stack)
{
	for (u32 n = 0; n < DIFF_DATA_SIZE; n += 8)
		put_le64(data + n, diff_random(&seed));
	for (u32 n = 0; n < DIFF_STACK_SIZE; n += 8)
		put_le64(stack + n, diff_random(&seed));
}

void diff_fill_ctrl(const struct diff_test *t, u8 *ctrl)
{
	memset(ctrl, 0, DIFF_CTRL_SIZE);
	put_le64(ctrl, t->budget);
	put_le64(ctrl + 8, t->loops);
}

/* ---- The child ---- */

/* One child per process, and a signal handler has no argument. */
static struct native_shared *child_shared;
static int child_at;
static int child_go, child_done;

static const int child_gregs[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void child_store(const ucontext_t *uc, struct diff_result *r)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	const u8 *fx = (const u8 *)uc->uc_mcontext.fpregs;
	struct diff_state *s = &r->state;
	u64 bv = get_le64(fx + XSTATE_HEADER);

	for (int n = 0; n < 16; n++)
		s->gpr[n] = (u64)g[child_gregs[n]];
	s->rip = (u64)g[REG_RIP];
	s->rflags = (u64)g[REG_EFL] & FLAGS_SEEN;
	s->fcw = get_le16(fx);
	s->fsw = get_le16(fx + 2);
	s->ftw = fx[4];
	s->mxcsr = get_le32(fx + 24);
	for (int n = 0; n < 8; n++)
		memcpy(s->st[n], fx + 32 + 16 * n, 10);
	for (int n = 0; n < 16; n++) {
		memset(s->vec[n], 0, 32);
		if (bv & 2)
			memcpy(s->vec[n], fx + 160 + 16 * n, 16);
		if (bv & 4)
			memcpy(s->vec[n] + 16, fx + XSTATE_AVX + 16 * n, 16);
	}
	r->vector = (u8)g[REG_TRAPNO];
	r->code = r->vector == 14 ? (u32)g[REG_ERR] : 0;
	r->cr2 = r->vector == 14 ? (u64)g[REG_CR2] : 0;
	memcpy(r->data, (void *)(uintptr_t)DIFF_DATA, DIFF_DATA_SIZE);
	memcpy(r->stack, (void *)(uintptr_t)DIFF_STACK, DIFF_STACK_SIZE);
	memcpy(r->code_after, (void *)(uintptr_t)DIFF_CODE, DIFF_CODE_SIZE);
	memcpy(r->ctrl, (void *)(uintptr_t)DIFF_CTRL, DIFF_CTRL_SIZE);
}

bool native_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & 2; /* HWCAP2_FSGSBASE */
}

/* What a signal's return does not restore. */
static void child_segments(u16 sel)
{
	__asm__ volatile("mov %w0, %%ds; mov %w0, %%es; mov %w1, %%gs"
			 :
			 : "r"(sel), "r"(0));
	if (native_fsgsbase())
		__asm__ volatile("wrgsbase %0" : : "r"(0ull));
}

static void child_load(ucontext_t *uc, const struct diff_test *t)
{
	greg_t *g = uc->uc_mcontext.gregs;
	u8 *fx = (u8 *)uc->uc_mcontext.fpregs;
	const struct diff_state *s = &t->start;

	for (int n = 0; n < 16; n++)
		g[child_gregs[n]] = (greg_t)s->gpr[n];
	g[REG_RIP] = (greg_t)s->rip;
	g[REG_EFL] = (greg_t)(s->rflags | 0x202);
	g[REG_CSGSFS] = (greg_t)((u64)DIFF_DS << 48 |
				 (t->code32 ? DIFF_CS32 : DIFF_CS64));
	put_le16(fx, s->fcw);
	put_le16(fx + 2, s->fsw);
	fx[4] = s->ftw;
	memset(fx + 6, 0, 18);
	put_le32(fx + 24, s->mxcsr);
	for (int n = 0; n < 8; n++) {
		memset(fx + 32 + 16 * n, 0, 16);
		memcpy(fx + 32 + 16 * n, s->st[n], 10);
	}
	for (int n = 0; n < 16; n++) {
		memcpy(fx + 160 + 16 * n, s->vec[n], 16);
		memcpy(fx + XSTATE_AVX + 16 * n, s->vec[n] + 16, 16);
	}
	put_le64(fx + XSTATE_HEADER, get_le64(fx + XSTATE_HEADER) | 7);
	memset((void *)(uintptr_t)DIFF_CODE, 0xcc, DIFF_CODE_SIZE);
	memcpy((void *)(uintptr_t)(DIFF_CODE + t->at), t->code, sizeof t->code);
	diff_fill_ctrl(t, (void *)(uintptr_t)DIFF_CTRL);
	child_segments(t->code32 ? DIFF_DS : 0);
	diff_fill(t->seed, (void *)(uintptr_t)DIFF_DATA,
		  (void *)(uintptr_t)DIFF_STACK);
}

static void child_wait(void)
{
	char byte;

	if (read(child_go, &byte, 1) != 1)
		_exit(0);
	child_at = 0;
}

/* Flags that the sequence may have left: AC faults on our own accesses, NT
 * and ID stay through a signal's return. */
void child_trap(int sig, siginfo_t *info, void *ctx);
void child_entry(int sig, siginfo_t *info, void *ctx);
__asm__(".text\n"
	"child_entry:\n"
	"	endbr64\n"
	"	pushq $0x202\n"
	"	popfq\n"
	"	jmp child_trap\n");

void child_trap(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;

	if (child_at >= 0)
		child_store(uc, &child_shared->result[child_at++]);
	if (child_at < 0 || child_at == child_shared->count) {
		if (child_at > 0 && write(child_done, "", 1) != 1)
			_exit(1);
		child_wait();
	}
	child_shared->at = child_at;
	child_load(uc, &child_shared->test[child_at]);
}

static void child_map(u32 at, u32 size, int prot)
{
	void *p =
		mmap((void *)(uintptr_t)at, size, prot,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)(uintptr_t)at)
		_exit(3);
}

static _Noreturn void child_main(void)
{
	static const int sigs[] = { SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS };
	static u8 stack[256 * 1024] __attribute__((aligned(64)));
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction sa = { .sa_sigaction = child_entry,
				.sa_flags = SA_SIGINFO | SA_ONSTACK };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child_map(DIFF_DATA, DIFF_DATA_SIZE, PROT_READ | PROT_WRITE);
	child_map(DIFF_STACK, DIFF_STACK_SIZE, PROT_READ | PROT_WRITE);
	child_map(DIFF_RO, DIFF_RO_SIZE, PROT_READ);
	(void)*(volatile u8 *)(uintptr_t)DIFF_RO; /* present from now on */
	child_map(DIFF_CTRL, DIFF_CTRL_SIZE, PROT_READ | PROT_WRITE);
	child_map(DIFF_CODE, DIFF_CODE_SIZE,
		  PROT_READ | PROT_WRITE | PROT_EXEC);
	/* A trap in the harness itself is not a result: with all signals
	 * blocked it ends the child. */
	sigfillset(&sa.sa_mask);
	sigaltstack(&alt, NULL);
	for (size_t n = 0; n < ARRAY_SIZE(sigs); n++)
		sigaction(sigs[n], &sa, NULL);
	child_at = -1;
	__asm__ volatile("vzeroupper; int3" ::: "memory");
	_exit(4);
}

/* ---- The parent ---- */

struct native *native_create(void)
{
	struct native *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->shared = mmap(NULL, sizeof *n->shared, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n->shared == MAP_FAILED || pipe(n->go) < 0 || pipe(n->done) < 0) {
		free(n);
		return NULL;
	}
	n->pid = fork();
	if (!n->pid) {
		close(n->go[1]);
		close(n->done[0]);
		child_shared = n->shared;
		child_go = n->go[0];
		child_done = n->done[1];
		child_main();
	}
	close(n->go[0]);
	close(n->done[1]);
	return n;
}

void native_destroy(struct native *n)
{
	if (!n)
		return;
	close(n->go[1]);
	close(n->done[0]);
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
	munmap(n->shared, sizeof *n->shared);
	free(n);
}

bool native_run(struct native *n, const struct diff_test *test, int count,
		struct diff_result *result)
{
	struct pollfd ready = { .fd = n->done[0], .events = POLLIN };
	char byte;
	int r;

	n->shared->count = count;
	memcpy(n->shared->test, test, (size_t)count * sizeof *test);
	if (write(n->go[1], "", 1) != 1)
		return false;
	do
		r = poll(&ready, 1, NATIVE_PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r != 1 || read(n->done[0], &byte, 1) != 1)
		return false;
	memcpy(result, n->shared->result, (size_t)count * sizeof *result);
	return true;
}

const char *native_failure(struct native *n)
{
	int status;

	usleep(100000); /* it may be dying */
	if (waitpid(n->pid, &status, WNOHANG) != n->pid)
		snprintf(n->failure, sizeof n->failure, "still running");
	else if (WIFSIGNALED(status))
		snprintf(n->failure, sizeof n->failure, "killed by signal %d",
			 WTERMSIG(status));
	else
		snprintf(n->failure, sizeof n->failure, "ended with status %d",
			 WEXITSTATUS(status));
	return n->failure;
}

int native_at(const struct native *n)
{
	return n->shared->at;
}
