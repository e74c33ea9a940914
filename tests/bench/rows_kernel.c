/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Benchmarks: what the kernel under this program does.
 */
#define _GNU_SOURCE
#include "tests/bench/rows.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- calls */

u64 row_getppid(void)
{
	u64 n = 0;

	for (int i = 0; i < ROW_OPS_getppid; i++)
		n += syscall(SYS_getppid) >= 0;
	return n;
}

u64 row_pread(void)
{
	static int fd = -1;
	u8 page[4096];
	u64 digest = 0;

	if (fd < 0) {
		fd = memfd_create("bench", 0);
		for (int i = 0; i < 16; i++) {
			memset(page, i * 3, sizeof page);
			if (write(fd, page, sizeof page) != sizeof page)
				row_fail("memfd");
		}
	}
	for (int i = 0; i < ROW_OPS_pread; i++) {
		if (pread(fd, page, sizeof page, (i & 15) * 4096) !=
		    sizeof page)
			row_fail("pread");
		digest = digest * 31 + page[i & 4095];
	}
	return digest;
}

u64 row_pipe(void)
{
	static int fd[2];
	u8 text[64] = { 1 };
	u64 digest = 0;

	if (!fd[0] && pipe(fd))
		row_fail("pipe");
	for (int i = 0; i < ROW_OPS_pipe; i++) {
		text[i & 63] += (u8)i;
		if (write(fd[1], text, 64) != 64 || read(fd[0], text, 64) != 64)
			row_fail("pipe");
		digest = digest * 31 + text[i & 31];
	}
	return digest;
}

u64 row_sleep(void)
{
	const struct timespec ts = { .tv_nsec = 100000 };
	u64 n = 0;

	for (int i = 0; i < ROW_OPS_sleep; i++)
		n += !nanosleep(&ts, NULL);
	return n;
}

/* ---- memory */

u64 row_fault(void)
{
	static u8 *p;
	u64 sum = 0;

	if (!p)
		p = row_memory(ROW_OPS_fault * 4096);
	for (int i = 0; i < ROW_OPS_fault; i++)
		sum += ++p[i * 4096];
	if (madvise(p, ROW_OPS_fault * 4096, MADV_DONTNEED))
		row_fail("madvise");
	return sum;
}

u64 row_mmap(void)
{
	u64 sum = 0;

	for (int i = 0; i < ROW_OPS_mmap; i++) {
		u8 *p = row_memory(16 * 4096);

		for (int n = 0; n < 16; n++)
			p[n * 4096 + i] = (u8)(n + i);
		if (mprotect(p, 8 * 4096, PROT_READ))
			row_fail("mprotect");
		sum += p[3 * 4096 + i] + p[9 * 4096 + i];
		if (munmap(p, 16 * 4096))
			row_fail("munmap");
	}
	return sum;
}

/* ---- signals */

static volatile u64 kernel_signals;
static u8 *kernel_page;

static void kernel_on_signal(int sig)
{
	(void)sig;
	kernel_signals = kernel_signals + 1;
}

static void kernel_on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	kernel_signals = kernel_signals + 1;
	if ((u8 *)info->si_addr != kernel_page + 8 ||
	    mprotect(kernel_page, 4096, PROT_READ | PROT_WRITE))
		_exit(1);
}

u64 row_signal(void)
{
	const struct sigaction action = { .sa_handler = kernel_on_signal };
	pid_t pid = getpid(), tid = gettid();

	kernel_signals = 0;
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < ROW_OPS_signal; i++)
		syscall(SYS_tgkill, pid, tid, SIGUSR1);
	return kernel_signals;
}

u64 row_segv(void)
{
	struct sigaction action = { .sa_sigaction = kernel_on_fault,
				    .sa_flags = SA_SIGINFO },
			 old;
	u64 sum = 0;

	if (!kernel_page)
		kernel_page = row_memory(4096);
	kernel_signals = 0;
	sigaction(SIGSEGV, &action, &old);
	for (int i = 0; i < ROW_OPS_segv; i++) {
		if (mprotect(kernel_page, 4096, PROT_READ))
			row_fail("mprotect");
		((volatile u8 *)kernel_page)[8] = (u8)i;
		sum += kernel_page[8];
	}
	sigaction(SIGSEGV, &old, NULL);
	return row_mix(sum, kernel_signals);
}

/* ---- processes and threads */

/* Bytes to a process on the same CPU and back. */
u64 row_switch(void)
{
	static int to[2], from[2];
	cpu_set_t all, one;
	u64 digest = 0;
	u8 byte = 1;

	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof one, &one);
	if (!to[1]) {
		if (pipe(to) || pipe(from))
			row_fail("pipe");
		switch (fork()) {
		case -1: row_fail("fork");
		case 0:
			close(to[1]);
			while (read(to[0], &byte, 1) == 1) {
				byte = (u8)(byte * 5 + 1);
				if (write(from[1], &byte, 1) != 1)
					break;
			}
			_exit(0);
		}
	}
	for (int i = 0; i < ROW_OPS_switch; i++) {
		if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
			row_fail("switch");
		digest = digest * 31 + byte;
	}
	sched_setaffinity(0, sizeof all, &all);
	return digest;
}

static u64 kernel_child(char *const argv[])
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (argv)
			execv(argv[0], argv);
		_exit(argv != NULL);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		row_fail("child");
	return 1;
}

u64 row_fork(void)
{
	u64 n = 0;

	for (int i = 0; i < ROW_OPS_fork; i++)
		n += kernel_child(NULL);
	return n;
}

u64 row_exec(void)
{
	char path[4096], exit[] = "--exit", *argv[] = { path, exit, NULL };
	u64 n = 0;

	strncpy(path, row_program, sizeof path - 1);
	path[sizeof path - 1] = '\0';
	for (int i = 0; i < ROW_OPS_exec; i++)
		n += kernel_child(argv);
	return n;
}

static u32 kernel_turn; /* odd: the thread's */

static void kernel_pass(u32 turn)
{
	__atomic_store_n(&kernel_turn, turn, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &kernel_turn, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void kernel_wait(u32 turn)
{
	for (;;) {
		u32 now = __atomic_load_n(&kernel_turn, __ATOMIC_SEQ_CST);

		if (now == turn)
			return;
		syscall(SYS_futex, &kernel_turn, FUTEX_WAIT_PRIVATE, now, NULL);
	}
}

static void *kernel_partner(void *arg)
{
	for (u32 turn = 1;; turn += 2) {
		kernel_wait(turn);
		kernel_pass(turn + 1);
	}
	return arg;
}

/* The turn to a thread and back. */
u64 row_futex(void)
{
	static pthread_t partner;
	static u32 turn;

	if (!partner && pthread_create(&partner, NULL, kernel_partner, NULL))
		row_fail("pthread_create");
	for (int i = 0; i < ROW_OPS_futex; i++) {
		kernel_pass(turn + 1);
		kernel_wait(turn += 2);
	}
	return ROW_OPS_futex;
}
