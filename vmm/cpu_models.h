/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPU models: the features that -cpu chooses and the CPUID leaves that
 * follow from them, for every accelerator.
 *
 * An accelerator says which feature bits it can offer (`avail`), parses -cpu
 * into a struct cpu_model, and fills its CPUID from that.
 */
#ifndef VMM_CPU_MODELS_H
#define VMM_CPU_MODELS_H

#include "lib/types.h"

struct buf;
struct err;
struct topology;

/* CPUID registers that hold feature bits. */
enum cpuid_word {
	CPUID_1_ECX,
	CPUID_1_EDX,
	CPUID_6_EAX,
	CPUID_7_EBX,
	CPUID_7_ECX,
	CPUID_7_EDX,
	CPUID_7_1_EAX,
	CPUID_D_1_EAX,
	CPUID_8_1_ECX, /* 0x80000001 and so on */
	CPUID_8_1_EDX,
	CPUID_8_7_EDX,
	CPUID_8_8_EBX,
	CPUID_8_21_EAX,
	CPUID_KVM_EAX, /* 0x40000001 */
	CPUID_WORDS
};

struct cpuid_place {
	u32 leaf, subleaf;
	int reg; /* 0-3: EAX EBX ECX EDX */
};

extern const struct cpuid_place cpuid_places[CPUID_WORDS];

/* What the emulation engine needs to offer a feature. */
enum cpuid_engine { TCG_NO, TCG_YES, TCG_HOST, TCG_INTEL, TCG_AMD };

struct cpuid_feature {
	const char *name;
	u8 word, bit;
	u8 engine;
};

extern const struct cpuid_feature cpuid_features[];
extern const int cpuid_feature_count;

struct cpu_model {
	const char *name; /* of the table; "host", "max" */
	bool host;        /* identity of the host CPU */
	char vendor[13];
	char brand[49];
	u32 family, model, stepping;
	u32 word[CPUID_WORDS]; /* offered features */
	/* Changed by +f, -f, f=on|off: for accelerators with bits of their
	 * own beyond the table. */
	u32 plus[CPUID_WORDS], minus[CPUID_WORDS];
	bool enforce; /* a missing feature is an error */
	bool no_kvm;  /* kvm=off: the guest shall not see a KVM */
};

/* Parses "MODEL,+f,-f,f=on,vendor=...,..."; NULL or "" means `def`.  Features
 * that were asked for by name or by a named model and are not in `avail` are
 * dropped with one warning, or -ENOTSUP under enforce.  -EINVAL names the
 * unknown word. */
int cpu_model_parse(const char *text, const char *def,
		    const u32 avail[CPUID_WORDS], struct cpu_model *ret,
		    struct err *err);
/* What QEMU adds to every model under KVM: the paravirtual features. */
void cpu_model_add_kvm(struct cpu_model *m, const u32 avail[CPUID_WORDS]);
bool cpu_model_has(const struct cpu_model *m, enum cpuid_word word, int bit);

/* Leaf 1 EAX. */
u32 cpu_model_signature(const struct cpu_model *m);

/* The leaves that a model and the topology define: identity, features,
 * caches, topology, sizes.  Left zero: 0xd (but word D_1), hypervisor leaves,
 * OSXSAVE, whatever else an engine adds. */
void cpu_model_cpuid(const struct cpu_model *m, const struct topology *topo,
		     u32 apic_id, u32 leaf, u32 subleaf, u32 out[4]);

/* The host's feature words; zero on a host that is not x86. */
void cpuid_host_words(u32 words[CPUID_WORDS]);

const char *cpu_model_name(int n); /* NULL behind the last */
/* `-cpu help`. */
void cpu_model_help(struct buf *out);

#endif
