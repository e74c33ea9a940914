/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MC146818 real-time clock with 128 bytes of CMOS RAM.
 *
 * The date is the host's real time plus an offset, worked out when it is
 * read, so an idle clock costs nothing: a timer runs only while one of the
 * three interrupts is enabled.  While the update is stopped (B.SET, or the
 * divider in reset) the date is the bytes in CMOS RAM, which the guest edits
 * one by one.
 *
 * Spec: Motorola MC146818A data sheet; CMOS layout as PC firmware expects.
 * Locking: machine_lock.
 */
#include "devices/pc.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "vmm/device.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/state.h"
#include "vmm/vtimer.h"

#define RTC_IRQ 8

#define RTC_SEC       0x00
#define RTC_SEC_ALARM 0x01
#define RTC_MIN       0x02
#define RTC_MIN_ALARM 0x03
#define RTC_HOUR      0x04
#define RTC_HR_ALARM  0x05
#define RTC_WDAY      0x06
#define RTC_MDAY      0x07
#define RTC_MONTH     0x08
#define RTC_YEAR      0x09
#define RTC_A         0x0a
#define RTC_B         0x0b
#define RTC_C         0x0c
#define RTC_D         0x0d
#define RTC_SHUTDOWN  0x0f
#define RTC_EQUIPMENT 0x14
#define RTC_BOOT_3    0x38 /* high nibble: the third drive */
#define RTC_BOOT_12   0x3d /* low nibble: the first, high: the second */
#define RTC_BASE_LO   0x15
#define RTC_EXT_LO    0x17
#define RTC_EXT2_LO   0x30
#define RTC_CENTURY   0x32
#define RTC_16M_LO    0x34 /* RAM above 16 MiB in 64 KiB units */
#define RTC_4G_LO     0x5b /* RAM above 4 GiB in 64 KiB units, 24 bits */
#define RTC_CPUS      0x5f /* number of processors less one */

#define RTC_A_UIP   0x80
#define RTC_B_SET   0x80
#define RTC_B_PIE   0x40
#define RTC_B_AIE   0x20
#define RTC_B_UIE   0x10
#define RTC_B_BIN   0x04
#define RTC_B_24H   0x02
#define RTC_C_IRQ   0x80
#define RTC_C_PF    0x40
#define RTC_C_AF    0x20
#define RTC_C_UF    0x10
#define RTC_D_VALID 0x80

#define RTC_UIP_NS     (244 * NS_PER_US)
#define RTC_CRYSTAL_HZ 32768

struct rtc {
	struct device dev;
	struct region io;
	u8 index;
	u8 cmos[128];    /* the date bytes in it are valid only for alarms */
	u64 offset_ns;   /* two's complement: guest's clock less the host's */
	u64 seen_second; /* last one accounted for in C.UF */
	u64 seen_tick;   /* last periodic tick accounted for in C.PF */
	struct vtimer periodic, second;
};

static u64 rtc_now_ns(const struct rtc *s)
{
	return clock_realtime_ns() + s->offset_ns;
}

static bool rtc_stopped(const struct rtc *s)
{
	/* Divider held in reset: codes 11x. */
	return (s->cmos[RTC_B] & RTC_B_SET) || (s->cmos[RTC_A] & 0x60) == 0x60;
}

/* Length of the periodic tick in crystal cycles, 0 when off. */
static u32 rtc_period(const struct rtc *s)
{
	u32 rate = s->cmos[RTC_A] & 0x0f;

	if (!rate)
		return 0;
	return 1u << ((rate <= 2 ? rate + 7 : rate) - 1);
}

static u64 rtc_tick(const struct rtc *s)
{
	u32 period = rtc_period(s);
	u64 now = vclock_now(s->dev.m);

	return period ? (u64)((u128)now * RTC_CRYSTAL_HZ / NS_PER_S) / period
		      : 0;
}

static void rtc_update_irq(struct rtc *s)
{
	u8 on = s->cmos[RTC_C] & s->cmos[RTC_B] & 0x70;

	if (on)
		s->cmos[RTC_C] |= RTC_C_IRQ;
	else
		s->cmos[RTC_C] &= ~RTC_C_IRQ;
	irq_set(&s->dev.m->gsi[RTC_IRQ], on != 0);
}

static u8 rtc_encode(const struct rtc *s, u32 n)
{
	if (s->cmos[RTC_B] & RTC_B_BIN)
		return n;
	return (n / 10) << 4 | n % 10;
}

static u32 rtc_decode(const struct rtc *s, u8 byte)
{
	if (s->cmos[RTC_B] & RTC_B_BIN)
		return byte;
	return (byte >> 4) * 10 + (byte & 15);
}

static u8 rtc_encode_hour(const struct rtc *s, u32 hour)
{
	if (s->cmos[RTC_B] & RTC_B_24H)
		return rtc_encode(s, hour);
	return rtc_encode(s, hour % 12 ? hour % 12 : 12) |
	       (hour >= 12 ? 0x80 : 0);
}

static u32 rtc_decode_hour(const struct rtc *s, u8 byte)
{
	if (s->cmos[RTC_B] & RTC_B_24H)
		return rtc_decode(s, byte);
	return rtc_decode(s, byte & 0x7f) % 12 + (byte & 0x80 ? 12 : 0);
}

/* The registers that make up the date. */
static const u8 rtc_date[] = { RTC_SEC,  RTC_MIN,   RTC_HOUR, RTC_WDAY,
			       RTC_MDAY, RTC_MONTH, RTC_YEAR, RTC_CENTURY };

static bool rtc_is_date(u8 index)
{
	for (u32 i = 0; i < ARRAY_SIZE(rtc_date); i++)
		if (rtc_date[i] == index)
			return true;
	return false;
}

/* Seconds since 1970 of the date bytes; nonsense in them is bounded. */
static u64 rtc_from_bytes(const struct rtc *s)
{
	const u8 *c = s->cmos;
	u32 month = rtc_decode(s, c[RTC_MONTH]);
	u32 century = rtc_decode(s, c[RTC_CENTURY]);
	struct tm tm = {
		.tm_sec = MIN(rtc_decode(s, c[RTC_SEC]), 59),
		.tm_min = MIN(rtc_decode(s, c[RTC_MIN]), 59),
		.tm_hour = MIN(rtc_decode_hour(s, c[RTC_HOUR]), 23),
		.tm_mday = MIN(MAX(rtc_decode(s, c[RTC_MDAY]), 1), 31),
		.tm_mon = MIN(MAX(month, 1), 12) - 1,
		.tm_year = MIN(rtc_decode(s, c[RTC_YEAR]), 99),
	};
	time_t t;

	/* Those who set only the year get the century they mean. */
	if (century < 19 || century > 29)
		century = tm.tm_year < 70 ? 20 : 19;
	tm.tm_year += (century - 19) * 100;
	t = timegm(&tm);
	return t < 0 ? 0 : t;
}

static u64 rtc_now_s(const struct rtc *s)
{
	return rtc_stopped(s) ? rtc_from_bytes(s) : rtc_now_ns(s) / NS_PER_S;
}

static u8 rtc_read_date(struct rtc *s, u8 index)
{
	time_t t = rtc_now_ns(s) / NS_PER_S;
	struct tm tm;

	if (rtc_stopped(s))
		return s->cmos[index];
	if (!gmtime_r(&t, &tm))
		return 0;
	switch (index) {
	case RTC_SEC: return rtc_encode(s, tm.tm_sec);
	case RTC_MIN: return rtc_encode(s, tm.tm_min);
	case RTC_HOUR: return rtc_encode_hour(s, tm.tm_hour);
	case RTC_WDAY: return rtc_encode(s, tm.tm_wday + 1);
	case RTC_MDAY: return rtc_encode(s, tm.tm_mday);
	case RTC_MONTH: return rtc_encode(s, tm.tm_mon + 1);
	case RTC_YEAR: return rtc_encode(s, tm.tm_year % 100);
	default: return rtc_encode(s, (tm.tm_year + 1900) / 100);
	}
}

/* The running date into the bytes, before the update stops. */
static void rtc_freeze(struct rtc *s)
{
	for (u32 i = 0; i < ARRAY_SIZE(rtc_date); i++)
		s->cmos[rtc_date[i]] = rtc_read_date(s, rtc_date[i]);
}

/* The date goes on from the bytes; the update is no longer stopped. */
static void rtc_thaw(struct rtc *s)
{
	s->offset_ns +=
		(rtc_from_bytes(s) - rtc_now_ns(s) / NS_PER_S) * NS_PER_S;
}

static void rtc_tell(struct rtc *s)
{
	const struct event_value v[] = {
		{ .num = (s64)s->offset_ns / (s64)NS_PER_S },
		{ .text = s->dev.path },
	};

	event_send(s->dev.m, EVENT_RTC_CHANGE, v);
}

static void rtc_write_date(struct rtc *s, u8 index, u8 value)
{
	if (!rtc_stopped(s)) {
		rtc_freeze(s);
		s->cmos[index] = value;
		rtc_thaw(s);
		rtc_tell(s);
	} else {
		s->cmos[index] = value;
	}
}

static bool rtc_alarm_matches(struct rtc *s, u8 index, u8 date_index)
{
	u8 want = s->cmos[index];

	return want >= 0xc0 || want == rtc_read_date(s, date_index);
}

/* Accounts for a passed second boundary. */
static void rtc_note_second(struct rtc *s)
{
	u64 now = rtc_now_s(s);

	if (rtc_stopped(s) || now == s->seen_second)
		return;
	s->seen_second = now;
	s->cmos[RTC_C] |= RTC_C_UF;
	if (rtc_alarm_matches(s, RTC_SEC_ALARM, RTC_SEC) &&
	    rtc_alarm_matches(s, RTC_MIN_ALARM, RTC_MIN) &&
	    rtc_alarm_matches(s, RTC_HR_ALARM, RTC_HOUR))
		s->cmos[RTC_C] |= RTC_C_AF;
}

static void rtc_note_tick(struct rtc *s)
{
	u64 tick = rtc_tick(s);

	if (tick != s->seen_tick && rtc_period(s))
		s->cmos[RTC_C] |= RTC_C_PF;
	s->seen_tick = tick;
}

/* Timers run exactly while an enabled interrupt needs them. */
static void rtc_arm(struct rtc *s)
{
	struct machine *m = s->dev.m;
	u32 period = rtc_period(s);

	if ((s->cmos[RTC_B] & RTC_B_PIE) && period)
		vtimer_set(&s->periodic,
			   (u64)((u128)(rtc_tick(s) + 1) * period * NS_PER_S /
				 RTC_CRYSTAL_HZ) +
				   1);
	else
		vtimer_cancel(&s->periodic);

	if ((s->cmos[RTC_B] & (RTC_B_UIE | RTC_B_AIE)) && !rtc_stopped(s))
		vtimer_set(&s->second,
			   vclock_now(m) + NS_PER_S - rtc_now_ns(s) % NS_PER_S);
	else
		vtimer_cancel(&s->second);
}

static void rtc_timer(void *opaque)
{
	struct rtc *s = opaque;

	if (s->cmos[RTC_B] & (RTC_B_UIE | RTC_B_AIE))
		rtc_note_second(s);
	if (s->cmos[RTC_B] & RTC_B_PIE)
		rtc_note_tick(s);
	rtc_update_irq(s);
	rtc_arm(s);
}

static u8 rtc_read_register_c(struct rtc *s)
{
	u8 value;

	rtc_note_second(s);
	rtc_note_tick(s);
	rtc_update_irq(s);
	value = s->cmos[RTC_C];
	s->cmos[RTC_C] = 0;
	rtc_update_irq(s);
	return value;
}

static u64 rtc_read(void *opaque, u64 offset, u32 size)
{
	struct rtc *s = opaque;

	if (!offset)
		return 0xff; /* the index is write-only */
	if (rtc_is_date(s->index))
		return rtc_read_date(s, s->index);
	switch (s->index) {
	case RTC_A:
		if (!rtc_stopped(s) &&
		    rtc_now_ns(s) % NS_PER_S >= NS_PER_S - RTC_UIP_NS)
			return s->cmos[RTC_A] | RTC_A_UIP;
		return s->cmos[RTC_A];
	case RTC_C: return rtc_read_register_c(s);
	default: return s->cmos[s->index];
	}
}

/* A and B: stopping and starting the update keeps the date continuous. */
static void rtc_write_control(struct rtc *s, u8 index, u8 value)
{
	bool was_stopped = rtc_stopped(s);

	if (!was_stopped)
		rtc_freeze(s);
	if (index == RTC_A) {
		s->cmos[RTC_A] = value & 0x7f;
		s->seen_tick = rtc_tick(s);
	} else {
		if (value & RTC_B_SET)
			value &= ~RTC_B_UIE;
		s->cmos[RTC_B] = value;
	}
	if (was_stopped && !rtc_stopped(s)) {
		rtc_thaw(s);
		rtc_tell(s);
	}
	rtc_update_irq(s);
	rtc_arm(s);
}

static void rtc_write(void *opaque, u64 offset, u32 size, u64 value)
{
	struct rtc *s = opaque;

	if (!offset) {
		s->index = value & 0x7f; /* bit 7 masks NMI, which has no use */
		return;
	}
	if (rtc_is_date(s->index)) {
		rtc_write_date(s, s->index, value);
		return;
	}
	switch (s->index) {
	case RTC_A:
	case RTC_B: rtc_write_control(s, s->index, value); break;
	case RTC_C:
	case RTC_D: break; /* read-only */
	default: s->cmos[s->index] = value; break;
	}
}

static const struct region_ops rtc_ops = {
	.read = rtc_read,
	.write = rtc_write,
	.max_size = 1,
};

/* Floppy, disk, CD, network. */
static u8 rtc_boot_code(char letter)
{
	switch (letter) {
	case 'a':
	case 'b': return 1;
	case 'c': return 2;
	case 'd': return 3;
	case 'n': return 4;
	default: return 0;
	}
}

int rtc_set_boot_order(struct device *dev, const char *letters, struct err *err)
{
	u8 code[3] = { 0 };
	u32 seen = 0;

	for (int i = 0; letters[i]; i++) {
		char c = letters[i];

		if (c < 'a' || c > 'p')
			return err_set(err, -EINVAL, "Invalid boot device '%c'",
				       c);
		if (seen & 1u << (c - 'a'))
			return err_set(err, -EINVAL,
				       "Boot device '%c' was given twice", c);
		seen |= 1u << (c - 'a');
	}
	if (strlen(letters) > ARRAY_SIZE(code))
		return err_set(err, -EINVAL, "Too many boot devices for PC");
	for (int i = 0; letters[i]; i++) {
		code[i] = rtc_boot_code(letters[i]);
		if (!code[i])
			return err_set(err, -EINVAL,
				       "Invalid boot device for PC: '%c'",
				       letters[i]);
	}
	rtc_set_cmos(dev, RTC_BOOT_12, code[1] << 4 | code[0]);
	rtc_set_cmos(dev, RTC_BOOT_3, code[2] << 4);
	return 0;
}

void rtc_set_cmos(struct device *dev, u8 index, u8 value)
{
	struct rtc *s = (struct rtc *)dev;

	s->cmos[index & 0x7f] = value;
}

u8 rtc_get_cmos(struct device *dev, u8 index)
{
	struct rtc *s = (struct rtc *)dev;

	return s->cmos[index & 0x7f];
}

void rtc_set_offset(struct device *dev, s64 offset_ns)
{
	struct rtc *s = (struct rtc *)dev;

	s->offset_ns = offset_ns;
	s->seen_second = rtc_now_s(s);
}

s64 rtc_seconds(struct device *dev)
{
	return rtc_now_s((struct rtc *)dev);
}

static const struct state_field rtc_state[] = {
	STATE_(STATE_U8, struct rtc, index),
	STATE_(STATE_BYTES, struct rtc, cmos),
	STATE_(STATE_U64, struct rtc, offset_ns),
	STATE_(STATE_U64, struct rtc, seen_second),
	STATE_(STATE_U64, struct rtc, seen_tick),
	STATE_(STATE_VTIMER, struct rtc, periodic),
	STATE_(STATE_VTIMER, struct rtc, second),
	STATE_END,
};

static void rtc_put16(struct rtc *s, u8 index, u64 value)
{
	s->cmos[index] = value;
	s->cmos[index + 1] = value >> 8;
}

/* What firmware reads about memory and processors. */
static void rtc_fill_config(struct rtc *s)
{
	struct machine *m = s->dev.m;
	u64 low = m->ram_below_4g ? m->ram_below_4g : m->ram_size;
	u64 ext_kib = low > MIB ? (low - MIB) / KIB : 0;
	u64 above16 = low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0;
	u64 above4g = m->ram_above_4g / (64 * KIB);

	s->cmos[RTC_EQUIPMENT] = 0x02; /* FPU */
	rtc_put16(s, RTC_BASE_LO, 640);
	rtc_put16(s, RTC_EXT_LO, MIN(ext_kib, 65535));
	rtc_put16(s, RTC_EXT2_LO, MIN(ext_kib, 65535));
	rtc_put16(s, RTC_16M_LO, MIN(above16, 65535));
	rtc_put16(s, RTC_4G_LO, above4g);
	s->cmos[RTC_4G_LO + 2] = above4g >> 16;
	s->cmos[RTC_CPUS] = m->topo.cpus > 0 ? m->topo.cpus - 1 : 0;
}

static int rtc_init(struct device *dev, struct err *err)
{
	struct rtc *s = (struct rtc *)dev;

	vtimer_init(&s->periodic, dev->m, rtc_timer, s);
	vtimer_init(&s->second, dev->m, rtc_timer, s);
	s->cmos[RTC_A] = 0x26; /* 32768 Hz crystal, 1024 Hz rate */
	s->cmos[RTC_B] = RTC_B_24H;
	s->cmos[RTC_D] = RTC_D_VALID;
	s->seen_second = rtc_now_s(s);
	region_map(&s->io, &dev->m->io, "rtc", 0x70, 2, &rtc_ops, s);
	dev->m->rtc = dev;
	return 0;
}

/* The battery keeps all but the interrupt enables; SHUTDOWN survives, as
 * firmware looks at it after a reset of the processor. */
static void rtc_reset(struct device *dev)
{
	struct rtc *s = (struct rtc *)dev;

	rtc_write_control(s, RTC_B,
			  s->cmos[RTC_B] & ~(RTC_B_PIE | RTC_B_AIE | RTC_B_UIE |
					     RTC_B_SET));
	s->cmos[RTC_C] = 0;
	s->index = 0;
	s->seen_second = rtc_now_s(s);
	s->seen_tick = rtc_tick(s);
	rtc_fill_config(s);
	rtc_update_irq(s);
}

static void rtc_fini(struct device *dev)
{
	struct rtc *s = (struct rtc *)dev;

	region_unmap(&s->io);
	vtimer_cancel(&s->periodic);
	vtimer_cancel(&s->second);
	if (dev->m->rtc == dev)
		dev->m->rtc = NULL;
}

static int rtc_loaded(struct device *dev, struct err *err)
{
	struct rtc *s = (struct rtc *)dev;

	if (s->index >= sizeof s->cmos)
		return err_set(err, -EINVAL, "register index out of range");
	rtc_update_irq(s);
	return 0;
}

static void rtc_info(struct device *dev, struct buf *out)
{
	struct rtc *s = (struct rtc *)dev;
	time_t t = rtc_now_s(s);
	struct tm tm;

	buf_printf(out, "isa irq %d\n", RTC_IRQ);
	if (gmtime_r(&t, &tm))
		buf_printf(out, "date %04d-%02d-%02d %02d:%02d:%02d\n",
			   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			   tm.tm_hour, tm.tm_min, tm.tm_sec);
}

const struct device_class rtc_class = {
	.name = "mc146818rtc",
	.desc = "real-time clock and CMOS RAM",
	.bus = BUS_ISA,
	.size = sizeof(struct rtc),
	.state = rtc_state,
	.init = rtc_init,
	.reset = rtc_reset,
	.fini = rtc_fini,
	.info = rtc_info,
	.loaded = rtc_loaded,
};
