/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * BTF: where the members of the kernel's structs are.
 *
 * Spec: Linux Documentation/bpf/btf.rst
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "insight/internal.h"
#include "lib/alloc.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define BTF_MAGIC       0xeb9f
#define BTF_SIZE_MAX    (64 * MIB)
#define BTF_HEADER      24
#define BTF_TYPE        12 /* name_off, info, size_or_type */
#define BTF_MEMBER      12 /* name_off, type, offset */
#define BTF_DEPTH_MAX   16
#define BTF_MEMBERS_MAX 100000

enum btf_kind {
	BTF_INT = 1,
	BTF_ARRAY = 3,
	BTF_STRUCT = 4,
	BTF_UNION = 5,
	BTF_ENUM = 6,
	BTF_TYPEDEF = 8,
	BTF_VOLATILE = 9,
	BTF_CONST = 10,
	BTF_RESTRICT = 11,
	BTF_FUNC_PROTO = 13,
	BTF_VAR = 14,
	BTF_DATASEC = 15,
	BTF_DECL_TAG = 17,
	BTF_TYPE_TAG = 18,
	BTF_ENUM64 = 19,
};

static u32 btf_kind(const u8 *t)
{
	return get_le32(t + 4) >> 24 & 0x1f;
}

static u32 btf_vlen(const u8 *t)
{
	return get_le32(t + 4) & 0xffff;
}

/* What follows the fixed part. */
static u32 btf_extra(const u8 *t)
{
	switch (btf_kind(t)) {
	case BTF_INT:
	case BTF_VAR:
	case BTF_DECL_TAG: return 4;
	case BTF_ARRAY: return 12;
	case BTF_STRUCT:
	case BTF_UNION: return btf_vlen(t) * BTF_MEMBER;
	case BTF_ENUM:
	case BTF_FUNC_PROTO: return btf_vlen(t) * 8;
	case BTF_DATASEC:
	case BTF_ENUM64: return btf_vlen(t) * 12;
	}
	return 0;
}

static int btf_index(struct ins_btf *b, struct err *err)
{
	u32 at = 0, cap = 0;

	for (b->count = 1; at < b->type_len; b->count++) {
		u32 size;

		if (b->type_len - at < BTF_TYPE)
			return err_set(err, -EINVAL, "its BTF is damaged");
		size = BTF_TYPE + btf_extra(b->types + at);
		if (size > b->type_len - at)
			return err_set(err, -EINVAL, "its BTF is damaged");
		if (b->count >= cap) {
			cap = MAX(cap * 2, 1024u);
			b->at = xrealloc(b->at, cap * sizeof *b->at);
		}
		b->at[b->count] = at;
		at += size;
	}
	return 0;
}

int ins_btf_load(struct insight *ins, struct err *err)
{
	struct ins_btf *b = &ins->btf;
	u64 start, stop, size;
	u32 head, type_at, str_at;
	int r;

	if (b->data)
		return 0;
	if (!insight_find(ins, "__start_BTF", &start) ||
	    !insight_find(ins, "__stop_BTF", &stop) || stop <= start)
		return err_set(err, -ENOTSUP,
			       "Linux %s has no BTF to tell the layout of its "
			       "structs",
			       ins->release);
	size = stop - start;
	if (size < BTF_HEADER || size > BTF_SIZE_MAX)
		return err_set(err, -EINVAL, "its BTF is damaged");
	b->data = xalloc(size);
	if (!ins_read(ins, start, b->data, size) ||
	    get_le16(b->data) != BTF_MAGIC || b->data[2] != 1)
		goto damaged;
	head = get_le32(b->data + 4);
	type_at = get_le32(b->data + 8);
	b->type_len = get_le32(b->data + 12);
	str_at = get_le32(b->data + 16);
	b->str_len = get_le32(b->data + 20);
	if (head < BTF_HEADER || head > size ||
	    !range_holds(0, size - head, type_at, b->type_len) ||
	    !range_holds(0, size - head, str_at, b->str_len) || !b->str_len ||
	    b->data[head + (u64)str_at + b->str_len - 1])
		goto damaged;
	b->types = b->data + head + type_at;
	b->strings = b->data + head + str_at;
	r = btf_index(b, err);
	if (r < 0)
		ins_btf_free(ins);
	return r;
damaged:
	ins_btf_free(ins);
	return err_set(err, -EINVAL, "its BTF is damaged");
}

void ins_btf_free(struct insight *ins)
{
	free(ins->btf.data);
	free(ins->btf.at);
	memset(&ins->btf, 0, sizeof ins->btf);
}

/* ---- lookup ---- */

static const char *btf_name(const struct ins_btf *b, u32 offset)
{
	return offset < b->str_len ? (const char *)b->strings + offset : "";
}

static const u8 *btf_type(const struct ins_btf *b, u32 id)
{
	return id && id < b->count ? b->types + b->at[id] : NULL;
}

/* The struct or union behind typedefs and qualifiers, or NULL. */
static const u8 *btf_strip(const struct ins_btf *b, u32 id)
{
	for (int i = 0; i < BTF_DEPTH_MAX; i++) {
		const u8 *t = btf_type(b, id);

		if (!t)
			return NULL;
		switch (btf_kind(t)) {
		case BTF_STRUCT:
		case BTF_UNION: return t;
		case BTF_TYPEDEF:
		case BTF_VOLATILE:
		case BTF_CONST:
		case BTF_RESTRICT:
		case BTF_TYPE_TAG: id = get_le32(t + 8); break;
		default: return NULL;
		}
	}
	return NULL;
}

/* Adds the bits up to the member; its type goes to *ret_type.  *budget bounds
 * how many members are looked at: structs may hold themselves. */
static bool btf_member(const struct ins_btf *b, const u8 *t, const char *name,
		       size_t len, int *budget, int depth, u64 *bits,
		       u32 *ret_type)
{
	bool flag = get_le32(t + 4) >> 31; /* offsets carry bit-field sizes */

	for (u32 i = 0; i < btf_vlen(t) && --*budget > 0; i++) {
		const u8 *m = t + BTF_TYPE + i * BTF_MEMBER;
		const char *is = btf_name(b, get_le32(m));
		u32 offset = get_le32(m + 8);
		u64 at = *bits + (flag ? offset & 0xffffff : offset);
		const u8 *inner;

		if (strlen(is) == len && !memcmp(is, name, len)) {
			*bits = at;
			*ret_type = get_le32(m + 4);
			return !flag || !(offset >> 24);
		}
		inner = *is || depth == BTF_DEPTH_MAX
				? NULL
				: btf_strip(b, get_le32(m + 4));
		if (inner && btf_member(b, inner, name, len, budget, depth + 1,
					&at, ret_type)) {
			*bits = at;
			return true;
		}
	}
	return false;
}

bool ins_btf_offset(const struct insight *ins, const char *type,
		    const char *member, u32 *ret)
{
	const struct ins_btf *b = &ins->btf;
	const u8 *t = NULL;
	int budget = BTF_MEMBERS_MAX;
	u64 bits = 0;
	u32 id;

	for (id = 1; id < b->count; id++) {
		t = btf_type(b, id);
		if (btf_kind(t) == BTF_STRUCT && btf_vlen(t) &&
		    !strcmp(btf_name(b, get_le32(t)), type))
			break;
	}
	if (id >= b->count)
		return false;
	while (t) {
		size_t n = strcspn(member, ".");

		if (!btf_member(b, t, member, n, &budget, 0, &bits, &id) ||
		    bits % 8 || bits / 8 > UINT16_MAX)
			return false;
		member += n;
		if (!*member++) {
			*ret = bits / 8;
			return true;
		}
		t = btf_strip(b, id);
	}
	return false;
}
