/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Core files of a whole guest: ELF for gdb and crash, kdump-compressed for
 * crash.
 *
 * The machine is stopped meanwhile.  dump_write() runs on a worker and uses
 * nothing but what the struct holds and guest RAM.
 */
#ifndef MONITOR_DUMP_H
#define MONITOR_DUMP_H

#include <stdatomic.h>

#include "lib/err.h"
#include "lib/types.h"
#include "vmm/cpu.h"

struct memory;

struct dump {
	struct memory *mem;
	struct cpu_state *cpus; /* owned; at the time of the dump */
	int ncpus;
	bool paging;    /* virtual addresses from the first vCPU's tables */
	bool compress;  /* kdump with zlib, else ELF */
	u64 begin, end; /* physical range, `end` exclusive */
	int fd;
	char *path; /* owned */

	_Atomic u64 done, total; /* bytes of RAM */
	_Atomic bool abort;
	struct err err; /* why it failed */
};

/* 0 or -errno with d->err. */
int dump_write(struct dump *d);
void dump_fini(struct dump *d);
/* Ends the dump that goes on, if one does, whose file is then incomplete.
 * Main thread, when the process ends. */
void dump_abort(void);

/* ---- between the files of the dump ---- */

struct buf;

/* A run of RAM that lies in one block and in [begin, end). */
struct dump_range {
	gpa_t gpa;
	u64 size;
	const u8 *host;
	const struct ram_block *block;
};

/* The range at or behind `gpa`, in order of address. */
bool dump_range(const struct dump *d, gpa_t gpa, struct dump_range *ret);
/* At `offset` of the file. */
int dump_put(struct dump *d, u64 offset, const void *data, size_t len);
/* Notes for each vCPU, and the guest's VMCOREINFO if it has some: then
 * *ret_info is where its text lies in `out`, and *ret_phys_base. */
void dump_notes(const struct dump *d, struct buf *out, u64 *ret_info,
		u64 *ret_info_len, u64 *ret_phys_base);

/* What the page tables map, merged; -E2BIG for more than `max`. */
struct dump_mapping {
	u64 va, size;
	gpa_t gpa;
};

int dump_mappings(struct dump *d, struct dump_mapping **ret, int max);
int dump_elf(struct dump *d);
int dump_kdump(struct dump *d);

#endif
