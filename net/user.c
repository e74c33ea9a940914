/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * User networking: libslirp's NAT, DHCP and DNS behind a netdev.
 *
 * libslirp names its sockets anew before each wait and wants to know after
 * it which are ready.  The sockets go into an epoll set of our own, which
 * the main loop watches as one descriptor; only when that fires are the
 * sockets polled for their state.
 *
 * Locking: machine_lock; slirp_input() runs in the main loop's thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "net/internal.h"
#include "net/user.h"

struct user_fd {
	u32 events; /* registered with epoll; 0: not */
	u32 round;  /* in which it was last asked for */
	bool open;  /* a socket of libslirp's */
};

struct user {
	struct netdev nd;
	Slirp *slirp;

	bool epoll_open;
	int epoll_fd;
	struct watch watch;
	struct loop_hook hook;
	bool ready; /* epoll_fd fired since the last check */
	u32 round;
	struct pollfd *polls; /* owned; what libslirp asked for */
	int npolls, polls_cap;
	int nopen;           /* sockets of libslirp's */
	int open_max;        /* from here on no new flows */
	struct user_fd *fds; /* owned; by descriptor */
	int fds_cap;
	u8 *frame; /* owned; NET_FRAME_MAX bytes */

	/* Options. */
	bool restricted, ipv4, ipv6;
	char *net, *host, *dhcpstart, *dns, *hostname, *domainname;
	char *net6, *host6, *dns6, *tftp, *tftp_server, *bootfile;
	struct net_strings hostfwd, dnssearch;
};

struct user_timer {
	struct timer timer;
	SlirpTimerCb fn;
	void *arg;
};

/* ---- epoll set ---- */

static struct user_fd *user_fd(struct user *u, int fd)
{
	int cap = u->fds_cap;

	if (fd >= cap) {
		u->fds_cap = ALIGN_UP(fd + 1, 64);
		u->fds = xrealloc(u->fds, u->fds_cap * sizeof(*u->fds));
		memset(u->fds + cap, 0, (u->fds_cap - cap) * sizeof(*u->fds));
	}
	return &u->fds[fd];
}

static u32 user_to_epoll(short events)
{
	return (events & POLLIN ? EPOLLIN : 0u) |
	       (events & POLLOUT ? EPOLLOUT : 0u) |
	       (events & POLLPRI ? EPOLLPRI : 0u);
}

static void user_want(struct user *u, int fd, u32 events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };
	struct user_fd *f = user_fd(u, fd);
	int op = f->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	f->round = u->round;
	if (f->events == events)
		return;
	if (epoll_ctl(u->epoll_fd, op, fd, &ev) < 0)
		log_warn("netdev '%s': cannot watch socket %d: %s",
			 u->nd.port.name, fd, strerror(errno));
	f->events = events;
}

/* The kernel forgets a closed descriptor by itself; so must the table,
 * before the number comes back as another socket. */
static void user_forget(int fd, void *opaque)
{
	struct user *u = opaque;
	struct user_fd *f;

	if (fd < 0)
		return;
	f = user_fd(u, fd);
	if (f->events)
		epoll_ctl(u->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	f->events = 0;
}

static void user_register(int fd, void *opaque)
{
	struct user *u = opaque;

	user_forget(fd, u);
	if (fd >= 0 && !user_fd(u, fd)->open) {
		user_fd(u, fd)->open = true;
		u->nopen++;
	}
}

static void user_unregister(int fd, void *opaque)
{
	struct user *u = opaque;

	user_forget(fd, u);
	if (fd >= 0 && user_fd(u, fd)->open) {
		user_fd(u, fd)->open = false;
		u->nopen--;
	}
}

static int user_add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;
	struct pollfd *p;

	if (u->npolls == u->polls_cap) {
		u->polls_cap = u->polls_cap ? 2 * u->polls_cap : 16;
		u->polls = xrealloc(u->polls, u->polls_cap * sizeof(*u->polls));
	}
	p = &u->polls[u->npolls];
	p->fd = fd;
	p->events = (events & SLIRP_POLL_IN ? POLLIN : 0) |
		    (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
		    (events & SLIRP_POLL_PRI ? POLLPRI : 0);
	p->revents = 0;
	user_want(u, fd, user_to_epoll(p->events));
	return u->npolls++;
}

static int user_revents(int idx, void *opaque)
{
	struct user *u = opaque;
	short r = u->polls[idx].revents;

	return (r & POLLIN ? SLIRP_POLL_IN : 0) |
	       (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (r & POLLPRI ? SLIRP_POLL_PRI : 0) |
	       (r & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void user_prepare(void *arg, u64 *timeout_ns)
{
	struct user *u = arg;
	u32 ms = UINT32_MAX;

	u->npolls = 0;
	u->round++;
	slirp_pollfds_fill(u->slirp, &ms, user_add_poll, u);
	for (int fd = 0; fd < u->fds_cap; fd++) {
		if (u->fds[fd].events && u->fds[fd].round != u->round)
			user_forget(fd, u);
	}
	if (ms != UINT32_MAX)
		*timeout_ns = MIN(*timeout_ns, ms * NS_PER_MS);
}

static void user_check(void *arg)
{
	struct user *u = arg;

	if (u->ready)
		poll(u->polls, u->npolls, 0);
	u->ready = false;
	slirp_pollfds_poll(u->slirp, 0, user_revents, u);
}

static void user_readable(void *arg, u32 events)
{
	struct user *u = arg;

	u->ready = true;
}

/* ---- callbacks of libslirp ---- */

static ssize_t user_send(const void *data, size_t len, void *opaque)
{
	struct user *u = opaque;
	struct iovec iov = { (void *)data, len };
	struct net_frame f = { &iov, 1, len, { 0 } };

	net_send(&u->nd.port, &f);
	return len;
}

static void user_guest_error(const char *msg, void *opaque)
{
	const struct user *u = opaque;

	log_guest(u->nd.port.name, "%s", msg);
}

static int64_t user_clock(void *opaque)
{
	return clock_mono_ns();
}

static void user_timer_fire(void *arg)
{
	struct user_timer *t = arg;

	t->fn(t->arg);
}

static void *user_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct user *u = opaque;
	struct user_timer *t = xalloc(sizeof(*t));

	t->fn = fn;
	t->arg = arg;
	timer_init(&t->timer, u->nd.loop, user_timer_fire, t);
	return t;
}

static void user_timer_free(void *timer, void *opaque)
{
	struct user_timer *t = timer;

	timer_cancel(&t->timer);
	free(t);
}

static void user_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	struct user_timer *t = timer;

	timer_set(&t->timer, expire_ms * NS_PER_MS);
}

static void user_notify(void *opaque)
{
	/* Only for guestfwd; every round of the loop asks libslirp anyway. */
}

static const SlirpCb user_callbacks = {
	.send_packet = user_send,
	.guest_error = user_guest_error,
	.clock_get_ns = user_clock,
	.timer_new = user_timer_new,
	.timer_free = user_timer_free,
	.timer_mod = user_timer_mod,
	.register_poll_fd = user_register,
	.unregister_poll_fd = user_unregister,
	.notify = user_notify,
};

/* ---- frames from the guest ---- */

static bool user_opens_flow4(const u8 *ip, size_t len)
{
	size_t ihl;

	if (len < 20)
		return false;
	ihl = (ip[0] & 15) * 4;
	if (ip[9] == IPPROTO_UDP) /* DHCP opens nothing */
		return len < ihl + 4 || get_be16(ip + ihl + 2) != 67;
	if (ip[9] == IPPROTO_TCP)
		return len >= ihl + 14 && (ip[ihl + 13] & 0x12) == 0x02;
	return true;
}

static bool user_opens_flow6(const u8 *ip, size_t len)
{
	if (len < 40)
		return false;
	if (ip[6] == IPPROTO_TCP)
		return len >= 40 + 14 && (ip[40 + 13] & 0x12) == 0x02;
	if (ip[6] == IPPROTO_ICMPV6) /* echo; the rest is neighbour discovery */
		return len > 40 && ip[40] == 128;
	return true;
}

/* Would this frame make libslirp open a socket?  Asked only when there are
 * very many, so that a guest cannot take all of the process's descriptors. */
static bool user_opens_flow(const u8 *frame, size_t len)
{
	if (len < NET_HEADER_MIN)
		return false;
	switch (get_be16(frame + 12)) {
	case 0x0800:
		return user_opens_flow4(frame + NET_HEADER_MIN,
					len - NET_HEADER_MIN);
	case 0x86dd:
		return user_opens_flow6(frame + NET_HEADER_MIN,
					len - NET_HEADER_MIN);
	default: return false;
	}
}

static bool user_receive(struct net_port *p, const struct net_frame *f)
{
	struct user *u = container_of(p, struct user, nd.port);
	size_t len = net_frame_copy(f, u->frame, NET_FRAME_MAX);

	if (u->nopen >= u->open_max && user_opens_flow(u->frame, len)) {
		log_guest(p->name, "too many connections");
		return true;
	}
	slirp_input(u->slirp, u->frame, len);
	return true;
}

/* ---- hostfwd ---- */

static int user_remove_fwd(struct user *u, const char *rule, struct err *err)
{
	struct user_fwd fwd;
	int r;

	r = user_fwd_parse(&fwd, rule, false, err);
	if (r < 0)
		return r;
	if (slirp_remove_hostfwd(u->slirp, fwd.udp, fwd.host, fwd.host_port) <
	    0)
		return err_set(err, -ENOENT,
			       "host forwarding rule for %s not found", rule);
	return 0;
}

/* Which port it has become, of a line such as
 * "TCP[HOST_FORWARD]  12  127.0.0.1  2222  10.0.2.15  22  0  0". */
static void user_tell_port(struct user *u, const struct user_fwd *fwd)
{
	static const char *const kinds[] = { "TCP[HOST_FORWARD]",
					     "UDP[HOST_FORWARD]" };
	const char *kind = kinds[fwd->udp];
	char *text = slirp_connection_info(u->slirp), host[64];
	int port, to;

	for (const char *at = text; (at = strstr(at, kind)); at++)
		if (sscanf(at + strlen(kind), " %*d %63s %d %*s %d", host,
			   &port, &to) == 3 &&
		    to == fwd->guest_port) {
			log_info("port %d of %s leads to the guest's port %d",
				 port, host, to);
			break;
		}
	free(text);
}

static int user_hostfwd(struct netdev *nd, const char *rule, bool add,
			struct err *err)
{
	struct user *u = container_of(nd, struct user, nd);
	struct user_fwd fwd;
	int r;

	if (!add)
		return user_remove_fwd(u, rule, err);
	r = user_fwd_parse(&fwd, rule, true, err);
	if (r < 0)
		return r;
	errno = 0;
	if (slirp_add_hostfwd(u->slirp, fwd.udp, fwd.host, fwd.host_port,
			      fwd.guest, fwd.guest_port) < 0) {
		char addr[INET_ADDRSTRLEN];

		r = errno ? -errno : -EINVAL;
		inet_ntop(AF_INET, &fwd.host, addr, sizeof(addr));
		return err_code(err, r,
				"Could not set up host forwarding rule '%s': "
				"%s port %d",
				rule, addr, fwd.host_port);
	}
	if (!fwd.host_port)
		user_tell_port(u, &fwd);
	return 0;
}

static void user_connections(struct netdev *nd, struct buf *out)
{
	struct user *u = container_of(nd, struct user, nd);
	char *text = slirp_connection_info(u->slirp);

	buf_puts(out, text);
	free(text);
}

/* ---- life ---- */

/* What DHCP puts behind a length byte, or (bootfile) into a field of 128 with
 * its zero (RFC 2131 2, RFC 2132); libslirp asserts or cuts. */
static int user_check_texts(const struct user *u, struct err *err)
{
	const struct {
		const char *name, *text;
		size_t max;
	} texts[] = {
		{ "hostname", u->hostname, 255 },
		{ "domainname", u->domainname, 255 },
		{ "tftp-server-name", u->tftp_server, 255 },
		{ "bootfile", u->bootfile, 127 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].text && strlen(texts[i].text) > texts[i].max)
			return err_set(err, -EINVAL,
				       "'%s' has %zu bytes, at most %zu fit",
				       texts[i].name, strlen(texts[i].text),
				       texts[i].max);
	if (u->domainname && !u->domainname[0])
		return err_set(err, -EINVAL, "'domainname' is empty");
	return 0;
}

static int user_start(struct user *u, struct user_config *c, struct err *err)
{
	const char **search = NULL;
	SlirpConfig cfg = {
		.version = SLIRP_CONFIG_VERSION_MAX,
		.restricted = u->restricted,
		.in_enabled = u->ipv4,
		.vnetwork = c->net,
		.vnetmask = c->mask,
		.vhost = c->host,
		.in6_enabled = u->ipv6,
		.vprefix_addr6 = c->net6,
		.vprefix_len = c->net6_len,
		.vhost6 = c->host6,
		.vhostname = u->hostname,
		.tftp_server_name = u->tftp_server,
		.tftp_path = u->tftp,
		.bootfile = u->bootfile,
		.vdhcp_start = c->dhcp,
		.vnameserver = c->dns,
		.vnameserver6 = c->dns6,
		.vdomainname = u->domainname,
	};

	if (u->dnssearch.n) {
		search = xcalloc(u->dnssearch.n + 1, sizeof(*search));
		for (int i = 0; i < u->dnssearch.n; i++)
			search[i] = u->dnssearch.v[i];
		cfg.vdnssearch = search;
	}
	u->slirp = slirp_new(&cfg, &user_callbacks, u);
	free(search); /* libslirp made its own copy */
	if (!u->slirp)
		return err_set(err, -EINVAL, "libslirp refused to start");
	return 0;
}

static int user_watch(struct user *u, struct err *err)
{
	struct rlimit lim = { .rlim_cur = 1024 };
	int r;

	getrlimit(RLIMIT_NOFILE, &lim);
	u->open_max = MIN(lim.rlim_cur / 2, (rlim_t)16384);
	u->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll_fd < 0)
		return err_errno(err, "cannot create an epoll set");
	u->epoll_open = true;
	r = watch_add(&u->watch, u->nd.loop, u->epoll_fd, LOOP_IN,
		      user_readable, u);
	if (r < 0)
		return err_code(err, r, "cannot watch an epoll set");
	return 0;
}

static int user_open(struct netdev *nd, struct err *err)
{
	struct user *u = container_of(nd, struct user, nd);
	struct user_config c = {
		.net_text = u->net,
		.host_text = u->host,
		.dhcp_text = u->dhcpstart,
		.dns_text = u->dns,
		.net6_text = u->net6,
		.host6_text = u->host6,
		.dns6_text = u->dns6,
	};
	char addr[INET_ADDRSTRLEN];
	int r;

	if (!u->ipv4 && !u->ipv6)
		return err_set(err, -EINVAL,
			       "IPv4 and IPv6 cannot both be off");
	r = user_check_texts(u, err);
	if (r == 0)
		r = user_config_resolve(&c, err);
	if (r == 0)
		r = user_watch(u, err);
	if (r == 0)
		r = user_start(u, &c, err);
	if (r < 0)
		return r;
	u->frame = xalloc(NET_FRAME_MAX);
	u->hook.prepare = user_prepare;
	u->hook.check = user_check;
	u->hook.arg = u;
	loop_hook_add(nd->loop, &u->hook);
	for (int i = 0; i < u->hostfwd.n; i++) {
		r = user_hostfwd(nd, u->hostfwd.v[i], true, err);
		if (r < 0)
			return r;
	}
	inet_ntop(AF_INET, &c.net, addr, sizeof(addr));
	snprintf(nd->port.info, sizeof(nd->port.info), "net=%s,restrict=%s",
		 addr, u->restricted ? "on" : "off");
	return 0;
}

static void user_close(struct netdev *nd)
{
	struct user *u = container_of(nd, struct user, nd);

	if (u->hook.arg)
		loop_hook_remove(&u->hook);
	if (u->slirp)
		slirp_cleanup(u->slirp);
	watch_remove(&u->watch);
	if (u->epoll_open)
		close(u->epoll_fd);
	free(u->polls);
	free(u->fds);
	free(u->frame);
}

static const struct option_row user_options[] = {
	{ "net", &opt_str, offsetof(struct user, net), NULL,
	  "address[/mask] of the network (10.0.2.0/24)", NULL },
	{ "host", &opt_str, offsetof(struct user, host), NULL,
	  "address of the host (.2)", NULL },
	{ "dhcpstart", &opt_str, offsetof(struct user, dhcpstart), NULL,
	  "first address that DHCP gives (.15)", NULL },
	{ "dns", &opt_str, offsetof(struct user, dns), NULL,
	  "address of the name server (.3)", NULL },
	{ "hostfwd", &net_opt_strings, offsetof(struct user, hostfwd), NULL,
	  "[tcp|udp]:[addr]:port-[addr]:port, may repeat", NULL },
	{ "restrict", &opt_bool, offsetof(struct user, restricted), "off",
	  "keep the guest away from host and world", NULL },
	{ "hostname", &opt_str, offsetof(struct user, hostname), NULL,
	  "client name in DHCP", NULL },
	{ "domainname", &opt_str, offsetof(struct user, domainname), NULL,
	  "domain name in DHCP", NULL },
	{ "dnssearch", &net_opt_strings, offsetof(struct user, dnssearch), NULL,
	  "domain to search, may repeat", NULL },
	{ "ipv4", &opt_bool, offsetof(struct user, ipv4), "on", "serve IPv4",
	  NULL },
	{ "ipv6", &opt_bool, offsetof(struct user, ipv6), "on", "serve IPv6",
	  NULL },
	{ "ipv6-net", &opt_str, offsetof(struct user, net6), NULL,
	  "prefix[/length] (fec0::/64)", NULL },
	{ "ipv6-host", &opt_str, offsetof(struct user, host6), NULL,
	  "IPv6 address of the host (::2)", NULL },
	{ "ipv6-dns", &opt_str, offsetof(struct user, dns6), NULL,
	  "IPv6 address of the name server (::3)", NULL },
	{ "tftp", &opt_str, offsetof(struct user, tftp), NULL,
	  "directory served by TFTP", NULL },
	{ "tftp-server-name", &opt_str, offsetof(struct user, tftp_server),
	  NULL, "name of the TFTP server in DHCP", NULL },
	{ "bootfile", &opt_str, offsetof(struct user, bootfile), NULL,
	  "boot file name in DHCP", NULL },
	OPTION_END,
};

static const struct net_port_ops user_ops = {
	.receive = user_receive,
};

const struct netdev_class net_user_class = {
	.name = "user",
	.desc = "NAT, DHCP and DNS inside the process (libslirp)",
	.size = sizeof(struct user),
	.options = user_options,
	.ops = &user_ops,
	.open = user_open,
	.close = user_close,
	.hostfwd = user_hostfwd,
	.connections = user_connections,
};
