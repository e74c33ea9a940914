/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Finding the kernel, and proof that it is the one that runs.
 *
 * RAM may hold VMCOREINFO pages of kernels that ran before.  The one that is
 * taken maps its own start, and the vCPU's system-call entry is the function
 * of that name in its symbols.
 */
#include "insight/insight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "insight/internal.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/memory.h"

#define INS_CANDIDATES_MAX 8   /* each may take a moment */
#define INS_IMAGE_MAX      GIB /* KERNEL_IMAGE_SIZE with KASLR */

/* ---- reading ---- */

bool ins_read(const struct insight *ins, u64 va, void *dst, size_t len)
{
	u8 *p = dst;

	while (len) {
		size_t n = MIN(len, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
		gpa_t gpa;

		if (!cpu_translate(&ins->paging, ins->mem, va, &gpa, NULL,
				   NULL) ||
		    mem_read(ins->mem, gpa, p, n) < 0)
			return false;
		va += n;
		p += n;
		len -= n;
	}
	return true;
}

bool ins_read_u64(const struct insight *ins, u64 va, u64 *ret)
{
	u8 b[8];

	if (!ins_read(ins, va, b, sizeof b))
		return false;
	*ret = get_le64(b);
	return true;
}

bool ins_read_u32(const struct insight *ins, u64 va, u32 *ret)
{
	u8 b[4];

	if (!ins_read(ins, va, b, sizeof b))
		return false;
	*ret = get_le32(b);
	return true;
}

void ins_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
}

/* ---- candidates ---- */

/* The kernel's own view of memory, from swapper_pg_dir. */
static int insight_paging(struct insight *ins, struct err *err)
{
	struct cpu_state *c = &ins->paging;
	u64 root;
	s64 base, la57 = 0;
	gpa_t gpa;

	if (!vmcoreinfo_hex(&ins->info, "SYMBOL(_stext)", &ins->stext) ||
	    !vmcoreinfo_hex(&ins->info, "SYMBOL(swapper_pg_dir)", &root) ||
	    !vmcoreinfo_number(&ins->info, "NUMBER(phys_base)", &base) ||
	    ins->stext < INS_KERNEL_MAP || root < INS_KERNEL_MAP)
		return err_set(err, -ENOENT,
			       "it does not describe an x86-64 kernel");
	vmcoreinfo_number(&ins->info, "NUMBER(pgtable_l5_enabled)", &la57);
	c->cr0 = CR0_PE | CR0_PG;
	c->cr4 = CR4_PAE | (la57 == 1 ? CR4_LA57 : 0);
	c->efer = EFER_LME | EFER_LMA | EFER_NXE;
	c->cr3 = root - INS_KERNEL_MAP + (u64)base;
	if (!cpu_translate(c, ins->mem, ins->stext, &gpa, NULL, NULL) ||
	    gpa != ins->stext - INS_KERNEL_MAP + (u64)base)
		return err_set(err, -ENOENT, "its page tables are gone");
	return 0;
}

/* Has the vCPU's system-call entry this kernel's name? */
static bool insight_entered(const struct insight *ins, u64 lstar)
{
	const char *name;
	u64 offset;

	if (lstar < ins->stext || lstar - ins->stext > INS_IMAGE_MAX)
		return false;
	if (!ins->nsymbols)
		return true;
	name = insight_symbol(ins, lstar, &offset);
	return name && !offset && !strncmp(name, "entry_SYSCALL_64", 16);
}

static int insight_try(struct insight *ins, bool any, struct err *err)
{
	int r = insight_paging(ins, err);

	if (r < 0)
		return r;
	if (!vmcoreinfo_text(&ins->info, "OSRELEASE", ins->release,
			     sizeof ins->release))
		return err_set(err, -ENOENT, "it has no release");
	r = ins_kallsyms_load(ins, err);
	if (r < 0)
		return r;
	ins->stale = !insight_entered(ins, ins->lstar);
	if (ins->stale && !any)
		return err_set(err, -ENOENT,
			       "Linux %s was here, but the vCPU does not run "
			       "it",
			       ins->release);
	return 0;
}

struct insight *insight_open(struct memory *mem, const struct cpu_state *cpu,
			     bool any, struct err *err)
{
	struct insight *ins = xalloc(sizeof *ins);
	struct err why = { 0 };
	gpa_t at = 0;

	ins->mem = mem;
	ins->lstar = cpu->lstar;
	/* What runs is preferred to what ran. */
	for (int pass = 0; pass <= (any ? 1 : 0); pass++) {
		at = 0;
		for (int i = 0; i < INS_CANDIDATES_MAX &&
				vmcoreinfo_find(mem, &at, &ins->info);
		     i++) {
			if (!insight_try(ins, pass, &why))
				return ins;
			ins_kallsyms_free(ins);
		}
	}
	if (why.msg[0])
		err_set(err, -ENOENT, "no Linux that I understand: %s",
			why.msg);
	else
		err_set(err, -ENOENT,
			"the guest runs no Linux that I understand (no "
			"VMCOREINFO in its memory)");
	insight_close(ins);
	return NULL;
}

void insight_close(struct insight *ins)
{
	if (!ins)
		return;
	ins_kallsyms_free(ins);
	ins_btf_free(ins);
	free(ins);
}

bool insight_alive(const struct insight *ins, const struct cpu_state *cpu)
{
	return !ins->stale && insight_entered(ins, cpu->lstar) &&
	       vmcoreinfo_same(&ins->info, ins->mem);
}

bool insight_stale(const struct insight *ins)
{
	return ins->stale;
}

const char *insight_release(const struct insight *ins)
{
	return ins->release;
}
