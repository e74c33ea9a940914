/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How fast does ring-0 code run?
 *
 * Some KVMs interpret the guest's kernel mode at about a million
 * instructions a second, which no stock kernel survives.  A loop of known
 * length per round in a tiny long-mode guest tells within 2 ms.  What exits
 * cost does not matter: nested hardware virtualisation is slow to exit and
 * still fine.
 *
 * The result is kept until the next boot in a file that only this user can
 * have written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kvm/internal.h"
#include "kvm/kvm_kick.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"

/* Instructions a second.  Interpreters reach 1 to 3 million; KVM inside an
 * emulated processor 400, but 28 was seen on a busy host.  What is near the
 * limit is measured again at the next start. */
#define PROBE_ENOUGH  10000000ull
#define PROBE_DOUBT   (PROBE_ENOUGH / 3)
#define PROBE_WARM_NS 300000ull
#define PROBE_RUN_NS  1500000ull
#define PROBE_ROUNDS  3

/* Guest-physical layout. */
#define PROBE_RAM  0x10000u
#define PROBE_PML4 0x1000u
#define PROBE_PDPT 0x2000u
#define PROBE_PD   0x3000u
#define PROBE_CODE 0x8000u

#define PTE_PRESENT_WRITABLE 3u
#define PTE_LARGE            0x80u

/* 1: dec %rcx; jnz 1b; jmp 1b */
static const u8 probe_code[] = { 0x48, 0xff, 0xc9, 0x75, 0xfb, 0xeb, 0xf9 };
#define PROBE_INSNS_PER_ROUND 2

struct probe {
	int vm_fd, vcpu_fd;
	u8 *ram;
	struct kvm_run *run;
	size_t run_size;
};

/* ---- The guest ---- */

static void probe_fini(struct probe *p)
{
	if (p->run != MAP_FAILED)
		munmap(p->run, p->run_size);
	if (p->vcpu_fd >= 0)
		close(p->vcpu_fd);
	if (p->vm_fd >= 0)
		close(p->vm_fd);
	if (p->ram != MAP_FAILED)
		munmap(p->ram, PROBE_RAM);
}

static int probe_long_mode(int fd)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 11,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 16,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = {
		.rip = PROBE_CODE,
		.rcx = UINT64_MAX,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs s;
	int r = kvm_ioctl(fd, KVM_GET_SREGS, &s);

	if (r < 0)
		return r;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	s.cr3 = PROBE_PML4;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA;
	r = kvm_ioctl(fd, KVM_SET_SREGS, &s);
	return r < 0 ? r : kvm_ioctl(fd, KVM_SET_REGS, &regs);
}

static int probe_init(struct probe *p, int dev_fd)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = PROBE_RAM,
	};
	int r;

	p->vm_fd = p->vcpu_fd = -1;
	p->run = MAP_FAILED;
	p->ram = mmap(NULL, PROBE_RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->ram == MAP_FAILED)
		return -errno;
	put_le64(p->ram + PROBE_PML4, PROBE_PDPT | PTE_PRESENT_WRITABLE);
	put_le64(p->ram + PROBE_PDPT, PROBE_PD | PTE_PRESENT_WRITABLE);
	put_le64(p->ram + PROBE_PD, PTE_LARGE | PTE_PRESENT_WRITABLE);
	memcpy(p->ram + PROBE_CODE, probe_code, sizeof probe_code);

	p->vm_fd = kvm_ioctl(dev_fd, KVM_CREATE_VM, NULL);
	if (p->vm_fd < 0)
		return p->vm_fd;
	region.userspace_addr = (uintptr_t)p->ram;
	r = kvm_ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
	if (r < 0)
		return r;
	p->vcpu_fd = kvm_ioctl(p->vm_fd, KVM_CREATE_VCPU, NULL);
	if (p->vcpu_fd < 0)
		return p->vcpu_fd;
	p->run_size = ioctl(dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	p->run = mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      p->vcpu_fd, 0);
	if (p->run == MAP_FAILED)
		return -errno;
	return probe_long_mode(p->vcpu_fd);
}

/* ---- The measurement ---- */

static u64 probe_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Runs the guest until the alarm; rounds of the loop and CPU time. */
static int probe_round(struct probe *p, struct kvm_alarm *a, u64 ns,
		       u64 *ret_rounds, u64 *ret_ns)
{
	struct kvm_regs before, after;
	u64 t0;
	int r, e;

	r = kvm_ioctl(p->vcpu_fd, KVM_GET_REGS, &before);
	if (r < 0)
		return r;
	p->run->immediate_exit = 0;
	kvm_alarm_set(a, ns);
	t0 = probe_cpu_ns();
	r = ioctl(p->vcpu_fd, KVM_RUN, 0);
	e = errno;
	*ret_ns = probe_cpu_ns() - t0;
	kvm_alarm_set(a, 0);
	if (r >= 0 || e != EINTR)
		return r >= 0 ? -EIO : -e;
	r = kvm_ioctl(p->vcpu_fd, KVM_GET_REGS, &after);
	*ret_rounds = before.rcx - after.rcx;
	return r;
}

static int probe_measure(struct probe *p, struct kvm_alarm *a, u64 *ret)
{
	u64 best = 0, rounds, ns;
	int r;

	/* The first entries fill page tables and caches. */
	r = probe_round(p, a, PROBE_WARM_NS, &rounds, &ns);
	for (int i = 0; r >= 0 && i < PROBE_ROUNDS; i++) {
		r = probe_round(p, a, PROBE_RUN_NS, &rounds, &ns);
		if (r < 0)
			return r;
		best = MAX(best, (u64)((u128)rounds * PROBE_INSNS_PER_ROUND *
				       NS_PER_S / MAX(ns, 1ull)));
		if (best >= PROBE_ENOUGH)
			break;
	}
	*ret = best;
	return r;
}

static int probe_with_alarm(struct probe *p, u64 *ret)
{
	struct kvm_run *before = kvm_kick_run();
	struct kvm_alarm alarm;
	int r;

	r = kvm_kick_init(NULL);
	if (r >= 0)
		r = kvm_alarm_init(&alarm);
	if (r < 0)
		return r;
	kvm_kick_listen(p->run);
	r = probe_measure(p, &alarm, ret);
	kvm_alarm_fini(&alarm);
	kvm_kick_listen(before);
	return r;
}

/* ---- The cache ---- */

static bool probe_boot_id(char *id, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(id, size, f);
	fclose(f);
	if (ok)
		id[strcspn(id, "\n")] = '\0';
	return ok;
}

static bool probe_dir_is_ours(const char *dir)
{
	struct stat st;

	return dir && dir[0] == '/' && !lstat(dir, &st) &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* Path of the cache file; free it. */
static char *probe_cache_path(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char *dir = xprintf("/run/user/%u", geteuid()), *path;

	if (probe_dir_is_ours(xdg))
		path = xprintf("%s/vmon-kvm-speed", xdg);
	else if (probe_dir_is_ours(dir))
		path = xprintf("%s/vmon-kvm-speed", dir);
	else
		path = xprintf("/tmp/vmon-kvm-speed.%u", geteuid());
	free(dir);
	return path;
}

/* In /tmp anyone may have put a file there: only our own counts. */
static bool probe_cache_read(const char *path, const char *boot_id, u64 *ret)
{
	char text[128] = "", id[64];
	unsigned long long speed;
	struct stat st;
	bool ok = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
	    read(fd, text, sizeof text - 1) > 0 &&
	    sscanf(text, "%63s %llu", id, &speed) == 2 &&
	    !strcmp(id, boot_id)) {
		*ret = speed;
		ok = true;
	}
	close(fd);
	return ok;
}

static void probe_cache_write(const char *path, const char *boot_id, u64 speed)
{
	char *temp = xprintf("%s.XXXXXX", path);
	int fd = mkostemp(temp, O_CLOEXEC);
	int n;

	if (fd >= 0) {
		n = dprintf(fd, "%s %llu\n", boot_id,
			    (unsigned long long)speed);
		close(fd);
		if (n <= 0 || rename(temp, path) < 0)
			unlink(temp);
	}
	free(temp);
}

/* ---- The answer ---- */

static int probe_run(int dev_fd, u64 *ret)
{
	struct probe p;
	int r = probe_init(&p, dev_fd);

	if (r >= 0)
		r = probe_with_alarm(&p, ret);
	probe_fini(&p);
	return r;
}

bool kvm_speed_enough(const struct kvm_speed *s)
{
	return s->insns_per_s >= PROBE_ENOUGH;
}

int kvm_probe_speed(int dev_fd, struct kvm_speed *ret, struct err *err)
{
	char *path = probe_cache_path();
	char boot_id[64] = "";
	bool have_id = probe_boot_id(boot_id, sizeof boot_id);
	int r = 0;

	*ret = (struct kvm_speed){ 0 };
	ret->cached =
		have_id && probe_cache_read(path, boot_id, &ret->insns_per_s);
	if (!ret->cached) {
		r = probe_run(dev_fd, &ret->insns_per_s);
		if (r >= 0 && have_id &&
		    (kvm_speed_enough(ret) || ret->insns_per_s < PROBE_DOUBT))
			probe_cache_write(path, boot_id, ret->insns_per_s);
	}
	free(path);
	if (r < 0)
		return err_code(err, r, KVM_DEVICE ": cannot run a test guest");
	if (!kvm_speed_enough(ret))
		return err_set(err, -ENOTSUP,
			       KVM_DEVICE
			       ": too slow for a guest kernel (%.1f million "
			       "instructions/s in ring 0)",
			       ret->insns_per_s / 1e6);
	return 0;
}
