/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The printk ring buffer of Linux 5.10 and later.
 *
 * Descriptors are numbered without end; number N sits in slot N modulo their
 * count and says whether it still is N's.  VMCOREINFO tells the offsets.
 *
 * Spec: Linux kernel/printk/printk_ringbuffer.c,
 * Documentation/admin-guide/kdump/gdbmacros.txt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "insight/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"

#define DMESG_BITS_MAX     20 /* log2 of descriptors */
#define DMESG_DATA_MAX     28 /* log2 of bytes of text */
#define DMESG_TEXT_MAX     (4 * KIB)
#define DMESG_STATE_SHIFT  62
#define DMESG_COMMITTED    1
#define DMESG_FINALIZED    2
#define DMESG_LPOS_NO_DATA 1 /* bit 0: the record has no text */

struct dmesg {
	const struct insight *ins;
	u64 descs, infos, data;
	u32 count_bits, size_bits;
	u64 head, tail;
	/* From VMCOREINFO. */
	s64 desc_size, state_var, counter, text_blk, begin, next;
	s64 info_size, seq, ts, text_len;
};

struct dmesg_key {
	const char *key;
	s64 *to;
};

static bool dmesg_number(const struct insight *ins, const char *key, s64 *ret)
{
	return vmcoreinfo_number(&ins->info, key, ret) && *ret >= 0 &&
	       *ret <= UINT16_MAX;
}

static int dmesg_layout(struct dmesg *d, struct err *err)
{
	s64 desc_ring, text_ring, count_bits, descs, infos, head, tail;
	s64 size_bits, data;
	const struct dmesg_key keys[] = {
		{ "OFFSET(printk_ringbuffer.desc_ring)", &desc_ring },
		{ "OFFSET(printk_ringbuffer.text_data_ring)", &text_ring },
		{ "OFFSET(prb_desc_ring.count_bits)", &count_bits },
		{ "OFFSET(prb_desc_ring.descs)", &descs },
		{ "OFFSET(prb_desc_ring.infos)", &infos },
		{ "OFFSET(prb_desc_ring.head_id)", &head },
		{ "OFFSET(prb_desc_ring.tail_id)", &tail },
		{ "OFFSET(prb_data_ring.size_bits)", &size_bits },
		{ "OFFSET(prb_data_ring.data)", &data },
		{ "SIZE(prb_desc)", &d->desc_size },
		{ "OFFSET(prb_desc.state_var)", &d->state_var },
		{ "OFFSET(prb_desc.text_blk_lpos)", &d->text_blk },
		{ "OFFSET(prb_data_blk_lpos.begin)", &d->begin },
		{ "OFFSET(prb_data_blk_lpos.next)", &d->next },
		{ "SIZE(printk_info)", &d->info_size },
		{ "OFFSET(printk_info.seq)", &d->seq },
		{ "OFFSET(printk_info.ts_nsec)", &d->ts },
		{ "OFFSET(printk_info.text_len)", &d->text_len },
		{ "OFFSET(atomic_long_t.counter)", &d->counter },
	};
	u64 prb;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!dmesg_number(d->ins, keys[i].key, keys[i].to))
			return err_set(err, -ENOTSUP,
				       "Linux %s has no log that I understand "
				       "(5.10 or later is needed)",
				       d->ins->release);
	if (!vmcoreinfo_hex(&d->ins->info, "SYMBOL(prb)", &prb) ||
	    !ins_read_u64(d->ins, prb, &prb) ||
	    !ins_read_u32(d->ins, prb + desc_ring + count_bits,
			  &d->count_bits) ||
	    !ins_read_u64(d->ins, prb + desc_ring + descs, &d->descs) ||
	    !ins_read_u64(d->ins, prb + desc_ring + infos, &d->infos) ||
	    !ins_read_u64(d->ins, prb + desc_ring + head + d->counter,
			  &d->head) ||
	    !ins_read_u64(d->ins, prb + desc_ring + tail + d->counter,
			  &d->tail) ||
	    !ins_read_u32(d->ins, prb + text_ring + size_bits, &d->size_bits) ||
	    !ins_read_u64(d->ins, prb + text_ring + data, &d->data))
		return err_set(err, -EFAULT, "the kernel's log is not there");
	if (!d->count_bits || d->count_bits > DMESG_BITS_MAX || !d->size_bits ||
	    d->size_bits > DMESG_DATA_MAX)
		return err_set(err, -EINVAL, "the kernel's log is damaged");
	return 0;
}

/* The text block of a record; false: none, or it is damaged. */
static bool dmesg_block(const struct dmesg *d, u64 begin, u64 next, u16 want,
			char *text)
{
	u64 size = BIT(d->size_bits), len;

	if (begin & DMESG_LPOS_NO_DATA || next & DMESG_LPOS_NO_DATA)
		return false;
	begin &= size - 1;
	next &= size - 1;
	if (begin > next) /* such a block starts anew at the front */
		begin = 0;
	if (next - begin <= 8 || begin > next)
		return false;
	begin += 8; /* the record's number */
	len = MIN(MIN(next - begin, (u64)want), DMESG_TEXT_MAX);
	if (!ins_read(d->ins, d->data + begin, text, len))
		return false;
	text[len] = '\0';
	return true;
}

/* A terminal may obey anything but text. */
static void dmesg_clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\n' && text[i] != '\t')
			ins_printable(text + i, 1);
}

static bool dmesg_record(const struct dmesg *d, u64 id, insight_dmesg_fn *fn,
			 void *arg)
{
	u64 slot = id & (BIT(d->count_bits) - 1);
	u64 desc = d->descs + slot * d->desc_size;
	u64 info = d->infos + slot * d->info_size;
	u64 blk = desc + d->text_blk, state, begin, next, seq, ts;
	u32 word, flags = 0;
	char text[DMESG_TEXT_MAX + 1] = "";

	if (!ins_read_u64(d->ins, desc + d->state_var + d->counter, &state) ||
	    !ins_read_u64(d->ins, blk + d->begin, &begin) ||
	    !ins_read_u64(d->ins, blk + d->next, &next) ||
	    !ins_read_u64(d->ins, info + d->seq, &seq) ||
	    !ins_read_u64(d->ins, info + d->ts, &ts) ||
	    !ins_read_u32(d->ins, info + d->text_len, &word))
		return false;
	/* text_len is u16; facility u8; flags:5, level:3 follow. */
	flags = word >> 24;
	if ((state & (BIT(DMESG_STATE_SHIFT) - 1)) != id)
		return true; /* it was just used anew */
	state >>= DMESG_STATE_SHIFT;
	if (state != DMESG_COMMITTED && state != DMESG_FINALIZED)
		return true;
	if (!dmesg_block(d, begin, next, word & 0xffff, text))
		return true;
	dmesg_clean(text, strlen(text));
	fn(arg, seq, ts, flags >> 5, text);
	return true;
}

int insight_dmesg(struct insight *ins, insight_dmesg_fn *fn, void *arg,
		  struct err *err)
{
	struct dmesg d = { .ins = ins };
	u64 mask = BIT(DMESG_STATE_SHIFT) - 1;
	int r = dmesg_layout(&d, err);
	u64 n;

	if (r < 0)
		return r;
	n = ((d.head - d.tail) & mask) + 1;
	if (n > BIT(d.count_bits))
		return err_set(err, -EINVAL, "the kernel's log is damaged");
	for (u64 i = 0; i < n; i++)
		if (!dmesg_record(&d, (d.tail + i) & mask, fn, arg))
			return err_set(err, -EFAULT,
				       "the kernel's log is damaged");
	return 0;
}
