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

#define LEAF_FEATURES   0x1u
#define LEAF_CACHES     0x4u
#define LEAF_TOPOLOGY   0xbu
#define LEAF_XSAVE      0xdu
#define LEAF_TOPOLOGY2  0x1fu
#define LEAF_KVM        0x40000001u
#define LEAF_EXTENDED   0x80000001u
#define LEAF_POWER      0x80000007u
#define LEAF_SIZES      0x80000008u
#define LEAF_AMD_CACHES 0x8000001du
#define LEAF_AMD_NODE   0x8000001eu

#define F1_ECX_DEADLINE   BIT(24)
#define F1_ECX_OSXSAVE    BIT(27)
#define F1_ECX_HYPERVISOR BIT(31)
#define F1_EDX_HTT        BIT(28)
#define EXT_ECX_CMP       BIT(1)
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
	e = kvm_cpuid_at(k->supported, LEAF_XSAVE, 0);
	if (e)
		k->xcr0 = e->eax | (u64)e->edx << 32;
	kvm_cpuid_pv(k);
	return 0;
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

int kvm_cpuid_set(struct kvm_vm *k, struct vcpu *v, struct err *err)
{
	struct kvm_vcpu *kv = v->accel;
	struct kvm_cpuid_entry2 *e;
	int r;

	kv->cpuid = kvm_cpuid_alloc();
	memcpy(kv->cpuid, k->supported,
	       sizeof *k->supported +
		       k->supported->nent * sizeof k->supported->entries[0]);
	kvm_cpuid_topology(kv->cpuid, v);
	/* Promises a rate that survives migration, which nothing does. */
	e = kvm_cpuid_at(kv->cpuid, LEAF_POWER, 0);
	if (e)
		e->edx &= ~POWER_EDX_INVTSC;
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
