/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Run state: who asked for what, and the main loop that does it.
 */
#include "vmm/runstate.h"

#include <errno.h>

#include "block/block.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/accel.h"
#include "vmm/device.h"
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

void machine_stop(struct machine *m, enum run_state why)
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
	} else if (m->run.state == RUN_PAUSED || m->run.state == RUN_DEBUG) {
		run_state_set(m, why);
	}
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
	run_state_set(m, RUN_RUNNING);
	if (m->accel->clock)
		m->accel->clock(m, true);
	vclock_start(m);
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
	if (running)
		vcpu_resume_all(m);
	return 0;
}

static void machine_shut_down(struct machine *m, int code)
{
	if (m->no_shutdown && !code) {
		machine_stop(m, RUN_SHUTDOWN);
		return;
	}
	m->exit_code = code;
	loop_quit(m->loop);
}

static void run_requests_carry_out(void *arg)
{
	struct machine *m = arg;
	u32 req = atomic_exchange(&m->run.requests, 0);
	struct err err = { 0 };

	if (req & RUN_REQ_QUIT) {
		m->exit_code = atomic_load(&m->run.exit_code);
		loop_quit(m->loop);
		return;
	}
	if ((req & RUN_REQ_RESET) && (req & RUN_REQ_GUEST) && m->no_reboot)
		req = (req & ~RUN_REQ_RESET) | RUN_REQ_SHUTDOWN;
	if (req & RUN_REQ_SHUTDOWN)
		machine_shut_down(m, 0);
	else if ((req & RUN_REQ_RESET) && machine_reset(m, &err) < 0)
		log_warn("cannot load the guest again: %s", err.msg);
	if ((req & RUN_REQ_POWERDOWN) && m->powerdown)
		m->powerdown(m->powerdown_arg);
	for (int s = 0; s < RUN_STATE_COUNT; s++)
		if (req & RUN_REQ_STOP(s))
			machine_stop(m, s);
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

void runstate_request_quit(struct machine *m, int exit_code)
{
	atomic_store(&m->run.exit_code, exit_code);
	run_request(m, RUN_REQ_QUIT);
}

void runstate_request_stop(struct machine *m, enum run_state why)
{
	run_request(m, RUN_REQ_STOP(why));
}
