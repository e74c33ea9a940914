/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the fuzzers of monitors talk to.
 */
#include "tests/fuzz/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "chardev/internal.h"
#include "gdb/gdb.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/work.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "vmm/accel.h"
#include "vmm/config.h"
#include "vmm/cpu_models.h"
#include "vmm/device.h"
#include "vmm/machine.h"
#include "vmm/machine_pc.h"
#include "vmm/vcpu.h"

#define FUZZ_ROUNDS 64 /* of the loop, before an input counts as ended */

/* ---- The peer ---- */

static ssize_t peer_write(struct chardev *chr, const u8 *data, size_t len)
{
	return (ssize_t)len;
}

static const struct chardev_class peer_class = {
	.name = "peer",
	.size = sizeof(struct chardev),
	.write = peer_write,
};

/* ---- The machine ---- */

static void no_get(struct vcpu *v)
{
}

static int no_put(struct vcpu *v)
{
	return 0;
}

static void no_cpuid(struct vcpu *v, u32 leaf, u32 subleaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof out[0]);
}

static void no_features(struct machine *m, const char *vendor, u32 *words)
{
	memset(words, 0, CPUID_WORDS * sizeof words[0]);
}

static const struct accel_class no_accel = {
	.name = "none",
	.get = no_get,
	.put = no_put,
	.cpuid = no_cpuid,
	.features = no_features,
	.debug = true,
};

/* What cannot fail, unless the fuzzer itself is broken. */
static void must(int r, const struct err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "fuzz: %s\n", err->msg);
	abort();
}

static struct machine *fuzz_machine(struct config *c)
{
	struct machine *m;
	struct err err = { 0 };
	struct opts o;

	config_init(c);
	m = machine_create(&err);
	must(m ? 0 : -1, &err);
	m->type = "pc";
	m->ram_size = 4 * MIB;
	m->topo = (struct topology){ 2, 2, 2, 1, 1 };
	m->accel = &no_accel;
	must(machine_add_ram(m, &err), &err);
	must(vcpu_create(m, 0, &err), &err);
	must(vcpu_create(m, 1, &err), &err);
	must(machine_pc_create(m, c, NULL, &err), &err);
	must(opts_parse(&o, "if=none,id=d0,file=disk,format=raw", NULL, &err),
	     &err);
	must(block_create(m->loop, &o, &err) ? 0 : -1, &err);
	opts_fini(&o);
	must(opts_parse(&o, "ringbuf,id=c0,size=64", "backend", &err), &err);
	must(chr_create_opts(m->loop, &o, &err) ? 0 : -1, &err);
	opts_fini(&o);
	must(opts_parse(&o, "user,id=net0,dns=10.0.2.3", "type", &err), &err);
	must(netdev_create(m->loop, &o, &err) ? 0 : -1, &err);
	opts_fini(&o);
	must(device_create_text(m, "virtio-blk-pci,drive=d0,id=drive0", &err)
		     ? 0
		     : -1,
	     &err);
	must(device_create_text(m, "virtio-net-pci,netdev=net0,id=nic0", &err)
		     ? 0
		     : -1,
	     &err);
	must(device_create_text(m, "virtio-balloon-pci,id=b0", &err) ? 0 : -1,
	     &err);
	must(machine_reset(m, &err), &err);
	return m;
}

static void fuzz_end(struct machine *m, struct config *c) REQUIRES(machine_lock)
{
	machine_park(m);
	gdb_destroy(m);
	monitor_destroy_all();
	block_drain_all();
	machine_destroy_devices(m);
	block_destroy_all();
	net_remove_all();
	chr_remove_all();
	work_shutdown();
	machine_destroy(m);
	config_fini(c);
	log_set_items(0);
	(void)log_set_file(NULL, NULL);
}

/* Until the session takes input again, which a worker may have to end. */
static void fuzz_wait(struct machine *m, struct chardev *chr)
{
	for (int i = 0; i < FUZZ_ROUNDS && !chr_can_read(chr); i++)
		loop_once(m->loop, i < 4 ? 0 : 5 * NS_PER_MS);
}

static void fuzz_play(struct machine *m, struct chardev *chr, const u8 *data,
		      size_t len, size_t piece)
{
	chr_event(chr, CHR_OPENED);
	while (len) {
		size_t n;

		fuzz_wait(m, chr);
		n = MIN(MIN(len, piece), chr_can_read(chr));
		if (!n)
			break; /* it said that it waits for long, or has ended */
		chr_input(chr, data, n);
		data += n;
		len -= n;
	}
	fuzz_wait(m, chr);
	for (int i = 0; i < 4; i++)
		loop_once(m->loop, 0);
	chr_event(chr, CHR_CLOSED);
	loop_once(m->loop, 0);
}

static void fuzz_disk(void)
{
	int fd = open("disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, 64 * KIB) < 0)
		abort();
	close(fd);
}

void fuzz_session(const char *mode, const u8 *data, size_t len, size_t piece)
{
	struct config c;
	struct chardev *chr;
	struct machine *m;
	struct monitor_options options = { 0 };
	struct err err = { 0 };

	lock_acquire(&machine_lock);
	fuzz_disk();
	fuzz_fenced = true;
	m = fuzz_machine(&c);
	chr = chr_alloc(&peer_class, m->loop, "mon0");
	chr_register(chr);
	if (mode && !strcmp(mode, "control"))
		options.mode = MONITOR_CONTROL;
	if (mode && !strcmp(mode, "script"))
		options.mode = MONITOR_SCRIPT;
	if (mode && !strcmp(mode, "gdb"))
		must(gdb_start(m, "chardev:mon0", &monitor_gdb_ops, &err),
		     &err);
	else
		must(monitor_create(m, chr, &options, &err), &err);
	fuzz_play(m, chr, data, len, piece);
	fuzz_end(m, &c);
	fuzz_fenced = false;
	lock_release(&machine_lock);
}
