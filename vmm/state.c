/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Field tables to bytes and back.
 */
#include "vmm/state.h"

#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "vmm/vtimer.h"

static size_t state_width(const struct state_field *f)
{
	switch (f->kind) {
	case STATE_U8:
	case STATE_BOOL: return 1;
	case STATE_U16: return 2;
	case STATE_U32: return 4;
	case STATE_U64: return 8;
	case STATE_BYTES: return f->size;
	case STATE_VTIMER: return 9;
	}
	return 0;
}

static void state_put(const struct state_field *f, const void *p, u8 *raw)
{
	switch (f->kind) {
	case STATE_U8: raw[0] = *(const u8 *)p; break;
	case STATE_BOOL: raw[0] = *(const bool *)p; break;
	case STATE_U16: put_le16(raw, *(const u16 *)p); break;
	case STATE_U32: put_le32(raw, *(const u32 *)p); break;
	case STATE_U64: put_le64(raw, *(const u64 *)p); break;
	case STATE_BYTES: break;
	case STATE_VTIMER: {
		const struct vtimer *t = p;
		u64 now = vtimer_armed(t) ? vclock_now(t->m) : 0;

		raw[0] = vtimer_armed(t);
		put_le64(raw + 1, vtimer_armed(t) && t->deadline_ns > now
					  ? t->deadline_ns - now
					  : 0);
		break;
	}
	}
}

static int state_get(const struct state_field *f, void *p, const u8 *raw)
{
	switch (f->kind) {
	case STATE_U8: *(u8 *)p = raw[0]; break;
	case STATE_BOOL:
		if (raw[0] > 1)
			return -EINVAL;
		*(bool *)p = raw[0];
		break;
	case STATE_U16: *(u16 *)p = get_le16(raw); break;
	case STATE_U32: *(u32 *)p = get_le32(raw); break;
	case STATE_U64: *(u64 *)p = get_le64(raw); break;
	case STATE_BYTES: memcpy(p, raw, f->size); break;
	case STATE_VTIMER: {
		struct vtimer *t = p;
		u64 left = get_le64(raw + 1), now = vclock_now(t->m);

		if (raw[0] > 1 || left > UINT64_MAX - now)
			return -EINVAL;
		if (raw[0])
			vtimer_set(t, now + left);
		else
			vtimer_cancel(t);
		break;
	}
	}
	return 0;
}

void state_save(const struct state_field *fields, const void *obj,
		struct buf *out)
{
	for (const struct state_field *f = fields; f->name; f++)
		for (u32 i = 0; i < f->count; i++) {
			const u8 *p = (const u8 *)obj + f->offset +
				      (size_t)i * f->stride;
			u8 raw[16];

			if (f->kind == STATE_BYTES) {
				buf_append(out, p, f->size);
				continue;
			}
			state_put(f, p, raw);
			buf_append(out, raw, state_width(f));
		}
}

int state_load(const struct state_field *fields, void *obj, const void *data,
	       size_t len, size_t *ret_used, struct err *err)
{
	size_t at = 0;

	for (const struct state_field *f = fields; f->name; f++)
		for (u32 i = 0; i < f->count; i++) {
			u8 *p = (u8 *)obj + f->offset + (size_t)i * f->stride;

			if (state_width(f) > len - at)
				return err_set(err, -EINVAL,
					       "state ends before '%s'",
					       f->name);
			if (state_get(f, p, (const u8 *)data + at) < 0)
				return err_set(err, -EINVAL,
					       "bad value for '%s'", f->name);
			at += state_width(f);
		}
	*ret_used = at;
	return 0;
}
