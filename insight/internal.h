/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to insight/: the handle, and reads through the kernel's own page
 * tables.
 */
#ifndef INSIGHT_INTERNAL_H
#define INSIGHT_INTERNAL_H

#include "insight/insight.h"
#include "insight/vmcoreinfo.h"
#include "vmm/cpu.h"

#define INS_KERNEL_MAP 0xffffffff80000000ULL /* __START_KERNEL_map */
#define INS_SYMBOL_MAX 512 /* bytes of a name, KSYM_NAME_LEN */

struct ins_symbol {
	u64 addr;
	u32 name; /* offset in `names` */
	char type;
};

struct ins_type;

/* BTF, loaded by the first who asks. */
struct ins_btf {
	u8 *data; /* owned */
	u32 type_len, str_len;
	const u8 *types, *strings;
	u32 *at; /* owned; offset of each type in `types`, [0] unused */
	u32 count;
};

struct insight {
	struct memory *mem;
	struct vmcoreinfo info;
	char release[65];
	struct cpu_state paging; /* translates as the kernel does */
	u64 lstar;               /* of the vCPU it was found with */
	bool stale;
	u64 stext;

	struct ins_symbol *symbols; /* owned */
	u32 nsymbols;
	char *names; /* owned */

	struct ins_btf btf;
	int orc; /* format; 0 not looked at, -1 not understood */
};

bool ins_read(const struct insight *ins, u64 va, void *dst, size_t len);
bool ins_read_u64(const struct insight *ins, u64 va, u64 *ret);
bool ins_read_u32(const struct insight *ins, u64 va, u32 *ret);
/* Makes bytes fit to be shown; "?" for what is not. */
void ins_printable(char *text, size_t len);

int ins_kallsyms_load(struct insight *ins, struct err *err);
void ins_kallsyms_free(struct insight *ins);

int ins_btf_load(struct insight *ins, struct err *err);
void ins_btf_free(struct insight *ins);
/* Byte offset of a member given as "thread_info.cpu"; anonymous structs and
 * unions are looked through.  False: there is none, or it is a bit field. */
bool ins_btf_offset(const struct insight *ins, const char *type,
		    const char *member, u32 *ret);

#endif
