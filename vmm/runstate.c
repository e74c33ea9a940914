/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Run state: who asked for what, and the main loop that does it.
 */
#include "vmm/runstate.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/accel.h"
#include "vmm/device.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

#define RUN_REQ_RESET     0x01u
#define RUN_REQ_SHUTDOWN  0x02u
#define RUN_REQ_POWERDOWN 0x04u
#define RUN_REQ_QUIT      0x08u
#define RUN_REQ_GUEST     0x10u /* the guest asked for the reset */
#define RUN_REQ_STOP(s)   (0x100u << (s))

static const char *const run_state_names[] = {
#define RUN_STATE(id, name) name,
#include "vmm/runstate.def"
#undef RUN_STATE
};

const char *run_state_name(enum run_state s)
{
	return run_state_names[s];
}

bool run_state_running(const struct machine *m)
{
	return m->run.state == RUN_RUNNING;
}

void run_notifier_add(struct machine *m, struct run_notifier *n)
{
	list_append(&m->run.notifiers, &n->node);
}

void run_notifier_remove(struct run_notifier *n)
{
	if (n->node.next)
		list_remove(&n->node);
}

static void run_state_set(struct machine *m, enum run_state now)
{
	enum run_state old = m->run.state;
	struct run_notifier *n, *tmp;

	m->run.state = now;
	if (old != now)
		list_for_each_safe (n, tmp, &m->run.notifiers, node)
			n->fn(n->arg, old, now);
}

static void machine_halt(struct machine *m, enum run_state why, bool tell)
{
	assert_locked(&machine_lock);
	vcpu_pause_all(m);
	if (run_state_running(m)) {
		/* Nobody submits any more; what was submitted ends now, so
		 * that memory and devices stand still afterwards. */
		block_drain_all();
		vclock_stop(m);
		if (m->accel->clock)
			m->accel->clock(m, false);
		run_state_set(m, why);
		if (tell)
			event_send(m, EVENT_STOP, NULL);
	} else if (m->run.state == RUN_PAUSED || m->run.state == RUN_DEBUG) {
		run_state_set(m, why);
	}
}

void machine_stop(struct machine *m, enum run_state why)
{
	machine_halt(m, why, true);
}

void machine_park(struct machine *m)
{
	machine_halt(m, RUN_SHUTDOWN, false);
}

static void machine_enters(struct machine *m)
{
	if (!m->times.entry)
		m->times.entry = clock_mono_ns();
}

int machine_cont(struct machine *m, struct err *err)
{
	assert_locked(&machine_lock);
	switch (m->run.state) {
	case RUN_RUNNING: return 0;
	case RUN_SHUTDOWN:
	case RUN_INTERNAL_ERROR:
		return err_set(err, -EPERM,
			       "Resetting the Virtual Machine is required");
	default: break;
	}
	/* Of a vCPU that ran into something beside the one that is known. */
	atomic_fetch_and(&m->run.requests, ~RUN_REQ_STOP(RUN_DEBUG));
	run_state_set(m, RUN_RUNNING);
	event_send(m, EVENT_RESUME, NULL);
	if (m->accel->clock)
		m->accel->clock(m, true);
	vclock_start(m);
	machine_enters(m);
	vcpu_resume_all(m);
	return 0;
}

int machine_reset(struct machine *m, struct err *err)
{
	bool running = run_state_running(m);
	int r;

	vcpu_pause_all(m);
	device_reset_all(m);
	for (int i = 0; i < m->nvcpus; i++)
		vcpu_reset(m->vcpus[i], false);
	r = m->reload ? m->reload(m, err) : 0;
	if (r < 0) {
		if (running) {
			vclock_stop(m);
			run_state_set(m, RUN_INTERNAL_ERROR);
		}
		return r;
	}
	if (m->run.state == RUN_SHUTDOWN || m->run.state == RUN_INTERNAL_ERROR)
		run_state_set(m, RUN_PRELAUNCH);
	if (m->times.entry)
		m->times.reset = clock_mono_ns();
	m->times.entry = 0;
	if (running) {
		machine_enters(m);
		vcpu_resume_all(m);
	}
	return 0;
}

static void run_send(struct machine *m, enum event_id id, bool guest,
		     const char *reason)
{
	const struct event_value v[] = { { .num = guest }, { .text = reason } };

	event_send(m, id, v);
}

/* The guest has done it, if only by a reset that ends it. */
static void machine_shut_down(struct machine *m, const char *reason)
{
	run_send(m, EVENT_SHUTDOWN, true, reason);
	if (m->no_shutdown) {
		machine_stop(m, RUN_SHUTDOWN);
		return;
	}
	m->exit_code = 0;
	m->run.end_reason = reason;
	loop_quit(m->loop);
}

static void run_quit(struct machine *m)
{
	const char *reason = atomic_load(&m->run.quit_reason);

	run_send(m, EVENT_SHUTDOWN, !strncmp(reason, "guest-", 6), reason);
	m->exit_code = atomic_load(&m->run.exit_code);
	m->run.end_reason = reason;
	loop_quit(m->loop);
}

static void run_reset(struct machine *m, bool guest)
{
	struct err err = { 0 };

	for (struct chardev *c = chr_next(NULL); c; c = chr_next(c))
		chr_forget_login(c);
	if (machine_reset(m, &err) < 0)
		log_warn("cannot load the guest again: %s", err.msg);
	run_send(m, EVENT_RESET, guest,
		 guest ? "guest-reset" : "host-qmp-system-reset");
}

static void run_power_button(struct machine *m)
{
	if (m->powerdown)
		m->powerdown(m->powerdown_arg);
	event_send(m, EVENT_POWERDOWN, NULL);
}

static void run_stop(struct machine *m, enum run_state why)
{
	const struct event_value pause = { .text = "pause" };

	if (why == RUN_GUEST_PANICKED)
		event_send(m, EVENT_GUEST_PANICKED, &pause);
	machine_stop(m, why);
}

static void run_requests_carry_out(void *arg)
{
	struct machine *m = arg;
	u32 req = atomic_exchange(&m->run.requests, 0);
	bool guest = req & RUN_REQ_GUEST;

	if (req & RUN_REQ_QUIT) {
		run_quit(m);
		return;
	}
	if (req & RUN_REQ_SHUTDOWN)
		machine_shut_down(m, "guest-shutdown");
	else if ((req & RUN_REQ_RESET) && guest && m->no_reboot)
		machine_shut_down(m, "guest-reset");
	else if (req & RUN_REQ_RESET)
		run_reset(m, guest);
	if (req & RUN_REQ_POWERDOWN)
		run_power_button(m);
	for (int s = 0; s < RUN_STATE_COUNT; s++)
		if (req & RUN_REQ_STOP(s))
			run_stop(m, s);
}

static void run_request(struct machine *m, u32 bits)
{
	if (!atomic_fetch_or(&m->run.requests, bits))
		loop_post(m->loop, run_requests_carry_out, m);
}

void runstate_request_reset(struct machine *m, bool guest)
{
	run_request(m, RUN_REQ_RESET | (guest ? RUN_REQ_GUEST : 0));
}

void runstate_request_shutdown(struct machine *m, bool guest)
{
	run_request(m, RUN_REQ_SHUTDOWN);
}

void runstate_request_powerdown(struct machine *m)
{
	run_request(m, RUN_REQ_POWERDOWN);
}

void runstate_request_quit(struct machine *m, int exit_code, const char *reason)
{
	atomic_store(&m->run.quit_reason, reason);
	atomic_store(&m->run.exit_code, exit_code);
	run_request(m, RUN_REQ_QUIT);
}

void runstate_request_stop(struct machine *m, enum run_state why)
{
	run_request(m, RUN_REQ_STOP(why));
}
