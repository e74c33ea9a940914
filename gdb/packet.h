/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gdb's remote protocol, the packets: framing, checksums, escapes,
 * acknowledgements.
 *
 * Bytes go in, whole payloads come out, whatever the bytes are: what is no
 * packet is skipped, a '$' starts anew, what is too long is answered with an
 * error.  (GDB manual, "Remote Serial Protocol".)
 */
#ifndef GDB_PACKET_H
#define GDB_PACKET_H

#include "lib/buf.h"
#include "lib/types.h"

/* Most bytes of a payload, of both directions. */
#define GDB_PACKET_MAX 16384

enum gdb_link_state {
	GDB_LINK_IDLE,
	GDB_LINK_DATA,
	GDB_LINK_ESCAPE, /* behind '}' */
	GDB_LINK_SUM1,
	GDB_LINK_SUM2,
};

enum gdb_link_event {
	GDB_LINK_MORE,      /* nothing yet */
	GDB_LINK_PACKET,    /* link->in, until the next byte */
	GDB_LINK_INTERRUPT, /* Ctrl-C between packets */
};

struct gdb_link {
	enum gdb_link_state state;
	bool no_ack;
	bool too_long;
	u8 in[GDB_PACKET_MAX + 1]; /* NUL behind it */
	size_t in_len;
	u8 sum, said; /* of the packet that comes, and what it says */

	struct buf out; /* not yet taken by the peer */
	/* The last packet, framed, in case the peer asks for it again. */
	struct buf last;
	bool unconfirmed;
};

void gdb_link_init(struct gdb_link *l); /* also for a new peer; frees */
/* One byte from the peer.  It may append as much as a packet to l->out:
 * whoever feeds it waits while there is much in it. */
enum gdb_link_event gdb_link_byte(struct gdb_link *l, u8 byte);
/* Appends a packet to l->out; `len` is cut to GDB_PACKET_MAX. */
void gdb_link_send(struct gdb_link *l, const void *data, size_t len);

/* 0..15 or -1. */
int gdb_hex_digit(u8 c);
/* Two digits a byte; appends.  False: no hex, or an odd number of digits. */
bool gdb_hex_decode(const char *hex, size_t len, struct buf *out);
void gdb_hex_encode(const void *data, size_t len, struct buf *out);

#endif
