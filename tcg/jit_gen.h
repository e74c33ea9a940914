/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the translator's files share (tcg/jit_gen.c): one block's translation
 * in the making, flags, and memory operands.
 */
#ifndef TCG_JIT_GEN_H
#define TCG_JIT_GEN_H

#include "lib/buf.h"
#include "tcg/decode.h"
#include "tcg/jit.h"

#define STATE(field) rm_state(offsetof(struct tcg_cpu, field))

/* Most bytes of a piece out of line, with the notes of x87; pieces that an
 * instruction may add, and that there is room for. */
#define GEN_COLD_BYTES 192
#define GEN_COLD_INSN  8
#define GEN_COLD_MAX   (int)(JIT_BLOCK_ROOM / GEN_COLD_BYTES)
/* Lookups that several operands share: most of a block, and the pieces that
 * they add later. */
#define SPAN_GROUPS    16
#define GEN_COLD_LEADS (2 * SPAN_GROUPS)

/* Where the guest's arithmetic flags are. */
enum gen_flags {
	FLAGS_CC,   /* c->cc; the host's are garbage */
	FLAGS_HOST, /* the host's; c->cc is old */
	FLAGS_BOTH,
	FLAGS_AGAIN, /* nowhere, but g->again makes them */
};

/* How to make the flags of an instruction before again, as long as `regs` keep
 * their values.  Clobbers RAX. */
struct gen_again {
	enum {
		AGAIN_NOT,
		AGAIN_COPY,    /* by its own code, which changes nothing */
		AGAIN_TEST,    /* from its result, `reg` */
		AGAIN_SUM,     /* `reg` is what `rm` has been added to */
		AGAIN_SUM_IMM, /* and what `imm` has been added to */
	} how;

	bool sub, wide; /* subtracted; 64 bits */
	u8 reg, rm;     /* the host's */
	u16 regs;       /* the guest's */
	s32 imm;
	u32 bytes;
	const u8 *code;
};

/* Last x87 instructions of the block, for FIP, FDP and FOP (tcg/jit_x87.c). */
struct gen_note {
	bool any, mem; /* `mem`: one of them had a memory operand */
	u8 slot, seg;  /* its address in c->x87_ea[], its segment */
	u16 fop;
	u32 off; /* in the page */
};

/* Code out of line, made when the block is done. */
struct gen_cold {
	enum {
		COLD_SLOW,
		COLD_NOTICE,
		COLD_STACK,
		COLD_INTERP,
		COLD_VEC,
		COLD_VEX,
		COLD_X87,
		COLD_REFUSE,
		COLD_PAIRS,
		COLD_EXIT,
		COLD_SIDE, /* a jump in the middle of the block */
		COLD_GATE,
		COLD_CROSSING,
		COLD_OLD, /* the block is out of date */
		COLD_SOURCE, /* its text is */
	} kind;
	const struct insn *insn; /* COLD_INTERP; COLD_NOTICE: REP, or NULL */

	u8 *from;  /* displacement of the jump here */
	u8 *also;  /* of another one, or NULL */
	u8 *retry; /* COLD_SLOW, COLD_STACK: where the address is computed */
	u8 *back;  /* behind the instruction; COLD_NOTICE: behind the check */
	u32 info;
	u8 ahead; /* COLD_SLOW: struct jit_slow */
	/* COLD_EXIT, COLD_SIDE, COLD_GATE; COLD_STACK, COLD_CROSSING, COLD_OLD:
	 * the instruction */
	s64 target;
	bool saves;           /* COLD_SIDE: flags are in the host's only */
	u8 *site;             /* COLD_EXIT: jump that may be linked, or NULL */
	bool apart;           /* COLD_EXIT: to a block without spans */
	bool second;          /* COLD_EXIT: struct jit_exit */
	u8 mmu;               /* COLD_EXIT: there */
	u8 *gate;             /* COLD_GATE, COLD_CROSSING: struct jit_gate */
	u8 *asked;            /* COLD_GATE: as `from`, or NULL */
	u8 *stub;             /* where it has been put */
	struct gen_note note; /* not yet in memory when it jumps here */
	struct gen_again again; /* flags are to be made */
};

/* What an instruction does to memory and registers, for those who plan. */
struct gen_use {
	/* Runs of stack accesses: reaches memory by RSP. */
	bool access;
	s32 at; /* relative to RSP before the instruction */
	u32 size;
	s32 moves;   /* RSP, by so much */
	bool breaks; /* no run goes across it: C is called, or RSP set */
	bool ends;   /* a run may have it as its last */
	/* Looked up by gen_access(): bytes of its memory operand, 0: none. */
	u32 mem;
	bool writes;
	/* Registers that get other values; but for `to`, which becomes `from`
	 * plus `by`, 64 bits. */
	u16 sets;
	u8 to, from; /* INSN_NOREG: none */
	s32 by;
};

/* Roles of the operands of a JIT_COPY instruction. */
struct gen_form {
	u32 op;
	u32 size;    /* of E */
	u8 imm_size; /* 0: none */
	bool has_g, g_written, g_byte;
	bool e_byte, e_written;
	bool needs_flags, sets_flags;
	u8 digit;     /* of ModRM.reg without G */
	bool interps; /* left to its handler */
};

/* The instruction's part in a span (tcg/jit_span.c). */
struct gen_member {
	u8 span; /* 1 + index in c->span[]; 0: none */
	u8 lead; /* the leader's index in the block */
	bool leads;
	bool stores; /* somebody stores there */
	u8 ahead;    /* of a leader: from the lowest address to its own */
	u8 bytes;    /* of the span */
};

struct gen {
	struct jit *j;
	struct jit_emit e;
	const struct tcg_block *b;
	struct gen_use use[BLOCK_INSNS];
	struct gen_form form[BLOCK_INSNS]; /* of those that are JIT_COPY */
	struct gen_member member[BLOCK_INSNS];
	const struct gen_member *span; /* of what was looked up, or NULL */
	u8 led[JIT_SPANS]; /* who has looked up c->span[], this time */
	bool span_loaded;  /* its distance is in RAX */
	struct jit_block *t;
	struct jit_source *source; /* or NULL: t->source */
	u8 *changed[JIT_SOURCE_BYTES]; /* jumps where it differs */
	int nchanged;
	const struct insn *i;
	u32 off; /* of the instruction in its page */
	u32 tlb; /* offset of the TLB in struct tcg_cpu */
	enum gen_flags flags;
	struct gen_again again; /* FLAGS_HOST, FLAGS_BOTH, FLAGS_AGAIN */
	int n;                  /* number of the instruction */
	struct gen_cold cold[GEN_COLD_MAX + GEN_COLD_LEADS];
	int ncold;
	int run_end;    /* first instruction behind the run of stack accesses */
	int run_next;   /* where the next run can begin */
	u32 stack;      /* offset of c->stack[c->mmu] in struct tcg_cpu */
	u8 mmu, to_mmu; /* c->mmu, and at the block's exits */
	/* A distance to host addresses is in RAX since instruction `delta`, if
	 * that is the last one: of the run, or of the span led by `delta_of`. */
	int delta, delta_of;
	bool apart; /* no runs */
	/* Bytes of what near branches and most stack accesses move, and of
	 * addresses of code: 8, or 4 in MODE_FLAT. */
	u8 word;
	/* A block that jumps to its start: its code comes twice, and the second
	 * time begins with what the end leaves. */
	u8 *again_at;  /* there; NULL: the first time */
	bool again_cc; /* with flags in c->cc */
	bool loops;    /* the second time is to come */
	u8 cpl;
	u8 vec_live;     /* JIT_VEC_* known to be set */
	bool index_kept; /* TLB slot of the store is in c->jit_index */

	/* What gen_lookup() has found, but for the slot's `delta`. */
	struct {
		u8 base;
		s32 disp;
		bool torn; /* `base` is R10, which is now relative to the page */
		bool write; /* by which tag */
	} at;

	/* For tcg/log.c. */
	u64 pc;         /* linear address of the block */
	const u8 *data; /* j->data before the instruction */
	u8 *start[BLOCK_INSNS + 1], *cold_at; /* the hot code's end */
	struct buf plan;
	struct gen_note note; /* not yet in memory */
};

/* ---- Rows (jit_rows.c) ---- */

/* What rows have beside their operands. */
enum gen_row_what {
	ROW_OTHER,
	ROW_BOTH,    /* reads and writes both operands */
	ROW_BITSCAN, /* may leave flags */
	ROW_BIT,     /* bit strings */
	ROW_EXTEND,
	ROW_MULX,
	ROW_MOVS,
	ROW_LENGTHS, /* in RAX and RDX */
	ROW_LDMXCSR,
	ROW_X87, /* moves the pointers */
	ROW_X87_STORE,
	ROW_X87_NOTHING,
	ROW_FLDCW,
	ROW_FNSTSW,
	ROW_FNCLEX,
	ROW_EMMS,
};

/* The same for all instructions of a row. */
struct gen_row {
	u32 op;                     /* EM_*: map and mandatory prefix */
	u32 info;                   /* JIT_INFO_* */
	u8 what;                    /* enum gen_row_what */
	char e_size, imm_size;      /* size letters, 0: there is none */
	bool bare;                  /* no operands at all */
	bool g, g_written, g_byte;  /* ModRM.reg, a general register */
	bool e, e_first, e_written; /* ModRM.rm may be one; written: memory,
				     * too */
	bool b, b_written;          /* VEX.vvvv */
	bool h, is4, p, q, xmm;     /* letters; q: N, too; xmm: V, W or U */
	bool by_cl, sets_flags, needs_flags;
};

extern const struct gen_row *gen_rows;

static inline const struct gen_row *gen_row(const struct insn *i)
{
	return &gen_rows[i->row];
}

/* ---- Flags (jit_flags.c) ---- */

/* c->cc becomes valid; clobbers RAX. */
void gen_save_flags(struct gen *g);
/* The host's become valid; clobbers RAX. */
void gen_load_flags(struct gen *g);
/* The host's are about to be lost, and RAX.  They are saved, or can be made
 * again: code out of line does that. */
void gen_spill_flags(struct gen *g);
/* The same, and c->cc becomes valid. */
void gen_settle_flags(struct gen *g);
/* The host's are the guest's now. */
void gen_flags_set(struct gen *g);
/* The same, by the instruction emitted at `at`: the row of `reg`, a register
 * if `has_reg`, and of `rm`, `size` bytes. */
void gen_flags_again(struct gen *g, const u8 *at, u8 reg, u8 rm, bool has_reg,
		     u32 size);
/* In front of an instruction: is there still a way to make them again? */
void gen_flags_keep(struct gen *g, const struct gen_use *u);
/* Out of line: c->cc becomes the host's flags, or those made again. */
void gen_store_flags(struct gen *g);
void gen_flags_cold(struct gen *g, const struct gen_again *a);

/* ---- Operands ---- */

/* A guest register's place in memory. */
static inline struct jit_rm gen_slot(u8 reg)
{
	return rm_state(offsetof(struct tcg_cpu, gpr) + reg * 8);
}

/* EM_W for what has the size of g->word. */
static inline u32 gen_w(const struct gen *g)
{
	return g->word == 8 ? EM_W : 0;
}

/* `to` = the address `rm`, of g->word bytes. */
static inline void gen_add(struct gen *g, u8 to, struct jit_rm rm)
{
	em_rm(&g->e, gen_w(g) | 0x8d, to, rm);
}

/* A guest register for reading: its host register, or `scratch` loaded. */
u8 gen_read(struct gen *g, u8 reg, u8 scratch);

/* ---- Instructions on RFLAGS (jit_flags.c) ---- */

/* Sets or clears a bit of c->eflags. */
void gen_eflags_bit(struct gen *g, u32 bit, bool set);
void gen_cli(struct gen *g);
/* Does it call a handler that may change everything? */
bool gen_steps(u8 class);
/* The instruction behind it is not interrupted: it is translated and comes
 * in the same block, so nothing is polled between the two. */
void gen_sti(struct gen *g);
void gen_pushf(struct gen *g);
void gen_popf(struct gen *g);

/* ---- Memory operands (jit_mem.c) ---- */

/* The address of the instruction's memory operand without segment base, less
 * `less`, into `to`; may clobber RAX. */
void gen_ea(struct gen *g, u8 to, u32 less);
void gen_lea(struct gen *g);
/* R10 += the base of the instruction's segment, if it has one. */
void gen_add_segment(struct gen *g);
/* EAX: from an address to the offset of its TLB slot. */
void gen_tlb_slot(struct gen *g);
/* In that slot. */
struct jit_rm gen_tlb(const struct gen *g, size_t field);
/* Looks up `size` bytes at R10, computed from `retry` on, for the next two:
 * R10 and RAX are theirs.  Flags are in c->cc before and after. */
void gen_lookup(struct gen *g, u8 *retry, u32 size, bool write);
/* The same for the instruction's memory operand; in a span the flags may stay
 * the host's. */
void gen_access(struct gen *g, u32 size, bool write);
/* The same; the address without segment base is stored in `*keep`. */
void gen_access_kept(struct gen *g, u32 size, bool write,
		     const struct jit_rm *keep);
/* The same for [base + disp]. */
void gen_access_at(struct gen *g, u8 base, s32 disp, u32 size, bool write);
/* What was looked up, for loading: made with RAX and R10, or with RAX free. */
struct jit_rm gen_load_operand(struct gen *g, bool free_rax);
/* For storing: made with R10; RAX holds the slot unless it has to be free. */
struct jit_rm gen_store_operand(struct gen *g, bool free_rax);
/* After a store by gen_store_operand(): has the page a flag?  Last part of
 * its instruction but for a jump. */
void gen_stored(struct gen *g, u32 size);

/* ---- Copied instructions (jit_copy.c) ---- */

void gen_form(const struct gen *g, struct gen_form *f);
void gen_copy(struct gen *g);
/* EM_* of the instruction: its opcode, operand size and LOCK. */
u32 gen_opcode(const struct gen *g);
/* Is it AH, CH, DH or BH?  By insn.reg8 or .rm8. */
bool gen_high_byte(u8 reg8);

/* ---- What instructions do (jit_use.c) ---- */

void gen_use(struct gen *g, u8 class, struct gen_use *u);
/* The same without a block; for tests/diff. */
void gen_use_alone(const struct insn *i, u8 class, u8 cpl, struct gen_use *u);

/* ---- Spans (jit_span.c) ---- */

/* Finds the block's spans; g->use[] has been filled in. */
void gen_plan_spans(struct gen *g);

/* ---- Runs of stack accesses ---- */

/* Is the instruction part of a run? */
bool gen_in_run(const struct gen *g);
/* Does [RSP + disp] and nothing else make the memory operand's address? */
bool gen_on_stack(const struct insn *i);
/* [RSP + disp] of a run: RAX becomes the distance to host addresses, or is
 * free and R10 the address.  Flags stay. */
struct jit_rm gen_run_operand(struct gen *g, s32 disp, bool free_rax);

#define GEN_DELTA_RUN (-1)

/* The next instruction finds the distance in RAX.  Nothing comes back from out
 * of line behind it. */
static inline void gen_delta_left(struct gen *g, int of)
{
	g->delta = g->n;
	g->delta_of = of;
}

/* The instruction leaves RAX alone, and so does all that comes back. */
static inline void gen_delta_kept(struct gen *g)
{
	if (g->delta >= 0 && g->delta == g->n - 1)
		g->delta = g->n;
}

static inline bool gen_delta_there(const struct gen *g, int of)
{
	return g->delta >= 0 && g->delta == g->n - 1 && g->delta_of == of;
}

/* After a load by gen_load_operand() that has not had to spare RAX, which
 * nobody has touched since. */
void gen_delta_of_load(struct gen *g);

/* ---- Stack ---- */

/* g->word bytes at [sp + disp], looked up, or part of a run if `sp` is RSP. */
struct jit_rm gen_stack_load(struct gen *g, u8 sp, s32 disp);
/* Stores `src` (RAX: loaded by `load`, R10: is there, but in a run only) below
 * RSP and moves RSP. */
void gen_push_reg(struct gen *g, u8 src, struct jit_rm load);

/* ---- Branches (jit_branch.c) ---- */

/* All targets are relative to the page. */
bool gen_in_page(s64 target);
/* R10 becomes the target's address. */
void gen_linear(struct gen *g, s64 target);
/* Leaves for `target`; a jump within the page can be linked later.  `kind`:
 * what is taken back should that be no address.  Flags are in c->cc. */
void gen_goto(struct gen *g, s64 target, u32 kind);
/* On to the next instruction from the block's end. */
void gen_next(struct gen *g);
/* A displacement that does not fit, or a 66 prefix, is for the interpreter. */
bool gen_branch_ok(const struct gen *g);
void gen_jcc(struct gen *g);
void gen_jmp(struct gen *g);
void gen_jmp_ind(struct gen *g);
void gen_call(struct gen *g);
void gen_call_ind(struct gen *g);
void gen_ret(struct gen *g);

/* ---- Blocks that compare their text (jit_source.c) ---- */

/* At the block's entry. */
void gen_source(struct gen *g);
void gen_source_cold(struct gen *g);
/* The instruction, if its immediate or displacement is read from memory. */
bool gen_source_field(struct gen *g, u8 class);

/* ---- Gates (jit_gate.c) ---- */

/* Goes to `target`, relative to the page and outside of it; `info`:
 * JIT_BRANCH().  Flags are in c->cc.  False: not one for a gate. */
bool gen_gate(struct gen *g, s64 target, u32 info);
void gen_gate_cold(struct gen *g, const struct gen_cold *cold);
/* Bytes of data behind what it makes. */
size_t gen_gate_data(void);
/* Leaves unless the next page is the one that the block's instruction goes on
 * in. */
void gen_crossing(struct gen *g);
void gen_crossing_cold(struct gen *g, const struct gen_cold *cold);

/* ---- Out of line ---- */

struct gen_cold *gen_cold(struct gen *g, int kind, u8 *from);
/* What it leads to (jit_cold.c). */
void gen_cold_code(struct gen *g, struct gen_cold *cold);
/* Leaves for `target`.  `site`: displacement of the jump or call here, which
 * may be linked to a block for `mmu`, `apart` or not; or NULL. */
void gen_exit_stub(struct gen *g, s64 target, const u8 *site, bool apart,
		   u8 mmu);
/* Calls a handler; what has to be there has been saved. */
void gen_call_handler(struct gen *g, const struct insn *i, u32 info);
/* JIT_INFO() of the instruction. */
u32 gen_info(const struct gen *g, u32 size, bool write);
/* Calls the instruction's handler. */
void gen_interp(struct gen *g);
/* The same for one that may change everything: the block's end. */
void gen_step(struct gen *g);
/* As gen_interp(), out of line, instead of what follows the jump `from`; flags
 * are in c->cc there and at the end of the instruction. */
void gen_interp_instead(struct gen *g, u8 *from);
/* The interpreter's turn if the condition holds. */
void gen_refuse(struct gen *g, u8 cond);

/* ---- jit_vec.c ---- */

u8 jit_vec_classify(const struct opdesc *d);
void gen_vec(struct gen *g);
void gen_vec_use(const struct gen *g, struct gen_use *u);
void gen_vex(struct gen *g);
void gen_vex_use(const struct gen *g, struct gen_use *u);

/* ---- jit_clock.c ---- */

void gen_tsc(struct gen *g);

/* ---- jit_sys.c ---- */

void gen_syscall(struct gen *g);
void gen_sysret(struct gen *g);
void gen_swapgs(struct gen *g);
void gen_set_ac(struct gen *g);

/* ---- jit_string.c ---- */

void gen_string(struct gen *g);

/* ---- jit_x87.c ---- */

u8 jit_x87_classify(u16 row);
void gen_x87(struct gen *g);
void gen_x87_use(const struct gen *g, struct gen_use *u);
/* From here on in the block x87 registers are live. */
void gen_x87_enter(struct gen *g);
/* g->note into memory; clobbers RAX and R10.  The other one clobbers
 * nothing. */
void gen_x87_note(struct gen *g);
void gen_x87_note_cold(struct gen *g, const struct gen_note *n);

#endif
