/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The telnet protocol on a byte stream.
 *
 * Spec: RFC 854, RFC 856 (binary), RFC 857 (echo), RFC 858 (go ahead), RFC 1073
 * (window size).
 */
#ifndef CHARDEV_TELNET_H
#define CHARDEV_TELNET_H

#include "lib/buf.h"
#include "lib/types.h"

struct telnet {
	u8 state;          /* enum telnet_state in telnet.c */
	u8 verb;           /* WILL, WONT, DO or DONT seen, option to come */
	bool after_cr;     /* a NUL here is padding */
	bool binary;       /* peer sends binary: no padding */
	bool asked;        /* for its window */
	u16 columns, rows; /* of its window; 0: it did not say */
	u8 sub[5];         /* the begin of a subnegotiation */
	u32 sub_len;
	struct buf reply; /* protocol bytes to send, guarded by the owner */
};

/* Starts anew and puts the opening negotiation into `reply`. */
void telnet_start(struct telnet *t);
void telnet_fini(struct telnet *t);
/* Strips the protocol from input in place; returns bytes left.  *breaks
 * counts the breaks among them. */
size_t telnet_input(struct telnet *t, u8 *data, size_t len, u32 *breaks);

#define TELNET_IAC 255u /* doubled in output */

#endif
