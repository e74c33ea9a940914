/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What keeps a guest waiting: processors of the host, devices.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "monitor/internal.h"
#include "virtio/virtio.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"

/* ---- info steal ---- */

#define STEAL_ENABLED BIT(0)
#define STEAL_MASK    (~(gpa_t)63)

/* How long the vCPU's thread has run, and waited for a processor.
 * Documentation/scheduler/sched-stats.rst "/proc/<pid>/schedstat". */
static bool steal_of_thread(int tid, u64 *ret_ran, u64 *ret_waited)
{
	unsigned long long ran, waited;
	char path[64], text[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return false;
	*ret_ran = ran;
	*ret_waited = waited;
	return true;
}

/* What the guest is told, in the area that it has asked for (Linux,
 * Documentation/virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME). */
static bool steal_of_guest(struct vcpu *v, u64 *ret_ns)
{
	struct cpu_state c;
	u8 ns[8];

	mon_cpu_copy(v, &c);
	if (!(c.kvm.steal_time & STEAL_ENABLED) ||
	    mem_read(&v->m->mem, c.kvm.steal_time & STEAL_MASK, ns, sizeof ns) <
		    0)
		return false;
	*ret_ns = get_le64(ns);
	return true;
}

json_t *query_steal(struct monitor *mon, const struct args *a, struct err *err)
{
	struct machine *m = mon->m;
	json_t *list = json_array();

	for (int i = 0; i < m->nvcpus; i++) {
		struct vcpu *v = vcpu_plugged(m, i);
		u64 ran, waited, told;
		json_t *row;

		if (!v)
			continue;
		row = json_pack("{si}", "cpu-index", i);
		if (steal_of_thread(v->thread_id, &ran, &waited)) {
			json_object_set_new(row, "ran-ns",
					    json_integer((json_int_t)ran));
			json_object_set_new(row, "waited-ns",
					    json_integer((json_int_t)waited));
		}
		if (steal_of_guest(v, &told))
			json_object_set_new(row, "guest-ns",
					    json_integer((json_int_t)told));
		json_array_append_new(list, row);
	}
	return list;
}

void print_steal(const json_t *list, struct buf *out)
{
	json_t *row, *told;
	size_t i;

	json_array_foreach(list, i, row)
	{
		double ran = (double)val_u64(row, "ran-ns") / NS_PER_S;
		double waited = (double)val_u64(row, "waited-ns") / NS_PER_S;

		buf_printf(out, "CPU #%d: ", (int)val_u64(row, "cpu-index"));
		if (json_object_get(row, "ran-ns"))
			buf_printf(out,
				   "ran %.3f s, waited %.3f s for a processor "
				   "of the host (%.1f %%); ",
				   ran, waited,
				   100 * waited / MAX(ran + waited, 1e-9));
		else
			buf_puts(out, "the host does not tell; ");
		told = json_object_get(row, "guest-ns");
		if (told)
			buf_printf(out, "the guest is told of %.3f s\n",
				   (double)json_integer_value(told) / NS_PER_S);
		else
			buf_puts(out, "the guest has not asked\n");
	}
}

/* ---- info virtqueue ---- */

static const char *const health_words[] = {
	[QUEUE_OFF] = "off",           [QUEUE_IDLE] = "idle",
	[QUEUE_SUPPLIED] = "supplied", [QUEUE_BUSY] = "busy",
	[QUEUE_STUCK] = "stuck",
};

json_t *query_virtqueue(struct monitor *mon, const struct args *a,
			struct err *err)
{
	u64 seconds = args_has(a, "seconds") ? args_u64(a, "seconds") : 1;
	json_t *list = json_array();
	struct virtio *v = NULL;

	while ((v = virtio_next(mon->m, v)))
		for (int n = 0; n < v->nqueues; n++) {
			struct queue *q = &v->queue[n];
			enum queue_health health;
			json_t *row;
			u64 ns;

			health = queue_health(q, seconds * NS_PER_S, &ns);
			row = json_pack(
				"{ss ss si ss si}", "device",
				v->pci.dev.id ? v->pci.dev.id : v->pci.dev.path,
				"name", v->class->name, "queue", n, "state",
				health_words[health], "inuse", q->inflight);
			if (health != QUEUE_OFF)
				json_object_set_new(
					row, "quiet-ns",
					json_integer((json_int_t)ns));
			json_array_append_new(list, row);
		}
	return list;
}

void print_virtqueue(const json_t *list, struct buf *out)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		/* A device may have dozens that nobody uses. */
		if (val_u64(row, "queue") &&
		    !strcmp(val_str(row, "state"), "off"))
			continue;
		buf_printf(out, "%s (%s) queue %d: %s", val_str(row, "device"),
			   val_str(row, "name"), (int)val_u64(row, "queue"),
			   val_str(row, "state"));
		if (json_object_get(row, "quiet-ns"))
			buf_printf(out,
				   ", %d in the device, last moved %.3f s ago",
				   (int)val_u64(row, "inuse"),
				   (double)val_u64(row, "quiet-ns") / NS_PER_S);
		buf_putc(out, '\n');
	}
}
