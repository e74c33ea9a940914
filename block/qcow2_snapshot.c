/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qcow2: internal snapshots, their table.
 *
 * Spec: qcow2.txt "Snapshots".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"
#include "lib/bytes.h"

#define SNAPSHOT_TABLE_MAX (16 * MIB)

int qcow2_table_load(struct qcow2 *s, u64 offset, u64 count, u64 **ret)
{
	u64 *table;
	int r;

	if (count > QCOW2_L1_MAX / 8 || offset & (s->cluster_size - 1) ||
	    !range_holds(0, file_length(s->file), offset, count * 8))
		return -EINVAL;
	table = malloc(MAX(count, 1) * 8);
	if (!table)
		return -ENOMEM;
	r = qcow2_pread(s, offset, table, count * 8);
	if (r < 0) {
		free(table);
		return r;
	}
	for (u64 i = 0; i < count; i++)
		table[i] = get_be64(table + i);
	*ret = table;
	return 0;
}

void qcow2_snapshots_free(struct qcow2_snapshot *list, u32 count)
{
	for (u32 i = 0; list && i < count; i++) {
		free(list[i].id);
		free(list[i].name);
		free(list[i].extra);
	}
	free(list);
}

/* One entry of `left` bytes at `at`; its length, or 0. */
static u64 snapshot_parse(const u8 *at, u64 left, struct qcow2_snapshot *out)
{
	u32 id, name, extra;
	u64 len;

	if (left < 40)
		return 0;
	id = get_be16(at + 12);
	name = get_be16(at + 14);
	extra = get_be32(at + 36);
	len = 40 + (u64)extra + id + name;
	if (len > left || extra > 1024)
		return 0;
	*out = (struct qcow2_snapshot){
		.l1_offset = get_be64(at),
		.l1_size = get_be32(at + 8),
		.seconds = get_be32(at + 16),
		.nanoseconds = get_be32(at + 20),
		.vm_clock_ns = get_be64(at + 24),
		.vm_bytes = extra >= 8 ? get_be64(at + 40) : get_be32(at + 32),
		.disk_bytes = extra >= 16 ? get_be64(at + 48) : 0,
		.extra_bytes = extra,
	};
	out->extra = malloc(MAX(extra, 1));
	out->id = strndup((const char *)at + 40 + extra, id);
	out->name = strndup((const char *)at + 40 + extra + id, name);
	if (!out->extra || !out->id || !out->name)
		return 0;
	memcpy(out->extra, at + 40, extra);
	return ALIGN_UP(len, 8ULL);
}

int qcow2_snapshots_load(struct qcow2 *s, struct qcow2_snapshot **ret,
			 u64 *ret_bytes)
{
	u64 left = file_length(s->file), at = 0, len;
	struct qcow2_snapshot *list;
	u8 *raw;
	int r;

	if (left < s->h.snapshots_offset)
		return -EINVAL;
	left = MIN(left - s->h.snapshots_offset, SNAPSHOT_TABLE_MAX);
	list = calloc(s->h.snapshots + 1, sizeof(*list));
	raw = malloc(MAX(left, 1));
	r = list && raw ? qcow2_pread(s, s->h.snapshots_offset, raw, left)
			: -ENOMEM;
	for (u32 i = 0; i < s->h.snapshots && r == 0; i++) {
		len = snapshot_parse(raw + at, left - at, &list[i]);
		if (!len)
			r = -EINVAL;
		at += MIN(len, left - at);
	}
	free(raw);
	if (r < 0) {
		qcow2_snapshots_free(list, s->h.snapshots);
		return r;
	}
	*ret = list;
	*ret_bytes = at;
	return 0;
}
