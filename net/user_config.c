/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses of user networking: what the user typed, defaults, and whether
 * they fit together.  Numbers and texts are QEMU's: scripts rely on them.
 */
#include "net/user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/parse.h"

/* ---- forwarding rules ---- */

/* Copies what precedes `sep` and moves behind it. */
static bool fwd_word(const char **p, char sep, char *word, size_t size)
{
	const char *end = strchr(*p, sep);
	size_t len = end ? (size_t)(end - *p) : 0;

	if (!end || len >= size)
		return false;
	memcpy(word, *p, len);
	word[len] = '\0';
	*p = end + 1;
	return true;
}

static bool fwd_addr(const char *word, struct in_addr *addr)
{
	addr->s_addr = 0;
	return !*word || inet_pton(AF_INET, word, addr) == 1;
}

static bool fwd_port(const char *word, u64 min, int *port)
{
	u64 v;

	if (parse_u64(word, &v) < 0 || v < min || v > 65535)
		return false;
	*port = v;
	return true;
}

static const char *fwd_parse_host(struct user_fwd *f, const char **p,
				  bool guest)
{
	char word[64];

	if (!fwd_word(p, ':', word, sizeof(word)))
		return "No : separators";
	if (*word && strcmp(word, "tcp") && strcmp(word, "udp"))
		return "Bad protocol name";
	f->udp = !strcmp(word, "udp");
	if (!fwd_word(p, ':', word, sizeof(word)))
		return "Missing : separator";
	if (!fwd_addr(word, &f->host))
		return "Bad host address";
	if (!guest)
		return fwd_port(*p, 0, &f->host_port) ? NULL : "Bad host port";
	if (!fwd_word(p, '-', word, sizeof(word)))
		return "Bad host port separator";
	if (!fwd_port(word, 0, &f->host_port))
		return "Bad host port";
	return NULL;
}

static const char *fwd_parse_guest(struct user_fwd *f, const char *p)
{
	char word[64];

	if (!fwd_word(&p, ':', word, sizeof(word)))
		return "Missing guest address";
	if (!fwd_addr(word, &f->guest))
		return "Bad guest address";
	if (!fwd_port(p, 1, &f->guest_port))
		return "Bad guest port";
	return NULL;
}

int user_fwd_parse(struct user_fwd *fwd, const char *rule, bool guest,
		   struct err *err)
{
	struct user_fwd f = { 0 };
	const char *p = rule;
	const char *why = fwd_parse_host(&f, &p, guest);

	if (!why && guest)
		why = fwd_parse_guest(&f, p);
	if (why)
		return err_set(err, -EINVAL,
			       "Invalid host forwarding rule '%s' (%s)", rule,
			       why);
	*fwd = f;
	return 0;
}

/* ---- IPv4 ---- */

/* Default masks of addresses without "/mask": the classes of old and the
 * private ranges, first match. */
static const struct {
	u32 mask, value, netmask;
} net_classes[] = {
	{ 0x80000000, 0x00000000, 0xff000000 },
	{ 0xfff00000, 0xac100000, 0xfff00000 },
	{ 0xc0000000, 0x80000000, 0xffff0000 },
	{ 0xffff0000, 0xc0a80000, 0xffff0000 },
	{ 0xfffe0000, 0xc6120000, 0xfffe0000 },
	{ 0xe0000000, 0xc0000000, 0xffffff00 },
	{ 0x00000000, 0x00000000, 0xfffffff0 },
};

static u32 net_class_mask(u32 addr)
{
	size_t i = 0;

	while ((addr & net_classes[i].mask) != net_classes[i].value)
		i++;
	return net_classes[i].netmask;
}

/* "24" or "255.255.255.0". */
static int net_parse_mask(const char *text, u32 *ret, struct err *err)
{
	struct in_addr a;
	u64 bits;

	if (strchr(text, '.')) {
		if (inet_pton(AF_INET, text, &a) != 1 ||
		    (~ntohl(a.s_addr) & (~ntohl(a.s_addr) + 1)))
			return err_set(err, -EINVAL,
				       "Failed to parse netmask '%s'", text);
		*ret = ntohl(a.s_addr);
		return 0;
	}
	if (parse_u64(text, &bits) < 0 || bits < 4 || bits > 32)
		return err_set(
			err, -EINVAL,
			"Invalid netmask provided (must be in range 4-32)");
	*ret = 0xffffffffu << (32 - bits);
	return 0;
}

static int net_parse(struct user_config *c, struct err *err)
{
	const char *text = c->net_text ? c->net_text : "10.0.2.0/24";
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET_ADDRSTRLEN] = "";
	struct in_addr a;
	u32 mask;
	int r;

	if (len < sizeof(addr))
		memcpy(addr, text, len);
	if (inet_pton(AF_INET, addr, &a) != 1)
		return err_set(err, -EINVAL, "Failed to parse net '%s'", text);
	mask = net_class_mask(ntohl(a.s_addr));
	if (slash) {
		r = net_parse_mask(slash + 1, &mask, err);
		if (r < 0)
			return r;
	}
	c->mask.s_addr = htonl(mask);
	c->net.s_addr = a.s_addr & c->mask.s_addr;
	return 0;
}

/* One address within the network; `low` gives the default's low bits. */
static int net_member(const struct user_config *c, const char *what,
		      const char *text, u32 low, struct in_addr *ret,
		      struct err *err)
{
	struct in_addr a;

	a.s_addr = c->net.s_addr | (htonl(low) & ~c->mask.s_addr);
	if (text && inet_pton(AF_INET, text, &a) != 1)
		return err_set(err, -EINVAL, "Failed to parse %s '%s'", what,
			       text);
	if ((a.s_addr & c->mask.s_addr) != c->net.s_addr)
		return err_set(err, -EINVAL, "%s doesn't belong to network",
			       what);
	*ret = a;
	return 0;
}

static int net_resolve4(struct user_config *c, struct err *err)
{
	int r = net_parse(c, err);

	if (r == 0)
		r = net_member(c, "Host", c->host_text, 0x0202, &c->host, err);
	if (r == 0)
		r = net_member(c, "DNS", c->dns_text, 0x0203, &c->dns, err);
	if (r == 0)
		r = net_member(c, "DHCP", c->dhcp_text, 0x020f, &c->dhcp, err);
	if (r < 0)
		return r;
	if (c->dns.s_addr == c->host.s_addr)
		return err_set(err, -EINVAL, "DNS must be different from host");
	if (c->dhcp.s_addr == c->host.s_addr || c->dhcp.s_addr == c->dns.s_addr)
		return err_set(err, -EINVAL,
			       "DHCP must be different from host and DNS");
	return 0;
}

/* ---- IPv6 ---- */

static bool net6_matches(const struct in6_addr *a, const struct user_config *c)
{
	int bytes = c->net6_len / 8;
	u8 rest = 0xff00 >> (c->net6_len % 8);

	return !memcmp(a, &c->net6, bytes) &&
	       (bytes == 16 ||
		!((a->s6_addr[bytes] ^ c->net6.s6_addr[bytes]) & rest));
}

static int net6_member(const struct user_config *c, const char *what,
		       const char *text, u8 low, struct in6_addr *ret,
		       struct err *err)
{
	struct in6_addr a = c->net6;

	a.s6_addr[15] |= low;
	if (text && inet_pton(AF_INET6, text, &a) != 1)
		return err_set(err, -EINVAL, "Failed to parse %s '%s'", what,
			       text);
	if (!net6_matches(&a, c))
		return err_set(err, -EINVAL, "%s doesn't belong to network",
			       what);
	*ret = a;
	return 0;
}

static int net_resolve6(struct user_config *c, struct err *err)
{
	const char *text = c->net6_text ? c->net6_text : "fec0::/64";
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN] = "";
	u64 bits = 64;
	int r;

	if (len < sizeof(addr))
		memcpy(addr, text, len);
	if (inet_pton(AF_INET6, addr, &c->net6) != 1)
		return err_set(err, -EINVAL, "Failed to parse IPv6 prefix '%s'",
			       text);
	/* The address within must leave room for ::2 and ::3. */
	if (slash && (parse_u64(slash + 1, &bits) < 0 || bits > 126))
		return err_set(
			err, -EINVAL,
			"Invalid IPv6 prefix length (must be in range 0-126)");
	c->net6_len = bits;
	r = net6_member(c, "IPv6 host", c->host6_text, 2, &c->host6, err);
	if (r == 0)
		r = net6_member(c, "IPv6 DNS", c->dns6_text, 3, &c->dns6, err);
	if (r < 0)
		return r;
	if (!memcmp(&c->host6, &c->dns6, 16))
		return err_set(err, -EINVAL,
			       "IPv6 DNS must be different from IPv6 host");
	return 0;
}

int user_config_resolve(struct user_config *c, struct err *err)
{
	int r = net_resolve4(c, err);

	return r < 0 ? r : net_resolve6(c, err);
}
