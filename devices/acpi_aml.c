/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A small writer of ACPI machine language.
 */
#include "devices/acpi_aml.h"

#include <string.h>

#include "lib/bytes.h"

#define OP_NAME        0x08
#define OP_BYTE        0x0a
#define OP_WORD        0x0b
#define OP_DWORD       0x0c
#define OP_STRING      0x0d
#define OP_QWORD       0x0e
#define OP_SCOPE       0x10
#define OP_BUFFER      0x11
#define OP_PACKAGE     0x12
#define OP_METHOD      0x14
#define OP_DUAL_NAME   0x2e
#define OP_MULTI_NAME  0x2f
#define OP_EXT         0x5b
#define OP_EXT_REGION  0x80
#define OP_EXT_FIELD   0x81
#define OP_EXT_DEVICE  0x82
#define OP_EXT_MUTEX   0x01
#define OP_EXT_ACQUIRE 0x23
#define OP_EXT_RELEASE 0x27
#define OP_IF          0xa0
#define OP_WHILE       0xa2

/* Small resource tags with their lengths; large ones. */
#define RES_IRQ        0x22
#define RES_IO         0x47
#define RES_END        0x79
#define RES_DWORD      0x87
#define RES_WORD       0x88
#define RES_INTERRUPTS 0x89
#define RES_QWORD      0x8a

#define RES_TYPE_MEMORY 0
#define RES_TYPE_IO     1
#define RES_TYPE_BUS    2

#define RES_FIXED 0x0c /* minimum and maximum address fixed */

void aml_byte(struct buf *b, u8 byte)
{
	buf_putc(b, (char)byte);
}

static void aml_le(struct buf *b, u64 value, int bytes)
{
	u8 le[8];

	put_le64(le, value);
	buf_append(b, le, bytes);
}

void aml_int(struct buf *b, u64 value)
{
	if (value <= 1) {
		aml_byte(b, value); /* ZeroOp, OneOp */
	} else if (value <= 0xff) {
		aml_byte(b, OP_BYTE);
		aml_byte(b, value);
	} else if (value <= 0xffff) {
		aml_byte(b, OP_WORD);
		aml_le(b, value, 2);
	} else if (value <= 0xffffffffu) {
		aml_byte(b, OP_DWORD);
		aml_le(b, value, 4);
	} else {
		aml_byte(b, OP_QWORD);
		aml_le(b, value, 8);
	}
}

void aml_str(struct buf *b, const char *s)
{
	aml_byte(b, OP_STRING);
	buf_append(b, s, strlen(s) + 1);
}

static u8 aml_hex(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Three letters of five bits, four hexadecimal digits, bytes swapped. */
void aml_eisaid(struct buf *b, const char *id)
{
	u32 v = (u32)(id[0] - 0x40) << 26 | (u32)(id[1] - 0x40) << 21 |
		(u32)(id[2] - 0x40) << 16 | (u32)aml_hex(id[3]) << 12 |
		(u32)aml_hex(id[4]) << 8 | (u32)aml_hex(id[5]) << 4 |
		aml_hex(id[6]);

	aml_byte(b, OP_DWORD);
	aml_le(b, __builtin_bswap32(v), 4);
}

/* Segments are padded to four characters with '_'. */
void aml_path(struct buf *b, const char *path)
{
	int segments = 1;

	for (; *path == '\\' || *path == '^'; path++)
		buf_putc(b, *path);
	for (const char *p = path; *p; p++)
		segments += *p == '.';
	if (segments == 2) {
		aml_byte(b, OP_DUAL_NAME);
	} else if (segments > 2) {
		aml_byte(b, OP_MULTI_NAME);
		aml_byte(b, segments);
	}
	while (segments--) {
		for (int i = 0; i < 4; i++)
			buf_putc(b, *path && *path != '.' ? *path++ : '_');
		path += *path == '.';
	}
}

void aml_name(struct buf *b, const char *name)
{
	aml_byte(b, OP_NAME);
	aml_path(b, name);
}

void aml_name_int(struct buf *b, const char *name, u64 value)
{
	aml_name(b, name);
	aml_int(b, value);
}

void aml_name_eisaid(struct buf *b, const char *name, const char *id)
{
	aml_name(b, name);
	aml_eisaid(b, id);
}

void aml_name_str(struct buf *b, const char *name, const char *s)
{
	aml_name(b, name);
	aml_str(b, s);
}

size_t aml_scope(struct buf *b, const char *path)
{
	size_t mark;

	aml_byte(b, OP_SCOPE);
	mark = b->len;
	aml_path(b, path);
	return mark;
}

size_t aml_device(struct buf *b, const char *name)
{
	size_t mark;

	aml_byte(b, OP_EXT);
	aml_byte(b, OP_EXT_DEVICE);
	mark = b->len;
	aml_path(b, name);
	return mark;
}

size_t aml_method(struct buf *b, const char *name, int nargs, bool serialized)
{
	size_t mark;

	aml_byte(b, OP_METHOD);
	mark = b->len;
	aml_path(b, name);
	aml_byte(b, nargs | (serialized ? 8 : 0));
	return mark;
}

size_t aml_if(struct buf *b)
{
	aml_byte(b, OP_IF);
	return b->len;
}

size_t aml_while(struct buf *b)
{
	aml_byte(b, OP_WHILE);
	return b->len;
}

size_t aml_package(struct buf *b, u8 count)
{
	size_t mark;

	aml_byte(b, OP_PACKAGE);
	mark = b->len;
	aml_byte(b, count);
	return mark;
}

size_t aml_field(struct buf *b, const char *region, u8 flags)
{
	size_t mark;

	aml_byte(b, OP_EXT);
	aml_byte(b, OP_EXT_FIELD);
	mark = b->len;
	aml_path(b, region);
	aml_byte(b, flags);
	return mark;
}

/* PkgLength of `len` bytes, in the shortest form; returns its size. */
static int aml_pkg_length(u8 out[4], u32 len)
{
	int n;

	if (len < 0x40) {
		out[0] = len;
		return 1;
	}
	n = len < 0x1000 ? 2 : len < 0x100000 ? 3 : 4;
	out[0] = (n - 1) << 6 | (len & 15);
	for (int i = 1; i < n; i++)
		out[i] = len >> (4 + 8 * (i - 1));
	return n;
}

void aml_field_unit(struct buf *b, const char *name, u32 bits)
{
	u8 length[4];

	buf_append(b, name, 4);
	buf_append(b, length, aml_pkg_length(length, bits));
}

void aml_field_skip(struct buf *b, u32 bits)
{
	u8 length[4];

	aml_byte(b, 0);
	buf_append(b, length, aml_pkg_length(length, bits));
}

void aml_mutex(struct buf *b, const char *name)
{
	aml_byte(b, OP_EXT);
	aml_byte(b, OP_EXT_MUTEX);
	aml_path(b, name);
	aml_byte(b, 0); /* sync level */
}

void aml_acquire(struct buf *b, const char *name)
{
	aml_byte(b, OP_EXT);
	aml_byte(b, OP_EXT_ACQUIRE);
	aml_path(b, name);
	aml_le(b, 0xffff, 2);
}

void aml_release(struct buf *b, const char *name)
{
	aml_byte(b, OP_EXT);
	aml_byte(b, OP_EXT_RELEASE);
	aml_path(b, name);
}

/* The length counts its own bytes. */
void aml_close(struct buf *b, size_t mark)
{
	u32 body = b->len - mark;
	u8 length[4];
	int n = 1;

	while (aml_pkg_length(length, body + n) != n)
		n++;
	buf_append(b, length, n); /* room */
	memmove(b->data + mark + n, b->data + mark, body);
	memcpy(b->data + mark, length, n);
}

void aml_region(struct buf *b, const char *name, u8 space, u64 offset, u64 len)
{
	aml_byte(b, OP_EXT);
	aml_byte(b, OP_EXT_REGION);
	aml_path(b, name);
	aml_byte(b, space);
	aml_int(b, offset);
	aml_int(b, len);
}

/* ---- Resource descriptors ---- */

void aml_res_io(struct buf *t, u16 base, u8 len)
{
	aml_byte(t, RES_IO);
	aml_byte(t, 1); /* decodes 16 bits */
	aml_le(t, base, 2);
	aml_le(t, base, 2);
	aml_byte(t, 1); /* alignment */
	aml_byte(t, len);
}

void aml_res_irq(struct buf *t, u8 irq)
{
	aml_byte(t, RES_IRQ);
	aml_le(t, 1u << irq, 2);
}

void aml_res_interrupts(struct buf *t, const u32 *irqs, u8 count)
{
	aml_byte(t, RES_INTERRUPTS);
	aml_le(t, 2 + 4 * count, 2);
	aml_byte(t, 0x09); /* consumer, level, active high, shared */
	aml_byte(t, count);
	for (int i = 0; i < count; i++)
		aml_le(t, irqs[i], 4);
}

/* An address space descriptor of `bytes`-wide numbers. */
static void aml_res_window(struct buf *t, u8 tag, int bytes, u8 type,
			   u8 type_flags, u64 first, u64 last)
{
	aml_byte(t, tag);
	aml_le(t, 3 + 5 * bytes, 2);
	aml_byte(t, type);
	aml_byte(t, RES_FIXED); /* producer, positive decode */
	aml_byte(t, type_flags);
	aml_le(t, 0, bytes); /* granularity */
	aml_le(t, first, bytes);
	aml_le(t, last, bytes);
	aml_le(t, 0, bytes); /* translation */
	aml_le(t, last - first + 1, bytes);
}

void aml_res_bus_numbers(struct buf *t, u16 first, u16 last)
{
	aml_res_window(t, RES_WORD, 2, RES_TYPE_BUS, 0, first, last);
}

void aml_res_io_window(struct buf *t, u16 first, u16 last)
{
	aml_res_window(t, RES_WORD, 2, RES_TYPE_IO, 3, first, last);
}

void aml_res_mem32_window(struct buf *t, u32 first, u32 last, bool cacheable)
{
	aml_res_window(t, RES_DWORD, 4, RES_TYPE_MEMORY, cacheable ? 3 : 1,
		       first, last);
}

void aml_res_mem64_window(struct buf *t, u64 first, u64 last)
{
	aml_res_window(t, RES_QWORD, 8, RES_TYPE_MEMORY, 3, first, last);
}

void aml_buffer(struct buf *b, const void *data, u32 len)
{
	size_t mark;

	aml_byte(b, OP_BUFFER);
	mark = b->len;
	aml_int(b, len);
	buf_append(b, data, len);
	aml_close(b, mark);
}

void aml_template(struct buf *b, struct buf *t)
{
	aml_byte(t, RES_END);
	aml_byte(t, 0); /* no checksum */
	aml_buffer(b, t->data, t->len);
	buf_clear(t);
}
