/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * T1: translation of 64-bit and flat 32-bit code into host code, block by block.
 *
 * A translation is made from a block of the interpreter that has run a few
 * times, from the same decoded instructions.  What it cannot translate it
 * calls the interpreter's handler for, or leaves to the interpreter.
 *
 * Registers in translated code: GS base is struct tcg_cpu; guest RAX lives in
 * R11, RSP in R15, guest R10, R11 and R15 in c->gpr[], all others in the host
 * register of their name; RAX and R10 are scratch, RSP is the host's stack.
 * Guest flags are in the host's flags or in c->cc, which the translator
 * knows at each point (tcg/jit_gen.c); at each block's start, each exit and
 * each access that may fault they are in c->cc.  Vector and x87 registers are
 * in the host's while c->vec_live says so (tcg/jit_vec.c, tcg/jit_x87.c).
 *
 * c->gpr[INSN_RIP] holds the linear address of the page that is executed, and
 * all code is relative to it: a translation serves every mapping of its page.
 * Jumps within a page are linked directly; all blocks of one chain have been
 * translated under the same generation of their page, and entering from
 * outside compares it (softmmu.c, "the protocol").  Jumps to other pages look
 * up the page in c->itlb, as a fetch does, and the code in c->jcache.
 *
 * A guest's CALL pushes its return address on the host's stack and is a CALL
 * of the host; its RET compares and is a RET.  What does not pair goes through
 * the jump cache and forgets all pairs, as leaving translated code and a
 * change of translations do; where it comes back c->jit_key is compared.
 *
 * Each vCPU has its own code, so nothing here is locked.
 */
#ifndef TCG_JIT_H
#define TCG_JIT_H

#include "tcg/block.h"
#include "tcg/jit_emit.h"

struct buf;
struct err;
struct jit_check;

/* Blocks are keyed by physical address and this: mode, privilege, TLB. */
#define JIT_KEY_CPL_SHIFT 12
#define JIT_KEY_MMU_SHIFT 16
#define JIT_KEY_MMU       (3u << JIT_KEY_MMU_SHIFT)
#define JIT_KEY_APART     BIT(20) /* without c->stack[] */
/* Above the physical address of code in struct jit_jcache. */
#define JIT_TAG_SHIFT 44
#define JIT_TAG(key)  ((u64)(key) << JIT_TAG_SHIFT)

/* The second page of a block whose only instruction crosses a page. */
struct jit_crossing {
	gpa_t phys;
	_Atomic u32 *gen_now;
	u32 gen;
};

/* What a block compares that does without a generation: tcg/jit_source.c.  A
 * bit for each byte of its text. */
#define JIT_SOURCE_BYTES 64

struct jit_source {
	const u8 *host; /* guest memory */
	u64 compared;
	u64 fields;  /* not compared but read where they are used */
	u64 movable; /* could be */
	u32 left;    /* entries until a block without is tried */
	u8 text[JIT_SOURCE_BYTES];
};

/* A block's code first compares the generation, for those who come from
 * outside; JIT_ENTRY_BYTES later begins what jumps are linked to.  One that
 * crosses has more to compare for both. */
struct jit_block {
	struct jit_block *next; /* same hash */
	union {
		/* NULL mostly */
		const struct jit_crossing *crossing;
		/* `gen_now` is &jit_source_gen */
		struct jit_source *source;
	};
	gpa_t phys;
	_Atomic u32 *gen_now;
	u32 gen;
	u32 key;
	u32 code; /* in j->rw; the 4 bytes in front say where this struct is */
};

#define JIT_ENTRY_BYTES 23

/* Never changes. */
extern _Atomic u32 jit_source_gen;

static inline const struct jit_crossing *
jit_crossing_of(const struct jit_block *t)
{
	return t->gen_now == &jit_source_gen ? NULL : t->crossing;
}

static inline struct jit_source *jit_source_of(const struct jit_block *t)
{
	return t->gen_now == &jit_source_gen ? t->source : NULL;
}

/* RAX there, should the block be out of date: who has come.  A lookup: the
 * offset of its entry in c->jump[].  A gate: this and the block's offset in its
 * page.  C, which has set c->rip: more than 32 bits. */
#define JIT_BY_GATE BIT(30)

/* Where code goes to in another page, and for whom that was found:
 * tcg/jit_gate.c. */
struct jit_gate {
	u64 page, key; /* c->gpr[INSN_RIP] and c->jump_key */
	u64 next;      /* page */
	const void *host;
};

/* Data behind the call of a thunk in cold code; distances back from itself. */
struct jit_exit {
	u16 target; /* in the page, or its end */
	u8 apart;   /* goes to a JIT_KEY_APART block */
	u8 mmu;     /* goes to a block for this c->mmu */
	u8 second;  /* in the page that the block crosses into */
	u32 block;  /* the code's struct jit_block in j->rw */
	u32 site;   /* to the displacement to be linked; 0: none */
} __attribute__((packed));

struct jit_slow {
	u32 info;
	u8 ahead;  /* the operand is so far behind what was looked up */
	u32 back;  /* behind the instruction, or the check of a store */
	u32 retry; /* where the address is computed */
} __attribute__((packed));

/* Behind the call of j->stack[]; what comes next goes to the block that looks
 * up one access after the other. */
struct jit_run {
	u64 last;  /* offset in a page of the last place with room for it */
	u32 retry; /* to the comparison */
	u16 off;   /* of the next instruction in its page */
} __attribute__((packed));

/* What translated code tells C about an instruction, in one register. */
#define JIT_INFO(off, len, size, write) \
	((u32)(off) | (u32)(len) << 12 | (u32)(size) << 16 | (u32)(write) << 23)
#define JIT_INFO_OFF(info)   ((info)&0xfff)
#define JIT_INFO_LEN(info)   ((info) >> 12 & 15)
#define JIT_INFO_SIZE(info)  ((info) >> 16 & 127)
#define JIT_INFO_WRITE(info) ((info) >> 23 & 1)
#define JIT_INFO_JUMPS       0x01000000u /* c->rip is set already */
#define JIT_INFO_ALIGN       0x02000000u /* #GP unless aligned */
#define JIT_INFO_UNMASKS     0x04000000u /* what translated code never raises */
#define JIT_INFO_LEADS       0x08000000u /* others use what it looks up */
#define JIT_INFO_REP         0x10000000u /* goes on unless RCX is 0 */

/* c->jit_branch: the branch that has left a page, should its target be
 * refused. */
#define JIT_BRANCH_JMP  0u
#define JIT_BRANCH_CALL 1u
#define JIT_BRANCH_RET  2u
#define JIT_BRANCH_NONE 3u /* ran over the end of the page */
#define JIT_BRANCH(off, kind, pop) \
	((u32)(off) | (kind) << 12 | (u32)(pop) << 16)

/* Returned by translated code instead of a struct jit_exit. */
#define JIT_LEFT     0 /* c->rip is set */
#define JIT_LEFT_IND 1 /* by the branch in c->jit_branch */
#define JIT_LEFT_OLD 2 /* a gate has led to a block out of date */
#define JIT_LEFT_VEC 3 /* the interpreter's turn */

/* c->vec_live: registers are loaded, and these have been checked for. */
#define JIT_VEC_LEGACY 1
#define JIT_VEC_VEX    2
#define JIT_VEC_XMM    (JIT_VEC_LEGACY | JIT_VEC_VEX) /* vector registers */
#define JIT_VEC_X87    4

/* Instruction classes: how a row is translated. */
enum jit_class {
	JIT_INTERP, /* its handler is called */
	JIT_STOP,   /* its handler is called and says what comes next */
	JIT_COPY,   /* re-encoded, ModRM operands replaced */
	JIT_ACC,    /* AL or rAX with an immediate */
	JIT_MOV_IMM,
	JIT_BSWAP,
	JIT_LEA,
	JIT_NOP,
	JIT_FENCE,
	JIT_MUL,
	JIT_CBW,
	JIT_CWD,
	JIT_CMPXCHG,
	JIT_CMPXCHG_WIDE,
	JIT_CARRY, /* clc stc cmc */
	JIT_PUSH,
	JIT_PUSH_IMM,
	JIT_POP,
	JIT_LEAVE,
	JIT_CALL,
	JIT_CALL_IND,
	JIT_JMP,
	JIT_JMP_IND,
	JIT_JCC,
	JIT_RET,
	JIT_CLI,
	JIT_STI,
	JIT_DIRECTION, /* cld std */
	JIT_PUSHF,
	JIT_POPF,
	JIT_DIV,
	JIT_IDIV,
	JIT_VEC, /* on vector or MMX registers */
	JIT_VEX, /* VEX-coded, on general registers */
	JIT_X87,
	JIT_STRING, /* movs stos */
	JIT_TSC,    /* rdtsc rdtscp */
	JIT_SYSCALL,
	JIT_SYSRET,
	JIT_SWAPGS,
	JIT_SET_AC,
};

#define JIT_X87_AREA 576 /* bytes, aligned to 64 */

#define JIT_REGIONS 8

struct jit_part {
	u8 *start, *end;
};

/* A jump into a region from another one; where it went before it was linked.
 * From j->rw. */
struct jit_room_link {
	u32 from; /* number of the region */
	u32 site, exit;
};

/* What is translated together and dropped together: tcg/jit_room.c. */
struct jit_region {
	struct jit_part hot, cold, data;
	u64 used; /* bytes, when it was left */
	struct jit_room_link *links;
	u32 nlinks, links_room;
};

struct jit {
	struct jit_emit e;
	u8 *rw; /* code memory, writable view; rw + e.rx is executable */
	size_t size, shared; /* bytes; of them for the code of jit_thunks() */
	/* Code that runs is apart from what is rarely needed, so that more of
	 * it fits the host's caches: e.at; `cold`; structs and copies of
	 * instructions, from `data` downwards.  All in region[now]. */
	u8 *cold, *data;
	struct jit_region region[JIT_REGIONS];
	u32 regions, now;
	u32 flushes, drops;          /* of everything, of one region */
	u8 *classes;                 /* enum jit_class by row */
	const struct jit_exit *link; /* left by it; to be linked */
	struct tcg_block *extended;  /* what is translated */
	struct jit_block **hash;
	u32 hash_bits, hashed; /* grows with the number of blocks in it */
	u8 *jcache_mask[2];    /* in code: c->jcache_mask, as an offset */
	u8 *runs;              /* of blocks in the interpreter, by hash */
	u32 *rewritten;        /* tcg/jit_source.c, by hash */
	/* Bytes of the block there that have changed last. */
	struct {
		gpa_t phys;
		u32 key;
		u64 bytes;
	} moved;
	const void *(*enter)(struct tcg_cpu *c, const void *code);
	struct jit_check *check; /* NULL: none */
	/* Shared code, writable view. */
	u8 *exit, *leave, *exit_stub, *exit_lookup[2];
	u8 *lookup[2], *gate[2], *ret_miss[2]; /* second: ring 3 */
	u8 *miss, *ret_none, *outdated;
	u8 *slow, *interp, *notice, *step;
	u8 *stack[MMU_COUNT], *stack_miss;
	u8 *sys_call, *sys_ret;
	u8 *vec_save, *vec_load, *vec_legacy, *vec_vex, *vec_refuse;
	u8 *x87_save, *x87_load, *x87_enter, *live_save, *live_load;
	u8 *x87_area; /* XSAVE's, in x87_room[] */
	bool refused; /* the next block is the interpreter's */
	/* Each block is entered from C, by jit_run() or jit_resume(): nothing
	 * is linked or remembered. */
	bool nochain;
	u8 x87_room[JIT_X87_AREA + 63];
	/* What has been done: `info jit`. */
#define JIT_COUNT(field, text) u64 field;
#define JIT_SLOW               JIT_COUNT
#include "tcg/jit_count.def"
#undef JIT_SLOW
#undef JIT_COUNT
	u64 max_bytes; /* of guest code in one block */
	u64 *called;   /* handlers, by row */
};

/* Bytes of the host's stack for pairs of call and return; each has 16. */
#define JIT_PAIRS_SIZE (16 * KIB)

#define JIT_HASH_BITS_MIN 16
#define JIT_HASH_BITS_MAX 20
#define JIT_RUNS_BITS     21
/* Room that must be left before a block is begun, and an instruction. */
#define JIT_BLOCK_ROOM (32 * KIB) /* in each of the three parts */
#define JIT_SLACK      1024

/* -errno with the reason: no executable memory. */
int jit_create(struct tcg_cpu *c, size_t size, struct err *err);
void jit_destroy(struct tcg_cpu *c);
void jit_flush(struct tcg_cpu *c);

/* Runs translated code from c->rip on, until it must leave; c->rip is the
 * next instruction's address.  False: there is none.  Raises. */
bool jit_resume(struct tcg_cpu *c);
/* The same for block `b` at c->rip, which is translated if it is time to;
 * false: the interpreter's turn. */
bool jit_run(struct tcg_cpu *c, struct tcg_block *b);

/* What translated code calls.  They answer where it goes on, or NULL: leave
 * it, c->rip is set.  May raise.
 *
 * An access to `va ^ tag` was no hit of the TLB slot at offset `slot`: fills
 * it, or has the interpreter run the whole instruction. */
const void *jit_slow(struct tcg_cpu *c, u64 va, u32 slot,
		     const struct jit_slow *at);
/* A store has hit a page with flags: `flags` is its byte. */
const void *jit_notice(struct tcg_cpu *c, u64 flags, u32 unused,
		       const struct jit_slow *at);
/* Runs the handler of an instruction that has no template. */
const void *jit_interp(struct tcg_cpu *c, const struct insn *i, u32 info,
		       const void *at);
/* c->rip is not in the jump cache. */
const void *jit_miss(struct tcg_cpu *c);
/* Runs the handler of an instruction that may change everything; true: on at
 * c->rip. */
bool jit_step(struct tcg_cpu *c, const struct insn *i);
/* The block from `off` in its page on, without stack[] and span[]; or NULL,
 * and it is run next. */
const void *jit_apart(struct tcg_cpu *c, u32 off);

/* ---- jit_room.c ---- */

/* Code memory of j->size bytes; -errno. */
int jit_room_map(struct jit *j);
void jit_room_unmap(struct jit *j);
/* What is behind e.at becomes regions; all are empty. */
void jit_room_divide(struct jit *j);
void jit_room_empty(struct jit *j);
/* Room for a block, of JIT_BLOCK_ROOM in each part: where there is none the
 * oldest region is dropped, and with it j->link. */
void jit_room_make(struct tcg_cpu *c);
/* Makes the jump of `link`, as translated code knows it, go to `to`. */
void jit_room_link(struct jit *j, const struct jit_exit *link,
		   const struct jit_block *to);
/* The exit of `link` looks its target up from now on. */
void jit_room_ask(struct jit *j, const struct jit_exit *link, bool ring3);
/* Bytes, of all regions and what they share. */
u64 jit_room_used(const struct jit *j);

/* ---- jit_thunk.c ---- */

/* Writes the pieces of code that blocks share, at the start of the buffer. */
void jit_thunks(struct jit *j);

/* EAX: offset in c->jump[] for R10. */
void jit_jump_slot(struct jit_emit *e);

/* ---- jit_gate.c ---- */

/* Called by a gate that is not open: what is behind it. */
u8 *jit_gate_thunk(struct jit *j, bool ring3);

/* ---- jit_source.c ---- */

#define JIT_REWRITTEN_BITS 12

/* The block that was found out of date; true: the next one is translated at
 * once. */
bool jit_source_stale(struct jit *j, const struct jit_block *t);
/* Is memory what the block was made from? */
bool jit_source_same(const struct jit_source *s);
/* Shall the block at c->rip compare its text?  Then `ret` is it, decoded anew
 * and perhaps shorter, or empty. */
bool jit_source_plan(struct tcg_cpu *c, const struct tcg_block *b, u32 key,
		     struct tcg_block *ret, struct jit_source *source);

/* ---- jit_stack.c ---- */

/* Most bytes that one comparison covers. */
#define JIT_RUN_MAX 1024

int jit_stack_init(struct tcg_cpu *c);
/* Called by translated code: c->stack[] for R10 ^ its page. */
u8 *jit_stack_thunk(struct jit *j, int mmu);
/* The same where none is held for `va`. */
const void *jit_stack_miss(struct tcg_cpu *c, u64 va, u32 unused,
			   const struct jit_run *at);
/* Before code is entered: makes dropped pages harmless. */
void jit_stack_enter(struct tcg_cpu *c);

/* ---- jit_check.c ---- */

/* About one of `every` blocks is checked. */
struct jit_check *jit_check_create(u64 every);
void jit_check_destroy(struct jit_check *k);
void jit_check_info(const struct jit_check *k, struct buf *out);
/* Runs the block and its translation `t`; false: do it without.  Raises. */
bool jit_check(struct tcg_cpu *c, const struct tcg_block *b,
	       const struct jit_block *t);
/* The translation alone, until it leaves; raises. */
void jit_enter(struct tcg_cpu *c, const struct jit_block *t);

/* ---- jit_info.c ---- */

/* Lines for `info jit`.  Asks the vCPUs: machine_lock is dropped. */
void jit_info(struct machine *m, struct buf *out);
/* Why translated code has been left, for c->rip: what it has returned. */
void jit_count_left(struct tcg_cpu *c, const void *left);

/* jit_gen.c: NULL when the first instruction is not for the JIT.  There is
 * room for a block.  `source`: it compares that; or NULL. */
struct jit_block *jit_translate(struct tcg_cpu *c, struct jit *j,
				const struct tcg_block *b, u32 key,
				const struct jit_source *source);
/* enum jit_class of a row, for a guest with these features. */
u8 jit_classify(u16 row, u64 features);
/* jit_rows.c: before the first translation. */
void jit_rows_init(void);

/* ---- jit_vec.c ---- */

/* Shared code that is called, clobbers R10 and flags: stores the guest's
 * vector registers and MXCSR, and loads the host's; the other way round. */
u8 *jit_vec_save(struct jit *j);
u8 *jit_vec_load(struct jit *j);
/* Makes them live after the checks for a JIT_VEC_*, or refuses.  Clobbers RAX,
 * too. */
u8 *jit_vec_enter(struct jit *j, u8 kind);
/* Leaves the instruction's block to the interpreter. */
u8 *jit_vec_refuse(struct jit *j);

/* ---- jit_sys.c ---- */

u8 *jit_sys_call(struct jit *j);
u8 *jit_sys_ret(struct jit *j);
/* In 64-bit code, behind a SYSCALL or SYSRET: can the next ones do without
 * their handlers?  Sets c->sys_direct, which is cleared when that changes. */
void jit_sys_look(struct tcg_cpu *c);

/* ---- jit_x87.c ---- */

/* Has the host what it takes?  Else the following is not called. */
bool jit_x87_usable(void);
/* As those for vectors.  Host x87 is empty after `save`. */
u8 *jit_x87_save(struct jit *j);
u8 *jit_x87_load(struct jit *j);
u8 *jit_x87_enter(struct jit *j);

/* Host register that holds a guest register, or JIT_NOHOME. */
#define JIT_NOHOME 0xff
extern const u8 jit_home[16];
/* The other way: the bit of the guest's register, or 0. */
extern const u16 jit_guest[16];

#endif
