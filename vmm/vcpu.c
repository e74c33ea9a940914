/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vCPU threads: running, sleeping, parking, and calls from other threads.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "vmm/accel.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

static _Thread_local struct vcpu *vcpu_self;

/* Signalled, with machine_lock, whenever a vCPU parks. */
static struct cond vcpu_parked = { PTHREAD_COND_INITIALIZER };

struct vcpu *vcpu_current(void)
{
	return vcpu_self;
}

/* ---- Guest TSC ---- */

u64 vcpu_tsc(struct vcpu *v)
{
	return vclock_now(v->m) + v->tsc_offset;
}

u64 vcpu_tsc_base(struct vcpu *v)
{
	return v->m->vclock_base_ns + v->tsc_offset;
}

void vcpu_tsc_set(struct vcpu *v, u64 value)
{
	v->tsc_offset = value - vclock_now(v->m);
}

u64 vcpu_tsc_to_vclock(struct vcpu *v, u64 tsc)
{
	return tsc - v->tsc_offset;
}

u64 machine_tsc_khz(struct machine *m)
{
	return 1000000;
}

/* ---- The alarm ---- */

/* In the vCPU's thread, wherever it is. */
static void vcpu_alarm_rings(void *arg)
{
	struct vcpu *v = arg;

	atomic_fetch_or(&v->request, VCPU_REQ_TIMER);
	if (v->m->accel->kick)
		v->m->accel->kick(v);
}

static bool vcpu_alarm_ready(struct vcpu *v)
{
	int r;

	if (v != vcpu_self)
		return false;
	if (v->alarms == VCPU_ALARM_NONE) {
		r = alarm_create(&v->alarm, vcpu_alarm_rings, v);
		v->alarms = r < 0 ? VCPU_ALARM_REFUSED : VCPU_ALARM_READY;
		v->alarm_vclock_ns = v->alarm_mono_ns = ALARM_OFF;
	}
	return v->alarms == VCPU_ALARM_READY;
}

bool vcpu_alarm(struct vcpu *v, u64 deadline_ns)
{
	if (!vcpu_alarm_ready(v))
		return false;
	v->alarm_vclock_ns = deadline_ns;
	v->alarm_mono_ns = deadline_ns == ALARM_OFF
				   ? ALARM_OFF
				   : vclock_to_mono(v->m, deadline_ns);
	alarm_set(&v->alarm, v->alarm_mono_ns);
	return true;
}

/* The clock has stood and goes on. */
static void vcpu_alarm_resume(struct vcpu *v)
{
	if (v->alarms == VCPU_ALARM_READY && v->alarm_vclock_ns != ALARM_OFF)
		vcpu_alarm(v, v->alarm_vclock_ns);
}

/* ---- State ---- */

struct cpu_state *vcpu_cpu(struct vcpu *v)
{
	if (!v->cpu_loaded) {
		v->m->accel->get(v);
		v->cpu_loaded = true;
	}
	return &v->cpu;
}

void vcpu_cpu_changed(struct vcpu *v)
{
	v->cpu_changed = true;
}

void vcpu_reset(struct vcpu *v, bool init)
{
	if (unlikely(log_on(LOG_CPU_RESET)))
		cpu_log_reset(vcpu_cpu(v), v->index);
	if (!init)
		v->cpu_loaded = true; /* all of it is about to be set */
	cpu_reset(vcpu_cpu(v), v->index == 0, init);
	if (!init) {
		v->cpu.apic_base = 0xfee00000u | APICBASE_ENABLE |
				   (v->index ? 0 : APICBASE_BSP);
		v->tsc_offset = 0;
	}
	if (v->m->lapic)
		v->m->lapic->reset(v, init);
	vcpu_cpu_changed(v);
	if (!init) {
		/* The LAPIC counts on hearing from its alarm. */
		atomic_fetch_and(&v->request, VCPU_REQ_TIMER);
		atomic_store(&v->nmis, 0);
		atomic_store(&v->dead, false);
	}
}

/* ---- Requests ---- */

void vcpu_kick(struct vcpu *v)
{
	atomic_fetch_add_explicit(&v->stats.kicks, 1, memory_order_relaxed);
	lock_acquire(&v->lock);
	cond_signal(&v->wake);
	lock_release(&v->lock);
	if (v->m->accel->kick && v != vcpu_self)
		v->m->accel->kick(v);
}

void vcpu_doze(struct vcpu *v, u64 ns)
{
	u64 end = clock_mono_ns() + ns;

	lock_acquire(&v->lock);
	if (!atomic_load(&v->request))
		cond_wait_until(&v->wake, &v->lock, end);
	lock_release(&v->lock);
}

void vcpu_request(struct vcpu *v, u32 bits)
{
	atomic_fetch_or(&v->request, bits);
	vcpu_kick(v);
}

void vcpu_nmi(struct vcpu *v)
{
	atomic_fetch_add(&v->nmis, 1);
	vcpu_request(v, VCPU_REQ_NMI);
}

void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg),
		 void *arg) NO_TSA
{
	struct vcpu_call call = { .fn = fn, .arg = arg };
	bool held;

	if (v == vcpu_self || !v->thread.started) {
		fn(v, arg);
		return;
	}
	held = lock_held(&machine_lock);
	if (held)
		lock_release(&machine_lock);
	lock_acquire(&v->lock);
	list_append(&v->calls, &call.node);
	lock_release(&v->lock);
	vcpu_request(v, VCPU_REQ_WORK);
	lock_acquire(&v->lock);
	while (!call.done)
		cond_wait(&v->done, &v->lock);
	lock_release(&v->lock);
	if (held)
		lock_acquire(&machine_lock);
}

/* ---- The thread ---- */

static void vcpu_make_calls(struct vcpu *v) REQUIRES(v->lock)
{
	while (!list_empty(&v->calls)) {
		struct vcpu_call *c =
			list_first(&v->calls, struct vcpu_call, node);

		list_remove(&c->node);
		lock_release(&v->lock);
		c->fn(v, c->arg);
		lock_acquire(&v->lock);
		c->done = true;
		cond_broadcast(&v->done);
	}
}

static void vcpu_park(struct vcpu *v) REQUIRES(v->lock)
{
	v->paused = true;
	lock_release(&v->lock);
	lock_acquire(&machine_lock);
	cond_broadcast(&vcpu_parked);
	lock_release(&machine_lock);
	lock_acquire(&v->lock);
	while (v->pause_asked && !v->quit_asked && list_empty(&v->calls))
		cond_wait(&v->wake, &v->lock);
	if (!v->pause_asked) {
		v->paused = false;
		vcpu_alarm_resume(v);
	}
}

/* What comes while it does not is kept, and forgotten at its reset. */
static bool vcpu_lives(struct vcpu *v)
{
	return !atomic_load(&v->dead) && !atomic_load(&v->unplugged);
}

/* Until it is woken or the alarm's time: the signal ends no wait. */
static void vcpu_sleep(struct vcpu *v) REQUIRES(v->lock)
{
	bool timed = v->alarms == VCPU_ALARM_READY &&
		     v->alarm_mono_ns != ALARM_OFF && vcpu_lives(v);

	atomic_store(&v->halted, true);
	if (!timed)
		cond_wait(&v->wake, &v->lock);
	else if (!cond_wait_until(&v->wake, &v->lock, v->alarm_mono_ns))
		atomic_fetch_or(&v->request, VCPU_REQ_TIMER);
	atomic_store(&v->halted, false);
}

/* Sleeps until there is something to do; false: end of the thread. */
static bool vcpu_wait(struct vcpu *v, bool halted) NO_TSA
{
	bool go;

	lock_acquire(&v->lock);
	for (;;) {
		atomic_fetch_and(&v->request, ~VCPU_REQ_WORK);
		vcpu_make_calls(v);
		if (v->quit_asked)
			break;
		if (v->pause_asked) {
			vcpu_park(v);
			continue;
		}
		if (atomic_load(&v->request) & VCPU_REQ_WORK)
			continue;
		if (vcpu_lives(v) &&
		    (!halted || v->cpu_changed || atomic_load(&v->request)))
			break;
		vcpu_sleep(v);
	}
	go = !v->quit_asked;
	lock_release(&v->lock);
	return go;
}

static bool vcpu_load_state(struct vcpu *v)
{
	int r = 0;

	if (v->cpu_changed)
		r = v->m->accel->put(v);
	v->cpu_changed = false;
	v->cpu_loaded = false;
	if (r < 0)
		log_warn("vCPU %d: the accelerator refuses its state: error %d",
			 v->index, -r);
	return r >= 0;
}

static void vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	bool halted = false;

	vcpu_self = v;
	atomic_store(&v->thread_id, thread_self_id());
	while (vcpu_wait(v, halted)) {
		enum vcpu_exit why = VCPU_EXIT_ERROR;

		halted = false;
		if (vcpu_load_state(v))
			why = v->m->accel->run(v);
		atomic_fetch_add_explicit(&v->stats.exits, 1,
					  memory_order_relaxed);
		switch (why) {
		case VCPU_EXIT_AGAIN: break;
		case VCPU_EXIT_HALT:
			atomic_fetch_add_explicit(&v->stats.halts, 1,
						  memory_order_relaxed);
			halted = true;
			break;
		case VCPU_EXIT_SHUTDOWN:
			atomic_store(&v->dead, true);
			runstate_request_reset(v->m, true);
			break;
		case VCPU_EXIT_DEBUG:
			lock_acquire(&v->lock);
			v->pause_asked = true;
			lock_release(&v->lock);
			runstate_request_stop(v->m, RUN_DEBUG);
			break;
		case VCPU_EXIT_ERROR:
			atomic_store(&v->dead, true);
			runstate_request_stop(v->m, RUN_INTERNAL_ERROR);
			break;
		}
	}
	/* First the alarm: it kicks the accelerator's vCPU. */
	if (v->alarms == VCPU_ALARM_READY)
		alarm_destroy(&v->alarm);
	if (v->m->accel->vcpu_destroy)
		v->m->accel->vcpu_destroy(v);
	vcpu_self = NULL;
}

int vcpu_create(struct machine *m, int index, struct err *err)
{
	struct vcpu *v = xalloc(sizeof *v);

	v->m = m;
	v->index = index;
	v->apic_id = (u32)index;
	lock_init(&v->lock);
	cond_init(&v->wake);
	cond_init(&v->done);
	list_init(&v->calls);
	v->pause_asked = true;
	m->vcpus[index] = v;
	m->nvcpus = MAX(m->nvcpus, index + 1);
	return 0;
}

struct vcpu_start_call {
	int result;
	struct err *err;
};

static void vcpu_start_accel(struct vcpu *v, void *arg)
{
	struct vcpu_start_call *s = arg;

	s->result = v->m->accel->vcpu_create(v, s->err);
}

int vcpu_start(struct vcpu *v, struct err *err)
{
	struct vcpu_start_call s = { .err = err };
	char name[16];
	int r;

	snprintf(name, sizeof name, "vcpu%d", v->index);
	r = thread_start(&v->thread, name, vcpu_thread, v, err);
	if (r < 0)
		return r;
	vcpu_run_on(v, vcpu_start_accel, &s);
	return s.result;
}

void vcpu_destroy(struct vcpu *v) NO_TSA
{
	bool held;

	if (!v)
		return;
	held = lock_held(&machine_lock);
	lock_acquire(&v->lock);
	v->quit_asked = true;
	atomic_fetch_or(&v->request, VCPU_REQ_WORK);
	cond_signal(&v->wake);
	/* Once the lock is free the thread destroys what is kicked. */
	if (v->m->accel->kick)
		v->m->accel->kick(v);
	lock_release(&v->lock);
	if (held)
		lock_release(&machine_lock);
	thread_join(&v->thread);
	if (held)
		lock_acquire(&machine_lock);
	v->m->vcpus[v->index] = NULL;
	cond_fini(&v->wake);
	cond_fini(&v->done);
	lock_fini(&v->lock);
	free(v);
}

/* ---- Plug and unplug ---- */

struct vcpu *vcpu_plugged(const struct machine *m, u64 index)
{
	struct vcpu *v = index < (u64)m->nvcpus ? m->vcpus[index] : NULL;

	return v && !atomic_load(&v->unplugged) ? v : NULL;
}

static void vcpu_plug_in(struct vcpu *v, void *unused)
{
	/* As firmware or the guest has set them on all. */
	struct cpu_mtrr mtrr = vcpu_cpu(v)->mtrr;

	/* What an accelerator has kept for it, INIT or SIPI, is done when it is
	 * asked for its state, and does not outlast the reset then. */
	v->m->accel->get(v);
	vcpu_reset(v, false);
	v->cpu.mtrr = mtrr;
	atomic_store(&v->unplugged, false);
}

void vcpu_plug(struct vcpu *v)
{
	assert_locked(&machine_lock);
	v->m->topo.cpus++;
	vcpu_run_on(v, vcpu_plug_in, NULL);
}

void vcpu_unplug(struct vcpu *v)
{
	assert_locked(&machine_lock);
	v->m->topo.cpus--;
	atomic_store(&v->unplugged, true);
	vcpu_request(v, VCPU_REQ_WORK);
}

/* ---- Pause and resume ---- */

static bool vcpu_all_parked(struct machine *m)
{
	bool all = true;

	for (int i = 0; i < m->nvcpus; i++) {
		struct vcpu *v = m->vcpus[i];

		if (!v->thread.started || v == vcpu_self)
			continue;
		lock_acquire(&v->lock);
		all = all && v->paused;
		lock_release(&v->lock);
	}
	return all;
}

void vcpu_pause_all(struct machine *m)
{
	assert_locked(&machine_lock);
	for (int i = 0; i < m->nvcpus; i++) {
		struct vcpu *v = m->vcpus[i];

		lock_acquire(&v->lock);
		v->pause_asked = true;
		lock_release(&v->lock);
		vcpu_request(v, VCPU_REQ_WORK);
	}
	while (!vcpu_all_parked(m))
		machine_wait(&vcpu_parked);
}

void vcpu_resume_all(struct machine *m)
{
	for (int i = 0; i < m->nvcpus; i++) {
		struct vcpu *v = m->vcpus[i];

		lock_acquire(&v->lock);
		v->pause_asked = v->debug.held;
		cond_signal(&v->wake);
		lock_release(&v->lock);
	}
}

/* ---- Device access ---- */

static u64 vcpu_io(struct vcpu *v, struct space *s, u64 addr, u32 size,
		   bool write, u64 value)
{
	struct region *r;
	u64 offset;

	r = space_find_lockless(s, addr, size, &offset);
	if (r) {
		if (!write)
			return region_read(r, offset, size);
		region_write(r, offset, size, value);
		return 0;
	}
	lock_acquire(&machine_lock);
	if (write)
		space_write(s, addr, size, value);
	else
		value = space_read(s, addr, size);
	lock_release(&machine_lock);
	return value;
}

static void vcpu_count(_Atomic u64 *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

u64 vcpu_mmio_read(struct vcpu *v, gpa_t gpa, u32 size)
{
	u64 value = vcpu_io(v, &v->m->memory, gpa, size, false, 0);

	vcpu_count(&v->stats.mmio);
	trace(MMIO_READ, "cpu %d mmio read  %#llx/%u = %#llx", v->index,
	      (unsigned long long)gpa, size, (unsigned long long)value);
	return value;
}

void vcpu_mmio_write(struct vcpu *v, gpa_t gpa, u32 size, u64 value)
{
	vcpu_count(&v->stats.mmio);
	trace(MMIO_WRITE, "cpu %d mmio write %#llx/%u = %#llx", v->index,
	      (unsigned long long)gpa, size, (unsigned long long)value);
	vcpu_io(v, &v->m->memory, gpa, size, true, value);
}

u64 vcpu_pio_read(struct vcpu *v, u16 port, u32 size)
{
	u64 value = vcpu_io(v, &v->m->io, port, size, false, 0);

	vcpu_count(&v->stats.pio);
	trace(PIO_READ, "cpu %d port read  %#x/%u = %#llx", v->index, port,
	      size, (unsigned long long)value);
	return value;
}

void vcpu_pio_write(struct vcpu *v, u16 port, u32 size, u64 value)
{
	vcpu_count(&v->stats.pio);
	trace(PIO_WRITE, "cpu %d port write %#x/%u = %#llx", v->index, port,
	      size, (unsigned long long)value);
	vcpu_io(v, &v->m->io, port, size, true, value);
}
