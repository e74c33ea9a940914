/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPUID as the emulation engine answers it: the model's leaves, XSAVE sizes
 * and the time stamp counter's rate.
 */
#include <string.h>

#include "tcg/decode.h"
#include "tcg/pvclock.h"
#include "tcg/tcg.h"
#include "vmm/machine.h"

#define XCR0_AVX BIT(2)

/* What the engine can offer on this host. */
static void tcg_available(u32 avail[CPUID_WORDS], bool amd)
{
	u32 host[CPUID_WORDS];

	cpuid_host_words(host);
	memset(avail, 0, CPUID_WORDS * sizeof *avail);
	avail[CPUID_KVM_EAX] = PVCLOCK_NEW;
	for (int n = 0; n < cpuid_feature_count; n++) {
		const struct cpuid_feature *f = &cpuid_features[n];
		u32 bit = 1u << f->bit;

		if (f->engine == TCG_YES || (f->engine == TCG_INTEL && !amd) ||
		    (f->engine == TCG_AMD && amd) ||
		    (f->engine == TCG_HOST && (host[f->word] & bit)))
			avail[f->word] |= bit;
	}
}

static bool tcg_vendor_is_amd(const char *vendor)
{
	return !strcmp(vendor, "AuthenticAMD") ||
	       !strcmp(vendor, "HygonGenuine");
}

static bool tcg_is_amd(const struct cpu_model *m)
{
	return tcg_vendor_is_amd(m->vendor);
}

void tcg_cpu_features(struct machine *m, const char *vendor, u32 *words)
{
	tcg_available(words, tcg_vendor_is_amd(vendor));
}

/* Nothing here speculates, so whatever the model is, the guest may know that
 * it needs no mitigations: SPEC_CTRL (whose IBRS costs nothing) and
 * ARCH_CAPABILITIES; SSB_NO, BTC_NO, SRSO_NO, AutoIBRS, LFENCE. */
static void tcg_add_not_affected(struct cpu_model *m)
{
	static const struct {
		u8 word, bit;
		bool amd;
	} rows[] = {
		{ CPUID_7_EDX, 26, false },  { CPUID_7_EDX, 29, false },
		{ CPUID_8_8_EBX, 26, true }, { CPUID_8_8_EBX, 29, true },
		{ CPUID_8_21_EAX, 2, true }, { CPUID_8_21_EAX, 6, true },
		{ CPUID_8_21_EAX, 8, true }, { CPUID_8_21_EAX, 29, true },
	};

	for (u32 n = 0; n < ARRAY_SIZE(rows); n++)
		if (rows[n].amd == tcg_is_amd(m))
			m->word[rows[n].word] |=
				(1u << rows[n].bit) & ~m->minus[rows[n].word];
}

int tcg_cpuid_init(struct tcg *t, const char *cpu_model, struct err *err)
{
	static const u32 all[CPUID_WORDS] = {
		[0 ... CPUID_WORDS - 1] = UINT32_MAX,
	};
	u32 avail[CPUID_WORDS];
	int r;

	/* The vendor decides what is available: parse for it first. */
	r = cpu_model_parse(cpu_model, "max", all, &t->model, err);
	if (r < 0)
		return r;
	tcg_available(avail, tcg_is_amd(&t->model));
	r = cpu_model_parse(cpu_model, "max", avail, &t->model, err);
	if (r < 0)
		return r;
	tcg_add_not_affected(&t->model);
	cpu_model_add_kvm(&t->model, avail);
	return 0;
}

/* The decoder's names for features. */
static const struct {
	u8 feature, word, bit;
} tcg_features[] = {
	{ FEAT_BASE, CPUID_WORDS, 0 },
	{ FEAT_CMOV, CPUID_1_EDX, 15 },
	{ FEAT_CX8, CPUID_1_EDX, 8 },
	{ FEAT_CX16, CPUID_1_ECX, 13 },
	{ FEAT_SYSCALL, CPUID_8_1_EDX, 11 },
	{ FEAT_SEP, CPUID_1_EDX, 11 },
	{ FEAT_TSC, CPUID_1_EDX, 4 },
	{ FEAT_MSR, CPUID_1_EDX, 5 },
	{ FEAT_RDTSCP, CPUID_8_1_EDX, 27 },
	{ FEAT_RDPID, CPUID_7_ECX, 22 },
	{ FEAT_FSGSBASE, CPUID_7_EBX, 0 },
	{ FEAT_SMAP, CPUID_7_EBX, 20 },
	{ FEAT_INVPCID, CPUID_7_EBX, 10 },
	{ FEAT_MONITOR, CPUID_1_ECX, 3 },
	{ FEAT_XSAVE, CPUID_1_ECX, 26 },
	{ FEAT_XSAVEOPT, CPUID_D_1_EAX, 0 },
	{ FEAT_XSAVEC, CPUID_D_1_EAX, 1 },
	{ FEAT_FXSR, CPUID_1_EDX, 24 },
	{ FEAT_CLFSH, CPUID_1_EDX, 19 },
	{ FEAT_CLFLUSHOPT, CPUID_7_EBX, 23 },
	{ FEAT_CLWB, CPUID_7_EBX, 24 },
	{ FEAT_CLZERO, CPUID_8_8_EBX, 0 },
	{ FEAT_RDPRU, CPUID_8_8_EBX, 4 },
	{ FEAT_RDRAND, CPUID_1_ECX, 30 },
	{ FEAT_RDSEED, CPUID_7_EBX, 18 },
	{ FEAT_LAHF64, CPUID_8_1_ECX, 0 },
	{ FEAT_PREFETCHW, CPUID_8_1_ECX, 8 },
	{ FEAT_MOVBE, CPUID_1_ECX, 22 },
	{ FEAT_POPCNT, CPUID_1_ECX, 23 },
	{ FEAT_LZCNT, CPUID_8_1_ECX, 5 },
	{ FEAT_BMI1, CPUID_7_EBX, 3 },
	{ FEAT_BMI2, CPUID_7_EBX, 8 },
	{ FEAT_ADX, CPUID_7_EBX, 19 },
	{ FEAT_FPU, CPUID_1_EDX, 0 },
	{ FEAT_MMX, CPUID_1_EDX, 23 },
	{ FEAT_SSE, CPUID_1_EDX, 25 },
	{ FEAT_SSE2, CPUID_1_EDX, 26 },
	{ FEAT_SSE3, CPUID_1_ECX, 0 },
	{ FEAT_SSSE3, CPUID_1_ECX, 9 },
	{ FEAT_SSE41, CPUID_1_ECX, 19 },
	{ FEAT_SSE42, CPUID_1_ECX, 20 },
	{ FEAT_SSE4A, CPUID_8_1_ECX, 6 },
	{ FEAT_AES, CPUID_1_ECX, 25 },
	{ FEAT_PCLMUL, CPUID_1_ECX, 1 },
	{ FEAT_SHA, CPUID_7_EBX, 29 },
	{ FEAT_AVX, CPUID_1_ECX, 28 },
	{ FEAT_AVX2, CPUID_7_EBX, 5 },
	{ FEAT_FMA, CPUID_1_ECX, 12 },
	{ FEAT_F16C, CPUID_1_ECX, 29 },
	{ FEAT_VAES, CPUID_7_ECX, 9 },
	{ FEAT_VPCLMUL, CPUID_7_ECX, 10 },
	{ FEAT_GFNI, CPUID_7_ECX, 8 },
	{ FEAT_SERIALIZE, CPUID_7_EDX, 14 },
};

static const struct cpu_model *tcg_model(struct tcg_cpu *c)
{
	return &c->t->model;
}

void tcg_cpuid_vcpu(struct tcg_cpu *c)
{
	const struct cpu_model *m = tcg_model(c);

	c->features = 0;
	for (u32 n = 0; n < ARRAY_SIZE(tcg_features); n++)
		if (tcg_features[n].word == CPUID_WORDS ||
		    cpu_model_has(m, tcg_features[n].word, tcg_features[n].bit))
			c->features |= BIT(tcg_features[n].feature);
	c->mode_key = tcg_is_amd(m) ? MODE_AMD : 0;
}

u32 tcg_signature(struct tcg_cpu *c)
{
	return cpu_model_signature(tcg_model(c));
}

/* x87 and SSE in the legacy area, header, AVX at its standard place. */
static u32 xsave_size(u64 xcr0)
{
	return xcr0 & XCR0_AVX ? 576 + 256 : 576;
}

static void cpuid_xsave(struct tcg_cpu *c, u32 subleaf, u32 out[4])
{
	const struct cpu_model *m = tcg_model(c);
	u64 mask = 3;

	if (!cpu_model_has(m, CPUID_1_ECX, 26))
		return;
	if (cpu_model_has(m, CPUID_1_ECX, 28))
		mask |= XCR0_AVX;
	if (subleaf == 0) {
		out[0] = mask;
		out[1] = xsave_size(c->s->xcr0);
		out[2] = xsave_size(mask);
	} else if (subleaf == 1) {
		out[1] = xsave_size(c->s->xcr0);
	} else if (subleaf == 2 && (mask & XCR0_AVX)) {
		out[0] = 256;
		out[1] = 576;
	}
}

static void cpuid_hypervisor(struct tcg_cpu *c, u32 leaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof *out);
	if (!cpu_model_has(tcg_model(c), CPUID_1_ECX, 31))
		return;
	if (leaf == 0x40000000) {
		out[0] = 0x40000010;
		memcpy(&out[1],
		       pvclock_is_kvm(c) ? "KVMKVMKVM\0\0" : "TCGTCGTCGTCG",
		       12);
	} else if (leaf == 0x40000001) {
		out[0] = tcg_model(c)->word[CPUID_KVM_EAX];
	} else if (leaf == 0x40000010) {
		out[0] = machine_tsc_khz(c->m);
		out[1] = 1000000; /* LAPIC timer, kHz */
	}
}

static bool cpuid_apic_off(struct tcg_cpu *c)
{
	const struct lapic_ops *l = c->m->lapic;
	u64 base;

	return l && l->msr_read(c->v, MSR_IA32_APICBASE, &base) &&
	       !(base & APICBASE_ENABLE);
}

void tcg_cpuid(struct tcg_cpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
	const struct cpu_model *m = tcg_model(c);
	u32 khz = machine_tsc_khz(c->m);
	u32 max[4];

	if (leaf >= 0x40000000 && leaf < 0x40000100) {
		cpuid_hypervisor(c, leaf, out);
		return;
	}
	/* Above the last leaf Intel repeats it; zero is AMD's answer. */
	cpu_model_cpuid(m, &c->m->topo, c->v->apic_id, leaf & 0x80000000, 0,
			max);
	if (leaf > max[0]) {
		memset(out, 0, 4 * sizeof *out);
		return;
	}
	cpu_model_cpuid(m, &c->m->topo, c->v->apic_id, leaf, subleaf, out);
	switch (leaf) {
	case 1:
		if (cpuid_apic_off(c))
			out[3] &= ~(1u << 9); /* SDM 3A 11.4.3 */
		if (c->s->cr4 & CR4_OSXSAVE)
			out[2] |= 1u << 27;
		break;
	case 0xd: cpuid_xsave(c, subleaf, out); break;
	case 0x80000021:
		if (tcg_is_amd(m))
			out[2] |= 6; /* TSA_SQ_NO, TSA_L1_NO */
		break;
	case 0x15:
		out[0] = out[1] = 1;
		out[2] = khz * 1000;
		break;
	case 0x16: out[0] = out[1] = khz / 1000; break;
	}
}
