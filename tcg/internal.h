/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The emulation engine's private contract: one vCPU's working state, the
 * decoded instruction, and the calls between decoder, interpreter, soft MMU
 * and system code.
 *
 * Guest exceptions leave a handler by siglongjmp (tcg_raise*).  So a handler
 * makes no guest-visible change before its last access that can fault, and
 * owns no resource across an access.
 *
 * Only v->request makes the interpreter leave.  Whatever must be looked at
 * between two blocks (interrupts, debug traps, another vCPU's exclusive
 * section) sets a bit there; tcg_execute() returns at the next block head and
 * tcg.c sorts it out.
 *
 * Locking: a struct tcg_cpu belongs to its vCPU's thread.
 */
#ifndef TCG_INTERNAL_H
#define TCG_INTERNAL_H

#include <setjmp.h>
#include <stdatomic.h>

#include "lib/types.h"
#include "vmm/cpu.h"
#include "vmm/vcpu.h"

struct machine;
struct tcg_block;
struct tcg_cpu;

/* ---- Decoded instruction ---- */

struct insn;
/* Executes one instruction.  On entry c->ip == i and, for an instruction
 * that ends a block (OP_END in its row), c->rip is the address of the next
 * instruction; such a handler sets c->rip where it goes elsewhere.  Others
 * leave c->rip alone. */
typedef void insn_fn(struct tcg_cpu *c, const struct insn *i);

/* Slots of gpr[] behind the registers, so that an address is always
 * gpr[base] + (gpr[index] << scale) + disp. */
#define INSN_NOREG 16 /* no base, no index: reads as zero */
#define INSN_RIP   17 /* the block's first byte; disp holds the rest */
#define GPR_SLOTS  18

#define INSN_LOCK   0x01 /* prefixes */
#define INSN_REP    0x02 /* F3 */
#define INSN_REPNE  0x04 /* F2 */
#define INSN_OPSIZE 0x08 /* 66 seen */
#define INSN_REX    0x10 /* any REX: spl, bpl, sil, dil */
#define INSN_REXW   0x20
#define INSN_VEX    0x40
#define INSN_VEXL   0x80 /* 256 bits */

struct insn {
	insn_fn *fn;
	u64 imm;  /* sign-extended immediate, branch displacement, far offset */
	s64 disp; /* sign-extended displacement, or MOV's absolute offset */
	u16 off;  /* of the instruction within its block */
	u16 row;  /* of tcg/opcodes.def: insn_desc() */
	u16 sel;  /* selector of a direct far pointer */
	u8 len;   /* 1..15 */
	u8 opsize;      /* 1, 2, 4, 8: operand size in bytes */
	u8 addrsize;    /* 2, 4, 8 */
	u8 prefix;      /* INSN_* */
	u8 reg;         /* ModRM.reg with REX.R; or register in opcode */
	u8 rm;          /* ModRM.rm with REX.B when mod == 3 */
	u8 is_mem;      /* the ModRM operand is memory */
	u8 base, index; /* registers or INSN_NOREG / INSN_RIP */
	u8 scale;       /* shift 0..3 */
	u8 seg;         /* enum cpu_seg of the memory operand, override done */
	u8 vvvv;        /* VEX.vvvv, not inverted */
	u8 opcode;      /* last opcode byte (condition codes, ...) */
	u8 imm2;        /* second immediate: ENTER level, is4 register */
	u8 flat;        /* 64-bit addresses, only FS and GS have a base */
	u8 reg8, rm8;   /* reg and rm as byte registers: offset in gpr[] */
};

/* What decoding depends on; tcg_cpu.mode_key, set by tcg_mode_changed(). */
#define MODE_CODE32  0x001u /* CS.D, not in 64-bit mode */
#define MODE_CODE64  0x002u
#define MODE_STACK32 0x004u /* SS.B, not in 64-bit mode */
#define MODE_STACK64 0x008u
#define MODE_PROT    0x010u /* CR0.PE and not virtual-8086 mode */
#define MODE_V86     0x020u
#define MODE_LMA     0x040u
/* TF set or instruction breakpoints: the block holds one instruction, run
 * between tcg_step_begin() and tcg_step_end(). */
#define MODE_STEP 0x080u
#define MODE_AMD  0x100u /* decode as AMD does where vendors differ */
/* 32-bit protected mode with a 32-bit stack, where ES, CS, SS and DS reach all
 * of 4 GiB and may be read and written: effective addresses are linear. */
#define MODE_FLAT 0x200u
/* Code that is translated. */
#define MODE_JIT (MODE_CODE64 | MODE_FLAT)

/* ---- Soft TLB ---- */

/* Accesses are looked up per mode: supervisor, user, supervisor that may
 * touch user pages (SMAP off or EFLAGS.AC set), user with alignment checks
 * (never filled: each access goes the slow way, then as MMU_USER). */
enum tcg_mmu { MMU_KERNEL, MMU_USER, MMU_KERNEL_AC, MMU_USER_ALIGN, MMU_COUNT };

/* Enough for two streams of 16 MiB; slots that are never used cost no memory,
 * as all zero is invalid but for two. */
#define TLB_BITS    13
#define TLB_ENTRIES (1u << TLB_BITS)

/* Tags hold the guest page address.  An invalid tag is the address of another
 * slot's page, so that `address ^ tag` is never an offset into a page, and
 * not of the page behind this slot's: tlb_invalid().  Only plain RAM gets a
 * tag.  The JIT knows this layout. */
struct tlb_entry {
	u64 read;  /* tag for loads */
	u64 write; /* tag for stores: dirty bit set, not read-only */
	u64 delta; /* from the page's addresses to the host's */
	/* The page's byte in ram_block.flags: a store that finds it non-zero
	 * afterwards calls tcg_store_noticed(). */
	_Atomic u8 *flags;
};

/* Pages that instructions are fetched from, one table for ring 3 and one for
 * the others. */
#define ITLB_BITS    10
#define ITLB_ENTRIES (1u << ITLB_BITS)

struct itlb_entry {
	u64 tag; /* as in struct tlb_entry */
	gpa_t phys;
	const u8 *host; /* of the page's first byte */
	bool global;
};

/* Slots are counted in chunks, so that a flush clears what was used. */
#define TLB_CHUNK_BITS 6
#define TLB_CHUNKS     (TLB_ENTRIES >> TLB_CHUNK_BITS)
#define ITLB_CHUNKS    (ITLB_ENTRIES >> TLB_CHUNK_BITS)

/* Slots filled with non-global translations since the last flush, so that a
 * CR3 write clears these and no more. */
#define TLB_LOG 2048

#define TLB_HUGE_2M 1024u /* bits for each half of the addresses */
#define TLB_HUGE_1G 64u

struct tlb_log {
	u32 n;             /* above TLB_LOG: overflown, flush everything */
	u16 slot[TLB_LOG]; /* mmu << TLB_BITS | index */
	/* Regions of 2 MiB or 1 GiB mapped by larger pages, as a hash set:
	 * INVLPG there has more than one slot to clear. */
	u64 huge[(TLB_HUGE_2M + TLB_HUGE_1G) * 2 / 64];
	/* Chunks with slots that have been filled. */
	u64 used[MMU_COUNT][TLB_CHUNKS / 64];
	u64 iused[2];
	bool ilocal; /* the table of rings 0 to 2 has non-global pages */
};

/* ---- JIT ---- */

struct jit;

/* Where translated code starts: by physical address + c->jit_key. */
struct jit_jcache {
	u64 tag;
	const void *host;
};

/* Where code is for a linear address, in front of itlb[] and jcache[]: good
 * while `key` is c->jump_key. */
#define JIT_JUMP_BITS     11
#define JIT_JUMPS         (1u << JIT_JUMP_BITS)
#define JIT_JUMP_SLOT(va) (((u32)(va) ^ (u32)(va) >> 9) & (JIT_JUMPS - 1))

struct jit_jump {
	u64 va, key;
	const void *host;
	u64 unused; /* for a size that is a power of two */
};

/* Pages that a block has looked up: tcg/jit_span.c. */
#define JIT_SPANS 8

struct jit_span {
	u64 delta; /* from what the operand has beside it to the host's */
	_Atomic u8 *flags; /* of the page, if something is stored */
};

/* A page of plain RAM that may be stored to and holds no code: translated
 * code reaches it by `guest address + delta` after one comparison for several
 * accesses (tcg/jit_stack.c).  One is compared with, taken from some. */
struct jit_stack {
	u64 page; /* or c->stack_none */
	u64 delta;
};

struct jit_held {
	struct jit_stack s;
	_Atomic(_Atomic u8 *) flags; /* the page's byte; NULL: no page */
	u64 unused;
};

#define JIT_HELD 8 /* pages, chosen by address */
#define JIT_HELD_SLOT(va) \
	(((va) >> PAGE_SHIFT ^ (va) >> (PAGE_SHIFT + 3)) & (JIT_HELD - 1))

/* Slots in use, which grow with the number of translations. */
#define JIT_JCACHE_BITS_MIN   15
#define JIT_JCACHE_BITS_MAX   17
#define JIT_JCACHE_MASK(bits) ((1u << (bits)) - 1)
#define JIT_JCACHE_SLOT(c, tag) \
	(((u32)(tag) ^ (u32)(tag) >> PAGE_SHIFT) & (c)->jcache_mask)

/* ---- One vCPU ---- */

struct tcg_cpu {
	/* Hot state; folded into v->cpu by tcg_sync_out(). */
	u64 gpr[GPR_SLOTS]; /* [INSN_NOREG] is 0, [INSN_RIP] tcg_block_rip() */
	u64 rip;            /* valid between blocks and in block-enders */
	const struct insn *ip; /* being executed; NULL between blocks */
	/* CF OF SF ZF AF PF as LAHF and SETO leave them in AX: see flags.h */
	u32 cc;
	u64 eflags; /* all but CF OF SF ZF AF PF; bit 1 set */
	/* What address calculation adds: in 64-bit mode 0 for all but FS and
	 * GS.  Kept by tcg_mode_changed() and whoever writes a base. */
	u64 seg_base[SEG_COUNT];

	struct cpu_state *s; /* &v->cpu: everything that is not hot */
	struct vcpu *v;
	struct machine *m;
	struct tcg *t;

	/* Derived from CR0, CR4, EFER, CS, SS, EFLAGS by tcg_mode_changed(). */
	u8 cpl;
	u8 mmu; /* enum tcg_mmu for data accesses */
	bool code64, code32, stack64, stack32, protected_mode, long_mode, v86;
	u32 mode_key; /* MODE_*: part of a block's key */

	bool end_block; /* leave the block after this instruction */
	u8 shadow;      /* enum tcg_shadow, over the next instruction */
	bool after_ss;  /* it was SHADOW_SS for the one that runs now */
	bool halted;
	bool irq_wait;    /* an interrupt was held back; see tcg_irq_opened() */
	bool exclusive;   /* inside tcg_exclusive_begin() */
	bool step_tf;     /* TF was set when the instruction started */
	bool clock_split; /* tcg.tsc_moved when pvclock.c last looked */
	bool step_keep_rf; /* IRET has just set RF for the next one */
	u8 ext;         /* EXT bit of error codes while an event is delivered */
	u32 db_pending; /* DR6 bits of a #DB trap due before the next insn */
	u64 soft_next;  /* exc.soft: return address */
	u64 features; /* bit per enum op_feature of decode.h: what CPUID says */

	sigjmp_buf unwind; /* where tcg_raise*() goes; no signal mask saved */

	struct {
		u8 vector;
		bool has_code;
		u32 code;
		bool soft; /* INT n, INT3, INTO: rip of the next insn */
	} exc;

	/* Changes whenever an itlb entry is dropped or replaced by another
	 * translation, and with stores to code: softmmu.c adds 1. */
	u32 code_epoch;
	struct itlb_entry itlb[2][ITLB_ENTRIES]; /* second: ring 3 */
	struct tlb_entry tlb[MMU_COUNT][TLB_ENTRIES];
	struct tlb_log tlb_log;
	u64 tlb_full, tlb_partial, tlb_pages; /* flushes so far */

	/* For translated code: tcg/jit.h. */
	struct jit *jit; /* NULL: interpreter only */
	struct tcg_cpu *self;
	u64 jit_key;  /* mode, privilege, TLB: JIT_TAG() */
	u64 jump_key; /* the same and jump_epoch[] */
	/* Counts flushes that reach pages of code; second: of ring 3. */
	u64 jump_epoch[2];
	u64 jit_tmp, jit_from, jit_left;
	u64 jit_sp;     /* host's RSP without pairs of call and return */
	u64 jit_sp_min; /* no more of them below */
	u64 jit_sp_now; /* in what translated code calls: where it goes on */
	u32 jit_index;  /* TLB slot of a store, as an offset */
	u8 vec_live;    /* JIT_VEC_*, in translated code: tcg/jit_vec.c */
	u64 x87_ea[2];  /* operands' addresses: tcg/jit_x87.c */
	u32 jit_branch; /* JIT_BRANCH() */
	struct jit_stack stack[MMU_COUNT];
	struct jit_held held[MMU_COUNT][JIT_HELD];
	struct jit_span span[JIT_SPANS];
	u64 stack_none;   /* a page that no guest can name */
	u32 stack_drops;  /* how often stack[] and span[] became invalid */
	bool stack_apart; /* run the next block without stack[] */
	bool checking;    /* softmmu.c tells jit_check.c of stores */
	/* Translated RDTSC, tcg_tsc_changed(): it need not ask the handler;
	 * what it adds to tick_ns(). */
	bool tsc_direct;
	bool sys_direct; /* SYSCALL and SYSRET need not: tcg/jit_sys.c */
	u64 sys_key[2];  /* jit_key of ring 0 and 3 then */
	u64 tsc_base;
	/* Others set it after v->request: translated code polls it. */
	_Atomic u32 exit_req;
	u32 jcache_mask; /* JIT_JCACHE_MASK() */
	struct jit_jcache jcache[1u << JIT_JCACHE_BITS_MAX];
	struct jit_jump jump[JIT_JUMPS];

	u8 stack_nowhere[4096];

	void *cache;       /* decoded blocks: interp.c */
	void *vec;         /* host-executed vector code: vec.c */
	void *log;         /* disassemblers: log.c */
	u64 delivered;     /* events, for -d int */
	u32 pauses;        /* PAUSEs executed: op_pause() */
	u32 pause_yields;  /* that gave the host CPU to others, in a row */
	u64 torture;       /* random state: torture.c */
	u64 pause_sum;     /* of all registers then */
	u32 debug_epoch;   /* of m->debug, in the TLB */
	_Atomic u64 insns; /* retired; written by its own thread only */
};

/* ---- Interpreter (interp.c, decode.c) ---- */

/* Decoding is in tcg/decode.h. */

/* What the instruction before holds off for one instruction (SDM 3A 7.8.3):
 * interrupts; and with MOV SS or POP SS #DB, too. */
enum tcg_shadow { SHADOW_NONE, SHADOW_STI, SHADOW_SS };

/* Runs blocks until v->request is non-zero at a block head (_AGAIN) or the
 * vCPU halts; guest exceptions are delivered inside.  While c->shadow is set
 * it runs one instruction, clears c->shadow, and only then looks at
 * v->request.  Sets c->unwind itself. */
enum vcpu_exit tcg_execute(struct tcg_cpu *c);
/* One instruction, decoded afresh: for KVM's emulation failures and tests.
 * Exceptions are delivered.  False when the instruction cannot be run. */
bool tcg_step(struct tcg_cpu *c);
/* One instruction for a debugger, whose breakpoint does not stop it; as
 * tcg_execute(). */
enum vcpu_exit tcg_execute_one(struct tcg_cpu *c);
/* Is there a debugger's breakpoint at c->rip?  Then c->v->debug says so. */
bool tcg_breaks(struct tcg_cpu *c);
int tcg_cache_init(struct tcg_cpu *c);
void tcg_cache_fini(struct tcg_cpu *c);

static inline u64 tcg_this_rip(const struct tcg_cpu *c, const struct insn *i)
{
	return c->gpr[INSN_RIP] + i->off;
}

/* Not truncated to 16 or 32 bits; see tcg_set_rip(). */
static inline u64 tcg_next_rip(const struct tcg_cpu *c, const struct insn *i)
{
	return c->gpr[INSN_RIP] + i->off + i->len;
}

/* Effective address of the memory operand without segment base, truncated
 * to the address size; then with base (linear), checks included. */
u64 insn_ea(struct tcg_cpu *c, const struct insn *i);
gva_t insn_linear(struct tcg_cpu *c, const struct insn *i, u32 size,
		  bool write);

u64 tcg_rflags(struct tcg_cpu *c); /* complete RFLAGS */
void tcg_set_rflags(struct tcg_cpu *c, u64 value, u64 mask);

/* ---- Exceptions (seg.c delivers) ---- */

/* Fill c->exc, point c->rip at the instruction c->ip (when not NULL) and jump
 * to c->unwind.  The receiver calls tcg_deliver() with what c->exc says. */
_Noreturn void tcg_raise(struct tcg_cpu *c, u8 vector);
_Noreturn void tcg_raise_code(struct tcg_cpu *c, u8 vector, u32 code);
_Noreturn void tcg_raise_pf(struct tcg_cpu *c, gva_t va, u32 code);
/* Vectors c->exc or an external interrupt through the IDT or IVT, with c->rip
 * as return address; handles nested faults (keeps the caller's c->unwind);
 * clears c->ip.  VCPU_EXIT_SHUTDOWN on a triple fault, else _AGAIN. */
enum vcpu_exit tcg_deliver(struct tcg_cpu *c, u8 vector, bool has_code,
			   u32 code, bool soft, bool external);

/* ---- State (tcg.c) ---- */

void tcg_mode_changed(struct tcg_cpu *c);
/* ES or DS has been loaded: the part of it that this may change. */
void tcg_flat_changed(struct tcg_cpu *c);
void tcg_sync_out(struct tcg_cpu *c); /* hot state -> v->cpu */
void tcg_sync_in(struct tcg_cpu *c);  /* v->cpu -> hot state; flushes */
/* IF went from 0 to 1, TPR fell or NMIs were unmasked: asks run() to look
 * again if something was held back. */
void tcg_irq_opened(struct tcg_cpu *c);
/* Around the instruction of a MODE_STEP block: instruction breakpoints
 * (raises #DB); then RF and the single-step trap. */
void tcg_step_begin(struct tcg_cpu *c);
void tcg_step_end(struct tcg_cpu *c);
/* CPUID as the guest sees it. */
void tcg_cpuid(struct tcg_cpu *c, u32 leaf, u32 subleaf, u32 out[4]);
#define DR6_BS BIT(14) /* single step */
/* Records a #DB trap to be taken before the next instruction. */
void tcg_debug_trap(struct tcg_cpu *c, u32 dr6);

/* ---- Soft MMU (softmmu.c; accesses are inline in tcg/softmmu.h) ----
 *
 * A store may set c->end_block: the page held decoded code. */

void tcg_tlb_init(struct tcg_cpu *c); /* all zero before */
void tcg_tlb_flush(struct tcg_cpu *c, bool global);
void tcg_tlb_flush_page(struct tcg_cpu *c, gva_t va);
/* Instruction fetch: the first host byte of the page of `va`; raises #PF.
 * NULL: not RAM, the caller copies with mem_read().  tcg_fetch() of
 * softmmu.h is the fast form. */
const u8 *tcg_fetch_page(struct tcg_cpu *c, gva_t va, gpa_t *ret_phys);
/* Marks the RAM page at `phys` as holding decoded code and returns its
 * generation.  Bytes read after that are current as long as the generation
 * stays the same: any later store to the page by anyone bumps it.  A store
 * may also clear the mark, so each decoding calls this anew. */
u32 tcg_code_page(struct tcg_cpu *c, gpa_t phys);
/* Where that generation lives, for checks at block heads; NULL: not RAM. */
_Atomic u32 *tcg_page_gen(struct tcg_cpu *c, gpa_t phys);
/* Halves of tcg_code_page() that need the machine (tcg.c). */
void tcg_code_lock(struct tcg_cpu *c);
void tcg_code_fence(struct tcg_cpu *c);
void tcg_code_unlock(struct tcg_cpu *c);
/* Makes a later access of `size` bytes at `va` a hit of the fast path if it
 * can be one; never raises. */
bool tcg_tlb_fill(struct tcg_cpu *c, gva_t va, u32 size, bool write);
/* As tcg_store_noticed() for the page whose flag byte is `flags`. */
void tcg_page_noticed(struct tcg_cpu *c, _Atomic u8 *flags, u32 size);
/* Each page is a miss for the next store to it. */
void tcg_tlb_forget_stores(struct tcg_cpu *c);
/* jit_check.c, while c->checking: the page at `host` may be stored to from now
 * on; something comes that cannot be taken back (does nothing otherwise). */
void tcg_check_page(struct tcg_cpu *c, u8 *host);
void tcg_check_leave(struct tcg_cpu *c);
/* jit_stack.c: takes pages from translated code; the second one that of a
 * flag byte, which is set already, from all vCPUs. */
void tcg_stack_drop(struct tcg_cpu *c);
void tcg_stack_claim(struct tcg_cpu *c, const _Atomic u8 *flags);
/* Slow half of a store that hit a page with flags; ends the block if code
 * was hit. */
void tcg_store_noticed(struct tcg_cpu *c, gva_t va, struct tlb_entry *e,
		       u32 size);
/* Every other vCPU of the machine stands still between the two, for locked
 * accesses that cross pages or hit devices.  No fault should be raised
 * inside: tcg_host_rw() has probed before; tcg_raise*() ends the section. */
void tcg_exclusive_begin(struct tcg_cpu *c);
void tcg_exclusive_end(struct tcg_cpu *c);
/* The other vCPUs leave translated code soon and look at v->request and page
 * generations before they enter again. */
void tcg_stop_translated(struct tcg_cpu *c);

/* ---- Segments (seg.c) ---- */

void tcg_load_seg(struct tcg_cpu *c, int seg, u16 sel); /* MOV/POP Sreg */
void tcg_far_jump(struct tcg_cpu *c, u16 sel, u64 off, int opsize);
void tcg_far_call(struct tcg_cpu *c, u16 sel, u64 off, int opsize);
void tcg_far_ret(struct tcg_cpu *c, int opsize, u16 pop);
void tcg_iret(struct tcg_cpu *c, int opsize);
/* Near branches: truncates to `opsize`, checks limit or canonical form. */
void tcg_set_rip(struct tcg_cpu *c, u64 target, int opsize);
void tcg_push(struct tcg_cpu *c, u64 value, int size);
u64 tcg_pop(struct tcg_cpu *c, int size); /* commits RSP */

/* ---- Handlers that live outside interp.c/alu.c/string.c ---- */

/* clang-format off */
#define TCG_SYSTEM_HANDLERS(X) \
	X(sgdt) X(sidt) X(lgdt) X(lidt) X(smsw) X(lmsw) X(invlpg) X(invpcid) \
	X(swapgs) X(rdtsc) X(rdtscp) X(rdpmc) X(rdmsr) X(wrmsr) X(cpuid) \
	X(sldt) X(str) X(lldt) X(ltr) X(verr) X(verw) X(lar) X(lsl) X(arpl) \
	X(clts) X(syscall) X(sysret) X(sysenter) X(sysexit) \
	X(mov_from_cr) X(mov_to_cr) X(mov_from_dr) X(mov_to_dr) \
	X(hlt) X(cli) X(sti) X(pushf) X(popf) X(clac) X(stac) X(wbinvd) \
	X(in) X(out) X(ins) X(outs) /* opcode tells immediate or DX */ \
	X(int3) X(int1) X(intn) X(into) X(iret) X(callf) X(jmpf) X(retf) \
	X(callf_mem) X(jmpf_mem) \
	X(mov_from_sreg) X(mov_to_sreg) X(push_sreg) X(pop_sreg) X(lxs) \
	X(rdfsbase) X(rdgsbase) X(wrfsbase) X(wrgsbase) X(xgetbv) X(xsetbv) \
	X(rdpid) X(monitor) X(mwait) X(vmcall) X(rdrand) X(rdseed) X(rsm) \
	X(invd) X(rdpru) X(clzero) X(xabort) /* #UD unless offered */
/* clang-format on */
#define X(name) insn_fn sys_##name;
TCG_SYSTEM_HANDLERS(X)
#undef X

#endif
