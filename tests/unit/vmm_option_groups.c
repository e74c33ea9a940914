/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Option strings, half sensible, that create what they name: -device with all
 * properties, -drive, -netdev, -chardev, -object, -cpu.  They are refused with
 * a reason, or make something that goes away again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "devices/pci.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "net/net.h"
#include "tests/unit/bare_machine.h"
#include "tests/unit/fuzz.h"
#include "vmm/cpu_models.h"
#include "vmm/object.h"

static char dir[] = "/tmp/vmon-options-XXXXXX";

static const char *const values[] = {
	"on",
	"off",
	"auto",
	"",
	"0",
	"1",
	"-1",
	"2",
	"16",
	"64",
	"255",
	"256",
	"1024",
	"65535",
	"65536",
	"4294967295",
	"4294967296",
	"18446744073709551615",
	"99999999999999999999999",
	"0x",
	"0x10",
	"0xffffffffffffffff",
	"1k",
	"1.5M",
	"1T",
	"16E",
	"1e9",
	"nan",
	",,",
	"%s%n%1000000d",
	"52:54:00:12:34:56",
	"52:54:00",
	"ff:ff:ff:ff:ff:ff",
	"c0",
	"d0",
	"n0",
	"r0",
	"disk",
	"none",
	"/dev/null",
	".",
	"writeback",
	"native",
	"threads",
	"raw",
	"qcow2",
	"unmap",
	"10.0.2.0/24",
	"tcp::-:22",
	"tcp:127.0.0.1:0-:22",
	"03.0",
	"1f.7",
	"20.0",
	"3",
};

/* Keys of groups whose rows belong to their own folders. */
static const char *const keys[] = {
	"id",
	"file",
	"if",
	"format",
	"readonly",
	"serial",
	"cache",
	"aio",
	"discard",
	"index",
	"media",
	"snapshot",
	"path",
	"server",
	"wait",
	"telnet",
	"size",
	"mux",
	"logfile",
	"filename",
	"net",
	"dns",
	"hostfwd",
	"restrict",
	"dhcpstart",
	"mac",
	"model",
	"rng",
	"locking",
	"werror",
	"throttling.iops-total",
};

static void put_value(struct buf *s)
{
	u32 kind = fuzz_below(16);

	if (kind == 0) {
		for (u32 n = fuzz_below(600); n; n--)
			buf_putc(s, 'A');
	} else if (kind == 1) {
		for (u32 n = fuzz_below(20); n; n--)
			buf_putc(s, (char)(1 + fuzz_below(255)));
	} else if (kind == 2) {
		buf_printf(s, "%llu",
			   (unsigned long long)(fuzz_draw() >> fuzz_below(64)));
	} else {
		buf_puts(s, values[fuzz_below(ARRAY_SIZE(values))]);
	}
}

static void put_pairs(struct buf *s, const struct option_row *rows)
{
	u32 nrows = 0;

	while (rows && rows[nrows].name)
		nrows++;
	for (u32 n = fuzz_below(6); n; n--) {
		const char *key = keys[fuzz_below(ARRAY_SIZE(keys))];

		if (nrows && fuzz_below(4))
			key = rows[fuzz_below(nrows)].name;
		/* libslirp 4.7 never frees it. */
		if (!strcmp(key, "tftp-server-name"))
			continue;
		buf_printf(s, ",%s%s", fuzz_below(16) ? "" : "no", key);
		if (fuzz_below(12)) {
			buf_putc(s, '=');
			put_value(s);
		}
	}
	if (!fuzz_below(16))
		buf_putc(s, ',');
}

/* ---- What uses them ---- */

static int use_device(struct bare *b, struct buf *s, struct err *err)
{
	u32 n = 0;

	while (device_classes[n])
		n++;
	n = fuzz_below(n);
	buf_puts(s, device_classes[n]->name);
	if (fuzz_below(2))
		buf_printf(s, ",drive=d0,netdev=n0,chardev=c0");
	put_pairs(s, device_classes[n]->options);
	if (!device_classes[n]->user)
		return -EINVAL; /* the board's */
	return device_create_text(b->m, buf_str(s), err) ? 0 : -1;
}

static int use_chardev(struct bare *b, struct buf *s, struct err *err)
{
	static const char *const kinds[] = { "null",  "ringbuf", "file",
					     "pipe",  "socket",  "vc",
					     "nosuch" };
	struct opts o;
	int r;

	/* Into the scratch folder, wherever the values point. */
	buf_printf(s, "%s,id=x%u,path=p%u",
		   kinds[fuzz_below(ARRAY_SIZE(kinds))], fuzz_below(4),
		   fuzz_below(4));
	put_pairs(s, NULL);
	if (opts_parse(&o, buf_str(s), "backend", err) < 0)
		return -1;
	/* Waiting for a peer takes for ever, by design. */
	opts_add(&o, "wait", "off");
	r = chr_create_opts(b->m->loop, &o, err) ? 0 : -1;
	opts_fini(&o);
	return r;
}

static int use_short(struct bare *b, struct buf *s, struct err *err)
{
	static const char *const kinds[] = {
		"null", "none", "file:", "pipe:",    "mon:null",
		"mon:", "tcp:", "unix:", "chardev:", "vc:"
	};

	buf_puts(s, kinds[fuzz_below(ARRAY_SIZE(kinds))]);
	if (!strncmp(buf_str(s), "tcp", 3) || !strncmp(buf_str(s), "unix", 4))
		buf_puts(s, "nosuch"); /* nothing listens there */
	else
		put_value(s);
	put_pairs(s, NULL);
	if (strstr(buf_str(s), "server")) {
		size_t n = 0;

		/* An odd comma at the end would make one value of all. */
		while (n < s->len && s->data[s->len - 1 - n] == ',')
			n++;
		buf_puts(s, n & 1 ? ",,wait=off" : ",wait=off");
	}
	return chr_create_short(b->m->loop, buf_str(s), "short", err) ? 0 : -1;
}

static int use_drive(struct bare *b, struct buf *s, struct err *err)
{
	struct opts o;
	int r;

	buf_puts(s, "if=none");
	put_pairs(s, NULL);
	if (opts_parse(&o, buf_str(s), NULL, err) < 0)
		return -1;
	r = block_create(b->m->loop, &o, err) ? 0 : -1;
	opts_fini(&o);
	return r;
}

static int use_netdev(struct bare *b, struct buf *s, struct err *err)
{
	static const char *const kinds[] = { "user", "null", "nosuch", "" };
	u32 n = fuzz_below(ARRAY_SIZE(kinds));
	const struct option_row *rows = NULL;
	struct opts o;
	int r;

	for (int k = 0; netdev_classes[k]; k++)
		if (!strcmp(netdev_classes[k]->name, kinds[n]))
			rows = netdev_classes[k]->options;
	buf_printf(s, "%s,id=y%u", kinds[n], fuzz_below(4));
	put_pairs(s, rows);
	if (opts_parse(&o, buf_str(s), "type", err) < 0)
		return -1;
	r = netdev_create(b->m->loop, &o, err) ? 0 : -1;
	opts_fini(&o);
	return r;
}

static int use_object(struct bare *b, struct buf *s, struct err *err)
{
	static const char *const kinds[] = { "rng-builtin", "rng-random",
					     "iothread", "" };

	buf_printf(s, "%s,id=z%u", kinds[fuzz_below(ARRAY_SIZE(kinds))],
		   fuzz_below(4));
	put_pairs(s, NULL);
	return object_create_text(b->m, buf_str(s), err);
}

static int use_cpu(struct bare *b, struct buf *s, struct err *err)
{
	static const char *const words[] = { "max",    "host",    "qemu64",
					     "+avx",   "-sse2",   "svm=off",
					     "+",      "vendor=", "level=",
					     "model=", "family=", "enforce",
					     "pmu=",   "kvm=off" };
	u32 avail[CPUID_WORDS];
	struct cpu_model m;

	memset(avail, fuzz_below(2) ? 0xff : 0, sizeof avail);
	for (u32 n = 1 + fuzz_below(5); n; n--) {
		buf_puts(s, words[fuzz_below(ARRAY_SIZE(words))]);
		if (fuzz_below(2))
			put_value(s);
		if (n > 1)
			buf_putc(s, ',');
	}
	return cpu_model_parse(buf_str(s), "max", avail, &m, err);
}

/* Text, parsed and printed again, is the same options. */
static int use_opts(struct bare *b, struct buf *s, struct err *err)
{
	struct buf again = { 0 }, third = { 0 };
	struct opts o, p;

	put_value(s);
	put_pairs(s, NULL);
	if (opts_parse(&o, buf_str(s), "implied", err) < 0)
		return -1;
	opts_format(&o, &again);
	ck_assert_int_eq(opts_parse(&p, buf_str(&again), NULL, err), 0);
	opts_format(&p, &third);
	ck_assert_str_eq(buf_str(&again), buf_str(&third));
	opts_fini(&o);
	opts_fini(&p);
	buf_fini(&again);
	buf_fini(&third);
	return 0;
}

static int (*const uses[])(struct bare *b, struct buf *s, struct err *err) = {
	use_device, use_device, use_device, use_chardev, use_short,
	use_drive,  use_netdev, use_object, use_cpu,     use_opts,
};

/* What the values name: d0, c0, n0, r0. */
static void make_named(struct bare *b)
{
	struct err err = { 0 };
	struct opts o;

	bare_add(b, &pci_host_class, NULL);
	opts_parse(&o, "null,id=c0", "backend", &err);
	ck_assert_ptr_nonnull(chr_create_opts(b->m->loop, &o, &err));
	opts_fini(&o);
	opts_parse(&o, "file=disk,if=none,id=d0,format=raw", NULL, &err);
	ck_assert_ptr_nonnull(block_create(b->m->loop, &o, &err));
	opts_fini(&o);
	opts_parse(&o, "null,id=n0", "type", &err);
	netdev_create(b->m->loop, &o, &err);
	opts_fini(&o);
	object_create_text(b->m, "rng-builtin,id=r0", &err);
}

START_TEST(groups_survive_noise) NO_TSA
{
	struct buf said = { 0 };
	u64 tried = 0, made = 0;

	fuzz_begin("option groups", 1);
	while (fuzz_goes_on()) {
		struct bare b;

		bare_init(&b);
		chr_set_notices(&said);
		make_named(&b);
		for (u32 n = 0; n < 60; n++) {
			struct err err = { 0 };
			struct buf s = { 0 };
			u32 which = fuzz_below(ARRAY_SIZE(uses));

			tried++;
			if (uses[which](&b, &s, &err) == 0)
				made++;
			else if (which > 2)
				ck_assert_msg(err.msg[0], "no reason: %s",
					      buf_str(&s));
			ck_assert_uint_lt(strlen(err.msg), sizeof err.msg);
			buf_fini(&s);
		}
		machine_destroy_devices(b.m);
		block_destroy_all();
		net_remove_all();
		chr_remove_all();
		bare_fini(&b);
		buf_clear(&said);
	}
	printf("%llu option strings, %llu accepted\n",
	       (unsigned long long)tried, (unsigned long long)made);
	ck_assert_uint_gt(made, 0);
	ck_assert_uint_lt(made, tried);
	buf_fini(&said);
}

END_TEST

static void setup(void)
{
	int f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	f = open("disk", O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(ftruncate(f, MIB), 0);
	close(f);
}

static void teardown(void)
{
	char command[80];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

int main(void)
{
	TCase *tc = tcase_create("all");

	log_set_file("/dev/null", NULL); /* warnings about each */
	tcase_set_timeout(tc, fuzz_timeout());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, groups_survive_noise);
	return bare_run("vmm_option_groups", tc);
}
