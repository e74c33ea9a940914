/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-net's control queue: receive modes, address and VLAN filters,
 * announcements, offloads.
 *
 * Spec: virtio 1.2 §5.1.6.5.
 * Locking: machine_lock.
 */
#include <linux/virtio_net.h>
#include <string.h>

#include "lib/bytes.h"
#include "virtio/net.h"

#define CTRL_BURST 64 /* commands before the loop goes on */

/* ---- filter ---- */

/* Power-on: everything passes until the driver says otherwise. */
void vnet_filter_reset(struct vnet_filter *f)
{
	memset(f, 0, sizeof(*f));
	f->promisc = true;
}

static bool filter_has_mac(const struct vnet_filter *f, const u8 *mac, u8 first,
			   u8 count)
{
	for (u8 i = first; i < first + count; i++) {
		if (!memcmp(f->macs[i], mac, 6))
			return true;
	}
	return false;
}

static bool filter_multicast(const struct vnet_filter *f, const u8 *mac)
{
	static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (!memcmp(mac, broadcast, 6))
		return !f->nobcast;
	if (f->nomulti)
		return false;
	return f->allmulti || f->multi_overflow ||
	       filter_has_mac(f, mac, f->uni_count, f->multi_count);
}

bool vnet_filter_accepts(const struct vnet *s, const struct net_frame *frame)
{
	const struct vnet_filter *f = &s->filter;
	u8 head[18] = { 0 };

	if (f->promisc)
		return true;
	net_frame_copy(frame, head, sizeof(head));
	if (virtio_has(&s->v, VIRTIO_NET_F_CTRL_VLAN) &&
	    get_be16(head + 12) == 0x8100) {
		u16 vid = get_be16(head + 14) & 0xfff;

		if (!(f->vlans[vid / 32] & BIT(vid % 32)))
			return false;
	}
	if (head[0] & 1)
		return filter_multicast(f, head);
	if (f->nouni)
		return false;
	return f->alluni || f->uni_overflow || !memcmp(head, s->port.mac, 6) ||
	       filter_has_mac(f, head, 0, f->uni_count);
}

/* ---- commands: the arguments start 2 bytes into the chain ---- */

static size_t ctrl_get(const struct chain *c, size_t at, void *dst, size_t len)
{
	return chain_read(c, 2 + at, dst, len);
}

static bool ctrl_rx(struct vnet *s, u8 cmd, const struct chain *c)
{
	struct vnet_filter *f = &s->filter;
	bool *const modes[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
		[VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
	};
	u8 on;

	if (cmd >= ARRAY_SIZE(modes) || ctrl_get(c, 0, &on, 1) != 1)
		return false;
	if (!virtio_has(&s->v, cmd > VIRTIO_NET_CTRL_RX_ALLMULTI
				       ? VIRTIO_NET_F_CTRL_RX_EXTRA
				       : VIRTIO_NET_F_CTRL_RX))
		return false;
	*modes[cmd] = on != 0;
	return true;
}

/* One table: a count and the addresses.  Too many: none is kept. */
static bool ctrl_mac_list(struct vnet_filter *f, const struct chain *c,
			  size_t *at, u8 first, u8 *count, bool *overflow)
{
	u8 raw[4];
	u32 n;

	if (ctrl_get(c, *at, raw, 4) != 4)
		return false;
	*at += 4;
	n = get_le32(raw);
	if (2 + *at > c->out_len || n > (c->out_len - 2 - *at) / 6)
		return false;
	*overflow = n > (u32)VNET_MACS_MAX - first;
	*count = *overflow ? 0 : n;
	ctrl_get(c, *at, f->macs[first], *count * 6);
	*at += (size_t)n * 6;
	return true;
}

static bool ctrl_mac(struct vnet *s, u8 cmd, const struct chain *c)
{
	struct vnet_filter f = s->filter;
	size_t at = 0;
	u8 mac[6];

	switch (cmd) {
	case VIRTIO_NET_CTRL_MAC_TABLE_SET:
		if (!virtio_has(&s->v, VIRTIO_NET_F_CTRL_RX) ||
		    !ctrl_mac_list(&f, c, &at, 0, &f.uni_count,
				   &f.uni_overflow) ||
		    !ctrl_mac_list(&f, c, &at, f.uni_count, &f.multi_count,
				   &f.multi_overflow))
			return false;
		s->filter = f;
		return true;
	case VIRTIO_NET_CTRL_MAC_ADDR_SET:
		if (!virtio_has(&s->v, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
		    ctrl_get(c, 0, mac, 6) != 6)
			return false;
		vnet_set_mac(s, mac);
		return true;
	default: return false;
	}
}

static bool ctrl_vlan(struct vnet *s, u8 cmd, const struct chain *c)
{
	u32 *word, bit;
	u8 raw[2];
	u16 vid;

	if (!virtio_has(&s->v, VIRTIO_NET_F_CTRL_VLAN) ||
	    ctrl_get(c, 0, raw, 2) != 2)
		return false;
	vid = get_le16(raw);
	if (vid >= 4096)
		return false;
	word = &s->filter.vlans[vid / 32];
	bit = BIT(vid % 32);
	switch (cmd) {
	case VIRTIO_NET_CTRL_VLAN_ADD: *word |= bit; return true;
	case VIRTIO_NET_CTRL_VLAN_DEL: *word &= ~bit; return true;
	default: return false;
	}
}

static bool ctrl_announce(struct vnet *s, u8 cmd)
{
	if (cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK ||
	    !virtio_has(&s->v, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return false;
	vnet_update_status(s, VIRTIO_NET_S_ANNOUNCE, 0);
	return true;
}

static bool ctrl_offloads(struct vnet *s, u8 cmd, const struct chain *c)
{
	u64 offloads;
	u8 raw[8];

	if (cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
	    !virtio_has(&s->v, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    ctrl_get(c, 0, raw, 8) != 8)
		return false;
	offloads = get_le64(raw);
	if (offloads & ~(s->v.accepted & VNET_GUEST_OFFLOADS))
		return false;
	s->guest_offloads = offloads;
	vnet_apply_offloads(s);
	return true;
}

static bool ctrl_command(struct vnet *s, const struct chain *c)
{
	u8 head[2];

	if (chain_read(c, 0, head, 2) != 2)
		return false;
	switch (head[0]) {
	case VIRTIO_NET_CTRL_RX: return ctrl_rx(s, head[1], c);
	case VIRTIO_NET_CTRL_MAC: return ctrl_mac(s, head[1], c);
	case VIRTIO_NET_CTRL_VLAN: return ctrl_vlan(s, head[1], c);
	case VIRTIO_NET_CTRL_ANNOUNCE: return ctrl_announce(s, head[1]);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return ctrl_offloads(s, head[1], c);
	default: return false;
	}
}

void vnet_handle_ctrl(struct vnet *s)
{
	struct queue *q = &s->v.queue[VNET_CTRL];
	int n = 0;

	while (n < CTRL_BURST && queue_pop(q, &s->ctrl)) {
		u8 ack = VIRTIO_NET_ERR;

		n++;
		if (s->ctrl.in_len < 1) {
			virtio_break(&s->v, "control command without room for "
					    "its answer");
			return;
		}
		if (ctrl_command(s, &s->ctrl))
			ack = VIRTIO_NET_OK;
		else
			log_guest(virtio_label(&s->v),
				  "control command refused");
		chain_write(&s->ctrl, 0, &ack, 1);
		queue_push(q, &s->ctrl, 1);
	}
	queue_notify(q);
	if (n == CTRL_BURST)
		virtio_kick(&s->v, VNET_CTRL);
}
