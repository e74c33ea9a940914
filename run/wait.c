/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Waiting for a machine: its console's log is read as it grows, the lock in
 * its folder tells that it lives, a connection to its port 22 that ssh answers.
 */
#include "run/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "run/folder.h"
#include "run/stage.h"
#include "run/verbs.h"

#define WAIT_POLL_NS  (50 * NS_PER_MS)
#define WAIT_QUIET_NS (3 * NS_PER_S) /* who is stuck says nothing more */
#define WAIT_SSH_NS   (5 * NS_PER_S) /* for one answer */
#define WAIT_LINES    40
#define WAIT_TURNS    512 /* more than a whole log */

enum wait_for {
	WAIT_BOOT,
	WAIT_LOGIN,
	WAIT_CLOUD_INIT,
	WAIT_SSH,
	WAIT_TEXT,
	WAIT_RUNNING,
	WAIT_PAUSED,
	WAIT_SHUTDOWN,
};

struct waiting {
	const struct wait *w;
	enum wait_for what;
	regex_t text;
	u64 deadline_ns;
	struct stage_watch watch;
	u64 read_ns; /* when something came last */
	enum stage told;
	bool live; /* a line on a terminal, to be written over */

	int log_fd; /* -1 */
	ino_t log_ino;
	off_t log_at;

	unsigned port;
	int ssh_fd; /* -1 */
	u64 ssh_ns; /* when to give up, or to try */
	bool answered;
};

/* ---- What for ---- */

static int wait_parse(const struct wait *w, enum wait_for *ret, regex_t *text,
		      struct err *err)
{
	static const char *const names[] = { "boot",    "login",   "cloud-init",
					     "ssh",     "text=",   "running",
					     "paused",  "shutdown" };
	char why[128];
	int r;

	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		if (!strcmp(names[n], w->state)) {
			*ret = (enum wait_for)n;
			if (n != WAIT_TEXT)
				return 0;
		}
	if (strncmp(w->state, "text=", 5) || !w->state[5])
		return err_set(err, -EINVAL,
			       "--wait '%s' is none of boot, login, ssh, "
			       "cloud-init, text=REGEX, running, paused and "
			       "shutdown",
			       w->state);
	*ret = WAIT_TEXT;
	r = regcomp(text, w->state + 5, REG_EXTENDED | REG_NOSUB);
	if (!r)
		return 0;
	regerror(r, text, why, sizeof why);
	return err_set(err, -EINVAL, "--wait '%s': %s", w->state, why);
}

static int wait_parse_limit(const struct wait *w, u64 *ret, struct err *err)
{
	double seconds;
	char *end;

	*ret = UINT64_MAX;
	if (!w->limit)
		return 0;
	seconds = strtod(w->limit, &end);
	if (end == w->limit || *end || !(seconds > 0) || seconds > 1e9)
		return err_set(err, -EINVAL,
			       "--timeout '%s' is no number of seconds",
			       w->limit);
	*ret = w->start_ns + (u64)(seconds * (double)NS_PER_S);
	return 0;
}

int wait_check(const struct wait *w, struct err *err)
{
	enum wait_for what = WAIT_BOOT;
	regex_t text;
	u64 deadline;
	int r = wait_parse(w, &what, &text, err);

	if (r == 0 && what == WAIT_TEXT)
		regfree(&text);
	return r < 0 ? r : wait_parse_limit(w, &deadline, err);
}

/* ---- The log ---- */

static void wait_drain(struct waiting *s)
{
	char data[16384];
	ssize_t n;

	/* A guest that never stops must not keep from looking at the clock. */
	for (int turns = 0;
	     turns < WAIT_TURNS && s->log_fd >= 0 &&
	     (n = pread(s->log_fd, data, sizeof data, s->log_at)) > 0;
	     turns++) {
		s->log_at += n;
		s->read_ns = clock_mono_ns();
		stage_feed(&s->watch, data, (size_t)n);
	}
}

/* It may not be there yet, or have become log.1. */
static void wait_read(struct waiting *s)
{
	char *path = folder_path(s->w->name, "log");
	struct stat st;

	wait_drain(s);
	if (path && stat(path, &st) == 0 &&
	    (s->log_fd < 0 || st.st_ino != s->log_ino)) {
		wait_drain(s);
		if (s->log_fd >= 0)
			close(s->log_fd);
		s->log_fd = open(path, O_RDONLY | O_CLOEXEC);
		s->log_ino = st.st_ino;
		s->log_at = 0;
		wait_drain(s);
	}
	free(path);
}

/* ---- ssh ---- */

static void wait_ssh_end(struct waiting *s)
{
	if (s->ssh_fd >= 0)
		close(s->ssh_fd);
	s->ssh_fd = -1;
	s->ssh_ns = clock_mono_ns() + NS_PER_S / 2;
}

static void wait_ssh_try(struct waiting *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (!s->port)
		s->port = verbs_ssh_port(s->w->name);
	a.sin_port = htons((u16)s->port);
	s->ssh_fd =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!s->port || s->ssh_fd < 0 ||
	    (connect(s->ssh_fd, (struct sockaddr *)&a, sizeof a) < 0 &&
	     errno != EINPROGRESS))
		wait_ssh_end(s);
	else
		s->ssh_ns = clock_mono_ns() + WAIT_SSH_NS;
}

/* The host's side answers at once; only the guest says "SSH-". */
static void wait_ssh(struct waiting *s)
{
	char text[4];
	ssize_t n;

	if (s->ssh_fd < 0) {
		if (clock_mono_ns() >= s->ssh_ns)
			wait_ssh_try(s);
		return;
	}
	n = recv(s->ssh_fd, text, sizeof text, MSG_DONTWAIT | MSG_PEEK);
	s->answered = n == sizeof text && !memcmp(text, "SSH-", 4);
	if (s->answered || n == 0 || (n < 0 && errno != EAGAIN) ||
	    clock_mono_ns() >= s->ssh_ns)
		wait_ssh_end(s);
}

/* ---- Telling ---- */

static double wait_seconds(const struct waiting *s, u64 ns)
{
	return (double)(ns - s->w->start_ns) / (double)NS_PER_S;
}

static void wait_tell(struct waiting *s)
{
	enum stage now = stage_now(&s->watch);

	if (now == s->told)
		return;
	s->told = now;
	if (s->live)
		fprintf(stderr, "\r\033[K%s: %s (%.1f s)", s->w->name,
			stage_name(now),
			wait_seconds(s, s->watch.seen_ns[now]));
	else
		log_info("run: '%s': %s after %.1f s", s->w->name,
			 stage_name(now),
			 wait_seconds(s, s->watch.seen_ns[now]));
}

static void wait_timing(const struct waiting *s)
{
	for (int n = 0; n < STAGE_COUNT; n++)
		if (s->watch.seen_ns[n])
			printf("%9.3f s  %s\n",
			       wait_seconds(s, s->watch.seen_ns[n]),
			       stage_name((enum stage)n));
	printf("%9.3f s  %s\n", wait_seconds(s, clock_mono_ns()), s->w->state);
}

static int wait_fail(struct waiting *s, int status, const char *how)
{
	if (s->live)
		fprintf(stderr, "\r\033[K");
	if (status == RUN_STATUS_TIMEOUT)
		log_info("run: '%s' has not come to '%s' in %s s", s->w->name,
			 s->w->state, s->w->limit);
	else
		log_info("run: '%s' does not come to '%s': %s", s->w->name,
			 s->w->state, how);
	if (s->watch.stuck && status == RUN_STATUS_TIMEOUT)
		log_info("run: %s", s->watch.why);
	log_info("run: it has come to: %s; the end of its console:",
		 stage_name(stage_now(&s->watch)));
	verbs_print_log(s->w->name, "log", WAIT_LINES, STDERR_FILENO);
	verbs_print_log(s->w->name, "messages", WAIT_LINES, STDERR_FILENO);
	return status;
}

/* ---- Waiting ---- */

static bool wait_there(struct waiting *s, bool alive)
{
	const u64 *seen = s->watch.seen_ns;

	switch (s->what) {
	case WAIT_BOOT: return stage_now(&s->watch) >= STAGE_KERNEL;
	case WAIT_LOGIN: return seen[STAGE_LOGIN];
	case WAIT_CLOUD_INIT: return seen[STAGE_CLOUD_INIT];
	case WAIT_SSH: return s->answered;
	case WAIT_TEXT: return s->watch.found;
	case WAIT_RUNNING:
	case WAIT_PAUSED: return alive && verbs_is(s->w->name, s->w->state);
	default:
		return !alive || verbs_is(s->w->name, s->w->state);
	}
}

static int wait_loop(struct waiting *s)
{
	struct timespec pause = { .tv_nsec = WAIT_POLL_NS };

	for (;;) {
		bool alive = folder_alive(s->w->name);
		u64 now;

		wait_read(s);
		wait_tell(s);
		if (s->what == WAIT_SSH && alive)
			wait_ssh(s);
		if (wait_there(s, alive))
			return RUN_STATUS_OK;
		if (!alive)
			return wait_fail(s,
					 s->watch.stuck ? s->watch.stuck
							: RUN_STATUS_ENDED,
					 s->watch.stuck ? s->watch.why
							: "it has ended");
		now = clock_mono_ns();
		if (s->watch.stuck && now - s->read_ns > WAIT_QUIET_NS)
			return wait_fail(s, s->watch.stuck, s->watch.why);
		if (now >= s->deadline_ns)
			return wait_fail(s, RUN_STATUS_TIMEOUT, NULL);
		nanosleep(&pause, NULL);
	}
}

int wait_run(const struct wait *w)
{
	struct waiting s = {
		.w = w,
		.log_fd = -1,
		.ssh_fd = -1,
		.live = isatty(STDERR_FILENO) && !w->timing,
	};
	int status = RUN_STATUS_USAGE;

	if (wait_parse(w, &s.what, &s.text, NULL) < 0 ||
	    wait_parse_limit(w, &s.deadline_ns, NULL) < 0)
		return status;
	if (s.what == WAIT_TEXT)
		s.watch.text = &s.text;
	status = wait_loop(&s);
	if (s.live && status == RUN_STATUS_OK)
		fprintf(stderr, "\r\033[K%s: %s (%.1f s)\n", w->name, w->state,
			wait_seconds(&s, clock_mono_ns()));
	if (w->timing)
		wait_timing(&s);
	if (s.what == WAIT_TEXT)
		regfree(&s.text);
	if (s.log_fd >= 0)
		close(s.log_fd);
	if (s.ssh_fd >= 0)
		close(s.ssh_fd);
	return status;
}

int wait_post_mortem(const char *name, int status)
{
	struct wait w = { .name = name };
	struct waiting s = { .w = &w, .log_fd = -1, .ssh_fd = -1 };

	wait_read(&s);
	if (s.log_fd >= 0)
		close(s.log_fd);
	if (!s.watch.stuck)
		return status;
	log_info("run: %s", s.watch.why);
	return s.watch.stuck == RUN_STATUS_PANIC ? RUN_STATUS_PANIC : status;
}
