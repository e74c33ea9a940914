/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * struct cpu_state <-> the kernel's register sets.
 *
 * kvm_get() reads everything and keeps a copy of what it read; kvm_put()
 * writes the groups that differ from that copy.  So a caller that changes
 * one register does not turn back the TSC, and does not undo interrupts that
 * arrived in between.  Without a copy (first put, or the vCPU ran since)
 * everything is written, in an order that each step needs of the former.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "kvm/internal.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"

/* ---- Model-specific registers ---- */

#define KVM_MSR_SMBASE       0x9eu
#define KVM_MSR_WALL_CLOCK   0x4b564d00u
#define KVM_MSR_SYSTEM_TIME  0x4b564d01u
#define KVM_MSR_ASYNC_PF_EN  0x4b564d02u
#define KVM_MSR_STEAL_TIME   0x4b564d03u
#define KVM_MSR_EOI_EN       0x4b564d04u
#define KVM_MSR_POLL_CONTROL 0x4b564d05u
#define KVM_MSR_ASYNC_PF_INT 0x4b564d06u
#define KVM_MSR_ASYNC_PF_ACK 0x4b564d07u

#define MSR(index, field)                                \
	{                                                \
		index, offsetof(struct cpu_state, field) \
	}

/* In the order of writing: the TSC before the clocks that count on it. */
static const struct kvm_msr_row kvm_msr_rows[] = {
	/* clang-format off */
	MSR(MSR_IA32_FEATURE_CONTROL, feature_control),
	MSR(MSR_IA32_TSC,             tsc),
	MSR(MSR_IA32_TSC_ADJUST,      tsc_adjust),
	MSR(MSR_STAR,                 star),
	MSR(MSR_LSTAR,                lstar),
	MSR(MSR_CSTAR,                cstar),
	MSR(MSR_FMASK,                fmask),
	MSR(MSR_KERNEL_GS_BASE,       kernel_gs_base),
	MSR(MSR_IA32_SYSENTER_CS,     sysenter_cs),
	MSR(MSR_IA32_SYSENTER_ESP,    sysenter_esp),
	MSR(MSR_IA32_SYSENTER_EIP,    sysenter_eip),
	MSR(MSR_IA32_PAT,             pat),
	MSR(MSR_TSC_AUX,              tsc_aux),
	MSR(MSR_IA32_MISC_ENABLE,     misc_enable),
	MSR(MSR_IA32_SPEC_CTRL,       spec_ctrl),
	MSR(MSR_IA32_XSS,             xss),
	MSR(KVM_MSR_SMBASE,           smbase),
	MSR(MSR_IA32_MCG_STATUS,      mcg_status),
	MSR(MSR_IA32_MCG_CTL,         mcg_ctl),
	MSR(MSR_MTRR_FIX64K_00000,    mtrr.fixed[0]),
	MSR(MSR_MTRR_FIX16K_80000,    mtrr.fixed[1]),
	MSR(MSR_MTRR_FIX16K_A0000,    mtrr.fixed[2]),
	MSR(MSR_MTRR_FIX4K_C0000,     mtrr.fixed[3]),
	MSR(MSR_MTRR_FIX4K_C0000 + 1, mtrr.fixed[4]),
	MSR(MSR_MTRR_FIX4K_C0000 + 2, mtrr.fixed[5]),
	MSR(MSR_MTRR_FIX4K_C0000 + 3, mtrr.fixed[6]),
	MSR(MSR_MTRR_FIX4K_C0000 + 4, mtrr.fixed[7]),
	MSR(MSR_MTRR_FIX4K_C0000 + 5, mtrr.fixed[8]),
	MSR(MSR_MTRR_FIX4K_C0000 + 6, mtrr.fixed[9]),
	MSR(MSR_MTRR_FIX4K_C0000 + 7, mtrr.fixed[10]),
	MSR(KVM_MSR_SYSTEM_TIME,      kvm.system_time),
	MSR(KVM_MSR_WALL_CLOCK,       kvm.wall_clock),
	MSR(KVM_MSR_ASYNC_PF_INT,     kvm.async_pf_int),
	MSR(KVM_MSR_ASYNC_PF_ACK,     kvm.async_pf_ack),
	MSR(KVM_MSR_ASYNC_PF_EN,      kvm.async_pf_en),
	MSR(KVM_MSR_STEAL_TIME,       kvm.steal_time),
	MSR(KVM_MSR_EOI_EN,           kvm.eoi_en),
	MSR(KVM_MSR_POLL_CONTROL,     kvm.poll_control),
	/* clang-format on */
};

/* Written after the LAPIC, which would disarm it. */
static const struct kvm_msr_row kvm_deadline_row =
	MSR(MSR_IA32_TSC_DEADLINE, tsc_deadline);
/* Last of the memory types: switches them on. */
static const struct kvm_msr_row kvm_mtrr_type_row =
	MSR(MSR_MTRR_DEF_TYPE, mtrr.def_type);

/* struct kvm_msrs with room for its entries. */
struct kvm_msr_batch {
	u32 nmsrs, pad;
	struct kvm_msr_entry entries[KVM_MSRS_MAX];
};

_Static_assert(offsetof(struct kvm_msr_batch, entries) ==
		       offsetof(struct kvm_msrs, entries),
	       "the kernel's layout");

static u64 *kvm_msr_field(struct cpu_state *c, const struct kvm_msr_row *row)
{
	return (u64 *)((u8 *)c + row->offset);
}

static void kvm_msr_add(struct kvm_vm *k, u32 index, size_t offset)
{
	if (k->nmsrs < KVM_MSRS_MAX)
		k->msrs[k->nmsrs++] = (struct kvm_msr_row){ index, offset };
}

void kvm_regs_init(struct kvm_vm *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(kvm_msr_rows); i++)
		kvm_msr_add(k, kvm_msr_rows[i].index, kvm_msr_rows[i].offset);
	for (int i = 0; i < MTRR_VAR_COUNT; i++) {
		size_t at = offsetof(struct cpu_state, mtrr.var) +
			    i * sizeof(((struct cpu_mtrr *)0)->var[0]);

		kvm_msr_add(k, MSR_MTRR_PHYSBASE0 + 2 * i, at);
		kvm_msr_add(k, MSR_MTRR_PHYSBASE0 + 2 * i + 1,
			    at + sizeof(u64));
	}
	kvm_msr_add(k, kvm_mtrr_type_row.index, kvm_mtrr_type_row.offset);
	for (int i = 0; k->has_mce && i < 4 * MCE_BANKS; i++)
		kvm_msr_add(k, MSR_IA32_MC0_CTL + i,
			    offsetof(struct cpu_state, mce_banks) +
				    i * sizeof(u64));
}

static int kvm_msr_read_one(struct kvm_vcpu *kv, u32 index, u64 *ret)
{
	struct kvm_msr_batch b = {
		.nmsrs = 1,
		.entries[0].index = index,
	};
	int r = kvm_ioctl(kv->fd, KVM_GET_MSRS, &b);

	if (r == 1)
		*ret = b.entries[0].data;
	return r == 1 ? 0 : -ENOENT;
}

static int kvm_msr_write_one(struct kvm_vcpu *kv, u32 index, u64 value)
{
	struct kvm_msr_batch b = {
		.nmsrs = 1,
		.entries[0] = { .index = index, .data = value },
	};
	int r = kvm_ioctl(kv->fd, KVM_SET_MSRS, &b);

	return r == 1 ? 0 : -EINVAL;
}

/* KVM_GET_MSR_INDEX_LIST omits MTRRs and machine-check banks on many
 * kernels although they work; asking for the value tells the truth. */
void kvm_regs_trim(struct kvm_vm *k, struct kvm_vcpu *kv)
{
	int kept = 0;
	u64 value;

	for (int i = 0; i < k->nmsrs; i++)
		if (!kvm_msr_read_one(kv, k->msrs[i].index, &value))
			k->msrs[kept++] = k->msrs[i];
	k->nmsrs = kept;
}

static void kvm_get_msrs(struct kvm_vm *k, struct kvm_vcpu *kv,
			 struct cpu_state *c)
{
	struct kvm_msr_batch b = { .nmsrs = k->nmsrs };
	int n;

	for (int i = 0; i < k->nmsrs; i++)
		b.entries[i].index = k->msrs[i].index;
	n = kvm_ioctl(kv->fd, KVM_GET_MSRS, &b);
	for (int i = 0; i < n; i++)
		*kvm_msr_field(c, &k->msrs[i]) = b.entries[i].data;
	if (k->has_tsc_deadline)
		kvm_msr_read_one(kv, kvm_deadline_row.index, &c->tsc_deadline);
}

/* Writes those of `b` that the kernel accepts; it stops at each other. */
static void kvm_set_msr_batch(struct kvm_vcpu *kv, struct kvm_msr_batch *b)
{
	int r;

	while (b->nmsrs) {
		r = MAX(0, kvm_ioctl(kv->fd, KVM_SET_MSRS, b));
		if (r >= (int)b->nmsrs)
			return;
		log_guest("kvm", "MSR %#x does not take %#llx",
			  b->entries[r].index,
			  (unsigned long long)b->entries[r].data);
		b->nmsrs -= r + 1;
		memmove(b->entries, b->entries + r + 1,
			b->nmsrs * sizeof b->entries[0]);
	}
}

static int kvm_put_msrs(struct kvm_vm *k, struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	struct kvm_msr_batch b = { 0 };

	for (int i = 0; i < k->nmsrs; i++) {
		const struct kvm_msr_row *row = &k->msrs[i];
		u64 value = *kvm_msr_field(&v->cpu, row);

		if (kv->known && *kvm_msr_field(&kv->kernel, row) == value)
			continue;
		b.entries[b.nmsrs++] = (struct kvm_msr_entry){
			.index = row->index,
			.data = value,
		};
	}
	kvm_set_msr_batch(kv, &b);
	return 0;
}

static int kvm_put_deadline(struct kvm_vm *k, struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	u64 value = v->cpu.tsc_deadline;

	if (!k->has_tsc_deadline ||
	    (kv->known && kv->kernel.tsc_deadline == value))
		return 0;
	return kvm_msr_write_one(kv, kvm_deadline_row.index, value);
}

/* ---- Segments and system registers ---- */

static void kvm_get_seg(struct cpu_segment *s, const struct kvm_segment *k)
{
	s->base = k->base;
	s->limit = k->limit;
	s->sel = k->selector;
	s->attr = (k->type & 0xf) | (k->s & 1) << 4 | (k->dpl & 3) << 5 |
		  (k->present & 1) << 7 | (k->avl & 1) << 12 |
		  (k->l & 1) << 13 | (k->db & 1) << 14 | (k->g & 1) << 15;
	if (k->unusable)
		s->attr &= ~SEG_ATTR_P;
}

static void kvm_put_seg(struct kvm_segment *k, const struct cpu_segment *s)
{
	*k = (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->attr & SEG_ATTR_TYPE,
		.s = !!(s->attr & SEG_ATTR_S),
		.dpl = SEG_DPL(s->attr),
		.present = !!(s->attr & SEG_ATTR_P),
		.avl = !!(s->attr & SEG_ATTR_AVL),
		.l = !!(s->attr & SEG_ATTR_L),
		.db = !!(s->attr & SEG_ATTR_DB),
		.g = !!(s->attr & SEG_ATTR_G),
		.unusable = !(s->attr & SEG_ATTR_P),
	};
}

static void kvm_sregs_to_cpu(struct cpu_state *c, const struct kvm_sregs *s)
{
	kvm_get_seg(&c->seg[SEG_ES], &s->es);
	kvm_get_seg(&c->seg[SEG_CS], &s->cs);
	kvm_get_seg(&c->seg[SEG_SS], &s->ss);
	kvm_get_seg(&c->seg[SEG_DS], &s->ds);
	kvm_get_seg(&c->seg[SEG_FS], &s->fs);
	kvm_get_seg(&c->seg[SEG_GS], &s->gs);
	kvm_get_seg(&c->ldt, &s->ldt);
	kvm_get_seg(&c->tr, &s->tr);
	c->gdt = (struct cpu_table){ s->gdt.base, s->gdt.limit };
	c->idt = (struct cpu_table){ s->idt.base, s->idt.limit };
	c->cr0 = s->cr0;
	c->cr2 = s->cr2;
	c->cr3 = s->cr3;
	c->cr4 = s->cr4;
	c->cr8 = s->cr8;
	c->efer = s->efer;
	c->apic_base = s->apic_base;
}

static void kvm_sregs_from_cpu(struct kvm_sregs *s, const struct cpu_state *c)
{
	memset(s, 0, sizeof *s);
	kvm_put_seg(&s->es, &c->seg[SEG_ES]);
	kvm_put_seg(&s->cs, &c->seg[SEG_CS]);
	kvm_put_seg(&s->ss, &c->seg[SEG_SS]);
	kvm_put_seg(&s->ds, &c->seg[SEG_DS]);
	kvm_put_seg(&s->fs, &c->seg[SEG_FS]);
	kvm_put_seg(&s->gs, &c->seg[SEG_GS]);
	kvm_put_seg(&s->ldt, &c->ldt);
	kvm_put_seg(&s->tr, &c->tr);
	s->gdt.base = c->gdt.base;
	s->gdt.limit = c->gdt.limit;
	s->idt.base = c->idt.base;
	s->idt.limit = c->idt.limit;
	s->cr0 = c->cr0;
	s->cr2 = c->cr2;
	s->cr3 = c->cr3;
	s->cr4 = c->cr4;
	s->cr8 = c->cr8;
	s->efer = c->efer;
	s->apic_base = c->apic_base;
}

static int kvm_put_sregs(struct kvm_vm *k, struct vcpu *v)
{
	const struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;
	struct kvm_sregs now, before;

	kvm_sregs_from_cpu(&now, c);
	if (kv->known) {
		kvm_sregs_from_cpu(&before, &kv->kernel);
		if (!memcmp(&now, &before, sizeof now))
			return 0;
	}
	return kvm_ioctl(kv->fd, KVM_SET_SREGS, &now);
}

/* ---- General registers ---- */

static void kvm_regs_to_cpu(struct cpu_state *c, const struct kvm_regs *r)
{
	const u64 gpr[REG_COUNT] = {
		r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
		r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
	};

	memcpy(c->gpr, gpr, sizeof gpr);
	c->rip = r->rip;
	c->rflags = r->rflags;
}

static int kvm_put_gprs(struct kvm_vm *k, struct vcpu *v)
{
	const struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;
	const u64 *g = c->gpr;
	struct kvm_regs r = {
		.rax = g[REG_RAX],
		.rcx = g[REG_RCX],
		.rdx = g[REG_RDX],
		.rbx = g[REG_RBX],
		.rsp = g[REG_RSP],
		.rbp = g[REG_RBP],
		.rsi = g[REG_RSI],
		.rdi = g[REG_RDI],
		.r8 = g[REG_R8],
		.r9 = g[REG_R9],
		.r10 = g[REG_R10],
		.r11 = g[REG_R11],
		.r12 = g[REG_R12],
		.r13 = g[REG_R13],
		.r14 = g[REG_R14],
		.r15 = g[REG_R15],
		.rip = c->rip,
		.rflags = c->rflags,
	};

	return kvm_ioctl(kv->fd, KVM_SET_REGS, &r);
}

/* ---- x87, SSE, AVX: the standard XSAVE image, SDM 1 "XSAVE area" ---- */

#define XSAVE_MXCSR  24
#define XSAVE_ST     32
#define XSAVE_XMM    160
#define XSAVE_BV     512
#define XSAVE_HEADER 576 /* first byte after the header */

#define XCOMP_X87    0
#define XCOMP_SSE    1
#define XCOMP_YMM    2
#define XCOMP_OPMASK 5
#define XCOMP_ZMM_HI 6
#define XCOMP_HI16   7
#define XCOMP_PKRU   9

#define MXCSR_RESET 0x1f80u

/* Offset of a component in the image, or 0 when it has no place there.  The
 * layout is the processor's own, which the kernel hands on. */
static u32 kvm_xsave_at(const struct kvm_vm *k, int component, u32 size)
{
	u32 eax = 0, ebx = 0, ecx = 0, edx = 0;

	if (!__get_cpuid_count(0xd, component, &eax, &ebx, &ecx, &edx))
		return 0;
	if (eax < size || ebx < XSAVE_HEADER ||
	    !range_holds(0, k->xsave_size, ebx, size))
		return 0;
	return ebx;
}

/* Moves the part of the vector registers that one component holds. */
static void kvm_xsave_vec(union cpu_vec *vec, int n, u8 *image, size_t from,
			  size_t bytes, bool put)
{
	for (int i = 0; i < n; i++) {
		u8 *reg = vec[i].b + from;
		u8 *at = image + i * bytes;

		if (put)
			memcpy(at, reg, bytes);
		else
			memcpy(reg, at, bytes);
	}
}

static void kvm_xsave_extended(const struct kvm_vm *k, struct cpu_state *c,
			       u8 *x, bool put)
{
	u32 at;

	at = kvm_xsave_at(k, XCOMP_YMM, 16 * 16);
	if (at)
		kvm_xsave_vec(c->vec, 16, x + at, 16, 16, put);
	at = kvm_xsave_at(k, XCOMP_ZMM_HI, 16 * 32);
	if (at)
		kvm_xsave_vec(c->vec, 16, x + at, 32, 32, put);
	at = kvm_xsave_at(k, XCOMP_HI16, 16 * 64);
	if (at)
		kvm_xsave_vec(c->vec + 16, 16, x + at, 0, 64, put);
	at = kvm_xsave_at(k, XCOMP_OPMASK, sizeof c->opmask);
	if (at && put)
		memcpy(x + at, c->opmask, sizeof c->opmask);
	else if (at)
		memcpy(c->opmask, x + at, sizeof c->opmask);
	at = kvm_xsave_at(k, XCOMP_PKRU, sizeof c->pkru);
	if (at && put)
		memcpy(x + at, &c->pkru, sizeof c->pkru);
	else if (at)
		memcpy(&c->pkru, x + at, sizeof c->pkru);
}

static void kvm_xsave_to_cpu(const struct kvm_vm *k, struct cpu_state *c, u8 *x)
{
	struct cpu_fpu *f = &c->fpu;

	f->fcw = get_le16(x);
	f->fsw = get_le16(x + 2);
	f->ftw = x[4];
	f->fop = get_le16(x + 6);
	f->fip = get_le64(x + 8);
	f->fdp = get_le64(x + 16);
	f->mxcsr = get_le32(x + XSAVE_MXCSR);
	memcpy(f->st, x + XSAVE_ST, sizeof f->st);
	memset(c->vec, 0, sizeof c->vec);
	kvm_xsave_vec(c->vec, 16, x + XSAVE_XMM, 0, 16, false);
	c->xsave_bv = get_le64(x + XSAVE_BV);
	/* What is not in use has its initial value, whatever the bytes say. */
	if (!(c->xsave_bv & BIT(XCOMP_X87))) {
		memset(f, 0, offsetof(struct cpu_fpu, mxcsr));
		f->fcw = 0x37f;
	}
	if (!(c->xsave_bv & BIT(XCOMP_SSE)))
		kvm_xsave_vec(c->vec, 16, memset(x + XSAVE_XMM, 0, 256), 0, 16,
			      false);
	kvm_xsave_extended(k, c, x, false);
}

/* The interpreter and saved states need not track which components are in
 * use; all that the guest may have are, and `held`, which the kernel had. */
static void kvm_xsave_from_cpu(const struct kvm_vm *k, struct cpu_state *c,
			       u64 held, u8 *x)
{
	const struct cpu_fpu *f = &c->fpu;
	u64 bv = held | BIT(XCOMP_X87) | BIT(XCOMP_SSE);

	put_le16(x, f->fcw);
	put_le16(x + 2, f->fsw);
	x[4] = f->ftw;
	put_le16(x + 6, f->fop);
	put_le64(x + 8, f->fip);
	put_le64(x + 16, f->fdp);
	put_le32(x + XSAVE_MXCSR, f->mxcsr);
	memcpy(x + XSAVE_ST, f->st, sizeof f->st);
	kvm_xsave_vec(c->vec, 16, x + XSAVE_XMM, 0, 16, true);
	kvm_xsave_extended(k, c, x, true);
	bv |= k->xcr0 & (BIT(XCOMP_YMM) | BIT(XCOMP_OPMASK) |
			 BIT(XCOMP_ZMM_HI) | BIT(XCOMP_HI16) | BIT(XCOMP_PKRU));
	put_le64(x + XSAVE_BV, bv);
	put_le64(x + XSAVE_BV + 8, 0); /* not compacted */
}

static bool kvm_fpu_same(const struct cpu_state *a, const struct cpu_state *b)
{
	return !memcmp(&a->fpu, &b->fpu, sizeof a->fpu) &&
	       !memcmp(a->vec, b->vec, sizeof a->vec) &&
	       !memcmp(a->opmask, b->opmask, sizeof a->opmask) &&
	       a->pkru == b->pkru;
}

static int kvm_put_fpu(struct kvm_vm *k, struct vcpu *v)
{
	struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;

	if (kv->known && kvm_fpu_same(c, &kv->kernel))
		return 0;
	kvm_xsave_from_cpu(k, c, kv->known ? kv->kernel.xsave_bv : 0,
			   kv->xsave);
	return kvm_ioctl(kv->fd, KVM_SET_XSAVE, kv->xsave);
}

static int kvm_get_fpu(const struct kvm_vm *k, struct kvm_vcpu *kv,
		       struct cpu_state *c)
{
	bool large = k->xsave_size > sizeof(struct kvm_xsave);
	int r = kvm_ioctl(kv->fd, large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE,
			  kv->xsave);

	if (r >= 0)
		kvm_xsave_to_cpu(k, c, kv->xsave);
	return r;
}

static int kvm_put_xcr0(struct kvm_vm *k, struct vcpu *v)
{
	const struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;
	struct kvm_xcrs x = { .nr_xcrs = 1 };

	if (!k->has_xcrs || !k->xcr0)
		return 0;
	if (kv->known && kv->kernel.xcr0 == c->xcr0)
		return 0;
	x.xcrs[0].value = c->xcr0 ? c->xcr0 : BIT(XCOMP_X87);
	return kvm_ioctl(kv->fd, KVM_SET_XCRS, &x);
}

static void kvm_get_xcr0(const struct kvm_vm *k, struct kvm_vcpu *kv,
			 struct cpu_state *c)
{
	struct kvm_xcrs x = { 0 };

	if (k->has_xcrs && kvm_ioctl(kv->fd, KVM_GET_XCRS, &x) >= 0 &&
	    x.nr_xcrs)
		c->xcr0 = x.xcrs[0].value;
}

/* ---- Debug registers ---- */

static void kvm_get_debug(struct kvm_vcpu *kv, struct cpu_state *c)
{
	struct kvm_debugregs d = { 0 };

	if (kvm_ioctl(kv->fd, KVM_GET_DEBUGREGS, &d) < 0)
		return;
	for (int i = 0; i < 4; i++)
		c->dr[i] = d.db[i];
	c->dr[6] = d.dr6;
	c->dr[7] = d.dr7;
}

static int kvm_put_debug(struct kvm_vm *k, struct vcpu *v)
{
	const struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;
	struct kvm_debugregs d = { .dr6 = c->dr[6], .dr7 = c->dr[7] };

	if (kv->known && !memcmp(c->dr, kv->kernel.dr, sizeof c->dr))
		return 0;
	for (int i = 0; i < 4; i++)
		d.db[i] = c->dr[i];
	return kvm_ioctl(kv->fd, KVM_SET_DEBUGREGS, &d);
}

/* ---- Events ---- */

static void kvm_get_events(struct kvm_vcpu *kv, struct cpu_state *c)
{
	struct kvm_vcpu_events *e = &kv->events;

	memset(e, 0, sizeof *e);
	if (kvm_ioctl(kv->fd, KVM_GET_VCPU_EVENTS, e) < 0)
		return;
	c->exception_pending = e->exception.injected || e->exception.pending;
	c->exception_vector = e->exception.nr;
	c->exception_has_code = e->exception.has_error_code;
	c->exception_code = e->exception.error_code;
	c->interrupt_injected = e->interrupt.injected;
	c->interrupt_vector = e->interrupt.nr;
	c->interrupt_soft = e->interrupt.soft;
	c->interrupt_shadow = e->interrupt.shadow;
	c->nmi_pending = e->nmi.injected || e->nmi.pending;
	c->nmi_masked = e->nmi.masked;
	c->smm = (e->flags & KVM_VCPUEVENT_VALID_SMM) && e->smi.smm;
}

static bool kvm_events_same(const struct cpu_state *a,
			    const struct cpu_state *b)
{
	return a->exception_pending == b->exception_pending &&
	       a->exception_vector == b->exception_vector &&
	       a->exception_has_code == b->exception_has_code &&
	       a->exception_code == b->exception_code &&
	       a->interrupt_injected == b->interrupt_injected &&
	       a->interrupt_vector == b->interrupt_vector &&
	       a->interrupt_soft == b->interrupt_soft &&
	       a->interrupt_shadow == b->interrupt_shadow &&
	       a->nmi_pending == b->nmi_pending &&
	       a->nmi_masked == b->nmi_masked && a->smm == b->smm;
}

static int kvm_put_events(struct kvm_vm *k, struct vcpu *v)
{
	const struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;
	struct kvm_vcpu_events e = {
		.exception.injected = c->exception_pending,
		.exception.nr = c->exception_vector,
		.exception.has_error_code = c->exception_has_code,
		.exception.error_code = c->exception_code,
		.interrupt.injected = c->interrupt_injected,
		.interrupt.nr = c->interrupt_vector,
		.interrupt.soft = c->interrupt_soft,
		.nmi.pending = c->nmi_pending,
		.nmi.masked = c->nmi_masked,
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
			 KVM_VCPUEVENT_VALID_SHADOW,
	};

	if (kv->known && kvm_events_same(c, &kv->kernel))
		return 0;
	/* An entry with the STI shadow and IF clear is refused by Intel. */
	if (c->interrupt_shadow)
		e.interrupt.shadow = c->rflags & RFLAGS_IF
					     ? KVM_X86_SHADOW_INT_STI
					     : KVM_X86_SHADOW_INT_MOV_SS;
	if (k->has_smm) {
		e.flags |= KVM_VCPUEVENT_VALID_SMM;
		e.smi.smm = c->smm;
	}
	return kvm_ioctl(kv->fd, KVM_SET_VCPU_EVENTS, &e);
}

/* ---- Local APIC and processor state ---- */

#define LAPIC_ID      (0x20 / 16)
#define LAPIC_VERSION (0x30 / 16)
#define LAPIC_DFR     (0xe0 / 16)
#define LAPIC_SVR     (0xf0 / 16)
#define LAPIC_LVT     (0x320 / 16) /* timer; LINT0 is at 0x350 */
#define LAPIC_LINT0   (0x350 / 16)
#define LAPIC_ERROR   (0x370 / 16)

static void kvm_get_lapic(struct kvm_vcpu *kv, struct cpu_state *c)
{
	struct kvm_lapic_state s;

	if (kvm_ioctl(kv->fd, KVM_GET_LAPIC, &s) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(c->lapic.regs); i++)
		c->lapic.regs[i] = get_le32(s.regs + 16 * i);
	c->lapic.timer_deadline_tsc = c->tsc_deadline;
}

/* cpu_reset() leaves the registers zero; the version, which never is, tells.
 * LINT0 of the boot processor passes the PIC's interrupts on, as firmware
 * would set it up (virtual wire). */
static void kvm_lapic_reset(struct kvm_vm *k, const struct vcpu *v, u32 *regs)
{
	struct kvm_vcpu *kv = v->accel;
	struct kvm_lapic_state s;
	u32 version = 0x50014;

	if (kvm_ioctl(kv->fd, KVM_GET_LAPIC, &s) >= 0)
		version = get_le32(s.regs + 16 * LAPIC_VERSION);
	memset(regs, 0, 64 * sizeof *regs);
	regs[LAPIC_ID] = v->apic_id << 24;
	regs[LAPIC_VERSION] = version;
	regs[LAPIC_DFR] = 0xffffffff;
	regs[LAPIC_SVR] = 0xff;
	for (int i = LAPIC_LVT; i <= LAPIC_ERROR; i++)
		regs[i] = 0x10000;
	if (v->cpu.apic_base & APICBASE_BSP)
		regs[LAPIC_LINT0] = 0x700;
}

static int kvm_put_lapic(struct kvm_vm *k, struct vcpu *v)
{
	struct kvm_vcpu *kv = v->accel;
	struct cpu_state *c = &v->cpu;
	struct kvm_lapic_state s = { 0 };

	if (!c->lapic.regs[LAPIC_VERSION])
		kvm_lapic_reset(k, v, c->lapic.regs);
	if (kv->known &&
	    !memcmp(c->lapic.regs, kv->kernel.lapic.regs, sizeof c->lapic.regs))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(c->lapic.regs); i++)
		put_le32(s.regs + 16 * i, c->lapic.regs[i]);
	return kvm_ioctl(kv->fd, KVM_SET_LAPIC, &s);
}

static void kvm_get_mp_state(struct kvm_vcpu *kv, struct cpu_state *c)
{
	struct kvm_mp_state s = { KVM_MP_STATE_RUNNABLE };

	kvm_ioctl(kv->fd, KVM_GET_MP_STATE, &s);
	switch (s.mp_state) {
	case KVM_MP_STATE_UNINITIALIZED: c->mp_state = CPU_UNINITIALIZED; break;
	case KVM_MP_STATE_INIT_RECEIVED: c->mp_state = CPU_WAIT_SIPI; break;
	case KVM_MP_STATE_HALTED: c->mp_state = CPU_HALTED; break;
	default: c->mp_state = CPU_RUNNABLE; break;
	}
}

static int kvm_put_mp_state(struct kvm_vm *k, struct vcpu *v)
{
	static const u32 states[] = {
		[CPU_RUNNABLE] = KVM_MP_STATE_RUNNABLE,
		[CPU_HALTED] = KVM_MP_STATE_HALTED,
		[CPU_WAIT_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
		[CPU_UNINITIALIZED] = KVM_MP_STATE_UNINITIALIZED,
	};
	const struct cpu_state *c = &v->cpu;
	struct kvm_vcpu *kv = v->accel;
	struct kvm_mp_state s = { KVM_MP_STATE_RUNNABLE };

	if (kv->known && kv->kernel.mp_state == c->mp_state)
		return 0;
	if (c->mp_state < ARRAY_SIZE(states))
		s.mp_state = states[c->mp_state];
	return kvm_ioctl(kv->fd, KVM_SET_MP_STATE, &s);
}

/* ---- The whole ---- */

void kvm_get(struct vcpu *v)
{
	struct kvm_vm *k = kvm_of(v->m);
	struct kvm_vcpu *kv = v->accel;
	struct cpu_state *c = &v->cpu;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	/* First: it makes pending INIT and SIPI take effect. */
	kvm_get_mp_state(kv, c);
	if (kvm_ioctl(kv->fd, KVM_GET_REGS, &regs) >= 0)
		kvm_regs_to_cpu(c, &regs);
	if (kvm_ioctl(kv->fd, KVM_GET_SREGS, &sregs) >= 0)
		kvm_sregs_to_cpu(c, &sregs);
	kvm_get_fpu(k, kv, c);
	kvm_get_xcr0(k, kv, c);
	kvm_get_msrs(k, kv, c);
	kvm_get_debug(kv, c);
	kvm_get_events(kv, c);
	kvm_get_lapic(kv, c);
	kv->kernel = *c;
	kv->known = true;
}

/* In this order: the APIC base before the LAPIC, that before the deadline
 * it would disarm, the processor state last. */
static const struct {
	const char *name;
	int (*put)(struct kvm_vm *k, struct vcpu *v);
} kvm_puts[] = {
	{ "general registers", kvm_put_gprs },
	{ "FPU", kvm_put_fpu },
	{ "XCR0", kvm_put_xcr0 },
	{ "system registers", kvm_put_sregs },
	{ "MSRs", kvm_put_msrs },
	{ "local APIC", kvm_put_lapic },
	{ "TSC deadline", kvm_put_deadline },
	{ "debug registers", kvm_put_debug },
	{ "events", kvm_put_events },
	{ "processor state", kvm_put_mp_state },
};

int kvm_put(struct vcpu *v)
{
	struct kvm_vm *k = kvm_of(v->m);
	struct kvm_vcpu *kv = v->accel;
	int r;

	/* After a reset nothing of the old state may survive by chance. */
	if (!v->cpu.lapic.regs[LAPIC_VERSION]) {
		kv->known = false;
		kv->extint = false;
		kv->extint_vector = -1;
		/* The TSC begins anew, too. */
		kv->tsc_paused = atomic_load(&k->tsc_paused);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kvm_puts); i++) {
		r = kvm_puts[i].put(k, v);
		if (r >= 0)
			continue;
		kv->known = false;
		log_warn("vCPU %d: KVM refuses the %s: %s", v->index,
			 kvm_puts[i].name, strerror(-r));
		return r;
	}
	kv->kernel = v->cpu;
	kv->known = true;
	return 0;
}
