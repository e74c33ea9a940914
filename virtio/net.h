/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to virtio-net: net.c moves frames, net_ctrl.c obeys the control
 * queue and filters.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include "net/net.h"
#include "virtio/virtio.h"

#define VNET_MACS_MAX 64
/* Buffers that one received frame may be spread over. */
#define VNET_RX_CHAINS 64

enum vnet_queue { VNET_RX, VNET_TX, VNET_CTRL, VNET_QUEUES };

/* What a feature needs to be offered. */
#define VNET_ANY   0u
#define VNET_HDR   1u /* the peer takes a virtio_net_hdr */
#define VNET_UFO   2u /* and fragments UDP */
#define VNET_CTRLQ 4u /* there is a control queue */

/* Feature bits that an option of the same name can withhold. */
/* clang-format off */
#define VNET_FEATURES(X)                                       \
	X(csum,                CSUM,                VNET_HDR)  \
	X(guest_csum,          GUEST_CSUM,          VNET_HDR)  \
	X(gso,                 GSO,                 VNET_HDR)  \
	X(guest_tso4,          GUEST_TSO4,          VNET_HDR)  \
	X(guest_tso6,          GUEST_TSO6,          VNET_HDR)  \
	X(guest_ecn,           GUEST_ECN,           VNET_HDR)  \
	X(guest_ufo,           GUEST_UFO,           VNET_UFO)  \
	X(host_tso4,           HOST_TSO4,           VNET_HDR)  \
	X(host_tso6,           HOST_TSO6,           VNET_HDR)  \
	X(host_ecn,            HOST_ECN,            VNET_HDR)  \
	X(host_ufo,            HOST_UFO,            VNET_UFO)  \
	X(ctrl_guest_offloads, CTRL_GUEST_OFFLOADS, VNET_HDR)  \
	X(mrg_rxbuf,           MRG_RXBUF,           VNET_ANY)  \
	X(status,              STATUS,              VNET_ANY)  \
	X(ctrl_vq,             CTRL_VQ,             VNET_ANY)  \
	X(ctrl_rx,             CTRL_RX,             VNET_CTRLQ) \
	X(ctrl_vlan,           CTRL_VLAN,           VNET_CTRLQ) \
	X(ctrl_rx_extra,       CTRL_RX_EXTRA,       VNET_CTRLQ) \
	X(ctrl_mac_addr,       CTRL_MAC_ADDR,       VNET_CTRLQ) \
	X(guest_announce,      GUEST_ANNOUNCE,      VNET_CTRLQ)

/* clang-format on */

struct vnet_wants {
#define X(name, bit, needs) bool name;
	VNET_FEATURES(X)
#undef X
};

/* Which frames the guest wants; virtio 1.2 §5.1.6.5.1 to .3. */
struct vnet_filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool uni_overflow, multi_overflow; /* table too small: take all */
	u8 uni_count, multi_count;
	u8 macs[VNET_MACS_MAX][6]; /* unicast first */
	u32 vlans[4096 / 32];
};

struct vnet {
	struct virtio v;
	struct net_port port;
	struct vnet_filter filter;
	u64 guest_offloads; /* feature bits in force */
	bool tx_blocked;    /* the back end refused a frame */
	u32 hdr_len;        /* of virtio_net_hdr as agreed with the driver */

	struct chain tx, ctrl;
	struct chain rx[VNET_RX_CHAINS];

	/* Options. */
	struct netdev *netdev; /* borrowed */
	u8 mac[6];
	u16 host_mtu, rx_queue_size, tx_queue_size;
	struct vnet_wants wants;
};

static inline struct vnet *vnet_of(struct virtio *v)
{
	return container_of(v, struct vnet, v);
}

/* Feature bits of offloads towards the guest. */
#define VNET_GUEST_OFFLOADS                                            \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |  \
	 BIT(VIRTIO_NET_F_GUEST_UFO))

void vnet_apply_offloads(struct vnet *s);
void vnet_set_mac(struct vnet *s, const u8 mac[6]);
void vnet_update_status(struct vnet *s, u16 clear, u16 set);

/* ---- net_ctrl.c ---- */

void vnet_filter_reset(struct vnet_filter *f);
bool vnet_filter_accepts(const struct vnet *s, const struct net_frame *f);
void vnet_handle_ctrl(struct vnet *s);

#endif
