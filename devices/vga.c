/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VGA: the registers of a text mode.
 *
 * The window at A0000 is guest RAM and stays it: text is two bytes a cell in
 * one piece, as drivers and `info screen` see it, and no access of it leaves
 * the guest.  Planes and fonts are stored, but nothing is drawn from them;
 * what shows is what the CRT controller says.
 *
 * Spec: IBM VGA XGA Technical Reference, "VGA Function".
 * Locking: machine_lock.
 */
#include "devices/vga.h"

#include <errno.h>
#include <string.h>

#include "devices/pc.h"
#include "devices/pci.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "vmm/boot.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

#define VGA_PORTS      0x3b0u
#define VGA_PORT_COUNT 0x30u

#define PORT_ATTR         0x3c0
#define PORT_ATTR_READ    0x3c1
#define PORT_MISC         0x3c2 /* read: input status 0 */
#define PORT_SEQ          0x3c4
#define PORT_SEQ_DATA     0x3c5
#define PORT_PEL_MASK     0x3c6
#define PORT_PEL_READ     0x3c7 /* read: state */
#define PORT_PEL_WRITE    0x3c8
#define PORT_PEL_DATA     0x3c9
#define PORT_FEATURE_READ 0x3ca
#define PORT_MISC_READ    0x3cc
#define PORT_GFX          0x3ce
#define PORT_GFX_DATA     0x3cf
/* These have 3B in place of 3D when the miscellaneous register says so. */
#define PORT_CRTC      0x3d4
#define PORT_CRTC_DATA 0x3d5
#define PORT_STATUS    0x3da /* write: feature control */
#define PORT_MONO      0x3b0
#define PORT_COLOR     0x3d0

#define MISC_COLOR 0x01

#define ATTR_ENABLED 0x20 /* of the index: the screen shows */

#define CRTC_COLUMNS    0x01 /* less one */
#define CRTC_OVERFLOW   0x07
#define CRTC_FONT_LINES 0x09 /* bits 0 to 4, less one */
#define CRTC_CURSOR     0x0a
#define CRTC_CURSOR_OFF 0x20
#define CRTC_START      0x0c /* high byte first, in cells */
#define CRTC_CURSOR_AT  0x0e
#define CRTC_PROTECT    0x11 /* bit 7: registers 0 to 7 */
#define CRTC_LINES      0x12 /* less one; bits 8 and 9 in CRTC_OVERFLOW */
#define CRTC_PITCH      0x13 /* in two cells */

#define GFX_MISC     6
#define GFX_GRAPHICS 0x01

#define STATUS_BLANK   0x01
#define STATUS_RETRACE 0x08
#define FRAME_NS       (NS_PER_S / 70)
#define RETRACE_NS     (FRAME_NS / 12)
#define LINE_NS        (FRAME_NS / 449)
#define LINE_BLANK_NS  (LINE_NS / 5)

#define SEQ_COUNT  5
#define GFX_COUNT  9
#define ATTR_COUNT 21
#define CRTC_COUNT 25

struct vga {
	struct pci_device pci;
	struct region io;

	u8 misc, feature;
	u8 seq_index, gfx_index, crtc_index, attr_index;
	bool attr_data; /* the next write of PORT_ATTR is no index */
	u8 seq[SEQ_COUNT], gfx[GFX_COUNT], crtc[CRTC_COUNT], attr[ATTR_COUNT];
	u8 pel_mask, pel_read, pel_write, pel_part;
	bool pel_reading;
	u8 palette[256 * 3];
};

/* Mode 3: 80 by 25, 16 colors, as firmware leaves it. */
static const u8 vga_seq[SEQ_COUNT] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
static const u8 vga_gfx[GFX_COUNT] = { 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff };
static const u8 vga_crtc[CRTC_COUNT] = { 0x5f, 0x4f, 0x50, 0x82, 0x55,
					 0x81, 0xbf, 0x1f, 0x00, 0x4f,
					 0x0d, 0x0e, 0x00, 0x00, 0x00,
					 0x00, 0x9c, 0x8e, 0x8f, 0x28,
					 0x1f, 0x96, 0xb9, 0xa3, 0xff };
static const u8 vga_attr[ATTR_COUNT] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
					 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b,
					 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00,
					 0x0f, 0x08, 0x00 };

/* ---- Registers ---- */

/* As a monitor of 70 Hz goes: who waits for the retrace sees it come. */
static u8 vga_status(struct vga *s)
{
	u64 at = vclock_now(s->pci.dev.m) % FRAME_NS;

	s->attr_data = false;
	if (at < RETRACE_NS)
		return STATUS_RETRACE | STATUS_BLANK;
	return at % LINE_NS < LINE_BLANK_NS ? STATUS_BLANK : 0;
}

static u8 vga_pel_read(struct vga *s)
{
	u8 value = s->palette[s->pel_read * 3 + s->pel_part];

	if (++s->pel_part == 3) {
		s->pel_part = 0;
		s->pel_read++;
	}
	return value;
}

static void vga_pel_write(struct vga *s, u8 value)
{
	s->palette[s->pel_write * 3 + s->pel_part] = value & 0x3f;
	if (++s->pel_part == 3) {
		s->pel_part = 0;
		s->pel_write++;
	}
}

static void vga_attr_write(struct vga *s, u8 value)
{
	u8 index = s->attr_index & 0x1f;

	if (!s->attr_data)
		s->attr_index = value & 0x3f;
	else if (index < ATTR_COUNT)
		s->attr[index] = value & (index < 16 ? 0x3f : 0xff);
	s->attr_data = !s->attr_data;
}

static void vga_crtc_write(struct vga *s, u8 value)
{
	u8 index = s->crtc_index;

	if (index >= CRTC_COUNT)
		return;
	if (index <= CRTC_OVERFLOW && (s->crtc[CRTC_PROTECT] & 0x80)) {
		if (index == CRTC_OVERFLOW) /* line compare is not protected */
			s->crtc[index] =
				(s->crtc[index] & ~0x10) | (value & 0x10);
		return;
	}
	s->crtc[index] = value;
}

/* The color port for a monochrome one; 0: it does not answer now. */
static u16 vga_port(const struct vga *s, u64 offset)
{
	u16 port = VGA_PORTS + (u16)offset;

	if (port >= PORT_ATTR && port < PORT_COLOR)
		return port;
	if ((port >= PORT_COLOR) != (bool)(s->misc & MISC_COLOR))
		return 0;
	return port >= PORT_COLOR ? port : port + (PORT_COLOR - PORT_MONO);
}

static u64 vga_read(void *opaque, u64 offset, u32 size)
{
	struct vga *s = opaque;

	switch (vga_port(s, offset)) {
	case PORT_ATTR: return s->attr_index;
	case PORT_ATTR_READ:
		return (s->attr_index & 0x1f) < ATTR_COUNT
			       ? s->attr[s->attr_index & 0x1f]
			       : 0;
	case PORT_MISC: return 0x10; /* a color monitor is there */
	case PORT_SEQ: return s->seq_index;
	case PORT_SEQ_DATA:
		return s->seq_index < SEQ_COUNT ? s->seq[s->seq_index] : 0;
	case PORT_PEL_MASK: return s->pel_mask;
	case PORT_PEL_READ: return s->pel_reading ? 3 : 0;
	case PORT_PEL_WRITE: return s->pel_write;
	case PORT_PEL_DATA: return vga_pel_read(s);
	case PORT_FEATURE_READ: return s->feature;
	case PORT_MISC_READ: return s->misc;
	case PORT_GFX: return s->gfx_index;
	case PORT_GFX_DATA:
		return s->gfx_index < GFX_COUNT ? s->gfx[s->gfx_index] : 0;
	case PORT_CRTC: return s->crtc_index;
	case PORT_CRTC_DATA:
		return s->crtc_index < CRTC_COUNT ? s->crtc[s->crtc_index] : 0;
	case PORT_STATUS: return vga_status(s);
	default: return 0xff;
	}
}

static void vga_write(void *opaque, u64 offset, u32 size, u64 data)
{
	struct vga *s = opaque;
	u8 value = (u8)data;

	switch (vga_port(s, offset)) {
	case PORT_ATTR: vga_attr_write(s, value); break;
	case PORT_MISC: s->misc = value & ~0x10; break;
	case PORT_SEQ: s->seq_index = value & 0x07; break;
	case PORT_SEQ_DATA:
		if (s->seq_index < SEQ_COUNT)
			s->seq[s->seq_index] = value;
		break;
	case PORT_PEL_MASK: s->pel_mask = value; break;
	case PORT_PEL_READ:
		s->pel_read = value;
		s->pel_part = 0;
		s->pel_reading = true;
		break;
	case PORT_PEL_WRITE:
		s->pel_write = value;
		s->pel_part = 0;
		s->pel_reading = false;
		break;
	case PORT_PEL_DATA: vga_pel_write(s, value); break;
	case PORT_GFX: s->gfx_index = value & 0x0f; break;
	case PORT_GFX_DATA:
		if (s->gfx_index < GFX_COUNT)
			s->gfx[s->gfx_index] = value;
		break;
	case PORT_CRTC: s->crtc_index = value & 0x3f; break;
	case PORT_CRTC_DATA: vga_crtc_write(s, value); break;
	case PORT_STATUS: s->feature = value & 0x08; break;
	}
}

static const struct region_ops vga_ops = {
	.read = vga_read,
	.write = vga_write,
	.max_size = 1,
};

/* ---- The screen ---- */

#define TEXT_COLOR 0xb8000u
#define TEXT_MONO  0xb0000u
#define TEXT_SIZE  0x8000u

/* Where text begins and how much there is, by the window's bits. */
static void vga_window(const struct vga *s, gpa_t *base, u32 *size)
{
	switch (s->gfx[GFX_MISC] >> 2 & 3) {
	case 0:
		*base = 0xa0000;
		*size = 0x20000;
		break;
	case 1:
		*base = 0xa0000;
		*size = 0x10000;
		break;
	case 2:
		*base = TEXT_MONO;
		*size = TEXT_SIZE;
		break;
	default:
		*base = TEXT_COLOR;
		*size = TEXT_SIZE;
		break;
	}
}

static u32 vga_crtc16(const struct vga *s, u8 index)
{
	return (u32)s->crtc[index] << 8 | s->crtc[index + 1];
}

/* Of the cell where the cursor is, if that shows. */
static void vga_cursor(struct vga *s, u32 start, u32 pitch,
		       struct vga_screen *ret)
{
	u32 at = vga_crtc16(s, CRTC_CURSOR_AT) - start;

	ret->cursor = false;
	if (s->crtc[CRTC_CURSOR] & CRTC_CURSOR_OFF || at >= ret->rows * pitch ||
	    at % pitch >= ret->columns)
		return;
	ret->cursor = true;
	ret->cursor_row = at / pitch;
	ret->cursor_column = at % pitch;
}

/* What the firmware of bios/ keeps without a VGA: the first page. */
static void vga_screen_firmware(struct machine *m, struct vga_screen *ret)
{
	u8 cursor[2] = { 0 };

	ret->columns = 80;
	ret->rows = 25;
	(void)mem_read(&m->mem, 0x450, cursor, sizeof cursor);
	ret->cursor = cursor[0] < ret->columns && cursor[1] < ret->rows;
	ret->cursor_column = cursor[0];
	ret->cursor_row = cursor[1];
	(void)mem_read(&m->mem, TEXT_COLOR, ret->cell, 80 * 25 * 2);
}

int vga_screen(struct machine *m, struct vga_screen *ret, struct err *err)
{
	struct vga *s = m->vga;
	u32 lines, pitch, start, size;
	gpa_t base;

	memset(ret, 0, sizeof *ret);
	if (!s && (m->boot || m->firmware))
		return err_set(err, -ENODEV,
			       "there is no screen; -vga std adds one");
	if (!s) {
		vga_screen_firmware(m, ret);
		return 0;
	}
	if (s->gfx[GFX_MISC] & GFX_GRAPHICS)
		return err_set(err, -ENOTSUP,
			       "the screen is in a graphics mode");
	lines = 1 + (s->crtc[CRTC_LINES] |
		     (u32)(s->crtc[CRTC_OVERFLOW] & 0x02) << 7 |
		     (u32)(s->crtc[CRTC_OVERFLOW] & 0x40) << 3);
	ret->columns = MIN(s->crtc[CRTC_COLUMNS] + 1u, VGA_COLUMNS_MAX);
	ret->rows = MIN(lines / ((s->crtc[CRTC_FONT_LINES] & 0x1f) + 1u),
			VGA_ROWS_MAX);
	ret->blank = !(s->attr_index & ATTR_ENABLED) || s->seq[1] & 0x20;
	pitch = MAX(s->crtc[CRTC_PITCH] * 2u, 1u);
	start = vga_crtc16(s, CRTC_START);
	vga_window(s, &base, &size);
	for (u32 row = 0; row < ret->rows; row++)
		for (u32 col = 0; col < ret->columns; col++)
			(void)mem_read(&m->mem,
				       base + (start + row * pitch + col) * 2 %
						       size,
				       ret->cell[row * ret->columns + col], 2);
	vga_cursor(s, start, pitch, ret);
	return 0;
}

/* ---- Life cycle ---- */

static void vga_clear(struct machine *m)
{
	u8 blank[TEXT_SIZE];

	for (u32 i = 0; i < sizeof blank; i += 2) {
		blank[i] = ' ';
		blank[i + 1] = 7;
	}
	(void)mem_load(&m->mem, TEXT_COLOR, blank, sizeof blank);
}

static void vga_reset(struct device *dev)
{
	struct vga *s = (struct vga *)dev;

	pci_device_reset(&s->pci);
	s->misc = 0x67;
	s->feature = 0;
	s->seq_index = s->gfx_index = s->crtc_index = 0;
	s->attr_index = ATTR_ENABLED;
	s->attr_data = false;
	memcpy(s->seq, vga_seq, sizeof s->seq);
	memcpy(s->gfx, vga_gfx, sizeof s->gfx);
	memcpy(s->crtc, vga_crtc, sizeof s->crtc);
	memcpy(s->attr, vga_attr, sizeof s->attr);
	s->pel_mask = 0xff;
	s->pel_read = s->pel_write = s->pel_part = 0;
	s->pel_reading = false;
	/* Two bits each of red, green and blue, bit 1 less bright. */
	for (u32 i = 0; i < 64; i++)
		for (u32 c = 0; c < 3; c++)
			s->palette[i * 3 + c] = (i >> (2 - c) & 1) * 0x2a +
						(i >> (5 - c) & 1) * 0x15;
	vga_clear(dev->m);
}

static int vga_init(struct device *dev, struct err *err)
{
	struct vga *s = (struct vga *)dev;
	struct machine *m = dev->m;
	int r;

	if (m->vga)
		return err_set(err, -EBUSY, "there is a VGA already");
	if (!s->pci.addr)
		s->pci.addr = xstrdup("02.0");
	r = pci_device_init(&s->pci, err);
	if (r < 0)
		return r;
	region_map(&s->io, &m->io, "vga", VGA_PORTS, VGA_PORT_COUNT, &vga_ops,
		   s);
	m->vga = dev;
	vga_reset(dev);
	return 0;
}

static void vga_fini(struct device *dev)
{
	struct vga *s = (struct vga *)dev;

	if (dev->m->vga == dev)
		dev->m->vga = NULL;
	region_unmap(&s->io);
	pci_device_fini(&s->pci);
}

static int vga_loaded(struct device *dev, struct err *err)
{
	struct vga *s = (struct vga *)dev;

	if (s->pel_part > 2)
		return err_set(err, -EINVAL, "a palette has three parts");
	return pci_device_loaded(&s->pci, err);
}

static void vga_info(struct device *dev, struct buf *out)
{
	struct vga *s = (struct vga *)dev;

	pci_device_info(&s->pci, out);
	buf_printf(out, "%s mode, start 0x%04x\n",
		   s->gfx[GFX_MISC] & GFX_GRAPHICS ? "graphics" : "text",
		   vga_crtc16(s, CRTC_START));
}

static const struct option_row vga_options[] = {
	PCI_OPTION_ROWS(struct vga),
	OPTION_END,
};

static const struct state_field vga_state[] = {
	PCI_STATE_ROWS,
	STATE_(STATE_U8, struct vga, misc),
	STATE_(STATE_U8, struct vga, feature),
	STATE_(STATE_U8, struct vga, seq_index),
	STATE_(STATE_U8, struct vga, gfx_index),
	STATE_(STATE_U8, struct vga, crtc_index),
	STATE_(STATE_U8, struct vga, attr_index),
	STATE_(STATE_BOOL, struct vga, attr_data),
	STATE_(STATE_BYTES, struct vga, seq),
	STATE_(STATE_BYTES, struct vga, gfx),
	STATE_(STATE_BYTES, struct vga, crtc),
	STATE_(STATE_BYTES, struct vga, attr),
	STATE_(STATE_U8, struct vga, pel_mask),
	STATE_(STATE_U8, struct vga, pel_read),
	STATE_(STATE_U8, struct vga, pel_write),
	STATE_(STATE_U8, struct vga, pel_part),
	STATE_(STATE_BOOL, struct vga, pel_reading),
	STATE_(STATE_BYTES, struct vga, palette),
	STATE_END,
};

static const struct pci_class vga_pci = {
	.vendor = 0x1234,
	.device = 0x1111,
	.subsys_vendor = 0x1af4,
	.subsys = 0x1100,
	.class_code = 0x030000,
	.revision = 2,
};

const struct device_class vga_class = {
	.name = "VGA",
	.desc = "text screen at 0xb8000",
	.bus = BUS_PCI,
	.group = DEVICE_DISPLAY,
	.size = sizeof(struct vga),
	.user = true,
	.options = vga_options,
	.state = vga_state,
	.bus_class = &vga_pci,
	.init = vga_init,
	.reset = vga_reset,
	.fini = vga_fini,
	.info = vga_info,
	.loaded = vga_loaded,
};
