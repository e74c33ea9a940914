/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Vector and x87 instructions, executed by the host's own units.
 *
 * For each form met, a short piece of host code is made once: it loads fixed
 * registers from the guest's, runs the guest's instruction with its operands
 * renamed to those, and stores the result.  Memory operands are copied to and
 * from a frame, so no host instruction can fault; SIMD exceptions that the
 * guest unmasked arrive as SIGFPE and become its #XM.
 *
 * The code bytes are the row's opcode and the immediate: nothing else that
 * the guest controls reaches the emitter.
 */
#ifndef TCG_VEC_H
#define TCG_VEC_H

#include "tcg/decode.h"

struct err;
struct vec;

/* One vCPU's stubs.  -errno when the host refuses executable memory. */
int vec_create(struct tcg_cpu *c, struct err *err);
void vec_destroy(struct tcg_cpu *c);

/* Room and addresses of new host code. */
struct vec_code {
	u8 *rw, *rx; /* two views of the same bytes */
	size_t used;
};

#define VEC_CODE_BYTES (16 * MIB)

struct vec_frame {
	u8 mem[64]; /* memory operand; what stubs address as [rdi] */
	u8 out[64]; /* register result that may still be refused */
	u8 l[64];   /* is4 register */
	u8 xmm0[64];
	u64 g, e; /* general registers: ModRM.reg, ModRM.rm */
	u64 rax, rdx, rcx;
	u64 mm_reg, mm_rm;
	u64 flags;
	u32 mxcsr_in, mxcsr_out, mxcsr_host;
	u8 fx[512] __attribute__((aligned(16))); /* x87 */
} __attribute__((aligned(64)));

/* `f` is a struct vec_frame. */
typedef void vec_fn(void *f, void *v, void *h, void *w);

/* Raises what a vector instruction raises when the OS has not enabled it. */
void vec_check(struct tcg_cpu *c, const struct insn *i);
/* #NM, #UD, pending #MF, for MMX and waiting x87 instructions. */
/* `x87`: MMX registers are touched, so a pending #MF is due. */
void mmx_check(struct tcg_cpu *c, bool x87);
void x87_check(struct tcg_cpu *c);

/* x87 helpers shared with MMX: guest registers by physical number. */
u8 *x87_phys(struct cpu_fpu *f, unsigned n);
/* What an MMX instruction does to x87 state: TOP becomes 0, then every tag
 * valid. */
void x87_zero_top(struct cpu_fpu *f);
void x87_to_mmx(struct cpu_fpu *f);
bool x87_pending(const struct cpu_fpu *f);
/* Abridged tag word to the full one of FSTENV, and the full image. */
u16 x87_full_tags(const struct cpu_fpu *f);
void x87_reset(struct cpu_fpu *f); /* FNINIT */

/* Finds or makes the stub of an x87 instruction. */
vec_fn *x87_stub(struct tcg_cpu *c, const struct insn *i);

/* clang-format off */
#define VEC_HANDLERS(X) \
	X(vec) X(mmx) X(pcmpstr) X(maskmov) X(vmaskmov) X(gather) X(vzero) \
	X(emms) X(movnti) X(ldmxcsr) X(stmxcsr) \
	X(fxsave) X(fxrstor) X(xsave) X(xsavec) X(xrstor) \
	X(x87) X(fldenv) X(fnstenv) X(fldcw) X(fnstcw) X(frstor) X(fnsave) \
	X(fnstsw) X(fnclex) X(fninit) X(fnop) X(fwait)
/* clang-format on */
#define X(name) insn_fn op_##name;
VEC_HANDLERS(X)
#undef X

#endif
