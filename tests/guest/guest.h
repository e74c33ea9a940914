/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the self-checking 64-bit guests share.
 *
 * A guest prints "PASS name" or "FAIL name: ..." lines to COM1 and ends
 * through the debug exit port: 0 when everything passed.
 */
#ifndef TESTS_GUEST_GUEST_H
#define TESTS_GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define BIT(n)        (1ULL << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define USER_BASE   0x80000000ULL /* see head64.S */
#define SEL_CODE    0x10
#define SEL_DATA    0x18
#define SEL_UCODE32 0x23
#define SEL_UDATA   0x2b
#define SEL_UCODE   0x33
#define SEL_TSS     0x38
#define SEL_FREE    0x48 /* 22 descriptors for tests */

/* Stack of an exception, lowest address first. */
struct regs {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx,
		rax;
	u64 vector, code, rip, cs, rflags, rsp, ss;
};

/* The last exception that ended a try_call() or user_call(). */
extern struct {
	u64 vector, code, rip, cs, rflags, rsp, ss, cr2, dr6;
	u64 handler_rsp;
} exc;

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap;
	u8 bitmap[33];
} __attribute__((packed));

struct gate {
	u16 offset0, sel;
	u8 ist, type;
	u16 offset1;
	u32 offset2, reserved;
};

extern struct tss tss;
extern struct gate idt[256];
extern u64 gdt[32], boot_pml4[512], boot_pdpt[512], boot_pd[2048];
extern u8 stubs[];
extern u8 ap_code[], ap_code_end[];

/* Takes an exception or interrupt instead of ending the call. */
extern void (*handlers[256])(struct regs *r);

bool try_call(void (*fn)(void *), void *arg);
/* `fn` runs in ring 3 at its user address, with `rflags` | 2. */
bool user_call(u64 rip, void *arg, u64 rflags);
bool user(void (*fn)(void *), void *arg);

/* The command line says "lenient": leave out what the referee, QEMU 7.2,
 * does not survive. */
extern bool lenient;

void print(const char *s);
void print_hex(u64 v);
void check(const char *name, bool ok);
/* The call ended with this exception and code. */
void check_exc(const char *name, bool returned, u64 vector, u64 code);
void check_eq(const char *name, u64 got, u64 want);
void set_gate(int vector, void *fn, int ist, int dpl);
void done(void) __attribute__((noreturn));

void test(void);     /* each guest's own */
void guest_ap(void); /* application processors; see guest.c */
extern void (*volatile ap_main)(void);

/* ---- Instructions ---- */

#define READ_REG(name)                                                      \
	static inline u64 read_##name(void)                                 \
	{                                                                   \
		u64 v;                                                      \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v));          \
		return v;                                                   \
	}                                                                   \
	static inline void write_##name(u64 v)                              \
	{                                                                   \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory"); \
	}

READ_REG(cr0)
READ_REG(cr2)
READ_REG(cr3)
READ_REG(cr4)
READ_REG(dr0)
READ_REG(dr1)
READ_REG(dr6)
READ_REG(dr7)

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (u64)hi << 32;
}

static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((u32)v), "d"(v >> 32)
			 : "memory");
}

static inline void cpuid(u32 leaf, u32 sub, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]),
			   "=d"(out[3])
			 : "a"(leaf), "c"(sub));
}

static inline void invlpg(u64 va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline u64 read_flags(void)
{
	u64 v;

	__asm__ volatile("pushf; pop %0" : "=r"(v));
	return v;
}

#endif
