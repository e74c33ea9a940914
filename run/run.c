/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run`: options into options.
 */
#include "run/run.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "run/folder.h"
#include "run/internal.h"
#include "run/wait.h"

/* ---- The command line ---- */

void run_add(struct run *r, char *word)
{
	r->argv = xrealloc(r->argv, (r->argc + 2) * sizeof(char *));
	r->argv[r->argc++] = word;
	r->argv[r->argc] = NULL;
}

void run_add_option(struct run *r, const char *option, char *value)
{
	run_add(r, xstrdup(option));
	if (value)
		run_add(r, value);
}

static void run_put(struct opts *o, const char *key, const char *value)
{
	if (value)
		opts_add(o, key, value);
}

char *run_format(struct opts *o)
{
	struct buf text = { 0 };

	opts_format(o, &text);
	opts_fini(o);
	return buf_steal(&text);
}

static void run_add_seed(struct run *r)
{
	const char *hostname = r->hostname ? r->hostname
			       : r->disk   ? run_called(r)
					   : r->name;
	struct opts o;

	opts_init(&o);
	run_put(&o, "ssh-key", r->ssh_key);
	run_put(&o, "hostname", r->meta_data ? r->hostname : hostname);
	run_put(&o, "password", r->password);
	run_put(&o, "user-data", r->user_data);
	run_put(&o, "network-config", r->network_config);
	run_put(&o, "meta-data", r->meta_data);
	run_put(&o, "instance-id", r->instance_id);
	if (r->config_drive)
		opts_add(&o, "config-drive", "on");
	run_add_option(r, "-cloud-init", run_format(&o));
}

/* Either of them has its own name for it. */
static int run_add_ignition(struct run *r, struct err *err)
{
	static const char *const names[] = { "opt/com.coreos/config",
					     "opt/org.flatcar-linux/config" };

	if (access(r->ignition, R_OK) < 0)
		return err_errno(err, "--ignition: could not read '%s'",
				 r->ignition);
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		struct opts o;

		opts_init(&o);
		opts_add(&o, "name", names[n]);
		opts_add(&o, "file", r->ignition);
		run_add_option(r, "-fw_cfg", run_format(&o));
	}
	return 0;
}

/* Who is told by Ignition has no use for an empty seed. */
static int run_add_first_boot(struct run *r, struct err *err)
{
	bool seed = r->ssh_key || r->password || r->user_data || r->meta_data ||
		    r->network_config || r->hostname;
	int result = 0;

	if (r->ignition)
		result = run_add_ignition(r, err);
	if (result == 0)
		result = run_add_credentials(r, err);
	if (result == 0 && (seed || !r->ignition))
		run_add_seed(r);
	return result;
}

static bool run_is_port(const char *text)
{
	u64 port;

	return parse_u64(text, &port) == 0 && port >= 1 && port <= 65535;
}

/* "[ADDRESS:]PORT:GUESTPORT[/udp]" as QEMU says it. */
static int run_put_forward(struct buf *out, const char *text, struct err *err)
{
	char *copy = xstrdup(text), *guest, *port, *slash;
	const char *address = "127.0.0.1", *protocol = "tcp";
	bool good;

	slash = strchr(copy, '/');
	if (slash) {
		*slash = '\0';
		protocol = slash + 1;
	}
	guest = strrchr(copy, ':');
	if (guest)
		*guest++ = '\0';
	port = strrchr(copy, ':');
	if (port) {
		*port++ = '\0';
		address = copy;
	} else {
		port = copy;
	}
	good = guest && run_is_port(port) && run_is_port(guest) &&
	       (!strcmp(protocol, "tcp") || !strcmp(protocol, "udp"));
	if (good)
		buf_printf(out, ",hostfwd=%s:%s:%s-:%s", protocol, address,
			   port, guest);
	else
		err_set(err, -EINVAL,
			"--publish '%s' is not [ADDRESS:]PORT:GUESTPORT[/udp], "
			"with ports from 1 to 65535",
			text);
	free(copy);
	return good ? 0 : err->code;
}

static int run_add_network(struct run *r, struct err *err)
{
	struct buf text = { 0 };
	int result = 0;

	buf_puts(&text, "user");
	if (r->ssh_port) {
		if (!run_is_port(r->ssh_port))
			result = err_set(err, -EINVAL,
					 "--ssh-port '%s' is not from 1 to "
					 "65535",
					 r->ssh_port);
	}
	/* Port 0: one that is free, which vmon then tells. */
	if (result == 0)
		buf_printf(&text, ",hostfwd=tcp:127.0.0.1:%s-:22",
			   r->ssh_port ? r->ssh_port : "0");
	for (int n = 0; result == 0 && r->publish[n]; n++)
		result = run_put_forward(&text, r->publish[n], err);
	run_add_option(r, "-nic", buf_steal(&text));
	return result;
}

/* "debian-12" of "/images/debian-12.qcow2". */
static char *run_name(const char *image)
{
	const char *slash = strrchr(image, '/'), *dot;

	image = slash ? slash + 1 : image;
	dot = strrchr(image, '.');
	return xprintf("%.*s", dot > image ? (int)(dot - image) : 64, image);
}

const char *run_called(const struct run *r)
{
	return r->name ? r->name : r->own_name;
}

/* Options of vmon's that say what the serial port or this terminal is for. */
static bool run_has_console(const struct run *r)
{
	static const char *const names[] = { "serial", "nographic", "monitor",
					     "mon", "chardev" };

	for (int n = 0; n < r->more_count; n++) {
		const char *word = r->more[n];

		for (size_t k = 0; word[0] == '-' && k < ARRAY_SIZE(names); k++)
			if (!strcmp(word + 1 + (word[1] == '-'), names[k]))
				return true;
	}
	return false;
}

static void run_put_log(const struct run *r, struct opts *o)
{
	char *log = folder_path(run_called(r), "log");

	opts_add(o, "logfile", log);
	opts_add(o, "logmax", FOLDER_LOG_MAX);
	free(log);
}

/* This terminal, or a console that comes and goes, and a log of all that it
 * has said. */
static void run_add_console(struct run *r)
{
	char *console = folder_path(run_called(r), "console");
	struct opts o;

	opts_init(&o);
	opts_add(&o, "backend", r->detach ? "socket" : "stdio");
	opts_add(&o, "id", "console");
	if (r->detach) {
		opts_add(&o, "path", console);
		opts_add(&o, "server", "on");
		opts_add(&o, "wait", "off");
		opts_add(&o, "replay", "on");
	} else {
		opts_add(&o, "mux", "on");
		opts_add(&o, "signal", "off");
	}
	run_put_log(r, &o);
	run_add_option(r, "-chardev", run_format(&o));
	run_add_option(r, "-serial", xstrdup("chardev:console"));
	if (!r->detach)
		run_add_option(r, "-mon",
			       xstrdup("chardev=console,mode=readline"));
	run_add_option(r, "-display", xstrdup("none"));
	free(console);
}

/* In the background there is one. */
static void run_add_folder(struct run *r)
{
	const char *name = run_called(r);

	if (r->folder)
		run_add_option(r, "-pidfile", folder_path(name, "pid"));
	if (r->folder && r->user && !r->dry_run)
		folder_set_user(name, r->user);
	if (r->folder && !run_has_console(r))
		run_add_console(r);
	else
		run_add_option(r, r->detach ? "-display" : "-nographic",
			       r->detach ? xstrdup("none") : NULL);
	if (r->detach && !r->service) {
		run_add_option(r, "-D", folder_path(name, "messages"));
		run_add(r, xstrdup("-daemonize"));
	}
}

/* A name that was not asked for makes room for those that run. */
static int run_take_name(struct run *r, struct err *err)
{
	char *first = NULL;

	if (r->name && !folder_name_good(r->name))
		return err_set(err, -EINVAL,
			       "--name '%s' has other characters than letters, "
			       "digits, '.', '_' and '-', or only digits, or "
			       "more than %d",
			       r->name, FOLDER_NAME_MAX);
	if (!r->name) {
		first = run_name(r->disk ? r->disk : r->image);
		r->own_name = folder_name(first);
		free(first);
		first = xstrdup(r->own_name);
	}
	for (int n = 2; first && n < 1000 && folder_alive(r->own_name); n++) {
		free(r->own_name);
		r->own_name = xprintf("%s-%d", first, n);
	}
	free(first);
	if (r->dry_run) {
		char *path = folder_path(run_called(r), "");

		r->folder = path;
		free(path);
		return 0;
	}
	r->lock_fd = folder_take(run_called(r), err);
	r->folder = r->lock_fd >= 0;
	if (!r->folder && (err->code != -ENOENT || r->detach))
		return err->code == -ENOENT ? err_wrap(err, "--detach")
					    : err->code;
	*err = (struct err){ 0 };
	return 0;
}

static struct wait run_wait(const struct run *r)
{
	return (struct wait){ .name = run_called(r),
			      .state = r->wait,
			      .limit = r->timeout,
			      .timing = r->timing,
			      .start_ns = r->start_ns };
}

static int run_check(const struct run *r, struct err *err)
{
	struct wait w = { .state = r->wait, .limit = r->timeout };

	if (r->wait && (!r->detach || r->service))
		return err_set(err, -EINVAL, "--wait goes with --detach");
	if (!r->wait && (r->timeout || r->timing))
		return err_set(err, -EINVAL, "--%s goes with --wait",
			       r->timeout ? "timeout" : "timing");
	return r->wait ? wait_check(&w, err) : 0;
}

/* What it does it does after all has been looked at. */
static int run_build(struct run *r, struct err *err)
{
	int result = run_check(r, err);

	if (r->service)
		r->detach = r->service; /* but for going there */
	if (result == 0)
		result = run_disk_plan(r, err);
	if (result == 0)
		result = run_plan_firmware(r, err);
	if (result == 0)
		result = run_take_name(r, err);
	if (result == 0)
		result = run_keys(r, err);
	if (result == 0 && !r->dry_run)
		result = run_disk_make(r, err);
	if (result < 0)
		return result;
	run_add(r, xstrdup("vmon"));
	run_add_option(r, "-name", xstrdup(run_called(r)));
	run_add_folder(r);
	run_add_option(r, "-m", xstrdup(r->memory ? r->memory : "2G"));
	run_add_option(r, "-smp", xstrdup(r->cpus ? r->cpus : "2"));
	run_disk_add(r);
	if (r->bios)
		run_add_option(r, "-bios", xstrdup(r->bios));
	result = run_add_first_boot(r, err);
	if (result == 0)
		result = run_add_network(r, err);
	if (result < 0)
		return result;
	run_add_option(r, "-device", xstrdup("virtio-rng-pci"));
	run_add_option(r, "-device", xstrdup("pvpanic-pci"));
	for (int n = 0; n < r->more_count; n++)
		run_add(r, xstrdup(r->more[n]));
	return 0;
}

/* For a shell. */
void run_print_word(const char *word)
{
	bool plain = *word;

	for (const char *at = word; *at; at++)
		plain &= isalnum((u8)*at) || strchr("-_./=,:+@%", *at);
	if (plain) {
		printf("%s", word);
		return;
	}
	putchar('\'');
	for (const char *at = word; *at; at++)
		if (*at == '\'')
			printf("'\\''");
		else
			putchar(*at);
	putchar('\'');
}

static void run_print(const struct run *r)
{
	for (int n = 0; n < r->argc; n++) {
		if (n)
			putchar(' ');
		run_print_word(r->argv[n]);
	}
	putchar('\n');
}

static void run_fini(struct run *r)
{
	for (int n = 0; n < r->argc; n++)
		free(r->argv[n]);
	free(r->argv);
	free(r->own_key);
	free(r->own_name);
	run_disk_fini(r);
}

/* ---- Running ---- */

/* Who powers off has had a good end; a signal, a key or the monitor may have
 * ended one that was stuck. */
static int run_status(const struct run *r, const struct run_end *end,
		      int status)
{
	if (!end->reason)
		return status;
	if (end->signal)
		status = RUN_STATUS_SIGNAL + end->signal;
	else if (!strcmp(end->reason, "guest-panic"))
		status = RUN_STATUS_PANIC;
	else if (!strcmp(end->reason, "guest-reset"))
		status = RUN_STATUS_RESET;
	else if (!strcmp(end->reason, "guest-shutdown"))
		return status;
	return r->folder ? wait_post_mortem(run_called(r), status) : status;
}

/* In the background it is the child that ends here. */
static int run_machine(struct run *r, run_vmon_fn *vmon)
{
	struct run_end end = { .failed = RUN_STATUS_START };
	int status = vmon(r->argc, r->argv, &end);

	status = run_status(r, &end, status);
	if (r->folder)
		folder_clean(run_called(r));
	return status;
}

static int run_start(struct run *r, run_vmon_fn *vmon)
{
	struct wait w = run_wait(r);
	int status = 0;
	pid_t pid;

	if (!r->wait)
		return run_machine(r, vmon);
	pid = fork();
	if (!pid)
		return run_machine(r, vmon);
	close(r->lock_fd);
	r->lock_fd = -1;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return RUN_STATUS_START;
	if (WIFSIGNALED(status))
		return RUN_STATUS_SIGNAL + WTERMSIG(status);
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : wait_run(&w);
}

int run_main(int argc, char **argv, run_vmon_fn *vmon)
{
	struct run r = { .lock_fd = -1,
			 .overlay.fd = -1,
			 .start_ns = clock_mono_ns() };
	struct err err = { 0 };
	int status = 0;

	if (run_parse(&r, argc, argv, &err) < 0 ||
	    (!r.help && run_build(&r, &err) < 0)) {
		log_info("run: %s", err.msg);
		status = err.code == -EINVAL || err.code == -E2BIG
				 ? RUN_STATUS_USAGE
				 : RUN_STATUS_START;
	} else if (r.help) {
		run_help();
	} else if (r.dry_run) {
		run_disk_print(&r);
		run_print(&r);
	} else {
		status = run_start(&r, vmon);
	}
	if (r.lock_fd >= 0)
		close(r.lock_fd);
	run_fini(&r);
	return status;
}
