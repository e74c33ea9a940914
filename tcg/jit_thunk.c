/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pieces of code that all translations share: into and out of them, from
 * one to the next, and to C.
 */
#include "tcg/jit_gen.h"

#include "lib/bytes.h"
#include "lib/perfmap.h"
#include "vmm/memory.h"

static void thunk_registers(struct jit_emit *e, bool save)
{
	for (int r = 0; r < 16; r++) {
		if (jit_home[r] == JIT_NOHOME)
			continue;
		if (save)
			em_store(e, STATE(gpr[r]), jit_home[r]);
		else
			em_load(e, jit_home[r], STATE(gpr[r]));
	}
}

/* Calls `what` if vector or x87 registers are live. */
static void thunk_live(struct jit *j, const u8 *what)
{
	struct jit_emit *e = &j->e;
	u8 *over;

	em_rm(e, 0x80, 7, STATE(vec_live)); /* cmp byte, 0 */
	em8(e, 0);
	over = em_jcc(e, 4);
	em_to(em_call(e), what);
	em_here(e, over);
}

/* Calls what saves or loads the registers that are live. */
static u8 *thunk_live_parts(struct jit *j, const u8 *vec, const u8 *x87)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *over;

	em_rm(e, 0xf6, 0, STATE(vec_live)); /* test byte */
	em8(e, JIT_VEC_XMM);
	over = em_jcc(e, 4);
	em_to(em_call(e), vec);
	em_here(e, over);
	if (x87) {
		em_rm(e, 0xf6, 0, STATE(vec_live));
		em8(e, JIT_VEC_X87);
		over = em_jcc(e, 4);
		em_to(em_call(e), x87);
		em_here(e, over);
	}
	em8(e, 0xc3);
	return start;
}

static const u8 thunk_callee_saved[] = { H_RBX, H_RBP, H_R12,
					 H_R13, H_R14, H_R15 };

/* At the bottom of the pairs is one that nothing matches: whatever the guest
 * returns to, j->ret_none leaves for it. */
static u8 *thunk_enter(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	for (size_t n = 0; n < ARRAY_SIZE(thunk_callee_saved); n++)
		em_plus(e, 0x50, thunk_callee_saved[n]);
	em_rm(e, EM_W | 0x83, 5, rm_reg(H_RSP)); /* sub rsp, 8 */
	em8(e, 8);
	em8(e, 0x6a); /* push -1 */
	em8(e, 0xff);
	em_lea_rip(e, H_RAX, j->ret_none);
	em_plus(e, 0x50, H_RAX);
	em_store(e, STATE(jit_sp), H_RSP);
	em_lea(e, H_RAX, rm_mem(H_RSP, -(s32)JIT_PAIRS_SIZE));
	em_store(e, STATE(jit_sp_min), H_RAX);
	em_mov(e, H_RAX, H_RSI);
	em_rm(e, 0xc6, 0, STATE(vec_live)); /* mov byte, 0 */
	em8(e, 0);
	thunk_registers(e, false);
	em_rm(e, 0xff, 4, rm_reg(H_RAX)); /* jmp rax */
	return start;
}

/* rax: what jit_run() gets.  `leave` when all registers are saved already. */
static void thunk_exit(struct jit *j)
{
	struct jit_emit *e = &j->e;

	j->exit = e->at;
	thunk_live(j, j->live_save);
	thunk_registers(e, true);
	j->leave = e->at;
	em_load(e, H_RSP, STATE(jit_sp));
	em_rm(e, EM_W | 0x83, 0, rm_reg(H_RSP)); /* add rsp, 24 */
	em8(e, 24);
	for (size_t n = ARRAY_SIZE(thunk_callee_saved); n-- > 0;)
		em_plus(e, 0x58, thunk_callee_saved[n]);
	em8(e, 0xc3);
}

/* Called; a struct jit_exit follows the call. */
static u8 *thunk_exit_stub(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	em_plus(e, 0x58, H_RAX);                         /* pop rax */
	em_rm(e, EM_0F | 0xb7, H_R10, rm_mem(H_RAX, 0)); /* movzx */
	em_rm(e, EM_W | 0x03, H_R10, STATE(gpr[INSN_RIP]));
	em_store(e, STATE(rip), H_R10);
	em_to(em_jmp(e), j->exit);
	return start;
}

/* The same where the target is to be looked up. */
static u8 *thunk_exit_lookup(struct jit *j, bool ring3)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	em_plus(e, 0x58, H_RAX);                         /* pop rax */
	em_rm(e, EM_0F | 0xb7, H_R10, rm_mem(H_RAX, 0)); /* movzx */
	em_rm(e, EM_W | 0x03, H_R10, STATE(gpr[INSN_RIP]));
	em_mov_imm(e, H_RAX, JIT_BRANCH(0, JIT_BRANCH_NONE, 0));
	em_to(em_jmp(e), j->lookup[ring3]);
	return start;
}

/* Returns where the mask is. */
static u8 *thunk_slot(struct jit_emit *e, u8 bits, u8 shift)
{
	u8 *at;

	em8(e, 0x25); /* and eax, slots */
	at = e->at;
	em32(e, ((1u << bits) - 1) << shift);
	return at;
}

#define JUMP(field)                                            \
	rm_state_index(H_RAX, offsetof(struct tcg_cpu, jump) + \
				      offsetof(struct jit_jump, field))

void jit_jump_slot(struct jit_emit *e)
{
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 9 */
	em8(e, 9);
	em_rm(e, 0x33, H_RAX, rm_reg(H_R10));
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl eax, 5 */
	em8(e, 5);
	_Static_assert(sizeof(struct jit_jump) == 32, "shift above");
	thunk_slot(e, JIT_JUMP_BITS, 5);
}

/* What c->jump[] does not know: r10 becomes the address of the code, and RCX
 * is on the stack.  Leaves for `miss`, which pops it, or goes on.  Once the
 * page is found the branch has been made: its target is an address. */
static void thunk_lookup_page(struct jit *j, bool ring3, u8 *miss[2])
{
	struct jit_emit *e = &j->e;
	size_t it = offsetof(struct tcg_cpu, itlb[ring3]);
	size_t jc = offsetof(struct tcg_cpu, jcache);

	em_mov(e, H_RCX, H_R10);
	em_rm(e, EM_W | 0x81, 4, rm_reg(H_RCX)); /* and rcx, -4096 */
	em32(e, (u32)-4096);
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 - 5 */
	em8(e, PAGE_SHIFT - 5);
	_Static_assert(sizeof(struct itlb_entry) == 32, "shift above");
	thunk_slot(e, ITLB_BITS, 5);
	em_rm(e, EM_W | 0x33, H_R10,
	      rm_state_index(H_RAX, it + offsetof(struct itlb_entry, tag)));
	em_rm(e, EM_W | 0x81, 7, rm_reg(H_R10)); /* cmp r10, 4096 */
	em32(e, PAGE_SIZE);
	miss[0] = em_jcc(e, 3);
	em_rm(e, EM_W | 0x03, H_R10,
	      rm_state_index(H_RAX, it + offsetof(struct itlb_entry, phys)));
	em_store(e, STATE(gpr[INSN_RIP]), H_RCX);
	em_rm(e, EM_W | 0x03, H_R10, STATE(jit_key));
	em_rm(e, 0x89, H_R10, rm_reg(H_RAX));
	em_rm(e, 0xc1, 5, rm_reg(H_RAX)); /* shr eax, 12 */
	em8(e, PAGE_SHIFT);
	em_rm(e, 0x33, H_RAX, rm_reg(H_R10));
	em_rm(e, 0xc1, 4, rm_reg(H_RAX)); /* shl eax, 4 */
	em8(e, 4);
	_Static_assert(sizeof(struct jit_jcache) == 16, "shift above");
	j->jcache_mask[ring3] = thunk_slot(e, JIT_JCACHE_BITS_MIN, 4);
	em_rm(e, EM_W | 0x3b, H_R10,
	      rm_state_index(H_RAX, jc + offsetof(struct jit_jcache, tag)));
	miss[1] = em_jcc(e, 5);
	em_load(e, H_R10,
		rm_state_index(H_RAX, jc + offsetof(struct jit_jcache, host)));
}

/* r10: linear address to go to, eax: JIT_BRANCH().  What is found does not
 * come from c->gpr[INSN_RIP], or each branch would wait for the one before. */
static u8 *thunk_lookup(struct jit *j, bool ring3)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *other[3], *miss[2];

	em_rm(e, 0x89, H_RAX, STATE(jit_branch));
	em_rm(e, 0x83, 7, STATE(exit_req)); /* cmp dword, 0 */
	em8(e, 0);
	other[0] = em_jcc(e, 5);
	jit_jump_slot(e);
	em_rm(e, EM_W | 0x3b, H_R10, JUMP(va));
	other[1] = em_jcc(e, 5);
	em_rm(e, EM_W | 0x81, 4, rm_reg(H_R10)); /* and r10, -4096 */
	em32(e, (u32)-4096);
	em_store(e, STATE(gpr[INSN_RIP]), H_R10);
	em_load(e, H_R10, STATE(jump_key));
	em_rm(e, EM_W | 0x3b, H_R10, JUMP(key));
	other[2] = em_jcc(e, 5);
	em_rm(e, 0xff, 4, JUMP(host)); /* jmp */

	em_here(e, other[2]);
	em_load(e, H_R10, JUMP(va));
	em_here(e, other[1]);
	em_store(e, STATE(rip), H_R10);
	em_plus(e, 0x50, H_RCX); /* push */
	thunk_lookup_page(j, ring3, miss);
	em_mov(e, H_RCX, H_R10);
	em_load(e, H_R10, STATE(rip));
	jit_jump_slot(e);
	em_store(e, JUMP(va), H_R10);
	em_store(e, JUMP(host), H_RCX);
	em_load(e, H_R10, STATE(jump_key));
	em_store(e, JUMP(key), H_R10);
	em_mov(e, H_R10, H_RCX);
	em_plus(e, 0x58, H_RCX); /* pop */
	em_rm(e, 0xff, 4, rm_reg(H_R10));
	em_here(e, other[0]);
	em_store(e, STATE(rip), H_R10);
	em_to(em_jmp(e), j->miss);
	em_here(e, miss[0]);
	em_here(e, miss[1]);
	em_plus(e, 0x58, H_RCX);
	em_to(em_jmp(e), j->miss);
	return start;
}

/* Jumped to: jit_miss(c), which answers where to go on. */
static u8 *thunk_miss(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *found;

	thunk_registers(e, true);
	em_load(e, H_RDI, STATE(self));
	thunk_live(j, j->live_save);
	em_call_abs(e, (const void *)(uintptr_t)jit_miss);
	em_rm(e, EM_W | 0x85, H_RAX, rm_reg(H_RAX));
	found = em_jcc(e, 5);
	em_mov_imm(e, H_RAX, JIT_LEFT_IND);
	em_to(em_jmp(e), j->leave);
	em_here(e, found);
	em_store(e, STATE(jit_tmp), H_RAX);
	thunk_live(j, j->live_load);
	thunk_registers(e, false);
	em_mov_imm(e, H_RAX, (u64)-1);
	em_rm(e, 0xff, 4, STATE(jit_tmp)); /* jmp */
	return start;
}

/* As thunk_lookup(), for a return without its call. */
static void thunk_ret(struct jit *j)
{
	struct jit_emit *e = &j->e;

	for (int ring3 = 0; ring3 < 2; ring3++) {
		j->ret_miss[ring3] = e->at;
		em_load(e, H_RSP, STATE(jit_sp));
		em_to(em_jmp(e), j->lookup[ring3]);
	}
	j->ret_none = e->at;
	em_store(e, STATE(rip), H_R10);
	em_rm(e, 0x89, H_RAX, STATE(jit_branch));
	em_mov_imm(e, H_RAX, JIT_LEFT_IND);
	em_to(em_jmp(e), j->exit);
}

/* Jumped to by a block that is out of date; RAX: JIT_BY_*. */
static u8 *thunk_outdated(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *by_c, *by_gate;

	em_mov(e, H_R10, H_RAX);
	em_rm(e, EM_W | 0xc1, 5, rm_reg(H_R10)); /* shr r10, 32 */
	em8(e, 32);
	by_c = em_jcc(e, 5);
	em8(e, 0xa9); /* test eax */
	em32(e, JIT_BY_GATE);
	by_gate = em_jcc(e, 5);
	em_load(e, H_R10, JUMP(va));
	em_store(e, STATE(rip), H_R10);
	em_here(e, by_c);
	em_mov_imm(e, H_RAX, JIT_LEFT);
	em_to(em_jmp(e), j->exit);
	em_here(e, by_gate);
	em8(e, 0x25); /* and eax */
	em32(e, PAGE_SIZE - 1);
	em_rm(e, EM_W | 0x03, H_RAX, STATE(gpr[INSN_RIP]));
	em_store(e, STATE(rip), H_RAX);
	em_mov_imm(e, H_RAX, JIT_LEFT_OLD);
	em_to(em_jmp(e), j->exit);
	return start;
}

/* Calls a function of C with (c, r10, eax, return address), which answers
 * where to go on.  The host's flags are loaded from c->cc on the way.  Vector
 * and x87 registers are live afterwards if they were before and it `keeps`
 * them.  It can have pairs forgotten by c->jit_sp_now. */
static u8 *thunk_c(struct jit *j, const void *fn, bool keeps)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at, *leave;

	thunk_registers(e, true);
	em_load(e, H_RDI, STATE(self));
	em_mov(e, H_RSI, H_R10);
	em_rm(e, 0x89, H_RAX, rm_reg(H_RDX));
	em_load(e, H_RCX, rm_mem(H_RSP, 0));
	thunk_live(j, j->live_save);
	if (!keeps) {
		em_rm(e, 0xc6, 0, STATE(vec_live)); /* mov byte, 0 */
		em8(e, 0);
	}
	em_rm(e, EM_W | 0x83, 0, rm_reg(H_RSP)); /* add rsp, 8 */
	em8(e, 8);
	em_store(e, STATE(jit_sp_now), H_RSP);
	em_rm(e, EM_W | 0x83, 5, rm_reg(H_RSP)); /* sub rsp, 16 */
	em8(e, 16);
	em_call_abs(e, fn);
	em_rm(e, EM_W | 0x85, H_RAX, rm_reg(H_RAX));
	leave = em_jcc(e, 4);
	em_load(e, H_RSP, STATE(jit_sp_now));
	em_plus(e, 0x50, H_RAX); /* push */
	if (keeps)
		thunk_live(j, j->live_load);
	thunk_registers(e, false);
	em_rm(e, EM_0F | 0xb7, H_RAX, STATE(cc)); /* movzx */
	em8(e, 0x04); /* add al, 0x7f: OF from bit 0 */
	em8(e, 0x7f);
	em8(e, 0x9e); /* sahf */
	em8(e, 0xc3);
	em_here(e, leave);
	em_mov_imm(e, H_RAX, JIT_LEFT);
	em_to(em_jmp(e), j->leave);
	return start;
}

/* Jumped to: jit_step(c, r10), then to c->rip by the jump cache. */
static u8 *thunk_step(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *start = e->at;

	thunk_registers(e, true);
	em_load(e, H_RDI, STATE(self));
	em_mov(e, H_RSI, H_R10);
	thunk_live(j, j->live_save);
	em_rm(e, 0xc6, 0, STATE(vec_live)); /* mov byte, 0 */
	em8(e, 0);
	em_store(e, STATE(jit_sp_now), H_RSP);
	em_call_abs(e, (const void *)(uintptr_t)jit_step);
	em_rm(e, EM_0F | 0xb6, H_RAX, rm_reg(H_RAX)); /* movzx */
	em_rm(e, 0x85, H_RAX, rm_reg(H_RAX));
	em_to(em_jcc(e, 4), j->leave); /* JIT_LEFT */
	em_load(e, H_RSP, STATE(jit_sp_now));
	thunk_registers(e, false);
	em_load(e, H_R10, STATE(rip));
	em_mov_imm(e, H_RAX, JIT_BRANCH(0, JIT_BRANCH_NONE, 0));
	em_rm(e, 0x80, 7, STATE(cpl)); /* cmp byte */
	em8(e, 3);
	em_to(em_jcc(e, 4), j->lookup[1]);
	em_to(em_jmp(e), j->lookup[0]);
	return start;
}

/* For perf.  One that is not listed counts as the one before it. */
static void jit_name_thunks(const struct jit *j, const u8 *enter)
{
	const struct {
		const char *name;
		const u8 *start;
	} rows[] = {
		{ "enter", enter },
		{ "vec-save", j->vec_save },
		{ "vec-load", j->vec_load },
		{ "exit", j->exit },
		{ "vec-refuse", j->vec_refuse },
		{ "vec-legacy", j->vec_legacy },
		{ "vec-vex", j->vec_vex },
		{ "exit-stub", j->exit_stub },
		{ "lookup", j->lookup[0] },
		{ "lookup-user", j->lookup[1] },
		{ "miss", j->miss },
		{ "gate", j->gate[0] },
		{ "gate-user", j->gate[1] },
		{ "exit-lookup", j->exit_lookup[0] },
		{ "ret-miss", j->ret_miss[0] },
		{ "step", j->step },
		{ "syscall", j->sys_call },
		{ "sysret", j->sys_ret },
		{ "slow", j->slow },
		{ "interp", j->interp },
		{ "notice", j->notice },
		{ "stack", j->stack[0] },
		{ "stack-miss", j->stack_miss },
	};

	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		const u8 *end = j->e.at;

		for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
			if (rows[k].start > rows[n].start &&
			    rows[k].start < end)
				end = rows[k].start;
		perfmap_add(rows[n].start + j->e.rx,
			    (size_t)(end - rows[n].start), "jit:%s",
			    rows[n].name);
	}
}

void jit_thunks(struct jit *j)
{
	struct jit_emit *e = &j->e;
	u8 *enter;

	j->x87_area = (u8 *)ALIGN_UP((uintptr_t)j->x87_room, 64);
	j->vec_save = jit_vec_save(j);
	j->vec_load = jit_vec_load(j);
	if (jit_x87_usable()) {
		j->x87_save = jit_x87_save(j);
		j->x87_load = jit_x87_load(j);
	}
	j->live_save = thunk_live_parts(j, j->vec_save, j->x87_save);
	j->live_load = thunk_live_parts(j, j->vec_load, j->x87_load);
	thunk_exit(j);
	j->vec_refuse = jit_vec_refuse(j);
	j->vec_legacy = jit_vec_enter(j, JIT_VEC_LEGACY);
	j->vec_vex = jit_vec_enter(j, JIT_VEC_VEX);
	if (jit_x87_usable())
		j->x87_enter = jit_x87_enter(j);
	j->exit_stub = thunk_exit_stub(j);
	j->miss = thunk_miss(j);
	for (int ring3 = 0; ring3 < 2; ring3++)
		j->lookup[ring3] = thunk_lookup(j, ring3);
	for (int ring3 = 0; ring3 < 2; ring3++)
		j->gate[ring3] = jit_gate_thunk(j, ring3);
	for (int ring3 = 0; ring3 < 2; ring3++)
		j->exit_lookup[ring3] = thunk_exit_lookup(j, ring3);
	thunk_ret(j);
	j->outdated = thunk_outdated(j);
	enter = thunk_enter(j);
	j->enter = (const void *(*)(struct tcg_cpu *, const void *))(
		uintptr_t)(enter + e->rx);
	j->slow = thunk_c(j, (const void *)(uintptr_t)jit_slow, true);
	j->interp = thunk_c(j, (const void *)(uintptr_t)jit_interp, false);
	j->notice = thunk_c(j, (const void *)(uintptr_t)jit_notice, true);
	j->stack_miss =
		thunk_c(j, (const void *)(uintptr_t)jit_stack_miss, true);
	for (int m = 0; m < MMU_COUNT; m++)
		j->stack[m] = jit_stack_thunk(j, m);
	j->step = thunk_step(j);
	j->sys_call = jit_sys_call(j);
	j->sys_ret = jit_sys_ret(j);
	if (perfmap_on())
		jit_name_thunks(j, enter);
}
