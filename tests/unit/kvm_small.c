/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Small guests on this machine's /dev/kvm, hardware or not.  Skipped, with
 * the reason, where it cannot be opened.
 */
#include <check.h>
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "tcg/emulate.h"
#include "vmm/accel.h"
#include "vmm/machine.h"

#define RAM_SIZE (2 * MIB)
#define AT_PML4  0x1000u
#define AT_PDPT  0x2000u
#define AT_PD    0x3000u /* two pages */
#define AT_IDT   0x5000u
#define AT_GDT   0x6000u
#define AT_CODE  0x10000u
#define AT_STACK 0x20000u
#define AT_DATA  0x100000u
#define AT_MMIO  0x10000000u

#define PORT_DONE  0x500 /* ends the test */
#define PORT_EVENT 0x501 /* the test does something */
#define PORT_DATA  0x510 /* 16 ports: an array of bytes */
#define PORT_BELL  0x540

#define SEL_CODE 0x08
#define SEL_DATA 0x10

/* Machine code between two symbols, as `name` and `name_end`. */
#define GUEST(name, bits, text)                                           \
	__asm__(".pushsection .rodata\n.code" #bits "\n" #name ":\n" text \
		"\n" #name "_end:\n.code64\n.popsection\n");              \
	extern const u8 name[], name##_end[]

#define LOAD(t, name) guest_load(t, AT_CODE, name, name##_end - name)

struct test {
	struct machine *m;
	struct vcpu *v;
	struct region port_control, port_data, mmio;
	u8 ports[16];
	u8 device[32];
	u32 done, events;
	bool finished, timed_out;
	void (*on_event)(struct test *t);
	u32 emulated;
	int pic_vector;
	struct run_notifier notifier;
};

/* ---- Devices ---- */

static u64 control_read(void *opaque, u64 offset, u32 size)
{
	return 0x5a;
}

static void control_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct test *t = opaque;

	if (offset == 0) {
		t->done = value;
		t->finished = true;
		loop_quit(t->m->loop);
	} else {
		t->events++;
		if (t->on_event)
			t->on_event(t);
	}
}

static const struct region_ops control_ops = {
	.read = control_read,
	.write = control_write,
	.max_size = 1,
};

static u64 bytes_read(void *opaque, u64 offset, u32 size)
{
	u64 value = 0;

	memcpy(&value, (u8 *)opaque + offset, size);
	return value;
}

static void bytes_write(void *opaque, u64 offset, u32 size, u64 value)
{
	memcpy((u8 *)opaque + offset, &value, size);
}

static const struct region_ops bytes_ops = {
	.read = bytes_read,
	.write = bytes_write,
	.max_size = 8,
};

/* ---- The machine ---- */

static void test_setup(struct test *t) ACQUIRES(machine_lock)
{
	struct err err = { 0 };
	struct machine *m;

	memset(t, 0, sizeof *t);
	t->pic_vector = -1;
	m = t->m = machine_create(&err);
	ck_assert_msg(m != NULL, "%s", err.msg);
	lock_acquire(&machine_lock);
	ck_assert_msg(!mem_add_ram(&m->mem, "ram", 0, RAM_SIZE, false, &err),
		      "%s", err.msg);
	m->accel = &kvm_accel;
	m->accel_data = xalloc(kvm_accel.size);
	region_map(&t->port_control, &m->io, "control", PORT_DONE, 2,
		   &control_ops, t);
	region_map(&t->port_data, &m->io, "data", PORT_DATA, sizeof t->ports,
		   &bytes_ops, t->ports);
	region_map(&t->mmio, &m->memory, "device", AT_MMIO, sizeof t->device,
		   &bytes_ops, t->device);
}

static void test_start(struct test *t)
{
	struct err err = { 0 };
	struct machine *m = t->m;
	int r;

	r = kvm_accel.create(m, m->accel_data, &err);
	ck_assert_msg(r >= 0, "%s", err.msg);
	r = kvm_accel.map_ram(m, &m->mem.ram[0], &err);
	ck_assert_msg(r >= 0, "%s", err.msg);
	ck_assert_int_eq(vcpu_create(m, 0, &err), 0);
	t->v = m->vcpus[0];
	r = vcpu_start(t->v, &err);
	ck_assert_msg(r >= 0, "%s", err.msg);
	vcpu_reset(t->v, false);
}

static void test_timeout(void *arg)
{
	struct test *t = arg;

	t->timed_out = true;
	loop_quit(t->m->loop);
}

/* Runs until the guest writes PORT_DONE or 20 s have passed; stops it. */
static void test_run(struct test *t)
{
	struct timer timer;

	timer_init(&timer, t->m->loop, test_timeout, t);
	timer_set(&timer, clock_mono_ns() + 20 * NS_PER_S);
	t->finished = false;
	ck_assert_int_eq(machine_cont(t->m, NULL), 0);
	loop_run(t->m->loop);
	timer_cancel(&timer);
	machine_stop(t->m, RUN_PAUSED);
}

static void test_run_done(struct test *t, u32 expected)
{
	test_run(t);
	ck_assert_msg(t->finished, "the guest did not finish");
	ck_assert_uint_eq(t->done, expected);
}

static void test_teardown(struct test *t) RELEASES(machine_lock)
{
	machine_destroy(t->m);
	lock_release(&machine_lock);
}

static void guest_load(struct test *t, gpa_t at, const u8 *code, size_t len)
{
	ck_assert_int_eq(mem_write(&t->m->mem, at, code, len), 0);
}

static void guest_put64(struct test *t, gpa_t at, u64 value)
{
	ck_assert_int_eq(mem_write(&t->m->mem, at, &value, sizeof value), 0);
}

static u64 guest_get64(struct test *t, gpa_t at)
{
	u64 value = 0;

	ck_assert_int_eq(mem_read(&t->m->mem, at, &value, sizeof value), 0);
	return value;
}

static void guest_real_mode(struct test *t)
{
	struct cpu_state *c = &t->v->cpu;

	c->seg[SEG_CS].base = AT_CODE;
	c->seg[SEG_CS].sel = AT_CODE >> 4;
	c->rip = 0;
	c->gpr[REG_RSP] = 0x8000;
}

static void guest_flat_segments(struct test *t, u16 code_attr)
{
	struct cpu_state *c = &t->v->cpu;

	for (int i = 0; i < SEG_COUNT; i++)
		c->seg[i] =
			(struct cpu_segment){ 0, 0xffffffff, SEL_DATA, 0xc093 };
	c->seg[SEG_CS] =
		(struct cpu_segment){ 0, 0xffffffff, SEL_CODE, code_attr };
	c->gdt = (struct cpu_table){ AT_GDT, 0x17 };
	c->idt = (struct cpu_table){ AT_IDT, 0xfff };
	guest_put64(t, AT_GDT + SEL_CODE,
		    code_attr & SEG_ATTR_L ? 0x00af9b000000ffffull
					   : 0x00cf9b000000ffffull);
	guest_put64(t, AT_GDT + SEL_DATA, 0x00cf93000000ffffull);
	c->rip = AT_CODE;
	c->gpr[REG_RSP] = AT_STACK;
}

static void guest_protected_mode(struct test *t)
{
	guest_flat_segments(t, 0xc09b);
	t->v->cpu.cr0 = CR0_PE | CR0_ET | CR0_NE;
}

/* Identity map of the lowest and of the fourth GiB (the local APIC). */
static void guest_long_mode(struct test *t)
{
	struct cpu_state *c = &t->v->cpu;

	guest_put64(t, AT_PML4, AT_PDPT | 7);
	guest_put64(t, AT_PDPT, AT_PD | 7);
	guest_put64(t, AT_PDPT + 3 * 8, (AT_PD + 0x1000) | 7);
	for (u64 i = 0; i < 512; i++) {
		guest_put64(t, AT_PD + i * 8, i << 21 | 0x87);
		guest_put64(t, AT_PD + 0x1000 + i * 8,
			    3 * GIB + (i << 21) + 0x87);
	}
	guest_flat_segments(t, 0xa09b);
	c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	c->cr3 = AT_PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	c->efer = EFER_LME | EFER_LMA | EFER_NXE;
}

static void guest_gate(struct test *t, int vector, u64 at)
{
	guest_put64(t, AT_IDT + 16 * vector,
		    (at & 0xffff) | SEL_CODE << 16 | 0x8e0000000000ull |
			    (at >> 16 & 0xffff) << 48);
	guest_put64(t, AT_IDT + 16 * vector + 8, at >> 32);
}

/* ---- Instructions and accesses ---- */

GUEST(real_code, 16,
      "xor %ax, %ax\n mov %ax, %ds\n"
      "mov $0x510, %dx\n mov $0x11, %al\n out %al, %dx\n"
      "inc %dx\n mov $0x2233, %ax\n out %ax, %dx\n"
      "mov $0x514, %dx\n mov $0x44556677, %eax\n out %eax, %dx\n"
      /* a string of 5 bytes to one port; the last one stays */
      "mov $0x7000, %si\n mov $0x518, %dx\n mov $5, %cx\n cld\n rep outsb\n"
      "mov $0x514, %dx\n in %dx, %eax\n cmp $0x44556677, %eax\n jne 1f\n"
      "mov $0x500, %dx\n in %dx, %al\n cmp $0x5a, %al\n jne 1f\n"
      "mov $0x7001, %di\n mov %ax, %es\n xor %ax, %ax\n mov %ax, %es\n"
      "mov $0x510, %dx\n mov $3, %cx\n rep insb\n"
      "cmpb $0x11, 0x7003\n jne 1f\n"
      "mov $7, %al\n jmp 2f\n"
      "1: mov $1, %al\n 2: mov $0x500, %dx\n out %al, %dx\n hlt");

START_TEST(real_mode_reaches_ports_of_all_sizes)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_real_mode(&t);
	LOAD(&t, real_code);
	guest_load(&t, 0x7000, (const u8 *)"abcde", 5);
	test_run_done(&t, 7);
	ck_assert_uint_eq(t.ports[0], 0x11);
	ck_assert_uint_eq(get_le16(t.ports + 1), 0x2233);
	ck_assert_uint_eq(get_le32(t.ports + 4), 0x44556677);
	ck_assert_uint_eq(t.ports[8], 'e');
	test_teardown(&t);
}

END_TEST

GUEST(protected_code, 32,
      "mov $0x10000000, %ebx\n"
      "movb $0x12, (%ebx)\n movw $0x3456, 2(%ebx)\n"
      "movl $0x789abcde, 4(%ebx)\n"
      "mov 4(%ebx), %eax\n cmp $0x789abcde, %eax\n jne 1f\n"
      "movzwl 2(%ebx), %eax\n cmp $0x3456, %eax\n jne 1f\n"
      "addl $1, 4(%ebx)\n"
      "mov $9, %al\n jmp 2f\n"
      "1: mov $1, %al\n 2: mov $0x500, %edx\n out %al, %dx\n hlt");

START_TEST(protected_mode_reaches_device_memory)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_protected_mode(&t);
	LOAD(&t, protected_code);
	test_run_done(&t, 9);
	ck_assert_uint_eq(t.device[0], 0x12);
	ck_assert_uint_eq(get_le16(t.device + 2), 0x3456);
	ck_assert_uint_eq(get_le32(t.device + 4), 0x789abcdf);
	test_teardown(&t);
}

END_TEST

GUEST(long_code, 64,
      "mov $0x10000000, %rbx\n mov $0x1122334455667788, %rax\n"
      "mov %rax, 8(%rbx)\n mov 8(%rbx), %rcx\n cmp %rax, %rcx\n jne 1f\n"
      "mov %rcx, 0x100000\n"
      "mov $8, %al\n jmp 2f\n"
      "1: mov $1, %al\n 2: mov $0x500, %dx\n out %al, %dx\n hlt");

START_TEST(long_mode_moves_quadwords_to_devices)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, long_code);
	test_run_done(&t, 8);
	ck_assert_uint_eq(get_le64(t.device + 8), 0x1122334455667788);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA), 0x1122334455667788);
	ck_assert_uint_ge(t.v->stats.mmio, 2);
	ck_assert_uint_ge(t.v->stats.pio, 1);
	test_teardown(&t);
}

END_TEST

/* ---- Interrupts ---- */

/* Software-enables the LAPIC, asks for the interrupt, sleeps; the handler
 * ends the test with the vector's mark. */
GUEST(interrupt_code, 64,
      "mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
      "sti\n mov $0x501, %dx\n out %al, %dx\n"
      "1: hlt\n jmp 1b\n");
GUEST(interrupt_handler, 64,
      "mov $0xfee000b0, %ebx\n movl $0, (%rbx)\n"
      "mov $0x500, %dx\n mov $0x40, %al\n out %al, %dx\n iretq");

#define AT_HANDLER 0x18000u

static void interrupt_guest(struct test *t)
{
	guest_long_mode(t);
	LOAD(t, interrupt_code);
	guest_load(t, AT_HANDLER, interrupt_handler,
		   interrupt_handler_end - interrupt_handler);
	guest_gate(t, 0x40, AT_HANDLER);
}

static const struct msi test_msi = { 0xfee00000, 0x40 };

static void send_msi(struct test *t)
{
	msi_send(t->m, &test_msi);
}

START_TEST(message_interrupt_wakes_a_halted_guest)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	interrupt_guest(&t);
	t.on_event = send_msi;
	test_run_done(&t, 0x40);
	ck_assert_uint_eq(t.events, 1);
	test_teardown(&t);
}

END_TEST

static int test_event_fd;

static void signal_event(struct test *t)
{
	const u64 one = 1;

	ck_assert_int_eq(write(test_event_fd, &one, sizeof one), sizeof one);
}

START_TEST(irqfd_interrupts_until_it_is_detached)
{
	const struct msi elsewhere = { 0xfee00000, 0x41 };
	int route = -1, again;
	struct test t;

	test_setup(&t);
	test_start(&t);
	interrupt_guest(&t);
	test_event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t.on_event = signal_event;
	/* A change of the message keeps the route. */
	ck_assert_int_eq(
		kvm_accel.irqfd(t.m, &elsewhere, test_event_fd, true, &route),
		0);
	again = route;
	ck_assert_int_eq(
		kvm_accel.irqfd(t.m, &test_msi, test_event_fd, true, &route),
		0);
	ck_assert_int_eq(route, again);
	test_run_done(&t, 0x40);
	ck_assert_int_eq(
		kvm_accel.irqfd(t.m, NULL, test_event_fd, false, &route), 0);
	ck_assert_int_eq(route, -1);
	close(test_event_fd);
	test_teardown(&t);
}

END_TEST

static int accept_once(struct machine *m)
{
	struct test *t = m->powerdown_arg;
	int vector = t->pic_vector;

	t->pic_vector = -1;
	return vector;
}

static void raise_pic(struct test *t)
{
	t->pic_vector = 0x40;
	vcpu_request(t->v, VCPU_REQ_INTR);
}

/* The reset state lets LINT0 of the boot processor pass the PIC on. */
START_TEST(pic_interrupt_waits_for_the_interrupt_window)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	interrupt_guest(&t);
	t.on_event = raise_pic;
	t.m->pic_accept = accept_once;
	t.m->powerdown_arg = &t;
	test_run_done(&t, 0x40);
	ck_assert_int_eq(t.pic_vector, -1);
	ck_assert_uint_eq(t.v->stats.irqs, 1);
	test_teardown(&t);
}

END_TEST

/* Spins, for a KVM that emulates ring 0 does not look up from HLT. */
GUEST(eoi_code, 64,
      "mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
      "sti\n mov $0x501, %dx\n out %al, %dx\n"
      "1: pause\n jmp 1b\n");
GUEST(eoi_handler, 64, "mov $0xfee000b0, %ebx\n movl $0, (%rbx)\n iretq");

static void ended(struct machine *m, u8 vector)
{
	assert_locked(&machine_lock);
	control_write(m->powerdown_arg, 0, 1, vector);
}

static bool level_route(struct machine *m, int pin, struct msi *ret)
{
	/* bit 15: level-triggered */
	*ret = (struct msi){ 0xfee00000, 0x8000 | 0x4000 | 0x40 };
	return pin == 9;
}

static void send_level(struct test *t)
{
	struct msi msi;

	level_route(t->m, 9, &msi);
	msi_send(t->m, &msi);
}

START_TEST(end_of_level_interrupt_is_reported)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	interrupt_guest(&t);
	LOAD(&t, eoi_code);
	guest_load(&t, AT_HANDLER, eoi_handler, eoi_handler_end - eoi_handler);
	t.on_event = send_level;
	t.m->ioapic_eoi = ended;
	t.m->powerdown_arg = &t;
	t.m->ioapic_route = level_route;
	kvm_accel.ioapic_changed(t.m);
	test_run_done(&t, 0x40);
	test_teardown(&t);
}

END_TEST

/* ---- Doorbells ---- */

GUEST(bell_code, 64,
      "mov $0x540, %dx\n mov $3, %ax\n out %ax, %dx\n out %ax, %dx\n"
      "mov $0x10000010, %ebx\n movl $1, (%rbx)\n"
      "mov $0x500, %dx\n mov $6, %al\n out %al, %dx\n hlt");

START_TEST(doorbells_signal_without_an_access)
{
	int port = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int memory = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u64 count = 0;
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, bell_code);
	ck_assert_int_ge(kvm_accel.ioeventfd(t.m, true, PORT_BELL, 2, true, 3,
					     port, true),
			 0);
	ck_assert_int_ge(kvm_accel.ioeventfd(t.m, false, AT_MMIO + 16, 4, false,
					     0, memory, true),
			 0);
	test_run_done(&t, 6);
	ck_assert_int_eq(read(port, &count, sizeof count), sizeof count);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(read(memory, &count, sizeof count), sizeof count);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(t.v->stats.mmio, 0);
	ck_assert_int_ge(kvm_accel.ioeventfd(t.m, true, PORT_BELL, 2, true, 3,
					     port, false),
			 0);
	close(port);
	close(memory);
	test_teardown(&t);
}

END_TEST

/* ---- Instructions that KVM's emulator lacks ---- */

GUEST(popcnt_code, 64,
      "mov $0xf0f01, %ebx\n popcnt %rbx, %rax\n"
      "mov $0x500, %dx\n out %al, %dx\n hlt");

static struct test *emulating;

/* Knows one instruction. */
static bool emulate_popcnt(struct vcpu *v)
{
	static const u8 popcnt[] = { 0xf3, 0x48, 0x0f, 0xb8, 0xc3 };
	u8 bytes[sizeof popcnt];

	if (mem_read(&v->m->mem, v->cpu.rip, bytes, sizeof bytes) < 0 ||
	    memcmp(bytes, popcnt, sizeof popcnt))
		return false;
	v->cpu.gpr[REG_RAX] = __builtin_popcountll(v->cpu.gpr[REG_RBX]);
	v->cpu.rip += sizeof popcnt;
	emulating->emulated++;
	return true;
}

START_TEST(emulation_failure_is_finished_in_software)
{
	struct test t;

	test_setup(&t);
	t.m->emulate_one = emulate_popcnt;
	emulating = &t;
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, popcnt_code);
	test_run_done(&t, 9);
	/* Hardware executes it itself. */
	ck_assert_uint_eq(t.v->stats.emulated, t.emulated);
	test_teardown(&t);
}

END_TEST

static void notified(void *arg, enum run_state old, enum run_state now)
{
	struct test *t = arg;

	if (now == RUN_INTERNAL_ERROR)
		loop_quit(t->m->loop);
}

static void stop_on_error(struct test *t)
{
	t->notifier = (struct run_notifier){ .fn = notified, .arg = t };
	run_notifier_add(t->m, &t->notifier);
}

/* Each result goes to memory at rdi; the breakpoint handler adds one. */
GUEST(mixed_code, 64,
      "mov $0x100000, %edi\n"
      "mov $0xf0f01, %ebx\n popcnt %rbx, %rax\n mov %rax, (%rdi)\n"
      "mov $0x12345678, %eax\n mov $0xabcdef, %ecx\n"
      "crc32l %ecx, %eax\n mov %rax, 8(%rdi)\n"
      "fninit\n fld1\n fldpi\n faddp\n fistpl 16(%rdi)\n fwait\n"
      "mov $0x3f800000, %eax\n movd %eax, %xmm1\n addps %xmm1, %xmm1\n"
      "movd %xmm1, 24(%rdi)\n"
      "movq $41, 32(%rdi)\n int3\n"
      "mov $0x10, %ecx\n lar %ecx, %eax\n mov %rax, 40(%rdi)\n"
      "mov $0x10000000, %ebx\n pxor %xmm2, %xmm2\n paddb %xmm1, %xmm2\n"
      "mov $0x500, %dx\n mov $5, %al\n out %al, %dx\n hlt");
GUEST(count_handler, 64, "incq 32(%rdi)\n iretq");
GUEST(cx16_code, 64,
      "mov $0x100000, %edi\n movq $1, (%rdi)\n movq $2, 8(%rdi)\n"
      "mov $1, %eax\n mov $2, %edx\n mov $3, %ebx\n mov $4, %ecx\n"
      "lock cmpxchg16b (%rdi)\n sete %al\n"
      "mov $0x500, %dx\n out %al, %dx\n hlt");

START_TEST(interpreter_finishes_what_kvm_cannot)
{
	struct test t;

	test_setup(&t);
	t.m->emulate_one = tcg_emulate_one;
	t.m->emulate_fini = tcg_emulate_fini;
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, mixed_code);
	guest_load(&t, AT_HANDLER, count_handler,
		   count_handler_end - count_handler);
	guest_gate(&t, EXC_BP, AT_HANDLER);
	test_run_done(&t, 5);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA), 9);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA + 8), 0x592482aa);
	ck_assert_uint_eq((u32)guest_get64(&t, AT_DATA + 16), 4);
	ck_assert_uint_eq((u32)guest_get64(&t, AT_DATA + 24), 0x40000000);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA + 32), 42);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA + 40) & 0xff00, 0x9300);
	printf("finished by the interpreter: %d\n", (int)t.v->stats.emulated);
	test_teardown(&t);
}

END_TEST

START_TEST(interpreter_finishes_a_wide_exchange)
{
	u32 eax, ebx, ecx = 0, edx;
	struct test t;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_CMPXCHG16B))
		return; /* an emulated processor without */
	test_setup(&t);
	t.m->emulate_one = tcg_emulate_one;
	t.m->emulate_fini = tcg_emulate_fini;
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, cx16_code);
	test_run_done(&t, 1);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA), 3);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA + 8), 4);
	test_teardown(&t);
}

END_TEST

/* Nothing can finish it: the line says where, and the machine stops. */
START_TEST(failure_without_interpreter_stops_the_machine)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, popcnt_code);
	stop_on_error(&t);
	test_run(&t);
	ck_assert(!t.timed_out);
	if (!t.finished) /* hardware executes it */
		ck_assert_int_eq(t.m->run.state, RUN_INTERNAL_ERROR);
	test_teardown(&t);
}

END_TEST

/* An empty IDT: not even the double fault can be delivered. */
GUEST(triple_code, 64, "lidt 0x100000\n ud2");

START_TEST(triple_fault_resets_the_machine)
{
	struct test t;

	test_setup(&t);
	test_start(&t);
	t.m->no_reboot = true;
	guest_long_mode(&t);
	LOAD(&t, triple_code);
	test_run(&t);
	/* With no_reboot the main loop ends by itself. */
	ck_assert(!t.timed_out && !t.finished);
	test_teardown(&t);
}

END_TEST

/* ---- Control ---- */

GUEST(spin_code, 64, "mov $0x1234, %r13\n 1: inc %r14\n jmp 1b");

static void look(struct vcpu *v, void *arg)
{
	*(struct cpu_state *)arg = *vcpu_cpu(v);
}

START_TEST(kick_gets_a_spinning_guest_out)
{
	struct cpu_state before, after;
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, spin_code);
	ck_assert_int_eq(machine_cont(t.m, NULL), 0);
	do
		vcpu_run_on(t.v, look, &before);
	while (before.gpr[REG_R13] != 0x1234);
	for (int i = 0; i < 200; i++) {
		machine_stop(t.m, RUN_PAUSED);
		ck_assert_int_eq(machine_cont(t.m, NULL), 0);
	}
	for (int i = 0; i < 200; i++)
		vcpu_run_on(t.v, look, &after);
	/* Calls that come at once may let it run no instruction at all. */
	for (int i = 0; i < 10000; i++) {
		vcpu_run_on(t.v, look, &after);
		if (after.gpr[REG_R14] > before.gpr[REG_R14])
			break;
		usleep(1000);
	}
	ck_assert_uint_gt(after.gpr[REG_R14], before.gpr[REG_R14]);
	ck_assert_uint_eq(after.gpr[REG_R13], 0x1234);
	ck_assert(after.rip >= AT_CODE && after.rip < AT_CODE + 64);
	machine_stop(t.m, RUN_PAUSED);
	test_teardown(&t);
}

END_TEST

/* ---- A debugger's points ---- */

GUEST(debug_code, 64,
      "mov $0x100000, %edi\n movq $7, (%rdi)\n nop\n int3\n"
      "mov $0x500, %dx\n mov $9, %al\n out %al, %dx\n hlt");

static void end_on_debug(void *arg, enum run_state old, enum run_state now)
{
	struct test *t = arg;

	if (now == RUN_DEBUG)
		loop_quit(t->m->loop);
}

/* Runs until the vCPU meets something of that kind at `rip`. */
static void debug_expect(struct test *t, enum debug_why why, u64 rip)
{
	struct cpu_state c;

	t->v->debug.why = DEBUG_NONE;
	test_run(t);
	ck_assert(!t->timed_out && !t->finished);
	vcpu_run_on(t->v, look, &c);
	ck_assert_msg(t->v->debug.why == why && c.rip == AT_CODE + rip,
		      "%d at %#llx, not %d at %#llx", t->v->debug.why,
		      (unsigned long long)c.rip, why,
		      (unsigned long long)AT_CODE + rip);
}

/* QEMU 7.2 takes the INT3 of a nested guest for an INT n: the intercept of
 * #BP sees nothing of it. */
static bool nested_in_qemu(void)
{
	u32 a, b, c, d;

	__cpuid(0x40000000, a, b, c, d);
	return b == 0x54474354; /* "TCGT" */
}

START_TEST(debugger_stops_at_its_points)
{
	struct test t;
	u8 byte;

	if (nested_in_qemu()) {
		printf("no breakpoints in QEMU's nested guests\n");
		return;
	}
	test_setup(&t);
	t.m->emulate_one = tcg_emulate_one;
	t.m->emulate_fini = tcg_emulate_fini;
	test_start(&t);
	t.notifier = (struct run_notifier){ .fn = end_on_debug, .arg = &t };
	run_notifier_add(t.m, &t.notifier);
	guest_long_mode(&t);
	guest_gate(&t, EXC_BP, AT_CODE + 0x100);
	guest_load(&t, AT_CODE + 0x100, count_handler,
		   count_handler_end - count_handler);
	LOAD(&t, debug_code);
	ck_assert_int_eq(debug_insert(t.v, DEBUG_BREAK_SOFT, AT_CODE, 1), 0);
	ck_assert_int_eq(debug_insert(t.v, DEBUG_BREAK_SOFT, AT_CODE + 12, 1),
			 0);
	ck_assert_int_eq(debug_insert(t.v, DEBUG_WATCH_READ, AT_DATA, 8),
			 -ENOTSUP);
	ck_assert_int_eq(mem_read(&t.m->mem, AT_CODE + 12, &byte, 1), 0);
	ck_assert_uint_eq(byte, 0xcc);
	debug_show(t.m, AT_CODE + 12, &byte, 1);
	ck_assert_uint_eq(byte, 0x90);

	debug_expect(&t, DEBUG_BROKE, 0);
	ck_assert_int_eq(debug_remove(t.m, DEBUG_BREAK_SOFT, AT_CODE, 1), 0);
	debug_expect(&t, DEBUG_BROKE, 12);
	ck_assert_uint_eq(t.v->debug.hit.kind, DEBUG_BREAK_SOFT);
	ck_assert_int_eq(debug_remove(t.m, DEBUG_BREAK_SOFT, AT_CODE + 12, 1),
			 0);
	ck_assert_int_eq(
		debug_insert(t.v, DEBUG_BREAK_SOFT, AT_CODE + 0x200, 1), 0);
	t.v->debug.step = true;
	debug_expect(&t, DEBUG_STEPPED, 13);
	t.v->debug.step = false;
	t.v->debug.why = DEBUG_NONE;
	/* The guest's own INT3 is the guest's. */
	guest_put64(&t, AT_DATA + 32, 0);
	test_run_done(&t, 9);
	ck_assert_uint_eq(guest_get64(&t, AT_DATA + 32), 1);
	debug_remove_all(t.m);
	test_teardown(&t);
}

END_TEST

static void change(struct vcpu *v, void *arg)
{
	struct cpu_state *c = vcpu_cpu(v);

	c->gpr[REG_R13] = 0x777;
	c->vec[3].q[0] = 0x0123456789abcdef;
	c->vec[3].q[1] = 0xfedcba9876543210;
	c->fpu.fcw = 0x27f;
	c->fpu.mxcsr = 0x1fa0;
	memset(c->fpu.st[2], 0xaa, 8);
	c->fpu.ftw = 0x04;
	c->lstar = 0xffffffff81000000;
	c->kernel_gs_base = 0xffff888000000000;
	c->dr[0] = 0x1000;
	c->cr2 = 0xdead000;
	c->nmi_masked = true;
	c->lapic.regs[0x80 / 16] = 0x30; /* TPR */
	vcpu_cpu_changed(v);
}

START_TEST(changed_state_reaches_the_kernel_and_comes_back)
{
	struct cpu_state c;
	struct test t;

	test_setup(&t);
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, spin_code);
	ck_assert_int_eq(machine_cont(t.m, NULL), 0);
	do
		vcpu_run_on(t.v, look, &c);
	while (c.gpr[REG_R13] != 0x1234);
	vcpu_run_on(t.v, change, NULL);
	usleep(20000);
	memset(&c, 0, sizeof c);
	vcpu_run_on(t.v, look, &c);
	ck_assert_uint_eq(c.gpr[REG_R13], 0x777);
	ck_assert_uint_eq(c.vec[3].q[0], 0x0123456789abcdef);
	ck_assert_uint_eq(c.vec[3].q[1], 0xfedcba9876543210);
	ck_assert_uint_eq(c.fpu.fcw, 0x27f);
	ck_assert_uint_eq(c.fpu.mxcsr, 0x1fa0);
	ck_assert_uint_eq(c.fpu.st[2][3], 0xaa);
	ck_assert_uint_eq(c.lstar, 0xffffffff81000000);
	ck_assert_uint_eq(c.kernel_gs_base, 0xffff888000000000);
	ck_assert_uint_eq(c.dr[0], 0x1000);
	ck_assert_uint_eq(c.cr2, 0xdead000);
	ck_assert(c.nmi_masked);
	ck_assert_uint_eq(c.lapic.regs[0x80 / 16] & 0xff, 0x30);
	ck_assert_uint_eq(c.cr0 & CR0_PG, CR0_PG);
	ck_assert_uint_eq(c.seg[SEG_CS].attr & SEG_ATTR_L, SEG_ATTR_L);
	ck_assert_uint_eq(c.gdt.base, AT_GDT);
	machine_stop(t.m, RUN_PAUSED);
	test_teardown(&t);
}

END_TEST

/* ---- Memory ---- */

GUEST(rom_code, 64,
      "mov $0x300000, %ebx\n mov (%rbx), %al\n movb $0x99, (%rbx)\n"
      "mov (%rbx), %ah\n cmp %al, %ah\n jne 1f\n"
      "movb $1, 0x123000\n"
      "mov $0x500, %dx\n out %al, %dx\n hlt\n"
      "1: mov $0x500, %dx\n mov $1, %al\n out %al, %dx\n hlt");

START_TEST(rom_keeps_its_bytes_and_ram_logs_stores)
{
	const u8 byte = 0x42;
	struct test t;

	test_setup(&t);
	ck_assert_int_eq(
		mem_add_ram(&t.m->mem, "rom", 3 * MIB, 4096, true, NULL), 0);
	ck_assert_int_eq(mem_load(&t.m->mem, 3 * MIB, &byte, 1), 0);
	test_start(&t);
	ck_assert_int_eq(kvm_accel.map_ram(t.m, &t.m->mem.ram[1], NULL), 0);
	guest_long_mode(&t);
	LOAD(&t, rom_code);
	ck_assert_int_eq(kvm_accel.dirty_log(t.m, true), 0);
	mem_log_start(&t.m->mem);
	test_run_done(&t, 0x42);
	kvm_accel.dirty_sync(t.m);
	ck_assert_uint_eq(t.m->mem.ram[0].dirty[0x123 / 64] >> (0x123 % 64) & 1,
			  1);
	ck_assert_uint_eq(t.m->mem.ram[0].dirty[0x124 / 64] >> (0x124 % 64) & 1,
			  0);
	mem_log_stop(&t.m->mem);
	ck_assert_int_eq(kvm_accel.dirty_log(t.m, false), 0);
	test_teardown(&t);
}

END_TEST

/* ---- Probe and reports ---- */

START_TEST(probe_measures_once_per_boot)
{
	char dir[] = "/tmp/vmon-probe.XXXXXX", *path;
	struct err first = { 0 }, second = { 0 };
	u64 t0, cold, warm;
	struct stat st;
	int r;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	setenv("XDG_RUNTIME_DIR", dir, 1);
	path = xprintf("%s/vmon-kvm-speed", dir);
	t0 = clock_mono_ns();
	r = kvm_accel.probe(true, &first);
	cold = clock_mono_ns() - t0;
	ck_assert(r == 0 || r == -ENOTSUP);
	ck_assert_int_eq(stat(path, &st), 0);
	t0 = clock_mono_ns();
	ck_assert_int_eq(kvm_accel.probe(true, &second), r);
	warm = clock_mono_ns() - t0;
	ck_assert_str_eq(first.msg, second.msg);
	ck_assert_int_eq(kvm_accel.probe(false, NULL), 0);
	printf("probe: %.1f ms, again %.1f ms: %s\n", cold / 1e6, warm / 1e6,
	       r ? first.msg : "usable");
	unlink(path);
	rmdir(dir);
	free(path);
}

END_TEST

/* A file that others may write is not believed. */
START_TEST(probe_distrusts_a_writable_cache)
{
	char dir[] = "/tmp/vmon-probe.XXXXXX", *path;
	char boot_id[64] = "";
	struct err err = { 0 };
	int truth;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	setenv("XDG_RUNTIME_DIR", dir, 1);
	path = xprintf("%s/vmon-kvm-speed", dir);
	truth = kvm_accel.probe(true, &err);
	f = fopen("/proc/sys/kernel/random/boot_id", "r");
	ck_assert_ptr_nonnull(fgets(boot_id, sizeof boot_id, f));
	fclose(f);
	boot_id[strcspn(boot_id, "\n")] = '\0';
	f = fopen(path, "w");
	fprintf(f, "%s %llu\n", boot_id, truth ? 999000000000ull : 1ull);
	fclose(f);
	ck_assert_int_ne(kvm_accel.probe(true, &err), truth);
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(kvm_accel.probe(true, &err), truth);
	unlink(path);
	rmdir(dir);
	free(path);
}

END_TEST

START_TEST(reports_exits_and_cpuid)
{
	struct buf out = { 0 };
	u32 regs[4];
	struct test t;

	test_setup(&t);
	t.m->topo = (struct topology){ 4, 4, 1, 2, 2 };
	test_start(&t);
	guest_long_mode(&t);
	LOAD(&t, long_code);
	test_run_done(&t, 8);
	kvm_accel.info(t.m, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "pio 1"));
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "mmio 2"));
	buf_fini(&out);
	kvm_accel.cpuid(t.v, 0x40000000, 0, regs);
	ck_assert_int_eq(memcmp(&regs[1], "KVMKVMKVM\0\0\0", 12), 0);
	kvm_accel.cpuid(t.v, 1, 0, regs);
	ck_assert_uint_eq(regs[2] >> 31, 1);
	ck_assert_uint_eq(regs[1] >> 16 & 0xff, 4);
	ck_assert_uint_eq(regs[3] >> 28 & 1, 1);
	kvm_accel.cpuid(t.v, 0xb, 0, regs);
	ck_assert_uint_eq(regs[0], 1);
	ck_assert_uint_eq(regs[1], 2);
	kvm_accel.cpuid(t.v, 0xb, 1, regs);
	ck_assert_uint_eq(regs[0], 2);
	ck_assert_uint_eq(regs[1], 4);
	ck_assert_uint_eq(regs[2], 0x201);
	test_teardown(&t);
}

END_TEST

static void cpuid_of(const char *model, u32 leaf, u32 subleaf, u32 out[4])
{
	struct test t;

	test_setup(&t);
	t.m->cpu_model = model;
	test_start(&t);
	kvm_accel.cpuid(t.v, leaf, subleaf, out);
	test_teardown(&t);
}

START_TEST(cpu_model_shapes_cpuid)
{
	struct err err = { 0 };
	u32 host[4], r[4];
	struct test t;

	cpuid_of("host", 1, 0, host);
	cpuid_of("host,-sse3,-cx16", 1, 0, r);
	ck_assert_uint_eq(r[0], host[0]);
	ck_assert_uint_eq(r[2], host[2] & ~(1u | 1u << 13));
	cpuid_of("host,-kvmclock", 0x40000001, 0, r);
	ck_assert_uint_eq(r[0] & 9, 0);
	cpuid_of("kvm64,vendor=AuthenticAMD,model-id=abc", 0, 0, r);
	ck_assert_int_eq(memcmp(&r[1], "AuthcAMDenti", 12), 0);
	cpuid_of("kvm64", 0, 0, r);
	ck_assert_int_eq(memcmp(&r[1], "Genu", 4), 0);
	cpuid_of("kvm64", 1, 0, r);
	ck_assert_uint_eq(r[0] >> 8 & 15, 15);
	cpuid_of("kvm64", 0xd, 0, r); /* without XSAVE */
	ck_assert_uint_eq(r[0] | r[2], 0);
	cpuid_of("kvm64", 0x40000001, 0, r);
	ck_assert_uint_eq(r[0] & 1, 1); /* clock */

	test_setup(&t);
	t.m->cpu_model = "host,+nonsense";
	ck_assert_int_eq(kvm_accel.create(t.m, t.m->accel_data, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "nonsense"));
	free(t.m->accel_data);
	t.m->accel_data = NULL;
	t.m->accel = NULL;
	test_teardown(&t);
}

END_TEST

int main(void)
{
	struct err err = { 0 };
	Suite *suite = suite_create("kvm_small");
	TCase *tc = tcase_create("guests");
	SRunner *runner;
	int failed;

	if (kvm_accel.probe(false, &err) < 0) {
		printf("skipped: %s\n", err.msg);
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, real_mode_reaches_ports_of_all_sizes);
	tcase_add_test(tc, protected_mode_reaches_device_memory);
	tcase_add_test(tc, long_mode_moves_quadwords_to_devices);
	tcase_add_test(tc, message_interrupt_wakes_a_halted_guest);
	tcase_add_test(tc, irqfd_interrupts_until_it_is_detached);
	tcase_add_test(tc, pic_interrupt_waits_for_the_interrupt_window);
	tcase_add_test(tc, end_of_level_interrupt_is_reported);
	tcase_add_test(tc, doorbells_signal_without_an_access);
	tcase_add_test(tc, emulation_failure_is_finished_in_software);
	tcase_add_test(tc, interpreter_finishes_what_kvm_cannot);
	tcase_add_test(tc, interpreter_finishes_a_wide_exchange);
	tcase_add_test(tc, failure_without_interpreter_stops_the_machine);
	tcase_add_test(tc, triple_fault_resets_the_machine);
	tcase_add_test(tc, kick_gets_a_spinning_guest_out);
	tcase_add_test(tc, changed_state_reaches_the_kernel_and_comes_back);
	tcase_add_test(tc, rom_keeps_its_bytes_and_ram_logs_stores);
	tcase_add_test(tc, probe_measures_once_per_boot);
	tcase_add_test(tc, probe_distrusts_a_writable_cache);
	tcase_add_test(tc, reports_exits_and_cpuid);
	tcase_add_test(tc, cpu_model_shapes_cpuid);
	tcase_add_test(tc, debugger_stops_at_its_points);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
