/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keyboard controller with an AT keyboard behind it; fast A20 and reset at
 * port 0x92.
 *
 * There is no auxiliary port: its test fails and bytes for it vanish, which
 * tells a guest quickly that there is no mouse.  The keyboard speaks scan
 * code set 2; the controller translates while bit 6 of its command byte is
 * set.  A20 is always open, its bit only remembered.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller".
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include <errno.h>
#include <string.h>

#include "devices/keys.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/runstate.h"
#include "vmm/state.h"

#define I8042_IRQ 1

#define STATUS_OBF      0x01
#define STATUS_SYSTEM   0x04
#define STATUS_COMMAND  0x08 /* last write went to 0x64 */
#define STATUS_UNLOCKED 0x10

#define MODE_IRQ       0x01
#define MODE_SYSTEM    0x04
#define MODE_NO_KBD    0x10
#define MODE_NO_AUX    0x20
#define MODE_TRANSLATE 0x40

#define CTRL_READ_MODE    0x20 /* to 0x3f: controller RAM */
#define CTRL_WRITE_MODE   0x60 /* to 0x7f */
#define CTRL_AUX_DISABLE  0xa7
#define CTRL_AUX_ENABLE   0xa8
#define CTRL_AUX_TEST     0xa9
#define CTRL_SELF_TEST    0xaa
#define CTRL_KBD_TEST     0xab
#define CTRL_KBD_DISABLE  0xad
#define CTRL_KBD_ENABLE   0xae
#define CTRL_READ_INPUT   0xc0
#define CTRL_READ_OUTPUT  0xd0
#define CTRL_WRITE_OUTPUT 0xd1
#define CTRL_ECHO_KBD     0xd2
#define CTRL_ECHO_AUX     0xd3
#define CTRL_WRITE_AUX    0xd4
#define CTRL_A20_OFF      0xdd
#define CTRL_A20_ON       0xdf
#define CTRL_PULSE        0xf0 /* low nibble: lines not pulsed */

#define OUTPUT_NO_RESET 0x01
#define OUTPUT_A20      0x02
#define OUTPUT_OBF      0x10

#define KBD_SET_LEDS    0xed
#define KBD_ECHO        0xee
#define KBD_SCAN_SET    0xf0
#define KBD_IDENTIFY    0xf2
#define KBD_TYPEMATIC   0xf3
#define KBD_ENABLE      0xf4
#define KBD_DISABLE     0xf5
#define KBD_DEFAULTS    0xf6
#define KBD_RESEND      0xfe
#define KBD_RESET       0xff
#define KBD_ACK         0xfa
#define KBD_TEST_PASSED 0xaa

#define I8042_QUEUE 32

#define KEY_ALT   0x38
#define KEY_SYSRQ 0x54
#define KEY_PRINT 0xb7
#define KEY_PAUSE 0xc6

struct i8042 {
	struct device dev;
	struct region data, command, port92;
	u8 ram[32]; /* [0] is the command byte */
	u8 status;
	u8 output_port;
	u8 output;    /* output buffer, valid while STATUS_OBF */
	u8 expecting; /* command that waits for its byte at 0x60, or 0 */

	/* Keyboard. */
	u8 queue[I8042_QUEUE];
	u8 head, count;
	u8 kbd_expecting;
	u8 last_sent;
	u8 leds;
	u8 scan_set;
	bool scanning;
	bool break_prefix; /* translation saw 0xf0 */
	bool alt_down;     /* changes what Print sends */

	struct keys typist;
};

/* Scan code set 2 to set 1, as the controller's ROM translates; set 2 codes
 * 0x80-0xff pass unchanged but for 0x83 (F7) and 0x84 (SysRq). */
/* clang-format off */
static const u8 i8042_set2_to_1[128] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58,
	0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
	0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a,
	0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
	0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c,
	0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
	0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e,
	0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
	0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60,
	0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
	0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e,
	0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
	0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b,
	0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
	0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
	0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

/* clang-format on */

static u8 i8042_translate(u8 code)
{
	if (code == 0x83)
		return 0x41;
	if (code == 0x84)
		return 0x54;
	return code < 128 ? i8042_set2_to_1[code] : code;
}

/* Inverse, for make codes. */
static u8 i8042_to_set2(u8 code)
{
	if (code == 0x41)
		return 0x83;
	if (code == 0x54)
		return 0x84;
	for (u32 i = 0; i < ARRAY_SIZE(i8042_set2_to_1); i++)
		if (i8042_set2_to_1[i] == code)
			return i;
	return 0;
}

static void i8042_update_irq(struct i8042 *s)
{
	irq_set(&s->dev.m->gsi[I8042_IRQ],
		(s->status & STATUS_OBF) && (s->ram[0] & MODE_IRQ));
}

static void i8042_put(struct i8042 *s, u8 byte)
{
	s->output = byte;
	s->status |= STATUS_OBF;
}

/* Moves the keyboard's next byte into a free output buffer.  A translated
 * break prefix yields no byte of its own. */
static void i8042_fetch(struct i8042 *s)
{
	while (s->count && !(s->status & STATUS_OBF) &&
	       !(s->ram[0] & MODE_NO_KBD)) {
		u8 byte = s->queue[s->head];

		s->head = (s->head + 1) % I8042_QUEUE;
		s->count--;
		if (!(s->ram[0] & MODE_TRANSLATE)) {
			i8042_put(s, byte);
		} else if (byte == 0xf0) {
			s->break_prefix = true;
		} else {
			i8042_put(s, i8042_translate(byte) |
					     (s->break_prefix ? 0x80 : 0));
			s->break_prefix = false;
		}
	}
	i8042_update_irq(s);
}

static void i8042_queue(struct i8042 *s, u8 byte)
{
	if (s->count >= I8042_QUEUE)
		return;
	s->queue[(s->head + s->count++) % I8042_QUEUE] = byte;
	s->last_sent = byte;
}

static void i8042_kbd_defaults(struct i8042 *s)
{
	s->leds = 0;
	s->scan_set = 2;
	s->kbd_expecting = 0;
	s->count = 0;
	s->break_prefix = false;
}

/* The byte that follows a keyboard command. */
static void i8042_kbd_argument(struct i8042 *s, u8 command, u8 byte)
{
	s->kbd_expecting = 0;
	i8042_queue(s, KBD_ACK);
	switch (command) {
	case KBD_SET_LEDS: s->leds = byte & 7; break;
	case KBD_SCAN_SET:
		if (!byte)
			i8042_queue(s, s->scan_set);
		else if (byte <= 3)
			s->scan_set = byte;
		break;
	}
}

static void i8042_kbd_write(struct i8042 *s, u8 byte)
{
	u8 command = s->kbd_expecting;

	if (command && byte < 0xed) {
		i8042_kbd_argument(s, command, byte);
		return;
	}
	s->kbd_expecting = 0;
	s->count = 0;
	switch (byte) {
	case KBD_SET_LEDS:
	case KBD_SCAN_SET:
	case KBD_TYPEMATIC:
		s->kbd_expecting = byte;
		i8042_queue(s, KBD_ACK);
		break;
	case KBD_ECHO: i8042_queue(s, KBD_ECHO); break;
	case KBD_IDENTIFY:
		i8042_queue(s, KBD_ACK);
		i8042_queue(s, 0xab);
		i8042_queue(s, 0x83);
		break;
	case KBD_ENABLE:
		s->scanning = true;
		i8042_queue(s, KBD_ACK);
		break;
	case KBD_DISABLE:
	case KBD_DEFAULTS:
		i8042_kbd_defaults(s);
		s->scanning = byte == KBD_DEFAULTS;
		i8042_queue(s, KBD_ACK);
		break;
	case KBD_RESEND: i8042_queue(s, s->last_sent); break;
	case KBD_RESET:
		i8042_kbd_defaults(s);
		s->scanning = true;
		i8042_queue(s, KBD_ACK);
		i8042_queue(s, KBD_TEST_PASSED);
		break;
	default: i8042_queue(s, KBD_RESEND); break;
	}
}

static void i8042_write_output_port(struct i8042 *s, u8 value)
{
	s->output_port = value & ~OUTPUT_OBF;
	if (!(value & OUTPUT_NO_RESET))
		runstate_request_reset(s->dev.m, true);
}

static void i8042_command(struct i8042 *s, u8 command)
{
	s->expecting = 0;
	switch (command) {
	case CTRL_READ_MODE ... CTRL_READ_MODE + 0x1f:
		i8042_put(s, s->ram[command & 0x1f]);
		break;
	case CTRL_WRITE_MODE ... CTRL_WRITE_MODE + 0x1f:
	case CTRL_WRITE_OUTPUT:
	case CTRL_ECHO_KBD:
	case CTRL_WRITE_AUX: s->expecting = command; break;
	case CTRL_AUX_DISABLE: s->ram[0] |= MODE_NO_AUX; break;
	case CTRL_AUX_ENABLE: s->ram[0] &= ~MODE_NO_AUX; break;
	case CTRL_AUX_TEST: i8042_put(s, 0x01); break; /* clock stuck low */
	case CTRL_SELF_TEST:
		s->status |= STATUS_SYSTEM;
		s->ram[0] |= MODE_SYSTEM;
		i8042_put(s, 0x55);
		break;
	case CTRL_KBD_TEST: i8042_put(s, 0x00); break;
	case CTRL_KBD_DISABLE: s->ram[0] |= MODE_NO_KBD; break;
	case CTRL_KBD_ENABLE: s->ram[0] &= ~MODE_NO_KBD; break;
	case CTRL_READ_INPUT: i8042_put(s, 0x80); break; /* not inhibited */
	case CTRL_READ_OUTPUT:
		i8042_put(s, s->output_port |
				     (s->status & STATUS_OBF ? OUTPUT_OBF : 0));
		break;
	case CTRL_A20_OFF: s->output_port &= ~OUTPUT_A20; break;
	case CTRL_A20_ON: s->output_port |= OUTPUT_A20; break;
	case CTRL_PULSE ... CTRL_PULSE + 0x0f:
		if (!(command & 1))
			runstate_request_reset(s->dev.m, true);
		break;
	default: log_guest("i8042", "unknown command 0x%02x", command); break;
	}
}

static u64 i8042_read_data(void *opaque, u64 offset, u32 size)
{
	struct i8042 *s = opaque;
	u8 value = s->output;

	/* The line falls between two bytes, so that each one is an edge. */
	s->status &= ~STATUS_OBF;
	i8042_update_irq(s);
	i8042_fetch(s);
	return value;
}

static void i8042_write_data(void *opaque, u64 offset, u32 size, u64 value)
{
	struct i8042 *s = opaque;
	u8 command = s->expecting;

	s->status &= ~STATUS_COMMAND;
	s->expecting = 0;
	switch (command) {
	case 0:
		s->ram[0] &= ~MODE_NO_KBD;
		i8042_kbd_write(s, value);
		break;
	case CTRL_WRITE_OUTPUT: i8042_write_output_port(s, value); break;
	case CTRL_ECHO_KBD: i8042_put(s, value); break;
	case CTRL_WRITE_AUX: break;
	default: s->ram[command & 0x1f] = value; break;
	}
	i8042_fetch(s);
}

static u64 i8042_read_status(void *opaque, u64 offset, u32 size)
{
	struct i8042 *s = opaque;

	return s->status;
}

static void i8042_write_command(void *opaque, u64 offset, u32 size, u64 value)
{
	struct i8042 *s = opaque;

	s->status |= STATUS_COMMAND;
	i8042_command(s, value);
	i8042_fetch(s);
}

static u64 i8042_read_port92(void *opaque, u64 offset, u32 size)
{
	struct i8042 *s = opaque;

	return s->output_port & OUTPUT_A20;
}

static void i8042_write_port92(void *opaque, u64 offset, u32 size, u64 value)
{
	struct i8042 *s = opaque;

	s->output_port = (s->output_port & ~OUTPUT_A20) | (value & OUTPUT_A20);
	if (value & 1)
		runstate_request_reset(s->dev.m, true);
}

static const struct region_ops i8042_data_ops = {
	.read = i8042_read_data,
	.write = i8042_write_data,
	.max_size = 1,
};

static const struct region_ops i8042_command_ops = {
	.read = i8042_read_status,
	.write = i8042_write_command,
	.max_size = 1,
};

static const struct region_ops i8042_port92_ops = {
	.read = i8042_read_port92,
	.write = i8042_write_port92,
	.max_size = 1,
};

/* The bytes of a key that has no code of its own: pressed and released, set
 * 1 and set 2.  Print is SysRq while Alt is down; Pause comes up at once. */
static const struct {
	u8 code;
	const char *bytes[2][2];
} i8042_odd_keys[] = {
	{ KEY_PRINT,
	  { { "\xe0\x2a\xe0\x37", "\xe0\x12\xe0\x7c" },
	    { "\xe0\xb7\xe0\xaa", "\xe0\xf0\x7c\xe0\xf0\x12" } } },
	{ KEY_PAUSE,
	  { { "\xe1\x1d\x45\xe1\x9d\xc5", "\xe1\x14\x77\xe1\xf0\x14\xf0\x77" },
	    { "", "" } } },
};

/* What the keyboard sends for a key; the number of bytes, 0: nothing. */
static u32 i8042_key_bytes(const struct i8042 *s, u8 code, bool down,
			   u8 bytes[8])
{
	bool set1 = s->scan_set == 1;
	u8 set2 = i8042_to_set2(code & 0x7f);
	u32 n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(i8042_odd_keys); i++) {
		const char *odd = i8042_odd_keys[i].bytes[!down][!set1];

		if (i8042_odd_keys[i].code != code)
			continue;
		memcpy(bytes, odd, strlen(odd));
		return strlen(odd);
	}
	if (!set2)
		return 0;
	if (code & 0x80)
		bytes[n++] = 0xe0;
	if (!set1 && !down)
		bytes[n++] = 0xf0;
	bytes[n++] = set1 ? (code & 0x7f) | (down ? 0 : 0x80) : set2;
	return n;
}

void i8042_key(struct device *dev, u8 code, bool down)
{
	struct i8042 *s = (struct i8042 *)dev;
	u8 bytes[8];
	u32 n;

	if ((code & 0x7f) == KEY_ALT)
		s->alt_down = down;
	if (code == KEY_PRINT && s->alt_down)
		code = KEY_SYSRQ;
	n = i8042_key_bytes(s, code, down, bytes);
	if (!s->scanning || s->count + n > I8042_QUEUE)
		return;
	for (u32 i = 0; i < n; i++)
		i8042_queue(s, bytes[i]);
	i8042_fetch(s);
}

static void i8042_emit(void *opaque, u8 code, bool down)
{
	i8042_key(opaque, code, down);
}

int i8042_type(struct device *dev, const u8 *codes, int n, u32 hold_ms,
	       struct err *err)
{
	struct i8042 *s = (struct i8042 *)dev;

	return keys_type(&s->typist, codes, n, hold_ms, err);
}

static const struct state_field i8042_state[] = {
	STATE_(STATE_BYTES, struct i8042, ram),
	STATE_(STATE_U8, struct i8042, status),
	STATE_(STATE_U8, struct i8042, output_port),
	STATE_(STATE_U8, struct i8042, output),
	STATE_(STATE_U8, struct i8042, expecting),
	STATE_(STATE_BYTES, struct i8042, queue),
	STATE_(STATE_U8, struct i8042, head),
	STATE_(STATE_U8, struct i8042, count),
	STATE_(STATE_U8, struct i8042, kbd_expecting),
	STATE_(STATE_U8, struct i8042, last_sent),
	STATE_(STATE_U8, struct i8042, leds),
	STATE_(STATE_U8, struct i8042, scan_set),
	STATE_(STATE_BOOL, struct i8042, scanning),
	STATE_(STATE_BOOL, struct i8042, break_prefix),
	STATE_(STATE_BOOL, struct i8042, alt_down),
	STATE_END,
};

static int i8042_init(struct device *dev, struct err *err)
{
	struct i8042 *s = (struct i8042 *)dev;
	struct space *io = &dev->m->io;

	region_map(&s->data, io, "i8042-data", 0x60, 1, &i8042_data_ops, s);
	region_map(&s->command, io, "i8042-cmd", 0x64, 1, &i8042_command_ops,
		   s);
	region_map(&s->port92, io, "port92", 0x92, 1, &i8042_port92_ops, s);
	keys_init(&s->typist, dev->m, i8042_emit, s);
	dev->m->keyboard = dev;
	return 0;
}

static void i8042_reset(struct device *dev)
{
	struct i8042 *s = (struct i8042 *)dev;

	memset(s->ram, 0, sizeof s->ram);
	/* As firmware leaves it: keyboard on, translated, with interrupts. */
	s->ram[0] = MODE_IRQ | MODE_SYSTEM | MODE_NO_AUX | MODE_TRANSLATE;
	s->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	s->output_port = OUTPUT_NO_RESET | OUTPUT_A20;
	s->output = s->expecting = s->last_sent = s->head = 0;
	s->scanning = true;
	s->alt_down = false;
	keys_reset(&s->typist);
	i8042_kbd_defaults(s);
	i8042_update_irq(s);
}

static void i8042_fini(struct device *dev)
{
	struct i8042 *s = (struct i8042 *)dev;

	keys_reset(&s->typist);
	dev->m->keyboard = NULL;
	region_unmap(&s->data);
	region_unmap(&s->command);
	region_unmap(&s->port92);
}

static int i8042_loaded(struct device *dev, struct err *err)
{
	struct i8042 *s = (struct i8042 *)dev;

	if (s->head >= I8042_QUEUE || s->count > I8042_QUEUE)
		return err_set(err, -EINVAL, "queue positions out of range");
	i8042_update_irq(s);
	return 0;
}

static void i8042_info(struct device *dev, struct buf *out)
{
	struct i8042 *s = (struct i8042 *)dev;

	buf_printf(out, "isa irq %d\n", I8042_IRQ);
	buf_printf(out, "status 0x%02x, mode 0x%02x, scan set %u, leds %u\n",
		   s->status, s->ram[0], s->scan_set, s->leds);
}

const struct device_class i8042_class = {
	.name = "i8042",
	.desc = "keyboard controller and keyboard",
	.bus = BUS_ISA,
	.size = sizeof(struct i8042),
	.state = i8042_state,
	.init = i8042_init,
	.reset = i8042_reset,
	.fini = i8042_fini,
	.info = i8042_info,
	.loaded = i8042_loaded,
};
