/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Virtqueues as devices see them: four calls.
 *
 *	while (queue_pop(q, &chain)) {
 *		... chain.out, chain.in ...
 *		queue_push(q, &chain, written);
 *	}
 *	queue_notify(q);
 *
 * Everything about rings is behind them: split and packed layout, indirect
 * tables, event index, validation.  A descriptor is copied once and only the
 * copy is looked at.  Whatever the guest does wrong breaks the device
 * (DEVICE_NEEDS_RESET), logs the reason, and makes the calls below no-ops.
 *
 * Spec: virtio 1.2 §2.7 (split), §2.8 (packed).
 * Locking: one thread at a time per queue; today that is whoever holds
 * machine_lock.  virtio_kick() is the only lock-free entry.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "lib/loop.h"
#include "lib/types.h"

struct virtio;

#define QUEUE_SIZE_MAX      1024 /* of any ring that we offer */
#define QUEUE_NO_VECTOR     0xffff
#define QUEUE_CHAIN_LEN_MAX (4 * GIB) /* bytes, virtio 1.2 §2.7.5.2 */

/* One guest buffer: first what the device reads, then what it writes.  The
 * arrays belong to the chain's owner (chain_init()) and are reused. */
struct chain {
	struct iovec *out; /* readable by the device */
	struct iovec *in;  /* writable by the device */
	int nout, nin;
	u64 out_len, in_len; /* bytes */

	/* Below: private to virtio/queue.c. */
	struct iovec *iov; /* owned, `max` entries: out, then in */
	gpa_t *gpa;        /* owned, `max` entries: guest address of each */
	int max;
	u16 id;     /* head index or packed buffer id */
	u16 nslots; /* ring slots taken */
};

/* Room for `max` host ranges; a guest buffer with more breaks the device.
 * Devices make their chains when they are activated.  -ENOMEM. */
int chain_init(struct chain *c, int max);
/* The same in memory of the caller's: `max` entries each. */
void chain_use(struct chain *c, struct iovec *iov, gpa_t *gpa, int max);
void chain_fini(struct chain *c); /* idempotent; accepts zeroed memory */

/* Copies out of the readable / into the writable part, starting `at` bytes
 * into it; return the number of bytes, less than `len` at the end. */
size_t chain_read(const struct chain *c, size_t at, void *dst, size_t len);
size_t chain_write(const struct chain *c, size_t at, const void *src,
		   size_t len);

/* A part of the ring: host pointer when it lies in one block, else copied
 * through mem_read() and mem_write(). */
struct ring_part {
	u8 *host;
	gpa_t gpa;
	u32 len;
};

struct queue {
	struct virtio *v;
	u16 index;

	/* What the driver set through the transport; frozen once active. */
	u16 size_max; /* offered by the device; 0: no such queue */
	u16 size;
	u16 vector; /* MSI-X, QUEUE_NO_VECTOR */
	bool enabled;
	u64 desc, driver, device; /* guest addresses of the three parts */

	/* Set while active. */
	bool active;
	bool packed, event_idx, indirect;
	struct ring_part desc_part, driver_part, device_part;

	u16 last_avail; /* split: free running; packed: slot */
	u16 avail_seen; /* split: the index of the driver as read last */
	u16 used_idx;   /* same, published to the guest */
	bool avail_wrap, used_wrap; /* packed */
	u16 signalled; /* used_idx at the last interrupt decision */
	bool signalled_valid;
	bool kicks_wanted; /* the guest was told to notify us */
	u16 inflight;      /* popped, not yet published */
	u16 nstaged;       /* pushed, not yet published */
	u16 staged_slots;  /* ring slots behind those */
	u16 staged_id;     /* packed: the first one, published last */
	u16 staged_flags;
	u32 staged_len;
	u64 progress_ns; /* clock_mono_ns() of the last pop or publication */

	/* Doorbell: any thread sets `kicked` and signals the descriptor, the
	 * main loop clears it (virtio/virtio.c) and handles the queue. */
	int kick_fd;
	_Atomic bool kicked;
	struct watch kick_watch;
};

/* Takes the next buffer.  False: none is there (and the guest will notify
 * when there is one), or the device is broken. */
bool queue_pop(struct queue *q, struct chain *c);

/* Gives back the buffer popped last, as if it had not been popped.  Repeat
 * in reverse order. */
void queue_unpop(struct queue *q, const struct chain *c);

/* Returns a buffer with `written` bytes of its writable part filled.  In any
 * order.  The guest sees nothing of it before queue_notify(). */
void queue_push(struct queue *q, const struct chain *c, u32 written);

/* Publishes what was pushed, all at once, and interrupts the guest if it
 * asked for that.  Cheap when nothing was pushed. */
void queue_notify(struct queue *q);

/* How a queue gets on, for those who look at it from outside. */
enum queue_health {
	QUEUE_OFF,
	QUEUE_IDLE,     /* nothing to do */
	QUEUE_SUPPLIED, /* buffers are there for the device to take */
	QUEUE_BUSY,     /* some are in the device */
	QUEUE_STUCK,    /* ... and have been for `limit_ns` */
};

/* `ret_ns`: since the last buffer was taken or given back. */
enum queue_health queue_health(struct queue *q, u64 limit_ns, u64 *ret_ns);

/* No buffer is waiting.  A hint: tells the guest nothing. */
bool queue_empty(struct queue *q);

/* For the core: checks addresses and size and starts the ring.  -EINVAL
 * when a part is misaligned or not in RAM. */
int queue_activate(struct queue *q);
void queue_reset(struct queue *q); /* back to power-on values */

/* Bytes of the three parts for `size` entries. */
u64 queue_desc_bytes(bool packed, u16 size);
u64 queue_driver_bytes(bool packed, u16 size);
u64 queue_device_bytes(bool packed, u16 size);

#endif
