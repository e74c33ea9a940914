/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the self-checking 32-bit guests share; see guest.h for their output.
 */
#ifndef TESTS_GUEST_GUEST32_H
#define TESTS_GUEST_GUEST32_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* Segments of head32.S; a test may use what lies from SEL_TSS1 on. */
#define SEL_CODE  0x08
#define SEL_DATA  0x10
#define SEL_UCODE 0x1b
#define SEL_UDATA 0x23
#define SEL_TSS0  0x40
#define SEL_TSS1  0x48
#define SEL_TSS2  0x50
#define SEL_TSS16 0x58
#define SEL_GATE  0x60
#define SEL_TASK  0x68
#define SEL_FREE  0x70

#define FLAGS_TF 0x100
#define FLAGS_IF 0x200
#define FLAGS_NT 0x4000
#define FLAGS_VM 0x20000

struct regs {
	u32 gs, fs, es, ds;
	u32 edi, esi, ebp, esp0, ebx, edx, ecx, eax;
	u32 vector, code, eip, cs, eflags, esp, ss, v86_es, v86_ds, v86_fs,
		v86_gs;
};

struct tss {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
};

struct tss16 {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
	u16 ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

extern u64 gdt[32], idt[256];
extern u8 stubs[], task_jump[], task_call[], gate_sum[];
extern u8 low16[], low16_end[], low16_handler[], low16_v86[], low16_cli[],
	low16_int[];
extern u32 try_eip, try_esp, user_done[];
extern volatile u32 task_runs, task_esi, task_flags;

bool try_call(void (*fn)(void *), void *arg);
bool user_call(void (*fn)(void *), void *arg, u32 eflags);
u32 far_call(u32 sel);
void far_jump(u32 sel);
void call_gate(void *p);
u32 real_mode(void);

/* The last exception that ended a call, and CR2 then. */
extern struct regs exc;
extern u32 exc_cr2, exc_esp;
extern struct tss tss0; /* of the first task; ring 0's stack */

void outb(u16 port, u8 v);
u8 inb(u16 port);
void print(const char *s);
void check(const char *name, bool ok);
void check_eq(const char *name, u32 got, u32 want);
/* The call ended with this exception and code. */
void check_exc(const char *name, bool returned, u32 vector, u32 code);
void set_gate(int vector, void *fn, int dpl);
u64 descriptor(u32 base, u32 limit, u32 access, u32 flags);
void write_msr(u32 msr, u64 value);
void set_cr4(u32 v);

void test(void); /* each guest's own */

#endif
