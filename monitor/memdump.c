/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * print, x, xp: values in the "/fmt" formats.
 *
 * Formats stick per session, for print and for the two dumps separately.
 * Deviation: 'd' sign-extends at every size; QEMU does at 'g' only.
 */
#include <errno.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "monitor/disas.h"
#include "monitor/internal.h"

#define DUMP_BYTES_MAX (256 * KIB)
#define DUMP_INSNS_MAX 4096

static void dump_char(struct buf *out, u64 v)
{
	static const char quoted[] = "''\\\\\nn\rr";

	for (const char *q = quoted; *q; q += 2) {
		if (v == (u8)*q) {
			buf_printf(out, "'\\%c'", q[1]);
			return;
		}
	}
	if (v >= 32 && v <= 126)
		buf_printf(out, "'%c'", (char)v);
	else
		buf_printf(out, "'\\x%02llx'", (unsigned long long)v);
}

/* ---- print ---- */

int cmd_print(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct mem_fmt *fmt = args_fmt(a, "fmt");
	unsigned long long v = args_u64(a, "val");
	struct buf out = { 0 };

	if (fmt->format)
		mon->print_fmt.format = fmt->format;
	switch (mon->print_fmt.format) {
	case 'x': buf_printf(&out, "%#llx\n", v); break;
	case 'o': buf_printf(&out, "%#llo\n", v); break;
	case 'u': buf_printf(&out, "%llu\n", v); break;
	case 'c':
		dump_char(&out, v);
		buf_putc(&out, '\n');
		break;
	default: buf_printf(&out, "%lld\n", (long long)v); break;
	}
	mon->last_value = v;
	mon_puts(mon, buf_str(&out));
	buf_fini(&out);
	return 0;
}

/* ---- x, xp ---- */

static u64 dump_value(const u8 *p, u32 size)
{
	switch (size) {
	case 1: return *p;
	case 2: return get_le16(p);
	case 4: return get_le32(p);
	default: return get_le64(p);
	}
}

static void dump_item(struct buf *out, const u8 *p, char format, u32 size)
{
	/* Indexed by log2(size). */
	static const u8 hex[] = { 2, 4, 8, 16 }, dec[] = { 3, 5, 10, 20 },
			oct[] = { 3, 6, 11, 22 };
	int n = __builtin_ctz(size);
	unsigned long long v = dump_value(p, size);
	int shift = 64 - 8 * (int)size;

	buf_putc(out, ' ');
	switch (format) {
	case 'x': buf_printf(out, "0x%0*llx", hex[n], v); break;
	case 'u': buf_printf(out, "%*llu", dec[n], v); break;
	case 'd':
		buf_printf(out, "%*lld", dec[n],
			   (long long)(v << shift) >> shift);
		break;
	case 'o': buf_printf(out, "%#*llo", oct[n], v); break;
	case 'c': dump_char(out, v); break;
	}
}

/* False: not all of it is there. */
static bool dump_rows(const struct mon_space *s, u64 addr, u64 len,
		      const struct mem_fmt *fmt, struct buf *out)
{
	u32 size = fmt->format == 'c' ? 1 : fmt->size;
	u32 row = fmt->size == 1 ? 8 : 16;
	u8 data[16];

	while (len) {
		u32 n = MIN(len, (u64)row);

		buf_printf(out, "%016llx:", (unsigned long long)addr);
		if (mon_read(s, addr, data, n, size) < n) {
			buf_puts(out, " Cannot access memory\n");
			return false;
		}
		for (u32 i = 0; i < n; i += size)
			dump_item(out, data + i, fmt->format, size);
		buf_putc(out, '\n');
		addr += n;
		len -= n;
	}
	return true;
}

static int dump_code_bits(const struct cpu_state *c)
{
	if (!c || cpu_code64(c))
		return 64;
	return c->seg[SEG_CS].attr & SEG_ATTR_DB ? 32 : 16;
}

/* What the user gave, completed with what sticks. */
static struct mem_fmt dump_format(struct monitor *mon,
				  const struct mem_fmt *given)
{
	struct mem_fmt *sticky = &mon->dump_fmt;

	if (given->format)
		sticky->format = given->format;
	if (given->size && sticky->format != 'i')
		sticky->size = given->size;
	return (struct mem_fmt){ .count = given->count,
				 .format = sticky->format,
				 .size = sticky->size };
}

static int dump(struct monitor *mon, const struct args *a,
		const struct mon_space *s, struct err *err)
{
	struct mem_fmt fmt = dump_format(mon, args_fmt(a, "fmt"));
	u64 addr = args_u64(a, "addr");
	u64 len = (u64)fmt.count * fmt.size;
	struct buf out = { 0 };
	bool all = true;

	if (fmt.format == 'i') {
		if (fmt.count > DUMP_INSNS_MAX)
			return err_set(err, -E2BIG,
				       "count %u is too large; at most %d "
				       "instructions are shown at once",
				       fmt.count, DUMP_INSNS_MAX);
		disas_dump(s, addr, MAX(fmt.count, 1u),
			   dump_code_bits(mon_cpu(mon)), &out);
	} else {
		if (len > DUMP_BYTES_MAX)
			return err_set(err, -E2BIG,
				       "count %u is too large; at most %llu "
				       "bytes are shown at once",
				       fmt.count, DUMP_BYTES_MAX);
		all = dump_rows(s, addr, len, &fmt, &out);
	}
	mon_puts(mon, buf_str(&out));
	buf_fini(&out);
	return all ? 0 : -EFAULT;
}

int cmd_x(struct monitor *mon, const struct args *a, struct err *err)
{
	struct mon_space s = { .mon = mon, .cpu = mon_cpu(mon) };

	if (!s.cpu) {
		mon_puts(mon, "Can not dump without CPU\n");
		return -ENODEV;
	}
	return dump(mon, a, &s, err);
}

int cmd_xp(struct monitor *mon, const struct args *a, struct err *err)
{
	struct mon_space s = { .mon = mon };

	return dump(mon, a, &s, err);
}
