/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The emulation engine as an accelerator: vCPUs, requests, interrupts.
 *
 * A vCPU runs in its own thread.  tcg_execute() leaves at a block head when
 * v->request is non-zero; tcg_run() then takes INIT, SIPI, NMI, debug traps
 * and interrupts in their architectural order and goes on.
 *
 * Locking: struct tcg has two locks of its own, both leaves: `code_lock`
 * (code page marks) and `lock` (exclusive sections).
 */
#include "tcg/tcg.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "tcg/jit.h"
#include "tcg/log.h"
#include "tcg/pvclock.h"
#include "tcg/seg.h"
#include "tcg/system.h"
#include "tcg/vec.h"
#include "vmm/machine.h"

/* ---- Derived state ---- */

static bool mode_steps(const struct tcg_cpu *c)
{
	u64 dr7 = c->s->dr[7];

	if (c->eflags & RFLAGS_TF)
		return true;
	for (int n = 0; n < 4; n++)
		if ((dr7 >> (2 * n) & 3) && !(dr7 >> (16 + 4 * n) & 3))
			return true;
	return false;
}

/* SDM 3A 3.4.5.1: of what type. */
static bool mode_segment_flat(const struct cpu_segment *s, bool code)
{
	u16 no = code ? 0 : SEG_ATTR_CODE | SEG_ATTR_CE;
	u16 yes = code ? SEG_ATTR_P : SEG_ATTR_P | SEG_ATTR_RW;

	return !s->base && s->limit == UINT32_MAX && !(s->attr & no) &&
	       (s->attr & yes) == yes;
}

static bool mode_flat(const struct tcg_cpu *c)
{
	const struct cpu_segment *s = c->s->seg;

	return c->code32 && c->stack32 && c->protected_mode &&
	       mode_segment_flat(&s[SEG_CS], true) &&
	       mode_segment_flat(&s[SEG_SS], false) &&
	       mode_segment_flat(&s[SEG_DS], false) &&
	       mode_segment_flat(&s[SEG_ES], false);
}

void tcg_flat_changed(struct tcg_cpu *c)
{
	u32 flat = mode_flat(c) ? MODE_FLAT : 0;

	if (likely((c->mode_key & MODE_FLAT) == flat))
		return;
	c->mode_key ^= MODE_FLAT;
	c->end_block = true;
}

static u32 mode_of(const struct tcg_cpu *c)
{
	u32 key = c->mode_key & MODE_AMD;

	key |= c->code64 ? MODE_CODE64 : c->code32 ? MODE_CODE32 : 0;
	key |= c->stack64 ? MODE_STACK64 : c->stack32 ? MODE_STACK32 : 0;
	if (c->protected_mode)
		key |= MODE_PROT;
	if (c->v86)
		key |= MODE_V86;
	if (c->long_mode)
		key |= MODE_LMA;
	if (mode_steps(c))
		key |= MODE_STEP;
	if (mode_flat(c))
		key |= MODE_FLAT;
	return key;
}

void tcg_mode_changed(struct tcg_cpu *c)
{
	struct cpu_state *s = c->s;
	u16 cs = s->seg[SEG_CS].attr, ss = s->seg[SEG_SS].attr;
	bool pe = s->cr0 & CR0_PE;

	c->v86 = pe && (c->eflags & RFLAGS_VM);
	c->protected_mode = pe && !c->v86;
	c->long_mode = s->efer & EFER_LMA;
	c->cpl = !pe ? 0 : c->v86 ? 3 : SEG_DPL(ss);
	c->code64 = c->long_mode && (cs & SEG_ATTR_L);
	c->code32 = !c->code64 && (cs & SEG_ATTR_DB);
	c->stack64 = c->code64;
	c->stack32 = !c->code64 && (ss & SEG_ATTR_DB);
	c->mmu = seg_mmu(c, c->cpl);
	if (c->cpl == 3 && (s->cr0 & CR0_AM) && (c->eflags & RFLAGS_AC))
		c->mmu = MMU_USER_ALIGN;
	for (int n = 0; n < SEG_COUNT; n++)
		c->seg_base[n] = c->code64 && n < SEG_FS ? 0 : s->seg[n].base;
	c->mode_key = mode_of(c);
	c->end_block = true;
}

/* One in service, one latched: of those that come between two instructions
 * a second is kept unless NMIs are blocked (SDM 3A 6.7.1). */
static void tcg_take_nmis(struct tcg_cpu *c)
{
	u32 n = atomic_exchange(&c->v->nmis, 0);

	n += c->s->nmi_pending + c->s->nmi_second;
	c->s->nmi_pending = n != 0;
	c->s->nmi_second = n > 1 && !c->s->nmi_masked;
}

void tcg_sync_out(struct tcg_cpu *c)
{
	struct cpu_state *s = c->s;

	memcpy(s->gpr, c->gpr, sizeof s->gpr);
	s->rip = c->rip;
	s->rflags = tcg_rflags(c);
	s->interrupt_shadow = c->shadow != SHADOW_NONE;
	tcg_take_nmis(c);
	s->tsc = vcpu_tsc(c->v);
	if (s->mp_state == CPU_RUNNABLE || s->mp_state == CPU_HALTED)
		s->mp_state = c->halted ? CPU_HALTED : CPU_RUNNABLE;
}

void tcg_sync_in(struct tcg_cpu *c)
{
	struct cpu_state *s = c->s;

	memcpy(c->gpr, s->gpr, sizeof s->gpr);
	c->gpr[INSN_NOREG] = 0;
	c->rip = s->rip;
	c->eflags = RFLAGS_FIXED;
	tcg_set_rflags(c, s->rflags, UINT32_MAX);
	c->shadow = s->interrupt_shadow ? SHADOW_STI : SHADOW_NONE;
	c->halted = s->mp_state == CPU_HALTED;
	c->ip = NULL;
	c->db_pending = 0;
	c->irq_wait = true;
	c->sys_direct = false;
	tcg_tlb_flush(c, true);
	tcg_mode_changed(c);
}

/* ---- Exclusive sections and fences ---- */

void tcg_stop_translated(struct tcg_cpu *c)
{
	for (int n = 0; n < c->m->nvcpus; n++) {
		struct vcpu *v = c->m->vcpus[n];
		struct tcg_cpu *other = v ? v->accel : NULL;

		if (other && other != c && c->m->accel == &tcg_accel)
			atomic_store(&other->exit_req, 1);
	}
}

void tcg_enter(struct tcg_cpu *c)
{
	struct tcg *t = c->t;

	lock_acquire(&t->lock);
	while (t->exclusive)
		cond_wait(&t->changed, &t->lock);
	t->running++;
	lock_release(&t->lock);
}

void tcg_leave(struct tcg_cpu *c)
{
	struct tcg *t = c->t;

	lock_acquire(&t->lock);
	t->running--;
	cond_broadcast(&t->changed);
	lock_release(&t->lock);
}

void tcg_exclusive_begin(struct tcg_cpu *c)
{
	struct tcg *t = c->t;

	if (c->checking)
		return; /* all of that is one section */
	lock_acquire(&t->lock);
	/* Two at once: the later one parks here, not counted as running. */
	t->running--;
	cond_broadcast(&t->changed);
	while (t->exclusive)
		cond_wait(&t->changed, &t->lock);
	t->exclusive = true;
	for (int n = 0; n < c->m->nvcpus; n++)
		if (c->m->vcpus[n] && c->m->vcpus[n] != c->v)
			atomic_fetch_or(&c->m->vcpus[n]->request,
					VCPU_REQ_POLL);
	tcg_stop_translated(c);
	while (t->running)
		cond_wait(&t->changed, &t->lock);
	t->running++;
	lock_release(&t->lock);
	c->exclusive = true;
}

void tcg_exclusive_end(struct tcg_cpu *c)
{
	struct tcg *t = c->t;

	if (c->checking)
		return;
	c->exclusive = false;
	lock_acquire(&t->lock);
	t->exclusive = false;
	cond_broadcast(&t->changed);
	lock_release(&t->lock);
}

static long tcg_membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0, 0);
}

/* A single vCPU sees its own stores, and devices have a fence (mem_written()):
 * nothing to do in what follows. */
static bool tcg_code_alone(const struct tcg_cpu *c)
{
	return c->m->nvcpus == 1;
}

/* Without membarrier() an exclusive section does both jobs: it keeps the
 * others out, and on their way through the lock their stores get visible. */
void tcg_code_lock(struct tcg_cpu *c) NO_TSA
{
	if (tcg_code_alone(c))
		return;
	if (!c->t->membarrier) {
		tcg_exclusive_begin(c);
		return;
	}
	/* The holder may want an exclusive section. */
	tcg_leave(c);
	lock_acquire(&c->t->code_lock);
	tcg_enter(c);
}

void tcg_code_fence(struct tcg_cpu *c)
{
	if (c->t->membarrier && !tcg_code_alone(c))
		tcg_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void tcg_code_unlock(struct tcg_cpu *c) NO_TSA
{
	if (tcg_code_alone(c))
		return;
	if (c->t->membarrier)
		lock_release(&c->t->code_lock);
	else
		tcg_exclusive_end(c);
}

/* ---- Events between instructions ---- */

void tcg_irq_opened(struct tcg_cpu *c)
{
	if (c->irq_wait || c->s->nmi_pending)
		atomic_fetch_or_explicit(&c->v->request, VCPU_REQ_INTR,
					 memory_order_relaxed);
}

static void tcg_wake(struct tcg_cpu *c)
{
	c->halted = false;
	c->s->mp_state = CPU_RUNNABLE;
}

static void tcg_init_reset(struct tcg_cpu *c)
{
	tcg_sync_out(c);
	if (unlikely(log_on(LOG_CPU_RESET)))
		cpu_log_reset(c->s, c->v->index);
	cpu_reset(c->s, c->v->index == 0, true);
	c->s->gpr[REG_RDX] = tcg_signature(c);
	if (c->m->lapic)
		c->m->lapic->reset(c->v, true);
	tcg_sync_in(c);
}

/* SDM 3A "MP Initialization Protocol Algorithm". */
static void tcg_sipi(struct tcg_cpu *c)
{
	u8 vector = atomic_load(&c->v->sipi_vector);
	struct cpu_segment *cs = &c->s->seg[SEG_CS];

	if (c->s->mp_state != CPU_WAIT_SIPI)
		return;
	cs->sel = vector << 8;
	cs->base = (u64)vector << 12;
	c->rip = 0;
	tcg_wake(c);
	tcg_mode_changed(c);
}

static enum vcpu_exit tcg_debug_event(struct tcg_cpu *c)
{
	u32 dr6 = c->db_pending;

	c->db_pending = 0;
	c->s->dr[6] = (c->s->dr[6] & ~15ULL) | dr6;
	tcg_wake(c);
	return tcg_deliver(c, EXC_DB, false, 0, false, false);
}

static enum vcpu_exit tcg_nmi(struct tcg_cpu *c)
{
	c->s->nmi_pending = c->s->nmi_second;
	c->s->nmi_second = false;
	c->s->nmi_masked = true;
	tcg_wake(c);
	return tcg_deliver(c, 2, false, 0, false, true);
}

static enum vcpu_exit tcg_interrupt(struct tcg_cpu *c)
{
	const struct lapic_ops *l = c->m->lapic;
	int vector;

	c->irq_wait = true; /* there may be more than one */
	if (!(c->eflags & RFLAGS_IF) || !l)
		return VCPU_EXIT_AGAIN;
	if (unlikely(c->v->debug.step) && !c->v->debug.step_irqs && !c->halted)
		return VCPU_EXIT_AGAIN;
	vector = l->accept(c->v);
	if (vector < 0) {
		c->irq_wait = l->pending(c->v);
		return VCPU_EXIT_AGAIN;
	}
	tcg_wake(c);
	atomic_fetch_add_explicit(&c->v->stats.irqs, 1, memory_order_relaxed);
	return tcg_deliver(c, vector, false, 0, false, true);
}

/* An exception or interrupt that was saved before it was delivered. */
static enum vcpu_exit tcg_injected(struct tcg_cpu *c)
{
	struct cpu_state *s = c->s;

	if (s->exception_pending) {
		s->exception_pending = false;
		return tcg_deliver(c, s->exception_vector,
				   s->exception_has_code, s->exception_code,
				   false, false);
	}
	s->interrupt_injected = false;
	c->soft_next = c->rip;
	return tcg_deliver(c, s->interrupt_vector, false, 0, s->interrupt_soft,
			   !s->interrupt_soft);
}

/* Takes the request bits; SDM 3A "Priority Among Concurrent Events". */
static enum vcpu_exit tcg_events(struct tcg_cpu *c)
{
	enum vcpu_exit r = VCPU_EXIT_AGAIN;
	u32 req = atomic_fetch_and(&c->v->request, VCPU_REQ_WORK);

	if (req & VCPU_REQ_POLL) {
		/* Lets an exclusive section of another vCPU pass. */
		tcg_leave(c);
		tcg_enter(c);
		pvclock_follow(c);
	}
	if (req & VCPU_REQ_TLB)
		tcg_tlb_flush(c, true);
	if (req & VCPU_REQ_INIT)
		tcg_init_reset(c);
	if (req & VCPU_REQ_SIPI)
		tcg_sipi(c);
	if (req & VCPU_REQ_NMI)
		tcg_take_nmis(c);
	if (req & VCPU_REQ_TIMER && c->m->lapic)
		c->m->lapic->timer(c->v);
	if (req & (VCPU_REQ_INTR | VCPU_REQ_TIMER))
		c->irq_wait = true;
	if (c->s->mp_state > CPU_HALTED)
		return r;
	if (c->s->exception_pending || c->s->interrupt_injected)
		r = tcg_injected(c);
	if (c->shadow == SHADOW_STI && r == VCPU_EXIT_AGAIN && c->db_pending)
		r = tcg_debug_event(c);
	if (c->shadow) {
		/* Asked again after the next instruction. */
		if (c->db_pending || c->s->nmi_pending || c->irq_wait)
			atomic_fetch_or(&c->v->request, VCPU_REQ_POLL);
		return r;
	}
	if (r == VCPU_EXIT_AGAIN && c->db_pending)
		r = tcg_debug_event(c);
	if (r == VCPU_EXIT_AGAIN && c->s->nmi_pending && !c->s->nmi_masked)
		r = tcg_nmi(c);
	if (r == VCPU_EXIT_AGAIN && c->irq_wait)
		r = tcg_interrupt(c);
	return r;
}

/* ---- Debugger ---- */

/* What the TLB has learnt without these points. */
static void tcg_debug_begin(struct tcg_cpu *c)
{
	u32 epoch = c->m->debug.epoch;

	if (likely(c->debug_epoch == epoch))
		return;
	c->debug_epoch = epoch;
	tcg_tlb_flush(c, true);
}

/* One step, unless an event at `rip` was one. */
static enum vcpu_exit tcg_debug_step(struct tcg_cpu *c, u64 rip)
{
	struct vcpu_debug *d = &c->v->debug;
	enum vcpu_exit r = VCPU_EXIT_AGAIN;

	if (c->rip == rip)
		r = tcg_execute_one(c);
	if (r != VCPU_EXIT_AGAIN || d->why)
		return r;
	if (c->rip < d->range_start || c->rip >= d->range_end)
		d->why = DEBUG_STEPPED;
	else
		tcg_breaks(c);
	return r;
}

/* ---- Accelerator class ---- */

static enum vcpu_exit tcg_loop(struct tcg_cpu *c)
{
	enum vcpu_exit r = VCPU_EXIT_AGAIN;

	while (!(atomic_load(&c->v->request) & VCPU_REQ_WORK)) {
		u64 rip = c->rip;

		if (unlikely(c->v->debug.why))
			return VCPU_EXIT_DEBUG;
		r = tcg_events(c);
		if (r != VCPU_EXIT_AGAIN)
			break;
		if (c->s->mp_state > CPU_HALTED || c->halted) {
			if (!atomic_load(&c->v->request))
				return VCPU_EXIT_HALT;
			continue;
		}
		r = unlikely(c->v->debug.step) ? tcg_debug_step(c, rip)
					       : tcg_execute(c);
		if (r == VCPU_EXIT_HALT)
			r = VCPU_EXIT_AGAIN; /* c->halted; look for events */
		if (r != VCPU_EXIT_AGAIN)
			break;
	}
	return r;
}

static enum vcpu_exit tcg_run(struct vcpu *v)
{
	struct tcg_cpu *c = v->accel;
	enum vcpu_exit r;

	tcg_enter(c);
	tcg_tsc_changed(c);
	tcg_debug_begin(c);
	r = tcg_loop(c);
	tcg_leave(c);
	return r;
}

/* A running vCPU polls v->request, which the caller has set. */
static void tcg_kick(struct vcpu *v)
{
	struct tcg_cpu *c = v->accel;

	if (c)
		atomic_store(&c->exit_req, 1);
}

static void tcg_get(struct vcpu *v)
{
	tcg_sync_out(v->accel);
	if (v->m->lapic)
		v->m->lapic->save(v);
}

static int tcg_put(struct vcpu *v)
{
	struct tcg_cpu *c = v->accel;

	tcg_sync_in(c);
	pvclock_update(c);
	if (v->m->lapic)
		v->m->lapic->load(v);
	return 0;
}

/* Unless tb-size says how many MiB there are for everything: all decoded
 * blocks, and each vCPU's translations, which are resident as far as they
 * have been made: 4 to 8 MiB when a kernel has booted.  A compiler at work
 * has 120 MiB of them, and without room they are all made again and again. */
#define DECODED_BYTES      (2 * MIB)
#define TRANSLATED_BYTES   (512 * MIB) /* of all vCPUs */
#define TRANSLATED_MOST    (256 * MIB)
#define TRANSLATED_LEAST   (64 * MIB)
#define TRANSLATED_MIN     (512 * KIB)
#define TRANSLATED_TORTURE (768 * KIB) /* two regions */

/* Of a given size two thirds are for translations, if any. */
static u64 tcg_decoded_bytes(const struct tcg *t)
{
	if (torture_has(&t->torture, TORTURE_CACHE))
		return 0; /* as little as there can be */
	if (!t->tb_size)
		return DECODED_BYTES;
	return t->tb_size * MIB / (t->jit ? 3 : 1);
}

static u64 tcg_jit_bytes(const struct tcg_cpu *c)
{
	u32 cpus = MAX(c->m->topo.maxcpus, 1);
	u64 part = c->t->tb_size * MIB * 2 / 3 / cpus;

	if (torture_has(&c->t->torture, TORTURE_CACHE))
		return TRANSLATED_TORTURE;
	if (!c->t->tb_size)
		return MAX(MIN(ALIGN_UP(TRANSLATED_BYTES / cpus, PAGE_SIZE),
			       TRANSLATED_MOST),
			   TRANSLATED_LEAST);
	return ALIGN_UP(MAX(part, TRANSLATED_MIN), PAGE_SIZE);
}

int tcg_init(struct tcg *t, u32 vcpus, const char *cpu_model, struct err *err)
{
	int r;

	lock_init(&t->lock);
	lock_init(&t->code_lock);
	cond_init(&t->changed);
	t->membarrier =
		!tcg_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	r = pool_init(&t->pool, tcg_decoded_bytes(t), vcpus);
	if (r < 0)
		return err_code(err, r, "no memory for decoded code");
	return tcg_cpuid_init(t, cpu_model, err);
}

void tcg_fini(struct tcg *t)
{
	cond_fini(&t->changed);
	lock_fini(&t->lock);
	lock_fini(&t->code_lock);
	pool_fini(&t->pool);
}

static int tcg_create(struct machine *m, void *instance, struct err *err)
{
	struct tcg *t = instance;
	int r = torture_parse(&t->torture, t->torture_text, err);

	if (r < 0)
		return r;
	return tcg_init(instance, m->topo.maxcpus, m->cpu_model, err);
}

static void tcg_destroy(struct machine *m)
{
	tcg_fini(m->accel_data);
}

static int tcg_cpu_init(struct tcg_cpu *c, struct err *err)
{
	struct err why = { 0 };
	int r;

	tcg_cpuid_vcpu(c);
	r = tcg_cache_init(c);
	if (r < 0)
		return err_code(err, r, "no memory for vCPU %d", c->v->index);
	r = vec_create(c, err);
	if (r < 0) {
		tcg_cache_fini(c);
		return r;
	}
	if (c->t->jit && jit_create(c, tcg_jit_bytes(c), &why) < 0) {
		log_warn("%s: instructions are interpreted", why.msg);
		c->t->jit = false;
	}
	return 0;
}

struct tcg_cpu *tcg_cpu_open(struct vcpu *v, struct tcg *t, struct err *err)
{
	struct tcg_cpu *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED) {
		err_errno(err, "no memory for vCPU %d", v->index);
		return NULL;
	}
	c->v = v;
	c->s = &v->cpu;
	c->m = v->m;
	c->t = t;
	tcg_tlb_init(c);
	if (tcg_cpu_init(c, err) < 0) {
		munmap(c, sizeof *c);
		return NULL;
	}
	return c;
}

void tcg_cpu_close(struct tcg_cpu *c)
{
	if (!c)
		return;
	jit_destroy(c);
	tcg_log_close(c);
	vec_destroy(c);
	tcg_cache_fini(c);
	munmap(c, sizeof *c);
}

int tcg_cpu_create(struct vcpu *v, struct err *err)
{
	struct err why = { 0 };

	v->accel = tcg_cpu_open(v, v->m->accel_data, &why);
	if (err)
		*err = why;
	return v->accel ? 0 : why.code;
}

void tcg_cpu_destroy(struct vcpu *v)
{
	tcg_cpu_close(v->accel);
	v->accel = NULL;
}

/* The guest's clocks are the machine's, which stop by themselves. */
static void tcg_clock(struct machine *m, bool running)
{
}

static void tcg_drop_stack(struct vcpu *v, void *unused)
{
	tcg_stack_drop(v->accel);
}

static void tcg_dirty_sync(struct machine *m)
{
	for (int n = 0; n < m->nvcpus; n++)
		if (m->vcpus[n])
			vcpu_run_on(m->vcpus[n], tcg_drop_stack, NULL);
}

static void tcg_class_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4])
{
	tcg_cpuid(v->accel, leaf, subleaf, out);
}

static void tcg_info(struct machine *m, struct buf *out)
{
	const struct tcg *t = m->accel_data;

	buf_printf(out, "engine: %s, code fences by %s\n",
		   t->jit ? "interpreter and JIT" : "interpreter",
		   t->membarrier ? "membarrier" : "exclusive sections");
	for (int n = 0; n < m->nvcpus; n++) {
		struct tcg_cpu *c = m->vcpus[n]->accel;
		u64 count;

		if (!c)
			continue;
		count = atomic_load_explicit(&c->insns, memory_order_relaxed);
		buf_printf(out, "CPU #%d: %llu instructions interpreted\n", n,
			   (unsigned long long)count);
		if (c->jit && c->jit->check)
			jit_check_info(c->jit->check, out);
	}
	if (t->jit)
		buf_puts(out, "'info jit' tells more\n");
}

static const struct opt_range tcg_tb_range = { 1, 1024 };
static const struct opt_range tcg_hot_range = { 1, 63 };
static const char *const tcg_thread_names[] = { "multi", "single", NULL };

static const struct option_row tcg_options[] = {
	{ "tb-size", &opt_u32, offsetof(struct tcg, tb_size), NULL,
	  "MiB of decoded and translated code, all vCPUs together",
	  &tcg_tb_range },
	{ "thread", &opt_enum, offsetof(struct tcg, thread), "multi",
	  "multi: each vCPU has a thread; single is taken as multi",
	  tcg_thread_names },
	{ "jit", &opt_bool, offsetof(struct tcg, jit), "on",
	  "translate what runs often into host code" },
	{ "hot", &opt_u32, offsetof(struct tcg, hot), "16",
	  "runs of a block before it is translated", &tcg_hot_range },
	{ "check", &opt_u32, offsetof(struct tcg, check), "0",
	  "debug: compare one of so many translated blocks" },
	{ "torture", &opt_str, offsetof(struct tcg, torture_text), NULL,
	  "debug: make rare things frequent: all, or some of cache+flush+poll+"
	  "drop+code+stop, and +SEED" },
	OPTION_END,
};

const struct accel_class tcg_accel = {
	.name = "tcg",
	.desc = "emulation of the processor in software",
	.size = sizeof(struct tcg),
	.options = tcg_options,
	.create = tcg_create,
	.destroy = tcg_destroy,
	.vcpu_create = tcg_cpu_create,
	.vcpu_destroy = tcg_cpu_destroy,
	.run = tcg_run,
	.kick = tcg_kick,
	.features = tcg_cpu_features,
	.get = tcg_get,
	.put = tcg_put,
	.clock = tcg_clock,
	.dirty_sync = tcg_dirty_sync,
	.cpuid = tcg_class_cpuid,
	.debug = true,
	.info = tcg_info,
	.jit = jit_info,
};
