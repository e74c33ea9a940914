/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Queries on the machine as a whole and on its vCPUs as threads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "vmm/accel.h"
#include "vmm/machine.h"
#include "vmm/runstate.h"
#include "vmm/vcpu.h"

/* ---- version ---- */

/* The QEMU release whose dialect is spoken; see MON_BANNER. */
#define DIALECT "7.2.0"

json_t *query_version(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	return json_pack("{ss ss}", "qemu", DIALECT, "package",
			 "vmon " VMON_VERSION);
}

void print_version(const json_t *v, struct buf *out)
{
	buf_printf(out, "%s (%s)\n", val_str(v, "qemu"), val_str(v, "package"));
}

/* ---- name, uuid ---- */

json_t *query_name(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *v = json_object();

	if (mon->m->name)
		json_object_set_new(v, "name", val_string(mon->m->name));
	return v;
}

void print_name(const json_t *v, struct buf *out)
{
	if (json_object_get(v, "name"))
		buf_printf(out, "%s\n", val_str(v, "name"));
}

json_t *query_uuid(struct monitor *mon, const struct args *a, struct err *err)
{
	const u8 *u = mon->m->uuid;
	char text[37];
	char *p = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", u[i]);
	}
	return json_pack("{ss}", "UUID", text);
}

void print_uuid(const json_t *v, struct buf *out)
{
	buf_printf(out, "%s\n", val_str(v, "UUID"));
}

/* ---- status ---- */

json_t *query_status(struct monitor *mon, const struct args *a, struct err *err)
{
	return json_pack("{ss sb}", "status", run_state_name(mon->m->run.state),
			 "running", run_state_running(mon->m));
}

void print_status(const json_t *v, struct buf *out)
{
	const char *status = val_str(v, "status");

	if (val_true(v, "running"))
		buf_puts(out, "VM status: running\n");
	else if (!strcmp(status, run_state_name(RUN_PAUSED)))
		buf_puts(out, "VM status: paused\n");
	else
		buf_printf(out, "VM status: paused (%s)\n", status);
}

/* ---- kvm ---- */

json_t *query_kvm(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct accel_class *accel = mon->m->accel;
	struct buf text = { 0 };
	json_t *v = json_pack("{ss sb sb}", "accel", accel->name, "enabled",
			      !strcmp(accel->name, "kvm"), "present", 1);

	if (args_has(a, "verbose") && accel->info) {
		accel->info(mon->m, &text);
		json_object_set_new(v, "details", val_text(&text));
	}
	return v;
}

void print_kvm(const json_t *v, struct buf *out)
{
	buf_printf(out, "kvm support: %s\n",
		   val_true(v, "enabled") ? "enabled" : "disabled");
	buf_puts(out, val_str(v, "details"));
}

/* ---- jit ---- */

json_t *query_jit(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct accel_class *accel = mon->m->accel;
	struct buf text = { 0 };

	if (!accel->jit) {
		err_set(err, -ENOTSUP,
			"JIT information is only available with accel=tcg");
		return NULL;
	}
	accel->jit(mon->m, &text);
	return val_text(&text);
}

/* ---- cpus ---- */

static json_t *cpus_one(struct monitor *mon, struct vcpu *v)
{
	/* A vCPU that sleeps in HLT wakes to answer: look before asking. */
	bool halted = atomic_load(&v->halted);
	struct cpu_state c;
	const char *name;
	u64 offset;
	json_t *j;

	mon_cpu_copy(v, &c);
	j = json_pack("{si sb so sb si}", "CPU", v->index, "current",
		      v == mon_vcpu(mon), "pc",
		      val_hex(c.seg[SEG_CS].base + c.rip), "halted",
		      halted || c.mp_state != CPU_RUNNABLE, "thread_id",
		      atomic_load(&v->thread_id));
	name = cpu_cpl(&c) == 3 ? NULL : mon_symbol(mon, c.rip, &offset);
	if (name) {
		json_object_set_new(j, "symbol", json_string(name));
		json_object_set_new(j, "offset", json_integer(offset));
	}
	return j;
}

json_t *query_cpus(struct monitor *mon, const struct args *a, struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; i < mon->m->nvcpus; i++)
		if (vcpu_plugged(mon->m, i))
			json_array_append_new(list,
					      cpus_one(mon, mon->m->vcpus[i]));
	return list;
}

void print_cpus(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		buf_printf(out, "%c CPU #%llu: pc=%s%s thread_id=%llu",
			   val_true(v, "current") ? '*' : ' ',
			   (unsigned long long)val_u64(v, "CPU"),
			   val_str(v, "pc"),
			   val_true(v, "halted") ? " (halted)" : "",
			   (unsigned long long)val_u64(v, "thread_id"));
		if (json_object_get(v, "symbol"))
			buf_printf(out, " %s+%#llx", val_str(v, "symbol"),
				   (unsigned long long)val_u64(v, "offset"));
		buf_putc(out, '\n');
	}
}

/* ---- memory ---- */

json_t *query_ramblock(struct monitor *mon, const struct args *a,
		       struct err *err)
{
	struct memory *mem = &mon->m->mem;
	json_t *list = json_array();
	int n = atomic_load(&mem->nram);

	for (int i = 0; i < n; i++) {
		const struct ram_block *b = &mem->ram[i];

		json_array_append_new(
			list,
			json_pack("{ss sI so so sb}", "name", b->name,
				  "page_size", (json_int_t)PAGE_SIZE, "offset",
				  val_hex(b->base), "size", val_hex(b->size),
				  "readonly", b->readonly));
	}
	return list;
}

void print_ramblock(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	buf_printf(out, "%24s %8s  %18s %18s %18s\n", "Block Name", "PSize",
		   "Offset", "Used", "Total");
	json_array_foreach(list, i, v) buf_printf(
		out, "%24s %8s  %s %s %s\n", val_str(v, "name"), "4 KiB",
		val_str(v, "offset"), val_str(v, "size"), val_str(v, "size"));
}

json_t *query_memory_size(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	return json_pack("{sI sI}", "base-memory", (json_int_t)mon->m->ram_size,
			 "plugged-memory", (json_int_t)0);
}

void print_memory_size(const json_t *v, struct buf *out)
{
	buf_printf(out, "base memory: %llu\nplugged memory: %llu\n",
		   (unsigned long long)val_u64(v, "base-memory"),
		   (unsigned long long)val_u64(v, "plugged-memory"));
}

/* RAM is one anonymous shared memory file; there are no other backends. */
json_t *query_memdev(struct monitor *mon, const struct args *a, struct err *err)
{
	return json_pack("[{ss sI sb sb sb sb sb ss s[]}]", "id", "pc.ram",
			 "size", (json_int_t)mon->m->ram_size, "merge", false,
			 "dump", true, "prealloc", false, "share", true,
			 "reserve", false, "policy", "default", "host-nodes");
}

void print_memdev(const json_t *list, struct buf *out)
{
	static const char *const flags[] = { "merge", "dump", "prealloc",
					     "share", "reserve" };
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		buf_printf(out, "memory backend: %s\n  size:  %llu\n",
			   val_str(v, "id"),
			   (unsigned long long)val_u64(v, "size"));
		for (size_t f = 0; f < ARRAY_SIZE(flags); f++)
			buf_printf(out, "  %s: %s\n", flags[f],
				   val_true(v, flags[f]) ? "true" : "false");
		buf_printf(out, "  policy: %s\n  host nodes: \n",
			   val_str(v, "policy"));
	}
	buf_putc(out, '\n');
}

/* No DIMM can be plugged; QEMU prints nothing either. */
json_t *query_memory_devices(struct monitor *mon, const struct args *a,
			     struct err *err)
{
	return json_array();
}

void print_memory_devices(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v) buf_printf(
		out, "Memory device [dimm]: \"%s\"\n", val_str(v, "id"));
}

void print_hotpluggable_cpus(const json_t *list, struct buf *out)
{
	static const char *const props[] = { "socket-id", "core-id",
					     "thread-id" };
	size_t i;
	json_t *v;

	buf_puts(out, "Hotpluggable CPUs:\n");
	json_array_foreach(list, i, v)
	{
		const json_t *p = json_object_get(v, "props");

		buf_printf(out, "  type: \"%s\"\n  vcpus_count: \"%d\"\n",
			   val_str(v, "type"), (int)val_u64(v, "vcpus-count"));
		if (json_object_get(v, "qom-path"))
			buf_printf(out, "  qom_path: \"%s\"\n",
				   val_str(v, "qom-path"));
		buf_puts(out, "  CPUInstance Properties:\n");
		for (size_t k = 0; k < ARRAY_SIZE(props); k++)
			buf_printf(out, "    %s: \"%d\"\n", props[k],
				   (int)val_u64(p, props[k]));
	}
}

/* A machine has no NUMA nodes and no I/O threads of its own so far; the
 * queries exist because tools ask. */
json_t *query_numa(struct monitor *mon, const struct args *a, struct err *err)
{
	return json_array();
}

void print_numa(const json_t *list, struct buf *out)
{
	buf_printf(out, "%zu nodes\n", json_array_size(list));
}

json_t *query_iothreads(struct monitor *mon, const struct args *a,
			struct err *err)
{
	return json_array();
}

void print_iothreads(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_printf(out, "%s:\n  thread_id=%llu\n", val_str(v, "id"),
			   (unsigned long long)val_u64(v, "thread_id"));
}

/* ---- this session ---- */

json_t *query_history(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; i < mon->rl.history_len; i++)
		json_array_append_new(list, val_string(mon->rl.history[i]));
	return list;
}

void print_history(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_printf(out, "%zu: '%s'\n", i, json_string_value(v));
}

/* ---- character devices ---- */

json_t *query_chardev(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	json_t *list = json_array();

	for (struct chardev *c = chr_next(NULL); c; c = chr_next(c)) {
		struct buf name = { 0 };

		if (chr_label(c)[0] == '#') /* a client of monitor/door.c */
			continue;
		chr_filename(c, &name);
		json_array_append_new(
			list, json_pack("{ss so sb}", "label", chr_label(c),
					"filename", val_text(&name),
					"frontend-open", chr_attached(c)));
	}
	return list;
}

void print_chardev(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_printf(out, "%s: filename=%s\n", val_str(v, "label"),
			   val_str(v, "filename"));
}
