/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPU models and their CPUID leaves.
 *
 * Spec: SDM 2A "CPUID", APM 3 appendix E.
 */
#include "vmm/cpu_models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "vmm/cpu.h"
#include "vmm/machine.h"

const struct cpuid_place cpuid_places[CPUID_WORDS] = {
	[CPUID_1_ECX] = { 1, 0, 2 },
	[CPUID_1_EDX] = { 1, 0, 3 },
	[CPUID_6_EAX] = { 6, 0, 0 },
	[CPUID_7_EBX] = { 7, 0, 1 },
	[CPUID_7_ECX] = { 7, 0, 2 },
	[CPUID_7_EDX] = { 7, 0, 3 },
	[CPUID_7_1_EAX] = { 7, 1, 0 },
	[CPUID_D_1_EAX] = { 0xd, 1, 0 },
	[CPUID_8_1_ECX] = { 0x80000001, 0, 2 },
	[CPUID_8_1_EDX] = { 0x80000001, 0, 3 },
	[CPUID_8_7_EDX] = { 0x80000007, 0, 3 },
	[CPUID_8_8_EBX] = { 0x80000008, 0, 1 },
	[CPUID_8_21_EAX] = { 0x80000021, 0, 0 },
	[CPUID_KVM_EAX] = { 0x40000001, 0, 0 },
};

const struct cpuid_feature cpuid_features[] = {
#define FEATURE(name, word, bit, engine) { name, CPUID_##word, bit, engine },
#include "vmm/cpuid.def"
#undef FEATURE
};

const int cpuid_feature_count = ARRAY_SIZE(cpuid_features);

struct cpu_model_row {
	const char *name, *vendor;
	u32 family, model, stepping;
	const char *brand, *base, *features;
};

static const struct cpu_model_row cpu_model_rows[] = {
#define CPU_MODEL(name, vendor, family, model, stepping, brand, base, feat) \
	{ name, vendor, family, model, stepping, brand, base, feat },
#include "vmm/cpu_models.def"
#undef CPU_MODEL
};

/* ---- The host ---- */

static void host_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof *out);
#if defined(__x86_64__)
	u32 max = __get_cpuid_max(leaf & 0x80000000, NULL);

	if (max >= leaf)
		__cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
#endif
}

void cpuid_host_words(u32 words[CPUID_WORDS])
{
	for (int w = 0; w < CPUID_WORDS; w++) {
		const struct cpuid_place *p = &cpuid_places[w];
		u32 out[4] = { 0 };

		if (w != CPUID_KVM_EAX)
			host_cpuid(p->leaf, p->subleaf, out);
		words[w] = out[p->reg];
	}
}

static void host_identity(struct cpu_model *m)
{
	u32 out[4];

	host_cpuid(0, 0, out);
	memcpy(m->vendor, &out[1], 4);
	memcpy(m->vendor + 4, &out[3], 4);
	memcpy(m->vendor + 8, &out[2], 4);
	if (!m->vendor[0])
		strcpy(m->vendor, "AuthenticAMD");
	for (u32 n = 0; n < 3; n++) {
		host_cpuid(0x80000002 + n, 0, out);
		memcpy(m->brand + 16 * n, out, 16);
	}
	host_cpuid(1, 0, out);
	m->family = out[0] >> 8 & 15;
	m->model = out[0] >> 4 & 15;
	m->stepping = out[0] & 15;
	if (m->family == 15)
		m->family += out[0] >> 20 & 255;
	if (m->family == 6 || m->family >= 15)
		m->model |= out[0] >> 12 & 0xf0;
}

/* ---- Features by name ---- */

static char feature_char(char ch)
{
	return ch == '_' || ch == '.' ? '-' : ch;
}

static bool feature_equal(const char *a, const char *b, size_t len)
{
	for (size_t n = 0; n < len; n++, b++)
		if (!*b || feature_char(a[n]) != feature_char(*b))
			return false;
	return !*b;
}

static const struct {
	const char *alias, *name;
} feature_aliases[] = {
	{ "sse3", "pni" },
	{ "sse4-1", "sse4.1" },
	{ "sse4-2", "sse4.2" },
	{ "i64", "lm" },
	{ "xd", "nx" },
	{ "ffxsr", "fxsr-opt" },
	{ "lzcnt", "abm" },
	{ "tsc-deadline-timer", "tsc-deadline" },
	{ "pclmuldq", "pclmulqdq" },
};

static const struct cpuid_feature *feature_find(const char *name, size_t len)
{
	for (u32 n = 0; n < ARRAY_SIZE(feature_aliases); n++)
		if (feature_equal(name, feature_aliases[n].alias, len)) {
			name = feature_aliases[n].name;
			len = strlen(name);
			break;
		}
	for (int n = 0; n < cpuid_feature_count; n++)
		if (feature_equal(name, cpuid_features[n].name, len))
			return &cpuid_features[n];
	return NULL;
}

/* The row's feature list, bases first. */
static void model_add_features(const struct cpu_model_row *row,
			       u32 words[CPUID_WORDS])
{
	const char *p = row->features;

	for (u32 n = 0; row->base && n < ARRAY_SIZE(cpu_model_rows); n++)
		if (!strcmp(cpu_model_rows[n].name, row->base))
			model_add_features(&cpu_model_rows[n], words);
	while (*p) {
		size_t len = strcspn(p, " ");
		bool drop = *p == '-';
		const struct cpuid_feature *f =
			feature_find(p + drop, len - drop);

		if (f && drop)
			words[f->word] &= ~(1u << f->bit);
		else if (f)
			words[f->word] |= 1u << f->bit;
		p += len;
		p += strspn(p, " ");
	}
}

/* ---- Parsing -cpu ---- */

static int model_select(struct cpu_model *m, const char *name,
			const u32 avail[CPUID_WORDS], struct err *err)
{
	if (!strcmp(name, "host") || !strcmp(name, "max")) {
		m->name = name[0] == 'h' ? "host" : "max";
		m->host = true;
		host_identity(m);
		memcpy(m->word, avail, sizeof m->word);
		return 0;
	}
	for (u32 n = 0; n < ARRAY_SIZE(cpu_model_rows); n++) {
		const struct cpu_model_row *row = &cpu_model_rows[n];

		/* QEMU's versioned names: EPYC-v4 is EPYC here. */
		size_t len = strlen(row->name);

		if (strncmp(name, row->name, len) ||
		    (name[len] && (strncmp(name + len, "-v", 2) ||
				   strspn(name + len + 2, "0123456789") !=
					   strlen(name + len + 2))))
			continue;
		m->name = row->name;
		strcpy(m->vendor, row->vendor);
		snprintf(m->brand, sizeof m->brand, "%s", row->brand);
		m->family = row->family;
		m->model = row->model;
		m->stepping = row->stepping;
		model_add_features(row, m->word);
		m->word[CPUID_1_ECX] |= 1u << 31; /* hypervisor */
		return 0;
	}
	return err_set(err, -EINVAL, "unable to find CPU model '%s'", name);
}

static int model_flag(struct cpu_model *m, const char *name, size_t len,
		      bool on, struct err *err)
{
	const struct cpuid_feature *f = feature_find(name, len);

	if (!f)
		return err_set(err, -EINVAL,
			       "CPU feature '%.*s' is not known; '-cpu help' "
			       "lists them",
			       (int)len, name);
	(on ? m->plus : m->minus)[f->word] |= 1u << f->bit;
	(on ? m->minus : m->plus)[f->word] &= ~(1u << f->bit);
	return 0;
}

static int model_number(const char *key, const char *value, u64 max, u32 *ret,
			struct err *err)
{
	u64 n;

	if (parse_u64(value, &n) < 0 || n > max)
		return err_set(err, -EINVAL,
			       "CPU property '%s' takes 0 to %llu, not '%s'",
			       key, (unsigned long long)max, value);
	*ret = (u32)n;
	return 0;
}

/* Accepted for command lines that were written for QEMU; nothing here
 * depends on them. */
static const char *const model_ignored[] = {
	"check",           "migratable", "pmu",
	"host-phys-bits",  "phys-bits",  "l3-cache",
	"host-cache-info", "level",      "xlevel",
	"min-level",       "min-xlevel", "full-cpuid-auto-level",
};

/* key=value; the value is NUL-terminated. */
static int model_property(struct cpu_model *m, const char *key,
			  const char *value, struct err *err)
{
	bool on;

	if (!strcmp(key, "vendor")) {
		if (strlen(value) != 12)
			return err_set(err, -EINVAL,
				       "CPU vendor '%s' has not 12 characters",
				       value);
		strcpy(m->vendor, value);
		return 0;
	}
	if (!strcmp(key, "model-id") || !strcmp(key, "model_id")) {
		memset(m->brand, 0, sizeof m->brand);
		snprintf(m->brand, sizeof m->brand, "%s", value);
		return 0;
	}
	if (!strcmp(key, "family"))
		return model_number(key, value, 15 + 255, &m->family, err);
	if (!strcmp(key, "model"))
		return model_number(key, value, 255, &m->model, err);
	if (!strcmp(key, "stepping"))
		return model_number(key, value, 15, &m->stepping, err);
	for (u32 n = 0; n < ARRAY_SIZE(model_ignored); n++)
		if (!strcmp(key, model_ignored[n]))
			return 0;
	if (strcmp(key, "enforce") && strcmp(key, "kvm") &&
	    !feature_find(key, strlen(key)))
		return err_set(err, -EINVAL,
			       "CPU feature or property '%s' is not known; "
			       "'-cpu help' lists the features",
			       key);
	if (parse_bool(value, &on) < 0)
		return err_set(err, -EINVAL,
			       "CPU property '%s' takes on or off, not '%s'",
			       key, value);
	if (!strcmp(key, "enforce")) {
		m->enforce = on;
		return 0;
	}
	if (!strcmp(key, "kvm")) {
		m->no_kvm = !on;
		return 0;
	}
	return model_flag(m, key, strlen(key), on, err);
}

static int model_word(struct cpu_model *m, char *word, struct err *err)
{
	char *value = strchr(word, '=');

	if (*word == '+' || *word == '-')
		return model_flag(m, word + 1, strlen(word + 1), *word == '+',
				  err);
	if (!value)
		return model_property(m, word, "on", err);
	*value++ = '\0';
	return model_property(m, word, value, err);
}

/* Drops what is not available, and says so. */
static int model_filter(struct cpu_model *m, const u32 avail[CPUID_WORDS],
			struct err *err)
{
	struct buf missing = { 0 };
	int r = 0;

	for (int w = 0; w < CPUID_WORDS; w++) {
		u32 want = (m->word[w] | m->plus[w]) & ~m->minus[w];

		for (int n = 0; n < cpuid_feature_count; n++) {
			const struct cpuid_feature *f = &cpuid_features[n];

			if (f->word == w && (want & ~avail[w] & 1u << f->bit))
				buf_printf(&missing, " %s", f->name);
		}
		m->word[w] = want & avail[w];
	}
	if (missing.len && m->enforce)
		r = err_set(err, -ENOTSUP,
			    "CPU model '%s' needs features that are missing "
			    "here:%s",
			    m->name, buf_str(&missing));
	else if (missing.len)
		log_warn("CPU model '%s' goes without:%s", m->name,
			 buf_str(&missing));
	buf_fini(&missing);
	return r;
}

int cpu_model_parse(const char *text, const char *def,
		    const u32 avail[CPUID_WORDS], struct cpu_model *ret,
		    struct err *err)
{
	char *copy = xstrdup(text && *text ? text : def);
	char *rest = copy, *word = strsep(&rest, ",");
	struct cpu_model m = { 0 };
	int r;

	r = model_select(&m, word, avail, err);
	while (r >= 0 && (word = strsep(&rest, ",")))
		if (*word)
			r = model_word(&m, word, err);
	if (r >= 0)
		r = model_filter(&m, avail, err);
	if (r >= 0)
		*ret = m;
	free(copy);
	return r;
}

/* "kvmclock" stands for the clock's old and new registers. */
#define KVM_CLOCK     BIT(0)
#define KVM_CLOCK_NEW BIT(3)

void cpu_model_add_kvm(struct cpu_model *m, const u32 avail[CPUID_WORDS])
{
	u32 *word = &m->word[CPUID_KVM_EAX];

	*word = avail[CPUID_KVM_EAX] & ~m->minus[CPUID_KVM_EAX];
	if (!(*word & KVM_CLOCK))
		*word &= ~KVM_CLOCK_NEW;
	if (m->no_kvm)
		*word = 0;
}

bool cpu_model_has(const struct cpu_model *m, enum cpuid_word word, int bit)
{
	return m->word[word] >> bit & 1;
}

u32 cpu_model_signature(const struct cpu_model *m)
{
	u32 family = MIN(m->family, 15u);

	return (m->family - family) << 20 | (m->model >> 4) << 16 |
	       family << 8 | (m->model & 15) << 4 | m->stepping;
}

const char *cpu_model_name(int n)
{
	static const char *const others[] = { "host", "max" };
	int rows = (int)ARRAY_SIZE(cpu_model_rows);

	if (n < rows)
		return cpu_model_rows[n].name;
	n -= rows;
	return n < (int)ARRAY_SIZE(others) ? others[n] : NULL;
}

void cpu_model_help(struct buf *out)
{
	buf_puts(out, "Available CPUs:\n");
	for (u32 n = 0; n < ARRAY_SIZE(cpu_model_rows); n++)
		buf_printf(out, "x86 %-26s %s\n", cpu_model_rows[n].name,
			   cpu_model_rows[n].brand);
	buf_printf(out, "x86 %-26s %s\n", "host",
		   "processor with all supported host features");
	buf_printf(out, "x86 %-26s %s\n", "max",
		   "Enables all features supported by the accelerator");
	buf_puts(out, "\nRecognized CPUID flags:\n ");
	for (int n = 0; n < cpuid_feature_count; n++)
		buf_printf(out, " %s", cpuid_features[n].name);
	buf_putc(out, '\n');
}

/* ---- Leaves ---- */

static u32 bits_for(u32 count)
{
	u32 bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

struct cpuid_topo {
	u32 threads, cores, per_socket, thread_bits, socket_bits;
};

static struct cpuid_topo topo_of(const struct topology *t)
{
	struct cpuid_topo r = { .threads = MAX(t->threads, 1),
				.cores = MAX(t->cores, 1) };

	r.per_socket = r.threads * r.cores;
	r.thread_bits = bits_for(r.threads);
	r.socket_bits = r.thread_bits + bits_for(r.cores);
	return r;
}

static bool model_is_amd(const struct cpu_model *m)
{
	return !strcmp(m->vendor, "AuthenticAMD") ||
	       !strcmp(m->vendor, "HygonGenuine");
}

static void leaf_features(const struct cpu_model *m, u32 leaf, u32 subleaf,
			  u32 out[4])
{
	for (int w = 0; w < CPUID_WORDS; w++)
		if (cpuid_places[w].leaf == leaf &&
		    cpuid_places[w].subleaf == subleaf && w != CPUID_KVM_EAX)
			out[cpuid_places[w].reg] |= m->word[w];
}

static void leaf_1(const struct cpu_model *m, const struct cpuid_topo *t,
		   u32 apic_id, u32 out[4])
{
	out[0] = cpu_model_signature(m);
	out[1] = apic_id << 24 | 8 << 8; /* CLFLUSH: 64 bytes */
	out[3] &= ~(1u << 28);
	if (t->per_socket > 1) {
		out[1] |= MIN(1u << t->socket_bits, 255u) << 16;
		out[3] |= 1u << 28; /* HTT */
	}
}

/* One set of caches for every model: 32K + 32K, 1M, 16M. */
static void leaf_cache(const struct cpuid_topo *t, u32 subleaf, bool intel,
		       u32 out[4])
{
	static const struct {
		u8 type, level;
		u16 ways;
		u32 sets;
	} caches[] = {
		{ 1, 1, 8, 64 },
		{ 2, 1, 8, 64 },
		{ 3, 2, 16, 1024 },
		{ 3, 3, 16, 16384 },
	};

	u32 sharing;

	if (subleaf >= ARRAY_SIZE(caches))
		return;
	sharing = caches[subleaf].level < 3 ? t->thread_bits : t->socket_bits;
	out[0] = caches[subleaf].type | caches[subleaf].level << 5 | 1 << 8 |
		 ((1u << sharing) - 1) << 14;
	if (intel)
		out[0] |= ((1u << (t->socket_bits - t->thread_bits)) - 1) << 26;
	out[1] = (caches[subleaf].ways - 1u) << 22 | 63;
	out[2] = caches[subleaf].sets - 1;
}

/* Leaf 0xb: SMT, core, end. */
static void leaf_topology(const struct cpuid_topo *t, u32 apic_id, u32 subleaf,
			  u32 out[4])
{
	out[2] = subleaf & 0xff;
	out[3] = apic_id;
	if (subleaf == 0) {
		out[0] = t->thread_bits;
		out[1] = t->threads;
		out[2] |= 1 << 8;
	} else if (subleaf == 1) {
		out[0] = t->socket_bits;
		out[1] = t->per_socket;
		out[2] |= 2 << 8;
	}
}

static void leaf_vendor(const struct cpu_model *m, u32 max, u32 out[4])
{
	out[0] = max;
	memcpy(&out[1], m->vendor, 4);
	memcpy(&out[3], m->vendor + 4, 4);
	memcpy(&out[2], m->vendor + 8, 4);
}

static void leaf_8_8(const struct cpuid_topo *t, u32 out[4])
{
	out[0] = CPU_PHYS_BITS | 48 << 8;
	if (t->per_socket > 1)
		out[2] = t->socket_bits << 12 | (t->per_socket - 1);
}

static void leaf_amd(const struct cpu_model *m, const struct cpuid_topo *t,
		     u32 apic_id, u32 leaf, u32 subleaf, u32 out[4])
{
	switch (leaf) {
	case 0x80000005:
		out[0] = out[1] = 0xff40ff40;
		out[2] = out[3] = 32 << 24 | 8 << 16 | 1 << 8 | 64;
		break;
	case 0x80000006:
		out[2] = 1024 << 16 | 8 << 12 | 1 << 8 | 64;
		out[3] = 32 << 18 | 8 << 12 | 1 << 8 | 64;
		break;
	case 0x8000001d:
		if (m->word[CPUID_8_1_ECX] & 1u << 22)
			leaf_cache(t, subleaf, false, out);
		break;
	case 0x8000001e:
		if (!(m->word[CPUID_8_1_ECX] & 1u << 22))
			break;
		out[0] = apic_id;
		out[1] = apic_id >> t->thread_bits | (t->threads - 1) << 8;
		out[2] = apic_id >> t->socket_bits;
		break;
	}
}

/* Others do not look at ECX. */
static bool leaf_has_subleaves(u32 leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd ||
	       leaf == 0x8000001d;
}

void cpu_model_cpuid(const struct cpu_model *m, const struct topology *topo,
		     u32 apic_id, u32 leaf, u32 subleaf, u32 out[4])
{
	struct cpuid_topo t = topo_of(topo);
	bool amd = model_is_amd(m);

	if (!leaf_has_subleaves(leaf))
		subleaf = 0;
	memset(out, 0, 4 * sizeof *out);
	leaf_features(m, leaf, subleaf, out);
	switch (leaf) {
	case 0: leaf_vendor(m, amd ? 0x10 : 0x16, out); break;
	case 1: leaf_1(m, &t, apic_id, out); break;
	case 2:
		if (!amd)
			out[0] = 0x00feff01; /* see leaf 4 */
		break;
	case 4:
		if (!amd)
			leaf_cache(&t, subleaf, true, out);
		break;
	case 7:
		if (subleaf == 0)
			out[0] = 1;
		break;
	case 0xb: leaf_topology(&t, apic_id, subleaf, out); break;
	case 0x80000000:
		leaf_vendor(m, amd ? 0x80000021 : 0x80000008, out);
		if (!amd)
			out[1] = out[2] = out[3] = 0;
		break;
	case 0x80000001:
		if (amd) {
			out[0] = cpu_model_signature(m);
			/* Copies of leaf 1. */
			out[3] |= m->word[CPUID_1_EDX] & 0x0183f3ff;
			if (t.per_socket > 1)
				out[2] |= 1 << 1; /* CMP legacy */
		}
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		memcpy(out, m->brand + 16 * (leaf - 0x80000002), 16);
		break;
	case 0x80000008: leaf_8_8(&t, out); break;
	default: break;
	}
	if (leaf == 0x80000006 && !amd)
		out[2] = 1024 << 16 | 8 << 12 | 64;
	if (amd)
		leaf_amd(m, &t, apic_id, leaf, subleaf, out);
}
