/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: writing, zeroing, discarding.
 *
 * A write to clusters of our own goes straight to them.  Else new clusters
 * are allocated, filled (with what they had around the new data), and only
 * then entered into the L2 table; what was there before is given back later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/iov.h"

#define WRITE_ZERO_PIECE (64 * KIB)

/* One step of a write: where a part of it goes. */
struct write_step {
	u64 offset, bytes; /* on the disk */
	u64 host;          /* in the file, for `offset` */
	u64 head, tail;    /* bytes around it that are written with it */
	u64 clusters;      /* to be entered; 0: they are, and hold data */
	u64 allocated;     /* of them new, from `host` (rounded down) on */
	bool fresh;        /* the new ones are zero */
};

/* ---- Planning ---- */

static bool write_is_own(struct qcow2_entry e)
{
	return e.desc & QCOW2_COPIED && e.desc & QCOW2_OFFSET &&
	       !(e.desc & QCOW2_COMPRESSED);
}

/* What a new cluster has to take over from the old one as a whole. */
static bool write_has_content(const struct qcow2 *s, struct qcow2_entry e)
{
	if (e.desc & QCOW2_COMPRESSED)
		return true;
	return s->subs > 1 && e.desc & QCOW2_OFFSET;
}

static u64 write_head(const struct qcow2 *s, struct qcow2_entry e, u64 offset)
{
	u64 unit =
		write_has_content(s, e) ? s->cluster_size : 1ULL << s->sub_bits;

	return offset & (unit - 1);
}

static u64 write_tail(const struct qcow2 *s, struct qcow2_entry e, u64 end)
{
	u64 unit =
		write_has_content(s, e) ? s->cluster_size : 1ULL << s->sub_bits;

	return -end & (unit - 1);
}

/* Within a cluster of our own that does not hold data everywhere: fills the
 * subclusters at both ends of the request. */
static int write_plan_fill(struct qcow2 *s, struct qcow2_entry e,
			   struct write_step *w)
{
	u64 in = w->offset & (s->cluster_size - 1);
	u32 first = in >> s->sub_bits, last;
	u64 unit = 1ULL << s->sub_bits;

	w->bytes = MIN(w->bytes, s->cluster_size - in);
	last = (in + w->bytes - 1) >> s->sub_bits;
	w->host = (e.desc & QCOW2_OFFSET) + in;
	w->clusters = 1;
	if (qcow2_entry_kind(s, e, first) != QCOW2_DATA)
		w->head = in & (unit - 1);
	if (qcow2_entry_kind(s, e, last) != QCOW2_DATA)
		w->tail = -(in + w->bytes) & (unit - 1);
	return 0;
}

static int write_plan_new(struct qcow2 *s, const u8 *data, u32 entries,
			  struct write_step *w) REQUIRES(s->lock)
{
	struct qcow2_entry e = qcow2_entry_read(s, data), last = e;
	u64 in = w->offset & (s->cluster_size - 1);
	u64 want = (in + w->bytes + s->cluster_size - 1) >> s->cluster_bits;
	u64 n = 1, host;
	int r;

	for (want = MIN(want, entries); n < want; n++)
		if (write_is_own(
			    qcow2_entry_read(s, data + n * s->entry_bytes)))
			break;
	r = qcow2_alloc(s, n, &host, &n, &w->fresh);
	if (r < 0)
		return r;
	last = qcow2_entry_read(s, data + (n - 1) * s->entry_bytes);
	w->bytes = MIN(w->bytes, (n << s->cluster_bits) - in);
	w->host = host + in;
	w->clusters = w->allocated = n;
	w->head = write_head(s, e, w->offset);
	w->tail = write_tail(s, last, w->offset + w->bytes);
	return 0;
}

static int write_plan(struct qcow2 *s, struct write_step *w) REQUIRES(s->lock)
{
	struct qcow2_extent x = { 0 };
	struct qcow2_slice *slice;
	struct qcow2_entry e;
	u32 entries;
	u8 *data;
	int r = qcow2_entry_to_write(s, w->offset, &slice, &data);

	if (r == 0)
		r = qcow2_map_locked(s, w->offset, w->bytes, &x);
	if (r < 0)
		return r;
	if (x.kind == QCOW2_BAD)
		return qcow2_broken(s, "an L2 entry");
	if (x.kind == QCOW2_DATA && x.copied) {
		w->bytes = x.bytes;
		w->host = x.host;
		return 0;
	}
	e = qcow2_entry_read(s, data);
	if (write_is_own(e))
		return write_plan_fill(s, e, w);
	entries = (slice->data + s->l2.bytes - data) / s->entry_bytes;
	/* The slice may leave the cache while clusters are looked for, but
	 * what it says cannot change: the request has these clusters. */
	u8 copy[4096];

	memcpy(copy, data, entries * s->entry_bytes);
	return write_plan_new(s, copy, entries, w);
}

/* ---- Moving data ---- */

static int write_read_zero(struct qcow2 *s, u64 offset, u64 bytes, bool *ret)
{
	struct qcow2_extent x;
	int r = 0;

	*ret = true;
	for (u64 at = 0; at < bytes && r == 0 && *ret; at += x.bytes) {
		r = qcow2_map(s, offset + at, bytes - at, &x);
		if (r < 0)
			break;
		*ret = x.kind == QCOW2_ZEROES ||
		       (x.kind == QCOW2_UNALLOCATED &&
			(!s->backing || offset + at >= s->backing->size));
	}
	return r;
}

/* What is on the disk now, for the surroundings of a write. */
static int write_old(struct qcow2 *s, u64 offset, u8 *buf, u64 bytes)
{
	struct iovec iov = { buf, bytes };
	struct block_req r = {
		.op = BLOCK_READ,
		.iov = &iov,
		.niov = 1,
		.offset = offset,
		.bytes = bytes,
	};

	return bytes ? qcow2_execute(&s->node, &r) : 0;
}

/* Zeroes around data in a fresh cluster need not be written. */
static int write_trim(struct qcow2 *s, struct write_step *w)
{
	bool zero;
	int r = 0;

	if (!w->fresh)
		return 0;
	if (w->head) {
		r = write_read_zero(s, w->offset - w->head, w->head, &zero);
		if (r == 0 && zero)
			w->head = 0;
	}
	if (r == 0 && w->tail) {
		r = write_read_zero(s, w->offset + w->bytes, w->tail, &zero);
		if (r == 0 && zero)
			w->tail = 0;
	}
	return r;
}

/* `part` has two entries more than the vector of the request. */
static int write_data(struct qcow2 *s, const struct write_step *w,
		      const struct iovec *iov, int niov, struct iovec *part,
		      u64 at)
{
	u8 *buf = malloc(w->head + w->tail + 1);
	int r = buf ? 0 : -ENOMEM, n = 0;

	if (r == 0)
		r = write_old(s, w->offset - w->head, buf, w->head);
	if (r == 0)
		r = write_old(s, w->offset + w->bytes, buf + w->head, w->tail);
	if (r == 0 && w->head)
		part[n++] = (struct iovec){ buf, w->head };
	if (r == 0)
		r = iov_slice(iov, niov, at, w->bytes, part + n, niov);
	if (r >= 0) {
		n += r;
		if (w->tail)
			part[n++] = (struct iovec){ buf + w->head, w->tail };
		r = node_rw(s->file, BLOCK_WRITE, part, n, w->host - w->head,
			    w->head + w->bytes + w->tail);
	}
	free(buf);
	return r;
}

/* ---- Entering ---- */

/* Gives back what an entry had for itself, but not `keep`. */
static void write_release(struct qcow2 *s, struct qcow2_entry e, u64 keep)
	REQUIRES(s->lock)
{
	u64 offset = e.desc & QCOW2_OFFSET, bytes = s->cluster_size;

	if (e.desc & QCOW2_COMPRESSED) {
		qcow2_packed_range(s, e.desc, &offset, &bytes);
		qcow2_forget_packed(s);
	} else if (offset & (s->cluster_size - 1)) {
		return;
	}
	if (offset && offset != keep)
		qcow2_free_later(s, offset, bytes);
}

void qcow2_entry_replace(struct qcow2 *s, struct qcow2_slice *slice, u8 *data,
			 struct qcow2_entry e)
{
	struct qcow2_entry old = qcow2_entry_read(s, data);

	if (e.desc == old.desc && e.bitmap == old.bitmap)
		return;
	qcow2_entry_write(s, slice, data, e);
	write_release(s, old, e.desc & QCOW2_OFFSET);
}

/* Subclusters of the cluster at `start` that [from, to) covers, as bits. */
static u64 write_subs(const struct qcow2 *s, u64 start, u64 from, u64 to)
{
	u64 unit = 1ULL << s->sub_bits;
	u64 end = start + s->cluster_size;
	u32 first, last;

	from = MAX(from, start) - start;
	to = MIN(to, end) - start;
	first = from >> s->sub_bits;
	last = (to + unit - 1) >> s->sub_bits;
	return ((1ULL << last) - 1) & ~((1ULL << first) - 1);
}

static int write_enter(struct qcow2 *s, const struct write_step *w, u64 from,
		       u64 to) REQUIRES(s->lock)
{
	u64 start = w->offset & ~(s->cluster_size - 1);
	u64 host = w->host & ~(s->cluster_size - 1);
	struct qcow2_slice *slice;
	u8 *data;
	int r = qcow2_entry_to_write(s, start, &slice, &data);

	/* What was flushed before is in the new place only. */
	s->unsynced = true;
	for (u64 i = 0; i < w->clusters && r == 0; i++) {
		struct qcow2_entry old = qcow2_entry_read(s, data), e;
		u64 bits = write_subs(s, start, from, to);

		e.desc = host | QCOW2_COPIED;
		e.bitmap = 0;
		if (s->subs > 1) {
			if (!(old.desc & QCOW2_COMPRESSED))
				e.bitmap = old.bitmap;
			e.bitmap = (e.bitmap & ~(bits << 32)) | bits;
		}
		qcow2_entry_write(s, slice, data, e);
		write_release(s, old, host);
		start += s->cluster_size;
		host += s->cluster_size;
		data += s->entry_bytes;
	}
	return r;
}

/* ---- One step, all steps ---- */

static int write_step(struct qcow2 *s, struct write_step *w,
		      const struct iovec *iov, int niov, struct iovec *part,
		      u64 at)
{
	u64 from, to;
	int r;

	lock_acquire(&s->lock);
	r = qcow2_prepare(s);
	if (r == 0)
		r = write_plan(s, w);
	lock_release(&s->lock);
	if (r < 0)
		return r;
	from = w->offset - w->head;
	to = w->offset + w->bytes + w->tail;
	if (qcow2_is_metadata(s, w->host - w->head, to - from)) {
		lock_acquire(&s->lock);
		r = qcow2_broken(s, "a cluster in a table's place");
		lock_release(&s->lock);
		return r;
	}
	r = write_trim(s, w);
	if (r == 0)
		r = write_data(s, w, iov, niov, part, at);
	if (!w->clusters)
		return r;
	lock_acquire(&s->lock);
	if (r == 0)
		r = write_enter(s, w, from, to);
	if (r < 0)
		qcow2_free(s, w->host & ~(s->cluster_size - 1),
			   w->allocated << s->cluster_bits);
	if (r == 0)
		r = qcow2_free_some(s);
	lock_release(&s->lock);
	return r;
}

static int write_iov(struct qcow2 *s, u64 offset, u64 bytes,
		     const struct iovec *iov, int niov)
{
	struct iovec *part = malloc((niov + 2) * sizeof(*part));
	struct write_step w;
	int r = 0;

	if (!part)
		return -ENOMEM;
	for (u64 at = 0; at < bytes && r == 0; at += w.bytes) {
		w = (struct write_step){ .offset = offset + at,
					 .bytes = bytes - at };
		r = write_step(s, &w, iov, niov, part, at);
	}
	free(part);
	return r;
}

int qcow2_write(struct qcow2 *s, struct block_req *r)
{
	return write_iov(s, r->offset, r->bytes, r->iov, r->niov);
}

/* ---- Zeroes ---- */

static int zero_by_writing(struct qcow2 *s, u64 offset, u64 bytes)
{
	u8 *buf = calloc(1, MIN(bytes, WRITE_ZERO_PIECE));
	int r = buf ? 0 : -ENOMEM;
	struct iovec iov;
	bool zero = false;

	if (r == 0)
		r = write_read_zero(s, offset, bytes, &zero);
	while (bytes > 0 && r == 0 && !zero) {
		iov = (struct iovec){ buf, MIN(bytes, WRITE_ZERO_PIECE) };
		r = write_iov(s, offset, iov.iov_len, &iov, 1);
		offset += iov.iov_len;
		bytes -= iov.iov_len;
	}
	free(buf);
	return r;
}

/* How an entry says that its cluster is zero.  back: give its space up. */
static struct qcow2_entry zero_entry(const struct qcow2 *s,
				     struct qcow2_entry old, bool back,
				     bool backed)
{
	struct qcow2_entry e = { 0 };

	if (write_is_own(old) && !back && s->h.version >= 3)
		e.desc = (old.desc & QCOW2_OFFSET) | QCOW2_COPIED;
	if (!e.desc && !backed)
		return e;
	if (s->subs > 1)
		e.bitmap = 0xffffffffULL << 32;
	else
		e.desc |= QCOW2_ZERO;
	return e;
}

/* Whole clusters, as many as one slice has; returns their bytes. */
static int zero_clusters(struct qcow2 *s, u64 offset, u64 bytes, bool back,
			 u64 *ret) REQUIRES(s->lock)
{
	u64 l1_index = offset >> (s->cluster_bits + s->l2_bits);
	u64 span = s->l2.bytes / s->entry_bytes * s->cluster_size;
	u64 n = MIN(bytes, span - offset % span), table;
	bool backed = s->backing && offset < s->backing->size;
	struct qcow2_slice *slice;
	u8 *data;
	int r = qcow2_l2_table(s, l1_index, &table);

	*ret = n;
	if (r < 0)
		return qcow2_broken(s, "an L1 entry");
	if (!table && !backed)
		return 0;
	r = qcow2_entry_to_write(s, offset, &slice, &data);
	for (u64 at = 0; at < n && r == 0; at += s->cluster_size) {
		struct qcow2_entry old = qcow2_entry_read(s, data);

		qcow2_entry_replace(s, slice, data,
				    zero_entry(s, old, back, backed));
		data += s->entry_bytes;
	}
	return r < 0 ? r : qcow2_free_some(s);
}

/* Can zeroes be said without being written? */
static bool zero_can_mark(const struct qcow2 *s, u64 offset)
{
	return s->h.version >= 3 || !s->backing || offset >= s->backing->size;
}

/* A part of one cluster: by subclusters if they line up. */
static int zero_part(struct qcow2 *s, u64 offset, u64 bytes)
{
	u64 unit = 1ULL << s->sub_bits;
	struct qcow2_slice *slice;
	struct qcow2_entry e;
	u64 bits;
	u8 *data;
	int r;

	if (s->subs == 1 || (offset | bytes) & (unit - 1))
		return zero_by_writing(s, offset, bytes);
	lock_acquire(&s->lock);
	r = qcow2_entry_to_write(s, offset, &slice, &data);
	if (r == 0) {
		e = qcow2_entry_read(s, data);
		bits = write_subs(s, offset & ~(s->cluster_size - 1), offset,
				  offset + bytes);
		e.bitmap = (e.bitmap & ~bits) | bits << 32;
		if (e.desc & QCOW2_COMPRESSED)
			r = 1;
		else
			qcow2_entry_write(s, slice, data, e);
	}
	lock_release(&s->lock);
	return r > 0 ? zero_by_writing(s, offset, bytes) : r;
}

static int zero_range(struct qcow2 *s, u64 offset, u64 end, bool back)
{
	u64 cluster = s->cluster_size, n;
	int r;

	lock_acquire(&s->lock);
	r = qcow2_prepare(s);
	lock_release(&s->lock);
	for (; offset < end && r == 0; offset += n) {
		u64 in = offset & (cluster - 1);

		n = MIN(cluster - in, end - offset);
		if (!zero_can_mark(s, offset)) {
			r = zero_by_writing(s, offset, n);
		} else if (n < cluster) {
			/* By subclusters, if some lie in it whole. */
			u64 unit = 1ULL << s->sub_bits;

			if (offset & (unit - 1))
				n = MIN(n, unit - (offset & (unit - 1)));
			else if (n > unit)
				n = ALIGN_DOWN(n, unit);
			r = zero_part(s, offset, n);
		} else {
			lock_acquire(&s->lock);
			r = zero_clusters(s, offset,
					  ALIGN_DOWN(end - offset, cluster),
					  back, &n);
			lock_release(&s->lock);
		}
	}
	return r;
}

/* What follows the end of the disk is in nobody's way. */
static u64 write_round_end(const struct qcow2 *s, u64 end)
{
	return end == s->node.size ? ALIGN_UP(end, s->cluster_size) : end;
}

int qcow2_zero(struct qcow2 *s, u64 offset, u64 bytes, bool unmap)
{
	return zero_range(s, offset, write_round_end(s, offset + bytes), unmap);
}

int qcow2_discard(struct qcow2 *s, u64 offset, u64 bytes)
{
	u64 end =
		ALIGN_DOWN(write_round_end(s, offset + bytes), s->cluster_size);

	offset = ALIGN_UP(offset, s->cluster_size);
	/* Without a zero flag the backing file would shine through. */
	if (s->h.version < 3 && s->backing)
		return 0;
	return offset < end ? zero_range(s, offset, end, true) : 0;
}
