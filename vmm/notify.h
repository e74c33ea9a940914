/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tells a service manager how it goes: datagrams to $NOTIFY_SOCKET.
 *
 * Spec: sd_notify(3).
 */
#ifndef VMM_NOTIFY_H
#define VMM_NOTIFY_H

struct loop;

/* The machine is set up and its sockets listen; from now on the loop says that
 * it lives, where $WATCHDOG_USEC asks for that.  Without a manager nothing
 * happens. */
void notify_ready(struct loop *loop);
/* It ends. */
void notify_stopping(void);

#endif
