/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tap interfaces.  Each frame is preceded by a virtio_net_hdr where the
 * kernel offers that, so that checksums and segmentation stay undone until
 * somebody needs them done.
 *
 * Locking: machine_lock.
 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "lib/trace.h"
#include "net/internal.h"
#include "net/spawn.h"

#define TAP_DEVICE     "/dev/net/tun"
#define TAP_SCRIPT     "/etc/qemu-ifup"
#define TAP_DOWNSCRIPT "/etc/qemu-ifdown"
#define TAP_HDR        sizeof(struct virtio_net_hdr)
#define TAP_BURST      64 /* frames read before the loop goes on */
#define TAP_IOV        64 /* parts of a frame written without a copy */

/* ---- frames ---- */

static void tap_watch(struct tap *t, u32 set, u32 clear)
{
	watch_set(&t->watch, (t->watch.events | set) & ~clear);
}

static bool tap_receive(struct net_port *p, const struct net_frame *f)
{
	struct tap *t = container_of(p, struct tap, nd.port);
	struct iovec iov[TAP_IOV + 1];
	int n = 0;
	ssize_t r;

	if (p->vnet_hdr)
		iov[n++] = (struct iovec){ (void *)&f->hdr, TAP_HDR };
	if (f->niov <= TAP_IOV) {
		memcpy(iov + n, f->iov, f->niov * sizeof(*iov));
		n += f->niov;
	} else {
		size_t len = net_frame_copy(f, t->out, NET_FRAME_MAX);

		iov[n++] = (struct iovec){ t->out, len };
	}
	do
		r = writev(t->fd, iov, n);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN) {
		tap_watch(t, LOOP_OUT, 0);
		return false;
	}
	/* EIO: the interface is down; EINVAL: a nonsensical header. */
	if (r < 0)
		trace(NET_DROP, "%s: frame dropped: %s", p->name,
		      strerror(errno));
	return true;
}

/* Hands the frame in t->in to the NIC; false: it has to wait. */
static bool tap_forward(struct tap *t)
{
	size_t hdr = t->nd.port.vnet_hdr ? TAP_HDR : 0;
	struct iovec iov = { t->in + hdr, t->in_len - hdr };
	struct net_frame f = { &iov, 1, iov.iov_len, { 0 } };

	if (hdr)
		memcpy(&f.hdr, t->in, TAP_HDR);
	t->pending = !net_try_send(&t->nd.port, &f);
	return !t->pending;
}

static void tap_read(struct tap *t)
{
	size_t hdr = t->nd.port.vnet_hdr ? TAP_HDR : 0;

	for (int i = 0; i < TAP_BURST && !t->pending; i++) {
		ssize_t n = read(t->fd, t->in, TAP_HDR + NET_FRAME_MAX);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* EAGAIN, or the interface is down */
		if ((size_t)n <= hdr)
			continue;
		t->in_len = n;
		if (!tap_forward(t))
			tap_watch(t, 0, LOOP_IN);
	}
}

static void tap_writable(struct net_port *p)
{
	struct tap *t = container_of(p, struct tap, nd.port);

	if (t->pending && tap_forward(t))
		tap_watch(t, LOOP_IN, 0);
}

static void tap_event(void *arg, u32 events)
{
	struct tap *t = arg;

	if (events & LOOP_OUT) {
		tap_watch(t, 0, LOOP_OUT);
		net_port_ready(&t->nd.port);
	}
	if (events & LOOP_IN)
		tap_read(t);
	/* The interface was deleted: nothing will come any more. */
	if (events & LOOP_HUP) {
		log_warn("netdev '%s': interface %s is gone", t->nd.port.name,
			 t->name);
		watch_remove(&t->watch);
	}
}

static void tap_set_offloads(struct net_port *p, u32 offloads)
{
	static const struct {
		u32 offload;
		unsigned int flag;
	} map[] = {
		{ NET_OFFLOAD_CSUM, TUN_F_CSUM },
		{ NET_OFFLOAD_TSO4, TUN_F_TSO4 },
		{ NET_OFFLOAD_TSO6, TUN_F_TSO6 },
		{ NET_OFFLOAD_ECN, TUN_F_TSO_ECN },
		{ NET_OFFLOAD_UFO, TUN_F_UFO },
	};
	struct tap *t = container_of(p, struct tap, nd.port);
	unsigned long flags = 0;

	/* The kernel takes the others only together with checksums. */
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (offloads & map[i].offload && offloads & NET_OFFLOAD_CSUM)
			flags |= map[i].flag;
	}
	if (!p->ufo)
		flags &= ~(unsigned long)TUN_F_UFO;
	if (ioctl(t->fd, TUNSETOFFLOAD, flags) < 0)
		log_warn("netdev '%s': cannot set offloads: %s", p->name,
			 strerror(errno));
}

const struct net_port_ops tap_ops = {
	.receive = tap_receive,
	.writable = tap_writable,
	.set_offloads = tap_set_offloads,
};

/* ---- life ---- */

/* What the kernel does for this descriptor; -errno when it is no tap. */
static int tap_probe(struct tap *t, struct err *err)
{
	struct net_port *p = &t->nd.port;
	struct ifreq ifr = { 0 };
	int size = TAP_HDR;

	if (ioctl(t->fd, TUNGETIFF, &ifr) < 0)
		return err_errno(err, "descriptor %d is not a tap interface",
				 t->fd);
	if (!(ifr.ifr_flags & IFF_TAP))
		return err_set(err, -EINVAL,
			       "interface '%s' is a tun, not a tap",
			       ifr.ifr_name);
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	t->name[sizeof(t->name) - 1] = '\0';
	p->vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
	if (!p->vnet_hdr)
		return 0;
	if (ioctl(t->fd, TUNSETVNETHDRSZ, &size) < 0)
		return err_errno(err, "cannot set the header size of '%s'",
				 t->name);
	p->ufo = ioctl(t->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_UFO) == 0;
	if (ioctl(t->fd, TUNSETOFFLOAD, 0) < 0)
		return err_errno(err, "cannot set offloads of '%s'", t->name);
	return 0;
}

int tap_start(struct tap *t, int fd, struct err *err)
{
	int r;

	t->fd = fd;
	t->open = true;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return err_errno(err, "cannot use descriptor %d", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	r = tap_probe(t, err);
	if (r < 0)
		return r;
	t->in = xalloc(TAP_HDR + NET_FRAME_MAX);
	t->out = xalloc(NET_FRAME_MAX);
	r = watch_add(&t->watch, t->nd.loop, fd, LOOP_IN, tap_event, t);
	if (r < 0)
		return err_code(err, r, "cannot watch tap '%s'", t->name);
	return 0;
}

void tap_stop(struct tap *t)
{
	watch_remove(&t->watch);
	if (t->open)
		close(t->fd);
	t->open = false;
	free(t->in);
	free(t->out);
}

/* The default script may be missing, one that was named may not. */
static int tap_script(const struct tap *t, const char *script, const char *def,
		      struct err *err)
{
	const char *argv[] = { script, t->name, NULL };

	if (!*script || !strcmp(script, "no"))
		return 0;
	if (!strcmp(script, def) && access(script, X_OK) < 0)
		return 0;
	return net_spawn(argv, -1, err);
}

static int tap_create(struct tap *t, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const char *name = t->ifname ? t->ifname : "tap%d";
	unsigned int features = 0;
	int fd, r;

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return err_set(err, -EINVAL, "interface name '%s' is too long",
			       name);
	strcpy(ifr.ifr_name, name);
	fd = open(TAP_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "cannot open '" TAP_DEVICE "'");
	if (ioctl(fd, TUNGETFEATURES, &features) == 0 && t->vnet_hdr)
		ifr.ifr_flags |= features & IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		r = err_errno(err, "cannot create or attach tap '%s'", name);
		close(fd);
		return r;
	}
	return fd;
}

static int tap_open_fd(struct tap *t, struct err *err)
{
	u64 fd;
	int named = fdset_take(t->fd_text);

	if (named >= 0)
		fd = (u64)named;
	else if (parse_u64(t->fd_text, &fd) < 0 || fd > INT32_MAX)
		return err_set(err, -EINVAL,
			       "'%s' is not a descriptor for 'fd'", t->fd_text);
	if (fcntl(fd, F_GETFD) < 0)
		return err_errno(err, "cannot use descriptor %d", (int)fd);
	snprintf(t->nd.port.info, sizeof(t->nd.port.info), "fd=%d", (int)fd);
	return tap_start(t, fd, err);
}

static int tap_open_helper(struct tap *t, struct err *err)
{
	int fd = net_bridge_helper(t->helper, t->br, err);

	if (fd < 0)
		return fd;
	snprintf(t->nd.port.info, sizeof(t->nd.port.info), "helper=%s",
		 t->helper);
	return tap_start(t, fd, err);
}

static int tap_open_named(struct tap *t, struct err *err)
{
	int fd = tap_create(t, err);
	int r = fd < 0 ? fd : tap_start(t, fd, err);

	if (r == 0)
		r = tap_script(t, t->script, TAP_SCRIPT, err);
	if (r < 0)
		return r;
	t->up = true;
	snprintf(t->nd.port.info, sizeof(t->nd.port.info),
		 "ifname=%s,script=%s,downscript=%s", t->name, t->script,
		 t->downscript);
	return 0;
}

static int tap_open(struct netdev *nd, struct err *err)
{
	struct tap *t = container_of(nd, struct tap, nd);

	if (t->queues > 1)
		return err_set(err, -EINVAL,
			       "'queues' above 1 is not supported");
	if (t->vhost)
		log_warn("netdev '%s': no vhost, frames go through vmon",
			 nd->port.name);
	if (t->fd_text && (t->ifname || t->helper))
		return err_set(err, -EINVAL,
			       "'fd' excludes 'ifname' and 'helper'");
	if (t->fd_text)
		return tap_open_fd(t, err);
	if (t->helper)
		return tap_open_helper(t, err);
	return tap_open_named(t, err);
}

static void tap_close(struct netdev *nd)
{
	struct tap *t = container_of(nd, struct tap, nd);
	struct err err = { 0 };

	if (t->up && tap_script(t, t->downscript, TAP_DOWNSCRIPT, &err) < 0)
		log_warn("netdev '%s': %s", nd->port.name, err.msg);
	tap_stop(t);
}

static const struct option_row tap_options[] = {
	{ "fd", &opt_str, offsetof(struct tap, fd_text), NULL,
	  "descriptor of an open tap", NULL },
	{ "ifname", &opt_str, offsetof(struct tap, ifname), NULL,
	  "interface to create or attach to", NULL },
	{ "script", &opt_str, offsetof(struct tap, script), TAP_SCRIPT,
	  "run with the name when it is open; no: none", NULL },
	{ "downscript", &opt_str, offsetof(struct tap, downscript),
	  TAP_DOWNSCRIPT, "run before it is closed; no: none", NULL },
	{ "br", &opt_str, offsetof(struct tap, br), "br0",
	  "bridge, with helper", NULL },
	{ "helper", &opt_str, offsetof(struct tap, helper), NULL,
	  "program that makes the tap", NULL },
	{ "vnet_hdr", &opt_onoffauto, offsetof(struct tap, vnet_hdr), "auto",
	  "offloads where the kernel has them", NULL },
	{ "vhost", &opt_bool, offsetof(struct tap, vhost), "off",
	  "accepted, without effect", NULL },
	{ "queues", &opt_u16, offsetof(struct tap, queues), "1",
	  "number of queues (1)", NULL },
	OPTION_END,
};

const struct netdev_class net_tap_class = {
	.name = "tap",
	.desc = "tap interface of the host",
	.size = sizeof(struct tap),
	.options = tap_options,
	.ops = &tap_ops,
	.open = tap_open,
	.close = tap_close,
};
