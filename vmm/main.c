/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vmon's life from the command line to the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "gdb/gdb.h"
#include "img/img.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "lib/perfmap.h"
#include "lib/work.h"
#include "monitor/ctl.h"
#include "monitor/door.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "run/run.h"
#include "run/verbs.h"
#include "tcg/emulate.h"
#include "vmm/accel.h"
#include "vmm/boot.h"
#include "vmm/cmdline.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/drives.h"
#include "vmm/firmware.h"
#include "vmm/machine.h"
#include "vmm/machine_pc.h"
#include "vmm/notify.h"
#include "vmm/object.h"
#include "vmm/signals.h"

struct vmon {
	u64 start_ns;
	struct config config;
	struct machine *machine;
	struct boot *boot;
	struct firmware *firmware;
	struct net_legacy legacy_net;
	struct signals signals;
	int ready_fd;   /* -daemonize: the parent waits on its other end */
	int pidfile_fd; /* kept open: it carries the lock */
	int home_fd;    /* -daemonize: where relative paths start */
	int failed;     /* status when it cannot start */
	int signal;     /* that ends it; 0: none */
	struct chr_mux_ops mux_ops;
};

/* ---- Process ---- */

/* Forks; the parent stays until the child is ready, or died. */
static int vmon_daemonize(struct vmon *v, struct err *err)
{
	int pipefd[2];
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_errno(err, "-daemonize");
	pid = fork();
	if (pid < 0)
		return err_errno(err, "-daemonize");
	if (pid > 0) {
		char status = 0;
		ssize_t n;

		close(pipefd[1]);
		do
			n = read(pipefd[0], &status, 1);
		while (n < 0 && errno == EINTR);
		_exit(n == 1 ? status : v->failed);
	}
	close(pipefd[0]);
	v->ready_fd = pipefd[1];
	setsid();
	return 0;
}

static void vmon_say_ready(struct vmon *v)
{
	int null;

	if (v->ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		if (!log_keep_messages())
			dup2(null, 2);
		close(null);
	}
	v->home_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->home_fd < 0 || chdir("/") < 0 || write(v->ready_fd, "", 1) != 1)
		log_warn("cannot tell the parent that the guest is ready");
	close(v->ready_fd);
	v->ready_fd = -1;
}

static int vmon_write_pidfile(struct vmon *v, const char *path, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[32];
	int len = snprintf(text, sizeof text, "%d\n", getpid());
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "cannot create PID file '%s'", path);
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		close(fd);
		return err_set(err, -EBUSY,
			       "cannot create PID file '%s': another process "
			       "holds it",
			       path);
	}
	v->pidfile_fd = fd;
	if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)len) != len)
		return err_errno(err, "cannot write PID file '%s'", path);
	return 0;
}

static void vmon_process_name(pid_t pid, char *name, size_t size)
{
	char path[40];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	name[0] = '\0';
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(name, (int)size, f))
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
}

static void vmon_signalled(void *arg, int number, int pid)
{
	struct vmon *v = arg;
	char name[32];

	vmon_process_name(pid, name, sizeof name);
	log_info("terminating on signal %d from pid %d (%s)", number, pid,
		 name);
	v->signal = number;
	runstate_request_quit(v->machine, 0, "host-signal");
}

static void vmon_mux_quit(void *arg)
{
	runstate_request_quit(arg, 0, "host-qmp-quit");
}

static void vmon_mux_commit(void *arg)
{
	for (struct block *b = block_next(NULL); b; b = block_next(b))
		(void)block_commit(b, NULL);
}

/* ---- Building the machine ---- */

static int vmon_create_chardev(struct vmon *v, struct config_item *i,
			       struct err *err)
{
	struct opts o;
	int r = opts_parse(&o, i->text, "backend", err);

	if (r < 0)
		return r;
	if (!chr_create_opts(v->machine->loop, &o, err))
		r = err ? err->code : -EINVAL;
	opts_fini(&o);
	return r;
}

static int vmon_create_netdev(struct vmon *v, struct config_item *i,
			      struct err *err)
{
	struct opts o;
	int r = opts_parse(&o, i->text, "type", err);

	if (r < 0)
		return r;
	if (!netdev_create(v->machine->loop, &o, err))
		r = err ? err->code : -EINVAL;
	opts_fini(&o);
	return r;
}

static int vmon_add_device(struct vmon *v, const char *driver, struct opts *o,
			   struct err *err)
{
	const struct device_class *class = device_class_find(driver);

	if (!class || !class->user)
		return err_set(err, -ENODEV,
			       "'%s' is not a valid device model name; "
			       "'-device help' lists them",
			       driver);
	return device_create(v->machine, class, o, err) ? 0
	       : err                                    ? err->code
							: -EINVAL;
}

static int vmon_add_nic(struct vmon *v, const char *text, struct err *err)
{
	struct opts o;
	int r;

	opts_init(&o);
	r = net_parse_nic(v->machine->loop, text, &o, err);
	if (r > 0)
		cmdline_name("nic", text, opts_peek(&o, "netdev"));
	if (r > 0)
		r = vmon_add_device(v, opts_take(&o, "driver"), &o, err);
	opts_fini(&o);
	return r;
}

static const char *disk_driver(const struct block *b)
{
	if (b->iface == BLOCK_IF_IDE)
		return b->cdrom ? "ide-cd" : "ide-hd";
	return "virtio-blk-pci";
}

/* Drives of if=virtio that no -device claimed get a controller each; those
 * of if=ide their place, before any -device takes it. */
static int vmon_add_disks(struct vmon *v, int iface, struct err *err)
{
	for (struct block *b = block_next(NULL); b; b = block_next(b)) {
		struct opts o;
		int r;

		if (b->iface != iface || block_attached(b))
			continue;
		opts_init(&o);
		opts_add(&o, "drive", b->id);
		if (b->iface == BLOCK_IF_IDE) {
			opts_add(&o, "bus", b->index < 2 ? "ide.0" : "ide.1");
			opts_add(&o, "unit", b->index % 2 ? "1" : "0");
		}
		r = vmon_add_device(v, disk_driver(b), &o, err);
		opts_fini(&o);
		if (r < 0)
			return err_wrap(err, "drive '%s'", b->id);
	}
	return 0;
}

static int vmon_create_object(struct vmon *v, struct config_item *i,
			      struct err *err)
{
	return object_create_text(v->machine, i->text, err);
}

static int vmon_add_device_text(struct vmon *v, struct config_item *i,
				struct err *err)
{
	if (device_create_text(v->machine, i->text, err))
		return 0;
	return err ? err->code : -EINVAL;
}

static int vmon_add_debugcon(struct vmon *v, struct config_item *i,
			     struct err *err)
{
	struct opts o;
	int r;

	if (!chr_create_short(v->machine->loop, i->text, "debugcon", err))
		return err ? err->code : -EINVAL;
	opts_init(&o);
	opts_add(&o, "iobase", "0xe9");
	opts_add(&o, "chardev", "debugcon");
	r = vmon_add_device(v, "isa-debugcon", &o, err);
	opts_fini(&o);
	return r;
}

static int vmon_add_net_legacy(struct vmon *v, struct config_item *i,
			       struct err *err)
{
	return net_legacy_add(&v->legacy_net, v->machine->loop, i->text, err);
}

static int vmon_add_nic_item(struct vmon *v, struct config_item *i,
			     struct err *err)
{
	int r = vmon_add_nic(v, i->text, err);

	return r < 0 ? r : 0;
}

/* Runs `fn` on each option of a kind, in order of the command line. */
static int vmon_each(struct vmon *v, enum config_kind kind,
		     int (*fn)(struct vmon *v, struct config_item *i,
			       struct err *err),
		     struct err *err)
{
	struct config_item *i;

	list_for_each (i, &v->config.items, node) {
		int r = i->kind == kind ? fn(v, i, err) : 0;

		if (r < 0)
			return err_wrap(err, "-%s %s", i->option, i->text);
	}
	return 0;
}

/* ---- Serial ports and monitors ---- */

static int vmon_attach_monitor(struct vmon *v, struct chardev *chr,
			       struct err *err)
{
	return monitor_create(v->machine, chr, NULL, err);
}

static int vmon_add_serial(struct vmon *v, int index, const char *text,
			   struct err *err)
{
	struct chardev *chr = NULL;
	char label[32];
	int r;

	if (!strcmp(text, "none"))
		return 0;
	snprintf(label, sizeof label, "serial%d", index);
	chr = chr_create_short(v->machine->loop, text, label, err);
	if (!chr)
		return err ? err->code : -EINVAL;
	r = machine_pc_add_serial(v->machine, index, chr, err);
	if (r == 0 && !strncmp(text, "mon:", 4))
		r = vmon_attach_monitor(v, chr, err);
	return r;
}

static bool vmon_serial_has_monitor(const struct config *c)
{
	struct config_item *i;

	list_for_each (i, &c->items, node)
		if (i->kind == CONFIG_SERIAL && !strncmp(i->text, "mon:", 4))
			return true;
	return false;
}

/* Without a word about them, a terminal gets both, multiplexed. */
static int vmon_add_serials(struct vmon *v, struct err *err)
{
	const struct config *c = &v->config;
	bool monitor = config_has(c, CONFIG_MONITOR) ||
		       config_has(c, CONFIG_MON) || config_has(c, CONFIG_QMP);
	struct config_item *i;
	int index = 0, r;

	list_for_each (i, &c->items, node) {
		if (i->kind != CONFIG_SERIAL)
			continue;
		if (index == 4)
			return err_set(err, -EINVAL,
				       "-serial: at most 4 serial ports");
		r = vmon_add_serial(v, index++, i->text, err);
		if (r < 0)
			return err_wrap(err, "-serial %s", i->text);
	}
	if (c->nodefaults || c->daemonize || (c->display_none && !c->nographic))
		return 0;
	if (!index)
		return vmon_add_serial(v, 0, monitor ? "stdio" : "mon:stdio",
				       err);
	if (c->nographic && !monitor && !vmon_serial_has_monitor(c)) {
		struct chardev *chr = chr_create_short(
			v->machine->loop, "stdio", "compat_monitor0", err);

		return chr   ? vmon_attach_monitor(v, chr, err)
		       : err ? err->code
			     : -EINVAL;
	}
	return 0;
}

/* -monitor can have another mode, -qmp not; both have roles. */
static int vmon_door_options(struct opts *o, struct monitor_options *options,
			     struct err *err)
{
	struct monitor_options given;
	int r;

	r = monitor_options_take(o, &given, err);
	if (r < 0)
		return r;
	if (given.history)
		return err_set(err, -EINVAL, "clients cannot share a history");
	if (options->mode != MONITOR_CONTROL)
		options->mode = given.mode;
	options->role = given.role;
	return 0;
}

/* "unix:PATH,clients=N": that many sessions at one socket. */
static int vmon_open_door(struct vmon *v, const char *text,
			  const struct monitor_options *options,
			  struct err *err)
{
	struct monitor_options own = *options;
	const char *path, *clients;
	struct opts o;
	u64 n = 0;
	int r;

	if (strncmp(text, "unix:", 5) || !strstr(text, ",clients="))
		return 0;
	r = opts_parse(&o, text + 5, "path", err);
	if (r < 0)
		return r;
	path = opts_take(&o, "path");
	clients = opts_take(&o, "clients");
	opts_take(&o, "server");
	opts_take(&o, "wait");
	r = vmon_door_options(&o, &own, err);
	if (r == 0)
		r = opts_check_used(&o, NULL, err);
	if (r == 0 &&
	    (parse_u64(clients, &n) < 0 || n < 1 || n > DOOR_CLIENTS_MAX))
		r = err_set(err, -EINVAL, "clients=%s is not from 1 to %d",
			    clients, DOOR_CLIENTS_MAX);
	if (r == 0)
		r = door_open(v->machine, path, &own, (int)n, err);
	opts_fini(&o);
	return r < 0 ? r : 1;
}

static int vmon_add_monitors(struct vmon *v, struct err *err)
{
	struct config_item *i;
	int index = 0;

	list_for_each (i, &v->config.items, node) {
		bool qmp = i->kind == CONFIG_QMP;
		struct monitor_options options = { 0 };
		struct chardev *chr;
		char label[32];
		int r;

		if ((i->kind != CONFIG_MONITOR && !qmp) ||
		    !strcmp(i->text, "none"))
			continue;
		snprintf(label, sizeof label, "compat_monitor%d", index++);
		options.mode = qmp ? MONITOR_CONTROL : MONITOR_READLINE;
		options.pretty = !strcmp(i->option, "qmp-pretty");
		r = vmon_open_door(v, i->text, &options, err);
		if (r == 0) {
			chr = chr_create_short(v->machine->loop, i->text, label,
					       err);
			r = chr ? monitor_create(v->machine, chr, &options, err)
				: -EINVAL;
		}
		if (r < 0)
			return err_wrap(err, "-%s %s", i->option, i->text);
	}
	return 0;
}

static int vmon_add_mon(struct vmon *v, struct config_item *i, struct err *err)
{
	struct chardev *chr;
	struct opts o;
	struct monitor_options options;
	const char *id;
	int r = opts_parse(&o, i->text, "chardev", err);

	if (r < 0)
		return r;
	id = opts_take(&o, "chardev");
	r = monitor_options_take(&o, &options, err);
	if (r == 0)
		r = opts_check_used(&o, NULL, err);
	chr = id ? chr_find(id) : NULL;
	if (r == 0 && !chr)
		r = err_set(err, -ENOENT, "chardev \"%s\" not found",
			    id ? id : "");
	if (r == 0)
		r = monitor_create(v->machine, chr, &options, err);
	opts_fini(&o);
	return r;
}

static int vmon_add_gdb(struct vmon *v, struct config_item *i, struct err *err)
{
	return gdb_start(v->machine, i->text, &monitor_gdb_ops, err);
}

/* ---- Start ---- */

static int vmon_create_vcpus(struct machine *m, struct err *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < m->topo.maxcpus; i++) {
		r = vcpu_create(m, i, err);
		if (r == 0 && i >= m->topo.cpus)
			atomic_store(&m->vcpus[i]->unplugged, true);
	}
	return r;
}

static int vmon_open_flash(struct vmon *v, struct err *err)
{
	struct err why = { 0 };
	struct firmware *f = firmware_open_flash(&why);

	if (why.code)
		return err_set(err, why.code, "%s", why.msg);
	if (f && (v->firmware || v->boot)) {
		firmware_close(f);
		return err_set(err, -EINVAL,
			       "if=pflash does not work together with -%s",
			       v->boot ? "kernel" : "bios");
	}
	if (f)
		v->firmware = f;
	return 0;
}

static int vmon_create_backends(struct vmon *v, struct err *err)
{
	int r = vmon_each(v, CONFIG_OBJECT, vmon_create_object, err);

	if (r == 0)
		r = vmon_each(v, CONFIG_CHARDEV, vmon_create_chardev, err);
	if (r == 0)
		r = drives_create(v->machine->loop, &v->config, err);
	if (r == 0)
		r = vmon_each(v, CONFIG_NETDEV, vmon_create_netdev, err);
	if (r == 0)
		r = vmon_open_flash(v, err);
	return r;
}

static int vmon_create_devices(struct vmon *v, struct err *err)
{
	const struct config *c = &v->config;
	bool net = config_has(c, CONFIG_NETDEV) || config_has(c, CONFIG_NIC) ||
		   config_has(c, CONFIG_NET);
	struct opts o;
	int r = 0;

	opts_init(&o);
	if (c->vga)
		r = vmon_add_device(v, "VGA", &o, err);
	opts_fini(&o);
	if (r == 0)
		r = vmon_each(v, CONFIG_NIC, vmon_add_nic_item, err);
	if (r == 0)
		r = vmon_each(v, CONFIG_NET, vmon_add_net_legacy, err);
	opts_init(&o);
	while (r == 0 && net_legacy_next(&v->legacy_net, &o)) {
		r = vmon_add_device(v, opts_take(&o, "driver"), &o, err);
		opts_fini(&o);
		opts_init(&o);
	}
	opts_fini(&o);
	if (r == 0 && !net && !c->nodefaults)
		r = vmon_add_nic(v, "user", err);
	if (r == 0)
		r = vmon_add_disks(v, BLOCK_IF_IDE, err);
	if (r == 0)
		r = vmon_each(v, CONFIG_DEVICE, vmon_add_device_text, err);
	if (r == 0)
		r = vmon_add_disks(v, BLOCK_IF_VIRTIO, err);
	if (r == 0)
		r = vmon_each(v, CONFIG_DEBUGCON, vmon_add_debugcon, err);
	return r < 0 ? r : 0;
}

static void vmon_configure(struct vmon *v)
{
	const struct config *c = &v->config;
	struct machine *m = v->machine;

	m->type = "pc";
	m->name = xstrdup(c->name);
	memcpy(m->uuid, c->uuid, sizeof m->uuid);
	m->uuid_set = c->uuid_set;
	m->ram_size = c->ram_size;
	m->topo = c->topo;
	m->cpu_model = c->cpu_model;
	m->emulate_one = tcg_emulate_one;
	m->emulate_fini = tcg_emulate_fini;
	m->no_reboot = c->no_reboot;
	m->no_shutdown = c->no_shutdown;
	m->watchdog_action = c->watchdog_action;
	m->panic_action = c->panic_action;
	m->boot = v->boot;
	v->mux_ops = (struct chr_mux_ops){ vmon_mux_quit, vmon_mux_commit, m };
	chr_mux_set_ops(&v->mux_ops);
	if (c->daemonize)
		chr_stdio_forbid("-daemonize");
	if (c->echr >= 0)
		chr_mux_set_escape((u8)c->echr);
}

static int vmon_build(struct vmon *v, struct err *err)
{
	const struct config *c = &v->config;
	struct machine *m = v->machine;
	int r;

	vmon_configure(v);
	r = signals_start(&v->signals, m->loop, !c->daemonize, vmon_signalled,
			  v, err);
	if (r == 0)
		r = vmon_create_backends(v, err);
	m->firmware = v->firmware;
	if (r == 0)
		r = accel_select(m, c->accel, err);
	if (r == 0)
		r = machine_add_ram(m, err);
	if (r == 0 && v->firmware)
		r = firmware_add(v->firmware, m, err);
	if (r == 0)
		r = vmon_create_vcpus(m, err);
	if (r == 0)
		r = machine_pc_create(m, c, v->boot, err);
	if (r == 0)
		r = vmon_create_devices(v, err);
	if (r == 0)
		r = vmon_add_serials(v, err);
	if (r == 0)
		r = vmon_add_monitors(v, err);
	if (r == 0)
		r = vmon_each(v, CONFIG_MON, vmon_add_mon, err);
	if (r == 0)
		r = vmon_each(v, CONFIG_GDB, vmon_add_gdb, err);
	return r;
}

static int vmon_start(struct vmon *v, struct err *err)
{
	struct machine *m = v->machine;
	int r = machine_map_ram(m, err);

	for (int i = 0; r == 0 && i < m->nvcpus; i++)
		r = vcpu_start(m->vcpus[i], err);
	if (r == 0)
		r = machine_reset(m, err);
	if (r == 0 && v->config.pidfile)
		r = vmon_write_pidfile(v, v->config.pidfile, err);
	if (r == 0 && !v->config.paused)
		r = machine_cont(m, err);
	return r;
}

static void vmon_end(struct vmon *v) REQUIRES(machine_lock)
{
	struct machine *m = v->machine;

	/* PID file and sockets are removed by the names they were given. */
	if (v->home_fd >= 0 && fchdir(v->home_fd) < 0)
		log_warn("cannot go back to the working directory");
	if (m)
		gdb_destroy(m);
	if (m && m->nvcpus && m->vcpus[0]->thread.started)
		machine_park(m);
	monitor_destroy_all();
	if (m) {
		block_drain_all();
		machine_destroy_devices(m);
		firmware_close(v->firmware);
		v->firmware = m->firmware = NULL;
		block_destroy_all();
		net_remove_all();
	}
	fdset_clear();
	chr_remove_all();
	net_legacy_fini(&v->legacy_net);
	signals_stop(&v->signals);
	work_shutdown(); /* a worker may be reading guest memory */
	machine_destroy(m);
	boot_close(v->boot);
	firmware_close(v->firmware);
	if (v->pidfile_fd >= 0) {
		unlink(v->config.pidfile);
		close(v->pidfile_fd);
	}
	if (v->home_fd >= 0)
		close(v->home_fd);
	config_fini(&v->config);
}

static int vmon_prepare(struct vmon *v, struct err *err)
{
	const struct config *c = &v->config;
	int r;

	log_set_prefix(c->msg_timestamp, c->msg_guest_name ? c->name : NULL);
	r = c->audit_file ? monitor_audit(c->audit_file, err) : 0;
	if (r < 0)
		return err_wrap(err, "-audit %s", c->audit_file);
	r = c->log_file ? log_set_file(c->log_file, err) : 0;
	if (r < 0)
		return err_wrap(err, "-D %s", c->log_file);
	r = c->log_filter ? log_set_filter(c->log_filter, err) : 0;
	if (r < 0)
		return err_wrap(err, "-dfilter");
	log_set_items(c->log_items);
	if (c->kernel) {
		v->boot = boot_open(c->kernel, c->initrd, c->append, err);
		if (!v->boot)
			return err->code;
	}
	if (c->bios) {
		v->firmware = firmware_open(c->bios, err);
		if (!v->firmware)
			return err->code;
	}
	return c->daemonize ? vmon_daemonize(v, err) : 0;
}

static int vmon_run(struct vmon *v, struct err *err) REQUIRES(machine_lock)
{
	int r;

	if (v->config.perfmap && perfmap_open(err) < 0)
		return err->code;
	v->machine = machine_create(err);
	if (!v->machine)
		return err->code;
	r = vmon_build(v, err);
	v->machine->times.start = v->start_ns;
	v->machine->times.built = clock_mono_ns();
	if (r == 0)
		r = vmon_start(v, err);
	if (r == 0) {
		door_publish(v->machine);
		net_warn_unconnected();
		vmon_say_ready(v);
		notify_ready(v->machine->loop);
		loop_run(v->machine->loop);
		notify_stopping();
	}
	return r;
}

static int vmon_main(int argc, char **argv, struct run_end *end)
{
	struct vmon v = { .start_ns = clock_mono_ns(),
			  .signals.fd = -1,
			  .ready_fd = -1,
			  .pidfile_fd = -1,
			  .home_fd = -1,
			  .failed = end ? end->failed : 1 };
	struct err err = { 0 };
	int status, r;

	config_init(&v.config);
	net_legacy_init(&v.legacy_net);
	switch (config_parse(&v.config, argc, argv, &err)) {
	case CONFIG_EXIT: config_fini(&v.config); return 0;
	case CONFIG_FAIL:
		log_info("%s", err.msg);
		config_fini(&v.config);
		return 1;
	case CONFIG_RUN: break;
	}
	r = vmon_prepare(&v, &err);
	if (r < 0) {
		log_info("%s", err.msg);
		boot_close(v.boot);
		firmware_close(v.firmware);
		config_fini(&v.config);
		return v.failed;
	}
	lock_acquire(&machine_lock);
	r = vmon_run(&v, &err);
	status = r < 0 ? v.failed : v.machine->exit_code;
	if (r == 0 && end) {
		end->reason = v.machine->run.end_reason;
		end->signal = v.signal;
	}
	if (r < 0)
		log_info("%s", err.msg);
	vmon_end(&v);
	lock_release(&machine_lock);
	return status;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ctl"))
		return ctl_main(argc - 2, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "run"))
		return run_main(argc - 2, argv + 2, vmon_main);
	if (argc > 1 && verbs_find(argv[1]))
		return verbs_find(argv[1])(argc - 2, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "img"))
		return img_main(argc - 2, argv + 2);
	return vmon_main(argc, argv, NULL);
}
