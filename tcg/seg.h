/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptors: what seg.c, deliver.c, task.c and system.c share.
 */
#ifndef TCG_SEG_H
#define TCG_SEG_H

#include "tcg/softmmu.h"

/* Descriptor types with S clear, SDM 3A "System Descriptor Types". */
#define SYS_TSS16_AVAIL 1
#define SYS_LDT         2
#define SYS_TSS16_BUSY  3
#define SYS_CALL16      4
#define SYS_TASK        5
#define SYS_INT16       6
#define SYS_TRAP16      7
#define SYS_TSS_AVAIL   9
#define SYS_TSS_BUSY    11
#define SYS_CALL        12
#define SYS_INT         14
#define SYS_TRAP        15

/* What SYSCALL and its like load: attributes as in struct cpu_segment,
 * DPL 0; what SYSRET takes from R11. */
#define ATTR_CODE64 0xa09bu /* P S code readable accessed, L, G */
#define ATTR_DATA   0xc093u /* P S writable accessed, B, G */

#define SYSRET_FLAGS 0x3c7fd7u

#define SEL_RPL(sel)  ((sel)&3)
#define SEL_NULL(sel) (!((sel) & ~3u))

/* An 8-byte descriptor; gates keep selector and offset elsewhere. */
static inline u16 desc_attr(u64 d)
{
	return (d >> 40 & 0xff) | (d >> 52 & 0xf) << 12;
}

static inline int desc_dpl(u64 d)
{
	return d >> 45 & 3;
}

static inline int desc_type(u64 d) /* with S as bit 4 */
{
	return d >> 40 & 0x1f;
}

static inline bool desc_present(u64 d)
{
	return d & BIT(47);
}

static inline bool desc_is_code(u64 d)
{
	return (d >> 40 & 0x18) == 0x18;
}

static inline bool desc_is_conforming(u64 d) /* of a code segment */
{
	return d >> 40 & 4;
}

static inline bool desc_is_writable(u64 d) /* writable data */
{
	return (d >> 40 & 0x1a) == 0x12;
}

static inline u32 desc_limit(u64 d)
{
	u32 limit = (d & 0xffff) | (d >> 32 & 0xf0000);

	return d & BIT(55) ? limit << 12 | 0xfff : limit;
}

static inline u32 desc_base(u64 d)
{
	return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}

static inline u16 gate_sel(u64 d)
{
	return d >> 16;
}

static inline u32 gate_offset(u64 d) /* low 32 bits */
{
	return (d & 0xffff) | (d >> 32 & 0xffff0000);
}

static inline bool canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

/* #vector with a selector as error code; adds EXT while an external event
 * or an exception is being delivered. */
_Noreturn void seg_raise(struct tcg_cpu *c, u8 vector, u32 sel);

struct cpu_segment seg_unpack(u16 sel, u64 d);
/* Descriptor of `sel` from GDT or LDT; false: outside the table. */
bool seg_read(struct tcg_cpu *c, u16 sel, u64 *ret);
/* The same, or #vector(sel). */
u64 seg_get(struct tcg_cpu *c, u16 sel, u8 vector);
gva_t seg_desc_addr(const struct tcg_cpu *c, u16 sel);
void seg_set_accessed(struct tcg_cpu *c, u16 sel, u64 *d);
void seg_set(struct tcg_cpu *c, int seg, const struct cpu_segment *s);
void seg_set_null(struct tcg_cpu *c, int seg, u16 sel);
/* Real and virtual-8086 mode: base = sel * 16. */
void seg_set_real(struct tcg_cpu *c, int seg, u16 sel);
/* CS after all checks: RPL becomes `cpl`. */
void seg_set_cs(struct tcg_cpu *c, u16 sel, u64 d, int cpl);
/* SS of an inner or outer level: raises #vector(sel) or #SS(sel). */
u64 seg_check_ss(struct tcg_cpu *c, u16 sel, int cpl, u8 vector);
/* L and D both set in a code segment of long mode, rip beyond the limit or
 * not canonical. */
void seg_check_cs_mode(struct tcg_cpu *c, u16 sel, u64 d);
void seg_check_rip(struct tcg_cpu *c, u64 rip, u64 cs_desc);
u8 seg_mmu(const struct tcg_cpu *c, int cpl);

/* A stack that is not (yet) SS:RSP. */
struct seg_stack {
	u64 base, sp, mask;
	u32 limit;
	u16 attr;
	u16 err;   /* selector for #SS; 0 for the current stack */
	bool flat; /* 64-bit: no limit */
	u8 mmu;
};

void stack_current(struct tcg_cpu *c, struct seg_stack *k);
void stack_of(struct tcg_cpu *c, struct seg_stack *k, u16 sel, u64 ss_desc,
	      u64 sp, int cpl);
void stack_push(struct tcg_cpu *c, struct seg_stack *k, u64 value, int size);
u64 stack_pop(struct tcg_cpu *c, struct seg_stack *k, int size);
void stack_commit_sp(struct tcg_cpu *c, u64 sp, u64 mask);

/* SS:SP of the inner level from the TSS of legacy modes, RSP of long mode. */
void tss_stack(struct tcg_cpu *c, int cpl, u16 *ret_ss, u32 *ret_sp);
u64 tss_rsp(struct tcg_cpu *c, int slot); /* 0-2: RSPn, 4-10: IST1-7 */

/* task.c.  `d` is the checked, present descriptor of the TSS `sel`. */
enum task_reason { TASK_JUMP, TASK_CALL, TASK_IRET, TASK_GATE_INT };

void task_switch(struct tcg_cpu *c, u16 sel, u64 d, enum task_reason why,
		 bool has_code, u32 code);
/* I/O permission bitmap: may `size` bytes at `port` be accessed? */
bool tss_io_allowed(struct tcg_cpu *c, u16 port, int size);

#endif
