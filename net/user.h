/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses and forwarding rules of user networking, apart from libslirp.
 */
#ifndef NET_USER_H
#define NET_USER_H

#include <netinet/in.h>

#include "lib/types.h"

struct err;

struct user_fwd {
	bool udp;
	struct in_addr host, guest; /* 0: any; the first DHCP address */
	int host_port, guest_port;
};

/* "[tcp|udp]:[addr]:port", with "-[addr]:port" behind it when `guest`. */
int user_fwd_parse(struct user_fwd *fwd, const char *rule, bool guest,
		   struct err *err);

/* The texts as typed, NULL for the default; resolve fills in the rest. */
struct user_config {
	const char *net_text, *host_text, *dhcp_text, *dns_text;
	const char *net6_text, *host6_text, *dns6_text;
	struct in_addr net, mask, host, dhcp, dns;
	struct in6_addr net6, host6, dns6;
	u8 net6_len;
};

int user_config_resolve(struct user_config *c, struct err *err);

#endif
