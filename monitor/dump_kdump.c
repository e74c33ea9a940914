/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kdump-compressed: the format of makedumpfile, which crash reads.
 *
 * Blocks of a page: header, sub-header with notes, two bitmaps of the pages
 * that exist and that are stored, a descriptor for each stored page, the
 * pages.  Equal zero pages are stored once.
 *
 * Spec: makedumpfile's IMPLEMENTATION file; crash's diskdump.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <zlib.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "monitor/dump.h"
#include "vmm/memory.h"

#define KDUMP_VERSION 6
#define KDUMP_DESC    24
#define KDUMP_ZLIB    1

struct kdump {
	struct dump *d;
	u64 pages;                     /* of the machine's address space */
	u64 bitmap, bitmap_size;       /* of one of the two; file offset */
	u64 descs, data;               /* file offsets: of the next ones */
	u64 zero;                      /* offset of the page of zeroes, or 0 */
	struct buf desc_out, data_out; /* not yet written */
};

static u64 kdump_count(const struct dump *d)
{
	struct dump_range r;
	u64 n = 0;

	for (gpa_t g = d->begin; dump_range(d, g, &r); g = r.gpa + r.size)
		n += r.size / PAGE_SIZE;
	return n;
}

static u64 kdump_end(const struct dump *d)
{
	struct dump_range r;
	u64 end = 0;

	for (gpa_t g = d->begin; dump_range(d, g, &r); g = r.gpa + r.size)
		end = r.gpa + r.size;
	return end;
}

/* struct disk_dump_header, with its padding. */
static void kdump_header(const struct kdump *k, u32 sub_blocks, u8 *h)
{
	static const struct {
		u16 at;
		const char *text;
	} names[] = { { 12, "Linux" }, { 12 + 4 * 65, "x86_64" } };

	memcpy(h, "KDUMP   ", 8);
	put_le32(h + 8, KDUMP_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		strcpy((char *)h + names[i].at, names[i].text);
	put_le64(h + 408, time(NULL)); /* after 6 names of 65, aligned */
	put_le32(h + 424, KDUMP_ZLIB); /* status */
	put_le32(h + 428, PAGE_SIZE);
	put_le32(h + 432, sub_blocks);
	put_le32(h + 436, 2 * k->bitmap_size / PAGE_SIZE);
	put_le32(h + 440, MIN(k->pages, UINT32_MAX));
	put_le32(h + 460, k->d->ncpus);
}

static int kdump_headers(struct kdump *k)
{
	struct buf notes = { 0 };
	u64 info, info_len, base;
	u8 *blocks;
	u32 sub;
	int r;

	dump_notes(k->d, &notes, &info, &info_len, &base);
	sub = (104 + notes.len + PAGE_SIZE - 1) / PAGE_SIZE;
	blocks = xalloc((1 + sub) * PAGE_SIZE);
	k->bitmap = (1 + sub) * PAGE_SIZE;
	k->descs = k->bitmap + 2 * k->bitmap_size;
	kdump_header(k, sub, blocks);
	/* struct kdump_sub_header */
	put_le64(blocks + PAGE_SIZE, base);
	put_le32(blocks + PAGE_SIZE + 8, 1); /* dump level: zero pages */
	if (info_len) {
		put_le64(blocks + PAGE_SIZE + 32, PAGE_SIZE + 104 + info);
		put_le64(blocks + PAGE_SIZE + 40, info_len);
	}
	put_le64(blocks + PAGE_SIZE + 48, PAGE_SIZE + 104);
	put_le64(blocks + PAGE_SIZE + 56, notes.len);
	put_le64(blocks + PAGE_SIZE + 96, k->pages);
	memcpy(blocks + PAGE_SIZE + 104, notes.data, notes.len);
	r = dump_put(k->d, 0, blocks, (1 + sub) * PAGE_SIZE);
	free(blocks);
	buf_fini(&notes);
	return r;
}

/* All RAM exists, and all of it is stored. */
static int kdump_bitmaps(struct kdump *k)
{
	u8 *map = xalloc(k->bitmap_size);
	struct dump_range r;
	int err;

	for (gpa_t g = k->d->begin; dump_range(k->d, g, &r); g = r.gpa + r.size)
		for (u64 p = r.gpa / PAGE_SIZE;
		     p < (r.gpa + r.size) / PAGE_SIZE; p++)
			map[p / 8] |= 1u << (p % 8);
	err = dump_put(k->d, k->bitmap, map, k->bitmap_size);
	if (!err)
		err = dump_put(k->d, k->bitmap + k->bitmap_size, map,
			       k->bitmap_size);
	free(map);
	return err;
}

static int kdump_flush(struct kdump *k, bool all)
{
	size_t limit = all ? 1 : MIB;
	int r = 0;

	if (k->data_out.len >= limit) {
		r = dump_put(k->d, k->data, k->data_out.data, k->data_out.len);
		k->data += k->data_out.len;
		buf_clear(&k->data_out);
	}
	if (!r && k->desc_out.len >= limit) {
		r = dump_put(k->d, k->descs, k->desc_out.data, k->desc_out.len);
		k->descs += k->desc_out.len;
		buf_clear(&k->desc_out);
	}
	return r;
}

static void kdump_desc(struct kdump *k, u64 offset, u32 size, u32 flags)
{
	u8 desc[KDUMP_DESC] = { 0 };

	put_le64(desc, offset);
	put_le32(desc + 8, size);
	put_le32(desc + 12, flags);
	buf_append(&k->desc_out, desc, sizeof desc);
}

static int kdump_page(struct kdump *k, const u8 *page)
{
	static const u8 zeroes[PAGE_SIZE];
	u8 packed[2 * PAGE_SIZE], copy[PAGE_SIZE];
	uLongf len = sizeof packed;
	u64 at = k->data + k->data_out.len;
	bool zero = !page || !memcmp(page, zeroes, PAGE_SIZE);

	memcpy(copy, zero ? zeroes : page, PAGE_SIZE);
	if (zero && k->zero) {
		kdump_desc(k, k->zero, PAGE_SIZE, 0);
		return kdump_flush(k, false);
	}
	if (!zero &&
	    compress2(packed, &len, copy, PAGE_SIZE, Z_BEST_SPEED) == Z_OK &&
	    len < PAGE_SIZE) {
		kdump_desc(k, at, len, KDUMP_ZLIB);
		buf_append(&k->data_out, packed, len);
	} else {
		if (zero)
			k->zero = at;
		kdump_desc(k, at, PAGE_SIZE, 0);
		buf_append(&k->data_out, copy, PAGE_SIZE);
	}
	return kdump_flush(k, false);
}

static int kdump_range(struct kdump *k, const struct dump_range *r)
{
	u64 base = r->host - r->block->host, start = 0, end = 0;
	int err = 0;

	for (u64 at = base; at < base + r->size && !err; at += PAGE_SIZE) {
		if (at >= end && !mem_next_data(r->block, at, &start, &end))
			start = end = UINT64_MAX;
		err = kdump_page(k, at >= start ? r->block->host + at : NULL);
		atomic_fetch_add(&k->d->done, PAGE_SIZE);
	}
	return err;
}

int dump_kdump(struct dump *d)
{
	struct kdump k = { .d = d, .pages = kdump_end(d) / PAGE_SIZE };
	struct dump_range r;
	int err;

	k.bitmap_size = ALIGN_UP((k.pages + 7) / 8, PAGE_SIZE);
	err = kdump_headers(&k);
	if (!err)
		err = kdump_bitmaps(&k);
	k.data = k.descs + kdump_count(d) * KDUMP_DESC;
	for (gpa_t g = d->begin; !err && dump_range(d, g, &r);
	     g = r.gpa + r.size)
		err = kdump_range(&k, &r);
	if (!err)
		err = kdump_flush(&k, true);
	buf_fini(&k.desc_out);
	buf_fini(&k.data_out);
	return err;
}
