/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Unwinding the kernel's stack by its ORC tables.
 *
 * For each range of code they say where the previous frame's stack pointer
 * is: that of a register plus an offset.  The type of an entry is 2 bits up
 * to 6.3 and 3 since 6.4, with other values; how a well-known function
 * begins tells which.
 *
 * Spec: Linux arch/x86/include/asm/orc_types.h, kernel/unwind_orc.c.
 */
#include <errno.h>
#include <string.h>

#include "insight/internal.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define ORC_ENTRY_SIZE 6
#define ORC_TABLE_MAX  (16 * MIB) /* entries */
#define FRAMES_MAX     128

/* ins->orc */
enum orc_format {
	ORC_UNKNOWN = -1,
	ORC_UNSEEN,
	ORC_2_BITS,
	ORC_3_BITS,
};

enum orc_base {
	ORC_UNDEFINED,
	ORC_PREV_SP,
	ORC_DX,
	ORC_DI,
	ORC_BP,
	ORC_SP,
	ORC_R10,
	ORC_R13,
	ORC_BP_INDIRECT,
	ORC_SP_INDIRECT,
};

enum orc_type { ORC_CALL, ORC_REGS, ORC_REGS_PARTIAL, ORC_END };

struct orc {
	s16 sp_offset, bp_offset;
	u8 sp_base, bp_base;
	u8 type; /* raw; see orc_type() */
};

/* struct pt_regs */
#define REGS_R13 16
#define REGS_BP  32
#define REGS_R10 56
#define REGS_DX  96
#define REGS_DI  112
#define REGS_IP  128

struct unwind {
	struct insight *ins;
	struct err *err;
	u64 ip_table, entries, count;
	u64 ip, sp, bp;
	u64 regs;   /* address of pt_regs of the frame, 0: none */
	bool exact; /* `ip` was interrupted there */
	/* Of the vCPU, while no frame has been left. */
	const struct cpu_state *cpu;
};

static int orc_damaged(struct unwind *u)
{
	return err_set(u->err, -EINVAL, "its ORC tables are damaged");
}

static bool orc_tables(struct unwind *u)
{
	u64 end;

	if (!insight_find(u->ins, "__start_orc_unwind_ip", &u->ip_table) ||
	    !insight_find(u->ins, "__stop_orc_unwind_ip", &end) ||
	    !insight_find(u->ins, "__start_orc_unwind", &u->entries) ||
	    end <= u->ip_table)
		return false;
	u->count = (end - u->ip_table) / 4;
	return u->count <= ORC_TABLE_MAX;
}

/* The entry whose range holds `ip`. */
static bool orc_find(struct unwind *u, u64 ip, struct orc *ret)
{
	u64 low = 0, high = u->count;
	u8 e[ORC_ENTRY_SIZE];
	u16 bits;

	while (low < high) {
		u64 mid = low + (high - low) / 2, at = u->ip_table + mid * 4;
		u32 offset;

		if (!ins_read_u32(u->ins, at, &offset))
			return false;
		if (at + (s64)(s32)offset <= ip)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || !ins_read(u->ins, u->entries + (low - 1) * ORC_ENTRY_SIZE,
			      e, sizeof e))
		return false;
	bits = get_le16(e + 4);
	*ret = (struct orc){
		.sp_offset = get_le16(e),
		.bp_offset = get_le16(e + 2),
		.sp_base = bits & 15,
		.bp_base = bits >> 4 & 15,
		.type = bits >> 8 & 7,
	};
	return true;
}

/* A function begins with its return address at the stack pointer. */
static int orc_format(struct unwind *u)
{
	struct orc o;
	u64 ip;

	if (u->ins->orc != ORC_UNSEEN)
		return u->ins->orc;
	u->ins->orc = ORC_UNKNOWN;
	if (insight_find(u->ins, "schedule", &ip) && orc_find(u, ip, &o) &&
	    o.sp_base == ORC_SP && o.sp_offset == 8) {
		if (o.type == 0)
			u->ins->orc = ORC_2_BITS;
		else if (o.type == 2)
			u->ins->orc = ORC_3_BITS;
	}
	return u->ins->orc;
}

static enum orc_type orc_type(const struct unwind *u, const struct orc *o)
{
	if (u->ins->orc == ORC_2_BITS)
		return (o->type & 3) <= ORC_REGS_PARTIAL ? o->type & 3
							 : ORC_END;
	return o->type >= 2 && o->type <= 4 ? o->type - 2 : ORC_END;
}

/* A register that only an interrupted frame has. */
static bool orc_register(const struct unwind *u, u32 at, int gpr, u64 *ret)
{
	if (u->regs)
		return ins_read_u64(u->ins, u->regs + at, ret);
	if (!u->cpu)
		return false;
	*ret = u->cpu->gpr[gpr];
	return true;
}

/* Where the previous frame's stack begins. */
static bool orc_stack(const struct unwind *u, const struct orc *o, u64 *ret)
{
	bool ok = true;

	switch (o->sp_base) {
	case ORC_SP: *ret = u->sp; break;
	case ORC_BP: *ret = u->bp; break;
	case ORC_SP_INDIRECT: ok = ins_read_u64(u->ins, u->sp, ret); break;
	case ORC_BP_INDIRECT:
		return ins_read_u64(u->ins, u->bp + (s64)o->sp_offset, ret);
	case ORC_R10: ok = orc_register(u, REGS_R10, REG_R10, ret); break;
	case ORC_R13: ok = orc_register(u, REGS_R13, REG_R13, ret); break;
	case ORC_DI: ok = orc_register(u, REGS_DI, REG_RDI, ret); break;
	case ORC_DX: ok = orc_register(u, REGS_DX, REG_RDX, ret); break;
	default: return false;
	}
	*ret += (s64)o->sp_offset;
	return ok;
}

/* Goes to the frame that the processor or an entry saved at `at`: RIP, CS,
 * RFLAGS, RSP.  1: it was user code, there is nothing before. */
static int orc_interrupted(struct unwind *u, u64 at)
{
	u64 cs;

	if (!ins_read_u64(u->ins, at, &u->ip) ||
	    !ins_read_u64(u->ins, at + 8, &cs) ||
	    !ins_read_u64(u->ins, at + 24, &u->sp))
		return err_set(u->err, -EFAULT, "the stack cannot be read");
	u->exact = true;
	return (cs & 3) == 3;
}

static int orc_step(struct unwind *u, const struct orc *o)
{
	u64 stack, bp = u->bp;
	int r = 0;

	if (!orc_stack(u, o, &stack))
		return err_set(u->err, -EFAULT,
			       "the frame's stack is not known");
	switch (orc_type(u, o)) {
	case ORC_REGS:
		u->regs = stack;
		u->cpu = NULL;
		if (!ins_read_u64(u->ins, stack + REGS_BP, &bp))
			return orc_damaged(u);
		u->bp = bp;
		return orc_interrupted(u, stack + REGS_IP);
	case ORC_REGS_PARTIAL:
		r = orc_interrupted(u, stack);
		u->regs = 0;
		break;
	case ORC_CALL:
		if (!ins_read_u64(u->ins, stack - 8, &u->ip))
			return err_set(u->err, -EFAULT,
				       "the stack cannot be read");
		u->sp = stack;
		u->exact = false;
		u->regs = 0;
		break;
	case ORC_END: return orc_damaged(u);
	}
	u->cpu = NULL;
	if (o->bp_base == ORC_PREV_SP)
		stack += (s64)o->bp_offset;
	else if (o->bp_base == ORC_BP)
		stack = bp + (s64)o->bp_offset;
	else
		return r;
	return ins_read_u64(u->ins, stack, &u->bp) ? r : orc_damaged(u);
}

static void unwind_show(const struct unwind *u, insight_frame_fn *fn, void *arg)
{
	struct insight_frame f = { .addr = u->ip, .exact = u->exact };

	/* A call that does not return may be the last of its function. */
	f.name = insight_symbol(u->ins, u->ip - !u->exact, &f.offset);
	if (f.name)
		f.offset += !u->exact;
	fn(arg, &f);
}

int insight_backtrace(struct insight *ins, const struct cpu_state *cpu,
		      insight_frame_fn *fn, void *arg, struct err *err)
{
	struct unwind u = { .ins = ins,
			    .err = err,
			    .ip = cpu->rip,
			    .sp = cpu->gpr[REG_RSP],
			    .bp = cpu->gpr[REG_RBP],
			    .exact = true,
			    .cpu = cpu };

	if (!ins->nsymbols)
		return err_set(err, -ENOTSUP,
			       "Linux %s does not tell its symbols (6.0 or "
			       "later is needed)",
			       ins->release);
	if (!orc_tables(&u) || orc_format(&u) == ORC_UNKNOWN)
		return err_set(err, -ENOTSUP,
			       "Linux %s has no ORC tables that I understand",
			       ins->release);
	for (int n = 0; n < FRAMES_MAX; n++) {
		struct orc o;
		int r;

		unwind_show(&u, fn, arg);
		if (!orc_find(&u, u.ip - !u.exact, &o) ||
		    o.sp_base == ORC_UNDEFINED ||
		    (ins->orc == ORC_3_BITS && o.type == 1))
			return 0; /* entry code and the ends of threads */
		r = orc_step(&u, &o);
		if (r)
			return MIN(r, 0);
		if (u.ip < ins->stext)
			return err_set(err, -EFAULT,
				       "the next frame, %#llx, is not in the "
				       "kernel",
				       (unsigned long long)u.ip);
	}
	return err_set(err, -E2BIG, "stopped after %d frames", FRAMES_MAX);
}
