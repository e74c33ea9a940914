/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Queries on a Linux guest: symbols, stacks, its log, its processes.
 *
 * The first one finds the kernel and keeps its symbols; from then on x/i
 * and info cpus of the session show names.  Nothing is shown of a kernel
 * that no longer runs, but for its log.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "insight/insight.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define GUEST_SYMBOLS_MAX 200

typedef unsigned long long ull; /* of printf */

/* ---- the handle ---- */

static struct insight *guest_kernel; /* owned; under machine_lock */

void guest_forget(void)
{
	insight_close(guest_kernel);
	guest_kernel = NULL;
}

static struct insight *guest_open(struct monitor *mon, bool any,
				  struct err *err)
{
	const struct cpu_state *c = mon_cpu(mon);

	if (!c) {
		err_set(err, -ENODEV, "No CPU available");
		return NULL;
	}
	if (!guest_kernel || !insight_alive(guest_kernel, c)) {
		guest_forget();
		guest_kernel = insight_open(&mon->m->mem, c, any, err);
	}
	mon->symbols = guest_kernel;
	return guest_kernel;
}

/* What is at hand, for who does not need it. */
static struct insight *guest_known(struct monitor *mon)
{
	const struct cpu_state *c =
		mon->symbols && guest_kernel ? mon_cpu(mon) : NULL;

	return c && insight_alive(guest_kernel, c) ? guest_kernel : NULL;
}

const char *mon_symbol(struct monitor *mon, u64 addr, u64 *ret_offset)
{
	struct insight *ins = guest_known(mon);

	return ins ? insight_symbol(ins, addr, ret_offset) : NULL;
}

int mon_find_symbol(void *opaque, const char *name, u64 *ret)
{
	struct insight *ins = guest_known(opaque);

	return ins && insight_find(ins, name, ret) ? 0 : -ENOENT;
}

/* ---- symbols ---- */

static void guest_symbols_add(json_t *list, const struct insight *ins, u32 i)
{
	u64 addr;
	char type[2] = { 0 };
	const char *name = insight_symbol_at(ins, i, &addr, &type[0]);

	json_array_append_new(list,
			      json_pack("{so ss ss}", "address", val_hex(addr),
					"type", type, "name", name));
}

/* An address gives what it lies in, a word all names that contain it. */
static void guest_symbols_select(json_t *v, const struct insight *ins,
				 const char *what)
{
	json_t *list = json_array();
	u32 n = insight_symbol_count(ins), found = 0;
	char *end;
	u64 addr = strtoull(what, &end, 16), offset;
	const char *name;

	if (!strncmp(what, "0x", 2) && !*end) {
		name = insight_symbol(ins, addr, &offset);
		if (name)
			json_array_append_new(
				list, json_pack("{so ss sI}", "address",
						val_hex(addr), "name", name,
						"offset", (json_int_t)offset));
		n = 0;
	}
	for (u32 i = 0; i < n; i++) {
		char type;

		name = insight_symbol_at(ins, i, &addr, &type);
		if (strstr(name, what) && found++ < GUEST_SYMBOLS_MAX)
			guest_symbols_add(list, ins, i);
	}
	json_object_set_new(v, "symbols", list);
	json_object_set_new(v, "more", json_boolean(found > GUEST_SYMBOLS_MAX));
}

json_t *query_symbols(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	struct insight *ins = guest_open(mon, false, err);
	const char *what = args_str(a, "what");
	json_t *v;
	u64 stext = 0;

	if (!ins)
		return NULL;
	v = json_pack("{ss ss sI}", "kernel", "Linux", "release",
		      insight_release(ins), "count",
		      (json_int_t)insight_symbol_count(ins));
	if (insight_find(ins, "_stext", &stext))
		json_object_set_new(v, "start", val_hex(stext));
	if (what)
		guest_symbols_select(v, ins, what);
	return v;
}

void print_symbols(const json_t *v, struct buf *out)
{
	const json_t *list = json_object_get(v, "symbols");
	size_t i;
	json_t *s;

	if (!list) {
		buf_printf(out, "%s %s: %llu symbols", val_str(v, "kernel"),
			   val_str(v, "release"), (ull)val_u64(v, "count"));
		if (json_object_get(v, "start"))
			buf_printf(out, ", code from %s", val_str(v, "start"));
		buf_putc(out, '\n');
		return;
	}
	json_array_foreach(list, i, s)
	{
		if (json_object_get(s, "offset"))
			buf_printf(out, "%s %s+%#llx\n", val_str(s, "address"),
				   val_str(s, "name"),
				   (ull)val_u64(s, "offset"));
		else
			buf_printf(out, "%s %s %s\n", val_str(s, "address"),
				   val_str(s, "type"), val_str(s, "name"));
	}
	if (val_true(v, "more"))
		buf_printf(out, "[there are more than %d]\n",
			   GUEST_SYMBOLS_MAX);
}

/* ---- backtrace ---- */

static void guest_frame(void *arg, const struct insight_frame *f)
{
	json_t *v = json_pack("{so}", "address", val_hex(f->addr));

	if (f->name) {
		json_object_set_new(v, "name", json_string(f->name));
		json_object_set_new(v, "offset", json_integer(f->offset));
	}
	json_array_append_new(arg, v);
}

struct guest_stack {
	struct insight *ins;
	json_t *frames;
	struct err why;
};

/* In the vCPU's thread: its stack does not change meanwhile. */
static void guest_unwind(struct vcpu *vcpu, void *arg)
{
	const struct cpu_state *c = vcpu_cpu(vcpu);
	struct guest_stack *s = arg;

	if (!cpu_code64(c) || cpu_cpl(c) == 3)
		err_set(&s->why, -ENOENT,
			"%s at %#llx, its kernel stack is empty",
			cpu_cpl(c) == 3 ? "in user code" : "not in the kernel",
			(ull)c->rip);
	else
		insight_backtrace(s->ins, c, guest_frame, s->frames, &s->why);
}

static json_t *guest_backtrace(struct insight *ins, struct vcpu *vcpu)
{
	struct guest_stack s = { .ins = ins, .frames = json_array() };
	json_t *v = json_pack("{si}", "CPU", vcpu->index);

	vcpu_run_on(vcpu, guest_unwind, &s);
	json_object_set_new(v, "frames", s.frames);
	if (s.why.msg[0])
		json_object_set_new(v, "stopped", val_string(s.why.msg));
	return v;
}

json_t *query_backtrace(struct monitor *mon, const struct args *a,
			struct err *err)
{
	struct insight *ins = guest_open(mon, false, err);
	json_t *list;

	if (!ins)
		return NULL;
	list = json_array();
	if (args_has(a, "all")) {
		for (int i = 0; i < mon->m->nvcpus; i++)
			if (vcpu_plugged(mon->m, i))
				json_array_append_new(
					list,
					guest_backtrace(ins, mon->m->vcpus[i]));
	} else {
		json_array_append_new(list,
				      guest_backtrace(ins, mon_vcpu(mon)));
	}
	return list;
}

void print_backtrace(const json_t *list, struct buf *out)
{
	size_t i, k;
	json_t *v, *f;

	json_array_foreach(list, i, v)
	{
		buf_printf(out, "CPU #%d:\n", (int)val_u64(v, "CPU"));
		json_array_foreach(json_object_get(v, "frames"), k, f)
		{
			buf_printf(out, "#%-3zu %s", k, val_str(f, "address"));
			if (json_object_get(f, "name"))
				buf_printf(out, " %s+%#llx", val_str(f, "name"),
					   (ull)val_u64(f, "offset"));
			buf_putc(out, '\n');
		}
		if (json_object_get(v, "stopped"))
			buf_printf(out, "     [%s]\n", val_str(v, "stopped"));
	}
}

/* ---- dmesg ---- */

static void guest_record(void *arg, u64 seq, u64 ns, int level,
			 const char *text)
{
	json_array_append_new(
		arg, json_pack("{sI sI si ss}", "seq", (json_int_t)seq, "ns",
			       (json_int_t)ns, "level", level, "text", text));
}

json_t *query_dmesg(struct monitor *mon, const struct args *a, struct err *err)
{
	struct insight *ins = guest_open(mon, true, err);
	json_t *list;
	u64 last = args_u64(a, "count");
	bool stale;

	if (!ins)
		return NULL;
	stale = insight_stale(ins);
	list = json_array();
	if (insight_dmesg(ins, guest_record, list, err) < 0 &&
	    !json_array_size(list)) {
		json_decref(list);
		return NULL;
	}
	while (args_has(a, "count") && json_array_size(list) > last)
		json_array_remove(list, 0);
	return json_pack("{ss sb so ss}", "release", insight_release(ins),
			 "stale", stale, "records", list, "stopped", err->msg);
}

void print_dmesg(const json_t *v, struct buf *out)
{
	size_t i;
	json_t *r;

	if (val_true(v, "stale"))
		buf_printf(out,
			   "[the log of Linux %s, which no vCPU runs now]\n",
			   val_str(v, "release"));
	json_array_foreach(json_object_get(v, "records"), i, r)
	{
		u64 us = val_u64(r, "ns") / 1000;

		buf_printf(out, "[%5llu.%06llu] %s\n", (ull)(us / 1000000),
			   (ull)(us % 1000000), val_str(r, "text"));
	}
	if (val_str(v, "stopped")[0])
		buf_printf(out, "[%s]\n", val_str(v, "stopped"));
}

static void guest_init_record(void *arg, u64 seq, u64 ns, int level,
			      const char *text)
{
	static const char run[] = "Run ", as[] = " as init process";
	size_t len = strlen(text);
	struct guest_init *init = arg;

	if (strncmp(text, run, 4) || len < 4 + strlen(as) ||
	    strcmp(text + len - strlen(as), as))
		return;
	len = MIN(len - 4 - strlen(as), sizeof init->program - 1);
	memcpy(init->program, text + 4, len);
	init->program[len] = '\0';
	init->ns = ns;
}

bool guest_find_init(struct monitor *mon, struct guest_init *ret)
{
	struct insight *ins;
	bool symbols = mon->symbols;
	bool known = guest_kernel;
	struct err err = { 0 };

	ret->program[0] = '\0';
	ins = guest_open(mon, false, &err);
	if (!symbols) /* nobody has asked for names so far */
		mon->symbols = false;
	if (ins && !insight_stale(ins))
		insight_dmesg(ins, guest_init_record, ret, &err);
	if (!known) /* a look at the clock shall cost no memory */
		guest_forget();
	return ret->program[0];
}

/* ---- tasks ---- */

/* As ps has it; the kernel's bits are include/linux/sched.h. */
static char guest_task_state(u32 state)
{
	static const char letters[] = "SDTtXZPI";

	if (!state)
		return 'R';
	if ((state & 0x402) == 0x402) /* uninterruptible, not counted */
		return 'I';
	for (int i = 0; letters[i] && i < 7; i++)
		if (state & BIT(i))
			return letters[i];
	return '?';
}

static void guest_task(void *arg, const struct insight_task *t)
{
	char state[2] = { guest_task_state(t->state), '\0' };

	json_array_append_new(
		arg, json_pack("{si si si sb sb ss ss so}", "pid", t->pid,
			       "ppid", t->ppid, "cpu", t->cpu, "running",
			       t->running, "kernel", t->kernel, "state", state,
			       "comm", t->comm, "task", val_hex(t->addr)));
}

json_t *query_tasks(struct monitor *mon, const struct args *a, struct err *err)
{
	struct insight *ins = guest_open(mon, false, err);
	json_t *list;

	if (!ins)
		return NULL;
	list = json_array();
	if (insight_tasks(ins, guest_task, list, err) < 0 &&
	    !json_array_size(list)) {
		json_decref(list);
		return NULL;
	}
	return json_pack("{so ss}", "tasks", list, "stopped", err->msg);
}

void print_tasks(const json_t *v, struct buf *out)
{
	size_t i;
	json_t *t;

	buf_printf(out, "%7s %7s %3s %s %-18s %s\n", "PID", "PPID", "CPU", "S",
		   "TASK", "COMMAND");
	json_array_foreach(json_object_get(v, "tasks"), i, t)
	{
		bool kernel = val_true(t, "kernel");

		buf_printf(out, "%7d %7d %3d %s%s %s %s%s%s\n",
			   (int)json_integer_value(json_object_get(t, "pid")),
			   (int)json_integer_value(json_object_get(t, "ppid")),
			   (int)json_integer_value(json_object_get(t, "cpu")),
			   val_str(t, "state"),
			   val_true(t, "running") ? "*" : " ",
			   val_str(t, "task"), kernel ? "[" : "",
			   val_str(t, "comm"), kernel ? "]" : "");
	}
	if (val_str(v, "stopped")[0])
		buf_printf(out, "[%s]\n", val_str(v, "stopped"));
}
