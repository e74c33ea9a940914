/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One instruction on v->cpu for an accelerator that gave up on it.
 *
 * Each vCPU gets an engine of its own when it first needs one.  It may use
 * whatever this host can do: that the guest was allowed to use the
 * instruction is for the other accelerator to know.
 */
#include "tcg/emulate.h"

#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "tcg/tcg.h"
#include "vmm/vcpu.h"

struct tcg_emulator {
	struct tcg t;
	struct tcg_cpu *c;
};

static struct tcg_emulator *tcg_emulator_of(struct vcpu *v)
{
	struct tcg_emulator *e = v->emulator;
	struct err err = { 0 };

	if (e)
		return e;
	e = xalloc(sizeof *e);
	if (tcg_init(&e->t, 1, "max,kvm=off", &err) >= 0)
		e->c = tcg_cpu_open(v, &e->t, &err);
	if (!e->c) {
		log_warn("vCPU %d: no interpreter: %s", v->index, err.msg);
		tcg_fini(&e->t);
		free(e);
		return NULL;
	}
	v->emulator = e;
	return e;
}

void tcg_emulate_fini(struct vcpu *v)
{
	struct tcg_emulator *e = v->emulator;

	if (!e)
		return;
	tcg_cpu_close(e->c);
	tcg_fini(&e->t);
	free(e);
	v->emulator = NULL;
}

/* A single step or breakpoint trap that the instruction caused. */
static void tcg_hand_over_trap(struct tcg_cpu *c)
{
	struct cpu_state *s = c->s;

	if (!c->db_pending)
		return;
	s->dr[6] = (s->dr[6] & ~15ULL) | c->db_pending;
	s->exception_pending = true;
	s->exception_vector = EXC_DB;
	s->exception_has_code = false;
	c->db_pending = 0;
}

bool tcg_emulate_one(struct vcpu *v)
{
	struct tcg_emulator *e = tcg_emulator_of(v);
	u64 tsc = v->cpu.tsc;
	struct tcg_cpu *c;
	bool ok;

	if (!e)
		return false;
	c = e->c;
	/* RDTSCP reads the other accelerator's clock, which goes on. */
	vcpu_tsc_set(v, tsc);
	tcg_sync_in(c);
	c->shadow = SHADOW_NONE; /* covered this instruction, ends with it */
	tcg_enter(c);
	ok = tcg_step(c);
	tcg_leave(c);
	tcg_sync_out(c);
	tcg_hand_over_trap(c);
	v->cpu.tsc = tsc;
	return ok;
}
