/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-serial: a controller with up to 31 ports; virtconsole and
 * virtserialport: the ports, each with a chardev.
 *
 * Port 0 is the console that a driver without VIRTIO_CONSOLE_F_MULTIPORT
 * sees.  Messages on the control queue wait in `pending` until the guest has
 * a buffer for them.
 *
 * Spec: virtio 1.2 §5.3.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "virtio/pci.h"
#include "virtio/virtio.h"
#include "vmm/device.h"
#include "vmm/event.h"
#include "vmm/machine.h"

#define VSER_PORTS       31
#define VSER_QUEUE_SIZE  128
#define VSER_IOV_MAX     130
#define VSER_CONTROL_IN  2 /* to the guest */
#define VSER_CONTROL_OUT 3
#define VSER_MESSAGE     8 /* bytes */
#define VSER_PENDING     (8 * VSER_PORTS)
#define VSER_NAME_MAX    64
#define VSER_PIECE       4096
#define VSER_CONFIG(f)   offsetof(struct virtio_console_config, f)

struct vport;

struct vser_message {
	u32 port;
	u16 event, value;
};

struct vser {
	struct virtio v;
	struct vport *port[VSER_PORTS]; /* borrowed; they unlink themselves */
	struct chain control;
	struct vser_message pending[VSER_PENDING]; /* ring */
	int first, count;
	bool driver_ready; /* DEVICE_READY was received */
	u32 max_ports;
	bool emergency_write;
};

struct vport {
	struct device dev;
	struct vser *s; /* NULL once the controller is gone */
	u32 nr;         /* UINT32_MAX in options: first free */
	struct chardev *chr;
	char *name, *bus; /* owned */
	bool console;
	bool guest_open, host_open;
	struct chain tx; /* being written out, while tx_held */
	struct chain rx; /* next one to fill, while rx_held */
	bool tx_held, rx_held;
	size_t tx_at; /* bytes of tx written */
};

static struct vser *vser_of(struct virtio *v)
{
	return container_of(v, struct vser, v);
}

static struct vport *vport_of(struct device *dev)
{
	return container_of(dev, struct vport, dev);
}

/* Port 0 has the first two queues, the control queues come next. */
static int vport_rx_index(u32 nr)
{
	return nr == 0 ? 0 : 2 + 2 * nr;
}

static struct queue *vport_rx(struct vport *p)
{
	return &p->s->v.queue[vport_rx_index(p->nr)];
}

static struct queue *vport_tx(struct vport *p)
{
	return &p->s->v.queue[vport_rx_index(p->nr) + 1];
}

static bool vser_multiport(const struct vser *s)
{
	return virtio_has(&s->v, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* ---- Control messages to the guest ---- */

static bool vser_send_one(struct vser *s, const struct vser_message *msg)
{
	struct queue *q = &s->v.queue[VSER_CONTROL_IN];
	struct vport *p = s->port[msg->port];
	u8 raw[VSER_MESSAGE + VSER_NAME_MAX];
	size_t len = VSER_MESSAGE;

	if (!queue_pop(q, &s->control))
		return false;
	put_le32(raw, msg->port);
	put_le16(raw + 4, msg->event);
	put_le16(raw + 6, msg->value);
	if (msg->event == VIRTIO_CONSOLE_PORT_NAME && p && p->name) {
		size_t n = strnlen(p->name, VSER_NAME_MAX);

		memcpy(raw + len, p->name, n);
		len += n;
	}
	queue_push(q, &s->control, chain_write(&s->control, 0, raw, len));
	return true;
}

static void vser_flush(struct vser *s)
{
	if (!s->v.started)
		return;
	while (s->count > 0 && vser_send_one(s, &s->pending[s->first])) {
		s->first = (s->first + 1) % VSER_PENDING;
		s->count--;
	}
	queue_notify(&s->v.queue[VSER_CONTROL_IN]);
}

static void vser_send(struct vser *s, u32 port, u16 event, u16 value)
{
	int at = (s->first + s->count) % VSER_PENDING;

	if (!s->driver_ready)
		return;
	if (s->count == VSER_PENDING) {
		log_guest(s->v.label, "takes no control messages");
		return;
	}
	s->pending[at] = (struct vser_message){ port, event, value };
	s->count++;
	vser_flush(s);
}

/* ---- Data to the host ---- */

/* Writes out the held buffer; true when all of it went. */
static bool vport_write_held(struct vport *p)
{
	u8 piece[VSER_PIECE];
	size_t n, took;

	while ((n = chain_read(&p->tx, p->tx_at, piece, sizeof(piece))) > 0) {
		took = chr_write(p->chr, piece, n);
		p->tx_at += took;
		if (took < n)
			return false;
	}
	return true;
}

static void vport_transmit(struct vport *p)
{
	struct queue *q = vport_tx(p);

	while (p->tx_held || queue_pop(q, &p->tx)) {
		if (!p->tx_held)
			p->tx_at = 0;
		p->tx_held = !vport_write_held(p);
		if (p->tx_held)
			break; /* CHR_WRITABLE goes on */
		queue_push(q, &p->tx, 0);
	}
	queue_notify(q);
}

/* ---- Data from the host ---- */

static size_t vport_can_read(void *opaque)
{
	struct vport *p = opaque;

	if (!p->s || !p->s->v.started || !run_state_running(p->dev.m) ||
	    (vser_multiport(p->s) && !p->guest_open))
		return 0;
	while (!p->rx_held && queue_pop(vport_rx(p), &p->rx)) {
		p->rx_held = p->rx.in_len > 0;
		if (!p->rx_held)
			queue_push(vport_rx(p), &p->rx, 0);
	}
	return p->rx_held ? p->rx.in_len : 0;
}

static void vport_read(void *opaque, const u8 *data, size_t len)
{
	struct vport *p = opaque;

	while (len > 0 && vport_can_read(p) > 0) {
		size_t n = chain_write(&p->rx, 0, data, len);

		queue_push(vport_rx(p), &p->rx, n);
		p->rx_held = false;
		data += n;
		len -= n;
	}
	if (p->s)
		queue_notify(vport_rx(p));
}

static void vport_set_guest_open(struct vport *p, bool open)
{
	const struct event_value v[] = { { .text = p->dev.id },
					 { .num = open } };

	if (p->guest_open == open)
		return;
	p->guest_open = open;
	if (p->dev.id)
		event_send(p->dev.m, EVENT_VSERPORT_CHANGE, v);
}

static void vport_set_host_open(struct vport *p, bool open)
{
	if (p->host_open == open)
		return;
	p->host_open = open;
	if (p->s)
		vser_send(p->s, p->nr, VIRTIO_CONSOLE_PORT_OPEN, open);
}

static void vport_event(void *opaque, enum chr_event event)
{
	struct vport *p = opaque;

	switch (event) {
	case CHR_OPENED: vport_set_host_open(p, true); break;
	case CHR_CLOSED:
		/* A console stays: it has no carrier. */
		if (!p->console)
			vport_set_host_open(p, false);
		break;
	case CHR_WRITABLE:
		if (p->s && p->s->v.started && p->tx_held)
			vport_transmit(p);
		break;
	default: break;
	}
}

static void vport_change(void *opaque, struct chardev *chr)
{
	((struct vport *)opaque)->chr = chr;
}

static const struct chr_front vport_front = {
	.can_read = vport_can_read,
	.read = vport_read,
	.event = vport_event,
	.change = vport_change,
};

/* ---- Control messages from the guest ---- */

static void vser_announce(struct vser *s, struct vport *p)
{
	if (p->console)
		vser_send(s, p->nr, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	if (p->name)
		vser_send(s, p->nr, VIRTIO_CONSOLE_PORT_NAME, 1);
	if (p->host_open)
		vser_send(s, p->nr, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void vser_receive(struct vser *s, u32 nr, u16 event, u16 value)
{
	struct vport *p = nr < s->max_ports ? s->port[nr] : NULL;

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		s->driver_ready = value == 1;
		for (u32 i = 0; s->driver_ready && i < s->max_ports; i++)
			if (s->port[i])
				vser_send(s, i, VIRTIO_CONSOLE_PORT_ADD, 1);
		return;
	}
	if (!p) {
		log_guest(s->v.label, "control message %u for no port %u",
			  event, nr);
		return;
	}
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		if (value == 1)
			vser_announce(s, p);
		else
			log_guest(s->v.label, "cannot use port %u", nr);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		vport_set_guest_open(p, value);
		if (p->guest_open)
			chr_accept_input(p->chr);
		break;
	default: log_guest(s->v.label, "control message %u", event);
	}
}

static void vser_control(struct vser *s, struct queue *q)
{
	u8 raw[VSER_MESSAGE];

	while (queue_pop(q, &s->control)) {
		bool whole = chain_read(&s->control, 0, raw, sizeof(raw)) ==
			     sizeof(raw);

		queue_push(q, &s->control, 0);
		if (whole)
			vser_receive(s, get_le32(raw), get_le16(raw + 4),
				     get_le16(raw + 6));
	}
	queue_notify(q);
}

/* ---- The controller ---- */

static void vser_handle_queue(struct virtio *v, struct queue *q)
{
	struct vser *s = vser_of(v);
	struct vport *p;
	u32 nr;

	if (q->index == VSER_CONTROL_IN) {
		vser_flush(s);
		return;
	}
	if (q->index == VSER_CONTROL_OUT) {
		vser_control(s, q);
		return;
	}
	nr = q->index < 2 ? 0 : q->index / 2 - 1;
	p = nr < s->max_ports ? s->port[nr] : NULL;
	if (!p) { /* nobody there: output goes nowhere */
		while (q->index & 1 && queue_pop(q, &s->control))
			queue_push(q, &s->control, 0);
		queue_notify(q);
	} else if (q->index & 1) {
		vport_transmit(p);
	} else {
		chr_accept_input(p->chr);
	}
}

static void vser_config_write(struct virtio *v, u32 offset, u32 len, u64 value)
{
	struct vser *s = vser_of(v);
	u8 byte = value;

	if (offset == VSER_CONFIG(emerg_wr) && s->emergency_write) {
		if (s->port[0])
			chr_write(s->port[0]->chr, &byte, 1);
		return;
	}
	log_guest(v->label, "write to read-only configuration");
}

static void vser_reset(struct virtio *v)
{
	struct vser *s = vser_of(v);

	s->driver_ready = false;
	s->first = 0;
	s->count = 0;
	for (u32 i = 0; i < VSER_PORTS; i++) {
		if (!s->port[i])
			continue;
		vport_set_guest_open(s->port[i], false);
		s->port[i]->tx_held = false;
		s->port[i]->rx_held = false;
	}
}

static int vser_activate(struct virtio *v)
{
	struct vser *s = vser_of(v);

	for (u32 i = 0; i < s->max_ports; i++)
		if (s->port[i])
			chr_accept_input(s->port[i]->chr);
	return 0;
}

static int vser_init(struct virtio *v, struct err *err)
{
	struct vser *s = vser_of(v);

	if (s->max_ports < 1 || s->max_ports > VSER_PORTS)
		return err_set(err, -EINVAL, "max_ports=%u: not 1 to %d",
			       s->max_ports, VSER_PORTS);
	v->nqueues = 2 + 2 * s->max_ports;
	for (int i = 0; i < v->nqueues; i++)
		v->queue[i].size_max = VSER_QUEUE_SIZE;
	/* Drivers share one vector among the queues when there are few. */
	if (v->opt_vectors == UINT32_MAX)
		v->opt_vectors = 2;
	v->offered |= BIT(VIRTIO_CONSOLE_F_MULTIPORT);
	if (s->emergency_write)
		v->offered |= BIT(VIRTIO_CONSOLE_F_EMERG_WRITE);
	put_le32(v->config + VSER_CONFIG(max_nr_ports), s->max_ports);
	return chain_init(&s->control, VSER_IOV_MAX);
}

static void vser_fini(struct virtio *v)
{
	struct vser *s = vser_of(v);

	for (u32 i = 0; i < VSER_PORTS; i++)
		if (s->port[i])
			s->port[i]->s = NULL;
	chain_fini(&s->control);
}

static const struct virtio_class vser_class = {
	.name = "virtio-serial",
	.id = 3,
	.pci_legacy_id = 0x1003,
	.pci_class = 0x078000,
	.config_size = sizeof(struct virtio_console_config),
	.init = vser_init,
	.fini = vser_fini,
	.activate = vser_activate,
	.reset = vser_reset,
	.handle_queue = vser_handle_queue,
	.config_write = vser_config_write,
};

/* clang-format off */
static const struct option_row vser_options[] = {
	VIRTIO_OPTION_ROWS,
	{ "max_ports", &opt_u32, offsetof(struct vser, max_ports), "31",
	  "1 to 31", NULL },
	{ "emergency-write", &opt_bool, offsetof(struct vser, emergency_write),
	  "on", "offer output through a register", NULL },
	OPTION_END,
};
/* clang-format on */

const struct device_class virtio_serial_pci_class = VIRTIO_PCI_CLASS(
	"virtio-serial-pci", "controller of virtio consoles", DEVICE_INPUT,
	struct vser, vser_options, NULL, &vser_class);

/* ---- Ports ---- */

/* The controller named by bus= ("ID.0"), or the first with a free port. */
static struct vser *vport_find_bus(struct vport *p, struct err *err)
{
	struct virtio *v = NULL;
	const char *id;
	size_t len;

	while ((v = virtio_next(p->dev.m, v))) {
		if (v->class != &vser_class)
			continue;
		id = v->pci.dev.id ? v->pci.dev.id : "virtio-serial-bus";
		len = strlen(id);
		if (!p->bus || (!strncmp(p->bus, id, len) &&
				(!p->bus[len] || !strcmp(p->bus + len, ".0"))))
			return vser_of(v);
	}
	if (p->bus)
		err_set(err, -ENOENT, "Bus '%s' not found", p->bus);
	else
		err_set(err, -ENOENT,
			"No 'virtio-serial-bus' bus found for device '%s'; "
			"add '-device virtio-serial-pci' before it",
			p->dev.class->name);
	return NULL;
}

static int vport_choose_nr(struct vport *p, struct vser *s, struct err *err)
{
	/* Port 0 is for consoles: old drivers know no other. */
	u32 nr = p->console ? 0 : 1;

	if (p->nr != UINT32_MAX) {
		nr = p->nr;
		if (nr >= s->max_ports)
			return err_set(err, -EINVAL, "nr=%u: not 0 to %u", nr,
				       s->max_ports - 1);
		if (nr == 0 && !p->console)
			return err_set(err, -EINVAL,
				       "Port number 0 on virtio-serial devices "
				       "reserved for virtconsole devices for "
				       "backward compatibility.");
		if (s->port[nr])
			return err_set(err, -EBUSY, "port %u is taken", nr);
	}
	while (nr < s->max_ports && s->port[nr])
		nr++;
	if (nr >= s->max_ports)
		return err_set(err, -ENOSPC, "no free port");
	p->nr = nr;
	return 0;
}

static int vport_init(struct device *dev, struct err *err)
{
	struct vport *p = vport_of(dev);
	struct vser *s = vport_find_bus(p, err);
	int r;

	if (!s)
		return -ENOENT;
	if (p->name && strlen(p->name) > VSER_NAME_MAX)
		return err_set(err, -EINVAL, "name is longer than %d bytes",
			       VSER_NAME_MAX);
	r = vport_choose_nr(p, s, err);
	if (r == 0)
		r = chain_init(&p->tx, VSER_IOV_MAX);
	if (r == 0)
		r = chain_init(&p->rx, VSER_IOV_MAX);
	if (r < 0)
		return r;
	p->host_open = p->console;
	if (p->chr) {
		r = chr_attach(p->chr, &vport_front, p, err);
		if (r < 0)
			return r;
	}
	p->s = s;
	s->port[p->nr] = p;
	vser_send(s, p->nr, VIRTIO_CONSOLE_PORT_ADD, 1);
	return 0;
}

static int virtconsole_init(struct device *dev, struct err *err)
{
	vport_of(dev)->console = true;
	return vport_init(dev, err);
}

static void vport_fini(struct device *dev)
{
	struct vport *p = vport_of(dev);

	chr_detach(p->chr, p);
	if (p->s) {
		/* What it holds goes back to the guest. */
		if (p->tx_held)
			queue_push(vport_tx(p), &p->tx, 0);
		if (p->rx_held)
			queue_push(vport_rx(p), &p->rx, 0);
		queue_notify(vport_tx(p));
		queue_notify(vport_rx(p));
		p->s->port[p->nr] = NULL;
		vser_send(p->s, p->nr, VIRTIO_CONSOLE_PORT_REMOVE, 1);
	}
	chain_fini(&p->tx);
	chain_fini(&p->rx);
}

static void vport_info(struct device *dev, struct buf *out)
{
	struct vport *p = vport_of(dev);

	buf_printf(out, "port %u, guest %s, host %s\n", p->nr,
		   p->guest_open ? "on" : "off", p->host_open ? "on" : "off");
}

/* clang-format off */
static const struct option_row vport_options[] = {
	{ "chardev", &opt_chardev, offsetof(struct vport, chr), NULL,
	  "where the bytes go and come from", NULL },
	{ "name", &opt_str, offsetof(struct vport, name), NULL,
	  "/dev/virtio-ports/NAME in the guest", NULL },
	{ "nr", &opt_u32, offsetof(struct vport, nr), "4294967295",
	  "port number; 4294967295: first free", NULL },
	{ "bus", &opt_str, offsetof(struct vport, bus), NULL,
	  "controller, as ID.0", NULL },
	OPTION_END,
};
/* clang-format on */

const struct device_class virtconsole_class = {
	.name = "virtconsole",
	.desc = "console on a virtio-serial controller",
	.bus = BUS_VIRTIO_SERIAL,
	.group = DEVICE_INPUT,
	.size = sizeof(struct vport),
	.user = true,
	.hotplug = true,
	.options = vport_options,
	.init = virtconsole_init,
	.fini = vport_fini,
	.info = vport_info,
};

const struct device_class virtserialport_class = {
	.name = "virtserialport",
	.desc = "named byte stream on a virtio-serial controller",
	.bus = BUS_VIRTIO_SERIAL,
	.group = DEVICE_INPUT,
	.size = sizeof(struct vport),
	.user = true,
	.hotplug = true,
	.options = vport_options,
	.init = vport_init,
	.fini = vport_fini,
	.info = vport_info,
};
