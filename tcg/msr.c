/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Model-specific registers.
 *
 * One row is a register kept in struct cpu_state or a constant; what needs
 * code is in the two switches.  Anything else is #GP, as on hardware.
 *
 * Spec: SDM 4, APM 2 appendix A.
 */
#include "tcg/pvclock.h"
#include "tcg/seg.h"
#include "tcg/system.h"

#include "lib/log.h"
#include "lib/trace.h"
#include "vmm/machine.h"

enum msr_kind {
	MSR_FIELD,     /* u64 of struct cpu_state; `mask`: bits that exist */
	MSR_CANONICAL, /* ... holding an address */
	MSR_CONST,     /* reads `mask`; writes are dropped */
	MSR_READONLY,  /* reads `mask`; writes are #GP */
};

enum msr_vendor { ANY_VENDOR, INTEL, AMD };

struct msr_row {
	u32 msr;
	u8 kind;
	u8 vendor;
	u16 offset;
	u64 mask;
};

#define FIELD(f) offsetof(struct cpu_state, f)

/* RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO,
 * TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO,
 * ITS_NO: nothing here speculates. */
#define ARCH_CAP                                                               \
	(BIT(0) | BIT(1) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) |        \
	 BIT(13) | BIT(14) | BIT(15) | BIT(20) | BIT(24) | BIT(26) | BIT(27) | \
	 BIT(62))
#define ARCH_CAP_IBRS_ALL BIT(1)

/* clang-format off */
static const struct msr_row msr_rows[] = {
	{ MSR_IA32_SYSENTER_CS,  MSR_FIELD, ANY_VENDOR, FIELD(sysenter_cs), UINT32_MAX },
	{ MSR_IA32_SYSENTER_ESP, MSR_CANONICAL, ANY_VENDOR, FIELD(sysenter_esp), 0 },
	{ MSR_IA32_SYSENTER_EIP, MSR_CANONICAL, ANY_VENDOR, FIELD(sysenter_eip), 0 },
	{ MSR_STAR,   MSR_FIELD, ANY_VENDOR, FIELD(star), UINT64_MAX },
	{ MSR_LSTAR,  MSR_CANONICAL, ANY_VENDOR, FIELD(lstar), 0 },
	{ MSR_CSTAR,  MSR_CANONICAL, ANY_VENDOR, FIELD(cstar), 0 },
	{ MSR_FMASK,  MSR_FIELD, ANY_VENDOR, FIELD(fmask), UINT32_MAX },
	{ MSR_KERNEL_GS_BASE, MSR_CANONICAL, ANY_VENDOR, FIELD(kernel_gs_base), 0 },
	{ MSR_TSC_AUX, MSR_FIELD, ANY_VENDOR, FIELD(tsc_aux), UINT32_MAX },
	{ MSR_IA32_MISC_ENABLE, MSR_FIELD, INTEL, FIELD(misc_enable), 0x401c50899ULL },
	{ MSR_IA32_MCG_CAP, MSR_READONLY, ANY_VENDOR, 0, MCE_BANKS | BIT(8) },
	{ MSR_IA32_MCG_STATUS, MSR_FIELD, ANY_VENDOR, FIELD(mcg_status), 7 },
	{ MSR_IA32_MCG_CTL, MSR_FIELD, ANY_VENDOR, FIELD(mcg_ctl), UINT64_MAX },
	{ MSR_MTRRCAP, MSR_READONLY, ANY_VENDOR, 0, MTRR_VAR_COUNT | BIT(8) | BIT(10) },
	{ MSR_IA32_BIOS_SIGN_ID, MSR_CONST, ANY_VENDOR, 0, 0x100000000ULL },
	{ MSR_IA32_FEATURE_CONTROL, MSR_CONST, INTEL, 0, 1 },
	{ 0x17, MSR_READONLY, INTEL, 0, 0 },         /* PLATFORM_ID */
	{ 0x2a, MSR_CONST, INTEL, 0, 0 },            /* EBL_CR_POWERON */
	{ 0x34, MSR_READONLY, INTEL, 0, 0 },         /* SMI_COUNT */
	{ 0xce, MSR_READONLY, INTEL, 0, 0 },         /* PLATFORM_INFO */
	{ 0x140, MSR_CONST, INTEL, 0, 0 },           /* MISC_FEATURES_ENABLES */
	{ 0x198, MSR_READONLY, INTEL, 0, 0 },        /* PERF_STATUS */
	{ 0x199, MSR_CONST, INTEL, 0, 0 },           /* PERF_CTL */
	{ 0x1a4, MSR_CONST, INTEL, 0, 0 },           /* prefetch control */
	{ 0x1d9, MSR_CONST, ANY_VENDOR, 0, 0 },      /* DEBUGCTL */
	{ 0xc0010000, MSR_CONST, AMD, 0, 0 },        /* PerfEvtSel0: they do not count */
	{ 0xc0010001, MSR_CONST, AMD, 0, 0 },        /* PerfEvtSel1: they do not count */
	{ 0xc0010002, MSR_CONST, AMD, 0, 0 },        /* PerfEvtSel2: they do not count */
	{ 0xc0010003, MSR_CONST, AMD, 0, 0 },        /* PerfEvtSel3: they do not count */
	{ 0xc0010004, MSR_CONST, AMD, 0, 0 },        /* PerfCtr0: they do not count */
	{ 0xc0010005, MSR_CONST, AMD, 0, 0 },        /* PerfCtr1: they do not count */
	{ 0xc0010006, MSR_CONST, AMD, 0, 0 },        /* PerfCtr2: they do not count */
	{ 0xc0010007, MSR_CONST, AMD, 0, 0 },        /* PerfCtr3: they do not count */
	{ 0xc0010010, MSR_CONST, AMD, 0, 0 },        /* SYSCFG */
	{ 0xc0010015, MSR_CONST, AMD, 0, BIT(24) },  /* HWCR: TSC at P0 */
	{ 0xc001001f, MSR_CONST, AMD, 0, 0 },        /* NB_CFG */
	{ 0xc0010055, MSR_CONST, AMD, 0, 0 },        /* INT_PENDING */
	{ 0xc0010058, MSR_CONST, AMD, 0, 0 },        /* MMIO_CONF_BASE */
	{ 0xc0010062, MSR_CONST, AMD, 0, 0 },        /* PSTATE_CTL */
	{ 0xc0010063, MSR_READONLY, AMD, 0, 0 },     /* PSTATE_STATUS */
	{ 0xc0010064, MSR_READONLY, AMD, 0, 0 },     /* PSTATE 0 */
	{ 0xc0010111, MSR_FIELD, AMD, FIELD(smbase), UINT32_MAX },
	{ 0xc0010112, MSR_CONST, AMD, 0, 0 },        /* SMM_ADDR */
	{ 0xc0010113, MSR_CONST, AMD, 0, 0 },        /* SMM_MASK */
	{ 0xc0010114, MSR_CONST, AMD, 0, BIT(4) },   /* VM_CR: SVM off */
	{ 0xc0010140, MSR_CONST, AMD, 0, 0 },        /* OSVW_ID_LENGTH */
	{ 0xc0010141, MSR_CONST, AMD, 0, 0 },        /* OSVW_STATUS */
	{ 0xc0011020, MSR_CONST, AMD, 0, 0 },        /* LS_CFG */
	{ 0xc0011022, MSR_CONST, AMD, 0, 0 },        /* DC_CFG */
	{ 0xc0011023, MSR_CONST, AMD, 0, 0 },        /* TW_CFG */
	{ 0xc0011029, MSR_CONST, AMD, 0, BIT(1) },   /* DE_CFG: LFENCE waits */
	{ 0xc001102a, MSR_CONST, AMD, 0, 0 },        /* BU_CFG2 */
	{ 0xc001102c, MSR_CONST, AMD, 0, 0 },        /* IC_CFG / EX_CFG */
	{ 0xc001102d, MSR_CONST, AMD, 0, 0 },        /* LS_CFG2 */
	{ 0xc00110a2, MSR_CONST, AMD, 0, 0 },        /* DE_CFG2 */
};

/* clang-format on */

static bool msr_is_amd(const struct tcg_cpu *c)
{
	return c->mode_key & MODE_AMD;
}

static const struct msr_row *msr_find(const struct tcg_cpu *c, u32 msr)
{
	for (u32 n = 0; n < ARRAY_SIZE(msr_rows); n++) {
		const struct msr_row *r = &msr_rows[n];

		if (r->msr == msr && (r->vendor == ANY_VENDOR ||
				      (r->vendor == AMD) == msr_is_amd(c)))
			return r;
	}
	return NULL;
}

/* ---- Memory types ---- */

static bool msr_valid_type(u8 type, bool pat)
{
	return type == 0 || type == 1 || (type >= 4 && type <= 6) ||
	       (pat && type == 7);
}

static bool msr_valid_types(u64 value, bool pat)
{
	for (int n = 0; n < 8; n++)
		if (!msr_valid_type(value >> (8 * n), pat))
			return false;
	return true;
}

/* Where an MTRR lives, or NULL. */
static u64 *msr_mtrr(struct cpu_mtrr *t, u32 msr)
{
	if (msr == MSR_MTRR_DEF_TYPE)
		return &t->def_type;
	if (msr - MSR_MTRR_PHYSBASE0 < 2 * MTRR_VAR_COUNT) {
		u32 n = msr - MSR_MTRR_PHYSBASE0;

		return n & 1 ? &t->var[n / 2].mask : &t->var[n / 2].base;
	}
	if (msr == MSR_MTRR_FIX64K_00000)
		return &t->fixed[0];
	if (msr == MSR_MTRR_FIX16K_80000 || msr == MSR_MTRR_FIX16K_A0000)
		return &t->fixed[1 + msr - MSR_MTRR_FIX16K_80000];
	if (msr - MSR_MTRR_FIX4K_C0000 < 8)
		return &t->fixed[3 + msr - MSR_MTRR_FIX4K_C0000];
	return NULL;
}

static bool msr_mtrr_write(struct cpu_mtrr *t, u32 msr, u64 value)
{
	u64 *where = msr_mtrr(t, msr);
	u64 high = ~(BIT(CPU_PHYS_BITS) - 1);

	if (msr == MSR_MTRR_DEF_TYPE) {
		if ((value & ~0xcffULL) || !msr_valid_type(value, false))
			return false;
	} else if (msr - MSR_MTRR_PHYSBASE0 < 2 * MTRR_VAR_COUNT) {
		if (value & high)
			return false;
		if (msr & 1 ? value & 0x7ff
			    : (value & 0xf00) || !msr_valid_type(value, false))
			return false;
	} else if (!msr_valid_types(value, false)) {
		return false;
	}
	*where = value;
	return true;
}

static bool msr_is_lapic(u32 msr)
{
	return msr == MSR_IA32_APICBASE || msr == MSR_IA32_TSC_DEADLINE ||
	       (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

/* ---- Read ---- */

/* Bits of CPUID that promise SPEC_CTRL (IBRS, STIBP, SSBD) and PRED_CMD. */
#define SPEC_CTRL_INTEL (BIT(26) | BIT(27) | BIT(31))
#define SPEC_CTRL_AMD   (BIT(14) | BIT(15) | BIT(24))
#define PRED_CMD_INTEL  BIT(26)
#define PRED_CMD_AMD    BIT(12)

/* Bits of leaf 7 EDX or of leaf 80000008 EBX. */
static bool msr_announced(struct tcg_cpu *c, u32 intel, u32 amd)
{
	u32 out[4];

	tcg_cpuid(c, 7, 0, out);
	if (out[3] & intel)
		return true;
	tcg_cpuid(c, 0x80000008, 0, out);
	return out[1] & amd;
}

static bool msr_has_spec_ctrl(struct tcg_cpu *c)
{
	return msr_announced(c, SPEC_CTRL_INTEL, SPEC_CTRL_AMD);
}

/* A guest that finds enhanced IBRS switches it on. */
static u64 msr_arch_cap(struct tcg_cpu *c)
{
	return msr_has_spec_ctrl(c) ? ARCH_CAP : ARCH_CAP & ~ARCH_CAP_IBRS_ALL;
}

bool msr_read(struct tcg_cpu *c, u32 msr, u64 *ret)
{
	const struct lapic_ops *l = c->m->lapic;
	const struct msr_row *r = msr_find(c, msr);
	struct cpu_state *s = c->s;
	u64 *mtrr;

	if (r) {
		*ret = r->kind == MSR_FIELD || r->kind == MSR_CANONICAL
			       ? *(u64 *)((char *)s + r->offset)
			       : r->mask;
		return true;
	}
	if (l && msr_is_lapic(msr))
		return l->msr_read(c->v, msr, ret);
	mtrr = msr_mtrr(&s->mtrr, msr);
	if (mtrr) {
		*ret = *mtrr;
		return true;
	}
	if (msr - MSR_IA32_MC0_CTL < 4 * MCE_BANKS) {
		*ret = s->mce_banks[msr - MSR_IA32_MC0_CTL];
		return true;
	}
	switch (msr) {
	case MSR_IA32_TSC: *ret = vcpu_tsc(c->v); return true;
	case MSR_IA32_TSC_ADJUST: *ret = s->tsc_adjust; return true;
	case MSR_IA32_APICBASE: *ret = s->apic_base; return true;
	case MSR_IA32_PAT: *ret = s->pat; return true;
	case MSR_EFER: *ret = s->efer; return true;
	case MSR_FS_BASE: *ret = s->seg[SEG_FS].base; return true;
	case MSR_GS_BASE: *ret = s->seg[SEG_GS].base; return true;
	case MSR_IA32_SPEC_CTRL:
		*ret = s->spec_ctrl;
		return msr_has_spec_ctrl(c);
	case MSR_IA32_ARCH_CAPABILITIES:
		*ret = msr_arch_cap(c);
		return msr_announced(c, BIT(29), 0);
	case MSR_IA32_XSS: *ret = 0; return false;
	default: return pvclock_msr_read(c, msr, ret);
	}
}

/* ---- Write ---- */

#define EFER_AIBRSE BIT(21) /* automatic IBRS */

static bool msr_write_efer(struct tcg_cpu *c, u64 value)
{
	struct cpu_state *s = c->s;
	u64 valid = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	u64 changed;
	u32 out[4];

	tcg_cpuid(c, 0x80000021, 0, out);
	if (out[0] & BIT(8))
		valid |= EFER_AIBRSE;
	if ((value & ~valid) ||
	    (((s->efer ^ value) & EFER_LME) && (s->cr0 & CR0_PG)))
		return false;
	value = (value & ~(u64)EFER_LMA) | (s->efer & EFER_LMA);
	changed = s->efer ^ value;
	s->efer = value;
	c->sys_direct = false;
	if (changed & EFER_NXE)
		tcg_tlb_flush(c, true);
	tcg_mode_changed(c);
	return true;
}

static bool msr_write_row(struct tcg_cpu *c, const struct msr_row *r, u64 value)
{
	u64 *field = (u64 *)((char *)c->s + r->offset);

	c->sys_direct = false;
	switch (r->kind) {
	case MSR_FIELD:
		if (value & ~r->mask)
			return false;
		*field = value;
		return true;
	case MSR_CANONICAL:
		if (!canonical(value))
			return false;
		*field = value;
		return true;
	case MSR_CONST: return true;
	default: return false;
	}
}

static bool msr_write_base(struct tcg_cpu *c, int seg, u64 value)
{
	if (!canonical(value))
		return false;
	sys_set_base(c, seg, value);
	return true;
}

static bool msr_write_bank(struct tcg_cpu *c, u32 msr, u64 value)
{
	u32 n = msr - MSR_IA32_MC0_CTL;

	/* STATUS can be cleared; CTL takes all ones or zero, from AMD on any
	 * mask: kernels clear bit 10 of bank 4 for the sake of the K8. */
	if (n % 4 == 0 ? !msr_is_amd(c) && value && ~value
		       : n % 4 == 1 && value)
		return false;
	c->s->mce_banks[n] = value;
	return true;
}

/* What depends on the CPU model; the LAPIC checks the rest. */
static bool msr_valid_apic_base(struct tcg_cpu *c, u64 value)
{
	u32 out[4];

	tcg_cpuid(c, 1, 0, out);
	if ((value & APICBASE_X2APIC) && !(out[2] & 1u << 21))
		return false;
	tcg_cpuid(c, 0x80000008, 0, out);
	return !(value >> (out[0] & 0xff));
}

bool msr_write(struct tcg_cpu *c, u32 msr, u64 value)
{
	const struct lapic_ops *l = c->m->lapic;
	const struct msr_row *r = msr_find(c, msr);
	struct cpu_state *s = c->s;

	if (r)
		return msr_write_row(c, r, value);
	if (l && msr_is_lapic(msr)) {
		bool ok = (msr != MSR_IA32_APICBASE ||
			   msr_valid_apic_base(c, value)) &&
			  l->msr_write(c->v, msr, value);

		tcg_irq_opened(c); /* EOI or a lower TPR */
		return ok;
	}
	if (msr_mtrr(&s->mtrr, msr))
		return msr_mtrr_write(&s->mtrr, msr, value);
	if (msr - MSR_IA32_MC0_CTL < 4 * MCE_BANKS)
		return msr_write_bank(c, msr, value);
	switch (msr) {
	case MSR_IA32_TSC:
		s->tsc_adjust += value - vcpu_tsc(c->v);
		vcpu_tsc_set(c->v, value);
		tcg_tsc_changed(c);
		pvclock_tsc_moved(c);
		return true;
	case MSR_IA32_TSC_ADJUST:
		if (value == s->tsc_adjust)
			return true;
		vcpu_tsc_set(c->v, vcpu_tsc(c->v) + value - s->tsc_adjust);
		s->tsc_adjust = value;
		tcg_tsc_changed(c);
		pvclock_tsc_moved(c);
		return true;
	case MSR_IA32_APICBASE: s->apic_base = value; return true;
	case MSR_IA32_PAT:
		if (!msr_valid_types(value, true))
			return false;
		s->pat = value;
		return true;
	case MSR_EFER: return msr_write_efer(c, value);
	case MSR_FS_BASE: return msr_write_base(c, SEG_FS, value);
	case MSR_GS_BASE: return msr_write_base(c, SEG_GS, value);
	case MSR_IA32_SPEC_CTRL:
		if (!msr_has_spec_ctrl(c) || (value & ~7ULL))
			return false;
		s->spec_ctrl = value;
		return true;
	case MSR_IA32_PRED_CMD:
		return msr_announced(c, PRED_CMD_INTEL, PRED_CMD_AMD) &&
		       !(value & ~1ULL);
	default: return pvclock_msr_write(c, msr, value);
	}
}

/* ---- Instructions ---- */

void sys_rdmsr(struct tcg_cpu *c, const struct insn *i)
{
	u32 msr = c->gpr[REG_RCX];
	u64 value;

	sys_need_cpl0(c);
	if (!msr_read(c, msr, &value)) {
		trace(UNIMP_RDMSR, "cpu %d rdmsr %#x", c->v->index, msr);
		tcg_raise_code(c, EXC_GP, 0);
	}
	c->gpr[REG_RAX] = (u32)value;
	c->gpr[REG_RDX] = value >> 32;
}

void sys_wrmsr(struct tcg_cpu *c, const struct insn *i)
{
	u32 msr = c->gpr[REG_RCX];
	u64 value = (u32)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32;

	sys_need_cpl0(c);
	if (!msr_write(c, msr, value)) {
		trace(UNIMP_WRMSR, "cpu %d wrmsr %#x = %#llx", c->v->index,
			 msr, (unsigned long long)value);
		tcg_raise_code(c, EXC_GP, 0);
	}
}
