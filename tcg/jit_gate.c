/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gates: where loops and straight code go over the end of a page.  A gate
 * remembers for which page it was last passed, what was found then, and
 * c->jump_key: as long as that stays, no mapping that code was found by has
 * changed, and there is nothing to look up.
 *
 * The page that is executed next comes from the gate, not from the one before,
 * so that the host can foresee it.  A gate takes three times the room of a
 * lookup, so calls and jumps to far away have none.
 */
#include "tcg/jit_gen.h"

#include <string.h>

#include "vmm/memory.h"

/* Behind the call of j->gate[]. */
struct gate_call {
	s32 target; /* from the page */
	u32 info;   /* JIT_BRANCH() */
	s32 gate;   /* from here */
} __attribute__((packed));

#define GATE(field) offsetof(struct jit_gate, field)

/* Few loops are longer; further away there are other functions. */
#define GATE_REACH (4 * KIB)

static u8 *gate_new(struct gen *g)
{
	struct jit *j = g->j;

	j->data = (u8 *)ALIGN_DOWN(
		(uintptr_t)(j->data - sizeof(struct jit_gate)), 32);
	memset(j->data, 0, sizeof(struct jit_gate));
	return j->data;
}

/* Goes on if the gate is open for the page that is executed. */
static struct gen_cold *gate_ask(struct gen *g, u8 *at, int kind)
{
	struct jit_emit *e = &g->e;
	struct gen_cold *cold;

	em_load(e, H_R10, gen_slot(INSN_RIP));
	em_rip(e, EM_W | 0x3b, H_R10, at + GATE(page)); /* cmp */
	cold = gen_cold(g, kind, em_jcc(e, 5));
	em_load(e, H_RAX, STATE(jump_key));
	em_rip(e, EM_W | 0x3b, H_RAX, at + GATE(key));
	cold->also = em_jcc(e, 5);
	cold->gate = at;
	return cold;
}

bool gen_gate(struct gen *g, s64 target, u32 info)
{
	struct jit_emit *e = &g->e;
	struct gen_cold *cold;
	u8 *at;

	if (g->j->nochain || g->word != 8)
		return false;
	if ((info >> 12 & 3) != JIT_BRANCH_NONE &&
	    (target >= 0 || target < -(s64)GATE_REACH))
		return false;
	at = gate_new(g);
	cold = gate_ask(g, at, COLD_GATE);
	cold->target = target;
	cold->info = info;
	if (target < 0) { /* a loop: somebody may want us to stop */
		em_rm(e, 0x83, 7, STATE(exit_req)); /* cmp dword, 0 */
		em8(e, 0);
		cold->asked = em_jcc(e, 5);
	}
	em_rip(e, EM_W | 0x8b, H_R10, at + GATE(next));
	em_store(e, gen_slot(INSN_RIP), H_R10);
	em_mov_imm(e, H_RAX, JIT_BY_GATE | (target & (PAGE_SIZE - 1)));
	em_rip(e, 0xff, 4, at + GATE(host)); /* jmp */
	return true;
}

void gen_gate_cold(struct gen *g, const struct gen_cold *cold)
{
	struct gate_call data = { .target = (s32)cold->target,
				  .info = cold->info };

	if (cold->asked)
		em_here(&g->e, cold->asked);
	em_to(em_call(&g->e), g->j->gate[g->cpl == 3]);
	data.gate = (s32)(cold->gate - g->e.at);
	memcpy(g->e.at, &data, sizeof data);
	g->e.at += sizeof data;
}

size_t gen_gate_data(void)
{
	return sizeof(struct gate_call);
}

#define JUMP(field)                                            \
	rm_state_index(H_RAX, offsetof(struct tcg_cpu, jump) + \
				      offsetof(struct jit_jump, field))

/* Does not return, but goes on behind the gate. */
u8 *jit_gate_thunk(struct jit *j, bool ring3)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *other[3];

	em_plus(e, 0x58, H_R10); /* pop */
	em_store(e, STATE(jit_from), H_R10);
	em_rm(e, 0x8b, H_RAX, rm_mem(H_R10, offsetof(struct gate_call, info)));
	em_rm(e, 0x89, H_RAX, STATE(jit_branch));
	em_rm(e, EM_W | 0x63, H_R10, /* movsxd */
	      rm_mem(H_R10, offsetof(struct gate_call, target)));
	em_rm(e, EM_W | 0x03, H_R10, gen_slot(INSN_RIP));
	em_store(e, STATE(rip), H_R10);
	em_rm(e, 0x83, 7, STATE(exit_req)); /* cmp dword, 0 */
	em8(e, 0);
	other[0] = em_jcc(e, 5);
	jit_jump_slot(e);
	em_rm(e, EM_W | 0x3b, H_R10, JUMP(va));
	other[1] = em_jcc(e, 5);
	em_load(e, H_R10, STATE(jump_key));
	em_rm(e, EM_W | 0x3b, H_R10, JUMP(key));
	other[2] = em_jcc(e, 5);
	em_plus(e, 0x50, H_RCX); /* push */
	em_plus(e, 0x50, H_RDX);
	em_load(e, H_RDX, STATE(jit_from));
	em_rm(e, EM_W | 0x63, H_RCX, /* movsxd */
	      rm_mem(H_RDX, offsetof(struct gate_call, gate)));
	em_rm(e, EM_W | 0x03, H_RDX, rm_reg(H_RCX)); /* add */
	em_mov_imm(e, H_RCX, (u64)-e->rx);
	em_rm(e, EM_W | 0x03, H_RDX, rm_reg(H_RCX)); /* to be written */
	em_store(e, rm_mem(H_RDX, GATE(key)), H_R10);
	em_load(e, H_R10, gen_slot(INSN_RIP));
	em_store(e, rm_mem(H_RDX, GATE(page)), H_R10);
	em_load(e, H_R10, STATE(rip));
	em_rm(e, EM_W | 0x81, 4, rm_reg(H_R10)); /* and r10, -4096 */
	em32(e, (u32)-4096);
	em_store(e, rm_mem(H_RDX, GATE(next)), H_R10);
	em_store(e, gen_slot(INSN_RIP), H_R10);
	em_load(e, H_R10, JUMP(host));
	em_store(e, rm_mem(H_RDX, GATE(host)), H_R10);
	em_plus(e, 0x58, H_RDX); /* pop */
	em_plus(e, 0x58, H_RCX);
	em_rm(e, 0xff, 4, rm_reg(H_R10)); /* jmp */
	for (size_t n = 0; n < ARRAY_SIZE(other); n++)
		em_here(e, other[n]);
	em_load(e, H_R10, STATE(rip));
	em_rm(e, 0x8b, H_RAX, STATE(jit_branch));
	em_to(em_jmp(e), j->lookup[ring3]);
	return start;
}

/* ---- Instructions on two pages ---- */

void gen_crossing(struct gen *g)
{
	u8 *at = gate_new(g);
	struct gen_cold *cold = gate_ask(g, at, COLD_CROSSING);

	cold->target = g->b->phys & (PAGE_SIZE - 1);
	cold->back = g->e.at;
}

void gen_crossing_cold(struct gen *g, const struct gen_cold *cold)
{
	size_t it = offsetof(struct tcg_cpu, itlb[g->cpl == 3]);
	struct jit_emit *e = &g->e;
	struct gen_cold *leave;

	leave = &g->cold[g->ncold++];
	*leave = (struct gen_cold){ .kind = COLD_EXIT,
				    .mmu = g->mmu,
				    .target = cold->target };
	gen_linear(g, PAGE_SIZE);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 - 5 */
	em8(e, PAGE_SHIFT - 5);
	_Static_assert(sizeof(struct itlb_entry) == 32, "shift above");
	em8(e, 0x25); /* and eax, slots */
	em32(e, (ITLB_ENTRIES - 1) << 5);
	em_rm(e, EM_W | 0x3b, H_R10,
	      rm_state_index(H_RAX, it + offsetof(struct itlb_entry, tag)));
	leave->from = em_jcc(e, 5);
	em_load(e, H_R10,
		rm_state_index(H_RAX, it + offsetof(struct itlb_entry, phys)));
	em_mov_imm(e, H_RAX, g->t->crossing->phys);
	em_rm(e, EM_W | 0x3b, H_RAX, rm_reg(H_R10));
	leave->also = em_jcc(e, 5);
	em_mov_imm(e, H_RAX, (u64)cold->gate);
	em_load(e, H_R10, gen_slot(INSN_RIP));
	em_store(e, rm_mem(H_RAX, GATE(page)), H_R10);
	em_load(e, H_R10, STATE(jump_key));
	em_store(e, rm_mem(H_RAX, GATE(key)), H_R10);
	em_to(em_jmp(e), cold->back);
}
