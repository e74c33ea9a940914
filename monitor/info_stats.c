/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * info stats: how often vCPUs left the guest, and why.
 *
 * "vcpu" is the chosen vCPU, "vm" the sum of all.  With -r each count has
 * its rate since the session last asked for the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define STATS_PROVIDER "vmon"

static const struct {
	const char *name;
	size_t offset; /* in struct vcpu_stats */
} stats_rows[MON_STATS] = {
	{ "exits", offsetof(struct vcpu_stats, exits) },
	{ "io_exits", offsetof(struct vcpu_stats, pio) },
	{ "mmio_exits", offsetof(struct vcpu_stats, mmio) },
	{ "halt_exits", offsetof(struct vcpu_stats, halts) },
	{ "irq_injections", offsetof(struct vcpu_stats, irqs) },
	{ "kicks", offsetof(struct vcpu_stats, kicks) },
	{ "emulated_insns", offsetof(struct vcpu_stats, emulated) },
};

static u64 stats_read(const struct vcpu *v, size_t row)
{
	const char *at = (const char *)&v->stats + stats_rows[row].offset;

	return atomic_load_explicit((const _Atomic u64 *)at,
				    memory_order_relaxed);
}

/* Is `name` in "a,b", as QEMU takes a list? */
static bool stats_wanted(const char *names, const char *name)
{
	size_t n = strlen(name);

	if (!names || !strcmp(names, "*"))
		return true;
	for (const char *p = names;; p++) {
		if (!strncmp(p, name, n) && (p[n] == ',' || !p[n]))
			return true;
		p = strchr(p, ',');
		if (!p)
			return false;
	}
}

/* Changes per second, of what the session has seen before. */
static void stats_rates(struct monitor *mon, int of, json_t *list)
{
	struct mon_stats *last = &mon->stats;
	u64 now = clock_mono_ns(), passed = now - last->when_ns;
	bool known = last->when_ns && last->of == of && passed;
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		size_t k = json_integer_value(json_object_get(row, "row"));
		u64 value = val_u64(row, "value");

		if (known && value >= last->value[k])
			json_object_set_new(
				row, "rate",
				json_real((double)(value - last->value[k]) *
					  1e9 / (double)passed));
	}
	last->when_ns = now;
	last->of = of;
}

json_t *query_stats(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *target = args_str(a, "target");
	const char *provider = args_str(a, "provider");
	bool vm = !strcmp(target, "vm");
	struct vcpu *v = mon_vcpu(mon);
	u64 value[MON_STATS] = { 0 };
	json_t *list;

	if ((!vm && strcmp(target, "vcpu")) ||
	    (provider && strcmp(provider, STATS_PROVIDER))) {
		err_set(err, -EINVAL, "invalid parameter value: %s",
			vm || !strcmp(target, "vcpu") ? provider : target);
		return NULL;
	}
	if (!v) {
		mon_puts(mon, "No CPU available\n");
		return NULL;
	}
	list = json_array();
	for (size_t k = 0; k < MON_STATS; k++) {
		for (int i = 0; i < mon->m->nvcpus; i++)
			if (vm || mon->m->vcpus[i] == v)
				value[k] += stats_read(mon->m->vcpus[i], k);
		if (stats_wanted(args_str(a, "names"), stats_rows[k].name))
			json_array_append_new(
				list, json_pack("{si ss sI}", "row", (int)k,
						"name", stats_rows[k].name,
						"value", (json_int_t)value[k]));
	}
	if (args_has(a, "rate")) {
		stats_rates(mon, vm ? -1 : v->index, list);
		memcpy(mon->stats.value, value, sizeof value);
	}
	return json_pack("{ss so}", "provider", STATS_PROVIDER, "stats", list);
}

void print_stats(const json_t *v, struct buf *out)
{
	size_t i;
	json_t *row;

	buf_printf(out, "provider: %s\n", val_str(v, "provider"));
	json_array_foreach(json_object_get(v, "stats"), i, row)
	{
		buf_printf(out, "    %s (cumulative): %llu",
			   val_str(row, "name"),
			   (unsigned long long)val_u64(row, "value"));
		if (json_object_get(row, "rate"))
			buf_printf(
				out, " (%.0f/s)",
				json_real_value(json_object_get(row, "rate")));
		buf_putc(out, '\n');
	}
}
