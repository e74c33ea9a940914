/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A vCPU's registers as text, for the log; `info registers` says more.
 */
#include "lib/buf.h"
#include "lib/log.h"
#include "vmm/cpu.h"

typedef unsigned long long ull; /* of printf */

static void dump_registers(const struct cpu_state *c, struct buf *out)
{
	static const char *const names[REG_COUNT] = {
		"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
		"R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15",
	};
	static const u8 order[REG_COUNT] = {
		REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
		REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15,
	};

	for (int n = 0; n < REG_COUNT; n++)
		buf_printf(out, "%s=%016llx%c", names[n], (ull)c->gpr[order[n]],
			   n % 4 == 3 ? '\n' : ' ');
	buf_printf(out, "RIP=%016llx RFL=%08llx CPL=%d II=%d\n", (ull)c->rip,
		   (ull)c->rflags, cpu_cpl(c), c->interrupt_shadow);
}

void cpu_dump(const struct cpu_state *c, struct buf *out)
{
	static const char *const names[SEG_COUNT] = {
		[SEG_ES] = "ES", [SEG_CS] = "CS", [SEG_SS] = "SS",
		[SEG_DS] = "DS", [SEG_FS] = "FS", [SEG_GS] = "GS",
	};

	dump_registers(c, out);
	for (int n = 0; n < SEG_COUNT; n++)
		buf_printf(out, "%s =%04x %016llx %08x %04x\n", names[n],
			   c->seg[n].sel, (ull)c->seg[n].base,
			   (u32)c->seg[n].limit, c->seg[n].attr);
	buf_printf(out, "GDT=     %016llx %08x\nIDT=     %016llx %08x\n",
		   (ull)c->gdt.base, c->gdt.limit, (ull)c->idt.base,
		   c->idt.limit);
	buf_printf(out, "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx\n",
		   (ull)c->cr0, (ull)c->cr2, (ull)c->cr3, (ull)c->cr4);
	buf_printf(out, "EFER=%016llx\n", (ull)c->efer);
}

void cpu_log_reset(const struct cpu_state *c, int index)
{
	struct buf text = { 0 };

	cpu_dump(c, &text);
	log_write(LOG_CPU_RESET, "CPU Reset (CPU %d)\n%s", index,
		  buf_str(&text));
	buf_fini(&text);
}
