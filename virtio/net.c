/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-net: a NIC in front of a net/ port.
 *
 * Checksums and segmentation are offered only when the back end takes frames
 * with a virtio_net_hdr, and then passed through undone.  A frame that the
 * back end refuses goes back into the ring until it asks again.
 *
 * Spec: virtio 1.2 §5.1.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/iov.h"
#include "virtio/net.h"
#include "virtio/pci.h"

#define TX_BURST   256  /* frames sent before the loop goes on */
#define TX_IOV_MAX 1024 /* host ranges of one frame */
#define CTRL_SIZE  64   /* entries of the control queue */
#define HDR_SHORT  10   /* without num_buffers */
#define HDR_LONG   12

#define CONFIG_SIZE      offsetof(struct virtio_net_config, speed)
#define CONFIG_AT(field) offsetof(struct virtio_net_config, field)

/* ---- configuration ---- */

void vnet_set_mac(struct vnet *s, const u8 mac[6])
{
	memcpy(s->port.mac, mac, 6);
	memcpy(s->v.config + CONFIG_AT(mac), mac, 6);
}

void vnet_update_status(struct vnet *s, u16 clear, u16 set)
{
	u8 *at = s->v.config + CONFIG_AT(status);
	u16 old = get_le16(at);
	u16 now = (old & ~clear) | set;

	put_le16(at, now);
	/* Only what the guest does not know yet is worth an interrupt. */
	if (set & ~old || (clear & old & VIRTIO_NET_S_LINK_UP))
		virtio_config_changed(&s->v);
}

/* Before 1.0 there was no other way to change the address. */
static void vnet_config_write(struct virtio *v, u32 offset, u32 len, u64 value)
{
	struct vnet *s = vnet_of(v);
	u8 mac[6];

	if (virtio_has(v, VIRTIO_F_VERSION_1) || offset + len > sizeof(mac)) {
		log_guest(virtio_label(v), "write to read-only configuration");
		return;
	}
	memcpy(mac, v->config + CONFIG_AT(mac), 6);
	memcpy(mac + offset, &value, len);
	vnet_set_mac(s, mac);
}

void vnet_apply_offloads(struct vnet *s)
{
	static const struct {
		int feature;
		u32 offload;
	} map[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, NET_OFFLOAD_CSUM },
		{ VIRTIO_NET_F_GUEST_TSO4, NET_OFFLOAD_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, NET_OFFLOAD_TSO6 },
		{ VIRTIO_NET_F_GUEST_ECN, NET_OFFLOAD_ECN },
		{ VIRTIO_NET_F_GUEST_UFO, NET_OFFLOAD_UFO },
	};

	u32 offloads = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (s->guest_offloads & BIT(map[i].feature))
			offloads |= map[i].offload;
	}
	net_set_offloads(&s->port, offloads);
}

/* ---- receive: from the wire to the guest ---- */

static void vnet_unpop(struct vnet *s, struct queue *q, int n)
{
	while (n > 0)
		queue_unpop(q, &s->rx[--n]);
}

/* Takes buffers for `need` bytes, header included.  Returns how many, 0 when
 * the guest has not provided enough, or -EMSGSIZE when the frame can never
 * fit. */
static int vnet_rx_take(struct vnet *s, struct queue *q, size_t need)
{
	bool merge = virtio_has(&s->v, VIRTIO_NET_F_MRG_RXBUF);
	u64 room = 0;
	int n = 0;

	while (room < need) {
		if (n == (merge ? VNET_RX_CHAINS : 1)) {
			vnet_unpop(s, q, n);
			return -EMSGSIZE;
		}
		if (!queue_pop(q, &s->rx[n])) {
			vnet_unpop(s, q, n);
			return 0;
		}
		n++;
		if (s->rx[n - 1].in_len < s->hdr_len) {
			virtio_break(&s->v, "receive buffer without room for "
					    "the header");
			return 0;
		}
		room += s->rx[n - 1].in_len;
	}
	return n;
}

static void vnet_rx_header(struct vnet *s, const struct net_frame *f, int n)
{
	u8 hdr[HDR_LONG] = { 0 };

	/* Host and guest are little-endian, and so is the header. */
	memcpy(hdr, &f->hdr, sizeof(f->hdr));
	put_le16(hdr + HDR_SHORT, n);
	chain_write(&s->rx[0], 0, hdr, s->hdr_len);
}

/* Copies [from, from + len) of the frame to `at` in a buffer. */
static void vnet_rx_copy(const struct chain *c, size_t at,
			 const struct net_frame *f, size_t from, size_t len)
{
	for (int i = 0; i < f->niov && len > 0; i++) {
		const struct iovec *v = &f->iov[i];
		size_t n;

		if (from >= v->iov_len) {
			from -= v->iov_len;
			continue;
		}
		n = MIN(len, v->iov_len - from);
		chain_write(c, at, (const u8 *)v->iov_base + from, n);
		at += n;
		len -= n;
		from = 0;
	}
}

static bool vnet_receive(struct net_port *p, const struct net_frame *f)
{
	struct vnet *s = container_of(p, struct vnet, port);
	struct queue *q = &s->v.queue[VNET_RX];
	size_t done = 0;
	int n;

	if (!s->v.started || !q->active || f->len < NET_HEADER_MIN)
		return true; /* nobody listens */
	if (!run_state_running(s->v.pci.dev.m))
		return false;
	if (!vnet_filter_accepts(s, f))
		return true;
	n = vnet_rx_take(s, q, s->hdr_len + f->len);
	if (n == -EMSGSIZE)
		log_guest(virtio_label(&s->v),
			  "receive buffers are too small for %zu bytes",
			  f->len);
	if (n <= 0)
		return n < 0;
	vnet_rx_header(s, f, n);
	for (int i = 0; i < n; i++) {
		u32 hdr = i == 0 ? s->hdr_len : 0;
		size_t len = MIN(f->len - done, s->rx[i].in_len - hdr);

		vnet_rx_copy(&s->rx[i], hdr, f, done, len);
		queue_push(q, &s->rx[i], hdr + len);
		done += len;
	}
	queue_notify(q);
	return true;
}

/* ---- transmit: from the guest to the wire ---- */

/* Which segmentation the driver may ask for, by gso_type. */
static int vnet_gso_feature(u8 type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4: return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6: return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP: return VIRTIO_NET_F_HOST_UFO;
	default: return -1;
	}
}

/* Is the work that the header leaves to us work that we offered?  The host
 * kernel looks at the frame itself. */
static bool vnet_tx_header_ok(const struct vnet *s, struct virtio_net_hdr *h,
			      size_t len)
{
	int feature;

	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (h->flags &&
	    (!virtio_has(&s->v, VIRTIO_NET_F_CSUM) || h->csum_start > len ||
	     h->csum_offset + 2u > len - h->csum_start))
		return false;
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	feature = vnet_gso_feature(h->gso_type);
	if (feature < 0 || (!virtio_has(&s->v, feature) &&
			    !virtio_has(&s->v, VIRTIO_NET_F_GSO)))
		return false;
	return h->flags && h->gso_size && h->hdr_len <= len;
}

/* False: the back end is busy. */
static bool vnet_tx_one(struct vnet *s, struct chain *c)
{
	struct net_frame f = { .iov = c->out };

	if (c->out_len < s->hdr_len) {
		virtio_break(&s->v, "frame to send without a header");
		return true;
	}
	if (c->out_len - s->hdr_len > NET_FRAME_MAX ||
	    c->out_len - s->hdr_len < NET_HEADER_MIN) {
		log_guest(virtio_label(&s->v), "frame to send of %llu bytes",
			  (unsigned long long)c->out_len - s->hdr_len);
		return true;
	}
	f.len = c->out_len - s->hdr_len;
	chain_read(c, 0, &f.hdr, sizeof(f.hdr));
	if (!vnet_tx_header_ok(s, &f.hdr, f.len)) {
		log_guest(virtio_label(&s->v),
			  "frame to send wants offloads not agreed on");
		return true;
	}
	f.niov = iov_slice(c->out, c->nout, s->hdr_len, f.len, c->out, c->nout);
	return f.niov < 0 || net_try_send(&s->port, &f);
}

static void vnet_handle_tx(struct vnet *s)
{
	struct queue *q = &s->v.queue[VNET_TX];
	int n = 0;

	s->tx_blocked = false;
	while (n < TX_BURST && queue_pop(q, &s->tx)) {
		if (!vnet_tx_one(s, &s->tx)) {
			queue_unpop(q, &s->tx);
			s->tx_blocked = true;
			break;
		}
		queue_push(q, &s->tx, 0);
		n++;
	}
	queue_notify(q);
	if (n == TX_BURST)
		virtio_kick(&s->v, VNET_TX);
}

static void vnet_handle_queue(struct virtio *v, struct queue *q)
{
	struct vnet *s = vnet_of(v);

	switch (q->index) {
	case VNET_RX: net_port_ready(&s->port); break;
	case VNET_TX: vnet_handle_tx(s); break;
	case VNET_CTRL: vnet_handle_ctrl(s); break;
	}
}

/* ---- what the wire tells us ---- */

static void vnet_writable(struct net_port *p)
{
	struct vnet *s = container_of(p, struct vnet, port);

	if (s->tx_blocked && s->v.started)
		virtio_kick(&s->v, VNET_TX);
}

static void vnet_link_changed(struct net_port *p)
{
	struct vnet *s = container_of(p, struct vnet, port);

	if (p->link_down)
		vnet_update_status(s, VIRTIO_NET_S_LINK_UP, 0);
	else
		vnet_update_status(s, 0, VIRTIO_NET_S_LINK_UP);
}

static void vnet_announce(struct net_port *p)
{
	struct vnet *s = container_of(p, struct vnet, port);

	if (s->v.started && virtio_has(&s->v, VIRTIO_NET_F_GUEST_ANNOUNCE) &&
	    virtio_has(&s->v, VIRTIO_NET_F_CTRL_VQ))
		vnet_update_status(s, 0, VIRTIO_NET_S_ANNOUNCE);
}

static const struct net_port_ops vnet_port_ops = {
	.receive = vnet_receive,
	.writable = vnet_writable,
	.link_changed = vnet_link_changed,
	.announce = vnet_announce,
};

/* ---- life ---- */

static void vnet_reset(struct virtio *v)
{
	struct vnet *s = vnet_of(v);

	s->guest_offloads = 0;
	s->tx_blocked = false;
	vnet_filter_reset(&s->filter);
	if (!s->port.nic)
		return; /* never made */
	vnet_set_mac(s, s->mac);
	put_le16(v->config + CONFIG_AT(status),
		 s->port.link_down ? 0 : VIRTIO_NET_S_LINK_UP);
	vnet_apply_offloads(s);
}

static int vnet_activate(struct virtio *v)
{
	struct vnet *s = vnet_of(v);
	int r = 0;

	s->hdr_len = virtio_has(v, VIRTIO_F_VERSION_1) ||
				     virtio_has(v, VIRTIO_NET_F_MRG_RXBUF)
			     ? HDR_LONG
			     : HDR_SHORT;
	s->guest_offloads = v->accepted & VNET_GUEST_OFFLOADS;
	vnet_apply_offloads(s);
	if (s->tx.max)
		return 0; /* kept from the last time */
	r = chain_init(&s->tx, TX_IOV_MAX);
	if (r == 0)
		r = chain_init(&s->ctrl, CTRL_SIZE);
	for (int i = 0; i < VNET_RX_CHAINS && r == 0; i++)
		r = chain_init(&s->rx[i], s->rx_queue_size);
	return r;
}

static u64 vnet_features(const struct vnet *s)
{
	const struct net_port *peer = s->port.peer;
	u32 have = (peer && peer->vnet_hdr ? VNET_HDR : 0) |
		   (peer && peer->vnet_hdr && peer->ufo ? VNET_UFO : 0) |
		   (s->wants.ctrl_vq ? VNET_CTRLQ : 0);
	u64 features = BIT(VIRTIO_NET_F_MAC);

#define X(name, bit, needs)                               \
	if (s->wants.name && (have & (needs)) == (needs)) \
		features |= BIT(VIRTIO_NET_F_##bit);
	VNET_FEATURES(X)
#undef X
	if (s->host_mtu)
		features |= BIT(VIRTIO_NET_F_MTU);
	return features;
}

static int vnet_check_options(const struct vnet *s, struct err *err)
{
	const struct {
		const char *name;
		u16 size;
	} sizes[] = { { "rx_queue_size", s->rx_queue_size },
		      { "tx_queue_size", s->tx_queue_size } };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i].size & (sizes[i].size - 1))
			return err_set(err, -EINVAL,
				       "'%s' must be a power of two",
				       sizes[i].name);
	}
	if (s->host_mtu && s->host_mtu < 68)
		return err_set(err, -EINVAL, "'host_mtu' is below 68");
	return 0;
}

static int vnet_init(struct virtio *v, struct err *err)
{
	struct vnet *s = vnet_of(v);
	struct device *dev = &v->pci.dev;
	int r = vnet_check_options(s, err);

	if (r == 0)
		r = net_nic_init(&s->port, &vnet_port_ops, dev->class->name,
				 dev->id, s->mac, s->netdev, err);
	if (r < 0)
		return r;
	v->offered |= vnet_features(s);
	v->queue[VNET_RX].size_max = s->rx_queue_size;
	v->queue[VNET_TX].size_max = s->tx_queue_size;
	v->queue[VNET_CTRL].size_max = CTRL_SIZE;
	v->nqueues = s->wants.ctrl_vq ? VNET_QUEUES : VNET_CTRL;
	put_le16(v->config + CONFIG_AT(max_virtqueue_pairs), 1);
	put_le16(v->config + CONFIG_AT(mtu), s->host_mtu);
	vnet_reset(v);
	return 0;
}

static void vnet_fini(struct virtio *v)
{
	struct vnet *s = vnet_of(v);

	net_nic_fini(&s->port);
	chain_fini(&s->tx);
	chain_fini(&s->ctrl);
	for (int i = 0; i < VNET_RX_CHAINS; i++)
		chain_fini(&s->rx[i]);
}

static const struct opt_range vnet_queue_range = { 64, QUEUE_SIZE_MAX };

/* clang-format off */
static const struct option_row vnet_options[] = {
	VIRTIO_OPTION_ROWS,
	{ "netdev", &opt_netdev, offsetof(struct vnet, netdev), NULL,
	  "back end by id", NULL },
	{ "mac", &opt_mac, offsetof(struct vnet, mac), NULL,
	  "address; the next free one from 52:54:00:12:34:56", NULL },
	{ "host_mtu", &opt_u16, offsetof(struct vnet, host_mtu), "0",
	  "MTU that the guest is told; 0: none", NULL },
	{ "rx_queue_size", &opt_u16, offsetof(struct vnet, rx_queue_size),
	  "256", "entries of the receive queue", &vnet_queue_range },
	{ "tx_queue_size", &opt_u16, offsetof(struct vnet, tx_queue_size),
	  "256", "entries of the transmit queue", &vnet_queue_range },
#define X(name, bit, needs)                                              \
	{ #name, &opt_bool, offsetof(struct vnet, wants.name), "on",     \
	  "offer VIRTIO_NET_F_" #bit, NULL },
	VNET_FEATURES(X)
#undef X
	OPTION_END,
};
/* clang-format on */

static const struct state_field vnet_state[] = {
	STATE_(STATE_BYTES, struct vnet, port.mac),
	STATE_(STATE_BOOL, struct vnet, filter.promisc),
	STATE_(STATE_BOOL, struct vnet, filter.allmulti),
	STATE_(STATE_BOOL, struct vnet, filter.alluni),
	STATE_(STATE_BOOL, struct vnet, filter.nomulti),
	STATE_(STATE_BOOL, struct vnet, filter.nouni),
	STATE_(STATE_BOOL, struct vnet, filter.nobcast),
	STATE_(STATE_BOOL, struct vnet, filter.uni_overflow),
	STATE_(STATE_BOOL, struct vnet, filter.multi_overflow),
	STATE_(STATE_U8, struct vnet, filter.uni_count),
	STATE_(STATE_U8, struct vnet, filter.multi_count),
	STATE_(STATE_BYTES, struct vnet, filter.macs),
	STATE_ARRAY_(STATE_U32, struct vnet, filter.vlans),
	STATE_(STATE_U64, struct vnet, guest_offloads),
	STATE_END,
};

static const struct virtio_class vnet_class = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_legacy_id = 0x1000,
	.pci_class = 0x020000,
	.config_size = CONFIG_SIZE,
	.init = vnet_init,
	.fini = vnet_fini,
	.activate = vnet_activate,
	.reset = vnet_reset,
	.handle_queue = vnet_handle_queue,
	.config_write = vnet_config_write,
};

const struct device_class virtio_net_pci_class = VIRTIO_PCI_CLASS(
	"virtio-net-pci", "virtio network card", DEVICE_NETWORK, struct vnet,
	vnet_options, vnet_state, &vnet_class);
