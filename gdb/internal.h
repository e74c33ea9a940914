/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to gdb/: one stub and its client.
 */
#ifndef GDB_INTERNAL_H
#define GDB_INTERNAL_H

#include "gdb/gdb.h"
#include "gdb/packet.h"
#include "lib/buf.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

/* Bits of QEMU's Qqemu.sstep. */
#define GDB_STEP_ENABLE   1u
#define GDB_STEP_NO_IRQ   2u
#define GDB_STEP_NO_TIMER 4u /* timers run, but nobody sees them */

#define GDB_INPUT 4096

/* "monitor LINE" that goes on; outlives its client if need be. */
struct gdb_command {
	struct gdb *g; /* NULL: nobody waits */
};

struct gdb {
	struct machine *m;
	struct chardev *chr;
	bool own_chr; /* made for it, and goes with it */
	const struct gdb_ops *ops;
	struct run_notifier notifier;
	struct gdb_link link;

	u8 in[GDB_INPUT]; /* not yet looked at */
	size_t in_len;
	bool pumping;

	bool open;                   /* a client is there */
	bool waiting;                /* for the machine to stop */
	bool ended;                  /* by 'k' */
	bool swbreak, hwbreak;       /* the client knows these stop reasons */
	struct gdb_command *command; /* running; NULL */

	u32 has; /* GDB_HAS_* */
	struct buf xml;
	u32 step_flags; /* GDB_STEP_* */
	bool physical;  /* addresses are the guest's physical ones */
	int cpu;        /* that g, m and s are about */
	int cont_cpu;   /* of Hc */
	int list_next;  /* of qsThreadInfo */
};

/* ---- session.c ---- */

void gdb_reply(struct gdb *g, const char *text);
void gdb_reply_error(struct gdb *g, int number);
void gdb_reply_buf(struct gdb *g, struct buf *b); /* empties it */

/* What a vCPU does when the machine goes on. */
struct gdb_action {
	enum { GDB_STAY, GDB_CONT, GDB_STEP } what;

	gva_t start, end; /* GDB_STEP: again while within */
};

/* `a` has an entry for each vCPU.  Answers when the machine stops. */
void gdb_resume(struct gdb *g, const struct gdb_action *a);
/* Without points and steps. */
void gdb_release(struct gdb *g);
struct vcpu *gdb_vcpu(struct gdb *g, int index); /* NULL: none */

/* Looks at what has come as far as it can. */
void gdb_pump(struct gdb *g);

/* ---- commands.c ---- */

/* Carries out and answers the packet in g->link.in. */
void gdb_packet(struct gdb *g);

/* ---- memory.c ---- */

/* Bytes that could be copied, from `va` or physical address on, as g->cpu
 * sees them; INT3s of breakpoints do not show. */
size_t gdb_read(struct gdb *g, u64 at, u8 *data, size_t len);
size_t gdb_write(struct gdb *g, u64 at, const u8 *data, size_t len);

#endif
