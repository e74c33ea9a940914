/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon console`, `list`, `ssh` and `stop`: what is done with a machine that
 * `vmon run` has started, by its name.
 */
#include "run/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/types.h"
#include "monitor/ctl.h"
#include "run/folder.h"
#include "run/inspect.h"

#define VERBS_ARGS   8
#define VERBS_TAIL   8192 /* bytes of a log that its end is looked for in */
#define VERBS_ESCAPE 0x1d /* C-] */
#define VERBS_STOP_S "60"
#define VERBS_POLL_NS 20000000
#define VERBS_POLLS   1000 /* 20 s: what was written is flushed */

/* `vmon ctl` and what ends it. */
enum { VERBS_CTL_NO_VM = 2, VERBS_CTL_TIMEOUT = 3 };

/* NULL ends the arguments. */
static int verbs_ctl(const char *const *args)
{
	char *argv[VERBS_ARGS];
	int argc = 0, status;

	for (; args[argc]; argc++)
		argv[argc] = xstrdup(args[argc]);
	status = ctl_main(argc, argv);
	while (argc-- > 0)
		free(argv[argc]);
	return status;
}

static int verbs_usage(const char *text)
{
	fprintf(stderr, "usage: vmon %s\n", text);
	return 1;
}

/* What `vmon ctl` prints, at most `size` - 1 bytes of it; returns its status.
 */
static int verbs_ask(const char *name, const char *topic, bool quiet,
		     char *text, size_t size)
{
	int out[2], status = 0, null;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	text[0] = '\0';
	if (pipe2(out, O_CLOEXEC) < 0)
		return 1;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		status = verbs_ctl((const char *[]){ name, "info", topic,
						     NULL });
		fflush(NULL);
		_exit(status);
	}
	close(out[1]);
	while (pid > 0 && len < size - 1 &&
	       (n = read(out[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(out[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

bool verbs_is(const char *name, const char *state)
{
	static const char before[] = "VM status: ";
	char text[256];

	return !verbs_ask(name, "status", true, text, sizeof text) &&
	       !strncmp(text, before, strlen(before)) &&
	       !strncmp(text + strlen(before), state, strlen(state));
}

/* ---- console ---- */

static int console_connect(const char *name)
{
	char *path = folder_path(name, "console");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = -1;

	if (path && strlen(path) < sizeof a.sun_path) {
		memcpy(a.sun_path, path, strlen(path));
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 &&
		    connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
			close(fd);
			fd = -1;
		}
	}
	free(path);
	return fd;
}

static bool console_write(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* A guest's words among ours: no colors, nothing that moves a terminal's
 * cursor or asks it for something.  In place; returns what is left. */
static size_t print_plain(char *data, size_t len)
{
	size_t to = 0;

	for (size_t n = 0; n < len; n++) {
		u8 c = (u8)data[n];

		if (c == 0x1b && n + 1 < len && data[n + 1] == '[') {
			n += 2; /* parameters, up to the letter */
			while (n < len && (data[n] < 0x40 || data[n] > 0x7e))
				n++;
		} else if (c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f)) {
			data[to++] = data[n];
		}
	}
	return to;
}

void verbs_print_log(const char *name, const char *file, int lines, int to)
{
	char *path = folder_path(name, file), data[VERBS_TAIL];
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = -1, at;
	off_t size;

	free(path);
	if (fd < 0)
		return;
	size = lseek(fd, 0, SEEK_END);
	n = pread(fd, data, sizeof data, MAX(size - VERBS_TAIL, 0));
	close(fd);
	for (at = n; at > 0; at--)
		if (data[at - 1] == '\n' && at < n && --lines < 1)
			break;
	if (n <= 0)
		return;
	n = at + (ssize_t)print_plain(data + at, (size_t)(n - at));
	console_write(to, data + at, (size_t)(n - at));
	if (n > at && data[n - 1] != '\n')
		console_write(to, "\n", 1);
}

/* Until either side ends, or C-] is typed. */
static void console_pass(int fd)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN },
			      { .fd = STDIN_FILENO, .events = POLLIN } };
	char data[4096];
	const char *escape;
	ssize_t n;

	for (;;) {
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (p[0].revents) {
			n = read(fd, data, sizeof data);
			if (n <= 0 ||
			    !console_write(STDOUT_FILENO, data, (size_t)n))
				return;
		}
		if (p[1].revents) {
			n = read(STDIN_FILENO, data, sizeof data);
			if (n <= 0)
				return;
			escape = memchr(data, VERBS_ESCAPE, (size_t)n);
			if (escape)
				n = escape - data;
			if (!console_write(fd, data, (size_t)n) || escape)
				return;
		}
	}
}

/* It has none, it has ended, or never was. */
static int console_none(const char *name)
{
	char *log = folder_path(name, "log");
	bool said = folder_name_good(name) && log && access(log, R_OK) == 0;

	if (folder_alive(name))
		log_info("console: that of '%s' is on the terminal it was "
			 "started from%s%s",
			 name, said ? "; what it said is in " : "",
			 said ? log : "");
	else if (said)
		log_info("console: '%s' has ended; what it said is in %s", name,
			 log);
	else
		log_info("console: no machine '%s' was started by 'vmon run'",
			 name);
	free(log);
	return VERBS_CTL_NO_VM;
}

static int verbs_console(int argc, char **argv)
{
	struct termios before, raw;
	bool terminal;
	int fd;

	if (argc != 1)
		return verbs_usage("console NAME   (C-] leaves it)");
	fd = console_connect(argv[0]);
	if (fd < 0)
		return console_none(argv[0]);
	signal(SIGPIPE, SIG_IGN);
	terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (terminal) {
		raw = before;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	console_pass(fd);
	if (terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	close(fd);
	putchar('\n');
	return 0;
}

/* ---- list ---- */

static int verbs_list(int argc, char **argv)
{
	if (argc > 1 || (argc && strcmp(argv[0], "--json")))
		return verbs_usage("list [--json]");
	return verbs_ctl((const char *[]){ argc ? argv[0] : "list",
					   argc ? "list" : NULL, NULL });
}

/* ---- ssh ---- */

/* The host's port that leads to the guest's 22, of a line such as
 * "TCP[HOST_FORWARD]  12  127.0.0.1  2222  10.0.2.15  22  0  0"; 0: none. */
static unsigned ssh_port(const char *text)
{
	for (const char *at = text; (at = strstr(at, "TCP[HOST_FORWARD]"));
	     at++) {
		unsigned port, to;

		if (sscanf(at, "TCP[HOST_FORWARD] %*u %*s %u %*s %u", &port,
			   &to) == 2 &&
		    to == 22 && port <= 65535)
			return port;
	}
	return 0;
}

unsigned verbs_ssh_port(const char *name)
{
	char text[16384];

	return verbs_ask(name, "usernet", true, text, sizeof text)
		       ? 0
		       : ssh_port(text);
}

static int verbs_ssh(int argc, char **argv)
{
	static const char *const options[] = {
		"-o", "UserKnownHostsFile=/dev/null",
		"-o", "StrictHostKeyChecking=no",
		"-o", "LogLevel=ERROR"
	};
	char text[16384], *at, *who, *key, *user;
	char **words;
	unsigned port;
	int n = 0, status;

	if (argc < 1 || argv[0][0] == '-')
		return verbs_usage("ssh [USER@]NAME [ARGUMENT OF ssh...]");
	at = strrchr(argv[0], '@');
	status = verbs_ask(at ? at + 1 : argv[0], "usernet", false, text,
			   sizeof text);
	if (status)
		return status;
	port = ssh_port(text);
	if (!port) {
		log_info("ssh: no port of this host leads to port 22 of '%s'",
			 at ? at + 1 : argv[0]);
		return 1;
	}
	user = at ? xprintf("%.*s", (int)(at - argv[0]), argv[0])
		  : folder_user(argv[0]);
	who = xprintf("%s%s127.0.0.1", user ? user : "", user ? "@" : "");
	free(user);
	words = xcalloc((size_t)argc + ARRAY_SIZE(options) + 7, sizeof *words);
	words[n++] = xstrdup("ssh");
	words[n++] = xstrdup("-p");
	words[n++] = xprintf("%u", port);
	for (size_t k = 0; k < ARRAY_SIZE(options); k++)
		words[n++] = xstrdup(options[k]);
	key = keys_made();
	if (key && access(key, R_OK) == 0) {
		words[n++] = xstrdup("-i");
		words[n++] = xstrdup(key);
	}
	free(key);
	words[n++] = who;
	for (int k = 1; k < argc; k++)
		words[n++] = xstrdup(argv[k]);
	execvp("ssh", words);
	log_info("ssh: cannot run ssh: %s", strerror(errno));
	while (n-- > 0)
		free(words[n]);
	free(words);
	return 1;
}

/* ---- stop ---- */

/* It has let go of its disks, and its name is free. */
static void stop_await(const char *name)
{
	struct timespec pause = { .tv_nsec = VERBS_POLL_NS };

	for (int n = 0; n < VERBS_POLLS && folder_alive(name); n++)
		nanosleep(&pause, NULL);
}

static int verbs_stop(int argc, char **argv)
{
	const char *limit = VERBS_STOP_S, *name;
	int status;

	if (argc == 3 && !strcmp(argv[0], "--timeout")) {
		limit = argv[1];
		argv += 2;
		argc -= 2;
	}
	if (argc != 1 || argv[0][0] == '-')
		return verbs_usage("stop [--timeout SECONDS] NAME");
	name = argv[0];
	status = verbs_ctl((const char *[]){ name, "system_powerdown", NULL });
	if (!status)
		status = verbs_ctl((const char *[]){
			"--timeout", limit, name, "wait", "shutdown", NULL });
	if (status == VERBS_CTL_TIMEOUT) {
		log_info("stop: '%s' has not powered off in %s s, and is ended",
			 name, limit);
		status = verbs_ctl((const char *[]){ name, "quit", NULL });
	}
	if (!status)
		stop_await(name);
	return status;
}

/* ---- What there is ---- */

static const struct {
	const char *name;
	verbs_fn *fn;
} verbs[] = {
	{ "console", verbs_console },
	{ "inspect", inspect_main },
	{ "list", verbs_list },
	{ "ssh", verbs_ssh },
	{ "stop", verbs_stop },
};

verbs_fn *verbs_find(const char *name)
{
	for (size_t n = 0; n < ARRAY_SIZE(verbs); n++)
		if (!strcmp(verbs[n].name, name))
			return verbs[n].fn;
	return NULL;
}
