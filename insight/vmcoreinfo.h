/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The page of "KEY=value" lines that Linux keeps for its crash dumps.
 *
 * Spec: Documentation/admin-guide/kdump/vmcoreinfo.rst
 */
#ifndef INSIGHT_VMCOREINFO_H
#define INSIGHT_VMCOREINFO_H

#include "lib/types.h"

struct memory;

struct vmcoreinfo {
	gpa_t gpa;
	size_t len;
	char text[4096 + 1];
};

/* The first one at or behind page *at, and moves *at behind it.  Looks only
 * at memory that the guest has used. */
bool vmcoreinfo_find(struct memory *mem, gpa_t *at, struct vmcoreinfo *ret);
/* Is it still there? */
bool vmcoreinfo_same(const struct vmcoreinfo *v, struct memory *mem);
/* The value of a key such as "SYMBOL(_stext)"; false: has none, or it does
 * not fit. */
bool vmcoreinfo_text(const struct vmcoreinfo *v, const char *key, char *ret,
		     size_t size);
bool vmcoreinfo_hex(const struct vmcoreinfo *v, const char *key, u64 *ret);
bool vmcoreinfo_number(const struct vmcoreinfo *v, const char *key, s64 *ret);

#endif
