/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPUID as the guest sees it: what KVM offers, cut to the model that was
 * asked for, plus the machine's topology.
 *
 * Spec: SDM 2A "CPUID", APM 3 appendix E, Linux virt/kvm/x86/cpuid.rst.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "vmm/cpu_models.h"

#define LEAF_VENDOR     0x0u
#define LEAF_FEATURES   0x1u
#define LEAF_CACHES     0x4u
#define LEAF_TOPOLOGY   0xbu
#define LEAF_XSAVE      0xdu
#define LEAF_TOPOLOGY2  0x1fu
#define LEAF_KVM        0x40000001u
#define LEAF_KVM_FIRST  0x40000000u
#define LEAF_EXTENDED   0x80000001u
#define LEAF_BRAND      0x80000002u
#define LEAF_SIZES      0x80000008u
#define LEAF_AMD_CACHES 0x8000001du
#define LEAF_AMD_NODE   0x8000001eu

#define F1_ECX_DEADLINE   BIT(24)
#define F1_ECX_OSXSAVE    BIT(27)
#define F1_ECX_HYPERVISOR BIT(31)
#define F1_EDX_HTT        BIT(28)
#define EXT_ECX_CMP       BIT(1)
#define F1_ECX_XSAVE      BIT(26)
#define F1_ECX_X2APIC     BIT(21)
#define POWER_EDX_INVTSC  BIT(8)

/* Paravirtual features that end in a hypercall, and those that need help of
 * ours which does not exist. */
#define PV_UNHALT      BIT(7)
#define PV_SEND_IPI    BIT(11)
#define PV_SCHED_YIELD BIT(13)
#define PV_MSI_DEST    BIT(15)
#define PV_MAP_GPA     BIT(16)
#define PV_MIGRATION   BIT(17)

static struct kvm_cpuid2 *kvm_cpuid_alloc(void)
{
	struct kvm_cpuid2 *c =
		xalloc(sizeof *c + KVM_CPUID_MAX * sizeof c->entries[0]);

	c->nent = KVM_CPUID_MAX;
	return c;
}

static struct kvm_cpuid_entry2 *kvm_cpuid_at(struct kvm_cpuid2 *c, u32 leaf,
					     u32 subleaf)
{
	for (u32 i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     e->index == subleaf))
			return e;
	}
	return NULL;
}

const struct kvm_cpuid_entry2 *kvm_cpuid_find(const struct kvm_cpuid2 *c,
					      u32 leaf, u32 subleaf)
{
	return kvm_cpuid_at((struct kvm_cpuid2 *)c, leaf, subleaf);
}

static void kvm_cpuid_drop(struct kvm_cpuid2 *c, u32 leaf)
{
	u32 kept = 0;

	for (u32 i = 0; i < c->nent; i++)
		if (c->entries[i].function != leaf)
			c->entries[kept++] = c->entries[i];
	c->nent = kept;
}

static void kvm_cpuid_add(struct kvm_cpuid2 *c, u32 leaf, u32 subleaf,
			  const u32 regs[4])
{
	if (c->nent >= KVM_CPUID_MAX)
		return;
	c->entries[c->nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = regs[0],
		.ebx = regs[1],
		.ecx = regs[2],
		.edx = regs[3],
	};
}

/* ---- What can be offered ---- */

static void kvm_cpuid_pv(struct kvm_vm *k)
{
	struct kvm_cpuid_entry2 *e = kvm_cpuid_at(k->supported, LEAF_KVM, 0);

	if (!e)
		return;
	e->eax &= ~(PV_MSI_DEST | PV_MAP_GPA | PV_MIGRATION);
	/* KVMs that interpret ring 0 hang in VMCALL. */
	if (!kvm_speed_enough(&k->speed))
		e->eax &= ~(PV_UNHALT | PV_SEND_IPI | PV_SCHED_YIELD);
}

/* ---- The model ---- */

static u32 *kvm_cpuid_reg(struct kvm_cpuid_entry2 *e, int reg)
{
	u32 *const regs[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	return regs[reg];
}

/* State components by the features that need them; x87 and SSE always. */
static u64 kvm_cpuid_components(const struct cpu_model *m)
{
	static const struct {
		u8 word, bit;
		u32 components;
	} rows[] = {
		{ CPUID_1_ECX, 28, 1u << 2 },  /* AVX */
		{ CPUID_7_EBX, 14, 3u << 3 },  /* MPX */
		{ CPUID_7_EBX, 16, 7u << 5 },  /* AVX-512 */
		{ CPUID_7_ECX, 3, 1u << 9 },   /* PKU */
		{ CPUID_7_EDX, 24, 3u << 17 }, /* AMX */
	};

	u64 mask = 3;

	if (!(m->word[CPUID_1_ECX] & F1_ECX_XSAVE))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (cpu_model_has(m, rows[i].word, rows[i].bit))
			mask |= rows[i].components;
	return mask;
}

/* What QEMU adds to every named model under KVM. */
static void kvm_cpuid_defaults(struct cpu_model *m,
			       const u32 avail[CPUID_WORDS])
{
	m->word[CPUID_1_ECX] |=
		avail[CPUID_1_ECX] & ~m->minus[CPUID_1_ECX] & F1_ECX_X2APIC;
}

static void kvm_cpuid_avail(struct kvm_vm *k, u32 words[CPUID_WORDS])
{
	for (int w = 0; w < CPUID_WORDS; w++) {
		const struct cpuid_place *p = &cpuid_places[w];
		struct kvm_cpuid_entry2 *e =
			kvm_cpuid_at(k->supported, p->leaf, p->subleaf);

		words[w] = e ? *kvm_cpuid_reg(e, p->reg) : 0;
	}
}

void kvm_features(struct machine *m, const char *vendor, u32 *words)
{
	kvm_cpuid_avail(kvm_of(m), words);
}

static int kvm_cpuid_model(struct kvm_vm *k, struct err *err)
{
	const struct kvm_cpuid_entry2 *xsave =
		kvm_cpuid_find(k->supported, LEAF_XSAVE, 0);
	struct cpu_model *m = &k->model;
	u32 avail[CPUID_WORDS];
	int r;

	kvm_cpuid_avail(k, avail);
	r = cpu_model_parse(k->m->cpu_model, "host", avail, m, err);
	if (r < 0)
		return r;
	if (!m->host)
		kvm_cpuid_defaults(m, avail);
	cpu_model_add_kvm(m, avail);
	/* Promises a rate that survives migration: only if asked for. */
	if (!(m->plus[CPUID_8_7_EDX] & POWER_EDX_INVTSC))
		m->word[CPUID_8_7_EDX] &= ~POWER_EDX_INVTSC;
	if (xsave)
		k->xcr0 = kvm_cpuid_components(m) &
			  (xsave->eax | (u64)xsave->edx << 32);
	return 0;
}

int kvm_cpuid_init(struct kvm_vm *k, struct err *err)
{
	struct kvm_cpuid_entry2 *e;
	int r;

	k->supported = kvm_cpuid_alloc();
	r = kvm_ioctl(k->dev_fd, KVM_GET_SUPPORTED_CPUID, k->supported);
	if (r < 0)
		return err_code(err, r, "KVM_GET_SUPPORTED_CPUID");
	e = kvm_cpuid_at(k->supported, LEAF_FEATURES, 0);
	if (!e)
		return err_set(err, -ENOTSUP, "KVM offers no CPUID leaf 1");
	e->ecx |= F1_ECX_HYPERVISOR;
	e->ecx &= ~F1_ECX_OSXSAVE; /* KVM mirrors CR4 */
	if (k->has_tsc_deadline)
		e->ecx |= F1_ECX_DEADLINE;
	kvm_cpuid_pv(k);
	return kvm_cpuid_model(k, err);
}

/* ---- Topology ---- */

static u32 bits_for(u32 count)
{
	u32 bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

static void kvm_cpuid_leaf_b(struct kvm_cpuid2 *c, const struct vcpu *v,
			     u32 threads, u32 per_socket)
{
	const u32 levels[3][4] = {
		{ bits_for(threads), threads, 1 << 8, v->apic_id },
		{ bits_for(per_socket), per_socket, 2 << 8 | 1, v->apic_id },
		{ 0, 0, 2, v->apic_id },
	};

	kvm_cpuid_drop(c, LEAF_TOPOLOGY);
	kvm_cpuid_drop(c, LEAF_TOPOLOGY2);
	for (u32 i = 0; i < 3; i++)
		kvm_cpuid_add(c, LEAF_TOPOLOGY, i, levels[i]);
}

/* A cache of level 1 or 2 belongs to a core, of a higher one to a socket. */
static void kvm_cpuid_caches(struct kvm_cpuid2 *c, u32 leaf, u32 threads,
			     u32 per_socket, u32 cores)
{
	for (u32 i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];
		u32 level, sharing;

		if (e->function != leaf || !(e->eax & 0x1f))
			continue;
		level = e->eax >> 5 & 7;
		sharing = level < 3 ? threads : per_socket;
		e->eax &= ~0x03ffc000u;
		e->eax |= ((1u << bits_for(sharing)) - 1) << 14;
		if (leaf == LEAF_CACHES) {
			e->eax &= 0x03ffffff;
			e->eax |= ((1u << bits_for(cores)) - 1) << 26;
		}
	}
}

static void kvm_cpuid_topology(struct kvm_cpuid2 *c, const struct vcpu *v)
{
	const struct topology *t = &v->m->topo;
	u32 threads = MAX(t->threads, 1), cores = MAX(t->cores, 1);
	u32 per_socket = threads * cores;
	struct kvm_cpuid_entry2 *e;

	e = kvm_cpuid_at(c, LEAF_FEATURES, 0);
	e->ebx = (e->ebx & 0x0000ffff) | v->apic_id << 24 |
		 MIN(1u << bits_for(per_socket), 255u) << 16;
	e->edx &= ~F1_EDX_HTT;
	if (per_socket > 1)
		e->edx |= F1_EDX_HTT;
	kvm_cpuid_caches(c, LEAF_CACHES, threads, per_socket, cores);
	kvm_cpuid_caches(c, LEAF_AMD_CACHES, threads, per_socket, cores);
	kvm_cpuid_leaf_b(c, v, threads, per_socket);

	e = kvm_cpuid_at(c, LEAF_EXTENDED, 0);
	if (e)
		e->ecx = (e->ecx & ~EXT_ECX_CMP) |
			 (per_socket > 1 ? EXT_ECX_CMP : 0);
	e = kvm_cpuid_at(c, LEAF_SIZES, 0);
	if (e)
		e->ecx = (e->ecx & ~0xf0ffu) | bits_for(per_socket) << 12 |
			 (per_socket - 1);
	e = kvm_cpuid_at(c, LEAF_AMD_NODE, 0);
	if (e) {
		e->eax = v->apic_id;
		e->ebx = v->apic_id >> bits_for(threads) | (threads - 1) << 8;
		e->ecx = v->apic_id >> bits_for(per_socket);
		e->edx = 0;
	}
}

/* ---- One vCPU ---- */

static void kvm_cpuid_copy(struct kvm_cpuid2 *to, const struct kvm_cpuid2 *from,
			   u32 first, u32 last)
{
	for (u32 i = 0; i < from->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &from->entries[i];

		if (e->function >= first && e->function <= last &&
		    to->nent < KVM_CPUID_MAX)
			to->entries[to->nent++] = *e;
	}
}

/* The host's leaves, less what -cpu took away. */
static void kvm_cpuid_host(const struct kvm_vm *k, struct kvm_cpuid2 *c,
			   const struct vcpu *v)
{
	const struct cpu_model *m = &k->model;
	struct kvm_cpuid_entry2 *e;

	kvm_cpuid_copy(c, k->supported, 0, UINT32_MAX);
	kvm_cpuid_topology(c, v);
	e = kvm_cpuid_at(c, LEAF_VENDOR, 0);
	if (e) {
		memcpy(&e->ebx, m->vendor, 4);
		memcpy(&e->edx, m->vendor + 4, 4);
		memcpy(&e->ecx, m->vendor + 8, 4);
	}
	e = kvm_cpuid_at(c, LEAF_FEATURES, 0);
	e->eax = cpu_model_signature(m);
	for (u32 i = 0; m->brand[0] && i < 3; i++) {
		e = kvm_cpuid_at(c, LEAF_BRAND + i, 0);
		if (e)
			memcpy(&e->eax, m->brand + 16 * i, 16);
	}
}

static void kvm_cpuid_named_leaf(const struct kvm_vm *k, struct kvm_cpuid2 *c,
				 const struct vcpu *v, u32 leaf)
{
	bool list = leaf == LEAF_CACHES || leaf == LEAF_AMD_CACHES;
	u32 count = list ? 8 : leaf == 7 ? 2 : leaf == LEAF_TOPOLOGY ? 3 : 1;
	u32 regs[4];

	for (u32 sub = 0; sub < count; sub++) {
		cpu_model_cpuid(&k->model, &v->m->topo, v->apic_id, leaf, sub,
				regs);
		if (list && !(regs[0] & 0x1f))
			break;
		kvm_cpuid_add(c, leaf, sub, regs);
		if (count == 1)
			c->entries[c->nent - 1].flags = 0;
	}
}

static void kvm_cpuid_named(const struct kvm_vm *k, struct kvm_cpuid2 *c,
			    const struct vcpu *v)
{
	static const u32 bases[] = { 0, 0x80000000 };
	const struct kvm_cpuid_entry2 *sizes =
		kvm_cpuid_find(k->supported, LEAF_SIZES, 0);
	struct kvm_cpuid_entry2 *e;
	u32 regs[4];

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		cpu_model_cpuid(&k->model, &v->m->topo, v->apic_id, bases[i], 0,
				regs);
		for (u32 leaf = bases[i]; leaf <= regs[0]; leaf++)
			if (leaf != LEAF_XSAVE)
				kvm_cpuid_named_leaf(k, c, v, leaf);
	}
	kvm_cpuid_copy(c, k->supported, LEAF_XSAVE, LEAF_XSAVE);
	kvm_cpuid_copy(c, k->supported, LEAF_KVM_FIRST, LEAF_KVM);
	/* The guest cannot have more address bits than the processor. */
	e = kvm_cpuid_at(c, LEAF_SIZES, 0);
	if (e && sizes && (sizes->eax & 0xff) < (e->eax & 0xff))
		e->eax = (e->eax & ~0xffu) | (sizes->eax & 0xff);
}

static void kvm_cpuid_words(const struct kvm_vm *k, struct kvm_cpuid2 *c)
{
	for (int w = 0; w < CPUID_WORDS; w++) {
		const struct cpuid_place *p = &cpuid_places[w];
		struct kvm_cpuid_entry2 *e =
			kvm_cpuid_at(c, p->leaf, p->subleaf);
		u32 keep = 0;

		if (!e)
			continue;
		/* These follow from the topology. */
		if (w == CPUID_1_EDX)
			keep = F1_EDX_HTT;
		else if (w == CPUID_8_1_ECX)
			keep = EXT_ECX_CMP;
		else if (w == CPUID_8_1_EDX && !k->model.host)
			continue; /* with AMD's copies of leaf 1 */
		*kvm_cpuid_reg(e, p->reg) &= keep;
		*kvm_cpuid_reg(e, p->reg) |= k->model.word[w] & ~keep;
	}
}

/* Leaf 0xd for the components that the model has. */
static void kvm_cpuid_xsave(const struct kvm_vm *k, struct kvm_cpuid2 *c)
{
	struct kvm_cpuid_entry2 *e;
	u32 size = 576; /* legacy area and header */

	if (!k->xcr0) {
		kvm_cpuid_drop(c, LEAF_XSAVE);
		return;
	}
	for (u32 i = 0; i < c->nent; i++) {
		e = &c->entries[i];
		if (e->function != LEAF_XSAVE || e->index < 2)
			continue;
		if (e->index < 64 && (k->xcr0 & BIT(e->index)))
			size = MAX(size, e->eax + e->ebx);
		else if (!(e->ecx & 1)) /* not one of IA32_XSS */
			e->eax = e->ebx = e->ecx = e->edx = 0;
	}
	e = kvm_cpuid_at(c, LEAF_XSAVE, 0);
	if (!e)
		return;
	e->eax = k->xcr0;
	e->edx = k->xcr0 >> 32;
	e->ecx = size;
}

int kvm_cpuid_set(struct kvm_vm *k, struct vcpu *v, struct err *err)
{
	struct kvm_vcpu *kv = v->accel;
	int r;

	kv->cpuid = kvm_cpuid_alloc();
	kv->cpuid->nent = 0;
	if (k->model.host)
		kvm_cpuid_host(k, kv->cpuid, v);
	else
		kvm_cpuid_named(k, kv->cpuid, v);
	kvm_cpuid_words(k, kv->cpuid);
	if (k->model.no_kvm) {
		kvm_cpuid_drop(kv->cpuid, LEAF_KVM_FIRST);
		kvm_cpuid_drop(kv->cpuid, LEAF_KVM);
	}
	kvm_cpuid_xsave(k, kv->cpuid);
	r = kvm_ioctl(kv->fd, KVM_SET_CPUID2, kv->cpuid);
	if (r < 0)
		return err_code(err, r, "KVM refuses the CPU model");
	return 0;
}

void kvm_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4])
{
	const struct kvm_vcpu *kv = v->accel;
	const struct kvm_cpuid_entry2 *e =
		kvm_cpuid_find(kv->cpuid, leaf, subleaf);

	memset(out, 0, 4 * sizeof *out);
	if (!e)
		return;
	out[0] = e->eax;
	out[1] = e->ebx;
	out[2] = e->ecx;
	out[3] = e->edx;
	if (leaf == LEAF_FEATURES && (v->cpu.cr4 & CR4_OSXSAVE))
		out[2] |= F1_ECX_OSXSAVE;
}
