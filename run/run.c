/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run`: options into options.
 */
#include "run/run.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "monitor/door.h"
#include "run/verbs.h"

#define RUN_PUBLISH_MAX 64
#define RUN_INDENT      "                               "

struct run {
	const char *image;
	const char *memory, *cpus, *name, *ssh_port;
	const char *ssh_key, *hostname, *password, *user_data, *network_config,
		*instance_id;
	const char *publish[RUN_PUBLISH_MAX + 1]; /* NULL-ended */
	const char *wait, *timeout;
	const char *write, *detach, *dry_run, *help; /* flags: not NULL */

	char *own_key;  /* owned; found in ~/.ssh */
	char *own_name; /* owned; made from `image` */
	char **more;    /* options of vmon itself, behind "--" */
	int more_count;

	char **argv; /* owned, as its strings; NULL-ended */
	int argc;
};

/* ---- Arguments ---- */

struct run_option {
	char letter;
	const char *name, *arg;
	size_t field;
	const char *help;
};

static const struct run_option run_options[] = {

#define RUN_OPTION(letter, name, arg, field, help) \
	{ letter, name, arg, offsetof(struct run, field), help },
#include "run/options.def"
#undef RUN_OPTION
};

static void run_help(void)
{
	puts("usage: vmon run [OPTION...] IMAGE [-- OPTION OF VMON...]\n"
	     "Boots a cloud image from its own boot loader, with this terminal "
	     "as its console\n(C-a x quits, C-a c is the monitor).\n");
	for (size_t n = 0; n < ARRAY_SIZE(run_options); n++) {
		const struct run_option *o = &run_options[n];
		char *text = xprintf("%s%c%s--%s%s%s", o->letter ? "-" : " ",
				     o->letter ? o->letter : ' ',
				     o->letter ? ", " : "  ", o->name,
				     o->arg ? " " : "", o->arg ? o->arg : "");
		bool fits = strlen(text) <= 28;

		printf("  %-28s%s%s\n", text, fits ? " " : "\n" RUN_INDENT,
		       o->help);
		free(text);
	}
}

static int run_set(struct run *r, const struct run_option *o, const char *value,
		   struct err *err)
{
	const char **at = (const char **)((char *)r + o->field);
	int n = 0;

	if (at == r->publish) {
		while (at[n])
			n++;
		if (n == RUN_PUBLISH_MAX)
			return err_set(err, -E2BIG, "more than %d --publish",
				       RUN_PUBLISH_MAX);
	}
	at[n] = value ? value : "";
	return 0;
}

/* "--name value", "--name=value", "-n value", "-nvalue". */
static const struct run_option *run_find(const char *word, const char **value)
{
	*value = NULL;
	for (size_t n = 0; n < ARRAY_SIZE(run_options); n++) {
		const struct run_option *o = &run_options[n];
		size_t len = strlen(o->name);

		if (word[1] == '-' && !strncmp(word + 2, o->name, len) &&
		    (!word[2 + len] || word[2 + len] == '=')) {
			if (word[2 + len])
				*value = word + 3 + len;
			return o;
		}
		if (word[1] != '-' && o->letter && word[1] == o->letter &&
		    (o->arg || !word[2])) {
			if (word[2])
				*value = word + 2;
			return o;
		}
	}
	return NULL;
}

static int run_parse(struct run *r, int argc, char **argv, struct err *err)
{
	for (int n = 0; n < argc; n++) {
		const struct run_option *o;
		const char *value;

		if (!strcmp(argv[n], "--")) {
			r->more = argv + n + 1;
			r->more_count = argc - n - 1;
			break;
		}
		if (argv[n][0] != '-' || !argv[n][1]) {
			if (r->image)
				return err_set(err, -EINVAL,
					       "one image at a time: '%s' and "
					       "'%s'; options of vmon itself "
					       "come behind '--'",
					       r->image, argv[n]);
			r->image = argv[n];
			continue;
		}
		o = run_find(argv[n], &value);
		if (!o)
			return err_set(err, -EINVAL,
				       "unknown option '%s'; 'vmon run --help' "
				       "lists them, and those of vmon itself "
				       "come behind '--'",
				       argv[n]);
		if (!o->arg && value)
			return err_set(err, -EINVAL, "--%s takes no value",
				       o->name);
		if (o->arg && !value) {
			if (n + 1 == argc)
				return err_set(err, -EINVAL, "--%s needs %s",
					       o->name, o->arg);
			value = argv[++n];
		}
		if (run_set(r, o, value, err) < 0)
			return err->code;
	}
	if (!r->image && !r->help)
		return err_set(err, -EINVAL,
			       "an image is missing: vmon run IMAGE");
	return 0;
}

/* ---- The command line ---- */

static void run_add(struct run *r, char *word)
{
	r->argv = xrealloc(r->argv, (r->argc + 2) * sizeof(char *));
	r->argv[r->argc++] = word;
	r->argv[r->argc] = NULL;
}

static void run_add_option(struct run *r, const char *option, char *value)
{
	run_add(r, xstrdup(option));
	run_add(r, value);
}

static void run_put(struct opts *o, const char *key, const char *value)
{
	if (value)
		opts_add(o, key, value);
}

static char *run_format(struct opts *o)
{
	struct buf text = { 0 };

	opts_format(o, &text);
	opts_fini(o);
	return buf_steal(&text);
}

/* qcow2 is looked for by vmon, too, and may then name no other file; that
 * what is none shall be a disk is what the user said. */
static int run_is_raw(const char *path, bool *ret, struct err *err)
{
	static const u8 magic[] = { 'Q', 'F', 'I', 0xfb };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	u8 start[4] = { 0 };
	struct stat st;

	if (fd < 0)
		return err_errno(err, "could not open '%s'", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(err, -EISDIR, "'%s' is a directory", path);
	}
	if (pread(fd, start, sizeof start, 0) < 0) {
		close(fd);
		return err_errno(err, "could not read '%s'", path);
	}
	close(fd);
	*ret = memcmp(start, magic, sizeof magic) != 0;
	return 0;
}

static int run_add_disk(struct run *r, struct err *err)
{
	struct opts o;
	bool raw = false;

	if (run_is_raw(r->image, &raw, err) < 0)
		return err->code;
	opts_init(&o);
	opts_add(&o, "file", r->image);
	if (raw)
		opts_add(&o, "format", "raw");
	opts_add(&o, "if", "virtio");
	opts_add(&o, r->write ? "discard" : "snapshot",
		 r->write ? "unmap" : "on");
	run_add_option(r, "-drive", run_format(&o));
	return 0;
}

/* The first of the names that ssh looks for. */
static char *run_own_key(void)
{
	static const char *const names[] = { "id_ed25519", "id_ecdsa",
					     "id_rsa" };
	const char *home = getenv("HOME");

	for (size_t n = 0; home && n < ARRAY_SIZE(names); n++) {
		char *path = xprintf("%s/.ssh/%s.pub", home, names[n]);

		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static void run_add_seed(struct run *r)
{
	struct opts o;

	opts_init(&o);
	if (!r->ssh_key && !r->password && !r->user_data)
		r->ssh_key = r->own_key = run_own_key();
	run_put(&o, "ssh-key", r->ssh_key);
	run_put(&o, "hostname", r->hostname ? r->hostname : r->name);
	run_put(&o, "password", r->password);
	run_put(&o, "user-data", r->user_data);
	run_put(&o, "network-config", r->network_config);
	run_put(&o, "instance-id", r->instance_id);
	run_add_option(r, "-cloud-init", run_format(&o));
}

/* Nobody else is likely to take it before the guest's network does. */
static int run_free_port(u16 *ret)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	*ret = ntohs(a.sin_port);
	return r;
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
	u16 port = 0;
	char number[8];
	int result = 0;

	buf_puts(&text, "user");
	if (r->ssh_port) {
		if (!run_is_port(r->ssh_port))
			result = err_set(err, -EINVAL,
					 "--ssh-port '%s' is not from 1 to "
					 "65535",
					 r->ssh_port);
	} else {
		result = run_free_port(&port);
		if (result < 0)
			err_code(err, result, "no free port for ssh");
		snprintf(number, sizeof number, "%u", port);
		r->ssh_port = number;
	}
	if (result == 0)
		buf_printf(&text, ",hostfwd=tcp:127.0.0.1:%s-:22", r->ssh_port);
	for (int n = 0; result == 0 && r->publish[n]; n++)
		result = run_put_forward(&text, r->publish[n], err);
	if (result == 0)
		log_info("ssh: port %s of 127.0.0.1 leads to the guest",
			 r->ssh_port);
	run_add_option(r, "-nic", buf_steal(&text));
	r->ssh_port = NULL; /* may be `number` */
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

static const char *run_called(const struct run *r)
{
	return r->name ? r->name : r->own_name;
}

/* This terminal, or a console that comes and goes, and a log of all that it
 * has said. */
static int run_add_console(struct run *r, struct err *err)
{
	const char *name = run_called(r);
	char *console, *log;
	struct opts o;

	if (!r->detach) {
		run_add(r, xstrdup("-nographic"));
		return 0;
	}
	if (strchr(name, '/'))
		return err_set(err, -EINVAL,
			       "--detach needs a --name without '/'");
	if (!r->dry_run && verbs_runs(name))
		return err_set(err, -EEXIST,
			       "a machine '%s' is running; --name gives this "
			       "one another",
			       name);
	console = verbs_path("console", name);
	log = verbs_path("log", name);
	if (!console || !log)
		return err_set(err, -ENOENT,
			       "--detach needs XDG_RUNTIME_DIR, a folder of "
			       "this user");
	if (!r->dry_run)
		door_make_folder();
	opts_init(&o);
	opts_add(&o, "backend", "socket");
	opts_add(&o, "id", "console");
	opts_add(&o, "path", console);
	opts_add(&o, "server", "on");
	opts_add(&o, "wait", "off");
	opts_add(&o, "logfile", log);
	run_add_option(r, "-chardev", run_format(&o));
	run_add_option(r, "-serial", xstrdup("chardev:console"));
	run_add_option(r, "-display", xstrdup("none"));
	run_add(r, xstrdup("-daemonize"));
	free(console);
	free(log);
	return 0;
}

static int run_build(struct run *r, struct err *err)
{
	int result;

	if ((r->wait || r->timeout) && !r->detach)
		return err_set(err, -EINVAL, "--%s goes with --detach",
			       r->wait ? "wait" : "timeout");
	if (!r->name)
		r->own_name = run_name(r->image);
	run_add(r, xstrdup("vmon"));
	run_add_option(r, "-name", xstrdup(run_called(r)));
	result = run_add_console(r, err);
	if (result < 0)
		return result;
	run_add_option(r, "-m", xstrdup(r->memory ? r->memory : "2G"));
	run_add_option(r, "-smp", xstrdup(r->cpus ? r->cpus : "2"));
	result = run_add_disk(r, err);
	if (result < 0)
		return result;
	run_add_seed(r);
	result = run_add_network(r, err);
	if (result < 0)
		return result;
	run_add_option(r, "-device", xstrdup("virtio-rng-pci"));
	for (int n = 0; n < r->more_count; n++)
		run_add(r, xstrdup(r->more[n]));
	return 0;
}

/* For a shell. */
static void run_print_word(const char *word)
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
}

static int run_start(struct run *r, int (*vmon)(int argc, char **argv))
{
	int status = 0;
	pid_t pid;

	if (!r->wait)
		return vmon(r->argc, r->argv);
	pid = fork();
	if (!pid)
		return vmon(r->argc, r->argv);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status)
		       ? WEXITSTATUS(status)
		       : verbs_wait(run_called(r), r->wait, r->timeout);
}

int run_main(int argc, char **argv, int (*vmon)(int argc, char **argv))
{
	struct run r = { 0 };
	struct err err = { 0 };
	int status = 0;

	if (run_parse(&r, argc, argv, &err) < 0 ||
	    (!r.help && run_build(&r, &err) < 0)) {
		log_info("run: %s", err.msg);
		status = 1;
	} else if (r.help) {
		run_help();
	} else if (r.dry_run) {
		run_print(&r);
	} else {
		status = run_start(&r, vmon);
	}
	run_fini(&r);
	return status;
}
