/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The architectural state of one x86-64 vCPU.
 *
 * One struct for every engine: kvm/ loads and stores it, tcg/ runs on it,
 * the monitor prints it, saved states carry it.  Bit names follow the SDM.
 *
 * Locking: belongs to the vCPU's thread; see vmm/vcpu.h.
 */
#ifndef VMM_CPU_H
#define VMM_CPU_H

#include "lib/types.h"

/* clang-format off */
enum cpu_reg {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	REG_COUNT
};

enum cpu_seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

/* clang-format on */

#define RFLAGS_CF    0x00000001u
#define RFLAGS_FIXED 0x00000002u
#define RFLAGS_PF    0x00000004u
#define RFLAGS_AF    0x00000010u
#define RFLAGS_ZF    0x00000040u
#define RFLAGS_SF    0x00000080u
#define RFLAGS_TF    0x00000100u
#define RFLAGS_IF    0x00000200u
#define RFLAGS_DF    0x00000400u
#define RFLAGS_OF    0x00000800u
#define RFLAGS_IOPL  0x00003000u
#define RFLAGS_NT    0x00004000u
#define RFLAGS_RF    0x00010000u
#define RFLAGS_VM    0x00020000u
#define RFLAGS_AC    0x00040000u
#define RFLAGS_VIF   0x00080000u
#define RFLAGS_VIP   0x00100000u
#define RFLAGS_ID    0x00200000u

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)

#define EFER_SCE   BIT(0)
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define EFER_NXE   BIT(11)
#define EFER_SVME  BIT(12)
#define EFER_FFXSR BIT(14)

#define MSR_IA32_TSC               0x10u
#define MSR_IA32_APICBASE          0x1bu
#define MSR_IA32_FEATURE_CONTROL   0x3au
#define MSR_IA32_TSC_ADJUST        0x3bu
#define MSR_IA32_SPEC_CTRL         0x48u
#define MSR_IA32_PRED_CMD          0x49u
#define MSR_IA32_BIOS_SIGN_ID      0x8bu
#define MSR_MTRRCAP                0xfeu
#define MSR_IA32_ARCH_CAPABILITIES 0x10au
#define MSR_IA32_SYSENTER_CS       0x174u
#define MSR_IA32_SYSENTER_ESP      0x175u
#define MSR_IA32_SYSENTER_EIP      0x176u
#define MSR_IA32_MCG_CAP           0x179u
#define MSR_IA32_MCG_STATUS        0x17au
#define MSR_IA32_MCG_CTL           0x17bu
#define MSR_IA32_MISC_ENABLE       0x1a0u
#define MSR_MTRR_PHYSBASE0         0x200u
#define MSR_MTRR_FIX64K_00000      0x250u
#define MSR_MTRR_FIX16K_80000      0x258u
#define MSR_MTRR_FIX16K_A0000      0x259u
#define MSR_MTRR_FIX4K_C0000       0x268u
#define MSR_IA32_PAT               0x277u
#define MSR_MTRR_DEF_TYPE          0x2ffu
#define MSR_IA32_MC0_CTL           0x400u
#define MSR_IA32_TSC_DEADLINE      0x6e0u
#define MSR_X2APIC_FIRST           0x800u
#define MSR_X2APIC_LAST            0x8ffu
#define MSR_IA32_XSS               0xda0u
#define MSR_EFER                   0xc0000080u
#define MSR_STAR                   0xc0000081u
#define MSR_LSTAR                  0xc0000082u
#define MSR_CSTAR                  0xc0000083u
#define MSR_FMASK                  0xc0000084u
#define MSR_FS_BASE                0xc0000100u
#define MSR_GS_BASE                0xc0000101u
#define MSR_KERNEL_GS_BASE         0xc0000102u
#define MSR_TSC_AUX                0xc0000103u

#define APICBASE_BSP    BIT(8)
#define APICBASE_X2APIC BIT(10)
#define APICBASE_ENABLE BIT(11)
#define APICBASE_ADDR   0xfffff000u

/* Exception vectors. */
#define EXC_DE 0
#define EXC_DB 1
#define EXC_BP 3
#define EXC_OF 4
#define EXC_BR 5
#define EXC_UD 6
#define EXC_NM 7
#define EXC_DF 8
#define EXC_TS 10
#define EXC_NP 11
#define EXC_SS 12
#define EXC_GP 13
#define EXC_PF 14
#define EXC_MF 16
#define EXC_AC 17
#define EXC_MC 18
#define EXC_XM 19

/* Page-fault error code. */
#define PF_P    0x01u /* protection violation, not an absent page */
#define PF_W    0x02u
#define PF_U    0x04u
#define PF_RSVD 0x08u
#define PF_I    0x10u /* instruction fetch */

/* Segment attributes: bits 8-15 and 20-23 of a descriptor's high word,
 * shifted down by 8, so that bits 0-7 are the access byte and 12-15 AVL, L,
 * DB, G (the layout that VMX and SVM use, SDM 3C "Access rights"). */
#define SEG_ATTR_TYPE     0x000fu
#define SEG_ATTR_ACCESSED 0x0001u
#define SEG_ATTR_RW       0x0002u /* code: readable, data: writable */
#define SEG_ATTR_CE       0x0004u /* code: conforming, data: expand down */
#define SEG_ATTR_CODE     0x0008u
#define SEG_ATTR_S        0x0010u
#define SEG_ATTR_DPL      0x0060u
#define SEG_ATTR_P        0x0080u
#define SEG_ATTR_AVL      0x1000u
#define SEG_ATTR_L        0x2000u
#define SEG_ATTR_DB       0x4000u
#define SEG_ATTR_G        0x8000u

#define SEG_DPL(attr) (((attr) >> 5) & 3)

struct cpu_segment {
	u64 base;
	u32 limit; /* in bytes, granularity applied */
	u16 sel;
	u16 attr; /* SEG_ATTR_*; P clear: unusable (null selector) */
};

struct cpu_table {
	u64 base;
	u16 limit;
};

/* Vector registers: 64 bytes each so that an AVX-512 host state fits. */
union cpu_vec {
	u8 b[64];
	u32 d[16];
	u64 q[8];
};

struct cpu_fpu {
	/* x87 in physical order as FXSAVE keeps them: st[i] is ST(i), 80 bits
	 * in the low 10 bytes. */
	u8 st[8][16];
	u16 fcw;
	u16 fsw; /* TOP in bits 11-13 */
	u8 ftw;  /* abridged: bit set = register (physical number) in use */
	u16 fop;
	u64 fip, fdp;
	u16 fcs, fds;
	u32 mxcsr;
};

enum cpu_mp_state {
	CPU_RUNNABLE,
	CPU_HALTED,        /* HLT executed */
	CPU_WAIT_SIPI,     /* application processor after INIT */
	CPU_UNINITIALIZED, /* before the first INIT */
};

/* Local APIC registers by architectural offset / 16, plus what has no
 * register.  Filled by the LAPIC model or by KVM_GET_LAPIC. */
struct cpu_lapic {
	u32 regs[64];
	u64 timer_deadline_tsc;
};

/* KVM paravirtual MSRs, carried so that a clock survives a move. */
struct cpu_kvm_msrs {
	u64 system_time;
	u64 wall_clock;
	u64 async_pf_en, async_pf_int, async_pf_ack;
	u64 steal_time;
	u64 eoi_en;
	u64 poll_control;
};

#define MTRR_VAR_COUNT 8
#define MTRR_FIX_COUNT 11

struct cpu_mtrr {
	u64 def_type;
	u64 fixed[MTRR_FIX_COUNT]; /* 64K, 16K x2, 4K x8 */

	struct {
		u64 base, mask;
	} var[MTRR_VAR_COUNT];
};

#define MCE_BANKS 10

struct cpu_state {
	u64 gpr[REG_COUNT];
	u64 rip;
	u64 rflags; /* complete; TCG's lazy flags are folded in on get_state */

	struct cpu_segment seg[SEG_COUNT];
	struct cpu_segment ldt, tr;
	struct cpu_table gdt, idt;

	u64 cr0, cr2, cr3, cr4, cr8;
	u64 efer;
	u64 xcr0, xss;
	u64 dr[8]; /* 0-3, 6, 7 used */

	u64 star, lstar, cstar, fmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 pat, tsc_aux, misc_enable, spec_ctrl, feature_control;
	u64 apic_base;
	u64 tsc; /* value of the guest's TSC at the last get_state */
	u64 tsc_adjust, tsc_deadline;
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 mce_banks[4 * MCE_BANKS];
	struct cpu_mtrr mtrr;
	struct cpu_kvm_msrs kvm;
	u64 smbase;

	struct cpu_fpu fpu;
	union cpu_vec vec[32];
	u64 opmask[8];
	u32 pkru;
	u64 xsave_bv; /* XSTATE_BV last loaded: which components are in use */

	/* Events between two instructions. */
	u8 mp_state; /* enum cpu_mp_state */
	bool nmi_pending;
	bool nmi_second;       /* latched behind nmi_pending; tcg */
	bool nmi_masked;       /* until IRET */
	bool interrupt_shadow; /* after STI or MOV SS */
	bool smm;
	bool exception_pending; /* not yet delivered */
	bool exception_has_code;
	bool interrupt_injected; /* acknowledged but not yet delivered */
	bool interrupt_soft;
	u8 exception_vector;
	u8 interrupt_vector;
	u8 sipi_vector;
	u32 exception_code;

	struct cpu_lapic lapic;
};

/* Power-on state, SDM 3A "Processor state after reset"; `bsp` starts at the
 * reset vector, others wait for INIT.  Keeps what `init` (an INIT, not a
 * RESET) must keep: FPU, vector registers, MTRRs, TSC. */
void cpu_reset(struct cpu_state *c, bool bsp, bool init);
struct buf;
/* Registers as lines of text, for the log; with -d cpu_reset those before a
 * reset of vCPU `index`. */
void cpu_dump(const struct cpu_state *c, struct buf *out);
void cpu_log_reset(const struct cpu_state *c, int index);

/* As CPUID counts them: the mode that an instruction at CS:RIP runs in. */
static inline bool cpu_long_mode(const struct cpu_state *c)
{
	return c->efer & EFER_LMA;
}

static inline bool cpu_code64(const struct cpu_state *c)
{
	return cpu_long_mode(c) && (c->seg[SEG_CS].attr & SEG_ATTR_L);
}

static inline int cpu_cpl(const struct cpu_state *c)
{
	if (!(c->cr0 & CR0_PE))
		return 0;
	if (c->rflags & RFLAGS_VM)
		return 3;
	return SEG_DPL(c->seg[SEG_SS].attr);
}

#define CPU_PHYS_BITS 48 /* as CPUID announces */

/* What a page walk found: the entries it read and the rights they give. */
struct cpu_walk {
	struct {
		gpa_t addr;
		u64 value;
	} entry[5];

	int n;        /* entries read; the last one is the leaf */
	bool wide;    /* of 8 bytes, not 4 */
	bool present; /* every entry read had P set */
	bool rsvd;    /* a reserved bit was set */
	bool user, write, nx, global;
	gpa_t pa; /* of the address looked up */
	u64 page_size;
};

struct memory;
/* Walks without side effects (no A/D bits, no fault); true when `va` is
 * mapped.  With paging off everything is. */
bool cpu_walk(const struct cpu_state *c, struct memory *mem, gva_t va,
	      struct cpu_walk *w);
/* The same for the monitor and the debugger: guest-physical address of linear
 * address `va`.  The last two may be NULL. */
bool cpu_translate(const struct cpu_state *c, struct memory *mem, gva_t va,
		   gpa_t *ret_pa, u64 *ret_page_size, u64 *ret_pte);

#endif
