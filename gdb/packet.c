/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gdb's remote protocol: packets.
 */
#include "gdb/packet.h"

#include <string.h>

#define GDB_INTERRUPT 0x03
#define GDB_ESCAPE    0x20 /* what comes behind '}' is changed by this */

static const char gdb_digits[] = "0123456789abcdef";

int gdb_hex_digit(u8 c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gdb_hex_decode(const char *hex, size_t len, struct buf *out)
{
	if (len % 2)
		return false;
	for (size_t n = 0; n < len; n += 2) {
		int high = gdb_hex_digit((u8)hex[n]);
		int low = gdb_hex_digit((u8)hex[n + 1]);

		if (high < 0 || low < 0)
			return false;
		buf_putc(out, (char)(high << 4 | low));
	}
	return true;
}

void gdb_hex_encode(const void *data, size_t len, struct buf *out)
{
	const u8 *p = data;

	for (size_t n = 0; n < len; n++) {
		buf_putc(out, gdb_digits[p[n] >> 4]);
		buf_putc(out, gdb_digits[p[n] & 15]);
	}
}

void gdb_link_init(struct gdb_link *l)
{
	buf_clear(&l->out);
	buf_clear(&l->last);
	l->state = GDB_LINK_IDLE;
	l->no_ack = l->too_long = l->unconfirmed = false;
	l->in_len = 0;
}

/* ---- Out ---- */

void gdb_link_send(struct gdb_link *l, const void *data, size_t len)
{
	const u8 *p = data;
	u8 sum = 0;

	buf_clear(&l->last);
	buf_putc(&l->last, '$');
	for (size_t n = 0; n < MIN(len, GDB_PACKET_MAX); n++) {
		u8 c = p[n];

		/* '*' would be a repetition. */
		if (c == '$' || c == '#' || c == '}' || c == '*') {
			buf_putc(&l->last, '}');
			sum += '}';
			c ^= GDB_ESCAPE;
		}
		buf_putc(&l->last, (char)c);
		sum += c;
	}
	buf_putc(&l->last, '#');
	gdb_hex_encode(&sum, 1, &l->last);
	buf_append(&l->out, l->last.data, l->last.len);
	l->unconfirmed = !l->no_ack;
}

static void gdb_link_confirm(struct gdb_link *l, char how)
{
	if (!l->no_ack)
		buf_putc(&l->out, how);
}

/* ---- In ---- */

static enum gdb_link_event gdb_link_idle(struct gdb_link *l, u8 c)
{
	switch (c) {
	case '$':
		l->state = GDB_LINK_DATA;
		l->in_len = 0;
		l->sum = 0;
		l->too_long = false;
		break;
	case GDB_INTERRUPT: return GDB_LINK_INTERRUPT;
	case '+': l->unconfirmed = false; break;
	case '-':
		if (l->unconfirmed)
			buf_append(&l->out, l->last.data, l->last.len);
		break;
	default: break;
	}
	return GDB_LINK_MORE;
}

static void gdb_link_put(struct gdb_link *l, u8 c)
{
	if (l->in_len < GDB_PACKET_MAX)
		l->in[l->in_len++] = c;
	else
		l->too_long = true;
}

static void gdb_link_data(struct gdb_link *l, u8 c)
{
	switch (c) {
	case '$': gdb_link_idle(l, c); return;
	case '#': l->state = GDB_LINK_SUM1; return;
	case '}': l->state = GDB_LINK_ESCAPE; break;
	default: gdb_link_put(l, c); break;
	}
	l->sum += c;
}

static enum gdb_link_event gdb_link_end(struct gdb_link *l)
{
	l->state = GDB_LINK_IDLE;
	l->in[l->in_len] = '\0';
	if (l->said != l->sum) {
		gdb_link_confirm(l, '-');
		return GDB_LINK_MORE;
	}
	gdb_link_confirm(l, '+');
	if (l->too_long) {
		gdb_link_send(l, "E22", 3);
		return GDB_LINK_MORE;
	}
	return GDB_LINK_PACKET;
}

/* Two digits; anything else is no packet. */
static enum gdb_link_event gdb_link_sum(struct gdb_link *l, u8 c)
{
	int digit = gdb_hex_digit(c);

	if (digit < 0) {
		l->state = GDB_LINK_IDLE;
		gdb_link_confirm(l, '-');
		return c == '$' ? gdb_link_idle(l, c) : GDB_LINK_MORE;
	}
	if (l->state == GDB_LINK_SUM1) {
		l->said = (u8)(digit << 4);
		l->state = GDB_LINK_SUM2;
		return GDB_LINK_MORE;
	}
	l->said |= (u8)digit;
	return gdb_link_end(l);
}

enum gdb_link_event gdb_link_byte(struct gdb_link *l, u8 c)
{
	switch (l->state) {
	case GDB_LINK_IDLE: return gdb_link_idle(l, c);
	case GDB_LINK_DATA: gdb_link_data(l, c); break;
	case GDB_LINK_ESCAPE:
		l->state = GDB_LINK_DATA;
		l->sum += c;
		gdb_link_put(l, c ^ GDB_ESCAPE);
		break;
	case GDB_LINK_SUM1:
	case GDB_LINK_SUM2: return gdb_link_sum(l, c);
	}
	return GDB_LINK_MORE;
}
