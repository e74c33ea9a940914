/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon ctl`: finds a machine, runs a command there, tells how it went.
 *
 * Machines are found in the folder of monitor/door.h; each answers QMP there,
 * whatever other sessions are open.  A path that belongs to none of them is
 * spoken to as what it turns out to be, QMP or the human monitor.
 */
#include "monitor/ctl.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "monitor/door.h"

enum ctl_status {
	CTL_OK,
	CTL_ERROR,     /* the command failed, or was none */
	CTL_NO_VM,     /* nobody is there */
	CTL_NO_ANSWER, /* in time */
};

#define CTL_TIMEOUT_S  30
#define CTL_GREET_NS   (3 * NS_PER_S)
#define CTL_POLL_NS    (100 * NS_PER_MS)
#define CTL_SETTLE_NS  (300 * NS_PER_MS) /* a terminal's prompt comes late */
#define CTL_ANSWER_MAX (64 * MIB)
#define CTL_PROMPT     "(qemu) "

struct ctl {
	bool json;
	double timeout_s; /* 0: no limit */
	u64 deadline_ns;

	int fd; /* -1 */
	bool human, ended;
	struct buf in;
};

/* ---- bytes ---- */

static void ctl_close(struct ctl *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->human = c->ended = false;
	buf_fini(&c->in);
}

/* Reads what is there, waiting until `until_ns`.  False: time is over, or the
 * peer has gone (c->ended). */
static bool ctl_read(struct ctl *c, u64 until_ns)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	u64 now = clock_mono_ns();
	u64 wait_ms = until_ns > now ? (until_ns - now) / NS_PER_MS + 1 : 0;
	char data[4096];
	ssize_t n;

	if (c->ended || c->in.len > CTL_ANSWER_MAX ||
	    poll(&p, 1, (int)MIN(wait_ms, INT32_MAX)) <= 0)
		return false;
	n = read(c->fd, data, sizeof data);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		c->ended = true;
		return false;
	}
	buf_append(&c->in, data, n);
	return true;
}

static bool ctl_write(struct ctl *c, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };
		ssize_t n = write(c->fd, text, len);

		if (n < 0 && errno == EAGAIN) {
			if (clock_mono_ns() > c->deadline_ns)
				return false;
			poll(&p, 1, 100);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return false;
		text += MAX(n, 0);
		len -= MAX(n, 0);
	}
	return true;
}

/* ---- QMP ---- */

/* The next message until then, or NULL. */
static json_t *ctl_message(struct ctl *c, u64 until_ns)
{
	char *end;

	while (!(end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL))
		if (!ctl_read(c, until_ns))
			return NULL;
	*end = '\0';
	{
		size_t len = end + 1 - c->in.data;
		json_t *v = json_loads(c->in.data, JSON_DECODE_ANY, NULL);

		buf_consume(&c->in, len);
		return v;
	}
}

/* The answer to a command (takes `args`), or NULL: none came. */
static json_t *ctl_call(struct ctl *c, const char *name, json_t *args)
{
	json_t *request = json_pack("{ss so}", "execute", name, "arguments",
				    args ? args : json_object());
	char *text = json_dumps(request, 0);
	char *line = xprintf("%s\n", text);
	bool sent = ctl_write(c, line); /* at once: 'quit' may end it before
					 * the end of the line is read */
	json_t *v;

	free(text);
	free(line);
	json_decref(request);
	while (sent && (v = ctl_message(c, c->deadline_ns))) {
		if (!json_object_get(v, "event"))
			return v;
		json_decref(v);
	}
	return NULL;
}

static json_t *ctl_query(struct ctl *c, const char *name)
{
	json_t *answer = ctl_call(c, name, NULL);
	json_t *v = json_incref(json_object_get(answer, "return"));

	json_decref(answer);
	return v;
}

static const char *ctl_string(const json_t *v, const char *key)
{
	const char *s = json_string_value(json_object_get(v, key));

	return s ? s : "";
}

/* ---- connecting ---- */

static int ctl_connect_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof addr.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
		int e = errno;

		close(fd);
		errno = e;
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int ctl_open_terminal(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios mode;

	if (fd < 0 || tcgetattr(fd, &mode) < 0)
		return fd;
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
	return fd;
}

/* Reads until the human prompt is the last that came. */
static bool ctl_prompt(struct ctl *c, u64 until_ns)
{
	size_t n = strlen(CTL_PROMPT);

	for (;;) {
		if (c->in.len >= n &&
		    !memcmp(c->in.data + c->in.len - n, CTL_PROMPT, n))
			return true;
		if (!ctl_read(c, until_ns))
			return false;
	}
}

/* Finds out which tongue the peer speaks and greets it. */
static bool ctl_greet(struct ctl *c)
{
	json_t *v;

	while (!c->in.len)
		if (!ctl_read(c, c->deadline_ns))
			return false;
	if (c->in.data[0] != '{') {
		c->human = true;
		return ctl_prompt(c, c->deadline_ns);
	}
	json_decref(ctl_message(c, c->deadline_ns));
	v = ctl_query(c, "qmp_capabilities");
	json_decref(v);
	return v != NULL;
}

static bool ctl_connect(struct ctl *c, const char *path)
{
	c->fd = ctl_connect_socket(path);
	if (c->fd >= 0 && ctl_greet(c))
		return true;
	ctl_close(c);
	return false;
}

/* ---- which machine ---- */

/* Is the process gone?  One that starts has a socket before it listens. */
static bool ctl_dead(const char *pid)
{
	return kill((pid_t)atoi(pid), 0) < 0 && errno == ESRCH;
}

/* Calls fn with a connection to each machine of this user; true: it was the
 * one, and stays connected. */
static bool ctl_each(struct ctl *c,
		     bool (*fn)(struct ctl *c, const char *pid, void *arg),
		     void *arg)
{
	u64 deadline = c->deadline_ns;
	struct buf folder = { 0 };
	bool found = false;
	struct dirent *e;
	DIR *d = NULL;

	if (!door_folder(&folder))
		d = opendir(buf_str(&folder));
	while (d && !found && (e = readdir(d))) {
		char *path;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		path = xprintf("%s/%s", buf_str(&folder), e->d_name);
		c->fd = ctl_connect_socket(path);
		if (c->fd < 0 && errno == ECONNREFUSED && ctl_dead(e->d_name))
			unlink(path);
		/* One that hangs must not hide the others. */
		c->deadline_ns = MIN(deadline, clock_mono_ns() + CTL_GREET_NS);
		found = c->fd >= 0 && ctl_greet(c) && fn(c, e->d_name, arg);
		c->deadline_ns = deadline;
		if (!found)
			ctl_close(c);
		free(path);
	}
	if (d)
		closedir(d);
	buf_fini(&folder);
	return found;
}

static bool ctl_is_called(struct ctl *c, const char *pid, void *arg)
{
	json_t *v = ctl_query(c, "query-name");
	bool same = !strcmp(ctl_string(v, "name"), arg);

	json_decref(v);
	return same;
}

/* "unix:PATH,server=on", "pty:PATH", also behind "disconnected:". */
static bool ctl_names_path(const char *filename, const char *path)
{
	size_t n = strlen(path);
	const char *at = strstr(filename, path);

	return at && at > filename && at[-1] == ':' && (!at[n] || at[n] == ',');
}

static bool ctl_has_path(struct ctl *c, const char *pid, void *arg)
{
	json_t *list = ctl_query(c, "query-chardev"), *v;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, v) found |=
		ctl_names_path(ctl_string(v, "filename"), arg);
	json_decref(list);
	return found;
}

static bool ctl_find_path(struct ctl *c, const char *path)
{
	char *real = realpath(path, NULL);
	struct stat st;
	bool found = ctl_each(c, ctl_has_path, (void *)path) ||
		     (real && ctl_each(c, ctl_has_path, real));

	if (!found && !stat(path, &st) && S_ISSOCK(st.st_mode)) {
		found = ctl_connect(c, path);
	} else if (!found && !stat(path, &st) && S_ISCHR(st.st_mode)) {
		c->fd = ctl_open_terminal(path);
		c->human = true;
		/* What an earlier session left comes first. */
		while (c->fd >= 0 &&
		       ctl_read(c, clock_mono_ns() + CTL_SETTLE_NS))
			;
		buf_clear(&c->in);
		found = c->fd >= 0 && ctl_write(c, "\n") &&
			ctl_prompt(c, c->deadline_ns);
	}
	free(real);
	return found;
}

static bool ctl_find_pid(struct ctl *c, const char *pid)
{
	struct buf path = { 0 };
	bool found = false;

	if (!door_folder(&path)) {
		buf_printf(&path, "/%s", pid);
		found = ctl_connect(c, buf_str(&path));
	}
	buf_fini(&path);
	return found;
}

static bool ctl_find(struct ctl *c, const char *target)
{
	if (strchr(target, '/'))
		return ctl_find_path(c, target);
	if (target[strspn(target, "0123456789")] == '\0' &&
	    ctl_find_pid(c, target))
		return true;
	return ctl_each(c, ctl_is_called, (void *)target);
}

/* ---- commands ---- */

static enum ctl_status ctl_no_answer(struct ctl *c)
{
	fprintf(stderr, "vmon ctl: %s\n",
		c->ended ? "the machine ended the connection"
			 : "no answer in time");
	return CTL_NO_ANSWER;
}

static void ctl_print(const char *text, FILE *to)
{
	for (; *text; text++)
		if (*text != '\r')
			fputc(*text, to);
}

static void ctl_print_json(const json_t *v)
{
	char *text = json_dumps(v, JSON_INDENT(2) | JSON_ENCODE_ANY |
					   JSON_PRESERVE_ORDER);

	if (text)
		puts(text);
	free(text);
}

static bool ctl_is_info(const char *line)
{
	return !strncmp(line, "info ", 5);
}

/* A query's text already is JSON then; all else is wrapped. */
static void ctl_show_json(const char *line, const char *text, bool ok)
{
	json_t *v = ok && ctl_is_info(line)
			    ? json_loads(text, JSON_DECODE_ANY, NULL)
			    : NULL;

	if (!v)
		v = json_pack("{sb ss}", "ok", ok, "output", text);
	ctl_print_json(v);
	json_decref(v);
}

static enum ctl_status ctl_show(struct ctl *c, const char *line,
				const char *text, bool ok)
{
	if (c->json)
		ctl_show_json(line, text, ok);
	else
		ctl_print(text, ok ? stdout : stderr);
	return ok ? CTL_OK : CTL_ERROR;
}

/* Human monitors say by their words alone how it went. */
static bool ctl_text_ok(const char *text)
{
	return strncmp(text, "Error: ", 7) &&
	       strncmp(text, "unknown command:", 16) &&
	       !strstr(text, "\" for more information");
}

static enum ctl_status ctl_run_human(struct ctl *c, const char *line)
{
	enum ctl_status status;
	char *text, *start;

	buf_clear(&c->in);
	if (!ctl_write(c, line) ||
	    (c->json && ctl_is_info(line) && !ctl_write(c, " -j")) ||
	    !ctl_write(c, "\n"))
		return ctl_no_answer(c);
	if (!ctl_prompt(c, c->deadline_ns) && !c->ended)
		return ctl_no_answer(c);
	text = buf_steal(&c->in);
	if (text && !c->ended)
		text[strlen(text) - strlen(CTL_PROMPT)] = '\0';
	start = text ? strstr(text, "\r\n") : NULL; /* behind the echo */
	start = start ? start + 2 : text;
	status = ctl_show(c, line, start ? start : "",
			  !start || ctl_text_ok(start));
	free(text);
	return status;
}

static enum ctl_status ctl_run(struct ctl *c, const char *line)
{
	enum ctl_status status;
	const json_t *result;
	const char *text;
	json_t *v;

	if (c->human)
		return ctl_run_human(c, line);
	v = ctl_call(
		c, "x-vmon-execute",
		json_pack("{ss sb}", "command-line", line, "json", c->json));
	if (v && json_object_get(v, "error")) { /* another's QMP */
		json_decref(v);
		v = ctl_call(c, "human-monitor-command",
			     json_pack("{ss}", "command-line", line));
	}
	result = json_object_get(v, "return");
	if (!v) {
		status = ctl_no_answer(c);
	} else if (json_is_string(result)) {
		text = json_string_value(result);
		status = ctl_show(c, line, text, ctl_text_ok(text));
	} else if (result) {
		status = ctl_show(c, line, ctl_string(result, "output"),
				  json_is_true(json_object_get(result, "ok")));
	} else {
		fprintf(stderr, "%s\n",
			ctl_string(json_object_get(v, "error"), "desc"));
		status = CTL_ERROR;
	}
	json_decref(v);
	return status;
}

/* ---- wait ---- */

static bool ctl_reached(struct ctl *c, const char *what)
{
	bool login = !strcmp(what, "login");
	json_t *v = ctl_query(c, login ? "x-vmon-query-login" : "query-status");
	bool running = json_is_true(json_object_get(v, "running"));
	bool off = !strcmp(ctl_string(v, "status"), "shutdown");
	bool reached = login ? json_is_true(json_object_get(v, "seen"))
		       : !strcmp(what, "running")  ? running
		       : !strcmp(what, "shutdown") ? off
						   : v && !running && !off;

	json_decref(v);
	return reached;
}

static enum ctl_status ctl_wait(struct ctl *c, const char *what)
{
	static const char *const states[] = { "running", "paused", "shutdown",
					      "login" };
	size_t i = 0;

	while (i < ARRAY_SIZE(states) && strcmp(states[i], what))
		i++;
	if (i == ARRAY_SIZE(states) || c->human) {
		fprintf(stderr, "vmon ctl: %s\n",
			c->human ? "waiting takes a machine of this user"
				 : "wait for running, paused, shutdown or "
				   "login");
		return CTL_ERROR;
	}
	for (;;) {
		u64 now;

		if (ctl_reached(c, what))
			return CTL_OK;
		now = clock_mono_ns();
		if (c->ended && !strcmp(what, "shutdown"))
			return CTL_OK;
		if (c->ended || now >= c->deadline_ns)
			return ctl_no_answer(c);
		/* Any event is a reason to look again. */
		json_decref(
			ctl_message(c, MIN(now + CTL_POLL_NS, c->deadline_ns)));
	}
}

/* ---- list ---- */

static bool ctl_list_one(struct ctl *c, const char *pid, void *arg)
{
	json_t *name = ctl_query(c, "query-name");
	json_t *status = ctl_query(c, "query-status");

	json_array_append_new(arg, json_pack("{sI ss ss}", "pid",
					     (json_int_t)strtoll(pid, NULL, 10),
					     "name", ctl_string(name, "name"),
					     "status",
					     ctl_string(status, "status")));
	json_decref(name);
	json_decref(status);
	return false;
}

static enum ctl_status ctl_list(struct ctl *c)
{
	json_t *list = json_array(), *v;
	size_t i;

	ctl_each(c, ctl_list_one, list);
	if (c->json) {
		ctl_print_json(list);
	} else if (json_array_size(list)) {
		printf("%-8s %-16s %s\n", "PID", "STATUS", "NAME");
		json_array_foreach(list, i, v)
			printf("%-8lld %-16s %s\n",
			       (long long)json_integer_value(
				       json_object_get(v, "pid")),
			       ctl_string(v, "status"), ctl_string(v, "name"));
	}
	json_decref(list);
	return CTL_OK;
}

/* ---- the command line ---- */

static enum ctl_status ctl_usage(FILE *to)
{
	fputs("usage: vmon ctl [--json] [--timeout SECONDS] TARGET COMMAND...\n"
	      "       vmon ctl [--timeout SECONDS] TARGET wait STATE\n"
	      "       vmon ctl [--json] list\n"
	      "\n"
	      "TARGET is the name or process id of a running machine, or the "
	      "path of one of\nits monitors; COMMAND is a monitor command.  "
	      "STATE is running, paused,\nshutdown or login.  Commands get 30 "
	      "seconds, wait has no limit unless told.\n"
	      "\n"
	      "exit status: 0 done, 1 the command failed, 2 no such machine, "
	      "3 no answer in time\n",
	      to);
	return to == stdout ? CTL_OK : CTL_ERROR;
}

/* Number of arguments taken, or -1. */
static int ctl_options(struct ctl *c, int argc, char **argv)
{
	int i = 0;

	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		char *end = NULL;

		if (!strcmp(argv[i], "--json")) {
			c->json = true;
		} else if (!strcmp(argv[i], "--timeout") && i + 1 < argc) {
			c->timeout_s = strtod(argv[++i], &end);
			if (*end || end == argv[i] || !(c->timeout_s > 0) ||
			    c->timeout_s > 1e9)
				return -1;
		} else {
			return -1;
		}
	}
	return i;
}

static u64 ctl_deadline(double seconds)
{
	return clock_mono_ns() + (u64)(seconds * (double)NS_PER_S);
}

static enum ctl_status ctl_command(struct ctl *c, const char *target, int argc,
				   char **argv)
{
	bool wait = argc == 2 && !strcmp(argv[0], "wait");
	enum ctl_status status;
	struct buf line = { 0 };

	if (!ctl_find(c, target)) {
		fprintf(stderr, "vmon ctl: no machine '%s'\n", target);
		return CTL_NO_VM;
	}
	if (wait && !c->timeout_s)
		c->deadline_ns = UINT64_MAX;
	for (int i = 0; i < argc; i++)
		buf_printf(&line, "%s%s", i ? " " : "", argv[i]);
	status = wait ? ctl_wait(c, argv[1]) : ctl_run(c, buf_str(&line));
	buf_fini(&line);
	return status;
}

int ctl_main(int argc, char **argv)
{
	struct ctl c = { .fd = -1 };
	enum ctl_status status;
	int n = ctl_options(&c, argc, argv);

	if (argc == 1 && !strcmp(argv[0], "--help"))
		return ctl_usage(stdout);
	if (n < 0 || n == argc)
		return ctl_usage(stderr);
	signal(SIGPIPE, SIG_IGN);
	c.deadline_ns = ctl_deadline(c.timeout_s ? c.timeout_s : CTL_TIMEOUT_S);
	argc -= n;
	argv += n;
	if (argc == 1 && !strcmp(argv[0], "list"))
		status = ctl_list(&c);
	else if (argc == 1)
		status = ctl_usage(stderr);
	else
		status = ctl_command(&c, argv[0], argc - 1, argv + 1);
	ctl_close(&c);
	return (int)status;
}
