/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-balloon: takes RAM from the guest and gives it back.
 *
 * Pages in the balloon are returned to the host at once and read as zeroes
 * when the guest takes them out again.  Free page reporting does the same
 * without a target.
 *
 * Spec: virtio 1.2 §5.5.
 * Locking: machine_lock.
 */
#include "virtio/balloon.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_balloon.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/log.h"
#include "virtio/pci.h"
#include "virtio/virtio.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

#define BALLOON_QUEUE_SIZE 128
#define BALLOON_IOV_MAX    256
#define BALLOON_PFNS       256 /* looked at together */
#define BALLOON_PFN_SHIFT  VIRTIO_BALLOON_PFN_SHIFT
#define BALLOON_CONFIG(f)  offsetof(struct virtio_balloon_config, f)
#define BALLOON_STAT_BYTES 10

enum { BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_THIRD, BALLOON_FOURTH };

static const char *const balloon_stat_names[] = {
	"stat-swap-in",          "stat-swap-out",    "stat-major-faults",
	"stat-minor-faults",     "stat-free-memory", "stat-total-memory",
	"stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc",
	"stat-htlb-pgfail",
};

struct balloon {
	struct virtio v;
	struct chain c;
	struct chain stats_chain; /* held until the next poll */
	bool stats_held;
	u64 stats[ARRAY_SIZE(balloon_stat_names)];
	u32 stats_seen; /* bit per entry */
	u64 stats_ns;   /* vclock_now() of the last update; 0: none */
	struct vtimer poll;

	bool deflate_on_oom, reporting, poison;
	u32 poll_s;
};

static struct balloon *balloon_of(struct virtio *v)
{
	return container_of(v, struct balloon, v);
}

static u32 balloon_config(const struct balloon *s, u32 offset)
{
	return get_le32(s->v.config + offset);
}

/* ---- Inflating ---- */

static void balloon_give_back(struct balloon *s, u64 gpa, u64 len)
{
	if (mem_discard(&s->v.pci.dev.m->mem, gpa, len) < 0)
		log_guest(s->v.label, "0x%" PRIx64 " +0x%" PRIx64 " is no RAM",
			  gpa, len);
}

/* One buffer of page numbers; neighbours go together. */
static void balloon_inflate(struct balloon *s)
{
	u8 raw[4 * BALLOON_PFNS];
	u64 start = 0, len = 0, gpa;
	size_t at = 0, n;

	while ((n = chain_read(&s->c, at, raw, sizeof(raw))) >= 4) {
		at += n;
		for (size_t i = 0; i + 4 <= n; i += 4) {
			gpa = (u64)get_le32(raw + i) << BALLOON_PFN_SHIFT;
			if (gpa == start + len) {
				len += PAGE_SIZE;
			} else if (len > 0 && gpa + PAGE_SIZE == start) {
				start = gpa;
				len += PAGE_SIZE;
			} else {
				if (len > 0)
					balloon_give_back(s, start, len);
				start = gpa;
				len = PAGE_SIZE;
			}
		}
	}
	if (len > 0)
		balloon_give_back(s, start, len);
}

/* Free pages that the guest shows as writable buffers. */
static void balloon_report(struct balloon *s)
{
	gpa_t gpa;
	u64 len;

	/* Pages that must keep a pattern cannot go. */
	if (virtio_has(&s->v, VIRTIO_BALLOON_F_PAGE_POISON) &&
	    balloon_config(s, BALLOON_CONFIG(poison_val)))
		return;
	for (int i = 0; i < s->c.nin; i++) {
		gpa = ALIGN_UP(s->c.gpa[s->c.nout + i], PAGE_SIZE);
		len = s->c.gpa[s->c.nout + i] + s->c.in[i].iov_len;
		len = len > gpa ? ALIGN_DOWN(len - gpa, PAGE_SIZE) : 0;
		if (len > 0)
			balloon_give_back(s, gpa, len);
	}
}

/* ---- Statistics ---- */

static void balloon_read_stats(struct balloon *s)
{
	u8 raw[BALLOON_STAT_BYTES];
	u16 tag;

	s->stats_seen = 0;
	for (size_t at = 0; at < 64 * BALLOON_STAT_BYTES; at += sizeof(raw)) {
		if (chain_read(&s->stats_chain, at, raw, sizeof(raw)) <
		    sizeof(raw))
			break;
		tag = get_le16(raw);
		if (tag >= ARRAY_SIZE(s->stats))
			continue;
		s->stats[tag] = get_le64(raw + 2);
		s->stats_seen |= BIT(tag);
	}
	s->stats_ns = vclock_now(s->v.pci.dev.m);
}

static void balloon_handle_stats(struct balloon *s, struct queue *q)
{
	/* The guest has one buffer; a second one replaces it. */
	while (!queue_empty(q)) {
		if (s->stats_held)
			queue_push(q, &s->stats_chain, 0);
		s->stats_held = queue_pop(q, &s->stats_chain);
		if (!s->stats_held)
			break;
		balloon_read_stats(s);
	}
	queue_notify(q);
	if (s->poll_s && s->stats_held)
		vtimer_set(&s->poll,
			   vclock_now(s->v.pci.dev.m) + s->poll_s * NS_PER_S);
}

/* Returning the buffer asks for fresh numbers. */
static void balloon_poll(void *arg)
{
	struct balloon *s = arg;
	struct queue *q = &s->v.queue[BALLOON_THIRD];

	if (!s->stats_held || !s->v.started)
		return;
	s->stats_held = false;
	queue_push(q, &s->stats_chain, 0);
	queue_notify(q);
}

/* ---- Queues ---- */

/* Queues of features that were not agreed on do not exist, and the later
 * ones move up, virtio 1.2 §5.5.2. */
static void balloon_handle_queue(struct virtio *v, struct queue *q)
{
	struct balloon *s = balloon_of(v);
	bool stats = virtio_has(v, VIRTIO_BALLOON_F_STATS_VQ);

	if (q->index == BALLOON_THIRD && stats) {
		balloon_handle_stats(s, q);
		return;
	}
	while (queue_pop(q, &s->c)) {
		if (q->index == BALLOON_INFLATE)
			balloon_inflate(s);
		else if (q->index != BALLOON_DEFLATE &&
			 virtio_has(v, VIRTIO_BALLOON_F_REPORTING))
			balloon_report(s);
		queue_push(q, &s->c, 0);
	}
	queue_notify(q);
}

/* What the guest is left with when `pages` are in the balloon. */
static u64 balloon_left(const struct machine *m, u32 pages)
{
	return m->ram_size - MIN((u64)pages << BALLOON_PFN_SHIFT, m->ram_size);
}

static void balloon_tell(struct machine *m, u32 pages)
{
	const struct event_value v = { .num = (s64)balloon_left(m, pages) };

	event_send(m, EVENT_BALLOON_CHANGE, &v);
}

static void balloon_config_write(struct virtio *v, u32 offset, u32 len,
				 u64 value)
{
	u32 old = balloon_config(balloon_of(v), BALLOON_CONFIG(actual));

	if (len != 4 || (offset != BALLOON_CONFIG(actual) &&
			 offset != BALLOON_CONFIG(poison_val))) {
		log_guest(v->label, "write to read-only configuration");
		return;
	}
	put_le32(v->config + offset, value);
	if (offset == BALLOON_CONFIG(actual) && value != old)
		balloon_tell(v->pci.dev.m, value);
}

static void balloon_reset(struct virtio *v)
{
	struct balloon *s = balloon_of(v);

	if (s->poll.m)
		vtimer_cancel(&s->poll);
	s->stats_held = false;
	s->stats_seen = 0;
	s->stats_ns = 0;
	put_le32(v->config + BALLOON_CONFIG(actual), 0);
	put_le32(v->config + BALLOON_CONFIG(poison_val), 0);
}

static int balloon_init(struct virtio *v, struct err *err)
{
	struct balloon *s = balloon_of(v);
	int r;

	for (struct virtio *o = virtio_next(v->pci.dev.m, NULL); o;
	     o = virtio_next(v->pci.dev.m, o))
		if (o != v && o->class == v->class)
			return err_set(err, -EEXIST,
				       "Only one balloon device is supported");
	v->nqueues = s->reporting ? 4 : 3;
	for (int i = 0; i < v->nqueues; i++)
		v->queue[i].size_max = BALLOON_QUEUE_SIZE;
	v->offered |= BIT(VIRTIO_BALLOON_F_STATS_VQ);
	if (s->deflate_on_oom)
		v->offered |= BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	if (s->reporting)
		v->offered |= BIT(VIRTIO_BALLOON_F_REPORTING);
	if (s->reporting && s->poison)
		v->offered |= BIT(VIRTIO_BALLOON_F_PAGE_POISON);
	vtimer_init(&s->poll, v->pci.dev.m, balloon_poll, s);
	r = chain_init(&s->c, BALLOON_IOV_MAX);
	return r < 0 ? r : chain_init(&s->stats_chain, BALLOON_IOV_MAX);
}

static void balloon_fini(struct virtio *v)
{
	struct balloon *s = balloon_of(v);

	chain_fini(&s->c);
	chain_fini(&s->stats_chain);
}

static void balloon_info(struct virtio *v, struct buf *out)
{
	struct balloon *s = balloon_of(v);

	buf_printf(out, "target %u pages, actual %u pages\n",
		   balloon_config(s, BALLOON_CONFIG(num_pages)),
		   balloon_config(s, BALLOON_CONFIG(actual)));
}

static const struct virtio_class balloon_class = {
	.name = "virtio-balloon",
	.id = 5,
	.pci_legacy_id = 0x1002,
	.pci_class = 0x00ff00,
	.config_size = sizeof(struct virtio_balloon_config),
	.keeps = BIT(2), /* of statistics */
	.init = balloon_init,
	.fini = balloon_fini,
	.reset = balloon_reset,
	.handle_queue = balloon_handle_queue,
	.config_write = balloon_config_write,
	.info = balloon_info,
};

/* ---- Monitor ---- */

static struct balloon *balloon_find(struct machine *m, struct err *err)
{
	struct virtio *v = virtio_next(m, NULL);

	while (v && v->class != &balloon_class)
		v = virtio_next(m, v);
	if (!v)
		err_set(err, -ENODEV, "No balloon device has been activated");
	return v ? balloon_of(v) : NULL;
}

int balloon_set_target(struct machine *m, u64 bytes, struct err *err)
{
	struct balloon *s = balloon_find(m, err);

	if (!s)
		return -ENODEV;
	if (bytes == 0)
		return err_set(err, -EINVAL,
			       "Parameter 'target' expects a size");
	bytes = MIN(bytes, m->ram_size);
	put_le32(s->v.config + BALLOON_CONFIG(num_pages),
		 (m->ram_size - bytes) >> BALLOON_PFN_SHIFT);
	virtio_config_changed(&s->v);
	return 0;
}

int balloon_actual(struct machine *m, u64 *ret, struct err *err)
{
	struct balloon *s = balloon_find(m, err);

	if (!s)
		return -ENODEV;
	*ret = balloon_left(m, balloon_config(s, BALLOON_CONFIG(actual)));
	return 0;
}

int balloon_stats(struct machine *m, balloon_stat_fn *fn, void *arg,
		  u64 *ret_age_ns, struct err *err)
{
	struct balloon *s = balloon_find(m, err);

	if (!s)
		return -ENODEV;
	if (!s->stats_seen)
		return err_set(err, -ENODATA,
			       "the guest has not sent statistics (yet)");
	for (size_t i = 0; i < ARRAY_SIZE(balloon_stat_names); i++)
		if (s->stats_seen & BIT(i))
			fn(arg, balloon_stat_names[i], s->stats[i]);
	*ret_age_ns = vclock_now(m) - s->stats_ns;
	balloon_poll(s);
	return 0;
}

/* clang-format off */
static const struct option_row balloon_options[] = {
	VIRTIO_OPTION_ROWS,
	{ "deflate-on-oom", &opt_bool,
	  offsetof(struct balloon, deflate_on_oom), "off",
	  "the guest may take pages back when it runs out", NULL },
	{ "free-page-reporting", &opt_bool,
	  offsetof(struct balloon, reporting), "off",
	  "the guest gives back free pages by itself", NULL },
	{ "page-poison", &opt_bool, offsetof(struct balloon, poison), "on",
	  "with free-page-reporting: ask for the fill pattern", NULL },
	{ "guest-stats-polling-interval", &opt_u32,
	  offsetof(struct balloon, poll_s), "0", "seconds; 0: never", NULL },
	OPTION_END,
};
/* clang-format on */

const struct device_class virtio_balloon_pci_class =
	VIRTIO_PCI_CLASS("virtio-balloon-pci", "memory balloon", DEVICE_MISC,
			 struct balloon, balloon_options, NULL, &balloon_class);
