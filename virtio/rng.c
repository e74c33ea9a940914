/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-rng: random bytes from the host's kernel or a -object.
 *
 * max-bytes per period (milliseconds of guest time) limit what the guest may
 * draw; when they are used up its buffers wait for the next period.
 *
 * Spec: virtio 1.2 §5.4.
 * Locking: machine_lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/err.h"
#include "lib/log.h"
#include "virtio/pci.h"
#include "virtio/virtio.h"
#include "vmm/machine.h"
#include "vmm/object.h"
#include "vmm/vtimer.h"

#define RNG_QUEUE_SIZE 8
#define RNG_IOV_MAX    64
#define RNG_BYTES_MAX  65536u /* of one buffer that is filled */

struct rng {
	struct virtio v;
	struct chain c;
	struct vtimer refill;
	u64 quota;             /* bytes left in this period */
	struct object *source; /* borrowed; NULL: the kernel's generator */

	u64 max_bytes;
	u32 period_ms;
	char *object; /* owned; rng= */
};

static struct rng *rng_of(struct virtio *v)
{
	return container_of(v, struct rng, v);
}

static size_t rng_fill(struct rng *s, u64 most)
{
	size_t done = 0, got;

	for (int i = 0; i < s->c.nin && done < most; i++) {
		size_t want = MIN(s->c.in[i].iov_len, most - done);

		got = object_rng_read(s->source, s->c.in[i].iov_base, want);
		done += got;
		if (got < want)
			break;
	}
	return done;
}

static void rng_serve(struct rng *s)
{
	struct queue *q = &s->v.queue[0];
	size_t got;

	while (s->quota > 0 && queue_pop(q, &s->c)) {
		got = rng_fill(s, MIN(s->quota, RNG_BYTES_MAX));
		if (got == 0 && s->c.in_len > 0) {
			/* The source is dry: try again in the next period. */
			queue_unpop(q, &s->c);
			s->quota = 0;
			break;
		}
		s->quota -= got;
		queue_push(q, &s->c, got);
	}
	queue_notify(q);
	if (s->quota == 0 && !vtimer_armed(&s->refill))
		vtimer_set(&s->refill, vclock_now(s->v.pci.dev.m) +
					       s->period_ms * NS_PER_MS);
}

static void rng_refill(void *arg)
{
	struct rng *s = arg;

	s->quota = s->max_bytes;
	if (s->v.started)
		rng_serve(s);
}

static void rng_handle_queue(struct virtio *v, struct queue *q)
{
	struct rng *s = rng_of(v);

	/* A period starts with the first byte drawn in it. */
	if (s->max_bytes != UINT64_MAX && !vtimer_armed(&s->refill))
		vtimer_set(&s->refill,
			   vclock_now(v->pci.dev.m) + s->period_ms * NS_PER_MS);
	rng_serve(s);
}

static void rng_reset(struct virtio *v)
{
	struct rng *s = rng_of(v);

	if (s->refill.m)
		vtimer_cancel(&s->refill);
	s->quota = s->max_bytes;
}

static int rng_init(struct virtio *v, struct err *err)
{
	struct rng *s = rng_of(v);

	v->nqueues = 1;
	v->queue[0].size_max = RNG_QUEUE_SIZE;
	vtimer_init(&s->refill, v->pci.dev.m, rng_refill, s);
	s->quota = s->max_bytes;
	if (s->max_bytes == 0 || s->period_ms == 0)
		return err_set(err, -EINVAL,
			       "max-bytes and period must not be 0");
	if (s->object) {
		s->source = object_find_rng(v->pci.dev.m, s->object, err);
		if (!s->source)
			return -ENOENT;
	}
	return chain_init(&s->c, RNG_IOV_MAX);
}

static void rng_fini(struct virtio *v)
{
	struct rng *s = rng_of(v);

	chain_fini(&s->c);
	object_put(s->source);
	s->source = NULL;
}

static const struct virtio_class rng_class = {
	.name = "virtio-rng",
	.id = 4,
	.pci_legacy_id = 0x1005,
	.pci_class = 0x00ff00,
	.init = rng_init,
	.fini = rng_fini,
	.reset = rng_reset,
	.handle_queue = rng_handle_queue,
};

/* clang-format off */
static const struct option_row rng_options[] = {
	VIRTIO_OPTION_ROWS,
	{ "max-bytes", &opt_u64, offsetof(struct rng, max_bytes),
	  "18446744073709551615", "most bytes per period", NULL },
	{ "period", &opt_u32, offsetof(struct rng, period_ms), "65536",
	  "milliseconds", NULL },
	{ "rng", &opt_str, offsetof(struct rng, object), NULL,
	  "-object of type rng-*; the kernel's generator without it", NULL },
	OPTION_END,
};
/* clang-format on */

const struct device_class virtio_rng_pci_class = VIRTIO_PCI_CLASS(
	"virtio-rng-pci", "random number generator", DEVICE_MISC, struct rng,
	rng_options, NULL, &rng_class);
