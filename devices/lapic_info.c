/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Local APICs: info lapic.
 */
#include "devices/lapic.h"
#include "devices/pc.h"
#include "lib/buf.h"

static void lapic_info_lvt(const char *name, u32 lvt, bool timer,
			   struct buf *out)
{
	static const char *const delivery[] = {
		"Fixed", "...", "SMI", "...", "NMI", "INIT", "...", "ExtINT"
	};
	const char *mode = "";

	if (timer)
		mode = (lvt & LVT_TIMER_MODE) == TIMER_PERIODIC ? "periodic"
		       : (lvt & LVT_TIMER_MODE) == TIMER_DEADLINE
			       ? "tsc-deadline"
			       : "one-shot";
	buf_printf(out, "%s\t 0x%08x %s %-5s %-6s %-7s %-12s %-6s", name, lvt,
		   lvt & 0x2000 ? "active-lo" : "active-hi",
		   lvt & 0x8000 ? "level" : "edge",
		   lvt & LVT_MASKED ? "masked" : "",
		   lvt & 0x1000 ? "pending" : "", mode,
		   delivery[timer ? 0 : LVT_MODE(lvt)]);
	if (timer || LVT_MODE(lvt) != DELIVER_NMI)
		buf_printf(out, " (vec %u)", lvt & 0xff);
	buf_putc(out, '\n');
}

static void lapic_info_mask(u32 mask, int bits, struct buf *out)
{
	while (bits--)
		buf_putc(out, mask >> bits & 1 ? '1' : '0');
}

static void lapic_info_icr(const struct cpu_lapic *a, bool x2, struct buf *out)
{
	static const char *const shorthand[] = { "no-shorthand", "self",
						 "all-self", "all" };
	u32 icr = a->regs[APIC_ICR], icr2 = a->regs[APIC_ICR2];
	u32 dest = x2 ? icr2 : icr2 >> 24;

	buf_printf(out, "ICR\t 0x%08x %s %s %s %s\n", icr,
		   icr & ICR_LOGICAL ? "logical" : "physical",
		   icr & ICR_TRIGGER ? "level" : "edge",
		   icr & ICR_LEVEL ? "assert" : "de-assert",
		   shorthand[icr >> 18 & 3]);
	buf_printf(out, "ICR2\t 0x%08x", icr2);
	if (icr & ICR_SHORTHAND) {
		buf_putc(out, '\n');
	} else if (!(icr & ICR_LOGICAL)) {
		buf_printf(out, " cpu %u (%sAPIC ID)\n", dest, x2 ? "X2" : "");
	} else if (x2) {
		buf_printf(out, " cluster %u mask ", dest >> 16);
		lapic_info_mask(dest & 0xffff, 16, out);
		buf_puts(out, " (X2APIC ID)\n");
	} else if (a->regs[APIC_DFR] >> 28 == 0xf) {
		buf_puts(out, " mask ");
		lapic_info_mask(dest, 8, out);
		buf_puts(out, " (APIC ID)\n");
	} else {
		buf_printf(out, " cluster %u mask ", dest >> 4);
		lapic_info_mask(dest & 0xf, 4, out);
		buf_puts(out, " (APIC ID)\n");
	}
}

static void lapic_info_vectors(const char *name, const u32 *bits,
			       const u32 *tmr, struct buf *out)
{
	bool any = false;

	buf_printf(out, "%s\t ", name);
	for (u32 n = 0; n < 256; n++) {
		if (!lapic_bit(bits, n))
			continue;
		any = true;
		buf_printf(out, "%u%s ", n, lapic_bit(tmr, n) ? "(level)" : "");
	}
	buf_puts(out, any ? "\n" : "(none)\n");
}

void lapic_info(struct vcpu *v, struct buf *out)
{
	const struct cpu_lapic *a = &v->cpu.lapic;
	const u32 *regs = a->regs;
	u32 code, divisor;
	bool x2;

	if (v->lapic)
		lapic_save(v);
	x2 = v->cpu.apic_base & APICBASE_X2APIC;
	code = (regs[APIC_TMDCR] & 3) | (regs[APIC_TMDCR] >> 1 & 4);
	divisor = code == 7 ? 1 : 2u << code;
	buf_printf(out, "dumping local APIC state for CPU %-2d\n\n", v->index);
	lapic_info_lvt("LVT0", regs[APIC_LVT + LVT_LINT0], false, out);
	lapic_info_lvt("LVT1", regs[APIC_LVT + LVT_LINT1], false, out);
	lapic_info_lvt("LVTPC", regs[APIC_LVT + LVT_PERF], false, out);
	lapic_info_lvt("LVTERR", regs[APIC_LVT + LVT_ERROR], false, out);
	lapic_info_lvt("LVTTHMR", regs[APIC_LVT + LVT_THERMAL], false, out);
	lapic_info_lvt("LVTT", regs[APIC_LVT + LVT_TIMER], true, out);
	buf_printf(out,
		   "Timer\t DCR=0x%x (divide by %u) initial_count = %u "
		   "current_count = %u\n",
		   regs[APIC_TMDCR], divisor, regs[APIC_TMICT],
		   regs[APIC_TMCCT]);
	buf_printf(out, "SPIV\t 0x%08x APIC %s, focus=%s, spurious vec %u\n",
		   regs[APIC_SVR],
		   regs[APIC_SVR] & SVR_ENABLE ? "enabled" : "disabled",
		   regs[APIC_SVR] & 0x200 ? "on" : "off",
		   regs[APIC_SVR] & 0xff);
	lapic_info_icr(a, x2, out);
	buf_printf(out, "ESR\t 0x%08x\n", regs[APIC_ESR]);
	lapic_info_vectors("ISR", &regs[APIC_ISR], &regs[APIC_TMR], out);
	lapic_info_vectors("IRR", &regs[APIC_IRR], &regs[APIC_TMR], out);
	buf_printf(out, "\nAPR 0x%02x TPR 0x%02x DFR 0x%02x LDR 0x%02x",
		   v->apic_id, regs[APIC_TPR], regs[APIC_DFR] >> 28,
		   x2 ? regs[APIC_LDR] : regs[APIC_LDR] >> 24);
	buf_printf(out, " PPR 0x%02x\n", regs[APIC_PPR]);
}
