/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Instruction forms and the decoder.
 *
 * One row of tcg/opcodes.def (and _x87.def, _vec.def) is one struct opdesc:
 * decoder, interpreter, JIT, disassembler and test generator read the same
 * table.  How to write rows is told at the head of opcodes.def.
 *
 * Spec: SDM 2 chapter 2 and appendix A, APM 3 appendix A.
 */
#ifndef TCG_DECODE_H
#define TCG_DECODE_H

#include "tcg/internal.h"

/* clang-format off */
enum op_map { M1, M0F, M38, M3A, V0F, V38, V3A, OP_MAP_COUNT };

enum op_mod { A, M, R }; /* any, memory only, register only */

enum op_pfx {
	X,   /* 66 F2 F3 do not choose the form */
	NP,  /* none of 66 F2 F3 */
	P66, /* 66, but not F2 or F3 */
	PF3,
	PF2,
	NF,  /* neither F2 nor F3 */
};

#define ANY 8 /* ModRM.reg does not choose the form */

#define OP_PLUSR 0x00000001u /* row covers opcode..opcode+7: register */
#define OP_CC	 0x00000002u /* row covers opcode..opcode+15: condition */
#define OP_I64	 0x00000004u /* #UD in 64-bit mode */
#define OP_O64	 0x00000008u /* #UD outside 64-bit mode */
#define OP_D64	 0x00000010u /* 64-bit mode: operand size 8, or 2 with 66 */
#define OP_F64	 0x00000020u /* 64-bit mode: operand size 8 (near branch) */
#define OP_LOCK	 0x00000040u /* LOCK allowed with a memory destination */
#define OP_RD	 0x00000080u /* the ModRM operand, if memory, is read */
#define OP_WR	 0x00000100u /* ... is written */
#define OP_RW	 (OP_RD | OP_WR)
#define OP_STK	 0x00000200u /* implicit stack access */
#define OP_STR	 0x00000400u /* string instruction: rSI, rDI, REP */
#define OP_END	 0x00000800u /* ends a block: may change rip or the mode */
#define OP_PRIV	 0x00001000u /* #GP unless CPL 0 (the handler checks) */
#define OP_IOPL	 0x00002000u /* privilege depends on IOPL or the TSS */
#define OP_SYS	 0x00004000u /* reads or changes system state */
#define OP_PROT	 0x00008000u /* #UD in real and virtual-8086 mode */
#define OP_L0	 0x00010000u /* VEX.L must be 0 */
#define OP_L1	 0x00020000u /* VEX.L must be 1 */
#define OP_W0	 0x00040000u /* W must be 0 (VEX), or REX.W absent */
#define OP_W1	 0x00080000u /* W must be 1 */
#define OP_COND	 0x00100000u /* may leave its destination unwritten */
#define OP_VSIB	 0x00200000u /* SIB names a vector of indices */
#define OP_NEVER 0x00400000u /* always #UD, but has this length */
#define OP_HINT	 0x00800000u /* does nothing */
#define OP_ALIGN 0x01000000u /* memory operand must be aligned, or #GP */
#define OP_MXCSR 0x02000000u /* may raise SIMD floating-point exceptions */
#define OP_B0	 0x04000000u /* REX.B must be absent */
/* Where AMD's processors differ (MODE_AMD). */
#define OP_AMD_B0 0x08000000u /* REX.B must be absent */
#define OP_AMD_M  0x10000000u /* #UD unless the ModRM operand is memory */
#define OP_AMD_W0 0x20000000u /* #UD with VEX.W outside 64-bit mode */

/* Arithmetic flags, as in RFLAGS. */
#define f0     0
#define fC     RFLAGS_CF
#define fZ     RFLAGS_ZF
#define fO     RFLAGS_OF
#define fA     RFLAGS_AF
#define fD     RFLAGS_DF
#define fCO    (fC | fO)
#define fCZ    (fC | fZ)
#define fAC    (fC | fA)
#define fSZP   (RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF)
#define fSZAP  (fSZP | fA)
#define fSAP   (RFLAGS_SF | RFLAGS_AF | RFLAGS_PF)
#define fOSAP  (fO | fSAP)
#define fOSZP  (fO | fSZP)
#define fOSZAP (fO | fSZAP)
#define fOSZPC (fOSZP | fC)
#define fSZPC  (fSZP | fC)
#define fSZAPC (fSZAP | fC)
#define fOSAPC (fOSAP | fC)
#define fALL   (fOSZAP | fC)

/* CPUID features that rows name: "feature" column. */
#define OP_FEATURES(X) \
	X(BASE) X(CMOV) X(CX8) X(CX16) X(SYSCALL) X(SEP) X(TSC) X(MSR) \
	X(RDTSCP) X(RDPID) X(FSGSBASE) X(SMAP) X(INVPCID) X(MONITOR) \
	X(XSAVE) X(XSAVEOPT) X(XSAVEC) X(FXSR) X(CLFSH) X(CLFLUSHOPT) \
	X(CLWB) X(CLZERO) X(RDPRU) X(RDRAND) X(RDSEED) X(LAHF64) X(PREFETCHW) \
	X(MOVBE) X(POPCNT) X(LZCNT) X(BMI1) X(BMI2) X(ADX) X(FPU) X(MMX) \
	X(SSE) X(SSE2) X(SSE3) X(SSSE3) X(SSE41) X(SSE42) X(SSE4A) X(AES) \
	X(PCLMUL) X(SHA) X(AVX) X(AVX2) X(FMA) X(F16C) X(VAES) X(VPCLMUL) \
	X(GFNI) X(SERIALIZE)

/* clang-format on */

enum op_feature {

#define X(name) FEAT_##name,
	OP_FEATURES(X)
#undef X
		FEAT_COUNT
};

struct opdesc {
	const char *name;
	const char *operands;
	u32 attrs;
	u16 flags_read, flags_written, flags_undef;
	u8 map, opcode, reg, mod, pfx;
	u8 feature;
};

/* One letter of the operand string; see opcodes.def. */
struct operand {
	char kind; /* E G M R Z B I J O A S C D V H U W L P N Q X Y, or
		    * f: fixed, named in `fixed` */
	char size; /* b w d q v m z y p s t o h x n */
	const char *fixed;
};

#define OPERANDS_MAX 4

extern const struct opdesc opdescs[];
extern const u16 opdesc_count;

static inline const struct opdesc *insn_desc(const struct insn *i)
{
	return &opdescs[i->row];
}

/* The row's operand string taken apart; returns their number. */
int opdesc_operands(const struct opdesc *d, struct operand ret[OPERANDS_MAX]);

/* Decodes one instruction that starts `off` bytes into its block; of `code`
 * at most 15 bytes are read.  Leaves ret->fn alone.  0, or what to raise:
 * EXC_UD, EXC_GP (longer than 15 bytes), or -1 when it does not end within
 * `avail` bytes. */
int insn_decode(u32 mode_key, const u8 *code, size_t avail, u16 off,
		struct insn *ret);

/* Bytes that the memory operand reads or writes; 0 when the size is not
 * fixed by the form (LEA, FXSAVE, ...). */
u32 insn_mem_size(const struct insn *i);

/* Bytes of a size letter for this instruction. */
u32 insn_size(const struct insn *i, char size);

#endif
