/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gdb stub's commands: one packet in, one answer out.
 *
 * GDB manual, "Packets" and "General Query Packets"; those with "qemu." are
 * QEMU's (docs/system/gdb.rst).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "gdb/internal.h"
#include "gdb/regs.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "vmm/accel.h"

#define GDB_E_FAULT 14 /* the numbers that QEMU answers with */
#define GDB_E_INVAL 22

/* What a packet's text may look like from here on. */
struct gdb_text {
	const char *at, *end;
};

struct gdb_row {
	const char *name; /* what the packet begins with */
	void (*run)(struct gdb *g, struct gdb_text t);
};

/* ---- Text ---- */

static bool text_is(const struct gdb_text *t, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(t->end - t->at) == n && !memcmp(t->at, s, n);
}

static bool text_take(struct gdb_text *t, const char *s)
{
	size_t n = strlen(s);

	if ((size_t)(t->end - t->at) < n || memcmp(t->at, s, n))
		return false;
	t->at += n;
	return true;
}

/* At least one digit and no more than fit. */
static bool text_hex(struct gdb_text *t, u64 *ret)
{
	u64 value = 0;
	int n = 0, digit;

	while (t->at < t->end && (digit = gdb_hex_digit((u8)*t->at)) >= 0) {
		if (value >> 60)
			return false;
		value = value << 4 | (u64)digit;
		t->at++;
		n++;
	}
	*ret = value;
	return n > 0;
}

#define THREAD_ALL -1
#define THREAD_ANY -2

/* "3", "p1.3", "0" for any, "-1" for all: a vCPU's index or THREAD_*.  False:
 * there is none such. */
static bool text_thread(struct gdb *g, struct gdb_text *t, int *ret)
{
	u64 n;

	if (text_take(t, "p")) {
		if (!text_take(t, "-1") && !text_hex(t, &n))
			return false;
		if (!text_take(t, ".")) {
			*ret = THREAD_ALL;
			return true;
		}
	}
	if (text_take(t, "-1")) {
		*ret = THREAD_ALL;
		return true;
	}
	if (!text_hex(t, &n))
		return false;
	*ret = n ? (int)MIN(n, (u64)VCPUS_MAX + 1) - 1 : THREAD_ANY;
	return !n || gdb_vcpu(g, *ret);
}

/* ---- Registers ---- */

struct gdb_regs {
	struct gdb *g;
	u32 n;
	u8 *data; /* of all of them, or of `n` */
	size_t len;
	struct buf *out;
	bool done;
};

static void regs_read_all(struct vcpu *v, void *arg)
{
	struct gdb_regs *r = arg;
	const struct cpu_state *c = vcpu_cpu(v);
	u8 value[GDB_REG_MAX];
	u32 size;

	for (u32 n = 0; (size = gdb_reg_get(c, r->g->has, n, value)); n++)
		gdb_hex_encode(value, size, r->out);
}

static void regs_read(struct vcpu *v, void *arg)
{
	struct gdb_regs *r = arg;
	u8 value[GDB_REG_MAX];
	u32 size = gdb_reg_get(vcpu_cpu(v), r->g->has, r->n, value);

	gdb_hex_encode(value, size, r->out);
	r->done = size;
}

/* One register from the front of what is left; false: no more. */
static bool regs_set(struct gdb_regs *r, struct cpu_state *c, u32 n)
{
	u8 value[GDB_REG_MAX];
	u32 size = gdb_reg_get(c, r->g->has, n, value);

	if (!size || r->len < size)
		return false;
	memcpy(value, r->data, size);
	gdb_reg_set(c, r->g->has, n, value);
	r->data += size;
	r->len -= size;
	return true;
}

static void regs_write_all(struct vcpu *v, void *arg)
{
	struct gdb_regs *r = arg;
	struct cpu_state *c = vcpu_cpu(v);
	u32 n = 0;

	while (regs_set(r, c, n))
		n++;
	vcpu_cpu_changed(v);
}

static void regs_write(struct vcpu *v, void *arg)
{
	struct gdb_regs *r = arg;

	r->done = regs_set(r, vcpu_cpu(v), r->n) && !r->len;
	vcpu_cpu_changed(v);
}

static void gdb_read_regs(struct gdb *g, struct gdb_text t)
{
	struct buf out = { 0 };
	struct gdb_regs r = { .g = g, .out = &out };

	vcpu_run_on(gdb_vcpu(g, g->cpu), regs_read_all, &r);
	gdb_reply_buf(g, &out);
}

static void gdb_read_reg(struct gdb *g, struct gdb_text t)
{
	struct buf out = { 0 };
	struct gdb_regs r = { .g = g, .out = &out };
	u64 n;

	if (text_hex(&t, &n) && n <= UINT32_MAX) {
		r.n = (u32)n;
		vcpu_run_on(gdb_vcpu(g, g->cpu), regs_read, &r);
	}
	if (r.done)
		gdb_reply_buf(g, &out);
	else
		gdb_reply_error(g, GDB_E_INVAL);
	buf_fini(&out);
}

static void gdb_write_regs(struct gdb *g, struct gdb_text t)
{
	struct buf data = { 0 };
	struct gdb_regs r = { .g = g };

	if (gdb_hex_decode(t.at, (size_t)(t.end - t.at), &data)) {
		r.data = (u8 *)data.data;
		r.len = data.len;
		vcpu_run_on(gdb_vcpu(g, g->cpu), regs_write_all, &r);
		gdb_reply(g, "OK");
	} else {
		gdb_reply_error(g, GDB_E_INVAL);
	}
	buf_fini(&data);
}

static void gdb_write_reg(struct gdb *g, struct gdb_text t)
{
	struct buf data = { 0 };
	struct gdb_regs r = { .g = g };
	u64 n;

	if (text_hex(&t, &n) && n <= UINT32_MAX && text_take(&t, "=") &&
	    gdb_hex_decode(t.at, (size_t)(t.end - t.at), &data)) {
		r.n = (u32)n;
		r.data = (u8 *)data.data;
		r.len = data.len;
		vcpu_run_on(gdb_vcpu(g, g->cpu), regs_write, &r);
	}
	if (r.done)
		gdb_reply(g, "OK");
	else
		gdb_reply_error(g, GDB_E_INVAL);
	buf_fini(&data);
}

/* ---- Memory ---- */

/* "ADDRESS,LENGTH" of no more than a packet's hex digits can hold. */
static bool text_range(struct gdb_text *t, u64 *ret_at, u64 *ret_len)
{
	return text_hex(t, ret_at) && text_take(t, ",") &&
	       text_hex(t, ret_len) && *ret_len <= GDB_PACKET_MAX / 2;
}

static void gdb_read_memory(struct gdb *g, struct gdb_text t)
{
	u8 data[GDB_PACKET_MAX / 2];
	struct buf out = { 0 };
	u64 at, len;
	size_t n;

	if (!text_range(&t, &at, &len) || t.at != t.end) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	n = gdb_read(g, at, data, len);
	if (len && !n) {
		gdb_reply_error(g, GDB_E_FAULT);
		return;
	}
	gdb_hex_encode(data, n, &out);
	gdb_reply_buf(g, &out);
}

static void gdb_store(struct gdb *g, u64 at, const void *data, u64 len)
{
	if (gdb_write(g, at, data, len) == len)
		gdb_reply(g, "OK");
	else
		gdb_reply_error(g, GDB_E_FAULT);
}

static void gdb_write_memory(struct gdb *g, struct gdb_text t)
{
	struct buf data = { 0 };
	u64 at, len;

	if (text_range(&t, &at, &len) && text_take(&t, ":") &&
	    gdb_hex_decode(t.at, (size_t)(t.end - t.at), &data) &&
	    data.len == len)
		gdb_store(g, at, data.data, len);
	else
		gdb_reply_error(g, GDB_E_INVAL);
	buf_fini(&data);
}

static void gdb_write_binary(struct gdb *g, struct gdb_text t)
{
	u64 at, len;

	if (text_range(&t, &at, &len) && text_take(&t, ":") &&
	    (u64)(t.end - t.at) == len)
		gdb_store(g, at, t.at, len);
	else
		gdb_reply_error(g, GDB_E_INVAL);
}

/* ---- Points ---- */

/* "KIND,ADDRESS,LENGTH" */
static bool text_point(struct gdb_text *t, u64 *ret_kind, u64 *ret_at,
		       u64 *ret_len)
{
	return text_hex(t, ret_kind) && *ret_kind < DEBUG_KIND_COUNT &&
	       text_take(t, ",") && text_hex(t, ret_at) && text_take(t, ",") &&
	       text_hex(t, ret_len) && *ret_len <= PAGE_SIZE;
}

static void gdb_insert(struct gdb *g, struct gdb_text t)
{
	u64 kind, at, len;
	int r = -EINVAL;

	if (text_point(&t, &kind, &at, &len))
		r = debug_insert(gdb_vcpu(g, g->cpu), (enum debug_kind)kind, at,
				 (u32)len);
	if (r == -ENOTSUP)
		gdb_reply(g, "");
	else if (r < 0)
		gdb_reply_error(g, -r);
	else
		gdb_reply(g, "OK");
}

static void gdb_remove(struct gdb *g, struct gdb_text t)
{
	u64 kind, at, len;
	int r = -EINVAL;

	if (text_point(&t, &kind, &at, &len))
		r = debug_remove(g->m, (enum debug_kind)kind, at, (u32)len);
	if (r < 0)
		gdb_reply_error(g, -r);
	else
		gdb_reply(g, "OK");
}

/* ---- Running ---- */

static void gdb_run(struct gdb *g, int what, int cpu)
{
	struct gdb_action a[VCPUS_MAX];

	for (int n = 0; n < VCPUS_MAX; n++)
		a[n] = (struct gdb_action){ .what = GDB_CONT };
	if (what == GDB_STEP)
		a[cpu].what = GDB_STEP;
	gdb_resume(g, a);
}

static void gdb_set_rip(struct vcpu *v, void *arg)
{
	vcpu_cpu(v)->rip = *(u64 *)arg;
	vcpu_cpu_changed(v);
}

/* "c", "s", each with an address; "C05;ADDRESS": the signal is ignored. */
static void gdb_go(struct gdb *g, struct gdb_text t, int what, bool signal)
{
	u64 rip, number;

	if (signal && !text_hex(&t, &number)) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	if (signal)
		text_take(&t, ";");
	if (text_hex(&t, &rip))
		vcpu_run_on(gdb_vcpu(g, g->cont_cpu), gdb_set_rip, &rip);
	gdb_run(g, what, g->cont_cpu);
}

static void gdb_continue(struct gdb *g, struct gdb_text t)
{
	gdb_go(g, t, GDB_CONT, false);
}

static void gdb_continue_signal(struct gdb *g, struct gdb_text t)
{
	gdb_go(g, t, GDB_CONT, true);
}

static void gdb_step(struct gdb *g, struct gdb_text t)
{
	gdb_go(g, t, GDB_STEP, false);
}

static void gdb_step_signal(struct gdb *g, struct gdb_text t)
{
	gdb_go(g, t, GDB_STEP, true);
}

/* "c", "C05", "s", "S05", "r10,20" */
static bool text_action(struct gdb_text *t, struct gdb_action *ret)
{
	u64 signal;

	*ret = (struct gdb_action){ .what = GDB_CONT };
	if (text_take(t, "c"))
		return true;
	if (text_take(t, "C"))
		return text_hex(t, &signal);
	ret->what = GDB_STEP;
	if (text_take(t, "s"))
		return true;
	if (text_take(t, "S"))
		return text_hex(t, &signal);
	return text_take(t, "r") && text_hex(t, &ret->start) &&
	       text_take(t, ",") && text_hex(t, &ret->end);
}

/* For a thread the leftmost action that applies. */
static void gdb_vcont(struct gdb *g, struct gdb_text t)
{
	struct gdb_action a[VCPUS_MAX] = { 0 }, one;
	bool any = false;
	int cpu;

	while (text_take(&t, ";")) {
		cpu = THREAD_ALL;
		if (!text_action(&t, &one) ||
		    (text_take(&t, ":") && !text_thread(g, &t, &cpu))) {
			gdb_reply_error(g, GDB_E_INVAL);
			return;
		}
		if (cpu == THREAD_ANY)
			cpu = g->cpu;
		for (int n = 0; n < g->m->nvcpus; n++)
			if ((cpu == THREAD_ALL || cpu == n) &&
			    a[n].what == GDB_STAY) {
				a[n] = one;
				any = true;
			}
	}
	if (t.at != t.end || !any)
		gdb_reply_error(g, GDB_E_INVAL);
	else
		gdb_resume(g, a);
}

static void gdb_vcont_query(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, "vCont;c;C;s;S;r");
}

static void gdb_status(struct gdb *g, struct gdb_text t)
{
	char text[32];

	debug_remove_all(g->m);
	snprintf(text, sizeof text, "T05thread:%x;", (unsigned)g->cpu + 1);
	gdb_reply(g, text);
}

static void gdb_detach(struct gdb *g, struct gdb_text t)
{
	gdb_release(g);
	gdb_reply(g, "OK");
	g->cpu = g->cont_cpu = 0;
	machine_cont(g->m, NULL);
}

static void gdb_kill(struct gdb *g, struct gdb_text t)
{
	log_info("terminated via gdb");
	g->ended = true;
	runstate_request_quit(g->m, 0, "host-qmp-quit");
}

static void gdb_vkill(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, "OK");
	gdb_kill(g, t);
	g->ended = false; /* it has its answer */
}

/* ---- Threads ---- */

static void gdb_choose(struct gdb *g, struct gdb_text t)
{
	char what = t.at < t.end ? *t.at++ : '\0';
	int cpu;

	if ((what != 'g' && what != 'c') || !text_thread(g, &t, &cpu) ||
	    t.at != t.end) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	if (cpu >= 0 && what == 'g')
		g->cpu = cpu;
	else if (cpu >= 0)
		g->cont_cpu = cpu;
	gdb_reply(g, "OK");
}

static void gdb_alive(struct gdb *g, struct gdb_text t)
{
	int cpu;

	if (text_thread(g, &t, &cpu) && t.at == t.end)
		gdb_reply(g, "OK");
	else
		gdb_reply_error(g, GDB_E_INVAL);
}

static void gdb_list_more(struct gdb *g, struct gdb_text t)
{
	struct buf out = { 0 };

	while (g->list_next < g->m->nvcpus && !vcpu_plugged(g->m, g->list_next))
		g->list_next++;
	if (g->list_next < g->m->nvcpus)
		buf_printf(&out, "m%x", (unsigned)++g->list_next);
	else
		buf_putc(&out, 'l');
	gdb_reply_buf(g, &out);
}

static void gdb_list(struct gdb *g, struct gdb_text t)
{
	g->list_next = 0;
	gdb_list_more(g, t);
}

static void gdb_get_halted(struct vcpu *v, void *arg)
{
	*(bool *)arg = vcpu_cpu(v)->mp_state != CPU_RUNNABLE;
}

static void gdb_thread_info(struct gdb *g, struct gdb_text t)
{
	struct buf out = { 0 };
	char text[40];
	bool halted;
	int cpu;

	if (!text_thread(g, &t, &cpu) || cpu < 0 || t.at != t.end) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	vcpu_run_on(gdb_vcpu(g, cpu), gdb_get_halted, &halted);
	snprintf(text, sizeof text, "CPU#%d [%s]", cpu,
		 halted ? "halted " : "running");
	gdb_hex_encode(text, strlen(text), &out);
	gdb_reply_buf(g, &out);
}

static void gdb_current(struct gdb *g, struct gdb_text t)
{
	char text[16];

	if (t.at != t.end) {
		gdb_reply(g, ""); /* qCRC */
		return;
	}
	snprintf(text, sizeof text, "QC%x", (unsigned)g->cpu + 1);
	gdb_reply(g, text);
}

/* ---- Queries ---- */

static void gdb_get_features(struct vcpu *v, void *arg)
{
	struct gdb *g = arg;
	u32 out[4];

	g->has = 0;
	g->m->accel->cpuid(v, 1, 0, out);
	if (out[2] & BIT(28))
		g->has |= GDB_HAS_AVX;
	g->m->accel->cpuid(v, 7, 0, out);
	if (g->has && (out[1] & BIT(16)))
		g->has |= GDB_HAS_AVX512;
}

static void gdb_supported(struct gdb *g, struct gdb_text t)
{
	char text[160];

	while (t.at < t.end) {
		const char *next = memchr(t.at, ';', (size_t)(t.end - t.at));
		struct gdb_text one = { t.at, next ? next : t.end };

		g->swbreak |= text_is(&one, "swbreak+");
		g->hwbreak |= text_is(&one, "hwbreak+");
		t.at = next ? next + 1 : t.end;
	}
	snprintf(text, sizeof text,
		 "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;"
		 "vContSupported+;swbreak+;hwbreak+",
		 GDB_PACKET_MAX);
	gdb_reply(g, text);
}

/* Before the first register is asked for: without a description gdb knows
 * the base only. */
static void gdb_describe(struct gdb *g)
{
	vcpu_run_on(gdb_vcpu(g, 0), gdb_get_features, g);
	buf_clear(&g->xml);
	gdb_regs_xml(g->has, &g->xml);
}

static void gdb_xfer(struct gdb *g, struct gdb_text t)
{
	struct buf out = { 0 };
	u64 at, len;

	if (!text_take(&t, "target.xml:")) {
		gdb_reply(g, "E00");
		return;
	}
	if (!text_hex(&t, &at) || !text_take(&t, ",") || !text_hex(&t, &len)) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	if (!at)
		gdb_describe(g);
	at = MIN(at, g->xml.len);
	len = MIN(MIN(len, GDB_PACKET_MAX / 2), g->xml.len - at);
	buf_putc(&out, at + len < g->xml.len ? 'm' : 'l');
	buf_append(&out, buf_str(&g->xml) + at, len);
	gdb_reply_buf(g, &out);
}

static void gdb_no_ack(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, "OK");
	g->link.no_ack = true;
}

static void gdb_attached(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, "1");
}

static void gdb_ok(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, "OK");
}

static void gdb_nothing(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, "");
}

static void gdb_command_done(void *arg, const char *text)
{
	struct gdb_command *k = arg;
	struct gdb *g = k->g;
	size_t len = strlen(text), at = 0;

	free(k);
	if (!g)
		return;
	g->command = NULL;
	while (at < len) {
		struct buf out = { 0 };
		size_t n = MIN(len - at, 1024);

		buf_putc(&out, 'O');
		gdb_hex_encode(text + at, n, &out);
		gdb_reply_buf(g, &out);
		at += n;
	}
	gdb_reply(g, "OK");
	gdb_pump(g);
	if (!g->pumping)
		chr_accept_input(g->chr);
}

/* "monitor LINE" */
static void gdb_monitor(struct gdb *g, struct gdb_text t)
{
	struct buf line = { 0 };
	struct gdb_command *k;

	if (!gdb_hex_decode(t.at, (size_t)(t.end - t.at), &line) ||
	    memchr(buf_str(&line), '\0', line.len) || !line.len) {
		buf_fini(&line);
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	k = xalloc(sizeof *k);
	k->g = g;
	g->command = k;
	g->ops->command(g->m, buf_str(&line), g->cpu, gdb_command_done, k);
	buf_fini(&line);
}

static void gdb_sstep_bits(struct gdb *g, struct gdb_text t)
{
	char text[48];

	snprintf(text, sizeof text, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x",
		 GDB_STEP_ENABLE, GDB_STEP_NO_IRQ, GDB_STEP_NO_TIMER);
	gdb_reply(g, text);
}

static void gdb_get_sstep(struct gdb *g, struct gdb_text t)
{
	char text[16];

	snprintf(text, sizeof text, "0x%x", g->step_flags);
	gdb_reply(g, text);
}

/* "=0x5" or, in old words, ":5" */
static bool text_setting(struct gdb_text *t, u64 *ret)
{
	if (!text_take(t, "=") && !text_take(t, ":"))
		return false;
	text_take(t, "0x");
	return text_hex(t, ret) && t->at == t->end;
}

static void gdb_set_sstep(struct gdb *g, struct gdb_text t)
{
	u64 flags;

	if (!text_setting(&t, &flags) || flags > 7) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	g->step_flags = (u32)flags;
	gdb_reply(g, "OK");
}

static void gdb_get_physical(struct gdb *g, struct gdb_text t)
{
	gdb_reply(g, g->physical ? "1" : "0");
}

static void gdb_set_physical(struct gdb *g, struct gdb_text t)
{
	u64 on;

	if (!text_setting(&t, &on)) {
		gdb_reply_error(g, GDB_E_INVAL);
		return;
	}
	g->physical = on;
	gdb_reply(g, "OK");
}

/* ---- Table ---- */

/* The first that fits; those that others begin with come later. */
static const struct gdb_row gdb_rows[] = {
	{ "?", gdb_status },
	{ "g", gdb_read_regs },
	{ "G", gdb_write_regs },
	{ "p", gdb_read_reg },
	{ "P", gdb_write_reg },
	{ "m", gdb_read_memory },
	{ "M", gdb_write_memory },
	{ "X", gdb_write_binary },
	{ "Z", gdb_insert },
	{ "z", gdb_remove },
	{ "c", gdb_continue },
	{ "C", gdb_continue_signal },
	{ "s", gdb_step },
	{ "S", gdb_step_signal },
	{ "vCont?", gdb_vcont_query },
	{ "vCont", gdb_vcont },
	{ "vKill", gdb_vkill },
	{ "D", gdb_detach },
	{ "k", gdb_kill },
	{ "H", gdb_choose },
	{ "T", gdb_alive },
	{ "qfThreadInfo", gdb_list },
	{ "qsThreadInfo", gdb_list_more },
	{ "qThreadExtraInfo,", gdb_thread_info },
	{ "qC", gdb_current },
	{ "qSupported:", gdb_supported },
	{ "qSupported", gdb_supported },
	{ "qXfer:features:read:", gdb_xfer },
	{ "QStartNoAckMode", gdb_no_ack },
	{ "qAttached", gdb_attached },
	{ "qSymbol:", gdb_ok },
	{ "qRcmd,", gdb_monitor },
	{ "qqemu.sstepbits", gdb_sstep_bits },
	{ "qqemu.sstep", gdb_get_sstep },
	{ "Qqemu.sstep", gdb_set_sstep },
	{ "qqemu.PhyMemMode", gdb_get_physical },
	{ "Qqemu.PhyMemMode", gdb_set_physical },
	{ "", gdb_nothing }, /* not known: gdb asks for something else */
};

void gdb_packet(struct gdb *g)
{
	const char *in = (const char *)g->link.in;
	struct gdb_text t = { in, in + g->link.in_len };
	const struct gdb_row *row = gdb_rows;

	/* The thread that was chosen may have left. */
	if (!gdb_vcpu(g, g->cpu))
		g->cpu = 0;
	if (!gdb_vcpu(g, g->cont_cpu))
		g->cont_cpu = 0;
	while (!text_take(&t, row->name))
		row++;
	row->run(g, t);
}
